"""What is erased here, and what is left of it: the skeleton. Not the messages about it (node.exchange.erasing).

Kept of an event: leg, writer, n, seen, kind, the codes the fold reads, jti, cm, mid, times (PROTOCOL §6). Gone: salt
and body, the outer signature, the writer's code. An event of ours that ends the leg, or stands in another's place,
keeps its body until its signed end: it still has to travel, and may have to be sealed again.
"""

import sqlite3
from typing import Final, NamedTuple

from node.context import Context, set_setting
from node.exchange import blobs
from node.runtime.migrations import script

MIGRATIONS = (
    script(
        "exchange_erased_001",
        """
-- Legs erased here. `peer`: who asked before we held anything of it; NULL: our own. `listed`: it stands in erased.list.
CREATE TABLE erased (
  leg TEXT PRIMARY KEY, peer TEXT, at INTEGER NOT NULL, reason TEXT NOT NULL, basis TEXT, by_code TEXT,
  listed INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX erased_unlisted ON erased (leg) WHERE listed = 0;

-- Single events whose body is to go though the leg stays: versions that were put right.
CREATE TABLE erased_event (leg TEXT NOT NULL, writer TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (leg, writer, n))
  WITHOUT ROWID;

-- Requests, ours (own = 1) and theirs, and what was answered to them.
CREATE TABLE erasure_request (
  jti TEXT PRIMARY KEY, leg TEXT NOT NULL, peer TEXT NOT NULL, own INTEGER NOT NULL, reason TEXT NOT NULL, upto INTEGER,
  at INTEGER NOT NULL, by_code TEXT, answer TEXT, answer_reason TEXT, answered_at INTEGER, opened_by TEXT,
  opened_at INTEGER
) WITHOUT ROWID;
CREATE INDEX erasure_request_leg ON erasure_request (leg);

-- The other legs of a case: hand-overs inside the body.
CREATE INDEX leg_of_case ON leg (case_id) WHERE case_id != leg;

-- Who opened a leg is asked after its content is gone.
CREATE INDEX access_log_leg ON access_log (leg);
""",
    ),
)
TRUNCATE: Final = "truncate_wal"
"""The setting that says: bytes that are gone from the tables still lie in the WAL. Cleared by `erased_list.tidy`."""


class Tombstone(NamedTuple):
    """One erased leg."""

    leg: str
    peer: str | None
    at: int
    reason: str
    basis: str | None
    by_code: str | None


def tombstone(db: sqlite3.Connection, leg: str) -> Tombstone | None:
    """What is left to say of an erased leg, or None when it is not erased."""
    row = db.execute("SELECT leg, peer, at, reason, basis, by_code FROM erased WHERE leg = ?", (leg,)).fetchone()
    return Tombstone(*row) if row else None


def is_erased(db: sqlite3.Connection, leg: str, peer: str) -> bool:
    """True when nothing of this leg may be kept but its skeleton; another member's request says nothing of `peer`."""
    row = db.execute("SELECT peer FROM erased WHERE leg = ?", (leg,)).fetchone()
    return row is not None and row[0] in (None, peer)


def mark(tx: sqlite3.Connection, stone: Tombstone) -> None:
    """From now on only the skeleton of this leg is kept; the first erasure stays the one told of."""
    tx.execute(
        "INSERT INTO erased (leg, peer, at, reason, basis, by_code) VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING", stone
    )


def settle(tx: sqlite3.Connection, ctx: Context, leg: str) -> None:
    """Takes away what is left of the content, except bodies that still have to travel; the case key with the last one.

    Repeated at every acknowledgement of such a leg, so that the last of it goes with its signed end.
    """
    whole = tombstone(tx, leg) is not None
    gone = tx.execute(
        "UPDATE event SET sealed = NULL, e = '', by_code = NULL WHERE leg = ?1 AND (sealed IS NOT NULL OR e != ''"
        " OR by_code IS NOT NULL) AND (?2 OR EXISTS (SELECT 1 FROM erased_event AS x WHERE x.leg = event.leg"
        " AND x.writer = event.writer AND x.n = event.n)) AND NOT EXISTS (SELECT 1 FROM outgoing"
        " WHERE outgoing.mid IN (event.mid, event.jti) AND outgoing.s IS NOT NULL)",
        (leg, whole),
    ).rowcount
    if whole:
        gone += tx.execute(
            "UPDATE leg SET desk_from = NULL, desk_to = NULL WHERE leg = ?"
            " AND (desk_from IS NOT NULL OR desk_to IS NOT NULL)",
            (leg,),
        ).rowcount
        gone += blobs.forget(tx, leg)
        gone += tx.execute("DELETE FROM routing_choice WHERE leg = ?", (leg,)).rowcount
        gone += tx.execute("DELETE FROM aside WHERE jti IN (SELECT jti FROM event WHERE leg = ?)", (leg,)).rowcount
        _forget_key(tx, ctx, leg)
    if gone:
        set_setting(tx, TRUNCATE, "1")


def settle_changed(tx: sqlite3.Connection, ctx: Context, legs: list[str]) -> None:
    """After a receipt: what has come to its end goes, of those legs of which something was to go."""
    for leg in dict.fromkeys(legs):
        if tx.execute(
            "SELECT 1 FROM erased WHERE leg = ?1 UNION ALL SELECT 1 FROM erased_event WHERE leg = ?1", (leg,)
        ).fetchone():
            settle(tx, ctx, leg)


def legs_of_case(db: sqlite3.Connection, case_id: str) -> list[str]:
    """Every leg under one case key: the one received or sent, its hand-overs, the referrals it was forwarded as."""
    rows = db.execute(
        "SELECT leg FROM leg WHERE leg = ?1 AND case_id = ?1 UNION SELECT leg FROM leg WHERE case_id = ?1"
        " AND case_id != leg",
        (case_id,),
    )
    return sorted(str(row[0]) for row in rows)


def _forget_key(tx: sqlite3.Connection, ctx: Context, leg: str) -> None:
    row = tx.execute("SELECT case_id FROM leg WHERE leg = ?", (leg,)).fetchone()
    if row is None:
        return
    for other in legs_of_case(tx, row[0]):
        if tombstone(tx, other) is None:
            return
        if tx.execute("SELECT 1 FROM event WHERE leg = ? AND sealed IS NOT NULL", (other,)).fetchone():
            return
    ctx.case_keys.forget(tx, row[0])


def unlisted(db: sqlite3.Connection) -> list[tuple[str, int]]:
    """(leg, at) of what does not stand in erased.list yet."""
    return [(row[0], row[1]) for row in db.execute("SELECT leg, at FROM erased WHERE listed = 0 ORDER BY at, leg")]


def listed(tx: sqlite3.Connection, legs: list[str]) -> None:
    """These lines are on disk."""
    tx.executemany("UPDATE erased SET listed = 1 WHERE leg = ?", [(leg,) for leg in legs])
