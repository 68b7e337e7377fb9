"""A registry and two nodes, the real applications in one loop on loopback, and members whose keys the tests hold.

`ladro` is a member in good standing that behaves badly; `sospeso` is suspended; `vecchia` has revoked its first key.
The loops of the nodes are ended once they listen: what changes in a store was changed by a call.
"""

import asyncio
import hashlib
import logging
import re
import socket
import sqlite3
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from node import enrolment
from node.app import App as NodeApp
from node.body import Body as NodeBody
from node.runtime import local, trust
from node.runtime.caller import signed_headers
from node.runtime.config import BodyConfig, HttpConfig, NodeConfig, RegistryConfig, load_config
from node.runtime.dice import SeededDice
from node.runtime.logs import JsonFormatter
from node.runtime.store import open_reader
from protocol.envelope import make_envelope
from protocol.names import Channel
from protocol.statements import sign_key_statement
from protocol.strict import b64u_encode
from protocol.suite import S1
from registry.app import App as BoardApp
from registry.setup import Document, NetworkSetup
from schemas.membership import JoinRequest, KeyStatement, Registry, Relay, Wanted
from schemas.problems import PROBLEMS
from tests.exchange.desks import offer
from tests.hostile.wire import PROBLEM, Answer, Peer, Request
from tests.registry.world import PROTOCOLLO, Body, World, line

CANARY = "Kzqwrtpsd"
BUSY = frozenset({"busy", "disk-full"})
CALLS_OUT = frozenset({"join", "sync"})  # local commands: what they could not reach is a 502
SLOWEST = 10.0  # seconds of processor: what hangs or grows without bound, not a figure of speed (those live in bench/)
PATIENCE = 60.0  # seconds of the clock, whatever else this machine does
FAULT = re.compile(r'"event":"(internal|loop-ended|courier|stream-cut)"')


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Board(World):
    """The registry's world, at an address where it can be reached; `distretto` keeps mailboxes too."""

    def __init__(self, port: int, relay_port: int) -> None:
        self.port, self.relay_port = port, relay_port
        super().__init__()

    def found(self, *, pilot: bool = False) -> None:
        from registry import ceremony

        plan = self.plan(("Capofila", "Distretto", "Terzo settore"), threshold=2)
        setup = NetworkSetup(
            registry=Registry("bacheca", [f"http://127.0.0.1:{self.port}"]),
            relays=(Relay("distretto", f"http://127.0.0.1:{self.relay_port}"),),
            protocollo=Document("1", "text/plain", PROTOCOLLO),
        )
        self.run(lambda tx: self.engine.configure(tx, setup))
        self.install(ceremony.sign_root(self.engine.first_draft(plan), self.guarantors[:2]))


