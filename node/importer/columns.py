"""Which column is what: names people give to columns → fields, and where the table begins. Not the content of cells.

Never in silence: the preview repeats every column with the field it was taken for, or "ignored".
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, NamedTuple

from node.importer.hours_words import DAY_NAMES, one_typo
from node.importer.reading import Line

FIELDS: Final[dict[str, str]] = {
    # field: names, the usual first; compared without case, accents and marks
    "body": "ente|nome ente|organizzazione|associazione|titolare|gestore|denominazione ente|ente erogatore"
        "|soggetto|ente gestore|nome associazione|chi lo fa|soggetto erogatore|organismo",
    "service": "servizio|nome servizio|nome del servizio|servizi|denominazione servizio"
        "|denominazione del servizio|titolo|prestazione|attivita|nome|denominazione|sportello"
        "|tipo di servizio|cosa|intervento",
    "description": "descrizione|descrizione del servizio|descrizione servizio|cosa fa|cosa facciamo|cosa offre"
        "|dettagli|in cosa consiste|contenuto|attivita svolte|oggetto|note servizio|descr"
        "|breve descrizione|di cosa si tratta",
    "targets": "destinatari|destinatario|a chi e rivolto|a chi si rivolge|rivolto a|utenza|utenti|beneficiari"
        "|per chi|target|chi puo accedere|tipologia utenza|utenti destinatari|fascia di utenza"
        "|a chi serve",
    "address": "indirizzo|via|sede|indirizzo sede|ubicazione|dove|dove siamo|luogo|indirizzo della sede|recapito"
        "|dove si trova|sede operativa|via e numero|indirizzo sportello|sede sportello",
    "comune": "comune|citta|localita|paese|comune sede|comune di|zona|territorio|comune della sede",
    "phone": "telefono|tel|telefoni|numero di telefono|cellulare|tel cell|recapito telefonico|recapiti|numero"
        "|contatti|telefono fisso|cell|n telefono|num tel|recapiti telefonici|contatto"
        "|contatto telefonico|numero telefono",
    "email": "email|e mail|mail|posta elettronica|indirizzo email|indirizzo mail|indirizzo di posta|posta"
        "|indirizzo e mail",
    "hours": "orari|orario|orari di apertura|orario di apertura|apertura|giorni e orari|quando"
        "|orario sportello|giorni e orari di apertura|orari apertura|orari sportello|orari al pubblico"
        "|orario al pubblico|giorni e ore|orario di ricevimento|orari ricevimento|orari di ricevimento"
        "|apertura al pubblico|giorni orari",
    "requirements": "requisiti|requisito|requisiti di accesso|condizioni|condizioni di accesso|chi puo richiederlo"
        "|accesso|modalita di accesso|come si accede|come accedere|requisiti richiesti|criteri di accesso",
    "documents": "documenti|documentazione|documenti richiesti|documenti necessari|cosa portare"
        "|documenti da portare|documentazione richiesta|cosa serve|documentazione necessaria"
        "|documenti da presentare|che documenti servono",
    "cost": "costo|costi|tariffa|tariffe|prezzo|quanto costa|contributo|costo del servizio|spesa|costo utente"
        "|compartecipazione|costo per l utente|gratuito o a pagamento",
    "waiting": "tempi di attesa|tempi attesa|attesa|tempo di attesa|lista d attesa|lista di attesa|tempi"
        "|liste d attesa|tempo attesa|quanto si aspetta|tempistica|tempi di erogazione",
    "accessibility": "accessibilita|accessibile|barriere|barriere architettoniche|accesso disabili"
        "|accessibilita disabili|accessibile ai disabili|accessibilita sede|accesso carrozzine"
        "|accesso in carrozzina",
    "languages": "lingua|lingue|lingue parlate|lingua parlata|lingue disponibili|mediazione|lingue straniere"
        "|che lingue si parlano",
    "verified": "aggiornato al|aggiornamento|agg|data aggiornamento|ultimo aggiornamento|aggiornato|data"
        "|verificato il|data di aggiornamento|ultima verifica|aggiornato il|data verifica|ultimo agg"
        "|agg al|verifica|controllato il",
    "url": "sito|sito web|web|url|link|pagina web|sito internet|internet",
    "notes": "note|annotazioni|osservazioni|altro|varie|commenti|note varie",
    "category": "categoria|area|tipologia|settore|ambito|area di intervento|tipo servizio",
    "zone": "quartiere|frazione|circoscrizione",
    "cap": "cap|codice postale|c a p",
    "days": "giorni|giorno|giorni di apertura|giorni apertura|giorni settimana",
    "civic": "numero civico|civico|n civico|nr civico|num civico",
    "mon": "lunedi|lun",
    "tue": "martedi|mar",
    "wed": "mercoledi|mer",
    "thu": "giovedi|gio",
    "fri": "venerdi|ven",
    "sat": "sabato|sab",
    "sun": "domenica|dom",
    "capacity": "posti|capienza|disponibilita|posti disponibili|numero posti|n posti",
}  # fmt: skip
LABELS: Final[dict[str, str]] = {
    "body": "ente", "service": "servizio", "description": "descrizione", "targets": "destinatari",
    "address": "indirizzo", "comune": "comune", "phone": "telefono", "email": "email", "hours": "orari",
    "requirements": "requisiti", "documents": "documenti", "cost": "costo", "waiting": "tempi di attesa",
    "accessibility": "accessibilità", "languages": "lingua", "verified": "aggiornato al", "url": "sito",
    "notes": "note", "category": "categoria", "zone": "quartiere", "cap": "cap", "capacity": "posti",
}  # fmt: skip
_NAMES: Final = {name: field for field, names in FIELDS.items() for name in names.split("|")}
REPEATED: Final = frozenset({"phone"})
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIN_SCORE: Final = 60
MAX_NAME: Final = 60
HEADER_AMONG: Final = 40


class Column(NamedTuple):
    """`at`: its place (from 0); its name as written; the field it was taken for ("": ignored); how surely, 0 to 100."""

    at: int
    name: str
    field: str
    score: int


def fold(text: str) -> str:
    """Lower case without accents; marks are blanks: "Tempi d’attesa:" → "tempi d attesa"."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^a-z0-9]+", " ", bare).split())


