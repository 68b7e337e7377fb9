"""Proofs of map entries from the board's own tables. What is proved, and how, is protocol.proofs."""

import sqlite3
from collections.abc import Sequence

from node.map import proving
from node.map.tables import SqliteMap
from protocol.errors import ProtocolError
from protocol.proofs import make_proof
from registry import log, objects
from registry.board import Board, roots_after
from registry.members import newest
from schemas.catalogue import LogEntry, Visibility


def prove(db: sqlite3.Connection, board: Board, node: str, id_: str, vis: Visibility | None, *, member: bool) -> bytes:
    """GET /v1/map/{node}/{id}/proof. Raises not-found."""
    line = proving.chosen(SqliteMap(db).entry(node, id_), vis, member=member)
    issued = newest(db)
    if issued is None:
        raise ProtocolError("not-found", field="members")
    root = board.root(db)
    roots = [raw.encode() for raw in roots_after(db, 0, root.root.n)]
    bundle, members = (objects.get(db, name).bytes for name in (line.source.pub, issued.hash))
    return make_proof(proving.subject(node, id_, line, bundle, roots, members), _Keeper(db), root)


class _Keeper:
    """The log with its stored tree."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.note = log.head(db)[1]
        self.at = log.nodes(db)

    def lines(self, start: int, end: int) -> Sequence[str]:
        """Leaves [start, end)."""
        rows = self._db.execute("SELECT line FROM leaf WHERE seq >= ? AND seq < ? ORDER BY seq", (start, end))
        return [raw.decode() for (raw,) in rows]

    def places(self, entries: Sequence[LogEntry]) -> Sequence[int]:
        """The first index of each, found in one pass: leaves are looked up nowhere else, so there is no index."""
        wanted = [log.line(entry) for entry in entries]
        marks = ", ".join("?" * len(wanted))
        found: dict[bytes, int] = {
            bytes(line): seq
            for line, seq in self._db.execute(
                f"SELECT line, MIN(seq) FROM leaf WHERE line IN ({marks}) GROUP BY line",  # noqa: S608
                wanted,
            )
        }
        if absent := [entry for entry, line in zip(entries, wanted, strict=True) if line not in found]:
            raise ProtocolError("proof-incomplete", field="log", expected=absent[0].type)
        return [found[line] for line in wanted]
