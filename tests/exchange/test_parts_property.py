"""Any order, doubles, loss, and a crash between any two commands, both directions at once: what arrives is what was sent."""

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.engine import MIGRATIONS, Exchange, store_path
from node.runtime.store import Store
from protocol.limits import DAY, PARTS_OUT_MAX
from protocol.strict import digest
from schemas.wire import Item
from tests.exchange import filing
from tests.exchange.filing import act, made, part_body, refer, saved, states, tick

STEPS = ("carry", "carry", "carry", "lose", "lose-answer", "twice", "late", "crash", "damage", "forge", "tick")


class Play:
    """Two desks that send each other a file while a seed decides what becomes of every parcel."""

    def __init__(self, path, sizes):
        self.ambito = filing.small(path, "tavullia", "distretto")
        self.ends = {name: self.ambito[name] for name in ("tavullia", "distretto")}
        a, b = self.ends.values()
        self.sent = made(sizes[0], 1), made(sizes[1], 2)
        self.leg = refer(a, "distretto", self.sent[0])
        [offer] = a.due()
        a.answered(offer, b.receive(offer.items).answer)
        act(b, self.leg, "ask", self.sent[1], text="e questo?")
        self.late = []

    def step(self, what, number):
        each = list(self.ends.values())[number % 2]
        if what == "crash":
            self.crash(each)
        elif what == "tick":
            self.ambito.clock.at += DAY // 2
            tick(each)
        elif what == "forge":
            self.forge(each, number)
        elif what == "late":
            for to, items in self.late:
                to.receive(items)
            self.late = []
        elif parcels := each.due():
            self.deliver(each, parcels[number % len(parcels)], what)

    def deliver(self, sender, parcel, what):
        to, items = self.ends[parcel.dest], parcel.items
        self.late.append((to, items))
        if what == "lose":
            sender.failed(parcel)
            return
        if what == "damage":
            items = [
                Item(e=item.e, s=item.s[:40] + ("A" if item.s[40] != "A" else "B") + item.s[41:]) for item in items
            ]
        received = to.receive(items)
        if what == "twice":
            received = to.receive(items)
        if what == "lose-answer":
            sender.failed(parcel)
        else:
            sender.answered(parcel, received.answer)
        assert sender.one("SELECT COUNT(*) FROM outgoing WHERE urgent = 2") <= PARTS_OUT_MAX
        self.whole_or_not_shown()

    def forge(self, sender, number):
        """A part of the right shape with other bytes, from whoever holds the sender's keys."""
        ends = list(self.ends.values())
        to, mine = ends[1 - ends.index(sender)], self.sent[ends.index(sender)]
        count = -(-len(mine) // filing.PART)
        i = 1 + number % count
        body = part_body(sender, to, self.leg, made(len(mine), 77), i, count, sha256=digest(mine))
        filing.posted(sender, to, body)

    def crash(self, each):
        path = each.store.path
        each.store.close()
        each.store = Store.open(store_path(path.parent), MIGRATIONS)
        each.exchange = Exchange(each.ctx)

    def whole_or_not_shown(self):
        ends = list(self.ends.values())
        for me, theirs, number in ((ends[1], self.sent[0], 1), (ends[0], self.sent[1], 2)):
            blob = me.one("SELECT state FROM blob WHERE own = 0")
            if blob == "complete":
                assert saved(me, self.leg, number) == theirs

    def heal(self):
        for _ in range(12):
            self.ambito.clock.at += DAY + 60
            self.ambito.membership = self.ambito.network.step(self.ambito.membership, now=self.ambito.clock.at)
            self.ambito.adopt()
            tick(*self.ends.values())
            self.ambito.carry(200)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    sizes=st.tuples(st.integers(10, 800), st.integers(10, 800)),
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 7)), max_size=60),
)
def test_what_arrives_is_what_was_sent_or_still_on_its_way_and_after_healing_nothing_is_stuck(
    tmp_path_factory, sizes, steps
):
    play = Play(tmp_path_factory.mktemp("play"), sizes)
    for what, number in steps:
        play.step(what, number)
    play.heal()
    a, b = play.ends.values()
    forged = sum(what == "forge" for what, _ in steps)
    if forged < 3:  # three wrong copies end it with an alarm, by design
        assert saved(b, play.leg, 1) == play.sent[0] and saved(a, play.leg, 2) == play.sent[1]
        assert states(a, play.leg) == ["confirmed", "complete"] and states(b, play.leg) == ["complete", "confirmed"]
    play.whole_or_not_shown()
    for each in (a, b):
        assert each.one("SELECT COUNT(*) FROM outgoing") == 0
        assert each.one("SELECT COUNT(*) FROM blob WHERE state IN ('early', 'arriving', 'sending')") == 0
    for each in (a, b):
        each.store.close()


def test_the_seeds_of_this_file_are_many_orders_of_one_file(tmp_path):
    for seed in range(20):
        play = Play(tmp_path / str(seed), (730, 420))
        dice = random.Random(seed)
        for _ in range(80):
            play.step(dice.choice([one for one in STEPS if one != "forge"]), dice.randrange(8))
        play.heal()
        a, b = play.ends.values()
        assert states(a, play.leg) == ["confirmed", "complete"] and states(b, play.leg) == ["complete", "confirmed"], (
            seed
        )
        a.store.close()
        b.store.close()
