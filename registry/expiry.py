"""What is about to end, said 60, 30 and 7 days before: a pure function over the membership and what is published.

warnings(membership, publications, now) -> [Expiry(what="root", node="", exp=…, days=29, level=30), …]
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from protocol.limits import DAY
from protocol.members import Member, Membership
from registry.asking import Expiry, What

LEVELS: Final = (7, 30, 60)
"""Days before the end; 0 is what has ended already."""

_MEMBERS_LEFT: Final = 5 * DAY
"""The program signs the members document every day: worth a word only when that has not happened for two."""


class Term(NamedTuple):
    """Something that ends at `exp`."""

    what: What
    node: str
    exp: int


def warnings(membership: Membership, publications: Iterable[Term], now: int) -> list[Expiry]:
    """The most pressing first."""
    found = (_expiry(term, now) for term in (*_terms(membership, now), *publications))
    return sorted((one for one in found if one is not None), key=lambda one: (one.exp, one.what, one.node))


def _terms(membership: Membership, now: int) -> list[Term]:
    terms = [Term("root", "", membership.root.root.exp)]
    if membership.doc.exp - now < _MEMBERS_LEFT:
        terms.append(Term("members", "", membership.doc.exp))
    active = (member for member in membership.members.values() if member.status == "active")
    return [*terms, *(term for member in active for term in _of_member(member, membership, now))]


def _of_member(member: Member, membership: Membership, now: int) -> list[Term]:
    """The yearly signing key from its own date; the sealing key in force, unless its successor is announced."""
    policy = membership.policy
    terms = [Term("signing-key", member.node, member.current.since + policy.signing_days * DAY)]
    routes = [r for r in (member.routes, member.routes_next) if r is not None]
    ends = [
        since + policy.sealing_days * DAY if until is None else until for r in routes for since, until, _ in r.sealing
    ]
    return [*terms, Term("sealing-key", member.node, max(ends, default=now))]


def _expiry(term: Term, now: int) -> Expiry | None:
    left = term.exp - now
    level = next((days for days in LEVELS if left <= days * DAY), None)
    if level is None:
        return None
    return Expiry(term.what, term.node, term.exp, max(left // DAY, 0), level if left > 0 else 0)
