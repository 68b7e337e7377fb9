"""A lost device, a key in its place, and the people at the other offices who confirm it; below every threshold nothing."""

import msgspec
import pytest

from node import requests as ask
from node.cases import operators
from node.keys import commands as keys
from node.keys import confirming, own, recovering
from protocol import jws
from protocol.errors import ProtocolError
from protocol.statements import GENERAL_MAX
from protocol.strict import b64u_encode
from protocol.suite import S1
from registry import recovery
from schemas.membership import KeyStatement
from tests.exchange.desks import states as leg_states
from tests.keys.net import Net, alarms
from tests.protocol.network import seed, signer, x


@pytest.fixture
def net(tmp_path):
    return Net(tmp_path, "tavullia", "distretto")


def refused(code, call, *args):
    with pytest.raises(ProtocolError) as error:
        call(*args)
    assert error.value.code == code
    return error.value


def new_machine(net, name):
    """The old one is gone with everything on it; what is made anew has other keys and an empty store."""
    net.desks[name].store.close()
    desk = net.desk(name, net.path / "new", session=7)
    for use in ("signing", "sealing"):
        fresh = seed(f"new-{name}-{use}")
        getattr(desk.ctx.keystore, f"add_{use}")(fresh, getattr(S1, f"{use}_key")(fresh).kid, net.clock.at)
    ring = desk.ctx.keystore
    for kid in [key.kid for key in ring.entries()][:2]:
        ring.retire(kid)
        ring.destroy(kid)
    desk.ctx.reload_keys()
    net.desks[name] = desk
    net.refresh(name)
    return desk


def recover(net, name, label=None):
    desk = net[name]
    return desk.run(lambda tx: recovering.with_key(tx, desk.ctx, seed(label or f"emergency-{name}")))


def confirm(net, at, of, words=None, as_="OP"):
    desk = net[at]
    told = words or confirming.words_of(net[of].ctx.membership.member(of))
    return desk.run(lambda tx: keys._confirm(tx, _body(desk), ask.ConfirmKey(node=of, words=told, as_=as_)))


def _body(desk):
    return type("Body", (), {"ctx": desk.ctx})


def test_after_a_loss_the_emergency_key_puts_a_new_key_in_its_place_and_people_confirm_it(net):
    peer = net["distretto"]
    leg = peer.refer("tavullia").leg  # sealed to a key that is lost
    lost = net.world.members.member("tavullia")
    desk = new_machine(net, "tavullia")
    assert alarms(desk) >= {"own-entry-foreign-key"}
    recover(net, "tavullia")
    net.settle()
    now = net.world.members.member("tavullia")
    assert (now.current.how, now.current.kid) == ("recovery", desk.ctx.keys.signing.kid)
    assert now.states[lost.current.kid].status == "revoked"
    assert alarms(peer) == {"key-new"}
    # told, held back, and refused until somebody has telephoned
    net.carry()
    assert desk.one("SELECT COUNT(*) FROM leg") == 0
    refused("key-unconfirmed", peer.refer, "tavullia")
    confirm(net, "distretto", "tavullia")
    assert alarms(peer) == set()
    net.wait()
    assert leg_states(leg, peer, desk) == ["offered", "offered"]
    desk.act(leg, "accept")
    net.wait()
    assert leg_states(leg, peer, desk) == ["accepted", "accepted"]


def test_the_new_machine_writes_to_others_before_they_confirm_and_its_messages_are_taken(net):
    """It is sealing to a key nobody has confirmed that is refused, not hearing from it: the guarantors vouch for it."""
    desk = new_machine(net, "tavullia")
    recover(net, "tavullia")
    net.settle()
    leg = desk.refer("distretto").leg
    net.wait(2)
    peer = net["distretto"]
    assert leg_states(leg, desk, peer) == ["offered", "offered"]
    refused("key-unconfirmed", peer.act, leg, "accept")
    confirm(net, "distretto", "tavullia")
    peer.act(leg, "accept")
    net.wait(3)
    assert leg_states(leg, desk, peer) == ["accepted", "accepted"]


