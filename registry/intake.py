"""Catalogues taken in: a post is checked outside the transaction, then logged, kept and folded into the map.

The rules are protocol.publications. A post answered `missing` leaves only checked records that wait for the rest.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from node.map import tables as map_tables
from node.map.fold import PublicationSeen, Source, Withdrawal
from protocol import publications
from protocol.errors import ProtocolError
from protocol.limits import DAY, MIB
from protocol.members import Membership
from protocol.publications import Held, Record, SignedPublication
from protocol.strict import decode
from registry import objects
from registry.board import Board, Published
from registry.expiry import Term
from registry.quota import spend
from schemas.catalogue import CatalogueAnswer, CatalogueBundle, CataloguePost

POST_MAX: Final = 8 * MIB
STAGED_MAX: Final = 64 * MIB
"""Bytes of records one member may have waiting for the rest of their snapshot."""


class Posted(NamedTuple):
    """A verified post. `seq` is set when this very publication is in force already; `missing`: still to be sent."""

    signed: SignedPublication
    manifest: tuple[str, ...]
    records: tuple[Record, ...]
    missing: tuple[str, ...]
    size: int
    against: str
    seq: int | None = None


def prepare(db: sqlite3.Connection, raw: bytes, membership: Membership, now: int) -> Posted:
    """Everything that can be checked beforehand. Raises what protocol.publications raises."""
    post = decode(raw, CataloguePost, max_bytes=POST_MAX)
    claimed = publications.read_known(post.publication)
    publication = claimed.publication
    manifest = tuple(post.manifest)
    chain = (publication.node, publication.vis)
    row = db.execute("SELECT hash, seq FROM catalogue WHERE node = ? AND vis = ?", chain).fetchone()
    if row is not None and row[0] == claimed.digest:  # whatever has become of its key: its answer was lost
        return Posted(claimed, manifest, (), (), len(raw), membership.digest, row[1])
    signed = publications.check_publication(post.publication, manifest, membership, held(db, *chain), now)
    known = dict(db.execute("SELECT leaf, id FROM record_use WHERE node = ? AND vis = ?", chain))
    waiting = dict(db.execute("SELECT leaf, line FROM staged WHERE node = ? AND vis = ?", chain))
    wanted = set(manifest)
    if stray := post.records.keys() - wanted:  # else they would wait with the rest of an incomplete snapshot
        raise ProtocolError("catalogue-root", field="records", expected="records of the manifest", got=str(len(stray)))
    sent = {leaf: line for leaf, line in waiting.items() if leaf in wanted and leaf not in known} | post.records
    missing = publications.missing(manifest, known.keys(), sent.keys())
    if missing:
        records = [_checked(leaf, line, signed) for leaf, line in post.records.items()]
    else:
        records = publications.check_records(publication, manifest, sent, known.get, lambda id_: owner(db, id_))
    return Posted(signed, manifest, tuple(records), tuple(missing), len(raw), membership.digest)


def _checked(leaf: str, line: str, signed: SignedPublication) -> Record:
    if publications.leaf_hash(line) != leaf:
        raise ProtocolError("catalogue-root", field="records", expected=leaf)
    return publications.read_record(line, signed.publication.vis)


def held(db: sqlite3.Connection, node: str, vis: str) -> Held | None:
    """The newest publication of a chain."""
    row = db.execute("SELECT rev, hash FROM catalogue WHERE node = ? AND vis = ?", (node, vis)).fetchone()
    return Held(row[0], row[1]) if row else None


def owner(db: sqlite3.Connection, id_: str) -> str | None:
    """The member that first logged an id."""
    row = db.execute("SELECT node FROM record_owner WHERE id = ?", (id_,)).fetchone()
    return str(row[0]) if row else None


def take(tx: sqlite3.Connection, board: Board, posted: Posted) -> CatalogueAnswer:
    """Log, objects, map in one transaction. Raises what changed meanwhile makes of it, and too-many."""
    if posted.seq is not None:
        return CatalogueAnswer(accepted=True, seq=posted.seq)
    now, publication = board.clock.now(), posted.signed.publication
    _check_again(tx, board, posted, now)
    spend(tx, publication.node, "publications", 1, now)
    spend(tx, publication.node, "catalogue bytes", posted.size, now)
    if posted.missing:
        _stage(tx, posted, now)
        return CatalogueAnswer(accepted=False, missing=list(posted.missing))
    _own(tx, publication.node, posted.records)
    seq = _log(tx, board, posted)
    _replace(tx, posted, seq, now)
    board.seal(tx, now)
    return CatalogueAnswer(accepted=True, seq=seq)


def _check_again(tx: sqlite3.Connection, board: Board, posted: Posted, now: int) -> None:
    """Another post, a suspension or a new key may have come between."""
    membership, publication = board.membership(tx), posted.signed.publication
    current = held(tx, publication.node, publication.vis)
    if membership.digest == posted.against:
        publications.check_next(posted.signed, current)
    else:
        publications.check_publication(posted.signed.text, posted.manifest, membership, current, now)


def _stage(tx: sqlite3.Connection, posted: Posted, now: int) -> None:
    node, vis = posted.signed.publication.node, posted.signed.publication.vis
    tx.executemany(
        "INSERT OR IGNORE INTO staged (node, vis, leaf, line, at) VALUES (?, ?, ?, ?, ?)",
        ((node, vis, record.leaf, record.line, now) for record in posted.records),
    )
    (size,) = tx.execute("SELECT COALESCE(SUM(LENGTH(line)), 0) FROM staged WHERE node = ?", (node,)).fetchone()
    if size > STAGED_MAX:
        raise ProtocolError("too-many", field="records", expected=f"at most {STAGED_MAX} bytes waiting", after=DAY)


def forget_staged(tx: sqlite3.Connection, now: int) -> None:
    """Records whose snapshot was never completed."""
    tx.execute("DELETE FROM staged WHERE at < ?", (now - DAY,))


def _own(tx: sqlite3.Connection, node: str, records: Sequence[Record]) -> None:
    tx.executemany("INSERT OR IGNORE INTO record_owner (id, node) VALUES (?, ?)", ((r.id, node) for r in records))
    for record in records:
        if owner(tx, record.id) != node:
            raise ProtocolError("catalogue-id-not-yours", field="id", got=record.id)


def _log(tx: sqlite3.Connection, board: Board, posted: Posted) -> int:
    publication = posted.signed.publication
    for record in posted.records:
        objects.put(tx, record.leaf, publication.vis, publication.node, record.line.encode(), "catalogue")
    bundle = CatalogueBundle(publication=posted.signed.text, manifest=list(posted.manifest))
    raw = msgspec.json.encode(bundle)
    leaf = Published(publication.vis, posted.signed.digest, publication.node, publication.rev, raw, publication.vis)
    return board.publish(tx, [leaf])[0]


def _replace(tx: sqlite3.Connection, posted: Posted, seq: int, now: int) -> None:
    """The new snapshot stands where the old one stood; what only the old one named is superseded."""
    publication = posted.signed.publication
    chain = (publication.node, publication.vis)
    before = held(tx, *chain)
    old = dict(tx.execute("SELECT leaf, id FROM record_use WHERE node = ? AND vis = ?", chain))
    fresh = {record.leaf: record.id for record in posted.records}
    gone = old.keys() - set(posted.manifest)
    drop = [(*chain, leaf) for leaf in gone]
    tx.executemany("DELETE FROM record_use WHERE node = ? AND vis = ? AND leaf = ?", drop)
    tx.executemany("INSERT OR IGNORE INTO record_use (node, vis, leaf, id) VALUES (?, ?, ?, ?)",
                   ((*chain, leaf, id_) for leaf, id_ in fresh.items()))  # fmt: skip
    for leaf in gone:
        if tx.execute("SELECT 1 FROM record_use WHERE leaf = ?", (leaf,)).fetchone() is None:
            objects.supersede(tx, leaf, now)
    if before is not None:
        objects.supersede(tx, before.digest, now)
    tx.execute(
        "INSERT OR REPLACE INTO catalogue (node, vis, rev, hash, exp, seq) VALUES (?, ?, ?, ?, ?, ?)",
        (*chain, publication.rev, posted.signed.digest, publication.exp, seq),
    )
    tx.execute("DELETE FROM staged WHERE node = ? AND vis = ?", chain)
    lines = {record.leaf: record.line.encode() for record in posted.records}
    source = Source(seq, publication.rev, publication.at, posted.signed.digest)
    map_tables.apply(tx, PublicationSeen(publication.node, publication.vis, source, posted.manifest, lines))


# -- afterwards


def withdraw(tx: sqlite3.Connection, board: Board, hash_: str) -> int:
    """Drops a member's record or snapshot at once, here and, by the logged order, at every follower.

    Returns the index of its leaf. Raises not-found, forbidden (what the network itself stands on).
    """
    node = objects.withdraw(tx, hash_, board.clock.now())
    tx.execute("DELETE FROM record_use WHERE leaf = ?", (hash_,))
    (seq,) = board.record(tx, [Published("withdraw-object", hash_, node, 0, b"")])
    map_tables.apply(tx, Withdrawal(node, hash_))
    board.seal(tx, board.clock.now())
    return seq


def terms(db: sqlite3.Connection) -> list[Term]:
    """When the publications of active members end."""
    rows = db.execute(
        "SELECT c.node, c.exp FROM catalogue c JOIN member m USING (node) WHERE m.status = 'active' ORDER BY c.node"
    )
    return [Term("publication", node, exp) for node, exp in rows]
