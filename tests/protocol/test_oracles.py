"""Two other JOSE implementations and the RFCs' own examples judge ours: both ways, signatures and sealing."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import joserfc.jwe
import joserfc.jws
import jwcrypto.jwe
import jwcrypto.jwk
import jwcrypto.jws
import pytest
from joserfc.jwk import OKPKey

from protocol import jwe, jws
from protocol.envelope import decode_event_body, open_sealed, read_outer, verify_outer
from protocol.errors import ProtocolError
from protocol.keys import Jwk, from_jwk
from protocol.strict import b64u_decode, b64u_encode, decode
from protocol.suite import S1
from tests.protocol.samples import NET, PUBLICS, SEALERS, SIGNERS, A, B, body, envelope, ring, seed

COOKBOOK = Path(__file__).parents[3] / "shared" / "vectors" / "jose-cookbook-rfc7520-8037"
needs_shared = pytest.mark.skipif(not COOKBOOK.is_dir(), reason="../shared/vectors is absent")
PAYLOAD = b'{"net":"x"}'
PLAINTEXT = seed("salt") + b'{"kind":"event"}' + b" " * 2000


def private_jwk(curve: str, public: bytes, secret: bytes) -> dict[str, str]:
    return {"kty": "OKP", "crv": curve, "x": b64u_encode(public), "d": b64u_encode(secret)}


SIGN_JWK = private_jwk("Ed25519", SIGNERS[A].public, seed(f"sign {A}"))
SEAL_JWK = private_jwk("X25519", SEALERS[B].public, seed(f"seal {B}"))
JWS_HEADER = {"alg": "Ed25519", "kid": SIGNERS[A].kid, "typ": jws.MSG}
JWE_HEADER = {
    "alg": "ECDH-ES",
    "enc": "A256GCM",
    "kid": PUBLICS[B].kid,
    "apu": b64u_encode(A.encode()),
    "apv": b64u_encode(B.encode()),
}


# -- two other implementations of each of the four verbs


def joserfc_verify(text: str) -> bytes:
    key = OKPKey.import_key({name: SIGN_JWK[name] for name in ("kty", "crv", "x")})
    return joserfc.jws.deserialize_compact(text, key, algorithms=["Ed25519", "EdDSA"]).payload


def joserfc_sign(header: dict[str, str], payload: bytes) -> str:
    key = OKPKey.import_key(SIGN_JWK)  # type: ignore[arg-type]
    return joserfc.jws.serialize_compact(header, payload, key, algorithms=[header["alg"]])


def joserfc_open(text: str) -> bytes:
    key = OKPKey.import_key(SEAL_JWK)  # type: ignore[arg-type]
    plaintext = joserfc.jwe.decrypt_compact(text, key, algorithms=["ECDH-ES", "A256GCM"]).plaintext
    assert plaintext is not None
    return plaintext


def joserfc_seal(plaintext: bytes) -> str:
    key = OKPKey.import_key({name: SEAL_JWK[name] for name in ("kty", "crv", "x")})
    header = dict(JWE_HEADER)  # the call writes epk into it
    return joserfc.jwe.encrypt_compact(header, plaintext, key, algorithms=["ECDH-ES", "A256GCM"])


def jwcrypto_verify(text: str) -> bytes:
    token = jwcrypto.jws.JWS()
    token.allowed_algs = ["EdDSA", "Ed25519"]
    token.deserialize(text, jwcrypto.jwk.JWK(**{name: SIGN_JWK[name] for name in ("kty", "crv", "x")}))
    return bytes(token.payload)


def jwcrypto_sign(header: dict[str, str], payload: bytes) -> str:
    token = jwcrypto.jws.JWS(payload)
    token.allowed_algs = ["EdDSA", "Ed25519"]
    token.add_signature(jwcrypto.jwk.JWK(**SIGN_JWK), header["alg"], protected=json.dumps(header))
    return str(token.serialize(compact=True))


def jwcrypto_open(text: str) -> bytes:
    token = jwcrypto.jwe.JWE()
    token.deserialize(text, jwcrypto.jwk.JWK(**SEAL_JWK))
    return bytes(token.payload)


def jwcrypto_seal(plaintext: bytes) -> str:
    token = jwcrypto.jwe.JWE(plaintext, protected=json.dumps(JWE_HEADER))
    token.add_recipient(jwcrypto.jwk.JWK(**{name: SEAL_JWK[name] for name in ("kty", "crv", "x")}))
    return str(token.serialize(compact=True))


def our_open(text: str) -> bytes:
    return jwe.open(S1, {SEALERS[B].kid: SEALERS[B]}, text, apu=A.encode(), apv=B.encode())


def our_verify(text: str) -> bytes:
    return jws.verify(jws.parse_compact(text, jws.MSG, max_bytes=4096), S1.verify_key(SIGNERS[A].public))


def eddsa(text: str) -> str:
    """The same message under the older name of the algorithm."""
    payload = b64u_decode(text.split(".")[1])
    segment = b64u_encode(json.dumps(JWS_HEADER | {"alg": "EdDSA"}).encode())
    signing_input = f"{segment}.{b64u_encode(payload)}"
    return f"{signing_input}.{b64u_encode(SIGNERS[A].sign(signing_input.encode()))}"


# -- JWS


def test_joserfc_verifies_the_signatures_made_here() -> None:
    assert joserfc_verify(jws.sign_compact(SIGNERS[A], jws.MSG, PAYLOAD)) == PAYLOAD


def test_jwcrypto_verifies_the_signatures_made_here() -> None:
    assert jwcrypto_verify(eddsa(jws.sign_compact(SIGNERS[A], jws.MSG, PAYLOAD))) == PAYLOAD


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("alg", ["Ed25519", "EdDSA"])
def test_signatures_made_by_joserfc_verify_here(alg: str) -> None:
    assert our_verify(joserfc_sign(JWS_HEADER | {"alg": alg}, PAYLOAD)) == PAYLOAD


def test_signatures_made_by_jwcrypto_verify_here() -> None:
    assert our_verify(jwcrypto_sign(JWS_HEADER | {"alg": "EdDSA"}, PAYLOAD)) == PAYLOAD


def test_the_signature_is_the_same_whoever_makes_it() -> None:
    ours = jws.sign_compact(SIGNERS[A], jws.MSG, PAYLOAD)
    assert ours == joserfc_sign(JWS_HEADER, PAYLOAD)


def test_general_json_made_by_jwcrypto_verifies_here() -> None:
    token = jwcrypto.jws.JWS(PAYLOAD)
    token.allowed_algs = ["EdDSA"]
    for node in (A, B):
        key = private_jwk("Ed25519", SIGNERS[node].public, seed(f"sign {node}"))
        header = {"alg": "EdDSA", "kid": SIGNERS[node].kid, "typ": jws.ROOT}
        token.add_signature(jwcrypto.jwk.JWK(**key), "EdDSA", protected=json.dumps(header))
    theirs = token.serialize(compact=False)
    keys = {SIGNERS[node].kid: S1.verify_key(SIGNERS[node].public) for node in (A, B)}
    assert jws.verify_threshold(jws.parse_general(theirs.encode(), jws.ROOT, max_bytes=4096), keys, 2) == PAYLOAD


def test_general_json_made_here_verifies_with_joserfc() -> None:
    document = json.loads(jws.sign_general([SIGNERS[A], SIGNERS[B]], jws.ROOT, PAYLOAD))
    for node in (A, B):
        signature = next(
            one
            for one in document["signatures"]
            if json.loads(b64u_decode(one["protected"]))["kid"] == SIGNERS[node].kid
        )
        key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": b64u_encode(SIGNERS[node].public)})
        one_signer: Any = {"payload": document["payload"], "signatures": [signature]}
        assert joserfc.jws.deserialize_json(one_signer, key, algorithms=["Ed25519"]).payload == PAYLOAD


# -- JWE


@pytest.mark.parametrize("their_open", [joserfc_open, jwcrypto_open])
def test_what_is_sealed_here_opens_with_the_oracle(their_open: Callable[[str], bytes]) -> None:
    text = jwe.seal(
        S1,
        PUBLICS[B],
        ephemeral_seed=seed("e"),
        nonce=seed("n")[:12],
        apu=A.encode(),
        apv=B.encode(),
        plaintext=PLAINTEXT,
    )
    assert their_open(text) == PLAINTEXT


@pytest.mark.parametrize("their_seal", [joserfc_seal, jwcrypto_seal])
def test_what_the_oracle_seals_opens_here(their_seal: Callable[[bytes], str]) -> None:
    assert our_open(their_seal(PLAINTEXT)) == PLAINTEXT


# -- whole envelopes


@pytest.mark.parametrize("their_open", [joserfc_open, jwcrypto_open])
def test_an_envelope_made_here_is_read_with_nothing_but_an_oracle(their_open: Callable[[str], bytes]) -> None:
    made = envelope(body=body(1800))
    routing = json.loads(joserfc_verify(made.e))
    assert routing == json.loads(jwcrypto_verify(eddsa(made.e)))
    plaintext = their_open(made.s)
    assert len(plaintext) == 2048
    assert plaintext[:32] == seed("salt")
    assert plaintext[32:].rstrip(b" ") == body(1800)
    assert [routing[name] for name in ("from", "to", "net", "ct", "cm")] == [A, B, NET, made.ct, made.cm]


@pytest.mark.parametrize(
    ("their_seal", "their_sign", "alg"),
    [(joserfc_seal, joserfc_sign, "Ed25519"), (jwcrypto_seal, jwcrypto_sign, "EdDSA")],
)
def test_an_envelope_made_with_nothing_but_an_oracle_is_read_here(
    their_seal: Callable[[bytes], str], their_sign: Callable[[dict[str, str], bytes], str], alg: str
) -> None:
    content = body(1800)
    s = their_seal((seed("salt") + content).ljust(2048))
    routing = json.loads(b64u_decode(envelope(body=content).e.split(".")[1]))
    routing["ct"] = b64u_encode(sha256(s.encode()).digest())
    e = their_sign(JWS_HEADER | {"alg": alg}, json.dumps(routing).encode())
    verified = verify_outer(read_outer(e, s), ring(), net=NET, me=B)
    opened = open_sealed(verified, s, {SEALERS[B].kid: SEALERS[B]}, S1)
    assert opened.body == content
    assert decode_event_body(opened.body).jti == routing["jti"]


# -- the RFCs


@needs_shared
def test_the_signature_of_rfc_8037_a_4_is_made_and_verified() -> None:
    example = json.loads((COOKBOOK / "curve25519" / "jws.json").read_text())
    key = S1.signing_key(b64u_decode(example["input"]["key"]["d"]))
    assert b64u_encode(key.public) == example["input"]["key"]["x"]
    signing_input = example["signing"]["sig-input"].encode()
    assert b64u_encode(key.sign(signing_input)) == example["signing"]["sig"]
    S1.verify_key(key.public).verify(b64u_decode(example["signing"]["sig"]), signing_input)


@needs_shared
def test_the_shared_secret_of_rfc_8037_a_6_is_found() -> None:
    """The secret is printed in the RFC, not in the file."""
    example = json.loads((COOKBOOK / "curve25519" / "ecdh-es.json").read_text())
    bob = S1.sealing_key(b64u_decode(example["input"]["key"]["d"]))
    assert b64u_encode(bob.public) == example["input"]["key"]["x"]
    shared = bob.exchange(S1.sealing_public(b64u_decode(example["encrypting_key"]["epk"]["x"])))
    assert shared.hex() == "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"


def foreign(folder: str) -> list[Any]:
    paths = sorted(COOKBOOK.glob(f"{folder}/*.json")) if COOKBOOK.is_dir() else []
    return [pytest.param(path, id=path.stem) for path in paths]


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(ProtocolError) as refused:
        read()
    return refused.value.code


@needs_shared
@pytest.mark.parametrize("path", foreign("jws") + foreign("rfc7797") + foreign("curve25519"))
def test_no_foreign_signature_or_sealing_is_read(path: Path) -> None:
    """RFC 7520, 7797, 8037, every serialisation: the header is never ours; detached and flattened forms have no shape."""
    output = json.loads(path.read_text())["output"]
    if "compact" in output:
        signed = refusal(lambda: jws.parse_compact(output["compact"], jws.MSG, max_bytes=64_000))
        assert signed in {"bad-header", "bad-shape"}
        assert refusal(lambda: our_open(output["compact"])) in {"bad-header", "bad-shape"}
    for form in ("json", "json_flat"):
        raw = json.dumps(output.get(form, {})).encode()
        assert refusal(lambda: jws.parse_general(raw, jws.ROOT, max_bytes=64_000)) in {  # noqa: B023
            "bad-header",
            "bad-shape",
            "bad-base64",
        }


@needs_shared
@pytest.mark.parametrize("path", foreign("jwe"))
def test_no_foreign_sealing_of_rfc_7520_is_opened(path: Path) -> None:
    """Twelve compact forms fail at the header; the JSON serialisations have no shape here."""
    output = json.loads(path.read_text())["output"]
    if "compact" in output:
        assert refusal(lambda: our_open(output["compact"])) in {"bad-header", "too-large"}
        assert refusal(lambda: jws.parse_compact(output["compact"], jws.MSG, max_bytes=64_000)) == "bad-shape"
    raw = json.dumps(output["json"]).encode()
    assert refusal(lambda: jws.parse_general(raw, jws.ROOT, max_bytes=64_000)) == "bad-shape"


@needs_shared
def test_the_nested_example_of_rfc_7520_is_refused() -> None:
    example = json.loads((COOKBOOK / "6.nesting_signatures_and_encryption.json").read_text())
    signed, sealed = (example[name]["output"]["compact"] for name in ("sign", "encrypt"))
    assert refusal(lambda: jws.parse_compact(signed, jws.MSG, max_bytes=64_000)) == "bad-header"
    assert refusal(lambda: our_open(sealed)) == "bad-header"


@needs_shared
@pytest.mark.parametrize("path", foreign("jwk"))
def test_no_key_of_rfc_7520_is_taken(path: Path) -> None:
    jwk = json.loads(path.read_text())
    assert refusal(lambda: decode(json.dumps(jwk).encode(), Jwk, max_bytes=64_000)) == "bad-shape"
    bare = Jwk(jwk.get("crv", ""), jwk["kty"], jwk.get("x", ""))
    assert refusal(lambda: from_jwk(bare, "Ed25519")) == "bad-key"
