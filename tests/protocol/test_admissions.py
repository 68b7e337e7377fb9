"""Admissions: drafted by the registry, signed by guarantors, read by everyone."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import admissions, jws
from protocol.errors import ProtocolError
from protocol.strict import decode
from schemas.membership import Admission, Contact, Identifiers
from tests.protocol.network import PROTOCOL, T0, Network, signer, x

NET = Network()


def refused(text):
    with pytest.raises(ProtocolError) as error:
        admissions.read_admission(text, NET.root)
    assert error.value.code == "admission-invalid"
    return error.value.got


def test_a_draft_holds_what_was_wanted_and_nothing_else():
    wanted = NET.wanted(
        "ts-dispensa",
        caps=["relay"],
        hosted_by="distretto",
        identifiers=Identifiers(runts="123"),
        contact=Contact(phone="0721 000000"),
        recovery=x(signer("r")),
    )
    payload = admissions.draft(wanted, net=NET.net, first=x(signer("ts-dispensa")), seq=1, now=T0)
    read = admissions.read_admission(admissions.sign(payload, [signer("g1")]), NET.root).admission
    assert all(getattr(read, name) == getattr(wanted, name) for name in type(wanted).__struct_fields__)
    assert (read.net, read.first, read.seq, read.iat) == (NET.net, x(signer("ts-dispensa")), 1, T0)


def test_signatures_made_apart_merge_only_over_the_same_draft():
    one, other = NET.admission("a", by=["g1"]), NET.admission("a", by=["g2"], seq=2)
    assert admissions.merge([one, NET.admission("a", by=["g2"])]) == NET.admission("a", by=["g1", "g2"])
    with pytest.raises(ProtocolError):
        admissions.merge([one, other])


def test_a_guarantors_signature_on_something_else_admits_nobody():
    """The type of a signed object is under the signature: a root or a recovery is never read as an admission."""
    payload = admissions.draft(NET.wanted("a"), net=NET.net, first=x(signer("a")), seq=1, now=T0)
    for typ in (jws.ROOT, jws.KEY):
        assert refused(jws.sign_general([signer("g1")], typ, payload).decode()) == "bad-header"


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b'{"net":1}',
        msgspec.json.encode({"node": "A Node", "name": "x", "ptype": "PT-ETS", "protocol": {"version": "1", "hash": PROTOCOL.hash}, "net": "A" * 43, "first": "A" * 43, "seq": 1, "iat": 0}),
        msgspec.json.encode({"node": "a", "name": "x", "ptype": "PT-ETS", "caps": ["root"], "protocol": {"version": "1", "hash": PROTOCOL.hash}, "net": "A" * 43, "first": "A" * 43, "seq": 1, "iat": 0}),
        msgspec.json.encode({"node": "a", "name": "x", "ptype": "PT-ETS", "protocol": {"version": "1", "hash": PROTOCOL.hash}, "net": "A" * 43, "first": "A" * 43, "seq": 0, "iat": 0}),
    ],
)  # fmt: skip
def test_a_signed_payload_that_is_no_admission_is_void(payload):
    assert refused(admissions.sign(payload, [signer("g1")])) == "bad-shape"


@pytest.mark.parametrize("text", ["", "{}", "eyJ.eyJ.eyJ", "[]", '{"payload":"e30","signatures":[]}', "x" * 20_000])
def test_text_that_is_no_admission_is_void(text):
    refused(text)


@pytest.mark.feature("F001-34")
@given(st.data())
def test_no_altered_character_of_an_admission_passes(data):
    text = NET.admission("a")
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda char: char != text[place]))
    refused(text[:place] + other + text[place + 1 :])


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@given(names, st.lists(st.from_regex(r"\A[0-9]{6}\Z"), max_size=4), st.integers(1, 99))
def test_admissions_encode_and_read_back_the_same(name, territory, seq):
    payload = admissions.draft(
        NET.wanted("a", name=name, territory=territory), net=NET.net, first=x(signer("a")), seq=seq, now=T0
    )
    assert msgspec.json.encode(decode(payload, Admission, max_bytes=10**6)) == payload
