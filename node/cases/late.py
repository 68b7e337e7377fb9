"""What waits too long, on either side, in words and with the command that moves it; reminders of the periodic tick.

Only codes and times of the skeleton, and the time of an appointment: no person. What is erased, or only kept (GDPR 18),
is nobody's to do: it stands in the lists of cases with that mark, not here. The sender counts on its own clock
from "inviata", the receiver from when the offer was durable here; both use the calendar of the receiver's comune.
"""

import sqlite3
from typing import Final, NamedTuple

import msgspec

from node.answers import Late
from node.cases import standing
from node.context import Context
from node.exchange.log import LegRow, leg_row, listed
from node.exchange.outbox import raise_alarm
from protocol.limits import DAY, LONG_WAIT, TOLD_AFTER
from schemas.bodies import EventBody

STILL_NEEDED: Final = "still-needed"
"""Reason of an `ask`: does the person still need it? A machine-readable question; the text says the same."""
QUESTION: Final = "La persona ne ha ancora bisogno?"
YES: Final = "Sì, ne ha ancora bisogno."
_CANCELLED: Final = "SELECT MAX(at), MAX(n) FROM event WHERE leg = ? AND writer = 'S' AND kind = 'cancel'"
_WAITS: Final = "SELECT MAX(at), MAX(n) FROM event WHERE leg = ? AND writer = 'R' AND kind IN ('waitlist', 'ask')"
# Few of many: on a waiting list of ours, or with an appointment somebody else made.
_MAY_REMIND: Final = (
    "SELECT leg FROM leg WHERE side = 'R' AND state = 'waiting' UNION ALL SELECT leg FROM leg WHERE side = 'S' AND"
    " state IN ('accepted', 'waiting', 'in-charge', 'cancel-requested') AND EXISTS (SELECT 1 FROM event WHERE"
    " event.leg = leg.leg AND writer = 'R' AND kind IN ('appointment', 'rescheduled'))"
)


class Why(NamedTuple):
    """What waits and what a person can do, in Italian; `command` is the verb that moves it, '' for the telephone."""

    words: str
    todo: str
    command: str = ""


WHYS: Final[dict[str, Why]] = {
    # received
    "open": Why("Nessuno l'ha ancora aperto", "Aprirlo e rispondere.", "open"),
    "answer": Why(
        "Aspetta la nostra risposta", "Accogliere, chiedere altro, non accogliere, indicare altri.", "accept"
    ),
    "stop": Why("Chi ha inviato chiede di fermarsi", "Fermarsi, proseguire o concludere.", "release"),
    "waiting": Why("In lista da molto", "Chiedere se la persona ne ha ancora bisogno.", "still-needed"),
    # sent
    "not-stored": Why("Non risulta arrivato", "Telefonare all'ufficio; si continua a spedire da soli."),
    "not-opened": Why("Nessuno l'ha ancora aperto", "Telefonare all'ufficio."),
    "not-answered": Why(
        "Nessuna risposta entro il termine", "Telefonare all'ufficio, oppure ritirare l'invio.", "cancel"
    ),
    "question": Why("L'ufficio aspetta informazioni", "Rispondere.", "answer"),
    "needed": Why("L'ufficio chiede se serve ancora", "Sentire la persona, poi dire sì o no.", "needed"),
    "not-arrived": Why("Non si sa se la persona è arrivata", "Sentire la persona o l'ufficio."),
}


def waiting_days(ctx: Context) -> int:
    """After how many days on a waiting list the receiver is reminded: the network's number, else the usual one."""
    said = ctx.membership.policy.waiting_days
    return said if isinstance(said, int) else LONG_WAIT


def late(db: sqlite3.Connection, ctx: Context) -> list[Late]:
    """Everything that waits too long now, what has waited longest first."""
    now = ctx.clock.now()
    found = [
        one
        for row in listed(db, side=None, finished=False)
        if row.side != "L" and standing.is_free(db, row) and (one := _late(db, ctx, row, now)) is not None
    ]
    return sorted(found, key=lambda one: (one.since, one.leg))


