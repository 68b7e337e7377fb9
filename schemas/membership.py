"""Who belongs and with which keys: roots, admissions, statements, the members document, joining. Shapes only.

Everything here travels signed, and is verified as received before it is decoded (PROTOCOL §4). Statements about keys
and routes are closed. Roots, admissions and the members document are open: a later version may add members that an
older reader ignores; what changes their meaning raises `v`. Keys are raw 32-byte public keys in b64u (`x`).
Times are Unix seconds. `net` stands in every signed object but root-1, whose hash it is.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from schemas.wire import HASH, NODE_ID

Hash = Annotated[str, Meta(pattern=HASH)]
PublicKey = Annotated[str, Meta(pattern=HASH)]
NodeId = Annotated[str, Meta(pattern=NODE_ID)]
Count = Annotated[int, Meta(ge=1)]
When = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Url = Annotated[str, Meta(min_length=8, max_length=400)]
Istat = Annotated[str, Meta(pattern=r"^[0-9]{6}$")]
Compact = Annotated[str, Meta(min_length=1, max_length=8192)]
GeneralText = Annotated[str, Meta(min_length=2, max_length=16384)]

Capability = Literal["take-in-charge", "pua", "pis", "router", "relay"]
Status = Literal["active", "suspended", "ended"]


# -- root


class Policy(Struct, frozen=True, kw_only=True):
    """The numbers a network decides for itself; the defaults are those of PROTOCOL §4."""

    members_days: Count = 7
    degraded_days: Count = 30
    root_months: Count = 13
    root_degraded_days: Count = 180
    silent_days: Count = 30
    sealing_days: Count = 90
    sealing_lead_days: Count = 7
    sealing_keep_days: Count = 70
    signing_days: Count = 365
    object_days: Count = 90
    waiting_days: Count | UnsetType = UNSET


class Guarantor(Struct, frozen=True):
    """One offline key of the threshold and whose it is (a body or an office, never a person's name)."""

    x: PublicKey
    name: Name


class Pinned(Struct, frozen=True):
    """A key of the registry: `online` signs members documents, `log` signs checkpoints."""

    x: PublicKey


class Root(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The payload of `typ: raccordo-root+jws`, JWS General JSON signed by `threshold` guarantors. It looks like this:

    {"v":1,"n":1,"name":"Ambito 1","threshold":2,"admission_threshold":1,
     "guarantors":[{"x":"11qY…","name":"Ente capofila"},…],"online":{"x":"d75a…"},"log":{"x":"PUAX…"},
     "pilot":false,"policy":{"members_days":7,…},"iat":1795259400,"exp":1829387400}
    net = b64u(SHA-256(payload of root-1)); from root-2 on the payload names it. `vouches` are object hashes of payloads
    (admissions, recoveries) signed by guarantors of earlier roots, which this root's threshold takes over.
    """

    v: Literal[1]
    n: Count
    name: Name
    threshold: Count
    admission_threshold: Count
    guarantors: Annotated[list[Guarantor], Meta(min_length=1, max_length=32)]
    online: Pinned
    log: Pinned
    pilot: bool
    policy: Policy
    iat: When
    exp: When
    net: Hash | UnsetType = UNSET
    vouches: list[Hash] = []


# -- one member


class Identifiers(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Identifiers of the body in public registers."""

    ipa: Name | UnsetType = UNSET
    cf: Name | UnsetType = UNSET
    runts: Name | UnsetType = UNSET


class ProtocolVersion(Struct, frozen=True):
    """A version of the protocollo d'intesa: its label and b64u(SHA-256) of the signed document."""

    version: Name
    hash: Hash


class Contact(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Where the body is reached about the network: an office and its telephone (used for "telefonare")."""

    name: Name | UnsetType = UNSET
    phone: Name | UnsetType = UNSET


class Wanted(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The entry a body asks for when joining: what the guarantors will sign, without numbers, keys and times."""

    node: NodeId
    name: Name
    ptype: Annotated[str, Meta(pattern=r"^PT-[A-Z0-9]{2,12}$")]
    caps: list[Capability] = []
    territory: Annotated[list[Istat], Meta(max_length=512)] = []
    identifiers: Identifiers = Identifiers()
    protocol: ProtocolVersion
    hosted_by: NodeId | UnsetType = UNSET
    delegated_by: NodeId | UnsetType = UNSET
    contact: Contact | UnsetType = UNSET
    recovery: PublicKey | UnsetType = UNSET


class Admission(Wanted, frozen=True, omit_defaults=True, kw_only=True):
    """The payload of `typ: raccordo-adm+jws`, JWS General JSON signed by the admission threshold, off the server:

    {"net":"wVf…","node":"comune-tavullia","name":"Comune di Tavullia","ptype":"PT-COMUNE","caps":["take-in-charge"],
     "territory":["041065"],"identifiers":{"ipa":"c_l081"},"first":"11qY…","protocol":{"version":"1","hash":"…"},
     "seq":1,"iat":1795259400}
    `seq` rises with each new admission of the same node: with the same `first` it amends the entry (a renamed body),
    with another `first` it is a re-admission. `recovery`: public half of the member's own offline recovery key.
    """

    net: Hash
    first: PublicKey
    seq: Count
    iat: When


KeyReason = Literal["rotation", "compromise", "recovery"]


class KeyStatement(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The payload of `typ: raccordo-key+jws`: `x` is the new signing key, `prev` the kid it follows.

    {"net":"wVf…","node":"comune-tavullia","n":2,"x":"d75a…","prev":"kPrK…","iat":1826795400,"reason":"rotation"}
    `n` from 2: the first key is in the admission. rotation and compromise are signed by the previous key, recovery by
    the recovery key (compact) or by the root threshold (General JSON). compromise and recovery revoke the previous key.
    """

    net: Hash
    node: NodeId
    n: Annotated[int, Meta(ge=2)]
    x: PublicKey
    prev: Hash
    iat: When
    reason: KeyReason = "rotation"


class SealingKey(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename={"since": "from"}):
    """An X25519 key to seal to from `from` on, until `until` when given. Seal to the newest valid one."""

    x: PublicKey
    since: When
    until: When | UnsetType = UNSET


class RoutesStatement(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, rename={"since": "from"}
):
    """The payload of `typ: raccordo-rts+jws`, compact, signed by the current signing key:

    {"net":"wVf…","node":"comune-tavullia","n":3,"from":1795259400,"urls":[],"relays":["bacheca","distretto"],
     "sealing":[{"x":"hSDw…","from":1795259400}],"iat":1795259400}
    `urls` direct, `relays` ids, both in order. It is in force from `from` on. `notify`: address for content-free mail.
    """

    net: Hash
    node: NodeId
    n: Count
    since: When
    urls: Annotated[list[Url], Meta(max_length=8)]
    relays: Annotated[list[NodeId], Meta(max_length=8)]
    sealing: Annotated[list[SealingKey], Meta(min_length=1, max_length=8)]
    iat: When
    notify: Name | UnsetType = UNSET


# -- the members document


class Former(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An earlier admission of a re-admitted member and its key chain: revoked keys, kept to verify old bytes."""

    admission: GeneralText
    keys: list[GeneralText] = []


class MemberEntry(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One member as listed: signed objects as text, and what the registry alone says (status, since, revoked kids)."""

    admission: GeneralText
    status: Status
    since: When
    keys: list[GeneralText] = []
    routes: Compact | UnsetType = UNSET
    routes_next: Compact | UnsetType = UNSET
    revoked: list[Hash] = []
    former: list[Former] = []


class Relay(Struct, frozen=True):
    """A mailbox keeper: `id` is the audience of calls to it."""

    id: NodeId
    url: Url


class Registry(Struct, frozen=True):
    """The bacheca: its id (audience of calls) and its addresses, in order."""

    id: NodeId
    urls: Annotated[list[Url], Meta(min_length=1, max_length=8)]


class VocabularyVersion(Struct, frozen=True):
    version: Name


class Form(Struct, frozen=True):
    """A version of a form used in bodies of a kind; `hash` = b64u(SHA-256) of its schema."""

    kind: Name
    version: Name
    hash: Hash


class MembersDoc(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The payload of `typ: raccordo-mem+jws`, compact, signed by the online key of root `root`, ≤ 16 MiB:

    {"net":"wVf…","version":12,"prev":"Hq0…","iat":1795259400,"exp":1795864200,"root":1,
     "relays":[{"id":"bacheca","url":"https://bacheca.example"}],
     "registry":{"id":"bacheca","urls":["https://bacheca.example"]},
     "members":[{"admission":"{…}","status":"active","since":1795259400,"keys":[],"routes":"eyJ…"}],
     "rules":[],"vocab":{"version":"2026-11"},"forms":[],"protocols":[{"version":"1","hash":"…"}],"comuni":[]}
    `prev` = b64u(SHA-256) of the previous compact JWS, absent in version 1. `comuni`: rows of the network's own comuni
    vocabulary; empty = the bundled one. `rules`: routing rules, read by protocol.routing. `agreements`: who may refer
    what to whom, read by protocol.agreements. Newest protocol version last.
    """

    net: Hash
    version: Count
    iat: When
    exp: When
    root: Count
    relays: list[Relay]
    registry: Registry
    members: list[MemberEntry]
    vocab: VocabularyVersion
    prev: Hash | UnsetType = UNSET
    rules: list[Raw] = []
    agreements: list[Raw] = []
    forms: list[Form] = []
    protocols: list[ProtocolVersion] = []
    comuni: list[dict[str, str]] = []


# -- joining


class Invitation(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The invitation file the capofila hands to a body. It looks like this:

    {"net":"wVf…","name":"Ambito 1","node":"comune-tavullia","registry":["https://bacheca.example"],
     "relays":[{"id":"bacheca","url":"https://bacheca.example"}],"code":"…","exp":1795864200}
    `code` works once; `node` is the proposed id.
    """

    net: Hash
    name: Name
    registry: Annotated[list[Url], Meta(min_length=1, max_length=8)]
    exp: When
    relays: list[Relay] = []
    code: Name | UnsetType = UNSET
    node: NodeId | UnsetType = UNSET


class JoinRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """POST /v1/join: the wanted entry, the first signing key, and routes statement 1 signed by it (possession)."""

    wanted: Wanted
    first: PublicKey
    routes: Compact
    code: Name | UnsetType = UNSET


class LeaveRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """POST /v1/leave, by the member itself, whose token signs the call: {"net":"wVf…","node":"comune-tavullia"}"""

    net: Hash
    node: NodeId


class LeaveAnswer(Struct, frozen=True):
    """The members version that lists it as ended."""

    version: int


class JoinAnswer(Struct, frozen=True):
    """Answer to a join: `ref` names the request; the node is in only when it finds itself in a verified document."""

    ref: Name
    state: Literal["pending", "admitted", "refused"]


class Pending(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One request awaiting guarantors. `draft` is the exact admission payload (JSON text) that they sign."""

    ref: Name
    request: JoinRequest
    draft: GeneralText
    at: When
    invited: bool = False


class PendingFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`pending --export FILE`: carried to a guarantor's own PC; `roots` are the General JSON texts from root-1 on."""

    v: Literal[1]
    net: Hash
    roots: Annotated[list[GeneralText], Meta(min_length=1, max_length=256)]
    items: list[Pending]


class RecoveryFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a body that lost its keys takes to the guarantors, and what each of them gives back. It looks like this:

    {"v":1,"net":"wVf…","node":"comune-tavullia","name":"Comune di Tavullia","roots":["{…}"],"draft":"{…}","signed":""}
    `draft` is the exact KeyStatement payload (reason recovery) they sign; `signed` General JSON, once one of them has.
    """

    v: Literal[1]
    net: Hash
    node: NodeId
    name: Name
    roots: Annotated[list[GeneralText], Meta(min_length=1, max_length=256)]
    draft: GeneralText
    signed: Annotated[str, Meta(max_length=16384)] = ""


class Approval(Struct, frozen=True, forbid_unknown_fields=True):
    """One signed draft: General JSON with at least one guarantor's signature; several approvals are merged."""

    ref: Name
    admission: GeneralText


class ApprovalFile(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `approve` writes and `admit FILE` reads on the server."""

    v: Literal[1]
    net: Hash
    items: list[Approval]
