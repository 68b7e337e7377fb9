"""From a need to services of the map, through protocol.routing: makes the candidates, words the answer. No sending."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Final

from msgspec import UNSET, Struct
from msgspec.structs import replace

from node import asked
from node import requests as ask
from node.context import Context
from node.map.facts import is_full, place_of, read, verified_day
from node.map.hours import Timetable, local, said, state_at, timetable
from node.map.tables import SqliteMap
from protocol import routing
from protocol.errors import ProtocolError
from protocol.members import Membership
from protocol.routing import DEFAULT_RULES, REASONS, WARNINGS, Candidate, Need, Proposal, Rule
from protocol.territory import Territory, great_circle_km
from schemas.records import Service

NEVER: Final = 99_999  # days since it was verified, of what never was
OLDEST: Final = 130
_GONE: Final = frozenset({"inactive", "defunct"})
ASSESSMENT: Final = "assessment-first"
# Who names the wider group serves the narrower one: no warning that it is "for others".
NARROWER: Final[Mapping[str, frozenset[str]]] = {
    "TG-ANZIANI": frozenset({"TG-ANZNA"}),
    "TG-MINORI": frozenset({"TG-PRIMAINF", "TG-ADOL"}),
    "TG-IMMIG": frozenset({"TG-PROFUGHI"}),
}
# Seed 002: the professional social service comes first; who asks for a service that needs its assessment starts there.
ASSESSORS: Final = (
    Rule(
        id="SSP", capability="take-in-charge", category="SC-SSP",
        text="Prima serve la valutazione del servizio sociale professionale.",
    ),
)  # fmt: skip


class Note(Struct, frozen=True):
    """`code` for programs, `text` for people."""

    code: str
    text: str


class Proposed(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One service proposed. `competent`: whom to ask instead when the residence is outside its territory."""

    service: str
    name: str
    node: str
    member: str
    reasons: list[Note]
    warnings: list[Note]
    opening: str
    phones: list[str] = []
    distance_km: int | None = None
    rule: str | None = None
    telephone_first: bool = False
    competent: str | None = None
    competent_name: str | None = None


class Advice(Struct, frozen=True, kw_only=True):
    """What to propose, best first; a person confirms. `first`: who has to assess before any of these can start."""

    proposals: list[Proposed]
    first: list[Proposed]
    total: int


class Known(Struct, frozen=True):
    """A candidate with what its lines on the screen need."""

    candidate: Candidate
    service: Service
    opening: str


def advise(db: sqlite3.Connection, ctx: Context, request: ask.Route) -> Advice:
    """Raises unknown-code (need, target, urgency, kind, comune), not-a-member before the first members document."""
    at = ctx.clock.now() if request.at is None else request.at
    need = _need(request, ctx.territory, at)
    known = {(k.candidate.member, k.candidate.service): k for k in candidates(db, ctx, need, at)}
    held = ctx.membership
    rules = routing.read_rules(held.doc.rules) if held.doc.rules else DEFAULT_RULES
    found = routing.route(need, [k.candidate for k in known.values()], rules)
    shown = found[: request.limit]
    first: tuple[Proposal, ...] = ()
    if any(ASSESSMENT in proposal.warnings for proposal in shown):
        first = routing.route(need, _assessors(known.values()), ASSESSORS)[:3]
    home = _comune_of(held, need, ctx.territory)
    return Advice(
        proposals=[_worded(proposal, known, held, home) for proposal in shown],
        first=[_worded(proposal, known, held, home) for proposal in first],
        total=len(found),
    )


def _assessors(known: Iterable[Known]) -> list[Candidate]:
    """Without their own needs: here they are proposed because they assess, whatever the need."""
    return [replace(k.candidate, needs=frozenset()) for k in known if "SC-SSP" in k.candidate.categories]


def _need(request: ask.Route, territory: Territory, at: int) -> Need:
    today = local(at).date().isoformat()
    return Need(
        need=asked.code(request.need, "need_areas", "need"),
        date=today,
        targets=frozenset(asked.code(text, "target_groups", "target") for text in request.targets),
        age=_ages(request.age),
        residence=_residence(request.residence, territory, today),
        urgency=asked.code(request.urgency, "urgency_levels", "urgency"),
        health=request.health,
        kind=asked.code(request.kind, "referral_kinds", "kind") if request.kind else None,
    )


