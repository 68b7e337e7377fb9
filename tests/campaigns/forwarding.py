"""The long campaign of the forwarding rules: `python -m tests.campaigns.forwarding --runs 30000 --jobs 1 --seed 1`.

Prints one JSON object; exit status 1 if any run has a fault. A faulty seed is replayed with `models.forwarding.run`.
"""

import argparse
import json
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from tests.protocol.models.forwarding import run

CHUNK = 1_000


def play_chunk(job: tuple[int, int]) -> tuple[Counter[str], Counter[str], Counter[str], list[tuple[int, str]]]:
    """(faults, end states of the parents that were forwarded, counts, faulty seeds) of one chunk of seeds."""
    first, count = job
    faults: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    seeds = []
    for seed in range(first, first + count):
        played = run(seed)
        if played.fault:
            faults[played.fault] += 1
            seeds.append((seed, played.fault))
        counts["crashes"] += played.crashes
        counts["children"] += played.forwards
        counts["events"] += sum(len(line.own["S"]) + len(line.own["R"]) for line in played.lines)
        if played.forwards:
            counts["forwarded"] += 1
            ends[played.lines[0].truth().state] += 1
    return faults, ends, counts, seeds


def campaign(runs: int, seed: int, jobs: int = 1) -> dict[str, Any]:
    """The figures of `runs` runs; seeds of one campaign never meet those of another."""
    started = time.monotonic()
    faults: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    seeds: list[tuple[int, str]] = []
    base = seed * 10**9
    work = [(base + done, min(CHUNK, runs - done)) for done in range(0, runs, CHUNK)]
    with ProcessPoolExecutor(jobs) as pool:
        for chunk_faults, chunk_ends, chunk_counts, chunk_seeds in pool.map(play_chunk, work):
            faults += chunk_faults
            ends += chunk_ends
            counts += chunk_counts
            seeds += chunk_seeds
    named = ("against its child", "two custodians", "custody", "twice")
    return {
        "runs": runs, "faults": {name: faults[name] for name in named} | dict(faults), "first_faults": seeds[:20],
        **dict(counts), "end_states_of_forwarded": dict(sorted(ends.items())),
        "seconds": round(time.monotonic() - started, 1), "jobs": jobs, "seed": seed,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    report = campaign(asked.runs, asked.seed, asked.jobs)
    print(json.dumps(report, indent=1))
    return 1 if any(report["faults"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
