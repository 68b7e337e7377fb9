"""The folder that installs without Internet, as far as can be seen without fetching anything; `./run bundle --prova` does it."""

import os
import re
import runpy
import stat
import subprocess
import zipfile

import pytest

from deploy.bundle import build
from node.runtime.version import VERSION

FILES = build.FILES
ROOT = build.ROOT


def wheel(folder, name, version="1.0", tag="py3-none-any", requires=()):
    """The smallest wheel that declares something."""
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        archive.writestr(
            f"{name}-{version}.dist-info/METADATA", "\n".join([*lines, *(f"Requires-Dist: {r}" for r in requires)])
        )
    return path


def test_what_a_system_needs_follows_the_wheels_and_their_markers(tmp_path):
    wheel(tmp_path, "raccordo", requires=["a_b>=1", "tz; sys_platform == 'win32'", "old; python_version < '3.12'"])
    wheel(tmp_path, "a_b", requires=["c", "only-dev; extra == 'dev'"])
    for name in ("c", "tz", "old", "builder"):
        wheel(tmp_path, name)
    assert build.closure(tmp_path, "linux", "3.11") == {"a-b", "c", "old"}
    assert build.closure(tmp_path, "linux", "3.13") == {"a-b", "c"}
    assert build.closure(tmp_path, "win32", "3.13") == {"a-b", "c", "tz"}


def test_a_dependency_that_no_wheel_brings_stops_the_building(tmp_path):
    """It would install and not start, on a computer without Internet."""
    wheel(tmp_path, "raccordo", requires=["colours; platform_system == 'Windows'"])
    assert build.closure(tmp_path, "linux", "3.11") == set()
    with pytest.raises(LookupError, match="colours is needed on win32"):
        build.closure(tmp_path, "win32", "3.11")


def test_the_lock_is_read_whole():
    pins = build.pinned(build.LOCK)
    text = build.LOCK.read_text("utf-8")
    assert len(pins) == len(re.findall(r"^[a-z0-9]", text, re.M))
    assert sum(pin.count("--hash=sha256:") for pin in pins.values()) == text.count("--hash=sha256:")
    assert not any(";" in pin for pin in pins.values())
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    direct = re.search(r"^dependencies = \[(.*?)\]", project, re.M | re.S)[1]
    for name in re.findall(r'"([a-z0-9-]+)[>;=]', direct):
        assert name in pins


def test_the_two_locks_pin_what_runs_alike():
    """What the tests ran with is what the bundle brings."""
    ours, tested = build.pinned(build.LOCK), build.pinned(ROOT / "requirements-dev.lock")
    differing = {name for name, pin in ours.items() if name in tested and pin.split()[0] != tested[name].split()[0]}
    # an oracle of the tests holds it back (holidays); sqlite-utils uses it in recipes we have none of
    assert differing <= {"python-dateutil"}


def test_our_own_wheel_is_the_same_bytes_each_time(tmp_path):
    made = [build.own_wheel(tmp_path / name).read_bytes() for name in ("a", "b")]
    assert made[0] == made[1]


# -- what installs it


def unpacked(folder):
    """A folder as the builder leaves it, with one small wheel."""
    folder.mkdir()
    build._copy(folder)
    (folder / "ruote").mkdir()
    wheel(folder / "ruote", "raccordo", VERSION)
    build._sums(folder)
    return folder


def damaged(folder):
    return runpy.run_path(str(folder / "installa.py"))["damaged"]()


def test_the_installer_notices_every_file_that_is_not_as_it_was(tmp_path):
    made = unpacked(tmp_path / "raccordo")
    assert damaged(made) == ""
    for name in ("documenti/operare.md", "avvia-nodo.sh", f"ruote/raccordo-{VERSION}-py3-none-any.whl"):
        whole = (made / name).read_bytes()
        (made / name).write_bytes(whole + b"x")
        assert damaged(made) == name
        (made / name).unlink()
        assert damaged(made) == name
        (made / name).write_bytes(whole)
    (made / "ruote" / "estranea-1.0-py3-none-any.whl").write_bytes(b"")
    assert damaged(made) == "ruote/estranea-1.0-py3-none-any.whl"


def test_the_folder_is_one_for_both_systems(tmp_path):
    made = unpacked(tmp_path / "raccordo")
    for name in ("avvia-nodo", "avvia-registro"):
        assert (made / f"{name}.sh").stat().st_mode & stat.S_IXUSR
        batch = (made / f"{name}.bat").read_bytes()
        assert batch.count(b"\r\n") == batch.count(b"\n") > 10, "cmd reads no other line ends"
    readme = (made / "LEGGIMI.txt").read_text("utf-8")
    assert VERSION in readme and all(python in readme for python in build.PYTHONS)
    listed = (made / "SHA256SUMS").read_text("utf-8")
    assert not re.search(r"(^|/)\.", "\n".join(line.split("  ")[1] for line in listed.splitlines()), re.M)
    for document in build.DOCUMENTS:
        assert f"documenti/{document}" in listed


@pytest.mark.parametrize("name", ["avvia-nodo", "avvia-registro"])
def test_a_start_file_prepares_once_serves_and_passes_words_on(name, tmp_path):
    made = unpacked(tmp_path / "chiavetta di prova")  # people's folders have blanks
    program = {"avvia-nodo": "raccordo-node", "avvia-registro": "raccordo-registry"}[name]
    bin_ = made / "ambiente" / "bin"
    bin_.mkdir(parents=True)
    stand_in = bin_ / program
    stand_in.write_text(
        '#!/bin/sh\nd=${RACCORDO_DIR:-$RACCORDO_REGISTRY_DIR}\n'
        'echo "$d: $*" >> "$HOME/said"\n[ "$1" != init ] || { mkdir -p "$d"; : > "$d/raccordo.toml"; }\n'
    )  # fmt: skip
    stand_in.chmod(0o755)
    home = tmp_path / "casa di prova"
    home.mkdir()

    def start(*words):
        done = subprocess.run(
            [made / f"{name}.sh", *words],
            env={"HOME": str(home), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        said = (home / "said").read_text().splitlines()
        (home / "said").unlink()
        return [line.replace(str(home), "~") for line in said]

    data = {"avvia-nodo": "~/raccordo", "avvia-registro": "~/bacheca"}[name]
    assert start("status", "--json", "due parole") == [f"{data}: status --json due parole"]
    assert start() == [f"{data}: init", f"{data}: serve"]
    assert start() == [f"{data}: serve"], "prepared once"


def test_no_start_file_is_for_one_program_only():
    names = {path.name for path in FILES.iterdir()}
    assert {f"avvia-{which}.{kind}" for which in ("nodo", "registro") for kind in ("sh", "bat")} <= names
