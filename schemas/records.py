"""Catalogue records: HSDS 3.1 services with their nested parts, under the Raccordo profile. Shapes only.

HSDS names and nesting; what the profile adds stands after the line "profile" in each struct and in
schemas/json/profile/*.json (a JSON Merge Patch). Omit, never null. Ids are lower-case UUIDs. Plain text only.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
Line = Annotated[str, Meta(max_length=300)]
Text = Annotated[str, Meta(max_length=4000)]
Code = Annotated[str, Meta(pattern=r"^[A-Z]{2}-[A-Z0-9]{2,12}$")]
IstatCode = Annotated[str, Meta(pattern=r"^[0-9]{6}$")]
Time = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-4]):[0-5][0-9]$")]
Date = Annotated[str, Meta(pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")]


class Phone(Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: Uuid
    number: Line
    extension: int | UnsetType = UNSET
    type: Line | UnsetType = UNSET
    description: Line | UnsetType = UNSET


class Season(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A yearly span, ends included; it may cross New Year (from_month 10, to_month 5)."""

    from_month: Annotated[int, Meta(ge=1, le=12)]
    to_month: Annotated[int, Meta(ge=1, le=12)]
    from_day: Annotated[int, Meta(ge=1, le=31)] | UnsetType = UNSET
    to_day: Annotated[int, Meta(ge=1, le=31)] | UnsetType = UNSET


