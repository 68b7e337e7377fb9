"""The orientation slip: one service of the public map for a person to take along.

It names nobody, stores nothing and sends nothing.
A body that is no member has no desk here: a referral to it becomes a slip (FEATURES F001-28). It is known by the name
that a member wrote as the provider of an entry.
"""

import sqlite3
from typing import TYPE_CHECKING

from msgspec import UNSET

from node import map_commands
from node import requests as ask
from node.answers import Slip
from node.map.wording import address

if TYPE_CHECKING:
    from node.body import Body


def slip(db: sqlite3.Connection, body: "Body", request: ask.Slip) -> Slip:
    """From the public part of the entry alone. Raises not-found."""
    sheet = map_commands.show(db, body, ask.ShowService(id=request.id, node=request.node, view="public"))
    service = sheet.service
    return Slip(
        id=sheet.id, node=sheet.node, at=body.ctx.clock.now(), name=service.name,
        body=service.provider if service.provider is not UNSET else sheet.member,
        what=service.description or "", how=service.application_process or "", for_whom=list(sheet.for_whom),
        opening=sheet.opening, hours=service.hours.text if service.hours is not UNSET else "",
        address=address(service), phones=[phone.number for phone in service.phones], email=service.email or "",
        papers=[paper.document for paper in service.required_documents],
        requirements=service.eligibility_description or "", cost=service.fees_description or "",
        waiting=service.waiting.text or "" if service.waiting is not UNSET else "",
        verified=service.verified_at or "",
        warnings=[note.text for note in sheet.warnings if note.code != "closed-now"],
    )  # fmt: skip


def given_by(db: sqlite3.Connection, body: "Body", name: str) -> bool:
    """True if some entry of the public map is given by the body of that name, whatever its case and accents."""
    return map_commands.search(db, body, ask.Search(view="public", provider=[name], limit=1)).total > 0
