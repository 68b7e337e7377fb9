"""Attachments at rest: which files the events of a leg name, their bytes in parts under the case key. Sends nothing.

The table follows the log: `settle` makes it name exactly the files of the events that are not void. A part lies as it
travels, at most 700 KiB, sealed to its place; no file is ever held whole in memory here.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from node.context import Context
from node.exchange.log import LegRow, leg_row
from node.runtime.migrations import script
from protocol.attachments import count_of
from protocol.errors import ProtocolError
from protocol.strict import b64u_encode
from schemas.bodies import EventBody, FileRef

MIGRATIONS = (
    script(
        "exchange_002_parts",
        """
-- One file of one leg by one of its two ends; its name and who named it are in the event, under the case key.
-- own = 1: ours, `state` sending | confirmed | unsupported | refused; own = 0: the peer's, early (no event names it
-- yet, `size` is not known) | arriving | complete | failed. `key_id` is the case key its parts are sealed under.
-- tries: times what came whole was wrong, or (own) parts sent again; note: our last `got` or `missing` about it.
CREATE TABLE blob (
  id INTEGER PRIMARY KEY, leg TEXT NOT NULL, peer TEXT NOT NULL, own INTEGER NOT NULL, sha256 TEXT NOT NULL,
  size INTEGER, parts INTEGER NOT NULL, type TEXT, state TEXT NOT NULL, key_id TEXT NOT NULL,
  tries INTEGER NOT NULL DEFAULT 0, asks INTEGER NOT NULL DEFAULT 0, at INTEGER NOT NULL, moved INTEGER NOT NULL,
  note TEXT, note_done INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX blob_place ON blob (leg, peer, own, sha256);
CREATE INDEX blob_sending ON blob (peer) WHERE state = 'sending';
CREATE INDEX blob_waiting ON blob (moved) WHERE state IN ('early', 'arriving');
CREATE INDEX blob_note ON blob (note) WHERE note IS NOT NULL AND note_done = 0;

-- Its bytes: at most 700 KiB a row, sealed to leg, peer, direction, hash and number.
CREATE TABLE blob_part (blob INTEGER NOT NULL, i INTEGER NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (blob, i));

-- Parts of ours that left, by their newest sealing; one that is neither done nor in `outgoing` is sealed anew.
CREATE TABLE part_out (blob INTEGER NOT NULL, i INTEGER NOT NULL, mid TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (blob, i)) WITHOUT ROWID;
CREATE INDEX part_out_mid ON part_out (mid);
""",
    ),
)
EARLY: Final = "early|"
"""Begins the key name of parts whose referral is not here yet: its own key is made with its offer."""
_SELECT: Final = (
    "SELECT id, leg, peer, own, sha256, size, parts, type, state, key_id, tries, asks, moved, note, note_done"
    " FROM blob "
)


class Blob(NamedTuple):
    """One row of `blob`."""

    id: int
    leg: str
    peer: str
    own: int
    sha256: str
    size: int | None
    parts: int
    type: str | None
    state: str
    key_id: str
    tries: int
    asks: int
    moved: int
    note: str | None
    note_done: int

    def place(self, i: int) -> str:
        """What a part is sealed to at rest: rows cannot be exchanged."""
        return f"{self.leg}|{self.peer}|{self.own}|{self.sha256}|{i}"


class Named(NamedTuple):
    """A file as an event names it: whose event it is (S or R), its number, the file."""

    writer: str
    n: int
    file: FileRef


# -- reading


def blobs_of(db: sqlite3.Connection, leg: str) -> list[Blob]:
    """Every file of a leg, whoever named it."""
    return [Blob(*row) for row in db.execute(_SELECT + "WHERE leg = ? ORDER BY id", (leg,))]


def find(db: sqlite3.Connection, leg: str, peer: str, own: bool, sha: str) -> Blob | None:
    """One file by its place."""
    row = db.execute(
        _SELECT + "WHERE leg = ? AND peer = ? AND own = ? AND sha256 = ?", (leg, peer, own, sha)
    ).fetchone()
    return Blob(*row) if row else None


def by_id(db: sqlite3.Connection, number: int) -> Blob | None:
    """One file by the number of its row."""
    row = db.execute(_SELECT + "WHERE id = ?", (number,)).fetchone()
    return Blob(*row) if row else None


def waiting(db: sqlite3.Connection, state: str, moved_before: int) -> list[Blob]:
    """Files that stand still in `state` (early, arriving) since that moment."""
    return [
        Blob(*row) for row in db.execute(_SELECT + "WHERE state = ? AND moved <= ? ORDER BY id", (state, moved_before))
    ]


def held(db: sqlite3.Connection, blob: Blob) -> set[int]:
    """The numbers of the parts that are here."""
    return {i for (i,) in db.execute("SELECT i FROM blob_part WHERE blob = ?", (blob.id,))}


def sent(db: sqlite3.Connection, blob: Blob) -> int:
    """How many of our parts its reader has confirmed."""
    if blob.state == "confirmed":
        return blob.parts
    return int(db.execute("SELECT COUNT(*) FROM part_out WHERE blob = ? AND done", (blob.id,)).fetchone()[0])


def part(db: sqlite3.Connection, ctx: Context, blob: Blob, i: int) -> bytes:
    """One part in clear. Raises store-damaged."""
    row = db.execute("SELECT sealed FROM blob_part WHERE blob = ? AND i = ?", (blob.id, i)).fetchone()
    if row is None:
        raise ProtocolError("store-damaged", field="sealed")
    return ctx.case_keys.open(ctx.case_keys.obtain(db, blob.key_id), blob.place(i), row[0])


def parts(db: sqlite3.Connection, ctx: Context, blob: Blob) -> Iterator[bytes]:
    """All of it, part by part."""
    return (part(db, ctx, blob, i) for i in range(1, blob.parts + 1))


def is_whole(db: sqlite3.Connection, ctx: Context, blob: Blob) -> bool:
    """Whether what is here is what the event named: size and hash, read part by part."""
    hashed, size = sha256(), 0
    try:
        for raw in parts(db, ctx, blob):
            hashed.update(raw)
            size += len(raw)
    except ProtocolError:  # a row our own disk spoilt: it has to come again like one spoilt on the way
        return False
    return size == blob.size and b64u_encode(hashed.digest()) == blob.sha256


def named(db: sqlite3.Connection, ctx: Context, leg: LegRow) -> list[Named]:
    """The files of every event of a leg that is not void, in the order they were written down here."""
    rows = db.execute(
        "SELECT writer, n, jti, cm, sealed FROM event AS e WHERE leg = ?1 AND kind != 'void' AND sealed IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM event AS v WHERE v.leg = ?1 AND v.writer = e.writer AND v.n = e.n"
        " AND v.voids = e.cm) ORDER BY rowid",
        (leg.leg,),
    ).fetchall()
    if not rows:
        return []
    key = ctx.case_keys.obtain(db, leg.case_id)
    found: list[Named] = []
    for writer, n, jti, _, sealed in rows:
        raw = ctx.case_keys.open(key, f"{leg.leg}|{writer}|{n}|{jti}", sealed)[32:]
        if b'"files"' in raw:  # most events have none: their bodies are not decoded
            body = msgspec.json.decode(raw, type=EventBody)
            found += [Named(writer, n, file) for file in (body.files or ())]
    return found


def is_ours(leg: LegRow, writer: str) -> bool:
    """Whether an event of `writer` was written here; at a hand-over both logs are."""
    return leg.side in ("L", writer)


# -- writing


def keep(tx: sqlite3.Connection, ctx: Context, leg: LegRow, files: Sequence[tuple[FileRef, bytes]]) -> None:
    """Takes files of ours in, before the event that names them is written. One attached again is sent again."""
    now = ctx.clock.now()
    for file, raw in files:
        begun = "confirmed" if leg.side == "L" else "sending"
        known = find(tx, leg.leg, leg.peer, True, file.sha256)
        if known is not None:
            unconfirmed = known.state == "sending" and sent(tx, known) == known.parts
            if known.state in ("refused", "unsupported") or unconfirmed:
                tx.execute("DELETE FROM part_out WHERE blob = ?", (known.id,))
                tx.execute(
                    "UPDATE blob SET state = ?, tries = 0, asks = 0, moved = ? WHERE id = ?", (begun, now, known.id)
                )
            continue
        number = _insert(tx, leg.leg, leg.peer, 1, file, ctx.part_bytes, begun, leg.case_id, now)
        blob = by_id(tx, number)
        assert blob is not None
        for i in range(1, blob.parts + 1):
            put_part(tx, ctx, blob, i, raw[(i - 1) * ctx.part_bytes : i * ctx.part_bytes])


def _insert(
    tx: sqlite3.Connection, leg: str, peer: str, own: int, file: FileRef, size: int, state: str, key_id: str, now: int
) -> int:
    cursor = tx.execute(
        "INSERT INTO blob (leg, peer, own, sha256, size, parts, type, state, key_id, at, moved)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        (leg, peer, own, file.sha256, file.size, count_of(file.size, size), file.type, state, key_id, now, now),
    )
    return int(cursor.lastrowid or 0)


def begin_early(tx: sqlite3.Connection, leg: str, peer: str, sha: str, count: int, key_id: str, now: int) -> Blob:
    """A file whose part overtook the event that will name it."""
    cursor = tx.execute(
        "INSERT INTO blob (leg, peer, own, sha256, parts, state, key_id, at, moved) VALUES (?,?,0,?,?,'early',?,?,?)",
        (leg, peer, sha, count, key_id, now, now),
    )
    blob = by_id(tx, int(cursor.lastrowid or 0))
    assert blob is not None
    return blob


def put_part(tx: sqlite3.Connection, ctx: Context, blob: Blob, i: int, raw: bytes) -> None:
    """Seals one part to its place."""
    key = ctx.case_keys.obtain(tx, blob.key_id)
    tx.execute("INSERT INTO blob_part VALUES (?, ?, ?)", (blob.id, i, ctx.case_keys.seal(key, blob.place(i), raw)))


def settle(tx: sqlite3.Connection, ctx: Context, leg_id: str) -> list[Blob]:
    """Makes the files of a leg those its events name; returns the peer's that may be whole now.

    A file whose only event became void goes with its parts, its sealings and what came early.
    """
    leg = leg_row(tx, leg_id)
    if leg is None:
        return []
    now = ctx.clock.now()
    wanted: dict[tuple[bool, str], FileRef] = {}
    for one in named(tx, ctx, leg):
        wanted.setdefault((is_ours(leg, one.writer), one.file.sha256), one.file)
    known = {(bool(blob.own), blob.sha256): blob for blob in blobs_of(tx, leg_id) if blob.peer == leg.peer}
    for place, blob in known.items():
        if place not in wanted and blob.state != "early":
            drop(tx, blob)
    for (own, sha), file in wanted.items():
        held_blob = known.get((own, sha))
        if own:
            continue
        if held_blob is None:
            _insert(tx, leg_id, leg.peer, 0, file, ctx.part_bytes, "arriving", leg.case_id, now)
        elif held_blob.state == "early":
            _adopt(tx, ctx, held_blob, file, now)
    return [blob for blob in blobs_of(tx, leg_id) if blob.state == "arriving" and len(held(tx, blob)) == blob.parts]


def _adopt(tx: sqlite3.Connection, ctx: Context, blob: Blob, file: FileRef, now: int) -> None:
    """What came early has its event: parts counted otherwise than its size says are none of it."""
    count = count_of(file.size, ctx.part_bytes)
    if count != blob.parts:
        tx.execute("DELETE FROM blob_part WHERE blob = ?", (blob.id,))
    tx.execute(
        "UPDATE blob SET state = 'arriving', size = ?, type = ?, parts = ?, moved = ?, tries = tries + ? WHERE id = ?",
        (file.size, file.type, count, now, count != blob.parts, blob.id),
    )


def drop_early(tx: sqlite3.Connection, leg: str, peer: str) -> None:
    """What came for a step that was taken back before it arrived."""
    for blob in blobs_of(tx, leg):
        if blob.state == "early" and blob.peer == peer:
            drop(tx, blob)


def again(tx: sqlite3.Connection, blob: Blob, state: str, now: int) -> None:
    """Nothing of what is here counts: all of it has to come once more, or no longer (`failed`)."""
    tx.execute("DELETE FROM blob_part WHERE blob = ?", (blob.id,))
    tx.execute("UPDATE blob SET state = ?, tries = tries + 1, moved = ? WHERE id = ?", (state, now, blob.id))


def moved(tx: sqlite3.Connection, blob: Blob, state: str, now: int) -> None:
    """A new state, or the same and something came."""
    tx.execute("UPDATE blob SET state = ?, moved = ?, asks = 0 WHERE id = ?", (state, now, blob.id))


def stop(tx: sqlite3.Connection, blob: Blob, state: str) -> None:
    """Nothing more of it is sent; the bytes stay with the case until it is erased."""
    _unsend(tx, blob)
    tx.execute("UPDATE blob SET state = ? WHERE id = ?", (state, blob.id))


def drop(tx: sqlite3.Connection, blob: Blob) -> None:
    """The file, its parts and what of it waits to be sent."""
    _unsend(tx, blob)
    tx.execute("DELETE FROM blob_part WHERE blob = ?", (blob.id,))
    tx.execute("DELETE FROM blob WHERE id = ?", (blob.id,))
    if (
        blob.key_id.startswith(EARLY)
        and not tx.execute("SELECT 1 FROM blob WHERE key_id = ?", (blob.key_id,)).fetchone()
    ):
        tx.execute("DELETE FROM case_key WHERE case_id = ?", (blob.key_id,))


def _unsend(tx: sqlite3.Connection, blob: Blob) -> None:
    tx.execute("DELETE FROM outgoing WHERE mid IN (SELECT mid FROM part_out WHERE blob = ?)", (blob.id,))
    if blob.note is not None:
        tx.execute("DELETE FROM outgoing WHERE mid = ?", (blob.note,))
    tx.execute("DELETE FROM part_out WHERE blob = ?", (blob.id,))


def forget(tx: sqlite3.Connection, leg: str) -> int:
    """Erasure: every file of a leg, in all its places here. Returns how many there were."""
    gone = blobs_of(tx, leg)
    for blob in gone:
        drop(tx, blob)
    return len(gone)


# -- sealings


def mids_of(db: sqlite3.Connection, ctx: Context, leg: LegRow, n: int) -> list[str]:
    """The sealings of parts that event `n` of ours alone brought about: they are taken back with it."""
    ours = [one for one in named(db, ctx, leg) if is_ours(leg, one.writer)]
    kept = {one.file.sha256 for one in ours if one.n != n}
    return [
        mid
        for one in ours
        if one.n == n and one.file.sha256 not in kept
        for (mid,) in db.execute(
            "SELECT mid FROM part_out JOIN blob ON blob.id = blob WHERE leg = ? AND peer = ? AND own AND sha256 = ?",
            (leg.leg, leg.peer, one.file.sha256),
        )
    ]


def acknowledged(tx: sqlite3.Connection, mid: str, k: str, prob: str | None, now: int) -> tuple[str, Blob] | None:
    """A signed answer to a part, or to a `got` or `missing` of ours; what people have to be told, if anything."""
    if k == "stored":
        return None
    row = tx.execute("UPDATE part_out SET done = 1 WHERE mid = ? RETURNING blob", (mid,)).fetchone()
    if row is not None:
        blob = by_id(tx, row[0])
        if blob is None or blob.state != "sending":
            return None
        if k == "rejected":
            code = "unsupported" if prob == "unsupported" else "refused"
            stop(tx, blob, code)
            return f"attachment-{code}", blob
        tx.execute("UPDATE blob SET moved = ? WHERE id = ?", (now, blob.id))
        return None
    row = tx.execute("UPDATE blob SET note_done = 1 WHERE note = ? AND note_done = 0 RETURNING id", (mid,)).fetchone()
    blob = by_id(tx, row[0]) if row else None
    if blob is not None and k == "rejected" and blob.state == "arriving":
        again(tx, blob, "failed", now)  # its sender holds it no longer
        return "attachment-failed", blob
    return None
