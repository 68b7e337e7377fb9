"""What was erased stays erased: `erased.list`, and applying it to a store that came back from a copy (PROTOCOL §6).

The list lies beside the database and at the copies' target, one line a leg, and never names a person:
{"leg":"0193a6f2-…","at":1795259400}
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from node.context import Context
from node.runtime.backup import ERASED_NAME
from protocol.errors import ProtocolError

_LEG: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


class Erased(msgspec.Struct, frozen=True):
    """One leg whose content is gone; `at` in Unix seconds."""

    leg: Annotated[str, Meta(pattern=_LEG)]
    at: int


def read(raw: bytes) -> list[Erased]:
    """The lines of a list; a last line cut short by a crash was never acknowledged and is left out.

    Raises store-damaged for any other line: what was erased must not come back because nobody could read it.
    """
    *lines, last = raw.split(b"\n")
    try:
        return [msgspec.json.decode(line, type=Erased) for line in lines if line.strip()] + _whole(last)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise ProtocolError("store-damaged", field=ERASED_NAME) from None


def _whole(line: bytes) -> list[Erased]:
    try:
        return [msgspec.json.decode(line, type=Erased)]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return []


def read_file(folder: Path) -> list[Erased]:
    """The list of a directory; empty when there is none."""
    path = folder / ERASED_NAME
    return read(path.read_bytes()) if path.exists() else []


def text(lines: Iterable[Erased]) -> bytes:
    """A list as it is written, each leg once, the earliest time."""
    first: dict[str, int] = {}
    for line in lines:
        first[line.leg] = min(line.at, first.get(line.leg, line.at))
    made = [Erased(leg, at) for leg, at in sorted(first.items(), key=lambda pair: (pair[1], pair[0]))]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in made)


def reapply(tx: sqlite3.Connection, ctx: Context, legs: Iterable[str]) -> int:
    """Deletes case key, bodies and queue of these legs; the skeleton stays. Returns how many held anything.

    A case key goes when no other leg of its case is left; bodies of a leg go in any case.
    """
    done = 0
    for leg in legs:
        row = tx.execute("SELECT case_id FROM leg WHERE leg = ?", (leg,)).fetchone()
        if row is None:
            continue
        held = tx.execute("UPDATE event SET sealed = NULL, e = '' WHERE leg = ? AND sealed IS NOT NULL", (leg,))
        tx.execute("DELETE FROM outgoing WHERE leg = ?", (leg,))
        done += held.rowcount > 0
        rest = tx.execute(
            "SELECT 1 FROM event JOIN leg USING (leg) WHERE case_id = ? AND sealed IS NOT NULL", row
        ).fetchone()
        if rest is None:
            ctx.case_keys.forget(tx, row[0])
    return done
