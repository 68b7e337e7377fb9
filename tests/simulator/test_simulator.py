"""A slice of the simulator in every test run: some seeds, those that failed once, determinism, a few planted bugs."""

import os
import subprocess
import sys

import pytest

from protocol.suite import S1, Suite
from tests.simulator import bugs, campaign, plan, world
from tests.simulator.fake_suite import FAKE
from tests.simulator.kernel import Violation

ROOT = campaign.REGRESS.parents[2]


def small(seed: int) -> plan.Plan:
    """The faults of a seed on little work."""
    return plan.draw(seed, referrals=12, acts=40)


@pytest.mark.parametrize("seed", [8, 12])
def test_a_small_world_under_faults_keeps_every_invariant(seed: int) -> None:
    result = world.run(small(seed))
    assert result.told > 0


@pytest.mark.parametrize("seed", campaign.regressions())
def test_a_seed_that_failed_once_holds(seed: int) -> None:
    world.run(plan.draw(seed, referrals=10, acts=30))


def test_the_same_seed_gives_the_same_trace_under_two_hash_seeds() -> None:
    code = "from tests.simulator import plan, world;print(world.run(plan.draw(5, referrals=8, acts=30)).digest)"
    digests = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        digests.add(run.stdout.strip())
    assert len(digests) == 1
    assert digests.pop()


@pytest.mark.parametrize("name", ["synchronous-off", "sent-before-commit"])
def test_a_planted_bug_is_found(name: str) -> None:
    with bugs.planted(name), pytest.raises(Violation):
        world.run(small(12))


def test_twenty_bugs_and_more_are_planted_under_one_name_each() -> None:
    assert len(set(bugs.NAMES)) == len(bugs.TABLE) >= 20


@pytest.mark.parametrize("suite", [S1, FAKE])
def test_both_suites_sign_seal_and_refuse_alike(suite: Suite) -> None:
    key, other = suite.signing_key(bytes(32)), suite.sealing_key(bytes([1]) * 32)
    suite.verify_key(key.public).verify(key.sign(b"testo"), b"testo")
    with pytest.raises(Exception, match="bad-signature"):
        suite.verify_key(key.public).verify(key.sign(b"testo"), b"altro")
    mine = suite.sealing_key(bytes([2]) * 32)
    shared = mine.exchange(suite.sealing_public(other.public))
    assert shared == other.exchange(suite.sealing_public(mine.public))
    sealed = suite.encrypt(shared, bytes(12), b"aad", b"segreto")
    assert suite.decrypt(shared, bytes(12), b"aad", sealed) == b"segreto"
    assert b"segreto" not in sealed
    with pytest.raises(Exception, match="cannot-open"):
        suite.decrypt(shared, bytes(12), b"altro", sealed)
