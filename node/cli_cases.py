"""refer, inbox, sent, cases, case and the verbs that act on one: the command line of a desk. Shows, decides nothing.

A list never shows a person; only `case` does, on purpose and with the operator's code, and its opening is logged.
"""

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import msgspec
from msgspec import UNSET, Struct

from node import requests as ask
from node.answers import AccessLog, CaseLine, CaseView, Done, Erasure, Step
from node.cli_attachments import ATTACHING, attach_options, file_lines, given_files
from node.cli_kit import (
    Day,
    InFile,
    ItalianCommand,
    Moment,
    OneOf,
    Session,
    Whole,
    as_option,
    italian_day,
    pass_session,
    read_json,
)
from node.cli_map import Advice, advice_text
from node.cli_slips import slip_instead
from node.runtime import terminal
from protocol.errors import ProtocolError
from schemas.bodies import Basis, Offer, Person

SIDES: Final[Mapping[str, str]] = {"R": "da", "S": "a", "L": "passaggio interno a"}
WRITERS: Final[Mapping[str, str]] = {"S": "chi manda", "R": "chi riceve"}
DELIVERED: Final[Mapping[str, str]] = {"stored": "arrivata", "processed": "arrivata", "rejected": "non accettata"}


def short_code(leg: str) -> str:
    """What people read out of a referral's code: its end, since codes made in one minute begin alike (ADR 0024)."""
    return leg[-8:]


def clock(at: int | None) -> str:
    """Wall time in Italy, "20/11/2026 11:40"."""
    from protocol.calendar_it import ROME

    return "" if at is None else datetime.fromtimestamp(at, ROME).strftime("%d/%m/%Y %H:%M")


def seconds(text: str | None, option: str) -> int | None:
    """ "2026-11-20 11:40", wall time in Italy, as Unix seconds. Raises bad-shape."""
    from node.asked import instant

    return None if text is None else instant(text, option)


def done_text(done: Done) -> str:
    """What was written, and where the referral stands now."""
    return f"Registrato: invio {short_code(done.leg)}, passo {done.n}.\nAdesso: {_title(done.state)}."


def _title(state: str) -> str:
    from protocol.referral_display import SCREENS

    return {str(name): screen.title for name, screen in SCREENS.items()}.get(state, state)


def _action(ev: str) -> str:
    """What a person does, in the words of the screens."""
    from protocol.referral_display import ACTIONS

    return {str(kind): words for kind, words in ACTIONS.items()}.get(ev, ev)


# -- lists


def _list_options(function: Any) -> Any:
    function = click.option("--all", "all_", is_flag=True, help="Anche gli invii conclusi.")(function)
    return click.option("--late", is_flag=True, help="Solo quelli in ritardo.")(function)


@click.command("inbox", cls=ItalianCommand, short_help="Invii ricevuti.")
@_list_options
@pass_session
def inbox(session: Session, late: bool, all_: bool) -> None:
    """Invii ricevuti, prima quelli da cui si attende una risposta. Senza dati delle persone."""
    _list(session, ask.Cases(side="received", late=late, all_=all_))


@click.command("sent", cls=ItalianCommand, short_help="Invii mandati.")
@_list_options
@pass_session
def sent(session: Session, late: bool, all_: bool) -> None:
    """Invii mandati ad altri uffici. Senza dati delle persone."""
    _list(session, ask.Cases(side="sent", late=late, all_=all_))


@click.command("cases", cls=ItalianCommand, short_help="Tutti gli invii, anche i passaggi interni.")
@_list_options
@click.option("--internal", is_flag=True, help="Solo i passaggi fra sportelli dello stesso ente.")
@pass_session
def cases(session: Session, late: bool, all_: bool, internal: bool) -> None:
    """Tutti gli invii di questo ente. Senza dati delle persone."""
    _list(session, ask.Cases(side="internal" if internal else None, late=late, all_=all_))


def _list(session: Session, request: ask.Cases) -> None:
    session.show(session.call("cases", request), list[CaseLine], _lines)


