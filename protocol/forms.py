"""The sheet of a referral as people fill it in: which fields a kind asks for, and how a sheet goes over paper and back.

Every field has a number for good, so that a sheet printed by one version is typed in by another; what a sheet means is
named by its version. Pure: text in, fields out. No vocabulary is checked here (protocol.offers does).

A printed line is "20 Cognome: Bianchi  [K7]"; typed in it is "20 Bianchi [K7]", and the mark finds the line that was
misread. The code of a sheet, "PUA-1-K7QM-3XWD", names kind and version and checks all lines together.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import msgspec

from protocol.calendar_it import ROME
from protocol.errors import ProtocolError
from protocol.offers import KINDS
from schemas.bodies import Offer

VERSION: Final = 1
Value: TypeAlias = Literal["text", "number", "day", "moment", "yes-no", "list"]


class Field(NamedTuple):
    """One field: where it stands in the offer ("person.phone"), what it is for people, how it is written."""

    path: str
    it: str
    en: str
    value: Value = "text"


FIELDS: Final[Mapping[int, Field]] = {
    1: Field("urgency", "Urgenza (UR-…)", "Urgency (UR-…)"),
    2: Field("subject", "Di chi si tratta (person, household, group, none)", "Whom it is about (person, household…)"),
    3: Field("need", "Bisogno (NA-…)", "Need (NA-…)"),
    4: Field("target", "Destinatari (TG-…)", "Target group (TG-…)"),
    5: Field("category", "Tipo di servizio (SC-…)", "Category of service (SC-…)"),
    6: Field("service", "Voce della mappa", "Entry of the map"),
    7: Field("desk", "Sportello che manda", "Desk that sends"),
    8: Field("callback", "Telefono dello sportello", "Telephone of the desk"),
    10: Field(
        "description", "Che cosa serve, solo per il servizio che riceve", "What is needed, for the receiver only"
    ),
    11: Field("active_services", "Servizi già attivi", "Services already active"),
    12: Field("offices_tried", "Uffici già sentiti (quanti)", "Offices tried before (how many)", "number"),
    13: Field("documents", "Documenti (separati da ;)", "Papers (separated by ;)", "list"),
    14: Field("by_voice_at", "Già detto a voce il (giorno e ora)", "Said by voice on (day and hour)", "moment"),
    20: Field("person.family_name", "Cognome", "Family name"),
    21: Field("person.given_name", "Nome", "Given name"),
    22: Field("person.birth_year", "Anno di nascita", "Year of birth", "number"),
    23: Field("person.birth_date", "Data di nascita", "Date of birth", "day"),
    24: Field("person.tax_code", "Codice fiscale", "Tax code"),
    25: Field("person.language", "Lingua", "Language"),
    26: Field("person.residence", "Comune di residenza (codice ISTAT)", "Comune of residence (ISTAT code)"),
    27: Field("person.homeless", "Senza dimora (sì, no)", "Homeless (sì, no)", "yes-no"),
    28: Field("person.address", "Dove si trova, indirizzo", "Where the person is, address"),
    29: Field("person.phone", "Telefono", "Telephone"),
    30: Field("person.may_leave_message", "Si può lasciare un messaggio (sì, no)", "May leave a message", "yes-no"),
    31: Field("person.safe_contact", "Contatto sicuro", "Safe contact"),
    32: Field("person.no_contact", "Non contattare (sì, no)", "Do not contact (sì, no)", "yes-no"),
    33: Field("person.household_size", "Persone in famiglia", "Persons in the household", "number"),
    34: Field("person.minors", "Ci sono minori (sì, no)", "Minors (sì, no)", "yes-no"),
    40: Field("reporter.kind", "Chi segnala (self, relative, neighbour, professional, body)", "Who reports"),
    41: Field("reporter.name", "Nome di chi segnala", "Name of who reports"),
    42: Field("reporter.role", "Ruolo di chi segnala", "Role of who reports"),
    43: Field("reporter.phone", "Telefono di chi segnala", "Telephone of who reports"),
    44: Field("reporter.person_informed", "La persona lo sa (sì, no)", "The person knows (sì, no)", "yes-no"),
    45: Field(
        "requester.who", "Chiede per sé un gruppo o un ente (group, body)", "A group or a body asks (group, body)"
    ),
    46: Field("requester.name", "Nome del gruppo o dell'ente", "Name of the group or body"),
    47: Field("requester.phone", "Telefono del gruppo o dell'ente", "Telephone of the group or body"),
    48: Field("requester.email", "E-mail del gruppo o dell'ente", "E-mail of the group or body"),
    50: Field("health.discharge_date", "Dimissione il", "Discharge on", "day"),
    51: Field("health.prescriber", "Chi prescrive", "Who prescribes"),
    52: Field("health.autonomy", "Autonomia", "Autonomy"),
    53: Field("health.disability", "Invalidità", "Disability"),
    54: Field("health.current_care", "Cure in corso", "Current care"),
    60: Field("basis.law", "Base giuridica (per esempio GDPR 6(1)(e))", "Legal basis (for example GDPR 6(1)(e))"),
    61: Field("basis.purpose", "Finalità", "Purpose"),
    62: Field("basis.notice_version", "Informativa data, versione", "Privacy notice given, version"),
    63: Field("basis.notice_date", "Informativa data il", "Privacy notice given on", "day"),
    64: Field("basis.consent_to", "Consenso per l'ufficio", "Consent for the office"),
    65: Field("basis.consent_how", "Come è stato dato (signed, spoken)", "How it was given (signed, spoken)"),
}
MACHINE: Final = frozenset({"referral", "case", "thread", "linked_from", "parent", "path", "form_version"})
"""What no sheet asks for: the kind stands in its code, the rest the programs write."""

_BASIS: Final = (60, 61, 62, 63)
_USUAL: Final = (1, 3, 4, 5, 6, 8, 10, 11, 12)
_PERSON: Final = (20, 21, 22, 25, 26, 28, 29, 31, 33)
_ASKS: Final = (45, 46, 47, 48)
FORMS: Final[Mapping[str, tuple[int, ...]]] = {
    # The urgent ones are asked in two minutes and never hold a call up: eleven lines, four of them the legal basis.
    "RK-PUA": (20, 21, 28, 29, 50, 51, 10, *_BASIS),
    "RK-PIS": (10, 21, 20, 22, 25, 29, 14, *_BASIS),
    **dict.fromkeys(("RK-INFO", "RK-PROP", "RK-DISF"), (3, 4, 5, 6, 8, 10, *_ASKS)),
    **dict.fromkeys(("RK-SEGN", "RK-ACCOMP", "RK-DOMANDA"), (*_USUAL, *_PERSON, 40, 44, *_BASIS, 64, 65)),
    "RK-PIC": (*_USUAL, *_PERSON, 40, 44, 52, 53, 54, *_BASIS, 64, 65),
}
SETTLED: Final[Mapping[str, Mapping[str, str]]] = {
    "RK-PUA": {"urgency": "UR-PUA24"},
    "RK-PIS": {"urgency": "UR-PIS"},
    **{kind: {"subject": "none"} for kind in ("RK-INFO", "RK-PROP", "RK-DISF")},
}
"""What a kind says by itself, and is not asked."""


def fields_of(kind: str) -> tuple[int, ...]:
    """Numbers of the fields the form of a kind asks for, in order. Raises unknown-code."""
    if kind not in FORMS:
        raise ProtocolError("unknown-code", field="referral", expected=" ".join(KINDS), got=kind)
    return FORMS[kind]


def blank(kind: str) -> dict[str, Any]:
    """The offer of a kind as it stands before anything is asked, as a JSON object."""
    return {"referral": kind, "urgency": "UR-ORD", "subject": "person", "case": "", **SETTLED.get(kind, {})}


# -- a field as text, and back

_STRANGE: Final = re.compile(r"\\(?:\\|u[0-9a-f]{4}|U[0-9a-f]{8})|\\")


def written(field: Field, value: Any) -> str:
    """A value as it stands on paper; `read` gives the same value again."""
    if field.value == "yes-no":
        return "sì" if value else "no"
    if field.value == "day":
        return "/".join(reversed(str(value).split("-")))
    if field.value == "moment":
        return datetime.fromtimestamp(value, ROME).isoformat(sep=" ")
    if field.value == "list":
        return "; ".join(_plain(str(one)).replace(";", "\\u003b") for one in value)
    return _plain(str(value))


def _plain(text: str) -> str:
    """One line that survives paper: what cannot be seen or is easily lost is spelt out."""
    shown = []
    for at, char in enumerate(text):
        lost = char == " " and (at in (0, len(text) - 1) or text[at - 1] == " ")
        if char == "\\":
            shown.append("\\\\")
        elif lost or not char.isprintable() or (char.isspace() and char != " "):
            shown.append(f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}")
        else:
            shown.append(char)
    return "".join(shown)


def _spelt(text: str) -> str:
    """Raises ValueError for what is no character."""

    def char(found: re.Match[str]) -> str:
        what = found.group()
        return "\\" if len(what) < 3 else chr(int(what[2:], 16))

    spelt = _STRANGE.sub(char, text)
    spelt.encode()  # half a surrogate pair is none
    return spelt


def read(field: Field, text: str) -> Any:
    """What a person typed, as the offer holds it. Raises bad-shape naming the field."""
    text = text.strip()
    try:
        if field.value == "yes-no":
            return {"sì": True, "si": True, "no": False}[text.lower()]
        if field.value == "number":
            return int(text)
        if field.value == "day":
            return _day(text)
        if field.value == "moment":
            return _moment(text)
        if field.value == "list":
            return [_spelt(one.strip()) for one in text.split(";") if one.strip()]
        return _spelt(text)
    except (KeyError, ValueError, OverflowError):
        raise ProtocolError("bad-shape", field=field.path, expected=_EXPECTED[field.value]) from None


_EXPECTED: Final[Mapping[Value, str]] = {
    "yes-no": "sì, no", "number": "123", "day": "20/11/2026", "moment": "20/11/2026 11:40", "text": "\\\\",
    "list": "\\\\",
}  # fmt: skip


def _day(text: str) -> str:
    found = re.fullmatch(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})|(\d{4})-(\d{1,2})-(\d{1,2})", text)
    if found is None:
        raise ValueError
    day, month, year = found.group(1, 2, 3) if found[1] else found.group(6, 5, 4)
    return datetime(int(year), int(month), int(day)).date().isoformat()


def _moment(text: str) -> int:
    day, _, hour = text.partition(" ")
    at = datetime.fromisoformat(f"{_day(day)} {hour.strip() or '00:00'}")
    return int((at if at.tzinfo else at.replace(tzinfo=ROME)).timestamp())


# -- a whole sheet


def lines(offer: Offer) -> dict[int, str]:
    """Every field the offer holds, by number."""
    held: dict[str, Any] = msgspec.to_builtins(offer)
    found = {}
    for number, field in FIELDS.items():
        part, _, name = field.path.rpartition(".")
        value = (held.get(part) or {}).get(name) if part else held.get(field.path)
        if value is not None and (text := written(field, value)):
            found[number] = text
    return found


def filled(kind: str, given: Mapping[int, str]) -> Offer:
    """The offer that lines say, by number. Raises bad-shape naming the field, unknown-code."""
    fields_of(kind)
    offer = blank(kind)
    for number, text in given.items():
        if number not in FIELDS:
            raise ProtocolError("bad-shape", field=f"line {number}", expected="the number of a line")
        field = FIELDS[number]
        part, _, name = field.path.rpartition(".")
        place = offer.setdefault(part, {}) if part else offer
        place[name or field.path] = read(field, text)
    try:
        return msgspec.convert(offer, Offer)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        raise ProtocolError("bad-shape", field=path.strip("`.") or "offer", expected=what) from None


# -- the code and the marks

_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that is taken for another
_CODE: Final = re.compile(r"([A-Z]{3,10})-(\d{1,3})(?:-([0-9A-Z]{4})-([0-9A-Z]{4}))?")


class Code(NamedTuple):
    """What the code of a sheet says; `check` None: the sheet was printed empty and filled in by hand."""

    kind: str
    version: int
    check: str | None


def _letters(domain: str, text: str, count: int) -> str:
    number = int.from_bytes(sha256(f"raccordo/{domain}/v1\0{text}".encode()).digest()[:8], "big")
    return "".join(_LETTERS[number >> (59 - 5 * i) & 31] for i in range(count))


def mark(number: int, text: str) -> str:
    """The two letters at the end of a line."""
    return _letters("line", f"{number} {text}", 2)


def code(kind: str, given: Mapping[int, str] | None = None) -> str:
    """The code printed on a sheet with these lines; on an empty one without them."""
    name = f"{kind.removeprefix('RK-')}-{VERSION}"
    if given is None:
        return name
    check = _check(kind, given)
    return f"{name}-{check[:4]}-{check[4:]}"


def _check(kind: str, given: Mapping[int, str]) -> str:
    return _letters("sheet", f"{kind}\n" + "".join(f"{number} {given[number]}\n" for number in sorted(given)), 8)


def read_code(text: str) -> Code:
    """Raises sheet-code for what is none, sheet-version, unknown-code."""
    found = _CODE.fullmatch("".join(text.split()).upper())
    if found is None:
        raise ProtocolError("sheet-code", field="code", expected="PUA-1-K7QM-3XWD")
    if int(found[2]) != VERSION:
        raise ProtocolError("sheet-version", field="code", expected=str(VERSION), got=found[2])
    fields_of(kind := f"RK-{found[1]}")
    return Code(kind, VERSION, f"{found[3]}{found[4]}" if found[3] else None)


_LINE: Final = re.compile(r"(\d{1,2})[.:)]?[ \t]+(.*?)(?:\s*\[([0-9A-Za-z]{2})\])?\s*")
_BY_HAND: Final = re.compile(r"(\d{1,2})[.:)]?[ \t]+(.*?)()\s*")


def typed(sheet: Code, rows: Iterable[str]) -> dict[int, str]:
    """The lines of a sheet as typed in, checked by its code: "number value [mark]", what goes on begins with a space.

    Raises bad-shape for what is no line, sheet-code naming the line whose mark is another, or none if only the whole is
    wrong.
    """
    found: dict[int, str] = {}
    marks: dict[int, str] = {}
    for number, text, said in _joined(rows, _BY_HAND if sheet.check is None else _LINE):
        if number not in FIELDS or number in found:
            raise ProtocolError("bad-shape", field=f"line {number}", expected="the number of a line")
        field = FIELDS[number]
        for label in (field.it, field.en):  # copied as printed, with its words
            text = text.removeprefix(f"{label}:").strip()
        if text:
            found[number] = text if sheet.check is None else written(field, read(field, text))
            marks |= {number: said} if said else {}
    if sheet.check is None:
        return found
    for number, said in marks.items():
        if mark(number, found[number]) != said:
            raise ProtocolError("sheet-code", field=f"line {number}", expected="the line as printed")
    if _check(sheet.kind, found) != sheet.check:
        raise ProtocolError("sheet-code", field="code", expected="all lines as printed, with their marks")
    return found


def _joined(rows: Iterable[str], shape: re.Pattern[str]) -> list[tuple[int, str, str]]:
    whole: list[str] = []
    for row in rows:
        if row[:1] in (" ", "\t") and whole and row.strip():
            whole[-1] += f" {row.strip()}"
        elif row.strip():
            whole.append(row.rstrip())
    found = []
    for at, row in enumerate(whole, 1):
        match = shape.fullmatch(row)
        if match is None:
            raise ProtocolError("bad-shape", field=f"line {at}", expected="20 Bianchi [K7]")
        found.append((int(match[1]), match[2].strip(), (match[3] or "").upper()))
    return found
