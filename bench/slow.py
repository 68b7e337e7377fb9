"""What slow connections cost everybody else: two real nodes, with and without 500 of them at the second. JSON out.

A third of them send nothing, a third a header byte by byte, a third (as members, with a good token) a body byte by
byte. Ten come from each address, so that the cap of an address is not what saves us, and each is opened again a second
after it was ended. Measured meanwhile: referrals from A to B, from the command to the stored receipt, and plain calls
to B, one at a time. Quiet and slow rounds are interleaved; the target is a p99 at most twice the quiet one.
"""

import asyncio
import contextlib
import http.client
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from bench.children import Child, answer, commands
from bench.machine import Jiffies, cpu_of, fdatasync_ms, percentile, resident_mb
from bench.world import World
from node.runtime.caller import signed_headers
from protocol import paths
from tests.protocol.network import signer

CONNECTIONS: Final = 500
AT_ONE_ADDRESS: Final = 10
HOSTILE: Final = [f"lento-{i}" for i in range(12)]  # members who drip bodies; each has its own cap of calls
TARGET: Final = 2.0
_BYTE_EVERY: Final = 1.0
_AGAIN: Final = 1.0


class Dripping:
    """Holds so many slow connections to one port until it is stopped. `told` counts how each of them ended."""

    def __init__(self, net: str, me: str, port: int) -> None:
        self._net, self._aud, self._port = net, me, port
        self.open = 0
        self.opened = 0
        self.told: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []
        self._wanted = 0
        self._most = asyncio.Event()

    async def start(self, connections: int) -> dict[str, Any]:
        self._wanted = connections
        self._most.clear()
        self._tasks = [asyncio.create_task(self._for_ever(number)) for number in range(connections)]
        await self._most.wait()
        return {"open": self.open}

    async def stop(self) -> dict[str, Any]:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return {"open": self.open, "opened": self.opened, "ended": dict(self.told)}

    async def _for_ever(self, number: int) -> None:
        address = (f"127.0.1.{1 + number // AT_ONE_ADDRESS}", 0)
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=address)
            except OSError as error:
                self.told[type(error).__name__] += 1
                await asyncio.sleep(0.1)
                continue
            self.open += 1
            self.opened += 1
            if self.open >= self._wanted * 0.9:
                self._most.set()
            try:
                self.told[await self._drip(number, reader, writer)] += 1
            finally:
                self.open -= 1
                writer.close()
            await asyncio.sleep(_AGAIN)

    async def _drip(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
        """The status it was ended with, or how."""
        first = (b"", b"GET /v1/members HTTP/1.1\r\nHost: a\r\nX-Drip: ", self._post(number))[number % 3]
        writer.write(first)
        dripping = asyncio.create_task(self._bytes(writer)) if first else None
        try:
            head = await reader.read(4096)
            return head.split()[1].decode() if head else "closed"
        except ConnectionError as error:
            return type(error).__name__
        finally:
            if dripping is not None:
                dripping.cancel()

    async def _bytes(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await asyncio.sleep(_BYTE_EVERY)
                writer.write(b"a")
                await writer.drain()

    def _post(self, number: int) -> bytes:
        """A call with a good token, whose body will never be whole."""
        me, now = HOSTILE[number // 3 % len(HOSTILE)], int(time.time())
        headers = signed_headers(
            signer(me), net=self._net, me=me, aud=self._aud, method="POST", target=paths.INBOX, now=now, body=b"{}"
        )
        lines = [f"POST {paths.INBOX} HTTP/1.1", "Host: a", "Content-Length: 1000000"]
        return "\r\n".join([*lines, *(f"{k}: {v}" for k, v in headers.items()), "", ""]).encode()


class Calls:
    """GET of the members document over one kept connection."""

    def __init__(self, port: int) -> None:
        self._port = port

    def run(self, times: int) -> list[float]:
        """ms of each. A connection that was ended is opened again, and its time counts."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        took = []
        for _ in range(times):
            began = time.perf_counter()
            connection.request("GET", paths.MEMBERS)
            got = connection.getresponse()
            if got.status != 200 or not got.read():
                raise ConnectionError(got.status)
            took.append(1000 * (time.perf_counter() - began))
        connection.close()
        return took


def run(folder: Path, *, quick: bool, connections: int = CONNECTIONS) -> dict[str, Any]:
    """Interleaved rounds; all times of a kind are pooled, and the ratio of each pair of rounds is shown as well."""
    folder.mkdir(parents=True)
    rounds, seconds = (2, 4.0) if quick else (5, 15.0)  # long enough for connections to be ended and opened again
    world = World(folder, ["a", "b", *HOSTILE], int(time.time()), direct=["a", "b"])
    a, b = Child("bench.peer", str(world.path("a")), core=0), Child("bench.peer", str(world.path("b")), core=1)
    slow = Child("bench.slow", world.network.net, "b", str(world.ports["b"]), core=0)
    jiffies, sync = Jiffies(), fdatasync_ms(folder)
    took: dict[str, dict[str, list[float]]] = {kind: {"referral": [], "call": []} for kind in ("quiet", "slow")}
    pairs: dict[str, list[float]] = {"referral": [], "call": []}
    ended: Counter[str] = Counter()
    opened, cpu = 0, 0.0
    try:
        for child in (a, b, slow):
            child.hear()
        _measure(a, world.ports["b"], 0)  # warms caches, not counted
        for _ in range(rounds):
            seen = {"quiet": _measure(a, world.ports["b"], seconds)}
            slow.ask({"do": "start", "connections": connections})
            spent, began = cpu_of(b.pid), time.perf_counter()
            seen["slow"] = _measure(a, world.ports["b"], seconds)
            cpu = max(cpu, (cpu_of(b.pid) - spent) / (time.perf_counter() - began))
            held = resident_mb(b.pid)
            said = slow.ask({"do": "stop"})
            ended.update(said["ended"])
            opened = said["opened"]
            for what in ("referral", "call"):
                pairs[what].append(round(percentile(seen["slow"][what], 99) / percentile(seen["quiet"][what], 99), 2))
                for kind, measured in seen.items():
                    took[kind][what] += measured[what]
        counts = a.ask({"do": "counts"}), b.ask({"do": "counts"})
    finally:
        for child in (slow, a, b):
            child.close()
    assert counts[0]["legs"] == counts[1]["legs"], counts
    found: dict[str, Any] = {"connections": connections, "opened": opened, "ended": dict(ended), "rounds": rounds}
    for what in ("referral", "call"):
        shown = {kind: _times(took[kind][what]) for kind in took}
        ratio = round(shown["slow"]["p99_ms"] / shown["quiet"]["p99_ms"], 2)
        found[what] = shown | {"p99_ratio": ratio, "p99_ratio_by_round": pairs[what], "holds": ratio <= TARGET}
    return found | {
        "b_cpu_under_attack": round(cpu, 2),
        "b_rss_mb_under_attack": round(held, 1),
        "fdatasync_p50_ms": sync,
        **jiffies.shares(),
    }


def _measure(a: Child, port: int, seconds: float) -> dict[str, list[float]]:
    """Fifty referrals and two hundred calls in turn, for so long."""
    took: dict[str, list[float]] = {"referral": [], "call": []}
    until = time.perf_counter() + seconds
    while not took["call"] or time.perf_counter() < until:
        a.ask({"do": "prepare", "to": "b", "messages": 50, "body": 1800})
        took["referral"] += a.ask({"do": "latency"})["ms"]
        took["call"] += Calls(port).run(200)
    return took


def _times(took: list[float]) -> dict[str, float]:
    return {
        "n": len(took),
        "p50_ms": round(percentile(took, 50), 2),
        "p99_ms": round(percentile(took, 99), 2),
        "max_ms": round(max(took), 2),
    }


async def main(net: str, me: str, port: int) -> None:
    answer({"ready": True})
    dripping = Dripping(net, me, port)
    does = {"start": dripping.start, "stop": dripping.stop}
    async for command in commands():
        answer(await does[command.pop("do")](**command))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
