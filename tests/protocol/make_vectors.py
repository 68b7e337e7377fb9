"""Writes schemas/vectors/*.json: `python -m tests.protocol.make_vectors`. Each expected code is written here by hand.

The output is committed and judged by test_vectors (our reader) and test_oracles (two other JOSE implementations).
"""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from protocol import jwe, jws, merkle
from protocol.calls import make_token
from protocol.envelope import commitment
from protocol.heads import make_pair
from protocol.keys import to_jwk
from protocol.notes import Checkpoint, origin, sign_head
from protocol.proofs import make_proof
from protocol.publications import leaf_hash
from protocol.receipts import sign_receipt
from protocol.strict import b64u_decode, b64u_encode
from protocol.suite import S1, SigningKey
from schemas.wire import Ack, Receipt
from tests.protocol import vectors_keys
from tests.protocol.ledger import Ledger
from tests.protocol.ledger import uid as ledger_uid
from tests.protocol.network import signer
from tests.protocol.samples import (
    DAY,
    JTI,
    NET,
    NOW,
    OLD_A,
    OTHER_NET,
    PUBLICS,
    REVOKED_A,
    SEALERS,
    SIGNERS,
    A,
    B,
    C,
    body,
    envelope,
    seed,
)  # fmt: skip

FOLDER = Path(__file__).parents[2] / "schemas" / "vectors"
P = 2**255 - 19
IDENTITY = (1).to_bytes(32, "little")
LEG = "0e6f2b1c-7d3e-4a5b-8c9d-0123456789ab"
UNIVERSAL_SIGNATURE = IDENTITY + bytes(32)
Case = dict[str, Any]


def case(name: str, given: object, expect: str = "ok", **more: object) -> Case:
    return {"name": name, "input": given, "expect": expect, **more}


def compact(header: object, payload: bytes, key: SigningKey) -> str:
    """A JWS under any header at all."""
    raw = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    signing_input = f"{b64u_encode(raw)}.{b64u_encode(payload)}"
    return f"{signing_input}.{b64u_encode(key.sign(signing_input.encode()))}"


