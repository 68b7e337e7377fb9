"""Attachments on their way: parts out by a window, parts in, what is missing, what is whole. Commands (PROTOCOL §3).

    sender    keep (blobs) → event names the files → fill: `part` 1…of, eight at once, after all events
    reader    take_part → held in any order → whole and the hash is right → `got`; wrong or standing still → `missing`

An event never waits for its files, and a part may come before its event: then it is kept, bounded and for two days.
"""

import sqlite3
from typing import Final

import msgspec

from node.context import Context
from node.exchange import blobs
from node.exchange.blobs import Blob
from node.exchange.erased import is_erased
from node.exchange.log import LegRow, leg_row
from node.exchange.outbox import PART, raise_alarm, send_body
from protocol.attachments import read_part
from protocol.errors import ProtocolError
from protocol.limits import (
    BLOB_TRIES,
    EARLY_KEPT,
    EARLY_LEG_MAX,
    EARLY_NODE_MAX,
    EARLY_PEER_MAX,
    HOUR,
    MISSING_AFTER,
    PARTS_OUT_MAX,
    RESENT_MAX,
)
from protocol.strict import b64u_encode
from schemas.bodies import EventBody, GotBody, MissingBody, PartBody

AT_ONCE: Final = 2  # parts sealed in one command: the writer has other work
_encoder = msgspec.json.Encoder()

Done = tuple[int | None, tuple[str, ...]]
"""Our own event count on the leg (None: we do not hold it), and the legs that changed."""


# -- out


def fill(tx: sqlite3.Connection, ctx: Context, limit: int = AT_ONCE) -> int:
    """Seals the next parts, at most `limit`, while fewer than eight for their recipient wait for `processed`."""
    done = 0
    for (peer,) in tx.execute("SELECT DISTINCT peer FROM blob WHERE state = 'sending'").fetchall():
        if not _reachable(ctx, peer):
            continue
        (out,) = tx.execute(
            "SELECT COUNT(*) FROM outgoing WHERE dest = ? AND urgent = ? AND s IS NOT NULL", (peer, PART)
        ).fetchone()
        for blob, i in _unsent(tx, peer, PARTS_OUT_MAX - out):
            if done >= limit:
                return done
            _send_part(tx, ctx, blob, i)
            done += 1
    return done


def _unsent(tx: sqlite3.Connection, peer: str, most: int) -> list[tuple[Blob, int]]:
    """Parts that were never sealed, or whose sealing expired or fell to a new key: oldest file first."""
    found: list[tuple[Blob, int]] = []
    for (number,) in tx.execute(
        "SELECT id FROM blob WHERE state = 'sending' AND peer = ? ORDER BY id", (peer,)
    ).fetchall():
        if len(found) >= most:
            break
        blob = blobs.by_id(tx, number)
        assert blob is not None
        out = {
            i
            for (i,) in tx.execute(
                "SELECT i FROM part_out WHERE blob = ? AND (done OR mid IN (SELECT mid FROM outgoing))", (number,)
            )
        }
        found += [(blob, i) for i in range(1, blob.parts + 1) if i not in out]
    return found[: max(most, 0)]


def _send_part(tx: sqlite3.Connection, ctx: Context, blob: Blob, i: int) -> None:
    try:
        raw = blobs.part(tx, ctx, blob, i)
    except ProtocolError:  # our own disk lost it: the rest goes on, and people attach it again
        blobs.stop(tx, blob, "refused")
        raise_alarm(tx, ctx.clock.now(), "attachment-refused", blob.peer, blob.leg, None)
        return
    body = PartBody(
        net=ctx.net, sender=ctx.me, to=blob.peer, jti=ctx.dice.uuid4(), leg=blob.leg, sha256=blob.sha256, i=i,
        of=blob.parts, data=b64u_encode(raw),
    )  # fmt: skip
    mid = _post(tx, ctx, blob.peer, body, PART)
    tx.execute(
        "INSERT INTO part_out (blob, i, mid) VALUES (?1, ?2, ?3)"
        " ON CONFLICT (blob, i) DO UPDATE SET mid = ?3, done = 0",
        (blob.id, i, mid),
    )


def _post(tx: sqlite3.Connection, ctx: Context, peer: str, body: PartBody | MissingBody | GotBody, urgent: int) -> str:
    raw = _encoder.encode(body)
    return send_body(tx, ctx, peer, body, ctx.dice.bytes(32), raw, place=None, urgent=urgent)[1]


def _reachable(ctx: Context, peer: str) -> bool:
    """There is a key to seal to, and both of us are active: else it waits."""
    me = ctx.member(ctx.me)
    if me is None or me.status != "active":
        return False
    try:
        ctx.sealing_public(peer, ctx.clock.now())
    except ProtocolError:
        return False
    return True


