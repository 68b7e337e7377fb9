"""One row of cells → one HSDS service, with every problem and every derived field named. No identity, no file reading.

A bad value is left out and reported; it never takes the row with it. Ids inside a record come from the record's own id,
so that importing the same row again gives the same record.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final
from uuid import UUID, uuid5

from msgspec import UNSET, UnsetType

from node.importer import codes, keywords
from node.importer.columns import fold
from node.importer.dates import is_future, is_stale, parse_date
from node.importer.hours import HoursReading, parse_hours, schedules
from node.importer.phones import parse_phones
from node.importer.places import Place, read_place
from node.importer.texts import (
    CostReading,
    is_nothing,
    members_only_free,
    parse_ages,
    parse_cost,
    parse_documents,
    parse_languages,
    parse_requirements,
    parse_waiting,
)
from node.importer.wording import RowProblem, row_problem
from protocol.territory import Territory
from schemas import records, vocabularies

LINE: Final = 300
TEXT: Final = 4000
_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
_URL: Final = re.compile(r"(?:https?://)?(?:[a-z0-9-]+\.)+[a-z]{2,}(?:[/?#]\S*)?", re.IGNORECASE)


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
class RowReading:
    """A service without identity yet: `build(id)` gives the record."""

    name: str
    place: Place
    hours: HoursReading
    network: bool
    problems: list[RowProblem]
    reasons: dict[str, str]
    derived: list[str]
    mixed: tuple[str, str] | None
    owner: str
    build: Callable[[str], records.Service]


@dataclass
class _Row:
    """The cells of a row by field, the names of their columns, and what was noticed."""

    cells: Mapping[str, str]
    columns: Mapping[str, str]
    body: BodyProfile
    territory: Territory
    today: date
    problems: list[RowProblem] = field(default_factory=list)
    derived: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        return self.cells.get(name, "")

    def say(self, code: str, name: str = "", got: str = "") -> None:
        self.problems.append(row_problem(code, self.columns.get(name, ""), name, got))

    def line(self, name: str, limit: int = LINE) -> str:
        """A cell as a field: one line (or a text), cut and said when too long."""
        text = self.get(name)
        text = " ".join(text.split()) if limit == LINE else text
        if len(text) > limit:
            self.say("text-too-long", name)
        return text[:limit]


def _opt(text: str) -> str | UnsetType:
    return text or UNSET


def read_row(
    cells: Mapping[str, str], columns: Mapping[str, str], body: BodyProfile, territory: Territory, today: date
) -> RowReading:
    """`cells` and `columns` (names as written) by field; the service name must be there."""
    row = _Row(cells, columns, body, territory, today)
    name = row.line("service")
    place = read_place(row.get("address"), row.get("comune"), row.get("cap"), body.comune, territory, today)
    place = _secret_elsewhere(row, place)
    for code, field_name, got in place.problems:
        row.say(code, field_name, got)
    row.derived.extend(place.derived)
    hours = parse_hours(row.get("hours"))
    for code, got in hours.problems:
        row.say(code, "hours", got)
    network = codes.says(
        keywords.NETWORK_ONLY, *(row.get(f) for f in ("description", "requirements", "notes", "service"))
    )
    if network:
        row.say("network-only", "description", network)
    parts = _Parts(row, place, hours)
    mixed = codes.two_services(name)
    if mixed:
        row.say("mixed-service", "service", " / ".join(mixed))
    service = parts.service(name)
    owner = codes.owner_in(f"{row.get('service')}. {row.get('description')}")
    return RowReading(name, place, hours, bool(network), row.problems, row.reasons, row.derived, mixed, owner, service)


def _secret_elsewhere(row: _Row, place: Place) -> Place:
    """A secret said in another cell is a secret all the same."""
    if place.kind != "secret" and codes.says(
        keywords.HIDDEN_PLACE, row.get("description"), row.get("notes"), row.get("service")
    ):
        return Place("secret", problems=[("place-secret", "address", "")])
    return place


class _Parts:
    """The parts of a service, each read once; ids are made when the service gets its own."""

    def __init__(self, row: _Row, place: Place, hours: HoursReading) -> None:
        self.row = row
        self.place = place
        self.hours = hours

    def service(self, name: str) -> Callable[[str], records.Service]:
        """Reads every cell now; the record is made by the function returned, which has no effects."""
        row = self.row
        found = codes.service_codes(name, row.get("description"))
        targets = codes.target_codes(row.get("targets"))
        self._explain(found, targets)
        phones = [p for p in parse_phones(row.get("phone")) if self._keep_phone(p.problem, p.number)]
        if re.search(r"\d", row.get("phone")) and not phones and not any(p.field == "phone" for p in row.problems):
            row.say("phone-unclear", "phone", row.get("phone"))
        email, url = self._email(), self._url()
        verified = self._verified()
        costs = self._costs()
        languages, interpreters, unknown_words = parse_languages(row.get("languages"))
        for word in unknown_words:
            row.say("language-unknown", "languages", word)
        access_codes, unclear = codes.accessibility_codes(row.get("accessibility"))
        for piece in unclear:
            row.say("accessibility-unclear", "accessibility", piece)
        needs = parse_requirements(row.get("requirements"), f"{row.get('targets')} {row.get('description')}")
        low, high = parse_ages(row.get("requirements"), row.get("targets"), row.get("description"))
        wait = parse_waiting(row.get("waiting"), row.get("capacity"))
        categories = [f.code for f in found.categories] or ["SC-ALTRO"]
        words = f"{row.get('service')} {row.get('description')}"
        body = row.body
        secret = self.place.kind == "secret"
        owner = codes.owner_in(words)
        described, requirements = row.line("description", TEXT), row.line("requirements", TEXT)
        fees, notes = row.line("cost"), row.line("notes")
        row.derived.append("organization")
        sector = codes.sector(body.participant_type)
        row.derived.append("sector")
        derived = list(dict.fromkeys(row.derived))

        def build(ident: str) -> records.Service:
            def made(*path: object) -> str:
                return str(uuid5(UUID(ident), "/".join(str(p) for p in path)))

            ids = iter(range(10_000))
            return records.Service(
                id=ident,
                name=name,
                status="active",
                organization=self._organization(),
                description=_opt(described),
                alert=_opt(notes),
                url=_opt(url),
                email=_opt(email),
                interpretation_services=_opt(interpreters[:LINE]),
                fees_description=_opt(fees),
                eligibility_description=_opt("" if is_nothing(requirements) else requirements),
                minimum_age=UNSET if low is None else low,
                maximum_age=UNSET if high is None else high,
                assured_date=_opt(verified),
                phones=[
                    records.Phone(
                        id=made("phone", i),
                        number=p.number,
                        extension=UNSET if p.extension is None else p.extension,
                        type=p.kind,
                        description=_opt(p.description),
                    )
                    for i, p in enumerate(phones)
                ],
                schedules=schedules(self.hours, lambda: made("schedule", next(ids))),
                languages=[
                    records.Language(id=made("language", x.code), code=x.code, name=x.name, note=_opt(x.note[:LINE]))
                    for x in languages
                ],
                service_at_locations=self._locations(made, access_codes),
                cost_options=[
                    records.CostOption(
                        id=made("cost", i),
                        option=_opt(c.text[:LINE]),
                        currency=UNSET if c.amount is None else "EUR",
                        amount=UNSET if c.amount is None else c.amount,
                        code=_opt(c.code),
                    )
                    for i, c in enumerate(costs)
                ],
                required_documents=[
                    records.RequiredDocument(id=made("document", i), document=text)
                    for i, text in enumerate(parse_documents(row.get("documents")))
                ],
                capacities=self._capacity(made, wait.places, wait.status == "full", verified),
                vocabulary=vocabularies.VERSION,
                kind="benefit" if codes.says(r"buon[oi]\b|contribut|bonus|assegno|sussid", name) else "service",
                categories=categories,
                needs=[f.code for f in found.needs],
                targets=[f.code for f in targets],
                comune=UNSET if secret else _opt(self.place.comune),
                territory=self._territory(needs.residence),
                desk=self._desk(),
                owner=_opt(owner[:LINE]) if owner else UNSET,
                provider=_opt(self._provider(owner)),
                sector=sector,
                management=codes.management(body.participant_type, words),
                systems=list(codes.systems(body.participant_type, categories)),
                access=needs.access,
                anonymous_access=True if needs.anonymous else UNSET,
                requirements=records.Requirements(
                    residence=True if needs.residence else UNSET,
                    isee_max=UNSET if needs.isee_max is None else needs.isee_max,
                    assessment_first=True if needs.assessment_first else UNSET,
                    prescription=True if needs.prescription else UNSET,
                    members_only=True if needs.members_only else UNSET,
                ),
                hours=records.Hours(text=self.hours.text[:LINE], status=self.hours.status)
                if self.hours.text
                else UNSET,
                waiting=records.Waiting(
                    text=row.get("waiting")[:LINE],
                    days_min=UNSET if wait.days_min is None else wait.days_min,
                    days_max=UNSET if wait.days_max is None else wait.days_max,
                    status=wait.status or UNSET,
                )
                if row.get("waiting") or wait.status
                else UNSET,
                urgent_line=True if codes.says(keywords.URGENT, name) else UNSET,
                place=self.place.kind,
                verified_at=_opt(verified),
                derived=derived,
            )

        return build

    def _explain(self, found: codes.ServiceCodes, targets: list[codes.Found]) -> None:
        row = self.row
        for one in (*found.categories, *found.needs, *targets):
            row.reasons.setdefault(one.code, one.words)
        row.derived.extend(name for name, some in (("categories", found.categories), ("needs", found.needs)) if some)
        if not found.categories:
            row.say("category-unknown", "service")
        if row.get("targets") and not targets:
            row.say("targets-unknown", "targets", row.get("targets"))

    def _keep_phone(self, problem: str, number: str) -> bool:
        if problem:
            self.row.say(problem, "phone", number)
        return problem in ("", "phone-short")

    def _email(self) -> str:
        text = self.row.get("email")
        found = _EMAIL.findall(text)
        rest = re.sub(r"[\s,;/]|mailto:|\bo\b|\be\b|[<>]", "", _EMAIL.sub("", text))
        if rest.strip("-–") and not is_nothing(text):
            self.row.say("email-invalid", "email", text)
        if len(found) > 1:
            self.row.say("email-several", "email")
        return found[0][:LINE] if found and not rest.strip("-–") else ""

    def _url(self) -> str:
        text = self.row.get("url")
        if not text or is_nothing(text) or text in ("-", "–"):
            return ""
        if not _URL.fullmatch(text):
            self.row.say("url-invalid", "url", text)
            return ""
        return (text if "://" in text else f"https://{text}")[:LINE]

    def _verified(self) -> str:
        row, text = self.row, self.row.get("verified")
        if not text.strip(" -–"):
            row.say("date-missing", "verified")
            return ""
        found = parse_date(text)
        if not found:
            row.say("date-invalid", "verified", text)
            return ""
        if is_future(found.iso, row.today):
            row.say("date-future", "verified", text)
            return ""
        if found.note:
            row.say(found.note, "verified", found.iso if found.note == "date-serial" else text)
        if is_stale(found.iso, row.today):
            row.say("date-stale", "verified", found.iso)
        return found.iso

    def _costs(self) -> list[CostReading]:
        row, text = self.row, self.row.get("cost")
        found = parse_cost(text)
        if found and not found[0].code:
            row.say("cost-unclear", "cost", text)
            found = [found[0]._replace(code="CT-ND")]
        if members_only_free(text) and row.body.participant_type == "PT-PATRONATO":
            row.say("cost-members-only", "cost", text)
        return found

    def _organization(self) -> records.Organization:
        body = self.row.body
        kind = vocabularies.label("participant_types", body.participant_type)
        return records.Organization(
            id=body.organization_id,
            name=body.name,
            description=body.description or kind,
            email=_opt(body.email),
            website=_opt(body.website),
            node=body.member,
            participant_type=_opt(body.participant_type),
        )

    def _provider(self, owner: str) -> str:
        """The body itself when it works for an owner, or another body that the row names."""
        named, own = self.row.get("body"), self.row.body.name
        if named and fold(named) != fold(own):
            return named[:LINE]
        return own if owner else ""

    def _territory(self, residence: bool) -> list[str]:
        body = self.row.body
        if self.place.kind == "secret":
            return []
        return [body.comune] if residence and body.comune and body.participant_type == "PT-COMUNE" else []

    def _desk(self) -> records.Desk | UnsetType:
        place, body = self.place, self.row.body
        if place.kind != "public" or not place.street:
            return UNSET
        ident = str(uuid5(UUID(body.organization_id), f"desk/{place.comune}/{fold(place.street)}"))
        zone = "" if place.kind != "public" else self.row.line("zone")
        return records.Desk(id=ident, name=f"{body.name}, {place.street}"[:LINE], zone=_opt(zone))

    def _locations(self, made: Callable[..., str], access: list[codes.Found]) -> list[records.ServiceAtLocation]:
        """The place, with its accessibility; a secret place has none, a reserved one no address and no point."""
        place = self.place
        features = [
            records.Accessibility(
                id=made("accessibility", one.code),
                description=vocabularies.label("accessibility_features", one.code),
                details=_opt(self.row.get("accessibility")[:LINE]),
                code=one.code,
            )
            for one in access
        ]
        if place.kind == "secret":
            return []
        reserved = place.kind != "public"
        if not features and not place.street:
            return []
        location = records.Location(
            id=made("location"),
            location_type="virtual" if reserved or not place.street else "physical",
            latitude=place.latitude if place.latitude is not None and not reserved else UNSET,
            longitude=place.longitude if place.longitude is not None and not reserved else UNSET,
            precision="centroid" if place.latitude is not None and not reserved else UNSET,
            addresses=[]
            if reserved or not place.street
            else [
                records.Address(
                    id=made("address"),
                    address_1=place.street[:LINE],
                    city=place.city,
                    state_province=place.province,
                    postal_code=place.postcode,
                )
            ],
            accessibility=features,
        )
        return [records.ServiceAtLocation(id=made("at"), location=location)]

    def _capacity(
        self, made: Callable[..., str], places: int | None, full: bool, verified: str
    ) -> list[records.Capacity]:
        """Only a full service has a known number of free places: none."""
        if not full:
            return []
        unit = records.Unit(id=made("unit"), name="posti")
        updated = verified or self.row.today.isoformat()
        most = UNSET if places is None else places
        return [records.Capacity(id=made("capacity"), unit=unit, available=0, updated=updated, maximum=most)]