def _ages(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    low, dash, high = text.partition("-")
    return int(low), int(high if dash else low)


def _residence(text: str | None, territory: Territory, today: str) -> str | None:
    if not text:
        return None
    return territory.successor(asked.comune(text, territory, "residence"), today)


# -- candidates out of the map


def candidates(db: sqlite3.Connection, ctx: Context, need: Need, at: int) -> Iterator[Known]:
    """Every readable service of an active member, as protocol.routing sees it."""
    for entry in SqliteMap(db).entries():
        member = ctx.membership.members.get(entry.node)
        try:
            service = read(entry, "members")
        except ProtocolError:  # not of this profile: it cannot be searched either
            continue
        if member is None or service is None or service.status in _GONE:
            continue
        yield _known(entry.node, service, ctx.membership, ctx.territory, need, at)


def _known(node: str, service: Service, held: Membership, territory: Territory, need: Need, at: int) -> Known:
    member, now = held.members[node], local(at)
    hours = timetable(service, territory.patron(service.comune) if service.comune is not UNSET else None)
    state = state_at(hours, now)
    wanted = service.requirements
    residents = wanted is not UNSET and wanted.residence is True
    candidate = Candidate(
        service=service.id,
        member=node,
        member_type=member.ptype,
        capabilities=member.caps,
        categories=frozenset(service.categories),
        needs=frozenset(service.needs),
        targets=frozenset(service.targets).union(*(NARROWER.get(code, ()) for code in service.targets)),
        territory=_served(service, member.territory if residents else (), territory, need.date),
        residence_required=residents,
        age=_age_of(service),
        assessment_first=_assessed(service),
        referral_only=service.access == ["desk-referral"],
        full=is_full(service),
        stale_days=_stale(service, now.date()),
        open_now=state.open if _hours_known(hours) else None,
        distance_km=_distance(service, need.residence, territory),
    )
    return Known(candidate, service, said(hours, state, now))


def _served(service: Service, own: tuple[str, ...], territory: Territory, today: str) -> frozenset[str]:
    """Codes valid today. A service for residents that names no comune is for those of its body."""
    return frozenset(territory.successor(code, today) for code in (service.territory or own))


def _age_of(service: Service) -> tuple[int, int] | None:
    low, high = service.minimum_age, service.maximum_age
    if low is UNSET and high is UNSET:
        return None
    return (0 if low is UNSET else int(low), OLDEST if high is UNSET else int(high))


def _assessed(service: Service) -> bool:
    said_so = service.requirements is not UNSET and service.requirements.assessment_first is True
    return said_so or (bool(service.access) and set(service.access) <= {"assessment"})


def _stale(service: Service, today: date) -> int:
    day = verified_day(service)
    return max(0, today.toordinal() - day) if day else NEVER


def _hours_known(hours: Timetable) -> bool:
    return bool(hours.schedules)


def _distance(service: Service, residence: str | None, territory: Territory) -> int | None:
    home = territory.centroid(residence) if residence else None
    place = place_of(service, territory)
    return int(great_circle_km(home, (place.lat, place.lon))) if home and place else None


# -- words


def _comune_of(held: Membership, need: Need, territory: Territory) -> str | None:
    """The comune where the person lives, when it is a member: competent for its residents by law."""
    for node, member in sorted(held.members.items()):
        served = {territory.successor(code, need.date) for code in member.territory}
        if member.ptype == "PT-COMUNE" and member.status == "active" and need.residence in served:
            return node
    return None


def _worded(proposal: Proposal, known: Mapping[tuple[str, str], Known], held: Membership, home: str | None) -> Proposed:
    candidate = proposal.candidate
    service = known[candidate.member, candidate.service]
    outside = "outside-territory" in proposal.warnings
    suggested = proposal.competent or (home if outside and home != candidate.member else None)
    competent = held.members.get(suggested) if suggested else None
    return Proposed(
        service=candidate.service,
        name=service.service.name,
        node=candidate.member,
        member=held.members[candidate.member].name,
        reasons=[Note(reason.code, reason.text or REASONS[reason.code]) for reason in proposal.reasons],
        warnings=[Note(code, WARNINGS[code].text) for code in proposal.warnings],
        opening=service.opening,
        phones=[phone.number for phone in service.service.phones],
        distance_km=candidate.distance_km,
        rule=proposal.rule,
        telephone_first=proposal.telephone_first,
        competent=suggested,
        competent_name=competent.name if competent else None,
    )
