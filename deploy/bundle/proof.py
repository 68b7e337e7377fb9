"""Proof of the bundle: an empty Debian with Python and nothing else, no network, no privileges. On Linux, as root.

What is done there is `CARRIED`, a shell script; this side only makes the room and shuts the door.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

SUITE: Final = "bookworm"
USER: Final = 4711  # nobody's number
HOME: Final = "home/prova"
GUIDES: Final = Path(__file__).with_name("guides.py")
INSIDE: Final = Path(__file__).with_name("inside.py")

# As a person would: no argument is known to the project, everything is from the folder.
CARRIED: Final = """
cd ~/chiavetta
echo "== $(id -u):$(id -g), $(python3 --version), pip: $(python3 -m pip --version 2>/dev/null || echo nessuno)"
python3 - <<'FINE'
import socket
try:
    socket.create_connection(("192.0.2.1", 443), 3)
except OSError as error:
    print("== senza rete:", error)
else:
    raise SystemExit("c'è rete: la prova non vale")
FINE
sha256sum --quiet -c SHA256SUMS && echo "== ogni file è come elencato"
./avvia-nodo.sh --version
./avvia-registro.sh --version
printf 'ente-nuovo\\n' | ./avvia-nodo.sh > ~/primo-avvio.log 2>&1 &
started=$!
for _ in $(seq 200); do ./avvia-nodo.sh --json status > ~/stato.json 2>/dev/null && break; sleep 0.2; done
grep -q ente-nuovo ~/stato.json && echo "== avvia-nodo.sh senza parole: preparato e in funzione"
kill -TERM $started; wait $started || true
PATH="$HOME/chiavetta/ambiente/bin:$PATH"
python3 ~/guides.py documenti/registro-in-unora.md documenti/nodo-in-dieci-minuti.md ~/prova \\
    INDIRIZZO=http://127.0.0.1:8471 PROVA=--plain-loopback
raccordo-node --json sandbox --once
python3 installa.py --in ~/opt/raccordo >/dev/null && ~/opt/raccordo/bin/raccordo-node --version
printf x >> documenti/operare.md
if python3 installa.py >/dev/null 2>~/rifiuto.log; then echo "un file cambiato è stato accettato"; exit 1; fi
echo "== $(cat ~/rifiuto.log)"
"""


def prove(bundle: Path, root: Path | None) -> int:
    """Says what happened there; 0 when all of it did."""
    if sys.platform == "win32" or os.geteuid() != 0 or shutil.which("unshare") is None:
        sys.stderr.write("Serve Linux, da amministratore: si isola la prova con unshare e chroot.\n")
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="raccordo-prova-", ignore_cleanup_errors=True) as place:
        room = Path(place) / "debian"
        if not empty_debian(room, root):
            sys.stderr.write("Manca una Debian vuota: apt install mmdebstrap, oppure --root CARTELLA.\n")
            return 2
        home = room / HOME
        shutil.copytree(bundle, home / "chiavetta", symlinks=True)
        shutil.copyfile(GUIDES, home / "guides.py")
        for path in [home, *home.rglob("*")]:
            os.chown(path, USER, USER)
        inside = [sys.executable, str(INSIDE), str(room), str(USER), "/" + HOME, CARRIED]
        door = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", *inside]
        done = subprocess.run(door, stdin=subprocess.DEVNULL, check=False)
    print(f"Prova {'riuscita' if done.returncode == 0 else 'NON riuscita'} in {time.monotonic() - began:.0f} s.")
    return done.returncode


def empty_debian(room: Path, given: Path | None, packages: str = "python3") -> bool:
    """A Debian in `room`, a copy of `given` or made now; False where neither can be."""
    if given is not None:
        return subprocess.run(["cp", "-a", str(given), str(room)], check=False).returncode == 0
    if shutil.which("mmdebstrap") is None:
        return False
    line = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", SUITE, str(room)]
    return subprocess.run(line, check=False).returncode == 0
