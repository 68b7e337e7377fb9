"""A small network made from seeds, for tests: guarantors, a registry's keys, members with chains and routes."""

from hashlib import sha256

import msgspec

from protocol import admissions, jws, members, roots, statements
from protocol.limits import DAY
from protocol.strict import b64u_encode, digest
from protocol.suite import S1
from schemas import membership as m

T0 = 1_795_259_400
PROTOCOL = m.ProtocolVersion("1", digest(b"protocollo d'intesa"))


def seed(label):
    return sha256(label.encode()).digest()


def signer(label):
    return S1.signing_key(seed(label))


def sealer(label):
    return S1.sealing_key(seed(label))


def x(key):
    return b64u_encode(key.public)


def root_of(labels, *, n=1, threshold=2, net=None, **changes):
    fields = {
        "v": 1,
        "n": n,
        "name": "Ambito di prova",
        "threshold": threshold,
        "admission_threshold": 1,
        "guarantors": [m.Guarantor(x(signer(label)), label) for label in labels],
        "online": m.Pinned(x(signer("online"))),
        "log": m.Pinned(x(signer("log"))),
        "pilot": False,
        "policy": m.Policy(),
        "iat": T0,
        "exp": T0 + 395 * DAY,
    }
    if net:
        fields["net"] = net
    return m.Root(**(fields | changes))


def signed_root(root, labels):
    return roots.sign_root(root, [signer(label) for label in labels])


def net_of(raw):
    return digest(jws.parse_general(raw, jws.ROOT, max_bytes=10**6).payload)


class Network:
    """Guarantors g1 g2 g3 (2 of 3; one admits), one registry, members added by name."""

    def __init__(self, suite=S1):
        self.root_raw = signed_root(root_of(["g1", "g2", "g3"]), ["g1", "g2"])
        self.net = net_of(self.root_raw)
        self.root = roots.TrustedRoot.start(self.root_raw, self.net, suite)
        self.entries = {}

    def wanted(self, node, **changes):
        fields = {
            "node": node,
            "name": node.title(),
            "ptype": "PT-COMUNE",
            "protocol": PROTOCOL,
            "territory": ["041065"],
        }
        return m.Wanted(**(fields | changes))

    def admission(self, node, *, by=("g1",), first=None, seq=1, now=T0, **changes):
        payload = admissions.draft(
            self.wanted(node, **changes), net=self.net, first=x(first or signer(node)), seq=seq, now=now
        )
        return admissions.sign(payload, [signer(label) for label in by])

    def routes(self, node, *, n=1, key=None, sealing=None, since=T0, now=T0, urls=(), relays=("bacheca",)):
        keys = [m.SealingKey(x(sealing or sealer(node)), since)]
        statement = m.RoutesStatement(
            net=self.net, node=node, n=n, since=since, urls=list(urls), relays=list(relays), sealing=keys, iat=now
        )
        return statements.sign_routes(statement, key or signer(node))

    def key_statement(self, node, new, prev, *, n=2, reason="rotation", by=None, now=T0):
        statement = m.KeyStatement(net=self.net, node=node, n=n, x=x(new), prev=prev.kid, iat=now, reason=reason)
        return statements.sign_key_statement(statement, by or prev)

    def entry(self, node, **changes):
        fields = {"admission": self.admission(node), "status": "active", "since": T0, "routes": self.routes(node)}
        return m.MemberEntry(**(fields | changes))

    def add(self, node, **changes):
        self.entries[node] = self.entry(node, **changes)

    def change(self, node, **changes):
        self.entries[node] = msgspec.structs.replace(self.entries[node], **changes)

    def doc(self, **changes):
        fields = {
            "net": self.net,
            "version": 1,
            "iat": T0,
            "exp": T0 + 7 * DAY,
            "root": 1,
            "relays": [m.Relay("bacheca", "https://bacheca.example")],
            "registry": m.Registry("bacheca", ["https://bacheca.example"]),
            "members": list(self.entries.values()),
            "vocab": m.VocabularyVersion("2026-11"),
            "protocols": [PROTOCOL],
        }
        return m.MembersDoc(**(fields | changes))

    def publish(self, held=None, *, now=T0, **changes):
        """The next document as bytes."""
        if held is None:
            return members.build_members(self.doc(**changes), signer("online"))
        doc = members.successor(held, now=now, members=list(self.entries.values()))
        doc = msgspec.structs.replace(doc, **changes)
        return members.build_members(doc, signer("online"))

    def read(self, raw, held=None, now=T0, **options):
        return members.read_members(raw, self.root, now, held, **options)

    def step(self, held=None, *, now=T0, **changes):
        """Publish and read."""
        return self.read(self.publish(held, now=now, **changes), held, now)
