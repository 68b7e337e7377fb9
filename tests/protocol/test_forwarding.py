"""The rules of forwarding and custody: single cases, a slice of the random model, and planted bugs that it has to find."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from protocol import forwarding
from protocol.custody import NOBODY, Passed, custodian, told_custodian
from protocol.errors import ProtocolError
from protocol.forwarding import Child, Duty, check_open, check_path, duties, permitted
from protocol.referral import Event, Leg, allowed, fold
from schemas.bodies import Basis, EventBody, Offer
from tests.protocol.models.forwarding import Rules, run

OFFER = Event("S", 1, "offer", 0)
JTI = "5b1c6f0e-3d2a-4c1b-9e8f-0a1b2c3d4e5f"


def leg(*kinds: str, reason: str | None = None, outcome: str | None = None) -> Leg:
    """A leg whose receiver wrote these, each having seen everything; `cancel` is the sender's."""
    s_log, r_log = [OFFER], []
    for kind in kinds:
        if kind == "cancel":
            s_log.append(Event("S", len(s_log) + 1, "cancel", len(r_log), reason))
        else:
            r_log.append(Event("R", len(r_log) + 1, kind, len(s_log), reason, outcome))  # type: ignore[arg-type]
    return fold(s_log, r_log)


def child(
    of: Leg, *, final: bool = True, status: str = "RS-X", said: str | None = "RS-X", passed: bool = False
) -> Child:
    return Child(of, final, status, said, passed)


ACCEPTED = leg("accept")
ASKED_TO_STOP = leg("accept", "cancel", reason="other-way")


def test_every_state_of_a_child_is_mirrored_once() -> None:
    assert duties(ACCEPTED, [child(leg("open"), said="RS-CONSEGNATA", status="RS-LETTA")]) == (Duty("mirror", 0),)
    assert duties(ACCEPTED, [child(leg("open"), said="RS-LETTA", status="RS-LETTA")]) == ()


def test_a_final_close_closes_the_parent_with_its_outcome_after_it_was_mirrored() -> None:
    closed = leg("accept", "close", outcome="OU-PARZ")
    found = duties(ACCEPTED, [child(closed, said="RS-INCARICO", status="RS-CONCLUSA")])
    assert found == (Duty("mirror", 0), Duty("close", 0, outcome="OU-PARZ"))
    assert duties(ACCEPTED, [child(leg("accept", "withdraw"))]) == (Duty("withdraw", 0),)


def test_a_close_without_an_outcome_and_any_other_end_are_told_to_people() -> None:
    for end in (leg("accept", "close"), leg("decline"), leg("redirect"), leg("accept", "release"), leg("cancel")):
        assert duties(ACCEPTED, [child(end)]) == (Duty("tell-ended", 0),)


def test_an_end_that_can_still_change_counts_for_nothing() -> None:
    gone = child(leg("cancel", reason="other-way"), final=False)
    assert duties(ACCEPTED, [gone]) == ()
    assert duties(ASKED_TO_STOP, [gone._replace(passed_on=True)]) == ()


def test_a_cancel_is_passed_on_once_and_answered_with_the_last_child_s_end() -> None:
    open_child = child(leg("accept"))
    assert duties(ASKED_TO_STOP, [open_child]) == (Duty("cancel", 0, reason="other-way"),)
    assert duties(ASKED_TO_STOP, [open_child._replace(passed_on=True)]) == ()
    for end in (leg("cancel", reason="other-way"), leg("decline"), leg("accept", "release")):
        assert duties(ASKED_TO_STOP, [child(end)]) == (Duty("release", 0, reason="cancel-agreed"),)
    assert duties(ASKED_TO_STOP, [child(leg("accept", "withdraw"))]) == (Duty("withdraw", 0),)


def test_what_was_answered_once_is_never_answered_again() -> None:
    assert duties(ACCEPTED, [child(leg("accept", "withdraw"))], answered=True) == (Duty("tell-ended", 0),)


def test_a_parent_that_is_over_while_a_child_is_not_is_told_and_left_alone() -> None:
    working = child(leg("accept"), said="RS-LETTA", status="RS-ACCETTATA")
    assert duties(leg("accept", "release"), [working]) == (Duty("tell-apart", 0),)
    assert duties(leg("open"), [working]) == (Duty("tell-apart", 0),)  # our `accept` was refused there
    assert duties(leg("accept", "close"), [child(leg("accept", "close"))]) == ()


