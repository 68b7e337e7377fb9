"""Which struct each route takes, with one request that would be accepted: the ground every wrong field stands on."""

import msgspec

from node.enrolment import JoinWish
from node.mailbox.handlers import TakeBack
from protocol import paths
from registry.statements import StatementPost
from schemas.catalogue import CataloguePost
from schemas.membership import JoinRequest, LeaveRequest
from schemas.wire import Batch, MailboxAck
from tests.hostile.town import Town
from tests.registry.world import line

SHAPES: dict[str, type] = {
    paths.JOIN: JoinRequest,
    paths.STATEMENT: StatementPost,
    paths.LEAVE: LeaveRequest,
    paths.CATALOGUE: CataloguePost,
    paths.DOCTOR: CataloguePost,
    paths.INBOX: Batch,
    paths.MAILBOX_ROUTE: Batch,
    paths.MAILBOX_ACK_ROUTE: MailboxAck,
    paths.MAILBOX_TAKEBACK_ROUTE: TakeBack,
}


def sample(town: Town, path: str) -> dict:
    """A request of `ladro` that its route would accept; JSON."""
    return msgspec.json.decode(msgspec.json.encode(_sample(town, path)))


def _sample(town: Town, path: str) -> object:
    board, now = town.board, town.clock.now()
    if path == paths.JOIN:
        return msgspec.json.decode(town.straniero.request(board.protocol, now, None))
    if path == paths.STATEMENT:
        return {"statements": [town.ladro.routes(now, 2)]}
    if path == paths.LEAVE:
        return LeaveRequest(net=town.board.net, node="ladro")
    if path in (paths.CATALOGUE, paths.DOCTOR):
        return town.ladro.catalogue([line("Nuovo", node="ladro")], now)
    if path in (paths.INBOX, paths.MAILBOX_ROUTE):
        sealed = town.envelope(to="distretto")
        return {"items": [{"e": sealed.e, "s": sealed.s}]}
    if path == paths.MAILBOX_ACK_ROUTE:
        return {"receipts": [], "seen": ["1"]}
    return {"mids": ["A" * 43]}


__all__ = ["SHAPES", "JoinWish", "sample"]
