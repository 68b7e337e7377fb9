"""Key objects and point checks: what the vectors do not say about attacks and about the curves themselves."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import ProtocolError
from protocol.keys import LOW_ORDER_U, LOW_ORDER_Y, Jwk, check_signing_public, from_jwk, thumbprint, to_jwk
from protocol.suite import S1
from tests.protocol.samples import SEALERS, SIGNERS, A, B, seed

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def encoded(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


def code_of(attempt: object) -> str:
    with pytest.raises(ProtocolError) as caught:
        attempt()  # type: ignore[operator]
    return caught.value.code


def test_one_signature_fits_every_message_under_the_identity_and_the_key_is_refused_here() -> None:
    """SECURITY §0.1: the library underneath takes the key and the signature."""
    identity = encoded(1)
    for message in (b"uno", b"due", b"tre"):
        Ed25519PublicKey.from_public_bytes(identity).verify(identity + bytes(32), message)
    assert code_of(lambda: S1.verify_key(identity)) == "bad-key"


def x_of(y: int) -> int:
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    return x if v * x * x % P == u else x * pow(2, (P - 1) // 4, P) % P


def doubled(x: int, y: int) -> tuple[int, int]:
    k = D * x * x * y * y % P
    return 2 * x * y * pow(1 + k, -1, P) % P, (y * y + x * x) * pow(1 - k, -1, P) % P


def test_every_point_of_the_low_order_table_is_killed_by_the_cofactor() -> None:
    for y in LOW_ORDER_Y:
        point = x_of(y), y
        for _ in range(3):
            point = doubled(*point)
        assert point == (0, 1)
    assert len(LOW_ORDER_Y) == 5


def test_every_coordinate_of_the_x25519_table_gives_a_zero_secret() -> None:
    """Each of them raises below; the check keeps them out before."""
    private = X25519PrivateKey.from_private_bytes(seed("x"))
    for u in LOW_ORDER_U:
        with pytest.raises(ValueError):
            private.exchange(X25519PublicKey.from_public_bytes(encoded(u)))
        assert code_of(lambda u=u: S1.sealing_public(encoded(u))) == "bad-key"


def test_a_zero_secret_that_slips_in_is_refused_and_never_a_crash() -> None:
    class Unchecked:
        raw = bytes(32)
        kid = ""

    assert code_of(lambda: S1.sealing_key(seed("x")).exchange(Unchecked())) == "cannot-open"


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(min_size=32, max_size=32))
def test_every_key_made_from_a_seed_passes_its_own_check(secret: bytes) -> None:
    signing, sealing = S1.signing_key(secret), S1.sealing_key(secret)
    assert S1.verify_key(signing.public).kid == signing.kid
    assert S1.sealing_public(sealing.public).kid == sealing.kid


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(min_size=32, max_size=32))
def test_what_the_point_check_accepts_is_a_point_and_has_one_encoding(raw: bytes) -> None:
    """Half of all y are on the curve."""
    try:
        check_signing_public(raw)
    except ProtocolError:
        return
    y = int.from_bytes(raw, "little") & (2**255 - 1)
    x = x_of(y)
    assert y < P
    assert (y * y - x * x - 1 - D * x * x * y * y) % P == 0


def test_both_ends_find_the_same_secret() -> None:
    ours = SEALERS[A].exchange(S1.sealing_public(SEALERS[B].public))
    theirs = SEALERS[B].exchange(S1.sealing_public(SEALERS[A].public))
    assert ours == theirs != bytes(32)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    assert code_of(lambda: S1.signing_key(bytes(size))) == "bad-key"
    assert code_of(lambda: S1.sealing_key(bytes(size))) == "bad-key"


def test_a_jwk_goes_there_and_back() -> None:
    raw = SIGNERS[A].public
    jwk = to_jwk("Ed25519", raw)
    assert from_jwk(jwk, "Ed25519") == raw
    assert jwk == Jwk("Ed25519", "OKP", jwk.x)
    assert thumbprint("Ed25519", raw) != thumbprint("X25519", raw)


def test_no_private_key_shows_itself() -> None:
    for key in (SIGNERS[A], SEALERS[A]):
        shown = repr(key) + json.dumps({name: repr(getattr(key, name)) for name in dir(key) if name[0] != "_"})
        assert seed(f"sign {A}").hex() not in shown
        assert repr(seed(f"sign {A}")) not in shown


def test_the_cipher_refuses_another_key_nonce_header_or_bit() -> None:
    key, nonce = seed("k"), seed("n")[:12]
    box = S1.encrypt(key, nonce, b"aad", b"testo")
    assert S1.decrypt(key, nonce, b"aad", box) == b"testo"
    for attempt in (
        lambda: S1.decrypt(seed("other"), nonce, b"aad", box),
        lambda: S1.decrypt(key, seed("m")[:12], b"aad", box),
        lambda: S1.decrypt(key, nonce, b"add", box),
        lambda: S1.decrypt(key, nonce, b"aad", bytes([box[0] ^ 1]) + box[1:]),
        lambda: S1.decrypt(key, nonce, b"aad", box[:15]),
    ):
        assert code_of(attempt) == "cannot-open"
