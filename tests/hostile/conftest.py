"""One town for the tests of a module: most of them send what must leave no trace, so that they can share it."""

import pytest_asyncio

from tests.hostile.town import town


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory):
    async with town(tmp_path_factory.mktemp("rete")) as made:
        yield made
        for server in made.servers.values():
            await server.alive()
        made.silent()
