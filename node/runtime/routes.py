"""What a handler sees and gives back, and the row that puts it at an address. No HTTP library, no sockets.

A list of routes is the contents page of a server; `http.create_server_app` serves it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from node.runtime.ports import Clock
from protocol.errors import ProtocolError

KIB: Final = 1024
JSON: Final = "application/json"


class Call:
    """One request. Header names are lower-case; `target` is path and query exactly as sent (signed tokens name it)."""

    __slots__ = ("_read", "admit", "headers", "method", "params", "path", "query", "remote", "target")

    def __init__(
        self,
        method: str,
        target: str,
        *,
        path: str,
        headers: Mapping[str, str],
        params: Mapping[str, str],
        query: Sequence[tuple[str, str]],
        remote: str,
        read: Callable[[], Awaitable[bytes]],
        admit: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`admit(member)` is told who calls, once proved; it raises `too-fast` when that member has its share."""
        self.method = method
        self.target = target
        self.path = path
        self.headers = headers
        self.params = params
        self.query = query
        self.remote = remote
        self._read = read
        self.admit = admit

    async def body(self) -> bytes:
        """The whole body, read now: whoever checks the headers first refuses before it travels.

        Raises ProtocolError `too-large`, `too-slow`, `content-encoding`, `damaged`.
        """
        return await self._read()

    def one(self, name: str) -> str | None:
        """The value of a query parameter that may stand once; `bad-shape` when repeated."""
        values = self.all(name)
        if len(values) > 1:
            raise ProtocolError("bad-shape", field=name, expected="once")
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        """Every value of a query parameter, in order."""
        return [value for key, value in self.query if key == name]

    def whole(self, name: str, default: int, *, least: int = 0, most: int = 2**53 - 1) -> int:
        """A query parameter that is a whole number; `bad-shape` when it is not, or out of range."""
        text = self.one(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most):
            raise ProtocolError("bad-shape", field=name, expected=f"{least}…{most}")
        return int(text)


class Reply(NamedTuple):
    """An answer. A body that is an iterator is streamed as it comes."""

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    media: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


Handler = Callable[[Call], Awaitable[Reply]]


class Route(NamedTuple):
    """`path` as in "/v1/mailbox/{node}"; `max_body` in bytes; `waits` marks a long poll, not counted as load."""

    method: str
    path: str
    handler: Handler
    max_body: int = 64 * KIB
    waits: bool = False


class _Health(msgspec.Struct, frozen=True):
    status: str
    server_time: int


def json_reply(value: object, status: int = 200) -> Reply:
    """`value` (structs, built-in types) as JSON."""
    return Reply(status, msgspec.json.encode(value))


def health_route(clock: Clock) -> Route:
    """GET /v1/health → {"status":"ok","server_time":1795259400}: this process answers, at this time of day."""

    async def health(_: Call) -> Reply:
        return json_reply(_Health("ok", clock.now()))

    return Route("GET", "/v1/health", health)
