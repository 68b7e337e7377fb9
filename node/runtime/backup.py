"""Copies of a data directory: making one while the program runs, opening one, whose names a copy may have.

A copy (see sealed_file) holds parts, each under a name of a closed list: the store as one SQLite file, the key file,
the configuration, the secrets it names, the list of what was erased. A copy of what `keys` holds only the key file.
Making one reads a snapshot of the store beside its writer and never stops it; nothing is seen under its final name
before it is whole and on disk.
"""

import contextlib
import errno
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, BinaryIO, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from node.runtime import sealed_file
from node.runtime.backup_state import SNAPSHOT, Made, clean
from node.runtime.platform import create_private, sync_dir
from node.runtime.sealed_file import Facts, Header, Program, Secret, What
from node.runtime.store import ask, open_reader
from protocol.errors import ProtocolError

Part = Literal["store", "keys", "config", "passphrase", "ca", "erased"]
ERASED_NAME: Final = "erased.list"
SUFFIX: Final = ".copia"
SMALL_MAX: Final = 64 << 20  # every part but the store is held in memory
_DRAFT: Final = ".parte"
_BLOCK: Final = 1 << 20
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class _PartHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Part
    size: Annotated[int, Meta(ge=0)]


class Source(NamedTuple):
    """What is copied. `facts` asks the snapshot; `extra` are files the configuration names."""

    program: Program
    member: str
    store: Path
    keys: Path
    config: Path
    facts: Callable[[sqlite3.Connection], Facts]
    extra: tuple[tuple[Part, Path], ...] = ()
    stopped: Callable[[], bool] = bool  # True once the program wants to end


def make(
    source: Source, to: Path, secret: Secret, *, now: int, what: What = "full", conn: sqlite3.Connection | None = None
) -> Made:
    """Writes a copy into the directory `to`. `conn`: the owner's connection when no process runs.

    Raises ProtocolError: backup-target (the directory is not there or cannot be written), disk-full, store-damaged.
    """
    if not to.is_dir():
        raise ProtocolError("backup-target", field=str(to))
    clean(source.store)
    snapshot = source.store.with_name(source.store.name + SNAPSHOT)
    try:
        facts = _snapshot(source, snapshot, conn, whole=what == "full")
        return _write(source, to, secret, facts, now, what, snapshot)
    except OSError as error:
        raise ProtocolError("disk-full" if error.errno in _FULL else "backup-target", field=str(to)) from error
    finally:
        clean(source.store)


