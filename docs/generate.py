"""Keeps the generated parts of the documents true: `python -m docs.generate` writes them, `--check` tells of drift.

A generated part stands between two comments and is never written by hand:
    <!-- generated: problems -->
    …
    <!-- end -->
Names: problems, limits, types, referral, rejectable, commands:PROGRAM, modules:ROOM,
example:NAME (of docs.examples), shapes:STRUCT STRUCT …, endpoints:PROGRAM, scopes:PROGRAM.
The OpenAPI documents (docs.openapi) are written and compared with them.
"""

import ast
import importlib
import inspect
import re
import sys
import types
from collections.abc import Iterable, Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Final, NamedTuple, get_args, get_type_hints

import click
import msgspec
from msgspec import inspect as shape_of

from docs import openapi
from docs.examples import examples, printed
from node.runtime import config
from protocol import jws, limits, referral, routing
from protocol.envelope import REJECTABLE
from protocol.jws import Typ
from schemas import bodies, catalogue, membership, records, wire
from schemas.problems import PROBLEMS

FOLDER: Final = Path(__file__).parent
BLOCK: Final = re.compile(r"(?P<open><!-- generated: (?P<name>[^>]+?) -->\n)(?P<text>.*?)(?P<close><!-- end -->)", re.S)


class Signed(NamedTuple):
    """What a `typ` carries: payload, JWS form."""

    payload: str
    form: str


PAYLOADS: Final[dict[Typ, Signed]] = {
    jws.MSG: Signed("Routing", "compact"),
    jws.RCPT: Signed("Receipt", "compact"),
    jws.REQ: Signed("RequestToken", "compact"),
    jws.ROOT: Signed("Root", "General JSON"),
    jws.ADM: Signed("Admission", "General JSON"),
    jws.KEY: Signed("KeyStatement", "compact; General JSON when guarantors recover a key"),
    jws.RTS: Signed("RoutesStatement", "compact"),
    jws.MEM: Signed("MembersDoc", "compact"),
    jws.CAT: Signed("Publication", "compact"),
    jws.TAKEBACK: Signed("reserved, see §3.5", "—"),
}
MODULES: Final[tuple[types.ModuleType, ...]] = (wire, bodies, membership, catalogue, records, routing)


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = [_row(*head), "|" + "---|" * len(head), *(_row(*row) for row in rows)]
    return "\n".join(lines) + "\n"


# -- problems, limits, types


def problems() -> str:
    """Every code with its status, when to try again, what happened and what to do."""
    head = ("code", "HTTP", "retry", "what happened", "cosa è successo", "cosa fare")
    return _table(head, ((f"`{code}`", p.status, p.retry, p.en, p.it, p.fix) for code, p in PROBLEMS.items()))


def rejectable() -> str:
    """The codes of a signed rejection."""
    return " · ".join(f"`{code}`" for code in PROBLEMS if code in REJECTABLE) + "\n"


def _constants() -> Iterator[tuple[str, str, str]]:
    """(name, expression, what its docstring says), of protocol/limits.py in order."""
    body = ast.parse(inspect.getsource(limits)).body
    for i, statement in enumerate(body):
        if not isinstance(statement, ast.AnnAssign) or statement.value is None:
            continue
        following = body[i + 1] if i + 1 < len(body) else None
        said = ""
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            said = " ".join(str(following.value.value).split())
        yield ast.unparse(statement.target), ast.unparse(statement.value), said


def limits_table() -> str:
    """Every number of protocol.limits."""
    rows = []
    for name, expression, said in _constants():
        value = getattr(limits, name)
        shown = f"{value:,}" if isinstance(value, int) else ", ".join(f"{one:,}" for one in value)
        rows.append((f"`{name}`", shown, "" if expression == str(value) else f"`{expression}`", said))
    return _table(("name", "value", "as", "what it limits"), rows)


