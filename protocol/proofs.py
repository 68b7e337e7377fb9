"""One entry of the map proved: who signed it, that the log says so, that nothing later takes it away. No I/O, no clock.

    raw = make_proof(subject, keeper)                    # by whoever keeps the log: registry or replica
    proved = verify_proof(raw, net=net, suite=S1)        # by anybody: `net` is all that has to be known beforehand
The order of the checks is that of docs/spec.md §5.5. An entry counts while the newest members document in the log lists
its member as active, no later publication of its chain follows, and no withdrawal names it; the end of the log is shown
whole, so that a registry cannot leave out what came after.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec

from protocol import jws, merkle, notes, publications
from protocol.admissions import ADMISSION_MAX, claimed
from protocol.entries import Member, read_entry
from protocol.errors import ProtocolError
from protocol.limits import PROOF_MAX
from protocol.members import read_document
from protocol.names import hash_bytes
from protocol.roots import TrustedRoot
from protocol.statements import ChainKey
from protocol.strict import b64u_encode, decode, digest
from protocol.suite import Suite, VerifyKey
from schemas.catalogue import EntryType, LogEntry, LogLeaf, LogPart, MapProof, Publication
from schemas.membership import MemberEntry, MembersDoc
from schemas.records import Service

LINE_MAX = 1024


# -- making


class Keeper(Protocol):
    """Who keeps a log with its tree, at the size its newest note signs."""

    @property
    def note(self) -> str:
        """The newest signed head."""

    def at(self, level: int, index: int) -> bytes:
        """A perfect node of the tree."""

    def lines(self, start: int, end: int) -> Sequence[str]:
        """Leaves [start, end), as received."""

    def places(self, entries: Sequence[LogEntry]) -> Sequence[int]:
        """The first index of each. Raises proof-incomplete."""


class Subject(NamedTuple):
    """What is proved, as received: a record of a publication; `members` is the newest document the log names."""

    node: str
    id: str
    record: str
    manifest: Sequence[str]
    publication: str
    roots: Sequence[bytes]
    members: bytes


def make_proof(subject: Subject, keeper: Keeper, root: TrustedRoot) -> bytes:
    """The document. It verifies as far as what it is made of is sound: nothing is verified here.

    Raises not-a-member, proof-incomplete, bad-checkpoint.
    """
    doc = read_document(subject.members, root)
    stated = jws.parse_compact(subject.publication, jws.CAT, max_bytes=publications.PUBLICATION_MAX).payload
    publication = msgspec.json.decode(stated, type=Publication)
    entry = _entry(doc, subject.node)
    needed = _relied_on(subject.roots, subject.members, doc, entry, subject.publication, publication)
    index = subject.manifest.index(publications.leaf_hash(subject.record))
    proof = MapProof(
        v=1, net=root.net, node=subject.node, id=subject.id, record=subject.record, index=index,
        path=publications.inclusion(subject.manifest, index), publication=subject.publication,
        roots=[raw.decode() for raw in subject.roots], members=subject.members.decode(),
        log=_show(keeper, needed),
    )  # fmt: skip
    return msgspec.json.encode(proof)


def _show(keeper: Keeper, needed: Sequence[LogEntry]) -> LogPart:
    """The log from the older of publication and members document on; what stands before it, by inclusion."""
    size = notes.parse_checkpoint(notes.parse_note(keeper.note.encode()).text).size
    places = keeper.places(needed)
    start = min(seq for entry, seq in zip(needed, places, strict=True) if entry.type in _CURRENT)
    earlier = sorted(seq for seq in places if seq < start)
    return LogPart(
        note=keeper.note,
        start=start,
        edge=[b64u_encode(peak) for peak in _peaks(start, keeper)],
        lines=list(keeper.lines(start, size)),
        earlier=[
            LogLeaf(
                seq=seq,
                line=keeper.lines(seq, seq + 1)[0],
                path=[b64u_encode(step) for step in merkle.inclusion_path(seq, size, keeper.at)],
            )
            for seq in earlier
        ],
    )


_CURRENT = frozenset({"members", "public", "network"})
"""What has to be the newest of its kind: the log is shown whole from the oldest of these on."""


def _peaks(size: int, keeper: Keeper) -> list[bytes]:
    peaks, done = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            peaks.append(keeper.at(level, done >> level))
            done += 1 << level
    return peaks


def _entry(doc: MembersDoc, node: str) -> MemberEntry:
    """The one entry that claims to be of `node`; its signatures are for others to check. Raises not-a-member."""
    found = [entry for entry in doc.members if _claims(entry, node)]
    if len(found) != 1:
        raise ProtocolError("not-a-member", field="node")
    return found[0]


def _claims(entry: MemberEntry, node: str) -> bool:
    try:
        return claimed(entry.admission).node == node
    except ProtocolError:  # a void entry spoils no other
        return False


def _relied_on(
    roots: Sequence[bytes],
    members: bytes,
    doc: MembersDoc,
    entry: MemberEntry,
    text: str,
    publication: Publication,
) -> list[LogEntry]:
    """The leaves the log has to hold: every root, members document, admission, every key statement, publication."""
    node = publication.node

    def leaf(type_: EntryType, raw: bytes, ver: int, of: str = node) -> LogEntry:
        return LogEntry(type=type_, hash=digest(raw), node=of, ver=ver)

    return [
        *(leaf("root", raw, n, "") for n, raw in enumerate(roots, 1)),
        leaf("members", members, doc.version, ""),
        leaf("admission", entry.admission.encode(), claimed(entry.admission).seq),
        *(leaf("key", raw.encode(), n) for n, raw in enumerate(entry.keys, 2)),
        leaf(publication.vis, text.encode(), publication.rev),
    ]


# -- verifying


@dataclass(frozen=True, slots=True, eq=False)
class Proved:
    """What holds. `seq`: place of the publication in a log of `size` leaves; `admitted_by`: guarantors by name."""

    root: TrustedRoot
    member: Member
    key: ChainKey
    publication: Publication
    service: Service
    members_version: int
    members_from: int
    members_until: int
    admitted_by: tuple[str, ...]
    seq: int
    size: int

    def fresh(self, now: int) -> bool:
        """Does the members document it rests on still count? An older proof tells of its own day."""
        return now <= self.members_until


def verify_proof(raw: bytes, *, net: str, suite: Suite, node: str | None = None, id_: str | None = None) -> Proved:
    """All of it, from the network's id alone; `node` and `id_`: the entry that was asked for.

    Raises what strict reading raises, then, in this order: wrong-network, wrong-entry, root-chain, threshold,
    bad-checkpoint, not-in-log, bad-proof, proof-incomplete, members-rollback, not-a-member, suspended,
    admission-invalid, key-chain, unknown-key, bad-signature, revoked-key, record-altered, entry-removed.
    """
    proof = decode(raw, MapProof, max_bytes=PROOF_MAX)
    if proof.net != net:
        raise ProtocolError("wrong-network", field="net", expected=net)
    if id_ not in (None, proof.id) or node not in (None, proof.node):
        raise ProtocolError("wrong-entry", field="id")
    first, *newer = (text.encode() for text in proof.roots)
    root = TrustedRoot.start(first, net, suite).walk(newer)
    log = _read_log(proof.log, root.log)
    doc = read_document(proof.members.encode(), root)
    entry = _entry(doc, proof.node)
    publication = _publication(proof, net)
    needed = _relied_on([first, *newer], proof.members.encode(), doc, entry, proof.publication, publication)
    log.check(needed, proof.log)
    _check_status(entry)
    member, _ = read_entry(entry, root)
    seq = log.shown[needed[-1]]
    key = _check_signature(proof.publication, member, needed, log.shown, seq)
    service = _check_record(proof, publication)
    _check_still_there(log, needed, member, publication, seq, publications.leaf_hash(proof.record))
    return Proved(
        root=root, member=member, key=key, publication=publication, service=service,
        members_version=doc.version, members_from=doc.iat, members_until=doc.exp,
        admitted_by=_admitted_by(entry.admission, root), seq=seq, size=log.size,
    )  # fmt: skip


class _Log(NamedTuple):
    """What is shown of the log, believed: `tail` are all leaves from `start` on, `shown` the first place of each."""

    size: int
    tail: Sequence[tuple[int, LogEntry]]
    shown: Mapping[LogEntry, int]

    def check(self, needed: Sequence[LogEntry], part: LogPart) -> None:
        """Everything relied on is there, nothing else was slipped in, and what has to be the newest is."""
        for entry in needed:
            if entry not in self.shown or (entry.type in _CURRENT and self.shown[entry] < part.start):
                raise ProtocolError("proof-incomplete", field="log", expected=entry.type)
        if part.start != min(self.shown[entry] for entry in needed if entry.type in _CURRENT):
            raise ProtocolError("bad-proof", field="log.start", expected="no more of the log than is needed")
        if len(part.earlier) != sum(self.shown[entry] < part.start for entry in needed):
            raise ProtocolError("bad-proof", field="log.earlier", expected="only leaves that are relied on")
        members = [entry for _, entry in self.tail if entry.type == "members"]
        if members[-1] not in needed:
            raise ProtocolError("members-rollback", expected=str(members[-1].ver))
        if any(entry.type == "root" and entry not in needed for _, entry in self.tail):
            raise ProtocolError("root-chain", field="roots", expected="every root the log names")


def _read_log(part: LogPart, key: notes.NoteKey) -> _Log:
    head = notes.verify_head(part.note.encode(), key)
    if len(part.edge) != part.start.bit_count():
        raise ProtocolError("bad-proof", field="log.edge")
    edge = merkle.RightEdge(part.start, tuple(hash_bytes(peak, field="log.edge") for peak in part.edge))
    grown = edge.extend(merkle.leaf(line.encode()) for line in part.lines)
    if grown.size != head.size or grown.root() != head.root:
        raise ProtocolError("not-in-log", field="log.lines", expected=f"{head.size} leaves", got=f"{grown.size} leaves")
    tail = [(seq, _log_entry(line)) for seq, line in enumerate(part.lines, part.start)]
    shown: dict[LogEntry, int] = {}
    for leaf in part.earlier:
        if leaf.seq >= part.start:
            raise ProtocolError("bad-proof", field="log.earlier")
        path = [hash_bytes(step, field="log.earlier") for step in leaf.path]
        try:
            merkle.verify_inclusion(merkle.leaf(leaf.line.encode()), leaf.seq, head.size, path, head.root)
        except ProtocolError:
            raise ProtocolError("not-in-log", field="log.earlier", got=str(leaf.seq)) from None
        shown[_log_entry(leaf.line)] = leaf.seq
    if len(shown) != len(part.earlier):
        raise ProtocolError("bad-proof", field="log.earlier", expected="each leaf once")
    for seq, entry in tail:
        shown.setdefault(entry, seq)
    return _Log(head.size, tail, shown)


def _log_entry(line: str) -> LogEntry:
    return decode(line.encode(), LogEntry, max_bytes=LINE_MAX)


def _publication(proof: MapProof, net: str) -> Publication:
    """What it says; who signed it is checked when the member's keys are known."""
    unverified = jws.parse_compact(proof.publication, jws.CAT, max_bytes=publications.PUBLICATION_MAX)
    publication = decode(unverified.payload, Publication, max_bytes=publications.PUBLICATION_MAX)
    if publication.net != net:
        raise ProtocolError("wrong-network", field="publication.net")
    if publication.node != proof.node:
        raise ProtocolError("wrong-entry", field="publication.node")
    return publication


