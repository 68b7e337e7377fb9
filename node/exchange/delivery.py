"""What is due, by which route, what an answer means for the pace. Commands and queries; the courier sends.

Routes in order: direct addresses, then relays; one that refuses or times out is followed at once by the next; `held`
without `stored`: the next relay after 6 h, again daily. Per destination, persisted:
delay = U(0.5, 1) · min(cap, 5 s · 2^k).
"Unreachable" never becomes "failed" (PROTOCOL §3).
"""

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from node.context import Context
from node.exchange.outbox import PART, reseal
from protocol.errors import ProtocolError
from protocol.limits import (
    BATCH_BYTES,
    BATCH_ITEMS,
    DAY,
    HELD_NEXT_RELAY,
    MINUTE,
    RETRY_CAP,
    RETRY_CAP_FIRST_DAY,
    RETRY_FIRST,
)
from protocol.members import Membership
from schemas.wire import DeliveryAnswer, Item, Later

RECEIPT_TRIES: Final = 12  # a lost receipt is repaired by the sender's resending, so ours are not carried for ever
_RESEAL_CODES: Final = frozenset({"expired", "reseal"})


class Route(NamedTuple):
    """`audience` is the id a call token names; `relay` tells the path: a mailbox or the peer's own inbox."""

    url: str
    audience: str
    relay: bool


class Parcel(NamedTuple):
    """One POST: some items for one destination by one route. `mids` and `receipts` are parallel to the items."""

    dest: str
    route: Route
    items: list[Item]
    mids: list[str]
    receipts: list[int]


def routes_to(membership: Membership, dest: str, now: int) -> list[Route]:
    """Direct addresses first, then the relays the recipient lists, in its order; the empty list: nowhere to go yet."""
    member = membership.members.get(dest)
    if member is None:
        return []
    urls = membership.relays
    direct = [Route(url, dest, False) for url in member.urls(now)]
    return direct + [Route(urls[name], name, True) for name in member.relays(now) if name in urls]


def due(
    db: sqlite3.Connection, ctx: Context, *, now: int, in_flight: Collection[str], limit: int, batch: int
) -> list[Parcel]:
    """Batches to send now, urgent first within a destination, at most `limit` items per destination, `batch` a parcel.

    While a destination fails, one parcel of one item probes it; urgent items have no backoff.
    """
    parcels: list[Parcel] = []
    for (dest,) in db.execute(
        "SELECT node FROM peer WHERE EXISTS (SELECT 1 FROM outgoing"
        " WHERE dest = node AND urgent IN (0, 1, 2) AND s IS NOT NULL AND next_at <= ?)",
        (now,),
    ).fetchall():
        parcels += _due_for(db, ctx, dest, now, in_flight, limit, batch)
    return parcels


def _due_for(
    db: sqlite3.Connection, ctx: Context, dest: str, now: int, in_flight: Collection[str], limit: int, batch: int
) -> list[Parcel]:
    routes = routes_to(ctx.membership, dest, now)
    if not routes or not _open_channel(ctx, dest):
        return []
    pace = db.execute("SELECT k, next_at FROM peer WHERE node = ?", (dest,)).fetchone() or (0, 0)
    failing, waiting = pace[0] > 0, pace[1] > now
    rows = [
        row
        for urgent in ((1,) if waiting else (1, 0))
        for row in db.execute(
            "SELECT mid, route FROM outgoing WHERE dest = ? AND urgent = ? AND s IS NOT NULL AND next_at <= ?"
            " ORDER BY next_at, rowid LIMIT ?",
            (dest, urgent, now, limit + len(in_flight)),
        )
    ]
    if not rows and not waiting:
        rows = _due_part(db, dest, now, in_flight)
    if failing:  # one probe at a time, whatever waits behind it
        rows = [] if any(mid in in_flight for mid, _ in rows) else rows[:1]
    by_route: dict[int, list[tuple[str, Item]]] = {}
    for mid, route in [row for row in rows if row[0] not in in_flight][:limit]:
        e, s = db.execute("SELECT e, s FROM outgoing WHERE mid = ?", (mid,)).fetchone()
        by_route.setdefault(route % len(routes), []).append((mid, Item(e=e, s=s)))
    return [
        Parcel(dest, routes[index], [item for _, item in chunk], [mid for mid, _ in chunk], [])
        for index, pairs in by_route.items()
        for chunk in _batches(pairs, batch)
    ]


def _due_part(db: sqlite3.Connection, dest: str, now: int, in_flight: Collection[str]) -> list[tuple[str, int]]:
    """The next part of an attachment: one at a time, once every event for this destination that is due has left.

    On a slow line a part takes a minute or more, and an urgent event written meanwhile must not wait behind several.
    """
    rows = db.execute(
        "SELECT mid, route FROM outgoing WHERE dest = ? AND urgent = ? AND s IS NOT NULL AND next_at <= ?"
        " ORDER BY next_at, rowid LIMIT 1",
        (dest, PART, now),
    ).fetchall()
    flying = (db.execute("SELECT dest FROM outgoing WHERE mid = ?", (mid,)).fetchone() for mid in in_flight)
    return [] if rows and any(row is not None and row[0] == dest for row in flying) else rows


