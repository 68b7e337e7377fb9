"""A body whose store came back from a copy: what it may still do, and with whom. No exchange with peers (`resync`).

What was written after the copy is forgotten here and known there. Until a peer has told us (PROTOCOL §3, Restore):
nothing but `lapse` is written on the legs we had with it; new legs may be offered; a router opens no child for a
parent accepted before. A peer has told us when its `resync` answer was applied, or when a person telephoned: both end
in `answered`. The new channel epoch is above every earlier one, so nobody takes our new numbers for old ones.
Finding out, asking and repairing is node.exchange.resync.
"""

import sqlite3
from collections.abc import Iterable
from typing import Final

from node.context import set_setting, setting
from node.exchange.log import LegRow
from node.runtime.migrations import script
from protocol.errors import ProtocolError
from protocol.resync import new_epoch

MIGRATIONS: Final = (
    script(
        "exchange_101_restored",
        """
-- What was done about a restored store, and by whom: 'restored', 'answered' (by the peer), 'confirmed' (by a person).
CREATE TABLE restore_log (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, what TEXT NOT NULL, node TEXT, operator TEXT);

-- Peers that have to tell us what we forgot: legs created up to `begun` stand still until `answered`.
-- nonce: of the question whose answer is taken in, '' while none is out; said: when it was asked last.
-- proven: 0 when one peer alone says that we forgot something, which stops nothing with the others.
CREATE TABLE resync (peer TEXT PRIMARY KEY, nonce TEXT NOT NULL DEFAULT '', begun INTEGER NOT NULL,
  said INTEGER NOT NULL DEFAULT 0, answered INTEGER, proven INTEGER NOT NULL) WITHOUT ROWID;
""",
    ),
)
EPOCH: Final = "epoch"
RESTORED_AT: Final = "restored_at"
ALARM: Final = "restored-here"
_ALLOWED: Final = frozenset({"lapse"})


# -- marking


def mark(tx: sqlite3.Connection, now: int, *, above: int = 0) -> tuple[str, ...]:
    """Begins a new epoch after a restore; the peers that have to tell us what we forgot.

    The epoch is taken from the clock too: the same copy restored twice must not use one epoch twice. `above`: an epoch
    known from elsewhere (the store that is replaced).
    """
    peers = tuple(peer for (peer,) in tx.execute("SELECT DISTINCT peer FROM leg WHERE side != 'L' ORDER BY peer"))
    _begin_epoch(tx, max(held_epoch(tx), above, now - 1) + 1)
    tx.execute("UPDATE peer SET k = 0, next_at = 0, failing_since = NULL")  # how fast it was to go, long ago
    set_setting(tx, RESTORED_AT, str(now))
    tx.execute("DELETE FROM resync")
    for peer in peers:
        open_with(tx, peer, now, proven=True)
    _log(tx, now, "restored")
    return peers


def open_with(tx: sqlite3.Connection, peer: str, now: int, *, proven: bool) -> None:
    """From now on what there was with this peer stands still, until it has told us."""
    tx.execute(
        "INSERT INTO resync (peer, begun, proven) VALUES (?, ?, ?) ON CONFLICT (peer) DO UPDATE"
        " SET nonce = '', begun = excluded.begun, said = 0, answered = NULL, proven = excluded.proven",
        (peer, now, proven),
    )


def began(tx: sqlite3.Connection) -> int:
    """At every start: another epoch while a peer has not answered. Returns the epoch in force."""
    if open_peers(tx):
        _begin_epoch(tx, held_epoch(tx) + 1)
    return held_epoch(tx)


def raise_epoch(tx: sqlite3.Connection, named: Iterable[int], now: int) -> None:
    """We forgot something: a new epoch, above ours and above those a peer names."""
    _begin_epoch(tx, new_epoch(held_epoch(tx), named, now))


def held_epoch(db: sqlite3.Connection) -> int:
    """The epoch in force."""
    return int(setting(db, EPOCH, "1"))


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
    return tuple(peer for (peer,) in db.execute("SELECT peer FROM resync WHERE answered IS NULL ORDER BY peer"))


def may_write(db: sqlite3.Connection, leg: LegRow, kind: str) -> bool:
    """False for anything but `lapse` on a leg from before the restore with a peer that has not answered."""
    if leg.side == "L" or kind in _ALLOWED:
        return True
    row = db.execute("SELECT begun FROM resync WHERE peer = ? AND answered IS NULL", (leg.peer,)).fetchone()
    return row is None or leg.created > int(row[0])


def check_may_write(db: sqlite3.Connection, leg: LegRow, kind: str) -> None:
    """Raises resync-open. Whoever writes by itself, on receiving, asks `may_write` first and leaves it be."""
    if not may_write(db, leg, kind):
        raise ProtocolError("resync-open", field="leg", got=leg.peer)


def may_open_child(db: sqlite3.Connection, parent: LegRow) -> bool:
    """A router forwards what it received before the restore only when every peer has told it: a child may exist.

    What protocol.forwarding.check_open is told.
    """
    (newest,) = db.execute("SELECT MAX(begun) FROM resync WHERE answered IS NULL AND proven").fetchone()
    return newest is None or parent.created > int(newest)


# -- being told


def answered(tx: sqlite3.Connection, node: str, now: int, *, operator: str | None = None) -> None:
    """That peer has told us: by its `resync` answer, or (`operator`) a person telephoned. Raises unknown-recipient."""
    done = tx.execute("UPDATE resync SET answered = ? WHERE peer = ? AND answered IS NULL", (now, node)).rowcount
    if not done:
        raise ProtocolError("unknown-recipient", field="node", got=node)
    tx.execute("UPDATE alarm SET cleared = ? WHERE code = ? AND node = ? AND cleared IS NULL", (now, ALARM, node))
    _log(tx, now, "confirmed" if operator else "answered", node, operator)


def _log(tx: sqlite3.Connection, now: int, what: str, node: str | None = None, operator: str | None = None) -> None:
    tx.execute("INSERT INTO restore_log (at, what, node, operator) VALUES (?, ?, ?, ?)", (now, what, node, operator))
