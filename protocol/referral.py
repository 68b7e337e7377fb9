"""The referral machine: one table, and the fold of two logs over it. Not delivery, not capabilities, not screens.

A *leg* is one offer from sender S to receiver R (PROTOCOL §6). S writes one append-only log, R the other; the state
is a pure function of both: no clock, no registry, no membership. Who may press which button is a use case's question.

Rule 1: what changes the state of a leg is a row of `_ROWS`, or one of the three refinements beside it.
Rule 2: R is the sequencer (`history`); there is no other tie rule, and nothing is ever ordered by time.
Rule 3: what is illegal is recorded and overruled; it never blocks what follows.

`python -m protocol.referral` prints the table; docs/referral-table.md is that output.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

import msgspec

from protocol.errors import ProtocolError

Writer: TypeAlias = Literal["S", "R"]
OpenState: TypeAlias = Literal[
    "none", "offered", "opened", "asked", "accepted", "waiting", "in-charge", "cancel-requested"
]
Terminal: TypeAlias = Literal[
    "cancelled",
    "expired",
    "declined",
    "redirected",
    "closed",
    "withdrawn",
    "released",
    "lapsed",
    "undeliverable",
]
State: TypeAlias = OpenState | Terminal
SenderKind: TypeAlias = Literal["offer", "amend", "cancel", "answer", "lapse"]
ReceiverKind: TypeAlias = Literal[
    "open",
    "ask",
    "accept",
    "decline",
    "redirect",
    "waitlist",
    "start",
    "close",
    "withdraw",
    "release",
    "keep",
    "noted",
    "appointment",
    "rescheduled",
    "missed",
    "arrived",
    "forwarded",
]
MachineKind: TypeAlias = Literal["void", "frozen"]
Kind: TypeAlias = SenderKind | ReceiverKind | MachineKind
Target: TypeAlias = State | Literal["same", "before-cancel"]
Why: TypeAlias = Literal["wrong-writer", "illegal-in-state"]
Custody: TypeAlias = Literal["S", "R", "nobody"]

OPEN_STATES: Final[tuple[OpenState, ...]] = get_args(OpenState)
TERMINALS: Final[tuple[Terminal, ...]] = get_args(Terminal)
STATES: Final[tuple[State, ...]] = (*OPEN_STATES, *TERMINALS)
SENDER_KINDS: Final[tuple[SenderKind, ...]] = get_args(SenderKind)
RECEIVER_KINDS: Final[tuple[ReceiverKind, ...]] = get_args(ReceiverKind)
MACHINE_KINDS: Final[tuple[MachineKind, ...]] = get_args(MachineKind)
KINDS: Final[tuple[Kind, ...]] = (*SENDER_KINDS, *RECEIVER_KINDS, *MACHINE_KINDS)

BEFORE_ACCEPTANCE: Final[tuple[State, ...]] = ("offered", "opened", "asked")
AFTER_ACCEPTANCE: Final[tuple[State, ...]] = ("accepted", "waiting", "in-charge", "cancel-requested")

_FACTS: Final[dict[Kind, Target]] = {
    "ask": "same", "noted": "same", "appointment": "same", "rescheduled": "same",
    "missed": "same", "arrived": "same", "forwarded": "same",
}  # fmt: skip

# (states, writer, event → target). Refinements: an `answer` in asked opens only if its `seen` covers the last ask;
# a `cancel` for no-answer before acceptance expires; `keep` goes back to the state before the first cancel.
_ROWS: Final[tuple[tuple[tuple[State, ...], Writer, Mapping[Kind, Target]], ...]] = (
    (("none",), "S", {"offer": "offered", "void": "undeliverable"}),
    (BEFORE_ACCEPTANCE, "S", {"amend": "same", "cancel": "cancelled", "answer": "same"}),
    (("asked",), "S", {"answer": "opened"}),
    (AFTER_ACCEPTANCE, "S", {"amend": "same", "answer": "same", "cancel": "cancel-requested", "lapse": "lapsed"}),
    (("offered",), "R", {"open": "opened"}),
    (BEFORE_ACCEPTANCE, "R", {"ask": "asked", "accept": "accepted", "decline": "declined", "redirect": "redirected"}),
    (("accepted",), "R", {"waitlist": "waiting"}),
    (("accepted", "waiting"), "R", {"start": "in-charge", "release": "released"}),
    (("accepted", "waiting", "in-charge", "cancel-requested"), "R", {"close": "closed", "withdraw": "withdrawn"}),
    (("cancel-requested",), "R", {"release": "cancelled", "keep": "before-cancel"}),
    (AFTER_ACCEPTANCE, "R", _FACTS),
    (STATES, "S", {"frozen": "same"}),
    (STATES, "R", {"frozen": "same", "void": "same"}),
    (STATES[1:], "S", {"void": "same"}),
)


def _table() -> dict[tuple[State, Writer, Kind], Target]:
    table: dict[tuple[State, Writer, Kind], Target] = {}
    for states, writer, moves in _ROWS:
        for state in states:
            for kind, target in moves.items():
                table[state, writer, kind] = state if target == "same" else target
    return table


TRANSITIONS: Final[Mapping[tuple[State, Writer, Kind], Target]] = _table()

KINDS_OF: Final[Mapping[Writer, frozenset[Kind]]] = {
    "S": frozenset((*SENDER_KINDS, *MACHINE_KINDS)),
    "R": frozenset((*RECEIVER_KINDS, *MACHINE_KINDS)),
}
REASON_NO_ANSWER: Final = "no-answer"
LAPSE_REASONS: Final = ("left-network", "silent")

# Who answers for the person: S until acceptance and again when R lets go, R in between, nobody when it is over.
CUSTODY: Final[Mapping[State, Custody]] = {
    "none": "S", "offered": "S", "opened": "S", "asked": "S",
    "accepted": "R", "waiting": "R", "in-charge": "R", "cancel-requested": "R",
    "cancelled": "S", "expired": "S", "declined": "S", "redirected": "S", "released": "S", "lapsed": "S",
    "undeliverable": "S", "closed": "nobody", "withdrawn": "nobody",
}  # fmt: skip

_SHOWN_FACTS: Final[frozenset[Kind]] = frozenset(_FACTS) - {"ask"}
_PEOPLE: Final[Mapping[tuple[State, Writer], frozenset[Kind]]] = {
    (state, writer): frozenset(
        kind for (at, who, kind) in TRANSITIONS if at == state and who == writer and kind not in MACHINE_KINDS
    )
    for state in STATES
    for writer in KINDS_OF
}
# "Both screens offer only telephone, cancel and close" (PROTOCOL §6).
_WHEN_FROZEN: Final[frozenset[Kind]] = frozenset({"cancel", "close"})


class Event(msgspec.Struct, frozen=True, gc=False):
    """One step of a log: only the codes the fold reads, never text.

    `n` counts the writer's events from 1; `seen` is how many of the peer's events the writer had applied; `cm` is the
    commitment of this event's body; `voids` is the commitment a `void` replaces at the same `n`.
    """

    writer: Writer
    n: int
    kind: Kind
    seen: int
    reason: str | None = None
    outcome: str | None = None
    cm: str = ""
    voids: str | None = None


class EventRef(NamedTuple):
    """Names an event of a leg."""

    writer: Writer
    n: int
    kind: Kind


class Overruled(NamedTuple):
    """An event that changed nothing, and why."""

    writer: Writer
    n: int
    kind: Kind
    why: Why


class Step(NamedTuple):
    """One position of the history: the state after equals the one before when `overruled` says why."""

    event: Event
    before: State
    after: State
    overruled: Why | None


class Leg(msgspec.Struct, frozen=True):
    """What two logs amount to. Equal at both ends once both hold the same events.

    `s_count`, `r_count`: events applied (the contiguous prefixes). `last_ask`: n of R's last ask, 0 for none.
    `before_cancel`: the state `keep` returns to, while a cancel is requested. `reason`, `outcome`: codes of the event
    that decided the state. `pending`: n of S's amendments R has not yet noted. `settled_by`: the event that ended it.
    """

    state: State = "none"
    s_count: int = 0
    r_count: int = 0
    last_ask: int = 0
    before_cancel: State | None = None
    reason: str | None = None
    outcome: str | None = None
    pending: tuple[int, ...] = ()
    facts: tuple[EventRef, ...] = ()
    frozen: tuple[EventRef, ...] = ()
    overruled: tuple[Overruled, ...] = ()
    settled_by: EventRef | None = None

    @property
    def is_terminal(self) -> bool:
        """Nothing can follow but `void` and `frozen`. Not yet *final*: see protocol.finality."""
        return self.state in TERMINALS

    @property
    def custody(self) -> Custody:
        """Who answers for the person now."""
        return CUSTODY[self.state]


EMPTY_LEG: Final = Leg()


def effective(log: Sequence[Event]) -> Sequence[Event]:
    """One event per n = 1, 2, … up to the first gap, voids settled; `log` in any order, with any repetition.

    A content named by a `void` at the same n loses to it in either arrival order; of two contents neither of which
    is named (PROTOCOL §6: `n-reuse`), the one held first stays, as at intake.
    """
    for n, event in enumerate(log, 1):
        if event.n != n:
            return _settle(log)
    return log


def _settle(log: Sequence[Event]) -> list[Event]:
    held: dict[int, list[Event]] = {}
    for event in log:
        held.setdefault(event.n, []).append(event)
    settled: list[Event] = []
    while (n := len(settled) + 1) in held:
        voided = {event.voids for event in held[n] if event.kind == "void"}
        standing = [event for event in held[n] if event.kind != "void" and event.cm not in voided]
        settled.append(standing[0] if standing else next(event for event in held[n] if event.kind == "void"))
    return settled


def has_gap(log: Sequence[Event]) -> bool:
    """True if an event of this log waits behind one that is missing."""
    return max((event.n for event in log), default=0) > len(effective(log))


class _Cursor:
    """The fold's place in the history: the only mutable thing here."""

    __slots__ = (
        "before_cancel", "facts", "frozen", "last_ask", "outcome", "overruled", "pending", "reason", "settled_by",
        "state",
    )  # fmt: skip

    def __init__(self) -> None:
        self.state: State = "none"
        self.last_ask = 0
        self.before_cancel: State | None = None
        self.reason: str | None = None
        self.outcome: str | None = None
        self.pending: list[int] = []
        self.facts: list[EventRef] = []
        self.frozen: list[EventRef] = []
        self.overruled: list[Overruled] = []
        self.settled_by: EventRef | None = None

    def apply(self, event: Event) -> Why | None:
        kind = event.kind
        if event.writer == "R" and self.pending and kind not in MACHINE_KINDS:
            # "Noted by the first R event whose `seen` covers it"; what a machine writes notes nothing (ADR 0010).
            self.pending = [n for n in self.pending if n > event.seen]
        target = TRANSITIONS.get((self.state, event.writer, kind))
        if target is None:
            why: Why = "illegal-in-state" if kind in KINDS_OF[event.writer] else "wrong-writer"
            self.overruled.append(Overruled(event.writer, event.n, kind, why))
            return why
        self._remember(event)
        target = self._refine(event, target)
        if target != self.state:
            self._move(event, target)
        return None

    def _remember(self, event: Event) -> None:
        kind = event.kind
        if kind == "amend":
            self.pending.append(event.n)
        elif kind == "ask":
            self.last_ask = event.n
        elif kind in _SHOWN_FACTS:
            self.facts.append(EventRef(event.writer, event.n, kind))
        elif kind == "frozen":
            self.frozen.append(EventRef(event.writer, event.n, kind))

    def _refine(self, event: Event, target: Target) -> State:
        if target == "before-cancel":
            assert self.before_cancel is not None, "only `cancel` leads to cancel-requested"
            return self.before_cancel
        if target == "same":
            return self.state
        if event.kind == "answer" and event.seen < self.last_ask:
            return self.state
        if event.kind == "cancel" and target == "cancelled" and event.reason == REASON_NO_ANSWER:
            return "expired"
        return target

    def _move(self, event: Event, target: State) -> None:
        if not (target == "cancelled" and event.kind == "release"):  # the cancel decided; R only agreed
            self.reason = event.reason
        self.outcome = event.outcome
        self.before_cancel = self.state if target == "cancel-requested" else None
        self.state = target
        if target in TERMINALS:
            self.settled_by = EventRef(event.writer, event.n, event.kind)


