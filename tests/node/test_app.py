"""Two running nodes over real HTTP on loopback: direct route, mailbox of a member, restart, refusals."""

import asyncio
import socket
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest

from node import enrolment
from node.app import App
from node.body import Body
from node.follower import Follower
from node.map import follow
from node.membership_shell import MembershipShell
from node.runtime import local, trust
from node.runtime.caller import signed_headers
from node.runtime.config import NodeConfig, load_config
from node.runtime.dice import SystemDice
from node.runtime.problem import AnsweredError
from protocol import paths
from protocol.errors import ProtocolError
from protocol.proofs import verify_proof
from protocol.suite import S1
from schemas.catalogue import CatalogueBundle, LogPage
from schemas.membership import Relay
from tests.exchange.desks import Clock, offer
from tests.protocol.ledger import Ledger, uid
from tests.protocol.network import T0, Network

NOW = T0 + 1000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class World:
    """Bodies made by `init`, in one network whose documents are put in each store as if fetched."""

    def __init__(self, path):
        self.path = path
        self.network = Network()
        self.clock = Clock(NOW)
        self.ports = {}
        self.relays = [Relay("bacheca", "http://127.0.0.1:9")]
        self.bodies = {}

    def found(self, name, *, direct=False, relay=False, relays=()):
        port = free_port() if direct else 0
        self.ports[name] = port
        request = enrolment.Init(
            id=name,
            listen_host="127.0.0.1" if direct else None,
            listen_port=port,
            relay=relay,
            plain_http_loopback=True,
        )
        enrolment.init(self.path / name, request, clock=self.clock, dice=SystemDice(), suite=S1)
        body = self.open(name)
        urls = [f"http://127.0.0.1:{port}"] if direct else []
        body.ctx.net = self.network.net
        routes = enrolment.routes_statement(body, n=1, urls=urls, relays=list(relays))
        admission = self.network.admission(name, first=body.ctx.keys.signing, caps=["take-in-charge"])
        self.network.add(name, admission=admission, routes=routes)
        if relay:
            self.relays.append(Relay(name, urls[0]))
        body.close()

    def open(self, name):
        body = Body.open(load_config(self.path / name / enrolment.CONFIG_NAME, NodeConfig))
        body.clock = body.ctx.clock = self.clock
        return body

    def publish(self):
        raw = self.network.publish(relays=self.relays)
        for name in self.network.entries:
            body = self.open(name)

            def keep(tx, body=body):
                held = body.begin(tx, self.network.net, self.network.root_raw)
                trust.keep(tx, trust.advance(held, members=raw, now=NOW), NOW)

            body.store.run(keep)
            body.close()

    @asynccontextmanager
    async def running(self, *names):
        apps = {}
        try:
            for name in names:
                apps[name] = App(self.open(name))
                await apps[name].start()
            yield apps
        finally:
            for app in apps.values():
                await app.stop()


async def ask(app, name, **request):
    raw = await asyncio.to_thread(local.command, app.body.data_dir, name, msgspec.json.encode(request), timeout=20.0)
    return msgspec.json.decode(raw)


async def reaches(app, leg, state):
    async with asyncio.timeout(20):
        while True:
            change = asyncio.create_task(app.changed())
            lines = {line["leg"]: line for line in await ask(app, "cases", all_=True)}
            if leg in lines and lines[leg]["state"] == state:
                change.cancel()
                return lines[leg]
            await change


async def staff(app):
    await ask(app, "operator-add", code="OP", role="RL-ASSOC")


def wanted(**fields):
    return msgspec.to_builtins(offer(**fields))


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.mark.feature("F000-33", "F001-30")
async def test_a_referral_goes_by_the_direct_route_and_the_answer_through_a_members_mailbox(world):
    world.found("tavullia", relays=["distretto"])
    world.found("distretto", direct=True, relay=True)
    world.publish()
    async with world.running("tavullia", "distretto") as apps:
        a, b = apps["tavullia"], apps["distretto"]
        await staff(a)
        await staff(b)
        leg = (await ask(a, "refer", to="distretto", as_="OP", offer=wanted()))["leg"]
        await reaches(b, leg, "offered")
        await ask(b, "act", leg=leg, ev="accept", as_="OP")
        line = await reaches(a, leg, "accepted")
        assert line["words"].startswith("Accolta")


@pytest.mark.feature("F004-16", "F004-28")
async def test_two_desks_without_inbound_route_exchange_through_a_members_mailbox_with_the_registry_down(world):
    world.found("tavullia", relays=["bacheca", "distretto"])
    world.found("montelabbate", relays=["bacheca", "distretto"])
    world.found("distretto", direct=True, relay=True)
    world.publish()
    async with world.running("tavullia", "montelabbate", "distretto") as apps:
        a, b = apps["tavullia"], apps["montelabbate"]
        await staff(a)
        await staff(b)
        leg = (await ask(a, "refer", to="montelabbate", as_="OP", offer=wanted()))["leg"]
        await reaches(b, leg, "offered")
        await ask(b, "act", leg=leg, ev="decline", as_="OP", reason="DR-POSTI")
        await reaches(a, leg, "declined")
        assert apps["distretto"].body.store.path.read_bytes().count(b"Inventata") == 0


async def test_what_was_written_while_everything_was_off_leaves_after_the_restart(world):
    world.found("tavullia", relays=["distretto"])
    world.found("distretto", direct=True, relay=True)
    world.publish()
    async with world.running("tavullia") as apps:
        await staff(apps["tavullia"])
        leg = (await ask(apps["tavullia"], "refer", to="distretto", as_="OP", offer=wanted(urgency="UR-PUA24")))["leg"]
    world.clock.at += 3600
    async with world.running("distretto", "tavullia") as apps:
        await reaches(apps["distretto"], leg, "offered")


