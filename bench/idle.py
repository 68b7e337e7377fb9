"""A node at rest: memory after a while, time from exec to the first 200 on /v1/health, the same under a 512 MB limit.

The process is `raccordo-node serve` on an existing store with a membership; nobody calls it. The limit is RLIMIT_AS: on
address space, which is stricter than one on resident memory.
"""

import http.client
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from bench.machine import cpu_of, resident_mb, spread
from bench.world import World
from node.runtime import local
from protocol.errors import ProtocolError

LIMIT: Final = 512 << 20
RSS_MAX: Final = 60.0
START_MAX: Final = 1.0
PATIENCE: Final = 20.0


class Idle:
    """One process, from exec to SIGTERM. `started` is the seconds until it answered."""

    def __init__(self, folder: Path, *, limited: bool = False) -> None:
        def limit() -> None:
            if limited:
                resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))

        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "node.cli", "--dir", str(folder), "serve"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=limit,
        )
        while not _healthy(folder, self.process.pid):
            if self.process.poll() is not None or time.perf_counter() - began > PATIENCE:
                raise ChildProcessError(f"serve ended with {self.process.poll()}")
            time.sleep(0.005)
        self.started = time.perf_counter() - began

    def stop(self) -> None:
        """An ordered end."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)


def _healthy(folder: Path, pid: int) -> bool:
    try:
        to = local.announced(folder)
    except ProtocolError:
        return False
    if to.pid != pid:
        return False
    connection = http.client.HTTPConnection("127.0.0.1", to.port, timeout=5)
    try:
        connection.request("GET", "/v1/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def run(folder: Path, *, seconds: float = 60.0, starts: int = 5) -> dict[str, Any]:
    """The figures of a node without a public address, and of one with."""
    found: dict[str, Any] = {"seconds": seconds}
    world = World(folder, ["chiuso", "aperto"], int(time.time()), direct=["aperto"])
    for name in ("chiuso", "aperto"):
        Idle(world.path(name)).stop()  # the store exists and the code is compiled
        took = []
        for _ in range(starts):
            node = Idle(world.path(name))
            took.append(node.started)
            node.stop()
        found[name] = {"start_s": spread(took), **_rest(world.path(name), seconds, limited=False)}
    found["under_512_mb"] = _rest(world.path("chiuso"), min(seconds, 5.0), limited=True)
    held = [found["chiuso"], found["aperto"]]
    found["holds"] = all(each["rss_mb"] <= RSS_MAX and each["start_s"]["median"] <= START_MAX for each in held)
    return found


def _rest(folder: Path, seconds: float, *, limited: bool) -> dict[str, float]:
    node = Idle(folder, limited=limited)
    try:
        at_first, cpu = resident_mb(node.process.pid), cpu_of(node.process.pid)
        time.sleep(seconds)
        return {
            "started_s": round(node.started, 2),
            "rss_at_start_mb": round(at_first, 1),
            "rss_mb": round(resident_mb(node.process.pid), 1),
            "cpu_pct_at_rest": round(100 * (cpu_of(node.process.pid) - cpu) / seconds, 2),
        }
    finally:
        node.stop()
