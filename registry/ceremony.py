"""The offline side of the root: guarantor keys, their sheets to print, drafts and signatures. No store, no clock.

A guarantor's key is one file on a stick and one sheet of paper; neither belongs on the server. A key file looks like
this (mode 0600; `sealed` replaces `seed` when there is a passphrase):

{"v":1,"kind":"raccordo-guarantor","name":"Ente capofila","x":"11qY…","seed":"b64…"}

A draft is the payload of a root, as JSON. Each guarantor signs it where their key is; the signatures are joined on the
server, in as many sittings as it takes.
"""

from base64 import b32decode, b32encode
from binascii import Error as Base32Error
from collections.abc import Sequence
from hashlib import scrypt, sha256
from typing import Final, NamedTuple
from unicodedata import normalize

import msgspec
from msgspec import UNSET

from protocol.errors import ProtocolError
from protocol.jcs import Json, write
from protocol.jws import ROOT, merge_general, parse_general, sign_general
from protocol.limits import ROOT_MAX
from protocol.strict import b64u_decode, b64u_encode, decode
from protocol.suite import SigningKey, Suite
from schemas.membership import Guarantor, Pinned, Policy, Root

KIND: Final = "raccordo-guarantor"
KEY_FILE_MAX: Final = 4096
PILOT_MARK: Final = "RETE PILOTA"
PILOT_NAME: Final = "Garante unico (rete pilota)"
MONTH: Final = 2_629_746  # a twelfth of the Gregorian mean year, in seconds

_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 15, 8, 3
_LABEL: Final = b"raccordo/guarantor/v1"
_LINE_BYTES, _CHECK_BYTES = 8, 2  # 10 bytes are 16 characters of Base32: four groups of four
_MISREAD: Final = str.maketrans({"0": "O", "1": "I", "8": "B"})


class _Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    salt: str
    nonce: str
    data: str


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    v: int
    kind: str
    name: str
    x: str
    seed: str | None = None
    sealed: _Sealed | None = None


class PublicFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a guarantor gives to the capofila: {"name":"Distretto","x":"d75a…"}."""

    name: str
    x: str


class GuarantorKey(NamedTuple):
    """A private key of the threshold and the name of the body that keeps it."""

    name: str
    seed: bytes
    key: SigningKey

    @property
    def public(self) -> PublicFile:
        return PublicFile(self.name, b64u_encode(self.key.public))


def guarantor_key(name: str, seed: bytes, suite: Suite) -> GuarantorKey:
    """From 32 random bytes."""
    return GuarantorKey(name, seed, suite.signing_key(seed))


def as_guarantor(key: GuarantorKey) -> Guarantor:
    """Its public half as roots list it."""
    return Guarantor(key.public.x, key.name)


# -- key files


def write_key(key: GuarantorKey, passphrase: str | None = None, *, salt: bytes = b"", nonce: bytes = b"") -> bytes:
    """The key file; with a passphrase, 16 bytes of `salt` and 12 of `nonce` are needed."""
    head: dict[str, Json] = {"v": 1, "kind": KIND, "name": key.name, "x": b64u_encode(key.key.public)}
    if passphrase is None:
        return write({**head, "seed": b64u_encode(key.seed)}) + b"\n"
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    data = AESGCM(_stretch(passphrase, salt)).encrypt(nonce, key.seed, _LABEL)
    sealed = {"salt": b64u_encode(salt), "nonce": b64u_encode(nonce), "data": b64u_encode(data)}
    return write({**head, "sealed": sealed}) + b"\n"


def read_key(raw: bytes, suite: Suite, passphrase: str | None = None) -> GuarantorKey:
    """Raises keys-damaged, bad-passphrase; bad-key when the seed is not that of `x`."""
    try:
        file = decode(raw, _KeyFile, max_bytes=KEY_FILE_MAX)
    except ProtocolError as error:
        raise ProtocolError("keys-damaged", field=error.field) from None
    if file.kind != KIND or file.v != 1 or (file.seed is None) == (file.sealed is None):
        raise ProtocolError("keys-damaged", field="kind")
    seed = b64u_decode(file.seed, field="seed") if file.seed is not None else _unseal(file.sealed, passphrase)
    key = guarantor_key(file.name, seed, suite)
    if key.public.x != file.x:
        raise ProtocolError("bad-key", field="x", expected="the public half of the seed")
    return key


def is_key_file(raw: bytes) -> bool:
    """Does this look like a guarantor's private key? (Such a file on the server is a fault that doctor reports.)"""
    try:
        return decode(raw, _KeyFile, max_bytes=KEY_FILE_MAX).kind == KIND
    except ProtocolError:
        return False


