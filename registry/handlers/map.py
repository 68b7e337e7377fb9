"""The map read by people and programs: all of it line by line, or searched. Parse, ask the map, render."""

import sqlite3
from typing import Final, get_type_hints

import msgspec

from node.map.fold import View
from node.map.ndjson import MEDIA_TYPE, map_lines
from node.map.proving import proof_of
from node.map.query import Query
from node.map.search import Results, ServiceMap
from node.map.tables import SqliteMap
from node.runtime.routes import Call, Reply, json_reply
from node.runtime.writer import Readers
from protocol.errors import ProtocolError
from protocol.territory import Territory
from registry.service import Asked, Service
from schemas.vocabularies import table

_LISTS: Final = frozenset(name for name, hint in get_type_hints(Query).items() if hint == tuple[str, ...])
_FIELDS: Final = frozenset(Query.__struct_fields__)
_FLAGS: Final = {"1": True, "true": True, "0": False, "false": False}


async def ndjson(service: Service, asked: Asked) -> Reply:
    """The members' map for a current member, the public one for everybody else."""
    view: View = "public" if asked.caller is None else "members"
    body = await service.read(lambda db: b"".join(map_lines(SqliteMap(db).entries(), view)))
    return Reply(body=body, media=MEDIA_TYPE)


async def proof(service: Service, asked: Asked) -> Reply:
    """One entry with all that proves it; lines of the network chain for current members. `vis` chooses one of two."""
    node, id_, vis = proof_of(asked.call)
    member = asked.caller is not None
    return Reply(body=await service.read(lambda db: service.engine.proof(db, node, id_, vis, member=member)))


class Search:
    """The public map kept ready in one thread of its own: the index is made at the first search."""

    def __init__(self, service: Service, readers: Readers) -> None:
        self._service = service
        self._readers = readers
        self._map: ServiceMap | None = None

    async def search(self, service: Service, asked: Asked) -> Reply:
        """GET /v1/search?q=…&comune=…&open=1: `q` free words, the rest fields of node.map.query.Query."""
        text = asked.call.one("q") or ""
        fields = _fields(asked.call)
        now = service.clock.now()
        return json_reply(await self._readers.read(lambda db: self._ask(db, text, now, fields)))

    def _ask(self, db: sqlite3.Connection, text: str, now: int, fields: dict[str, object]) -> Results:
        """The reader has one thread and one connection, so the map may keep that connection."""
        if self._map is None:
            self._map = ServiceMap(SqliteMap(db), "public", self._territory())
        return self._map.ask(text, now, **fields)

    def _territory(self) -> Territory:
        return Territory.from_rows(self._service.membership.doc.comuni or table("comuni").values())


def _fields(call: Call) -> dict[str, object]:
    """Query parameters as fields of Query; unknown names and values are refused."""
    names = {name for name, _ in call.query} - {"q"}
    if unknown := names - _FIELDS:
        raise ProtocolError("bad-shape", field="query", expected="fields of a search", got=str(len(unknown)))
    raw: dict[str, object] = {name: _value(call, name) for name in names}
    try:
        checked = msgspec.convert(raw, Query, strict=False)
    except msgspec.ValidationError:
        raise ProtocolError("bad-shape", field="query") from None
    return {name: getattr(checked, name) for name in names}


def _value(call: Call, name: str) -> object:
    if name in _LISTS:
        return [part for value in call.all(name) for part in value.split(",") if part]
    value = call.one(name) or ""
    if name == "point":
        return value.split(",")
    return _FLAGS.get(value.lower(), value) if isinstance(getattr(Query(), name), bool) else value
