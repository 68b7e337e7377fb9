"""Log lines as JSON on standard error. Never a body, a name, an address of a page, nor the text of an exception.

{"t":1795259400.123,"level":"warning","event":"internal","ref":"5f0c93aa","type":"KeyError","where":["app.py:40 send"]}

Our own events carry fields from a closed list. Of other libraries' records only the template is kept, without its
arguments, and of an exception only its type and the places it went through: both may quote what they were handling.
"""

import logging
import sys
import traceback
from typing import Final, TextIO

import msgspec

LOG: Final = logging.getLogger("raccordo")

FIELDS: Final = frozenset(
    {
        "after",
        "code",
        "count",
        "field",
        "member",
        "mid",
        "ms",
        "path",
        "pid",
        "port",
        "ref",
        "route",
        "status",
        "version",
    }
)
_VALUE_MAX = 200


def event(level: int, name: str, *, exc: BaseException | None = None, **fields: str | int | float | None) -> None:
    """Log an event of ours. A field outside FIELDS is a fault of the caller (ValueError)."""
    if strangers := fields.keys() - FIELDS:
        raise ValueError(f"not a log field: {min(strangers)}")
    LOG.log(level, name, exc_info=exc, extra={"fields": fields})


def places(exc: BaseException) -> list[str]:
    """Where an exception went through, innermost last: "file.py:12 function"."""
    frames = traceback.extract_tb(exc.__traceback__)
    return [
        f"{frame.filename.replace(chr(92), '/').rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames
    ]


class JsonFormatter(logging.Formatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {"t": round(record.created, 3), "level": record.levelname.lower()}
        line["event"] = str(record.msg)[:_VALUE_MAX]
        if not record.name.startswith(LOG.name):
            line["logger"] = record.name
        for name, value in getattr(record, "fields", {}).items():
            line[name] = value[:_VALUE_MAX] if isinstance(value, str) else value
        if record.exc_info and record.exc_info[1] is not None:
            line["type"] = type(record.exc_info[1]).__name__
            line["where"] = places(record.exc_info[1])
        return msgspec.json.encode(line).decode()


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send everything to one handler (standard error unless given)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