def test_an_older_child_that_lives_again_is_told() -> None:
    assert duties(ACCEPTED, [child(leg("accept")), child(leg("open"))]) == (Duty("tell-apart", 0),)


def test_frozen_copies_are_left_to_people() -> None:
    def freeze(of: Leg) -> Leg:
        return msgspec.structs.replace(of, frozen=(forwarding_ref(),))

    def forwarding_ref() -> Any:
        from protocol.referral import EventRef

        return EventRef("R", 3, "frozen")

    closed = child(leg("accept", "close", outcome="OU-PARZ"))
    assert duties(freeze(ACCEPTED), [closed]) == (Duty("tell-ended", 0),)
    assert duties(ACCEPTED, [closed._replace(leg=freeze(closed.leg))]) == (Duty("tell-ended", 0),)
    assert permitted(freeze(ACCEPTED), [closed]) == {"close"}


def test_no_child_is_opened_for_a_parent_of_which_a_restored_store_may_have_forgotten_one() -> None:
    check_open(leg("accept"), [], told=True)
    with pytest.raises(ProtocolError) as problem:
        check_open(leg("accept"), [], told=False)
    assert problem.value.code == "resync-open"


def test_what_a_person_may_write_on_a_forwarded_referral() -> None:
    facts = {"ask", "noted", "appointment", "rescheduled", "missed", "arrived", "forwarded"}
    assert permitted(ACCEPTED, []) == allowed(ACCEPTED, "R")
    assert permitted(ACCEPTED, [child(leg("accept"))]) == facts
    assert permitted(ACCEPTED, [child(leg("decline"))]) == facts | {"release"}
    assert permitted(ASKED_TO_STOP, [child(leg("accept"))]) == facts
    assert "keep" in permitted(ASKED_TO_STOP, [child(leg("decline"))])


def event(path: list[str]) -> EventBody:
    offer = Offer(referral="RK-SEGN", urgency="UR-ORD", subject="none", case="", path=path)
    return EventBody(net="n", sender="a", to="b", jti=JTI, leg=JTI, n=1, seen=0, ev="offer", offer=offer)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (["x", "a"], None),
        (["x", "y", "z", "a"], None),
        (["x", "y", "z", "w", "a"], "forward-hops"),
        (["b", "a"], "forward-loop"),
        (["a", "a"], "forward-loop"),
        (["a", "x"], "bad-body"),
        ([], "bad-body"),
    ],
)
def test_a_way_has_three_hops_at_most_no_member_twice_and_leads_to_its_sender(
    path: list[str], code: str | None
) -> None:
    if code is None:
        check_path(event(path))
        return
    with pytest.raises(ProtocolError) as refused:
        check_path(event(path))
    assert refused.value.code == code


def test_consent_covers_whom_it_names_and_nobody_else() -> None:
    basis = Basis(law="GDPR 6(1)(e)", purpose="p", notice_version="1", notice_date="2026-01-01")
    forwarding.check_basis(basis, "b")
    forwarding.check_basis(msgspec.structs.replace(basis, consent_to="b", consent_how="signed"), "b")
    for wrong in (
        msgspec.structs.replace(basis, consent_to="a"),
        msgspec.structs.replace(basis, consent_how="spoken"),
    ):
        with pytest.raises(ProtocolError):
            forwarding.check_basis(wrong, "b")


# -- custody


def test_custody_goes_from_the_sender_to_the_router_to_the_child_and_back() -> None:
    def held(parent: Leg, *children: Leg) -> str:
        passed = tuple(Passed("r", f"c{i}", each) for i, each in enumerate(children, 1))
        return custodian(Passed("s", "r", parent, passed))

    assert held(leg("open")) == "s"
    assert held(ACCEPTED) == "r"
    assert held(ACCEPTED, leg("open")) == "r"
    assert held(ACCEPTED, leg("accept")) == "c1"
    assert held(ACCEPTED, leg("accept", "release"), leg("open")) == "r"
    assert held(ACCEPTED, leg("accept", "release"), leg("accept", "start")) == "c2"
    assert held(leg("accept", "release"), leg("accept", "release")) == "s"
    assert held(leg("accept", "close"), leg("accept", "close")) == NOBODY
    below = Passed("r", "c", leg("accept"), (Passed("c", "d", leg("accept")),))
    assert custodian(Passed("s", "r", ACCEPTED, (below,))) == "d"


