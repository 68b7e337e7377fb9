"""What every command of the command line shares: Italian help and usage errors, calling, printing. No command here.

Imports only click, msgspec and the light part of the runtime: a command that a running process answers starts in a
tenth of a second (DESIGN §3.4).
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
import msgspec

from node.runtime import terminal
from node.runtime.wording import say
from protocol.errors import ProtocolError

if TYPE_CHECKING:
    from msgspec import Struct

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
ENV_DIR: Final = "RACCORDO_DIR"
DEFAULT_DIR: Final = "raccordo"
_HELP: Final = {"help_option_names": ["--help", "-h"], "max_content_width": terminal.WIDTH}


class Session:
    """Where the data lies and whether a script reads the answer."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.json = False

    def call(self, name: str, request: "Struct", *, timeout: float = 120.0) -> bytes:
        """The answer of a command, as JSON: of the running process, or of the store opened here."""
        from node.commands import call

        return call(self.data_dir, name, request, timeout=timeout)

    def show(self, raw: bytes, type_: type[T], render: Callable[[T], str]) -> None:
        """Prints an answer: as it came for a script, else as text for people."""
        if self.json:
            terminal.show(raw.decode())
        else:
            terminal.show(render(msgspec.json.decode(raw, type=type_)).rstrip("\n"))

    def tell(self, text: str) -> None:
        """Something said on the way: never part of the result."""
        if not self.json:
            terminal.show(text, sys.stderr)


pass_session = click.make_pass_decorator(Session)


# -- click, in Italian


class ItalianCommand(click.Command):
    """A command whose help is Italian and that takes --json also after its name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", _HELP)
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--json"],
                is_flag=True,
                expose_value=False,
                callback=_json_wanted,
                help="Risposta in JSON, per programmi.",
            )
        )

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return _italian_help(super().get_help_option(ctx))

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _usage(self, ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _options(self, ctx, formatter)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [piece.replace("[OPTIONS]", "[OPZIONI]") for piece in super().collect_usage_pieces(ctx)]


class ItalianGroup(click.Group):
    """A group of commands; `main` turns every refusal into words and an exit code."""

    command_class = ItalianCommand

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", _HELP)
        kwargs.setdefault("subcommand_metavar", "COMANDO [ARGOMENTI]…")
        super().__init__(*args, **kwargs)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        return _italian_help(super().get_help_option(ctx))

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _usage(self, ctx, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _options(self, ctx, formatter)
        rows = [(name, command.get_short_help_str(60)) for name, command in self.commands.items()]
        with formatter.section("Comandi"):
            formatter.write_dl(rows)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [piece.replace("[OPTIONS]", "[OPZIONI]") for piece in super().collect_usage_pieces(ctx)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            from difflib import get_close_matches

            close = get_close_matches(args[0], self.commands, n=1)
            hint = f" Forse «{close[0]}»?" if close else ""
            raise click.UsageError(f"Comando sconosciuto: «{args[0]}».{hint}", ctx)
        return super().resolve_command(ctx, args)

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Runs and leaves with 0 done, 1 refused, 2 wrong usage."""
        extra["standalone_mode"] = False
        given = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(given, prog_name or "raccordo-node", **extra)
        except click.ClickException as error:
            code = _misused(error)
        except ProtocolError as error:
            code = terminal.fail_json(error) if "--json" in given else terminal.fail(error)
        except (click.Abort, KeyboardInterrupt):
            terminal.show(say("Interrotto."), sys.stderr)
            code = terminal.REFUSED
        except BrokenPipeError:  # the reader of a pipe has seen enough
            code = terminal.DONE
        sys.exit(code if isinstance(code, int) else terminal.DONE)


class OneOf(click.ParamType[str]):
    """One of a few words; the refusal is Italian."""

    name = "parola"

    def __init__(self, *words: str) -> None:
        self.words = words

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        return "[" + "|".join(self.words) + "]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value not in self.words:
            self.fail(f"«{value}» non è ammesso: uno fra {', '.join(self.words)}", param, ctx)
        return str(value)


class Whole(click.ParamType[int]):
    """A whole number."""

    name = "numero"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return int(value)
        except ValueError:
            self.fail(f"«{value}» non è un numero intero", param, ctx)


class InFile(click.ParamType[Path]):
    """A file to read."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        if not path.is_file():
            self.fail(f"il file «{value}» non si trova", param, ctx)
        return path


def _json_wanted(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and isinstance(ctx.obj, Session):
        ctx.obj.json = True


def _italian_help(option: click.Option | None) -> click.Option | None:
    if option is not None:
        option.help = "Mostra questo aiuto."
    return option


def _usage(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    formatter.write_usage(ctx.command_path, " ".join(command.collect_usage_pieces(ctx)), prefix="Uso: ")


def _options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    records = [record for param in command.get_params(ctx) if (record := param.get_help_record(ctx)) is not None]
    rows = [(left.replace(" TEXT", " TESTO"), right.replace("[required]", "[obbligatorio]")) for left, right in records]
    if shown := [row for row in rows if row[1]]:  # an argument without words of its own stands in the usage line
        with formatter.section("Opzioni"):
            formatter.write_dl(shown)


def _misused(error: click.ClickException) -> int:
    """What is wrong with the command line, and where its help is."""
    context = getattr(error, "ctx", None)
    terminal.show(terminal.tone(_wrong(error), "fail", sys.stderr), sys.stderr)
    path = context.command_path if context is not None else "raccordo-node"
    terminal.show(f"{say('Cosa fare')}: {path} --help", sys.stderr)
    return terminal.USAGE


def _wrong(error: click.ClickException) -> str:
    if isinstance(error, click.NoSuchOption):
        hint = f" Forse {', '.join(error.possibilities)}?" if error.possibilities else ""
        return f"Opzione sconosciuta: {error.option_name}.{hint}"
    if isinstance(error, click.MissingParameter):
        return f"Manca {_named(error)}."
    if isinstance(error, click.BadOptionUsage):
        return f"L'opzione {error.option_name} vuole un valore."
    if isinstance(error, click.BadParameter):
        return f"{_named(error)}: {error.message}."
    if error.message.startswith("Got unexpected extra"):
        return f"Argomenti di troppo: {error.message.partition('(')[2].rstrip(').')}."
    return error.message


def _named(error: click.BadParameter) -> str:
    if error.param is None:
        return "un argomento"
    if isinstance(error.param, click.Argument):
        return error.param.human_readable_name
    return f"l'opzione {error.param.opts[0]}"


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


def read_json(path: Path, type_: type[T]) -> T:
    """A JSON file given by the user. Raises bad-json, bad-shape with the field."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except msgspec.ValidationError as error:
        where = str(error).rpartition("`$")[2].strip("`.") if "`$" in str(error) else ""
        raise ProtocolError("bad-shape", field=where or path.name) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProtocolError("bad-json", field=path.name) from None
