"""A clock that stands still and a server on a free port. No network beyond loopback."""

import asyncio
from contextlib import asynccontextmanager

from node.runtime.dice import SeededDice
from node.runtime.http import ServerLimits, create_server_app, listen

NOW = 1_795_259_400


class StillClock:
    def now(self):
        return NOW


@asynccontextmanager
async def serving(routes, *, limits=None, requests=None):
    app = create_server_app(
        routes, clock=StillClock(), dice=SeededDice(7), limits=limits or ServerLimits(), requests=requests
    )
    listener = await listen(app, "127.0.0.1", 0)
    try:
        yield listener.port
    finally:
        await listener.stop()


async def raw(port, sent, *, end=True):
    """Send bytes as they are; everything that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    if end and writer.can_write_eof():
        writer.write_eof()
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
