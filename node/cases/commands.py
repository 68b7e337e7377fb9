"""The commands about referrals and operators, as rows: what is asked, what runs, whether it writes. No rules."""

import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from node import requests as ask
from node.answers import (
    AccessLine,
    AccessLog,
    Attempts,
    CaseLine,
    CaseView,
    Choice,
    Done,
    FileLine,
    Late,
    SavedFile,
    Times,
    ToRoute,
)
from node.cases import attempts, choices, desk, files, forwarding, late, operators, slips, times, views
from node.cases.routing import Advice, advise
from node.catalogue.entries import note_use
from node.commands import Command
from node.exchange.log import find_leg, leg_row
from node.vault import access
from protocol.errors import ProtocolError
from protocol.referral import RECEIVER_KINDS, SENDER_KINDS

if TYPE_CHECKING:
    from node.body import Body

SIDES: Final[Mapping[str, str]] = {"received": "R", "sent": "S", "internal": "L"}
ACTS: Final = frozenset((*SENDER_KINDS, *RECEIVER_KINDS)) - {"offer", "forwarded"}


def _refer(tx: sqlite3.Connection, body: "Body", request: ask.Refer) -> Done:
    linked = find_leg(tx, request.linked_from) if request.linked_from else None
    try:
        return desk.refer(tx, body.ctx, replace(request, linked_from=linked))
    except ProtocolError as error:
        if error.code == "unknown-recipient" and slips.given_by(tx, body, request.to):
            raise ProtocolError("external-body", field="to", got=request.to) from None
        raise


def _act(tx: sqlite3.Connection, body: "Body", request: ask.Act) -> Done:
    if request.ev not in ACTS:
        raise ProtocolError("unknown-code", field="ev", expected=" ".join(sorted(ACTS)), got=request.ev)
    of = find_leg(tx, request.of) if request.of else None
    done = desk.act(tx, body.ctx, replace(request, leg=find_leg(tx, request.leg), of=of))
    if request.ev == "open":
        _count_use(tx, body, done.leg)
    return done


def _count_use(tx: sqlite3.Connection, body: "Body", leg: str) -> None:
    """An entry of ours is used when a person opens a referral about it (F003-16)."""
    row = leg_row(tx, leg)
    service = desk.latest_offer(tx, body.ctx, row).service if row is not None and row.side == "R" else None
    if isinstance(service, str):
        note_use(tx, leg, service)


def _hand_over(tx: sqlite3.Connection, body: "Body", request: ask.HandOver) -> Done:
    return desk.hand_over(tx, body.ctx, replace(request, leg=find_leg(tx, request.leg)))


def _follow_redirect(tx: sqlite3.Connection, body: "Body", request: ask.FollowRedirect) -> Done:
    return desk.follow_redirect(tx, body.ctx, replace(request, leg=find_leg(tx, request.leg)))


def _forward(tx: sqlite3.Connection, body: "Body", request: ask.Forward) -> Done:
    return forwarding.forward(tx, body.ctx, replace(request, leg=find_leg(tx, request.leg)))


def _assign(tx: sqlite3.Connection, body: "Body", request: ask.Assign) -> ask.Nothing:
    operators.require(tx, request.as_, "assign")
    if request.code not in {operator.code for operator in operators.everybody(tx)}:
        raise ProtocolError("unknown-operator", got=request.code)
    operators.assign(tx, find_leg(tx, request.leg), request.code, body.ctx.clock.now())
    return ask.Nothing()


def _cases(db: sqlite3.Connection, body: "Body", request: ask.Cases) -> list[CaseLine]:
    side = SIDES[request.side] if request.side else None
    return views.listing(db, body.ctx, side=side, late=request.late, all_=request.all_)


def _case(tx: sqlite3.Connection, body: "Body", request: ask.Case) -> CaseView:
    return views.case(tx, body.ctx, find_leg(tx, request.leg), request.as_)


def _attachments(tx: sqlite3.Connection, body: "Body", request: ask.Attachments) -> list[FileLine]:
    return files.listing(tx, body.ctx, find_leg(tx, request.leg), request.as_)


def _save_attachment(tx: sqlite3.Connection, body: "Body", request: ask.SaveAttachment) -> SavedFile:
    return files.save(tx, body.ctx, find_leg(tx, request.leg), request.number, request.as_)


def _route(db: sqlite3.Connection, body: "Body", request: ask.Route) -> Advice:
    return advise(db, body.ctx, request)


def _late(db: sqlite3.Connection, body: "Body", _: ask.Nothing) -> list[Late]:
    return late.late(db, body.ctx)


def _times(db: sqlite3.Connection, body: "Body", _: ask.Nothing) -> list[Times]:
    return times.times(db, body.ctx)


