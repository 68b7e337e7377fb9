"""Desks whose membership a real registry engine makes: what the shells do between them, by hand and without HTTP."""

import msgspec
from msgspec import UNSET

from node.engine import MIGRATIONS
from node.keys import own, watching
from node.runtime import trust
from protocol.errors import ProtocolError
from protocol.limits import DAY
from protocol.members import read_members
from protocol.roots import TrustedRoot
from protocol.statements import sign_routes
from protocol.strict import b64u_encode
from protocol.suite import S1
from registry.board import roots_after
from schemas.membership import JoinRequest, RoutesStatement, SealingKey, Wanted
from tests.exchange.desks import Clock, Desk
from tests.protocol.network import sealer, signer, x
from tests.registry.world import START, World


class Net:
    """A registry and some desks, reached directly. `emergency-NAME` is the label of each body's emergency key."""

    def __init__(self, path, *names, emergency=True):
        self.world = World()
        self.clock = Clock(START)
        self.path = path
        self.desks = {}
        self.online = {}
        for name in names:
            self.join(name, signer(name), sealer(name), emergency=emergency)
        self.refresh()

    def __getitem__(self, name):
        return self.desks[name]

    def tick(self, seconds):
        self.clock.at += seconds
        self.world.clock.t = self.clock.at
        self.world.run(self.world.engine.daily)

    # -- joining

    def wanted(self, name, **changes):
        return Wanted(
            node=name, name=f"Ente {name}", ptype="PT-COMUNE", caps=["take-in-charge"], territory=["041044"],
            protocol=self.world.protocol, **changes,
        )  # fmt: skip

    def join(self, name, key, sealing, *, emergency=True):
        code = self.world.run(lambda tx: self.world.engine.invite(tx, name)).code
        recovery = x(signer(f"emergency-{name}")) if emergency else UNSET
        self.admit(name, key, self.routes(name, key, sealing), code, recovery=recovery)
        self.desks[name] = self.desk(name, self.path)
        self.online[name] = True

    def desk(self, name, path, **options):
        """A store that holds the roots, as after the first contact."""
        desk = Desk(name, path, self.clock, self.world.net, migrations=(*MIGRATIONS, *trust.MIGRATIONS), **options)
        roots = self.world.read(lambda db: roots_after(db, 0, 9))
        desk.run(
            lambda tx: tx.executemany(
                "INSERT OR IGNORE INTO trusted_root VALUES (?, ?)",
                [(n, raw.encode()) for n, raw in enumerate(roots, 1)],
            )
        )
        return desk

    def routes(self, name, key, sealing):
        now = self.clock.at
        statement = RoutesStatement(
            net=self.world.net, node=name, n=1, since=now, urls=[f"https://{name}.example"], relays=[], iat=now,
            sealing=[SealingKey(b64u_encode(sealing.public), now)],
        )  # fmt: skip
        return sign_routes(statement, key)

    def admit(self, name, key, routes, code, **changes):
        request = JoinRequest(wanted=self.wanted(name, **changes), first=x(key), routes=routes, code=code)
        ref = self.world.join(msgspec.json.encode(request)).ref
        self.world.admit(self.world.approve(ref))

    # -- what the shells do

    def document(self):
        return self.world.members.raw

    def refresh(self, *names):
        """The newest members document reaches these desks, or all that are on."""
        root = TrustedRoot.start(self.world.read(lambda db: roots_after(db, 0, 9))[0].encode(), self.world.net, S1)
        for name in names or [name for name in self.desks if self.online[name]]:
            desk = self.desks[name]
            held = desk.ctx.membership if desk.ctx._membership is not None else None
            fresh = read_members(self.document(), root, self.clock.at, held)
            desk.run(lambda tx, desk=desk, fresh=fresh: watching.adopted(tx, desk.ctx, fresh))
            desk.ctx.adopt(fresh)
            desk.run(desk.exchange.tick)

    def post(self, name, *, lost=False):
        """What waits is posted; `lost`: the answer does not come back. The problem, if it was refused."""
        desk = self.desks[name]
        posting = desk.run(lambda tx: own.turn(tx, desk.ctx))
        if posting is None or posting.next_at > self.clock.at:
            return None
        try:
            self.world.state(*posting.texts)
        except ProtocolError as error:
            problem = error
            desk.run(lambda tx: own.failed(tx, desk.ctx, posting.id, problem))
            return problem
        if not lost:
            desk.run(lambda tx: own.accepted(tx, desk.ctx, posting.id))
        return None

    def settle(self, *names):
        """Everything stated is posted and known to all that are on."""
        for name in names or list(self.desks):
            self.post(name)
        self.refresh()

    def carry(self, rounds=30):
        moved = 0
        for _ in range(rounds):
            on = [desk for name, desk in self.desks.items() if self.online[name]]
            parcels = [(d, parcel) for d in on for parcel in d.due() if self.online[parcel.dest]]
            if not parcels:
                break
            for sender, parcel in parcels:
                received = self.desks[parcel.dest].receive(parcel.items)
                sender.answered(parcel, received.answer)
                moved += len(parcel.items)
        return moved

    def wait(self, rounds=12):
        """Time passes until nothing is left to be sent, or for some rounds."""
        for _ in range(rounds):
            self.carry()
            self.tick(3600)
            self.refresh()
        return self.carry()


def alarms(desk):
    rows = desk.store.read(lambda db: db.execute("SELECT code FROM alarm WHERE cleared IS NULL").fetchall())
    return {code for (code,) in rows}


def states(desk, use):
    return [key.state for key in desk.ctx.keystore.entries() if key.use == use]


__all__ = ["DAY", "Net", "alarms", "states"]
