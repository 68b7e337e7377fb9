"""Dates as Italians type them → ISO, with the precision they have. Always day/month; never month/day. No clock.

"30/08/26" → 2026-08-30; "settembre 2026" → 2026-09; "2026" → 2026; "46265" (an Excel serial) → 2026-08-31.
"""

import re
from datetime import date, timedelta
from typing import Final, NamedTuple

from node.importer.columns import fold

STALE_DAYS: Final = 180
_MONTHS: Final = ("gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic")
_FULL: Final = ("gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre",
                "ottobre", "novembre", "dicembre")  # fmt: skip
_ISO: Final = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?(?:[T ]\d{1,2}:\d{2}(?::\d{2})?)?")
_DAY: Final = re.compile(r"(\d{1,2})\s?[./ -]\s?(\d{1,2})\s?[./ -]\s?(\d{4}|\d{2})")
_MONTH_YEAR: Final = re.compile(r"(\d{1,2})\s?[./-]\s?(\d{4})")
_WORDS: Final = re.compile(r"(?:(\d{1,2})\s+)?([a-z]+)\s+(\d{4}|\d{2})")
_PREFIX: Final = re.compile(r"^(?:aggiornat[oa]|verificat[oa]|agg|al|il|dal|data|circa|fine|inizio|meta|di)\b[\s.:]*")
SERIAL_FROM, SERIAL_TO = 36526, 73050  # 2000-01-01 … 2099-12-31


class DateReading(NamedTuple):
    """`iso` has the precision written: 2026, 2026-09 or 2026-09-15; `note` is a row problem code or ""."""

    iso: str
    note: str


def parse_date(text: str) -> DateReading | None:
    """The date of a cell, or None when it is not one."""
    bare = text.strip().strip(".")
    if m := _ISO.fullmatch(bare):
        return _built(int(m[1]), int(m[2]), int(m[3]) if m[3] else None)
    words = fold(bare)
    while (shorter := _PREFIX.sub("", words)) != words:
        words = shorter
    bare = re.sub(r"^[^\d]*(?=\d)", "", bare) if words[:1].isdigit() else bare
    if m := _DAY.fullmatch(bare):
        return _built(_year(m[3]), int(m[2]), int(m[1]))
    if m := _MONTH_YEAR.fullmatch(bare):
        return _built(int(m[2]), int(m[1]), None)
    if re.fullmatch(r"20\d\d", words):
        return DateReading(words, "date-vague")
    if words.isdigit() and words.isascii() and len(words) == 5 and SERIAL_FROM <= int(words) <= SERIAL_TO:
        return DateReading((date(1899, 12, 30) + timedelta(days=int(words))).isoformat(), "date-serial")
    if (m := _WORDS.fullmatch(words)) and (month := _month(m[2])):
        return _built(_year(m[3]), month, int(m[1]) if m[1] else None)
    return None


def _year(text: str) -> int:
    return int(text) if len(text) == 4 else 2000 + int(text)


def _month(word: str) -> int | None:
    if len(word) < 3 or word[:3] not in _MONTHS:
        return None
    number = _MONTHS.index(word[:3])
    return number + 1 if _FULL[number].startswith(word) else None


def _built(year: int, month: int, day: int | None) -> DateReading | None:
    if not 1990 <= year <= 2100:
        return None
    try:
        date(year, month, 1 if day is None else day)
    except ValueError:
        return None
    if day is None:
        return DateReading(f"{year:04}-{month:02}", "date-vague")
    return DateReading(f"{year:04}-{month:02}-{day:02}", "")


def last_day(iso: str) -> date:
    """The last day that a date of any precision may mean: 2026-09 → 2026-09-30."""
    parts = [int(p) for p in iso.split("-")]
    if len(parts) == 3:
        return date(*parts)
    year, month = parts[0], parts[1] if len(parts) == 2 else 12
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def age_days(iso: str, today: date) -> int:
    """Days since; a vague date is read in its favour, as its last day."""
    return (today - last_day(iso)).days


def is_stale(iso: str, today: date) -> bool:
    """Older than 180 days."""
    return age_days(iso, today) > STALE_DAYS


def is_future(iso: str, today: date) -> bool:
    """Whether even its first day is still to come."""
    parts = [int(p) for p in iso.split("-")] + [1, 1]
    return date(*parts[:3]) > today
