"""The commands about our own catalogue, as rows: what is asked, what runs, whether it writes."""

import sqlite3
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from node import requests as ask
from node.cases import operators
from node.catalogue import entries, importing, publishing
from node.commands import Command
from node.map.hours import local

if TYPE_CHECKING:
    from node.body import Body


class Publication(Struct, frozen=True):
    """What was signed now, and how each chain stands with the registry."""

    signed: list[publishing.Published]
    chains: list[publishing.Chain]


def _today(body: "Body") -> date:
    return local(body.ctx.clock.now()).date()


def _may(db: sqlite3.Connection, as_: str | None, action: str) -> None:
    """Whoever holds the local token may; who acts as somebody needs that role's right."""
    if as_ is not None:
        operators.require(db, as_, action)


def _import(tx: sqlite3.Connection, body: "Body", request: ask.Import) -> importing.Imported:
    _may(tx, request.as_, "import")
    return importing.run(tx, body.ctx, request)


def _entries(db: sqlite3.Connection, body: "Body", request: ask.Entries) -> entries.Entries:
    return entries.listing(db, request, _today(body), entries.owner_of(body.ctx))


def _confirm(tx: sqlite3.Connection, body: "Body", request: ask.Confirm) -> entries.Touched:
    _may(tx, request.as_, "import")
    today = _today(body)
    return entries.confirm(tx, request.which, request.day or today.isoformat(), body.ctx.clock.now(), today)


def _notice(tx: sqlite3.Connection, body: "Body", request: ask.SetNotice) -> entries.Touched:
    _may(tx, request.as_, "import")
    return entries.set_notice(tx, request, body.ctx.clock.now(), _today(body))


def _withdraw(tx: sqlite3.Connection, body: "Body", request: ask.Withdraw) -> entries.Touched:
    _may(tx, request.as_, "publish")
    return entries.withdraw(tx, entries.selected(tx, request.which), body.ctx.clock.now())


def _publish(tx: sqlite3.Connection, body: "Body", request: ask.Publish) -> Publication:
    _may(tx, request.as_, "publish")
    return Publication(publishing.publish(tx, body.ctx), publishing.chains(tx))


def _chains(db: sqlite3.Connection, body: "Body", request: ask.Nothing) -> list[publishing.Chain]:
    return publishing.chains(db)


COMMANDS: Final[Mapping[str, Command]] = {
    "import": Command(ask.Import, _import, writes=True),
    "entries": Command(ask.Entries, _entries, writes=False),
    "confirm": Command(ask.Confirm, _confirm, writes=True),
    "notice": Command(ask.SetNotice, _notice, writes=True),
    "withdraw-entries": Command(ask.Withdraw, _withdraw, writes=True),
    "publish": Command(ask.Publish, _publish, writes=True, sends=True),
    "chains": Command(ask.Nothing, _chains, writes=False),
}
