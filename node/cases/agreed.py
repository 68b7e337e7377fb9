"""Whether an agreement of the network lets this body send a kind of referral to a member."""

from node.context import Context
from protocol.agreements import check_agreed, read_agreements
from protocol.members import Member


def may_send(ctx: Context, to: Member, kind: str) -> None:
    """Raises not-agreed."""
    me = ctx.member(ctx.me)
    if me is not None and (rows := ctx.membership.doc.agreements):
        check_agreed(
            read_agreements(rows), sender=ctx.me, sender_type=me.ptype, to=to.node, to_type=to.ptype, kind=kind
        )
