"""News by number: reading them, and forgetting the old. Written by the triggers of node.api.tables; no waiting here."""

import sqlite3
from typing import Final

from msgspec import Struct

from protocol.errors import ProtocolError
from protocol.limits import DAY

KINDS: Final = ("case.new", "case.step", "case.delivery", "case.erased", "alarm", "catalogue.published", "members")
RESTORED: Final = "restored"
KEPT: Final = 30 * DAY
MOST: Final = 200_000
JUMP: Final = 1_000_000  # numbers passed over at a restore: more than were given out since any copy was made


class Event(Struct, frozen=True, omit_defaults=True):
    """One pointer: its number, when, what kind of thing changed, on which referral."""

    n: int
    at: int
    kind: str
    leg: str | None = None


class Events(Struct, frozen=True):
    """News in order; `next` is the `after` of the following question, `first` the oldest number still here."""

    events: list[Event]
    next: int
    first: int


def read(db: sqlite3.Connection, after: int | None, limit: int) -> Events:
    """News after a number; none when `after` is absent. Raises events-gone with the number to start from."""
    first, last = edges(db)
    if after is None:
        return Events([], last, first)
    if not first - 1 <= after <= last:
        raise ProtocolError("events-gone", field="after", expected=str(first - 1 if after < first else last))
    rows = db.execute("SELECT n, at, kind, leg FROM feed WHERE n > ? ORDER BY n LIMIT ?", (after, limit))
    found = [Event(*row) for row in rows]
    return Events(found, found[-1].n if found else after, first)


def edges(db: sqlite3.Connection) -> tuple[int, int]:
    """The oldest number still here (that of the next one when there is none) and the newest given out."""
    low, high = db.execute("SELECT MIN(n), MAX(n) FROM feed").fetchone()
    return (low or 1), (high or 0)


def overfull(db: sqlite3.Connection, now: int) -> bool:
    """Whether there is something to forget."""
    low, high = edges(db)
    oldest = db.execute("SELECT at FROM feed WHERE n = ?", (low,)).fetchone()
    return high - low >= MOST or (oldest is not None and low < high and oldest[0] < now - KEPT)


def prune(tx: sqlite3.Connection, now: int) -> int:
    """Forgets what is old, never the newest: numbers go on from it. Returns how many."""
    _, high = edges(tx)
    row = tx.execute("SELECT MIN(n) FROM feed WHERE at >= ?", (now - KEPT,)).fetchone()
    start = min(max(row[0] if row[0] is not None else high, high - MOST), high)
    return tx.execute("DELETE FROM feed WHERE n < ?", (start,)).rowcount


def restored(tx: sqlite3.Connection, now: int) -> None:
    """The copy is older than numbers already given out: whoever holds one of those is told that news are gone."""
    _, high = edges(tx)
    tx.execute("DELETE FROM feed")
    tx.execute("INSERT INTO feed (n, at, kind) VALUES (?, ?, ?)", (high + JUMP, now, RESTORED))
