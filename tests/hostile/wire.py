"""A peer that speaks HTTP as badly as it likes: raw bytes out, one answer in. No library that would tidy the request."""

import asyncio
import contextlib
import json
import time
from typing import NamedTuple

PROBLEM = "application/problem+json"


class Request(NamedTuple):
    """One call. `raw` replaces everything else; `half` closes our side after writing; `note` says what is wrong."""

    note: str
    method: str = "GET"
    target: bytes = b"/"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes | None = None
    raw: bytes | None = None
    half: bool = False

    def encode(self, port: int) -> bytes:
        if self.raw is not None:
            return self.raw
        names = {name.lower() for name, _ in self.headers}
        headers = list(self.headers)
        if b"host" not in names:
            headers.insert(0, (b"Host", b"127.0.0.1:%d" % port))
        if self.body is not None and not names & {b"content-length", b"transfer-encoding"}:
            headers.append((b"Content-Length", b"%d" % len(self.body)))
        lines = [b"%s %s HTTP/1.1" % (self.method.encode(), self.target), *(b"%s: %s" % pair for pair in headers)]
        return b"\r\n".join(lines) + b"\r\n\r\n" + (self.body or b"")


class Answer(NamedTuple):
    """Status 0: the connection was closed without an answer. `work`: seconds of processor, server and peer together."""

    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float
    work: float = 0

    @property
    def problem(self) -> dict[str, object]:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.problem["code"]) if self.status >= 400 else ""


class Peer:
    """One connection at a time to one port, opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._pipe: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: Request) -> Answer:
        began, worked = time.perf_counter(), time.process_time()
        async with asyncio.timeout(15):
            answer, keep = await self._exchange(request)
            if answer.status == 0 and request.raw is None:  # a kept connection that ended meanwhile
                self.drop()
                answer, keep = await self._exchange(request)
        if not keep or request.raw is not None or request.half:
            self.drop()
        return answer._replace(seconds=time.perf_counter() - began, work=time.process_time() - worked)

    async def _exchange(self, request: Request) -> tuple[Answer, bool]:
        if self._pipe is None:
            self._pipe = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 26)
        reader, writer = self._pipe
        with contextlib.suppress(OSError):
            writer.write(request.encode(self.port))
            await writer.drain()
            if request.half:
                writer.write_eof()
        try:
            return await read_answer(reader, request.method == "HEAD")
        except (OSError, asyncio.IncompleteReadError, ValueError):
            return Answer(0, {}, b"", 0), False

    def drop(self) -> None:
        if self._pipe is not None:
            self._pipe[1].close()
            self._pipe = None


async def read_answer(reader: asyncio.StreamReader, bodiless: bool) -> tuple[Answer, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ")[1])
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
    if status == 100:
        return await read_answer(reader, bodiless)
    body = b"" if bodiless or status in (204, 304) else await _body(reader, headers)
    return Answer(status, headers, body, 0), headers.get("connection", "").lower() != "close"


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") == "chunked":
        chunks = []
        while size := int(await reader.readline(), 16):
            chunks.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readline()
        return b"".join(chunks)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read()
