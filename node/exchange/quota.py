"""What one member may have us store in a day (UTC): a hostile or broken node must not fill the disk.

Above it every new message is answered `later: too-many`, unsigned, until the day is over: its sender keeps it.
"""

import sqlite3
from typing import Final

from node.runtime.migrations import script
from protocol.limits import DAY, MIB

ITEMS_A_DAY: Final = 30_000  # an Ambito's busiest desk writes some hundreds
BYTES_A_DAY: Final = 2048 * MIB  # sealed, as it travels: a hundred events with all the attachments they may have

MIGRATIONS = (
    script(
        "quota_001_table",
        """
CREATE TABLE inbox_quota (sender TEXT NOT NULL, day INTEGER NOT NULL, items INTEGER NOT NULL, bytes INTEGER NOT NULL,
  PRIMARY KEY (sender, day)) WITHOUT ROWID;
""",
    ),
)


class Day:
    """The quotas of the senders of one batch: read when one first appears, written once."""

    def __init__(self, now: int) -> None:
        self._now = now
        self._spent: dict[str, tuple[int, int]] = {}

    def spend(self, tx: sqlite3.Connection, sender: str, size: int) -> bool:
        """One message of `size` characters more; False when it is above the quota."""
        spent = self._spent.get(sender)
        if spent is None:
            spent = tx.execute(
                "SELECT items, bytes FROM inbox_quota WHERE sender = ? AND day = ?", (sender, self._now // DAY)
            ).fetchone() or (0, 0)
        items, total = spent[0] + 1, spent[1] + size
        if items > ITEMS_A_DAY or total > BYTES_A_DAY:
            return False
        self._spent[sender] = (items, total)
        return True

    @property
    def after(self) -> int:
        """Seconds until the day is over."""
        return DAY - self._now % DAY

    def write(self, tx: sqlite3.Connection) -> None:
        today = self._now // DAY
        for sender, (items, total) in self._spent.items():
            tx.execute("DELETE FROM inbox_quota WHERE sender = ? AND day <> ?", (sender, today))
            tx.execute("INSERT OR REPLACE INTO inbox_quota VALUES (?, ?, ?, ?)", (sender, today, items, total))

    def copy(self) -> "Day":
        twin = Day(self._now)
        twin._spent = dict(self._spent)
        return twin
