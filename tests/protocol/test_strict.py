"""Strict reading beyond the vectors: field paths, nothing personal in errors, hostile sizes, random inputs."""

import json
import sys

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import ProtocolError
from protocol.strict import b64u_decode, b64u_encode, decode, decode_body, scan
from schemas.problems import PROBLEMS


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    count: int


class Outer(msgspec.Struct):
    items: list[Inner]
    name: str = ""


def refused(raw: bytes) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        decode(raw, Outer, max_bytes=10_000)
    return caught.value


def test_a_wrong_field_is_named_by_its_path_and_types() -> None:
    error = refused(b'{"items":[{"count":1},{"count":"due"}]}')
    assert (error.code, error.field, error.expected, error.got) == ("bad-shape", "$.items[1].count", "int", "str")


def test_a_missing_field_is_named() -> None:
    error = refused(b'{"items":[{}]}')
    assert (error.code, error.field) == ("bad-shape", "$.items[0].count")


def test_an_error_never_quotes_what_was_read() -> None:
    canary = "Mario-Rossi-0721"
    for raw in (
        f'{{"items":[{{"count":1,"{canary}":2}}]}}',
        f'{{"items":"{canary}"}}',
        f'{{"items":[],"name":["{canary}"]}}',
        f'{{"{canary}":1,"{canary}":2}}',
        f'["{canary}"',
        f'{{"items":[{{"count":"{canary}"}}]}}',
    ):
        error = refused(raw.encode())
        assert canary not in f"{error} {error.field} {error.expected} {error.got}"


def test_a_fault_of_a_body_is_bad_body_and_names_the_finer_code() -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_body(b'{"items":[],"items":[]}', Outer, max_bytes=100)
    assert (caught.value.code, caught.value.got) == ("bad-body", "json-duplicate-name")
    with pytest.raises(ProtocolError) as caught:
        decode_body(b'{"items":1}', Outer, max_bytes=100)
    assert (caught.value.code, caught.value.field) == ("bad-body", "$.items")


@pytest.mark.parametrize("opener", [b"[", b'{"a":', b'[{"a":'])
def test_a_hundred_thousand_levels_are_a_refusal_and_no_crash(opener: bytes) -> None:
    for raw in (opener * 100_000, opener * 100_000 + b"1"):
        with pytest.raises(ProtocolError) as caught:
            scan(raw, max_bytes=10_000_000)
        assert caught.value.code in {"json-too-deep", "bad-json"}


def test_depth_is_judged_the_same_however_deep_the_caller_is() -> None:
    def deeper(levels: int) -> None:
        if levels:
            deeper(levels - 1)
        else:
            scan(b"[" * 16 + b"]" * 16, max_bytes=100)

    deeper(sys.getrecursionlimit() // 2)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@settings(max_examples=150, deadline=None, derandomize=True)
@given(json_values, st.booleans(), st.integers(0, 6))
def test_strict_json_is_read_and_depth_is_exact(value: object, ascii_only: bool, limit: int) -> None:
    raw = json.dumps(value, ensure_ascii=ascii_only).encode()
    if depth(value) <= limit:
        assert scan(raw, max_bytes=len(raw), max_depth=limit) == raw
    else:
        with pytest.raises(ProtocolError, match="json-too-deep"):
            scan(raw, max_bytes=len(raw), max_depth=limit)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=80) | st.text("{}[]\",:0123456789.eE+-\\u tfn\ud800", max_size=60).map(
    lambda text: text.encode("utf-8", "surrogatepass")))  # fmt: skip
def test_any_bytes_are_read_or_refused_with_a_code(raw: bytes) -> None:
    try:
        scan(raw, max_bytes=100)
    except ProtocolError as error:
        assert error.code in PROBLEMS


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=100))
def test_base64url_goes_there_and_back(raw: bytes) -> None:
    assert b64u_decode(b64u_encode(raw)) == raw


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=20) | st.text("ABab01-_+/= \n", max_size=12))
def test_only_the_one_canonical_text_of_some_bytes_is_read(text: str) -> None:
    try:
        assert b64u_encode(b64u_decode(text)) == text
    except ProtocolError as error:
        assert error.code == "bad-base64"