def types_table() -> str:
    """The closed table of `typ`."""
    rows = ((f"`{typ}`", said, PAYLOADS[typ].payload, PAYLOADS[typ].form) for typ, said in jws.TYPES.items())
    return _table(("`typ`", "what it is and who signs", "payload", "JWS form"), rows)


def referral_table() -> str:
    """The machine, as docs/referral-table.md has it."""
    return referral.markdown().partition("\n\n")[2]


# -- shapes

_PATTERNS: Final = {
    bodies.FILE_NAME: "file name, 1 to 120: no path, no invisible character",
    r"^[a-z]+/[a-z0-9.+-]{1,60}$": "media type",
    wire.HASH: "hash",
    wire.NODE_ID: "NodeId",
    r"^([A-Za-z0-9_-]{43})?$": 'hash or ""',
    r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$": 'NodeId or ""',
    r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$": "UUID",
    r"^[A-Za-z0-9_-]{22}$": "128 bits, base64url",
    r"^[A-Za-z0-9_-]{43}$": "256 bits, base64url",
    r"^[0-9]{6}$": "ISTAT code",
    r"^[A-Z]{2}-[A-Z0-9]{2,12}$": "vocabulary code",
    r"^PT-[A-Z0-9]{2,12}$": "PT-… code",
    r"^([A-Z]{2}-[A-Z0-9]{2,12}|[a-z][a-z-]{1,30})$": "vocabulary code or word",
    r"^\d{4}-\d{2}-\d{2}$": "date",
    r"^\d{4}(-\d{2}(-\d{2})?)?$": "date (year, month or day)",
    r"^([01][0-9]|2[0-4]):[0-5][0-9]$": "HH:MM",
}


def _text(kind: shape_of.StrType) -> str:
    if kind.pattern is not None:
        return _PATTERNS[kind.pattern]
    if kind.max_length is None:
        return "text"
    return f"text, {kind.min_length or 0} to {kind.max_length:,}"


