"""One encrypted file: a header in clear, then authenticated chunks. What is inside is not its business (see backup).

A file looks like this:
    raccordo-backup\\n ‖ length of the header (4 bytes) ‖ header, JSON ‖ SHA-256 of all before (32 bytes) ‖ chunks
    {"v":1,"program":"node","what":"full","net":"…","member":"comune-tavullia","at":1795259400,"log":812,"epoch":1,
     "version":40,"kdf":{"name":"scrypt","n":32768,"r":8,"p":3},"salt":"b64…","check":"b64…"}
A chunk is AES-256-GCM over 256 KiB, its nonce the chunk's number and whether it is the last one, its key derived from
the secret and from the header: a chunk altered, moved, left out or added is refused, and so is a header that is not
the one it was written with. The plain hash only tells damage from a wrong passphrase before a secret is asked for.
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Literal, NamedTuple
from unicodedata import normalize

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from msgspec import Meta

from node.runtime.platform import create_private, readable_by_others
from protocol.errors import ProtocolError

Program = Literal["node", "registry"]
What = Literal["full", "keys", "export"]

VERSION: Final = 1
CHUNK: Final = 256 * 1024
PASSPHRASE_MIN: Final = 12  # characters: the file leaves the building, and can be tried for ever
_MAGIC: Final = b"raccordo-backup\n"
_HEADER_MAX: Final = 4096
_TAG: Final = 16
_LABEL: Final = b"raccordo/backup/v1/"
_KEY_FILE_MAX: Final = 4096


class Kdf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the secret becomes a key. The bounds keep a hostile header from taking the machine's memory."""

    name: Literal["scrypt", "key-file"]
    n: Annotated[int, Meta(ge=2, le=1 << 18)] = 2
    r: Annotated[int, Meta(ge=1, le=16)] = 8
    p: Annotated[int, Meta(ge=1, le=8)] = 1


