"""The throw-away network: what the partner decides, and the real command with its processes, from start to Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from node import sandbox_partner
from node.sandbox_partner import DESKS, Move, behaviour, next_move
from protocol.referral import TRANSITIONS
from schemas.vocabularies import table
from tests.cli.town import run as in_process

# -- the table


def test_the_service_named_says_what_happens_then_the_category_then_an_answer():
    for desk in DESKS:
        assert behaviour(desk.service, None) == behaviour(None, desk.category) == desk.behaviour
        assert behaviour(desk.service, "SC-BUONI") == desk.behaviour, "the service says it, not the category"
    assert (
        behaviour(None, None) == behaviour("Servizio di altri", "SC-BUONI") == behaviour(None, "SC-NIDO") == "answers"
    )
    assert {desk.behaviour for desk in DESKS} == set(sandbox_partner.Behaviour.__args__)
    assert all(desk.category in table("service_categories") for desk in DESKS)


def lived(kind, answers_of_sender=(), late_after=0.0):
    """The states a referral goes through when only the partner and the sender's listed events write."""
    state, written, seen, pending = "offered", [], ["offered"], list(answers_of_sender)
    for _ in range(10):
        move = next_move(kind, state, written, age=1.0, late_after=late_after)
        if move is None and not pending:
            break
        writer, ev = ("R", move.ev) if move else ("S", pending.pop(0))
        if move:
            written.append(ev)
        state = TRANSITIONS[state, writer, ev]
        seen.append(state)
    return seen


def test_each_behaviour_is_a_legal_life_of_a_referral():
    assert lived("answers") == ["offered", "opened", "accepted", "in-charge", "closed"]
    assert lived("asks") == ["offered", "opened", "asked"]
    assert lived("asks", ["answer"]) == ["offered", "opened", "asked", "opened", "accepted"]
    assert lived("declines") == ["offered", "opened", "declined"]
    assert lived("late", late_after=600) == ["offered"]
    assert lived("late", late_after=0.5) == ["offered", "opened", "accepted"]
    assert lived("late", ["cancel"], late_after=600) == ["offered", "cancelled"]
    assert next_move("late", "cancel-requested", ["open", "accept"], 1.0, 0.5) == Move("release", {})


# -- the command


def left():
    """Directories of sandboxes that nobody removed."""
    return set(Path(tempfile.gettempdir()).glob("raccordo-sandbox-*"))


def run(*words):
    line = [sys.executable, "-m", "node.cli", *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)


def processes_in(folder):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [path.parent.name] if str(folder).encode() in path.read_bytes() else []
        except OSError:
            continue
    return found


@pytest.mark.xdist_group("processes")
def test_once_meets_all_four_behaviours_and_leaves_nothing_behind():
    before = left()
    done = run("--json", "sandbox", "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout) == {"proved": ["answers", "asks", "declines", "late"]}
    assert left() <= before


@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize("goodbye", [signal.SIGINT, signal.SIGTERM])
def test_a_vendor_talks_to_it_until_ctrl_c(goodbye):
    """The lines it prints are typed as they stand; the doctor of a network that works finds it well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "node.cli", "sandbox"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    printed = ""
    try:
        for line in process.stdout:
            printed += line
            if line.startswith("Ctrl-C"):
                break
        commands = [line.split()[1:] for line in printed.splitlines() if line.startswith("  raccordo-node ")]
        assert [words[2] for words in commands] == ["search", "refer", "sent", "doctor"]
        folder = Path(commands[0][1]).parent
        answers = {words[2]: run(*words) for words in commands}
        assert {name: one.returncode for name, one in answers.items()} == dict.fromkeys(answers, 0), answers
        assert "Partner di" in answers["sent"].stdout
        found = json.loads(run("--dir", str(folder / "ente-di-prova"), "doctor", "--json").stdout)
        assert {one["name"] for one in found if one["grade"] != "ok"} == {"copie", "chiavi dell'ente"}, found
        assert {"bacheca", "programma", "porte", "proxy", "elenco", "età delle chiavi", "coda"} <= {
            one["name"] for one in found
        }
        assert re.search(r"http://127\.0\.0\.1:\d+/local/v1", printed)
        assert len(processes_in(folder)) == 3
    finally:
        process.send_signal(goodbye)
        process.stdout.read()
        process.stdout.close()
        assert process.wait(60) == 0
    assert not folder.exists() and processes_in(folder) == []


def test_its_help_names_what_it_does():
    text = in_process("sandbox", "--help").stdout
    assert "--once" in text and "--late" in text
