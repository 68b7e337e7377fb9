"""When a service is open: rules of a week or a month over local wall time, Europe/Rome. No clock, no time zones.

An instant is a naive local `datetime`; holidays are dates given by the caller (protocol.calendar_it knows them). On a
holiday a rule does not begin, unless it names all seven days ("every day" is every day). A rule that crosses midnight
belongs to the day on which it begins.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

from msgspec import UNSET

from schemas.records import Schedule, Season

Attending = Literal["desk", "phone", "booking", "appointment"]
DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
DESK: Final[frozenset[Attending]] = frozenset({"desk"})
MINUTES_A_DAY: Final = 24 * 60
HORIZON_DAYS: Final = 400


class Interval(NamedTuple):
    """From `opens` up to but not including `closes`, local wall time."""

    opens: datetime
    closes: datetime


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _parts(byday: str) -> Iterator[tuple[int | None, int]]:
    """ "2WE,-1FR" → (2, 2), (-1, 4); "MO" → (None, 0)."""
    for part in byday.split(","):
        name, nth = part.strip()[-2:].upper(), part.strip()[:-2]
        if name in DAYS:
            yield (int(nth) if nth else None), DAYS.index(name)


def _is_nth(day: date, nth: int) -> bool:
    if nth > 0:
        return (day.day - 1) // 7 + 1 == nth
    weeks = -nth
    return (day + timedelta(weeks=weeks)).month != day.month == (day + timedelta(weeks=weeks - 1)).month


def in_season(season: Season, day: date) -> bool:
    """Whether a day is inside a yearly span; a missing day means the whole month."""
    first = (season.from_month, 1 if season.from_day is UNSET else season.from_day)
    last = (season.to_month, 31 if season.to_day is UNSET else season.to_day)
    here = (day.month, day.day)
    return first <= here <= last if first <= last else here >= first or here <= last


def months_of(season: Season) -> frozenset[int]:
    """The months, 1 to 12, that a yearly span touches: ott-mag is all but June to September."""
    count = (season.to_month - season.from_month) % 12 + 1
    return frozenset((season.from_month - 1 + k) % 12 + 1 for k in range(count))


def _valid_on(schedule: Schedule, day: date) -> bool:
    if schedule.valid_from is not UNSET and day.isoformat() < schedule.valid_from:
        return False
    if schedule.valid_to is not UNSET and day.isoformat()[: len(schedule.valid_to)] > schedule.valid_to:
        return False
    if schedule.season is not UNSET and not in_season(schedule.season, day):
        return False
    return schedule.closed_season is UNSET or not in_season(schedule.closed_season, day)


def _begins_on(schedule: Schedule, day: date, holidays: Collection[date]) -> bool:
    """Whether the rule begins on a day. A rule of every second week without a known start never does: not guessed."""
    if not _valid_on(schedule, day):
        return False
    parts = list(_parts(schedule.byday))
    if day in holidays and len({weekday for _, weekday in parts}) < len(DAYS):
        return False
    if schedule.interval is not UNSET and schedule.interval > 1:
        return _in_turn(schedule, day, schedule.interval) and (None, day.weekday()) in parts
    return any(day.weekday() == weekday and (nth is None or _is_nth(day, nth)) for nth, weekday in parts)


def _in_turn(schedule: Schedule, day: date, interval: int) -> bool:
    if schedule.valid_from is UNSET or len(schedule.valid_from) != len("2026-11-21"):
        return False
    start = date.fromisoformat(schedule.valid_from)
    monday, first = day - timedelta(days=day.weekday()), start - timedelta(days=start.weekday())
    return (monday - first).days // 7 % interval == 0


def interval_on(schedule: Schedule, day: date, holidays: Collection[date] = ()) -> Interval | None:
    """The interval which a rule begins on a day, or None."""
    if not _begins_on(schedule, day, holidays):
        return None
    midnight = datetime.combine(day, datetime.min.time())
    opens, closes = _minutes(schedule.opens_at), _minutes(schedule.closes_at)
    if closes <= opens:
        closes += MINUTES_A_DAY
    return Interval(midnight + timedelta(minutes=opens), midnight + timedelta(minutes=closes))


def is_open(
    schedules: Sequence[Schedule],
    at: datetime,
    holidays: Collection[date] = (),
    attending: Collection[Attending] = DESK,
) -> bool:
    """Whether anybody attends (a desk, unless said otherwise) at a local instant."""
    for schedule in schedules:
        if schedule.attending not in attending:
            continue
        for day in (at.date(), at.date() - timedelta(days=1)):
            span = interval_on(schedule, day, holidays)
            if span and span.opens <= at < span.closes:
                return True
    return False


def next_opening(
    schedules: Sequence[Schedule],
    at: datetime,
    holidays: Collection[date] = (),
    attending: Collection[Attending] = DESK,
) -> datetime | None:
    """`at` itself when open, otherwise when it opens next within 400 days, or None."""
    rules = [s for s in schedules if s.attending in attending]
    if is_open(rules, at, holidays, attending):
        return at
    for ahead in range(HORIZON_DAYS if rules else 0):
        day = at.date() + timedelta(days=ahead)
        begun = (interval_on(rule, day, holidays) for rule in rules)
        later = [span.opens for span in begun if span and span.opens >= at]
        if later:
            return min(later)
    return None


def _part_of_year(schedule: Schedule) -> tuple[object, object, object]:
    return (schedule.season, schedule.valid_from, schedule.valid_to)


_WHOLE_YEAR: Final = (UNSET, UNSET, UNSET)


def weekly_desk_hours(schedules: Sequence[Schedule]) -> float:
    """Desk hours of one full week in season, holidays not counted; monthly rules and telephone hours are not in it.

    Of several seasons the one that stands first counts: their sum would be a week that never is.
    """
    spans: list[tuple[int, int]] = []
    weekly = [s for s in schedules if s.attending == "desk" and s.freq == "WEEKLY" and s.interval in (UNSET, 1)]
    first = next((part for s in weekly if (part := _part_of_year(s)) != _WHOLE_YEAR), _WHOLE_YEAR)
    for schedule in weekly:
        if _part_of_year(schedule) not in (_WHOLE_YEAR, first):
            continue
        opens, closes = _minutes(schedule.opens_at), _minutes(schedule.closes_at)
        length = closes - opens if closes > opens else closes - opens + MINUTES_A_DAY
        for _, weekday in _parts(schedule.byday):
            start = weekday * MINUTES_A_DAY + opens
            spans.append((start, start + length))
    return union_minutes(spans) / 60


def union_minutes(spans: list[tuple[int, int]]) -> int:
    """Minutes of a week covered by (from, to) intervals; overlapping ones count once.

    A week is a circle: what goes past Sunday night begins it again.
    """
    week = 7 * MINUTES_A_DAY
    cut = [(a, min(b, week)) for a, b in spans] + [(0, b - week) for _, b in spans if b > week]
    total, reached = 0, 0
    for a, b in sorted(cut):
        total += max(0, b - max(a, reached))
        reached = max(reached, b)
    return total
