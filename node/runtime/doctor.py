"""Questions about this machine and their answers, with advice. It changes nothing and knows no rule of the network.

A check is a name and a function; each program lists its own (`checks = [disk_space(…), …]`) and shows the findings.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from node.runtime.lock import lock_owner
from node.runtime.platform import network_filesystem, readable_by_others
from node.runtime.ports import KeyEntry
from node.runtime.premises import assert_private
from node.runtime.store import MIB, Store
from node.runtime.wording import say, what_happened, what_to_do
from protocol.errors import ProtocolError

Grade = Literal["ok", "warn", "fail"]

CLOCK_WARNS: Final = 120  # seconds, PROTOCOL §1
CLOCK_FAILS: Final = 300
DISK_WARNS: Final = 1024 * MIB
DISK_FAILS: Final = 128 * MIB  # the WAL may take 64 MiB, a checkpoint as much again


class Finding(NamedTuple):
    """`advice` is empty when all is well."""

    grade: Grade
    text: str
    advice: str = ""


class Check(NamedTuple):
    """A question; its function may raise ProtocolError, which is a failure with the advice of its code."""

    name: str
    ask: Callable[[], Finding]


class Result(NamedTuple):
    """A finding under the name of its check."""

    name: str
    grade: Grade
    text: str
    advice: str


def run_checks(checks: Iterable[Check]) -> list[Result]:
    """Ask everything; one failure hides no other."""
    return [Result(check.name, *_ask(check)) for check in checks]


def worst(results: Sequence[Result]) -> Grade:
    """The gravest grade among results."""
    grades = {result.grade for result in results}
    return "fail" if "fail" in grades else "warn" if "warn" in grades else "ok"


def clock_offset(offset: Callable[[], int | None]) -> Check:
    """`offset`: seconds our clock is ahead of the median of registry and peers; None when nobody answered."""

    def ask() -> Finding:
        seconds = offset()
        if seconds is None:
            return Finding("warn", say("Nessuno ha risposto: l'ora non è confrontabile."), say("Controllare la rete."))
        text = say("Scarto dell'orologio: {seconds} s").format(seconds=seconds)
        if abs(seconds) <= CLOCK_WARNS:
            return Finding("ok", text)
        grade: Grade = "fail" if abs(seconds) > CLOCK_FAILS else "warn"
        return Finding(grade, text, what_to_do("clock-wrong"))

    return Check("orologio", ask)


def disk_space(path: Path, free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free) -> Check:
    """Room left where the data lies."""

    def ask() -> Finding:
        left = free(path)
        text = say("Spazio libero: {mib} MiB").format(mib=left // MIB)
        if left >= DISK_WARNS:
            return Finding("ok", text)
        return Finding("fail" if left < DISK_FAILS else "warn", text, what_to_do("disk-full"))

    return Check("disco", ask)


def data_directory(path: Path) -> Check:
    """Nobody else enters where the data lies."""

    def ask() -> Finding:
        assert_private(path)
        return Finding("ok", say("La cartella dei dati è chiusa agli altri utenti."))

    return Check("cartella", ask)


def file_modes(paths: Sequence[Path]) -> Check:
    """Files with secrets or cases are their owner's only."""

    def ask() -> Finding:
        exposed = [path.name for path in paths if path.exists() and readable_by_others(path)]
        if not exposed:
            return Finding("ok", say("I file riservati sono leggibili solo da chi esegue il programma."))
        return Finding("fail", f"{what_happened('keys-exposed')} {', '.join(exposed)}", what_to_do("keys-exposed"))

    return Check("permessi", ask)


def store_settings(store: Store) -> Check:
    """What makes a commit durable is on."""

    def ask() -> Finding:
        store.assert_settings()
        return Finding("ok", say("L'archivio conferma solo ciò che è sul disco."))

    return Check("archivio", ask)


def store_content(store: Store) -> Check:
    """Every page of the store is whole."""

    def ask() -> Finding:
        store.quick_check()
        return Finding("ok", say("L'archivio è integro."))

    return Check("integrità", ask)


def keys_present(entries: Callable[[], Sequence[KeyEntry]]) -> Check:
    """A current key to sign and one to open post with."""

    def ask() -> Finding:
        current = {entry.use for entry in entries() if entry.state == "current"}
        if current == {"sign", "seal"}:
            text = say(
                "Le chiavi ci sono. Chi copia questo computer copia anche le chiavi: conservare la copia al sicuro."
            )
            return Finding("ok", text)
        return Finding("fail", what_happened("keys-missing"), what_to_do("keys-missing"))

    return Check("chiavi", ask)


def owner(db: Path) -> Check:
    """Which process holds the store."""

    def ask() -> Finding:
        pid = lock_owner(db.with_name(db.name + ".lock"))
        if pid is None:
            return Finding("warn", what_happened("not-running"), what_to_do("not-running"))
        return Finding("ok", say("In funzione (processo {pid}).").format(pid=pid or "?"))

    return Check("processo", ask)


def local_disk(path: Path) -> Check:
    """SQLite's locks and WAL are not safe on a network filesystem."""

    def ask() -> Finding:
        kind = network_filesystem(path)
        if kind is None:
            return Finding("ok", say("I dati sono su un disco locale."))
        text = say("I dati sono su un disco di rete ({kind}).").format(kind=kind)
        return Finding("fail", text, what_to_do("store-on-network"))

    return Check("disco locale", ask)


def _ask(check: Check) -> Finding:
    try:
        return check.ask()
    except ProtocolError as error:
        return Finding("fail", what_happened(error.code), what_to_do(error.code))
