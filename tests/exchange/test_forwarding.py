"""Forwarding by a router: three real desks, one network. What the program writes by itself, and what it refuses."""

import msgspec
import pytest

from node.cases import forwarding as cases
from node.cases import views
from node.context import set_setting
from node.exchange import forwarding, inbox
from node.exchange.log import leg_row
from protocol.errors import ProtocolError
from schemas.bodies import EventBody
from tests.exchange.desks import BASIS, offer
from tests.exchange.routers import C, D, E, R, S, accepted, custodians, forward, kinds, mirrored, refused, routed, state
from tests.protocol.network import T0


@pytest.fixture
def ambito(tmp_path):
    return routed(tmp_path)


@pytest.fixture
def parent(ambito):
    return accepted(ambito)


def test_a_forwarded_referral_is_mirrored_step_by_step_and_its_outcome_closes_the_parent(ambito, parent):
    sender, router, child_desk = ambito[S], ambito[R], ambito[C]
    child = forward(router, parent, C)
    assert mirrored(router, parent) == [(C, "RS-INVIATA")]
    ambito.carry()
    assert custodians(ambito, parent, S, R) == [R, R]
    child_desk.act(child, "open")
    child_desk.act(child, "accept", ref="PUA 2026/118")
    ambito.carry()
    assert custodians(ambito, parent, S, R) == [C, C]
    child_desk.act(child, "start")
    child_desk.act(child, "close", outcome="OU-INCARICO", text="detto solo a chi ha inoltrato")
    ambito.carry()
    assert [state(desk, parent) for desk in (sender, router)] == ["closed", "closed"]
    assert sender.one("SELECT outcome FROM event WHERE leg = ? AND kind = 'close'", parent) == "OU-INCARICO"
    assert mirrored(sender, parent) == [
        (C, "RS-INVIATA"),
        (C, "RS-CONSEGNATA"),
        (C, "RS-ACCETTATA"),
        (C, "RS-CONCLUSA"),
    ]  # a step for each batch that came: what changed twice within one is told once
    assert custodians(ambito, parent, S, R) == ["", ""]
    assert kinds(router, parent).count("close") == 1


def test_facts_carry_codes_and_never_content(ambito, parent):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    ambito[C].act(child, "ask", text="segreto della persona")
    ambito.carry()
    row = ambito[S].store.read(lambda db: leg_row(db, parent))
    facts = ambito[S].store.read(lambda db: forwarding.facts(db, ambito[S].ctx, row))
    named = {name for fact in facts for name in EventBody.__struct_fields__ if getattr(fact, name) is not msgspec.UNSET}
    assert named == {"net", "sender", "to", "jti", "leg", "n", "seen", "ev", "of", "to_node", "status"}
    assert facts[-1].status == "RS-INTEGR"


def test_the_child_names_its_way_and_not_what_concerns_the_first_sender_alone(ambito):
    parent = accepted(ambito, case="caso-interno-di-S", linked_from="0e6f8a1b-2c3d-4e5f-8a9b-0c1d2e3f4a5b")
    child = forward(ambito[R], parent, C, text="solo ciò che serve")
    ambito.carry()
    sheet = ambito[C].case(child).offer
    assert (sheet.parent, sheet.path) == (parent, [S, R])
    assert (sheet.case, sheet.linked_from) == (parent, msgspec.UNSET)
    assert sheet.description == "solo ciò che serve"


def test_the_person_withdraws_at_the_child_and_the_parent_is_withdrawn(ambito, parent):
    child = forward(ambito[R], parent, C)
    ambito.carry()
    ambito[C].act(child, "accept")
    ambito[C].act(child, "withdraw")
    ambito.carry()
    assert state(ambito[S], parent) == "withdrawn"
    assert kinds(ambito[R], parent).count("withdraw") == 1


