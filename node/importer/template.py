"""The .xlsx model for people who start from nothing: columns, drop-downs from the vocabularies, one example, notes."""

from pathlib import Path
from typing import Final

from node.importer.columns import LABELS
from schemas import vocabularies

ROWS: Final = 500
LISTS, NOTES_SHEET = "elenchi", "istruzioni"
_WIDE: Final = frozenset({"service", "description", "hours", "requirements", "documents", "address"})
_ORDER: Final = (
    "service", "description", "targets", "address", "comune", "phone", "email", "hours", "requirements", "documents",
    "cost", "waiting", "accessibility", "languages", "verified", "url", "notes",
)  # fmt: skip
EXAMPLE: Final[dict[str, str]] = {
    "service": "ESEMPIO, da cancellare: Sportello di ascolto",
    "description": "Informazioni e orientamento sui servizi sociali",
    "targets": "tutti",
    "address": "Via di Esempio 1",
    "comune": "Pesaro",
    "phone": "0721 000101; 300 0000001",
    "email": "sportello@example.org",
    "hours": "lun-ven 9-12; mar e gio 15-17:30",
    "requirements": "nessuno",
    "documents": "documento di identità",
    "cost": "gratuito",
    "waiting": "7-15 gg",
    "accessibility": "rampa, bagno disabili",
    "languages": "italiano, arabo (lun)",
    "verified": "15/09/2026",
}
NOTES: Final = (
    "Una riga per servizio. Si può cambiare l'ordine delle colonne, toglierne e aggiungerne.",
    "La riga di esempio non viene importata: cancellarla o lasciarla.",
    "Orari: giorni e ore, per esempio «lun-ven 9-12; mar e gio 15-17:30», «primo lunedì del mese 16-18», "
    "«ott-mag: lun 14-17», «solo su appuntamento», «H24».",
    "Date: giorno/mese/anno. Telefoni: più numeri separati da punto e virgola.",
    "Indirizzo da non rivelare mai: scrivere INDIRIZZO SEGRETO e lasciare vuoto il comune.",
    "Voce solo per gli sportelli della rete: scrivere (non pubblicare) nella descrizione.",
    "Non scrivere dati di persone assistite.",
)
_LISTS: Final[dict[str, tuple[str, str]]] = {
    # field: vocabulary, column of the words; other words are still accepted
    "comune": ("comuni", "name"), "targets": ("target_groups", "label_it"), "cost": ("cost_types", "label_it"),
    "accessibility": ("accessibility_features", "label_it"), "languages": ("languages", "label_it"),
}  # fmt: skip


def write_template(path: Path) -> None:
    """Writes the model; an existing file is replaced."""
    from openpyxl import Workbook
    from openpyxl.styles import Font, PatternFill
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    book = Workbook()
    sheet, lists, notes = book.active, book.create_sheet(LISTS), book.create_sheet(NOTES_SHEET)
    sheet.title = "servizi"
    for column, name in enumerate(_ORDER, start=1):
        head = sheet.cell(1, column, LABELS[name])
        head.font = Font(bold=True)
        example = sheet.cell(2, column, EXAMPLE.get(name, ""))
        example.font = Font(italic=True, color="808080")
        example.fill = PatternFill("solid", fgColor="F2F2F2")
        sheet.column_dimensions[get_column_letter(column)].width = 40 if name in _WIDE else 20
    sheet.freeze_panes = "A2"
    for place, (name, (vocabulary, words)) in enumerate(_LISTS.items(), start=1):
        entries = [row[words] for row in vocabularies.table(vocabulary).values()]
        letter = get_column_letter(place)
        for line, entry in enumerate(entries, start=1):
            lists.cell(line, place, entry)
        choice = DataValidation("list", formula1=f"{LISTS}!${letter}$1:${letter}${len(entries)}", allow_blank=True)
        choice.showErrorMessage = False  # several values in a cell are welcome
        target = get_column_letter(_ORDER.index(name) + 1)
        choice.add(f"{target}2:{target}{ROWS}")
        sheet.add_data_validation(choice)
    for line, note in enumerate(NOTES, start=1):
        notes.cell(line, 1, note)
    notes.column_dimensions["A"].width = 120
    book.save(path)
