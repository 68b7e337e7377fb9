"""The sample sheets: 64 rows with one outcome each, and what a desk asks of them."""

import json
from datetime import datetime

import msgspec
import pytest
from msgspec import UNSET

from node.importer.findings import findings
from node.importer.plan import ImportPlan
from node.importer.preview import preview
from protocol.opening import is_open
from schemas.records import Service
from tests.importer.support import BODIES, codes, find, plan_of

SKIPPED = {"ts-dispensa": [1, 5], "ts-lanterna": [1, 6], "ts-ponte": [1, 6]}


def everything() -> list[Service]:
    return [record for node in BODIES for plan in [plan_of(node)] for record in (*plan.public, *plan.network)]


def features_of(service: Service) -> set[str]:
    places = [at.location for at in service.service_at_locations if at.location is not UNSET]
    return {str(a.code) for place in places for a in place.accessibility}


def step_free(service: Service) -> bool:
    return "AX-RAMPA" in features_of(service) and not features_of(service) & {"AX-PARZ", "AX-NO"}


@pytest.mark.feature("F003-07")
def test_the_64_rows_have_one_outcome_each_and_none_is_lost() -> None:
    plans = {node: plan_of(node) for node in BODIES}
    rows = [row for plan in plans.values() for row in plan.rows]
    assert sum(1 for row in rows if row.record) == 64
    assert sum(1 for row in rows if row.outcome.startswith("imported")) == 64
    skipped = {
        node: [row.line for row in plan.rows if row.outcome.startswith("skipped")] for node, plan in plans.items()
    }
    assert {node: lines for node, lines in skipped.items() if lines} == SKIPPED
    assert all(len({row.line for row in plan.rows}) == len(plan.rows) for plan in plans.values())


def test_every_record_is_valid_against_its_shape_and_every_column_is_known() -> None:
    for node in BODIES:
        plan = plan_of(node)
        assert all(column.field for column in plan.columns)
        for record in (*plan.public, *plan.network):
            assert msgspec.json.decode(msgspec.json.encode(record), type=Service) == record


@pytest.mark.feature("F000-05")
def test_step_free_and_arabic_gives_exactly_two_services() -> None:
    found = [s for s in everything() if step_free(s) and any(x.code == "ar" for x in s.languages)]
    assert [(s.name, s.organization.name) for s in found] == [
        ("Segretariato Sociale UPS Montelabbate", "Comune di Montelabbate"),
        ("Permessi di soggiorno e cittadinanza", "Patronato Esempio Solidale"),
    ]


@pytest.mark.feature("F000-04")
def test_public_and_private_services_of_many_areas() -> None:
    records = everything()
    assert sum(1 for s in records if s.sector == "public") == 39
    assert sum(1 for s in records if s.sector == "private") == 25
    assert len({code for s in records for code in s.categories}) >= 25
    assert not any("SC-ALTRO" in s.categories for s in records)


@pytest.mark.feature("F004-09")
def test_the_three_systems_are_told_apart() -> None:
    by_system = {
        system: [s.name for s in everything() if system in s.systems] for system in ("social", "pension", "health")
    }
    assert "Disoccupazione NASpI" in by_system["pension"]
    assert "Centro Salute Mentale" in by_system["health"]
    assert "PUA - Punto Unico di Accesso" in by_system["social"]
    assert "PUA - Punto Unico di Accesso" in by_system["health"]
    assert all(by_system.values())


@pytest.mark.feature("F001-24")
def test_services_are_run_by_the_body_the_district_under_contract_or_privately() -> None:
    modes = {(s.organization.name, s.name): s.management for s in everything()}
    assert (
        modes["Cooperativa Sociale Onda d'Esempio", "Assistenza domiciliare (S.A.D.) per conto del Comune di Pesaro"]
        == "contracted"
    )
    assert modes["Distretto Sanitario di Pesaro (esempio)", "Consultorio familiare"] == "district"
    assert modes["Comune di Pesaro", "Pasti a domicilio"] == "direct"
    assert modes["La Dispensa d'Esempio APS", "Emporio solidale"] == "private"


@pytest.mark.feature("F002-06")
def test_the_way_in_is_read_from_the_requirements() -> None:
    access = {s.name: s.access for s in everything()}
    assert access["Emporio solidale"] == ["desk-referral"]
    assert access["Educativa domiciliare minori"] == ["social-service"]
    assert access["Consultorio familiare"] == ["direct"]


