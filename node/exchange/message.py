"""A body that is no event of a leg, as its handler gets it, and what the handler says it did. No behaviour."""

from typing import Any, NamedTuple


class Message(NamedTuple):
    """What arrived: the member that signed it, the body decoded, and the bytes the commitment is about.

    `iat`: when its sender says it was sealed; `overtaken`: newer words of the same sender are held already.
    """

    sender: str
    body: Any
    raw: bytes
    salt: bytes
    now: int
    iat: int = 0
    overtaken: bool = False


class Effect(NamedTuple):
    """What it did. `h`: our own event count on the leg it is about (None: about no leg); `legs` that changed."""

    h: int | None = None
    legs: tuple[str, ...] = ()
