"""Waiting for an event or for some seconds, and being cancelled meanwhile: all three at once have to work."""

import asyncio


async def woken(event: asyncio.Event, seconds: float) -> bool:
    """True when the event is set, False after `seconds`.

    Not asyncio.wait_for: on Python 3.11 it swallows a cancellation that comes in the same turn as the event
    (cpython issue 86296), and a loop that is stopped while it is woken would go on for ever.
    """
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
