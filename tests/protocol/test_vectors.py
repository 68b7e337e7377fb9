"""Every vector of schemas/vectors, valid and invalid, against our reader. One case, one test."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from protocol import jwe, jws
from protocol.attachments import check_files, read_part
from protocol.calls import check_body, check_token
from protocol.envelope import (
    REJECTABLE,
    check_fresh,
    decode_event_body,
    open_sealed,
    read_outer,
    unsigned_code,
    verify_outer,
    verify_relay,
)
from protocol.errors import ProtocolError
from protocol.heads import check_evidence
from protocol.jws import KeyState
from protocol.keys import Jwk, from_jwk, thumbprint
from protocol.limits import BODY_MAX, ROUTING_MAX
from protocol.proofs import verify_proof
from protocol.receipts import read_receipt
from protocol.strict import b64u_decode, b64u_encode, decode, scan
from protocol.suite import S1
from schemas.bodies import EventBody, PartBody
from schemas.problems import PROBLEMS
from tests.protocol import make_vectors
from tests.protocol.samples import Ring

FOLDER = Path(__file__).parents[2] / "schemas" / "vectors"
DOCUMENTS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))
}
Given = Mapping[str, Any]


def members() -> Ring:
    rows = {}
    for row in DOCUMENTS["envelopes"]["with"]["members"]:
        key = S1.verify_key(b64u_decode(row["x"]))
        rows[row["node"], key.kid] = KeyState(key, row["status"])
    return Ring(rows)


MEMBERS = members()


def strict_json(common: Given, given: Given) -> None:
    raw = given["text"].encode() if "text" in given else b64u_decode(given["b64u"])
    scan(raw, max_bytes=common["max_bytes"])


def base64url(_: Given, given: Given) -> None:
    raw = b64u_decode(given["text"])
    assert raw.hex() == given["hex"]
    assert b64u_encode(raw) == given["text"]


def keys(_: Given, given: Given) -> None:
    jwk = decode(json.dumps(given["jwk"]).encode(), Jwk, max_bytes=1000)
    curve: Any = "X25519" if jwk.crv == "X25519" else "Ed25519"
    raw = from_jwk(jwk, curve)
    made = S1.verify_key(raw) if curve == "Ed25519" else S1.sealing_public(raw)
    assert made.kid == thumbprint(curve, raw) == given.get("kid", made.kid)


def signatures(common: Given, given: Given) -> None:
    parsed = jws.parse_compact(given["text"], jws.MSG, max_bytes=ROUTING_MAX)
    payload = jws.verify(parsed, S1.verify_key(b64u_decode(given.get("key", common["key"]))))
    assert payload.decode() == given.get("payload", payload.decode())


def general(common: Given, given: Given) -> None:
    parsed = jws.parse_general(given["json"].encode(), jws.ROOT, max_bytes=64_000)
    held = [S1.verify_key(b64u_decode(raw)) for raw in common["keys"]]
    jws.verify_threshold(parsed, {key.kid: key for key in held}, common["threshold"])


def sealed(common: Given, given: Given) -> None:
    key = S1.sealing_key(b64u_decode(common["seed"]))
    plaintext = jwe.open(S1, {key.kid: key}, given["text"], apu=common["apu"].encode(), apv=common["apv"].encode())
    assert plaintext.decode() == given.get("plaintext", plaintext.decode())


def envelopes(common: Given, given: Given) -> None:
    key = S1.sealing_key(b64u_decode(common["sealing_seed"]))
    verified = verify_outer(read_outer(given["e"], given["s"]), MEMBERS, net=common["net"], me=common["me"])
    check_fresh(verified, common["now"])
    opened = open_sealed(verified, given["s"], {key.kid: key}, S1)
    decode_event_body(opened.body)


def receipts(common: Given, given: Given) -> None:
    read_receipt(given["text"], MEMBERS, net=common["net"], me=common["me"], now=common["now"])


def tokens(common: Given, given: Given) -> None:
    wanted = {name: common[name] for name in ("net", "aud", "method", "path", "now")}
    check_body(check_token(given["text"], MEMBERS, **wanted), common["content"].encode())


def proofs(common: Given, given: Given) -> None:
    asked = {"node": given.get("node"), "id_": given.get("id")}
    verify_proof(given["proof"].encode(), net=common["net"], suite=S1, **asked)


def heads(common: Given, given: Given) -> None:
    check_evidence(given["evidence"].encode(), net=common["net"], suite=S1)


def bodies(_: Given, given: Given) -> None:
    try:
        scanned = scan(given["text"].encode(), max_bytes=BODY_MAX)
    except ProtocolError:
        raise ProtocolError("bad-body") from None
    body = decode_event_body(scanned)
    if isinstance(body, PartBody):
        read_part(body)
    if isinstance(body, EventBody):
        check_files(body.files or ())


READERS: dict[str, Callable[[Given, Given], None]] = {
    "erasing": bodies,
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
    "attachments": bodies,
}
CASES = [
    pytest.param(name, case, id=f"{name}: {case['name']}")
    for name in READERS
    for case in DOCUMENTS.get(name, {"cases": []})["cases"]
]


@pytest.mark.parametrize(("name", "case"), CASES)
def test_a_vector_is_read_as_it_says(name: str, case: dict[str, Any]) -> None:
    common = DOCUMENTS[name]["with"]
    if case["expect"] == "ok":
        READERS[name](common, case["input"])
        return
    with pytest.raises(ProtocolError) as refused:
        READERS[name](common, case["input"])
    assert refused.value.code == case["expect"]
    if "answer" in case:
        code = refused.value.code
        assert ("rejected" if code in REJECTABLE else unsigned_code(code)) == case["answer"]


def test_a_relay_refuses_what_it_can_see_and_passes_on_what_only_the_recipient_sees() -> None:
    common = DOCUMENTS["envelopes"]["with"]
    unseen = REJECTABLE - {"bad-lifetime"} | {"reseal", "wrong-recipient"}
    for case in DOCUMENTS["envelopes"]["cases"]:
        given = case["input"]
        if case["expect"] == "ok" or case["expect"] in unseen:
            verify_relay(given["e"], given["s"], MEMBERS, net=common["net"], now=common["now"])
            continue
        with pytest.raises(ProtocolError) as refused:
            verify_relay(given["e"], given["s"], MEMBERS, net=common["net"], now=common["now"])
        assert refused.value.code == case["expect"], case["name"]


def test_at_least_two_thirds_of_the_vectors_are_invalid_and_every_file_has_both() -> None:
    assert set(READERS) <= set(DOCUMENTS)
    cases = [case for name in READERS for case in DOCUMENTS[name]["cases"]]
    invalid = [case for case in cases if case["expect"] != "ok"]
    assert len(invalid) * 3 >= len(cases) * 2
    for name in READERS:
        expected = {case["expect"] for case in DOCUMENTS[name]["cases"]}
        assert "ok" in expected and len(expected) > 1, name


def test_every_expected_code_is_a_problem_and_no_name_is_used_twice_in_a_file() -> None:
    for name in READERS:
        cases = DOCUMENTS[name]["cases"]
        assert {case["expect"] for case in cases} - {"ok"} <= set(PROBLEMS)
        assert len({case["name"] for case in cases}) == len(cases)


def test_the_committed_vectors_are_those_the_generator_writes() -> None:
    for name, make in make_vectors.FILES.items():
        about, common, cases = make()
        assert DOCUMENTS[name] == {"about": about, "with": common, "cases": cases}, name
