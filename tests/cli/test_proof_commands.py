"""verify through the command line: of a file with nothing else at hand, and of an entry of a node's own replica."""

import json
import subprocess
import sys

import msgspec
import pytest

from node.context import set_setting
from node.map import follow
from node.runtime import trust
from tests.cli.town import NOON, Node, run
from tests.protocol.ledger import Ledger, uid
from tests.registry.world import World, line
from tests.registry.world import uid as board_uid

A, B = "comune-tavullia", "distretto"


@pytest.fixture(scope="module")
def ledger():
    log = Ledger(A, B)
    log.publish(A, "Mensa", "Sportello")
    log.publish(B, "Punto unico")
    log.rotate(A)
    return log


@pytest.fixture
def file(ledger, tmp_path):
    path = tmp_path / "prova.json"
    path.write_bytes(ledger.proof(A, "Mensa"))
    return path


def feed(node: Node, world: World) -> None:
    """What following the board does, without a network."""
    members = world.members
    roots = [raw.encode() for raw in world.read(lambda db: world.engine.roots_after(db, 0))]

    def learn(tx, body):
        set_setting(tx, "net", world.net)
        trust.keep(tx, trust.Trust(members.root, members), NOON, roots=roots[len(trust.raw_roots(tx)) :])
        while True:
            ours = follow.held(tx)
            raw = msgspec.json.encode(world.read(lambda db, at=ours.edge.size: world.engine.log_page(db, at)))
            if not follow.apply_page(tx, follow.prepare_page(raw, ours, members.root)):
                break
        follow.settle(tx, members)
        while wants := list(follow.wanted(tx, members)):
            for want in wants:
                got = world.read(lambda db, want=want: world.engine.object(db, want.hash)).bytes
                follow.accept_object(tx, follow.prepare_object(tx, want, got, members), members)

    node.store(learn)


@pytest.fixture
def replica(tmp_path, clock):
    world = World()
    world.clock.t = NOON
    body = world.member(A)
    world.publish(body, [line("Sportello sociale"), line("Centro anziani")])
    world.publish(body, [line("Linea urgente", salt=True)], "network")
    node = Node(tmp_path, "distretto")
    feed(node, world)
    yield node, world
    world.close()


@pytest.mark.feature("F001-34")
def test_a_file_is_verified_from_the_networks_id_alone_and_says_who_signed_it_and_when(ledger, file, tmp_path):
    shown = run("--dir", tmp_path / "niente", "verify", file, "--net", ledger.net).stdout
    assert "La voce è autentica" in shown and "Mensa" in shown
    assert "Comune-Tavullia (comune-tavullia), il 21/11/2026" in shown
    assert "g1" in shown and "Ambito di prova" in shown
    assert max(map(len, shown.splitlines())) <= 80
    told = json.loads(run("--dir", tmp_path, "verify", file, "--net", ledger.net, "--json").stdout)
    assert (told["ok"], told["node"], told["id"], told["fresh"]) == (True, A, uid(A, "Mensa"), True)
    assert told["admitted_by"] == ["g1"] and told["log"]["seq"] < told["log"]["size"]


def test_an_old_proof_is_said_to_be_old(ledger, file, tmp_path, clock):
    clock.at = NOON + 30 * 86_400
    assert "chiederne una nuova" in run("--dir", tmp_path, "verify", file, "--net", ledger.net).stdout
    assert json.loads(run("--dir", tmp_path, "verify", file, "--net", ledger.net, "--json").stdout)["fresh"] is False


@pytest.mark.feature("F001-34")
def test_each_way_of_being_wrong_has_its_own_code(ledger, file, tmp_path):
    raw = json.loads(file.read_bytes())

    def refused(document, *more, net=ledger.net):
        file.write_text(document if isinstance(document, str) else json.dumps(document))
        result = run("--dir", tmp_path, "verify", file, "--net", net, "--json", *more, ok=False)
        assert result.exit_code == 1
        return json.loads(result.stdout)["code"]

    other = json.loads(ledger.proof(B, "Punto unico"))
    assert refused(raw | {"record": raw["record"].replace("Mensa", "Menza")}) == "record-altered"
    assert refused(raw, "--service", uid(A, "Sportello")) == "wrong-entry"
    assert refused(raw, "--node", B) == "wrong-entry"
    assert refused(raw, net="A" * 43) == "wrong-network"
    assert refused(raw | {"log": raw["log"] | {"lines": raw["log"]["lines"][:-1]}}) == "not-in-log"
    assert refused(raw | {"log": raw["log"] | {"earlier": []}}) == "proof-incomplete"
    assert refused(raw | {"publication": other["publication"]}) == "wrong-entry"
    assert refused("{}") == "wrong-file"
    assert refused("non è una prova") == "wrong-file"
    suspended = Ledger(A, B)
    suspended.publish(A, "Mensa")
    suspended.status(A, "suspended")
    assert refused(suspended.proof(A, "Mensa").decode()) == "suspended"


def test_an_entry_of_the_own_replica_is_proved_verified_and_kept_for_others(replica, tmp_path):
    node, world = replica
    id_ = board_uid(A, "Sportello sociale")
    assert "La voce è autentica" in node("verify", "--service", id_[:8], "--out", tmp_path / "prova.json").stdout
    assert (tmp_path / "prova.json").read_bytes() == world.read(lambda db: world.engine.proof(db, A, id_))
    assert json.loads(node("verify", tmp_path / "prova.json", "--json").stdout)["id"] == id_  # the network is our own
    hidden = json.loads(node("verify", "--service", board_uid(A, "Linea urgente"), "--json").stdout)
    assert hidden["vis"] == "network"
    assert "not-found" in node("verify", "--service", "ffffffff", ok=False).stderr
    world.run(lambda tx: world.engine.suspend(tx, A))
    feed(node, world)
    gone = node("verify", "--service", id_, ok=False).stderr
    assert "not-found" in gone and "più d'uno" not in gone


def test_what_cannot_be_meant_is_said(file, tmp_path):
    assert run("--dir", tmp_path, "verify", ok=False).exit_code == 2
    assert run("--dir", tmp_path, "verify", file, "--board", ok=False).exit_code == 2
    assert "Serve --net" in run("--dir", tmp_path, "verify", file, ok=False).stderr


def test_verifying_a_file_loads_no_server_and_no_database(ledger, file, tmp_path):
    code = (
        "import sys\nfrom node.cli import cli\n"
        f"cli(['--dir', {str(tmp_path)!r}, 'verify', {str(file)!r}, '--net', {ledger.net!r}], standalone_mode=False)\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "autentica" in done.stdout
    assert not {"aiohttp", "asyncio", "sqlite3", "node.app"} & set(done.stderr.split())
