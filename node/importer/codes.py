"""Words of a row → vocabulary codes, with the words that led to each, so that the preview can say why.

The tables are in keywords.py; here is only how they are searched.
"""

import re
from functools import cache
from typing import Final, Literal, NamedTuple

from node.importer import keywords
from node.importer.columns import fold
from node.importer.texts import pieces
from schemas import vocabularies

Management = Literal["direct", "district", "contracted", "private"]
System = Literal["social", "pension", "health"]
MAX_CODES: Final = 6
_OWNER: Final = re.compile(
    r"per conto (?:del|della|dell[’'])\s*"
    r"((?:Comune|Ambito|Distretto|AST)\b(?:\s+(?:di|del|Sanitario)\s+[A-ZÀ-Ù][\w'’ ]+)?)"
)


class Found(NamedTuple):
    """A code and the words (folded) that led to it."""

    code: str
    words: str


class ServiceCodes(NamedTuple):
    categories: list[Found]
    needs: list[Found]


def _search(pattern: str, text: str) -> re.Match[str] | None:
    return re.search(rf"(?<![a-z0-9])(?:{pattern})", text)


def service_codes(name: str, *further: str) -> ServiceCodes:
    """Categories and needs: of the name, and when the name says nothing, of the first further text that does."""
    for text in map(fold, (name, *further)):
        categories, needs = dict[str, Found](), dict[str, Found]()
        for hint in keywords.SERVICES:
            if m := _search(hint.words, text):
                categories.setdefault(hint.category, Found(hint.category, m[0]))
                for need in hint.needs:
                    needs.setdefault(need, Found(need, m[0]))
        for code, words in _vocabulary_words(text):
            categories.setdefault(code, Found(code, words))
        if categories:
            return ServiceCodes(list(categories.values())[:MAX_CODES], list(needs.values())[:MAX_CODES])
    return ServiceCodes([], [])


def _vocabulary_words(text: str) -> list[tuple[str, str]]:
    """The labels and synonyms of the vocabulary itself, when a whole one of at least two words is in the text."""
    padded = f" {text} "
    return [(code, words) for code, words in _phrases() if f" {words} " in padded]


@cache
def _phrases() -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for code, row in vocabularies.table("service_categories").items():
        folded = [fold(word) for word in (row["label_it"], *vocabularies.words(row["synonyms_it"]))]
        found.extend((code, words) for words in folded if " " in words)
    return tuple(found)


def two_services(name: str) -> tuple[str, str] | None:
    """ "Mensa e docce": both halves of a name, when they are services of different categories."""
    halves = re.split(r"\s+(?:e|ed|\+|&|/)\s+|\s*[+/]\s*", name, maxsplit=1)
    if len(halves) != 2:
        return None
    one, other = ({f.code for f in service_codes(half).categories} for half in halves)
    return (halves[0].strip(), halves[1].strip()) if one and other and not one & other else None


def target_codes(text: str) -> list[Found]:
    """Recipients; "tutti" together with somebody in particular ("tutti, anche senza dimora") stays both."""
    folded, found = fold(text), dict[str, Found]()
    for pattern, code in keywords.TARGETS:
        if m := _search(pattern, folded):
            found.setdefault(code, Found(code, m[0].strip()))
    return list(found.values())


def accessibility_codes(text: str) -> tuple[list[Found], list[str]]:
    """(codes, pieces not understood). A step is AX-PARZ, never step-free; "?" is AX-ND."""
    found, unknown = dict[str, Found](), list[str]()
    if re.search(r"\?", text):
        found[keywords.UNKNOWN_ACCESS] = Found(keywords.UNKNOWN_ACCESS, "?")
    for piece in pieces(text.replace("?", " ")):
        folded = fold(piece)
        code = next((code for pattern, code in keywords.ACCESSIBILITY if _access_word(pattern, folded)), "")
        if code:
            found.setdefault(code, Found(code, folded))
        else:
            unknown.append(piece)
    if found.keys() & {"AX-PARZ", "AX-NO"}:
        found.pop("AX-RAMPA", None)
    return list(found.values()), unknown


def _access_word(pattern: str, folded: str) -> bool:
    return bool(re.search(rf"(?<![a-z])(?:{pattern})", folded))


def sector(participant_type: str) -> Literal["public", "private"]:
    row = vocabularies.table("participant_types").get(participant_type)
    return "public" if row is not None and row["public_body"] == "yes" else "private"


def management(participant_type: str, text: str) -> Management:
    """How the service is run, from the kind of body and from words such as "in appalto"."""
    if _search(keywords.CONTRACTED, fold(text)):
        return "contracted"
    if participant_type in ("PT-DISTRETTO", "PT-PUA"):
        return "district"
    return "direct" if sector(participant_type) == "public" else "private"


def systems(participant_type: str, categories: list[str]) -> list[System]:
    """Social, pension, health: by category; a health district is always also health."""
    found: list[System] = []
    for category in categories or [""]:
        for system in keywords.SYSTEMS.get(category, ("social",)):
            if system not in found and system in ("social", "pension", "health"):
                found.append(system)  # type: ignore[arg-type]
    if participant_type == "PT-DISTRETTO" and "health" not in found:
        found.append("health")
    return found


def owner_in(text: str) -> str:
    """ "per conto del Comune di Pesaro" → "Comune di Pesaro"."""
    m = _OWNER.search(text)
    return m[1].strip() if m else ""


def says(pattern: str, *texts: str) -> str:
    """The words of a pattern in one of the texts, or an empty text."""
    for text in texts:
        if m := _search(pattern, fold(text)):
            return m[0]
    return ""
