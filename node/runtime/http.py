"""The HTTP server of both programs: limits, problems, streaming. Knows routes, not what they do.

What aiohttp lacks is here: a connection that sends no whole header in time is closed, a body has to come and an answer
has to be read at a minimum rate, a compressed body is refused before it is read, and where there are too many
connections those that only wait make room. Who may hold how much is counted in node.runtime.guard.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from node.runtime.guard import Guard, ServerLimits, Visit
from node.runtime.logs import event
from node.runtime.metrics import Counter
from node.runtime.platform import send_little_ahead
from node.runtime.ports import Clock, Random
from node.runtime.problem import PROBLEM_MEDIA, encode_problem
from node.runtime.routes import Call, Reply, Route
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    import ssl

__all__ = ["Listener", "ServerLimits", "create_server_app", "listen"]


# Errors that aiohttp itself raises, by status.
_AIOHTTP_CODES: Final[dict[int, str]] = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}

# After these the rest of a body is not worth reading.
_CLOSING: Final = frozenset({"too-large", "too-slow", "too-fast", "content-encoding", "damaged", "bad-request"})

_AHEAD: Final = (
    128 * 1024
)  # bytes of an answer the system may hold unsent, so that slow readers are told from deaf ones

_HEADERS: Final = {"Server": "raccordo", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class _Service:
    """What the calls of one app share."""

    def __init__(self, clock: Clock, dice: Random, limits: ServerLimits, requests: Counter | None) -> None:
        self.clock = clock
        self.dice = dice
        self.limits = limits
        self.requests = requests
        self.guard = Guard(limits, time.monotonic)
        self.open: dict[_GuardedConnection, None] = {}

    def count(self, route: str, status: int) -> None:
        if self.requests is not None:
            self.requests.inc(route, str(status))

    def problem(self, error: ProtocolError, headers: tuple[tuple[str, str], ...] = ()) -> web.Response:
        """The answer to a refused call."""
        response = web.Response(
            status=error.problem.status,
            body=encode_problem(error, self.clock.now()),
            content_type=PROBLEM_MEDIA,
            headers={**_HEADERS, **dict(headers)},
        )
        if error.after is not None:
            response.headers["Retry-After"] = str(error.after)
        if error.problem.status == HTTPStatus.UNAUTHORIZED:
            response.headers["WWW-Authenticate"] = "Bearer"
        if error.code in _CLOSING:
            response.force_close()
        return response

    def plain(self, error: ProtocolError) -> bytes:
        """The same as bytes, for a connection on which no call was ever read."""
        body = encode_problem(error, self.clock.now())
        headers = {**_HEADERS, "Content-Type": PROBLEM_MEDIA, "Content-Length": str(len(body)), "Connection": "close"}
        if error.after is not None:
            headers["Retry-After"] = str(error.after)
        lines = [f"HTTP/1.1 {error.problem.status} {_reason(error.problem.status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def make_room(self) -> bool:
        """End the connection that has waited longest without a call, of the address with most of them."""
        idle = [one for one in self.open if one.waiting]
        if not idle:
            return False
        tally = self.guard.connections
        max(idle, key=lambda one: (tally[one.address], -one.since)).turn_away(ProtocolError("busy", after=5))
        return True

    def internal(self, error: BaseException, route: str) -> web.Response:
        """The answer to a fault of ours: a reference that the log has too, and nothing else."""
        reference = self.dice.bytes(4).hex()
        event(logging.ERROR, "internal", exc=error, ref=reference, route=route)
        return self.problem(ProtocolError("internal", got=f"ref {reference}"))


def _reason(status: int) -> str:
    return HTTPStatus(status).phrase


_SERVICE: Final = web.AppKey("service", _Service)


def create_server_app(
    routes: Sequence[Route],
    *,
    clock: Clock,
    dice: Random,
    limits: ServerLimits | None = None,
    requests: Counter | None = None,
) -> web.Application:
    """An application that serves exactly `routes`. `requests` counts by route and status (two labels)."""
    service = _Service(clock, dice, limits or ServerLimits(), requests)
    app = web.Application(middlewares=[_problems])
    app[_SERVICE] = service
    for route in routes:
        endpoint = _endpoint(route, service)
        if route.method == "GET":
            app.router.add_get(route.path, endpoint)
        else:
            app.router.add_route(route.method, route.path, endpoint)
    return app


class Listener:
    """A bound address; `port` is the real one when 0 was asked."""

    def __init__(self, runner: web.AppRunner, server: asyncio.Server) -> None:
        self._runner = runner
        self._server = server
        self.port: int = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no new connections, let the calls under way end (`drain_seconds`), close."""
        self._server.close()
        await self._runner.cleanup()
        await self._server.wait_closed()


