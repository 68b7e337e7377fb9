"""What a member that lost its newest events does with a peer's copy of a leg (PROTOCOL §3, Restore). Pure rules.

Two things are decided here, from counts and commitments alone: whether a peer's words betray a loss, and how a log is
put together again from what its writer still holds and what its reader holds of it.

Rule: of a log, the reader's copy wins over what its writer wrote after the loss. Nothing the reader acknowledged is
lost, nothing the writer wrote anew is thrown away: it is written again, or given back to the person.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

EPOCH_STEP_MAX: Final = 1_000_000
"""An epoch named further above ours, and above the clock (a restore takes it from there), is not believed."""


class Held(NamedTuple):
    """One event of the own log as its writer holds it. `processed`: the reader signed that it applied it."""

    n: int
    jti: str
    cm: str
    kind: str
    voids: str | None
    processed: bool


class Copy(NamedTuple):
    """One event of the own log as the reader holds it."""

    n: int
    jti: str
    cm: str
    kind: str
    voids: str | None


class Repair(NamedTuple):
    """What the writer does. All are jti, in order of n, but `voids`: numbers for which nobody has a content."""

    take: tuple[str, ...] = ()
    displaced: tuple[str, ...] = ()
    voids: tuple[int, ...] = ()
    again: tuple[str, ...] = ()
    rewrite: tuple[str, ...] = ()

    @property
    def lost_something(self) -> bool:
        """The writer was the one that forgot."""
        return bool(self.take or self.displaced or self.voids)


def repair(mine: Sequence[Held], theirs: Sequence[Copy]) -> Repair:
    """How the writer's log becomes one with what its reader holds of it.

    take: the reader has them, the writer forgot them. displaced: acknowledged once, but another content stands there at
    the reader now. voids: below the reader's last, held by nobody. again: the reader acknowledged them, or needs them
    to close a gap, and lacks them: the same event is sealed once more. rewrite: never acknowledged, and behind or under
    what the reader holds: they take the next numbers as new events, if they are still legal.
    """
    at: dict[int, list[Copy]] = {}
    for copy in theirs:
        at.setdefault(copy.n, []).append(copy)
    own = {event.cm for event in mine}
    last = max(at, default=0)
    acknowledged = max((event.n for event in mine if event.processed), default=0)
    take = [copy.jti for copy in sorted(theirs) if copy.cm not in own]
    displaced: list[str] = []
    again: list[str] = []
    rewrite: list[str] = []
    voided = {event.n for event in mine if event.kind == "void"}
    for event in sorted(mine):
        there = at.get(event.n, [])
        if any(copy.cm == event.cm for copy in there):
            continue
        if there and not any(_agree(event, copy) for copy in there):
            (displaced if event.processed else rewrite).append(event.jti)
        elif event.n <= max(last, acknowledged) or event.n in voided:
            again.append(event.jti)
        else:
            rewrite.append(event.jti)
    held = {event.n for event in mine} | set(at)
    voids = [n for n in range(1, last) if n not in held]
    return Repair(tuple(take), tuple(displaced), tuple(voids), tuple(again), tuple(rewrite))


def _agree(event: Held, copy: Copy) -> bool:
    """One of the two is the `void` of the other."""
    return (event.kind == "void" and event.voids == copy.cm) or (copy.kind == "void" and copy.voids == event.cm)


def may_be_ours(epoch: int, own: int, now: int) -> bool:
    """Whether an epoch that a peer names can be one that we used and forgot. `now`: Unix seconds."""
    return epoch <= max(own, now) + EPOCH_STEP_MAX


def new_epoch(own: int, named: Iterable[int], now: int) -> int:
    """Above our own and above any a peer names, unless it names nonsense."""
    return 1 + max([own, *(epoch for epoch in named if may_be_ours(epoch, own, now))])


def forgot(n: int, seen: int, acknowledged: Iterable[tuple[int, int]]) -> bool:
    """Does a peer's event (its number, how many of ours it had seen) deny what that peer signed before?

    `acknowledged`: (number of an event of ours, `h` = the peer's own count when it applied it). An event after that
    count must have seen ours; one that has not was written by somebody who forgot.
    """
    return any(n > h and seen < ours for ours, h in acknowledged)