def _number(kind: shape_of.IntType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f"integer, {kind.ge} to {kind.le:,}"
    return "integer" if kind.ge is None else f"integer from {kind.ge}"


def _list(kind: shape_of.ListType) -> str:
    most = f", at most {kind.max_length}" if kind.max_length is not None else ""
    least = f", at least {kind.min_length}" if kind.min_length else ""
    return f"list of {_said(kind.item_type)}{least}{most}"


def _said(kind: shape_of.Type) -> str:
    """A type in words."""
    match kind:
        case shape_of.Metadata():
            return _said(kind.type)
        case shape_of.UnionType():
            return " or ".join(_said(one) for one in kind.types)
        case shape_of.StrType():
            return _text(kind)
        case shape_of.IntType():
            return _number(kind)
        case shape_of.ListType():
            return _list(kind)
        case shape_of.FrozenSetType():
            return f"list of {_said(kind.item_type)}, each once"
        case shape_of.DictType():
            return f"object: {_said(kind.key_type)} → {_said(kind.value_type)}"
        case shape_of.VarTupleType():
            return f"list of {_said(kind.item_type)}"
        case shape_of.TupleType():
            return ", ".join(_said(one) for one in kind.item_types)
        case shape_of.NamedTupleType():
            return kind.cls.__name__ + ": [" + ", ".join(_said(one.type) for one in kind.fields) + "]"
        case shape_of.NoneType():
            return "null"
        case shape_of.StructType():
            return kind.cls.__name__
        case shape_of.LiteralType():
            return " \\| ".join(f"`{one}`" for one in kind.values).replace("\\|", "·")
        case shape_of.RawType():
            return "any JSON"
        case shape_of.BoolType():
            return "true or false"
        case shape_of.FloatType():
            return "number"
    raise TypeError(kind)


def _needed(field: shape_of.Field, omitted: bool) -> str:
    """Whether a member has to be there, and what its absence means (nothing, when the shape says UNSET)."""
    if field.required:
        return "yes"
    if field.default_factory is not msgspec.NODEFAULT:
        return "no" if omitted else "no: empty"
    if field.default is msgspec.NODEFAULT or isinstance(field.default, msgspec.Struct):
        return "no"
    return f"no: {msgspec.json.encode(field.default).decode()}"


def _struct(name: str) -> type[msgspec.Struct]:
    for module in MODULES:
        if isinstance(found := getattr(module, name, None), type) and issubclass(found, msgspec.Struct):
            return found
    return _inner_struct(name)


def _inner_struct(name: str) -> type[msgspec.Struct]:
    """Shapes that stand beside the code which alone uses them."""
    from node.mailbox import handlers
    from node.map import query, search, wording
    from registry import statements
    from registry.handlers import doctor

    modules_ = (handlers, statements, doctor, query, search, wording)
    found = next(found for module in modules_ if (found := getattr(module, name, None)) is not None)
    assert isinstance(found, type)
    assert issubclass(found, msgspec.Struct)
    return found


def shapes(names: str) -> str:
    """One row for each member of the structs named."""
    rows: list[tuple[str, str, str, str]] = []
    for name in names.split():
        struct = _struct(name)
        info = shape_of.type_info(struct)
        assert isinstance(info, shape_of.StructType)
        open_ = "" if info.forbid_unknown_fields else " (open)"
        if info.tag is not None:
            rows.append((f"**{name}**{open_}", f"`{info.tag_field}`", f"`{info.tag}`", "yes"))
        for field in info.fields:
            shown = f"**{name}**{open_}" if not any(row[0].startswith(f"**{name}**") for row in rows) else ""
            omitted = struct.__struct_config__.omit_defaults
            rows.append((shown, f"`{field.encode_name}`", _said(field.type), _needed(field, omitted)))
    return _table(("object", "member", "value", "needed"), rows)


def example(name: str) -> str:
    """One object as JSON."""
    return f"```json\n{printed(examples()[name].raw)}\n```\n"


# -- configuration and commands


def config_rows(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, str]]:
    """(key, default) of a configuration struct, tables opened."""
    hints = get_type_hints(struct)
    info = shape_of.type_info(struct)
    assert isinstance(info, shape_of.StructType)
    for field in info.fields:
        inner = next((one for one in (hints[field.name], *get_args(hints[field.name])) if _is_struct(one)), None)
        if inner is not None:
            mark = "[]" if inner is config.BodyConfig else ""
            yield from config_rows(inner, f"{prefix}{field.encode_name}{mark}.")
        else:
            yield f"{prefix}{field.encode_name}", _default(field)


def _is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _default(field: shape_of.Field) -> str:
    if field.required:
        return "obbligatoria"
    if field.default is None:
        return "assente"
    return f"`{msgspec.json.encode(field.default).decode()}`"


def config_keys() -> dict[str, str]:
    """Every key of both programs with its default."""
    return dict(config_rows(config.NodeConfig)) | dict(config_rows(config.RegistryConfig))


class Entry(NamedTuple):
    """One command of a program with its parameters: (how it is written, what it does)."""

    path: str
    help: str
    usage: str
    params: tuple[tuple[str, str], ...]


def commands(program: str) -> list[Entry]:
    """Every command of `raccordo-node` or `raccordo-registry`, groups opened, in the order of the help."""
    held = vars(importlib.import_module(f"{program}.cli")).values()
    groups = [one for one in held if isinstance(one, click.Group)]
    inner = {command.name for group in groups for command in group.commands.values()}
    (top,) = (group for group in groups if group.name not in inner)
    return list(_walk(top, click.Context(top, info_name=f"raccordo-{program}")))


def _walk(command: click.Command, ctx: click.Context) -> Iterator[Entry]:
    options = [shown for param in command.get_params(ctx) if (shown := param.get_help_record(ctx)) is not None]
    usage = " ".join((ctx.command_path, *command.collect_usage_pieces(ctx)))
    yield Entry(ctx.command_path, cleandoc(command.help or ""), usage, tuple(options))
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _walk(inner, click.Context(inner, info_name=name, parent=ctx))


_SAME: Final = frozenset({"-h, --help", "--help, -h", "--help"})
"""Said once at the top of the manual."""