def test_what_a_peer_was_about_to_say_waits_for_the_confirmation_and_is_not_lost(net):
    desk, peer = net["tavullia"], net["distretto"]
    leg = desk.refer("distretto").leg
    net.carry()
    net.online["tavullia"] = False
    peer.act(leg, "accept")
    desk.run(lambda tx: recovering.with_key(tx, desk.ctx, seed("emergency-tavullia")))  # restored, with its cases
    net.settle("tavullia")
    net.online["tavullia"] = True
    net.refresh()
    net.wait(3)
    assert leg_states(leg, desk, peer) == ["offered", "accepted"]
    assert peer.one("SELECT COUNT(*) FROM outgoing") == 1
    confirm(net, "distretto", "tavullia")
    net.wait(3)
    assert leg_states(leg, desk, peer) == ["accepted", "accepted"]


def test_other_words_confirm_nothing(net):
    recover(net, "tavullia")
    net.settle()
    wrong = "amaca partita civetta museo energia borea tema carciofo"
    refused("words-differ", confirm, net, "distretto", "tavullia", wrong)
    refused("key-unconfirmed", net["distretto"].refer, "tavullia")
    net["distretto"].run(lambda tx: operators.add(tx, "VO", "RL-VOLONT", None, 0))
    refused("role-forbidden", confirm, net, "distretto", "tavullia", None, "VO")


def test_a_key_that_came_as_it_should_is_not_to_be_confirmed(net):
    desk = net["tavullia"]
    refused("nothing-to-confirm", confirm, net, "distretto", "tavullia")
    desk.run(lambda tx: own.begin(tx, desk.ctx, "rotation", signing=True, sealing=True))
    net.settle()
    refused("nothing-to-confirm", confirm, net, "distretto", "tavullia")
    net["distretto"].refer("tavullia")


def test_a_rotation_after_a_confirmed_recovery_is_not_confirmed_again_and_another_recovery_is(net):
    desk, peer = net["tavullia"], net["distretto"]
    recover(net, "tavullia")
    net.settle()
    confirm(net, "distretto", "tavullia")
    desk.run(lambda tx: own.begin(tx, desk.ctx, "rotation", signing=True, sealing=True))
    net.settle()
    peer.refer("tavullia")
    recover(net, "tavullia")
    net.settle()
    refused("key-unconfirmed", peer.refer, "tavullia")
    assert alarms(peer) == {"key-new"}


def test_who_joins_later_confirms_it_too(net):
    recover(net, "tavullia")
    net.settle()
    from tests.protocol.network import sealer

    net.join("montelabbate", signer("montelabbate"), sealer("montelabbate"))
    net.refresh()
    refused("key-unconfirmed", net["montelabbate"].refer, "tavullia")


# -- bad input


def test_another_emergency_key_or_none_is_refused_before_anything_is_stated(net, tmp_path):
    refused("wrong-emergency-key", recover, net, "tavullia", "emergency-distretto")
    bare = Net(tmp_path / "bare", "tavullia", emergency=False)
    refused("no-emergency-key", recover, bare, "tavullia")
    for each in (net, bare):
        assert each["tavullia"].one("SELECT COUNT(*) FROM own_statement") == 0
        assert len(each["tavullia"].ctx.keystore.entries()) == 2


def statement(world_, **changes):
    own_ = world_.world.members.member("tavullia")
    fields = {
        "net": world_.world.net, "node": "tavullia", "n": own_.current.n + 1, "x": x(signer("thief")),
        "prev": own_.current.kid, "iat": world_.clock.at, "reason": "recovery",
    }  # fmt: skip
    return KeyStatement(**(fields | changes))


def posted(net, key_text):
    routes = net.routes("tavullia", signer("thief"), _sealing())
    routes = jws.sign_compact(signer("thief"), jws.RTS, _numbered(routes, 2))
    return net.world.state(key_text, routes)


def _sealing():
    from tests.protocol.network import sealer

    return sealer("thief")


def _numbered(text, n):
    payload = msgspec.json.decode(jws.parse_compact(text, jws.RTS, max_bytes=9000).payload)
    return msgspec.json.encode({**payload, "n": n})


