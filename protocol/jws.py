"""Compact and General JWS (RFC 7515) under one closed header, and who may sign as whom. Not what payloads mean.

A compact JWS here is header.payload.signature, each canonical base64url, with a header like this:
{"alg":"Ed25519","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k","typ":"raccordo-msg+jws"}
The algorithm belongs to the pinned key; `alg` is only compared. A payload is decoded but not believed before `verify`.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal, NamedTuple, Protocol

import msgspec
from msgspec import Struct

from protocol.errors import ProtocolError
from protocol.limits import GENERAL_SIGNATURES_MAX, HEADER_MAX
from protocol.names import is_hash
from protocol.strict import b64u_decode, b64u_encode, decode
from protocol.suite import SIGNATURE_BYTES, SigningKey, VerifyKey

Typ = Literal[
    "raccordo-msg+jws",
    "raccordo-rcpt+jws",
    "raccordo-req+jwt",
    "raccordo-root+jws",
    "raccordo-adm+jws",
    "raccordo-key+jws",
    "raccordo-rts+jws",
    "raccordo-mem+jws",
    "raccordo-cat+jws",
    "raccordo-takeback+jws",
]
MSG: Final[Typ] = "raccordo-msg+jws"
RCPT: Final[Typ] = "raccordo-rcpt+jws"
REQ: Final[Typ] = "raccordo-req+jwt"
ROOT: Final[Typ] = "raccordo-root+jws"
ADM: Final[Typ] = "raccordo-adm+jws"
KEY: Final[Typ] = "raccordo-key+jws"
RTS: Final[Typ] = "raccordo-rts+jws"
MEM: Final[Typ] = "raccordo-mem+jws"
CAT: Final[Typ] = "raccordo-cat+jws"
TAKEBACK: Final[Typ] = "raccordo-takeback+jws"
TYPES: Final[dict[Typ, str]] = {
    MSG: "an envelope's routing part, signed by the sender",
    RCPT: "a receipt, signed by the recipient",
    REQ: "a request token, signed by the caller",
    ROOT: "a root, signed by guarantors",
    ADM: "an admission, signed by guarantors",
    KEY: "a signing-key statement, signed by the member's previous key",
    RTS: "routes and sealing keys, signed by the member's current key",
    MEM: "the members document, signed by the registry's online key",
    CAT: "a publication, signed by its member",
    TAKEBACK: "a sender's order to a relay to delete what is unfetched",
}
"""The closed table of `typ` values: one kind of object can never be read as another."""

ALG: Final = "Ed25519"
ACCEPTED_ALGS: Final = frozenset({ALG, "EdDSA"})


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """The protected header, exactly these members: no crit, no jwk, no jku, no b64, no x5c."""

    alg: str
    kid: str
    typ: str


class Unverified(NamedTuple):
    """A well-formed JWS whose signature nobody has checked."""

    kid: str
    payload: bytes
    signing_input: bytes
    signature: bytes


class KeyState(NamedTuple):
    """A member's signing key. `superseded`: an older key of the chain, not revoked."""

    key: VerifyKey
    status: Literal["current", "superseded", "revoked"]


class Keyring(Protocol):
    """Who may sign as whom, from a verified membership."""

    def signing_key(self, node: str, kid: str) -> KeyState | None:
        """The key `kid` of member `node`, if it is or was one."""


@lru_cache(maxsize=1024)
def _header_segment(kid: str, typ: Typ) -> str:
    return b64u_encode(f'{{"alg":"{ALG}","kid":"{kid}","typ":"{typ}"}}'.encode("ascii"))


@lru_cache(maxsize=1024)
def _read_header(segment: str, typ: Typ) -> Header:
    """A member's header is the same in each of its messages, hence the cache (bounded by HEADER_MAX each)."""
    if len(segment) > HEADER_MAX:
        raise ProtocolError("too-large", field="header")
    raw = b64u_decode(segment, field="header")
    try:
        header = decode(raw, Header, max_bytes=HEADER_MAX)
    except ProtocolError as error:
        raise ProtocolError("bad-header", field=error.field, expected=error.expected, got=error.code) from None
    if header.alg not in ACCEPTED_ALGS:
        raise ProtocolError("bad-header", field="alg", expected=ALG)
    if not is_hash(header.kid):
        raise ProtocolError("bad-header", field="kid", expected="an RFC 7638 thumbprint")
    if header.typ != typ:
        raise ProtocolError("bad-header", field="typ", expected=typ)
    return header


def _signature(segment: str) -> bytes:
    signature = b64u_decode(segment, field="signature")
    if len(signature) != SIGNATURE_BYTES:
        raise ProtocolError("bad-signature", field="signature", expected=f"{SIGNATURE_BYTES} bytes")
    return signature


def sign_compact(key: SigningKey, typ: Typ, payload: bytes) -> str:
    """header.payload.signature."""
    signing_input = f"{_header_segment(key.kid, typ)}.{b64u_encode(payload)}"
    return f"{signing_input}.{b64u_encode(key.sign(signing_input.encode('ascii')))}"


