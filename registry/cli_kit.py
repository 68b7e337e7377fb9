"""What the commands of the registry share: reaching the store, refusals in words, the mark of a pilot. No command here.

Imports only click, msgspec and the light part of the runtime: what a running process answers starts fast.
"""

import os
import sys
from pathlib import Path
from typing import ClassVar, Final, TypeVar

import msgspec
from msgspec import Struct

from node.runtime import cli_kit, local, terminal
from node.runtime.platform import create_private
from node.runtime.wording import say
from protocol.errors import ProtocolError

T = TypeVar("T")
CONFIG_NAME: Final = "raccordo.toml"
DEFAULT_DIR: Final = "bacheca"
ENV_DIR: Final = "RACCORDO_REGISTRY_DIR"


class Answered(Struct, frozen=True):
    """What a row of registry.commands gives back: `pilot` marks a network whose root is one person's."""

    pilot: bool
    value: msgspec.Raw


class Session(cli_kit.Reader):
    """Where the data lies and whether a script reads the answer."""

    def __init__(self, data_dir: Path, json: bool) -> None:
        self.data_dir = data_dir
        self.json = json
        self._marked = False

    def ask(self, name: str, request: Struct, type_: type[T]) -> T:
        """A row's value: from the running process, or from the store opened here under its lock."""
        payload = msgspec.json.encode(request)
        try:
            raw = local.command(self.data_dir, name, payload)
        except ProtocolError as error:
            if error.code != "not-running":
                raise
            raw = self._here(name, payload)
        answered = msgspec.json.decode(raw, type=Answered)
        if answered.pilot and not self._marked:
            mark_pilot(self.json)
            self._marked = True
        return msgspec.json.decode(answered.value, type=type_)

    def _here(self, name: str, payload: bytes) -> bytes:
        from registry.opening import run_here

        return run_here(self.data_dir / CONFIG_NAME, name, payload)

    def show(self, value: object, text: str) -> None:
        """The result: JSON for a script, words for a person."""
        if self.json:
            terminal.show_json(value)
        else:
            terminal.show(terminal.narrow(text.rstrip("\n")))

    def tell(self, text: str) -> None:
        """Something said on the way; never part of the result."""
        terminal.show(terminal.narrow(text), sys.stderr)


def mark_pilot(json: bool = False) -> None:
    """Every output of a network with a one-person root says so; for scripts on standard error."""
    terminal.show(
        say("RETE PILOTA: la radice è di una persona sola, nessun garante l'ha firmata."), sys.stderr if json else None
    )


class Group(cli_kit.ItalianGroup):
    """A group of the registry's commands."""

    program: ClassVar[str] = "raccordo-registry"


def write_private(path: Path, raw: bytes) -> Path:
    """A new file, 0600 from its first moment; an existing one is never overwritten (`file-exists`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = create_private(path)
    except FileExistsError:
        raise ProtocolError("file-exists", field=path.name) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
    return path


def read_file(path: Path, most: int) -> bytes:
    """A file a person named. Raises file-missing, too-large."""
    try:
        if path.stat().st_size > most:
            raise ProtocolError("too-large", field=path.name, expected=f"≤ {most}")
        return path.read_bytes()
    except FileNotFoundError:
        raise ProtocolError("file-missing", field=path.name) from None
