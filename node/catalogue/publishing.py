"""From own entries to signed publications, and what the registry answered to them. The shell does the posting.

Revisions are contiguous and each names the one before; what was signed waits in order and is posted byte for byte.
A refused one leaves its number to the next; nothing that was accepted is ever signed again.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct

from node.catalogue.entries import VISIBILITIES, owner_of, rendered, rows
from node.context import Context
from node.map.hours import local
from protocol.errors import ProtocolError
from protocol.limits import DAY
from protocol.publications import leaf_hash, make_publication, read_record, record_line
from protocol.strict import digest
from schemas.catalogue import CatalogueAnswer, Visibility

LIFETIME: Final = 90 * DAY
RENEWED: Final = 30 * DAY  # left to live when an unchanged catalogue is signed again
_encode = msgspec.json.encode
_texts = msgspec.json.Decoder(list[str]).decode


class Faulty(Struct, frozen=True, omit_defaults=True):
    """An entry left out of the publication, and why."""

    id: str
    name: str
    code: str
    field: str | None = None


class Published(Struct, frozen=True, kw_only=True):
    """What became of one chain. `rev` 0: nothing to publish; `signed` False: nothing had changed."""

    vis: Visibility
    rev: int
    signed: bool
    count: int
    added: list[str] = []
    changed: list[str] = []
    removed: list[str] = []
    faulty: list[Faulty] = []


class PendingPost(NamedTuple):
    """One publication to post, with every record line it names by leaf hash."""

    vis: Visibility
    rev: int
    publication: str
    manifest: list[str]
    records: dict[str, str]


class _Newest(NamedTuple):
    rev: int
    digest: str
    leaves: dict[str, str]  # id → leaf
    exp: int


_NONE: Final = _Newest(0, "", {}, 0)


def publish(tx: sqlite3.Connection, ctx: Context) -> list[Published]:
    """Signs the next revision of each chain that changed. Raises not-a-member, catalogue-too-large, clock-wrong."""
    if not ctx.joined:
        raise ProtocolError("not-a-member", got=ctx.me)
    return [_publish(tx, ctx, vis) for vis in VISIBILITIES]


def _publish(tx: sqlite3.Connection, ctx: Context, vis: Visibility) -> Published:
    now = ctx.clock.now()
    _drop_refused(tx, vis)
    last = _newest(tx, vis)
    lines, faulty = _lines(tx, ctx, vis, now, last.leaves)
    leaves = {id_: leaf for id_, (leaf, _) in lines.items()}
    if leaves == last.leaves and (not last.rev or last.exp - now > RENEWED):
        return Published(vis=vis, rev=last.rev, signed=False, count=len(leaves), faulty=faulty)
    rev = last.rev + 1
    post = make_publication(
        (line for _, line in lines.values()), ctx.keys.signing,
        net=ctx.net, node=ctx.me, vis=vis, rev=rev, prev=last.digest, at=now, exp=now + LIFETIME,
    )  # fmt: skip
    tx.execute(
        "INSERT INTO publication_out (vis, rev, publication, digest, ids, manifest, at, exp, state)"
        " VALUES (?,?,?,?,?,?,?,?,'waiting')",
        (vis, rev, post.publication, digest(post.publication.encode("ascii")), _json(sorted(leaves)),
         _json(post.manifest), now, now + LIFETIME),
    )  # fmt: skip
    tx.executemany("INSERT INTO publication_line VALUES (?, ?) ON CONFLICT DO NOTHING", post.records.items())
    before = last.leaves
    return Published(
        vis=vis,
        rev=rev,
        signed=True,
        count=len(leaves),
        added=sorted(leaves.keys() - before.keys()),
        changed=sorted(id_ for id_ in leaves.keys() & before.keys() if leaves[id_] != before[id_]),
        removed=sorted(before.keys() - leaves.keys()),
        faulty=faulty,
    )


def _lines(
    db: sqlite3.Connection, ctx: Context, vis: Visibility, now: int, known: Mapping[str, str]
) -> tuple[dict[str, tuple[str, str]], list[Faulty]]:
    """id → (leaf, line) in order of id; an entry that the registry would refuse is left out and named.

    `known`: what was published last; the same line was checked then.
    """
    today, owner = local(now).date(), owner_of(ctx)
    lines: dict[str, tuple[str, str]] = {}
    faulty: list[Faulty] = []
    for row in rows(db):
        service = rendered(row, vis, today, owner)
        if service is None:
            continue
        line = record_line(service)
        leaf = leaf_hash(line)
        try:
            if known.get(row.id) != leaf:
                read_record(line, vis)
            lines[row.id] = (leaf, line)
        except ProtocolError as error:
            faulty.append(Faulty(row.id, row.name, error.code, error.field))
    return lines, faulty


def _newest(db: sqlite3.Connection, vis: Visibility) -> _Newest:
    row = db.execute(
        "SELECT rev, digest, ids, manifest, exp FROM publication_out WHERE vis = ? ORDER BY rev DESC LIMIT 1", (vis,)
    ).fetchone()
    if row is None:
        return _NONE
    rev, name, ids, manifest, exp = row
    return _Newest(rev, name, dict(zip(_texts(ids), _texts(manifest), strict=True)), exp)


def _drop_refused(tx: sqlite3.Connection, vis: Visibility) -> None:
    """A refused revision was never logged: its number, and those signed after it, are free again."""
    tx.execute(
        "DELETE FROM publication_out WHERE vis = ?1 AND rev >="
        " (SELECT MIN(rev) FROM publication_out WHERE vis = ?1 AND state = 'refused')",
        (vis,),
    )


def _json(texts: Sequence[str]) -> str:
    return _encode(texts).decode()


# -- what the shell does with them


def pending_posts(db: sqlite3.Connection) -> list[PendingPost]:
    """What to post, oldest revision first; nothing of a chain behind a refused one."""
    found = db.execute(
        "SELECT vis, rev, publication, manifest FROM publication_out AS p WHERE state = 'waiting' AND NOT EXISTS"
        " (SELECT 1 FROM publication_out AS r WHERE r.vis = p.vis AND r.state = 'refused' AND r.rev < p.rev)"
        " ORDER BY vis DESC, rev"
    ).fetchall()
    return [_pending(db, *row) for row in found]


def _pending(db: sqlite3.Connection, vis: Visibility, rev: int, publication: str, names: str) -> PendingPost:
    manifest = _texts(names)
    lines = db.execute(
        "SELECT leaf, line FROM publication_line WHERE leaf IN (SELECT value FROM json_each(?))", (names,)
    )
    return PendingPost(vis, rev, publication, manifest, dict(lines))


def posted(tx: sqlite3.Connection, vis: Visibility, rev: int, answer: CatalogueAnswer) -> None:
    """The registry's answer. Asked for more, the publication keeps waiting; twice accepted is once."""
    if not answer.accepted:
        return
    tx.execute(
        "UPDATE publication_out SET state = 'accepted', seq = ? WHERE vis = ? AND rev = ?",
        (None if answer.seq is UNSET else answer.seq, vis, rev),
    )
    tx.execute("DELETE FROM publication_out WHERE vis = ? AND state = 'accepted' AND rev < ?", (vis, rev))
    tx.execute(
        "DELETE FROM publication_line WHERE leaf NOT IN"
        " (SELECT value FROM publication_out, json_each(manifest) WHERE state = 'waiting')"
    )


def refused(tx: sqlite3.Connection, vis: Visibility, rev: int, code: str, field: str | None) -> None:
    """The registry will never take it: kept for people, its number goes to the next one."""
    tx.execute(
        "UPDATE publication_out SET state = 'refused', code = ?, field = ? WHERE vis = ? AND rev = ?",
        (code, field, vis, rev),
    )


class Chain(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How one chain stands: the newest revision signed, and whether the registry has it."""

    vis: Visibility
    rev: int
    count: int
    at: int
    exp: int
    state: str
    code: str | None = None
    field: str | None = None


def chains(db: sqlite3.Connection) -> list[Chain]:
    """The newest publication of each chain."""
    found = db.execute(
        "SELECT vis, MAX(rev), json_array_length(manifest), at, exp, state, code, field FROM publication_out"
        " GROUP BY vis ORDER BY vis DESC"
    )
    return [
        Chain(vis=vis, rev=rev, count=count, at=at, exp=exp, state=state, code=code, field=field)
        for vis, rev, count, at, exp, state, code, field in found
    ]