def _open_channel(ctx: Context, dest: str) -> bool:
    """Both ends are active members: a suspended one, whichever it is, would only be refused everywhere."""
    ends = (ctx.member(dest), ctx.member(ctx.me))
    return all(member is not None and member.status == "active" for member in ends)


def _batches(pairs: Sequence[tuple[str, Item]], most: int) -> Iterable[list[tuple[str, Item]]]:
    chunk: list[tuple[str, Item]] = []
    size = 0
    for pair in pairs:
        length = len(str(pair[1].e)) + len(str(pair[1].s)) + 40
        if chunk and (len(chunk) >= most or size + length > BATCH_BYTES - 1024):
            yield chunk
            chunk, size = [], 0
        chunk.append(pair)
        size += length
    if chunk:
        yield chunk


def due_receipts(db: sqlite3.Connection, ctx: Context, *, now: int) -> list[Parcel]:
    """Receipts of ours that have to travel by their senders' routes."""
    parcels: list[Parcel] = []
    rows = db.execute(
        "SELECT receipt, dest, receipt_out.route, raw FROM receipt_out JOIN receipt ON receipt.id = receipt_out.receipt"
        " WHERE next_at <= ? ORDER BY receipt LIMIT 200",
        (now,),
    )
    grouped: dict[tuple[str, int], list[tuple[int, str]]] = {}
    for number, dest, route, raw in rows:
        grouped.setdefault((dest, route), []).append((number, raw))
    for (dest, route), pairs in grouped.items():
        routes = routes_to(ctx.membership, dest, now)
        if routes and _open_channel(ctx, dest):
            chunk = pairs[:BATCH_ITEMS]
            items = [Item(r=raw) for _, raw in chunk]
            parcels.append(Parcel(dest, routes[route % len(routes)], items, [], [number for number, _ in chunk]))
    return parcels


def queue_receipt(tx: sqlite3.Connection, number: int, dest: str, now: int) -> None:
    """A receipt nobody carried yet: it leaves by the sender's own routes."""
    tx.execute(
        "INSERT INTO receipt_out (receipt, dest, next_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (number, dest, now)
    )


# -- what an answer means


def answered(tx: sqlite3.Connection, ctx: Context, parcel: Parcel, answer: DeliveryAnswer) -> None:
    """The route answered. Receipts were applied as a command of their own; here the pace of what is left.

    A relay that keeps nothing is no sign of life: where no route takes it, the rounds grow longer as after a failure.
    """
    now = ctx.clock.now()
    if answer.held or answer.receipts or not parcel.route.relay:
        tx.execute("UPDATE peer SET k = 0, next_at = 0, failing_since = NULL WHERE node = ? AND k > 0", (parcel.dest,))
    tx.executemany("DELETE FROM receipt_out WHERE receipt = ?", [(number,) for number in parcel.receipts])
    held = set(answer.held)
    said = {later.i: later for later in answer.later}
    refused: list[int] = []
    for i, mid in enumerate(parcel.mids):
        if mid in held:
            _held(tx, mid, now)
        elif i in said:
            wait = _postponed(tx, ctx, mid, said[i], now, relay=parcel.route.relay)
            refused += [] if wait is None else [wait]
        else:
            _again(tx, ctx, mid, now)
    if refused:
        _back_off(tx, ctx, parcel, now, max(refused))


def _held(tx: sqlite3.Connection, mid: str, now: int) -> None:
    tx.execute(
        "UPDATE outgoing SET next_at = ? + CASE WHEN held_at IS NULL THEN ? ELSE ? END, held_at = COALESCE(held_at, ?),"
        " route = route + 1, tries = 0 WHERE mid = ?",
        (now, HELD_NEXT_RELAY, DAY, now, mid),
    )


def _postponed(tx: sqlite3.Connection, ctx: Context, mid: str, later: Later, now: int, *, relay: bool) -> int | None:
    """What one `later` means. Returns the seconds to wait if the last route refused it."""
    if later.code in _RESEAL_CODES and _would_differ(tx, ctx, mid, now):
        reseal(tx, ctx, mid)
    elif relay and later.code in ("mailbox-full", "no-mailbox-here"):
        return _next_route(tx, ctx, mid, now, after=max(_asked(later.after), 30))
    else:
        tries = tx.execute("SELECT COALESCE(MAX(tries), 0) FROM outgoing WHERE mid = ?", (mid,)).fetchone()[0]
        _wait(tx, mid, now + max(_asked(later.after), _delay(ctx, int(tries), RETRY_CAP_FIRST_DAY)))
    return None


