"""How the demo speaks: captions with the story's time beside the real one, tables, two columns side by side."""

import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Sequence

_BOLD, _DIM, _GREEN, _END = "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[0m"


class Teller:
    """Prints to standard output; colours only on a terminal."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._tone = sys.stdout.isatty()
        self._width = min(shutil.get_terminal_size((100, 24)).columns, 110)
        self.verified = 0

    def chapter(self, title: str) -> None:
        """A heading."""
        self._out("")
        self._out(self._paint(_BOLD, f"── {title} " + "─" * max(2, self._width - len(title) - 4)))

    def caption(self, story_time: str, text: str) -> None:
        """What happens, told by the desk: the story's time, and the real one in brackets."""
        real = f"{time.strftime('%H:%M:%S')}"
        head = f"{story_time:>9}  "
        for i, line in enumerate(textwrap.wrap(text, self._width - 24)):
            lead = head if i == 0 else " " * len(head)
            tail = self._paint(_DIM, f"  [{real}]") if i == 0 else ""
            self._out(self._paint(_BOLD, lead) + line + tail)

    def seen(self, text: str) -> None:
        """Something verified where it had to arrive."""
        self.verified += 1
        for i, line in enumerate(textwrap.wrap(text, self._width - 16)):
            self._out(" " * 11 + (self._paint(_GREEN, "✓ ") if i == 0 else "  ") + line)

    def lines(self, rows: Iterable[str]) -> None:
        """Indented text as it is."""
        for row in rows:
            self._out(" " * 13 + row)

    def columns(self, left: tuple[str, Sequence[str]], right: tuple[str, Sequence[str]]) -> None:
        """Two lists side by side, each with a title; long lines are folded, never cut."""
        half = (self._width - 5) // 2
        a = [line for text in left[1] for line in textwrap.wrap(text, half) or [""]]
        b = [line for text in right[1] for line in textwrap.wrap(text, half) or [""]]
        self._out(self._paint(_BOLD, f"  {left[0]:<{half}} │ {right[0]}"))
        self._out("  " + "─" * half + "─┼─" + "─" * half)
        for i in range(max(len(a), len(b))):
            self._out(f"  {a[i] if i < len(a) else '':<{half}} │ {b[i] if i < len(b) else ''}")

    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def _paint(self, tone: str, text: str) -> str:
        return f"{tone}{text}{_END}" if self._tone else text

    def _out(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