@pytest.mark.feature("F002-13")
def test_an_assessment_that_comes_first_is_a_flag() -> None:
    sad = find("comune-pesaro", "S.A.D.").record
    assert sad is not None and sad.requirements is not UNSET
    assert sad.requirements.assessment_first is True
    assert sad.access == ["assessment"]


@pytest.mark.feature("F000-28")
def test_an_entry_checked_more_than_180_days_ago_is_marked() -> None:
    stale = [row.line for node in BODIES for row in plan_of(node).rows if "date-stale" in codes(row)]
    assert len(stale) == 14


def test_the_preview_has_the_words_of_the_readme() -> None:
    shown = json.loads(json.dumps(preview(plan_of("comune-monteciccardo"))))
    row = shown["rows"][0]
    assert row["line"] == 2 and row["outcome"] == "imported"
    assert row["hours"]["status"] == "ok_monthly"
    assert row["hours"]["monthly"] == [[2, "wed", "09:00", "11:00"]]
    assert row["record"]["name"] == "Sportello sociale itinerante"
    assert shown["columns"][0] == {"name": "ente", "field": "body", "score": 100}
    assert shown["counts"] == {"imported": 1, "imported_with_warnings": 1}
    assert row["reasons"]["SC-SEGR"] == "sportello sociale"


# -- what a defect looks like in detail; all 29 of them are looked for in test_defects.py


def test_a_contractor_is_linked_to_the_owner_as_a_proposal() -> None:
    row = find("ts-onda", "Assistenza domiciliare")
    assert row.record is not None
    assert (row.record.owner, row.record.provider) == ("Comune di Pesaro", "Cooperativa Sociale Onda d'Esempio")
    assert [s.kind for s in row.suggestions] == ["owner"]
    own = find("comune-pesaro", "S.A.D.").record
    assert own is not None and own.categories == row.record.categories == ["SC-SAD"]


def test_the_same_service_of_four_patronati_has_the_same_codes() -> None:
    names = {
        "patr-fittizio-a": "Invalidità",
        "patr-fittizio-b": "Invalidità",
        "patr-fittizio-c": "Invalidita",
        "patr-fittizio-d": "Pratiche",
    }
    records = [find(node, name).record for node, name in names.items()]
    assert {(tuple(r.categories), tuple(r.needs)) for r in records if r} == {(("SC-PATR",), ("NA-INVAL",))}


def test_two_rows_for_one_desk_are_a_warning_that_names_the_line() -> None:
    row = find("comune-gradara", "Assistente sociale")
    assert "duplicate-desk" in codes(row)
    assert [(s.kind, s.ref) for s in row.suggestions] == [("duplicate", "2")]
    found = findings(plan_of("comune-gradara"))
    assert [f.kind for f in found] == ["duplicate-desk"] and len(found[0].ids) == 2


def test_two_social_transports_of_two_bodies_are_not_duplicates() -> None:
    assert not find("comune-gabicce", "Trasporto sociale").suggestions
    assert not find("ts-filo", "Trasporto").suggestions


def test_an_impossible_hour_names_line_and_column() -> None:
    row = find("comune-gradara", "Ufficio")
    problem = next(p for p in row.problems if p.code == "hours-out-of-range")
    assert (row.line, problem.column, problem.field) == (2, "orari", "hours")
    assert "25-17" in problem.message
    assert row.reading is not None and row.reading.hours.weekly == {"mon": [["09:00", "12:00"]]}


def test_reversed_hours_are_an_error_and_are_not_corrected() -> None:
    row = find("patr-fittizio-d", "Pratiche")
    assert row.record is not None and row.record.schedules == []
    assert row.record.hours is not UNSET and row.record.hours.status == "error"
    assert next(p for p in row.problems if p.code == "hours-reversed").column == "Orari di apertura"


def test_a_short_phone_is_a_warning_and_a_bad_email_is_left_out() -> None:
    short = find("comune-monteciccardo", "Servizi sociali")
    assert next(p for p in short.problems if p.code == "phone-short").column == "telefono"
    bad = find("patr-fittizio-d", "Pratiche")
    assert bad.record is not None and bad.record.email is UNSET
    assert next(p for p in bad.problems if p.code == "email-invalid").column == "E-mail"


def test_comuni_are_normalised() -> None:
    rows = [row for row in plan_of("comune-santangelo").rows if row.record]
    assert [row.record.comune for row in rows if row.record] == ["041056"] * 3
    gabicce = find("comune-gabicce", "Trasporto sociale")
    assert gabicce.record is not None and gabicce.record.comune == "041019"
    assert "comune-variant" in codes(gabicce)
    lower = find("patr-fittizio-c", "Invalidita").record
    assert lower is not None and lower.comune == "041044"