class Logs(logging.Handler):
    """Every line as it would be written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    def faults(self) -> list[str]:
        return [text for text in self.lines if FAULT.search(text)]


class Watched:
    """A store seen from outside: has anything in it changed? what do its tables hold?"""

    def __init__(self, path: Path) -> None:
        self.db = open_reader(path)
        self._version = self._data_version()
        self._picture = self.tables()

    def _data_version(self) -> int:
        return self.db.execute("PRAGMA data_version").fetchone()[0]

    def changed(self) -> bool:
        """Since the last time this was asked."""
        before, self._version = self._version, self._data_version()
        return before != self._version

    def settled(self) -> dict[str, tuple[int, str]]:
        """What the tables hold now, read again only when something was written."""
        if self.changed():
            self._picture = self.tables()
        return self._picture

    def tables(self) -> dict[str, tuple[int, str]]:
        """Row count and a digest of every table."""
        names = [row[0] for row in self.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: self._table(name) for name in sorted(names)}

    def _table(self, name: str) -> tuple[int, str]:
        rows = sorted(map(repr, self.db.execute(f'SELECT * FROM "{name}"')))
        return len(rows), hashlib.sha256("\n".join(rows).encode()).hexdigest()


class Server:
    """One listener: its routes as the application registered them, a raw connection to it, the stores behind it."""

    def __init__(self, name: str, listener: object, watched: Watched, town: "Town") -> None:
        self.name, self.watched, self.town = name, watched, town
        self.port = listener.port
        app = listener._runner.app
        self.routes = sorted({(route.method, route.resource.canonical) for route in app.router.routes()} - {("HEAD",)})
        self.peer = Peer(self.port)

    async def send(self, request: Request) -> Answer:
        return await self.peer.send(request)

    async def refuses(self, request: Request, *codes: str, may_drop: bool = False, quiet: bool = True) -> Answer:
        """Sends, and asserts what has to hold of every refusal: whatever the bytes, a typed problem and no trace."""
        answer = await self.judged(request, may_drop=may_drop, quiet=quiet)
        where = f"{self.name}: {request.note}: {answer.status} {answer.body[:300]!r}"
        if answer.status:
            assert answer.status >= 400, where
        if codes and answer.status and answer.body:
            assert answer.code in codes, where
        return answer

    async def judged(self, request: Request, *, may_drop: bool = False, quiet: bool = True) -> Answer:
        """Sends, and asserts what has to hold of every answer; a call refused must have changed nothing."""
        before = self.watched.settled()
        faults = len(self.town.logs.faults())
        answer = await self.send(request)
        where = f"{self.name}: {request.note}: {request.method} {request.target[:120]!r} → {answer.status} {answer.body[:300]!r}"
        assert len(self.town.logs.faults()) == faults, f"{where} {self.town.logs.faults()[-1]}"
        assert may_drop or answer.status, where
        assert answer.work < SLOWEST and answer.seconds < PATIENCE, (
            f"{where} in {answer.work:.1f}, {answer.seconds:.1f} s"
        )
        if answer.status < 400:
            self.town.count("answered")
            return answer
        if answer.body or request.method != "HEAD":
            code = answer.code
            assert answer.headers["content-type"].startswith(PROBLEM), where
            assert PROBLEMS[code].status == answer.status, where
            assert answer.problem["server_time"] == self.town.clock.now(), where
            calls_out = request.target.decode("latin-1").rpartition("/")[2] in CALLS_OUT
            assert answer.status < 500 or code in BUSY or (calls_out and answer.status == 502), where
            assert not quiet or CANARY.encode() not in answer.body, where
            self.town.count(code)
        after = self.watched.settled()
        if after is not before:  # a refused command's pages may be written back as they were
            moved = {name: (before.get(name), after[name]) for name in after if before.get(name) != after[name]}
            assert not moved, f"{where} was refused and changed {moved}"
        return answer

    async def alive(self) -> None:
        answer = await Peer(self.port).send(Request("alive", "GET", b"/v1/health"))
        assert answer.status == 200


class Town:
    """Everything, made by `town`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ports = {"bacheca": free_port(), "distretto": free_port(), "montelabbate": free_port()}
        self.board = Board(self.ports["bacheca"], self.ports["distretto"])
        self.clock = self.board.clock
        self.net = self.board.net
        self.logs = Logs()
        self.codes: dict[str, int] = {}
        self.bodies: dict[str, NodeBody] = {}
        self.servers: dict[str, Server] = {}
        self.watched: list[Watched] = []

    def silent(self) -> None:
        """No fault of ours, and nothing of what was sent, in the log."""
        assert self.logs.faults() == []
        assert not [text for text in self.logs.lines if CANARY in text]

    def count(self, code: str) -> None:
        self.codes[code] = self.codes.get(code, 0) + 1

    # -- founding

    def people(self) -> None:
        """Two nodes with keys of their own, and members that exist only as keys in our hands."""
        for name in ("distretto", "montelabbate"):
            self._node(name)
        self.ladro = self.board.member("ladro")
        self.sospeso = self.board.member("sospeso")
        self.vecchia = self.board.member("vecchia")
        self.straniero = Body(self.net, "straniero", SeededDice(99))
        self.board.publish(self.ladro, [line("Sportello sociale", node="ladro"), line("Centro anziani", node="ladro")])
        self.board.publish(self.ladro, [line("Linea urgente", node="ladro", salt=True)], "network")
        self.revoked = self.vecchia.key
        self._revoke(self.vecchia)
        self.board.run(lambda tx: self.board.engine.suspend(tx, "sospeso"))
        for body in self.bodies.values():
            self._teach(body)

    def _revoke(self, member: Body) -> None:
        fresh = S1.signing_key(SeededDice(5).bytes(32))
        statement = KeyStatement(
            net=self.net, node=member.node, n=2, x=b64u_encode(fresh.public), prev=member.key.kid,
            iat=self.clock.now(), reason="compromise",
        )  # fmt: skip
        text = sign_key_statement(statement, member.key)
        member.key = fresh
        self.board.state(text, member.routes(self.clock.now(), 2))

    def _node(self, name: str) -> None:
        port = self.ports[name]
        request = enrolment.Init(
            id=name, listen_host="127.0.0.1", listen_port=port, relay=name == "distretto", plain_http_loopback=True
        )
        dice = SeededDice(sum(name.encode()))
        enrolment.init(self.path / name, request, clock=self.clock, dice=dice, suite=S1)
        body = NodeBody.open(load_config(self.path / name / enrolment.CONFIG_NAME, NodeConfig))
        body.clock = body.ctx.clock = self.clock
        body.ctx.net = self.net
        routes = enrolment.routes_statement(
            body, n=1, urls=[f"http://127.0.0.1:{port}"], relays=["bacheca", "distretto"]
        )
        body.ctx.net = ""
        wanted = Wanted(
            node=name, name=f"Ente {name}", ptype="PT-COMUNE", territory=["041044"], protocol=self.board.protocol,
            caps=["take-in-charge"],
        )  # fmt: skip
        code = self.board.run(lambda tx: self.board.engine.invite(tx, name)).code
        first = b64u_encode(body.ctx.keys.signing.public)
        answer = self.board.join(msgspec.json.encode(JoinRequest(wanted=wanted, first=first, routes=routes, code=code)))
        self.board.admit(self.board.approve(answer.ref))
        self.bodies[name] = body

    def _teach(self, body: NodeBody) -> None:
        root = self.board.read(lambda db: self.board.engine.roots_after(db, 0))[0].encode()
        raw = self.board.members.raw

        def keep(tx: sqlite3.Connection) -> None:
            held = body.begin(tx, self.net, root)
            trust.keep(tx, trust.advance(held, members=raw, now=self.clock.now()), self.clock.now())

        body.store.run(keep)
        body.reload()

    # -- serving

    async def start(self, *, honest: bool = True) -> None:
        """`honest` False: nobody serves the registry's address; a test does."""
        logging.getLogger().addHandler(self.logs)
        if honest:
            await self._start_registry()
        self.nodes = {name: NodeApp(body) for name, body in self.bodies.items()}
        for app in self.nodes.values():
            await app.start()
            await end(app._tasks.values())
        for name, app in self.nodes.items():
            self._serve(name, app._listeners[1], app.body.store.path)
            self._serve(f"{name} local", app._listeners[0], app.body.store.path)

    async def _start_registry(self) -> None:
        config = RegistryConfig(
            data_dir=str(self.path), bodies=(BodyConfig(id="bacheca"),),
            http=HttpConfig(listen_host="127.0.0.1", listen_port=self.ports["bacheca"]),
        )  # fmt: skip
        board = self.board
        self.registry = BoardApp(config, board.store, board.keystore, clock=self.clock, dice=board.dice, suite=S1)
        await self.registry.start()
        await end([self.registry._turning])
        self._serve("registry", self.registry._listeners[0], board.store.path)
        self._serve("registry local", self.registry._listeners[1], board.store.path)

    def _serve(self, name: str, listener: object, store: Path) -> None:
        watched = Watched(store)
        self.watched.append(watched)
        self.servers[name] = Server(name, listener, watched, self)

    async def stop(self) -> None:
        for server in self.servers.values():
            server.peer.drop()
        for app in getattr(self, "nodes", {}).values():
            await app.stop()
        if hasattr(self, "registry"):
            await self.registry.stop()
        else:
            self.board.store.close()
        for watched in self.watched:
            watched.db.close()
        logging.getLogger().removeHandler(self.logs)
        self.board.dir.cleanup()

    @property
    def public(self) -> list[Server]:
        return [self.servers[name] for name in ("registry", "distretto", "montelabbate")]

    def local_token(self, server: Server) -> str:
        app = self.registry if server.name.startswith("registry") else self.nodes[server.name.split(" ")[0]]
        data = self.path if app is self.registry else app.body.data_dir
        return local.announced(data).token

    # -- what a member can make

    def signed(self, server: Server, request: Request, *, who: Body | None = None, **changes: object) -> Request:
        """The same call with a token; changes: net, me, aud, method, target, now, body, key."""
        who = who or self.ladro
        fields = {
            "net": who.net, "me": who.node, "aud": "bacheca" if server.name == "registry" else server.name,
            "method": request.method, "target": request.target.decode("latin-1"), "now": self.clock.now(),
            "body": request.body or None, **changes,
        }  # fmt: skip
        bearer = signed_headers(fields.pop("key", who.key), **fields)["Authorization"]
        return request._replace(headers=(*request.headers, (b"Authorization", bearer.encode())))

    def envelope(
        self, *, who: Body | None = None, to: str = "distretto", n: int = 1, body: dict | None = None, **changes: object
    ):
        """A sealed offer of `who` that `to` would apply; `changes` are arguments of make_envelope."""
        who = who or self.ladro
        dice = SeededDice(n)
        jti, leg = (f"{n:08x}-0000-4000-8000-{x:012x}" for x in (1, 2))
        wire = {
            "kind": "event", "net": self.net, "from": who.node, "to": to, "jti": jti, "leg": leg, "n": 1, "seen": 0,
            "ev": "offer", "offer": msgspec.to_builtins(offer(case=leg, description=CANARY)), **(body or {}),
        }  # fmt: skip
        fields = {
            "suite": S1, "signing_key": who.key, "recipient": self.sealing(to), "net": self.net, "jti": jti,
            "sender": who.node, "to": to, "iat": self.clock.now(), "ch": Channel(1, n), "mv": 1, "salt": dice.bytes(32),
            "body": msgspec.json.encode(wire), "ephemeral_seed": dice.bytes(32), "nonce": dice.bytes(12), **changes,
        }  # fmt: skip
        return make_envelope(**fields)

    def sealing(self, node: str):
        found = self.board.members.sealing_for(node, self.clock.now())
        return found or self.ladro.sealing


async def end(tasks) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def town(path: Path, *, honest: bool = True):
    made = Town(path)
    made.people()
    try:
        await made.start(honest=honest)
        yield made
    finally:
        await made.stop()
