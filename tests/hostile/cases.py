"""What a hostile peer sends, generated: bodies, values in every field of a struct, queries, paths, raw bytes. No I/O."""

import gzip
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import UNSET, inspect

from tests.hostile.town import CANARY
from tests.hostile.wire import Request

READING = frozenset({"bad-json", "json-too-deep", "json-duplicate-name", "json-number", "bad-encoding", "bad-shape"})
BIG = b"9" * 5000

# -- whole bodies: none of them is a request of ours

BODIES: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \r\n\t",
    "not JSON": CANARY.encode(),
    "half": b'{"items":[{"e":"' + CANARY.encode(),
    "array": b"[]",
    "null": b"null",
    "true": b"true",
    "number": b"12",
    "text": b'"%s"' % CANARY.encode(),
    "100,000 arrays": b"[" * 100_000,
    "100,000 arrays closed": b"[" * 100_000 + b"]" * 100_000,
    "10,000 objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "17 deep in a stranger": b'{"x":' + b"[" * 17 + b"]" * 17 + b"}",
    "duplicate names": b'{"%s":1,"%s":2}' % (CANARY.encode(), CANARY.encode()),
    "5,000 digits": b'{"%s":%s}' % (CANARY.encode(), BIG),
    "minus 5,000 digits": b'{"a":-%s}' % BIG,
    "2^53": b'{"a":9007199254740992}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "1e999": b'{"a":1e999}',
    "BOM": b'\xef\xbb\xbf{"items":[]}',
    "UTF-16": '{"items":[]}'.encode("utf-16"),
    "lone surrogate": b'{"a":"\\ud800"}',
    "lone surrogate as a name": b'{"\\udfff":1}',
    "raw surrogate": b'{"a":"\xed\xa0\x80"}',
    "not UTF-8": b'{"a":"\xff\xfe"}',
    "overlong": b'{"a":"\xc0\xaf"}',
    "NUL": b"\0",
    "NULs": b"\0" * 4096,
    "NUL in a text": b'{"a":"\0"}',
    "two texts": b"{}{}",
    "comment": b'{"a":1}//',
    "single quotes": b"{'a':1}",
    "trailing comma": b'{"a":1,}',
    "gzip": gzip.compress(b'{"items":[]}'),
    "multipart": b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
    "XML": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
}

# -- values in the wrong place

WRONG: tuple[object, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 - 1, 2**53, 2**63, 2**64, 10**30, -(2**70), 0.5, 1e308, "", CANARY, "0",
    f"{CANARY}\0", "../../etc/passwd", "‮" + CANARY, "<script>" + CANARY, "9999-99-99", "0001-01-01", "a" * 10_000,
    [], [None], [CANARY], [[[]]], [0] * 300, {}, {CANARY: CANARY}, {"": None},
)  # fmt: skip

_PATTERNS: dict[str, str] = {
    r"^[A-Za-z0-9_-]{43}$": "A" * 43,
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$": "nessuno",
    r"^[0-9]{6}$": "041044",
    r"^PT-[A-Z0-9]{2,12}$": "PT-COMUNE",
    r"^\d{4}-\d{2}-\d{2}$": "2026-11-21",
    r"^[A-Z]{2}-[A-Z0-9]{2,12}$": "NA-CASA",
    r"^\d{1,3}(-\d{1,3})?$": "65-80",
    r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}$": "2026-11-21 11:40",
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$": "00000000-0000-4000-8000-000000000001",
}


def plausible(kind: inspect.Type) -> object:
    """Something of the right type."""
    match kind:
        case inspect.StrType():
            return _PATTERNS.get(kind.pattern or "", "x" * max(kind.min_length or 0, 4))
        case inspect.IntType():
            return max(kind.ge or 0, 1)
        case inspect.FloatType():
            return 1.5
        case inspect.BoolType():
            return False
        case inspect.LiteralType():
            return kind.values[0]
        case inspect.ListType() | inspect.CollectionType() | inspect.VarTupleType():
            return [plausible(kind.item_type)] * max(kind.min_length or 0, 1)
        case inspect.TupleType():
            return [plausible(item) for item in kind.item_types]
        case inspect.DictType():
            return {}
        case inspect.BytesType():
            return ""
        case inspect.UnionType():
            kinds = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
            return plausible(kinds[0])
        case inspect.StructType():
            return {f.encode_name: plausible(f.type) for f in kind.fields if f.required}
    return None