def _snapshot(source: Source, to: Path, conn: sqlite3.Connection | None, *, whole: bool) -> Facts:
    """One read transaction on a connection of its own: the writer goes on, and what it commits is not in it."""
    reader = conn or open_reader(source.store)
    try:
        if not whole:
            return ask(reader, source.facts)
        os.close(create_private(to))
        with contextlib.closing(sqlite3.connect(to, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous=OFF")  # the encrypted file is what has to be on disk
            ask(reader, lambda db: db.backup(copy))
            copy.execute("PRAGMA journal_mode=DELETE")
            return ask(copy, source.facts)
    finally:
        if conn is None:
            reader.close()


def _write(source: Source, to: Path, secret: Secret, facts: Facts, now: int, what: What, snapshot: Path) -> Made:
    header, key = sealed_file.new_header(
        secret, os.urandom(32), facts, program=source.program, what=what, member=source.member, at=now
    )
    final = _free_name(to, header)
    draft = final.with_name(final.name + _DRAFT)
    draft.unlink(missing_ok=True)
    writer: sealed_file.Writer | None = None
    try:
        writer = sealed_file.Writer(draft, header, key)
        for name, path in _parts(source, what, snapshot):
            _add(writer, name, path, source.stopped)
        writer.write((0).to_bytes(4, "big"))
        digest = writer.close()
        draft.replace(final)
    except BaseException:
        if writer is not None:
            writer.abandon()
        draft.unlink(missing_ok=True)
        raise
    sync_dir(to)
    return Made(str(final), digest, writer.size, now, what)


def _parts(source: Source, what: What, snapshot: Path) -> Iterator[tuple[Part, Path]]:
    """Keys are read after the snapshot: a store never names a key that its copy lacks."""
    if what == "full":
        yield "store", snapshot
        yield "config", source.config
        erased = source.store.with_name(ERASED_NAME)
        if erased.exists():
            yield "erased", erased
    yield "keys", source.keys
    yield from ((name, path) for name, path in source.extra if what == "full" or name == "passphrase")


def _add(writer: sealed_file.Writer, name: Part, path: Path, stopped: Callable[[], bool]) -> None:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = msgspec.json.encode(_PartHead(name, size))
        writer.write(len(head).to_bytes(4, "big") + head)
        while size:
            if stopped():
                raise ProtocolError("busy")
            block = file.read(min(size, _BLOCK))
            if not block:
                raise ProtocolError("backup-target", field=path.name, got="it shrank")
            writer.write(block)
            size -= len(block)


# -- names in the directory of copies


_NAME: Final = re.compile(r"raccordo-(?P<member>[a-z0-9-]+?)(?P<keys>\.chiavi)?\.\d{8}T\d{6}Z(-\d+)?\.copia")


def _free_name(to: Path, header: Header) -> Path:
    moment = datetime.fromtimestamp(header.at, UTC).strftime("%Y%m%dT%H%M%SZ")
    stem = f"raccordo-{header.member}{'.chiavi' if header.what == 'keys' else ''}.{moment}"
    names = (f"{stem}{more}{SUFFIX}" for more in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(to / name for name in names if not (to / name).exists())


class Kept(NamedTuple):
    """A copy found in a directory."""

    path: Path
    header: Header


def kept(folder: Path, program: Program, member: str) -> list[Kept]:
    """Our copies in a directory, the newest first; others' and what cannot be read are left out."""
    found = []
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name):
            with contextlib.suppress(ProtocolError, OSError):
                header = peek(path)
                if (header.program, header.member) == (program, member):
                    found.append(Kept(path, header))
    return sorted(found, key=lambda one: (one.header.at, one.path.name), reverse=True)


def drop_drafts(folder: Path, member: str) -> None:
    """Removes what a killed process left of our own copies."""
    for path in folder.glob(f"raccordo-{member}.*{SUFFIX}{_DRAFT}"):
        path.unlink(missing_ok=True)


def peek(path: Path) -> Header:
    """The header alone. Raises file-missing, wrong-file, backup-damaged, backup-newer."""
    with _opened(path) as file:
        return sealed_file.read_header(file)[0]


# -- opening


class Unpacked(NamedTuple):
    """An opened copy: the store is a file on disk, the other parts are in memory."""

    header: Header
    parts: dict[str, bytes]


def unpack(path: Path, secret: Secret, store: Path) -> Unpacked:
    """Opens a copy to its last byte; its store, if it has one, is written to `store`, a new file.

    Raises wrong-file, backup-newer, bad-passphrase, backup-damaged, disk-full.
    """
    try:
        with _opened(path) as file:
            header, chunks = sealed_file.open_sealed(file, secret)
            if header.what == "export":
                raise ProtocolError("wrong-file", expected="a copy made by this program")
            return Unpacked(header, _take(_Stream(chunks), store))
    except OSError as error:
        if error.errno in _FULL:
            raise ProtocolError("disk-full", field=str(store.parent)) from error
        raise


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise ProtocolError("file-missing", field=str(path)) from None


def _take(stream: "_Stream", store: Path) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    while length := int.from_bytes(stream.read(4), "big"):
        try:
            head = msgspec.json.decode(stream.read(min(length, 4096)), type=_PartHead)
        except msgspec.MsgspecError:
            raise ProtocolError("backup-damaged", got="part") from None
        if head.name in parts:
            raise ProtocolError("backup-damaged", got=head.name)
        if head.name == "store":
            _write_store(stream, store, head.size)
            parts["store"] = b""
        elif head.size > SMALL_MAX:
            raise ProtocolError("backup-damaged", got=head.name)
        else:
            parts[head.name] = stream.read(head.size)
    stream.end()
    return parts


def _write_store(stream: "_Stream", store: Path, size: int) -> None:
    with os.fdopen(create_private(store), "wb") as file:
        while size:
            block = stream.read(min(size, _BLOCK))
            file.write(block)
            size -= len(block)
        file.flush()
        os.fsync(file.fileno())


class _Stream:
    """Exact reads from opened chunks. Raises backup-damaged when they end too early or too late."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = bytearray()

    def read(self, size: int) -> bytes:
        while len(self._held) < size:
            more = next(self._chunks, None)
            if more is None:
                raise ProtocolError("backup-damaged", got="too short")
            self._held += more
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken

    def end(self) -> None:
        if self._held or any(self._chunks):
            raise ProtocolError("backup-damaged", got="too long")
