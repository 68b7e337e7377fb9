"""An HTTP interface over a program's commands: rows in, routes out. Who may call, what is asked, what is answered.

Every row is refused alike, in this order: another host's name or a page of a browser, no token, a token without the
row's scope, no key where something changes, then what is asked. What a row does is the program's business, and what a
token is that of node.runtime.apps. The document of the same rows is made by node.runtime.openapi.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import inspect as shape_of

from node.runtime import apps
from node.runtime.routes import JSON, KIB, Call, Reply, Route
from protocol.errors import ProtocolError
from protocol.strict import ScannedJson, decode_scanned, scan

OPERATOR: Final = "raccordo-operator"
KEY: Final = "idempotency-key"
KEY_FORM: Final = re.compile(rf"[!-~]{{1,{apps.KEY_MAX}}}")
ACTING: Final = "as_"  # the field of a request that names who acts: the operator, told by a header
OWNER: Final = "app"  # the field that names the application itself
OWN_FIELDS: Final = frozenset({ACTING, OWNER})
_SCHEME: Final = "Bearer "
_BODIES: Final = frozenset({"POST", "PUT"})
LARGE: Final = 256 * KIB  # a body is read beside the event loop from here on


class Endpoint(NamedTuple):
    """One row. `path` names fields of the request; `fixed` are fields the address settles; `scope` None: no token.

    `effect`: it changes something, so it takes a key and happens once. `outside`: it may wait for another computer.
    """

    method: str
    path: str
    command: str
    scope: str | None
    it: str
    en: str
    effect: bool = False
    outside: bool = False
    fixed: tuple[tuple[str, object], ...] = ()
    max_body: int = 64 * KIB
    waits: bool = False

    @property
    def places(self) -> tuple[str, ...]:
        """The fields that stand in the path."""
        return tuple(re.findall(r"\{([a-z_]+)\}", self.path))

    @property
    def name(self) -> str:
        """Unique and stable: "post-cases-leg-steps"."""
        parts = self.path.split("/")[3:]
        return "-".join([self.method.lower(), *(part.strip("{}") for part in parts)])


class Shape(NamedTuple):
    """What a row asks and answers."""

    request: type[msgspec.Struct]
    answer: Any


class Asked(NamedTuple):
    """One call that was let in; `once` where it changes something."""

    row: Endpoint
    caller: apps.Caller
    request: msgspec.Struct
    once: apps.Once | None


def asked_fields(row: Endpoint, shape: Shape) -> dict[str, shape_of.Field]:
    """The fields a caller gives in query or body: not those of path, headers and address."""
    info = shape_of.type_info(shape.request)
    assert isinstance(info, shape_of.StructType)
    hidden = {*row.places, *dict(row.fixed), *OWN_FIELDS}
    return {field.encode_name: field for field in info.fields if field.encode_name not in hidden}


def acting(shape: Shape) -> bool | None:
    """Whether the operator has to be named (True), may be (False), or is nobody's business (None)."""
    for field in msgspec.structs.fields(shape.request):
        if field.name == ACTING:
            return field.required
    return None


# -- who calls


class Door(NamedTuple):
    """Which names of this computer a call may use, and which pages' scripts may call at all (none by default)."""

    hosts: frozenset[str]
    origins: frozenset[str] = frozenset()

    def check(self, call: Call) -> None:
        """Against DNS rebinding and pages in a browser. Raises wrong-host, forbidden."""
        host = call.headers.get("host", "").lower()
        name = re.sub(r":[0-9]{1,5}$", "", host)
        if name not in self.hosts:
            raise ProtocolError("wrong-host", field="host")
        if "origin" in call.headers and call.headers["origin"] not in self.origins:
            raise ProtocolError("forbidden", field="origin")


LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


def bearer(call: Call) -> str:
    """The token presented. Raises unauthenticated."""
    given = call.headers.get("authorization", "")
    if not given.startswith(_SCHEME) or len(given) != len(_SCHEME) + apps.TOKEN_CHARS:
        raise ProtocolError("unauthenticated", field="authorization")
    return given[len(_SCHEME) :]


# -- what is asked


def _key(call: Call, row: Endpoint) -> str | None:
    given = call.headers.get(KEY)
    if not row.effect:
        return None
    if given is None or KEY_FORM.fullmatch(given) is None:
        raise ProtocolError("bad-shape", field=KEY, expected=f"1…{apps.KEY_MAX} ASCII")
    return given


def _operator(call: Call, shape: Shape, caller: apps.Caller) -> str | None:
    """ "gestionale/AS-1": that application, acting for that operator; "gestionale/": by itself."""
    needed = acting(shape)
    given = call.headers.get(OPERATOR)
    if needed is None:
        return None
    if given is None and needed:
        raise ProtocolError("bad-shape", field=OPERATOR, expected="present")
    if given is not None and not (given.isprintable() and 1 <= len(given) <= 32 and "/" not in given):
        raise ProtocolError("bad-shape", field=OPERATOR, expected="1…32")
    return f"{caller.id}/{given or ''}"


def text_value(text: str, kind: shape_of.Type, field: str) -> object:
    """What stands in a path or a query, by the type of its field. Raises bad-shape."""
    match kind:
        case shape_of.Metadata():
            return text_value(text, kind.type, field)
        case shape_of.UnionType():
            (inner,) = (one for one in kind.types if not isinstance(one, shape_of.NoneType))
            return text_value(text, inner, field)
        case shape_of.IntType() if re.fullmatch(r"-?(0|[1-9][0-9]{0,15})", text):
            return int(text)
        case shape_of.FloatType() if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", text):
            return float(text)
        case shape_of.BoolType() if text in ("true", "false"):
            return text == "true"
        case shape_of.StrType() | shape_of.LiteralType():
            return text
    raise ProtocolError("bad-shape", field=field)


