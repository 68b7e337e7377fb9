"""Members' own statements taken in: signing keys, routes and sealing keys. The rules are protocol.statements.

A rotation and the routes signed by the new key belong into one post, so that no version of the members document shows
the one without the other.
"""

import sqlite3
from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct

from protocol import jws
from protocol.errors import ProtocolError
from protocol.limits import CLOCK_AHEAD_MAX, KIB
from protocol.members import Member, Membership
from protocol.statements import GENERAL_MAX, STATEMENT_MAX, read_chain, read_routes
from protocol.strict import decode, digest
from registry.board import Board, Published
from registry.members import Issued, reissue
from registry.quota import spend
from schemas.membership import GeneralText, KeyStatement, RoutesStatement

POST_MAX: Final = 128 * KIB


class StatementPost(Struct, frozen=True, forbid_unknown_fields=True):
    """POST /v1/statement: {"statements":["eyJhbGci…","eyJhbGci…"]}, compact, or General JSON as text (a recovery)."""

    statements: Annotated[list[GeneralText], Meta(min_length=1, max_length=4)]


class StatementAnswer(Struct, frozen=True):
    """The members version that holds everything posted."""

    version: int


class Stated(NamedTuple):
    """Statements of one member, verified against the members document `against`; those known already are left out."""

    node: str
    keys: tuple[tuple[KeyStatement, str], ...]
    routes: tuple[tuple[RoutesStatement, str], ...]
    texts: tuple[str, ...]
    against: str


def prepare_statement(raw: bytes, membership: Membership, now: int) -> Stated:
    """Pure. Raises not-a-member, suspended, key-chain, bad-signature, members-rollback, from-the-future, bad-shape."""
    return _verify(decode(raw, StatementPost, max_bytes=POST_MAX).statements, membership, now)


def _verify(texts: Sequence[str], membership: Membership, now: int) -> Stated:
    claims = [_claim(text) for text in texts]
    nodes = {claim.node for claim in claims}
    if len(nodes) != 1:
        raise ProtocolError("bad-shape", field="statements", expected="one member's")
    member = membership.active(nodes.pop())
    for claim in claims:
        if claim.iat > now + CLOCK_AHEAD_MAX:
            raise ProtocolError("from-the-future", field="iat")
    pairs = list(zip(claims, texts, strict=True))
    keys = [(c, t) for c, t in pairs if isinstance(c, KeyStatement) and t not in member.entry.keys]
    chain = read_chain(member.admission, [*member.entry.keys, *(text for _, text in keys)], membership.root)
    known = _known_routes(member)
    routes = [(c, t) for c, t in pairs if isinstance(c, RoutesStatement) and t not in known.values()]
    last = max(known, default=0)
    for claim, text in routes:
        read_routes(text, chain[-1].key, net=membership.net, node=member.node, suite=membership.root.suite)
        if claim.n <= last:
            raise ProtocolError("members-rollback", field="routes.n", expected=f"above {last}", got=str(claim.n))
        if unknown := set(claim.relays) - set(membership.relays):
            raise ProtocolError("bad-shape", field="relays", expected="relays of this network", got=min(unknown))
        last = claim.n
    return Stated(member.node, tuple(keys), tuple(routes), tuple(texts), membership.digest)


def _claim(text: str) -> KeyStatement | RoutesStatement:
    """What a statement says it is; nothing is believed yet."""
    if text.startswith("{"):
        general = jws.parse_general(text.encode(), jws.KEY, max_bytes=GENERAL_MAX)
        return decode(general.payload, KeyStatement, max_bytes=STATEMENT_MAX)
    try:
        key = jws.parse_compact(text, jws.KEY, max_bytes=STATEMENT_MAX)
    except ProtocolError as error:
        if error.code != "bad-header" or error.field != "typ":
            raise
        routes = jws.parse_compact(text, jws.RTS, max_bytes=STATEMENT_MAX)
        return decode(routes.payload, RoutesStatement, max_bytes=STATEMENT_MAX)
    return decode(key.payload, KeyStatement, max_bytes=STATEMENT_MAX)


def _known_routes(member: Member) -> dict[int, str]:
    listed = (member.routes, member.routes_next)
    return {routes.statement.n: routes.text for routes in listed if routes}


def state(tx: sqlite3.Connection, board: Board, stated: Stated) -> StatementAnswer:
    """Keeps and logs them, with a new members document; nothing new is answered with the version in force."""
    now, membership = board.clock.now(), board.membership(tx)
    if membership.digest != stated.against:
        stated = _verify(stated.texts, membership, now)
    if not stated.keys and not stated.routes:
        return StatementAnswer(membership.version)
    spend(tx, stated.node, "statements", 1, now)
    first = membership.member(stated.node).admission.first
    for statement, text in stated.keys:
        _keep_key(tx, statement, text, first, now)
    for _, text in stated.routes:
        keep_routes(tx, text, first)
    board.publish(tx, [_leaf(statement, text) for statement, text in stated.keys])
    issued: Issued = reissue(tx, board, now)
    board.seal(tx, now)
    return StatementAnswer(issued.version)


def _leaf(statement: KeyStatement, text: str) -> Published:
    return Published("key", digest(text.encode()), statement.node, statement.n, text.encode())


def _keep_key(tx: sqlite3.Connection, statement: KeyStatement, text: str, first: str, now: int) -> None:
    used = "SELECT 1 FROM admission WHERE first = ? UNION SELECT 1 FROM key_statement WHERE x = ?"
    if tx.execute(used, (statement.x, statement.x)).fetchone():
        raise ProtocolError("bad-key", field="x", expected="a key never used before")
    tx.execute(
        "INSERT INTO key_statement (node, first, n, x, prev, reason, raw, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (statement.node, first, statement.n, statement.x, statement.prev, statement.reason, text, now),
    )


def keep_routes(tx: sqlite3.Connection, text: str, first: str) -> None:
    """A routes statement whose signature was verified before; the same again changes nothing."""
    payload = jws.parse_compact(text, jws.RTS, max_bytes=STATEMENT_MAX).payload
    stated = msgspec.json.decode(payload, type=RoutesStatement)
    tx.execute(
        "INSERT INTO routes (node, n, since, raw, first) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (stated.node, stated.n, stated.since, text, first),
    )