def test_a_secret_place_leaves_no_trace_of_where_it_is() -> None:
    row = find("ts-ponte", "Casa rifugio")
    assert row.record is not None and row.record.place == "secret"
    assert row.record.phones[0].number == "800000099"
    text = msgspec.json.encode(row.record).decode()
    for word in ("SEGRETO", "041044", "Pesaro", "latitude", "address_1", "city", "desk", "territory"):
        assert word not in text
    assert "comune-missing" not in codes(row) and row.outcome == "imported"


def test_network_only_and_reserved_places() -> None:
    plan = plan_of("distretto")
    assert [record.name for record in plan.network] == ["PUA linea urgente operatori della rete"]
    assert "PUA linea urgente operatori della rete" not in [record.name for record in plan.public]
    pis = find("comune-pesaro", "Pronto Intervento").record
    assert pis is not None and pis.place == "reserved" and pis.phones[0].number == "800000000"
    assert "riservata" not in msgspec.json.encode(pis).decode() and "address_1" not in msgspec.json.encode(pis).decode()
    assert pis.urgent_line is True


@pytest.mark.parametrize(
    ("node", "name", "verified", "code"),
    [
        ("comune-tavullia", "Buoni spesa", "2026-08-31", "date-serial"),
        ("comune-mombaroccio", "Soggiorni", "2024-04", "date-stale"),
        ("comune-monteciccardo", "Servizi sociali", UNSET, "date-missing"),
        ("comune-pesaro", "Pasti", "2026-08-30", ""),
        ("comune-pesaro", "Sportello casa", "2026-06-10", ""),
        ("comune-santangelo", "Trasporto", "2026-09-07", ""),
        ("comune-montelabbate", "Doposcuola", "2026-10", "date-vague"),
        ("comune-gabicce", "Trasporto", "2026-04-03", "date-stale"),
    ],
)
def test_dates_are_read_day_first_with_the_precision_they_have(
    node: str, name: str, verified: object, code: str
) -> None:
    row = find(node, name)
    assert row.record is not None and row.record.verified_at == verified
    assert not code or code in codes(row)


def test_a_full_service_says_so() -> None:
    centre = find("ts-onda", "Centro diurno").record
    assert centre is not None and centre.waiting is not UNSET
    assert (centre.waiting.status, centre.waiting.days_min, centre.waiting.days_max) == ("full", 180, 360)
    assert (centre.capacities[0].available, centre.capacities[0].maximum) == (0, 18)
    assert centre.name == 'Centro diurno disabili "Gabbiano d\'Esempio"'


def test_two_services_in_one_row_are_proposed_for_splitting_and_kept_whole() -> None:
    row = find("ts-lanterna", "Mensa e docce")
    assert row.record is not None and {"SC-MENSA", "SC-ACCDIU"} <= set(row.record.categories)
    assert [s.kind for s in row.suggestions] == ["split"] and "mixed-service" in codes(row)


def test_the_night_shelter_opens_in_winter_nights_only() -> None:
    shelter = find("ts-lanterna", "Accoglienza notturna").record
    assert shelter is not None
    assert is_open(shelter.schedules, datetime(2027, 1, 15, 2))
    assert not is_open(shelter.schedules, datetime(2026, 7, 15, 2))


def test_seasons_anonymous_access_and_a_mobile_desk() -> None:
    august = find("comune-mombaroccio", "Segretariato").record
    assert august is not None and not is_open(august.schedules, datetime(2026, 8, 5, 11))
    assert is_open(august.schedules, datetime(2026, 9, 2, 11))
    anonymous = find("distretto", "Servizio dipendenze").record
    assert anonymous is not None and anonymous.anonymous_access is True
    mobile = find("comune-monteciccardo", "Sportello sociale itinerante").record
    assert mobile is not None and (mobile.schedules[0].byday, mobile.comune) == ("2WE", "041032")


def test_a_patronato_that_is_free_for_members_only_is_shown_to_the_capofila() -> None:
    plan: ImportPlan = plan_of("patr-fittizio-d")
    assert [(f.kind, f.audience) for f in findings(plan)] == [("cost-conflict", "capofila")]
    assert "cost-members-only" in codes(find("patr-fittizio-d", "Patronato artigiani"))
