"""The calendar of a member's own keys, over years of any length of turn: what is stated, what is kept, what is forgotten."""

from itertools import pairwise
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import rotation
from protocol.limits import DAY, LIFETIME_MAX
from protocol.rotation import Held
from schemas.membership import Policy
from tests.protocol.network import T0, Network, signer

POLICY = Policy()


class Keys(NamedTuple):
    """A body that turns now and then, as node.keys.own does; `known`: x → from, as its entry shows them."""

    held: list
    known: dict

    def turn(self, now, *, shown=True):
        held, known = self
        used = rotation.in_use(held, known, now)
        place = next((i for i, key in enumerate(held) if key.kid == used), None)
        if place is not None:
            held[: place + 1] = [key._replace(state="old") for key in held[:place]] + [
                held[place]._replace(state="current")
            ]
        gone = rotation.to_forget(held, known, POLICY, now)
        held[:] = [key for key in held if key.kid not in gone]
        if rotation.sealing_due(held, known, POLICY, now):
            held.append(Held(f"k{now}", f"x{now}", "next", now))
        stated = rotation.to_state(held, known, POLICY, now)
        if shown:
            known.clear()
            known.update({key.x: key.since for key in stated})
        return stated


def begun():
    return Keys([Held("k", "x", "current", T0)], {"x": T0})


steps = st.lists(st.tuples(st.integers(60, 40 * DAY), st.booleans()), min_size=1, max_size=120)


@given(steps)
@settings(max_examples=150, deadline=None)
def test_whatever_a_sender_may_still_have_sealed_to_opens(walk):
    """A key that was in use at any moment is held for the life of a sealing, and as long as senders may not know."""
    keys, now, used = begun(), T0, {}
    for seconds, shown in walk:
        now += seconds
        keys.turn(now, shown=shown)
        in_use = rotation.in_use(keys.held, keys.known, now)
        assert in_use is not None  # there is always a key to seal to
        used[in_use] = now
        held = {key.kid for key in keys.held}
        stale = LIFETIME_MAX + POLICY.degraded_days * DAY
        assert all(kid in held for kid, last in used.items() if now - last <= stale)


@given(steps)
@settings(max_examples=150, deadline=None)
def test_what_is_stated_stays_small_and_in_order_and_settles(walk):
    keys, now = begun(), T0
    for seconds, _ in walk:
        now += seconds
        stated = keys.turn(now)
        assert 1 <= len(stated) <= 8
        begins = [key.since for key in stated]
        assert begins == sorted(begins)
        assert [key.x for key in rotation.to_state(keys.held, keys.known, POLICY, now)] == [key.x for key in stated]
        assert len(keys.held) <= len(stated) + 2


def test_at_the_ordinary_pace_a_key_is_used_ninety_days_and_there_are_never_more_than_two():
    keys, now, changes = begun(), T0, []
    for _ in range(24 * 400):
        now += DAY // 24
        keys.turn(now)
        in_use = rotation.in_use(keys.held, keys.known, now)
        if not changes or changes[-1][1] != in_use:
            changes.append((now, in_use))
        assert len(keys.held) <= 2
    gaps = [round((b[0] - a[0]) / DAY) for a, b in pairwise(changes)]
    assert gaps == [90, 90, 90, 90]


def test_what_another_may_hold_is_named_no_more_and_never_again():
    old, new = Held("k", "x", "current", T0), Held("n", "y", "next", T0 + DAY)
    now = T0 + DAY
    assert [key.x for key in rotation.to_state([old, new], {"x": T0}, POLICY, now, at_once=True)] == ["y"]
    after = [old._replace(state="old"), new._replace(state="current")]
    for days in range(1, 200, 7):
        assert [key.x for key in rotation.to_state(after, {"y": now}, POLICY, now + days * DAY)] == ["y"]
    assert rotation.to_forget(after, {"y": now}, POLICY, now + 69 * DAY) == []
    assert rotation.to_forget(after, {"y": now}, POLICY, now + 70 * DAY) == ["k"]


@given(st.lists(st.sampled_from(["rotation", "compromise", "recovery"]), max_size=8))
@settings(max_examples=40, deadline=None)
def test_a_chain_begins_at_its_last_recovery(reasons):
    network = Network()
    keys = [signer("ente"), *(signer(f"ente-{i}") for i in range(len(reasons)))]
    from tests.protocol.network import x

    admission = network.admission("ente", recovery=x(signer("offline")))
    texts = [
        network.key_statement(
            "ente", keys[i + 1], keys[i], n=i + 2, reason=reason, by=signer("offline") if reason == "recovery" else None
        )
        for i, reason in enumerate(reasons)
    ]
    network.add("ente", admission=admission, keys=texts, routes=network.routes("ente", key=keys[-1]))
    link, how = rotation.beginning(network.step().members["ente"])
    last = max((i for i, reason in enumerate(reasons) if reason == "recovery"), default=None)
    assert (link.kid, how) == ((keys[0].kid, "first") if last is None else (keys[last + 1].kid, "recovery"))
