"""Proof of the units: a Debian with systemd, booted in a container, where operare.md is done as it is written.

Needs systemd-nspawn (Debian: systemd-container) and mmdebstrap. On Linux, as root.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from deploy.bundle.proof import empty_debian

SECONDS: Final = 240.0
SECTION: Final = re.compile(r"^## Come servizio di sistema$.*?^```sh\n(?P<text>.*?)^```$", re.M | re.S)

BEFORE: Final = """
cd /root/chiavetta
ln -s /root/chiavetta/servizi /root/deploy
python3 installa.py --in /opt/raccordo >/dev/null
cd /root
"""
AFTER: Final = """
node() { runuser -u raccordo -- /opt/raccordo/bin/raccordo-node --dir /var/lib/raccordo "$@"; }
pid() { systemctl show -p MainPID --value "$1"; }
systemctl is-active raccordo-node
node doctor --offline > /root/doctor.txt || true
grep -E "processo|programma|porte|disco locale|cartella|permessi" /root/doctor.txt
grep -E "^(NoNewPrivs|Seccomp|CapEff|CapBnd)" /proc/$(pid raccordo-node)/status
inside() {
    nsenter --target $(pid raccordo-node) --mount -- setpriv --reuid=raccordo --regid=raccordo --clear-groups "$@"
}
for place in /etc /var/lib /opt/raccordo /root /home; do
    if inside touch $place/prova 2>/dev/null; then echo "si scrive in $place"; exit 1; fi
done
inside touch /var/lib/raccordo/prova && inside rm /var/lib/raccordo/prova
echo "== si scrive solo in /var/lib/raccordo"
first=$(pid raccordo-node)
kill -9 $first
for _ in $(seq 100); do
    systemctl is-active --quiet raccordo-node && [ "$(pid raccordo-node)" != "$first" ] && break; sleep 0.2
done
node --json status >/dev/null && echo "== ucciso di colpo, riparte da solo"
# The board, by its own unit and its own user, beside it.
install -m 644 deploy/systemd/raccordo-registry.service /etc/systemd/system/
systemctl daemon-reload
cat > /tmp/rete.toml <<FINE
[network]
name = "Prova"
id = "bacheca"
urls = ["http://127.0.0.1:8471"]
pilot = true
FINE
install -d -m 700 -o raccordo-bacheca -g raccordo-bacheca /var/lib/raccordo-bacheca
board() { runuser -u raccordo-bacheca -- /opt/raccordo/bin/raccordo-registry --dir /var/lib/raccordo-bacheca "$@"; }
board init --answers /tmp/rete.toml --key-dir /tmp/chiavi --port 8471 --plain-loopback >/dev/null
systemctl enable --now raccordo-registry
board --json members >/dev/null && echo "== la bacheca è in funzione"
if runuser -u raccordo -- cat /var/lib/raccordo-bacheca/chiavi.json 2>/dev/null; then exit 1; fi
echo "== un programma non legge le chiavi dell'altro"
# Real work through both hardened processes: joining, publishing, a copy on another disk.
sed -i 's/^\\[http\\]/[http]\\nallow_plain_http_loopback = true/' /var/lib/raccordo/raccordo.toml
install -d -m 700 -o raccordo -g raccordo /mnt/copie
install -d /etc/systemd/system/raccordo-node.service.d
printf '[Service]\\nReadWritePaths=/mnt/copie\\n' > /etc/systemd/system/raccordo-node.service.d/copie.conf
systemctl daemon-reload
systemctl restart raccordo-node
board invite comune-tavullia --out /tmp/invito.json >/dev/null && chmod 644 /tmp/invito.json
echo protocollo > /tmp/protocollo.txt
node operators add OP-01 --role RL-COORDSPORT >/dev/null
node join /tmp/invito.json --name "Comune di Tavullia" --type PT-COMUNE --territory Tavullia \\
    --protocol /tmp/protocollo.txt --protocol-version 1 >/dev/null
board pending --export /tmp/richieste.json >/dev/null
board approve /tmp/richieste.json --key /tmp/chiavi/*.chiave.json --out /tmp/firma.json --yes >/dev/null
board admit /tmp/firma.json >/dev/null
for _ in $(seq 50); do node sync >/dev/null; node status | grep -q "nella rete" && break; sleep 0.2; done
printf 'servizio,comune,telefono\\nSportello di prova,Tavullia,0721 000000\\n' > /tmp/servizi.csv
node import /tmp/servizi.csv >/dev/null
node publish --as OP-01 >/dev/null
for _ in $(seq 50); do board map | grep -q "Sportello di prova" && break; sleep 0.2; done
board map | grep -q "Sportello di prova" && echo "== entrato e pubblicato, attraverso le due unità"
echo 'una frase lunga abbastanza' > /tmp/frase && chown raccordo: /tmp/frase && chmod 600 /tmp/frase
node backup --to /mnt/copie --passphrase-file /tmp/frase >/dev/null
ls /mnt/copie/*.copia >/dev/null && echo "== copia su un altro disco, con ReadWritePaths"
for unit in raccordo-node raccordo-registry; do
    systemd-analyze security --no-pager $unit | tail -1
    systemctl stop $unit
    [ "$(systemctl show -p Result --value $unit)" = success ] && echo "== $unit si ferma in ordine"
done
journalctl -o cat --no-pager -u raccordo-node | grep '"event"' | tail -2
"""
UNIT: Final = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
TimeoutStartSec=200
StandardOutput=append:/detto.log
StandardError=append:/detto.log
ExecStart=/bin/sh -eu /root/prova.sh
ExecStartPost=/bin/sh -c 'echo fatto > /fatto'
ExecStopPost=/bin/systemctl --no-block poweroff
[Install]
WantedBy=multi-user.target
"""


def prove_services(bundle: Path, root: Path | None) -> int:
    """Says what happened there; 0 when all of it did."""
    nspawn = shutil.which("systemd-nspawn")
    if nspawn is None:
        sys.stderr.write("Manca systemd-nspawn: apt install systemd-container.\n")
        return 2
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="raccordo-servizi-", ignore_cleanup_errors=True) as place:
        room = Path(place) / "debian"
        if not empty_debian(room, root, "python3,systemd"):
            sys.stderr.write("Manca una Debian con systemd: apt install mmdebstrap, oppure --root CARTELLA.\n")
            return 2
        shutil.copytree(bundle, room / "root" / "chiavetta")
        written = SECTION.search((bundle / "documenti" / "operare.md").read_text("utf-8"))
        if written is None:
            raise LookupError("operare.md: «Come servizio di sistema» has no commands")
        (room / "root" / "prova.sh").write_text(BEFORE + written["text"] + AFTER, "utf-8")
        units = room / "etc" / "systemd" / "system"
        (units / "prova.service").write_text(UNIT, "utf-8")
        wants = units / "multi-user.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / "prova.service").symlink_to("/etc/systemd/system/prova.service")
        line = [nspawn, "--quiet", "--register=no", "--keep-unit", "--private-network", "-D", str(room), "--boot"]
        subprocess.run(line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False, timeout=SECONDS)
        said = room / "detto.log"
        print(said.read_text("utf-8", "replace") if said.exists() else "systemd non è partito", end="")
        done = (room / "fatto").exists()
    print(f"Prova dei servizi {'riuscita' if done else 'NON riuscita'} in {time.monotonic() - began:.0f} s.")
    return 0 if done else 1
