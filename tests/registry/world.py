"""A network on a fake clock for the tests of the registry: founding, joining, publishing, without any HTTP."""

import tempfile
import uuid
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import UNSET

from node.runtime.dice import SeededDice
from node.runtime.keystore import MemoryKeystore
from node.runtime.store import Store
from protocol.limits import DAY
from protocol.publications import make_publication, record_line
from protocol.statements import sign_routes
from protocol.strict import b64u_encode, digest
from protocol.suite import S1
from registry import approval, ceremony
from registry.ceremony import GuarantorKey, RootPlan
from registry.engine import MIGRATIONS, RegistryEngine
from registry.setup import Document, NetworkSetup
from schemas.catalogue import CatalogueAnswer, CataloguePost
from schemas.membership import (
    ApprovalFile,
    JoinAnswer,
    JoinRequest,
    ProtocolVersion,
    Registry,
    RoutesStatement,
    SealingKey,
    Wanted,
)
from schemas.records import Organization, Service

T = TypeVar("T")
START = 1_795_259_400
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
PROTOCOLLO = b"Protocollo d'intesa, versione 1\n"


class FakeClock:
    def __init__(self, now: int = START) -> None:
        self.t = now

    def now(self) -> int:
        return self.t


class Body:
    """A member's side: its keys and what it signs."""

    def __init__(self, net: str, node: str, dice: SeededDice, *, ptype: str = "PT-COMUNE", name: str = "") -> None:
        self.net, self.node, self.ptype, self.name = net, node, ptype, name or f"Ente {node}"
        self.dice = dice
        self.key = S1.signing_key(dice.bytes(32))
        self.sealing = S1.sealing_key(dice.bytes(32))
        self.held: dict[str, tuple[int, str]] = {}

    def routes(self, now: int, n: int = 1, **changes: object) -> str:
        statement = RoutesStatement(
            net=self.net, node=self.node, n=n, since=now, urls=[], relays=["bacheca"], iat=now,
            sealing=[SealingKey(b64u_encode(self.sealing.public), now)],
        )  # fmt: skip
        return sign_routes(msgspec.structs.replace(statement, **changes), self.key)

    def wanted(self, protocol: ProtocolVersion, **changes: object) -> Wanted:
        wanted = Wanted(node=self.node, name=self.name, ptype=self.ptype, territory=["041044"], protocol=protocol)
        return msgspec.structs.replace(wanted, **changes)

    def request(self, protocol: ProtocolVersion, now: int, code: str | None = None, **changes: object) -> bytes:
        return msgspec.json.encode(
            JoinRequest(
                wanted=self.wanted(protocol, **changes),
                first=b64u_encode(self.key.public),
                routes=self.routes(now),
                code=code if code is not None else UNSET,
            )
        )

    def catalogue(self, lines: list[str], now: int, vis: str = "public", **changes: object) -> CataloguePost:
        rev, prev = self.held.get(vis, (0, ""))
        return make_publication(
            lines, self.key, net=self.net, node=self.node, vis=vis, prev=prev,
            **{"rev": rev + 1, "at": now, "exp": now + 180 * DAY, **changes},
        )  # fmt: skip


