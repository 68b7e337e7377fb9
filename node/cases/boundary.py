"""Where the secretariat ends: once the competent office has taken in charge, only its state and outcome come back.

The table of the wire would still let the sender amend (PROTOCOL §6); who may press which button is decided here. Wrong
data are put right all the same (GDPR 16), and what the office asks is answered.
"""

import sqlite3
from collections.abc import Iterable
from typing import Final

from node.context import Context
from node.exchange import forwarding
from node.exchange.log import LegRow
from protocol.errors import ProtocolError
from protocol.referral import Kind, Leg

ENDED: Final = frozenset({"amend"})
IN_CHARGE: Final = "in-charge"
SAID_IN_CHARGE: Final = "RS-INCARICO"


def taken_in_charge(db: sqlite3.Connection, ctx: Context, leg: LegRow, held: Leg) -> bool:
    """True once the receiver has the person in charge, or says so of the office it passed the referral on to."""
    if IN_CHARGE in (held.state, held.before_cancel):
        return True
    told = forwarding.facts(db, ctx, leg) if leg.side == "S" else []
    return bool(told) and told[-1].status == SAID_IN_CHARGE


def may_write(db: sqlite3.Connection, ctx: Context, leg: LegRow, held: Leg, kind: Kind) -> None:
    """Raises handed-over."""
    if kind in ENDED and taken_in_charge(db, ctx, leg, held):
        raise ProtocolError("handed-over", field="ev", got=kind)


def left(db: sqlite3.Connection, ctx: Context, leg: LegRow, held: Leg, kinds: Iterable[Kind]) -> frozenset[Kind]:
    """What remains of what the table allows."""
    found = frozenset(kinds)
    return found - ENDED if found & ENDED and taken_in_charge(db, ctx, leg, held) else found
