"""Schema steps of a store: each in its own transaction together with the record that it was done. Never edited later.

A step is a function of the connection. sqlite-utils may be imported *inside* one; never `executescript`, nor
`with conn:`, which commit: such a step is refused. Steps of SQL text are made by `script`.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from protocol.errors import ProtocolError


class Migration(NamedTuple):
    """`name` is unique and stays for ever, for example "exchange-001-outbox"."""

    name: str
    apply: Callable[[sqlite3.Connection], None]


def script(name: str, sql: str) -> Migration:
    """A step written as SQL statements separated by semicolons."""

    def apply(conn: sqlite3.Connection) -> None:
        for statement in statements(sql):
            conn.execute(statement)

    return Migration(name, apply)


def statements(sql: str) -> Iterator[str]:
    """Split SQL text after each complete statement (trigger bodies stay whole)."""
    pending = ""
    for piece in sql.split(";"):
        pending += piece + ";"
        if sqlite3.complete_statement(pending):
            if pending.strip(" \t\r\n;"):
                yield pending.strip()
            pending = ""
    if pending.strip(" \t\r\n;"):
        raise ValueError(f"incomplete statement: {pending.strip()[:60]}")


def migrate(conn: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Apply what is missing, in the order given. Interrupted anywhere, the next call goes on from there.

    Raises ProtocolError `store-newer` when the store knows steps that this program does not.
    """
    names = [migration.name for migration in migrations]
    if len(set(names)) != len(names):
        raise ValueError("two migrations have one name")
    conn.execute("CREATE TABLE IF NOT EXISTS _migrations (name TEXT PRIMARY KEY) WITHOUT ROWID")
    done = {str(row[0]) for row in conn.execute("SELECT name FROM _migrations")}
    if strangers := done - set(names):
        raise ProtocolError("store-newer", got=min(strangers))
    for migration in migrations:
        if migration.name not in done:
            _apply(conn, migration)


def _apply(conn: sqlite3.Connection, migration: Migration) -> None:
    conn.execute("BEGIN IMMEDIATE")
    try:
        migration.apply(conn)
        if not conn.in_transaction:
            raise RuntimeError(f"migration {migration.name} ended its own transaction")
        conn.execute("INSERT INTO _migrations (name) VALUES (?)", (migration.name,))
        conn.execute("COMMIT")
    except BaseException:
        if conn.in_transaction:
            conn.execute("ROLLBACK")
        raise
