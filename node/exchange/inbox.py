"""What arrives: verified before the transaction (`prepare`), applied and acknowledged inside it (`receive`).

The reading order is that of PROTOCOL §2: whatever fails up to and including `ct` is answered unsigned; a known mid or
event is answered with what is stored; only then version, expiry, opening, schema. One receipt per sender and batch,
signed in the transaction of what it acknowledges. A message that makes the engine itself fail is set aside (aside), and
the rest of its batch goes on.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from node.context import Context
from node.exchange import aside, parts, restored, resync
from node.exchange.erased import is_erased
from node.exchange.log import OFFERED, Entry, LegRow, describe_leg, insert_event, insert_leg, leg_row, refold
from node.exchange.message import Message
from node.exchange.messages import HANDLERS
from node.exchange.outbox import apply_receipt, deadlines, raise_alarm
from node.exchange.quota import Day
from node.keys import resigning
from protocol.attachments import check_files
from protocol.envelope import (
    REJECTABLE,
    Opened,
    Verified,
    check_fresh,
    decode_event_body,
    item_parts,
    open_sealed,
    read_outer,
    unsigned_code,
    verify_outer,
)
from protocol.errors import ProtocolError
from protocol.limits import BATCH_ITEMS
from protocol.members import Membership
from protocol.names import NOTHING_HELD, Channel
from protocol.receipts import read_receipt, sign_receipt
from protocol.referral import RECEIVER_KINDS, SENDER_KINDS
from protocol.resync import forgot
from protocol.strict import digest
from schemas.bodies import Body, EventBody
from schemas.wire import Ack, DeliveryAnswer, Item, Later, Receipt

UNDERSTOOD: Final[frozenset[str]] = frozenset()  # features a body may name in `must`
RESYNC_PACE: Final = 300  # seconds after which it may be known who forgot what
PACE: Final = 60  # seconds after which an unsigned refusal may be tried again
_KNOWN_KINDS: Final = frozenset((*SENDER_KINDS, *RECEIVER_KINDS, "void"))


class Arrived(NamedTuple):
    """An envelope whose signature and ct hold. `flaw`: what is wrong with it if it turns out to be unknown.

    `fault`: looking at it failed, and not by a refusal.
    """

    i: int
    verified: Verified
    e: str
    s: str
    opened: Opened | None
    body: Body | None
    flaw: str | None
    fault: str | None = None


class Turned(NamedTuple):
    """An item answered unsigned: nothing about it is stored. `fault` as in Arrived."""

    i: int
    code: str
    mid: str | None
    after: int
    fault: str | None = None


class Acknowledged(NamedTuple):
    """A verified receipt of a peer, addressed to us."""

    receipt: Receipt
    raw: str


class Returned(NamedTuple):
    """A receipt of our own that its addressee sends back: it holds that we acknowledged what we deny (PROTOCOL §3)."""

    receipt: Receipt
    raw: str


Prepared = Arrived | Turned | Acknowledged | Returned


class Received(NamedTuple):
    """What a batch left behind: the answer, the legs that changed, our receipts in it (number, for whom, raw).

    What was acknowledged before is among them: the sender asks again because that receipt never reached it.
    """

    answer: DeliveryAnswer
    legs: list[str]
    signed: list[tuple[int, str, str]]
    faults: tuple[aside.Fault, ...] = ()


# -- before the transaction


def prepare(ctx: Context, items: Sequence[Item], *, membership: Membership, now: int, relayed: bool) -> list[Prepared]:
    """Verifies and opens, purely. `relayed`: it waited in a mailbox, so a suspension since does not count."""
    return [_prepare(ctx, i, item, membership, now, relayed) for i, item in enumerate(items)]


def _prepare(ctx: Context, i: int, item: Item, membership: Membership, now: int, relayed: bool) -> Prepared:
    try:
        parts = item_parts(item)
        if isinstance(parts, str):
            receipt = read_receipt(parts, membership, net=ctx.net, me=None, now=now).receipt
            if receipt.sender == ctx.me:
                return Returned(receipt, parts)
            if receipt.to != ctx.me:
                raise ProtocolError("wrong-recipient", field="to")
            return Acknowledged(receipt, parts)
        return _open(ctx, i, parts.e, parts.s, membership, now, relayed)
    except ProtocolError as problem:
        return Turned(i, unsigned_code(problem.code), problem.mid, problem.after or PACE)
    except Exception as error:
        if not aside.is_fault(error):
            raise
        return Turned(i, "internal", None, aside.AGAIN, aside.describe(error))


def _open(ctx: Context, i: int, e: str, s: str, membership: Membership, now: int, relayed: bool) -> Prepared:
    verified = verify_outer(read_outer(e, s), membership, net=ctx.net, me=ctx.me)
    sender = membership.members.get(verified.routing.sender)
    if sender is None or sender.status == "ended" or (sender.status == "suspended" and not relayed):
        code = "suspended" if sender is not None and sender.status == "suspended" else "not-a-member"
        return Turned(i, code, verified.mid, PACE)
    opened: Opened | None = None
    body: Body | None = None
    flaw: str | None = None
    fault: str | None = None
    try:
        check_fresh(verified, now)
        opened = open_sealed(verified, s, ctx.keys.sealing, ctx.suite)
        body = decode_event_body(opened.body, understood=UNDERSTOOD)
        _check_event(body)
    except ProtocolError as problem:
        flaw = problem.code
    except Exception as error:
        if not aside.is_fault(error):
            raise
        fault = aside.describe(error)
    return Arrived(i, verified, e, s, opened, body, flaw, fault)


def _check_event(body: Body) -> None:
    if not isinstance(body, EventBody):
        return
    if body.ev not in _KNOWN_KINDS:
        raise ProtocolError("unsupported", field="ev")
    if body.ev in ("offer", "amend") and not body.offer:
        raise ProtocolError("bad-body", field="offer")
    if body.ev == "offer" and body.n != 1:
        raise ProtocolError("bad-body", field="n", expected="1")
    if body.ev == "void" and not body.void:
        raise ProtocolError("bad-body", field="void")
    if body.files:
        check_files(body.files)


# -- inside it


class _Answer(NamedTuple):
    """One acknowledgement about to be signed."""

    mid: str
    jti: str
    cm: str
    k: str
    st: int
    h: int | None
    prob: str | None


class _Batch:
    """The state of one batch inside its transaction: what to answer, per sender."""

    def __init__(self, now: int, first: int) -> None:
        """`now` for the quota, `first` when what it brings was first durable here."""
        self.first = first
        self.stored_receipts: dict[int, None] = {}
        self.later: list[Later] = []
        self.acks: dict[str, list[_Answer]] = {}
        self.known: dict[str, _Answer] = {}
        self.channels: dict[str, Channel] = {}
        self.legs: dict[str, None] = {}
        self.faults: list[aside.Fault] = []
        self.quota = Day(now)

    def copy(self) -> "_Batch":
        twin = _Batch(0, self.first)
        for name, held in vars(self).items():
            if name != "first":
                setattr(twin, name, held.copy())
        twin.acks = {sender: list(answers) for sender, answers in self.acks.items()}
        return twin


def receive(tx: sqlite3.Connection, ctx: Context, prepared: Sequence[Prepared]) -> Received:
    """Applies a verified batch and signs what it acknowledges. Every item is answered at least once.

    All at once; where something fails that is no refusal, once more with each item in a savepoint of its own.
    """
    tx.execute("SAVEPOINT batch")
    try:
        received = apply(tx, ctx, prepared)
    except Exception as error:
        if not aside.is_fault(error):
            raise
        tx.execute("ROLLBACK TO batch")
        received = apply(tx, ctx, prepared, one_by_one=True)
    tx.execute("RELEASE batch")
    return received


def apply(
    tx: sqlite3.Connection,
    ctx: Context,
    prepared: Sequence[Prepared],
    *,
    one_by_one: bool = False,
    first: int | None = None,
) -> Received:
    """`receive` without its second try: what is no refusal is raised, or set aside when items go one by one.

    `first`: when they were first durable here, if not now.
    """
    now = ctx.clock.now()
    batch = _Batch(now, now if first is None else first)
    for item in prepared:
        if one_by_one:
            batch = _carefully(tx, ctx, batch, item)
        else:
            _take(tx, ctx, batch, item)
    batch.quota.write(tx)
    signed = [
        _sign(tx, ctx, sender, acks[start : start + BATCH_ITEMS], batch.channels.get(sender, NOTHING_HELD))
        for sender, acks in batch.acks.items()
        for start in range(0, len(acks), BATCH_ITEMS)
    ]
    stored = [
        tx.execute("SELECT id, peer, raw FROM receipt WHERE id = ?", (number,)).fetchone()
        for number in batch.stored_receipts
    ]
    stored = [(number, peer, resigning.receipt(tx, ctx, number, raw)) for number, peer, raw in stored]
    signed = [*stored, *signed]
    answer = DeliveryAnswer(receipts=[raw for _, _, raw in signed], later=batch.later)
    return Received(answer, list(batch.legs), signed, tuple(batch.faults))


def apply_receipts(
    tx: sqlite3.Connection, ctx: Context, receipts: Sequence[Acknowledged]
) -> tuple[list[str], list[aside.Fault]]:
    """Receipts that came as an answer: the legs they changed, and what was set aside. One spoils no other."""
    now = ctx.clock.now()
    batch = _Batch(now, now)
    for item in receipts:
        batch = _carefully(tx, ctx, batch, item)
    return list(batch.legs), batch.faults


def _take(tx: sqlite3.Connection, ctx: Context, batch: _Batch, item: Prepared) -> None:
    if isinstance(item, Turned):
        _turn(tx, ctx, batch, item)
    elif isinstance(item, Acknowledged):
        batch.legs.update(dict.fromkeys(_take_receipt(tx, ctx, item)))
    elif isinstance(item, Returned):
        resync.take_returned(tx, ctx, item.receipt)
    else:
        _arrive(tx, ctx, batch, item)


def _carefully(tx: sqlite3.Connection, ctx: Context, batch: _Batch, item: Prepared) -> _Batch:
    """One item in a savepoint; the batch with it, or the batch as it was and the item set aside."""
    before = batch.copy()
    tx.execute("SAVEPOINT item")
    try:
        _take(tx, ctx, batch, item)
    except Exception as error:
        if not aside.is_fault(error) or isinstance(item, Turned):
            raise
        tx.execute("ROLLBACK TO item")
        batch = before
        if isinstance(item, Arrived):
            _set_aside(tx, ctx, batch, item, aside.describe(error))
        else:
            _set_receipt_aside(tx, ctx, batch, item, aside.describe(error))
    tx.execute("RELEASE item")
    return batch


def _set_aside(tx: sqlite3.Connection, ctx: Context, batch: _Batch, item: Arrived, what: str) -> None:
    """It is durable here, so it is `stored`; above what one sender may have here it is not, and comes again."""
    routing, mid = item.verified.routing, item.verified.mid
    batch.faults.append(aside.Fault(routing.sender, mid, what))
    if aside.keep(tx, ctx, aside.Kept(mid, routing.sender, routing.jti, item.e, item.s, None), what):
        stored = _Answer(mid, routing.jti, routing.cm, "stored", ctx.clock.now(), None, None)
        _acknowledge(batch, routing.sender, stored, item.verified.channel)
    else:
        batch.later.append(_later(item.i, "internal", mid, aside.AGAIN))


def _set_receipt_aside(
    tx: sqlite3.Connection, ctx: Context, batch: _Batch, item: Acknowledged | Returned, what: str
) -> None:
    """What it acknowledges is sent again, and acknowledged again: nothing is lost when there is no room for it."""
    name, sender = digest(item.raw.encode()), item.receipt.sender
    batch.faults.append(aside.Fault(sender, name, what))
    aside.keep(tx, ctx, aside.Kept(name, sender, None, None, None, item.raw), what)


def _take_receipt(tx: sqlite3.Connection, ctx: Context, item: Acknowledged) -> list[str]:
    """What a receipt acknowledges, and whether it knows more of us than we do. The legs it changed."""
    changed = apply_receipt(tx, ctx, item.receipt, item.raw)
    resync.check_receipt(tx, ctx, item.receipt)
    return changed


def _turn(tx: sqlite3.Connection, ctx: Context, batch: _Batch, item: Turned) -> None:
    """Under a revoked key only what was known before is answered, whatever its `iat` (PROTOCOL §2)."""
    if item.fault is not None:
        batch.faults.append(aside.Fault("?", "?", item.fault))
        raise_alarm(tx, ctx.clock.now(), "set-aside", None, None, None)
    if item.code == "revoked-key" and item.mid is not None:
        known = tx.execute("SELECT receipt FROM inbox WHERE mid = ?", (item.mid,)).fetchone()
        if known is not None:
            batch.stored_receipts[known[0]] = None
            return
    batch.later.append(_later(item.i, item.code, item.mid, item.after))


def _later(i: int, code: str, mid: str | None, after: int) -> Later:
    return Later(i, code, after, mid) if mid else Later(i, code, after)


def _arrive(tx: sqlite3.Connection, ctx: Context, batch: _Batch, item: Arrived) -> None:
    routing, mid = item.verified.routing, item.verified.mid
    if mid in batch.known:
        return  # twice in one batch: one answer is enough
    now = batch.first
    known = tx.execute("SELECT receipt, k, st FROM inbox WHERE mid = ?", (mid,)).fetchone()
    if known is not None:
        h = _applied_meanwhile(tx, item) if known[1] == "stored" else None
        if h is None:
            batch.stored_receipts[known[0]] = None
        else:
            applied = _Answer(mid, routing.jti, routing.cm, "processed", known[2], h, None)
            _acknowledge(batch, routing.sender, applied, item.verified.channel)
        return
    before = _known_event(tx, batch, routing.sender, routing.jti)
    if before is not None:
        if before.cm == routing.cm:
            h = _applied_meanwhile(tx, item) if before.k == "stored" else None
            if h is not None:
                before = before._replace(k="processed", h=h)
            _acknowledge(batch, routing.sender, before._replace(mid=mid), item.verified.channel)
        else:
            reused = _Answer(mid, routing.jti, routing.cm, "rejected", now, None, "jti-reuse")
            _acknowledge(batch, routing.sender, reused, item.verified.channel)
        return
    if item.flaw is not None and item.flaw not in REJECTABLE:
        batch.later.append(_later(item.i, item.flaw, mid, 0 if item.flaw in ("expired", "reseal") else PACE))
        return
    if not batch.quota.spend(tx, routing.sender, len(item.e) + len(item.s)):
        batch.later.append(_later(item.i, "too-many", mid, batch.quota.after))
        return
    if item.fault is not None:
        _set_aside(tx, ctx, batch, item, item.fault)
        return
    try:
        if item.flaw is not None or item.body is None or item.opened is None:
            raise ProtocolError(item.flaw or "bad-body")
        outcome = _apply(tx, ctx, batch, item, item.body, item.opened, now)
    except ProtocolError as problem:
        if problem.code not in REJECTABLE:
            batch.later.append(_later(item.i, problem.code, mid, problem.after or PACE))
            return
        outcome = _Answer(mid, routing.jti, routing.cm, "rejected", now, None, problem.code)
    _acknowledge(batch, routing.sender, outcome, item.verified.channel)


def _applied_meanwhile(tx: sqlite3.Connection, item: Arrived) -> int | None:
    """Our own event count, if an event that had to wait behind a gap was applied since: a repair closed the gap."""
    body = item.body
    leg = leg_row(tx, body.leg) if isinstance(body, EventBody) else None
    if leg is None or not isinstance(body, EventBody):
        return None
    theirs, own = (leg.r_count, leg.s_count) if leg.side == "S" else (leg.s_count, leg.r_count)
    return own if body.n <= theirs else None


def _known_event(tx: sqlite3.Connection, batch: _Batch, sender: str, jti: str) -> _Answer | None:
    said = [answer for answer in batch.acks.get(sender, ()) if answer.jti == jti and answer.prob != "jti-reuse"]
    if said:  # what this batch has come to say of it, a gap closed meanwhile included
        return said[-1]
    rows = tx.execute(
        "SELECT mid, jti, cm, k, st, h, prob FROM inbox WHERE sender = ? AND jti = ?", (sender, jti)
    ).fetchall()
    answers = sorted((_Answer(*row) for row in rows), key=lambda answer: answer.prob == "jti-reuse")
    return answers[0] if answers else None


def _acknowledge(batch: _Batch, sender: str, answer: _Answer, channel: Channel) -> None:
    batch.acks.setdefault(sender, []).append(answer)
    batch.known[answer.mid] = answer
    batch.channels[sender] = max(channel, batch.channels.get(sender, NOTHING_HELD))


def _apply(
    tx: sqlite3.Connection, ctx: Context, batch: _Batch, item: Arrived, body: Body, opened: Opened, now: int
) -> _Answer:
    routing, mid = item.verified.routing, item.verified.mid
    if not isinstance(body, EventBody):
        message = Message(
            routing.sender, body, opened.body, opened.salt, now, routing.iat, _overtaken(tx, batch, item.verified)
        )
        done = HANDLERS[type(body)](tx, ctx, message)
        batch.legs.update(dict.fromkeys(done.legs))
        return _Answer(mid, routing.jti, routing.cm, "processed", now, done.h, None)
    held = leg_row(tx, body.leg)
    if held is None and body.ev == "offer":
        # How nearly every leg begins: one row in the state its offer gives, nothing to compare with or to fold.
        begun = _as_kept(tx, _begun(ctx, routing.sender, body, now))
        insert_leg(tx, begun)
        _store_event(tx, ctx, begun, "S", body, opened, item.e, routing.cm, now, begins=True)
        batch.legs[begun.leg] = None
        parts.named(tx, ctx, begun, body)
        return _Answer(mid, routing.jti, routing.cm, "processed", now, 0, None)
    leg, writer = _place(tx, ctx, held, routing.sender, body, now)
    if _refuse_other_content(tx, ctx, leg, writer, body, routing.cm, now):
        own = leg.r_count if writer == "S" else leg.s_count
        return _Answer(mid, routing.jti, routing.cm, "processed", now, own, None)  # a repair brought it before
    _refuse_forgetful(tx, ctx, leg, body, now)
    _store_event(tx, ctx, leg, writer, body, opened, item.e, routing.cm, now)
    (epoch,) = tx.execute("SELECT COALESCE(MAX(hw_epoch), 0) FROM peer WHERE node = ?", (leg.peer,)).fetchone()
    if item.verified.channel.epoch < epoch:  # of a former life: who wrote it may have forgotten it
        resync.dispute(tx, ctx, leg, routing.cm)
    if body.ev == "offer" and leg.side == "R":
        describe_leg(tx, _as_kept(tx, _begun(ctx, routing.sender, body, now)))
    parts.named(tx, ctx, leg, body)
    folded = refold(tx, leg.leg, now)
    batch.legs[leg.leg] = None
    applied = folded.s_count if writer == "S" else folded.r_count
    if body.n > applied:
        return _Answer(mid, routing.jti, routing.cm, "stored", now, None, None)
    h = folded.r_count if writer == "S" else folded.s_count
    if applied > body.n:
        _advance(tx, batch, routing.sender, leg.leg, writer, body.n, applied, h)
    return _Answer(mid, routing.jti, routing.cm, "processed", now, h, None)


def _overtaken(tx: sqlite3.Connection, batch: _Batch, verified: Verified) -> bool:
    """Newer words of this sender are held already, so that this one's counts are of yesterday."""
    sender = verified.routing.sender
    row = tx.execute("SELECT hw_epoch, hw_seq FROM peer WHERE node = ?", (sender,)).fetchone()
    return verified.channel < max(Channel(*(row or NOTHING_HELD)), batch.channels.get(sender, NOTHING_HELD))


