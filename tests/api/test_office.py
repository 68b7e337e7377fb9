"""The interface from another computer of the office: over TLS only, under its own names, and nothing but the interface."""

import asyncio
import hashlib
import os
import ssl
from pathlib import Path

import aiohttp
import pytest
from click.testing import CliRunner

from node.app import App
from node.cli import cli
from node.runtime import tls
from node.runtime.clock import SystemClock
from node.runtime.config import ApiConfig
from node.runtime.dice import SystemDice
from node.runtime.http import ServerLimits, create_server_app, listen
from node.runtime.routes import health_route
from protocol.errors import ProtocolError
from tests.api.vendor import EVERY, Vendor, ask
from tests.node.test_app import World

OFFICE = """
[api]
listen_host = "127.0.0.1"
names = ["localhost", "raccordo.ufficio.example"]
origins = ["https://intranet.example"]
"""


@pytest.fixture
async def office(tmp_path):
    world = World(tmp_path)
    world.found("tavullia")
    world.publish()
    with (tmp_path / "tavullia" / "raccordo.toml").open("a") as file:
        file.write(OFFICE)
    async with world.running("tavullia") as apps:
        app = apps["tavullia"]
        token = (await ask(app, "app-add", id="gestionale", scopes=EVERY))["token"]
        trusted = ssl.create_default_context(cafile=str(app.body.data_dir / tls.CERT_NAME))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as session:
            yield app, Vendor(session, f"https://localhost:{app.api_port}/local/v1", token, "OP")


async def test_another_computer_calls_over_tls_and_trusts_the_fingerprint_it_was_shown(office):
    app, vendor = office
    assert (await vendor("GET", "/status")).json["joining"]["node"] == "tavullia"
    cert = app.body.data_dir / tls.CERT_NAME
    assert cert.stat().st_mode & 0o077 == 0 and (app.body.data_dir / tls.KEY_NAME).stat().st_mode & 0o077 == 0
    _, writer = await asyncio.open_connection("127.0.0.1", app.api_port, ssl=ssl._create_unverified_context())
    met = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    shown = await asyncio.to_thread(
        lambda: (
            CliRunner().invoke(cli, ["--dir", str(app.body.data_dir), "apps", "list"], catch_exceptions=False).output
        )
    )
    assert hashlib.sha256(met).hexdigest().upper() in shown.replace(":", "")
    assert "https://localhost" in shown


async def test_its_names_are_the_only_ones_and_only_named_pages_call(office):
    _, vendor = office
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "raccordo.ufficio.example"):
        assert (await vendor("GET", "/application", headers={"Host": host})).status == 200, host
    for host in ("evil.example", "localhost.evil.example", "[::1]", "10.0.0.1"):
        assert (await vendor("GET", "/application", headers={"Host": host})).code == "wrong-host", host
    page = await vendor("GET", "/application", headers={"Origin": "https://intranet.example"})
    assert page.status == 200
    assert not [name for name in page.headers if name.startswith("access-control")]
    assert (
        await vendor("GET", "/application", headers={"Origin": "https://intranet.example.evil"})
    ).code == "forbidden"


async def test_commands_and_metrics_are_not_there(office):
    _, vendor = office
    assert (await vendor("POST", "/command/status", {})).code == "not-found"
    assert (await vendor("GET", "/../../v1/metrics")).code == "not-found"


async def test_without_tls_there_is_no_answer(office):
    app, vendor = office
    with pytest.raises(aiohttp.ClientError):
        await vendor.session.get(f"http://localhost:{app.api_port}/local/v1/openapi.json")


async def test_the_certificate_stays_the_same_over_a_restart(tmp_path):
    world = World(tmp_path)
    world.found("tavullia")
    world.publish()
    folder = tmp_path / "tavullia"
    with (folder / "raccordo.toml").open("a") as file:
        file.write(OFFICE)
    seen = set()
    for _ in range(2):
        async with world.running("tavullia"):
            seen.add(tls.fingerprint(folder / tls.CERT_NAME))
    assert len(seen) == 1
    (folder / tls.KEY_NAME).chmod(0o644)
    app = App(world.open("tavullia"))
    with pytest.raises(ProtocolError) as refused:
        await app.start()
    await app.stop()
    assert (refused.value.code, refused.value.field) == ("keys-exposed", tls.KEY_NAME)


def test_what_cannot_be_served_is_refused_at_the_start(tmp_path):
    def code(**given):
        with pytest.raises(ProtocolError) as refused:
            api = ApiConfig(**given)
            tls.hosts_of(api)
            tls.context(api, tmp_path, 0)
        return refused.value.code, refused.value.field

    wrong = tmp_path / "nulla.pem"
    wrong.write_text("nulla")
    wrong.chmod(0o600)
    assert code(listen_host="0.0.0.0") == ("config-invalid", "api.names")
    assert code(listen_host="10.0.0.1", cert_file=str(wrong)) == ("config-invalid", "api.cert_file")
    assert code(listen_host="10.0.0.1", cert_file=str(wrong), key_file=str(wrong)) == (
        "config-invalid",
        "api.cert_file",
    )
    assert code(listen_host="10.0.0.1", cert_file=str(wrong), key_file="/nulla/nulla") == ("config-missing", "nulla")
    assert tls.hosts_of(ApiConfig(listen_host="fd00::1", names=("Ente.example",))) == {"[fd00::1]", "ente.example"}


def test_a_key_that_asks_for_a_password_is_refused_instead_of_asking(tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    api = ApiConfig(listen_host="127.0.0.1")
    tls.make(api, tmp_path, 1_795_259_400)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"segreta")
    )
    locked = tmp_path / "chiusa.pem"
    locked.write_bytes(pem)
    os.chmod(locked, 0o600)
    given = ApiConfig(listen_host="127.0.0.1", cert_file=str(tmp_path / tls.CERT_NAME), key_file=str(locked))
    with pytest.raises(ProtocolError) as refused:
        tls.context(given, Path(tmp_path), 0)
    assert refused.value.code == "config-invalid"


async def test_a_handshake_that_does_not_come_is_ended_as_a_header_is(tmp_path):
    api = ApiConfig(listen_host="127.0.0.1")
    app = create_server_app(
        [health_route(SystemClock())], clock=SystemClock(), dice=SystemDice(), limits=ServerLimits(header_seconds=0.3)
    )
    listener = await listen(app, "127.0.0.1", 0, tls.context(api, tmp_path, 1_795_259_400))
    try:
        for said in (b"", b"\x16\x03\x01"):
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(said)
            async with asyncio.timeout(5):
                with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1)
            writer.close()
    finally:
        await listener.stop()
