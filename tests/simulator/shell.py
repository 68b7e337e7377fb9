"""A node's shell in virtual time, equivalent to the real courier: sends what is due, polls mailboxes, acknowledges,

follows the membership. The engine, the store and every rule are the production ones; only the waiting is simulated.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from node.cases.desk import folded
from node.context import Context, set_setting, setting
from node.engine import MIGRATIONS as ENGINE
from node.engine import Exchange
from node.exchange import ends, erasing, outbox, restored
from node.exchange.delivery import Parcel
from node.exchange.inbox import Arrived, Received
from node.exchange.log import leg_row
from node.keys import watching
from node.map import follow
from node.map import heads as map_heads
from node.map.tables import map_migrations
from node.runtime import trust
from node.runtime.keystore import MemoryKeystore
from node.runtime.store import Outcome, open_reader
from protocol.errors import ProtocolError
from protocol.members import Membership
from protocol.strict import b64u_decode
from protocol.suite import Suite
from schemas.wire import DeliveryAnswer, Item, MailboxAck, MailboxAckAnswer, MailboxPage, Receipt
from tests.simulator import keys
from tests.simulator.board import Board
from tests.simulator.follower import Follower
from tests.simulator.history import Acked, History, Sent
from tests.simulator.host import Host
from tests.simulator.kernel import Answer, Kernel, Network, Violation
from tests.simulator.older import OldExchange
from tests.simulator.relay import Mailbox

SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
POLL_EVERY: Final = 40 * MINUTE  # the wake-up of a long poll can be lost; this finds what waits
REFRESH_EVERY: Final = HOUR
TICK_EVERY: Final = HOUR
COALESCE: Final = 150  # answers that come together wake the courier once
STUCK_WAKE: Final = 30 * MINUTE  # something is due and has no way to go: look again
PART_BYTES: Final = 100  # attachments of some hundred bytes travel in up to eight parts
_KEEP_IN_MAILBOX: Final = frozenset({"unknown-key", "restored", "from-the-future", "busy"})  # as node.courier
_NEXT_WAKE: Final = (
    "SELECT MIN(at) FROM (SELECT MAX(o.next_at, CASE WHEN o.urgent THEN 0 ELSE COALESCE(p.next_at, 0) END) AS at"
    " FROM outgoing o LEFT JOIN peer p ON p.node = o.dest WHERE o.s IS NOT NULL"
    " UNION ALL SELECT next_at FROM receipt_out) WHERE at > ?"
)


STORE: Final = (*ENGINE, *trust.MIGRATIONS, *map_migrations(), *follow.MIGRATIONS, *map_heads.MIGRATIONS)


class Directory:
    """Who answers at which name: what DNS and TLS are to the real programs."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.mailboxes: dict[str, Mailbox] = {}
        self.board: Board
        self.members: dict[str, tuple[Host, Callable[[int, Answer], None]]] = {}


