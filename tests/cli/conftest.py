"""The clock of every node in these tests is the town's."""

import pytest

from tests.cli import town


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr("node.body.SystemClock", town.Clock)
    monkeypatch.setattr("node.runtime.clock.SystemClock", town.Clock)
    monkeypatch.setattr(town.Clock, "at", town.NOON)
    return town.Clock


@pytest.fixture(autouse=True)
def _italian(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the language of the machine that runs the tests."""
    monkeypatch.setenv("RACCORDO_LANG", "it")
