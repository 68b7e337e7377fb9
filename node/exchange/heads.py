"""Showing peers our head of the log, and comparing what they show with our copy. Commands of the periodic turn.

Two members that have open business show each other their head daily: a registry that tells two stories is found by
whichever of the two has the longer one, and told to the other with the proof (PROTOCOL §5).
"""

import sqlite3
from typing import Final

import msgspec

from node.context import Context, set_setting, setting
from node.exchange.outbox import raise_alarm, send_body
from node.keys import confirming
from node.map import follow, heads
from node.runtime.migrations import script
from protocol.errors import ProtocolError
from protocol.limits import HEAD_SHOWN_EVERY, HOUR, SALT_BYTES
from protocol.notes import NoteKey
from protocol.referral import OPEN_STATES
from schemas.bodies import HeadBody
from schemas.catalogue import HeadPair

ALARM: Final = "heads-differ"
LOOKED: Final = "heads_looked"
MIGRATIONS = (
    script(
        "exchange_002_heads",
        """
-- What a peer showed last. `pair`: a contradiction it claims to prove (JSON). `verdict` NULL: not compared yet.
ALTER TABLE peer_head ADD COLUMN pair TEXT;
ALTER TABLE peer_head ADD COLUMN verdict TEXT;
-- The newest head we showed: while it is on its way no other follows it.
ALTER TABLE peer ADD COLUMN head_jti TEXT;
""",
    ),
)


def turn(tx: sqlite3.Connection, ctx: Context) -> int:
    """Compares what is new or could not be compared yet, shows what is due; how many messages were written."""
    if not follow.held(tx).note:
        return 0
    return compare(tx, ctx) + show(tx, ctx)


# -- showing


def show(tx: sqlite3.Connection, ctx: Context) -> int:
    """Our head to every peer with open business, at most daily."""
    me = ctx.member(ctx.me)
    now = ctx.clock.now()
    if me is None or me.status != "active" or abs(now - int(setting(tx, LOOKED, "0"))) < HOUR:
        return 0  # every open referral is looked at, which is not for each turn
    set_setting(tx, LOOKED, str(now))
    return sum(_show_to(tx, ctx, peer) for peer in _due(tx, now))


def _due(tx: sqlite3.Connection, now: int) -> list[str]:
    marks = ", ".join("?" * len(OPEN_STATES))
    rows = tx.execute(
        f"SELECT DISTINCT leg.peer FROM leg LEFT JOIN peer ON peer.node = leg.peer"  # noqa: S608
        f" WHERE side IN ('S', 'R') AND state IN ({marks}) AND COALESCE(head_shown, 0) <= ?"
        " AND NOT EXISTS (SELECT 1 FROM outgoing WHERE dest = leg.peer AND jti = peer.head_jti AND s IS NOT NULL)"
        " ORDER BY leg.peer",
        (*OPEN_STATES, now - HEAD_SHOWN_EVERY),
    )
    return [str(peer) for (peer,) in rows]


def _show_to(tx: sqlite3.Connection, ctx: Context, peer: str, pair: HeadPair | None = None) -> int:
    """One message; none while the peer is no active member or states no key: another day."""
    body = HeadBody(net=ctx.net, sender=ctx.me, to=peer, jti=ctx.dice.uuid4(), note=follow.held(tx).note)
    if pair is not None:
        body = msgspec.structs.replace(body, pair=pair)
    try:
        send_body(tx, ctx, peer, body, ctx.dice.bytes(SALT_BYTES), msgspec.json.encode(body), place=None, urgent=False)
    except ProtocolError as problem:
        if problem.code not in confirming.NOBODY_TO_SEAL_TO:
            raise
        return 0
    tx.execute("UPDATE peer SET head_shown = ?, head_jti = ? WHERE node = ?", (ctx.clock.now(), body.jti, peer))
    return 1


# -- comparing


def compare(tx: sqlite3.Connection, ctx: Context) -> int:
    """What peers showed, against our copy of the log. A contradiction is kept, told to people, proved to the peer."""
    rows = tx.execute(
        "SELECT node, note, pair FROM peer_head WHERE verdict IS NULL OR verdict IN ('ahead', 'unverified')"
    ).fetchall()
    if not rows:
        return 0
    keys = heads.log_keys(tx, ctx.net, ctx.suite)
    known: dict[str, heads.Verdict] = {}
    return sum(_compare_one(tx, ctx, keys, known, *row) for row in rows)


def _compare_one(
    tx: sqlite3.Connection,
    ctx: Context,
    keys: list[NoteKey],
    known: dict[str, heads.Verdict],
    peer: str,
    note: str,
    claimed: str | None,
) -> int:
    told = msgspec.json.decode(claimed, type=HeadPair) if claimed else None
    proved = told is not None and heads.proven(told, keys)
    verdict = "conflict" if proved else heads.judge(tx, note, keys, known)
    tx.execute("UPDATE peer_head SET verdict = ? WHERE node = ?", (verdict, peer))
    if verdict != "conflict":
        return 0
    pair = told if proved else heads.contradiction(tx, note, keys)
    if pair is None:
        return 0
    now = ctx.clock.now()
    heads.keep_pair(tx, pair, peer, now)
    raise_alarm(tx, now, ALARM, peer, None, None)
    return 0 if proved else _show_to(tx, ctx, peer, pair)
