"""A sender, a router and the offices it forwards to, over channels that lose order, repeat and crash. Pure rules only.

A run draws everything from one seed. The parent is S → R, the children R → C1, C2, …; every desk writes what its own
view allows. The router's program writes what `protocol.forwarding.duties` says in the step that applied an event; a
crash before that step's commit throws all of it away, and the event comes again. Members may end, S may cancel or
declare the parent lapsed at any time, a child may be lapsed. Nothing is voided here (tests/exchange does that).

Watched after every step, on the logs as written (what no single desk sees):
- *two custodians*: an office holds the person while another holds her too, or the parent was ended by its receiver;
- *custody*: protocol.custody names another than the sentence of PROTOCOL §6, read by itself;
- *against its child*: the parent ended by its receiver otherwise than its last child;
- *start*, *twice*, *mirrored twice*: what a router must never write.
At the end everything is delivered: *stuck*, *not passed on*, *not mirrored*, *divergent*.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from protocol import custody, forwarding
from protocol.custody import NOBODY, Passed
from protocol.finality import is_final
from protocol.forwarding import Child, Duty
from protocol.referral import AFTER_ACCEPTANCE, Event, Kind, Leg, Writer, allowed, fold, has_gap
from protocol.referral_display import PROVISIONAL, display

SENDER: Final = "S"
ROUTER: Final = "R"
LIKELY: Final[dict[str, int]] = {
    "open": 4, "accept": 10, "waitlist": 4, "start": 5, "close": 5, "keep": 4, "answer": 4, "cancel": 2, "withdraw": 2,
    "release": 2, "decline": 2, "redirect": 1, "ask": 2, "lapse": 1,
}  # fmt: skip
OUTCOMES: Final = ("OU-EROGATO", "OU-INCARICO", "OU-NODISP")
REASONS: Final = ("no-longer-needed", "no-answer", "other-way")
WAY: Final = ("open", "ask", "accept", "waitlist", "noted")  # likelier than what ends a referral before it is forwarded
MAX_CHILDREN: Final = 4


class Rules(NamedTuple):
    """What is under test; a planted bug replaces one of them."""

    duties: Callable[..., tuple[Duty, ...]] = forwarding.duties
    permitted: Callable[[Leg, Sequence[Child]], frozenset[Kind]] = forwarding.permitted
    may_open: Callable[[Leg, Sequence[Child]], bool] = lambda parent, children: _may_open(parent, children)
    is_final: Callable[..., bool] = is_final
    custodian: Callable[[Passed], str] = custody.custodian
    atomic: bool = True


def _may_open(parent: Leg, children: Sequence[Child]) -> bool:
    try:
        forwarding.check_open(parent, children, told=True)
    except forwarding.ProtocolError:
        return False
    return True


class Line:
    """One leg at both ends: own logs as written, the other's as arrived, acknowledgements on their way."""

    __slots__ = ("acks", "arrived", "ended", "name", "own", "told")

    def __init__(self, name: str) -> None:
        self.name = name
        self.own: dict[Writer, list[Event]] = {"S": [], "R": []}
        self.arrived: dict[Writer, list[Event]] = {"S": [], "R": []}  # the other's events, at this end
        self.acks: dict[int, int] = {}  # h of S's events, as S was told
        self.told: set[int] = set()
        self.ended = False

    def view(self, end: Writer) -> Leg:
        mine, theirs = self.own[end], self.arrived[end]
        return fold(mine, theirs) if end == "S" else fold(theirs, mine)

    def truth(self) -> Leg:
        return fold(self.own["S"], self.own["R"])

    def write(self, end: Writer, kind: Kind, reason: str | None = None, outcome: str | None = None) -> Event:
        leg = self.view(end)
        applied = leg.r_count if end == "S" else leg.s_count
        n = len(self.own[end]) + 1
        event = Event(end, n, kind, applied, reason, outcome, cm=f"{self.name}{end}{n}")
        self.own[end].append(event)
        return event


class Post(NamedTuple):
    """On its way: an event to an end of a line, or (h ≥ 0) the acknowledgement of one of S's to S."""

    line: int  # 0: the parent
    to: Writer
    event: Event
    h: int | None = None


