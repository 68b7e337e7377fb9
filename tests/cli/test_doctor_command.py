"""doctor as a person runs it: before joining, with the program stopped, with a network that does not answer."""

import json
import socket

from node.runtime import probe
from node.runtime.probe import Seen
from tests.cli.town import Node, Town, run


def findings(node, *words, ok=False):
    done = node("doctor", "--json", *words, ok=ok)
    found = json.loads(done.stdout)
    assert done.exit_code == (1 if any(one["grade"] == "fail" for one in found) else 0)
    assert [one["name"] for one in found if one["grade"] != "ok" and not one["advice"]] == [], "what to do next"
    return {one["name"]: one for one in found}


def test_before_joining_it_says_what_comes_next(tmp_path):
    found = findings(Node(tmp_path, "nuovo"), "--offline")
    assert found["iscrizione"]["grade"] == "warn" and "join" in found["iscrizione"]["advice"]
    assert found["programma"]["grade"] == found["porte"]["grade"] == "ok"


def test_with_the_program_stopped_everything_is_still_asked(tmp_path, monkeypatch):
    asked = []

    def look_all(urls, _):
        asked.extend(urls)
        return {url: Seen(time=None, why="silent") for url in urls}

    monkeypatch.setattr(probe, "look_all", look_all)
    town = Town(tmp_path, "comune-tavullia")
    found = findings(town["comune-tavullia"])
    assert set(asked) >= {"https://comune-tavullia.example"}
    assert found["bacheca"]["grade"] == "fail", "nobody else answers either"
    assert found["indirizzo pubblico"]["grade"] == "warn", "from inside it may not be visible"
    assert {"elenco", "coda", "età delle chiavi", "autorità", "proxy", "orologio", "disco", "copie"} <= set(found)


def test_offline_calls_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: (_ for _ in ()).throw(AssertionError("called out")))
    town = Town(tmp_path, "comune-tavullia")
    found = findings(town["comune-tavullia"], "--offline")
    assert not {"bacheca", "indirizzo pubblico", "proxy"} & set(found)


def test_a_configuration_that_cannot_be_read_hides_nothing_else(tmp_path):
    node = Node(tmp_path, "nuovo")
    (node.dir / "raccordo.toml").write_text("dati = 1\n")
    found = findings(node, "--offline")
    assert found["configurazione"]["grade"] == "fail" and found["disco"]["grade"] == "ok"


def test_it_says_so_in_english_where_asked(tmp_path, monkeypatch):
    node = Node(tmp_path, "nuovo")
    monkeypatch.setenv("RACCORDO_LANG", "en")
    assert "Ask the lead body for the invitation" in node("doctor", "--offline", ok=False).stdout.replace(
        "\n     ", " "
    )


def test_both_programs_say_their_version():
    from click.testing import CliRunner

    from node.runtime.version import VERSION
    from registry.cli import main

    assert run("--version").stdout == f"raccordo-node {VERSION}\n"
    assert CliRunner().invoke(main, ["--version"]).output == f"raccordo-registry {VERSION}\n"
