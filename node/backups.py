"""Copies of a body: what one says of itself, what one holds when it is opened, bringing one back. See node.runtime.

source(config)                    what is copied
contents(opened, folder)             opened by `restore.opened`: everything checked, in numbers
bring_back(…)                     a whole directory, marked as restored, what was erased erased again
"""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import msgspec

from node.api import feed
from node.body import KEYS_NAME, MIGRATIONS, NET, Body
from node.context import setting
from node.engine import STORE_NAME, store_path
from node.enrolment import CONFIG_NAME
from node.exchange import erased_list, erasing, restored
from node.exchange.outbox import raise_alarm
from node.runtime import apps, backup, backup_turn, restore
from node.runtime.backup import Part, Source
from node.runtime.backup_state import Backup, Made
from node.runtime.clock import SystemClock
from node.runtime.config import NodeConfig
from node.runtime.dice import SystemDice
from node.runtime.keystore import Keystore
from node.runtime.restore import Opened, Restored, Site
from node.runtime.sealed_file import Facts, Secret
from protocol.errors import ProtocolError
from protocol.suite import S1

SITE: Final = Site("node", STORE_NAME, KEYS_NAME, CONFIG_NAME, NodeConfig, MIGRATIONS)
SAMPLE: Final = 50  # sealed rows that are opened


def source(config: NodeConfig) -> Source:
    """Everything needed to come back."""
    data, own = Path(config.data_dir), config.bodies[0]
    named: tuple[tuple[Part, str | None], ...] = (("passphrase", own.passphrase_file), ("ca", config.http.ca_file))
    extra = tuple((part, Path(name)) for part, name in named if name is not None)
    return Source("node", own.id, store_path(data), data / KEYS_NAME, data / CONFIG_NAME, facts, extra)


def facts(db: sqlite3.Connection) -> Facts:
    """What the header of a copy says."""
    log = db.execute("SELECT COALESCE(MAX(seq) + 1, 0) FROM follow_leaf").fetchone()[0]
    version = db.execute("SELECT COALESCE(MAX(version), 0) FROM members_document").fetchone()[0]
    return Facts(net=setting(db, NET, ""), log=log, epoch=int(setting(db, restored.EPOCH, "1")), version=version)


def net_of(store: Path) -> str:
    """The network of a store nobody has open; empty when it cannot be told."""
    with suppress(sqlite3.Error), closing(_glance(store)) as db:
        return setting(db, NET, "")
    return ""


