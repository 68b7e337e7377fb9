"""The judge of this folder can fail: what it must never let pass is planted, and seen."""

import logging
from pathlib import Path

import pytest

from node.runtime.logs import event
from protocol import paths
from protocol.errors import ProtocolError
from registry.handlers import posts
from registry.service import Service
from tests.campaigns import hostile
from tests.hostile.town import CANARY, town
from tests.hostile.wire import Request

CALL = Request("planted", "POST", paths.JOIN.encode(), body=b"{}")


async def falls_over(*_: object) -> None:
    raise KeyError(CANARY)


async def echoes(*_: object) -> None:
    raise ProtocolError("bad-shape", got=CANARY)


async def leaves_a_trace(service: Service, _: object) -> None:
    await service.write(lambda tx: tx.execute("INSERT INTO quota (node, day, what, n) VALUES ('x', 1, 'y', 1)"))
    raise ProtocolError("bad-shape")


@pytest.mark.parametrize("planted", [falls_over, echoes, leaves_a_trace])
async def test_a_fault_an_echo_and_a_trace_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, planted) -> None:
    monkeypatch.setattr(posts, "join", planted)
    async with town(tmp_path) as made:
        with pytest.raises(AssertionError):
            await made.servers["registry"].judged(CALL)


async def test_a_line_of_the_log_that_quotes_is_seen(tmp_path: Path) -> None:
    async with town(tmp_path) as made:
        event(logging.WARNING, "members", code=CANARY)
        with pytest.raises(AssertionError):
            made.silent()


async def test_a_slice_of_the_campaign_holds(tmp_path: Path) -> None:
    figures = await hostile.campaign(tmp_path, cases_=400, seed=7)
    assert figures["violations"] == []
    assert len(figures["families"]) == len(hostile.ATTACKS)
