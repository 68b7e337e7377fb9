"""One entry of the members document, verified: admission, key chain, routes, against what was known. Not the document.

Invariants: nothing goes back (seq, chain, numbers of routes); an entry counts by signatures of guarantors and of the
member, never of the registry; routes that fail leave a member known but not sealed to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from protocol import jws
from protocol.admissions import Verified, read_admission
from protocol.errors import ProtocolError
from protocol.roots import TrustedRoot
from protocol.statements import ChainKey, Routes, read_chain, read_routes
from protocol.suite import SealingPublic
from schemas.membership import Admission, MemberEntry, Status


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """One member as verified. `chain` is its signing keys; `states` holds also those of earlier admissions."""

    entry: MemberEntry
    verified: Verified
    status: Status
    since: int
    chain: tuple[ChainKey, ...]
    states: Mapping[str, jws.KeyState]
    routes: Routes | None
    routes_next: Routes | None

    @property
    def admission(self) -> Admission:
        return self.verified.admission

    @property
    def node(self) -> str:
        return self.verified.admission.node

    @property
    def name(self) -> str:
        return self.verified.admission.name

    @property
    def ptype(self) -> str:
        return self.verified.admission.ptype

    @property
    def caps(self) -> frozenset[str]:
        return frozenset(self.verified.admission.caps)

    @property
    def territory(self) -> tuple[str, ...]:
        return tuple(self.verified.admission.territory)

    @property
    def hosted_by(self) -> str | None:
        return self.verified.admission.hosted_by or None

    @property
    def delegated_by(self) -> str | None:
        return self.verified.admission.delegated_by or None

    @property
    def current(self) -> ChainKey:
        """The key to sign and to verify new things with; `how` and `since` tell "chiave nuova di … dal …"."""
        return self.chain[-1]

    def routes_at(self, now: int) -> Routes | None:
        """The statement in force: the next one from its own `from` on."""
        if self.routes_next and (self.routes is None or self.routes_next.statement.since <= now):
            return self.routes_next
        return self.routes

    def urls(self, now: int) -> tuple[str, ...]:
        """Direct URLs in order."""
        routes = self.routes_at(now)
        return tuple(routes.statement.urls) if routes else ()

    def relays(self, now: int) -> tuple[str, ...]:
        """Relay ids in order."""
        routes = self.routes_at(now)
        return tuple(routes.statement.relays) if routes else ()

    def sealing_at(self, now: int) -> SealingPublic | None:
        """The key to seal to, or None when the member has stated none that is in force."""
        routes = self.routes_at(now)
        return routes.sealing_at(now) if routes else None


def read_entry(entry: MemberEntry, root: TrustedRoot, before: Member | None = None) -> tuple[Member, str]:
    """One entry verified, and the code of a fault in its routes ("" when sound): then it keeps those held before.

    `before` is the last verified form of the same node: seq, chain and routes never go back.
    Raises admission-invalid, key-chain, members-rollback.
    """
    verified = read_admission(entry.admission, root)
    chain = read_chain(verified.admission, entry.keys, root)
    former = _former_keys(entry, verified.admission, root)
    if before is not None:
        _check_memory(verified, chain, before, former)
    states = _states(chain, former, entry.revoked, before)
    # held routes may stay only while the key that was current then is not revoked now
    kept = before if before and _status(states, before.current.kid) != "revoked" else None
    routes, routes_next, fault = _routes(entry, verified.admission, chain[-1], root, kept)
    member = Member(
        entry=entry,
        verified=verified,
        status=entry.status,
        since=entry.since,
        chain=chain,
        states=states,
        routes=routes,
        routes_next=routes_next,
    )
    return member, fault


def _former_keys(entry: MemberEntry, admission: Admission, root: TrustedRoot) -> dict[str, ChainKey]:
    keys: dict[str, ChainKey] = {}
    for former in entry.former:
        earlier = read_admission(former.admission, root).admission
        if earlier.node != admission.node or earlier.seq >= admission.seq:
            raise ProtocolError("admission-invalid", field="former")
        keys |= {link.kid: link for link in read_chain(earlier, former.keys, root)}
    return keys


def _check_memory(
    verified: Verified, chain: Sequence[ChainKey], before: Member, former: Mapping[str, ChainKey]
) -> None:
    seq, was = verified.admission.seq, before.admission.seq
    if seq < was:
        raise ProtocolError("members-rollback", field="seq", expected=f"at least {was}", got=str(seq))
    if seq == was and verified.payload_hash != before.verified.payload_hash:
        raise ProtocolError("admission-invalid", field="seq", expected="a higher seq for another admission")
    kids, held = [link.kid for link in chain], [link.kid for link in before.chain]
    if kids[0] == held[0]:
        if kids[: len(held)] != held:
            raise ProtocolError("key-chain", expected="the chain already known, continued")
    elif set(kids) & {*before.states, *former}:
        raise ProtocolError("admission-invalid", field="first", expected="a key not used before")


def _states(
    chain: Sequence[ChainKey], former: Mapping[str, ChainKey], listed: Sequence[str], before: Member | None
) -> dict[str, jws.KeyState]:
    """Once revoked, always revoked: a list that forgets a kid, or a re-admission without its past, frees no key."""
    known = before.states if before else {}
    revoked = {*listed, *former, *(kid for kid, state in known.items() if state.status == "revoked")}
    states = {kid: jws.KeyState(state.key, "revoked") for kid, state in known.items()}
    states |= {kid: jws.KeyState(link.key, "revoked") for kid, link in former.items()}
    for link in chain:
        gone = link.revoked or link.kid in revoked
        status: Literal["revoked", "current", "superseded"] = "superseded" if link is not chain[-1] else "current"
        states[link.kid] = jws.KeyState(link.key, "revoked" if gone else status)
    return states


def _status(states: Mapping[str, jws.KeyState], kid: str) -> str:
    return states[kid].status if kid in states else "revoked"


def _routes(
    entry: MemberEntry, admission: Admission, current: ChainKey, root: TrustedRoot, kept: Member | None
) -> tuple[Routes | None, Routes | None, str]:
    """Routes and next routes, with "" or the code of their fault: then those held before stay, if any."""
    try:
        stated, following = (
            read_routes(text, current.key, net=root.net, node=admission.node, suite=root.suite) if text else None
            for text in (entry.routes, entry.routes_next)
        )
        _check_numbers(stated, following, kept)
    except ProtocolError as error:
        return (kept.routes, kept.routes_next, error.code) if kept else (None, None, error.code)
    return stated, following, ""


def _check_numbers(stated: Routes | None, following: Routes | None, kept: Member | None) -> None:
    """Numbers of routes rise, and one number names one statement."""
    new = [routes for routes in (stated, following) if routes]
    old = [routes for routes in (kept.routes, kept.routes_next) if routes] if kept else []
    if stated and following and stated.statement.n >= following.statement.n:
        raise ProtocolError("members-rollback", field="routes_next")
    if max((r.statement.n for r in new), default=0) < max((r.statement.n for r in old), default=0):
        raise ProtocolError("members-rollback", field="routes")
    if stated and kept and kept.routes and stated.statement.n < kept.routes.statement.n:
        raise ProtocolError("members-rollback", field="routes")
    if any(a.statement.n == b.statement.n and a.text != b.text for a in new for b in old):
        raise ProtocolError("members-fork", field="routes")
