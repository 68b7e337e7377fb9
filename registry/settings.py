"""The `setting` table: single values by name. Not what they mean."""

import sqlite3


def setting(db: sqlite3.Connection, name: str, default: str = "") -> str:
    """One value of the `setting` table."""
    row = db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else default


def set_setting(tx: sqlite3.Connection, name: str, value: str) -> None:
    """Writes one value of the `setting` table."""
    tx.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))
