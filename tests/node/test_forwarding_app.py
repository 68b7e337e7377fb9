"""Running nodes over real HTTP: a referral through a router and back, and the e-mail a relay writes for what waits."""

import asyncio

import pytest

from node import enrolment
from tests.mailbox.test_notices import Smtp
from tests.node.test_app import World, ask, reaches, staff, wanted


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def router(world, name):
    body = world.open(name)
    first = body.ctx.keys.signing
    body.close()
    admission = world.network.admission(name, first=first, caps=["take-in-charge", "router"])
    world.network.change(name, admission=admission)


async def test_a_referral_goes_through_a_router_and_its_outcome_comes_back_by_itself(world):
    """The sender and the last office have no inbound route; the router's program is killed and started in between."""
    world.found("tavullia", relays=["pesaro"])
    world.found("gradara", relays=["pesaro"])
    world.found("pesaro", direct=True, relay=True)
    router(world, "pesaro")
    world.publish()
    async with world.running("tavullia", "pesaro", "gradara") as apps:
        for app in apps.values():
            await staff(app)
        parent = (await ask(apps["tavullia"], "refer", to="pesaro", as_="OP", offer=wanted()))["leg"]
        await reaches(apps["pesaro"], parent, "offered")
        await ask(apps["pesaro"], "act", leg=parent, ev="accept", as_="OP")
        child = (await ask(apps["pesaro"], "forward", leg=parent, to="gradara", as_="OP"))["leg"]
        await reaches(apps["gradara"], child, "offered")
        await ask(apps["gradara"], "act", leg=child, ev="accept", as_="OP")
        await reaches(apps["pesaro"], child, "accepted")
    async with world.running("gradara", "tavullia") as apps:  # the router is off
        await ask(apps["gradara"], "act", leg=child, ev="close", as_="OP", outcome="OU-EROGATO")
    world.clock.at += 3600
    async with world.running("tavullia", "pesaro", "gradara") as apps:
        await reaches(apps["tavullia"], parent, "closed")
        view = await ask(apps["tavullia"], "case", leg=parent, as_="OP")
        assert [step["outcome"] for step in view["steps"] if step["ev"] == "close"] == ["OU-EROGATO"]
        assert [step["status"] for step in view["steps"] if step["ev"] == "forwarded"][-1] == "RS-CONCLUSA"
        assert view["custodian"] == ""


async def test_a_member_whose_post_waits_too_long_gets_a_mail_from_its_relay(world):
    smtp = Smtp()
    world.found("tavullia", relays=["distretto"])
    world.found("gradara", relays=["distretto"])
    world.found("distretto", direct=True, relay=True)
    body = world.open("gradara")
    body.ctx.net = world.network.net
    routes = enrolment.routes_statement(body, n=1, urls=[], relays=["distretto"], notify="sportello@gradara.example 24")
    body.close()
    world.network.change("gradara", routes=routes)
    world.publish()
    config = world.path / "distretto" / enrolment.CONFIG_NAME
    config.write_text(
        config.read_text()
        + f'\n[mail]\nhost = "127.0.0.1"\nport = {smtp.port}\nsecurity = "none"\nsender = "avvisi@rete.example"\n'
    )
    body = world.open("distretto")
    body.store.run(
        lambda tx: tx.execute(
            "INSERT INTO post (owner, sender, e, s, size, exp, at) VALUES ('gradara', 'tavullia', 'e', 's', 2, ?, ?)",
            (world.clock.at + 20 * 86400, world.clock.at - 25 * 3600),
        )
    )
    body.close()
    async with world.running("distretto"):
        assert await asyncio.to_thread(smtp.taken.wait, 60)
    ((to, raw),) = smtp.got
    assert to == ("sportello@gradara.example",)
    assert b"tavullia" not in raw
    smtp.close()
