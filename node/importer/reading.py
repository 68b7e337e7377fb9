"""Bytes of a spreadsheet → rows of text cells with their lines in the file. Not what the columns mean: columns.py.

Every failure is a ProtocolError: import-picture, import-not-a-table, import-too-large, import-empty.
The content decides what a file is, never its extension.
"""

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple

from protocol.errors import ProtocolError

MAX_FILE: Final = 20 * 1024 * 1024
MAX_EXPANDED: Final = 200 * 1024 * 1024
MAX_ENTRIES: Final = 2000
MAX_ROWS: Final = 5000
MAX_COLUMNS: Final = 200
MAX_CELL: Final = 8000
SNIFFED: Final = 64 * 1024
PICTURES: Final[tuple[bytes, ...]] = (
    b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"%PDF", b"\0\0\0\x0cjP", b"\0\0\0\x18ftyphei",
    b"\0\0\0\x1cftyphei", b"\0\0\0\x1cftypavif", b"\0\0\0\x20ftypavif",
)  # fmt: skip
_HTML: Final = re.compile(rb"^\s*(?:<!doctype|<html|<\?xml|<table|\{\\rtf)", re.IGNORECASE)
_OLE: Final = b"\xd0\xcf\x11\xe0"
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


class Line(NamedTuple):
    """One row: its physical line in the file (from 1), its cells, and which columns (from 0) held hidden characters."""

    number: int
    cells: list[str]
    hidden: tuple[int, ...] = ()
    too_long: tuple[int, ...] = ()


class Sheet(NamedTuple):
    """What was read: `encoding` and `delimiter` for the preview ("xlsx" and "" for a workbook).

    `name` is the sheet of the workbook that was read, `others` those that hold something and were not.
    """

    lines: list[Line]
    encoding: str
    delimiter: str
    name: str = ""
    others: tuple[str, ...] = ()