def _place(
    tx: sqlite3.Connection, ctx: Context, leg: LegRow | None, sender: str, body: EventBody, now: int
) -> tuple[LegRow, str]:
    """The leg an event belongs to and which log of it; a leg begins with whatever of S arrives first."""
    if leg is None:
        if resync.is_gone(tx, body.leg):
            raise ProtocolError("unknown-leg", field="leg")
        if body.ev in RECEIVER_KINDS or body.seen:
            # It has seen something of ours, so we lost this leg: a restored store must not end its peer's events.
            resync.begin(tx, ctx, sender)
            raise ProtocolError("busy", after=RESYNC_PACE)
        empty = LegRow(
            body.leg,
            "R",
            sender,
            body.leg,
            "none",
            0,
            0,
            "",
            "",
            now,
            now,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
            None,
        )
        insert_leg(tx, empty)
        return empty, "S"
    if leg.peer != sender or leg.side == "L":
        raise ProtocolError("not-your-leg", field="leg")
    return leg, "R" if leg.side == "S" else "S"


def _begun(ctx: Context, sender: str, body: EventBody, now: int) -> LegRow:
    """A received leg as its offer alone makes it; `stored_at` is when the offer was first durable here."""
    offer = body.offer
    if not offer:
        raise ProtocolError("bad-body", field="offer")
    due = deadlines(ctx, ctx.me, offer.urgency, now)
    return LegRow(
        leg=body.leg, side="R", peer=sender, case_id=body.leg,
        state=OFFERED.state, s_count=OFFERED.s_count, r_count=OFFERED.r_count,
        referral=offer.referral, urgency=offer.urgency, created=now, changed=now, stored_at=now,
        ack_by=due.ack_by, respond_by=due.respond_by, alarm_at=None,
        desk_from=offer.desk if isinstance(offer.desk, str) else None, desk_to=None,
        parent=offer.parent if isinstance(offer.parent, str) else None,
        linked_from=offer.linked_from if isinstance(offer.linked_from, str) else None,
    )  # fmt: skip


