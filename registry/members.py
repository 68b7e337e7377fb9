"""The members document: built from what is signed, signed with the online key, logged. Not who decides (admissions).

The registry adds to the signed objects only status, since and the list of revoked keys; it can change nobody's key.
"""

import sqlite3
from typing import NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from node.map.standing import apply_membership
from protocol.errors import ProtocolError
from protocol.limits import DAY, MEMBERS_MAX, MEMBERS_RESIGN
from protocol.members import Membership, build_members
from protocol.strict import digest
from registry import objects, restored
from registry.board import Board, Published, identity, relays, setting
from schemas.membership import (
    Form,
    Former,
    MemberEntry,
    MembersDoc,
    ProtocolVersion,
    Status,
    VocabularyVersion,
)
from schemas.vocabularies import VERSION


class Issued(NamedTuple):
    """A version of the members document: its bytes are the object `hash`, its leaf is at `seq`."""

    version: int
    hash: str
    iat: int
    exp: int
    seq: int


def newest(db: sqlite3.Connection) -> Issued | None:
    """The version in force."""
    row = db.execute("SELECT version, hash, iat, exp, seq FROM members_doc ORDER BY version DESC LIMIT 1").fetchone()
    return Issued(*row) if row else None


def reissue(tx: sqlite3.Connection, board: Board, now: int) -> Issued:
    """Signs and logs the next version, and supersedes the one before. Raises too-large above 16 MiB."""
    restored.check_may_sign(tx)
    root, last = board.root(tx), newest(tx)
    version = last.version + 1 if last else 1
    doc = MembersDoc(
        net=root.net, version=version, prev=last.hash if last else UNSET, root=root.root.n,
        iat=now, exp=now + root.root.policy.members_days * DAY,
        registry=identity(tx), relays=relays(tx), members=entries(tx, now),
        rules=msgspec.json.decode(setting(tx, "rules", "[]"), type=list[msgspec.Raw]),
        agreements=msgspec.json.decode(setting(tx, "agreements", "[]"), type=list[msgspec.Raw]),
        vocab=VocabularyVersion(setting(tx, "vocab", VERSION)),
        forms=msgspec.json.decode(setting(tx, "forms", "[]"), type=list[Form]),
        protocols=protocols(tx), comuni=msgspec.json.decode(setting(tx, "comuni", "[]"), type=list[dict[str, str]]),
    )  # fmt: skip
    raw = build_members(doc, board.online_key(root))
    if len(raw) > MEMBERS_MAX:
        raise ProtocolError("too-large", field="members", expected=f"at most {MEMBERS_MAX} bytes")
    (seq,) = board.publish(tx, [Published("members", digest(raw), "", version, raw)])
    issued = Issued(version, digest(raw), now, doc.exp, seq)
    tx.execute("INSERT INTO members_doc VALUES (?, ?, ?, ?, ?)", issued)
    if last:
        objects.supersede(tx, last.hash, now)
    membership = board.membership(tx)
    _check_sound(membership)
    apply_membership(tx, membership, seq, lambda node, after: _admission_leaf(tx, node, after))
    return issued


def _admission_leaf(db: sqlite3.Connection, node: str, after: int) -> int | None:
    row = db.execute(
        "SELECT leaf FROM admission WHERE node = ? AND seq > ? ORDER BY seq LIMIT 1", (node, after)
    ).fetchone()
    return int(row[0]) if row else None


def _check_sound(membership: Membership) -> None:
    """What we are about to serve is read as any member reads it: an entry that fails there must not leave here."""
    for node, code in membership.void.items():
        raise ProtocolError(code, field="members", got=node)


def due(db: sqlite3.Connection, now: int) -> bool:
    """Is it time to sign again? Daily, and when routes announced for later have come into force."""
    last = newest(db)
    if last is None or now >= last.iat + MEMBERS_RESIGN:
        return True
    changed = db.execute("SELECT 1 FROM routes WHERE since > ? AND since <= ? LIMIT 1", (last.iat, now)).fetchone()
    return changed is not None


# -- entries


