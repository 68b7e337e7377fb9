"""The two guides, executed word by word by a user without privileges, with the programs as they are installed.

`./run bundle --prova` does the same in an empty Debian without network, from the bundle.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import pytest

from deploy.bundle.build import own_wheel
from deploy.bundle.guides import PART
from node.cli import cli
from registry.cli import main as registry

ROOT = Path(__file__).resolve().parents[2]
GUIDES = [ROOT / "docs" / name for name in ("registro-in-unora.md", "nodo-in-dieci-minuti.md")]
NOBODY = 54321 if os.name == "posix" and os.geteuid() == 0 else None
"""Whoever runs the tests as root runs the guides as a number without a name."""


def as_nobody(line, **given):
    who = {} if NOBODY is None else {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return subprocess.run(line, capture_output=True, text=True, check=False, **who, **given)


def usable_python():
    """This Python, or another of the same version that a user without privileges may run."""
    for candidate in (sys.executable, os.path.realpath(sys.executable), "/usr/bin/python3"):
        try:
            said = as_nobody([candidate, "-c", "import sys; print(sys.version_info[:2])"], cwd="/").stdout
        except OSError:
            continue
        if said.strip() == str(sys.version_info[:2]):
            return candidate
    return None


@pytest.fixture
def room():
    """A directory that another user may enter, unlike those of pytest."""
    place = Path(tempfile.mkdtemp(prefix="raccordo-guide-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place, ignore_errors=True)


def installed(room, python):
    """Our wheel unpacked, the libraries of these tests beside it, and the two commands."""
    with zipfile.ZipFile(own_wheel(room / "wheel")) as archive:
        archive.extractall(room / "lib")
    libraries = os.pathsep.join([str(room / "lib"), sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]])
    commands = room / "bin"
    commands.mkdir()
    for name, module in (("raccordo-node", "node.cli"), ("raccordo-registry", "registry.cli")):
        path = commands / name
        path.write_text(f'#!/bin/sh\nPYTHONPATH="{libraries}" exec {python} -m {module} "$@"\n')
        path.chmod(0o755)
    return commands


@pytest.mark.feature("F004-16")
@pytest.mark.xdist_group("processes")
@pytest.mark.skipif(os.name != "posix", reason="the guides are for a shell")
def test_every_command_of_both_guides_works_for_a_user_without_privileges(room):
    python = usable_python()
    if python is None:
        pytest.skip("no Python of this version that a user without privileges may run")
    commands = installed(room, python)
    home = room / "casa"
    home.mkdir()
    if NOBODY is not None:
        os.chown(home, NOBODY, NOBODY)
    environment = {
        "HOME": str(home), "PATH": f"{commands}:/usr/bin:/bin", "RACCORDO_LANG": "it", "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    for page in GUIDES:
        shutil.copy(page, room)
    runner = shutil.copy(ROOT / "deploy" / "bundle" / "guides.py", room)
    line = [python, runner, *(str(room / page.name) for page in GUIDES), str(home / "prova")]
    done = as_nobody(
        [*line, "INDIRIZZO=http://127.0.0.1:8471", "PROVA=--plain-loopback"], env=environment, cwd=home, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (NOBODY is None) or f"utente {NOBODY}." in done.stdout
    counted = [int(number) for number in re.findall(r"\d+", done.stdout.split("utente")[0])]
    assert counted == [written(page) for page in GUIDES], "not one was left out"
    trail = b"".join(path.read_bytes() for path in home.rglob("*.log"))
    assert b"Traceback" not in trail and b'"internal"' not in trail


def written(page):
    """Commands that stand in a guide."""
    blocks = [part["text"] for part in PART.finditer(page.read_text("utf-8")) if part["text"]]
    return sum(len(re.findall(r"^raccordo-", block, re.M)) for block in blocks)


def test_every_shell_block_of_a_guide_is_one_that_is_executed():
    for page in GUIDES:
        text = page.read_text("utf-8")
        blocks = [part for part in PART.finditer(text) if part["text"]]
        assert len(blocks) == len(re.findall(r"^```sh", text, re.M)) == text.count("```") // 2
        assert {part["kind"] for part in blocks} <= {"", "variabili", "resta"}


def test_a_guide_names_commands_that_exist():
    for page in GUIDES:
        for program, word in re.findall(r"\b(raccordo-(?:node|registry)) ([a-z]+)", page.read_text("utf-8")):
            assert word in {"raccordo-node": cli, "raccordo-registry": registry}[program].commands, (page.name, word)
