"""The values read from one row → one HSDS service record. Nothing is read or judged here.

The same values and id give the same record, so that importing a sheet again changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Final
from uuid import UUID, uuid5

from msgspec import UNSET, UnsetType

from node.importer import codes, keywords
from node.importer.columns import fold
from node.importer.hours import HoursReading, schedules
from node.importer.phones import PhoneReading
from node.importer.places import Place
from node.importer.texts import CostReading, LanguageReading, RequirementReading, WaitingReading
from schemas import records, vocabularies

LINE: Final = 300
TEXT: Final = 4000
_BENEFIT: Final = r"buon[oi]\b|contribut|bonus|assegno|sussid"
Made = Callable[..., str]


@dataclass(frozen=True)
class BodyProfile:
    """What the admission says of the body that imports: what a sheet lacks comes from here and is marked as derived."""

    member: str
    name: str
    participant_type: str
    organization_id: str
    comune: str | None = None
    description: str = ""
    email: str = ""
    website: str = ""


@dataclass(frozen=True)
class Values:
    """All that was read from a row; texts are already plain and short enough."""

    body: BodyProfile
    today: date
    name: str
    place: Place
    hours: HoursReading
    found: codes.ServiceCodes
    targets: list[codes.Found]
    phones: list[PhoneReading]
    costs: list[CostReading]
    languages: list[LanguageReading]
    features: list[codes.Found]
    needs: RequirementReading
    ages: tuple[float | None, float | None]
    waiting: WaitingReading
    documents: list[str]
    description: str
    requirements: str
    fees: str
    notes: str
    waiting_text: str
    features_text: str
    interpreters: str
    zone: str
    email: str
    url: str
    verified: str
    owner: str
    provider: str
    derived: list[str]


def _opt(text: str) -> str | UnsetType:
    return text or UNSET


def _number(value: float | None) -> float | UnsetType:
    return UNSET if value is None else value


def _whole(value: int | None) -> int | UnsetType:
    return UNSET if value is None else value


def _flag(value: bool) -> bool | UnsetType:
    return True if value else UNSET


def make_service(v: Values, ident: str) -> records.Service:
    """The record of a row under an id; ids of its parts are made from it (UUID version 5)."""

    def made(*path: object) -> str:
        return str(uuid5(UUID(ident), "/".join(str(part) for part in path)))

    categories = [found.code for found in v.found.categories] or ["SC-ALTRO"]
    number = count()
    return records.Service(
        id=ident,
        name=v.name,
        status="active",
        organization=organization(v.body),
        description=_opt(v.description),
        alert=_opt(v.notes),
        url=_opt(v.url),
        email=_opt(v.email),
        interpretation_services=_opt(v.interpreters),
        fees_description=_opt(v.fees),
        eligibility_description=_opt(v.requirements),
        minimum_age=_number(v.ages[0]),
        maximum_age=_number(v.ages[1]),
        assured_date=_opt(v.verified),
        phones=[_phone(made("phone", i), phone) for i, phone in enumerate(v.phones)],
        schedules=schedules(v.hours, lambda: made("schedule", next(number))),
        languages=[_language(made("language", x.code), x) for x in v.languages],
        service_at_locations=_locations(v, made),
        cost_options=[_cost(made("cost", i), cost) for i, cost in enumerate(v.costs)],
        required_documents=[
            records.RequiredDocument(id=made("document", i), document=text) for i, text in enumerate(v.documents)
        ],
        capacities=_capacity(v, made),
        vocabulary=vocabularies.VERSION,
        kind="benefit" if codes.says(_BENEFIT, v.name) else "service",
        categories=categories,
        needs=[found.code for found in v.found.needs],
        targets=[found.code for found in v.targets],
        comune=_opt(v.place.comune),
        territory=_territory(v),
        desk=_desk(v),
        owner=_opt(v.owner),
        provider=_opt(v.provider),
        sector=codes.sector(v.body.participant_type),
        management=codes.management(v.body.participant_type, f"{v.name}. {v.description}"),
        systems=list(codes.systems(v.body.participant_type, categories)),
        access=v.needs.access,
        anonymous_access=_flag(v.needs.anonymous),
        requirements=_requirements(v.needs),
        hours=records.Hours(text=v.hours.text[:LINE], status=v.hours.status) if v.hours.text else UNSET,
        waiting=_waiting(v),
        urgent_line=_flag(bool(codes.says(keywords.URGENT, v.name))),
        place=v.place.kind,
        verified_at=_opt(v.verified),
        derived=v.derived,
    )


def organization(body: BodyProfile) -> records.Organization:
    """The body as HSDS wants it; its kind stands for a missing description."""
    return records.Organization(
        id=body.organization_id,
        name=body.name,
        description=body.description or vocabularies.label("participant_types", body.participant_type),
        email=_opt(body.email),
        website=_opt(body.website),
        node=body.member,
        participant_type=_opt(body.participant_type),
    )


def _phone(ident: str, phone: PhoneReading) -> records.Phone:
    extension = _whole(phone.extension)
    described = _opt(phone.description)
    return records.Phone(id=ident, number=phone.number, extension=extension, type=phone.kind, description=described)


def _language(ident: str, language: LanguageReading) -> records.Language:
    return records.Language(id=ident, code=language.code, name=language.name, note=_opt(language.note[:LINE]))


def _cost(ident: str, cost: CostReading) -> records.CostOption:
    return records.CostOption(
        id=ident,
        option=_opt(cost.text[:LINE]),
        currency=UNSET if cost.amount is None else "EUR",
        amount=_number(cost.amount),
        code=_opt(cost.code),
    )


def _requirements(needs: RequirementReading) -> records.Requirements | UnsetType:
    found = records.Requirements(
        residence=_flag(needs.residence),
        isee_max=_number(needs.isee_max),
        assessment_first=_flag(needs.assessment_first),
        prescription=_flag(needs.prescription),
        members_only=_flag(needs.members_only),
    )
    return UNSET if found == records.Requirements() else found


def _waiting(v: Values) -> records.Waiting | UnsetType:
    wait = v.waiting
    if not v.waiting_text and not wait.status:
        return UNSET
    return records.Waiting(
        text=_opt(v.waiting_text),
        days_min=_whole(wait.days_min),
        days_max=_whole(wait.days_max),
        status=wait.status or UNSET,
    )


def _capacity(v: Values, made: Made) -> list[records.Capacity]:
    """Only a full service has a known number of free places: none."""
    if v.waiting.status != "full":
        return []
    unit = records.Unit(id=made("unit"), name="posti")
    updated = v.verified or v.today.isoformat()
    most = _whole(v.waiting.places)
    return [records.Capacity(id=made("capacity"), unit=unit, available=0, updated=updated, maximum=most)]


def _territory(v: Values) -> list[str]:
    """A comune that asks for residence serves its own territory. Nothing is inferred about a secret place."""
    body = v.body
    own = v.needs.residence and body.participant_type == "PT-COMUNE" and v.place.kind != "secret"
    return [body.comune] if own and body.comune else []


def _desk(v: Values) -> records.Desk | UnsetType:
    """One desk for each street of the body."""
    if v.place.kind != "public" or not v.place.street:
        return UNSET
    ident = str(uuid5(UUID(v.body.organization_id), f"desk/{v.place.comune}/{fold(v.place.street)}"))
    return records.Desk(id=ident, name=f"{v.body.name}, {v.place.street}"[:LINE], zone=_opt(v.zone))


def _locations(v: Values, made: Made) -> list[records.ServiceAtLocation]:
    """The place with its accessibility; a secret place has none, a reserved one no address and no point."""
    place, shown = v.place, v.place.kind == "public" and bool(v.place.street)
    if place.kind == "secret" or not (shown or v.features):
        return []
    located = shown and place.latitude is not None
    location = records.Location(
        id=made("location"),
        location_type="physical" if shown else "virtual",
        latitude=_number(place.latitude if located else None),
        longitude=_number(place.longitude if located else None),
        precision="centroid" if located else UNSET,
        addresses=[_address(made("address"), place)] if shown else [],
        accessibility=[_feature(made("accessibility", found.code), found.code, v) for found in v.features],
    )
    return [records.ServiceAtLocation(id=made("at"), location=location)]


def _address(ident: str, place: Place) -> records.Address:
    return records.Address(
        id=ident,
        address_1=place.street[:LINE],
        city=place.city,
        state_province=place.province,
        postal_code=place.postcode,
    )


def _feature(ident: str, code: str, v: Values) -> records.Accessibility:
    label = vocabularies.label("accessibility_features", code)
    return records.Accessibility(id=ident, description=label, details=_opt(v.features_text), code=code)
