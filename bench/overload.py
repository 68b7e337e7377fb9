"""Ten times what a node can take, for a while: nothing lost, who is too much is told so, and then it is over. JSON out.

B is a real node. Twenty members, each at an address of its own, send it batches of sealed referrals made beforehand, in
an open loop: at ten times the rate measured just before, whatever was answered. What was refused comes again, the same
bytes, as from a sender's outbox. A, a real node too, writes a referral five times a second all the while.

Counted at the end, when everything has been sent again politely: every referral of everybody stands at B once.
Recovered is the moment from which A's referrals arrive within twice the quiet p99, and nothing of A waits any more.
"""

import asyncio
import sys
import time
import uuid
from collections import Counter, deque
from itertools import chain
from pathlib import Path
from typing import Any, Final

import msgspec

from bench.children import Child, answer, commands
from bench.machine import Jiffies, cpu_of, fdatasync_ms, percentile, resident_mb
from bench.peer import offer
from bench.world import World
from node.runtime.caller import signed_headers
from protocol import paths
from protocol.envelope import make_envelope
from protocol.names import Channel
from protocol.suite import S1
from schemas.bodies import EventBody
from schemas.wire import Batch, DeliveryAnswer, Item
from tests.protocol.network import sealer, signer

SENDERS: Final = [f"ufficio-{i}" for i in range(20)]
TIMES: Final = 10
BATCH: Final = 25
PENDING: Final = 3000  # requests out at once; the generator's own limit, reported when it was met
RECOVERY: Final = 60.0
_encode: Final = msgspec.json.Encoder().encode


class Lot:
    """One batch, and the call that carries it: signed anew when its token grows old."""

    def __init__(self, sender: str, items: list[Item]) -> None:
        self.sender = sender
        self.body = _encode(Batch(items))
        self.count = len(items)
        self._head = b""
        self._signed = 0

    def call(self, net: str, now: int) -> bytes:
        if now > self._signed + 90:
            headers = signed_headers(
                signer(self.sender), net=net, me=self.sender, aud="b", method="POST", target=paths.INBOX, now=now,
                body=self.body,
            )  # fmt: skip
            lines = [f"POST {paths.INBOX} HTTP/1.1", "Host: b", f"Content-Length: {len(self.body)}"]
            self._head = "\r\n".join([*lines, *(f"{k}: {v}" for k, v in headers.items()), "", ""]).encode()
            self._signed = now
        return self._head + self.body


