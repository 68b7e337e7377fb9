"""What people see in a terminal: tables, colours, progress, refusals. No decisions.

The rules are: results on standard output, everything else on standard error; at most 80 columns; colours only on a
terminal and without NO_COLOR; a refusal says what happened and what to do; exit 0 done, 1 refused, 2 wrong usage.
"""

import codecs
import os
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, TextIO
from unicodedata import combining, east_asian_width, normalize

import msgspec

from node.runtime.wording import language, say, what_happened, what_to_do
from protocol.errors import ProtocolError

DONE: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
WIDTH: Final = 80

Tone = Literal["ok", "warn", "fail", "bold", "dim"]
_SGR: Final[dict[Tone, str]] = {"ok": "32", "warn": "33", "fail": "31", "bold": "1", "dim": "2"}


_PLAINER: Final = {"«": '"', "»": '"', "“": '"', "”": '"', "’": "'", "–": "-", "—": "-", "…": "...", "·": "-", "•": "*",
                   "→": "->", "≤": "<=", "€": "EUR"}  # fmt: skip


def prepare_streams() -> None:
    """Old consoles cannot show every letter: a plainer one in its place, never a crash."""
    codecs.register_error("raccordo.plainer", _plainer)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="raccordo.plainer")


def _plainer(error: UnicodeError) -> tuple[str, int]:
    """ "è già «così»" → "e' gia' \"cosi'\"", the way Italians write without accents; anything else a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = "".join(_PLAINER.get(char) or _unaccented(char) for char in error.object[error.start : error.end])
    return shown, error.end


def _unaccented(char: str) -> str:
    base = "".join(part for part in normalize("NFKD", char) if part.isascii())
    return base + "'" if base in set("aeiouAEIOU") else base or "?"


def coloured(stream: TextIO) -> bool:
    """Whether `stream` shows colours (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def tone(text: str, tone_: Tone, stream: TextIO) -> str:
    """`text` in a colour, where colours are shown."""
    return f"\x1b[{_SGR[tone_]}m{text}\x1b[0m" if coloured(stream) else text


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int = WIDTH) -> str:
    """Columns as wide as their content; when that exceeds `width` the widest ones wrap. No control characters."""
    cells = [[_plain(cell) for cell in row] for row in (header, *rows)]
    widths = _fit([max(_columns(row[i]) for row in cells) for i in range(len(header))], width)
    lines = [line for row in cells[:1] for line in _wrapped(row, widths)]
    lines.append("  ".join("-" * w for w in widths))
    lines += [line for row in cells[1:] for line in _wrapped(row, widths)]
    return "\n".join(lines) + "\n"


def wrap(text: str, *, before: str = "", after: str = "") -> str:
    """A paragraph within 80 columns: `before` its first line, `after` before the others. A long word is never cut."""
    return textwrap.fill(
        text, WIDTH, initial_indent=before, subsequent_indent=after, break_long_words=False, break_on_hyphens=False
    )


def narrow(text: str) -> str:
    """Lines of an answer within 80 columns; a longer one goes on below, further in. Coloured lines are left alone."""
    return "\n".join(_narrowed(line) if len(line) > WIDTH and "\x1b" not in line else line for line in text.split("\n"))


def _narrowed(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    return wrap(line.lstrip(), before=indent, after=indent + "  ")


def headed(head: str, rest: str) -> str:
    """A title in bold and what follows it, within 80 columns."""
    shown = wrap(head + rest, after="   ")
    return shown.replace(head, tone(head, "bold", sys.stdout), 1)


def show(text: str, stream: TextIO | None = None) -> None:
    """A line of result."""
    print(text, file=stream or sys.stdout)


def show_json(value: object, stream: TextIO | None = None) -> None:
    """`--json`: structs and built-in types as one JSON document on one line."""
    show(msgspec.json.encode(value).decode(), stream)


def fail(error: ProtocolError, stream: TextIO | None = None) -> int:
    """Say what happened and what to do about it; the exit code."""
    out = stream or sys.stderr
    show(tone(wrap(what_happened(error.code)), "fail", out), out)
    for label, values in _details(error):
        show(_detail(say(label), [_plain(value) for value in values]), out)
    show(wrap(f"{say('Cosa fare')}: {what_to_do(error.code)}", after="  "), out)
    show(tone(f"{say('Codice')}: {error.code}", "dim", out), out)
    return REFUSED


def fail_json(error: ProtocolError, stream: TextIO | None = None) -> int:
    """The same for scripts, on standard output: {"code","what","fix","field","expected","got"}."""
    details = {"field": error.field, "expected": error.expected, "got": error.got}
    problem: dict[str, str] = {
        "code": error.code,
        "what": what_happened(error.code),
        "fix": what_to_do(error.code),
        **{name: value for name, value in details.items() if value},
    }
    show_json(problem, stream)
    return REFUSED


class Progress:
    """How far long work has got: one line rewritten on a terminal, else a line every `quiet_seconds`. Standard error.

    Used as `with Progress("Importo", total=64) as progress: … progress.step()`.
    """

    def __init__(
        self,
        label: str,
        total: int | None = None,
        *,
        stream: TextIO | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        quiet_seconds: float = 10.0,
    ) -> None:
        self._label = label
        self._total = total
        self._stream = stream or sys.stderr
        self._monotonic = monotonic
        self._tty = self._stream.isatty()
        self._pause = 0.1 if self._tty else quiet_seconds
        self._done = 0
        self._due = monotonic() + self._pause
        self._shown = False

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._write()
            if self._tty:
                self._stream.write("\n")
                self._stream.flush()

    def step(self, by: int = 1) -> None:
        """`by` more are done."""
        self._done += by
        if self._monotonic() >= self._due:
            self._due = self._monotonic() + self._pause
            self._write()

    def _write(self) -> None:
        self._shown = True
        amount = f"{self._done}" if self._total is None else f"{self._done}/{self._total}"
        line = f"{self._label}: {amount}"[: WIDTH - 1]
        self._stream.write(f"\r{line}\x1b[K" if self._tty else f"{line}\n")
        self._stream.flush()


def _details(error: ProtocolError) -> list[tuple[str, list[str]]]:
    if language() == "it":
        from node.runtime.details import details

        return details(error)
    named = (("Dove", error.field), ("Trovato", error.got), ("Atteso", error.expected))
    return [(label, [value]) for label, value in named if value]


def _detail(label: str, values: Sequence[str]) -> str:
    if len(values) == 1:
        return wrap(f"{label}: {values[0]}", before="  ", after="    ")
    return "\n".join((f"  {label}:", *(wrap(value, before="    ", after="      ") for value in values)))


def _plain(text: str) -> str:
    """Without control characters: what a peer wrote must not drive the terminal."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "�" for char in text)


def _columns(text: str) -> int:
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _fit(widths: list[int], width: int) -> list[int]:
    """Take columns from the widest ones until the row fits."""
    room = width - 2 * (len(widths) - 1)
    while sum(widths) > room and max(widths) > 1:
        widest = widths.index(max(widths))
        widths[widest] -= 1
    return widths


def _wrapped(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    columns = [textwrap.wrap(cell, max(w, 1)) or [""] for cell, w in zip(row, widths, strict=True)]
    height = max(len(column) for column in columns)
    lines = []
    for i in range(height):
        parts = [(column[i] if i < len(column) else "") for column in columns]
        padded = (part + " " * (w - _columns(part)) for part, w in zip(parts, widths, strict=True))
        lines.append("  ".join(padded).rstrip())
    return lines
