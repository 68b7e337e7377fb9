"""Routers pass referrals on: what their people do, and what has to be true of a referral and its children (PROTOCOL §6)."""

import random
from typing import TYPE_CHECKING, Final

from node.cases import forwarding as forwards
from node.exchange import forwarding
from node.exchange.log import LegRow, logs
from node.requests import Act, Forward
from protocol.custody import NOBODY, Passed, custodian
from protocol.forwarding import ROUTER
from protocol.referral import AFTER_ACCEPTANCE, Leg, allowed
from tests.simulator.kernel import Violation

if TYPE_CHECKING:
    from tests.simulator.checks import Held
    from tests.simulator.shell import Node
    from tests.simulator.world import World

_TO_ROUTE: Final = (
    "SELECT leg, state FROM leg WHERE side = 'R' AND state IN ('offered', 'opened', 'accepted', 'waiting')"
    " ORDER BY created, leg"
)


def routers(world: "World") -> list["Node"]:
    """Bodies that may."""
    members = world.board.membership.members
    return [node for node in world.nodes if ROUTER in members[node.name].caps and node.name not in world.older]


def forward(world: "World", dice: random.Random) -> None:
    """Somebody at a router accepts a referral, or passes on one that was accepted."""
    node = dice.choice(routers(world))
    rows = node.reader.execute(_TO_ROUTE).fetchall() if node.up else []
    accepted = [leg for leg, state in rows if state in ("accepted", "waiting")]
    people = world.people
    if accepted and dice.random() < 0.8:
        to = dice.choice([other.name for other in world.nodes if other is not node])
        ask = Forward(leg=dice.choice(accepted), to=to, as_="AS-1")
        people.submit(node, lambda tx: forwards.forward(tx, node.ctx, ask), "forward")
    elif rows:
        act = Act(leg=dice.choice(rows)[0], ev="accept", as_="AS-1", ref="PUA 2026/1")
        people.write(node, act)


# -- what has to hold


def custody_is_one(world: "World", held: "Held") -> None:
    """Of a referral passed on: one child at a time, no end against its child, exactly one that answers for the person."""
    if held.name in world.history.restored or world.plan.has("defect"):
        return  # two ends may have come apart: then people are told (forward-apart)
    ctx = held.node.ctx
    for row in list(held.legs.values()):
        assert row is not None
        if row.side != "R":
            continue
        known = forwarding.family(held.db, ctx, row.leg)
        if known is not None and known.rows:
            _one_family(held, row, known)


def _one_family(held: "Held", row: LegRow, known: forwarding.Family) -> None:
    children = [child.leg for child in known.children]
    alive = [i for i, leg in enumerate(children) if not leg.is_terminal]
    if len(alive) > 1 or (alive and alive[0] != len(children) - 1):
        raise Violation("forward-two-children", f"{held.name} {row.leg}")
    if any(event.kind == "start" for event in logs(held.db, row.leg)[1]):
        raise Violation("forward-start", f"{held.name} {row.leg}")
    _end(held, row, known.held, known)
    meant = _by_the_book(held.name, row, known.held, known)
    found = custodian(
        Passed(row.peer, held.name, known.held, tuple(
            Passed(held.name, child.peer, leg) for child, leg in zip(known.rows, children, strict=True)
        ))
    )  # fmt: skip
    if found != meant:
        raise Violation("forward-custody", f"{held.name} {row.leg}: {found}, not {meant}")


def _by_the_book(router: str, row: LegRow, parent: Leg, known: forwarding.Family) -> str:
    """PROTOCOL §6 word by word: the router from its `accept` until the child's, then the child."""
    if parent.state not in AFTER_ACCEPTANCE:
        if parent.state in ("closed", "withdrawn"):
            return NOBODY
        return row.peer
    claims = [
        c.peer for c, child in zip(known.rows, known.children, strict=True) if child.leg.state in AFTER_ACCEPTANCE
    ]
    return claims[-1] if claims else router


def _end(held: "Held", row: LegRow, parent: Leg, known: forwarding.Family) -> None:
    """Closed by a closed child with its outcome, withdrawn by a withdrawn one, let go when nobody else has it."""
    last = known.children[-1]
    asked_to_stop = any(event.kind == "cancel" for event in logs(held.db, row.leg)[0])
    by_receiver = parent.settled_by is not None and parent.settled_by.writer == "R"
    agree = (parent.state, parent.outcome) == (last.leg.state, last.leg.outcome)
    if by_receiver and not asked_to_stop and parent.state in ("closed", "withdrawn") and not agree:
        raise Violation("forward-against-child", f"{held.name} {row.leg}: {parent.state}, its child {last.leg.state}")
    if by_receiver and last.leg.custody == "R" and not last.leg.is_terminal:
        raise Violation("forward-two-custodians", f"{held.name} {row.leg}: {parent.state}, its child {last.leg.state}")
    due = last.final and last.leg.state in ("closed", "withdrawn") and not last.leg.frozen
    if due and parent.state in AFTER_ACCEPTANCE and not parent.frozen:
        raise Violation("forward-not-ended", f"{held.name} {row.leg}: {parent.state}, its child {last.leg.state}")
    left = "cancel" in allowed(last.leg, "S") and not last.passed_on
    if parent.state == "cancel-requested" and left and not parent.frozen and last.is_open:
        raise Violation("forward-not-passed-on", f"{held.name} {row.leg}")
    if any(child.said != child.status for child in known.children) and parent.state in AFTER_ACCEPTANCE:
        raise Violation("forward-not-mirrored", f"{held.name} {row.leg}")
