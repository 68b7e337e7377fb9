"""Whether what a screen shows of a leg can still change. Not the state itself (protocol.referral)."""

from collections.abc import Mapping, Sequence

from protocol.referral import Event, Leg, Writer


def is_final(leg: Leg, side: Writer, *, acks: Mapping[int, int], gap: bool, peer_ended: bool = False) -> bool:
    """True if no event still to come can change this terminal state (PROTOCOL §6, Finality).

    `acks`: for each own event n that the peer acknowledged as `processed`, the `h` of that acknowledgement. `gap`: a
    peer event waits here behind one that is missing (`has_gap`). `peer_ended`: the peer's membership status is *ended*.

    R's terminal events stand when written, and what R has applied of S is in R's own order: at R a terminal is final.
    At S, `cancel` and `lapse` are provisional until R has said how far its own log went when it applied them (`h`)
    and S holds that much of it; a `lapse` against an ended member is final at once, because nothing of that
    member's is applied any more. An undeliverable offer is S's own knowledge.
    """
    settled_by = leg.settled_by
    if settled_by is None:
        return False
    if side == "R" or settled_by.writer == "R" or settled_by.kind == "void":
        return True
    if settled_by.kind == "lapse" and peer_ended:
        return True
    h = acks.get(settled_by.n)
    return h is not None and h <= leg.r_count and not gap


def may_take_back(n: int, *, acks: Mapping[int, int], peer_log: Sequence[Event]) -> bool:
    """True while the writer of event `n` has no sign that the peer applied it: only then may a takeback become `void`.

    The acknowledgement of a later event is such a sign, and so is a peer event whose `seen` reaches `n`, even one
    that still waits behind a gap: without this rule a state shown as final can be undone (ADR 0011).
    """
    return n > max(acks, default=0) and n > max((event.seen for event in peer_log), default=0)
