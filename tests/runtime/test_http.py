"""The server: problems, limits, slow and hostile connections."""

import asyncio
import gzip
import json
import logging

import aiohttp
import pytest

from node.runtime.http import ServerLimits
from node.runtime.logs import JsonFormatter
from node.runtime.metrics import Counter
from node.runtime.routes import Reply, Route, health_route, json_reply
from protocol.errors import ProtocolError
from tests.runtime.fakes import NOW, StillClock, raw, serving


async def echo(call):
    return Reply(body=await call.body(), media="application/octet-stream")


async def refuse(call):
    raise ProtocolError("mailbox-full", field="node", expected="≤ 2000", got="2001", mid="m" * 43, after=60)


async def fault(call):
    raise KeyError("Maria Rossi, via Roma 1")


async def look(call):
    return json_reply(
        [call.params["node"], call.one("after"), call.whole("max", 50, most=50), call.all("lang"), call.target]
    )


async def lines(call):
    async def chunks():
        for i in range(3):
            yield b"%d\n" % i

    return Reply(body=chunks(), media="application/x-ndjson")


async def breaking(call):
    async def chunks():
        yield b"first\n"
        raise RuntimeError

    return Reply(body=chunks())


ROUTES = [
    health_route(StillClock()),
    Route("POST", "/v1/echo", echo, max_body=1000),
    Route("GET", "/v1/refuse", refuse),
    Route("GET", "/v1/fault", fault),
    Route("GET", "/v1/mailbox/{node}", look),
    Route("GET", "/v1/lines", lines),
    Route("GET", "/v1/breaking", breaking),
]


@pytest.fixture
async def base():
    async with serving(ROUTES) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session


async def problem(response):
    assert response.content_type == "application/problem+json"
    body = json.loads(await response.read())
    assert body["status"] == response.status
    assert body["server_time"] == NOW
    assert body["title"]
    return body


async def test_health_says_the_time(base):
    async with base.get("/v1/health") as response:
        assert (response.status, await response.json()) == (200, {"status": "ok", "server_time": NOW})
        assert response.headers["Server"] == "raccordo"
        assert response.headers["Cache-Control"] == "no-store"
    async with base.head("/v1/health") as response:
        assert response.status == 200


async def test_a_refusal_is_a_problem_with_every_field(base):
    async with base.get("/v1/refuse") as response:
        body = await problem(response)
        assert response.headers["Retry-After"] == "60"
    assert body == {
        "title": "La casella del destinatario è piena.",
        "status": 429,
        "code": "mailbox-full",
        "retry": "later",
        "field": "node",
        "expected": "≤ 2000",
        "got": "2001",
        "mid": "m" * 43,
        "server_time": NOW,
    } | ({"type": "about:blank"} if "type" in body else {})


async def test_unknown_addresses_and_methods_are_problems(base):
    async with base.get("/nowhere") as response:
        assert (await problem(response))["code"] == "not-found"
    async with base.delete("/v1/health") as response:
        assert (await problem(response))["code"] == "method-not-allowed"
        assert "GET" in response.headers["Allow"]


async def test_a_fault_is_logged_under_a_reference_and_shows_no_content(base, caplog):
    with caplog.at_level(logging.ERROR, "raccordo"):
        async with base.get("/v1/fault") as response:
            body = await problem(response)
    assert (response.status, body["code"]) == (500, "internal")
    line = json.loads(JsonFormatter().format(caplog.records[-1]))
    assert body["got"] == f"ref {line['ref']}"
    assert line["type"] == "KeyError"
    assert line["where"][-1].endswith("fault")
    assert "Rossi" not in json.dumps(line) + json.dumps(body)


