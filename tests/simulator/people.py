"""What the operators of a desk do, from the seed: everything the table allows, and now and then what it does not."""

import random
from typing import Any, Final

from node.answers import Done
from node.cases import desk, erasure, operators
from node.cases.desk import Act, FollowRedirect, HandOver, Refer, folded
from node.exchange.forwarding import family
from node.exchange.log import LegRow, leg_row
from node.requests import AnswerErase, Erase, NewFile, Recall
from node.runtime.config import RetentionConfig
from node.runtime.store import Outcome
from protocol.errors import ProtocolError
from protocol.forwarding import permitted
from protocol.offers import CANCEL_REASONS, DECLINE_REASONS, KINDS, OUTCOMES, RELEASE_REASONS
from protocol.referral import RECEIVER_KINDS, SENDER_KINDS, TERMINALS, Kind, allowed
from protocol.strict import digest
from schemas.bodies import Basis, Health, Offer, Person
from tests.simulator.history import Told
from tests.simulator.kernel import Violation
from tests.simulator.shell import Node

CANARY: Final = "Qz7CANARINO"
TEAM: Final = (
    ("OP-1", "RL-OPSPORT"), ("AS-1", "RL-ASSOC"), ("VO-1", "RL-VOLONT"), ("TE-1", "RL-TECNICO"), ("RE-1", "RL-RESP"),
)  # fmt: skip
_OPEN: Final = (
    "SELECT leg, side FROM leg WHERE state NOT IN ('none', "
    + ", ".join(f"'{state}'" for state in TERMINALS)
    + ") ORDER BY created, leg"
)
_URGENCIES: Final = ("UR-PIS", "UR-PUA24", "UR-72", "UR-ORD", "UR-ORD", "UR-INFO")
_LIKELY: Final[dict[str, int]] = {
    "open": 6, "accept": 6, "start": 4, "answer": 4, "ask": 2, "close": 3, "waitlist": 2, "amend": 2, "cancel": 1, "keep": 2,
}  # fmt: skip
_REASONS: Final = {
    "decline": sorted(DECLINE_REASONS), "redirect": sorted(DECLINE_REASONS), "release": sorted(RELEASE_REASONS),
    "cancel": sorted(CANCEL_REASONS),
}  # fmt: skip
_SUMMARY: Final = "SELECT (SELECT COUNT(*) FROM leg), (SELECT COUNT(*) FROM event), (SELECT COUNT(*) FROM outgoing)"


