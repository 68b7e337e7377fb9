"""The files of a referral as a desk sees them: attached to a step, listed with how far they are, handed out. Commands.

Nothing here opens, renders or runs a file. How parts travel is node.exchange.parts; making a picture smaller is
node.pictures, at the person's side.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, UnsetType

from node.answers import FileLine, SavedFile
from node.cases import operators, standing
from node.context import Context
from node.exchange import blobs, parts
from node.exchange.blobs import Blob
from node.exchange.log import LegRow, leg_row
from node.requests import NewFile
from node.vault import access
from protocol.attachments import SUFFIXES, check_files, check_size, plain_name, saved_name, type_of
from protocol.errors import ProtocolError
from protocol.limits import EVENT_BLOBS_MAX, EVENT_FILES_MAX
from protocol.strict import digest
from schemas.bodies import EventBody, FileRef

STATES: Final = {
    "sending": "in partenza", "confirmed": "consegnato", "unsupported": "l'altro programma non riceve allegati",
    "refused": "non accettato", "arriving": "in arrivo", "complete": "arrivato", "failed": "arrivato guasto",
}  # fmt: skip


def files_of(files: Sequence[NewFile]) -> list[FileRef] | UnsetType:
    """What an event says of the files attached to it. Raises attachment-type, attachment-too-large, bad-shape."""
    if not files:
        return UNSET
    named: dict[str, FileRef] = {}
    for file in files:
        kind = type_of(file.content[:16])
        check_size(len(file.content))
        sha = digest(file.content)
        named[sha] = FileRef(sha256=sha, size=len(file.content), type=kind, name=plain_name(file.name))
    if sum(file.size for file in named.values()) > EVENT_BLOBS_MAX or len(named) > EVENT_FILES_MAX:
        raise ProtocolError("attachment-too-large", expected=f"at most {EVENT_BLOBS_MAX} bytes")
    check_files(list(named.values()))
    return list(named.values())


def attach(tx: sqlite3.Connection, ctx: Context, leg: LegRow, body: EventBody, files: Sequence[NewFile]) -> None:
    """Keeps the files of an event just written and begins to send them."""
    if not files:
        return
    named = {file.sha256: file for file in body.files or ()}
    blobs.keep(tx, ctx, leg, [(named[sha], file.content) for file in files if (sha := digest(file.content)) in named])
    parts.fill(tx, ctx)


def listing(tx: sqlite3.Connection, ctx: Context, leg_id: str, as_: str) -> list[FileLine]:
    """The files of a referral, in order. Raises unknown-case, role-forbidden; the look is logged."""
    leg = _opened(tx, ctx, leg_id, as_, "read")
    return lines_of(tx, ctx, leg)


def lines_of(db: sqlite3.Connection, ctx: Context, leg: LegRow) -> list[FileLine]:
    """The same for who has opened the case already."""
    return [_line(db, number, one, blob) for number, (one, blob) in enumerate(_held(db, ctx, leg), 1)]


def _held(db: sqlite3.Connection, ctx: Context, leg: LegRow) -> list[tuple[blobs.Named, Blob]]:
    held = {(bool(blob.own), blob.sha256): blob for blob in blobs.blobs_of(db, leg.leg) if blob.peer == leg.peer}
    if not held:
        return []
    found = [(one, held.get((blobs.is_ours(leg, one.writer), one.file.sha256))) for one in blobs.named(db, ctx, leg)]
    return [(one, blob) for one, blob in found if blob is not None]


def _line(db: sqlite3.Connection, number: int, one: blobs.Named, blob: Blob) -> FileLine:
    done = blobs.sent(db, blob) if blob.own else len(blobs.held(db, blob))
    words = STATES.get(blob.state, blob.state)
    if blob.state in ("sending", "arriving"):
        words += f", {done} di {blob.parts} parti"
    return FileLine(
        number=number, writer=one.writer, n=one.n, name=saved_name(one.file, number), type=one.file.type,
        size=one.file.size, state=blob.state, words=words, done=done, parts=blob.parts,
    )  # fmt: skip


def save(tx: sqlite3.Connection, ctx: Context, leg_id: str, number: int, as_: str) -> SavedFile:
    """A whole file, checked once more. Raises attachment-unknown, -arriving, -type, store-damaged."""
    return _whole(tx, ctx, _opened(tx, ctx, leg_id, as_, "save"), number)


def passed_on(db: sqlite3.Connection, ctx: Context, leg: LegRow, numbers: Sequence[int]) -> list[NewFile]:
    """The files of a leg a person chose for the next office, as if attached anew. Raises as `save`."""
    chosen = [_whole(db, ctx, leg, number) for number in dict.fromkeys(numbers)]
    return [NewFile(name=file.name, content=file.content) for file in chosen]


def _whole(db: sqlite3.Connection, ctx: Context, leg: LegRow, number: int) -> SavedFile:
    held = _held(db, ctx, leg)
    if not 1 <= number <= len(held):
        raise ProtocolError("attachment-unknown", expected=f"1 to {len(held)}", got=str(number))
    one, blob = held[number - 1]
    if not blob.own and blob.state != "complete":
        raise ProtocolError("attachment-arriving", got=STATES.get(blob.state))
    content = b"".join(blobs.parts(db, ctx, blob))
    if digest(content) != one.file.sha256:
        raise ProtocolError("store-damaged", field="sealed")
    if one.file.type not in SUFFIXES or type_of(content[:16]) != one.file.type:
        raise ProtocolError("attachment-type", got=one.file.type)
    return SavedFile(saved_name(one.file, number), one.file.type, content)


def _opened(tx: sqlite3.Connection, ctx: Context, leg_id: str, as_: str, action: str) -> LegRow:
    leg = leg_row(tx, leg_id)
    if leg is None:
        raise ProtocolError("unknown-case", got=leg_id)
    operators.require(tx, as_, "read", leg_id)
    standing.may_read(tx, leg, as_)
    access.record(tx, access.Access(ctx.clock.now(), as_, action, leg.case_id, leg_id))
    return leg
