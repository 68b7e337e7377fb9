"""What doctor finds out about programs, ports, the way out and what ages; each finding that is not good says what to do."""

import asyncio
import socket
import sqlite3
import time

import pytest

from node.runtime import doctor, doctor_network, local, probe
from node.runtime.config import HttpConfig
from node.runtime.dice import SeededDice
from node.runtime.ports import KeyEntry
from node.runtime.probe import Seen
from node.runtime.routes import Route as Row
from node.runtime.routes import health_route, json_reply
from node.runtime.version import VERSION
from protocol import paths
from protocol.limits import DAY
from tests.runtime.certificates import Authority
from tests.runtime.fakes import NOW, StillClock, serving
from tests.runtime.test_corporate_network import context, listening, proxy

LOOPBACK = HttpConfig(allow_plain_http_loopback=True)


@pytest.fixture(autouse=True)
def _italian(monkeypatch):
    monkeypatch.setenv("RACCORDO_LANG", "it")


def ask(check):
    """A finding; whatever is not well says what to do next."""
    (result,) = doctor.run_checks([check])
    assert (result.grade == "ok") == (not result.advice), result
    return result


def free_port():
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return tried.getsockname()[1]


# -- programs and ports


def test_the_version_that_runs_is_compared_with_the_one_installed(tmp_path):
    tmp_path.chmod(0o700)
    check = doctor_network.programs(tmp_path)
    assert ask(check).grade == "ok" and VERSION in ask(check).text
    local.announce(tmp_path, 1, local.new_token(SeededDice(1)))
    assert ask(check).grade == "ok"
    file = tmp_path / "local.json"
    file.write_text(file.read_text().replace(VERSION, "0.0.9"))
    assert ask(check).grade == "warn" and "0.0.9" in ask(check).text
    file.write_text('{"port":1,"token":"t","pid":1}')
    assert "ancora il 0.1" in ask(check).text, "a version that did not say"


def test_an_sqlite_too_old_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    assert ask(doctor_network.programs(tmp_path)).grade == "fail"


def test_a_port_of_another_program_is_found_before_the_start(tmp_path):
    port = free_port()
    assert ask(doctor_network.ports(tmp_path, HttpConfig(local_port=port))).grade == "ok"
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        taken = ask(doctor_network.ports(tmp_path, HttpConfig(local_port=port)))
        assert taken.grade == "fail" and str(port) in taken.text
        public = HttpConfig(listen_port=port)
        assert ask(doctor_network.ports(tmp_path, public)).grade == "ok", "a node that listens to nobody"
        assert ask(doctor_network.ports(tmp_path, public, host="127.0.0.1")).grade == "fail", "a board always does"
    foreign = HttpConfig(listen_host="192.0.2.7", listen_port=port)
    assert "non è un indirizzo di questo computer" in ask(doctor_network.ports(tmp_path, foreign)).text


async def test_a_running_program_is_asked_at_its_ports(tmp_path):
    tmp_path.chmod(0o700)
    async with serving([health_route(StillClock())]) as port:
        local.announce(tmp_path, port, "t")
        http = HttpConfig(listen_host="0.0.0.0", listen_port=port)
        assert (await asyncio.to_thread(ask, doctor_network.ports(tmp_path, http))).grade == "ok"
        deaf = HttpConfig(listen_host="127.0.0.1", listen_port=free_port())
        found = await asyncio.to_thread(ask, doctor_network.ports(tmp_path, deaf))
    assert found.grade == "fail" and str(deaf.listen_port) in found.text


# -- the way out


def test_the_proxy_is_tried(tmp_path):
    assert ask(doctor_network.way_out(HttpConfig())).grade == "ok"
    assert ask(doctor_network.way_out(HttpConfig(proxy=f"http://127.0.0.1:{free_port()}"))).grade == "fail"
    assert ask(doctor_network.way_out(HttpConfig(proxy="http://"))).grade == "fail"


def test_the_file_of_authorities_is_read_and_its_end_foreseen(tmp_path):
    file = Authority(tmp_path).ca_file
    now = int(time.time())

    def graded(at, path=file):
        return ask(doctor_network.authority(HttpConfig(ca_file=str(path)), lambda: at)).grade

    assert (graded(now), graded(now + 20 * DAY), graded(now + 31 * DAY)) == ("ok", "warn", "fail")
    (tmp_path / "vuoto.pem").write_text("niente")
    assert graded(now, tmp_path / "vuoto.pem") == graded(now, tmp_path / "manca.pem") == "fail"
    assert ask(doctor_network.authority(HttpConfig(), lambda: now)).grade == "ok"


async def looked(url, http=LOOPBACK):
    return await asyncio.to_thread(probe.look, url, http)


