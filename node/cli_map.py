"""search, service, map, route: what the command line asks of the map. Shows, decides nothing."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from node import requests as ask
from node.cli_kit import ItalianCommand, Moment, OneOf, OutFile, Session, Whole, italian_day, pass_session
from node.runtime import terminal
from node.runtime.wording import say
from protocol.errors import ProtocolError


class _Note(Struct, array_like=True):
    code: str
    text: str


class _Hit(Struct):
    id: str
    node: str
    name: str
    member: str
    opening: str
    hours: str
    address: str
    waiting: str
    verified: str
    fresh: bool
    network_only: bool
    for_whom: list[str]
    papers: list[str]
    phones: list[str]
    reasons: list[_Note]
    warnings: list[_Note]
    distance_km: float | None
    distance_how: str | None


class _Corrected(Struct, array_like=True):
    typed: str
    understood: list[str]


class _Hits(Struct):
    total: int
    items: list[_Hit]
    corrected: list[_Corrected]
    partial: bool
    widened: bool


def _many(name: str, text: str) -> Any:
    return click.option(name, multiple=True, metavar="VALORE", help=text)


_FILTERS = (
    _many("--need", "Bisogno (NA-…). Si può ripetere, come le altre opzioni a elenco."),
    _many("--target", "Destinatari (TG-…)."),
    click.option("--for-everybody", is_flag=True, help="Con --target: anche ciò che è per tutti."),
    _many("--category", "Tipo di servizio (SC-…)."),
    _many("--kind", "service, benefit, performance, place, equipment, group."),
    click.option("--comune", help="Dove si trova, o che serve (nome o codice ISTAT)."),
    click.option("--residence", help="Comune di residenza della persona."),
    click.option("--near", help="Comune da cui misurare le distanze."),
    click.option("--zone", help="Zona o quartiere dello sportello."),
    _many("--member", "Ente (nome tecnico)."),
    _many("--owner", "Titolare (nome tecnico)."),
    _many("--provider", "Gestore (nome tecnico)."),
    _many("--sector", "public, private."),
    _many("--management", "direct, district, contracted, private."),
    _many("--system", "social, pension, health."),
    _many("--access", "direct, social-service, desk-referral, assessment."),
    click.option("--anonymous", is_flag=True, help="Con accesso anonimo."),
    _many("--language", "Lingua parlata (it, ar, sq…)."),
    click.option("--step-free", is_flag=True, help="Senza barriere all'ingresso."),
    _many("--accessibility", "Accessibilità (AX-…)."),
    _many("--cost", "Costo (CT-…)."),
    click.option("--age", type=Whole(), help="Età della persona."),
    click.option("--at", type=Moment(), help="Momento di cui si chiede: «20/11/2026 11:40»."),
    click.option("--open", "open_", is_flag=True, help="Solo ciò che è aperto in quel momento."),
    click.option("--open-at", type=Moment(), help="Come --at con --open: aperto in quel momento."),
    click.option("--fresh", is_flag=True, help="Solo voci verificate negli ultimi 180 giorni."),
    click.option("--within-km", type=Whole(), help="Entro questi chilometri."),
    click.option(
        "--order", type=OneOf("useful", "near"), default="useful", help="Prima il più utile, o il più vicino."
    ),
    click.option("--public", is_flag=True, help="Solo la mappa pubblica."),
    click.option("--limit", type=Whole(), default=20, help="Quanti risultati (20)."),
    click.option("--offset", type=Whole(), default=0, help="Da quale risultato."),
)


def _with_filters(function: Any) -> Any:
    for option in reversed(_FILTERS):
        function = option(function)
    return function


@click.command("search", cls=ItalianCommand, short_help="Cerca nella mappa dei servizi.")
@click.argument("words", nargs=-1, metavar="[PAROLE]…")
@_with_filters
@pass_session
def search(session: Session, /, words: tuple[str, ...], **given: Any) -> None:
    """Cerca nella mappa: chi può aiutare, qui vicino, presto. Ogni risultato dice perché c'è.

    Esempi: search bollette --residence Montelabbate · search assistenza --open-at "20/11/2026 11:40"
    """
    request = ask.Search(
        text=" ".join(words),
        view="public" if given["public"] else "members",
        needs=list(given["need"]),
        targets=list(given["target"]),
        for_everybody=given["for_everybody"],
        categories=list(given["category"]),
        kinds=list(given["kind"]),
        comune=given["comune"],
        residence=given["residence"],
        near=given["near"],
        zone=given["zone"],
        member=list(given["member"]),
        owner=list(given["owner"]),
        provider=list(given["provider"]),
        sector=list(given["sector"]),
        management=list(given["management"]),
        system=list(given["system"]),
        access=list(given["access"]),
        anonymous=given["anonymous"],
        languages=list(given["language"]),
        step_free=given["step_free"],
        accessibility=list(given["accessibility"]),
        costs=list(given["cost"]),
        age=given["age"],
        at=given["open_at"] or given["at"],
        open=given["open_"] or given["open_at"] is not None,
        fresh=given["fresh"],
        within_km=given["within_km"],
        order=given["order"],
        limit=given["limit"],
        offset=given["offset"],
    )
    raw = session.call("search", request)
    session.show(raw, _Hits, lambda found: _hits(found, given["offset"]) + _no_map(session, found))


class _Standing(Struct):
    state: str


class _Status(Struct):
    joining: _Standing


def _no_map(session: Session, found: _Hits) -> str:
    """Nothing found by one who is not in the network yet: the reason, instead of doubts about the words."""
    if found.items:
        return ""
    standing = msgspec.json.decode(session.call("status", ask.Nothing()), type=_Status).joining.state
    return "" if standing == "admitted" else "\nQuesto ente non è ancora nella rete, e la sua mappa è vuota: «status»."


def _hits(found: _Hits, offset: int) -> str:
    lines = []
    for word in found.corrected:
        taken = ", ".join(word.understood)
        lines.append(f"«{word.typed}» non si trova: " + (f"cercato {taken}." if taken else "nulla di simile."))
    if found.partial:
        lines.append("Nessuna voce ha tutte le parole: ecco quelle che ne hanno di più.")
    if found.widened:
        lines.append("Nel comune indicato non c'è nulla: ecco il più vicino.")
    if not found.items:
        return "\n".join([*map(terminal.wrap, lines), "Nessun risultato. Provare con meno parole o meno filtri."])
    for number, hit in enumerate(found.items, offset + 1):
        lines += ["", *_hit(number, hit)]
    return "\n".join([*lines, "", f"{offset + 1}–{offset + len(found.items)} di {found.total}"]).lstrip("\n")


def _hit(number: int, hit: _Hit) -> list[str]:
    km = "" if hit.distance_km is None else f" · {hit.distance_km:g} km".replace(".", ",")
    if km and hit.distance_how == "centroid":
        km += " (fra i centri dei comuni)"
    mark = " [solo per la rete]" if hit.network_only else ""
    return [
        terminal.headed(f"{number}. {hit.name}", f" – {hit.member}{mark}"),
        f"   {hit.opening}{km}",
        *_pair("Per chi", ", ".join(hit.for_whom)),
        *_pair("Orari", hit.hours),
        *_pair("Telefono", ", ".join(hit.phones)),
        *_pair("Indirizzo", hit.address),
        *_pair("Documenti", ", ".join(hit.papers)),
        *_pair("Attesa", hit.waiting),
        *_pair("Verificato", italian_day(hit.verified)),
        *_pair("Perché", "; ".join(note.text.rstrip(".") for note in hit.reasons)),
        *_warned(hit.warnings),
        terminal.tone(f"   {hit.node} {hit.id}", "dim", sys.stdout),
    ]


def _pair(label: str, value: str) -> list[str]:
    return [terminal.wrap(f"{label}: {value}", before="   ", after="     ")] if value else []


def _warned(notes: "list[_Note] | list[_Why]") -> list[str]:
    lines = (terminal.wrap(f"Attenzione: {note.text}", before="   ", after="     ") for note in notes)
    return [terminal.tone(line, "warn", sys.stdout) for line in lines]


# -- one service


class _Sheet(Struct):
    id: str
    node: str
    member: str
    service: dict[str, Any]
    network_only: bool
    for_whom: list[str]
    opening: str
    fresh: bool
    warnings: list[_Note]


@click.command("service", cls=ItalianCommand, short_help="Mostra un servizio della mappa.")
@click.argument("id_", metavar="VOCE")
@click.option("--node", help="Ente che lo pubblica, se lo stesso codice è di due enti.")
@click.option("--public", is_flag=True, help="Come lo vede chiunque.")
@pass_session
def service(session: Session, id_: str, node: str | None, public: bool) -> None:
    """Un servizio intero, per codice o per le sue prime cifre."""
    request = ask.ShowService(id=id_, node=node, view="public" if public else "members")
    session.show(session.call("service", request), _Sheet, _sheet)


def _sheet(sheet: _Sheet) -> str:
    record = sheet.service
    documents = ", ".join(item["document"] for item in record.get("required_documents", ()))
    notice = record.get("notice", {})
    lines = [
        terminal.headed(record["name"], f" – {sheet.member}"),
        *([say("Solo per gli enti della rete.")] if sheet.network_only else []),
        *_pair("Adesso", sheet.opening),
        *_pair("Che cosa", record.get("description", "")),
        *_pair("Per chi", ", ".join(sheet.for_whom)),
        *_pair("Requisiti", record.get("eligibility_description", "")),
        *_pair("Documenti", documents),
        *_pair("Costo", record.get("fees_description", "")),
        *_pair("Orari", record.get("hours", {}).get("text", "")),
        *_pair("Telefono", ", ".join(item["number"] for item in record.get("phones", ()))),
        *_pair("E-mail", record.get("email", "")),
        *_pair("Attesa", record.get("waiting", {}).get("text", "")),
        *_pair("Verificato", italian_day(record.get("verified_at", ""))),
        *_pair(
            "Avviso",
            notice.get("text", "") + (f" (fino al {italian_day(notice['until'])})" if "until" in notice else ""),
        ),
        *_warned(sheet.warnings),
        terminal.tone(f"   {sheet.node} {sheet.id}", "dim", sys.stdout),
    ]
    return "\n".join(lines)


# -- the whole map


class _Page(Struct):
    version: int
    lines: list[msgspec.Raw]
    next: int | None


class _GuideLine(Struct):
    name: str
    member: str
    comune: str
    address: str
    phones: list[str]
    hours: str


class _GuidePart(Struct):
    title: str
    entries: list[_GuideLine]
    also: list[_GuideLine] = []


@click.command("map", cls=ItalianCommand, short_help="La mappa intera: guida o formato aperto.")
@click.option("--ndjson", is_flag=True, help="Una riga JSON per voce, gli stessi byte in tutta la rete.")
@click.option(
    "--views",
    type=OneOf("bodies", "services", "places", "targets"),
    help="Guida per enti, servizi, luoghi o destinatari.",
)
@click.option("--out", type=OutFile(), help="Scrive in un file invece che a schermo (con --ndjson).")
@click.option("--public", is_flag=True, help="Solo la mappa pubblica.")
@pass_session
def map_(session: Session, ndjson: bool, views: str | None, out: Path | None, public: bool) -> None:
    """La mappa dei servizi come la conosce questo computer, anche senza rete."""
    view: ask.View = "public" if public else "members"
    if ndjson:
        _write_map(_ndjson(session, view), out)
        return
    raw = session.call("guide", ask.MapViews(view=view, by=views or "bodies"))  # type: ignore[arg-type]  # OneOf checked
    session.show(raw, list[_GuidePart], _guide)


def _ndjson(session: Session, view: ask.View) -> bytes:
    """All pages of one version; when the map changes meanwhile, from the beginning."""
    for _ in range(5):
        try:
            return b"".join(_pages(session, view))
        except ProtocolError as error:
            if error.code != "log-moved":
                raise
    raise ProtocolError("busy")


def _pages(session: Session, view: ask.View) -> list[bytes]:
    lines: list[bytes] = []
    page = _Page(version=-1, lines=[], next=0)
    with terminal.Progress(say("Voci della mappa")) as progress:
        while page.next is not None:
            version = None if page.version < 0 else page.version
            raw = session.call("map", ask.MapPage(view=view, after=page.next, version=version))
            page = msgspec.json.decode(raw, type=_Page)
            lines += [bytes(line) + b"\n" for line in page.lines]
            progress.step(len(page.lines))
    return lines


def _write_map(content: bytes, out: Path | None) -> None:
    if out:
        out.write_bytes(content)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)


def _guide(parts: list[_GuidePart]) -> str:
    lines: list[str] = []
    for part in parts:
        lines += ["", terminal.tone(part.title, "bold", sys.stdout)]
        for one in (*part.entries, *part.also):
            where = (
                one.address
                if one.comune and one.comune in one.address
                else ", ".join(text for text in (one.address, one.comune) if text)
            )
            lines.append(terminal.wrap(f"{one.name} – {one.member}", before="  ", after="    "))
            shown = (where, ", ".join(one.phones), one.hours)
            lines += [terminal.wrap(text, before="    ", after="      ") for text in shown if text]
    return "\n".join(lines).lstrip("\n") or "La mappa è vuota."


# -- route


class _Why(Struct):
    code: str
    text: str


class _Proposed(Struct):
    service: str
    name: str
    node: str
    member: str
    reasons: list[_Why]
    warnings: list[_Why]
    opening: str
    phones: list[str] = []
    distance_km: int | None = None
    telephone_first: bool = False
    competent: str | None = None
    competent_name: str | None = None


class Advice(Struct):
    proposals: list[_Proposed]
    first: list[_Proposed]
    total: int


@click.command("route", cls=ItalianCommand, short_help="A chi inviare: proposte con motivi e avvertenze.")
@click.argument("leg", metavar="[INVIO]", required=False)
@click.option("--need", help="Bisogno (NA-…). Necessario senza INVIO, o se la scheda dell'invio non lo dice.")
@click.option("--target", multiple=True, help="Destinatari (TG-…).")
@click.option("--age", help="Età, o fascia: 82, 65-80.")
@click.option("--residence", help="Comune di residenza (nome o codice ISTAT).")
@click.option("--urgency", default="UR-ORD", help="Urgenza (UR-…).")
@click.option("--referral", "kind", help="Tipo di invio previsto (RK-…).")
@click.option("--health", is_flag=True, help="Insieme al bisogno sociale c'è un bisogno sanitario.")
@click.option("--limit", type=Whole(), default=10, help="Quante proposte (10).")
@click.option("--as", "as_", metavar="CODICE", help="Con INVIO: codice dell'operatore.")
@click.option("--choose", type=Whole(), help="Con INVIO: sceglie la proposta con questo numero e inoltra.")
@click.option("--why", help="Con --choose: perché non la prima proposta (600 caratteri).")
@click.option("--text", help="Con --choose: descrizione per il nuovo ufficio, se cambia.")
@click.option(
    "--pass-attachment",
    metavar="NUMERO",
    multiple=True,
    type=Whole(),
    help="Con --choose: allegato da inoltrare, con il numero di «attachments» (ripetibile).",
)
@click.option("--chosen", is_flag=True, help="Con INVIO: le scelte già fatte, e perché.")
@pass_session
def route(
    session: Session, /, leg: str | None, need: str | None, target: tuple[str, ...], age: str | None,
    residence: str | None, urgency: str, kind: str | None, health: bool, limit: int, **chosen: Any,
) -> None:  # fmt: skip
    """Propone i servizi competenti, i migliori prima. Decide la persona allo sportello, insieme a chi chiede aiuto.

    Con un INVIO da smistare («to-route») le proposte nascono dalla sua scheda, e --choose inoltra a quella scelta.
    """
    if leg is not None:
        from node.cli_routing import route_case

        route_case(session, leg, need, limit, referral=kind, **chosen)
        return
    if need is None:
        raise click.UsageError("Serve il bisogno: --need NA-…, oppure un INVIO da smistare.")
    request = ask.Route(
        need=need, targets=list(target), age=age, residence=residence, urgency=urgency, kind=kind, health=health,
        limit=limit,
    )  # fmt: skip
    session.show(session.call("route", request), Advice, advice_text)


def advice_text(advice: Advice) -> str:
    """Proposals as numbered paragraphs; what has to come before them stands first."""
    lines: list[str] = []
    if advice.first:
        lines += ["Per ciò che chiede una valutazione, prima passare da:"]
        lines += [line for proposed in advice.first for line in _proposal("•", proposed)]
        lines.append("")
    lines += [line for n, proposed in enumerate(advice.proposals, 1) for line in _proposal(f"{n}.", proposed)]
    if not advice.proposals:
        lines.append("Nessun servizio della mappa risponde. È un bisogno senza risposta: segnalarlo al coordinatore.")
    return "\n".join(lines)


def _proposal(mark: str, proposed: _Proposed) -> list[str]:
    km = "" if proposed.distance_km is None else f" · {proposed.distance_km} km"
    lines = [terminal.headed(f"{mark} {proposed.name}", f" – {proposed.member}")]
    if proposed.telephone_first:
        phones = ", ".join(proposed.phones) or "numero non indicato"
        lines.append(terminal.tone(f"   PRIMA TELEFONARE: {phones}", "fail", sys.stdout))
    lines.append(f"   {proposed.opening}{km}")
    lines += [line for why in proposed.reasons for line in _pair("Perché", why.text)]
    lines += _warned(proposed.warnings)
    if proposed.competent_name:
        lines += _pair("Competente per la residenza", f"{proposed.competent_name} ({proposed.competent})")
    return [*lines, terminal.tone(f"   {proposed.node} {proposed.service}", "dim", sys.stdout)]


COMMANDS = (search, service, map_, route)
