"""A node's copy of the log and its map in virtual time, and its publications: what the node's publisher and follower do.

Everything fetched is checked by node.map.follow; what is lost on the way is asked for again at the next round.
"""

import sqlite3
from typing import TYPE_CHECKING, Any

import msgspec

from node.map import follow
from node.map.tables import map_migrations
from node.runtime.migrations import migrate
from node.runtime.store import Outcome
from protocol.errors import ProtocolError
from protocol.jws import CAT, parse_compact, sign_compact
from protocol.publications import PUBLICATION_MAX
from protocol.strict import digest
from schemas.catalogue import CataloguePost, Visibility
from tests.simulator.board import Board, accepted
from tests.simulator.fork import keep_conflict
from tests.simulator.founding import catalogue
from tests.simulator.kernel import Violation

if TYPE_CHECKING:
    from tests.simulator.shell import Node

RETRY = 20 * 60_000


class Follower:
    """One node's following; made anew at each start."""

    def __init__(self, node: "Node", board: Board) -> None:
        self.node = node
        self.board = board
        self.busy = False
        self.settled = 0  # the members version that was last found in the log

    def round(self) -> None:
        """Ask for what comes after our copy."""
        if self.busy:
            return
        self.busy = True
        after = follow.held(self.node.reader).edge.size
        self._call(lambda reply: self.board.log(self.node.name, after, reply), self._page)

    def _call(self, handler: Any, done: Any) -> None:
        self.node.network.call(self.node, self.board, handler, done)

    def _page(self, raw: object) -> None:
        node = self.node
        if not isinstance(raw, bytes):
            self.busy = False
            return
        try:
            page = follow.prepare_page(raw, follow.held(node.reader), node.trust.root)
        except follow.HeadConflictError as conflict:
            node.kernel.note(node.name, "sees another history", conflict.code)
            keep_conflict(node, conflict)
            self.busy = False
            return
        except ProtocolError as problem:
            node.kernel.note(node.name, "refuses the log page", problem.code)
            self.busy = False
            return
        if not page.leaves:
            if self.settled == node.membership.version:
                self._fetch()
            else:
                self._settle()
            return
        node.submit(lambda tx: follow.apply_page(tx, page), lambda outcome: self._settle())

    def _settle(self) -> None:
        membership = self.node.membership
        self.node.submit(
            lambda tx: follow.settle(tx, membership), lambda outcome: self._settled(membership.version, outcome)
        )

    def _settled(self, version: int, outcome: Outcome[Any]) -> None:
        self.node.sound(outcome)
        if isinstance(outcome.error, ProtocolError):
            raise Violation("I7-members-fork", f"{self.node.name}: {outcome.error}")
        self.settled = version
        self._fetch()

    def _fetch(self) -> None:
        want = next(follow.wanted(self.node.reader, self.node.membership), None)
        if want is None:
            self.busy = False
            return
        self._call(lambda reply: self.board.object(want.hash, reply), lambda raw: self._object(want, raw))

    def _object(self, want: follow.Want, raw: object) -> None:
        node = self.node
        if not isinstance(raw, bytes):
            self.busy = False
            return
        try:
            checked = follow.prepare_object(node.reader, want, raw, node.membership)
        except ProtocolError as problem:
            if problem.code != "catalogue-too-old":
                raise Violation("I8-object-refused", f"{node.name} {want}: {problem}") from problem
            self.busy = False
            return
        membership = node.membership

        def done(outcome: Outcome[bool]) -> None:
            node.sound(outcome)
            self._fetch()

        node.submit(lambda tx: follow.accept_object(tx, checked, membership), done)


class Publisher:
    """A member's two chains. The snapshot on its way is posted again, the same bytes, until the board has it."""

    def __init__(self, node: "Node", board: Board) -> None:
        self.node = node
        self.board = board
        self.chains: dict[str, tuple[int, str]] = {}
        self.waiting: tuple[str, CataloguePost] | None = None

    def publish(self, vis: Visibility, numbers: list[int]) -> None:
        """The next revision, unless one is still on its way."""
        node = self.node
        if self.waiting is not None or not node.up:
            return
        rev, prev = self.chains.get(vis, (0, ""))
        signer = node.suite.signing_key(node.keystore.signing_seed()[1])
        salt = bytes([len(numbers), rev % 256]) * 16
        post = catalogue(
            node.net,
            node.name,
            signer,
            vis=vis,
            rev=rev + 1,
            prev=prev,
            now=node.clock.now(),
            numbers=numbers,
            salt=salt,
        )
        self.waiting = (vis, post)
        self._post()

    def _post(self) -> None:
        if self.waiting is None:
            return
        node, (_, post) = self.node, self.waiting
        if node.up:
            node.network.call(node, self.board, lambda reply: self.board.catalogue(post, reply), self._answered)
        node.kernel.after(RETRY, self._post)

    def _answered(self, answer: object) -> None:
        if self.waiting is None:
            return
        if accepted(answer):
            vis, post = self.waiting
            self.chains[vis] = (self.chains.get(vis, (0, ""))[0] + 1, digest(post.publication.encode()))
            self.node.kernel.note(self.node.name, "has published", vis, self.chains[vis][0])
            self.waiting = None
        elif isinstance(answer, ProtocolError) and answer.code in _FOR_EVER:
            self.waiting = None
        elif isinstance(answer, ProtocolError) and answer.code in _OTHER_KEY and self.node.up:
            self.waiting = (self.waiting[0], signed_again(self.waiting[1], self.node))


_FOR_EVER = frozenset({"suspended", "not-a-member"})
_OTHER_KEY = frozenset({"unknown-key", "revoked-key"})  # as node.keys.republishing


def signed_again(post: CataloguePost, node: "Node") -> CataloguePost:
    """The same snapshot under the key of now."""
    payload = parse_compact(post.publication, CAT, max_bytes=PUBLICATION_MAX).payload
    return msgspec.structs.replace(post, publication=sign_compact(node.ctx.keys.signing, CAT, payload))


def rebuild(board_db: sqlite3.Connection, world: Any) -> sqlite3.Connection:
    """The map from zero: a new follower that reads the whole log and fetches what it names, in one go."""
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    migrate(fresh, (*map_migrations(), *follow.MIGRATIONS))
    membership, engine = world.board.membership, world.board.engine
    while follow.held(fresh).edge.size < engine.log_page(board_db, 0).size:
        raw = msgspec.json.encode(engine.log_page(board_db, follow.held(fresh).edge.size))
        follow.apply_page(fresh, follow.prepare_page(raw, follow.held(fresh), membership.root))
    follow.settle(fresh, membership)
    while want := next(follow.wanted(fresh, membership), None):
        raw = engine.object(board_db, want.hash).bytes
        follow.accept_object(fresh, follow.prepare_object(fresh, want, raw, membership), membership)
    return fresh
