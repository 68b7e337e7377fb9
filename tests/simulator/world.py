"""One seed from beginning to end: build the network, let people work under faults, heal, wait, check."""

import contextlib
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from node.exchange import inbox as inbox_module
from node.exchange import outbox as outbox_module
from node.mailbox import box as box_module
from node.runtime.dice import SeededDice
from node.runtime.keystore import MemoryKeystore
from protocol.envelope import make_envelope
from protocol.errors import ProtocolError
from protocol.names import Channel
from protocol.receipts import sign_receipt
from protocol.suite import S1
from schemas.bodies import EventBody, HeadBody
from schemas.wire import Ack, Item, Receipt
from tests.simulator import checks, keys, older, routers
from tests.simulator.bad_relay import Bad
from tests.simulator.board import Board
from tests.simulator.fake_suite import FAKE
from tests.simulator.follower import Publisher
from tests.simulator.fork import Fork
from tests.simulator.founding import REGISTRY, routes, url_of, wanted
from tests.simulator.history import History
from tests.simulator.host import EPOCH_S, Host, seed_of
from tests.simulator.hostile import Hostile
from tests.simulator.kernel import Kernel, Network, Trace, Violation
from tests.simulator.people import People
from tests.simulator.plan import HOUR_MS, Plan
from tests.simulator.relay import Mailbox
from tests.simulator.shell import Directory, Node

NAMES: Final = (
    "distretto",
    "tavullia",
    "patronato-a",
    "montelabbate",
    "dispensa",
    "patronato-b",
    "gabicce",
    "vallefoglia",
)
LIVENESS: Final = 5 * 24 * HOUR_MS
CHECK_EVERY: Final = 3 * HOUR_MS
SHM: Final = Path("/dev/shm")


class Result(NamedTuple):
    """What a run amounts to."""

    digest: str
    lines: int
    events: int
    sealings: int
    told: int
    quiet_after: int
    crashes: int
    refused: int