@pytest.mark.parametrize("end", ["decline", "redirect", "release"])
def test_after_any_other_end_a_person_forwards_again_or_releases(ambito, parent, end):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    if end == "release":
        ambito[C].act(child, "accept")
    more = {"to_node": D} if end == "redirect" else {}
    ambito[C].act(child, end, reason="DR-POSTI", **more)
    ambito.carry()
    assert state(router, parent) == "accepted"
    assert router.one("SELECT COUNT(*) FROM alarm WHERE code = 'forward-ended' AND leg = ?", child) == 1
    for ev, fields in (("close", {"outcome": "OU-NODISP"}), ("withdraw", {}), ("start", {}), ("waitlist", {})):
        refused("forward-open", router.act, parent, ev, **fields)
    again = forward(router, parent, D)
    ambito.carry()
    assert mirrored(ambito[S], parent)[-1] == (D, "RS-CONSEGNATA")
    ambito[D].act(again, "decline", reason="DR-POSTI")
    ambito.carry()
    router.act(parent, "release", reason="DR-POSTI")
    ambito.carry()
    assert state(ambito[S], parent) == "released"
    assert custodians(ambito, parent, S, R) == [S, S]


def test_a_cancel_is_passed_on_and_answered_when_the_child_has_ended(ambito, parent):
    router, child_desk = ambito[R], ambito[C]
    child = forward(router, parent, C)
    ambito.carry()
    child_desk.act(child, "accept")
    ambito.carry()
    ambito[S].act(parent, "cancel", reason="no-longer-needed")
    ambito.carry()
    assert state(child_desk, child) == "cancel-requested"
    for ev, fields in (("keep", {}), ("release", {"reason": "cancel-agreed"}), ("close", {"outcome": "OU-ALTRO"})):
        refused("forward-open", router.act, parent, ev, **fields)
    child_desk.act(child, "release", reason="cancel-agreed")
    ambito.carry()
    assert [state(desk, parent) for desk in (ambito[S], router)] == ["cancelled", "cancelled"]
    assert kinds(router, parent).count("release") == 1


def test_a_cancel_before_the_child_accepts_counts_only_when_the_child_has_said_how_far_it_was(ambito, parent):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    ambito[S].act(parent, "cancel", reason="other-way")
    for parcel in ambito[S].due():
        ambito[S].answered(parcel, router.receive(parcel.items).answer)
    assert state(router, child) == "cancelled"  # provisional: C may have accepted meanwhile
    assert state(router, parent) == "cancel-requested"
    ambito[C].act(child, "accept")
    ambito.carry()
    assert state(router, child) == "cancel-requested"
    assert state(router, parent) == "cancel-requested"
    ambito[C].act(child, "keep")
    ambito[C].act(child, "close", outcome="OU-EROGATO")
    ambito.carry()
    assert state(ambito[S], parent) == "closed"
    assert kinds(router, child, "S").count("cancel") == 1


def test_a_child_whose_member_has_ended_lapses_and_people_decide(ambito, parent):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    ambito[C].act(child, "accept")
    ambito.carry()
    ambito.change(distretto={"status": "ended"})
    router.act(child, "lapse", reason="left-network")
    assert router.one("SELECT COUNT(*) FROM alarm WHERE code = 'forward-ended'") == 1
    assert custodians(ambito, parent, R) == [R]
    again = forward(router, parent, D)
    ambito.carry()
    assert state(ambito[D], again) == "offered"


def test_an_ended_member_of_a_provisional_lapse_is_seen_at_the_next_tick(ambito, parent):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    ambito[C].act(child, "accept")
    ambito.carry()
    ambito.clock.at += 40 * 86400
    router.act(child, "lapse", reason="silent")
    assert router.one("SELECT COUNT(*) FROM alarm WHERE code = 'forward-ended'") == 0
    ambito.change(distretto={"status": "ended"})
    router.run(router.exchange.tick)
    assert router.one("SELECT COUNT(*) FROM alarm WHERE code = 'forward-ended'") == 1
    router.run(router.exchange.tick)
    assert router.one("SELECT COUNT(*) FROM alarm WHERE code = 'forward-ended'") == 1


def test_a_refused_child_offer_is_undeliverable_and_people_decide(ambito, parent, monkeypatch):
    router = ambito[R]
    child = forward(router, parent, C)
    monkeypatch.setattr(inbox, "_check_event", _refuse)
    ambito.carry()
    monkeypatch.undo()
    ambito.carry()
    assert state(router, child) == "undeliverable"
    assert mirrored(ambito[S], parent)[-1] == (C, "RS-NONCONS")
    assert router.one("SELECT COUNT(*) FROM alarm WHERE code = 'forward-ended'") == 1


