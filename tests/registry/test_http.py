"""The registry over HTTP: every route, who may ask it, long polls that wake, refusals that explain."""

import asyncio
import json
from pathlib import Path

import aiohttp
import msgspec
import pytest

from node.runtime.caller import signed_headers
from node.runtime.config import BodyConfig, HttpConfig, RegistryConfig
from protocol import paths
from protocol.strict import digest
from protocol.suite import S1
from registry.app import METRICS, App, rows
from tests.registry.world import Body, World, line


class Served:
    """A world's store behind the real application; `call` is anybody, `as_` a member."""

    def __init__(self, world: World, app: App, session: aiohttp.ClientSession) -> None:
        self.world, self.app, self.session = world, app, session

    async def call(self, method: str, target: str, body: bytes | None = None, **headers: str):
        url = f"http://127.0.0.1:{self.app.port}{target}"
        async with self.session.request(method, url, data=body, headers=headers) as answer:
            return answer.status, await answer.read()

    async def as_(self, member: Body, method: str, target: str, body: bytes | None = None):
        headers = signed_headers(
            member.key, net=member.net, me=member.node, aud="bacheca", method=method, target=target,
            now=self.world.clock.now(), body=body,
        )  # fmt: skip
        return await self.call(method, target, body, **headers)


@pytest.fixture
async def served(tmp_path: Path):
    world = World()
    tavullia = world.member("comune-tavullia")
    world.publish(tavullia, [line("Sportello sociale"), line("Centro anziani")])
    world.publish(tavullia, [line("Linea urgente", salt=True)], "network")
    config = RegistryConfig(data_dir=str(tmp_path), bodies=(BodyConfig(id="bacheca"),), http=HttpConfig())
    app = App(config, world.store, world.keystore, clock=world.clock, dice=world.dice, suite=S1)
    await app.start()
    async with aiohttp.ClientSession() as session:
        made = Served(world, app, session)
        made.tavullia = tavullia
        yield made
    await app.stop()
    world.dir.cleanup()


def problem(raw: bytes) -> str:
    return json.loads(raw)["code"]


async def test_anyone_reads_what_proves_itself(served):
    assert (await served.call("GET", paths.HEALTH))[0] == 200
    status, raw = await served.call("GET", f"{paths.ROOTS}?after=0")
    roots = json.loads(raw)["roots"]
    assert status == 200 and digest(served.world.members.root.raw) == digest(roots[0].encode())
    assert json.loads((await served.call("GET", f"{paths.ROOTS}?after=1"))[1])["roots"] == []
    status, raw = await served.call("GET", f"{paths.MEMBERS}?have=0")
    assert status == 200 and raw == served.app.service.membership.raw
    have = served.app.service.membership.version
    assert (await served.call("GET", f"{paths.MEMBERS}?have={have}"))[0] == 304
    page = json.loads((await served.call("GET", f"{paths.LOG}?after=0"))[1])
    assert page["size"] == len(page["entries"])
    assert (await served.call("GET", paths.CHECKPOINT))[1].decode() == page["note"]


async def test_objects_of_the_network_chain_are_for_members(served):
    entries = [
        json.loads(text) for text in json.loads((await served.call("GET", f"{paths.LOG}?after=0"))[1])["entries"]
    ]
    public = next(entry["hash"] for entry in entries if entry["type"] == "public")
    network = next(entry["hash"] for entry in entries if entry["type"] == "network")
    assert (await served.call("GET", paths.object_(public)))[0] == 200
    status, raw = await served.call("GET", paths.object_(network))
    assert (status, problem(raw)) == (401, "unauthenticated")
    status, raw = await served.as_(served.tavullia, "GET", paths.object_(network))
    assert status == 200 and json.loads(raw)["manifest"]
    assert problem((await served.call("GET", paths.object_("A" * 43)))[1]) == "not-found"
    assert problem((await served.call("GET", paths.object_("kurz")))[1]) == "bad-shape"


async def test_the_public_map_is_the_members_map_without_its_network_lines(served):
    public = (await served.call("GET", paths.MAP))[1].splitlines()
    members = (await served.as_(served.tavullia, "GET", paths.MAP))[1].splitlines()
    assert len(public) == 2
    assert public == [row for row in members if b'"vis":"public"' in row] != members


async def test_a_suspended_member_gets_no_more_than_a_refusal(served):
    await served.app.service.write(lambda tx: served.app.engine.suspend(tx, "comune-tavullia"))
    status, raw = await served.as_(served.tavullia, "GET", paths.MAP)
    assert (status, problem(raw)) == (403, "suspended")
    assert (await served.call("GET", paths.MAP)) == (200, b"")
    post = msgspec.json.encode(served.tavullia.catalogue([line("Nuovo")], served.world.clock.now()))
    assert problem((await served.as_(served.tavullia, "POST", paths.CATALOGUE, post))[1]) == "suspended"


