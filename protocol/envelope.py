"""The envelope: made, and read in the strict order of PROTOCOL §2. No delivery, no events, no clock of its own.

An envelope looks like this: {"e":"<compact JWS, routing only>","s":"<compact JWE>"}
Reading is split where a caller has to look something up:

    outer    = read_outer(e, s)                                  believes nothing
    verified = verify_outer(outer, keyring, net=…, me=…)         the member `from` signed it, for us; ct matches
    …        mid or event known? the caller answers with what is stored
    check_fresh(verified, now)                                   version, times
    …        durable: `stored`
    opened   = open_sealed(verified, s, keys, suite)             inner = outer, cm
    body     = decode_event_body(opened.body)                    schema, must → apply: `processed`

What fails up to `verify_outer`, and a time ahead of ours, is answered unsigned (`unsigned_code`): whoever flips a bit
on the way must not be able to kill a message. Only the codes in REJECTABLE may become a signed `rejected`.
"""

from collections.abc import Mapping
from typing import Final, Literal, cast, get_args

import msgspec
from msgspec import UNSET, Struct, UnsetType

from protocol import jwe
from protocol.buckets import pad, unpad
from protocol.errors import ProtocolError
from protocol.forwarding import check_path
from protocol.jws import MSG, Keyring, Unverified, parse_compact, sign_compact, verify_member
from protocol.limits import (
    BATCH_BYTES,
    BATCH_ITEMS,
    BODY_MAX,
    CLOCK_AHEAD_MAX,
    LIFETIME_MAX,
    ROUTING_MAX,
    SALT_BYTES,
    SEALED_MAX,
    VERSION,
)
from protocol.names import Channel, check_event_id, check_hash, check_node_id, parse_channel
from protocol.strict import ScannedJson, decode, decode_scanned, decode_written, digest, scan
from protocol.suite import SealingKey, SealingPublic, SigningKey, Suite
from schemas.bodies import Body, EventBody
from schemas.wire import Batch, Envelope, Item, Routing

REJECTABLE: Final = frozenset(
    {
        "jti-reuse",
        "n-reuse",
        "unsupported-version",
        "bad-lifetime",
        "bad-seal",
        "inner-outer-mismatch",
        "commitment-mismatch",
        "bad-body",
        "unsupported",
        "unknown-leg",
        "not-your-leg",
        "forward-loop",
        "forward-hops",
    }
)
"""The closed list of codes of a signed `rejected` (PROTOCOL §2): true for ever, and found after ct matched."""

_DAMAGE: Final = frozenset(
    {
        "too-large",
        "bad-json",
        "bad-encoding",
        "json-too-deep",
        "json-duplicate-name",
        "json-number",
        "bad-base64",
        "bad-shape",
        "bad-header",
        "bad-node-id",
        "bad-signature",
        "ct-mismatch",
    }
)

_COMMIT: Final = b"raccordo/commit/v1\0"
_encode: Final = msgspec.json.Encoder().encode
_BODY: Final = cast("type[Body]", Body)
KINDS: Final = frozenset(str(shape.__struct_config__.tag) for shape in get_args(Body))
"""The kinds of body this version understands; another one is `unsupported`, not broken."""


class Sealed(Struct, frozen=True):
    """One sealing ready to travel, with what its maker keeps about it."""

    e: str
    s: str
    mid: str
    cm: str
    ct: str


class Outer(Struct, frozen=True):
    """A well-formed outer part. Nothing in it is believed yet, not even `routing.sender`."""

    routing: Routing
    channel: Channel
    mid: str
    jws: Unverified
    s: str


class Verified(Struct, frozen=True):
    """The member `routing.sender` signed this routing for exactly this sealed part."""

    routing: Routing
    channel: Channel
    mid: str
    kid: str
    key_status: Literal["current", "superseded"]


class Opened(Struct, frozen=True):
    """What was sealed, bound to its envelope: strict JSON, names and commitment agree. `body` has no padding."""

    salt: bytes
    body: ScannedJson


def unsigned_code(code: str) -> str:
    """The code of an unsigned answer: faults that a bad line can cause are all `damaged`, the sender sends again."""
    return "damaged" if code in _DAMAGE else code


def commitment(salt: bytes, body: bytes) -> str:
    """`cm` (§2): proves later what was said, without handing over a key."""
    return digest(_COMMIT + salt + body)


def _digest_of_text(text: str, field: str) -> str:
    try:
        return digest(text.encode("ascii"))
    except UnicodeEncodeError:
        raise ProtocolError("bad-base64", field=field) from None


def mid_of(e: str) -> str:
    """The name of one sealing: the hash of its JWS signing input, of what was read as a JWS before."""
    return _digest_of_text(e.rpartition(".")[0], "e")


def ct_of(s: str) -> str:
    """`ct`: the hash of the sealed part as it travels. Raises bad-base64 for what is not ASCII."""
    return _digest_of_text(s, "s")


