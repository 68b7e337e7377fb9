"""Bodies that are no event of a leg: one row a kind, what its arrival does. Applied inside `inbox.receive`.

A handler runs in the transaction of the receipt that will say `processed`. It may refuse: a ProtocolError with a code
of `protocol.envelope.REJECTABLE` becomes a signed `rejected`, any other an unsigned `later`. Repetition never gets
here: a known mid or event is answered before.
"""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from node.context import Context
from node.exchange import erasing, parts
from schemas.bodies import (
    Body,
    EraseBody,
    ErasedBody,
    EraseRefusedBody,
    GotBody,
    HeadBody,
    MissingBody,
    PartBody,
)


class Message(NamedTuple):
    """What arrived: the member that signed it, the body decoded, and the bytes the commitment is about."""

    sender: str
    body: Any
    raw: bytes
    salt: bytes
    now: int


class Effect(NamedTuple):
    """What it did. `h`: our own event count on the leg it is about (None: about no leg); `legs` that changed."""

    h: int | None = None
    legs: tuple[str, ...] = ()


Handler = Callable[[sqlite3.Connection, Context, Message], Effect]


def _head(tx: sqlite3.Connection, _: Context, message: Message) -> Effect:
    """A peer's view of the log, kept for comparison with ours (PROTOCOL §5); node.exchange.heads compares."""
    pair = msgspec.json.encode(message.body.pair).decode() if message.body.pair else None
    tx.execute(
        "INSERT INTO peer_head (node, note, at, pair) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (node) DO UPDATE SET note = excluded.note, at = excluded.at, pair = excluded.pair,"
        " verdict = CASE WHEN note = excluded.note AND pair IS excluded.pair THEN verdict END",
        (message.sender, message.body.note, message.now, pair),
    )
    return Effect()


def _erase(tx: sqlite3.Connection, ctx: Context, message: Message) -> Effect:
    """A peer asks that a leg be erased (PROTOCOL §6)."""
    return Effect(*erasing.asked(tx, ctx, message.sender, message.body, message.now))


def _erase_answer(tx: sqlite3.Connection, _: Context, message: Message) -> Effect:
    """What became of our request."""
    return Effect(*erasing.answered(tx, message.sender, message.body, message.now))


HANDLERS: Final[Mapping[type[Body], Handler]] = {
    HeadBody: _head,
    EraseBody: _erase,
    ErasedBody: _erase_answer,
    EraseRefusedBody: _erase_answer,
    PartBody: lambda tx, ctx, message: Effect(*parts.take_part(tx, ctx, message.sender, message.body)),
    MissingBody: lambda tx, ctx, message: Effect(*parts.ask_again(tx, ctx, message.sender, message.body)),
    GotBody: lambda tx, ctx, message: Effect(*parts.confirmed(tx, ctx, message.sender, message.body)),
}
"""Every kind of body but `event`; a test compares it with `schemas.bodies.Body`."""
