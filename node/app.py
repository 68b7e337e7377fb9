"""A running node: store, writer, listeners and loops put together. The shell; every rule is a command elsewhere.

One listener on loopback for commands; a second one only when the node can be reached from outside. All connections a
node *needs* are outbound.
"""

import asyncio
import contextlib
import logging
import signal
import sqlite3
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from node import enrolment, leaving
from node import requests as ask
from node.api.serving import LocalApi
from node.body import Body
from node.cases import operators
from node.commands import Nothing, decode_as, decode_request, run_in, table
from node.context import set_setting, setting
from node.courier import Courier
from node.exchange import erased, erasing, takeback
from node.exchange.log import find_leg, leg_row
from node.exchange.outbox import raise_alarm
from node.follower import Follower
from node.keys import recovering
from node.keys.keeper import Keeper
from node.mailbox import box
from node.mailbox.handlers import MailboxService
from node.mailbox.notices import Notifier
from node.membership_shell import MembershipShell
from node.publisher import Publisher
from node.runtime import local, trust
from node.runtime.api import LOOPBACK, Door
from node.runtime.backup_loop import BackupLoop, Copied
from node.runtime.backup_state import clean
from node.runtime.caller import authenticate
from node.runtime.client import Outbound
from node.runtime.config import NodeConfig
from node.runtime.http import Listener, ServerLimits, create_server_app, listen
from node.runtime.logs import event
from node.runtime.metrics import Counter, Gauge, metrics_route
from node.runtime.platform import notify_supervisor
from node.runtime.routes import Call, Reply, Route, health_route, json_reply
from node.runtime.vitals import Counted, vitals
from node.runtime.waiting import woken
from node.runtime.writer import Readers, Writer
from protocol import paths
from protocol.envelope import read_items
from protocol.errors import ProtocolError
from protocol.limits import BATCH_BYTES
from protocol.measures import median

if TYPE_CHECKING:
    from ssl import SSLContext

    from node.runtime.backup import Source

METRICS: Final = "/v1/metrics"
REFRESH: Final = 60.0  # seconds between looks at the members document (PROTOCOL §4: online peers within 60 s)
PAUSE: Final = 2.0  # seconds between two looks, at least
TICK: Final = 30.0
ERASING: Final = frozenset({"erase", "answer-erase", "retention", "rectify"})  # tidied after at once, not at a turn
COUNTED: Final = {
    "raccordo_queue": ("Messaggi che aspettano di partire", "SELECT COUNT(*) FROM outgoing WHERE s IS NOT NULL"),
    "raccordo_alarms": ("Allarmi aperti", "SELECT COUNT(*) FROM alarm WHERE cleared IS NULL"),
    "raccordo_kept": ("Messaggi nelle caselle tenute per altri", "SELECT COUNT(*) FROM post"),
}
TAMPERED: Final = frozenset({"members-rollback", "members-fork", "root-chain", "threshold"})
STOPPING: Final = 10.0  # seconds; a loop that does not end then dies with the process: nothing depends on its goodbye


Within = Callable[[sqlite3.Connection, Callable[[], bytes]], bytes]
"""Runs an effect inside its transaction: whoever wraps it may keep the answer there, or know it already."""


def at_once(_: sqlite3.Connection, effect: Callable[[], bytes]) -> bytes:
    """Nothing but the effect."""
    return effect()


class Handler(Protocol):
    """A command that something may be added to, in its own transaction."""

    async def __call__(self, payload: bytes, within: Within = ...) -> bytes: ...


class _Handlers(Mapping[str, local.CommandHandler]):
    """Commands by name. The table of all is loaded when the first one comes: an idle node has no use for it."""

    def __init__(self, make: Callable[[str], local.CommandHandler], own: Mapping[str, local.CommandHandler]) -> None:
        self._make = make
        self._own = own

    def __getitem__(self, name: str) -> local.CommandHandler:
        if name in self._own:
            return self._own[name]
        if name not in table():
            raise KeyError(name)
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter({*table(), *self._own})

    def __len__(self) -> int:
        return len({*table(), *self._own})


