"""What is sealed: bodies of referral events and of messages outside a referral. Shapes only, open on purpose.

A body repeats `net, from, to, jti` of its envelope and names its `kind`. Unknown optional members are kept as
received (the bytes are stored); `must` names features the reader has to understand (PROTOCOL §2).
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from schemas.catalogue import HeadPair
from schemas.wire import HASH

Text600 = Annotated[str, Meta(max_length=600)]
Short = Annotated[str, Meta(max_length=200)]
Code = Annotated[str, Meta(pattern=r"^[A-Z]{2}-[A-Z0-9]{2,12}$")]
IstatCode = Annotated[str, Meta(pattern=r"^[0-9]{6}$")]
Reason = Annotated[str, Meta(pattern=r"^([A-Z]{2}-[A-Z0-9]{2,12}|[a-z][a-z-]{1,30})$")]
Uuid = Annotated[str, Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]


class Person(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Only what the receiving service needs (DOMAIN §5); everything optional, anonymous access is possible."""

    given_name: Short | UnsetType = UNSET
    family_name: Short | UnsetType = UNSET
    birth_year: Annotated[int, Meta(ge=1890, le=2100)] | UnsetType = UNSET
    birth_date: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")] | UnsetType = UNSET
    tax_code: Annotated[str, Meta(max_length=16)] | UnsetType = UNSET
    language: Short | UnsetType = UNSET
    residence: IstatCode | UnsetType = UNSET
    homeless: bool | UnsetType = UNSET
    address: Short | UnsetType = UNSET
    phone: Short | UnsetType = UNSET
    may_leave_message: bool | UnsetType = UNSET
    safe_contact: Short | UnsetType = UNSET
    no_contact: bool | UnsetType = UNSET
    household_size: Annotated[int, Meta(ge=1, le=40)] | UnsetType = UNSET
    minors: bool | UnsetType = UNSET


