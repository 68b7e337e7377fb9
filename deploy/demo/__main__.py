"""`./run demo`: a registry and the Ambito 1 bodies as separate processes on loopback, and the story told by the desks.

`--once` exits 0 only if each step was verified where it had to arrive. Otherwise the network stays up.
"""

import argparse
import contextlib
import json
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

from deploy.demo.cast import cast
from deploy.demo.network import Network
from deploy.demo.processes import DemoError, quiet_environment
from deploy.demo.story import Story
from deploy.demo.telling import Teller
from node.runtime import local
from protocol.errors import ProtocolError


def main() -> int:
    """Parses, tells, stays up or exits."""
    parser = argparse.ArgumentParser(prog="run demo", description="La rete dell'Ambito 1 su questo computer.")
    parser.add_argument("--once", action="store_true", help="racconta la storia, verifica ogni passo ed esce")
    parser.add_argument(
        "--all", action="store_true", help="tutti i diciannove enti del campione, non solo i sei della storia"
    )
    parser.add_argument("--state", type=Path, metavar="FILE", help="scrive dove si trova tutto, in JSON")
    parser.add_argument("--dir", type=Path, help="cartella dei dati (vuota); se manca, una temporanea")
    asked = parser.parse_args()
    quiet_environment()
    root = asked.dir.resolve() if asked.dir else Path(tempfile.mkdtemp(prefix="raccordo-demo-"))
    if any(root.iterdir()) if root.exists() else False:
        parser.error(f"{root} non è vuota")
    teller = Teller()
    network = Network(root, cast(asked.all), teller)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _play(network, teller, asked.once, asked.state)
    except (DemoError, ProtocolError) as error:
        sys.stderr.write(f"\nLa storia si è fermata: {error}\nDati e log in {root}\n")
        asked.once = False
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        network.stop()
        if asked.once and not asked.dir:
            shutil.rmtree(root, ignore_errors=True)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _play(network: Network, teller: Teller, once: bool, state: Path | None) -> int:
    _open(network, teller)
    story = Story(network, teller)
    story.searches()
    story.case_one()
    story.case_two()
    story.without_registry()
    story.killed_in_delivery()
    teller.chapter("Fine")
    teller.lines([f"{teller.verified} verifiche, ciascuna dove doveva arrivare, in {teller.elapsed():.0f} secondi."])
    if state is not None:
        state.write_text(json.dumps(_state(network), indent=2, ensure_ascii=False) + "\n", "utf-8")
    if once:
        return 0
    _stay(network, teller)
    return 0


def _open(network: Network, teller: Teller) -> None:
    teller.chapter("La cerimonia: tre garanti, due firme; le chiavi restano fuori dal server")
    network.found()
    teller.seen(f"Radice firmata da due garanti; {len(network.key_files())} chiavette in {network.key_dir.name}/.")
    teller.chapter("Gli enti entrano: otto parole lette al telefono, firma del garante su un altro PC")
    network.start_nodes()
    words = network.request_all()
    first = next(iter(words))
    teller.caption("lun 09:00", f"{network.name(first)} legge al telefono: «{words[first]}».")
    network.approve_all(words)
    teller.seen(f"{len(words)} enti si sono trovati nell'elenco firmato, ciascuno verificandolo da sé.")
    network.staff()
    teller.chapter("Ciascuno importa il proprio foglio, com'è, e pubblica")
    total = 0
    for actor in network.actors.values():
        done = network.import_and_publish(actor)
        total += _tell_import(teller, actor.name, done)
    network.wait_for_map(total)
    node = "comune-tavullia"
    maps = network.maps(node)
    digests = {network.digest(raw) for raw in maps.values()}
    if len(digests) != 1:
        raise DemoError(f"le mappe non coincidono: { {name: network.digest(raw)[:12] for name, raw in maps.items()} }")
    teller.seen(f"Stessa mappa, byte per byte, da {', '.join(maps)}: SHA-256 {digests.pop()[:16]}…")


def _tell_import(teller: Teller, name: str, done: dict[str, object]) -> int:
    preview = done["preview"]
    assert isinstance(preview, dict)
    counts = preview["counts"]
    imported = int(counts.get("imported", 0)) + int(counts.get("imported_with_warnings", 0))
    teller.lines([f"{name:<42} {imported:>2} servizi, {counts.get('imported_with_warnings', 0)} con avvisi"])
    return imported


def _state(network: Network) -> dict[str, object]:
    nodes = {}
    for node, program in network.nodes.items():
        where = local.announced(program.data_dir)
        port = network.ports.get(node)
        nodes[node] = {
            "dir": str(program.data_dir), "local": f"http://127.0.0.1:{where.port}", "token": where.token,
            "public": f"http://127.0.0.1:{port}" if port else None, "pid": where.pid,
        }  # fmt: skip
    return {"registry": network.registry_url, "registry_dir": str(network.registry.data_dir), "nodes": nodes}


def _stay(network: Network, teller: Teller) -> None:
    teller.lines(
        [
            "", "La rete resta in funzione. Da un altro terminale, per esempio:",
            f"./run node --dir {network.root / 'comune-tavullia'} search \"sfratto\"",
            f"./run node --dir {network.root / 'distretto'} inbox",
            f"./run registry --dir {network.registry.data_dir} members",
            f"mappa pubblica: {network.registry_url}/v1/map.ndjson",
            "", "Ctrl-C per fermare tutto.",
        ]
    )  # fmt: skip
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
