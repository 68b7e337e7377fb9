import pytest

from tests.registry.world import World


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


@pytest.fixture
def pilot():
    made = World(pilot=True)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _italian(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the language of the machine that runs the tests."""
    monkeypatch.setenv("RACCORDO_LANG", "it")
