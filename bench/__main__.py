"""`./run bench [delivery|idle|search|slow|overload|herd|all] [--quick]`: figures as JSON. Nothing is asserted.

Progress goes to standard error. `--quick` is for a look while working: fewer pairs, and ten seconds of idleness.
slow: 500 slow connections and what they cost the others. overload: ten times what a node can take, for `--seconds`.
herd: 200 nodes after an outage of the board, in virtual time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import delivery, herd, idle, overload, slow


def _search(services: int, rounds: int) -> dict[str, Any]:
    """In a process of its own: it measures its own memory."""
    line = [sys.executable, "-m", "bench.search", str(services), str(rounds)]
    found: dict[str, Any] = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__.splitlines()[0])
    parser.add_argument(
        "what", nargs="?", choices=("delivery", "idle", "search", "slow", "overload", "herd", "all"), default="all"
    )
    parser.add_argument("--quick", action="store_true", help="three pairs, ten seconds at rest")
    parser.add_argument("--seconds", type=float, help="how long the idle node rests, or the overload lasts (60)")
    parser.add_argument("--dir", type=Path, default=Path("/var/tmp"), help="the disk that is measured")
    given = parser.parse_args()
    began = time.monotonic()
    found: dict[str, Any] = {"at": time.strftime("%F %T"), "load_1m": round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory(prefix="bench-", dir=given.dir) as folder:
        if given.what in ("delivery", "all"):
            print("delivery…", file=sys.stderr)
            found["delivery"] = delivery.run(Path(folder) / "delivery", quick=given.quick)
        if given.what in ("idle", "all"):
            print("idle…", file=sys.stderr)
            seconds = given.seconds or (10.0 if given.quick else 60.0)
            found["idle"] = idle.run(Path(folder) / "idle", seconds=seconds)
        if given.what in ("search", "all"):
            print("search…", file=sys.stderr)
            found["search"] = _search(5000, 3 if given.quick else 9)
        if given.what in ("slow", "all"):
            print("slow…", file=sys.stderr)
            found["slow"] = slow.run(Path(folder) / "slow", quick=given.quick)
        if given.what in ("overload", "all"):
            print("overload…", file=sys.stderr)
            seconds = given.seconds or (5.0 if given.quick else 60.0)
            found["overload"] = overload.run(Path(folder) / "overload", seconds=seconds)
        if given.what in ("herd", "all"):
            print("herd…", file=sys.stderr)
            found["herd"] = herd.run()
    found |= {"load_1m_after": round(os.getloadavg()[0], 2), "seconds": round(time.monotonic() - began)}
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
