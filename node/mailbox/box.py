"""The mailbox of a relay: commands and queries over one table. It opens nothing and decides nothing about content.

A relay accepts from current members to current members that list it, holds until `exp`, and deletes what a receipt of
the recipient names, receipts once seen, and whatever position the owner names (PROTOCOL §3).
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from node.runtime.migrations import script
from protocol.envelope import item_parts, unsigned_code, verify_relay
from protocol.errors import ProtocolError
from protocol.limits import (
    BATCH_BYTES,
    BATCH_ITEMS,
    KIB,
    MAILBOX_BYTES,
    MAILBOX_ITEMS,
    MINUTE,
    PAIR_BYTES,
    PAIR_ITEMS,
    PAIR_RESERVED,
)
from protocol.members import Membership
from protocol.receipts import read_receipt
from schemas.wire import DeliveryAnswer, Item, Later, MailboxAck, MailboxAckAnswer, MailboxPage, PostedItem, Receipt

RECEIPT_KEPT: Final = 30 * 24 * 3600
_FULL_AFTER: Final = 10 * MINUTE
_SMALL: Final = 64 * KIB
"""Characters of an item that is no attachment part, as far as a size can tell: events fit the 32 KiB bucket."""
_RESERVED_BYTES: Final = PAIR_RESERVED * _SMALL

MIGRATIONS = (
    script(
        "mailbox_001_post",
        """