def read_sheet(data: bytes) -> Sheet:
    """The rows of a .csv or .xlsx file, whatever its name says."""
    if len(data) > MAX_FILE:
        raise ProtocolError("import-too-large", expected=f"{MAX_FILE >> 20} MiB")
    if not data.strip(b"\0 \r\n\t"):
        raise ProtocolError("import-empty")
    if data.startswith(PICTURES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        raise ProtocolError("import-picture")
    if data.startswith(b"PK"):
        return _workbook(data)
    if data.startswith(_OLE):
        return _old_workbook(data)
    if _HTML.match(data[:512]):
        raise ProtocolError("import-not-a-table")
    return _text_table(data)


# -- text


def _decode(data: bytes) -> tuple[str, str]:
    """(text, encoding). UTF-8 when it is valid UTF-8; otherwise what an Italian Excel writes."""
    if data.startswith(b"\xef\xbb\xbf"):
        return data[3:].decode("utf-8", "replace"), "utf-8-sig"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace"), "utf-16"
    half = data[: 2 * (min(len(data), SNIFFED) // 2)]
    if half[1::2].count(0) > len(half) // 5:
        return data.decode("utf-16-le", "replace"), "utf-16-le"
    if half[0::2].count(0) > len(half) // 5:
        return data.decode("utf-16-be", "replace"), "utf-16-be"
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "cp1252"


def _looks_binary(text: str) -> bool:
    head = text[:SNIFFED]
    odd = sum(1 for c in head if (unicodedata.category(c) == "Cc" and c not in "\t\r\n\x0b\x0c") or c == "\ufffd")
    return "\0" in head or odd > max(8, len(head) // 50)


def _delimiter(text: str) -> str:
    """The one that cuts most lines into the same number of pieces; quotes are respected."""
    best, best_score = ";", 0.0
    for candidate in ";\t,|":
        widths = [len(row) for row in _first_rows(text, candidate) if any(row)]
        if not widths:
            continue
        common = max(set(widths), key=lambda w: (widths.count(w), w))
        score = widths.count(common) / len(widths) * min(common, 12) if common > 1 else 0.0
        if score > best_score:
            best, best_score = candidate, score
    return best


def _first_rows(text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text[:SNIFFED], newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    try:
        for row in reader:
            rows.append(row)
            if len(rows) >= 60:
                break
    except csv.Error:
        return rows
    return rows


def _text_table(data: bytes) -> Sheet:
    text, encoding = _decode(data)
    if _looks_binary(text):
        raise ProtocolError("import-not-a-table")
    text = text.replace("\0", "")
    named = re.match(r"sep=(.)\r?\n", text)
    delimiter = named[1] if named else _delimiter(text)
    old_limit = csv.field_size_limit(MAX_FILE)
    try:
        return Sheet(list(_numbered(text, delimiter)), encoding, delimiter)
    except csv.Error as error:
        raise ProtocolError("import-not-a-table") from error
    finally:
        csv.field_size_limit(old_limit)


def _numbered(text: str, delimiter: str) -> Iterator[Line]:
    """A cell over several lines: its row has the line on which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    begins = 1
    for count, row in enumerate(reader):
        _check_size(count, len(row))
        yield clean_line(begins, row)
        begins = reader.line_num + 1


def _check_size(rows: int, columns: int) -> None:
    if rows >= MAX_ROWS + 100:
        raise ProtocolError("import-too-large", expected=f"{MAX_ROWS}")
    if columns > MAX_COLUMNS:
        raise ProtocolError("import-too-large", field="columns", expected=f"{MAX_COLUMNS}")


def clean_line(number: int, cells: list[str]) -> Line:
    """Cells without control and direction characters, one kind of blank, cut at MAX_CELL; what was done is kept."""
    cleaned = [clean(cell) for cell in cells]
    hidden = tuple(i for i, cell in enumerate(cells) if any(unicodedata.category(c) in _HIDDEN for c in _visible(cell)))
    too_long = tuple(i for i, cell in enumerate(cleaned) if len(cell) > MAX_CELL)
    return Line(number, [cell[:MAX_CELL] for cell in cleaned], hidden, too_long)


def _visible(cell: str) -> str:
    return cell.replace("\t", " ").replace("\n", " ").replace("\r", " ").replace("\xad", "").replace("\u200b", "")


def clean(cell: str) -> str:
    """One cell as plain text; line breaks inside are kept as \\n, runs of blanks become one."""
    text = cell.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    text = "".join(c for c in text if c == "\n" or unicodedata.category(c) not in _HIDDEN)
    return "\n".join(" ".join(part.split()) for part in text.split("\n")).strip()


# -- workbooks


def _workbook(data: bytes) -> Sheet:
    """An .xlsx (or .ods) is a zip: its declared and its real expanded size are bounded before anything is parsed."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if len(names) > MAX_ENTRIES or sum(i.file_size for i in archive.infolist()) > MAX_EXPANDED:
                raise ProtocolError("import-too-large", field="zip")
            _bounded(archive)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, RuntimeError, EOFError) as error:
        raise ProtocolError("import-not-a-table") from error
    if not any(name.startswith("xl/") or name == "content.xml" for name in names):
        raise ProtocolError("import-not-a-table")
    return _calamine(data)


def _bounded(archive: zipfile.ZipFile) -> None:
    """Expands every entry into nothing and counts: a header may lie about sizes. A damaged entry is not a table."""
    total = 0
    for info in archive.infolist():
        try:
            with archive.open(info) as entry:
                while chunk := entry.read(1 << 20):
                    total += len(chunk)
                    if total > MAX_EXPANDED:
                        raise ProtocolError("import-too-large", field="zip")
        except ProtocolError:
            raise
        except Exception as error:  # zlib, lzma and bz2 have an exception tree each
            raise ProtocolError("import-not-a-table") from error


def _old_workbook(data: bytes) -> Sheet:
    """A compound file: an old .xls is a table, a .doc is not; calamine tells them apart."""
    return _calamine(data)


def _calamine(data: bytes) -> Sheet:
    from python_calamine import CalamineWorkbook

    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        for place, name in enumerate(book.sheet_names):
            sheet = book.get_sheet_by_name(name)
            _check_size(sheet.total_height, sheet.total_width)
            rows = sheet.to_python(skip_empty_area=False)
            if any(any(cell != "" for cell in row) for row in rows):
                lines = [clean_line(i + 1, [as_text(c) for c in row]) for i, row in enumerate(rows)]
                others = [
                    other for other in book.sheet_names[place + 1 :] if book.get_sheet_by_name(other).total_height
                ]
                return Sheet(lines, "xlsx", "", clean(name), tuple(map(clean, others)))
    except ProtocolError:
        raise
    except BaseException as error:  # the Rust side panics (a BaseException) on some damaged files
        if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
            raise
        raise ProtocolError("import-not-a-table") from error
    raise ProtocolError("import-empty")


def as_text(cell: object) -> str:
    """A workbook cell as the text a person would see: real dates are ISO, 41.0 is "41", 9:30 is "9:30"."""
    if isinstance(cell, bool):
        return "sì" if cell else "no"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell).replace(".", ",")
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(" ", "minutes")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, time):
        return cell.strftime("%H:%M")
    if isinstance(cell, timedelta):
        minutes = int(cell.total_seconds()) // 60
        return f"{minutes // 60}:{minutes % 60:02}"
    return "" if cell is None else str(cell)
