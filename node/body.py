"""One body on its own store: configuration, keys, store, trust, engine, put together. The composition root of a node.

Used by the running process and by a command that opens the store itself; nothing here waits or calls the network.
"""

import logging
import sqlite3
from pathlib import Path
from typing import Final

from msgspec import Struct

from node.api.tables import MIGRATIONS as API_MIGRATIONS
from node.catalogue.tables import MIGRATIONS as CATALOGUE_MIGRATIONS
from node.context import Context, set_setting, setting
from node.engine import MIGRATIONS as ENGINE_MIGRATIONS
from node.engine import STORE_NAME, Exchange, store_path
from node.exchange import erased, erased_list, erasing
from node.exchange.erased_list import tidy
from node.map.follow import MIGRATIONS as FOLLOW_MIGRATIONS
from node.map.heads import MIGRATIONS as HEADS_MIGRATIONS
from node.map.tables import map_migrations
from node.runtime import trust
from node.runtime.backup import ERASED_NAME
from node.runtime.clock import SystemClock
from node.runtime.config import NodeConfig, load_secret
from node.runtime.dice import SystemDice
from node.runtime.keystore import Keystore as KeyFile
from node.runtime.logs import event
from node.runtime.ports import Clock, Keystore, Random
from node.runtime.premises import assert_private
from node.runtime.store import Store
from protocol.errors import ProtocolError
from protocol.suite import S1, Suite

MIGRATIONS: Final = (
    *ENGINE_MIGRATIONS,
    *trust.MIGRATIONS,
    *map_migrations(),
    *FOLLOW_MIGRATIONS,
    *HEADS_MIGRATIONS,
    *CATALOGUE_MIGRATIONS,
    *API_MIGRATIONS,
)
KEYS_NAME: Final = "chiavi.json"
NET: Final = "net"


class Profile(Struct, frozen=True, kw_only=True):
    """What a body says of itself before it is admitted; afterwards the admission says it."""

    name: str
    ptype: str
    comune: str | None = None


class Body:
    """A body opened for work. `trust` is None until the first contact with a network."""

    def __init__(
        self, config: NodeConfig, store: Store, keystore: Keystore, *, clock: Clock, dice: Random, suite: Suite
    ) -> None:
        self.config = config
        self.data_dir = Path(config.data_dir)
        self.store = store
        self.clock = clock
        self.dice = dice
        self.suite = suite
        self.trust: trust.Trust | None = None
        self.ctx = Context(
            me=config.bodies[0].id,
            net=store.read(lambda db: setting(db, NET, "")),
            suite=suite,
            clock=clock,
            dice=dice,
            keystore=keystore,
        )
        self.exchange = Exchange(self.ctx)
        self.reload()

    @classmethod
    def open(cls, config: NodeConfig) -> "Body":
        """Opens the store under its lock. Raises store-busy, dir-exposed, keys-exposed, config-missing…"""
        data = Path(config.data_dir)
        assert_private(data, (STORE_NAME, "local.json"))
        secret = config.bodies[0].passphrase_file
        keystore = KeyFile.load(data / KEYS_NAME, load_secret(Path(secret)) if secret else None)
        store = Store.open(store_path(data), MIGRATIONS, create=False)
        try:
            body = cls(config, store, keystore, clock=SystemClock(), dice=SystemDice(), suite=S1)
            body._keep_erased()
            return body
        except BaseException:
            store.close()
            raise

    def _keep_erased(self) -> None:
        """A store that somebody put back by hand, without `restore`, does not bring back what was erased."""
        try:
            gone = erased_list.read(self.data_dir / ERASED_NAME)
        except ProtocolError as problem:  # `restore` stops here; a desk that only starts again works on, and it is said
            event(logging.ERROR, "erased-list", code=problem.code)
            return
        back = self.store.read(lambda db: [line for line in gone if erased.tombstone(db, line[0]) is None])
        if back:
            self.store.run(lambda tx: erasing.reapply(tx, self.ctx, [leg for leg, _ in back], dict(back)))

    def reload(self) -> None:
        """Reads the trust from the store: at start, and after a command changed it."""
        if not self.ctx.net:
            return
        self.adopt(self.store.read(lambda db: trust.load(db, self.ctx.net, self.suite, self.clock.now())))

    def adopt(self, held: trust.Trust | None) -> None:
        """After the commit that stored newer documents."""
        self.trust = held
        if held is not None and held.membership is not None:
            self.ctx.adopt(held.membership)

    def begin(self, tx: sqlite3.Connection, net: str, root1: bytes) -> trust.Trust:
        """First contact with a network: remembers `net` and root-1. Raises wrong-network when already in another."""
        if self.ctx.net and self.ctx.net != net:
            raise ProtocolError("wrong-network", expected=self.ctx.net, got=net)
        fresh = trust.start(root1, net, self.suite)
        if not self.ctx.net:
            set_setting(tx, NET, net)
            trust.keep(tx, fresh, self.clock.now(), roots=[root1])
            self.ctx.net = net
        return fresh

    def tidy(self) -> bool:
        """What an erasure leaves to be done, on the store's own thread; False: again at the next turn."""
        kept = self.config.backup.to
        return tidy(self.store, self.data_dir, [Path(kept)] if kept and Path(kept).is_dir() else [])

    def close(self) -> None:
        """Gives the store back."""
        self.store.close()