def _next_route(tx: sqlite3.Connection, ctx: Context, mid: str, now: int, *, after: int) -> int | None:
    """A relay that refuses is followed at once by the next; after the last one the sealing waits, so long."""
    row = tx.execute("SELECT dest, route FROM outgoing WHERE mid = ?", (mid,)).fetchone()
    if row is None:
        return None
    route = int(row[1]) + 1
    exhausted = route % max(len(routes_to(ctx.membership, row[0], now)), 1) == 0
    tx.execute(
        "UPDATE outgoing SET route = ?, next_at = ? WHERE mid = ?", (route, now + after if exhausted else now, mid)
    )
    return after if exhausted else None


def _would_differ(tx: sqlite3.Connection, ctx: Context, mid: str, now: int) -> bool:
    """Sealing again helps when this one expired by our own clock, or when we know another key by now.

    Otherwise a clock is wrong or a members document is on its way: the same refusal would come at once, for ever.
    """
    row = tx.execute("SELECT dest, kid, exp FROM outgoing WHERE mid = ?", (mid,)).fetchone()
    if row is None:
        return False
    try:
        known = ctx.sealing_public(row[0], now).kid
        return bool(row[2] <= now) or known != row[1]
    except ProtocolError:  # nobody to seal to at present: reseal_stale tries again
        return False


def _again(tx: sqlite3.Connection, ctx: Context, mid: str, now: int) -> None:
    row = tx.execute("SELECT tries FROM outgoing WHERE mid = ?", (mid,)).fetchone()
    if row is not None:
        _wait(tx, mid, now + _delay(ctx, int(row[0]), RETRY_CAP))


def _wait(tx: sqlite3.Connection, mid: str, until: int) -> None:
    tx.execute("UPDATE outgoing SET next_at = ?, tries = tries + 1 WHERE mid = ?", (until, mid))


def failed(tx: sqlite3.Connection, ctx: Context, parcel: Parcel, *, retry_after: int | None) -> None:
    """The route refused or was silent: the next one at once; after the last, the destination waits."""
    now = ctx.clock.now()
    count = max(len(routes_to(ctx.membership, parcel.dest, now)), 1)
    if parcel.receipts:
        _receipts_failed(tx, ctx, parcel, count, now)
    exhausted = False
    for mid in parcel.mids:
        row = tx.execute("SELECT route FROM outgoing WHERE mid = ?", (mid,)).fetchone()
        if row is None:
            continue
        route = int(row[0]) + 1
        exhausted = exhausted or route % count == 0
        tx.execute("UPDATE outgoing SET route = ?, next_at = ? WHERE mid = ?", (route, now, mid))
    if exhausted:
        _back_off(tx, ctx, parcel, now, retry_after)


def _back_off(tx: sqlite3.Connection, ctx: Context, parcel: Parcel, now: int, retry_after: int | None) -> None:
    row = tx.execute("SELECT k, failing_since FROM peer WHERE node = ?", (parcel.dest,)).fetchone() or (0, None)
    k, since = int(row[0]), row[1] if row[1] is not None else now
    cap = RETRY_CAP_FIRST_DAY if now - since < DAY else RETRY_CAP
    next_at = now + max(_delay(ctx, k, cap), _asked(retry_after or 0))
    tx.execute(
        "INSERT INTO peer (node, k, next_at, failing_since) VALUES (?1, 1, ?2, ?3)"
        " ON CONFLICT (node) DO UPDATE SET k = k + 1, next_at = ?2, failing_since = ?3",
        (parcel.dest, next_at, since),
    )
    # what is urgent has no backoff to a relay, only a pause between rounds; the rest waits by the peer's row
    pause = min(next_at, now + min(MINUTE, RETRY_FIRST * 2 ** min(k, 4)))
    tx.execute(
        "UPDATE outgoing SET next_at = MAX(next_at, ?) WHERE dest = ? AND urgent = 1 AND s IS NOT NULL",
        (pause, parcel.dest),
    )


def _receipts_failed(tx: sqlite3.Connection, ctx: Context, parcel: Parcel, count: int, now: int) -> None:
    for number in parcel.receipts:
        row = tx.execute("SELECT route, tries FROM receipt_out WHERE receipt = ?", (number,)).fetchone()
        if row is None:
            continue
        route, tries = int(row[0]) + 1, int(row[1]) + 1
        if tries >= RECEIPT_TRIES * count:
            tx.execute("DELETE FROM receipt_out WHERE receipt = ?", (number,))
            continue
        wait = _delay(ctx, tries // count, RETRY_CAP_FIRST_DAY) if route % count == 0 else 0
        tx.execute(
            "UPDATE receipt_out SET route = ?, tries = ?, next_at = ? WHERE receipt = ?",
            (route, tries, now + wait, number),
        )


def _asked(seconds: int) -> int:
    """An unsigned answer changes the pace and ends nothing: nobody puts a message to sleep for more than a day."""
    return min(seconds, DAY)


def _delay(ctx: Context, k: int, cap: int) -> int:
    return int(max(1, round(ctx.dice.uniform(0.5, 1.0) * min(cap, RETRY_FIRST * 2 ** min(k, 20)))))
