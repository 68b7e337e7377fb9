"""Operators: local codes with a role, and what each role may do. Names of people are not kept here.

Passwords and sessions come with the console; until then whoever holds the local token may act `--as` a code.
"""

import sqlite3
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from node.runtime.migrations import script
from protocol.errors import ProtocolError
from protocol.referral import RECEIVER_KINDS, SENDER_KINDS
from schemas.vocabularies import table

MIGRATIONS = (
    script(
        "cases_001_operators",
        """
CREATE TABLE operator (code TEXT PRIMARY KEY, role TEXT NOT NULL, desk TEXT, active INTEGER NOT NULL DEFAULT 1,
  added INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE assignment (leg TEXT NOT NULL, code TEXT NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (leg, code)) WITHOUT ROWID;
""",
    ),
)

_DESK: Final = frozenset((*SENDER_KINDS, *RECEIVER_KINDS)) - {"start", "forwarded"}
_CASE: Final = frozenset({"hand-over", "forward", "recall", "rectify"})
_MANAGE: Final = frozenset({"operators", "assign", "publish", "import", "confirm-peer", "confirm-key"})
_ERASE: Final = frozenset({"erase", "erase-answer", "limit", "person"})
_WHOLE: Final = frozenset({"keys", "export", "leave"})  # about the body as a whole
# What a role may do at its own body: event kinds, and read (open a person's sheet), hand-over, forward, assign,
# operators, import, publish, access-log, and for the rights of the person erase, erase-answer, recall, rectify, limit,
# read-limited, person, retention. roles.csv says who may see person data; taking in charge is for social workers
# (F000-17, F004-07).
RIGHTS: Final[Mapping[str, frozenset[str]]] = {
    "RL-OPSPORT": _DESK | _CASE | {"read", "import", "confirm-key"},
    "RL-COORDSPORT": _DESK | _CASE | {"read"} | _MANAGE | _ERASE,
    "RL-ASSOC": _DESK | _CASE | {"start", "read", "confirm-key"},
    "RL-RESP": _DESK | _CASE | _MANAGE | _ERASE | _WHOLE | {"start", "read", "access-log", "read-limited", "retention"},
    "RL-VOLONT": _DESK | {"read", "recall"},
    "RL-REFNODO": frozenset({"publish", "import"}),
    "RL-TECNICO": frozenset({"operators", "keys"}),
    "RL-DPO": frozenset({"access-log"}),
    "RL-DISF": frozenset(),
}
ONLY_ASSIGNED: Final = frozenset({"RL-VOLONT"})
APP_ALONE: Final = frozenset({"import", "publish"})  # what an application may do for no operator in particular
APP: Final = "app"  # in the place of a role


class Operator(Struct, frozen=True):
    """A code, its role (RL-…), the desk it sits at, whether it may still act."""

    code: str
    role: str
    desk: str | None
    active: bool


def add(tx: sqlite3.Connection, code: str, role: str, desk: str | None, now: int) -> Operator:
    """Adds or changes an operator. Raises unknown-code for a role that cannot act at a node."""
    if role not in RIGHTS:
        known = " ".join(sorted(set(table("roles")) & set(RIGHTS)))
        raise ProtocolError("unknown-code", field="role", expected=known, got=role)
    if not code or len(code) > 32 or not code.isprintable() or "/" in code:
        raise ProtocolError("bad-shape", field="code", expected="1 to 32 printable characters")
    tx.execute(
        "INSERT INTO operator (code, role, desk, active, added) VALUES (?,?,?,1,?)"
        " ON CONFLICT (code) DO UPDATE SET role = excluded.role, desk = excluded.desk, active = 1",
        (code, role, desk, now),
    )
    return Operator(code, role, desk, True)


def disable(tx: sqlite3.Connection, code: str) -> None:
    """The code can no longer act; what it signed stays valid."""
    if tx.execute("UPDATE operator SET active = 0 WHERE code = ?", (code,)).rowcount == 0:
        raise ProtocolError("unknown-operator", got=code)


def everybody(db: sqlite3.Connection) -> list[Operator]:
    """All codes, in order."""
    rows = db.execute("SELECT code, role, desk, active FROM operator ORDER BY code")
    return [Operator(code, role, desk, bool(active)) for code, role, desk, active in rows]


def require(db: sqlite3.Connection, code: str, action: str, leg: str | None = None) -> Operator:
    """The operator, if it may do `action` (on `leg`). Raises unknown-operator, role-forbidden.

    `code` may be "app/code": an application that acts for an operator has its rights, and never opens a referral
    (person-only); "app/" acts by itself.
    """
    app, slash, acting = code.rpartition("/")
    if slash:
        return _require_app(db, app, acting, action, leg)
    row = db.execute("SELECT code, role, desk, active FROM operator WHERE code = ?", (code,)).fetchone()
    if row is None or not row[3]:
        raise ProtocolError("unknown-operator", got=code)
    operator = Operator(row[0], row[1], row[2], True)
    if action not in RIGHTS[operator.role]:
        raise ProtocolError("role-forbidden", field=action, got=operator.role)
    if leg is not None and operator.role in ONLY_ASSIGNED and not _assigned(db, leg, code):
        raise ProtocolError("role-forbidden", field=action, got=operator.role, expected="assigned")
    return operator


def _require_app(db: sqlite3.Connection, app: str, code: str, action: str, leg: str | None) -> Operator:
    if db.execute("SELECT 1 FROM app WHERE id = ? AND revoked IS NULL", (app,)).fetchone() is None:
        raise ProtocolError("unknown-operator", got=app)
    if action == "open":
        raise ProtocolError("person-only")
    if code:
        return require(db, code, action, leg)
    if action not in APP_ALONE:
        raise ProtocolError("role-forbidden", field=action, got=APP)
    return Operator(app, APP, None, True)


def assign(tx: sqlite3.Connection, leg: str, code: str, now: int) -> None:
    """Gives a case to an operator; who sees only what is assigned keeps what it sent."""
    tx.execute("INSERT INTO assignment VALUES (?,?,?) ON CONFLICT DO NOTHING", (leg, code, now))


def _assigned(db: sqlite3.Connection, leg: str, code: str) -> bool:
    return db.execute("SELECT 1 FROM assignment WHERE leg = ? AND code = ?", (leg, code)).fetchone() is not None