async def test_search_answers_from_the_public_map_alone(served):
    found = json.loads((await served.call("GET", f"{paths.SEARCH}?q=anziani"))[1])
    assert [item["name"] for item in found["items"]] == ["Centro anziani"]
    assert json.loads((await served.call("GET", f"{paths.SEARCH}?q=linea+urgente"))[1])["total"] in (0, 1)
    assert all("Linea" not in item["name"] for item in found["items"])
    assert problem((await served.call("GET", f"{paths.SEARCH}?colour=red"))[1]) == "bad-shape"
    assert problem((await served.call("GET", f"{paths.SEARCH}?limit=many"))[1]) == "bad-shape"


async def test_a_catalogue_is_posted_by_its_own_member_and_wakes_followers(served):
    size = served.world.store.path and (
        await served.app.service.read(lambda db: db.execute("SELECT size FROM edge").fetchone()[0])
    )
    waiting = asyncio.create_task(served.call("GET", f"{paths.LOG}?after={size}&wait=20"))
    await asyncio.sleep(0)
    post = msgspec.json.encode(served.tavullia.catalogue([line("Nuovo")], served.world.clock.now()))
    assert problem((await served.call("POST", paths.CATALOGUE, post))[1]) == "unauthenticated"
    status, raw = await served.as_(served.tavullia, "POST", paths.CATALOGUE, post)
    assert status == 200 and json.loads(raw)["accepted"], raw
    page = json.loads((await asyncio.wait_for(waiting, 5))[1])
    assert [json.loads(text)["type"] for text in page["entries"]] == ["public"]
    again = json.loads((await served.as_(served.tavullia, "POST", paths.CATALOGUE, post))[1])
    assert again["accepted"] and again["seq"] == json.loads(raw)["seq"]


async def test_nobody_posts_the_catalogue_of_another(served):
    other = await asyncio.to_thread(lambda: None) or served.tavullia
    post = msgspec.json.encode(other.catalogue([line("Nuovo")], served.world.clock.now()))
    answer = await served.app.service.write(lambda tx: served.app.engine.invite(tx, "distretto"))
    body = Body(served.app.service.membership.net, "distretto", served.world.dice)
    raw = body.request(served.world.protocol, served.world.clock.now(), answer.code)
    ref = json.loads((await served.call("POST", paths.JOIN, raw))[1])["ref"]
    await _admit(served, ref)
    assert problem((await served.as_(body, "POST", paths.CATALOGUE, post))[1]) == "forbidden"


async def _admit(served: Served, ref: str) -> None:
    from registry import approval

    file = msgspec.json.encode(await served.app.service.read(lambda db: served.app.engine.export(db, [ref])))
    signed = approval.approve(approval.read_pending(file, S1), served.world.guarantors[0])
    approved = await served.app.service.read(
        lambda db: served.app.engine.prepare_admit(db, [msgspec.json.encode(signed)])
    )
    await served.app.service.write(lambda tx: served.app.engine.admit(tx, approved))


async def test_joining_over_http_waits_for_guarantors(served):
    code = (await served.app.service.write(lambda tx: served.app.engine.invite(tx, "comune-gradara"))).code
    body = Body(served.app.service.membership.net, "comune-gradara", served.world.dice)
    raw = body.request(served.world.protocol, served.world.clock.now(), code)
    status, answer = await served.call("POST", paths.JOIN, raw)
    ref = json.loads(answer)["ref"]
    assert (status, json.loads(answer)["state"]) == (202, "pending")
    assert json.loads((await served.call("POST", paths.JOIN, raw))[1])["ref"] == ref
    have = served.app.service.membership.version
    waiting = asyncio.create_task(served.call("GET", f"{paths.MEMBERS}?have={have}&wait=20"))
    await asyncio.sleep(0)
    await _admit(served, ref)
    assert (await asyncio.wait_for(waiting, 5))[0] == 200
    assert json.loads((await served.call("GET", f"{paths.JOIN}/{ref}"))[1])["state"] == "admitted"
    assert problem((await served.call("GET", f"{paths.JOIN}/nessuno"))[1]) == "not-found"


async def test_statements_prove_themselves(served):
    text = served.tavullia.routes(served.world.clock.now(), 2, urls=["https://tavullia.example"])
    before = served.app.service.membership.version
    raw = json.dumps({"statements": [text]}).encode()
    assert json.loads((await served.call("POST", paths.STATEMENT, raw))[1]) == {"version": before + 1}
    assert json.loads((await served.call("POST", paths.STATEMENT, raw))[1]) == {"version": before + 1}
    assert problem((await served.call("POST", paths.STATEMENT, b'{"statements":["x.y.z"]}'))[1]) == "bad-base64"


