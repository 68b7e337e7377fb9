"""Writing events and getting them acknowledged: the sender's half. Commands inside a transaction; nothing is sent here.

The outbox row and the event are written together, before the screen says "inviata". A sealing ends by a signed
`processed` or `rejected` of the recipient; expiry and lost keys end a sealing, never an event (PROTOCOL §2, §3).
"""

import sqlite3
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from node.context import Context, setting
from node.exchange import blobs, erased, letters, restored
from node.exchange.log import Entry, LegRow, insert_event, leg_row, logs, refold
from protocol.calendar_it import Calendar
from protocol.deadline import URGENCIES, Deadlines, deadline
from protocol.envelope import commitment, make_envelope
from protocol.errors import ProtocolError
from protocol.limits import LIFETIME_MAX
from protocol.names import Channel
from protocol.referral import fold
from schemas.bodies import Body, EventBody
from schemas.wire import Ack, Receipt

CLOCK_TOLERANCE: Final = 300  # seconds off beyond which no new event is written (PROTOCOL §1)
URGENT: Final = frozenset({"UR-PIS", "UR-PUA24"})
PART: Final = 2  # `urgent` of a part of an attachment: it leaves after everything else
_encoder = msgspec.json.Encoder()


def clock_is_wrong(db: sqlite3.Connection) -> bool:
    """More than 300 s off: nothing new is written."""
    return abs(int(setting(db, "clock_offset", "0"))) > CLOCK_TOLERANCE


class Written(NamedTuple):
    """What a write left behind: the event's number, its sealing (None when both logs are local)."""

    n: int
    jti: str
    mid: str | None


def write_event(
    tx: sqlite3.Connection, ctx: Context, leg: LegRow, writer: str, content: EventBody, *, begins: bool = False
) -> Written:
    """Appends one own event to `leg`, sealed to the peer unless both logs are local; the caller folds.

    `content` is complete: leg, n, seen, ev. `begins`: the case is new.
    Raises unknown-recipient, suspended, resync-open.
    """
    restored.check_may_write(tx, leg, content.ev)
    now = ctx.clock.now()
    raw = _encoder.encode(content)
    salt = ctx.dice.bytes(32)
    key = ctx.case_keys.begin(tx, leg.case_id) if begins else ctx.case_keys.obtain(tx, leg.case_id)
    sealed = ctx.case_keys.seal(key, f"{leg.leg}|{writer}|{content.n}|{content.jti}", salt + raw)
    reason, outcome = _code(content.reason), _code(content.outcome)
    e, mid = "", None
    if leg.side != "L":
        urgent = leg.urgency in URGENT
        e, mid = send_body(tx, ctx, leg.peer, content, salt, raw, place=(leg.leg, writer, content.n), urgent=urgent)
    entry = Entry(
        leg.leg, writer, content.n, content.jti, content.ev, content.seen, reason, outcome, commitment(salt, raw),
        _code(content.void), now, _code(content.by), e, sealed, mid,
    )  # fmt: skip
    insert_event(tx, entry)
    if content.ev == "void":
        blobs.settle(tx, ctx, leg.leg)
    return Written(content.n, content.jti, mid)


def send_body(
    tx: sqlite3.Connection,
    ctx: Context,
    dest: str,
    body: Body,
    salt: bytes,
    raw: bytes,
    *,
    place: tuple[str, str, int] | None,
    urgent: int,
) -> tuple[str, str]:
    """Seals a body to a member and leaves it to be sent; returns (outer signature, mid). `urgent`: 0, 1 or PART."""
    now = ctx.clock.now()
    recipient = ctx.sealing_public(dest, now)
    exp = now + LIFETIME_MAX
    made = make_envelope(
        suite=ctx.suite, signing_key=ctx.keys.signing, recipient=recipient,
        net=ctx.net, jti=body.jti, sender=ctx.me, to=dest, iat=now, exp=exp,
        ch=Channel(ctx.epoch(tx), _next_seq(tx, dest)), mv=ctx.membership.version,
        salt=salt, body=raw, ephemeral_seed=ctx.dice.bytes(32), nonce=ctx.dice.bytes(12),
    )  # fmt: skip
    ctx.sealed += 1
    leg, writer, n = place or (None, None, None)
    tx.execute(
        "INSERT INTO outgoing (mid, jti, leg, writer, n, dest, e, s, kid, exp, urgent, next_at)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (made.mid, body.jti, leg, writer, n, dest, made.e, made.s, recipient.kid, exp, urgent, now),
    )
    return made.e, made.mid


