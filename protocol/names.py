"""Names that travel: NodeIds, network ids, hashes, event ids, channel positions. Their form, not who owns them."""

import re
from typing import Final, NamedTuple

from protocol.errors import ProtocolError
from protocol.limits import JSON_MAX_INT
from protocol.strict import b64u_decode
from schemas.wire import NODE_ID

_NODE_ID: Final = re.compile(NODE_ID)
_UUID4: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_CHANNEL: Final = re.compile(r"(0|[1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,15})")
_HASH: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")


class Channel(NamedTuple):
    """A position in the channel from one member to another: "1.7" on the wire, ordered as two integers."""

    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"


NOTHING_HELD: Final = Channel(0, 0)
"""`hw` of a receipt from somebody who holds nothing of the sender yet."""


def check_node_id(text: str, *, field: str | None = None) -> str:
    """`text` if it is a NodeId; else `bad-node-id`."""
    if _NODE_ID.fullmatch(text) is None:
        raise ProtocolError("bad-node-id", field=field)
    return text


def is_hash(text: str) -> bool:
    """Is `text` the canonical base64url of 32 bytes? The last character carries four bits and two zeros."""
    return _HASH.fullmatch(text) is not None


def check_hash(text: str, *, field: str) -> str:
    """`text` if it names something by SHA-256 (net, mid, ct, cm, kid); else `bad-shape`."""
    if not is_hash(text):
        raise ProtocolError("bad-shape", field=field, expected="base64url of 32 bytes")
    return text


def hash_bytes(text: str, *, field: str) -> bytes:
    """The 32 bytes behind a hash."""
    return b64u_decode(check_hash(text, field=field), field=field)


def check_event_id(text: str, *, field: str = "jti") -> str:
    """`text` if it is a lower-case UUIDv4; else `bad-shape`."""
    if _UUID4.fullmatch(text) is None:
        raise ProtocolError("bad-shape", field=field, expected="lower-case UUIDv4")
    return text


def _position(text: str, field: str) -> Channel:
    found = _CHANNEL.fullmatch(text)
    if found is None:
        raise ProtocolError("bad-shape", field=field, expected="epoch.seq")
    position = Channel(int(found[1]), int(found[2]))
    if max(position) > JSON_MAX_INT:
        raise ProtocolError("bad-shape", field=field, expected="epoch.seq below 2^53")
    return position


def parse_channel(text: str, *, field: str = "ch") -> Channel:
    """`ch` of an envelope: canonical decimals, both from 1."""
    position = _position(text, field)
    if min(position) < 1:
        raise ProtocolError("bad-shape", field=field, expected="epoch and seq from 1")
    return position


def parse_high_water(text: str, *, field: str = "hw") -> Channel:
    """`hw` of a receipt: a channel position, or "0.0" when nothing is held."""
    return NOTHING_HELD if text == "0.0" else parse_channel(text, field=field)
