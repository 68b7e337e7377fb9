"""The machine's own troubles through the running applications: a full disk, a wrong clock. Each is said, and passes."""

import json

import pytest

from protocol import paths
from tests.hostile.test_items import item
from tests.hostile.test_local import command, offered, run
from tests.hostile.town import Town
from tests.hostile.wire import Request
from tests.registry.world import FakeClock, line

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR = 3600


async def fill(app: object) -> None:
    """The file may grow no further, as on a full disk; what is free inside it is used up first."""

    def stop_growing(store: object) -> None:
        (pages,) = store._conn.execute("PRAGMA page_count").fetchone()
        store._conn.execute(f"PRAGMA max_page_count={pages:d}")

    await app.writer.maintain(stop_growing)


async def empty(app: object) -> None:
    await app.writer.maintain(lambda store: store._conn.execute("PRAGMA max_page_count=1073741823"))


async def test_a_full_disk_at_a_mailbox_is_507_and_the_post_is_taken_when_there_is_room(served: Town) -> None:
    for name, app in (("registry", served.registry), ("distretto", served.nodes["distretto"])):
        server = served.servers[name]
        post = await grown_post(served, server)
        await fill(app)
        answer = await server.judged(post)
        assert (answer.status, answer.code) == (507, "disk-full"), answer
        assert int(answer.headers["retry-after"]) == 60
        for target in (paths.HEALTH, paths.MEMBERS, paths.ROOTS):
            assert (await server.judged(Request("read", "GET", target.encode()))).status == 200
        await empty(app)
        assert json.loads((await server.judged(post)).body)["held"]


async def grown_post(town: Town, server) -> Request:
    """Half a megabyte for `distretto`: more than any file has free inside."""
    big = [item(town.envelope(n=600 + i, body={"x": "a" * 400_000})) for i in range(3)]
    request = Request("big", "POST", paths.mailbox("distretto").encode(), body=json.dumps({"items": big}).encode())
    return town.signed(server, request)


async def test_a_full_disk_at_an_inbox_acknowledges_nothing_and_forgets_nothing(served: Town) -> None:
    server, app = served.servers["distretto"], served.nodes["distretto"]
    big = [item(served.envelope(n=700 + i, body={"x": "a" * 400_000})) for i in range(3)]
    post = Request("big", "POST", paths.INBOX.encode(), body=json.dumps({"items": big}).encode())
    post = served.signed(server, post)
    await fill(app)
    assert (await server.judged(post)).code == "disk-full"
    await empty(app)
    assert json.loads((await server.judged(post)).body)["receipts"]


async def test_a_full_disk_refuses_a_catalogue_whole(served: Town) -> None:
    server = served.servers["registry"]
    text = [line(f"Servizio {n}", node="ladro", description="a" * 3_900) for n in range(200)]
    raw = json.dumps(_builtins(served.ladro.catalogue(text, served.clock.now()))).encode()
    post = served.signed(server, Request("catalogue", "POST", paths.CATALOGUE.encode(), body=raw))
    await fill(served.registry)
    assert (await server.judged(post)).code == "disk-full"
    await empty(served.registry)
    assert json.loads((await server.judged(post)).body)["accepted"]


def _builtins(post: object) -> dict[str, object]:
    return {"publication": post.publication, "manifest": post.manifest, "records": post.records}


async def test_a_full_disk_is_told_to_the_desk_and_the_referral_is_not_half_written(served: Town) -> None:
    server, app = served.servers["distretto local"], served.nodes["distretto"]
    await run(served, server, "operator-add", {"code": "OP", "role": "RL-ASSOC"})
    await fill(app)
    asked = {"to": "montelabbate", "as_": "OP", "offer": {**offered(), "description": "d" * 600}}
    codes = {(await run(served, server, "refer", asked)).code for _ in range(60)}
    assert "disk-full" in codes and codes <= {"", "disk-full"}
    await empty(app)
    assert (await run(served, server, "refer", asked)).status == 200


# -- clocks


@pytest.mark.parametrize("off", [HOUR, -HOUR])
async def test_a_peer_whose_clock_is_an_hour_off_is_told_the_time_and_its_second_try_works(
    served: Town, off: int
) -> None:
    app = served.nodes["montelabbate"]
    was = app.body.clock
    app.body.clock = app.body.ctx.clock = FakeClock(served.clock.now() + off)
    app.courier.clock_skew.clear()
    try:
        for base, aud in ((served.ports["distretto"], "distretto"), (served.ports["bacheca"], "bacheca")):
            url, target = f"http://127.0.0.1:{base}", f"{paths.mailbox('montelabbate')}?wait=0"
            answer = await app.courier.call("GET", url, target, aud=aud, body=None)
            assert answer.status == 200
            assert app.courier.clock_skew[url] == -off
        await app._note_clock()
        desk = served.servers["montelabbate local"]
        status = json.loads((await ask(served, desk, "status")).body)
        assert (status["clock_offset"], status["clock_ok"]) == (-off, False)
        await ask(served, desk, "operator-add", code="OP", role="RL-ASSOC")
        refused = await ask(served, desk, "refer", to="distretto", as_="OP", offer=offered())
        assert refused.code == "clock-wrong"
    finally:
        app.body.clock = app.body.ctx.clock = was
        app.courier.clock_skew.clear()


@pytest.mark.parametrize("off", [HOUR, -HOUR])
async def test_a_clock_that_was_put_right_is_not_corrected_any_more(served: Town, off: int) -> None:
    app = served.nodes["montelabbate"]
    url, target = f"http://127.0.0.1:{served.ports['bacheca']}", f"{paths.mailbox('montelabbate')}?wait=0"
    app.courier.clock_skew[url] = off  # learnt while our clock was wrong
    try:
        answer = await app.courier.call("GET", url, target, aud="bacheca", body=None)
        assert answer.status == 200
        assert app.courier.clock_skew[url] == 0
    finally:
        app.courier.clock_skew.clear()


async def ask(town: Town, server, name: str, **fields: object):
    """As `run`, where the server's own clock is the wrong one."""
    return await server.send(command(town, server, name, json.dumps(fields).encode()))


@pytest.mark.parametrize("off", [HOUR, -HOUR])
async def test_a_token_an_hour_off_is_answered_with_the_time(served: Town, off: int) -> None:
    for server in (served.servers["registry"], served.servers["distretto"]):
        request = Request("hour", "GET", paths.mailbox("ladro").encode())
        answer = await server.refuses(served.signed(server, request, now=served.clock.now() + off), "unauthenticated")
        assert answer.problem["server_time"] == served.clock.now()
        again = served.signed(server, request, now=int(answer.problem["server_time"]))
        assert (await server.judged(again)).status == 200
