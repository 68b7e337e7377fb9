"""Problems on the wire: a refusal to application/problem+json and back (RFC 9457). No HTTP library.

{"title":"Non trovato.","status":404,"code":"not-found","retry":"never","server_time":1795259400}
"""

from typing import Final

import msgspec
from msgspec import UNSET

from protocol.errors import ProtocolError
from schemas.problems import PROBLEMS
from schemas.wire import ProblemBody

PROBLEM_MEDIA: Final = "application/problem+json"
PROBLEM_MAX: Final = 16 * 1024  # an answer longer than this is not read as a problem

# What a bare status of a proxy or of a stranger is taken for; everything else is `unreachable`.
_BY_STATUS: Final[dict[int, str]] = {
    400: "bad-request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "too-slow",
    413: "too-large",
    415: "unsupported-media",
    429: "busy",
    503: "busy",
    507: "disk-full",
}


class AnsweredError(ProtocolError):
    """A refusal that came from the other side, with its HTTP status and, when it said so, its time of day."""

    def __init__(
        self,
        code: str,
        status: int,
        *,
        server_time: int | None = None,
        field: str | None = None,
        expected: str | None = None,
        got: str | None = None,
        mid: str | None = None,
        after: int | None = None,
    ) -> None:
        super().__init__(code, field=field, expected=expected, got=got, mid=mid, after=after)
        self.status = status
        self.server_time = server_time


class _View(msgspec.Struct, frozen=True):
    """What we read of somebody else's problem; unknown members are ignored."""

    code: str
    field: str | None = None
    expected: str | None = None
    got: str | None = None
    mid: str | None = None
    server_time: int | None = None


def encode_problem(error: ProtocolError, now: int) -> bytes:
    """The body of the answer to a refused call; its status is `error.problem.status`."""
    return msgspec.json.encode(
        ProblemBody(
            title=error.problem.it,
            status=error.problem.status,
            code=error.code,
            retry=error.problem.retry,
            field=error.field or UNSET,
            expected=error.expected or UNSET,
            got=error.got or UNSET,
            mid=error.mid or UNSET,
            server_time=now,
        )
    )


def decode_problem(status: int, body: bytes, retry_after: str | None = None) -> AnsweredError:
    """The refusal that an answer ≥ 400 holds. A body that is no problem of ours counts for its status only."""
    after = int(retry_after) if retry_after is not None and retry_after.isascii() and retry_after.isdigit() else None
    view = _view(body)
    if view is None or view.code not in PROBLEMS:
        return AnsweredError(_BY_STATUS.get(status, "unreachable"), status, got=f"HTTP {status}", after=after)
    return AnsweredError(
        view.code,
        status,
        server_time=view.server_time,
        field=view.field,
        expected=view.expected,
        got=view.got,
        mid=view.mid,
        after=after,
    )


def _view(body: bytes) -> _View | None:
    if len(body) > PROBLEM_MAX:
        return None
    try:
        return msgspec.json.decode(body, type=_View)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
