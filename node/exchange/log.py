"""The two logs of a leg in the store: reading them, appending to them, folding them. Not what travels."""

import sqlite3
from typing import Final, NamedTuple

from protocol.errors import ProtocolError
from protocol.referral import Event, Leg, fold

_SELECT = (
    "SELECT leg, side, peer, case_id, state, s_count, r_count, referral, urgency, created, changed, stored_at, ack_by,"
    " respond_by, alarm_at, desk_from, desk_to, parent, linked_from FROM leg "
)

SHORTEST: Final = 4  # characters of an identifier that may stand for the whole


class LegRow(NamedTuple):
    """One row of `leg`."""

    leg: str
    side: str
    peer: str
    case_id: str
    state: str
    s_count: int
    r_count: int
    referral: str
    urgency: str
    created: int
    changed: int
    stored_at: int | None
    ack_by: int | None
    respond_by: int | None
    alarm_at: int | None
    desk_from: str | None
    desk_to: str | None
    parent: str | None
    linked_from: str | None


class Entry(NamedTuple):
    """One row of `event`, as written: the skeleton, the outer signature, salt and body sealed at rest."""

    leg: str
    writer: str
    n: int
    jti: str
    kind: str
    seen: int
    reason: str | None
    outcome: str | None
    cm: str
    voids: str | None
    at: int
    by_code: str | None
    e: str
    sealed: bytes | None
    mid: str | None


OFFERED: Final = fold([Event("S", 1, "offer", 0)], [])
"""A leg that holds its offer and nothing else."""


def find_leg(db: sqlite3.Connection, text: str) -> str:
    """The referral meant by its identifier, or by an end of it: people see the last eight characters (ADR 0024).

    Raises unknown-case.
    """
    wanted = text.strip().lower()
    if len(wanted) < SHORTEST or not all(char in "0123456789abcdef-" for char in wanted):
        raise ProtocolError("unknown-case", expected=f"at least {SHORTEST} characters of its code")
    rows = (
        db.execute("SELECT leg FROM leg WHERE leg = ?", (wanted,)).fetchall()
        or db.execute(
            "SELECT leg FROM leg WHERE substr(leg, -?2) = ?1 OR substr(leg, 1, ?2) = ?1 LIMIT 2", (wanted, len(wanted))
        ).fetchall()
    )
    if len(rows) != 1:
        raise ProtocolError("unknown-case", expected="a code that names one referral", got=f"{len(rows)} found")
    return str(rows[0][0])


def leg_row(db: sqlite3.Connection, leg: str) -> LegRow | None:
    """The leg, or None."""
    row = db.execute(_SELECT + "WHERE leg = ?", (leg,)).fetchone()
    return LegRow(*row) if row else None


def listed(db: sqlite3.Connection, *, side: str | None, finished: bool) -> list[LegRow]:
    """Legs for a list, what is due first. `side`: S, R, L or None for all; `finished` includes what is over."""
    rows = db.execute(
        _SELECT + "WHERE state != 'none' AND (:side IS NULL OR side = :side) AND (:finished OR state IN"
        " ('offered', 'opened', 'asked', 'accepted', 'waiting', 'in-charge', 'cancel-requested', 'redirected'))"
        " ORDER BY COALESCE(respond_by, alarm_at, created), created, leg",
        {"side": side, "finished": finished},
    )
    return [LegRow(*row) for row in rows]


def insert_leg(tx: sqlite3.Connection, row: LegRow) -> None:
    """A new leg."""
    tx.execute("INSERT INTO leg VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", row)


def describe_leg(tx: sqlite3.Connection, begun: LegRow) -> None:
    """The columns lists are sorted by, of a leg whose offer came after a later event."""
    tx.execute(
        "UPDATE leg SET referral = ?, urgency = ?, stored_at = ?, ack_by = ?, respond_by = ?, desk_from = ?,"
        " parent = ?, linked_from = ? WHERE leg = ?",
        (begun.referral, begun.urgency, begun.stored_at, begun.ack_by, begun.respond_by, begun.desk_from, begun.parent,
         begun.linked_from, begun.leg),
    )  # fmt: skip


def insert_event(tx: sqlite3.Connection, entry: Entry) -> None:
    """Appends to a log; the caller folds afterwards."""
    tx.execute(
        "INSERT INTO event (leg, writer, n, jti, kind, seen, reason, outcome, cm, voids, at, by_code, e, sealed, mid)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        entry,
    )


def logs(db: sqlite3.Connection, leg: str) -> tuple[list[Event], list[Event]]:
    """(S's log, R's log) as held, in order of n; voids and what they name both included."""
    s_log: list[Event] = []
    r_log: list[Event] = []
    for row in db.execute(
        "SELECT writer, n, kind, seen, reason, outcome, cm, voids FROM event WHERE leg = ? ORDER BY n, rowid", (leg,)
    ):
        (s_log if row[0] == "S" else r_log).append(Event(*row))
    return s_log, r_log


def next_n(db: sqlite3.Connection, leg: str, writer: str, applied: int) -> int:
    """The number of our next event: our own log has no gaps, so it follows the last one applied."""
    top = db.execute("SELECT MAX(n) FROM event WHERE leg = ? AND writer = ?", (leg, writer)).fetchone()[0] or 0
    return max(int(top), applied) + 1


def refold(tx: sqlite3.Connection, leg: str, now: int) -> Leg:
    """Folds what is held and writes the result beside the leg."""
    folded = fold(*logs(tx, leg))
    tx.execute(
        "UPDATE leg SET state = ?, s_count = ?, r_count = ?, changed = ? WHERE leg = ?",
        (folded.state, folded.s_count, folded.r_count, now, leg),
    )
    return folded
