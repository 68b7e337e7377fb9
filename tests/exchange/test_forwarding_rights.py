"""A referral passed on meets the rest: erasure, limitation, attachments, a restored store, a fault of the program."""

import pytest

from node import requests as ask
from node.cases import choices, desk, erasure, late, person, views
from node.cases.routing import Advice, Note, Proposed
from node.context import set_setting
from node.exchange import erasing, forwarding, restored
from node.exchange.erased import tombstone
from node.exchange.log import leg_row
from node.requests import NewFile
from node.runtime.config import RetentionConfig
from tests.exchange import filing
from tests.exchange.desks import offer
from tests.exchange.routers import C, D, R, S, accepted, forward, kinds, mirrored, refused, routed, state

KEEP = RetentionConfig()
SERVICES = {C: "3b7e1a52-0c4d-4e6f-8a1b-2c3d4e5f6a7b", D: "3b7e1a52-0c4d-4e6f-8a1b-2c3d4e5f6a7c"}
WHY = "Zxqw motivo riservato della scelta"


@pytest.fixture
def ambito(tmp_path):
    made = routed(tmp_path)
    for each in made.desks.values():
        each.ctx.part_bytes = filing.PART
    return made


@pytest.fixture
def parent(ambito):
    return accepted(ambito)


@pytest.fixture
def advised(monkeypatch):
    """The map proposes C, then D."""
    found = [
        Proposed(
            service=SERVICES[name],
            name=name,
            node=name,
            member=name,
            reasons=[Note("near", "")],
            warnings=[],
            opening="",
        )
        for name in (C, D)
    ]
    monkeypatch.setattr(choices, "advise", lambda *_: Advice(proposals=found, first=[], total=2))


def erase(each, leg, reason="court-order", **more):
    request = ask.Erase(leg=leg, as_="RE", reason=reason, basis="prot. 12/2026", **more)
    return each.run(lambda tx: erasure.erase(tx, each.ctx, request, KEEP))


def answer(each, leg):
    request = ask.AnswerErase(leg=leg, as_="RE", accept=True)
    return each.run(lambda tx: erasure.answer(tx, each.ctx, request, KEEP))


def limit(each, leg, reason="accuracy"):
    return each.run(lambda tx: erasure.limit(tx, each.ctx, ask.Limit(leg=leg, as_="RE", reason=reason)))


def choose(each, leg, node, **more):
    request = ask.ChooseRoute(leg=leg, node=node, service=SERVICES[node], as_="OP", need="NA-DOMIC", why=WHY, **more)
    return each.run(lambda tx: choices.choose(tx, each.ctx, request))


def bodies(each, leg):
    return each.one("SELECT COUNT(*) FROM event WHERE leg = ? AND sealed IS NOT NULL", leg)


def keys(each):
    return each.one("SELECT COUNT(*) FROM case_key")


def alarms(each, code):
    return each.one("SELECT COUNT(*) FROM alarm WHERE code = ? AND cleared IS NULL", code)


def is_erased(each, leg):
    return each.store.read(lambda db: tombstone(db, leg)) is not None


def asked_of_us(each):
    found = each.store.read(lambda db: views.erasures(db, each.ctx))
    return [(one.leg, one.reason, one.state) for one in found if not one.own]


# -- erasing


def test_erasing_a_referral_nobody_accepted_further_on_takes_every_copy_here_and_asks_both_sides(ambito, parent):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    done = erase(router, parent)
    assert set(done.legs) == set(done.asked) == {parent, child}
    ambito.carry()
    assert (state(router, parent), state(router, child)) == ("released", "cancelled")
    assert (bodies(router, parent), bodies(router, child), keys(router)) == (0, 0, 0)
    assert asked_of_us(ambito[S]) == [(parent, "court-order", "arrived")]
    assert asked_of_us(ambito[C]) == [(child, "court-order", "arrived")]
    router.run(router.exchange.tick)
    assert alarms(router, "forward-apart") == 0  # both ends are over: nothing came apart
    assert router.case(parent, as_="RE").custodian == S
    assert keys(router) == 0  # looking at it makes no key


