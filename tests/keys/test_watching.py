"""What changes about a body's own entry without its doing is told; what it did itself is not."""

import msgspec
import pytest

from node.catalogue import publishing
from node.context import set_setting
from node.keys import own, republishing, watching
from node.runtime.dice import SeededDice
from node.runtime.keystore import Keystore
from protocol import jws
from protocol.members import build_members
from protocol.publications import PUBLICATION_MAX, read_publication
from protocol.strict import digest
from schemas.catalogue import Publication
from tests.exchange.desks import Ambito
from tests.keys.net import Net, alarms
from tests.protocol.network import sealer, signer


@pytest.fixture
def net(tmp_path):
    return Net(tmp_path, "tavullia", "distretto")


def test_routes_signed_by_our_key_that_we_never_wrote_mean_that_another_holds_it(net):
    desk = net["tavullia"]
    thief = net.routes("tavullia", desk.ctx.keys.signing, sealer("thief"))
    payload = msgspec.json.decode(jws.parse_compact(thief, jws.RTS, max_bytes=9000).payload)
    net.world.state(jws.sign_compact(desk.ctx.keys.signing, jws.RTS, msgspec.json.encode({**payload, "n": 2})))
    net.refresh()
    assert alarms(desk) == {"own-entry-foreign-routes", "own-entry-foreign-sealing"}
    assert alarms(net["distretto"]) == set()
    # it states its own again at the next turn, or what the alarm says: a compromise
    desk.run(lambda tx: own.begin(tx, desk.ctx, "compromise", signing=True, sealing=True))
    net.settle()
    mine = {key.kid for key in desk.ctx.keys.sealing.values()}
    assert net.world.members.member("tavullia").sealing_at(net.clock.at).kid in mine


def test_a_key_that_is_not_ours_is_an_alarm_and_our_own_new_one_is_none(net):
    desk = net["tavullia"]
    desk.run(lambda tx: own.begin(tx, desk.ctx, "rotation", signing=True, sealing=True))
    net.settle()
    assert alarms(desk) == set()
    statement = own.key_statement(
        desk.ctx, net.world.members.member("tavullia"), signer("thief"), "rotation", net.clock.at
    )
    from protocol.statements import sign_key_statement

    net.world.state(sign_key_statement(statement, desk.ctx.keys.signing))
    net.refresh()
    assert "own-entry-foreign-key" in alarms(desk)
    before = desk.one("SELECT COUNT(*) FROM own_statement")
    desk.run(lambda tx: own.turn(tx, desk.ctx))
    assert desk.one("SELECT COUNT(*) FROM own_statement") == before  # nothing we sign would count


def test_an_entry_that_disappears_or_is_suspended_or_amended_is_told(net):
    desk = net["tavullia"]
    world = net.world
    ref = world.run(lambda tx: world.engine.amend(tx, "tavullia", territory=["041065"]))
    world.admit(world.approve(ref))
    net.refresh()
    assert alarms(desk) == {"own-entry-changed"}
    world.run(lambda tx: world.engine.suspend(tx, "tavullia"))
    net.refresh()
    assert alarms(desk) == {"own-entry-changed", "own-entry-not-active"}
    held = desk.ctx.membership
    server = world.engine.board.online_key(world.members.root)
    doc = msgspec.structs.replace(held.doc, version=held.version + 1, prev=held.digest, members=[])
    from protocol.members import read_members

    fresh = read_members(build_members(doc, server), held.root, net.clock.at, held)
    desk.run(lambda tx: watching.adopted(tx, desk.ctx, fresh))
    assert "own-entry-absent" in alarms(desk)


def test_a_document_that_hides_the_chain_before_a_return_does_not_hide_it_from_who_knew(tmp_path):
    """The registry and one guarantor in league: suspended, admitted again with a key of theirs, `former` left out."""
    ambito = Ambito(tmp_path, "tavullia", "distretto")
    peer = ambito["distretto"]
    network, held = ambito.network, ambito.membership
    network.change("tavullia", status="suspended")
    middle = network.step(held, now=ambito.clock.at)
    theirs = signer("theirs")
    network.entries["tavullia"] = network.entry(
        "tavullia", admission=network.admission("tavullia", first=theirs, seq=2),
        routes=network.routes("tavullia", key=theirs, sealing=sealer("theirs"), urls=["https://x.example"], relays=[]),
    )  # fmt: skip
    fresh = network.step(middle, now=ambito.clock.at)
    assert not fresh.members["tavullia"].entry.former
    peer.ctx.adopt(middle)
    peer.run(lambda tx: watching.adopted(tx, peer.ctx, fresh))
    peer.ctx.adopt(fresh)
    assert alarms(peer) == {"key-new"}
    with pytest.raises(Exception, match="key-unconfirmed"):
        peer.refer("tavullia")


