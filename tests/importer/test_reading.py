"""Files as they arrive: encodings, separators, workbooks, and what is no table at all."""

import io
import random
import zipfile
from datetime import date, datetime, time

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.importer.columns import find_header
from node.importer.plan import plan_import
from node.importer.reading import MAX_CELL, MAX_FILE, clean, read_sheet
from protocol.errors import ProtocolError
from tests.importer.support import SHEETS, TERRITORY, TODAY, body, dice, plan_text

TABLE = "servizio;comune;telefono\r\nSegretariato è qui;Pesaro;0721 000101\r\n"


def refused(data: bytes) -> str:
    with pytest.raises(ProtocolError) as caught:
        sheet = read_sheet(data)
        plan_import(sheet, body("comune-pesaro"), [], TERRITORY, TODAY, dice())
    return caught.value.code


def workbook(rows: list[list[object]]) -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_any_usual_encoding_is_read(encoding: str) -> None:
    sheet = read_sheet(TABLE.encode(encoding))
    assert sheet.lines[1].cells == ["Segretariato è qui", "Pesaro", "0721 000101"]


@pytest.mark.parametrize("delimiter", [";", ",", "\t", "|"])
def test_any_usual_separator_is_found(delimiter: str) -> None:
    sheet = read_sheet(TABLE.replace(";", delimiter).encode())
    assert sheet.delimiter == delimiter
    assert [len(line.cells) for line in sheet.lines] == [3, 3]


def test_a_separator_can_be_named_in_the_file() -> None:
    assert read_sheet(b"sep=;\nservizio;a,b\nx;c,d\n").delimiter == ";"


def test_cells_over_several_lines_keep_the_line_on_which_their_row_begins() -> None:
    sheet = read_sheet(b'servizio;orari\n"uno";"lun 9-12\nmar 15-18"\ndue;h24\n')
    assert [(line.number, line.cells[0]) for line in sheet.lines] == [(1, "servizio"), (2, "uno"), (4, "due")]


def test_title_lines_repeated_headers_notes_and_blank_rows_are_told_apart() -> None:
    text = (
        "Elenco dei servizi;;\n;;\nservizio;comune;telefono\nSportello sociale;Pesaro;0721 000101\n;;\n"
        "servizio;comune;telefono\nMensa;Pesaro;0721 000102\n* dati aggiornati a mano;;\n;Pesaro;0721 000103\n"
    )
    assert [(row.line, row.outcome) for row in plan_text(text).rows] == [
        (1, "skipped_title"),
        (2, "skipped_empty"),
        (4, "imported"),
        (5, "skipped_empty"),
        (6, "skipped_title"),
        (7, "imported"),
        (8, "skipped_note"),
        (9, "rejected"),
    ]


def test_a_workbook_gives_real_dates_times_and_numbers() -> None:
    rows: list[list[object]] = [
        ["Elenco", None, None, None],
        ["servizio", "comune", "telefono", "aggiornato al"],
        ["Sportello sociale", "Pesaro", 3000000001, date(2026, 9, 15)],
        ["Mensa", "Pesaro", "=1+1", datetime(2026, 9, 1, 0, 0)],
        ["Docce", "Pesaro", time(9, 30), 46265],
    ]
    plan = plan_import(read_sheet(workbook(rows)), body("comune-pesaro"), [], TERRITORY, TODAY, dice())
    records = [row.record for row in plan.rows if row.record]
    assert [r.verified_at for r in records] == ["2026-09-15", "2026-09-01", "2026-08-31"]
    assert records[0].phones[0].number == "3000000001"
    assert [row.line for row in plan.rows] == [1, 3, 4, 5]


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n" + b"x" * 50,
        b"\xff\xd8\xff\xe0JFIF",
        b"%PDF-1.7 servizio;comune",
        b"GIF89a",
        b"RIFF0000WEBPVP8 ",
        b"BM6\0",
    ],
)
def test_a_picture_or_a_scan_is_named_as_such(data: bytes) -> None:
    assert refused(data) == "import-picture"


def zipped(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "import-empty"),
        (b"\0\0\0", "import-empty"),
        (b"<!DOCTYPE html><table><tr><td>servizio", "import-not-a-table"),
        (b"{\\rtf1 servizio}", "import-not-a-table"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "import-not-a-table"),
        (b"PK\x03\x04 not a zip", "import-not-a-table"),
        (zipped("word/document.xml", b"<w/>"), "import-not-a-table"),
        (zipped("xl/worksheets/sheet1.xml", b"<" * 1000), "import-not-a-table"),
        (zipped("xl/worksheets/sheet1.xml", b" " * (201 << 20)), "import-too-large"),
        (b"a;b\n" * 6000, "import-too-large"),
        (b";".join([b"c"] * 100_000), "import-too-large"),
        (b"x" * (MAX_FILE + 1), "import-too-large"),
        (b"nome;cognome\nx;y\n", "import-no-header"),
        (b"servizio;comune;orari\n;;\n", "import-empty"),
        (b"caro collega, ti mando i dati\nciao", "import-no-header"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)  # fmt: skip
def test_what_is_no_table_is_refused_with_its_own_code(data: bytes, code: str) -> None:
    assert refused(data) == code


def test_a_workbook_whose_header_lies_about_its_size_is_refused() -> None:
    data = bytearray(zipped("xl/sheet.xml", b" " * (201 << 20)))
    where = data.rindex(b"PK\x01\x02")
    data[where + 24 : where + 28] = (1000).to_bytes(4, "little")
    assert refused(bytes(data)) in ("import-too-large", "import-not-a-table")


def test_invisible_and_direction_characters_are_removed_and_reported() -> None:
    plan = plan_text("servizio;comune\nSporte\u202ello \x07sociale;Pesaro\n")
    row = plan.rows[0]
    assert row.record is not None and row.record.name == "Sportello sociale"
    problem = next(p for p in row.problems if p.code == "hidden-characters")
    assert problem.column == "servizio"


def test_a_huge_cell_is_cut_and_reported() -> None:
    row = plan_text(f'servizio;comune;descrizione\nMensa;Pesaro;"{"a" * 100_000}"\n').rows[0]
    assert row.record is not None and len(str(row.record.description)) <= MAX_CELL
    assert "text-too-long" in {p.code for p in row.problems}


def test_cells_beyond_the_columns_are_reported() -> None:
    row = plan_text("servizio;comune\nMensa;Pesaro;altro testo\n").rows[0]
    assert "extra-cells" in {p.code for p in row.problems}


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.binary(max_size=400))
def test_random_bytes_give_a_sheet_or_a_typed_refusal(data: bytes) -> None:
    try:
        find_header(read_sheet(data).lines)
    except ProtocolError as error:
        assert error.code.startswith("import-")


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(0, 2**32))
def test_damaged_workbooks_and_sheets_never_crash(seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(GOOD[seed % 2])
    if rng.random() < 0.4:
        del data[rng.randrange(len(data)) :]
    for _ in range(rng.randrange(1, 12)):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    try:
        plan_import(read_sheet(bytes(data)), body("comune-pesaro"), [], TERRITORY, TODAY, dice())
    except ProtocolError as error:
        assert error.code.startswith("import-")


DESKS: list[list[object]] = [["servizio", "comune", "orari"]]
DESKS += [[f"Sportello {i}", "Pesaro", "lun 9-12"] for i in range(5)]
GOOD = [
    workbook(DESKS),
    (SHEETS / "comune-pesaro_ESEMPIO.csv").read_bytes(),
]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.text(max_size=60))
def test_cleaning_a_cell_twice_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)
