"""Admissions: what makes a body a member, signed by guarantors off the server. Not the keys that follow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from protocol import jws
from protocol.errors import ProtocolError
from protocol.limits import KIB
from protocol.roots import TrustedRoot
from protocol.strict import decode, digest
from protocol.suite import SigningKey
from schemas.membership import Admission, Wanted

ADMISSION_MAX: Final = 16 * KIB


@dataclass(frozen=True, slots=True)
class Verified:
    """An admission that counts, with the hash of its payload (`vouches` of later roots name it so)."""

    admission: Admission
    payload_hash: str


def draft(wanted: Wanted, *, net: str, first: str, seq: int, now: int) -> bytes:
    """The exact payload guarantors will sign."""
    fields = {name: getattr(wanted, name) for name in Wanted.__struct_fields__}
    return msgspec.json.encode(Admission(net=net, first=first, seq=seq, iat=now, **fields))


def sign(payload: bytes, keys: Iterable[SigningKey]) -> str:
    return jws.sign_general(keys, jws.ADM, payload).decode("ascii")


def merge(texts: Sequence[str]) -> str:
    """Signatures of several guarantors over one draft, together. Raises bad-shape when the drafts differ."""
    return jws.merge_general([text.encode() for text in texts], jws.ADM, max_bytes=ADMISSION_MAX).decode("ascii")


def read_admission(text: str, root: TrustedRoot) -> Verified:
    """Counts distinct guarantor keys of `root`, or finds that root vouching for it. Raises admission-invalid.

    An entry without enough signatures is void: the registry alone can admit nobody and invent no PUA.
    """
    try:
        general = jws.parse_general(text.encode(), jws.ADM, max_bytes=ADMISSION_MAX)
        if not root.vouches_for(general.payload):
            jws.verify_threshold(general, root.guarantors, root.root.admission_threshold)
        admission = decode(general.payload, Admission, max_bytes=ADMISSION_MAX)
    except ProtocolError as error:
        raise ProtocolError("admission-invalid", field=error.field, expected=error.expected, got=error.code) from None
    if admission.net != root.net:
        raise ProtocolError("admission-invalid", field="net", got="wrong-network")
    return Verified(admission, digest(general.payload))


def claimed(text: str) -> Admission:
    """What an admission says of itself, verified by nobody: only to name an entry that turns out void."""
    general = jws.parse_general(text.encode(), jws.ADM, max_bytes=ADMISSION_MAX)
    return decode(general.payload, Admission, max_bytes=ADMISSION_MAX)