@pytest.mark.parametrize(
    ("what", "changes", "by"),
    [
        ("out of order", {"n": 3, "reason": "rotation"}, "tavullia"),
        ("after a key that never was", {"prev": "A" * 43, "reason": "rotation"}, "tavullia"),
        ("by another member", {"reason": "rotation"}, "distretto"),
        ("by another member's emergency key", {}, "emergency-distretto"),
        ("a recovery by the key that is to be replaced", {}, "tavullia"),
        ("a rotation by the emergency key", {"reason": "rotation"}, "emergency-tavullia"),
        ("a compromise by the emergency key", {"reason": "compromise"}, "emergency-tavullia"),
        ("of another network", {"net": "A" * 43}, "emergency-tavullia"),
    ],
)
def test_a_statement_that_does_not_follow_changes_nothing(net, what, changes, by):
    before = net.world.members.version
    text = jws.sign_compact(signer(by), jws.KEY, msgspec.json.encode(statement(net, **changes)))
    refused("key-chain", posted, net, text)
    assert net.world.members.version == before, what
    net["distretto"].refer("tavullia")
    assert net.carry() == 1


def test_a_statement_replayed_after_the_next_one_is_refused_and_the_next_one_stands(net):
    desk = net["tavullia"]
    texts = []
    for _ in range(2):
        texts.append(desk.run(lambda tx: own.begin(tx, desk.ctx, "rotation", signing=True, sealing=False)).texts)
        net.settle()
    version, chain = net.world.members.version, net.world.members.member("tavullia").chain
    net.world.state(texts[1][0])  # known: answered as before
    refused("unknown-key", lambda: net.world.state(*texts[0]))  # its routes: by a key that is superseded
    thief = own_text = jws.sign_compact(
        signer("tavullia"), jws.KEY, msgspec.json.encode(statement(net, reason="rotation", x=x(signer("again"))))
    )
    refused("key-chain", lambda: net.world.state(thief))  # the first key, which is superseded
    assert own_text and net.world.members.version == version
    assert [link.kid for link in net.world.members.member("tavullia").chain] == [link.kid for link in chain]


# -- the guarantors


def asked(net, name="tavullia"):
    desk = net[name]
    return desk.run(lambda tx: recovering.request(tx, desk.ctx))


def signed(net, file, *numbers):
    for number in numbers:
        read = recovery.read_request(msgspec.json.encode(file), S1, net=net.world.net)
        file = recovery.sign(read, net.world.guarantors[number])
    return file


def test_without_an_emergency_key_the_guarantors_threshold_puts_a_new_key_in_its_place(tmp_path):
    net = Net(tmp_path, "tavullia", "distretto", emergency=False)
    desk = new_machine(net, "tavullia")
    file = asked(net)
    read = recovery.read_request(msgspec.json.encode(file), S1, net=net.world.net)
    assert read.statement.x == b64u_encode(desk.ctx.keys.signing.public)  # the words the body reads on its own screen
    one, two = signed(net, file, 0), signed(net, file, 2)
    refused("threshold", lambda: desk.run(lambda tx: recovering.with_guarantors(tx, desk.ctx, [one.signed])))
    refused("threshold", lambda: posted_general(net, one.signed))
    desk.run(lambda tx: recovering.with_guarantors(tx, desk.ctx, [one.signed, two.signed]))
    net.settle()
    member = net.world.members.member("tavullia")
    assert (member.current.how, member.current.kid) == ("recovery", desk.ctx.keys.signing.kid)
    refused("key-unconfirmed", net["distretto"].refer, "tavullia")
    confirm(net, "distretto", "tavullia")
    leg = net["distretto"].refer("tavullia").leg
    net.wait(3)
    assert leg_states(leg, net["distretto"], desk) == ["offered", "offered"]
    renewed_root_vouches(net, member.current.kid)


def posted_general(net, text):
    """Below the threshold at the registry too."""
    try:
        net.world.state(text)
    except ProtocolError as error:
        assert (error.code, error.got) == ("key-chain", "threshold")
        raise ProtocolError("threshold") from None


