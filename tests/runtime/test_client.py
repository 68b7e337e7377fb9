"""The way out: which addresses, and what every failure is called."""

import asyncio
import json
import socket

import pytest

from node.runtime.addresses import is_loopback, may_connect, target, within
from node.runtime.client import Outbound
from node.runtime.problem import PROBLEM_MAX, AnsweredError, decode_problem, encode_problem
from node.runtime.routes import Reply, Route, json_reply
from protocol.errors import ProtocolError
from tests.runtime.fakes import NOW, serving

# SECURITY §0.6 and the usual ones besides.
REFUSED = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "169.254.169.254",
    "172.31.0.1",
    "192.168.1.1",
    "192.0.0.8",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "3fff::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "ff02::1",
    "100::1",
    "5f00::1",
]
PUBLIC = ["8.8.8.8", "93.184.216.34", "2a00:1450:4001::1", "2606:4700::1111", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused(address):
    assert not may_connect(address, False)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address):
    assert may_connect(address, False)


def test_loopback_is_allowed_only_where_configured():
    assert may_connect("127.0.0.1", True)
    assert may_connect("::1", True)
    assert not may_connect("64:ff9b::7f00:1", True)
    assert not may_connect("10.0.0.1", True)
    assert is_loopback("localhost")
    assert is_loopback("127.8.8.8")
    assert not is_loopback("8.8.8.8")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org\t.evil/",
        "http://example.org\\@evil/",
        "https://user:pw@example.org/",
        "https://example.org/#a",
        "https://example.org/ a",
        "ftp://example.org/",
        "https:///x",
        "https://",
        "//example.org/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://①②⑦.0.0.1/",
        "https://127.0.0.1./",
        "https://example..org/",
        "https://.example.org/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://example.org:99999/",
        "https://example.org:/",
        "https://example.org/\r\nHost: evil",
    ],
)
def test_a_url_that_could_be_read_in_two_ways_is_refused(url):
    with pytest.raises(ProtocolError, match="outbound-refused"):
        target(url)


def test_a_plain_url_is_read():
    assert target("https://Nodo.Example.org:8443/v1/a?b=c&d=%20") == ("https", "nodo.example.org", 8443)
    assert target("https://[2a00::1]/") == ("https", "2a00::1", None)
    assert target("http://127.0.0.1:80") == ("http", "127.0.0.1", 80)


def test_within_stops_at_a_boundary():
    allowed = within(["https://a.example/base/", "https://b.example"])
    assert allowed("https://a.example/base")
    assert allowed("https://a.example/base/v1/inbox")
    assert not allowed("https://a.example/basement")
    assert not allowed("https://b.example.evil/")
    assert not allowed("https://b.example@evil/")


def everything(url):
    return True


@pytest.fixture
async def loopback():
    client = Outbound(everything, loopback_ok=True)
    yield client
    await client.close()


async def code(awaitable):
    with pytest.raises(ProtocolError) as refused:
        await awaitable
    return refused.value.code


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://169.254.169.254/latest",
        "http://8.8.8.8/",
        "http://127.0.0.1/",
    ],
)
async def test_without_permission_nothing_goes_to_this_computer_or_without_tls(url):
    client = Outbound(everything)
    assert await code(client.request("GET", url)) == "outbound-refused"
    await client.close()


async def test_a_name_is_judged_by_what_it_resolves_to(monkeypatch):
    client = Outbound(everything)
    assert await code(client.request("GET", "https://localhost/")) == "outbound-refused"

    def rebinding(host, port, *args, **kwargs):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.5", port)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::ffff:127.0.0.1", port, 0, 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    assert await code(client.request("GET", "https://nodo.example.org/")) == "outbound-refused"
    await client.close()


class Calls:
    """Where sockets were really sent, instead of the network; nothing answers."""

    def __init__(self, monkeypatch):
        self.to = []

        async def sock_connect(loop, sock, address):
            self.to.append(address[0])
            raise ConnectionRefusedError

        monkeypatch.setattr(asyncio.BaseEventLoop, "sock_connect", sock_connect, raising=False)
        monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", sock_connect)


def answering(monkeypatch, *answers):
    """A resolver that gives one answer (a list of addresses) after the other; how often it was asked."""
    asked = []

    def getaddrinfo(host, port, *args, **kwargs):
        given = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        kinds = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(kinds[":" in a], socket.SOCK_STREAM, 6, "", (a, port, 0, 0)[: 4 if ":" in a else 2]) for a in given]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


async def test_a_name_that_changes_its_address_after_the_check_reaches_only_the_checked_one(monkeypatch):
    """DNS rebinding: public when asked first, this computer when asked again."""
    calls, asked = Calls(monkeypatch), answering(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    client = Outbound(everything)
    assert await code(client.request("GET", "https://nodo.example.org/")) == "unreachable"
    assert (calls.to, len(asked)) == (["8.8.8.8"], 1)
    await client.close()
    client = Outbound(everything)  # asked anew, its new answer is judged as if it were the first
    assert await code(client.request("GET", "https://nodo.example.org/")) == "outbound-refused"
    assert (calls.to, len(asked)) == (["8.8.8.8"], 2)
    await client.close()


async def test_of_a_mixed_answer_only_public_addresses_are_called(monkeypatch):
    hidden = ["127.0.0.1", "10.0.0.5", "100.64.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.5", "64:ff9b::7f00:1",
              "2002:7f00:1::", "fec0::1", "ff02::1", "::127.0.0.1", "192.88.99.1", "224.0.0.1"]  # fmt: skip
    calls = Calls(monkeypatch)
    answering(monkeypatch, [*hidden, "8.8.8.8", "2606:4700::1111"])
    client = Outbound(everything)
    assert await code(client.request("GET", "https://nodo.example.org/")) == "unreachable"
    assert sorted(calls.to) == ["2606:4700::1111", "8.8.8.8"]
    await client.close()


async def test_no_socket_is_made_for_another_address_whoever_resolved_it(monkeypatch):
    """As if the check of names had been forgotten: the socket refuses by itself."""
    from node.runtime import client as module

    async def careless(self, host, port=0, family=socket.AF_UNSPEC):
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 6, "flags": 0}]

    monkeypatch.setattr(module._CheckedResolver, "resolve", careless)
    calls = Calls(monkeypatch)
    client = Outbound(everything)
    assert await code(client.request("GET", "https://nodo.example.org/")) == "outbound-refused"
    assert calls.to == []
    await client.close()


