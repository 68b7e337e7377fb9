"""Two desks, two channels that delay, reorder, repeat and reject, and every screen watched. Not the network: no bytes.

A run draws everything from one seed. S and R write what their own view allows (and sometimes what it does not), the
channels deliver in any order, more than once; a receiver may reject an event for ever, upon which its writer voids it;
S may take an event back before it knows whether R has it. Checked after every step and at the end:

- *false final*: what S showed as final changed later (also R, in runs where nothing is taken back);
- *overruled*: an event R wrote legally from its own view was overruled (runs without `void`);
- *divergent*: after everything is delivered the two ends do not fold alike, or not as the plain reading (reference);
- *stuck*: something still waits behind a gap.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from protocol.finality import is_final, may_take_back
from protocol.referral import KINDS, Event, Kind, Leg, Writer, allowed, fold
from tests.protocol.models.reference import reference

Fold = Callable[[Sequence[Event], Sequence[Event]], Leg]


class Rules(NamedTuple):
    """What is under test; a planted bug replaces one of them."""

    fold: Fold = fold
    is_final: Callable[..., bool] = is_final


class Sort(NamedTuple):
    """What a run may contain, in thousandths."""

    reject: int = 0
    takeback: int = 0
    illegal: int = 0
    ended: int = 0


SORTS: Final[dict[str, Sort]] = {
    "plain": Sort(),
    "illegal": Sort(illegal=150),
    "void": Sort(reject=120),
    "takeback": Sort(reject=60, takeback=120, illegal=50),
    "ended": Sort(ended=100),
}
CANCEL_REASONS = ("no-longer-needed", "no-answer", None)
OTHER: Final[dict[Writer, Writer]] = {"S": "R", "R": "S"}
# Likelier kinds, so that runs are long and reach the far states: to decline at once is dull.
LIKELY: Final[dict[str, int]] = {
    "open": 4, "ask": 4, "accept": 8, "waitlist": 6, "start": 6, "keep": 10, "amend": 4, "answer": 4, "cancel": 2,
}  # fmt: skip
ANYTHING: Final = tuple(kind for kind in KINDS if kind != "void")


class Message(NamedTuple):
    """In a channel: an event, the acknowledgement of one (h ≥ 0), or its signed rejection (h = -1)."""

    to: Writer
    event: Event
    h: int | None = None


class Desk:
    """One end: its own log, what it holds of the other's, what it was told, what it showed as final."""

    __slots__ = ("acks", "done", "leg", "mine", "other", "own", "rejected", "shown_final", "side", "theirs")

    def __init__(self, side: Writer) -> None:
        self.side: Writer = side
        self.own: list[Event] = []  # one content per n: a void stands in the place of what it replaced
        self.theirs: list[Event] = []  # as it arrived
        self.rejected: set[str] = set()
        self.done: dict[str, int | None] = {}  # cm → h answered (None: rejected)
        self.acks: dict[int, int] = {}
        self.leg = Leg()
        self.shown_final: str | None = None

    def view(self, rules: Rules) -> Leg:
        if self.side == "S":
            return rules.fold(self.own, self.theirs)
        return rules.fold(self.theirs, self.own)

    def applied(self) -> int:
        """How far the other's log is applied here."""
        return self.leg.r_count if self.side == "S" else self.leg.s_count


