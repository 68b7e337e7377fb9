"""The append-only log: leaves, the tree over them, signed heads. Not what entries mean, nor their objects.

Compare-and-swap: an append names the size it was decided on, and `log-moved` is the answer when the log is elsewhere.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from protocol.errors import ProtocolError
from protocol.jcs import write
from protocol.merkle import NodeAt, RightEdge, consistency_path, inclusion_path, leaf
from protocol.notes import Checkpoint, origin, sign_head
from protocol.suite import SigningKey
from schemas.catalogue import LogEntry, LogPage

PAGE_ENTRIES: Final = 1000


def size(db: sqlite3.Connection) -> int:
    """How many leaves there are."""
    return int(db.execute("SELECT size FROM edge").fetchone()[0])


def line(entry: LogEntry) -> bytes:
    """The bytes of a leaf."""
    return write({"type": entry.type, "hash": entry.hash, "node": entry.node, "ver": entry.ver})


def append(tx: sqlite3.Connection, entries: Sequence[LogEntry], expected_size: int) -> range:
    """Adds leaves and returns their indexes; `log-moved` unless the log has `expected_size` leaves."""
    edge = RightEdge.from_bytes(tx.execute("SELECT raw FROM edge").fetchone()[0])
    if not entries:
        return range(edge.size, edge.size)
    lines = [line(entry) for entry in entries]
    grown, nodes = edge, []
    for raw in lines:
        nodes += grown.completed(leaf(raw))
        grown = grown.append(leaf(raw))
    # The size is compared in the UPDATE itself, so that the log's safety does not rest on who holds the connection.
    swapped = tx.execute(
        "UPDATE edge SET size = ?, raw = ? WHERE size = ?", (grown.size, grown.to_bytes(), expected_size)
    )
    if swapped.rowcount != 1:
        raise ProtocolError("log-moved", expected=str(expected_size), got=str(edge.size))
    tx.executemany("INSERT INTO leaf (seq, line) VALUES (?, ?)", enumerate(lines, edge.size))
    tx.executemany("INSERT INTO tree (level, i, hash) VALUES (?, ?, ?)", nodes)
    return range(edge.size, grown.size)


def seal(tx: sqlite3.Connection, net: str, key: SigningKey, now: int) -> str:
    """The signed head of the log as it stands; made once for each size, so one for all leaves of a command."""
    edge = RightEdge.from_bytes(tx.execute("SELECT raw FROM edge").fetchone()[0])
    held = tx.execute("SELECT note FROM head WHERE size = ?", (edge.size,)).fetchone()
    if held:
        return str(held[0])
    note = sign_head(Checkpoint(origin(net), edge.size, edge.root()), key).decode()
    tx.execute("INSERT INTO head (size, note, at, kid) VALUES (?, ?, ?, ?)", (edge.size, note, now, key.kid))
    return note


def head(db: sqlite3.Connection) -> tuple[int, str]:
    """(size, signed note) of the newest head. Raises not-found before the first."""
    row = db.execute("SELECT size, note FROM head ORDER BY size DESC LIMIT 1").fetchone()
    if row is None:
        raise ProtocolError("not-found", field="checkpoint")
    return int(row[0]), str(row[1])


def page(db: sqlite3.Connection, after: int) -> LogPage:
    """The leaves from index `after` up to a signed head: each page can be verified by itself, and the next follows.

    The head is the last one within PAGE_ENTRIES, or the first one after them, under the log key in force: a newcomer
    knows no earlier one. At the end, or beyond: no entries.
    """
    total, note = head(db)
    if after < total:
        total, note = _head_within(db, after)
    rows = db.execute("SELECT line FROM leaf WHERE seq >= ? AND seq < ? ORDER BY seq", (after, total))
    return LogPage(after=after, entries=[raw.decode() for (raw,) in rows], size=total, note=note)


def _head_within(db: sqlite3.Connection, after: int) -> tuple[int, str]:
    (kid,) = db.execute("SELECT kid FROM head ORDER BY size DESC LIMIT 1").fetchone()
    last = "SELECT size, note FROM head WHERE size > ? AND kid = ? AND size <= ? ORDER BY size DESC LIMIT 1"
    first = "SELECT size, note FROM head WHERE size > ? AND kid = ? ORDER BY size LIMIT 1"
    row = db.execute(last, (after, kid, after + PAGE_ENTRIES)).fetchone() or db.execute(first, (after, kid)).fetchone()
    return int(row[0]), str(row[1])


def nodes(db: sqlite3.Connection) -> NodeAt:
    """The perfect nodes of the tree, as proofs read them."""

    def at(level: int, index: int) -> bytes:
        found = db.execute("SELECT hash FROM tree WHERE level = ? AND i = ?", (level, index)).fetchone()
        if found is None:
            raise ProtocolError("bad-proof", field="tree")
        return bytes(found[0])

    return at


def inclusion(db: sqlite3.Connection, seq: int, tree_size: int) -> list[bytes]:
    """The path from leaf `seq` to the root of the first `tree_size` leaves."""
    return inclusion_path(seq, tree_size, nodes(db))


def consistency(db: sqlite3.Connection, old: int, new: int) -> list[bytes]:
    """The proof that the first `new` leaves begin with the first `old`."""
    return consistency_path(old, new, nodes(db))
