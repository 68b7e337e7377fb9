"""By when a person should have opened and answered a referral. Pure; only the sender acts on it (PROTOCOL §6).

`stored_at` is the `st` of the acknowledgement, so a clock of the sender's PC decides nothing; the calendar is that
of the receiver's comune. Both ends compute the same.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import islice
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from protocol.calendar_it import OFFICE_CLOSES, OFFICE_OPENS, Calendar, at_wall, end_of_day, local_day
from protocol.errors import ProtocolError

Unit: TypeAlias = Literal["minutes", "office-minutes", "hours", "working-days"]


class Span(NamedTuple):
    """A length of time: `minutes` and `hours` run day and night; the others only in working time."""

    amount: int
    unit: Unit


class Terms(NamedTuple):
    """Targets of one urgency: a person opens it (`ack`, None when not asked for), the office answers (`respond`)."""

    ack: Span | None
    respond: Span


class Deadlines(msgspec.Struct, frozen=True):
    """The last Unix second in time. `ack_by`: None where the urgency has no such target, never after `respond_by`."""

    ack_by: int | None
    respond_by: int


# domain/vocab/urgency_levels.csv, its ack_target and response_target.
URGENCIES: Final[Mapping[str, Terms]] = {
    "UR-PIS": Terms(ack=Span(5, "minutes"), respond=Span(30, "minutes")),
    "UR-PUA24": Terms(ack=Span(30, "office-minutes"), respond=Span(24, "hours")),
    "UR-72": Terms(ack=Span(1, "working-days"), respond=Span(72, "hours")),
    "UR-ORD": Terms(ack=Span(2, "working-days"), respond=Span(10, "working-days")),
    "UR-INFO": Terms(ack=None, respond=Span(5, "working-days")),
}


def _minutes(start: int, amount: int, _: Calendar) -> int:
    return start + amount * 60


def _hours(start: int, amount: int, _: Calendar) -> int:
    return start + amount * 3600


def _office_minutes(start: int, amount: int, calendar: Calendar) -> int:
    left = amount * 60
    for day in calendar.working_days(local_day(start)):
        opens, closes = max(start, at_wall(day, OFFICE_OPENS)), at_wall(day, OFFICE_CLOSES)
        if closes - opens >= left:
            return opens + left
        left -= max(0, closes - opens)
    raise AssertionError("working days never end")


def _working_days(start: int, amount: int, calendar: Calendar) -> int:
    """The end of the n-th working day after the day of `start`, which does not count (art. 155 c.p.c.)."""
    days = calendar.working_days(local_day(start) + timedelta(days=1))
    return end_of_day(next(islice(days, amount - 1, None)))


_ADD: Final[Mapping[Unit, Callable[[int, int, Calendar], int]]] = {
    "minutes": _minutes,
    "hours": _hours,
    "office-minutes": _office_minutes,
    "working-days": _working_days,
}


def deadline(urgency: str, stored_at: int, calendar: Calendar) -> Deadlines:
    """The deadlines of a referral stored at `stored_at` (Unix seconds). Raises `unknown-code` for another urgency."""
    terms = URGENCIES.get(urgency)
    if terms is None:
        raise ProtocolError("unknown-code", field="urgency", expected=" ".join(URGENCIES))
    respond_by = _ADD[terms.respond.unit](stored_at, terms.respond.amount, calendar)
    if terms.ack is None:
        return Deadlines(None, respond_by)
    # A night or a feast may push working time past an answer counted in hours: who has to answer has to open first.
    return Deadlines(min(_ADD[terms.ack.unit](stored_at, terms.ack.amount, calendar), respond_by), respond_by)
