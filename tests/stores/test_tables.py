"""What every table of both programs has to keep to, so that a store is found sound after its owner died."""

import sqlite3

import pytest

from node.body import MIGRATIONS as NODE
from node.runtime.migrations import migrate
from registry.engine import MIGRATIONS as REGISTRY


@pytest.mark.parametrize("migrations", [NODE, REGISTRY], ids=["node", "registry"])
def test_the_key_of_a_table_without_rowid_is_its_first_columns(migrations):
    """SQLite before 3.42 takes other ones for damaged in quick_check, which runs after a kill."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db, migrations)
    made = db.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql LIKE '%WITHOUT ROWID%'"
    ).fetchall()
    assert made
    for name, _ in made:
        keys = [pk for *_, pk in db.execute(f"PRAGMA table_info({name})")]
        ordered = [pk for pk in keys if pk]
        assert keys[: len(ordered)] == sorted(ordered), name
