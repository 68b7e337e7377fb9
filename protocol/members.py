"""The members document: reading it into a verified `Membership`, and writing the next one. No fetching, no disk.

    membership = read_members(raw, root, now, held)
    membership.signing_key("comune-tavullia", kid)      # jws.KeyState or None: it is a jws.Keyring
    membership.sealing_for("distretto", now)            # the key to seal to
    membership.freshness(now)                           # fresh, degraded, beyond
Invariants: versions never fall; the document's signature alone admits nobody and changes no key; an entry that fails is
void or unroutable, named with its code, and never spoils the others; what was verified before is not verified again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec
from msgspec import UNSET, structs

from protocol import jws
from protocol.admissions import Verified, claimed, read_admission
from protocol.errors import ProtocolError
from protocol.limits import DAY, MEMBERS_MAX
from protocol.roots import TrustedRoot
from protocol.statements import ChainKey, Routes, read_chain, read_routes
from protocol.strict import decode, digest
from protocol.suite import SealingPublic, SigningKey
from schemas.membership import Admission, MemberEntry, MembersDoc, Policy, ProtocolVersion, Status

Freshness = Literal["fresh", "degraded", "beyond"]
What = Literal["joined", "left", "status", "admission", "new-key", "revoked", "routes", "void"]
_WORST: Final = ("fresh", "degraded", "beyond")
_OF_ROOT: Final[dict[str, Freshness]] = {"valid": "fresh", "degraded": "degraded", "expired": "beyond"}


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


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between two versions: `was` and `now` are statuses, kids, ways or codes, as `what` says."""

    node: str
    what: What
    was: str = ""
    now: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """A verified version of the members document: the only source of who is who."""

    doc: MembersDoc
    raw: bytes
    digest: str
    root: TrustedRoot
    members: Mapping[str, Member]
    void: Mapping[str, str]
    unroutable: Mapping[str, str]
    memory: Mapping[str, Member]
    """The last verified form of every node ever seen in this run, so that a gap of one version hides no rollback."""

    @property
    def version(self) -> int:
        return self.doc.version

    @property
    def net(self) -> str:
        return self.root.net

    @property
    def policy(self) -> Policy:
        return self.root.root.policy

    @property
    def relays(self) -> Mapping[str, str]:
        """Relay id → URL."""
        return {relay.id: relay.url for relay in self.doc.relays}

    def member(self, node: str) -> Member:
        """Raises not-a-member; a suspended or ended one is returned: its `status` says so."""
        if (found := self.members.get(node)) is None:
            raise ProtocolError("not-a-member", field="node", got=self.void.get(node))
        return found

    def active(self, node: str) -> Member:
        """Raises not-a-member, suspended."""
        found = self.member(node)
        if found.status == "ended":
            raise ProtocolError("not-a-member", field="node", got="ended")
        if found.status == "suspended":
            raise ProtocolError("suspended", field="node")
        return found

    def signing_key(self, node: str, kid: str) -> jws.KeyState | None:
        """Any key `node` has or had, with its status; None for others. Who may act is in `member(node).status`."""
        found = self.members.get(node)
        return found.states.get(kid) if found else None

    def sealing_for(self, node: str, now: int) -> SealingPublic | None:
        """`.kid` and `.raw` of the key to seal to, when `node` is an active member that stated one."""
        found = self.members.get(node)
        return found.sealing_at(now) if found and found.status == "active" else None

    def freshness(self, now: int) -> Freshness:
        """The worse of document and root. degraded: known peers only; beyond: no new referrals are offered."""
        late = now - self.doc.exp
        own: Freshness = "fresh" if late <= 0 else "degraded" if late <= self.policy.degraded_days * DAY else "beyond"
        return max(own, _OF_ROOT[self.root.status(now)], key=_WORST.index)

    def protocol(self) -> ProtocolVersion | None:
        """The protocollo d'intesa in force: the last of the document's list."""
        return self.doc.protocols[-1] if self.doc.protocols else None

    def outdated(self) -> tuple[str, ...]:
        """Members whose admission accepts an older version of the protocollo: they are warned, not refused."""
        newest = self.protocol()
        return tuple(node for node, member in self.members.items() if newest and member.admission.protocol != newest)

    def diff(self, older: "Membership") -> tuple[Change, ...]:
        """What changed since `older`, by node: for alarms and for "chiave nuova di … dal …"."""
        nodes = sorted({*self.members, *older.members, *self.void})
        return tuple(change for node in nodes for change in self._changes(node, older))

    def own_alarms(self, node: str, signing_kid: str, sealing_kids: Iterable[str]) -> tuple[str, ...]:
        """What is wrong with our own entry, by the keys we hold: absent, void code, not-active, foreign-key,

        foreign-sealing. Checked at every refresh; any of them is an alarm on the screen.
        """
        found = self.members.get(node)
        if found is None:
            return (self.void.get(node, "absent"),)
        stated = {key.kid for r in (found.routes, found.routes_next) if r for _, _, key in r.sealing}
        alarms = {
            "not-active": found.status != "active",
            "foreign-key": found.current.kid != signing_kid,
            "foreign-sealing": not stated <= set(sealing_kids),
            "unroutable": node in self.unroutable,
        }
        return tuple(name for name, wrong in alarms.items() if wrong)

    def _changes(self, node: str, older: "Membership") -> list[Change]:
        now, was = self.members.get(node), older.members.get(node)
        changes: list[Change] = []
        if node in self.void and older.void.get(node) != self.void[node]:
            changes.append(Change(node, "void", now=self.void[node]))
        if now and not was:
            changes.append(Change(node, "joined", now=now.status))
        if was and not now:
            changes.append(Change(node, "left", was=was.status))
        if now and was:
            changes += _differences(was, now)
        return changes


