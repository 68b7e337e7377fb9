"""Who answers for a person now, of everybody a referral passed through. Pure; exactly one, or nobody when it is over.

The router from the parent's `accept` until the child's, then the child (PROTOCOL §6); before, and when the receiver let
go, the sender. Read off the folded legs, so whoever holds the same logs names the same member.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from protocol.referral import Leg

NOBODY: Final = ""
"""Closed, or the person withdrew."""

# Display codes of a child that mean "it has accepted"; RS-RITIRO is asked of it either before or after.
_HOLDS: Final = frozenset({"RS-ACCETTATA", "RS-LISTA", "RS-INCARICO"})
_UNSURE: Final = "RS-RITIRO"


class Passed(NamedTuple):
    """A leg between two members; `children` are those its receiver opened, the oldest first."""

    sender: str
    receiver: str
    leg: Leg
    children: "tuple[Passed, ...]" = ()


def custodian(passed: Passed) -> str:
    """The member that answers for the person, NOBODY when it is over.

    A child only counts while its parent is the receiver's: who took the person back (released, lapsed) has it.
    """
    custody = passed.leg.custody
    if custody == "S":
        return passed.sender
    if custody == "nobody":
        return NOBODY
    for child in reversed(passed.children):
        if child.leg.custody == "R":
            return custodian(child)
    return passed.receiver


def told_custodian(sender: str, receiver: str, leg: Leg, mirrored: Sequence[tuple[str, str]]) -> str:
    """The same, as far as the parent's sender can tell: `mirrored` are (to_node, status) of the facts, in order."""
    custody = leg.custody
    if custody != "R":
        return sender if custody == "S" else NOBODY
    holder = receiver
    for to, status in mirrored:
        if status in _HOLDS:
            holder = to
        elif status != _UNSURE and holder == to:
            holder = receiver
    return holder
