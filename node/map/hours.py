"""When a service on the map is open, next opens, and how that is said in Italian. The rules are protocol.opening's.

Instants are naive local datetimes, Europe/Rome. What was computed holds until the next opening or closing.
"""

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

from msgspec import UNSET
from msgspec.structs import replace

from protocol.calendar_it import FIXED_HOLIDAYS, ROME, easter
from protocol.opening import DESK, Attending, interval_on, next_opening
from schemas.records import Schedule, Service

WEEKDAYS: Final = ("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica")
PHONE: Final[frozenset[Attending]] = frozenset({"phone"})
APPOINTMENT: Final = "by_appointment"
PHONE_ONLY: Final = "phone_only"
FAR: Final = 8  # an opening more than a week away
UNKNOWN: Final = 9  # by appointment, or hours that could not be read
_SAME_ID: Final = "00000000-0000-0000-0000-000000000000"


class Timetable(NamedTuple):
    """The rules of a service; equal rules of two services are one timetable. `patron`: (month, day) of its comune."""

    schedules: tuple[Schedule, ...]
    status: str
    patron: tuple[int, int] | None


class State(NamedTuple):
    """`open` at `since`; `closes` or `opens` next; holds for every instant before `until`."""

    since: datetime
    until: datetime
    open: bool
    closes: datetime | None
    opens: datetime | None


def local(at: int) -> datetime:
    """The wall time in Italy of a Unix second."""
    return datetime.fromtimestamp(at, ROME).replace(tzinfo=None)


@lru_cache(maxsize=64)
def _holidays_of(year: int, patron: tuple[int, int] | None) -> frozenset[date]:
    fixed = {date(year, month, day) for (month, day), since in FIXED_HOLIDAYS.items() if year >= since}
    own = {date(year, *patron)} if patron else set()
    return frozenset(fixed | own | {easter(year), easter(year) + timedelta(days=1)})


@lru_cache(maxsize=64)
def holidays(year: int, patron: tuple[int, int] | None) -> frozenset[date]:
    """Holidays of a year and of its neighbours; a Sunday is one only by its date."""
    return frozenset().union(*(_holidays_of(y, patron) for y in (year - 1, year, year + 1, year + 2)))


def timetable(service: Service, patron: tuple[int, int] | None) -> Timetable:
    """The timetable of a record, without what does not change when it is open."""
    rules = tuple(replace(rule, id=_SAME_ID, notes=UNSET) for rule in service.schedules)
    return Timetable(rules, service.hours.status if service.hours is not UNSET else "", patron)


def state_at(table: Timetable, at: datetime) -> State:
    """Whether somebody attends at an instant, and until when that is so."""
    attending = PHONE if table.status == PHONE_ONLY else DESK
    rules = [rule for rule in table.schedules if rule.attending in attending]
    free = holidays(at.year, table.patron)
    days = (at.date() - timedelta(days=1), at.date())
    spans = (span for rule in rules for day in days if (span := interval_on(rule, day, free)))
    closes = max((span.closes for span in spans if span.opens <= at < span.closes), default=None)
    if closes:
        return State(at, closes, True, closes, None)
    opens = next_opening(rules, at, free, attending)
    return State(at, opens or at + timedelta(days=1), False, None, opens)


def wait_days(state: State, at: datetime) -> int:
    """0 open now, 1 opens today, 2 tomorrow … FAR, or UNKNOWN: what the order of results counts."""
    if state.open:
        return 0
    return min((state.opens.date() - at.date()).days + 1, FAR) if state.opens else UNKNOWN


def said(table: Timetable, state: State, at: datetime) -> str:
    """ "aperto ora, fino alle 12:30", "apre lunedì 9:00", "su appuntamento", "orario da verificare"."""
    if state.open:
        return _said_open(table, state, at)
    if state.opens is None:
        return "su appuntamento" if table.status == APPOINTMENT else "orario da verificare"
    verb = "risponde al telefono" if table.status == PHONE_ONLY else "apre"
    return f"{verb} {_said_day(state.opens, at)} {_clock(state.opens)}"


def _said_open(table: Timetable, state: State, at: datetime) -> str:
    verb = "risponde ora al telefono" if table.status == PHONE_ONLY else "aperto ora"
    if table.status == "h24" or state.closes is None or state.closes - at >= timedelta(days=1):
        return verb
    return f"{verb}, fino alle {_clock(state.closes)}"


def _said_day(day: datetime, at: datetime) -> str:
    days = (day.date() - at.date()).days
    if days < 2:
        return ("oggi", "domani")[days]
    return WEEKDAYS[day.weekday()] if days < 7 else f"{WEEKDAYS[day.weekday()]} {day.day}/{day.month}"


def _clock(at: datetime) -> str:
    return f"{at.hour}:{at.minute:02d}"
