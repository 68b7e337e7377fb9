"""After a restore, by a person: the commands that say who was telephoned. The exchange with peers is not here."""

import logging
import sqlite3
from typing import Final

from msgspec import Struct

from node.body import Body
from node.cases import operators
from node.commands import Command, Nothing
from node.exchange import outbox, restored
from node.requests import ConfirmPeer
from node.runtime import trust
from node.runtime.logs import event
from protocol.errors import ProtocolError


class Waiting(Struct, frozen=True, kw_only=True):
    """When this store was restored, and the members that have not told us yet."""

    restored_at: int | None
    waiting: list[str]


class Seen(Struct, frozen=True, kw_only=True):
    """What this body has verified of its registry: the newest head of the log, the newest members document."""

    note: str
    members: str


def _confirm_peer(tx: sqlite3.Connection, body: Body, request: ConfirmPeer) -> Waiting:
    """Reopens the cases with one member: the manual path, when its program does not answer by itself."""
    operator = operators.require(tx, request.as_, "confirm-peer")
    restored.answered(tx, request.node, body.clock.now(), operator=operator.code)
    outbox.void_rejected(tx, body.ctx, request.node)
    event(logging.WARNING, "peer-confirmed", member=request.node)
    return _waiting(tx)


def _waiting(db: sqlite3.Connection) -> Waiting:
    return Waiting(restored_at=restored.restored_at(db), waiting=list(restored.open_peers(db)))


def _seen(db: sqlite3.Connection, _: Body, __: Nothing) -> Seen:
    note = str(db.execute("SELECT note FROM follow_state").fetchone()[0])
    held = trust.raw_members(db)
    if not note or held is None:
        raise ProtocolError("not-found", field="members")
    return Seen(note=note, members=held[1].decode())


COMMANDS: Final = {
    "confirm-peer": Command(ConfirmPeer, _confirm_peer, writes=True, sends=True),
    "seen": Command(Nothing, _seen, writes=False),
}
