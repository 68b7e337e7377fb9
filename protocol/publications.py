"""Catalogue publications: signed snapshots, their manifests and records. Made, and checked at intake and by followers.

    post = make_publication(lines, key, net=…, node=…, vis="public", rev=7, prev=…, at=…, exp=…)
    signed = check_publication(post.publication, post.manifest, membership, held, now)
    records = check_records(signed.publication, post.manifest, post.records, known_id, owner)
The line as received is what is hashed, kept and served; nothing here writes a record again.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET

from protocol import contents, jcs, jws, merkle
from protocol.errors import ProtocolError
from protocol.limits import CATALOGUE_RECORDS, CLOCK_AHEAD_MAX, KIB, RECORD_MAX
from protocol.members import Membership
from protocol.names import hash_bytes
from protocol.strict import b64u_decode, b64u_encode, decode_scanned, digest, scan
from protocol.suite import SigningKey
from schemas.catalogue import CataloguePost, Publication, Visibility
from schemas.records import Service

PUBLICATION_MAX: Final = 4 * KIB
SALT_BYTES_MIN: Final = 16


@dataclass(frozen=True, slots=True)
class Held:
    """The newest publication known of one chain."""

    rev: int
    digest: str


@dataclass(frozen=True, slots=True)
class SignedPublication:
    """A publication whose signature holds, with its object hash."""

    publication: Publication
    text: str
    digest: str

    @property
    def held(self) -> Held:
        return Held(self.publication.rev, self.digest)


@dataclass(frozen=True, slots=True)
class Record:
    """One checked record: leaf hash, the line as received, its typed view."""

    leaf: str
    line: str
    service: Service

    @property
    def id(self) -> str:
        return self.service.id


# -- writing


def record_line(service: Service) -> str:
    """A record as one RFC 8785 line."""
    return jcs.write(msgspec.to_builtins(service)).decode("utf-8")


def leaf_hash(line: str) -> str:
    """The name of a record: b64u(SHA-256(0x00 ‖ line))."""
    return b64u_encode(merkle.leaf(line.encode("utf-8")))


def manifest_root(manifest: Iterable[str]) -> str:
    """The Merkle root of leaf hashes."""
    return b64u_encode(merkle.root(hash_bytes(leaf, field="manifest") for leaf in manifest))


def make_publication(
    lines: Iterable[str],
    key: SigningKey,
    *,
    net: str,
    node: str,
    vis: Visibility,
    rev: int,
    prev: str,
    at: int,
    exp: int,
) -> CataloguePost:
    """The next snapshot with all its records; `prev` is "" for revision 1. Lines come in any order.

    Runs the checks of the intake, so that what is refused there is refused here: raises as `check_records`.
    """
    records = sorted((read_record(line, vis) for line in lines), key=lambda record: record.id)
    manifest = [record.leaf for record in records]
    publication = Publication(
        net=net,
        node=node,
        vis=vis,
        rev=rev,
        prev=prev,
        root=manifest_root(manifest),
        count=len(manifest),
        at=at,
        exp=exp,
    )
    sent = {record.leaf: record.line for record in records}
    check_manifest(publication, manifest)
    check_records(publication, manifest, sent, lambda _: None, lambda _: node)
    text = jws.sign_compact(key, jws.CAT, msgspec.json.encode(publication))
    return CataloguePost(publication=text, manifest=manifest, records=sent)


# -- reading


def read_publication(text: str, keyring: jws.Keyring, net: str) -> SignedPublication:
    """Verified against the keys of the member it names, current or superseded. Says nothing about membership status.

    Raises wrong-network, unknown-key, revoked-key, bad-signature, bad-shape.
    """
    unverified = jws.parse_compact(text, jws.CAT, max_bytes=PUBLICATION_MAX)
    publication = decode_scanned(scan(unverified.payload, max_bytes=PUBLICATION_MAX), Publication)
    jws.verify_member(unverified, publication.node, keyring)
    if publication.net != net:
        raise ProtocolError("wrong-network", field="net")
    return SignedPublication(publication, text, digest(text.encode("ascii")))


def read_known(text: str) -> SignedPublication:
    """One whose very bytes were accepted before: for a caller that compares `digest` with what it accepted."""
    unverified = jws.parse_compact(text, jws.CAT, max_bytes=PUBLICATION_MAX)
    publication = decode_scanned(scan(unverified.payload, max_bytes=PUBLICATION_MAX), Publication)
    return SignedPublication(publication, text, digest(text.encode("ascii")))


def check_publication(
    text: str, manifest: Sequence[str], membership: Membership, held: Held | None, now: int
) -> SignedPublication:
    """What the registry asks before it looks at records: an active member, its current key, the next revision.

    Raises also not-a-member, suspended, expired, from-the-future, catalogue-too-old, -too-large, -root.
    """
    signed = read_publication(text, membership, membership.net)
    publication = signed.publication
    member = membership.active(publication.node)
    if jws.parse_compact(text, jws.CAT, max_bytes=PUBLICATION_MAX).kid != member.current.kid:
        raise ProtocolError("unknown-key", field="kid", expected="the current key")
    if publication.at > now + CLOCK_AHEAD_MAX:
        raise ProtocolError("from-the-future", field="at")
    if publication.exp <= max(publication.at, now):
        raise ProtocolError("expired", field="exp")
    check_next(signed, held)
    check_manifest(publication, manifest)
    return signed


def check_next(signed: SignedPublication, held: Held | None) -> None:
    """Revisions are contiguous and each names the one before. Raises catalogue-too-old."""
    rev, prev = (held.rev, held.digest) if held else (0, "")
    if signed.publication.rev != rev + 1:
        raise ProtocolError("catalogue-too-old", field="rev", expected=str(rev + 1), got=str(signed.publication.rev))
    if signed.publication.prev != prev:
        raise ProtocolError("catalogue-too-old", field="prev", expected=prev)


def check_manifest(publication: Publication, manifest: Sequence[str]) -> None:
    """Raises catalogue-too-large, catalogue-root."""
    if max(len(manifest), publication.count) > CATALOGUE_RECORDS:
        raise ProtocolError("catalogue-too-large", expected=f"at most {CATALOGUE_RECORDS}", got=str(len(manifest)))
    if len(manifest) != publication.count or manifest_root(manifest) != publication.root:
        raise ProtocolError("catalogue-root", field="manifest")


def missing(manifest: Sequence[str], known: Collection[str], sent: Collection[str]) -> list[str]:
    """Leaf hashes to ask for, in manifest order."""
    return [leaf for leaf in manifest if leaf not in known and leaf not in sent]


def check_records(
    publication: Publication,
    manifest: Sequence[str],
    sent: Mapping[str, str],
    known_id: Callable[[str], str | None],
    owner: Callable[[str], str | None],
) -> list[Record]:
    """The records sent, checked, in manifest order.

    `known_id`: id of a record checked before *in this chain*, by leaf hash; `owner`: who first logged an id.
    Raises catalogue-root, catalogue-id-not-yours and what `read_record` raises.
    """
    if stray := sent.keys() - set(manifest):
        raise ProtocolError("catalogue-root", field="records", expected="records of the manifest", got=str(len(stray)))
    fresh: list[Record] = []
    last = ""
    for leaf in manifest:
        if leaf in sent:
            fresh.append(_matching(leaf, sent[leaf], publication.vis))
        name = fresh[-1].id if leaf in sent else known_id(leaf)
        if name is None:
            raise ProtocolError("catalogue-root", field="records", expected=leaf)
        if name <= last:
            raise ProtocolError("catalogue-root", field="manifest", expected="ids rising, each once", got=name)
        if owner(name) not in (None, publication.node):
            raise ProtocolError("catalogue-id-not-yours", field="id", got=name)
        last = name
    return fresh


def _matching(leaf: str, line: str, vis: Visibility) -> Record:
    if leaf_hash(line) != leaf:
        raise ProtocolError("catalogue-root", field="records", expected=leaf)
    return read_record(line, vis)


def read_record(line: str, vis: Visibility) -> Record:
    """One line: size, strict JSON, schema, then what it may contain.

    Raises record-too-large, what strict reading raises, bad-shape, and the codes of protocol.contents.
    """
    if "\n" in line or "\r" in line:
        raise ProtocolError("bad-shape", field="records", expected="one line")
    raw = _line_bytes(line)
    scanned = scan(raw, max_bytes=RECORD_MAX)
    service = decode_scanned(scanned, Service)
    _check_salt(service, vis)
    for fault in contents.faults(msgspec.json.decode(scanned)):
        raise fault
    return Record(leaf_hash(line), line, service)


def _line_bytes(line: str) -> bytes:
    try:
        raw = line.encode("utf-8")
    except UnicodeEncodeError:
        raise ProtocolError("bad-encoding", field="records") from None
    if len(raw) > RECORD_MAX:
        raise ProtocolError("record-too-large", expected=f"at most {RECORD_MAX} bytes", got=f"{len(raw)} bytes")
    return raw


def _check_salt(service: Service, vis: Visibility) -> None:
    """The leaf of a network record is public: without a salt its content could be guessed from it."""
    if vis == "public":
        if service.salt is not UNSET:
            raise ProtocolError("bad-shape", field="salt", expected="no salt in a public record")
        return
    if service.salt is UNSET or len(b64u_decode(service.salt, field="salt")) < SALT_BYTES_MIN:
        raise ProtocolError("bad-shape", field="salt", expected=f"at least {SALT_BYTES_MIN} random bytes")


# -- one record proved


def inclusion(manifest: Sequence[str], index: int) -> list[str]:
    """The path from leaf `index` to the publication's root, for /v1/map/{node}/{id}/proof."""
    at = merkle.stored([hash_bytes(leaf, field="manifest") for leaf in manifest])
    return [b64u_encode(step) for step in merkle.inclusion_path(index, len(manifest), at)]


def verify_record(publication: Publication, line: str, index: int, path: Sequence[str]) -> None:
    """Is this line, byte for byte, record `index` of the publication? Raises bad-proof."""
    steps = [hash_bytes(step, field="path") for step in path]
    leaf = merkle.leaf(_line_bytes(line))
    merkle.verify_inclusion(leaf, index, publication.count, steps, hash_bytes(publication.root, field="root"))