async def listen(app: web.Application, host: str, port: int, tls: "ssl.SSLContext | None" = None) -> Listener:
    """Serve `app` at an address with the connection guard. Raises OSError when the address is taken."""
    service = app[_SERVICE]
    limits = service.limits
    settings = {
        "keepalive_timeout": limits.keepalive_seconds,
        "lingering_time": limits.linger_seconds,
        "access_log": None,
    }
    # a long poll whose caller is gone must not go on to take something out for nobody
    runner = web.AppRunner(app, shutdown_timeout=limits.drain_seconds, handle_signals=False, handler_cancellation=True)
    await runner.setup()
    manager = runner.server
    assert manager is not None
    loop = asyncio.get_running_loop()

    def connection() -> _GuardedConnection:
        return _GuardedConnection(service, manager, loop=loop, auto_decompress=False, **settings)

    try:
        patience = None if tls is None else limits.header_seconds
        server = await loop.create_server(connection, host, port, backlog=256, ssl=tls, ssl_handshake_timeout=patience)
    except OSError:
        await runner.cleanup()
        raise
    return Listener(runner, server)


class _GuardedConnection(RequestHandler):
    """One connection, watched: refused when there are too many, ended when a header or a reader takes too long."""

    __slots__ = ("_deadline", "_header_due", "_left", "_placed", "_service", "_wire", "_writing", "address", "since")

    def __init__(self, service: _Service, manager: web.Server, **settings: object) -> None:
        super().__init__(manager, **settings)  # type: ignore[arg-type]  # aiohttp's own keyword arguments
        self._service = service
        self._wire: asyncio.Transport | None = None  # aiohttp forgets it when it begins to close
        self._deadline: asyncio.TimerHandle | None = None
        self._header_due = False
        self._writing: asyncio.TimerHandle | None = None
        self._left = 0
        self._placed = False
        self.address = "?"
        self.since = self._loop.time()

    @property
    def waiting(self) -> bool:
        """No call is under way, and none has come whole."""
        return self._wire is not None and not self._force_close and not self._messages and self._at_rest()

    def _at_rest(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        if (connection := transport.get_extra_info("socket")) is not None:
            send_little_ahead(connection, _AHEAD)
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else "?"
        guard = self._service.guard
        guard.connected += 1
        self._service.open[self] = None
        self._await_header()
        try:
            guard.connect(self.address)
            self._placed = True
        except ProtocolError as error:
            self.turn_away(error)
            return
        if guard.full and not self._service.make_room():
            self.turn_away(ProtocolError("busy", after=5))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages:
            self._header_came()
        elif data and not self._header_due and self._at_rest():
            self._await_header()  # the first bytes of a further call

    async def start(self) -> None:
        try:
            await super().start()
        finally:
            self._watch_reader()  # aiohttp closes now, which waits for ever for whoever does not read

    def connection_lost(self, exc: BaseException | None) -> None:
        self._header_came()
        if self._writing is not None:
            self._writing.cancel()
        if self._wire is not None:
            self._wire = None
            del self._service.open[self]
            self._service.guard.connected -= 1
            if self._placed:
                self._service.guard.disconnect(self.address)
        super().connection_lost(exc)

    def _await_header(self) -> None:
        self.since = self._loop.time()
        self._header_due = True
        self._deadline = self._loop.call_later(self._service.limits.header_seconds, self._no_header)

    def _header_came(self) -> None:
        self.since = self._loop.time()
        self._header_due = False
        if self._deadline is not None:
            self._deadline.cancel()

    def since_now(self) -> float:
        """Seconds since the last whole header."""
        return self._loop.time() - self.since

    def _no_header(self) -> None:
        if self._header_due:
            self.turn_away(ProtocolError("too-slow", after=5))

    def turn_away(self, error: ProtocolError) -> None:
        """Say why, and end the connection; what still comes is thrown away until then, so that it can be read."""
        wire, service = self._wire, self._service
        if wire is None or self._force_close:
            return
        service.count("?", error.problem.status)
        self._header_came()
        self._force_close = True  # nothing that comes is parsed any more
        if self._waiter is not None:
            self._waiter.cancel()
        wire.write(service.plain(error))
        if service.guard.full:  # no time for goodbyes
            self.force_close()
            return
        with contextlib.suppress(OSError, NotImplementedError):  # gone already, or TLS, which has no half end
            wire.write_eof()
        self._deadline = self._loop.call_later(service.limits.linger_seconds, wire.abort)

    # -- who does not read what it asked for

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        if self._writing is not None and not self._force_close:
            self._writing.cancel()
            self._writing = None
        super().resume_writing()

    def force_close(self) -> None:
        super().force_close()
        self._watch_reader()

    def _watch_reader(self) -> None:
        if self._writing is None and self._wire is not None and self._wire.get_write_buffer_size():
            self._left = self._wire.get_write_buffer_size()
            self._writing = self._loop.call_later(self._service.limits.write_seconds, self._still_reading)

    def _still_reading(self) -> None:
        self._writing = None
        limits = self._service.limits
        if self._wire is None:
            return
        left = self._wire.get_write_buffer_size()
        if left and self._left - left < limits.body_rate * limits.write_seconds:
            self._wire.abort()
        elif left:
            self._watch_reader()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp answers by itself, mostly to bytes that are not HTTP."""
        if status < 500 or exc is None:
            response = self._service.problem(ProtocolError("bad-request"))
        else:
            response = self._service.internal(exc, "?")
        response.force_close()
        return response


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    service = request.app[_SERVICE]
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else "?"
    try:
        response: web.StreamResponse = await handler(request)
    except ProtocolError as error:
        response = service.problem(error)
    except web.HTTPException as error:
        code = _AIOHTTP_CODES.get(error.status, "bad-request")
        allow = (("Allow", error.headers["Allow"]),) if "Allow" in error.headers else ()
        response = service.problem(ProtocolError(code), allow)
    except ConnectionError:
        raise  # nobody is there to be told
    except Exception as error:
        response = service.internal(error, route)
    service.count(route, response.status)
    return response


def _endpoint(route: Route, service: _Service) -> Handler:
    async def endpoint(request: web.Request) -> web.StreamResponse:
        if _waited(request) > service.limits.wait_seconds:
            raise ProtocolError("busy", after=2)
        visit = Visit(service.guard, request.remote or "?", waits=route.waits)
        try:
            reply = await route.handler(_call(request, route, service.limits, visit))
            if not isinstance(reply.body, bytes):
                visit.rest()  # it goes as fast as its reader takes it
            return await _respond(request, reply, service)
        finally:
            visit.leave()

    return endpoint


def _waited(request: web.Request) -> float:
    """Seconds since its header came: how far the loop is behind."""
    connection = request.protocol
    return connection.since_now() if isinstance(connection, _GuardedConnection) else 0


def _call(request: web.Request, route: Route, limits: ServerLimits, visit: Visit) -> Call:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if headers.get("content-encoding", "identity") != "identity":
        raise ProtocolError("content-encoding")
    return Call(
        request.method,
        request.raw_path,
        path=request.path,
        headers=headers,
        params=request.match_info,
        query=tuple(request.query.items()),
        remote=request.remote or "?",
        read=lambda: _read_body(request, route.max_body, limits, visit),
        admit=visit.admit,
    )


async def _read_body(request: web.Request, max_body: int, limits: ServerLimits, visit: Visit) -> bytes:
    """The whole body. While it comes it is no load: slow senders leave the places of calls to the others."""
    if (request.content_length or 0) > max_body:
        raise ProtocolError("too-large", expected=f"≤ {max_body}")
    if not request.body_exists:
        return b""
    counted = visit.rest()
    body = await _receive(request, max_body, limits, visit)
    if counted:
        visit.work()
    return body


async def _receive(request: web.Request, max_body: int, limits: ServerLimits, visit: Visit) -> bytes:
    loop = asyncio.get_running_loop()
    due = loop.time() + limits.body_grace_seconds
    received = 0
    chunks: list[bytes] = []
    try:
        while True:
            async with asyncio.timeout_at(due):
                chunk = await request.content.readany()
            if not chunk:
                return b"".join(chunks)
            received += len(chunk)
            if received > max_body:
                raise ProtocolError("too-large", expected=f"≤ {max_body}")
            visit.take(len(chunk))
            chunks.append(chunk)
            # what came fast buys no long pause later: the lead is never more than the grace
            due = min(due + len(chunk) / limits.body_rate, loop.time() + limits.body_grace_seconds)
    except TimeoutError as error:
        raise ProtocolError("too-slow", expected=f"{limits.body_rate} B/s", after=5) from error
    except web.RequestPayloadError as error:
        raise ProtocolError("damaged") from error


async def _respond(request: web.Request, reply: Reply, service: _Service) -> web.StreamResponse:
    # peers compare clocks by it (PROTOCOL §1), so it is the clock we work with
    date = formatdate(service.clock.now(), usegmt=True)
    headers = {**_HEADERS, "Date": date, "Content-Type": reply.media, **dict(reply.headers)}
    if isinstance(reply.body, bytes):
        return web.Response(status=reply.status, body=reply.body, headers=headers)
    response = web.StreamResponse(status=reply.status, headers=headers)
    await response.prepare(request)
    if request.method != "HEAD":
        await _stream(request, response, reply.body)
    return response


async def _stream(request: web.Request, response: web.StreamResponse, chunks: AsyncIterator[bytes]) -> None:
    """Send chunks as they come. When one fails the connection is cut: an end would look like a whole body."""
    try:
        async for chunk in chunks:
            await response.write(chunk)
    except ConnectionError:
        raise
    except Exception as error:
        event(logging.ERROR, "stream-cut", exc=error)
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError from error
