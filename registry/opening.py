"""Opening a registry that is not running: configuration, keys, store, one command, and everything closed again."""

from pathlib import Path
from typing import Final

from node.runtime.clock import SystemClock
from node.runtime.config import RegistryConfig, load_config, load_secret
from node.runtime.dice import SystemDice
from node.runtime.keystore import Keystore
from node.runtime.premises import assert_private
from node.runtime.store import Store
from protocol.suite import S1
from registry.commands import TABLE, run_row
from registry.engine import MIGRATIONS, RegistryEngine

STORE_NAME: Final = "bacheca.db"
KEYS_NAME: Final = "chiavi.json"


def open_keys(config: RegistryConfig) -> Keystore:
    """The server's keys. Raises keys-missing, keys-exposed, bad-passphrase."""
    secret = config.bodies[0].passphrase_file
    return Keystore.load(Path(config.data_dir) / KEYS_NAME, load_secret(Path(secret)) if secret else None)


def open_store(config: RegistryConfig) -> Store:
    """The store under its lock. Raises store-busy, dir-exposed, config-missing."""
    assert_private(Path(config.data_dir), (STORE_NAME, "local.json"))
    return Store.open(Path(config.data_dir) / STORE_NAME, MIGRATIONS, create=False)


def run_here(config_file: Path, name: str, payload: bytes) -> bytes:
    """One row of registry.commands on a store nobody else has open."""
    config = load_config(config_file, RegistryConfig)
    store = open_store(config)
    try:
        engine = RegistryEngine(suite=S1, clock=SystemClock(), dice=SystemDice(), keystore=open_keys(config))
        if name in TABLE and not TABLE[name].writes:
            return store.read(lambda db: run_row(db, engine, name, payload))
        return store.run(lambda tx: run_row(tx, engine, name, payload))
    finally:
        store.close()
