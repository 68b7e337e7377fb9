"""Publications that were signed under a key of ours which is no longer the current one: signed anew. Commands.

The board takes publications under the current key only. One it refused for that was never logged, so its number and
its records stay, and those that wait behind it follow on the new bytes.
"""

import sqlite3
from typing import Final

import msgspec

from node.context import Context, set_setting, setting
from node.exchange.outbox import raise_alarm
from protocol import jws
from protocol.publications import PUBLICATION_MAX
from protocol.strict import digest
from schemas.catalogue import Publication, Visibility

_CHAIN: Final = "own_chain"


def sign_again(tx: sqlite3.Connection, ctx: Context, vis: Visibility) -> int:
    """Those of one chain that wait, from the first that another key signed on. Returns how many."""
    waiting = tx.execute(
        "SELECT rev, publication FROM publication_out WHERE vis = ? AND state = 'waiting' ORDER BY rev", (vis,)
    ).fetchall()
    prev: str | None = None
    done = 0
    for rev, text in waiting:
        held = jws.parse_compact(text, jws.CAT, max_bytes=PUBLICATION_MAX)
        if prev is None and held.kid == ctx.keys.signing.kid:
            continue
        before = msgspec.json.decode(held.payload, type=Publication)
        after = before if prev is None else msgspec.structs.replace(before, prev=prev)
        fresh = jws.sign_compact(ctx.keys.signing, jws.CAT, msgspec.json.encode(after))
        prev = digest(fresh.encode("ascii"))
        tx.execute(
            "UPDATE publication_out SET publication = ?, digest = ? WHERE vis = ? AND rev = ?", (fresh, prev, vis, rev)
        )
        done += 1
    return done


def came_back(tx: sqlite3.Connection, ctx: Context) -> bool:
    """A re-admitted body's entries are gone from the map: they are signed again when people publish, who are told."""
    own = ctx.member(ctx.me)
    if own is None:
        return False
    before, first = setting(tx, _CHAIN, ""), own.chain[0].kid
    if before == first:
        return False
    set_setting(tx, _CHAIN, first)
    published = tx.execute("UPDATE publication_out SET exp = 0 WHERE state = 'accepted'").rowcount if before else 0
    if published:
        raise_alarm(tx, ctx.clock.now(), "publish-again", ctx.me, None, None)
    return published > 0
