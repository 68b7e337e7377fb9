"""What made the engine itself fail, set aside: kept as it came, counted, told to people. Trying it again is in retry.

A fault is an exception that is no refusal: a bug of ours that a message has met, by chance or on purpose. The message
is durable here, so its sender is told `stored`, and nothing behind it waits. What could not even be verified is not
kept: it is answered unsigned and comes again by itself.
"""

import sqlite3
from typing import Final, NamedTuple

from node.context import Context
from node.exchange.outbox import raise_alarm
from node.runtime.logs import places
from node.runtime.migrations import script
from node.runtime.store import ends_the_group
from protocol.errors import ProtocolError
from protocol.limits import HOUR, MIB

ITEMS: Final = 200  # of one sender; above it they are answered unsigned, and come again
BYTES: Final = 32 * MIB
AGAIN: Final = HOUR  # seconds after which what was not kept may come again

MIGRATIONS = (
    script(
        "aside_001_tables",
        """
-- Messages that made the engine fail: sealed as they came, `name` is the mid, or the hash of a receipt.
-- `fault` is a type and a place in our code, never a text.
CREATE TABLE aside (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, sender TEXT NOT NULL, jti TEXT, e TEXT, s TEXT, r TEXT,
  size INTEGER NOT NULL, at INTEGER NOT NULL, tried_at INTEGER NOT NULL, tries INTEGER NOT NULL, fault TEXT NOT NULL
);
CREATE INDEX aside_sender ON aside (sender, size);
""",
    ),
)


class Fault(NamedTuple):
    """What is said of one in a log: who sent it, its name, the type of the exception and where it was raised."""

    sender: str
    name: str
    what: str


class Kept(NamedTuple):
    """What is set aside: an envelope (e, s) with its jti, or a receipt (r)."""

    name: str
    sender: str
    jti: str | None
    e: str | None
    s: str | None
    r: str | None


def is_fault(error: Exception) -> bool:
    """Whether an exception tells of a message rather than of this machine. A refusal is neither."""
    if isinstance(error, ProtocolError | MemoryError | OSError):
        return False
    return not (isinstance(error, sqlite3.Error) and ends_the_group(error))


def describe(error: Exception) -> str:
    """Type and innermost place: no text of the exception, which may quote what it was handling."""
    went = places(error)
    return f"{type(error).__name__} {went[-1] if went else '?'}"[:200]


def keep(tx: sqlite3.Connection, ctx: Context, item: Kept, what: str) -> bool:
    """False when its sender has too much here already: then it is not durable and must not be acknowledged."""
    now = ctx.clock.now()
    raise_alarm(tx, now, "set-aside", item.sender, None, None)
    count, total = tx.execute(
        "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM aside WHERE sender = ?", (item.sender,)
    ).fetchone()
    size = len(item.e or "") + len(item.s or "") + len(item.r or "")
    if count >= ITEMS or total + size > BYTES:
        return False
    tx.execute(
        "INSERT INTO aside (name, sender, jti, e, s, r, size, at, tried_at, tries, fault)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)"
        " ON CONFLICT (name) DO UPDATE SET tries = tries + 1, tried_at = excluded.tried_at, fault = excluded.fault",
        (item.name, item.sender, item.jti, item.e, item.s, item.r, size, now, now, what),
    )
    return True
