"""What the secretariat of a desk does and where it ends: rows of the feature list shown with the commands alone."""

import json

import pytest

from node.cli import cli
from tests.cli.test_case_commands import BASIS, PERSON, refer
from tests.cli.town import Town, sheet

SENDER, RECEIVER = "comune-tavullia", "distretto"


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path, SENDER, RECEIVER, "comune-pesaro", "patr-fittizio-a")
    for node in made.nodes.values():
        node.operators(OP="RL-OPSPORT", AS="RL-ASSOC", RE="RL-RESP")
    return made


def raw_files(node):
    """Every byte of a node's data directory but its configuration."""
    return b"".join(path.read_bytes() for path in sorted(node.dir.rglob("*")) if path.is_file())


@pytest.mark.feature("F001-26")
def test_a_patronato_sees_that_the_social_service_of_a_comune_accepted_its_referral(town):
    patronato, comune = town["patr-fittizio-a"], town["comune-pesaro"]
    leg = patronato.json("refer", "comune-pesaro", "--as", "OP", "--referral", "RK-SEGN", *PERSON, *BASIS)["leg"]
    town.carry()
    comune("open", leg, "--as", "AS")
    comune("accept", leg, "--as", "AS", "--ref", "SSP 2026/31")
    assert comune.json("inbox")[0]["code"] == "RS-ACCETTATA"
    town.carry()
    (line,) = patronato.json("sent")
    assert (line["leg"], line["code"], line["peer"]) == (leg, "RS-ACCETTATA", "comune-pesaro")
    assert "SSP 2026/31" in patronato("case", leg, "--as", "OP").stdout


@pytest.mark.feature("F002-30")
def test_a_note_between_two_desks_of_one_body_never_leaves_it(town):
    sender, receiver = town[SENDER], town[RECEIVER]
    leg = refer(town)
    receiver("open", leg, "--as", "OP")
    receiver("accept", leg, "--as", "OP")
    town.carry()
    inner = receiver.json("hand-over", leg, "Sportello ADI", "--as", "OP", "--text", "consegna-interna-1")["leg"]
    for command, side, text in (
        ("ask", "R", "domanda-interna-2"), ("answer", "S", "risposta-interna-3"), ("accept", "R", "accolta-interna-4"),
        ("note", "R", "nota-interna-5"), ("close", "R", "chiusura-interna-6"),
    ):  # fmt: skip
        outcome = ("--outcome", "OU-INCARICO") if command == "close" else ()
        receiver(command, inner, "--as", "OP", "--side", side, "--text", text, *outcome)
    assert town.carry() == 0  # nothing of it was ever in what is to be sent
    receiver("close", leg, "--as", "AS", "--outcome", "OU-INCARICO")
    town.carry()
    here = receiver("case", inner, "--as", "OP").stdout
    there = sender("case", leg, "--as", "OP").stdout
    assert all(f"interna-{n}" in here for n in range(1, 7))
    assert "interna" not in there and "OU-INCARICO" in there
    assert [line["leg"] for line in sender.json("cases", "--all")] == [leg]


@pytest.mark.feature("F002-31")
def test_the_history_of_a_case_outlives_the_operator_who_wrote_it(town):
    sender, receiver = town[SENDER], town[RECEIVER]
    leg = refer(town)
    receiver("open", leg, "--as", "OP")
    receiver("ask", leg, "--as", "OP", "--text", "chi accompagna?")
    town.carry()
    sender("answer", leg, "--as", "OP", "--text", "la nipote")
    town.carry()
    receiver("accept", leg, "--as", "OP")
    before = receiver.json("case", leg, "--as", "OP")
    receiver("operators", "disable", "OP", "--as", "RE")
    assert "unknown-operator" in receiver("case", leg, "--as", "OP", ok=False).stderr
    receiver.operators(NUOVO="RL-OPSPORT")
    after = receiver.json("case", leg, "--as", "NUOVO")
    assert after["steps"] == before["steps"] and after["offer"] == before["offer"]
    assert [(step["ev"], step.get("by")) for step in after["steps"] if step["writer"] == "R"] == [
        ("open", "OP"), ("ask", "OP"), ("accept", "OP"),
    ]  # fmt: skip
    receiver("close", leg, "--as", "NUOVO", "--outcome", "OU-EROGATO")
    town.carry()
    assert "OU-EROGATO" in sender("case", leg, "--as", "OP").stdout  # the effect of the work stays readable too
    assert receiver.json("case", leg, "--as", "NUOVO")["steps"][-1]["by"] == "NUOVO"


