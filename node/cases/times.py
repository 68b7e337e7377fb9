"""How long this office took to answer and to begin, measured on its own referrals. Counts and times, no person."""

import sqlite3
from collections import defaultdict

from node.answers import Times
from node.context import Context
from protocol.measures import elapsed, median, percentile

_RECEIVED = (
    "SELECT leg, urgency, stored_at, respond_by, state FROM leg WHERE side = 'R' AND stored_at IS NOT NULL"
    " AND state != 'none'"
)
_FIRST = "SELECT MIN(at) FROM event WHERE leg = ? AND writer = 'R' AND kind IN ('accept', 'decline', 'redirect')"
_START = "SELECT MIN(at) FROM event WHERE leg = ? AND writer = 'R' AND kind = 'start'"


def times(db: sqlite3.Connection, ctx: Context) -> list[Times]:
    """Of all referrals received, by urgency."""
    calendar = ctx.calendar_of(ctx.me)
    answers: dict[str, list[int]] = defaultdict(list)
    starts: dict[str, list[int]] = defaultdict(list)
    within: dict[str, int] = defaultdict(int)
    pending: dict[str, list[int]] = defaultdict(list)
    for leg, urgency, stored_at, respond_by, state in db.execute(_RECEIVED).fetchall():
        (answered,) = db.execute(_FIRST, (leg,)).fetchone()
        (started,) = db.execute(_START, (leg,)).fetchone()
        if answered is not None:
            answers[urgency].append(elapsed(urgency, stored_at, answered, calendar))
            within[urgency] += respond_by is None or answered <= respond_by
        elif state in ("offered", "opened", "asked"):
            pending[urgency].append(stored_at)
        if started is not None:
            starts[urgency].append(started - stored_at)
    return [
        Times(
            urgency=urgency,
            answered=len(answers[urgency]),
            answer_median=median(answers[urgency]) if answers[urgency] else None,
            answer_p90=percentile(answers[urgency], 90) if answers[urgency] else None,
            within=within[urgency],
            started=len(starts[urgency]),
            start_median=median(starts[urgency]) if starts[urgency] else None,
            start_p90=percentile(starts[urgency], 90) if starts[urgency] else None,
            waiting=len(pending[urgency]),
            oldest=min(pending[urgency], default=None),
        )
        for urgency in sorted({*answers, *starts, *pending})
    ]
