"""Cells with one value or several: phones, dates, costs, requirements, waiting, languages, places, codes."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from node.importer.codes import accessibility_codes, service_codes, target_codes, two_services
from node.importer.dates import is_stale, parse_date
from node.importer.phones import parse_phones
from node.importer.texts import (
    parse_ages,
    parse_cost,
    parse_documents,
    parse_languages,
    parse_requirements,
    parse_waiting,
)
from node.importer.wording import WORDINGS
from schemas import vocabularies
from tests.importer.support import TODAY, codes, one


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0721 000101", ["0721000101"]),
        ("0541/000.201", ["0541000201"]),
        ("+39 0721 000601", ["+390721000601"]),
        ("0039 0721 000601", ["+390721000601"]),
        ("0721 001401 int. 3", ["0721001401/3"]),
        ("0721 000101 / 0721 000102", ["0721000101", "0721000102"]),
        ("0721000101/0721000102", ["0721000101", "0721000102"]),
        ("tel 0721 000101 cell. 300 0000001", ["0721000101", "3000000001"]),
        ("0721 000101; fax 0721 000102", ["0721000101", "0721000102"]),
        ("Numero verde 800 000012", ["800000012"]),
        ("1522", ["1522"]),
        ("072100050", ["072100050!phone-short"]),
        ("0721 000101-102", ["0721000101102!phone-long"]),
        ("n.d.", []),
        ("", []),
    ],
)
def test_phones_keep_every_digit(text: str, numbers: list[str]) -> None:
    found = parse_phones(text)
    shown = [
        p.number + (f"/{p.extension}" if p.extension else "") + (f"!{p.problem}" if p.problem else "") for p in found
    ]
    assert shown == numbers


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.text(alphabet="0123456789 +/.-;,()intelcf\n", max_size=40))
def test_a_phone_is_made_of_digits_that_stand_in_the_cell(text: str) -> None:
    for phone in parse_phones(text):
        digits = phone.number.lstrip("+")
        assert digits.isdigit() and digits in "".join(c for c in text if c.isdigit())


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("15/09/2026", "2026-09-15"), ("3/4/2026", "2026-04-03"), ("30/08/26", "2026-08-30"), ("10.06.26", "2026-06-10"),
        ("15-03-2026", "2026-03-15"), ("2026-08-30", "2026-08-30"), ("10/2026", "2026-10"), ("settembre 2026", "2026-09"),
        ("nov 2025", "2025-11"), ("sett. 2026", "2026-09"), ("2026", "2026"), ("46265", "2026-08-31"),
        ("agg. al 1 marzo 2026", "2026-03-01"), ("13/13/2026", None), ("31/02/2026", None), ("presto", None), ("12", None),
        ("04/15/2026", None), ("00/08/2026", None), ("2026-08-00", None),
    ],
)  # fmt: skip
def test_dates_are_day_first(text: str, iso: str | None) -> None:
    found = parse_date(text)
    assert (found.iso if found else None) == iso


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.text(max_size=30))
def test_no_text_breaks_the_reading_of_dates(text: str) -> None:
    parse_date(text)


def test_a_vague_date_is_read_in_its_favour() -> None:
    assert not is_stale("2026-05", date(2026, 11, 21))
    assert is_stale("2025", TODAY) and not is_stale("2026", TODAY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gratuito", [("CT-GRAT", None)]),
        ("€ 5,50 a pasto", [("CT-TARIF", 5.5)]),
        ("730: € 40, ISEE gratuito", [("CT-TARIF", 40.0), ("CT-GRAT", None)]),
        ("€ 30 al mese, ridotto ISEE", [("CT-TARIF", 30.0), ("CT-ISEE", None)]),
        ("gratuito (quota sociale ISEE)", [("CT-GRAT", None), ("CT-ISEE", None)]),
        ("tessera € 10", [("CT-TESSERA", 10.0)]),
        ("offerta libera", [("CT-OFFERTA", None)]),
        ("1.200,50 euro", [("CT-TARIF", 1200.5)]),
        ("gratuito agli iscritti", [("CT-TESSERA", None)]),
        ("come Comune", [("", None)]),
        ("-", [("CT-ND", None)]),
        ("", []),
    ],
)
def test_costs(text: str, expected: list[tuple[str, float | None]]) -> None:
    assert [(c.code, c.amount) for c in parse_cost(text)] == expected


@pytest.mark.parametrize(
    ("text", "limit"),
    [("ISEE <= 10.632,94", 10632.94), ("ISEE fino a 6.000 €", 6000), ("ISEE sotto 8000", 8000), ("ISEE", None)],
)
def test_isee_limits(text: str, limit: float | None) -> None:
    assert parse_requirements(text).isee_max == limit


@pytest.mark.parametrize(
    ("text", "ages"),
    [("età 65+ e residenza", (65, None)), ("bambini 6-11 anni", (6, 11)), ("bambini 3-36 mesi", (0.25, 3)), ("over 65", (65, None)),
     ("ragazzi 14-29", (14, 29)), ("residenza da 3 anni (ERP)", (None, None)), ("65 anni", (65, None)), ("entro 68 giorni", (None, None))],
)  # fmt: skip
def test_ages(text: str, ages: tuple[float | None, float | None]) -> None:
    assert parse_ages(text) == ages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nessuna attesa", (0, 0, "none")), ("0", (0, 0, "none")), ("circa 10 giorni", (10, 10, None)), ("7-15 gg", (7, 15, None)),
        ("1 settimana", (7, 7, None)), ("2 mesi", (60, 60, None)), ("6-12 mesi (18 posti, completo)", (180, 360, "full")),
        ("lista attesa 12 posti", (None, None, "waitlist")), ("secondo bando", (None, None, None)), ("", (None, None, None)),
    ],
)  # fmt: skip
def test_waiting(text: str, expected: tuple[int | None, int | None, str | None]) -> None:
    found = parse_waiting(text)
    assert (found.days_min, found.days_max, found.status) == expected


def test_languages_with_notes_and_interpreters() -> None:
    found, help_words, unknown = parse_languages("italiano, arabo (lun), klingon; mediatore su richiesta")
    assert [(x.code, x.note) for x in found] == [("it", ""), ("ar", "lun")]
    assert help_words == "mediatore su richiesta" and unknown == ["klingon"]
    assert [x.code for x in parse_languages("italiano inglese")[0]] == ["it", "en"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rampa, bagno disabili", ["AX-RAMPA", "AX-WC"]), ("1 gradino", ["AX-PARZ"]), ("2 gradini", ["AX-PARZ"]), ("no", ["AX-NO"]),
        ("ingresso con un gradino", ["AX-PARZ"]), ("rampa, un gradino", ["AX-PARZ"]), ("scale, non accessibile", ["AX-NO"]),
        ("?", ["AX-ND"]), ("da verificare", ["AX-ND"]), ("sì", ["AX-RAMPA"]), ("senza barriere", ["AX-RAMPA"]), ("mezzo con pedana", []),
    ],
)  # fmt: skip
def test_a_step_is_never_step_free(text: str, expected: list[str]) -> None:
    assert [found.code for found in accessibility_codes(text)[0]] == expected


def test_codes_come_with_the_words_that_led_to_them() -> None:
    found = service_codes("S.A.D. Servizio Assistenza Domiciliare", "")
    assert [(f.code, f.words) for f in found.categories] == [("SC-SAD", "s a d")]
    assert [f.code for f in target_codes("anziani soli o non autosufficienti, disabili")] == [
        "TG-ANZIANI",
        "TG-ANZNA",
        "TG-DISAB",
    ]
    assert [f.code for f in target_codes("cittadini stranieri")] == ["TG-IMMIG"]


def test_every_code_of_the_tables_is_in_its_vocabulary() -> None:
    from node.importer import keywords

    assert {hint.category for hint in keywords.SERVICES} <= set(vocabularies.table("service_categories"))
    assert {need for hint in keywords.SERVICES for need in hint.needs} <= set(vocabularies.table("need_areas"))
    assert {code for _, code in keywords.TARGETS} <= set(vocabularies.table("target_groups"))
    assert {code for _, code in keywords.ACCESSIBILITY if code} <= set(vocabularies.table("accessibility_features"))


def test_two_services_need_two_categories() -> None:
    assert two_services("Mensa e docce") == ("Mensa", "docce")
    assert two_services("Pensioni e previdenza") is None
    assert two_services("Trasporto scolastico e sociale") is None


def test_documents_are_a_list() -> None:
    assert parse_documents("documento, tessera sanitaria (STP, ENI); IBAN") == [
        "documento",
        "tessera sanitaria (STP, ENI)",
        "IBAN",
    ]
    assert parse_documents("nessuno per informazioni") == []


def test_a_row_with_bad_fields_is_imported_without_them() -> None:
    row = one(
        email="chi_at_example.org", comune="Rimino", telefono="12", **{"aggiornato al": "boh", "orari": "lun 25-26"}
    )
    assert row.record is not None and row.outcome == "imported_with_warnings"
    assert codes(row) >= {"email-invalid", "comune-unknown", "phone-unclear", "date-invalid", "hours-out-of-range"}
    assert (row.record.email, row.record.comune, row.record.phones, row.record.verified_at) == (UNSET, UNSET, [], UNSET)
    assert all(problem.column for problem in row.problems if problem.code != "category-unknown")


def test_a_secret_said_in_the_description_is_a_secret_too() -> None:
    row = one(servizio="Casa rifugio", descrizione="indirizzo segreto", indirizzo="Via di Esempio 9", comune="Pesaro")
    assert row.record is not None and row.record.place == "secret"
    assert row.record.comune is UNSET and row.record.service_at_locations == []


def test_the_successor_of_a_comune_is_said_and_the_old_code_is_kept() -> None:
    row = one(comune="Colbordolo")
    assert row.record is not None and row.record.comune == "041012"
    assert "comune-ended" in codes(row)


def test_every_sentence_says_what_happened_and_what_to_do() -> None:
    assert all(words.it and words.fix for words in WORDINGS.values())
