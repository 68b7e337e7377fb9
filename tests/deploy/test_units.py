"""The services of deploy/systemd: accepted by systemd, closed as far as they say, and true to the programs they start."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.bundle.services import SECTION
from node.cli import cli
from registry.cli import main as registry

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
PROGRAMS = {"raccordo-node": cli, "raccordo-registry": registry}
EXPOSURE = 1.2
"""At most, of 10, as systemd-analyze reckons it; 9.6 is a service that says nothing."""


def lines(name):
    text = (UNITS / f"{name}.service").read_text("utf-8")
    return re.findall(r"^(\w+)=(.*)$", text, re.M)


def analyze(*words):
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("systemd-analyze is not installed here")
    done = subprocess.run([tool, "--no-pager", *map(str, words)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_systemd_accepts_a_unit_whose_program_is_installed(name, tmp_path):
    program = tmp_path / name
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = (UNITS / f"{name}.service").read_text("utf-8").replace(f"/opt/raccordo/bin/{name}", str(program))
    unit = tmp_path / f"{name}.service"
    unit.write_text(text)
    code, said = analyze("verify", unit)
    ours = [line for line in said.splitlines() if name in line]
    assert (code, ours) == (0, []), said


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_unit_leaves_little_exposed(name):
    code, said = analyze("security", "--offline=yes", f"--threshold={EXPOSURE * 10:.0f}", UNITS / f"{name}.service")
    if "unrecognized option" in said:
        pytest.skip("this systemd-analyze cannot look at a file")
    assert code == 0, said


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_unit_keeps_what_the_program_itself_asks_for(name):
    held = dict(lines(name))
    assert (held["StateDirectoryMode"], held["UMask"]) == ("0700", "0077"), "else it refuses to start"
    assert held["LimitCORE"] == "0"
    assert held["ExecStart"].split() == [
        f"/opt/raccordo/bin/{name}", "--dir", f"/var/lib/{held['StateDirectory']}", "serve",
    ]  # fmt: skip
    assert "serve" in PROGRAMS[name].commands
    assert held["Type"] == "notify", "the program says when it is ready"
    users = (UNITS / "raccordo.sysusers").read_text("utf-8")
    assert re.search(rf"^u {held['User']} .* /var/lib/{held['StateDirectory']}$", users, re.M)


def test_the_manual_installs_the_units_that_are_there():
    """`./run bundle --servizi` does it in a booted Debian; here: what it would type exists."""
    written = SECTION.search((ROOT / "docs" / "operare.md").read_text("utf-8"))["text"]
    named = re.findall(r"deploy/systemd/\S+", written)
    assert len(named) == 2 and all((ROOT / name).is_file() for name in named)
    held = dict(lines("raccordo-node"))
    assert f"-o {held['User']} " in written and f"/var/lib/{held['StateDirectory']}" in written


def test_the_two_programs_are_two_users_of_one_shape():
    """Whoever takes over one of them reads nothing of the other; and no hardening is forgotten in one."""
    node, board = (lines(name) for name in PROGRAMS)
    own = {"Description", "User", "Group", "ExecStart", "StateDirectory", "WorkingDirectory", "ConditionPathExists"}
    assert [one for one in node if one[0] not in own] == [one for one in board if one[0] not in own]
    assert dict(node)["User"] != dict(board)["User"]