def _next_seq(tx: sqlite3.Connection, dest: str) -> int:
    row = tx.execute(
        "INSERT INTO peer (node, seq) VALUES (?, 1) ON CONFLICT (node) DO UPDATE SET seq = seq + 1 RETURNING seq",
        (dest,),
    ).fetchone()
    return int(row[0])


def _code(value: object) -> str | None:
    return value if isinstance(value, str) else None


# -- acknowledgements


def apply_receipt(tx: sqlite3.Connection, ctx: Context, receipt: Receipt, raw: str) -> list[str]:
    """Takes in a verified receipt addressed to us; returns the legs it changed. Repetition changes nothing."""
    now = ctx.clock.now()
    changed: list[str] = []
    kept: int | None = None
    tx.execute(
        "UPDATE peer SET k = 0, next_at = 0, failing_since = NULL, heard_at = ? WHERE node = ?", (now, receipt.sender)
    )
    for ack in receipt.acks:
        row = tx.execute(_SETTLE.get(ack.k, _DELETE), {"mid": ack.mid, "dest": receipt.sender, "st": ack.st}).fetchone()
        if row is None:
            continue
        if kept is None:
            kept = _keep_receipt(tx, receipt, raw)
        jti, leg, writer, n = row
        _apply_ack(tx, ctx, ack, jti, leg, writer, n, now)
        if leg is not None:
            changed.append(leg)
    erased.settle_changed(tx, ctx, changed)
    return changed


# `stored` leaves the sealing to be sent again; what ends an event ends every sealing of it.
_DELETE: Final = "DELETE FROM outgoing WHERE mid = :mid AND dest = :dest RETURNING jti, leg, writer, n"
_SETTLE: Final = {
    "stored": "UPDATE outgoing SET stored = :st WHERE mid = :mid AND dest = :dest RETURNING jti, leg, writer, n"
}


def _keep_receipt(tx: sqlite3.Connection, receipt: Receipt, raw: str) -> int:
    cursor = tx.execute(
        "INSERT INTO receipt (own, peer, at, raw) VALUES (0, ?, ?, ?)", (receipt.sender, receipt.at, raw)
    )
    return int(cursor.lastrowid or 0)


def _apply_ack(
    tx: sqlite3.Connection,
    ctx: Context,
    ack: Ack,
    jti: str,
    leg: str | None,
    writer: str | None,
    n: int | None,
    now: int,
) -> None:
    h = ack.h if isinstance(ack.h, int) else None
    prob = ack.prob if isinstance(ack.prob, str) else None
    ended = ack.k != "stored"
    if ended:
        tx.execute("DELETE FROM outgoing WHERE jti = ? AND s IS NULL", (jti,))
    if leg is None or writer is None or n is None:
        letter = letters.acknowledged(tx, jti, ack.k, prob)
        if letter is not None and ack.k == "rejected":  # a program that does not know it, or that leg: people telephone
            raise_alarm(tx, now, "rejected", *letter, None)
        if (told := blobs.acknowledged(tx, ack.mid, ack.k, prob, now)) is not None:
            raise_alarm(tx, now, told[0], told[1].peer, told[1].leg, None)
        return
    (newest,) = tx.execute(
        "UPDATE event SET k = ?, st = ?, h = ?, prob = ? WHERE leg = ? AND writer = ? AND n = ? AND jti = ?"
        " RETURNING mid",
        (ack.k, ack.st, h, prob, leg, writer, n, jti),
    ).fetchone() or (None,)
    if ended and newest != ack.mid:
        tx.execute("DELETE FROM outgoing WHERE mid = ?", (newest,))
    if n == 1 and writer == "S" and ack.k != "rejected":
        _offer_arrived(tx, ctx, leg, ack.st)
    if ack.k == "rejected":
        _rejected(tx, ctx, leg, writer, n, jti, now)


def _offer_arrived(tx: sqlite3.Connection, ctx: Context, leg: str, stored_at: int) -> None:
    row = tx.execute("SELECT peer, urgency FROM leg WHERE leg = ? AND stored_at IS NULL", (leg,)).fetchone()
    if row is None:
        return
    due = deadlines(ctx, row[0], row[1], stored_at)
    tx.execute(
        "UPDATE leg SET stored_at = ?, ack_by = ?, respond_by = ? WHERE leg = ?",
        (stored_at, due.ack_by, due.respond_by, leg),
    )


def deadlines(ctx: Context, receiver: str, urgency: str, stored_at: int) -> Deadlines:
    """Both ends compute the same: the calendar is that of the receiver's comune."""
    known = urgency if urgency in URGENCIES else "UR-ORD"  # a newer vocabulary: the ordinary terms
    return _deadline(known, stored_at, ctx.calendar_of(receiver))