def test_a_referral_accepted_further_on_ends_there_before_it_is_erased(ambito, parent):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    ambito[C].act(child, "accept")
    ambito.carry()
    before = router.one("SELECT COUNT(*), MAX(rowid) FROM event"), bodies(router, parent)
    refused("forward-open", erase, router, parent)
    assert (router.one("SELECT COUNT(*), MAX(rowid) FROM event"), bodies(router, parent)) == before
    router.act(child, "cancel", as_="OP", reason="other-way")
    ambito.carry()
    refused("forward-open", erase, router, parent)  # asked to stop, and still there
    ambito[C].act(child, "release", reason="cancel-agreed")
    ambito.carry()
    assert set(erase(router, parent).legs) == {parent, child}
    assert keys(router) == 1  # until the end it wrote has its signed answer
    ambito.carry()
    assert keys(router) == 0


def test_an_end_that_crossed_an_erasure_is_told_to_people(ambito, parent):
    """C accepted before it saw the cancel: the person is in its hands, and our own copy is gone."""
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    ambito[C].act(child, "accept")
    erase(router, parent)
    ambito.carry()
    assert (state(router, parent), state(router, child)) == ("released", "cancel-requested")
    assert alarms(router, "forward-apart") == 1
    ambito[C].act(child, "keep")
    ambito.carry()
    assert is_erased(router, child) and bodies(router, child) == 0
    assert state(router, child) == "accepted"


def test_what_the_first_sender_asks_to_erase_is_asked_in_turn_of_whoever_got_it_from_us(ambito, parent):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    ambito[C].act(child, "decline", reason="DR-POSTI")
    ambito.carry()
    router.act(parent, "release", as_="OP", reason="DR-POSTI")
    ambito.carry()
    erase(ambito[S], parent, reason="data-subject")
    ambito.carry()
    assert asked_of_us(router) == [(parent, "data-subject", "arrived")]
    answer(router, parent)
    ambito.carry()
    assert is_erased(router, parent) and is_erased(router, child) and keys(router) == 0
    assert asked_of_us(ambito[C]) == [(child, "data-subject", "arrived")]
    assert asked_of_us(ambito[S]) == []  # it asked; nobody asks it back
    answer(ambito[C], child)
    ambito.carry()
    assert bodies(ambito[C], child) == 0
    assert alarms(router, "erasure-refused") == 0


def test_what_the_next_office_asks_to_erase_is_what_it_got_and_nothing_else(ambito, parent):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    erase(ambito[C], child, reason="data-subject")
    ambito.carry()
    held = bodies(router, parent)
    answer(router, child)
    ambito.carry()
    assert is_erased(router, child) and bodies(router, child) == 0
    assert not is_erased(router, parent) and bodies(router, parent) >= held and keys(router) == 1
    assert asked_of_us(ambito[S]) == []
    assert mirrored(router, parent)[-1] == (C, "RS-RESPINTA")  # it declined before it erased; the facts go on
    again = forward(router, parent, D)
    ambito.carry()
    assert ambito[D].case(again).offer.person.family_name


def test_a_recall_of_what_was_passed_on_waits_for_a_person_and_reaches_the_next_office(ambito):
    router, parent = ambito[R], accepted(ambito, steps=("accept",))
    child = forward(router, parent, C)
    ambito.carry()
    ambito[S].run(lambda tx: erasure.recall(tx, ambito[S].ctx, ask.Recall(leg=parent, as_="OP")))
    ambito.carry()
    assert state(router, child) == "cancelled" and state(router, parent) == "cancelled"  # passed on and answered
    assert not is_erased(router, parent)
    answer(router, parent)
    ambito.carry()
    assert is_erased(router, parent) and bodies(ambito[C], child) == 0  # nobody had opened it there: at once
    told = ambito[S].store.read(lambda db: views.erasures(db, ambito[S].ctx))
    assert [one.opened_by for one in told] == ["OP"]  # who passed it on has had it in hand


