"""Measured times against hand counts."""

from datetime import datetime

import pytest

from protocol.calendar_it import ROME, Calendar
from protocol.measures import elapsed, median, percentile, worked

PESARO = Calendar((9, 24))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ROME).timestamp())


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-11-20T17:00", "2026-11-23T09:00", 2.0),  # Friday 17–18 and Monday 8–9
        ("2026-11-21T10:00", "2026-11-22T22:00", 0.0),
        ("2026-12-07T08:00", "2026-12-09T08:00", 10.0),  # over the 8th
        ("2026-09-23T17:30", "2026-09-25T08:30", 1.0),  # over the patron's day
        ("2026-11-23T09:00", "2026-11-23T08:00", 0.0),
    ],
)
def test_working_time_is_what_a_desk_counts_by_hand(start: str, end: str, hours: float) -> None:
    assert worked(at(start), at(end), PESARO) == hours * 3600


def test_an_urgent_answer_is_measured_by_the_clock() -> None:
    start, end = at("2026-11-20T17:00"), at("2026-11-23T09:00")
    assert elapsed("UR-72", start, end, PESARO) == 64 * 3600
    assert elapsed("UR-ORD", start, end, PESARO) == 2 * 3600


def test_median_and_ninetieth_percentile() -> None:
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 3, 2]) == 2.5
    assert percentile(list(range(1, 11)), 90) == 9
    assert percentile(list(range(1, 12)), 90) == 10
    assert percentile([7], 90) == 7
