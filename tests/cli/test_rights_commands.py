"""The rights of the person through the command line of two desks: erase, answer, recall, keep, search, right, limit."""

import json
from pathlib import Path

import pytest

from node.exchange import erased_list
from node.runtime.backup import ERASED_NAME
from tests.cli.test_case_commands import refer
from tests.cli.town import Clock, Town


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path, "comune-tavullia", "comune-pesaro", "distretto")
    for node in made.nodes.values():
        node.operators(OP="RL-OPSPORT", AS="RL-ASSOC", RE="RL-RESP", DP="RL-DPO")
    return made


@pytest.fixture
def pair(town):
    return town["comune-tavullia"], town["distretto"]


ACT = ("--basis", "prot. 12 del 22/11/2026")


def every_byte(node):
    return b"".join(path.read_bytes() for path in sorted(Path(node.dir).rglob("*")) if path.is_file())


def test_an_erasure_is_asked_answered_and_shown_at_both_ends(town, pair):
    sender, receiver = pair
    leg = refer(town)
    receiver("open", leg, "--as", "OP")
    receiver("decline", leg, "--as", "OP", "--reason", "DR-POSTI")
    town.carry()
    assert "role-forbidden" in sender("erase", leg, "--as", "OP", "--reason", "data-subject", *ACT, ok=False).stderr
    assert "Chiesto anche" in sender("erase", leg[-8:], "--as", "RE", "--reason", "data-subject", *ACT).stdout
    assert "non ancora arrivata" in sender("erasures").stdout
    town.carry()
    assert "erasure-asked" in json.dumps(receiver.json("alarms"))
    assert "in attesa di risposta" in receiver("erasures").stdout
    receiver("answer-erase", leg, "--as", "RE", "--accept")
    town.carry()
    shown = sender("case", leg, "--as", "OP").stdout
    assert "Cancellato il" in shown and "Il contenuto non c'è più" in shown and "eseguita il" in shown
    assert "Inventata" not in shown and "Si può: nulla." in shown
    assert "Cancellato il" in " ".join(receiver("inbox", "--all").stdout.split())
    refused = sender("amend", leg, "--as", "OP", "--file", "-", stdin="{}", ok=False)
    assert refused.exit_code != 0
    for node in (sender, receiver):
        assert b"Inventata" not in every_byte(node)
        assert [one for one, _ in erased_list.read(node.dir / ERASED_NAME)] == [leg]


def test_a_refusal_and_what_was_never_asked(town, pair):
    sender, receiver = pair
    leg = refer(town)
    assert "not-asked" in receiver("answer-erase", leg, "--as", "RE", "--accept", ok=False).stderr
    assert receiver("answer-erase", leg, "--as", "RE", ok=False).exit_code == 2
    sender("erase", leg, "--as", "RE", "--reason", "not-needed", *ACT)
    town.carry()
    receiver("answer-erase", leg, "--as", "RE", "--refuse", "legal-claim")
    town.carry()
    text = " ".join(sender("erasures").stdout.split())
    assert "rifiutata il" in text and "difesa di un diritto" in text


def test_a_recall_leaves_a_breach_draft_that_nobody_sends(town, pair, tmp_path):
    sender, receiver = pair
    leg = refer(town)
    receiver("case", leg, "--as", "AS")
    draft = tmp_path / "bozza.txt"
    said = sender("recall", leg, "--as", "OP", "--draft", draft).stdout
    assert "telefonare" in said
    text = draft.read_text("utf-8")
    assert "Persona Inventata" in text and "Distretto" in text and "72 ore" in text and leg in text
    assert draft.stat().st_mode & 0o077 == 0
    assert "file-exists" in sender("recall", leg, "--as", "OP", "--draft", draft, ok=False).stderr
    town.carry()
    receiver("answer-erase", leg, "--as", "RE", "--accept")
    town.carry()
    text = " ".join(sender("erasures").stdout.split())
    assert "aperto da AS il" in text
    assert "72 ore" in sender("alarms").stdout
    assert "Inventata" in sender("case", leg, "--as", "OP").stdout, "here it stays"


def test_a_recall_without_a_file_leaves_the_draft_beside_the_data(town, pair):
    sender, _ = pair
    leg = refer(town)
    sender("recall", leg, "--as", "OP")
    sender("recall", leg, "--as", "OP")
    assert sorted(path.name for path in Path(sender.dir).glob("violazione-*.txt")) == [
        f"violazione-{leg[-8:]}-2.txt",
        f"violazione-{leg[-8:]}.txt",
    ]


