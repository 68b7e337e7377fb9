"""Routing as a use case of the comune's node: the queue, the proposals for a case, the choice kept and carried out."""

import pytest

from tests.cli import town as towns
from tests.cli.test_case_commands import BASIS, PERSON
from tests.exchange.desks import raw_files

SENDER, ROUTER, CHILD = "comune-tavullia", "comune-pesaro", "distretto"
ASKED = ("--need", "NA-DOMIC", "--target", "TG-ANZNA", "--residence", "Pesaro", "--birth-year", "1941")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(towns.BODIES, ROUTER, {**towns.BODIES[ROUTER], "caps": ["take-in-charge", "pis", "router"]})
        made = towns.Town(tmp_path_factory.mktemp("rete"), SENDER, ROUTER, CHILD)
    for name, node in made.nodes.items():
        node.operators(OP="RL-OPSPORT", AS="RL-ASSOC", RE="RL-RESP", VO="RL-VOLONT", TE="RL-TECNICO")
        node("import", towns.sheet(name))
        node("publish")
    made.post()
    return made


@pytest.fixture
def case(network):
    """A referral accepted by the router; whatever is left in the queue is emptied afterwards."""
    made = network[SENDER].json(
        "refer", ROUTER, "--as", "OP", "--referral", "RK-SEGN", *ASKED, *PERSON, *BASIS, "--yes"
    )  # fmt: skip
    network.carry()
    network[ROUTER]("accept", made["leg"], "--as", "OP")
    network.carry()
    yield made["leg"]
    for line in network[ROUTER].json("to-route"):
        network[ROUTER]("release", line["leg"], "--as", "OP", "--reason", "DR-POSTI")
    network.carry()


def every(advice):
    return [*advice["first"], *advice["proposals"]]


def number(advice, node):
    return next(i for i, one in enumerate(every(advice), 1) if one["node"] == node)


def test_an_accepted_case_waits_in_the_queue_until_somebody_has_it(network, case):
    router = network[ROUTER]
    (line,) = router.json("to-route")
    assert (line["leg"], line["why"], line["tried"]) == (case, "new", [])
    text = router("to-route").stdout
    assert "da smistare" in text and case[-8:] in text and "Inventata" not in text
    advice = router.json("route", case, "--as", "OP")
    router("route", case, "--as", "OP", "--choose", number(advice, CHILD), "--why", "abita vicino")
    assert router.json("to-route") == []
    network.carry()
    child = network[CHILD].json("inbox")[-1]["leg"]
    network[CHILD]("decline", child, "--as", "OP", "--reason", "DR-POSTI")
    network.carry()
    (line,) = router.json("to-route")
    assert (line["why"], line["tried"]) == ("again", [CHILD])


def test_proposals_come_from_the_sheet_with_reasons_and_warnings_and_never_lead_back(network, case):
    advice = network[ROUTER].json("route", case, "--as", "OP")
    assert SENDER not in {one["node"] for one in every(advice)}
    assert all(one["reasons"] for one in advice["proposals"])
    assert any(one["warnings"] for one in advice["proposals"])
    shown = network[ROUTER]("route", case, "--as", "OP", "--limit", "2").stdout
    assert "Perché" in shown and "2." in shown and "3." not in shown


def test_the_choice_is_kept_with_what_was_proposed_and_why_another_was_chosen(network, case):
    router = network[ROUTER]
    advice = router.json("route", case, "--as", "OP")
    wanted = max(number(advice, CHILD), 2)
    assert every(advice)[wanted - 1]["node"] == CHILD
    refused = router("route", case, "--as", "OP", "--choose", wanted, ok=False)
    assert refused.exit_code == 1 and "perché non la prima proposta" in refused.stderr
    assert router.json("route", case, "--as", "OP", "--chosen") == []
    router("route", case, "--as", "OP", "--choose", wanted, "--why", "Zxqwmotivoriservato")
    (kept,) = router.json("route", case, "--as", "OP", "--chosen")
    assert (kept["by"], kept["node"], kept["rank"], kept["why"]) == ("OP", CHILD, wanted, "Zxqwmotivoriservato")
    assert [one["node"] for one in kept["proposed"]][:wanted] == [one["node"] for one in every(advice)][:wanted]
    assert kept["proposed"][wanted - 1]["service"] == kept["service"]
    assert "Zxqwmotivoriservato" in router("route", case, "--as", "OP", "--chosen").stdout
    body = router.open()
    try:
        assert b"Zxqwmotivoriservato" not in raw_files(body)
    finally:
        body.close()
    actions = {row["action"] for row in router.json("access-log", "--as", "RE", "--case", case)["rows"]}
    assert {"route", "forward"} <= actions


def test_a_service_of_our_own_is_chosen_without_sending_anything(network, case):
    router = network[ROUTER]
    advice = router.json("route", case, "--as", "OP")
    own = number(advice, ROUTER)
    told = router("route", case, "--as", "OP", "--choose", own, *(["--why", "lo seguiamo noi"] if own > 1 else []))
    assert "servizio di questo ente" in told.stdout
    assert router.json("to-route") == []
    assert router.json("sent") == [] or all(line["parent"] != case for line in router.json("sent"))
    assert router("route", case, "--as", "OP", "--choose", own, "--pass-attachment", "1", ok=False).exit_code == 1
    router("release", case, "--as", "OP", "--reason", "DR-POSTI")


def test_who_may_not_route_and_what_cannot_be_chosen(network, case):
    router = network[ROUTER]
    assert "role-forbidden" in router("route", case, "--as", "TE", ok=False).stderr
    assert "role-forbidden" in router("route", case, "--as", "VO", ok=False).stderr
    assert "unknown-code" in router("route", case, "--as", "OP", "--choose", "999", ok=False).stderr
    assert router("route", case, ok=False).exit_code == 2
    assert router("route", ok=False).exit_code == 2
    assert "not-a-router" in network[CHILD]("to-route", ok=False).stderr


def test_a_case_without_a_need_is_routed_with_the_one_the_operator_names(network):
    leg = network[SENDER].json("refer", ROUTER, "--as", "OP", "--referral", "RK-SEGN", *PERSON, *BASIS)["leg"]
    network.carry()
    router = network[ROUTER]
    router("accept", leg, "--as", "OP")
    assert "--need" in router("route", leg, "--as", "OP", ok=False).stderr
    assert router.json("route", leg, "--as", "OP", "--need", "NA-ECON")["proposals"]
    router("release", leg, "--as", "OP", "--reason", "DR-POSTI")
