"""News by number: contiguous, in the order of commits, with the change or not at all, waited for, forgotten with a word."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from node import backups
from node.api import feed
from node.api.tables import MIGRATIONS as API
from node.body import MIGRATIONS
from node.runtime import apps
from node.runtime.sealed_file import Secret
from node.runtime.store import Store
from protocol.errors import ProtocolError
from protocol.limits import DAY
from tests.api.vendor import ask, calling, town
from tests.node.test_app import reaches, wanted

REFER = {"to": "distretto", "offer": wanted()}


@pytest.fixture
async def desks(tmp_path):
    async with town(tmp_path) as (world, apps):
        yield world, apps["tavullia"], apps["distretto"]


@pytest.fixture
def store(tmp_path):
    assert set(API) <= set(MIGRATIONS)
    made = Store.open(tmp_path / "raccordo.db", MIGRATIONS)
    made.run(alarm("prima di ogni applicazione"))
    assert made.read(feed.edges) == (1, 0)
    made.run(lambda tx: apps.add(tx, "gestionale", ["events:read"], ["events:read"], 30, 1000, bytes(32)))
    yield made
    made.close()


def alarm(code, at=1000):
    return lambda tx: tx.execute("INSERT INTO alarm (at, code) VALUES (?, ?)", (at, code))


async def test_both_desks_are_told_what_happened_to_a_referral_without_a_word_of_it(desks):
    _, a, b = desks
    async with calling(a) as vendor, calling(b, name="cartella") as other:
        start, there = [(await one("GET", "/events")).json["next"] for one in (vendor, other)]
        leg = (await vendor("POST", "/cases", REFER)).json["leg"]
        await reaches(b, leg, "offered")
        await other("POST", f"/cases/{leg}/steps", {"ev": "accept"})
        await reaches(a, leg, "accepted")
        for one, after, also in ((vendor, start, "case.delivery"), (other, there, "case.step")):
            found = (await one("GET", f"/events?after={after}")).json
            assert [event["n"] for event in found["events"]] == list(range(after + 1, after + 1 + len(found["events"])))
            assert found["next"] == found["events"][-1]["n"]
            about = [event for event in found["events"] if event.get("leg") == leg]
            assert about[0]["kind"] == "case.new"
            assert {"case.step", also} <= {event["kind"] for event in about}
            assert all(set(event) <= {"n", "at", "kind", "leg"} for event in found["events"])


async def test_a_long_poll_answers_at_the_commit_and_empty_when_its_time_is_over(desks):
    _, a, _ = desks
    async with calling(a) as vendor:
        after = (await vendor("GET", "/events")).json["next"]
        assert (await vendor("GET", f"/events?after={after}")).json["events"] == []
        assert (await vendor("GET", f"/events?after={after}&wait=1")).json == {"events": [], "next": after, "first": 1}
        waiting = [asyncio.create_task(vendor("GET", f"/events?after={after}&wait=30")) for _ in range(3)]
        async with asyncio.timeout(15):
            await a.writer.submit(alarm("prova"))
            told = [(await one).json["events"] for one in waiting]
        assert [[event["kind"] for event in events] for events in told] == [["alarm"]] * 3
        assert (await vendor("GET", f"/events?after={after}&wait=31")).code == "bad-shape"


async def test_a_change_that_was_refused_leaves_no_number(desks):
    _, a, _ = desks
    async with calling(a) as vendor:
        after = (await vendor("GET", "/events")).json["next"]

        def half(tx):
            alarm("prova")(tx)
            raise ProtocolError("busy")

        for _ in range(3):
            with pytest.raises(ProtocolError):
                await a.writer.submit(half)
        await asyncio.gather(*(a.writer.submit(alarm(f"prova-{i}")) for i in range(20)))
        numbers = [event["n"] for event in (await vendor("GET", f"/events?after={after}")).json["events"]]
        assert numbers == list(range(after + 1, after + 21))


async def test_news_that_are_gone_are_refused_with_the_number_to_start_from(desks):
    world, a, _ = desks
    async with calling(a, days=90) as vendor:
        for i in range(5):
            await a.writer.submit(alarm(f"vecchio-{i}", world.clock.at))
        last = (await vendor("GET", "/events")).json["next"]
        await a.api.forget_old()
        world.clock.at += DAY
        await a.writer.submit(alarm("recente, di un passo antico", 1000))
        await a.api.forget_old()
        world.clock.at += feed.KEPT - 1
        await a.api.forget_old()
        gone = await vendor("GET", "/events?after=0")
        assert (gone.status, gone.code, gone.json["expected"]) == (410, "events-gone", str(last))
        assert [event["n"] for event in (await vendor("GET", f"/events?after={last}")).json["events"]] == [last + 1]
        ahead = await vendor("GET", f"/events?after={last + 2}")
        assert (ahead.code, ahead.json["expected"]) == ("events-gone", str(last + 1))
        world.clock.at += 2 * feed.KEPT
        async with calling(a, name="nuovo", days=90) as later:
            for _ in range(2):
                await a.api.forget_old()
                world.clock.at += DAY
            held = (await later("GET", f"/events?after={last}")).json
            assert ([event["n"] for event in held["events"]], held["first"]) == ([last + 1], last + 1)


def test_after_a_restore_numbers_given_out_before_are_not_given_again(store):
    for i in range(3):
        store.run(alarm(f"prima-{i}"))
    copied = store.read(feed.edges)[1]
    store.run(alarm("dopo la copia"))  # what the copy does not know: a caller holds its number
    held = store.read(feed.edges)[1]
    store.run(lambda tx: tx.execute("DELETE FROM feed WHERE n > ?", (copied,)))
    store.run(lambda tx: feed.restored(tx, 2000))
    for i in range(2):
        store.run(alarm(f"poi-{i}"))
    for after in (0, copied, held):
        with pytest.raises(ProtocolError) as gone:
            store.read(lambda db, after=after: feed.read(db, after, 10))
        assert gone.value.code == "events-gone"
        start = int(gone.value.expected)
    assert [event.kind for event in store.read(lambda db: feed.read(db, start, 10)).events] == [
        "restored",
        "alarm",
        "alarm",
    ]


def test_no_more_are_kept_than_may_be_and_never_none(store, monkeypatch):
    monkeypatch.setattr(feed, "MOST", 10)
    for i in range(25):
        store.run(alarm(f"a-{i}"))
    assert store.read(lambda db: feed.due(db, 1000))
    assert store.run(lambda tx: feed.prune(tx, 1000)) == 14
    assert store.read(feed.edges) == (15, 25)
    assert not store.read(lambda db: feed.due(db, 1000 + DAY - 1))
    assert store.read(lambda db: feed.due(db, 1000 + DAY))
    store.run(lambda tx: feed.prune(tx, 10**9))
    assert store.read(feed.edges) == (25, 25)


async def test_a_copy_brought_back_knows_no_token_any_more(desks, tmp_path):
    _, a, _ = desks
    (tmp_path / "copie").mkdir()
    async with calling(a) as vendor:
        assert (await vendor("GET", "/application")).status == 200
        made = await ask(a, "backup", to=str(tmp_path / "copie"), passphrase="dodici caratteri")
    into = tmp_path / "tornato"
    secret = Secret("passphrase", b"dodici caratteri")
    backups.bring_back(Path(made["path"]), secret, into, a.body.clock.now())
    with closing(sqlite3.connect(into / "raccordo.db")) as db:
        assert db.execute("SELECT COUNT(*), COUNT(revoked) FROM app").fetchone() == (1, 1)
        assert db.execute("SELECT kind FROM feed").fetchall() == [("restored",)]
