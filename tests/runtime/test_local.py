"""The local channel: who may speak through it."""

import asyncio
import http.client
import json
import sys

import pytest

from node.runtime import local
from node.runtime.dice import SeededDice
from protocol.errors import ProtocolError
from tests.runtime.fakes import serving

TOKEN = local.new_token(SeededDice(1))


async def greet(payload):
    return b'"ciao ' + payload + b'"'


async def refuse(payload):
    raise ProtocolError("role-forbidden", field="as")


@pytest.fixture
async def port(tmp_path):
    async with serving(local.local_routes(TOKEN, {"greet": greet, "refuse": refuse})) as port:
        local.announce(tmp_path, port, TOKEN)
        yield port
        local.withdraw(tmp_path)


def in_thread(function, *args, **kwargs):
    return asyncio.get_running_loop().run_in_executor(None, lambda: function(*args, **kwargs))


def post(port, headers, path="/local/v1/command/greet"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.putrequest("POST", path, skip_host=True)
    for name, value in {"Content-Length": "1", **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(b"x")
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return (answer.status, body if answer.status == 200 else body["code"])


async def test_a_command_reaches_the_running_process(port, tmp_path):
    assert await in_thread(local.command, tmp_path, "greet", b"mondo") == b'"ciao mondo"'


async def test_a_refusal_comes_back_as_itself(port, tmp_path):
    with pytest.raises(ProtocolError) as refused:
        await in_thread(local.command, tmp_path, "refuse", b"")
    assert (refused.value.code, refused.value.field) == ("role-forbidden", "as")
    with pytest.raises(ProtocolError, match="not-found"):
        await in_thread(local.command, tmp_path, "unknown", b"")


BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Host": "127.0.0.1:80", **BEARER}, (200, "ciao x")),
        ({"Host": "localhost", **BEARER}, (200, "ciao x")),
        ({"Host": "[::1]:8080", **BEARER}, (200, "ciao x")),
        ({"Host": "localhost"}, (401, "unauthenticated")),
        ({"Host": "localhost", "Authorization": "Bearer " + "0" * 64}, (401, "unauthenticated")),
        ({"Host": "localhost", "Authorization": f"Bearer {TOKEN[:-1]}"}, (401, "unauthenticated")),
        ({"Host": "localhost", "Authorization": TOKEN}, (401, "unauthenticated")),
        ({"Host": "localhost", "Authorization": "Bearer \xff\xfe"}, (401, "unauthenticated")),
        ({"Host": "evil.example", **BEARER}, (403, "forbidden")),
        ({"Host": "127.0.0.1.evil.example", **BEARER}, (403, "forbidden")),
        ({"Host": "localhost:1@evil.example", **BEARER}, (403, "forbidden")),
        ({"Host": "", **BEARER}, (403, "forbidden")),
        ({"Host": "localhost", "Origin": "http://evil.example", **BEARER}, (403, "forbidden")),
        ({"Host": "localhost", "Origin": "null", **BEARER}, (403, "forbidden")),
    ],
)
async def test_wrong_token_host_or_origin_is_refused(port, headers, expected):
    assert await in_thread(post, port, headers) == expected


def test_when_nobody_runs_the_answer_is_not_running(tmp_path):
    with pytest.raises(ProtocolError, match="not-running"):
        local.command(tmp_path, "greet", b"")
    local.announce(tmp_path, 1, TOKEN)
    with pytest.raises(ProtocolError, match="not-running"):
        local.command(tmp_path, "greet", b"")
    (tmp_path / "local.json").write_text("half a fi")
    with pytest.raises(ProtocolError, match="not-running"):
        local.command(tmp_path, "greet", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_the_token_file_is_the_owners_only_and_refused_otherwise(tmp_path):
    local.announce(tmp_path, 4000, TOKEN)
    path = tmp_path / "local.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert local.announced(tmp_path).token == TOKEN
    path.chmod(0o644)
    with pytest.raises(ProtocolError, match="keys-exposed"):
        local.announced(tmp_path)
    local.withdraw(tmp_path)
    local.withdraw(tmp_path)


async def test_silence_does_not_hang_a_command(tmp_path):
    server = await asyncio.start_server(lambda reader, writer: reader.read(), "127.0.0.1", 0)
    local.announce(tmp_path, server.sockets[0].getsockname()[1], TOKEN)
    with pytest.raises(ProtocolError, match="unreachable"):
        await in_thread(local.command, tmp_path, "greet", b"", timeout=0.05)
    server.close()