def sequence(s_events: Sequence[Event], r_events: Sequence[Event]) -> Iterator[Event]:
    """R is the sequencer: each R event after S's events up to its `seen`; then S's remaining ones."""
    done = 0
    held = len(s_events)
    for event in r_events:
        while done < event.seen and done < held:
            yield s_events[done]
            done += 1
        yield event
    while done < held:
        yield s_events[done]
        done += 1


def history(s_log: Sequence[Event], r_log: Sequence[Event]) -> Iterator[Step]:
    """Every applied event in the sequencer's order, with the state before and after it."""
    cursor = _Cursor()
    for event in sequence(effective(s_log), effective(r_log)):
        before = cursor.state
        why = cursor.apply(event)
        yield Step(event, before, cursor.state, why)


def fold(s_log: Sequence[Event], r_log: Sequence[Event]) -> Leg:
    """The state of a leg from what is held of both logs (any order, repetitions, gaps: the prefixes count)."""
    s_events, r_events = effective(s_log), effective(r_log)
    cursor = _Cursor()
    for event in sequence(s_events, r_events):
        cursor.apply(event)
    return Leg(
        state=cursor.state,
        s_count=len(s_events),
        r_count=len(r_events),
        last_ask=cursor.last_ask,
        before_cancel=cursor.before_cancel,
        reason=cursor.reason,
        outcome=cursor.outcome,
        pending=tuple(cursor.pending),
        facts=tuple(cursor.facts),
        frozen=tuple(cursor.frozen),
        overruled=tuple(cursor.overruled),
        settled_by=cursor.settled_by,
    )


