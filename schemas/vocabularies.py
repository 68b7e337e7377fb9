"""The network's vocabularies as read-only tables, from the CSV files of schemas/vocab. No rules.

Codes are stable and never reused; labels may change. VERSION is stored with every record that uses a code.
"""

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

VERSION: Final = "2026-11"
Row = Mapping[str, str]
_FOLDER: Final = Path(__file__).parent / "vocab"  # importlib.resources would load zipfile and its three decompressors


@cache
def table(name: str) -> Mapping[str, Row]:
    """The rows of one vocabulary by code, in file order; `name` is the file name without .csv."""
    text = (_FOLDER / f"{name}.csv").read_text("utf-8")
    rows = [{k: v.strip() for k, v in row.items()} for row in csv.DictReader(text.splitlines())]
    key = "istat_code" if name == "comuni" else "code"
    return MappingProxyType({row[key]: MappingProxyType(row) for row in rows})


def label(name: str, code: str, language: str = "it") -> str:
    """The words for a code, or the code itself when it is not in the vocabulary."""
    row = table(name).get(code)
    return row.get(f"label_{language}", code) if row else code


def words(cell: str) -> list[str]:
    """A cell that lists things with semicolons or commas, as a list."""
    parts = cell.split(";") if ";" in cell else cell.split(",")
    return [part.strip() for part in parts if part.strip()]
