"""Bodies that are no event of a leg: one row a kind, what its arrival does. Applied inside `inbox.receive`.

A handler runs in the transaction of the receipt that will say `processed`. It may refuse: a ProtocolError with a code
of `protocol.envelope.REJECTABLE` becomes a signed `rejected`, any other an unsigned `later`. Repetition never gets
here: a known mid or event is answered before.
"""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Final

from node.context import Context
from node.exchange import resync
from node.exchange.message import Effect, Message
from schemas.bodies import Body, HeadBody, HelloBody, ResyncAnswerBody, ResyncBody

Handler = Callable[[sqlite3.Connection, Context, Message], Effect]


def _head(tx: sqlite3.Connection, _: Context, message: Message) -> Effect:
    """A peer's view of the log, kept for comparison with ours (PROTOCOL §5)."""
    tx.execute(
        "INSERT INTO peer_head (node, note, at) VALUES (?, ?, ?)"
        " ON CONFLICT (node) DO UPDATE SET note = excluded.note, at = excluded.at",
        (message.sender, message.body.note, message.now),
    )
    return Effect()


HANDLERS: Final[Mapping[type[Body], Handler]] = {
    HeadBody: _head,
    HelloBody: resync.take_hello,
    ResyncBody: resync.take_resync,
    ResyncAnswerBody: resync.take_answer,
}
"""Every kind of body but `event`; a test compares it with `schemas.bodies.Body`."""
