"""One-time invitation codes: made, kept by their hash, used once within seven days. Not what becomes of a request."""

import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import UNSET

from protocol.errors import ProtocolError
from protocol.limits import DAY
from protocol.names import check_node_id
from protocol.strict import b64u_encode, digest
from registry.board import Board, identity, relays
from schemas.membership import Invitation

INVITATION_LIFE: Final = 7 * DAY
CODE_BYTES: Final = 20


class Invited(NamedTuple):
    """A code as the store knows it."""

    node: str | None
    exp: int
    delegated_by: str | None
    readmits: bool
    ref: str | None


def invite(
    tx: sqlite3.Connection,
    board: Board,
    *,
    node: str | None = None,
    name: str = "",
    delegated_by: str | None = None,
    readmits: bool = False,
) -> Invitation:
    """A new invitation file, for `node` or for whoever holds it. Raises id-taken, not-found (nobody to readmit)."""
    now = board.clock.now()
    if node is not None:
        _check_node(tx, check_node_id(node, field="node"), readmits)
    code = b64u_encode(board.dice.bytes(CODE_BYTES))
    root = board.root(tx)
    tx.execute(
        "INSERT INTO invitation VALUES (?, ?, ?, ?, ?, ?, NULL)",
        (digest(code.encode()), node, name, now + INVITATION_LIFE, delegated_by, int(readmits)),
    )
    return Invitation(
        net=root.net,
        name=root.root.name,
        registry=identity(tx).urls,
        relays=relays(tx),
        code=code,
        node=node if node is not None else UNSET,
        exp=now + INVITATION_LIFE,
    )


def _check_node(db: sqlite3.Connection, node: str, readmits: bool) -> None:
    row = db.execute("SELECT status FROM member WHERE node = ?", (node,)).fetchone()
    if readmits and (row is None or row[0] == "active"):
        raise ProtocolError("not-found", field="node", expected="a suspended or ended member", got=node)
    if not readmits and row is not None:
        raise ProtocolError("id-taken", field="node", got=node)


def delegate(tx: sqlite3.Connection, board: Board, *, by: str, nodes: Sequence[str]) -> list[Invitation]:
    """One act for many bodies: member `by` has signed for each of them; each still makes and holds its own keys."""
    board.membership(tx).active(by)
    return [invite(tx, board, node=node, delegated_by=by) for node in nodes]


def spend(tx: sqlite3.Connection, code: str, node: str, ref: str, now: int) -> Invited:
    """Uses a code for a request; again for the same request. Raises invitation-invalid, telling nothing more."""
    key = digest(code.encode())
    row = tx.execute("SELECT node, exp, delegated_by, readmits, ref FROM invitation WHERE code = ?", (key,)).fetchone()
    if row is None:
        raise ProtocolError("invitation-invalid", field="code")
    held = Invited(row[0], row[1], row[2], bool(row[3]), row[4])
    if held.exp < now or held.ref not in (None, ref) or held.node not in (None, node):
        raise ProtocolError("invitation-invalid", field="code")
    tx.execute("UPDATE invitation SET ref = ? WHERE code = ?", (ref, key))
    return held


def forget_expired(tx: sqlite3.Connection, now: int) -> int:
    """Codes that can no longer be used; how many."""
    return tx.execute("DELETE FROM invitation WHERE exp < ?", (now,)).rowcount
