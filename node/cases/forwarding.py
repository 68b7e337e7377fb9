"""Forwarding a referral that was accepted: the step a person takes. The rest by itself: node.exchange.forwarding."""

import sqlite3

import msgspec
from msgspec import UNSET

from node.answers import Done
from node.cases import agreed, operators, standing
from node.cases.desk import PATRONATO, latest_offer, may_write, open_leg
from node.cases.files import passed_on
from node.context import Context
from node.exchange import forwarding, restored
from node.exchange.log import leg_row
from node.requests import Forward
from node.vault import access
from protocol.errors import ProtocolError
from protocol.forwarding import ROUTER, check_basis, check_open, next_path
from protocol.offers import check_offer


def forward(tx: sqlite3.Connection, ctx: Context, request: Forward) -> Done:
    """Opens a child of a referral accepted here, and says so on it. Of its files go those that are named, no other.

    Raises not-a-router, forward-not-accepted, forward-open, forward-loop, forward-hops, basis-required, to-self,
    unknown-recipient, suspended, incapable-recipient, patronato-redirect, not-degraded, limited, erased, resync-open,
    attachment-unknown, attachment-arriving.
    """
    parent = leg_row(tx, request.leg)
    if parent is None:
        raise ProtocolError("unknown-case", got=request.leg)
    operator = operators.require(tx, request.as_, "forward", parent.leg)
    standing.may_act(tx, parent, None)
    may_write(tx, ctx)
    me = ctx.member(ctx.me)
    if me is None or ROUTER not in me.caps:
        raise ProtocolError("not-a-router")
    known = forwarding.family(tx, ctx, parent.leg)
    if known is None:
        raise ProtocolError("forward-not-accepted", field="leg", got="sent")
    check_open(known.held, known.children, told=restored.may_open_child(tx, parent))
    if request.to == ctx.me:
        raise ProtocolError("to-self", field="to")
    if ctx.membership.freshness(ctx.clock.now()) == "beyond":
        raise ProtocolError("not-degraded")
    member = ctx.member(request.to)
    if member is None or member.status == "ended":
        raise ProtocolError("unknown-recipient", field="to", got=request.to)
    if me.ptype == PATRONATO and member.ptype == PATRONATO:
        raise ProtocolError("patronato-redirect", field="to")
    offer = latest_offer(tx, ctx, parent)
    path = next_path(offer, sender=parent.peer, me=ctx.me, to=request.to)
    basis = request.basis or offer.basis
    if basis:
        check_basis(basis, request.to)
    fresh = msgspec.structs.replace(
        offer, case="", basis=basis, parent=parent.leg, path=path, linked_from=UNSET, form_version=UNSET,
        service=request.service or UNSET, referral=request.referral or offer.referral,
        description=request.text or offer.description,
    )  # fmt: skip
    check_offer(fresh, member.caps)
    agreed.may_send(ctx, member, fresh.referral)
    done = open_leg(
        tx, ctx, ctx.dice.uuid7(ctx.clock.now()), "S", request.to, fresh, operator,
        case_id=parent.case_id, parent=parent.leg, linked=None,
        files=passed_on(tx, ctx, parent, request.attachments),
    )  # fmt: skip
    access.record(tx, access.Access(ctx.clock.now(), request.as_, "forward", parent.case_id, parent.leg))
    forwarding.follow(tx, ctx, [done.leg])
    return done