def _as_kept(tx: sqlite3.Connection, begun: LegRow) -> LegRow:
    """A desk's name is words of its writer's: of an erased leg it is not kept."""
    return begun._replace(desk_from=None) if begun.desk_from and is_erased(tx, begun.leg, begun.peer) else begun


def _refuse_other_content(
    tx: sqlite3.Connection, ctx: Context, leg: LegRow, writer: str, body: EventBody, cm: str, now: int
) -> bool:
    """Two contents for one (leg, writer, n), neither the `void` of the other: the peer looks restored (PROTOCOL §6).

    True when this very event is held already.
    """
    for kind, held_cm, voids, jti in tx.execute(
        "SELECT kind, cm, voids, jti FROM event WHERE leg = ? AND writer = ? AND n = ?", (leg.leg, writer, body.n)
    ).fetchall():
        if jti == body.jti and held_cm == cm:
            return True
        if held_cm == cm or (kind == "void" and voids == cm) or (body.ev == "void" and body.void == held_cm):
            continue
        raise _restored(tx, ctx, leg, body, "n", now, held_cm)
    return False


def _refuse_forgetful(tx: sqlite3.Connection, ctx: Context, leg: LegRow, body: EventBody, now: int) -> None:
    """An event that denies what its writer signed before: it was restored in between (PROTOCOL §3)."""
    acknowledged = tx.execute(
        "SELECT n, h, cm FROM event WHERE leg = ? AND writer = ? AND k = 'processed' AND h IS NOT NULL ORDER BY n",
        (leg.leg, leg.side),
    ).fetchall()
    if body.ev != "void" and forgot(body.n, body.seen, ((n, h) for n, h, _ in acknowledged)):
        raise _restored(tx, ctx, leg, body, "seen", now, acknowledged[-1][2])


