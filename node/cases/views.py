"""What a desk sees of its referrals: lists, and one case whole. Reading a case is logged; lists carry no person."""

import sqlite3
from collections import Counter

import msgspec
from msgspec import Struct

from node.cases import operators
from node.cases.desk import bodies, folded
from node.context import Context
from node.exchange import forwarding
from node.exchange.ends import delivery, final, screen_of
from node.exchange.log import LegRow, leg_row, listed
from node.vault import access
from protocol.custody import custodian, told_custodian
from protocol.errors import ProtocolError
from protocol.forwarding import permitted
from protocol.referral import TERMINALS, Kind, Leg, Writer, allowed
from protocol.referral_display import display, next_step
from schemas.bodies import EventBody, Offer


class CaseLine(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line of a list: codes, times, whose turn; no person."""

    leg: str
    case_id: str
    side: str
    peer: str
    peer_name: str
    state: str
    code: str
    words: str
    referral: str
    urgency: str
    created: int
    changed: int
    ack_by: int | None = None
    respond_by: int | None = None
    late: bool
    final: bool
    linked_from: str | None = None
    parent: str | None = None
    desk_to: str | None = None


class Step(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One event of the line of time: who wrote it, what, when it was first durable here, how far it got."""

    writer: str
    n: int
    ev: str
    at: int
    seen: int
    by: str | None = None
    delivery: str | None = None
    reason: str | None = None
    outcome: str | None = None
    text: str | None = None
    ref: str | None = None
    when: int | None = None
    to_node: str | None = None
    status: str | None = None
    overruled: bool = False


class CaseView(Struct, frozen=True, kw_only=True):
    """A case whole, for who may read it: the line, the offer as last amended, the history, what may be done now.

    `custodian`: the member that answers for the person now; "" when it is over (protocol.custody).
    """

    line: CaseLine
    offer: Offer
    steps: list[Step]
    allowed: list[str]
    pending_amendments: list[int]
    next: str
    frozen: bool
    custodian: str


def listing(
    db: sqlite3.Connection, ctx: Context, *, side: str | None = None, late: bool = False, all_: bool = False
) -> list[CaseLine]:
    """Referrals of this body, what needs an answer first. `side`: R received, S sent, L internal."""
    lines = [_line(db, ctx, row) for row in listed(db, side=side, finished=all_)]
    return [line for line in lines if line.late or not late]


def _line(db: sqlite3.Connection, ctx: Context, leg: LegRow) -> CaseLine:
    held = folded(db, leg.leg)
    is_settled = final(db, ctx, leg, held)
    screen = screen_of(db, leg, held, settled=is_settled)
    now = ctx.clock.now()
    member = ctx.member(leg.peer)
    return CaseLine(
        leg=leg.leg, case_id=leg.case_id, side=leg.side, peer=leg.peer, peer_name=member.name if member else leg.peer,
        state=held.state, code=screen.code, words=screen.title, referral=leg.referral, urgency=leg.urgency,
        created=leg.created, changed=leg.changed, ack_by=leg.ack_by, respond_by=leg.respond_by,
        late=_late(leg, held, now), final=is_settled or not held.is_terminal, linked_from=leg.linked_from,
        parent=leg.parent, desk_to=leg.desk_to,
    )  # fmt: skip


def _late(leg: LegRow, held: Leg, now: int) -> bool:
    """Not opened by the acknowledgement target, or not answered by the other; the sender counts from "inviata"."""
    if held.state == "offered":
        due = leg.ack_by or leg.alarm_at or leg.respond_by
        return due is not None and now > due
    return held.state in ("opened", "asked") and leg.respond_by is not None and now > leg.respond_by


def case(tx: sqlite3.Connection, ctx: Context, leg_id: str, as_: str) -> CaseView:
    """The whole case; the opening is written to the access log in the same transaction."""
    leg = leg_row(tx, leg_id)
    if leg is None:
        raise ProtocolError("unknown-case", got=leg_id)
    operators.require(tx, as_, "read", leg_id)
    access.record(tx, access.Access(ctx.clock.now(), as_, "read", leg.case_id, leg_id))
    held = folded(tx, leg_id)
    line = _line(tx, ctx, leg)
    content = bodies(tx, ctx, leg)
    screen = display(held.state, delivery(tx, leg), final=line.final)
    side: Writer = "S" if leg.side == "S" else "R"
    return CaseView(
        line=line,
        offer=[body.offer for _, body in content if isinstance(body.offer, Offer)][-1],
        steps=_steps(tx, leg_id, content, held),
        allowed=sorted(_may(tx, ctx, leg, held, side)),
        pending_amendments=list(held.pending),
        next=next_step(screen, side),
        frozen=bool(held.frozen),
        custodian=_custodian(tx, ctx, leg, held),
    )


def _may(db: sqlite3.Connection, ctx: Context, leg: LegRow, held: Leg, side: Writer) -> frozenset[Kind]:
    known = forwarding.family(db, ctx, leg.leg)
    return permitted(held, known.children) if known else allowed(held, side)


def _custodian(db: sqlite3.Connection, ctx: Context, leg: LegRow, held: Leg) -> str:
    """From both logs where we have passed it on; from what the receiver mirrored where we sent it."""
    if leg.side == "R":
        return custodian(forwarding.passed(db, ctx, leg))
    if leg.side == "L":
        return ctx.me
    told = [(str(fact.to_node), str(fact.status)) for fact in forwarding.facts(db, ctx, leg)]
    return told_custodian(ctx.me, leg.peer, held, told)


def _steps(db: sqlite3.Connection, leg: str, content: list[tuple[str, EventBody]], held: Leg) -> list[Step]:
    overruled = {(o.writer, o.n) for o in held.overruled}
    extra = {
        (writer, jti): (at, k)
        for writer, jti, at, k in db.execute("SELECT writer, jti, at, k FROM event WHERE leg = ?", (leg,))
    }
    steps = []
    for writer, body in content:
        at, k = extra[writer, body.jti]
        text = {
            name: getattr(body, name)
            for name in ("by", "reason", "outcome", "text", "ref", "when", "to_node", "status")
        }
        present = {name: value for name, value in text.items() if value is not msgspec.UNSET}
        steps.append(
            Step(
                writer=writer,
                n=body.n,
                ev=body.ev,
                at=at,
                seen=body.seen,
                delivery=k,
                overruled=(writer, body.n) in overruled,
                **present,
            )
        )
    return steps


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """How many referrals are open, by side: what a status line says."""
    return dict(Counter(row.side for row in listed(db, side=None, finished=False) if row.state not in TERMINALS))
