"""Following the board's log: a verified copy, what is still to be fetched, the map it makes. No network, no clock.

    page = prepare_page(raw, held(db), root)          # pure: signature, tree, or HeadConflictError with both notes
    apply_page(tx, page)                              # the leaves are ours
    for want in wanted(db, membership):               # the shell fetches /v1/object/{want.hash} …
        checked = prepare_object(db, want, raw, membership)
        accept_objects(tx, [checked, …], membership)  # … and the map changes when a snapshot is complete
    settle(tx, membership)                            # after a page, and after a newer members document
Only the newest snapshot of each chain is fetched, so a rebuild costs what the map costs, not what its history did.
Roots and members documents are kept by node.runtime.trust; here they are only found again in the log.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from node.map import tables
from node.map.fold import PublicationSeen, Source, Withdrawal
from node.map.standing import apply_membership
from node.runtime.migrations import script
from protocol import jws, publications
from protocol.errors import ProtocolError
from protocol.limits import MIB, RECORD_MAX
from protocol.members import Membership
from protocol.merkle import RightEdge, leaf
from protocol.notes import Checkpoint, follow, verify_head
from protocol.roots import TrustedRoot
from protocol.strict import decode
from schemas.catalogue import CatalogueBundle, LogEntry, LogPage, Publication, Visibility

PAGE_MAX: Final = 8 * MIB
BUNDLE_MAX: Final = MIB
LINE_MAX: Final = 1024
Kind = Literal["bundle", "record"]
_CHAINS: Final = ("public", "network")

MIGRATIONS = (
    script(
        "follow-001-log",
        """