def test_a_choice_goes_with_the_referral_and_no_key_comes_back(ambito, parent, advised):
    router = ambito[R]
    child = choose(router, parent, D).leg
    ambito.carry()
    ambito[D].act(child, "decline", reason="DR-POSTI")
    ambito.carry()
    assert router.one("SELECT COUNT(*) FROM routing_choice") == 1
    erase(router, parent)
    ambito.carry()
    assert (router.one("SELECT COUNT(*) FROM routing_choice"), keys(router)) == (0, 0)
    again = ask.Case(leg=parent, as_="RE")
    assert router.run(lambda tx: choices.chosen(tx, router.ctx, again)) == []
    refused("erased", choose, router, parent, C)
    refused("erased", forward, router, parent, C)
    assert keys(router) == 0


def test_a_restored_store_routes_and_reminds_nobody_of_what_was_erased(ambito, parent):
    """erased.list is applied to a store in which the referral is still open."""
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    router.run(lambda tx: erasing.reapply(tx, router.ctx, [parent, child]))
    before = kinds(router, parent)
    ambito.clock.at += 200 * 86400
    router.run(router.exchange.tick)
    assert router.store.read(lambda db: choices.to_route(db, router.ctx)) == []
    assert router.store.read(lambda db: late.late(db, router.ctx)) == []
    ambito[C].act(child, "decline", reason="DR-POSTI")
    ambito.carry()
    assert kinds(router, parent) == before and keys(router) == 0  # nothing is mirrored on what was erased


def test_everything_held_about_a_person_holds_why_another_office_was_chosen(ambito, advised):
    router = ambito[R]
    parent = accepted(ambito, person=person.Person(family_name="Inventata", birth_year=1941))
    child = choose(router, parent, D).leg
    request = ask.FindPerson(as_="RE", family_name="Inventata", birth_year=1941)
    found = router.store.read(lambda db: person.find(db, router.ctx, request, KEEP))
    assert {case.leg for case in found.cases} == {parent, child}
    assert [(one.node, one.why) for case in found.cases for one in case.choices] == [(D, WHY)]
    other = ask.FindPerson(as_="RE", tax_code="riservato")
    assert router.store.read(lambda db: person.find(db, router.ctx, other, KEEP)).mentions == [parent]


# -- limiting


def test_a_limited_case_is_neither_routed_nor_passed_on_nor_reminded_of(ambito, parent, advised):
    router = ambito[R]
    router.act(parent, "waitlist", as_="OP")
    ambito.clock.at += 200 * 86400
    ambito.change()
    assert [one.leg for one in router.store.read(lambda db: late.late(db, router.ctx))] == [parent]
    limit(router, parent)
    assert router.store.read(lambda db: late.late(db, router.ctx)) == []
    router.run(router.exchange.tick)
    assert alarms(router, "still-needed") == 0
    refused("limited", forward, router, parent, C)
    refused("limited", choose, router, parent, C)
    case = ask.RouteCase(leg=parent, as_="OP", need="NA-DOMIC")
    refused("limited", router.run, lambda tx: choices.proposals(tx, router.ctx, case))
    refused("limited", router.run, lambda tx: choices.chosen(tx, router.ctx, ask.Case(leg=parent, as_="OP")))
    limit(router, parent, None)
    router.run(router.exchange.tick)
    assert alarms(router, "still-needed") == 1
    assert choose(router, parent, C).leg != parent


def test_a_limited_case_leaves_the_queue_and_comes_back_when_the_mark_is_lifted(ambito, parent):
    def queue():
        return [one.leg for one in ambito[R].store.read(lambda db: choices.to_route(db, ambito[R].ctx))]

    assert queue() == [parent]
    limit(ambito[R], parent)
    assert queue() == []
    limit(ambito[R], parent, None)
    assert queue() == [parent]


def test_of_a_limited_case_that_was_passed_on_the_codes_go_on(ambito, parent):
    """The state of both ends is the same for everybody; nobody here reads or works on it."""
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    limit(router, parent)
    ambito[C].act(child, "accept")
    ambito[C].act(child, "close", outcome="OU-EROGATO")
    ambito.carry()
    assert [state(ambito[name], parent) for name in (R, S)] == ["closed", "closed"]
    refused("limited", router.case, child)  # a child is the same case


