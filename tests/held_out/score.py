"""Scores the importer on texts and sheets written before it saw them: `python -m tests.held_out.score` prints JSON.

Hours: every column but the note has to match. Sheets: outcome and the set of fields reported, per row. An entry that
is only old is no problem to the author of these sheets, while our preview says it is stale: `stale` is left out of both.
"""

import csv
import itertools
import json
import uuid
from datetime import date
from pathlib import Path

from node.catalogue.importing import profile_from_sheet
from node.importer.build import BodyProfile
from node.importer.hours import parse_hours
from node.importer.plan import plan_import
from node.importer.preview import preview
from node.importer.reading import read_sheet
from protocol.territory import Territory
from schemas.vocabularies import table

HERE = Path(__file__).parent
TODAY = date(2026, 11, 21)
FIELDS = {
    "body": "ente", "service": "servizio", "description": "descrizione", "targets": "destinatari",
    "address": "indirizzo", "comune": "comune", "phone": "telefono", "email": "email", "hours": "orari",
    "requirements": "requisiti", "documents": "documenti", "cost": "costo", "waiting": "attesa",
    "accessibility": "accessibilita", "languages": "lingua", "verified": "aggiornato",
}  # fmt: skip


def hours_misses():
    """(text, {column: (expected, got)}) of every text that is read otherwise than its author reads it."""
    misses = []
    for row in csv.DictReader((HERE / "hours.csv").open(encoding="utf-8", newline="")):
        got = parse_hours(row["orari_testo"])
        differing = {}
        for name, expected, seen in (
            ("status", row["status"], got.status),
            ("weekly", _week(row["weekly_json"]), _as_lists(got)),
            ("monthly", _json(row["monthly_json"], []), [list(m) for m in got.monthly]),
            ("season", _json(row["season_json"], None), _season(got.season)),
            ("desk_hours", _number(row["desk_hours_per_week"]), got.desk_hours_per_week),
        ):
            if name == "weekly" and (_same_nights(expected, got) or row["status"] == got.status == "h24"):
                continue
            if expected != seen:
                differing[name] = (expected, seen)
        if differing:
            misses.append((row["orari_testo"], differing))
    return misses


def _json(text, empty):
    return json.loads(text) if text else empty


def _week(text):
    return {day: spans for day, spans in _json(text, {}).items() if spans}


def _as_lists(got):
    return {day: [list(span) for span in spans] for day, spans in got.weekly.items()}


def _same_nights(expected, got):
    """`overnight` is an equivalent form of from > to on each day (README)."""
    nights = {tuple(span) for spans in expected.values() for span in spans}
    return got.overnight is not None and nights == {tuple(got.overnight)}


def _season(season):
    if season is None:
        return None
    named = {name: getattr(season, name) for name in ("from_month", "to_month", "from_day", "to_day")}
    return {name: value for name, value in named.items() if isinstance(value, int)}


def _number(text):
    return float(text) if text else None


def sheet_misses(own_only=False):
    """(file, line, expected, got) of every row with another outcome or another set of fields reported."""
    expected = list(csv.DictReader((HERE / "sheets_expected.csv").open(encoding="utf-8", newline="")))
    misses, total = [], 0
    for name, group in itertools.groupby(expected, key=lambda row: row["file"]):
        numbers = itertools.count(1)
        sheet, territory = read_sheet((HERE / name).read_bytes()), Territory.from_rows(table("comuni").values())
        own = profile_from_sheet(sheet, territory)
        plan = plan_import(
            sheet,
            BodyProfile(
                member="prova", name=own.name, participant_type=own.ptype, organization_id=str(uuid.UUID(int=1))
            ),
            [],
            territory,
            TODAY,
            lambda numbers=numbers: str(uuid.UUID(int=next(numbers), version=4)),
        )
        seen = {row["line"]: row for row in preview(plan)["rows"]}
        for row in group:
            total += 1
            want = (row["outcome"], set(filter(None, row["fields_with_problem"].replace(" ", "").split(","))))
            got = _row(seen.get(int(row["line"])), {"ente"} if own_only else set())
            if want != got:
                misses.append((name, int(row["line"]), _shown(want), _shown(got)))
    return misses, total


def _row(row, ignored):
    if row is None:
        return ("absent", set())
    problems = [p for p in row.get("problems", []) if p["code"] != "stale" and "stale" not in p["code"]]
    fields = {FIELDS.get(p["field"], p["field"]) for p in problems} - ignored
    outcome = row["outcome"]
    if outcome == "imported_with_warnings" and not fields:
        outcome = "imported"
    return (outcome, fields)


def _shown(pair):
    return f"{pair[0]} {sorted(pair[1])}"


def main():
    hours, (sheets, rows) = hours_misses(), sheet_misses()
    elsewhere, _ = sheet_misses(own_only=True)
    report = {
        "hours": {"texts": 20, "right": 20 - len(hours), "misses": hours},
        "sheets": {
            "rows": rows, "right": rows - len(sheets), "misses": sheets,
            # the sheets name several bodies, and a row of another body is always reported by its `ente`
            "right_but_for_ente": rows - len(elsewhere),
        },
    }  # fmt: skip
    print(json.dumps(report, indent=1, ensure_ascii=False, default=str))


if __name__ == "__main__":
    main()
