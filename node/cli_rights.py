"""erase, answer-erase, erasures, recall, retention, person, rectify, limit: the command line of the person's rights.

Shows, decides nothing.
"""

import os
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from msgspec import Struct

from node import requests as ask
from node.answers import Choice, Done, Erasure
from node.cli_cases import case_fields, clock, done_text, erasure_text, short_code
from node.cli_kit import ItalianCommand, OneOf, OutFile, Session, Whole, as_option, pass_session
from node.runtime import terminal
from node.runtime.platform import create_private
from protocol.errors import ProtocolError
from schemas.bodies import Offer, Person

WHY_ERASE: Final = ("data-subject", "not-needed", "unlawful", "court-order")
WHY_REFUSE: Final = ("retention-duty", "archive", "legal-claim")
WHY_LIMIT: Final = ("accuracy", "unlawful", "legal-claim", "objection")

# -- what comes back, as far as it is shown


class _Erased(Struct):
    legs: list[str]
    asked: list[str]


class _Answered(Struct):
    leg: str
    erased: bool


class _Recalled(Struct):
    leg: str
    unread: bool
    draft: str
    opened_by: str | None = None
    opened_at: int | None = None


class _Old(Struct):
    leg: str
    peer: str
    state: str
    ended: int


class _Kept(Struct):
    before: int
    cases: list[_Old]
    left: int
    erased: bool


class _Limited(Struct):
    leg: str
    limited: bool


class _Said(Struct):
    writer: str
    ev: str
    at: int
    text: str | None = None


class _Opening(Struct):
    at: int
    operator: str
    action: str


class _Held(Struct):
    leg: str
    side: str
    peer_name: str
    state: str
    created: int
    versions: list[Offer]
    steps: list[_Said]
    openings: list[_Opening]
    limited: bool = False
    erase_after: int | None = None
    choices: list[Choice] = []


class _File(Struct):
    at: int
    holder: str
    cases: list[_Held]
    mentions: list[str]


# -- erasing


@click.command("erase", cls=ItalianCommand, short_help="Cancella il contenuto di un invio, anche dall'altro ufficio.")
@click.argument("leg", metavar="INVIO")
@as_option(required=True)
@click.option("--reason", type=OneOf(*WHY_ERASE), required=True, help="Motivo (GDPR art. 17).")
@click.option("--basis", required=True, metavar="ATTO", help="L'atto o la richiesta: numero e data, nessun nome.")
@click.option("--here-only", is_flag=True, help="Non lo chiede all'altro ufficio.")
@pass_session
def erase(session: Session, leg: str, as_: str, reason: str, basis: str, here_only: bool) -> None:
    """Cancella qui il contenuto, subito e per sempre; restano i passaggi, i codici e le date.

    Un invio ancora aperto viene prima ritirato, o non accolto. Chi lo ha preso in carico lo deve prima concludere.
    """
    request = ask.Erase(leg=leg, as_=as_, reason=reason, basis=basis, here_only=here_only)
    session.show(session.call("erase", request), _Erased, _erased)


def _erased(done: _Erased) -> str:
    lines = [f"Cancellato: {', '.join(map(short_code, done.legs))}."]
    if done.asked:
        lines.append("Chiesto anche all'altro ufficio: la risposta si vede con «erasures».")
    return "\n".join(lines)


@click.command("answer-erase", cls=ItalianCommand, short_help="Risponde a chi chiede di cancellare un invio.")
@click.argument("leg", metavar="INVIO")
@as_option(required=True)
@click.option("--accept", is_flag=True, help="Cancella e lo conferma.")
@click.option("--refuse", "reason", type=OneOf(*WHY_REFUSE), help="Non cancella, con il motivo di legge.")
@click.option("--basis", metavar="ATTO", help="L'atto che lo ha deciso: numero e data, nessun nome.")
@pass_session
def answer_erase(session: Session, leg: str, as_: str, accept: bool, reason: str | None, basis: str | None) -> None:
    """Una richiesta di cancellazione di un altro ufficio: la si esegue, o la si rifiuta con il motivo."""
    if accept == (reason is not None):
        raise click.UsageError("Serve --accept, oppure --refuse con il motivo.")
    request = ask.AnswerErase(leg=leg, as_=as_, accept=accept, reason=reason, basis=basis)
    session.show(session.call("answer-erase", request), _Answered, _answered)


def _answered(done: _Answered) -> str:
    return "Cancellato, e confermato all'altro ufficio." if done.erased else "Rifiutato: l'altro ufficio lo saprà."


