"""Commands about ourselves and the network: enrolment, status, keys, members, alarms. Reading what is verified."""

import sqlite3
from typing import Final

from msgspec import Struct

from node import enrolment
from node.answers import Aside, Tried
from node.body import Body
from node.cases.views import counts
from node.commands import Command, Nothing
from node.context import setting
from node.exchange import restored, retry
from node.exchange.outbox import CLOCK_TOLERANCE
from node.requests import Whole
from node.runtime.backup_state import State, load


class MemberLine(Struct, frozen=True, kw_only=True):
    """One member as verified; `hosted_by` and `outdated` are shown so that nobody is surprised."""

    node: str
    name: str
    ptype: str
    status: str
    caps: list[str]
    territory: list[str]
    direct: bool
    relays: list[str]
    outdated: bool
    hosted_by: str | None = None
    heard_at: int | None = None


class MembersView(Struct, frozen=True, kw_only=True):
    """The verified list and how fresh it is: fresh, degraded, beyond; `void` are entries nobody may trust."""

    network: str
    net: str
    version: int
    freshness: str
    pilot: bool
    members: list[MemberLine]
    void: dict[str, str]


class KeyLine(Struct, frozen=True, kw_only=True):
    use: str
    kid: str
    state: str
    created: int


class Alarm(Struct, frozen=True, kw_only=True):
    """Something people have to be told; never content."""

    id: int
    at: int
    code: str
    node: str | None
    leg: str | None
    phone: str | None = None


class StatusView(Struct, frozen=True, kw_only=True):
    """One screen: who we are, whether we are in, what waits."""

    joining: enrolment.Joining
    network: str | None
    version: int | None
    freshness: str | None
    pilot: bool
    open_cases: dict[str, int]
    queue: int
    oldest_queued: int | None
    clock_offset: int
    clock_ok: bool
    alarms: list[Alarm]
    backup: State = State()
    backup_every: int | None = None
    restored_at: int | None = None
    resync_open: list[str] = []


def _members(db: sqlite3.Connection, body: Body, _: Nothing) -> MembersView:
    held = body.ctx.membership
    now = body.clock.now()
    outdated = set(held.outdated())
    heard = dict(db.execute("SELECT node, heard_at FROM peer"))
    lines = [
        MemberLine(
            node=node, name=member.name, ptype=member.ptype, status=member.status, caps=sorted(member.caps),
            territory=list(member.territory), direct=bool(member.urls(now)), relays=list(member.relays(now)),
            outdated=node in outdated, hosted_by=member.hosted_by, heard_at=heard.get(node),
        )
        for node, member in sorted(held.members.items())
    ]  # fmt: skip
    return MembersView(
        network=held.root.root.name, net=held.net, version=held.version, freshness=held.freshness(now),
        pilot=held.root.pilot, members=lines, void=dict(held.void),
    )  # fmt: skip


def _keys(_: sqlite3.Connection, body: Body, __: Nothing) -> list[KeyLine]:
    return [
        KeyLine(use=key.use, kid=key.kid, state=key.state, created=key.created) for key in body.ctx.keystore.entries()
    ]


def _status(db: sqlite3.Connection, body: Body, _: Nothing) -> StatusView:
    now = body.clock.now()
    held = body.trust.membership if body.trust else None
    queue, oldest = db.execute(
        "SELECT COUNT(*), MIN(at) FROM outgoing LEFT JOIN event USING (jti) WHERE s IS NOT NULL"
    ).fetchone()
    offset = int(setting(db, "clock_offset", "0"))
    return StatusView(
        joining=enrolment.status(db, body), network=body.trust.root.root.name if body.trust else None,
        version=held.version if held else None, freshness=held.freshness(now) if held else None,
        pilot=bool(body.trust and body.trust.root.pilot), open_cases=counts(db), queue=queue, oldest_queued=oldest,
        clock_offset=offset, clock_ok=abs(offset) <= CLOCK_TOLERANCE, alarms=_alarms(db, body, Nothing()),
        backup=load(body.data_dir), backup_every=body.config.backup.every_hours if body.config.backup.to else None,
        restored_at=restored.restored_at(db), resync_open=list(restored.open_peers(db)),
    )  # fmt: skip


def _alarms(db: sqlite3.Connection, body: Body, _: Nothing) -> list[Alarm]:
    rows = db.execute("SELECT id, at, code, node, leg FROM alarm WHERE cleared IS NULL ORDER BY at DESC LIMIT 50")
    return [
        Alarm(id=number, at=at, code=code, node=node, leg=leg, phone=_phone(body, node))
        for number, at, code, node, leg in rows
    ]


def _phone(body: Body, node: str | None) -> str | None:
    """Where to call: every alarm ends with "telefonare"."""
    member = body.ctx.member(node) if node and body.ctx.joined else None
    contact = member.admission.contact if member else None
    return (contact.phone or None) if contact else None


class Clear(Struct, frozen=True):
    """Somebody took note of an alarm."""

    id: Whole


def _clear(tx: sqlite3.Connection, body: Body, request: Clear) -> Nothing:
    tx.execute("UPDATE alarm SET cleared = ? WHERE id = ?", (body.clock.now(), request.id))
    return Nothing()


def _quarantine(db: sqlite3.Connection, _: Body, __: Nothing) -> list[Aside]:
    return retry.listing(db)


def _retry_quarantine(tx: sqlite3.Connection, body: Body, _: Nothing) -> Tried:
    return retry.retry(tx, body.ctx)


COMMANDS: Final = {
    "members": Command(Nothing, _members, writes=False),
    "keys": Command(Nothing, _keys, writes=False),
    "status": Command(Nothing, _status, writes=False),
    "alarms": Command(Nothing, _alarms, writes=False),
    "clear-alarm": Command(Clear, _clear, writes=True),
    "quarantine": Command(Nothing, _quarantine, writes=False),
    "retry-quarantine": Command(Nothing, _retry_quarantine, writes=True, sends=True),
}
