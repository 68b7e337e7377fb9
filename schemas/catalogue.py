"""What is published: catalogue snapshots, their objects, log entries and pages, lines of the map. Shapes only.

Names of bytes: an object is b64u(SHA-256(bytes)); a record is its leaf hash, b64u(SHA-256(0x00 ‖ line as received)).
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from schemas.membership import Compact, Hash, NodeId, When

Visibility = Literal["public", "network"]
EntryType = Literal["root", "members", "admission", "key", "public", "network", "withdraw-object"]


class Publication(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The payload of `typ: raccordo-cat+jws`, compact, signed by the member's current signing key:

    {"net":"wVf…","node":"ts-dispensa","vis":"public","rev":7,"prev":"Hq0…","root":"47DE…","count":3,
     "at":1795259400,"exp":1802000000}
    `prev` = object hash of the publication with the revision before, "" for revision 1. `root` is the RFC 9162 root
    of the manifest: leaf hashes of the record lines in order of lower-case id.
    """

    net: Hash
    node: NodeId
    vis: Visibility
    rev: Annotated[int, Meta(ge=1)]
    prev: Annotated[str, Meta(pattern=r"^([A-Za-z0-9_-]{43})?$")]
    root: Hash
    count: Annotated[int, Meta(ge=0)]
    at: When
    exp: When


class CataloguePost(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/catalogue: the snapshot and the record lines, by leaf hash, that the registry lacks."""

    publication: Compact
    manifest: list[Hash]
    records: dict[Hash, str] = {}


class CatalogueAnswer(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`missing`: leaf hashes still to send (then not accepted). `seq`: index of its leaf in the log, from 0."""

    accepted: bool
    missing: list[Hash] = []
    seq: int | UnsetType = UNSET


class CatalogueBundle(Struct, frozen=True, kw_only=True):
    """A publication with its manifest, as followers fetch it; record lines are fetched by leaf hash."""

    publication: Compact
    manifest: list[Hash]


class LogEntry(Struct, frozen=True, kw_only=True):
    """One leaf of the log: the bytes hashed are this line as received. Writers emit RFC 8785. It looks like this:

    {"hash":"Hq0…","node":"ts-dispensa","type":"public","ver":7}
    `hash` names the object; `ver` is the root number, members version, admission seq, key number or revision.
    `node` is "" for root and members. withdraw-object: `hash` is the object withdrawn (its owner `node`), `ver` 0.
    """

    type: EntryType
    hash: Hash
    node: Annotated[str, Meta(pattern=r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$")]
    ver: Annotated[int, Meta(ge=0)]


class LogPage(Struct, frozen=True, kw_only=True):
    """GET /v1/log?after=&wait=: lines `after` .. after+len(entries), the signed note and the tree size it states."""

    after: Annotated[int, Meta(ge=0)]
    entries: list[str]
    size: Annotated[int, Meta(ge=0)]
    note: str


class MapLine(Struct, frozen=True, kw_only=True):
    """One line of /v1/map.ndjson, (id, node) order: the record as received, with where it comes from.

    {"id":"0a6e…","node":"ts-dispensa","vis":"public","rev":7,"at":1795259400,"pub":"Hq0…","seq":31,"leaf":"9fX…",
     "record":{…}}
    `pub`: object hash of the publication, `seq`: index of its leaf in the log.
    """

    id: str
    node: NodeId
    vis: Visibility
    rev: int
    at: When
    pub: Hash
    seq: int
    leaf: Hash
    record: Raw


class LogLeaf(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Leaf `seq` of the log, as received, with its inclusion path (RFC 9162) under the head shown beside it."""

    seq: Annotated[int, Meta(ge=0)]
    line: str
    path: list[Hash]


class LogPart(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The end of the log up to a signed head, and single leaves before it.

    `edge`: roots of the perfect subtrees of the first `start` leaves, largest first; with `lines`, the leaves from
    `start` on, they give the root that `note` signs. The end is shown whole: what is not in it did not happen since.
    """

    note: str
    start: Annotated[int, Meta(ge=0)]
    edge: list[Hash]
    lines: list[str]
    earlier: list[LogLeaf]


class MapProof(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """GET /v1/map/{node}/{id}/proof: one entry of the map, with all that leads from the network's id to it.

    `record` is line `index` of `publication`, which a member signed; `roots` from root-1 on, and the newest logged
    members document `members`, say who that member is and with which keys; `log` shows where each of them stands in the
    log, and that nothing later in it takes the entry away. Nothing else is needed to verify it but `net`.
    """

    v: Literal[1]
    net: Hash
    node: NodeId
    id: str
    record: str
    index: Annotated[int, Meta(ge=0)]
    path: list[Hash]
    publication: Compact
    roots: Annotated[list[str], Meta(min_length=1, max_length=257)]
    members: str
    log: LogPart


class HeadPair(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Two heads of one log that cannot both be true, with the proof of it; kept for ever.

    `held` and `shown` are signed notes; the log under `held` has `root` at the size of `shown`, which says otherwise:
    `path` is the RFC 9162 consistency proof from (size of `shown`, `root`) to `held`, empty when the sizes are equal.
    """

    held: Annotated[str, Meta(max_length=2000)]
    shown: Annotated[str, Meta(max_length=2000)]
    root: Hash
    path: Annotated[list[Hash], Meta(max_length=64)]


class HeadEvidence(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`raccordo-node heads --export FILE`: pairs for others to check, with the roots that name the log's key."""

    v: Literal[1]
    net: Hash
    roots: Annotated[list[str], Meta(min_length=1, max_length=257)]
    pairs: Annotated[list[HeadPair], Meta(min_length=1)]
