"""A body's engine: every command of the exchange in one place, deterministic, with four ports. No network, no waiting.

The shell (node.app) and the simulator drive it alike: `prepare` outside the transaction, commands inside
`Store.run`, parcels from `due` to the wire, answers back through `answered` or `failed`.
"""

import sqlite3
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from pathlib import Path

from node.cases import late, operators, standing
from node.cases import tables as case_tables
from node.context import Context
from node.exchange import (
    aside,
    blobs,
    delivery,
    erased,
    forwarding,
    heads,
    inbox,
    letters,
    outbox,
    parts,
    quota,
    restored,
    tables,
    telling,
)
from node.mailbox import box
from node.runtime.migrations import Migration
from node.vault import access, case_keys
from protocol.limits import BATCH_ITEMS
from protocol.members import Membership
from schemas.wire import DeliveryAnswer, Item

MIGRATIONS: tuple[Migration, ...] = (
    *case_keys.MIGRATIONS,
    *access.MIGRATIONS,
    *tables.MIGRATIONS,
    *heads.MIGRATIONS,
    *operators.MIGRATIONS,
    *box.MIGRATIONS,
    *aside.MIGRATIONS,
    *quota.MIGRATIONS,
    *restored.MIGRATIONS,
    *letters.MIGRATIONS,
    *erased.MIGRATIONS,
    *standing.MIGRATIONS,
    *blobs.MIGRATIONS,
    *case_tables.MIGRATIONS,
)
STORE_NAME = "raccordo.db"


def store_path(data_dir: Path) -> Path:
    """Where a body's one SQLite file lies."""
    return data_dir / STORE_NAME


class Exchange:
    """Receiving, sending and settling for one body."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.faults: deque[aside.Fault] = deque(maxlen=1000)  # set aside since the shell last looked, for its log

    def prepare(self, items: Sequence[Item], *, relayed: bool) -> tuple[Membership, list[inbox.Prepared]]:
        """Verifies and opens outside the transaction, against the membership held now."""
        held = self.ctx.membership
        return held, inbox.prepare(self.ctx, items, membership=held, now=self.ctx.clock.now(), relayed=relayed)

    def receive(
        self,
        tx: sqlite3.Connection,
        items: Sequence[Item],
        prepared: tuple[Membership, list[inbox.Prepared]],
        *,
        relayed: bool,
    ) -> inbox.Received:
        """Applies a batch; if the membership moved since `prepare`, it is verified again here."""
        held, checked = prepared
        if held is not self.ctx.membership:
            _, checked = self.prepare(items, relayed=relayed)
        received = inbox.receive(tx, self.ctx, checked)
        self.faults.extend(received.faults)
        # What a forwarded referral demands (PROTOCOL §6).
        written = forwarding.follow(tx, self.ctx, received.legs, self.faults)
        parts.fill(tx, self.ctx)
        return received._replace(legs=_once(received.legs, written)) if written else received

    def due(
        self,
        db: sqlite3.Connection,
        *,
        in_flight: Collection[str] = (),
        limit: int = 300,
        batch: int = BATCH_ITEMS,
    ) -> list[delivery.Parcel]:
        """What to send now, at most `batch` items in a parcel."""
        now = self.ctx.clock.now()
        return [
            *delivery.due_receipts(db, self.ctx, now=now),
            *delivery.due(db, self.ctx, now=now, in_flight=in_flight, limit=limit, batch=batch),
        ]

    def answered(
        self,
        tx: sqlite3.Connection,
        parcel: delivery.Parcel,
        answer: DeliveryAnswer,
        prepared: tuple[Membership, list[inbox.Prepared]],
    ) -> list[str]:
        """Takes in the receipts of an answer (prepared like any other) and sets the pace of the rest."""
        receipts = [item for item in prepared[1] if isinstance(item, inbox.Acknowledged)]
        legs, faults = inbox.apply_receipts(tx, self.ctx, receipts)
        self.faults.extend(faults)
        delivery.answered(tx, self.ctx, parcel, answer)
        written = forwarding.follow(tx, self.ctx, legs, self.faults)
        parts.fill(tx, self.ctx)
        return _once(legs, written)

    def failed(self, tx: sqlite3.Connection, parcel: delivery.Parcel, retry_after: int | None = None) -> None:
        """The route did not answer."""
        delivery.failed(tx, self.ctx, parcel, retry_after=retry_after)

    def heads(self, tx: sqlite3.Connection) -> int:
        """Periodic: shows peers our head of the log and compares theirs; how many messages it left to be sent."""
        return heads.turn(tx, self.ctx)

    def tick(self, tx: sqlite3.Connection) -> int:
        """Periodic: seals again what expired or whose key is no longer listed; tells people what stands still."""
        forwarding.follow_all(tx, self.ctx, self.faults)
        telling.tell(tx, self.ctx)
        late.remind(tx, self.ctx)
        sealed = outbox.reseal_stale(tx, self.ctx)
        return sealed + parts.tick(tx, self.ctx)


def _once(*legs: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(chain(*legs)))
