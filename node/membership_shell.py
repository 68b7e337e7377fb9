"""Keeping the membership fresh: roots and members documents from the registry or any relay. Shell only.

The documents prove themselves (PROTOCOL §4), so who served them does not matter; rules are in node.runtime.trust.
"""

import sqlite3
from collections.abc import Callable
from typing import Final

import msgspec

from node.body import Body
from node.keys import watching
from node.runtime import trust
from node.runtime.client import Outbound
from node.runtime.writer import Writer
from protocol import paths
from protocol.errors import ProtocolError
from protocol.limits import MEMBERS_MAX
from protocol.strict import decode
from schemas.membership import Invitation, JoinAnswer, JoinRequest

_ROOTS_BYTES: Final = 64 * 1024 * 1024


class RootsAnswer(msgspec.Struct, frozen=True):
    """GET /v1/roots?after=N: General JSON texts of the steps after N."""

    roots: list[str]


class MembershipShell:
    """Fetches, verifies, stores, adopts. `on_change()` is told when a newer version was adopted."""

    def __init__(self, body: Body, writer: Writer, client: Outbound, on_change: Callable[[], None]) -> None:
        self._body = body
        self._writer = writer
        self._client = client
        self._on_change = on_change

    def sources(self, registry: list[str]) -> list[str]:
        """Where to ask, in order: the registry's addresses, then every relay's."""
        joined = self._body.trust is not None and self._body.trust.membership is not None
        relays = list(self._body.ctx.membership.relays.values()) if joined else []
        return list(dict.fromkeys([*registry, *relays]))

    async def begin(self, invitation: Invitation) -> None:
        """First contact: root-1 against the `net` of the invitation, then whatever followed."""
        last = ProtocolError("unreachable", got="registry")
        for url in invitation.registry:
            try:
                answer = await self._client.request("GET", _join(url, f"{paths.ROOTS}?after=0"), max_bytes=_ROOTS_BYTES)
            except ProtocolError as problem:
                last = problem
                continue
            await self._begin_with(invitation.net, answer.body)
            return
        raise last

    async def _begin_with(self, net: str, answer: bytes) -> None:
        raws = [raw.encode() for raw in decode(answer, RootsAnswer, max_bytes=_ROOTS_BYTES).roots]
        if not raws:
            raise ProtocolError("root-chain", got="no root")
        await self._writer.submit(lambda tx: self._begin(tx, net, raws))
        self._body.adopt(self._read_back())

    def _begin(self, tx: sqlite3.Connection, net: str, raws: list[bytes]) -> None:
        fresh = self._body.begin(tx, net, raws[0])
        held = self._body.trust or fresh
        known = held.root.root.n
        newer = raws[known:]
        moved = trust.advance(held, roots=newer, now=self._body.clock.now())
        trust.keep(tx, moved, self._body.clock.now(), roots=newer)

    def _read_back(self) -> trust.Trust | None:
        body = self._body
        return self._writer.call(lambda db: trust.load(db, body.ctx.net, body.suite, body.clock.now()))

    async def request_join(self, request: JoinRequest, registry: list[str]) -> JoinAnswer:
        """Sends the join request; repeating it is harmless."""
        raw = msgspec.json.encode(request)
        answer = await self._first(registry, "POST", paths.JOIN, raw, 1 << 20)
        return decode(answer, JoinAnswer, max_bytes=1 << 20)

    async def refresh(self, registry: list[str]) -> bool:
        """Asks once for newer documents; True when a newer version was adopted. Raises what does not verify."""
        held = self._body.trust
        if held is None:
            return False
        have = held.membership.version if held.membership else 0
        target = f"{paths.MEMBERS}?have={have}"
        for url in self.sources(registry):
            try:
                answer = await self._client.request("GET", _join(url, target), max_bytes=MEMBERS_MAX)
            except ProtocolError:
                continue
            if answer.status == 304 or not answer.body:
                return False
            await self._take(answer.body, url)
            return True
        raise ProtocolError("unreachable", got="registry and relays")

    async def _take(self, members: bytes, url: str) -> None:
        held = self._body.trust
        assert held is not None
        now = self._body.clock.now()
        roots: list[bytes] = []
        try:
            fresh = trust.advance(held, members=members, now=now)
        except ProtocolError as problem:
            if problem.code not in ("unknown-key", "bad-signature", "root-chain"):
                raise
            roots = await self._newer_roots(url, held.root.root.n)
            fresh = trust.advance(held, roots=roots, members=members, now=now)
        if (
            held.membership is not None
            and fresh.membership is not None
            and fresh.membership.version == held.membership.version
        ):
            return
        await self._writer.submit(lambda tx: self._keep(tx, fresh, roots, now))
        self._body.adopt(fresh)
        self._on_change()

    def _keep(self, tx: sqlite3.Connection, fresh: trust.Trust, roots: list[bytes], now: int) -> None:
        trust.keep(tx, fresh, now, roots=roots)
        if fresh.membership is not None:
            watching.adopted(tx, self._body.ctx, fresh.membership)

    async def _newer_roots(self, url: str, after: int) -> list[bytes]:
        answer = await self._client.request("GET", _join(url, f"{paths.ROOTS}?after={after}"), max_bytes=_ROOTS_BYTES)
        return [raw.encode() for raw in decode(answer.body, RootsAnswer, max_bytes=_ROOTS_BYTES).roots]

    async def _first(self, urls: list[str], method: str, target: str, body: bytes, most: int) -> bytes:
        last = ProtocolError("unreachable", got="registry")
        for url in urls:
            try:
                headers = {"Content-Type": "application/json"}
                return (
                    await self._client.request(method, _join(url, target), body=body, headers=headers, max_bytes=most)
                ).body
            except ProtocolError as problem:
                if problem.code not in ("unreachable", "busy"):
                    raise
                last = problem
        raise last


def _join(url: str, target: str) -> str:
    return url.rstrip("/") + target
