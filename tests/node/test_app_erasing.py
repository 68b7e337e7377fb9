"""Erasing in running nodes over real HTTP: files tidied while the program runs, recall from a mailbox, the search."""

import asyncio

import pytest

from node.exchange import erased_list
from node.runtime.backup import ERASED_NAME
from tests.exchange.desks import raw_files
from tests.node.test_app import World, ask, reaches, staff, wanted


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.found("tavullia", relays=["distretto"])
    made.found("montelabbate", relays=["distretto"])
    made.found("distretto", direct=True, relay=True)
    made.publish()
    return made


async def heads(*apps):
    for app in apps:
        await staff(app)
        await ask(app, "operator-add", code="RE", role="RL-RESP")


async def until(test, app):
    """Looks again at every change of the app's referrals, and now and then: some of this gives no notice."""
    async with asyncio.timeout(20):
        while True:
            change = asyncio.create_task(app.changed())
            if await test():
                change.cancel()
                return
            await asyncio.wait([change], timeout=0.1)
            change.cancel()


async def test_what_a_running_node_erased_is_in_none_of_its_files_and_the_answer_comes_back(world):
    async with world.running("distretto", "tavullia", "montelabbate") as apps:
        a, b = apps["tavullia"], apps["montelabbate"]
        await heads(a, b)
        leg = (await ask(a, "refer", to="montelabbate", as_="OP", offer=wanted()))["leg"]
        await reaches(b, leg, "offered")
        await ask(b, "act", leg=leg, ev="decline", as_="OP", reason="DR-POSTI")
        await reaches(a, leg, "declined")

        async def words():
            return await a.writer.maintain(lambda store: store.read(_bodies))

        before = await words()
        assert len(before) == 2
        await ask(a, "erase", leg=leg, as_="RE", reason="data-subject", basis="prot. 1")

        async def gone():
            files = raw_files(a.body)
            return not any(sealed in files for sealed in before)

        await until(gone, a)
        assert [one for one, _ in erased_list.read(a.body.data_dir / ERASED_NAME)] == [leg]

        async def asked():
            return any(not one["own"] for one in await ask(b, "erasures"))

        await until(asked, b)
        await ask(b, "answer-erase", leg=leg, as_="RE", accept=True)

        async def answered():
            return [one["state"] for one in await ask(a, "erasures")] == ["erased"]

        await until(answered, a)


def _bodies(db):
    return [row[0] for row in db.execute("SELECT sealed FROM event WHERE sealed IS NOT NULL").fetchall()]


async def test_a_recall_takes_from_the_mailbox_what_nobody_fetched_and_then_nobody_is_asked(world):
    async with world.running("distretto", "tavullia") as apps:
        a, relay = apps["tavullia"], apps["distretto"]
        await heads(a)
        leg = (await ask(a, "refer", to="montelabbate", as_="OP", offer=wanted()))["leg"]

        async def waiting():
            return await relay.readers.read(lambda db: db.execute("SELECT COUNT(*) FROM post").fetchone()[0]) == 1

        await until(waiting, a)
        done = await ask(a, "recall", leg=leg, as_="OP")
        assert done["unread"] and done["state"] == "undeliverable"
        assert await relay.readers.read(lambda db: db.execute("SELECT COUNT(*) FROM post").fetchone()[0]) == 0
        assert await ask(a, "erasures") == []


async def test_an_erasure_takes_from_the_mailbox_what_nobody_fetched_and_its_end_still_arrives(world):
    async with world.running("distretto", "tavullia") as apps:
        a, relay = apps["tavullia"], apps["distretto"]
        await heads(a)
        leg = (await ask(a, "refer", to="montelabbate", as_="OP", offer=wanted()))["leg"]
        held = "SELECT mid FROM post ORDER BY pos"

        async def waiting():
            return len(await relay.readers.read(lambda db: db.execute(held).fetchall())) == 1

        await until(waiting, a)
        [(offer,)] = await relay.readers.read(lambda db: db.execute(held).fetchall())
        await ask(a, "erase", leg=leg, as_="RE", reason="data-subject", basis="prot. 1")
        assert offer not in [mid for (mid,) in await relay.readers.read(lambda db: db.execute(held).fetchall())]
    async with world.running("distretto", "tavullia", "montelabbate") as apps:
        await reaches(apps["montelabbate"], leg, "undeliverable")

        async def answered():
            return [one["state"] for one in await ask(apps["tavullia"], "erasures")] == ["erased"]

        await until(answered, apps["tavullia"])
        assert await apps["montelabbate"].readers.read(_bodies) == []


async def test_a_recall_of_what_was_fetched_asks_the_other_office(world):
    async with world.running("distretto", "tavullia", "montelabbate") as apps:
        a, b = apps["tavullia"], apps["montelabbate"]
        await heads(a, b)
        leg = (await ask(a, "refer", to="montelabbate", as_="OP", offer=wanted()))["leg"]
        await reaches(a, leg, "offered")

        async def delivered():
            return [line["code"] for line in await ask(a, "cases")] == ["RS-CONSEGNATA"]

        await until(delivered, a)
        done = await ask(a, "recall", leg=leg, as_="OP")
        assert not done["unread"] and "72 ore" in done["draft"]

        async def answered():
            return [one["state"] for one in await ask(a, "erasures")] == ["erased"]

        await until(answered, a)
        assert "opened_at" not in (await ask(a, "erasures"))[0]
        await reaches(b, leg, "cancelled")
        assert await b.readers.read(_bodies) == []


async def test_the_search_for_a_person_is_logged_in_a_running_node_too(world):
    async with world.running("distretto", "tavullia") as apps:
        a = apps["tavullia"]
        await heads(a)
        person = {"given_name": "Maria", "family_name": "Rossi", "birth_year": 1950}
        await ask(a, "refer", to="distretto", as_="OP", offer=wanted() | {"person": person})
        found = await ask(a, "person", as_="RE", family_name="rossi", birth_year=1950)
        assert len(found["cases"]) == 1
        log = await ask(a, "access-log", as_="RE")
        assert [row["action"] for row in log["rows"]] == ["search", "export"]
