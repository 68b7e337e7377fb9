#!/usr/bin/env python3
"""Installa Raccordo da questa cartella, senza Internet. Serve Python 3.11 o successivo, e nient'altro.

    python3 installa.py [--in CARTELLA]      predefinita: la cartella «ambiente» qui accanto
Controlla ogni file con SHA256SUMS, prepara un ambiente Python e vi installa i pacchetti di «ruote», ciascuno con la sua
impronta (elenco.txt). Rieseguirlo aggiorna. I dati non stanno qui e non si toccano.
"""

import argparse
import hashlib
import os
import platform
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
MACHINES = {"Linux": ("x86_64",), "Windows": ("AMD64",)}


def main() -> int:
    parser = argparse.ArgumentParser(description="Installa Raccordo da questa cartella, senza Internet.")
    parser.add_argument("--in", dest="into", type=Path, default=HERE / "ambiente", metavar="CARTELLA")
    into = parser.parse_args().into.resolve()
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one is told
        return refuse(f"Serve Python 3.11 o successivo; questo è il {platform.python_version()}.")
    if platform.machine() not in MACHINES.get(platform.system(), ()):
        return refuse(
            f"Qui ci sono i pacchetti per Linux e Windows a 64 bit; questo è {platform.system()} {platform.machine()}."
        )
    if wrong := damaged():
        return refuse(f"File mancante o rovinato: {wrong}. Copiare di nuovo la cartella intera.")
    print(f"Installo in {into}…")
    venv.EnvBuilder(with_pip=False, symlinks=os.name == "posix", clear=False).create(into)
    program = into / ("Scripts" if os.name == "nt" else "bin")
    python = program / ("python.exe" if os.name == "nt" else "python")
    pip = next((HERE / "ruote").glob("pip-*.whl"))
    line = [str(python), f"{pip}/pip", "--isolated", "--quiet", "--disable-pip-version-check", "--no-input", "install"]
    line += ["--no-index", "--no-deps", "--require-hashes", "--no-compile", "--force-reinstall"]
    line += ["--find-links", str(HERE / "ruote"), "-r", str(HERE / "elenco.txt")]
    if subprocess.run(line, check=False).returncode:
        return refuse("Non ci sono i pacchetti per questo Python. Quelli previsti sono in LEGGIMI.txt.")
    for name in ("raccordo-node", "raccordo-registry"):
        if subprocess.run([str(program / name), "--version"], check=False).returncode:
            return refuse(f"{name} non parte.")
    print(f"Fatto. I comandi sono in {program}")
    return 0


def damaged() -> str:
    """The first file that is not as listed; a file that is not listed counts only where pip would look."""
    listed = {}
    for line in (HERE / "SHA256SUMS").read_text("utf-8").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    for name, digest in listed.items():
        path = HERE / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            return name
    strangers = [path.name for path in (HERE / "ruote").iterdir() if f"ruote/{path.name}" not in listed]
    return f"ruote/{strangers[0]}" if strangers else ""


def refuse(text: str) -> int:
    print(text, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
