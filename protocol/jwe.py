"""Compact JWE (RFC 7516): ECDH-ES on X25519, A256GCM, one closed header. Not what is inside.

A protected header looks like this (apu = b64u(from), apv = b64u(to), kid names the recipient's sealing key):
{"alg":"ECDH-ES","enc":"A256GCM","kid":"…","epk":{"crv":"X25519","kty":"OKP","x":"…"},"apu":"…","apv":"…"}
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from msgspec import Struct

from protocol.errors import ProtocolError
from protocol.keys import SEALING, Jwk, from_jwk
from protocol.limits import SEAL_HEADER_MAX, SEALED_MAX
from protocol.names import is_hash
from protocol.strict import b64u_decode, b64u_encode, decode_written
from protocol.suite import NONCE_BYTES, TAG_BYTES, SealingKey, SealingPublic, Suite

ALG: Final = "ECDH-ES"
ENC: Final = "A256GCM"


class Header(Struct, frozen=True, forbid_unknown_fields=True):
    """The protected header, exactly these members: no zip, no crit."""

    alg: str
    enc: str
    kid: str
    epk: Jwk
    apu: str
    apv: str


class Seal(Struct, frozen=True):
    """A well-formed JWE, not yet opened. `aad` is the ASCII of the header segment, `sealed` is ciphertext ‖ tag."""

    header: Header
    aad: bytes
    nonce: bytes
    sealed: bytes


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


_KDF_ROUND: Final = (1).to_bytes(4, "big")
_KDF_ALG: Final = _sized(ENC.encode("ascii"))
_KDF_BITS: Final = (256).to_bytes(4, "big")


def content_key(shared: bytes, apu: bytes, apv: bytes) -> bytes:
    """Concat KDF of RFC 7518 §4.6.2 for direct agreement of an A256GCM key: one round of SHA-256."""
    return sha256(_KDF_ROUND + shared + _KDF_ALG + _sized(apu) + _sized(apv) + _KDF_BITS).digest()


def seal(
    suite: Suite,
    recipient: SealingPublic,
    *,
    ephemeral_seed: bytes,
    nonce: bytes,
    apu: bytes,
    apv: bytes,
    plaintext: bytes,
) -> str:
    """`plaintext` for `recipient` alone. `ephemeral_seed` (32 bytes) and `nonce` (12) are fresh for every call."""
    ephemeral = suite.sealing_key(ephemeral_seed)
    header = b64u_encode(
        f'{{"alg":"{ALG}","enc":"{ENC}","kid":"{recipient.kid}",'
        f'"epk":{{"crv":"{SEALING}","kty":"OKP","x":"{b64u_encode(ephemeral.public)}"}},'
        f'"apu":"{b64u_encode(apu)}","apv":"{b64u_encode(apv)}"}}'.encode("ascii")
    )
    key = content_key(ephemeral.exchange(recipient), apu, apv)
    sealed = suite.encrypt(key, nonce, header.encode("ascii"), plaintext)
    return f"{header}..{b64u_encode(nonce)}.{b64u_encode(sealed[:-TAG_BYTES])}.{b64u_encode(sealed[-TAG_BYTES:])}"


def parse(text: str, *, max_bytes: int = SEALED_MAX) -> Seal:
    """Reads, in this order: size, segments, header, lengths. Raises too-large, bad-shape, bad-base64, bad-header."""
    if len(text) > max_bytes:
        raise ProtocolError("too-large", field="s", expected=f"at most {max_bytes} characters")
    segments = text.split(".")
    if len(segments) != 5:
        raise ProtocolError("bad-shape", field="s", expected="five segments", got=f"{len(segments)} segments")
    header = _read_header(segments[0])
    if segments[1]:
        raise ProtocolError("bad-shape", field="encrypted_key", expected="an empty segment")
    nonce = b64u_decode(segments[2], field="iv")
    tag = b64u_decode(segments[4], field="tag")
    if len(nonce) != NONCE_BYTES or len(tag) != TAG_BYTES:
        raise ProtocolError("bad-shape", field="s", expected="a 12-byte iv and a 16-byte tag")
    return Seal(header, segments[0].encode("ascii"), nonce, b64u_decode(segments[3], field="ciphertext") + tag)


def _read_header(segment: str) -> Header:
    if len(segment) > SEAL_HEADER_MAX:
        raise ProtocolError("too-large", field="header")
    raw = b64u_decode(segment, field="header")
    try:
        header = decode_written(raw, Header, max_bytes=SEAL_HEADER_MAX, numbers=False)
    except ProtocolError as error:
        raise ProtocolError("bad-header", field=error.field, expected=error.expected, got=error.code) from None
    for name, value, expected in (("alg", header.alg, ALG), ("enc", header.enc, ENC)):
        if value != expected:
            raise ProtocolError("bad-header", field=name, expected=expected)
    if not is_hash(header.kid):
        raise ProtocolError("bad-header", field="kid", expected="an RFC 7638 thumbprint")
    return header


def open_seal(suite: Suite, keys: Mapping[str, SealingKey], seal: Seal, *, apu: bytes, apv: bytes) -> bytes:
    """The plaintext. `keys` are the sealing keys held, by kid.

    Raises inner-outer-mismatch (apu, apv), bad-key (epk), reseal (the key is no longer held), cannot-open.
    """
    header = seal.header
    for name, value, expected in (("apu", header.apu, apu), ("apv", header.apv, apv)):
        if b64u_decode(value, field=name) != expected:
            raise ProtocolError("inner-outer-mismatch", field=name)
    epk = suite.sealing_public(from_jwk(header.epk, SEALING, field="epk"))
    key = keys.get(header.kid)
    if key is None:
        raise ProtocolError("reseal", field="kid")
    return suite.decrypt(content_key(key.exchange(epk), apu, apv), seal.nonce, seal.aad, seal.sealed)


def open(  # noqa: A001 - the word of the RFC's verb pair seal/open; read as jwe.open
    suite: Suite, keys: Mapping[str, SealingKey], text: str, *, apu: bytes, apv: bytes
) -> bytes:
    """`parse`, then `open_seal`."""
    return open_seal(suite, keys, parse(text), apu=apu, apv=apv)
