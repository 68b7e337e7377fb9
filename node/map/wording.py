"""Why a service is among the results and what to mind, as code and Italian text. No choice of services here."""

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import chain
from typing import NamedTuple

from msgspec import UNSET

from node.map.facts import STEP_FREE, Facts, locations
from node.map.hours import APPOINTMENT, PHONE_ONLY, State
from node.map.query import EVERYBODY, Asked, Query, Word
from protocol.territory import Territory
from schemas.records import Service
from schemas.vocabularies import label


class Note(NamedTuple):
    """`code` for programs, `text` for people."""

    code: str
    text: str


class Card(NamedTuple):
    """What is shown of an entry whatever was asked."""

    facts: Facts
    service: Service
    tokens: frozenset[str]
    network_only: bool
    for_whom: tuple[str, ...]
    papers: tuple[str, ...]
    phones: tuple[str, ...]
    address: str
    hours: str
    waiting: str
    verified: str
    doors: tuple[Note, ...]


class Seen(NamedTuple):
    """One result as far as it was worked out, for the wording of it."""

    card: Card
    state: State
    opening: str
    km: float | None
    today: date
    fresh: bool


# Vocabulary → (code of the reason, text before the label); the prefix of a code says its vocabulary.
CODE_REASONS = {
    "SC": ("category", "Tipo di servizio", "service_categories"),
    "NA": ("need", "Risponde al bisogno", "need_areas"),
    "TG": ("target", "È rivolto a", "target_groups"),
    "AX": ("accessibility", "Accessibilità", "accessibility_features"),
    "CT": ("cost", "Costo", "cost_types"),
}
SECTORS = {"public": "servizio pubblico", "private": "servizio privato"}
MANAGEMENT = {
    "direct": "gestito dall'ente",
    "district": "gestito dal distretto",
    "contracted": "privato convenzionato",
    "private": "privato non convenzionato",
}
SYSTEMS = {"social": "sistema sociale", "pension": "sistema previdenziale", "health": "sistema socio-sanitario"}
ACCESS = {
    "direct": "accesso diretto",
    "social-service": "accesso tramite il servizio sociale",
    "desk-referral": "accesso con invio di uno sportello della rete",
    "assessment": "accesso dopo valutazione",
}
CLOSED_DOORS = {
    "social-service": Note("social-service-only", "Si accede solo tramite il servizio sociale del comune."),
    "desk-referral": Note("referral-only", "Si accede solo con l'invio di uno sportello della rete."),
    "assessment": Note("assessment-first", "Serve prima la valutazione del servizio sociale."),
}
REQUIREMENTS = {
    "assessment_first": Note("assessment-first", "Serve prima la valutazione del servizio sociale."),
    "residence": Note("residence", "Chiede la residenza."),
    "prescription": Note("prescription", "Serve la richiesta del medico."),
    "members_only": Note("members-only", "Riservato agli iscritti."),
}
WAITING = {
    "full": Note("full", "Posti esauriti: c'è una lista d'attesa."),
    "waitlist": Note("waitlist", "C'è una lista d'attesa."),
}
FRESH_DAYS = 180


def kilometres(km: float) -> str:
    return f"{km:.1f}".replace(".", ",") + " km"


def day(value: str) -> str:
    """ "2026-09-15" → "15/09/2026", "2026-09" → "09/2026"."""
    return "/".join(reversed(value.split("-")))


def code_note(code: str) -> Note:
    """The reason that a code of a vocabulary gives."""
    if code.startswith("lang:"):
        return Note("language", f"Lingua: {label('languages', code[5:])}")
    reason, before, name = CODE_REASONS[code[:2]]
    return Note(reason, f"{before}: {label(name, code)}")


def card_of(facts: Facts, service: Service, network_only: bool) -> Card:
    """The parts of a record that a desk reads out."""
    return Card(
        facts=facts,
        service=service,
        tokens=frozenset(facts.tokens),
        network_only=network_only,
        for_whom=tuple(label("target_groups", code) for code in service.targets),
        papers=tuple(document.document for document in service.required_documents),
        phones=tuple(phone.number for phone in service.phones),
        address=address(service),
        hours=service.hours.text if service.hours is not UNSET else "",
        waiting=service.waiting.text if service.waiting is not UNSET and service.waiting.text is not UNSET else "",
        verified=service.verified_at if service.verified_at is not UNSET else "",
        doors=tuple(_doors(service)),
    )


def reasons(asked: Asked, seen: Seen, territory: Territory) -> tuple[Note, ...]:
    """Every part of the question that this entry answers."""
    words, filters = _word_reasons(asked.words, seen), _filter_reasons(asked.query, seen)
    found = chain(words, filters, _place_reasons(asked, seen, territory))
    return tuple(dict.fromkeys(found))


def _word_reasons(asked: Iterable[Word], seen: Seen) -> Iterator[Note]:
    has = seen.card.tokens
    for word in asked:
        for alternative in (a for a in word.found if has.issuperset(a)):
            token = alternative[0]
            if token[:2] in CODE_REASONS or token.startswith("lang:"):
                yield code_note(token)
            elif word.typed:
                where = "Il nome contiene" if token.startswith("name:") else "Contiene"
                yield Note("name" if token.startswith("name:") else "word", f"{where} «{word.typed}»")