async def test_a_handler_reads_parameters_strictly(base):
    async with base.get("/v1/mailbox/distretto?after=p1&max=7&lang=it&lang=en") as response:
        assert await response.json() == [
            "distretto",
            "p1",
            7,
            ["it", "en"],
            "/v1/mailbox/distretto?after=p1&max=7&lang=it&lang=en",
        ]
    for query in ("max=51", "max=-1", "max=x", "max=²", "after=1&after=2", "max=" + "9" * 400):
        async with base.get("/v1/mailbox/distretto?" + query) as response:
            assert (await problem(response))["code"] == "bad-shape"


async def test_a_compressed_body_is_refused_before_it_is_read(base):
    bomb = gzip.compress(b"0" * 1_000_000)[:900]
    async with base.post("/v1/echo", data=bomb, headers={"Content-Encoding": "gzip"}) as response:
        assert (await problem(response))["code"] == "content-encoding"


async def test_a_body_above_the_limit_of_its_route_is_refused(base):
    async with base.post("/v1/echo", data=b"x" * 1000) as response:
        assert (response.status, len(await response.read())) == (200, 1000)
    async with base.post("/v1/echo", data=b"x" * 1001) as response:
        assert (await problem(response))["code"] == "too-large"

    async def chunked():
        for _ in range(20):
            yield b"x" * 100

    async with base.post("/v1/echo", data=chunked()) as response:
        assert (await problem(response))["code"] == "too-large"


async def test_a_stream_arrives_and_a_broken_one_is_cut_not_ended(base):
    async with base.get("/v1/lines") as response:
        assert await response.read() == b"0\n1\n2\n"
    with pytest.raises(aiohttp.ClientError):
        async with base.get("/v1/breaking") as response:
            await response.read()


async def test_a_long_answer_outlives_the_header_deadline():
    go = asyncio.Event()

    async def wait(call):
        await go.wait()
        return json_reply("done")

    async with serving([Route("GET", "/wait", wait, waits=True)], limits=ServerLimits(header_seconds=0.01)) as port:
        answer = asyncio.ensure_future(
            raw(port, b"GET /wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", end=False)
        )
        await asyncio.wait([answer], timeout=0.05)
        go.set()
        assert (await answer).endswith(b'"done"')


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: 1\r\n" % i for i in range(300)) + b"\r\n",
    ],
    ids=["tls", "two hosts", "two lengths", "long line", "many headers"],
)
async def test_what_is_not_http_is_a_problem_and_the_connection_ends(sent):
    async with serving(ROUTES) as port:
        answer = await raw(port, sent, end=False)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert json.loads(body)["code"] == "bad-request"


async def test_a_bad_chunk_is_damage_not_a_fault():
    async with serving(ROUTES) as port:
        sent = b"POST /v1/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n"
        answer = await raw(port, sent, end=False)
    assert answer.split()[1] in (b"400", b"422")


async def test_above_the_calls_in_flight_the_rest_is_told_to_come_back():
    go, entered = asyncio.Event(), asyncio.Event()

    async def slow(call):
        entered.set()
        await go.wait()
        return json_reply("done")

    requests = Counter("raccordo_requests_total", "Calls answered", ("route", "status"))
    async with (
        serving([Route("GET", "/slow", slow)], limits=ServerLimits(in_flight=1), requests=requests) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        first = asyncio.ensure_future(session.get("/slow"))
        await entered.wait()
        async with session.get("/slow") as second:
            assert (await problem(second))["code"] == "busy"
            assert second.headers["Retry-After"] == "1"
        go.set()
        assert (await first).status == 200
    assert requests.values == {("/slow", "503"): 1, ("/slow", "200"): 1}


async def test_stopping_lets_the_calls_under_way_end():
    go, entered = asyncio.Event(), asyncio.Event()

    async def slow(call):
        entered.set()
        await go.wait()
        return json_reply("done")

    async with aiohttp.ClientSession() as session:
        async with serving([Route("GET", "/slow", slow)]) as port:
            first = asyncio.ensure_future(session.get(f"http://127.0.0.1:{port}/slow"))
            await entered.wait()
            asyncio.get_running_loop().call_later(0.02, go.set)
        assert (await first).status == 200
