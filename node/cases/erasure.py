"""Erasing, recalling, keeping no longer than allowed, putting right, limiting: the rights of the person at a desk.

GDPR 16, 17, 18, 33. Commands; what they do to a leg is node.exchange.erasing. Every one is in the access log.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from node.answers import Done
from node.cases import operators, standing
from node.cases.desk import act, bodies, latest_offer, may_write
from node.context import Context
from node.exchange import erasing
from node.exchange.erased import legs_of_case, tombstone
from node.exchange.log import LegRow, leg_row, logs
from node.requests import Act, AnswerErase, Erase, Limit, Recall, Rectify, Retention
from node.runtime.config import RetentionConfig
from node.vault import access
from protocol.calendar_it import ROME
from protocol.contents import is_personal
from protocol.errors import ProtocolError
from protocol.referral import TERMINALS, has_gap
from schemas.bodies import Offer, Person

ERASE_REASONS: Final[Mapping[str, str]] = {
    "data-subject": "lo chiede la persona (GDPR art. 17, par. 1)",
    "not-needed": "i dati non servono più (art. 17, par. 1, lett. a)",
    "unlawful": "trattamento illecito (art. 17, par. 1, lett. d)",
    "court-order": "obbligo di legge o provvedimento (art. 17, par. 1, lett. e)",
}
BEFORE_THE_DUTY: Final = frozenset({"unlawful", "court-order"})
"""Reasons that no duty to keep stands against."""
REFUSALS: Final[Mapping[str, str]] = {
    "retention-duty": "obbligo di conservazione (GDPR art. 17, par. 3, lett. b)",
    "archive": "archivio nel pubblico interesse (art. 17, par. 3, lett. d)",
    "legal-claim": "accertamento o difesa di un diritto (art. 17, par. 3, lett. e)",
}
LIMIT_REASONS: Final[Mapping[str, str]] = {
    "accuracy": "la persona contesta l'esattezza dei dati (GDPR art. 18, par. 1, lett. a)",
    "unlawful": "illecito, ma la persona non vuole che si cancelli (lett. b)",
    "legal-claim": "servono alla persona per difendere un diritto (lett. c)",
    "objection": "la persona si è opposta, si verifica (lett. d)",
}
AT_ONCE: Final = 200
"""Cases erased in one transaction of a retention run; the rest waits for the next."""


class Erased(Struct, frozen=True):
    """What an erasure left: the referrals whose content is gone, those whose other office was asked."""

    legs: list[str]
    asked: list[str]


class Answered(Struct, frozen=True):
    """The referral, and whether it was erased."""

    leg: str
    erased: bool


class Recalled(Struct, frozen=True, kw_only=True):
    """A recall: whether it is certain that nobody received it, who had opened it as far as known, the breach draft."""

    leg: str
    unread: bool
    state: str
    opened_by: str | None = None
    opened_at: int | None = None
    draft: str


class Old(Struct, frozen=True):
    """A case a retention run is about: no person."""

    leg: str
    peer: str
    state: str
    ended: int


class Kept(Struct, frozen=True, kw_only=True):
    """A retention run: cases that ended before `before`, how many more there are, whether they were erased."""

    before: int
    cases: list[Old]
    left: int
    erased: bool


class Limited(Struct, frozen=True):
    """A case and whether its processing is limited now."""

    leg: str
    limited: bool


# -- erasing


def erase(tx: sqlite3.Connection, ctx: Context, request: Erase, keep: RetentionConfig) -> Erased:
    """Raises unknown-code, retention-duty, limited, illegal-event (ours in charge: close it first), forward-open."""
    leg = _leg(tx, request.leg)
    operators.require(tx, request.as_, "erase", leg.leg)
    if request.reason not in ERASE_REASONS:
        raise ProtocolError("unknown-code", field="reason", expected=" ".join(ERASE_REASONS), got=request.reason)
    _plain_basis(request.basis)
    may_write(tx, ctx)
    if request.reason not in BEFORE_THE_DUTY:
        _no_duty(tx, ctx, leg, erasing.case_of(tx, leg), keep)
    _log(tx, ctx, leg, request.as_, "erase")
    asked = erasing.erase_case(
        tx, ctx, leg, reason=request.reason, by=request.as_, basis=request.basis, ask=not request.here_only
    )
    return Erased(legs_of_case(tx, leg.case_id), asked)


def _no_duty(db: sqlite3.Connection, ctx: Context, leg: LegRow, rows: Sequence[LegRow], keep: RetentionConfig) -> None:
    """A limited case is kept because somebody wants it kept; one taken in charge here is the body's own papers."""
    if standing.limitation(db, leg.case_id) is not None:
        raise ProtocolError("limited")
    now = ctx.clock.now()
    for row in rows:
        if tombstone(db, row.leg) is None and erasing.taken_in_charge(db, row):
            until = months_after(row.changed if row.state in TERMINALS else now, keep.keep)
            if now < until:
                raise ProtocolError("retention-duty", expected=f"from {_day(until)}")


