"""Referrals through the command line of two desks: sent, opened, asked, accepted, handed over, closed."""

import json

import pytest

from tests.cli.town import Town, sheet

BASIS = (
    "--law", "GDPR 6(1)(e)", "--purpose", "servizio sociale", "--notice-version", "1", "--notice-date", "2026-01-01",
)  # fmt: skip
PERSON = ("--given-name", "Persona", "--family-name", "Inventata", "--description", "descrizione di prova")


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path, "comune-tavullia", "comune-pesaro", "distretto")
    for node in made.nodes.values():
        node.operators(OP="RL-OPSPORT", AS="RL-ASSOC", RE="RL-RESP", VO="RL-VOLONT")
    return made


def refer(town, to="distretto", *more):
    desk = town["comune-tavullia"]
    done = desk.json("refer", to, "--as", "OP", "--referral", "RK-SEGN", *PERSON, *BASIS, *more)
    town.carry()
    return done["leg"]


def test_a_referral_arrives_and_comes_back_with_an_outcome(town):
    sender, receiver = town["comune-tavullia"], town["distretto"]
    leg = refer(town)
    (line,) = receiver.json("inbox")
    assert (line["leg"], line["peer_name"]) == (leg, "Comune di Tavullia")
    assert "Persona" not in receiver("inbox").stdout
    receiver("open", leg[-8:], "--as", "OP")
    receiver("ask", leg[-8:], "--as", "OP", "--text", "chi accompagna?")
    town.carry()
    sender("answer", leg[-8:], "--as", "OP", "--text", "la nipote")
    town.carry()
    receiver("accept", leg[-8:], "--as", "OP", "--ref", "PUA 2026/1")
    receiver("appointment", leg[-8:], "--as", "OP", "--when", "2026-11-24 09:30")
    receiver("start", leg[-8:], "--as", "AS")
    receiver("close", leg[-8:], "--as", "AS", "--outcome", "OU-INCARICO")
    town.carry()
    text = sender("case", leg[-8:], "--as", "OP").stdout
    assert "Conclusa, con esito" in text and "OU-INCARICO" in text and "24/11/2026 09:30" in text
    assert sender("sent").stdout.strip() == "Nessun invio."
    assert len(sender.json("sent", "--all")) == 1


@pytest.mark.feature("F000-17")
def test_a_desk_operator_cannot_take_in_charge(town):
    receiver = town["distretto"]
    leg = refer(town)
    receiver("open", leg, "--as", "OP")
    receiver("accept", leg, "--as", "OP")
    refused = receiver("start", leg, "--as", "OP", ok=False)
    assert refused.exit_code == 1 and "role-forbidden" in refused.stderr
    assert "start" not in {step["ev"] for step in receiver.json("case", leg, "--as", "AS")["steps"]}
    receiver("start", leg, "--as", "AS")


def test_a_case_is_shown_only_to_who_may_read_it_and_its_opening_is_logged(town):
    receiver = town["distretto"]
    leg = refer(town)
    assert "role-forbidden" in receiver("case", leg, "--as", "VO", ok=False).stderr
    assert "Inventata" in receiver("case", leg, "--as", "OP").stdout
    receiver("assign", leg, "VO", "--as", "RE")
    assert "Inventata" in receiver("case", leg, "--as", "VO").stdout
    log = receiver.json("access-log", "--as", "RE", "--case", leg)
    assert [(row["operator"], row["action"]) for row in log["rows"]] == [("OP", "read"), ("VO", "read")]
    assert log["intact"]
    assert "Il registro è integro." in receiver("access-log", "--as", "RE").stdout
    assert "role-forbidden" in receiver("access-log", "--as", "OP", ok=False).stderr


def test_a_hand_over_stays_inside_the_body_and_is_listed_apart(town):
    receiver = town["distretto"]
    leg = refer(town)
    receiver("accept", leg, "--as", "OP")
    child = receiver.json("hand-over", leg, "Sportello ADI", "--as", "OP", "--text", "due righe")["leg"]
    (line,) = receiver.json("cases", "--internal")
    assert (line["leg"], line["parent"], line["desk_to"]) == (child, leg, "Sportello ADI")
    receiver("accept", child, "--as", "AS", "--side", "R")
    assert "Sportello ADI" in receiver("cases").stdout


def test_a_redirect_is_confirmed_by_the_sender(town):
    sender, receiver = town["comune-tavullia"], town["distretto"]
    leg = refer(town)
    receiver("redirect", leg, "--as", "OP", "--reason", "DR-COMPTERR", "--to", "comune-pesaro")
    town.carry()
    new = sender.json("follow-redirect", leg, "--as", "OP")["leg"]
    town.carry()
    assert town["comune-pesaro"].json("inbox")[0]["leg"] == new
    assert sender.json("case", new, "--as", "OP")["line"]["linked_from"] == leg


