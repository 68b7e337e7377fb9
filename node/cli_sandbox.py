"""sandbox: a throw-away network for whoever writes software that talks to this program. The network is node.sandbox."""

import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

import click

from node.cli_kit import ItalianCommand, Session, Whole, pass_session
from node.runtime import terminal
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from node.sandbox import Sandbox

TURN: Final = 1.0  # seconds between looks of the partner, so that every step can be seen


@click.command("sandbox", cls=ItalianCommand, short_help="Una rete di prova su questo computer, con un partner finto.")
@click.option("--once", is_flag=True, help="Prova i quattro comportamenti del partner ed esce: 0 se ci sono tutti.")
@click.option(
    "--late", type=Whole(), default=600, show_default=True, help="Dopo quanti secondi risponde il partner che tarda."
)
@pass_session
def sandbox(session: Session, once: bool, late: int) -> None:
    """Per chi scrive programmi che parlano con questo: una bacheca, un ente tutto per sé, un partner di quattro umori.

    Il partner ha quattro servizi: uno risponde, uno chiede, uno non accoglie, uno tarda. Quale si incontra lo dice il
    servizio (o la categoria) dell'invio. Tutto sta in una cartella provvisoria: con Ctrl-C sparisce.
    """
    from node.sandbox import Sandbox, prove
    from node.sandbox_partner import DESKS

    for goodbye in (signal.SIGTERM, signal.SIGINT):  # a shell ignores SIGINT for what it starts in the background
        signal.signal(goodbye, lambda *_: _interrupt())
    made = Sandbox(late)
    try:
        made.start(session.tell)
        if once:
            prove(made, session.tell)
            terminal.show_json({"proved": [desk.behaviour for desk in DESKS]}) if session.json else None
            return
        _show(session, made)
        _stay(session, made)
    except KeyboardInterrupt:
        session.tell("Chiudo la rete di prova…")
    finally:
        made.stop()


def _interrupt() -> None:
    raise KeyboardInterrupt


def _stay(session: Session, made: "Sandbox") -> None:
    """The partner lives until Ctrl-C, or until one of the programs is gone (not-running)."""
    never = threading.Event()
    while not never.wait(TURN):
        try:
            for done in made.turn():
                session.tell(f"Il partner: {done}")
        except ProtocolError as error:
            if error.code not in ("unreachable", "busy"):
                raise


def _show(session: Session, made: "Sandbox") -> None:
    """Where everything is; for a script one JSON object on one line, at once."""
    from node.runtime.local import PREFIX, announced
    from node.sandbox import OPERATOR, PARTNER, YOU
    from node.sandbox_partner import DESKS

    services = made.services()
    address = f"http://127.0.0.1:{announced(made.you.data_dir).port}{PREFIX}"
    if session.json:
        desks = [
            {"behaviour": desk.behaviour, "service": services[desk.service], "name": desk.service,
             "category": desk.category, "form": str(made.form(desk.behaviour))} for desk in DESKS
        ]  # fmt: skip
        terminal.show_json({
            "dir": str(made.you.data_dir), "local": address, "registry": made.url, "node": YOU, "partner": PARTNER,
            "operator": OPERATOR, "partner_dir": str(made.partner.data_dir), "late": made.late_after, "desks": desks,
        })  # fmt: skip
        sys.stdout.flush()
        return
    here = f"raccordo-node --dir {made.you.data_dir}"
    rows = [(desk.service, desk.category, desk.said, made.form(desk.behaviour).name) for desk in DESKS]
    lines = [
        "", terminal.table(("Servizio del partner", "Categoria", "Che cosa fa", "Scheda"), rows).rstrip("\n"), "",
        f"Il programma da provare risponde su {address}", *_token(here), f"Operatore: {OPERATOR}", "",
        "Da un altro terminale, per esempio:", f"  {here} search prova",
        f"  {here} refer {PARTNER} --file {made.form('asks')} --as {OPERATOR} --yes",
        f"  {here} sent", f"  {here} doctor", "", "Ctrl-C chiude tutto e cancella la cartella.",
    ]  # fmt: skip
    terminal.show("\n".join(lines))


def _token(here: str) -> list[str]:
    """How an application gets its token, where this version has applications."""
    from node.cli import cli

    return [f"Token per un'applicazione: {here} apps add NOME --help"] if "apps" in cli.commands else []


COMMANDS: Final = (sandbox,)
