"""A store restored from an old copy: found out, and put together again with the peer. Nothing acknowledged is lost."""

import msgspec
import pytest

from node.cases import desk
from node.exchange import erasing, restored, resync
from node.exchange.log import leg_row
from protocol.errors import ProtocolError
from tests.exchange.desks import Ambito, offer, states
from tests.exchange.filing import forget


@pytest.fixture
def ambito(tmp_path):
    return Ambito(tmp_path, "tavullia", "distretto", "pesaro")


def logs_of(desk, leg):
    return desk.store.read(
        lambda db: db.execute(
            "SELECT writer, n, kind, seen, cm FROM event WHERE leg = ? ORDER BY writer, n, kind", (leg,)
        ).fetchall()
    )


def together(leg, *desks):
    """Both ends hold the same logs and the same state; nothing is on its way."""
    assert len({tuple(logs_of(d, leg)) for d in desks}) == 1, [logs_of(d, leg) for d in desks]
    assert len(set(states(leg, *desks))) == 1
    assert not any(d.one("SELECT COUNT(*) FROM outgoing WHERE leg = ?", leg) for d in desks)
    return states(leg, desks[0])[0]


def alarms(desk):
    return {code for (code,) in desk.store.read(lambda db: db.execute("SELECT code FROM alarm").fetchall())}


