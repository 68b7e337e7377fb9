"""The real programs as processes, a registry and two bodies, with the commands a person types: keys, a loss, leaving."""

import json
import shutil
import zipfile
from base64 import b64decode

import msgspec
import pytest

from deploy.demo.cast import cast
from deploy.demo.network import Network
from deploy.demo.processes import Program, until
from deploy.demo.telling import Teller
from node import enrolment
from node.runtime.clock import SystemClock
from node.runtime.dice import SystemDice
from protocol.errors import ProtocolError
from protocol.suite import S1
from tests.exchange.desks import offer as an_offer

T, D = "comune-tavullia", "distretto"
ROLES = {"RESP": "RL-RESP", "AS": "RL-ASSOC"}


class Town(Network):
    """A network whose bodies deposited an emergency key."""

    def __init__(self, root):
        actors = [actor for actor in cast(everybody=False) if actor.node in (T, D)]
        super().__init__(root, actors, Teller())
        self.invitations = {}

    def begin(self):
        self.found()
        self.start_nodes()
        for node in self.nodes:
            self.admit(node, self.join(node, self.invite(node)))
            self.hire(node)
        for node in self.nodes:
            until(f"{node} vede tutti", lambda node=node: self.synced(node) and len(self.members(node)) == 2)

    def invite(self, node, command="invite"):
        request = {"node": node, "name": node} if command == "invite" else {"node": node}
        made = self.ask_registry(command, request)
        path = self.root / f"invito-{node}-{command}.json"
        path.write_bytes(msgspec.json.encode(made))
        self.invitations[node] = path
        return path

    def join(self, node, invitation):
        actor, key = self.actors[node], self.root / f"emergenza-{node}.json"
        if not key.exists():
            self.cli(node, "keys", "emergency", "--out", key)
        port = self.ports.get(node)
        url = ["--url", f"http://127.0.0.1:{port}"] if port else []
        caps = [word for cap in actor.capabilities for word in ("--cap", cap)]
        relays = [word for relay in ("bacheca", D) if relay != node for word in ("--relay", relay)]
        version = self.ask_registry("protocols")[-1]
        shown = self.cli(
            node, "join", invitation, "--name", actor.name, "--type", actor.ptype, "--emergency", key, *caps, *url,
            *relays, "--territory", actor.territory[0], "--protocol-version", version["version"],
            "--protocol-hash", version["hash"], "--json",
        )  # fmt: skip
        return json.loads(shown)

    def admit(self, node, joining):
        (row,) = self.ask_registry("pending")
        assert row["node"] == node and joining["node"] == node
        export, out = self.root / f"{row['ref']}.json", self.root / f"{row['ref']}.firma.json"
        self.registry.run("pending", "--export", str(export))
        self.registry.run("approve", str(export), "--key", str(self.key_files()[0]), "--out", str(out), "--yes")
        self.registry.run("admit", str(out))
        until(f"{node} dentro la rete", lambda: self._joined(node))

    def hire(self, node):
        for code, role in ROLES.items():
            self.ask(node, "operator-add", {"code": code, "role": role})

    def cli(self, node, *words, ok=(0,)):
        return self.nodes[node].run(*map(str, words), ok=ok)

    def synced(self, node):
        self.ask(node, "sync")
        return True

    def members(self, node):
        return {row["node"]: row for row in self.ask(node, "members")["members"]}

    def refer(self, by, to):
        return self.ask(by, "refer", {"to": to, "as_": "AS", "offer": msgspec.to_builtins(an_offer())})["leg"]

    def state(self, node, leg):
        rows = {row["leg"]: row["state"] for row in self.ask(node, "cases", {"all_": True})}
        return rows.get(leg)

    def reaches(self, node, leg, state):
        until(f"{leg} {state} presso {node}", lambda: self.synced(node) and self.state(node, leg) == state)

    def own(self, node):
        return self.ask(node, "own-keys")

    def settled(self, node):
        """What was stated is in the list."""
        until(f"le chiavi di {node}", lambda: self.synced(node) and self.own(node)["waiting"] is None)

    def refused(self, node, command, request):
        with pytest.raises(ProtocolError) as error:
            self.ask(node, command, request)
        return error.value.code

    def new_machine(self, node):
        """What there was is gone; another computer, the same id and address."""
        self.nodes[node].kill()
        shutil.rmtree(self.root / node)
        port = self.ports.get(node, 0)
        request = enrolment.Init(
            id=node, listen_host="127.0.0.1" if port else None, listen_port=port, plain_http_loopback=True
        )
        enrolment.init(self.root / node, request, clock=SystemClock(), dice=SystemDice(), suite=S1)
        self._one_address(self.root / node)
        self.nodes[node].start()
        self.hire(node)


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    town = Town(tmp_path_factory.mktemp("rete"))
    try:
        town.begin()
        yield town
    finally:
        town.stop()


