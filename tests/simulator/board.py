"""The registry of the simulated world: membership and a mailbox on one production store."""

from collections.abc import Callable
from pathlib import Path

from msgspec import structs

from node.mailbox import box
from node.runtime import trust
from protocol.members import Membership, build_members, read_members
from protocol.roots import TrustedRoot
from protocol.strict import digest
from schemas.membership import MemberEntry, MembersDoc, Registry, Relay, VocabularyVersion
from tests.simulator.founding import REGISTRY, Founders, url_of
from tests.simulator.history import History
from tests.simulator.host import Host
from tests.simulator.kernel import Answer, Kernel, Network

DAY_S = 86_400


class Board(Host):
    """The capofila's process."""

    def __init__(
        self,
        kernel: Kernel,
        network: Network,
        home: Path,
        founders: Founders,
        history: History,
        changed: Callable[[], None],
    ) -> None:
        self.founders = founders
        self.history = history
        self.changed = changed
        self.entries: dict[str, MemberEntry] = {}
        self.relays: list[str] = []
        self.membership: Membership
        super().__init__(REGISTRY, kernel, network, home, (*trust.MIGRATIONS, *box.MIGRATIONS))
        self.root = TrustedRoot.start(founders.root_1, founders.net, founders.suite)
        self.held: Membership | None = None

    def begin(self) -> None:
        self.kernel.after(1, self.changed)

    def publish(self) -> None:
        """The next members document."""
        now = self.clock.now()
        last = self.held
        names = [REGISTRY, *self.relays]
        doc = MembersDoc(
            net=self.founders.net, version=last.version + 1 if last else 1, iat=now, exp=now + 7 * DAY_S, root=1,
            relays=[Relay(name, url_of(name)) for name in names], registry=Registry(REGISTRY, [url_of(REGISTRY)]),
            members=[self.entries[name] for name in sorted(self.entries)], vocab=VocabularyVersion("1"),
        )  # fmt: skip
        if last:
            doc = structs.replace(doc, prev=digest(last.raw))
        raw = build_members(doc, self.founders.online)
        self.held = self.membership = read_members(raw, self.root, now, last)
        self.kernel.note(self.name, "publishes members", self.held.version)
        self.changed()

    def admit(self, name: str, admission: str, routes: str) -> None:
        self.entries[name] = MemberEntry(admission=admission, status="active", since=self.clock.now(), routes=routes)

    def suspend(self, name: str) -> None:
        self.entries[name] = structs.replace(self.entries[name], status="suspended", since=self.clock.now())
        self.publish()
        self.history.suspended_at[name] = self.kernel.now

    def state_routes(self, name: str, routes: str) -> bool:
        """A member's own statement."""
        self.entries[name] = structs.replace(self.entries[name], routes=routes)
        self.publish()
        return True

    def serve_members(self, have: int, reply: Answer) -> None:
        """GET /v1/members."""
        reply((self.clock.now(), self.membership.raw if self.membership.version > have else None))