def _restored(
    tx: sqlite3.Connection, ctx: Context, leg: LegRow, body: EventBody, field: str, now: int, forgotten: str
) -> ProtocolError:
    """What its writer is told: that it looks restored, unless we were, and do not know yet what we forgot."""
    if leg.peer in restored.open_peers(tx):
        return ProtocolError("busy", after=RESYNC_PACE)
    raise_alarm(tx, now, "restored", leg.peer, leg.leg, body.n)
    resync.dispute(tx, ctx, leg, forgotten)
    return ProtocolError("restored", field=field, after=3600)


def _store_event(
    tx: sqlite3.Connection,
    ctx: Context,
    leg: LegRow,
    writer: str,
    body: EventBody,
    opened: Opened,
    e: str,
    cm: str,
    now: int,
    *,
    begins: bool = False,
) -> None:
    by_code = body.by if isinstance(body.by, str) else None
    sealed: bytes | None = None
    if is_erased(tx, leg.leg, leg.peer):  # what comes late is acknowledged; its skeleton is all that is kept
        e, by_code = "", None
    else:
        key = ctx.case_keys.begin(tx, leg.case_id) if begins else ctx.case_keys.obtain(tx, leg.case_id)
        sealed = ctx.case_keys.seal(key, f"{leg.leg}|{writer}|{body.n}|{body.jti}", opened.salt + opened.body)
    reason = body.reason if isinstance(body.reason, str) else None
    outcome = body.outcome if isinstance(body.outcome, str) else None
    voids = body.void if isinstance(body.void, str) else None
    insert_event(
        tx,
        Entry(
            leg.leg,
            writer,
            body.n,
            body.jti,
            body.ev,
            body.seen,
            reason,
            outcome,
            cm,
            voids,
            now,
            by_code,
            e,
            sealed,
            None,
        ),
    )


