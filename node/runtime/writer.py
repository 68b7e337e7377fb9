"""The thread that owns a Store, and the few threads that read beside it. No SQL of their own.

Whoever submits waits in the event loop (`submit`) or blocks (`call`); the writer drains its queue into groups of at
most GROUP commands, commits once, then tells everybody in one call into the loop.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future as BlockingFuture
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final, NamedTuple, TypeVar

from node.runtime.store import Command, Outcome, Store, ask, open_reader
from protocol.errors import ProtocolError

T = TypeVar("T")

GROUP: Final = 64  # a larger one saves little and keeps what it wrote waiting: referrals would leave in waves
WAITING: Final = 4096  # commands that may wait; then `busy`
READS_WAITING: Final = 256


class _Job(NamedTuple):
    """A command for a group, or work on the store done alone. `waiter` belongs to `loop`, or blocks when it is None."""

    command: Command[object] | None
    alone: Callable[[Store], object] | None
    waiter: "asyncio.Future[object] | BlockingFuture[object]"
    loop: asyncio.AbstractEventLoop | None


class Writer:
    """Owns `store` until `close`. A submitted command runs even when its caller has been cancelled meanwhile."""

    def __init__(self, store: Store, *, waiting: int = WAITING) -> None:
        self.store = store
        self._waiting = waiting
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._door = threading.Lock()
        self._open = True
        self.after: Callable[[], None] | None = None  # called on the thread after each group, once it was told
        self._held: _Job | None = None  # work to be done alone, met while a group was gathered
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    async def submit(self, command: Command[T]) -> T:
        """The command's value once it is on disk; raises its refusal, or ProtocolError `busy` when not accepted."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()
        self._enqueue(_Job(command, None, waiter, loop))  # type: ignore[arg-type]  # T is object to the queue
        return await waiter

    def call(self, command: Command[T]) -> T:
        """The same for a thread without a loop; blocks."""
        waiter: BlockingFuture[T] = BlockingFuture()
        self._enqueue(_Job(command, None, waiter, None))  # type: ignore[arg-type]  # T is object to the queue
        return waiter.result()

    async def maintain(self, work: Callable[[Store], T]) -> T:
        """Do something with the store itself between two groups: a checkpoint, a check, a backup."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()
        self._enqueue(_Job(None, work, waiter, loop))  # type: ignore[arg-type]  # T is object to the queue
        return await waiter

    def close(self) -> None:
        """Take no more work, finish what was accepted, close the store. Twice is once."""
        with self._door:
            if self._open:
                self._open = False
                self._queue.put(None)
        self._thread.join()

    async def aclose(self) -> None:
        """`close` without blocking the loop, which has answers to deliver meanwhile."""
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def _enqueue(self, job: _Job) -> None:
        with self._door:
            if not self._open or self._queue.qsize() >= self._waiting:
                raise ProtocolError("busy", after=1)
            self._queue.put(job)

    def _work(self) -> None:
        try:
            while group := self._next_group():
                _tell(group, self._execute(group))
                if self.after is not None:
                    self.after()
        finally:
            self.store.close()

    def _next_group(self) -> list[_Job]:
        """At least one job, waiting for it; empty when closed and drained (nothing is queued behind the None)."""
        group: list[_Job] = []
        job = self._held or self._queue.get()
        self._held = None
        while job is not None:
            if job.alone is not None and group:
                self._held = job
                return group
            group.append(job)
            if job.alone is not None or len(group) == GROUP:
                return group
            try:
                job = self._queue.get_nowait()
            except Empty:
                return group
        if group:
            self._queue.put(None)
        return group

    def _execute(self, group: Sequence[_Job]) -> list[Outcome[object]]:
        try:
            if (work := group[0].alone) is not None:
                return [_alone(work, self.store)]
            return self.store.execute_group([job.command for job in group if job.command is not None])
        except BaseException:  # the thread must outlive it: nobody was acknowledged
            return [Outcome(error=ProtocolError("internal")) for _ in group]


class Readers:
    """Read-only connections, one per thread, made at the first read. A query sees one snapshot and cannot write."""

    def __init__(self, path: Path, *, threads: int = 2) -> None:
        self._path = path
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="reader")
        self._mine = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._waiting = 0

    async def read(self, query: Command[T]) -> T:
        """The query's value, fully fetched by the query itself. ProtocolError `busy` when too many wait."""
        if self._waiting >= READS_WAITING:
            raise ProtocolError("busy", after=1)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, query)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Wait for the reads under way, then close the connections; before the writer closes the store."""
        self._pool.shutdown(wait=True)
        for conn in self._connections:
            conn.close()
        self._connections.clear()

    def _read(self, query: Command[T]) -> T:
        conn = self._connection()
        conn.execute("BEGIN")
        try:
            return ask(conn, query)
        finally:
            conn.execute("ROLLBACK")

    def _connection(self) -> sqlite3.Connection:
        conn: sqlite3.Connection | None = getattr(self._mine, "conn", None)
        if conn is None:
            conn = self._mine.conn = open_reader(self._path)
            self._connections.append(conn)
        return conn


def _alone(work: Callable[[Store], object], store: Store) -> Outcome[object]:
    try:
        return Outcome(work(store))
    except Exception as error:
        return Outcome(error=error)


def _tell(group: Sequence[_Job], outcomes: Sequence[Outcome[object]]) -> None:
    """Deliver a group: blocking callers at once, each event loop in one call."""
    per_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Job, Outcome[object]]]] = {}
    for job, outcome in zip(group, outcomes, strict=True):
        if job.loop is None:
            _settle(job, outcome)
        else:
            per_loop.setdefault(job.loop, []).append((job, outcome))
    for loop, answers in per_loop.items():
        _in_loop(loop, answers)


def _in_loop(loop: asyncio.AbstractEventLoop, answers: Sequence[tuple[_Job, Outcome[object]]]) -> None:
    def deliver() -> None:
        for job, outcome in answers:
            _settle(job, outcome)

    try:
        loop.call_soon_threadsafe(deliver)
    except RuntimeError:
        return  # the loop is closed: nobody waits any more, and the rows are on disk


def _settle(job: _Job, outcome: Outcome[object]) -> None:
    if job.waiter.done():  # cancelled meanwhile
        return
    if outcome.error is not None:
        job.waiter.set_exception(outcome.error)
    else:
        job.waiter.set_result(outcome.value)