class Reporter(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Who reports, and whether the person knows: self, relative, neighbour, professional, body."""

    kind: Literal["self", "relative", "neighbour", "professional", "body"]
    name: Short | UnsetType = UNSET
    role: Short | UnsetType = UNSET
    phone: Short | UnsetType = UNSET
    person_informed: bool | UnsetType = UNSET


class Requester(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A group of people or a body that asks for itself: its name and where it is reached, never a person's."""

    who: Literal["group", "body"]
    name: Short
    phone: Short | UnsetType = UNSET
    email: Short | UnsetType = UNSET


class Basis(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Legal basis of the communication, never a default: GDPR article, purpose, notice, consent if that is it."""

    law: Short
    purpose: Short
    notice_version: Short
    notice_date: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    consent_to: Short | UnsetType = UNSET
    consent_how: Literal["signed", "spoken"] | UnsetType = UNSET


class Health(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Special-category block, only for RK-PUA and RK-PIC."""

    autonomy: Short | UnsetType = UNSET
    disability: Short | UnsetType = UNSET
    current_care: Text600 | UnsetType = UNSET
    discharge_date: Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")] | UnsetType = UNSET
    prescriber: Short | UnsetType = UNSET


class Offer(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The content of an `offer` (and of an `amend`, which replaces it whole)."""

    referral: Code
    urgency: Code
    subject: Literal["person", "household", "group", "none"]
    case: Annotated[str, Meta(max_length=64)]
    need: Code | UnsetType = UNSET
    target: Code | UnsetType = UNSET
    category: Code | UnsetType = UNSET
    service: Uuid | UnsetType = UNSET
    desk: Short | UnsetType = UNSET
    callback: Short | UnsetType = UNSET
    basis: Basis | UnsetType = UNSET
    person: Person | UnsetType = UNSET
    reporter: Reporter | UnsetType = UNSET
    requester: Requester | UnsetType = UNSET
    health: Health | UnsetType = UNSET
    description: Text600 | UnsetType = UNSET
    active_services: Text600 | UnsetType = UNSET
    offices_tried: Annotated[int, Meta(ge=0, le=99)] | UnsetType = UNSET
    documents: list[Short] | UnsetType = UNSET
    by_voice_at: int | UnsetType = UNSET
    thread: Uuid | UnsetType = UNSET
    linked_from: Uuid | UnsetType = UNSET
    parent: Uuid | UnsetType = UNSET
    path: list[Short] | UnsetType = UNSET
    form_version: Short | UnsetType = UNSET


FILE_NAME = (
    r"^[^/\\:*?\"<>|\x00-\x1f\x7f-\xa0\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb]{1,120}(?![\s\S])"
)
"""A name and no path: no separator, control, invisible or bidirectional character (a reader must see what it is)."""
FileName = Annotated[str, Meta(pattern=FILE_NAME)]
Sha256 = Annotated[str, Meta(pattern=HASH)]


class FileRef(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A file an event names; its bytes travel as `part`, and the event applies without waiting for them.

    A name of a file looks like this:
    {"sha256":"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU","size":183204,"type":"application/pdf","name":"isee.pdf"}
    """

    sha256: Sha256
    size: Annotated[int, Meta(ge=1, le=5_242_880)]
    type: Annotated[str, Meta(pattern=r"^[a-z]+/[a-z0-9.+-]{1,60}$")]
    name: FileName | UnsetType = UNSET


class EventBody(
    Struct, frozen=True, omit_defaults=True, rename={"sender": "from"}, kw_only=True, tag_field="kind", tag="event"
):
    """One event of a referral leg. An event body looks like this:

    {"kind":"event","net":"wVf…","from":"distretto","to":"comune-tavullia","jti":"5b1c…","leg":"0e6f…",
     "n":2,"seen":1,"ev":"accept","by":"OP-04","ref":"PUA 2026/118"}
    """

    net: str
    sender: str
    to: str
    jti: Uuid
    leg: Uuid
    n: Annotated[int, Meta(ge=1, le=100_000)]
    seen: Annotated[int, Meta(ge=0, le=100_000)]
    ev: str
    by: Short | UnsetType = UNSET
    must: list[str] | UnsetType = UNSET
    offer: Offer | UnsetType = UNSET
    reason: Reason | UnsetType = UNSET
    outcome: Code | UnsetType = UNSET
    text: Text600 | UnsetType = UNSET
    ref: Short | UnsetType = UNSET
    to_node: Short | UnsetType = UNSET
    of: Uuid | UnsetType = UNSET
    status: Code | UnsetType = UNSET
    when: int | UnsetType = UNSET
    void: str | UnsetType = UNSET
    files: Annotated[list[FileRef], Meta(min_length=1, max_length=20)] | UnsetType = UNSET


class HeadBody(
    Struct, frozen=True, omit_defaults=True, rename={"sender": "from"}, kw_only=True, tag_field="kind", tag="head"
):
    """A log head shown to a peer, at most daily: two views of one log are found (PROTOCOL §5).

    `pair`: what the peer showed contradicts our log, and here is the proof; then it comes at once.
    """

    net: str
    sender: str
    to: str
    jti: Uuid
    note: Annotated[str, Meta(max_length=2000)]
    must: list[str] | UnsetType = UNSET
    pair: HeadPair | UnsetType = UNSET


class EraseBody(
    Struct, frozen=True, omit_defaults=True, rename={"sender": "from"}, kw_only=True, tag_field="kind", tag="erase"
):
    """Asks the other side to erase what it holds of a leg (PROTOCOL §6). A request looks like this:

    {"kind":"erase","net":"wVf…","from":"comune-tavullia","to":"distretto","jti":"7d3e…","leg":"0e6f…",
     "reason":"wrong-recipient"}

    `upto`: only the older versions, S's offer and amendments with `n` below it (a rectification); absent: everything.
    """

    net: str
    sender: str
    to: str
    jti: Uuid
    leg: Uuid
    reason: Reason
    by: Short | UnsetType = UNSET
    upto: Annotated[int, Meta(ge=2, le=100_000)] | UnsetType = UNSET
    must: list[str] | UnsetType = UNSET


class ErasedBody(
    Struct, frozen=True, omit_defaults=True, rename={"sender": "from"}, kw_only=True, tag_field="kind", tag="erased"
):
    """Says that it is done: `of` is the jti of the request, `at` when (Unix seconds).

    After a recall also who had opened it, as a local operator code, and when; both absent: nobody had.
    """

    net: str
    sender: str
    to: str
    jti: Uuid
    leg: Uuid
    of: Uuid
    at: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    opened_by: Short | UnsetType = UNSET
    opened_at: Annotated[int, Meta(ge=0, le=2**53 - 1)] | UnsetType = UNSET
    must: list[str] | UnsetType = UNSET


class EraseRefusedBody(
    Struct,
    frozen=True,
    omit_defaults=True,
    rename={"sender": "from"},
    kw_only=True,
    tag_field="kind",
    tag="erase-refused",
):
    """Says that it is not done, and why: `of` is the jti of the request."""

    net: str
    sender: str
    to: str
    jti: Uuid
    leg: Uuid
    of: Uuid
    reason: Reason
    must: list[str] | UnsetType = UNSET


class PartBody(
    Struct, frozen=True, omit_defaults=True, rename={"sender": "from"}, kw_only=True, tag_field="kind", tag="part"
):
    """Part `i` of `of` of a file named by an event of `leg`, base64url in `data`; all but the last are 700 KiB raw."""

    net: str
    sender: str
    to: str
    jti: Uuid
    leg: Uuid
    sha256: Sha256
    i: Annotated[int, Meta(ge=1, le=8)]
    of: Annotated[int, Meta(ge=1, le=8)]
    data: Annotated[str, Meta(min_length=2, max_length=955_734)]
    must: list[str] | UnsetType = UNSET


class MissingBody(
    Struct, frozen=True, omit_defaults=True, rename={"sender": "from"}, kw_only=True, tag_field="kind", tag="missing"
):
    """Asks for part `i` of a file again; 0: all of it, because what came is not what was named."""

    net: str
    sender: str
    to: str
    jti: Uuid
    leg: Uuid
    sha256: Sha256
    i: Annotated[int, Meta(ge=0, le=8)]
    must: list[str] | UnsetType = UNSET


class GotBody(
    Struct, frozen=True, omit_defaults=True, rename={"sender": "from"}, kw_only=True, tag_field="kind", tag="got"
):
    """The reader holds the file whole and its hash is the one named: the sender's part of it is over."""

    net: str
    sender: str
    to: str
    jti: Uuid
    leg: Uuid
    sha256: Sha256
    must: list[str] | UnsetType = UNSET


class LegCounts(Struct, frozen=True, omit_defaults=True):
    """How many events of each log the writer of this body holds of a leg; `w` is its own side.

    `a`: the last of its own events for which it holds the addressee's signed `processed`. `x`: the commitment
    of an event of the leg, of either side, that the addressee seems to have forgotten.
    """

    leg: Uuid
    w: Literal["S", "R"]
    s: Annotated[int, Meta(ge=0, le=100_000)]
    r: Annotated[int, Meta(ge=0, le=100_000)]
    a: Annotated[int, Meta(ge=0, le=100_000)] = 0
    x: Sha256 | UnsetType = UNSET


class HelloBody(
    Struct, frozen=True, omit_defaults=True, rename={"sender": "from"}, kw_only=True, tag_field="kind", tag="hello"
):
    """Said to each peer with open referrals at every start and daily: a loss on either side is found (PROTOCOL §3)."""

    net: str
    sender: str
    to: str
    jti: Uuid
    epoch: Annotated[int, Meta(ge=1)]
    legs: Annotated[list[LegCounts], Meta(max_length=2000)]
    must: list[str] | UnsetType = UNSET


class ResyncBody(
    Struct, frozen=True, omit_defaults=True, rename={"sender": "from"}, kw_only=True, tag_field="kind", tag="resync"
):
    """A member that was restored asks for everything a peer holds between the two. `nonce`: 22 characters of chance."""

    net: str
    sender: str
    to: str
    jti: Uuid
    nonce: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}$")]
    epoch: Annotated[int, Meta(ge=1)]
    legs: Annotated[list[LegCounts], Meta(max_length=2000)]
    must: list[str] | UnsetType = UNSET


class CopiedEvent(Struct, frozen=True, omit_defaults=True):
    """One event as the answering side holds it: the outer part as it travelled, salt and body (base64url).

    For events of the member that asks, `st` and `h` are what the answering side signed of them.
    """

    e: Annotated[str, Meta(max_length=4096)]
    salt: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}$")]
    body: Annotated[str, Meta(max_length=1_400_000)]
    st: int | UnsetType = UNSET
    h: int | UnsetType = UNSET


class CopiedStep(Struct, frozen=True, omit_defaults=True):
    """What is left of an event where its leg was erased: nothing that proves it, nothing of what it said."""

    w: Literal["S", "R"]
    n: Annotated[int, Meta(ge=1, le=100_000)]
    jti: Uuid
    ev: Annotated[str, Meta(min_length=1, max_length=32)]
    seen: Annotated[int, Meta(ge=0, le=100_000)]
    cm: Sha256
    at: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    void: Sha256 | UnsetType = UNSET
    reason: Short | UnsetType = UNSET
    outcome: Short | UnsetType = UNSET
    h: Annotated[int, Meta(ge=0, le=100_000)] | UnsetType = UNSET


class CopiedLeg(Struct, frozen=True, omit_defaults=True):
    """A leg between the two; its events in any order. `gone`: the skeleton of one that the answering side erased."""

    leg: Uuid
    events: Annotated[list[CopiedEvent], Meta(max_length=10_000)] = []
    gone: Annotated[list[CopiedStep], Meta(max_length=10_000)] = []


class ResyncAnswerBody(
    Struct,
    frozen=True,
    omit_defaults=True,
    rename={"sender": "from"},
    kw_only=True,
    tag_field="kind",
    tag="resync-answer",
):
    """One page of the answer to a `resync`: all legs between the two, from both logs. Applied when all are there."""

    net: str
    sender: str
    to: str
    jti: Uuid
    nonce: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{22}$")]
    i: Annotated[int, Meta(ge=0, le=9_999)]
    of: Annotated[int, Meta(ge=1, le=10_000)]
    legs: list[CopiedLeg]
    must: list[str] | UnsetType = UNSET


Body = (
    EventBody
    | HeadBody
    | EraseBody
    | ErasedBody
    | EraseRefusedBody
    | PartBody
    | MissingBody
    | GotBody
    | HelloBody
    | ResyncBody
    | ResyncAnswerBody
)