SCRYPT: Final = Kdf("scrypt", 1 << 15, 8, 3)
"""The cost of the key file's own passphrase: 32 MiB, a third of a second."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a store says of itself: network, log position, channel epoch (a registry has none), members version."""

    net: str
    log: int
    epoch: int
    version: int


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may be known without the secret: whose copy, of when, how far. Nothing of what is in it."""

    v: int
    program: Program
    what: What
    net: str
    member: str
    at: int
    log: int
    epoch: int
    version: int
    kdf: Kdf
    salt: Annotated[bytes, Meta(min_length=32, max_length=32)]
    check: Annotated[bytes, Meta(min_length=16, max_length=16)]


class _AnyVersion(msgspec.Struct, frozen=True):
    v: int


class Secret(NamedTuple):
    """A passphrase as its NFC text in UTF-8, or the 32 bytes of a recovery key file."""

    kind: Literal["passphrase", "key-file"]
    value: bytes


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: Literal[1]
    use: Literal["backup"]
    key: Annotated[bytes, Meta(min_length=32, max_length=32)]


def passphrase(text: str) -> Secret:
    """Raises bad-passphrase when it is too short to leave the building."""
    if len(text) < PASSPHRASE_MIN:
        raise ProtocolError("bad-passphrase", expected=f"at least {PASSPHRASE_MIN} characters")
    return Secret("passphrase", normalize("NFC", text).encode())


def key_file_text(key: bytes) -> bytes:
    """What a recovery key file holds."""
    return msgspec.json.encode(_KeyFile(1, "backup", key))


def read_key_file(path: Path) -> Secret:
    """Raises config-missing, keys-exposed, keys-damaged."""
    if not path.exists():
        raise ProtocolError("config-missing", field=path.name)
    if readable_by_others(path):
        raise ProtocolError("keys-exposed", field=path.name, expected="0600")
    try:
        with path.open("rb") as file:
            held = msgspec.json.decode(file.read(_KEY_FILE_MAX), type=_KeyFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("keys-damaged", field=path.name) from None
    return Secret("key-file", held.key)


# -- writing


class Writer:
    """Seals what is written; `close` writes the last chunk. Holds one chunk in memory."""

    def __init__(self, path: Path, header: Header, key: bytes) -> None:
        """`path` must not exist yet."""
        self._file: BinaryIO = os.fdopen(create_private(path), "wb")
        self._hash = hashlib.sha256()
        self._held = bytearray()
        self._count = 0
        self.size = 0
        before = _preamble(header)
        self._put(before + hashlib.sha256(before).digest())
        self._seal = AESGCM(_file_key(key, header.salt, before))

    def write(self, data: bytes) -> None:
        """Any number of bytes."""
        self._held += data
        while len(self._held) > CHUNK:  # the last chunk may be full, so a full one waits for what follows
            self._chunk(bytes(self._held[:CHUNK]), last=False)
            del self._held[:CHUNK]

    def close(self) -> str:
        """Everything on disk; the SHA-256 of the file, in hex."""
        self._chunk(bytes(self._held), last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._hash.hexdigest()

    def abandon(self) -> None:
        """Close without the last chunk: what was written can never be opened."""
        with contextlib.suppress(OSError):  # what is buffered still finds no room
            self._file.close()

    def _chunk(self, plain: bytes, *, last: bool) -> None:
        self._put(self._seal.encrypt(_nonce(self._count, last), plain, None))
        self._count += 1

    def _put(self, raw: bytes) -> None:
        self._hash.update(raw)
        self._file.write(raw)
        self.size += len(raw)


def new_header(
    secret: Secret, salt: bytes, facts: Facts, *, program: Program, what: What, member: str, at: int, kdf: Kdf = SCRYPT
) -> tuple[Header, bytes]:
    """A header for `secret` and the key that goes with it."""
    kdf = kdf if secret.kind == "passphrase" else Kdf("key-file")
    key = _stretch(secret, kdf, salt)
    check = _derive(key, salt, b"check", 16)
    header = Header(
        v=VERSION, program=program, what=what, net=facts.net, member=member, at=at, log=facts.log, epoch=facts.epoch,
        version=facts.version, kdf=kdf, salt=salt, check=check,
    )  # fmt: skip
    return header, key


# -- reading


def read_header(file: BinaryIO) -> tuple[Header, bytes]:
    """(header, the bytes it was read from). Raises wrong-file, backup-damaged, backup-newer."""
    magic = file.read(len(_MAGIC))
    if magic != _MAGIC:
        raise ProtocolError("wrong-file", expected="a copy made by this program")
    raw_length = file.read(4)
    length = int.from_bytes(raw_length, "big")
    raw = file.read(length) if length <= _HEADER_MAX else b""
    before = magic + raw_length + raw
    if len(raw) != length or not raw or file.read(32) != hashlib.sha256(before).digest():
        raise ProtocolError("backup-damaged", got="header")
    try:
        if msgspec.json.decode(raw, type=_AnyVersion).v > VERSION:
            raise ProtocolError("backup-newer")
        header = msgspec.json.decode(raw, type=Header)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise ProtocolError("backup-damaged", got="header") from None
    return header, before


def open_sealed(file: BinaryIO, secret: Secret) -> tuple[Header, Iterator[bytes]]:
    """Header and chunks, opened as they are taken. Raises what `read_header` does, bad-passphrase, backup-damaged."""
    header, before = read_header(file)
    key = _unlock(header, secret)
    return header, _chunks(file, AESGCM(_file_key(key, header.salt, before)))


def _unlock(header: Header, secret: Secret) -> bytes:
    if (header.kdf.name == "scrypt") != (secret.kind == "passphrase"):
        wanted = "a passphrase" if header.kdf.name == "scrypt" else "a recovery key file"
        raise ProtocolError("bad-passphrase", expected=wanted)
    try:
        key = _stretch(secret, header.kdf, header.salt)
    except ValueError:  # n is no power of two
        raise ProtocolError("backup-damaged", got="header") from None
    if _derive(key, header.salt, b"check", 16) != header.check:
        raise ProtocolError("bad-passphrase")
    return key


def _chunks(file: BinaryIO, seal: AESGCM) -> Iterator[bytes]:
    held, number = file.read(CHUNK + _TAG), 0
    while True:
        following = file.read(CHUNK + _TAG)
        try:
            plain = seal.decrypt(_nonce(number, not following), held, None)
        except (InvalidTag, ValueError):
            raise ProtocolError("backup-damaged", got=f"chunk {number}") from None
        yield plain
        if not following:
            return
        held, number = following, number + 1


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _preamble(header: Header) -> bytes:
    raw = msgspec.json.encode(header)
    return _MAGIC + len(raw).to_bytes(4, "big") + raw


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\1" if last else b"\0")


def _stretch(secret: Secret, kdf: Kdf, salt: bytes) -> bytes:
    if kdf.name == "key-file":
        return secret.value
    return Scrypt(salt=salt, length=32, n=kdf.n, r=kdf.r, p=kdf.p).derive(secret.value)


def _file_key(key: bytes, salt: bytes, before: bytes) -> bytes:
    return _derive(key, salt, b"file" + hashlib.sha256(before).digest(), 32)


def _derive(key: bytes, salt: bytes, label: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, _LABEL + label).derive(key)
