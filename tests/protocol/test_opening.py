"""Open at an instant, next opening, desk hours of a week."""

from datetime import date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.opening import DAYS, is_open, months_of, next_opening, weekly_desk_hours
from schemas.records import Schedule, Season

ID = "00000000-0000-0000-0000-000000000001"
EVERY_DAY = ",".join(DAYS)
IMMACOLATA = frozenset({date(2026, 12, 8)})  # a Tuesday


def rule(byday: str, opens: str, closes: str, freq: str = "WEEKLY", **more: object) -> Schedule:
    return Schedule(id=ID, freq=freq, byday=byday, opens_at=opens, closes_at=closes, **more)  # type: ignore[arg-type]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_end_of_an_interval_is_closed() -> None:
    desk = [rule("MO,TU", "09:00", "12:00")]
    assert is_open(desk, at("2026-11-23T09:00"))
    assert is_open(desk, at("2026-11-24T11:59"))
    assert not is_open(desk, at("2026-11-24T12:00"))
    assert not is_open(desk, at("2026-11-25T10:00"))


def test_two_seasons_are_not_added_up_to_a_week_that_never_is() -> None:
    winter = rule("MO,TU", "09:00", "13:00", season=Season(from_month=10, to_month=5))
    summer = rule("MO,TU", "08:00", "11:00", season=Season(from_month=6, to_month=9))
    always = rule("SA", "10:00", "12:00")
    assert weekly_desk_hours([winter, summer, always]) == 10.0
    assert weekly_desk_hours([summer, winter, always]) == 8.0


def test_the_months_of_a_season_may_cross_the_year() -> None:
    assert months_of(Season(from_month=10, to_month=2)) == {10, 11, 12, 1, 2}
    assert months_of(Season(from_month=8, to_month=8)) == {8}


def test_a_night_shelter_is_open_at_two_in_january_and_closed_in_july() -> None:
    shelter = [rule(EVERY_DAY, "20:00", "08:00", season=Season(from_month=12, from_day=1, to_month=3, to_day=31))]
    assert is_open(shelter, at("2027-01-10T02:00"))
    assert is_open(shelter, at("2026-12-01T21:00"))
    assert not is_open(shelter, at("2026-12-01T02:00"))
    assert is_open(shelter, at("2027-04-01T07:00"))
    assert not is_open(shelter, at("2026-07-10T02:00"))
    assert not is_open(shelter, at("2027-01-10T12:00"))


def test_august_is_closed_when_august_is_excluded() -> None:
    desk = [rule("WE", "10:00", "12:00", closed_season=Season(from_month=8, to_month=8))]
    assert is_open(desk, at("2026-07-29T11:00"))
    assert not is_open(desk, at("2026-08-05T11:00"))
    assert next_opening(desk, at("2026-07-29T12:00")) == at("2026-09-02T10:00")


def test_nth_and_last_weekdays_of_a_month() -> None:
    second = [rule("2WE", "09:00", "11:00", "MONTHLY")]
    assert is_open(second, at("2026-11-11T09:30"))
    assert not is_open(second, at("2026-11-18T09:30"))
    last = [rule("-1FR", "09:00", "11:00", "MONTHLY")]
    assert is_open(last, at("2026-11-27T09:30"))
    assert not is_open(last, at("2026-11-20T09:30"))
    assert next_opening(second, at("2026-11-12T00:00")) == at("2026-12-09T09:00")


def test_a_desk_is_closed_on_a_holiday_and_an_everyday_service_is_not() -> None:
    assert not is_open([rule("MO,TU", "09:00", "12:00")], at("2026-12-08T10:00"), IMMACOLATA)
    assert is_open([rule(EVERY_DAY, "00:00", "24:00")], at("2026-12-08T10:00"), IMMACOLATA)


def test_a_fortnightly_rule_needs_a_start_to_be_open() -> None:
    unknown = [rule("SA", "09:00", "12:00", interval=2)]
    assert next_opening(unknown, at("2026-11-21T00:00")) is None
    known = [rule("SA", "09:00", "12:00", interval=2, valid_from="2026-11-07")]
    assert is_open(known, at("2026-11-21T10:00"))
    assert not is_open(known, at("2026-11-28T10:00"))


def test_telephone_hours_are_not_desk_hours() -> None:
    line = [rule("MO", "14:00", "16:00", attending="phone")]
    assert not is_open(line, at("2026-11-23T15:00"))
    assert is_open(line, at("2026-11-23T15:00"), attending={"phone"})
    assert weekly_desk_hours(line) == 0


def test_hours_of_a_week_count_overlaps_once() -> None:
    assert weekly_desk_hours([rule("MO", "09:00", "12:00"), rule("MO", "11:00", "13:00")]) == 4
    assert weekly_desk_hours([rule(EVERY_DAY, "00:00", "24:00")]) == 168
    assert weekly_desk_hours([rule("SU", "20:00", "08:00"), rule("MO", "07:00", "09:00")]) == 13
    assert weekly_desk_hours([rule("2WE", "09:00", "11:00", "MONTHLY")]) == 0


def test_validity_of_a_month_lasts_to_its_end() -> None:
    desk = [rule("MO", "09:00", "12:00", valid_to="2026-11")]
    assert is_open(desk, at("2026-11-30T10:00"))
    assert not is_open(desk, at("2026-12-07T10:00"))


clock = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
days = st.lists(st.sampled_from(DAYS), min_size=1, unique=True).map(",".join)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.builds(rule, days, clock, clock), st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)))
def test_the_next_opening_is_open_and_nothing_before_it_is(schedule: Schedule, when: datetime) -> None:
    found = next_opening([schedule], when)
    assert found is not None and found >= when
    assert is_open([schedule], found)
    if found > when:
        assert not is_open([schedule], when)
        assert not is_open([schedule], when + (found - when) / 2)
