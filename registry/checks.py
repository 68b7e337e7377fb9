"""`doctor` of a registry: this machine, the server's keys, no guarantor's key left here, what is about to end."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from time import time
from typing import Final

from node.runtime import doctor_network as network
from node.runtime import probe
from node.runtime.backup_state import load
from node.runtime.cli_backup import backup_check
from node.runtime.config import RegistryConfig, load_config
from node.runtime.doctor import (
    Check,
    Finding,
    Result,
    data_directory,
    disk_space,
    file_modes,
    local_disk,
    owner,
    run_checks,
)
from protocol.errors import ProtocolError
from registry.asking import Expiry, Nothing, Status, What
from registry.ceremony import KEY_FILE_MAX, is_key_file
from registry.cli_kit import CONFIG_NAME, Session
from registry.opening import KEYS_NAME, STORE_NAME, open_keys

WHAT_ENDS: Final[Mapping[What, str]] = {
    "root": "la radice della rete", "members": "l'elenco degli aderenti", "signing-key": "la chiave di firma",
    "sealing-key": "la chiave di posta", "publication": "il catalogo pubblicato",
}  # fmt: skip

REMEDIES: Final[Mapping[What, str]] = {
    "root": "I garanti firmano la radice nuova: root draft.",
    "members": "Il programma lo rifirma ogni giorno: tenerlo in funzione, e guardare i suoi messaggi.",
    "signing-key": "L'ente cambia la sua chiave di firma: avvisarlo.",
    "sealing-key": "L'ente cambia la sua chiave di posta: avvisarlo.",
    "publication": "L'ente pubblica di nuovo.",
}


def check(session: Session, offline: bool = False) -> tuple[list[Result], Status | None]:
    """Every finding, and the board's state when it can be had; `offline` calls nobody."""
    config = load_config(session.data_dir / CONFIG_NAME, RegistryConfig)
    data = Path(config.data_dir)
    status, problem = _status(session)
    checks = [
        disk_space(data),
        local_disk(data),
        data_directory(data),
        file_modes([data / KEYS_NAME, data / STORE_NAME, data / CONFIG_NAME]),
        owner(data / STORE_NAME),
        Check("chiavi", lambda: _keys(config)),
        Check("garanti", lambda: _no_guarantor_keys(data, status)),
        backup_check(lambda: load(data), lambda: config.backup, lambda: int(time())),
        Check("rete", lambda: _network(status, problem)),
        network.programs(data),
        network.ports(data, config.http, host="127.0.0.1"),
        *(_called(config, status) if status is not None and not offline else ()),
        *(_expiry(one) for one in (status.warnings if status else ())),
    ]
    return run_checks(checks), status


def _called(config: RegistryConfig, status: Status) -> list[Check]:
    """Where members look for this board, and the mailboxes they use: as seen from here."""
    now, named = int(time()), [("indirizzo pubblico", url, True) for url in status.urls]
    named += [(f"casella {relay}", url, False) for relay, url in status.relays.items()]
    seen = probe.look_all([url for _, url, _ in named], config.http)
    return [network.server(name, url, seen[url], now, missed="warn", own=own) for name, url, own in named]


def _status(session: Session) -> tuple[Status | None, ProtocolError | None]:
    try:
        return session.ask("status", Nothing(), Status), None
    except ProtocolError as error:
        return None, error


def _keys(config: RegistryConfig) -> Finding:
    """Online and log key; losing them needs a new root, not new members."""
    held = [entry for entry in open_keys(config).entries() if entry.use == "sign"]
    if len(held) >= 2:
        return Finding("ok", "Le chiavi del server ci sono.")
    return Finding(
        "fail", "Mancano le chiavi del server.", "Ripristinarle dalla copia, o far firmare una radice nuova."
    )


def _no_guarantor_keys(data: Path, status: Status | None) -> Finding:
    folders = [data, *([Path(status.key_dir)] if status is not None and status.key_dir else [])]
    found = sorted(path.name for folder in folders for path in _key_files(folder))
    if not found:
        return Finding("ok", "Nessuna chiave di garante su questo computer.")
    advice = "Portarle via su chiavetta e cancellarle da qui."
    if status is not None and status.pilot:
        return Finding("warn", f"Chiave della rete pilota su questo computer: {', '.join(found)}", advice)
    return Finding("fail", f"Chiavi di garanti su questo computer: {', '.join(found)}", advice)


def _key_files(folder: Path) -> Iterator[Path]:
    for path in folder.glob("*.json") if folder.is_dir() else ():
        if path.stat().st_size <= KEY_FILE_MAX and is_key_file(path.read_bytes()):
            yield path


def _network(status: Status | None, problem: ProtocolError | None) -> Finding:
    if problem is not None or status is None:
        raise problem or ProtocolError("internal")
    if status.untold:
        raise ProtocolError("registry-restored")
    if status.pilot:
        return Finding("warn", "RETE PILOTA", "Fare la cerimonia vera: root key, root draft, root sign, root install.")
    return Finding("ok", f"Radice {status.root}; aderenti: {status.members}; richieste in attesa: {status.pending}.")


def _expiry(one: Expiry) -> Check:
    whose = f" di {one.node}" if one.node else ""
    days = "un giorno" if one.days == 1 else f"{one.days} giorni"
    left = f"scade fra {days}" if one.level else "scaduto"
    finding = Finding("warn" if one.level > 7 else "fail", f"{WHAT_ENDS[one.what]}{whose}: {left}", REMEDIES[one.what])
    return Check("scadenze", lambda: finding)
