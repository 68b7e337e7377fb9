"""When people have to be told that something does not move. Commands of the periodic tick; content-free (PROTOCOL §3).

The words are in node.alarms. Counted on the sender's own clock from "inviata": the receiver may be switched off.
Sending goes on meanwhile.
"""

import sqlite3
from typing import Final

from node.context import Context
from node.exchange.outbox import raise_alarm
from protocol.limits import TOLD_AFTER

# What people were told ends by itself when it is no longer so.
_ARRIVED: Final = (
    "UPDATE alarm SET cleared = ? WHERE cleared IS NULL AND code = 'not-stored' AND leg IN"
    " (SELECT leg FROM leg WHERE stored_at IS NOT NULL OR state != 'offered')"
)
_OPENED: Final = (
    "UPDATE alarm SET cleared = ? WHERE cleared IS NULL AND code = 'not-opened' AND leg IN"
    " (SELECT leg FROM leg WHERE state != 'offered')"
)


def tell(tx: sqlite3.Connection, ctx: Context) -> int:
    """Leaves the alarms that are due now; each once. Returns how many referrals they are about."""
    now = ctx.clock.now()
    tx.execute(_ARRIVED, (now,))
    tx.execute(_OPENED, (now,))
    told = 0
    for leg, peer, created, alarm_at, stored_at in tx.execute(
        "SELECT leg, peer, created, alarm_at, stored_at FROM leg WHERE side = 'S' AND state = 'offered'"
    ).fetchall():
        due = alarm_at if alarm_at is not None else created + TOLD_AFTER
        if stored_at is None and now > min(created + TOLD_AFTER, due):
            raise_alarm(tx, now, "not-stored", peer, leg, 1)
            told += 1
        elif now > due:
            raise_alarm(tx, now, "not-opened", peer, leg, 1)
            told += 1
    return told + _tell_of_gone_members(tx, ctx, now)


def _tell_of_gone_members(tx: sqlite3.Connection, ctx: Context, now: int) -> int:
    """Mail still queued to a suspended or ended member comes back to people with a notice (PROTOCOL §4)."""
    told = 0
    for dest, leg, n in tx.execute("SELECT DISTINCT dest, leg, n FROM outgoing WHERE s IS NOT NULL").fetchall():
        member = ctx.member(dest)
        if member is not None and member.status == "active":
            continue
        suspended = member is not None and member.status == "suspended"
        raise_alarm(tx, now, "recipient-suspended" if suspended else "recipient-ended", dest, leg, n)
        told += 1
    return told