def test_the_sender_names_who_it_was_told_of() -> None:
    def told(*mirrored: tuple[str, str]) -> str:
        return told_custodian("s", "r", ACCEPTED, mirrored)

    assert told() == "r"
    assert told(("c", "RS-LETTA")) == "r"
    assert told(("c", "RS-ACCETTATA"), ("c", "RS-RITIRO")) == "c"
    assert told(("c", "RS-ACCETTATA"), ("c", "RS-RILASC"), ("d", "RS-CONSEGNATA")) == "r"
    assert told_custodian("s", "r", leg("open"), ()) == "s"
    assert told_custodian("s", "r", leg("accept", "close"), (("c", "RS-CONCLUSA"),)) == NOBODY


# -- the random model


def test_six_hundred_random_runs_of_parent_and_children_have_no_fault() -> None:
    played = [run(seed) for seed in range(600)]
    assert [(seed, one.fault) for seed, one in enumerate(played) if one.fault] == []
    assert sum(one.forwards for one in played) > 400
    assert sum(one.crashes for one in played) > 100


def _provisional(parent: Leg, children: list[Child], *, answered: bool = False) -> tuple[Duty, ...]:
    return duties(parent, [c._replace(final=c.leg.is_terminal) for c in children], answered=answered)


def _without(*dos: str) -> Callable[..., tuple[Duty, ...]]:
    def rule(parent: Leg, children: list[Child], *, answered: bool = False) -> tuple[Duty, ...]:
        return tuple(duty for duty in duties(parent, children, answered=answered) if duty.do not in dos)

    return rule


def _answers_at_once(parent: Leg, children: list[Child], *, answered: bool = False) -> tuple[Duty, ...]:
    if children and parent.state == "cancel-requested":
        return (Duty("release", 0, reason="cancel-agreed"),)
    return duties(parent, children, answered=answered)


def _own_outcome(parent: Leg, children: list[Child], *, answered: bool = False) -> tuple[Duty, ...]:
    return tuple(
        duty._replace(outcome="OU-ALTRO") if duty.do == "close" else duty
        for duty in duties(parent, children, answered=answered)
    )


def _declined_is_withdrawn(parent: Leg, children: list[Child], *, answered: bool = False) -> tuple[Duty, ...]:
    if children and not children[-1].is_open and children[-1].leg.state == "declined" and parent.state == "accepted":
        return (Duty("withdraw", len(children) - 1),)
    return duties(parent, children, answered=answered)


def _mirrors_always(parent: Leg, children: list[Child], *, answered: bool = False) -> tuple[Duty, ...]:
    return duties(parent, [*children[:-1], children[-1]._replace(said=None)], answered=answered) if children else ()


PLANTED = {
    "a provisional end counts": Rules(duties=_provisional, may_open=lambda p, cs: p.state in forwarding.FROM
                                      and all(c.leg.is_terminal for c in cs)),
    "a second child while the first is open": Rules(may_open=lambda p, cs: p.state in forwarding.FROM),
    "finality without h": Rules(is_final=lambda leg, side, **_: leg.is_terminal),
    "a cancel is answered at once": Rules(duties=_answers_at_once),
    "a cancel is not passed on": Rules(duties=_without("cancel")),
    "another outcome than the child's": Rules(duties=_own_outcome),
    "a decline taken for a withdrawal": Rules(duties=_declined_is_withdrawn),
    "the end is left to people": Rules(duties=_without("close", "withdraw", "release")),
    "nothing is mirrored": Rules(duties=_without("mirror")),
    "mirrored at every turn": Rules(duties=_mirrors_always),
    "a person may write anything": Rules(permitted=lambda parent, children: allowed(parent, "R")),
    "custody stays with the router": Rules(custodian=lambda passed: custodian(passed._replace(children=()))),
    "what is due is lost in a crash": Rules(atomic=False),
}  # fmt: skip


@pytest.mark.parametrize("bug", PLANTED)
def test_the_model_finds_each_planted_bug(bug: str) -> None:
    assert any(run(seed, PLANTED[bug]).fault for seed in range(400))
