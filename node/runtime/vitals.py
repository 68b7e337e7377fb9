"""How a program is, as numbers for a monitor: disk, store, copies, since when. No names; not what is done with them."""

import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

from node.runtime.backup_state import load
from node.runtime.metrics import Gauge

Ask = Callable[[Callable[[sqlite3.Connection], list[int]]], Awaitable[list[int]]]


def vitals(store: Path) -> list[Gauge]:
    """Of the computer and the files beside `store`; read when they are shown."""
    folder, started = store.parent, time.time()
    wal = store.with_name(store.name + "-wal")
    return [
        Gauge("raccordo_start_seconds", "Avvio, in secondi Unix", lambda: started),
        Gauge("raccordo_store_bytes", "Archivio", lambda: _size(store)),
        Gauge("raccordo_wal_bytes", "Scritture non ancora riportate nell'archivio", lambda: _size(wal)),
        Gauge("raccordo_disk_free_bytes", "Spazio libero dove sta l'archivio", lambda: shutil.disk_usage(folder).free),
        Gauge("raccordo_backup_seconds", "Ultima copia riuscita, in secondi Unix; 0: nessuna", lambda: _copied(folder)),
        Gauge("raccordo_backup_failed", "1: l'ultima copia non è riuscita", lambda: load(folder).failed_at is not None),
    ]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _copied(folder: Path) -> int:
    made = load(folder).full
    return made.at if made else 0


class Counted:
    """Numbers that only the store knows: `queries` are of one number each; asked together when somebody looks."""

    def __init__(self, queries: Mapping[str, tuple[str, str]]) -> None:
        self._queries: Final = queries
        self._held: dict[str, int] = dict.fromkeys(queries, 0)
        self.gauges = [
            Gauge(name, help_, lambda name=name: self._held[name])  # type: ignore[misc]
            for name, (help_, _) in queries.items()
        ]

    async def refresh(self, ask: Ask) -> None:
        """`ask` runs a query on a read connection."""
        found = await ask(lambda db: [int(db.execute(sql).fetchone()[0] or 0) for _, sql in self._queries.values()])
        self._held = dict(zip(self._queries, found, strict=True))
