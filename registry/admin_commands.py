"""The commands of the interface for administering, as rows: applications, and what only it shows. No rules."""

import sqlite3
from typing import Final

from node.runtime import apps
from protocol.limits import DAY
from registry import log, quota
from registry.admin_asking import SCOPES, AppAdd, AppName, Call, LogView, QuotaRow, StatementRow, Who
from registry.asking import Nothing
from registry.engine import RegistryEngine

Db = sqlite3.Connection
MOST: Final = 10_000  # lines of what applications did that are shown


def _app_add(tx: Db, engine: RegistryEngine, ask: AppAdd) -> apps.Issued:
    board = engine.board
    return apps.add(tx, ask.id, ask.scopes, SCOPES, ask.days, board.clock.now(), board.dice.bytes(32))


def _apps(db: Db, engine: RegistryEngine, _: Nothing) -> list[apps.App]:
    return apps.listing(db, engine.board.clock.now())


def _app_revoke(tx: Db, engine: RegistryEngine, ask: AppName) -> apps.App:
    return apps.revoke(tx, ask.id, engine.board.clock.now())


def _application(db: Db, _: RegistryEngine, ask: Who) -> apps.Known:
    return apps.known(db, ask.app)


def _log(db: Db, _: RegistryEngine, __: Nothing) -> LogView:
    return LogView(*log.head(db))


def _statements(db: Db, engine: RegistryEngine, _: Nothing) -> list[StatementRow]:
    found = db.execute(
        "SELECT admission.node, (SELECT COUNT(*) FROM key_statement k WHERE k.node = admission.node"
        " AND k.first = admission.first), MAX(n), MAX(since) FROM admission JOIN routes USING (node, first)"
        " WHERE place = 'current' GROUP BY admission.node ORDER BY admission.node"
    )
    return [StatementRow(*row) for row in found]


def _quotas(db: Db, engine: RegistryEngine, _: Nothing) -> list[QuotaRow]:
    today = engine.board.clock.now() // DAY
    found = db.execute("SELECT node, what, n FROM quota WHERE day = ? ORDER BY node, what", (today,))
    return [QuotaRow(node, what, used, quota.A_DAY[what]) for node, what, used in found]


def _calls(db: Db, _: RegistryEngine, __: Nothing) -> list[Call]:
    found = db.execute("SELECT at, app, command, node FROM admin_call ORDER BY id DESC LIMIT ?", (MOST,))
    return [Call(*row) for row in found]


ROWS: Final = {
    "app-add": (AppAdd, _app_add),
    "apps": (Nothing, _apps, False),
    "app-revoke": (AppName, _app_revoke),
    "application": (Who, _application, False),
    "log": (Nothing, _log, False),
    "statements": (Nothing, _statements, False),
    "quotas": (Nothing, _quotas, False),
    "calls": (Nothing, _calls, False),
}
