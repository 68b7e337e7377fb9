"""What waits too long, on both sides, against days counted by hand; reminders that come once and go when settled."""

from datetime import datetime

import pytest

from node.cases import late, operators
from protocol.calendar_it import ROME
from tests.exchange.desks import Ambito
from tests.protocol.network import T0

S, R = "tavullia", "distretto"
DAY = 86400


@pytest.fixture
def ambito(tmp_path):
    made = Ambito(tmp_path, S, R)
    made.clock.at = at("2026-11-23T09:00")  # a Monday
    return made


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=ROME).timestamp())


def whys(desk):
    return [(one.leg, one.why) for one in desk.store.read(lambda db: late.late(db, desk.ctx))]


def alarms(desk, code):
    return desk.one("SELECT COUNT(*) FROM alarm WHERE code = ? AND cleared IS NULL", code)


def tick(desk):
    desk.run(desk.exchange.tick)


@pytest.mark.feature("F000-13")
def test_the_overdue_lists_of_both_sides_are_those_counted_by_hand(ambito):
    sender, receiver = ambito[S], ambito[R]
    ordinary = sender.refer(R, urgency="UR-ORD").leg  # opened by Wed 25 23:59:59, answered by Mon 7 December
    within_a_day = sender.refer(R, urgency="UR-PUA24").leg  # opened by 9:30, answered by Tuesday 9:00
    ambito.carry()
    assert whys(sender) == whys(receiver) == []
    ambito.clock.at = at("2026-11-23T09:30") + 1
    assert whys(sender) == [(within_a_day, "not-opened")]
    assert whys(receiver) == [(within_a_day, "open")]
    receiver.act(within_a_day, "open")
    ambito.carry()
    assert whys(sender) == whys(receiver) == []
    ambito.clock.at = at("2026-11-24T09:00") + 1
    assert whys(sender) == [(within_a_day, "not-answered")]
    assert whys(receiver) == [(within_a_day, "answer")]
    receiver.act(within_a_day, "accept")
    ambito.carry()
    ambito.clock.at = at("2026-11-25T23:59") + 59
    assert whys(sender) == []
    ambito.clock.at += 1
    assert whys(sender) == [(ordinary, "not-opened")]
    receiver.act(ordinary, "open")
    ambito.carry()
    ambito.clock.at = at("2026-12-07T23:59") + 59  # ten working days from the 24th
    assert whys(receiver) == []
    ambito.clock.at += 1
    assert whys(receiver) == [(ordinary, "answer")]


def test_what_never_arrives_is_late_after_a_day_even_where_the_target_is_later(ambito):
    sender = ambito[S]
    leg = sender.refer(R, urgency="UR-ORD").leg
    ambito.clock.at += DAY
    assert whys(sender) == []
    ambito.clock.at += 1
    assert whys(sender) == [(leg, "not-stored")]
    tick(sender)
    assert alarms(sender, "not-stored") == 1
    ambito.carry()
    tick(sender)
    assert alarms(sender, "not-stored") == 0


@pytest.mark.feature("F000-37")
def test_no_person_in_half_an_hour_is_an_alarm_at_the_sender_until_a_person_opens(ambito):
    sender = ambito[S]
    leg = sender.refer(R, referral="RK-PUA", urgency="UR-PUA24").leg
    ambito.carry()
    ambito.clock.at += 30 * 60
    tick(sender)
    assert alarms(sender, "not-opened") == 0
    ambito.clock.at += 1
    tick(sender)
    tick(sender)
    assert alarms(sender, "not-opened") == 1
    ambito[R].act(leg, "open")
    ambito.carry()
    tick(sender)
    assert alarms(sender, "not-opened") == 0


def test_each_expiry_is_told_again_when_the_last_was_noted(ambito):
    sender = ambito[S]
    sender.refer(R)
    for _ in range(2):
        ambito.clock.at += 31 * DAY
        tick(sender)
        assert alarms(sender, "expired") == 1
        tick(sender)
        sender.run(lambda tx: tx.execute("UPDATE alarm SET cleared = 1 WHERE code = 'expired'"))
        tick(sender)
        assert alarms(sender, "expired") == 0


