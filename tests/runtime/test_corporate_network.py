"""An office network: the only way out is a proxy, and its traffic inspection signs with an authority of the body's own."""

import asyncio
import base64
import contextlib
import ssl
from contextlib import asynccontextmanager

import pytest

from node.runtime.client import Outbound
from protocol.errors import ProtocolError
from tests.runtime.certificates import Authority

HOST = "bacheca.example.org"
URL = f"https://{HOST}/v1/mailbox/comune-tavullia?after=7"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nciao"


def context(files):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*map(str, files))
    return made


@asynccontextmanager
async def listening(handle, tls=None):
    """A server whose connections are all over when it is left: what a test leaves open disturbs others."""
    writers, tasks = [], set()

    async def serve(reader, writer):
        writers.append(writer)
        tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError, EOFError):
            await handle(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*tasks, *(writer.wait_closed() for writer in writers), return_exceptions=True)


@asynccontextmanager
async def board(authority):
    """(port, what it was asked): a server whose certificate that authority signed. Behind an inspection it is the proxy."""
    asked = []

    async def answer(reader, writer):
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    async with listening(answer, context(authority.issue(HOST))) as port:
        yield port, asked


async def pump(reader, writer):
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@asynccontextmanager
async def proxy(port, password=None):
    """(port, heads it was sent): CONNECT to any name leads to `port` of this computer; nothing but CONNECT is served."""
    heads = []

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head)
        wanted = None if password is None else "Basic " + base64.b64encode(password.encode()).decode()
        if not head.startswith("CONNECT "):
            writer.write(b"HTTP/1.1 405 no\r\nContent-Length: 0\r\n\r\n")
        elif wanted is not None and f"Proxy-Authorization: {wanted}\r\n" not in head:
            writer.write(b"HTTP/1.1 407 who?\r\nContent-Length: 0\r\n\r\n")
        else:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))
            return
        await writer.drain()
        writer.close()

    async with listening(serve) as listened:
        yield listened, heads


@asynccontextmanager
async def client(**given):
    made = Outbound(lambda _: True, **given)
    try:
        yield made
    finally:
        await made.close()


async def refusal(call):
    with pytest.raises(ProtocolError) as refused:
        await call
    return refused.value


async def test_through_a_proxy_and_with_the_bodys_own_authority_a_call_arrives(tmp_path):
    authority = Authority(tmp_path)
    async with (
        board(authority) as (far, asked),
        proxy(far) as (port, heads),
        client(proxy=f"http://127.0.0.1:{port}", ca_file=authority.ca_file) as out,
    ):
        answer = await out.request("GET", URL, headers={"Authorization": "Raccordo gettone-canarino"})
    assert (answer.status, answer.body) == (200, b"ciao")
    assert asked[0].startswith("GET /v1/mailbox/comune-tavullia?after=7 ")
    assert "gettone-canarino" in asked[0]
    assert len(heads) == 1 and heads[0].startswith(f"CONNECT {HOST}:443 ")
    assert not [word for word in ("mailbox", "tavullia", "after=7", "canarino") if word in heads[0]], "only the host"


async def test_an_authority_nobody_configured_is_no_way_in(tmp_path):
    """An inspection the body did not declare is an attack: nothing is sent."""
    authority = Authority(tmp_path)
    async with (
        board(authority) as (far, asked),
        proxy(far) as (port, _),
        client(proxy=f"http://127.0.0.1:{port}") as out,
    ):
        error = await refusal(out.request("GET", URL))
    assert (error.code, error.got) == ("unreachable", "certificate")
    assert asked == []


async def test_the_configured_authority_is_the_only_one_believed(tmp_path):
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    ours, theirs = (Authority(tmp_path / name) for name in ("ours", "theirs"))
    async with (
        board(theirs) as (far, asked),
        proxy(far) as (port, _),
        client(proxy=f"http://127.0.0.1:{port}", ca_file=ours.ca_file) as out,
    ):
        error = await refusal(out.request("GET", URL))
    assert (error.got, asked) == ("certificate", [])


async def test_a_proxys_password_goes_to_the_proxy_and_no_further(tmp_path):
    authority = Authority(tmp_path)
    async with board(authority) as (far, asked), proxy(far, "ufficio:segreta") as (port, heads):
        async with client(proxy=f"http://ufficio:segreta@127.0.0.1:{port}", ca_file=authority.ca_file) as out:
            assert (await out.request("GET", URL)).status == 200
        async with client(proxy=f"http://127.0.0.1:{port}", ca_file=authority.ca_file) as out:
            error = await refusal(out.request("GET", URL))
    assert error.code == "unreachable"
    assert "Proxy-Authorization" in heads[0] and "Proxy-Authorization" not in heads[1]
    assert len(asked) == 1 and "roxy" not in asked[0]


async def test_the_name_in_the_certificate_is_checked_behind_a_proxy_too(tmp_path):
    authority = Authority(tmp_path)
    async with (
        board(authority) as (far, asked),
        proxy(far) as (port, _),
        client(proxy=f"http://127.0.0.1:{port}", ca_file=authority.ca_file) as out,
    ):
        error = await refusal(out.request("GET", "https://altra.example.org/v1/health"))
    assert (error.got, asked) == ("certificate", [])
