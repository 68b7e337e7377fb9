"""init → import → publish → entries through the command line, on real stores."""

import json
from datetime import date

import pytest

from node.catalogue import publishing
from tests.cli.town import SHEETS, Node, Town, run, sheet

OUTCOMES = {"imported", "imported_with_warnings", "skipped_title", "skipped_empty", "skipped_note", "rejected"}
STATUSES = {
    "ok", "ok_assumed", "ok_seasonal", "ok_monthly", "h24", "by_appointment", "phone_only", "partial", "unparsed", "error",
}  # fmt: skip


def preview(path, home):
    return json.loads(run("--dir", home / "none", "import", path, "--preview", "--json").stdout)


def test_the_preview_of_a_sheet_needs_no_store_no_keys_and_no_network(tmp_path):
    shown = preview(sheet("ts-dispensa"), tmp_path)
    assert not (tmp_path / "none").exists()
    assert shown["applied"] is False
    assert shown["body"]["name"] == "La Dispensa d'Esempio APS"
    assert shown["body"]["said_by"] == "sheet"


def test_all_sample_sheets_preview_64_rows_with_one_outcome_each(tmp_path):
    rows = [row for path in sorted(SHEETS.glob("*.csv")) for row in preview(path, tmp_path)["rows"]]
    services = [row for row in rows if row["record"] is not None]
    assert len(services) == 64
    assert {row["outcome"] for row in rows} <= OUTCOMES
    assert all(row["outcome"].startswith("imported") for row in services)
    for row in services:
        assert {"line", "outcome", "record", "hours"} <= row.keys()
        assert {"status", "weekly", "monthly", "season"} <= row["hours"].keys()
        assert row["hours"]["status"] in STATUSES


def test_a_preview_can_be_told_whose_sheet_it_is(tmp_path):
    result = run(
        "--dir", tmp_path, "import", sheet("ts-ponte"), "--preview", "--json", "--member", "ts-ponte", "--name",
        "Ponte d'Esempio APS", "--type", "pt-aps", "--comune", "Pesaro", "--on", "2026-11-21",
    )  # fmt: skip
    assert json.loads(result.stdout)["body"] == {
        "node": "ts-ponte",
        "name": "Ponte d'Esempio APS",
        "ptype": "PT-APS",
        "said_by": "options",
        "comune": "041044",
    }


def test_without_an_installation_only_a_preview_is_possible(tmp_path):
    result = run("--dir", tmp_path / "none", "import", sheet("ts-ponte"), ok=False)
    assert (result.exit_code, "config-missing" in result.stderr) == (1, True)


def test_the_template_is_written_once_and_imports_as_an_empty_sheet(tmp_path):
    model = tmp_path / "modello.xlsx"
    run("--dir", tmp_path, "import", "--template", model)
    assert model.read_bytes()[:2] == b"PK"
    again = run("--dir", tmp_path, "import", "--template", model, ok=False)
    assert "file-exists" in again.stderr
    empty = run("--dir", tmp_path / "none", "import", model, "--preview", ok=False)
    assert "import-empty" in empty.stderr


def test_init_says_what_to_do_next_and_never_overwrites_keys(tmp_path):
    first = run("--dir", tmp_path / "x", "init", "--id", "comune-tavullia")
    said = " ".join(first.stdout.split())  # lines break where the path of the day makes them
    assert "operators add" in said and "serve" in said
    assert (tmp_path / "x" / "raccordo.toml").stat().st_mode & 0o077 == 0
    keys = (tmp_path / "x" / "chiavi.json").read_bytes()
    again = run("--dir", tmp_path / "x", "init", "--id", "comune-tavullia", ok=False)
    assert again.exit_code == 1
    assert (tmp_path / "x" / "chiavi.json").read_bytes() == keys


def test_init_asks_for_the_name_when_it_is_not_given(tmp_path):
    assert "Pronto." in run("--dir", tmp_path / "x", "init", stdin="ts-ponte\n").stdout


def test_a_name_that_is_no_node_id_is_refused(tmp_path):
    assert run("--dir", tmp_path / "x", "init", "--id", "Comune di Pesaro", ok=False).exit_code == 1


def test_before_joining_a_sheet_is_imported_and_not_published(tmp_path):
    node = Node(tmp_path, "ts-ponte")
    assert "Adesso: «publish»" in node("import", sheet("ts-ponte")).stdout
    refused = node("publish", ok=False)
    assert "not-a-member" in refused.stderr
    assert node.json("entries")["total"] == 3


