"""The guarded way out: calls to URLs we were told of, at addresses we have checked. No retries.

The address that was checked is the address connected to (no second resolving), and it is looked at once more when its
socket is made. No redirects, no cookies; proxy and CA come from the configuration, never from the environment.
Every failure is a ProtocolError: outbound-refused, unreachable, too-large, or what the other side answered.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from node.runtime.addresses import is_loopback, is_numeric, may_connect, target
from node.runtime.problem import decode_problem
from protocol.errors import ProtocolError

__all__ = ["Outbound", "Response"]

BASE_SECONDS: Final = 30.0  # PROTOCOL §3: 30 s + size / 16 KiB/s (+ wait)
RATE: Final = 16 * 1024
CONNECT_SECONDS: Final = 10.0
LARGE: Final = 1 << 20  # written piece by piece from here on: files travel in batches of some MiB
MAX_BYTES: Final = 8 * 1024 * 1024  # a batch of 6 MiB and its frame

_AGENT: Final = {"User-Agent": "raccordo", "Accept-Encoding": "identity"}


class Response(NamedTuple):
    """An answer below 400 (304 included). Header names are lower-case; `date` is the sender's time of day."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    date: int | None


class Outbound:
    """`allowed(url)` says whether we were told of that URL (registry, relays, members). Made and closed in one loop."""

    def __init__(
        self,
        allowed: Callable[[str], bool],
        *,
        proxy: str | None = None,
        ca_file: Path | None = None,
        loopback_ok: bool = False,
    ) -> None:
        self._allowed = allowed
        self._proxy = proxy
        self._proxy_host = None if proxy is None else (URL(proxy).host or "")
        self._ca_file = ca_file
        self._loopback_ok = loopback_ok
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the limit of the whole exchange, kept by aiohttp
        max_bytes: int = MAX_BYTES,
    ) -> Response:
        """One call. `timeout` (seconds) is 30 + size / 16 KiB/s unless given; a long poll gives that plus its wait."""
        self._check(url)
        seconds = timeout if timeout is not None else BASE_SECONDS + len(body or b"") / RATE
        try:
            async with self._opened().request(
                method,
                URL(url, encoded=True),
                data=body if body is None or len(body) < LARGE else BytesIO(body),
                headers={**_AGENT, **(headers or {})},
                allow_redirects=False,
                proxy=self._proxy,
                timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
            ) as answer:
                return await _read(answer, max_bytes)
        except aiohttp.ClientConnectorCertificateError as error:
            raise ProtocolError("unreachable", got="certificate") from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ProtocolError("unreachable", got=type(error).__name__) from error

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _check(self, url: str) -> None:
        to = target(url)
        if not self._allowed(url) or to.host == self._proxy_host:
            raise ProtocolError("outbound-refused", field="url")
        if to.scheme == "http" and not (self._loopback_ok and is_loopback(to.host)):
            raise ProtocolError("outbound-refused", field="url", expected="https")
        if is_numeric(to.host) and not may_connect(to.host, self._loopback_ok):
            raise ProtocolError("outbound-refused", field="address")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    resolver=_CheckedResolver(self._loopback_ok, self._proxy_host),
                    socket_factory=self._socket,
                    ssl=True if self._ca_file is None else _trust(self._ca_file),
                    limit=64,
                    limit_per_host=16,
                    keepalive_timeout=25,  # below the server's 30, so that we never write to a closing connection
                    ttl_dns_cache=30,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """The last gate: whatever named it and whoever resolved it, no other address than an allowed one is called.

        With a proxy every socket is the proxy's, which was configured.
        """
        family, kind, proto, _, where = address
        if self._proxy is None and not may_connect(str(where[0]), self._loopback_ok):
            raise ProtocolError("outbound-refused", field="address")
        return socket.socket(family, kind, proto)


class _CheckedResolver(AbstractResolver):
    """The system's resolver, giving only addresses we may connect to (the proxy's own name is configured, not told)."""

    def __init__(self, loopback_ok: bool, proxy_host: str | None) -> None:
        self._loopback_ok = loopback_ok
        self._proxy_host = proxy_host

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Addresses of `host`, none of them refused ones. Raises `outbound-refused` when all of them are."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        checked = [
            ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=kind, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for kind, _, proto, _, address in found
            if host == self._proxy_host or may_connect(str(address[0]), self._loopback_ok)
        ]
        if found and not checked:
            raise ProtocolError("outbound-refused", field="address")
        return checked

    async def close(self) -> None:
        """Nothing is held."""


async def _read(answer: aiohttp.ClientResponse, max_bytes: int) -> Response:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise ProtocolError("content-encoding")
    if 300 <= answer.status < 400 and answer.status != 304:
        raise ProtocolError("unreachable", got=f"HTTP {answer.status}")  # a redirect: a captive portal, mostly
    body = await _read_body(answer, max_bytes)
    if answer.status >= 400:
        raise decode_problem(answer.status, body, answer.headers.get("Retry-After"))
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Response(answer.status, headers, body, _date(headers.get("date")))


async def _read_body(answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    received = 0
    while chunk := await answer.content.readany():
        received += len(chunk)
        if received > max_bytes:
            raise ProtocolError("too-large", expected=f"≤ {max_bytes}")
        chunks.append(chunk)
    return b"".join(chunks)


def _date(text: str | None) -> int | None:
    try:
        return None if text is None else int(parsedate_to_datetime(text).timestamp())
    except ValueError:
        return None


def _trust(ca_file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca_file))
