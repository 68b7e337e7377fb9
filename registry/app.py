"""A running registry: store, writer, listeners, daily turn, put together. The shell; every rule is in the engine."""

import asyncio
import contextlib
import logging
import signal
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from node.mailbox import box
from node.mailbox.handlers import MailboxService
from node.mailbox.notices import Notifier
from node.runtime import local
from node.runtime.api import LOOPBACK, Door
from node.runtime.backup_loop import BackupLoop, Copied
from node.runtime.backup_state import clean
from node.runtime.caller import authenticate
from node.runtime.config import RegistryConfig
from node.runtime.http import Listener, ServerLimits, create_server_app, listen
from node.runtime.keystore import Keystore
from node.runtime.logs import event
from node.runtime.metrics import Counter, Gauge, metrics_route
from node.runtime.platform import notify_supervisor
from node.runtime.ports import Clock, Random
from node.runtime.routes import Call, Reply, Route, health_route
from node.runtime.store import Store
from node.runtime.vitals import Counted, vitals
from node.runtime.writer import Readers, Writer
from protocol import paths
from protocol.errors import ProtocolError
from protocol.suite import Suite
from registry import intake, joining, log, restored, statements
from registry.admin import AdminApi
from registry.asking import Expiry
from registry.commands import TABLE, run_row
from registry.engine import RegistryEngine
from registry.handlers import board, doctor, posts
from registry.handlers import map as map_handlers
from registry.opening import open_keys, open_store
from registry.service import Asked, Service

if TYPE_CHECKING:
    from ssl import SSLContext

    from node.runtime.backup import Source

METRICS: Final = "/v1/metrics"
COUNTED: Final = {
    "raccordo_log_size": ("Righe del registro pubblico", "SELECT size FROM edge"),
    "raccordo_pending": ("Richieste di entrare in attesa", "SELECT COUNT(*) FROM join_request WHERE state = 'pending'"),
    "raccordo_kept": ("Messaggi nelle caselle", "SELECT COUNT(*) FROM post"),
}
JOIN_STATE: Final = paths.JOIN + "/{ref}"
TURN: Final = 60.0  # seconds between looks at what is due

Who = Literal["anyone", "member", "anyone, members see more"]
Answer = Callable[[Service, Asked], Awaitable[Reply]]


class Row(NamedTuple):
    """One endpoint, and who may ask it. A member proves itself by a request token and has to be active."""

    method: str
    path: str
    who: Who
    answer: Answer
    max_body: int = 64 * 1024
    waits: bool = False


def rows(search: Answer) -> tuple[Row, ...]:
    """Every endpoint but health, metrics and the mailboxes, which have their own rule (see `routes`)."""
    return (
        Row("GET", paths.ROOTS, "anyone", board.roots),
        Row("GET", paths.MEMBERS, "anyone", board.members, waits=True),
        Row("GET", paths.LOG, "anyone", board.log, waits=True),
        Row("GET", paths.CHECKPOINT, "anyone", board.checkpoint),
        Row("GET", paths.OBJECT_ROUTE, "anyone, members see more", board.object_),
        Row("GET", paths.MAP, "anyone, members see more", map_handlers.ndjson),
        Row("GET", paths.MAP_PROOF_ROUTE, "anyone, members see more", map_handlers.proof),
        Row("GET", paths.SEARCH, "anyone", search),
        Row("POST", paths.JOIN, "anyone", posts.join, joining.JOIN_MAX),
        Row("GET", JOIN_STATE, "anyone", posts.join_state),
        Row("POST", paths.STATEMENT, "anyone", posts.statement, statements.POST_MAX),
        Row("POST", paths.LEAVE, "member", posts.leave, posts.LEAVE_MAX),
        Row("POST", paths.CATALOGUE, "member", posts.catalogue, intake.POST_MAX),
        Row("POST", paths.DOCTOR, "anyone", doctor.doctor, doctor.DOCTOR_MAX),
    )


