"""The vectors of statements: chains of signing keys and the routes that follow them. Generator and reader."""

import json

import msgspec

from protocol import jws, statements
from protocol.admissions import read_admission
from protocol.roots import TrustedRoot
from protocol.suite import S1
from schemas import membership as m
from tests.protocol.network import T0, Network, sealer, signer, x

NODE = "comune-tavullia"
NET = Network()
OFFLINE = "offline"
K1, K2, K3, THIEF = signer(NODE), signer("second"), signer("third"), signer("thief")


def key(new, before, *, n=2, reason="rotation", by=None, **changes):
    """A key statement; `changes` to its payload, None to leave a member out."""
    fields = {"net": NET.net, "node": NODE, "n": n, "x": x(new), "prev": before.kid, "iat": T0 + n, "reason": reason}
    payload = {name: value for name, value in {**fields, **changes}.items() if value is not None}
    return jws.sign_compact(by or before, jws.KEY, msgspec.json.encode(payload))


def by_guarantors(new, prev, labels, *, n=2, **changes):
    payload = {"net": NET.net, "node": NODE, "n": n, "x": x(new), "prev": prev.kid, "iat": T0, "reason": "recovery"}
    raw = msgspec.json.encode({**payload, **changes})
    return jws.sign_general([signer(label) for label in labels], jws.KEY, raw).decode()


def routes(by, **changes):
    statement = m.RoutesStatement(
        net=NET.net, node=NODE, n=2, since=T0, urls=[], relays=["bacheca"], iat=T0,
        sealing=[m.SealingKey(x(sealer(NODE)), T0)],
    )  # fmt: skip
    payload = {**json.loads(msgspec.json.encode(statement)), **changes}
    return jws.sign_compact(by, jws.RTS, msgspec.json.encode(payload))


def make():
    """(about, common, cases), as tests.protocol.make_vectors has them."""
    offline = signer(OFFLINE)
    rotated, recovered = key(K2, K1), key(K2, K1, reason="recovery", by=offline)

    def case(name, keys, expect="ok", routes=None, **more):
        given = {"keys": keys, **({"routes": routes} if routes else {}), **more}
        return {"name": name, "input": given, "expect": expect}

    low = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    cases = [
        case("no statement: the key of the admission", [], current=K1.kid, revoked=[]),
        case("a rotation", [rotated], routes=routes(K2), current=K2.kid, revoked=[]),
        case("a rotation without its reason, which is the default", [key(K2, K1, reason=None)], current=K2.kid),
        case("two rotations", [rotated, key(K3, K2, n=3)], current=K3.kid, revoked=[]),
        case("a compromise", [key(K2, K1, reason="compromise")], current=K2.kid, revoked=[K1.kid]),
        case("a recovery by the offline key", [recovered], routes=routes(K2), current=K2.kid, revoked=[K1.kid]),
        case("a recovery by two of three guarantors", [by_guarantors(K2, K1, ["g1", "g3"])], current=K2.kid),
        case("a rotation after a recovery", [recovered, key(K3, K2, n=3)], current=K3.kid, revoked=[K1.kid]),
        case("out of order", [key(K3, K2, n=3), rotated], "key-chain"),
        case("a link left out", [key(K3, K2, n=3)], "key-chain"),
        case("a number left out", [key(K2, K1, n=3)], "key-chain"),
        case("the same twice", [rotated, rotated], "key-chain"),
        case("two after one key", [rotated, key(K3, K1)], "key-chain"),
        case("by a stranger", [key(K2, K1, by=THIEF)], "key-chain"),
        case("by the new key itself", [key(K2, K1, by=K2)], "key-chain"),
        case("by the registry", [key(K2, K1, by=signer("online"))], "key-chain"),
        case("by a guarantor alone, compact", [key(K2, K1, by=signer("g1"))], "key-chain"),
        case("after a revoked key", [key(K2, K1, reason="compromise"), key(K3, K1, n=3, by=K1)], "key-chain"),
        case("a rotation by the offline key", [key(K2, K1, by=offline)], "key-chain"),
        case("a compromise by the offline key", [key(K2, K1, reason="compromise", by=offline)], "key-chain"),
        case("a recovery by the key before", [key(K2, K1, reason="recovery")], "key-chain"),
        case("a recovery below the threshold", [by_guarantors(K2, K1, ["g1"])], "key-chain"),
        case("a recovery by one guarantor and a stranger", [by_guarantors(K2, K1, ["g1", "thief"])], "key-chain"),
        case("a rotation by guarantors", [by_guarantors(K2, K1, ["g1", "g2"], reason="rotation")], "key-chain"),
        case("another network", [key(K2, K1, net="A" * 43)], "key-chain"),
        case("another member", [key(K2, K1, node="comune-gradara")], "key-chain"),
        case("another reason", [key(K2, K1, reason="whim")], "key-chain"),
        case("an unknown member", [key(K2, K1, also=1)], "key-chain"),
        case("no prev", [key(K2, K1, prev=None)], "key-chain"),
        case("a key that is used already", [rotated, key(K1, K2, n=3)], "key-chain"),
        case("a key of low order", [key(K2, K1, x=low)], "bad-key"),
        case("a key that is not canonical", [key(K2, K1, x="_" * 42 + "8")], "bad-key"),
        case("routes in the place of a key", [routes(K1)], "key-chain"),
        case("routes by the key before", [rotated], "unknown-key", routes=routes(K1)),
        case("routes by a stranger", [], "unknown-key", routes=routes(THIEF)),
        case("routes of another member", [], "bad-shape", routes=routes(K1, node="comune-gradara")),
        case("routes of another network", [], "wrong-network", routes=routes(K1, net="A" * 43)),
        case("routes without a sealing key", [], "bad-shape", routes=routes(K1, sealing=[])),
        case("routes with a sealing key of low order", [], "bad-key", routes=routes(K1, sealing=[{"x": "A" * 43, "from": T0}])),
    ]  # fmt: skip
    admission = NET.admission(NODE, recovery=x(offline))
    about = "Statements of a member: its signing keys in order, then its routes, under `root` (2 of 3) and `admission`"
    return about, {"net": NET.net, "root": NET.root_raw.decode(), "admission": admission}, cases


def read(common, given):
    """What our reader does with one."""
    root = TrustedRoot.start(common["root"].encode(), common["net"], S1)
    admission = read_admission(common["admission"], root).admission
    chain = statements.read_chain(admission, given["keys"], root)
    assert chain[-1].kid == given.get("current", chain[-1].kid)
    revoked = [link.kid for link in chain if link.revoked]
    assert revoked == given.get("revoked", revoked)
    if "routes" in given:
        statements.read_routes(given["routes"], chain[-1].key, net=common["net"], node=admission.node, suite=S1)
