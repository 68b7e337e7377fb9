"""An upgrade from a released version, cut off before every single statement: by kill -9, and by a disk that fails.

Whatever was reached, the next start finishes the upgrade, and the store is the one an undisturbed upgrade makes.
"""

import os
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from node.body import MIGRATIONS as NODE
from node.runtime.store import Store
from protocol.errors import ProtocolError
from registry.engine import MIGRATIONS as REGISTRY
from tests.stores.test_old_stores import HERE, VERSIONS

OLD = [
    (HERE / version / f"{name}.db", REGISTRY if name == "bacheca" else NODE)
    for version in VERSIONS
    for name in ("bacheca", "distretto", "tavullia")
]
KILLED = 77
CONNECT = sqlite3.connect


def content(path):
    """Everything in a store: schema and rows. Its pages are whole, or this fails."""
    db = sqlite3.connect(path)
    try:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        return list(db.iterdump())
    finally:
        db.close()


def upgraded(path, migrations):
    Store.open(path, migrations, create=False).close()
    return content(path)


def fresh(old, folder, name):
    place = folder / str(name)
    place.mkdir(mode=0o700)
    return Path(shutil.copyfile(old, place / "raccordo.db"))


def counting(before):
    """sqlite3.connect whose connections call `before(statement)` as each statement begins."""

    def connect(*given, **named):
        conn = CONNECT(*given, **named)
        conn.set_trace_callback(before)
        return conn

    return connect


def statements_of(old, migrations, folder, monkeypatch):
    """The statements that an undisturbed upgrade runs, in order."""
    seen = []
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", counting(seen.append))
        Store.open(fresh(old, folder, "counted"), migrations, create=False).close()
    return seen


def killed_at(number, path, migrations):
    """An upgrade in a process of its own that is gone as its n-th statement begins: no rollback, no close, no goodbye."""
    pid = os.fork()
    if pid == 0:
        left = [number]

        def die(_):
            left[0] -= 1
            if left[0] < 0:
                os._exit(KILLED)

        try:
            sqlite3.connect = counting(die)
            Store.open(path, migrations, create=False).close()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize(("old", "migrations"), OLD, ids=lambda value: value.stem if isinstance(value, Path) else "")
def test_an_upgrade_killed_at_any_statement_is_finished_at_the_next_start(old, migrations, tmp_path, monkeypatch):
    whole = upgraded(fresh(old, tmp_path, "whole"), migrations)
    total = len(statements_of(old, migrations, tmp_path, monkeypatch))
    assert total > 20
    for number in range(total):
        path = fresh(old, tmp_path, number)
        assert killed_at(number, path, migrations) == KILLED
        assert upgraded(path, migrations) == whole, number
        shutil.rmtree(path.parent)


class FailingDisk(sqlite3.Connection):
    """Its n-th statement fails, as a disk does."""

    left = 0

    def execute(self, sql, *given):
        type(self).left -= 1
        if type(self).left == -1:
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *given)


@pytest.mark.parametrize(("old", "migrations"), OLD, ids=lambda value: value.stem if isinstance(value, Path) else "")
def test_an_upgrade_that_fails_at_any_statement_leaves_a_store_that_can_be_upgraded(
    old, migrations, tmp_path, monkeypatch
):
    whole = upgraded(fresh(old, tmp_path, "whole"), migrations)
    failed = 0
    while True:
        path = fresh(old, tmp_path, failed)
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", lambda *a, **kw: CONNECT(*a, **{**kw, "factory": FailingDisk}))
            FailingDisk.left = failed
            try:
                Store.open(path, migrations, create=False).close()
                break
            except (ProtocolError, sqlite3.Error):
                failed += 1
        assert upgraded(path, migrations) == whole, failed
        shutil.rmtree(path.parent)
    assert failed > 20