class World:
    """One registry on one store."""

    def __init__(self, seed: int = 1, *, pilot: bool = False, found: bool = True, suite: object = S1) -> None:
        self.dir = tempfile.TemporaryDirectory(dir=MEMORY)
        self.clock = FakeClock()
        self.dice = SeededDice(seed)
        self.keystore = MemoryKeystore(self.dice)
        self.store = Store.open(Path(self.dir.name) / "registry.db", MIGRATIONS)
        self.engine = RegistryEngine(suite=S1, clock=self.clock, dice=self.dice, keystore=self.keystore)
        self.guarantors: list[GuarantorKey] = []
        if found:
            self.found(pilot=pilot)

    def close(self) -> None:
        self.store.close()
        self.dir.cleanup()

    def restart(self) -> None:
        """The process starts again on the same file."""
        self.engine = RegistryEngine(suite=S1, clock=self.clock, dice=self.dice, keystore=self.keystore)

    def plan(self, names: tuple[str, ...], *, pilot: bool = False, threshold: int = 2, admission: int = 1) -> RootPlan:
        self.guarantors = [ceremony.guarantor_key(name, self.dice.bytes(32), S1) for name in names]
        public = tuple(ceremony.as_guarantor(key) for key in self.guarantors)
        return RootPlan("Ambito di prova", public, threshold, admission, pilot=pilot)

    def found(self, *, pilot: bool = False) -> None:
        names = ("Garante unico",) if pilot else ("Capofila", "Distretto", "Terzo settore")
        plan = self.plan(names, pilot=pilot, threshold=1 if pilot else 2)
        self.run(lambda tx: self.engine.configure(tx, setup()))
        signed = ceremony.sign_root(self.engine.first_draft(plan), self.guarantors[:2])
        self.install(signed)

    def install(self, signed: bytes) -> None:
        root = self.read(lambda db: self.engine.prepare_root(db, signed))
        self.run(lambda tx: self.engine.install_root(tx, root))

    def run(self, command: object) -> object:
        return self.store.run(command)

    def read(self, query: object) -> object:
        return self.store.read(query)

    @property
    def net(self) -> str:
        return self.read(self.engine.net)

    @property
    def members(self):
        return self.read(self.engine.membership)

    @property
    def protocol(self) -> ProtocolVersion:
        return ProtocolVersion("1", digest(PROTOCOLLO))

    def body(self, node: str, **more: str) -> Body:
        return Body(self.net, node, self.dice, **more)

    def join(self, raw: bytes) -> JoinAnswer:
        prepared = self.read(lambda db: self.engine.prepare_join(db, raw))
        return self.run(lambda tx: self.engine.join(tx, prepared))

    def approve(self, *refs: str, key: int = 0) -> bytes:
        """The guarantor's own PC: only the exported file and the key."""
        raw = msgspec.json.encode(self.read(lambda db: self.engine.export(db, refs)))
        exported = approval.read_pending(raw, S1, net=self.net)
        answer: ApprovalFile = approval.approve(exported, self.guarantors[key])
        return msgspec.json.encode(answer)

    def admit(self, *files: bytes):
        approved = self.read(lambda db: self.engine.prepare_admit(db, files))
        return self.run(lambda tx: self.engine.admit(tx, approved))

    def member(self, node: str, **more: object) -> Body:
        """Invited, joined, approved, admitted."""
        kind = {name: more.pop(name) for name in ("ptype", "name") if name in more}
        body = self.body(node, **kind)
        code = self.run(lambda tx: self.engine.invite(tx, node)).code
        answer = self.join(body.request(self.protocol, self.clock.now(), code, **more))
        self.admit(self.approve(answer.ref))
        return body

    def post(self, post: CataloguePost) -> CatalogueAnswer:
        prepared = self.read(lambda db: self.engine.prepare_catalogue(db, msgspec.json.encode(post)))
        return self.run(lambda tx: self.engine.publish(tx, prepared))

    def publish(self, body: Body, lines: list[str], vis: str = "public") -> CatalogueAnswer:
        post = body.catalogue(lines, self.clock.now(), vis)
        answer = self.post(post)
        rev = body.held.get(vis, (0, ""))[0] + 1
        body.held[vis] = (rev, digest(post.publication.encode()))
        return answer

    def state(self, *texts: str):
        raw = msgspec.json.encode({"statements": list(texts)})
        stated = self.read(lambda db: self.engine.prepare_statement(db, raw))
        return self.run(lambda tx: self.engine.state(tx, stated))


def setup() -> NetworkSetup:
    return NetworkSetup(
        registry=Registry("bacheca", ["https://bacheca.example"]),
        protocollo=Document("1", "text/plain", PROTOCOLLO),
    )


def line(
    name: str = "Sportello sociale", *, node: str = "comune-tavullia", salt: bool = False, **fields: object
) -> str:
    """A record as its writer puts it into bytes."""
    id_ = str(fields.pop("id", uid(node, name)))
    organization = Organization(id=uid(node), name=node, description="Ente di esempio")
    extra = {"salt": b64u_encode(sha256(name.encode()).digest()), **fields} if salt else fields
    return record_line(Service(id=id_, name=name, status="active", organization=organization, **extra))


def uid(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))
