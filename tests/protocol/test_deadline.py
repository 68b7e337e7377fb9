"""Deadlines: the table of urgencies, Italian holidays, the patron's day, daylight saving."""

from datetime import date, datetime, timedelta

import holidays
import pytest

from protocol.calendar_it import ROME, Calendar, easter, end_of_day
from protocol.deadline import URGENCIES, Deadlines, deadline
from protocol.errors import ProtocolError
from schemas.vocabularies import table

PESARO = Calendar((9, 24))
NO_PATRON = Calendar()
YEARS = range(2020, 2036)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ROME).timestamp())


def wall(deadlines: Deadlines) -> tuple[str | None, str]:
    def show(seconds: int) -> str:
        return f"{datetime.fromtimestamp(seconds, ROME):%a %Y-%m-%d %H:%M:%S}"

    return (None if deadlines.ack_by is None else show(deadlines.ack_by), show(deadlines.respond_by))


@pytest.mark.parametrize(
    ("calendar", "subdivision"), [(NO_PATRON, None), (PESARO, "Pesaro"), (Calendar((6, 1)), "Urbino")]
)
def test_holidays_agree_with_the_holidays_package(calendar: Calendar, subdivision: str | None) -> None:
    oracle = holidays.country_holidays("IT", subdiv=subdivision, years=YEARS)
    day = date(YEARS[0], 1, 1)
    while day.year in YEARS:
        assert calendar.is_holiday(day) == (day in oracle or day.weekday() == 6), day
        day += timedelta(days=1)


def test_easter_agrees_with_the_holidays_package() -> None:
    oracle = holidays.country_holidays("IT", years=YEARS, language="en_US")
    for year in YEARS:
        assert "Easter Sunday" in oracle[easter(year)]


def test_the_fourth_of_october_is_a_holiday_from_2026() -> None:
    assert not NO_PATRON.is_holiday(date(2024, 10, 4))
    assert NO_PATRON.is_holiday(date(2027, 10, 4))


def test_a_saturday_is_no_holiday_and_no_working_day() -> None:
    assert not NO_PATRON.is_holiday(date(2026, 11, 21))
    assert not NO_PATRON.is_working(date(2026, 11, 21))


def test_the_table_covers_the_vocabulary_of_urgencies() -> None:
    rows = table("urgency_levels")
    assert list(URGENCIES) == list(rows)
    for code, terms in URGENCIES.items():
        targets = (terms.ack, rows[code]["ack_target"]), (terms.respond, rows[code]["response_target"])
        for span, words in targets:
            assert words.split()[0] == (str(span.amount) if span else "none")


@pytest.mark.parametrize(
    ("urgency", "stored", "expected"),
    [
        # an emergency counts at night and on feasts
        ("UR-PIS", "2026-12-25T23:58", ("Sat 2026-12-26 00:03:00", "Sat 2026-12-26 00:28:00")),
        # DOMAIN §4 case 1: Friday, receipt 11:52
        ("UR-PUA24", "2026-11-20T11:52", ("Fri 2026-11-20 12:22:00", "Sat 2026-11-21 11:52:00")),
        # half of the half hour before closing, the rest next morning
        ("UR-PUA24", "2026-11-18T17:45", ("Thu 2026-11-19 08:15:00", "Thu 2026-11-19 17:45:00")),
        # Friday evening: working time comes after the answer is due, so that is the limit
        ("UR-PUA24", "2026-11-20T19:00", ("Sat 2026-11-21 19:00:00", "Sat 2026-11-21 19:00:00")),
        ("UR-72", "2026-11-18T10:00", ("Thu 2026-11-19 23:59:59", "Sat 2026-11-21 10:00:00")),
        ("UR-72", "2026-11-20T10:00", ("Mon 2026-11-23 10:00:00", "Mon 2026-11-23 10:00:00")),
        ("UR-ORD", "2026-11-18T10:00", ("Fri 2026-11-20 23:59:59", "Wed 2026-12-02 23:59:59")),
        # stored on a Saturday, and over 8 December
        ("UR-INFO", "2026-12-05T10:00", (None, "Mon 2026-12-14 23:59:59")),
    ],
)
def test_deadlines_count_as_the_table_says(urgency: str, stored: str, expected: tuple[str | None, str]) -> None:
    assert wall(deadline(urgency, at(stored), NO_PATRON)) == expected


def test_the_patron_s_day_of_the_receiver_does_not_count() -> None:
    stored = at("2026-09-22T10:00")
    assert wall(deadline("UR-ORD", stored, NO_PATRON))[0] == "Thu 2026-09-24 23:59:59"
    assert wall(deadline("UR-ORD", stored, PESARO))[0] == "Fri 2026-09-25 23:59:59"


def test_hours_are_real_hours_when_the_clock_changes_and_days_are_wall_days() -> None:
    stored = at("2026-10-24T12:00")  # the night after is 25 hours long
    assert wall(deadline("UR-72", stored, NO_PATRON))[1] == "Tue 2026-10-27 11:00:00"
    assert end_of_day(date(2026, 10, 25)) - end_of_day(date(2026, 10, 24)) == 25 * 3600
    assert end_of_day(date(2027, 3, 28)) - end_of_day(date(2027, 3, 27)) == 23 * 3600
    assert wall(deadline("UR-ORD", stored, NO_PATRON))[0] == "Tue 2026-10-27 23:59:59"


def test_opening_is_never_due_after_the_answer() -> None:
    first = at("2026-01-01T00:00")
    for urgency in URGENCIES:
        for hour in range(0, 24 * 370, 5):
            due = deadline(urgency, first + hour * 3600, PESARO)
            assert due.ack_by is None or first + hour * 3600 < due.ack_by <= due.respond_by


def test_an_unknown_urgency_is_refused() -> None:
    with pytest.raises(ProtocolError) as refused:
        deadline("UR-DOMANI", 0, NO_PATRON)
    assert refused.value.code == "unknown-code"
