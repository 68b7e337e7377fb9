"""What the secretariat of a desk does and where it ends: rows of the feature list shown with the commands alone."""

import pytest

from tests.cli.test_case_commands import BASIS, PERSON, refer
from tests.cli.town import Town

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
