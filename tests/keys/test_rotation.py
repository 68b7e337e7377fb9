"""A body's own keys over the years, by its own engine and a real registry engine; interrupted wherever it can be."""

import pytest

from node.keys import own
from protocol.errors import ProtocolError
from protocol.limits import HOUR
from tests.exchange.desks import states as leg_states
from tests.keys.net import DAY, Net, alarms, states


@pytest.fixture
def net(tmp_path):
    return Net(tmp_path, "tavullia", "distretto")


def entry(net, name="tavullia"):
    return net.world.members.member(name)


def days(net, count, step=1):
    """Every body turns and posts, day by day."""
    for _ in range(0, count, step):
        net.tick(step * DAY)
        net.settle()


def test_nothing_is_stated_while_nothing_is_due(net):
    version = net.world.members.version
    assert net.post("tavullia") is None
    assert net["tavullia"].one("SELECT COUNT(*) FROM own_statement") == 0
    assert net.world.members.version == version


def test_the_sealing_key_is_announced_a_week_before_it_is_used_and_the_old_one_goes_after_seventy_days(net):
    desk = net["tavullia"]
    first = entry(net).sealing_at(net.clock.at).kid
    days(net, 82)
    assert states(desk, "seal") == ["current"]
    days(net, 1)
    assert states(desk, "seal") == ["current", "next"]
    stated = entry(net).routes.statement.sealing
    assert [key.since - net.clock.at for key in stated] == [-83 * DAY, 7 * DAY]
    assert entry(net).sealing_at(net.clock.at).kid == first
    days(net, 7)
    second = entry(net).sealing_at(net.clock.at).kid
    assert second != first and states(desk, "seal") == ["old", "current"]
    days(net, 69)
    assert len(desk.ctx.keys.sealing) == 2  # what was sealed to it by somebody long offline still opens
    days(net, 3)
    assert list(desk.ctx.keys.sealing) == [second]
    assert [key.since for key in entry(net).routes.statement.sealing] == [stated[1].since]
    assert alarms(desk) == set()


def test_the_signing_key_is_new_every_year_and_follows_on_the_one_before(net):
    desk = net["tavullia"]
    days(net, 364, 7)
    before = entry(net).current
    days(net, 7)
    after = entry(net).current
    assert (before.n, after.n, after.how) == (1, 2, "rotation")
    assert desk.ctx.keys.signing.kid == after.kid and states(desk, "sign") == ["old", "current"]
    days(net, 20, 5)
    assert [link.n for link in entry(net).chain] == [1, 2]
    assert alarms(desk) == set() and alarms(net["distretto"]) == set()


@pytest.mark.parametrize("signing", [False, True])
def test_messages_under_way_to_a_body_that_was_off_while_it_all_rotated_arrive(net, signing):
    leg = net["distretto"].refer("tavullia").leg
    net.online["distretto"] = False
    net.tick(60)
    for _ in range(2):
        net["tavullia"].run(
            lambda tx: own.begin(tx, net["tavullia"].ctx, "rotation", signing=signing, sealing=not signing)
        )
        net.settle("tavullia")
        days(net, 8)
        net.refresh("tavullia")
    net.online["distretto"] = True
    net.carry()
    net.refresh()
    net.wait()
    assert leg_states(leg, net["distretto"], net["tavullia"]) == ["offered", "offered"]
    net["tavullia"].act(leg, "accept")
    net.wait()
    assert leg_states(leg, net["distretto"], net["tavullia"]) == ["accepted", "accepted"]


class TestInterrupted:
    """Whatever dies, the next turn goes on: one chain, one key in use, nothing stated twice."""

    def due(self, net):
        net.tick(366 * DAY)
        return net["tavullia"]

    def done(self, net):
        for _ in range(3):
            net.settle()
            net.tick(HOUR)
        desk = net["tavullia"]
        assert entry(net).current.kid == desk.ctx.keys.signing.kid
        assert [link.n for link in entry(net).chain] == [1, 2]
        assert states(desk, "sign") == ["old", "current"]
        assert entry(net).sealing_at(net.clock.at + 8 * DAY).kid in desk.ctx.keys.sealing
        assert desk.one("SELECT COUNT(*) FROM own_statement WHERE state = 'waiting'") == 0

    def test_between_the_new_key_and_the_statement(self, net):
        desk = self.due(net)
        own.make(desk.ctx, "sign")
        own.make(desk.ctx, "seal")
        self.done(net)

    def test_between_the_statement_and_the_post(self, net):
        desk = self.due(net)
        first = desk.run(lambda tx: own.turn(tx, desk.ctx))
        assert desk.run(lambda tx: own.turn(tx, desk.ctx)) == first
        self.done(net)

    def test_after_the_registry_took_it_and_before_we_heard(self, net):
        self.due(net)
        version = net.world.members.version
        net.post("tavullia", lost=True)
        net.post("tavullia", lost=True)
        assert net.world.members.version == version + 1
        self.done(net)

    def test_with_the_registry_away_for_a_day(self, net):
        desk = self.due(net)
        for _ in range(20):
            posting = desk.run(lambda tx: own.turn(tx, desk.ctx))
            desk.run(lambda tx, posting=posting: own.failed(tx, desk.ctx, posting.id, ProtocolError("unreachable")))
            net.tick(HOUR)
        assert alarms(desk) == set()
        self.done(net)

    def test_when_the_store_forgot_what_the_key_file_knows(self, net):
        """A full disk: the transaction is gone, the key is there."""
        desk = self.due(net)
        net.post("tavullia")
        desk.run(lambda tx: tx.execute("DELETE FROM own_statement"))
        self.done(net)

    def test_when_our_entry_was_amended_meanwhile(self, net):
        desk = self.due(net)
        assert desk.run(lambda tx: own.turn(tx, desk.ctx)) is not None
        world = net.world
        ref = world.run(lambda tx: world.engine.amend(tx, "tavullia", name="Comune di Tavullia"))
        world.admit(world.approve(ref))
        net.refresh()
        assert alarms(desk) == {"own-entry-changed"}
        self.done(net)