def _unseal(sealed: _Sealed | None, passphrase: str | None) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if sealed is None or passphrase is None:
        raise ProtocolError("bad-passphrase", expected="a passphrase")
    salt, nonce, data = (b64u_decode(part) for part in (sealed.salt, sealed.nonce, sealed.data))
    try:
        return AESGCM(_stretch(passphrase, salt)).decrypt(nonce, data, _LABEL)
    except (InvalidTag, ValueError):
        raise ProtocolError("bad-passphrase") from None


def _stretch(passphrase: str, salt: bytes) -> bytes:
    secret = normalize("NFC", passphrase).encode()
    return scrypt(secret, salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P, maxmem=1 << 26, dklen=32)


# -- the sheet


def seed_lines(seed: bytes) -> list[str]:
    """32 bytes as four lines to type again: 8 bytes and 2 of checksum each, in Base32 (no 0, 1, 8)."""
    parts = [seed[i : i + _LINE_BYTES] for i in range(0, len(seed), _LINE_BYTES)]
    return [_grouped(b32encode(part + _check(n, part)).decode()) for n, part in enumerate(parts, 1)]


def parse_seed(lines: Sequence[str]) -> bytes:
    """The seed behind typed lines; spaces, hyphens, case and 0/O, 1/I, 8/B do not matter. bad-key names the line."""
    if len(lines) != 4:
        raise ProtocolError("bad-key", field="lines", expected="4 lines", got=f"{len(lines)} lines")
    return b"".join(_typed_line(n, text) for n, text in enumerate(lines, 1))


def _typed_line(n: int, text: str) -> bytes:
    letters = "".join(text.upper().replace("-", " ").split()).translate(_MISREAD)
    try:
        raw = b32decode(letters)
    except (Base32Error, ValueError):
        raise ProtocolError("bad-key", field=f"line {n}", expected="16 letters and digits") from None
    part, check = raw[:_LINE_BYTES], raw[_LINE_BYTES:]
    if len(raw) != _LINE_BYTES + _CHECK_BYTES or check != _check(n, part):
        raise ProtocolError("bad-key", field=f"line {n}", expected="another reading of this line")
    return part


def _check(n: int, part: bytes) -> bytes:
    return sha256(b"raccordo/sheet/v1\0" + bytes([n]) + part).digest()[:_CHECK_BYTES]


def _grouped(text: str) -> str:
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4))


# -- drafts and signatures


class RootPlan(NamedTuple):
    """What the network decides about its root."""

    name: str
    guarantors: tuple[Guarantor, ...]
    threshold: int
    admission_threshold: int
    pilot: bool = False
    policy: Policy = Policy()


def draft_root(
    plan: RootPlan, *, n: int, online: str, log: str, now: int, net: str | None = None, vouches: Sequence[str] = ()
) -> bytes:
    """The payload that the guarantors sign. Raises bad-shape; whether keys are sound is for whoever installs it."""
    _check_plan(plan)
    root = Root(
        v=1, n=n, name=plan.name, threshold=plan.threshold, admission_threshold=plan.admission_threshold,
        guarantors=list(plan.guarantors), online=Pinned(online), log=Pinned(log), pilot=plan.pilot, policy=plan.policy,
        iat=now, exp=now + plan.policy.root_months * MONTH, net=net if net is not None else UNSET,
        vouches=sorted(vouches),
    )  # fmt: skip
    return write(msgspec.to_builtins(root))


def _check_plan(plan: RootPlan) -> None:
    keys = {b64u_decode(one.x, field="guarantors") for one in plan.guarantors}
    if len(keys) != len(plan.guarantors) or not keys:
        raise ProtocolError("bad-shape", field="guarantors", expected="one key for each guarantor")
    for field, value in (("threshold", plan.threshold), ("admission_threshold", plan.admission_threshold)):
        if not 1 <= value <= len(keys):
            raise ProtocolError("bad-shape", field=field, expected=f"1 to {len(keys)}", got=str(value))
    if not plan.pilot and len(keys) > 1 and plan.threshold < 2:
        raise ProtocolError("bad-shape", field="threshold", expected="at least 2: no guarantor changes the root alone")


def sign_root(payload: bytes, keys: Sequence[GuarantorKey]) -> bytes:
    """One sitting: the signatures of the keys present."""
    return sign_general([key.key for key in keys], ROOT, payload)


def join_root(parts: Sequence[bytes]) -> bytes:
    """The signatures of several sittings over one payload, together; what they are worth is for protocol.roots."""
    return merge_general(parts, ROOT, max_bytes=ROOT_MAX)


def root_payload(raw: bytes) -> bytes:
    """The payload of a draft (JSON) or of a signature file (General JSON): both begin with a brace."""
    try:
        return parse_general(raw, ROOT, max_bytes=ROOT_MAX).payload
    except ProtocolError:
        decode(raw, Root, max_bytes=ROOT_MAX)
        return raw.rstrip(b"\n")
