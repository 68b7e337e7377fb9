"""Column names as people write them."""

import pytest

from node.importer.columns import find_header, score
from node.importer.preview import preview
from node.importer.reading import read_sheet
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
        ("tel", "ignored"),
    ]