CREATE TABLE follow_state (one INTEGER PRIMARY KEY CHECK (one = 1), edge BLOB NOT NULL, note TEXT NOT NULL) STRICT;
INSERT INTO follow_state VALUES (1, zeroblob(8), '');
CREATE TABLE follow_leaf (
  seq INTEGER PRIMARY KEY, type TEXT NOT NULL, hash TEXT NOT NULL, node TEXT NOT NULL, ver INTEGER NOT NULL,
  line TEXT NOT NULL
) STRICT;
CREATE INDEX follow_leaf_node ON follow_leaf (node, type, ver);
-- The newest snapshot of each chain; `applied` 1: it is on the map.
CREATE TABLE follow_chain (
  node TEXT NOT NULL, vis TEXT NOT NULL, seq INTEGER NOT NULL, rev INTEGER NOT NULL, hash TEXT NOT NULL,
  bundle BLOB, applied INTEGER NOT NULL, fault TEXT, PRIMARY KEY (node, vis)
) STRICT, WITHOUT ROWID;
-- Checked records that wait for the rest of their snapshot.
CREATE TABLE follow_record (
  node TEXT NOT NULL, vis TEXT NOT NULL, leaf TEXT NOT NULL, id TEXT NOT NULL, line BLOB NOT NULL,
  PRIMARY KEY (node, vis, leaf)
) STRICT, WITHOUT ROWID;
-- Two notes that cannot both be true: what was held, what was shown.
CREATE TABLE follow_proof (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, code TEXT NOT NULL, held TEXT NOT NULL, shown TEXT NOT NULL,
  UNIQUE (held, shown)
) STRICT;
""",
    ),
)


class HeldHead(NamedTuple):
    """Our copy of the log: the right edge of its tree and the note that signs it ("" before the first)."""

    edge: RightEdge
    note: str


class Page(NamedTuple):
    """A verified page: the leaves that lead from size `start` to the signed head."""

    start: int
    edge: RightEdge
    note: str
    leaves: tuple[tuple[str, LogEntry], ...]


class Want(NamedTuple):
    """An object to fetch: the snapshot of a chain, or a record line of it."""

    hash: str
    kind: Kind
    node: str
    vis: Visibility


class Checked(NamedTuple):
    """A fetched object that is what was wanted. `id` of a record; "" for a bundle."""

    want: Want
    raw: bytes
    id: str


class HeadConflictError(ProtocolError):
    """log-rollback or log-fork: keep both notes with `keep_proof`."""

    def __init__(self, code: str, held: str, shown: str) -> None:
        super().__init__(code)
        self.held = held
        self.shown = shown


# -- the log


def held(db: sqlite3.Connection) -> HeldHead:
    """Where we are."""
    edge, note = db.execute("SELECT edge, note FROM follow_state").fetchone()
    return HeldHead(RightEdge.from_bytes(edge), note)


def prepare_page(raw: bytes, ours: HeldHead, root: TrustedRoot) -> Page:
    """Pure. Raises HeadConflictError, bad-checkpoint, log-moved (a page that starts elsewhere), bad-shape."""
    page = decode(raw, LogPage, max_bytes=PAGE_MAX)
    shown = verify_head(page.note.encode(), root.log)
    if page.after != ours.edge.size and shown.size >= ours.edge.size:
        raise ProtocolError("log-moved", field="after", expected=str(ours.edge.size), got=str(page.after))
    if page.size != shown.size:
        raise ProtocolError("bad-checkpoint", field="size")
    leaves = tuple((text, decode(text.encode(), LogEntry, max_bytes=LINE_MAX)) for text in page.entries)
    try:
        edge = follow(ours.edge, (leaf(text.encode()) for text, _ in leaves), shown)
    except ProtocolError as error:
        if error.code in ("log-rollback", "log-fork"):
            raise HeadConflictError(error.code, ours.note, page.note) from None
        raise
    return Page(ours.edge.size, edge, page.note, leaves)


def apply_page(tx: sqlite3.Connection, page: Page) -> int:
    """Keeps the leaves and finds what is new in them; how many. Raises log-moved when we are elsewhere by now."""
    swapped = tx.execute(
        "UPDATE follow_state SET edge = ?, note = ? WHERE edge = ?",
        (page.edge.to_bytes(), page.note, held(tx).edge.to_bytes() if _size(tx) == page.start else b""),
    )
    if swapped.rowcount != 1:
        raise ProtocolError("log-moved", expected=str(page.start), got=str(_size(tx)))
    for seq, (text, entry) in enumerate(page.leaves, page.start):
        tx.execute(
            "INSERT INTO follow_leaf (seq, type, hash, node, ver, line) VALUES (?, ?, ?, ?, ?, ?)",
            (seq, entry.type, entry.hash, entry.node, entry.ver, text),
        )
        if entry.type in _CHAINS:
            _newer(tx, seq, entry)
        elif entry.type == "withdraw-object":
            _withdraw(tx, entry)
    return len(page.leaves)


def _size(db: sqlite3.Connection) -> int:
    return held(db).edge.size


def _newer(tx: sqlite3.Connection, seq: int, entry: LogEntry) -> None:
    """The chain has a newer snapshot. Revisions rise by one: a leaf that breaks that is a fault and changes nothing."""
    row = tx.execute("SELECT rev FROM follow_chain WHERE node = ? AND vis = ?", (entry.node, entry.type)).fetchone()
    if entry.ver != (row[0] if row else 0) + 1:
        tx.execute(
            "UPDATE follow_chain SET fault = 'catalogue-too-old' WHERE node = ? AND vis = ?", (entry.node, entry.type)
        )
        return
    tx.execute(
        "INSERT OR REPLACE INTO follow_chain (node, vis, seq, rev, hash, bundle, applied, fault)"
        " VALUES (?, ?, ?, ?, ?, NULL, 0, NULL)",
        (entry.node, entry.type, seq, entry.ver, entry.hash),
    )


def _withdraw(tx: sqlite3.Connection, entry: LogEntry) -> None:
    tx.execute("DELETE FROM follow_record WHERE node = ? AND leaf = ?", (entry.node, entry.hash))
    tx.execute("UPDATE follow_chain SET bundle = NULL WHERE node = ? AND hash = ?", (entry.node, entry.hash))
    tables.apply(tx, Withdrawal(entry.node, entry.hash))


def keep_proof(tx: sqlite3.Connection, conflict: HeadConflictError, now: int) -> None:
    """Two notes signed by the log's key that contradict each other: shown to people, and to whoever asks."""
    tx.execute(
        "INSERT OR IGNORE INTO follow_proof (at, code, held, shown) VALUES (?, ?, ?, ?)",
        (now, conflict.code, conflict.held, conflict.shown),
    )


def proofs(db: sqlite3.Connection) -> list[tuple[int, str, str, str]]:
    """(when, code, note held, note shown), the newest first."""
    return db.execute("SELECT at, code, held, shown FROM follow_proof ORDER BY id DESC").fetchall()


def compare_head(db: sqlite3.Connection, note: str, root: TrustedRoot) -> Literal["same", "ahead"]:
    """A head a peer was shown against our copy. `ahead`: longer than ours, nothing to say yet.

    Raises HeadConflictError (log-fork) when the same log has two histories, bad-checkpoint.
    """
    shown, ours = verify_head(note.encode(), root.log), held(db)
    if shown.size > ours.edge.size:
        return "ahead"
    if _root_at(db, shown) != shown.root:
        raise HeadConflictError("log-fork", ours.note, note)
    return "same"


def _root_at(db: sqlite3.Connection, head: Checkpoint) -> bytes:
    rows = db.execute("SELECT line FROM follow_leaf WHERE seq < ? ORDER BY seq", (head.size,))
    return RightEdge().extend(leaf(str(line).encode()) for (line,) in rows).root()


# -- objects


