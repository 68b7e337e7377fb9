"""Desks on real stores with a real membership, driven synchronously: what the shell does, without a network."""

import msgspec

from node.cases import desk, operators, views
from node.context import Context
from node.engine import MIGRATIONS, Exchange, store_path
from node.exchange import restored
from node.mailbox import box
from node.runtime.dice import SeededDice
from node.runtime.keystore import MemoryKeystore
from node.runtime.store import Store
from protocol.suite import S1
from schemas.bodies import Basis, Offer, Person
from schemas.wire import Item, MailboxAck
from tests.protocol.network import T0, Network, sealer, seed, signer

BASIS = Basis(law="GDPR 6(1)(e)", purpose="servizio sociale", notice_version="1", notice_date="2026-01-01")


class Clock:
    def __init__(self, at=T0):
        self.at = at

    def now(self):
        return self.at


class Desk:
    """One body: operators OP (desk operator) and AS (social worker)."""

    def __init__(self, name, path, clock, net, *, migrations=MIGRATIONS, session=0):
        """`session`: other dice over the same keys, for a store that was written before."""
        self.name = name
        dice = SeededDice(sum(name.encode()))
        keys = MemoryKeystore(dice)
        keys.add_signing(seed(name), signer(name).kid, T0)
        keys.add_sealing(seed(name), sealer(name).kid, T0)
        dice = SeededDice(session) if session else dice
        self.ctx = Context(me=name, net=net, suite=S1, clock=clock, dice=dice, keystore=keys)
        self.migrations = migrations
        self.lives = 0
        self.store = Store.open(store_path(path / name), migrations)
        self.exchange = Exchange(self.ctx)
        self.run(lambda tx: operators.add(tx, "OP", "RL-OPSPORT", None, T0))
        self.run(lambda tx: operators.add(tx, "AS", "RL-ASSOC", None, T0))

    def run(self, command):
        return self.store.run(command)

    def backup(self):
        """The whole store as it is now."""
        self.store.checkpoint()
        return self.store.path.read_bytes()

    def restore(self, copy):
        """An old copy in place of the store, as a person might do it: nobody is told, chance goes on."""
        path = self.store.path
        self.store.close()
        for leftover in path.parent.glob(path.name + "-*"):
            leftover.unlink()
        path.write_bytes(copy)
        self.lives += 1
        self.ctx.dice = SeededDice(sum(self.name.encode()) + 1000 * self.lives)
        self.store = Store.open(path, self.migrations)

    def announce(self):
        """What `restore` does with the copy it puts back, and the start after it."""
        self.run(lambda tx: restored.mark(tx, self.ctx.clock.now()))
        self.begin()

    def begin(self):
        """What a process does at its start."""
        self.run(self.exchange.begin)

    def one(self, sql, *args):
        row = self.store.read(lambda db: db.execute(sql, args).fetchone())
        return row[0] if row and len(row) == 1 else row

    def refer(self, to, as_="OP", **changes):
        return self.run(lambda tx: desk.refer(tx, self.ctx, desk.Refer(to=to, offer=offer(**changes), as_=as_)))

    def act(self, leg, ev, as_="AS", **fields):
        return self.run(lambda tx: desk.act(tx, self.ctx, desk.Act(leg=leg, ev=ev, as_=as_, **fields)))

    def case(self, leg, as_="OP"):
        return self.run(lambda tx: views.case(tx, self.ctx, leg, as_))

    def cases(self, **options):
        return self.store.read(lambda db: views.listing(db, self.ctx, **options))

    def due(self):
        return self.store.read(lambda db: self.exchange.due(db))

    def receive(self, items, relayed=False):
        prepared = self.exchange.prepare(items, relayed=relayed)
        return self.run(lambda tx: self.exchange.receive(tx, items, prepared, relayed=relayed))

    def answered(self, parcel, answer):
        prepared = self.exchange.prepare([Item(r=raw) for raw in answer.receipts], relayed=False)
        return self.run(lambda tx: self.exchange.answered(tx, parcel, answer, prepared))

    def failed(self, parcel):
        self.run(lambda tx: self.exchange.failed(tx, parcel))


class Ambito:
    """Some desks with one membership; `carry` moves everything due by the direct route until nothing is."""

    def __init__(self, path, *names, clock=None, migrations=MIGRATIONS, session=0, **entries):
        self.clock = clock or Clock()
        self.network = Network()
        for name in names:
            caps = ["take-in-charge", "pua", "pis"] if name in ("distretto", "pesaro") else []
            admission = self.network.admission(name, caps=caps, **entries.get(name, {}))
            routes = self.network.routes(name, urls=[f"https://{name}.example"], relays=[])
            self.network.add(name, admission=admission, routes=routes)
        self.membership = self.network.step()
        self.desks = {
            name: Desk(name, path, self.clock, self.network.net, migrations=migrations, session=session)
            for name in names
        }
        self.adopt()

    def __getitem__(self, name):
        return self.desks[name]

    def adopt(self):
        for each in self.desks.values():
            each.ctx.adopt(self.membership)

    def change(self, **entries):
        for name, changes in entries.items():
            self.network.change(name, **changes)
        self.membership = self.network.step(self.membership, now=self.clock.at)
        self.adopt()

    def settle(self, hours=48):
        """Carries and ticks as the hours pass, until nothing moves any more."""
        for _ in range(hours):
            self.carry()
            self.clock.at += 3600
            for each in self.desks.values():
                each.run(each.exchange.tick)
        return self.carry()

    def carry(self, rounds=20):
        moved = 0
        for _ in range(rounds):
            parcels = [(d, parcel) for d in self.desks.values() for parcel in d.due()]
            if not parcels:
                break
            for sender, parcel in parcels:
                received = self.desks[parcel.dest].receive(parcel.items)
                sender.answered(parcel, received.answer)
                moved += len(parcel.items)
        return moved


def offer(**changes):
    fields = {
        "referral": "RK-SEGN",
        "urgency": "UR-ORD",
        "subject": "person",
        "case": "",
        "basis": BASIS,
        "person": Person(given_name="Persona", family_name="Inventata"),
        "description": "descrizione di prova",
    }
    return Offer(**(fields | changes))


def states(leg, *desks):
    return [d.one("SELECT state FROM leg WHERE leg = ?", leg) for d in desks]


def raw_files(desk_):
    """Every byte of a store on disk."""
    folder = desk_.store.path.parent
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


def items_of(parcels):
    return [item for parcel in parcels for item in parcel.items]


def mailbox_put(keeper, ctx, items, *, caller, owner, relay):
    now = ctx.clock.now()
    kept = box.prepare(items, membership=ctx.membership, net=ctx.net, caller=caller, owner=owner, relay=relay, now=now)
    return keeper.run(lambda tx: box.put(tx, kept, caller=caller, owner=owner, now=now))


def mailbox_ack(keeper, ctx, receipts, *, owner, relay, seen=()):
    now = ctx.clock.now()
    ack = MailboxAck(receipts=list(receipts), seen=list(seen))
    checked = box.prepare_ack(ack, membership=ctx.membership, net=ctx.net, owner=owner, now=now)
    return keeper.run(
        lambda tx: box.acknowledge(tx, checked, ack.seen, membership=ctx.membership, owner=owner, relay=relay, now=now)
    )


def decoded(raw):
    return msgspec.json.decode(raw)
