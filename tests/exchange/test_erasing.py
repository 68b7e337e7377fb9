"""Erasure between two desks: what goes, what stays, what is answered, and that nothing brings it back (SECURITY I17)."""

import pytest

from node import requests as ask
from node.cases import desk, erasure, views
from node.exchange import erased_list, erasing, takeback
from node.runtime.backup import ERASED_NAME
from node.runtime.config import RetentionConfig
from node.vault import access
from protocol.errors import ProtocolError
from protocol.limits import DAY, LIFETIME_MAX
from tests.exchange import filing
from tests.exchange.desks import Ambito, raw_files, states

KEEP = RetentionConfig(erase_after=24, keep=60)
CANARY = "canarino-verde"


@pytest.fixture
def ambito(tmp_path):
    return Ambito(tmp_path, "tavullia", "distretto", "pesaro")


@pytest.fixture
def pair(ambito):
    """tavullia and distretto, each with a head of the service, RE."""
    for name in ("tavullia", "distretto", "pesaro"):
        each = ambito[name]
        each.run(lambda tx: desk.operators.add(tx, "RE", "RL-RESP", None, 0))
    return ambito["tavullia"], ambito["distretto"]


def refused(code):
    return pytest.raises(ProtocolError, check=lambda error: error.code == code)


def erase(each, leg, reason="data-subject", **more):
    request = ask.Erase(leg=leg, as_="RE", reason=reason, basis="prot. 12/2026", **more)
    return each.run(lambda tx: erasure.erase(tx, each.ctx, request, KEEP))


def answer(each, leg, accept=True, reason=None):
    request = ask.AnswerErase(leg=leg, as_="RE", accept=accept, reason=reason)
    return each.run(lambda tx: erasure.answer(tx, each.ctx, request, KEEP))


def recall(each, leg, as_="OP"):
    return each.run(lambda tx: erasure.recall(tx, each.ctx, ask.Recall(leg=leg, as_=as_)))


def asked(each, leg):
    """(own, reason, state, answer_reason, opened_by) of every request about a leg."""
    found = each.store.read(lambda db: views.erasures(db, each.ctx))
    return [(one.own, one.reason, one.state, one.answer_reason, one.opened_by) for one in found if one.leg == leg]


def bodies_left(each, leg=None):
    return each.one(
        "SELECT COUNT(*), (SELECT COUNT(*) FROM case_key) FROM event WHERE sealed IS NOT NULL AND (?1 IS NULL OR leg = ?1)",
        leg,
    )


def closed(ambito, sender, receiver, **changes):
    """A referral that was answered and is over, nothing on its way."""
    leg = sender.refer(receiver.name, description=CANARY, **changes).leg
    ambito.carry()
    receiver.act(leg, "open", as_="OP")
    receiver.act(leg, "decline", as_="OP", reason="DR-POSTI", text=CANARY)
    ambito.carry()
    return leg


def ciphertexts(each, leg):
    """What of a leg lies encrypted in the store and its queue, as bytes."""
    rows = each.store.read(lambda db: db.execute("SELECT sealed FROM event WHERE leg = ?", (leg,)).fetchall())
    queued = each.store.read(
        lambda db: db.execute("SELECT s FROM outgoing WHERE leg = ? AND length(s) > 0", (leg,)).fetchall()
    )
    keys = each.store.read(lambda db: db.execute("SELECT wrapped FROM case_key").fetchall())
    return [row[0] for row in (*rows, *keys) if row[0]] + [row[0].encode() for row in queued]


def tidied(each):
    return erased_list.tidy(each.store, each.store.path.parent)


# -- what goes and what stays


@pytest.mark.feature("F002-29")
def test_after_an_erasure_neither_the_words_nor_their_ciphertext_lie_in_any_file(ambito, pair):
    a, b = pair
    leg = closed(ambito, a, b)
    secrets = {each: ciphertexts(each, leg) for each in pair}
    assert all(len(found) >= 3 for found in secrets.values())
    erase(a, leg)
    ambito.carry()
    answer(b, leg)
    ambito.carry()
    for each in pair:
        assert tidied(each)
        files = raw_files(each)
        assert CANARY.encode() not in files and b"Inventata" not in files
        for secret in secrets[each]:
            assert secret not in files, "ciphertext left behind"
            assert secret[12:44] not in files and secret[-32:] not in files, "a piece of it left behind"
        assert bodies_left(each) == (0, 0)


