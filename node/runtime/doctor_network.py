"""More questions of doctor, about programs, ports and the way out: each finding says what to do. They change nothing.

Both programs list those they need; what is asked of a network's documents is handed in as numbers and addresses.
"""

import errno
import os
import platform
import socket
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from node.runtime import local, probe
from node.runtime.config import HttpConfig
from node.runtime.doctor import Check, Finding, Grade
from node.runtime.ports import KeyEntry
from node.runtime.probe import Seen
from node.runtime.version import VERSION
from node.runtime.wording import say
from protocol.errors import ProtocolError
from protocol.limits import DAY, HOUR, SEALING_ROTATION, SIGNING_ROTATION

CERTIFICATE_WARNS: Final = 14 * DAY
SQLITE_NEEDED: Final = (3, 37, 0)  # STRICT tables
QUEUE_WARNS: Final = DAY


# -- this computer


def programs(data_dir: Path) -> Check:
    """Which program, which Python; and whether the running process is the one that is installed."""

    def ask() -> Finding:
        text = say("Raccordo {version}, Python {python}, SQLite {sqlite}.").format(
            version=VERSION, python=platform.python_version(), sqlite=sqlite3.sqlite_version
        )
        if sqlite3.sqlite_version_info < SQLITE_NEEDED:
            return Finding("fail", text, say("Serve SQLite 3.37 o successivo: usare un Python più recente."))
        running = _running_version(data_dir)
        if running is None or running == VERSION:
            return Finding("ok", text)
        text += " " + say("Quello in funzione è ancora il {version}.").format(version=running or "0.1")
        return Finding("warn", text, say("Fermarlo e riavviarlo."))

    return Check("programma", ask)


def _running_version(data_dir: Path) -> str | None:
    """None when nothing runs; "" of a version that did not say."""
    try:
        return local.announced(data_dir).version
    except (ProtocolError, OSError):
        return None


def ports(data_dir: Path, http: HttpConfig, *, host: str | None = None) -> Check:
    """Running: it answers where it listens. Stopped: nobody else has its ports. `host`: where none is configured."""

    def ask() -> Finding:
        try:
            running = local.announced(data_dir).port
        except (ProtocolError, OSError):
            return _free([("127.0.0.1", http.local_port), (http.listen_host or host, http.listen_port)])
        looked = [f"http://127.0.0.1:{running}"]
        if http.listen_port and (listening := http.listen_host or host):
            looked.append(f"http://{_reachable(listening)}:{http.listen_port}")
        here = HttpConfig(allow_plain_http_loopback=True)
        deaf = [url for url in looked if _on_this_computer(url) and probe.look(url, here).why is not None]
        if deaf:
            text = say("Il programma non risponde a {where}.").format(where=", ".join(deaf))
            return Finding("fail", text, say("Riavviarlo, e guardare i suoi messaggi."))
        return Finding("ok", say("Il programma risponde alle sue porte."))

    return Check("porte", ask)


def _reachable(host: str) -> str:
    """Where to call a listener from here: one on every address is on loopback too."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound


def _on_this_computer(url: str) -> bool:
    return "//127." in url or "//[::1]" in url or "//localhost" in url


def _free(wanted: Iterable[tuple[str | None, int]]) -> Finding:
    for host, port in wanted:
        if not port or host is None:
            continue
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            if os.name == "posix":  # as the program's own listener; on Windows it would mean taking the port away
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((host, port))
            except OSError as error:
                return _not_free(f"{host}:{port}", error)
    return Finding("ok", say("Le porte da usare sono libere."))


def _not_free(where: str, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        text = say("{where} è già di un altro programma.").format(where=where)
        return Finding(
            "fail", text, say("Chiudere l'altro programma, o scegliere un'altra porta nella configurazione.")
        )
    if error.errno == errno.EACCES:
        text = say("{where}: il sistema non permette questa porta.").format(where=where)
        return Finding("fail", text, say("Usare una porta sopra 1023, e davanti un proxy inverso."))
    text = say("{where} non è un indirizzo di questo computer.").format(where=where)
    return Finding("fail", text, say("Correggere http.listen_host nella configurazione."))


# -- the way out


def way_out(http: HttpConfig) -> Check:
    """The proxy, if one is configured."""

    def ask() -> Finding:
        if http.proxy is None:
            return Finding("ok", say("Si esce senza proxy."))
        if probe.reach_proxy(http.proxy):
            return Finding("ok", say("Il proxy configurato risponde."))
        advice = say("Chiedere indirizzo e porta a chi gestisce la rete dell'ente, poi correggere http.proxy.")
        return Finding("fail", say("Il proxy configurato non risponde."), advice)

    return Check("proxy", ask)


def authority(http: HttpConfig, now: Callable[[], int]) -> Check:
    """The body's own certificates, if configured: readable, and not about to end."""

    def ask() -> Finding:
        if http.ca_file is None:
            return Finding("ok", say("Valgono le autorità di certificazione del sistema."))
        advice = say("Chiedere il file aggiornato, in formato PEM, a chi gestisce la rete dell'ente.")
        ends = _ends(Path(http.ca_file))
        if not ends:
            return Finding("fail", say("Il file delle autorità (http.ca_file) non si legge."), advice)
        left = max(ends) - now()
        if left <= 0:
            return Finding("fail", say("I certificati del file delle autorità sono scaduti."), advice)
        text = say("Valgono solo le autorità del file configurato ({count}).").format(count=len(ends))
        return Finding("ok" if left > CERTIFICATE_WARNS else "warn", text, "" if left > CERTIFICATE_WARNS else advice)

    return Check("autorità", ask)


