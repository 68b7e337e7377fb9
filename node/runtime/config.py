"""Configuration: one TOML file read into a frozen struct. No defaults from the environment, no secrets inside.

A node's file looks like this:

    data_dir = "dati"            # beside this file unless absolute
    [[bodies]]
    id = "comune-tavullia"
    [http]
    local_port = 0               # 0: any free port of this computer

Secrets (a passphrase) lie in files of their own, 0600, named here.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args, get_type_hints

import msgspec

from node.runtime.platform import mode_command, readable_by_others
from protocol.errors import ProtocolError

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
NonEmpty = Annotated[str, msgspec.Meta(min_length=1)]


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What this process listens on and how it goes out. `listen_host` absent: nobody outside needs to reach us."""

    listen_host: str | None = None
    listen_port: Port = 0
    local_port: Port = 0
    proxy: str | None = None
    ca_file: str | None = None
    allow_plain_http_loopback: bool = False  # demo and tests: peers on 127.0.0.1 without TLS
    connections_per_address: Annotated[int, msgspec.Meta(ge=1)] = 64  # raise it behind a reverse proxy


class MailConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The server that takes our content-free notices, for who keeps mailboxes. Absent: nobody is written to."""

    host: NonEmpty
    sender: NonEmpty
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"  # none: a server of our own on this computer
    user: str | None = None
    password_file: str | None = None


class BodyConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One body (a member, or the registry itself) hosted by this process, with its own keys and file."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    passphrase_file: str | None = None


class BackupConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Copies made by themselves. `to` absent: none are; one of the two files says what they are encrypted with."""

    to: str | None = None
    passphrase_file: str | None = None
    key_file: str | None = None
    every_hours: Annotated[int, msgspec.Meta(ge=1, le=168)] = 24
    keep: Annotated[int, msgspec.Meta(ge=1, le=366)] = 14
    max_days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 30  # what was erased may stay in a copy no longer (GDPR 17)


class ApiConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The interface for other programs of the office network, over TLS. `listen_host` absent: from this computer only.

    `names`: under which names and addresses they call it; a wildcard address needs some. Without a certificate the
    program makes one of its own at first use. `origins`: pages that may call; none by default.
    """

    listen_host: str | None = None
    listen_port: Port = 0
    names: tuple[NonEmpty, ...] = ()
    origins: tuple[NonEmpty, ...] = ()
    cert_file: str | None = None
    key_file: str | None = None


class RetentionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How long a desk keeps cases, in months after their end: a decision of the body, with its data protection officer.

    `erase_after`: what `retention` proposes to erase; absent: nothing. `keep`: cases taken in charge here may not be
    erased sooner at anybody's wish (the body's papers: its own rules on what is discarded when).
    """

    erase_after: Annotated[int, msgspec.Meta(ge=1, le=1200)] | None = None
    keep: Annotated[int, msgspec.Meta(ge=0, le=1200)] = 60


class ProgramConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What both programs have."""

    data_dir: NonEmpty
    bodies: Annotated[tuple[BodyConfig, ...], msgspec.Meta(min_length=1, max_length=1)]
    http: HttpConfig = HttpConfig()
    backup: BackupConfig = BackupConfig()
    api: ApiConfig = ApiConfig()
    mail: MailConfig | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class NodeConfig(ProgramConfig, frozen=True, kw_only=True):
    """A node; `relay` keeps mailboxes for other members."""

    relay: bool = False
    retention: RetentionConfig = RetentionConfig()


class RegistryConfig(ProgramConfig, frozen=True, kw_only=True):
    """A registry."""


C = TypeVar("C", bound=ProgramConfig)


def load_config(path: Path, type_: type[C]) -> C:
    """Read and check the file; paths in it become absolute, relative to its directory.

    Raises ProtocolError `config-missing`, or `config-invalid` with the key in `field`, a hint in `expected` and the
    line in `got` (Italian: people read it).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ProtocolError("config-missing", field=path.name) from error
    except UnicodeDecodeError as error:
        raise ProtocolError("config-invalid", field=path.name, expected="testo UTF-8") from error
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(
            "config-invalid", field=path.name, expected="TOML valido", got=_toml_place(error)
        ) from error
    for key, hint in _unknown_keys(raw, type_, ()):
        raise ProtocolError("config-invalid", field=".".join(key), expected=hint, got=_line(text, key))
    try:
        config = msgspec.convert(raw, type_)
    except msgspec.ValidationError as error:
        field, expected = _explain(str(error))
        raise ProtocolError(
            "config-invalid", field=".".join(field), expected=expected, got=_line(text, field)
        ) from error
    if "@" in (config.http.proxy or "") and readable_by_others(path):
        # the proxy's password stands in it
        raise ProtocolError("keys-exposed", field=path.name, expected=mode_command(path))
    return _absolute(config, path.resolve().parent)


