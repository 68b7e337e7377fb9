"""The referral table: states × events × writers, the fold, what may be written, when it is final."""

from pathlib import Path

import pytest

from protocol.errors import ProtocolError
from protocol.finality import is_final, may_take_back
from protocol.referral import (
    EMPTY_LEG,
    KINDS,
    KINDS_OF,
    MACHINE_KINDS,
    STATES,
    TERMINALS,
    TRANSITIONS,
    Event,
    Kind,
    Leg,
    State,
    Writer,
    allowed,
    check_write,
    effective,
    fold,
    has_gap,
    history,
    markdown,
)
from tests.protocol.models.reference import reference

Log = list[Event]
Move = tuple[Writer, Kind] | tuple[Writer, Kind, str]


def play(*moves: Move) -> tuple[Log, Log]:
    """Both logs after moves that each side wrote knowing all before."""
    logs: dict[Writer, Log] = {"S": [], "R": []}
    for move in moves:
        writer, kind = move[0], move[1]
        own, other = logs[writer], logs["R" if writer == "S" else "S"]
        reason = move[2] if len(move) == 3 else None
        own.append(Event(writer, len(own) + 1, kind, len(other), reason, cm=f"{writer}{len(own) + 1}"))
    return logs["S"], logs["R"]


OFFER: Move = ("S", "offer")
ACCEPT: Move = ("R", "accept")
PATHS: dict[State, list[Move]] = {
    "none": [],
    "offered": [OFFER],
    "opened": [OFFER, ("R", "open")],
    "asked": [OFFER, ("R", "ask")],
    "accepted": [OFFER, ACCEPT],
    "waiting": [OFFER, ACCEPT, ("R", "waitlist")],
    "in-charge": [OFFER, ACCEPT, ("R", "start")],
    "cancel-requested": [OFFER, ACCEPT, ("R", "waitlist"), ("S", "cancel", "no-answer")],
    "cancelled": [OFFER, ("S", "cancel", "no-longer-needed")],
    "expired": [OFFER, ("S", "cancel", "no-answer")],
    "declined": [OFFER, ("R", "decline", "DR-POSTI")],
    "redirected": [OFFER, ("R", "redirect", "DR-COMPTERR")],
    "closed": [OFFER, ACCEPT, ("R", "close")],
    "withdrawn": [OFFER, ACCEPT, ("R", "withdraw")],
    "released": [OFFER, ACCEPT, ("R", "release")],
    "lapsed": [OFFER, ACCEPT, ("S", "lapse", "silent")],
    "undeliverable": [("S", "void")],
}
EVENTS: list[tuple[Writer, Kind]] = [(writer, kind) for writer in KINDS_OF for kind in KINDS]


def test_every_state_has_a_path_that_reaches_it() -> None:
    assert set(PATHS) == set(STATES)
    for state, path in PATHS.items():
        assert fold(*play(*path)).state == state


@pytest.mark.feature("F000-26")
@pytest.mark.parametrize("state", STATES)
def test_every_event_in_every_state_moves_as_the_table_says_or_is_overruled(state: State) -> None:
    for writer, kind in EVENTS:
        logs = play(*PATHS[state], (writer, kind))
        leg = fold(*logs)
        target = TRANSITIONS.get((state, writer, kind))
        if target is None:
            why = "illegal-in-state" if kind in KINDS_OF[writer] else "wrong-writer"
            assert (leg.state, [(o.writer, o.kind, o.why) for o in leg.overruled]) == (state, [(writer, kind, why)])
        else:
            expected = "waiting" if target == "before-cancel" else target
            assert (leg.state, leg.overruled) == (expected, ()), (writer, kind)
        assert reference(*logs) == (leg.state, frozenset((o.writer, o.n) for o in leg.overruled))


@pytest.mark.feature("F000-26")
@pytest.mark.parametrize("state", STATES)
def test_a_side_may_write_exactly_what_would_not_be_overruled(state: State) -> None:
    leg = fold(*play(*PATHS[state]))
    for writer, kind in EVENTS:
        legal = (state, writer, kind) in TRANSITIONS
        assert (kind in allowed(leg, writer)) == (legal and kind not in MACHINE_KINDS)
        if legal or kind in MACHINE_KINDS:
            check_write(leg, writer, kind)
            continue
        with pytest.raises(ProtocolError) as refused:
            check_write(leg, writer, kind)
        assert refused.value.code == "illegal-event"