class App:
    """One registry served. Made by `open`, started, stopped."""

    def __init__(
        self, config: RegistryConfig, store: Store, keystore: Keystore, *, clock: Clock, dice: Random, suite: Suite
    ) -> None:
        self.config, self.store, self.clock, self.dice = config, store, clock, dice
        self.data_dir = Path(config.data_dir)
        self.engine = RegistryEngine(suite=suite, clock=clock, dice=dice, keystore=keystore)
        self.writer = Writer(store)
        self.readers = Readers(store.path)
        self.searchers = Readers(store.path, threads=1)
        self.service = Service(self.engine, self.writer, self.readers, clock)
        self.requests = Counter("raccordo_requests_total", "Risposte per indirizzo e stato", ("route", "status"))
        self.counted = Counted(COUNTED)
        self.mailbox: MailboxService | None = None
        self._listeners: list[Listener] = []
        self._turning: asyncio.Task[None] | None = None
        self._copying: asyncio.Task[None] | None = None
        self._noticing: asyncio.Task[None] | None = None
        self.backups: BackupLoop | None = None
        self._said: set[tuple[str, str, int]] = set()

    @classmethod
    def open(cls, config: RegistryConfig, *, clock: Clock, dice: Random, suite: Suite) -> "App":
        """Opens keys and store. Raises config-missing before `init`, store-busy, keys-exposed…"""
        keystore = open_keys(config)
        return cls(config, open_store(config), keystore, clock=clock, dice=dice, suite=suite)

    async def start(self) -> None:
        """Binds the listeners, announces the local channel, signs what is due. Raises config-missing without a root."""
        clean(self.store.path)
        await self.service.read(self.engine.root)
        await self.service.read(restored.check_may_sign)
        await self._turn()
        http = self.config.http
        limits = ServerLimits(connections_per_address=http.connections_per_address)
        await self._bind(self.routes(), http.listen_host or "127.0.0.1", http.listen_port, limits, self.requests)
        token = local.new_token(self.dice)
        self.backups = backups = BackupLoop(
            Copied(self.data_dir, self.config.backup, self.clock, self.engine.board.keystore, self._copied, self._size),
            _left_to_doctor,
        )
        commands = {name: self._command(name) for name in TABLE} | {"backup": backups.command}
        api = AdminApi(self.service)
        private = [
            *local.local_routes(token, commands),
            *api.routes(Door(LOOPBACK)),
            health_route(self.clock),
            metrics_route(self._metrics(), METRICS, lambda: self.counted.refresh(self.readers.read)),
        ]
        patient = msgspec.structs.replace(limits, wait_seconds=60)  # a person waits
        await self._bind(private, "127.0.0.1", http.local_port, patient)
        if self.config.api.listen_host is not None:
            await self._open_office(api, limits)
        local.announce(self.data_dir, self._listeners[1].port, token)
        self._turning = asyncio.create_task(self._turn_for_ever(), name="turn")
        self._copying = asyncio.create_task(backups.run(), name="backup")
        if self.config.mail is not None:
            notifier = Notifier(
                self.config.mail, relay=self.service.id, membership=lambda: self.service.membership,
                writer=self.writer, readers=self.readers, clock=self.clock,
            )  # fmt: skip
            self._noticing = asyncio.create_task(notifier.run(), name="notices")

    @property
    def port(self) -> int:
        """Where the public listener is bound."""
        return self._listeners[0].port

    @property
    def local_port(self) -> int:
        """Where the local channel is bound."""
        return self._listeners[1].port

    async def stop(self) -> None:
        """Takes no new calls; what was acknowledged is on disk."""
        local.withdraw(self.data_dir)
        self.service.close()
        if self.backups is not None:
            self.backups.end()
        if self.mailbox is not None:
            self.mailbox.close()
        for task in (self._turning, self._copying, self._noticing):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        for listener in self._listeners:
            await listener.stop()
        self.readers.close()
        self.searchers.close()
        await self.writer.aclose()

    async def _bind(
        self,
        routes: list[Route],
        host: str,
        port: int,
        limits: ServerLimits,
        requests: Counter | None = None,
        tls: "SSLContext | None" = None,
    ) -> None:
        app = create_server_app(routes, clock=self.clock, dice=self.dice, limits=limits, requests=requests)
        self._listeners.append(await listen(app, host, port, tls))

    async def _open_office(self, api: AdminApi, limits: ServerLimits) -> None:
        """The interface for other computers of the office: over TLS, and nothing but the interface."""
        from node.runtime import tls

        to = self.config.api
        door = Door(tls.hosts_of(to), frozenset(to.origins))
        certificate = tls.context(to, self.data_dir, self.clock.now())
        routes = [*api.routes(door), health_route(self.clock)]
        await self._bind(routes, to.listen_host or "", to.listen_port, limits, tls=certificate)

    # -- what the outside calls

    def routes(self) -> list[Route]:
        """All of them. Mailboxes: members post, each owner reads its own (node.mailbox.handlers)."""
        search = map_handlers.Search(self.service, self.searchers)
        self.mailbox = MailboxService(
            relay=self.service.id,
            membership=lambda: self.service.membership,
            writer=self.writer,
            readers=self.readers,
            clock=self.clock,
        )
        return [health_route(self.clock), *(self._route(row) for row in rows(search.search)), *self.mailbox.routes()]

    def _route(self, row: Row) -> Route:
        async def answer(call: Call) -> Reply:
            return await row.answer(self.service, await self._let_in(row.who, call))

        return Route(row.method, row.path, answer, row.max_body, row.waits)

    async def _let_in(self, who: Who, call: Call) -> Asked:
        """A token is checked where the row asks for a member, or the caller offers one where members see more."""
        if who == "anyone" or (who != "member" and "authorization" not in call.headers):
            return Asked(call, None, await call.body())
        held = self.service.membership
        caller = await authenticate(call, held, net=held.net, aud=self.service.id, now=self.clock.now())
        return Asked(call, held.active(caller.node).node, caller.body)

    # -- what the command line calls

    def _command(self, name: str) -> local.CommandHandler:
        async def run(payload: bytes) -> bytes:
            def row(db: sqlite3.Connection) -> bytes:
                return run_row(db, self.engine, name, payload)

            return await (self.service.write(row) if TABLE[name].writes else self.service.read(row))

        return run

    # -- by itself

    async def _turn_for_ever(self) -> None:
        while True:
            await asyncio.sleep(TURN)
            try:
                await self._turn()
            except ProtocolError as error:
                event(logging.ERROR, "turn", code=error.code)

    async def _turn(self) -> None:
        """Signs the members document daily, drops what is over, says what is about to end (once each level)."""
        now = self.clock.now()
        await self.service.write(self.engine.daily)
        await self.writer.submit(lambda tx: box.expire(tx, now))
        for warning in await self.service.read(self.engine.warnings):
            self._say(warning)

    def _copied(self) -> "Source":
        from registry.backups import source

        return source(self.config)

    async def _size(self) -> int:
        return await self.service.read(log.size)

    def _say(self, warning: Expiry) -> None:
        key = (warning.what, warning.node, warning.level)
        if key not in self._said:
            self._said.add(key)
            event(logging.WARNING, "expiry", code=warning.what, member=warning.node, count=warning.days)

    def _metrics(self) -> list[Counter | Gauge]:
        return [
            self.requests,
            Gauge("raccordo_members", "Aderenti in elenco", lambda: len(self.service.membership.members)),
            Gauge("raccordo_members_version", "Versione dell'elenco", lambda: self.service.membership.version),
            Gauge("raccordo_commits", "Scritture confermate", lambda: self.store.commits),
            Gauge(
                "raccordo_members_expiry_seconds",
                "Scadenza dell'elenco, in secondi Unix",
                lambda: self.service.membership.doc.exp,
            ),
            *vitals(self.store.path),
            *self.counted.gauges,
        ]


async def _left_to_doctor(_: str) -> None:
    """A registry has no list of alarms: `doctor` fails on it, and the log has a line."""


async def serve(app: App, ready: Callable[[App], None]) -> None:
    """Starts, tells `ready`, and stays until SIGINT or SIGTERM."""
    try:
        await app.start()
    except BaseException:
        await app.stop()
        raise
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, done.set)
    ready(app)
    notify_supervisor("READY=1")
    try:
        await done.wait()
    finally:
        notify_supervisor("STOPPING=1")
        await app.stop()