def wanted(
    db: sqlite3.Connection, membership: Membership, views: tuple[Visibility, ...] = ("public", "network")
) -> Iterator[Want]:
    """What the map still lacks: first the snapshot of a chain, then its records. Only of active members."""
    # what stands before the end of a membership is gone, also when its member came back
    rows = db.execute(
        "SELECT c.node, c.vis, c.hash, c.bundle FROM follow_chain c LEFT JOIN map_member m USING (node)"
        " WHERE applied = 0 AND fault IS NULL AND c.seq > COALESCE(m.ended, -1) ORDER BY c.seq"
    )
    for node, vis, hash_, bundle in rows.fetchall():
        if vis not in views or not _is_active(membership, node) or _withdrawn(db, node, hash_):
            continue
        if bundle is None:
            yield Want(hash_, "bundle", node, vis)
        else:
            yield from (Want(name, "record", node, vis) for name in _lacking(db, node, vis, bundle))


def _withdrawn(db: sqlite3.Connection, node: str, hash_: str) -> bool:
    gone = "SELECT 1 FROM map_withdrawn WHERE node = ? AND leaf = ?"
    return db.execute(gone, (node, hash_)).fetchone() is not None


def _lacking(db: sqlite3.Connection, node: str, vis: str, bundle: bytes) -> list[str]:
    chain = (node, vis)
    here = {name for (name,) in db.execute("SELECT leaf FROM map_entry WHERE node = ? AND vis = ?", chain)}
    here |= {name for (name,) in db.execute("SELECT leaf FROM follow_record WHERE node = ? AND vis = ?", chain)}
    here |= {name for (name,) in db.execute("SELECT leaf FROM map_withdrawn WHERE node = ?", (node,))}
    return [name for name in _bundle(bundle).manifest if name not in here]


def _bundle(raw: bytes) -> CatalogueBundle:
    return decode(raw, CatalogueBundle, max_bytes=BUNDLE_MAX)


def prepare_object(db: sqlite3.Connection, want: Want, raw: bytes, membership: Membership) -> Checked:
    """Is this what was asked for? Raises catalogue-root, bad-signature…: then `refuse` it: not wanted again."""
    if want.kind == "record":
        record = publications.read_record(_text(raw), want.vis)
        if record.leaf != want.hash:
            raise ProtocolError("catalogue-root", field="records", expected=want.hash)
        return Checked(want, raw, record.id)
    seq, rev = _place(db, want)
    bundle = _bundle(raw)
    signed = publications.read_publication(bundle.publication, _KeysAt(db, membership, seq), membership.net)
    stated = (signed.digest, signed.publication.node, signed.publication.vis, signed.publication.rev)
    if stated != (want.hash, want.node, want.vis, rev):
        raise ProtocolError("catalogue-root", field="publication", expected=want.hash)
    publications.check_manifest(signed.publication, bundle.manifest)
    return Checked(want, raw, "")


def _text(raw: bytes) -> str:
    if len(raw) > RECORD_MAX:
        raise ProtocolError("record-too-large", expected=f"at most {RECORD_MAX} bytes")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("bad-encoding", field="records") from None


def _place(db: sqlite3.Connection, want: Want) -> tuple[int, int]:
    row = db.execute(
        "SELECT seq, rev FROM follow_chain WHERE node = ? AND vis = ? AND hash = ?", (want.node, want.vis, want.hash)
    ).fetchone()
    if row is None:
        raise ProtocolError("catalogue-too-old", field="object", got=want.hash)
    return int(row[0]), int(row[1])


class _KeysAt:
    """A member's keys as they stood at a log position: what was revoked later signed rightly then."""

    def __init__(self, db: sqlite3.Connection, membership: Membership, seq: int) -> None:
        self._db, self._membership, self._seq = db, membership, seq

    def signing_key(self, node: str, kid: str) -> jws.KeyState | None:
        state = self._membership.signing_key(node, kid)
        if state is None or state.status != "revoked":
            return state
        return state._replace(status="superseded") if self._revoked_later(node, kid) else state

    def _revoked_later(self, node: str, kid: str) -> bool:
        """The statement after this key is the one that revoked it; a former membership's keys are not asked here."""
        link = next((link for link in self._membership.member(node).chain if link.kid == kid), None)
        if link is None:
            return False
        row = self._db.execute(
            "SELECT MAX(seq) FROM follow_leaf WHERE node = ? AND type = 'key' AND ver = ?", (node, link.n + 1)
        ).fetchone()
        return row[0] is None or bool(row[0] > self._seq)


def accept_objects(tx: sqlite3.Connection, fetched: Sequence[Checked], membership: Membership) -> bool:
    """Keeps those of members still active; True when a snapshot became complete and is on the map."""
    current = [checked for checked in fetched if _is_active(membership, checked.want.node)]
    for checked in current:
        _keep(tx, checked)
    chains = sorted({(checked.want.node, checked.want.vis) for checked in current})
    return sum(_complete(tx, node, vis) for node, vis in chains) > 0


