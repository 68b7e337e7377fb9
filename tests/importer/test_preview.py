"""What people are shown of a sheet: problems, remarks, what was withheld, which sheet was read, counts in words."""

import io
from pathlib import Path

import msgspec
import pytest
from msgspec import UNSET
from openpyxl import Workbook

from node.importer.build import BodyProfile
from node.importer.plan import plan_import
from node.importer.preview import preview, row_preview
from node.importer.reading import read_sheet
from node.importer.template import write_template
from tests.cli.town import run
from tests.importer.support import TERRITORY, TODAY, codes, dice, one, plan_text

IBAN = "IT60 X054 2811 1010 0000 0123 456"  # the example of the standard
TAX_CODE = "RSSMRA80A01H501U"  # the example of every form


@pytest.mark.parametrize(
    "address", ["via Esempio 12 (SEGRETO)", "SEGRETO: via Esempio 12", "via Esempio 12, indirizzo protetto"]
)
def test_a_street_that_is_said_to_be_secret_is_withheld_and_reported(address: str) -> None:
    row = one(servizio="Casa delle donne", indirizzo=address, comune="Tavullia")
    assert row.record is not None and row.record.place == "secret"
    assert [(p.field, p.code) for p in row.problems if p.field == "address"] == [("address", "place-withheld")]
    assert row.outcome == "imported_with_warnings"
    text = msgspec.json.encode(row.record).decode()
    assert not any(word in text for word in ("Esempio 12", "Tavullia", "041065", "latitude"))


def test_a_street_that_is_not_to_be_published_is_withheld_and_the_telephone_is_kept() -> None:
    row = one(indirizzo="via Esempio 12 - da non divulgare", telefono="0721 000140")
    assert row.record is not None and row.record.place == "reserved" and "place-withheld" in codes(row)
    assert row.record.phones and "Esempio 12" not in msgspec.json.encode(row.record).decode()


def test_a_secretariat_is_not_a_secret() -> None:
    row = one(indirizzo="via Esempio 12, presso la segreteria")
    assert row.record is not None and row.record.place == "public"


def test_a_text_that_tells_the_street_of_a_secret_place_is_left_out() -> None:
    row = one(indirizzo="SEGRETO", descrizione="ascolto; suonare in Via Esempio 12")
    assert row.record is not None and row.record.description is UNSET
    assert ("description", "place-told") in {(p.field, p.code) for p in row.problems}


def test_a_name_that_tells_the_street_of_a_secret_place_rejects_the_row() -> None:
    sheet = "servizio;comune;indirizzo\nMensa;Pesaro;\nCasa rifugio di Via Esempio 12;Pesaro;SEGRETO\n"
    row = plan_text(sheet).rows[1]
    assert (row.outcome, row.record) == ("rejected", None) and "place-told" in codes(row)


@pytest.mark.parametrize("value", [TAX_CODE, TAX_CODE.lower(), IBAN, IBAN.lower()])
def test_a_cell_with_a_tax_code_or_an_iban_is_left_out_and_its_content_is_not_repeated(value: str) -> None:
    row = one(requisiti=f"referente {value}", costo="gratuito")
    assert [(p.column, p.code) for p in row.problems if p.code == "personal-data"] == [("requisiti", "personal-data")]
    assert row.record is not None and row.record.eligibility_description is UNSET
    assert value not in repr(row.problems) + msgspec.json.encode(row.record).decode()
    assert row.record.cost_options


def test_a_row_whose_name_is_personal_data_is_rejected() -> None:
    row = plan_text(f"servizio;comune\nMensa;Pesaro\nPratica {TAX_CODE};Pesaro\n").rows[1]
    assert (row.outcome, codes(row)) == ("rejected", {"personal-data", "service-missing"})


def test_personal_data_beyond_the_columns_are_not_repeated() -> None:
    row = plan_text(f"servizio;comune\nMensa;Pesaro;{TAX_CODE}\n").rows[0]
    assert "extra-cells" in codes(row) and TAX_CODE not in repr(row.problems)