def _plain_basis(text: str) -> None:
    """It stays when everything else is gone: the number of an act, never a person."""
    if is_personal(text):
        raise ProtocolError("bad-shape", field="basis", expected="the number of an act, no person")


def answer(tx: sqlite3.Connection, ctx: Context, request: AnswerErase, keep: RetentionConfig) -> Answered:
    """Answers a peer's request. Raises not-asked, unknown-code, retention-duty, illegal-event, forward-open."""
    leg = _leg(tx, request.leg)
    operators.require(tx, request.as_, "erase-answer", leg.leg)
    may_write(tx, ctx)
    waiting = erasing.waiting(tx, leg.leg)
    if not waiting:
        raise ProtocolError("not-asked")
    if request.basis is not None:
        _plain_basis(request.basis)
    if not request.accept:
        if request.reason is None or request.reason not in REFUSALS:
            raise ProtocolError("unknown-code", field="reason", expected=" ".join(REFUSALS), got=request.reason)
        _log(tx, ctx, leg, request.as_, "erase-refused")
        erasing.refuse(tx, ctx, leg, request.reason)
        return Answered(leg.leg, False)
    if {held.reason for held in waiting} - BEFORE_THE_DUTY - {erasing.WRONG_RECIPIENT}:
        _no_duty(tx, ctx, leg, erasing.came_of(tx, leg), keep)
    _log(tx, ctx, leg, request.as_, "erase")
    erasing.accept(tx, ctx, leg, by=request.as_, basis=request.basis)
    return Answered(leg.leg, True)


# -- the wrong recipient


def recall(tx: sqlite3.Connection, ctx: Context, request: Recall, *, unread: bool = False) -> Recalled:
    """Recalls a referral of ours. `unread`: the relays gave it back unopened, so that nobody has to be asked."""
    leg = _leg(tx, request.leg)
    operators.require(tx, request.as_, "recall", leg.leg)
    if leg.side != "S":
        raise ProtocolError("illegal-event", field="leg", expected="a referral that was sent")
    draft = breach_draft(tx, ctx, leg)
    _log(tx, ctx, leg, request.as_, "recall")
    if not unread:
        may_write(tx, ctx)
        erasing.recall(tx, ctx, leg, by=request.as_)
    seen = next(
        ((by, at) for by, at in tx.execute(
            "SELECT by_code, at FROM event WHERE leg = ? AND writer = 'R' AND kind = 'open' ORDER BY n LIMIT 1",
            (leg.leg,),
        )),
        (None, None),
    )  # fmt: skip
    state = tx.execute("SELECT state FROM leg WHERE leg = ?", (leg.leg,)).fetchone()[0]
    return Recalled(leg=leg.leg, unread=unread, state=state, opened_by=seen[0], opened_at=seen[1], draft=draft)


