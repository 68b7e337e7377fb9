"""The floor: what the exchange of a message costs when nothing else is done. The yardstick of bench.delivery.

A: encode, sign, seal, insert outbox (WAL, FULL) → B: verify, open, decode, insert inbox (FULL), sign one receipt per
batch → A: verify it, mark (FULL). With the project's own JWS and JWE, which any implementation has to compute; no
strict scan, no checks, no replay window, no states, no retries. In process, and as two processes over HTTP.
"""

import asyncio
import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import web

from bench.children import Child, answer, commands
from protocol import jwe, jws
from protocol.buckets import pad
from protocol.names import NOTHING_HELD
from protocol.strict import digest
from protocol.suite import S1
from schemas.wire import Ack, Item, Receipt, Routing
from tests.protocol.network import sealer, signer

NET = "n" * 43
_encode = msgspec.json.Encoder().encode
_TABLES = """
PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
CREATE TABLE outbox (mid TEXT PRIMARY KEY, dest TEXT NOT NULL, e TEXT NOT NULL, s TEXT NOT NULL,
  state TEXT NOT NULL);
CREATE INDEX outbox_state ON outbox (dest, state);
CREATE TABLE inbox (mid TEXT PRIMARY KEY, sender TEXT NOT NULL, e TEXT NOT NULL, body BLOB NOT NULL,
  at INTEGER NOT NULL);
CREATE INDEX inbox_sender ON inbox (sender, at);
"""


class Message(msgspec.Struct):
    """A body of the size wanted."""

    net: str
    sender: str
    to: str
    jti: str
    text: str


class Batch(msgspec.Struct):
    items: list[Item]


class Answer(msgspec.Struct):
    receipts: list[str]


_messages = msgspec.json.Decoder(Message)
_routings = msgspec.json.Decoder(Routing)
_receipts = msgspec.json.Decoder(Receipt)
_batches = msgspec.json.Decoder(Batch)
_answers = msgspec.json.Decoder(Answer)


