"""Free-text cells → structured values: cost, requirements, ages, waiting, languages, documents. No codes of services.

What cannot be read stays as the owner wrote it; each reader says what it did not understand.
"""

import re
from typing import Final, Literal, NamedTuple

from node.importer.columns import fold
from schemas import vocabularies

_BARE: Final = re.compile(r"\d{1,4}(?:[.,]\d{1,2})?")
NOTHING: Final = frozenset({"", "nessuno", "nessuna", "no", "niente", "non previsto", "non previsti", "0", "n d", "nd"})
Access = Literal["direct", "social-service", "desk-referral", "assessment"]
_AMOUNT: Final = re.compile(
    r"(?:€|\beuro\b|\beur\b)\s*(\d[\d.]*(?:,\d{1,2})?)|(\d[\d.]*(?:,\d{1,2})?)\s*(?:€|euro\b|eur\b)", re.I
)


def is_nothing(text: str) -> bool:
    return fold(text) in NOTHING


def pieces(text: str) -> list[str]:
    """A list in a cell: by semicolon, line or comma; not the comma of a decimal, nor inside parentheses."""
    parts = re.split(r"[;\n]|,(?!\d)(?![^(]*\))", text)
    return [part.strip(" .-–") for part in parts if part.strip(" .-–")]


def number(text: str) -> float:
    """An Italian number: "10.632,94" → 10632.94; "8.000" → 8000; "5,50" → 5.5."""
    whole, _, cents = text.partition(",")
    if not cents and re.fullmatch(r"\d+\.\d{1,2}", whole):
        return float(whole)
    return float(whole.replace(".", "") + (f".{cents}" if cents else ""))


# -- cost


class CostReading(NamedTuple):
    """One way of paying. `code` is of cost_types.csv; "" when nothing was recognised."""

    code: str
    amount: float | None
    text: str


_COSTS: Final[list[tuple[str, str]]] = [
    (r"gratuit\w* (?:agli|per gli|ai|per i) (?:iscritt|soci|tesserat)", "CT-TESSERA"),
    (r"gratis|gratuit|nessun costo|senza costi|^0$|esente", "CT-GRAT"),
    (r"tessera|iscrizione|quota associativa", "CT-TESSERA"),
    (r"offerta", "CT-OFFERTA"),
    (r"ticket", "CT-TICKET"),
    (r"isee|compartecip|fasc[ei]a?\b|in base al reddito|retta", "CT-ISEE"),
]


def is_bare_amount(text: str) -> bool:
    """A number alone in the column of costs: what a workbook keeps of a cell that shows "5,00 €"."""
    return bool(_BARE.fullmatch(text.strip())) and number(text.strip()) > 0


def parse_cost(text: str) -> list[CostReading]:
    """ "730: € 40, ISEE gratuito" → a tariff of 40 and something free."""
    if not text.strip():
        return []
    if is_bare_amount(text):
        return [CostReading("CT-TARIF", number(text.strip()), text.strip())]
    found = [_cost(part) for part in re.split(r"[;\n+()]|,(?!\d)", text) if part.strip(" .")]
    known = list({(r.code, r.amount): r for r in reversed(found) if r.code}.values())[::-1]
    return known or [CostReading("CT-ND" if text.strip(" -–") == "" else "", None, text.strip())]


def _cost(part: str) -> CostReading:
    money = _AMOUNT.search(part)
    amount = number(money[1] or money[2]) if money else None
    folded = fold(part)
    code = next(
        (code for pattern, code in _COSTS if re.search(rf"\b(?:{pattern})" if pattern[0] != "^" else pattern, folded)),
        "",
    )
    if amount is not None and code in ("", "CT-GRAT", "CT-ISEE"):
        code = "CT-GRAT" if amount == 0 else "CT-TARIF"
    return CostReading(code, amount, part.strip())


def members_only_free(text: str) -> bool:
    """ "gratuito agli iscritti": a patronato may not ask for that (L. 152/2001)."""
    return bool(re.search(_COSTS[0][0], fold(text)))


