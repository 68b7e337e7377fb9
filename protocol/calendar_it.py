"""Working days and working hours in Italy, per comune. Not opening hours of a desk, not `holidays` (its test oracle).

Wall time is Europe/Rome, daylight saving included. A working day is Monday to Friday and no holiday: in law Saturday
is *feriale*, yet most desks are closed, and a term that counted it would run out before anybody could act (ADR 0012).
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

ROME: Final = ZoneInfo("Europe/Rome")
# (month, day) → first year; L. 260/1949 as amended, L. 336/2000 (2 June), L. 151/2025 (4 October, from 2026).
FIXED_HOLIDAYS: Final[dict[tuple[int, int], int]] = {
    (1, 1): 1949, (1, 6): 1986, (4, 25): 1949, (5, 1): 1949, (6, 2): 2001, (8, 15): 1949, (10, 4): 2026,
    (11, 1): 1949, (12, 8): 1949, (12, 25): 1949, (12, 26): 1949,
}  # fmt: skip
WORKING_WEEKDAYS: Final = frozenset({0, 1, 2, 3, 4})
# The same working time for every office, so that both ends of a referral compute the same deadline.
OFFICE_OPENS: Final = time(8)
OFFICE_CLOSES: Final = time(18)


def easter(year: int) -> date:
    """Easter Sunday, Gregorian calendar (Meeus/Jones/Butcher)."""
    century, in_century = divmod(year, 100)
    golden = year % 19
    leap_centuries, rest = divmod(century, 4)
    moon = (19 * golden + century - leap_centuries - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * rest + 2 * (in_century // 4) - moon - in_century % 4) % 7
    shift = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * shift + 114, 31)
    return date(year, month, day + 1)


class Calendar(msgspec.Struct, frozen=True):
    """The calendar of a comune. `patron`: (month, day) of its patron, None when unknown: the caller says so."""

    patron: tuple[int, int] | None = None

    def is_holiday(self, day: date) -> bool:
        """A Sunday, a national holiday, Easter Monday or the patron's day."""
        key = (day.month, day.day)
        return (
            day.weekday() == 6
            or day.year >= FIXED_HOLIDAYS.get(key, 10_000)
            or key == self.patron
            or day == easter(day.year) + timedelta(days=1)
        )

    def is_working(self, day: date) -> bool:
        """True for a working day: see the first lines of this module."""
        return day.weekday() in WORKING_WEEKDAYS and not self.is_holiday(day)

    def working_days(self, first: date) -> Iterator[date]:
        """The working days from `first` on, `first` included if it is one."""
        day = first
        while True:
            if self.is_working(day):
                yield day
            day += timedelta(days=1)


def local_day(at: int) -> date:
    """The day in Italy at this Unix second."""
    return datetime.fromtimestamp(at, ROME).date()


def at_wall(day: date, wall: time) -> int:
    """Unix seconds of a wall time in Italy; where a clock change repeats or skips it, the earlier reading."""
    return int(datetime.combine(day, wall, ROME).timestamp())


def end_of_day(day: date) -> int:
    """The last second of that day in Italy, 23 or 25 hours long included."""
    return at_wall(day + timedelta(days=1), time(0)) - 1
