"""The node's interface served: which command a row runs, in which transaction, and who is written down for it.

Loaded with the rest of the shell, so light: shapes, commands and webhooks come with the first call.
"""

import sqlite3
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from node.api import tables
from node.api.endpoints import PREFIX, ROWS
from node.runtime import apps
from node.runtime.api import Api, Asked, Door, Endpoint, Shape
from node.runtime.routes import Route
from node.runtime.waiting import Bell, woken

if TYPE_CHECKING:
    from node.api import requests as ask
    from node.api.teller import Teller
    from node.app import App, Handler

SHELL: Final = frozenset({"take-back", "webhook-test"})  # commands that are no rows of the table


class LocalApi:
    """One for a running node."""

    def __init__(self, app: "App", shell: Mapping[str, "Handler"], command: Callable[[str], "Handler"]) -> None:
        self._app = app
        self._body = app.body
        self._shell = shell
        self._command = command
        self._bell = Bell()
        self._teller: Teller | None = None
        app.writer.after = self._bell.ring

    def routes(self, door: Door) -> list[Route]:
        """For a listener with these names."""
        api = Api(ROWS, shapes, self._run, self._authenticate, self._locker, self._body.clock.now, described)
        return api.routes(door, PREFIX)

    async def keep_telling(self) -> bool:
        """Whether anybody wants to be told: then `tell` has to be kept running."""
        return await self._app.readers.read(tables.anybody)

    async def tell(self) -> None:
        """Webhooks, for ever."""
        await self.teller().run()

    def teller(self) -> "Teller":
        """Made when first needed."""
        if self._teller is None:
            from node.api.teller import Teller

            self._teller = Teller(self._body, self._app.writer, self._app.readers, self._bell.next)
        return self._teller

    async def forget_old(self) -> None:
        """News nobody may ask for any more."""
        from node.api import feed

        now = self._body.clock.now()
        if await self._app.readers.read(lambda db: feed.due(db, now)):
            await self._app.writer.submit(lambda tx: feed.prune(tx, now))

    async def close(self) -> None:
        """No more connections out."""
        if self._teller is not None:
            await self._teller.close()

    # -- one call

    def _locker(self) -> apps.Locker:
        return apps.Locker(self._body.ctx.keystore.vault_key(), self._body.dice.bytes)

    async def _authenticate(self, token: str) -> apps.Caller:
        now = self._body.clock.now()
        return await self._app.readers.read(lambda db: apps.authenticate(db, token, now))

    async def _run(self, asked: Asked) -> bytes:
        once = asked.once
        if asked.row.outside and once is not None:
            held = await self._app.readers.read(once.before)
            if held is not None:
                return held
        match asked.row.command:
            case "events":
                return await self._events(asked.request)  # type: ignore[arg-type]  # the row's own request
            case "webhook-test":
                return msgspec.json.encode(await self.teller().test(asked.request))  # type: ignore[arg-type]  # the same
            case "webhook-add":
                await self.teller().check(asked.request.url)  # type: ignore[attr-defined]  # the same
                answer = await self._effect(asked)
                self._app.keep_telling()
                return answer
        return await self._effect(asked)

    async def _effect(self, asked: Asked) -> bytes:
        name, once = asked.row.command, asked.once
        run = self._shell.get(name) or self._command(name)
        payload = msgspec.json.encode(asked.request)
        if once is None:
            return await run(payload)

        def within(tx: sqlite3.Connection, effect: Callable[[], bytes]) -> bytes:
            held = once.before(tx)
            if held is not None:
                return held
            answer = effect()
            self._write_down(tx, asked, answer)
            once.keep(tx, answer)
            return answer

        return await run(payload, within)

    def _write_down(self, tx: sqlite3.Connection, asked: Asked, answer: bytes) -> None:
        """Which application did what, for whom, on which case: in the log that nobody can change."""
        from node.exchange.log import find_leg
        from node.vault import access

        request = asked.request
        as_ = getattr(request, "as_", None) or f"{asked.caller.id}/"
        leg = getattr(request, "leg", None)
        leg = (
            find_leg(tx, leg) if leg else msgspec.json.decode(answer).get("leg") if asked.row.command == "refer" else ""
        )
        row = tx.execute("SELECT case_id FROM leg WHERE leg = ?", (leg,)).fetchone()
        action = " ".join(("api", asked.row.command, *([request.ev] if hasattr(request, "ev") else [])))
        access.record(tx, access.Access(self._body.clock.now(), as_, action, row[0] if row else "", leg or ""))

    async def _events(self, request: "ask.Events") -> bytes:
        """Answers at once when there is news, else when some is committed, else empty after `wait` seconds."""
        import asyncio

        from node.api import feed

        loop = asyncio.get_running_loop()
        end = loop.time() + request.wait
        while True:
            bell = self._bell.next()
            found = await self._app.readers.read(lambda db: feed.read(db, request.after, request.limit))
            left = end - loop.time()
            if found.events or request.after is None or left <= 0:
                return msgspec.json.encode(found)
            await woken(bell, left)


# -- the document


def shapes(row: Endpoint) -> Shape:
    """What the command of a row asks, and what the function behind it says it gives."""
    from node import requests as plain
    from node.api import requests as ask
    from node.api.teller import Tested
    from node.commands import table

    if row.command == "take-back":
        return Shape(plain.TakeBack, plain.TakenBack)
    if row.command == "webhook-test":
        return Shape(ask.Webhook, Tested)
    command = table()[row.command]
    return Shape(command.request, command.run.__annotations__["return"])


def described() -> bytes:
    """The document, as committed."""
    from node.api.document import node_document
    from node.runtime.openapi import text

    return text(node_document()).encode()
