"""Own entries one at a time, as another program writes them. Importing sheets and publishing are node.catalogue's."""

import sqlite3
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct
from msgspec.structs import replace

from node.api import requests as ask
from node.catalogue import entries
from protocol.errors import ProtocolError
from protocol.publications import read_record, record_line
from protocol.strict import b64u_encode
from schemas.records import Service

if TYPE_CHECKING:
    from node.body import Body

FILE = "api"  # in the place of the name of a sheet


class OwnEntry(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An entry as imported: for everybody, or for members only. Confirmation and notice are in the list."""

    id: str
    public: Service | None = None
    network: Service | None = None


class Put(Struct, frozen=True):
    """What became of it: fresh, changed, same."""

    id: str
    outcome: str


def entry(db: sqlite3.Connection, _: "Body", request: ask.Entry) -> OwnEntry:
    """Raises not-found."""
    row = next((row for row in entries.rows(db) if row.id == request.id), None)
    if row is None:
        raise ProtocolError("not-found", field="id")
    public, network = (read_plain(row.base(vis)) for vis in entries.VISIBILITIES)
    return OwnEntry(id=row.id, public=public, network=network)


def read_plain(line: str | None) -> Service | None:
    """A record as held."""
    import msgspec

    return None if line is None else msgspec.json.decode(line, type=Service)


def put(tx: sqlite3.Connection, body: "Body", request: ask.EntryPut) -> Put:
    """Raises bad-shape (another id), record-too-large and the codes of protocol.contents."""
    if request.service.id != request.id:
        raise ProtocolError("bad-shape", field="service.id", expected="as in the address")
    service = replace(request.service, salt=UNSET)
    line, salt = record_line(service), b64u_encode(body.dice.bytes(32))
    public, network = (line, None) if request.view == "public" else (None, line)
    if network is None:
        read_record(line, "public")
    else:
        read_record(record_line(replace(service, salt=salt)), "network")
    held = tx.execute("SELECT public, network, withdrawn FROM catalogue_entry WHERE id = ?", (request.id,)).fetchone()
    if held == (public, network, None):
        return Put(request.id, "same")
    now = body.ctx.clock.now()
    tx.execute(
        "INSERT INTO catalogue_entry (id, source, name, file, line, public, network, salt, added, changed)"
        " VALUES (?1,?2,?3,?4,0,?5,?6,?7,?8,?8) ON CONFLICT (id) DO UPDATE SET name = ?3, public = ?5, network = ?6,"
        " salt = ?7, changed = ?8, withdrawn = NULL",
        (request.id, _source(tx, body.ctx.me, service), service.name, FILE, public, network, salt if network else None,
         now),
    )  # fmt: skip
    return Put(request.id, "fresh" if held is None else "changed")


def _source(db: sqlite3.Connection, me: str, service: Service) -> str:
    """How a later sheet finds it again: as if it had come from one."""
    from node.importer.plan import entry_key

    streets = (
        address.address_1
        for at in service.service_at_locations
        if at.location is not UNSET
        for address in at.location.addresses
    )
    comune = service.comune if service.comune is not UNSET else ""
    key = entry_key(me, service.name, comune, next(streets, ""))
    taken = db.execute("SELECT 1 FROM catalogue_entry WHERE source = ? AND id != ?", (key, service.id)).fetchone()
    return f"{key}|{service.id}" if taken else key


def remove(tx: sqlite3.Connection, body: "Body", request: ask.EntryRemove) -> entries.Touched:
    """Raises not-found."""
    chosen = [row for row in entries.rows(tx) if row.id == request.id]
    if not chosen:
        raise ProtocolError("not-found", field="id")
    return entries.withdraw(tx, chosen, body.ctx.clock.now())
