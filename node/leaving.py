"""Leaving the network: whether anything is still open, and what the body says to the registry. Commands; no network.

Who leaves is listed as ended: others end what was open with it (`lapse`), old signatures stay verifiable, its entries
go from the map. Its own data stay here, and go where it wants with node.exporting.
"""

import sqlite3

from msgspec import Struct

from node.cases import operators
from node.context import Context, set_setting
from node.requests import Leave
from protocol.errors import ProtocolError
from protocol.referral import OPEN_STATES
from schemas.membership import LeaveRequest


class Left(Struct, frozen=True, kw_only=True):
    """What was still open, what was still to be sent, and how we stand in the list now."""

    received: int
    sent: int
    queued: int
    status: str | None


def open_legs(db: sqlite3.Connection, *, peer: str | None = None) -> dict[str, int]:
    """Side → how many referrals with other members have no end yet; with one member, or with all."""
    marks = ", ".join("?" * len(OPEN_STATES))
    rows = db.execute(
        f"SELECT side, COUNT(*) FROM leg WHERE side != 'L' AND state IN ({marks})"  # noqa: S608 - question marks
        " AND (? IS NULL OR peer = ?) GROUP BY side",
        (*OPEN_STATES, peer, peer),
    )
    return dict(rows.fetchall())


def standing(db: sqlite3.Connection, ctx: Context) -> Left:
    """How things are before or after leaving."""
    open_ = open_legs(db)
    (queued,) = db.execute("SELECT COUNT(*) FROM outgoing WHERE s IS NOT NULL").fetchone()
    own = ctx.member(ctx.me) if ctx.joined else None
    return Left(
        received=open_.get("R", 0), sent=open_.get("S", 0), queued=int(queued), status=own.status if own else None
    )


def check(tx: sqlite3.Connection, ctx: Context, request: Leave) -> LeaveRequest:
    """May we leave now? What is posted then. Raises role-forbidden, not-a-member, suspended, bad-shape, still-open."""
    operator = operators.require(tx, request.as_, "leave")
    ctx.membership.active(ctx.me)
    if request.confirm != ctx.me:
        raise ProtocolError("bad-shape", field="confirm", expected=ctx.me, got=request.confirm)
    now = standing(tx, ctx)
    if not request.anyway and (now.received or now.sent or now.queued):
        raise ProtocolError("still-open", got=f"{now.received + now.sent} open, {now.queued} queued")
    set_setting(tx, "left", f"{ctx.clock.now()} {operator.code}")
    return LeaveRequest(net=ctx.net, node=ctx.me)
