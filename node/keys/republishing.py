"""Publications that were signed under a key of ours which is no longer the current one: signed anew. Commands.

The board takes publications under the current key only. One it refused for that was never logged, so its number and
its records stay, and those that wait behind it follow on the new bytes.
"""

import sqlite3

import msgspec

from node.context import Context
from protocol import jws
from protocol.publications import PUBLICATION_MAX
from protocol.strict import digest
from schemas.catalogue import Publication, Visibility


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
