"""An import plan → the JSON that `import --preview --json` prints. Words only; nothing is decided here."""

from dataclasses import asdict
from typing import TypedDict

from msgspec import to_builtins

from node.importer.hours import HoursReading
from node.importer.plan import ImportPlan, RowOutcome
from node.importer.wording import RowProblem


class HoursPreview(TypedDict, total=False):
    """`weekly`, `monthly`, `overnight` in the words of domain/sample/README.md."""

    status: str
    weekly: dict[str, list[list[str]]]
    monthly: list[list[object]]
    overnight: list[str] | None
    season: object
    closed_season: object
    desk_hours_per_week: float | None
    notes: list[str]


class RowPreview(TypedDict, total=False):
    line: int
    outcome: str
    visibility: str
    record: object
    hours: HoursPreview | None
    problems: list[dict[str, str]]
    remarks: list[dict[str, str]]
    suggestions: list[dict[str, str]]
    reasons: dict[str, str]
    derived: list[str]
    key: str
    known: bool


class Preview(TypedDict):
    encoding: str
    delimiter: str
    sheet: str
    other_sheets: list[str]
    columns: list[dict[str, object]]
    counts: dict[str, int]
    rows: list[RowPreview]
    missing: list[dict[str, str]]


def preview(plan: ImportPlan) -> Preview:
    """The whole preview: which column was taken for what, one entry for each row, known entries without a row."""
    counts: dict[str, int] = {}
    for row in plan.rows:
        counts[row.outcome] = counts.get(row.outcome, 0) + 1
    return {
        "encoding": plan.encoding,
        "delimiter": plan.delimiter,
        "sheet": plan.sheet,
        "other_sheets": list(plan.other_sheets),
        "columns": [{"name": c.name, "field": c.field or "ignored", "score": c.score} for c in plan.columns],
        "counts": counts,
        "rows": [row_preview(row) for row in plan.rows],
        "missing": [{"id": entry.id, "name": entry.name} for entry in plan.missing],
    }


def _problem(problem: RowProblem) -> dict[str, str]:
    return {**problem._asdict(), "severity": problem.severity}


def row_preview(row: RowOutcome) -> RowPreview:
    shown: RowPreview = {
        "line": row.line,
        "outcome": row.outcome,
        "record": to_builtins(row.record) if row.record else None,
        "hours": hours_preview(row.reading.hours) if row.reading else None,
        "problems": [_problem(problem) for problem in row.problems if problem.severity != "remark"],
        "remarks": [_problem(problem) for problem in row.problems if problem.severity == "remark"],
        "suggestions": [suggestion._asdict() for suggestion in row.suggestions],
    }
    if row.reading:
        shown["visibility"] = row.visibility
        shown["reasons"] = row.reading.reasons
        shown["derived"] = row.reading.derived
        shown["key"] = row.key
        shown["known"] = row.known
    return shown


def hours_preview(hours: HoursReading) -> HoursPreview:
    fields = asdict(hours)
    return {
        "status": hours.status,
        "weekly": hours.weekly,
        "monthly": [list(rule) for rule in hours.monthly],
        "overnight": list(hours.overnight) if hours.overnight else None,
        "season": to_builtins(hours.season) if hours.season else None,
        "closed_season": to_builtins(hours.closed_season) if hours.closed_season else None,
        "desk_hours_per_week": fields["desk_hours_per_week"],
        "notes": list(hours.notes),
    }
