"""What a desk does with referrals: send, act on one, hand over inside the body, follow a redirect. Commands.

Every command checks the operator's rights, the clock and the table, writes one event and folds. It never waits for
anybody: what has to be sent lies in the outbox when it returns.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, TypeVar, cast

import msgspec
from msgspec import UNSET, UnsetType

from node.answers import Done
from node.cases import agreed, boundary, operators, standing
from node.cases.files import attach, files_of
from node.context import Context
from node.exchange import forwarding
from node.exchange.erased import settle_changed, tombstone
from node.exchange.log import OFFERED, LegRow, insert_leg, leg_row, logs, next_n, refold
from node.exchange.outbox import clock_is_wrong, deadlines, write_event, write_or_wait
from node.requests import Act, FollowRedirect, HandOver, NewFile, Refer
from node.vault import access
from protocol.errors import ProtocolError
from protocol.forwarding import check_write as check_forwarded
from protocol.offers import check_codes, check_offer
from protocol.referral import Kind, Leg, Writer, check_write, fold
from schemas.bodies import Basis, EventBody, Offer

T = TypeVar("T")
PATRONATO: Final = "PT-PATRONATO"
TAKES_IN_CHARGE: Final = "take-in-charge"
NOT_THE_ONE: Final = frozenset({"declined", "redirected", "released", "expired", "lapsed"})
MOST_OFFICES: Final = 99  # as the sheet allows


def refer(tx: sqlite3.Connection, ctx: Context, request: Refer) -> Done:
    """Offers a referral to another member. Raises to-self, unknown-recipient, incapable-recipient, basis-required…"""
    operator = operators.require(tx, request.as_, "offer")
    may_write(tx, ctx)
    if request.to == ctx.me:
        raise ProtocolError("to-self", field="to")
    if ctx.membership.freshness(ctx.clock.now()) == "beyond":
        raise ProtocolError("not-degraded")
    member = ctx.member(request.to)
    if member is None or member.status == "ended":
        raise ProtocolError("unknown-recipient", field="to", got=request.to)
    check_offer(request.offer, member.caps)
    agreed.may_send(ctx, member, request.offer.referral)
    if request.offer.path is not UNSET:  # where it came from is written by `forward` alone
        raise ProtocolError("bad-shape", field="path")
    leg = ctx.dice.uuid7(ctx.clock.now())
    return open_leg(
        tx, ctx, leg, "S", request.to, _with_attempts(tx, ctx, request), operator, case_id=leg, parent=None,
        linked=request.linked_from, files=request.files,
    )  # fmt: skip


def _with_attempts(db: sqlite3.Connection, ctx: Context, request: Refer) -> Offer:
    """One office more than the referral it follows, where that one was not accepted or came to nothing (F004-08)."""
    offer, before = request.offer, leg_row(db, request.linked_from) if request.linked_from else None
    if offer.offices_tried is not UNSET or before is None or before.side != "S" or before.state not in NOT_THE_ONE:
        return offer
    known = latest_offer(db, ctx, before).offices_tried if standing.is_free(db, before) else UNSET
    return msgspec.structs.replace(offer, offices_tried=min(MOST_OFFICES, (known or 0) + 1))


def open_leg(
    tx: sqlite3.Connection,
    ctx: Context,
    leg: str,
    side: str,
    peer: str,
    offer: Offer,
    operator: operators.Operator,
    *,
    case_id: str,
    parent: str | None,
    linked: str | None,
    desk_to: str | None = None,
    files: Sequence[NewFile] = (),
) -> Done:
    now = ctx.clock.now()
    told = deadlines(ctx, peer, offer.urgency, now)
    local = side == "L"
    row = LegRow(
        leg=leg, side=side, peer=peer, case_id=case_id, state=OFFERED.state, s_count=OFFERED.s_count,
        r_count=OFFERED.r_count,
        referral=offer.referral, urgency=offer.urgency, created=now, changed=now, stored_at=now if local else None,
        ack_by=told.ack_by if local else None, respond_by=told.respond_by if local else None,
        alarm_at=told.ack_by or told.respond_by, desk_from=offer.desk if isinstance(offer.desk, str) else None,
        desk_to=desk_to, parent=parent, linked_from=linked,
    )  # fmt: skip
    insert_leg(tx, row)
    if operator.role in operators.ONLY_ASSIGNED:
        operators.assign(tx, leg, operator.code, now)
    offer = msgspec.structs.replace(offer, case=offer.case or case_id, linked_from=linked or offer.linked_from)
    body = EventBody(
        net=ctx.net,
        sender=ctx.me,
        to=peer,
        jti=ctx.dice.uuid4(),
        leg=leg,
        n=1,
        seen=0,
        ev="offer",
        by=operator.code,
        offer=offer,
        files=files_of(files),
    )
    write_event(tx, ctx, row, "S", body, begins=case_id == leg)
    attach(tx, ctx, row, body, files)
    return Done(leg, 1, row.state, case_id)


def act(tx: sqlite3.Connection, ctx: Context, request: Act, *, correcting: bool = False) -> Done:
    """Writes one event of ours; `correcting`: it only puts data right, which is always owed to the person.

    Raises unknown-case, illegal-event, role-forbidden, not-capable, handed-over, unknown-code…
    """
    leg = _leg(tx, request.leg)
    operator = operators.require(tx, request.as_, request.ev, leg.leg)
    standing.may_act(tx, leg, request.ev, words=bool(request.text or request.ref))
    may_write(tx, ctx)
    writer = _writer(leg, request)
    s_log, r_log = logs(tx, leg.leg)
    held = fold(s_log, r_log)
    check_write(held, writer, cast(Kind, request.ev))
    if not correcting:
        boundary.may_write(tx, ctx, leg, held, cast(Kind, request.ev))
    known = forwarding.family(tx, ctx, leg.leg) if forwarding.is_forwarded(tx, leg.leg) else None
    if known is not None:
        check_forwarded(held, known.children, cast(Kind, request.ev))
    if request.ev == "amend" and request.offer is None and request.files:  # only papers are added
        request = msgspec.structs.replace(request, offer=latest_offer(tx, ctx, leg))
    _check_request(tx, ctx, leg, request, writer)
    offer = _amended(tx, ctx, leg, request)
    own, theirs = (held.s_count, held.r_count) if writer == "S" else (held.r_count, held.s_count)
    body = EventBody(
        net=ctx.net, sender=ctx.me, to=leg.peer, jti=ctx.dice.uuid4(), leg=leg.leg, n=next_n(tx, leg.leg, writer, own),
        seen=theirs, ev=request.ev, by=operator.code, offer=offer, reason=_or_unset(request.reason),
        outcome=_or_unset(request.outcome), text=_or_unset(request.text), ref=_or_unset(request.ref),
        to_node=_or_unset(request.to_node), of=_or_unset(request.of), when=_or_unset(request.when),
        files=files_of(request.files),
    )  # fmt: skip
    gone = leg.side != "L" and (peer := ctx.member(leg.peer)) is not None and peer.status == "ended"
    # A case goes on here when the other end has left; what is written waits in case it comes back.
    (write_or_wait if gone or request.ev == "lapse" else write_event)(tx, ctx, leg, writer, body)
    settle_changed(tx, ctx, [leg.leg])
    attach(tx, ctx, leg, body, request.files)
    now = ctx.clock.now()
    after = refold(tx, leg.leg, now)
    if request.ev == "open":
        access.record(tx, access.Access(now, request.as_, "open", leg.case_id, leg.leg))
    forwarding.follow(tx, ctx, [leg.leg])
    return Done(leg.leg, body.n, after.state, leg.case_id)


def _or_unset(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _writer(leg: LegRow, request: Act) -> Writer:
    if leg.side == "L":
        if request.side not in ("S", "R"):
            raise ProtocolError("bad-shape", field="side", expected="S or R")
        return request.side
    return cast(Writer, leg.side)


def _check_request(tx: sqlite3.Connection, ctx: Context, leg: LegRow, request: Act, writer: Writer) -> None:
    check_codes(request.ev, reason=request.reason, outcome=request.outcome, text=request.text)
    me = ctx.member(ctx.me)
    if request.ev == "start" and (me is None or TAKES_IN_CHARGE not in me.caps):
        raise ProtocolError("not-capable")
    if request.ev == "redirect":
        _check_redirect(ctx, request)
    if request.ev == "amend":
        _check_amend(ctx, leg, request)
    if request.ev == "decline" and request.reason == "DR-DUP" and request.of is not None:
        other = leg_row(tx, request.of)
        if other is None or other.peer != leg.peer:
            raise ProtocolError("not-your-leg", field="of")
    if request.ev == "ask" and not request.text:
        raise ProtocolError("bad-shape", field="text", expected="the question")
    if request.ev == "lapse" and not _lapse_offered(tx, ctx, leg, request.reason):
        raise ProtocolError("illegal-event", field="reason", got=request.reason)


def _check_redirect(ctx: Context, request: Act) -> None:
    target = ctx.member(request.to_node or "")
    if target is None or target.status != "active":
        raise ProtocolError("unknown-recipient", field="to_node", got=request.to_node)
    me = ctx.member(ctx.me)
    if me is not None and me.ptype == PATRONATO and target.ptype == PATRONATO:
        raise ProtocolError("patronato-redirect", field="to_node")


def _check_amend(ctx: Context, leg: LegRow, request: Act) -> None:
    if request.offer is None:
        raise ProtocolError("bad-shape", field="offer")
    member = ctx.member(leg.peer)
    check_offer(request.offer, member.caps if member else ())
    if member is not None and request.offer.referral != leg.referral and leg.side == "S":
        agreed.may_send(ctx, member, request.offer.referral)


def _amended(tx: sqlite3.Connection, ctx: Context, leg: LegRow, request: Act) -> Offer | UnsetType:
    """An amendment replaces the whole sheet, but never the way the referral has come."""
    if request.offer is None:
        return UNSET
    if leg.parent is None or leg.side != "S":
        return request.offer
    first = latest_offer(tx, ctx, leg)
    return msgspec.structs.replace(request.offer, parent=first.parent, path=first.path)


def _lapse_offered(tx: sqlite3.Connection, ctx: Context, leg: LegRow, reason: str | None) -> bool:
    """Only when the receiver left the network, or was silent past the policy number (PROTOCOL §6)."""
    member = ctx.member(leg.peer)
    if reason == "left-network":
        return member is None or member.status == "ended"
    heard = tx.execute("SELECT heard_at FROM peer WHERE node = ?", (leg.peer,)).fetchone()
    last = heard[0] if heard and heard[0] else leg.created
    return ctx.clock.now() - int(last) > ctx.membership.policy.silent_days * 86400


def hand_over(tx: sqlite3.Connection, ctx: Context, request: HandOver) -> Done:
    """Opens an internal leg for the same case, linked to the one received. Never leaves this body."""
    parent = _leg(tx, request.leg)
    operator = operators.require(tx, request.as_, "hand-over", parent.leg)
    standing.may_act(tx, parent, None)
    may_write(tx, ctx)
    if parent.side == "L":
        raise ProtocolError("illegal-event", field="leg", expected="a case received or sent")
    offer = latest_offer(tx, ctx, parent)
    changed = msgspec.structs.replace(offer, parent=parent.leg, description=request.text or offer.description)
    return open_leg(
        tx, ctx, ctx.dice.uuid7(ctx.clock.now()), "L", ctx.me, changed, operator,
        case_id=parent.case_id, parent=parent.leg, linked=None, desk_to=request.desk_to,
    )  # fmt: skip


def follow_redirect(tx: sqlite3.Connection, ctx: Context, request: FollowRedirect) -> Done:
    """The sender's confirmation: a new, linked leg. Consent given for another body is not enough."""
    leg = _leg(tx, request.leg)
    operators.require(tx, request.as_, "offer", leg.leg)
    if leg.side != "S" or leg.state != "redirected":
        raise ProtocolError("illegal-event", field="leg", expected="redirected", got=leg.state)
    standing.may_act(tx, leg, None)
    to = request.to or suggested_recipient(tx, ctx, leg)
    offer = latest_offer(tx, ctx, leg)
    basis = request.basis or offer.basis
    if isinstance(basis, Basis) and isinstance(basis.consent_to, str) and basis.consent_to != to:
        raise ProtocolError("basis-required", field="basis", expected=f"consent to {to}")
    fresh = msgspec.structs.replace(
        offer, basis=basis, offices_tried=UNSET
    )  # counted anew, with the one that redirected
    return refer(tx, ctx, Refer(to=to, offer=fresh, as_=request.as_, linked_from=leg.leg))