def _check_status(entry: MemberEntry) -> None:
    if entry.status == "suspended":
        raise ProtocolError("suspended", field="node")
    if entry.status == "ended":
        raise ProtocolError("not-a-member", field="node", got="ended")


def _check_signature(
    text: str, member: Member, needed: Sequence[LogEntry], shown: Mapping[LogEntry, int], seq: int
) -> ChainKey:
    """Signed by the key that was the member's at that place of the log, as key statements stand in it."""
    unverified = jws.parse_compact(text, jws.CAT, max_bytes=publications.PUBLICATION_MAX)
    place = next((i for i, link in enumerate(member.chain) if link.kid == unverified.kid), None)
    if place is None:
        raise ProtocolError("unknown-key", field="kid", expected="a key of the member")
    jws.verify(unverified, member.chain[place].key)
    begins = {entry.ver: shown[entry] for entry in needed if entry.type == "key"}
    link = member.chain[place]
    since, until = begins.get(link.n, -1), begins.get(link.n + 1)
    if until is None and member.states[link.kid].status == "revoked":
        raise ProtocolError("revoked-key", field="kid")
    if until is not None and until < seq:
        raise ProtocolError("revoked-key" if link.revoked else "unknown-key", field="kid", expected="the key of then")
    if seq < since:
        raise ProtocolError("unknown-key", field="kid", expected="the key of then")
    return link


