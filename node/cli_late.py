"""late, times, attempts, still-needed, needed: what waits too long, what was measured. Shows, decides nothing."""

import click

from node import requests as ask
from node.answers import Attempts, Done, Late, Times
from node.cli_cases import clock, done_text, short_code
from node.cli_kit import ItalianCommand, Session, as_option, pass_session
from node.runtime import terminal


@click.command("late", cls=ItalianCommand, short_help="Che cosa aspetta da troppo, da una parte e dall'altra.")
@pass_session
def late(session: Session) -> None:
    """Gli invii in ritardo o che aspettano noi, ricevuti e mandati, con che cosa fare. Senza dati delle persone."""
    session.show(session.call("late", ask.Nothing()), list[Late], _lists)


def _lists(found: list[Late]) -> str:
    if not found:
        return "Nulla in ritardo."
    lines: list[str] = []
    for side, title in (("R", "Ricevuti"), ("S", "Mandati")):
        ours = [one for one in found if one.side == side]
        if ours:
            lines += ["", title, *(line for one in ours for line in _line(one))]
    return "\n".join(lines).lstrip("\n")


def _line(one: Late) -> list[str]:
    phone = f" Tel. {one.phone}." if one.phone else ""
    command = f" («{one.command} {short_code(one.leg)}»)" if one.command else ""
    what = f"{one.peer_name} · {one.referral} {one.urgency} · {one.words}, dal {clock(one.since)}"
    return [
        terminal.wrap(f"{short_code(one.leg)} {what}", before="  ", after="    "),
        terminal.wrap(f"{one.todo}{command}{phone}", before="    ", after="    "),
    ]


@click.command("times", cls=ItalianCommand, short_help="Quanto abbiamo impiegato a rispondere e ad avviare.")
@pass_session
def times(session: Session) -> None:
    """Tempi misurati sugli invii ricevuti, per urgenza: metà entro il primo tempo, nove su dieci entro il secondo.

    Per UR-ORD e UR-INFO le ore di risposta sono quelle di ufficio; per le altre, e per l'avvio, tutte.
    """
    session.show(session.call("times", ask.Nothing()), list[Times], _table)


def _table(found: list[Times]) -> str:
    if not found:
        return "Nessun invio ricevuto."
    rows = [
        (
            one.urgency, str(one.answered), _long(one.answer_median), _long(one.answer_p90), str(one.within),
            str(one.started), _long(one.start_median), _long(one.start_p90),
            f"{one.waiting}, dal {clock(one.oldest)}" if one.oldest is not None else "0",
        )
        for one in found
    ]  # fmt: skip
    heads = ("Urgenza", "Risposte", "metà", "9 su 10", "in tempo", "Avviati", "metà", "9 su 10", "In attesa")
    return terminal.table(heads, rows)


def _long(seconds: float | None) -> str:
    """Hours and minutes."""
    return "" if seconds is None else f"{int(seconds) // 3600}h{int(seconds) % 3600 // 60:02}"


@click.command("attempts", cls=ItalianCommand, short_help="Quanti uffici prima di quello giusto.")
@pass_session
def attempts(session: Session) -> None:
    """Sugli invii accolti, ricevuti e mandati: quanti uffici la persona aveva già sentito. Senza dati delle persone.

    Il numero sta nella scheda («refer --offices-tried»); dopo un rifiuto o un'indicazione si aggiunge da solo.
    """
    session.show(session.call("attempts", ask.Nothing()), list[Attempts], _attempts)


def _attempts(found: list[Attempts]) -> str:
    rows = [
        (
            {"R": "Ricevuti", "S": "Mandati"}[one.side], str(one.cases), str(one.known),
            "" if one.mean is None else f"{one.mean:.1f}".replace(".", ","),
            ", ".join(f"{tried}: {times}" for tried, times in one.spread),
        )
        for one in found
    ]  # fmt: skip
    return terminal.table(("Invii", "Accolti", "Detto", "In media", "Uffici prima: invii"), rows)


@click.command("still-needed", cls=ItalianCommand, short_help="Chiede a chi ha inviato se serve ancora.")
@click.argument("leg", metavar="INVIO")
@as_option(required=True)
@pass_session
def still_needed(session: Session, leg: str, as_: str) -> None:
    """Per chi è in lista da molto: «La persona ne ha ancora bisogno?». Risponde chi ha inviato, con «needed»."""
    session.show(session.call("still-needed", ask.StillNeeded(leg=leg, as_=as_)), Done, done_text)


@click.command("needed", cls=ItalianCommand, short_help="Risponde se la persona ne ha ancora bisogno.")
@click.argument("leg", metavar="INVIO")
@as_option(required=True)
@click.option("--yes/--no", "yes", default=None, help="Sì: resta in lista. No: l'invio è ritirato.")
@pass_session
def needed(session: Session, leg: str, as_: str, yes: bool | None) -> None:
    """Dopo averlo chiesto alla persona."""
    if yes is None:
        raise click.UsageError("Serve la risposta: --yes oppure --no.")
    session.show(session.call("needed", ask.Needed(leg=leg, as_=as_, yes=yes)), Done, done_text)


COMMANDS = (late, times, attempts, still_needed, needed)