def _glance(store: Path) -> sqlite3.Connection:
    """A store that nobody uses, or that is damaged, as its file stands: no WAL, no lock, nothing written."""
    return sqlite3.connect(store.resolve().as_uri() + "?mode=ro&immutable=1", uri=True)


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What would come back. `sampled` sealed texts were opened; `keys` names what is odd about our own entry."""

    member: str
    name: str
    network: str | None
    at: int
    log: int
    epoch: int
    version: int
    cases: int
    open_cases: int
    events: int
    queue: int
    entries: int
    operators: int
    sampled: int
    keys: list[str]


def contents(opened: Opened[NodeConfig], folder: Path) -> Contents:
    """Checks keys, trust and a sample of sealed texts. Raises bad-passphrase, keys-damaged, store-damaged…"""
    body = body_of(opened, folder)
    if body.ctx.net != opened.header.net:
        raise ProtocolError("backup-damaged", got="header")
    return opened.store.read(lambda db: _contents(db, body, opened))


def body_of(opened: Opened[NodeConfig], folder: Path) -> Body:
    """The body of an opened copy. Raises keys-damaged, bad-passphrase (of the key file)."""
    keystore = Keystore.read(opened.parts["keys"], folder / KEYS_NAME, opened.passphrase)
    return Body(opened.config, opened.store, keystore, clock=SystemClock(), dice=SystemDice(), suite=S1)


def _contents(db: sqlite3.Connection, body: Body, opened: Opened[NodeConfig]) -> Contents:
    def count(sql: str) -> int:
        return int(db.execute(sql).fetchone()[0])

    header, ctx = opened.header, body.ctx
    held = body.trust.membership if body.trust else None
    odd = list(held.own_alarms(ctx.me, ctx.keys.signing.kid, ctx.keys.sealing)) if held else []
    name = held.members[ctx.me].name if held and ctx.me in held.members else ctx.me
    return Contents(
        member=ctx.me, name=name, network=body.trust.root.root.name if body.trust else None, at=header.at,
        log=header.log, epoch=header.epoch, version=header.version, cases=count("SELECT COUNT(*) FROM leg"),
        open_cases=count(_OPEN), events=count("SELECT COUNT(*) FROM event"),
        queue=count("SELECT COUNT(*) FROM outgoing WHERE s IS NOT NULL"),
        entries=count("SELECT COUNT(*) FROM catalogue_entry"), operators=count("SELECT COUNT(*) FROM operator"),
        sampled=_open_sample(db, body), keys=odd,
    )  # fmt: skip


_OPEN: Final = (
    "SELECT COUNT(*) FROM leg WHERE state IN"
    " ('offered', 'opened', 'asked', 'accepted', 'waiting', 'in-charge', 'cancel-requested')"
)


def _open_sample(db: sqlite3.Connection, body: Body) -> int:
    """Opens texts spread over the store. Raises store-damaged when one does not open with the vault key inside."""
    rows = db.execute(
        "SELECT leg, case_id, writer, n, jti, sealed FROM event JOIN leg USING (leg) WHERE sealed IS NOT NULL"
        " AND event.rowid % (SELECT MAX(1, COUNT(*) / ?1) FROM event) = 0 LIMIT ?1 * 2",
        (SAMPLE,),
    ).fetchall()
    for leg, case_id, writer, n, jti, sealed in rows:
        wrapped = db.execute("SELECT 1 FROM case_key WHERE case_id = ?", (case_id,)).fetchone()
        if wrapped is None:
            raise ProtocolError("store-damaged", field="sealed")
        body.ctx.case_keys.open(body.ctx.case_keys.obtain(db, case_id), f"{leg}|{writer}|{n}|{jti}", sealed)
    return len(rows)


# -- verifying, bringing back


def verify(file: Path, secret: Secret, near: Path, keys: Path | None = None) -> Contents:
    """Restores the copy into a directory that is removed afterwards; what would come back."""
    with restore.workroom(near) as folder, restore.opened(SITE, file, secret, folder, keys) as opened:
        return contents(opened, folder)


def bring_back(
    file: Path, secret: Secret, into: Path, now: int, *, replace: bool = False, keys: Path | None = None
) -> tuple[Restored, Contents]:
    """The directory `into` as the copy has it, marked as restored; nothing is changed unless all of it went well."""
    into = into.absolute()
    restore.check_target(SITE, into, backup.peek(file), net_of, replace=replace)
    lists = _erased_lists(file, into)
    with restore.Draft(into) as draft:
        with restore.opened(SITE, file, secret, draft.folder, keys) as opened:
            found = contents(opened, draft.folder)
            gone = erased_list.parse(opened.parts.get("erased", b"")) + lists
            above = _epoch_of(store_path(into))
            body = body_of(opened, draft.folder)
            done = opened.store.run(lambda tx: _mark(tx, body, gone, now, above))
            opened.store.checkpoint()
            parts = opened.parts
        restore.check_target(SITE, into, opened.header, net_of, replace=replace)
        before = draft.settle(SITE, parts, erased_list.text(gone), now)
    waiting, epoch, forgotten = done
    made = Restored(
        into=str(into), before=str(before) if before else None, member=found.member, at=found.at, epoch=epoch,
        waiting=list(waiting), erased=forgotten,
    )  # fmt: skip
    return made, found


def _mark(
    tx: sqlite3.Connection, body: Body, gone: list[tuple[str, int]], now: int, above: int
) -> tuple[tuple[str, ...], int, int]:
    waiting = restored.mark(tx, now, above=above)
    apps.revoke_all(tx, now)
    feed.restored(tx, now)
    for peer in waiting:
        raise_alarm(tx, now, "restored-here", peer, None, None)
    forgotten = erasing.reapply(tx, body.ctx, [leg for leg, _ in gone], dict(gone))
    return waiting, int(setting(tx, restored.EPOCH, "1")), forgotten


def _erased_lists(file: Path, into: Path) -> list[tuple[str, int]]:
    """Beside the copy, in the directory that is replaced, and in those earlier restores put aside."""
    folders = [file.absolute().parent, into, *restore.put_aside(into)]
    return [line for folder in folders for line in erased_list.read(folder / backup.ERASED_NAME)]


def _epoch_of(store: Path) -> int:
    """The epoch of the store that is replaced, when it can still be read."""
    with suppress(sqlite3.Error, ValueError), closing(_glance(store)) as db:
        return int(setting(db, restored.EPOCH, "0"))
    return 0


# -- making one


def make_offline(config: NodeConfig, request: Backup, now: int) -> Made:
    """A copy when no process runs: the store is opened here, under its lock."""
    body = Body.open(config)
    try:
        return body.store.read(
            lambda db: backup_turn.make_now(source(config), body.data_dir, request, now=now, conn=db)
        )
    finally:
        body.close()
