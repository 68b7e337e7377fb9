"""A body's data in one file of open formats, and what others can still do with one that has left."""

import json
import zipfile
from base64 import b64decode

import msgspec
import pytest

from node import exporting, leaving
from node import requests as ask
from node.cases import operators
from node.runtime import backup, sealed_file
from protocol.envelope import commitment
from protocol.errors import ProtocolError
from protocol.strict import digest
from tests.cli.town import Town
from tests.exchange.desks import Ambito, offer
from tests.exchange.desks import states as leg_states
from tests.keys.net import Net, alarms


class Event(msgspec.Struct):
    salt: str
    cm: str
    e: str
    k: str | None
    body: msgspec.Raw


class Case(msgspec.Struct):
    peer_name: str
    events: list[Event]


def refused(code, call, *args):
    with pytest.raises(ProtocolError) as error:
        call(*args)
    assert error.value.code == code


@pytest.fixture
def town(tmp_path):
    """Two bodies with a case, a catalogue and operators of three roles."""
    town = Town(tmp_path, "comune-tavullia", "distretto")
    for node in town.nodes.values():
        node.operators(RESP="RL-RESP", AS="RL-ASSOC", REF="RL-REFNODO")
    sheet = town["comune-tavullia"]
    from tests.cli.town import sheet as sheet_of

    sheet("import", sheet_of("comune-tavullia"))
    sheet("publish", "--as", "RESP")
    from node.cases import desk

    def send(tx, body):
        return desk.refer(tx, body.ctx, desk.Refer(to="distretto", offer=offer(), as_="AS"))

    town.leg = town["comune-tavullia"].store(send).leg
    town.carry()
    return town


def export(node, path, as_="RESP", **more):
    def run(tx, body):
        request = ask.Export(path=str(path), as_=as_, **more)
        exporting.record(tx, body.ctx, request)
        return exporting.write(tx, body.ctx, request)

    return node.store(run)


def test_everything_is_in_it_and_proves_what_was_said(town, tmp_path):
    node = town["comune-tavullia"]
    done = export(node, tmp_path / "tutto.zip")
    assert (done.cases, done.unread, done.sealed) == (1, 0, False)
    assert (tmp_path / "tutto.zip").stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(tmp_path / "tutto.zip") as archive:
        assert archive.testzip() is None
        case = msgspec.json.decode(archive.read(f"casi/{town.leg}.json"), type=Case)
        (event,) = case.events
        assert msgspec.json.decode(event.body)["offer"]["description"] == "descrizione di prova"
        assert commitment(b64decode(event.salt), bytes(event.body)) == event.cm  # byte for byte, as it was sealed
        assert (event.e.count("."), event.k) == (2, "processed") and case.peer_name.startswith("Distretto")
        about = json.loads(archive.read("ente.json"))
        assert (about["node"], about["by"], about["cases"]) == ("comune-tavullia", "RESP", 1)
        tables = {
            name.split("/")[1][:-7]: archive.read(name).splitlines() for name in archive.namelist() if "tabelle" in name
        }
        assert about["tables"] == {name: len(rows) for name, rows in tables.items()}
        assert {"catalogue_entry", "publication_out", "operator", "access_log", "receipt", "alarm"} <= set(tables)
        assert len(tables["catalogue_entry"]) == 3 and len(tables["receipt"]) == 1
        assert {json.loads(row)["code"] for row in tables["operator"]} >= {"RESP", "AS"}
        assert json.loads(tables["access_log"][-1])["action"] == "export"  # who exported is in it
        assert archive.read("elenco.jws") == node.store(lambda tx, body: body.ctx.membership.raw)
        assert "LEGGIMI.txt" in archive.namelist() and "radici/1.json" in archive.namelist()


