"""Where the secretariat ends when a router passed the referral on: the office in charge may be one further."""

import pytest

from node.cases import operators, views
from node.cases.erasure import rectify
from node.requests import Rectify
from schemas.bodies import Person
from tests.exchange.desks import offer
from tests.exchange.routers import C, R, S, accepted, forward, mirrored, refused, routed
from tests.protocol.network import T0


@pytest.mark.feature("F003-15")
def test_nothing_is_added_either_when_the_office_it_was_passed_on_to_is_in_charge(tmp_path):
    ambito = routed(tmp_path)
    parent = accepted(ambito)
    child = forward(ambito[R], parent, C)
    ambito.carry()
    sender, router = ambito[S], ambito[R]
    ambito[C].act(child, "accept")
    ambito.carry()
    sender.act(parent, "amend", as_="OP", offer=offer(description="prima"))
    ambito.carry()
    ambito[C].act(child, "start")
    ambito.carry()
    assert mirrored(sender, parent)[-1] == (C, "RS-INCARICO")
    for desk, leg in ((sender, parent), (router, child)):
        assert refused("handed-over", desk.act, leg, "amend", as_="OP", offer=offer(description="dopo")).got == "amend"
        shown = desk.run(lambda tx, desk=desk, leg=leg: views.case(tx, desk.ctx, leg, "OP")).allowed
        assert "amend" not in shown and "cancel" in shown
    sender.act(parent, "cancel", as_="OP", reason="person-withdrew")
    refused("handed-over", sender.act, parent, "amend", as_="OP", offer=offer(description="durante il ritiro"))
    sender.run(lambda tx: operators.add(tx, "RE", "RL-RESP", None, T0))
    request = Rectify(leg=parent, as_="RE", person=Person(birth_year=1950))
    sender.run(lambda tx: rectify(tx, sender.ctx, request))
    assert sender.case(parent).offer.person.birth_year == 1950
