"""Members' statements and the document they make: who may change a key, what is signed again, what is about to end."""

import json

import pytest

from protocol.limits import DAY
from protocol.statements import sign_key_statement
from protocol.strict import b64u_encode
from protocol.suite import S1
from registry import expiry, quota
from registry.expiry import LEVELS, Term
from schemas.membership import KeyStatement, SealingKey
from tests.registry.test_admissions import refused
from tests.registry.world import Body, World, line


@pytest.fixture
def member(world: World) -> Body:
    return world.member("comune-tavullia")


def rotate(world: World, body: Body, reason: str = "rotation", signer: object = None, n: int = 2) -> str:
    old, body.key = body.key, S1.signing_key(world.dice.bytes(32))
    statement = KeyStatement(
        net=world.net, node=body.node, n=n, x=b64u_encode(body.key.public), prev=old.kid,
        iat=world.clock.now(), reason=reason,
    )  # fmt: skip
    return sign_key_statement(statement, signer or old)


def test_a_rotation_with_its_routes_is_one_version(world, member):
    before = world.members.version
    old = member.key
    answer = world.state(rotate(world, member), member.routes(world.clock.now(), 2))
    held = world.members
    assert answer.version == held.version == before + 1
    assert held.member(member.node).current.kid == member.key.kid and not held.unroutable
    assert held.signing_key(member.node, old.kid).status == "superseded"
    entries = world.read(lambda db: [json.loads(row[0]) for row in db.execute("SELECT line FROM leaf ORDER BY seq")])
    assert [(e["type"], e["node"], e["ver"]) for e in entries[-2:]] == [
        ("key", member.node, 2),
        ("members", "", held.version),
    ]


@pytest.mark.feature("F004-19")
def test_the_registry_alone_changes_no_key(world, member):
    server = world.engine.board.online_key(world.members.root)
    text = rotate(world, member, signer=server)
    refused("key-chain", lambda: world.state(text, member.routes(world.clock.now(), 2)))
    refused("bad-signature", lambda: world.state(_resigned(world, member, server)))
    assert world.members.version == 2


def _resigned(world: World, member: Body, server: object) -> str:
    """Routes with the member's kid in the header and the server's signature under it."""
    from protocol.strict import b64u_encode as encode

    text = member_key_routes(world)
    head, payload, _ = text.split(".")
    return f"{head}.{payload}.{encode(server.sign(f'{head}.{payload}'.encode()))}"


def member_key_routes(world: World) -> str:
    """A well-formed statement under the key that is in force."""
    held = world.members.member("comune-tavullia")
    stand_in = Body(world.net, "comune-tavullia", world.dice)

    class Claimed:
        kid = held.current.kid

        @staticmethod
        def sign(data: bytes) -> bytes:
            return bytes(64)

    stand_in.key = Claimed()
    return stand_in.routes(world.clock.now(), 2)


def test_a_compromised_key_is_revoked_and_signs_nothing_more(world, member):
    thief = Body(world.net, member.node, world.dice)
    thief.key = member.key
    world.state(rotate(world, member, "compromise"), member.routes(world.clock.now(), 2))
    assert world.members.signing_key(member.node, thief.key.kid).status == "revoked"
    refused("revoked-key", lambda: world.post(thief.catalogue([line()], world.clock.now())))
    refused("unknown-key", lambda: world.state(thief.routes(world.clock.now(), 3)))
    second = rotate(world, thief)
    refused("key-chain", lambda: world.state(second))


def test_a_key_is_never_used_again(world, member):
    other = world.member("comune-gradara")
    old = member.key
    statement = KeyStatement(
        net=world.net, node=member.node, n=2, x=b64u_encode(other.key.public), prev=old.kid, iat=world.clock.now()
    )
    member.key = other.key
    refused("bad-key", lambda: world.state(sign_key_statement(statement, old), member.routes(world.clock.now(), 2)))


def test_numbers_of_routes_never_fall_and_repeats_are_harmless(world, member):
    now = world.clock.now()
    new = member.routes(now, 3, urls=["https://tavullia.example"])
    version = world.state(new).version
    assert world.state(new).version == version
    refused("members-rollback", lambda: world.state(member.routes(now, 2)))
    refused("members-rollback", lambda: world.state(member.routes(now, 3, urls=["https://altrove.example"])))
    assert world.members.member(member.node).urls(now) == ("https://tavullia.example",)


def test_routes_announced_for_later_come_into_force_by_themselves(world, member):
    now = world.clock.now()
    later = now + 3 * DAY
    world.state(member.routes(later, 2, iat=now, urls=["https://nuovo.example"]))
    entry = world.members.member(member.node)
    assert entry.routes_next.statement.n == 2 and entry.routes.statement.n == 1
    assert (entry.urls(now), entry.urls(later)) == ((), ("https://nuovo.example",))
    world.clock.t = later
    assert world.run(world.engine.daily)
    assert world.members.member(member.node).routes.statement.n == 2
    assert world.members.member(member.node).routes_next is None


