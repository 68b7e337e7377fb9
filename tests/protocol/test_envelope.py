"""The envelope beyond the vectors: round trips, every bit flipped, the answers a caller builds on."""

import json
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.buckets import bucket
from protocol.envelope import (
    REJECTABLE,
    Opened,
    Sealed,
    check_fresh,
    commitment,
    decode_event_body,
    item_parts,
    mid_of,
    open_sealed,
    read_envelope,
    read_items,
    read_outer,
    unsigned_code,
    verify_outer,
    verify_relay,
)
from protocol.errors import ProtocolError
from protocol.limits import BODY_MAX, BUCKETS
from protocol.names import Channel, parse_channel
from protocol.strict import scan
from protocol.suite import S1
from schemas.problems import PROBLEMS
from schemas.wire import Envelope
from tests.protocol.samples import (
    JTI,
    NET,
    NOW,
    PUBLICS,
    REVOKED_A,
    SEALERS,
    A,
    B,
    body,
    envelope,
    ring,
    seed,
)

KEYS = {SEALERS[B].kid: SEALERS[B]}
RING = ring()


def read(e: str, s: str) -> Opened:
    verified = verify_outer(read_outer(e, s), RING, net=NET, me=B)
    check_fresh(verified, NOW)
    return open_sealed(verified, s, KEYS, S1)


def code_of(e: str, s: str) -> str:
    with pytest.raises(ProtocolError) as caught:
        read(e, s)
    return caught.value.code


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 40_000), st.binary(min_size=32, max_size=32), st.integers(1, 2**53 - 1), st.integers(1, 2**53 - 1)
)
def test_what_is_made_is_read(size: int, salt: bytes, epoch: int, seq: int) -> None:
    content = body(size)
    made = envelope(body=content, salt=salt, ch=Channel(epoch, seq))
    outer = read_outer(made.e, made.s)
    assert (outer.mid, outer.channel) == (made.mid, Channel(epoch, seq))
    opened = read(made.e, made.s)
    assert (opened.body, opened.salt) == (content, salt)
    assert made.cm == commitment(salt, content)
    assert decode_event_body(opened.body).jti == JTI


MADE = envelope()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(["e", "s"]), st.integers(0, 10**6), st.integers(0, 6))
def test_no_flipped_bit_of_a_signed_envelope_gets_through(part: str, place: int, bit: int) -> None:
    """Every refusal has a code, is unsigned, and is nothing but a ProtocolError."""
    text: str = getattr(MADE, part)
    at = place % len(text)
    changed = text[:at] + chr(ord(text[at]) ^ 1 << bit) + text[at + 1 :]
    e, s = (changed, MADE.s) if part == "e" else (MADE.e, changed)
    code = code_of(e, s)
    assert code in PROBLEMS
    assert code not in REJECTABLE


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.text(max_size=60) | st.lists(st.text("AQgw_-=.", max_size=12), max_size=6).map(".".join), st.text(max_size=30)
)
def test_any_text_is_refused_with_a_code(e: str, s: str) -> None:
    assert code_of(e, s) in PROBLEMS
    assert code_of(MADE.e, s) == ("bad-base64" if not s.isascii() else "ct-mismatch")


def test_one_opened_body_says_the_same_after_being_sealed_again() -> None:
    again = envelope(ch=Channel(1, 8), ephemeral_seed=seed("again"), nonce=seed("again")[:12], iat=NOW + 10)
    assert again.cm == MADE.cm
    assert (again.mid, again.ct) != (MADE.mid, MADE.ct)


def test_an_unknown_mid_under_a_revoked_key_is_refused_and_the_caller_learns_the_mid() -> None:
    made = envelope(signing_key=REVOKED_A)
    with pytest.raises(ProtocolError) as caught:
        verify_outer(read_outer(made.e, made.s), RING, net=NET, me=B)
    assert (caught.value.code, caught.value.mid) == ("revoked-key", made.mid)


def test_a_superseded_key_is_said_to_be_one() -> None:
    from tests.protocol.samples import OLD_A

    made = envelope(signing_key=OLD_A)
    assert verify_relay(made.e, made.s, RING, net=NET, now=NOW).key_status == "superseded"
    assert verify_relay(MADE.e, MADE.s, RING, net=NET, now=NOW).key_status == "current"


def test_every_refusal_after_the_signature_carries_the_mid() -> None:
    made = envelope(iat=NOW - 90 * 86_400)
    verified = verify_outer(read_outer(made.e, made.s), RING, net=NET, me=B)
    with pytest.raises(ProtocolError) as caught:
        check_fresh(verified, NOW)
    assert caught.value.mid == made.mid
    with pytest.raises(ProtocolError) as caught:
        open_sealed(verified, made.s, {}, S1)
    assert (caught.value.code, caught.value.mid) == ("reseal", made.mid)


