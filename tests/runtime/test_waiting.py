"""A loop that is woken and stopped in the same turn stops."""

import asyncio

import pytest

from node.runtime.dice import SeededDice
from node.runtime.waiting import Pace, woken


async def test_a_cancellation_in_the_same_turn_as_the_event_is_not_swallowed() -> None:
    for _ in range(50):
        event = asyncio.Event()
        task = asyncio.create_task(woken(event, 5))
        await asyncio.sleep(0)
        event.set()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_event_or_the_time_ends_the_wait() -> None:
    event = asyncio.Event()
    assert await woken(event, 0.01) is False
    event.set()
    assert await woken(event, 5) is True


def test_pauses_grow_to_a_limit_differ_between_two_and_begin_again_after_a_success() -> None:
    one, other = Pace(SeededDice(1), 5.0, 60.0), Pace(SeededDice(2), 5.0, 60.0)
    waits = [one.failed() for _ in range(30)]
    longest = [min(60.0, 5.0 * 2**k) for k in range(30)]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True))
    assert waits != [other.failed() for _ in range(30)]
    one.worked()
    assert one.failed() <= 5.0