def breach_draft(db: sqlite3.Connection, ctx: Context, leg: LegRow) -> str:
    """What the data protection officer needs within 72 hours (GDPR 33), as text; sent by nobody. Empty when erased."""
    content = bodies(db, ctx, leg)
    offers = [body.offer for _, body in content if isinstance(body.offer, Offer)]
    if not offers:
        return ""
    now = ctx.clock.now()
    member = ctx.member(leg.peer)
    got = db.execute("SELECT st, k FROM event WHERE leg = ? AND writer = 'S' AND n = 1", (leg.leg,)).fetchone()
    opened = db.execute(
        "SELECT at, by_code FROM event WHERE leg = ? AND writer = 'R' AND kind = 'open'", (leg.leg,)
    ).fetchone()
    kinds = sorted({title for offer in offers for title in _kinds_of(offer)})
    lines = [
        "BOZZA DI VALUTAZIONE DI UNA VIOLAZIONE DI DATI PERSONALI (GDPR artt. 33 e 34)",
        "Bozza preparata dal programma: nessuno l'ha inviata.",
        "Da completare con il responsabile della protezione dei dati.",
        "",
        f"Conosciuta il: {_time(now)}",
        f"Termine per la notifica al Garante (72 ore): {_time(now + 72 * 3600)}",
        "",
        "Che cosa è successo: un invio è stato mandato all'ufficio sbagliato ed è stato richiamato.",
        f"Invio: {leg.leg}",
        f"Mandato il: {_time(leg.created)}",
        f"Destinatario: {member.name if member else leg.peer} ({leg.peer})",
        f"Arrivato il: {_time(got[0]) if got and got[0] else 'non risulta'}",
        f"Aperto da una persona: {f'sì, il {_time(opened[0])} ({opened[1]})' if opened else 'non risulta'}",
        "",
        "Persone interessate: " + ("; ".join(dict.fromkeys(filter(None, map(_name, offers)))) or "nessuna indicata"),
        "Dati comunicati: " + (", ".join(kinds) or "nessun dato della persona"),
        "Rimedi: invio ritirato; chiesta la cancellazione, con conferma firmata (si vede con «erasures»).",
        "",
        "Da valutare: probabilità e gravità delle conseguenze.",
        "Se il rischio è elevato, comunicarlo alle persone interessate (art. 34).",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _name(offer: Offer) -> str:
    if not isinstance(offer.person, Person):
        return ""
    parts = (offer.person.given_name, offer.person.family_name)
    known = " ".join(part for part in parts if isinstance(part, str))
    return known or "una persona non nominata"


def _kinds_of(offer: Offer) -> list[str]:
    found = []
    if isinstance(offer.person, Person):
        given = [name for name in offer.person.__struct_fields__ if getattr(offer.person, name) is not UNSET]
        found += ["identità e recapiti"] if given else []
    found += ["dati sulla salute"] if offer.health else []
    found += ["chi segnala"] if offer.reporter else []
    found += ["il gruppo o l'ente che chiede"] if offer.requester else []
    return found + (["descrizione del bisogno"] if offer.description or offer.active_services else [])


# -- retention


def retention(tx: sqlite3.Connection, ctx: Context, request: Retention, keep: RetentionConfig) -> Kept:
    """Cases over for longer than they may be kept; erased when `apply`. Asks no other office: each keeps its own terms.

    Raises config-missing when neither the request nor the configuration says how long, retention-duty below `keep`.
    """
    operators.require(tx, request.as_, "retention")
    months = request.months or keep.erase_after
    if months is None:
        raise ProtocolError("config-missing", field="retention.erase_after")
    now = ctx.clock.now()
    before = months_after(now, -months)
    due = [leg for leg in _ended_before(tx, before) if _may_go(tx, leg, now, keep)]
    chosen = due[:AT_ONCE]
    if request.apply:
        may_write(tx, ctx)
        for leg in chosen:
            _log(tx, ctx, leg, request.as_, "erase")
            erasing.erase_case(tx, ctx, leg, reason="retention", by=request.as_, basis=None, ask=False)
    cases = [Old(leg.leg, leg.peer, leg.state, leg.changed) for leg in chosen]
    return Kept(before=before, cases=cases, left=len(due) - len(chosen), erased=request.apply)


def _ended_before(db: sqlite3.Connection, before: int) -> list[LegRow]:
    """One leg a case, the oldest first: those under which the case began."""
    marks = ",".join("?" * len(TERMINALS))
    rows = db.execute(
        f"SELECT leg FROM leg WHERE changed < ? AND leg = case_id AND state IN ({marks})"  # noqa: S608 - marks only
        " AND NOT EXISTS (SELECT 1 FROM erased WHERE erased.leg = leg.leg) ORDER BY changed, leg",
        (before, *TERMINALS),
    ).fetchall()
    return [row for (leg,) in rows if (row := leg_row(db, leg)) is not None]


def _may_go(db: sqlite3.Connection, leg: LegRow, now: int, keep: RetentionConfig) -> bool:
    """Every leg of the case is over, nothing of it is on its way, nobody limited it, no duty holds."""
    if standing.limitation(db, leg.case_id) is not None:
        return False
    for row in erasing.case_of(db, leg):
        if row.state not in TERMINALS or any(map(has_gap, logs(db, row.leg))):
            return False
        if db.execute("SELECT 1 FROM outgoing WHERE leg = ? AND s IS NOT NULL", (row.leg,)).fetchone():
            return False
        if erasing.taken_in_charge(db, row) and now < months_after(row.changed, keep.keep):
            return False
    return True


def months_after(at: int, months: int) -> int:
    """The same day and hour so many months later (or earlier), or the month's last day; wall time in Italy."""
    day = datetime.fromtimestamp(at, ROME)
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return int(day.replace(year=year, month=month + 1, day=min(day.day, last)).timestamp())
        except ValueError:
            continue
    raise ProtocolError("bad-shape", field="months")


# -- putting right, limiting


def rectify(tx: sqlite3.Connection, ctx: Context, request: Rectify) -> Done:
    """The sender's correction travels as an amendment, the receiver's as a note. Raises what `act` raises."""
    leg = _leg(tx, request.leg)
    operators.require(tx, request.as_, "rectify", leg.leg)
    if leg.side == "R":
        if request.text is None or request.person is not None or request.description is not None:
            raise ProtocolError("bad-shape", field="text", expected="what is right, for whoever sent it")
        done = act(tx, ctx, Act(leg=leg.leg, ev="noted", as_=request.as_, text=request.text))
    else:
        if request.person is None and request.description is None:
            raise ProtocolError("bad-shape", field="person", expected="what is right")
        offer = _corrected(latest_offer(tx, ctx, leg), request)
        amend = Act(leg=leg.leg, ev="amend", as_=request.as_, offer=offer, side="S" if leg.side == "L" else None)
        done = act(tx, ctx, amend, correcting=True)
        if request.erase_old:
            erasing.forget_versions(tx, ctx, leg, done.n)
            if leg.side == "S":
                erasing.request(tx, ctx, leg, reason=erasing.RECTIFIED, by=request.as_, upto=done.n)
    _log(tx, ctx, leg, request.as_, "rectify")
    return done


def _corrected(offer: Offer, request: Rectify) -> Offer:
    person = offer.person if isinstance(offer.person, Person) else Person()
    if request.person is not None:
        given = {
            name: value for name in Person.__struct_fields__ if (value := getattr(request.person, name)) is not UNSET
        }
        offer = msgspec.structs.replace(offer, person=msgspec.structs.replace(person, **given))
    if request.description is not None:
        offer = msgspec.structs.replace(offer, description=request.description)
    return offer


def limit(tx: sqlite3.Connection, ctx: Context, request: Limit) -> Limited:
    """Marks a case, or lifts the mark. Raises unknown-code, erased."""
    leg = _leg(tx, request.leg)
    operators.require(tx, request.as_, "limit", leg.leg)
    if request.reason is None:
        tx.execute("DELETE FROM limitation WHERE case_id = ?", (leg.case_id,))
        _log(tx, ctx, leg, request.as_, "limit-lifted")
        return Limited(leg.leg, False)
    if request.reason not in LIMIT_REASONS:
        raise ProtocolError("unknown-code", field="reason", expected=" ".join(LIMIT_REASONS), got=request.reason)
    if tombstone(tx, leg.leg) is not None:
        raise ProtocolError("erased")
    tx.execute(
        "INSERT INTO limitation VALUES (?,?,?,?) ON CONFLICT (case_id) DO UPDATE SET reason = excluded.reason",
        (leg.case_id, ctx.clock.now(), request.reason, request.as_),
    )
    _log(tx, ctx, leg, request.as_, "limit")
    return Limited(leg.leg, True)


def _leg(db: sqlite3.Connection, leg: str) -> LegRow:
    row = leg_row(db, leg)
    if row is None:
        raise ProtocolError("unknown-case", got=leg)
    return row


def _log(tx: sqlite3.Connection, ctx: Context, leg: LegRow, as_: str, action: str) -> None:
    access.record(tx, access.Access(ctx.clock.now(), as_, action, leg.case_id, leg.leg))


def _time(at: int) -> str:
    return f"{datetime.fromtimestamp(at, ROME):%d/%m/%Y %H:%M}"


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at, ROME):%Y-%m-%d}"