def _filter_reasons(query: Query, seen: Seen) -> Iterator[Note]:
    service, has = seen.card.service, seen.card.tokens
    asked = (*query.needs, *query.categories, *query.targets, *query.accessibility, *query.costs)
    yield from (code_note(code) for code in (*asked, *(f"lang:{c}" for c in query.languages)) if code in has)
    if query.for_everybody and EVERYBODY in has:
        yield Note("everybody", "È per tutti.")
    if query.step_free and STEP_FREE in has:
        yield Note(STEP_FREE, "Ingresso senza barriere.")
    if query.sector and service.sector is not UNSET:
        yield Note("sector", SECTORS[service.sector].capitalize() + ".")
    if query.management and service.management is not UNSET:
        yield Note("management", MANAGEMENT[service.management].capitalize() + ".")
    yield from (
        Note("system", SYSTEMS[system].capitalize() + ".") for system in service.systems if system in query.system
    )
    yield from (Note("access", ACCESS[door].capitalize() + ".") for door in service.access if door in query.access)
    if query.open:
        yield Note("open", seen.opening.capitalize() + ".")
    if query.fresh and service.verified_at is not UNSET:
        yield Note("fresh", f"Verificato il {day(service.verified_at)}.")
    if query.age is not None and seen.card.facts.ages != (0, 200):
        yield Note("age", f"Ammesso a {query.age} anni.")


def _place_reasons(asked: Asked, seen: Seen, territory: Territory) -> Iterator[Note]:
    service, place = seen.card.service, seen.card.facts.place
    if service.comune is not UNSET and service.comune in asked.comuni:
        yield Note("place", f"Si trova a {comune_name(service.comune, seen.today, territory)}.")
    if asked.comuni or asked.residence:
        served = (code for code in service.territory if code in asked.comuni or code in asked.residence)
        yield from (Note("territory", f"Serve {comune_name(code, seen.today, territory)}.") for code in served)
    if seen.km is not None:
        how = "dal punto indicato dall'ente" if place and place.pinned else "tra i centri dei comuni"
        yield Note("distance", f"A {kilometres(seen.km)} ({how}).")


def comune_name(istat: str, today: date, territory: Territory) -> str:
    """ "Colbordolo, oggi Vallefoglia" where the comune has a successor."""
    successor = territory.successor(istat, today.isoformat())
    name = territory.name(istat)
    return name if successor == istat else f"{name}, oggi {territory.name(successor)}"


def warnings(seen: Seen) -> tuple[Note, ...]:
    """What the operator has to know before giving the address."""
    found = (*_notices(seen), *_opening(seen), *seen.card.doors, *_freshness(seen))
    return tuple(dict.fromkeys(found))


def _notices(seen: Seen) -> Iterator[Note]:
    service, today = seen.card.service, seen.today.isoformat()
    if service.status == "temporarily closed":
        yield Note("closed-temporarily", "Chiuso temporaneamente.")
    notice = service.notice
    if notice and notice.since <= today and (notice.until is UNSET or today[: len(notice.until)] <= notice.until):
        yield Note("notice", notice.text)
    if service.alert is not UNSET:
        yield Note("alert", service.alert)
    if seen.card.facts.full:
        yield WAITING["full"]
    elif service.waiting is not UNSET and service.waiting.status is not UNSET and service.waiting.status in WAITING:
        yield WAITING[service.waiting.status]


def _opening(seen: Seen) -> Iterator[Note]:
    status = seen.card.facts.timetable.status
    if status == APPOINTMENT:
        yield Note("appointment", "Solo su appuntamento.")
    if status == PHONE_ONLY:
        yield Note("phone-only", "Solo per telefono.")
    if seen.state.open or status == APPOINTMENT:
        return
    yield (
        Note("closed-now", f"Chiuso ora: {seen.opening}.")
        if seen.state.opens
        else Note("hours-unknown", "Orario da verificare.")
    )


def _doors(service: Service) -> Iterator[Note]:
    if "direct" not in service.access:
        yield from (CLOSED_DOORS[door] for door in service.access if door in CLOSED_DOORS)
    needed = service.requirements
    if needed is not UNSET:
        yield from (note for field, note in REQUIREMENTS.items() if getattr(needed, field) is True)
        if needed.isee_max is not UNSET:
            yield Note("isee", f"ISEE fino a {needed.isee_max:,.0f} €.".replace(",", "."))
    if service.place != "public":
        yield Note("place-reserved", "L'indirizzo è riservato: telefonare.")


def _freshness(seen: Seen) -> Iterator[Note]:
    service = seen.card.service
    if not seen.card.facts.verified:
        yield Note("not-verified", "Dati mai verificati.")
    elif not seen.fresh:
        last = service.verified_at if service.verified_at is not UNSET else service.assured_date
        yield Note("not-verified", f"Non verificato da più di {FRESH_DAYS} giorni (ultima volta: {day(str(last))}).")
    if service.valid_until is not UNSET and service.valid_until < seen.today.isoformat():
        yield Note("expired", f"Valido fino al {day(service.valid_until)}.")


def address(service: Service) -> str:
    """One line; empty for a reserved or secret place."""
    if service.place != "public":
        return ""
    found = [f"{a.address_1}, {a.city}" for location in locations(service) for a in location.addresses]
    return found[0] if found else ""
