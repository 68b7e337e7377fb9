"""Reading bytes strictly: JSON, base64url, typed decoding. Not what the bytes mean.

PROTOCOL §2: depth ≤ 16, no duplicate names, integers ≤ 2^53−1, no NaN or infinity, UTF-8 without BOM. `scan` checks
that once; `ScannedJson` marks the bytes that passed, so that they are decoded again without a second scan.
"""

import json
import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from hashlib import sha256
from typing import Any, Final, NewType, NoReturn, TypeVar

import msgspec

from protocol.errors import ProtocolError
from protocol.limits import JSON_MAX_DEPTH, JSON_MAX_INT

T = TypeVar("T")
ScannedJson = NewType("ScannedJson", bytes)

_BOM: Final = b"\xef\xbb\xbf"
_INT_TEXT_MAX: Final = len(str(-JSON_MAX_INT))
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
_TO_PLAIN: Final = bytes.maketrans(b"-_", b"+/")


def b64u_encode(raw: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return b2a_base64(raw, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def b64u_decode(text: str, *, field: str | None = None) -> bytes:
    """The bytes behind `text`, which has to be their one canonical form; else `bad-base64`."""
    try:
        ascii_text = text.encode("ascii")
        raw = a2b_base64(ascii_text.translate(_TO_PLAIN) + b"=" * (-len(ascii_text) % 4))
    except (UnicodeEncodeError, Base64Error):
        raise ProtocolError("bad-base64", field=field) from None
    # One comparison refuses padding, foreign characters, the plain alphabet and stray bits in the last character.
    if b64u_encode(raw) != text:
        raise ProtocolError("bad-base64", field=field)
    return raw


def digest(data: bytes) -> str:
    """b64u(SHA-256(data)): how everything is named on this wire."""
    return b64u_encode(sha256(data).digest())


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ProtocolError("json-duplicate-name")
    return members


def _integer(text: str) -> int:
    if len(text) <= _INT_TEXT_MAX and -JSON_MAX_INT <= (value := int(text)) <= JSON_MAX_INT:
        return value
    raise ProtocolError("json-number", expected="|integer| < 2^53")


def _number(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ProtocolError("json-number", expected="a finite number")
    return value


def _constant(text: str) -> NoReturn:
    raise ProtocolError("json-number", expected="a finite number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_number, parse_constant=_constant
)


def _too_deep(value: object, max_depth: int) -> bool:
    """Level by level, without recursion: is there an array or object inside `max_depth` others?"""
    level = [value]
    for _ in range(max_depth):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
    return any(isinstance(node, dict | list) for node in level)


def scan(raw: bytes, *, max_bytes: int, max_depth: int = JSON_MAX_DEPTH) -> ScannedJson:
    """Checks that `raw` is one strict JSON text and returns it marked as such.

    Raises too-large, bad-encoding, bad-json, json-too-deep, json-duplicate-name, json-number.
    """
    if len(raw) > max_bytes:
        raise ProtocolError("too-large", expected=f"at most {max_bytes} bytes", got=f"{len(raw)} bytes")
    if raw.startswith(_BOM):
        raise ProtocolError("bad-encoding", expected="UTF-8 without BOM")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("bad-encoding") from None
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ProtocolError("json-too-deep", expected=f"depth at most {max_depth}") from None
    except ValueError:
        raise ProtocolError("bad-json") from None
    # Few openers cannot nest deeply: two counts at C speed spare nearly every body the walk.
    if raw.count(b"{") + raw.count(b"[") > max_depth and _too_deep(value, max_depth):
        raise ProtocolError("json-too-deep", expected=f"depth at most {max_depth}")
    if b"\\u" in raw and _has_lone_surrogate(value):
        raise ProtocolError("bad-encoding", expected="paired surrogates")
    return ScannedJson(raw)


def _has_lone_surrogate(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


_DECODERS: Final[dict[object, msgspec.json.Decoder[Any]]] = {}
"""One decoder for each shape in the program, made when first needed."""


def _decoder(shape: type[T]) -> msgspec.json.Decoder[T]:
    decoder = _DECODERS.get(shape)
    if decoder is None:
        decoder = _DECODERS[shape] = msgspec.json.Decoder(shape)
    return decoder


_PATH: Final = re.compile(r" - at `(?:key in )?(\$[^`]*)`$")
_MISSING: Final = re.compile(r"^Object missing required field `([^`]+)`")
_EXPECTED: Final = re.compile(r"^Expected `([^`]+)`([^`]*?)(?:, got `([^`]+)`)?(?: - at |$)")


def _shape_error(error: msgspec.ValidationError, code: str) -> ProtocolError:
    """Path and types only: msgspec quotes offending values and unknown names, which may be personal data."""
    message = str(error)
    at = _PATH.search(message)
    path = at.group(1) if at else "$"
    if missing := _MISSING.match(message):
        return ProtocolError(code, field=f"{path}.{missing.group(1)}", expected="present")
    if message.startswith("Object contains unknown field"):
        return ProtocolError(code, field=path, expected="no other member")
    if kind := _EXPECTED.match(message):
        return ProtocolError(code, field=path, expected=kind.group(1) + kind.group(2), got=kind.group(3))
    return ProtocolError(code, field=path)


def decode_scanned(raw: ScannedJson, shape: type[T], *, code: str = "bad-shape") -> T:
    """Scanned JSON as `shape`; raises `code` with the path of the field."""
    try:
        return _decoder(shape).decode(raw)
    except msgspec.ValidationError as error:
        raise _shape_error(error, code) from None
    except msgspec.DecodeError:
        raise ProtocolError("bad-json") from None


def decode(raw: bytes, shape: type[T], *, max_bytes: int, max_depth: int = JSON_MAX_DEPTH) -> T:
    """Bytes from outside as `shape`: scan, then decode. Raises what `scan` raises, and bad-shape."""
    return decode_scanned(scan(raw, max_bytes=max_bytes, max_depth=max_depth), shape)


_encode: Final = msgspec.json.Encoder().encode
_LONG_NUMBER: Final = re.compile(rb"[0-9]{%d}" % (_INT_TEXT_MAX - 1))


def decode_written(raw: bytes, shape: type[T], *, max_bytes: int, numbers: bool = True) -> T:
    """As `decode`, at a quarter of its cost for bytes that equal their own writing: those pass every strict rule.

    For closed shapes, which nearly always come as we write them: no unknown member, no repetition, no depth of their
    own. `numbers` False: the shape holds none, so their size need not be looked at.
    """
    if len(raw) <= max_bytes:
        try:
            value = _decoder(shape).decode(raw)
            if _encode(value) == raw and not (numbers and _LONG_NUMBER.search(raw)):
                return value
        except (msgspec.MsgspecError, UnicodeError):
            pass  # the strict scan says what is wrong with it
    return decode(raw, shape, max_bytes=max_bytes)


def decode_body(raw: bytes, shape: type[T], *, max_bytes: int) -> T:
    """As `decode`, for what was sealed: every fault is `bad-body`, `got` naming the finer code."""
    try:
        return decode_scanned(scan(raw, max_bytes=max_bytes), shape, code="bad-body")
    except ProtocolError as error:
        if error.code == "bad-body":
            raise
        raise ProtocolError("bad-body", expected=error.expected, got=error.code) from None
