"""Bringing a data directory back from a copy, whole or not at all. Not what a program checks and marks in it.

Everything is prepared in a directory beside the target, checked there, synced, and takes the target's name by a rename
at the end. A directory that is replaced keeps its content under another name until a person removes it.
"""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Generic, NamedTuple, Self, TypeVar

import msgspec

from node.runtime import backup
from node.runtime.backup import Unpacked
from node.runtime.backup_state import IN_WORK, WORKROOM, clean_workrooms
from node.runtime.config import ProgramConfig, load_config
from node.runtime.lock import StoreLock, lock_owner
from node.runtime.migrations import Migration
from node.runtime.platform import make_private_dir, replace_private, sync_dir
from node.runtime.sealed_file import Header, Program, Secret
from node.runtime.store import Store
from protocol.errors import ProtocolError

C = TypeVar("C", bound=ProgramConfig)
DRAFT_SUFFIX: Final = ".ripristino"
PASSPHRASE_NAME: Final = "frase-chiavi.txt"  # noqa: S105 - a file's name
CA_NAME: Final = "autorita.pem"


class Site(NamedTuple, Generic[C]):
    """What a program's data directory holds, by name."""

    program: Program
    store: str
    keys: str
    config: str
    type: type[C]
    migrations: Sequence[Migration]


class Opened(NamedTuple, Generic[C]):
    """A copy opened into a directory: its store under its lock and brought up to date, its other parts in memory."""

    header: Header
    parts: dict[str, bytes]
    config: C
    store: Store
    passphrase: str | None


@contextmanager
def opened(site: Site[C], file: Path, secret: Secret, folder: Path, keys: Path | None = None) -> Iterator[Opened[C]]:
    """Opens a copy into `folder`, where store and configuration are left; `keys`: a newer copy that has only the keys.

    Raises what `backup.unpack` does; wrong-file when it is no whole copy of this program; store-newer, store-damaged.
    """
    held = backup.unpack(file, secret, folder / site.store)
    if held.header.program != site.program or not {"store", "keys", "config"} <= held.parts.keys():
        raise ProtocolError("wrong-file", field=file.name, expected="a whole copy of this program")
    if keys is not None:
        held.parts["keys"] = _newer_keys(keys, secret, held.header, folder / ".keys-copy")
    replace_private(folder / site.config, settled(held))
    config = load_config(folder / site.config, site.type)
    if Path(config.data_dir) != folder.resolve() or config.bodies[0].id != held.header.member:
        raise ProtocolError("backup-damaged", got="config")
    phrase = held.parts.get("passphrase")
    store = Store.open(folder / site.store, site.migrations, create=False)
    try:
        store.assert_settings()
        store.quick_check()
        yield Opened(held.header, held.parts, config, store, phrase.decode().rstrip("\r\n") if phrase else None)
    finally:
        store.close()


def _newer_keys(path: Path, secret: Secret, whole: Header, nowhere: Path) -> bytes:
    held = backup.unpack(path, secret, nowhere)
    if (held.header.program, held.header.member) != (whole.program, whole.member):
        raise ProtocolError("backup-foreign", field=path.name, expected=whole.member, got=held.header.member)
    if "keys" not in held.parts or "store" in held.parts:
        raise ProtocolError("wrong-file", field=path.name, expected="a copy of the keys")
    return held.parts["keys"]


def settled(held: Unpacked) -> bytes:
    """The configuration with the paths a moved directory needs: everything beside it."""
    names = {
        ("", "data_dir"): ".",
        ("bodies", "passphrase_file"): PASSPHRASE_NAME if "passphrase" in held.parts else None,
        ("http", "ca_file"): CA_NAME if "ca" in held.parts else None,
    }
    table, lines = "", []
    for line in held.parts["config"].decode("utf-8").splitlines():
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            table = header[1]
        key = re.match(r"\s*([A-Za-z0-9_-]+)\s*=", line)
        name = names.get((table, key[1])) if key else None
        lines.append(f'{key[1]} = "{name}"' if key and name else line)
    return ("\n".join(lines) + "\n").encode()


