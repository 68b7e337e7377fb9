"""Following the board: pages of the log, objects the map still lacks. Shell only; rules are in node.map.follow."""

import asyncio
import functools
import logging
import sqlite3
from typing import Final

from node import enrolment
from node import requests as ask
from node.body import Body
from node.courier import Courier
from node.exchange.outbox import raise_alarm
from node.map import follow, heads
from node.runtime.client import Outbound
from node.runtime.logs import event
from node.runtime.waiting import Pace, woken
from node.runtime.writer import Readers, Writer
from protocol import paths
from protocol.errors import ProtocolError
from protocol.limits import POLL_WAIT

IDLE: Final = 5.0
PAUSE: Final = 0.1  # between long polls that brought something
BACKOFF: Final = 30.0  # after what does not mend by itself
FURTHEST: Final = 60.0  # between two tries while the board cannot be reached
# log-moved: `sync` took the page meanwhile
_PASSES: Final = frozenset({"unreachable", "busy", "log-moved"})
_AT_ONCE: Final = 8  # objects fetched side by side


class Follower:
    """Keeps the replica: works on from its own tables whenever the board cannot be reached."""

    def __init__(self, body: Body, writer: Writer, readers: Readers, client: Outbound, courier: Courier) -> None:
        self._body = body
        self._writer = writer
        self._readers = readers
        self._client = client
        self._courier = courier
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """A newer members document was adopted."""
        self._wake.set()

    async def run(self) -> None:
        """For ever: a long poll on the log, then what the map lacks."""
        pace = Pace(self._body.dice, IDLE, FURTHEST)
        while True:
            pause = IDLE
            try:
                if self._body.ctx.joined:
                    pause = IDLE if await self._follow(wait=POLL_WAIT) else PAUSE
                    pace.worked()
            except follow.HeadConflictError as conflict:
                await self._conflict(conflict)
                pause = BACKOFF
            except ProtocolError as problem:
                event(logging.INFO, "board", code=problem.code)
                pause = self._pause_after(problem, pace)
            self._wake.clear()
            await woken(self._wake, pause)

    @staticmethod
    def _pause_after(problem: ProtocolError, pace: Pace) -> float:
        if problem.code == "log-moved":
            return PAUSE
        return pace.failed() + (problem.after or 0.0 if problem.code in _PASSES else BACKOFF)

    async def once(self) -> None:
        """One look without waiting: used by `sync`. Where the loop took a page in the meantime, it looks once more."""
        if self._body.ctx.joined:
            try:
                await self._follow(wait=0)
            except ProtocolError as problem:
                if problem.code != "log-moved":
                    raise
                await self._follow(wait=0)

    async def proof(self, request: ask.Prove) -> bytes:
        """The board's own proof of an entry of our map, whatever it is worth. Raises not-found, unreachable…"""
        from node.proof_commands import named  # what finds entries is loaded when somebody asks

        node, id_ = await self._readers.read(lambda db: named(db, request))
        query = f"?vis={request.vis}" if request.vis else ""
        return await self._get(paths.map_proof(node, id_) + query)

    async def _follow(self, wait: int) -> bool:
        """True when something is still lacking: it could not be had now."""
        membership = self._body.ctx.membership
        await self._writer.submit(lambda tx: follow.settle(tx, membership))
        lacking = await self._fetch_wanted()
        await self._next_pages(0 if lacking else wait)
        membership = self._body.ctx.membership
        await self._writer.submit(lambda tx: follow.settle(tx, membership))
        return await self._fetch_wanted()

    async def _next_pages(self, wait: int) -> None:
        while True:
            ours = await self._readers.read(follow.held)
            raw = await self._get(f"{paths.LOG}?after={ours.edge.size}&wait={wait}", wait=wait)
            page = follow.prepare_page(raw, ours, self._body.ctx.membership.root)
            if not page.leaves and page.note == ours.note:
                return
            await self._writer.submit(functools.partial(follow.apply_page, page=page))
            if not page.leaves:
                return
            wait = 0

    async def _fetch_wanted(self) -> bool:
        while True:
            wants = (await self._readers.read(self._wants))[:64]
            if not wants:
                return False
            got = 0
            for start in range(0, len(wants), _AT_ONCE):
                got += sum(await asyncio.gather(*map(self._fetch, wants[start : start + _AT_ONCE])))
            if not got:
                return True

    def _wants(self, db: sqlite3.Connection) -> list[follow.Want]:
        return list(follow.wanted(db, self._body.ctx.membership))

    async def _fetch(self, want: follow.Want) -> int:
        membership = self._body.ctx.membership
        try:
            raw = await self._get(paths.object_(want.hash))
        except ProtocolError as problem:
            event(logging.INFO, "object-lacking", code=problem.code)
            return 0
        try:
            checked = await self._readers.read(lambda db: follow.prepare_object(db, want, raw, membership))
        except ProtocolError as problem:
            code = problem.code
            await self._writer.submit(lambda tx: follow.refuse(tx, want, code))
            event(logging.WARNING, "object-refused", code=code)
            return 1
        await self._writer.submit(lambda tx: follow.accept_object(tx, checked, membership))
        return 1

    async def _get(self, target: str, wait: int = 0) -> bytes:
        registry = self._body.ctx.membership.doc.registry
        last = ProtocolError("unreachable", got="registry")
        for url in await self._readers.read(lambda db: enrolment.registry_urls(db, self._body)):
            try:
                return (await self._courier.call("GET", url, target, aud=registry.id, body=None, wait=wait)).body
            except ProtocolError as problem:
                if problem.code != "unreachable":
                    raise
                last = problem
        raise last

    async def _conflict(self, conflict: follow.HeadConflictError) -> None:
        now = self._body.clock.now()
        event(logging.ERROR, "log-conflict", code=conflict.code)

        def keep(tx: sqlite3.Connection) -> None:
            keys = heads.log_keys(tx, self._body.ctx.net, self._body.suite)
            raise_alarm(tx, now, heads.keep_conflict(tx, conflict, keys, now), None, None, None)

        await self._writer.submit(keep)
