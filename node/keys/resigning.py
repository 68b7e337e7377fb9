"""What we signed under a key of ours that is revoked now: nobody accepts it any more, so it is signed anew. Commands.

A sealing that no one has acknowledged is sealed again; a receipt keeps its bytes and gets another signature, when its
sender asks for it again. What was acknowledged before is settled, and stays as it is.
"""

import sqlite3

from node.context import Context
from node.exchange import outbox
from node.keys import confirming
from protocol import jws
from protocol.errors import ProtocolError
from protocol.limits import RECEIPT_MAX, ROUTING_MAX


def revoked(ctx: Context) -> frozenset[str]:
    """kids of ours that the membership has as revoked."""
    own = ctx.member(ctx.me)
    states = own.states if own else {}
    return frozenset(kid for kid, state in states.items() if state.status == "revoked")


def reseal_revoked(tx: sqlite3.Connection, ctx: Context, limit: int = 200) -> int:
    """Seals again, under the current key, what waits under a revoked one. Returns how many."""
    gone, own = revoked(ctx), ctx.member(ctx.me)
    if not gone or own is None or own.status != "active" or ctx.keys.signing.kid in gone:
        return 0
    done = 0
    for mid, e in tx.execute("SELECT mid, e FROM outgoing WHERE s IS NOT NULL AND e != ''").fetchall():
        if done >= limit:
            break
        if jws.parse_compact(e, jws.MSG, max_bytes=ROUTING_MAX).kid not in gone:
            continue
        try:
            outbox.reseal(tx, ctx, mid)
            done += 1
        except ProtocolError as problem:
            if problem.code not in confirming.NOBODY_TO_SEAL_TO:
                raise
    return done


def receipt(tx: sqlite3.Connection, ctx: Context, number: int, raw: str) -> str:
    """A receipt of ours as it can be sent now: the same words, under a key that counts."""
    gone = revoked(ctx)
    if not gone or ctx.keys.signing.kid in gone:
        return raw
    held = jws.parse_compact(raw, jws.RCPT, max_bytes=RECEIPT_MAX)
    if held.kid not in gone:
        return raw
    fresh = jws.sign_compact(ctx.keys.signing, jws.RCPT, held.payload)
    tx.execute("UPDATE receipt SET raw = ? WHERE id = ?", (fresh, number))
    return fresh