def test_every_change_of_keys_asks_for_a_copy(tmp_path, net):
    """The loop of the copies listens to the key file: made, taken into use, destroyed."""
    desk = net["tavullia"]
    file = Keystore.create(tmp_path / "chiavi.json", SeededDice(1))
    for key in desk.ctx.keystore.entries():
        seeds = desk.ctx.keystore.signing_seed if key.use == "sign" else None
        seed = seeds()[1] if seeds else desk.ctx.keystore.sealing_seeds()[0][1]
        getattr(file, "add_signing" if key.use == "sign" else "add_sealing")(seed, key.kid, key.created)
    desk.ctx.keystore = file
    changes = []
    file.on_change = lambda: changes.append([(key.use, key.state) for key in file.entries()])
    desk.run(lambda tx: own.begin(tx, desk.ctx, "compromise", signing=True, sealing=True))
    made = len(changes)
    net.settle()
    assert made == 2 and len(changes) == 4
    again = Keystore.load(tmp_path / "chiavi.json")
    assert again.signing_seed()[0] == net.world.members.member("tavullia").current.kid


# -- publications


@pytest.fixture
def publisher(tmp_path):
    """A body with two revisions of its public chain waiting to be posted."""
    from tests.cli.town import Town, sheet

    town = Town(tmp_path, "comune-tavullia", "distretto")
    node = town["comune-tavullia"]
    node.operators(RESP="RL-RESP")
    node("import", sheet("comune-tavullia"))
    node("publish", "--as", "RESP")
    node("notice", "--all", "--text", "Chiuso per lavori", "--until", "2030-01-01", "--as", "RESP", ok=False)
    node("confirm", "--all", "--as", "RESP", ok=False)
    node("publish", "--as", "RESP")
    node.town = town
    return node


def waiting(tx):
    sql = "SELECT rev, publication, digest FROM publication_out WHERE vis = 'public' AND state = 'waiting' ORDER BY rev"
    return tx.execute(sql).fetchall()


def test_what_waits_for_the_board_is_signed_again_when_the_key_has_changed(publisher):
    def change(tx, body):
        before = waiting(tx)
        assert republishing.sign_again(tx, body.ctx, "public") == 0  # the key is the same
        own.make(body.ctx, "sign")
        old = body.ctx.keystore.signing_seed()[0]
        body.ctx.keystore.retire(old)
        body.ctx.reload_keys()
        assert republishing.sign_again(tx, body.ctx, "public") == len(before)
        return before, waiting(tx), body.ctx.keys.signing

    before, after, key = publisher.store(change)
    assert len(after) == len(before) == 2
    prev = None
    ring = type("Ring", (), {"signing_key": lambda self, node, kid: jws.KeyState(_verify(key), "current")})()
    for (rev, old, _), (again, text, name) in zip(before, after, strict=True):
        signed = read_publication(text, ring, publisher.town.network.net).publication
        was = msgspec.json.decode(jws.parse_compact(old, jws.CAT, max_bytes=PUBLICATION_MAX).payload, type=Publication)
        assert (again, signed.root, signed.count) == (rev, was.root, was.count)
        assert name == digest(text.encode()) and (prev is None or signed.prev == prev)
        prev = name


def _verify(key):
    from protocol.suite import S1

    return S1.verify_key(key.public)


def test_a_body_that_was_admitted_again_publishes_anew_and_is_told(publisher):
    publisher.town.post()

    def back(tx, body):
        first = [republishing.came_back(tx, body.ctx) for _ in range(2)]
        set_setting(tx, "own_chain", "another first key")
        return [*first, republishing.came_back(tx, body.ctx), republishing.came_back(tx, body.ctx)]

    assert publisher.store(back) == [False, False, True, False]
    assert "publish-again" in publisher("alarms", "--json").stdout
    revs = publisher.store(lambda tx, body: {c.vis: c.rev for c in publishing.chains(tx)})
    publisher("publish", "--as", "RESP")
    after = publisher.store(lambda tx, body: {c.vis: c.rev for c in publishing.chains(tx)})
    assert after == {vis: rev + 1 for vis, rev in revs.items()}
