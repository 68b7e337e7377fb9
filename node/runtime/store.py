"""One SQLite file, one owner, one connection; commands in groups, one commit per group. No threads (see writer).

Promise: an outcome with a value is on disk (WAL, synchronous=FULL). A refused command rolls back alone, by its
savepoint. When the disk is full or fails, at any statement or at the commit, the whole group is rolled back and every
command of it is refused. What the codes mean here:

    disk-full       FULL, or a write that failed (RLIMIT_FSIZE shows as IOERR_WRITE): nothing was stored, try later
    busy            another program holds a lock, memory is short, or a reader holds the WAL above its limit: try later
    store-damaged   a failed read or fsync, or a malformed page: what the disk holds is no longer known, so the store
                    refuses everything until it is opened again
    store-settings  read-only, or a setting that makes commits durable is off
"""

import errno
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic, NamedTuple, Self, TypeVar

from node.runtime.lock import StoreLock
from node.runtime.migrations import Migration, migrate, script
from node.runtime.platform import create_private, make_private_dir, restrict, sync_dir, sync_file
from node.runtime.ports import Store as StorePort
from node.runtime.premises import assert_local
from protocol.errors import ProtocolError

__all__ = ["Migration", "Outcome", "Store", "script"]

T = TypeVar("T")
Command = Callable[[sqlite3.Connection], T]

MIB = 1 << 20
WAL_TIDY = 32 * MIB  # above this the WAL is emptied into the database and truncated …
WAL_LIMIT = 64 * MIB  # … and while a reader prevents that, above this no new command is taken
CHECKED_AFTER_A_CRASH = 512 * MIB  # a store up to this size is checked whole when its owner died; larger ones by doctor

_MAGIC = b"SQLite format 3\x00"
_APPLICATION = 0x52414343  # "RACC" in the file header, so that another program's database is not taken for ours


class Setting(NamedTuple):
    """`holds` is what the pragma must read back."""

    pragma: str
    value: str
    holds: str | int


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting("journal_mode", "WAL", "wal"),
    Setting("synchronous", "FULL", 2),  # NORMAL loses acknowledged rows at a power cut (SECURITY §0.2)
    Setting("foreign_keys", "ON", 1),
    Setting("secure_delete", "ON", 1),  # an erased case must leave no bytes in free pages
    Setting("temp_store", "MEMORY", 2),  # no plaintext in temporary files
    Setting("trusted_schema", "OFF", 0),
    Setting("cell_size_check", "ON", 1),
    Setting("busy_timeout", "0", 0),
    Setting("wal_autocheckpoint", "4000", 4000),  # keys are random: a page written often is copied back once
    Setting("mmap_size", "0", 0),
)

# The low byte of an SQLite result code that ends the whole group, and the code it gets; IOERR is split below.
_GROUP_ENDS: Final[dict[int, str]] = {
    sqlite3.SQLITE_FULL: "disk-full",
    sqlite3.SQLITE_IOERR: "store-damaged",
    sqlite3.SQLITE_CORRUPT: "store-damaged",
    sqlite3.SQLITE_NOTADB: "store-damaged",
    sqlite3.SQLITE_READONLY: "store-settings",
    sqlite3.SQLITE_CANTOPEN: "store-settings",
    sqlite3.SQLITE_PERM: "store-settings",
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_NOMEM: "busy",
    sqlite3.SQLITE_INTERRUPT: "busy",
}
_NO_ROOM_ERRNO: Final = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
_NO_ROOM: Final = frozenset({sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_TRUNCATE})


_AFTER: Final = {"busy": 1, "disk-full": 60}  # seconds, for Retry-After


class Outcome(Generic[T]):
    """What became of one command: `error` is None and `value` is on disk, or it was refused and left nothing."""

    __slots__ = ("error", "value")

    def __init__(self, value: T | None = None, error: Exception | None = None) -> None:
        self.value = value
        self.error = error

    def result(self) -> T:
        """The value; raises the refusal."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # None is the value of a command that returns None


class _TransactionLostError(Exception):
    """A command ended the group's transaction (it committed, or swallowed a full disk)."""