# -- attachments


def with_files(ambito, *sizes):
    """An accepted referral with one file for each size; returns its leg and the files."""
    made = [filing.made(size, seed=size) for size in sizes]
    leg = filing.refer(ambito[S], R, *made)
    ambito.carry()
    ambito[R].act(leg, "accept", as_="OP")
    ambito.carry()
    return leg, made


def test_no_attachment_is_passed_on_by_itself(ambito):
    parent, _ = with_files(ambito, 250, 130)
    child = forward(ambito[R], parent, C)
    ambito.carry()
    assert filing.listed(ambito[C], child) == [] and filing.listed(ambito[R], child) == []
    assert filing.states(ambito[R], parent) == ["complete", "complete"]


def test_the_attachments_a_person_names_are_passed_on_whole(ambito):
    parent, made = with_files(ambito, 250, 130)
    child = forward(ambito[R], parent, C, attachments=[2, 2])
    ambito.carry()
    (line,) = filing.listed(ambito[C], child)
    assert (line.name, line.state, line.writer) == ("carta 1.pdf", "complete", "S")
    assert filing.saved(ambito[C], child) == made[1]
    assert filing.states(ambito[R], child) == ["confirmed"]


def test_an_attachment_that_is_not_here_whole_or_not_at_all_is_not_passed_on_and_nothing_is_sent(ambito):
    parent = filing.refer(ambito[S], R, filing.made(900))
    for parcel in ambito[S].due():  # the referral, and none of its parts
        ambito[S].answered(parcel, ambito[R].receive(parcel.items).answer)
    router = ambito[R]
    router.act(parent, "accept", as_="OP")
    refused("attachment-arriving", forward, router, parent, C, attachments=[1])
    refused("attachment-unknown", forward, router, parent, C, attachments=[2])
    assert router.one("SELECT COUNT(*) FROM leg WHERE side = 'S'") == 0
    assert mirrored(router, parent) == []


def test_attachments_passed_on_are_erased_with_the_case_and_live_on_without_it(ambito):
    """Every leg keeps its own: what is erased of the next office's referral stays with the first one."""
    parent, made = with_files(ambito, 250)
    router = ambito[R]
    child = forward(router, parent, C, attachments=[1])
    ambito.carry()
    erase(ambito[C], child, reason="data-subject")
    ambito.carry()
    answer(router, child)
    assert filing.saved(router, parent) == made[0]
    erase(router, parent)
    ambito.carry()
    assert router.one("SELECT (SELECT COUNT(*) FROM blob), (SELECT COUNT(*) FROM blob_part)") == (0, 0)


def test_the_attachments_of_a_limited_case_are_read_by_who_reads_the_case(ambito):
    parent, _ = with_files(ambito, 250)
    limit(ambito[R], parent)
    refused("limited", filing.listed, ambito[R], parent)
    refused("limited", filing.saved, ambito[R], parent)
    limit(ambito[R], parent, None)
    assert filing.states(ambito[R], parent) == ["complete"]


# -- a restored store


def test_a_restored_router_opens_no_child_and_writes_nothing_of_an_old_one_until_it_was_told(ambito, parent):
    router = ambito[R]
    child = forward(router, parent, C)
    ambito.carry()
    waiting = accepted(ambito)
    router.run(lambda tx: restored.mark(tx, ambito.clock.at))
    error = refused("resync-open", forward, router, waiting, D)
    assert error.field == "leg"
    ambito[C].act(child, "accept")
    ambito[C].act(child, "close", outcome="OU-EROGATO")
    ambito.carry()
    router.run(router.exchange.tick)
    assert (state(router, child), state(router, parent)) == ("closed", "accepted")
    assert alarms(router, "forward-stuck") == 0  # it waits, it did not fail
    router.run(lambda tx: restored.answered(tx, S, ambito.clock.at))
    refused("resync-open", forward, router, waiting, D)  # every peer: the other one may hold a child of it
    router.run(lambda tx: restored.answered(tx, C, ambito.clock.at))
    router.run(router.exchange.tick)
    ambito.carry()
    assert [state(ambito[name], parent) for name in (R, S)] == ["closed", "closed"]
    assert forward(router, waiting, D)


