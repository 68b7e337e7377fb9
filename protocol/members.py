"""The members document: reading it into a verified `Membership`, and writing the next one. No fetching, no disk.

    membership = read_members(raw, root, now, held)
    membership.signing_key("comune-tavullia", kid)      # jws.KeyState or None: it is a jws.Keyring
    membership.sealing_for("distretto", now)            # the key to seal to
    membership.freshness(now)                           # fresh, degraded, beyond
Invariants: versions never fall; the document's signature alone admits nobody and changes no key; an entry that fails is
void or unroutable, named with its code, and never spoils the others; what was verified before is not verified again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec
from msgspec import UNSET, structs

from protocol import jws
from protocol.admissions import claimed
from protocol.entries import Member, read_entry
from protocol.errors import ProtocolError
from protocol.limits import DAY, MEMBERS_MAX
from protocol.roots import TrustedRoot
from protocol.strict import decode, digest
from protocol.suite import SealingPublic, SigningKey
from schemas.membership import MemberEntry, MembersDoc, Policy, ProtocolVersion

__all__ = ["Change", "Freshness", "Member", "Membership", "build_members", "read_document", "read_members", "successor"]

Freshness = Literal["fresh", "degraded", "beyond"]
What = Literal["joined", "left", "status", "admission", "new-key", "revoked", "routes", "void"]
_WORST: Final = ("fresh", "degraded", "beyond")
_OF_ROOT: Final[dict[str, Freshness]] = {"valid": "fresh", "degraded": "degraded", "expired": "beyond"}


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


def read_document(raw: bytes, root: TrustedRoot) -> MembersDoc:
    """The payload alone, believed to be the registry's; its entries are verified by nobody yet. Raises as above."""
    return _believed(raw, root)


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
            if before is None or (before.status != "active" and entry.status == "active"):
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
