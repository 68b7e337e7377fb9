"""One row of cells → the values of a service, with every problem, every derived field and the reason of every code.

A bad value is left out and reported; it never takes the row with it. No identity and no file reading; build.py makes
the record.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from node.importer import codes, keywords
from node.importer.build import LINE, TEXT, BodyProfile, Values, make_service
from node.importer.columns import fold
from node.importer.dates import is_future, is_stale, parse_date
from node.importer.hours import HoursReading, parse_hours
from node.importer.phones import PhoneReading, parse_phones
from node.importer.places import Place, read_place, withheld
from node.importer.texts import (
    CostReading,
    LanguageReading,
    is_bare_amount,
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
from protocol.contents import STREET
from protocol.territory import Territory
from schemas.records import Service

_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")
_EMAIL_MARKS: Final = re.compile(r"[\s,;/<>]|mailto:|\be?-?mail\b:?|\b[oe]\b", re.IGNORECASE)
_URL: Final = re.compile(r"(?:https?://)?(?:[a-z0-9-]+\.)+[a-z]{2,}(?:[/?#]\S*)?", re.IGNORECASE)
_KEPT_PHONES: Final = frozenset({"", "phone-short"})


@dataclass(frozen=True)
class RowReading:
    """A service without identity yet; `build(id)` gives the record. `reasons`: code → the words that led to it."""

    values: Values
    network: bool
    problems: list[RowProblem]
    reasons: dict[str, str]
    mixed: tuple[str, str] | None

    @property
    def name(self) -> str:
        return self.values.name

    @property
    def place(self) -> Place:
        return self.values.place

    @property
    def hours(self) -> HoursReading:
        return self.values.hours

    @property
    def owner(self) -> str:
        return self.values.owner

    @property
    def derived(self) -> list[str]:
        return self.values.derived

    def build(self, ident: str) -> Service:
        return make_service(self.values, ident)


@dataclass
class _Row:
    """The cells of a row by field, the names of their columns, and what was noticed."""

    cells: dict[str, str]
    columns: Mapping[str, str]
    body: BodyProfile
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


def read_row(
    cells: Mapping[str, str], columns: Mapping[str, str], body: BodyProfile, territory: Territory, today: date
) -> RowReading:
    """`cells` and `columns` (names as written) by field; the service name must be there."""
    row = _Row(dict(cells), columns, body, today)
    place, hours = _place(row, territory), _hours(row)
    name = row.line("service")
    network = codes.says(keywords.NETWORK_ONLY, *map(row.get, ("description", "requirements", "notes", "service")))
    if network:
        row.say("network-only", "description", network)
    mixed = codes.two_services(name)
    if mixed:
        row.say("mixed-service", "service", " / ".join(mixed))
    values = _values(row, name, place, hours)
    return RowReading(values, bool(network), row.problems, row.reasons, mixed)


def _values(row: _Row, name: str, place: Place, hours: HoursReading) -> Values:
    found = codes.service_codes(name, row.get("category"), row.get("description"))
    targets = codes.target_codes(row.get("targets"))
    _explain(row, found, targets)
    languages, interpreters = _languages(row)
    requirements = row.line("requirements", TEXT)
    owner = codes.owner_in(row.get("service")) or codes.owner_in(row.get("description"))
    values = Values(
        body=row.body,
        today=row.today,
        name=name,
        place=place,
        hours=hours,
        found=found,
        targets=targets,
        phones=_phones(row),
        costs=_costs(row),
        languages=languages,
        features=_features(row),
        needs=parse_requirements(requirements, f"{row.get('targets')} {row.get('description')}"),
        ages=parse_ages(requirements, row.get("targets"), row.get("description")),
        waiting=parse_waiting(row.get("waiting"), row.get("capacity")),
        documents=parse_documents(row.get("documents")),
        description=row.line("description", TEXT),
        requirements="" if is_nothing(requirements) else requirements,
        fees=row.line("cost"),
        notes=row.line("notes"),
        waiting_text=row.line("waiting"),
        features_text=row.line("accessibility"),
        interpreters=interpreters[:LINE],
        zone=row.line("zone"),
        email=_email(row),
        url=_url(row),
        verified=_verified(row),
        owner=owner[:LINE],
        provider=_provider(row, owner)[:LINE],
        derived=row.derived,
    )
    row.derived.extend(("organization", "sector", "management", "systems"))
    return values


def _place(row: _Row, territory: Territory) -> Place:
    """A secret said in another cell is a secret all the same."""
    place = read_place(row.get("address"), row.get("comune"), row.get("cap"), row.body.comune, territory, row.today)
    elsewhere = codes.says(keywords.HIDDEN_PLACE, *map(row.get, ("description", "notes", "service")))
    if place.kind != "secret" and elsewhere:
        place = Place("secret", problems=[withheld(row.get("address")) or ("place-secret", "address", "")])
    if place.kind == "secret":
        _untold(row)
    for code, name, got in place.problems:
        row.say(code, name, got)
    row.derived.extend(place.derived)
    return place


def _untold(row: _Row) -> None:
    """A text that names a street would tell where a secret place is, and could not be published (protocol.contents)."""
    for name in [name for name in row.cells if name not in ("address", "comune", "service")]:
        if STREET.search(row.get(name)):
            row.say("place-told", name)
            row.cells[name] = ""


def _hours(row: _Row) -> HoursReading:
    hours = parse_hours(row.get("hours"))
    for code, got in hours.problems:
        row.say(code, "hours", got)
    return hours


def _explain(row: _Row, found: codes.ServiceCodes, targets: list[codes.Found]) -> None:
    for one in (*found.categories, *found.needs, *targets):
        row.reasons.setdefault(one.code, one.words)
    row.derived.extend(name for name, some in (("categories", found.categories), ("needs", found.needs)) if some)
    if not found.categories:
        row.say("category-unknown", "category")
    if row.get("targets") and not targets:
        row.say("targets-unknown", "targets", row.get("targets"))


def _phones(row: _Row) -> list[PhoneReading]:
    found = parse_phones(row.get("phone"))
    for phone in found:
        if phone.problem:
            row.say(phone.problem, "phone", phone.number)
    if not found and re.search(r"\d", row.get("phone")):
        row.say("phone-unclear", "phone", row.get("phone"))
    return [phone for phone in found if phone.problem in _KEPT_PHONES]


def _email(row: _Row) -> str:
    """The first address; a cell that holds anything else besides addresses is an error on the e-mail only."""
    text = row.get("email")
    found = _EMAIL.findall(text)
    rest = _EMAIL_MARKS.sub("", _EMAIL.sub("", text)).strip("-–.")
    if rest and not is_nothing(text):
        row.say("email-invalid", "email", text)
        return ""
    if len(found) > 1:
        row.say("email-several", "email")
    return found[0][:LINE] if found else ""


def _url(row: _Row) -> str:
    text = row.get("url").strip("-– ")
    if not text or is_nothing(text):
        return ""
    if not _URL.fullmatch(text):
        row.say("url-invalid", "url", text)
        return ""
    return (text if "://" in text else f"https://{text}")[:LINE]


def _verified(row: _Row) -> str:
    text = row.get("verified")
    if not text.strip(" -–"):
        row.say("date-missing", "verified")
        return ""
    found = parse_date(text)
    if not found or is_future(found.iso, row.today):
        row.say("date-future" if found else "date-invalid", "verified", text)
        return ""
    if found.note:
        row.say(found.note, "verified", found.iso if found.note == "date-serial" else text)
    if is_stale(found.iso, row.today):
        row.say("date-stale", "verified", found.iso)
    return found.iso


def _costs(row: _Row) -> list[CostReading]:
    text = row.get("cost")
    found = parse_cost(text)
    if is_bare_amount(text):
        row.say("cost-assumed", "cost", text)
    if found and not found[0].code:
        row.say("cost-unclear", "cost", text)
        found = [found[0]._replace(code="CT-ND")]
    if members_only_free(text) and row.body.participant_type == "PT-PATRONATO":
        row.say("cost-members-only", "cost", text)
    return found


def _languages(row: _Row) -> tuple[list[LanguageReading], str]:
    languages, interpreters, unknown = parse_languages(row.get("languages"))
    for word in unknown:
        row.say("language-unknown", "languages", word)
    return languages, interpreters


def _features(row: _Row) -> list[codes.Found]:
    found, unclear = codes.accessibility_codes(row.get("accessibility"))
    for piece in unclear:
        row.say("accessibility-unclear", "accessibility", piece)
    return found


def _provider(row: _Row, owner: str) -> str:
    """The body itself when it works for an owner, or another body that the row names."""
    named, own = row.get("body"), row.body.name
    if named and fold(named) != fold(own):
        return named
    return own if owner else ""
