"""The shell of the exchange: sends what is due, reads our mailboxes, brings every answer back as a command.

No rule lives here: which route, how long to wait and what an answer means are commands of node.exchange.
"""

import asyncio
import logging
import math
import sqlite3
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from node.body import Body
from node.exchange import inbox, outbox, takeback
from node.exchange.delivery import Parcel
from node.mailbox.handlers import TakeBack
from node.runtime.caller import signed_headers
from node.runtime.client import Outbound, Response
from node.runtime.logs import event
from node.runtime.metrics import Counter
from node.runtime.problem import AnsweredError
from node.runtime.waiting import Pace, woken
from node.runtime.writer import Readers, Writer
from protocol import paths
from protocol.errors import ProtocolError
from protocol.limits import BATCH_ITEMS, POLL_WAIT
from protocol.strict import decode
from schemas.wire import Batch, DeliveryAnswer, Item, MailboxAck, MailboxAckAnswer, MailboxPage

T = TypeVar("T")
IN_FLIGHT: Final = 6  # batches at once for one destination (PERFORMANCE §5)
BEHIND_WAIT: Final = 3  # seconds until we look again at what a newer members document will let us read
IDLE: Final = 5.0  # seconds between looks at the clock when nothing wakes us
_ANSWER_BYTES: Final = 8 * 1024 * 1024
_encode = msgspec.json.Encoder().encode


class Left(NamedTuple):
    """What stays in a mailbox: `kept` something does, `behind` a newer members document will let us read it."""

    kept: bool
    behind: bool


