"""The capofila's command line: founding in twelve questions, the guarantor's other PC, a second network from a file."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from node.runtime.clock import SystemClock
from node.runtime.config import RegistryConfig, load_config
from node.runtime.dice import SeededDice, SystemDice
from node.runtime.platform import readable_by_others
from protocol.strict import digest
from protocol.suite import S1
from registry.cli import main
from registry.engine import RegistryEngine
from registry.opening import open_keys, open_store
from registry.talking import PROMPTS_MAX
from schemas.membership import Invitation, ProtocolVersion
from tests.registry.world import PROTOCOLLO, Body


class Shell:
    """Runs commands as a person would, in a directory of their own."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(path)
        self.path = path

    def run(self, *args: str, input: str | None = None, code: int = 0):  # noqa: A002
        result = CliRunner().invoke(main, [str(arg) for arg in args], input=input)
        assert result.exit_code == code, (args, result.output, result.stderr, result.exception)
        return result

    def json(self, *args: str, **more: object):
        return json.loads(self.run("--json", *args, **more).stdout)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    (tmp_path / "protocollo.pdf").write_bytes(PROTOCOLLO)
    return Shell(tmp_path, monkeypatch)


def answers(path: Path, *, name: str = "Ambito 1", pilot: bool = False, **more: str) -> Path:
    lines = [
        "[network]", f'name = "{name}"', 'id = "bacheca"', 'urls = ["https://bacheca.example"]',
        'guarantors = ["Ente capofila", "Distretto", "Terzo settore"]', f"pilot = {str(pilot).lower()}",
        'protocollo = "protocollo.pdf"', *(f"{key} = {value}" for key, value in more.items()),
    ]  # fmt: skip
    path.write_text("\n".join(lines))
    return path


def request(shell: Shell, invitation: Path, node: str, **more: object) -> bytes:
    """What a node would post."""
    made = msgspec.json.decode(invitation.read_bytes(), type=Invitation)
    body = Body(made.net, node, SeededDice(sum(node.encode())))
    return body.request(ProtocolVersion("1", digest(PROTOCOLLO)), int(time.time()), made.code, **more)


def post_join(shell: Shell, raw: bytes) -> str:

    config = load_config(shell.path / "bacheca" / "raccordo.toml", RegistryConfig)
    store = open_store(config)
    try:
        engine = RegistryEngine(suite=S1, clock=SystemClock(), dice=SystemDice(), keystore=open_keys(config))
        prepared = store.read(lambda db: engine.prepare_join(db, raw))
        return store.run(lambda tx: engine.join(tx, prepared)).ref
    finally:
        store.close()


def test_init_takes_at_most_twelve_questions(shell, monkeypatch):
    asked = []
    for kind in ("prompt", "confirm"):
        real = getattr(click, kind)
        monkeypatch.setattr(
            click, kind, lambda text, *a, _real=real, **k: (asked.append(text), _real(text, *a, **k))[1]
        )
    given = ["Ambito di prova", "bacheca", "https://bacheca.example", "n", "Ente capofila; Distretto; Terzo settore",
             "2", "1", "chiavetta", "protocollo.pdf", "8080", "sì"]  # fmt: skip
    result = shell.run("init", input="\n".join(given) + "\n")
    assert len(given) == len(asked) <= PROMPTS_MAX
    keys = sorted(path.name for path in (shell.path / "chiavetta").glob("*.chiave.json"))
    assert keys == ["distretto.chiave.json", "ente-capofila.chiave.json", "terzo-settore.chiave.json"]
    assert not any(readable_by_others(path) for path in (shell.path / "chiavetta").iterdir())
    server = b"".join(path.read_bytes() for path in (shell.path / "bacheca").iterdir() if path.is_file())
    for path in (shell.path / "chiavetta").glob("*.chiave.json"):
        assert json.loads(path.read_bytes())["seed"].encode() not in server
    assert "Identificativo della rete" in result.stdout
    assert "RETE PILOTA" not in result.output


def test_a_pilot_says_so_in_every_output(shell):
    shell.run("init", "--answers", answers(shell.path / "a.toml", pilot=True), "--key-dir", "k")
    sheet = next((shell.path / "k").glob("*.foglio.txt")).read_text()
    assert "RETE PILOTA" in sheet
    for args in (["members"], ["protocols"], ["pending"], ["invite", "comune-gradara"], ["root", "show"], ["map"]):
        assert "RETE PILOTA" in shell.run(*args).output, args
    assert shell.json("members")["pilot"] is True


