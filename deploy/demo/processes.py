"""The demo's processes: a registry and nodes on loopback, started, watched, killed and stopped by their own id."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from node.runtime import local
from protocol.errors import ProtocolError

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 40.0


class DemoError(Exception):
    """A step that did not happen; the text says which and what was seen."""


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: str, look: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """Looks again and again until `look` finds something; names what was awaited when it does not come."""
    deadline = time.monotonic() + patience
    pause = 0.02
    while True:
        with contextlib.suppress(ProtocolError):
            found = look()
            if found:
                return found
        if time.monotonic() > deadline:
            raise DemoError(f"non è successo: {what}")
        time.sleep(pause)
        pause = min(0.2, pause * 1.5)


class Program:
    """One program on one data directory."""

    def __init__(self, module: str, data_dir: Path) -> None:
        self.module = module
        self.data_dir = data_dir
        self._process: subprocess.Popen[bytes] | None = None

    def line(self, *words: str) -> list[str]:
        """The command line of it."""
        return [sys.executable, "-m", self.module, "--dir", str(self.data_dir), *words]

    def run(self, *words: str, ok: tuple[int, ...] = (0,)) -> str:
        """One command line of the program, as a person would type it; its standard output."""
        done = subprocess.run(
            self.line(*words), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        if done.returncode not in ok:
            raise DemoError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def start(self) -> None:
        """`serve`, with its log beside the data; returns when the local channel answers."""
        with (self.data_dir / "serve.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.line("serve"), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        until(f"l'avvio di {self.data_dir.name}", self._is_up)

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            tail = (self.data_dir / "serve.log").read_text("utf-8", "replace")[-800:]
            raise DemoError(f"{self.data_dir.name} si è fermato: {tail}")
        return local.announced(self.data_dir).pid == self._process.pid

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9: no goodbye."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """An ordered stop."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, command: str, request: msgspec.Struct | dict[str, object] | None = None) -> object:
        """A command through the local channel of the running process, as the command line sends it."""
        payload = msgspec.json.encode(request if request is not None else {})
        return json.loads(local.command(self.data_dir, command, payload, timeout=PATIENCE))


def quiet_environment() -> None:
    """Children write no bytecode beside the sources and speak Italian."""
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