# -- requirements


class RequirementReading(NamedTuple):
    residence: bool
    isee_max: float | None
    assessment_first: bool
    prescription: bool
    members_only: bool
    access: list[Access]
    anonymous: bool


_ISEE_MAX: Final = re.compile(
    r"isee\D{0,24}?(?:<=?|≤|fino a|sotto|inferiore a|entro|max\w*|non superiore a|minore di)\D{0,6}(\d[\d.]*(?:,\d+)?)",
    re.I,
)


def parse_requirements(text: str, also: str = "") -> RequirementReading:
    """`also` is what other cells say about the way in (recipients, description)."""
    folded, around = fold(text), fold(f"{text} {also}")
    residence = bool(re.search(r"\bresiden(?:za|ti|te)\b", folded)) and " o presenza" not in folded
    limit = _ISEE_MAX.search(text)
    assessment = bool(re.search(r"\bvalutazione|\buvi\b|\bumea\b|\bprevalutazione obbligatoria", folded))
    prescription = bool(
        re.search(r"\bimpegnativa|\brichiesta (?:del )?medic|\bricetta|\bprescrizione|\brichiesta mmg", folded)
    )
    sent = "tessera dal" in folded
    members = not sent and bool(re.search(r"\btessera(?! sanitaria)|\biscritti\b|\bsoci\b", folded))
    anonymous = bool(re.search(r"\banonim", around))
    return RequirementReading(
        residence, number(limit[1].rstrip(".,")) if limit else None, assessment, prescription, members,
        _access(folded, around, assessment), anonymous,
    )  # fmt: skip


def _access(folded: str, around: str, assessment: bool) -> list[Access]:
    ways: list[Access] = []
    sent = r"(?:invi[oa]\w*|segnalazione|segnalat[oiae]|seguit[oiae]|su richiesta)"
    if re.search(rf"\b{sent}\b[a-z ]{{0,20}}\b(?:servizi\b|servizio sociale|comune\b|assistente sociale)", around):
        ways.append("social-service")
    if re.search(
        rf"\b{sent}\b[a-z0-9 ]{{0,20}}\b(?:sportell|rete\b|centro (?:di )?ascolto|pis\b)"
        r"|\bcentro ascolto|tessera dal centro",
        folded,
    ):
        ways.append("desk-referral")
    if assessment:
        ways.append("assessment")
    return ways or ["direct"]


# -- ages


def parse_ages(*texts: str) -> tuple[float | None, float | None]:
    """(least, most) in years, from words such as "65+", "6-11 anni", "3-36 mesi", "over 65", "ragazzi 14-29"."""
    for text in texts:
        plain = text.casefold().replace("–", "-")
        if m := re.search(r"\b(\d{1,2})\s?-\s?(\d{1,3})\s*(anni|mesi)?\b", plain):
            months = m[3] == "mesi"
            low, high = (int(m[1]) / 12, int(m[2]) / 12) if months else (float(m[1]), float(m[2]))
            if low < high <= 120 and (m[3] or _about_people(plain)):
                return round(low, 2), round(high, 2)
        if m := re.search(r"\b(\d{2})\s?\+|\b(?:over|oltre i|ultra|almeno|dai|compiuti)\s?(\d{2})\b", plain):
            return float(m[1] or m[2]), None
        if m := re.search(r"(?:^|[,;]|\beta)\s*(\d{2})\s+anni\b|\b(\d{2})\s+anni\s+(?:compiuti|e oltre)", plain):
            return float(m[1] or m[2]), None
        if m := re.search(r"\bunder\s?(\d{1,2})\b|\b(?:fino a|sotto i|meno di)\s?(\d{1,2})\s*anni\b", plain):
            return None, float(m[1] or m[2])
    return None, None


def _about_people(text: str) -> bool:
    return bool(re.search(r"ragazz|giovan|bambin|disabil|minor|adult|anzian|person|donn|eta\b|età", text))


