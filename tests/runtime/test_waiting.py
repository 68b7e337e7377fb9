"""A loop that is woken and stopped in the same turn stops."""

import asyncio

import pytest

from node.runtime.waiting import woken


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