def renewed_root_vouches(net, kid):
    """Another set of guarantors takes over what the one before signed: the key stays."""
    from registry import ceremony

    world, before = net.world, list(net.world.guarantors)
    plan = world.plan(("Capofila", "Distretto", "Nuovo garante"))
    draft = world.read(lambda db: world.engine.next_draft(db, plan))
    world.install(ceremony.sign_root(draft, [*before[:2], *world.guarantors[:2]]))
    assert world.members.member("tavullia").current.kid == kid and not world.members.void


def test_guarantors_sign_only_a_recovery_of_that_body_and_each_counts_once(net):
    file = asked(net)
    twice = signed(net, file, 1, 1)
    assert recovery.count(recovery.read_request(msgspec.json.encode(twice), S1)) == 1
    two = signed(net, file, 0, 1)
    assert recovery.count(recovery.read_request(msgspec.json.encode(two), S1)) == 2
    stranger = net.world.guarantors[0]._replace(key=signer("stranger"))
    refused("not-a-guarantor", lambda: recovery.sign(recovery.read_request(msgspec.json.encode(file), S1), stranger))
    other = msgspec.structs.replace(file, draft=msgspec.json.encode(statement(net, reason="rotation")).decode())
    refused("key-chain", lambda: recovery.read_request(msgspec.json.encode(other), S1))
    of_other = msgspec.structs.replace(file, node="distretto")
    refused("key-chain", lambda: recovery.read_request(msgspec.json.encode(of_other), S1))
    refused("wrong-network", lambda: recovery.read_request(msgspec.json.encode(file), S1, net="A" * 43))


def test_what_guarantors_signed_for_another_key_or_for_an_entry_that_moved_on_is_refused(net):
    desk = net["tavullia"]
    payload = msgspec.json.encode(statement(net))
    text = jws.sign_general([g.key for g in net.world.guarantors], jws.KEY, payload).decode()
    refused("key-chain", lambda: desk.run(lambda tx: recovering.with_guarantors(tx, desk.ctx, [text])))
    file = signed(net, asked(net), 0, 1)
    net.settle()  # its key was stated as a rotation meanwhile
    refused("key-chain", lambda: desk.run(lambda tx: recovering.with_guarantors(tx, desk.ctx, [file.signed])))
    assert jws.parse_general(file.signed.encode(), jws.KEY, max_bytes=GENERAL_MAX)


# -- coming back


def test_who_asks_to_come_back_has_the_right_time_and_another_key(net, tmp_path):
    from node import enrolment
    from schemas.membership import Invitation

    desk = net["tavullia"]
    net.world.run(lambda tx: net.world.engine.suspend(tx, "tavullia"))
    net.refresh()
    made = net.world.run(lambda tx: net.world.engine.readmit(tx, "tavullia"))
    wish = enrolment.JoinWish(
        invitation=msgspec.convert(msgspec.to_builtins(made), Invitation),
        wanted=net.wanted("tavullia", recovery=x(signer("emergency-tavullia"))), urls=["https://tavullia.example"],
    )  # fmt: skip
    body = type("Body", (), {"ctx": desk.ctx, "clock": desk.ctx.clock})
    desk.run(lambda tx: tx.execute("INSERT INTO setting VALUES ('clock_offset', '4000')"))
    refused("clock-wrong", lambda: desk.run(lambda tx: enrolment.compose(tx, body, wish)))
    desk.run(lambda tx: tx.execute("DELETE FROM setting WHERE name = 'clock_offset'"))
    request = desk.run(lambda tx: enrolment.compose(tx, body, wish))
    assert desk.run(lambda tx: enrolment.compose(tx, body, wish)).first == request.first != x(signer("tavullia"))
    ref = net.world.join(msgspec.json.encode(request)).ref
    net.world.admit(net.world.approve(ref))
    leg = desk.refer  # the desk works on once it sees itself
    net.refresh()
    assert desk.ctx.keys.signing.kid == net.world.members.member("tavullia").current.kid
    assert alarms(desk) == {"own-entry-not-active"}  # of before; nothing looks like tampering
    assert alarms(net["distretto"]) == {"key-new"}
    refused("key-unconfirmed", net["distretto"].refer, "tavullia")
    sent = leg("distretto").leg
    net.wait(2)
    assert leg_states(sent, desk, net["distretto"]) == ["offered", "offered"]