def test_the_tax_code_of_a_body_is_no_personal_data() -> None:
    assert "personal-data" not in codes(one(note="C.F. 92000000418"))


def test_a_listed_spelling_of_a_comune_is_a_remark_and_no_problem() -> None:
    shown = row_preview(one(comune="Gabicce", **{"aggiornato al": "01/11/2026"}))
    assert [remark["code"] for remark in shown["remarks"]] == ["comune-variant"]
    assert "comune" not in {problem["field"] for problem in shown["problems"]}


def test_a_missing_comune_is_reported_also_when_nobody_knows_it() -> None:
    sheet = read_sheet(b"servizio;comune;telefono\nSportello sociale;;0721 000140\n")
    nobody = BodyProfile("prova", "Prova d'Esempio", "PT-ETS", "00000000-0000-0000-0000-000000000001")
    row = plan_import(sheet, nobody, [], TERRITORY, TODAY, dice()).rows[0]
    assert "comune-absent" in codes(row) and row.outcome == "imported_with_warnings"


@pytest.mark.parametrize(("text", "amount"), [("12", 12.0), ("7,50", 7.5)])
def test_a_number_alone_in_the_column_of_costs_is_an_amount_and_that_is_said(text: str, amount: float) -> None:
    row = one(costo=text)
    assert row.record is not None
    assert [(c.code, c.amount) for c in row.record.cost_options] == [("CT-TARIF", amount)]
    assert "cost-assumed" in codes(row) and "cost-unclear" not in codes(row)


def test_an_unknown_kind_of_service_is_no_fault_of_its_name() -> None:
    row = one(servizio="Attività varie")
    assert {p.field for p in row.problems if p.code == "category-unknown"} == {"category"}
    told = one(servizio="Attività varie", categoria="trasporto sociale").record
    assert told is not None and told.categories == ["SC-TRASP"]


def workbook(**sheets: list[list[str]]) -> bytes:
    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def previewed(path: Path) -> str:
    """What the command line prints about a sheet, without a store."""
    arguments = ("--dir", path.parent / "none", "import", path, "--preview", "--on", "2026-11-21")
    return str(run(*arguments).stdout)  # type: ignore[no-untyped-call]


TABLE = [["servizio", "comune"], ["Mensa", "Pesaro"]]


def test_other_sheets_of_a_workbook_are_named_and_empty_ones_are_not(tmp_path: Path) -> None:
    read = read_sheet(workbook(vuoto=[], servizi=TABLE, anziani=TABLE, altro=[], giovani=TABLE))
    assert (read.name, read.others) == ("servizi", ("anziani", "giovani"))
    path = tmp_path / "fogli.xlsx"
    path.write_bytes(workbook(servizi=TABLE, anziani=TABLE))
    shown = previewed(path)
    assert "Letto solo il foglio «servizi». Non letti: «anziani»." in shown


def test_the_sheets_of_our_own_model_are_not_listed_as_unread(tmp_path: Path) -> None:
    from openpyxl import load_workbook

    write_template(tmp_path / "modello.xlsx")
    book = load_workbook(tmp_path / "modello.xlsx")
    book["servizi"].append(["Mensa"])
    book.save(tmp_path / "modello.xlsx")
    sheet = read_sheet((tmp_path / "modello.xlsx").read_bytes())
    body = BodyProfile("prova", "Prova", "PT-ETS", "00000000-0000-0000-0000-000000000001", "041044")
    shown = preview(plan_import(sheet, body, [], TERRITORY, TODAY, dice()))
    assert (shown["sheet"], shown["other_sheets"]) == ("servizi", [])


def test_counts_agree_in_number(tmp_path: Path) -> None:
    path = tmp_path / "foglio.csv"
    head = "servizio;comune;telefono;costo;aggiornato al\n"
    rows = "Mensa;Pesaro;0721 01;gratuito;01/11/2026\n" * 2 + ";Pesaro;0721 000140;gratuito;01/11/2026\n"
    path.write_text(head + rows, encoding="utf-8")
    shown = previewed(path)
    assert "Righe: 2 importate con avvisi, 1 NON importata." in shown