def _attempts(db: sqlite3.Connection, body: "Body", _: ask.Nothing) -> list[Attempts]:
    return attempts.attempts(db, body.ctx)


def _still_needed(tx: sqlite3.Connection, body: "Body", request: ask.StillNeeded) -> Done:
    act = ask.Act(leg=request.leg, ev="ask", as_=request.as_, reason=late.STILL_NEEDED, text=late.QUESTION)
    return _act(tx, body, act)


def _needed(tx: sqlite3.Connection, body: "Body", request: ask.Needed) -> Done:
    if request.yes:
        return _act(tx, body, ask.Act(leg=request.leg, ev="answer", as_=request.as_, text=late.YES))
    return _act(tx, body, ask.Act(leg=request.leg, ev="cancel", as_=request.as_, reason="no-longer-needed"))


def _to_route(db: sqlite3.Connection, body: "Body", _: ask.Nothing) -> list[ToRoute]:
    return choices.to_route(db, body.ctx)


def _route_case(tx: sqlite3.Connection, body: "Body", request: ask.RouteCase) -> Advice:
    return choices.proposals(tx, body.ctx, replace(request, leg=find_leg(tx, request.leg)))


def _choose_route(tx: sqlite3.Connection, body: "Body", request: ask.ChooseRoute) -> Done:
    return choices.choose(tx, body.ctx, replace(request, leg=find_leg(tx, request.leg)))


def _chosen(tx: sqlite3.Connection, body: "Body", request: ask.Case) -> list[Choice]:
    return choices.chosen(tx, body.ctx, replace(request, leg=find_leg(tx, request.leg)))


def _access_log(db: sqlite3.Connection, body: "Body", request: ask.AccessLog) -> AccessLog:
    operators.require(db, request.as_, "access-log")
    case_id = None
    if request.case:
        (case_id,) = db.execute("SELECT case_id FROM leg WHERE leg = ?", (find_leg(db, request.case),)).fetchone()
    rows = [AccessLine(*row) for row in access.read(db, case_id)]
    return AccessLog(rows, access.first_broken(db) is None)


# -- operators


def _operators(db: sqlite3.Connection, body: "Body", request: ask.Nothing) -> list[operators.Operator]:
    return operators.everybody(db)


def _operator_add(tx: sqlite3.Connection, body: "Body", request: ask.OperatorAdd) -> operators.Operator:
    if request.as_ is not None:
        operators.require(tx, request.as_, "operators")
    return operators.add(tx, request.code, request.role, request.desk, body.ctx.clock.now())


def _operator_disable(tx: sqlite3.Connection, body: "Body", request: ask.OperatorDisable) -> ask.Nothing:
    if request.as_ is not None:
        operators.require(tx, request.as_, "operators")
    operators.disable(tx, request.code)
    return ask.Nothing()


COMMANDS: Final[Mapping[str, Command]] = {
    "refer": Command(ask.Refer, _refer, writes=True, sends=True),
    "act": Command(ask.Act, _act, writes=True, sends=True),
    "hand-over": Command(ask.HandOver, _hand_over, writes=True, sends=True),
    "follow-redirect": Command(ask.FollowRedirect, _follow_redirect, writes=True, sends=True),
    "forward": Command(ask.Forward, _forward, writes=True, sends=True),
    "assign": Command(ask.Assign, _assign, writes=True),
    "cases": Command(ask.Cases, _cases, writes=False),
    "case": Command(ask.Case, _case, writes=True),  # its opening is written to the access log
    "attachments": Command(ask.Attachments, _attachments, writes=True),  # both are written to the access log
    "attachment-save": Command(ask.SaveAttachment, _save_attachment, writes=True),
    "route": Command(ask.Route, _route, writes=False),
    "times": Command(ask.Nothing, _times, writes=False),
    "attempts": Command(ask.Nothing, _attempts, writes=False),
    "slip": Command(ask.Slip, slips.slip, writes=False),
    "late": Command(ask.Nothing, _late, writes=False),
    "still-needed": Command(ask.StillNeeded, _still_needed, writes=True, sends=True),
    "needed": Command(ask.Needed, _needed, writes=True, sends=True),
    "to-route": Command(ask.Nothing, _to_route, writes=False),
    "route-case": Command(ask.RouteCase, _route_case, writes=True),  # reading the sheet is logged
    "choose-route": Command(ask.ChooseRoute, _choose_route, writes=True, sends=True),
    "chosen": Command(ask.Case, _chosen, writes=True),
    "access-log": Command(ask.AccessLog, _access_log, writes=False),
    "operators": Command(ask.Nothing, _operators, writes=False),
    "operator-add": Command(ask.OperatorAdd, _operator_add, writes=True),
    "operator-disable": Command(ask.OperatorDisable, _operator_disable, writes=True),
}
