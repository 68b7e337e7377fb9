"""The random model of the referral machine: a slice in every test run; tests/campaigns/interleavings.py is the whole."""

import pytest

from protocol import referral
from tests.protocol.models import interleavings, mutants
from tests.protocol.models.interleavings import SORTS, run

SLICE = 3_000


@pytest.mark.parametrize("sort", SORTS)
def test_two_desks_agree_and_no_final_state_is_ever_undone(sort: str) -> None:
    faults = {seed: fault for seed in range(SLICE) if (fault := run(seed, sort))}
    assert faults == {}


def test_the_same_seed_plays_the_same_run() -> None:
    def trace(seed: int) -> list[referral.Event]:
        played = interleavings.Run(seed, SORTS["takeback"], interleavings.Rules())
        played.play(30)
        return played.desks["S"].own + played.desks["R"].own

    assert trace(7) == trace(7)
    assert trace(7) != trace(8)


def test_the_slice_reaches_every_terminal_state() -> None:
    reached = set()
    for sort in SORTS:
        for seed in range(300):
            played = interleavings.Run(seed, SORTS[sort], interleavings.Rules())
            played.play(36)
            reached.add(played.desks["S"].leg.state)
    assert set(referral.TERMINALS) <= reached


def first_fault(sort: str, rules: interleavings.Rules) -> str:
    return next((fault for seed in range(SLICE) if (fault := run(seed, sort, rules))), "")


@pytest.mark.parametrize("name", mutants.RULES)
def test_a_planted_bug_in_the_rules_is_found(name: str) -> None:
    rules, sort = mutants.RULES[name]
    assert first_fault(sort, rules) != ""


@pytest.mark.parametrize("name", mutants.ROWS)
def test_a_planted_bug_in_the_table_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row, wrong = mutants.ROWS[name]
    monkeypatch.setitem(referral.TRANSITIONS, row, wrong)  # type: ignore[arg-type]
    assert first_fault("plain", interleavings.Rules()) != ""


def test_taking_back_what_the_peer_has_applied_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interleavings, "may_take_back", lambda n, *, acks, peer_log: n not in acks)
    assert first_fault("takeback", interleavings.Rules()) == "false final"
