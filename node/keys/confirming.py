"""Keys of other members that begin a chain anew: nothing is sealed to such a member until people confirm its key.

After a loss the offline key, or the guarantors, put a new key in a member's place (PROTOCOL §4). Somebody telephones
the office, by the number they know, and compares eight words; what waits for it leaves then.
"""

import sqlite3
from typing import Final, NamedTuple

from node.context import Context
from protocol.entries import Member
from protocol.errors import ProtocolError
from protocol.fingerprint import fingerprint, matches
from protocol.rotation import Beginning, beginning
from protocol.suite import SealingPublic

NOBODY_TO_SEAL_TO: Final = frozenset({"unknown-recipient", "suspended", "not-a-member", "key-unconfirmed"})
"""What sealing to a member may raise for now: what a program writes by itself waits."""


class NewKey(NamedTuple):
    """A key to be confirmed, or confirmed: whose, the kid its chain begins with now, how it came, since when."""

    node: str
    kid: str
    how: Beginning
    since: int
    confirmed: int | None = None
    operator: str | None = None


def new_key(db: sqlite3.Connection, member: Member) -> NewKey | None:
    """The beginning of a member's chain if it is a new one; None for a key that came as it should."""
    link, how = beginning(member)
    row = db.execute(
        "SELECT how, confirmed, operator FROM peer_key WHERE node = ? AND kid = ?", (member.node, link.kid)
    ).fetchone()
    if row is not None:
        return NewKey(member.node, link.kid, row[0], link.since, row[1], row[2])
    return None if how == "first" else NewKey(member.node, link.kid, how, link.since)


def check(db: sqlite3.Connection, member: Member) -> None:
    """Raises key-unconfirmed."""
    found = new_key(db, member)
    if found is not None and found.confirmed is None:
        raise ProtocolError("key-unconfirmed", field="node", got=member.node)


def sealing_public(db: sqlite3.Connection, ctx: Context, node: str, now: int) -> SealingPublic:
    """The key to seal to. Raises what `ctx.sealing_public` does, and key-unconfirmed."""
    key = ctx.sealing_public(node, now)
    check(db, ctx.membership.member(node))
    return key


def is_open(db: sqlite3.Connection, member: Member) -> bool:
    """May anything be sealed to it?"""
    found = new_key(db, member)
    return found is None or found.confirmed is not None


def confirm(tx: sqlite3.Connection, member: Member, words: str, operator: str, now: int) -> NewKey:
    """Somebody compared the words over the telephone. Raises not-asked, words-differ; twice is once.

    The words are those of the key in force: it follows from the new one by the member's own signatures.
    """
    found = new_key(tx, member)
    if found is None:
        raise ProtocolError("nothing-to-confirm", field="node", got=member.node)
    if not matches(member.current.key.raw, words):
        raise ProtocolError("words-differ", field="words")
    if found.confirmed is not None:
        return found
    note(tx, found, now)
    tx.execute(
        "UPDATE peer_key SET confirmed = ?, operator = ? WHERE node = ? AND kid = ?",
        (now, operator, found.node, found.kid),
    )
    return found._replace(confirmed=now, operator=operator)


def note(tx: sqlite3.Connection, found: NewKey, now: int) -> bool:
    """Remembers a new beginning; True when it was not known."""
    before = tx.execute("SELECT 1 FROM peer_key WHERE node = ? AND kid = ?", (found.node, found.kid)).fetchone()
    if before is None:
        tx.execute(
            "INSERT INTO peer_key (node, kid, how, since, seen) VALUES (?, ?, ?, ?, ?)",
            (found.node, found.kid, found.how, found.since, now),
        )
    return before is None


def words_of(member: Member) -> str:
    """The eight words the other office reads on its own screen."""
    return " ".join(fingerprint(member.current.key.raw))
