"""The sample sheets and the bodies that keep them; a small sheet from rows. Shared by the importer's tests."""

import csv
from collections.abc import Callable
from datetime import date
from itertools import count
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from node.importer.build import BodyProfile
from node.importer.plan import ImportPlan, KnownEntry, RowOutcome, plan_import
from node.importer.reading import read_sheet
from protocol.territory import Territory
from schemas import vocabularies

SHARED = Path(__file__).parents[3] / "shared/domain/sample"
SHEETS = Path(__file__).parents[2] / "deploy/sample/per_ente"
TODAY = date(2026, 11, 21)
TERRITORY = Territory.from_rows(vocabularies.table("comuni").values())
HEADER = "servizio;descrizione;destinatari;indirizzo;comune;telefono;email;orari;requisiti;documenti;costo;tempi di attesa;accessibilità;lingua;aggiornato al"

BODIES: dict[str, tuple[str, str, str]] = {
    "comune-pesaro": ("Comune di Pesaro", "PT-COMUNE", "041044"),
    "comune-gabicce": ("Comune di Gabicce Mare", "PT-COMUNE", "041019"),
    "comune-gradara": ("Comune di Gradara", "PT-COMUNE", "041020"),
    "comune-mombaroccio": ("Comune di Mombaroccio", "PT-COMUNE", "041027"),
    "comune-monteciccardo": ("Comune di Monteciccardo", "PT-COMUNE", "041032"),
    "comune-montelabbate": ("Comune di Montelabbate", "PT-COMUNE", "041036"),
    "comune-colbordolo": ("Comune di Colbordolo", "PT-COMUNE", "041012"),
    "comune-santangelo": ("Comune di Sant'Angelo in Lizzola", "PT-COMUNE", "041056"),
    "comune-tavullia": ("Comune di Tavullia", "PT-COMUNE", "041065"),
    "patr-fittizio-a": ("Patronato Esempio Lavoro", "PT-PATRONATO", "041044"),
    "patr-fittizio-b": ("Patronato Esempio Solidale", "PT-PATRONATO", "041044"),
    "patr-fittizio-c": ("Patronato Esempio Terra", "PT-PATRONATO", "041044"),
    "patr-fittizio-d": ("Patronato Esempio Artigiani", "PT-PATRONATO", "041044"),
    "distretto": ("Distretto Sanitario di Pesaro (esempio)", "PT-DISTRETTO", "041044"),
    "ts-filo": ("Associazione Il Filo d'Esempio ODV", "PT-ODV", "041044"),
    "ts-onda": ("Cooperativa Sociale Onda d'Esempio", "PT-COOP", "041044"),
    "ts-dispensa": ("La Dispensa d'Esempio APS", "PT-APS", "041044"),
    "ts-lanterna": ("Centro di Ascolto La Lanterna d'Esempio", "PT-ETS", "041044"),
    "ts-ponte": ("Ponte d'Esempio APS", "PT-APS", "041044"),
}


def body(node: str) -> BodyProfile:
    name, kind, comune = BODIES[node]
    return BodyProfile(node, name, kind, str(uuid5(NAMESPACE_URL, node)), comune)


def dice(known: object = None) -> Callable[[], str]:
    """Ids 1, 2, 3 … as UUIDs; from 100000 on when some are known."""
    counter = count(100_000 if known else 1)
    return lambda: str(UUID(int=next(counter)))


def plan_of(node: str, known: list[KnownEntry] | None = None, **more: object) -> ImportPlan:
    data = (SHEETS / f"{node}_ESEMPIO.csv").read_bytes()
    return plan_import(read_sheet(data), body(node), known or [], TERRITORY, TODAY, dice(known), **more)  # type: ignore[arg-type]


def plan_text(
    text: str, node: str = "comune-pesaro", known: list[KnownEntry] | None = None, **more: object
) -> ImportPlan:
    sheet = read_sheet(text.encode())
    return plan_import(sheet, body(node), known or [], TERRITORY, TODAY, dice(known), **more)  # type: ignore[arg-type]


def one(**cells: str) -> RowOutcome:
    """The outcome of one row given by column name."""
    filled = {"servizio": "Sportello sociale", "comune": "Pesaro", "indirizzo": "Via di Esempio 1", **cells}
    lines = [list(filled), list(filled.values())]
    text = "\n".join(";".join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines)
    return plan_text(text).rows[0]


def find(node: str, name: str) -> RowOutcome:
    """The row of a sample sheet whose service begins so."""
    return next(row for row in plan_of(node).rows if row.record and row.record.name.startswith(name))


def codes(row: RowOutcome) -> set[str]:
    return {problem.code for problem in row.problems}


def defects() -> list[dict[str, str]]:
    if not (SHARED / "difetti_voluti.csv").exists():
        return []
    with (SHARED / "difetti_voluti.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