def test_from_sheet_to_map_and_back_to_the_list(tmp_path):
    town = Town(tmp_path, "comune-pesaro")
    node = town["comune-pesaro"]
    done = node.json("import", sheet("comune-pesaro"))
    assert (done["applied"], done["fresh"], len(done["rows"])) == (True, 12, 12)
    assert {entry["state"] for entry in node.json("entries")["entries"]} == {"classified"}
    published = node("publish").stdout
    assert "Mappa pubblica: edizione 1, 12 voci" in published and "in partenza" in published
    town.post()
    listed = node.json("entries")
    assert {entry["state"] for entry in listed["entries"]} == {"published"}
    assert (listed["unpublished"], listed["stale"]) == (0, 3)
    assert "nulla è cambiato dall'edizione 1" in node("publish").stdout


def test_a_second_import_keeps_the_ids_and_the_map_as_they_are(tmp_path):
    town = Town(tmp_path, "comune-pesaro")
    node = town["comune-pesaro"]
    node("import", sheet("comune-pesaro"))
    before = {entry["id"]: entry["name"] for entry in node.json("entries")["entries"]}
    node("publish")
    town.post()
    assert "0 nuove, 0 cambiate, 12 uguali" in node("import", sheet("comune-pesaro")).stdout
    assert {entry["id"]: entry["name"] for entry in node.json("entries")["entries"]} == before
    assert "nulla è cambiato" in node("publish").stdout


def test_still_right_today_for_all_entries_and_a_dated_notice(tmp_path):
    town = Town(tmp_path, "comune-pesaro")
    node = town["comune-pesaro"]
    node("import", sheet("comune-pesaro"))
    assert "Confermate: 12 voci." in node("confirm", "--all").stdout
    assert node.json("entries")["stale"] == 0
    assert "Sportello casa" in node("notice", "--words", "casa", "--text", "chiuso", "--until", "24/12/2026").stdout
    assert "Avviso su Sportello casa: chiuso (fino al 24/12/2026)" in node("entries").stdout
    node("publish")
    town.post()
    found = node.json("search", "sportello casa")["items"][0]
    assert found["service"]["notice"]["text"] == "chiuso"
    assert found["service"]["verified_at"] == date(2026, 11, 21).isoformat()
    assert "Avviso tolto da" in node("notice", "--words", "casa", "--remove").stdout


def test_entries_are_taken_back_and_leave_the_map(tmp_path):
    town = Town(tmp_path, "ts-dispensa")
    node = town["ts-dispensa"]
    node("import", sheet("ts-dispensa"))
    node("publish")
    town.post()
    node("withdraw-entries", "--words", "pacco")
    assert "1 tolta" in node("publish").stdout
    town.post()
    assert [item["name"].strip() for item in node.json("search")["items"]] == ["Emporio solidale"]


@pytest.mark.feature("F000-17")
def test_rights_are_checked_when_somebody_acts_as_an_operator(tmp_path):
    node = Town(tmp_path, "comune-pesaro")["comune-pesaro"]
    node("operators", "add", "SP", "--role", "rl-opsport")
    node("operators", "add", "CO", "--role", "RL-COORDSPORT")
    node("operators", "add", "VO", "--role", "RL-VOLONT")
    node("import", sheet("comune-pesaro"), "--as", "SP")
    assert "role-forbidden" in node("publish", "--as", "SP", ok=False).stderr
    assert "role-forbidden" in node("import", sheet("comune-pesaro"), "--as", "VO", ok=False).stderr
    node("publish", "--as", "CO")
    node("operators", "disable", "CO", "--as", "CO")
    assert "unknown-operator" in node("publish", "--as", "CO", ok=False).stderr
    assert [one["active"] for one in node.json("operators", "list")] == [False, True, True]


def test_a_refusal_of_the_registry_is_shown_with_what_to_do(tmp_path):
    node = Town(tmp_path, "ts-dispensa")["ts-dispensa"]
    assert "Mai pubblicato" in node("entries").stdout
    node("import", sheet("ts-dispensa"))
    node("publish")
    node.store(lambda tx, body: publishing.refused(tx, "public", 1, "catalogue-id-not-yours", "id"))
    shown = " ".join(node("entries").stdout.split())
    assert "edizione 1: RIFIUTATA" in shown and "identificativo di un altro ente" in shown
    assert "edizione 1, 2 voci" in node("publish").stdout
