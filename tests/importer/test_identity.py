"""Importing again: ids are kept, changed keys are proposed, nothing is guessed."""

from collections.abc import Iterable
from pathlib import Path

import openpyxl
import pytest

from node.importer.plan import ImportPlan, KnownEntry, plan_import
from node.importer.reading import read_sheet
from node.importer.template import write_template
from tests.importer.support import BODIES, TERRITORY, TODAY, body, dice, plan_of, plan_text

HEAD = "servizio;comune;indirizzo;telefono\n"


def remembered(plan: ImportPlan) -> list[KnownEntry]:
    return [KnownEntry(row.record.id, row.key, row.record.name) for row in plan.rows if row.record]


def ids(plan: ImportPlan) -> Iterable[str]:
    return [row.record.id for row in plan.rows if row.record]


@pytest.mark.parametrize("node", BODIES)
def test_importing_a_sheet_again_gives_the_same_records(node: str) -> None:
    first = plan_of(node)
    again = plan_of(node, remembered(first))
    assert (again.public, again.network) == (first.public, first.network)
    assert all(row.known for row in again.rows if row.record) and not again.missing


def test_rows_in_another_order_with_other_spelling_keep_their_ids() -> None:
    first = plan_text(HEAD + "Mensa;Pesaro;Via A 1;0721 000101\nDocce;Pesaro;Via A 1;0721 000101\n")
    second = plan_text(
        HEAD + "DOCCE ;pesaro;via A, 1;0721 000199\nMensa;Pesaro;Via A 1;0721 000101\n", known=remembered(first)
    )
    assert list(ids(second)) == list(reversed(list(ids(first))))


def test_a_changed_address_is_proposed_and_gets_the_old_id_only_when_confirmed() -> None:
    first = plan_text(HEAD + "Mensa;Pesaro;Via A 1;0721 000101\n")
    known = remembered(first)
    moved = HEAD + "Mensa;Pesaro;Via B 2;0721 000101\n"
    proposal = plan_text(moved, known=known)
    row = proposal.rows[0]
    assert [(s.kind, s.ref) for s in row.suggestions] == [("same-entry", known[0].id)]
    assert [entry.id for entry in proposal.missing] == [known[0].id] and not row.known
    confirmed = plan_text(moved, known=known, accepted={row.key: known[0].id})
    assert list(ids(confirmed)) == [known[0].id] and not confirmed.missing


def test_what_fits_two_old_entries_is_not_proposed() -> None:
    first = plan_text(HEAD + "Mensa;Pesaro;Via A 1;\nDocce;Pesaro;Via A 1;\n")
    second = plan_text(HEAD + "Guardaroba;Pesaro;Via A 1;\n", known=remembered(first))
    assert not second.rows[0].suggestions and len(second.missing) == 2


def test_the_same_row_twice_has_two_ids_and_a_warning() -> None:
    plan = plan_text(HEAD + "Mensa;Pesaro;Via A 1;\nMensa;Pesaro;Via A 1;\n")
    assert len(set(ids(plan))) == 2
    assert "same-key" in {problem.code for problem in plan.rows[1].problems}
    again = plan_text(HEAD + "Mensa;Pesaro;Via A 1;\nMensa;Pesaro;Via A 1;\n", known=remembered(plan))
    assert list(ids(again)) == list(ids(plan))


def test_the_template_can_be_filled_and_imported(tmp_path: Path) -> None:
    path = tmp_path / "modello.xlsx"
    write_template(path)
    book = openpyxl.load_workbook(path)
    sheet = book["servizi"]
    assert len(sheet.data_validations.dataValidation) == 5
    sheet.cell(3, 1, "Mensa sociale")
    sheet.cell(3, 5, "Pesaro")
    book.save(path)
    plan = plan_import(read_sheet(path.read_bytes()), body("ts-lanterna"), [], TERRITORY, TODAY, dice())
    assert [(row.line, row.outcome) for row in plan.rows] == [(2, "skipped_note"), (3, "imported")]
    assert all(column.field for column in plan.columns)


def test_the_heavy_packages_are_loaded_only_when_a_workbook_is_read() -> None:
    import subprocess
    import sys

    code = "import sys, node.importer.plan, node.importer.template, node.importer.preview; print([m for m in ('openpyxl', 'python_calamine') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
