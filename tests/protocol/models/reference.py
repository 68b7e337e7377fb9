"""PROTOCOL §6 read aloud, as slow and plain as it can be: an oracle for protocol.referral. Shares no code with it."""

from collections.abc import Sequence

from protocol.referral import Event

LAST_FOUR = ("accepted", "waiting", "in-charge", "cancel-requested")


def one_per_position(log: Sequence[Event]) -> list[Event]:
    events: list[Event] = []
    n = 1
    while here := [e for e in log if e.n == n]:
        killed = [e.voids for e in here if e.kind == "void"]
        alive = [e for e in here if e.kind != "void" and e.cm not in killed]
        events.append((alive + [e for e in here if e.kind == "void"])[0])
        n += 1
    return events


def in_order(s_log: Sequence[Event], r_log: Sequence[Event]) -> list[Event]:
    s_left, r_left = one_per_position(s_log), one_per_position(r_log)
    order: list[Event] = []
    for r in r_left:
        before = [s for s in s_left if s.n <= r.seen]
        s_left = [s for s in s_left if s.n > r.seen]
        order += [*before, r]
    return order + s_left


def next_state(state: str, event: Event, last_ask: int, before: str) -> str | None:
    """The state after, or None for an event that is not allowed."""
    k = event.kind
    if k == "frozen":
        return state
    if k == "void":
        return "undeliverable" if state == "none" and event.writer == "S" else state
    if event.writer == "S":
        if k == "offer" and state == "none":
            return "offered"
        if state in ("offered", "opened", "asked"):
            if k == "amend":
                return state
            if k == "cancel":
                return "expired" if event.reason == "no-answer" else "cancelled"
            if k == "answer":
                return "opened" if state == "asked" and event.seen >= last_ask else state
        if state in LAST_FOUR:
            if k in ("amend", "answer"):
                return state
            if k == "cancel":
                return "cancel-requested"
            if k == "lapse":
                return "lapsed"
        return None
    if state in LAST_FOUR and k in ("ask", "noted", "appointment", "rescheduled", "missed", "arrived", "forwarded"):
        return state
    if state in ("offered", "opened", "asked"):
        if k == "open":
            return "opened" if state == "offered" else None
        return {"ask": "asked", "accept": "accepted", "decline": "declined", "redirect": "redirected"}.get(k)
    if state == "accepted":
        moves = {"waitlist": "waiting", "start": "in-charge", "release": "released"}
    elif state == "waiting":
        moves = {"start": "in-charge", "release": "released"}
    elif state == "in-charge":
        moves = {}
    elif state == "cancel-requested":
        moves = {"release": "cancelled", "keep": before}
    else:
        return None
    return {**moves, "close": "closed", "withdraw": "withdrawn"}.get(k)


def reference(s_log: Sequence[Event], r_log: Sequence[Event]) -> tuple[str, frozenset[tuple[str, int]]]:
    """(state, the overruled (writer, n))."""
    state, before, last_ask = "none", "", 0
    overruled: set[tuple[str, int]] = set()
    for event in in_order(s_log, r_log):
        after = next_state(state, event, last_ask, before)
        if after is None:
            overruled.add((event.writer, event.n))
            continue
        if event.kind == "ask":
            last_ask = event.n
        if after == "cancel-requested" and state != "cancel-requested":
            before = state
        state = after
    return state, frozenset(overruled)