def remind(tx: sqlite3.Connection, ctx: Context) -> int:
    """Alarms of the tick for what no other rule tells: a long wait, an appointment nobody spoke of since. Once each."""
    now = ctx.clock.now()
    told = 0
    for (leg,) in tx.execute(_MAY_REMIND).fetchall():
        row = leg_row(tx, leg)
        one = _late(tx, ctx, row, now) if row and standing.is_free(tx, row) else None
        if row and one and one.why in ("waiting", "not-arrived"):
            raise_alarm(tx, now, STILL_NEEDED if one.why == "waiting" else one.why, row.peer, row.leg, one.n)
            told += 1
    return told


def _late(db: sqlite3.Connection, ctx: Context, row: LegRow, now: int) -> Late | None:
    found = _received(db, ctx, row, now) if row.side == "R" else _sent(db, ctx, row, now)
    if found is None:
        return None
    why, since, n = found
    member = ctx.member(row.peer)
    phone = member.admission.contact.phone if member and member.admission.contact else None
    said = WHYS[why]
    return Late(
        leg=row.leg, side=row.side, peer=row.peer, peer_name=member.name if member else row.peer,
        referral=row.referral, urgency=row.urgency, why=why, words=said.words, todo=said.todo, command=said.command,
        since=since, phone=phone or None, n=n,
    )  # fmt: skip


Found = tuple[str, int, int]


def _received(db: sqlite3.Connection, ctx: Context, row: LegRow, now: int) -> Found | None:
    if row.state == "offered":
        due = row.ack_by or row.respond_by
        return ("open", due, 1) if due is not None and now > due else None
    if row.state in ("opened", "asked"):
        return ("answer", row.respond_by, 1) if row.respond_by is not None and now > row.respond_by else None
    if row.state == "cancel-requested":
        at, n = db.execute(_CANCELLED, (row.leg,)).fetchone()
        return ("stop", at, n) if now > at + DAY else None
    if row.state == "waiting":
        at, n = db.execute(_WAITS, (row.leg,)).fetchone()
        return ("waiting", at, n) if now > at + waiting_days(ctx) * DAY else None
    return None


def _sent(db: sqlite3.Connection, ctx: Context, row: LegRow, now: int) -> Found | None:
    if row.state == "offered":
        due = row.alarm_at if row.alarm_at is not None else row.created + TOLD_AFTER
        if row.stored_at is None:
            stored_by = min(row.created + TOLD_AFTER, due)
            return ("not-stored", stored_by, 1) if now > stored_by else None
        return ("not-opened", due, 1) if now > due else None
    question = _question(db, ctx, row)
    if question is not None:
        return question
    if row.state in ("opened", "asked"):
        return ("not-answered", row.respond_by, 1) if row.respond_by is not None and now > row.respond_by else None
    return _not_arrived(db, ctx, row, now)


def _question(db: sqlite3.Connection, ctx: Context, row: LegRow) -> Found | None:
    """An `ask` that no answer of ours has seen; it waits for us from the moment it came."""
    asked = db.execute(
        "SELECT n, at, reason FROM event WHERE leg = ? AND writer = 'R' AND kind = 'ask' ORDER BY n DESC LIMIT 1",
        (row.leg,),
    ).fetchone()
    if asked is None or row.state not in ("asked", "accepted", "waiting", "in-charge"):
        return None
    n, at, reason = asked
    if db.execute(
        "SELECT 1 FROM event WHERE leg = ? AND writer = 'S' AND kind IN ('answer', 'cancel') AND seen >= ?",
        (row.leg, n),
    ).fetchone():
        return None
    return ("needed" if reason == STILL_NEEDED else "question", int(at), int(n))


def _not_arrived(db: sqlite3.Connection, ctx: Context, row: LegRow, now: int) -> Found | None:
    """The day after an appointment nobody said a word about since (F003-04)."""
    last = db.execute(
        "SELECT n, kind, jti, sealed FROM event WHERE leg = ? AND writer = 'R' AND kind IN"
        " ('appointment', 'rescheduled', 'missed', 'arrived') ORDER BY n DESC LIMIT 1",
        (row.leg,),
    ).fetchone()
    if last is None or last[1] not in ("appointment", "rescheduled") or last[3] is None:
        return None
    n, _, jti, sealed = last
    key = ctx.case_keys.obtain(db, row.case_id)
    body = msgspec.json.decode(ctx.case_keys.open(key, f"{row.leg}|R|{n}|{jti}", sealed)[32:], type=EventBody)
    when = body.when if isinstance(body.when, int) else None
    return ("not-arrived", when, int(n)) if when is not None and now > when + DAY else None
