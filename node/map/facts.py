"""What the index keeps of one entry: tokens, place, hours, freshness. Read from the record once; no search here.

A token is a stem ("anzian"), "name:" and a stem of the name, a vocabulary code ("SC-ECON", "TG-DISAB", "AX-RAMPA",
"CT-GRAT"), or a filter with its value ("comune:041044"). Lower case and upper case cannot meet.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from sys import intern
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from node.map.analyser import plain, stems
from node.map.fold import Entry, View
from node.map.hours import Timetable, timetable
from protocol.errors import ProtocolError
from protocol.territory import Territory
from schemas.records import Location, Service

STEP_FREE: Final = "step-free"
_STEPLESS: Final = frozenset({"AX-RAMPA", "AX-ASCENS"})
_STEPS: Final = frozenset({"AX-PARZ", "AX-NO"})
_GONE: Final = frozenset({"inactive", "defunct"})

_decode = msgspec.json.Decoder(Service).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


class Place(NamedTuple):
    """`pinned`: the owner placed it; otherwise the centroid of the comune."""

    lat: float
    lon: float
    pinned: bool


class Facts(NamedTuple):
    """One searchable entry. `verified`: day ordinal, the earliest that the date can mean; 0 when never."""

    id: str
    node: str
    tokens: tuple[str, ...]
    place: Place | None
    timetable: Timetable
    verified: int
    full: bool
    ages: tuple[float, float]
    category: str


def read(entry: Entry, view: View) -> Service | None:
    """The record as a view shows it: the network record is laid over the public one, member by member.

    None when the view shows nothing of it. Raises ProtocolError `bad-shape` when it is no service of this profile.
    """
    lines = (entry.public, entry.network if view == "members" else None)
    records = [line.record for line in lines if line]
    if not records:
        return None
    try:
        return _decode(records[0]) if len(records) == 1 else _decode(_encode(_fields(records[0]) | _fields(records[1])))
    except msgspec.MsgspecError as wrong:
        raise ProtocolError("bad-shape", field="record") from wrong


def facts(entry: Entry, view: View, territory: Territory) -> Facts | None:
    """What the index keeps of an entry, or None when the view shows nothing of it or the service is no more."""
    service = read(entry, view)
    if service is None or service.status in _GONE:
        return None
    comune = service.comune if service.comune is not UNSET else ""
    return Facts(
        id=entry.id,
        node=entry.node,
        tokens=tuple(map(intern, set(tokens(entry, service)))),
        place=place_of(service, territory),
        timetable=timetable(service, territory.patron(comune)),
        verified=verified_day(service),
        full=is_full(service),
        ages=(_number(service.minimum_age, 0), _number(service.maximum_age, 200)),
        category=service.categories[0] if service.categories else "",
    )


def tokens(entry: Entry, service: Service) -> Iterator[str]:
    """Every token under which a record is found."""
    yield from stems(" ".join(texts(service)))
    yield from (f"name:{stem}" for stem in stems(f"{service.name} {_text(service.alternate_name)}"))
    codes = accessibility(service)
    yield from (*service.categories, *service.needs, *service.targets, *codes)
    yield from (cost.code for cost in service.cost_options if cost.code is not UNSET)
    if _STEPLESS & codes and not _STEPS & codes:
        yield STEP_FREE
    yield from (f"{name}:{value}" for name, values in filters(entry, service).items() for value in values)


def filters(entry: Entry, service: Service) -> Mapping[str, list[str]]:
    """Filter name → values, as tokens join them."""
    zone = plain(service.desk.zone) if service.desk is not UNSET and service.desk.zone is not UNSET else ""
    return {
        "member": [entry.node],
        "comune": _some(service.comune),
        "serves": [*service.territory] or ["all"],
        "zone": [zone] if zone else [],
        "owner": [*map(plain, _some(service.owner))],
        "provider": [*map(plain, _some(service.provider))],
        "sector": _some(service.sector),
        "management": _some(service.management),
        "system": [*service.systems],
        "access": [*service.access],
        "lang": [language.code for language in service.languages],
        "kind": [service.kind],
        "vis": [vis for vis, line in (("public", entry.public), ("network", entry.network)) if line],
        "anonymous": ["yes"] if service.anonymous_access is True else [],
    }


def _some(value: object) -> list[str]:
    return [value] if isinstance(value, str) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object, otherwise: float) -> float:
    return value if isinstance(value, float) else otherwise


def texts(service: Service) -> Iterator[str]:
    """The words of a record that are searched."""
    yield service.name
    yield service.organization.name
    yield from map(_text, (service.alternate_name, service.description, service.eligibility_description))
    yield from map(_text, (service.application_process, service.interpretation_services, service.fees_description))
    yield from (document.document for document in service.required_documents)
    if service.desk is not UNSET:
        yield f"{service.desk.name} {_text(service.desk.zone)}"
    yield from (address.city for location in locations(service) for address in location.addresses)


def locations(service: Service) -> Iterator[Location]:
    """The places of a service; none when its place is secret."""
    for at in service.service_at_locations if service.place != "secret" else ():
        if at.location is not UNSET:
            yield at.location


def accessibility(service: Service) -> frozenset[str]:
    """The accessibility codes of all places of a service."""
    found = (feature.code for location in locations(service) for feature in location.accessibility)
    return frozenset(code for code in found if code is not UNSET)


def place_of(service: Service, territory: Territory) -> Place | None:
    """Where distances are measured from; None for a secret or unknown place, never the pin of a reserved one."""
    for location in locations(service) if service.place == "public" else ():
        if location.precision == "pin" and location.latitude is not UNSET and location.longitude is not UNSET:
            return Place(location.latitude, location.longitude, True)
    if service.place == "secret" or service.comune is UNSET:
        return None
    centre = territory.centroid(service.comune)
    return Place(*centre, False) if centre else None


def verified_day(service: Service) -> int:
    """ "2026-08" counts as its first day: freshness that is not shown is not claimed."""
    text = service.verified_at if service.verified_at is not UNSET else service.assured_date
    if text is UNSET:
        return 0
    try:
        return date.fromisoformat(text + "-01-01"[len(text) - 4 :]).toordinal()
    except ValueError:  # the shape allows 2026-13
        return 0


def is_full(service: Service) -> bool:
    """No places now, by the declared waiting or by all capacities at zero."""
    declared = service.waiting is not UNSET and service.waiting.status == "full"
    return declared or (bool(service.capacities) and all(c.available <= 0 for c in service.capacities))


def type_of(service: Service) -> str:
    """Services of one type are equals whoever gives them: the first category and the first need."""
    return " ".join((*service.categories[:1], *service.needs[:1]))
