"""Throws of the dice."""

import uuid

import pytest

from node.runtime.clock import SystemClock
from node.runtime.dice import SeededDice, SystemDice


@pytest.mark.parametrize("dice", [SystemDice(), SeededDice(5)], ids=["system", "seeded"])
def test_identifiers_are_version_4_and_numbers_in_range(dice):
    for _ in range(200):
        text = dice.uuid4()
        read = uuid.UUID(text)
        assert (str(read), read.version, read.variant) == (text, 4, uuid.RFC_4122)
        assert 0.5 <= dice.uniform(0.5, 1) < 1
    assert len({dice.bytes(16) for _ in range(50)}) == 50


@pytest.mark.parametrize("dice", [SystemDice(), SeededDice(5)], ids=["system", "seeded"])
def test_identifiers_of_referrals_are_version_7_and_sort_as_they_were_made(dice):
    made = [dice.uuid7(at) for at in [1_795_259_402] * 3000 + [1_795_259_403] * 3]
    read = [uuid.UUID(text) for text in made]
    assert {(str(each), each.version, each.variant) for each in read} == {(t, 7, uuid.RFC_4122) for t in made}
    assert {each.int >> 80 for each in read} == {1_795_259_402_000, 1_795_259_403_000}
    assert made == sorted(made)
    assert len({text[-8:] for text in made}) > 2990, "the end, which people read out, is random"


def test_more_identifiers_in_one_second_than_the_counter_holds_are_still_different():
    dice = SeededDice(1)
    assert len({dice.uuid7(7) for _ in range(5000)}) == 5000


def test_the_same_seed_throws_the_same():
    def throws(seed):
        dice = SeededDice(seed)
        return dice.bytes(8), dice.uuid4(), dice.uuid7(3), dice.uniform(0, 1)

    assert throws(9) == throws(9)
    assert throws(9) != throws(10)


def test_the_clock_counts_whole_seconds():
    clock = SystemClock()
    assert isinstance(clock.now(), int)
    assert clock.monotonic() <= clock.monotonic()
