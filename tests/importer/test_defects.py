"""The 29 planted defects, each looked for where it is, in the order of difetti_voluti.csv: what is done about it."""

from collections.abc import Callable
from datetime import datetime

import msgspec
import pytest
from msgspec import UNSET

from node.importer.findings import findings
from node.importer.plan import RowOutcome
from protocol.opening import is_open
from schemas.records import Service
from tests.importer.support import codes, defects, find, plan_of

Check = Callable[[RowOutcome, Service], bool]


def says(code: str) -> Check:
    return lambda row, record: code in codes(row)


def proposes(kind: str) -> Check:
    return lambda row, record: kind in {suggestion.kind for suggestion in row.suggestions}


def verified(iso: object) -> Check:
    return lambda row, record: record.verified_at == iso


def _open(record: Service, month: int, hour: int = 11) -> bool:
    return any(is_open(record.schedules, datetime(2027, month, day, hour)) for day in range(1, 29))


def _text(record: Service) -> str:
    return msgspec.json.encode(record).decode()


# (kind, node, beginning of the name, what shows it)
LOOK: list[tuple[str, str, str, tuple[Check, ...]]] = [
    ("duplicate-entity", "ts-onda", "Assistenza domiciliare",
     (proposes("owner"), lambda row, record: record.owner == "Comune di Pesaro")),
    ("duplicate-across-patronati", "patr-fittizio-a", "Invalidità",
     (lambda row, record: record.categories == _record("patr-fittizio-d", "Pratiche").categories,)),
    ("duplicate-desk", "comune-gradara", "Assistente sociale", (says("duplicate-desk"), proposes("duplicate"))),
    ("duplicate-transport", "comune-gabicce", "Trasporto sociale", (lambda row, record: not row.suggestions,)),
    ("hours-error", "comune-gradara", "Ufficio", (says("hours-out-of-range"),)),
    ("hours-reversed", "patr-fittizio-d", "Pratiche",
     (says("hours-reversed"), lambda row, record: record.schedules == [])),
    ("phone-short", "comune-monteciccardo", "Servizi sociali", (says("phone-short"),)),
    ("email-invalid", "patr-fittizio-d", "Pratiche",
     (says("email-invalid"), lambda row, record: record.email is UNSET)),
    ("comune-variant", "comune-santangelo", "", (lambda row, record: record.comune == "041056",)),
    ("comune-variant", "comune-gabicce", "Trasporto sociale",
     (says("comune-variant"), lambda row, record: record.comune == "041019")),
    ("comune-case", "patr-fittizio-c", "Invalidita", (lambda row, record: record.comune == "041044",)),
    ("comune-missing", "ts-ponte", "Casa rifugio", (lambda row, record: "comune-missing" not in codes(row),)),
    ("secret-address", "ts-ponte", "Casa rifugio",
     (says("place-secret"), lambda row, record: not any(w in _text(record) for w in ("latitude", "address", "Pesaro")))),
    ("network-only", "distretto", "PUA linea urgente",
     (says("network-only"), lambda row, record: row.visibility == "network")),
    ("network-only", "comune-pesaro", "Pronto Intervento",
     (says("place-reserved"), lambda row, record: bool(record.phones) and "address_1" not in _text(record))),
    ("date-excel-serial", "comune-tavullia", "Buoni spesa", (says("date-serial"), verified("2026-08-31"))),
    ("date-vague", "comune-mombaroccio", "Soggiorni", (says("date-stale"), verified("2024-04"))),
    ("date-missing", "comune-monteciccardo", "Servizi sociali", (says("date-missing"), verified(UNSET))),
    ("date-two-digit", "comune-pesaro", "Pasti", (verified("2026-08-30"),)),
    ("date-mmyyyy", "comune-montelabbate", "Doposcuola", (verified("2026-10"),)),
    ("ambiguous-date", "comune-gabicce", "Trasporto sociale", (verified("2026-04-03"),)),
    ("capacity-in-text", "ts-onda", "Centro diurno",
     (lambda row, record: record.waiting is not UNSET and record.waiting.status == "full",)),
    ("mixed-service", "ts-lanterna", "Mensa e docce", (says("mixed-service"), proposes("split"))),
    ("overnight", "ts-lanterna", "Accoglienza notturna",
     (lambda row, record: _open(record, 1, 2) and not _open(record, 7, 2),)),
    ("quotes-in-field", "ts-onda", "Centro diurno", (lambda row, record: "\"Gabbiano d'Esempio\"" in record.name,)),
    ("anonymous-access", "distretto", "Servizio dipendenze", (lambda row, record: record.anonymous_access is True,)),
    ("cost-conflict", "patr-fittizio-d", "Patronato artigiani",
     (says("cost-members-only"),
      lambda row, record: [f.audience for f in findings(plan_of("patr-fittizio-d"))] == ["capofila"])),
    ("seasonal", "comune-mombaroccio", "Segretariato",
     (lambda row, record: not _open(record, 8) and _open(record, 9),)),
    ("mobile-desk", "comune-monteciccardo", "Sportello sociale itinerante",
     (lambda row, record: (record.schedules[0].byday, record.comune) == ("2WE", "041032"),)),
]  # fmt: skip


def _record(node: str, name: str) -> Service:
    record = find(node, name).record
    assert record is not None
    return record


@pytest.mark.feature("F003-07")
@pytest.mark.parametrize(("kind", "node", "name", "checks"), LOOK, ids=[f"{kind} {node}" for kind, node, *_ in LOOK])
def test_each_planted_defect_is_found(kind: str, node: str, name: str, checks: tuple[Check, ...]) -> None:
    row = find(node, name)
    assert row.record is not None
    assert all(check(row, row.record) for check in checks)


@pytest.mark.skipif(not defects(), reason="../shared is absent")
@pytest.mark.feature("F003-07")
def test_the_29_defects_looked_for_are_those_of_the_list() -> None:
    assert [row["tipo"] for row in defects()] == [kind for kind, *_ in LOOK]
    assert len(LOOK) == 29
