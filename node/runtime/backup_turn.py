"""When copies are due, and which old ones go. No loop: a program asks at its own turns."""

import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import msgspec

from node.runtime import backup, sealed_file
from node.runtime.backup import Kept, Source
from node.runtime.backup_state import DAY, HOUR, Backup, Made, State, load, save
from node.runtime.config import BackupConfig, load_secret
from node.runtime.platform import replace_private
from node.runtime.ports import KeyEntry
from node.runtime.sealed_file import Secret
from protocol.errors import ProtocolError

RETRY: Final = HOUR  # after a failure: the disk may be back
GROWTH_PAUSE: Final = 300  # a copy made because something changed, at most this often
KEYS_KEPT: Final = 3


def secret_of(config: BackupConfig) -> Secret | None:
    """The secret the configuration names; None when it names none. Raises config-missing, keys-exposed…"""
    if config.passphrase_file is not None:
        return sealed_file.passphrase(load_secret(Path(config.passphrase_file)))
    if config.key_file is not None:
        return sealed_file.read_key_file(Path(config.key_file))
    return None


def secret_in(request: Backup) -> Secret:
    """Raises backup-unset, bad-passphrase."""
    if request.passphrase is not None:
        return sealed_file.passphrase(request.passphrase)
    if request.key is not None and len(request.key) == 32:
        return Secret("key-file", request.key)
    raise ProtocolError("backup-unset")


def asked(to: Path, secret: Secret) -> Backup:
    """The request for a copy into `to`."""
    if secret.kind == "passphrase":
        return Backup(str(to.absolute()), passphrase=secret.value.decode())
    return Backup(str(to.absolute()), key=secret.value)


# -- what is due


def kids(entries: Collection[KeyEntry]) -> tuple[str, ...]:
    """What tells one set of keys from another."""
    return tuple(f"{one.kid} {one.state}" for one in entries)


def keys_due(state: State, held: Sequence[str], now: int) -> bool:
    """The keys changed since they were copied."""
    return tuple(held) != state.kids and not _pausing(state, now)


def full_due(state: State, config: BackupConfig, now: int, *, log: int | None = None) -> bool:
    """A whole copy is due by the clock, or (`log`, a registry's size) because something was published since."""
    if _pausing(state, now):
        return False
    if state.full is None or not 0 <= now - state.full.at < config.every_hours * HOUR:
        return True
    return log is not None and log > state.log and now - state.full.at >= GROWTH_PAUSE


def _pausing(state: State, now: int) -> bool:
    return state.failed_at is not None and 0 <= now - state.failed_at < RETRY


# -- doing it


def run(
    source: Source, config: BackupConfig, folder: Path, held: Sequence[str], *, now: int, full: bool, keys: bool
) -> State:
    """Makes what is due and lets old copies go; remembers success and failure alike. Raises what stopped it."""
    state = load(folder)
    try:
        secret = secret_of(config)
        if config.to is None or secret is None:
            raise ProtocolError("backup-unset")
        to = Path(config.to)
        if keys:
            state = with_keys(state, backup.make(source, to, secret, now=now, what="keys"), held)
        if full:
            state = with_full(state, backup.make(source, to, secret, now=now))
        leave_erased(source, to)
        expire(source, config, to, now)
        save(folder, msgspec.structs.replace(state, failed_at=None, failed_code=None))
    except ProtocolError as problem:
        if source.stopped():
            return state
        save(folder, msgspec.structs.replace(state, failed_at=now, failed_code=problem.code))
        raise
    return load(folder)


def make_now(
    source: Source, folder: Path, request: Backup, *, now: int, conn: sqlite3.Connection | None = None
) -> Made:
    """A whole copy because a person asked. `conn`: the owner's connection when no process runs."""
    to = Path(request.to)
    if not to.is_absolute() or "\0" in request.to:
        raise ProtocolError("backup-target", field="to", expected="an absolute path")
    made = backup.make(source, to, secret_in(request), now=now, conn=conn)
    leave_erased(source, to)
    save(folder, with_full(load(folder), made))
    return made


def with_keys(state: State, made: Made, held: Sequence[str]) -> State:
    """After a copy of the keys."""
    return msgspec.structs.replace(state, keys=made, kids=tuple(held))


def with_full(state: State, made: Made) -> State:
    """After a whole copy."""
    return msgspec.structs.replace(state, full=made, log=backup.peek(Path(made.path)).log)


def leave_erased(source: Source, to: Path) -> None:
    """`erased.list` lies at the target too: an old copy must not bring back what was erased after it.

    Several members may share a target: lines are added, never taken away. A line cut short was not acknowledged.
    """
    there = to / backup.ERASED_NAME
    held = _lines(there)
    missing = [line for line in _lines(source.store.with_name(backup.ERASED_NAME)) if line not in set(held)]
    if missing:
        replace_private(there, b"".join(line + b"\n" for line in held + missing))


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


# -- letting go


def expire(source: Source, config: BackupConfig, to: Path, now: int) -> list[Path]:
    """Removes copies of ours beyond `keep` days with a copy or older than `max_days`; never the newest of its kind."""
    held = backup.kept(to, source.program, source.member)
    gone: list[Path] = []
    for what in ("full", "keys"):
        gone += _over([one for one in held if one.header.what == what], config, now, of_keys=what == "keys")
    for path in gone:
        path.unlink(missing_ok=True)
    backup.drop_drafts(to, source.member)
    return gone


def _over(held: Sequence[Kept], config: BackupConfig, now: int, *, of_keys: bool) -> list[Path]:
    """`held` is one kind, the newest first. Several of one day count as one: the last of each day is kept."""
    gone, days = [], set[int]()
    for place, one in enumerate(held):
        day = one.header.at // DAY
        enough = place >= KEYS_KEPT if of_keys else day in days or len(days) >= config.keep
        if place > 0 and (enough or now - one.header.at > config.max_days * DAY):
            gone.append(one.path)
        days.add(day)
    return gone