def _differences(was: Member, now: Member) -> list[Change]:
    pairs: list[tuple[What, str, str]] = [
        ("status", was.status, now.status),
        ("admission", was.verified.payload_hash, now.verified.payload_hash),
        ("new-key", was.current.kid, now.current.kid),
        ("revoked", _revoked(was), _revoked(now)),
        ("routes", _routes_text(was), _routes_text(now)),
    ]
    return [Change(now.node, what, before, after) for what, before, after in pairs if before != after]


def _revoked(member: Member) -> str:
    return " ".join(sorted(kid for kid, state in member.states.items() if state.status == "revoked"))


def _routes_text(member: Member) -> str:
    return " ".join(digest(r.text.encode()) for r in (member.routes, member.routes_next) if r)


# -- reading


def read_members(
    raw: bytes, root: TrustedRoot, now: int, held: Membership | None = None, *, own_copy: bool = False
) -> Membership:
    """A compact JWS into a Membership; `root` is the newest root. With `held`, versions never fall.

    `own_copy`: re-reading our own disk at start, where age is no reason to refuse; `freshness` tells it.
    Raises unknown-key (fetch newer roots), bad-signature, wrong-network, members-expired, members-rollback,
    members-fork, root-chain, bad-shape and what strict reading raises.
    """
    doc = _believed(raw, root)
    name = digest(raw)
    if held is not None:
        _check_sequence(doc, name, held)
    if now > doc.exp and not own_copy:
        raise ProtocolError("members-expired", expected=f"exp after {now}", got=str(doc.exp))
    frozen = root.status(now) != "valid" and not own_copy
    reader = _Reader(root, held if held and held.root.raw == root.raw else None, held.memory if held else {}, frozen)
    for entry in doc.members:
        reader.take(entry)
    return Membership(
        doc=doc,
        raw=raw,
        digest=name,
        root=root,
        members=reader.members,
        void=reader.void,
        unroutable=reader.unroutable,
        memory={**reader.memory, **reader.members},
    )


def _believed(raw: bytes, root: TrustedRoot) -> MembersDoc:
    try:
        text = raw.decode("ascii")
    except UnicodeDecodeError:
        raise ProtocolError("bad-encoding", expected="a compact JWS") from None
    payload = jws.verify(jws.parse_compact(text, jws.MEM, max_bytes=MEMBERS_MAX), root.online)
    doc = decode(payload, MembersDoc, max_bytes=MEMBERS_MAX)
    if doc.net != root.net:
        raise ProtocolError("wrong-network", field="net")
    if doc.root > root.root.n:
        raise ProtocolError("root-chain", field="root", expected=str(doc.root), got=str(root.root.n))
    if not doc.iat < doc.exp <= doc.iat + root.root.policy.members_days * DAY:
        raise ProtocolError("bad-shape", field="exp", expected=f"{root.root.policy.members_days} days at most")
    if (doc.version == 1) is not (doc.prev is UNSET):
        raise ProtocolError("bad-shape", field="prev")
    return doc


