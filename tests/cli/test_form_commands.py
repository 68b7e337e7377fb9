"""form, rekey and «refer --ask»: the urgent form in eleven lines, and a referral that goes over paper when the net is down."""

import json
import re

import pytest

from tests.cli.test_case_commands import BASIS, PERSON
from tests.cli.town import Town, sheet

SENDER, RECEIVER = "comune-tavullia", "distretto"
MACHINE = {"case", "thread", "linked_from", "parent", "path", "form_version"}


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path, SENDER, RECEIVER, "comune-pesaro")
    for node in made.nodes.values():
        node.operators(OP="RL-OPSPORT", AS="RL-ASSOC", VO="RL-VOLONT", DPO="RL-DPO")
    return made


ANSWERS = (
    "Prova", "Ada", "Via di Esempio 1", "0721 000111", "23/11/2026", "reparto di prova", "letto ortopedico",
    "GDPR 6(1)(e)", "accesso al PUA", "1", "01/01/2026",
)  # fmt: skip


@pytest.mark.feature("F000-36")
def test_an_urgent_case_is_sent_to_the_pua_with_eleven_answers(town):
    sender, receiver = town[SENDER], town[RECEIVER]
    done = sender("refer", RECEIVER, "--as", "OP", "--referral", "RK-PUA", "--ask", stdin="\n".join(ANSWERS) + "\n")
    assert len(ANSWERS) < 12
    town.carry()
    (line,) = receiver.json("inbox")
    assert (line["referral"], line["urgency"]) == ("RK-PUA", "UR-PUA24") and line["leg"] in done.stdout
    offer = receiver.json("case", line["leg"], "--as", "OP")["offer"]
    assert offer["person"] == {"family_name": "Prova", "given_name": "Ada", "address": "Via di Esempio 1",
                               "phone": "0721 000111"}  # fmt: skip
    assert offer["health"] == {"discharge_date": "2026-11-23", "prescriber": "reparto di prova"}
    assert offer["basis"]["notice_date"] == "2026-01-01" and offer["description"] == "letto ortopedico"


@pytest.mark.feature("F000-36")
def test_an_emergency_without_a_name_is_not_asked_for_a_legal_basis(town):
    sender = town[SENDER]
    done = sender("refer", "comune-pesaro", "--as", "OP", "--referral", "RK-PIS", "--ask", "--json",
                  stdin="stazione, binario 1\n\n\n\n\n\n20/11/2026 21:35\n")  # fmt: skip
    offer = sender.json("case", json.loads(done.stdout)["leg"], "--as", "OP")["offer"]
    assert offer["description"] == "stazione, binario 1" and offer["urgency"] == "UR-PIS" and "basis" not in offer
    assert offer["by_voice_at"] == 1795206900
    assert "Base giuridica" not in done.stderr


def test_what_is_given_as_an_option_is_not_asked_and_a_wrong_answer_is_asked_again(town):
    sender = town[SENDER]
    done = sender("refer", RECEIVER, "--as", "OP", "--referral", "RK-PUA", "--urgency", "UR-72", *PERSON, *BASIS, "--ask",
                  "--json", stdin="\n\ndomani\n23/11/2026\n\n")  # fmt: skip
    offer = sender.json("case", json.loads(done.stdout)["leg"], "--as", "OP")["offer"]
    assert offer["urgency"] == "UR-72" and offer["health"] == {"discharge_date": "2026-11-23"}
    assert "Cognome" not in done.stderr and done.stderr.count("Dimissione") == 2


@pytest.mark.feature("F001-27")
def test_the_health_urp_answers_a_question_and_no_person_is_asked_for(town):
    desk, urp = town[SENDER], town[RECEIVER]
    urp("import", sheet(RECEIVER))
    urp("publish")
    town.post()
    (found,) = [hit for hit in desk.json("search", "URP sanitario")["items"] if hit["name"] == "URP sanitario"]
    blank = desk("form", "RK-INFO").stdout
    assert "Che cosa serve" in blank
    assert not re.search("Cognome|Nome:|nascita|Codice fiscale|Indirizzo|Informativa", blank)
    done = desk("refer", RECEIVER, "--as", "OP", "--referral", "RK-INFO", "--service", found["id"], "--ask", "--yes",
                "--json", stdin="\n\n\n0721 000201\nquali documenti per il reclamo?\n\n\n\n\n")  # fmt: skip
    assert "Cognome" not in done.stderr and "Base giuridica" not in done.stderr
    leg = json.loads(done.stdout)["leg"]
    town.carry()
    offer = urp.json("case", leg, "--as", "OP")["offer"]
    assert offer["service"] == found["id"] and offer["subject"] == "none" and not {"person", "basis"} & offer.keys()
    urp("accept", leg, "--as", "OP")
    urp("close", leg, "--as", "OP", "--outcome", "OU-INFO", "--text", "solo il documento di identità")
    town.carry()
    assert "solo il documento di identità" in desk("case", leg, "--as", "OP").stdout