def test_a_retention_run_is_looked_at_and_then_applied(town, pair):
    sender, receiver = pair
    leg = refer(town)
    receiver("decline", leg, "--as", "OP", "--reason", "DR-POSTI")
    town.carry()
    assert "config-missing" in sender("retention", "--as", "RE", ok=False).stderr
    assert "Nessun invio" in sender("retention", "--as", "RE", "--months", "24").stdout
    Clock.at += 25 * 31 * 86400
    shown = sender("retention", "--as", "RE", "--months", "24").stdout
    assert leg[-8:] in shown and "--apply" in shown
    assert "Inventata" in sender("case", leg, "--as", "OP").stdout
    assert "Cancellati." in sender("retention", "--as", "RE", "--months", "24", "--apply").stdout
    assert "Cancellato il" in sender("case", leg, "--as", "OP").stdout
    config = Path(sender.dir) / "raccordo.toml"
    config.write_text(config.read_text("utf-8") + "\n[retention]\nerase_after = 24\nkeep = 0\n", "utf-8")
    assert "Nessun invio" in sender("retention", "--as", "RE").stdout


def test_a_persons_data_are_searched_exported_and_logged(town, pair, tmp_path):
    sender, _ = pair
    leg = refer(town, "distretto", "--birth-year", "1950")
    refer(town, "comune-pesaro")
    found = sender.json("person", "--as", "RE", "--family-name", "inventata", "--birth-year", "1950")
    assert [case["leg"] for case in found["cases"]] == [leg]
    assert found["holder"] == "Comune di Tavullia"
    text, copy = tmp_path / "copia.txt", tmp_path / "copia.json"
    for out in (text, copy):
        sender("person", "--as", "RE", "--family-name", "inventata", "--birth-year", "1950", "--out", out)
        assert out.stat().st_mode & 0o077 == 0
    assert "Cognome: Inventata" in text.read_text("utf-8") and "mandato a" in text.read_text("utf-8")
    assert json.loads(copy.read_text("utf-8"))["cases"][0]["versions"][0]["person"]["birth_year"] == 1950
    log = [(row["operator"], row["action"]) for row in sender.json("access-log", "--as", "RE")["rows"]]
    assert log == [("RE", "search"), ("RE", "export")] * 3
    assert "role-forbidden" in sender("person", "--as", "DP", "--tax-code", "x", ok=False).stderr
    assert "bad-shape" in sender("person", "--as", "RE", "--family-name", "inventata", ok=False).stderr


def test_data_are_put_right_and_the_wrong_ones_go_when_asked(town, pair):
    sender, receiver = pair
    leg = refer(town)
    sender("rectify", leg, "--as", "OP", "--family-name", "Corretta", "--erase-old")
    town.carry()
    assert "Cognome: Corretta" in receiver("case", leg, "--as", "OP").stdout
    assert "versioni superate" in " ".join(receiver("erasures").stdout.split())
    receiver("answer-erase", leg, "--as", "RE", "--accept")
    town.carry()
    found = receiver.json("person", "--as", "RE", "--family-name", "inventata", "--birth-year", "1950")
    assert found["cases"] == []
    receiver("accept", leg, "--as", "OP")
    receiver("rectify", leg, "--as", "OP", "--text", "il cognome è doppio")
    town.carry()
    assert "il cognome è doppio" in sender("case", leg, "--as", "OP").stdout


def test_a_limited_case_is_read_by_the_head_of_the_service_only(town, pair):
    _, receiver = pair
    leg = refer(town)
    assert receiver("limit", leg, "--as", "RE", ok=False).exit_code == 2
    assert "Limitato" in receiver("limit", leg, "--as", "RE", "--reason", "accuracy").stdout
    assert "limitato" in " ".join(receiver("inbox").stdout.split())
    assert "limited" in receiver("case", leg, "--as", "AS", ok=False).stderr
    assert "limited" in receiver("open", leg, "--as", "AS", ok=False).stderr
    assert "GDPR art. 18" in receiver("case", leg, "--as", "RE").stdout
    receiver("limit", leg, "--as", "RE", "--lift")
    receiver("open", leg, "--as", "AS")
