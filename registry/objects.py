"""Published bytes by hash: who may read them, when they go. Not what they say.

An object nothing current names is kept 90 days more, so that followers find what an older leaf names; a withdrawn one
goes at once. Rows stay without their bytes: a hash once published is never taken for a new one.
"""

import sqlite3
from typing import Literal, NamedTuple

from protocol.errors import ProtocolError
from protocol.limits import DAY

Visibility = Literal["public", "network"]
Kind = Literal["membership", "catalogue"]


class Object(NamedTuple):
    """Bytes as received and who may ask for them."""

    vis: Visibility
    bytes: bytes


def put(tx: sqlite3.Connection, hash_: str, vis: Visibility, owner: str, raw: bytes, kind: Kind = "membership") -> None:
    """Keeps (again) what is current; an object in both chains is public. A withdrawn one is refused: `forbidden`."""
    if is_withdrawn(tx, hash_):
        raise ProtocolError("forbidden", field="object", expected="an object that was not withdrawn", got=hash_)
    tx.execute(
        "INSERT INTO object (hash, vis, owner, bytes, kind) VALUES (?, ?, ?, ?, ?) ON CONFLICT (hash) DO UPDATE SET"
        " bytes = excluded.bytes, superseded = NULL, vis = CASE WHEN vis = 'public' THEN vis ELSE excluded.vis END",
        (hash_, vis, owner, raw, kind),
    )


def held(db: sqlite3.Connection, hash_: str) -> bool:
    """Are the bytes here?"""
    return db.execute("SELECT 1 FROM object WHERE hash = ? AND bytes IS NOT NULL", (hash_,)).fetchone() is not None


def get(db: sqlite3.Connection, hash_: str) -> Object:
    """The object, or not-found (never published, dropped, or withdrawn)."""
    row = db.execute("SELECT vis, bytes FROM object WHERE hash = ? AND bytes IS NOT NULL", (hash_,)).fetchone()
    if row is None:
        raise ProtocolError("not-found", field="object")
    return Object(*row)


def supersede(tx: sqlite3.Connection, hash_: str, now: int) -> None:
    """Nothing current names it any more; the first time counts."""
    tx.execute("UPDATE object SET superseded = ? WHERE hash = ? AND superseded IS NULL", (now, hash_))


def supersede_chain(tx: sqlite3.Connection, node: str, now: int) -> None:
    """Everything a member has published: it has left, or came back and publishes anew under its new key."""
    tx.execute(
        "UPDATE object SET superseded = ? WHERE owner = ? AND kind = 'catalogue' AND superseded IS NULL", (now, node)
    )
    tx.execute("DELETE FROM record_use WHERE node = ?", (node,))


def withdraw(tx: sqlite3.Connection, hash_: str, now: int) -> str:
    """Drops the bytes now and returns the owner. `not-found`; `forbidden` for what membership stands on."""
    row = tx.execute("SELECT owner, kind FROM object WHERE hash = ? AND bytes IS NOT NULL", (hash_,)).fetchone()
    if row is None:
        raise ProtocolError("not-found", field="object")
    if row[1] != "catalogue":
        raise ProtocolError("forbidden", field="object", expected="a record or a snapshot of a catalogue")
    tx.execute("UPDATE object SET bytes = NULL, withdrawn = ? WHERE hash = ?", (now, hash_))
    return str(row[0])


def is_withdrawn(db: sqlite3.Connection, hash_: str) -> bool:
    """Was it withdrawn (rather than dropped by age)?"""
    return db.execute("SELECT 1 FROM object WHERE hash = ? AND withdrawn > 0", (hash_,)).fetchone() is not None


def sweep(tx: sqlite3.Connection, now: int, keep_days: int) -> int:
    """Drops the bytes of what was superseded longer ago than the network keeps objects; how many."""
    cut = now - keep_days * DAY
    return tx.execute("UPDATE object SET bytes = NULL WHERE superseded <= ? AND bytes IS NOT NULL", (cut,)).rowcount