def test_a_refusal_is_told_and_tried_again_with_new_bytes(net, monkeypatch):
    desk = net["tavullia"]
    net.tick(366 * DAY)
    posting = desk.run(lambda tx: own.turn(tx, desk.ctx))
    desk.run(lambda tx: own.failed(tx, desk.ctx, posting.id, ProtocolError("key-chain")))
    assert alarms(desk) == {"keys-refused"}
    assert desk.run(lambda tx: own.turn(tx, desk.ctx)) is None  # not at once, for ever
    net.tick(own.REFUSED_AGAIN)
    assert desk.run(lambda tx: own.turn(tx, desk.ctx)).id > posting.id
    net.settle()
    assert entry(net).current.kid == desk.ctx.keys.signing.kid


def test_no_key_is_changed_or_destroyed_by_a_clock_that_is_known_to_be_wrong(net):
    desk = net["tavullia"]
    net.tick(83 * DAY)
    net.settle()
    desk.run(lambda tx: tx.execute("INSERT INTO setting VALUES ('clock_offset', '40000000')"))
    desk.ctx.clock = type(net.clock)(net.clock.at + 40_000_000)
    desk.run(lambda tx: own.turn(tx, desk.ctx))
    assert states(desk, "seal") == ["current", "next"] and states(desk, "sign") == ["current"]


def test_a_suspended_body_states_nothing_and_goes_on_when_it_may(net):
    desk = net["tavullia"]
    net.world.run(lambda tx: net.world.engine.suspend(tx, "tavullia"))
    net.tick(366 * DAY)
    net.refresh()
    assert desk.run(lambda tx: own.turn(tx, desk.ctx)) is None
    with pytest.raises(ProtocolError) as refused:
        desk.run(lambda tx: own.begin(tx, desk.ctx, "rotation", signing=True, sealing=True))
    assert refused.value.code == "suspended"


# -- compromise


def test_a_compromised_key_counts_no_more_and_what_waited_is_signed_anew(net):
    desk, peer = net["tavullia"], net["distretto"]
    leg = desk.refer("distretto").leg
    back = peer.refer("tavullia").leg
    old, before = desk.ctx.keys.signing.kid, entry(net).sealing_at(net.clock.at).kid
    net.online["distretto"] = False
    desk.run(lambda tx: own.begin(tx, desk.ctx, "compromise", signing=True, sealing=True))
    net.settle("tavullia")
    assert entry(net).states[old].status == "revoked"
    assert len(entry(net).routes.statement.sealing) == 1
    assert entry(net).sealing_at(net.clock.at).kid != before
    net.online["distretto"] = True
    net.refresh()
    net.wait()
    for each in (leg, back):
        assert leg_states(each, desk, peer) == ["offered", "offered"]
    assert len(desk.ctx.keys.sealing) == 2  # post that was sealed to the old one before still opens


def test_a_receipt_under_a_revoked_key_is_signed_again_when_its_sender_asks(net):
    desk, peer = net["tavullia"], net["distretto"]
    leg = peer.refer("tavullia").leg
    (parcel,) = peer.due()
    desk.receive(parcel.items)  # and the answer is lost
    desk.run(lambda tx: own.begin(tx, desk.ctx, "compromise", signing=True, sealing=True))
    net.settle()
    net.wait()
    assert leg_states(leg, desk, peer) == ["offered", "offered"]
    assert peer.one("SELECT k FROM event WHERE leg = ?", leg) == "processed"
    assert peer.one("SELECT COUNT(*) FROM outgoing") == 0


def test_a_compromise_stays_one_however_often_it_has_to_be_stated(net):
    desk = net["tavullia"]
    old = desk.ctx.keys.signing.kid
    desk.run(lambda tx: own.begin(tx, desk.ctx, "compromise", signing=True, sealing=True))
    net.world.state(*[net.routes("distretto", net["distretto"].ctx.keys.signing, _any_sealing(net))])
    ref = net.world.run(lambda tx: net.world.engine.amend(tx, "tavullia", name="Comune di Tavullia"))
    net.world.admit(net.world.approve(ref))
    net.refresh()
    desk.run(lambda tx: own.begin(tx, desk.ctx, "rotation", signing=True, sealing=True))
    net.settle()
    assert entry(net).states[old].status == "revoked"
    assert [link.how for link in entry(net).chain] == ["first", "compromise"]


def _any_sealing(net):
    return next(iter(net["distretto"].ctx.keys.sealing.values()))