def _refuse(body):
    if body.ev == "offer":
        raise ProtocolError("bad-body")


def test_an_end_refused_by_the_parents_sender_is_not_written_again_and_people_are_told(ambito, parent, monkeypatch):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    ambito[C].act(child, "accept")
    ambito[C].act(child, "close", outcome="OU-EROGATO")
    checked = inbox._check_event
    monkeypatch.setattr(inbox, "_check_event", lambda body: _not_close(body, parent, checked))
    ambito.carry()
    monkeypatch.undo()
    ambito.carry()
    assert state(router, parent) == "accepted"
    router.run(router.exchange.tick)
    ambito.carry()
    written = router.store.read(
        lambda db: db.execute("SELECT COUNT(*) FROM event WHERE leg = ? AND kind = 'close'", (parent,)).fetchone()[0]
    )
    assert written == 1
    assert router.one("SELECT COUNT(*) FROM alarm WHERE code = 'forward-ended'") == 1


def _not_close(body, leg, checked):
    if isinstance(body, EventBody) and body.leg == leg and body.ev == "close":
        raise ProtocolError("bad-body")
    checked(body)


def test_what_came_apart_is_told_once(ambito, parent):
    """The parent's sender declares it lapsed while the child is being worked on: nothing is undone by a program."""
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    ambito[C].act(child, "accept")
    ambito.carry()
    ambito.clock.at += 40 * 86400
    ambito[S].act(parent, "lapse", reason="silent")
    ambito.carry()
    router.run(router.exchange.tick)
    assert state(router, child) == "accepted"
    assert router.one("SELECT COUNT(*) FROM alarm WHERE code = 'forward-apart' AND leg = ?", child) == 1
    assert custodians(ambito, parent, S, R) == [S, S]


def test_two_routers_in_a_row_pass_the_outcome_all_the_way_back(ambito, parent):
    first = forward(ambito[R], parent, E)
    ambito.carry()
    ambito[E].act(first, "accept")
    second = forward(ambito[E], first, C)
    ambito.carry()
    assert ambito[C].case(second).offer.path == [S, R, E]
    ambito[C].act(second, "accept")
    ambito[C].act(second, "close", outcome="OU-DOMPRES")
    ambito.carry()
    assert [state(ambito[name], leg) for name, leg in ((E, first), (R, parent), (S, parent))] == ["closed"] * 3
    assert ambito[S].one("SELECT outcome FROM event WHERE leg = ? AND kind = 'close'", parent) == "OU-DOMPRES"


# -- crash and repetition


def test_what_the_program_writes_falls_and_stands_with_what_caused_it(ambito, parent, monkeypatch):
    """A crash before the commit takes the child's event and the parent's end together; the repetition brings both once."""
    router, child_desk = ambito[R], ambito[C]
    child = forward(router, parent, C)
    ambito.carry()
    child_desk.act(child, "accept")
    child_desk.act(child, "close", outcome="OU-EROGATO")
    (parcel,) = child_desk.due()
    write = forwarding._write

    def crash(tx, ctx, leg, writer, ev, **codes):
        write(tx, ctx, leg, writer, ev, **codes)
        if ev == "close":
            raise MemoryError
        return [leg.leg]

    monkeypatch.setattr(forwarding, "_write", crash)
    with pytest.raises(MemoryError):
        router.receive(parcel.items)
    monkeypatch.undo()
    assert (state(router, child), state(router, parent)) == ("offered", "accepted")
    for _ in range(3):  # delivered again, and again
        child_desk.answered(parcel, router.receive(parcel.items).answer)
    ambito.carry()
    assert state(ambito[S], parent) == "closed"
    assert kinds(router, parent).count("close") == 1
    assert kinds(router, parent).count("forwarded") == len(set(mirrored(router, parent)))