def _lines(lines: list[CaseLine]) -> str:
    if not lines:
        return "Nessun invio."
    rows = [
        (
            short_code(line.leg),
            f"{SIDES[line.side]} {line.desk_to or line.peer_name}",
            line.referral,
            line.urgency,
            line.words + (" – IN RITARDO" if line.late else "") + (" – limitato" if line.limited else ""),
            clock(line.respond_by),
        )
        for line in lines
    ]
    return terminal.table(("Invio", "Ufficio", "Tipo", "Urgenza", "Stato", "Entro"), rows)


# -- one case


@click.command("case", cls=ItalianCommand, short_help="Apre un invio: mostra anche i dati della persona.")
@click.argument("leg", metavar="INVIO")
@as_option(required=True)
@pass_session
def case(session: Session, leg: str, as_: str) -> None:
    """Un invio intero, per codice o per le sue prime cifre. L'apertura resta scritta nel registro degli accessi."""
    session.show(session.call("case", ask.Case(leg=leg, as_=as_)), CaseView, _case)


ASKED_STATES: Final[Mapping[str, str]] = {
    "queued": "non ancora arrivata all'ufficio", "arrived": "in attesa di risposta",
    "unsupported": "il programma dell'altro ufficio non la conosce: telefonare",
    "erased": "eseguita", "refused": "rifiutata",
}  # fmt: skip
ASKED_REASONS: Final[Mapping[str, str]] = {
    "data-subject": "lo chiede la persona", "not-needed": "i dati non servono più",
    "unlawful": "trattamento illecito", "court-order": "obbligo di legge",
    "wrong-recipient": "mandato all'ufficio sbagliato", "rectified": "versioni corrette dopo",
    "retention": "fine della conservazione", "retention-duty": "obbligo di conservazione",
    "archive": "archivio nel pubblico interesse", "legal-claim": "difesa di un diritto",
}  # fmt: skip


def erasure_text(asked: Erasure) -> str:
    """One request to erase in a line, with what became of it."""
    who = f"chiesta a {asked.peer_name}" if asked.own else f"chiesta da {asked.peer_name}"
    what = "Cancellazione" if asked.upto is None else "Cancellazione delle versioni superate"
    text = f"{what} {who} il {clock(asked.at)} ({ASKED_REASONS.get(asked.reason, asked.reason)}): "
    text += ASKED_STATES.get(asked.state, asked.state)
    if asked.answered_at:
        text += f" il {clock(asked.answered_at)}"
    if asked.answer_reason:
        text += f", {ASKED_REASONS.get(asked.answer_reason, asked.answer_reason)}"
    if asked.reason == "wrong-recipient" and asked.state == "erased":
        text += f"; aperto da {asked.opened_by} il {clock(asked.opened_at)}" if asked.opened_at else "; mai aperto"
    return text


LABELS: Final[Mapping[str, str]] = {
    "need": "Bisogno", "target": "Destinatari", "category": "Tipo di servizio", "service": "Servizio",
    "desk": "Sportello", "callback": "Richiamare", "description": "Descrizione",
    "active_services": "Servizi già attivi", "offices_tried": "Uffici già sentiti", "documents": "Documenti",
    "given_name": "Nome", "family_name": "Cognome", "birth_year": "Anno di nascita", "birth_date": "Data di nascita",
    "tax_code": "Codice fiscale", "language": "Lingua", "residence": "Residenza", "homeless": "Senza dimora",
    "address": "Indirizzo", "phone": "Telefono", "may_leave_message": "Si può lasciare un messaggio",
    "safe_contact": "Contatto sicuro", "no_contact": "Non contattare", "household_size": "Persone in famiglia",
    "minors": "Minori", "law": "Norma", "purpose": "Finalità", "notice_version": "Informativa",
    "notice_date": "Informativa del", "consent_to": "Consenso per", "consent_how": "Consenso dato",
    "who": "Chiede", "email": "E-mail",
    "kind": "Chi segnala", "name": "Chi", "role": "Ruolo", "person_informed": "La persona è informata",
    "autonomy": "Autonomia", "disability": "Invalidità", "current_care": "Cure in corso",
    "discharge_date": "Dimissione", "prescriber": "Chi prescrive",
}  # fmt: skip
PARTS: Final[Mapping[str, str]] = {
    "basis": "Base giuridica", "person": "Persona", "reporter": "Chi segnala", "requester": "Gruppo o ente",
    "health": "Salute",
}  # fmt: skip


