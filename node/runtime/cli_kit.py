"""Click in Italian, for both programs: help, usage errors, kinds of values, questions, files. No command, no session.

Imports only click, msgspec and the light part of the runtime: `--help` and what a running process answers start fast.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

import click
import msgspec

from node.runtime import terminal
from node.runtime.wording import language, say
from protocol.errors import ProtocolError

T = TypeVar("T")
_HELP: Final = {"help_option_names": ["--help", "-h"], "max_content_width": terminal.WIDTH}


class Reader:
    """Who reads the answers: a person, or (`json`) a script. The base of each program's session."""

    json: bool = False


# -- commands


class ItalianCommand(click.Command):
    """A command whose help is Italian and that takes --json also after its name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", _HELP)
        super().__init__(*args, **kwargs)
        self.params.append(json_option())

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
    group_class = type  # a group inside a group is of the same kind
    program: ClassVar[str] = "raccordo"

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
        rows = [(name, command.get_short_help_str(150)) for name, command in self.commands.items()]
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
        terminal.prepare_streams()
        extra["standalone_mode"] = False
        given = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(given, prog_name or self.program, **extra)
        except click.ClickException as error:
            code = _misused(error, self.program)
        except ProtocolError as error:
            code = _refused(error, given)
        except (click.Abort, KeyboardInterrupt):
            terminal.show(say("Interrotto."), sys.stderr)
            code = terminal.REFUSED
        except BrokenPipeError:  # the reader of a pipe has seen enough
            code = terminal.DONE
        except OSError as error:
            code = _refused(file_problem(error), given)
        sys.exit(code if isinstance(code, int) else terminal.DONE)


def _refused(error: ProtocolError, given: Sequence[str]) -> int:
    return terminal.fail_json(error) if "--json" in given else terminal.fail(error)


_OS_CODES: Final[tuple[tuple[type[OSError], str], ...]] = (
    (FileNotFoundError, "file-missing"),
    (NotADirectoryError, "file-missing"),
    (FileExistsError, "file-exists"),
    (PermissionError, "no-permission"),
)


def file_problem(error: OSError) -> ProtocolError:
    """What the system said about a file or a directory, as a refusal that names it."""
    import errno

    code = next((code for kind, code in _OS_CODES if isinstance(error, kind)), "file-unusable")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        code = "disk-full"
    elif error.errno == errno.EROFS:
        code = "no-permission"
    return ProtocolError(code, field=None if error.filename is None else str(error.filename))


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from node.runtime.version import VERSION

        terminal.show(f"{ctx.command.name} {VERSION}")
        ctx.exit()


version_option: Final = click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Mostra la versione."
)


# -- kinds of values


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
        if path.is_dir():
            self.fail(f"«{value}» è una cartella, non un file", param, ctx)
        if not path.is_file():
            self.fail(f"il file «{value}» non si trova", param, ctx)
        return path


class OutFile(click.ParamType[Path]):
    """A file to write."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        if path.is_dir():
            self.fail(f"«{value}» è una cartella, non un file", param, ctx)
        return path


class Folder(click.ParamType[Path]):
    """A directory, there already or to be made."""

    name = "cartella"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(value)
        if path.is_file():
            self.fail(f"«{value}» è un file, non una cartella", param, ctx)
        return path


_DAY: Final = r"(?:(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})|(?P<d2>\d{1,2})[/.-](?P<m2>\d{1,2})[/.-](?P<y2>\d{4}))"
_DAY_ALONE: Final = re.compile(_DAY)
_DAY_AND_HOUR: Final = re.compile(_DAY + r"(?:[ T]+(?:ore +)?(?P<hour>\d{1,2})[:.](?P<minute>\d{2}))?")


def _iso_day(found: re.Match[str] | None) -> str | None:
    if found is None:
        return None
    year, month, day = (int(found[name] or found[name + "2"]) for name in "ymd")
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None


class Day(click.ParamType[str]):
    """A day as Italians write it, 20/11/2026, or 2026-11-20; given on as the latter."""

    name = "giorno"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        day = _iso_day(_DAY_ALONE.fullmatch(str(value).strip()))
        if day is None:
            self.fail(f"«{value}» non è un giorno: scriverlo come 20/11/2026", param, ctx)
        return day


class Moment(click.ParamType[str]):
    """A day and an hour, 20/11/2026 11:40 or 2026-11-20 11:40; given on as the latter. A day alone is its midnight."""

    name = "data e ora"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        found = _DAY_AND_HOUR.fullmatch(str(value).strip())
        day = _iso_day(found)
        hour, minute = (found["hour"] or "0", found["minute"] or "0") if found else ("0", "0")
        if day is None or int(hour) > 23 or int(minute) > 59:
            self.fail(f"«{value}» non è data e ora: scriverle come «20/11/2026 11:40»", param, ctx)
        return f"{day} {int(hour):02}:{int(minute):02}"