class Run:
    """One seeded run; `fault` says what went wrong first, '' for nothing."""

    def __init__(self, seed: int, rules: Rules) -> None:
        self.dice = random.Random(seed)
        self.rules = rules
        self.lines = [Line("P")]
        self.channel: list[Post] = []
        self.said: dict[int, str] = {}
        self.passed: dict[int, int] = {}
        self.fault = ""
        self.crashes = self.forwards = 0

    # -- what everybody does

    def blame(self, fault: str) -> None:
        self.fault = self.fault or fault

    def write(self, i: int, end: Writer, kind: Kind, reason: str | None = None, outcome: str | None = None) -> None:
        line = self.lines[i]
        event = line.write(end, kind, reason, outcome)
        if not (line.ended and end == "R"):
            self.channel.append(Post(i, "R" if end == "S" else "S", event))

    def act(self, i: int, end: Writer, kinds: Sequence[Kind]) -> None:
        if not kinds:
            return
        kind = self.dice.choices(kinds, [LIKELY.get(kind, 1) for kind in kinds])[0]
        reason = self.dice.choice(REASONS) if kind == "cancel" else None
        self.write(i, end, kind, reason, self.dice.choice(OUTCOMES) if kind == "close" else None)

    def person(self) -> None:
        """Somebody does something at one of the desks."""
        who = self.dice.random()
        if who < 0.18:
            self.act(0, "S", [k for k in sorted(allowed(self.lines[0].view("S"), "S")) if self.rare(k)])
        elif who < 0.5 or len(self.lines) == 1:
            self.router()
        else:
            i = self.dice.randrange(1, len(self.lines))
            self.act(i, "R", sorted(allowed(self.lines[i].view("R"), "R")))

    def rare(self, kind: Kind) -> bool:
        return self.dice.random() < {"cancel": 0.25, "lapse": 0.05}.get(kind, 1.0)

    def router(self) -> None:
        parent, children = self.family()
        if self.rules.may_open(parent, children) and len(children) < MAX_CHILDREN and self.dice.random() < 0.6:
            self.forwards += 1
            self.lines.append(Line(f"C{len(self.lines)}"))
            self.write(len(self.lines) - 1, "S", "offer")
        elif children and self.dice.random() < 0.4:
            i = self.dice.randrange(1, len(self.lines))
            if self.dice.random() < 0.1:
                self.end_member(i)
            self.act(i, "S", [k for k in sorted(allowed(self.lines[i].view("S"), "S")) if self.rare(k)])
        else:
            kinds = sorted(self.rules.permitted(parent, children) - {"forwarded"})
            self.act(0, "R", [k for k in kinds if children or k in WAY or self.dice.random() < 0.15])
        self.duties()

    def end_member(self, i: int) -> None:
        """The office of child i leaves the network: nothing of its post counts any more."""
        self.lines[i].ended = True
        self.channel = [post for post in self.channel if post.line != i]

    # -- the router's program

    def family(self) -> tuple[Leg, list[Child]]:
        parent = self.lines[0].view("R")
        cancels = sum(event.kind == "cancel" for event in self.lines[0].arrived["R"])
        return parent, [self.child(i, cancels) for i in range(1, len(self.lines))]

    def child(self, i: int, cancels: int) -> Child:
        line, leg = self.lines[i], self.lines[i].view("S")
        settled = leg.is_terminal and self.rules.is_final(
            leg, "S", acks=line.acks, gap=has_gap(line.arrived["S"]), peer_ended=line.ended
        )
        delivery = "processed" if 1 in line.acks else "queued"
        code = display(leg.state, delivery, final=settled or leg.state not in PROVISIONAL).code
        return Child(leg, settled, code, self.said.get(i), passed_on=self.passed.get(i, 0) >= max(cancels, 1))

    def duties(self) -> None:
        for _ in range(8):
            parent, children = self.family()
            answered = any(e.kind in ("close", "withdraw") for e in self.lines[0].own["R"])
            due = [duty for duty in self.rules.duties(parent, children, answered=answered) if duty.do[:4] != "tell"]
            if not due:
                return
            for duty in due:
                self.do(duty, children)

    def do(self, duty: Duty, children: Sequence[Child]) -> None:
        i = duty.child + 1
        if duty.do == "mirror":
            if self.said.get(i) == children[duty.child].status:
                self.blame("mirrored twice")
            self.said[i] = children[duty.child].status
            self.write(0, "R", "forwarded")
        elif duty.do == "cancel":
            self.passed[i] = sum(event.kind == "cancel" for event in self.lines[0].arrived["R"])
            self.write(i, "S", "cancel", duty.reason)
        elif duty.do in ("close", "withdraw", "release"):
            self.write(0, "R", duty.do, duty.reason, duty.outcome)

    # -- delivery, at the router with a transaction around it

    def deliver(self) -> None:
        at = self.dice.randrange(len(self.channel))
        post = self.channel[at]
        at_router = (post.line == 0) == (post.to == "R")
        if at_router and self.dice.random() < 0.08:
            self.crashes += 1
            if self.rules.atomic:
                return  # nothing of it was committed; it is delivered again
            self.take(post)  # planted: the event committed, what was due because of it lost
            self.channel.remove(post)
            return
        if self.dice.random() < 0.85:  # else it stays: it will come again
            self.channel[at] = self.channel[-1]
            self.channel.pop()
        self.take(post)
        if at_router:
            self.duties()

    def take(self, post: Post) -> None:
        line = self.lines[post.line]
        if post.h is not None:
            line.acks.setdefault(post.event.n, post.h)
            return
        held = line.arrived[post.to]
        if all(event.n != post.event.n for event in held):
            held.append(post.event)
        if post.to == "R":
            self.acknowledge(post.line)

    def acknowledge(self, i: int) -> None:
        """R tells S of all that is applied by now, with its own count at the moment each was."""
        line = self.lines[i]
        applied = line.view("R").s_count
        for event in line.own["S"][:applied]:
            if event.n not in line.told:
                line.told.add(event.n)
                if not line.ended:
                    self.channel.append(Post(i, "S", event, len(line.own["R"])))

    # -- watching

    def look(self) -> None:
        parent = self.lines[0].truth()
        children = [line.truth() for line in self.lines[1:]]
        alive = [leg for leg, line in zip(children, self.lines[1:], strict=True) if not line.ended]
        holding = [leg for leg in alive if leg.custody == "R"]
        if len(holding) > 1:
            self.blame("two custodians")
        by_router = parent.settled_by is not None and parent.settled_by.writer == "R"
        if by_router and holding:
            self.blame("two custodians")
        if children and by_router:
            self.check_end(parent, children[-1])
        self.check_custody(parent, children)
        own = [event.kind for event in self.lines[0].own["R"]]
        if children and "start" in own:
            self.blame("start")
        if sum(own.count(kind) for kind in ("close", "withdraw")) > 1:
            self.blame("twice")

    def check_end(self, parent: Leg, last: Leg) -> None:
        """Closed by a closed child with its outcome, withdrawn by a withdrawn one, let go when nobody else has it."""
        line = self.lines[-1]
        if parent.state == "closed" and (last.state, last.outcome) == ("closed", parent.outcome):
            return
        if parent.state == "withdrawn" and last.state == "withdrawn":
            return
        over = last.is_terminal or line.ended
        own = {e.kind for e in self.lines[0].own["S"]}
        gone = last.state not in ("closed", "withdrawn") or line.ended
        if over and gone and (parent.state == "released" or "cancel" in own):
            return
        self.blame("against its child")

    def check_custody(self, parent: Leg, children: Sequence[Leg]) -> None:
        """PROTOCOL §6 word by word, beside protocol.custody."""
        names = [f"C{i}" for i in range(1, len(children) + 1)]
        tree = Passed(
            SENDER, ROUTER, parent, tuple(Passed(ROUTER, n, leg) for n, leg in zip(names, children, strict=True))
        )
        claims = [n for n, leg in zip(names, children, strict=True) if leg.state in AFTER_ACCEPTANCE]
        if parent.state in AFTER_ACCEPTANCE:
            meant = claims[-1] if claims else ROUTER
        else:
            meant = NOBODY if parent.state in ("closed", "withdrawn") else SENDER
        if self.rules.custodian(tree) != meant:
            self.blame("custody")

    # -- a run

    def play(self, steps: int) -> str:
        self.write(0, "S", "offer")
        for _ in range(steps):
            if self.channel and self.dice.random() < 0.6:
                self.deliver()
            else:
                self.person()
            self.look()
        while self.channel:
            self.deliver()
            self.look()
        return self.fault or self.verdict()

    def verdict(self) -> str:
        for line in self.lines:
            if not line.ended and line.view("S") != line.view("R"):
                return "divergent"
        parent, children = self.family()
        if parent.state not in AFTER_ACCEPTANCE or not children:
            return ""
        if any(child.status != child.said for child in children):
            return "not mirrored"
        last = children[-1]
        if not last.is_open and last.leg.state in ("closed", "withdrawn"):
            return "stuck"
        if parent.state == "cancel-requested" and not last.is_open:
            return "stuck"
        if parent.state == "cancel-requested" and not any(e.kind == "cancel" for e in self.lines[-1].own["S"]):
            return "not passed on"
        return ""


def run(seed: int, rules: Rules = Rules()) -> Run:  # noqa: B008  # a frozen tuple of functions
    """Plays one run; its `fault` is '' or the first fault. The length varies with the seed."""
    played = Run(seed, rules)
    played.fault = played.play(20 + seed % 41)
    return played
