"""Writes small stores with the program as it is: `python -m tests.stores.make VERSION`. Kept for every later version.

Made with seeded keys (tests only), so that a later version can open, continue and compare them. Never made again for a
version that was released.
"""

import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from node.body import MIGRATIONS
from tests.exchange.desks import Ambito, offer
from tests.registry import world as registry

HERE = Path(__file__).parent
NAMES = ("tavullia", "distretto")


def main() -> None:
    """One folder: two desks with referrals in several states, a registry with members and catalogues."""
    folder = HERE / sys.argv[1].replace(".", "_")
    folder.mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        desks(Path(scratch), folder)
    board(folder)


def desks(scratch: Path, folder: Path) -> None:
    ambito = Ambito(scratch, *NAMES, migrations=MIGRATIONS)
    a, b = (ambito[name] for name in NAMES)
    closed = a.refer("distretto", description="prima descrizione di prova").leg
    ambito.carry()
    for ev, fields in (("open", {}), ("accept", {"ref": "1/2026"}), ("close", {"outcome": "OU-EROGATO"})):
        b.act(closed, ev, **fields)
    asked = a.refer("distretto", description="seconda descrizione di prova").leg
    ambito.carry()
    b.act(asked, "ask", text="domanda di prova")
    ambito.carry()
    a.act(asked, "amend", as_="OP", offer=offer(description="corretta"))  # left in the outbox
    for name in NAMES:
        save(ambito[name].store, folder / f"{name}.db")


def board(folder: Path) -> None:
    made = registry.World(seed=7)
    tavullia = made.member("comune-tavullia")
    made.publish(tavullia, [registry.line("Sportello sociale"), registry.line("Pasti a domicilio")])
    made.publish(tavullia, [registry.line("Linea interna", salt=True)], vis="network")
    made.member("ts-dispensa", ptype="PT-APS")
    save(made.store, folder / "bacheca.db")
    made.close()


def save(store, path: Path) -> None:
    """The whole content in one file, compact."""
    store.checkpoint()
    shutil.copyfile(store.path, path)
    store.close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = DELETE")
    db.execute("VACUUM")
    db.close()


if __name__ == "__main__":
    main()
