"""Slow and greedy callers over real sockets: told so in time, and never at the expense of others. Limits are short."""

import asyncio
import contextlib
import json
import socket
import time

import aiohttp
import pytest

from node.runtime.guard import Guard, ServerLimits, Visit
from node.runtime.routes import Reply, Route, health_route, json_reply
from protocol.errors import ProtocolError
from tests.runtime.fakes import NOW, StillClock, raw, serving

GET = b"GET /v1/health HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n"


async def echo(call):
    return Reply(body=await call.body(), media="application/octet-stream")


async def as_member(call):
    call.admit(call.one("as"))
    return Reply(body=await call.body())


ROUTES = [
    health_route(StillClock()),
    Route("POST", "/v1/echo", echo, max_body=100_000),
    Route("POST", "/v1/member", as_member, max_body=100_000),
]


def told(answer, status, code):
    """The last answer on a connection is this problem, says when to come back, and closes."""
    head, _, body = answer[answer.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0].split()[1] == str(status)
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    assert int(headers["retry-after"]) > 0
    assert headers["connection"] == "close"
    problem = json.loads(body)
    assert (problem["code"], problem["server_time"], problem["retry"]) == (code, NOW, "later")


async def drip(port, first, piece, *, every=0.01):
    """Sends `first`, then `piece` again and again until the server ends the connection; what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)

    async def go_on():
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(every)  # the pace of the attack, not a wait for something

    dripping = asyncio.create_task(go_on())
    said = b""
    try:
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):  # it goes on dripping into a closed connection
                while piece := await reader.read(65536):
                    said += piece
        return said
    finally:
        dripping.cancel()
        writer.close()


# -- headers


@pytest.mark.parametrize("sent", [b"", b"GET /v1/health HTTP/1.1\r\nHost: a\r\nX-Drip:"], ids=["idle", "half a header"])
async def test_a_connection_without_a_whole_header_is_told_and_closed(sent):
    async with serving(ROUTES, limits=ServerLimits(header_seconds=0.05, linger_seconds=0.05)) as port:
        told(await raw(port, sent, end=False), 408, "too-slow")


async def test_a_header_that_drips_is_closed_however_long_it_goes_on():
    async with serving(ROUTES, limits=ServerLimits(header_seconds=0.1, linger_seconds=0.05)) as port:
        told(await drip(port, b"GET /v1/health HTTP/1.1\r\nHost: a\r\nX-Drip: ", b"a"), 408, "too-slow")


async def test_the_second_header_of_a_connection_may_not_drip_either():
    async with serving(ROUTES, limits=ServerLimits(header_seconds=0.1, linger_seconds=0.05)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        assert b"200" in head
        assert await reader.readexactly(length)
        writer.write(GET[:-4])
        async with asyncio.timeout(5):
            told(await reader.read(), 408, "too-slow")
        writer.close()


async def test_an_idle_connection_after_an_answer_is_closed():
    async with serving(ROUTES, limits=ServerLimits(keepalive_seconds=0.05, header_seconds=5)) as port:
        answer = await raw(port, GET, end=False)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1") == 1


# -- bodies


async def test_a_body_that_stalls_is_given_up():
    limits = ServerLimits(body_grace_seconds=0.05, linger_seconds=0.05)
    async with serving(ROUTES, limits=limits) as port:
        told(await raw(port, POST + b"abc", end=False), 408, "too-slow")


async def test_a_body_that_drips_is_given_up():
    limits = ServerLimits(body_grace_seconds=0.1, body_rate=1_000_000, linger_seconds=0.05)
    async with serving(ROUTES, limits=limits) as port:
        told(await drip(port, POST, b"a"), 408, "too-slow")


async def test_chunks_without_content_are_no_body_coming():
    limits = ServerLimits(body_grace_seconds=0.1, linger_seconds=0.05)
    first = b"POST /v1/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;"
    async with serving(ROUTES, limits=limits) as port:
        told(await drip(port, first, b"x"), 408, "too-slow")


async def test_what_came_fast_buys_no_long_pause():
    """90,000 bytes at once would be a minute and a half at the lowest rate: the rest is due within the grace."""
    limits = ServerLimits(body_grace_seconds=0.05, linger_seconds=0.05)
    post = b"POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 90001\r\n\r\n" + b"a" * 90_000
    async with serving(ROUTES, limits=limits) as port:
        told(await raw(port, post, end=False), 408, "too-slow")


async def test_a_slow_line_at_the_lowest_rate_is_served():
    """Ten times the rate the limit asks for, in drops, for three times the grace."""
    limits = ServerLimits(body_grace_seconds=0.1, body_rate=100)
    async with serving(ROUTES, limits=limits) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(POST.replace(b"500", b"300").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        for _ in range(30):
            writer.write(b"0123456789")
            await asyncio.sleep(0.01)  # the pace of the line
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"0123456789" * 30)


async def test_bodies_under_way_take_no_place_of_other_calls():
    limits = ServerLimits(in_flight=2)
    async with serving(ROUTES, limits=limits) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(20)]
        for _, writer in held:
            writer.write(POST + b"abc")
        async with session.get("/v1/health") as answer:
            assert answer.status == 200
        async with session.post("/v1/echo", data=b"x" * 1000) as answer:
            assert (answer.status, len(await answer.read())) == (200, 1000)
        for reader, writer in held:  # and the slow ones are served as well, when they end
            writer.write(b"a" * 497)
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
            writer.close()


# -- readers


@pytest.mark.parametrize("whole", [True, False], ids=["one answer", "a stream"])
async def test_who_does_not_read_the_answer_is_cut_and_held_up_nobody(whole):
    async def large(call):
        async def chunks():
            while True:
                yield b"x" * 65536

        return Reply(body=b"x" * 50_000_000 if whole else chunks())

    limits = ServerLimits(write_seconds=0.05, in_flight=1, connections_per_address=1, linger_seconds=0.01)
    routes = [*ROUTES, Route("GET", "/large", large)]
    loop = asyncio.get_running_loop()
    async with serving(routes, limits=limits) as port:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.bind(("127.0.0.2", 0))
        deaf.setblocking(False)
        await loop.sock_connect(deaf, ("127.0.0.1", port))
        await loop.sock_sendall(deaf, GET.replace(b"/v1/health", b"/large"))
        assert b"200 OK" in await loop.sock_recv(deaf, 1000)
        closing = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        assert (await raw(port, closing, end=False)).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(5):  # until its one place is free again
            while True:
                again = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
                again[1].write(GET)
                head = await again[0].readuntil(b"\r\n\r\n")
                again[1].close()
                if b"200 OK" in head:
                    break
                assert b"429" in head
        deaf.close()


async def test_who_reads_at_the_rate_gets_the_whole_answer():
    async def large(call):
        return Reply(body=b"x" * 20_000_000)

    limits = ServerLimits(write_seconds=0.05, body_rate=1)
    async with serving([Route("GET", "/large", large)], limits=limits) as port:
        answer = await raw(port, b"GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", end=False)
    assert len(answer.partition(b"\r\n\r\n")[2]) == 20_000_000


# -- how many


async def test_one_address_holds_a_limited_number_of_connections_and_others_are_not_concerned():
    async with serving(ROUTES, limits=ServerLimits(connections_per_address=3, linger_seconds=0.05)) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        held[0][1].write(GET)
        assert b"200 OK" in await held[0][0].readuntil(b"\r\n\r\n")
        told(await raw(port, b"", end=False), 429, "too-fast")
        other = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        other[1].write(GET)
        assert b"200 OK" in await other[0].readuntil(b"\r\n\r\n")
        for _, writer in (*held, other):
            writer.close()
            await writer.wait_closed()


async def test_when_every_place_is_taken_whoever_only_waits_makes_room():
    """The address with most of them gives way, and its oldest first; a call under way is never cut."""
    entered, go = asyncio.Event(), asyncio.Event()

    async def slow(call):
        entered.set()
        await go.wait()
        return json_reply("done")

    routes = [*ROUTES, Route("GET", "/slow", slow)]
    async with serving(routes, limits=ServerLimits(connections=5, linger_seconds=0.05)) as port:
        busy = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
        busy[1].write(GET.replace(b"/v1/health", b"/slow"))
        await entered.wait()
        honest = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.3", 0))
        many = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.4", 0)) for _ in range(3)]
        late = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.5", 0))
        for reader, writer in (late, honest):
            writer.write(GET)
            assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(5):
            told(await many[0][0].read(), 503, "busy")
        go.set()
        assert b"200 OK" in await busy[0].readuntil(b"\r\n\r\n")
        for _, writer in (busy, honest, late, *many):
            writer.close()


async def test_a_member_has_its_share_of_calls_and_the_others_theirs():
    limits = ServerLimits(member_calls=2)
    async with serving(ROUTES, limits=limits) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for _, writer in held:
            writer.write(POST.replace(b"/v1/echo", b"/v1/member?as=avido") + b"a")
        async with session.get("/v1/health") as answer:  # both were read by now
            assert answer.status == 200
        async with session.post("/v1/member?as=avido", data=b"x") as answer:
            assert (answer.status, (await answer.json(content_type=None))["code"]) == (429, "too-fast")
            assert int(answer.headers["Retry-After"]) > 0
        async with session.post("/v1/member?as=altro", data=b"x") as answer:
            assert answer.status == 200
        for _, writer in held:
            writer.close()


async def test_calls_that_waited_too_long_for_their_turn_are_told_to_come_back():
    """An overload is shed where it is cheap: before the token, the body and the store."""
    served = 0

    async def work(call):
        nonlocal served
        served += 1
        time.sleep(0.06)  # noqa: ASYNC251 - a processor that is busy, which is what is shed here
        return json_reply("done")

    limits = ServerLimits(wait_seconds=0.1)
    async with serving([Route("GET", "/work", work)], limits=limits) as port:
        get = b"GET /work HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        answers = await asyncio.gather(*(raw(port, get, end=False) for _ in range(20)))
    refused = [answer for answer in answers if not answer.startswith(b"HTTP/1.1 200")]
    assert 0 < len(refused) == 20 - served < 20
    for answer in refused:
        told(answer, 503, "busy")


# -- the counting itself, by a clock of its own


class Hand:
    def __init__(self):
        self.at = 0.0

    def now(self):
        return self.at


def refused(code, step):
    with pytest.raises(ProtocolError) as error:
        step()
    assert error.value.code == code
    assert (error.value.after or 0) > 0
    return error.value.after


def test_bytes_in_a_short_time_are_limited_per_member_and_refill():
    hand = Hand()
    guard = Guard(ServerLimits(member_rate=100), hand.now)

    def send(member, count):
        visit = Visit(guard, "a", waits=False)
        try:
            visit.admit(member)
            visit.take(count)
        finally:
            visit.leave()

    for _ in range(8):
        send("avido", 100)
    send_more = lambda: send("avido", 1)  # noqa: E731
    assert refused("too-fast", send_more) == 1
    send("altro", 100)
    hand.at += 2
    send("avido", 500)  # begun within the budget: paid back later
    assert refused("too-fast", send_more) == 3
    hand.at += 3.1
    send("avido", 1)


def test_bytes_of_one_address_are_limited_and_grow_with_its_connections():
    hand = Hand()
    for slots, allowed in ((1, 16), (4, 64)):
        guard = Guard(ServerLimits(address_rate=10, connections_per_address=slots), hand.now)
        sent = 0
        with pytest.raises(ProtocolError, match="too-fast"):
            while sent < 1000:
                visit = Visit(guard, "a", waits=False)
                visit.take(10)
                visit.leave()
                sent += 1
        assert sent == allowed


def test_bodies_held_at_once_are_bounded_for_one_address_and_in_all():
    guard = Guard(ServerLimits(address_bytes_held=100, connections_per_address=1, bytes_held=150), Hand().now)
    first, second = Visit(guard, "a", waits=False), Visit(guard, "b", waits=False)
    first.take(100)
    refused("too-fast", lambda: first.take(1))
    refused("busy", lambda: second.take(51))
    second.take(50)
    first.leave()
    second.take(50)
    second.leave()
    assert (guard.bytes_held, dict(guard.held), guard.in_flight) == (0, {}, 0)


def test_callers_of_long_ago_are_forgotten_and_those_in_debt_are_not():
    hand = Hand()
    guard = Guard(ServerLimits(address_rate=1, connections_per_address=1), hand.now)
    guard.of_address.spend("debtor", 10**6)
    for number in range(5000):
        hand.at += 20
        guard.of_address.spend(f"a{number}", 1)
    assert len(guard.of_address._of) <= 4096
    refused("too-fast", lambda: guard.of_address.spend("debtor", 1))
