"""Who hears of a newer members document, or of a key it does not know, fetches it at once (PROTOCOL §4)."""

import asyncio

from node.runtime import trust
from tests.node.test_app import NOW, World, ask, staff, wanted


async def test_a_message_that_names_a_newer_list_has_it_fetched(tmp_path):
    world = World(tmp_path)
    world.found("tavullia")
    world.found("distretto", direct=True)
    world.publish()
    ahead = world.open("tavullia")
    held = ahead.trust.membership
    raw = world.network.publish(held, now=NOW, relays=world.relays)
    fresh = trust.advance(ahead.trust, members=raw, now=NOW)
    ahead.store.run(lambda tx: trust.keep(tx, fresh, NOW))
    ahead.close()
    async with world.running("tavullia", "distretto") as apps:
        told = asyncio.Event()
        apps["distretto"].courier.behind = told.set
        await staff(apps["tavullia"])
        await ask(apps["tavullia"], "refer", to="distretto", as_="OP", offer=wanted())
        async with asyncio.timeout(20):
            await told.wait()