@pytest.mark.feature("F004-07")
def test_taking_in_charge_is_another_role_another_state_and_tells_only_that_it_began(town):
    sender, receiver, patronato = town[SENDER], town[RECEIVER], town["patr-fittizio-a"]
    leg = refer(town)
    receiver("open", leg, "--as", "OP")
    early = receiver("start", leg, "--as", "AS", ok=False)
    assert early.exit_code == 1 and "illegal-event" in early.stderr  # states: it follows an acceptance
    receiver("accept", leg, "--as", "OP")
    assert "role-forbidden" in receiver("start", leg, "--as", "OP", ok=False).stderr  # roles
    receiver("start", leg, "--as", "AS")
    town.carry()
    (line,) = sender.json("sent")
    assert (line["state"], line["code"]) == ("in-charge", "RS-INCARICO")
    step = sender.json("case", leg, "--as", "OP")["steps"][-1]
    assert step["ev"] == "start"
    assert not {"text", "ref", "outcome", "when"} & step.keys()  # data: only that it began
    other = sender.json("refer", "patr-fittizio-a", "--as", "OP", "--referral", "RK-SEGN", *PERSON, *BASIS)["leg"]
    town.carry()
    patronato("accept", other, "--as", "AS")
    refused = patronato("start", other, "--as", "AS", ok=False)
    assert "not-capable" in refused.stderr  # and only of a body that is admitted to do it


EXTERNAL = """ente;servizio;descrizione;destinatari;indirizzo;comune;telefono;orari;documenti;costo;aggiornato al
INPS;Sportello pensioni;Domande di pensione e prestazioni;tutti;Via Esempio Nazionale 9;Pesaro;0721 000777;lun-ven 9-12;documento di identità;gratuito;10/11/2026
"""


@pytest.fixture
def listing(town, tmp_path):
    """The town with its maps, and one body that is no member in the catalogue of a comune."""
    town["comune-tavullia"]("import", sheet("comune-tavullia"))
    town["distretto"]("import", sheet("distretto"))
    external = tmp_path / "esterni.csv"
    external.write_text(EXTERNAL, "utf-8")
    town["comune-pesaro"]("import", external)
    for node in town.nodes.values():
        node("publish")
    town.post()
    return town


@pytest.mark.feature("F001-28")
@pytest.mark.parametrize("name", ["INPS", "inps"])
def test_a_referral_to_a_body_without_a_desk_in_the_network_becomes_a_slip(listing, name):
    desk = listing[SENDER]
    done = desk("refer", name, "--as", "OP", "--referral", "RK-SEGN", *PERSON, *BASIS)
    assert "non è nella rete: nessun invio parte" in done.stderr
    for shown in ("FOGLIO DI ORIENTAMENTO", "INPS", "0721000777", "lun-ven 9-12", "documento di identità"):
        assert shown in done.stdout
    assert "Inventata" not in done.output
    assert desk.json("sent", "--all") == [] and listing.carry() == 0
    refused = desk("refer", name, "--as", "OP", "--referral", "RK-SEGN", *PERSON, *BASIS, "--json", ok=False)
    assert refused.exit_code == 1 and json.loads(refused.stdout)["code"] == "external-body"
    assert "unknown-recipient" in desk("refer", "nessuno", "--as", "OP", "--referral", "RK-SEGN", *PERSON, *BASIS,
                                       ok=False).stderr  # fmt: skip


