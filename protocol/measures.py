"""Measured times: how long an answer took, and the middle and the slow end of many. Pure; nothing about persons."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from math import ceil
from typing import Final

from protocol.calendar_it import OFFICE_CLOSES, OFFICE_OPENS, Calendar, at_wall, local_day
from protocol.deadline import URGENCIES

IN_WORKING_TIME: Final = frozenset(code for code, terms in URGENCIES.items() if terms.respond.unit == "working-days")
"""Urgencies whose answers are measured in working time; the others by the clock (DOMAIN §10, 4)."""


def elapsed(urgency: str, start: int, end: int, calendar: Calendar) -> int:
    """Seconds from `start` to `end`, of working time where the urgency is counted so."""
    return worked(start, end, calendar) if urgency in IN_WORKING_TIME else max(0, end - start)


def worked(start: int, end: int, calendar: Calendar) -> int:
    """Seconds of office hours on working days between two instants."""
    total, last = 0, local_day(end)
    day = local_day(start)
    while day <= last:
        if calendar.is_working(day):
            opens, closes = at_wall(day, OFFICE_OPENS), at_wall(day, OFFICE_CLOSES)
            total += max(0, min(end, closes) - max(start, opens))
        day += timedelta(days=1)
    return total


def median(values: Iterable[int]) -> float:
    """The middle one, or the mean of the two in the middle. At least one value."""
    ranked = sorted(values)
    half = len(ranked) // 2
    return float(ranked[half]) if len(ranked) % 2 else (ranked[half - 1] + ranked[half]) / 2


def percentile(values: Sequence[int], percent: int) -> int:
    """Nearest rank: the smallest value that at least `percent` in a hundred do not exceed."""
    return sorted(values)[max(1, ceil(len(values) * percent / 100)) - 1]
