"""What the commands of the registry share: reaching the store, refusals in words, the mark of a pilot. No command here.

Imports only click, msgspec and the light part of the runtime: what a running process answers starts fast.
"""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec
from msgspec import Struct

from node.runtime import local, terminal
from node.runtime.platform import create_private
from node.runtime.wording import say
from protocol.errors import ProtocolError

T = TypeVar("T")
CONFIG_NAME: Final = "raccordo.toml"
DEFAULT_DIR: Final = "bacheca"
ENV_DIR: Final = "RACCORDO_REGISTRY_DIR"
PROGRAM: Final = "raccordo-registry"


class Answered(Struct, frozen=True):
    """What a row of registry.commands gives back: `pilot` marks a network whose root is one person's."""

    pilot: bool
    value: msgspec.Raw


class Session:
    """Where the data lies and whether a script reads the answer."""

    def __init__(self, data_dir: Path, json: bool) -> None:
        self.data_dir = data_dir
        self.json = json

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
        if answered.pilot:
            mark_pilot(self.json)
        return msgspec.json.decode(answered.value, type=type_)

    def _here(self, name: str, payload: bytes) -> bytes:
        from registry.opening import run_here

        return run_here(self.data_dir / CONFIG_NAME, name, payload)

    def show(self, value: object, text: str) -> None:
        """The result: JSON for a script, words for a person."""
        if self.json:
            terminal.show_json(value)
        else:
            terminal.show(text.rstrip("\n"))

    def tell(self, text: str) -> None:
        """Something said on the way; never part of the result."""
        terminal.show(text, sys.stderr)


def mark_pilot(json: bool = False) -> None:
    """Every output of a network with a one-person root says so; for scripts on standard error."""
    terminal.show(
        say("RETE PILOTA: la radice è di una persona sola, nessun garante l'ha firmata."), sys.stderr if json else None
    )


class Group(click.Group):
    """`main` turns every refusal into words and an exit code: 0 done, 1 refused, 2 wrong usage."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]
        terminal.prepare_streams()
        extra["standalone_mode"] = False
        given = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(given, prog_name or PROGRAM, **extra)
        except click.ClickException as error:
            code = _misused(error)
        except ProtocolError as error:
            code = terminal.fail_json(error) if "--json" in given else terminal.fail(error)
        except (click.Abort, KeyboardInterrupt):
            terminal.show(say("Interrotto."), sys.stderr)
            code = terminal.REFUSED
        sys.exit(code if isinstance(code, int) else terminal.DONE)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None:
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.commands, n=1)
            hint = f" Forse «{close[0]}»?" if close else ""
            raise click.UsageError(f"Comando sconosciuto: «{args[0]}».{hint}", ctx)
        return super().resolve_command(ctx, args)


_WRONG: Final[tuple[tuple[type[click.ClickException], Callable[[Any], str]], ...]] = (
    (click.NoSuchOption, lambda e: f"Opzione sconosciuta: {e.option_name}."),
    (click.MissingParameter, lambda e: f"Manca {e.param.human_readable_name if e.param else 'un argomento'}."),
    (click.BadOptionUsage, lambda e: f"L'opzione {e.option_name} vuole un valore."),
    (click.BadParameter, lambda e: f"{e.param.human_readable_name if e.param else 'argomento'}: {e.message}"),
    (click.ClickException, lambda e: str(e.message)),
)


def _misused(error: click.ClickException) -> int:
    words = next(say_it for kind, say_it in _WRONG if isinstance(error, kind))(error)
    terminal.show(terminal.tone(words, "fail", sys.stderr), sys.stderr)
    ctx = getattr(error, "ctx", None)
    terminal.show(f"{say('Cosa fare')}: {ctx.command_path if ctx else PROGRAM} --help", sys.stderr)
    return terminal.USAGE


def write_private(path: Path, raw: bytes) -> Path:
    """A new file, 0600 from its first moment; an existing one is never overwritten (`keys-exist`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = create_private(path)
    except FileExistsError:
        raise ProtocolError("keys-exist", field=path.name) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(raw)
    return path


def read_file(path: Path, most: int) -> bytes:
    """A file a person named. Raises config-missing, too-large."""
    try:
        if path.stat().st_size > most:
            raise ProtocolError("too-large", field=path.name, expected=f"≤ {most}")
        return path.read_bytes()
    except OSError:
        raise ProtocolError("config-missing", field=path.name) from None