async def test_a_look_tells_the_time_and_what_is_wrong(tmp_path):
    async def stranger(_):
        return json_reply({"status": "ok"})

    async with serving([health_route(StillClock())]) as port:
        assert await looked(f"http://127.0.0.1:{port}") == Seen(time=NOW)
        assert (await looked(f"http://127.0.0.1:{port}", HttpConfig())).why == "address", "plain, and not allowed"
    async with serving([Row("GET", paths.HEALTH, stranger)]) as port:
        assert (await looked(f"http://127.0.0.1:{port}")).why == "stranger"
    async with serving([]) as port:
        assert (await looked(f"http://127.0.0.1:{port}")).why == "stranger"
    assert (await looked(f"http://127.0.0.1:{free_port()}")).why == "refused"
    assert (await looked("https://no-such-name.invalid")).why == "name"
    assert (await looked("https://10.0.0.1")).why == (await looked("file:///etc/passwd")).why == "address"


async def test_a_look_goes_out_as_the_program_does_and_reads_the_certificate(tmp_path):
    authority = Authority(tmp_path)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 27\r\nConnection: close\r\n\r\n"

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + b'{"server_time": 1795259400}')
        await writer.drain()
        writer.close()

    async def through(host, days=30, password=None, given=""):
        files = authority.issue(host, days=days)
        async with listening(answer, context(files)) as far, proxy(far, password) as (port, _):
            way = HttpConfig(proxy=f"http://{given}127.0.0.1:{port}", ca_file=str(authority.ca_file))
            return await looked("https://bacheca.example.org", way)

    seen = await through("bacheca.example.org")
    assert (seen.why, seen.time) == (None, 1795259400)
    assert abs(seen.until - time.time() - 30 * DAY) < 100
    assert (await through("bacheca.example.org", days=-0.5)).why == "certificate-expired"
    assert (await through("altra.example.org")).why == "certificate"
    assert (await through("bacheca.example.org", password="u:p")).why == "proxy-password"
    assert (await through("bacheca.example.org", password="u:p", given="u:p@")).why is None
    nobody = HttpConfig(proxy=f"http://127.0.0.1:{free_port()}")
    assert (await looked("https://bacheca.example.org", nobody)).why == "proxy"


def test_who_does_not_answer_in_time_is_silent_and_holds_nobody_up():
    release = []

    def never():
        while not release:
            time.sleep(0.01)
        return Seen()

    found = probe.together({"lento": never, "pronto": lambda: Seen(time=1)}, Seen("silent"), seconds=0.2)
    release.append(True)
    assert found == {"lento": Seen("silent"), "pronto": Seen(time=1)}


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("why", probe.Why.__args__)
def test_everything_that_can_be_wrong_with_a_server_has_words_and_a_remedy(why, own):
    found = ask(doctor_network.server("bacheca", "https://x.example", Seen(why), NOW, missed="fail", own=own))
    assert found.grade == "fail" and found.text.startswith("https://x.example: ") and len(found.text) > 30


def test_a_certificate_is_to_be_renewed_before_it_ends():
    def graded(days):
        seen = Seen(time=NOW, until=NOW + days * DAY)
        return ask(doctor_network.server("bacheca", "https://x.example", seen, NOW, missed="fail")).grade

    assert (graded(15), graded(14), graded(0)) == ("ok", "warn", "warn")


def test_the_clock_is_compared_with_the_median_of_who_answered():
    seen = {"a": Seen(time=NOW), "b": Seen(time=NOW - 400), "c": Seen(time=NOW + 2), "d": Seen("silent")}
    assert doctor_network.offset(seen, NOW) == 0
    assert doctor_network.offset({"d": Seen("silent")}, NOW) is None


# -- what ages


def test_the_list_of_members_ages_by_the_networks_own_days():
    def graded(at):
        return ask(doctor_network.list_age(NOW, 30, at)).grade

    assert [graded(NOW + days * DAY) for days in (-3, 0, 1, 30, 31)] == ["ok", "ok", "warn", "warn", "fail"]


def test_keys_past_their_time_are_said():
    def graded(sign, seal, state="current"):
        held = [KeyEntry("sign", "k", "current", NOW - sign * DAY), KeyEntry("seal", "l", state, NOW - seal * DAY)]
        return ask(doctor_network.key_ages(lambda: held, lambda: NOW)).grade

    assert (graded(365, 90), graded(366, 0), graded(0, 91)) == ("ok", "warn", "warn")
    assert graded(0, 400, "old") == "ok", "an old key waits for what is still sealed to it"


def test_post_that_does_not_leave_is_said():
    assert ask(doctor_network.queue_age(0, None, NOW)).grade == "ok"
    assert ask(doctor_network.queue_age(3, NOW - DAY, NOW)).grade == "ok"
    assert ask(doctor_network.queue_age(3, NOW - DAY - 1, NOW)).grade == "warn"