@pytest.mark.feature("F000-46")
def test_export_approve_on_another_pc_admit(shell, tmp_path_factory):
    shell.run("init", "--answers", answers(shell.path / "a.toml"), "--key-dir", "chiavetta")
    net = shell.json("root", "show") and shell.json("members")["net"]
    shell.run("invite", "comune-tavullia", "--out", "invito.json")
    assert not readable_by_others(shell.path / "invito.json")
    ref = post_join(shell, request(shell, shell.path / "invito.json", "comune-tavullia", caps=["take-in-charge"]))
    waiting = shell.json("pending")
    assert [row["ref"] for row in waiting] == [ref] and len(waiting[0]["words"].split()) == 8
    shell.run("pending", "--export", "richieste.json")
    other = tmp_path_factory.mktemp("altro-pc")
    (other / "richieste.json").write_bytes((shell.path / "richieste.json").read_bytes())
    (other / "k.json").write_bytes((shell.path / "chiavetta" / "distretto.chiave.json").read_bytes())
    os.chdir(other)
    read = CliRunner().invoke(main, ["approve", "richieste.json", "--key", "k.json", "--net", net], input="n\n")
    assert read.exit_code == 1 and "Comune" not in read.stdout and waiting[0]["words"] in read.stderr
    assert "potrà: prendere in carico (take-in-charge)" in read.stderr
    shell.run("approve", "richieste.json", "--key", "k.json", "--net", net, "--yes", "--out", "ok.json")
    wrong = shell.run("--json", "approve", "richieste.json", "--key", "k.json", "--net", "A" * 43, "--yes", code=1)
    assert json.loads(wrong.stdout)["code"] == "wrong-network"
    assert sorted(path.name for path in other.iterdir()) == ["k.json", "ok.json", "richieste.json"]
    os.chdir(shell.path)
    assert shell.json("admit", str(other / "ok.json"))["nodes"] == ["comune-tavullia"]
    assert shell.json("admit", str(other / "ok.json"))["nodes"] == []
    assert [row["node"] for row in shell.json("members")["members"]] == ["comune-tavullia"]


def test_the_real_ceremony_keeps_guarantors_keys_off_the_server(shell, tmp_path_factory):
    sticks = {}
    for name in ("Ente capofila", "Distretto", "Terzo settore"):
        sticks[name] = tmp_path_factory.mktemp("stick")
        shell.run("root", "key", name, "--out", sticks[name], "--network", "Ambito 1")
    public = shell.path / "pubbliche"
    public.mkdir()
    for stick in sticks.values():
        file = next(stick.glob("*.pub"))
        (public / file.name).write_bytes(file.read_bytes())
    done = shell.json("init", "--answers", answers(shell.path / "a.toml"), "--key-dir", public)
    assert (done["installed"], done["keys"]) == (False, [])
    assert (
        shell.run("--json", "serve", code=1).stdout
        and json.loads(shell.run("--json", "members", code=1).stdout)["code"]
    )
    signatures = []
    for name in ("Distretto", "Terzo settore"):
        key = next(sticks[name].glob("*.chiave.json"))
        out = sticks[name] / "firma.json"
        shell.run("root", "sign", done["draft"], "--key", key, "--out", out)
        signatures.append(out)
        if len(signatures) == 1:
            refused = shell.run("--json", "root", "install", out, code=1)
            assert json.loads(refused.stdout)["code"] == "threshold"
    assert shell.json("root", "install", *signatures)["n"] == 1
    findings = {row["name"]: row["grade"] for row in shell.json("doctor")["checks"]}
    assert findings["garanti"] == "ok" and findings["chiavi"] == "ok"


def test_everything_doctor_finds_wrong_comes_with_what_to_do(shell):
    from registry import checks

    assert checks.REMEDIES.keys() == checks.WHAT_ENDS.keys() and all(checks.REMEDIES.values())
    shell.run("init", "--answers", answers(shell.path / "a.toml"), "--key-dir", "chiavetta")
    found = json.loads(shell.run("--json", "doctor", code=1).stdout)["checks"]
    assert [one["name"] for one in found if one["grade"] != "ok" and not one["advice"]] == []
    assert {"programma", "porte", "indirizzo pubblico"} <= {one["name"] for one in found}
    quiet = json.loads(shell.run("--json", "doctor", "--offline", code=1).stdout)["checks"]
    assert "indirizzo pubblico" not in {one["name"] for one in quiet}


