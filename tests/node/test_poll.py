"""Reading a mailbox: what has to stay there for now is looked at again, however much comes behind it."""

import asyncio
import types

import pytest

from node import courier
from node.courier import Courier
from schemas.wire import MailboxPage, PostedItem


class Reader(Courier):
    """Reads a mailbox that is never empty, and cannot take the first item yet."""

    def __init__(self, kept):
        ctx = types.SimpleNamespace(me="tavullia", membership=types.SimpleNamespace(relays={"bacheca": "https://b"}))
        self._body = types.SimpleNamespace(ctx=ctx)
        self._kept = kept
        self.asked = []

    async def call(self, method, base, target, **_):
        await asyncio.sleep(0)
        self.asked.append(target.partition("after=")[2].partition("&")[0])
        page = MailboxPage(items=[PostedItem(pos=str(len(self.asked)), r="…")])
        return types.SimpleNamespace(body=courier._encode(page))

    async def _take_in(self, relay, url, page):
        return courier.Left(kept=self._kept and page.items[0].pos == "1", behind=False)


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(courier, "POLL_WAIT", 0.05)


async def test_what_was_left_in_a_busy_mailbox_is_read_again(hurried):
    reader = Reader(kept=True)
    async with asyncio.timeout(5):
        assert await reader._poll_once("bacheca")
    assert reader.asked[0] == "" and "" not in reader.asked[1:]


async def test_a_busy_mailbox_with_nothing_left_in_it_is_read_on(hurried):
    reader = Reader(kept=False)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await reader._poll_once("bacheca")