@lru_cache(maxsize=2048)
def score(name: str) -> tuple[str, int]:
    """(field, 0…100): 100 an exact name, less for a name inside a longer one or a misspelling."""
    bare = re.sub(r"\b(?:il|lo|la|i|gli|le|del|della|dei|obbligatorio|facoltativo)\b", " ", fold(name))
    bare = " ".join(bare.split())
    for text in (fold(name), bare):
        if text in _NAMES:
            return _NAMES[text], 100
    best = ("", 0)
    if not 0 < len(bare) <= MAX_NAME:
        return best
    for known, field in _NAMES.items():
        points = _likeness(bare, known)
        if points > best[1]:
            best = (field, points)
    return best


def _likeness(name: str, known: str) -> int:
    if len(known) >= 4 and name.startswith(known + " "):
        return 70 + min(20, 20 * len(known) // len(name))
    if len(known) >= 5 and f" {known} " in f" {name} ":
        return 60 + min(20, 20 * len(known) // len(name))
    return 80 if len(name) >= 5 and len(known) >= 5 and one_typo(name, known) else 0


def _columns(cells: list[str]) -> list[Column]:
    """Each field goes to the column whose name fits best; a second one is ignored, and said. Phones repeat."""
    scored = [(index, name, *score(name)) for index, name in enumerate(cells)]
    owner: dict[str, int] = {}
    for index, _, field, points in sorted(scored, key=lambda item: (-item[3], item[0])):
        if field and points >= MIN_SCORE and field not in owner:
            owner[field] = index
    return [
        Column(index, name, field if _has(owner, field, index, points) else "", points)
        for index, name, field, points in scored
        if name
    ]


def _has(owner: dict[str, int], field: str, index: int, points: int) -> bool:
    return owner.get(field) == index or (field in REPEATED and field in owner and points >= MIN_SCORE)


def gather(cells: list[str], columns: list[Column]) -> dict[str, str]:
    """The cells of a row by field. Several phone columns, days apart from hours, one column a day, the house number
    apart from the street: each is put together as a person would have written it in one cell.
    """
    found: dict[str, str] = {}
    for column in columns:
        cell = cells[column.at] if column.field and column.at < len(cells) else ""
        if cell:
            found[column.field] = f"{found[column.field]}; {cell}" if column.field in found else cell
    days, hours = found.pop("days", ""), found.get("hours", "")
    week = [f"{DAY_NAMES[i]} {text}" for i, day in enumerate(WEEKDAYS) if (text := found.pop(day, "").strip(" -–"))]
    if days or week:
        found["hours"] = "; ".join(part for part in (" ".join(p for p in (days, hours) if p), *week) if part)
    if civic := found.pop("civic", ""):
        found["address"] = f"{found.get('address', '')} {civic}".strip()
    return found


def find_header(lines: list[Line]) -> tuple[int, list[Column]] | None:
    """(position in `lines`, columns): the row among the first 40 with most recognised names, two at the least."""
    best: tuple[int, int, list[Column]] | None = None
    for position, line in enumerate(lines[:HEADER_AMONG]):
        filled = [cell for cell in line.cells if cell]
        if len(filled) < 2 or sum(len(cell) for cell in filled) / len(filled) > 40:
            continue
        columns = _columns(line.cells)
        known = {column.field for column in columns if column.field}
        sure = sum(1 for column in columns if column.field and column.score == 100)
        points = len(known) * 2 + sure
        if "service" in known and len(known) >= 2 and 2 * len(known) >= len(filled) and (not best or points > best[0]):
            best = (points, position, columns)
    return (best[1], best[2]) if best else None