def is_list(kind: shape_of.Type) -> shape_of.Type | None:
    """The type of the items of a list, or None."""
    return kind.item_type if isinstance(kind, shape_of.ListType) else None


def _from_query(call: Call, fields: Mapping[str, shape_of.Field]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in {name for name, _ in call.query}:
        if name not in fields:
            raise ProtocolError("bad-shape", field=name if name.isidentifier() and len(name) < 32 else "query")
        kind = fields[name].type
        item = is_list(kind)
        if item is not None:
            found[name] = [text_value(text, item, name) for text in call.all(name)]
        else:
            found[name] = text_value(call.one(name) or "", kind, name)
    return found


def _from_body(raw: bytes, call: Call, row: Endpoint, fields: Mapping[str, shape_of.Field]) -> dict[str, object]:
    if call.query:
        raise ProtocolError("bad-shape", field="query", expected="none")
    if not raw and not any(field.required for field in fields.values()):
        return {}
    if call.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
        raise ProtocolError("unsupported-media", expected=JSON)
    found = msgspec.json.decode(scan(raw, max_bytes=row.max_body))
    if not isinstance(found, dict):
        raise ProtocolError("bad-shape", field="$", expected="object")
    if not found.keys() <= fields.keys():
        raise ProtocolError("bad-shape", field="$", expected="no other member")
    return found


# -- serving


Run = Callable[[Asked], Awaitable[bytes]]
Authenticate = Callable[[str], Awaitable[apps.Caller]]


class Api:
    """Rows put at their addresses. `document`: what GET /…/openapi.json answers."""

    def __init__(
        self,
        rows: Sequence[Endpoint],
        shapes: Callable[[Endpoint], Shape],
        run: Run,
        authenticate: Authenticate,
        locker: Callable[[], apps.Locker],
        now: Callable[[], int],
        document: Callable[[], bytes],
    ) -> None:
        self._rows = rows
        self._shapes = shapes
        self._run = run
        self._authenticate = authenticate
        self._locker = locker
        self._now = now
        self._document = document
        self._known: dict[str, tuple[Shape, dict[str, shape_of.Field]]] = {}

    def routes(self, door: Door, prefix: str) -> list[Route]:
        """For one listener, under the names it has."""

        async def document(call: Call) -> Reply:
            door.check(call)
            return Reply(body=self._document())

        described = Route("GET", f"{prefix}/openapi.json", document)
        return [described, *(self._route(row, door) for row in self._rows)]

    def _route(self, row: Endpoint, door: Door) -> Route:
        async def answer(call: Call) -> Reply:
            door.check(call)
            caller = await self._authenticate(bearer(call))
            if row.scope is not None and row.scope not in caller.scopes:
                raise ProtocolError("token-scope", expected=row.scope)
            call.admit(f"app {caller.id}")
            return Reply(body=await self._run(await self._asked(call, row, caller)))

        return Route(row.method, row.path, answer, row.max_body, row.waits)

    def _shape(self, row: Endpoint) -> tuple[Shape, dict[str, shape_of.Field]]:
        held = self._known.get(row.name)
        if held is None:
            shape = self._shapes(row)
            held = self._known[row.name] = (shape, asked_fields(row, shape))
        return held

    async def _asked(self, call: Call, row: Endpoint, caller: apps.Caller) -> Asked:
        shape, fields = self._shape(row)
        key, acts = _key(call, row), _operator(call, shape, caller)
        raw = await call.body()
        if len(raw) > LARGE:  # a sheet, files: the others go on being answered meanwhile
            return await asyncio.to_thread(self._read, call, row, caller, shape, fields, key, acts, raw)
        return self._read(call, row, caller, shape, fields, key, acts, raw)

    def _read(
        self,
        call: Call,
        row: Endpoint,
        caller: apps.Caller,
        shape: Shape,
        fields: Mapping[str, shape_of.Field],
        key: str | None,
        acts: str | None,
        raw: bytes,
    ) -> Asked:
        """What is asked, strictly, as the command takes it."""
        if row.method in _BODIES:
            found = _from_body(raw, call, row, fields)
        else:
            found = _from_query(call, fields)
            if raw:
                raise ProtocolError("bad-shape", field="$", expected="no body")
        info = {field.encode_name: field for field in msgspec_fields(shape.request)}
        found |= {name: text_value(call.params[name], info[name].type, name) for name in row.places}
        found |= dict(row.fixed)
        found |= {name: value for name, value in ((ACTING, acts), (OWNER, caller.id)) if name in info and value}
        request = decode_scanned(ScannedJson(msgspec.json.encode(found)), shape.request)
        if key is None:
            return Asked(row, caller, request, None)
        asked = {"row": row.name.encode(), "target": call.path.encode(), "as": (acts or "").encode(), "body": raw}
        return Asked(row, caller, request, apps.Once(self._locker(), caller.id, key, asked, self._now()))


def msgspec_fields(struct: type[msgspec.Struct]) -> tuple[shape_of.Field, ...]:
    """The fields of a struct with their types."""
    info = shape_of.type_info(struct)
    assert isinstance(info, shape_of.StructType)
    return info.fields


def scopes_of(rows: Collection[Endpoint]) -> list[str]:
    """Every scope a row asks for, in order of the rows."""
    return list(dict.fromkeys(row.scope for row in rows if row.scope is not None))