def test_doctor_finds_guarantors_keys_left_on_the_server(shell):
    shell.run("init", "--answers", answers(shell.path / "a.toml"), "--key-dir", "chiavetta")
    found = {row["name"]: row for row in json.loads(shell.run("--json", "doctor", code=1).stdout)["checks"]}
    assert found["garanti"]["grade"] == "fail" and "chiave.json" in found["garanti"]["text"]
    for path in (shell.path / "chiavetta").iterdir():
        path.unlink()
    assert {row["name"]: row["grade"] for row in shell.json("doctor")["checks"]}["garanti"] == "ok"


def test_a_key_typed_from_its_sheet_is_the_same_key(shell):
    shell.run("root", "key", "Distretto", "--out", "k")
    sheet = (shell.path / "k" / "distretto.foglio.txt").read_text()
    lines = re.findall(r"\d\)  ((?:[A-Z2-7]{4} ?){4})", sheet)
    shell.run("root", "restore", "Distretto", "--out", "rifatta.json", input="\n".join(lines).lower() + "\n")
    assert json.loads((shell.path / "rifatta.json").read_bytes()) == json.loads(
        (shell.path / "k" / "distretto.chiave.json").read_bytes()
    )
    lines[2] = lines[2][:-1] + ("A" if lines[2][-1] != "A" else "B")
    wrong = shell.run("--json", "root", "restore", "D", "--out", "x.json", input="\n".join(lines) + "\n", code=1)
    assert '"field":"line 3"' in wrong.stdout.splitlines()[-1]


@pytest.mark.feature("F001-01")
def test_a_second_network_with_five_comuni_runs_from_a_file_alone(shell):
    names = ["Caltagirone", "Grammichele", "Licodia", "Mineo", "Vizzini"]
    rows = ["istat_code,name,lat,lon"] + [f"08701{n},{name},37.{n},14.{n}" for n, name in enumerate(names)]
    (shell.path / "comuni.csv").write_text("\n".join(rows))
    file = answers(shell.path / "b.toml", name="Piano di zona D/39", comuni='"comuni.csv"')
    done = shell.json("--dir", "seconda", "init", "--answers", file, "--key-dir", "k2")
    first = shell.json("init", "--answers", answers(shell.path / "a.toml"), "--key-dir", "k1")
    assert done["net"] != first["net"]
    assert shell.json("--dir", "seconda", "members")["network"] == "Piano di zona D/39"

    config = load_config(shell.path / "seconda" / "raccordo.toml", RegistryConfig)
    store = open_store(config)
    engine = RegistryEngine(suite=S1, clock=SystemClock(), dice=SystemDice(), keystore=open_keys(config))
    comuni = store.read(engine.membership).doc.comuni
    store.close()
    assert [row["name"] for row in comuni] == names


def test_protocols_are_kept_with_hash_and_given_back(shell):
    shell.run("init", "--answers", answers(shell.path / "a.toml"), "--key-dir", "k")
    (shell.path / "nuovo.pdf").write_bytes(b"%PDF versione due")
    assert shell.json("protocols", "--add", "nuovo.pdf", "--version", "2")["hash"] == digest(b"%PDF versione due")
    rows = shell.json("protocols")
    assert [(row["version"], row["hash"]) for row in rows] == [
        ("1", digest(PROTOCOLLO)), ("2", digest(b"%PDF versione due")),
    ]  # fmt: skip
    shell.run("protocols", "--get", "--version", "1", "--out", "copia.pdf")
    assert (shell.path / "copia.pdf").read_bytes() == PROTOCOLLO


def test_wrong_use_explains_what_to_do(shell):
    assert "Forse «invite»?" in shell.run("invit", code=2).stderr
    assert "--help" in shell.run("suspend", code=2).stderr
    assert "--version" in shell.run("protocols", "--get", code=2).stderr
    refused = shell.run("members", code=1)
    assert "Cosa fare" in refused.stderr and "config-missing" in refused.stderr
    shell.run("init", "--answers", answers(shell.path / "a.toml"), "--key-dir", "k")
    again = shell.run("init", "--answers", shell.path / "a.toml", "--key-dir", "k3", code=1)
    assert "keys-exist" in again.stderr
    assert not (shell.path / "k3").exists()
    inside = shell.run("--dir", "altra", "init", "--answers", shell.path / "a.toml", "--key-dir", "altra/k", code=1)
    assert "config-invalid" in inside.stderr
    assert "già" in shell.run("init", code=1).stderr.splitlines()[0]  # before any question
    (shell.path / "bad.toml").write_text('[network]\nname = "x"\nwhat = 1\n')
    assert "config-invalid" in shell.run("init", "--answers", "bad.toml", code=1).stderr


