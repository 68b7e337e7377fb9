"""Which rows of the feature list have a test that shows them. `./run python -m tests.test_features` prints the table.

A test says so with `@pytest.mark.feature("F000-05")`; the list is ../shared/domain/FEATURES.md. Markers are read from the
source, so that a test that is skipped or deselected here still counts as written.
"""

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FEATURES = TESTS.parents[1] / "shared" / "domain" / "FEATURES.md"
ID = re.compile(r"F00[0-4]-[0-9]{2}")

WANTED: Mapping[str, str] = {
    "F000": "03 04 05 10 14 17 25 26 30 32 33 35 09 13 18 36 37 38",
    "F001": "01 15 16 23 24 30 34 38 26 27 28",
    "F002": "03 05 06 13 14 18 25 29 30 31",
    "F003": "03 08 09 10 17 21 04 05 06 15",
    "F004": "02 03 04 06 09 12 19 22 27 28 30 07 08 15 16 21",
}
"""The rows that versions 0.1.0 and, after them, 0.2.0 have to show."""

NOT_YET: frozenset[str] = frozenset()
"""Rows of WANTED without a test at present; whoever adds the test takes the row out."""


def wanted() -> list[str]:
    """F000-03 and so on."""
    return [f"{seed}-{number}" for seed, numbers in WANTED.items() for number in numbers.split()]


def markers() -> dict[str, list[str]]:
    """Feature id → the tests that carry it, as "file::name"."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        tables = _tables(tree)
        for name, marked in _marked(tree):
            for feature in _ids(marked, tables):
                found.setdefault(feature, []).append(f"{path.relative_to(TESTS).as_posix()}::{name}")
    return found


def _tables(tree: ast.Module) -> dict[str, list[str]]:
    """Names of a module → the ids in what they are assigned: rows of a table from which markers are made."""
    return {
        target.id: [one.value for one in ast.walk(node.value) if _is_id(one)]
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _is_id(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and ID.fullmatch(node.value) is not None


def _marked(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """(name, decorator) of tests and classes; a module's `pytestmark` stands for all of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from ((node.name, decorator) for decorator in node.decorator_list)
        elif isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets
        ):
            yield "*", node.value


def _ids(marked: ast.expr, tables: dict[str, list[str]]) -> Iterator[str]:
    """The ids of the markers in a decorator; where a marker is computed, those of the tables it is computed from."""
    for node in ast.walk(marked):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "feature"):
            continue
        yield from (str(arg.value) for arg in node.args if isinstance(arg, ast.Constant))
        if not all(isinstance(arg, ast.Constant) for arg in node.args):
            used = (one.id for one in ast.walk(marked) if isinstance(one, ast.Name))
            yield from (feature for name in used for feature in tables.get(name, ()))


@pytest.mark.parametrize(
    "feature",
    [
        pytest.param(one, marks=pytest.mark.xfail(reason="its test has not landed yet", strict=True))
        if one in NOT_YET
        else one
        for one in wanted()
    ],
)
def test_a_row_of_this_version_has_a_test(feature: str) -> None:
    assert markers().get(feature)


def test_every_marker_names_rows_by_their_ids() -> None:
    assert [one for one in markers() if not ID.fullmatch(one)] == []


def test_rows_without_a_test_are_rows_of_this_version() -> None:
    assert set(wanted()) >= NOT_YET


@pytest.mark.skipif(not FEATURES.is_file(), reason="../shared/domain/FEATURES.md is absent")
def test_every_marker_and_every_wanted_row_is_in_the_feature_list() -> None:
    known = set(re.findall(r"^\| (F00[0-4]-[0-9]{2}) \|", FEATURES.read_text("utf-8"), re.M))
    assert {*markers(), *wanted()} - known == set()


def main() -> int:
    """The table; 1 when a wanted row has no test."""
    found = markers()
    for feature in sorted({*wanted(), *found}):
        tests = found.get(feature, [])
        mark = " " if feature in wanted() else "+"
        sys.stdout.write(f"{mark} {feature}  {len(tests):2}  {tests[0] if tests else '—'}\n")
        for test in tests[1:]:
            sys.stdout.write(f"{'':14}{test}\n")
    missing = [one for one in wanted() if one not in found]
    sys.stdout.write(f"\n{len(wanted()) - len(missing)} of {len(wanted())} rows of this version have a test")
    sys.stdout.write(f"; without: {', '.join(missing)}\n" if missing else "\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
