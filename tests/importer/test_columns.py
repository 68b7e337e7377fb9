"""Column names as people write them."""

import pytest
from msgspec import UNSET

from node.importer.columns import find_header, score
from node.importer.preview import preview
from node.importer.reading import read_sheet
from schemas.records import Service
from tests.importer.support import plan_text


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("Servizio", "service"), ("Nome del servizio", "service"), ("A chi si rivolge", "targets"), ("Tel.", "phone"),
        ("N. di telefono", "phone"), ("E-mail", "email"), ("Giorni e orari di apertura", "hours"), ("Agg.", "verified"),
        ("Accessibilita'", "accessibility"), ("Tempi d’attesa", "waiting"), ("COSTO (€)", "cost"), ("Telfono", "phone"),
        ("Cosa portare", "documents"), ("Comune della sede", "comune"), ("Orari al pubblico", "hours"), ("Città", "comune"),
        ("Indirizzo sede", "address"), ("Lingue parlate", "languages"), ("Sito web", "url"), ("zzz", ""), ("", ""),
    ],
)  # fmt: skip
def test_usual_names_of_columns_are_recognised(name: str, field: str) -> None:
    assert score(name)[0] == field


def test_the_header_is_found_under_titles_and_in_any_order() -> None:
    lines = read_sheet(
        b"Comune di Esempio;;\nElenco 2026;;\nOrario;Nome servizio;Tel.\nlun 9-12;Mensa;0721 000101\n"
    ).lines
    found = find_header(lines)
    assert found is not None and found[0] == 2
    assert [column.field for column in found[1]] == ["hours", "service", "phone"]


def test_the_preview_says_which_columns_were_ignored() -> None:
    shown = preview(
        plan_text("servizio;comune;colore preferito;telefono;tel\nMensa;Pesaro;blu;0721 000101;0721 000102\n")
    )
    assert [(c["name"], c["field"]) for c in shown["columns"]] == [
        ("servizio", "service"),
        ("comune", "comune"),
        ("colore preferito", "ignored"),
        ("telefono", "phone"),
        ("tel", "phone"),
    ]


def record_of(text: str) -> Service:
    record = plan_text(text).rows[0].record
    assert record is not None
    return record


def test_several_phone_columns_are_all_read() -> None:
    record = record_of("servizio;comune;tel.;cellulare\nMensa;Pesaro;0721 000101;300 0000001\n")
    assert [phone.number for phone in record.phones] == ["0721000101", "3000000001"]


def test_days_and_hours_in_two_columns_are_read_together() -> None:
    record = record_of("servizio;comune;giorni;orario\nMensa;Pesaro;lun e mer;9-12\n")
    assert [(s.byday, s.opens_at, s.closes_at) for s in record.schedules] == [("MO,WE", "09:00", "12:00")]


def test_one_column_a_day_is_a_week() -> None:
    record = record_of("servizio;comune;lun;mar;mer\nMensa;Pesaro;9-12;chiuso;15.00-18.00\n")
    assert [(s.byday, s.opens_at) for s in record.schedules] == [("MO", "09:00"), ("WE", "15:00")]


def test_the_house_number_may_have_its_own_column() -> None:
    record = record_of("servizio;comune;via;n. civico\nMensa;Pesaro;Via di Esempio;7/B\n")
    location = record.service_at_locations[0].location
    assert location is not UNSET and location.addresses[0].address_1 == "Via di Esempio 7/B"
