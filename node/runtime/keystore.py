"""Private keys in one file beside the database, or in memory for simulations. Knows nothing of curves.

A key file looks like this (mode 0600; `sealed` replaces `ring` when there is a passphrase):
{"v":1,"ring":{"vault":"b64…","keys":[{"use":"sign","kid":"k1…","seed":"b64…","state":"current","created":1795259400}]}}

Who reads the file without a passphrase can sign as this body and open its post: a stolen laptop yields both, and the
database with them. Replacing the file leaves the old bytes in free blocks of the disk until they are overwritten.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import msgspec

from node.runtime.platform import make_private_dir, mode_command, readable_by_others, replace_private
from node.runtime.ports import KeyEntry, KeyState, KeyUse, Random
from node.runtime.ports import Keystore as KeystorePort
from protocol.errors import ProtocolError

SEED_BYTES: Final = 32

# scrypt with the cost OWASP advises for 32 MiB (N=2^15, r=8, p=3): a node has 512 MB in all.
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 15, 8, 3
_LABEL = b"raccordo/keystore/v1"


class _Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    use: KeyUse
    kid: str
    seed: bytes
    state: KeyState
    created: int


class _Ring(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    vault: bytes
    keys: tuple[_Key, ...] = ()


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    salt: bytes
    nonce: bytes
    data: bytes


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    v: int
    ring: _Ring | None = None
    sealed: _Sealed | None = None


class MemoryKeystore:
    """Keys without a file."""

    def __init__(self, dice: Random) -> None:
        self._ring = _Ring(vault=dice.bytes(SEED_BYTES))

    def signing_seed(self, kid: str | None = None) -> tuple[str, bytes]:
        """The current signing key, or the named one. Raises ProtocolError `unknown-key`."""
        for key in self._ring.keys:
            if key.use == "sign" and (key.kid == kid or (kid is None and key.state == "current")):
                return key.kid, key.seed
        raise ProtocolError("unknown-key", field=kid or "sign")

    def sealing_seeds(self) -> list[tuple[str, bytes, KeyState]]:
        """Every sealing key held, the current one first, then by age, newest first."""
        keys = [key for key in self._ring.keys if key.use == "seal"]
        keys.sort(key=lambda key: (key.state != "current", -key.created))
        return [(key.kid, key.seed, key.state) for key in keys]

    def entries(self) -> list[KeyEntry]:
        """Every key without its seed, in the order of arrival."""
        return [KeyEntry(key.use, key.kid, key.state, key.created) for key in self._ring.keys]

    def add_signing(self, seed: bytes, kid: str, now: int) -> None:
        """Keep a signing seed: current when it is the first, else next."""
        self._add("sign", seed, kid, now)

    def add_sealing(self, seed: bytes, kid: str, now: int) -> None:
        """Keep a sealing seed: current when it is the first, else next."""
        self._add("seal", seed, kid, now)

    def retire(self, kid: str) -> None:
        """Make the current key `kid` old and the oldest next key of its use current. `bad-key` when there is none."""
        retired = self._find(kid)
        heir = next((key for key in self._ring.keys if key.use == retired.use and key.state == "next"), None)
        if retired.state != "current" or heir is None:
            raise ProtocolError("bad-key", field=kid, expected="a current key with a next one")
        states: dict[str, KeyState] = {kid: "old", heir.kid: "current"}
        keys = (msgspec.structs.replace(k, state=states.get(k.kid, k.state)) for k in self._ring.keys)
        self._keep(_Ring(self._ring.vault, tuple(keys)))

    def destroy(self, kid: str) -> None:
        """Forget an old or next key. The current one is refused (`bad-key`)."""
        if self._find(kid).state == "current":
            raise ProtocolError("bad-key", field=kid, expected="a key that is not the current one")
        self._keep(_Ring(self._ring.vault, tuple(key for key in self._ring.keys if key.kid != kid)))

    def vault_key(self) -> bytes:
        """32 bytes that wrap the case keys."""
        return self._ring.vault

    def _add(self, use: KeyUse, seed: bytes, kid: str, now: int) -> None:
        if len(seed) != SEED_BYTES or any(key.kid == kid for key in self._ring.keys):
            raise ProtocolError("bad-key", field=kid, expected="32 new bytes")
        first = not any(key.use == use and key.state == "current" for key in self._ring.keys)
        key = _Key(use, kid, seed, "current" if first else "next", now)
        self._keep(_Ring(self._ring.vault, (*self._ring.keys, key)))

    def _find(self, kid: str) -> _Key:
        for key in self._ring.keys:
            if key.kid == kid:
                return key
        raise ProtocolError("unknown-key", field=kid)

    def _keep(self, ring: _Ring) -> None:
        self._ring = ring


class Keystore(MemoryKeystore):
    """The same in a file, replaced whole and durably at every change, before the change counts."""

    def __init__(self, path: Path, ring: _Ring, passphrase: str | None) -> None:
        self.path = path
        self.on_change: Callable[[], None] = _nothing  # after every change, from the thread that made it
        self._ring = ring
        self._passphrase = passphrase

    @classmethod
    def create(cls, path: Path, dice: Random, passphrase: str | None = None) -> Self:
        """A new key file; an existing one is never overwritten (`keys-exist`)."""
        if path.exists():
            raise ProtocolError("keys-exist", field=path.name)
        make_private_dir(path.parent)
        keystore = cls(path, _Ring(vault=dice.bytes(SEED_BYTES)), passphrase)
        keystore._keep(keystore._ring)
        return keystore

    @classmethod
    def load(cls, path: Path, passphrase: str | None = None) -> Self:
        """Raises ProtocolError: keys-missing, keys-exposed (others may read it), keys-damaged, bad-passphrase."""
        if not path.exists():
            raise ProtocolError("keys-missing", field=path.name)
        if readable_by_others(path):
            raise ProtocolError("keys-exposed", field=path.name, expected=mode_command(path))
        return cls.read(path.read_bytes(), path, passphrase)

    @classmethod
    def read(cls, raw: bytes, path: Path, passphrase: str | None = None) -> Self:
        """The keys in `raw`, the content of the file at `path` (which is written at a change only)."""
        try:
            file = msgspec.json.decode(raw, type=_File)
            ring = _unseal(file.sealed, passphrase) if file.sealed is not None else file.ring
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise ProtocolError("keys-damaged", field=path.name) from error
        if file.v != 1 or ring is None or (file.sealed is not None and file.ring is not None):
            raise ProtocolError("keys-damaged", field=path.name)
        return cls(path, ring, passphrase if file.sealed is not None else None)

    def _keep(self, ring: _Ring) -> None:
        sealed = None if self._passphrase is None else _seal(ring, self._passphrase)
        file = _File(v=1, ring=ring) if sealed is None else _File(v=1, sealed=sealed)
        try:
            replace_private(self.path, msgspec.json.encode(file))
        except OSError as error:
            raise ProtocolError("disk-full", field=self.path.name) from error
        self._ring = ring
        self.on_change()


def _nothing() -> None:
    """Nobody wants to know."""


def _seal(ring: _Ring, passphrase: str) -> _Sealed:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    # Fresh salt at each writing, so each key seals one text; these bytes decide nothing else, hence no port.
    salt, nonce = os.urandom(16), os.urandom(12)
    data = AESGCM(_stretch(passphrase, salt)).encrypt(nonce, msgspec.json.encode(ring), _LABEL)
    return _Sealed(salt, nonce, data)


def _unseal(sealed: _Sealed, passphrase: str | None) -> _Ring:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if passphrase is None:
        raise ProtocolError("bad-passphrase", expected="a passphrase")
    try:
        plain = AESGCM(_stretch(passphrase, sealed.salt)).decrypt(sealed.nonce, sealed.data, _LABEL)
    except (InvalidTag, ValueError) as error:
        raise ProtocolError("bad-passphrase") from error
    return msgspec.json.decode(plain, type=_Ring)


def _stretch(passphrase: str, salt: bytes) -> bytes:
    from hashlib import scrypt
    from unicodedata import normalize

    secret = normalize("NFC", passphrase).encode()
    return scrypt(secret, salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, maxmem=1 << 26, dklen=32)


_conforms: tuple[type[KeystorePort], ...] = (Keystore, MemoryKeystore)
