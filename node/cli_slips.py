"""slip: the sheet a person takes along. Shows, decides nothing; asks for no name and keeps nothing."""

from pathlib import Path

import click
import msgspec
from msgspec import Struct

from node import requests as ask
from node.answers import Slip
from node.cli_kit import ItalianCommand, OutFile, Session, italian_day, pass_session
from node.runtime import terminal


@click.command("slip", cls=ItalianCommand, short_help="Il foglio di orientamento da dare alla persona.")
@click.argument("id_", metavar="VOCE")
@click.option("--node", help="Ente che lo pubblica, se lo stesso codice è di due enti.")
@click.option("--out", type=OutFile(), help="Scrive il foglio in un file di testo, da stampare.")
@pass_session
def slip(session: Session, id_: str, node: str | None, out: Path | None) -> None:
    """Un servizio della mappa pubblica: che cosa, quando, dove, con quali documenti. Senza nomi; qui non resta nulla.

    Serve anche per gli enti che non sono nella rete (INPS, Agenzia delle Entrate): a loro non si mandano invii.
    """
    raw = session.call("slip", ask.Slip(id=id_, node=node))
    if out is None:
        session.show(raw, Slip, slip_text)
        return
    out.write_text(slip_text(msgspec.json.decode(raw, type=Slip)) + "\n", "utf-8")
    session.tell(f"Scritto {out}.")


class _Hit(Struct):
    id: str
    node: str


class _Hits(Struct):
    items: list[_Hit]


def slip_instead(session: Session, body: str) -> None:
    """What a person gets where no referral can go: the slips of all that this body gives."""
    request = ask.Search(view="public", provider=[body], limit=20)
    found = msgspec.json.decode(session.call("search", request), type=_Hits).items
    session.tell(f"«{body}» non è nella rete: nessun invio parte. Da dare alla persona:")
    for hit in found:
        session.show(session.call("slip", ask.Slip(id=hit.id, node=hit.node)), Slip, slip_text)


def slip_text(sheet: Slip) -> str:
    """The slip as it is printed; what is not known is left out."""
    from node.cli_cases import clock

    pairs = (
        ("Che cosa", sheet.what), ("Per chi", ", ".join(sheet.for_whom)), ("Come si accede", sheet.how),
        ("Adesso", sheet.opening), ("Orari", sheet.hours), ("Indirizzo", sheet.address),
        ("Telefono", ", ".join(sheet.phones)), ("E-mail", sheet.email), ("Documenti", ", ".join(sheet.papers)),
        ("Requisiti", sheet.requirements), ("Costo", sheet.cost), ("Attesa", sheet.waiting),
        ("Da sapere", "; ".join(text.rstrip(".") for text in sheet.warnings)),
        ("Verificato il", italian_day(sheet.verified)),
    )  # fmt: skip
    lines = ["FOGLIO DI ORIENTAMENTO", "", terminal.wrap(sheet.name), terminal.wrap(sheet.body), ""]
    lines += [terminal.wrap(f"{label}: {text}", after="  ") for label, text in pairs if text]
    return "\n".join([*lines, "", f"Stampato il {clock(sheet.at)}."])


COMMANDS = (slip,)