def ask_again(tx: sqlite3.Connection, ctx: Context, sender: str, body: MissingBody) -> Done:
    """The reader lacks a part: sent again, a bounded number of times. Raises unknown-leg, not-your-leg, bad-body."""
    leg = _leg(tx, body.leg, sender)
    blob = blobs.find(tx, body.leg, sender, True, body.sha256)
    if leg is None or blob is None or is_erased(tx, body.leg, sender):
        raise ProtocolError("unknown-leg", field="sha256")
    if body.i > blob.parts:
        raise ProtocolError("bad-body", field="i", expected=f"at most {blob.parts}", got=str(body.i))
    if blob.tries >= RESENT_MAX:
        raise_alarm(tx, ctx.clock.now(), "attachment-refused", sender, body.leg, None)
        return _h(leg), ()
    tx.execute("DELETE FROM part_out WHERE blob = ?1 AND done AND ?2 IN (0, i)", (blob.id, body.i))
    tx.execute("UPDATE blob SET state = 'sending', tries = tries + 1, asks = 0 WHERE id = ?", (blob.id,))
    return _h(leg), (body.leg,)


def confirmed(tx: sqlite3.Connection, ctx: Context, sender: str, body: GotBody) -> Done:
    """The reader holds it whole: nothing more of it is sent. Raises unknown-leg, not-your-leg."""
    leg = _leg(tx, body.leg, sender)
    blob = blobs.find(tx, body.leg, sender, True, body.sha256)
    if leg is None or (blob is None and not is_erased(tx, body.leg, sender)):
        raise ProtocolError("unknown-leg", field="sha256")
    if blob is not None:
        blobs.stop(tx, blob, "confirmed")
    return _h(leg), (body.leg,)


# -- in


def named(tx: sqlite3.Connection, ctx: Context, leg: LegRow, body: EventBody) -> None:
    """An event of the peer was written down: its files are *in arrivo* from now on; a void takes them away."""
    if body.ev == "void":
        blobs.drop_early(tx, leg.leg, leg.peer)
    elif not body.files:
        return
    for file in body.files or ():  # attached once more after it had failed
        blob = blobs.find(tx, leg.leg, leg.peer, False, file.sha256)
        if blob is not None and blob.state == "failed":
            tx.execute("UPDATE blob SET tries = 0 WHERE id = ?", (blob.id,))
            blobs.moved(tx, blob, "arriving", ctx.clock.now())
    for blob in blobs.settle(tx, ctx, leg.leg):
        _finish(tx, ctx, blob)


def take_part(tx: sqlite3.Connection, ctx: Context, sender: str, body: PartBody) -> Done:
    """One part of a peer's file. Raises bad-body, unknown-leg (erased), not-your-leg; busy: too much came early."""
    now = ctx.clock.now()
    if is_erased(tx, body.leg, sender):
        raise ProtocolError("unknown-leg", field="leg")
    leg = _leg(tx, body.leg, sender)
    raw = read_part(body, ctx.part_bytes)
    blob = blobs.find(tx, body.leg, sender, False, body.sha256)
    if blob is None:
        _room_for_early(tx, body.leg, sender)
        key_id = leg.case_id if leg is not None else f"{blobs.EARLY}{sender}|{body.leg}"
        blob = blobs.begin_early(tx, body.leg, sender, body.sha256, body.of, key_id, now)
    elif body.of != blob.parts:
        raise ProtocolError("bad-body", field="of", expected=str(blob.parts), got=str(body.of))
    if blob.state == "complete":
        _say_got(tx, ctx, blob)  # a sender that asks twice lost our word: its store was restored
        return _h(leg), ()
    if blob.state == "failed":
        return _h(leg), ()
    held = blobs.held(tx, blob)
    if body.i not in held:
        if blob.state == "early" and held:
            _room_for_early(tx, body.leg, sender)
        _check_last(ctx, blob, body.i, len(raw))
        blobs.put_part(tx, ctx, blob, body.i, raw)
        blobs.moved(tx, blob, blob.state, now)
        if blob.state == "arriving" and len(held) + 1 == blob.parts:
            _finish(tx, ctx, blob)
    return _h(leg), (body.leg,) if leg is not None else ()


def _check_last(ctx: Context, blob: Blob, i: int, length: int) -> None:
    """The last part holds what is left of the size an event named. Raises bad-body."""
    if blob.size is not None and i == blob.parts and length != (left := blob.size - (i - 1) * ctx.part_bytes):
        raise ProtocolError("bad-body", field="data", expected=f"{left} bytes", got=f"{length} bytes")


def _room_for_early(tx: sqlite3.Connection, leg: str, peer: str) -> None:
    """Parts that no event accounts for are bounded: for the leg, for the peer, for all. Raises busy."""
    of_leg, of_peer, of_all = tx.execute(
        "SELECT COALESCE(SUM(leg = ?1 AND peer = ?2), 0), COALESCE(SUM(peer = ?2), 0), COUNT(*)"
        " FROM blob JOIN blob_part ON blob = id WHERE state = 'early'",
        (leg, peer),
    ).fetchone()
    if of_leg >= EARLY_LEG_MAX or of_peer >= EARLY_PEER_MAX or of_all >= EARLY_NODE_MAX:
        raise ProtocolError("busy", after=HOUR)