def _check_record(proof: MapProof, publication: Publication) -> Service:
    try:
        publications.verify_record(publication, proof.record, proof.index, proof.path)
    except ProtocolError as error:
        if error.code != "bad-proof":
            raise
        raise ProtocolError("record-altered", field="record") from None
    record = publications.read_record(proof.record, publication.vis)
    if record.id != proof.id:
        raise ProtocolError("wrong-entry", field="id")
    return record.service


def _check_still_there(
    log: _Log, needed: Sequence[LogEntry], member: Member, publication: Publication, seq: int, leaf: str
) -> None:
    """Nothing in the end of the log takes the entry away, or says more of the member than the document does."""
    pub = needed[-1]
    for place, entry in log.tail:
        if entry.node != publication.node:
            continue
        if entry.type == "withdraw-object" and entry.hash in (leaf, pub.hash):
            raise ProtocolError("entry-removed", field="record", got=str(place))
        if place <= seq:
            continue
        if entry.type == publication.vis:
            raise ProtocolError("entry-removed", field="publication", expected=str(entry.ver), got=str(publication.rev))
        if entry.type == "key" and entry not in needed:
            raise ProtocolError("key-chain", field="log", expected="every key statement the log names")
        if entry.type == "admission" and entry.ver > member.admission.seq:
            raise ProtocolError("members-rollback", field="admission", expected=str(entry.ver))


def _admitted_by(text: str, root: TrustedRoot) -> tuple[str, ...]:
    """Names of the guarantors of the newest root whose signatures hold; none when that root only vouches for it."""
    general = jws.parse_general(text.encode(), jws.ADM, max_bytes=ADMISSION_MAX)
    names = {_kid(root, guarantor.x): guarantor.name for guarantor in root.root.guarantors}
    return tuple(names[one.kid] for one in general.signatures if one.kid in names and _holds(one, root.guarantors))


def _kid(root: TrustedRoot, x: str) -> str:
    """The kid of a guarantor's key as a root names it."""
    return root.suite.verify_key(hash_bytes(x, field="x")).kid


def _holds(one: jws.Unverified, keys: Mapping[str, VerifyKey]) -> bool:
    try:
        jws.verify(one, keys[one.kid])
    except ProtocolError:
        return False
    return True
