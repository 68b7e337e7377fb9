"""Receipts and request tokens beyond the vectors: round trips, what a relay and a caller see."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.calls import check_body, check_token, make_token
from protocol.envelope import REJECTABLE
from protocol.errors import ProtocolError
from protocol.names import NOTHING_HELD, Channel
from protocol.receipts import read_receipt, sign_receipt
from protocol.strict import b64u_encode
from schemas.wire import Ack, Receipt
from tests.protocol.samples import NET, NOW, REVOKED_A, SIGNERS, A, B, C, ring, seed

RING = ring()
MIDS = [b64u_encode(seed(f"mid {i}")) for i in range(50)]


def receipt(acks: list[Ack], hw: str = "1.7") -> Receipt:
    return Receipt(net=NET, sender=B, to=A, at=NOW, hw=hw, acks=acks)


ack_kinds = st.sampled_from(["stored", "processed", *sorted(REJECTABLE)])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(ack_kinds, st.integers(0, 2**40), st.integers(0, 99)), min_size=1, max_size=50))
def test_a_receipt_goes_there_and_back(rows: list[tuple[str, int, int]]) -> None:
    acks = [
        Ack(mid, kind, stored, h=count)
        if kind == "processed"
        else Ack(mid, kind, stored)
        if kind == "stored"
        else Ack(mid, "rejected", stored, prob=kind)
        for mid, (kind, stored, count) in zip(MIDS, rows, strict=False)
    ]
    read = read_receipt(sign_receipt(SIGNERS[B], receipt(acks)), RING, net=NET, me=A, now=NOW)
    assert read.receipt == receipt(acks)
    assert read.high_water == Channel(1, 7)


def test_a_relay_reads_a_receipt_for_somebody_else_and_the_wrong_member_does_not() -> None:
    text = sign_receipt(SIGNERS[B], receipt([Ack(MIDS[0], "stored", NOW)]))
    assert read_receipt(text, RING, net=NET, me=None, now=NOW).receipt.to == A
    with pytest.raises(ProtocolError, match="wrong-recipient"):
        read_receipt(text, RING, net=NET, me=C, now=NOW)


def test_a_receipt_under_a_revoked_key_ends_nothing() -> None:
    mine = Receipt(net=NET, sender=A, to=B, at=NOW, hw="0.0", acks=[Ack(MIDS[0], "processed", NOW)])
    with pytest.raises(ProtocolError, match="revoked-key"):
        read_receipt(sign_receipt(REVOKED_A, mine), RING, net=NET, me=B, now=NOW)
    assert read_receipt(sign_receipt(SIGNERS[A], mine), RING, net=NET, me=B, now=NOW).high_water == NOTHING_HELD


@pytest.mark.parametrize("acks", [[], [Ack(MIDS[0], "seen", NOW)], [Ack("x", "stored", NOW)]])
def test_no_receipt_is_signed_that_nobody_would_take(acks: list[Ack]) -> None:
    with pytest.raises(ProtocolError, match="bad-receipt"):
        sign_receipt(SIGNERS[B], receipt(acks))


def token(**changes: object) -> str:
    arguments: dict[str, object] = {
        "net": NET,
        "iss": A,
        "aud": B,
        "method": "GET",
        "path": "/v1/members?have=3",
        "now": NOW,
    }
    return make_token(SIGNERS[A], **(arguments | changes))  # type: ignore[arg-type]


def check(text: str, **changes: object) -> str:
    arguments: dict[str, object] = {"net": NET, "aud": B, "method": "GET", "path": "/v1/members?have=3", "now": NOW}
    return check_token(text, RING, **(arguments | changes)).node  # type: ignore[arg-type]


def test_a_call_without_a_body_announces_none_and_none_may_come() -> None:
    call = check_token(token(), RING, net=NET, aud=B, method="GET", path="/v1/members?have=3", now=NOW)
    assert call.node == A
    check_body(call, b"")
    with pytest.raises(ProtocolError, match="unauthenticated"):
        check_body(call, b"x")


def test_a_refused_call_says_why_only_by_code() -> None:
    with pytest.raises(ProtocolError) as caught:
        check(token(now=NOW + 301))
    assert (caught.value.code, caught.value.field, caught.value.got) == ("unauthenticated", "iat", "from-the-future")
    with pytest.raises(ProtocolError) as caught:
        check(token(iss=C))
    assert (caught.value.code, caught.value.got) == ("unauthenticated", "unknown-key")


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.integers(-1000, 1000))
def test_a_token_stands_three_hundred_seconds_around_its_life(offset: int) -> None:
    if -300 <= offset < 120 + 300:
        assert check(token(), now=NOW + offset) == A
    else:
        with pytest.raises(ProtocolError, match="unauthenticated"):
            check(token(), now=NOW + offset)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=80))
def test_any_text_for_a_token_is_unauthenticated(text: str) -> None:
    with pytest.raises(ProtocolError, match="unauthenticated"):
        check(text)