def load_secret(path: Path) -> str:
    """The one line of a secret file. `keys-exposed` when others may read it, `config-missing` when absent."""
    if not path.exists():
        raise ProtocolError("config-missing", field=path.name)
    if readable_by_others(path):
        raise ProtocolError("keys-exposed", field=path.name, expected=mode_command(path))
    return path.read_text(encoding="utf-8").rstrip("\r\n")


def _absolute(config: C, base: Path) -> C:
    def beside(name: str | None) -> str | None:
        return None if name is None else str(base / name)

    bodies = tuple(msgspec.structs.replace(b, passphrase_file=beside(b.passphrase_file)) for b in config.bodies)
    http = msgspec.structs.replace(config.http, ca_file=beside(config.http.ca_file))
    named = {name: beside(getattr(config.backup, name)) for name in ("to", "passphrase_file", "key_file")}
    backup = msgspec.structs.replace(config.backup, **named)
    pem = {name: beside(getattr(config.api, name)) for name in ("cert_file", "key_file")}
    api = msgspec.structs.replace(config.api, **pem)
    mail = config.mail and msgspec.structs.replace(config.mail, password_file=beside(config.mail.password_file))
    return msgspec.structs.replace(
        config, data_dir=str(base / config.data_dir), bodies=bodies, http=http, backup=backup, api=api, mail=mail
    )


def _unknown_keys(raw: object, type_: object, at: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every key that no struct knows, with a hint; follows structs through tables and lists."""
    struct = _struct_in(type_)
    if struct is None:
        return
    if isinstance(raw, list):
        for item in raw:
            yield from _unknown_keys(item, struct, at)
    elif isinstance(raw, dict):
        known = get_type_hints(struct, include_extras=True)
        for name, value in raw.items():
            if name in known:
                yield from _unknown_keys(value, known[name], (*at, name))
            else:
                yield (*at, name), _did_you_mean(name, known)


def _struct_in(type_: object) -> type[msgspec.Struct] | None:
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return type_
    return next((found for inner in get_args(type_) if (found := _struct_in(inner)) is not None), None)


def _did_you_mean(name: str, known: dict[str, object]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return (
        f"chiave sconosciuta: forse «{close[0]}»?"
        if close
        else "chiave sconosciuta: una di " + ", ".join(sorted(known))
    )


def _line(text: str, key: tuple[str, ...]) -> str | None:
    """The line where a key stands, by its last name; the innermost table wins when several lines could be meant."""
    if not key:
        return None
    table: tuple[str, ...] = ()
    found: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]", line):
            table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            name = table
        elif assignment := re.match(r"\s*([A-Za-z0-9_.\"'-]+)\s*=", line):
            name = (*table, *(part.strip("\"'") for part in assignment[1].split(".")))
        else:
            continue
        if name == key[: len(name)]:
            found = number
    return f"riga {found}" if found else None


def _toml_place(error: tomllib.TOMLDecodeError) -> str:
    place = re.search(r"at line (\d+), column (\d+)", str(error))
    return f"riga {place[1]}, colonna {place[2]}" if place else "fine del file"


_ITALIAN = (
    (r"Object missing required field `(\w+)`", r"manca «\1»"),
    (r"Expected `int`, got `\w+`", "un numero intero"),
    (r"Expected `str[^`]*`, got `\w+`", "un testo fra virgolette"),
    (r"Expected `bool`, got `\w+`", "true oppure false"),
    (r"Expected `array`, got `\w+`", "un elenco"),
    (r"Expected `object`, got `\w+`", "una tabella"),
    (r"Expected `int` >= (\S+)", r"un numero non minore di \1"),
    (r"Expected `int` <= (\S+)", r"un numero non maggiore di \1"),
    (r"Expected `str` of length >= 1", "un testo non vuoto"),
    (r"Expected `array` of length >= 1", "almeno un elemento"),
    (r"Expected `array` of length <= 1", "un elemento solo, per ora"),
    (r"Invalid enum value .*", "uno dei valori ammessi"),
    (r"Expected `str` matching regex .*", "lettere minuscole, cifre e trattini"),
)


def _explain(message: str) -> tuple[tuple[str, ...], str]:
    """msgspec's "Expected `int`, got `str` - at `$.http.port`" → (("http", "port"), "un numero intero")."""
    what, _, where = message.partition(" - at `$")
    field = tuple(part for part in re.sub(r"\[[^\]]*\]", "", where.rstrip("`")).split(".") if part)
    for pattern, italian in _ITALIAN:
        if found := re.match(pattern, what):
            return field, found.expand(italian)
    return field, what
