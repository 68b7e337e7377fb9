"""What handlers share: engine, writer, readers, the membership in force, the bell that wakes long polls. No routes."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeVar

from node.runtime.ports import Clock
from node.runtime.routes import Call
from node.runtime.writer import Readers, Writer
from protocol.errors import ProtocolError
from protocol.limits import POLL_WAIT
from protocol.members import Membership
from registry.engine import RegistryEngine

T = TypeVar("T")


class Asked(NamedTuple):
    """One request let in: `caller` is the active member that signed it, None where anyone may ask and nobody signed."""

    call: Call
    caller: str | None
    body: bytes


WAIT_MAX: Final = POLL_WAIT


class Service:
    """One registry being served. Made in the event loop that serves it."""

    def __init__(self, engine: RegistryEngine, writer: Writer, readers: Readers, clock: Clock) -> None:
        self.engine = engine
        self.writer = writer
        self.readers = readers
        self.clock = clock
        self._membership: Membership | None = None
        self._bell = asyncio.Event()
        self._closing = False

    @property
    def membership(self) -> Membership:
        """The newest committed one. Raises not-found before `refresh`."""
        if self._membership is None:
            raise ProtocolError("not-found", field="members")
        return self._membership

    @property
    def id(self) -> str:
        """Our id on the wire: the audience of calls."""
        return self.membership.doc.registry.id

    async def refresh(self) -> None:
        """Reads the membership that is on disk."""
        self._membership = await self.readers.read(self.engine.membership)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """On a read-only connection, one snapshot."""
        return await self.readers.read(query)

    async def write(self, command: Callable[[sqlite3.Connection], T]) -> T:
        """On disk when it returns; whoever waits for news is woken then."""
        result = await self.writer.submit(command)
        await self.refresh()
        self.ring()
        return result

    def ring(self) -> None:
        """Something was committed."""
        bell, self._bell = self._bell, asyncio.Event()
        bell.set()

    def close(self) -> None:
        """Nobody waits any longer."""
        self._closing = True
        self.ring()

    async def wait_for(self, look: Callable[[], Awaitable[T | None]], seconds: int) -> T | None:
        """What `look` finds, looking again after each commit, for at most `seconds`; None when it never did."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            bell = self._bell  # taken before looking: a commit in between rings it
            found = await look()
            if found is not None or self._closing or loop.time() >= end:
                return found
            try:
                async with asyncio.timeout_at(end):
                    await bell.wait()
            except TimeoutError:
                pass
