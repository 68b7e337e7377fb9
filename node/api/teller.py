"""Telling webhooks: sends what is due, outside any transaction, and writes what became of it. Shell only."""

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from node.api import requests as ask
from node.api import webhooks
from node.runtime.addresses import may_connect, target
from node.runtime.client import Outbound
from node.runtime.logs import event
from node.runtime.problem import AnsweredError
from node.runtime.waiting import woken
from node.runtime.writer import Readers, Writer
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from node.body import Body

SECONDS: Final = 15.0
ANSWER_MAX: Final = 64 * 1024
GONE: Final = 410
IDLE: Final = 600.0


class Tested(Struct, frozen=True):
    """What became of a test: `code` says why it was not taken."""

    id: str
    delivered: bool
    code: str | None = None


class Teller:
    """One for a running node; it sleeps while nobody wants to be told."""

    def __init__(self, body: "Body", writer: Writer, readers: Readers, bell: Callable[[], asyncio.Event]) -> None:
        http = body.config.http
        self._body, self._writer, self._readers, self._bell = body, writer, readers, bell
        self._loopback_ok = http.allow_plain_http_loopback
        self._proxied = http.proxy is not None
        ca = Path(http.ca_file) if http.ca_file else None
        self._client = Outbound(lambda _: True, proxy=http.proxy, ca_file=ca, loopback_ok=self._loopback_ok)

    async def run(self) -> None:
        """For ever."""
        while True:
            bell = self._bell()
            try:
                wait = await self.once()
            except ProtocolError as problem:  # a full disk must not end the loop
                event(logging.WARNING, "webhooks", code=problem.code)
                wait = 30.0
            await woken(bell, wait)

    async def once(self) -> float:
        """Sends until nothing is due; seconds until something may be."""
        while True:
            found, later = await self._readers.read(lambda db: webhooks.due(db, self._body))
            if not found:
                return IDLE if later is None else max(1.0, min(IDLE, later - self._body.clock.now()))
            await asyncio.gather(*(self._tell(due) for due in found))

    async def _tell(self, due: webhooks.Due) -> None:
        problem = await self._send(due)
        if problem is None:
            await self._writer.submit(lambda tx: webhooks.told(tx, due))
            return
        gone = isinstance(problem, AnsweredError) and problem.status == GONE
        over = await self._writer.submit(lambda tx: webhooks.failed(tx, self._body, due, problem, gone=gone))
        event(logging.WARNING if over else logging.INFO, "webhook", code=problem.code)

    async def _send(self, due: webhooks.Due) -> ProtocolError | None:
        out = webhooks.message(due, self._body.clock.now())
        try:
            await self._client.request(
                "POST", out.url, body=out.body, headers=out.headers, timeout=SECONDS, max_bytes=ANSWER_MAX
            )
        except ProtocolError as problem:
            ours = problem.code == "outbound-refused" and not isinstance(problem, AnsweredError)
            return ProtocolError("webhook-address", field="url") if ours else problem
        return None

    async def test(self, request: ask.Webhook) -> Tested:
        """One message at once. Raises not-found."""
        due = await self._readers.read(lambda db: webhooks.one(db, self._body, request))
        problem = await self._send(due)
        return Tested(request.id, problem is None, problem.code if problem else None)

    async def check(self, url: str) -> None:
        """Where the name leads now; looked at again at each connection. Raises webhook-address."""
        webhooks.check_address(url, loopback_ok=self._loopback_ok)
        if self._proxied:
            return
        to = target(url)
        try:
            async with asyncio.timeout(10):
                found = await asyncio.get_running_loop().getaddrinfo(to.host, to.port or 443, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError, UnicodeError):
            raise ProtocolError("webhook-address", field="url", expected="a name that leads somewhere") from None
        if not all(may_connect(str(address[0]), self._loopback_ok) for *_, address in found):
            raise ProtocolError("webhook-address", field="url")

    async def close(self) -> None:
        """No more connections."""
        await self._client.close()
