"""Founding a network on this computer: files, keys, store, the first root. Called by `init`, which does the talking.

Guarantors' private keys are written only where they were asked for, outside the server's data, and are never read by
anything that serves. With the public keys of guarantors who made theirs elsewhere, no private key is here at all.
"""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from node.runtime.keystore import Keystore
from node.runtime.platform import make_private_dir, replace_private
from node.runtime.ports import Clock, Random
from node.runtime.premises import move_in
from node.runtime.store import Store
from protocol.errors import ProtocolError
from protocol.strict import decode
from protocol.suite import Suite
from registry import ceremony
from registry.asking import Installed
from registry.board import set_setting
from registry.ceremony import PILOT_NAME, GuarantorKey, PublicFile, RootPlan
from registry.cli_kit import CONFIG_NAME, read_file, write_private
from registry.engine import MIGRATIONS, RegistryEngine
from registry.opening import KEYS_NAME, STORE_NAME
from registry.setup import Answers, network_setup
from registry.sheet import sheet_html, sheet_text
from schemas.membership import Guarantor

PUBLIC_MAX = 4096


class Ports(NamedTuple):
    """The real ones, or a test's."""

    clock: Clock
    dice: Random
    suite: Suite


class Place(NamedTuple):
    """Where a registry is founded and where it will listen."""

    data_dir: Path
    base: Path
    key_dir: Path
    host: str
    port: int
    plain_http: bool = False
    passphrase: str | None = None


class Founded(NamedTuple):
    """What was made. `installed` is None while guarantors still have to sign `draft`."""

    config: Path
    key_files: tuple[Path, ...]
    draft: Path
    installed: Installed | None


def slug(name: str) -> str:
    """A file name for a guarantor: "Consulta del terzo settore" → consulta-del-terzo-settore."""
    ascii_ = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_).strip("-")[:48] or "garante"


def found(answers: Answers, place: Place, ports: Ports) -> Founded:
    """Everything `init` does after asking. Raises keys-exist (founded already), config-invalid, bad-shape."""
    setup = network_setup(answers, place.base)
    _check_place(place)
    names = [PILOT_NAME] if answers.network.pilot else answers.network.guarantors
    made, public = _guarantors(names, answers, place, ports)
    plan = _plan(answers, public)
    config = _files(answers, place, ports)
    store = Store.open(place.data_dir / STORE_NAME, MIGRATIONS)
    try:
        keystore = Keystore.load(place.data_dir / KEYS_NAME)
        engine = RegistryEngine(suite=ports.suite, clock=ports.clock, dice=ports.dice, keystore=keystore)
        store.run(lambda tx: engine.configure(tx, setup))
        store.run(lambda tx: set_setting(tx, "key_dir", str(place.key_dir.resolve()) if made else ""))
        draft = engine.first_draft(plan)
        draft_file = place.key_dir / "radice-1.bozza.json"
        write_private(draft_file, draft)
        installed = None
        if len(made) >= plan.threshold:
            signed = ceremony.sign_root(draft, made)
            root = store.read(lambda db: engine.prepare_root(db, signed))
            installed = store.run(lambda tx: engine.install_root(tx, root))
        return Founded(config, tuple(_key_path(place.key_dir, key.name) for key in made), draft_file, installed)
    finally:
        store.close()


def _check_place(place: Place) -> None:
    data, keys = place.data_dir.resolve(), place.key_dir.resolve()
    if (place.data_dir / KEYS_NAME).exists():
        raise ProtocolError("keys-exist", field=KEYS_NAME)
    if keys == data or data in keys.parents:
        raise ProtocolError("config-invalid", field="key_dir", expected="una cartella fuori dai dati del server")


def _plan(answers: Answers, public: Sequence[Guarantor]) -> RootPlan:
    network = answers.network
    if network.pilot:
        return RootPlan(network.name, tuple(public), 1, 1, pilot=True, policy=answers.policy)
    return RootPlan(network.name, tuple(public), network.threshold, network.admission_threshold, policy=answers.policy)


def _guarantors(
    names: Sequence[str], answers: Answers, place: Place, ports: Ports
) -> tuple[list[GuarantorKey], list[Guarantor]]:
    """Keys made here, and all public halves: those of guarantors who brought theirs are only read."""
    made: list[GuarantorKey] = []
    public: list[Guarantor] = []
    for name in names:
        brought = place.key_dir / f"{slug(name)}.pub"
        if brought.exists():
            public.append(read_public(brought))
            continue
        key = ceremony.guarantor_key(name, ports.dice.bytes(32), ports.suite)
        write_guarantor(key, place.key_dir, answers.network.name, ports.dice, answers.network.pilot, place.passphrase)
        made.append(key)
        public.append(ceremony.as_guarantor(key))
    return made, public


def write_guarantor(
    key: GuarantorKey, folder: Path, network: str, dice: Random, pilot: bool, passphrase: str | None
) -> Path:
    """Key file, public half and sheet of one guarantor, each 0600. Raises keys-exist."""
    make_private_dir(folder)
    path = _key_path(folder, key.name)
    if passphrase is None:
        write_private(path, ceremony.write_key(key))
    else:
        write_private(path, ceremony.write_key(key, passphrase, salt=dice.bytes(16), nonce=dice.bytes(12)))
    base = folder / slug(key.name)
    write_private(base.with_suffix(".pub"), msgspec.json.encode(key.public))
    write_private(base.with_suffix(".foglio.txt"), sheet_text(key, network, pilot=pilot).encode())
    write_private(base.with_suffix(".foglio.html"), sheet_html(key, network, pilot=pilot).encode())
    return path


def _key_path(folder: Path, name: str) -> Path:
    return folder / f"{slug(name)}.chiave.json"


def read_public(path: Path) -> Guarantor:
    """The public half a guarantor gave. Raises bad-shape, config-missing."""
    brought = decode(read_file(path, PUBLIC_MAX), PublicFile, max_bytes=PUBLIC_MAX)
    return Guarantor(brought.x, brought.name)


def _files(answers: Answers, place: Place, ports: Ports) -> Path:
    move_in(place.data_dir)
    Keystore.create(place.data_dir / KEYS_NAME, ports.dice)
    config = place.data_dir / CONFIG_NAME
    lines = [
        'data_dir = "."', "", "[[bodies]]", f'id = "{answers.network.id}"', "", "[http]",
        f'listen_host = "{place.host}"', f"listen_port = {place.port}",
        *(["allow_plain_http_loopback = true"] if place.plain_http else []),
    ]  # fmt: skip
    replace_private(config, ("\n".join(lines) + "\n").encode())
    return config
