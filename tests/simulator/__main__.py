"""./run sim: campaigns of seeds, one seed with its trace, the planted bugs."""

import argparse
import json
import signal
import sys
import time
from pathlib import Path

from tests.simulator import bugs, campaign, plan, world
from tests.simulator.kernel import Violation


def main() -> int:
    """0 when every invariant held (or every planted bug was found)."""
    args = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a campaign that is stopped still removes its stores
    if args.bugs:
        return _bugs(args)
    if args.seed is not None:
        return _one(args)
    return _campaign(args)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--resume", type=Path, help="keep results here and go on from them")
    parser.add_argument("--json", action="store_true", help="one JSON object at the end")
    parser.add_argument("--seed", type=int, help="one seed alone")
    parser.add_argument("--trace", action="store_true", help="show everything that happens")
    parser.add_argument("--without", default="", help="fault classes to leave out, with commas")
    parser.add_argument("--referrals", type=int, help="at most so many")
    parser.add_argument("--acts", type=int, help="at most so many")
    parser.add_argument("--bug", default="", choices=["", *bugs.NAMES], help="plant this bug")
    parser.add_argument("--bugs", action="store_true", help="plant each bug in turn and look for it")
    parser.add_argument("--no-shrink", action="store_true", help="leave a failing seed as it is")
    return parser.parse_args()


def _one(args: argparse.Namespace) -> int:
    without = [fault for fault in args.without.split(",") if fault]
    drawn = plan.draw(args.seed, without=without, referrals=args.referrals, acts=args.acts)
    print(drawn)
    try:
        with bugs.planted(args.bug):
            print(world.run(drawn, print if args.trace else None))
    except Violation as violation:
        print(violation)
        return 1
    return 0


def _campaign(args: argparse.Namespace) -> int:
    known = campaign.done_before(args.resume) if args.resume else {}
    wanted = dict.fromkeys([*campaign.regressions(), *range(args.first, args.first + args.seeds)])
    seeds = [seed for seed in wanted if seed not in known]
    rows = [row for seed, row in known.items() if seed in wanted]
    began, shown = time.monotonic(), time.monotonic()
    keep = args.resume.open("a") if args.resume else None
    for count, row in enumerate(campaign.campaign(seeds, jobs=args.jobs, bug=args.bug), 1):
        rows.append(row)
        if keep:
            keep.write(json.dumps(row) + "\n")
            keep.flush()
        if row.failure:
            _report(row, args)
        if time.monotonic() - shown > 10 and not args.json:
            shown = time.monotonic()
            print(
                f"{count}/{len(seeds)} seeds, {count / (shown - began):.2f} a second, {_failed(rows)} failed",
                flush=True,
            )
    _summary(rows, time.monotonic() - began, len(seeds), args)
    return 1 if _failed(rows) else 0


def _failed(rows: list[campaign.Ran]) -> int:
    return sum(1 for row in rows if row.failure)


def _report(row: campaign.Ran, args: argparse.Namespace) -> None:
    say = (
        (lambda text: print(text, file=sys.stderr, flush=True)) if args.json else (lambda text: print(text, flush=True))
    )
    say(f"seed {row.seed}: {row.detail[:400]}")
    if args.bug:
        return
    campaign.remember(row.seed)
    options = ""
    if not args.no_shrink:
        small = campaign.shrink(row.seed, row.failure, say)
        gone = [fault for fault in plan.draw(row.seed).faults if fault not in small.faults]
        options = f" --without {','.join(gone)}" * bool(gone) + f" --referrals {small.referrals} --acts {small.acts}"
    say(f"  ./run sim --seed {row.seed}{options} --trace")


def _summary(rows: list[campaign.Ran], seconds: float, ran: int, args: argparse.Namespace) -> None:
    figures = {
        "seeds": len(rows), "failed": sorted(row.seed for row in rows if row.failure),
        "events_told": sum(row.told for row in rows), "sealings": sum(row.sealings for row in rows),
        "crashes": sum(row.crashes for row in rows), "illegal_attempts_refused": sum(row.refused for row in rows),
        "seconds": round(seconds, 1), "seeds_per_second": round(ran / seconds, 2) if seconds else 0,
        "cpu_seconds_per_seed": round(sum(row.seconds for row in rows) / max(1, len(rows)), 3),
    }  # fmt: skip
    print(json.dumps(figures) if args.json else "\n".join(f"{name}: {value}" for name, value in figures.items()))


def _bugs(args: argparse.Namespace) -> int:
    missed = 0
    print(f"{'bug':<28} {'seed':>5}  {'found as':<28} what is wrong")
    for bug in bugs.TABLE:
        if args.bug and bug.name != args.bug:
            continue
        found = next(
            (
                row
                for row in campaign.campaign(range(args.first, args.first + 300), jobs=args.jobs, bug=bug.name)
                if row.failure
            ),
            None,
        )
        missed += found is None
        print(
            f"{bug.name:<28} {found.seed if found else '-':>5}  {found.failure if found else 'NOT FOUND':<28} {bug.what}",
            flush=True,
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