def _finish(tx: sqlite3.Connection, ctx: Context, blob: Blob) -> None:
    """Every part is here: the hash decides. A wrong whole is thrown away whole, and asked for again, not for ever."""
    now = ctx.clock.now()
    if blobs.is_whole(tx, ctx, blob):
        blobs.moved(tx, blob, "complete", now)
        _say_got(tx, ctx, blob)
        return
    given_up = blob.tries + 1 >= BLOB_TRIES
    blobs.again(tx, blob, "failed" if given_up else "arriving", now)
    if given_up:
        raise_alarm(tx, now, "attachment-failed", blob.peer, blob.leg, None)
    else:
        _ask(tx, ctx, blob, [0])


def _say_got(tx: sqlite3.Connection, ctx: Context, blob: Blob) -> None:
    """Once at a time; a question still on its way is overtaken by the answer that it is no longer one."""
    if blob.state == "complete" and tx.execute("SELECT 1 FROM outgoing WHERE mid = ?", (blob.note,)).fetchone():
        return
    if not _reachable(ctx, blob.peer):
        tx.execute("UPDATE blob SET note = COALESCE(note, ''), note_done = 0 WHERE id = ?", (blob.id,))
        return
    body = GotBody(net=ctx.net, sender=ctx.me, to=blob.peer, jti=ctx.dice.uuid4(), leg=blob.leg, sha256=blob.sha256)
    _noted(tx, blob, _post(tx, ctx, blob.peer, body, 0))


def _ask(tx: sqlite3.Connection, ctx: Context, blob: Blob, numbers: list[int]) -> None:
    if not _reachable(ctx, blob.peer):
        return
    for i in numbers:
        body = MissingBody(
            net=ctx.net, sender=ctx.me, to=blob.peer, jti=ctx.dice.uuid4(), leg=blob.leg, sha256=blob.sha256, i=i
        )
        _noted(tx, blob, _post(tx, ctx, blob.peer, body, 0))


def _noted(tx: sqlite3.Connection, blob: Blob, mid: str) -> None:
    tx.execute("UPDATE blob SET note = ?, note_done = 0 WHERE id = ?", (mid, blob.id))


# -- the tick


def tick(tx: sqlite3.Connection, ctx: Context) -> int:
    """Drops what no event named, asks for what stands still, says again what got lost, fills the window."""
    now = ctx.clock.now()
    for blob in blobs.waiting(tx, "early", now - EARLY_KEPT):
        blobs.drop(tx, blob)
    for blob in blobs.waiting(tx, "arriving", now - MISSING_AFTER):
        _stands_still(tx, ctx, blob, now)
    for blob in blobs.waiting(tx, "sending", now - MISSING_AFTER):
        if blobs.sent(tx, blob) == blob.parts:
            _unconfirmed(tx, blob, now)
    for (number,) in tx.execute(
        "SELECT id FROM blob WHERE state = 'complete' AND note IS NOT NULL AND note_done = 0"
        " AND note NOT IN (SELECT mid FROM outgoing)"
    ).fetchall():
        lost = blobs.by_id(tx, number)
        if lost is not None:
            _say_got(tx, ctx, lost)
    return fill(tx, ctx, PARTS_OUT_MAX)


def _unconfirmed(tx: sqlite3.Connection, blob: Blob, now: int) -> None:
    """Its reader has every part and says neither yes nor no: its last part goes again, and brings out which.

    Whole, it says so once more; erased meanwhile, it refuses. After some days of neither people are told.
    """
    if blob.asks < BLOB_TRIES:
        tx.execute("DELETE FROM part_out WHERE blob = ? AND i = ?", (blob.id, blob.parts))
        tx.execute("UPDATE blob SET asks = asks + 1 WHERE id = ?", (blob.id,))
    else:
        raise_alarm(tx, now, "attachment-unconfirmed", blob.peer, blob.leg, None)


def _stands_still(tx: sqlite3.Connection, ctx: Context, blob: Blob, now: int) -> None:
    """Nothing came for a day: ask for what is missing; after some days people are told, and it is asked on."""
    if not _reachable(ctx, blob.peer) or now < blob.moved + MISSING_AFTER * (blob.asks + 1):
        return
    tx.execute("UPDATE blob SET asks = asks + 1 WHERE id = ?", (blob.id,))
    if blob.asks + 1 == BLOB_TRIES:
        raise_alarm(tx, now, "attachment-late", blob.peer, blob.leg, None)
    if blob.note is not None and tx.execute("SELECT 1 FROM outgoing WHERE mid = ?", (blob.note,)).fetchone():
        return  # the last question has not left yet, or is not answered
    held = blobs.held(tx, blob)
    lacking = [i for i in range(1, blob.parts + 1) if i not in held]
    _ask(tx, ctx, blob, lacking if held else [0])


# -- shared


def _leg(db: sqlite3.Connection, leg_id: str, peer: str) -> LegRow | None:
    """The leg if it is here. Raises not-your-leg."""
    leg = leg_row(db, leg_id)
    if leg is not None and (leg.peer != peer or leg.side == "L"):
        raise ProtocolError("not-your-leg", field="leg")
    return leg


def _h(leg: LegRow | None) -> int | None:
    """Our own event count on the leg (PROTOCOL §3, `h`)."""
    return None if leg is None else leg.r_count if leg.side == "R" else leg.s_count
