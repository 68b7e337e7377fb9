"""When a member's own keys change, and what it says of its sealing keys. No keys are made here, no I/O, no clock.

A sealing key is announced `sealing_lead_days` before it is used, follows after `sealing_days`, and is kept for
`sealing_keep_days` after its successor came into use: longer than any sealing made to it can live (PROTOCOL §4).
A key that came neither with the member nor by the key before it is a new beginning: people confirm it first.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from msgspec import UNSET

from protocol.entries import Member
from protocol.limits import DAY
from protocol.statements import ChainKey
from schemas.membership import Policy, RoutesStatement, SealingKey

Beginning = Literal["first", "recovery", "readmitted"]


class Held(NamedTuple):
    """A sealing key pair of ours, without its secret; `x` is its public half. In the order in which they were made."""

    kid: str
    x: str
    state: Literal["current", "next", "old"]
    created: int


def stated(own: Member) -> RoutesStatement | None:
    """Our newest routes statement, in force or announced."""
    newest = own.routes_next or own.routes
    return newest.statement if newest else None


def since_of(statement: RoutesStatement | None) -> dict[str, int]:
    """x → from when, of every sealing key stated."""
    return {key.x: key.since for key in statement.sealing} if statement else {}


def signing_due(own: Member, policy: Policy, now: int) -> bool:
    """Is the yearly signing key at its end?"""
    return now >= own.current.since + policy.signing_days * DAY


def sealing_due(held: Sequence[Held], known: Mapping[str, int], policy: Policy, now: int) -> bool:
    """Has another sealing key to be made? Never while one that was made is not stated yet."""
    if any(key.state != "old" and key.x not in known for key in held):
        return False
    newest = max((known[key.x] for key in held if key.x in known), default=None)
    return newest is None or now >= newest + (policy.sealing_days - policy.sealing_lead_days) * DAY


def to_state(
    held: Sequence[Held], known: Mapping[str, int], policy: Policy, now: int, *, at_once: bool = False
) -> list[SealingKey]:
    """The sealing keys our routes have to name, oldest first. `known`: those stated, with their `from`.

    An old key that is stated no more is never stated again. `at_once`: what is new is used now, and it alone is named
    (another may hold those before).
    """
    usable = [key for key in held if key.state != "old" or key.x in known]
    if at_once:
        usable = [key for key in usable if key.state != "old" and key.x not in known] or usable[-1:]
    in_force = any(known.get(key.x, now + 1) <= now for key in usable)
    lead = policy.sealing_lead_days * DAY if in_force and not at_once else 0
    begins = [known.get(key.x, now + lead) for key in usable]
    ends = [begin + policy.sealing_keep_days * DAY for begin in begins[1:]]
    return [
        SealingKey(key.x, begin, end if end is not None else UNSET)
        for key, begin, end in zip(usable, begins, [*ends, None], strict=True)
        if end is None or end > now
    ]


def in_use(held: Sequence[Held], known: Mapping[str, int], now: int) -> str | None:
    """kid of the stated key that senders use now; None when none of ours is in force."""
    begun = [(known[key.x], i, key.kid) for i, key in enumerate(held) if known.get(key.x, now + 1) <= now]
    return max(begun)[2] if begun else None


def to_forget(held: Sequence[Held], known: Mapping[str, int], policy: Policy, now: int) -> list[str]:
    """kids of old sealing keys that no statement names and that nothing alive is sealed to."""
    keep = policy.sealing_keep_days * DAY
    return [
        key.kid
        for key, heir in pairwise(held)
        if key.state == "old" and key.x not in known and max(known.get(heir.x, 0), heir.created) + keep <= now
    ]


def beginning(member: Member) -> tuple[ChainKey, Beginning]:
    """The key from which the current one follows by the member's own signatures, and how that one came.

    What only guarantors or an offline key vouch for is confirmed by people before anything is sealed (PROTOCOL §4).
    """
    for link in reversed(member.chain):
        if link.how == "recovery":
            return link, "recovery"
    first = member.chain[0]
    earlier = bool(member.entry.former) or len(member.states) > len(member.chain)
    return first, "readmitted" if earlier else "first"
