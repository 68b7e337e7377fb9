"""Waiting for an event or for some seconds, and being cancelled meanwhile: all three at once have to work. A bell."""

import asyncio
import contextlib

from node.runtime.ports import Random


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


class Pace:
    """Pauses between tries of one thing: U(0.5, 1) · min(cap, first · 2^k), as the exchange spaces its own.

    Everybody's connections break in the same moment when a board falls: who then counts the same seconds comes back in
    the same moment too.
    """

    def __init__(self, dice: Random, first: float, cap: float) -> None:
        self._dice, self._first, self._cap = dice, first, cap
        self._failures = 0

    def failed(self) -> float:
        """Seconds to wait after one more failure."""
        longest = min(self._cap, self._first * (1 << min(self._failures, 20)))
        self._failures += 1
        return self._dice.uniform(0.5, 1.0) * longest

    def worked(self) -> None:
        """The next failure is a first one."""
        self._failures = 0


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