async def test_the_doctor_names_every_fault_and_stores_nothing(served):
    now = served.world.clock.now()
    post = served.tavullia.catalogue([line("Uno"), line("Due")], now)
    records = dict(post.records)
    records[post.manifest[0]] = (
        records[post.manifest[0]].replace('"Uno"', '"<b>Uno</b>"').replace('"Due"', '"<b>Due</b>"')
    )
    raw = msgspec.json.encode(msgspec.structs.replace(post, manifest=list(reversed(post.manifest)), records=records))
    size = (await served.call("GET", paths.CHECKPOINT))[1]
    status, answer = await served.call("POST", paths.DOCTOR, raw)
    found = json.loads(answer)
    codes = {fault["code"] for fault in found["faults"]}
    assert (status, found["what"], found["ok"]) == (200, "publication", False)
    assert {"catalogue-root", "catalogue-not-plain"} <= codes
    assert all(fault["happened"] and fault["fix"] for fault in found["faults"])
    good = json.loads((await served.call("POST", paths.DOCTOR, msgspec.json.encode(post)))[1])
    assert good == {"what": "publication", "ok": True, "faults": []}
    assert (await served.call("GET", paths.CHECKPOINT))[1] == size
    for bad in (b"", b"[]", b"{}", b'{"e":"a","s":"b"}', b'{"wanted":1}', b'{"statements":[]}', b"\xff"):
        status, answer = await served.call("POST", paths.DOCTOR, bad)
        assert status == 200 and json.loads(answer)["faults"]


async def test_metrics_are_on_loopback_and_nowhere_else(served):
    assert (await served.call("GET", METRICS))[0] == 404
    async with served.session.get(f"http://127.0.0.1:{served.app.local_port}{METRICS}") as answer:
        text = await answer.text()
    assert "raccordo_members 1" in text
    assert "tavullia" not in text


async def test_mailboxes_are_kept_by_the_registry_too(served):
    status, raw = await served.as_(served.tavullia, "GET", f"{paths.mailbox('comune-tavullia')}?wait=0")
    assert (status, json.loads(raw)) == (200, {"items": []})
    assert problem((await served.call("GET", paths.mailbox("comune-tavullia")))[1]) == "unauthenticated"


async def test_every_route_refuses_rubbish_without_falling_over(served):
    for row in rows(lambda *_: None):
        target = row.path.replace("{hash}", "%00").replace("{ref}", "%ff")
        for body in (None, b"{", b"[" * 10_000, b'{"a":1,"a":2}'):
            status, _ = await served.call(row.method, f"{target}?after=-1&have=x&wait=999", body)
            assert 200 <= status < 500, row


def test_each_row_says_who_may_ask():
    table = {(row.method, row.path): row.who for row in rows(lambda *_: None)}
    assert len(table) == len(rows(lambda *_: None))
    assert [key for key, who in table.items() if who == "member"] == [("POST", paths.LEAVE), ("POST", paths.CATALOGUE)]
    assert {key for key, who in table.items() if who == "anyone, members see more"} == {
        ("GET", paths.OBJECT_ROUTE), ("GET", paths.MAP), ("GET", paths.MAP_PROOF_ROUTE),
    }  # fmt: skip


async def test_a_proof_is_for_anyone_and_one_of_a_network_line_for_members(served):
    from protocol.proofs import verify_proof
    from tests.registry.world import uid

    public, hidden = uid("comune-tavullia", "Centro anziani"), uid("comune-tavullia", "Linea urgente")
    status, raw = await served.call("GET", paths.map_proof("comune-tavullia", public))
    assert status == 200
    assert verify_proof(raw, net=served.world.net, suite=S1, id_=public).service.name == "Centro anziani"
    for target in (
        paths.map_proof("comune-tavullia", hidden),
        paths.map_proof("comune-tavullia", public) + "?vis=network",
    ):
        status, raw = await served.call("GET", target)
        assert (status, problem(raw)) == (404, "not-found")
    status, raw = await served.as_(served.tavullia, "GET", paths.map_proof("comune-tavullia", hidden))
    assert status == 200
    assert verify_proof(raw, net=served.world.net, suite=S1, id_=hidden).publication.vis == "network"
    assert (
        problem((await served.call("GET", paths.map_proof("comune-tavullia", public) + "?vis=secret"))[1])
        == "bad-shape"
    )
    assert problem((await served.call("GET", paths.map_proof("Tavullia", public)))[1]) == "bad-node-id"
