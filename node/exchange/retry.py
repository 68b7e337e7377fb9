"""Trying again what was set aside, after an update of the program, when a person asks for it. Listing it.

It is read as it would have been when it came: by the time of then, so that it has not expired meanwhile.
"""

import sqlite3
from typing import Final

from node.answers import Aside, Tried
from node.context import Context
from node.exchange import aside, inbox
from node.exchange.outbox import queue_receipt
from protocol.envelope import unsigned_code
from protocol.errors import ProtocolError
from schemas.wire import Item

_LOST: Final = frozenset({"expired", "reseal"})
"""The key it was sealed to is gone: forgotten, so that its sender is told to seal it again."""


def listing(db: sqlite3.Connection) -> list[Aside]:
    """What is set aside, the oldest first."""
    rows = db.execute("SELECT id, sender, at, tries, size, fault, r IS NOT NULL FROM aside ORDER BY id")
    return [
        Aside(id=number, node=node, at=at, tries=tries, size=size, fault=fault, receipt=bool(receipt))
        for number, node, at, tries, size, fault, receipt in rows
    ]


def retry(tx: sqlite3.Connection, ctx: Context) -> Tried:
    """Everything once more, each alone, in the order it came; what fails again stays with its new fault."""
    done = 0
    legs: dict[str, None] = {}
    for number, name, sender, jti, e, s, r, at in tx.execute(
        "SELECT id, name, sender, jti, e, s, r, at FROM aside ORDER BY id"
    ).fetchall():
        item = Item(r=r) if r is not None else Item(e=e, s=s)
        tx.execute("SAVEPOINT again")
        try:
            changed = _once(tx, ctx, item, name, sender, jti, at)
        except Exception as error:
            if not (aside.is_fault(error) or isinstance(error, ProtocolError)):
                raise
            tx.execute("ROLLBACK TO again")
            what = error.code if isinstance(error, ProtocolError) else aside.describe(error)
            tx.execute(
                "UPDATE aside SET tries = tries + 1, tried_at = ?, fault = ? WHERE id = ?",
                (ctx.clock.now(), what, number),
            )
        else:
            tx.execute("DELETE FROM aside WHERE id = ?", (number,))
            done += 1
            legs.update(dict.fromkeys(changed))
        tx.execute("RELEASE again")
    left = listing(tx)
    if not left:
        tx.execute("UPDATE alarm SET cleared = ? WHERE code = 'set-aside' AND cleared IS NULL", (ctx.clock.now(),))
    return Tried(done=done, left=left, legs=list(legs))


def _once(
    tx: sqlite3.Connection, ctx: Context, item: Item, name: str, sender: str, jti: str | None, at: int
) -> list[str]:
    """The legs it changed. Raises what made it fail again."""
    prepared = inbox.prepare(ctx, [item], membership=ctx.membership, now=at, relayed=True)
    fault = next((one.fault for one in prepared if isinstance(one, inbox.Arrived | inbox.Turned) and one.fault), None)
    if fault is not None:
        raise _StillError(fault)
    said = [
        mid
        for (mid,) in tx.execute(
            "DELETE FROM inbox WHERE sender = ? AND jti = ? AND k = 'stored' RETURNING mid", (sender, jti)
        ).fetchall()
    ]
    received = inbox.apply(tx, ctx, prepared, first=at)
    if received.answer.later:
        code = unsigned_code(received.answer.later[0].code)
        if code in _LOST:
            return []
        raise ProtocolError(code)
    _say_it_of_every_sealing(tx, name, said)
    for number, peer, _ in received.signed:
        queue_receipt(tx, number, peer, ctx.clock.now())
    return received.legs


def _say_it_of_every_sealing(tx: sqlite3.Connection, name: str, said: list[str]) -> None:
    """The event may have come under several mids meanwhile: all have the answer of the one that went through."""
    tx.executemany(
        "INSERT INTO inbox (mid, sender, jti, cm, st, k, h, prob, receipt)"
        " SELECT ?1, sender, jti, cm, st, k, h, prob, receipt FROM inbox WHERE mid = ?2 ON CONFLICT DO NOTHING",
        [(mid, name) for mid in said],
    )


class _StillError(Exception):
    """It cannot even be looked at yet."""