def parse_compact(text: str, typ: Typ, *, max_bytes: int) -> Unverified:
    """Reads, in this order: size, three segments, alphabet, header, payload; believes nothing.

    Raises too-large, bad-shape, bad-base64, bad-header, bad-signature (a signature that is not 64 bytes).
    """
    if len(text) > max_bytes:
        raise ProtocolError("too-large", expected=f"at most {max_bytes} characters", got=f"{len(text)} characters")
    segments = text.split(".")
    if len(segments) != 3:
        raise ProtocolError("bad-shape", expected="three segments", got=f"{len(segments)} segments")
    header = _read_header(segments[0], typ)
    payload = b64u_decode(segments[1], field="payload")
    signing_input = f"{segments[0]}.{segments[1]}".encode("ascii")
    return Unverified(header.kid, payload, signing_input, _signature(segments[2]))


def verify(unverified: Unverified, key: VerifyKey) -> bytes:
    """The payload, now believed to be the key's. Raises unknown-key when `kid` names another key, bad-signature."""
    if unverified.kid != key.kid:
        raise ProtocolError("unknown-key", field="kid")
    key.verify(unverified.signature, unverified.signing_input)
    return unverified.payload


def verify_member(unverified: Unverified, node: str, keyring: Keyring) -> KeyState:
    """Verifies that member `node` signed. Raises unknown-key, bad-signature, then revoked-key.

    The signature comes before the revocation so that revoked-key says something true about the bytes.
    """
    state = keyring.signing_key(node, unverified.kid)
    if state is None:
        raise ProtocolError("unknown-key", field="kid")
    state.key.verify(unverified.signature, unverified.signing_input)
    if state.status == "revoked":
        raise ProtocolError("revoked-key", field="kid")
    return state


class _Signature(Struct, frozen=True, forbid_unknown_fields=True):
    protected: str
    signature: str


class _GeneralJson(Struct, frozen=True, forbid_unknown_fields=True):
    payload: str
    signatures: list[_Signature]


class General(NamedTuple):
    """A General JSON JWS (RFC 7515 §7.2.1), no unprotected headers, at most one signature for each kid.

    {"payload":"…","signatures":[{"protected":"…","signature":"…"}, …]}
    """

    payload: bytes
    signatures: tuple[Unverified, ...]


_encode: Final = msgspec.json.Encoder().encode


def _sign_one(key: SigningKey, typ: Typ, payload_segment: str) -> _Signature:
    protected = _header_segment(key.kid, typ)
    return _Signature(protected, b64u_encode(key.sign(f"{protected}.{payload_segment}".encode("ascii"))))


def sign_general(keys: Iterable[SigningKey], typ: Typ, payload: bytes) -> bytes:
    """One payload under several keys, ordered by kid so that the same signers give the same bytes."""
    segment = b64u_encode(payload)
    by_kid = {key.kid: key for key in keys}
    return _encode(_GeneralJson(segment, [_sign_one(by_kid[kid], typ, segment) for kid in sorted(by_kid)]))


def merge_general(parts: Sequence[bytes], typ: Typ, *, max_bytes: int) -> bytes:
    """Signatures made apart over one payload, together; nothing is verified. Raises bad-shape if payloads differ."""
    read = [parse_general(part, typ, max_bytes=max_bytes) for part in parts]
    if len({general.payload for general in read}) != 1:
        raise ProtocolError("bad-shape", field="payload", expected="the same payload")
    by_kid = {one.kid: one for general in read for one in general.signatures}
    merged = [
        _Signature(by_kid[kid].signing_input.decode("ascii").split(".")[0], b64u_encode(by_kid[kid].signature))
        for kid in sorted(by_kid)
    ]
    return _encode(_GeneralJson(b64u_encode(read[0].payload), merged))


def parse_general(raw: bytes, typ: Typ, *, max_bytes: int) -> General:
    """Reads as `parse_compact` does; believes nothing."""
    outer = decode(raw, _GeneralJson, max_bytes=max_bytes)
    if not 1 <= len(outer.signatures) <= GENERAL_SIGNATURES_MAX:
        raise ProtocolError("bad-shape", field="signatures", expected=f"1 to {GENERAL_SIGNATURES_MAX}")
    payload = b64u_decode(outer.payload, field="payload")
    signatures = tuple(_read_one(one, typ, payload, outer.payload) for one in outer.signatures)
    if len({one.kid for one in signatures}) != len(signatures):
        raise ProtocolError("bad-shape", field="signatures", expected="one for each kid")
    return General(payload, signatures)


def _read_one(one: _Signature, typ: Typ, payload: bytes, segment: str) -> Unverified:
    header = _read_header(one.protected, typ)
    return Unverified(header.kid, payload, f"{one.protected}.{segment}".encode("ascii"), _signature(one.signature))


def verify_threshold(general: General, keys: Mapping[str, VerifyKey], threshold: int) -> bytes:
    """The payload, if at least `threshold` distinct keys of `keys` signed it; else `threshold`.

    As in TUF, signatures by other keys and signatures that do not verify count for nothing and spoil nothing.
    """
    signers = {keys[one.kid].raw for one in general.signatures if one.kid in keys and _holds(one, keys[one.kid])}
    if threshold < 1 or len(signers) < threshold:
        raise ProtocolError("threshold", expected=f"{threshold} signatures", got=f"{len(signers)} signatures")
    return general.payload


def _holds(one: Unverified, key: VerifyKey) -> bool:
    try:
        verify(one, key)
    except ProtocolError:
        return False
    return True
