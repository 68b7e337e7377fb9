"""The reverse proxies of deploy/proxy as they stand: real nginx and real Caddy in front of the program's own server.

Where one of them is not installed its tests are skipped, visibly; what their files say is checked everywhere.
"""

import asyncio
import os
import re
import shutil
import ssl
import subprocess
import time
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest

from node.runtime.http import ServerLimits
from node.runtime.routes import Reply, Route, health_route
from protocol import paths
from protocol.errors import ProtocolError
from protocol.limits import BATCH_BYTES, POLL_WAIT
from registry.intake import POST_MAX
from tests.runtime.certificates import Authority
from tests.runtime.fakes import StillClock, serving

PROXY = Path(__file__).parents[2] / "deploy" / "proxy"
NGINX, CADDY = (PROXY / name for name in ("raccordo.nginx.conf", "Caddyfile"))
SBIN = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
CANARY = "centro-antiviolenza-canarino"
QUERY = "q=Maria-Canarini"


def found(name):
    path = shutil.which(name, path=SBIN)
    if path is None:
        pytest.skip(f"{name} is not installed here")
    return path


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# -- what the files say


def setting(name):
    values = re.findall(rf"^\s*{name} (\S+);", NGINX.read_text("utf-8"), re.M)
    assert values, name
    return values


def seconds(text):
    return float(text.removesuffix("s"))


def test_the_limits_of_nginx_agree_with_the_connection_guard():
    limits = ServerLimits()
    assert {seconds(one) for one in setting("client_header_timeout")} == {limits.header_seconds}
    assert all(seconds(one) < limits.keepalive_seconds for one in setting("keepalive_timeout"))
    assert {seconds(one) for one in setting("send_timeout")} == {limits.write_seconds}
    assert setting("limit_conn raccordo_address") == [str(limits.connections_per_address)]
    assert setting("client_max_body_size") == ["9m"] and max(POST_MAX, BATCH_BYTES) <= 8 * 1024 * 1024
    assert all(seconds(one) > 2 * POLL_WAIT for one in setting("proxy_read_timeout"))
    assert setting("proxy_request_buffering") == ["off"], "the guard sees the rate of a body"


def test_caddy_waits_no_longer_than_the_guard():
    text = CADDY.read_text("utf-8")
    assert re.search(r"read_header 10s", text) and ServerLimits().header_seconds == 10
    idle = [int(one) for one in re.findall(r"(?:idle|keepalive) (\d+)s", text)]
    assert idle and max(idle) < ServerLimits().keepalive_seconds
    assert not re.search(r"^\s*log\b(?! default)", text, re.M), "no access log"


def test_every_path_of_the_protocol_is_known_to_the_log_of_nginx():
    """A path that is not on the list is logged as «altro»: nothing leaks, and nobody can tell what is called."""
    text = NGINX.read_text("utf-8")
    known = set(re.search(r"/v1/\(\?:(health[^)]*)\)\)\$", text)[1].replace("\\", "").split("|"))
    patterns = set(re.search(r"/v1/\(\?:([^)]*)\)\)/", text)[1].split("|"))
    served = [value for name, value in vars(paths).items() if name.isupper() and isinstance(value, str)]
    for path in (one for one in served if one.startswith("/v1/")):
        first, _, rest = path.removeprefix("/v1/").partition("/")
        assert first in (patterns if rest else known), path
    assert "{" not in "".join(known)


# -- the real programs


async def mailbox(call):
    raise ProtocolError("unauthenticated", field="authorization")


async def echo(call):
    return Reply(body=str(len(await call.body())).encode())


ROUTES = [
    health_route(StillClock()),
    Route("GET", paths.MAILBOX_ROUTE, mailbox),
    Route("POST", paths.MAILBOX_ROUTE, echo, max_body=BATCH_BYTES),
    Route("GET", paths.SEARCH, mailbox),
]