def test_no_table_of_the_store_is_forgotten(town, tmp_path):
    """A table that is added later is in the next export, unless it is named as one that does not belong there."""
    node = town["comune-tavullia"]
    node.store(lambda tx, body: tx.execute("CREATE TABLE later (a INTEGER, b BLOB)"))
    node.store(lambda tx, body: tx.execute("INSERT INTO later VALUES (1, x'00ff')"))
    done = export(node, tmp_path / "tutto.zip")
    held = node.store(
        lambda tx, body: [n for (n,) in tx.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    )
    left_out = {name for name in held if name not in done.tables}
    assert left_out == {name for name in held if name in exporting.APART or name.startswith(exporting._DERIVED)}
    with zipfile.ZipFile(tmp_path / "tutto.zip") as archive:
        assert json.loads(archive.read("tabelle/later.ndjson")) == {"a": 1, "b": "AP8="}


def test_who_may_not_read_cases_does_not_export(town, tmp_path):
    for code in ("AS", "REF"):
        refused("role-forbidden", export, town["comune-tavullia"], tmp_path / "tutto.zip", code)
    refused("unknown-operator", export, town["comune-tavullia"], tmp_path / "tutto.zip", "NESSUNO")
    assert not (tmp_path / "tutto.zip").exists()


def test_words_that_a_role_may_not_read_stay_out_and_are_counted(town, tmp_path, monkeypatch):
    node = town["comune-tavullia"]
    monkeypatch.setitem(operators.RIGHTS, "RL-REFNODO", frozenset({"export"}))
    done = export(node, tmp_path / "tutto.zip", "REF")
    assert (done.cases, done.unread) == (1, 1)
    with zipfile.ZipFile(tmp_path / "tutto.zip") as archive:
        assert not [name for name in archive.namelist() if b"descrizione di prova" in archive.read(name)]


def test_a_sealed_one_is_the_same_inside_and_is_no_copy(town, tmp_path):
    node, secret = town["comune-tavullia"], sealed_file.passphrase("una frase lunga abbastanza")
    path, out = tmp_path / "tutto.cifrato", tmp_path / "aperto.zip"
    export(node, path, sealed=True, passphrase="una frase lunga abbastanza")
    assert b"descrizione" not in path.read_bytes() and b"casi/" not in path.read_bytes()
    refused("bad-passphrase", exporting.unseal, path, sealed_file.passphrase("un'altra frase lunga"), out)
    assert not out.exists()
    exporting.unseal(path, secret, out)
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None and f"casi/{town.leg}.json" in archive.namelist()
    refused("file-exists", exporting.unseal, path, secret, out)
    refused("wrong-file", backup.unpack, path, secret, tmp_path / "store.db")
    broken = path.read_bytes()[:-40]
    path.write_bytes(broken)
    refused("backup-damaged", exporting.unseal, path, secret, tmp_path / "altro.zip")
    assert not (tmp_path / "altro.zip").exists()


def test_an_existing_file_is_never_overwritten_and_a_fault_leaves_nothing(town, tmp_path, monkeypatch):
    node, path = town["comune-tavullia"], tmp_path / "tutto.zip"
    path.write_text("mio")
    refused("file-exists", export, node, path)
    assert path.read_text() == "mio"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "_rows", full)
    refused("disk-full", export, node, tmp_path / "altro.zip")
    assert not (tmp_path / "altro.zip").exists()


def test_documents_come_along_whole_and_only_to_who_may_read_the_case(town, tmp_path, monkeypatch):
    from node.cases import desk
    from tests.exchange import filing

    papers = [filing.made(2_000_000, 1), filing.made(10, 2)]

    def send(tx, body):
        files = [ask.NewFile(name=f"carta {i}.pdf", content=raw) for i, raw in enumerate(papers)]
        return desk.refer(tx, body.ctx, desk.Refer(to="distretto", offer=offer(), as_="AS", files=files))

    leg = town["comune-tavullia"].store(send).leg
    town.carry()
    for name in ("comune-tavullia", "distretto"):
        out = tmp_path / f"{name}.zip"
        done = export(town[name], out, sealed=False)
        with zipfile.ZipFile(out) as archive:
            assert archive.testzip() is None and done.documents == 2
            case = json.loads(archive.read(f"casi/{leg}.json"))
            named = {file["sha256"]: file["name"] for file in case["events"][0]["body"]["files"]}
            for sha, called in named.items():
                raw = archive.read(f"documenti/{leg}/{sha}")
                assert digest(raw) == sha and raw == papers[int(called[6])]
    monkeypatch.setitem(operators.RIGHTS, "RL-REFNODO", frozenset({"export"}))
    assert export(town["distretto"], tmp_path / "senza.zip", "REF").documents == 0


# -- leaving


def leave(desk, **more):
    return desk.run(lambda tx: leaving.check(tx, desk.ctx, ask.Leave(**({"as_": "RE", "confirm": desk.name} | more))))


def test_nobody_leaves_by_mistake(tmp_path):
    net = Net(tmp_path, "tavullia", "distretto")
    desk = net["tavullia"]
    desk.run(lambda tx: operators.add(tx, "RE", "RL-RESP", None, 0))
    refused("role-forbidden", lambda: leave(desk, as_="AS"))
    refused("bad-shape", lambda: leave(desk, confirm="distretto"))
    leg = desk.refer("distretto").leg
    refused("still-open", lambda: leave(desk))
    net.wait(2)
    refused("still-open", lambda: leave(desk))
    assert leave(desk, anyway=True).node == "tavullia"
    net["distretto"].act(leg, "decline", reason="DR-POSTI")
    net.wait(2)
    assert leave(desk).node == "tavullia"


def test_what_is_open_with_one_that_left_is_ended_by_both_and_nothing_waits_in_vain(tmp_path):
    ambito = Ambito(tmp_path, "tavullia", "distretto")
    here, gone = ambito["tavullia"], ambito["distretto"]
    sent, received = here.refer("distretto").leg, gone.refer("tavullia").leg
    ambito.carry()
    gone.act(sent, "accept")
    here.act(received, "accept")
    ambito.carry()
    ambito.change(distretto={"status": "ended"})
    refused("unknown-recipient", here.refer, "distretto")
    here.act(sent, "lapse", reason="left-network")
    here.act(received, "close", outcome="OU-INFO")
    assert leg_states(sent, here) == ["lapsed"] and leg_states(received, here) == ["closed"]
    assert {line.leg: line.final for line in here.cases(all_=True)}[sent]
    here.run(here.exchange.tick)
    assert here.due() == [] and alarms(here) == set()


def test_a_member_that_left_with_open_referrals_is_an_alarm(tmp_path):
    net = Net(tmp_path, "tavullia", "distretto")
    net["distretto"].refer("tavullia")
    net.carry()
    net.world.run(lambda tx: net.world.engine.end(tx, "tavullia"))
    net.refresh()
    assert alarms(net["distretto"]) == {"member-left"}
    assert "own-entry-not-active" in alarms(net["tavullia"])
