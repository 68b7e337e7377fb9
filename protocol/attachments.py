"""The rules of attachments: how a file is cut, which files an event may name, what a file is. No I/O, no image work.

A file's type is told by its first bytes, never by its name. Only what an office needs and can look at travels: PDF,
JPEG, PNG.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import UNSET

from protocol.errors import ProtocolError
from protocol.limits import BLOB_MAX, EVENT_BLOBS_MAX, EVENT_FILES_MAX, PART_MAX
from protocol.strict import b64u_decode
from schemas.bodies import FileRef, PartBody

SUFFIXES: Final[Mapping[str, str]] = {"application/pdf": ".pdf", "image/jpeg": ".jpg", "image/png": ".png"}
"""The types that travel, each with the ending it is saved under."""
IMAGES: Final = frozenset({"image/jpeg", "image/png"})
NAME_MAX: Final = 120

_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"%PDF-", "application/pdf"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
)
_KNOWN_OTHERS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"II*\0", "TIFF"), (b"MM\0*", "TIFF"), (b"II+\0", "TIFF"), (b"GIF8", "GIF"), (b"BM", "BMP"),
    (b"PK\x03\x04", "ZIP, DOCX"),
    (b"\xd0\xcf\x11\xe0", "DOC"), (b"{\\rtf", "RTF"), (b"MZ", "EXE"), (b"\x7fELF", "EXE"), (b"#!", "EXE"),
)  # fmt: skip
_NOT_IN_NAMES: Final = frozenset('/\\:*?"<>|')
_WINDOWS_DEVICES: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(1, 10))}
)


def count_of(size: int, part: int = PART_MAX) -> int:
    """Into how many parts a file of `size` bytes is cut; all but the last hold `part` bytes."""
    return -(-size // part)


def read_part(body: PartBody, part: int = PART_MAX) -> bytes:
    """The raw bytes of a part. Raises bad-body: beyond the count, empty, too long, too short for one not the last."""
    try:
        raw = b64u_decode(body.data)
    except ProtocolError:
        raise ProtocolError("bad-body", field="data", expected="base64url") from None
    i, of = body.i, body.of
    if not 1 <= i <= of or of > count_of(BLOB_MAX, PART_MAX):
        raise ProtocolError("bad-body", field="i", expected=f"1 to {of}", got=str(i))
    if not raw or len(raw) > part or (i < of and len(raw) != part):
        raise ProtocolError("bad-body", field="data", expected=f"{part} bytes", got=f"{len(raw)} bytes")
    return raw


def check_files(files: Sequence[FileRef]) -> None:
    """What one event names, each once and together at most 20 MiB. Raises bad-body."""
    if len(files) > EVENT_FILES_MAX or sum(file.size for file in files) > EVENT_BLOBS_MAX:
        raise ProtocolError("bad-body", field="files", expected=f"at most {EVENT_BLOBS_MAX} bytes")
    if len({file.sha256 for file in files}) != len(files):
        raise ProtocolError("bad-body", field="files", expected="each once")


def type_of(head: bytes) -> str:
    """The media type of what may travel, by its first bytes. Raises attachment-type naming what it is."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc", b"avif"):
        raise ProtocolError("attachment-type", got="HEIC")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        raise ProtocolError("attachment-type", got="WEBP")
    got = next((name for magic, name in _KNOWN_OTHERS if head.startswith(magic)), None)
    raise ProtocolError("attachment-type", got=got)


def check_size(size: int) -> None:
    """One file. Raises attachment-too-large, bad-shape for an empty one."""
    if not size:
        raise ProtocolError("bad-shape", field="attach", expected="at least 1")
    if size > BLOB_MAX:
        raise ProtocolError("attachment-too-large", expected=f"at most {BLOB_MAX} bytes", got=f"{size} bytes")


def plain_name(text: str) -> str:
    """A file's name as it may travel: its last element, without what a name must not hold; never empty."""
    last = text.replace("\\", "/").rpartition("/")[2]
    kept = "".join(
        char
        for char in unicodedata.normalize("NFC", last)
        if char not in _NOT_IN_NAMES and (char == " " or not unicodedata.category(char).startswith(("C", "Z")))
    ).strip(" .")
    if len(kept) > NAME_MAX:
        stem, dot, end = kept.rpartition(".")
        kept = stem[: NAME_MAX - len(end) - 1] + dot + end if dot and len(end) < 10 else kept[:NAME_MAX]
    return kept or "allegato"


def saved_name(file: FileRef, number: int) -> str:
    """What a received file is called on our disk: what its sender called it, made safe, with the ending of its type."""
    ending = SUFFIXES.get(file.type, ".bin")
    stem = plain_name(file.name if file.name is not UNSET else f"allegato-{number}")
    for known in (ending, ".jpeg"):
        if stem.lower().endswith(known) and (known == ending or ending == ".jpg"):
            stem = stem[: -len(known)]
    stem = stem.strip(" .") or f"allegato-{number}"
    if stem.split(".")[0].lower() in _WINDOWS_DEVICES or stem.startswith("-"):
        stem = f"allegato-{stem.lstrip('-')}"
    return stem + ending
