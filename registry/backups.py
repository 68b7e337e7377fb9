"""Copies of a registry: log, objects, members, mailboxes, the server's keys. Bringing one back. See node.runtime."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import msgspec

from node.runtime import apps, backup, backup_turn, restore
from node.runtime.backup import Part, Source
from node.runtime.backup_state import Backup, Made
from node.runtime.clock import SystemClock
from node.runtime.config import RegistryConfig
from node.runtime.dice import SystemDice
from node.runtime.keystore import Keystore
from node.runtime.restore import Opened, Site
from node.runtime.sealed_file import Facts, Secret
from protocol.errors import ProtocolError
from protocol.merkle import RightEdge, leaf
from protocol.suite import S1
from registry import log, restored
from registry.board import network
from registry.cli_kit import CONFIG_NAME
from registry.engine import MIGRATIONS, RegistryEngine
from registry.opening import KEYS_NAME, STORE_NAME, open_store

SITE: Final = Site("registry", STORE_NAME, KEYS_NAME, CONFIG_NAME, RegistryConfig, MIGRATIONS)


def source(config: RegistryConfig) -> Source:
    """Everything needed to come back. Guarantors' keys are never here."""
    data, own = Path(config.data_dir), config.bodies[0]
    named: tuple[tuple[Part, str | None], ...] = (("passphrase", own.passphrase_file), ("ca", config.http.ca_file))
    extra = tuple((part, Path(name)) for part, name in named if name is not None)
    return Source("registry", own.id, data / STORE_NAME, data / KEYS_NAME, data / CONFIG_NAME, facts, extra)


def facts(db: sqlite3.Connection) -> Facts:
    """What the header of a copy says; a registry has no channels."""
    (version,) = db.execute("SELECT COALESCE(MAX(version), 0) FROM members_doc").fetchone()
    return Facts(net=network(db), log=log.size(db), epoch=0, version=version)


def net_of(store: Path) -> str:
    """The network of a store nobody has open; empty when it cannot be told."""
    uri = store.resolve().as_uri() + "?mode=ro&immutable=1"
    with suppress(sqlite3.Error), closing(sqlite3.connect(uri, uri=True)) as db:
        return network(db)
    return ""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What would come back."""

    id: str
    name: str | None
    net: str
    at: int
    log: int
    version: int
    members: int
    objects: int
    waiting: int


def contents(opened: Opened[RegistryConfig], folder: Path) -> Contents:
    """Checks the tree against its signed head, membership under the roots, and the server's keys against the root.

    Raises store-damaged, keys-damaged, unknown-key (keys that are not this network's)…
    """
    keystore = Keystore.read(opened.parts["keys"], folder / KEYS_NAME, opened.passphrase)
    engine = RegistryEngine(suite=S1, clock=SystemClock(), dice=SystemDice(), keystore=keystore)
    return opened.store.read(lambda db: _contents(db, engine, opened))


def _contents(db: sqlite3.Connection, engine: RegistryEngine, opened: Opened[RegistryConfig]) -> Contents:
    def count(sql: str) -> int:
        return int(db.execute(sql).fetchone()[0])

    header, net = opened.header, network(db)
    if net != header.net or log.size(db) != header.log:
        raise ProtocolError("backup-damaged", got="header")
    name: str | None = None
    if net:
        root = engine.root(db)
        engine.board.online_key(root)
        engine.board.log_key(root)
        engine.membership(db)
        _check_tree(db)
        name = root.root.name
    return Contents(
        id=header.member, name=name, net=net, at=header.at, log=header.log, version=header.version,
        members=count("SELECT COUNT(*) FROM member"), objects=count("SELECT COUNT(*) FROM object"),
        waiting=count("SELECT COUNT(*) FROM join_request WHERE state = 'pending'"),
    )  # fmt: skip


def _check_tree(db: sqlite3.Connection) -> None:
    """The leaves lead to the right edge that is held."""
    lines = (leaf(bytes(line)) for (line,) in db.execute("SELECT line FROM leaf ORDER BY seq"))
    held = RightEdge.from_bytes(db.execute("SELECT raw FROM edge").fetchone()[0])
    if RightEdge.from_bytes(bytes(8)).extend(lines).to_bytes() != held.to_bytes():
        raise ProtocolError("store-damaged", field="leaf")


def verify(file: Path, secret: Secret, near: Path, keys: Path | None = None) -> Contents:
    """Restores the copy into a directory that is removed afterwards; what would come back."""
    with restore.workroom(near) as folder, restore.opened(SITE, file, secret, folder, keys) as opened:
        return contents(opened, folder)


class BroughtBack(msgspec.Struct, frozen=True, kw_only=True):
    """The directory, where the earlier one went, what came back."""

    into: str
    before: str | None
    contents: Contents


def bring_back(
    file: Path, secret: Secret, into: Path, now: int, *, replace: bool = False, keys: Path | None = None
) -> BroughtBack:
    """The directory `into` as the copy has it, marked so that it signs nothing yet; all of it or nothing."""
    into = into.absolute()
    restore.check_target(SITE, into, backup.peek(file), net_of, replace=replace)
    with restore.Draft(into) as draft:
        with restore.opened(SITE, file, secret, draft.folder, keys) as opened:
            found = contents(opened, draft.folder)
            opened.store.run(lambda tx: restored.mark(tx, now))
            opened.store.run(lambda tx: apps.revoke_all(tx, now))
            opened.store.checkpoint()
            parts, header = opened.parts, opened.header
        restore.check_target(SITE, into, header, net_of, replace=replace)
        before = draft.settle(SITE, parts, b"", now)
    return BroughtBack(into=str(into), before=str(before) if before else None, contents=found)


def make_offline(config: RegistryConfig, request: Backup, now: int) -> Made:
    """A copy when no process runs: the store is opened here, under its lock."""
    store, data = open_store(config), Path(config.data_dir)
    try:
        return store.read(lambda db: backup_turn.make_now(source(config), data, request, now=now, conn=db))
    finally:
        store.close()
