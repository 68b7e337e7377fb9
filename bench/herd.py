"""Two hundred nodes after an outage of the board: how many requests reach it, second by second. JSON out.

The loops are the programs' own (follower, reading of the mailbox, refresh of the members document, publisher, and the
pace of post that waits), each node with all of them; what they call is a board that answers, holds long polls or is
away. It runs in virtual time, on an event loop whose clock jumps to the next thing to happen: no socket, no store. When
the board goes, every connection breaks in the same moment, as when a machine falls.

Steady load is what came in the last ten minutes before. The target: afterwards no ten seconds bring more than three
times that; the worst second and the worst minute are told too, and what came at a board that was away.
"""

import asyncio
import selectors
import types
from collections import Counter
from collections.abc import Awaitable
from typing import Any, Final, cast

from node.app import App
from node.courier import Courier
from node.exchange import delivery
from node.follower import Follower
from node.publisher import Publisher
from node.runtime.dice import SeededDice
from protocol.errors import ProtocolError
from protocol.limits import POLL_WAIT, RETRY_CAP_FIRST_DAY

NODES: Final = 200
STEADY: Final = 600.0
OUTAGES: Final = (30.0, 300.0, 3600.0)
AFTER: Final = 900.0
TARGET: Final = 3.0
START: Final = 600.0  # nodes start over ten minutes


class Ahead(selectors.SelectSelector):
    """Waits for nothing: the loop's clock is moved on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class Board:
    """The registry as its callers see it. `came`: arrivals by second and kind, also those that found nobody."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dice: SeededDice) -> None:
        self._loop, self._dice = loop, dice
        self._away = asyncio.Event()
        self.came: Counter[tuple[int, str]] = Counter()
        self.missed: Counter[int] = Counter()

    def fall(self) -> None:
        self._away.set()

    def rise(self) -> None:
        self._away.clear()

    async def call(self, kind: str, hold: float = 0.0) -> None:
        """One request. Raises unreachable while the board is away, also in the middle of a long poll."""
        second = int(self._loop.time())
        if self._away.is_set():
            self.missed[second] += 1
            raise ProtocolError("unreachable")
        self.came[second, kind] += 1
        try:
            async with asyncio.timeout(hold + self._dice.uniform(0.01, 0.05)):
                await self._away.wait()
        except TimeoutError:
            return
        raise ProtocolError("unreachable")


class _Following(Follower):
    def __init__(self, node: "Node") -> None:
        self._body, self._wake, self._node = cast(Any, node), asyncio.Event(), node

    async def _follow(self, wait: int) -> bool:
        await self._node.board.call("log", wait)
        return False


class _Carrying(Courier):
    def __init__(self, node: "Node") -> None:
        self._body, self._node = cast(Any, node), node

    async def _poll_once(self, relay: str) -> bool:
        await self._node.board.call("mailbox", POLL_WAIT)
        return False


class _Publishing(Publisher):
    def __init__(self, node: "Node") -> None:
        self._body, self._wake, self._node = cast(Any, node), asyncio.Event(), node
        self.pending = False

    async def _post_all(self) -> bool:
        """Everybody has confirmed something while the board was away."""
        if self.pending:
            try:
                await self._node.board.call("catalogue")
            except ProtocolError:
                return False
            self.pending = False
        return True


class Node:
    """What the loops ask of a body, and the loops."""

    def __init__(self, number: int, board: Board) -> None:
        self.board = board
        self.dice = SeededDice(number)
        self.ctx = types.SimpleNamespace(joined=True, dice=self.dice)
        self.publisher = _Publishing(self)
        self.queued = False
        self._number = number

    async def run(self) -> None:
        """Starts in its own time, then for ever."""
        await asyncio.sleep(SeededDice(-1 - self._number).uniform(0, START))
        app = types.SimpleNamespace(
            body=self, _behind=asyncio.Event(), _refresh_once=self._refresh, _say=self._silent,
        )  # fmt: skip
        await asyncio.gather(
            _Following(self).run(), _Carrying(self).poll("bacheca"), self.publisher.run(),
            App._refresh_for_ever(cast(App, app)), self._post(),
        )  # fmt: skip

    async def _refresh(self) -> None:
        await self.board.call("members")

    async def _silent(self, code: str) -> None:
        """Nobody to tell."""

    async def _post(self) -> None:
        """A referral for somebody's mailbox, by the exchange's own delays."""
        tries = 0
        while True:
            if not self.queued:
                await asyncio.sleep(5.0)
                continue
            try:
                await self.board.call("post")
                self.queued, tries = False, 0
            except ProtocolError:
                await asyncio.sleep(delivery._delay(cast(Any, self.ctx), tries, RETRY_CAP_FIRST_DAY))
                tries += 1


def run(*, nodes: int = NODES, outages: tuple[float, ...] = OUTAGES, seed: int = 1) -> dict[str, Any]:
    """One world for each outage."""
    found = {f"{round(outage)}_s": _one(nodes, outage, seed) for outage in outages}
    return {
        "nodes": nodes,
        "outages": found,
        "holds": all(one["ten_seconds_ratio"] <= TARGET for one in found.values()),
    }


def _one(nodes: int, outage: float, seed: int) -> dict[str, Any]:
    selector = Ahead()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    try:
        return loop.run_until_complete(_lived(loop, nodes, outage, seed))
    finally:
        loop.close()


async def _lived(loop: asyncio.AbstractEventLoop, nodes: int, outage: float, seed: int) -> dict[str, Any]:
    board = Board(loop, SeededDice(seed))
    all_ = [Node(number, board) for number in range(nodes)]
    tasks: list[asyncio.Task[None]] = [asyncio.create_task(_quiet(node.run())) for node in all_]
    await asyncio.sleep(START + STEADY)
    fell = loop.time()
    board.fall()
    for node in all_:
        node.publisher.pending = node.queued = True
        node.publisher.wake()
    await asyncio.sleep(outage)
    rose = loop.time()
    board.rise()
    await asyncio.sleep(AFTER)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    kinds = sorted({kind for _, kind in board.came})
    steady = sum(_between(board, fell - STEADY, fell).values()) / STEADY
    after = [sum(_between(board, rose + s, rose + s + 1).values()) for s in range(int(AFTER))]
    worst = {width: max(sum(after[i : i + width]) / width for i in range(len(after) - width)) for width in (1, 10, 60)}
    return {
        "steady_per_s": round(steady, 2),
        "worst_second_per_s": worst[1], "worst_ten_seconds_per_s": round(worst[10], 2),
        "worst_minute_per_s": round(worst[60], 2),
        "ten_seconds_ratio": round(worst[10] / steady, 2), "minute_ratio": round(worst[60] / steady, 2),
        "while_away_per_s": round(sum(board.missed.values()) / outage, 2),
        "all_back_s": next((s for s in range(len(after)) if _back(board, rose, s, nodes)), None),
        "first_minute": {kind: _between(board, rose, rose + 60)[kind] for kind in kinds},
    }  # fmt: skip


async def _quiet(work: Awaitable[None]) -> None:
    await work


def _between(board: Board, since: float, until: float) -> Counter[str]:
    found: Counter[str] = Counter()
    for (second, kind), count in board.came.items():
        if int(since) <= second < int(until):
            found[kind] += count
    return found


def _back(board: Board, rose: float, seconds: int, nodes: int) -> bool:
    """Everybody has followed the log again, and posted what waited."""
    return _between(board, rose, rose + seconds)["post"] >= nodes