class Schedule(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One rule. WEEKLY: byday "MO,TU"; MONTHLY: byday "2WE" (second Wednesday).

    closes_at ≤ opens_at means the interval crosses midnight. Local wall time, Europe/Rome.
    """

    id: Uuid
    freq: Literal["WEEKLY", "MONTHLY"]
    byday: Line
    opens_at: Time
    closes_at: Time
    interval: int | UnsetType = UNSET
    valid_from: Date | UnsetType = UNSET
    valid_to: Date | UnsetType = UNSET
    notes: Line | UnsetType = UNSET
    # profile
    attending: Literal["desk", "phone", "booking", "appointment"] = "desk"
    season: Season | UnsetType = UNSET
    closed_season: Season | UnsetType = UNSET


class Address(Struct, frozen=True, kw_only=True):
    """Defaults are written: HSDS requires country and address_type."""

    id: Uuid
    address_1: Line
    city: Line
    state_province: Line
    postal_code: Line
    country: Line = "IT"
    address_type: Literal["physical", "postal", "virtual"] = "physical"


class Accessibility(Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: Uuid
    description: Line | UnsetType = UNSET
    details: Line | UnsetType = UNSET
    # profile
    code: Code | UnsetType = UNSET


class Location(Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: Uuid
    location_type: Literal["physical", "postal", "virtual"]
    name: Line | UnsetType = UNSET
    latitude: float | UnsetType = UNSET
    longitude: float | UnsetType = UNSET
    transportation: Line | UnsetType = UNSET
    addresses: list[Address] = []
    accessibility: list[Accessibility] = []
    # profile: "centroid" unless the owner placed the pin
    precision: Literal["centroid", "pin"] | UnsetType = UNSET


class ServiceAtLocation(Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: Uuid
    description: Line | UnsetType = UNSET
    location: Location | UnsetType = UNSET


class OrganizationIdentifier(Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: Uuid
    identifier_type: Line
    identifier: Line
    identifier_scheme: Line | UnsetType = UNSET


class Organization(Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: Uuid
    name: Line
    description: Text
    email: Line | UnsetType = UNSET
    website: Line | UnsetType = UNSET
    legal_status: Line | UnsetType = UNSET
    organization_identifiers: list[OrganizationIdentifier] = []
    # profile
    node: Line | UnsetType = UNSET
    participant_type: Code | UnsetType = UNSET


class Language(Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: Uuid
    code: Line
    name: Line | UnsetType = UNSET
    note: Line | UnsetType = UNSET


class ServiceArea(Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: Uuid
    name: Line | UnsetType = UNSET
    extent: Line | UnsetType = UNSET
    extent_type: Line | UnsetType = UNSET


class CostOption(Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: Uuid
    option: Line | UnsetType = UNSET
    currency: Line | UnsetType = UNSET
    amount: float | UnsetType = UNSET
    amount_description: Line | UnsetType = UNSET
    # profile
    code: Code | UnsetType = UNSET


class RequiredDocument(Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: Uuid
    document: Line
    uri: Line | UnsetType = UNSET


class Unit(Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: Uuid
    name: Line


class Capacity(Struct, frozen=True, omit_defaults=True, kw_only=True):
    id: Uuid
    unit: Unit
    available: int
    updated: Line
    maximum: int | UnsetType = UNSET
    description: Line | UnsetType = UNSET


class Hours(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The opening hours as the owner wrote them and how far they were understood (sample/README words)."""

    text: Line
    status: Literal[
        "ok",
        "ok_assumed",
        "ok_seasonal",
        "ok_monthly",
        "h24",
        "by_appointment",
        "phone_only",
        "partial",
        "unparsed",
        "error",
    ]


class Waiting(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Declared waiting time. `status`: none, waitlist or full; days are a range when they could be read."""

    text: Line | UnsetType = UNSET
    days_min: int | UnsetType = UNSET
    days_max: int | UnsetType = UNSET
    status: Literal["none", "waitlist", "full"] | UnsetType = UNSET


class Requirements(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What could be read out of the requirements; the owner's words are in eligibility_description."""

    residence: bool | UnsetType = UNSET
    isee_max: float | UnsetType = UNSET
    assessment_first: bool | UnsetType = UNSET
    prescription: bool | UnsetType = UNSET
    members_only: bool | UnsetType = UNSET


class LegalReference(Struct, frozen=True, omit_defaults=True, kw_only=True):
    level: Literal["local", "regional", "national"]
    text: Line
    url: Line | UnsetType = UNSET


class Notice(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A dated temporary notice: closed for works until, moved to, no places until."""

    text: Line
    since: Date
    until: Date | UnsetType = UNSET


class Charter(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The carta dei servizi of this entry."""

    version: Line
    url: Line | UnsetType = UNSET


class Desk(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The sportello: a place of a body where the service is given."""

    id: Uuid
    name: Line
    zone: Line | UnsetType = UNSET


class Service(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One catalogue entry, public or network. Encoded as one RFC 8785 line; the line as received is its leaf."""

    id: Uuid
    name: Line
    status: Literal["active", "inactive", "defunct", "temporarily closed"]
    organization: Organization
    description: Text | UnsetType = UNSET
    alternate_name: Line | UnsetType = UNSET
    url: Line | UnsetType = UNSET
    email: Line | UnsetType = UNSET
    interpretation_services: Line | UnsetType = UNSET
    application_process: Text | UnsetType = UNSET
    fees_description: Line | UnsetType = UNSET
    eligibility_description: Text | UnsetType = UNSET
    minimum_age: float | UnsetType = UNSET
    maximum_age: float | UnsetType = UNSET
    assured_date: Date | UnsetType = UNSET
    alert: Line | UnsetType = UNSET
    last_modified: Line | UnsetType = UNSET
    phones: list[Phone] = []
    schedules: list[Schedule] = []
    languages: list[Language] = []
    service_areas: list[ServiceArea] = []
    service_at_locations: list[ServiceAtLocation] = []
    cost_options: list[CostOption] = []
    required_documents: list[RequiredDocument] = []
    capacities: list[Capacity] = []
    # profile
    vocabulary: Line | UnsetType = UNSET
    kind: Literal["service", "benefit", "performance", "place", "equipment", "group"] = "service"
    categories: list[Code] = []
    needs: list[Code] = []
    targets: list[Code] = []
    comune: IstatCode | UnsetType = UNSET
    territory: list[IstatCode] = []
    desk: Desk | UnsetType = UNSET
    owner: Line | UnsetType = UNSET
    provider: Line | UnsetType = UNSET
    sector: Literal["public", "private"] | UnsetType = UNSET
    management: Literal["direct", "district", "contracted", "private"] | UnsetType = UNSET
    systems: list[Literal["social", "pension", "health"]] = []
    access: list[Literal["direct", "social-service", "desk-referral", "assessment"]] = []
    anonymous_access: bool | UnsetType = UNSET
    requirements: Requirements | UnsetType = UNSET
    legal_references: list[LegalReference] = []
    hours: Hours | UnsetType = UNSET
    waiting: Waiting | UnsetType = UNSET
    notice: Notice | UnsetType = UNSET
    charter: Charter | UnsetType = UNSET
    urgent_line: bool | UnsetType = UNSET
    place: Literal["public", "secret", "reserved"] = "public"
    verified_at: Date | UnsetType = UNSET
    valid_until: Date | UnsetType = UNSET
    derived: list[Line] = []
    # network records only: random, so that the leaf of a network record cannot be guessed
    salt: Line | UnsetType = UNSET
