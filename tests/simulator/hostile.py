"""A member that is let in and means harm: what it seals and signs is sound, what it says is not.

Its program besides is the ordinary one, so that honest members have business with it. What has to hold: between the
others nothing is lost, doubled, held up or blamed on anybody else, and no engine fails (I13).
"""

import random
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from protocol.errors import ProtocolError
from protocol.receipts import sign_receipt
from protocol.referral import RECEIVER_KINDS, SENDER_KINDS
from protocol.strict import b64u_encode
from schemas.wire import Ack, Item, Receipt
from tests.simulator.host import EPOCH_S

if TYPE_CHECKING:
    from tests.simulator.shell import Node
    from tests.simulator.world import World

_WILD: Final = (0, 1, 2, 7, 100_000, 100_001, 2**31, 2**53 - 1, 2**53, -1)
_JUNK: Final[tuple[bytes, ...]] = (
    b"", b"{}", b"[]", b"null", b"{", b'{"kind":"event"}', b"[" * 2000, b'{"kind":"hello","kind":"resync"}', b"\xff\xfe",
    b'{"kind":"nothing-known"}', b'{"kind":"event","must":["all"]}', b'{"a":' * 40 + b"1" + b"}" * 40,
)  # fmt: skip


class Hostile:
    """Attacks of one member on everybody, from a dice of its own."""

    def __init__(self, world: "World", node: "Node", dice: random.Random) -> None:
        self.world = world
        self.node = node
        self.dice = dice

    def attack(self) -> None:
        """One of them on one honest member, by its own door or by its mailbox."""
        others = [other for other in self.world.nodes if other is not self.node and other.up]
        if not others or not self.node.up:
            return
        target, what = self.dice.choice(others), self.dice.choice(_ATTACKS)
        try:
            items = what(self, target)
        except ProtocolError:  # its own program has no key or no peer for it at present
            return
        self.world.kernel.note(self.node.name, "attacks", target.name, what.__name__, len(items))
        self._deliver(target, items)

    def _deliver(self, target: "Node", items: list[Item]) -> None:
        boxes = self.world.boxes[target.name]
        for start in range(0, len(items), 50):
            some = items[start : start + 50]
            if self.dice.random() < 0.5:
                target.inbox(some, lambda answer: None)
            elif (box := self.world.directory.mailboxes[self.dice.choice(boxes)]).host.up:
                box.post(self.node.name, target.name, some, lambda answer: None)

    # -- how it is sealed

    def id(self) -> str:
        return str(uuid.UUID(int=self.dice.getrandbits(128), version=4))

    def raw(self, target: "Node", raw: bytes, jti: str) -> Item:
        return self.world.sealed_by(self.node, target, jti, raw, self.dice.randint(1, 2**40))

    def body(self, target: "Node", kind: str, **rest: Any) -> Item:
        jti = rest.pop("jti", None) or self.id()
        said = {
            "kind": kind,
            "net": self.world.board.net,
            "from": self.node.name,
            "to": target.name,
            "jti": jti,
            **rest,
        }
        return self.raw(target, msgspec.json.encode(said), jti)

    def some_leg(self, target: "Node") -> str:
        """One of its own with the target, somebody else's, or none there is."""
        db = target.store._conn
        rows = db.execute("SELECT leg FROM leg ORDER BY (peer = ?) DESC, created, leg", (self.node.name,)).fetchall()
        return str(self.dice.choice(rows)[0]) if rows and self.dice.random() < 0.9 else self.id()

    def number(self) -> int:
        return self.dice.choice(_WILD) if self.dice.random() < 0.3 else self.dice.randint(0, 12)

    def counts(self, target: "Node") -> list[dict[str, Any]]:
        return [
            {"leg": self.some_leg(target), "w": self.dice.choice("SR"), "s": self.number(), "r": self.number(), "a": self.number()}
            for _ in range(self.dice.randint(0, 12))
        ]  # fmt: skip


