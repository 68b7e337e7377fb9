"""Proofs of map entries: what registry and replica share, and the replica's part. The rules are protocol.proofs.

A replica proves what its own copy of the log shows, also while the registry cannot be reached.
"""

import sqlite3
from collections.abc import Sequence
from typing import cast

from node.map.fold import Entry, Line
from node.map.follow import BUNDLE_MAX, held
from node.map.tables import SqliteMap
from node.runtime import trust
from node.runtime.routes import Call
from protocol.errors import ProtocolError
from protocol.merkle import NodeAt, leaf, stored
from protocol.names import check_node_id
from protocol.proofs import Subject, make_proof
from protocol.roots import TrustedRoot
from protocol.strict import decode
from schemas.catalogue import CatalogueBundle, LogEntry, Visibility


def chosen(entry: Entry | None, vis: Visibility | None, *, member: bool) -> Line:
    """The line asked for: of `vis`, else the public one, else for members the network's. Raises not-found.

    Who is no member learns nothing of a network line, not even that it is there.
    """
    lines = {"public": entry.public, "network": entry.network if member else None} if entry else {}
    found = lines.get(vis) if vis else lines.get("public") or lines.get("network")
    if found is None:
        raise ProtocolError("not-found", field="id")
    return found


def subject(node: str, id_: str, line: Line, bundle: bytes, roots: Sequence[bytes], members: bytes) -> Subject:
    """A line of the map with the snapshot it stands in."""
    read = decode(bundle, CatalogueBundle, max_bytes=BUNDLE_MAX)
    return Subject(node, id_, line.record.decode(), read.manifest, read.publication, roots, members)


def proof_of(call: Call) -> tuple[str, str, Visibility | None]:
    """Node, id and chain that a call for a proof names. Raises bad-node-id, bad-shape."""
    vis = call.one("vis")
    if vis not in (None, "public", "network"):
        raise ProtocolError("bad-shape", field="vis", expected="public or network")
    return check_node_id(call.params["node"], field="node"), call.params["id"], cast("Visibility | None", vis)


def prove(
    db: sqlite3.Connection, root: TrustedRoot, node: str, id_: str, vis: Visibility | None, *, member: bool
) -> bytes:
    """The proof as this replica can give it. Raises not-found, log-moved while log and members do not meet yet."""
    line = chosen(SqliteMap(db).entry(node, id_), vis, member=member)
    row = db.execute("SELECT bundle FROM follow_chain WHERE node = ? AND hash = ?", (node, line.source.pub)).fetchone()
    if row is None or row[0] is None:
        raise ProtocolError("not-found", field="publication")
    made = subject(node, id_, line, bytes(row[0]), trust.raw_roots(db), _members(db))
    return make_proof(made, Replica(db), root)


def _members(db: sqlite3.Connection) -> bytes:
    """The document the log names last: of those kept, not always the newest."""
    named = db.execute("SELECT MAX(ver) FROM follow_leaf WHERE node = '' AND type = 'members'").fetchone()[0]
    row = db.execute("SELECT raw FROM members_document WHERE version = ?", (named,)).fetchone()
    if row is None:
        raise ProtocolError("log-moved", field="members", expected=str(named))
    return bytes(row[0])


class Replica:
    """Our copy of the log as a keeper: leaves are stored, the tree over them is hashed when it is asked for."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        ours = held(db)
        self.note = ours.note
        self._size = ours.edge.size
        self._tree: NodeAt | None = None

    def at(self, level: int, index: int) -> bytes:
        """A perfect node of the tree."""
        if self._tree is None:
            self._tree = stored([leaf(line.encode()) for line in self.lines(0, self._size)])
        return self._tree(level, index)

    def lines(self, start: int, end: int) -> Sequence[str]:
        """Leaves [start, end)."""
        rows = self._db.execute("SELECT line FROM follow_leaf WHERE seq >= ? AND seq < ? ORDER BY seq", (start, end))
        return [str(line) for (line,) in rows]

    def places(self, entries: Sequence[LogEntry]) -> Sequence[int]:
        """The first index of each."""
        return [self._place(entry) for entry in entries]

    def _place(self, entry: LogEntry) -> int:
        (seq,) = self._db.execute(
            "SELECT MIN(seq) FROM follow_leaf WHERE node = ? AND type = ? AND ver = ? AND hash = ?",
            (entry.node, entry.type, entry.ver, entry.hash),
        ).fetchone()
        if seq is None:
            raise ProtocolError("proof-incomplete", field="log", expected=entry.type)
        return int(seq)