@pytest.mark.parametrize("whole", [True, False], ids=["arrived", "on its way"])
def test_attachments_go_with_the_referral_wherever_they_are(ambito, pair, whole):
    a, b = pair
    for each in pair:
        each.ctx.part_bytes = filing.PART
    leg = filing.refer(a, "distretto", filing.made(730))
    if whole:
        ambito.carry(60)
    else:
        [event] = a.due()
        a.answered(event, b.receive(event.items).answer)
        assert a.one("SELECT COUNT(*) FROM part_out") > 0
    b.act(leg, "decline", reason="DR-COMPTERR")
    ambito.carry(60 if whole else 0)
    if not whole:
        b.run(lambda tx: tx.execute("DELETE FROM outgoing"))
        a.run(lambda tx: erasing.reapply(tx, a.ctx, [leg]))
    else:
        erase(a, leg)
        ambito.carry()
        answer(b, leg)
        ambito.carry()
    for each in pair if whole else (a,):
        assert each.one("SELECT (SELECT COUNT(*) FROM blob), (SELECT COUNT(*) FROM part_out)") == (0, 0)
        assert bodies_left(each) == (0, 0)


def test_the_skeleton_stays_and_the_state_with_it(ambito, pair):
    a, b = pair
    leg = closed(ambito, a, b)
    skeleton = (
        "SELECT group_concat(leg || writer || n || seen || kind || COALESCE(reason, '') || jti || cm || at) FROM event"
    )
    before = [each.one(skeleton) for each in pair]
    erase(a, leg)
    ambito.carry()
    answer(b, leg)
    ambito.carry()
    assert [each.one(skeleton) for each in pair] == before
    assert states(leg, a, b) == ["declined", "declined"]
    for each in pair:
        view = each.case(leg)
        assert view.offer is None and view.line.words.startswith("Cancellato il ") and view.line.erased
        assert [step.ev for step in view.steps] == ["offer", "open", "decline"]
        assert all(step.text is None and step.by is None for step in view.steps)


def test_the_request_is_tracked_until_it_is_answered(ambito, pair):
    a, b = pair
    leg = closed(ambito, a, b)
    erase(a, leg)
    assert asked(a, leg) == [(True, "data-subject", "queued", None, None)]
    ambito.carry()
    assert asked(a, leg) == [(True, "data-subject", "arrived", None, None)]
    assert asked(b, leg) == [(False, "data-subject", "arrived", None, None)]
    assert b.one("SELECT code FROM alarm WHERE leg = ?", leg) == "erasure-asked"
    answer(b, leg)
    assert b.one("SELECT COUNT(*) FROM alarm WHERE cleared IS NULL") == 0
    ambito.carry()
    assert asked(a, leg) == [(True, "data-subject", "erased", None, None)]
    assert a.one("SELECT COUNT(*) FROM letter WHERE raw IS NOT NULL") == 0, "nothing of a letter after its end"
    assert a.one("SELECT COUNT(*) FROM outgoing") == b.one("SELECT COUNT(*) FROM outgoing") == 0


def test_a_refusal_comes_back_with_its_reason_and_the_other_keeps_its_copy(ambito, pair):
    a, b = pair
    leg = closed(ambito, a, b)
    erase(a, leg)
    ambito.carry()
    with refused("unknown-code"):
        answer(b, leg, accept=False, reason="mi-va")
    answer(b, leg, accept=False, reason="legal-claim")
    ambito.carry()
    assert asked(a, leg) == [(True, "data-subject", "refused", "legal-claim", None)]
    assert a.one("SELECT code FROM alarm WHERE leg = ?", leg) == "erasure-refused"
    assert bodies_left(a)[0] == 0 and bodies_left(b)[0] == 3
    assert b.case(leg).offer.description == CANARY
    with refused("not-asked"):
        answer(b, leg)