-- What a relay may know: PROTOCOL §2, routing fields and sizes in buckets. Nothing else is ever stored here.
CREATE TABLE post (
  pos INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, sender TEXT NOT NULL, mid TEXT,
  e TEXT, s TEXT, r TEXT, size INTEGER NOT NULL, exp INTEGER NOT NULL, at INTEGER NOT NULL,
  fetched INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX post_mid ON post (owner, mid) WHERE mid IS NOT NULL;
CREATE INDEX post_pair ON post (owner, sender, size);
CREATE INDEX post_exp ON post (exp);
""",
    ),
    script(
        "mailbox_002_notices",
        """
-- Members that asked for a content-free e-mail: none before `next_at`.
CREATE TABLE notice (owner TEXT PRIMARY KEY, next_at INTEGER NOT NULL) WITHOUT ROWID;
""",
    ),
)


class ToKeep(NamedTuple):
    """A verified item for a mailbox: an envelope (outer set) or a receipt (raw)."""

    i: int
    mid: str | None
    e: str | None
    s: str | None
    r: str | None
    exp: int


class Refused(NamedTuple):
    """An item answered `later`."""

    i: int
    code: str
    mid: str | None
    after: int


def prepare(
    items: Sequence[Item], *, membership: Membership, net: str, caller: str, owner: str, relay: str, now: int
) -> list[ToKeep | Refused]:
    """Verifies before the transaction. Raises no-mailbox-here, not-a-member, suspended for the whole call."""
    membership.active(caller)
    if relay not in membership.active(owner).relays(now):
        raise ProtocolError("no-mailbox-here", got=owner)
    return [_prepare(i, item, membership, net, caller, owner, now) for i, item in enumerate(items)]


def _prepare(
    i: int, item: Item, membership: Membership, net: str, caller: str, owner: str, now: int
) -> ToKeep | Refused:
    try:
        parts = item_parts(item)
        if isinstance(parts, str):
            receipt = read_receipt(parts, membership, net=net, me=owner, now=now).receipt
            if receipt.sender != caller:
                raise ProtocolError("forbidden", field="from")
            return ToKeep(i, None, None, None, parts, now + RECEIPT_KEPT)
        verified = verify_relay(parts.e, parts.s, membership, net=net, now=now)
        if verified.routing.sender != caller:
            raise ProtocolError("forbidden", field="from", mid=verified.mid)
        if verified.routing.to != owner:
            raise ProtocolError("wrong-recipient", field="to", mid=verified.mid)
        return ToKeep(i, verified.mid, parts.e, parts.s, None, verified.routing.exp)
    except ProtocolError as problem:
        return Refused(i, unsigned_code(problem.code), problem.mid, problem.after or MINUTE)


def put(
    tx: sqlite3.Connection, prepared: Sequence[ToKeep | Refused], *, caller: str, owner: str, now: int
) -> DeliveryAnswer:
    """Keeps what fits; an item known already is `held` again."""
    held: list[str] = []
    later: list[Later] = []
    for item in prepared:
        if isinstance(item, Refused):
            later.append(
                Later(item.i, item.code, item.after, item.mid) if item.mid else Later(item.i, item.code, item.after)
            )
        elif _keep(tx, item, caller, owner, now):
            held += [item.mid] if item.mid else []
        else:
            later.append(
                Later(item.i, "mailbox-full", _FULL_AFTER, item.mid)
                if item.mid
                else Later(item.i, "mailbox-full", _FULL_AFTER)
            )
    return DeliveryAnswer(held=held, later=later)


def _keep(tx: sqlite3.Connection, item: ToKeep, caller: str, owner: str, now: int) -> bool:
    if item.mid and tx.execute("SELECT 1 FROM post WHERE owner = ? AND mid = ?", (owner, item.mid)).fetchone():
        return True
    size = len(item.e or "") + len(item.s or "") + len(item.r or "")
    count, total = tx.execute("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM post WHERE owner = ?", (owner,)).fetchone()
    pair, pair_size = tx.execute(
        "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM post WHERE owner = ? AND sender = ?", (owner, caller)
    ).fetchone()
    if count >= MAILBOX_ITEMS or total + size > MAILBOX_BYTES or pair >= PAIR_ITEMS or pair_size + size > PAIR_BYTES:
        return False
    if size > _SMALL and (pair >= PAIR_ITEMS - PAIR_RESERVED or pair_size + size > PAIR_BYTES - _RESERVED_BYTES):
        return False  # the attachments of a sender never keep its events out
    tx.execute(
        "INSERT INTO post (owner, sender, mid, e, s, r, size, exp, at) VALUES (?,?,?,?,?,?,?,?,?)",
        (owner, caller, item.mid, item.e, item.s, item.r, size, item.exp, now),
    )
    return True


def fetch(db: sqlite3.Connection, owner: str, after: str, most: int = BATCH_ITEMS) -> MailboxPage:
    """The next items of a mailbox in the order kept; an unknown position starts from the beginning."""
    start = int(after) if after.isascii() and after.isdigit() and len(after) < 16 else 0
    items: list[PostedItem] = []
    total = 0
    for pos, e, s, r, size in db.execute(
        "SELECT pos, e, s, r, size FROM post WHERE owner = ? AND pos > ? ORDER BY pos LIMIT ?",
        (owner, start, max(1, min(most, BATCH_ITEMS))),
    ):
        total += size
        if items and total > BATCH_BYTES:
            break
        items.append(PostedItem(str(pos), r=r) if r is not None else PostedItem(str(pos), e=e, s=s))
    return MailboxPage(items)


def prepare_ack(
    ack: MailboxAck, *, membership: Membership, net: str, owner: str, now: int
) -> list[tuple[str, Receipt]]:
    """Verifies the receipts of an acknowledgement: signed by the mailbox's owner. Raises what does not hold."""
    receipts: list[tuple[str, Receipt]] = []
    for raw in ack.receipts[:200]:
        receipt = read_receipt(raw, membership, net=net, me=None, now=now).receipt
        if receipt.sender != owner:
            raise ProtocolError("forbidden", field="receipts")
        receipts.append((raw, receipt))
    return receipts


def acknowledge(
    tx: sqlite3.Connection,
    receipts: Sequence[tuple[str, Receipt]],
    seen: Sequence[str],
    *,
    membership: Membership,
    owner: str,
    relay: str,
    now: int,
) -> MailboxAckAnswer:
    """Deletes what the owner is done with; files receipts whose senders keep their mailbox here too."""
    deleted = 0
    filed: list[int] = []
    for index, (raw, receipt) in enumerate(receipts):
        for ack in receipt.acks:
            deleted += tx.execute(
                "DELETE FROM post WHERE owner = ? AND mid = ? AND sender = ?", (owner, ack.mid, receipt.to)
            ).rowcount
        sender = membership.members.get(receipt.to)
        if sender is not None and relay in sender.relays(now) and receipt.to != owner:
            item = ToKeep(index, None, None, None, raw, now + RECEIPT_KEPT)
            if _keep(tx, item, owner, receipt.to, now):
                filed.append(index)
    for pos in seen[:200]:
        if pos.isascii() and pos.isdigit() and len(pos) < 16:
            deleted += tx.execute("DELETE FROM post WHERE owner = ? AND pos = ?", (owner, int(pos))).rowcount
    return MailboxAckAnswer(deleted=deleted, filed=filed)


def take_back(tx: sqlite3.Connection, mids: Sequence[str], *, sender: str, owner: str) -> list[str]:
    """Deletes what `owner` has not fetched yet; returns the mids that are gone for certain."""
    gone: list[str] = []
    for mid in mids[:BATCH_ITEMS]:
        if tx.execute(
            "DELETE FROM post WHERE owner = ? AND mid = ? AND sender = ? AND fetched = 0", (owner, mid, sender)
        ).rowcount:
            gone.append(mid)
    return gone


def mark_fetched(tx: sqlite3.Connection, owner: str, positions: Sequence[str]) -> None:
    """Called before a page leaves: what was shown once can no longer be taken back silently."""
    tx.executemany("UPDATE post SET fetched = 1 WHERE owner = ? AND pos = ?", [(owner, int(pos)) for pos in positions])


def expire(tx: sqlite3.Connection, now: int) -> int:
    """Drops what nobody fetched in time; the sender seals again by itself."""
    return tx.execute("DELETE FROM post WHERE exp <= ?", (now,)).rowcount
