"""News by number: reading them, and forgetting the old. Written by the triggers of node.api.tables; no waiting here."""

import sqlite3
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from node.context import set_setting, setting
from protocol.errors import ProtocolError
from protocol.limits import DAY

KINDS: Final = ("case.new", "case.step", "case.delivery", "case.erased", "alarm", "catalogue.published", "members")
RESTORED: Final = "restored"
KEPT: Final = 30 * DAY
MOST: Final = 200_000
MARKS: Final = "feed_marks"
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


def due(db: sqlite3.Connection, now: int) -> bool:
    """Whether a day has gone by since `prune`, or there is more than may be."""
    low, high = edges(db)
    marks = _marks(db)
    return high - low > MOST or (high > 0 and (not marks or marks[-1].at <= now - DAY))


def prune(tx: sqlite3.Connection, now: int) -> int:
    """Marks how far numbers are today, forgets what an old mark covers, never the newest. Returns how many went.

    By marks of our own clock: a piece of news may carry the time of a step written long before it came.
    """
    _, high = edges(tx)
    marks = [*_marks(tx), _Mark(now, high)]
    old = max((mark.n for mark in marks if mark.at <= now - KEPT), default=0)
    kept = [mark for mark in marks if mark.at > now - KEPT]
    set_setting(tx, MARKS, msgspec.json.encode(kept).decode())
    return tx.execute("DELETE FROM feed WHERE n < ?", (min(max(old + 1, high - MOST), high),)).rowcount


class _Mark(NamedTuple):
    at: int
    n: int


def _marks(db: sqlite3.Connection) -> list[_Mark]:
    return msgspec.json.decode(setting(db, MARKS, "[]"), type=list[_Mark])


def restored(tx: sqlite3.Connection, now: int) -> None:
    """The copy is older than numbers already given out: whoever holds one of those is told that news are gone."""
    _, high = edges(tx)
    tx.execute("DELETE FROM feed")
    set_setting(tx, MARKS, "[]")
    tx.execute("INSERT INTO feed (n, at, kind) VALUES (?, ?, ?)", (high + JUMP, now, RESTORED))
