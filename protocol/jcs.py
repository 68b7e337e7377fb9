"""RFC 8785: the one way our writers put JSON into bytes. Only a writer: readers never re-serialise what they received.

write({"b": 1.0, "a": ["è", None]}) == b'{"a":["\\xc3\\xa8",null],"b":1}'
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from protocol.errors import ProtocolError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

SAFE_INTEGER: Final = 2**53 - 1
_quote = json.JSONEncoder(ensure_ascii=False).encode  # escapes exactly what RFC 8785 §3.2.2.2 lists


def write(value: Json) -> bytes:
    """The canonical bytes. Raises json-number (not a finite double or a safe integer), bad-encoding, bad-shape."""
    try:
        return _text(value).encode("utf-8")
    except UnicodeEncodeError:
        raise ProtocolError("bad-encoding", expected="no lone surrogate") from None


def number(value: float) -> str:
    """A double as ECMAScript prints it (ECMA-262 Number::toString, radix 10); -0 is 0."""
    if not math.isfinite(value):
        raise ProtocolError("json-number", expected="finite")
    if value == 0:
        return "0"
    # repr gives the shortest digits that read back to the same double: the same ones ECMAScript asks for.
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return ("-" if value < 0 else "") + _place(digits.rstrip("0"), point)


def _place(digits: str, point: int) -> str:
    """`digits` with the decimal point after position `point`: the four cases of ECMA-262."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    head = digits[0] + (f".{digits[1:]}" if count > 1 else "")
    return f"{head}e{point - 1:+d}"


def _text(value: Json) -> str:
    if isinstance(value, str):
        return _quote(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        if abs(value) > SAFE_INTEGER:
            raise ProtocolError("json-number", expected="at most 2^53-1")
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_quote(name)}:{_text(value[name])}" for name in sorted(value, key=_utf16)) + "}"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return "[" + ",".join(map(_text, value)) + "]"
    raise ProtocolError("bad-shape", expected="a JSON value", got=type(value).__name__)


def _utf16(name: str) -> bytes:
    """Member names sort by UTF-16 code units, not by code points (RFC 8785 §3.2.3)."""
    if not isinstance(name, str):
        raise ProtocolError("bad-shape", expected="names that are text")
    return name.encode("utf-16-be", "surrogatepass")