def test_a_sheet_in_json_is_completed_by_options(town, tmp_path):
    scheda = tmp_path / "offer.json"
    offer = {
        "referral": "RK-SEGN",
        "subject": "person",
        "description": "dal file",
        "person": {"given_name": "Dal", "family_name": "File"},
        "basis": {"law": "GDPR 6(1)(e)", "purpose": "servizio sociale", "notice_version": "1", "notice_date": "2026-01-01"},
    }  # fmt: skip
    scheda.write_text(json.dumps(offer))
    sender = town["comune-tavullia"]
    leg = sender.json(
        "refer", "distretto", "--as", "OP", "--file", scheda, "--urgency", "UR-72", "--residence", "Gradara"
    )["leg"]
    held = sender.json("case", leg, "--as", "OP")
    assert held["line"]["urgency"] == "UR-72"
    assert held["offer"]["person"] == {"given_name": "Dal", "family_name": "File", "residence": "041020"}
    scheda.write_text(json.dumps({**offer, "description": "integrata", "case": "", "urgency": "UR-72"}))
    sender("amend", leg, "--as", "OP", "--file", scheda)
    assert sender.json("case", leg, "--as", "OP")["offer"]["description"] == "integrata"


REFUSED = (
    (("nessuno", "--referral", "RK-SEGN", *PERSON, *BASIS), "unknown-recipient"),
    (("comune-tavullia", "--referral", "RK-SEGN", *PERSON, *BASIS), "to-self"),
    (("distretto", "--referral", "RK-SEGN", *PERSON), "basis-required"),
    (("comune-pesaro", "--referral", "RK-PUA", *PERSON, *BASIS), "incapable-recipient"),
    (("distretto", "--referral", "RK-BOH", *PERSON, *BASIS), "unknown-code"),
    (("distretto", "--referral", "segnalazione", *PERSON, *BASIS), "unknown-code"),
    (("distretto", "--referral", "RK-INFO", *PERSON, *BASIS), "person-not-allowed"),
)


def test_a_referral_that_cannot_be_sent_is_refused_before_anything_is_stored(town):
    sender = town["comune-tavullia"]
    for (to, *options), code in REFUSED:
        refused = sender("refer", to, "--as", "OP", *options, ok=False)
        assert refused.exit_code == 1
        assert f"Codice: {code}" in refused.stderr
        assert "Inventata" not in refused.output
    assert sender.json("sent", "--all") == []


def test_a_code_that_names_no_referral_is_refused(town):
    for text in ("abc", "zzzzzz", "00000000-0000"):
        assert "unknown-case" in town["distretto"]("open", text, "--as", "OP", ok=False).stderr


@pytest.mark.feature("F000-10", "F002-03")
def test_warnings_are_shown_before_a_referral_is_sent(town):
    pesaro = town["comune-pesaro"]
    pesaro("import", sheet("comune-pesaro"))
    pesaro("publish")
    town.post()
    sender = town["comune-tavullia"]
    offer = ("--referral", "RK-SEGN", "--need", "NA-DOMIC", "--target", "TG-ANZIANI", "--residence", "Tavullia")
    checked = sender("refer", "comune-pesaro", "--as", "OP", *offer, *PERSON, *BASIS, "--check")
    assert "fuori dal territorio" in checked.stderr and "Comune di Tavullia" in checked.stderr
    assert sender.json("sent", "--all") == []
    sender("refer", "comune-pesaro", "--as", "OP", *offer, *PERSON, *BASIS, "--yes")
    assert len(sender.json("sent")) == 1


@pytest.mark.feature("F003-16")
def test_an_opened_referral_about_an_entry_counts_as_its_use(town):
    pesaro = town["comune-pesaro"]
    pesaro("import", sheet("comune-pesaro"))
    entry = next(one for one in pesaro.json("entries")["entries"] if one["name"] == "Sportello casa")
    leg = refer(town, "comune-pesaro", "--service", entry["id"])
    assert entry.get("used", 0) == 0
    pesaro("open", leg, "--as", "OP")
    assert next(one for one in pesaro.json("entries", "casa")["entries"])["used"] == 1


def test_status_keys_alarms_and_doctor_answer_without_a_running_process(town):
    node = town["distretto"]
    refer(town)
    assert "1 ricevuti" in node("status").stdout
    assert "Otto parole:" in node("keys").stdout
    assert node("alarms").stdout.strip()
    assert "OK   archivio" in node("doctor", ok=False).stdout


def test_join_and_sync_ask_for_the_running_process(town, tmp_path):
    refused = town["distretto"]("sync", ok=False)
    assert "not-running" in refused.stderr and "«serve»" in refused.stderr


def test_a_code_that_is_none_is_answered_with_those_there_are(town):
    refused = town["comune-tavullia"](
        "refer", "ts-dispensa", "--as", "OP-01", "--referral", "RK-SEGN", "--need", "casa", ok=False
    )
    assert "Codice: unknown-code" in refused.stderr
    assert "  Ammessi:\n    NA-CASA " in refused.stderr
