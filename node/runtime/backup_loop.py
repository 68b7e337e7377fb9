"""Copies of a running program: made by themselves, at a change of keys, or because a person asked. Not how."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from node.runtime.backup_state import Backup, Made, load
from node.runtime.config import BackupConfig
from node.runtime.keystore import Keystore
from node.runtime.logs import event
from node.runtime.ports import Clock
from node.runtime.ports import Keystore as KeystorePort
from protocol.errors import ProtocolError

if TYPE_CHECKING:  # an idle process has no use for it
    from node.runtime.backup import Source

TURN: Final = 60.0  # seconds between looks at what is due


class Copied(NamedTuple):
    """What is copied, and how: `source` is asked in the thread that copies; `log` counts what was published, if any."""

    data_dir: Path
    config: BackupConfig
    clock: Clock
    keystore: KeystorePort
    source: "Callable[[], Source]"
    log: Callable[[], Awaitable[int]] | None = None


class BackupLoop:
    """One copy at a time, in a thread of its own; the writer goes on meanwhile. Made in the event loop."""

    def __init__(self, copied: Copied, failed: Callable[[str], Awaitable[None]]) -> None:
        """`failed` tells people, with the code of what stopped a copy."""
        self._copied = copied
        self._failed = failed
        self._one = asyncio.Lock()
        self._wake = asyncio.Event()
        self._ended = threading.Event()
        if isinstance(copied.keystore, Keystore):
            loop = asyncio.get_running_loop()
            copied.keystore.on_change = lambda: _tell(loop, self._wake)

    async def run(self) -> None:
        """For ever. Without a target in the configuration there is nothing to do."""
        if self._copied.config.to is None:
            return
        while True:
            await self.turn()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), TURN)
            self._wake.clear()

    def end(self) -> None:
        """A copy under way to a slow disk must not hold up the end of the program."""
        self._ended.set()

    async def turn(self) -> None:
        """Makes what is due; a failure is told."""
        from node.runtime import backup_turn as turns

        copied, now = self._copied, self._copied.clock.now()
        async with self._one:
            log = await self._grown()
            state, kids = load(copied.data_dir), turns.kids(copied.keystore.entries())
            full, keys = turns.full_due(state, copied.config, now, log=log), turns.keys_due(state, kids, now)
            if not full and not keys:
                return

            def work() -> None:
                source = copied.source()._replace(stopped=self._ended.is_set)
                turns.run(source, copied.config, copied.data_dir, kids, now=now, full=full, keys=keys)

            try:
                await asyncio.to_thread(work)
            except Exception as error:
                code = error.code if isinstance(error, ProtocolError) else "internal"
                event(logging.ERROR, "backup", code=code, exc=None if code != "internal" else error)
                await self._failed(code)

    async def _grown(self) -> int | None:
        try:
            return await self._copied.log() if self._copied.log is not None else None
        except ProtocolError:
            return None  # busy: the next turn looks again

    async def command(self, payload: bytes) -> bytes:
        """`backup`: a copy now, where and with the secret the request says."""
        from node.runtime import backup_turn as turns

        request = read_request(payload)
        copied = self._copied

        def work() -> Made:
            source = copied.source()._replace(stopped=self._ended.is_set)
            return turns.make_now(source, copied.data_dir, request, now=copied.clock.now())

        async with self._one:
            return msgspec.json.encode(await asyncio.to_thread(work))


def read_request(payload: bytes) -> Backup:
    """Raises bad-shape, bad-json, json-too-deep."""
    try:
        return msgspec.json.decode(payload, type=Backup)
    except msgspec.ValidationError:
        raise ProtocolError("bad-shape", field="backup") from None
    except RecursionError:
        raise ProtocolError("json-too-deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProtocolError("bad-json") from None


def _tell(loop: asyncio.AbstractEventLoop, wake: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: the next start looks by itself
        loop.call_soon_threadsafe(wake.set)
