"""What a member's `notify` asks of the relays that keep its post: one e-mail address, and after how long. Pure.

`notify` of a routes statement looks like this: "sportello@comune.example 48". The number is hours, 24 where there is
none (ADR 0031). What is no single plain address asks for nothing.
"""

import re
from typing import Final, NamedTuple

from protocol.limits import HOUR

DEFAULT: Final = 24  # hours
_WISH: Final = re.compile(r"([A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,120})(?: ([0-9]{1,3}))?")


class Wish(NamedTuple):
    """Where to write, and after how many seconds of waiting."""

    address: str
    after: int


def wish(text: object) -> Wish | None:
    """None for what asks for nothing; at least an hour."""
    found = _WISH.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else Wish(found[1], max(1, int(found[2] or DEFAULT)) * HOUR)