def test_a_receiver_that_forgot_its_answers_gets_them_back(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    copy = b.backup()
    b.act(leg, "open")
    b.act(leg, "accept")
    ambito.carry()
    b.restore(copy)
    assert states(leg, b) == ["offered"]
    b.begin()
    ambito.settle()
    assert together(leg, a, b) == "accepted"
    assert "restored-here" in alarms(b) and "peer-restored" in alarms(a)
    b.act(leg, "start")
    ambito.carry()
    assert together(leg, a, b) == "in-charge"


def test_a_sender_that_forgot_a_referral_gets_it_back_from_its_receiver(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    copy = a.backup()
    leg = a.refer("distretto").leg
    ambito.carry()
    b.act(leg, "open")
    b.act(leg, "ask", text="chi accompagna?")
    ambito.carry()
    a.restore(copy)
    assert a.one("SELECT COUNT(*) FROM leg") == 0
    b.begin()
    ambito.settle()
    assert together(leg, a, b) == "asked"
    case = a.case(leg)
    assert "Inventata" in str(case), "the person's data came back from the other end"
    a.act(leg, "answer", as_="OP", text="la nipote")
    ambito.carry()
    assert together(leg, a, b) == "opened"


def test_what_was_written_after_the_restore_takes_the_next_number(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    copy = b.backup()
    b.act(leg, "open")
    b.act(leg, "ask", text="chi accompagna?")
    ambito.carry()
    b.restore(copy)
    b.act(leg, "accept", ref="PUA 2026/1")
    ambito.settle()
    assert together(leg, a, b) == "accepted"
    kinds = [kind for writer, _, kind, *_ in logs_of(a, leg) if writer == "R"]
    assert kinds == ["open", "ask", "accept"], "the newer content for number one did not replace what was told"


def test_what_became_illegal_meanwhile_is_given_back_to_the_person(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    copy = b.backup()
    b.act(leg, "decline", reason="DR-COMPTERR")
    ambito.carry()
    b.restore(copy)
    b.act(leg, "accept")
    ambito.settle()
    assert together(leg, a, b) == "declined"
    assert [kind for kind, *_ in b.store.read(lambda db: resync.given_back(db, leg))] == ["accept"]
    assert "given-back" in alarms(b)


def test_old_legs_stand_still_until_the_peer_answered_and_new_ones_leave(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    b.announce()
    with pytest.raises(ProtocolError) as problem:
        b.act(leg, "open")
    assert problem.value.code == "resync-open"
    ambito.clock.at += 1
    new = b.refer("tavullia").leg
    ambito.carry()
    assert states(new, a, b) == ["offered", "offered"]
    b.act(leg, "open")
    ambito.carry()
    assert together(leg, a, b) == "opened"


def test_an_announced_restore_that_lost_nothing_changes_nothing(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    legs = [a.refer("distretto").leg, b.refer("tavullia").leg, a.refer("pesaro").leg]
    ambito.carry()
    b.act(legs[0], "accept")
    ambito.carry()
    before = [logs_of(a, leg) for leg in legs]
    b.announce()
    ambito.settle()
    assert [logs_of(a, leg) for leg in legs] == before
    assert together(legs[0], a, b) == "accepted" and together(legs[1], a, b) == "offered"
    assert not b.store.read(restored.open_peers)


def test_a_new_epoch_is_above_what_peers_saw(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    copy = b.backup()
    b.act(leg, "open")
    ambito.carry()
    b.restore(copy)
    b.announce()
    ambito.settle()
    assert b.ctx.epoch(b.store._conn) >= 2
    assert a.one("SELECT hw_epoch FROM peer WHERE node = 'distretto'") == b.ctx.epoch(b.store._conn)


def test_both_sides_restored_converge_on_what_either_still_holds(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    first = a.refer("distretto").leg
    ambito.carry()
    b.act(first, "open")
    ambito.carry()
    copy_a = a.backup()
    b.act(first, "accept")
    ambito.carry()
    copy_b = b.backup()
    b.act(first, "start")
    second = a.refer("distretto", description="perduto da tutti e due").leg
    ambito.carry()
    assert states(second, a, b) == ["offered", "offered"]
    a.restore(copy_a)
    b.restore(copy_b)
    a.begin()
    b.begin()
    ambito.settle()
    assert together(first, a, b) == "accepted", "the newer of the two copies; what both lost is gone"
    assert a.one("SELECT COUNT(*) FROM leg WHERE leg = ?", second) == 0
    assert alarms(a) & {"restored-here", "peer-restored"}
    b.act(first, "start")
    ambito.carry()
    assert together(first, a, b) == "in-charge"


def test_what_a_restored_peer_acknowledged_and_lost_is_sent_again(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    copy = b.backup()
    leg = a.refer("distretto").leg
    ambito.carry()
    assert a.one("SELECT COUNT(*) FROM outgoing") == 0
    b.restore(copy)
    b.begin()
    a.begin()
    ambito.settle()
    assert together(leg, a, b) == "offered"
    assert b.case(leg)


def test_a_liar_cannot_put_words_into_our_log(ambito):
    a = ambito["tavullia"]
    leg = a.refer("distretto").leg
    ambito.carry()
    before = logs_of(a, leg)
    a.run(lambda tx: resync.begin(tx, a.ctx, "distretto"))
    forge = resync._copies

    def lying(db, ctx, leg):
        for event in forge(db, ctx, leg):
            yield event
            yield resync.CopiedEvent(e=event.e, salt=event.salt, body=event.body[:-4] + "AAAA")

    resync._copies = lying
    try:
        ambito.settle()
    finally:
        resync._copies = forge
    assert logs_of(a, leg) == before
    assert "resync-unproven" in alarms(a)
    assert not a.store.read(restored.open_peers)


def test_who_asks_without_end_is_put_off(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    a.refer("distretto")
    ambito.carry()
    a.run(lambda tx: resync.begin(tx, a.ctx, "distretto"))
    ambito.carry()
    a.run(lambda tx: tx.execute("DELETE FROM resync"))
    a.run(lambda tx: resync.begin(tx, a.ctx, "distretto"))
    [parcel] = a.due()
    answer = b.receive(parcel.items).answer
    assert [later.code for later in answer.later] == ["busy"]


def test_an_event_of_a_leg_we_forgot_starts_the_question_and_accuses_nobody(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    copy = a.backup()
    leg = a.refer("distretto").leg
    ambito.carry()
    a.restore(copy)
    b.act(leg, "accept")
    [parcel] = b.due()
    received = a.receive(parcel.items)
    assert [later.code for later in received.answer.later] == ["busy"]
    b.answered(parcel, received.answer)
    assert "restored-here" in alarms(a) and "restored-here" not in alarms(b)
    ambito.settle()
    assert together(leg, a, b) == "accepted"


def test_what_was_written_without_having_seen_what_we_forgot_is_written_again(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    copy = b.backup()
    a.act(leg, "amend", as_="OP", offer=offer(description="con più particolari"))
    ambito.carry()
    b.restore(copy)
    b.act(leg, "accept")
    ambito.settle()
    assert together(leg, a, b) == "accepted"
    assert b.case(leg).offer.description == "con più particolari"
    assert not b.store.read(lambda db: resync.given_back(db, leg)), "it was said again"


def test_a_void_that_the_other_side_holds_is_not_written_a_second_time(ambito, monkeypatch):
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    real = desk.EventBody
    with monkeypatch.context() as patch:
        patch.setattr(desk, "EventBody", lambda **f: msgspec.structs.replace(real(**f), must=["futuro"]))
        a.act(leg, "amend", as_="OP", offer=offer(description="dal futuro"))
    copy = a.backup()
    ambito.carry()
    assert [kind for _, _, kind, *_ in logs_of(b, leg)] == ["offer", "void"]
    a.restore(copy)
    ambito.settle()
    b.act(leg, "open")
    ambito.settle()
    assert states(leg, a, b) == ["opened", "opened"]
    assert a.one("SELECT COUNT(*) FROM event WHERE leg = ? AND kind = 'void'", leg) == 1
    assert a.one("SELECT COUNT(*) FROM outgoing WHERE leg IS NOT NULL") == 0


def test_a_leg_erased_at_the_other_side_comes_back_as_its_skeleton(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    copy = b.backup()
    b.act(leg, "accept")
    ambito.carry()
    a.act(leg, "cancel", as_="OP", reason="no-longer-needed")
    ambito.carry()
    b.act(leg, "release", reason="cancel-agreed")
    ambito.carry()
    forget(a, leg)
    b.restore(copy)
    b.begin()
    ambito.settle()
    assert together(leg, a, b) == "cancelled"
    view = b.case(leg)
    assert view.offer is not None, "what it held stays"
    assert {step.ev for step in view.steps} == {"offer", "accept", "cancel", "release"}


def test_a_leg_that_one_side_forgot_and_the_other_erased_is_asked_for_once(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    a.refer("distretto")
    ambito.carry()
    copy = a.backup()
    leg = a.refer("distretto").leg
    ambito.carry()
    b.act(leg, "decline", reason="DR-COMPTERR")
    ambito.carry()
    forget(b, leg)
    a.restore(copy)
    b.begin()
    ambito.settle()
    assert a.one("SELECT COUNT(*) FROM leg WHERE leg = ?", leg) == 0
    asked = a.one("SELECT begun FROM resync WHERE peer = 'distretto'")
    ambito.settle()
    assert a.one("SELECT begun FROM resync WHERE peer = 'distretto'") == asked
    assert not a.store.read(restored.open_peers)


@pytest.mark.parametrize("who", ["asks", "answers"])
def test_what_was_asked_about_erasing_survives_a_restore_of_either_side(ambito, who):
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    b.act(leg, "open")
    b.act(leg, "decline", reason="DR-COMPTERR")
    ambito.carry()
    copy = b.backup()
    row = a.store.read(lambda db: leg_row(db, leg))
    a.run(lambda tx: erasing.request(tx, a.ctx, row, reason="not-needed", by="AS"))
    if who == "answers":
        ambito.carry()
        b.restore(copy)
        b.announce()
        ambito.settle()
    else:
        copy = a.backup()
        ambito.carry()
        b.run(lambda tx: erasing.accept(tx, b.ctx, leg_row(tx, leg), by="AS", basis=None))
        ambito.carry()
        a.restore(copy)
        a.announce()
        ambito.settle()
        assert [held.answer for held in a.store.read(lambda db: erasing.requests(db, leg))] == ["erased"]
        return
    assert [held.answer for held in b.store.read(lambda db: erasing.waiting(db, leg))] == [None]
    b.run(lambda tx: erasing.accept(tx, b.ctx, leg_row(tx, leg), by="AS", basis=None))
    ambito.carry()
    assert [held.answer for held in a.store.read(lambda db: erasing.requests(db, leg))] == ["erased"]


def test_a_sealing_that_comes_beside_what_closes_its_gap_is_acknowledged_once(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    first = a.due()
    a.act(leg, "amend", as_="OP", offer=offer(description="subito dopo"))
    items = [item for parcel in a.due() for item in parcel.items]
    one = [item for parcel in first for item in parcel.items]
    rest = [item for item in items if item not in one]
    assert b.receive(rest).answer.receipts
    answer = b.receive([*one, *rest]).answer
    parcel = first[0]
    a.answered(parcel, answer)
    assert a.one("SELECT COUNT(*) FROM outgoing WHERE s IS NOT NULL") == 0


def test_a_proven_loss_is_asked_of_everybody_and_one_members_word_stops_nothing_with_the_others(ambito):
    a, b, c = ambito["tavullia"], ambito["distretto"], ambito["pesaro"]
    parent = a.refer("distretto").leg
    other = b.refer("pesaro").leg
    ambito.carry()
    row = b.store.read(lambda db: leg_row(db, parent))
    ambito.clock.at += 1
    b.run(lambda tx: resync.begin(tx, b.ctx, "pesaro"))
    assert b.store.read(restored.open_peers) == ("pesaro",)
    assert b.store.read(lambda db: restored.may_open_child(db, row)), "a claim alone is no restore"
    ambito.settle()
    copy = b.backup()
    b.act(parent, "accept")
    c.act(other, "accept")
    ambito.carry()
    b.restore(copy)
    a.begin()
    ambito.carry()
    assert "pesaro" in b.store.read(lambda db: [peer for (peer,) in db.execute("SELECT peer FROM resync WHERE proven")])
    ambito.settle()
    assert together(parent, a, b) == "accepted" and together(other, b, c) == "accepted"


def test_who_was_shown_its_loss_by_one_peer_asks_the_slower_ones_the_same_hour(ambito):
    """Counts in the old epoch look overtaken, and numbers of it say nothing once a new one has begun."""
    a, b, c = ambito["tavullia"], ambito["distretto"], ambito["pesaro"]
    legs = [a.refer("distretto").leg, c.refer("distretto").leg]
    ambito.carry()
    copy = b.backup()
    for leg in legs:
        b.act(leg, "accept")
        b.act(leg, "start")
    ambito.carry()
    b.restore(copy)
    b.begin()
    slow = [parcel for parcel in b.due() if parcel.dest == "tavullia"]  # reached through a mailbox
    [quick] = [parcel for parcel in b.due() if parcel.dest == "pesaro"]
    b.answered(quick, c.receive(quick.items).answer)
    for parcel in slow:
        b.answered(parcel, a.receive(parcel.items).answer)
    ambito.carry()
    for leg, peer in zip(legs, (a, c), strict=True):
        assert together(leg, peer, b) == "in-charge"


def test_who_hears_no_refusal_behind_a_mailbox_is_told_of_the_dispute(ambito):
    """A sealing of the former life arrives after the answer, and takes the number that was written anew since."""
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    copy = a.backup()
    a.act(leg, "amend", as_="OP", offer=offer(description="della vita di prima"))
    [late] = a.due()
    a.restore(copy)
    a.announce()
    ambito.settle()
    b.receive(late.items)  # it lay in a mailbox
    a.act(leg, "amend", as_="OP", offer=offer(description="scritto di nuovo"))
    for _ in range(40):  # what b refuses stays in the mailbox: a hears nothing of it
        for parcel in a.due():
            answer = b.receive(parcel.items).answer
            a.answered(parcel, msgspec.structs.replace(answer, later=[]))
        ambito.clock.at += 3600
        for parcel in b.due():
            b.answered(parcel, a.receive(parcel.items).answer)
        a.run(a.exchange.tick), b.run(b.exchange.tick)
    ambito.settle()
    assert together(leg, a, b) == "offered"
    assert b.case(leg).offer.description == "scritto di nuovo"
    assert [kind for _, _, kind, *_ in logs_of(a, leg)] == ["offer", "amend", "amend"]


def test_an_event_that_the_other_side_may_be_getting_goes_out_again_as_it_is(ambito):
    """Two answers crossed in the simulator (seed 1029): under a new id one number got two contents, for ever."""
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    b.act(leg, "open")
    ambito.carry()
    b.act(leg, "accept")
    ((jti,),) = b.store.read(lambda db: db.execute("SELECT jti FROM event WHERE kind = 'accept'").fetchall())
    b.store.run(lambda tx: tx.execute("DELETE FROM outgoing WHERE leg = ?", (leg,)))  # its sealing lies somewhere
    b.restore(b.backup())
    b.store.run(lambda tx: resync.begin(tx, b.ctx, "tavullia"))
    ambito.settle()
    assert together(leg, a, b) == "accepted"
    assert a.one("SELECT jti FROM event WHERE kind = 'accept'") == jti
    assert b.one("SELECT COUNT(*) FROM given_back") == 0


def test_a_skeleton_with_a_wild_number_makes_us_write_nothing(ambito, monkeypatch):
    a, b = ambito["tavullia"], ambito["distretto"]
    leg = a.refer("distretto").leg
    ambito.carry()
    wild = resync.CopiedStep("S", 100_000, a.ctx.dice.uuid4(), "amend", 0, "B" * 43, ambito.clock.at)
    a.run(lambda tx: resync.begin(tx, a.ctx, "distretto"))
    with monkeypatch.context() as patch:
        patch.setattr(resync, "_skeleton", lambda db, row: [wild])
        ambito.settle()
    assert logs_of(a, leg) == logs_of(b, leg) and len(logs_of(a, leg)) == 1
