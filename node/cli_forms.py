"""form, rekey, and the questions of «refer --ask»: a referral on paper and back. Shows, decides nothing."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from msgspec import Struct

from node import requests as ask
from node.answers import CaseView
from node.cli_kit import InFile, ItalianCommand, OutFile, Session, as_option, pass_session, read_json
from node.runtime import terminal
from node.runtime.cli_kit import ask_text
from node.runtime.wording import language, say, what_happened
from protocol.errors import ProtocolError
from schemas.bodies import Offer

if TYPE_CHECKING:
    from protocol.forms import Field

BASIS: Final = "basis."
_BLANK: Final = "_" * 40


class _Line(Struct):
    number: int
    field: str
    label: str
    text: str | None
    mark: str | None


class _Sheet(Struct):
    code: str
    title: str
    lines: list[_Line]


@click.command("form", cls=ItalianCommand, short_help="Il modulo di un invio, su carta: vuoto o già scritto.")
@click.argument("kind", metavar="TIPO", required=False)
@click.option("--file", "file", type=InFile(), help="Stampa questa scheda di invio in JSON.")
@click.option(
    "--case", "leg", metavar="INVIO", help="Stampa la scheda di un invio (con --as): l'apertura resta scritta."
)
@as_option()
@click.option("--out", type=OutFile(), help="Scrive il modulo in un file di testo, da stampare.")
@pass_session
def form(
    session: Session, kind: str | None, file: Path | None, leg: str | None, as_: str | None, out: Path | None
) -> None:
    """Per quando la rete manca: il foglio si stampa, va per fax o a mano, e si ricopia con «rekey» e il suo codice.

    Vuoto: form RK-PUA. Già scritto: form --file scheda.json, oppure form --case INVIO --as CODICE.
    """
    from protocol import forms

    if sum(given is not None for given in (kind, file, leg)) != 1:
        raise click.UsageError("Serve una sola cosa: il tipo di invio (RK-…), --file, oppure --case.")
    if kind is not None:
        sheet = _sheet(code := kind.upper(), forms.code(code), [(number, None) for number in forms.fields_of(code)])
    else:
        offer = _given(session, file, leg, as_)
        given = forms.lines(offer)
        forms.fields_of(offer.referral)
        sheet = _sheet(offer.referral, forms.code(offer.referral, given), list(given.items()))
    if out is None:
        session.show(msgspec.json.encode(sheet), _Sheet, _printed)
        return
    out.write_text(_printed(sheet) + "\n", "utf-8")
    session.tell(f"Scritto {out}.")


def _given(session: Session, file: Path | None, leg: str | None, as_: str | None) -> Offer:
    if file is not None:
        return read_json(file, Offer)
    if as_ is None:
        raise click.UsageError("Con --case serve --as CODICE.")
    view = msgspec.json.decode(session.call("case", ask.Case(leg=str(leg), as_=as_)), type=CaseView)
    if view.offer is None:
        raise ProtocolError("erased")
    return view.offer


def _sheet(kind: str, code: str, rows: Iterable[tuple[int, str | None]]) -> _Sheet:
    from protocol import forms
    from schemas.vocabularies import label

    return _Sheet(
        code,
        label("referral_kinds", kind),
        [
            _Line(n, forms.FIELDS[n].path, _label(forms.FIELDS[n]), text, None if text is None else forms.mark(n, text))
            for n, text in rows
        ],
    )


def _label(field: "Field") -> str:
    return field.en if language() == "en" else field.it


def _printed(sheet: _Sheet) -> str:
    lines = [f"{say('MODULO DI INVIO')}   {say('Codice')}: {sheet.code}", sheet.title, ""]
    for line in sheet.lines:
        shown = _BLANK if line.text is None else f"{line.text}  [{line.mark}]"
        lines += [_wrapped(f"{line.number} {line.label}: {shown}"), ""]
    told = say("Per ricopiarlo, numero, valore e lettere fra parentesi di ogni riga: rekey CODICE")
    return "\n".join([*lines, terminal.wrap(told)])


def _wrapped(text: str) -> str:
    """Broken at spaces alone: a hyphen at the end of a line would be typed in as part of the name."""
    from textwrap import wrap

    return "\n".join(
        wrap(text, terminal.WIDTH, subsequent_indent="   ", break_on_hyphens=False, break_long_words=False)
    )


@click.command("rekey", cls=ItalianCommand, short_help="Ricopia un modulo di carta, con il suo codice.")
@click.argument("code", metavar="CODICE")
@click.argument("file", metavar="[RIGHE]", required=False, type=InFile())
@click.option("--out", type=OutFile(), help="Scrive la scheda in un file, per «refer --file».")
@pass_session
def rekey(session: Session, code: str, file: Path | None, out: Path | None) -> None:
    """Una riga per campo: «20 Bianchi [K7]»; ciò che continua comincia con uno spazio. Una riga vuota finisce.

    Con il codice di un foglio già scritto ogni riga si controlla, e quella letta male è detta. Non manda nulla: per
    mandare, «refer --file».
    """
    from protocol import forms

    sheet = forms.read_code(code)
    offer = forms.filled(sheet.kind, forms.typed(sheet, _rows(session, file)))
    raw = msgspec.json.encode(offer)
    if out is not None:
        out.write_bytes(raw)
        session.tell(f"Scritto {out}.")
        return
    terminal.show(raw.decode())


def _rows(session: Session, file: Path | None) -> list[str]:
    if file is not None:
        try:
            return file.read_text("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise ProtocolError("bad-encoding", field=file.name) from None
    if sys.stdin.isatty():
        session.tell("Numero, valore e lettere fra parentesi di ogni riga; una riga vuota per finire.")
    rows: list[str] = []
    for row in sys.stdin:
        if not row.strip():
            break
        rows.append(row.rstrip("\n"))
    return rows


# -- the questions of «refer --ask»


def ask_offer(offer: dict[str, Any], usual: set[str]) -> dict[str, Any]:
    """What the form of its kind asks for and nobody gave yet; `usual`: members that only stand for what is not said."""
    from protocol import forms

    kind = str(offer["referral"])
    offer = {**offer, **{name: value for name, value in forms.blank(kind).items() if name in usual}}
    for number in forms.fields_of(kind):
        field = forms.FIELDS[number]
        part, _, name = field.path.rpartition(".")
        place = offer.get(part, {}) if part else offer
        if name in place or (field.path.startswith(BASIS) and not _names_somebody(offer)):
            continue
        text = ask_text(_label(field), "", _fault(field, needed=field.path.startswith(BASIS) and number <= 63))
        if text:
            offer = _with(offer, part, name, _value(field, text))
    return offer


def _names_somebody(offer: dict[str, Any]) -> bool:
    return any(offer.get(part) for part in ("person", "reporter", "health"))


def _with(offer: dict[str, Any], part: str, name: str, value: object) -> dict[str, Any]:
    return {**offer, part: {**offer.get(part, {}), name: value}} if part else {**offer, name: value}


def _value(field: "Field", text: str) -> object:
    from node.cli_cases import coded
    from protocol import forms

    value = forms.read(field, text)
    return coded(field.path, value) if isinstance(value, str) else value


def _fault(field: "Field", *, needed: bool) -> Callable[[str], str | None]:
    def fault(text: str) -> str | None:
        if not text:
            return say("Serve.") if needed else None
        try:
            _value(field, text)
        except ProtocolError as error:
            return what_happened(error.code)
        return None

    return fault


COMMANDS = (form, rekey)
