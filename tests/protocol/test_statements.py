"""A member's statements on their own: chains of keys and routes. Their place in the document is in test_members."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import jws, statements
from protocol.admissions import read_admission
from protocol.errors import ProtocolError
from protocol.strict import decode
from protocol.suite import S1
from schemas import membership as m
from tests.protocol.network import T0, Network, sealer, signer, x

NET = Network()
ADMISSION = read_admission(NET.admission("ente"), NET.root).admission


def chain_of(length, reasons=()):
    keys = [signer("ente"), *(signer(f"ente-{i}") for i in range(2, length + 1))]
    reasons = [*reasons, *["rotation"] * length]
    return keys, [
        NET.key_statement("ente", keys[i + 1], keys[i], n=i + 2, reason=reasons[i]) for i in range(length - 1)
    ]


def refused(call, code):
    with pytest.raises(ProtocolError) as error:
        call()
    assert error.value.code == code
    return error.value


def routes(text, key=None, node="ente", net=None):
    return statements.read_routes(
        text, S1.verify_key((key or signer("ente")).public), net=net or NET.net, node=node, suite=S1
    )


def test_a_long_chain_is_walked_to_its_newest_key():
    keys, texts = chain_of(12, ["rotation", "compromise"])
    chain = statements.read_chain(ADMISSION, texts, NET.root)
    assert [link.kid for link in chain] == [key.kid for key in keys]
    assert [link.n for link in chain] == list(range(1, 13))
    assert [link.revoked for link in chain] == [False, True, *[False] * 10]


@given(st.permutations(range(4)))
@settings(max_examples=20)
def test_a_chain_in_another_order_is_refused(order):
    texts = chain_of(5)[1]
    shuffled = [texts[i] for i in order]
    if shuffled == texts:
        assert len(statements.read_chain(ADMISSION, shuffled, NET.root)) == 5
    else:
        refused(lambda: statements.read_chain(ADMISSION, shuffled, NET.root), "key-chain")


def test_a_chain_with_a_link_left_out_or_repeated_is_refused():
    texts = chain_of(4)[1]
    for wrong in (texts[1:], [texts[0], texts[2]], [texts[0], *texts]):
        refused(lambda wrong=wrong: statements.read_chain(ADMISSION, wrong, NET.root), "key-chain")


@pytest.mark.parametrize("x_", ["A" * 43, "_" * 43, "7P_______________________________________38"])
def test_a_weak_or_malformed_new_key_is_refused(x_):
    statement = m.KeyStatement(net=NET.net, node="ente", n=2, x=x_, prev=signer("ente").kid, iat=T0)
    text = statements.sign_key_statement(statement, signer("ente"))
    with pytest.raises(ProtocolError) as error:
        statements.read_chain(ADMISSION, [text], NET.root)
    assert error.value.code in ("bad-key", "bad-base64")


@pytest.mark.parametrize("field", [{"net": "A" * 43}, {"node": "altro"}, {"n": 3}, {"prev": "A" * 43}])
def test_a_statement_about_something_else_is_refused(field):
    fields = {
        "net": NET.net,
        "node": "ente",
        "n": 2,
        "x": x(signer("ente-2")),
        "prev": signer("ente").kid,
        "iat": T0,
    } | field
    text = statements.sign_key_statement(m.KeyStatement(**fields), signer("ente"))
    refused(lambda: statements.read_chain(ADMISSION, [text], NET.root), "key-chain")


def test_a_statement_with_an_unknown_field_is_refused():
    payload = {
        "net": NET.net,
        "node": "ente",
        "n": 2,
        "x": x(signer("ente-2")),
        "prev": signer("ente").kid,
        "iat": T0,
        "also": 1,
    }
    text = jws.sign_compact(signer("ente"), jws.KEY, msgspec.json.encode(payload))
    assert refused(lambda: statements.read_chain(ADMISSION, [text], NET.root), "key-chain").got == "bad-shape"


def test_routes_are_read_only_for_their_member_key_and_network():
    text = NET.routes("ente", urls=["https://ente.example"])
    assert routes(text).statement.urls == ["https://ente.example"]
    refused(lambda: routes(text, key=signer("altro")), "unknown-key")
    refused(lambda: routes(text, node="altro"), "bad-shape")
    refused(lambda: routes(text, net="A" * 43), "wrong-network")


def test_a_key_statement_is_never_read_as_routes():
    refused(lambda: routes(chain_of(2)[1][0]), "bad-header")


@given(
    st.lists(
        st.tuples(st.integers(T0 - 100, T0 + 100), st.none() | st.integers(T0 - 50, T0 + 200)), min_size=1, max_size=8
    ),
    st.integers(T0 - 500, T0 + 500),
)
def test_the_sealing_key_is_the_newest_in_force(spans, now):
    keys = [
        m.SealingKey(x(sealer(f"s{i}")), since, msgspec.UNSET if until is None else until)
        for i, (since, until) in enumerate(spans)
    ]
    statement = m.RoutesStatement(net=NET.net, node="ente", n=1, since=T0, urls=[], relays=[], sealing=keys, iat=T0)
    read = routes(statements.sign_routes(statement, signer("ente")))
    valid = [i for i, (since, until) in enumerate(spans) if since <= now + 300 and (until is None or now < until)]
    chosen = read.sealing_at(now)
    if not valid:
        assert chosen is None
    else:
        newest = max(spans[i][0] for i in valid)
        assert chosen.raw in {sealer(f"s{i}").public for i in valid if spans[i][0] == newest}


def test_statements_encode_and_read_back_the_same():
    for text, shape in ((NET.routes("ente"), m.RoutesStatement), (chain_of(2)[1][0], m.KeyStatement)):
        typ = jws.RTS if shape is m.RoutesStatement else jws.KEY
        payload = jws.parse_compact(text, typ, max_bytes=8192).payload
        assert msgspec.json.encode(decode(payload, shape, max_bytes=8192)) == payload
