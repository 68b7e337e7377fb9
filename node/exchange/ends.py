"""How far a referral got and whether its end can still change, as this store knows it. Reads only."""

import sqlite3
from typing import cast

from node.context import Context
from node.exchange.log import LegRow, logs
from protocol.finality import is_final
from protocol.referral import Leg, has_gap
from protocol.referral_display import PROVISIONAL, Delivery, Screen, display


def delivery(db: sqlite3.Connection, leg: LegRow) -> Delivery:
    """How far the offer got, by the newest signed word of its receiver."""
    if leg.side != "S":
        return "processed"
    row = db.execute(
        "SELECT k FROM event WHERE leg = ? AND writer = 'S' AND n = 1 ORDER BY rowid LIMIT 1", (leg.leg,)
    ).fetchone()
    return cast(Delivery, row[0]) if row and row[0] else "queued"


def final(db: sqlite3.Connection, ctx: Context, leg: LegRow, held: Leg) -> bool:
    """Whether the terminal state shown can no longer change (PROTOCOL §6, Finality)."""
    if leg.side != "S" or not held.is_terminal:
        return held.is_terminal
    acks = dict(
        db.execute(
            "SELECT n, h FROM event WHERE leg = ? AND writer = 'S' AND k = 'processed' AND h IS NOT NULL", (leg.leg,)
        )
    )
    member = ctx.member(leg.peer)
    ended = member is None or member.status == "ended"
    return is_final(held, "S", acks=acks, gap=has_gap(logs(db, leg.leg)[1]), peer_ended=ended)


def screen_of(db: sqlite3.Connection, leg: LegRow, held: Leg, *, settled: bool) -> Screen:
    """What is shown of it; `settled` as `final` says."""
    return display(held.state, delivery(db, leg), final=settled or held.state not in PROVISIONAL)
