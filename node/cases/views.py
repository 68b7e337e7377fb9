"""What a desk sees of its referrals: lists, and one case whole. Reading a case is logged; lists carry no person."""

import sqlite3
from collections import Counter
from datetime import datetime

import msgspec

from node.answers import CaseLine, CaseView, Erasure, Step
from node.cases import boundary, operators, standing
from node.cases.desk import bodies, folded
from node.cases.files import lines_of
from node.context import Context
from node.exchange import forwarding
from node.exchange.ends import delivery, final, screen_of
from node.exchange.erased import tombstone
from node.exchange.erasing import TRAVELS, Request, requests
from node.exchange.letters import fate
from node.exchange.log import LegRow, leg_row, listed
from node.vault import access
from protocol.calendar_it import ROME
from protocol.custody import custodian, told_custodian
from protocol.errors import ProtocolError
from protocol.forwarding import permitted
from protocol.referral import TERMINALS, Kind, Leg, Writer, allowed
from protocol.referral_display import display, next_step
from schemas.bodies import EventBody, Offer


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
    stone = tombstone(db, leg.leg)
    return CaseLine(
        leg=leg.leg, case_id=leg.case_id, side=leg.side, peer=leg.peer, peer_name=member.name if member else leg.peer,
        state=held.state, code=screen.code, words=_erased_words(stone.at) if stone else screen.title,
        referral=leg.referral, urgency=leg.urgency, created=leg.created, changed=leg.changed,
        ack_by=leg.ack_by, respond_by=leg.respond_by, late=_late(leg, held, now),
        final=is_settled or not held.is_terminal, linked_from=leg.linked_from, parent=leg.parent,
        desk_to=leg.desk_to, erased=stone.at if stone else None,
        limited=standing.limitation(db, leg.case_id) is not None,
    )  # fmt: skip


def _erased_words(at: int) -> str:
    return f"Cancellato il {datetime.fromtimestamp(at, ROME):%d/%m/%Y}"


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
    standing.may_read(tx, leg, as_)
    access.record(tx, access.Access(ctx.clock.now(), as_, "read", leg.case_id, leg_id))
    held = folded(tx, leg_id)
    line = _line(tx, ctx, leg)
    content = bodies(tx, ctx, leg)
    screen = display(held.state, delivery(tx, leg), final=line.final)
    side: Writer = "S" if leg.side == "S" else "R"
    return CaseView(
        line=line,
        offer=next((body.offer for _, body in reversed(content) if isinstance(body.offer, Offer)), None),
        steps=_steps(tx, leg_id, content, held),
        allowed=sorted(_may(line, _allowed(tx, ctx, leg, held, side))),
        pending_amendments=sorted({*held.pending, *_not_sent_on(tx, leg)}),
        next=next_step(screen, side),
        frozen=bool(held.frozen),
        custodian=_custodian(tx, ctx, leg, held),
        erasures=[_erasure(tx, ctx, asked) for asked in requests(tx, leg_id)],
        files=lines_of(tx, ctx, leg),
    )


def _may(line: CaseLine, kinds: frozenset[Kind]) -> frozenset[Kind]:
    """What `standing.may_act` leaves of it."""
    return frozenset() if line.limited else kinds & TRAVELS if line.erased else kinds


def _allowed(db: sqlite3.Connection, ctx: Context, leg: LegRow, held: Leg, side: Writer) -> frozenset[Kind]:
    known = forwarding.family(db, ctx, leg.leg)
    kinds = permitted(held, known.children) if known else allowed(held, side)
    return boundary.left(db, ctx, leg, held, kinds)


def _not_sent_on(db: sqlite3.Connection, leg: LegRow) -> list[int]:
    """What a fact written by the program has noted, and nobody here has looked at."""
    return forwarding.not_sent_on(db, leg.leg) if leg.side == "R" and leg.state not in TERMINALS else []


def _custodian(db: sqlite3.Connection, ctx: Context, leg: LegRow, held: Leg) -> str:
    """From both logs where we have passed it on; from what the receiver mirrored where we sent it."""
    if leg.side == "R":
        return custodian(forwarding.passed(db, ctx, leg))
    if leg.side == "L":
        return ctx.me
    told = [(str(fact.to_node), str(fact.status)) for fact in forwarding.facts(db, ctx, leg)]
    return told_custodian(ctx.me, leg.peer, held, told)


def erasures(db: sqlite3.Connection, ctx: Context) -> list[Erasure]:
    """Every request to erase, what waits for us first, then the newest; no person."""
    legs = db.execute("SELECT DISTINCT leg FROM erasure_request").fetchall()
    found = [asked for (leg,) in legs for asked in requests(db, leg)]
    found.sort(key=lambda asked: (asked.own or asked.answer is not None, -asked.at, asked.jti))
    return [_erasure(db, ctx, asked) for asked in found]


def _erasure(db: sqlite3.Connection, ctx: Context, asked: Request) -> Erasure:
    member = ctx.member(asked.peer)
    k, _ = fate(db, asked.jti)
    far = {None: "queued", "rejected": "unsupported"}.get(k, "arrived") if asked.own else "arrived"
    return Erasure(
        leg=asked.leg, peer=asked.peer, peer_name=member.name if member else asked.peer, own=asked.own,
        reason=asked.reason, at=asked.at, state=asked.answer or far, upto=asked.upto, answer_reason=asked.answer_reason,
        answered_at=asked.answered_at, opened_by=asked.opened_by, opened_at=asked.opened_at,
    )  # fmt: skip


def _steps(db: sqlite3.Connection, leg: str, content: list[tuple[str, EventBody]], held: Leg) -> list[Step]:
    overruled = {(o.writer, o.n) for o in held.overruled}
    readable = {(writer, body.jti): body for writer, body in content}
    steps = []
    for writer, n, jti, kind, seen, reason, outcome, at, k in db.execute(
        "SELECT writer, n, jti, kind, seen, reason, outcome, at, k FROM event WHERE leg = ? ORDER BY rowid", (leg,)
    ):
        body = readable.get((writer, jti))
        names = ("by", "text", "ref", "when", "to_node", "status")
        text = {name: getattr(body, name) for name in names} if body else {}
        present = {name: value for name, value in text.items() if value is not msgspec.UNSET}
        steps.append(
            Step(
                writer=writer,
                n=n,
                ev=kind,
                at=at,
                seen=seen,
                delivery=k,
                reason=reason,
                outcome=outcome,
                overruled=(writer, n) in overruled,
                **present,
            )
        )
    return steps


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """How many referrals are open, by side: what a status line says."""
    return dict(Counter(row.side for row in listed(db, side=None, finished=False) if row.state not in TERMINALS))