@click.command("erasures", cls=ItalianCommand, short_help="Le richieste di cancellazione e che fine hanno fatto.")
@pass_session
def erasures(session: Session) -> None:
    """Richieste fatte e ricevute, prima quelle a cui si deve rispondere. Senza dati delle persone."""
    session.show(session.call("erasures", ask.Nothing()), list[Erasure], _erasures)


def _erasures(found: list[Erasure]) -> str:
    if not found:
        return "Nessuna richiesta di cancellazione."
    return "\n".join(terminal.wrap(f"{short_code(one.leg)}  {erasure_text(one)}", after="          ") for one in found)


@click.command("recall", cls=ItalianCommand, short_help="Richiama un invio mandato all'ufficio sbagliato.")
@click.argument("leg", metavar="INVIO")
@as_option(required=True)
@click.option("--draft", type=OutFile(), metavar="FILE", help="Dove scrivere la bozza di valutazione della violazione.")
@pass_session
def recall(session: Session, leg: str, as_: str, draft: Path | None) -> None:
    """Riprende ciò che nessuno ha ancora ritirato; il resto lo ritira e ne chiede la cancellazione.

    Qui il contenuto resta, per mandarlo all'ufficio giusto. La bozza (persone, destinatario, ore) si scrive in un file
    e non parte mai da sola.
    """
    if draft is not None and draft.exists():
        raise ProtocolError("file-exists", got=draft.name)
    raw = session.call("recall", ask.Recall(leg=leg, as_=as_))
    done = msgspec.json.decode(raw, type=_Recalled)
    path = None
    if not done.unread and done.draft:
        path = draft or _free(session.data_dir, f"violazione-{short_code(done.leg)}")
        _write(path, done.draft)
    session.show(raw, _Recalled, lambda told: _recalled(told, path))


def _free(folder: Path, stem: str) -> Path:
    """A name not taken yet: a second recall leaves the first draft alone."""
    names = (folder / f"{stem}{'' if i == 1 else f'-{i}'}.txt" for i in range(1, 1000))
    return next(path for path in names if not path.exists())


def _recalled(done: _Recalled, draft: Path | None) -> str:
    if done.unread:
        return "Ripreso: nessuno l'ha ricevuto. Non c'è altro da fare."
    lines = ["Ritirato, e chiesta la cancellazione. Se è urgente, telefonare all'ufficio."]
    if done.opened_at:
        lines.append(f"L'ha aperto {done.opened_by or 'qualcuno'} il {clock(done.opened_at)}.")
    else:
        lines.append("Non risulta aperto, per ora: la conferma dell'altro ufficio lo dirà («erasures»).")
    if draft:
        lines.append(f"Bozza scritta: {draft}")
        lines.append("Da completare con il responsabile della protezione dei dati, entro 72 ore.")
    return "\n".join(lines)


# -- keeping


@click.command("retention", cls=ItalianCommand, short_help="Gli invii conclusi da più tempo di quanto si conservano.")
@as_option(required=True)
@click.option("--months", type=Whole(), metavar="MESI", help="Mesi dopo la conclusione; se manca, quelli configurati.")
@click.option("--apply", is_flag=True, help="Cancella davvero; senza, si vede soltanto.")
@pass_session
def retention(session: Session, as_: str, months: int | None, apply: bool) -> None:
    """Prima si guarda, poi si ripete con --apply. Agli altri uffici non si chiede nulla: ognuno ha i suoi termini."""
    request = ask.Retention(as_=as_, months=months, apply=apply)
    session.show(session.call("retention", request), _Kept, _kept)


def _kept(kept: _Kept) -> str:
    if not kept.cases:
        return f"Nessun invio concluso prima del {clock(kept.before)} da cancellare."
    rows = [(short_code(one.leg), one.peer, clock(one.ended)) for one in kept.cases]
    done = "Cancellati." if kept.erased else "Nulla è stato cancellato: ripetere con --apply."
    more = f" Ne restano {kept.left}: ripetere il comando." if kept.left else ""
    return terminal.table(("Invio", "Ufficio", "Concluso"), rows) + done + more


# -- the person's own data


@click.command("person", cls=ItalianCommand, short_help="Tutto ciò che si conserva su una persona (GDPR art. 15).")
@as_option(required=True)
@click.option("--tax-code", metavar="CF", help="Codice fiscale.")
@click.option("--family-name", help="Cognome, con --birth-year.")
@click.option("--given-name", help="Nome, per restringere.")
@click.option("--birth-year", type=Whole(), help="Anno di nascita.")
@click.option(
    "--out", type=OutFile(), metavar="FILE", help="La copia per la persona: .json per programmi, altrimenti testo."
)
@pass_session
def person(session: Session, /, as_: str, out: Path | None, **given: Any) -> None:
    """Apre gli invii uno per uno: non esiste un elenco di persone. La ricerca resta nel registro degli accessi."""
    raw = session.call("person", ask.FindPerson(as_=as_, **given))
    if out is None:
        session.show(raw, _File, _file_text)
        return
    found = msgspec.json.decode(raw, type=_File)
    text = msgspec.json.format(raw, indent=2).decode() if out.suffix == ".json" else _file_text(found)
    _write(out, text)
    session.tell(f"Scritto {out}: {len(found.cases)} invii. È leggibile solo da chi lo ha scritto.")


