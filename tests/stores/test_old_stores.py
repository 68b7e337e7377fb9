"""Stores written by released versions open, show what they held and go on."""

import shutil
from pathlib import Path

import pytest

from node.body import MIGRATIONS
from node.map.ndjson import map_lines
from node.map.tables import SqliteMap
from node.runtime.store import Store
from registry.engine import MIGRATIONS as REGISTRY_MIGRATIONS
from registry.engine import RegistryEngine
from tests.exchange.desks import Ambito
from tests.registry import world as registry

HERE = Path(__file__).parent
VERSIONS = sorted(path.name for path in HERE.iterdir() if (path / "bacheca.db").exists())


@pytest.fixture(params=VERSIONS)
def folder(request):
    return HERE / request.param


def test_every_released_version_has_its_stores():
    assert "0_1_0" in VERSIONS


def test_the_desks_of_an_old_version_go_on_where_they_were(folder, tmp_path):
    for name in ("tavullia", "distretto"):
        (tmp_path / name).mkdir(mode=0o700)
        shutil.copyfile(folder / f"{name}.db", tmp_path / name / "raccordo.db")
    ambito = Ambito(tmp_path, "tavullia", "distretto", migrations=MIGRATIONS, session=99)
    a, b = ambito["tavullia"], ambito["distretto"]
    assert sorted(line.state for line in a.cases(all_=True)) == ["asked", "closed"]
    asked = next(line.leg for line in a.cases() if line.state == "asked")
    assert a.case(asked).offer.description == "corretta"
    assert [step.text for step in a.case(asked).steps if step.ev == "ask"] == ["domanda di prova"]
    assert ambito.carry() == 1, "the amendment that was waiting in the outbox"
    assert b.case(asked).offer.description == "corretta"
    a.act(asked, "answer", as_="OP", text="risposta di prova")
    ambito.carry()
    b.act(asked, "accept")
    ambito.carry()
    assert {d.one("SELECT state FROM leg WHERE leg = ?", asked) for d in (a, b)} == {"accepted"}
    fresh = a.refer("distretto").leg
    ambito.carry()
    assert b.one("SELECT state FROM leg WHERE leg = ?", fresh) == "offered"


def test_the_board_of_an_old_version_serves_the_same_map_and_goes_on(folder, tmp_path):
    shutil.copyfile(folder / "bacheca.db", tmp_path / "bacheca.db")
    made = registry.World(seed=7, found=False)
    made.store.close()
    made.store = Store.open(tmp_path / "bacheca.db", REGISTRY_MIGRATIONS)
    # the same keys: drawn from the same seed in the same order as when the store was written
    twin = registry.World(seed=7)
    made.keystore = twin.keystore
    made.engine = RegistryEngine(suite=registry.S1, clock=made.clock, dice=made.dice, keystore=twin.keystore)
    lines = made.read(lambda db: list(map_lines(SqliteMap(db).entries(), "members")))
    assert len(lines) == 3 and sum(b'"vis":"network"' in line for line in lines) == 1
    assert sorted(made.members.members) == ["comune-tavullia", "ts-dispensa"]
    size = made.read(lambda db: made.engine.log_page(db, 0)).size
    made.run(lambda tx: made.engine.suspend(tx, "ts-dispensa"))
    assert made.members.member("ts-dispensa").status == "suspended"
    assert made.read(lambda db: made.engine.log_page(db, 0)).size > size
    twin.close()
    made.close()