# -- reading


def _leg(db: sqlite3.Connection, leg: str) -> LegRow:
    row = leg_row(db, leg)
    if row is None:
        raise ProtocolError("unknown-case", got=leg)
    return row


def may_write(db: sqlite3.Connection, ctx: Context) -> None:
    """Raises clock-wrong: with a clock off by more than this no event is written."""
    if clock_is_wrong(db):
        raise ProtocolError("clock-wrong")


def bodies(db: sqlite3.Connection, ctx: Context, leg: LegRow) -> list[tuple[str, EventBody]]:
    """(writer, body) of every event still readable, in order of writer and n."""
    if not db.execute("SELECT 1 FROM event WHERE leg = ? AND sealed IS NOT NULL", (leg.leg,)).fetchone():
        return []  # its key may be gone, and none is to be made
    key = ctx.case_keys.obtain(db, leg.case_id)
    rows = db.execute(
        "SELECT writer, n, jti, sealed FROM event WHERE leg = ? AND sealed IS NOT NULL ORDER BY rowid", (leg.leg,)
    )
    return [
        (
            writer,
            msgspec.json.decode(ctx.case_keys.open(key, f"{leg.leg}|{writer}|{n}|{jti}", sealed)[32:], type=EventBody),
        )
        for writer, n, jti, sealed in rows
    ]


def latest_offer(db: sqlite3.Connection, ctx: Context, leg: LegRow) -> Offer:
    """The offer as last amended."""
    offers = [body.offer for _, body in bodies(db, ctx, leg) if isinstance(body.offer, Offer)]
    if not offers:
        raise ProtocolError("erased" if tombstone(db, leg.leg) else "unknown-case")
    return offers[-1]


def suggested_recipient(db: sqlite3.Connection, ctx: Context, leg: LegRow) -> str:
    """Whom the receiver of a redirected leg suggested."""
    named = [body.to_node for _, body in bodies(db, ctx, leg) if body.ev == "redirect" and body.to_node]
    if not named:
        raise ProtocolError("unknown-recipient", field="to")
    return str(named[-1])


def folded(db: sqlite3.Connection, leg: str) -> Leg:
    """The state of a leg from its events."""
    return fold(*logs(db, leg))