def italian_day(text: str) -> str:
    """ "2026-11-20" → "20/11/2026"; any other text as it is."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").strftime("%d/%m/%Y")
    except ValueError:
        return text


# -- questions


def ask_text(
    question: str, default: str, fault: Callable[[str], str | None] = lambda _: None, *, shown: bool = True
) -> str:
    """An answer without fault; what `fault` says of a wrong one is shown and the question comes again."""
    while True:
        answer = str(click.prompt(question, default=default, show_default=shown and bool(default), err=True)).strip()
        complaint = fault(answer)
        if complaint is None:
            return answer
        terminal.show(f"  {complaint}", sys.stderr)


_YES: Final = {"s": True, "si": True, "sì": True, "y": True, "yes": True, "n": False, "no": False}


def ask_yes(question: str, default: bool) -> bool:
    """Yes or no, in Italian."""
    marks, usual = ("[S/n]", "s") if default else ("[s/N]", "n")
    return _YES[ask_text(f"{question} {marks}", usual, _yes_or_no, shown=False).lower()]


def _yes_or_no(text: str) -> str | None:
    return None if text.lower() in _YES else "Rispondere s oppure n."


# -- what doctor found

_MARKS: Final[dict[str, tuple[str, terminal.Tone]]] = {
    "ok": ("OK", "ok"),
    "warn": ("NOTA", "warn"),
    "fail": ("NO", "fail"),
}


def findings(results: Iterable[tuple[str, str, str, str]]) -> str:
    """(name, grade, text, advice) of each check as paragraphs."""
    lines = []
    for name, grade, text, advice in results:
        mark, tone = _MARKS[grade]
        shown = terminal.wrap(f"{mark:4} {name}: {text}", after="     ")
        lines.append(terminal.tone(shown, tone, sys.stdout))
        if advice:
            lines.append(terminal.wrap(f"{say('Cosa fare')}: {advice}", before="     ", after="     "))
    return "\n".join(lines)


# -- files a person names


def read_json(path: Path, type_: type[T]) -> T:
    """A JSON file given by the user. Raises bad-json, bad-shape with the field."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except msgspec.ValidationError as error:
        where = str(error).rpartition("`$")[2].strip("`.") if "`$" in str(error) else ""
        raise ProtocolError("bad-shape", field=where or path.name) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProtocolError("bad-json", field=path.name) from None


_NOT_READ: Final = frozenset({"bad-json", "bad-shape", "bad-encoding", "bad-base64", "too-large", "keys-damaged"})


@contextmanager
def expecting(what: str, *paths: Path) -> Iterator[None]:
    """A file that cannot be read as `what` is the wrong file: said so, with what was expected. Raises wrong-file."""
    try:
        yield
    except ProtocolError as error:
        if error.code not in _NOT_READ:
            raise
        raise ProtocolError("wrong-file", field=", ".join(path.name for path in paths), expected=what) from None


# -- how click's own words become ours


def json_option() -> click.Option:
    """`--json` after a command's name; a group that is itself a command takes it too."""
    text = "Risposta in JSON, per programmi."
    return click.Option(["--json"], is_flag=True, expose_value=False, callback=_json_wanted, help=text)


def _json_wanted(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and isinstance(ctx.obj, Reader):
        ctx.obj.json = True


def _italian_help(option: click.Option | None) -> click.Option | None:
    if option is not None:
        option.help = "Mostra questo aiuto."
    return option


def _usage(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    formatter.write_usage(ctx.command_path, " ".join(command.collect_usage_pieces(ctx)), prefix="Uso: ")


_CLICK_WORDS: Final = ((" TEXT", " TESTO"), ("[required]", "[obbligatoria]"), ("[default: ", "[predefinito: "))


def _options(command: click.Command, ctx: click.Context, formatter: click.HelpFormatter) -> None:
    records = [record for param in command.get_params(ctx) if (record := param.get_help_record(ctx)) is not None]
    rows = [(_italian(left), _italian(right)) for left, right in records]
    if shown := [row for row in rows if row[1]]:  # an argument without words of its own stands in the usage line
        with formatter.section("Opzioni"):
            formatter.write_dl(shown)


def _italian(text: str) -> str:
    for theirs, ours in _CLICK_WORDS:
        text = text.replace(theirs, ours)
    return text


def _misused(error: click.ClickException, program: str) -> int:
    """What is wrong with the command line, and where its help is."""
    context = getattr(error, "ctx", None)
    terminal.show(terminal.tone(_wrong(error), "fail", sys.stderr), sys.stderr)
    path = context.command_path if context is not None else program
    terminal.show(f"{say('Cosa fare')}: {path} --help", sys.stderr)
    return terminal.USAGE


def _wrong(error: click.ClickException) -> str:
    if language() == "en":
        return error.format_message()
    if isinstance(error, click.NoSuchOption):
        hint = f" Forse {', '.join(error.possibilities)}?" if error.possibilities else ""
        return f"Opzione sconosciuta: {error.option_name}.{hint}"
    if isinstance(error, click.MissingParameter):
        return f"Manca {_named(error)}."
    if isinstance(error, click.BadOptionUsage):
        return f"L'opzione {error.option_name} vuole un valore."
    if isinstance(error, click.BadParameter):
        named = _named(error)
        return f"{named[0].upper()}{named[1:]}: {error.message}."
    if error.message.startswith("Got unexpected extra"):
        return f"Argomenti di troppo: {error.message.partition('(')[2].rstrip(').')}."
    return error.message


def _named(error: click.BadParameter) -> str:
    if error.param is None:
        return "un argomento"
    if isinstance(error.param, click.Argument):
        return error.param.human_readable_name
    return f"l'opzione {error.param.opts[0]}"
