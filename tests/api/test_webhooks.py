"""Webhooks against a real receiver: signed pointers in order, tried again, given up with a word, never to an inner address."""

import asyncio
import base64
import hmac
import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from node.api import webhooks
from node.runtime.apps import Locker
from protocol.errors import ProtocolError
from protocol.limits import DAY
from tests.api.vendor import ask, calling, town
from tests.node.test_app import wanted


@pytest.fixture
async def desks(tmp_path):
    async with town(tmp_path) as (world, apps):
        yield world, apps["tavullia"], apps["distretto"]


class Receiver:
    """A vendor's server: keeps what comes, answers what it is told to."""

    def __init__(self):
        self.got, self.status, self.url = [], 200, ""
        self._news = asyncio.Condition()

    async def take(self, request):
        body = await request.read()
        self.got.append(({name.lower(): value for name, value in request.headers.items()}, body))
        async with self._news:
            self._news.notify_all()
        if self.status == 302:
            raise web.HTTPFound("/altrove")
        return web.Response(status=self.status)

    async def reaches(self, count):
        async with asyncio.timeout(15), self._news:
            await self._news.wait_for(lambda: len(self.got) >= count)

    @property
    def events(self):
        return [json.loads(body) for _, body in self.got]


@asynccontextmanager
async def receiving():
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/", receiver.take)
    app.router.add_post("/altrove", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def alarm(code):
    return lambda tx: tx.execute("INSERT INTO alarm (at, code) VALUES (1000, ?)", (code,))


def verified(secret, headers, body):
    """As any library of Standard Webhooks does."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    good = base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
    return any(hmac.compare_digest(one.removeprefix("v1,"), good) for one in headers["webhook-signature"].split())


async def test_news_are_told_in_order_signed_and_as_pointers_only(desks):
    _, a, _ = desks
    async with calling(a) as vendor, receiving() as receiver:
        made = (await vendor("POST", "/webhooks", {"url": receiver.url})).json
        leg = (await vendor("POST", "/cases", {"to": "distretto", "offer": wanted()})).json["leg"]
        await receiver.reaches(2)
        headers, body = receiver.got[0]
        assert verified(made["secret"], headers, body)
        assert not verified(made["secret"], headers, body + b" ")
        assert (receiver.events[0]["type"], receiver.events[0]["data"]["leg"]) == ("case.new", leg)
        numbers = [event["data"]["n"] for event in receiver.events]
        assert numbers == sorted(set(numbers))
        assert all(set(event["data"]) <= {"n", "leg"} for event in receiver.events)
        assert all(b"Inventata" not in body for _, body in receiver.got)


async def test_only_the_kinds_asked_for_are_told(desks):
    _, a, _ = desks
    async with calling(a) as vendor, receiving() as receiver:
        await vendor("POST", "/webhooks", {"url": receiver.url, "kinds": ["alarm"]})
        await vendor("POST", "/cases", {"to": "distretto", "offer": wanted()})
        await a.writer.submit(alarm("prova"))
        await receiver.reaches(1)
        assert {event["type"] for event in receiver.events} == {"alarm"}
        assert (await vendor("POST", "/webhooks", {"url": receiver.url, "kinds": ["tutto"]})).code == "unknown-code"


@pytest.mark.parametrize("status", [500, 302, 404])
async def test_what_is_not_taken_is_tried_again_with_the_same_id_and_holds_its_place(desks, status):
    world, a, _ = desks
    async with calling(a) as vendor, receiving() as receiver:
        await vendor("POST", "/webhooks", {"url": receiver.url, "kinds": ["alarm"]})
        receiver.status = status
        await a.writer.submit(alarm("uno"))
        await a.writer.submit(alarm("due"))
        await receiver.reaches(1)
        for _ in range(3):
            world.clock.at += 7200
            await a.api.teller().once()
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
        assert len(receiver.got) >= 3
        (held,) = (await vendor("GET", "/webhooks")).json
        assert (held["failing_since"] is not None, held["disabled"]) == (True, None)
        receiver.status = 204
        for _ in range(2):  # the loop of the node itself may just have failed once more
            world.clock.at += 7200
            await a.api.teller().once()
        assert [event["data"]["n"] for event in receiver.events][-1] == receiver.events[0]["data"]["n"] + 1
        (held,) = (await vendor("GET", "/webhooks")).json
        assert (held["failing_since"], held["why"]) == (None, None)


async def test_after_three_days_it_is_given_up_and_people_are_told(desks):
    world, a, _ = desks
    async with calling(a) as vendor, receiving() as receiver:
        await vendor("POST", "/webhooks", {"url": receiver.url, "kinds": ["case.new"]})
        receiver.status = 503
        await vendor("POST", "/cases", {"to": "distretto", "offer": wanted()})
        await receiver.reaches(1)
        for _ in range(14):
            world.clock.at += DAY // 4
            await a.api.teller().once()
        (held,) = (await vendor("GET", "/webhooks")).json
        assert held["disabled"] is not None
        assert [one["code"] for one in await ask(a, "alarms")].count("webhook-disabled") == 1
        told = len(receiver.got)
        world.clock.at += DAY
        await a.api.teller().once()
        assert len(receiver.got) == told


async def test_who_says_that_it_is_gone_is_not_called_again(desks):
    _, a, _ = desks
    async with calling(a) as vendor, receiving() as receiver:
        await vendor("POST", "/webhooks", {"url": receiver.url, "kinds": ["alarm"]})
        receiver.status = 410
        await a.writer.submit(alarm("uno"))
        async with asyncio.timeout(15):
            after = 0
            while not (await vendor("GET", "/webhooks")).json[0]["disabled"]:
                after = (await vendor("GET", f"/events?after={after}&wait=2")).json["next"]


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/", "https://10.0.0.1/", "https://192.168.1.10/x", "https://169.254.169.254/latest", "https://100.64.0.1/", "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/", "http://gestionale.example/", "ftp://gestionale.example/", "https://2130706433/",
        "https://0x7f000001/", "https://user@gestionale.example/", "https://gestionale.example/#x", "https://127.1/", "javascript:alert(1)", "https://0.0.0.0/",
    ],
)  # fmt: skip
async def test_an_inner_address_is_refused_when_it_is_named(desks, url):
    _, a, _ = desks
    async with calling(a) as vendor:
        refused = await vendor("POST", "/webhooks", {"url": url})
        assert (refused.status, refused.code) == (422, "webhook-address"), refused
        assert (await vendor("GET", "/webhooks")).json == []


async def test_a_name_that_leads_inside_is_refused_when_it_is_named_and_when_it_is_called(desks, monkeypatch):
    _, a, _ = desks
    loop = asyncio.get_running_loop()
    where = {"gestionale.example": "10.1.2.3"}
    real = loop.getaddrinfo

    async def resolve(host, port, **more):
        host = host.decode() if isinstance(host, bytes) else host
        return await real(where.get(host, host), port, **more)

    monkeypatch.setattr(loop, "getaddrinfo", resolve)
    async with calling(a) as vendor:
        url = "https://gestionale.example/raccordo"
        assert (await vendor("POST", "/webhooks", {"url": url})).code == "webhook-address"
        where["gestionale.example"] = "8.8.8.8"
        made = (await vendor("POST", "/webhooks", {"url": url, "kinds": ["members"]})).json
        where["gestionale.example"] = "10.1.2.3"  # it was a public one when it was named
        tested = await vendor("POST", f"/webhooks/{made['webhook']['id']}/test")
        assert tested.json == {"id": made["webhook"]["id"], "delivered": False, "code": "webhook-address"}


def test_loopback_is_inside_unless_a_trial_says_otherwise():
    for url in ("https://localhost/", "https://127.0.0.1/", "https://[::1]/"):
        with pytest.raises(ProtocolError) as refused:
            webhooks.check_address(url, loopback_ok=False)
        assert refused.value.code == "webhook-address"
    webhooks.check_address("http://127.0.0.1:8000/", loopback_ok=True)


async def test_each_application_sees_and_removes_its_own_only_and_no_more_than_five(desks):
    _, a, _ = desks
    async with calling(a) as vendor, calling(a, name="altro") as other, receiving() as receiver:
        ids = [(await vendor("POST", "/webhooks", {"url": receiver.url})).json["webhook"]["id"] for _ in range(5)]
        assert (await vendor("POST", "/webhooks", {"url": receiver.url})).json["field"] == "webhooks"
        assert (await other("GET", "/webhooks")).json == []
        assert (await other("DELETE", f"/webhooks/{ids[0]}")).code == "not-found"
        assert (await other("POST", f"/webhooks/{ids[0]}/test")).code == "not-found"
        tested = await vendor("POST", f"/webhooks/{ids[0]}/test")
        assert tested.json["delivered"]
        assert receiver.events[-1]["type"] == "test"
        assert (await vendor("DELETE", f"/webhooks/{ids[0]}")).status == 200
        await ask(a, "app-revoke", id="gestionale")
        assert await a.readers.read(lambda db: db.execute("SELECT COUNT(*) FROM webhook").fetchone()) == (0,)


async def test_secrets_are_sealed_and_belong_to_their_row(desks):
    _, a, _ = desks
    async with calling(a) as vendor, receiving() as receiver:
        made = (await vendor("POST", "/webhooks", {"url": receiver.url})).json
        plain = base64.b64decode(made["secret"].removeprefix("whsec_"))
        rows = await a.readers.read(lambda db: db.execute("SELECT id, secret FROM webhook").fetchall())
        assert plain not in rows[0][1]
        locker: Locker = webhooks.locker(a.body)
        assert locker.open(b"webhook|" + rows[0][0].encode(), rows[0][1]) == plain
        with pytest.raises(ProtocolError):
            locker.open(b"webhook|another", rows[0][1])


async def test_after_a_restart_what_was_not_told_is_told(tmp_path):
    async with receiving() as receiver:
        receiver.status = 503
        async with town(tmp_path) as (world, apps):
            a = apps["tavullia"]
            async with calling(a) as vendor:
                await vendor("POST", "/webhooks", {"url": receiver.url, "kinds": ["alarm"]})
                await a.writer.submit(alarm("uno"))
                await receiver.reaches(1)
        receiver.status = 200
        world.clock.at += 3600
        before = len(receiver.got)
        async with world.running("tavullia"):
            await receiver.reaches(before + 1)
        assert receiver.events[-1] == receiver.events[0]