def make_envelope(
    *,
    suite: Suite,
    signing_key: SigningKey,
    recipient: SealingPublic,
    net: str,
    jti: str,
    sender: str,
    to: str,
    iat: int,
    ch: Channel,
    mv: int,
    salt: bytes,
    body: bytes,
    ephemeral_seed: bytes,
    nonce: bytes,
    exp: int | None = None,
) -> Sealed:
    """Seals `body` (JSON that repeats net, from, to, jti) for `to` and signs its routing; `exp` defaults to the most.

    `salt` (32 bytes) and `body` stay the same when an event is sealed again; ephemeral_seed and nonce never do.
    """
    if len(salt) != SALT_BYTES:
        raise ProtocolError("bad-shape", field="salt", expected=f"{SALT_BYTES} bytes")
    if body.endswith(b" "):
        raise ProtocolError("bad-body", expected="no space at the end")
    s = jwe.seal(
        suite,
        recipient,
        ephemeral_seed=ephemeral_seed,
        nonce=nonce,
        apu=sender.encode("ascii"),
        apv=to.encode("ascii"),
        plaintext=pad(salt + body),
    )
    ct = ct_of(s)
    cm = commitment(salt, body)
    routing = Routing(
        v=VERSION,
        net=net,
        jti=jti,
        sender=sender,
        to=to,
        iat=iat,
        exp=iat + LIFETIME_MAX if exp is None else exp,
        ch=str(ch),
        mv=mv,
        ct=ct,
        cm=cm,
    )
    if sender == to:
        raise ProtocolError("to-self", field="to")
    _check_lifetime(routing)
    e = sign_compact(signing_key, MSG, _encode(routing))
    return Sealed(e, s, mid_of(e), cm, ct)


def read_items(raw: bytes) -> list[Item]:
    """A batch, at most 50 items and 6 MiB; an item is judged by `item_parts`, so that a bad one spoils no other."""
    items = decode_written(raw, Batch, max_bytes=BATCH_BYTES, numbers=False).items
    if len(items) > BATCH_ITEMS:
        raise ProtocolError("too-large", field="items", expected=f"at most {BATCH_ITEMS}", got=str(len(items)))
    return items


def item_parts(item: Item) -> Envelope | str:
    """An item is either an envelope {e, s} or a receipt {r}; else bad-shape."""
    if isinstance(item.e, str) and isinstance(item.s, str) and item.r is UNSET:
        return Envelope(item.e, item.s)
    if isinstance(item.r, str) and item.e is UNSET and item.s is UNSET:
        return item.r
    raise ProtocolError("bad-shape", expected="{e, s} or {r}")


def read_envelope(raw: bytes) -> Outer:
    """One `application/vnd.raccordo.envelope+json`, exactly two members."""
    envelope = decode(raw, Envelope, max_bytes=ROUTING_MAX + SEALED_MAX + 64)
    return read_outer(envelope.e, envelope.s)


def read_outer(e: str, s: str) -> Outer:
    """Sizes, segments, alphabet, header, payload. Every refusal here is answered unsigned."""
    if len(s) > SEALED_MAX:
        raise ProtocolError("too-large", field="s", expected=f"at most {SEALED_MAX} characters")
    jws = parse_compact(e, MSG, max_bytes=ROUTING_MAX)
    routing = decode_written(jws.payload, Routing, max_bytes=ROUTING_MAX)
    check_node_id(routing.sender, field="from")
    check_node_id(routing.to, field="to")
    check_event_id(routing.jti)
    for name, value in (("net", routing.net), ("ct", routing.ct), ("cm", routing.cm)):
        check_hash(value, field=name)
    if min(routing.iat, routing.exp, routing.mv) < 0:
        raise ProtocolError("bad-shape", expected="iat, exp and mv from 0")
    return Outer(routing, parse_channel(routing.ch), digest(jws.signing_input), jws, s)


def verify_outer(outer: Outer, keyring: Keyring, *, net: str, me: str | None) -> Verified:
    """Key, signature, net, to, ct; `me` is None at a relay. Every refusal here is answered unsigned and carries `mid`.

    Raises unknown-key, bad-signature, revoked-key, wrong-network, to-self, wrong-recipient, ct-mismatch. Under a
    revoked key only a known mid is answered: on revoked-key the caller may look up `error.mid`, and must not go on.
    """
    routing = outer.routing
    try:
        state = verify_member(outer.jws, routing.sender, keyring)
        if routing.net != net:
            raise ProtocolError("wrong-network", field="net")
        if routing.to == routing.sender:
            raise ProtocolError("to-self", field="to")
        if me is not None and routing.to != me:
            raise ProtocolError("wrong-recipient", field="to")
        if ct_of(outer.s) != routing.ct:
            raise ProtocolError("ct-mismatch", field="s")
    except ProtocolError as error:
        error.mid = outer.mid
        raise
    status: Literal["current", "superseded"] = "current" if state.status == "current" else "superseded"
    return Verified(routing, outer.channel, outer.mid, outer.jws.kid, status)


