"""What applications changed through the interface for administering: written with the effect, never changed."""

import sqlite3
from typing import Final

from node.runtime.migrations import script

MIGRATIONS: Final = (
    script(
        "admin-001-calls",
        """
-- What applications changed through the interface: codes only.
CREATE TABLE admin_call (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, app TEXT NOT NULL, command TEXT NOT NULL, node TEXT NOT NULL
) STRICT;
CREATE TRIGGER admin_call_kept BEFORE UPDATE ON admin_call BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER admin_call_stays BEFORE DELETE ON admin_call BEGIN SELECT RAISE(ABORT, 'append-only'); END;
""",
    ),
)


def write_down(tx: sqlite3.Connection, at: int, app: str, command: str, node: str) -> None:
    """In the transaction of the effect."""
    tx.execute("INSERT INTO admin_call (at, app, command, node) VALUES (?,?,?,?)", (at, app, command, node))
