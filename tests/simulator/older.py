"""Bodies that run version 0.1.0 (I19), as far as a peer can tell: they know events and heads and nothing else.

Every other kind is `rejected: unsupported`, files are an unknown member of an event, a receipt that comes back is
somebody else's; nothing is said about a restore, neither asked nor answered. Their people have no erasing, no
attachments, no forwarding, no change of keys.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from node.context import Context
from node.engine import Exchange
from node.exchange import blobs, inbox, outbox, restored, resync
from protocol.members import Membership
from schemas.bodies import EventBody, HeadBody
from schemas.wire import Item
from tests.simulator.kernel import Violation

if TYPE_CHECKING:
    from tests.simulator.world import World

HOUR = 3_600_000


class OldExchange(Exchange):
    """The commands that 0.1.0 had, with what it did not know taken out of what arrives."""

    def prepare(self, items: Sequence[Item], *, relayed: bool) -> tuple[Membership, list[inbox.Prepared]]:
        held, prepared = super().prepare(items, relayed=relayed)
        return held, [_as_read_then(i, one) for i, one in enumerate(prepared)]

    def begin(self, tx: sqlite3.Connection) -> None:
        """No `hello`."""

    def tick(self, tx: sqlite3.Connection) -> int:
        return outbox.reseal_stale(tx, self.ctx)


def _as_read_then(i: int, one: inbox.Prepared) -> inbox.Prepared:
    if isinstance(one, inbox.Returned):
        return inbox.Turned(i, "wrong-recipient", None, inbox.PACE)
    if not isinstance(one, inbox.Arrived) or one.body is None:
        return one
    if isinstance(one.body, EventBody):
        return one._replace(body=msgspec.structs.replace(one.body, files=UNSET))
    return one if isinstance(one.body, HeadBody) else one._replace(body=None, flaw=one.flaw or "unsupported")


def forgetting() -> Callable[[], None]:
    """What a body of 0.1.0 did not do: find out about a restore, look for files in its events. Returns what undoes it."""
    begin, told, settle = resync.begin, resync.told_restored, blobs.settle

    def begin_now(tx: sqlite3.Connection, ctx: Context, peer: str, **rest: Any) -> bool:
        return False if _is_old(ctx) else begin(tx, ctx, peer, **rest)

    def told_now(tx: sqlite3.Connection, ctx: Context, mid: str, accuser: str) -> None:
        if not _is_old(ctx):
            told(tx, ctx, mid, accuser)

    def settle_now(tx: sqlite3.Connection, ctx: Context, leg: str) -> list[blobs.Blob]:
        return [] if _is_old(ctx) else settle(tx, ctx, leg)

    resync.begin, resync.told_restored, blobs.settle = begin_now, told_now, settle_now

    def undo() -> None:
        resync.begin, resync.told_restored, blobs.settle = begin, told, settle

    return undo


def _is_old(ctx: Context) -> bool:
    return bool(vars(ctx).get("old"))


def people_confirm(world: "World") -> None:
    """Who waits for a body that cannot answer, or that means harm, telephones (PROTOCOL §3)."""
    world.kernel.after(2 * HOUR, lambda: people_confirm(world))
    for node in world.nodes:
        if not node.up:
            continue
        for peer in restored.open_peers(node.reader):
            if peer in world.older or peer == world.hostile:
                node.submit(lambda tx, peer=peer, node=node: _confirm(tx, node.clock.now(), peer))


def _confirm(tx: sqlite3.Connection, now: int, peer: str) -> None:
    if peer in restored.open_peers(tx):
        restored.answered(tx, peer, now, operator="OP")


def never_ahead_of_its_time(world: "World") -> None:
    """I19: a body of 0.1.0 is sent nothing it cannot read twice over, and itself says nothing of later versions."""
    for name in world.older:
        node = world.directory.nodes[name]
        for table in ("resync", "resync_given", "letter", "blob"):
            if node.store._conn.execute(f"SELECT 1 FROM {table}").fetchone():
                raise Violation("I19-newer-than-itself", f"{name}: {table}")
