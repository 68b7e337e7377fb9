"""The questions of `init`, at most twelve, and the answers as a set-up file would hold them. Writes nothing."""

from pathlib import Path

import click

from registry.setup import Answers, NetworkAnswers

PROMPTS_MAX = 12


def ask(pilot: bool, key_dir: Path | None, port: int | None) -> tuple[Answers, Path, int]:
    """Asks what the options did not say: a real ceremony takes eleven questions, a pilot eight."""
    name = _text("Nome della rete", "Ambito Territoriale Sociale")
    id_ = _text("Nome tecnico della bacheca", "bacheca")
    url = _text("Indirizzo pubblico della bacheca", "https://")
    pilot = pilot or click.confirm("Rete pilota, con la radice di una persona sola?", default=False, err=True)
    guarantors: list[str] = []
    threshold = admission = 1
    if not pilot:
        text = _text("Garanti, separati da punto e virgola", "Ente capofila; Distretto; Terzo settore")
        guarantors = [part.strip() for part in text.split(";") if part.strip()]
        threshold = int(click.prompt("Firme per cambiare la radice", default=2, type=int, err=True))
        admission = int(click.prompt("Firme per ammettere un ente", default=1, type=int, err=True))
    if key_dir is None:
        key_dir = Path(_text("Cartella per le chiavi dei garanti (la chiavetta)", "chiavi-garanti"))
    document = _text("File del protocollo d'intesa firmato (vuoto: più tardi)", "")
    if port is None:
        port = int(click.prompt("Porta su cui ascoltare", default=8080, type=int, err=True))
    if not click.confirm("Procedo?", default=True, err=True):
        raise click.Abort
    network = NetworkAnswers(
        name=name, id=id_, urls=[url], guarantors=guarantors, threshold=threshold, admission_threshold=admission,
        pilot=pilot, protocollo=document,
    )  # fmt: skip
    return Answers(network=network), key_dir, port


def _text(question: str, default: str) -> str:
    return str(click.prompt(question, default=default, err=True)).strip()