def _case(view: CaseView) -> str:
    line = view.line
    lines = [
        terminal.tone(f"Invio {line.leg} {SIDES[line.side]} {line.desk_to or line.peer_name}", "bold", sys.stdout),
        f"Tipo: {_words('referral_kinds', line.referral)}",
        f"Urgenza: {_words('urgency_levels', line.urgency)}",
        f"Stato: {line.words}"
        + ("" if line.final else " (non ancora definitivo)")
        + (" – IN RITARDO" if line.late else ""),
        f"Cosa fare: {view.next}",
        *([f"Rispondere entro: {clock(line.respond_by)}"] if line.respond_by else []),
        *([f"Se ne occupa adesso: {view.custodian}"] if view.custodian else []),
        *([f"Nasce da: {line.parent or line.linked_from}"] if line.parent or line.linked_from else []),
        *(["Trattamento limitato (GDPR art. 18): si conserva e basta."] if line.limited else []),
        *(erasure_text(asked) for asked in view.erasures),
        "",
        *(_fields(view.offer) if view.offer else ["Il contenuto non c'è più: restano i passaggi e le date."]),
    ]
    for name, title in PARTS.items():
        if view.offer and (part := getattr(view.offer, name)) is not UNSET:
            lines += ["", title, *(f"  {text}" for text in _fields(part))]
    if view.files:
        lines += ["", "Allegati", *(f"  {text}" for text in file_lines(view.files))]
    lines += ["", "Storia"]
    lines += [f"  {_step(step)}" for step in view.steps]
    if view.pending_amendments:
        lines.append("Integrazioni non ancora viste: passi " + ", ".join(map(str, view.pending_amendments)))
    commands = {verb.ev: name for name, verb in VERBS.items()}
    may = [f"{commands[ev]:12} {_action(ev)}" for ev in view.allowed if ev in commands]
    lines += ["", "Si può:", *(f"  {command}" for command in may)] if may else ["", "Si può: nulla."]
    return "\n".join(terminal.wrap(text, after="    ") for text in lines)


def case_fields(offer: Offer) -> list[str]:
    """Everything a sheet holds, part by part."""
    lines = _fields(offer)
    for name, title in PARTS.items():
        if (part := getattr(offer, name)) is not UNSET:
            lines += [title, *(f"  {text}" for text in _fields(part))]
    return lines


def _fields(part: Struct) -> list[str]:
    found = []
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if value is not UNSET and name in LABELS:
            found.append(f"{LABELS[name]}: {_value(name, value)}")
    return found


WHO: Final[Mapping[str, str]] = {"group": "un gruppo di persone", "body": "un ente o un'istituzione"}
CODES: Final[Mapping[str, str]] = {
    "need": "need_areas", "target": "target_groups", "category": "service_categories", "language": "languages",
}  # fmt: skip
"""Fields that hold a code, and the vocabulary with its words."""


def _value(name: str, value: object) -> str:
    """A field as people read it: words beside a code, the name of a comune, a day as Italians write it."""
    if isinstance(value, bool):
        return "sì" if value else "no"
    if isinstance(value, list):
        return ", ".join(_value(name, item) for item in value)
    text = str(value)
    if name == "residence":
        from schemas.vocabularies import table

        row = table("comuni").get(text)
        return row["name"] if row else text
    if name == "who":
        return WHO.get(text, text)
    if name in CODES:
        return _words(CODES[name], text)
    return italian_day(text)


def _words(vocabulary: str, code: str) -> str:
    from schemas.vocabularies import label

    said = label(vocabulary, code)
    return code if said == code else f"{said} ({code})"


def _step(step: Step) -> str:
    details = (
        step.reason and _reason(step.reason), step.outcome and _words("referral_outcomes", step.outcome), step.ref,
        step.to_node, step.status and _shown(step.status), clock(step.when), step.text,
    )  # fmt: skip
    told = f" ({DELIVERED[step.delivery]})" if step.delivery and step.delivery in DELIVERED else ""
    by = f" ({step.by})" if step.by else ""
    overruled = " – senza effetto" if step.overruled else ""
    return " · ".join(
        (f"{clock(step.at)} {WRITERS[step.writer]}: {_action(step.ev)}{by}{told}{overruled}", *filter(None, details))
    )