def nginx_setup(folder, authority, port, upstream, host="127.0.0.1"):
    """The file as it stands, with what its first lines say has to be changed, and its logs kept here."""
    certificate, key = authority.issue(host)
    text = NGINX.read_text("utf-8")
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"), ("    listen [::]:443 ssl;\n", ""),
        ("/etc/ssl/raccordo/catena.pem", str(certificate)), ("/etc/ssl/raccordo/chiave.pem", str(key)),
        ("127.0.0.1:8471", f"127.0.0.1:{upstream}"), ("/var/log/nginx/", f"{folder}/"),
    ):  # fmt: skip
        assert old in text, old
        text = text.replace(old, new)
    (folder / "raccordo.conf").write_text(text)
    places = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    main = f"{user}daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/main.log error;\nevents {{}}\n"
    (folder / "nginx.conf").write_text(f"{main}http {{\n{places}access_log off;\ninclude {folder}/raccordo.conf;\n}}\n")
    return [found("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]


def caddy_setup(folder, authority, port, upstream):
    certificate, key = authority.issue("127.0.0.1")
    text = CADDY.read_text("utf-8")
    for old, new in (
        ("{\n\tlog default", "{\n\tadmin off\n\tauto_https off\n\tlog default"),
        ("bacheca.example.org {", f"https://127.0.0.1:{port} {{\n\ttls {certificate} {key}"),
        ("127.0.0.1:8471", f"127.0.0.1:{upstream}"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    (folder / "Caddyfile").write_text(text)
    return [found("caddy"), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


PROXIES = {"nginx": nginx_setup, "caddy": caddy_setup}


@asynccontextmanager
async def in_front(name, folder, upstream):
    """(session, log texts): a proxy in front of `upstream`, ended by its own process id."""
    authority, port = Authority(folder), free_port()
    command = PROXIES[name](folder, authority, port, upstream)
    home = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "output.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=home, cwd=folder)  # noqa: ASYNC220
    trust = ssl.create_default_context(cafile=str(authority.ca_file))
    session = aiohttp.ClientSession(f"https://127.0.0.1:{port}", connector=aiohttp.TCPConnector(ssl=trust, limit=0))
    try:
        await answering(session, process, folder)
        yield session, port
    finally:
        await session.close()
        process.terminate()
        process.wait(20)


async def answering(session, process, folder):
    deadline = time.monotonic() + 20
    while True:
        try:
            async with session.get(paths.HEALTH):
                return
        except aiohttp.ClientError:
            assert process.poll() is None, (folder / "output.log").read_text()
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def visit(session, upstream_is_up):
    """Calls of every kind whose path or query says something; their answers' status."""
    box, seen = paths.mailbox(CANARY), []
    for method, path, body in (
        ("GET", f"{box}?{QUERY}", None), ("POST", f"{box}?{QUERY}", b"x" * 300_000), ("GET", f"{paths.SEARCH}?{QUERY}", None),
        ("GET", f"/{CANARY}?{QUERY}", None), ("POST", box, b"x" * 10_000_000), ("GET", f"/local/v1/{CANARY}", None),
        ("GET", f"/v1/metrics?{QUERY}", None), ("GET", f"{box}?{'x' * 40_000}{QUERY}", None),
    ):  # fmt: skip
        try:
            async with session.request(method, path, data=body and BytesIO(body)) as answer:
                await answer.read()
                seen.append(answer.status)
        except aiohttp.ClientError:  # refused while the body was on its way
            seen.append(None)
    if upstream_is_up:
        assert seen[:4] == [401, 200, 401, 404] and seen[5:7] == [404, 404]
    else:
        assert seen[0] == seen[2] == 502
    return seen


async def nonsense(port, trust):
    """What is no HTTP at all, with the canary in it."""
    for raw in (
        f"GET {paths.mailbox(CANARY)} HTTP/9.9\r\n\r\n",
        f"GET {paths.mailbox(CANARY)}\r\nX",
        f"\x16\x03{CANARY}",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        writer.write(raw.encode())
        writer.write_eof() if writer.can_write_eof() else None
        await asyncio.wait_for(reader.read(), 15)
        writer.close()


def written(folder):
    """Everything below `folder` but the configuration itself, by name."""
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix == ".log"}


@pytest.mark.parametrize("name", PROXIES)
async def test_a_proxy_writes_no_mailbox_path_and_no_query_whatever_happens(name, tmp_path):
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    async with (
        serving(ROUTES, limits=ServerLimits(connections_per_address=1000)) as upstream,
        in_front(name, tmp_path, upstream) as (session, port),
    ):
        await visit(session, upstream_is_up=True)
        await nonsense(port, trust)
    async with in_front(name, tmp_path, free_port()) as (session, _):
        await visit(session, upstream_is_up=False)
    logs = written(tmp_path)
    secret = [CANARY.encode(), b"Canarini", b"antiviolenza"]
    assert [(file, word) for file, text in logs.items() for word in secret if word in text] == []
    if name == "nginx":
        lines = logs["raccordo.log"].decode().splitlines()
        assert len(lines) >= 16, "it does log: the place, never the rest"
        assert any(" /v1/mailbox/... 401 " in line for line in lines)
        assert not any("127.0.0.1" in line for line in lines)


async def test_nginx_keeps_the_limit_of_connections_per_address(tmp_path):
    """Behind a proxy the program sees one address; the cap of one caller is kept in front."""
    held, release = [], asyncio.Event()

    async def wait(call):
        held.append(call)
        await release.wait()
        return Reply(body=b"ok")

    routes = [*ROUTES, Route("GET", "/v1/wait", wait, waits=True)]
    async with (
        serving(routes, limits=ServerLimits(connections_per_address=1000)) as upstream,
        in_front("nginx", tmp_path, upstream) as (session, _),
    ):

        async def call():
            async with session.get("/v1/wait") as answer:
                return answer.status

        calls = [asyncio.create_task(call()) for _ in range(80)]
        while len(held) + sum(one.done() for one in calls) < 80:
            await asyncio.wait(calls, timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
        release.set()
        answers = [await one for one in calls]
    assert answers.count(503) >= 80 - 64
    assert 0 < answers.count(200) <= 64
