"""The commands of «Le copie di sicurezza» in docs/operare.md, run in their order as they are written there."""

import json
import re
import shutil
import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from node.cli import cli
from node.runtime.config import NodeConfig
from registry.cli import main
from tests.backup.desks import Desks
from tests.backup.test_restored import Board, serve

PAGE = (Path(__file__).parents[2] / "docs" / "operare.md").read_text("utf-8")
SECTION = PAGE[PAGE.index("## Le copie di sicurezza") :]
BLOCKS = re.findall(r"```sh\n(.*?)```", SECTION, re.S)
LINES = [line.partition("#")[0].split() for block in BLOCKS for line in block.splitlines() if line.strip()]
PHRASE = "una frase per le copie"


def said(program, words, names, stdin=None):
    for was, now in names.items():
        words = [word.replace(was, str(now)) for word in words]
    result = CliRunner().invoke(program, words[1:], input=stdin)
    assert result.exit_code == 0, (words, result.output, result.stderr, result.exception)
    return result.stdout


def test_the_page_shows_these_commands_in_this_order():
    assert [[word for word in line if not word.startswith("/")][:4] for line in LINES] == [
        ["raccordo-node", "--dir", "backup", "--to"],
        ["raccordo-node", "--dir", "backup", "verify"],
        ["raccordo-node", "backup", "key", "--out"],
        ["raccordo-node", "restore", "--into"],
        ["raccordo-node", "--dir", "restore", "--confirm-peer"],
        ["raccordo-registry", "restore", "--into"],
        ["raccordo-node", "--dir", "seen", "--out"],
        ["raccordo-registry", "--dir", "restore", "--seen"],
        ["raccordo-registry", "--dir", "serve"],
    ]


def test_a_node_comes_back_by_the_page(tmp_path):
    desks = Desks(tmp_path)
    desks.refer("a", "b")
    desks.coordinator("a")
    names = {"/srv/raccordo": desks.path("a"), "/mnt/copie": desks.copies, "/media/chiavetta": tmp_path,
             "comune-pesaro": "b", "OP-01": "CO"}  # fmt: skip
    said(cli, LINES[0], names, f"{PHRASE}\n{PHRASE}\n")
    (file,) = desks.copies.glob("*.copia")
    names["FILE"] = file.name
    assert "invii: 1" in said(cli, LINES[1], names, f"{PHRASE}\n")
    said(cli, LINES[2], names)
    shutil.rmtree(desks.path("a"))
    assert "Enti da sentire" in said(cli, LINES[3], names, f"{PHRASE}\n")
    assert "si lavora come prima" in said(cli, LINES[4], names)


def test_a_registry_comes_back_by_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    board = Board(tmp_path)
    seen = board.seen()
    file = Path(board.backup())
    names = {"/mnt/copie/FILE": file, "/srv/bacheca": tmp_path / "nuova", "visto.json": seen}
    said(main, [*LINES[5], "--key-file", str(board.key)], names)
    said(main, LINES[7], names)
    assert serve(tmp_path / "nuova")[0] is None


@pytest.mark.parametrize("follows", [True, False], ids=["following", "not yet"])
def test_a_member_writes_what_it_has_seen(tmp_path, follows):
    desks = Desks(tmp_path)
    if follows:
        desks.run("a", lambda tx, _: tx.execute("UPDATE follow_state SET note = 'sigillo'"))
    out = tmp_path / "visto.json"
    result = CliRunner().invoke(cli, ["--dir", str(desks.path("a")), "seen", "--out", str(out)])
    assert (result.exit_code == 0) is follows
    if follows:
        held = json.loads(out.read_text())
        assert held["note"] == "sigillo" and held["members"].count(".") == 2


def test_the_configuration_the_page_shows_is_read():
    (toml,) = re.findall(r"```toml-backup\n(.*?)```", SECTION, re.S)
    config = msgspec.convert({"data_dir": ".", "bodies": [{"id": "x"}], **tomllib.loads(toml)}, NodeConfig)
    assert config.backup.to == "/mnt/copie"