def verify_relay(e: str, s: str, keyring: Keyring, *, net: str, now: int) -> Verified:
    """What a relay checks at intake: everything it can see. It never opens and never judges the version."""
    verified = verify_outer(read_outer(e, s), keyring, net=net, me=None)
    _check_times(verified, now)
    return verified


def check_fresh(verified: Verified, now: int) -> None:
    """Version, then times, for an event nobody here knows.

    Raises unsupported-version, bad-lifetime (rejectable); from-the-future, expired (unsigned, the sender seals again).
    """
    if verified.routing.v != VERSION:
        raise ProtocolError("unsupported-version", field="v", expected=str(VERSION), mid=verified.mid)
    _check_times(verified, now)


def _check_lifetime(routing: Routing) -> None:
    if not routing.iat < routing.exp <= routing.iat + LIFETIME_MAX:
        raise ProtocolError("bad-lifetime", field="exp", expected=f"within {LIFETIME_MAX} s after iat")


def _check_times(verified: Verified, now: int) -> None:
    routing = verified.routing
    try:
        _check_lifetime(routing)
        if routing.iat > now + CLOCK_AHEAD_MAX:
            raise ProtocolError("from-the-future", field="iat", expected=f"at most {now + CLOCK_AHEAD_MAX}")
        if routing.exp <= now:
            raise ProtocolError("expired", field="exp", expected=f"after {now}")
    except ProtocolError as error:
        error.mid = verified.mid
        raise


class _Inner(Struct, frozen=True, rename={"sender": "from"}):
    """What every body repeats of its envelope; the rest of the body is not looked at yet."""

    net: str
    sender: str
    to: str
    jti: str


def open_sealed(verified: Verified, s: str, keys: Mapping[str, SealingKey], suite: Suite) -> Opened:
    """Opens and binds: apu, apv and inner names equal the outer ones, `cm` matches salt and body.

    Raises reseal, cannot-open (unsigned); bad-seal, bad-body, inner-outer-mismatch, commitment-mismatch (rejectable).
    """
    routing = verified.routing
    try:
        apu, apv = routing.sender.encode("ascii"), routing.to.encode("ascii")
        plaintext = unpad(_open(suite, keys, s, apu=apu, apv=apv))
        salt, body = plaintext[:SALT_BYTES], plaintext[SALT_BYTES:]
        scanned = bind_body(routing, body)
        if commitment(salt, body) != routing.cm:
            raise ProtocolError("commitment-mismatch", field="cm")
    except ProtocolError as error:
        error.mid = verified.mid
        raise
    return Opened(salt, scanned)


def _open(suite: Suite, keys: Mapping[str, SealingKey], s: str, *, apu: bytes, apv: bytes) -> bytes:
    """Malformed after ct matched: the sender itself wrote it so, which is for ever."""
    try:
        return jwe.open(suite, keys, s, apu=apu, apv=apv)
    except ProtocolError as error:
        if error.code in ("reseal", "cannot-open", "inner-outer-mismatch"):
            raise
        raise ProtocolError("bad-seal", field=error.field, expected=error.expected, got=error.code) from None


def bind_body(routing: Routing, body: bytes) -> ScannedJson:
    """`body` as strict JSON that repeats net, from, to, jti of its envelope. Raises bad-body, inner-outer-mismatch."""
    try:
        scanned = scan(body, max_bytes=BODY_MAX)
    except ProtocolError as error:
        raise ProtocolError("bad-body", expected=error.expected, got=error.code) from None
    inner = decode_scanned(scanned, _Inner, code="bad-body")
    for name, mine, theirs in (
        ("net", inner.net, routing.net),
        ("from", inner.sender, routing.sender),
        ("to", inner.to, routing.to),
        ("jti", inner.jti, routing.jti),
    ):
        if mine != theirs:
            raise ProtocolError("inner-outer-mismatch", field=name)
    return scanned


class _Demands(Struct, frozen=True):
    """What decides between a broken body and one from a newer version."""

    kind: str
    must: list[str] | UnsetType = UNSET


def decode_event_body(body: ScannedJson, *, understood: frozenset[str] = frozenset()) -> Body:
    """The typed body; `understood` are the features of `must` that the caller implements.

    Raises unsupported (an unknown kind, or a feature that has to be understood), forward-loop, forward-hops (an offer
    that went in a circle or too far), else bad-body with the field.
    """
    try:
        decoded = decode_scanned(body, _BODY, code="bad-body")
    except ProtocolError:
        _check_demands(decode_scanned(body, _Demands, code="bad-body"), understood)
        raise
    if decoded.must is not UNSET:
        _check_must(decoded.must, understood)
    if isinstance(decoded, EventBody):
        check_path(decoded)
    return decoded


def _check_demands(demands: _Demands, understood: frozenset[str]) -> None:
    if demands.kind not in KINDS:
        raise ProtocolError("unsupported", field="kind")
    if demands.must is not UNSET:
        _check_must(demands.must, understood)


def _check_must(must: list[str], understood: frozenset[str]) -> None:
    if not understood.issuperset(must):
        raise ProtocolError("unsupported", field="must")
