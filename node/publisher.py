"""Bringing our catalogue and statements to the registry. Shell only; what to publish is decided by node.catalogue."""

import asyncio
import logging
from typing import Final

import msgspec

from node import enrolment
from node.body import Body
from node.catalogue import publishing
from node.courier import Courier
from node.keys import republishing
from node.runtime.logs import event
from node.runtime.waiting import Pace, woken
from node.runtime.writer import Readers, Writer
from protocol import paths
from protocol.errors import ProtocolError
from protocol.strict import decode
from schemas.catalogue import CatalogueAnswer, CataloguePost

IDLE: Final = 30.0
FURTHEST: Final = 60.0  # between two tries while the registry cannot be reached
_ANSWER_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 4 << 20  # of records in one post; the registry says what it still lacks


class Publisher:
    """Posts what waits, until the registry has it; a refusal is kept for people and not repeated."""

    def __init__(self, body: Body, writer: Writer, readers: Readers, courier: Courier) -> None:
        self._body = body
        self._writer = writer
        self._readers = readers
        self._courier = courier
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Something was published."""
        self._wake.set()

    async def run(self) -> None:
        """For ever: post, wait."""
        pace = Pace(self._body.dice, 2.0, FURTHEST)
        while True:
            self._wake.clear()
            if self._body.ctx.joined and not await self._post_all():
                pause = pace.failed()
            else:
                pace.worked()
                pause = IDLE
            await woken(self._wake, pause)

    async def _post_all(self) -> bool:
        """False when the registry could not be reached and it is worth trying again soon."""
        for pending in await self._readers.read(publishing.pending_posts):
            try:
                await self._post(pending)
            except ProtocolError as problem:
                event(logging.WARNING, "publish", code=problem.code, field=pending.vis, version=pending.rev)
                if problem.code in ("unknown-key", "revoked-key") and await self._signed_again(pending):
                    return False
                if problem.problem.retry == "later":
                    return False
                await self._refused(pending, problem)
        return True

    async def _signed_again(self, pending: publishing.PendingPost) -> bool:
        """Our signing key changed meanwhile."""
        ctx = self._body.ctx
        return await self._writer.submit(lambda tx: republishing.sign_again(tx, ctx, pending.vis)) > 0

    async def _refused(self, pending: publishing.PendingPost, problem: ProtocolError) -> None:
        await self._writer.submit(
            lambda tx: publishing.refused(tx, pending.vis, pending.rev, problem.code, problem.field)
        )

    async def _post(self, pending: publishing.PendingPost) -> None:
        records: dict[str, str] = {}
        for _ in range(2 + len(pending.records)):
            answer = await self._send(pending, records)
            if answer.accepted or not answer.missing:
                await self._posted(pending, answer)
                return
            records = _chunk(pending.records, answer.missing)
        raise ProtocolError("busy")

    async def _posted(self, pending: publishing.PendingPost, answer: CatalogueAnswer) -> None:
        await self._writer.submit(lambda tx: publishing.posted(tx, pending.vis, pending.rev, answer))

    async def _send(self, pending: publishing.PendingPost, records: dict[str, str]) -> CatalogueAnswer:
        body = msgspec.json.encode(
            CataloguePost(publication=pending.publication, manifest=pending.manifest, records=records)
        )
        registry = self._body.ctx.membership.doc.registry
        last = ProtocolError("unreachable", got="registry")
        for url in await self._readers.read(lambda db: enrolment.registry_urls(db, self._body)):
            try:
                response = await self._courier.call("POST", url, paths.CATALOGUE, aud=registry.id, body=body)
                return decode(response.body, CatalogueAnswer, max_bytes=_ANSWER_BYTES)
            except ProtocolError as problem:
                if problem.code != "unreachable":
                    raise
                last = problem
        raise last


def _chunk(lines: dict[str, str], missing: list[str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    size = 0
    for leaf in missing:
        line = lines.get(leaf)
        if line is None:
            continue
        size += len(line)
        if chosen and size > _CHUNK_BYTES:
            break
        chosen[leaf] = line
    return chosen
