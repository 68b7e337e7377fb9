"""A process of the simulated world: a production store, commands in groups, crashes and restarts. Not what it does.

A kill copies the database and its WAL as they lie while open, abandons them, and opens the copy through `Store.open`.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from node.runtime.dice import SeededDice
from node.runtime.migrations import Migration
from node.runtime.store import Outcome, Store
from protocol.errors import ProtocolError
from tests.simulator.kernel import Died, Kernel, Network, Violation

Command = Callable[[sqlite3.Connection], Any]
Done = Callable[[Outcome[Any]], None]
DEATHS_MAX = 60  # at commits, in one run: each costs as much as a hundred commands and shows no more than these
EPOCH_S = 1_795_259_400  # virtual second 0: a Saturday of November 2026


def seed_of(*words: object) -> int:
    """A seed for each purpose, the same on every machine."""
    return int.from_bytes(blake2b(" ".join(map(str, words)).encode(), digest_size=8).digest(), "big")


class SimClock:
    """A host's own idea of the time: virtual time and an offset in seconds."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.offset = 0

    def now(self) -> int:
        return EPOCH_S + self._kernel.now // 1000 + self.offset


class Host:
    """One process. `life` grows at each restart; what an earlier life left in the air comes to nothing."""

    left_behind: tuple[str, ...] = ("", "-wal", ".lock")

    def __init__(
        self, name: str, kernel: Kernel, network: Network, home: Path, migrations: Sequence[Migration]
    ) -> None:
        self.name = name
        self.kernel = kernel
        self.network = network
        self.clock = SimClock(kernel)
        self.up = True
        self.life = 0
        self.crashes = 0
        self.migrations = migrations
        self.home = home
        self.dice = SeededDice(0)
        self.store = self._open()
        self._queue: list[tuple[Command, Done]] = []
        self._flush_planned = False

    # -- lives

    def _path(self) -> Path:
        return self.home / f"{self.name}.{self.life}" / "raccordo.db"

    def _open(self) -> Store:
        self.dice = SeededDice(seed_of(self.network.plan.seed, self.name, self.life))
        return Store.open(self._path(), self.migrations)

    def crash(self, away: int) -> None:
        """Dies now, with everything in memory; comes back after `away` milliseconds of virtual time."""
        if not self.up:
            return
        self.kernel.note(self.name, "dies for", away)
        self.up, self.crashes = False, self.crashes + 1
        self._queue.clear()
        self._flush_planned = False
        self._leave_body()
        self.kernel.after(away, self.restart)

    def _leave_body(self) -> None:
        """What a kill leaves on the disk: the files as they are, the lock with the dead owner's id in it."""
        old = self._path()
        self.life += 1
        new = self._path()
        new.parent.mkdir(parents=True)
        for suffix in self.left_behind:
            source = old.with_name(old.name + suffix)
            if source.exists():
                shutil.copyfile(source, new.with_name(new.name + suffix))
        self.store.close()
        shutil.rmtree(old.parent)

    def copy(self) -> Path:
        """A backup of the store as it is now."""
        there = self.home / f"{self.name}.copy.{self.kernel.now}"
        with contextlib.closing(sqlite3.connect(there)) as target:
            self.store._conn.backup(target)
        return there

    def fall_back(self, copy: Path, away: int) -> None:
        """Dies, and comes back with an old copy in place of its store."""
        self.crash(away)
        path = self._path()
        for leftover in path.parent.glob(path.name + "*"):
            leftover.unlink()
        shutil.copyfile(copy, path)

    def restart(self) -> None:
        if self.up:
            return
        self.store = self._open()
        self.up = True
        self.kernel.note(self.name, "is back, life", self.life)
        self.begin()

    def begin(self) -> None:
        """What a process does when it starts; the subclass says."""

    # -- commands

    def submit(self, command: Command, done: Done | None = None) -> None:
        """A command for the writer; `done` hears its outcome after the commit, unless the process died before."""
        self._queue.append((command, done or _must_hold))
        if not self.network.plan.grouped:
            self._flush(self.life)
        elif not self._flush_planned:
            self._flush_planned = True
            life = self.life
            self.kernel.after(self.group_delay(), lambda: self._flush(life))

    def group_delay(self) -> int:
        """Milliseconds a group waits for company."""
        return round(self.dice.uniform(0, 30))

    def _flush(self, life: int) -> None:
        if life != self.life or not self.up:
            return
        self._flush_planned = False
        group, self._queue = self._queue, []
        if not group:
            return
        rate = self.network.plan.crash_commit if self.network.deaths < DEATHS_MAX else 0.0
        if self.network.chance(rate):
            self.network.deaths += 1
            self.crash(self.time_to_restart())
            raise Died
        outcomes = self.store.execute_group([command for command, _ in group])
        if self.network.chance(rate):
            self.network.deaths += 1
            self.kernel.note(self.name, "committed", len(group), "and tells nobody")
            self.crash(self.time_to_restart())
            raise Died
        for (_, done), outcome in zip(group, outcomes, strict=True):
            self.settings_hold(outcome)
            if life == self.life:
                done(outcome)

    def settings_hold(self, outcome: Outcome[Any]) -> None:
        """The store refuses to work without the settings that make a commit durable, or on a damaged file."""
        if isinstance(outcome.error, Violation):
            raise outcome.error
        if isinstance(outcome.error, ProtocolError) and outcome.error.code in ("store-settings", "store-damaged"):
            raise Violation("store-refuses", f"{self.name}: {outcome.error}")

    def now_(self, command: Command) -> Any:
        """A command run by itself at once, outside any group and any fault: set-up and checks."""
        outcome = self.store.execute_group([command])[0]
        self.settings_hold(outcome)
        return outcome.result()

    def time_to_restart(self) -> int:
        """Milliseconds until somebody starts it again."""
        return round(self.dice.uniform(1_000, 600_000))

    def close(self) -> None:
        self.store.close()


def _must_hold(outcome: Outcome[Any]) -> None:
    outcome.result()
