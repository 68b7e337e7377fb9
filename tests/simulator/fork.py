"""A board that tells two stories: from some moment half of its members follow another log, signed by the same key.

What has to hold: whoever holds the longer of two heads that contradict finds it out, keeps what proves it, tells people
and the other; nobody's post waits for that (I7, I13). Members documents are the same for all: the log is what differs.
"""

import random
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from node.exchange import heads
from node.exchange.outbox import raise_alarm
from node.map import follow
from node.map import heads as map_heads
from node.runtime.store import Store
from protocol.errors import ProtocolError
from protocol.heads import check_evidence, read_head
from protocol.strict import b64u_encode
from registry import log
from registry.engine import MIGRATIONS
from schemas.catalogue import LogEntry, LogPage
from tests.simulator.host import EPOCH_S
from tests.simulator.kernel import Violation

if TYPE_CHECKING:
    from tests.simulator.shell import Node
    from tests.simulator.world import World

HOUR = 3_600_000


class Fork:
    """The second history: a copy of the board's store that goes its own way."""

    def __init__(self, world: "World", dice: random.Random) -> None:
        self.world = world
        self.dice = dice
        names = [node.name for node in world.nodes]
        self.fooled = frozenset(dice.sample(names, dice.randint(1, len(names) - 1)))
        self.begun_at = 0  # leaves that both histories share
        self.began = False
        self.store: Store | None = None

    def begin(self) -> None:
        """From now on there are two logs, and both grow."""
        board = self.world.board
        if not board.up:
            self.world.kernel.after(HOUR // 4, self.begin)
            return
        path = Path(board.home) / "second" / "raccordo.db"
        path.parent.mkdir()
        board.copy().rename(path)
        self.store = Store.open(path, MIGRATIONS)
        self.begun_at = log.size(board.store._conn)
        self.began = True
        self.world.kernel.note("board", "tells two stories from", self.begun_at, *sorted(self.fooled))
        self.grow()
        self._first_step()

    def _first_step(self) -> None:
        """The members document is signed again, so that the first history has a leaf of its own too."""
        board = self.world.board
        if board.up:
            board.submit(board.engine._reissue, lambda outcome: board.changed())
        if not board.up or log.size(board.store._conn) <= self.begun_at:
            self.world.kernel.after(HOUR // 4, self._first_step)

    def grow(self) -> None:
        """Now and then the second history says that something was withdrawn that never was."""
        if self.store is None:
            return
        entry = LogEntry(type="withdraw-object", hash=_hash(self.dice), node="", ver=0)
        board, now = self.world.board, EPOCH_S + self.world.kernel.now // 1000

        def more(tx: sqlite3.Connection) -> None:
            log.append(tx, [entry], log.size(tx))
            board.engine.board.seal(tx, now)

        self.store.run(more)
        self.world.kernel.after(round(self.dice.uniform(1, 12) * HOUR), self.grow)

    def page(self, caller: str, after: int) -> LogPage | None:
        """What `caller` is shown of the log; None: what everybody is."""
        if self.store is None or caller not in self.fooled:
            return None
        return log.page(self.store._conn, after)

    # -- what has to hold

    def hides_from(self, node: "Node") -> bool:
        """This node's copy of the log is not the board's."""
        return self.began and node.name in self.fooled

    def found_out(self) -> None:
        """Every contradiction that a node was shown and could see is kept, proven and told; the peer is told too."""
        if self.store is None:
            return
        for node in self.world.nodes:
            if node.name in self.world.history.restored:
                continue
            keys = map_heads.log_keys(node.reader, node.net, node.suite)
            size = follow.held(node.reader).edge.size
            now = node.clock.now()  # what came a moment ago is compared at the next tick
            for peer, note, pair in node.reader.execute(
                "SELECT node, note, pair FROM peer_head WHERE verdict IS NOT NULL OR at < ?", (now - 7200,)
            ).fetchall():
                if peer == self.world.hostile or (peer in self.fooled) == (node.name in self.fooled):
                    continue
                try:
                    shown = read_head(note, keys)
                except ProtocolError:
                    continue
                if pair is not None or self.begun_at < shown.size <= size:
                    self._proof(node, peer)

    def _proof(self, node: "Node", peer: str) -> None:
        told = node.reader.execute("SELECT 1 FROM alarm WHERE code = ? AND node = ?", (heads.ALARM, peer)).fetchone()
        if told is None:
            raise Violation("I7-fork-not-told", f"{node.name} was shown another history by {peer}")
        self._evidence(node)

    def _evidence(self, node: "Node") -> None:
        try:
            raw = msgspec.json.encode(map_heads.evidence(node.reader, node.net))
            found = check_evidence(raw, net=node.net, suite=node.suite).found
        except ProtocolError as problem:
            raise Violation("I7-fork-not-proven", f"{node.name}: {problem}") from problem
        if not found:
            raise Violation("I7-fork-not-proven", node.name)

    def end(self) -> None:
        """The board shows everybody one log again: whoever was fooled sees at once that it is not the one it had."""
        if self.store is None:
            return
        was_fooled = [node for node in self.world.nodes if follow.held(node.reader).edge.size > self.begun_at]
        self.close()
        world = self.world
        for node in world.nodes:
            world.kernel.after(1, node.guarded(node.follower.round))
        world.kernel.run_until(world.kernel.now + HOUR)
        for node in was_fooled:
            # Of a larger head the tree is not known here: both notes stay, and whoever holds that log can prove it.
            if node.name in self.fooled and not follow.proofs(node.reader):
                raise Violation("I7-fork-not-kept", node.name)

    def close(self) -> None:
        """The second history is over."""
        if self.store is not None:
            self.store.close()
            self.store = None


def keep_conflict(node: "Node", conflict: follow.HeadConflictError) -> None:
    """What node.follower does with what the board showed."""
    now = node.clock.now()
    keys = map_heads.log_keys(node.reader, node.net, node.suite)

    def keep(tx: sqlite3.Connection) -> None:
        code = map_heads.keep_conflict(tx, conflict, keys, now)
        raise_alarm(tx, now, code, None, None, None)

    node.submit(keep)


def _hash(dice: random.Random) -> str:
    return b64u_encode(dice.randbytes(32))
