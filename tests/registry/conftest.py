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
