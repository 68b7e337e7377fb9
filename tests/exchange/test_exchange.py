"""Referrals between two desks, without a network: once, in order, acknowledged by signature, never doubled."""

from typing import get_args

import msgspec
import pytest

from node.cases import desk
from node.exchange.messages import HANDLERS
from node.vault import access
from protocol.errors import ProtocolError
from protocol.limits import DAY
from schemas.bodies import Body, EventBody
from schemas.wire import DeliveryAnswer
from tests.exchange.desks import Ambito, offer, raw_files, states


@pytest.fixture
def ambito(tmp_path):
    return Ambito(tmp_path, "tavullia", "distretto", "pesaro")


@pytest.fixture
def pair(ambito):
    return ambito["tavullia"], ambito["distretto"]


def refused(code):
    return pytest.raises(ProtocolError, check=lambda error: error.code == code)


@pytest.mark.feature("F000-03", "F000-33")
def test_a_referral_travels_both_ways_and_comes_back_with_an_outcome(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    for sender, receiver in ((a, b), (b, a)):
        leg = sender.refer(receiver.name).leg
        ambito.carry()
        for ev, fields in (("open", {}), ("ask", {"text": "Da quando?"}), ("accept", {"ref": "PUA 1/2026"})):
            receiver.act(leg, ev, **fields)
            ambito.carry()
        receiver.act(leg, "close", outcome="OU-EROGATO")
        ambito.carry()
        assert states(leg, sender, receiver) == ["closed", "closed"]
        view = sender.case(leg)
        assert [step.ev for step in view.steps] == ["offer", "open", "ask", "accept", "close"]
        assert view.line.final and view.steps[-1].outcome == "OU-EROGATO"


def test_nothing_is_shown_as_delivered_before_a_signed_receipt_is_stored(ambito, pair):
    a, b = pair
    leg = a.refer("distretto").leg
    assert a.cases()[0].code == "RS-INVIATA"
    [parcel] = a.due()
    answer = b.receive(parcel.items).answer
    assert a.cases()[0].code == "RS-INVIATA", "the answer was lost on the way"
    a.answered(parcel, answer)
    assert a.cases()[0].code == "RS-CONSEGNATA"
    assert a.one("SELECT COUNT(*) FROM receipt WHERE own = 0 AND peer = 'distretto'") == 1
    assert a.one("SELECT k FROM event WHERE leg = ?", leg) == "processed"


def test_the_same_sealing_twice_has_one_effect_and_the_same_answer(pair):
    a, b = pair
    a.refer("distretto")
    [parcel] = a.due()
    first, second = b.receive(parcel.items).answer, b.receive(parcel.items).answer
    assert first == second and len(first.receipts) == 1
    assert b.one("SELECT COUNT(*) FROM leg") == 1


def test_an_item_twice_in_one_batch_has_one_effect(pair):
    a, b = pair
    a.refer("distretto")
    [parcel] = a.due()
    b.receive([*parcel.items, *parcel.items])
    assert b.one("SELECT COUNT(*), (SELECT COUNT(*) FROM event) FROM inbox") == (1, 1)


def test_an_event_sealed_again_is_answered_with_the_old_result_for_the_new_sealing(ambito, pair):
    a, b = pair
    leg = a.refer("distretto").leg
    [old] = a.due()
    b.receive(old.items)
    ambito.clock.at += 31 * DAY
    ambito.membership = ambito.network.step(ambito.membership, now=ambito.clock.at)
    ambito.adopt()
    assert a.run(a.exchange.tick) == 1
    [new] = a.due()
    assert new.mids != old.mids
    received = b.receive(new.items)
    a.answered(new, received.answer)
    assert b.one("SELECT COUNT(*) FROM event WHERE leg = ?", leg) == 1
    assert a.one("SELECT COUNT(*) FROM outgoing") == 0
    assert a.one("SELECT k FROM event WHERE leg = ?", leg) == "processed"


def test_an_expired_sealing_is_answered_unsigned_and_sealed_again(ambito, pair):
    a, b = pair
    a.refer("distretto")
    [parcel] = a.due()
    ambito.clock.at += 30 * DAY
    ambito.membership = ambito.network.step(ambito.membership, now=ambito.clock.at)
    ambito.adopt()
    answer = b.receive(parcel.items).answer
    assert not answer.receipts and answer.later[0].code == "expired"
    a.answered(parcel, answer)
    ambito.carry()
    assert b.one("SELECT state FROM leg") == "offered"
    assert a.one("SELECT COUNT(*) FROM outgoing") == 0


def test_the_same_event_id_with_other_content_is_rejected_and_changes_nothing(ambito, pair, monkeypatch):
    a, b = pair
    leg = a.refer("distretto").leg
    ambito.carry()
    jti = a.one("SELECT jti FROM event WHERE leg = ?", leg)
    monkeypatch.setattr(a.ctx.dice, "uuid4", lambda: jti)
    a.refer("distretto", description="altro contenuto")
    [parcel] = a.due()
    [receipt] = b.receive(parcel.items).answer.receipts
    assert b.one("SELECT prob FROM inbox WHERE k = 'rejected'") == "jti-reuse"
    assert b.one("SELECT COUNT(*) FROM leg") == 1 and receipt


def test_events_that_overtake_each_other_wait_and_are_applied_in_order(ambito, pair):
    a, b = pair
    leg = a.refer("distretto").leg
    a.act(leg, "amend", as_="OP", offer=offer(description="corretta"))
    [parcel] = a.due()
    offered, amended = parcel.items
    late = b.receive([amended])
    assert b.one("SELECT state, s_count FROM leg") == ("none", 0)
    assert b.one("SELECT k FROM inbox") == "stored"
    both = b.receive([offered])
    assert b.one("SELECT state, s_count FROM leg") == ("offered", 2)
    a.answered(parcel, DeliveryAnswer(receipts=[*late.answer.receipts, *both.answer.receipts]))
    assert a.one("SELECT COUNT(*) FROM outgoing") == 0


def test_a_rejected_event_is_replaced_by_a_void_and_the_rest_of_the_leg_goes_on(ambito, pair, monkeypatch):
    a, b = pair
    leg = a.refer("distretto").leg
    ambito.carry()
    monkeypatch.setattr("node.exchange.inbox.UNDERSTOOD", frozenset())
    strange = msgspec.structs.replace
    real = desk.EventBody

    def with_must(**fields):
        return strange(real(**fields), must=["futuro"])

    monkeypatch.setattr(desk, "EventBody", with_must)
    a.act(leg, "amend", as_="OP", offer=offer(description="dal futuro"))
    monkeypatch.setattr(desk, "EventBody", real)
    ambito.carry()
    assert a.one("SELECT prob FROM event WHERE leg = ? AND kind = 'amend'", leg) == "unsupported"
    assert b.one("SELECT kind FROM event WHERE leg = ? AND writer = 'S' AND n = 2", leg) == "void"
    b.act(leg, "open")
    ambito.carry()
    assert states(leg, a, b) == ["opened", "opened"]
    assert a.one("SELECT code FROM alarm") == "rejected"


def test_a_command_that_left_something_to_send_is_seen_as_such(ambito, pair, monkeypatch):
    a, b = pair

    def sealed(command, *args, **fields):
        before = a.ctx.sealed, b.ctx.sealed
        result = command(*args, **fields)
        return result, (a.ctx.sealed - before[0], b.ctx.sealed - before[1])

    case, counts = sealed(a.refer, "distretto")
    assert counts == (1, 0)
    [parcel] = a.due()
    received, counts = sealed(b.receive, parcel.items)
    assert counts == (0, 0), "its receipt goes in the answer"
    assert sealed(a.answered, parcel, received.answer)[1] == (0, 0)
    real = desk.EventBody
    with monkeypatch.context() as patch:
        patch.setattr(desk, "EventBody", lambda **f: msgspec.structs.replace(real(**f), must=["futuro"]))
        a.act(case.leg, "amend", as_="OP", offer=offer(description="dal futuro"))
    [parcel] = a.due()
    answer = b.receive(parcel.items).answer
    assert sealed(a.answered, parcel, answer)[1] == (1, 0), "a rejected event brings about its void"


def test_a_rejected_offer_ends_as_undeliverable_at_the_sender(ambito, pair, monkeypatch):
    a, b = pair
    real = desk.EventBody
    monkeypatch.setattr(desk, "EventBody", lambda **f: msgspec.structs.replace(real(**f), must=["futuro"]))
    leg = a.refer("distretto").leg
    ambito.carry()
    assert a.one("SELECT state FROM leg WHERE leg = ?", leg) == "undeliverable"
    assert b.one("SELECT COUNT(*) FROM leg") == 0
    assert a.one("SELECT COUNT(*) FROM outgoing") == 0


def test_a_cancel_is_provisional_until_the_receiver_said_how_far_it_was(ambito, pair):
    a, b = pair
    leg = a.refer("distretto").leg
    ambito.carry()
    a.act(leg, "cancel", as_="OP", reason="no-longer-needed")
    assert a.cases(all_=True)[0].final is False
    b.act(leg, "accept")
    ambito.carry()
    assert states(leg, a, b) == ["cancel-requested", "cancel-requested"], "the receiver had accepted first"
    b.act(leg, "release", reason="cancel-agreed")
    ambito.carry()
    assert states(leg, a, b) == ["cancelled", "cancelled"]
    assert a.cases(all_=True)[0].final


def test_a_flipped_bit_is_answered_unsigned_and_kills_nothing(pair):
    a, b = pair
    a.refer("distretto")
    [parcel] = a.due()
    item = parcel.items[0]
    s = item.s[:-5] + ("A" if item.s[-5] != "A" else "B") + item.s[-4:]
    answer = b.receive([msgspec.structs.replace(item, s=s)]).answer
    assert not answer.receipts and answer.later[0].code == "damaged"
    a.answered(parcel, answer)
    assert a.one("SELECT COUNT(*) FROM outgoing WHERE s IS NOT NULL") == 1
    assert b.receive(parcel.items).answer.receipts


def test_an_event_about_a_leg_never_offered_is_not_ended_by_signature(ambito, pair):
    a, b = pair
    leg = a.refer("distretto").leg
    ambito.carry()
    b.act(leg, "open")
    a.run(lambda tx: tx.execute("DELETE FROM event") and tx.execute("DELETE FROM leg"))
    [parcel] = b.due()
    answer = a.receive(parcel.items).answer
    assert not answer.receipts and answer.later[0].code == "busy"
    assert a.one("SELECT code FROM alarm") == "restored-here", "it has seen something of ours: we lost it"


@pytest.mark.feature("F000-26")
def test_an_illegal_step_is_refused_and_leaves_nothing(ambito, pair):
    a, b = pair
    leg = a.refer("distretto").leg
    ambito.carry()
    with refused("illegal-event"):
        b.act(leg, "start")
    assert b.one("SELECT COUNT(*) FROM event") == 1
    assert not b.due()


@pytest.mark.feature("F000-17")
def test_a_desk_operator_cannot_take_in_charge(ambito, pair):
    a, b = pair
    leg = a.refer("distretto").leg
    ambito.carry()
    b.act(leg, "accept", as_="OP")
    with refused("role-forbidden"):
        b.act(leg, "start", as_="OP")
    assert b.act(leg, "start", as_="AS").state == "in-charge"


def test_a_body_without_the_capability_cannot_take_in_charge(ambito):
    a, b = ambito["distretto"], ambito["tavullia"]
    leg = a.refer("tavullia").leg
    ambito.carry()
    b.act(leg, "accept")
    with refused("not-capable"):
        b.act(leg, "start")


@pytest.mark.feature("F004-19")
def test_an_unknown_suspended_or_incapable_recipient_is_refused_with_its_own_answer(ambito):
    a = ambito["tavullia"]
    with refused("unknown-recipient"):
        a.refer("nessuno")
    with refused("incapable-recipient"):
        ambito["distretto"].refer("tavullia", referral="RK-PUA")
    ambito.clock.at += DAY
    ambito.change(distretto={"status": "suspended"})
    with refused("suspended"):
        a.refer("distretto")
    assert a.one("SELECT COUNT(*) FROM leg") == 0, "nothing half done"


def test_mail_of_a_suspended_member_is_refused_direct_and_counts_when_it_waited_in_a_mailbox(ambito, pair):
    a, b = pair
    a.refer("distretto")
    a.refer("distretto")
    [parcel] = a.due()
    ambito.clock.at += DAY
    ambito.change(tavullia={"status": "suspended"})
    direct = b.receive(parcel.items[:1]).answer
    assert [later.code for later in direct.later] == ["suspended"] and not direct.receipts
    assert b.receive(parcel.items[1:], relayed=True).answer.receipts


def test_with_a_clock_five_minutes_wrong_no_event_is_written_and_reading_goes_on(ambito, pair):
    a, b = pair
    leg = a.refer("distretto").leg
    ambito.carry()
    b.run(lambda tx: tx.execute("INSERT INTO setting VALUES ('clock_offset', '-301')"))
    with refused("clock-wrong"):
        b.act(leg, "open")
    assert b.case(leg).line.state == "offered"


def test_beyond_the_degraded_period_no_new_referral_is_offered(ambito, pair):
    a, _ = pair
    ambito.clock.at += 38 * DAY
    with refused("not-degraded"):
        a.refer("distretto")


def test_a_redirect_is_confirmed_by_the_sender_on_a_linked_leg(ambito):
    a, b, c = ambito["tavullia"], ambito["distretto"], ambito["pesaro"]
    leg = a.refer("distretto").leg
    ambito.carry()
    b.act(leg, "redirect", reason="DR-COMPTERR", to_node="pesaro")
    ambito.carry()
    new = a.run(lambda tx: desk.follow_redirect(tx, a.ctx, desk.FollowRedirect(leg=leg, as_="OP")))
    ambito.carry()
    assert states(leg, a, b) == ["redirected", "redirected"]
    assert c.one("SELECT state, linked_from FROM leg WHERE leg = ?", new.leg) == ("offered", leg)


def test_consent_given_for_one_body_does_not_cover_another(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    consent = msgspec.structs.replace(offer().basis, law="GDPR 9(2)(a)", consent_to="distretto", consent_how="signed")
    leg = a.refer("distretto", basis=consent).leg
    ambito.carry()
    b.act(leg, "redirect", reason="DR-COMPTERR", to_node="pesaro")
    ambito.carry()
    follow = desk.FollowRedirect(leg=leg, as_="OP")
    with refused("basis-required"):
        a.run(lambda tx: desk.follow_redirect(tx, a.ctx, follow))
    given = msgspec.structs.replace(follow, basis=msgspec.structs.replace(consent, consent_to="pesaro"))
    assert a.run(lambda tx: desk.follow_redirect(tx, a.ctx, given)).state == "offered"


def test_a_patronato_never_redirects_to_another_patronato(tmp_path):
    patronato = {"ptype": "PT-PATRONATO"}
    ambito = Ambito(tmp_path, "tavullia", "patr-a", "patr-b", **{"patr-a": patronato, "patr-b": patronato})
    leg = ambito["tavullia"].refer("patr-a").leg
    ambito.carry()
    with refused("patronato-redirect"):
        ambito["patr-a"].act(leg, "redirect", reason="DR-COMPMAT", to_node="patr-b")


def test_a_hand_over_between_two_desks_of_one_body_never_leaves_it(ambito, pair):
    a, b = pair
    leg = a.refer("distretto").leg
    ambito.carry()
    b.act(leg, "accept")
    ambito.carry()
    inner = b.run(lambda tx: desk.hand_over(tx, b.ctx, desk.HandOver(leg=leg, desk_to="ADI", as_="AS")))
    assert not b.due()
    b.act(inner.leg, "open", side="R")
    b.act(inner.leg, "accept", side="R")
    assert b.act(inner.leg, "close", side="R", outcome="OU-INCARICO").state == "closed"
    line = next(line for line in b.cases(all_=True) if line.leg == inner.leg)
    assert (line.side, line.parent, line.desk_to, line.final) == ("L", leg, "ADI", True)
    assert not b.due() and states(leg, a, b) == ["accepted", "accepted"]


def test_the_file_on_disk_shows_no_name_and_no_description(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description="canarino-giallo-17").leg
    ambito.carry()
    b.act(leg, "ask", text="canarino-giallo-17")
    ambito.carry()
    for each in (a, b):
        assert b"canarino" not in raw_files(each) and b"Inventata" not in raw_files(each)
    assert b.case(leg).offer.description == "canarino-giallo-17"


def test_every_opening_of_a_case_is_in_a_log_that_cannot_be_rewritten(ambito, pair):
    a, b = pair
    leg = a.refer("distretto").leg
    ambito.carry()
    b.case(leg)
    b.act(leg, "open", as_="AS")
    rows = b.store.read(access.read)
    assert [(row.operator, row.action, row.leg) for row in rows] == [("OP", "read", leg), ("AS", "open", leg)]
    with pytest.raises(Exception, match="append-only"):
        b.run(lambda tx: tx.execute("DELETE FROM access_log"))
    assert b.store.read(access.first_broken) is None


def test_a_destination_that_fails_is_probed_with_one_item_and_urgent_post_leaves_at_once(ambito, pair):
    a, _ = pair
    for _ in range(3):
        a.refer("distretto")
    [parcel] = a.due()
    a.failed(parcel)
    assert not a.due(), "it waits"
    urgent = a.refer("distretto", referral="RK-PUA", urgency="UR-PUA24").leg
    [parcel] = a.due()
    assert a.one("SELECT leg FROM outgoing WHERE mid = ?", parcel.mids[0]) == urgent
    ambito.clock.at += 60
    probes = a.due()
    assert [len(p.items) for p in probes] == [1]
    ambito.carry()
    assert a.one("SELECT COUNT(*) FROM outgoing") == 0


def test_bodies_keep_members_they_do_not_know_as_received(ambito, pair, monkeypatch):
    a, b = pair

    class Newer:
        def encode(self, body):
            return msgspec.json.encode(body)[:-1] + b',"dal_futuro":{"a":1}}'

    monkeypatch.setattr("node.exchange.outbox._encoder", Newer())
    leg = a.refer("distretto").leg
    ambito.carry()
    n, jti, sealed = b.one("SELECT n, jti, sealed FROM event WHERE leg = ?", leg)
    key = b.run(lambda tx: b.ctx.case_keys.obtain(tx, leg))
    assert b'"dal_futuro":{"a":1}' in b.ctx.case_keys.open(key, f"{leg}|S|{n}|{jti}", sealed)


def test_people_are_told_when_nothing_arrives_and_when_nobody_opens(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", referral="RK-PUA", urgency="UR-PUA24").leg
    ambito.clock.at = a.one("SELECT alarm_at FROM leg WHERE leg = ?", leg) + 1
    a.run(a.exchange.tick)
    assert a.one("SELECT code FROM alarm WHERE leg = ?", leg) == "not-stored"
    ambito.carry()
    a.run(a.exchange.tick)
    assert a.one("SELECT COUNT(*) FROM alarm WHERE leg = ? AND code = 'not-opened'", leg) == 1
    b.act(leg, "open")
    ambito.carry()
    a.run(a.exchange.tick)
    assert a.one("SELECT COUNT(*) FROM alarm") == 2, "told once each"


def test_mail_queued_to_a_member_suspended_since_comes_back_to_people(ambito, pair):
    a, _ = pair
    leg = a.refer("distretto").leg
    ambito.clock.at += DAY
    ambito.change(distretto={"status": "suspended"})
    a.run(a.exchange.tick)
    assert a.one("SELECT code FROM alarm WHERE leg = ? AND code LIKE 'recipient%'", leg) == "recipient-suspended"
    assert not a.due() and a.one("SELECT COUNT(*) FROM outgoing WHERE s IS NOT NULL") == 1, "kept, not dropped"


def test_every_kind_of_body_that_is_no_event_has_its_handler():
    assert {*get_args(Body)} == {EventBody, *HANDLERS}