def _advance(
    tx: sqlite3.Connection, batch: _Batch, sender: str, leg: str, writer: str, n: int, applied: int, h: int
) -> None:
    """Events that waited behind the gap just closed are `processed` now: said again, in this batch's receipt."""
    for jti in tx.execute(
        "SELECT jti FROM event WHERE leg = ? AND writer = ? AND n > ? AND n <= ?", (leg, writer, n, applied)
    ).fetchall():
        rows = tx.execute(
            "SELECT mid, jti, cm, k, st, h, prob FROM inbox WHERE sender = ? AND jti = ? AND k = 'stored'",
            (sender, jti[0]),
        ).fetchall()
        for row in rows:
            answer = _Answer(*row)._replace(k="processed", h=h)
            if answer.mid not in batch.known:  # it may come itself in this batch, before or after what closed the gap
                batch.acks.setdefault(sender, []).append(answer)
                batch.known[answer.mid] = answer
        for mine in [a for a in batch.acks.get(sender, ()) if a.jti == jti[0] and a.k == "stored"]:
            batch.acks[sender].remove(mine)
            batch.acks[sender].append(mine._replace(k="processed", h=h))


def _sign(
    tx: sqlite3.Connection, ctx: Context, sender: str, acks: Sequence[_Answer], channel: Channel
) -> tuple[int, str, str]:
    now = ctx.clock.now()
    held = _raise_high_water(tx, sender, channel, now)
    receipt = Receipt(
        net=ctx.net, sender=ctx.me, to=sender, at=now, hw=str(held), acks=[_ack(answer) for answer in acks]
    )
    raw = sign_receipt(ctx.keys.signing, receipt)
    cursor = tx.execute("INSERT INTO receipt (own, peer, at, raw) VALUES (1, ?, ?, ?)", (sender, now, raw))
    number = int(cursor.lastrowid or 0)
    tx.executemany(
        "INSERT INTO inbox (mid, sender, jti, cm, st, k, h, prob, receipt) VALUES (?,?,?,?,?,?,?,?,?)"
        " ON CONFLICT (mid) DO UPDATE SET k = excluded.k, h = excluded.h, receipt = excluded.receipt",
        [(a.mid, sender, a.jti, a.cm, a.st, a.k, a.h, a.prob, number) for a in acks],
    )
    return number, sender, raw


def _ack(answer: _Answer) -> Ack:
    ack = Ack(answer.mid, answer.k, answer.st)
    if answer.h is not None:
        ack = Ack(answer.mid, answer.k, answer.st, answer.h)
    return ack if answer.prob is None else Ack(answer.mid, answer.k, answer.st, prob=answer.prob)


def _raise_high_water(tx: sqlite3.Connection, sender: str, channel: Channel, now: int) -> Channel:
    row = tx.execute(
        "INSERT INTO peer (node, hw_epoch, hw_seq, heard_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (node) DO UPDATE SET"
        " hw_seq = CASE WHEN (?2, ?3) > (hw_epoch, hw_seq) THEN ?3 ELSE hw_seq END, hw_epoch = MAX(hw_epoch, ?2),"
        " heard_at = ?4, k = 0, next_at = 0, failing_since = NULL RETURNING hw_epoch, hw_seq",
        (sender, channel.epoch, channel.seq, now),
    ).fetchone()
    return Channel(*row)