def malformed(self: Hostile, target: "Node") -> list[Item]:
    """No body of ours."""
    return [self.raw(target, self.dice.choice(_JUNK).rstrip() or b"{}", self.id()) for _ in range(3)]


def events(self: Hostile, target: "Node") -> list[Item]:
    """Any step of any referral, in any order, by whoever may or may not write it."""
    kinds = [*SENDER_KINDS, *RECEIVER_KINDS, "void", "freeze", ""]
    return [
        self.body(
            target, "event", leg=self.some_leg(target), n=self.number(), seen=self.number(), ev=self.dice.choice(kinds),
            **self.dice.choice((
                {}, {"outcome": "OU-EROGATO"}, {"reason": "no-answer"}, {"void": b64u_encode(self.dice.randbytes(32))},
                {"of": self.id(), "status": "RS-ACCETTATA", "to_node": target.name}, {"offer": {}},
                {"files": [{"sha256": b64u_encode(self.dice.randbytes(32)), "size": 700, "type": "application/pdf"}]},
            )),
        )
        for _ in range(self.dice.randint(1, 6))
    ]  # fmt: skip


def one_id_twice(self: Hostile, target: "Node") -> list[Item]:
    """Two contents under one id; an id of somebody else's."""
    jti, leg = self.id(), self.some_leg(target)
    rows = target.store._conn.execute("SELECT jti FROM event ORDER BY rowid DESC LIMIT 20").fetchall()
    if rows and self.dice.random() < 0.5:
        jti = str(self.dice.choice(rows)[0])
    return [self.body(target, "event", jti=jti, leg=leg, n=n, seen=0, ev="amend") for n in (2, 3)]


def hellos(self: Hostile, target: "Node") -> list[Item]:
    """Counts of everything and nothing."""
    return [self.body(target, "hello", epoch=max(1, self.number()), legs=self.counts(target))]


def resyncs(self: Hostile, target: "Node") -> list[Item]:
    """Asks without end, and claims that it holds what was never sent."""
    nonce = b64u_encode(self.dice.randbytes(16))
    return [
        self.body(target, "resync", nonce=nonce, epoch=max(1, self.number()), legs=self.counts(target))
        for _ in range(self.dice.randint(1, 4))
    ]


def answers(self: Hostile, target: "Node") -> list[Item]:
    """Pages of an answer, to a question when there is one: other people's events, invented ones, skeletons."""
    row = target.store._conn.execute(
        "SELECT nonce FROM resync WHERE peer = ? AND nonce != ''", (self.node.name,)
    ).fetchone()
    nonce = row[0] if row and self.dice.random() < 0.8 else b64u_encode(self.dice.randbytes(16))
    of = self.dice.choice((1, 1, 2, 10_000))
    return [
        self.body(target, "resync-answer", nonce=nonce, i=i, of=of, legs=[_copied(self, target) for _ in range(3)])
        for i in range(self.dice.randint(1, 2))
    ]


def _copied(self: Hostile, target: "Node") -> dict[str, Any]:
    rows = target.store._conn.execute("SELECT e FROM event WHERE e != '' ORDER BY rowid DESC LIMIT 30").fetchall()
    stolen = [str(self.dice.choice(rows)[0])] if rows else []
    events = [
        {"e": e, "salt": b64u_encode(self.dice.randbytes(32)), "body": b64u_encode(b'{"kind":"event"}'), "h": 3}
        for e in [*stolen, "a.b.c"]
    ]
    gone = [
        {
            "w": self.dice.choice("SR"), "n": max(1, min(self.number(), 100_000)), "jti": self.id(), "seen": 0, "at": 1,
            "ev": self.dice.choice(("close", "accept", "cancel", "void", "offer", "x")),
            "cm": b64u_encode(self.dice.randbytes(32)), "outcome": "OU-EROGATO",
        }
        for _ in range(self.dice.randint(0, 4))
    ]  # fmt: skip
    return {"leg": self.some_leg(target), "events": events, "gone": gone}


