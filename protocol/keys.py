"""Public keys as bytes and as JWKs: the point checks, the JWK form, thumbprints. No signing (protocol.suite).

A public key looks like this: {"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
"""

from typing import Final, Literal

from msgspec import Struct

from protocol.errors import ProtocolError
from protocol.strict import b64u_decode, b64u_encode, digest

Curve = Literal["Ed25519", "X25519"]
SIGNING: Final[Curve] = "Ed25519"
SEALING: Final[Curve] = "X25519"

KEY_BYTES: Final = 32
_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P
_SIGN_BIT: Final = 1 << 255

_ORDER_8_Y: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
LOW_ORDER_Y: Final = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})
"""y of the eight points of order 1, 2, 4 and 8: under such a key one constant signature verifies any message."""

LOW_ORDER_U: Final = frozenset(
    {
        0,
        1,
        _P - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)
"""u of the X25519 points whose shared secret is zero (RFC 7748 §6.1); those from 2^255−19 up are not canonical."""


class Jwk(Struct, frozen=True, forbid_unknown_fields=True):
    """An OKP public key (RFC 8037 §2), members in the order in which RFC 7638 hashes them."""

    crv: str
    kty: str
    x: str


def _bad(field: str | None, expected: str) -> ProtocolError:
    return ProtocolError("bad-key", field=field, expected=expected)


def check_signing_public(raw: bytes, *, field: str | None = None) -> bytes:
    """`raw` if it is a canonical Ed25519 point that is not of low order (RFC 8032 §5.1.3); else `bad-key`."""
    if len(raw) != KEY_BYTES:
        raise _bad(field, "32 bytes")
    encoded = int.from_bytes(raw, "little")
    y = encoded & ~_SIGN_BIT
    if y >= _P:
        raise _bad(field, "a canonical encoding")
    if y in LOW_ORDER_Y:
        raise _bad(field, "a point of large order")
    # x² = (y² − 1) / (d y² + 1) has to be a square; x = 0 happens only at the low-order y = ±1 refused above.
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    if pow(x_squared, (_P - 1) // 2, _P) != 1:
        raise _bad(field, "a point of the curve")
    return raw


def check_sealing_public(raw: bytes, *, field: str | None = None) -> bytes:
    """`raw` if it is a canonical X25519 coordinate that is not of low order; else `bad-key`."""
    if len(raw) != KEY_BYTES:
        raise _bad(field, "32 bytes")
    u = int.from_bytes(raw, "little")
    if u >= _P:
        raise _bad(field, "a canonical encoding")
    if u in LOW_ORDER_U:
        raise _bad(field, "a point of large order")
    return raw


def check_public(curve: Curve, raw: bytes, *, field: str | None = None) -> bytes:
    """The check of the curve."""
    return check_signing_public(raw, field=field) if curve == SIGNING else check_sealing_public(raw, field=field)


def thumbprint(curve: Curve, raw: bytes) -> str:
    """`kid`: RFC 7638 with SHA-256."""
    return digest(f'{{"crv":"{curve}","kty":"OKP","x":"{b64u_encode(raw)}"}}'.encode("ascii"))


def to_jwk(curve: Curve, raw: bytes) -> Jwk:
    """Raw public bytes as a JWK."""
    return Jwk(curve, "OKP", b64u_encode(raw))


def from_jwk(jwk: Jwk, curve: Curve, *, field: str | None = None) -> bytes:
    """Checked raw bytes of a JWK of this curve; else `bad-key` or `bad-base64`."""
    if jwk.kty != "OKP" or jwk.crv != curve:
        raise _bad(field, curve)
    return check_public(curve, b64u_decode(jwk.x, field=field), field=field)
