"""Runs the two guides as they are written: `python guides.py REGISTRO.md NODO.md WORK [NAME=VALUE…]`. Only Python.

Every ```sh block is executed in order by `sh`, in the directory of its guide; a failing command ends it all. Behind
the word `sh` stands: `variabili` (assignments, repeated before each block, then the NAME=VALUE given), `resta` (it
runs until the end). `# si vede: TEXT` behind a command: its output has to hold the text, and it is asked again for a
while. Comments between blocks bring the guides together: `porta: FILES` from the board's directory, `aspetta: …` is
where the other guide goes on. It runs inside an empty Debian too, and so knows nothing of the project.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PART = re.compile(
    r"^```sh ?(?P<kind>\w*)\n(?P<text>.*?)^```$|^<!-- (?P<what>porta|aspetta): (?P<words>.*?) -->$", re.M | re.S
)
SEEN = re.compile(r"^(?P<line>.*?)\s+# si vede: (?P<text>.+)$")
PATIENCE = 40.0


class Guide:
    """One guide, walked from meeting to meeting."""

    def __init__(self, page: Path, folder: Path, given: list[str]) -> None:
        self.name = page.name
        self.folder = folder
        self.given = "\n".join(given)
        self.variables = ""
        self.commands = 0
        self.parts: Iterator[re.Match[str]] = PART.finditer(page.read_text("utf-8"))
        self.services: list[subprocess.Popen[bytes]] = []
        folder.mkdir(parents=True)

    def go_on(self, board: Path) -> str:
        """Runs up to the next `aspetta`, or to the end (""); files that are to be brought come from `board`."""
        for part in self.parts:
            if part["what"] == "aspetta":
                return part["words"]
            if part["what"] == "porta":
                for name in part["words"].split():
                    shutil.copy(board / name, self.folder / name)
            elif part["kind"] == "variabili":
                self.variables = part["text"]
            elif part["kind"] == "resta":
                self._serve(part["text"])
            else:
                self._run(part["text"])
        return ""

    def _script(self, text: str) -> list[str]:
        return ["sh", "-euc", f"{self.variables}\n{self.given}\n{text}"]

    def _serve(self, text: str) -> None:
        known = set(self.folder.rglob("local.json"))
        with (self.folder / "serve.log").open("wb") as log:
            process = subprocess.Popen(
                self._script("exec " + text), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.services.append(process)
        self.commands += 1
        deadline = time.monotonic() + PATIENCE
        while set(self.folder.rglob("local.json")) == known:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{self.name}: non parte: {text}\n{(self.folder / 'serve.log').read_text()[-2000:]}")
            time.sleep(0.05)

    def _run(self, text: str) -> None:
        """Line by line where something has to be seen, else all at once."""
        pending = ""
        for line in text.splitlines(keepends=True):
            found = SEEN.match(line.rstrip("\n"))
            if found is None:
                pending += line
                continue
            self._execute(pending)
            pending = ""
            self._until_seen(found["line"], found["text"])
        self._execute(pending)

    def _execute(self, text: str) -> str:
        if not text.strip():
            return ""
        done = subprocess.run(
            self._script(text), cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            raise SystemExit(
                f"{self.name}: esce con {done.returncode}:\n{text}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
            )
        self.commands += len(re.findall(r"^raccordo-", text, re.M))
        return done.stdout

    def _until_seen(self, line: str, wanted: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while wanted not in " ".join((shown := self._execute(line)).split()):
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name}: non si vede «{wanted}»:\n{line}\n{shown[-1500:]}")
            time.sleep(0.3)

    def stop(self) -> None:
        """Its services, in order."""
        for process in self.services:
            process.terminate()
            process.wait(20)


def main(board_page: str, node_page: str, work: str, *given: str) -> int:
    """Both guides to their ends; says how many commands were run, and as whom."""
    root = Path(work)
    board = Guide(Path(board_page), root / "bacheca-d-ambito", list(given))
    node = Guide(Path(node_page), root / "ente", list(given))
    try:
        for guide, wanted in ((board, "richiesta"), (node, "ammissione"), (board, ""), (node, "")):
            if (met := guide.go_on(board.folder)) != wanted:
                raise SystemExit(f"{guide.name}: atteso «{wanted}», trovato «{met}»")
    finally:
        node.stop()
        board.stop()
    who = os.geteuid() if hasattr(os, "geteuid") else "?"
    print(f"Eseguiti i comandi delle due guide: {board.commands} e {node.commands}; utente {who}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
