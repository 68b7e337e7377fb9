"""A desk's day through another program: a stop without a network, an accompanied person, who may not look."""

import asyncio
import base64

import pytest

from tests.api.vendor import ask, calling, town
from tests.node.test_app import reaches, wanted


@pytest.fixture
async def desks(tmp_path):
    async with town(tmp_path) as (world, apps):
        yield world, apps["tavullia"], apps["distretto"]


async def done(vendor, leg, **step):
    answer = await vendor("POST", f"/cases/{leg}/steps", step)
    assert answer.status == 200, answer
    return answer


async def sees(vendor, leg, ev):
    """Waits on the feed until that step of the other desk is there."""
    after = 0
    async with asyncio.timeout(20):
        while True:
            held = (await vendor("GET", f"/cases/{leg}")).json
            if ev in [step["ev"] for step in held["steps"]]:
                return held
            after = (await vendor("GET", f"/events?after={after}&wait=5")).json["next"]


@pytest.mark.feature("F000-18")
async def test_what_a_mobile_desk_wrote_without_a_network_is_sent_once_however_often_its_program_tries(desks):
    """Its program keeps key and request, and sends all of them again whenever it does not know what became of them."""
    _, a, b = desks
    queue = [(f"sosta-{i}", {"to": "distretto", "offer": wanted(description=f"contatto {i}")}) for i in range(3)]
    async with calling(a) as vendor:
        first = [(await vendor("POST", "/cases", body, key=key)).json["leg"] for key, body in queue]
        tries = [(await vendor("POST", "/cases", body, key=key)).json["leg"] for _ in range(3) for key, body in queue]
        assert tries == first * 3
        for leg in first:
            await reaches(b, leg, "offered")
        assert len(await ask(b, "cases")) == 3


@pytest.mark.feature("F000-09")
async def test_the_sender_sees_the_appointment_and_whether_the_person_came(desks):
    world, a, b = desks
    async with calling(a) as vendor, calling(b, name="cartella") as other:
        for seen, said in (("arrived", "arrived"), ("missed", "missed")):
            leg = (await vendor("POST", "/cases", {"to": "distretto", "offer": wanted()})).json["leg"]
            await reaches(b, leg, "offered")
            await done(other, leg, ev="accept")
            await done(other, leg, ev="appointment", when=world.clock.at + 86400)
            await done(other, leg, ev=said)
            held = await sees(vendor, leg, seen)
            (appointment,) = [step for step in held["steps"] if step["ev"] == "appointment"]
            assert appointment["when"] == world.clock.at + 86400


@pytest.mark.feature("F004-15")
async def test_a_technician_opens_no_case_through_any_program(desks):
    _, a, b = desks
    await ask(b, "operator-add", code="TEC", role="RL-TECNICO")
    async with calling(a) as vendor, calling(b, name="cartella", operator="TEC") as other:
        leg = (await vendor("POST", "/cases", {"to": "distretto", "offer": wanted()})).json["leg"]
        await reaches(b, leg, "offered")
        for method, path, body in (
            ("GET", f"/cases/{leg}", None), ("POST", f"/cases/{leg}/steps", {"ev": "accept"}), ("POST", "/persons/search", {"family_name": "Inventata", "birth_year": 1950}),
        ):  # fmt: skip
            refused = await other(method, path, body)
            assert (refused.status, refused.code) == (403, "role-forbidden"), (path, refused)
            assert b"Inventata" not in refused.raw
        listed = await other("GET", "/cases")
        assert listed.status == 200 and b"Inventata" not in listed.raw


async def test_a_file_goes_with_a_referral_and_is_fetched_by_the_other_program(desks):
    _, a, b = desks
    content = bytes(range(256)) * 2000
    async with calling(a) as vendor, calling(b, name="cartella") as other:
        files = [{"name": "relazione.pdf", "content": base64.b64encode(b"%PDF-1.7\n" + content).decode()}]
        sent = await vendor("POST", "/cases", {"to": "distretto", "offer": wanted(), "files": files}, key="con-file")
        assert sent.status == 200, sent
        leg = sent.json["leg"]
        await reaches(b, leg, "offered")
        async with asyncio.timeout(30):
            after = 0
            while (listed := (await other("GET", f"/cases/{leg}/attachments")).json)[0]["done"] < listed[0]["parts"]:
                after = (await other("GET", f"/events?after={after}&wait=1")).json["next"]
        got = await other("GET", f"/cases/{leg}/attachments/1")
        assert base64.b64decode(got.json["content"]) == b"%PDF-1.7\n" + content
        read = {(row["operator"], row["leg"]) for row in (await other("GET", "/access-log")).json["rows"]}
        assert read == {("cartella/OP", leg)}
        again = await vendor("POST", "/cases", {"to": "distretto", "offer": wanted(), "files": files}, key="con-file")
        assert again.json == sent.json
