"""Waiting for an event or for some seconds, and being cancelled meanwhile: all three at once have to work. A bell."""

import asyncio
import contextlib


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


class Bell:
    """Rung from another thread after a commit. Take `next()` before looking: a commit in between rings that one."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()
        self._waited = False

    def next(self) -> asyncio.Event:
        """Set at the next ring."""
        self._waited = True
        return self._event

    def ring(self) -> None:
        """From any thread; costs nothing while nobody waits."""
        if self._waited:
            self._waited = False
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        rung, self._event = self._event, asyncio.Event()
        rung.set()
