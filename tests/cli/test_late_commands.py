"""late, times, still-needed and needed through the command lines of two desks; the emergency that is telephoned first."""

import pytest

from tests.cli.test_case_commands import BASIS, PERSON, refer
from tests.cli.town import NOON, Clock, Town, sheet

SENDER, RECEIVER = "comune-tavullia", "distretto"
HOUR, DAY = 3600, 86400


@pytest.fixture
def town(tmp_path, monkeypatch):
    monkeypatch.setattr("node.body.SystemClock", Clock)
    monkeypatch.setattr(Clock, "at", NOON)
    made = Town(tmp_path, SENDER, RECEIVER, "comune-pesaro")
    for node in made.nodes.values():
        node.operators(OP="RL-OPSPORT", AS="RL-ASSOC", RE="RL-RESP")
    return made


def test_what_is_late_is_said_on_both_sides_with_what_to_do(town):
    sender, receiver = town[SENDER], town[RECEIVER]
    assert sender("late").stdout.strip() == "Nulla in ritardo."
    leg = refer(town, RECEIVER, "--urgency", "UR-72")
    Clock.at += 20 * DAY
    ours, theirs = (" ".join(each("late").stdout.split()) for each in (sender, receiver))
    assert "Mandati" in ours and "Nessuno l'ha ancora aperto" in ours and "Telefonare all'ufficio" in ours
    assert "Ricevuti" in theirs and f"«open {leg[-8:]}»" in theirs
    assert "Inventata" not in ours + theirs


def wait(town):
    leg = refer(town)
    for step in (("accept",), ("waitlist",)):
        town[RECEIVER](*step, leg, "--as", "OP")
    town.carry()
    Clock.at += 91 * DAY
    return leg


def test_a_long_wait_is_asked_about_with_one_command_and_answered_with_one(town):
    sender, receiver = town[SENDER], town[RECEIVER]
    leg = wait(town)
    assert f"«still-needed {leg[-8:]}»" in receiver("late").stdout
    receiver("still-needed", leg, "--as", "OP")
    town.carry()
    assert f"«needed {leg[-8:]}»" in sender("late").stdout
    assert sender("needed", leg, "--as", "OP", ok=False).exit_code == 2
    sender("needed", leg, "--as", "OP", "--yes")
    town.carry()
    assert sender("late").stdout.strip() == receiver("late").stdout.strip() == "Nulla in ritardo."
    assert receiver.json("case", leg, "--as", "OP")["line"]["state"] == "waiting"


def test_no_longer_needed_withdraws_and_the_receiver_ends_it(town):
    sender, receiver = town[SENDER], town[RECEIVER]
    leg = wait(town)
    receiver("still-needed", leg, "--as", "OP")
    town.carry()
    sender("needed", leg, "--as", "OP", "--no")
    town.carry()
    held = receiver.json("case", leg, "--as", "OP")
    assert held["line"]["state"] == "cancel-requested"
    assert held["steps"][-1]["reason"] == "no-longer-needed"
    receiver("release", leg, "--as", "OP", "--reason", "cancel-agreed")
    town.carry()
    assert sender.json("case", leg, "--as", "OP")["line"]["state"] == "cancelled"


@pytest.mark.feature("F000-13")
def test_measured_times_and_the_overdue_list_match_a_hand_calculation(town):
    receiver = town[RECEIVER]
    assert receiver("times").stdout.strip() == "Nessun invio ricevuto."
    legs = [refer(town, RECEIVER, "--urgency", "UR-72") for _ in range(5)]
    for number, leg in enumerate(legs[:4], 1):  # answered 1, 3, 6 and 10 hours after they came
        Clock.at += number * HOUR
        receiver("accept", leg, "--as", "OP")
    receiver("start", legs[0], "--as", "AS")
    Clock.at += 90 * HOUR
    (found,) = receiver.json("times")
    assert (found["answered"], found["within"], found["waiting"], found["oldest"]) == (4, 4, 1, NOON)
    assert (found["answer_median"], found["answer_p90"]) == (4.5 * HOUR, 10 * HOUR)
    assert (found["started"], found["start_median"], found["start_p90"]) == (1, 10 * HOUR, 10 * HOUR)
    assert "4h30" in receiver("times").stdout and "10h00" in receiver("times").stdout
    assert [one["leg"] for one in receiver.json("late")] == [legs[4]]


@pytest.mark.feature("F000-38")
def test_an_emergency_shows_the_telephone_first_and_is_queued_and_sent_once(town):
    """The network is down: nothing is carried until later. The telephone is in the replica on this computer."""
    sender, pesaro = town[SENDER], town["comune-pesaro"]
    pesaro("import", sheet("comune-pesaro"))
    pesaro("publish")
    town.post()
    pis = next(one for one in sender.json("route", "--need", "NA-EMERG", "--urgency", "UR-PIS")["proposals"]
               if one["telephone_first"])  # fmt: skip
    told = sender(
        "refer", pis["node"], "--as", "OP", "--referral", "RK-PIS", "--urgency", "UR-PIS", "--need", "NA-EMERG",
        "--service", pis["service"], "--said-by-voice", "21/11/2026 12:25", *PERSON, *BASIS, "--yes",
    )  # fmt: skip
    assert "PRIMA TELEFONARE" in told.stderr and pis["phones"][0] in told.stderr
    assert "In partenza: 1" in sender("status").stdout
    assert town.carry() == 1
    assert town.carry() == 0
    (line,) = pesaro.json("inbox")
    assert pesaro.json("case", line["leg"], "--as", "OP")["offer"]["by_voice_at"]


@pytest.mark.feature("F002-18")
def test_linked_referrals_of_one_person_show_each_office_only_its_own_text(town):
    sender = town[SENDER]
    first = refer(town, RECEIVER, "--description", "testo per il distretto")
    second = refer(town, "comune-pesaro", "--description", "testo per il comune", "--linked-from", first)
    assert sender.json("case", second, "--as", "OP")["line"]["linked_from"] == first
    for name, leg, own, other in (
        (RECEIVER, first, "distretto", "comune"), ("comune-pesaro", second, "comune", "distretto"),
    ):  # fmt: skip
        shown = town[name]("case", leg, "--as", "OP").stdout
        assert f"testo per il {own}" in shown and f"testo per il {other}" not in shown
        assert len(town[name].json("cases")) == 1


@pytest.mark.feature("F004-15")
def test_a_technician_cannot_open_a_case(town):
    leg = refer(town)
    town[RECEIVER].operators(TE="RL-TECNICO")
    refused = town[RECEIVER]("case", leg, "--as", "TE", ok=False)
    assert refused.exit_code == 1 and "role-forbidden" in refused.stderr and "Inventata" not in refused.output