class Node(Host):
    """One body's process."""

    def __init__(
        self,
        name: str,
        kernel: Kernel,
        network: Network,
        home: Path,
        *,
        suite: Suite,
        keystore: MemoryKeystore,
        net: str,
        directory: Directory,
        history: History,
        old: bool = False,
        hostile: bool = False,
    ) -> None:
        self.old = old  # it runs version 0.1.0
        self.hostile = hostile
        self.suite = suite
        self.keystore = keystore
        self.net = net
        self.directory = directory
        self.history = history
        self.read_receipts: set[str] = set()  # what a check verified
        self.read_files: set[tuple[object, ...]] = set()  # what a check read and found sound
        self.ctx: Context
        self.exchange: Exchange
        self.erased_list: dict[str, int] = {}  # beside the store, so that an old copy does not bring back what is in it
        self.announced = False  # the person who put an old copy back said so
        super().__init__(name, kernel, network, home, STORE)

    # -- lives

    def enter(self, root_1: bytes, members: bytes) -> None:
        """First contact: root and membership, checked and stored."""
        now = self.clock.now()
        fresh = trust.advance(trust.start(root_1, self.net, self.suite), members=members, now=now)
        self.now_(lambda tx: trust.keep(tx, fresh, now, roots=[root_1]))
        self.begin()

    def begin(self) -> None:
        self.ctx = Context(
            me=self.name, net=self.net, suite=self.suite, clock=self.clock, dice=self.dice, keystore=self.keystore
        )
        self.ctx.part_bytes = PART_BYTES
        vars(self.ctx)["old"] = self.old
        self.exchange = OldExchange(self.ctx) if self.old else Exchange(self.ctx)
        held = self.store.read(lambda db: trust.load(db, self.net, self.suite, self.clock.now()))
        assert held is not None and held.membership is not None
        self.trust = held
        self.ctx.adopt(held.membership)
        self.reader = open_reader(self._path())
        self.in_flight: dict[str, None] = {}
        self.receipts_in_flight: dict[int, None] = {}
        self.polling: dict[str, str] = {}
        self.positions: dict[str, str] = {}
        self._wake_at = -1
        self._refreshing = False
        self.follower = Follower(self, self.directory.board)
        self.every(POLL_EVERY, self.poll_all)
        self.every(REFRESH_EVERY, self.refresh)
        self.every(TICK_EVERY, self.tick)
        self.soon(self.poll_all)
        self.soon(self.refresh)
        if self.erased_list:
            back = dict(self.erased_list)
            self.now_(lambda tx: erasing.reapply(tx, self.ctx, list(back), back))
        if self.announced:
            self.announced = False
            self.submit(lambda tx: restored.mark(tx, self.clock.now()), lambda outcome: self.sound(outcome))
        self.submit(lambda tx: self.exchange.begin(tx), lambda outcome: self.sound(outcome))
        self.wake(COALESCE)

    def crash(self, away: int) -> None:
        if self.up:
            self.reader.close()
        super().crash(away)

    def fall_back(self, copy: Path, away: int) -> None:
        self.erased_list |= dict(self.store.read(lambda db: db.execute("SELECT leg, at FROM erased").fetchall()))
        super().fall_back(copy, away)

    def close(self) -> None:
        if self.up:
            self.reader.close()
        super().close()

    def guarded(self, act: Callable[[], None]) -> Callable[[], None]:
        """`act`, if this life is still going on."""
        life = self.life

        def run() -> None:
            if self.up and self.life == life:
                act()

        return run

    def every(self, period: int, act: Callable[[], None]) -> None:
        def run() -> None:
            act()
            self.kernel.after(round(self.dice.uniform(0.5, 1.0) * period), self.guarded(run))

        self.kernel.after(round(self.dice.uniform(0.1, 1.0) * period), self.guarded(run))

    def soon(self, act: Callable[[], None]) -> None:
        self.kernel.after(round(self.dice.uniform(10, 3_000)), self.guarded(act))

    @property
    def membership(self) -> Membership:
        return self.ctx.membership

    # -- sending

    def wake(self, delay: int) -> None:
        """Plan the next round of the courier, unless one comes sooner."""
        when = self.kernel.now + delay
        if self.kernel.now <= self._wake_at <= when:
            return
        self._wake_at = when

        def run() -> None:
            if self._wake_at == when:
                self._wake_at = -1
                self.pump()

        self.kernel.at(when, self.guarded(run))

    def pump(self) -> None:
        """Everything due leaves; then sleep until something is due again."""
        parcels = self.exchange.due(self.reader, in_flight=self.in_flight)
        for parcel in parcels:
            if not any(number in self.receipts_in_flight for number in parcel.receipts):
                self.send(parcel)
        self.wake(STUCK_WAKE)
        now = self.clock.now()
        next_at = self.reader.execute(_NEXT_WAKE, (now,)).fetchone()[0]
        if next_at is not None:
            self.wake((next_at - now) * SECOND)

    def send(self, parcel: Parcel) -> None:
        """One POST. Nothing is sent that another connection cannot see on the disk."""
        keys.nothing_unconfirmed(self, parcel)
        for mid in parcel.mids:
            row = self.reader.execute("SELECT jti, dest, leg FROM outgoing WHERE mid = ?", (mid,)).fetchone()
            if row is None:
                raise Violation("I3-sent-before-commit", f"{self.name} {mid}")
            self.history.sent[mid] = Sent(self.name, row[1], row[0], row[2])
            self.in_flight[mid] = None
        for number in parcel.receipts:
            self.receipts_in_flight[number] = None
        self.emitted([item.r for item in parcel.items if isinstance(item.r, str)])
        self.kernel.note(
            self.name,
            "sends",
            len(parcel.mids),
            "+",
            len(parcel.receipts),
            "to",
            parcel.dest,
            "by",
            parcel.route.audience,
        )
        items = parcel.items
        if parcel.route.relay:
            box = self.directory.mailboxes[parcel.route.audience]
            self.network.call(
                self, box.host, lambda reply: box.post(self.name, parcel.dest, self.network.spoil(items), reply),
                lambda answer: self.sent(parcel, answer),
            )  # fmt: skip
        else:
            peer = self.directory.nodes[parcel.dest]
            self.network.call(
                self, peer, lambda reply: peer.inbox(self.network.spoil(items), reply),
                lambda answer: self.sent(parcel, answer),
            )  # fmt: skip

    def sent(self, parcel: Parcel, answer: object) -> None:
        """The route answered, refused or was silent."""
        if isinstance(answer, DeliveryAnswer):
            items = [Item(r=raw) for raw in answer.receipts]
            prepared = self.exchange.prepare(items, relayed=False)
            self.kernel.note(self.name, "hears", len(answer.receipts), len(answer.held), [x.code for x in answer.later])
            self.submit(
                lambda tx: self.exchange.answered(tx, parcel, answer, prepared), lambda o: self._landed(parcel, o)
            )
        else:
            after = answer.after if isinstance(answer, ProtocolError) else None
            self.kernel.note(self.name, "fails", parcel.dest, answer.code if isinstance(answer, ProtocolError) else "")
            self.submit(
                lambda tx: self.exchange.failed(tx, parcel, after), lambda outcome: self._landed(parcel, outcome)
            )

    def _landed(self, parcel: Parcel, outcome: Outcome[Any]) -> None:
        legs = self.sound(outcome) or []
        for mid in parcel.mids:
            self.in_flight.pop(mid, None)
        for number in parcel.receipts:
            self.receipts_in_flight.pop(number, None)
        self.watch(legs)
        self.wake(COALESCE)

    def sound(self, outcome: Outcome[Any]) -> Any:
        """The value; a refusal that is no problem of ours by name is a five-hundred, which must not exist."""
        if outcome.error is not None and not isinstance(outcome.error, ProtocolError):
            raise Violation("internal-error", f"{self.name}: {outcome.error!r}") from outcome.error
        return outcome.value if outcome.error is None else None

    # -- receiving

    def inbox(self, items: list[Item], reply: Answer) -> None:
        """POST /v1/inbox."""

        def done(received: Received | None) -> None:
            if received is None:
                reply(ProtocolError("busy"))
                return
            self.emitted(received.answer.receipts)
            reply(received.answer)

        self.take(items, relayed=False, then=done)

    def take(self, items: list[Item], *, relayed: bool, then: Callable[[Received | None], None]) -> None:
        """Verify, apply in the writer's turn, tell after the commit."""
        prepared = self.exchange.prepare(items, relayed=relayed)
        arrived = [item for item in prepared[1] if isinstance(item, Arrived)]
        if any(item.verified.routing.mv > self.membership.version for item in arrived):
            self.soon(self.refresh)

        def done(outcome: Outcome[Received]) -> None:
            received = self.sound(outcome)
            if received is not None:
                self.kernel.note(
                    self.name, "takes", len(items), [x.code for x in received.answer.later], len(received.legs)
                )
                self.watch(received.legs)
            then(received)
            self.wake(COALESCE)

        self.submit(lambda tx: self.exchange.receive(tx, items, prepared, relayed=relayed), done)

    def emitted(self, receipts: list[str]) -> None:
        """Signed words leave this host: from now on they have to be true for ever."""
        for raw in receipts:
            receipt = read_acks(raw)
            if receipt.sender != self.name:
                continue  # given back to its signer
            for ack in receipt.acks:
                self.history.acked[self.name, ack.mid, ack.k] = Acked(self.name, receipt.to, ack.mid, ack.k, ack.st)

    def watch(self, legs: list[str]) -> None:
        """What a screen shows as final must stay as it is (I6), unless the disk itself went back in time."""
        if self.name in self.history.restored or self.hostile:
            return
        for leg in legs:
            self._watch(self.reader, leg)

    def _watch(self, db: Any, leg: str) -> None:
        row = leg_row(db, leg)
        if row is None or row.side == "L" or self.directory.nodes[row.peer].hostile:
            return
        held = folded(db, leg)
        if held.state != row.state:
            raise Violation("I6-stored-state", f"{self.name} {leg}: {row.state} stored, {held.state} folded")
        if held.is_terminal and ends.final(db, self.ctx, row, held):
            shown = self.history.shown_final.setdefault((self.name, leg), held.state)
            if (
                shown != held.state
                and not db.execute("SELECT 1 FROM event WHERE leg = ? AND kind = 'void'", (leg,)).fetchone()
            ):
                raise Violation("I6-final-changed", f"{self.name} {leg}: {shown} was final, now {held.state}")
        elif (self.name, leg) in self.history.shown_final and not db.execute(
            "SELECT 1 FROM event WHERE leg = ? AND kind = 'void'", (leg,)
        ).fetchone():
            raise Violation("I6-final-changed", f"{self.name} {leg}: was final, now {held.state}")

    # -- mailboxes

    def poll_all(self) -> None:
        """From the beginning: what was left behind once is looked at again."""
        member = self.membership.members.get(self.name)
        for relay in member.relays(self.clock.now()) if member else ():
            if relay not in self.polling:
                self.positions[relay] = ""
                self.poll(relay)

    def poll(self, relay: str) -> None:
        if relay in self.polling:
            self.polling[relay] = "again"
            return
        self.polling[relay] = "busy"
        box, after = self.directory.mailboxes[relay], self.positions.get(relay, "")
        self.network.call(
            self, box.host, lambda reply: box.fetch(self.name, after, reply), lambda answer: self._page(relay, answer)
        )

    def _rest(self, relay: str, *, more: bool) -> None:
        again = self.polling.pop(relay) == "again"
        if more or again:
            self.poll(relay)

    def _page(self, relay: str, page: object) -> None:
        if not isinstance(page, MailboxPage) or not page.items:
            self._rest(relay, more=False)
            return
        items = self.network.spoil([Item(r=x.r) if isinstance(x.r, str) else Item(e=x.e, s=x.s) for x in page.items])
        self.take(items, relayed=True, then=lambda received: self._taken(relay, page, items, received))

    def _taken(self, relay: str, page: MailboxPage, items: list[Item], received: Received | None) -> None:
        if received is None:
            self._rest(relay, more=False)
            return
        later = {x.i: x.code for x in received.answer.later}
        done = [
            posted.pos for i, posted in enumerate(page.items)
            if isinstance(posted.r, str) or (i in later and later[i] not in _KEEP_IN_MAILBOX)
        ]  # fmt: skip
        receipts = received.answer.receipts
        self.emitted(receipts)
        ack = MailboxAck(receipts=receipts, seen=done)
        box = self.directory.mailboxes[relay]

        def answered(answer: object) -> None:
            if not isinstance(answer, MailboxAckAnswer):
                self.positions[relay] = ""
                self._rest(relay, more=False)
                return
            self.positions[relay] = page.items[-1].pos
            filed = set(answer.filed)
            rest = [entry for entry in received.signed if receipts.index(entry[2]) not in filed]
            if rest:
                self.submit(lambda tx: queue_receipts(tx, rest, self.clock.now()), lambda outcome: self.wake(0))
            self._rest(relay, more=True)

        self.network.call(self, box.host, lambda reply: box.acknowledge(self.name, ack, reply), answered)

    # -- membership

    def refresh(self, source: int = 0) -> None:
        """Ask the registry for a newer members document, then whoever else keeps mailboxes."""
        sources = [name for name in self.directory.members if name != self.name]
        if source >= len(sources) or (self._refreshing and source == 0):
            return
        self._refreshing = True
        host, serve = self.directory.members[sources[source]]
        have = self.membership.version

        def done(answer: object) -> None:
            self._refreshing = False
            if answer is None:
                self.refresh(source + 1)
            else:
                self._members(*answer)  # type: ignore[misc]

        self.network.call(self, host, lambda reply: serve(have, reply), done)

    def _members(self, server_time: int, raw: bytes | None) -> None:
        now = self.clock.now()
        offset = now - server_time
        if abs(offset - int(setting(self.reader, "clock_offset", "0"))) > 30:
            self.submit(lambda tx: set_setting(tx, "clock_offset", str(offset)))
        if raw is None:
            self.follower.round()
            return
        try:
            fresh = trust.advance(self.trust, members=raw, now=now)
        except ProtocolError as problem:
            self.kernel.note(self.name, "refuses members", problem.code)
            return
        if fresh.membership is None or fresh.membership.version <= self.membership.version:
            return

        def keep(tx: Any) -> None:
            trust.keep(tx, fresh, now)
            if fresh.membership is not None:
                watching.adopted(tx, self.ctx, fresh.membership)

        self.submit(keep, lambda outcome: self._adopted(fresh, outcome))

    def _adopted(self, fresh: trust.Trust, outcome: Outcome[None]) -> None:
        self.sound(outcome)
        if outcome.error is not None or fresh.membership is None or fresh.membership.version <= self.membership.version:
            return
        self.trust = fresh
        self.ctx.adopt(fresh.membership)
        self.kernel.note(self.name, "adopts members", fresh.membership.version)
        self.tick()
        self.follower.round()

    def serve_members(self, have: int, reply: Answer) -> None:
        """GET /v1/members at a relay: the document proves itself."""
        reply((self.clock.now(), self.membership.raw if self.membership.version > have else None))

    def tick(self) -> None:
        """Seals again what expired or was sealed to a key no longer listed."""
        self.submit(self.exchange.tick, self._ticked)

    def _ticked(self, outcome: Outcome[int]) -> None:
        if self.sound(outcome):
            self.kernel.note(self.name, "seals again", outcome.value)
        self.submit(self.exchange.heads, self._showed)
        self.wake(0)
        keys.state(self)

    def _showed(self, outcome: Outcome[int]) -> None:
        if self.sound(outcome):
            self.kernel.note(self.name, "shows heads", outcome.value)
            self.wake(0)


_receipts: dict[str, Receipt] = {}


def read_acks(raw: str) -> Receipt:
    """What a receipt says, unverified; remembered within a run."""
    if (known := _receipts.get(raw)) is None:
        if len(_receipts) > 20_000:
            _receipts.clear()
        known = _receipts[raw] = msgspec.json.decode(b64u_decode(raw.split(".")[1]), type=Receipt)
    return known


def queue_receipts(tx: Any, rest: list[tuple[int, str, str]], now: int) -> None:
    """Receipts that nobody carried yet leave by their senders' own routes (as Courier._carry_the_rest)."""
    for number, sender, _ in rest:
        outbox.queue_receipt(tx, number, sender, now)
