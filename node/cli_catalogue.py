"""import, entries, confirm, notice, publish: the command line of one's own catalogue. Shows, decides nothing.

`import FILE --preview` needs no store, no keys and no network: the sheet alone.
"""

import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from msgspec import Struct

from node import requests as ask
from node.cli_kit import (
    Day,
    InFile,
    ItalianCommand,
    OutFile,
    Session,
    Whole,
    as_option,
    italian_day,
    pass_session,
    which_options,
)
from node.runtime import terminal
from node.runtime.wording import say, what_happened, what_to_do
from protocol.errors import ProtocolError

CONFIG_NAME: Final = "raccordo.toml"


# -- import


class _Remark(Struct):
    message: str
    column: str = ""


class _Suggested(Struct):
    kind: str
    text: str


class _Row(Struct):
    line: int
    outcome: str
    record: dict[str, Any] | None
    problems: list[_Remark]
    suggestions: list[_Suggested]
    remarks: list[_Remark] = []
    known: bool = False
    visibility: str = "public"


class _Column(Struct):
    name: str
    field: str


class _Preview(Struct):
    rows: list[_Row]
    counts: dict[str, int]
    columns: list[_Column]
    sheet: str = ""
    other_sheets: list[str] = []


class _Profile(Struct):
    name: str
    ptype: str
    said_by: str


class _Imported(Struct):
    applied: bool
    file: str
    body: _Profile
    preview: _Preview
    fresh: int = 0
    changed: int = 0
    same: int = 0
    missing: list[str] = []
    withdrawn: list[str] = []


OUTCOMES: Final = {
    "imported": "importata",
    "imported_with_warnings": "importata con avvisi",
    "skipped_title": "titolo, saltata",
    "skipped_empty": "vuota, saltata",
    "skipped_note": "nota, saltata",
    "rejected": "NON importata",
}
SEVERAL: Final = {
    "imported": "importate",
    "imported_with_warnings": "importate con avvisi",
    "skipped_title": "titoli, saltate",
    "skipped_empty": "vuote, saltate",
    "skipped_note": "note, saltate",
    "rejected": "NON importate",
}
SAID_BY: Final = {
    "admission": "dall'ammissione alla rete",
    "request": "dalla richiesta di adesione",
    "options": "dalle opzioni",
    "sheet": "dal foglio",
}


@click.command("import", cls=ItalianCommand, short_help="Importa un foglio .csv o .xlsx nel proprio catalogo.")
@click.argument("file", required=False, metavar="[FILE]", type=InFile())
@click.option("--preview", is_flag=True, help="Mostra che cosa accadrebbe, riga per riga; non cambia nulla.")
@click.option("--template", metavar="FILE.xlsx", type=OutFile(), help="Scrive un foglio modello con i menu a tendina.")
@click.option("--withdraw-missing", is_flag=True, help="Ritira le voci che il nuovo foglio non ha più.")
@click.option("--accept", type=Whole(), multiple=True, help="Riga di cui si conferma «è la voce già importata».")
@click.option("--member", help="Solo con --preview senza rete: nome tecnico dell'ente.")
@click.option("--name", help="Solo con --preview senza rete: nome dell'ente.")
@click.option("--type", "ptype", help="Solo con --preview senza rete: tipo di ente (PT-…).")
@click.option("--comune", help="Solo con --preview senza rete: comune dell'ente.")
@click.option("--on", type=Day(), help="Solo con --preview senza rete: giorno di riferimento per le date (20/11/2026).")
@as_option()
@pass_session
def import_(session: Session, /, file: Path | None, template: Path | None, preview: bool, **given: Any) -> None:
    """Importa un foglio. Ogni riga ha un esito; un campo sbagliato si lascia fuori e si dice quale.

    Reimportando, ogni voce conserva la sua identità. Ciò che è importato va poi pubblicato con «publish».
    """
    if template is not None:
        _template(session, template)
        return
    if file is None:
        raise click.UsageError("Serve il foglio da importare, oppure --template FILE.xlsx.")
    if preview and not (session.data_dir / CONFIG_NAME).exists():
        raw = _alone(file, given)
    else:
        request = ask.Import(
            name=file.name,
            content=file.read_bytes(),
            preview=preview,
            withdraw_missing=given["withdraw_missing"],
            accept=list(given["accept"]),
            as_=given["as_"],
        )
        session.tell(say("Leggo {file}…").format(file=file.name))
        raw = session.call("import", request)
    if session.json:
        terminal.show(_flat(raw).decode())
    else:
        terminal.show(_imported(msgspec.json.decode(raw, type=_Imported)))


