"""The emergency key of a body: the offline key that puts a new key in the place of a lost one. A file, never kept here.

Its public half stands in the admission, signed by guarantors. A file looks like this (mode 0600):
{"v":1,"kind":"raccordo-emergency","node":"comune-tavullia","x":"11qY…","seed":"b64u…"}
Who holds the file can take this body's place in the network, which every other office is told and has to confirm.
"""

from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from protocol.errors import ProtocolError
from protocol.fingerprint import fingerprint
from protocol.strict import b64u_decode, b64u_encode, decode
from protocol.suite import SigningKey, Suite

KIND: Final = "raccordo-emergency"
FILE_MAX: Final = 4096


class _File(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    v: Literal[1]
    kind: Literal["raccordo-emergency"]
    node: str
    x: str
    seed: str


class EmergencyKey(NamedTuple):
    """Whose it is, and the key pair."""

    node: str
    seed: bytes
    key: SigningKey

    @property
    def x(self) -> str:
        return b64u_encode(self.key.public)

    @property
    def words(self) -> str:
        return " ".join(fingerprint(self.key.public))


def emergency_key(node: str, seed: bytes, suite: Suite) -> EmergencyKey:
    """From 32 random bytes."""
    return EmergencyKey(node, seed, suite.signing_key(seed))


def write(key: EmergencyKey) -> bytes:
    """What the file holds."""
    file = _File(v=1, kind=KIND, node=key.node, x=key.x, seed=b64u_encode(key.seed))
    return msgspec.json.encode(file) + b"\n"


def read(raw: bytes, suite: Suite) -> EmergencyKey:
    """Raises keys-damaged; bad-key when the seed is not that of `x`."""
    try:
        file = decode(raw.rstrip(b"\n"), _File, max_bytes=FILE_MAX)
        key = emergency_key(file.node, b64u_decode(file.seed, field="seed"), suite)
    except ProtocolError as error:
        raise ProtocolError("keys-damaged", field=error.field) from None
    if key.x != file.x:
        raise ProtocolError("bad-key", field="x", expected="the public half of the seed")
    return key