# -- verifying


@contextmanager
def workroom(near: Path) -> Iterator[Path]:
    """A private directory for a copy to be opened in, gone afterwards; what a killed process left goes too."""
    near = near if near.is_dir() else near.parent
    clean_workrooms(near)
    folder = Path(tempfile.mkdtemp(prefix=WORKROOM, dir=near))
    lock = StoreLock(folder / IN_WORK)
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


# -- the target


def check_target(site: Site[C], target: Path, header: Header, net_of: Callable[[Path], str], *, replace: bool) -> None:
    """Raises store-busy (somebody works there), backup-foreign (somebody else's directory), target-not-empty."""
    if not target.exists():
        return
    store = target / site.store
    pid = lock_owner(store.with_name(store.name + ".lock"))
    if pid is not None:
        raise ProtocolError("store-busy", field=str(target), got=f"pid {pid or '?'}")
    config = target / site.config
    if config.exists():
        _check_same(load_config(config, site.type), store, header, net_of)
    if any(target.iterdir()) and not (replace and config.exists()):
        raise ProtocolError("target-not-empty", field=str(target))


def _check_same(config: ProgramConfig, store: Path, header: Header, net_of: Callable[[Path], str]) -> None:
    member = config.bodies[0].id
    if member != header.member:
        raise ProtocolError("backup-foreign", expected=member, got=header.member)
    net = net_of(store)
    if net and header.net and net != header.net:
        raise ProtocolError("backup-foreign", field="net", expected=net, got=header.net)


class Draft:
    """A private directory beside `target` in which everything is prepared; `settle` gives it its name."""

    def __init__(self, target: Path) -> None:
        """Raises target-not-empty when the directory of that name is not ours, store-busy when a restore runs."""
        self.target = target
        self.folder = target.with_name(target.name + DRAFT_SUFFIX)
        if self.folder.exists():
            if not (self.folder / IN_WORK).exists():
                raise ProtocolError("target-not-empty", field=str(self.folder))
            StoreLock(self.folder / IN_WORK).release()
            shutil.rmtree(self.folder)  # a restore that was killed: it never got its name
        make_private_dir(self.folder)
        self._lock: StoreLock | None = None
        try:
            self._lock = StoreLock(self.folder / IN_WORK)
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise ProtocolError("disk-full", field=str(self.folder)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._release()
        if self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=True)

    def settle(self, site: Site[C], parts: dict[str, bytes], erased: bytes, now: int) -> Path | None:
        """Renames it to the target. Returns where the content it replaces went, if there was any."""
        files = {site.keys: parts["keys"], PASSPHRASE_NAME: parts.get("passphrase"), CA_NAME: parts.get("ca")}
        files[backup.ERASED_NAME] = erased or None
        try:
            for name, raw in files.items():
                if raw is not None:
                    replace_private(self.folder / name, raw)
            sync_dir(self.folder)
        except OSError as error:
            raise ProtocolError("disk-full", field=str(self.folder)) from error
        self._release()  # Windows renames no directory with an open file in it
        old = _put_aside(self.target, now)
        self.folder.rename(self.target)
        sync_dir(self.target.parent)
        (self.target / IN_WORK).unlink()
        return old

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _put_aside(target: Path, now: int) -> Path | None:
    if not target.exists():
        return None
    if not any(target.iterdir()):
        target.rmdir()
        return None
    old = _free(target, now)
    target.rename(old)
    return old


def put_aside(target: Path) -> list[Path]:
    """The directories earlier restores put aside."""
    return sorted(target.parent.glob(f"{target.name}.prima-*"))


def _free(target: Path, now: int) -> Path:
    names = (target.with_name(f"{target.name}.prima-{now + i}") for i in range(1000))
    return next(name for name in names if not name.exists())


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did: the directory, where the earlier one went, peers that have to be telephoned or heard."""

    into: str
    before: str | None
    member: str
    at: int
    epoch: int
    waiting: list[str]
    erased: int
