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


def test_the_same_seed_throws_the_same():
    def throws(seed):
        dice = SeededDice(seed)
        return dice.bytes(8), dice.uuid4(), dice.uniform(0, 1)

    assert throws(9) == throws(9)
    assert throws(9) != throws(10)


def test_the_clock_counts_whole_seconds():
    clock = SystemClock()
    assert isinstance(clock.now(), int)
    assert clock.monotonic() <= clock.monotonic()
