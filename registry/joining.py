"""Requests to join: read strictly, kept pending, exported for guarantors. Nothing here makes anybody a member.

The registry drafts the admission; only what guarantors sign off the server counts, and they see what they sign.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from protocol import admissions
from protocol.contents import NOT_PLAIN
from protocol.errors import ProtocolError
from protocol.limits import KIB, ROOT_STEPS_MAX
from protocol.names import check_node_id
from protocol.statements import read_routes
from protocol.strict import b64u_decode, b64u_encode, decode, digest
from protocol.suite import Suite
from registry.board import Board, identity, network, relays, roots_after
from registry.invitations import Invited, spend
from registry.members import protocols
from schemas.membership import JoinAnswer, JoinRequest, Pending, PendingFile, Wanted
from schemas.vocabularies import table

JOIN_MAX: Final = 32 * KIB
UNINVITED_MAX: Final = 100
"""Requests without a code that may wait: strangers cannot fill the store."""


class Joining(NamedTuple):
    """A request whose first key is sound and has signed its own routes. `name` tells one request from another."""

    request: JoinRequest
    name: str


def prepare_join(raw: bytes, *, net: str, suite: Suite) -> Joining:
    """Pure. Raises bad-node-id, bad-key, bad-signature, wrong-network, unknown-code and what strict reading raises."""
    request = decode(raw, JoinRequest, max_bytes=JOIN_MAX)
    wanted = request.wanted
    check_wanted(wanted)
    key = suite.verify_key(b64u_decode(request.first, field="first"))
    if wanted.recovery is not UNSET and suite.verify_key(b64u_decode(wanted.recovery, field="recovery")).kid == key.kid:
        raise ProtocolError("bad-key", field="recovery", expected="another key than the first")
    routes = read_routes(request.routes, key, net=net, node=wanted.node, suite=suite)
    if routes.statement.n != 1:
        raise ProtocolError("bad-shape", field="routes.n", expected="1")
    return Joining(request, digest(_same(request)))


def check_wanted(wanted: Wanted) -> None:
    """What an entry may say, whoever asks for it. Raises bad-node-id, unknown-code, bad-shape."""
    check_node_id(wanted.node, field="node")
    if wanted.ptype not in table("participant_types") or wanted.ptype == "PT-ENTENAZ":
        raise ProtocolError("unknown-code", field="ptype")
    _check_texts(wanted)
    _check_powers(wanted)
    if len(set(wanted.caps)) != len(wanted.caps) or len(set(wanted.territory)) != len(wanted.territory):
        raise ProtocolError("bad-shape", field="caps or territory", expected="each once")


def _check_texts(wanted: Wanted) -> None:
    """Plain text: a guarantor reads it on a terminal before signing, everybody afterwards."""
    texts = [wanted.name, *msgspec.structs.astuple(wanted.identifiers), wanted.protocol.version]
    texts += msgspec.structs.astuple(wanted.contact) if wanted.contact is not UNSET else ()
    if any(isinstance(text, str) and NOT_PLAIN.search(text) for text in texts):
        raise ProtocolError("bad-shape", field="wanted", expected="plain text")


def _check_powers(wanted: Wanted) -> None:
    """Who may not take in charge by its kind asks for no power over cases (vocabulary participant_types)."""
    powers = {"take-in-charge", "pua", "pis"} & set(wanted.caps)
    if powers and table("participant_types")[wanted.ptype]["may_take_in_charge"] == "no":
        raise ProtocolError("bad-shape", field="caps", expected="none of them for this kind of body", got=min(powers))


def _same(request: JoinRequest) -> bytes:
    """What makes two posts one request: who wants what under which key. Routes are signed anew at each try."""
    return msgspec.json.encode([request.wanted, request.first])


def _kept(request: JoinRequest) -> str:
    """The request without its code, which is a secret."""
    return msgspec.json.encode(msgspec.structs.replace(request, code=UNSET)).decode()


def join(tx: sqlite3.Connection, board: Board, joining: Joining) -> JoinAnswer:
    """Keeps a request; the same again is answered as before. Raises id-taken, invitation-invalid, busy, not-found."""
    request, now = joining.request, board.clock.now()
    held = tx.execute("SELECT ref, state FROM join_request WHERE digest = ?", (joining.name,)).fetchone()
    if held is not None:
        keep = "UPDATE join_request SET request = ? WHERE ref = ? AND state = 'pending'"
        tx.execute(keep, (_kept(request), held[0]))
        return JoinAnswer(held[0], held[1])
    _check_protocol(tx, request.wanted)
    _check_relays(tx, joining, board)
    ref = b64u_encode(board.dice.bytes(16))
    invited = spend(tx, request.code, request.wanted.node, ref, now) if request.code is not UNSET else None
    _check_node(tx, request, invited)
    _check_others(tx, board, request.wanted, invited)
    if invited is None:
        _check_room(tx)
    else:
        _give_way(tx, request.wanted.node, now)
    draft = make_draft(tx, _with_delegation(request.wanted, invited), request.first, now)
    tx.execute(
        "INSERT INTO join_request VALUES (?, ?, ?, ?, ?, 'pending', ?, ?, ?, NULL)",
        (ref, request.wanted.node, request.first, joining.name, now, int(invited is not None),
         _kept(request), draft),
    )  # fmt: skip
    return JoinAnswer(ref, "pending")


def make_draft(db: sqlite3.Connection, wanted: Wanted, first: str, now: int) -> str:
    """The exact payload guarantors will sign: the next admission of this node."""
    (last,) = db.execute("SELECT COALESCE(MAX(seq), 0) FROM admission WHERE node = ?", (wanted.node,)).fetchone()
    return admissions.draft(wanted, net=network(db), first=first, seq=last + 1, now=now).decode()


def _check_protocol(db: sqlite3.Connection, wanted: Wanted) -> None:
    """An older version is taken (its member is warned, F004-19); one nobody signed is not."""
    known = protocols(db)
    if known and wanted.protocol not in known:
        raise ProtocolError("not-found", field="protocol", expected=known[-1].version)


def _check_relays(db: sqlite3.Connection, joining: Joining, board: Board) -> None:
    key = board.suite.verify_key(b64u_decode(joining.request.first))
    stated = read_routes(
        joining.request.routes, key, net=network(db), node=joining.request.wanted.node, suite=board.suite
    ).statement.relays
    if unknown := set(stated) - {relay.id for relay in relays(db)}:
        raise ProtocolError("bad-shape", field="relays", expected="relays of this network", got=min(unknown))


def _check_node(db: sqlite3.Connection, request: JoinRequest, invited: Invited | None) -> None:
    """An id is given once; a member comes back under its own only when invited to, and with a key never used."""
    node = request.wanted.node
    row = db.execute("SELECT status FROM member WHERE node = ?", (node,)).fetchone()
    if row is not None and (invited is None or not invited.readmits or row[0] == "active"):
        raise ProtocolError("id-taken", field="node", got=node)
    if node == identity(db).id:
        raise ProtocolError("id-taken", field="node", got=node)
    used = "SELECT 1 FROM admission WHERE first = ? UNION SELECT 1 FROM key_statement WHERE x = ?"
    if db.execute(used, (request.first, request.first)).fetchone():
        raise ProtocolError("bad-key", field="first", expected="a key never used before")


def _check_room(db: sqlite3.Connection) -> None:
    (waiting,) = db.execute("SELECT COUNT(*) FROM join_request WHERE state = 'pending' AND invited = 0").fetchone()
    if waiting >= UNINVITED_MAX:
        raise ProtocolError("busy", field="join", after=3600)


def _give_way(tx: sqlite3.Connection, node: str, now: int) -> None:
    """Who holds the code for a name stands before those who only asked for it."""
    tx.execute(
        "UPDATE join_request SET state = 'refused', decided = ? WHERE node = ? AND state = 'pending'", (now, node)
    )


def _with_delegation(wanted: Wanted, invited: Invited | None) -> Wanted:
    if invited is None or invited.delegated_by is None:
        return wanted
    return msgspec.structs.replace(wanted, delegated_by=invited.delegated_by)


def _check_others(db: sqlite3.Connection, board: Board, wanted: Wanted, invited: Invited | None) -> None:
    """Nobody names another member as its delegate or host by its own word alone."""
    claimed = None if wanted.delegated_by is UNSET else wanted.delegated_by
    if claimed is not None and (invited is None or invited.delegated_by != claimed):
        raise ProtocolError("forbidden", field="delegated_by", expected="an invitation by delegation")
    if wanted.hosted_by is not UNSET:
        board.membership(db).active(wanted.hosted_by)


# -- what became of it


def join_state(db: sqlite3.Connection, ref: str) -> JoinAnswer:
    """Raises not-found."""
    row = db.execute("SELECT state FROM join_request WHERE ref = ?", (ref,)).fetchone()
    if row is None:
        raise ProtocolError("not-found", field="ref")
    return JoinAnswer(ref, row[0])


def pending(db: sqlite3.Connection, refs: Sequence[str] = ()) -> list[Pending]:
    """Requests waiting for guarantors, the oldest first; all of them, or those named."""
    rows = db.execute(
        "SELECT ref, request, draft, at, invited FROM join_request WHERE state = 'pending' ORDER BY at, ref"
    ).fetchall()
    if missing := set(refs) - {row[0] for row in rows}:
        raise ProtocolError("not-found", field="ref", got=min(missing))
    return [
        Pending(ref=ref, request=msgspec.json.decode(request, type=JoinRequest), draft=draft, at=at, invited=bool(inv))
        for ref, request, draft, at, inv in rows
        if not refs or ref in refs
    ]


def export(db: sqlite3.Connection, refs: Sequence[str] = ()) -> PendingFile:
    """What a guarantor takes to their own PC: the drafts, and the roots to check them against."""
    return PendingFile(v=1, net=network(db), roots=roots_after(db, 0, ROOT_STEPS_MAX), items=pending(db, refs))


def refuse(tx: sqlite3.Connection, ref: str, now: int) -> None:
    """The capofila turns a request down. Raises already-decided, not-found."""
    join_state(tx, ref)
    changed = tx.execute(
        "UPDATE join_request SET state = 'refused', decided = ? WHERE ref = ? AND state = 'pending'", (now, ref)
    )
    if changed.rowcount != 1:
        raise ProtocolError("already-decided", field="ref")