def test_statements_that_cannot_be_are_refused(world, member):
    now = world.clock.now()
    refused("from-the-future", lambda: world.state(member.routes(now, 2, iat=now + 1000)))
    refused("bad-shape", lambda: world.state(member.routes(now, 2, relays=["sconosciuto"])))
    refused("wrong-network", lambda: world.state(member.routes(now, 2, net="A" * 43)))
    refused("bad-shape", lambda: world.state())
    other = world.member("comune-gradara")
    refused("bad-shape", lambda: world.state(member.routes(now, 2), other.routes(now, 2)))
    refused("not-a-member", lambda: world.state(Body(world.net, "nessuno", world.dice).routes(now, 1)))
    low = SealingKey(b64u_encode(bytes(32)), now)
    refused("bad-key", lambda: world.state(member.routes(now, 2, sealing=[low])))


def test_statements_are_counted_by_the_day(world, member, monkeypatch):
    monkeypatch.setitem(quota.A_DAY, "statements", 1)
    now = world.clock.now()
    world.state(member.routes(now, 2))
    world.state(member.routes(now, 2))  # the same again costs nothing
    refused("too-many", lambda: world.state(member.routes(now, 3)))
    world.clock.t += DAY
    assert world.state(member.routes(now, 3)).version == world.members.version


def test_what_was_prepared_before_a_suspension_is_checked_again(world, member):
    raw = json.dumps({"statements": [member.routes(world.clock.now(), 2)]}).encode()
    stated = world.read(lambda db: world.engine.prepare_statement(db, raw))
    world.run(lambda tx: world.engine.suspend(tx, member.node))
    refused("suspended", lambda: world.run(lambda tx: world.engine.state(tx, stated)))


def test_the_document_is_signed_again_every_day_and_chained(world, member):
    first = world.members
    assert not world.run(world.engine.daily)
    world.clock.t += DAY - 1
    assert not world.run(world.engine.daily)
    world.clock.t += 1
    assert world.run(world.engine.daily)
    second = world.members
    assert (second.version, second.doc.prev) == (first.version + 1, first.digest)
    assert second.doc.exp - second.doc.iat == 7 * DAY
    assert second.freshness(world.clock.now()) == "fresh"
    assert second.freshness(world.clock.now() + 8 * DAY) == "degraded"


# -- what is about to end


@pytest.mark.parametrize("days", LEVELS)
def test_each_term_is_warned_about_at_sixty_thirty_and_seven_days(world, member, days):
    now = world.clock.now()
    world.publish(member, [line()])
    term = Term("publication", member.node, now + days * DAY)
    (found,) = [one for one in expiry.warnings(world.members, [term], now) if one.what == "publication"]
    assert (found.level, found.days, found.node) == (days, days, member.node)
    earlier = [one for one in expiry.warnings(world.members, [term], now - 1) if one.what == "publication"]
    assert [one.level for one in earlier] == [level for level in LEVELS if level > days][:1]


def test_what_has_ended_is_level_zero_and_comes_first(world, member):
    world.publish(member, [line()])
    now = world.clock.now()
    found = expiry.warnings(world.members, [Term("publication", member.node, now - 1)], now)
    assert found[0] == expiry.Expiry("publication", member.node, now - 1, 0, 0)


@pytest.mark.parametrize(
    ("what", "lasts"),
    [("root", 13 * 2_629_746), ("signing-key", 365 * DAY), ("sealing-key", 90 * DAY), ("publication", 180 * DAY)],
)
def test_root_keys_and_catalogues_are_all_watched(world, member, what, lasts):
    began = world.clock.now()
    world.publish(member, [line()])
    for days in sorted(LEVELS, reverse=True):
        world.clock.t = began + lasts - days * DAY
        world.run(world.engine.daily)
        levels = [one.level for one in world.read(world.engine.warnings) if one.what == what]
        assert levels == [days], (what, days)
    world.clock.t = began + lasts - 61 * DAY
    assert not [one for one in world.read(world.engine.warnings) if one.what == what]


def test_a_members_document_nobody_signs_again_is_watched(world, member):
    assert not [one for one in world.read(world.engine.warnings) if one.what == "members"]
    world.clock.t += 3 * DAY
    assert [one.level for one in world.read(world.engine.warnings) if one.what == "members"] == [7]


def test_suspended_members_are_not_warned_about(world, member):
    world.publish(member, [line()])
    world.run(lambda tx: world.engine.suspend(tx, member.node))
    world.clock.t += 179 * DAY
    assert not [one for one in world.read(world.engine.warnings) if one.node == member.node]
