"""Real nodes made by the command line, with a real membership in their stores; what the shell carries, by hand."""

import csv
import json
from pathlib import Path

from click.testing import CliRunner

from node.body import Body
from node.cases import operators
from node.catalogue import publishing
from node.cli import cli
from node.context import set_setting
from node.enrolment import CONFIG_NAME
from node.map import tables
from node.map.fold import MemberStatus, PublicationSeen, Source
from node.runtime import trust
from node.runtime.config import NodeConfig, load_config
from protocol.publications import read_publication
from schemas.catalogue import CatalogueAnswer
from schemas.wire import Item
from tests.protocol.network import T0, Network

SHEETS = Path(__file__).parents[2] / "deploy" / "sample" / "per_ente"
NOON = T0 + 600  # a Saturday, twenty past twelve in Italy
CAPS = {"comune-pesaro": ["pis"], "distretto": ["pua"]}


def bodies():
    """The nineteen bodies of Ambito 1, as their sample list has them."""
    rows = csv.DictReader((SHEETS.parent / "nodi_ESEMPIO.csv").read_text("utf-8").splitlines())
    return {
        row["node_id"]: {
            "name": row["ente"],
            "ptype": row["participant_type"],
            "territory": [row["comune_istat"]],
            "caps": CAPS.get(row["node_id"], [])
            + (["take-in-charge"] if row["participant_type"] in ("PT-COMUNE", "PT-DISTRETTO") else []),
        }
        for row in rows
    }


BODIES = bodies()


class Clock:
    """Stands still until it is moved."""

    at = NOON

    def now(self):
        return Clock.at


def run(*args, ok=True, stdin=None):
    """One command line in this process; returns the result."""
    result = CliRunner().invoke(cli, [str(arg) for arg in args], input=stdin, catch_exceptions=False)
    if ok:
        assert result.exit_code == 0, (args, result.exit_code, result.output, result.stderr)
    return result


class Node:
    """A data directory and its command line."""

    def __init__(self, home, name):
        self.name = name
        self.dir = home / name
        run("--dir", self.dir, "init", "--id", name)

    def __call__(self, *args, **options):
        return run("--dir", self.dir, *args, **options)

    def json(self, *args, **options):
        return json.loads(self(*args, "--json", **options).stdout)

    def open(self):
        return Body.open(load_config(self.dir / CONFIG_NAME, NodeConfig))

    def operators(self, **roles):
        """Several operator codes at once."""
        self.store(lambda tx, body: [operators.add(tx, code, role, None, T0) for code, role in roles.items()])

    def store(self, command):
        """Runs a command of (tx, body) in a transaction."""
        body = self.open()
        try:
            return body.store.run(lambda tx: command(tx, body))
        finally:
            body.close()


class Town:
    """Some nodes in one network."""

    def __init__(self, home, *names):
        self.network = Network()
        self.nodes = {name: Node(home, name) for name in names}
        self.seq = 0
        for name, node in self.nodes.items():
            body = node.open()
            keys = body.ctx.keys
            sealing = next(iter(keys.sealing.values()))
            admission = self.network.admission(name, first=keys.signing, **BODIES[name])
            routes = self.network.routes(name, key=keys.signing, sealing=sealing, urls=[f"https://{name}.example"])
            self.network.add(name, admission=admission, routes=routes)
            body.close()
        self.membership = self.network.step()
        held = trust.Trust(self.network.root, self.membership)
        for node in self.nodes.values():
            node.store(lambda tx, body: self._join(tx, held))

    def _join(self, tx, held):
        set_setting(tx, "net", self.network.net)
        trust.keep(tx, held, T0, roots=[self.network.root_raw])
        for name in self.nodes:
            tables.apply(tx, MemberStatus(0, name, "active"))

    def __getitem__(self, name):
        return self.nodes[name]

    def post(self, *replicas):
        """Everything signed goes to the board and from there to every replica, or to the named ones."""
        events = [event for node in self.nodes.values() for event in node.store(self._take)]
        for node in [self.nodes[name] for name in replicas or self.nodes]:
            node.store(lambda tx, body: [tables.apply(tx, event) for event in events])
        return len(events)

    def _take(self, tx, body):
        events = []
        for post in publishing.pending_posts(tx):
            self.seq += 1
            signed = read_publication(post.publication, self.membership, self.network.net)
            source = Source(self.seq, post.rev, signed.publication.at, signed.digest)
            lines = {leaf: line.encode() for leaf, line in post.records.items()}
            events.append(PublicationSeen(body.ctx.me, post.vis, source, tuple(post.manifest), lines))
            publishing.posted(tx, post.vis, post.rev, CatalogueAnswer(accepted=True, seq=self.seq))
        return events

    def carry(self):
        """Delivers what is due between the nodes, both ways, until nothing is; returns how many items."""
        bodies = {name: node.open() for name, node in self.nodes.items()}
        moved = 0
        try:
            while parcels := [(b, p) for b in bodies.values() for p in b.store.read(b.exchange.due)]:
                for sender, parcel in parcels:
                    _deliver(sender, bodies[parcel.dest], parcel)
                    moved += len(parcel.items)
        finally:
            for body in bodies.values():
                body.close()
        return moved


def _deliver(sender, to, parcel):
    checked = to.exchange.prepare(parcel.items, relayed=False)
    got = to.store.run(lambda tx: to.exchange.receive(tx, parcel.items, checked, relayed=False))
    back = sender.exchange.prepare([Item(r=raw) for raw in got.answer.receipts], relayed=False)
    sender.store.run(lambda tx: sender.exchange.answered(tx, parcel, got.answer, back))


def sheet(name):
    return SHEETS / f"{name}_ESEMPIO.csv"


__all__ = ["BODIES", "NOON", "SHEETS", "Clock", "Node", "Town", "run", "sheet"]