def _flat(raw: bytes) -> bytes:
    """For programs: the preview's own members (`rows`, `counts`, …) beside those of the import."""
    answer = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    shown = msgspec.json.decode(answer.pop("preview"), type=dict[str, msgspec.Raw])
    return msgspec.json.encode({**answer, **shown, "missing": answer.get("missing", msgspec.Raw(b"[]"))})


def _alone(file: Path, given: dict[str, Any]) -> bytes:
    from datetime import date, datetime

    from node.asked import code, comune
    from node.catalogue.importing import Profile, preview_alone
    from node.runtime.dice import SystemDice
    from protocol.territory import Territory
    from schemas.vocabularies import table

    territory = Territory.from_rows(table("comuni").values())
    profile = None
    if given["name"] or given["member"]:
        profile = Profile(
            node=given["member"] or "ente",
            name=given["name"] or given["member"],
            ptype=code(given["ptype"] or "PT-ETS", "participant_types", "type"),
            said_by="options",
            comune=comune(given["comune"], territory, "comune") if given["comune"] else None,
        )
    today = date.fromisoformat(given["on"]) if given["on"] else datetime.now().date()
    return msgspec.json.encode(
        preview_alone(file.read_bytes(), file.name, territory, today, SystemDice().uuid4, profile)
    )


def _imported(answer: _Imported) -> str:
    found = answer.preview
    ignored = [column.name for column in found.columns if column.field == "ignored" and column.name]
    lines = [
        f"{answer.file}: {answer.body.name} ({answer.body.ptype}, {SAID_BY[answer.body.said_by]})",
        *_sheets(found),
        *([terminal.wrap(f"Colonne non importate: {', '.join(ignored)}", after="  ")] if ignored else []),
        "",
    ]
    for row in found.rows:
        lines += _row(row)
    counts = ", ".join(
        f"{number} {(OUTCOMES if number == 1 else SEVERAL)[name]}" for name, number in found.counts.items()
    )
    lines += ["", terminal.wrap(f"Righe: {counts}.", after="  ")]
    if answer.missing and not answer.withdrawn:
        gone = ", ".join(answer.missing)
        lines.append(terminal.wrap(f"Voci che il foglio non ha più (restano): {gone}.", after="  "))
        lines.append("Per ritirarle: --withdraw-missing.")
    if not answer.applied:
        return "\n".join([*lines, "È un'anteprima: nulla è cambiato."])
    lines.append(
        f"Voci: {_count(answer.fresh, 'nuova', 'nuove')}, {_count(answer.changed, 'cambiata', 'cambiate')},"
        f" {_count(answer.same, 'uguale', 'uguali')} a prima."
    )
    if answer.withdrawn:
        lines.append(terminal.wrap(f"Ritirate: {', '.join(answer.withdrawn)}.", after="  "))
    return "\n".join([*lines, "Adesso: «publish» per metterle sulla mappa."])


def _sheets(found: _Preview) -> list[str]:
    """Which sheet of a workbook was read, when there are others."""
    if not found.other_sheets:
        return []
    others = ", ".join(f"«{name}»" for name in found.other_sheets)
    return [f"Letto solo il foglio «{found.sheet}». Non letti: {others}."]


def _row(row: _Row) -> list[str]:
    name = row.record["name"] if row.record else ""
    mark = " [solo per la rete]" if row.visibility == "network" else ""
    known = " (già nota)" if row.known else ""
    title = f" – {name}{mark}{known}" if name else ""
    lines = [terminal.wrap(f"riga {row.line}: {OUTCOMES[row.outcome]}{title}", after="  ")]
    for remark in row.problems:
        where = f"colonna «{remark.column}»: " if remark.column else ""
        remarked = terminal.wrap(f"{where}{remark.message}", before="    ", after="      ")
        lines.append(terminal.tone(remarked, "warn", sys.stdout))
    said = (
        *(remark.message for remark in row.remarks),
        *(f"Proposta: {suggestion.text}" for suggestion in row.suggestions),
    )
    return lines + [terminal.wrap(text, before="    ", after="      ") for text in said]