async def test_sync_is_not_refused_because_the_program_itself_was_faster(world, monkeypatch):
    """The follower's own turn took the page that `sync` was fetching: it looks once more, from where the copy is now."""
    taken = []

    async def meanwhile(self, wait):
        taken.append(wait)
        if taken.count(0) < 2:
            raise ProtocolError("log-moved", expected="0", got="4")
        return False

    async def no_news(self, registry):
        return False

    world.found("tavullia", relays=["bacheca"])
    world.publish()
    monkeypatch.setattr(Follower, "_follow", meanwhile)
    monkeypatch.setattr(MembershipShell, "refresh", no_news)
    async with world.running("tavullia") as apps:
        await ask(apps["tavullia"], "sync")
    assert taken.count(0) == 2


async def test_a_call_without_a_members_signature_is_refused_with_the_time(world):
    world.found("tavullia", relays=["distretto"])
    world.found("distretto", direct=True, relay=True)
    world.publish()
    async with world.running("distretto", "tavullia") as apps:
        client = apps["tavullia"].client
        url = f"http://127.0.0.1:{world.ports['distretto']}/v1/inbox"
        with pytest.raises(AnsweredError) as refused:
            await client.request("POST", url, body=b'{"items":[]}')
        assert (refused.value.code, refused.value.server_time) == ("unauthenticated", NOW)


def follow_log(app, log):
    """What following a board would have left in the store."""

    def learn(tx):
        ours = follow.held(tx)
        lines = log.lines(ours.edge.size, len(log.entries))
        page = LogPage(after=ours.edge.size, entries=lines, size=len(log.entries), note=log.note)
        follow.apply_page(tx, follow.prepare_page(msgspec.json.encode(page), ours, log.root))

    return app.writer.submit(learn)


async def test_peers_with_open_business_show_each_other_their_heads_and_a_second_history_is_seen(world):
    world.found("tavullia", relays=["distretto"])
    world.found("distretto", direct=True, relay=True)
    world.publish()
    honest, forged = Ledger("tavullia"), Ledger("tavullia")
    honest.publish("tavullia", "Mensa")
    forged.publish("tavullia", "Altro")
    async with world.running("tavullia", "distretto") as apps:
        a, b = apps["tavullia"], apps["distretto"]
        await staff(a)
        await follow_log(a, honest)
        await follow_log(b, forged)
        leg = (await ask(a, "refer", to="distretto", as_="OP", offer=wanted()))["leg"]
        await reaches(b, leg, "offered")
        async with asyncio.timeout(20):
            while not all([(await ask(app, "heads"))["pairs"] for app in apps.values()]):
                for app in apps.values():
                    await app.writer.submit(app.body.exchange.heads)
                    app.courier.wake()
        for app, other in ((a, "distretto"), (b, "tavullia")):
            assert {"heads-differ"} == {alarm["code"] for alarm in await ask(app, "alarms")}
            (pair, *_) = (await ask(app, "heads"))["pairs"]
            assert (pair["source"], pair["provable"]) == (other, True)


def logged(world, app):
    """A log that names the world's own documents and one snapshot of the app's body; its objects by hash."""
    log = Ledger()
    log.network, log.entries = world.network, log.entries[:1]
    me = app.body.ctx.me
    log.log("admission", world.network.entries[me].admission.encode(), me, 1)
    log.held = world.network.read(world.network.publish(relays=world.relays))
    log.log("members", log.held.raw, "", 1)
    log.keys[me] = [app.body.ctx.keys.signing]
    log.publish(me, "Mensa", "Sportello")
    log.publish(me, "Linea urgente", vis="network")
    objects = {}
    for post, _, name in log.posts.values():
        objects |= {leaf: line.encode() for leaf, line in post.records.items()}
        objects[name] = msgspec.json.encode(CatalogueBundle(publication=post.publication, manifest=post.manifest))
    return log, objects


async def test_a_node_that_can_be_reached_proves_what_its_own_copy_shows_as_the_board_would(world):
    world.found("distretto", direct=True)
    world.found("tavullia")
    world.publish()
    async with world.running("distretto", "tavullia") as apps:
        app, peer = apps["distretto"], apps["tavullia"].body.ctx
        log, objects = logged(world, app)
        await follow_log(app, log)
        members = app.body.ctx.membership

        def fill(tx):
            follow.settle(tx, members)
            while wants := list(follow.wanted(tx, members)):
                for want in wants:
                    follow.accept_object(tx, follow.prepare_object(tx, want, objects[want.hash], members), members)

        await app.writer.submit(fill)
        url = f"http://127.0.0.1:{world.ports['distretto']}"

        async def get(target, **headers):
            async with aiohttp.ClientSession() as session, session.get(url + target, headers=headers) as answer:
                return answer.status, await answer.read()

        public = paths.map_proof("distretto", uid("distretto", "Mensa"))
        status, raw = await get(public)
        assert (status, raw) == (200, log.proof("distretto", "Mensa"))
        assert verify_proof(raw, net=world.network.net, suite=S1).service.name == "Mensa"
        hidden = paths.map_proof("distretto", uid("distretto", "Linea urgente"))
        assert (await get(hidden))[0] == (await get(public + "?vis=network"))[0] == 404
        signed = signed_headers(
            peer.keys.signing,
            net=peer.net,
            me=peer.me,
            aud="distretto",
            method="GET",
            target=hidden,
            now=NOW,
            body=None,
        )
        assert await get(hidden, **signed) == (200, log.proof("distretto", "Linea urgente", "network"))
