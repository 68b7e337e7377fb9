"""Desks of which two may forward: a referral accepted and passed on, and what each end holds of it."""

import pytest

from node.cases import forwarding as cases
from node.cases import operators
from node.exchange import forwarding
from node.exchange.log import leg_row
from node.requests import Forward
from protocol.errors import ProtocolError
from tests.exchange.desks import Ambito

S, R, C, D, E = "caritas", "tavullia", "distretto", "pesaro", "gradara"
NAMES = (S, R, C, D, E)


def routed(path):
    """S sends, R and E may forward, C and D take in charge; RE is everybody's head of the service."""
    made = Ambito(path, *NAMES)
    for each in made.desks.values():
        each.run(lambda tx: operators.add(tx, "RE", "RL-RESP", None, 0))
    for name in (R, E, C, D):
        own = ["take-in-charge", "pua", "pis"] if name in (C, D) else []
        admission = made.network.admission(name, seq=2, caps=[*own, "router"])
        made.network.change(name, admission=admission)
    made.membership = made.network.step(made.membership)
    made.adopt()
    return made


def accepted(ambito, steps=("open", "accept"), **changes):
    """A referral of S that R has accepted; nothing waits."""
    leg = ambito[S].refer(R, **changes).leg
    ambito.carry()
    for step in steps:
        ambito[R].act(leg, step)
    ambito.carry()
    return leg


def forward(desk, leg, to, as_="OP", **fields):
    request = Forward(leg=leg, to=to, as_=as_, **fields)
    return desk.run(lambda tx: cases.forward(tx, desk.ctx, request)).leg


def refused(code, call, *args, **fields):
    with pytest.raises(ProtocolError) as problem:
        call(*args, **fields)
    assert problem.value.code == code
    return problem.value


def mirrored(desk, leg):
    """(child's end of its id, to, status) of every fact on a leg, as this desk holds them."""
    row = desk.store.read(lambda db: leg_row(db, leg))
    return [(f.to_node, f.status) for f in desk.store.read(lambda db: forwarding.facts(db, desk.ctx, row))]


def state(desk, leg):
    return desk.one("SELECT state FROM leg WHERE leg = ?", leg)


def kinds(desk, leg, writer="R"):
    rows = desk.store.read(
        lambda db: db.execute(
            "SELECT kind FROM event WHERE leg = ? AND writer = ? ORDER BY n", (leg, writer)
        ).fetchall()
    )
    return [kind for (kind,) in rows]


def custodians(ambito, leg, *names):
    return [ambito[name].case(leg).custodian for name in names]