def command_pages(program: str) -> str:
    """The commands as the manual shows them."""
    return "\n".join(_command_page(entry) for entry in commands(program))


_ITALIAN: Final = (
    ("[OPTIONS]", "[OPZIONI]"),
    ("COMMAND [ARGS]...", "COMANDO [ARGOMENTI]…"),
    ("DIRECTORY", "CARTELLA"),
    ("INTEGER", "NUMERO"),
    ("FLOAT", "NUMERO"),
    ("TEXT", "TESTO"),
    ("[required]", "(obbligatoria)"),
    ("[default: ", "[predefinito: "),
)
"""Words of click, where a program has left them."""


def _italian(text: str) -> str:
    for english, italian in _ITALIAN:
        text = text.replace(english, italian)
    return " ".join(text.split())


def _command_page(entry: Entry) -> str:
    rows = [
        (f"`{_italian(left)}`", _italian(right))
        for left, right in entry.params
        if right and left not in _SAME and not (left == "--json" and " " in entry.path)
    ]
    table = f"\n{_table(('opzione', 'significato'), rows)}" if rows else ""
    return f"### {entry.path}\n\n{entry.help}\n\n    {_italian(entry.usage)}\n{table}"


def modules(room: str) -> str:
    """Every module of a room with the first line it says about itself."""
    rows = []
    for path in sorted((FOLDER.parent / room).rglob("*.py")):
        said = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
        name = path.relative_to(FOLDER.parent).with_suffix("").as_posix().removesuffix("/__init__")
        if said:
            rows.append((f"`{name}`", said.splitlines()[0]))
    return _table(("module", "what it is, and what it is not"), rows)


# -- interfaces for other programs


def endpoints(program: str) -> str:
    """Every address of an interface, with the permission it takes."""
    rows = (
        (row.method, f"`{row.path}`", f"`{row.scope}`" if row.scope else "—", "sì" if row.effect else "", row.it)
        for row in openapi.rows(program)
    )
    return _table(("", "indirizzo", "permesso", "chiave", "che cosa fa"), rows)


def scopes(program: str) -> str:
    """The closed table of permissions."""
    return _table(
        ("permesso", "per che cosa"), ((f"`{name}`", it) for name, (it, _) in openapi.scopes(program).items())
    )


# -- blocks


def made(name: str) -> str:
    """The text of a block. Raises KeyError for a name nobody makes."""
    what, _, rest = name.partition(":")
    plain = {
        "problems": problems,
        "limits": limits_table,
        "types": types_table,
        "referral": referral_table,
        "rejectable": rejectable,
    }
    taking = {
        "example": example, "shapes": shapes, "commands": command_pages, "modules": modules,
        "endpoints": endpoints, "scopes": scopes,
    }  # fmt: skip
    return taking[what](rest) if rest else plain[what]()


def renewed(text: str) -> str:
    """A document with every block made anew."""
    return BLOCK.sub(lambda found: found["open"] + made(found["name"]) + found["close"], text)


def drift(folder: Path = FOLDER) -> list[str]:
    """Documents whose generated parts are not those of their sources."""
    pages = sorted(folder.glob("*.md"))
    return [page.name for page in pages if renewed(page.read_text("utf-8")) != page.read_text("utf-8")]


def main(arguments: list[str]) -> int:
    """Exit code: 0, or 1 when `--check` finds drift, or 2 for another argument."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m docs.generate [--check]\n")
        return 2
    changed = drift()
    stale = openapi.drift()
    for name in stale:
        if arguments:
            sys.stderr.write(f"schemas/openapi/{name}: run «python -m docs.generate»\n")
        else:
            openapi.write(name)
    for name in changed:
        page = FOLDER / name
        if arguments:
            sys.stderr.write(f"docs/{name}: run «python -m docs.generate»\n")
        else:
            page.write_text(renewed(page.read_text("utf-8")), encoding="utf-8", newline="\n")
    return 1 if arguments and (changed or stale) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
