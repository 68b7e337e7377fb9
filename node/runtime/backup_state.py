"""What is remembered of the copies that were made: light, because `status` reads it. Not when one is due.

It lies in `copie.json` beside the store, 0600, without secrets:
{"full":{"path":"/mnt/copie/raccordo-….copia","sha256":"…","size":4096,"at":1795259400,"what":"full"},…}
"""

import contextlib
import shutil
from pathlib import Path
from typing import Final

import msgspec

from node.runtime.lock import lock_owner
from node.runtime.platform import replace_private

STATE_NAME: Final = "copie.json"
SNAPSHOT: Final = ".copia-in-corso"
WORKROOM: Final = ".verifica-"
IN_WORK: Final = ".ripristino-in-corso"
HOUR: Final = 3600
DAY: Final = 86400


class Backup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A copy is asked for, into the directory `to`, an absolute path; one of the two says what encrypts it."""

    to: str
    passphrase: str | None = None
    key: bytes | None = None


class Made(msgspec.Struct, frozen=True):
    """A copy that is on disk. `what`: full or keys; `sha256` of the file, in hex."""

    path: str
    sha256: str
    size: int
    at: int
    what: str


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest whole copy and copy of the keys, the last failure since, the last verification.

    `kids` names the keys the copy of the keys holds; `log` how far the newest whole copy goes.
    """

    full: Made | None = None
    keys: Made | None = None
    kids: tuple[str, ...] = ()
    log: int = 0
    failed_at: int | None = None
    failed_code: str | None = None
    verified_at: int | None = None
    verified: str | None = None


def clean(store: Path) -> None:
    """Removes what a killed process left beside the store, snapshot or opened copy: it would keep what was erased."""
    clean_workrooms(store.parent)
    for name in (SNAPSHOT, SNAPSHOT + "-journal", SNAPSHOT + "-wal", SNAPSHOT + "-shm"):
        store.with_name(store.name + name).unlink(missing_ok=True)


def clean_workrooms(folder: Path) -> None:
    """Removes opened copies nobody works in any more."""
    for left in folder.glob(WORKROOM + "*"):
        if lock_owner(left / IN_WORK) is None:
            shutil.rmtree(left, ignore_errors=True)


def load(folder: Path) -> State:
    """What is remembered in a data directory; nothing when the file is absent or unreadable."""
    with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return msgspec.json.decode((folder / STATE_NAME).read_bytes(), type=State)
    return State()


def save(folder: Path, state: State) -> None:
    """Replaces it whole."""
    replace_private(folder / STATE_NAME, msgspec.json.encode(state))
