"""Cases to be routed: which wait, whom the map proposes, whom a person chose and why.

What was proposed and why another was chosen is kept sealed under the case key: it is about a person, and goes with it.
"""

import sqlite3
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from node import requests as ask
from node.answers import Choice, Done, Offered, ToRoute
from node.cases import operators, standing
from node.cases.desk import latest_offer
from node.cases.forwarding import forward
from node.cases.routing import Advice, Note, Proposed, advise
from node.context import Context
from node.exchange import forwarding
from node.exchange.log import LegRow, leg_row, listed
from node.map.hours import local
from node.vault import access
from protocol.errors import ProtocolError
from protocol.forwarding import FROM, ROUTER
from schemas.bodies import Offer

_AGAIN: Final = "again"
_NEW: Final = "new"


class Kept(Struct, frozen=True, omit_defaults=True):
    """The sealed part of a choice."""

    proposed: list[Offered]
    why: str | None = None


def to_route(db: sqlite3.Connection, ctx: Context) -> list[ToRoute]:
    """The queue of a body that may forward: what is accepted and with nobody yet, the most urgent answer first."""
    me = ctx.member(ctx.me)
    if me is None or ROUTER not in me.caps:
        raise ProtocolError("not-a-router")
    found = []
    for row in listed(db, side="R", finished=False):
        known = forwarding.family(db, ctx, row.leg) if row.state in FROM and standing.is_free(db, row) else None
        if known is None or any(child.is_open for child in known.children) or _ours(db, ctx, row.leg):
            continue
        if row.state != "accepted" and not known.children:  # on our own waiting list
            continue
        member = ctx.member(row.peer)
        found.append(
            ToRoute(
                leg=row.leg, peer=row.peer, peer_name=member.name if member else row.peer, referral=row.referral,
                urgency=row.urgency, since=row.changed, respond_by=row.respond_by,
                why=_AGAIN if known.children else _NEW, tried=[child.peer for child in known.rows],
            )
        )  # fmt: skip
    return found


def _ours(db: sqlite3.Connection, ctx: Context, leg: str) -> bool:
    """A person chose a service of this body last."""
    row = db.execute("SELECT node FROM routing_choice WHERE leg = ? ORDER BY n DESC LIMIT 1", (leg,)).fetchone()
    return row is not None and row[0] == ctx.me


def proposals(tx: sqlite3.Connection, ctx: Context, request: ask.RouteCase) -> Advice:
    """Candidates for a case, with reasons and warnings, from what its sheet says; reading the sheet is logged."""
    operators.require(tx, request.as_, "forward", request.leg)
    leg = _case(tx, request.leg)
    standing.may_act(tx, leg, None)
    access.record(tx, access.Access(ctx.clock.now(), request.as_, "route", leg.case_id, leg.leg))
    return _advice(tx, ctx, leg, request.need)


def _advice(db: sqlite3.Connection, ctx: Context, leg: LegRow, need: str | None) -> Advice:
    offer = latest_offer(db, ctx, leg)
    wanted = need or (offer.need if offer.need is not UNSET else None)
    if wanted is None:
        raise ProtocolError("bad-shape", field="need", expected="the need, with --need")
    person = offer.person if offer.person is not UNSET else None
    asked = ask.Route(
        need=wanted, targets=[] if offer.target is UNSET else [offer.target], age=_age(offer, ctx.clock.now()),
        residence=person.residence if person and person.residence is not UNSET else None,
        urgency=offer.urgency, kind=offer.referral, health=offer.health is not UNSET, limit=200,
    )  # fmt: skip
    found = advise(db, ctx, asked)
    been = {leg.peer, *(offer.path if offer.path is not UNSET else ())}  # a referral never goes back the way it came
    return Advice(
        proposals=[proposed for proposed in found.proposals if proposed.node not in been],
        first=[proposed for proposed in found.first if proposed.node not in been],
        total=found.total,
    )


def _age(offer: Offer, now: int) -> str | None:
    person = offer.person if offer.person is not UNSET else None
    if person is None:
        return None
    born = person.birth_year if person.birth_year is not UNSET else None
    if born is None and person.birth_date is not UNSET:
        born = int(person.birth_date[:4])
    return None if born is None else str(min(130, max(0, local(now).year - born)))


