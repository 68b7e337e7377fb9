"""`./run bundle`: a folder that installs without Internet. `--prova` uses it in an empty Debian without network.

The folder is the same each time it is built from the same sources: wheels are pinned by the lock, our own is built with
fixed times, and SHA256SUMS names every file.
"""

import argparse
import sys
from pathlib import Path

from deploy.bundle.build import ROOT, build
from deploy.bundle.proof import prove
from deploy.bundle.services import prove_services


def main() -> int:
    """Builds, says what it built, proves it where asked."""
    parser = argparse.ArgumentParser(prog="run bundle", description="Una cartella che si installa senza Internet.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="dove metterla (predefinito: dist)")
    parser.add_argument(
        "--python", action="append", metavar="3.NN", help="solo per questa versione di Python (ripetibile)"
    )
    parser.add_argument(
        "--prova", action="store_true", help="la installa e la usa in una Debian vuota, senza rete (root)"
    )
    parser.add_argument("--servizi", action="store_true", help="prova le unità di systemd in un contenitore (root)")
    parser.add_argument("--root", type=Path, metavar="CARTELLA", help="per le prove: una Debian già pronta da copiare")
    asked = parser.parse_args()
    made = build(asked.out, asked.python)
    size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    print(f"{made}: {len(list((made / 'ruote').iterdir()))} pacchetti, {size / 1e6:.1f} MB")
    ended = [
        proof(made, asked.root) for wanted, proof in ((asked.prova, prove), (asked.servizi, prove_services)) if wanted
    ]
    return max(ended, default=0)


if __name__ == "__main__":
    sys.exit(main())