@lru_cache(maxsize=256)
def _deadline(urgency: str, stored_at: int, calendar: Calendar) -> Deadlines:
    """Kept: the referrals of one second ask for the same, and walking a calendar costs as much as a signature."""
    return deadline(urgency, stored_at, calendar)


def _rejected(tx: sqlite3.Connection, ctx: Context, leg: str, writer: str, n: int, jti: str, now: int) -> None:
    """An event that was rejected never entered the peer's log: a `void` replaces it (PROTOCOL §6)."""
    row = leg_row(tx, leg)
    event = tx.execute(
        "SELECT kind, seen, cm FROM event WHERE leg = ? AND writer = ? AND n = ? AND jti = ?", (leg, writer, n, jti)
    ).fetchone()
    if row is None or event is None:
        return
    kind, seen, cm = event
    raise_alarm(tx, now, "rejected", row.peer, leg, n)
    if kind == "void":  # a refused replacement cannot be replaced: people telephone
        return
    if not restored.may_write(tx, row, "void"):  # `void_rejected` makes up for it
        return
    if kind == "offer":  # nobody holds this leg: what follows a refused offer would wait there for ever
        tx.execute("DELETE FROM outgoing WHERE leg = ?", (leg,))
    write_void(tx, ctx, row, writer, n, seen, cm, told=kind != "offer")
    refold(tx, leg, now)


def void_rejected(tx: sqlite3.Connection, ctx: Context, peer: str) -> int:
    """Writes the voids that a restored store could not write before `peer` had told us. Returns how many."""
    rows = tx.execute(
        "SELECT leg, writer, n, jti FROM event JOIN leg USING (leg) WHERE peer = ? AND writer = side AND k = 'rejected'"
        " AND kind != 'void' AND NOT EXISTS (SELECT 1 FROM event v WHERE v.leg = event.leg AND v.writer = event.writer"
        " AND v.n = event.n AND v.kind = 'void') ORDER BY leg, n",
        (peer,),
    ).fetchall()
    for leg, writer, n, jti in rows:
        _rejected(tx, ctx, leg, writer, n, jti, ctx.clock.now())
    return len(rows)


def write_void(
    tx: sqlite3.Connection, ctx: Context, leg: LegRow, writer: str, n: int, seen: int, cm: str, *, told: bool
) -> None:
    """Replaces the event with that commitment (PROTOCOL §6); `told` False: the peer holds nothing of it."""
    body = EventBody(
        net=ctx.net, sender=ctx.me, to=leg.peer, jti=ctx.dice.uuid4(), leg=leg.leg, n=n, seen=seen, ev="void", void=cm
    )
    if told:
        write_or_wait(tx, ctx, leg, writer, body)
    else:
        write_event(tx, ctx, leg._replace(side="L"), writer, body)


def write_or_wait(tx: sqlite3.Connection, ctx: Context, leg: LegRow, writer: str, content: EventBody) -> Written:
    """`write_event`, which nobody to seal to at present (suspended, no key in force) does not stop."""
    if leg.side == "L" or _sealable(ctx, leg.peer):
        return write_event(tx, ctx, leg, writer, content)
    restored.check_may_write(tx, leg, content.ev)
    written = write_event(tx, ctx, leg._replace(side="L"), writer, content)
    _seal_later(tx, ctx, leg, writer, content.n, content.jti)
    return written


def post(tx: sqlite3.Connection, ctx: Context, body: Body, *, leg: str | None, urgent: bool) -> None:
    """Leaves a letter to be sent, now or once there is somebody to seal to; sealed again until its signed end."""
    dest, salt, raw = letters.keep(tx, ctx, body, leg=leg, urgent=urgent)
    if _sealable(ctx, dest):
        send_body(tx, ctx, dest, body, salt, raw, place=None, urgent=urgent)
    else:
        letters.wait(tx, ctx, body.jti, dest, urgent=urgent)


def _sealable(ctx: Context, peer: str) -> bool:
    try:
        ctx.sealing_public(peer, ctx.clock.now())
    except ProtocolError:
        return False
    return True


def _seal_later(tx: sqlite3.Connection, ctx: Context, leg: LegRow, writer: str, n: int, jti: str) -> None:
    """Nobody to seal to at present (suspended, no key in force): a row without a sealing, which `reseal_stale` fills.

    What a receipt brings about must not fail for that: the receipt would block the mailbox it lies in.
    """
    tx.execute(
        "INSERT INTO outgoing (mid, jti, leg, writer, n, dest, e, s, kid, exp, urgent, next_at)"
        " VALUES (?1, ?1, ?2, ?3, ?4, ?5, '', '', '', ?6, ?7, NULL)",
        (jti, leg.leg, writer, n, leg.peer, ctx.clock.now() + LIFETIME_MAX, leg.urgency in URGENT),
    )


