"""`erased.list` beside the database: the legs that must stay erased after a restore. Not what erasing does.

One line a leg, appended and synced after the commit that erased it, and repaired at the next turn if the program died
between the two:

    {"leg":"0e6f…","at":1790000000}

It holds no content, no member and no person; 0600. A copy lies wherever backups go.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec

from node.context import set_setting, setting
from node.exchange.erased import TRUNCATE, listed, unlisted
from node.runtime.backup import ERASED_NAME
from node.runtime.platform import create_private, replace_private, restrict, sync_dir
from node.runtime.store import Store
from protocol.errors import ProtocolError
from schemas.bodies import Uuid


class Line(msgspec.Struct, frozen=True):
    """One erased leg and when, in Unix seconds."""

    leg: Uuid
    at: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Line).decode


def read(path: Path) -> list[tuple[str, int]]:
    """(leg, at) of the list at `path`; empty when there is none. Raises wrong-file."""
    return parse(path.read_bytes()) if path.exists() else []


def parse(text: bytes) -> list[tuple[str, int]]:
    """(leg, at) of a list, each leg once, the first time. A torn last line is what a power cut leaves.

    Raises wrong-file when any other line is not one: what was erased must not come back because nobody could read it.
    """
    found: dict[str, int] = {}
    lines = text.split(b"\n")
    for number, raw in enumerate(lines, 1):
        if not raw:
            continue
        try:
            line = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            if number == len(lines):  # no line end follows it
                break
            raise ProtocolError("wrong-file", field=ERASED_NAME, got=f"line {number}") from None
        found.setdefault(line.leg, line.at)
    return list(found.items())


def text(lines: Iterable[tuple[str, int]]) -> bytes:
    """A list as it is written, each leg once, the earliest time."""
    first: dict[str, int] = {}
    for leg, at in lines:
        first[leg] = min(at, first.get(leg, at))
    return b"".join(_encode(Line(leg, at)) + b"\n" for leg, at in sorted(first.items(), key=lambda pair: pair[::-1]))


def append(path: Path, legs: Sequence[tuple[str, int]]) -> None:
    """Adds lines and asks the disk to hold them; a torn last line is cut off first, so that it spoils no other."""
    if not path.exists():
        os.close(create_private(path))
        sync_dir(path.parent)
    restrict(path)
    with path.open("r+b") as file:
        whole = file.read()
        if not whole.endswith(b"\n"):
            file.truncate(whole.rfind(b"\n") + 1)
        file.seek(0, os.SEEK_END)
        file.write(b"".join(_encode(Line(leg, at)) + b"\n" for leg, at in legs))
        file.flush()
        os.fsync(file.fileno())


def copy(path: Path, folder: Path) -> None:
    """The whole list beside the backups, never a half; lines that only the copy has are kept."""
    target = folder / ERASED_NAME
    replace_private(target, text([*read(path), *read(target)]))


def tidy(store: Store, folder: Path, copies: Sequence[Path] = ()) -> bool:
    """What is left to do after an erasure was committed: the list, then the WAL. True when nothing is left.

    On the thread that owns the store, between two commits. While a reader still sees the old pages the WAL cannot be
    truncated: False, and the next turn tries again. Nothing is forgotten by a crash: both marks are rows.
    """
    fresh = store.read(unlisted)
    if fresh:
        append(folder / ERASED_NAME, fresh)
        for target in copies:
            copy(folder / ERASED_NAME, target)
        store.run(lambda tx: listed(tx, [leg for leg, _ in fresh]))
    if not store.read(lambda db: setting(db, TRUNCATE, "")):
        return True
    if not store.checkpoint():
        return False
    store.run(lambda tx: set_setting(tx, TRUNCATE, ""))
    return True