def parts(self: Hostile, target: "Node") -> list[Item]:
    """A flood of parts: of files nobody named, of other people's files, too many, too few."""
    known = target.store._conn.execute("SELECT sha256 FROM blob ORDER BY id DESC LIMIT 10").fetchall()
    shas = [str(sha) for (sha,) in known] + [b64u_encode(self.dice.randbytes(32))]
    return [
        self.body(
            target, "part", leg=self.some_leg(target), sha256=self.dice.choice(shas), i=self.dice.randint(1, 8),
            of=self.dice.randint(1, 8), data=b64u_encode(self.dice.randbytes(self.dice.choice((1, 99, 100, 101)))),
        )
        for _ in range(self.dice.randint(5, 60))
    ]  # fmt: skip


def about_files(self: Hostile, target: "Node") -> list[Item]:
    """Lacks what it never was sent, has what it never got."""
    known = target.store._conn.execute("SELECT sha256, leg FROM blob ORDER BY id DESC LIMIT 10").fetchall()
    sha, leg = self.dice.choice(known) if known else (b64u_encode(self.dice.randbytes(32)), self.id())
    return [
        self.body(target, "missing", leg=leg, sha256=sha, i=self.dice.randint(0, 9)),
        self.body(target, "got", leg=leg, sha256=sha),
    ]


def erasures(self: Hostile, target: "Node") -> list[Item]:
    """Wants other people's cases erased, says of others' requests that it is done."""
    db = target.store._conn
    asked = db.execute("SELECT jti, leg FROM letter WHERE leg IS NOT NULL ORDER BY jti LIMIT 10").fetchall()
    of, leg = self.dice.choice(asked) if asked else (self.id(), self.some_leg(target))
    return [
        self.body(target, "erase", leg=self.some_leg(target), reason="wrong-recipient"),
        self.body(target, "erased", leg=leg, of=of, at=1),
        self.body(target, "erase-refused", leg=leg, of=self.id(), reason="legal-claim"),
    ]


def heads(self: Hostile, target: "Node") -> list[Item]:
    """A head that nobody signed, and a contradiction that is none."""
    note = f"raccordo/{self.world.board.net}\n{self.number()}\n{'A' * 43}=\n\n— x AAAA\n"
    held = target.reader.execute("SELECT note FROM follow_state").fetchone()[0]
    pair = {"held": held, "shown": self.dice.choice((note, held)), "root": "A" * 43, "path": []}
    return [self.body(target, "head", note=note), self.body(target, "head", note=held or note, pair=pair)]


def receipts(self: Hostile, target: "Node") -> list[Item]:
    """Signed by itself: for what it never got, of numbers that never were; and the target's own, given back."""
    sent = [mid for mid, one in self.world.history.sent.items() if one.sender == target.name][-40:]
    now = EPOCH_S + self.world.kernel.now // 1000
    acks = [
        Ack(mid, k, now, h=self.dice.randint(0, 9)) if k == "processed" else Ack(mid, k, now, prob="unsupported")
        for mid in self.dice.sample(sent, min(len(sent), 5))
        for k in [self.dice.choice(("processed", "rejected"))]
    ] or [Ack(b64u_encode(self.dice.randbytes(32)), "stored", now)]
    hw = self.dice.choice(
        ("1.1", "1.999", f"{now}.5", f"{now + 900_000}.1", "9007199254740991.9007199254740991", "0.0")
    )
    made = Receipt(net=self.world.board.net, sender=self.node.name, to=target.name, at=now, hw=hw, acks=acks)
    signer = self.world.suite.signing_key(self.node.keystore.signing_seed()[1])
    own = target.store._conn.execute("SELECT raw FROM receipt WHERE own = 1 ORDER BY id DESC LIMIT 10").fetchall()
    back = [Item(r=str(self.dice.choice(own)[0]))] if own else []
    return [Item(r=sign_receipt(signer, made)), *back]


_ATTACKS: Final[tuple[Callable[[Hostile, "Node"], list[Item]], ...]] = (
    malformed, events, events, one_id_twice, hellos, resyncs, answers, answers, parts, about_files, erasures, heads,
    receipts,
)  # fmt: skip
