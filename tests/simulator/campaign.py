"""Many seeds: one after another or on several processes, resumable; failures are shrunk and remembered."""

import gc
import json
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Final, NamedTuple

from tests.simulator import bugs, plan, world
from tests.simulator.kernel import Violation

REGRESS: Final = Path(__file__).with_name("regress.txt")
AHEAD: Final = 4  # seeds given out beyond those at work


class Ran(NamedTuple):
    """What one seed amounted to; `failure` is empty when everything held."""

    seed: int
    failure: str
    detail: str
    digest: str
    seconds: float
    sealings: int
    told: int
    crashes: int
    refused: int


def one(seed: int, bug: str = "") -> Ran:
    """Runs a seed, with a planted bug when one is named. Any exception is a failure of this seed."""
    drawn = plan.draw(seed)
    began = time.process_time()
    failure, detail, result = attempt(drawn, bug)
    took = time.process_time() - began
    if result is None:
        return Ran(seed, failure, detail, "", took, 0, 0, 0, 0)
    return Ran(seed, "", "", result.digest, took, result.sealings, result.told, result.crashes, result.refused)


def attempt(drawn: plan.Plan, bug: str = "") -> tuple[str, str, world.Result | None]:
    """(code of the failure, detail, result)."""
    gc.disable()  # a run is short and its garbage is collected whole at the end
    try:
        with bugs.planted(bug):
            return "", "", world.run(drawn)
    except Violation as violation:
        return violation.code, str(violation), None
    except Exception as error:  # a crash of the programs under test is a finding like any other
        return f"exception-{type(error).__name__}", repr(error), None
    finally:
        gc.enable()
        gc.collect()


def campaign(seeds: Iterable[int], *, jobs: int, bug: str = "") -> Iterator[Ran]:
    """The results as they come."""
    if jobs == 1:
        yield from (one(seed, bug) for seed in seeds)
        return
    waiting = iter(seeds)
    with ProcessPoolExecutor(jobs) as pool:
        running = {pool.submit(one, seed, bug) for _, seed in zip(range(jobs + AHEAD), waiting, strict=False)}
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                yield future.result()
            for _, seed in zip(finished, waiting, strict=False):
                running.add(pool.submit(one, seed, bug))


def done_before(resume: Path) -> dict[int, Ran]:
    """What an interrupted campaign already knows: one JSON array a line."""
    if not resume.exists():
        return {}
    rows = [Ran(*json.loads(line)) for line in resume.read_text().splitlines() if line.endswith("]")]
    return {row.seed: row for row in rows}


def shrink(seed: int, code: str, say: Callable[[str], None]) -> plan.Plan:
    """Fewer fault classes, then less work, as long as the same invariant breaks."""
    without: list[str] = []
    smallest = plan.draw(seed)
    for fault in smallest.faults:
        narrower = plan.draw(seed, without=[*without, fault])
        if attempt(narrower)[0] == code:
            without.append(fault)
            smallest = narrower
    for share in (0.1, 0.25, 0.5, 0.75):
        fewer = plan.draw(
            seed,
            without=without,
            referrals=max(1, round(smallest.referrals * share)),
            acts=round(smallest.acts * share),
        )
        if attempt(fewer)[0] == code:
            smallest = fewer
            break
    say(f"  shrunk to {' '.join(smallest.faults) or 'no faults'}; {smallest.referrals} referrals, {smallest.acts} acts")
    return smallest


def remember(seed: int) -> None:
    """A seed that failed once is run for ever."""
    if seed not in regressions():
        with REGRESS.open("a") as file:
            file.write(f"{seed}\n")


def regressions() -> list[int]:
    """Seeds that failed once."""
    if not REGRESS.exists():
        return []
    lines = (line.partition("#")[0].strip() for line in REGRESS.read_text().splitlines())
    return [int(line) for line in lines if line]