def test_with_a_wrong_clock_the_child_s_event_is_taken_and_the_parent_follows_when_it_is_right(ambito, parent):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    ambito[C].act(child, "accept")
    ambito[C].act(child, "close", outcome="OU-EROGATO")
    router.run(lambda tx: set_setting(tx, "clock_offset", "4000"))
    refused("clock-wrong", forward, router, parent, D)
    ambito.carry()
    assert (state(router, child), state(router, parent)) == ("closed", "accepted")
    router.run(lambda tx: set_setting(tx, "clock_offset", "0"))
    router.run(router.exchange.tick)
    ambito.carry()
    assert state(ambito[S], parent) == "closed"


def test_while_the_parents_sender_is_suspended_the_childs_end_is_taken_and_ours_waits(ambito, parent):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    ambito[C].act(child, "accept")
    ambito[C].act(child, "close", outcome="OU-EROGATO")
    ambito.change(caritas={"status": "suspended"})
    for parcel in ambito[C].due():
        ambito[C].answered(parcel, router.receive(parcel.items).answer)
    assert state(router, parent) == "closed"
    waiting = router.store.read(
        lambda db: db.execute("SELECT dest, s, next_at FROM outgoing WHERE leg = ?", (parent,)).fetchall()
    )
    assert set(waiting) == {(S, "", None)}  # filled when there is a key to seal to again (outbox.reseal_stale)


# -- bad input


def test_who_is_no_router_forwards_nothing(ambito):
    ambito.network.change(R, admission=ambito.network.admission(R, seq=3, caps=[]))
    ambito.membership = ambito.network.step(ambito.membership)
    ambito.adopt()
    parent = accepted(ambito)
    refused("not-a-router", forward, ambito[R], parent, C)


def test_a_parent_not_accepted_or_in_charge_or_sent_by_us_is_not_forwarded(ambito):
    leg = ambito[S].refer(C).leg
    ambito.carry()
    refused("forward-not-accepted", forward, ambito[C], leg, D)
    ambito[C].act(leg, "accept")
    ambito[C].act(leg, "start")
    refused("forward-not-accepted", forward, ambito[C], leg, D)
    own = ambito[C].refer(D).leg
    refused("forward-not-accepted", forward, ambito[C], own, R)


def test_a_second_child_waits_for_the_end_of_the_first(ambito, parent):
    child = forward(ambito[R], parent, C)
    refused("forward-open", forward, ambito[R], parent, D)
    ambito[R].act(child, "cancel", reason="other-way")
    refused("forward-open", forward, ambito[R], parent, D)  # provisional until C has said how far it was
    ambito.carry()
    forward(ambito[R], parent, D)


def test_a_way_that_turns_in_a_circle_is_refused_by_who_writes_it(ambito, parent):
    refused("forward-loop", forward, ambito[R], parent, S)
    refused("to-self", forward, ambito[R], parent, R)
    first = forward(ambito[R], parent, E)
    ambito.carry()
    ambito[E].act(first, "accept")
    for name in (S, R):
        refused("forward-loop", forward, ambito[E], first, name)


def test_a_fourth_hop_is_refused_by_who_writes_it(ambito, parent):
    leg, way = parent, (E, C, D)
    for here, to in zip((R, E, C), way, strict=True):
        leg = forward(ambito[here], leg, to)
        ambito.carry()
        ambito[to].act(leg, "accept")
    ambito.network.add("onda", admission=ambito.network.admission("onda"), routes=ambito.network.routes("onda"))
    ambito.membership = ambito.network.step(ambito.membership)
    ambito.adopt()
    assert ambito[D].case(leg).offer.path == [S, R, E, C]
    refused("forward-hops", forward, ambito[D], leg, "onda")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ([S, C, R], "forward-loop"),  # C is who reads it
        ([S, R, S, R], "forward-loop"),
        (["uno", "due", "tre", S, R], "forward-hops"),
        ([], "bad-body"),
        ([R, S], "bad-body"),
    ],
)
def test_a_way_that_cannot_be_is_refused_by_who_reads_it_and_nothing_is_lost(ambito, parent, monkeypatch, path, code):
    monkeypatch.setattr(cases, "next_path", lambda *_, **__: path)
    child = forward(ambito[R], parent, C)
    monkeypatch.undo()
    ambito.carry()
    assert ambito[C].one("SELECT COUNT(*) FROM leg") == 0
    assert ambito[C].one("SELECT k, prob FROM inbox") == ("rejected", code)
    assert state(ambito[R], child) == "undeliverable"
    assert state(ambito[S], parent) == "accepted"
    forward(ambito[R], parent, D)


