"""A sheet → an import plan: one outcome for each row, the records with their ids, and what is only proposed. Pure.

Nothing is stored here: the caller remembers the keys of what it accepts (KnownEntry) and gives them back next time.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal, NamedTuple

from node.importer.build import BodyProfile
from node.importer.columns import LABELS, WEEKDAYS, Column, find_header, fold, gather
from node.importer.reading import MAX_CELL, MAX_ROWS, Line, Sheet
from node.importer.rows import RowReading, read_row
from node.importer.suspicions import desk_marks
from node.importer.template import LISTS, NOTES_SHEET
from node.importer.wording import RowProblem, row_problem
from protocol.contents import STREET, faults
from protocol.errors import ProtocolError
from protocol.territory import Territory
from schemas.records import Service

Outcome = Literal["imported", "imported_with_warnings", "skipped_title", "skipped_empty", "skipped_note", "rejected"]
SHORT: Final = 1000
LONGEST: Final = {"description": 4000, "requirements": 4000}
_NOTE: Final = re.compile(
    r"^(?:\*|note?\b|n\.?b\.?\b|fonte\b|legenda\b|totale\b|aggiornat|ultim|avvertenz|dati\b|pag)", re.IGNORECASE
)
_EXAMPLE: Final = re.compile(r"^\W*esempio\b.*cancellare", re.IGNORECASE)


class KnownEntry(NamedTuple):
    """An entry imported before: its id, its key (see `entry_key`) and its name."""

    id: str
    key: str
    name: str


class Suggestion(NamedTuple):
    """Something to be confirmed by a person. kind: same-entry (ref: known id), split, owner, duplicate (ref: line)."""

    kind: Literal["same-entry", "split", "owner", "duplicate"]
    text: str
    ref: str = ""


@dataclass(frozen=True)
class RowOutcome:
    """What became of one physical row. `key` is the identity of an imported row, "" otherwise."""

    line: int
    outcome: Outcome
    record: Service | None = None
    reading: RowReading | None = None
    visibility: Literal["public", "network"] = "public"
    problems: tuple[RowProblem, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    key: str = ""
    known: bool = False


@dataclass(frozen=True)
class ImportPlan:
    """`public` and `network` are the records to be published; `missing` the known entries no row matched.

    `sheet` was read, `other_sheets` of the same workbook hold something and were not.
    """

    rows: list[RowOutcome]
    public: list[Service]
    network: list[Service]
    columns: list[Column]
    encoding: str
    delimiter: str
    missing: list[KnownEntry] = field(default_factory=list)
    sheet: str = ""
    other_sheets: tuple[str, ...] = ()


def holds_personal_data(text: str) -> bool:
    """The rule of protocol.contents, also for what people write in small letters."""
    return any(fault.code == "catalogue-personal-data" for fault in faults({"text": text.upper()}))


def entry_key(member: str, name: str, comune: str, address: str) -> str:
    """The identity of an entry across imports (DESIGN §9): member, and normalised name, comune and address."""
    return "|".join((member, fold(name), comune, fold(address)))


def plan_import(
    sheet: Sheet,
    body: BodyProfile,
    known: Sequence[KnownEntry],
    territory: Territory,
    today: date,
    new_id: Callable[[], str],
    accepted: Mapping[str, str] | None = None,
) -> ImportPlan:
    """The plan of a sheet. `accepted` gives row key → known id for proposals that a person confirmed.

    Raises ProtocolError import-no-header, import-empty, import-too-large.
    """
    header = find_header(sheet.lines)
    if not header:
        raise ProtocolError("import-no-header")
    position, columns = header
    if len(sheet.lines) - position - 1 > MAX_ROWS:
        raise ProtocolError("import-too-large", expected=f"{MAX_ROWS}")
    reader = _Reader(columns, body, territory, today)
    rows = [RowOutcome(line.number, _before(line)) for line in sheet.lines[:position]]
    rows += [reader.outcome(line) for line in sheet.lines[position + 1 :]]
    if not any(row.reading for row in rows):
        raise ProtocolError("import-empty")
    named, missing = _identify(rows, body, known, new_id, accepted or {})
    rows = _duplicates([_finished(row) for row in named])
    shown = [row for row in rows if row.record]
    public = [row.record for row in shown if row.record and row.visibility == "public"]
    network = [row.record for row in shown if row.record and row.visibility == "network"]
    others = tuple(name for name in sheet.others if name not in (LISTS, NOTES_SHEET))
    return ImportPlan(rows, public, network, columns, sheet.encoding, sheet.delimiter, missing, sheet.name, others)


def _before(line: Line) -> Outcome:
    return "skipped_title" if any(line.cells) else "skipped_empty"


class _Reader:
    """Rows below the header."""

    def __init__(self, columns: list[Column], body: BodyProfile, territory: Territory, today: date) -> None:
        self.columns = columns
        self.names = {c.field: c.name for c in reversed(columns) if c.field}
        self.heads = {c.at: fold(c.name) for c in columns}
        self.names.setdefault("hours", next((self.names[f] for f in ("days", *WEEKDAYS) if f in self.names), ""))
        self.body, self.territory, self.today = body, territory, today

    def outcome(self, line: Line) -> RowOutcome:
        filled = [cell for cell in line.cells if cell]
        if not filled:
            return RowOutcome(line.number, "skipped_empty")
        cells = gather(line.cells, self.columns)
        if skipped := self._skipped(line, filled, cells):
            return RowOutcome(line.number, skipped)
        problems = self._cell_problems(line)
        for name in [name for name, cell in cells.items() if len(cell) > LONGEST.get(name, SHORT)]:
            cells[name] = cells[name][: LONGEST.get(name, SHORT)]
            problems.append(row_problem("text-too-long", self.names.get(name, ""), name))
        problems += self._personal(cells)
        if not cells.get("service", "").strip(" -–"):
            missing = row_problem("service-missing", self.names["service"], "service")
            return RowOutcome(line.number, "rejected", problems=(*problems, missing))
        reading = read_row(cells, self.names, self.body, self.territory, self.today)
        problems += reading.problems
        if reading.place.kind == "secret" and STREET.search(reading.name):
            told = row_problem("place-told", self.names["service"], "service")
            return RowOutcome(line.number, "rejected", problems=(*problems, told))
        named = cells.get("body", "")
        if named and fold(named) != fold(self.body.name):
            problems.append(row_problem("other-body", self.names["body"], "body", named))
        visibility: Literal["public", "network"] = "network" if reading.network else "public"
        return RowOutcome(line.number, "imported", None, reading, visibility, tuple(problems))

    def _personal(self, cells: dict[str, str]) -> list[RowProblem]:
        """Cells with a codice fiscale or an IBAN are emptied and named; what they hold is not repeated."""
        if not holds_personal_data("\n".join(cells.values())):
            return []
        found = [name for name, cell in cells.items() if holds_personal_data(cell)]
        for name in found:
            cells[name] = ""
        return [row_problem("personal-data", self.names.get(name, ""), name) for name in found]

    def _skipped(self, line: Line, filled: list[str], cells: Mapping[str, str]) -> Outcome | None:
        """A repeated header or a section title is a title; a remark below the table is a note."""
        if {at: fold(cell) for at, cell in enumerate(line.cells) if at in self.heads} == self.heads:
            return "skipped_title"
        if _EXAMPLE.match(filled[0]):
            return "skipped_note"
        alone = len(filled) == 1 and len(self.columns) > 2
        if _NOTE.match(filled[0]) and len(filled) <= 2:
            return "skipped_note"
        if alone and not cells.get("service"):
            return "skipped_note"
        if alone and (len(filled[0]) > 80 or filled[0].isupper()):
            return "skipped_title" if filled[0].isupper() else "skipped_note"
        return None

    def _cell_problems(self, line: Line) -> list[RowProblem]:
        at = {c.at: c for c in self.columns}
        problems: list[RowProblem] = []
        for code, where in (("hidden-characters", line.hidden), ("text-too-long", line.too_long)):
            for index in where:
                column = at.get(index)
                problems.append(row_problem(code, column.name if column else "", column.field if column else ""))
        extra = [cell for index, cell in enumerate(line.cells) if cell and index > max(at)]
        if extra:
            told = "…" if holds_personal_data("\n".join(extra)) else "; ".join(extra)[:MAX_CELL]
            problems.append(row_problem("extra-cells", got=told))
        return problems


# -- identity


def _identify(
    rows: list[RowOutcome],
    body: BodyProfile,
    known: Sequence[KnownEntry],
    new_id: Callable[[], str],
    accepted: Mapping[str, str],
) -> tuple[list[RowOutcome], list[KnownEntry]]:
    """Ids for the imported rows: the known one for a known or accepted key, a new one otherwise."""
    by_key = {entry.key: entry for entry in known}
    by_id = {entry.id: entry for entry in known}
    used: dict[str, int] = {}
    times: dict[str, int] = {}
    done: list[RowOutcome] = []
    taken: set[str] = set()
    for row in rows:
        if not row.reading:
            done.append(row)
            continue
        place = row.reading.place
        key = entry_key(body.member, row.reading.name, place.comune, place.street)
        problems = row.problems
        if first := used.get(key):
            problems = (*problems, row_problem("same-key", got=str(first)))
            times[key] = times.get(key, 1) + 1
            key = f"{key}|{times[key]}"
        used[key] = row.line
        entry = by_key.get(key) or by_id.get(accepted.get(key, ""))
        if entry and entry.id in taken:
            entry = None
        ident = entry.id if entry else new_id()
        taken.add(ident)
        record = row.reading.build(ident)
        done.append(_with(row, record=record, problems=problems, key=key, known=entry is not None))
    missing = [entry for entry in known if entry.id not in taken]
    return _propose(done, missing), missing


def _propose(rows: list[RowOutcome], missing: list[KnownEntry]) -> list[RowOutcome]:
    """A new row and a known entry without a row that fit only each other: proposed to a person, never applied."""
    fresh = [row for row in rows if row.reading and not row.known]
    halves: dict[tuple[str, ...], list[KnownEntry]] = {}
    for entry in missing:
        for half in _halves(entry.key):
            halves.setdefault(half, []).append(entry)
    fits = {row.line: {e.id: e for half in _halves(row.key) for e in halves.get(half, [])} for row in fresh}
    wanted = Counter(ident for entries in fits.values() for ident in entries)
    proposed: dict[int, Suggestion] = {}
    for line, entries in fits.items():
        ident = next(iter(entries), "")
        if len(entries) == 1 and wanted[ident] == 1:
            text = f"Forse è la voce già importata «{entries[ident].name}»: confermare per conservarne l'identità."
            proposed[line] = Suggestion("same-entry", text, ident)
    return [
        _with(row, suggestions=(*row.suggestions, proposed[row.line])) if row.line in proposed else row for row in rows
    ]


def _halves(key: str) -> list[tuple[str, ...]]:
    """What two keys must have in common to be alike: name and comune, name and address, or comune and address."""
    name, comune, address = key.split("|")[1:4]
    pairs = (
        ("name", name, "comune", comune),
        ("name", name, "address", address),
        ("comune", comune, "address", address),
    )
    return [pair for pair in pairs if pair[1] and pair[3]]


def _with(row: RowOutcome, **changes: object) -> RowOutcome:
    values = {name: getattr(row, name) for name in row.__dataclass_fields__}
    return RowOutcome(**{**values, **changes})


def _finished(row: RowOutcome) -> RowOutcome:
    """The outcome word and the suggestions of one row, now that all its problems are known."""
    if not row.reading:
        return row
    suggestions = list(row.suggestions)
    if row.reading.mixed:
        suggestions.append(Suggestion("split", f"Dividere in: {' / '.join(row.reading.mixed)}."))
    elif row.reading.hours.foreign:
        suggestions.append(Suggestion("split", "Gli orari sembrano di due servizi: dividere la riga."))
    if row.reading.owner:
        text = f"Il titolare è {row.reading.owner}: proporre il collegamento con la sua voce, senza unirle."
        suggestions.append(Suggestion("owner", text, row.reading.owner))
    return _with(row, suggestions=tuple(suggestions), outcome=_outcome(row.problems))


def _outcome(problems: Sequence[RowProblem]) -> Outcome:
    grave = any(problem.severity in ("error", "warning") for problem in problems)
    return "imported_with_warnings" if grave else "imported"


def _duplicates(rows: list[RowOutcome]) -> list[RowOutcome]:
    """Two rows that may be one desk: same telephone, same address, and both the general social desk of the body."""
    first: dict[tuple[str, str, str], int] = {}
    found: dict[int, int] = {}
    for row in rows:
        for mark in desk_marks(row.record) if row.record else []:
            if first.setdefault(mark, row.line) != row.line:
                found.setdefault(row.line, first[mark])
    return [_marked(row, found[row.line]) if row.line in found else row for row in rows]


def _marked(row: RowOutcome, line: int) -> RowOutcome:
    problem = row_problem("duplicate-desk", LABELS["phone"], "phone", str(line))
    suggestion = Suggestion("duplicate", f"Forse è lo stesso sportello della riga {line}.", str(line))
    problems = (*row.problems, problem)
    return _with(row, problems=problems, suggestions=(*row.suggestions, suggestion), outcome=_outcome(problems))