def test_an_illegal_event_does_not_block_the_next() -> None:
    s_log, r_log = play(OFFER, ("R", "start"), ("S", "accept"), ACCEPT)
    leg = fold(s_log, r_log)
    assert leg.state == "accepted"
    assert [(o.writer, o.n, o.why) for o in leg.overruled] == [
        ("R", 1, "illegal-in-state"),
        ("S", 2, "wrong-writer"),
    ]


def test_an_answer_counts_only_if_it_saw_the_last_ask() -> None:
    s_log, r_log = play(OFFER, ("R", "open"), ("R", "ask"))
    r_log.append(Event("R", 3, "ask", 1))
    assert fold([*s_log, Event("S", 2, "answer", 2)], r_log).state == "asked"
    assert fold([*s_log, Event("S", 2, "answer", 3)], r_log).state == "opened"


def test_an_ask_after_acceptance_does_not_go_back() -> None:
    assert fold(*play(*PATHS["waiting"], ("R", "ask"), ("S", "answer"))).state == "waiting"


@pytest.mark.parametrize("before", ["accepted", "waiting", "in-charge"])
def test_keep_returns_to_the_state_before_the_first_cancel(before: State) -> None:
    twice: list[Move] = [*PATHS[before], ("S", "cancel"), ("S", "cancel", "no-longer-needed")]
    asked = fold(*play(*twice))
    assert (asked.state, asked.before_cancel) == ("cancel-requested", before)
    kept = fold(*play(*twice, ("R", "keep")))
    assert (kept.state, kept.before_cancel, kept.reason) == (before, None, None)


def test_after_keep_a_new_cancel_remembers_the_new_state() -> None:
    logs = play(*PATHS["accepted"], ("S", "cancel"), ("R", "keep"), ("R", "start"), ("S", "cancel"), ("R", "keep"))
    assert fold(*logs).state == "in-charge"


def test_a_cancel_for_no_answer_after_acceptance_is_only_a_request() -> None:
    assert fold(*play(*PATHS["accepted"], ("S", "cancel", "no-answer"))).state == "cancel-requested"


def test_a_cancel_that_crosses_an_acceptance_becomes_a_request_at_both_ends() -> None:
    s_log = [Event("S", 1, "offer", 0), Event("S", 2, "cancel", 0, "no-longer-needed")]
    r_log = [Event("R", 1, "accept", 1)]
    assert fold(s_log, []).state == "cancelled"
    assert fold(s_log, r_log).state == "cancel-requested"


def test_the_reason_of_a_cancelled_leg_is_the_sender_s_though_the_receiver_released_it() -> None:
    leg = fold(*play(*PATHS["accepted"], ("S", "cancel", "no-longer-needed"), ("R", "release", "other")))
    assert (leg.state, leg.reason) == ("cancelled", "no-longer-needed")


def test_an_amendment_is_pending_until_the_first_receiver_event_that_saw_it() -> None:
    s_log = [Event("S", 1, "offer", 0), Event("S", 2, "amend", 0), Event("S", 3, "amend", 0)]
    assert fold(s_log, []).pending == (2, 3)
    assert fold(s_log, [Event("R", 1, "open", 1)]).pending == (2, 3)
    assert fold(s_log, [Event("R", 1, "open", 2)]).pending == (3,)
    assert fold(s_log, [Event("R", 1, "frozen", 3)]).pending == (2, 3)
    assert fold(s_log, [Event("R", 1, "open", 1), Event("R", 2, "accept", 3)]).pending == ()


def test_only_the_prefix_without_a_gap_counts() -> None:
    s_log, r_log = play(OFFER, ("R", "open"), ACCEPT)
    assert fold(s_log, r_log[1:]).state == "offered"
    assert has_gap(r_log[1:])
    assert not has_gap(r_log)
    assert not has_gap([])


def test_order_and_repetition_of_arrival_do_not_matter() -> None:
    s_log, r_log = play(OFFER, ("R", "open"), ("S", "amend"), ACCEPT)
    assert fold([*reversed(s_log), *s_log], [*reversed(r_log), *r_log]) == fold(s_log, r_log)


@pytest.mark.parametrize("void_first", [True, False])
def test_a_void_wins_over_the_content_it_names_in_either_order(void_first: bool) -> None:
    s_log, r_log = play(OFFER, ("S", "cancel"))
    void = Event("S", 2, "void", 0, cm="v", voids="S2")
    held = [s_log[0], void, s_log[1]] if void_first else [*s_log, void]
    assert effective(held)[1] is void
    assert fold(held, r_log).state == "offered"