class Store:
    """Made by `open`. Usable from one thread at a time; the simulator calls it directly, a program through Writer."""

    def __init__(self, path: Path, conn: sqlite3.Connection, lock: StoreLock) -> None:
        self.path = path
        self.commits = 0
        self.commands = 0
        self._conn = conn
        self._lock = lock
        self._wal = path.with_name(path.name + "-wal")
        self._broken: str | None = None
        self._closed = False

    @classmethod
    def open(
        cls, path: Path, migrations: Sequence[Migration], *, max_page_count: int | None = None, create: bool = True
    ) -> Self:
        """Own the store at `path`, made when absent (unless `create` is False), its schema brought up to date.

        Raises ProtocolError: store-busy (somebody owns it), store-damaged, store-settings, store-newer, disk-full,
        store-on-network, config-missing (absent and not to be made).
        """
        assert_local(path)
        make_private_dir(path.parent)
        lock = _named(lambda: StoreLock(path.with_name(path.name + ".lock")))
        try:
            _named(lambda: _expect_database(path, create))
            conn = _named(lambda: _connect(path, max_page_count))
        except BaseException:
            lock.release()
            raise
        store = cls(path, conn, lock)
        try:
            _named(lambda: store._prepare(suspicious=lock.previous_owner_died))
            store._migrate(migrations)
        except BaseException:
            store.close()
            raise
        return store

    def execute_group(self, commands: Sequence[Command[T]]) -> list[Outcome[T]]:
        """Run commands in order, commit once, then tell. One outcome per command, in the same order.

        A command gets the connection inside a savepoint; it may be refused by any exception, which is its outcome.
        It must neither commit nor roll back, and must declare foreign keys as immediate ones.
        """
        if self._broken is not None:
            return _refuse_all(commands, self._broken)
        try:
            self._bound_wal()
            self._conn.execute("BEGIN IMMEDIATE")
            self._assert_durable()  # inside: asked alone it would open a transaction of its own
            outcomes = [self._execute(command) for command in commands]
            self._conn.execute("COMMIT")
        except sqlite3.Error as error:
            return self._give_up(commands, _name(error))
        except _TransactionLostError:
            return self._give_up(commands, "internal")
        except ProtocolError as error:
            return self._give_up(commands, error.code)
        except BaseException:
            self._rollback()
            raise
        self.commits += 1
        self.commands += len(commands)
        return outcomes

    def run(self, command: Command[T]) -> T:
        """A group of one; raises its refusal."""
        return self.execute_group([command])[0].result()

    def read(self, query: Command[T]) -> T:
        """Run a query on the owner's connection; a write in it fails."""
        self._conn.execute("PRAGMA query_only=ON")
        try:
            return ask(self._conn, query)
        finally:
            self._conn.execute("PRAGMA query_only=OFF")

    def checkpoint(self) -> bool:
        """Empty the WAL into the database and truncate it (after an erasure); False while a reader prevents it."""
        busy, _, _ = _named(lambda: self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
        return not busy

    def assert_settings(self) -> None:
        """Read every setting back. Raises ProtocolError `store-settings` naming the first that is not as promised."""
        for pragma, _, holds in SETTINGS:
            found = self._conn.execute(f"PRAGMA {pragma}").fetchone()
            if found is not None and found[0] != holds:
                raise ProtocolError("store-settings", field=pragma, expected=str(holds), got=str(found[0]))

    def quick_check(self) -> None:
        """Walk the whole file. Raises ProtocolError `store-damaged`."""
        try:
            found = self._conn.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            raise ProtocolError("store-damaged", field=self.path.name) from error
        if found != ("ok",):
            raise ProtocolError("store-damaged", field=self.path.name)

    def close(self) -> None:
        """Close in order and let go of the lock; twice is once."""
        if self._closed:
            return
        self._closed = True
        self._broken = "store-busy"
        try:
            self._rollback()
            self._conn.close()
        finally:
            self._lock.release()

    def _prepare(self, *, suspicious: bool) -> None:
        for pragma, value, _ in SETTINGS:
            self._conn.execute(f"PRAGMA {pragma}={value}")
        self.assert_settings()
        restrict(self.path)
        if suspicious and self.path.stat().st_size <= CHECKED_AFTER_A_CRASH:
            self.quick_check()

    def _migrate(self, migrations: Sequence[Migration]) -> None:
        try:
            migrate(self._conn, migrations)
        except sqlite3.Error as error:
            if (code := _name(error)) == "internal":
                raise  # a fault of the migration's own SQL
            raise ProtocolError(code) from error

    def _execute(self, command: Command[T]) -> Outcome[T]:
        self._conn.execute("SAVEPOINT command")
        try:
            outcome = Outcome(command(self._conn))
        except sqlite3.Error as error:
            if _name(error) != "internal":
                raise
            outcome = Outcome(error=error)
        except Exception as error:
            outcome = Outcome(error=error)
        if not self._conn.in_transaction:
            raise _TransactionLostError
        if outcome.error is not None:
            self._conn.execute("ROLLBACK TO command")
        self._conn.execute("RELEASE command")
        return outcome

    def _assert_durable(self) -> None:
        if self._conn.execute("PRAGMA synchronous").fetchone()[0] != 2:
            raise ProtocolError("store-settings", field="synchronous")

    def _bound_wal(self) -> None:
        if self._wal_size() > WAL_TIDY and not self.checkpoint() and self._wal_size() > WAL_LIMIT:
            raise ProtocolError("busy")

    def _wal_size(self) -> int:
        try:
            return os.stat(self._wal).st_size  # noqa: PTH116 - three times faster than Path.stat, once per group
        except FileNotFoundError:
            return 0

    def _give_up(self, commands: Sequence[Command[T]], code: str) -> list[Outcome[T]]:
        self._rollback()
        if code == "store-damaged":
            self._broken = code
        return _refuse_all(commands, code)

    def _rollback(self) -> None:
        try:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
        except sqlite3.Error:
            self._broken = "store-damaged"


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection to a store that its owner has open. It never writes and never checkpoints."""
    conn = sqlite3.connect(
        path.resolve().as_uri() + "?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=0
    )
    for pragma in ("query_only=ON", "wal_autocheckpoint=0", "trusted_schema=OFF", "temp_store=MEMORY"):
        conn.execute(f"PRAGMA {pragma}")
    return conn


def ask(conn: sqlite3.Connection, query: Command[T]) -> T:
    """A query's value; a failure of the store is named, a fault of the query (it may have tried to write) is raised."""
    try:
        return query(conn)
    except sqlite3.Error as error:
        if (code := _name(error)) in ("internal", "store-settings"):
            raise
        raise _refusal(code) from error


def _expect_database(path: Path, create: bool) -> None:
    """Make the file when it is absent; refuse anything else than our database, an empty file included."""
    if not path.exists():
        if path.with_name(path.name + "-wal").exists():
            raise ProtocolError("store-damaged", field=path.name, got="missing beside its WAL")
        if not create:
            raise ProtocolError("config-missing", field=path.name)
        _create(path)
    with path.open("rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise ProtocolError("store-damaged", field=path.name, expected="SQLite")


def _create(path: Path) -> None:
    """A database with its header, under its name only once it is whole: an empty file at `path` always means damage."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    os.close(create_private(draft))
    conn = sqlite3.connect(draft, isolation_level=None)
    try:
        conn.execute(f"PRAGMA application_id={_APPLICATION}")
        conn.execute("PRAGMA journal_mode=WAL")
    finally:
        conn.close()
    sync_file(draft)
    draft.replace(path)
    sync_dir(path.parent)


def _connect(path: Path, max_page_count: int | None) -> sqlite3.Connection:
    conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0, cached_statements=256)
    try:
        if conn.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
            raise ProtocolError("store-damaged", field=path.name, expected="Raccordo")
        if max_page_count is not None:
            conn.execute(f"PRAGMA max_page_count={max_page_count:d}")
    except BaseException:
        conn.close()
        raise
    return conn


def _named(step: Callable[[], T]) -> T:
    """Run a step of opening; failures of the disk and of SQLite leave as ProtocolError."""
    try:
        return step()
    except sqlite3.Error as error:
        code = _name(error)
        raise ProtocolError("store-damaged" if code == "internal" else code) from error
    except OSError as error:
        raise ProtocolError("disk-full" if error.errno in _NO_ROOM_ERRNO else "store-settings") from error


def _name(error: sqlite3.Error) -> str:
    """The problem code of an SQLite error; `internal` when it concerns only the command that raised it."""
    code = getattr(error, "sqlite_errorcode", 0)
    return "disk-full" if code in _NO_ROOM else _GROUP_ENDS.get(code & 0xFF, "internal")


def ends_the_group(error: sqlite3.Error) -> bool:
    """True for what concerns the store (full, damaged, busy …), False for what concerns the command that raised it."""
    return _name(error) != "internal"


def _refuse_all(commands: Sequence[Command[T]], code: str) -> list[Outcome[T]]:
    return [Outcome(error=_refusal(code)) for _ in commands]


def _refusal(code: str) -> ProtocolError:
    return ProtocolError(code, after=_AFTER.get(code))


_conforms: type[StorePort] = Store