def _template(session: Session, path: Path) -> None:
    from node.importer.template import write_template

    if path.exists():
        raise ProtocolError("file-exists", field=path.name)
    write_template(path)
    session.tell(say("Scritto {path}: riempirlo e importarlo.").format(path=path))


# -- entries


class _Entry(Struct):
    id: str
    name: str
    visible: list[str]
    state: str
    completeness: int
    freshness: str
    used: int = 0
    lacks: list[str] = []
    verified: str = ""
    days: int | None = None
    notice: str = ""
    notice_until: str = ""


class _Zone(Struct):
    zone: str
    desks: int
    hours: float


class _Entries(Struct):
    entries: list[_Entry]
    zones: list[_Zone]
    total: int
    stale: int
    unverified: int
    unpublished: int


STATES: Final = {
    "collected": "raccolta",
    "classified": "classificata",
    "published": "pubblicata",
    "changed": "cambiata, da pubblicare",
}


@click.command("entries", cls=ItalianCommand, short_help="Le proprie voci: complete? verificate? pubblicate?")
@click.argument("words", nargs=-1, metavar="[PAROLE]…")
@click.option("--stale", is_flag=True, help="Solo quelle non verificate da 180 giorni, o mai.")
@pass_session
def entries(session: Session, words: tuple[str, ...], stale: bool) -> None:
    """Le voci del proprio catalogo, con ciò che manca e da quanto non sono verificate."""
    session.show(session.call("entries", ask.Entries(words=" ".join(words), stale=stale)), _Entries, _entries)
    if not session.json:
        chains = msgspec.json.decode(session.call("chains", ask.Nothing()), type=list[_Chain])
        terminal.show("\n".join(map(_chain, chains)) or "Mai pubblicato: «publish».")


def _entries(found: _Entries) -> str:
    rows = [
        (
            one.id[:8],
            one.name + (" [rete]" if one.visible == ["network"] else ""),
            STATES[one.state] + (f", usata {one.used}" if one.used else ""),
            f"{one.completeness}%" + (f" manca: {', '.join(one.lacks)}" if one.lacks else ""),
            _verified(one),
        )
        for one in found.entries
    ]
    table = terminal.table(("Voce", "Nome", "Stato", "Completa", "Verificata"), rows)
    notices = [f"Avviso su {one.name}: {one.notice}" + _until(one.notice_until) for one in found.entries if one.notice]
    counts = (
        f"{_count(found.total, 'voce', 'voci')}; {_count(found.stale, 'non verificata', 'non verificate')} da oltre"
        f" 180 giorni, {_count(found.unverified, 'mai verificata', 'mai verificate')},"
        f" {found.unpublished} da pubblicare."
    )
    zones = "; ".join(f"{zone.zone} {zone.hours:g} ore (sportelli: {zone.desks})" for zone in found.zones)
    hours = [f"Apertura in una settimana, per zona: {zones}.".replace(".5 ", ",5 ")] if zones else []
    return table + "\n".join(terminal.wrap(text, after="  ") for text in (*notices, counts, *hours))


def _verified(one: _Entry) -> str:
    if one.freshness == "unverified":
        return "MAI"
    return italian_day(one.verified) + (f" – VECCHIA ({one.days} giorni)" if one.freshness == "stale" else "")


def _until(day: str) -> str:
    return f" (fino al {italian_day(day)})" if day else ""


# -- confirm, notice, withdraw


class _Touched(Struct):
    ids: list[str]
    names: list[str]


def _selection(ids: tuple[str, ...], all_: bool, words: str) -> ask.Selection:
    if sum((bool(ids), all_, bool(words))) != 1:
        raise click.UsageError("Dire quali voci: i loro codici, oppure --all, oppure --words PAROLE.")
    return ask.Selection(all_=all_, ids=list(ids), words=words)


@click.command("confirm", cls=ItalianCommand, short_help="«È ancora giusto oggi», per molte voci insieme.")
@which_options
@click.option("--day", type=Day(), help="Giorno della verifica, se non oggi (20/11/2026).")
@as_option()
@pass_session
def confirm(session: Session, ids: tuple[str, ...], all_: bool, words: str, day: str | None, as_: str | None) -> None:
    """Conferma che le voci sono ancora giuste: ne aggiorna la data di verifica."""
    request = ask.Confirm(which=_selection(ids, all_, words), day=day, as_=as_)
    session.show(session.call("confirm", request), _Touched, lambda done: _touched("Confermate", done))


