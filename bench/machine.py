"""What the machine is doing while something is measured: load, steal, the disk, CPU of processes. Linux only."""

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> float:
    """utime + stime of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident_mb(pid: int) -> float:
    """VmRSS of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


class Jiffies:
    """Shares of all processors' time since it was made."""

    def __init__(self) -> None:
        self._began = _jiffies()

    def shares(self) -> dict[str, float]:
        """`idle` and `steal` in per cent."""
        passed = [now - then for now, then in zip(_jiffies(), self._began, strict=True)]
        total = sum(passed) or 1
        return {"idle_pct": round(100 * passed[3] / total, 1), "steal_pct": round(100 * passed[7] / total, 1)}


def _jiffies() -> list[int]:
    return [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def fdatasync_ms(folder: Path, times: int = 100) -> float:
    """p50 of overwriting 4 KiB and fdatasync, where the stores lie."""
    path = folder / "fdatasync"
    took = []
    with path.open("wb", buffering=0) as file:
        file.write(bytes(4096 * 4))
        os.fsync(file.fileno())
        for turn in range(times):
            began = time.perf_counter()
            os.pwrite(file.fileno(), bytes(4096), 4096 * (turn % 4))
            os.fdatasync(file.fileno())
            took.append(1000 * (time.perf_counter() - began))
    path.unlink()
    return round(statistics.median(took), 3)


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """median, min, max."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def percentile(values: Sequence[float], per_cent: float) -> float:
    """The smallest value that so many per cent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * per_cent / 100))]