def accept_object(tx: sqlite3.Connection, checked: Checked, membership: Membership) -> bool:
    """One alone."""
    return accept_objects(tx, [checked], membership)


def _is_active(membership: Membership, node: str) -> bool:
    member = membership.members.get(node)
    return member is not None and member.status == "active"


def _keep(tx: sqlite3.Connection, checked: Checked) -> None:
    want = checked.want
    if want.kind == "record":
        tx.execute(
            "INSERT OR IGNORE INTO follow_record (node, vis, leaf, id, line) VALUES (?, ?, ?, ?, ?)",
            (want.node, want.vis, want.hash, checked.id, checked.raw),
        )
    else:
        tx.execute(
            "UPDATE follow_chain SET bundle = ? WHERE node = ? AND vis = ? AND hash = ?",
            (checked.raw, want.node, want.vis, want.hash),
        )


def refuse(tx: sqlite3.Connection, want: Want, code: str) -> None:
    """The board published what it may not: the snapshot stays off the map, and `faults` tells."""
    tx.execute("UPDATE follow_chain SET fault = ? WHERE node = ? AND vis = ?", (code, want.node, want.vis))


def faults(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """(node, chain, code) of snapshots that were refused."""
    return db.execute("SELECT node, vis, fault FROM follow_chain WHERE fault IS NOT NULL ORDER BY node, vis").fetchall()


# -- the map


def settle(tx: sqlite3.Connection, membership: Membership) -> bool:
    """Applies a members document found in the log, and every snapshot that is complete. Did the map change?

    Raises members-fork when the log names another document of the same version than the one we hold.
    """
    before = tables.SqliteMap(tx).version
    row = tx.execute(
        "SELECT seq, hash FROM follow_leaf WHERE node = '' AND type = 'members' AND ver = ?", (membership.version,)
    ).fetchone()
    if row is not None:
        if row[1] != membership.digest:
            raise ProtocolError("members-fork", field="log", expected=row[1], got=membership.digest)
        apply_membership(tx, membership, row[0], lambda node, after: _admission_leaf(tx, node, after))
    for node, vis in tx.execute(
        "SELECT node, vis FROM follow_chain WHERE applied = 0 AND bundle IS NOT NULL"
    ).fetchall():
        _complete(tx, node, vis)
    return tables.SqliteMap(tx).version != before


def _admission_leaf(db: sqlite3.Connection, node: str, after: int) -> int | None:
    row = db.execute(
        "SELECT seq FROM follow_leaf WHERE node = ? AND type = 'admission' AND ver > ? ORDER BY ver LIMIT 1",
        (node, after),
    ).fetchone()
    return int(row[0]) if row else None


def _complete(tx: sqlite3.Connection, node: str, vis: Visibility) -> bool:
    chain = (node, vis)
    row = tx.execute(
        "SELECT seq, rev, hash, bundle FROM follow_chain WHERE node = ? AND vis = ? AND applied = 0 AND fault IS NULL",
        chain,
    ).fetchone()
    if row is None or row[3] is None or _lacking(tx, node, vis, row[3]):
        return False
    seq, rev, hash_, raw = row
    bundle = _bundle(raw)
    staged = {
        name: (id_, line)
        for name, id_, line in tx.execute("SELECT leaf, id, line FROM follow_record WHERE node = ? AND vis = ?", chain)
    }
    if not _rising(tx, chain, bundle, {name: id_ for name, (id_, _) in staged.items()}):
        refuse(tx, Want(hash_, "bundle", node, vis), "catalogue-root")
        return False
    source = Source(seq, rev, _publication(bundle).at, hash_)
    lines = {name: bytes(line) for name, (_, line) in staged.items()}
    tables.apply(tx, PublicationSeen(node, vis, source, tuple(bundle.manifest), lines))
    tx.execute("UPDATE follow_chain SET applied = 1 WHERE node = ? AND vis = ?", chain)
    tx.execute("DELETE FROM follow_record WHERE node = ? AND vis = ?", chain)
    return True


def _rising(tx: sqlite3.Connection, chain: tuple[str, str], bundle: CatalogueBundle, staged: Mapping[str, str]) -> bool:
    """Ids in order, each once: two lines of one id would show differently at two followers."""
    known = dict(tx.execute("SELECT leaf, id FROM map_entry WHERE node = ? AND vis = ?", chain))
    ids = [staged.get(name) or known[name] for name in bundle.manifest if name in staged or name in known]
    return all(a < b for a, b in pairwise(ids))


def _publication(bundle: CatalogueBundle) -> Publication:
    """Its signature was checked when it was accepted."""
    unverified = jws.parse_compact(bundle.publication, jws.CAT, max_bytes=publications.PUBLICATION_MAX)
    return decode(unverified.payload, Publication, max_bytes=publications.PUBLICATION_MAX)