class Crowd:
    """The twenty members: lots made beforehand, sent in an open loop, or politely until none is left."""

    def __init__(self, net: str, mv: int, port: int) -> None:
        self._net, self._mv, self._port = net, mv, port
        self._left: deque[Lot] = deque()
        self._free: dict[str, list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]] = {name: [] for name in SENDERS}
        self.said: Counter[str] = Counter()
        self.without_retry_after = 0
        self.done = 0

    async def make(self, lots: int) -> dict[str, Any]:
        """Seals so many lots, one event each item, of every sender in turn."""
        now, to = int(time.time()), S1.sealing_public(sealer("b").public)
        for number in range(lots):
            sender = SENDERS[number % len(SENDERS)]
            self._left.append(Lot(sender, [self._item(sender, to, now) for _ in range(BATCH)]))
        return {"lots": len(self._left)}

    def _item(self, sender: str, to: Any, now: int) -> Item:
        jti, leg = str(uuid.uuid4()), str(uuid.uuid4())
        body = EventBody(net=self._net, sender=sender, to="b", jti=jti, leg=leg, n=1, seen=0, ev="offer", by="OP",
                         offer=offer(1800))  # fmt: skip
        draw = uuid.uuid4().bytes + uuid.uuid4().bytes
        made = make_envelope(
            suite=S1, signing_key=signer(sender), recipient=to, net=self._net, jti=jti, sender=sender, to="b",
            iat=now, ch=Channel(1, next(_SEQ[sender])), mv=self._mv, salt=draw, body=_encode(body),
            ephemeral_seed=uuid.uuid4().bytes + uuid.uuid4().bytes, nonce=uuid.uuid4().bytes[:12],
        )  # fmt: skip
        return Item(e=made.e, s=made.s)

    async def politely(self, lots: int | None = None, lanes: int = 6) -> dict[str, Any]:
        """So many lots (or all), six at a time, each until it is acknowledged; the rate of it."""
        until = self.done + (len(self._left) if lots is None else lots) * BATCH
        began, before = time.perf_counter(), self.done

        async def lane() -> None:
            while self._left and self.done < until:
                after = await self._post(self._left.popleft())
                if after:
                    await asyncio.sleep(min(after, 2))

        await asyncio.gather(*(lane() for _ in range(lanes)))
        return {"rate": (self.done - before) / (time.perf_counter() - began), "left": len(self._left)}

    async def flood(self, per_second: float, seconds: float) -> dict[str, Any]:
        """Lots in an open loop; refused ones go to the end of the queue and come again."""
        self.said.clear()
        tasks: set[asyncio.Task[float]] = set()
        began, offered, stalled, before = time.perf_counter(), 0, 0, self.done
        while (passed := time.perf_counter() - began) < seconds:
            while offered < passed * per_second / BATCH:
                offered += 1
                if len(tasks) >= PENDING or not self._left:
                    stalled += 1
                    continue
                task = asyncio.create_task(self._post(self._left.popleft()))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(0.005)
        during = self.done - before
        ended = dict(self.said)
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return {
            "offered_per_s": round((offered - stalled) * BATCH / seconds),
            "answered_per_s": round(sum(ended.values()) * BATCH / seconds),
            "acknowledged_per_s": round(during / seconds),
            "not_offered": stalled * BATCH,
            "answers": ended,
            "refused_without_retry_after": self.without_retry_after,
        }

    async def _post(self, lot: Lot) -> float:
        """Seconds to wait before the next, 0 when it was taken; a refused lot is back in the queue."""
        taken = False
        writer = None
        try:
            async with asyncio.timeout(30):
                reader, writer = await self._connection(lot.sender)
                writer.write(lot.call(self._net, int(time.time())))
                status, headers, raw = await _answer(reader)
            self.said[status] += 1
            if headers.get("connection") == "close" or status != "200":
                writer.close()
            else:
                self._free[lot.sender].append((reader, writer))
            if status == "200":
                taken = not msgspec.json.decode(raw, type=DeliveryAnswer).later
                return 0.0
            self.without_retry_after += status in ("429", "503") and "retry-after" not in headers
            return float(headers.get("retry-after", "1"))
        except (OSError, EOFError, TimeoutError) as error:
            self.said[type(error).__name__] += 1
            if writer is not None:
                writer.close()
            return 1.0
        finally:
            if taken:
                self.done += lot.count
            else:
                self._left.append(lot)

    async def _connection(self, sender: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._free[sender]:
            return self._free[sender].pop()
        address = (f"127.0.1.{1 + SENDERS.index(sender)}", 0)
        return await asyncio.open_connection("127.0.0.1", self._port, local_addr=address)

    async def close(self) -> dict[str, Any]:
        for _, writer in chain.from_iterable(self._free.values()):
            writer.close()
        return {"done": self.done}


async def _answer(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """Status, headers in lower case, body. EOFError when the connection ended first."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    return first.split()[1], headers, await reader.readexactly(int(headers.get("content-length", "0")))


_SEQ: Final = {sender: iter(range(1, 1 << 40)) for sender in SENDERS}


def run(folder: Path, *, seconds: float) -> dict[str, Any]:
    """Quiet, the capacity of B, the overload, the time until it is over, and the count."""
    folder.mkdir(parents=True)
    world = World(folder, ["a", "b", *SENDERS], int(time.time()), direct=["a", "b"])
    a, b = Child("bench.peer", str(world.path("a")), core=0), Child("bench.peer", str(world.path("b")), core=1)
    crowd = Child("bench.overload", world.network.net, str(world.membership.version), str(world.ports["b"]), core=0)
    jiffies, sync = Jiffies(), fdatasync_ms(folder)
    try:
        for child in (a, b, crowd):
            child.hear()
        quiet = _probe(a, 100)
        lots = 100
        crowd.ask({"do": "make", "lots": lots})
        capacity = crowd.ask({"do": "politely", "lots": lots})["rate"]
        lots = int(capacity * max(1.5 * seconds, 30) / BATCH) + 1
        crowd.ask({"do": "make", "lots": lots})
        a.ask({"do": "write", "to": "b", "per_second": 5, "seconds": seconds})
        spent, began = cpu_of(b.pid), time.perf_counter()
        flood = crowd.ask({"do": "flood", "per_second": TIMES * capacity, "seconds": seconds})
        busy = (cpu_of(b.pid) - spent) / (time.perf_counter() - began)
        held = resident_mb(b.pid)
        over = time.perf_counter()
        p99, recovered = percentile(quiet, 99), None
        delivered = None
        while time.perf_counter() - over < 2 * RECOVERY and (recovered is None or delivered is None):
            if recovered is None and percentile(_probe(a, 10), 90) <= 2 * p99:
                recovered = time.perf_counter() - over
            if delivered is None and not a.ask({"do": "waiting"})["waiting"]:
                delivered = time.perf_counter() - over
        drained = crowd.ask({"do": "politely"})
        done = crowd.ask({"do": "close"})["done"]
        at_a, at_b = a.ask({"do": "counts"}), b.ask({"do": "counts"})
    finally:
        for child in (crowd, a, b):
            child.close()
    acknowledged = sum(n for writer, k, n in at_a["events"] if k == "processed")
    return {
        "seconds": seconds,
        "capacity_per_s": round(capacity),
        "flood": flood | {"b_cpu": round(busy, 2), "b_rss_mb": round(held, 1)},
        "quiet_p50_ms": round(percentile(quiet, 50), 2),
        "quiet_p99_ms": round(p99, 2),
        "recovered_s": None if recovered is None else round(recovered, 1),
        "queue_of_a_empty_s": None if delivered is None else round(delivered, 1),
        "drained": {"rate": round(drained["rate"]), "left": drained["left"]},
        "written": {"crowd": done, "a": at_a["legs"]},
        "at_b": at_b["legs"],
        "lost": at_a["legs"] + done - at_b["legs"],
        "unacknowledged_of_a": at_a["legs"] - acknowledged,
        "holds": at_a["legs"] + done == at_b["legs"]
        and not flood["refused_without_retry_after"]
        and max(recovered or 999, delivered or 999) <= RECOVERY,
        "fdatasync_p50_ms": sync,
        **jiffies.shares(),
    }


def _probe(a: Child, times: int) -> list[float]:
    a.ask({"do": "prepare", "to": "b", "messages": times, "body": 1800})
    took: list[float] = a.ask({"do": "latency"})["ms"]
    return took


async def main(net: str, mv: int, port: int) -> None:
    answer({"ready": True})
    crowd = Crowd(net, mv, port)
    does = {"make": crowd.make, "politely": crowd.politely, "flood": crowd.flood, "close": crowd.close}
    async for command in commands():
        answer(await does[command.pop("do")](**command))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