# -- open legs, queues


def test_an_open_referral_is_ended_first_and_that_step_still_arrives(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    b.act(leg, "open")
    ambito.carry()
    erase(a, leg)
    assert a.one("SELECT COUNT(*) FROM event WHERE sealed IS NOT NULL") == 1, "the step that still has to travel"
    ambito.carry()
    assert states(leg, a, b) == ["cancelled", "cancelled"]
    assert bodies_left(a) == (0, 0), "gone with its signed end"
    assert a.case(leg).line.final


def test_a_receiver_that_erases_an_open_referral_declines_it_first(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    erase(b, leg)
    ambito.carry()
    assert states(leg, a, b) == ["declined", "declined"]
    assert bodies_left(b) == (0, 0) and asked(a, leg) == [(False, "data-subject", "arrived", None, None)]


@pytest.mark.parametrize("seen", [True, False])
def test_a_queued_offer_is_replaced_by_a_void_that_travels(ambito, pair, seen):
    """`seen`: the receiver had it all the time, and only its receipt was lost."""
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    [parcel] = a.due()
    if seen:
        b.receive(parcel.items)
    erase(a, leg)
    assert a.one("SELECT state FROM leg") == "undeliverable"
    assert a.one("SELECT COUNT(*) FROM event WHERE kind = 'offer' AND sealed IS NOT NULL") == 0
    late = parcel.items
    ambito.carry()
    b.receive(late)
    ambito.carry()
    assert states(leg, a, b) == ["undeliverable", "undeliverable"]
    assert bodies_left(a) == (0, 0) and bodies_left(b) == (0, 0)
    assert asked(a, leg) == [(True, "data-subject", "erased", None, None)]


def test_an_erasure_asked_before_the_offer_arrives_keeps_nothing_of_it(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY, desk="Sportello Verde").leg
    [offered] = a.due()
    erase(a, leg)
    letters = a.due()
    b.receive([item for parcel in letters for item in parcel.items])
    received = b.receive(offered.items)
    assert received.answer.receipts, "a late event of an erased leg is acknowledged"
    assert bodies_left(b) == (0, 0) and b.one("SELECT desk_from FROM leg WHERE leg = ?", leg) is None
    ambito.carry()
    assert asked(a, leg) == [(True, "data-subject", "erased", None, None)]


def test_a_step_on_its_way_when_its_referral_is_erased_is_acknowledged_and_its_words_are_not_kept(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    b.act(leg, "ask", text=CANARY)
    [parcel] = b.due()
    erase(a, leg)
    answer_ = a.receive(parcel.items).answer
    b.answered(parcel, answer_)
    assert b.one("SELECT k FROM event WHERE kind = 'ask'") == "processed"
    assert a.one("SELECT kind, sealed, e FROM event WHERE writer = 'R'") == ("ask", None, "")
    a.receive(parcel.items)
    assert tidied(a) and CANARY.encode() not in raw_files(a)


def test_every_message_arriving_twice_changes_nothing(ambito, pair):
    a, b = pair
    leg = closed(ambito, a, b)
    everything = []
    erase(a, leg)
    for sender, receiver, act in ((a, b, lambda: answer(b, leg)), (b, a, lambda: None)):
        parcels = sender.due()
        everything += [(receiver, parcel.items) for parcel in parcels]
        for parcel in parcels:
            sender.answered(parcel, receiver.receive(parcel.items).answer)
        act()
    before = [each.one("SELECT group_concat(answer), COUNT(*) FROM erasure_request") for each in pair]
    for receiver, items in [*everything, *everything]:
        receiver.receive(items)
    assert [each.one("SELECT group_concat(answer), COUNT(*) FROM erasure_request") for each in pair] == before
    assert asked(a, leg) == [(True, "data-subject", "erased", None, None)]
    erase(a, leg)
    assert len(asked(a, leg)) == 2, "a new wish after an answer is a new request"
    erase(a, leg)
    assert len(asked(a, leg)) == 2, "the same wish again waits for its answer"
    ambito.carry()
    assert {state for _, _, state, _, _ in asked(a, leg)} == {"erased"}


def test_both_at_once(ambito, pair):
    a, b = pair
    leg = closed(ambito, a, b)
    erase(a, leg)
    erase(b, leg)
    ambito.carry()
    for each in pair:
        assert sorted(asked(each, leg)) == [
            (False, "data-subject", "erased", None, None),
            (True, "data-subject", "erased", None, None),
        ]
        assert bodies_left(each) == (0, 0)
    assert states(leg, a, b) == ["declined", "declined"]


def test_both_at_once_while_it_is_open(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    erase(a, leg)
    erase(b, leg)
    ambito.carry()
    assert states(leg, a, b) == ["declined", "declined"], "the receiver's log is the order"
    assert bodies_left(a) == bodies_left(b) == (0, 0)


# -- messages that wait


def test_a_request_that_nobody_fetched_in_thirty_days_is_sealed_again(ambito, pair):
    a, b = pair
    leg = closed(ambito, a, b)
    erase(a, leg)
    [before] = [parcel.mids for parcel in a.due()]
    ambito.clock.at += LIFETIME_MAX + 1
    ambito.membership = ambito.network.step(ambito.membership, now=ambito.clock.at)
    ambito.adopt()
    a.run(a.exchange.tick)
    [after] = [parcel.mids for parcel in a.due()]
    assert before != after
    ambito.carry()
    answer(b, leg)
    ambito.carry()
    assert asked(a, leg) == [(True, "data-subject", "erased", None, None)]
    assert a.one("SELECT COUNT(*) FROM outgoing") == 0, "the superseded sealing too"


def test_with_a_suspended_peer_the_content_goes_at_once_and_the_request_waits(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    as_before = ambito.membership
    ambito.clock.at += DAY
    ambito.change(distretto={"status": "suspended"})
    erase(a, leg)
    assert a.one("SELECT COUNT(*) FROM event WHERE kind = 'offer' AND sealed IS NOT NULL") == 0 and not a.due()
    assert asked(a, leg) == [(True, "data-subject", "queued", None, None)]
    ambito.membership = as_before
    ambito.adopt()
    a.run(a.exchange.tick)
    ambito.carry()
    assert states(leg, a, b) == ["cancelled", "cancelled"] and asked(b, leg)
    answer(b, leg)
    ambito.carry()
    assert asked(a, leg) == [(True, "data-subject", "erased", None, None)]


def test_a_program_that_does_not_know_the_request_says_so_and_people_are_told(ambito, pair, monkeypatch):
    a, b = pair
    leg = closed(ambito, a, b)
    erase(a, leg)
    monkeypatch.setattr("node.exchange.inbox.decode_event_body", _as_before)
    ambito.carry()
    assert asked(a, leg) == [(True, "data-subject", "unsupported", None, None)]
    assert a.one("SELECT code FROM alarm WHERE leg = ?", leg) == "rejected"


def _as_before(*_args, **_more):
    raise ProtocolError("unsupported", field="kind")


# -- hostile and mistaken requests


def test_a_stranger_erases_nothing(ambito, pair):
    a, b = pair
    c = ambito["pesaro"]
    leg = closed(ambito, a, b)
    row = b.store.read(lambda db: erasing.leg_row(db, leg))
    c.run(lambda tx: erasing.request(tx, c.ctx, row._replace(peer="distretto"), reason="data-subject", by="RE"))
    [parcel] = c.due()
    c.answered(parcel, b.receive(parcel.items).answer)
    assert c.one("SELECT k, prob FROM letter") == ("rejected", "not-your-leg")
    assert b.one("SELECT COUNT(*) FROM erasure_request") == 0 and bodies_left(b)[0] == 3


def test_an_erasure_asked_by_one_member_keeps_no_other_from_offering(ambito, pair):
    """The id of a leg nobody offered yet, named first by somebody else."""
    a, b = pair
    c = ambito["pesaro"]
    leg = a.refer("distretto", description=CANARY).leg
    row = a.store.read(lambda db: erasing.leg_row(db, leg))
    c.run(lambda tx: erasing.request(tx, c.ctx, row, reason="data-subject", by="RE"))
    [parcel] = c.due()
    b.receive(parcel.items)
    ambito.carry()
    assert b.case(leg).offer.description == CANARY


def test_an_answer_to_what_was_never_asked_changes_nothing(ambito, pair):
    a, b = pair
    leg = closed(ambito, a, b)
    b.run(
        lambda tx: tx.execute(
            "INSERT INTO erasure_request (jti, leg, peer, own, reason, at) VALUES (?, ?, 'tavullia', 0, 'unlawful', 1)",
            ("5b1c2f0e-1111-4222-8333-444455556666", leg),
        )
    )
    b.run(lambda tx: erasing.answer(tx, b.ctx, leg, "tavullia"))
    ambito.carry()
    assert asked(a, leg) == [] and bodies_left(a)[0] == 3


# -- the case, its hand-overs, what the law keeps


def test_the_hand_overs_of_a_case_go_with_it_and_the_key_with_the_last(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    b.act(leg, "open")
    inner = b.run(
        lambda tx: desk.hand_over(tx, b.ctx, desk.HandOver(leg=leg, desk_to="Sportello 2", as_="AS", text=CANARY))
    ).leg
    b.act(leg, "decline", reason="DR-POSTI")
    ambito.carry()
    erase(a, leg)
    ambito.carry()
    answer(b, leg)
    assert b.one("SELECT state FROM leg WHERE leg = ?", inner) == "cancelled"
    ambito.carry()
    assert bodies_left(b) == (0, 0)
    assert b.one("SELECT desk_to FROM leg WHERE leg = ?", inner) is None
    assert tidied(b) and CANARY.encode() not in raw_files(b)


def test_a_case_key_stays_while_another_leg_of_the_case_needs_it(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    inner = b.run(lambda tx: desk.hand_over(tx, b.ctx, desk.HandOver(leg=leg, desk_to="Sportello 2", as_="AS"))).leg
    b.run(lambda tx: erasing.reapply(tx, b.ctx, [leg]))
    assert b.case(inner).offer.description == CANARY
    b.run(lambda tx: erasing.reapply(tx, b.ctx, [inner]))
    assert bodies_left(b) == (0, 0)


def test_what_was_taken_in_charge_here_is_kept_as_long_as_the_law_wants(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    b.act(leg, "accept")
    b.act(leg, "start")
    ambito.carry()
    with refused("retention-duty"):
        erase(b, leg)
    b.act(leg, "close", outcome="OU-EROGATO")
    ambito.carry()
    with refused("retention-duty"):
        erase(b, leg)
    erase(a, leg)
    ambito.carry()
    with refused("retention-duty"):
        answer(b, leg)
    answer(b, leg, accept=False, reason="retention-duty")
    ambito.clock.at += 61 * 31 * DAY
    erase(b, leg, here_only=True)
    assert bodies_left(b) == (0, 0)


def test_a_court_order_stands_above_the_duty_but_a_person_in_charge_is_closed_first(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    b.act(leg, "accept")
    b.act(leg, "start")
    with refused("illegal-event"):
        erase(b, leg, reason="court-order")
    b.act(leg, "close", outcome="OU-EROGATO")
    erase(b, leg, reason="court-order")
    ambito.carry()
    assert bodies_left(b) == (0, 0) and states(leg, a, b) == ["closed", "closed"]


def test_an_erasure_needs_its_right_its_reason_and_an_act_without_a_person(ambito, pair):
    a, b = pair
    leg = closed(ambito, a, b)
    for request, code in (
        (ask.Erase(leg=leg, as_="OP", reason="unlawful", basis="x"), "role-forbidden"),
        (ask.Erase(leg=leg, as_="RE", reason="perche-si", basis="x"), "unknown-code"),
        (ask.Erase(leg=leg, as_="RE", reason="unlawful", basis="per RSSMRA85T10A562S"), "bad-shape"),
    ):
        with refused(code):
            a.run(lambda tx, request=request: erasure.erase(tx, a.ctx, request, KEEP))
    assert bodies_left(a)[0] == 3
    erase(a, leg)
    assert ("RE", "erase") in [(row.operator, row.action) for row in a.store.read(access.read)]


# -- recall


def test_a_referral_recalled_before_anybody_opened_it_is_erased_there_at_once(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    told = recall(a, leg)
    assert told.opened_at is None and "72 ore" in told.draft and "Persona Inventata" in told.draft
    ambito.carry()
    assert asked(a, leg) == [(True, "wrong-recipient", "erased", None, None)]
    assert states(leg, a, b) == ["cancelled", "cancelled"]
    assert bodies_left(b) == (0, 0)
    assert a.case(leg).offer.description == CANARY, "here it stays, for the right office"
    assert a.one("SELECT COUNT(*) FROM alarm WHERE code = 'recall-opened'") == 0


def test_a_recall_says_who_had_opened_it_and_when(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    b.case(leg, as_="AS")
    opened = ambito.clock.at
    ambito.clock.at += 3600
    recall(a, leg)
    ambito.carry()
    assert asked(a, leg) == [(True, "wrong-recipient", "arrived", None, None)], "somebody saw it: a person decides"
    answer(b, leg)
    ambito.carry()
    [one] = a.store.read(lambda db: views.erasures(db, a.ctx))
    assert (one.state, one.opened_by, one.opened_at) == ("erased", "AS", opened)
    assert a.one("SELECT code FROM alarm WHERE code LIKE 'recall%'") == "recall-opened"


def test_a_recall_of_a_case_that_was_limited_waits_for_a_person(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    b.run(lambda tx: erasure.limit(tx, b.ctx, ask.Limit(leg=leg, as_="RE", reason="legal-claim")))
    recall(a, leg)
    ambito.carry()
    assert asked(a, leg) == [(True, "wrong-recipient", "arrived", None, None)]
    assert b.case(leg, as_="RE").offer.description == CANARY


def test_only_the_sender_recalls(ambito, pair):
    a, b = pair
    leg = a.refer("distretto").leg
    ambito.carry()
    with refused("illegal-event"):
        recall(b, leg)


# -- afterwards


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (lambda each, leg: each.act(leg, "answer", as_="OP", text="x"), "erased"),
        (lambda each, leg: each.act(leg, "amend", as_="OP"), "erased"),
        (lambda each, leg: each.run(lambda tx: takeback.plan(tx, each.ctx, leg)), "erased"),
        (
            lambda each, leg: each.run(
                lambda tx: desk.hand_over(tx, each.ctx, desk.HandOver(leg=leg, desk_to="S", as_="OP"))
            ),
            "erased",
        ),
        (
            lambda each, leg: each.run(
                lambda tx: erasure.rectify(tx, each.ctx, ask.Rectify(leg=leg, as_="OP", description="x"))
            ),
            "erased",
        ),
        (
            lambda each, leg: each.run(
                lambda tx: erasure.limit(tx, each.ctx, ask.Limit(leg=leg, as_="RE", reason="accuracy"))
            ),
            "erased",
        ),
    ],
)
def test_every_command_on_an_erased_referral_says_what_it_is(ambito, pair, command, code):
    a, _ = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    erase(a, leg)
    ambito.carry()
    with refused(code):
        command(a, leg)
    assert a.cases(all_=True)[0].words.startswith("Cancellato il ")
    assert recall(a, leg).draft == ""


def test_after_an_erasure_during_a_wish_to_cancel_the_other_still_ends_it(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    ambito.carry()
    b.act(leg, "accept")
    ambito.carry()
    erase(a, leg)
    ambito.carry()
    assert states(leg, a, b) == ["cancel-requested", "cancel-requested"]
    b.act(leg, "release", reason="cancel-agreed", text="va bene")
    ambito.carry()
    assert states(leg, a, b) == ["cancelled", "cancelled"] and bodies_left(a) == (0, 0)


# -- the list, and after a restore


def test_the_list_names_every_erased_referral_once_and_is_private(ambito, pair, tmp_path):
    a, b = pair
    folder = a.store.path.parent
    legs = [closed(ambito, a, b) for _ in range(3)]
    for leg in legs:
        erase(a, leg)
        assert tidied(a) and tidied(a)
    path = folder / ERASED_NAME
    assert [leg for leg, _ in erased_list.read(path)] == legs
    assert path.stat().st_mode & 0o077 == 0
    (tmp_path / "copie").mkdir()
    erased_list.copy(path, tmp_path / "copie")
    assert erased_list.read(tmp_path / "copie" / ERASED_NAME) == erased_list.read(path)


def test_a_list_cut_by_a_power_failure_goes_on_and_any_other_damage_is_named(tmp_path):
    path = tmp_path / ERASED_NAME
    one, two = ("0193a6f2-0000-7000-8000-000000000001", 1), ("0193a6f2-0000-7000-8000-000000000002", 2)
    erased_list.append(path, [one])
    path.write_bytes(path.read_bytes() + b'{"leg":"0193')
    assert erased_list.read(path) == [one]
    erased_list.append(path, [two])
    assert erased_list.read(path) == [one, two]
    path.write_bytes(b"rumore\n" + path.read_bytes())
    with refused("wrong-file"):
        erased_list.read(path)


def test_the_list_is_written_at_the_next_turn_when_the_program_died_after_the_commit(ambito, pair):
    a, b = pair
    leg = closed(ambito, a, b)
    erase(a, leg)
    assert not (a.store.path.parent / ERASED_NAME).exists()
    assert tidied(a)
    assert erased_list.read(a.store.path.parent / ERASED_NAME) == [(leg, ambito.clock.at)]


def test_the_wal_is_truncated_as_soon_as_no_reader_holds_it(ambito, pair):
    from node.runtime.store import open_reader

    a, b = pair
    leg = closed(ambito, a, b)
    reader = open_reader(a.store.path)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM leg").fetchone()
    secrets = ciphertexts(a, leg)
    erase(a, leg)
    assert not tidied(a), "somebody still reads the old pages"
    reader.execute("ROLLBACK")
    reader.close()
    assert tidied(a) and tidied(a)
    assert not any(secret in raw_files(a) for secret in secrets)


def test_after_a_restore_the_list_erases_again_and_redelivery_brings_nothing_back(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    [offered] = a.due()
    ambito.carry()
    old = b.store.read(lambda db: "\n".join(db.iterdump()))
    b.act(leg, "decline", reason="DR-POSTI")
    ambito.carry()
    erase(a, leg)
    ambito.carry()
    answer(b, leg)
    ambito.carry()
    tidied(b)
    path = b.store.path.parent / ERASED_NAME
    at = dict(erased_list.read(path))
    assert list(at) == [leg]
    _restore(b, old)
    assert bodies_left(b)[0] == 1, "the copy is from before"
    assert b.run(lambda tx: erasing.reapply(tx, b.ctx, at, at)) == 1
    assert b.run(lambda tx: erasing.reapply(tx, b.ctx, at, at)) == 0, "again changes nothing"
    assert bodies_left(b) == (0, 0)
    b.receive(offered.items)
    assert bodies_left(b) == (0, 0)
    assert tidied(b) and CANARY.encode() not in raw_files(b)
    assert b.case(leg).line.erased == at[leg]


def test_a_restored_store_that_never_knew_the_referral_keeps_only_its_skeleton(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", description=CANARY).leg
    b.run(lambda tx: erasing.reapply(tx, b.ctx, [leg]))
    ambito.carry()
    assert bodies_left(b) == (0, 0) and states(leg, a, b) == ["offered", "offered"]


def _restore(each, dump):
    """The rows of an older copy in the same store."""
    tables = [
        row[0]
        for row in each.store.read(
            lambda db: db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        )
    ]

    def put_back(tx):
        for name in ("access_log_no_update", "access_log_no_delete"):
            tx.execute(f"DROP TRIGGER IF EXISTS {name}")
        for name in tables:
            if not name.startswith("sqlite_"):
                tx.execute(f"DELETE FROM {name}")
        for line in dump.split("\n"):
            if line.startswith("INSERT INTO") and "sqlite_sequence" not in line:
                tx.execute(line)

    each.run(put_back)