def fields_of(kind: inspect.Type, at: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """The path of every field of a struct and of the structs in it, through lists and optionals."""
    match kind:
        case inspect.StructType():
            for field in kind.fields:
                yield (*at, field.encode_name)
                yield from fields_of(field.type, (*at, field.encode_name))
        case inspect.ListType() | inspect.CollectionType() | inspect.VarTupleType():
            yield from fields_of(kind.item_type, (*at, 0))
        case inspect.UnionType():
            for one in kind.types:
                yield from fields_of(one, at)


def _kind_at(kind: inspect.Type, path: tuple[object, ...]) -> inspect.Type:
    """The type found along a path."""
    for step in path:
        if isinstance(kind, inspect.UnionType):
            kind = next(k for k in kind.types if isinstance(k, inspect.StructType | inspect.ListType))
        if isinstance(step, int):
            kind = kind.item_type
        else:
            kind = next(f.type for f in kind.fields if f.encode_name == step)
    return kind


def put(value: Any, kind: inspect.Type, path: tuple[object, ...], new: object) -> Any:
    """A copy of `value` with `new` at `path`; what is missing on the way is made plausible."""
    made = json.loads(json.dumps(value))
    node, walked = made, ()
    for step in path[:-1]:
        walked = (*walked, step)
        absent = (step >= len(node)) if isinstance(step, int) else (step not in node or node[step] is None)
        if absent:
            filled = plausible(_kind_at(kind, walked))
            if isinstance(step, int):
                node.append(filled)
            else:
                node[step] = filled
        node = node[step]
    if new is UNSET:
        node.pop(path[-1], None)
    else:
        node[path[-1]] = new
    return made


class Spoilt(NamedTuple):
    note: str
    value: object


def spoilt(shape: type, sample: object = None, values: tuple[object, ...] = WRONG) -> Iterator[Spoilt]:
    """`sample` (made plausible when absent) with every field of `shape` replaced by every wrong value, or left out."""
    kind = inspect.type_info(shape)
    base = sample if sample is not None else plausible(kind)
    for path in dict.fromkeys(fields_of(kind)):
        if not isinstance(path[-1], str):
            continue
        name = ".".join(map(str, path))
        for new in (*values, UNSET):
            shown = "absent" if new is UNSET else repr(new)[:30]
            yield Spoilt(f"{name} = {shown}", put(base, kind, path, new))
    yield Spoilt("a stranger's field", {**base, CANARY: CANARY})


def encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


# -- queries and paths

NUMBERS: tuple[bytes, ...] = (
    b"-1", b"1.5", b"1e3", b"+1", b" 1", b"%201", b"0x10", b"\xd9\xa3", b"%D9%A3", b"%EF%BC%91", b"9" * 17, b"9" * 5000,
    b"9007199254740992", b"", b"NaN", b"%00", b"%ff", b"\xff", b"1;drop", CANARY.encode(),
)  # fmt: skip

SEGMENTS: tuple[bytes, ...] = (
    b"..", b".", b"%2e%2e", b"%2e%2e%2f%2e%2e%2fetc%2fpasswd", b"..%5c..%5cwindows", b"%00", b"%0d%0aX-Evil:%20y",
    b"%ff", b"\xff\xfe", b"%ed%a0%80", b"\xed\xa0\x80", b"%C3%A8", b"\xc3\xa8", b"a" * 4000, b"a" * 10_000, b"%41" * 3000,
    b"A" * 43, b"A" * 42 + b"B", CANARY.encode(), b"UPPER", b"-", b"'%20OR%201=1--", b"%25%25", b"*", b"{node}", b"%",
    b"%zz", b"a%2fb", b"%e2%80%ae", b"~", b"bacheca", b"sospeso",
)  # fmt: skip


def filled(path: str, segment: bytes) -> bytes:
    """A route's pattern with each {…} replaced."""
    out, rest = b"", path.encode()
    while b"{" in rest:
        before, _, rest = rest.partition(b"{")
        out += before + segment
        rest = rest.partition(b"}")[2]
    return out + rest


# -- bytes that are hardly HTTP

CRLF = b"\r\n"


def shapes(method: str, target: bytes, host: bytes) -> Iterator[Request]:
    """Framing, headers and lines that lie. The connection may be closed without a word."""
    line = b"%s %s HTTP/1.1\r\n" % (method.encode(), target)
    named = b"Host: " + host + CRLF
    canary = CANARY.encode()
    length = b"Content-Length: "
    chunked = b"Transfer-Encoding: chunked\r\n"
    for note, raw in {
        "no host": line + CRLF,
        "two hosts": line + named + b"Host: " + canary + CRLF + CRLF,
        "length and chunked": line + named + length + b"5\r\n" + chunked + CRLF + b"0\r\n\r\n",
        "two lengths": line + named + length + b"5\r\n" + length + b"6\r\n\r\nhello",
        "length list": line + named + length + b"5, 5\r\n\r\nhello",
        "negative length": line + named + length + b"-5\r\n\r\n",
        "signed length": line + named + length + b"+5\r\n\r\nhello",
        "huge length": line + named + length + b"9" * 30 + CRLF + CRLF,
        "length in words": line + named + length + canary + CRLF + CRLF,
        "chunk size in words": line + named + chunked + CRLF + canary + b"\r\nx\r\n0\r\n\r\n",
        "negative chunk": line + named + chunked + CRLF + b"-1\r\nx\r\n0\r\n\r\n",
        "huge chunk": line + named + chunked + CRLF + b"f" * 40 + b"\r\nx\r\n",
        "chunk extension": line + named + chunked + CRLF + b"1;" + b"a" * 9000 + b"\r\nx\r\n0\r\n\r\n",
        "identity and chunked": line + named + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        "chunked twice": line + named + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "strange coding": line + named + b"Transfer-Encoding: " + canary + CRLF + CRLF,
        "space before colon": line + named + b"Transfer-Encoding : chunked\r\n\r\n",
        "folded header": line + named + b"X-A: 1\r\n  " + canary + CRLF + CRLF,
        "NUL in a header": line + named + b"X-A: \0" + canary + CRLF + CRLF,
        "no colon": line + named + canary + CRLF + CRLF,
        "header of 10 kB": line + named + b"X-A: " + b"a" * 10_000 + CRLF + CRLF,
        "header name of 10 kB": line + named + b"a" * 10_000 + b": 1\r\n\r\n",
        "1,000 headers": line + named + b"".join(b"X-%d: %s\r\n" % (i, canary) for i in range(1000)) + CRLF,
        "wrong version": line.replace(b"HTTP/1.1", b"HTTP/9.9") + named + CRLF,
        "no version": b"%s %s\r\n\r\n" % (method.encode(), target),
        "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "bare LF": line.replace(CRLF, b"\n") + named.replace(CRLF, b"\n") + b"\n",
        "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(160),
        "rubbish": bytes(range(256)) * 4 + CRLF + CRLF,
        "expectation": line + named + b"Expect: " + canary + CRLF + length + b"0\r\n\r\n",
        "websocket": line + named + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
        "absolute": b"%s http://%s%s HTTP/1.1\r\n" % (method.encode(), canary, target) + named + CRLF,
        "asterisk": b"OPTIONS * HTTP/1.1\r\n" + named + CRLF,
        "connect": b"CONNECT %s:443 HTTP/1.1\r\n" % canary + named + CRLF,
        "method of 10 kB": b"A" * 10_000 + b" / HTTP/1.1\r\n" + named + CRLF,
        "space in the target": b"%s %s %s HTTP/1.1\r\n" % (method.encode(), target, canary) + named + CRLF,
        "target of 10 kB": b"%s %s?%s HTTP/1.1\r\n" % (method.encode(), target, b"a" * 10_000) + named + CRLF,
    }.items():
        yield Request(note, method, target, raw=raw, half=True)
    yield Request("length too long", method, target, ((b"Content-Length", b"50"),), b"{}", half=True)


METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get")
