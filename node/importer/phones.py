"""Telephone numbers in a cell → numbers as they can be dialled. No digit is ever dropped, added or moved.

"+39 0721 000601" → "+390721000601"; "0721 001401 int. 3" has extension 3; too short or too long is a warning.
"""

import re
from typing import Final, NamedTuple

_EXTENSION: Final = re.compile(r"(?:\bint(?:erno)?\b\.?|\binterni\b)\s*:?\s*(\d{1,5})", re.IGNORECASE)
_NUMBER: Final = re.compile(r"(?:\+|00)?\s?\(?\d[\d\s./()-]*\d")
_LABELS: Final[list[tuple[str, str]]] = [
    (r"\bfax\b", "fax"), (r"\bcell", "cell"), (r"\bwhats?app|\bwa\b", "text"),
]  # fmt: skip
_SPLIT: Final = re.compile(
    r"[;,\n]|\s+(?:e|o|oppure)\s+|\s+[-–/]\s+(?=[+\d(])|(?<=\d)\s+(?=(?:tel|cell|fax|whats|numero|n\.? ?verde)\b)",
    re.IGNORECASE,
)
_EMERGENCY: Final = frozenset({"112", "113", "114", "115", "117", "118", "1515", "1522", "1530", "116117", "19696"})
MOST_DIGITS: Final = 11
FREE: Final = ("800", "803")


class PhoneReading(NamedTuple):
    """One number: digits with "+39" only when it was written; `problem` is a row problem code or ""."""

    number: str
    extension: int | None
    kind: str
    description: str
    problem: str


def parse_phones(text: str) -> list[PhoneReading]:
    """All numbers of a cell, in order. A cell without any digit gives an empty list."""
    return [found for part in _parts(text) if (found := _one(part))]


def _parts(text: str) -> list[str]:
    """ "0721/000.201" stays whole; "0721 000101 / 0721 000102" and "0721000101/0721000102" are two."""
    parts: list[str] = []
    for piece in _SPLIT.split(text):
        halves = piece.split("/")
        full = [h for h in halves if len(re.sub(r"\D", "", _EXTENSION.sub("", h))) >= 8]
        parts.extend(halves if len(halves) > 1 and len(full) == len(halves) else [piece])
    return parts


def _one(part: str) -> PhoneReading | None:
    extension = _EXTENSION.search(part)
    rest = _EXTENSION.sub("|", part)  # a mark, so that the digits around it never join
    if not (m := _NUMBER.search(rest)):
        return None
    outside = " ".join((rest[: m.start()] + " " + rest[m.end() :]).strip(" .:-,()|").split())
    kind = next((name for pattern, name in _LABELS if re.search(pattern, part, re.IGNORECASE)), "voice")
    written = m[0].strip()
    digits = re.sub(r"\D", "", written)
    problem = "phone-unclear" if re.search(r"\d", outside) else ""
    if written.startswith("00") and len(digits) > 8:
        written, digits = "+" + written, digits[2:]
    if written.startswith("+"):
        national = digits[2:] if digits.startswith("39") else digits
        number = "+" + digits
    else:
        national, number = digits, digits
    foreign = number.startswith("+") and not digits.startswith("39")
    problem = problem or ("" if foreign else _length_problem(national))
    described = re.sub(r"(?i)\b(?:tel|telefono|cell|cellulare|fax|n)\b\.?:?", "", outside).strip(" .:-")
    return PhoneReading(number, int(extension[1]) if extension else None, kind, described[:200], problem)


def _length_problem(national: str) -> str:
    """Italian numbers: land lines begin with 0, mobiles with 3, free and shared-cost ones with 8, 199 and so on."""
    if national in _EMERGENCY:
        return ""
    if not national.startswith(("0", "3", "8", "199")):
        return "phone-unclear"
    least = 10 if national[:4] in _FOUR_DIGIT_AREAS else 6 if national.startswith("8") else 9
    return "phone-short" if len(national) < least else "phone-long" if len(national) > MOST_DIGITS else ""


# the area codes of the Marche and of nearby Romagna and Umbria; elsewhere nine digits can be right
_AREAS: Final = "0721 0722 0541 0543 0544 0546 0547 0731 0732 0733 0734 0735 0736 0737 0742 0743 0744"
_FOUR_DIGIT_AREAS: Final = frozenset(_AREAS.split())


def is_free(number: str) -> bool:
    """A numero verde."""
    return number.removeprefix("+39").startswith(FREE)