def _check_sequence(doc: MembersDoc, name: str, held: Membership) -> None:
    if doc.version < held.version:
        raise ProtocolError("members-rollback", expected=str(held.version), got=str(doc.version))
    if doc.version == held.version and name != held.digest:
        raise ProtocolError("members-fork", got=str(doc.version))
    if doc.version == held.version + 1 and doc.prev != held.digest:
        raise ProtocolError("members-fork", field="prev", got=str(doc.version))


class _Reader:
    """Takes entries one by one; faults are noted by node and stop nothing."""

    def __init__(self, root: TrustedRoot, cache: Membership | None, memory: Mapping[str, Member], frozen: bool) -> None:
        self.root, self.cache, self.memory, self.frozen = root, cache, memory, frozen
        self.members: dict[str, Member] = {}
        self.void: dict[str, str] = {}
        self.unroutable: dict[str, str] = {}
        self._by_text = {member.entry.admission: member for member in cache.members.values()} if cache else {}

    def take(self, entry: MemberEntry) -> None:
        node = ""
        try:
            known = self._by_text.get(entry.admission)
            node = known.node if known else claimed(entry.admission).node
            if node in self.members or node in self.void:
                raise ProtocolError("bad-shape", field="members", expected="each node once")
            self._admit(node, entry, known)
        except ProtocolError as error:
            self.members.pop(node, None)
            self.void[node or f"#{len(self.void)}"] = error.code

    def _admit(self, node: str, entry: MemberEntry, known: Member | None) -> None:
        before = self.memory.get(node)
        _check_return(entry, before)
        if known and _same_but_status(entry, known.entry):
            member = replace(known, entry=entry, status=entry.status, since=entry.since)
            if self.cache and (fault := self.cache.unroutable.get(node)):
                self.unroutable[node] = fault
        elif self.frozen:
            # an expired root never stops known peers, and brings no new member or key (PROTOCOL §4)
            if before is None:
                raise ProtocolError("root-expired")
            member = replace(before, status=entry.status, since=entry.since)
        else:
            member = self._verify(entry, before)
        self.members[node] = member

    def _verify(self, entry: MemberEntry, before: Member | None) -> Member:
        member, fault = read_entry(entry, self.root, before)
        if fault:
            self.unroutable[member.node] = fault
        return member


def _same_but_status(entry: MemberEntry, known: MemberEntry) -> bool:
    return structs.replace(entry, status=known.status, since=known.since) == known


def _check_return(entry: MemberEntry, before: Member | None) -> None:
    """Who was suspended or ended comes back only by a new admission with a new key, signed by guarantors."""
    if before is None or before.status == "active" or entry.status != "active":
        return
    if claimed(entry.admission).first == before.admission.first:
        raise ProtocolError("admission-invalid", field="first", expected="a new admission with a new key")


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
    states = _states(chain, former, entry.revoked)
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
    chain: Sequence[ChainKey], former: Mapping[str, ChainKey], revoked: Sequence[str]
) -> dict[str, jws.KeyState]:
    states = {kid: jws.KeyState(link.key, "revoked") for kid, link in former.items()}
    for link in chain:
        gone = link.revoked or link.kid in revoked
        states[link.kid] = jws.KeyState(link.key, "revoked" if gone else "superseded")
    last = chain[-1]
    if states[last.kid].status != "revoked":
        states[last.kid] = jws.KeyState(last.key, "current")
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


# -- writing


def build_members(doc: MembersDoc, online: SigningKey) -> bytes:
    """The document as it travels. Whoever builds it reads it back with `read_members` before serving it."""
    return jws.sign_compact(online, jws.MEM, msgspec.json.encode(doc)).encode("ascii")


def successor(held: Membership, *, now: int, **changes: object) -> MembersDoc:
    """The next version after `held`, with `changes` to its fields: version + 1, hash of the previous, new times."""
    lifetime = held.policy.members_days * DAY
    return structs.replace(
        held.doc,
        version=held.version + 1,
        prev=held.digest,
        iat=now,
        exp=now + lifetime,
        root=held.root.root.n,
        **changes,
    )