def sent(town):
    sender = town[SENDER]
    return sender.json(
        "refer", RECEIVER, "--as", "OP", "--referral", "RK-PUA", "--urgency", "UR-PUA24", "--need", "NA-DOMIC",
        *PERSON, "--description", "vive  sola; rientra lunedì\ncon il letto \\ da montare", "--residence", "Gradara",
        "--said-by-voice", "20/11/2026 11:40", "--offices-tried", "2", *BASIS,
    )["leg"]  # fmt: skip


@pytest.mark.feature("F004-21")
def test_a_sheet_printed_here_and_typed_in_there_with_its_code_is_the_same_referral(town, tmp_path):
    sender, pua = town[SENDER], town[RECEIVER]
    leg = sent(town)
    paper, copy, scheda = tmp_path / "foglio.txt", tmp_path / "ricopiato.txt", tmp_path / "scheda.json"
    sender("form", "--case", leg, "--as", "OP", "--out", paper)
    text = paper.read_text("utf-8")
    (code,) = re.findall(r"PUA-1-\w{4}-\w{4}", text)
    assert max(map(len, text.splitlines())) <= 80
    copy.write_text("\n".join(row for row in text.splitlines() if row[:1].isdigit() or row.startswith("   ")), "utf-8")
    pua("rekey", code, copy, "--out", scheda)
    held = sender.json("case", leg, "--as", "OP")["offer"]
    assert json.loads(scheda.read_text()) == {**held, "case": ""} and not MACHINE - {"case"} & held.keys()
    typed_in = pua("rekey", code, stdin=copy.read_text("utf-8") + "\n\n").stdout
    assert json.loads(typed_in) == json.loads(scheda.read_text())
    assert "read" in [row["action"] for row in sender.json("access-log", "--as", "DPO")["rows"]]  # printing is opening
    again = pua.json("refer", "comune-pesaro", "--as", "OP", "--file", scheda, "--referral", "RK-SEGN", "--yes")["leg"]
    assert pua.json("case", again, "--as", "OP")["offer"]["description"] == held["description"]


def test_a_misread_line_is_named_and_nothing_is_written(town, tmp_path):
    sender, pua = town[SENDER], town[RECEIVER]
    text = sender("form", "--case", sent(town), "--as", "OP").stdout
    (code,) = re.findall(r"PUA-1-\w{4}-\w{4}", text)
    rows = [row for row in text.splitlines() if row[:1].isdigit() or row.startswith("   ")]
    wrong, out = tmp_path / "ricopiato.txt", tmp_path / "scheda.json"
    wrong.write_text("\n".join(rows).replace("Inventata", "Inventato"), "utf-8")
    refused = pua("rekey", code, wrong, "--out", out, ok=False)
    assert refused.exit_code == 1 and "sheet-code" in refused.stderr and "riga 20" in refused.stderr
    assert "Inventat" not in refused.stderr and not out.exists()
    assert "sheet-version" in pua("rekey", "PUA-9", wrong, ok=False).stderr
    assert "role-forbidden" in sender("form", "--case", sent(town), "--as", "VO", ok=False).stderr
    assert sender("form", "RK-PUA", "--file", wrong, ok=False).exit_code == 2
    assert "unknown-code" in sender("form", "RK-BOH", ok=False).stderr


def test_an_empty_form_carries_its_version_and_the_lines_of_its_kind(town):
    blank = town[SENDER].json("form", "rk-pis")
    assert blank["code"] == "PIS-1" and len(blank["lines"]) == 11
    text = town[SENDER]("form", "RK-PIS").stdout
    assert "Codice: PIS-1" in text and "accesso diretto Pronto Intervento Sociale" in text and text.count("____") >= 11