@click.command("notice", cls=ItalianCommand, short_help="Avviso temporaneo su una o più voci.")
@which_options
@click.option("--text", default="", help="Testo dell'avviso, per esempio «chiuso per lavori».")
@click.option("--until", type=Day(), help="Ultimo giorno in cui vale (31/12/2026).")
@click.option("--remove", is_flag=True, help="Toglie l'avviso.")
@as_option()
@pass_session
def notice(session: Session, /, ids: tuple[str, ...], all_: bool, words: str, **given: Any) -> None:
    """Mette un avviso datato: dal giorno di oggi fino a quello indicato, poi sparisce da solo."""
    if bool(given["text"]) is given["remove"]:
        raise click.UsageError("Serve il testo dell'avviso (--text), oppure --remove.")
    request = ask.SetNotice(
        which=_selection(ids, all_, words), text=given["text"], until=given["until"], as_=given["as_"]
    )
    done = "Avviso tolto da" if given["remove"] else "Avviso messo a"
    session.show(session.call("notice", request), _Touched, lambda touched: _touched(done, touched))


@click.command("withdraw-entries", cls=ItalianCommand, short_help="Ritira voci dal proprio catalogo.")
@which_options
@as_option()
@pass_session
def withdraw(session: Session, ids: tuple[str, ...], all_: bool, words: str, as_: str | None) -> None:
    """Ritira voci: alla prossima pubblicazione non sono più sulla mappa. La loro identità resta ricordata."""
    request = ask.Withdraw(which=_selection(ids, all_, words), as_=as_)
    session.show(session.call("withdraw-entries", request), _Touched, lambda done: _touched("Ritirate", done))


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _touched(done: str, touched: _Touched) -> str:
    if not touched.ids:
        return "Nessuna voce corrisponde."
    return "\n".join([f"{done}: {_count(len(touched.ids), 'voce', 'voci')}.", *(f"  {name}" for name in touched.names)])


# -- publish


class _Faulty(Struct):
    name: str
    code: str
    field: str | None = None


class _Signed(Struct):
    vis: str
    rev: int
    signed: bool
    count: int
    added: list[str]
    changed: list[str]
    removed: list[str]
    faulty: list[_Faulty]


class _Chain(Struct):
    vis: str
    rev: int
    state: str
    code: str | None = None


class _Publication(Struct):
    signed: list[_Signed]
    chains: list[_Chain]


CHAINS: Final = {"public": "Mappa pubblica", "network": "Solo per la rete"}
POSTED: Final = {"waiting": "in partenza", "accepted": "sulla bacheca d'Ambito", "refused": "RIFIUTATA"}


@click.command("publish", cls=ItalianCommand, short_help="Firma e pubblica il proprio catalogo.")
@as_option()
@pass_session
def publish(session: Session, as_: str | None) -> None:
    """Firma ciò che è cambiato; parte da solo appena c'è rete. Se non è cambiato nulla lo dice."""
    session.show(session.call("publish", ask.Publish(as_=as_)), _Publication, _publication)


def _publication(answer: _Publication) -> str:
    lines: list[str] = []
    for one in answer.signed:
        name = CHAINS[one.vis]
        if one.signed:
            changes = ", ".join(
                (
                    _count(len(one.added), "nuova", "nuove"),
                    _count(len(one.changed), "cambiata", "cambiate"),
                    _count(len(one.removed), "tolta", "tolte"),
                )
            )
            lines.append(f"{name}: edizione {one.rev}, {_count(one.count, 'voce', 'voci')} ({changes}).")
        elif one.rev:
            lines.append(f"{name}: nulla è cambiato dall'edizione {one.rev}.")
        lines += [f"  Lasciata fuori: {bad.name} – {what_happened(bad.code)} {bad.field or ''}" for bad in one.faulty]
    lines += [_chain(chain) for chain in answer.chains]
    return "\n".join(lines) or "Il catalogo è vuoto: importare prima un foglio."


def _chain(chain: _Chain) -> str:
    """How the newest edition of a chain stands; a refusal with what to do about it."""
    text = f"{CHAINS[chain.vis]}, edizione {chain.rev}: {POSTED[chain.state]}."
    return terminal.wrap(f"{text} {what_happened(chain.code)} {what_to_do(chain.code)}") if chain.code else text


COMMANDS: Final = (import_, entries, confirm, notice, withdraw, publish)
