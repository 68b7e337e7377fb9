"""The long campaign of the referral model: `python -m tests.campaigns.interleavings --runs 200000 --jobs 2 --seed 1`.

Prints one JSON object; exit status 1 if any run has a fault. A faulty seed is replayed with `run(seed, sort)`.
"""

import argparse
import json
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.protocol.models.interleavings import SORTS, Rules, Run

CHUNK = 2_000


def play_chunk(job: tuple[str, int, int]) -> tuple[str, Counter[str], Counter[str], list[tuple[int, str]], int]:
    """(sort, faults, end states, faulty seeds, events written) of one chunk of seeds."""
    sort, first, count = job
    faults: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    seeds: list[tuple[int, str]] = []
    events = 0
    for seed in range(first, first + count):
        played = Run(seed, SORTS[sort], Rules())
        if fault := played.play(8 + seed % 29):
            faults[fault] += 1
            seeds.append((seed, fault))
        ends[played.desks["S"].leg.state] += 1
        events += len(played.desks["S"].own) + len(played.desks["R"].own)
    return sort, faults, ends, seeds, events


def chunks(runs: int, seed: int) -> list[tuple[str, int, int]]:
    """The runs shared equally among the sorts, in chunks; seeds of one campaign never meet those of another."""
    jobs = []
    for at, sort in enumerate(SORTS):
        share = runs // len(SORTS) + (at < runs % len(SORTS))
        base = seed * 10**9 + at * 10**8
        jobs += [(sort, base + done, min(CHUNK, share - done)) for done in range(0, share, CHUNK)]
    return jobs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    started = time.monotonic()
    runs: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    seeds: list[dict[str, object]] = []
    events = 0
    work = chunks(asked.runs, asked.seed)
    with ProcessPoolExecutor(asked.jobs) as pool:
        for job, result in zip(work, pool.map(play_chunk, work), strict=True):
            sort, chunk_faults, chunk_ends, chunk_seeds, chunk_events = result
            runs[sort] += job[2]
            faults += chunk_faults
            ends += chunk_ends
            seeds += [{"sort": sort, "seed": seed, "fault": fault} for seed, fault in chunk_seeds]
            events += chunk_events
    report = {
        "runs": sum(runs.values()),
        "by_sort": dict(runs),
        "faults": {name: faults[name] for name in ("divergent", "false final", "overruled")} | dict(faults),
        "first_faults": seeds[:20],
        "events_written": events,
        "end_states": dict(sorted(ends.items())),
        "seconds": round(time.monotonic() - started, 1),
        "jobs": asked.jobs,
        "seed": asked.seed,
    }
    print(json.dumps(report, indent=1))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