# -- waiting


class WaitingReading(NamedTuple):
    days_min: int | None
    days_max: int | None
    status: Literal["none", "waitlist", "full"] | None
    places: int | None


_UNITS: Final = {
    "h": 1 / 24,
    "ore": 1 / 24,
    "gg": 1,
    "g": 1,
    "giorn": 1,
    "settiman": 7,
    "sett": 7,
    "mes": 30,
    "ann": 365,
}
_DURATION: Final = re.compile(r"(\d{1,3})(?:\s?[-/–]\s?(\d{1,3}))?\s*(gg|giorn|settiman|sett|mes|ann|ore\b|h\b|g\b)")


def parse_waiting(text: str, also: str = "") -> WaitingReading:
    """ "7-15 gg" → 7…15; "6-12 mesi (18 posti, completo)" → 180…360, full, 18 places."""
    folded, plain = fold(text), text.casefold()
    spans = [(int(m[1]) * _UNITS[m[3]], int(m[2] or m[1]) * _UNITS[m[3]]) for m in _DURATION.finditer(plain)]
    everything = f"{folded} {fold(also)}"
    places = re.search(r"\b(\d{1,4}) post[io]\b", everything)
    full = bool(re.search(r"\bcompleto\b|\bal completo\b|\bposti esauriti|\besaurit", everything))
    listed = bool(re.search(r"\blist[ae] (?:di |d )?attesa|\bgraduatoria", folded))
    none = bool(re.search(r"\bnessun|\bimmediat|^0$|\bsubito\b|\bsenza attesa", folded)) and not spans
    status: Literal["none", "waitlist", "full"] | None = (
        "full" if full else "waitlist" if listed else "none" if none else None
    )
    if none or "in giornata" in folded:
        spans = [(0, 0 if none else 1)]
    low = round(min(a for a, _ in spans)) if spans else None
    high = max(round(max(b for _, b in spans)), low or 0) if spans else None
    return WaitingReading(low, high, status, int(places[1]) if places else None)


# -- languages


class LanguageReading(NamedTuple):
    code: str
    name: str
    note: str


def _language_words() -> dict[str, str]:
    words: dict[str, str] = {}
    for code, row in vocabularies.table("languages").items():
        words[code] = code
        for word in [row["label_it"], *row["keywords_it"].split(";")]:
            words[fold(word)] = code
    return words


def parse_languages(text: str) -> tuple[list[LanguageReading], str, list[str]]:
    """(languages, what is said about interpreters, words not understood); "arabo (lun)" keeps "lun" as a note."""
    table, found, help_words, unknown = _language_words(), dict[str, LanguageReading](), list[str](), list[str]()
    for note_of in re.finditer(r"([^,;/\n(]+)(?:\(([^)]*)\))?", text):
        words, note = fold(note_of[1]), (note_of[2] or "").strip()
        if "mediat" in fold(note_of[0]) or "mediaz" in words or "interpret" in words:
            help_words.append(note_of[0].strip())
        names = [w for w in words.split() if w in table]
        for word in names:
            code = table[word]
            label = vocabularies.label("languages", code)
            found.setdefault(code, LanguageReading(code, label, "" if "mediat" in fold(note) else note))
        rest = [w for w in words.split() if w not in table and w not in _LANGUAGE_FILLERS and not w.startswith("media")]
        unknown.extend(rest if not names or rest else [])
    return list(found.values()), "; ".join(help_words), unknown


_FILLERS: Final = "e ed anche su richiesta telefonico telefonica interprete interpreti lingua lingue a con caa o di"
_LANGUAGE_FILLERS: Final = frozenset(_FILLERS.split())


# -- documents


def parse_documents(text: str) -> list[str]:
    """One document for each piece; "nessuno" and "-" are none."""
    if is_nothing(text) or fold(text).startswith("nessun"):
        return []
    return [piece[:300] for piece in pieces(text)]
