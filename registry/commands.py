"""What the command line asks of a registry, as rows of commands over its engine. They run where the store is owned.

A row takes JSON and gives a value that is written as JSON: a running process gets it through the local channel
(node.runtime.local), else the command line opens the store itself and runs the same row.
"""

import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from node.map.ndjson import map_lines
from node.map.tables import SqliteMap
from protocol.errors import ProtocolError
from protocol.fingerprint import fingerprint
from protocol.strict import b64u_decode, b64u_encode
from registry import ceremony, restored
from registry.admin_commands import ROWS as ADMIN
from registry.asking import (
    Admitted,
    Amend,
    Delegate,
    Installed,
    Invite,
    MapView,
    MemberRow,
    Members,
    NewProtocol,
    Node,
    Nothing,
    Plan,
    ProtocolRow,
    Refs,
    Status,
    Text,
    Texts,
    Version,
    Waiting,
)
from registry.board import network, setting
from registry.engine import RegistryEngine
from registry.members import protocols
from registry.restored import Seen, SeenNumbers
from schemas.membership import Invitation, PendingFile, ProtocolVersion

A = TypeVar("A", bound=Struct)
Db = sqlite3.Connection


class Command(NamedTuple, Generic[A]):
    """`writes`: it needs the writer; else a read-only connection will do."""

    request: type[A]
    run: Callable[[Db, RegistryEngine, A], object]
    writes: bool = True


def run_row(db: Db, engine: RegistryEngine, name: str, payload: bytes) -> bytes:
    """Decodes, runs, encodes {"pilot":…,"value":…}. Raises not-found for an unknown name, bad-shape."""
    if (row := TABLE.get(name)) is None:
        raise ProtocolError("not-found", field="command")
    try:
        request = msgspec.json.decode(payload or b"{}", type=row.request)
    except RecursionError:
        raise ProtocolError("json-too-deep") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ProtocolError("bad-shape", field=name) from None
    value = row.run(db, engine, request)
    pilot = bool(network(db)) and engine.root(db).pilot
    return msgspec.json.encode({"pilot": pilot, "value": value})


# -- the rows


def _invite(tx: Db, engine: RegistryEngine, ask: Invite) -> Invitation:
    return engine.invite(tx, ask.node, ask.name)


def _delegate(tx: Db, engine: RegistryEngine, ask: Delegate) -> list[Invitation]:
    return engine.delegate(tx, ask.by, ask.nodes)


def _readmit(tx: Db, engine: RegistryEngine, ask: Node) -> Invitation:
    return engine.readmit(tx, ask.node)


def _pending(db: Db, engine: RegistryEngine, _: Nothing) -> list[Waiting]:
    return [
        Waiting(
            ref=item.ref, node=item.request.wanted.node, name=item.request.wanted.name,
            ptype=item.request.wanted.ptype, caps=list(item.request.wanted.caps),
            words=words(item.request.first), at=item.at, invited=item.invited,
            delegated_by=msgspec.json.decode(item.draft).get("delegated_by"),
        )
        for item in engine.pending(db)
    ]  # fmt: skip


def words(first: str) -> str:
    """The eight words of a signing key."""
    return " ".join(fingerprint(b64u_decode(first)))


def _export(db: Db, engine: RegistryEngine, ask: Refs) -> PendingFile:
    return engine.export(db, ask.refs)


def _refuse(tx: Db, engine: RegistryEngine, ask: Refs) -> Nothing:
    for ref in ask.refs:
        engine.refuse(tx, ref)
    return Nothing()


def _admit(tx: Db, engine: RegistryEngine, ask: Texts) -> Admitted:
    return engine.admit(tx, engine.prepare_admit(tx, [text.encode() for text in ask.files]))


def _amend(tx: Db, engine: RegistryEngine, ask: Amend) -> Text:
    changes = {name: value for name, value in msgspec.structs.asdict(ask).items() if value is not None}
    node = str(changes.pop("node"))
    if "protocol" in changes:
        held = engine.protocollo(tx, str(changes["protocol"]))
        changes["protocol"] = ProtocolVersion(held.version, held.hash)
    return Text(engine.amend(tx, node, **changes))


def _suspend(tx: Db, engine: RegistryEngine, ask: Node) -> int:
    return engine.suspend(tx, ask.node)


def _end(tx: Db, engine: RegistryEngine, ask: Node) -> int:
    return engine.end(tx, ask.node)


def _members(db: Db, engine: RegistryEngine, _: Nothing) -> Members:
    held = engine.membership(db)
    outdated, now = set(held.outdated()), engine.board.clock.now()
    revisions = {(node, vis): rev for node, vis, rev in db.execute("SELECT node, vis, rev FROM catalogue")}
    rows = [
        MemberRow(
            node=node, name=member.name, ptype=member.ptype, status=member.status, since=member.since,
            caps=sorted(member.caps), territory=list(member.territory), protocol=member.admission.protocol.version,
            outdated=node in outdated, delegated_by=member.delegated_by,
            words=words(b64u_encode(member.current.key.raw)),
            reachable=bool(member.urls(now)), public_rev=revisions.get((node, "public"), 0),
            network_rev=revisions.get((node, "network"), 0),
        )
        for node, member in held.members.items()
    ]  # fmt: skip
    return Members(
        network=held.root.root.name, net=held.net, pilot=held.root.pilot, version=held.version, exp=held.doc.exp,
        members=rows, warnings=engine.warnings(db),
    )  # fmt: skip


