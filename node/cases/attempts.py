"""How many offices a person saw before the right one (DOMAIN §10, 12): counted on our own referrals. No person.

The sheet carries the number (`offices_tried`): what the person told, and one more for each office that did
not accept (node.cases.desk).
"""

import sqlite3
from collections import Counter
from typing import Final

from msgspec import UNSET

from node.answers import Attempts
from node.cases import standing
from node.cases.desk import latest_offer
from node.context import Context
from node.exchange import forwarding
from node.exchange.log import listed

_ACCEPTED: Final = "SELECT 1 FROM event WHERE leg = ? AND writer = 'R' AND kind = 'accept'"


def attempts(db: sqlite3.Connection, ctx: Context) -> list[Attempts]:
    """Of the referrals received, then of those sent, that an office accepted; one passed on counts where it went."""
    return [_of(db, ctx, side) for side in ("R", "S")]


def _of(db: sqlite3.Connection, ctx: Context, side: str) -> Attempts:
    found: Counter[int] = Counter()
    cases = 0
    for leg in listed(db, side=side, finished=True):
        accepted = db.execute(_ACCEPTED, (leg.leg,)).fetchone() is not None
        if not accepted or forwarding.is_forwarded(db, leg.leg) or not standing.is_free(db, leg):
            continue
        cases += 1
        tried = latest_offer(db, ctx, leg).offices_tried
        if tried is not UNSET:
            found[tried] += 1
    known = found.total()
    mean = sum(tried * times for tried, times in found.items()) / known if known else None
    return Attempts(side=side, cases=cases, known=known, mean=mean, spread=sorted(found.items()))