def test_a_way_is_never_given_by_hand(ambito):
    refused("bad-shape", ambito[S].refer, R, path=[S])


def test_consent_for_the_router_does_not_cover_the_next_office(ambito):
    consent = msgspec.structs.replace(BASIS, consent_to=R, consent_how="signed")
    parent = accepted(ambito, basis=consent)
    refused("basis-required", forward, ambito[R], parent, C)
    unnamed = msgspec.structs.replace(BASIS, consent_how="spoken")
    refused("basis-required", forward, ambito[R], parent, C, basis=unnamed)
    forward(ambito[R], parent, C, basis=msgspec.structs.replace(BASIS, consent_to=C, consent_how="spoken"))


def test_a_person_without_a_basis_goes_no_further(ambito, monkeypatch):
    monkeypatch.setattr("node.cases.desk.check_offer", lambda *_: None)  # an older program sent it so
    parent = accepted(ambito, basis=msgspec.UNSET)
    refused("basis-required", forward, ambito[R], parent, C)


def test_unknown_suspended_and_incapable_offices_are_refused(ambito):
    parent = accepted(ambito, referral="RK-SEGN")
    refused("unknown-recipient", forward, ambito[R], parent, "nessuno")
    refused("incapable-recipient", forward, ambito[R], parent, E, referral="RK-PUA")
    ambito.change(distretto={"status": "suspended"})
    refused("suspended", forward, ambito[R], parent, C)
    assert ambito[R].one("SELECT COUNT(*) FROM leg WHERE parent IS NOT NULL") == 0


def test_a_volunteer_and_a_technician_forward_nothing(ambito, parent):
    from node.cases import operators

    router = ambito[R]
    for code, role in (("VO", "RL-VOLONT"), ("TE", "RL-TECNICO")):
        router.run(lambda tx, code=code, role=role: operators.add(tx, code, role, None, T0))
        refused("role-forbidden", forward, router, parent, C, as_=code)


def test_an_amended_child_keeps_its_way(ambito, parent):
    child = forward(ambito[R], parent, C)
    sheet = offer(description="integrata", path=["altri"])
    ambito[R].act(child, "amend", offer=sheet)
    ambito.carry()
    held = ambito[C].case(child).offer
    assert (held.description, held.path, held.parent) == ("integrata", [S, R], parent)


def test_the_screen_of_a_forwarded_referral_offers_only_what_may_be_done(ambito, parent):
    forward(ambito[R], parent, C)
    shown = ambito[R].run(lambda tx: views.case(tx, ambito[R].ctx, parent, "OP")).allowed
    assert {"ask", "noted", "appointment"} <= set(shown)
    assert not {"start", "close", "withdraw", "release", "waitlist"} & set(shown)


def test_a_correction_of_a_forwarded_referral_stays_in_sight_until_a_person_sent_it_on_or_noted_it(ambito, parent):
    """The program's own facts note nothing: the next office would work with what was wrong."""
    router = ambito[R]

    def seen():
        found = router.one("SELECT COUNT(*) FROM alarm WHERE code = 'forward-amended' AND cleared IS NULL")
        return router.case(parent).pending_amendments, found

    ambito[S].act(parent, "amend", as_="OP", offer=offer(description="prima dell'inoltro"))
    ambito.carry()
    child = forward(router, parent, C)
    ambito.carry()
    assert ambito[C].case(child).offer.description == "prima dell'inoltro" and seen() == ([], 0)
    ambito[S].act(parent, "amend", as_="OP", offer=offer(description="quella giusta"))
    ambito[C].act(child, "accept")
    ambito.carry()
    assert mirrored(router, parent)[-1] == (C, "RS-ACCETTATA") and seen() == ([3], 1)
    router.act(child, "amend", as_="OP", offer=offer(description="quella giusta"))
    ambito.carry()
    assert seen() == ([], 0)
    ambito[S].act(parent, "amend", as_="OP", offer=offer(description="non serve oltre"))
    ambito.carry()
    assert seen() == ([4], 1)
    router.act(parent, "noted", as_="OP", text="vista")
    assert seen() == ([], 0)
