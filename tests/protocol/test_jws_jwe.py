"""JWS and JWE beyond the vectors: fixed writing, thresholds, random damage."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import jwe, jws
from protocol.errors import ProtocolError
from protocol.strict import b64u_decode
from protocol.suite import S1
from schemas.problems import PROBLEMS
from tests.protocol.samples import PUBLICS, SEALERS, SIGNERS, A, B, C, seed

VERIFY = {node: S1.verify_key(SIGNERS[node].public) for node in SIGNERS}
KEYS = {VERIFY[node].kid: VERIFY[node] for node in (A, B, C)}


def general(*nodes: str, payload: bytes = b"{}") -> bytes:
    return jws.sign_general([SIGNERS[node] for node in nodes], jws.ROOT, payload)


def count(raw: bytes, threshold: int, keys: dict[str, jws.VerifyKey] | None = None) -> bytes:
    parsed = jws.parse_general(raw, jws.ROOT, max_bytes=64_000)
    return jws.verify_threshold(parsed, KEYS if keys is None else keys, threshold)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.binary(max_size=300), st.sampled_from(sorted(jws.TYPES)))
def test_a_signature_goes_there_and_back_under_its_own_typ_only(payload: bytes, typ: jws.Typ) -> None:
    text = jws.sign_compact(SIGNERS[A], typ, payload)
    assert jws.verify(jws.parse_compact(text, typ, max_bytes=4096), VERIFY[A]) == payload
    for other in jws.TYPES:
        if other != typ:
            with pytest.raises(ProtocolError, match="bad-header"):
                jws.parse_compact(text, other, max_bytes=4096)


def test_the_header_is_written_in_one_order() -> None:
    head = jws.sign_compact(SIGNERS[A], jws.MSG, b"{}").split(".")[0]
    assert list(json.loads(b64u_decode(head))) == ["alg", "kid", "typ"]
    sealed = jwe.seal(S1, PUBLICS[B], ephemeral_seed=seed("e"), nonce=bytes(12), apu=b"a", apv=b"b", plaintext=b"x")
    assert list(json.loads(b64u_decode(sealed.split(".")[0]))) == ["alg", "enc", "kid", "epk", "apu", "apv"]


def test_distinct_keys_are_counted_and_not_signatures_or_names() -> None:
    assert count(general(A, B), 2) == b"{}"
    two_names = {SIGNERS[A].kid: VERIFY[A], SIGNERS[B].kid: VERIFY[A]}
    for raw, threshold, keys in (
        (general(A), 2, KEYS),
        (general(A, B), 3, KEYS),
        (general(A, A), 2, KEYS),
        (general(A, B), 2, {SIGNERS[A].kid: VERIFY[A]}),
        (general(A, B), 2, two_names),
        (general(A, B), 0, KEYS),
        (general(A, B), 1, {}),
    ):
        with pytest.raises(ProtocolError, match="threshold"):
            count(raw, threshold, keys)  # type: ignore[arg-type]


def test_signatures_made_on_different_machines_are_put_together() -> None:
    merged = jws.merge_general([general(A), general(B), general(A, C)], jws.ROOT, max_bytes=64_000)
    assert merged == general(A, B, C)
    assert count(merged, 3) == b"{}"
    with pytest.raises(ProtocolError, match="bad-shape"):
        jws.merge_general([general(A), general(B, payload=b"[]")], jws.ROOT, max_bytes=64_000)


def test_the_same_signers_write_the_same_bytes_in_any_order() -> None:
    assert general(A, B, C) == general(C, A, B)


SEALED = jwe.seal(S1, PUBLICS[B], ephemeral_seed=seed("e"), nonce=bytes(12), apu=b"a", apv=b"b", plaintext=b"segreto")
SIGNED = jws.sign_compact(SIGNERS[A], jws.MSG, b'{"a":1}')


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.characters())
def test_no_changed_character_opens_or_verifies(place: int, character: str) -> None:
    for text, read in (
        (SEALED, lambda t: jwe.open(S1, {SEALERS[B].kid: SEALERS[B]}, t, apu=b"a", apv=b"b")),
        (SIGNED, lambda t: jws.verify(jws.parse_compact(t, jws.MSG, max_bytes=4096), VERIFY[A])),
    ):
        at = place % len(text)
        if text[at] != character:
            with pytest.raises(ProtocolError) as caught:
                read(text[:at] + character + text[at + 1 :])
            assert caught.value.code in PROBLEMS


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.binary(max_size=500),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=12, max_size=12),
    st.binary(max_size=60),
    st.binary(max_size=60),
)
def test_what_is_sealed_opens_for_its_recipient_alone(
    plaintext: bytes, ephemeral: bytes, nonce: bytes, apu: bytes, apv: bytes
) -> None:
    text = jwe.seal(S1, PUBLICS[B], ephemeral_seed=ephemeral, nonce=nonce, apu=apu, apv=apv, plaintext=plaintext)
    assert jwe.open(S1, {SEALERS[B].kid: SEALERS[B]}, text, apu=apu, apv=apv) == plaintext
    with pytest.raises(ProtocolError, match="reseal"):
        jwe.open(S1, {SEALERS[C].kid: SEALERS[C]}, text, apu=apu, apv=apv)
    with pytest.raises(ProtocolError, match="cannot-open"):
        jwe.open(S1, {SEALERS[B].kid: SEALERS[C]}, text, apu=apu, apv=apv)
