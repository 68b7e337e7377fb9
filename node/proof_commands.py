"""Proofs of map entries and heads of the log, as rows of commands. The rules are protocol.proofs and protocol.heads."""

import sqlite3
from typing import TYPE_CHECKING, Final

from msgspec import Raw

from node import requests as ask
from node.commands import Command
from node.map import proving

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


COMMANDS: Final = {
    "proof": Command(ask.Prove, proof, writes=False),
}
