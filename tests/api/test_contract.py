"""A slice of the contract campaign: both documents against running programs. The whole of it is `./run contract`."""

import pytest

from tests.campaigns.contract import campaign


@pytest.mark.campaign
@pytest.mark.parametrize("name", ["node", "registry"])
def test_what_the_document_says_is_what_is_answered(name, tmp_path):
    result = campaign(name, 3, 20261122, tmp_path, phases="examples,fuzzing")
    assert result.failures == [], result.output
    assert result.faults == 0
    assert result.cases > {"node": 130, "registry": 70}[name], result.statuses
    assert result.statuses["200"] > 20
