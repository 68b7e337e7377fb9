"""A relay that does not keep its word: says `held` and loses, or hands out something else than it was given."""

import random
import sqlite3
from typing import NamedTuple

import msgspec

from schemas.wire import PostedItem


class Bad(NamedTuple):
    """Rates per item, from the time they are set until the world is healed."""

    dice: random.Random
    drops: float = 0.0
    flips: float = 0.0

    def mark(self, tx: sqlite3.Connection) -> int:
        """The newest position before something is kept."""
        return int(tx.execute("SELECT COALESCE(MAX(pos), 0) FROM post").fetchone()[0])

    def lose(self, tx: sqlite3.Connection, after: int) -> list[tuple[str, str]]:
        """Some of what was kept since is gone for ever, receipts too; (owner, mid) of the envelopes among it."""
        rows = tx.execute("SELECT pos, owner, mid FROM post WHERE pos > ? ORDER BY pos", (after,)).fetchall()
        gone = [row for row in rows if self.dice.random() < self.drops]
        tx.executemany("DELETE FROM post WHERE pos = ?", [(pos,) for pos, _, _ in gone])
        return [(owner, mid) for _, owner, mid in gone if mid]

    def spoil(self, items: list[PostedItem]) -> list[PostedItem]:
        """One character of some items is another, at each showing anew."""
        return [self._flip(item) if self.dice.random() < self.flips else item for item in items]

    def _flip(self, item: PostedItem) -> PostedItem:
        field = self.dice.choice([name for name in ("e", "s", "r") if isinstance(getattr(item, name), str)])
        text = getattr(item, field)
        at = self.dice.randrange(len(text))
        letter = self.dice.choice("AB-_9z." if text[at] not in "AB-_9z." else "CDEFGH")
        return msgspec.structs.replace(item, **{field: text[:at] + letter + text[at + 1 :]})