async def test_a_url_nobody_told_us_of_is_refused():
    client = Outbound(within(["http://127.0.0.1:1"]), loopback_ok=True)
    assert await code(client.request("GET", "http://127.0.0.1:2/")) == "outbound-refused"
    assert await code(client.request("GET", "http://127.0.0.1:1/")) == "unreachable"
    await client.close()


async def test_through_a_proxy_the_url_is_checked_and_the_proxy_itself_is_no_target():
    client = Outbound(within(["https://registro.example.org"]), proxy="http://proxy.interno:3128")
    assert await code(client.request("GET", "https://altro.example.org/")) == "outbound-refused"
    await client.close()
    client = Outbound(everything, proxy="http://proxy.interno:3128")
    assert await code(client.request("GET", "https://proxy.interno/")) == "outbound-refused"
    await client.close()


async def test_a_proxy_is_spoken_to_and_the_environment_is_not(monkeypatch):
    seen = []

    async def proxy(reader, writer):
        seen.append(await reader.readline())
        writer.write(b"HTTP/1.1 502 no\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    direct = Outbound(everything, loopback_ok=True)
    assert await code(direct.request("GET", "https://127.0.0.1:1/x")) == "unreachable"
    assert seen == []
    through = Outbound(everything, proxy=f"http://127.0.0.1:{port}")
    assert await code(through.request("GET", "https://nodo.example.org/x")) == "unreachable"
    assert seen == [b"CONNECT nodo.example.org:443 HTTP/1.1\r\n"]
    await direct.close()
    await through.close()
    server.close()


async def test_an_answer_and_its_date_come_back(loopback):
    async def echo(call):
        return Reply(
            201,
            await call.body(),
            headers=(("X-Test", call.headers["x-test"]), ("Date", "Sat, 21 Nov 2026 11:10:00 GMT")),
        )

    async with serving([Route("POST", "/echo", echo)]) as port:
        answer = await loopback.request("POST", f"http://127.0.0.1:{port}/echo", body=b"abc", headers={"X-Test": "1"})
    assert (answer.status, answer.body, answer.headers["x-test"], answer.date) == (201, b"abc", "1", NOW)


async def test_a_problem_comes_back_as_the_same_refusal(loopback):
    async def refuse(call):
        raise ProtocolError("unauthenticated", field="authorization", expected="a", got="b", mid="c", after=3)

    async with serving([Route("GET", "/x", refuse)]) as port:
        with pytest.raises(AnsweredError) as refused:
            await loopback.request("GET", f"http://127.0.0.1:{port}/x")
    error = refused.value
    assert (error.code, error.field, error.expected, error.got, error.mid) == (
        "unauthenticated",
        "authorization",
        "a",
        "b",
        "c",
    )
    assert (error.status, error.server_time, error.after) == (401, NOW, 3)


async def test_redirects_compression_and_floods_are_not_followed(loopback):
    async def redirect(call):
        return Reply(302, headers=(("Location", "/elsewhere"),))

    async def compressed(call):
        return Reply(body=b"x", headers=(("Content-Encoding", "gzip"),))

    async def flood(call):
        return Reply(body=b"x" * 2000)

    async def unchanged(call):
        return Reply(304)

    routes = [Route("GET", f"/{f.__name__}", f) for f in (redirect, compressed, flood, unchanged)]
    async with serving(routes) as port:
        base = f"http://127.0.0.1:{port}"
        assert await code(loopback.request("GET", base + "/redirect")) == "unreachable"
        assert await code(loopback.request("GET", base + "/compressed")) == "content-encoding"
        assert await code(loopback.request("GET", base + "/flood", max_bytes=1999)) == "too-large"
        assert (await loopback.request("GET", base + "/unchanged")).status == 304


async def test_silence_is_unreachable(loopback):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await code(loopback.request("GET", f"http://127.0.0.1:{port}/", timeout=0.05)) == "unreachable"
    server.close()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, b"<html>nginx</html>", "busy"),
        (502, b"", "unreachable"),
        (404, b'{"code":"no-such-code"}', "not-found"),
        (500, b'{"code":7}', "unreachable"),
        (400, b"[" * 200_000, "bad-request"),
        (400, b'{"code":"bad-json","x":' + b'"' + b"a" * PROBLEM_MAX + b'"}', "bad-request"),
        (418, b'{"code":"\xff"}', "unreachable"),
    ],
)
def test_what_is_no_problem_of_ours_counts_for_its_status_only(status, body, expected):
    error = decode_problem(status, body, "soon")
    assert (error.code, error.status, error.after, error.server_time) == (expected, status, None, None)


def test_a_problem_is_read_back_as_written():
    error = decode_problem(409, encode_problem(ProtocolError("log-moved", got="7"), NOW), "12")
    assert (error.code, error.got, error.after, error.server_time) == ("log-moved", "7", 12, NOW)
    assert json.loads(encode_problem(ProtocolError("log-moved"), NOW))["retry"] == "later"
    assert json_reply([1]).body == b"[1]"