def allowed(leg: Leg, writer: Writer) -> frozenset[Kind]:
    """What a person on this side may write now; capabilities and membership are the use case's to check."""
    kinds = _PEOPLE[leg.state, writer]
    return kinds & _WHEN_FROZEN if leg.frozen else kinds


def check_write(leg: Leg, writer: Writer, kind: Kind) -> None:
    """Raises `illegal-event` unless this side may write `kind` now; `void` and `frozen` are the program's, always."""
    if kind in MACHINE_KINDS or kind in allowed(leg, writer):
        return
    raise ProtocolError("illegal-event", field="kind", expected=" ".join(sorted(allowed(leg, writer))), got=kind)


def _target_text(state: State, kind: Kind, target: Target) -> str:
    if target == state:
        return f"{kind} → same"
    if kind == "answer":
        return f"{kind} → {target} if its `seen` covers the last ask, else same"
    if kind == "keep":
        return f"{kind} → the state before the first cancel"
    if kind == "cancel" and target == "cancelled":
        return f"{kind} → **cancelled**, or **expired** when the reason is {REASON_NO_ANSWER}"
    return f"{kind} → **{target}**" if target in TERMINALS else f"{kind} → {target}"


def _cell(state: State, writer: Writer) -> str:
    order: tuple[Kind, ...] = (
        (*SENDER_KINDS, *RECEIVER_KINDS, "void") if state == "none" else (*SENDER_KINDS, *RECEIVER_KINDS)
    )
    moves = ((kind, TRANSITIONS.get((state, writer, kind))) for kind in order)
    return " · ".join(
        _target_text(state, kind, target)
        for kind, target in moves
        if target is not None and not (kind == "void" and target == state)
    )


def markdown() -> str:
    """The table as docs/referral-table.md holds it."""
    lines = [
        "<!-- Generated by `python -m protocol.referral`; a test compares. -->",
        "",
        "| state | S writes | R writes | custody |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {'—' if state == 'none' else state} | {_cell(state, 'S')} | {_cell(state, 'R')} | {CUSTODY[state]} |"
        for state in OPEN_STATES
    ]
    lines += [
        "",
        "Bold = terminal: " + ", ".join(f"{state} (custody: {CUSTODY[state]})" for state in TERMINALS) + ".",
        "Order: for each R event in turn, S's events up to its `seen`, then it; then S's remaining events.",
        "In every state, terminals too, either side may write `frozen` and `void`: the state stays the same.",
        "Anything else is recorded, overruled (`wrong-writer` or `illegal-in-state`) and shown; it never blocks.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