def flipped(text: str, segment: int) -> str:
    """One bit of one segment flipped, still canonical base64url."""
    parts = text.split(".")
    raw = bytearray(b64u_decode(parts[segment]))
    raw[len(raw) // 2] ^= 1
    parts[segment] = b64u_encode(bytes(raw))
    return ".".join(parts)


def strict_json() -> tuple[str, dict[str, Any], list[Case]]:
    def text(name: str, given: str, expect: str = "ok") -> Case:
        return case(name, {"text": given}, expect)

    def raw(name: str, given: bytes, expect: str) -> Case:
        return case(name, {"b64u": b64u_encode(given)}, expect)

    return (
        "Strict JSON, at most 256 bytes",
        {"max_bytes": 256},
        [
            text("an object", '{"a":1,"b":[true,false,null,"x"]}'),
            text("white space around", ' \n{"a" : 1}\t\r\n'),
            text("depth 16", "[" * 16 + "]" * 16),
            text("sixteen openers inside a string count for nothing", '["' + "[" * 40 + '"]'),
            text("the largest integer", "[9007199254740991,-9007199254740991]"),
            text("a fraction and an exponent", "[0.5,-1.25e-3,1E2]"),
            text("minus zero", "[-0]"),
            text("an escaped pair of surrogates", '["\\ud83c\\udf08"]'),
            text("the same name in two objects", '[{"a":1},{"a":1}]'),
            text("a scalar alone", '"x"'),
            text("depth 17, arrays", "[" * 17 + "]" * 17, "json-too-deep"),
            text("depth 17, objects", '{"a":' * 17 + "1" + "}" * 17, "json-too-deep"),
            text("depth 17 behind closers in strings", '{"}":' * 17 + "1" + "}" * 17, "json-too-deep"),
            text("a name twice", '{"a":1,"a":1}', "json-duplicate-name"),
            text("a name twice, once escaped", '{"a":1,"\\u0061":2}', "json-duplicate-name"),
            text("a name twice, deep inside", '{"x":[{"y":{"b":1,"b":2}}]}', "json-duplicate-name"),
            text("2^53", "[9007199254740992]", "json-number"),
            text("-2^53", "[-9007199254740992]", "json-number"),
            text("a hundred digits", "[" + "9" * 100 + "]", "json-number"),
            text("NaN", "[NaN]", "json-number"),
            text("Infinity", '{"a":Infinity}', "json-number"),
            text("-Infinity", "[-Infinity]", "json-number"),
            text("a float beyond the largest", "[1e400]", "json-number"),
            text("a leading zero", "[01]", "bad-json"),
            text("a plus sign", "[+1]", "bad-json"),
            text("a point without digits", "[1.]", "bad-json"),
            text("a trailing comma", '{"a":1,}', "bad-json"),
            text("single quotes", "{'a':1}", "bad-json"),
            text("a comment", '{"a":1}//x', "bad-json"),
            text("two values", "{}{}", "bad-json"),
            text("nothing", "", "bad-json"),
            text("only space", "  ", "bad-json"),
            text("cut short", '{"a":', "bad-json"),
            text("a raw line break in a string", '["a\nb"]', "bad-json"),
            text("a bad escape", '["\\x41"]', "bad-json"),
            text("a form feed as white space", "\f{}", "bad-json"),
            text("257 bytes", '"' + "x" * 255 + '"', "too-large"),
            text("a lone surrogate, escaped", '["\\ud800"]', "bad-encoding"),
            text("a lone surrogate in a name", '{"\\udc00":1}', "bad-encoding"),
            raw("a byte order mark", b"\xef\xbb\xbf{}", "bad-encoding"),
            raw("UTF-16", '{"a":1}'.encode("utf-16-le"), "bad-json"),
            raw("UTF-16 with its mark", b"\xff\xfe{\x00}\x00", "bad-encoding"),
            raw("Latin-1", b'{"citt\xe0":1}', "bad-encoding"),
            raw("an overlong slash", b'["\xc0\xaf"]', "bad-encoding"),
            raw("a surrogate as UTF-8", b'["\xed\xa0\x80"]', "bad-encoding"),
            raw("a cut character", b'["\xe2\x82"]', "bad-encoding"),
        ],
    )


def base64url() -> tuple[str, dict[str, Any], list[Case]]:
    good = [
        ("nothing", "", b""),
        ("one byte", "_w", b"\xff"),
        ("two bytes", "-_8", b"\xfb\xff"),
        ("three", "AAAA", bytes(3)),
    ]
    bad = [
        ("padding", "_w=="),
        ("the plain alphabet, plus", "+w"),
        ("the plain alphabet, slash", "/w"),
        ("stray bits in the last character", "_x"),
        ("stray bits after two bytes", "-_9"),
        ("one character", "A"),
        ("five characters", "AAAAA"),
        ("a space inside", "AA AA"),
        ("a line break at the end", "AAAA\n"),
        ("a dot", "AA.AA"),
        ("an equals sign inside", "A=AA"),
        ("a zero character", "AA\x00AA"),
        ("a letter that is not ASCII", "AAÀA"),
        ("full-width letters", "ＡＡＡＡ"),
    ]  # fmt: skip
    cases = [case(name, {"text": text, "hex": raw.hex()}) for name, text, raw in good]
    return "Base64url without padding, one form for each value", {}, cases + [
        case(name, {"text": text}, "bad-base64") for name, text in bad
    ]  # fmt: skip


def keys() -> tuple[str, dict[str, Any], list[Case]]:
    def key(curve: str, name: str, raw: bytes, expect: str = "bad-key", **more: str) -> Case:
        return case(f"{curve}: {name}", {"jwk": {"crv": curve, "kty": "OKP", "x": b64u_encode(raw)}, **more}, expect)

    def number(value: int) -> bytes:
        return value.to_bytes(32, "little")

    order_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
    sign = 1 << 255
    low = {
        "the identity, under which one signature fits all": 1,
        "order 2": P - 1,
        "order 4": 0,
        "order 4, the other": sign,
        "order 8, first": order_8,
        "order 8, second": order_8 | sign,
        "order 8, third": P - order_8,
        "order 8, fourth": (P - order_8) | sign,
        "the identity with a sign": 1 | sign,
        "order 2 with a sign": (P - 1) | sign,
        "zero as p": P,
        "zero as p, with a sign": P | sign,
        "the identity as p + 1": P + 1,
        "the identity as p + 1, with a sign": (P + 1) | sign,
    }
    foreign = {"y = p + 3": P + 3, "y = 2^255 − 1": 2**255 - 1, "no point has this y": 2, "all ones": 2**256 - 1}
    u_325 = int.from_bytes(bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"), "little")
    u_393 = int.from_bytes(bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"), "little")
    x_low = {"0": 0, "1": 1, "order 8, first": u_325, "order 8, second": u_393, "p − 1": P - 1, "p": P, "p + 1": P + 1}
    rfc8037 = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    rfc8037_kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    good = [
        key("Ed25519", "RFC 8037 A.2, A.3", b64u_decode(rfc8037), "ok", kid=rfc8037_kid),
        *(key("Ed25519", f"of {node}", SIGNERS[node].public, "ok", kid=SIGNERS[node].kid) for node in (A, B, C)),
        *(key("X25519", f"of {node}", SEALERS[node].public, "ok", kid=SEALERS[node].kid) for node in (A, B, C)),
        key("X25519", "the base point", number(9), "ok"),
    ]
    bad = [
        *(key("Ed25519", name, number(value)) for name, value in (low | foreign).items()),
        *(key("X25519", name, number(value)) for name, value in x_low.items()),
        *(key("X25519", f"{name}, high bit", number(value | sign)) for name, value in x_low.items()),
        key("X25519", "a good key with the high bit", number(9 | sign)),
        key("Ed25519", "31 bytes", bytes(31)),
        key("X25519", "33 bytes", bytes(33)),
        case("another curve", {"jwk": {"crv": "Ed448", "kty": "OKP", "x": rfc8037}}, "bad-key"),
        case("another key type", {"jwk": {"crv": "Ed25519", "kty": "EC", "x": rfc8037}}, "bad-key"),
        case("padding", {"jwk": {"crv": "Ed25519", "kty": "OKP", "x": rfc8037 + "="}}, "bad-base64"),
        case("a private part", {"jwk": {"crv": "Ed25519", "kty": "OKP", "x": rfc8037, "d": rfc8037}}, "bad-shape"),
        case("no x", {"jwk": {"crv": "Ed25519", "kty": "OKP"}}, "bad-shape"),
    ]
    return "Public keys as JWK: canonical, of large order; kid is the RFC 7638 thumbprint", {}, good + bad


def signatures() -> tuple[str, dict[str, Any], list[Case]]:
    key = SIGNERS[A]
    header = {"alg": "Ed25519", "kid": key.kid, "typ": jws.MSG}
    payload = b'{"a":1}'
    good = jws.sign_compact(key, jws.MSG, payload)
    head, middle, tail = good.split(".")
    ell = 2**252 + 27742317777372353535851937790883648493
    raw = b64u_decode(tail)
    malleable = raw[:32] + (int.from_bytes(raw[32:], "little") + ell).to_bytes(32, "little")

    def signed(name: str, head: object, expect: str = "bad-header", payload: bytes = payload) -> Case:
        return case(name, {"text": compact(head, payload, key)}, expect)

    cases = [
        case("as we write it", {"text": good, "payload": payload.decode()}),
        signed("EdDSA, the older name", header | {"alg": "EdDSA"}, "ok"),
        signed("members in another order", dict(reversed(header.items())), "ok"),
        signed("white space in the header", json.dumps(header, indent=1).encode(), "ok"),
        signed("an empty payload", header, "ok", payload=b""),
        signed("alg none", header | {"alg": "none"}),
        signed("alg HS256", header | {"alg": "HS256"}),
        signed("alg in another case", header | {"alg": "ed25519"}),
        signed("alg ES256", header | {"alg": "ES256"}),
        signed("another typ", header | {"typ": jws.RCPT}),
        signed("typ in another case", header | {"typ": "Raccordo-msg+jws"}),
        signed("typ with its prefix", header | {"typ": "application/raccordo-msg+jws"}),
        signed("no typ", {"alg": "Ed25519", "kid": key.kid}),
        signed("no kid", {"alg": "Ed25519", "typ": jws.MSG}),
        signed("no alg", {"kid": key.kid, "typ": jws.MSG}),
        signed("a kid that is no thumbprint", header | {"kid": "../../etc/passwd"}),
        signed("crit", header | {"crit": ["exp"]}),
        signed("b64 false", header | {"b64": False, "crit": ["b64"]}),
        signed("a key in the header", header | {"jwk": {"crv": "Ed25519", "kty": "OKP", "x": b64u_encode(key.public)}}),
        signed("a key behind a URL", header | {"jku": "https://example.org/k"}),
        signed("x5c", header | {"x5c": []}),
        signed("alg twice", f'{{"alg":"none",{json.dumps(header)[1:]}'.encode()),
        signed("null typ", header | {"typ": None}),
        signed("an array for a header", b'["Ed25519"]'),
        signed("a header that is not JSON", b"alg=Ed25519"),
        signed("a header with a byte order mark", b"\xef\xbb\xbf" + json.dumps(header).encode()),
        signed("a deep header", b'{"alg":' + b"[" * 100 + b"]" * 100 + b"}"),
        signed("a long header", header | {"kid": "A" * 500}, "too-large"),
        case("signed by another key under this kid", {"text": compact(header, payload, SIGNERS[B])}, "bad-signature"),
        case("the kid of another key", {"text": jws.sign_compact(SIGNERS[B], jws.MSG, payload)}, "unknown-key"),
        case("a bit of the payload flipped", {"text": flipped(good, 1)}, "bad-signature"),
        case("a bit of the signature flipped", {"text": flipped(good, 2)}, "bad-signature"),
        case("S + L", {"text": f"{head}.{middle}.{b64u_encode(malleable)}"}, "bad-signature"),
        case("no signature", {"text": f"{head}.{middle}."}, "bad-signature"),
        case("63 bytes of signature", {"text": f"{head}.{middle}.{b64u_encode(raw[:63])}"}, "bad-signature"),
        case("all-zero signature", {"text": f"{head}.{middle}.{b64u_encode(bytes(64))}"}, "bad-signature"),
        case("a detached payload", {"text": f"{head}..{tail}"}, "bad-signature"),
        case("two segments", {"text": f"{head}.{middle}"}, "bad-shape"),
        case("four segments", {"text": good + "."}, "bad-shape"),
        case("padding", {"text": good + "="}, "bad-base64"),
        case("a space", {"text": " " + good}, "bad-base64"),
        case("a line break at the end", {"text": good + "\n"}, "bad-base64"),
        case("stray bits in the signature", {"text": good[:-1] + chr(ord(good[-1]) + 1)}, "bad-base64"),
        case("a letter that is not ASCII", {"text": f"{head}.{middle}à.{tail}"}, "bad-base64"),
        case("too long", {"text": f"{head}.{'A' * 4096}.{tail}"}, "too-large"),
        case("the universal signature, a sound key", {"text": f"{head}.{middle}.{b64u_encode(UNIVERSAL_SIGNATURE)}"}, "bad-signature"),
        case("the universal signature and its key", {"text": f"{head}.{middle}.{b64u_encode(UNIVERSAL_SIGNATURE)}", "key": b64u_encode(IDENTITY)}, "bad-key"),
    ]  # fmt: skip
    return (
        "Compact JWS of typ raccordo-msg+jws, at most 4096 characters, verified with `key`",
        {"key": b64u_encode(key.public)},
        cases,
    )


def general() -> tuple[str, dict[str, Any], list[Case]]:
    payload = b'{"root":1}'
    both = json.loads(jws.sign_general([SIGNERS[A], SIGNERS[B]], jws.ROOT, payload))
    by_c = json.loads(jws.sign_general([SIGNERS[C]], jws.ROOT, payload))["signatures"]
    other = json.loads(jws.sign_general([SIGNERS[A], SIGNERS[B]], jws.ROOT, b'{"root":2}'))
    other_typ = json.loads(jws.sign_general([SIGNERS[A], SIGNERS[B]], jws.ADM, payload))
    one, two = both["signatures"]

    def given(name: str, document: object, expect: str = "ok") -> Case:
        return case(name, {"json": json.dumps(document)}, expect)

    cases = [
        given("two of two", both),
        given("a stranger's signature beside them", {**both, "signatures": [*by_c, one, two]}),
        given("one signature", {**both, "signatures": [one]}, "threshold"),
        given("one signature and a stranger's", {**both, "signatures": [one, *by_c]}, "threshold"),
        given("the same signature twice", {**both, "signatures": [one, one]}, "bad-shape"),
        given("signatures of another payload", {**other, "signatures": both["signatures"]}, "threshold"),
        given("one of another payload", {**both, "signatures": [one, other["signatures"][1]]}, "threshold"),
        given("another typ", other_typ, "bad-header"),
        given("no signatures", {**both, "signatures": []}, "bad-shape"),
        given("too many signatures", {**both, "signatures": [one] * 33}, "bad-shape"),
        given("an unprotected header", {**both, "signatures": [{**one, "header": {"kid": "x"}}, two]}, "bad-shape"),
        given("the flattened form", {"payload": both["payload"], **one}, "bad-shape"),
        given("no payload", {"signatures": both["signatures"]}, "bad-shape"),
        given("padding in the payload", {**both, "payload": both["payload"] + "=="}, "bad-base64"),
    ]
    keys = [b64u_encode(SIGNERS[node].public) for node in (A, B)]
    return "General JSON JWS of typ raccordo-root+jws, both of `keys` needed", {"keys": keys, "threshold": 2}, cases


def sealed() -> tuple[str, dict[str, Any], list[Case]]:
    recipient, names = PUBLICS[B], {"apu": A.encode(), "apv": B.encode()}
    plaintext = b"quello che solo il destinatario legge"
    text = jwe.seal(S1, recipient, ephemeral_seed=seed("e"), nonce=seed("n")[:12], plaintext=plaintext, **names)
    epk = S1.sealing_key(seed("e")).public
    parts = text.split(".")
    header = json.loads(b64u_decode(parts[0]))

    def under(name: str, head: object, expect: str = "bad-header", epk_raw: bytes = epk) -> Case:
        """Sealed as it should be, under another header."""
        raw = head if isinstance(head, bytes) else json.dumps(head, separators=(",", ":")).encode()
        segment = b64u_encode(raw)
        shared = S1.sealing_key(seed("e")).exchange(recipient)
        cipher = S1.encrypt(jwe.content_key(shared, **names), seed("n")[:12], segment.encode(), plaintext)
        return case(
            name, {"text": f"{segment}..{parts[2]}.{b64u_encode(cipher[:-16])}.{b64u_encode(cipher[-16:])}"}, expect
        )

    def with_epk(raw: bytes) -> dict[str, Any]:
        return header | {"epk": {"crv": "X25519", "kty": "OKP", "x": b64u_encode(raw)}}

    def replaced(name: str, index: int, segment: str, expect: str) -> Case:
        changed = [*parts]
        changed[index] = segment
        return case(name, {"text": ".".join(changed)}, expect)

    old = S1.sealing_public(S1.sealing_key(seed("destroyed")).public)
    to_old = jwe.seal(S1, old, ephemeral_seed=seed("e"), nonce=seed("n")[:12], plaintext=plaintext, **names)
    to_c = jwe.seal(S1, PUBLICS[C], ephemeral_seed=seed("e"), nonce=seed("n")[:12], plaintext=plaintext, **names)
    swapped = jwe.seal(
        S1,
        recipient,
        ephemeral_seed=seed("e"),
        nonce=seed("n")[:12],
        apu=B.encode(),
        apv=A.encode(),
        plaintext=plaintext,
    )
    low = {
        "0": 0,
        "1": 1,
        "p − 1": P - 1,
        "p": P,
        "p + 1": P + 1,
        "order 8": 325606250916557431795983626356110631294008115727848805560023387167927233504,
    }
    cases = [
        case("as we write it", {"text": text, "plaintext": plaintext.decode()}),
        under("members in another order", dict(reversed(header.items())), "ok"),
        case("an empty plaintext", {"text": jwe.seal(S1, recipient, ephemeral_seed=seed("x"), nonce=seed("n")[:12], plaintext=b"", **names), "plaintext": ""}),
        case("a plaintext of 2 KiB", {"text": jwe.seal(S1, recipient, ephemeral_seed=seed("y"), nonce=seed("n")[:12], plaintext=b"x" * 2048, **names), "plaintext": "x" * 2048}),
        under("zip", header | {"zip": "DEF"}),
        under("crit", header | {"crit": ["exp"]}),
        under("cty", header | {"cty": "JWT"}),
        under("another alg", header | {"alg": "ECDH-ES+A256KW"}),
        under("alg dir", header | {"alg": "dir"}),
        under("another enc", header | {"enc": "A128GCM"}),
        under("no apu", {name: value for name, value in header.items() if name != "apu"}),
        under("no epk", {name: value for name, value in header.items() if name != "epk"}),
        under("epk twice", f'{{"epk":{{"crv":"X25519","kty":"OKP","x":"AA"}},{json.dumps(header)[1:]}'.encode()),
        under("a kid that is no thumbprint", header | {"kid": B}),
        under("a private part in epk", header | {"epk": header["epk"] | {"d": "AA"}}),
        under("not JSON", b"ECDH-ES"),
        under("a long header", header | {"apu": "A" * 1000}, "too-large"),
        under("epk on another curve", header | {"epk": {"crv": "Ed25519", "kty": "OKP", "x": b64u_encode(SIGNERS[A].public)}}, "bad-key"),
        under("epk of P-256", header | {"epk": {"crv": "P-256", "kty": "EC", "x": b64u_encode(epk)}}, "bad-key"),
        under("epk with the high bit", with_epk(epk[:31] + bytes([epk[31] | 0x80])), "bad-key"),
        under("epk of 31 bytes", with_epk(epk[:31]), "bad-key"),
        *(under(f"epk {name}", with_epk(value.to_bytes(32, "little")), "bad-key") for name, value in low.items()),
        under("apu of another member", header | {"apu": b64u_encode(C.encode())}, "inner-outer-mismatch"),
        under("apv of another member", header | {"apv": b64u_encode(C.encode())}, "inner-outer-mismatch"),
        case("apu and apv exchanged", {"text": swapped}, "inner-outer-mismatch"),
        under("apu with padding", header | {"apu": header["apu"] + "="}, "bad-base64"),
        case("sealed to a key no longer held", {"text": to_old}, "reseal"),
        case("sealed to another member", {"text": to_c}, "reseal"),
        under("the kid of a key it was not sealed to", header | {"kid": PUBLICS[B].kid, "epk": to_jwk_dict(seed("other"))}, "cannot-open"),
        case("a bit of the iv flipped", {"text": flipped(text, 2)}, "cannot-open"),
        case("a bit of the ciphertext flipped", {"text": flipped(text, 3)}, "cannot-open"),
        case("a bit of the tag flipped", {"text": flipped(text, 4)}, "cannot-open"),
        replaced("a header written differently", 0, b64u_encode(json.dumps(header).encode()), "cannot-open"),
        replaced("an encrypted key", 1, "AAAA", "bad-shape"),
        replaced("an iv of 16 bytes", 2, b64u_encode(bytes(16)), "bad-shape"),
        replaced("a tag of 12 bytes", 4, b64u_encode(bytes(12)), "bad-shape"),
        replaced("no tag", 4, "", "bad-shape"),
        replaced("padding", 4, parts[4] + "==", "bad-base64"),
        replaced("the plain alphabet", 3, "+/" + parts[3][2:], "bad-base64"),
        case("four segments", {"text": ".".join(parts[:4])}, "bad-shape"),
        case("six segments", {"text": text + "."}, "bad-shape"),
    ]  # fmt: skip
    common = {"seed": b64u_encode(seed(f"seal {B}")), "apu": A, "apv": B}
    return "Compact JWE for the private key `seed`, PartyUInfo `apu`, PartyVInfo `apv`", common, cases


def to_jwk_dict(secret: bytes) -> dict[str, str]:
    jwk = to_jwk("X25519", S1.sealing_key(secret).public)
    return {"crv": jwk.crv, "kty": jwk.kty, "x": jwk.x}


class Forge:
    """A sender that writes envelopes by hand, so that one thing at a time can be wrong."""

    def __init__(self) -> None:
        self.good = envelope()
        self.routing: dict[str, Any] = json.loads(b64u_decode(self.good.e.split(".")[1]))

    def e(self, routing: dict[str, Any] | None = None, key: SigningKey = SIGNERS[A], **changes: Any) -> str:
        payload = json.dumps((routing or self.routing) | changes, separators=(",", ":")).encode()
        return jws.sign_compact(key, jws.MSG, payload)

    def around(self, s: str, **changes: Any) -> dict[str, str]:
        """A signed `e` that fits a sealed part."""
        return {"e": self.e(ct=b64u_encode(sha256(s.encode()).digest()), **changes), "s": s}

    def sealing(self, inside: bytes, *, salt: bytes = seed("salt"), pad_to: int = 2048, filler: bytes = b" ",
                apu: str = A, apv: str = B, cm: str | None = None, **changes: Any) -> dict[str, str]:  # fmt: skip
        """Any body at all, sealed and signed."""
        plaintext = (salt + inside).ljust(pad_to, filler)
        s = jwe.seal(
            S1,
            PUBLICS[B],
            ephemeral_seed=seed("f"),
            nonce=seed("n")[:12],
            apu=apu.encode(),
            apv=apv.encode(),
            plaintext=plaintext,
        )
        return self.around(s, cm=cm or commitment(salt, inside), **changes)


def envelopes() -> tuple[str, dict[str, Any], list[Case]]:
    forge = Forge()
    good = forge.good
    sheet = json.loads(body())["offer"]
    other = envelope(jti="7d2e8f10-5b4c-4d3e-8f90-1a2b3c4d5e6f", body=body(jti="7d2e8f10-5b4c-4d3e-8f90-1a2b3c4d5e6f"),
                     ephemeral_seed=seed("second"), salt=seed("second salt"))  # fmt: skip
    pair = {"e": good.e, "s": good.s}
    without = lambda name: {key: value for key, value in forge.routing.items() if key != name}  # noqa: E731

    def ok(name: str, given: dict[str, str]) -> Case:
        return case(name, given, "ok")

    def unsigned(name: str, given: dict[str, str], expect: str, answer: str = "damaged") -> Case:
        return case(name, given, expect, answer=answer)

    def rejected(name: str, given: dict[str, str], expect: str) -> Case:
        return case(name, given, expect, answer="rejected")

    def routed(name: str, expect: str, answer: str = "damaged", **changes: Any) -> Case:
        return unsigned(name, {"e": forge.e(**changes), "s": good.s}, expect, answer)

    def edited(name: str, expect: str, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Case:
        return unsigned(name, {"e": forge.e(edit(forge.routing)), "s": good.s}, expect)

    own = body()
    cases = [
        ok("as we write it", pair),
        ok("another event", {"e": other.e, "s": other.s}),
        ok("under a superseded key", sealed_pair(envelope(signing_key=OLD_A))),
        ok("unknown members in the body", forge.sealing(own[:-1] + b',"later":{"x":[1]}}')),
        ok("a body of 1.8 KB", sealed_pair(envelope(body=body(1800)))),
        ok("a body in the next bucket", sealed_pair(envelope(body=body(2300)))),
        ok("a larger bucket than needed", forge.sealing(own, pad_to=8192)),
        ok("iat 300 s ahead", sealed_pair(envelope(iat=NOW + 300))),
        ok("in its last second", sealed_pair(envelope(iat=NOW - 30 * DAY + 1))),
        ok("an offer of the third hop", forge.sealing(body(offer={**sheet, "path": [C, "uno", "due", A]}))),
        ok("a log head", forge.sealing(json.dumps({"kind": "head", "net": NET, "from": A, "to": B, "jti": JTI, "note": "x"}).encode())),
        # -- up to ct: unsigned
        unsigned("a bit of the routing flipped", {"e": flipped(good.e, 1), "s": good.s}, "bad-json"),
        unsigned("a bit of the signature flipped", {"e": flipped(good.e, 2), "s": good.s}, "bad-signature"),
        unsigned("a bit of the sealed part flipped", {"e": good.e, "s": flipped(good.s, 3)}, "ct-mismatch"),
        unsigned("the sealed part of another envelope", {"e": good.e, "s": other.s}, "ct-mismatch"),
        unsigned("the routing of another envelope", {"e": other.e, "s": good.s}, "ct-mismatch"),
        unsigned("the signature of another envelope", {"e": good.e.rpartition(".")[0] + "." + other.e.rpartition(".")[2], "s": good.s}, "bad-signature"),
        unsigned("the payload of another envelope", {"e": ".".join([good.e.split(".")[0], other.e.split(".")[1], good.e.split(".")[2]]), "s": other.s}, "bad-signature"),
        unsigned("the sealed part with a letter that is not ASCII", {"e": good.e, "s": good.s + "à"}, "bad-base64"),
        unsigned("the sealed part missing", {"e": good.e, "s": ""}, "ct-mismatch"),
        unsigned("a receipt's typ", {"e": jws.sign_compact(SIGNERS[A], jws.RCPT, json.dumps(forge.routing).encode()), "s": good.s}, "bad-header"),
        unsigned("the routing part too long", {"e": forge.e(net="A" * 4000), "s": good.s}, "too-large"),
        unsigned("by a key nobody knows", {"e": forge.e(key=S1.signing_key(seed("stranger"))), "s": good.s}, "unknown-key", "unknown-key"),
        unsigned("by another member's key", {"e": forge.e(key=SIGNERS[C]), "s": good.s}, "unknown-key", "unknown-key"),
        unsigned("by a revoked key", {"e": forge.e(key=REVOKED_A), "s": good.s}, "revoked-key", "revoked-key"),
        unsigned("from somebody else than the key's member", {"e": forge.e(**{"from": C}), "s": good.s}, "unknown-key", "unknown-key"),
        routed("another network", "wrong-network", "wrong-network", net=OTHER_NET),
        routed("to another member", "wrong-recipient", "wrong-recipient", to=C),
        routed("to oneself", "to-self", "to-self", to=A),
        routed("a ct that does not match", "ct-mismatch", ct=b64u_encode(seed("x"))),
        routed("a net that is no hash", "bad-shape", net="rete"),
        routed("a net with stray bits", "bad-shape", net=NET[:-1] + chr(ord(NET[-1]) + 1)),
        routed("a cm that is no hash", "bad-shape", cm="AAAA"),
        routed("a ct with padding", "bad-shape", ct=good.ct + "="),
        routed("a NodeId with a capital", "bad-node-id", **{"from": "Comune-alfa"}),
        routed("a NodeId with a dot", "bad-node-id", to="distretto.beta"),
        routed("a NodeId that ends with a dash", "bad-node-id", to="distretto-"),
        routed("a NodeId of 64 characters", "bad-node-id", to="a" * 64),
        routed("an empty NodeId", "bad-node-id", to=""),
        routed("a NodeId with a line break", "bad-node-id", to=B + "\n"),
        routed("a jti of version 1", "bad-shape", jti="5b1c6f0e-3d2a-1c1b-9e8f-0a1b2c3d4e5f"),
        routed("a jti in capitals", "bad-shape", jti=JTI.upper()),
        routed("a jti without dashes", "bad-shape", jti=JTI.replace("-", "")),
        routed("a jti in braces", "bad-shape", jti="{" + JTI + "}"),
        routed("a jti of another variant", "bad-shape", jti="5b1c6f0e-3d2a-4c1b-ce8f-0a1b2c3d4e5f"),
        routed("a ch without seq", "bad-shape", ch="1"),
        routed("a ch with a leading zero", "bad-shape", ch="1.07"),
        routed("a ch from 0", "bad-shape", ch="1.0"),
        routed("epoch 0", "bad-shape", ch="0.1"),
        routed("a ch with a sign", "bad-shape", ch="1.-7"),
        routed("a ch with three parts", "bad-shape", ch="1.7.1"),
        routed("a ch beyond 2^53", "bad-shape", ch="1.9007199254740992"),
        routed("a ch with Arabic digits", "bad-shape", ch="1.٧"),
        routed("a ch as a number", "bad-shape", ch=1.7),
        routed("iat as text", "bad-shape", iat=str(NOW)),
        routed("iat as a fraction", "bad-shape", iat=NOW + 0.5),
        routed("iat below 0", "bad-shape", iat=-1),
        routed("mv below 0", "bad-shape", mv=-1),
        routed("a number beyond 2^53", "json-number", iat=2**53),
        routed("v as text", "bad-shape", v="1"),
        routed("one member more", "bad-shape", kind="event"),
        edited("no cm", "bad-shape", lambda routing: without("cm")),
        edited("no v", "bad-shape", lambda routing: without("v")),
        unsigned("from twice", {"e": jws.sign_compact(SIGNERS[A], jws.MSG, b'{"from":"x",' + json.dumps(forge.routing).encode()[1:]), "s": good.s}, "json-duplicate-name"),
        unsigned("iat 301 s ahead", sealed_pair(envelope(iat=NOW + 301)), "from-the-future", "from-the-future"),
        unsigned("expired this second", sealed_pair(envelope(iat=NOW - 30 * DAY)), "expired", "expired"),
        unsigned("expired long ago", sealed_pair(envelope(iat=NOW - 90 * DAY)), "expired", "expired"),
        unsigned("sealed to a key no longer held", sealed_pair(envelope(recipient=S1.sealing_public(S1.sealing_key(seed("destroyed")).public))), "reseal", "reseal"),
        # -- after ct: signed
        rejected("version 2", {"e": forge.e(v=2), "s": good.s}, "unsupported-version"),
        rejected("version 0", {"e": forge.e(v=0), "s": good.s}, "unsupported-version"),
        rejected("exp one second too far", {"e": forge.e(exp=NOW + 30 * DAY + 1), "s": good.s}, "bad-lifetime"),
        rejected("exp at iat", {"e": forge.e(exp=NOW), "s": good.s}, "bad-lifetime"),
        rejected("exp before iat", {"e": forge.e(exp=NOW - 1), "s": good.s}, "bad-lifetime"),
        rejected("apu of another member", forge.sealing(own, apu=C), "inner-outer-mismatch"),
        rejected("apv of another member", forge.sealing(own, apv=C), "inner-outer-mismatch"),
        rejected("another from inside", forge.sealing(body(**{"from": C})), "inner-outer-mismatch"),
        rejected("another to inside", forge.sealing(body(to=C)), "inner-outer-mismatch"),
        rejected("another net inside", forge.sealing(body(net=OTHER_NET)), "inner-outer-mismatch"),
        rejected("another jti inside", forge.sealing(body(jti="7d2e8f10-5b4c-4d3e-8f90-1a2b3c4d5e6f")), "inner-outer-mismatch"),
        rejected("a cm of other content", forge.sealing(own, cm=b64u_encode(seed("cm"))), "commitment-mismatch"),
        rejected("a cm under another salt", forge.sealing(own, cm=commitment(seed("x"), own)), "commitment-mismatch"),
        rejected("a cm that counts the padding", forge.sealing(own, cm=commitment(seed("salt"), own.ljust(2016))), "commitment-mismatch"),
        rejected("sealed by another alg", forge.around("AAAA..AAAA.AAAA.AAAA"), "bad-seal"),
        rejected("a sealed part of four segments", forge.around("AAAA.AAAA.AAAA.AAAA"), "bad-seal"),
        rejected("a sealed part with padding", forge.around(good.s + "="), "bad-seal"),
        rejected("a length that is no bucket", forge.sealing(own, pad_to=2047), "bad-seal"),
        rejected("padding with zeros", forge.sealing(own, filler=b"\0"), "bad-body"),
        rejected("a body that is not JSON", forge.sealing(b"ciao"), "bad-body"),
        rejected("no body", forge.sealing(b""), "bad-body"),
        rejected("a body that is an array", forge.sealing(b"[" + own + b"]"), "bad-body"),
        rejected("a name twice in the body", forge.sealing(b'{"n":1,' + own[1:]), "bad-body"),
        rejected("a deep body", forge.sealing(own[:-1] + b',"x":' + b"[" * 1500 + b"]" * 1500 + b"}", pad_to=8192), "bad-body"),
        rejected("a number beyond 2^53 in the body", forge.sealing(own[:-1] + b',"x":9007199254740992}'), "bad-body"),
        rejected("n from 0", forge.sealing(body(n=0)), "bad-body"),
        rejected("n as text", forge.sealing(body(n="1")), "bad-body"),
        rejected("no leg", forge.sealing(body(leg=None)), "bad-body"),
        rejected("no jti inside", forge.sealing(body(jti=None)), "bad-body"),
        rejected("a kind nobody knows", forge.sealing(body(kind="greeting")), "unsupported"),
        rejected("a feature that has to be understood", forge.sealing(body(must=["telepathy"])), "unsupported"),
        rejected("a way through its recipient", forge.sealing(body(offer={**sheet, "path": [B, A]})), "forward-loop"),
        rejected("a way through one member twice", forge.sealing(body(offer={**sheet, "path": [C, "uno", C, A]})), "forward-loop"),
        rejected("a fourth hop", forge.sealing(body(offer={**sheet, "path": [C, "uno", "due", "tre", A]})), "forward-hops"),
        rejected("a way that does not lead to its sender", forge.sealing(body(offer={**sheet, "path": [A, C]})), "bad-body"),
        rejected("an empty way", forge.sealing(body(offer={**sheet, "path": []})), "bad-body"),
    ]  # fmt: skip
    common = {
        "net": NET,
        "me": B,
        "now": NOW,
        "sealing_seed": b64u_encode(seed(f"seal {B}")),
        "members": [
            *({"node": node, "status": "current", "x": b64u_encode(SIGNERS[node].public)} for node in (A, B, C)),
            {"node": A, "status": "superseded", "x": b64u_encode(OLD_A.public)},
            {"node": A, "status": "revoked", "x": b64u_encode(REVOKED_A.public)},
        ],
    }
    about = "Envelopes read by `me`; `answer` is rejected (signed) or the code of the unsigned answer"
    return about, common, cases


def sealed_pair(made: Any) -> dict[str, str]:
    return {"e": made.e, "s": made.s}


def receipts() -> tuple[str, dict[str, Any], list[Case]]:
    mid, mid_2 = b64u_encode(seed("mid")), b64u_encode(seed("mid 2"))
    ack = {"mid": mid, "k": "processed", "st": NOW - 5, "h": 0}
    base = {"net": NET, "from": B, "to": A, "at": NOW, "hw": "1.7", "acks": [ack]}

    def given(name: str, expect: str = "ok", key: SigningKey = SIGNERS[B], **changes: Any) -> Case:
        return case(name, {"text": jws.sign_compact(key, jws.RCPT, json.dumps(base | changes).encode())}, expect)

    def acked(name: str, expect: str = "bad-receipt", **changes: Any) -> Case:
        return given(name, expect, acks=[{key: value for key, value in (ack | changes).items() if value is not None}])

    real = Receipt(
        net=NET,
        sender=B,
        to=A,
        at=NOW,
        hw="2.1",
        acks=[Ack(mid, "stored", NOW), Ack(mid_2, "rejected", NOW, prob="jti-reuse")],
    )
    cases = [
        case("as we write it", {"text": sign_receipt(SIGNERS[B], real)}),
        given("processed"),
        given("nothing held", hw="0.0", acks=[{"mid": mid, "k": "rejected", "st": 0, "prob": "unsupported-version"}]),
        acked("stored", "ok", k="stored", h=None),
        given("at 300 s ahead", at=NOW + 300),
        given("old", at=NOW - 400 * DAY),
        given("another network", "wrong-network", net=OTHER_NET),
        given("for another member", "wrong-recipient", to=C),
        given("to oneself", "wrong-recipient", to=B),
        given("by another member's key", "unknown-key", key=SIGNERS[C]),
        given("in another member's name", "unknown-key", **{"from": C}),
        given("about one's own messages", "bad-receipt", key=SIGNERS[A], **{"from": A}),
        given("at 301 s ahead", "from-the-future", at=NOW + 301),
        given("at below 0", "bad-receipt", at=-1),
        given("no acks", "bad-receipt", acks=[]),
        given("51 acks", "bad-receipt", acks=[{"mid": b64u_encode(seed(str(i))), "k": "stored", "st": NOW} for i in range(51)]),
        given("the same mid twice", "bad-receipt", acks=[ack, ack]),
        given("hw without seq", "bad-receipt", hw="1"),
        given("hw with a leading zero", "bad-receipt", hw="01.7"),
        given("hw 0.7", "bad-receipt", hw="0.7"),
        given("one member more", "bad-shape", note="x"),
        given("acks missing", "bad-shape", acks=None),
        given("a name that is no NodeId", "bad-node-id", **{"from": "B eta"}),
        acked("a word that is no state", k="seen"),
        acked("a mid that is no hash", mid="abc"),
        acked("st below 0", st=-1),
        acked("h of what is only stored", k="stored", h=1),
        acked("h below 0", h=-1),
        acked("rejected without a code", k="rejected", h=None),
        acked("processed with a code", prob="jti-reuse"),
        acked("rejected with a code outside the list", k="rejected", h=None, prob="ct-mismatch"),
        acked("rejected as damaged", k="rejected", h=None, prob="damaged"),
        acked("rejected as expired", k="rejected", h=None, prob="expired"),
        acked("st as text", "bad-shape", st=str(NOW)),
        acked("one member more in an ack", "bad-shape", x=1),
        case("a flipped bit", {"text": flipped(sign_receipt(SIGNERS[B], real), 2)}, "bad-signature"),
        case("an envelope's typ", {"text": jws.sign_compact(SIGNERS[B], jws.MSG, json.dumps(base).encode())}, "bad-header"),
        case("too long", {"text": "A" * 20_000}, "too-large"),
        case("nothing", {"text": ""}, "bad-shape"),
    ]  # fmt: skip
    return (
        "Receipts as `me` reads them; the members are those of envelopes.json",
        {"net": NET, "me": A, "now": NOW},
        cases,
    )


def tokens() -> tuple[str, dict[str, Any], list[Case]]:
    wanted = {"net": NET, "aud": B, "method": "POST", "path": "/v1/inbox?x=1"}
    content = b'{"items":[]}'
    base = {**wanted, "iss": A, "iat": NOW, "exp": NOW + 120, "body": b64u_encode(sha256(content).digest())}

    def given(
        name: str,
        expect: str = "unauthenticated",
        *,
        key: SigningKey = SIGNERS[A],
        typ: jws.Typ = jws.REQ,
        **changes: Any,
    ) -> Case:
        payload = {k: v for k, v in (base | changes).items() if v is not None}
        return case(name, {"text": jws.sign_compact(key, typ, json.dumps(payload).encode())}, expect)

    def made(now: int) -> str:
        return make_token(SIGNERS[A], iss=A, now=now, body=content, **wanted)

    cases = [
        case("as we write it", {"text": made(NOW)}),
        case("300 s ahead", {"text": made(NOW + 300)}),
        case("299 s after its end", {"text": made(NOW - 120 - 299)}),
        given("for ten seconds", "ok", exp=NOW + 10),
        given("under a superseded key", "ok", key=OLD_A),
        case("301 s ahead", {"text": made(NOW + 301)}, "unauthenticated"),
        case("300 s after its end", {"text": made(NOW - 120 - 300)}, "unauthenticated"),
        given("121 s long", exp=NOW + 121),
        given("exp at iat", exp=NOW),
        given("exp before iat", exp=NOW - 1),
        given("another network", net=OTHER_NET),
        given("another addressee", aud=C),
        given("another method", method="GET"),
        given("the method in another case", method="post"),
        given("another path", path="/v1/inbox"),
        given("another query", path="/v1/inbox?x=2"),
        given("a host in the path", path="https://beta.example/v1/inbox?x=1"),
        given("another body", body=b64u_encode(seed("x"))),
        given("no body announced", body=None),
        given("in another member's name", iss=C),
        given("by another member's key", key=SIGNERS[C]),
        given("by a revoked key", key=REVOKED_A),
        given("one member more", admin=True),
        given("no exp", exp=None),
        given("iat as text", iat=str(NOW)),
        given("an envelope's typ", typ=jws.MSG),
        case("alg none", {"text": compact({"alg": "none", "kid": SIGNERS[A].kid, "typ": jws.REQ}, json.dumps(base).encode(), SIGNERS[A])}, "unauthenticated"),
        case("a flipped bit", {"text": flipped(made(NOW), 2)}, "unauthenticated"),
        case("nothing", {"text": ""}, "unauthenticated"),
        case("too long", {"text": "A" * 5000}, "unauthenticated"),
    ]  # fmt: skip
    common = {**wanted, "now": NOW, "content": content.decode()}
    return "Request tokens; the body that arrives is `content`; the members are those of envelopes.json", common, cases


def busy_log() -> Ledger:
    """A young log in which a key, a root and a day have changed."""
    log = Ledger("comune", "distretto")
    log.publish("distretto", "Punto unico")
    log.rotate("comune")
    log.publish("comune", "Mensa", "Sportello", "Trasporto")
    log.publish("comune", "Linea urgente", vis="network")
    log.new_root()
    log.day()
    log.publish("distretto", "Punto unico", "Assistenza")
    return log


def simple_log(*, key: str = "comune", by: tuple[str, ...] = ("g1",)) -> Ledger:
    """One member with one publication."""
    log = Ledger()
    log.keys["comune"] = [signer(key)]
    log.network.add("comune", admission=log.network.admission("comune", by=by))
    log.log("admission", log.network.entries["comune"].admission.encode(), "comune", 1)
    log.held = None
    raw = log.network.publish(version=2, prev="A" * 43)
    log.held = log.network.read(raw)
    log.log("members", raw, "", 2)
    log.publish("comune", "Mensa", "Sportello")
    return log


def with_(raw: bytes, *way: str | int, to: object) -> bytes:
    """The document with one value changed, or left out when `to` is None."""
    document = json.loads(raw)
    place = document
    for step in way[:-1]:
        place = place[step]
    if to is None:
        del place[way[-1]]
    else:
        place[way[-1]] = to
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def proofs() -> tuple[str, dict[str, Any], list[Case]]:
    log = busy_log()
    raw = log.proof("comune", "Mensa")
    held = json.loads(raw)
    ours = held["log"]
    cases: list[Case] = []

    def given(name: str, document: bytes, expect: str = "ok", **asked: str) -> None:
        cases.append(case(name, {"proof": document.decode(), **asked}, expect))

    given("a public entry of a member whose key was rotated", raw)
    given("the same, asked for by member and id", raw, node="comune", id=held["id"])
    given("the same, laid out by another program", json.dumps(held, indent=1).encode())
    given("a network entry", log.proof("comune", "Linea urgente", "network"))
    given("an entry published after the newest members document", log.proof("distretto", "Assistenza"))
    given("another network", with_(raw, "net", to="A" * 43), "wrong-network")
    given("another id asked for", raw, "wrong-entry", id=ledger_uid("comune", "Sportello"))
    given("another member asked for", raw, "wrong-entry", node="distretto")
    given("relabelled with another id", with_(raw, "id", to=ledger_uid("comune", "Sportello")), "wrong-entry")
    given("relabelled with another member", with_(raw, "node", to="distretto"), "wrong-entry")
    given("a member nobody knows", with_(raw, "node", to="nessuno"), "not-a-member")
    given("version 2", with_(raw, "v", to=2), "bad-shape")
    given("an unknown member of the object", with_(raw, "extra", to=1), "bad-shape")
    given("no record", with_(raw, "record", to=None), "bad-shape")
    given("a negative index", with_(raw, "index", to=-1), "bad-shape")
    given("the record altered", with_(raw, "record", to=held["record"].replace("Mensa", "Menza")), "record-altered")
    given("another record of the same publication",
          with_(raw, "record", to=log.subject("comune", "Sportello").record), "record-altered")  # fmt: skip
    given("another index", with_(raw, "index", to=held["index"] ^ 1), "record-altered")
    given("an index beyond the publication", with_(raw, "index", to=3), "record-altered")
    given("a step of the path missing", with_(raw, "path", to=held["path"][:-1]), "record-altered")
    given("a step too many", with_(raw, "path", to=[*held["path"], "A" * 43]), "record-altered")
    given("the newest root left out", with_(raw, "roots", to=held["roots"][:1]), "root-chain")
    given("root-1 left out", with_(raw, "roots", to=held["roots"][1:]), "wrong-network")
    given("roots in the wrong order", with_(raw, "roots", to=held["roots"][::-1]), "wrong-network")
    given("the note of another size", with_(raw, "log", "note", to=Ledger("comune", "distretto").note), "not-in-log")
    stranger = sign_head(Checkpoint(origin(log.net), len(log.entries), b"1" * 32), signer("stranger")).decode()
    given("a note signed by nobody of the network", with_(raw, "log", "note", to=stranger), "bad-checkpoint")
    forked = sign_head(Checkpoint(origin(log.net), len(log.entries), b"1" * 32), signer("log")).decode()
    given("a note of another history", with_(raw, "log", "note", to=forked), "not-in-log")
    given("the last leaf left out", with_(raw, "log", "lines", to=ours["lines"][:-1]), "not-in-log")
    given("a leaf too many", with_(raw, "log", "lines", to=[*ours["lines"], ours["lines"][0]]), "not-in-log")
    given("two leaves exchanged",
          with_(raw, "log", "lines", to=[ours["lines"][1], ours["lines"][0], *ours["lines"][2:]]), "not-in-log")  # fmt: skip
    given("a start that is not where the edge ends", with_(raw, "log", "start", to=ours["start"] + 1), "bad-proof")
    given("a hash of the edge missing", with_(raw, "log", "edge", to=ours["edge"][:-1]), "bad-proof")
    given("root-1 not shown in the log", with_(raw, "log", "earlier", to=ours["earlier"][1:]), "proof-incomplete")
    given(
        "the key statement not shown in the log",
        with_(raw, "log", "earlier", to=ours["earlier"][:-1]),
        "proof-incomplete",
    )
    given("an earlier leaf altered",
          with_(raw, "log", "earlier", 0, "line", to=ours["earlier"][0]["line"].replace("root", "rott")), "not-in-log")  # fmt: skip
    given("an earlier leaf at another place", with_(raw, "log", "earlier", 0, "seq", to=1), "not-in-log")
    given("an earlier leaf twice", with_(raw, "log", "earlier", to=[ours["earlier"][0], *ours["earlier"]]), "bad-proof")
    given("the publication of somebody else",
          with_(raw, "publication", to=json.loads(log.proof("distretto", "Assistenza"))["publication"]), "wrong-entry")  # fmt: skip
    given("a signature that does not hold, so that the log names other bytes",
          with_(raw, "publication", to=flipped(held["publication"], 2)), "proof-incomplete")  # fmt: skip
    given("a members document of another key", with_(raw, "members", to=flipped(held["members"], 2)), "bad-signature")

    other = simple_log(key="somebody else")
    given("signed by a key that is not the member's", other.proof("comune", "Mensa"), "unknown-key")
    nobody = simple_log(by=("nobody",))
    given("a member that no guarantor admitted", nobody.proof("comune", "Mensa"), "admission-invalid")
    for status, code in (("suspended", "suspended"), ("ended", "not-a-member")):
        changed = simple_log()
        before = changed.held.raw
        changed.status("comune", status)
        given(f"a member that is {status}", changed.proof("comune", "Mensa"), code)
        given(f"a member that is {status}, with the document of before",
              changed.proof("comune", "Mensa", members=before), "members-rollback")  # fmt: skip
    for reason, code in (("rotation", "unknown-key"), ("compromise", "revoked-key")):
        late = simple_log()
        late.rotate("comune", reason)
        late.keys["comune"].reverse()
        late.publish("comune", "Mensa")
        given(f"signed by the old key after its {reason}", late.proof("comune", "Mensa"), code)
    early = simple_log()
    early.rotate("comune", "compromise")
    given("signed by a key before its compromise", early.proof("comune", "Mensa"))
    gone = simple_log()
    old = gone.subject("comune", "Mensa")
    gone.publish("comune", "Sportello")
    given("an entry that a later publication no longer has", make_proof(old, gone, gone.root), "entry-removed")
    withdrawn = simple_log()
    withdrawn.withdraw("comune", leaf_hash(withdrawn.subject("comune", "Mensa").record))
    given("an entry that was withdrawn", withdrawn.proof("comune", "Mensa"), "entry-removed")
    given("its neighbour, which was not", withdrawn.proof("comune", "Sportello"))
    return "The proof of one map entry, verified from the network's id", {"net": log.net}, cases


def heads() -> tuple[str, dict[str, Any], list[Case]]:
    log = busy_log()
    leaves = [merkle.leaf(line) for line in log.raw_lines()]
    key = signer("log")

    def note(size: int, root: bytes, by: SigningKey = key) -> str:
        return sign_head(Checkpoint(origin(log.net), size, root), by).decode()

    def pair(shown: str) -> dict[str, Any]:
        made = make_pair(log.note, shown, [log.root.log], leaves)
        assert made is not None
        return msgspec.to_builtins(made)

    roots = [raw.decode() for raw in log.roots]
    same, smaller = pair(note(len(leaves), b"1" * 32)), pair(note(5, b"1" * 32))
    honest = b64u_encode(merkle.root(leaves[:5]))
    agreeing = smaller | {"shown": note(5, merkle.root(leaves[:5]))}

    def given(name: str, expect: str, *pairs: dict[str, Any], **more: object) -> Case:
        document = {"v": 1, "net": log.net, "roots": roots, "pairs": list(pairs), **more}
        return case(name, {"evidence": json.dumps(document, separators=(",", ":"), ensure_ascii=False)}, expect)

    return (
        "Evidence that a board signed two histories, checked from the network's id",
        {"net": log.net},
        [
            given("two heads of one size", "ok", same),
            given("a smaller head that is none of its past", "ok", smaller),
            given("several", "ok", same, smaller),
            given("another network", "wrong-network", same, net="A" * 43),
            given("no root", "bad-shape", same, roots=[]),
            given("root-1 left out", "wrong-network", same, roots=roots[1:]),
            given("no pair", "bad-shape"),
            given("an unknown member of a pair", "bad-shape", same | {"extra": 1}),
            given("one good pair, one of heads that agree", "heads-agree", same, agreeing),
            given("heads that agree", "heads-agree", agreeing),
            given("the same head twice", "heads-agree", same | {"shown": log.note}),
            given("the shown head signed by a stranger", "bad-checkpoint", same | {"shown": note(5, b"1" * 32, signer("x"))}),
            given("the held head signed by a stranger", "bad-checkpoint",
                  same | {"held": note(len(leaves), merkle.root(leaves), signer("x"))}),
            given("another root than the held log has", "bad-proof", smaller | {"root": b64u_encode(b"2" * 32)}),
            given("a step missing", "bad-proof", smaller | {"path": smaller["path"][:-1]}),
            given("a step too many", "bad-proof", smaller | {"path": [*smaller["path"], honest]}),
            given("a larger head shown", "bad-proof", same | {"shown": note(len(leaves) + 1, b"1" * 32)}),
            given("an empty log shown", "bad-proof", same | {"shown": note(0, b"1" * 32)}),
        ],
    )  # fmt: skip


def erasing() -> tuple[str, dict[str, Any], list[Case]]:
    """Bodies about erasing (PROTOCOL §6), as text; what an envelope binds them to is in envelopes.json."""
    head = {"net": NET, "from": A, "to": B, "jti": JTI, "leg": LEG}
    erase: dict[str, Any] = {"kind": "erase", **head, "reason": "data-subject"}
    erased: dict[str, Any] = {"kind": "erased", **head, "of": LEG, "at": NOW}
    refused: dict[str, Any] = {"kind": "erase-refused", **head, "of": LEG, "reason": "legal-claim"}

    def text(name: str, sound: dict[str, Any], expect: str = "bad-body", **changes: Any) -> Case:
        return case(name, {"text": json.dumps({k: v for k, v in (sound | changes).items() if v is not None})}, expect)

    cases = [
        text("a request", erase, "ok"),
        text("a request by an operator", erase, "ok", by="OP-04"),
        text("a recall", erase, "ok", reason="wrong-recipient"),
        text("older versions only", erase, "ok", reason="rectified", upto=3),
        text("a member nobody knows yet is kept", erase, "ok", later="x"),
        text("done", erased, "ok"),
        text("done, and who had opened it", erased, "ok", opened_by="AS-02", opened_at=NOW - 60),
        text("not done", refused, "ok"),
        text("a request without a leg", erase, leg=None),
        text("a request about no leg at all", erase, leg="tutti"),
        text("a leg in capitals", erase, leg=LEG.upper()),
        text("a request without a reason", erase, reason=None),
        text("a reason in free words", erase, reason="lo chiede Maria"),
        text("a reason of 40 letters", erase, reason="a" * 40),
        text("upto the first", erase, upto=1),
        text("upto as text", erase, upto="2"),
        text("upto beyond every log", erase, upto=100_001),
        text("by nobody nameable", erase, by="x" * 201),
        text("a request that has to be understood", erase, "unsupported", must=["erase-at-once"]),
        text("another kind of request", erase, "unsupported", kind="erase-all"),
        text("done without saying what", erased, of=None),
        text("done of no request", erased, of="ieri"),
        text("done at no time", erased, at=None),
        text("done before time began", erased, at=-1),
        text("done at a time too large", erased, at=2**53),
        text("opened by a list", erased, opened_by=["AS-02"]),
        text("opened at a day", erased, opened_at="2026-11-22"),
        text("not done without a reason", refused, reason=None),
        text("not done of nothing", refused, of=None),
        text("not done in free words", refused, reason="No, grazie."),
        text("no kind", erase, kind=None),
        case("a kind twice", {"text": json.dumps(erase)[:-1] + ',"kind":"erased"}'}, "bad-body"),
    ]  # fmt: skip
    return "Bodies about erasing, already opened and bound to their envelope", {}, cases


def restoring() -> tuple[str, dict[str, Any], list[Case]]:
    """Bodies about a store that came back from a copy (PROTOCOL §3), as text."""
    head = {"net": NET, "from": A, "to": B, "jti": JTI}
    counts = {"leg": LEG, "w": "S", "s": 3, "r": 2, "a": 2}
    hello: dict[str, Any] = {"kind": "hello", **head, "epoch": 2, "legs": [counts]}
    asked: dict[str, Any] = {**hello, "kind": "resync", "nonce": "AAAAAAAAAAAAAAAAAAAAAA"}
    event = {"e": "eyJ.eyJ.c2ln", "salt": "A" * 43, "body": "e30", "st": NOW, "h": 2}
    step = {"w": "R", "n": 2, "jti": JTI, "ev": "accept", "seen": 1, "cm": "B" * 43, "at": NOW}
    page: dict[str, Any] = {
        "kind": "resync-answer", **head, "nonce": "AAAAAAAAAAAAAAAAAAAAAA", "i": 0, "of": 1,
        "legs": [{"leg": LEG, "events": [event]}],
    }  # fmt: skip

    def text(name: str, sound: dict[str, Any], expect: str = "bad-body", **changes: Any) -> Case:
        return case(name, {"text": json.dumps({k: v for k, v in (sound | changes).items() if v is not None})}, expect)

    def leg(**changes: Any) -> list[dict[str, Any]]:
        return [{"leg": LEG, **changes}]

    cases = [
        text("counts", hello, "ok"),
        text("counts of no leg", hello, "ok", legs=[]),
        text("counts without what was acknowledged", hello, "ok", legs=[{k: v for k, v in counts.items() if k != "a"}]),
        text("counts with a dispute", hello, "ok", legs=[counts | {"x": "D" * 43}]),
        text("a question", asked, "ok"),
        text("a page", page, "ok"),
        text("a page of nothing", page, "ok", legs=[]),
        text("a page with an erased leg", page, "ok", legs=leg(gone=[step])),
        text("a page with a void that was erased", page, "ok", legs=leg(gone=[step | {"ev": "void", "void": "C" * 43}])),
        text("counts without an epoch", hello, epoch=None),
        text("an epoch before the first", hello, epoch=0),
        text("counts of a third side", hello, legs=[counts | {"w": "L"}]),
        text("fewer events than none", hello, legs=[counts | {"s": -1}]),
        text("more events than a log may have", hello, legs=[counts | {"r": 100_001}]),
        text("more legs than one message may count", hello, legs=[counts] * 2001),
        text("a question without a nonce", asked, nonce=None),
        text("a short nonce", asked, nonce="AAAA"),
        text("a nonce that is no base64url", asked, nonce="AAAAAAAAAAAAAAAAAAAAA="),
        text("a page below the first", page, i=-1),
        text("a page of none", page, of=0),
        text("a page without legs", page, legs=None),
        text("an event without its salt", page, legs=leg(events=[{k: v for k, v in event.items() if k != "salt"}])),
        text("an event with a short salt", page, legs=leg(events=[event | {"salt": "AAAA"}])),
        text("an event with a long outer part", page, legs=leg(events=[event | {"e": "x" * 4097}])),
        text("a step number none", page, legs=leg(gone=[step | {"n": 0}])),
        text("a step of a third writer", page, legs=leg(gone=[step | {"w": "L"}])),
        text("a step without a commitment", page, legs=leg(gone=[{k: v for k, v in step.items() if k != "cm"}])),
        text("another kind of question", asked, "unsupported", kind="resync-now"),
        text("a question that has to be understood", asked, "unsupported", must=["resync-parts"]),
    ]  # fmt: skip
    return "Bodies about a restored store, already opened and bound to their envelope", {}, cases


def attachments() -> tuple[str, dict[str, Any], list[Case]]:
    leg, sha = "0e6f8a1b-2c3d-4e5f-8a9b-0c1d2e3f4a5b", b64u_encode(sha256(b"%PDF-1.7\n").digest())
    names = {"net": NET, "from": A, "to": B, "jti": JTI}
    about = {"leg": leg, "sha256": sha}
    part = {"kind": "part", **names, **about, "i": 1, "of": 1, "data": b64u_encode(b"%PDF-1.7\n")}
    missing = {"kind": "missing", **names, **about, "i": 3}
    got = {"kind": "got", **names, **about}
    file = {"sha256": sha, "size": 9, "type": "application/pdf", "name": "isee 2026.pdf"}
    event = {"kind": "event", **names, "leg": leg, "n": 2, "seen": 1, "ev": "answer", "files": [file]}
    five = 5 * 1024 * 1024

    def given(name: str, members: dict[str, Any], expect: str = "bad-body") -> Case:
        return case(name, {"text": json.dumps(members, ensure_ascii=False, separators=(",", ":"))}, expect)

    def naming(what: str, expect: str = "bad-body", **changes: object) -> Case:
        return given(f"a file: {what}", event | {"files": [file | changes]}, expect)

    def others(count: int, **changes: object) -> list[dict[str, object]]:
        return [file | {"sha256": b64u_encode(sha256(bytes([i])).digest()), **changes} for i in range(count)]

    good = [
        given("a part", part, "ok"),
        given("a part with a member of a newer version", part | {"dal_futuro": 1}, "ok"),
        given("what is missing", missing, "ok"),
        given("all of it is missing", missing | {"i": 0}, "ok"),
        given("it is whole", got, "ok"),
        given("an event that names a file", event, "ok"),
        given("twenty files", event | {"files": others(20)}, "ok"),
        naming("of one letter", "ok", name="x"),
        naming("a type a newer version may know", "ok", type="image/heic"),
        naming("of 5 MiB", "ok", size=five),
    ]
    bad = [
        given("a part beyond its count", part | {"i": 2}),
        given("part nought", part | {"i": 0}),
        given("a part of nought", part | {"of": 0}),
        given("the ninth part", part | {"i": 9, "of": 9}),
        given("too short for a part that is not the last", part | {"of": 2}),
        given("a part without bytes", part | {"data": ""}),
        given("padding in the data", part | {"data": "JVBERi0xLjcK="}),
        given("the plain alphabet in the data", part | {"data": "+w"}),
        given("stray bits in the data", part | {"data": "_x"}),
        given("a part without its leg", {k: v for k, v in part.items() if k != "leg"}),
        given("a part without its hash", {k: v for k, v in part.items() if k != "sha256"}),
        given("a short hash", part | {"sha256": sha[:-1]}),
        given("a hash in hex", part | {"sha256": "ab" * 32}),
        given("a part number as text", part | {"i": "1"}),
        given("a part that needs what nobody knows", part | {"must": ["zip"]}, "unsupported"),
        given("the ninth is missing", missing | {"i": 9}),
        given("less than all is missing", missing | {"i": -1}),
        given("nobody says what is missing", {k: v for k, v in missing.items() if k != "i"}),
        given("whole, but which", {k: v for k, v in got.items() if k != "sha256"}),
        given("whole, of no leg", got | {"leg": "x"}),
        given("a kind nobody knows", got | {"kind": "gotten"}, "unsupported"),
        naming("empty", size=0),
        naming("a byte more than 5 MiB", size=five + 1),
        naming("its size as text", size="9"),
        naming("a path for a name", name="../../etc/passwd"),
        naming("a path of Windows", name="C:\\isee.pdf"),
        naming("a line break in its name", name="isee\n.pdf"),
        naming("a line break after its name", name="isee.pdf\n"),
        naming("written from right to left", name="isee\u202efdp.exe"),
        naming("an invisible character in its name", name="isee\u200b.pdf"),
        naming("no name in it", name=""),
        naming("121 characters of name", name="x" * 121),
        naming("no media type", type="pdf"),
        naming("a path for a type", type="image/../x"),
        given("no files in the list", event | {"files": []}),
        given("twenty-one files", event | {"files": others(21)}),
        given("more than 20 MiB together", event | {"files": others(5, size=five)}),
        given("one file twice", event | {"files": [file, file | {"name": "copia.pdf"}]}),
    ]
    return "Bodies of attachments: decoded, a part measured, the files of an event counted", {}, good + bad


FILES = {
    "erasing": erasing,
    "strict-json": strict_json,
    "base64url": base64url,
    "keys": keys,
    "jws": signatures,
    "jws-general": general,
    "jwe": sealed,
    "envelopes": envelopes,
    "receipts": receipts,
    "tokens": tokens,
    "proofs": proofs,
    "heads": heads,
    "statements": vectors_keys.make,
    "attachments": attachments,
    "restoring": restoring,
}


def main() -> None:
    for name, make in FILES.items():
        about, common, cases = make()
        document = {"about": about, "with": common, "cases": cases}
        (FOLDER / f"{name}.json").write_text(
            json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