def _store(path: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    conn.executescript(_TABLES)
    return conn


class Sender:
    """A."""

    def __init__(self, path: Path, body_bytes: int) -> None:
        self.db = _store(path)
        self.signing = signer("a")
        self.recipient = S1.sealing_public(sealer("b").public)
        self.peer = S1.verify_key(signer("b").public)
        self.text = "x" * (body_bytes - len(_encode(Message(NET, "a", "b", "0" * 36, ""))))

    def write(self, count: int) -> list[Item]:
        """Encode, sign, seal; insert and commit."""
        made = [self._one() for _ in range(count)]
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT INTO outbox VALUES (?, 'b', ?, ?, 'new')", made)
        self.db.execute("COMMIT")
        return [Item(e=e, s=s) for _, e, s in made]

    def _one(self) -> tuple[str, str, str]:
        random = os.urandom(92)
        jti = random[76:92].hex() + "0000"
        body = _encode(Message(NET, "a", "b", jti, self.text))
        s = jwe.seal(
            S1, self.recipient, ephemeral_seed=random[:32], nonce=random[32:44], apu=b"a", apv=b"b",
            plaintext=pad(random[44:76] + body),
        )  # fmt: skip
        now = int(time.time())
        routing = Routing(
            v=1,
            net=NET,
            jti=jti,
            sender="a",
            to="b",
            iat=now,
            exp=now + 86400,
            ch="1.1",
            mv=1,
            ct=digest(s.encode()),
            cm=NET,
        )
        e = jws.sign_compact(self.signing, jws.MSG, _encode(routing))
        return digest(e.encode()), e, s

    def mark(self, raws: Sequence[str]) -> int:
        """Verify the receipts; mark and commit. Returns how many messages they name."""
        acks = []
        for raw in raws:
            payload = jws.verify(jws.parse_compact(raw, jws.RCPT, max_bytes=1 << 20), self.peer)
            acks += [(ack.k, ack.mid) for ack in _receipts.decode(payload).acks]
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("UPDATE outbox SET state = ? WHERE mid = ?", acks)
        self.db.execute("COMMIT")
        return len(acks)


class Receiver:
    """B."""

    def __init__(self, path: Path) -> None:
        self.db = _store(path)
        self.signing = signer("b")
        self.peer = S1.verify_key(signer("a").public)
        self.keys = {sealer("b").kid: sealer("b")}

    def take(self, items: Sequence[Item]) -> list[str]:
        """Verify, open, decode; insert and commit; one signed receipt."""
        rows = [self._one(str(item.e), str(item.s)) for item in items]
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT INTO inbox VALUES (?,?,?,?,?)", rows)
        now = int(time.time())
        receipt = Receipt(
            net=NET,
            sender="b",
            to="a",
            at=now,
            hw=str(NOTHING_HELD),
            acks=[Ack(row[0], "processed", now, 0) for row in rows],
        )
        raw = jws.sign_compact(self.signing, jws.RCPT, _encode(receipt))
        self.db.execute("COMMIT")
        return [raw]

    def _one(self, e: str, s: str) -> tuple[str, str, str, bytes, int]:
        routing = _routings.decode(jws.verify(jws.parse_compact(e, jws.MSG, max_bytes=1 << 16), self.peer))
        assert digest(s.encode()) == routing.ct
        body = jwe.open(S1, self.keys, s, apu=b"a", apv=b"b")[32:]
        assert _messages.decode(body).jti == routing.jti
        return digest(e.encode()), routing.sender, e, body, routing.iat


def in_process(folder: Path, *, messages: int, batch: int, body_bytes: int) -> dict[str, float]:
    """Both sides in this process, one batch after the other: rate, CPU µs per message, p50 and p99 of a batch in ms."""
    sender, receiver = Sender(folder / "a.db", body_bytes), Receiver(folder / "b.db")
    took, done = [], 0
    wall, cpu = time.perf_counter(), time.process_time()
    while done < messages:
        began = time.perf_counter()
        done += sender.mark(receiver.take(sender.write(batch)))
        took.append(1000 * (time.perf_counter() - began))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sender.db.close()
    receiver.db.close()
    took.sort()
    return {
        "rate": done / wall,
        "cpu_us": 1e6 * cpu / done,
        "p50_ms": took[len(took) // 2],
        "p99_ms": took[-len(took) // 100],
    }


# -- as two processes over HTTP: `python -m bench.floor a|b FOLDER …`, driven through standard input


async def _serve(folder: Path) -> None:
    receiver = Receiver(folder / "b.db")
    worker = ThreadPoolExecutor(1)
    loop = asyncio.get_running_loop()

    async def inbox(request: web.Request) -> web.Response:
        items = _batches.decode(await request.read()).items
        receipts = await loop.run_in_executor(worker, receiver.take, items)
        return web.Response(body=_encode(Answer(receipts)))

    app = web.Application(client_max_size=1 << 24)
    app.router.add_post("/inbox", inbox)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    answer({"port": site._server.sockets[0].getsockname()[1]})  # type: ignore[union-attr]
    async for _ in commands():
        answer({})
    await runner.cleanup()


async def _send(folder: Path, port: int, body_bytes: int) -> None:
    sender = Sender(folder / "a.db", body_bytes)
    worker = ThreadPoolExecutor(1)
    loop = asyncio.get_running_loop()

    async def lane(session: aiohttp.ClientSession, batches: list[int]) -> int:
        done = 0
        while batches:
            items = await loop.run_in_executor(worker, sender.write, batches.pop())
            async with session.post(f"http://127.0.0.1:{port}/inbox", data=_encode(Batch(items))) as response:
                raws = _answers.decode(await response.read()).receipts
            done += await loop.run_in_executor(worker, sender.mark, raws)
        return done

    async with aiohttp.ClientSession() as session:
        answer({})
        async for command in commands():
            batches = [command["batch"]] * (command["messages"] // command["batch"])
            began = time.perf_counter()
            done = await asyncio.gather(*(lane(session, batches) for _ in range(command["in_flight"])))
            answer({"seconds": time.perf_counter() - began, "delivered": sum(done)})


class TwoProcesses:
    """The floor's pair of processes, kept for many rounds."""

    def __init__(self, folder: Path, body_bytes: int) -> None:
        self.b = Child("bench.floor", "b", str(folder), core=1)
        port = self.b.hear()["port"]
        self.a = Child("bench.floor", "a", str(folder), str(port), str(body_bytes), core=0)
        self.a.hear()

    def run(self, *, messages: int, batch: int, in_flight: int) -> dict[str, float]:
        """rate per second, CPU µs of A + B per message."""
        cpu = self.a.cpu() + self.b.cpu()
        said = self.a.ask({"messages": messages, "batch": batch, "in_flight": in_flight})
        cpu = self.a.cpu() + self.b.cpu() - cpu
        return {"rate": said["delivered"] / said["seconds"], "cpu_us": 1e6 * cpu / said["delivered"]}

    def close(self) -> None:
        self.a.close()
        self.b.close()


if __name__ == "__main__":
    if sys.argv[1] == "b":
        asyncio.run(_serve(Path(sys.argv[2])))
    else:
        asyncio.run(_send(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