@pytest.mark.feature("F003-05")
def test_from_the_question_to_the_slip_nobody_is_named_and_nothing_is_kept(listing, tmp_path):
    desk = listing[SENDER]
    before = raw_files(desk)
    (hit, *_) = desk.json("search", "pensione")["items"]
    out = tmp_path / "foglio.txt"
    desk("slip", hit["id"][:8], "--out", out)
    text = out.read_text("utf-8")
    assert hit["name"] in text and "Verificato il" in text and "Orari" in text
    asked = {name for param in cli.commands["slip"].params for name in param.opts}
    assert asked == {"id_", "--node", "--out", "--json"}  # nowhere to write who it is for
    assert raw_files(desk) == before  # not a byte of the store changed
    leg = desk.json("refer", RECEIVER, "--as", "OP", "--referral", "RK-INFO", "--subject", "none", "--need", "NA-ECON",
                    "--yes", "--description", "domanda senza persone")["leg"]  # fmt: skip
    listing.carry()
    for node in (desk, listing[RECEIVER]):
        assert "person" not in node.json("case", leg, "--as", "OP")["offer"]
        held = raw_files(node)
        assert b"Inventata" not in held and b"senza persone" not in held


@pytest.mark.feature("F003-15")
def test_nothing_is_added_to_a_sheet_once_the_person_is_in_charge_and_the_outcome_comes_back(town, tmp_path):
    sender, receiver = town[SENDER], town[RECEIVER]
    leg = refer(town)
    receiver("open", leg, "--as", "OP")
    receiver("accept", leg, "--as", "OP")
    town.carry()
    more = tmp_path / "scheda.json"
    offer = sender.json("case", leg, "--as", "OP")["offer"]
    more.write_text(json.dumps({**offer, "description": "prima della presa in carico"}))
    sender("amend", leg, "--as", "OP", "--file", more)
    town.carry()
    receiver("start", leg, "--as", "AS")
    town.carry()
    held = sender.json("case", leg, "--as", "OP")
    assert "amend" not in held["allowed"]
    more.write_text(json.dumps({**offer, "description": "dopo", "active_services": "un campo in più"}))
    paper = tmp_path / "isee.pdf"
    paper.write_bytes(b"%PDF-1.4\n%%EOF\n")
    for written in (("--file", more), ("--attach", paper)):
        refused = sender("amend", leg, "--as", "OP", *written, ok=False)
        assert refused.exit_code == 1 and "handed-over" in refused.stderr and "rectify" in refused.stderr
    assert town.carry() == 0
    assert sender.json("case", leg, "--as", "OP")["offer"] == held["offer"]
    receiver("ask", leg, "--as", "OP", "--text", "chi accompagna?")
    town.carry()
    sender("answer", leg, "--as", "OP", "--text", "la nipote")  # what the office asks is answered
    sender("rectify", leg, "--as", "OP", "--birth-year", "1950")  # and wrong data are put right (GDPR 16)
    receiver("close", leg, "--as", "AS", "--outcome", "OU-INCARICO")
    town.carry()
    last = sender.json("case", leg, "--as", "OP")
    assert (last["line"]["state"], last["steps"][-1]["outcome"]) == ("closed", "OU-INCARICO")
    assert last["allowed"] == []
    assert "illegal-event" in sender("amend", leg, "--as", "OP", "--file", more, ok=False).stderr


