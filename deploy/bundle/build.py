"""Making the folder: wheels for every system and Python it serves, our own wheel, start files, documents. No running.

Wheels come through pip from the lock with its hashes, for Linux and Windows alike, whatever this computer is.
"""

import email
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from hatchling.builders.wheel import WheelBuilder
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from node.runtime.version import VERSION

ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final = Path(__file__).with_name("files")
LOCK: Final = ROOT / "requirements.lock"
PYTHONS: Final = ("3.11", "3.12", "3.13")
SYSTEMS: Final[Mapping[str, tuple[str, ...]]] = {
    "linux": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux_2_5_x86_64"),
    "win32": ("win_amd64",),
}
DOCUMENTS: Final = ("nodo-in-dieci-minuti.md", "registro-in-unora.md", "operare.md", "comandi.md", "glossario.md")
EPOCH: Final = "1577836800"  # 2020-01-01, in every archive: the folder depends on the sources alone
_EXECUTABLE: Final = (".sh", "installa.py")


def build(out: Path, pythons: Sequence[str] | None = None) -> Path:
    """The folder `raccordo-VERSION` under `out`; one that is there is made anew."""
    made = out / f"raccordo-{VERSION}"
    shutil.rmtree(made, ignore_errors=True)
    wheels = made / "ruote"
    wheels.mkdir(parents=True)
    pins = pinned(LOCK)
    for tags in SYSTEMS.values():
        for python in pythons or PYTHONS:
            download(list(pins.values()), python, tags, wheels)
    own = own_wheel(wheels)
    wanted = {name for system in SYSTEMS for python in PYTHONS for name in closure(wheels, system, python)}
    for path in wheels.iterdir():
        if name_of(path) not in {*wanted, "raccordo", "pip"}:  # the lock pins what builds our wheel too
            path.unlink()
    write_list(made / "elenco.txt", [pins[name] for name in sorted(wanted)], own)
    _copy(made)
    _sums(made)
    return made


def own_wheel(into: Path) -> Path:
    """Our wheel, the same bytes from the same sources."""
    os.environ["SOURCE_DATE_EPOCH"] = EPOCH
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(into), versions=["standard"])
    return Path(path)


def closure(wheels: Path, system: str, python: str) -> set[str]:
    """Canonical names of all that our wheel needs on that system, as the wheels themselves declare it.

    Raises LookupError for one that no wheel of the lock brings: the bundle would not start there.
    """
    held = {name_of(path): path for path in wheels.iterdir()}
    found, todo = set[str](), ["raccordo"]
    windows = system == "win32"
    environment = {
        "sys_platform": system, "os_name": "nt" if windows else "posix",
        "platform_system": "Windows" if windows else "Linux", "extra": "",
        "platform_machine": "AMD64" if windows else "x86_64", "platform_python_implementation": "CPython",
        "implementation_name": "cpython", "python_version": python, "python_full_version": f"{python}.0",
    }  # fmt: skip
    while todo:
        for text in _requires(held[todo.pop()]):
            needed = Requirement(text)
            name = canonicalize_name(needed.name)
            if name in found or not _holds(needed.marker, environment):
                continue
            if name not in held:
                raise LookupError(f"{name} is needed on {system} and not in {LOCK.name}")
            found.add(name)
            todo.append(name)
    return found


def name_of(wheel: Path) -> str:
    """The canonical name a wheel's file name begins with."""
    return canonicalize_name(wheel.name.partition("-")[0])


def _requires(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        name = next(one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(archive.read(name)).get_all("Requires-Dist") or []


def _holds(marker: Marker | None, environment: Mapping[str, str]) -> bool:
    return marker is None or marker.evaluate(dict(environment))


def pinned(lock: Path) -> dict[str, str]:
    """Canonical name → its lines of the lock, without the marker: pip would apply it to *this* computer."""
    held: dict[str, str] = {}
    name = ""
    for line in lock.read_text("utf-8").splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            pin = line.rstrip("\\ ").split(" ;")[0].strip()
            name = canonicalize_name(pin.partition("==")[0])
            held[name] = pin
        elif line.strip().startswith("--hash="):
            held[name] += " \\\n    " + line.strip().rstrip("\\ ")
    return held


def download(pins: Sequence[str], python: str, tags: Sequence[str], into: Path) -> None:
    """Wheels for that Python and system, checked against the hashes. Raises CalledProcessError; pip says why."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as listed:
        listed.write("\n".join(pins) + "\n")
        listed.flush()
        line = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet", "download"]
        line += ["--no-deps", "--only-binary=:all:", "--require-hashes", "-r", listed.name, "--dest", str(into)]
        line += ["--implementation", "cp", "--python-version", python]
        line += [word for tag in tags for word in ("--platform", tag)]
        line += [word for abi in (f"cp{python.replace('.', '')}", "abi3", "none") for word in ("--abi", abi)]
        subprocess.run(line, check=True)


def write_list(path: Path, pins: Sequence[str], own: Path) -> None:
    """What `installa.py` lets pip install: every pin with its hashes, and our own wheel with its own."""
    ours = f"raccordo=={VERSION} \\\n    --hash=sha256:{hashlib.sha256(own.read_bytes()).hexdigest()}"
    path.write_text("\n".join([*pins, ours]) + "\n", "utf-8")


def _copy(made: Path) -> None:
    for path in FILES.iterdir():
        text = path.read_text("utf-8").replace("@VERSION@", VERSION)
        newline = "\r\n" if path.suffix in (".bat", ".txt") else "\n"  # Notepad and cmd
        (made / path.name).write_text(text, "utf-8", newline=newline)
    (made / "documenti").mkdir()
    for name in DOCUMENTS:
        shutil.copyfile(ROOT / "docs" / name, made / "documenti" / name)
    shutil.copytree(ROOT / "deploy" / "systemd", made / "servizi" / "systemd")
    shutil.copytree(ROOT / "deploy" / "proxy", made / "servizi" / "proxy")
    shutil.copyfile(ROOT / "LICENSE", made / "LICENSE")
    for path in files_of(made):
        path.chmod(0o755 if path.name.endswith(_EXECUTABLE) else 0o644)


def files_of(made: Path) -> Iterator[Path]:
    """Every file, in one order."""
    return (path for path in sorted(made.rglob("*")) if path.is_file())


def _sums(made: Path) -> None:
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(made).as_posix()}\n"
        for path in files_of(made)
    ]
    (made / "SHA256SUMS").write_text("".join(lines), "utf-8", newline="\n")