def _status(db: Db, engine: RegistryEngine, _: Nothing) -> Status:
    held = engine.membership(db)
    return Status(
        net=held.net, name=held.root.root.name, pilot=held.root.pilot, root=held.root.root.n,
        root_exp=held.root.root.exp, members=len(held.members), version=held.version, version_exp=held.doc.exp,
        log=db.execute("SELECT size FROM edge").fetchone()[0], pending=len(engine.pending(db)),
        warnings=engine.warnings(db), key_dir=setting(db, "key_dir"), untold=restored.untold(db),
        urls=list(held.doc.registry.urls),
        relays={relay: url for relay, url in held.relays.items() if url not in held.doc.registry.urls},
    )  # fmt: skip


def _protocols(db: Db, engine: RegistryEngine, _: Nothing) -> list[ProtocolRow]:
    accepted: dict[str, list[str]] = {}
    for node, member in engine.membership(db).members.items():
        accepted.setdefault(member.admission.protocol.version, []).append(node)
    held = [engine.protocollo(db, one.version) for one in protocols(db)]
    return [
        ProtocolRow(version=p.version, hash=p.hash, media=p.media, at=p.at, accepted_by=accepted.get(p.version, []))
        for p in held
    ]


def _protocol_add(tx: Db, engine: RegistryEngine, ask: NewProtocol) -> ProtocolVersion:
    try:
        document = b64decode(ask.document, validate=True)
    except ValueError:
        raise ProtocolError("bad-base64", field="document") from None
    held = engine.add_protocollo(tx, ask.version, ask.media, document)
    return ProtocolVersion(held.version, held.hash)


def _protocol_get(db: Db, engine: RegistryEngine, ask: Version) -> NewProtocol:
    held = engine.protocollo(db, ask.version)
    return NewProtocol(version=held.version, media=held.media, document=b64encode(held.document).decode())


def _root_draft(db: Db, engine: RegistryEngine, ask: Plan) -> Text:
    root = engine.root(db).root
    plan = ceremony.RootPlan(
        root.name,
        tuple(ask.guarantors or root.guarantors),
        ask.threshold or root.threshold,
        ask.admission_threshold or root.admission_threshold,
        pilot=ask.pilot,
        policy=ask.policy or root.policy,
    )
    return Text(engine.next_draft(db, plan, new_server_keys=ask.new_server_keys).decode())


def _root_install(tx: Db, engine: RegistryEngine, ask: Texts) -> Installed:
    signed = ceremony.join_root([text.encode() for text in ask.files])
    return engine.install_root(tx, engine.prepare_root(tx, signed))


def _root_show(db: Db, engine: RegistryEngine, _: Nothing) -> list[Text]:
    return [Text(raw) for raw in engine.roots_after(db, 0)] if network(db) else []


def _map(db: Db, _: RegistryEngine, ask: MapView) -> Text:
    lines = map_lines(SqliteMap(db).entries(), "members" if ask.members else "public")
    return Text(b"".join(lines).decode())


def _seen(tx: Db, engine: RegistryEngine, ask: Seen) -> Nothing:
    restored.told(tx, engine.root(tx), ask, engine.board.clock.now())
    return Nothing()


def _seen_numbers(tx: Db, engine: RegistryEngine, ask: SeenNumbers) -> Nothing:
    restored.told_numbers(tx, ask, engine.board.clock.now())
    return Nothing()


def _withdraw(tx: Db, engine: RegistryEngine, ask: Refs) -> list[int]:
    return [engine.withdraw(tx, name) for name in ask.refs]


TABLE: Final[dict[str, Command[Struct]]] = {
    name: Command(*row)  # type: ignore[arg-type]  # each row's request type is that of its function
    for name, row in {
        "invite": (Invite, _invite),
        "delegate": (Delegate, _delegate),
        "readmit": (Node, _readmit),
        "pending": (Nothing, _pending, False),
        "export": (Refs, _export, False),
        "refuse": (Refs, _refuse),
        "admit": (Texts, _admit),
        "amend": (Amend, _amend),
        "suspend": (Node, _suspend),
        "end": (Node, _end),
        "members": (Nothing, _members, False),
        "status": (Nothing, _status, False),
        "protocols": (Nothing, _protocols, False),
        "protocol-add": (NewProtocol, _protocol_add),
        "protocol-get": (Version, _protocol_get, False),
        "root-draft": (Plan, _root_draft, False),
        "root-install": (Texts, _root_install),
        "root-show": (Nothing, _root_show, False),
        "withdraw": (Refs, _withdraw),
        "seen": (Seen, _seen),
        "seen-numbers": (SeenNumbers, _seen_numbers),
        "map": (MapView, _map, False),
        **ADMIN,
    }.items()
}