class App:
    """A body served. Made by `start`, ended by `stop`."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.config = body.config
        self.writer = Writer(body.store)
        self.readers = Readers(body.store.path)
        http = body.config.http
        self.client = Outbound(
            self._known, proxy=http.proxy, ca_file=_path(http.ca_file), loopback_ok=http.allow_plain_http_loopback
        )
        self.courier = Courier(body, self.writer, self.readers, self.client, self._changed)
        self.members = MembershipShell(body, self.writer, self.client, self._members_changed)
        self.follower = Follower(body, self.writer, self.readers, self.client, self.courier)
        self.publisher = Publisher(body, self.writer, self.readers, self.courier)
        self.keeper = Keeper(body, self.writer, self.readers, self.client, self._refresh_once)
        self._behind = asyncio.Event()
        self.courier.behind = self._behind.set
        self.requests = Counter("raccordo_requests_total", "Risposte per indirizzo e stato", ("route", "status"))
        self.counted = Counted(COUNTED)
        self.mailbox: MailboxService | None = None
        self.backups: BackupLoop | None = None
        self.api: LocalApi | None = None
        self._told: set[str] = set()
        self._changes = asyncio.Condition()
        self._notices: set[asyncio.Task[None]] = set()
        self._listeners: list[Listener] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.local_port = 0
        self.public_port: int | None = None
        self.api_port: int | None = None

    # -- life

    async def start(self) -> None:
        """Binds the listeners, announces the local channel, starts the loops."""
        http = self.config.http
        limits = ServerLimits(connections_per_address=http.connections_per_address)
        token = local.new_token(self.body.dice)
        clean(self.body.store.path)
        await self.writer.submit(self.body.exchange.begin)
        body = self.body
        copied = Copied(body.data_dir, self.config.backup, body.clock, body.ctx.keystore, self._copied)
        self.backups = backups = BackupLoop(copied, self._backup_failed)
        own = {
            "join": self._join, "sync": self._sync, "take-back": self._take_back, "fetch-proof": self._fetch_proof,
            "backup": backups.command, "recall": self._recall, "person": self._person, "erase": self._erase,
            "recover": self._recover, "export": self._export, "leave": self._leave,
        }  # fmt: skip
        commands = _Handlers(self._command, own)
        shell = {"take-back": self._take_back, "recall": self._recall, "erase": self._erase, "person": self._person}
        self.api = LocalApi(self, shell, self._command)
        routes = [
            *local.local_routes(token, commands),
            *self.api.routes(Door(LOOPBACK)),
            health_route(self.body.clock),
            metrics_route(self._metrics(), METRICS, lambda: self.counted.refresh(self.readers.read)),
        ]
        patient = msgspec.structs.replace(limits, wait_seconds=60)  # a person waits
        self._listeners.append(await self._bind(routes, "127.0.0.1", http.local_port, patient))
        self.local_port = self._listeners[0].port
        if http.listen_host is not None:
            self._listeners.append(await self._bind(self._public_routes(), http.listen_host, http.listen_port, limits))
            self.public_port = self._listeners[1].port
        if self.config.api.listen_host is not None:
            self.api_port = await self._open_office(limits)
        local.announce(self.body.data_dir, self.local_port, token)
        self._keep("courier", self.courier.run())
        self._keep("members", self._refresh_for_ever())
        self._keep("tick", self._tick_for_ever())
        self._keep("follow", self.follower.run())
        self._keep("publish", self.publisher.run())
        self._keep("backup", backups.run())
        self._keep("keys", self.keeper.run())
        if self.mailbox is not None and self.config.mail is not None:
            notifier = Notifier(
                self.config.mail, relay=self.body.ctx.me, membership=lambda: self.body.ctx.membership,
                writer=self.writer, readers=self.readers, clock=self.body.clock,
            )  # fmt: skip
            self._keep("notices", notifier.run())
        self._start_polls()
        if await self.api.keep_telling():
            self.keep_telling()

    def keep_telling(self) -> None:
        """From the first webhook on."""
        if self.api is not None and "webhooks" not in self._tasks:
            self._keep("webhooks", self.api.tell())

    async def stop(self) -> None:
        """Takes no new calls, ends the loops, gives the store back; what was acknowledged is on disk."""
        local.withdraw(self.body.data_dir)
        if self.backups is not None:
            self.backups.end()
        if self.mailbox is not None:
            self.mailbox.close()
        for listener in self._listeners:
            await listener.stop()
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=STOPPING)
        await self.client.close()
        if self.api is not None:
            await self.api.close()
        self.readers.close()
        await self.writer.aclose()
        self.body.close()

    async def _bind(
        self, routes: list[Route], host: str, port: int, limits: ServerLimits, tls: "SSLContext | None" = None
    ) -> Listener:
        app = create_server_app(
            routes, clock=self.body.clock, dice=self.body.dice, limits=limits, requests=self.requests
        )
        return await listen(app, host, port, tls)

    async def _open_office(self, limits: ServerLimits) -> int:
        """The interface for other computers of the office: over TLS, and nothing but the interface."""
        from node.runtime import tls

        assert self.api is not None
        to = self.config.api
        door = Door(tls.hosts_of(to), frozenset(to.origins))
        certificate = tls.context(to, self.body.data_dir, self.body.clock.now())
        routes = [*self.api.routes(door), health_route(self.body.clock)]
        listener = await self._bind(routes, to.listen_host or "", to.listen_port, limits, certificate)
        self._listeners.append(listener)
        return listener.port

    def _keep(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_report)
        self._tasks[name] = task

    def _metrics(self) -> list[Counter | Gauge]:
        """Counts only: no member, no referral (DESIGN §3.7)."""
        held = self.body.ctx
        return [
            self.requests,
            self.courier.set_aside,
            Gauge(
                "raccordo_members_version",
                "Versione dell'elenco",
                lambda: held.membership.version if held.joined else 0,
            ),
            Gauge("raccordo_commits", "Scritture confermate", lambda: self.body.store.commits),
            Gauge("raccordo_commands", "Comandi eseguiti", lambda: self.body.store.commands),
            Gauge(
                "raccordo_members_expiry_seconds",
                "Scadenza dell'elenco, in secondi Unix; 0: non ce n'è",
                lambda: held.membership.doc.exp if held.joined else 0,
            ),
            *vitals(self.body.store.path),
            *self.counted.gauges,
        ]

    # -- what the outside calls

    def _public_routes(self) -> list[Route]:
        routes = [
            health_route(self.body.clock),
            Route("POST", paths.INBOX, self._inbox, max_body=BATCH_BYTES),
            Route("GET", paths.MEMBERS, self._serve_members),
            Route("GET", paths.ROOTS, self._serve_roots),
            Route("GET", paths.MAP_PROOF_ROUTE, self._serve_proof),
        ]
        if self.config.relay:
            self.mailbox = MailboxService(
                relay=self.body.ctx.me, membership=lambda: self.body.ctx.membership,
                writer=self.writer, readers=self.readers, clock=self.body.clock,
            )  # fmt: skip
            routes += self.mailbox.routes()
        return routes

    async def _inbox(self, call: Call) -> Reply:
        ctx = self.body.ctx
        caller = await authenticate(call, ctx.membership, net=ctx.net, aud=ctx.me, now=self.body.clock.now())
        items = read_items(caller.body)
        received = await self.courier.receive(items, relayed=False)
        return json_reply(received.answer)

    async def _serve_members(self, call: Call) -> Reply:
        """Whoever asks: the document proves itself, and holds nothing secret from members' peers."""
        held = await self.readers.read(trust.raw_members)
        if held is None:
            raise ProtocolError("not-found")
        if call.whole("have", 0) >= held[0]:
            return Reply(304)
        return Reply(body=held[1], media="application/jose")

    async def _serve_roots(self, call: Call) -> Reply:
        after = call.whole("after", 0)
        raws = await self.readers.read(lambda db: trust.raw_roots(db, after))
        return json_reply({"roots": [raw.decode() for raw in raws]})

    async def _serve_proof(self, call: Call) -> Reply:
        """As the registry does, from our own copy of the log."""
        from node.map import proving  # few ask: a quarter of a megabyte at rest

        ctx = self.body.ctx
        node, id_, vis = proving.proof_of(call)
        if member := "authorization" in call.headers:
            caller = await authenticate(call, ctx.membership, net=ctx.net, aud=ctx.me, now=self.body.clock.now())
            ctx.membership.active(caller.node)
        root = ctx.membership.root
        return Reply(body=await self.readers.read(lambda db: proving.prove(db, root, node, id_, vis, member=member)))

    # -- commands

    def _command(self, name: str) -> Handler:
        async def run(payload: bytes, within: Within = at_once) -> bytes:
            command = table()[name]
            if not command.writes:
                return await self.readers.read(lambda db: run_in(db, self.body, name, payload))
            answer = await self.writer.submit(lambda tx: within(tx, lambda: run_in(tx, self.body, name, payload)))
            if name in ERASING:
                await self._tidy()
            if command.sends:
                self.courier.wake()
                self.publisher.wake()
                self.keeper.wake()
            return answer

        return run

    async def _join(self, payload: bytes) -> bytes:
        wish = decode_as(enrolment.JoinWish, payload)
        self._told.update(_base(url) for url in wish.invitation.registry)
        self._told.update(_base(relay.url) for relay in wish.invitation.relays)
        if (
            self.config.http.listen_host is not None
            and not wish.urls
            and self.public_port
            and not self.config.http.proxy
        ):
            wish = msgspec.structs.replace(wish, urls=[])
        await self.members.begin(wish.invitation)
        request = await self.writer.submit(lambda tx: enrolment.compose(tx, self.body, wish))
        answer = await self.members.request_join(request, list(wish.invitation.registry))
        await self.writer.submit(lambda tx: set_setting(tx, "join_ref", answer.ref))
        return msgspec.json.encode(await self.readers.read(lambda db: enrolment.status(db, self.body)))

    async def _recover(self, payload: bytes) -> bytes:
        """Contacts the network as at a first joining, then puts a new key in the place of the lost one."""
        asked = decode_as(ask.Recover, payload)
        if asked.invitation is not None and self.body.trust is None:
            self._told.update(_base(url) for url in asked.invitation.registry)
            await self.members.begin(asked.invitation)
            await self.writer.submit(lambda tx: enrolment.remember(tx, asked.invitation))
        await self._refresh_once()
        ctx, seed, signed = self.body.ctx, asked.seed, asked.signed
        refused: ProtocolError | None = None
        if seed is not None:
            posting = await self.writer.submit(lambda tx: recovering.with_key(tx, ctx, seed))
            refused = await self.keeper.post(posting)
        elif signed:
            posting = await self.writer.submit(lambda tx: recovering.with_guarantors(tx, ctx, signed))
            refused = await self.keeper.post(posting)
        if refused is not None and refused.problem.retry != "later":
            raise refused
        await self.keeper.turn()
        return await self.readers.read(lambda db: run_in(db, self.body, "own-keys", b"{}"))

    async def _export(self, payload: bytes) -> bytes:
        """Opening every case takes its time: logged first, then written beside the writer."""
        from node import exporting

        asked = decode_as(ask.Export, payload)
        ctx = self.body.ctx
        await self.writer.submit(lambda tx: exporting.record(tx, ctx, asked))
        return msgspec.json.encode(await self.readers.read(lambda db: exporting.write(db, ctx, asked)))

    async def _leave(self, payload: bytes) -> bytes:
        """Said to the registry; we are out when the list says so."""
        asked, ctx = decode_as(ask.Leave, payload), self.body.ctx
        request = msgspec.json.encode(await self.writer.submit(lambda tx: leaving.check(tx, ctx, asked)))
        last = ProtocolError("unreachable", got="registry")
        for url in await self._registry():
            try:
                await self.courier.call("POST", url, paths.LEAVE, aud=ctx.membership.doc.registry.id, body=request)
                break
            except ProtocolError as problem:
                if problem.code not in ("unreachable", "not-a-member"):  # not a member: it was heard before
                    raise
                last = problem
        else:
            await self._refresh_once()
            if ctx.membership.member(ctx.me).status != "ended":
                raise last
        await self._refresh_once()
        return msgspec.json.encode(await self.readers.read(lambda db: leaving.standing(db, ctx)))

    async def _sync(self, payload: bytes) -> bytes:
        """Look at once, instead of at the next turn: members, log, queue."""
        decode_request(table()["status"], payload or b"{}")
        await self._refresh_once()
        await self.follower.once()
        self.courier.wake()
        self.publisher.wake()
        return msgspec.json.encode(Nothing())

    async def _take_back(self, payload: bytes, within: Within = at_once) -> bytes:
        """The wrong recipient on a Friday: our newest event, before anybody read it."""
        asked = decode_as(ask.TakeBack, payload)
        leg = await self.readers.read(lambda db: find_leg(db, asked.leg))
        await self.readers.read(lambda db: operators.require(db, asked.as_, "cancel", leg))

        def also(tx: sqlite3.Connection, certain: bool) -> None:
            answer = msgspec.json.encode(ask.TakenBack(leg=leg, unread=certain))
            if within(tx, lambda: answer) is not answer:  # the same request, answered meanwhile
                raise ProtocolError("busy", after=1)

        certain = await self.courier.take_back(leg, also)
        self.courier.wake()
        return msgspec.json.encode(ask.TakenBack(leg=leg, unread=certain))

    async def _fetch_proof(self, payload: bytes) -> bytes:
        """As `proof`, but made by the board."""
        return await self.follower.proof(decode_as(ask.Prove, payload))

    async def _erase(self, payload: bytes, within: Within = at_once) -> bytes:
        """What stops travelling is taken from the mailboxes too, as far as nobody fetched it."""
        asked = decode_as(ask.Erase, payload)
        leg = await self.readers.read(lambda db: find_leg(db, asked.leg))
        before = await self.readers.read(lambda db: _queued(db, leg))
        answer = await self._command("erase")(payload, within)
        after = await self.readers.read(lambda db: _queued(db, leg))
        for dest, mids in before.items():
            stopped = sorted(mids - after.get(dest, set()))
            if stopped:
                await self.courier.ask_relays(dest, stopped, takeback.relays_of(self.body.ctx, dest))
        return answer

    async def _recall(self, payload: bytes, within: Within = at_once) -> bytes:
        """First back from the relays what nobody fetched; what may have been read is recalled."""
        from node.cases import erasure

        asked = decode_as(ask.Recall, payload)
        leg = await self.readers.read(lambda db: find_leg(db, asked.leg))
        await self.readers.read(lambda db: operators.require(db, asked.as_, "recall", leg))
        try:
            unread = await self.courier.take_back(leg) and await self.readers.read(
                lambda db: _state(db, leg) == "undeliverable"  # only a later step came back: it was received
            )
        except ProtocolError as problem:
            if problem.code not in ("illegal-event", "erased"):  # acknowledged: it has to be asked back
                raise
            unread = False
        wish = msgspec.structs.replace(asked, leg=leg)
        done = await self.writer.submit(
            lambda tx: within(tx, lambda: msgspec.json.encode(erasure.recall(tx, self.body.ctx, wish, unread=unread)))
        )
        await self._tidy()
        self.courier.wake()
        return done

    async def _person(self, payload: bytes, within: Within = at_once) -> bytes:
        """Opening every case takes its time: beside the writer, which then logs it before anybody sees it."""
        from node.cases import person

        asked = decode_as(ask.FindPerson, payload)
        keep = self.config.retention
        found = await self.readers.read(lambda db: person.find(db, self.body.ctx, asked, keep))
        answer = msgspec.json.encode(found)

        def log(tx: sqlite3.Connection) -> bytes:
            person.log(tx, self.body.ctx, asked, found)
            return answer

        return await self.writer.submit(lambda tx: within(tx, lambda: log(tx)))

    async def _tidy(self) -> None:
        """The list of what was erased, and the WAL: at once when it can be, else at the next turn."""
        try:
            await self.writer.maintain(lambda _: self.body.tidy())
        except (ProtocolError, OSError) as problem:
            event(logging.WARNING, "tidy", exc=problem)

    # -- loops

    def _known(self, url: str) -> bool:
        """Registry, relays and members we were told of (DESIGN §7: the outbound guard)."""
        base = _base(url)
        if base in self._told:
            return True
        held = self.body.trust.membership if self.body.trust else None
        if held is None:
            return False
        now = self.body.clock.now()
        told = {_base(u) for u in (*held.doc.registry.urls, *held.relays.values())}
        return base in told or any(base in map(_base, member.urls(now)) for member in held.members.values())

    async def _registry(self) -> list[str]:
        urls = await self.readers.read(lambda db: enrolment.registry_urls(db, self.body))
        self._told.update(map(_base, urls))
        return urls

    async def _refresh_once(self) -> None:
        if self.body.trust is None:
            return
        await self.members.refresh(await self._registry())

    async def _refresh_for_ever(self) -> None:
        while True:
            try:
                await self._refresh_once()
            except ProtocolError as problem:
                event(logging.WARNING, "members", code=problem.code)
                await self._say(problem.code)
            await asyncio.sleep(PAUSE)  # however many say that there is something newer
            # not all in step: whoever lost the board in one moment comes back to it spread over its minute
            await woken(self._behind, REFRESH * self.body.dice.uniform(0.8, 1.0) if self.body.ctx.joined else 0.0)
            self._behind.clear()

    async def _say(self, code: str) -> None:
        """People are told when what was shown us cannot come from an honest board (PROTOCOL §4)."""
        if code in TAMPERED:
            now, me = self.body.clock.now(), self.body.ctx.me
            with contextlib.suppress(ProtocolError):  # a full disk must not end the loop
                await self.writer.submit(lambda tx: raise_alarm(tx, now, code, me, None, None))

    def _copied(self) -> "Source":
        from node.backups import source

        return source(self.config)

    async def _backup_failed(self, _: str) -> None:
        now, me = self.body.clock.now(), self.body.ctx.me
        with contextlib.suppress(ProtocolError):  # a full disk must not end the loop
            await self.writer.submit(lambda tx: raise_alarm(tx, now, "backup-failed", me, None, None))

    async def _tick_for_ever(self) -> None:
        while True:
            try:
                if self.body.ctx.joined:
                    await self.writer.submit(self.body.exchange.tick)
                    if self.mailbox is not None:
                        await self.writer.submit(lambda tx: box.expire(tx, self.body.clock.now()))
                    await self._note_clock()
                    if await self.writer.submit(self.body.exchange.heads):
                        self.courier.wake()
                if self.api is not None:
                    await self.api.forget_old()
                await self._tidy()
            except ProtocolError as problem:
                event(logging.WARNING, "tick", code=problem.code)
            await asyncio.sleep(TICK)

    async def _note_clock(self) -> None:
        """The median of what registry and peers say (PROTOCOL §1)."""
        if not self.courier.clock_skew:
            return
        offset = round(median(self.courier.clock_skew.values()))
        held = await self.readers.read(lambda db: int(setting(db, "clock_offset", "0")))
        if abs(offset - held) > 5:
            await self.writer.submit(lambda tx: set_setting(tx, "clock_offset", str(offset)))
            if abs(offset) > 120:
                event(logging.WARNING, "clock", count=offset)

    def _start_polls(self) -> None:
        if not self.body.ctx.joined:
            return
        relays = self.body.ctx.membership.member(self.body.ctx.me).relays(self.body.clock.now())
        for relay in relays:
            if relay == self.body.ctx.me and self.config.relay:
                continue
            if f"poll {relay}" not in self._tasks:
                self._keep(f"poll {relay}", self.courier.poll(relay))

    def _members_changed(self) -> None:
        self._start_polls()
        self.courier.wake()
        self.follower.wake()
        self.publisher.wake()
        self.keeper.wake()

    def _changed(self, legs: list[str]) -> None:
        if not legs:
            return
        task = asyncio.get_running_loop().create_task(self._notify())
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

    async def _notify(self) -> None:
        async with self._changes:
            self._changes.notify_all()

    async def changed(self) -> None:
        """Returns after the next commit that changes a referral: what a page or a test waits for."""
        async with self._changes:
            await self._changes.wait()


def _queued(db: sqlite3.Connection, leg: str) -> dict[str, set[str]]:
    row = leg_row(db, leg)
    return erasing.sealings(db, erased.legs_of_case(db, row.case_id)) if row else {}


def _state(db: sqlite3.Connection, leg: str) -> str:
    row = leg_row(db, leg)
    return row.state if row else "none"


def _base(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}".lower()


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        event(logging.ERROR, "loop-ended", exc=error, field=task.get_name())


def serve(config: NodeConfig) -> None:
    """Runs until SIGTERM or Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(config))


async def _serve(config: NodeConfig) -> None:
    app = App(Body.open(config))
    await app.start()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in ("SIGTERM", "SIGINT"):
        with contextlib.suppress(NotImplementedError, ValueError):
            loop.add_signal_handler(getattr(signal, name), stopping.set)
    event(logging.INFO, "serving", member=app.body.ctx.me, port=app.public_port or app.local_port)
    notify_supervisor("READY=1")
    try:
        await stopping.wait()
    finally:
        notify_supervisor("STOPPING=1")
        await app.stop()