def _shown(code: str) -> str:
    """The state of a referral passed on, by the code its router mirrors."""
    from protocol.referral_display import ADDED_CODES
    from schemas.vocabularies import table

    row = table("referral_states").get(code)
    added = ADDED_CODES.get(code)
    said = row["label_it"] if row else added[0] if added else ""
    return f"{said} ({code})" if said else code


def _reason(code: str) -> str:
    from node.runtime.details import OTHER_REASONS

    return OTHER_REASONS.get(code) or _words("decline_reasons", code)


# -- refer


@click.command("refer", cls=ItalianCommand, short_help="Manda un invio a un altro ufficio.")
@click.argument("to", metavar="UFFICIO")
@as_option(required=True)
@click.option("--file", "file", type=InFile(), help="Scheda di invio in JSON; le opzioni la completano.")
@click.option("--referral", help="Tipo di invio (RK-…).")
@click.option("--urgency", help="Urgenza (UR-…); se manca, UR-ORD.")
@click.option("--subject", type=OneOf("person", "household", "group", "none"), help="Di chi si tratta.")
@click.option("--need", help="Bisogno (NA-…).")
@click.option("--target", help="Destinatari (TG-…).")
@click.option("--category", help="Tipo di servizio (SC-…).")
@click.option("--service", help="Voce della mappa (codice intero).")
@click.option("--desk", help="Sportello che manda.")
@click.option("--callback", help="Telefono dello sportello per richiamare.")
@click.option("--description", help="Solo ciò che serve al servizio ricevente (600 caratteri).")
@click.option("--active-services", help="Servizi già attivi.")
@click.option("--offices-tried", type=Whole(), help="Quanti uffici sono già stati sentiti.")
@click.option("--said-by-voice", type=Moment(), help="Già detto a voce: «20/11/2026 21:35».")
@click.option("--given-name", help="Nome della persona.")
@click.option("--family-name", help="Cognome della persona.")
@click.option("--birth-year", type=Whole(), help="Anno di nascita.")
@click.option("--language", help="Lingua della persona.")
@click.option("--residence", help="Comune di residenza (nome o codice ISTAT).")
@click.option("--phone", help="Telefono della persona.")
@click.option("--safe-contact", help="Contatto sicuro.")
@click.option("--household-size", type=Whole(), help="Persone in famiglia.")
@click.option("--reporter", type=OneOf("self", "relative", "neighbour", "professional", "body"), help="Chi segnala.")
@click.option("--requester", type=OneOf("group", "body"), help="Chiede un gruppo o un ente, per sé: nessuna persona.")
@click.option("--requester-name", help="Nome del gruppo o dell'ente.")
@click.option("--requester-phone", help="Telefono del gruppo o dell'ente.")
@click.option("--requester-email", help="E-mail del gruppo o dell'ente.")
@click.option("--law", help="Base giuridica, per esempio «GDPR 6(1)(e)».")
@click.option("--purpose", help="Finalità della comunicazione.")
@click.option("--notice-version", help="Versione dell'informativa data.")
@click.option("--notice-date", type=Day(), help="Data dell'informativa (20/11/2026).")
@click.option("--consent-to", help="Ufficio per cui è dato il consenso, se è questa la base.")
@click.option("--consent-how", type=OneOf("signed", "spoken"), help="Come è stato dato il consenso.")
@click.option("--linked-from", help="Invio precedente da cui questo nasce.")
@attach_options
@click.option(
    "--ask", "ask_", is_flag=True, help="Chiede riga per riga ciò che manca; per RK-PUA e RK-PIS undici righe."
)
@click.option("--check", is_flag=True, help="Mostra solo le avvertenze, senza inviare.")
@click.option("--yes", is_flag=True, help="Non chiede conferma delle avvertenze.")
@pass_session
def refer(session: Session, /, to: str, as_: str, **given: Any) -> None:
    """Manda un invio firmato e sigillato. Prima mostra le avvertenze: territorio, requisiti, valutazione, posti.

    L'invio parte da solo appena c'è rete; la ricevuta si vede con «sent».
    """
    offer = _offer(given)
    files = given_files(session, given["attach"], given["preview"], given["reduce"])
    warned = _warnings(session, offer, to)
    if given["check"]:
        session.tell("Nessun invio è partito." if warned else "Nessuna avvertenza. Nessun invio è partito.")
        return
    if warned and not given["yes"] and sys.stdin.isatty() and not click.confirm("Inviare lo stesso?", err=True):
        raise click.Abort
    request = ask.Refer(to=to, offer=offer, as_=as_, linked_from=given["linked_from"], files=files)
    try:
        raw = session.call("refer", request)
    except ProtocolError as error:
        if error.code != "external-body" or session.json:
            raise
        slip_instead(session, to)
        return
    session.show(raw, Done, lambda done: f"Invio registrato: {done.leg}\nParte da solo.")


