"""Nodes on disk that belong to one network, made with the protocol's own writers. No registry, nothing running.

Keys come from names, so that a world is the same each time; times are the real ones, because real processes serve it.
"""

import socket
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from node.body import KEYS_NAME, MIGRATIONS, NET
from node.cases import operators
from node.context import set_setting
from node.engine import store_path
from node.enrolment import CONFIG_NAME
from node.runtime import trust
from node.runtime.dice import SystemDice
from node.runtime.keystore import Keystore
from node.runtime.platform import make_private_dir, replace_private
from node.runtime.store import Store
from protocol.limits import DAY
from protocol.members import Membership
from protocol.roots import TrustedRoot
from protocol.suite import S1
from schemas.membership import Registry, Relay
from tests.protocol.network import Network, net_of, root_of, sealer, seed, signed_root, signer

OPERATOR: Final = "AS-1"
NOBODY: Final = "http://127.0.0.1:9"  # the registry of a world without one: refused at once


class Founding(Network):
    """The network of the tests, founded now."""

    def __init__(self, now: int) -> None:
        root = root_of(["g1", "g2", "g3"], iat=now - DAY, exp=now + 300 * DAY)
        self.root_raw = signed_root(root, ["g1", "g2"])
        self.net = net_of(self.root_raw)
        self.root = TrustedRoot.start(self.root_raw, self.net, S1)
        self.entries = {}


class World:
    """`names` with a direct address each (the others have none); `relays` keep mailboxes at theirs."""

    def __init__(
        self, folder: Path, names: Sequence[str], now: int, *, direct: Sequence[str], relays: Sequence[str] = ()
    ):
        self.folder = folder
        self.now = now
        self.network = Founding(now - 60)
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.direct, self.relays = tuple(direct), tuple(relays)
        for name in names:
            self._admit(name)
        self.membership = self._members()
        for name in names:
            self._settle(name)

    def path(self, name: str) -> Path:
        return self.folder / name

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def _admit(self, name: str) -> None:
        now = self.now - 60
        admission = self.network.admission(name, caps=["take-in-charge", "pua", "pis"], now=now)
        urls = [self.url(name)] if name in self.direct else []
        routes = self.network.routes(name, since=now, now=now, urls=urls, relays=list(self.relays))
        self.network.add(name, admission=admission, routes=routes, since=now)

    def _members(self) -> Membership:
        relays = [Relay(name, self.url(name)) for name in self.relays]
        registry = Registry("bacheca", [NOBODY])
        now = self.now - 30
        return self.network.step(
            now=now, iat=now, exp=now + 7 * DAY, relays=[Relay("bacheca", NOBODY), *relays], registry=registry
        )

    def _settle(self, name: str) -> None:
        folder = self.path(name)
        make_private_dir(folder)
        keys = Keystore.create(folder / KEYS_NAME, SystemDice())
        keys.add_signing(seed(name), signer(name).kid, self.now)
        keys.add_sealing(seed(name), sealer(name).kid, self.now)
        replace_private(folder / CONFIG_NAME, self._config(name).encode())
        store = Store.open(store_path(folder), MIGRATIONS)
        try:
            store.run(self._join)
        finally:
            store.close()

    def _join(self, tx: sqlite3.Connection) -> None:
        set_setting(tx, NET, self.network.net)
        held = trust.Trust(self.network.root, self.membership)
        trust.keep(tx, held, self.now, roots=[self.network.root_raw])
        operators.add(tx, OPERATOR, "RL-ASSOC", None, self.now)

    def _config(self, name: str) -> str:
        listens = name in self.direct or name in self.relays
        lines = [
            'data_dir = "."',
            f"relay = {str(name in self.relays).lower()}",
            "",
            "[[bodies]]",
            f'id = "{name}"',
            "",
        ]
        lines += ["[http]", "allow_plain_http_loopback = true"]
        if listens:
            lines += ['listen_host = "127.0.0.1"', f"listen_port = {self.ports[name]}"]
        return "\n".join(lines) + "\n"


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()
