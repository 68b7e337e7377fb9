"""A registry, or a relay, that answers what it likes, at the address where the honest one was. Raw bytes, one per call."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

Wild = Callable[[asyncio.StreamWriter], Awaitable[None]]


def answer(body: bytes = b"", status: int = 200, media: str = "application/json", **headers: str) -> bytes:
    """A whole answer; header names with underscores."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {media}", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


class Liar:
    """`say[path prefix]` is an answer, or writes one itself; anything else is 404. `asked` are the targets called."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.say: dict[str, bytes | Wild | Callable[[str], bytes]] = {}
        self.asked: list[str] = []

    async def __aenter__(self) -> "Liar":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    await reader.readexactly(int(line[15:]))
            target = head.split(b" ")[1].decode("latin-1")
            self.asked.append(target)
            said = next((what for prefix, what in self.say.items() if target.startswith(prefix)), answer(b"", 404))
            if isinstance(said, bytes):
                writer.write(said)
            elif asyncio.iscoroutinefunction(said):
                await said(writer)
            else:
                writer.write(said(target))
            await writer.drain()
        writer.close()


async def hundred_megabytes(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\nConnection: close\r\n\r\n")
    chunk = b"[" * (1 << 20)
    for _ in range(100):
        writer.write(chunk)
        await writer.drain()


async def for_ever(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
    chunk = b"100000\r\n" + b"a" * (1 << 20) + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()


async def drip(writer: asyncio.StreamWriter) -> None:
    """A byte whenever the loop has time for one: never late, never done."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n")
    for _ in range(1000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(1)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


ANYTHING: dict[str, bytes | Wild] = {
    "nothing": answer(b""),
    "a page of a hotel": answer(b"<html>Benvenuti</html>", media="text/html"),
    "an array": answer(b"[]"),
    "an object": answer(b"{}"),
    "null": answer(b"null"),
    "deep": answer(b"[" * 100_000),
    "digits": answer(b"9" * 5000),
    "not UTF-8": answer(b"\xff\xfe\x00"),
    "lone surrogate": answer(b'{"a":"\\ud800"}'),
    "redirect": answer(b"", 302, Location="http://169.254.169.254/latest"),
    "redirect to a file": answer(b"", 301, Location="file:///etc/passwd"),
    "gzip": answer(b"\x1f\x8b\x08\x00", Content_Encoding="gzip"),
    "500": answer(b"x" * 100_000, 500),
    "418": answer(b"", 418),
    "problem of no kind": answer(b'{"code":"Kzqwrtpsd","status":999}', 400, "application/problem+json"),
    "problem with content": answer(
        b'{"code":"bad-shape","field":"Kzqwrtpsd","got":"Kzqwrtpsd"}', 422, "application/problem+json"
    ),
    "wild time": answer(b'{"code":"unauthenticated","server_time":%d}' % 10**30, 401, "application/problem+json"),
    "wild negative time": answer(
        b'{"code":"unauthenticated","server_time":-%d}' % 10**18, 401, "application/problem+json"
    ),
    "far time": answer(b'{"code":"unauthenticated","server_time":9007199254740991}', 401, "application/problem+json"),
    "deep problem": answer(b'{"code":' + b"[" * 10_000, 400, "application/problem+json"),
    "wild retry": answer(b'{"code":"busy"}', 503, Retry_After="9" * 5000),
    "far retry": answer(b'{"code":"busy"}', 503, Retry_After="9" * 30),
    "date of year one": answer(b"{}", Date="Mon, 01 Jan 0001 00:00:00 +2359"),
    "date without a zone": answer(b"{}", Date="Mon, 01 Jan 0001 00:00:00 -0000"),
    "date far away": answer(b"{}", Date="Fri, 31 Dec 9999 23:59:59 -2359"),
    "date of words": answer(b"{}", Date="Kzqwrtpsd"),
    "date of digits": answer(b"{}", Date="9" * 400),
    "304": answer(b"", 304),
    "204": b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    "half an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "no HTTP": b"\x00\x01\x02\r\n\r\n",
    "head of 100 kB": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n",
    "wrong chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    "100 MB": hundred_megabytes,
    "for ever": for_ever,
    "drip": drip,
    "silence": silence,
    "hung up": hang_up,
}