def _file_text(found: _File) -> str:
    lines = [f"Dati conservati da {found.holder} al {clock(found.at)}", f"Invii: {len(found.cases)}"]
    for case in found.cases:
        way = {"R": "ricevuto da", "S": "mandato a", "L": "passaggio interno presso"}[case.side]
        lines += ["", f"Invio {case.leg}, {way} {case.peer_name} il {clock(case.created)}"]
        lines += ["  Trattamento limitato."] if case.limited else []
        lines += [f"  Si conserva fino al {clock(case.erase_after)}."] if case.erase_after else []
        for number, offer in enumerate(case.versions, 1):
            lines += [f"  Scheda, versione {number}", *(f"    {text}" for text in case_fields(offer))]
        lines += [f"  {clock(step.at)} {step.text}" for step in case.steps if step.text]
        lines += [f"  {clock(one.at)} {one.by}: a {one.node}. {one.why or ''}".rstrip() for one in case.choices]
        lines += [f"  {clock(one.at)} {one.operator}: {one.action}" for one in case.openings]
    if found.mentions:
        named = ", ".join(map(short_code, found.mentions))
        lines += ["", f"Nominata forse anche in invii di altri, da guardare uno per uno: {named}"]
    return "\n".join(terminal.wrap(text, after="    ") for text in lines) + "\n"


@click.command("rectify", cls=ItalianCommand, short_help="Corregge i dati di un invio (GDPR art. 16).")
@click.argument("leg", metavar="INVIO")
@as_option(required=True)
@click.option("--given-name", help="Nome giusto.")
@click.option("--family-name", help="Cognome giusto.")
@click.option("--birth-year", type=Whole(), help="Anno di nascita giusto.")
@click.option("--tax-code", metavar="CF", help="Codice fiscale giusto.")
@click.option("--phone", help="Telefono giusto.")
@click.option("--address", help="Indirizzo giusto.")
@click.option("--description", help="Descrizione giusta.")
@click.option("--text", help="Chi ha ricevuto l'invio: che cosa è giusto, per chi lo ha mandato.")
@click.option("--erase-old", is_flag=True, help="Le versioni sbagliate si cancellano, qui e dall'altro ufficio.")
@pass_session
def rectify(
    session: Session, /, leg: str, as_: str, description: str | None, text: str | None, erase_old: bool, **given: Any
) -> None:
    """Chi ha mandato l'invio lo corregge con un'integrazione, chi l'ha ricevuto scrive una nota: l'altro la riceve."""
    fields = {name: value for name, value in given.items() if value is not None}
    request = ask.Rectify(
        leg=leg, as_=as_, person=Person(**fields) if fields else None, description=description, text=text,
        erase_old=erase_old,
    )  # fmt: skip
    session.show(session.call("rectify", request), Done, done_text)


@click.command("limit", cls=ItalianCommand, short_help="Limita il trattamento di un invio (GDPR art. 18).")
@click.argument("leg", metavar="INVIO")
@as_option(required=True)
@click.option("--reason", type=OneOf(*WHY_LIMIT), help="Motivo (art. 18, par. 1).")
@click.option("--lift", is_flag=True, help="Toglie la limitazione: prima dirlo alla persona.")
@pass_session
def limit(session: Session, leg: str, as_: str, reason: str | None, lift: bool) -> None:
    """L'invio si conserva e basta: nessuno ci lavora, lo legge solo il responsabile del servizio."""
    if lift == (reason is not None):
        raise click.UsageError("Serve --reason, oppure --lift.")
    session.show(
        session.call("limit", ask.Limit(leg=leg, as_=as_, reason=reason)),
        _Limited,
        lambda done: "Limitato: si conserva e basta." if done.limited else "Limitazione tolta.",
    )


def _write(path: Path, text: str) -> None:
    """A new file of one's own, 0600. Raises file-exists."""
    try:
        descriptor = create_private(path)
    except FileExistsError:
        raise ProtocolError("file-exists", got=path.name) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())


COMMANDS: Final = (erase, answer_erase, erasures, recall, retention, person, rectify, limit)