_OFFER: Final = (
    "referral", "urgency", "subject", "need", "target", "category", "service", "desk", "callback", "description",
    "active_services", "offices_tried",
)  # fmt: skip
_PERSON: Final = (
    "given_name", "family_name", "birth_year", "language", "residence", "phone", "safe_contact", "household_size",
)  # fmt: skip
_BASIS: Final = ("law", "purpose", "notice_version", "notice_date", "consent_to", "consent_how")


def _offer(given: Mapping[str, Any]) -> Offer:
    """The sheet from a file and the options; an option wins. Raises bad-shape with the field."""
    held: dict[str, Any] = read_json(given["file"], dict[str, Any]) if given["file"] is not None else {}
    coded = {name: _code(given[name], name) for name in _CODED if given[name] is not None}
    usual: dict[str, Any] = {"urgency": "UR-ORD", "subject": "person", "case": ""}
    offer = {**usual, **held, **_given(given, _OFFER), **coded}
    for name, fields in (("person", _PERSON), ("basis", _BASIS)):
        if part := _given(given, fields):
            offer[name] = {**offer.get(name, {}), **part}
    if given["residence"]:
        offer["person"]["residence"] = _istat(given["residence"])
    if given["reporter"] is not None:
        offer["reporter"] = {**offer.get("reporter", {}), "kind": given["reporter"]}
    asking = {"who": given["requester"], **{name: given[f"requester_{name}"] for name in ("name", "phone", "email")}}
    if asking := {name: value for name, value in asking.items() if value is not None}:
        offer["requester"] = {**offer.get("requester", {}), **asking}
        if given["subject"] is None and "subject" not in held:
            offer["subject"] = "group" if offer["requester"].get("who") == "group" else "none"
    if (said := seconds(given["said_by_voice"], "said-by-voice")) is not None:
        offer["by_voice_at"] = said
    if "referral" not in offer:
        raise click.UsageError("Serve il tipo di invio: --referral RK-… oppure --file.")
    if given["ask_"]:
        from node.cli_forms import ask_offer

        offer = ask_offer(offer, {name for name in usual if name not in held and given.get(name) is None})
    return _checked(offer, Offer)


_CODED: Final[Mapping[str, str]] = {
    "referral": "referral_kinds", "urgency": "urgency_levels", "need": "need_areas", "target": "target_groups",
    "category": "service_categories",
}  # fmt: skip


def _code(text: str, field: str) -> str:
    """Raises unknown-code with the codes there are."""
    from node.asked import code

    return code(text, _CODED[field], field)


def coded(path: str, text: str) -> str:
    """What a person answered for a field that holds a code, as its code; other texts as they are."""
    if path in _CODED:
        return _code(text, path)
    return _istat(text) if path == "person.residence" else text


def _istat(text: str) -> str:
    """A comune of the vocabulary by name; a network's own list knows its codes only. Raises unknown-code."""
    if text.isdigit():
        return text
    from node.asked import comune
    from protocol.territory import Territory
    from schemas.vocabularies import table

    return comune(text, Territory.from_rows(table("comuni").values()), "residence")


def _given(given: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: given[name] for name in names if given[name] is not None}


def _checked(value: object, type_: type[Offer]) -> Offer:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        what, _, field = str(error).partition(" - at `$")
        raise ProtocolError("bad-shape", field=field.strip("`.") or "offer", expected=what) from None


