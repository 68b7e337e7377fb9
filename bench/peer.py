"""A node process that is driven: node.app as it serves, and referrals written inside it on command. Nothing else.

`python -m bench.peer FOLDER`, one JSON command a line on standard input (see `main`).
Referrals are written as an operator's are, one command each on the writer's queue; they count when the recipient's
signed `processed` is stored.
"""

import asyncio
import contextlib
import secrets
import sys
import time
from pathlib import Path
from typing import Any, Final

from bench.children import answer, commands
from bench.world import OPERATOR
from node.app import App
from node.body import Body
from node.cases import desk
from node.enrolment import CONFIG_NAME
from node.runtime.config import NodeConfig, load_config
from node.runtime.logs import configure
from schemas.bodies import Basis, Offer, Person

BASIS: Final = Basis(law="GDPR 6(1)(e)", purpose="servizio sociale", notice_version="1", notice_date="2026-01-01")
_FRAME: Final = 638  # bytes of an event body with the fields below, without its texts


def offer(body_bytes: int) -> Offer:
    """An offer whose event body has about so many bytes, unlike any other."""
    text = body_bytes - _FRAME
    words = secrets.token_urlsafe(text)[:text]
    return Offer(
        referral="RK-SEGN", urgency="UR-ORD", subject="person", case="", basis=BASIS,
        person=Person(given_name="Persona", family_name="Inventata", birth_year=1950, phone="0721 000000"),
        description=words[:600], active_services=words[600:1200],
        documents=[words[at : at + 200] for at in range(1200, text, 200)],
        callback="mattina", offices_tried=2,
    )  # fmt: skip


class Driven(App):
    """Knows when each referral it wrote was acknowledged as processed."""

    def __init__(self, body: Body) -> None:
        super().__init__(body)
        self.waiting: dict[str, asyncio.Future[None]] = {}
        self.early: set[str] = set()  # acknowledged before whoever wrote it had the answer to its command
        self.typed: list[desk.Refer] = []
        self.writing: asyncio.Task[None] | None = None

    def _changed(self, legs: list[str]) -> None:
        super()._changed(legs)
        for leg in legs:
            waiter = self.waiting.pop(leg, None)
            if waiter is None:
                self.early.add(leg)
            elif not waiter.done():
                waiter.set_result(None)

    async def prepare(self, to: str, messages: int, body: int) -> dict[str, Any]:
        """What operators will have typed when the clock starts."""
        self.early.clear()
        self.typed = [desk.Refer(to=to, offer=offer(body), as_=OPERATOR) for _ in range(messages)]
        return {}

    async def refer(self, count: int) -> list["asyncio.Future[None]"]:
        """Writes `count` of the referrals prepared; the futures of their acknowledgements."""
        ctx = self.body.ctx
        requests = [self.typed.pop() for _ in range(count)]
        done = await asyncio.gather(
            *(self.writer.submit(lambda tx, wanted=wanted: desk.refer(tx, ctx, wanted)) for wanted in requests)
        )
        loop = asyncio.get_running_loop()
        open_ = [each.leg for each in done if each.leg not in self.early]
        waiters = [self.waiting.setdefault(leg, loop.create_future()) for leg in open_]
        self.courier.wake()
        return waiters

    async def send(self, batch: int, in_flight: int) -> dict[str, Any]:
        """`in_flight` desks write `batch` referrals at a time and wait for their receipts."""
        self.courier.batch, self.courier.in_flight = batch, in_flight
        left = messages = len(self.typed) // batch
        before = self.writer.store.commits, self.writer.store.commands

        async def lane() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await asyncio.gather(*await self.refer(batch))

        began = time.perf_counter()
        await asyncio.gather(*(lane() for _ in range(in_flight)))
        seconds = time.perf_counter() - began
        store = self.writer.store
        return {
            "seconds": seconds,
            "delivered": messages * batch,
            "commits": store.commits - before[0],
            "commands": store.commands - before[1],
        }

    async def latency(self) -> dict[str, Any]:
        """One referral at a time: ms from the command to the stored receipt."""
        took = []
        while self.typed:
            began = time.perf_counter()
            await asyncio.gather(*await self.refer(1))
            took.append(1000 * (time.perf_counter() - began))
        return {"ms": took}

    async def write(self, to: str, per_second: float, seconds: float) -> dict[str, Any]:
        """Referrals at a pace, in the background, whatever becomes of them; `waiting` tells when all have arrived."""

        async def go_on() -> None:
            until = time.perf_counter() + seconds
            while time.perf_counter() < until:
                wanted = desk.Refer(to=to, offer=offer(1800), as_=OPERATOR)
                await self.writer.submit(lambda tx, wanted=wanted: desk.refer(tx, self.body.ctx, wanted))
                self.courier.wake()
                await asyncio.sleep(1 / per_second)

        self.writing = asyncio.create_task(go_on())
        return {}

    async def queued(self) -> dict[str, Any]:
        """How many sealings have no signed end yet."""

        def ask(db: Any) -> int:
            return int(db.execute("SELECT COUNT(*) FROM outgoing WHERE s IS NOT NULL").fetchone()[0])

        return {"waiting": await self.readers.read(ask) + (self.writing is not None and not self.writing.done())}

    async def counts(self) -> dict[str, Any]:
        """What the store says of the referrals written here or received."""

        def ask(db: Any) -> dict[str, Any]:
            rows = db.execute("SELECT writer, COALESCE(k, '-'), COUNT(*) FROM event GROUP BY 1, 2").fetchall()
            return {"legs": db.execute("SELECT COUNT(*) FROM leg").fetchone()[0], "events": rows}

        return await self.readers.read(ask)


async def main(folder: Path) -> None:
    configure("error")
    app = Driven(Body.open(load_config(folder / CONFIG_NAME, NodeConfig)))
    await app.start()
    answer({"ready": True})
    does = {"prepare": app.prepare, "send": app.send, "latency": app.latency, "counts": app.counts,
            "write": app.write, "waiting": app.queued}  # fmt: skip
    async for command in commands():
        do = command.pop("do")
        answer(await does[do](**command))
    with contextlib.suppress(asyncio.CancelledError):
        await app.stop()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