@pytest.mark.feature("F004-27")
def test_one_delegation_writes_an_invitation_for_each_of_nine_comuni(shell):
    shell.run("init", "--answers", answers(shell.path / "a.toml"), "--key-dir", "chiavetta")
    shell.run("invite", "comune-pesaro", "--out", "pesaro.json")
    post_join(shell, request(shell, shell.path / "pesaro.json", "comune-pesaro"))
    approve(shell)
    nodes = [f"comune-{n}" for n in ("gabicce", "gradara", "mombaroccio", "monteciccardo", "montelabbate",
                                     "santangelo", "tavullia", "colbordolo")]  # fmt: skip
    files = shell.json("delegate", *nodes, "--by", "comune-pesaro", "--out-dir", "inviti")["files"]
    for node, file in zip(nodes, files, strict=True):
        post_join(shell, request(shell, shell.path / file, node))
    assert {row["delegated_by"] for row in shell.json("pending")} == {"comune-pesaro"}
    approve(shell)
    rows = shell.json("members")["members"]
    assert len(rows) == 9
    assert [row["delegated_by"] for row in rows if row["node"] != "comune-pesaro"] == ["comune-pesaro"] * 8
    refused = shell.run("--json", "delegate", "comune-x", "--by", "comune-gradar", code=1)
    assert json.loads(refused.stdout)["code"] == "not-a-member"


def approve(shell: Shell) -> None:
    for name in ("richieste.json", "ok.json"):
        (shell.path / name).unlink(missing_ok=True)
    shell.run("pending", "--export", "richieste.json")
    key = shell.path / "chiavetta" / "distretto.chiave.json"
    shell.run("approve", "richieste.json", "--key", key, "--yes", "--out", "ok.json")
    shell.run("admit", "ok.json")


