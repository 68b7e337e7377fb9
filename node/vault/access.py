"""The access log: who opened which case, when and why. Ids only, no names; rows are hash-chained, never changed.

Required for at least six months by the Garante's provision of 27-11-2008 (SECURITY §2).
"""

import hashlib
import sqlite3
from typing import NamedTuple

from node.runtime.migrations import Migration


def _create(tx: sqlite3.Connection) -> None:
    tx.execute(
        "CREATE TABLE access_log (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, operator TEXT NOT NULL,"
        " action TEXT NOT NULL, case_id TEXT NOT NULL, leg TEXT NOT NULL, chain BLOB NOT NULL)"
    )
    for verb in ("UPDATE", "DELETE"):
        tx.execute(
            f"CREATE TRIGGER access_log_no_{verb.lower()} BEFORE {verb} ON access_log"
            " BEGIN SELECT RAISE(ABORT, 'the access log is append-only'); END"
        )


MIGRATIONS = (Migration("vault_002_access_log", _create),)


class Access(NamedTuple):
    """One opening: when (Unix seconds), by which operator code, what was done, on which case and leg."""

    at: int
    operator: str
    action: str
    case_id: str
    leg: str


def _link(previous: bytes, row: Access) -> bytes:
    return hashlib.sha256(previous + "\0".join(map(str, row)).encode()).digest()


def record(tx: sqlite3.Connection, row: Access) -> None:
    """Appends one row, chained to the last."""
    last = tx.execute("SELECT chain FROM access_log ORDER BY id DESC LIMIT 1").fetchone()
    chain = _link(last[0] if last else b"", row)
    tx.execute("INSERT INTO access_log (at, operator, action, case_id, leg, chain) VALUES (?,?,?,?,?,?)", (*row, chain))


def read(db: sqlite3.Connection, case_id: str | None = None) -> list[Access]:
    """The whole log in order, or that of one case."""
    rows = db.execute(
        "SELECT at, operator, action, case_id, leg FROM access_log WHERE ?1 IS NULL OR case_id = ?1 ORDER BY id",
        (case_id,),
    )
    return [Access(*row) for row in rows]


def first_broken(db: sqlite3.Connection) -> int | None:
    """The id of the first row that does not follow from the one before, or None when the chain holds."""
    previous = b""
    for number, chain, *row in db.execute(
        "SELECT id, chain, at, operator, action, case_id, leg FROM access_log ORDER BY id"
    ):
        if _link(previous, Access(*row)) != chain:
            return int(number)
        previous = chain
    return None
