"""What one member may post in a day (UTC): a hostile or broken node must not fill the store. Counted at the commit."""

import sqlite3
from typing import Final

from protocol.errors import ProtocolError
from protocol.limits import DAY, MIB

A_DAY: Final[dict[str, int]] = {
    "publications": 200,
    "catalogue bytes": 256 * MIB,
    "statements": 50,  # each makes a members document that is kept ninety days
}


def spend(tx: sqlite3.Connection, node: str, what: str, n: int, now: int) -> None:
    """Raises too-many, with the seconds until the day is over."""
    today, most = now // DAY, A_DAY[what]
    row = tx.execute("SELECT n FROM quota WHERE node = ? AND what = ? AND day = ?", (node, what, today)).fetchone()
    spent = n + (row[0] if row else 0)
    if spent > most:
        raise ProtocolError("too-many", field=what, expected=f"at most {most} a day", after=DAY - now % DAY)
    tx.execute("INSERT OR REPLACE INTO quota (node, day, what, n) VALUES (?, ?, ?, ?)", (node, today, what, spent))
