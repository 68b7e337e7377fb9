"""The fold of node.map.fold kept in SQLite: its tables, and raw SQL beside them. Runs inside the caller's transaction.

Who can write here can show other services on this machine's map; map.ndjson compared with a rebuild tells.
"""

import sqlite3
from collections.abc import Iterator

from node.map.fold import (
    VISIBILITIES,
    Change,
    Entry,
    Event,
    Line,
    MemberStatus,
    PublicationSeen,
    Source,
    Withdrawal,
    compare,
)
from node.runtime.migrations import Migration, script
from schemas.catalogue import Visibility

SCHEMA = """
CREATE TABLE map_state (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL) STRICT;
INSERT INTO map_state VALUES (1, 0);
CREATE TABLE map_member (
  node TEXT PRIMARY KEY, status TEXT,
  seq INTEGER NOT NULL DEFAULT -1, ended INTEGER NOT NULL DEFAULT -1, mark INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE map_withdrawn (node TEXT NOT NULL, leaf TEXT NOT NULL, PRIMARY KEY (node, leaf)) STRICT, WITHOUT ROWID;
CREATE TABLE map_chain (
  node TEXT NOT NULL, vis TEXT NOT NULL,
  seq INTEGER NOT NULL, rev INTEGER NOT NULL, at INTEGER NOT NULL, pub TEXT NOT NULL,
  PRIMARY KEY (node, vis)
) STRICT, WITHOUT ROWID;
CREATE TABLE map_entry (
  id TEXT NOT NULL, node TEXT NOT NULL, vis TEXT NOT NULL, leaf TEXT NOT NULL, record BLOB NOT NULL,
  UNIQUE (id, node, vis)
) STRICT;
CREATE INDEX map_entry_chain ON map_entry (node, vis, id, leaf);
"""


def map_migrations() -> tuple[Migration, ...]:
    """The schema steps of the map."""
    return (script("map-001-tables", SCHEMA),)


def apply(tx: sqlite3.Connection, event: Event) -> Change:
    """Take one event in, inside the caller's transaction. An event older than what is held changes nothing."""
    tx.execute("INSERT OR IGNORE INTO map_member (node) VALUES (?)", (event.node,))
    change = _apply(tx, event)
    if change is None:
        return Change()
    tx.execute("UPDATE map_state SET version = version + 1")
    tx.execute("UPDATE map_member SET mark = (SELECT version FROM map_state) WHERE node = ?", (event.node,))
    return change


def _apply(tx: sqlite3.Connection, event: Event) -> Change | None:
    if isinstance(event, PublicationSeen):
        return _publish(tx, event)
    return _declare(tx, event) if isinstance(event, MemberStatus) else _withdraw(tx, event)


def _publish(tx: sqlite3.Connection, event: PublicationSeen) -> Change | None:
    (ended,) = tx.execute("SELECT ended FROM map_member WHERE node = ?", (event.node,)).fetchone()
    chain = (event.node, event.vis)
    held_at = tx.execute("SELECT seq FROM map_chain WHERE node = ? AND vis = ?", chain).fetchone()
    if event.source.seq <= max(ended, held_at[0] if held_at else -1):
        return None
    held = dict(tx.execute("SELECT leaf, id FROM map_entry WHERE node = ? AND vis = ?", chain))
    withdrawn = tx.execute("SELECT leaf FROM map_withdrawn WHERE node = ?", (event.node,))
    difference = compare(held, event, frozenset(leaf for (leaf,) in withdrawn))
    tx.executemany(
        "DELETE FROM map_entry WHERE id = ? AND node = ? AND vis = ?",
        ((id_, *chain) for id_ in difference.change.removed),
    )
    tx.executemany(
        "INSERT INTO map_entry (id, node, vis, leaf, record) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (id, node, vis) DO UPDATE SET leaf = excluded.leaf, record = excluded.record",
        ((id_, *chain, leaf, record) for id_, leaf, record in difference.fresh),
    )
    tx.execute("INSERT OR REPLACE INTO map_chain VALUES (?, ?, ?, ?, ?, ?)", (*chain, *event.source))
    return difference.change


