"""Heads of the log that contradict ours: compared with our copy, kept for ever, exported. Not who showed them to whom.

Both notes are kept as signed, with what shows the contradiction while our copy of the log can show it (protocol.heads).
"""

import sqlite3
from typing import Literal, NamedTuple

import msgspec

from node.map import follow
from node.map.follow import HeldHead
from node.runtime import trust
from node.runtime.migrations import script
from protocol.errors import ProtocolError
from protocol.heads import check_pair, make_pair, read_head, walked
from protocol.merkle import RightEdge, leaf
from protocol.notes import NoteKey
from protocol.suite import Suite
from schemas.catalogue import HeadEvidence, HeadPair

Verdict = Literal["same", "ahead", "unverified", "conflict"]
BOARD = ""
"""`source` of what the board itself showed us; else the member that was shown it."""

MIGRATIONS = (
    script(
        "follow-002-evidence",
        """
ALTER TABLE follow_proof ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE follow_proof ADD COLUMN root TEXT;
ALTER TABLE follow_proof ADD COLUMN path TEXT;
""",
    ),
)


class Kept(NamedTuple):
    """Two notes kept. `pair` None: the contradiction cannot be shown to others by these alone."""

    at: int
    code: str
    source: str
    held: str
    shown: str
    pair: HeadPair | None


def log_keys(db: sqlite3.Connection, net: str, suite: Suite) -> list[NoteKey]:
    """The keys our log was ever signed with, the newest first."""
    return walked(trust.raw_roots(db), net, suite)[1]


def judge(db: sqlite3.Connection, note: str, keys: list[NoteKey], known: dict[str, Verdict]) -> Verdict:
    """A head somebody else was shown, against our copy; `known` remembers notes of this round."""
    if note not in known:
        known[note] = _judge(db, note, keys)
    return known[note]


def _judge(db: sqlite3.Connection, note: str, keys: list[NoteKey]) -> Verdict:
    try:
        shown = read_head(note, keys)
    except ProtocolError:
        return "unverified"
    if shown.size == 0:  # before the first leaf there is nothing to say
        return "unverified"
    if shown.size > follow.held(db).edge.size:
        return "ahead"
    rows = db.execute("SELECT line FROM follow_leaf WHERE seq < ? ORDER BY seq", (shown.size,))
    root = RightEdge().extend(leaf(str(line).encode()) for (line,) in rows).root()
    return "same" if root == shown.root else "conflict"


def contradiction(db: sqlite3.Connection, shown: str, keys: list[NoteKey]) -> HeadPair | None:
    """Our head and `shown`, with what proves to others that they cannot both be true; None when that cannot be."""
    ours = follow.held(db)
    try:
        return make_pair(ours.note, shown, keys, _leaves(db, ours))
    except ProtocolError:
        return None


def _leaves(db: sqlite3.Connection, ours: HeldHead) -> list[bytes]:
    rows = db.execute("SELECT line FROM follow_leaf WHERE seq < ? ORDER BY seq", (ours.edge.size,))
    return [leaf(str(line).encode()) for (line,) in rows]


def keep_conflict(tx: sqlite3.Connection, conflict: follow.HeadConflictError, keys: list[NoteKey], now: int) -> str:
    """What the board showed us against what we hold: both notes stay. The code it deserves.

    A smaller head that is none of our past is worse than one that is only old.
    """
    pair = contradiction(tx, conflict.shown, keys)
    code = "log-fork" if pair else conflict.code
    _insert(tx, Kept(now, code, BOARD, conflict.held, conflict.shown, pair))
    return code


def keep_pair(tx: sqlite3.Connection, pair: HeadPair, source: str, now: int) -> None:
    """A contradiction `source` and we were shown, once."""
    _insert(tx, Kept(now, "log-fork", source, pair.held, pair.shown, pair))


def proven(pair: HeadPair, keys: list[NoteKey]) -> bool:
    """Does a pair made by somebody else hold?"""
    try:
        check_pair(pair, keys)
    except ProtocolError:
        return False
    return True


def _insert(tx: sqlite3.Connection, kept: Kept) -> None:
    root, path = (kept.pair.root, msgspec.json.encode(kept.pair.path).decode()) if kept.pair else (None, None)
    tx.execute(
        "INSERT OR IGNORE INTO follow_proof (at, code, source, held, shown, root, path) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (kept.at, kept.code, kept.source, kept.held, kept.shown, root, path),
    )


def kept(db: sqlite3.Connection) -> list[Kept]:
    """All of them, the newest first."""
    rows = db.execute("SELECT at, code, source, held, shown, root, path FROM follow_proof ORDER BY id DESC")
    return [Kept(at, code, source, held, shown, _pair(held, shown, root, path))
            for at, code, source, held, shown, root, path in rows]  # fmt: skip


def _pair(held: str, shown: str, root: str | None, path: str | None) -> HeadPair | None:
    if root is None or path is None:
        return None
    return HeadPair(held=held, shown=shown, root=root, path=msgspec.json.decode(path, type=list[str]))


def evidence(db: sqlite3.Connection, net: str) -> HeadEvidence:
    """What others can check by themselves. Raises not-found when there is nothing of the kind."""
    pairs = [one.pair for one in kept(db) if one.pair is not None]
    if not pairs:
        raise ProtocolError("not-found", field="heads")
    return HeadEvidence(v=1, net=net, roots=[raw.decode() for raw in trust.raw_roots(db)], pairs=pairs)
