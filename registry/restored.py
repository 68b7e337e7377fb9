"""A registry that came back from a copy signs nothing until it knows what members have seen meanwhile. Rules only.

It has forgotten what it published after the copy. A head over a shorter log, or a members document of a lower number,
would look like tampering to everybody who saw the newer one (PROTOCOL §5): so it asks first. What was published and
lost cannot be written again here; then a newer copy is needed.
"""

import sqlite3
from typing import Final

from msgspec import Struct

from protocol.errors import ProtocolError
from protocol.members import read_members
from protocol.merkle import RightEdge, leaf
from protocol.notes import follow, verify_head
from protocol.roots import TrustedRoot
from registry import log
from registry.settings import set_setting, setting

RESTORED_AT: Final = "restored_at"
UNTOLD: Final = "restored_untold"
TOLD: Final = "restored_told"


class Seen(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a member has verified (`raccordo-node seen`): the newest head, the newest members document."""

    note: str
    members: str


class SeenNumbers(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same as a person read it off a member's screen: entries of the log, number of the members document."""

    log: int
    version: int


def mark(tx: sqlite3.Connection, now: int) -> None:
    """After a restore, before anything else runs."""
    set_setting(tx, RESTORED_AT, str(now))
    set_setting(tx, UNTOLD, "1")


def untold(db: sqlite3.Connection) -> bool:
    """True from a restore until somebody said what members have seen."""
    return setting(db, UNTOLD) == "1"


def check_may_sign(db: sqlite3.Connection) -> None:
    """Raises registry-restored."""
    if untold(db):
        raise ProtocolError("registry-restored")


def told(tx: sqlite3.Connection, root: TrustedRoot, seen: Seen, now: int) -> None:
    """A member's own evidence. Raises bad-checkpoint, log-rollback, log-fork, members-rollback…: then nothing opens."""
    head = verify_head(seen.note.encode(), root.log)
    version = read_members(seen.members.encode(), root, now, own_copy=True).version
    _check_newer(tx, head.size, version)
    lines = tx.execute("SELECT line FROM leaf WHERE seq < ? ORDER BY seq", (head.size,))
    follow(RightEdge.from_bytes(bytes(8)), (leaf(bytes(line)) for (line,) in lines), head)
    _open(tx, head.size, version, now)


def told_numbers(tx: sqlite3.Connection, seen: SeenNumbers, now: int) -> None:
    """A person's word. Raises log-rollback, members-rollback."""
    _check_newer(tx, seen.log, seen.version)
    _open(tx, seen.log, seen.version, now)


def _check_newer(db: sqlite3.Connection, size: int, version: int) -> None:
    held = log.size(db)
    if size > held:
        raise ProtocolError("log-rollback", expected=f"at least {size} leaves", got=f"{held} leaves")
    (newest,) = db.execute("SELECT COALESCE(MAX(version), 0) FROM members_doc").fetchone()
    if version > newest:
        raise ProtocolError("members-rollback", expected=str(version), got=str(newest))


def _open(tx: sqlite3.Connection, size: int, version: int, now: int) -> None:
    set_setting(tx, UNTOLD, "")
    set_setting(tx, TOLD, f"{now} {size} {version}")
