"""The verified membership of a process: roots and members documents as received, on disk. Not how they are fetched.

trust = load(db, net, suite, now)             at start: re-verified from our own copy
fresh = advance(trust, roots, members, now)   pure: verifies step by step, raises what does not hold
keep(tx, trust, fresh)                        in a transaction; then the caller replaces the one in memory
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from node.runtime.migrations import script
from protocol.errors import ProtocolError
from protocol.members import Membership, read_members
from protocol.roots import TrustedRoot
from protocol.suite import Suite

MIGRATIONS = (
    script(
        "trust_001_documents",
        """
CREATE TABLE trusted_root (n INTEGER PRIMARY KEY, raw BLOB NOT NULL);
CREATE TABLE members_document (version INTEGER PRIMARY KEY, raw BLOB NOT NULL, at INTEGER NOT NULL);
""",
    ),
)


class Trust(NamedTuple):
    """The newest root held, and the newest members document verified under it (None before the first)."""

    root: TrustedRoot
    membership: Membership | None


def start(root1: bytes, net: str, suite: Suite) -> Trust:
    """The first contact: root-1 is checked against the `net` printed in the protocollo. Raises wrong-network…"""
    return Trust(TrustedRoot.start(root1, net, suite), None)


def load(db: sqlite3.Connection, net: str, suite: Suite, now: int) -> Trust | None:
    """What our own disk holds; None before the first contact. Age is no reason to refuse our own copy."""
    raws = [bytes(row[0]) for row in db.execute("SELECT raw FROM trusted_root ORDER BY n")]
    if not raws:
        return None
    root = TrustedRoot.start(raws[0], net, suite).walk(raws[1:])
    newest = db.execute("SELECT raw FROM members_document ORDER BY version DESC LIMIT 1").fetchone()
    membership = read_members(bytes(newest[0]), root, now, own_copy=True) if newest else None
    return Trust(root, membership)


def advance(held: Trust, *, roots: Sequence[bytes] = (), members: bytes | None = None, now: int) -> Trust:
    """Verifies newer roots in order, then a members document. The same version again changes nothing."""
    root = held.root.walk(roots) if roots else held.root
    if members is None:
        return Trust(root, held.membership)
    return Trust(root, read_members(members, root, now, held.membership))


def keep(tx: sqlite3.Connection, fresh: Trust, now: int, *, roots: Sequence[bytes] = ()) -> None:
    """Stores what is new: the verified root steps `roots` after those held, and the members document.

    Raises members-rollback when the disk holds a newer version than `fresh`.
    """
    known = tx.execute("SELECT COALESCE(MAX(n), 0) FROM trusted_root").fetchone()[0]
    tx.executemany("INSERT INTO trusted_root VALUES (?, ?)", list(enumerate(roots, known + 1)))
    if fresh.membership is None:
        return
    newest = tx.execute("SELECT COALESCE(MAX(version), 0) FROM members_document").fetchone()[0]
    if fresh.membership.version < newest:
        raise ProtocolError("members-rollback", expected=str(newest), got=str(fresh.membership.version))
    if fresh.membership.version > newest:
        tx.execute(
            "INSERT INTO members_document VALUES (?, ?, ?)", (fresh.membership.version, fresh.membership.raw, now)
        )
        tx.execute("DELETE FROM members_document WHERE version < ?", (fresh.membership.version - 30,))


def raw_roots(db: sqlite3.Connection, after: int = 0) -> list[bytes]:
    """The root steps after `after`, as received."""
    return [bytes(row[0]) for row in db.execute("SELECT raw FROM trusted_root WHERE n > ? ORDER BY n", (after,))]


def raw_members(db: sqlite3.Connection) -> tuple[int, bytes] | None:
    """The newest members document as received, with its version."""
    row = db.execute("SELECT version, raw FROM members_document ORDER BY version DESC LIMIT 1").fetchone()
    return (int(row[0]), bytes(row[1])) if row else None
