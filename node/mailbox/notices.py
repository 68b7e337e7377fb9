"""A content-free e-mail to members that asked for it: something waits here. Which are due, and the shell that sends.

No sender, no kind, no number of items; at most one a day and member (PROTOCOL §3). Who asked and after how long:
protocol.notify.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, TypeVar

from node.runtime.config import MailConfig
from node.runtime.logs import event
from node.runtime.mail import Sent, send
from node.runtime.ports import Clock
from protocol.errors import ProtocolError
from protocol.limits import DAY, HOUR
from protocol.members import Membership
from protocol.notify import wish

T = TypeVar("T")
SUBJECT: Final = "C'è qualcosa in attesa su Raccordo"
TEXT: Final = (
    "C'è qualcosa in attesa su Raccordo.\n\n"
    "Accendere il computer dello sportello: arriva da solo. A questo messaggio non si risponde.\n"
)
TURN: Final = 300.0  # seconds between looks
AGAIN: Final = HOUR  # after a server that did not take it


class Due(NamedTuple):
    """A member whose post has waited longer than it asked for."""

    owner: str
    address: str


def due(db: sqlite3.Connection, membership: Membership, relay: str, now: int) -> list[Due]:
    """Whom to write to now. Receipts are no reason: nobody has to do anything about them."""
    oldest = db.execute("SELECT owner, MIN(at) FROM post WHERE e IS NOT NULL GROUP BY owner").fetchall()
    told = dict(db.execute("SELECT owner, next_at FROM notice"))
    found = []
    for owner, at in oldest:
        member = membership.members.get(owner)
        if member is None or member.status != "active" or relay not in member.relays(now):
            continue
        routes = member.routes_at(now)
        asked = wish(routes.statement.notify) if routes else None
        if asked is not None and now - at > asked.after and now >= told.get(owner, 0):
            found.append(Due(owner, asked.address))
    return found


def mark(tx: sqlite3.Connection, owner: str, next_at: int) -> None:
    """Not again before `next_at`. Written before the sending, so that a crash between loses one and never doubles."""
    tx.execute(
        "INSERT INTO notice VALUES (?, ?) ON CONFLICT (owner) DO UPDATE SET next_at = excluded.next_at",
        (owner, next_at),
    )


class Writes(Protocol):
    """The writer of a process."""

    async def submit(self, command: Callable[[sqlite3.Connection], T]) -> T: ...


class Reads(Protocol):
    """The read connections of a process."""

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T: ...


class Notifier:
    """Sends what is due, one after the other, beside everything else; a slow or broken server holds nobody up."""

    def __init__(
        self, config: MailConfig, *, relay: str, membership: Callable[[], Membership], writer: Writes, readers: Reads,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._config = config
        self._relay = relay
        self._membership = membership
        self._writer = writer
        self._readers = readers
        self._clock = clock

    async def run(self) -> None:
        """For ever; nothing that goes wrong here ends it."""
        while True:
            try:
                await self.once()
            except ProtocolError as problem:  # not in the network yet, a full disk, an exposed password file
                event(logging.WARNING, "notice", code=problem.code)
            await asyncio.sleep(TURN)

    async def once(self) -> int:
        """Everything due now; returns how many messages a server took."""
        held = self._membership()
        taken = 0
        for one in await self._readers.read(lambda db: due(db, held, self._relay, self._clock.now())):
            taken += await self._send(one)
        return taken

    async def _send(self, one: Due) -> bool:
        now = self._clock.now()
        await self._writer.submit(lambda tx: mark(tx, one.owner, now + DAY))
        sent = await asyncio.to_thread(send, self._config, one.address, SUBJECT, TEXT)
        if sent is Sent.NO:
            await self._writer.submit(lambda tx: mark(tx, one.owner, now + AGAIN))
        if sent is not Sent.YES:
            event(logging.WARNING, "notice", status=sent.value)
        return sent is Sent.YES