def test_the_sealed_part_shows_only_its_bucket() -> None:
    lengths = {len(envelope(body=body(size)).s) for size in (500, 900, 1400, 1800, 2016)}
    assert len(lengths) == 1


@pytest.mark.parametrize(("length", "size"), [(0, 2048), (2048, 2048), (2049, 8192), (BUCKETS[-1], BUCKETS[-1])])
def test_a_length_goes_into_the_smallest_bucket_that_holds_it(length: int, size: int) -> None:
    assert bucket(length) == size


def test_the_largest_body_travels_and_one_byte_more_is_refused() -> None:
    largest = body(BODY_MAX)
    assert len(largest) == BODY_MAX
    made = envelope(body=largest)
    assert read(made.e, made.s).body == largest
    with pytest.raises(ProtocolError, match="too-large"):
        envelope(body=largest[:-1] + b" }")


@dataclass(frozen=True)
class Wrong:
    change: dict[str, object]
    code: str


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong({"to": A, "recipient": PUBLICS[A]}, "to-self"),
        Wrong({"exp": NOW + 30 * 86_400 + 1}, "bad-lifetime"),
        Wrong({"exp": NOW}, "bad-lifetime"),
        Wrong({"salt": b"short"}, "bad-shape"),
        Wrong({"body": body() + b" "}, "bad-body"),
    ],
    ids=lambda wrong: wrong.code,
)
def test_no_envelope_is_made_that_nobody_would_take(wrong: Wrong) -> None:
    with pytest.raises(ProtocolError) as caught:
        envelope(**wrong.change)
    assert caught.value.code == wrong.code


def test_an_envelope_as_a_document_has_exactly_two_members() -> None:
    good = {"e": MADE.e, "s": MADE.s}
    assert read_envelope(json.dumps(good).encode()).mid == MADE.mid
    for changed in (good | {"x": 1}, {"e": MADE.e}, good | {"s": None}, [MADE.e, MADE.s]):
        with pytest.raises(ProtocolError, match="bad-shape"):
            read_envelope(json.dumps(changed).encode())


def test_a_bad_item_of_a_batch_spoils_no_other() -> None:
    items = read_items(
        json.dumps(
            {"items": [{"e": "1", "s": "2"}, {"e": "1"}, {"r": "3"}, {"e": "1", "s": "2", "r": "3"}, {}]}
        ).encode()
    )
    assert item_parts(items[0]) == Envelope("1", "2")
    assert item_parts(items[2]) == "3"
    for i in (1, 3, 4):
        with pytest.raises(ProtocolError, match="bad-shape"):
            item_parts(items[i])


def test_fifty_one_items_are_too_many() -> None:
    with pytest.raises(ProtocolError, match="too-large"):
        read_items(json.dumps({"items": [{"r": "x"}] * 51}).encode())


def test_a_feature_that_is_understood_is_no_obstacle_and_a_newer_kind_is_unsupported_whatever_its_shape() -> None:
    def read_body(raw: bytes, *understood: str) -> str:
        try:
            decode_event_body(scan(raw, max_bytes=BODY_MAX), understood=frozenset(understood))
        except ProtocolError as error:
            return error.code
        return "ok"

    assert read_body(body(must=["telepathy"]), "telepathy") == "ok"
    assert read_body(body(must=["telepathy", "more"]), "telepathy") == "unsupported"
    assert read_body(body(must=["telepathy"], n="new")) == "unsupported"
    assert read_body(b'{"kind":"parts","n":[]}') == "unsupported"
    assert read_body(b'{"n":[]}') == "bad-body"


def test_rejectable_codes_exist_are_final_and_are_never_what_a_bad_line_causes() -> None:
    for code in REJECTABLE:
        assert PROBLEMS[code].retry == "never"
        assert unsigned_code(code) == code


def test_the_mid_is_the_hash_of_what_is_signed() -> None:
    sealed: Sealed = MADE
    assert mid_of(sealed.e) == sealed.mid
    assert mid_of(sealed.e.rpartition(".")[0] + ".AAAA") == sealed.mid


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.tuples(st.integers(1, 2**53 - 1), st.integers(1, 2**53 - 1)), st.tuples(st.integers(1, 99), st.integers(1, 99))
)
def test_channel_positions_are_ordered_as_two_integers(one: tuple[int, int], other: tuple[int, int]) -> None:
    first, second = (parse_channel(str(Channel(*pair))) for pair in (one, other))
    assert (first < second) == (one < other)
    assert first == Channel(*one)