def test_commands_reach_the_running_process(shell):
    shell.run("init", "--answers", answers(shell.path / "a.toml", pilot=True), "--key-dir", "k", "--port", "0")
    process = subprocess.Popen(
        [sys.executable, "-m", "registry.cli", "--json", "serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        state = json.loads(process.stdout.readline())
        assert state["pilot"] and urllib.request.urlopen(f"{state['url']}/v1/health").status == 200
        shell.run("invite", "comune-tavullia", "--out", "invito.json")
        raw = request(shell, shell.path / "invito.json", "comune-tavullia")
        joined = urllib.request.urlopen(urllib.request.Request(f"{state['url']}/v1/join", raw, method="POST"))
        ref = json.loads(joined.read())["ref"]
        shell.run("pending", "--export", "richieste.json")
        key = next((shell.path / "k").glob("*.chiave.json"))
        marked = shell.run("approve", "richieste.json", "--key", key, "--yes", "--out", "ok.json")
        assert "RETE PILOTA" in marked.output
        assert shell.json("admit", "ok.json")["nodes"] == ["comune-tavullia"]
        answer = urllib.request.urlopen(f"{state['url']}/v1/join/{ref}")
        assert json.loads(answer.read())["state"] == "admitted"
        assert json.loads(shell.run("--json", "suspend", "nessuno", code=1).stdout)["code"] == "not-a-member"
        findings = {row["name"]: row["grade"] for row in shell.json("doctor")["checks"]}
        assert findings["processo"] == "ok"
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 0 and "RETE PILOTA" in said
    assert not (shell.path / "bacheca" / "local.json").exists()


@pytest.mark.feature("F004-12")
def test_members_lists_each_body_with_its_state_protocollo_and_what_ends(shell):
    shell.run("init", "--answers", answers(shell.path / "a.toml"), "--key-dir", "chiavetta")
    for node in ("comune-pesaro", "comune-gradara"):
        shell.run("invite", node, "--out", f"{node}.json")
        post_join(shell, request(shell, shell.path / f"{node}.json", node))
    approve(shell)
    (shell.path / "nuovo.pdf").write_bytes(b"%PDF versione due")
    shell.run("protocols", "--add", "nuovo.pdf", "--version", "2")
    shell.run("suspend", "comune-gradara")
    held = shell.json("members")
    assert {row["node"]: (row["status"], row["outdated"]) for row in held["members"]} == {
        "comune-pesaro": ("active", True), "comune-gradara": ("suspended", True),
    }  # fmt: skip
    shown = shell.run("members").stdout
    assert "sospeso" in shown and "ATTENZIONE: comune-pesaro ha accettato il protocollo 1" in shown
    assert all(len(text) <= 80 for text in shown.splitlines() if not text.startswith("ATTENZIONE"))
    shell.run("end", "comune-gradara")
    assert shell.json("members")["members"][0]["status"] == "ended"


def test_a_wrong_answer_is_said_and_asked_again_and_leaves_nothing_half_founded(shell):
    given = ["Rete di prova", "Bacheca Prova", "bacheca", "bacheca", "https://bacheca.example", "forse", "s",
             "chiavetta", "manca.pdf", "protocollo.pdf", "ottomila", "8080", "sì"]  # fmt: skip
    result = shell.run("init", input="\n".join(given) + "\n")
    for complaint in (
        "Solo lettere minuscole", "Serve l'indirizzo intero", "Rispondere s oppure n", "«manca.pdf» non si trova",
        "Serve un numero da 0 a 65535",
    ):  # fmt: skip
        assert complaint in result.stderr, complaint
    assert "Error" not in result.stderr and "[y/n" not in result.stderr.lower()
    assert shell.json("members")["pilot"] is True
    stopped = shell.run("--dir", "altra", "init", input="Rete\n", code=1)
    assert "Interrotto." in stopped.stderr and not (shell.path / "altra").exists()


def test_the_wrong_file_is_named_with_the_right_one(shell):
    shell.run("init", "--answers", answers(shell.path / "a.toml"), "--key-dir", "k")
    shell.run("invite", "comune-tavullia", "--out", "invito.json")
    post_join(shell, request(shell, shell.path / "invito.json", "comune-tavullia"))
    shell.run("pending", "--export", "richieste.json")
    assert "file-exists" in shell.run("pending", "--export", "richieste.json", code=1).stderr
    key = shell.path / "k" / "distretto.chiave.json"
    shell.run("root", "key", "Estraneo", "--out", "k2")
    for args, said in (
        (["admit", "richieste.json"], "Atteso: il file scritto da «approve»"),
        (["admit", "protocollo.pdf"], "Atteso: il file scritto da «approve»"),
        (["approve", "protocollo.pdf", "--key", key], "Atteso: il file scritto da «pending --export»"),
        (["approve", "richieste.json", "--key", "invito.json"], "Atteso: la chiave di un garante"),
        (["approve", "richieste.json", "--key", "k/distretto.pub"], "Atteso: la chiave di un garante"),
        (["approve", "richieste.json", "--key", "k2/estraneo.chiave.json"], "non è di un garante di questa rete"),
        (["root", "install", "richieste.json"], "Atteso: le firme scritte da «root sign»"),
        (["root", "sign", "invito.json", "--key", key], "Atteso: la bozza scritta da"),
    ):
        assert said in shell.run(*args, code=1).stderr, args
    assert "il file «manca.json» non si trova" in shell.run("admit", "manca.json", code=2).stderr


ENGLISH = re.compile(r"\b(Usage|Options|Commands|Show this|Error|required|TEXT|INTEGER|DIRECTORY|default)\b")


def every_command(group=main, path=()):
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))


@pytest.mark.parametrize("path", [(), *every_command()], ids=" ".join)
def test_every_command_has_an_italian_help_within_eighty_columns(shell, path):
    text = shell.run(*path, "--help").stdout
    assert text.startswith("Uso: ") and "Mostra questo aiuto." in text
    assert not ENGLISH.search(text), ENGLISH.search(text)
    assert max(map(len, text.splitlines())) <= 80 and "..." not in text


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (PermissionError(13, "denied", "bacheca"), "no-permission"),
        (FileNotFoundError(2, "none", "bacheca"), "file-missing"),
        (OSError(28, "full", "bacheca"), "disk-full"),
        (OSError(5, "io", "bacheca"), "file-unusable"),
    ],
)
def test_what_the_system_refuses_is_said_without_a_traceback(shell, monkeypatch, fault, code):
    def refuse(*_, **__):
        raise fault

    monkeypatch.setattr("registry.cli.read_file", refuse)
    refused = shell.run("admit", "protocollo.pdf", code=1)
    assert f"Codice: {code}" in refused.stderr and "Dove: bacheca" in refused.stderr
