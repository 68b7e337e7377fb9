"""What every part of the engine is given: who we are, the ports, the verified root and membership. No commands.

Roots and members documents are verified again when read from the store, and kept by their hash: a transaction that is
rolled back leaves nothing wrong behind in memory.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from node.runtime.ports import Clock, Keystore, Random
from protocol.errors import ProtocolError
from protocol.limits import ROOT_STEPS_MAX
from protocol.members import Membership, read_members
from protocol.roots import TrustedRoot
from protocol.strict import b64u_decode
from protocol.suite import SigningKey, Suite
from registry import log, objects, restored
from registry.settings import set_setting, setting
from schemas.catalogue import EntryType, LogEntry
from schemas.membership import Registry, Relay


class Published(NamedTuple):
    """One leaf with the bytes it names."""

    type: EntryType
    hash: str
    node: str
    ver: int
    raw: bytes
    vis: objects.Visibility = "public"


class Board:
    """The registry of one network on one store."""

    def __init__(self, *, suite: Suite, clock: Clock, dice: Random, keystore: Keystore) -> None:
        self.suite = suite
        self.clock = clock
        self.dice = dice
        self.keystore = keystore
        self._root: tuple[str, TrustedRoot] | None = None
        self._membership: Membership | None = None

    def root(self, db: sqlite3.Connection) -> TrustedRoot:
        """The newest root, walked to from root-1. Raises config-missing before the ceremony is done."""
        newest = db.execute("SELECT hash FROM root ORDER BY n DESC LIMIT 1").fetchone()
        if newest is None:
            raise ProtocolError("config-missing", field="root", expected="root-1 signed by the guarantors")
        if self._root is None or self._root[0] != newest[0]:
            self._root = (str(newest[0]), self._walk(db))
        return self._root[1]

    def _walk(self, db: sqlite3.Connection) -> TrustedRoot:
        first, *newer = roots_after(db, 0, ROOT_STEPS_MAX + 1)
        return TrustedRoot.start(first.encode(), network(db), self.suite).walk(raw.encode() for raw in newer)

    def membership(self, db: sqlite3.Connection) -> Membership:
        """The newest members document, verified. Raises not-found before the first."""
        newest = db.execute("SELECT hash FROM members_doc ORDER BY version DESC LIMIT 1").fetchone()
        if newest is None:
            raise ProtocolError("not-found", field="members")
        root, held = self.root(db), self._membership
        if held is None or held.digest != newest[0] or held.root is not root:
            raw = objects.get(db, str(newest[0])).bytes
            held = read_members(raw, root, self.clock.now(), self._held(db), own_copy=True)
            self._membership = held
        return held

    def _held(self, db: sqlite3.Connection) -> Membership | None:
        """What was verified before, unless the transaction that wrote it was rolled back."""
        held = self._membership
        if held is None or db.execute("SELECT 1 FROM members_doc WHERE hash = ?", (held.digest,)).fetchone() is None:
            return None
        return held

    def online_key(self, root: TrustedRoot) -> SigningKey:
        """The key that signs members documents. Raises unknown-key when it is not in the server's keystore."""
        return self._server_key(root.root.online.x)

    def log_key(self, root: TrustedRoot) -> SigningKey:
        """The key that signs log heads."""
        return self._server_key(root.root.log.x)

    def _server_key(self, x: str) -> SigningKey:
        kid = self.suite.verify_key(b64u_decode(x)).kid
        return self.suite.signing_key(self.keystore.signing_seed(kid)[1])

    def publish(self, tx: sqlite3.Connection, items: Iterable[Published]) -> range:
        """Keeps the objects and appends their leaves, in order; the head is sealed at the end of the command."""
        items = list(items)
        for item in items:
            kind: objects.Kind = "catalogue" if item.type in ("public", "network") else "membership"
            objects.put(tx, item.hash, item.vis, item.node, item.raw, kind)
        return self.record(tx, items)

    def record(self, tx: sqlite3.Connection, items: Sequence[Published]) -> range:
        """Appends leaves alone."""
        entries = [LogEntry(type=item.type, hash=item.hash, node=item.node, ver=item.ver) for item in items]
        return log.append(tx, entries, log.size(tx))

    def seal(self, tx: sqlite3.Connection, now: int) -> str:
        """The signed head over everything this command appended."""
        restored.check_may_sign(tx)
        root = self.root(tx)
        return log.seal(tx, root.net, self.log_key(root), now)


# -- settings

__all__ = ["Board", "Published", "identity", "network", "relays", "roots_after", "set_setting", "setting"]


def network(db: sqlite3.Connection) -> str:
    """The network's id; empty before the ceremony."""
    return setting(db, "net")


def identity(db: sqlite3.Connection) -> Registry:
    """Our id and addresses, as the members document states them."""
    return msgspec.json.decode(setting(db, "registry"), type=Registry)


def relays(db: sqlite3.Connection) -> list[Relay]:
    """Every mailbox keeper: ourselves first."""
    ours = identity(db)
    return [Relay(ours.id, ours.urls[0]), *msgspec.json.decode(setting(db, "relays", "[]"), type=list[Relay])]


def roots_after(db: sqlite3.Connection, n: int, most: int) -> list[str]:
    """The General JSON texts of the roots after number `n`, in order."""
    return [str(raw) for (raw,) in db.execute("SELECT raw FROM root WHERE n > ? ORDER BY n LIMIT ?", (n, most))]
