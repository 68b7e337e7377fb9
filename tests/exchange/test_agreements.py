"""Agreements between members: a pair that is not allowed is refused before anything is stored, and told why."""

import msgspec
import pytest

from node.cases import desk
from protocol.agreements import read_agreements
from protocol.errors import ProtocolError
from tests.exchange.desks import Ambito, offer
from tests.exchange.routers import C, D, R, accepted, forward, refused, routed

WORDS = "Al distretto la presa in carico la chiedono i comuni."


def agreement(**changes):
    row = {"id": "PIC-1", "to": ["distretto"], "from": ["PT-PATRONATO"], "kinds": ["RK-SEGN"], "text": WORDS}
    return msgspec.Raw(msgspec.json.encode({**row, **changes}))


def agree(ambito, *rows):
    ambito.membership = ambito.network.step(ambito.membership, now=ambito.clock.at, agreements=list(rows))
    ambito.adopt()


@pytest.fixture
def ambito(tmp_path):
    return Ambito(tmp_path, "tavullia", "distretto", "pesaro", "patr-a", **{"patr-a": {"ptype": "PT-PATRONATO"}})


@pytest.mark.feature("F002-25")
def test_who_is_not_in_the_agreement_is_refused_with_its_words(ambito):
    agree(ambito, agreement())
    comune, patronato = ambito["tavullia"], ambito["patr-a"]
    problem = refused("not-agreed", comune.refer, "distretto")
    assert problem.expected == WORDS and problem.got == "distretto"
    assert comune.one("SELECT COUNT(*) FROM leg") == comune.one("SELECT COUNT(*) FROM event") == 0
    assert patronato.refer("distretto").state == "offered"  # named, by its type
    assert comune.refer("pesaro").state == "offered"  # nothing was agreed about that office
    assert comune.refer("distretto", referral="RK-ACCOMP").state == "offered"  # nor about that kind
    assert comune.refer("distretto", referral="RK-PUA", urgency="UR-PUA24").state == "offered"  # never held up
    agree(ambito, agreement(), agreement(id="PIC-2", **{"from": ["tavullia"]}))
    assert comune.refer("distretto").state == "offered"  # one of them is enough


@pytest.mark.feature("F002-25")
def test_the_kind_is_not_changed_afterwards_into_one_that_is_not_agreed(ambito):
    comune = ambito["tavullia"]
    leg = comune.refer("distretto", referral="RK-ACCOMP").leg
    agree(ambito, agreement())
    refused("not-agreed", comune.act, leg, "amend", as_="OP", offer=offer(referral="RK-SEGN"))
    comune.act(leg, "amend", as_="OP", offer=offer(referral="RK-ACCOMP", description="altro"))
    older = ambito["pesaro"].refer("tavullia").leg
    agree(ambito, agreement(to=["tavullia"]))
    ambito["pesaro"].act(older, "amend", as_="OP", offer=offer(description="di prima dell'accordo"))


@pytest.mark.feature("F002-25")
def test_a_redirect_and_a_forward_follow_the_agreements_too(ambito, tmp_path):
    comune = ambito["tavullia"]
    leg = comune.refer("pesaro").leg
    ambito.carry()
    ambito["pesaro"].act(leg, "redirect", as_="OP", reason="DR-COMPMAT", to_node="distretto")
    ambito.carry()
    agree(ambito, agreement())
    follow = desk.FollowRedirect(leg=leg, as_="OP")
    with pytest.raises(ProtocolError, match="not-agreed"):
        comune.run(lambda tx: desk.follow_redirect(tx, comune.ctx, follow))
    (tmp_path / "altri").mkdir()
    other = routed(tmp_path / "altri")
    parent = accepted(other)
    agree(other, agreement(to=[C], **{"from": [D]}))
    refused("not-agreed", forward, other[R], parent, C)
    assert forward(other[R], parent, D)


@pytest.mark.parametrize("spoilt", [{"to": []}, {"text": ""}, {"from": "PT-COMUNE"}, {"kinds": [1]}])
def test_an_agreement_that_cannot_be_read_is_refused(spoilt):
    with pytest.raises(ProtocolError) as problem:
        read_agreements([agreement(**spoilt)])
    assert (problem.value.code, problem.value.field) == ("bad-shape", "agreements")
