"""The local channel: how a command reaches the process that owns a store (DESIGN §3.4). Loopback only; no HTTP library.

A running process writes `local.json` (0600) into its data directory, with a new token at each start:
{"port":40123,"token":"b0c9…","pid":4711,"version":"0.2.0"}
and answers POST /local/v1/command/{name}. A page in a browser on the same computer must not be able to: the Host has
to be loopback, an Origin is refused, the token is compared in constant time.
"""

import hmac
import http.client
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from node.runtime.platform import mode_command, readable_by_others, replace_private
from node.runtime.ports import Random
from node.runtime.problem import decode_problem
from node.runtime.routes import Call, Reply, Route
from node.runtime.version import VERSION
from protocol.errors import ProtocolError

PREFIX: Final = "/local/v1"
COMMAND_MAX: Final = 32 * 1024 * 1024  # a spreadsheet
CommandHandler = Callable[[bytes], Awaitable[bytes]]

_HOST: Final = "127.0.0.1"
_HOST_HEADER: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


class Announcement(msgspec.Struct, frozen=True):
    """Where the running process listens, and the token it asks for. `version`: "" before 0.2."""

    port: int
    token: str
    pid: int
    version: str = ""


def new_token(dice: Random) -> str:
    """256 bits, in hex."""
    return dice.bytes(32).hex()


def announce(data_dir: Path, port: int, token: str) -> None:
    """Let commands find this process."""
    replace_private(_file(data_dir), msgspec.json.encode(Announcement(port, token, os.getpid(), VERSION)))


def withdraw(data_dir: Path) -> None:
    """The process is stopping."""
    _file(data_dir).unlink(missing_ok=True)


def announced(data_dir: Path) -> Announcement:
    """Raises ProtocolError `not-running` when no process has announced itself, `keys-exposed` when others may read."""
    path = _file(data_dir)
    try:
        if readable_by_others(path):
            raise ProtocolError("keys-exposed", field=path.name, expected=mode_command(path))
        return msgspec.json.decode(path.read_bytes(), type=Announcement)
    except (FileNotFoundError, msgspec.MsgspecError) as error:
        raise ProtocolError("not-running") from error


def call(data_dir: Path, path: str, payload: bytes, *, timeout: float = 60.0) -> bytes:
    """POST `payload` to `path` (under /local/v1) of the process that runs on `data_dir`; the body of its answer.

    Raises ProtocolError `not-running` when nobody answers, `unreachable` when the answer does not come in time, else
    what was answered.
    """
    to = announced(data_dir)
    connection = http.client.HTTPConnection(_HOST, to.port, timeout=timeout)
    try:
        connection.request("POST", path, payload, {"Authorization": f"Bearer {to.token}"})
        answer = connection.getresponse()
        body = answer.read()
    except ConnectionRefusedError as error:
        raise ProtocolError("not-running") from error
    except (OSError, http.client.HTTPException) as error:
        raise ProtocolError("unreachable", got=type(error).__name__) from error
    finally:
        connection.close()
    if answer.status >= 400:
        raise decode_problem(answer.status, body, answer.getheader("Retry-After"))
    return body


def command(data_dir: Path, name: str, payload: bytes, *, timeout: float = 60.0) -> bytes:
    """`call` of a command by its name."""
    return call(data_dir, f"{PREFIX}/command/{name}", payload, timeout=timeout)


def local_routes(token: str, commands: Mapping[str, CommandHandler]) -> list[Route]:
    """The server side, for a listener on 127.0.0.1."""

    async def run(call_: Call) -> Reply:
        check_local(call_, token)
        handler = commands.get(call_.params["name"])
        if handler is None:
            raise ProtocolError("not-found", field="command")
        return Reply(body=await handler(await call_.body()))

    return [Route("POST", PREFIX + "/command/{name}", run, max_body=COMMAND_MAX)]


def check_local(call_: Call, token: str) -> None:
    """Raises ProtocolError `forbidden` (a browser, or another host's name), `unauthenticated` (wrong token)."""
    if _HOST_HEADER.fullmatch(call_.headers.get("host", "")) is None:
        raise ProtocolError("forbidden", field="host")
    if "origin" in call_.headers:
        raise ProtocolError("forbidden", field="origin")
    given = call_.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode("utf-8", "replace"), f"Bearer {token}".encode()):
        raise ProtocolError("unauthenticated", field="authorization")


def _file(data_dir: Path) -> Path:
    return data_dir / "local.json"