class Courier:
    """Runs until stopped. `on_change(legs)` is told after each commit that changed referrals."""

    def __init__(
        self, body: Body, writer: Writer, readers: Readers, client: Outbound, on_change: Callable[[list[str]], None]
    ) -> None:
        self._body = body
        self._writer = writer
        self._readers = readers
        self._client = client
        self._on_change = on_change
        self._wake = asyncio.Event()
        self._in_flight: set[str] = set()
        self._per_dest: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._failing: set[str] = set()
        self.clock_skew: dict[str, int] = {}
        self.behind: Callable[[], None] = _nothing  # a peer holds a newer members document than we do
        self.set_aside = Counter("raccordo_set_aside_total", "Messaggi messi da parte per un errore nostro")
        self.in_flight = IN_FLIGHT
        self.batch = BATCH_ITEMS

    def wake(self) -> None:
        """Something was written that has to leave."""
        self._wake.set()

    async def run(self) -> None:
        """Sends what is due, for ever; a failing destination never stops the others."""
        try:
            while True:
                self._wake.clear()
                if self._body.ctx.joined:
                    await self._send_due()
                await woken(self._wake, IDLE)  # what did not fit leaves when something comes back
        finally:
            for task in self._tasks:
                task.cancel()

    async def _send_due(self) -> None:
        flying = frozenset(self._in_flight)
        parcels = await self._readers.read(
            lambda db: self._body.exchange.due(
                db, in_flight=flying, limit=self.batch * self.in_flight, batch=self.batch
            )
        )
        for parcel in parcels:
            marks = self._marks(parcel)
            if self._per_dest.get(parcel.dest, 0) >= self.in_flight or not self._in_flight.isdisjoint(marks):
                continue
            self._in_flight |= marks
            self._per_dest[parcel.dest] = self._per_dest.get(parcel.dest, 0) + 1
            self._spawn(self._deliver(parcel, marks))

    @staticmethod
    def _marks(parcel: Parcel) -> set[str]:
        return {*parcel.mids, *(f"r{number}" for number in parcel.receipts)}

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            event(logging.ERROR, "courier", exc=error)

    async def _deliver(self, parcel: Parcel, marks: set[str]) -> None:
        try:
            await self._post(parcel)
        except Exception as error:  # a fault of ours: this destination waits its turn, instead of failing at once again
            event(logging.ERROR, "courier", exc=error, member=parcel.dest)
            self._failing.add(parcel.dest)
            await self._writer.submit(lambda tx: self._body.exchange.failed(tx, parcel))
        finally:
            self._in_flight -= marks
            self._per_dest[parcel.dest] -= 1
            self._wake.set()

    async def _post(self, parcel: Parcel) -> None:
        exchange = self._body.exchange
        target = paths.mailbox(parcel.dest) if parcel.route.relay else paths.INBOX
        try:
            response = await self.call(
                "POST", parcel.route.url, target, aud=parcel.route.audience, body=_encode(Batch(parcel.items))
            )
            answer = decode(response.body, DeliveryAnswer, max_bytes=_ANSWER_BYTES)
        except ProtocolError as problem:
            after = problem.after
            self._failing.add(parcel.dest)
            await self._writer.submit(lambda tx: exchange.failed(tx, parcel, after))
            return
        self._failing.discard(parcel.dest)
        items = [Item(r=raw) for raw in answer.receipts]
        prepared = exchange.prepare(items, relayed=False)
        legs = await self._writer.submit(lambda tx: exchange.answered(tx, parcel, answer, prepared))
        self._tell_faults()
        self._on_change(legs)

    # -- mailboxes

    async def poll(self, relay: str) -> None:
        """Reads our mailbox at one relay, for ever: long poll, receive, acknowledge."""
        pace = Pace(self._body.dice, 2.0, 60.0)
        while True:
            try:
                got = await self._poll_once(relay)
                pace.worked()
                pause = 1.0 if got else 0.0
            except ProtocolError as problem:
                event(logging.INFO, "mailbox-unreachable", member=relay, code=problem.code)
                pause = max(1.0, pace.failed())
            except Exception as error:  # nothing that lies in a mailbox may end the reading of it
                event(logging.ERROR, "mailbox", exc=error, member=relay)
                pause = 60.0
            await asyncio.sleep(pause)

    async def _poll_once(self, relay: str) -> bool:
        url = self._body.ctx.membership.relays.get(relay)
        if url is None:
            raise ProtocolError("unreachable", got=relay)
        me = self._body.ctx.me
        after, wait = "", POLL_WAIT
        now, anew = asyncio.get_running_loop().time, math.inf
        while now() < anew:
            target = f"{paths.mailbox(me)}?after={after}&max={BATCH_ITEMS}&wait={wait}"
            response = await self.call("GET", url, target, aud=relay, body=None, wait=wait)
            page = decode(response.body, MailboxPage, max_bytes=_ANSWER_BYTES)
            if not page.items:
                return bool(after)
            left = await self._take_in(relay, url, page)
            if left.behind:
                wait = BEHIND_WAIT
            if left.kept:  # looked at again in a while, also when there is always something behind it
                anew = min(anew, now() + POLL_WAIT)
            after = page.items[-1].pos
        return True

    async def _take_in(self, relay: str, url: str, page: MailboxPage) -> Left:
        """Receives a page and acknowledges it; what of it could not be taken yet stays there."""
        items = [Item(e=posted.e, s=posted.s, r=posted.r) for posted in page.items]
        received = await self.receive(items, relayed=True)
        kept = {later.i for later in received.answer.later if later.code in _KEEP_IN_MAILBOX}
        settled = {later.i for later in received.answer.later} - kept
        seen = [p.pos for i, p in enumerate(page.items) if isinstance(p.r, str) or i in settled]
        target = paths.mailbox_ack(self._body.ctx.me)
        ack = MailboxAck(receipts=received.answer.receipts, seen=seen)
        response = await self.call("POST", url, target, aud=relay, body=_encode(ack))
        filed = set(decode(response.body, MailboxAckAnswer, max_bytes=_ANSWER_BYTES).filed)
        await self._carry_the_rest(received, filed)
        return Left(bool(kept), any(later.code == "unknown-key" for later in received.answer.later))

    async def _carry_the_rest(self, received: inbox.Received, filed: set[int]) -> None:
        """Receipts whose senders have no mailbox at that relay travel by their own routes."""
        raws = received.answer.receipts
        left = [entry for entry in received.signed if raws.index(entry[2]) not in filed]
        if not left:
            return
        now = self._body.clock.now()

        def queue(tx: sqlite3.Connection) -> None:
            for number, sender, _ in left:
                outbox.queue_receipt(tx, number, sender, now)

        await self._writer.submit(queue)
        self.wake()

    async def receive(self, items: list[Item], *, relayed: bool) -> inbox.Received:
        """Verifies, applies and acknowledges a batch, however it came."""
        exchange = self._body.exchange
        prepared = exchange.prepare(items, relayed=relayed)
        held, checked = prepared
        if any(isinstance(one, inbox.Arrived) and one.verified.routing.mv > held.version for one in checked) or any(
            isinstance(one, inbox.Turned) and one.code == "unknown-key" for one in checked
        ):
            self.behind()
        sealed = self._body.ctx.sealed
        received = await self._writer.submit(lambda tx: exchange.receive(tx, items, prepared, relayed=relayed))
        self._tell_faults()
        if self._failing or self._body.ctx.sealed != sealed:
            self.wake()  # whoever we waited for may be back, or what came brought about something to send
        self._on_change(received.legs)
        return received

    def _tell_faults(self) -> None:
        """After the commit: who sent it and where it failed, never what it said."""
        faults = self._body.exchange.faults
        while faults:
            fault = faults.popleft()
            kind, _, where = fault.what.partition(" ")
            event(logging.ERROR, "set-aside", member=fault.sender, mid=fault.name, field=kind, path=where)
            self.set_aside.inc()

    async def take_back(self, leg: str, also: Callable[[sqlite3.Connection, bool], None] | None = None) -> bool:
        """Asks the relays for our newest event of a leg before anybody read it; True when nobody received it.

        `also` runs in the transaction that takes it back.
        """
        ctx = self._body.ctx
        planned = await self._readers.read(lambda db: takeback.plan(db, ctx, leg))
        gone = await self.ask_relays(planned.dest, planned.mids, planned.relays)

        def settle(tx: sqlite3.Connection) -> bool:
            certain = takeback.take_back(tx, ctx, leg, planned, gone)
            if also is not None:
                also(tx, certain)
            return certain

        certain = await self._writer.submit(settle)
        self._on_change([leg])
        return certain

    async def ask_relays(self, dest: str, mids: list[str], relays: list[str]) -> set[str]:
        """The sealings for `dest` that relays deleted before anybody fetched them; a silent relay is passed over."""
        ctx = self._body.ctx
        gone: set[str] = set()
        for relay in relays:
            target = paths.mailbox_takeback(dest)
            try:
                for start in range(0, len(mids), BATCH_ITEMS):
                    body = _encode(TakeBack(mids[start : start + BATCH_ITEMS]))
                    answer = await self.call("POST", ctx.membership.relays[relay], target, aud=relay, body=body)
                    gone.update(decode(answer.body, TakeBack, max_bytes=_ANSWER_BYTES).mids)
            except ProtocolError as problem:
                event(logging.INFO, "takeback", member=relay, code=problem.code)
        return gone

    # -- calls

    async def call(
        self, method: str, base: str, target: str, *, aud: str, body: bytes | None, wait: float = 0
    ) -> Response:
        """One signed call; a 401 that tells another time than the one we named is tried once more with that offset.

        Also back to none: somebody put our clock right meanwhile.
        """
        believed = self.clock_skew.get(base, 0)
        try:
            return await self._call(method, base, target, aud, body, wait, believed)
        except AnsweredError as problem:
            skew = (problem.server_time or 0) - self._body.clock.now()
            if problem.code != "unauthenticated" or problem.server_time is None or abs(skew - believed) < 60:
                raise
            self.clock_skew[base] = skew
            return await self._once_more(method, base, target, aud, body, wait, skew)

    async def _once_more(
        self, method: str, base: str, target: str, aud: str, body: bytes | None, wait: float, skew: int
    ) -> Response:
        """By the time the server told. Who then refuses again has told nothing: it must not stop our own clock."""
        try:
            return await self._call(method, base, target, aud, body, wait, skew)
        except AnsweredError as problem:
            if problem.code == "unauthenticated":
                self.clock_skew.pop(base, None)
            raise

    async def _call(
        self, method: str, base: str, target: str, aud: str, body: bytes | None, wait: float, skew: int
    ) -> Response:
        ctx = self._body.ctx
        headers = signed_headers(
            ctx.keys.signing, net=ctx.net, me=ctx.me, aud=aud, method=method, target=target,
            now=self._body.clock.now() + skew, body=body,
        )  # fmt: skip
        limit = None if not wait else 30.0 + wait
        response = await self._client.request(
            method, base.rstrip("/") + target, body=body, headers=headers, timeout=limit
        )
        if response.date is not None:
            self.clock_skew[base] = response.date - self._body.clock.now()
        return response


def _nothing() -> None:
    """Nobody wants to know."""


# A sealing we cannot judge yet stays in the mailbox; any other refusal is the sender's to repair, so it may go.
_KEEP_IN_MAILBOX: Final = frozenset({"unknown-key", "restored", "from-the-future", "busy"})