def entries(db: sqlite3.Connection, now: int) -> list[MemberEntry]:
    """Everyone who is or was a member, in order of id."""
    rows = db.execute("SELECT node, status, since FROM member ORDER BY node")
    return [_entry(db, node, status, since, now) for node, status, since in rows.fetchall()]


def _entry(db: sqlite3.Connection, node: str, status: Status, since: int, now: int) -> MemberEntry:
    admission, first = db.execute(
        "SELECT raw, first FROM admission WHERE node = ? AND place = 'current'", (node,)
    ).fetchone()
    n, routes = _routes(db, node, first, now)
    return MemberEntry(
        admission=admission,
        status=status,
        since=since,
        keys=key_statements(db, node, first),
        routes=routes,
        routes_next=_routes_next(db, node, first, now, n),
        revoked=revoked(db, node, first),
        former=_former(db, node),
    )


def _former(db: sqlite3.Connection, node: str) -> list[Former]:
    rows = db.execute("SELECT raw, first FROM admission WHERE node = ? AND place = 'former' ORDER BY seq", (node,))
    return [Former(admission=raw, keys=key_statements(db, node, first)) for raw, first in rows.fetchall()]


def key_statements(db: sqlite3.Connection, node: str, first: str) -> list[str]:
    """The statements of one chain, in order."""
    rows = db.execute("SELECT raw FROM key_statement WHERE node = ? AND first = ? ORDER BY n", (node, first))
    return [str(raw) for (raw,) in rows]


def revoked(db: sqlite3.Connection, node: str, first: str) -> list[str]:
    """Kids that compromise and recovery took out of use."""
    rows = db.execute(
        "SELECT prev FROM key_statement WHERE node = ? AND first = ? AND reason != 'rotation' ORDER BY n", (node, first)
    )
    return [str(kid) for (kid,) in rows]


def _routes(db: sqlite3.Connection, node: str, first: str, now: int) -> tuple[int, str | UnsetType]:
    """The newest statement in force and its number."""
    row = db.execute(
        "SELECT n, raw FROM routes WHERE node = ? AND first = ? AND since <= ? ORDER BY n DESC LIMIT 1",
        (node, first, now),
    ).fetchone()
    return (int(row[0]), str(row[1])) if row else (0, UNSET)


def _routes_next(db: sqlite3.Connection, node: str, first: str, now: int, after: int) -> str | UnsetType:
    """The newest one announced for later; none when a newer number is in force already."""
    row = db.execute(
        "SELECT raw FROM routes WHERE node = ? AND first = ? AND since > ? AND n > ? ORDER BY n DESC LIMIT 1",
        (node, first, now, after),
    ).fetchone()
    return str(row[0]) if row else UNSET


# -- the protocollo d'intesa


class Protocollo(NamedTuple):
    """A version of the signed document. `hash` = b64u(SHA-256(document))."""

    version: str
    hash: str
    media: str
    document: bytes
    at: int


def add_protocollo(tx: sqlite3.Connection, board: Board, version: str, media: str, document: bytes) -> Protocollo:
    """Keeps the next version of the protocollo and names it in the members document. Raises id-taken."""
    held = Protocollo(version, digest(document), media, document, board.clock.now())
    if tx.execute("SELECT 1 FROM protocollo WHERE version = ? OR hash = ?", (version, held.hash)).fetchone():
        raise ProtocolError("id-taken", field="version", got=version)
    tx.execute("INSERT INTO protocollo VALUES (?, ?, ?, ?, ?)", held)
    return held


def protocols(db: sqlite3.Connection) -> list[ProtocolVersion]:
    """Every version, the newest last."""
    return [ProtocolVersion(*row) for row in db.execute("SELECT version, hash FROM protocollo ORDER BY at, rowid")]


def protocollo(db: sqlite3.Connection, version: str) -> Protocollo:
    """A version with its bytes, whose hash is computed again. Raises not-found, store-damaged."""
    row = db.execute(
        "SELECT version, hash, media, document, at FROM protocollo WHERE version = ?", (version,)
    ).fetchone()
    if row is None:
        raise ProtocolError("not-found", field="version", got=version)
    held = Protocollo(*row)
    if digest(held.document) != held.hash:
        raise ProtocolError("store-damaged", field="protocollo")
    return held