pytestmark = pytest.mark.xdist_group("processes")


@pytest.mark.parametrize("command", ["rotate", "compromised"])
def test_keys_change_while_the_other_office_is_switched_off_and_what_was_under_way_arrives(town, command):
    there = town.refer(D, T)
    town.reaches(T, there, "offered")
    town.nodes[D].stop()
    leg = town.refer(T, D)
    before = town.own(T)["words"]
    assert "keys confirm" not in town.cli(T, "keys", command, "--as", "RESP")
    town.settled(T)
    assert town.own(T)["words"] != before
    town.ask(T, "act", {"leg": there, "ev": "accept", "as_": "AS"})
    town.nodes[D].start()
    town.reaches(D, leg, "offered")
    town.reaches(D, there, "accepted")
    town.ask(D, "act", {"leg": leg, "ev": "accept", "as_": "AS"})
    town.reaches(T, leg, "accepted")
    kinds = [key["state"] for key in town.ask(T, "keys") if key["use"] == "sign"]
    assert kinds.count("current") == 1 and "next" not in kinds
    for node in (T, D):
        assert {alarm["code"] for alarm in town.ask(node, "alarms")} <= {"not-stored"}


def test_a_lost_computer_comes_back_by_the_emergency_key_and_the_other_office_confirms(town):
    town.new_machine(T)
    shown = town.cli(T, "keys", "recover", town.invitations[T], "--key", town.root / f"emergenza-{T}.json")
    assert "Otto parole" in shown
    town.settled(T)
    until(
        "l'avviso al distretto", lambda: town.synced(D) and any(a["code"] == "key-new" for a in town.ask(D, "alarms"))
    )
    wish = {"to": T, "as_": "AS", "offer": msgspec.to_builtins(an_offer())}
    assert town.refused(D, "refer", wish) == "key-unconfirmed"
    assert "DA CONFERMARE" in town.cli(D, "keys")
    wrong = "amaca partita civetta museo energia borea tema carciofo"
    assert "Codice: words-differ" in _refusal(town, D, "keys", "confirm", T, "--words", wrong, "--as", "AS")
    words = town.own(T)["words"]  # read over the telephone
    town.cli(D, "keys", "confirm", T, "--words", words, "--as", "AS")
    assert "confermata da AS" in " ".join(town.cli(D, "keys").split())
    leg = town.refer(D, T)
    town.reaches(T, leg, "offered")
    town.ask(T, "act", {"leg": leg, "ev": "accept", "as_": "AS"})
    town.reaches(D, leg, "accepted")


def test_without_that_key_two_guarantors_put_a_new_one_in_its_place(town):
    town.new_machine(T)
    request = town.root / "richiesta.json"
    town.cli(T, "keys", "recover", town.invitations[T], "--request", request)
    elsewhere = Program("registry.cli", town.root)
    one, two = town.root / "una.json", town.root / "due.json"
    elsewhere.run("recovery", str(request), "--key", str(town.key_files()[0]), "--out", str(one), "--yes")
    assert "Codice: threshold" in _refusal(town, T, "keys", "recover", "--signed", one)
    elsewhere.run("recovery", str(one), "--key", str(town.key_files()[1]), "--out", str(two), "--yes")
    town.cli(T, "keys", "recover", "--signed", two)
    town.settled(T)
    until("l'elenco al distretto", lambda: town.synced(D) and town.ask(D, "peer-keys")[0]["confirmed"] is None)
    town.cli(D, "keys", "confirm", T, "--words", town.own(T)["words"], "--as", "AS")
    leg = town.refer(D, T)
    town.reaches(T, leg, "offered")