def _warnings(session: Session, offer: Offer, to: str) -> bool:
    """Says on standard error what the map knows against this referral; True when there is something to mind."""
    if offer.need is UNSET:
        return False
    person = offer.person if offer.person is not UNSET else Person()
    request = ask.Route(
        need=offer.need,
        targets=[] if offer.target is UNSET else [offer.target],
        residence=None if person.residence is UNSET else person.residence,
        urgency=offer.urgency,
        kind=offer.referral,
        health=offer.health is not UNSET,
        limit=200,
    )
    advice = msgspec.json.decode(session.call("route", request), type=Advice)
    chosen = [p for p in advice.proposals if p.node == to and offer.service in (UNSET, p.service)]
    if not chosen:
        session.tell("Attenzione: nella mappa questo ufficio non ha un servizio per questo bisogno.")
        return True
    best = chosen[0]
    if not best.warnings and not best.telephone_first:
        return False
    first = advice.first if "assessment-first" in {why.code for why in best.warnings} else []
    session.tell(advice_text(Advice(proposals=[best], first=first, total=1)))
    return True


# -- acting


class Verb(NamedTuple):
    """One event a person writes: what the help says, which options it takes (those with True are required)."""

    ev: str
    help: str
    options: Mapping[str, bool] = {}


class _Option(NamedTuple):
    flag: str
    help: str


OPTIONS: Final[Mapping[str, _Option]] = {
    "reason": _Option("--reason", "Motivo."),
    "outcome": _Option("--outcome", "Esito (OU-…)."),
    "text": _Option("--text", "Testo per l'altro ufficio (600 caratteri)."),
    "ref": _Option("--ref", "Riferimento della pratica."),
    "to_node": _Option("--to", "Ufficio indicato."),
    "of": _Option("--of", "Invio di cui questo è un doppione."),
    "when": _Option("--when", "Data e ora: «24/11/2026 9:30»."),
    "file": _Option("--file", "Scheda completa aggiornata, in JSON."),
}
REASONS: Final[Mapping[str, str]] = {
    "cancel": "no-answer, no-longer-needed, other-way, person-withdrew, wrong-recipient",
    "lapse": "silent, left-network",
    "release": "DR-…, oppure cancel-agreed",
}
_TYPES: Final[Mapping[str, click.ParamType[Any]]] = {"file": InFile(), "when": Moment()}
_FACT: Final = {"when": False, "text": False}
VERBS: Final[Mapping[str, Verb]] = {
    "open": Verb("open", "Apre un invio ricevuto: l'altro ufficio lo saprà."),
    "ask": Verb("ask", "Chiede altre informazioni.", {"text": True}),
    "answer": Verb("answer", "Risponde alla richiesta di informazioni.", {"text": True}),
    "accept": Verb("accept", "Accoglie l'invio.", {"ref": False, "text": False}),
    "decline": Verb("decline", "Non accoglie, con il motivo.", {"reason": True, "text": False, "of": False}),
    "redirect": Verb("redirect", "Indica un altro ufficio.", {"reason": True, "to_node": True, "text": False}),
    "waitlist": Verb("waitlist", "Mette in lista d'attesa.", {"when": False, "text": False}),
    "start": Verb("start", "Prende in carico (assistenti sociali).", {"ref": False, "text": False}),
    "close": Verb("close", "Conclude con un esito.", {"outcome": True, "text": False}),
    "withdraw": Verb("withdraw", "Segna la rinuncia della persona.", {"text": False}),
    "release": Verb("release", "Lascia l'invio, con il motivo.", {"reason": True, "text": False}),
    "keep": Verb("keep", "Prosegue nonostante il ritiro chiesto.", {"text": False}),
    "amend": Verb("amend", "Integra o corregge l'invio mandato, o vi aggiunge allegati.", {"file": False}),
    "cancel": Verb("cancel", "Ritira l'invio mandato, con il motivo.", {"reason": True, "text": False}),
    "lapse": Verb("lapse", "Dichiara decaduto un invio senza risposta.", {"reason": True}),
    "note": Verb("noted", "Scrive una nota per l'altro ufficio.", {"text": True}),
    "appointment": Verb("appointment", "Fissa un appuntamento.", {"when": True, "text": False}),
    "reschedule": Verb("rescheduled", "Sposta l'appuntamento.", {"when": True, "text": False}),
    "missed": Verb("missed", "Segna che la persona non si è presentata.", _FACT),
    "arrived": Verb("arrived", "Segna che la persona è arrivata.", _FACT),
}


