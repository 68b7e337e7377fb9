"""A router passes a referral on: what it may, must and must not write (PROTOCOL §6, Forwarding). No I/O, no screens.

The router R is the receiver of the *parent* (S → R) and the sender of its *children* (R → C): it accepts the parent
first, then opens one child at a time. What follows is a pure function of the folded legs:

    parent changed, child changed  →  duties(parent, children)  →  written by the program, in the same transaction

Rule 1: the state of every child is mirrored on the parent as the fact `forwarded {of, to_node, status}`: codes only.
Rule 2: only a *final* child end counts (protocol.finality): closed → close, withdrawn → withdraw. After any other end
        a person forwards again or releases; while the sender asks to stop, the release is the answer by itself.
Rule 3: a cancel requested on the parent is passed on to the open child; nothing is answered before that child's end.
Rule 4: what is unclear (a frozen copy, two ends that came apart) is left to people, who are told.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from msgspec import UNSET

from protocol.errors import ProtocolError
from protocol.limits import FORWARD_HOPS
from protocol.referral import AFTER_ACCEPTANCE, Kind, Leg, State, allowed
from schemas.bodies import Basis, EventBody, Offer

ROUTER: Final = "router"
FROM: Final[tuple[State, ...]] = ("accepted", "waiting")
"""States of the parent in which a child may be opened."""

# Of a parent with children: never, not while a child is open, not after a child's end that gives the parent none.
_NEVER: Final[frozenset[Kind]] = frozenset({"start"})
_NOT_WHILE_OPEN: Final[frozenset[Kind]] = frozenset({"waitlist", "close", "withdraw", "release", "keep"})
_NOT_AFTER: Final[frozenset[Kind]] = frozenset({"waitlist", "close", "withdraw"})

Do: TypeAlias = Literal["mirror", "cancel", "close", "withdraw", "release", "tell-ended", "tell-apart"]


class Child(NamedTuple):
    """One child as the router holds it.

    `final`: protocol.finality of its end. `status`: its display code now; `said`: the one last mirrored (None: never).
    `passed_on`: the newest cancel of the parent was written on this child already.
    """

    leg: Leg
    final: bool
    status: str
    said: str | None
    passed_on: bool

    @property
    def is_open(self) -> bool:
        """What it amounts to can still change."""
        return not (self.leg.is_terminal and self.final)


class Duty(NamedTuple):
    """What to do because of child number `child`: an event of the parent or of the child, or telling people."""

    do: Do
    child: int
    reason: str | None = None
    outcome: str | None = None


def duties(parent: Leg, children: Sequence[Child], *, answered: bool = False) -> tuple[Duty, ...]:
    """What the program writes now, in this order; afterwards, of the new states, again until nothing is left.

    `answered`: an end was written on the parent by the program before (and refused there since): never a second time.
    """
    if not children:
        return ()
    if parent.state not in AFTER_ACCEPTANCE:
        return tuple(Duty("tell-apart", i) for i, child in enumerate(children) if not child.leg.is_terminal)
    if parent.frozen:
        return _ended(children)
    found = [Duty("mirror", i) for i, child in enumerate(children) if child.status != child.said]
    if any(child.is_open for child in children):
        found += _passed_on(parent, children)
        found += [Duty("tell-apart", i) for i, child in enumerate(children[:-1]) if not child.leg.is_terminal]
        return tuple(found)
    end = None if answered or children[-1].leg.frozen else _end(parent, children[-1], len(children) - 1)
    return (*found, end) if end else (*found, *_ended(children))


def _passed_on(parent: Leg, children: Sequence[Child]) -> list[Duty]:
    last = children[-1]
    if parent.state != "cancel-requested" or last.passed_on or "cancel" not in allowed(last.leg, "S"):
        return []
    return [Duty("cancel", len(children) - 1, reason=parent.reason)]


def _end(parent: Leg, last: Child, i: int) -> Duty | None:
    if last.leg.state == "closed" and last.leg.outcome:
        return Duty("close", i, outcome=last.leg.outcome)
    if last.leg.state == "withdrawn":
        return Duty("withdraw", i)
    if parent.state == "cancel-requested" and last.leg.state != "closed":
        return Duty("release", i, reason="cancel-agreed")
    return None


def _ended(children: Sequence[Child]) -> tuple[Duty, ...]:
    return () if children[-1].is_open else (Duty("tell-ended", len(children) - 1),)


def permitted(parent: Leg, children: Sequence[Child]) -> frozenset[Kind]:
    """What a person at the router may write on the parent; `protocol.referral.allowed` for one without children."""
    kinds = allowed(parent, "R")
    if not children:
        return kinds
    if any(child.is_open for child in children):
        return kinds - _NEVER - _NOT_WHILE_OPEN
    # Of a frozen leg nothing but `close` is offered; a person answers a cancel as at any other office.
    free = bool(parent.frozen) or parent.state == "cancel-requested"
    return kinds - _NEVER if free else kinds - _NEVER - _NOT_AFTER


def check_write(parent: Leg, children: Sequence[Child], kind: Kind) -> None:
    """Raises forward-open for what the table allows and forwarding forbids."""
    if kind in allowed(parent, "R") - permitted(parent, children):
        raise ProtocolError("forward-open", field="ev", expected=" ".join(sorted(permitted(parent, children))))


def check_open(parent: Leg, children: Sequence[Child], *, told: bool) -> None:
    """Whether a child may be opened now.

    `told`: nothing of this parent can be missing here; False after a restore, until every peer has said what was
    forgotten: it may have a child already (PROTOCOL §3, Restore).
    Raises forward-not-accepted, forward-open, illegal-event for a frozen one, resync-open.
    """
    if not told:
        raise ProtocolError("resync-open", field="leg")
    if parent.state not in FROM:
        raise ProtocolError("forward-not-accepted", field="leg", expected=" ".join(FROM), got=parent.state)
    if parent.frozen:
        raise ProtocolError("illegal-event", field="leg")
    if any(child.is_open for child in children):
        raise ProtocolError("forward-open", field="leg")


# -- the way a referral has come


def next_path(offer: Offer, *, sender: str, me: str, to: str) -> list[str]:
    """The path of a child of a parent with this offer: every member that had it, the first sender first, us last.

    Raises forward-loop (a member twice), forward-hops.
    """
    came = list(offer.path) if offer.path is not UNSET else [sender]
    path = [*came, me]
    _check(path, to)
    return path


def check_path(body: EventBody) -> None:
    """What any reader can tell of an offer alone; both ends tell the same.

    Raises bad-body (the path does not lead to its sender), forward-loop, forward-hops.
    """
    offer = body.offer
    if offer is UNSET or offer.path is UNSET:
        return
    if not offer.path or offer.path[-1] != body.sender:
        raise ProtocolError("bad-body", field="path", expected="the sender last")
    _check(offer.path, body.to)


def _check(path: Sequence[str], to: str) -> None:
    if len({*path, to}) != len(path) + 1:
        raise ProtocolError("forward-loop", field="path")
    if len(path) - 1 > FORWARD_HOPS:
        raise ProtocolError("forward-hops", field="path", expected=f"at most {FORWARD_HOPS}")


def check_basis(basis: Basis, to: str) -> None:
    """Consent names its recipient: given for one body, it does not cover the next. Raises basis-required."""
    named = basis.consent_to if basis.consent_to is not UNSET else None
    if (named is not None or basis.consent_how is not UNSET) and named != to:
        raise ProtocolError("basis-required", field="basis", expected=f"consent to {to}")
