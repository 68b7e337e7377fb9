"""A body whose store came back from a copy: what it may still do, and with whom. No exchange with peers (`resync`).

What was written after the copy is forgotten here and known there. Until a peer has told us (PROTOCOL §3, Restore):
nothing but `lapse` is written on the legs we had with it; new legs may be offered; a router opens no child for a
parent accepted before. A peer has told us when its `resync` answer was applied, or when a person telephoned: both end
in `answered`. The new channel epoch is above every earlier one, so nobody takes our new numbers for old ones.
"""

import sqlite3
from collections.abc import Collection
from typing import Final

import msgspec

from node.context import set_setting, setting
from node.exchange.log import LegRow
from node.runtime.migrations import script
from protocol.errors import ProtocolError

MIGRATIONS: Final = (
    script(
        "exchange_101_restored",
        """
-- What was done about a restored store, and by whom: 'restored', 'answered' (by the peer), 'confirmed' (by a person).
CREATE TABLE restore_log (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, what TEXT NOT NULL, node TEXT, operator TEXT);
""",
    ),
)
EPOCH: Final = "epoch"
RESTORED_AT: Final = "restored_at"
RESYNC_OPEN: Final = "resync_open"
_ALLOWED: Final = frozenset({"lapse"})


# -- marking


def mark(tx: sqlite3.Connection, now: int, *, above: int = 0) -> tuple[str, ...]:
    """Begins a new epoch after a restore; the peers that have to tell us what we forgot.

    The epoch is taken from the clock too: the same copy restored twice must not use one epoch twice. `above`: an epoch
    known from elsewhere (the store that is replaced).
    """
    peers = tuple(peer for (peer,) in tx.execute("SELECT DISTINCT peer FROM leg WHERE side != 'L' ORDER BY peer"))
    _begin_epoch(tx, max(int(setting(tx, EPOCH, "1")), above, now - 1) + 1)
    tx.execute("UPDATE peer SET k = 0, next_at = 0, failing_since = NULL")  # how fast it was to go, long ago
    set_setting(tx, RESTORED_AT, str(now))
    _set_open(tx, peers)
    _log(tx, now, "restored")
    return peers


def began(tx: sqlite3.Connection) -> int:
    """At every start: another epoch while a peer has not answered. Returns the epoch in force."""
    held = int(setting(tx, EPOCH, "1"))
    if not open_peers(tx):
        return held
    _begin_epoch(tx, held + 1)
    return held + 1


def raise_epoch(tx: sqlite3.Connection, named: int) -> None:
    """A peer named an epoch of ours that we do not know: ours goes above it."""
    if named >= int(setting(tx, EPOCH, "1")):
        _begin_epoch(tx, named + 1)


def _begin_epoch(tx: sqlite3.Connection, epoch: int) -> None:
    set_setting(tx, EPOCH, str(epoch))
    tx.execute("UPDATE peer SET seq = 0")  # PROTOCOL §2: seq counts from 1 within an epoch


# -- asking


def restored_at(db: sqlite3.Connection) -> int | None:
    """When this store was restored last; None when it never was."""
    held = setting(db, RESTORED_AT, "")
    return int(held) if held else None


def open_peers(db: sqlite3.Connection) -> tuple[str, ...]:
    """Peers we had legs with that have not told us yet what we forgot."""
    held = setting(db, RESYNC_OPEN, "")
    return tuple(msgspec.json.decode(held, type=list[str])) if held else ()


def may_write(db: sqlite3.Connection, leg: LegRow, kind: str) -> bool:
    """False for anything but `lapse` on a leg from before the restore with a peer that has not answered."""
    if leg.side == "L" or kind in _ALLOWED:
        return True
    waiting = open_peers(db)
    return leg.peer not in waiting or leg.created > (restored_at(db) or 0)


def check_may_write(db: sqlite3.Connection, leg: LegRow, kind: str) -> None:
    """Raises resync-open. Whoever writes by itself, on receiving, asks `may_write` first and leaves it be."""
    if not may_write(db, leg, kind):
        raise ProtocolError("resync-open", field="leg", got=leg.peer)


def may_open_child(db: sqlite3.Connection, parent: LegRow) -> bool:
    """A router forwards what it received before the restore only when every peer has told it: a child may exist.

    What protocol.forwarding.check_open is told.
    """
    return not open_peers(db) or parent.created > (restored_at(db) or 0)


# -- being told


def answered(tx: sqlite3.Connection, node: str, now: int, *, operator: str | None = None) -> None:
    """That peer has told us: by its `resync` answer, or (`operator`) a person telephoned. Raises unknown-recipient."""
    waiting = open_peers(tx)
    if node not in waiting:
        raise ProtocolError("unknown-recipient", field="node", got=node)
    _set_open(tx, [peer for peer in waiting if peer != node])
    _log(tx, now, "confirmed" if operator else "answered", node, operator)


def _set_open(tx: sqlite3.Connection, peers: Collection[str]) -> None:
    set_setting(tx, RESYNC_OPEN, msgspec.json.encode(list(peers)).decode() if peers else "")


def _log(tx: sqlite3.Connection, now: int, what: str, node: str | None = None, operator: str | None = None) -> None:
    tx.execute("INSERT INTO restore_log (at, what, node, operator) VALUES (?, ?, ?, ?)", (now, what, node, operator))
