"""Taking an event back before anybody read it: the wrong recipient on a Friday. Commands; the shell asks the relays.

    plan(db, ctx, leg)                which sealings of our last event, at which relays
    …                                 the shell asks each relay which of them it deleted unfetched
    take_back(tx, ctx, leg, gone)     stops resending, a `void` stands in the event's place

Only what shows no sign of having been applied may become `void` (ADR 0011): else people telephone, and cancel.
"""

import sqlite3
from collections.abc import Collection
from typing import NamedTuple

from node.context import Context
from node.exchange import blobs
from node.exchange.erased import tombstone
from node.exchange.log import LegRow, leg_row, logs, refold
from node.exchange.outbox import write_void
from protocol.errors import ProtocolError
from protocol.finality import may_take_back


class Plan(NamedTuple):
    """Our newest event of a leg: its number, the sealings made of it, the relays that may hold one for `dest`."""

    dest: str
    n: int
    mids: list[str]
    relays: list[str]


def plan(db: sqlite3.Connection, ctx: Context, leg_id: str) -> Plan:
    """Raises unknown-case, illegal-event when it was acknowledged, answered, or seen by the peer."""
    leg = _own(db, leg_id)
    n = _newest(db, leg)
    acks = dict(
        db.execute(
            "SELECT n, COALESCE(h, 0) FROM event WHERE leg = ? AND writer = ? AND k IS NOT NULL", (leg_id, leg.side)
        )
    )
    s_log, r_log = logs(db, leg_id)
    if not may_take_back(n, acks=acks, peer_log=r_log if leg.side == "S" else s_log):
        raise ProtocolError("illegal-event", field="leg", got="acknowledged")
    mids = [
        mid
        for (mid,) in db.execute(
            "SELECT mid FROM outgoing WHERE leg = ? AND writer = ? AND n = ?", (leg_id, leg.side, n)
        )
    ]
    mids += blobs.mids_of(db, ctx, leg, n)
    return Plan(leg.peer, n, mids, relays_of(ctx, leg.peer))


def relays_of(ctx: Context, dest: str) -> list[str]:
    """The relays that may hold something for a member."""
    member = ctx.member(dest)
    named = member.relays(ctx.clock.now()) if member else ()
    return [relay for relay in named if relay in ctx.membership.relays]


def take_back(tx: sqlite3.Connection, ctx: Context, leg_id: str, planned: Plan, gone: Collection[str]) -> bool:
    """Writes the `void`. True when it is certain that nobody received the event: then nothing has to be told either.

    Raises illegal-event when an acknowledgement came meanwhile.
    """
    if plan(tx, ctx, leg_id) != planned:
        raise ProtocolError("illegal-event", field="leg", got="acknowledged")
    leg = _own(tx, leg_id)
    certain = bool(planned.mids) and set(planned.mids) <= set(gone)
    seen, cm = tx.execute(
        "SELECT seen, cm FROM event WHERE leg = ? AND writer = ? AND n = ? AND kind != 'void'",
        (leg_id, leg.side, planned.n),
    ).fetchone()
    tx.execute("DELETE FROM outgoing WHERE leg = ? AND writer = ? AND n = ?", (leg_id, leg.side, planned.n))
    write_void(tx, ctx, leg, leg.side, planned.n, seen, cm, told=not (certain and planned.n == 1))
    refold(tx, leg_id, ctx.clock.now())
    return certain


def _own(db: sqlite3.Connection, leg_id: str) -> LegRow:
    leg = leg_row(db, leg_id)
    if leg is None or leg.side == "L":
        raise ProtocolError("unknown-case", got=leg_id)
    if tombstone(db, leg_id) is not None:
        raise ProtocolError("erased")
    return leg


def _newest(db: sqlite3.Connection, leg: LegRow) -> int:
    newest = db.execute("SELECT MAX(n) FROM event WHERE leg = ? AND writer = ?", (leg.leg, leg.side)).fetchone()[0]
    if newest is None:
        raise ProtocolError("illegal-event", field="leg", got="nothing written")
    return int(newest)