def choose(tx: sqlite3.Connection, ctx: Context, request: ask.ChooseRoute) -> Done:
    """Keeps the choice of one of the proposals and forwards to it; to a service of our own nothing is sent.

    Raises unknown-code when it is not among the proposals (any more), bad-shape when another than the first is chosen
    without a reason or a file for a service of our own, and what `forward` raises.
    """
    operators.require(tx, request.as_, "forward", request.leg)
    leg = _case(tx, request.leg)
    standing.may_act(tx, leg, None)
    access.record(tx, access.Access(ctx.clock.now(), request.as_, "route", leg.case_id, leg.leg))
    advice = _advice(tx, ctx, leg, request.need)
    every = [*advice.first, *advice.proposals]
    names = [(proposed.node, proposed.service) for proposed in every]
    if (request.node, request.service) not in names:
        raise ProtocolError("unknown-code", field="service", expected="one of the proposals", got=request.service)
    rank = names.index((request.node, request.service)) + 1
    if rank > 1 and not request.why:
        raise ProtocolError("bad-shape", field="why", expected="why not the first proposal")
    if request.node == ctx.me and request.attachments:
        raise ProtocolError("bad-shape", field="attachments", expected="none: nothing is sent")
    done = Done(leg.leg, 0, leg.state, leg.case_id)
    if request.node != ctx.me:
        done = forward(
            tx, ctx,
            ask.Forward(leg=leg.leg, to=request.node, as_=request.as_, service=request.service, text=request.text,
                        referral=request.referral, basis=request.basis, attachments=request.attachments),
        )  # fmt: skip
    _keep(tx, ctx, leg, request, rank, every, done.leg if request.node != ctx.me else None)
    return done


def _keep(
    tx: sqlite3.Connection,
    ctx: Context,
    leg: LegRow,
    request: ask.ChooseRoute,
    rank: int,
    every: list[Proposed],
    child: str | None,
) -> None:
    n = int(tx.execute("SELECT COUNT(*) FROM routing_choice WHERE leg = ?", (leg.leg,)).fetchone()[0]) + 1
    shown = every[: max(rank, 10)]
    kept = Kept([Offered(p.node, p.service, _codes(p.reasons), _codes(p.warnings)) for p in shown], request.why)
    key = ctx.case_keys.obtain(tx, leg.case_id)
    tx.execute(
        "INSERT INTO routing_choice (leg, n, at, by_code, node, service, rank, child, sealed)"
        " VALUES (?,?,?,?,?,?,?,?,?)",
        (leg.leg, n, ctx.clock.now(), request.as_, request.node, request.service, rank, child,
         ctx.case_keys.seal(key, _name(leg.leg, n), msgspec.json.encode(kept))),
    )  # fmt: skip


def _codes(notes: list[Note]) -> list[str]:
    return [note.code for note in notes]


def _name(leg: str, n: int) -> str:
    return f"{leg}|choice|{n}"


def chosen(tx: sqlite3.Connection, ctx: Context, request: ask.Case) -> list[Choice]:
    """What was chosen for a case, the oldest first; reading it is logged."""
    operators.require(tx, request.as_, "read", request.leg)
    leg = _case(tx, request.leg)
    standing.may_read(tx, leg, request.as_)
    access.record(tx, access.Access(ctx.clock.now(), request.as_, "read", leg.case_id, leg.leg))
    return choices_of(tx, ctx, leg)


def choices_of(db: sqlite3.Connection, ctx: Context, leg: LegRow) -> list[Choice]:
    """The same for who has opened the case already."""
    held = db.execute(
        "SELECT n, at, by_code, node, service, rank, child, sealed FROM routing_choice WHERE leg = ? ORDER BY n",
        (leg.leg,),
    ).fetchall()
    if not held:
        return []  # the case may be erased: its key may be gone, and none is to be made
    key = ctx.case_keys.obtain(db, leg.case_id)
    found = []
    for n, at, by, node, service, rank, child, sealed in held:
        kept = msgspec.json.decode(ctx.case_keys.open(key, _name(leg.leg, n), sealed), type=Kept)
        found.append(
            Choice(
                at=at, by=by, node=node, service=service, rank=rank, child=child, proposed=kept.proposed, why=kept.why
            )
        )
    return found


def _case(db: sqlite3.Connection, leg: str) -> LegRow:
    row = leg_row(db, leg)
    if row is None or row.side != "R":
        raise ProtocolError("unknown-case", got=leg)
    return row
