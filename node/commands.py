"""The commands of a node: one table, whoever runs them. In a running process through the local channel, else here.

A command is decoded strictly, run inside a transaction when it writes, and its result encoded. Commands that need the
network (join, serve) are the shell's and exist only in a running process.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec

from protocol.errors import ProtocolError

if TYPE_CHECKING:
    import sqlite3

    from node.body import Body

S = TypeVar("S", bound=msgspec.Struct)


class Command(NamedTuple):
    """`run(tx, body, request)`; `writes` gives it a transaction, else a read connection. `sends` wakes the courier."""

    request: type[msgspec.Struct]
    run: Callable[..., object]
    writes: bool
    sends: bool = False


class Nothing(msgspec.Struct, frozen=True):
    """The request of a command that takes none, and the answer of one that says nothing."""


def table() -> Mapping[str, Command]:
    """Every command by name; imported when the first one runs, not when a command line starts."""
    from node.api.commands import COMMANDS as API
    from node.cases.commands import COMMANDS as CASES
    from node.cases.rights_commands import COMMANDS as RIGHTS
    from node.catalogue.commands import COMMANDS as CATALOGUE
    from node.checkup import COMMANDS as CHECKUP
    from node.keys.commands import COMMANDS as KEYS
    from node.map_commands import COMMANDS as MAP
    from node.member_commands import COMMANDS as MEMBER
    from node.proof_commands import COMMANDS as PROOFS
    from node.restoring import COMMANDS as RESTORING

    return {**CASES, **RIGHTS, **CATALOGUE, **KEYS, **MAP, **MEMBER, **PROOFS, **RESTORING, **CHECKUP, **API}


def decode_request(command: Command, payload: bytes) -> msgspec.Struct:
    """Raises bad-shape with the field, bad-json, json-too-deep."""
    return decode_as(command.request, payload)


def decode_as(shape: type[S], payload: bytes) -> S:
    """The same for a request that is no row of the table."""
    try:
        return msgspec.json.decode(payload, type=shape)
    except msgspec.ValidationError as error:
        path = str(error).rpartition(" - at `")[2].rstrip("`") if " - at `" in str(error) else "$"
        raise ProtocolError("bad-shape", field=path.removeprefix("$.")) from None
    except RecursionError:
        raise ProtocolError("json-too-deep") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProtocolError("bad-json") from None


def run_in(db: "sqlite3.Connection", body: "Body", name: str, payload: bytes) -> bytes:
    """Runs one command on an open body, in the caller's transaction."""
    command = table().get(name)
    if command is None:
        raise ProtocolError("not-found", field="command", got=name)
    return msgspec.json.encode(command.run(db, body, decode_request(command, payload)))


_OFFLINE_CODES: Final = frozenset({"not-running"})


def call(data_dir: Path, name: str, request: msgspec.Struct, *, timeout: float = 120.0) -> bytes:
    """Runs a command: in the process that owns the store, or by opening the store under its lock."""
    from node.runtime import local

    payload = msgspec.json.encode(request)
    try:
        return local.command(data_dir, name, payload, timeout=timeout)
    except ProtocolError as problem:
        if problem.code not in _OFFLINE_CODES:
            raise
    return _offline(data_dir, name, payload)


def _offline(data_dir: Path, name: str, payload: bytes) -> bytes:
    from node.body import Body
    from node.enrolment import CONFIG_NAME
    from node.runtime.config import NodeConfig, load_config

    body = Body.open(load_config(data_dir / CONFIG_NAME, NodeConfig))
    try:
        command = table().get(name)
        if command is None:
            raise ProtocolError("not-running" if name in SHELL_COMMANDS else "not-found", field="command", got=name)
        runner = body.store.run if command.writes else body.store.read
        answer = runner(lambda db: run_in(db, body, name, payload))
        body.tidy()
        return answer
    finally:
        body.close()


# Need the network: only a running process has them.
SHELL_COMMANDS: Final = frozenset({"join", "sync", "take-back", "fetch-proof", "backup", "recover", "leave"})