class World:
    """Everything of one seed. `run` raises Violation."""

    def __init__(self, plan: Plan, home: Path, show: Callable[[str], None] | None = None) -> None:
        self.plan = plan
        self.kernel = Kernel(Trace(show))
        self.network = Network(self.kernel, plan)
        self.network.calm = True  # until everybody has joined
        self.history = History()
        self.history.now = lambda: self.kernel.now
        self.directory = Directory()
        self.dice = random.Random(f"world {plan.seed}")
        self.suite = S1 if plan.real else FAKE
        self.board = Board(
            self.kernel, self.network, home, suite=self.suite, history=self.history, changed=self._members_changed
        )
        self.directory.board = self.board
        self.board.found([NAMES[0]])
        self.hostile, self.older = self._cast()
        self.fork: Fork | None = None
        self.nodes = [self._node(home, i, name) for i, name in enumerate(NAMES[: plan.nodes])]
        self.people = People(plan.seed, self.nodes)
        self.publishers: dict[str, Publisher] = {}
        self.suspended = ""
        self._found()

    # -- founding

    def _cast(self) -> tuple[str, frozenset[str]]:
        """Who means harm ("": nobody), who runs version 0.1.0; always some remain that do neither."""
        dice, names = random.Random(f"cast {self.plan.seed}"), list(NAMES[2 : self.plan.nodes])
        dice.shuffle(names)
        hostile = names.pop() if self.plan.has("hostile") and len(names) > 1 else ""
        old = names[: dice.randint(1, 2)] if self.plan.has("version") and len(names) > 1 else []
        return hostile, frozenset(old[: len(names) - 1])

    def _node(self, home: Path, number: int, name: str) -> Node:
        dice = SeededDice(seed_of(self.plan.seed, name, "keys"))
        keystore = MemoryKeystore(dice)
        signing, sealing = dice.bytes(32), dice.bytes(32)
        keystore.add_signing(signing, self.suite.signing_key(signing).kid, EPOCH_S)
        keystore.add_sealing(sealing, self.suite.sealing_key(sealing).kid, EPOCH_S)
        return Node(
            name, self.kernel, self.network, home, suite=self.suite, keystore=keystore, net=self.board.net,
            directory=self.directory, history=self.history, old=name in self.older, hostile=name == self.hostile,
        )  # fmt: skip

    def _found(self) -> None:
        """Admissions by guarantors, routes by members, the second relay at the first member."""
        self.direct = [node.name for node in self.nodes[: self.plan.direct]]
        self.relay = self.nodes[0]
        self.boxes = {node.name: self._mailboxes_of(node) for node in self.nodes}
        for number, node in enumerate(self.nodes):
            signer = self.suite.signing_key(node.keystore.signing_seed()[1])
            entry = keys.with_emergency(self, wanted(node.name, number))
            self.board.admit(entry, signer, self._routes(node, 1))
            self.publishers[node.name] = Publisher(node, self.board)
        self.directory.members[REGISTRY] = (self.board, self.board.serve_members)
        self.directory.members[self.relay.name] = (self.relay, self.relay.serve_members)
        for host, membership in (
            (self.board, lambda: self.board.membership),
            (self.relay, lambda: self.relay.membership),
        ):
            self.directory.mailboxes[host.name] = Mailbox(host, self.board.net, membership, self._wake, self.history)
        for node in self.nodes:
            self.directory.nodes[node.name] = node
            node.enter(self.board.root_1, self.board.membership.raw)
            self.people.hire(node)

    def _mailboxes_of(self, node: Node) -> list[str]:
        both = [REGISTRY, self.relay.name]
        if node is self.relay:
            return [REGISTRY]
        return self.dice.choice((both, both, both[::-1], [REGISTRY], [self.relay.name]))

    def _routes(self, node: Node, n: int) -> str:
        now = self.kernel.now // 1000 + EPOCH_S
        newest = self.suite.sealing_key(node.keystore.sealing_seeds()[0][1])
        return routes(
            self.board.net, node.name, self.suite.signing_key(node.keystore.signing_seed()[1]), n=n, now=now,
            urls=[url_of(node.name)] if node.name in self.direct else [], relays=self.boxes[node.name],
            sealing=newest.public,
        )  # fmt: skip

    # -- wake-ups

    def _wake(self, relay: str, owner: str) -> None:
        """A long poll answers; when the line is bad it does not, and the owner's next poll finds it."""
        node = self.directory.nodes.get(owner)
        if (
            node is None
            or not node.up
            or not self.network.open_between(relay, owner)
            or self.network.chance(self.plan.drop)
        ):
            return
        self.kernel.after(self.network.latency(), node.guarded(lambda: node.poll(relay)))

    def _members_changed(self) -> None:
        for node in getattr(self, "nodes", []):
            if node.up and self.network.open_between(REGISTRY, node.name) and not self.network.chance(self.plan.drop):
                self.kernel.after(self.network.latency(), node.guarded(node.refresh))

    # -- a run

    def run(self) -> Result:
        """Work, heal, wait; then everything is looked at."""
        self.network.calm = False
        self._schedule_work()
        self._schedule_faults()
        keys.people_telephone(self)
        older.people_confirm(self)
        self.kernel.run_until(self.plan.span)
        self.heal()
        quiet = self._settle()
        self._insist()
        checks.everything(self)
        if self.fork is not None:
            self.fork.end()
        return Result(
            self.kernel.trace.digest(), self.kernel.trace.lines, self.kernel.events, len(self.history.sent),
            len(self.history.told), quiet // HOUR_MS, sum(h.crashes for h in self.hosts()), self.history.refused_attempts,
        )  # fmt: skip

    def hosts(self) -> list[Host]:
        return [self.board, *self.nodes]

    def _schedule_work(self) -> None:
        span = self.plan.span
        for _ in range(self.plan.referrals):
            node = self.dice.choice(self.nodes)
            self.kernel.at(self.dice.randrange(span * 9 // 10), lambda node=node: self.people.refer(node))
        for _ in range(self.plan.acts):
            node = self.dice.choice(self.nodes)
            self.kernel.at(self.dice.randrange(span // 50, span), lambda node=node: self.people.act(node))
        for _ in range(self.dice.randint(2, 8)):
            publisher = self.publishers[self.dice.choice(self.nodes).name]
            numbers = sorted(self.dice.sample(range(6), self.dice.randint(0, 4)))
            vis = self.dice.choice(("public", "public", "network"))
            self.kernel.at(self.dice.randrange(span * 9 // 10), partial(publisher.publish, vis, numbers))

    def _settle(self) -> int:
        """Virtual time until nothing is on its way any more."""
        start = self.kernel.now
        while self.kernel.now < start + LIVENESS:
            self.kernel.run_until(self.kernel.now + CHECK_EVERY)
            if (self.kernel.now - start) // CHECK_EVERY % 4 == 1:
                checks.safety(self)
            told = not self.history.restored or self.kernel.now >= start + 2 * 24 * HOUR_MS  # by the daily `hello`
            if told and not checks.on_the_way(self) and not checks.behind(self):
                return self.kernel.now - start
        raise Violation("I4-never-quiet", "; ".join([*checks.on_the_way(self), *checks.behind(self)][:5]))

    def _insist(self) -> None:
        """A suspended member's program that goes on posting to every relay, whatever it was told."""
        node = self.directory.nodes.get(self.suspended)
        if node is None:
            return
        for relay, mailbox in self.directory.mailboxes.items():
            for other in self.nodes:
                if relay in self.boxes[other.name] and other is not node:
                    item = self.sealed_by(node, other, "5b1c2f0e-1111-4222-8333-444455556666")
                    mailbox.post(node.name, other.name, [item], lambda answer: None)
        self.kernel.run_until(self.kernel.now + 60_000)

    def sealed_by(self, node: Node, to: Node, jti: str, raw: bytes = b"", seq: int = 1) -> Item:
        """A sound envelope outside any referral; `raw`: what it says."""
        now = EPOCH_S + self.kernel.now // 1000
        dice = SeededDice(seed_of(self.plan.seed, node.name, to.name, jti))
        head = HeadBody(net=self.board.net, sender=node.name, to=to.name, jti=jti, note="-")
        body = raw or msgspec.json.encode(head)
        recipient = self.board.membership.members[to.name].sealing_at(now)
        if recipient is None:
            raise ProtocolError("unknown-recipient", got=to.name)
        made = make_envelope(
            suite=self.suite, signing_key=self.suite.signing_key(node.keystore.signing_seed()[1]), recipient=recipient,
            net=self.board.net, jti=jti, sender=node.name, to=to.name, iat=now, ch=Channel(1, seq),
            mv=self.board.membership.version, salt=dice.bytes(32), body=body, ephemeral_seed=dice.bytes(32),
            nonce=dice.bytes(12),
        )  # fmt: skip
        return Item(e=made.e, s=made.s)

    # -- faults

    def _schedule_faults(self) -> None:
        for fault in self.plan.faults:
            dice = random.Random(f"{fault} {self.plan.seed}")
            schedule = getattr(self, f"_fault_{fault.replace('-', '_')}", None)
            if schedule:
                schedule(dice)

    def _times(self, dice: random.Random, least: int, most: int) -> Iterator[int]:
        for _ in range(dice.randint(least, most)):
            yield dice.randrange(self.plan.span * 95 // 100)

    def _fault_partition(self, dice: random.Random) -> None:
        names = [host.name for host in self.hosts()]
        for when in self._times(dice, 1, 6):
            shape = dice.choice(("one", "halves", "one-way"))
            side = dice.sample(names, 1 if shape == "one" else dice.randint(1, len(names) - 1))
            rest = [name for name in names if name not in side]
            pairs = [(a, b) for a in side for b in rest]
            if shape != "one-way":
                pairs += [(b, a) for a, b in pairs]
            long = round(dice.expovariate(1 / (2 * HOUR_MS)))
            self.kernel.at(when, lambda pairs=pairs: self.network.isolate(pairs, 1))
            self.kernel.at(when + long, lambda pairs=pairs: self.network.isolate(pairs, -1))

    def _fault_crash(self, dice: random.Random) -> None:
        for host in self.hosts():
            for when in self._times(dice, 0, 5):
                away = round(dice.expovariate(1 / (20 * 60_000)))
                self.kernel.at(when, lambda host=host, away=away: host.crash(away))

    def _clock(self, dice: random.Random, offset: Callable[[], int]) -> None:
        for node in self.nodes:
            if dice.random() < 0.5:
                change, when = offset(), dice.randrange(self.plan.span // 2)
                self.kernel.at(when, lambda node=node, change=change: self._set_clock(node, change))

    def _set_clock(self, node: Node, offset: int) -> None:
        self.kernel.note(node.name, "clock", offset)
        node.clock.offset = offset

    def _fault_clock_small(self, dice: random.Random) -> None:
        self._clock(dice, lambda: dice.randint(-140, 140))

    def _fault_clock_wrong(self, dice: random.Random) -> None:
        self._clock(dice, lambda: dice.choice((-1, 1)) * dice.choice((400, 3_600, 20_000, 86_400)))

    def _fault_registry_down(self, dice: random.Random) -> None:
        for when in self._times(dice, 1, 2):
            self.kernel.at(when, partial(self.board.crash, dice.randint(1, 9) * HOUR_MS))

    def _fault_expiry(self, dice: random.Random) -> None:
        for node in dice.sample(self.nodes, max(1, len(self.nodes) // 3)):
            self.kernel.at(
                dice.randrange(self.plan.span // 2),
                partial(node.crash, dice.randint(4, 11) * HOUR_MS),
            )

    def _fault_rotation(self, dice: random.Random) -> None:
        """`altered` makes time run fast for keys; besides, people ask for new ones, and lose old ones."""
        for when in self._times(dice, 1, 4):
            self.kernel.at(when, partial(keys.rotate, self, dice.choice(self.nodes), dice.random()))

    def _fault_compromise(self, dice: random.Random) -> None:
        for when in self._times(dice, 1, 3):
            self.kernel.at(when, partial(keys.compromise, self, dice.choice(self.nodes)))

    def _fault_recovery(self, dice: random.Random) -> None:
        for when in self._times(dice, 1, 3):
            self.kernel.at(when, partial(keys.recover, self, dice.choice(self.nodes), dice.random() < 0.5))

    def _fault_readmission(self, dice: random.Random) -> None:
        if len(self.nodes) < 4 or self.plan.has("suspension"):
            return
        some = [node for node in self.nodes[1:] if not node.old]  # 0.1.0 cannot sign anew what its old key signed
        node, away = dice.choice(some), dice.randint(1, 8) * HOUR_MS
        when = dice.randrange(self.plan.span // 8, self.plan.span // 2)
        self.kernel.at(when, lambda: self._suspend(node))
        self.kernel.at(when + away, partial(keys.readmit, self, node))

    def _fault_suspension(self, dice: random.Random) -> None:
        if len(self.nodes) < 4:
            return
        node = dice.choice(self.nodes[1:])
        self.kernel.at(dice.randrange(self.plan.span // 4, self.plan.span * 3 // 4), lambda: self._suspend(node))

    def _suspend(self, node: Node) -> None:
        self.kernel.note(node.name, "is suspended")
        self.suspended = node.name
        self.board.suspend(node.name)

    def _fault_forgery(self, dice: random.Random) -> None:
        for when in self._times(dice, 5, 40):
            self.kernel.at(when, partial(self._forge, dice.random()))

    def _forge(self, share: float) -> None:
        """A stranger invents a receipt for a sealing it saw pass."""
        if not self.history.sent:
            return
        mid = list(self.history.sent)[-1 - int(share * min(30, len(self.history.sent)))]
        seen = self.history.sent[mid]
        node = self.directory.nodes[seen.sender]
        if not node.up:
            return
        now = EPOCH_S + self.kernel.now // 1000
        receipt = Receipt(
            net=self.board.net,
            sender=seen.dest,
            to=seen.sender,
            at=now,
            hw="1.1",
            acks=[Ack(mid, "processed", now, 0)],
        )
        signer = self.suite.signing_key(self.directory.nodes[seen.dest].keystore.signing_seed()[1])
        raw = sign_receipt(signer, receipt)
        forged = raw[:-20] + ("A" * 19 if raw[-20] != "A" else "B" * 19) + "A"
        node.inbox([Item(r=forged)], lambda answer: None)

    def _fault_mimic(self, dice: random.Random) -> None:
        for when in self._times(dice, 20, 60):
            self.kernel.at(when, partial(self._mimic, dice.random()))

    def _mimic(self, share: float) -> None:
        """A member that saw an event's id pass at its relay sends something of its own under it, and is faster."""
        pending = [
            sent for mid, sent in self.history.sent.items() if (sent.dest, mid, "processed") not in self.history.acked
        ]
        if not pending:
            return
        seen = pending[-1 - int(share * min(10, len(pending)))]
        hostile = next((node for node in self.nodes if node.name not in (seen.sender, seen.dest, self.suspended)), None)
        target = self.directory.nodes[seen.dest]
        if hostile is not None and target.up:
            target.inbox([self.sealed_by(hostile, target, seen.jti)], lambda answer: None)

    def _fault_erasure(self, dice: random.Random) -> None:
        for when in self._times(dice, 10, 60):
            self.kernel.at(when, partial(self._erase, dice))

    def _erase(self, dice: random.Random) -> None:
        self.people.erase(dice.choice(self.nodes), dice)

    def _fault_restore(self, dice: random.Random) -> None:
        """Not the relay: what it keeps for others is looked after by the checks of the mailbox."""
        span = self.plan.span
        some = [node for node in self.nodes[1:] if not node.old and not node.hostile]
        for node in dice.sample(some, min(dice.choice((1, 1, 2)), len(some))):
            made = dice.randrange(span * 7 // 10)
            back = made + dice.randint(HOUR_MS // 2, max(HOUR_MS, span * 9 // 10 - made))
            self.kernel.at(made, partial(self._copy, node, min(back, span * 95 // 100), dice.random() < 0.5))

    def _copy(self, node: Node, back: int, announced: bool) -> None:
        if not node.up:
            return
        copy = node.copy()
        self.kernel.note(node.name, "is copied")
        self.kernel.at(back, partial(self._fall_back, node, copy, self.kernel.now, announced))

    def _fall_back(self, node: Node, copy: Path, made: int, announced: bool) -> None:
        if not node.up:
            self.kernel.after(HOUR_MS // 4, partial(self._fall_back, node, copy, made, announced))
            return
        self.kernel.note(node.name, "is put back", announced)
        self.history.restored[node.name] = (made, self.kernel.now)
        node.announced = announced
        node.fall_back(copy, 60_000)

    def _one_relay(self, dice: random.Random, *, drops: float = 0.0, flips: float = 0.0) -> None:
        mailbox = self.directory.mailboxes[dice.choice(sorted(self.directory.mailboxes))]
        bad = mailbox.faulty or Bad(dice)
        mailbox.faulty = bad._replace(drops=max(bad.drops, drops), flips=max(bad.flips, flips))
        self.kernel.note(mailbox.host.name, "is a bad relay", mailbox.faulty.drops, mailbox.faulty.flips)

    def _fault_relay_drops(self, dice: random.Random) -> None:
        rate = dice.uniform(0.1, 0.9)
        self.kernel.at(dice.randrange(self.plan.span // 2), lambda: self._one_relay(dice, drops=rate))

    def _fault_relay_flips(self, dice: random.Random) -> None:
        rate = dice.uniform(0.1, 0.9)
        self.kernel.at(dice.randrange(self.plan.span // 2), lambda: self._one_relay(dice, flips=rate))

    def _fault_fork(self, dice: random.Random) -> None:
        self.fork = Fork(self, dice)
        self.kernel.at(dice.randrange(self.plan.span // 2), self.fork.begin)
        self.board.fork = self.fork

    def _fault_hostile(self, dice: random.Random) -> None:
        if self.hostile:
            attacker = Hostile(self, self.directory.nodes[self.hostile], dice)
            for when in self._times(dice, 20, 120):
                self.kernel.at(when, attacker.attack)

    def _fault_forwarding(self, dice: random.Random) -> None:
        for when in self._times(dice, 20, 80):
            self.kernel.at(when, lambda: routers.forward(self, dice))

    # -- healing

    def heal(self) -> None:
        """Lines, clocks, limits and processes are sound again; people go home."""
        self.kernel.note("healed")
        self.network.calm = True
        self.network.cut.clear()
        self.network.isolate = lambda pairs, step: None  # type: ignore[method-assign]
        box_module.MAILBOX_ITEMS, box_module.PAIR_ITEMS = _LIMITS
        keys.slow_down()
        for node in self.nodes:
            node.clock.offset = 0
        for host in self.hosts():
            host.restart()

    def close(self) -> None:
        if self.fork is not None:
            self.fork.close()
        for host in self.hosts():
            with contextlib.suppress(Exception):
                host.close()


_LIMITS: Final = (box_module.MAILBOX_ITEMS, box_module.PAIR_ITEMS)
_LIFETIME: Final = outbox_module.LIFETIME_MAX
_CHECK_EVENT: Final = inbox_module._check_event


def _refusing(body: object) -> None:
    """A reader of another version, which refuses one event in twelve for ever."""
    if isinstance(body, EventBody) and int(body.jti[:6], 16) % 12 == 0 and body.ev != "void":
        raise ProtocolError("unsupported", field="ev")
    _CHECK_EVENT(body)  # type: ignore[arg-type]


@contextlib.contextmanager
def altered(plan: Plan) -> Iterator[None]:
    """Limits that a fault class changes for one run."""
    dice = random.Random(f"limits {plan.seed}")
    undo = contextlib.ExitStack()
    try:
        if plan.has("relay-full"):
            box_module.MAILBOX_ITEMS, box_module.PAIR_ITEMS = dice.randint(3, 12), dice.randint(2, 6)
        if plan.has("expiry"):
            outbox_module.LIFETIME_MAX = dice.randint(2, 6) * 3600  # type: ignore[misc]
        if plan.has("defect"):
            inbox_module._check_event = _refusing  # type: ignore[assignment]
        if plan.has("rotation"):
            keys.speed_up(dice.randint(150, 600))
        if plan.has("version"):
            undo.callback(older.forgetting())
        yield
    finally:
        undo.close()
        keys.slow_down()
        box_module.MAILBOX_ITEMS, box_module.PAIR_ITEMS = _LIMITS
        outbox_module.LIFETIME_MAX = _LIFETIME  # type: ignore[misc]
        inbox_module._check_event = _CHECK_EVENT


def run(plan: Plan, show: Callable[[str], None] | None = None) -> Result:
    """One world in a directory of its own on tmpfs, gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="raccordo-sim-", dir=SHM if SHM.is_dir() else None))
    world = None
    try:
        with altered(plan):
            world = World(plan, home, show)
            return world.run()
    finally:
        if world:
            world.close()
        shutil.rmtree(home, ignore_errors=True)
