"""Forwarding through the command lines of three desks: accepted, passed on, followed, come back with an outcome."""

import pytest

from tests.cli import town as towns
from tests.cli.test_attachment_commands import pdf
from tests.cli.test_case_commands import refer

SENDER, ROUTER, CHILD = "comune-tavullia", "comune-pesaro", "distretto"


@pytest.fixture
def town(tmp_path, monkeypatch):
    router = {**towns.BODIES[ROUTER], "caps": ["take-in-charge", "pis", "router"]}
    monkeypatch.setitem(towns.BODIES, ROUTER, router)
    made = towns.Town(tmp_path, SENDER, ROUTER, CHILD)
    for node in made.nodes.values():
        node.operators(OP="RL-OPSPORT", AS="RL-ASSOC", RE="RL-RESP", VO="RL-VOLONT")
    return made


def test_a_referral_passed_on_is_followed_by_who_sent_it_and_comes_back_with_its_outcome(town):
    sender, router, child_desk = town[SENDER], town[ROUTER], town[CHILD]
    leg = refer(town, ROUTER)
    refused = router("forward", leg, CHILD, "--as", "OP", ok=False)
    assert refused.exit_code == 1 and "Codice: forward-not-accepted" in refused.stderr and "«accept»" in refused.stderr
    router("accept", leg, "--as", "OP")
    done = router("forward", leg[-8:], CHILD, "--as", "OP", "--text", "solo ciò che serve al PUA").stdout
    assert "Inviata" in done or "invio" in done
    town.carry()
    (line,) = child_desk.json("inbox")
    child = line["leg"]
    child_desk("accept", child, "--as", "OP")
    town.carry()
    text = sender("case", leg, "--as", "OP").stdout
    assert "Se ne occupa adesso: distretto" in text and "accettata (RS-ACCETTATA)" in text
    assert "inoltrato" in router("release", leg, "--as", "OP", "--reason", "DR-POSTI", ok=False).stderr
    child_desk("close", child, "--as", "AS", "--outcome", "OU-INCARICO")
    town.carry()
    text = sender("case", leg, "--as", "OP").stdout
    assert "Conclusa, con esito" in text and "OU-INCARICO" in text


def test_an_office_that_may_not_forward_is_told_what_to_do_instead(town):
    leg = refer(town, CHILD)
    town[CHILD]("accept", leg, "--as", "OP")
    refused = town[CHILD]("forward", leg, ROUTER, "--as", "OP", ok=False)
    assert refused.exit_code == 1 and "not-a-router" in refused.stderr and "«redirect»" in refused.stderr


def test_an_end_without_an_outcome_is_an_alarm_in_words(town):
    router = town[ROUTER]
    leg = refer(town, ROUTER)
    router("accept", leg, "--as", "OP")
    child = router.json("forward", leg, CHILD, "--as", "OP")["leg"]
    town.carry()
    town[CHILD]("decline", child, "--as", "OP", "--reason", "DR-POSTI")
    town.carry()
    assert "inoltrare ad altri o lasciare l'invio" in router("alarms").stdout
    router("release", leg, "--as", "OP", "--reason", "DR-POSTI")


def test_a_basis_is_given_whole_or_not_at_all(town):
    leg = refer(town, ROUTER)
    town[ROUTER]("accept", leg, "--as", "OP")
    wrong = town[ROUTER]("forward", leg, CHILD, "--as", "OP", "--law", "GDPR 9(2)(a)", ok=False)
    assert wrong.exit_code == 2 and "--notice-date" in wrong.stderr


def test_only_the_attachments_that_are_named_go_to_the_next_office(town, tmp_path):
    sender, router, child_desk = town[SENDER], town[ROUTER], town[CHILD]
    papers = [pdf(tmp_path / f"carta {size}.pdf", size) for size in (3000, 4000)]
    leg = refer(town, ROUTER)
    for paper in papers:
        sender("amend", leg, "--as", "OP", "--attach", paper)
    town.carry()
    router("accept", leg, "--as", "OP")
    missing = router("forward", leg, CHILD, "--as", "OP", "--pass-attachment", "3", ok=False)
    assert missing.exit_code == 1 and "attachment-unknown" in missing.stderr
    router("forward", leg, CHILD, "--as", "OP", "--pass-attachment", "2")
    town.carry()
    child = child_desk.json("inbox")[0]["leg"]
    (line,) = child_desk.json("attachments", child, "--as", "OP")
    assert (line["name"], line["state"]) == ("carta 4000.pdf", "complete")
    child_desk("save-attachment", child, 1, "--as", "OP", "--to", tmp_path / "arrivato.pdf")
    assert (tmp_path / "arrivato.pdf").read_bytes() == papers[1].read_bytes()


@pytest.mark.parametrize("option", [("--service", "PUA"), ("--referral", "qualcosa"), ("--text", "x" * 601)])
def test_what_the_next_office_could_not_read_is_not_sent(town, option):
    leg = refer(town, ROUTER)
    town[ROUTER]("accept", leg, "--as", "OP")
    wrong = town[ROUTER]("forward", leg, CHILD, "--as", "OP", *option, ok=False)
    assert wrong.exit_code == 1 and "bad-shape" in wrong.stderr
    assert all(line["parent"] != leg for line in town[ROUTER].json("sent"))