@pytest.mark.feature("F004-08")
def test_how_many_offices_came_before_the_right_one_is_counted_on_both_sides(town):
    sender, first, right = town[SENDER], town[RECEIVER], town["comune-pesaro"]
    assert "Ricevuti 0 0" in " ".join(sender("attempts").stdout.split())
    leg = refer(town, RECEIVER, "--offices-tried", "1")  # the person had been at one office before
    first("redirect", leg, "--as", "OP", "--reason", "DR-COMPTERR", "--to", "comune-pesaro")
    town.carry()
    second = sender.json("follow-redirect", leg, "--as", "OP")["leg"]  # the sender confirms
    town.carry()
    right("accept", second, "--as", "OP")
    third = refer(town)  # right at once, as far as anybody said
    first("accept", third, "--as", "OP")
    fourth = refer(town, RECEIVER, "--offices-tried", "0")
    first("accept", fourth, "--as", "OP")
    fifth = refer(town)
    first("decline", fifth, "--as", "OP", "--reason", "DR-POSTI")
    town.carry()
    sixth = refer(town, "comune-pesaro", "--linked-from", fifth)
    right("accept", sixth, "--as", "OP")
    town.carry()
    assert right.json("attempts") == [
        {"side": "R", "cases": 2, "known": 2, "mean": 1.5, "spread": [[1, 1], [2, 1]]},
        {"side": "S", "cases": 0, "known": 0, "mean": None, "spread": []},
    ]
    received, sent = sender.json("attempts")
    assert received["cases"] == 0
    assert sent == {"side": "S", "cases": 4, "known": 3, "mean": 1.0, "spread": [[0, 1], [1, 1], [2, 1]]}
    assert "Mandati 4 3 1,0 0: 1, 1: 1, 2: 1" in " ".join(sender("attempts").stdout.split())


ASKING = (
    "--requester-name", "Comitato Esempio Alto", "--requester-phone", "0721 000888",
    "--requester-email", "comitato@example.org",
)  # fmt: skip


@pytest.mark.feature("F003-06")
@pytest.mark.parametrize(("who", "subject"), [("group", "group"), ("body", "none")])
def test_a_group_or_a_body_asks_for_itself_and_no_person_is_named(town, who, subject):
    sender, receiver = town[SENDER], town[RECEIVER]
    leg = sender.json("refer", RECEIVER, "--as", "OP", "--referral", "RK-INFO", "--requester", who, *ASKING,
                      "--description", "chiede orari di visita")["leg"]  # fmt: skip
    town.carry()
    contact = {"who": who, "name": "Comitato Esempio Alto", "phone": "0721 000888", "email": "comitato@example.org"}
    for node in (sender, receiver):
        offer = node.json("case", leg, "--as", "OP")["offer"]
        assert (offer["subject"], offer["requester"]) == (subject, contact)
        assert not {"person", "reporter", "health", "basis"} & offer.keys()
        shown = node("case", leg, "--as", "OP").stdout
        assert "Comitato Esempio Alto" in shown and "0721 000888" in shown and "Gruppo o ente" in shown
        assert "Comitato" not in node("cases").stdout and b"Comitato" not in raw_files(node)
    receiver("accept", leg, "--as", "OP")
    receiver("close", leg, "--as", "OP", "--outcome", "OU-INFO", "--text", "martedì dalle 9")
    town.carry()
    assert "martedì dalle 9" in sender("case", leg, "--as", "OP").stdout


def test_a_group_that_asks_and_a_person_are_not_one_referral(town):
    sender = town[SENDER]
    base = ("refer", RECEIVER, "--as", "OP", "--referral", "RK-SEGN", "--requester", "group", *ASKING)
    for more, code in (
        (("--subject", "person"), "requester-not-allowed"), ((*PERSON, *BASIS), "person-not-allowed"),
        (("--requester-name", "x" * 201), "bad-shape"),
    ):  # fmt: skip
        refused = sender(*base, *more, ok=False)
        assert refused.exit_code == 1 and code in refused.stderr and "Comitato" not in refused.stderr
    assert "bad-shape" in sender("refer", RECEIVER, "--as", "OP", "--referral", "RK-SEGN", *ASKING, ok=False).stderr
    assert sender.json("sent", "--all") == []
