"""Whether a case may still be acted on or read: erased ones, and ones whose processing is limited (GDPR 18)."""

import sqlite3
from typing import NamedTuple

from node.cases import operators
from node.exchange.erased import tombstone
from node.exchange.erasing import TRAVELS
from node.exchange.log import LegRow
from node.runtime.migrations import script
from protocol.errors import ProtocolError

MIGRATIONS = (
    script(
        "cases_002_limitation",
        """
-- Cases that are kept and not used (GDPR 18), until somebody lifts it; `reason` is one of the article's letters.
CREATE TABLE limitation (case_id TEXT PRIMARY KEY, at INTEGER NOT NULL, reason TEXT NOT NULL, by_code TEXT NOT NULL)
  WITHOUT ROWID;
""",
    ),
)


class Limitation(NamedTuple):
    """Since when, why and by whom a case is only kept."""

    at: int
    reason: str
    by_code: str


def limitation(db: sqlite3.Connection, case_id: str) -> Limitation | None:
    """The mark of a case, or None."""
    row = db.execute("SELECT at, reason, by_code FROM limitation WHERE case_id = ?", (case_id,)).fetchone()
    return Limitation(*row) if row else None


def may_act(db: sqlite3.Connection, leg: LegRow, ev: str | None, *, words: bool = False) -> None:
    """Raises limited, erased. Of an erased leg only its end may be written, in codes alone. `ev` None: no event."""
    if limitation(db, leg.case_id) is not None:
        raise ProtocolError("limited")
    if tombstone(db, leg.leg) is not None and (words or ev not in TRAVELS):
        raise ProtocolError("erased")


def is_free(db: sqlite3.Connection, leg: LegRow) -> bool:
    """Neither limited nor erased: a list of what is to be done may name it."""
    return limitation(db, leg.case_id) is None and tombstone(db, leg.leg) is None


def may_read(db: sqlite3.Connection, leg: LegRow, as_: str) -> None:
    """Raises limited unless the operator has the right that is left: to keep, to defend a claim (GDPR 18.2)."""
    if limitation(db, leg.case_id) is None:
        return
    try:
        operators.require(db, as_, "read-limited")
    except ProtocolError:
        raise ProtocolError("limited") from None
