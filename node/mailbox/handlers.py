"""The mailbox over HTTP, for both programs: parse, authenticate, call the box, render. All routes in `routes`."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import msgspec

from node.mailbox import box
from node.runtime.caller import authenticate
from node.runtime.ports import Clock
from node.runtime.routes import Call, Reply, Route, json_reply
from node.runtime.waiting import woken
from protocol import paths
from protocol.envelope import read_items
from protocol.errors import ProtocolError
from protocol.limits import BATCH_BYTES, BATCH_ITEMS, POLL_WAIT
from protocol.members import Membership
from protocol.strict import decode
from schemas.wire import MailboxAck

T = TypeVar("T")
_ACK_BYTES: Final = 2 * 1024 * 1024


class Writes(Protocol):
    """The writer of a process."""

    async def submit(self, command: Callable[[sqlite3.Connection], T]) -> T: ...


class Reads(Protocol):
    """The read connections of a process."""

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T: ...


class TakeBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """POST …/takeback: sealings the sender wants back; the answer repeats those that were still unfetched."""

    mids: list[str]


class MailboxService:
    """Keeps post for members that list `relay`, and wakes those who wait for it."""

    def __init__(
        self,
        *,
        relay: str,
        membership: Callable[[], Membership],
        writer: Writes,
        readers: Reads,
        clock: Clock,
    ) -> None:
        self._relay = relay
        self._membership = membership
        self._writer = writer
        self._readers = readers
        self._clock = clock
        self._arrivals: dict[str, asyncio.Event] = {}
        self._closed = False

    def routes(self) -> list[Route]:
        """The four mailbox endpoints of PROTOCOL §3."""
        return [
            Route("POST", paths.MAILBOX_ROUTE, self.post, max_body=BATCH_BYTES),
            Route("GET", paths.MAILBOX_ROUTE, self.fetch, waits=True),
            Route("POST", paths.MAILBOX_ACK_ROUTE, self.acknowledge, max_body=_ACK_BYTES),
            Route("POST", paths.MAILBOX_TAKEBACK_ROUTE, self.take_back),
        ]

    async def _caller(self, call: Call) -> tuple[str, bytes, Membership]:
        membership = self._membership()
        caller = await authenticate(call, membership, net=membership.net, aud=self._relay, now=self._clock.now())
        return caller.node, caller.body, membership

    async def post(self, call: Call) -> Reply:
        """A sender, or a recipient with receipts, leaves items for `node`."""
        caller, body, membership = await self._caller(call)
        owner = call.params["node"]
        items = read_items(body)
        now = self._clock.now()
        kept = box.prepare(
            items, membership=membership, net=membership.net, caller=caller, owner=owner, relay=self._relay, now=now
        )
        if self._membership() is not membership:  # a suspension between check and commit counts
            kept = box.prepare(
                items,
                membership=self._membership(),
                net=membership.net,
                caller=caller,
                owner=owner,
                relay=self._relay,
                now=now,
            )
        answer = await self._writer.submit(lambda tx: box.put(tx, kept, caller=caller, owner=owner, now=now))
        self._wake(owner)
        return json_reply(answer)

    async def fetch(self, call: Call) -> Reply:
        """The owner reads its mailbox, waiting up to `wait` seconds for something to be there."""
        owner, _, _ = await self._owner(call)
        after, most = call.one("after") or "", call.whole("max", BATCH_ITEMS, least=1, most=BATCH_ITEMS)
        wait = call.whole("wait", 0, most=POLL_WAIT)
        arrival = self._arrivals.setdefault(owner, asyncio.Event())
        arrival.clear()
        page = await self._readers.read(lambda db: box.fetch(db, owner, after, most))
        if not page.items and wait and not self._closed:
            await woken(arrival, wait)
            page = await self._readers.read(lambda db: box.fetch(db, owner, after, most))
        if page.items:
            positions = [item.pos for item in page.items]
            await self._writer.submit(lambda tx: box.mark_fetched(tx, owner, positions))
        return json_reply(page)

    async def acknowledge(self, call: Call) -> Reply:
        """The owner says what it has; receipts whose senders keep their mailbox here are filed at once."""
        owner, body, membership = await self._owner(call)
        ack = decode(body, MailboxAck, max_bytes=_ACK_BYTES)
        now = self._clock.now()
        receipts = box.prepare_ack(ack, membership=membership, net=membership.net, owner=owner, now=now)
        answer = await self._writer.submit(
            lambda tx: box.acknowledge(
                tx, receipts, ack.seen, membership=membership, owner=owner, relay=self._relay, now=now
            )
        )
        for index in answer.filed:
            self._wake(receipts[index][1].to)
        return json_reply(answer)

    async def take_back(self, call: Call) -> Reply:
        """A sender takes back what was not fetched."""
        caller, body, _ = await self._caller(call)
        wanted = decode(body, TakeBack, max_bytes=_ACK_BYTES)
        owner = call.params["node"]
        gone = await self._writer.submit(lambda tx: box.take_back(tx, wanted.mids, sender=caller, owner=owner))
        return json_reply(TakeBack(gone))

    async def _owner(self, call: Call) -> tuple[str, bytes, Membership]:
        caller, body, membership = await self._caller(call)
        if caller != call.params["node"]:
            raise ProtocolError("forbidden", field="node")
        return caller, body, membership

    def close(self) -> None:
        """The process stops: whoever waits is answered at once."""
        self._closed = True
        for event in self._arrivals.values():
            event.set()

    def _wake(self, owner: str) -> None:
        event = self._arrivals.get(owner)
        if event is not None:
            event.set()