class Run:
    """One seeded run; `fault` says what went wrong first, '' for nothing."""

    def __init__(self, seed: int, sort: Sort, rules: Rules) -> None:
        self.dice = random.Random(seed)
        self.sort = sort
        self.rules = rules
        self.desks: dict[Writer, Desk] = {"S": Desk("S"), "R": Desk("R")}
        self.channel: list[Message] = []
        self.fault = ""
        self.stamp = 0
        self.ended = False
        self.taken_back = False
        self.any_illegal = False
        self.any_void = False

    def chance(self, thousandths: int) -> bool:
        return thousandths > 0 and self.dice.random() * 1000 < thousandths

    # -- writing

    def post(self, writer: Writer, event: Event) -> None:
        if not (self.ended and writer == "R"):
            self.channel.append(Message(OTHER[writer], event))

    def write(self, writer: Writer, kind: Kind) -> None:
        desk = self.desks[writer]
        self.stamp += 1
        reason = self.dice.choice(CANCEL_REASONS) if kind == "cancel" else None
        event = Event(writer, len(desk.own) + 1, kind, desk.applied(), reason, cm=f"{writer}{self.stamp}")
        desk.own.append(event)
        self.post(writer, event)
        self.look(desk)

    def void(self, writer: Writer, n: int) -> None:
        desk = self.desks[writer]
        old = desk.own[n - 1]
        if old.kind == "void":
            return
        self.stamp += 1
        self.any_void = True
        new = Event(writer, n, "void", old.seen, cm=f"{writer}{self.stamp}", voids=old.cm)
        desk.own[n - 1] = new
        self.post(writer, new)
        self.look(desk)

    def act(self, writer: Writer) -> None:
        desk = self.desks[writer]
        if self.chance(self.sort.illegal):
            self.any_illegal = True
            self.write(writer, self.dice.choice(ANYTHING))
            return
        if writer == "S" and self.chance(self.sort.takeback):
            self.take_back()
            return
        kinds = sorted(allowed(desk.leg, writer))
        if self.ended and writer == "S" and "lapse" in kinds:
            self.write("S", "lapse")
        elif kinds:
            weights = [LIKELY.get(kind, 1) for kind in kinds]
            self.write(writer, self.dice.choices(kinds, weights)[0])

    def take_back(self) -> None:
        """S stops what it does not know to have been applied."""
        desk = self.desks["S"]
        free = [e.n for e in desk.own if e.kind != "void" and may_take_back(e.n, acks=desk.acks, peer_log=desk.theirs)]
        if free:
            self.taken_back = True
            self.void("S", self.dice.choice(free))

    # -- delivery

    def deliver(self) -> None:
        at = self.dice.randrange(len(self.channel))
        message = self.channel[at]
        if self.dice.random() < 0.85:  # else it stays: it will come again
            self.channel[at] = self.channel[-1]
            self.channel.pop()
        if message.h is None:
            self.receive(self.desks[message.to], message.event)
        else:
            self.told(self.desks[message.to], message.event, message.h)

    def receive(self, desk: Desk, event: Event) -> None:
        if event.cm not in desk.rejected and all(held.cm != event.cm for held in desk.theirs):
            if event.kind != "void" and self.chance(self.sort.reject):
                desk.rejected.add(event.cm)
            else:
                desk.theirs.append(event)
                self.look(desk)
        self.answer(desk, event)

    def answer(self, desk: Desk, event: Event) -> None:
        """`rejected`, or `processed` for all that is applied by now, with the h of the moment it was applied."""
        back = OTHER[desk.side]
        if event.cm in desk.rejected:
            self.channel.append(Message(back, event, -1))
            return
        for held in desk.theirs:
            if held.n <= desk.applied() and held.cm not in desk.done:
                desk.done[held.cm] = len(desk.own)
                self.channel.append(Message(back, held, len(desk.own)))

    def told(self, desk: Desk, event: Event, h: int) -> None:
        mine = desk.own[event.n - 1]
        if mine.cm != event.cm:
            return  # voided in the meantime
        if h < 0:
            self.void(desk.side, event.n)
        else:
            desk.acks[event.n] = h
            self.look(desk)

    # -- watching

    def look(self, desk: Desk) -> None:
        leg = desk.leg = desk.view(self.rules)
        if desk.side == "R" and self.any_void:
            return
        if desk.shown_final is not None:
            if leg.state != desk.shown_final:
                self.fault = self.fault or "false final"
            return
        if not leg.is_terminal:
            return
        gap = len(desk.theirs) > 0 and max(event.n for event in desk.theirs) > desk.applied()
        ended = self.ended and desk.side == "S"
        if self.rules.is_final(leg, desk.side, acks=desk.acks, gap=gap, peer_ended=ended):
            desk.shown_final = leg.state

    def end_membership(self) -> None:
        """S learns that R's membership has ended: nothing of R's is applied any more."""
        self.ended = True
        self.channel = [message for message in self.channel if message.to != "S"]

    def play(self, steps: int) -> str:
        self.write("S", "offer")
        dice = self.dice.random
        for _ in range(steps):
            if self.sort.ended and not self.ended and self.chance(self.sort.ended):
                self.end_membership()
            if self.channel and dice() < 0.6:
                self.deliver()
            else:
                self.act("S" if dice() < 0.45 else "R")
        while self.channel and not self.ended:
            self.deliver()
        return self.fault or self.verdict()

    def verdict(self) -> str:
        s, r = self.desks["S"], self.desks["R"]
        if self.ended:
            return ""
        if s.leg != r.leg:
            return "divergent"
        if s.leg.s_count != len(s.own) or s.leg.r_count != len(r.own):
            return "stuck"
        overruled = frozenset((o.writer, o.n) for o in s.leg.overruled)
        if (s.leg.state, overruled) != reference(s.own, r.own):
            return "not as PROTOCOL says"
        if not self.any_void and not self.any_illegal and any(writer == "R" for writer, _ in overruled):
            return "overruled"
        if s.leg.is_terminal and s.shown_final is None and s.leg.settled_by is not None:
            return "never final"
        return ""


def run(seed: int, sort: str, rules: Rules = Rules()) -> str:  # noqa: B008  # a frozen tuple of functions
    """Play one run; '' or the first fault. The length varies with the seed."""
    return Run(seed, SORTS[sort], rules).play(8 + seed % 29)