def _declare(tx: sqlite3.Connection, event: MemberStatus) -> Change | None:
    seq, ended = tx.execute("SELECT seq, ended FROM map_member WHERE node = ?", (event.node,)).fetchone()
    removed: tuple[str, ...] = ()
    if event.status == "ended" and event.seq > ended:
        tx.execute("UPDATE map_member SET ended = ? WHERE node = ?", (event.seq, event.node))
        removed = _end(tx, event)
    if event.seq > seq:
        tx.execute("UPDATE map_member SET status = ?, seq = ? WHERE node = ?", (event.status, event.seq, event.node))
    elif not removed:
        return None
    return Change(removed=removed)


def _end(tx: sqlite3.Connection, event: MemberStatus) -> tuple[str, ...]:
    """Drop what was published before the end; what a readmitted member publishes later stays."""
    gone: set[str] = set()
    old = "SELECT node, vis FROM map_chain WHERE node = ? AND seq <= ?"
    for chain in tx.execute(old, (event.node, event.seq)).fetchall():
        gone.update(id_ for (id_,) in tx.execute("SELECT id FROM map_entry WHERE node = ? AND vis = ?", chain))
        tx.execute("DELETE FROM map_entry WHERE node = ? AND vis = ?", chain)
        tx.execute("DELETE FROM map_chain WHERE node = ? AND vis = ?", chain)
    return tuple(sorted(gone))


def _withdraw(tx: sqlite3.Connection, event: Withdrawal) -> Change | None:
    tx.execute("INSERT OR IGNORE INTO map_withdrawn VALUES (?, ?)", event)
    gone = tx.execute("DELETE FROM map_entry WHERE node = ? AND leaf = ? RETURNING id", event).fetchall()
    return Change(removed=tuple(sorted({id_ for (id_,) in gone}))) if gone else None


class SqliteMap:
    """Reads the map over one connection, which may be in a read transaction; writes nothing."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn

    @property
    def version(self) -> int:
        """Grows with every event that changed something: equal versions of one store are equal maps."""
        return int(self._conn.execute("SELECT version FROM map_state").fetchone()[0])

    def marks(self) -> dict[str, int]:
        """The members shown, each with the version at which something of it changed last."""
        return dict(self._conn.execute("SELECT node, mark FROM map_member WHERE status = 'active'"))

    def leaves(self, node: str, vis: Visibility) -> dict[str, str]:
        """id → leaf of one chain of a member."""
        return dict(self._conn.execute("SELECT id, leaf FROM map_entry WHERE node = ? AND vis = ?", (node, vis)))

    def entry(self, node: str, id_: str) -> Entry | None:
        """One entry of an active member, or None."""
        return next(self._read("WHERE e.id = ? AND e.node = ?", (id_, node)), None)

    def entries(self) -> Iterator[Entry]:
        """Every entry of the active members, in order of id, then node."""
        return self._read("", ())

    def _read(self, where: str, arguments: tuple[str, ...]) -> Iterator[Entry]:
        sql = (
            "SELECT e.id, e.node, e.vis, e.leaf, e.record, c.seq, c.rev, c.at, c.pub FROM map_entry e"
            " CROSS JOIN map_member m ON m.node = e.node AND m.status = 'active'"
            " JOIN map_chain c ON c.node = e.node AND c.vis = e.vis "
        )
        key, lines = ("", ""), dict[str, Line]()
        for id_, node, vis, leaf, record, *source in self._conn.execute(
            f"{sql}{where} ORDER BY e.id, e.node", arguments
        ):
            if lines and key != (id_, node):
                yield _entry(key, lines)
                lines = {}
            key = (id_, node)
            lines[vis] = Line(leaf, Source(*source), record)
        if lines:
            yield _entry(key, lines)


def _entry(key: tuple[str, str], lines: dict[str, Line]) -> Entry:
    public, network = (lines.get(vis) for vis in VISIBILITIES)
    return Entry(*key, public, network)
