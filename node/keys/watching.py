"""What changed in the membership about keys: our own entry, without our doing; new keys of others. Told to people.

Runs in the transaction that stores a newer document, before it counts. Nothing here trusts the registry's word.
"""

import logging
import sqlite3
from typing import Final

from node import leaving
from node.context import Context, set_setting, setting
from node.exchange.outbox import raise_alarm
from node.keys import confirming
from node.runtime.logs import event
from protocol.entries import Member
from protocol.members import Membership
from protocol.rotation import beginning

ALARM: Final = "own-entry-"
_SEEN: Final = "own_admission"


def adopted(tx: sqlite3.Connection, ctx: Context, fresh: Membership) -> None:
    """Alarms about our own entry, and the new keys of others that people have to confirm."""
    held = ctx.membership if ctx.joined else None
    if held is not None or ctx.me in fresh.members:
        _own(tx, ctx, fresh)
    for member in fresh.members.values():
        if member.node != ctx.me:
            _peer(tx, ctx, member, held.members.get(member.node) if held else None)


def _peer(tx: sqlite3.Connection, ctx: Context, member: Member, before: Member | None) -> None:
    left = member.status == "ended" and (before is None or before.status != "ended")
    if left and any(leaving.open_legs(tx, peer=member.node).values()):
        raise_alarm(tx, ctx.clock.now(), "member-left", member.node, None, None)
    link, how = beginning(member)
    if before is not None and beginning(before)[0].kid != link.kid and how == "first":
        how = "readmitted"  # a document that keeps quiet about the chain before
    if how == "first":
        return
    now = ctx.clock.now()
    found = confirming.NewKey(member.node, link.kid, how, link.since)
    if confirming.note(tx, found, now):
        raise_alarm(tx, now, "key-new", member.node, None, None)
        event(logging.WARNING, "key-new", member=member.node, code=how)


# -- our own


def _own(tx: sqlite3.Connection, ctx: Context, fresh: Membership) -> None:
    own = fresh.members.get(ctx.me)
    ours = {key.kid for key in ctx.keystore.entries() if key.use == "sign"}
    signing = own.current.kid if own and own.current.kid in ours else ctx.keys.signing.kid
    alarms = list(fresh.own_alarms(ctx.me, signing, ctx.keys.sealing))
    if own is not None:
        alarms += ["foreign-routes"] if _routes_are_foreign(tx, own) else []
        alarms += ["changed"] if _admission_changed(tx, own) else []
    now = ctx.clock.now()
    for alarm in alarms:
        raise_alarm(tx, now, ALARM + alarm, ctx.me, None, None)
        event(logging.WARNING, "own-entry", code=alarm)


def _routes_are_foreign(tx: sqlite3.Connection, own: Member) -> bool:
    """Signed by our key, and not by us: somebody else holds it, or this store came back from a copy.

    What stood there before we wrote down our statements is taken as ours.
    """
    stated = [routes.text for routes in (own.routes, own.routes_next) if routes]
    known = tx.execute("SELECT texts FROM own_statement ORDER BY id DESC LIMIT 64").fetchall()
    foreign = [text for text in stated if not any(text in texts for (texts,) in known)]
    before = setting(tx, "own_routes", "")
    set_setting(tx, "own_routes", " ".join(stated))
    return bool(before) and any(text not in before for text in foreign)


def _admission_changed(tx: sqlite3.Connection, own: Member) -> bool:
    """Name, territory or powers: guarantors signed it, and we have to know."""
    first, now = own.admission.first, own.verified.payload_hash
    before, _, began = setting(tx, _SEEN, "").partition(" ")
    if before == now:
        return False
    set_setting(tx, _SEEN, f"{now} {first}")
    return before != "" and began == first  # under another first key we asked for it ourselves