def _verb(name: str, verb: Verb) -> click.Command:
    def run(session: Session, /, leg: str, as_: str, side: str | None, **given: Any) -> None:
        file: Path | None = given.pop("file", None)
        offer = _checked(read_json(file, dict[str, Any]), Offer) if file is not None else None
        when = seconds(given.pop("when", None), "when")
        files = given_files(session, given.pop("attach", ()), given.pop("preview", None), given.pop("reduce", False))
        if verb.ev == "amend" and offer is None and not files:
            raise click.UsageError("Serve la scheda completa (--file) oppure un allegato (--attach).")
        request = ask.Act(leg=leg, ev=verb.ev, as_=as_, side=side, offer=offer, when=when, files=files, **given)  # type: ignore[arg-type]
        session.show(session.call("act", request), Done, done_text)

    decorated: Callable[..., Any] = pass_session(run)
    if verb.ev in ATTACHING:
        decorated = attach_options(decorated)
    for field, required in reversed(list(verb.options.items())):
        option = OPTIONS[field]
        if field == "reason":
            option = option._replace(help=f"Motivo: {REASONS.get(verb.ev, 'DR-…')}.")
        type_ = _TYPES.get(field)
        decorated = click.option(option.flag, field, required=required, help=option.help, type=type_)(decorated)
    side = click.option("--side", type=OneOf("S", "R"), help="Nei passaggi interni: chi manda (S) o chi riceve (R).")
    decorated = click.argument("leg", metavar="INVIO")(as_option(required=True)(side(decorated)))
    return click.command(name, cls=ItalianCommand, help=verb.help, short_help=verb.help)(decorated)


@click.command("hand-over", cls=ItalianCommand, short_help="Passa un caso a un altro sportello dello stesso ente.")
@click.argument("leg", metavar="INVIO")
@click.argument("desk_to", metavar="SPORTELLO")
@as_option(required=True)
@click.option("--text", help="Due righe per chi riceve.")
@pass_session
def hand_over(session: Session, leg: str, desk_to: str, as_: str, text: str | None) -> None:
    """Passa un invio ricevuto a un altro sportello dello stesso ente: stessi passi e stesse scadenze."""
    request = ask.HandOver(leg=leg, desk_to=desk_to, as_=as_, text=text)
    session.show(session.call("hand-over", request), Done, done_text)


@click.command("follow-redirect", cls=ItalianCommand, short_help="Conferma l'ufficio indicato e manda l'invio lì.")
@click.argument("leg", metavar="INVIO")
@as_option(required=True)
@click.option("--to", help="Un altro ufficio, se non quello indicato.")
@click.option("--law", help="Base giuridica, se cambia con il destinatario.")
@click.option("--purpose", help="Finalità.")
@click.option("--notice-version", help="Versione dell'informativa.")
@click.option("--notice-date", type=Day(), help="Data dell'informativa (20/11/2026).")
@click.option("--consent-to", help="Ufficio per cui è dato il consenso.")
@click.option("--consent-how", type=OneOf("signed", "spoken"), help="Come è stato dato.")
@pass_session
def follow_redirect(session: Session, /, leg: str, as_: str, to: str | None, **given: Any) -> None:
    """Dopo averne parlato con la persona: nuovo invio, collegato a quello reindirizzato.

    Gli allegati non seguono da soli: si allegano di nuovo, con «amend --attach».
    """
    request = ask.FollowRedirect(leg=leg, as_=as_, to=to, basis=_basis(given))
    session.show(session.call("follow-redirect", request), Done, done_text)


def _basis(given: Mapping[str, Any]) -> Basis | None:
    """The legal basis of the options, whole or not at all."""
    fields = _given(given, _BASIS)
    if fields and {"law", "purpose", "notice_version", "notice_date"} - fields.keys():
        raise click.UsageError("La base giuridica vuole --law, --purpose, --notice-version e --notice-date.")
    return Basis(**fields) if fields else None


