"""The commands of the interface itself, as rows: applications, news, webhooks, single entries. No rules."""

import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from node import requests as plain
from node.api import entries, feed, webhooks
from node.api import requests as ask
from node.api.scopes import SCOPES
from node.cases import operators
from node.catalogue.entries import Touched
from node.commands import Command
from node.runtime import apps

if TYPE_CHECKING:
    from node.body import Body


def _may(db: sqlite3.Connection, as_: str | None, action: str) -> None:
    if as_ is not None:
        operators.require(db, as_, action)


def _app_add(tx: sqlite3.Connection, body: "Body", request: ask.AppAdd) -> apps.Issued:
    _may(tx, request.as_, "operators")
    now, secret = body.clock.now(), body.dice.bytes(32)
    return apps.add(tx, request.id, request.scopes, SCOPES, request.days, now, secret)


def _apps(db: sqlite3.Connection, body: "Body", _: plain.Nothing) -> list[apps.App]:
    return apps.listing(db, body.clock.now())


def _app_revoke(tx: sqlite3.Connection, body: "Body", request: ask.AppRevoke) -> apps.App:
    _may(tx, request.as_, "operators")
    webhooks.forget(tx, request.id)
    return apps.revoke(tx, request.id, body.clock.now())


def _application(db: sqlite3.Connection, _: "Body", request: ask.Who) -> apps.Known:
    return apps.known(db, request.app)


def _events(db: sqlite3.Connection, _: "Body", request: ask.Events) -> feed.Events:
    return feed.read(db, request.after, request.limit)


def _entry_put(tx: sqlite3.Connection, body: "Body", request: ask.EntryPut) -> entries.Put:
    _may(tx, request.as_, "import")
    return entries.put(tx, body, request)


def _entry_remove(tx: sqlite3.Connection, body: "Body", request: ask.EntryRemove) -> Touched:
    _may(tx, request.as_, "publish")
    return entries.remove(tx, body, request)


COMMANDS: Final[Mapping[str, Command]] = {
    "app-add": Command(ask.AppAdd, _app_add, writes=True),
    "apps": Command(plain.Nothing, _apps, writes=False),
    "app-revoke": Command(ask.AppRevoke, _app_revoke, writes=True),
    "application": Command(ask.Who, _application, writes=False),
    "events": Command(ask.Events, _events, writes=False),
    "entry": Command(ask.Entry, entries.entry, writes=False),
    "entry-put": Command(ask.EntryPut, _entry_put, writes=True),
    "entry-remove": Command(ask.EntryRemove, _entry_remove, writes=True),
    "webhooks": Command(ask.Who, webhooks.listing, writes=False),
    "webhook-add": Command(ask.WebhookAdd, webhooks.add, writes=True),
    "webhook-remove": Command(ask.Webhook, webhooks.remove, writes=True),
}
