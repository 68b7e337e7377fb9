"""Bringing what we state of our keys and routes to the registry. Shell only: node.keys.own says what and when."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from node import enrolment
from node.body import Body
from node.keys import own, republishing
from node.keys.own import Posting
from node.runtime.client import Outbound
from node.runtime.logs import event
from node.runtime.waiting import woken
from node.runtime.writer import Readers, Writer
from protocol import paths
from protocol.errors import ProtocolError

IDLE: Final = 30.0


class Keeper:
    """Posts what waits until our entry shows it. `refresh` fetches the document that does."""

    def __init__(
        self, body: Body, writer: Writer, readers: Readers, client: Outbound, refresh: Callable[[], Awaitable[None]]
    ) -> None:
        self._body = body
        self._writer = writer
        self._readers = readers
        self._client = client
        self._refresh = refresh
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something was stated, or a newer document was adopted."""
        self._wake.set()

    async def run(self) -> None:
        """For ever: a turn, a post, a pause."""
        while True:
            self._wake.clear()
            try:
                await self.turn()
            except ProtocolError as problem:
                event(logging.WARNING, "keys", code=problem.code)
            await woken(self._wake, IDLE)

    async def turn(self) -> None:
        """What our entry shows is taken into use, then what waits is posted when it is due."""
        body = self._body
        if not body.ctx.joined:
            return
        posting = await self._writer.submit(self._turn)
        if posting is not None and posting.next_at <= body.clock.now():
            await self.post(posting)

    def _turn(self, tx: sqlite3.Connection) -> Posting | None:
        republishing.came_back(tx, self._body.ctx)
        return own.turn(tx, self._body.ctx)

    async def post(self, posting: Posting) -> ProtocolError | None:
        """One try; what became of it is a command. The refusal, if it was refused."""
        ctx = self._body.ctx
        try:
            await self._send(posting)
        except ProtocolError as error:
            problem = error
            event(logging.WARNING, "keys", code=problem.code, field=posting.kind)
            await self._writer.submit(lambda tx: own.failed(tx, ctx, posting.id, problem))
            return problem
        await self._writer.submit(lambda tx: own.accepted(tx, ctx, posting.id))
        await self._refresh()
        return None

    async def _send(self, posting: Posting) -> None:
        """They prove themselves, and who lost a key could sign no call."""
        raw = msgspec.json.encode({"statements": posting.texts})
        last = ProtocolError("unreachable", got="registry")
        for url in await self._readers.read(lambda db: enrolment.registry_urls(db, self._body)):
            try:
                headers = {"Content-Type": "application/json"}
                target = url.rstrip("/") + paths.STATEMENT
                await self._client.request("POST", target, body=raw, headers=headers)
                return
            except ProtocolError as problem:
                if problem.code != "unreachable":
                    raise
                last = problem
        raise last