@click.command("forward", cls=ItalianCommand, short_help="Inoltra all'ufficio competente un invio accolto.")
@click.argument("leg", metavar="INVIO")
@click.argument("to", metavar="UFFICIO")
@as_option(required=True)
@click.option("--referral", help="Tipo di invio (RK-…), se cambia.")
@click.option("--service", help="Voce della mappa (codice intero).")
@click.option("--text", help="Descrizione per il nuovo ufficio, se cambia (600 caratteri).")
@click.option(
    "--pass-attachment",
    metavar="NUMERO",
    multiple=True,
    type=Whole(),
    help="Allegato da inoltrare, con il numero di «attachments» (ripetibile). Da solo non parte nessun allegato.",
)
@click.option("--law", help="Base giuridica, se quella data non copre il nuovo ufficio.")
@click.option("--purpose", help="Finalità.")
@click.option("--notice-version", help="Versione dell'informativa.")
@click.option("--notice-date", type=Day(), help="Data dell'informativa (20/11/2026).")
@click.option("--consent-to", help="Ufficio per cui è dato il consenso.")
@click.option("--consent-how", type=OneOf("signed", "spoken"), help="Come è stato dato.")
@pass_session
def forward(session: Session, /, leg: str, to: str, as_: str, **given: Any) -> None:
    """Solo per gli enti che smistano, dopo «accept». Chi ha inviato vede a chi e a che punto è; l'esito torna da solo.

    Se l'altro ufficio non accoglie o lascia, decide una persona: inoltrare ad altri, o «release».
    """
    request = ask.Forward(
        leg=leg, to=to, as_=as_, referral=given["referral"], service=given["service"], text=given["text"],
        basis=_basis(given), attachments=list(given["pass_attachment"]),
    )  # fmt: skip
    session.show(session.call("forward", request), Done, done_text)


@click.command("take-back", cls=ItalianCommand, short_help="Riprende l'ultimo passaggio, se nessuno l'ha ancora avuto.")
@click.argument("leg", metavar="INVIO")
@as_option(required=True)
@pass_session
def take_back(session: Session, leg: str, as_: str) -> None:
    """L'ufficio sbagliato, di venerdì: finché l'altro non l'ha ricevuto. Dopo: telefonare e «cancel»."""
    asked = ask.TakeBack(leg=leg, as_=as_)
    session.show(session.call("take-back", asked), ask.TakenBack, _taken_back)


def _taken_back(done: ask.TakenBack) -> str:
    if done.unread:
        return "Ripreso: nessuno l'ha ricevuto."
    return "Annullato. Se l'altro ufficio l'avesse già avuto, saprà che non vale: se è urgente, telefonare."


@click.command("assign", cls=ItalianCommand, short_help="Affida un invio a un operatore.")
@click.argument("leg", metavar="INVIO")
@click.argument("code", metavar="CODICE")
@as_option(required=True)
@pass_session
def assign(session: Session, leg: str, code: str, as_: str) -> None:
    """I volontari vedono solo gli invii affidati a loro."""
    session.show(session.call("assign", ask.Assign(leg=leg, code=code, as_=as_)), dict[str, Any], lambda _: "Affidato.")


# -- access log


@click.command("access-log", cls=ItalianCommand, short_help="Chi ha aperto quali invii.")
@as_option(required=True)
@click.option("--case", "case_", metavar="INVIO", help="Solo un invio.")
@pass_session
def access_log(session: Session, as_: str, case_: str | None) -> None:
    """Il registro degli accessi: codici, mai nomi."""
    session.show(session.call("access-log", ask.AccessLog(as_=as_, case=case_)), AccessLog, _accesses)


def _accesses(log: AccessLog) -> str:
    rows = [(clock(row.at), row.operator, row.action, short_code(row.leg)) for row in log.rows]
    state = "Il registro è integro." if log.intact else "ATTENZIONE: il registro è stato alterato."
    return terminal.table(("Quando", "Operatore", "Che cosa", "Invio"), rows) + state


COMMANDS: Final = (
    refer, inbox, sent, cases, case, *(_verb(name, verb) for name, verb in VERBS.items()), hand_over, follow_redirect,
    forward, take_back, assign, access_log,
)  # fmt: skip
