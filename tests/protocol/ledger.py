"""A log in memory over a network made from seeds: what the tests and vectors of proofs are made with."""

import uuid
from hashlib import sha256

import msgspec

from protocol import jcs, merkle, notes, publications
from protocol.limits import DAY
from protocol.proofs import Subject, make_proof
from protocol.strict import b64u_encode, digest
from schemas.catalogue import LogEntry
from schemas.records import Organization, Service
from tests.protocol.network import T0, Network, signed_root, signer


def uid(*parts):
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))


def record(node, name, *, vis="public", **fields):
    """A record line with an id of its own."""
    salt = {"salt": b64u_encode(sha256(name.encode()).digest())} if vis == "network" else {}
    organization = Organization(id=uid(node), name=node, description="Ente di esempio")
    fields = {"id": uid(node, name), "name": name, "status": "active", "organization": organization, **salt} | fields
    return publications.record_line(Service(**fields))


class Ledger:
    """A registry reduced to what it signs and logs; a `protocol.proofs.Keeper` of its own log."""

    def __init__(self, *nodes):
        self.network = Network()
        self.entries = []
        self.roots = [self.network.root_raw]
        self.root = self.network.root
        self.held = None
        self.keys = {}
        self.posts = {}
        self.now = T0
        self.log("root", self.network.root_raw, "", 1)
        for node in nodes:
            self.keys[node] = [signer(node)]
            self.network.add(node)
            self.log("admission", self.network.entries[node].admission.encode(), node, 1)
        self.members()

    # -- writing

    def log(self, type_, raw, node, ver):
        self.entries.append(LogEntry(type=type_, hash=digest(raw), node=node, ver=ver))

    def members(self, **changes):
        self.held = self.network.read(self.network.publish(self.held, now=self.now, **changes), self.held, now=self.now)
        self.log("members", self.held.raw, "", self.held.version)

    def day(self):
        self.now += DAY
        self.members()

    def publish(self, node, *names, vis="public", **fields):
        before = self.posts.get((node, vis), (None, 0, ""))
        post = publications.make_publication(
            [record(node, name, vis=vis, **fields) for name in names], self.keys[node][-1], net=self.network.net,
            node=node, vis=vis, rev=before[1] + 1, prev=before[2], at=self.now, exp=self.now + 180 * DAY,
        )  # fmt: skip
        name = digest(post.publication.encode())
        self.posts[node, vis] = (post, before[1] + 1, name)
        self.entries.append(LogEntry(type=vis, hash=name, node=node, ver=before[1] + 1))

    def rotate(self, node, reason="rotation"):
        keys = self.keys[node]
        keys.append(signer(f"{node} {len(keys)}"))
        text = self.network.key_statement(node, keys[-1], keys[-2], n=len(keys), reason=reason, now=self.now)
        listed = [*self.network.entries[node].keys, text]
        revoked = [keys[-2].kid] if reason == "compromise" else []
        routes = self.network.routes(node, n=len(keys), key=keys[-1])
        self.network.change(node, keys=listed, routes=routes, revoked=[*self.network.entries[node].revoked, *revoked])
        self.log("key", text.encode(), node, len(keys))
        self.members()

    def withdraw(self, node, hash_):
        self.entries.append(LogEntry(type="withdraw-object", hash=hash_, node=node, ver=0))

    def status(self, node, status):
        self.network.change(node, status=status)
        self.members()

    def new_root(self, **changes):
        """The same guarantors sign the next root."""
        n = len(self.roots) + 1
        fields = {"n": n, "net": self.network.net, "iat": self.now, "exp": self.now + 395 * DAY} | changes
        raw = signed_root(msgspec.structs.replace(self.root.root, **fields), ["g1", "g2"])
        self.root = self.network.root = self.root.update(raw)
        self.roots.append(raw)
        self.log("root", raw, "", n)
        self.held = None  # read anew under the new root
        version = sum(entry.type == "members" for entry in self.entries) + 1
        raw = self.network.publish(
            now=self.now, version=version, prev="A" * 43, root=n, iat=self.now, exp=self.now + 7 * DAY
        )
        self.held = self.network.read(raw, now=self.now)
        self.log("members", raw, "", version)

    # -- a keeper

    def raw_lines(self):
        return [jcs.write(msgspec.to_builtins(entry)) for entry in self.entries]

    @property
    def note(self):
        root = merkle.root(map(merkle.leaf, self.raw_lines()))
        head = notes.Checkpoint(notes.origin(self.network.net), len(self.entries), root)
        return notes.sign_head(head, signer("log")).decode()

    def at(self, level, index):
        return merkle.stored([merkle.leaf(line) for line in self.raw_lines()])(level, index)

    def lines(self, start, end):
        return [line.decode() for line in self.raw_lines()[start:end]]

    def places(self, entries):
        return [self.entries.index(entry) for entry in entries]

    # -- proofs

    def subject(self, node, name, vis="public", **changes):
        post, _, _ = self.posts[node, vis]
        id_ = uid(node, name)
        line = next(line for line in post.records.values() if msgspec.json.decode(line)["id"] == id_)
        return Subject(node, id_, line, post.manifest, post.publication, self.roots, self.held.raw)._replace(**changes)

    def proof(self, node, name, vis="public", **changes):
        return make_proof(self.subject(node, name, vis, **changes), self, self.root)

    @property
    def net(self):
        return self.network.net
