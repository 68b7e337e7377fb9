"""The registry of the simulated world: its real engine on a production store, with a mailbox, crashing like any host."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from node.runtime.dice import SeededDice
from node.runtime.keystore import MemoryKeystore
from node.runtime.store import Outcome
from protocol.errors import ProtocolError
from protocol.members import Membership
from protocol.suite import SigningKey, Suite
from registry import approval, ceremony
from registry.ceremony import GuarantorKey, RootPlan
from registry.engine import MIGRATIONS, RegistryEngine
from registry.setup import Document, NetworkSetup
from schemas.catalogue import CatalogueAnswer, CataloguePost
from schemas.membership import Registry, Relay, Wanted
from tests.simulator.fork import Fork
from tests.simulator.founding import PROTOCOLLO, REGISTRY, join_request, url_of
from tests.simulator.history import History
from tests.simulator.host import Host, seed_of
from tests.simulator.kernel import Answer, Kernel, Network, Violation

HOUR = 3_600_000


class Board(Host):
    """The capofila's process."""

    def __init__(
        self,
        kernel: Kernel,
        network: Network,
        home: Path,
        *,
        suite: Suite,
        history: History,
        changed: Callable[[], None],
    ) -> None:
        self.suite = suite
        self.history = history
        self.changed = changed
        self.keystore = MemoryKeystore(SeededDice(seed_of(network.plan.seed, REGISTRY, "keys")))
        self.engine: RegistryEngine
        self._membership: Membership
        self.fork: Fork | None = None
        super().__init__(REGISTRY, kernel, network, home, MIGRATIONS)

    # -- lives

    def found(self, relays: list[str]) -> None:
        """Ceremony with two guarantors whose keys never were on the server."""
        self.guarantors: list[GuarantorKey] = [
            ceremony.guarantor_key(name, self.dice.bytes(32), self.suite) for name in ("Capofila", "Distretto")
        ]
        self._engine()
        setup = NetworkSetup(
            registry=Registry(REGISTRY, [url_of(REGISTRY)]),
            relays=tuple(Relay(name, url_of(name)) for name in relays),
            protocollo=Document("1", "text/plain", PROTOCOLLO),
        )
        self.now_(lambda tx: self.engine.configure(tx, setup))
        plan = RootPlan("Ambito simulato", tuple(ceremony.as_guarantor(key) for key in self.guarantors), 2, 1)
        signed = ceremony.sign_root(self.engine.first_draft(plan), self.guarantors)
        root = self.engine.prepare_root(self.store._conn, signed)
        self.now_(lambda tx: self.engine.install_root(tx, root))
        self.net = root.net
        self.root_1 = self.engine.roots_after(self.store._conn, 0)[0].encode()
        self.begin()

    def admit(self, entry: Wanted, first: SigningKey, routes_text: str) -> None:
        """Invited, joined, approved by one guarantor, admitted."""
        self._admitted(self.now_(lambda tx: self.engine.invite(tx, entry.node)).code, entry, first, routes_text)

    def readmit(self, entry: Wanted, first: SigningKey, routes_text: str) -> None:
        """The same for one that was suspended."""
        self._admitted(self.now_(lambda tx: self.engine.readmit(tx, entry.node)).code, entry, first, routes_text)

    def _admitted(self, code: str | None, entry: Wanted, first: SigningKey, routes_text: str) -> None:
        raw = join_request(entry, first, routes_text, code)
        joining = self.engine.prepare_join(self.store._conn, raw)
        ref = self.now_(lambda tx: self.engine.join(tx, joining)).ref
        exported = approval.read_pending(
            msgspec.json.encode(self.engine.export(self.store._conn, [ref])), self.suite, net=self.net
        )
        approved = self.engine.prepare_admit(
            self.store._conn, [msgspec.json.encode(approval.approve(exported, self.guarantors[0]))]
        )
        self.now_(lambda tx: self.engine.admit(tx, approved))

    def _engine(self) -> None:
        self.engine = RegistryEngine(suite=self.suite, clock=self.clock, dice=self.dice, keystore=self.keystore)

    def begin(self) -> None:
        self._engine()
        self.kernel.after(1, self.changed)
        self._hourly(self.life)

    def _hourly(self, life: int) -> None:
        if self.up and self.life == life:
            self.submit(self.engine.daily, lambda outcome: self._told(outcome.result()))
            self.kernel.after(HOUR, lambda: self._hourly(life))

    @property
    def membership(self) -> Membership:
        """As any caller of the mailbox is judged; while the process is down, the last it had."""
        if self.up:
            self._membership = self.engine.membership(self.store._conn)
        return self._membership

    def _told(self, moved: object) -> None:
        if moved:
            self.kernel.note(self.name, "publishes members", self.membership.version)
            self.changed()

    # -- what it answers

    def serve_members(self, have: int, reply: Answer) -> None:
        """GET /v1/members."""
        held = self.membership
        reply((self.clock.now(), held.raw if held.version > have else None))

    def log(self, caller: str, after: int, reply: Answer) -> None:
        """GET /v1/log."""
        other = self.fork.page(caller, after) if self.fork else None
        reply(msgspec.json.encode(other or self.engine.log_page(self.store._conn, after)))

    def object(self, hash_: str, reply: Answer) -> None:
        """GET /v1/object/{hash}."""
        try:
            reply(self.engine.object(self.store._conn, hash_).bytes)
        except ProtocolError as problem:
            reply(problem)

    def statements(self, texts: list[str], reply: Answer) -> None:
        """POST /v1/statement."""
        raw = msgspec.json.encode({"statements": texts})
        self._command(lambda: self.engine.prepare_statement(self.store._conn, raw), self.engine.state, reply)

    def catalogue(self, post: CataloguePost, reply: Answer) -> None:
        """POST /v1/catalogue."""
        raw = msgspec.json.encode(post)
        self._command(lambda: self.engine.prepare_catalogue(self.store._conn, raw), self.engine.publish, reply)

    def _command(self, prepare: Callable[[], Any], command: Callable[..., Any], reply: Answer) -> None:
        try:
            prepared = prepare()
        except ProtocolError as problem:
            reply(problem)
            return

        def done(outcome: Outcome[Any]) -> None:
            if outcome.error is not None and not isinstance(outcome.error, ProtocolError):
                raise Violation("internal-error", f"{self.name}: {outcome.error!r}") from outcome.error
            reply(outcome.error or outcome.value)
            if outcome.error is None:
                self.kernel.note(self.name, "takes", type(outcome.value).__name__)
                self.changed()

        self.submit(lambda tx: command(tx, prepared), done)

    def suspend(self, name: str) -> None:
        """The capofila's command; repeated until it is seen to be done."""
        if not self.up or self.membership.members[name].status == "active":
            self.kernel.after(HOUR // 4, lambda: self.suspend(name))  # first: the commit may be where we die
            if self.up:
                self.submit(lambda tx: self.engine.suspend(tx, name), self._suspended)
            return
        if name not in self.history.suspended_at:
            self.history.suspended_at[name] = self.kernel.now
            self.changed()

    def _suspended(self, outcome: Outcome[int]) -> None:
        outcome.result()
        self.changed()


def accepted(answer: object) -> bool:
    """The board has the publication."""
    return isinstance(answer, CatalogueAnswer) and answer.accepted
