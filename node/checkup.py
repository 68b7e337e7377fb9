"""What doctor wants to know of a node's own store: addresses, ages, numbers. No member but ourselves, no case."""

import sqlite3
from typing import Final

from msgspec import Struct

from node import enrolment
from node.body import Body
from node.commands import Command, Nothing


class Checkup(Struct, frozen=True, kw_only=True):
    """`state`: new, pending, admitted. `relays`: where post for us waits; `urls`: where we say that we can be reached.

    `kept`: items in the mailboxes kept here for others; `listed`: the network knows of these mailboxes.
    """

    state: str
    registry: list[str]
    relays: dict[str, str]
    urls: list[str]
    list_exp: int | None
    degraded_days: int
    queue: int
    oldest_queued: int | None
    relay: bool
    listed: bool
    kept: int
    oldest_kept: int | None


def _checkup(db: sqlite3.Connection, body: Body, _: Nothing) -> Checkup:
    held = body.trust.membership if body.trust else None
    now, me = body.clock.now(), body.ctx.me
    own = held.members.get(me) if held else None
    known = held.relays if held else {}
    queue, oldest = db.execute(
        "SELECT COUNT(*), MIN(at) FROM outgoing LEFT JOIN event USING (jti) WHERE s IS NOT NULL"
    ).fetchone()
    kept, oldest_kept = db.execute("SELECT COUNT(*), MIN(at) FROM post").fetchone()
    return Checkup(
        state=enrolment.status(db, body).state, registry=enrolment.registry_urls(db, body),
        relays={relay: known[relay] for relay in own.relays(now) if relay in known and relay != me} if own else {},
        urls=list(own.urls(now)) if own else [], list_exp=held.doc.exp if held else None,
        degraded_days=held.policy.degraded_days if held else 0, queue=queue, oldest_queued=oldest,
        relay=body.config.relay, listed=me in known, kept=kept, oldest_kept=oldest_kept,
    )  # fmt: skip


COMMANDS: Final = {"checkup": Command(Nothing, _checkup, writes=False)}
