"""Delivery of referrals between two real node processes, against bench.floor in the same minutes. JSON out.

Counted from the operator's command to the recipient's signed `processed`, verified and stored, direct route, HTTP on
loopback. Pairs are interleaved: two-process floor, ours, in-process floor, again and again; every process is bound to
one core (A to the first, B to the second). PERFORMANCE §5 says what the ratios mean and when a run is valid.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench import floor
from bench.children import Child
from bench.machine import Jiffies, fdatasync_ms, percentile, spread
from bench.world import World

SHAPES: Final = ((50, 6), (20, 4))
BODIES: Final = (1800, 2300)
FLOOR_MOVES: Final = 1.5


class Nodes:
    """Our pair of processes, kept for many rounds; A sends to B."""

    def __init__(self, folder: Path) -> None:
        world = World(folder, ["a", "b"], int(time.time()), direct=["a", "b"])
        self.a = Child("bench.peer", str(world.path("a")), core=0)
        self.b = Child("bench.peer", str(world.path("b")), core=1)
        self.a.hear()
        self.b.hear()

    def run(self, *, messages: int, batch: int, in_flight: int, body_bytes: int) -> dict[str, float]:
        """rate per second, CPU µs of A + B per delivered message (and of each), commands per commit at A."""
        self.a.ask({"do": "prepare", "to": "b", "messages": messages, "body": body_bytes})
        a, b = self.a.cpu(), self.b.cpu()
        said = self.a.ask({"do": "send", "batch": batch, "in_flight": in_flight})
        a, b = self.a.cpu() - a, self.b.cpu() - b
        done = said["delivered"]
        return {
            "rate": done / said["seconds"],
            "cpu_us": 1e6 * (a + b) / done,
            "cpu_a_us": 1e6 * a / done,
            "cpu_b_us": 1e6 * b / done,
            "commands_per_commit": said["commands"] / max(1, said["commits"]),
        }

    def latency(self, messages: int, body_bytes: int) -> list[float]:
        """ms from command to stored receipt, one at a time."""
        self.a.ask({"do": "prepare", "to": "b", "messages": messages, "body": body_bytes})
        took: list[float] = self.a.ask({"do": "latency"})["ms"]
        return took

    def counts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What both stores hold."""
        return self.a.ask({"do": "counts"}), self.b.ask({"do": "counts"})

    def close(self) -> None:
        self.a.close()
        self.b.close()


def measure(folder: Path, *, pairs: int, messages: int, body_bytes: int, shape: tuple[int, int]) -> dict[str, Any]:
    """One body size, one shape: `pairs` interleaved rounds."""
    batch, in_flight = shape
    (folder / "ours").mkdir(parents=True)
    (folder / "floor").mkdir()
    ours, theirs = Nodes(folder / "ours"), floor.TwoProcesses(folder / "floor", body_bytes)
    rounds: list[dict[str, dict[str, float]]] = []
    try:
        for turn in range(pairs + 1):  # the first warms caches and is not counted
            with tempfile.TemporaryDirectory(dir=folder) as inner:
                fresh = Path(inner)
                seen = {
                    "two": theirs.run(messages=messages, batch=batch, in_flight=in_flight),
                    "ours": ours.run(messages=messages, batch=batch, in_flight=in_flight, body_bytes=body_bytes),
                    "one": floor.in_process(
                        fresh, messages=max(batch, messages // 3), batch=batch, body_bytes=body_bytes
                    ),
                }
            if turn:
                rounds.append(seen)
        latency = ours.latency(150, body_bytes) if shape == SHAPES[0] else []
        a, b = ours.counts()
    finally:
        ours.close()
        theirs.close()
    assert a["legs"] == b["legs"] == sum(n for writer, k, n in a["events"] if k == "processed"), (a, b)
    return _report(rounds, latency, folder, body_bytes)


def _report(
    rounds: list[dict[str, dict[str, float]]], latency: list[float], folder: Path, body_bytes: int
) -> dict[str, Any]:
    def column(who: str, what: str) -> list[float]:
        return [each[who][what] for each in rounds]

    ratios = [each["ours"]["rate"] / each["two"]["rate"] for each in rounds]
    cpu = [each["ours"]["cpu_us"] / each["one"]["cpu_us"] for each in rounds]
    moves = max(column("one", "cpu_us")) / min(column("one", "cpu_us"))
    found: dict[str, Any] = {
        "deliver_ratio": spread(ratios),
        "cpu_ratio": spread(cpu),
        "ours_per_s": spread(column("ours", "rate"), 0),
        "floor_two_per_s": spread(column("two", "rate"), 0),
        "floor_one_per_s": spread(column("one", "rate"), 0),
        "ours_cpu_us": spread(column("ours", "cpu_us"), 0),
        "ours_cpu_a_us": spread(column("ours", "cpu_a_us"), 0),
        "ours_cpu_b_us": spread(column("ours", "cpu_b_us"), 0),
        "floor_one_cpu_us": spread(column("one", "cpu_us"), 0),
        "floor_two_cpu_us": spread(column("two", "cpu_us"), 0),
        "commands_per_commit": spread(column("ours", "commands_per_commit"), 1),
        "floor_cpu_moves": round(moves, 2),
        "valid": moves <= FLOOR_MOVES,
    }
    if latency:
        found["latency"] = _latency(latency, folder, body_bytes)
    return found


def _latency(took: list[float], folder: Path, body_bytes: int) -> dict[str, float]:
    """Unloaded, against three disk syncs and the CPU of a floor that carries one message at a time."""
    sync = fdatasync_ms(folder)
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        single = floor.in_process(Path(inner), messages=150, batch=1, body_bytes=body_bytes)
    least = 3 * sync + single["cpu_us"] / 1000
    p50 = statistics.median(took)
    return {
        "p50_ms": round(p50, 2),
        "p99_ms": round(percentile(took, 99), 2),
        "fdatasync_p50_ms": sync,
        "floor_cpu_ms": round(single["cpu_us"] / 1000, 2),
        "floor_p50_ms": round(single["p50_ms"], 2),
        "latency_ratio": round(p50 / least, 2),
    }


def run(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Every shape and body size; `quick`: three pairs of the first only."""
    folder.mkdir(parents=True)
    jiffies = Jiffies()
    found: dict[str, Any] = {"fdatasync_p50_ms_before": fdatasync_ms(folder)}
    plan = [(SHAPES[0], BODIES[0])] if quick else [(shape, size) for size in BODIES for shape in SHAPES]
    for shape, size in plan:
        full = shape == SHAPES[0] and size == BODIES[0]
        name = f"{size}B {shape[0]}x{shape[1]}"
        pairs = 3 if quick else 9 if full else 3
        found[name] = measure(
            folder / name.replace(" ", "-"),
            pairs=pairs,
            messages=2000 if full and not quick else 1200,
            body_bytes=size,
            shape=shape,
        )
    return found | {"fdatasync_p50_ms_after": fdatasync_ms(folder), **jiffies.shares()}
