"""C2SP signed notes and tlog checkpoints: the form of a log head, and what a follower accepts. No storage.

A signed checkpoint looks like this:

    raccordo/wVfR…
    12
    uZo6M+IhVna+CLgWCrJs0xBPUHbozHkYTQASduHSLME=

    — raccordo/wVfR… M9e0lrFzoTgi+ovhrqX0DpsEAp3wLu1coMLIkeCwSkGfS4Ox…
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from protocol.errors import ProtocolError
from protocol.merkle import HASH_SIZE, RightEdge
from protocol.suite import SigningKey, Suite, VerifyKey

NOTE_MAX: Final = 64 * 1024
SIGNATURES_MAX: Final = 16
SIZE_MAX: Final = 2**53 - 1
ED25519: Final = b"\x01"
KEY_ID_BYTES: Final = 4

_NAME: Final = re.compile(r"[^\s+]+")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who says to have signed, 4 bytes of key id, the signature."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A well-formed note nobody has verified. `text` ends with a newline."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A log's public key under the name it signs with."""

    name: str
    key: VerifyKey

    @property
    def key_id(self) -> bytes:
        return key_id(self.name, self.key.raw)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log head: origin (name of the log), number of leaves, root hash; `extensions` are kept as they came."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


def origin(net: str) -> str:
    """The name of a network's log: the origin of its checkpoints and the name of its key."""
    return f"raccordo/{net}"


def key_id(name: str, public: bytes) -> bytes:
    """The first 4 bytes of SHA-256(name ‖ newline ‖ 0x01 ‖ public key)."""
    return sha256(name.encode() + b"\n" + ED25519 + public).digest()[:KEY_ID_BYTES]


def format_key(key: NoteKey) -> str:
    """The printed form of a verifier key: name+keyid+base64(0x01 ‖ public key)."""
    return f"{key.name}+{key.key_id.hex()}+{b64encode(ED25519 + key.key.raw).decode()}"


def parse_key(text: str, suite: Suite) -> NoteKey:
    """Raises bad-key."""
    name, _, rest = text.partition("+")
    stated, _, encoded = rest.partition("+")
    raw = _unbase(encoded, "bad-key")
    if not _NAME.fullmatch(name) or len(raw) != 33 or raw[:1] != ED25519 or stated != key_id(name, raw[1:]).hex():
        raise ProtocolError("bad-key", field="note key")
    return NoteKey(name, suite.verify_key(raw[1:]))


def parse_note(raw: bytes) -> Note:
    """A note in its only form: format_note(parse_note(raw)) == raw. Verifies nothing. Raises bad-checkpoint."""
    if len(raw) > NOTE_MAX:
        raise ProtocolError("bad-checkpoint", expected=f"at most {NOTE_MAX} bytes")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("bad-checkpoint", expected="UTF-8") from None
    text, gap, tail = whole.rpartition("\n\n")
    if not gap or not text or not tail.endswith("\n") or _CONTROL.search(whole):
        raise ProtocolError("bad-checkpoint", expected="text, empty line, signatures")
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise ProtocolError("bad-checkpoint", expected=f"at most {SIGNATURES_MAX} signatures")
    return Note(text + "\n", tuple(_signature(line) for line in lines))


def _signature(line: str) -> NoteSignature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    raw = _unbase(encoded, "bad-checkpoint")
    if dash != "—" or not _NAME.fullmatch(name) or len(raw) <= KEY_ID_BYTES:
        raise ProtocolError("bad-checkpoint", field="signature line")
    return NoteSignature(name, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])


def _unbase(text: str, code: str) -> bytes:
    try:
        raw = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise ProtocolError(code, expected="base64") from None
    if b64encode(raw).decode() != text:
        raise ProtocolError(code, expected="canonical base64")
    return raw


def format_note(note: Note) -> bytes:
    lines = "".join(f"— {s.name} {b64encode(s.key_id + s.signature).decode()}\n" for s in note.signatures)
    return f"{note.text}\n{lines}".encode()


def sign_note(text: str, signers: Sequence[tuple[str, SigningKey]]) -> bytes:
    """The note with one signature by each (name, key). Raises bad-checkpoint when `text` cannot be a note."""
    signatures = (NoteSignature(name, key_id(name, key.public), key.sign(text.encode())) for name, key in signers)
    raw = format_note(Note(text, tuple(signatures)))
    parse_note(raw)
    return raw


def verify_note(raw: bytes, keys: Sequence[NoteKey]) -> str:
    """The text, when at least one of `keys` signed it and none of them signed badly; other signers are ignored.

    Raises bad-checkpoint.
    """
    note = parse_note(raw)
    known = {(key.name, key.key_id): key.key for key in keys}
    verified = 0
    for signature in note.signatures:
        if key := known.get((signature.name, signature.key_id)):
            try:
                key.verify(signature.signature, note.text.encode())
            except ProtocolError:
                raise ProtocolError("bad-checkpoint", field="signature") from None
            verified += 1
    if not verified:
        raise ProtocolError("bad-checkpoint", expected="a signature by the log's key")
    return note.text


def format_checkpoint(checkpoint: Checkpoint) -> str:
    lines = [checkpoint.origin, str(checkpoint.size), b64encode(checkpoint.root).decode(), *checkpoint.extensions]
    return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """The body of a note in its only form. Raises bad-checkpoint."""
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise ProtocolError("bad-checkpoint", expected="origin, size, root")
    name, size, encoded, *extensions = lines[:-1]
    root = _unbase(encoded, "bad-checkpoint")
    if not _SIZE.fullmatch(size) or int(size) > SIZE_MAX or len(root) != HASH_SIZE:
        raise ProtocolError("bad-checkpoint", field="size or root")
    return Checkpoint(name, int(size), root, tuple(extensions))


def sign_head(head: Checkpoint, key: SigningKey) -> bytes:
    """A head as the registry signs it: the key's name is the origin."""
    return sign_note(format_checkpoint(head), [(head.origin, key)])


def verify_head(raw: bytes, key: NoteKey) -> Checkpoint:
    """The head of the log whose name and key these are. Raises bad-checkpoint."""
    head = parse_checkpoint(verify_note(raw, [key]))
    if head.origin != key.name:
        raise ProtocolError("bad-checkpoint", field="origin")
    return head


def follow(edge: RightEdge, leaf_hashes: Iterable[bytes], head: Checkpoint) -> RightEdge:
    """The edge after the leaves that lead from `edge` (recomputed and believed) to a verified `head`.

    Raises log-rollback when the head is smaller than what is held, log-moved when the leaves stop short of it,
    log-fork when they lead elsewhere: then the caller keeps both notes as proof.
    """
    if head.size < edge.size:
        raise ProtocolError("log-rollback", expected=f"at least {edge.size} leaves", got=f"{head.size} leaves")
    grown = edge.extend(leaf_hashes)
    if grown.size < head.size:
        raise ProtocolError("log-moved", expected=f"{head.size} leaves", got=f"{grown.size} leaves")
    if grown.size > head.size or grown.root() != head.root:
        raise ProtocolError("log-fork", got=f"{head.size} leaves")
    return grown
