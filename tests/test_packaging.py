"""What is installed, under which names and licence, and which room may look into which. Not what the rooms do."""

import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONTRACTS = PROJECT["tool"]["importlinter"]["contracts"]
VERSION = PROJECT["project"]["version"]
ROOMS = ("schemas", "protocol", "node", "registry")
ARTICLES = (
    "Definitions",
    "Scope of the rights granted by the Licence",
    "Communication of the Source Code",
    "Limitations on copyright",
    "Obligations of the Licensee",
    "Chain of Authorship",
    "Disclaimer of Warranty",
    "Disclaimer of Liability",
    "Additional agreements",
    "Acceptance of the Licence",
    "Information to the public",
    "Termination of the Licence",
    "Miscellaneous",
    "Jurisdiction",
    "Applicable Law",
)


@pytest.mark.parametrize("room", ROOMS)
def test_the_import_name_is_ours_and_nobody_elses(room: str) -> None:
    """An editable install claims no names in its metadata; then nobody else may claim them either."""
    assert set(packages_distributions().get(room, ["raccordo"])) == {"raccordo"}
    found = find_spec(room)
    assert found is not None
    assert Path(found.origin or "").parent == ROOT / room


def test_a_wheel_holds_the_four_rooms_with_their_data_and_the_licence(tmp_path: Path) -> None:
    from hatchling.builders.wheel import WheelBuilder

    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
    assert {name.partition("/")[0] for name in names} == {*ROOMS, f"raccordo-{VERSION}.dist-info"}
    wanted = {"schemas/vocab/comuni.csv", "schemas/json/profile/service.json", "schemas/vectors/envelopes.json"}
    assert wanted <= set(names)
    assert f"raccordo-{VERSION}.dist-info/licenses/LICENSE" in names
    assert not [name for name in names if name.endswith((".pyc", ".db", ".log"))]


def test_tests_are_a_package_or_they_would_shadow_the_rooms() -> None:
    assert (ROOT / "tests" / "__init__.py").is_file()
    missing = [path.parent for path in (ROOT / "tests").glob("*/*.py") if not (path.parent / "__init__.py").is_file()]
    assert missing == []


def test_the_licence_is_declared_and_whole() -> None:
    meta = distribution("raccordo").metadata
    assert meta["License-Expression"] == PROJECT["project"]["license"] == "EUPL-1.2"
    assert PROJECT["project"]["license-files"] == ["LICENSE"]
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "EUROPEAN UNION PUBLIC LICENCE v. 1.2" in text
    assert all(f"\n{number}. {title}\n" in text for number, title in enumerate(ARTICLES, 1))
    assert text.index("Appendix\n") > text.index("15. Applicable Law")
    assert text.rstrip().endswith("EUPL version.")


def test_the_commands_are_distinctive_and_their_modules_exist() -> None:
    scripts = PROJECT["project"]["scripts"]
    assert scripts == {"raccordo-node": "node.cli:main", "raccordo-registry": "registry.cli:main"}
    assert all(find_spec(target.partition(":")[0]) for target in scripts.values())


def test_the_version_is_the_one_the_changelog_names_first() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    released = [line for line in changelog.splitlines() if line.startswith("## [")]
    assert released[0].startswith(f"## [{VERSION}]")


def test_the_programs_say_the_version_they_are_released_as() -> None:
    from node.runtime.version import VERSION as SAID

    assert SAID == VERSION, "node/runtime/version.py"


def test_the_rooms_look_only_where_they_may() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    ran = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


SHARED = frozenset({"runtime", "map", "mailbox", "pages"})
"""What the registry may use of a node (DESIGN §2)."""


def test_the_contracts_name_every_room_of_a_node() -> None:
    """A new module of a node is not open to the registry because somebody forgot to list it."""
    folder = ROOT / "node"
    rooms = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    listed = {contract["name"]: set(contract.get("forbidden_modules", ())) for contract in CONTRACTS}
    own = {f"node.{room}" for room in rooms - SHARED - {"__init__"}}
    assert own - listed["registry uses only node's shared rooms"] == set(), "add them in pyproject.toml"
    beside = {f"node.{room}" for room in rooms - {"__init__", "runtime"}}
    assert beside - listed["node.runtime knows none of its neighbours"] == set(), "add them in pyproject.toml"


def test_every_module_an_import_contract_names_exists() -> None:
    named = {
        name
        for contract in CONTRACTS
        for key in ("source_modules", "forbidden_modules", "layers")
        for name in contract.get(key, ())
        if name.partition(".")[0] in ROOMS
    }
    assert sorted(name for name in named if find_spec(name) is None) == []


def test_no_tool_of_development_is_needed_to_run() -> None:
    names = {re.split(r"[<>=;\[ ]", line)[0] for line in PROJECT["project"]["dependencies"]}
    development = {re.split(r"[<>=;\[ ]", line)[0] for line in PROJECT["project"]["optional-dependencies"]["dev"]}
    assert names.isdisjoint(development)
