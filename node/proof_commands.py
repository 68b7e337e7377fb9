"""Proofs of map entries and heads of the log, as rows of commands. The rules are protocol.proofs and protocol.heads."""

import sqlite3
from typing import TYPE_CHECKING, Final

from msgspec import Raw, Struct

from node import requests as ask
from node.commands import Command, Nothing
from node.map import follow, heads, proving
from protocol.errors import ProtocolError
from protocol.notes import parse_checkpoint, parse_note
from schemas.catalogue import HeadEvidence

if TYPE_CHECKING:
    from node.body import Body


def proof(db: sqlite3.Connection, body: "Body", request: ask.Prove) -> Raw:
    """Made from our own copy of the log, so also while the board is away. Raises not-found, log-moved."""
    node, id_ = named(db, request)
    return Raw(proving.prove(db, body.ctx.membership.root, node, id_, request.vis, member=True))


def named(db: sqlite3.Connection, request: ask.Prove) -> tuple[str, str]:
    """Member and whole id of the entry meant. Raises not-found."""
    from node.map_commands import find_entry

    entry = find_entry(db, ask.ShowService(id=request.id, node=request.node))
    return entry.node, entry.id


class PeerHead(Struct, frozen=True, kw_only=True):
    """What a peer showed last. `verdict`: same, ahead (longer than ours yet), unverified, conflict; None: not yet."""

    node: str
    at: int
    size: int | None
    verdict: str | None


class KeptPair(Struct, frozen=True, kw_only=True):
    """Two signed heads that contradict each other. `source` None: the board itself; `provable`: others can check it."""

    at: int
    code: str
    source: str | None
    held_size: int
    shown_size: int
    held: str
    shown: str
    provable: bool


class HeadsView(Struct, frozen=True, kw_only=True):
    """Our head of the board's log, what peers have of it, and contradictions kept for ever."""

    size: int
    note: str
    peers: list[PeerHead]
    pairs: list[KeptPair]


def _heads(db: sqlite3.Connection, _: "Body", __: Nothing) -> HeadsView:
    ours = follow.held(db)
    peers = db.execute("SELECT node, at, note, verdict FROM peer_head ORDER BY node")
    pairs = [
        KeptPair(
            at=one.at, code=one.code, source=one.source or None, held_size=_size(one.held) or 0,
            shown_size=_size(one.shown) or 0, held=one.held, shown=one.shown, provable=one.pair is not None,
        )
        for one in heads.kept(db)
    ]  # fmt: skip
    return HeadsView(
        size=ours.edge.size, note=ours.note, pairs=pairs,
        peers=[PeerHead(node=node, at=at, size=_size(note), verdict=verdict) for node, at, note, verdict in peers],
    )  # fmt: skip


def _size(note: str) -> int | None:
    try:
        return parse_checkpoint(parse_note(note.encode()).text).size
    except ProtocolError:
        return None


def _evidence(db: sqlite3.Connection, body: "Body", _: Nothing) -> HeadEvidence:
    return heads.evidence(db, body.ctx.net)


COMMANDS: Final = {
    "heads": Command(Nothing, _heads, writes=False),
    "heads-evidence": Command(Nothing, _evidence, writes=False),
    "proof": Command(ask.Prove, proof, writes=False),
}
