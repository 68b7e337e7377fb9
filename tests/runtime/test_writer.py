"""The writer thread and the readers beside it."""

import asyncio
import threading

import pytest

from node.runtime.store import Store, script
from node.runtime.writer import GROUP, Readers, Writer
from protocol.errors import ProtocolError

NOTES = [script("notes-001", "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")]


def add(text):
    return lambda tx: tx.execute("INSERT INTO note (text) VALUES (?)", (text,)).lastrowid


def count(tx):
    return tx.execute("SELECT count(*) FROM note").fetchone()[0]


@pytest.fixture
def writer(tmp_path):
    writer = Writer(Store.open(tmp_path / "store.db", NOTES))
    yield writer
    writer.close()


async def test_many_commands_share_few_commits(writer):
    ids = await asyncio.gather(*(writer.submit(add("x")) for _ in range(4000)))
    assert ids == list(range(1, 4001))
    assert writer.store.commits <= 4000 / GROUP + 10


async def test_a_refusal_reaches_only_its_own_caller(writer):
    def refuse(tx):
        raise ProtocolError("illegal-event")

    answers = await asyncio.gather(
        writer.submit(add("a")), writer.submit(refuse), writer.submit(add("b")), return_exceptions=True
    )
    assert [answers[0], answers[2]] == [1, 2]
    assert answers[1].code == "illegal-event"


async def test_a_cancelled_caller_disturbs_nobody(writer):
    started, go = threading.Event(), threading.Event()

    def slow(tx):
        started.set()
        go.wait()
        return add("slow")(tx)

    blocking = asyncio.ensure_future(writer.submit(slow))
    await asyncio.get_running_loop().run_in_executor(None, started.wait)
    cancelled, patient = (asyncio.ensure_future(writer.submit(add(text))) for text in ("cancelled", "patient"))
    await asyncio.wait([patient], timeout=0)
    cancelled.cancel()
    go.set()
    assert await asyncio.wait_for(asyncio.gather(blocking, patient), 5) == [1, 3]
    assert cancelled.cancelled()
    assert await writer.submit(count) == 3


async def test_too_many_waiting_commands_are_answered_busy(tmp_path):
    writer = Writer(Store.open(tmp_path / "store.db", NOTES), waiting=3)
    started, go = threading.Event(), threading.Event()
    blocked = asyncio.ensure_future(writer.submit(lambda tx: started.set() or go.wait()))
    await asyncio.get_running_loop().run_in_executor(None, started.wait)
    queued = [asyncio.ensure_future(writer.submit(add("x"))) for _ in range(3)]
    await asyncio.wait([blocked], timeout=0)
    with pytest.raises(ProtocolError) as refused:
        await writer.submit(add("too many"))
    assert (refused.value.code, refused.value.after) == ("busy", 1)
    go.set()
    assert await asyncio.gather(*queued) == [1, 2, 3]
    await writer.aclose()


async def test_closing_finishes_what_was_accepted_and_takes_no_more(tmp_path):
    writer = Writer(Store.open(tmp_path / "store.db", NOTES))
    accepted = [asyncio.ensure_future(writer.submit(add("x"))) for _ in range(600)]
    await asyncio.wait([accepted[0]], timeout=0)
    await writer.aclose()
    assert await asyncio.gather(*accepted) == list(range(1, 601))
    with pytest.raises(ProtocolError, match="busy"):
        await writer.submit(add("late"))
    Store.open(tmp_path / "store.db", NOTES).close()


def test_a_thread_without_a_loop_may_call(writer):
    assert writer.call(add("x")) == 1
    with pytest.raises(ZeroDivisionError):
        writer.call(lambda tx: 1 // 0)


def test_the_writer_survives_what_is_no_ordinary_exception(writer):
    def leave(tx):
        add("x")(tx)
        raise SystemExit

    with pytest.raises(ProtocolError, match="internal"):
        writer.call(leave)
    assert writer.call(count) == 0


async def test_work_on_the_store_itself_is_done_between_groups(writer):
    answers = await asyncio.gather(
        *(writer.submit(add("x")) for _ in range(5)),
        writer.maintain(lambda store: (store.checkpoint(), store.commits)),
        *(writer.submit(add("y")) for _ in range(5)),
        writer.maintain(lambda store: 1 // 0),
        writer.submit(count),
        return_exceptions=True,
    )
    assert answers[:5] + answers[6:11] == list(range(1, 11))
    assert answers[5][0] is True
    assert isinstance(answers[11], ZeroDivisionError)
    assert answers[12] == 10


async def test_readers_see_one_snapshot_and_cannot_write(writer):
    readers = Readers(writer.store.path)
    await writer.submit(add("a"))
    assert await readers.read(count) == 1
    with pytest.raises(Exception, match="readonly"):
        await readers.read(add("b"))

    def twice(conn):
        first = count(conn)
        writer.call(add("meanwhile"))
        return first, count(conn)

    assert await readers.read(twice) == (1, 1)
    assert await readers.read(count) == 2
    readers.close()