class People:
    """Everybody who works in this world; one dice for all of them."""

    def __init__(self, seed: int, nodes: list[Node]) -> None:
        self.dice = random.Random(f"people {seed}")
        self.papers = random.Random(f"papers {seed}")
        self.nodes = nodes
        self.canaries = 0

    def hire(self, node: Node) -> None:
        """The team of a desk."""
        for code, role in TEAM:
            node.now_(lambda tx, code=code, role=role: operators.add(tx, code, role, None, 0))

    def words(self) -> str:
        """Text that must be seen at the two ends only."""
        self.canaries += 1
        return f"{CANARY} {self.canaries} è qui"

    def attached(self, node: Node, rate: float) -> list[NewFile]:
        """Now and then a paper or two, of one part or of eight."""
        dice, files = self.papers, []
        if node.old:
            return files
        while dice.random() < rate and len(files) < 3:
            self.canaries += 1
            content = f"%PDF-1.7 {CANARY} {self.canaries} ".encode() + dice.randbytes(dice.choice((10, 150, 700)))
            node.history.attached[digest(content)] = content
            files.append(NewFile(name=f"{CANARY} {self.canaries}.pdf", content=content))
        return files

    # -- sending

    def refer(self, node: Node) -> None:
        """One new referral, to anybody but oneself."""
        dice = self.dice
        if not node.up:
            return
        to = dice.choice([other.name for other in self.nodes if other is not node])
        request = Refer(
            to=to, offer=self.offer(node, to), as_=dice.choice(("OP-1", "AS-1", "VO-1")), files=self.attached(node, 0.3)
        )
        self.submit(node, lambda tx: desk.refer(tx, node.ctx, request), "offer")

    def offer(self, node: Node, to: str) -> Offer:
        """A sound offer for a recipient."""
        dice = self.dice
        member = node.membership.members.get(to)
        caps = member.caps if member else frozenset()
        kinds = [code for code, kind in KINDS.items() if kind.needs is None or kind.needs in caps]
        kind = KINDS[code := dice.choice(kinds)]
        person = kind.person
        return Offer(
            referral=code, urgency=dice.choice(_URGENCIES), subject="person" if person else "none", case="",
            description=self.words(),
            **({"person": Person(given_name=self.words(), phone="0721 000000"), "basis": _BASIS} if person else {}),
            **({"health": Health(current_care=self.words())} if kind.health and dice.random() < 0.5 else {}),
        )  # fmt: skip

    # -- acting

    def act(self, node: Node) -> None:
        """Somebody opens the list and does one thing."""
        if not node.up:
            return
        rows = node.reader.execute(_OPEN).fetchall()
        if self.dice.random() < 0.06:
            self.attempt(node, rows)
            return
        if self.dice.random() < 0.1 and self.follow(node):
            return
        if not rows:
            return
        leg, side = (
            rows[-1 - int(len(rows) * self.dice.random() ** 2)] if self.dice.random() < 0.5 else self.dice.choice(rows)
        )
        if side == "R" and self.dice.random() < 0.04:
            hand = HandOver(leg=leg, desk_to="Sportello 2", as_="AS-1", text=self.words())
            self.submit(node, lambda tx: desk.hand_over(tx, node.ctx, hand), "hand-over")
            return
        request = self.choose(node, leg, side)
        if request is not None:
            self.write(node, request)

    def write(self, node: Node, request: Act) -> None:
        """One event."""
        self.submit(node, lambda tx: desk.act(tx, node.ctx, request), request.ev)

    def choose(self, node: Node, leg: str, side: str) -> Act | None:
        """One of the things the table allows, the likely ones more often."""
        dice = self.dice
        acting = side if side != "L" else dice.choice(("S", "R"))
        held = folded(node.reader, leg)
        kinds = sorted(allowed(held, acting) - {"lapse", "forwarded"})  # type: ignore[arg-type]
        if "start" in kinds and "take-in-charge" not in node.membership.members[node.name].caps:
            kinds.remove("start")
        if side == "R" and (known := family(node.reader, node.ctx, leg)) is not None:
            kinds = [kind for kind in kinds if kind in permitted(held, known.children)]
        if not kinds:
            return None
        kind = dice.choices(kinds, [_LIKELY.get(kind, 1) for kind in kinds])[0]
        return self.request(node, leg, kind, acting if side == "L" else None)

    def request(self, node: Node, leg: str, kind: Kind, acting: str | None = None) -> Act:
        """A complete request for `kind`."""
        dice = self.dice
        row = leg_row(node.reader, leg)
        others = [
            other.name for other in self.nodes if other is not node and row is not None and other.name != row.peer
        ]
        others = others or [other.name for other in self.nodes if other is not node]
        ours = node.membership.members[node.name]
        if ours.ptype == "PT-PATRONATO":
            others = [name for name in others if node.membership.members[name].ptype != "PT-PATRONATO"]
        others = [name for name in others if node.membership.members[name].status == "active"] or others
        return Act(
            leg=leg, ev=kind, as_="AS-1", side=acting,
            reason=dice.choice(_REASONS[kind]) if kind in _REASONS else None,
            outcome=dice.choice(sorted(OUTCOMES)) if kind == "close" else None,
            text=self.words(), ref=f"PUA 2026/{self.canaries}" if kind == "accept" else None,
            to_node=dice.choice(others) if kind == "redirect" else None,
            when=1_800_000_000 if kind in ("appointment", "rescheduled") else None,
            offer=self.offer(node, row.peer) if kind == "amend" and row is not None else None,
            files=self.attached(node, 0.15),
        )  # fmt: skip

    def follow(self, node: Node) -> bool:
        """The sender of a redirected leg confirms with the person."""
        rows = node.store.read(
            lambda db: db.execute(
                "SELECT leg FROM leg WHERE side = 'S' AND state = 'redirected' AND parent IS NULL ORDER BY leg"
            ).fetchall()
        )
        if not rows:
            return False
        request = FollowRedirect(leg=self.dice.choice(rows)[0], as_="OP-1", basis=_BASIS)
        self.submit(node, lambda tx: desk.follow_redirect(tx, node.ctx, request), "offer")
        return True

    # -- erasing

    def erase(self, node: Node, dice: random.Random) -> None:
        """The head of a service answers what is asked, else erases or recalls something; its own dice."""
        if not node.up or node.old:
            return
        asked = node.reader.execute(
            "SELECT leg FROM erasure_request WHERE own = 0 AND answer IS NULL ORDER BY leg"
        ).fetchall()
        legs = node.reader.execute("SELECT leg, side FROM leg ORDER BY created, leg").fetchall()
        command: Any
        if asked and dice.random() < 0.6:
            yes = dice.random() < 0.7
            answer = AnswerErase(
                leg=dice.choice(asked)[0], as_="RE-1", accept=yes, reason=None if yes else "legal-claim"
            )
            what, command = "answer-erase", lambda tx: erasure.answer(tx, node.ctx, answer, _KEEP)
        elif not legs:
            return
        elif (side := (chosen := dice.choice(legs))[1]) == "S" and dice.random() < 0.3:
            what, command = "recall", lambda tx: erasure.recall(tx, node.ctx, Recall(leg=chosen[0], as_="OP-1"))
        else:
            why = dice.choice(sorted(erasure.ERASE_REASONS))
            wish = Erase(leg=chosen[0], as_="RE-1", reason=why, basis="prot. 1", here_only=dice.random() < 0.2)
            what, command = f"erase {side}", lambda tx: erasure.erase(tx, node.ctx, wish, _KEEP)

        def done(outcome: Outcome[Any]) -> None:
            code = outcome.error.code if isinstance(outcome.error, ProtocolError) else ""
            node.kernel.note(node.name, "rights", what, code or "done")
            if code:
                if code not in _FAIR_REFUSALS | {"retention-duty", "not-asked"}:
                    raise Violation("I6-legal-refused", f"{node.name} {what}: {outcome.error}")
                return
            node.sound(outcome)
            node.watch([leg for leg, _ in legs])
            node.wake(0)

        node.submit(command, done)

    def attempt(self, node: Node, rows: list[Any]) -> None:
        """What must be refused and leave nothing."""
        dice = self.dice
        before = node.reader.execute(_SUMMARY).fetchone()
        if rows and dice.random() < 0.8:
            leg, side = dice.choice(rows)
            acting = side if side != "L" else "S"
            held = folded(node.reader, leg)
            wrong = sorted({*SENDER_KINDS, *RECEIVER_KINDS} - set(allowed(held, acting)))  # type: ignore[arg-type]
            made = self.request(node, leg, dice.choice(wrong), "S" if side == "L" else None)
            request = (
                made
                if dice.random() < 0.6
                else Act(
                    leg=leg,
                    ev="cancel" if side != "R" else "accept",
                    as_=dice.choice(("TE-1", "XX-9")),
                    side=made.side,
                    reason="no-answer",
                )
            )
            outcome = node.store.execute_group([lambda tx: desk.act(tx, node.ctx, request)])[0]
        else:
            bad = Refer(to=dice.choice((node.name, "nessuno")), offer=self.offer(node, node.name), as_="OP-1")
            outcome = node.store.execute_group([lambda tx: desk.refer(tx, node.ctx, bad)])[0]
        if not isinstance(outcome.error, ProtocolError):
            raise Violation("I6-illegal-accepted", f"{node.name}: {outcome.error!r}")
        if before != node.reader.execute(_SUMMARY).fetchone():
            raise Violation("I6-refusal-left-something", node.name)
        node.history.refused_attempts += 1

    # -- what the operator is told

    def submit(self, node: Node, command: Any, what: str) -> None:
        def done(outcome: Outcome[Any]) -> None:
            written = node.sound(outcome)
            if written is None:
                code = outcome.error.code if isinstance(outcome.error, ProtocolError) else ""
                if code == "clock-wrong":
                    node.history.wrong_clock_refusals += 1
                node.kernel.note(node.name, "may not", what, code)
                if code not in _FAIR_REFUSALS | (FORWARD_REFUSALS if what == "forward" else frozenset()):
                    raise Violation("I6-legal-refused", f"{node.name} {what}: {outcome.error}")
                return
            node.kernel.note(node.name, "writes", what, written.leg, written.n, written.state)
            self._told(node, written)
            node.watch([written.leg])
            node.wake(0)

        node.submit(command, done)

    def _told(self, node: Node, written: Done) -> None:
        side = leg_row(node.reader, written.leg)
        assert side is not None
        rows = node.store.read(
            lambda db: db.execute(
                "SELECT writer, kind, jti FROM event WHERE leg = ? AND n = ? AND (? = 'L' OR writer = ?) ORDER BY rowid DESC LIMIT 1",
                (written.leg, written.n, side.side, side.side),
            ).fetchone()
        )
        if rows is None:
            raise Violation("I3-told-before-commit", f"{node.name} {written.leg} {written.n}")
        self._may_have(node, side, rows)
        node.history.told.append(Told(node.name, written.leg, rows[0], written.n, rows[1], rows[2], node.kernel.now))

    def _may_have(self, node: Node, leg: LegRow, row: Any) -> None:
        """I16: on what there was before a restore nothing is written until the other side, or a person, has told."""
        begun = node.reader.execute(
            "SELECT begun FROM resync WHERE peer = ? AND answered IS NULL AND begun >= ?", (leg.peer, leg.created)
        ).fetchone()
        if begun is None or leg.side == "L" or row[1] == "lapse":
            return
        (at,) = node.reader.execute("SELECT at FROM event WHERE jti = ? AND leg = ?", (row[2], leg.leg)).fetchone()
        if at > begun[0]:
            raise Violation("I16-written-while-open", f"{node.name} {leg.leg} {row[1]}")


# The state may move between choosing and committing; the clock may be wrong; the peer may have been suspended.
_FAIR_REFUSALS: Final = frozenset(
    {
        "illegal-event",
        "handed-over",
        "clock-wrong",
        "suspended",
        "unknown-recipient",
        "not-degraded",
        "role-forbidden",
        "to-self",
        "incapable-recipient",
        "erased",
        "resync-open",
        "key-unconfirmed",
        "forward-open",
    }
)
# The router is no router yet to itself, the office cannot, the way is too long or was taken before.
FORWARD_REFUSALS: Final = frozenset(
    {
        "not-a-router",
        "forward-not-accepted",
        "forward-loop",
        "forward-hops",
        "basis-required",
        "patronato-redirect",
        "incapable-recipient",
    }
)
_KEEP: Final = RetentionConfig(keep=1)
_BASIS: Final = Basis(law="6(1)(e)", purpose="presa in carico", notice_version="1", notice_date="2026-01-01")