def _ends(path: Path) -> list[int]:
    from cryptography import x509

    try:
        held = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return []
    return [int(one.not_valid_after_utc.timestamp()) for one in held]


def server(name: str, url: str, seen: Seen, now: int, *, missed: Grade, own: bool = False) -> Check:
    """What was found at one address. `missed`: how grave it is that it cannot be had; `own`: it is this computer's."""

    def ask() -> Finding:
        if seen.why is not None:
            return Finding(missed, say("{url}: {why}").format(url=url, why=_why(seen)), _remedy(seen, own))
        if seen.until is None:
            return Finding("ok", say("{url}: risponde.").format(url=url))
        days = (seen.until - now) // DAY
        text = say("{url}: risponde; il suo certificato vale ancora {days} giorni.").format(url=url, days=days)
        if seen.until - now > CERTIFICATE_WARNS:
            return Finding("ok", text)
        return Finding("warn", text, _renewal(own))

    return Check(name, ask)


def _why(seen: Seen) -> str:
    match seen.why:
        case "address":
            return say("è un indirizzo interno, o non è https: non si chiama.")
        case "name":
            return say("il nome non si trova.")
        case "refused":
            return say("là non c'è nessun programma in ascolto.")
        case "certificate":
            return say("il suo certificato non è di un'autorità conosciuta, o è di un altro nome.")
        case "certificate-expired":
            return say("il suo certificato è scaduto.")
        case "proxy":
            return say("il proxy non lascia passare.")
        case "proxy-password":
            return say("il proxy chiede una password.")
        case "stranger":
            return say("risponde qualcosa che non è Raccordo.")
        case _:
            return say("non risponde.")


def _remedy(seen: Seen, own: bool) -> str:
    match seen.why:
        case "proxy" | "proxy-password":
            return say(
                "Chiedere a chi gestisce la rete dell'ente: l'indirizzo dev'essere permesso, la password in http.proxy."
            )
        case "certificate" if not own:
            return say(
                "Se l'ente ispeziona il traffico indicare la sua autorità in http.ca_file; se no avvisare la capofila."
            )
        case "certificate" | "certificate-expired":
            return _renewal(own)
        case "address":
            return say("Correggere l'indirizzo: è nell'elenco della rete, o nella configurazione.")
        case _ if own:
            return say("Da dentro può non vedersi: provare da fuori, poi guardare il proxy inverso e il router.")
        case _:
            return say("Controllare la rete. Intanto si lavora: la posta aspetta e parte da sola.")


def _renewal(own: bool) -> str:
    return say("Rinnovarlo adesso nel proxy inverso.") if own else say("Avvisare chi gestisce quel computer.")


def offset(seen: Mapping[str, Seen], now: int) -> int | None:
    """Seconds our clock is ahead of the median of who answered; None when nobody did."""
    said = [now - one.time for one in seen.values() if one.time is not None]
    return round(median(said)) if said else None


# -- what ages


def list_age(exp: int, degraded_days: int, now: int) -> Check:
    """The signed list of members: how long it still holds."""

    def ask() -> Finding:
        advice = say("Controllare che la bacheca risponda; se no, telefonare alla capofila.")
        if now <= exp:
            text = say("L'elenco degli aderenti vale ancora {days} giorni.").format(days=(exp - now) // DAY)
            return Finding("ok", text)
        days = (now - exp) // DAY
        text = say("L'elenco degli aderenti è scaduto da {days} giorni.").format(days=days)
        return Finding("warn" if now - exp <= degraded_days * DAY else "fail", text, advice)

    return Check("elenco", ask)


def key_ages(entries: Callable[[], Sequence[KeyEntry]], now: Callable[[], int]) -> Check:
    """Keys in use past their time (PROTOCOL §4): still good, and due to be changed."""

    def ask() -> Finding:
        limits = {"sign": SIGNING_ROTATION, "seal": SEALING_ROTATION}
        at, held = now(), [entry for entry in entries() if entry.state == "current"]
        due = [entry for entry in held if at - entry.created > limits[entry.use]]
        oldest = max(((at - entry.created) // DAY for entry in held), default=0)
        text = say("La chiave più vecchia in uso ha {days} giorni.").format(days=oldest)
        if not due:
            return Finding("ok", text)
        advice = say("Cambiarla: quella di posta ogni 90 giorni, quella di firma ogni anno. Vedi «keys».")
        return Finding("warn", text, advice)

    return Check("età delle chiavi", ask)


def queue_age(waiting: int, oldest: int | None, now: int) -> Check:
    """Post that does not leave."""

    def ask() -> Finding:
        if not waiting or oldest is None:
            return Finding("ok", say("Nulla aspetta di partire."))
        text = say("Aspettano di partire: {count}, il più vecchio da {hours} ore.").format(
            count=waiting, hours=max(0, now - oldest) // HOUR
        )
        if now - oldest <= QUEUE_WARNS:
            return Finding("ok", text)
        return Finding("warn", text, say("Guardare con «sent» a chi, e telefonare a quell'ufficio."))

    return Check("coda", ask)