def test_a_restored_router_forwards_what_it_received_since(ambito, parent):
    """Of a referral from after the restore no child can be forgotten."""
    router = ambito[R]
    router.run(lambda tx: restored.mark(tx, ambito.clock.at))
    rows = [router.store.read(lambda db: leg_row(db, parent))]
    ambito.clock.at += 10
    fresh = accepted(ambito, steps=("accept",))
    rows.append(router.store.read(lambda db: leg_row(db, fresh)))
    assert [router.store.read(lambda db, row=row: restored.may_open_child(db, row)) for row in rows] == [False, True]
    assert forward(router, fresh, D)


def test_children_stand_in_the_order_they_were_opened_whoever_gave_them_back_first(ambito, parent):
    """What is asked of the newest child must not go to an older one because a copy brought that one back last."""
    router = ambito[R]
    old = forward(router, parent, C)
    ambito.carry()
    ambito[C].act(old, "decline", reason="DR-POSTI")
    ambito.carry()
    new = forward(router, parent, D)
    ambito.carry()
    router.run(lambda tx: tx.execute("UPDATE event SET rowid = rowid + 1000 WHERE leg = ?", (old,)))
    known = router.store.read(lambda db: forwarding.family(db, router.ctx, parent))
    assert [row.leg for row in known.rows] == [old, new]
    ambito[S].act(parent, "cancel", as_="OP", reason="other-way")
    ambito.carry()
    assert (state(router, new), state(ambito[S], parent)) == ("cancelled", "cancelled")
    assert alarms(router, "forward-apart") == 0


# -- a fault of ours


def test_a_fault_in_one_referral_spoils_neither_what_arrived_nor_the_others_and_is_told(ambito, parent, monkeypatch):
    router = ambito[R]
    spoilt, other = forward(router, parent, C), accepted(ambito)
    good = forward(router, other, C)
    ambito.carry()
    write = forwarding._follow_one

    def fail(tx, ctx, leg):
        if leg == parent:
            write(tx, ctx, leg)
            raise ValueError("content that no log may show")
        return write(tx, ctx, leg)

    monkeypatch.setattr(forwarding, "_follow_one", fail)
    for child in (spoilt, good):
        ambito[C].act(child, "accept")
    ambito.carry()
    assert [state(router, leg) for leg in (spoilt, good)] == ["accepted", "accepted"]
    assert mirrored(router, other)[-1] == (C, "RS-ACCETTATA")
    assert mirrored(router, parent)[-1] == (C, "RS-CONSEGNATA")
    assert alarms(router, "forward-stuck") == 1
    assert {(fault.name, fault.what.split()[0]) for fault in router.exchange.faults} == {(parent, "ValueError")}
    router.act(parent, "noted", as_="OP", text="sentito per telefono")  # a person's step is not stopped by it
    monkeypatch.undo()
    router.run(router.exchange.tick)
    assert mirrored(router, parent)[-1] == (C, "RS-ACCETTATA")


def test_a_wrong_clock_stops_a_new_child_and_its_files(ambito, parent):
    router = ambito[R]
    router.run(lambda tx: set_setting(tx, "clock_offset", "4000"))
    refused("clock-wrong", forward, router, parent, C, attachments=[1])


def test_an_offer_with_papers_is_what_this_office_sends_not_what_it_got(ambito):
    """The next office reads our name on what we chose; the first sender's event numbers stay with us."""
    parent = accepted(ambito)
    paper = NewFile(name="relazione.pdf", content=filing.made(120))
    request = ask.Act(leg=parent, ev="amend", as_="OP", offer=offer(), files=[paper])
    ambito[S].run(lambda tx: desk.act(tx, ambito[S].ctx, request))
    ambito.carry()
    child = forward(ambito[R], parent, C, attachments=[1])
    ambito.carry()
    (line,) = filing.listed(ambito[C], child)
    assert (line.n, line.writer, line.name) == (1, "S", "relazione.pdf")