def raise_alarm(tx: sqlite3.Connection, now: int, code: str, node: str | None, leg: str | None, n: int | None) -> None:
    """Leaves a content-free note for people, once; one about no leg again when it was cleared and is still so."""
    tx.execute(
        "INSERT INTO alarm (at, code, node, leg, n) SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS (SELECT 1 FROM alarm"
        " WHERE code = ?2 AND node IS ?3 AND leg IS ?4 AND n IS ?5 AND cleared IS NULL) ON CONFLICT DO NOTHING",
        (now, code, node, leg, n),
    )


# -- sealing again


def reseal(tx: sqlite3.Connection, ctx: Context, mid: str) -> str | None:
    """Seals the same salt and body again (new mid, ch, exp) while the leg is open and the peer a member.

    Returns the new mid, or None when there is nothing to do any more. The old row stays without its sealed part:
    a receipt for it may still come.
    """
    row = tx.execute("SELECT jti, leg, writer, n, dest, urgent, s FROM outgoing WHERE mid = ?", (mid,)).fetchone()
    if row is None or row[6] is None:
        return None
    jti, leg, writer, n, dest, urgent, _ = row
    letter = letters.kept(tx, jti) if leg is None else None
    if leg is not None or letter is not None:
        ctx.sealing_public(dest, ctx.clock.now())  # raises while nothing is changed: its callers go on without
    tx.execute("UPDATE outgoing SET s = NULL, next_at = NULL WHERE mid = ?", (mid,))
    if letter is not None:
        return send_body(tx, ctx, dest, *letter, place=None, urgent=bool(urgent))[1]
    if leg is None:  # any other message outside referrals is made anew by whoever wanted it
        tx.execute("DELETE FROM outgoing WHERE mid = ?", (mid,))
        return None
    held = leg_row(tx, leg)
    stored = tx.execute(
        "SELECT sealed FROM event WHERE leg = ? AND writer = ? AND n = ? AND jti = ?", (leg, writer, n, jti)
    ).fetchone()
    if held is None or stored is None or stored[0] is None:
        return None
    plain = ctx.case_keys.open(ctx.case_keys.obtain(tx, held.case_id), f"{leg}|{writer}|{n}|{jti}", stored[0])
    salt, raw = plain[:32], plain[32:]
    body = msgspec.json.decode(raw, type=EventBody)
    e, new_mid = send_body(tx, ctx, dest, body, salt, raw, place=(leg, writer, n), urgent=bool(urgent))
    tx.execute(
        "UPDATE event SET e = ?, mid = ? WHERE leg = ? AND writer = ? AND n = ? AND jti = ?",
        (e, new_mid, leg, writer, n, jti),
    )
    return new_mid


_AGAIN: Final = (
    "UPDATE alarm SET at = ?, cleared = NULL WHERE code = 'expired' AND node = ? AND leg = ? AND n = ?"
    " AND cleared IS NOT NULL"
)


def reseal_stale(tx: sqlite3.Connection, ctx: Context, limit: int = 200) -> int:
    """Seals again what expired, and what is sealed to a key its recipient no longer lists. Returns how many."""
    me = ctx.member(ctx.me)
    if me is None or me.status != "active":
        return 0  # a suspended body sends nothing: it seals again when it is back
    now = ctx.clock.now()
    done = 0
    rows = tx.execute("SELECT mid, dest, kid, exp, leg, n FROM outgoing WHERE s IS NOT NULL").fetchall()
    for mid, dest, kid, exp, leg, n in rows:
        if done >= limit:
            break
        if exp > now and kid in _listed_kids(ctx, dest):
            continue
        if exp <= now:
            raise_alarm(tx, now, "expired", dest, leg, n)
        try:
            reseal(tx, ctx, mid)
            done += 1
            if exp <= now:  # "at each exp" (PROTOCOL §3): again, when somebody took note of the last one
                tx.execute(_AGAIN, (now, dest, leg, n))
        except ProtocolError as problem:
            if problem.code not in ("unknown-recipient", "suspended", "not-a-member"):
                raise
    return done


def _listed_kids(ctx: Context, dest: str) -> frozenset[str]:
    member = ctx.member(dest)
    stated = (member.routes, member.routes_next) if member else ()
    return frozenset(key.kid for routes in stated if routes for _, _, key in routes.sealing)


def own_log_is_legal(tx: sqlite3.Connection, leg: str) -> bool:
    """True when the fold of what is held overrules nothing of ours (used by tests and doctor)."""
    return not fold(*logs(tx, leg)).overruled
