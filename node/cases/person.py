"""Everything held about one person, found by opening one case after another: no index of persons exists, nor is made.

GDPR 15. The search reads; `log` writes what was found to the access log, in the transaction before anybody sees it.
"""

import sqlite3
import unicodedata
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from node.answers import Choice
from node.cases import operators, standing
from node.cases.choices import choices_of
from node.cases.desk import bodies
from node.cases.erasure import months_after
from node.context import Context
from node.exchange.erasing import requests
from node.exchange.log import LegRow, leg_row
from node.requests import FindPerson
from node.runtime.config import RetentionConfig
from node.vault import access
from protocol.errors import ProtocolError
from protocol.referral import TERMINALS
from schemas.bodies import EventBody, Offer, Person

_TEXTS: Final = ("description", "active_services", "callback")


class Said(Struct, frozen=True, omit_defaults=True):
    """One step of a case, with the words in it: who wrote it (S sender, R receiver), when it was stored here."""

    writer: str
    n: int
    ev: str
    at: int
    text: str | None = None
    reason: str | None = None
    outcome: str | None = None
    ref: str | None = None
    when: int | None = None


class Opening(Struct, frozen=True):
    """Who of this body did what with the case, and when."""

    at: int
    operator: str
    action: str


class HeldCase(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One case about the person: with whom it is shared, on which basis, what it says, who opened it, until when.

    `side`: R received from `peer`, S sent to it, L between two desks here. `versions`: the sheet and its amendments.
    `choices`: to whom it was passed on, of whom, and why.
    """

    leg: str
    side: str
    peer: str
    peer_name: str
    state: str
    created: int
    versions: list[Offer]
    steps: list[Said]
    openings: list[Opening]
    limited: bool = False
    erase_after: int | None = None
    erasure_asked: list[int] = []
    choices: list[Choice] = []


class PersonFile(Struct, frozen=True, kw_only=True):
    """What is held about a person. `mentions`: cases of others whose words name her; a person looks at those."""

    at: int
    holder: str
    cases: list[HeldCase]
    mentions: list[str]


def find(db: sqlite3.Connection, ctx: Context, request: FindPerson, keep: RetentionConfig) -> PersonFile:
    """Opens every case that has content. Raises role-forbidden, bad-shape when too little is said to know a person."""
    operators.require(db, request.as_, "person")
    if not request.tax_code and not (request.family_name and request.birth_year):
        raise ProtocolError("bad-shape", field="person", expected="tax code, or family name and year of birth")
    cases: list[HeldCase] = []
    mentions: list[str] = []
    for leg in _with_content(db):
        content = bodies(db, ctx, leg)
        offers = [body.offer for _, body in content if isinstance(body.offer, Offer)]
        if any(isinstance(offer.person, Person) and _is_she(offer.person, request) for offer in offers):
            cases.append(_held(db, ctx, leg, content, offers, keep))
        elif any(_named(text, request) for text in (*_words(content, offers), *_reasons(db, ctx, leg))):
            mentions.append(leg.leg)
    me = ctx.member(ctx.me) if ctx.joined else None
    return PersonFile(at=ctx.clock.now(), holder=me.name if me else ctx.me, cases=cases, mentions=mentions)


def log(tx: sqlite3.Connection, ctx: Context, request: FindPerson, found: PersonFile) -> None:
    """One row for the search, one for every case that is handed out."""
    now = ctx.clock.now()
    access.record(tx, access.Access(now, request.as_, "search", "", ""))
    for case in found.cases:
        row = leg_row(tx, case.leg)
        access.record(tx, access.Access(now, request.as_, "export", row.case_id if row else case.leg, case.leg))


def _with_content(db: sqlite3.Connection) -> Iterator[LegRow]:
    for (leg,) in db.execute("SELECT leg FROM leg ORDER BY created, leg").fetchall():
        row = leg_row(db, leg)
        if row is not None:
            yield row


def _held(
    db: sqlite3.Connection,
    ctx: Context,
    leg: LegRow,
    content: list[tuple[str, EventBody]],
    offers: list[Offer],
    keep: RetentionConfig,
) -> HeldCase:
    times = dict(db.execute("SELECT jti, at FROM event WHERE leg = ?", (leg.leg,)).fetchall())
    member = ctx.member(leg.peer) if ctx.joined else None
    ends = leg.state in TERMINALS and keep.erase_after is not None
    return HeldCase(
        leg=leg.leg, side=leg.side, peer=leg.peer, peer_name=member.name if member else leg.peer, state=leg.state,
        created=leg.created, versions=offers,
        steps=[_said(writer, body, times[body.jti]) for writer, body in content],
        openings=[
            Opening(at, operator, action)
            for at, operator, action in db.execute(
                "SELECT at, operator, action FROM access_log WHERE leg = ? ORDER BY id", (leg.leg,)
            )
        ],
        limited=standing.limitation(db, leg.case_id) is not None,
        erase_after=months_after(leg.changed, keep.erase_after or 0) if ends else None,
        erasure_asked=[asked.at for asked in requests(db, leg.leg)],
        choices=choices_of(db, ctx, leg),
    )  # fmt: skip


def _said(writer: str, body: EventBody, at: int) -> Said:
    given = {name: getattr(body, name) for name in ("text", "reason", "outcome", "ref", "when")}
    return Said(
        writer, body.n, body.ev, at, **{name: value for name, value in given.items() if value is not msgspec.UNSET}
    )


def _is_she(person: Person, request: FindPerson) -> bool:
    if request.tax_code:
        return isinstance(person.tax_code, str) and _plain(person.tax_code) == _plain(request.tax_code)
    if not isinstance(person.family_name, str) or _plain(person.family_name) != _plain(request.family_name or ""):
        return False
    if request.given_name and _plain(str(person.given_name or "")) != _plain(request.given_name):
        return False
    year = person.birth_year or (str(person.birth_date)[:4] if person.birth_date else None)
    return year is not None and str(year) == str(request.birth_year)


def _words(content: list[tuple[str, EventBody]], offers: list[Offer]) -> Iterator[str]:
    for offer in offers:
        yield from (text for name in _TEXTS if isinstance(text := getattr(offer, name), str))
        if offer.reporter and isinstance(offer.reporter.name, str):
            yield offer.reporter.name
        if offer.requester:
            yield offer.requester.name
    yield from (body.text for _, body in content if isinstance(body.text, str))


def _reasons(db: sqlite3.Connection, ctx: Context, leg: LegRow) -> Iterator[str]:
    yield from (choice.why for choice in choices_of(db, ctx, leg) if choice.why)


def _named(text: str, request: FindPerson) -> bool:
    wanted = _plain(request.tax_code or request.family_name or "")
    return f" {wanted} " in f" {_plain(text)} "


def _plain(text: str) -> str:
    """Without accents, case, apostrophes and double spaces: "D'Angelò" is "d angelo"."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return " ".join("".join(char if char.isalnum() else " " for char in bare).casefold().split())
