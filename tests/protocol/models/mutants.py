"""Bugs planted in the machine on purpose: the model has to find each. Not used outside tests."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from protocol.finality import is_final
from protocol.referral import Event, Leg, Writer, effective, fold
from tests.protocol.models.interleavings import Rules

Log = Sequence[Event]


def by_time(s_log: Log, r_log: Log) -> Leg:
    """Order by clocks (the model's stamps are perfect ones) instead of by what R had seen."""
    s_events = effective(s_log)
    earlier = [sum(int(s.cm[1:]) < int(r.cm[1:]) for s in s_events) for r in effective(r_log)]
    return fold(s_events, [msgspec.structs.replace(r, seen=k) for r, k in zip(effective(r_log), earlier, strict=True)])


def sender_first(s_log: Log, r_log: Log) -> Leg:
    """All of S, then R: `seen` ignored."""
    return fold(s_log, [msgspec.structs.replace(event, seen=10**6) for event in r_log])


def receiver_first(s_log: Log, r_log: Log) -> Leg:
    """R's events as early as the offer allows, whatever they had seen."""
    return fold(s_log, [msgspec.structs.replace(event, seen=min(event.seen, 1)) for event in r_log])


def any_answer_opens(s_log: Log, r_log: Log) -> Leg:
    """An answer written before R asked again still counts."""
    return fold([msgspec.structs.replace(e, seen=10**6) if e.kind == "answer" else e for e in s_log], r_log)


def first_content_wins(s_log: Log, r_log: Log) -> Leg:
    """A void that arrives after what it names is ignored."""

    def first(log: Log) -> list[Event]:
        return sorted({event.n: event for event in reversed(log)}.values(), key=lambda event: event.n)

    return fold(first(s_log), first(r_log))


def over_gaps(s_log: Log, r_log: Log) -> Leg:
    """What waits behind a gap is applied at once."""

    def squeeze(log: Log) -> list[Event]:
        known = sorted({e.n: e for e in log}.values(), key=lambda event: event.n)
        return [msgspec.structs.replace(event, n=n) for n, event in enumerate(known, 1)]

    return fold(squeeze(s_log), squeeze(r_log))


def final_without_h(leg: Leg, side: Writer, *, acks: Mapping[int, int], gap: bool, peer_ended: bool = False) -> bool:
    """Any acknowledgement settles a cancel."""
    return is_final(leg, side, acks=dict.fromkeys(acks, 0), gap=False, peer_ended=peer_ended)


def final_when_written(leg: Leg, side: Writer, *, acks: Mapping[int, int], gap: bool, peer_ended: bool = False) -> bool:
    """A terminal state is final."""
    return leg.is_terminal


RULES: Final[dict[str, tuple[Rules, str]]] = {
    "ties broken by time": (Rules(fold=by_time), "plain"),
    "the sender always first": (Rules(fold=sender_first), "plain"),
    "the receiver always first": (Rules(fold=receiver_first), "plain"),
    "any answer opens": (Rules(fold=any_answer_opens), "plain"),
    "the first content wins over its void": (Rules(fold=first_content_wins), "takeback"),
    "gaps are jumped": (Rules(fold=over_gaps), "plain"),
    "finality ignores h": (Rules(is_final=final_without_h), "plain"),
    "terminal means final": (Rules(is_final=final_when_written), "plain"),
}
# Rows of the table changed: (state, writer, kind) → wrong target.
ROWS: Final[dict[str, tuple[tuple[str, str, str], str]]] = {
    "keep returns to accepted": (("cancel-requested", "R", "keep"), "accepted"),
    "cancel ends an accepted referral": (("accepted", "S", "cancel"), "cancelled"),
    "release of a cancelled one says released": (("cancel-requested", "R", "release"), "released"),
}
