"""Bodies on disk that know each other, driven by commands: what a copy is taken of and a restore is tried with."""

import time

from bench.world import OPERATOR, World
from node import backups
from node import requests as ask
from node.body import Body
from node.cases import desk, operators
from node.enrolment import CONFIG_NAME
from node.runtime import sealed_file
from node.runtime.backup_turn import asked
from node.runtime.config import NodeConfig, load_config
from schemas.bodies import Basis, Offer, Person
from schemas.wire import Item

PHRASE = sealed_file.passphrase("una frase di prova")
KEY = sealed_file.Secret("key-file", bytes(range(32)))
BASIS = Basis(law="GDPR 6(1)(e)", purpose="servizio sociale", notice_version="1", notice_date="2026-01-01")
SECRET_WORD = "parola-che-non-deve-restare"


def offered(description="descrizione di prova"):
    return Offer(
        referral="RK-SEGN", urgency="UR-ORD", subject="person", case="", basis=BASIS, description=description,
        person=Person(given_name="Persona", family_name="Inventata"),
    )  # fmt: skip


class Desks:
    """Two bodies `a` and `b` of one network; nothing runs."""

    def __init__(self, path, names=("a", "b")):
        self.now = int(time.time())
        self.world = World(path, list(names), self.now, direct=list(names))
        self.copies = path / "copie"
        self.copies.mkdir()

    def path(self, name):
        return self.world.path(name)

    def config(self, name):
        return load_config(self.path(name) / CONFIG_NAME, NodeConfig)

    def open(self, name):
        return Body.open(self.config(name))

    def run(self, name, work, folder=None):
        """`work(tx, body)` in a transaction of the body whose store lies in `folder`."""
        config = load_config((folder or self.path(name)) / CONFIG_NAME, NodeConfig)
        body = Body.open(config)
        try:
            return body.store.run(lambda tx: work(tx, body))
        finally:
            body.close()

    def refer(self, name, to, description="descrizione di prova", folder=None):
        def work(tx, body):
            request = ask.Refer(to=to, offer=offered(description), as_=OPERATOR)
            return desk.refer(tx, body.ctx, request).leg

        return self.run(name, work, folder)

    def act(self, name, leg, ev, folder=None, **fields):
        request = ask.Act(leg=leg, ev=ev, as_=OPERATOR, **fields)
        return self.run(name, lambda tx, body: desk.act(tx, body.ctx, request), folder)

    def coordinator(self, name, folder=None):
        self.run(name, lambda tx, body: operators.add(tx, "CO", "RL-COORDSPORT", None, body.clock.now()), folder)

    def carry(self, folders=None):
        """Delivers what is due between the two, both ways, until nothing is."""
        folders = folders or {name: self.path(name) for name in ("a", "b")}
        bodies = {name: Body.open(load_config(folder / CONFIG_NAME, NodeConfig)) for name, folder in folders.items()}
        try:
            while parcels := [(body, p) for body in bodies.values() for p in body.store.read(body.exchange.due)]:
                for sender, parcel in parcels:
                    _deliver(sender, bodies[parcel.dest], parcel)
        finally:
            for body in bodies.values():
                body.close()

    def backup(self, name, secret=KEY):
        made = backups.make_offline(self.config(name), asked(self.copies, secret), int(time.time()))
        return self.copies / made.path


def _deliver(sender, to, parcel):
    checked = to.exchange.prepare(parcel.items, relayed=False)
    got = to.store.run(lambda tx: to.exchange.receive(tx, parcel.items, checked, relayed=False))
    back = sender.exchange.prepare([Item(r=raw) for raw in got.answer.receipts], relayed=False)
    sender.store.run(lambda tx: sender.exchange.answered(tx, parcel, got.answer, back))


def tree(folder):
    """Every file under a directory with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
