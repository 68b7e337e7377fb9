"""Messages about a leg that are no event of it, kept until their signed end so that they can be sealed again.

An event is sealed again from its row in the log. A letter has no row there: its salt and bytes lie here meanwhile. It
never carries what the leg is about, only codes and times.
"""

import sqlite3
from typing import Final

import msgspec

from node.context import Context
from node.runtime.migrations import script
from protocol.limits import LIFETIME_MAX
from schemas.bodies import Body

MIGRATIONS = (
    script(
        "exchange_letters_001",
        """
-- k, prob: what the peer's signed acknowledgement said; with an end, salt and raw are gone.
CREATE TABLE letter (
  jti TEXT PRIMARY KEY, dest TEXT NOT NULL, leg TEXT, salt BLOB, raw BLOB, urgent INTEGER NOT NULL,
  at INTEGER NOT NULL, k TEXT, prob TEXT
) WITHOUT ROWID;
""",
    ),
)
_decode: Final = msgspec.json.Decoder(Body).decode
_encode: Final = msgspec.json.Encoder().encode


def keep(
    tx: sqlite3.Connection, ctx: Context, body: Body, *, leg: str | None, urgent: bool
) -> tuple[str, bytes, bytes]:
    """Leaves a letter; returns (dest, salt, raw), which the caller seals or leaves to `wait`."""
    salt, raw = ctx.dice.bytes(32), _encode(body)
    tx.execute(
        "INSERT INTO letter (jti, dest, leg, salt, raw, urgent, at) VALUES (?,?,?,?,?,?,?)",
        (body.jti, body.to, leg, salt, raw, urgent, ctx.clock.now()),
    )
    return body.to, salt, raw


def wait(tx: sqlite3.Connection, ctx: Context, jti: str, dest: str, *, urgent: bool) -> None:
    """Nobody to seal to at present: a row without a sealing, which `outbox.reseal_stale` fills."""
    tx.execute(
        "INSERT INTO outgoing (mid, jti, leg, writer, n, dest, e, s, kid, exp, urgent, next_at)"
        " VALUES (?1, ?1, NULL, NULL, NULL, ?2, '', '', '', ?3, ?4, NULL)",
        (jti, dest, ctx.clock.now() + LIFETIME_MAX, urgent),
    )


def kept(tx: sqlite3.Connection, jti: str) -> tuple[Body, bytes, bytes] | None:
    """(body, salt, raw) of a letter that has no end yet."""
    row = tx.execute("SELECT salt, raw FROM letter WHERE jti = ? AND raw IS NOT NULL", (jti,)).fetchone()
    return (_decode(row[1]), row[0], row[1]) if row else None


def acknowledged(tx: sqlite3.Connection, jti: str, k: str, prob: str | None) -> tuple[str, str | None] | None:
    """What a signed receipt said of a letter; an end takes every sealing of it away.

    Returns (dest, leg) of a letter, None of any other message.
    """
    ended = k != "stored"
    row = tx.execute(
        "UPDATE letter SET k = ?1, prob = ?2, salt = CASE WHEN ?3 THEN NULL ELSE salt END,"
        " raw = CASE WHEN ?3 THEN NULL ELSE raw END WHERE jti = ?4 RETURNING dest, leg",
        (k, prob, ended, jti),
    ).fetchone()
    if row is not None and ended:
        tx.execute("DELETE FROM outgoing WHERE jti = ?", (jti,))
    return (row[0], row[1]) if row else None


def fate(db: sqlite3.Connection, jti: str) -> tuple[str | None, str | None]:
    """(k, prob) of a letter: how far it got; (None, None) while nothing is known."""
    row = db.execute("SELECT k, prob FROM letter WHERE jti = ?", (jti,)).fetchone()
    return (row[0], row[1]) if row else (None, None)
