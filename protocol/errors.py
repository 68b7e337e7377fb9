"""The exceptions of the rules. Each carries a stable code of schemas.problems; none carries personal data."""

from schemas.problems import PROBLEMS, Problem


class ProtocolError(Exception):
    """Something was refused. `code` is a key of PROBLEMS; `field`, `expected`, `got` never hold content.

    `mid` names the sealing it is about; `after` (seconds) says when to try again.
    """

    def __init__(
        self,
        code: str,
        *,
        field: str | None = None,
        expected: str | None = None,
        got: str | None = None,
        mid: str | None = None,
        after: int | None = None,
    ) -> None:
        self.problem: Problem = PROBLEMS[code]
        self.code = code
        self.field = field
        self.expected = expected
        self.got = got
        self.mid = mid
        self.after = after
        detail = ", ".join(f"{k}={v}" for k, v in (("field", field), ("expected", expected), ("got", got)) if v)
        super().__init__(f"{code} ({detail})" if detail else code)
