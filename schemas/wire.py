"""What travels between members: envelopes, receipts, batches, calls. Shapes only; the rules are in protocol.

Headers and routing payloads are closed: an unknown member is refused (PROTOCOL §2).
"""

from msgspec import UNSET, Struct, UnsetType

NODE_ID = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
HASH = r"^[A-Za-z0-9_-]{43}$"


class Routing(Struct, frozen=True, forbid_unknown_fields=True, rename={"sender": "from"}, kw_only=True):
    """The payload of `e`: routing only. A routing payload looks like this:

    {"v":1,"net":"wVf…","jti":"5b1c…","from":"comune-tavullia","to":"distretto","iat":1795259400,
     "exp":1797851400,"ch":"1.7","mv":12,"ct":"Hq0…","cm":"d3P…"}
    """

    v: int
    net: str
    jti: str
    sender: str
    to: str
    iat: int
    exp: int
    ch: str
    mv: int
    ct: str
    cm: str


class Envelope(Struct, frozen=True, forbid_unknown_fields=True):
    """`application/vnd.raccordo.envelope+json`: {"e":"<compact JWS>","s":"<compact JWE>"}."""

    e: str
    s: str


class Item(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One item of a batch: an envelope {e, s} or a receipt {r}; exactly one of the two (checked by protocol)."""

    e: str | UnsetType = UNSET
    s: str | UnsetType = UNSET
    r: str | UnsetType = UNSET


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/inbox and POST /v1/mailbox/{node}: {"items":[{e,s} | {r}]}, at most 50 and 6 MiB."""

    items: list[Item]


class Ack(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One acknowledgement: k = stored | processed | rejected; `st` when the event was first durable;

    `h` the recipient's own event count on the leg when it applied the message; `prob` the code of a rejection.
    """

    mid: str
    k: str
    st: int
    h: int | UnsetType = UNSET
    prob: str | UnsetType = UNSET


class Receipt(Struct, frozen=True, forbid_unknown_fields=True, rename={"sender": "from"}, kw_only=True):
    """The payload of `typ: raccordo-rcpt+jws`. `sender` is who acknowledges, `to` whose messages they are.

    {"net":"wVf…","from":"distretto","to":"comune-tavullia","at":1795259402,"hw":"1.7",
     "acks":[{"mid":"9fX…","k":"processed","st":1795259402,"h":0}]}
    """

    net: str
    sender: str
    to: str
    at: int
    hw: str
    acks: list[Ack]


class Later(Struct, frozen=True, omit_defaults=True):
    """An unsigned answer about item `i` of a batch: it changes the pace, it ends nothing. `after` in seconds."""

    i: int
    code: str
    after: int
    mid: str | UnsetType = UNSET


class DeliveryAnswer(Struct, frozen=True):
    """The answer to a batch: signed receipts (compact JWS), mids held by a relay (a hint), unsigned refusals."""

    receipts: list[str] = []
    held: list[str] = []
    later: list[Later] = []


class PostedItem(Struct, frozen=True, omit_defaults=True):
    """One item of a mailbox page, under an opaque position."""

    pos: str
    e: str | UnsetType = UNSET
    s: str | UnsetType = UNSET
    r: str | UnsetType = UNSET


class MailboxPage(Struct, frozen=True):
    """GET /v1/mailbox/{node}?after=&max=&wait= : at most 50 items and 6 MiB, at least one when any waits."""

    items: list[PostedItem]


class MailboxAck(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/mailbox/{node}/ack: receipts (compact JWS) name envelopes to delete; `seen` are positions."""

    receipts: list[str] = []
    seen: list[str] = []


class MailboxAckAnswer(Struct, frozen=True):
    """`filed`: indexes of receipts filed in their senders' mailboxes here; the others travel by their routes."""

    deleted: int
    filed: list[int] = []


class RequestToken(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Self-issued call token, `typ: raccordo-req+jwt`, at most 120 s; `path` includes the query, never the host.

    {"net":"wVf…","iss":"comune-tavullia","aud":"bacheca","iat":1795259400,"exp":1795259520,
     "method":"POST","path":"/v1/mailbox/distretto","body":"<b64u sha-256 of the body>"}
    """

    net: str
    iss: str
    aud: str
    iat: int
    exp: int
    method: str
    path: str
    body: str | UnsetType = UNSET


class ProblemBody(Struct, frozen=True, omit_defaults=True):
    """application/problem+json as we write it."""

    title: str
    status: int
    code: str
    retry: str
    type: str = "about:blank"
    field: str | UnsetType = UNSET
    expected: str | UnsetType = UNSET
    got: str | UnsetType = UNSET
    mid: str | UnsetType = UNSET
    server_time: int | UnsetType = UNSET