def waiting(ambito):
    leg = ambito[S].refer(R).leg
    ambito.carry()
    ambito[R].act(leg, "accept")
    ambito[R].act(leg, "waitlist")
    ambito.carry()
    return leg


def test_after_a_long_wait_the_receiver_is_reminded_once_for_each_period(ambito):
    receiver, leg = ambito[R], waiting(ambito)
    days = late.waiting_days(receiver.ctx)
    assert days == 90
    ambito.clock.at += days * DAY
    tick(receiver)
    assert (whys(receiver), alarms(receiver, "still-needed")) == ([], 0)
    ambito.clock.at += 1
    tick(receiver)
    tick(receiver)
    assert (whys(receiver), alarms(receiver, "still-needed")) == ([(leg, "waiting")], 1)
    receiver.act(leg, "ask", reason=late.STILL_NEEDED, text=late.QUESTION)
    ambito.carry()
    assert whys(receiver) == []
    assert whys(ambito[S]) == [(leg, "needed")]
    ambito[S].act(leg, "answer", text=late.YES, as_="OP")
    ambito.carry()
    assert whys(ambito[S]) == []
    ambito.clock.at += days * DAY + 1
    tick(receiver)
    assert whys(receiver) == [(leg, "waiting")]
    assert receiver.one("SELECT COUNT(*) FROM alarm WHERE code = 'still-needed'") == 2


def test_a_question_stays_until_an_answer_that_has_seen_it(ambito):
    leg = waiting(ambito)
    ambito[R].act(leg, "ask", text="e il documento?")
    ambito[S].act(leg, "answer", text="prima della domanda", as_="OP")
    ambito.carry()
    assert whys(ambito[S]) == [(leg, "question")]
    ambito[S].act(leg, "answer", text="eccolo", as_="OP")
    assert whys(ambito[S]) == []


@pytest.mark.feature("F003-04", "F000-09")
def test_the_sender_is_reminded_of_an_appointment_of_which_nobody_said_a_word_since(ambito):
    sender, receiver, leg = ambito[S], ambito[R], waiting(ambito)
    when = ambito.clock.at + 3 * DAY
    receiver.act(leg, "appointment", when=when)
    ambito.carry()
    ambito.clock.at = when + DAY
    tick(sender)
    assert (whys(sender), alarms(sender, "not-arrived")) == ([], 0)
    ambito.clock.at += 1
    tick(sender)
    tick(sender)
    assert (whys(sender), alarms(sender, "not-arrived")) == ([(leg, "not-arrived")], 1)
    receiver.act(leg, "rescheduled", when=ambito.clock.at + DAY)
    ambito.carry()
    assert whys(sender) == []
    ambito.clock.at += 2 * DAY + 1
    assert whys(sender) == [(leg, "not-arrived")]
    receiver.act(leg, "missed")
    ambito.carry()
    assert whys(sender) == []
    assert [step.ev for step in sender.case(leg).steps][-1] == "missed"


def test_a_cancel_nobody_answers_is_on_the_receiver_s_list_after_a_day(ambito):
    leg = waiting(ambito)
    ambito[S].act(leg, "cancel", reason="no-longer-needed", as_="OP")
    ambito.carry()
    assert whys(ambito[R]) == []
    ambito.clock.at += DAY + 1
    assert whys(ambito[R]) == [(leg, "stop")]


@pytest.mark.feature("F004-15")
def test_a_technician_opens_no_case_and_the_lists_name_nobody(ambito):
    leg = waiting(ambito)
    receiver = ambito[R]
    receiver.run(lambda tx: operators.add(tx, "TE", "RL-TECNICO", None, T0))
    with pytest.raises(Exception, match="role-forbidden"):
        receiver.case(leg, as_="TE")
    ambito.clock.at += 200 * DAY
    shown = repr(receiver.store.read(lambda db: late.late(db, receiver.ctx)))
    assert leg in shown and "Inventata" not in shown and "descrizione" not in shown
