"""Files on the command line: attached to a step, listed, saved; a picture that is too large is shown reduced first.

Nothing here opens a file for the person. Which files travel is protocol.attachments, how is node.exchange.parts.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from msgspec import Struct

from node import requests as ask
from node.answers import FileLine, SavedFile
from node.cli_kit import InFile, ItalianCommand, Session, Whole, as_option, pass_session
from node.runtime import terminal
from node.runtime.cli_kit import Folder, ask_yes
from protocol.errors import ProtocolError

F = TypeVar("F", bound=Callable[..., Any])
ATTACHING: Final = frozenset({"ask", "answer", "accept", "start", "close", "amend", "noted"})
"""Steps a person adds papers to; `refer` too."""
WRITERS: Final[Mapping[str, str]] = {"S": "chi manda", "R": "chi riceve"}


class _Written(Struct):
    path: str
    type: str
    size: int


def attach_options(function: F) -> F:
    """--attach (several), --preview, --reduce."""
    function = click.option(
        "--reduce", is_flag=True, help="Manda le foto e le scansioni ridotte, senza luogo e data dello scatto."
    )(function)
    function = click.option(
        "--preview", type=Folder(), help="Scrive qui le foto come partirebbero ridotte, e non manda nulla."
    )(function)
    return click.option(
        "--attach", multiple=True, type=InFile(), help="Allega un PDF o una foto, fino a 5 MiB (ripetibile)."
    )(function)


def given_files(session: Session, attach: tuple[Path, ...], preview: Path | None, reduce: bool) -> list[ask.NewFile]:
    """The files of a step, pictures reduced when asked for or agreed to. With `preview` writes them and ends.

    Raises attachment-type, attachment-too-large, attachment-unreadable.
    """
    files = [_given(session, path, preview is not None or reduce) for path in attach]
    if preview is None:
        return files
    preview.mkdir(parents=True, exist_ok=True)
    for file in files:
        path = preview / file.name
        _write(path, file.content)
        session.tell(f"{path}: {_size(len(file.content))}")
    session.tell("Nulla è partito. Guardare i file; se si leggono bene, ripetere con --reduce al posto di --preview.")
    raise click.exceptions.Exit(terminal.DONE)


def _given(session: Session, path: Path, reduce: bool) -> ask.NewFile:
    from protocol.attachments import IMAGES, check_size, plain_name, type_of
    from protocol.limits import BLOB_MAX

    with path.open("rb") as file:
        kind = type_of(file.read(16))
        size = path.stat().st_size
        if size > BLOB_MAX and kind not in IMAGES:
            check_size(size)
        file.seek(0)
        raw = file.read()
    name = plain_name(path.name)
    if kind in IMAGES and (reduce or len(raw) > BLOB_MAX):
        from node.pictures import reduced

        smaller, name = reduced(raw), plain_name(f"{Path(name).stem}.jpg")
        if not reduce:
            _agreed(session, path, len(raw), smaller)
        raw = smaller
    check_size(len(raw))
    return ask.NewFile(name=name, content=raw)


def _agreed(session: Session, path: Path, before: int, smaller: bytes) -> None:
    """Shows what would leave in place of a picture that is too large. Raises attachment-too-large without a person."""
    from protocol.attachments import check_size

    if session.json or not sys.stdin.isatty():
        check_size(before)
    shown = path.with_name(f"{path.stem}-ridotta.jpg")
    _write(shown, smaller)
    session.tell(f"{path.name} è di {_size(before)}, troppo. Ridotta è di {_size(len(smaller))}: guardarla in {shown}")
    if not ask_yes("Mandare quella ridotta?", default=False):
        raise click.Abort


def _size(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MiB".replace(".", ",") if size >= 1024 * 1024 else f"{-(-size // 1024)} KiB"


def _write(path: Path, content: bytes) -> None:
    """A new file that only its owner reads. Raises FileExistsError."""
    import os

    from node.runtime.platform import create_private

    with os.fdopen(create_private(path), "wb") as file:
        file.write(content)


def file_lines(files: list[FileLine]) -> list[str]:
    """How the files of a case are shown."""
    return [
        f"{one.number}. {one.name} ({_size(one.size)}) · {WRITERS.get(one.writer, '')}, passo {one.n} · {one.words}"
        for one in files
    ]


@click.command("attachments", cls=ItalianCommand, short_help="Gli allegati di un invio, e quanto ne è arrivato.")
@click.argument("leg", metavar="INVIO")
@as_option(required=True)
@pass_session
def attachments(session: Session, leg: str, as_: str) -> None:
    """Gli allegati di un invio con il loro numero, mandati e ricevuti. Resta scritto nel registro degli accessi."""
    raw = session.call("attachments", ask.Attachments(leg=leg, as_=as_))
    session.show(raw, list[FileLine], lambda lines: "\n".join(file_lines(lines)) or "Nessun allegato.")


@click.command("save-attachment", cls=ItalianCommand, short_help="Salva un allegato arrivato in un file.")
@click.argument("leg", metavar="INVIO")
@click.argument("number", metavar="NUMERO", type=Whole())
@as_option(required=True)
@click.option("--to", metavar="PERCORSO", required=True, type=Path, help="Il file da scrivere, o una cartella.")
@pass_session
def save_attachment(session: Session, leg: str, number: int, as_: str, to: Path) -> None:
    """Salva un allegato intero e controllato. Non lo apre e non sovrascrive nulla; resta scritto chi l'ha salvato."""
    import msgspec

    if number < 1:
        raise ProtocolError("attachment-unknown", got=str(number))
    raw = session.call("attachment-save", ask.SaveAttachment(leg=leg, number=number, as_=as_))
    saved = msgspec.json.decode(raw, type=SavedFile)
    path = to / saved.name if to.is_dir() else to
    _write(path, saved.content)
    written = msgspec.json.encode(_Written(str(path), saved.type, len(saved.content)))
    session.show(written, _Written, lambda done: f"Salvato: {done.path} ({_size(done.size)})")


COMMANDS: Final = (attachments, save_attachment)