def test_a_void_that_names_another_content_replaces_nothing() -> None:
    s_log, r_log = play(OFFER, ("S", "cancel"))
    assert fold([*s_log, Event("S", 2, "void", 0, cm="v", voids="other")], r_log).state == "cancelled"


def test_events_after_a_voided_one_stay_and_are_overruled_if_now_illegal() -> None:
    s_log, r_log = play(OFFER, ACCEPT, ("R", "start"))
    leg = fold(s_log, [*r_log, Event("R", 1, "void", 1, cm="v", voids="R1")])
    assert leg.state == "offered"
    assert [(o.writer, o.n) for o in leg.overruled] == [("R", 2)]


def test_of_two_contents_for_one_position_the_one_held_first_stays() -> None:
    first, second = Event("R", 1, "open", 1, cm="a"), Event("R", 1, "decline", 1, cm="b")
    assert fold([Event("S", 1, "offer", 0)], [first, second]).state == "opened"


def test_a_frozen_leg_offers_only_cancel_and_close_and_changes_no_state() -> None:
    leg = fold(*play(*PATHS["waiting"], ("R", "frozen")))
    assert leg.state == "waiting"
    assert [ref.n for ref in leg.frozen] == [3]
    assert allowed(leg, "S") == {"cancel"}
    assert allowed(leg, "R") == {"close"}


def test_history_tells_every_step() -> None:
    steps = [(s.event.kind, s.before, s.after, s.overruled) for s in history(*play(OFFER, ACCEPT, ("R", "open")))]
    assert steps == [
        ("offer", "none", "offered", None),
        ("accept", "offered", "accepted", None),
        ("open", "accepted", "accepted", "illegal-in-state"),
    ]


def test_custody_moves_to_the_receiver_with_acceptance_and_back_when_it_lets_go() -> None:
    custody = {state: fold(*play(*path)).custody for state, path in PATHS.items()}
    assert custody["offered"] == custody["released"] == custody["lapsed"] == custody["declined"] == "S"
    assert custody["accepted"] == custody["cancel-requested"] == "R"
    assert custody["closed"] == custody["withdrawn"] == "nobody"


def test_a_receiver_s_terminal_event_is_final_when_written() -> None:
    leg = fold(*play(*PATHS["declined"]))
    assert is_final(leg, "R", acks={}, gap=False)
    assert is_final(leg, "S", acks={}, gap=False)


@pytest.mark.parametrize("state", ["cancelled", "expired", "lapsed"])
def test_a_sender_s_end_is_provisional_until_the_ack_covers_what_it_holds(state: State) -> None:
    leg = fold(*play(*PATHS[state]))
    n, h = leg.s_count, leg.r_count
    assert not is_final(leg, "S", acks={}, gap=False)
    assert not is_final(leg, "S", acks={n: h + 1}, gap=False)
    assert not is_final(leg, "S", acks={n: h}, gap=True)
    assert is_final(leg, "S", acks={n: h}, gap=False)
    assert is_final(leg, "S", acks={}, gap=False, peer_ended=True) == (state == "lapsed")


def test_an_open_state_is_never_final_and_an_undeliverable_offer_always_is() -> None:
    assert not is_final(EMPTY_LEG, "S", acks={}, gap=False)
    assert not is_final(fold(*play(*PATHS["accepted"])), "R", acks={}, gap=False)
    assert is_final(fold(*play(*PATHS["undeliverable"])), "S", acks={}, gap=False)


def test_what_the_peer_shows_signs_of_having_applied_is_not_taken_back() -> None:
    assert may_take_back(2, acks={1: 0}, peer_log=[])
    assert not may_take_back(2, acks={3: 0}, peer_log=[])
    assert not may_take_back(2, acks={}, peer_log=[Event("R", 7, "noted", 2)])


def test_every_terminal_state_is_left_by_nothing() -> None:
    for (state, _, kind), target in TRANSITIONS.items():
        if state in TERMINALS:
            assert kind in MACHINE_KINDS
            assert target == state


def test_an_empty_leg_is_the_fold_of_nothing() -> None:
    assert fold([], []) == EMPTY_LEG == Leg()


def test_the_printed_table_is_the_one_in_the_docs() -> None:
    printed = Path(__file__).parents[2] / "docs" / "referral-table.md"
    assert printed.read_text("utf-8") == markdown(), "run: python -m protocol.referral > docs/referral-table.md"
