"""docs/bad-input.md against the tests and the codes: no row points at nothing."""

import re
from pathlib import Path

from schemas.problems import PROBLEMS

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "bad-input.md").read_text("utf-8")


def test_every_test_the_table_names_exists() -> None:
    named = re.findall(r"`((?:tests/[a-z_/]+/)?test_[a-z_]+\.py)::(test_\w+)`", TABLE)
    assert len(named) > 60
    for file, name in named:
        path = ROOT / file if "/" in file else Path(__file__).parent / file
        assert re.search(rf"^(async )?def {name}\(", path.read_text("utf-8"), re.M), (file, name)


def test_every_code_the_table_answers_with_is_a_problem() -> None:
    answered = "\n".join(
        line.split("|")[2] for line in TABLE.splitlines() if line.startswith("|") and line.count("|") == 4
    )
    codes = set(re.findall(r"`(?:later: )?([a-z]+(?:-[a-z]+)+)`", answered)) - {"own-entry-absent", "max_page_count"}
    assert codes <= set(PROBLEMS), codes - set(PROBLEMS)
