"""A mailbox of the simulated world: what node.mailbox.handlers does over HTTP, in virtual time."""

import sqlite3
from collections.abc import Callable

from node.mailbox import box
from node.runtime.store import Outcome
from protocol.errors import ProtocolError
from protocol.members import Membership
from schemas.wire import DeliveryAnswer, Item, MailboxAck, MailboxAckAnswer, MailboxPage
from tests.simulator.bad_relay import Bad
from tests.simulator.history import History
from tests.simulator.host import Host
from tests.simulator.kernel import Answer, Violation


class Mailbox:
    """Keeps post for members that list `host.name`; `wake` tells an owner that something arrived."""

    def __init__(
        self,
        host: Host,
        net: str,
        membership: Callable[[], Membership],
        wake: Callable[[str, str], None],
        history: History,
    ) -> None:
        self.host = host
        self.net = net
        self.membership = membership
        self.wake = wake
        self.history = history
        self.kept: dict[tuple[str, str], int] = {}  # (owner, mid) promised by `held` and not released → exp
        self.faulty: Bad | None = None

    @property
    def bad(self) -> Bad | None:
        """What is wrong with it now."""
        return None if self.host.network.calm else self.faulty

    def post(self, caller: str, owner: str, items: list[Item], reply: Answer) -> None:
        """POST /v1/mailbox/{owner}."""
        membership, now = self.membership(), self.host.clock.now()

        def kept(held: Membership) -> list[box.ToKeep | box.Refused]:
            return box.prepare(
                items, membership=held, net=self.net, caller=caller, owner=owner, relay=self.host.name, now=now
            )

        try:
            prepared = kept(membership)
        except ProtocolError as problem:
            reply(problem)
            return

        lost: list[tuple[str, str]] = []

        def command(tx: sqlite3.Connection) -> DeliveryAnswer:
            # "Relays refuse at commit": what moved since the check is checked again
            fresh = prepared if self.membership() is membership else kept(self.membership())
            before = self.bad.mark(tx) if self.bad else 0
            answer = box.put(tx, fresh, caller=caller, owner=owner, now=now)
            lost[:] = self.bad.lose(tx, before) if self.bad else []
            return answer

        def done(outcome: Outcome[DeliveryAnswer]) -> None:
            if isinstance(outcome.error, ProtocolError):
                reply(outcome.error)
                return
            answer = outcome.result()
            if answer.held:
                self.history.relay_held(self.host.name, caller, answer.held)
                exps = {item.mid: item.exp for item in prepared if isinstance(item, box.ToKeep)}
                self.kept.update({(owner, mid): exps[mid] for mid in answer.held if (owner, mid) not in lost})
            reply(answer)
            self.wake(self.host.name, owner)

        self.host.submit(command, done)

    def fetch(self, owner: str, after: str, reply: Answer) -> None:
        """GET /v1/mailbox/{owner}: nothing leaves before it is marked as shown."""
        if not self._may(owner, reply):
            return
        page: MailboxPage = self.host.store.read(lambda db: box.fetch(db, owner, after))
        if not page.items:
            reply(page)
            return
        self.host.submit(
            lambda tx: box.mark_fetched(tx, owner, [item.pos for item in page.items]),
            lambda outcome: reply(self._shown(page) if outcome.error is None else outcome.error),
        )

    def _shown(self, page: MailboxPage) -> MailboxPage:
        return MailboxPage(self.bad.spoil(page.items)) if self.bad else page

    def _may(self, owner: str, reply: Answer) -> bool:
        try:
            self.membership().active(owner)
        except ProtocolError as problem:
            reply(problem)
            return False
        return True

    def acknowledge(self, owner: str, ack: MailboxAck, reply: Answer) -> None:
        """POST /v1/mailbox/{owner}/ack."""
        membership, now = self.membership(), self.host.clock.now()
        try:
            receipts = box.prepare_ack(ack, membership=membership, net=self.net, owner=owner, now=now)
        except ProtocolError as problem:
            reply(problem)
            return

        def release() -> None:
            for _, receipt in receipts:
                for ack_ in receipt.acks:
                    self.kept.pop((owner, ack_.mid), None)

        release()  # the commit may be the last thing this host does
        for pos in ack.seen:
            self._released(owner, pos)

        def done(outcome: Outcome[MailboxAckAnswer]) -> None:
            release()  # a sealing that came again in the same group was kept and deleted in it
            answer = outcome.result()
            reply(answer)
            for index in answer.filed:
                self.wake(self.host.name, receipts[index][1].to)

        def command(tx: sqlite3.Connection) -> MailboxAckAnswer:
            before = self.bad.mark(tx) if self.bad else 0
            answer = box.acknowledge(
                tx, receipts, ack.seen, membership=membership, owner=owner, relay=self.host.name, now=now
            )
            if self.bad:
                self.bad.lose(tx, before)
            return answer

        self.host.submit(command, done)

    def _released(self, owner: str, pos: str) -> None:
        row = self.host.store.read(
            lambda db: db.execute("SELECT mid FROM post WHERE owner = ? AND pos = ?", (owner, pos)).fetchone()
        )
        if row and row[0]:
            self.kept.pop((owner, row[0]), None)

    def keeps_its_word(self) -> None:
        """What was `held` is there until a receipt, its owner or its time ends it."""
        now = self.host.clock.now()
        there = set(self.host.store.read(lambda db: db.execute("SELECT owner, mid FROM post").fetchall()))
        for (owner, mid), exp in self.kept.items():
            if exp > now and (owner, mid) not in there:
                raise Violation("relay-lost", f"{self.host.name} held {mid} for {owner}")

    def sweep(self) -> None:
        """Drops what nobody fetched in time."""
        now = self.host.clock.now()
        self.host.submit(lambda tx: box.expire(tx, now))
