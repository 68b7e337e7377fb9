"""The HTTP server of both programs: limits, problems, streaming. Knows routes, not what they do.

What aiohttp lacks is here: a connection that sends no whole header in time is closed, a body has to come at a minimum
rate, one address holds a limited number of connections, and a compressed body is refused before it is read.
"""

import asyncio
import logging
from collections import Counter as Tally
from collections.abc import AsyncIterator, Sequence
from email.utils import formatdate
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from node.runtime.logs import event
from node.runtime.metrics import Counter
from node.runtime.ports import Clock, Random
from node.runtime.problem import PROBLEM_MEDIA, encode_problem
from node.runtime.routes import Call, Reply, Route
from protocol.errors import ProtocolError

__all__ = ["Listener", "ServerLimits", "create_server_app", "listen"]


class ServerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, bytes and counts, each with its reason."""

    header_seconds: float = 10  # an idle or dripping connection (slowloris)
    keepalive_seconds: float = 30  # an idle connection after an answer
    body_grace_seconds: float = 10  # a body may stay behind the rate by this long
    body_rate: int = 16 * 1024  # bytes per second; the slowest line we serve (PROTOCOL §3)
    connections: int = 1000
    connections_per_address: int = 64
    in_flight: int = 256  # calls being answered, long polls apart; above it `busy`, so that an overload sheds
    linger_seconds: float = 2  # after a refusal, for the rest of the body, so that the sender reads the answer
    drain_seconds: float = 5  # at a stop, for the calls being answered


# Errors that aiohttp itself raises, by status.
_AIOHTTP_CODES: Final[dict[int, str]] = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}

# After these the rest of a body is not worth reading.
_CLOSING: Final = frozenset({"too-large", "too-slow", "content-encoding", "damaged", "bad-request"})

_HEADERS: Final = {"Server": "raccordo", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class _Service:
    """What the calls of one app share."""

    def __init__(self, clock: Clock, dice: Random, limits: ServerLimits, requests: Counter | None) -> None:
        self.clock = clock
        self.dice = dice
        self.limits = limits
        self.requests = requests
        self.in_flight = 0
        self.connections: Tally[str] = Tally()

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
        if error.code in _CLOSING:
            response.force_close()
        return response

    def internal(self, error: BaseException, route: str) -> web.Response:
        """The answer to a fault of ours: a reference that the log has too, and nothing else."""
        reference = self.dice.bytes(4).hex()
        event(logging.ERROR, "internal", exc=error, ref=reference, route=route)
        return self.problem(ProtocolError("internal", got=f"ref {reference}"))


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


async def listen(app: web.Application, host: str, port: int) -> Listener:
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
        server = await loop.create_server(connection, host, port, backlog=256)
    except OSError:
        await runner.cleanup()
        raise
    return Listener(runner, server)


class _GuardedConnection(RequestHandler):
    """One connection, refused when there are too many, closed when no whole header comes in time."""

    __slots__ = ("_address", "_deadline", "_service")

    def __init__(self, service: _Service, manager: web.Server, **settings: object) -> None:
        super().__init__(manager, **settings)  # type: ignore[arg-type]  # aiohttp's own keyword arguments
        self._service = service
        self._address = ""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._address = str(peer[0]) if peer else "?"
        tally, limits = self._service.connections, self._service.limits
        tally[self._address] += 1
        if tally[self._address] > limits.connections_per_address or tally.total() > limits.connections:
            self.force_close()
        else:
            self._deadline = self._loop.call_later(limits.header_seconds, self._expire)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        tally = self._service.connections
        tally[self._address] -= 1
        if tally[self._address] <= 0:
            del tally[self._address]
        super().connection_lost(exc)

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

    def _expire(self) -> None:
        if self._request_count == 0:
            self.force_close()


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
        if route.waits:
            return await _respond(request, await route.handler(_call(request, route, service.limits)), service)
        if service.in_flight >= service.limits.in_flight:
            raise ProtocolError("busy", after=1)
        service.in_flight += 1
        try:
            return await _respond(request, await route.handler(_call(request, route, service.limits)), service)
        finally:
            service.in_flight -= 1

    return endpoint


def _call(request: web.Request, route: Route, limits: ServerLimits) -> Call:
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
        read=lambda: _read_body(request, route.max_body, limits),
    )


async def _read_body(request: web.Request, max_body: int, limits: ServerLimits) -> bytes:
    if (request.content_length or 0) > max_body:
        raise ProtocolError("too-large", expected=f"≤ {max_body}")
    loop = asyncio.get_running_loop()
    began, received = loop.time(), 0
    chunks: list[bytes] = []
    try:
        while True:
            due = began + limits.body_grace_seconds + received / limits.body_rate
            async with asyncio.timeout_at(due):
                chunk = await request.content.readany()
            if not chunk:
                return b"".join(chunks)
            received += len(chunk)
            if received > max_body:
                raise ProtocolError("too-large", expected=f"≤ {max_body}")
            chunks.append(chunk)
    except TimeoutError as error:
        raise ProtocolError("too-slow", expected=f"{limits.body_rate} B/s") from error
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
