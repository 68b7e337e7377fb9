"""The questions of `init`, at most twelve, and the answers as a set-up file would hold them. Writes nothing.

A wrong answer is said and asked again at once: what is accepted here is what a set-up file may hold.
"""

import re
from pathlib import Path

import click

from node.runtime.cli_kit import ask_text, ask_yes
from registry.setup import Answers, NetworkAnswers
from schemas.wire import NODE_ID

PROMPTS_MAX = 12
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|localhost)(:(?P<port>\d+))?/?")


def ask(pilot: bool, key_dir: Path | None, port: int | None, plain_http: bool = False) -> tuple[Answers, Path, int]:
    """Asks what the options did not say: a real ceremony takes eleven questions, a pilot eight."""
    name = ask_text("Nome della rete", "Ambito Territoriale Sociale", _name_fault)
    id_ = ask_text("Nome tecnico della bacheca", "bacheca", _id_fault)
    url = ask_text("Indirizzo pubblico della bacheca", "", lambda text: _url_fault(text, plain_http))
    pilot = pilot or ask_yes("Rete pilota, con la radice di una persona sola?", default=False)
    guarantors: list[str] = []
    threshold = admission = 1
    if not pilot:
        text = ask_text(
            "Garanti, separati da punto e virgola", "Ente capofila; Distretto; Terzo settore", _guarantors_fault
        )
        guarantors = _parts(text)
        threshold = _number("Firme per cambiare la radice", min(2, len(guarantors)), 2, len(guarantors))
        admission = _number("Firme per ammettere un ente", 1, 1, len(guarantors))
    if key_dir is None:
        key_dir = Path(ask_text("Cartella per le chiavi dei garanti (la chiavetta)", "chiavi-garanti", _folder_fault))
    document = ask_text("File del protocollo d'intesa firmato (vuoto: più tardi)", "", _file_fault)
    if port is None:
        local = _LOOPBACK.fullmatch(url)
        usual = int(local["port"]) if local and local["port"] else 8080
        port = _number("Porta su cui ascoltare", usual, 0, 65535)
    if not ask_yes("Procedo?", default=True):
        raise click.Abort
    network = NetworkAnswers(
        name=name, id=id_, urls=[url], guarantors=guarantors, threshold=threshold, admission_threshold=admission,
        pilot=pilot, protocollo=document,
    )  # fmt: skip
    return Answers(network=network), key_dir, port


def _number(question: str, usual: int, least: int, most: int) -> int:
    fault = f"Serve un numero da {least} a {most}."
    return int(
        ask_text(question, str(usual), lambda text: None if text.isdigit() and least <= int(text) <= most else fault)
    )


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(";") if part.strip()]


def _name_fault(text: str) -> str | None:
    return None if 1 <= len(text) <= 200 else "Serve un nome, di 200 caratteri al massimo."


def _id_fault(text: str) -> str | None:
    return None if re.fullmatch(NODE_ID, text) else "Solo lettere minuscole, cifre e trattini, senza spazi."


def _url_fault(text: str, plain_http: bool) -> str | None:
    if re.fullmatch(r"https://[^/\s]+(/\S*)?", text) and len(text) <= 400:
        return None
    if _LOOPBACK.fullmatch(text):
        return None if plain_http else "Per prove su un computer solo, ripetere con: init --plain-loopback"
    return "Serve l'indirizzo intero, per esempio https://bacheca.comune.example"


def _guarantors_fault(text: str) -> str | None:
    names = _parts(text)
    if len(names) < 2:
        return "Servono almeno due garanti: nessuno cambia la radice da solo. Per provare: --pilot."
    return None if len(set(names)) == len(names) <= 32 else "Nomi diversi fra loro, 32 al massimo."


def _folder_fault(text: str) -> str | None:
    return f"«{text}» è un file, non una cartella." if Path(text).is_file() else None


def _file_fault(text: str) -> str | None:
    return None if not text or Path(text).is_file() else f"Il file «{text}» non si trova."