@pytest.mark.feature("F004-19")
def test_suspended_it_is_refused_and_admitted_again_under_another_key_it_goes_on(town):
    leg = town.refer(T, D)
    town.reaches(D, leg, "offered")
    town.registry.run("suspend", T)
    until("il distretto lo sa", lambda: town.synced(D) and town.members(D)[T]["status"] == "suspended")
    wish = {"to": T, "as_": "AS", "offer": msgspec.to_builtins(an_offer())}
    assert town.refused(D, "refer", wish) == "suspended"
    until("Tavullia lo sa", lambda: town.synced(T) and town.members(T)[T]["status"] == "suspended")
    before = town.own(T)["words"]
    town.admit(T, town.join(T, town.invite(T, "readmit")))
    until("di nuovo attiva", lambda: town.synced(T) and town.members(T)[T]["status"] == "active")
    until("con un'altra chiave", lambda: town.own(T)["words"] != before and town.own(T)["next_words"] is None)
    until("il distretto lo sa", lambda: town.synced(D) and town.members(D)[T]["status"] == "active")
    assert town.refused(D, "act", {"leg": leg, "ev": "accept", "as_": "AS"}) == "key-unconfirmed"
    town.cli(D, "keys", "confirm", T, "--words", town.own(T)["words"], "--as", "AS")
    town.ask(D, "act", {"leg": leg, "ev": "accept", "as_": "AS"})
    town.reaches(T, leg, "accepted")


@pytest.mark.feature("F004-19", "F004-28")
def test_leaving_with_everything_and_the_others_see_it_and_end_what_was_open(town):
    leg = town.refer(D, T)
    town.reaches(T, leg, "offered")
    town.ask(T, "act", {"leg": leg, "ev": "accept", "as_": "AS"})
    town.reaches(D, leg, "accepted")
    out, sealed, back = (town.root / name for name in ("tutto.zip", "tutto.cifrato", "aperto.zip"))
    assert "Codice: role-forbidden" in _refusal(town, T, "export", "--out", out, "--as", "AS")
    assert not out.exists()
    assert "NON è cifrato" in town.cli(T, "export", "--out", out, "--as", "RESP")
    secret = town.root / "frase.txt"
    secret.touch(0o600)
    secret.write_text("una frase lunga abbastanza\n")
    town.cli(T, "export", "--out", sealed, "--as", "RESP", "--passphrase-file", secret)
    town.cli(T, "export", "--out", back, "--open", sealed, "--passphrase-file", secret)
    with zipfile.ZipFile(out) as one, zipfile.ZipFile(back) as two:
        assert one.testzip() is None and one.namelist() == two.namelist()
        case = json.loads(one.read(f"casi/{leg}.json"))
        assert case["events"][0]["body"]["offer"]["person"]["family_name"] == "Inventata"
        assert len(b64decode(case["events"][0]["salt"])) == 32
        whole = b"".join(one.read(name) for name in one.namelist())
        seeds = json.loads((town.root / T / "chiavi.json").read_bytes())["ring"]
        assert (
            not [key for key in seeds["keys"] if key["seed"].encode() in whole] and seeds["vault"].encode() not in whole
        )
    assert b"Inventata" not in sealed.read_bytes()

    assert "Codice: still-open" in _refusal(town, T, "leave", "--as", "RESP", "--yes", T)
    town.cli(T, "leave", "--as", "RESP", "--yes", T, "--anyway")
    until("il distretto lo vede", lambda: town.synced(D) and town.members(D)[T]["status"] == "ended")
    assert "member-left" in {alarm["code"] for alarm in town.ask(D, "alarms")}
    assert (
        town.refused(D, "refer", {"to": T, "as_": "AS", "offer": msgspec.to_builtins(an_offer())})
        == "unknown-recipient"
    )
    done = town.ask(D, "act", {"leg": leg, "ev": "lapse", "reason": "left-network", "as_": "AS"})
    assert done["state"] == "lapsed"
    (line,) = [row for row in town.ask(D, "cases", {"all_": True}) if row["leg"] == leg]
    assert line["final"]


def _refusal(town, node, *words):
    import subprocess
    import sys

    line = [sys.executable, "-m", "node.cli", "--dir", str(town.root / node), *map(str, words)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return done.stderr
