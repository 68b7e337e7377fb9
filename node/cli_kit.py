"""What every command of a node's command line shares: calling, printing, common options. No command here.

Imports only click, msgspec and the light part of the runtime: a command that a running process answers starts in a
tenth of a second (DESIGN §3.4).
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import click
import msgspec

from node.runtime import cli_kit, terminal
from node.runtime.cli_kit import (
    Day,
    InFile,
    ItalianCommand,
    Moment,
    OneOf,
    OutFile,
    Whole,
    expecting,
    italian_day,
    read_json,
)

if TYPE_CHECKING:
    from msgspec import Struct

__all__ = [
    "DEFAULT_DIR", "ENV_DIR", "Day", "InFile", "ItalianCommand", "ItalianGroup", "Moment", "OneOf", "OutFile",
    "Session", "Whole", "as_option", "expecting", "italian_day", "pass_session", "read_json", "which_options",
]  # fmt: skip
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
ENV_DIR: Final = "RACCORDO_DIR"
DEFAULT_DIR: Final = "raccordo"


class ItalianGroup(cli_kit.ItalianGroup):
    """A group of the node's commands."""

    program: ClassVar[str] = "raccordo-node"


class Session(cli_kit.Reader):
    """Where the data lies and whether a script reads the answer."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def call(self, name: str, request: "Struct", *, timeout: float = 120.0) -> bytes:
        """The answer of a command, as JSON: of the running process, or of the store opened here."""
        from node.commands import call

        return call(self.data_dir, name, request, timeout=timeout)

    def show(self, raw: bytes, type_: type[T], render: Callable[[T], str]) -> None:
        """Prints an answer: as it came for a script, else as text for people."""
        if self.json:
            terminal.show(raw.decode())
        else:
            terminal.show(terminal.narrow(render(msgspec.json.decode(raw, type=type_)).rstrip("\n")))

    def tell(self, text: str) -> None:
        """Something said on the way: never part of the result."""
        if not self.json:
            terminal.show(terminal.narrow(text), sys.stderr)


pass_session = click.make_pass_decorator(Session)


# -- options many commands take


def as_option(*, required: bool = False) -> Callable[[F], F]:
    """`--as CODE`: the operator who acts."""
    text = "Codice dell'operatore che agisce."
    return click.option("--as", "as_", metavar="CODICE", required=required, help=text)


def which_options(function: F) -> F:
    """Which entries: --all, ids, or --words."""
    function = click.option(
        "--words", metavar="PAROLE", default="", help="Le voci il cui nome contiene queste parole."
    )(function)
    function = click.option("--all", "all_", is_flag=True, help="Tutte le voci.")(function)
    return click.argument("ids", nargs=-1, metavar="[VOCE]…")(function)
