"""Catalogues at the intake: what is refused, what is asked for again, what a member may not do."""

import json

import msgspec
import pytest

from node.map.tables import SqliteMap
from protocol import jws, publications
from protocol.errors import ProtocolError
from protocol.limits import DAY
from protocol.strict import digest
from registry import intake, quota
from schemas.catalogue import CataloguePost
from tests.registry.test_admissions import refused
from tests.registry.world import Body, World, line, uid


@pytest.fixture
def member(world: World) -> Body:
    return world.member("comune-tavullia")


def entries(world: World) -> list[str]:
    return world.read(lambda db: [entry.id for entry in SqliteMap(db).entries()])


def test_a_snapshot_replaces_the_one_before(world, member):
    world.publish(member, [line("Uno"), line("Due")])
    answer = world.publish(member, [line("Due"), line("Tre")])
    assert answer.accepted and answer.seq == world.read(
        lambda db: db.execute("SELECT MAX(seq) FROM leaf").fetchone()[0]
    )
    assert entries(world) == sorted([uid("comune-tavullia", "Due"), uid("comune-tavullia", "Tre")])


def test_posting_the_same_again_changes_nothing(world, member):
    post = member.catalogue([line("Uno")], world.clock.now())
    first = world.post(post)
    size = world.read(lambda db: db.execute("SELECT size FROM edge").fetchone()[0])
    assert world.post(post) == first
    assert world.post(msgspec.structs.replace(post, records={})) == first
    assert world.read(lambda db: db.execute("SELECT size FROM edge").fetchone()[0]) == size


def test_only_what_is_lacking_has_to_travel(world, member):
    lines = [line(f"Voce {n}") for n in range(6)]
    world.publish(member, lines)
    post = member.catalogue([*lines, line("Nuova")], world.clock.now())
    bare = msgspec.structs.replace(post, records={})
    answer = world.post(bare)
    assert (answer.accepted, len(answer.missing)) == (False, 1)
    sent = {answer.missing[0]: post.records[answer.missing[0]]}
    assert world.post(msgspec.structs.replace(post, records=sent)).accepted


def test_a_large_catalogue_may_come_in_several_posts(world, member):
    lines = [line(f"Voce {n}") for n in range(9)]
    post = member.catalogue(lines, world.clock.now())
    missing = list(post.manifest)
    for n in range(0, 9, 3):
        part = {leaf: post.records[leaf] for leaf in post.manifest[n : n + 3]}
        answer = world.post(msgspec.structs.replace(post, records=part))
        missing = [leaf for leaf in missing if leaf not in part]
        assert answer.missing == missing
        assert entries(world) == [] or answer.accepted
    assert answer.accepted and len(entries(world)) == 9
    assert world.read(lambda db: db.execute("SELECT COUNT(*) FROM staged").fetchone()[0]) == 0


def test_what_waits_for_the_rest_is_forgotten_after_a_day(world, member):
    post = member.catalogue([line("Uno"), line("Due")], world.clock.now())
    world.post(msgspec.structs.replace(post, records={post.manifest[0]: post.records[post.manifest[0]]}))
    world.clock.t += DAY + 1
    world.run(world.engine.daily)
    assert world.post(msgspec.structs.replace(post, records={})).missing == post.manifest


def test_a_catalogue_older_than_the_held_one_is_refused(world, member):
    old = member.catalogue([line("Uno")], world.clock.now())
    world.publish(member, [line("Uno")])
    world.publish(member, [line("Due")])
    refused("catalogue-too-old", lambda: world.post(old))
    skipped = member.catalogue([line("Tre")], world.clock.now(), rev=5)
    refused("catalogue-too-old", lambda: world.post(skipped))
    member.held["public"] = (2, "A" * 43)
    refused("catalogue-too-old", lambda: world.post(member.catalogue([line("Tre")], world.clock.now())))
    assert entries(world) == [uid("comune-tavullia", "Due")]


def test_a_catalogue_too_large_is_refused(world, member):
    post = member.catalogue([line("Uno")], world.clock.now())
    huge = msgspec.structs.replace(post, manifest=post.manifest * 5001)
    refused("catalogue-too-large", lambda: world.post(huge))
    with pytest.raises(ProtocolError) as caught:
        world.read(lambda db: world.engine.prepare_catalogue(db, b" " * (intake.POST_MAX + 1)))
    assert caught.value.code == "too-large"


def test_an_id_another_member_logged_first_is_refused_for_ever(world, member):
    thief = world.member("ts-filo", ptype="PT-ODV")
    stolen = uid("comune-tavullia", "Uno")
    world.publish(member, [line("Uno")])
    post = thief.catalogue([line("Altro", node="ts-filo", id=stolen)], world.clock.now())
    refused("catalogue-id-not-yours", lambda: world.post(post))
    world.publish(member, [])
    refused("catalogue-id-not-yours", lambda: world.post(post))
    assert entries(world) == []


def test_two_posts_prepared_at_once_cannot_both_take_an_id(world, member):
    other = world.member("ts-filo", ptype="PT-ODV")
    id_ = uid("contesa")
    posts = [
        member.catalogue([line("A", id=id_)], world.clock.now()),
        other.catalogue([line("B", node="ts-filo", id=id_)], world.clock.now()),
    ]
    prepared = [world.read(lambda db, p=p: world.engine.prepare_catalogue(db, msgspec.json.encode(p))) for p in posts]
    assert world.run(lambda tx: world.engine.publish(tx, prepared[0])).accepted
    refused("catalogue-id-not-yours", lambda: world.run(lambda tx: world.engine.publish(tx, prepared[1])))


def test_what_changed_between_check_and_commit_counts(world, member):
    prepared = world.read(
        lambda db: world.engine.prepare_catalogue(
            db, msgspec.json.encode(member.catalogue([line()], world.clock.now()))
        )
    )
    world.run(lambda tx: world.engine.suspend(tx, "comune-tavullia"))
    refused("suspended", lambda: world.run(lambda tx: world.engine.publish(tx, prepared)))


def test_a_publication_of_another_member_or_network_is_refused(world, member):
    other = world.member("ts-filo", ptype="PT-ODV")
    forged = Body(world.net, "comune-tavullia", world.dice)
    forged.key = other.key
    refused("unknown-key", lambda: world.post(forged.catalogue([line()], world.clock.now())))
    elsewhere = Body("A" * 43, "comune-tavullia", world.dice)
    elsewhere.key = member.key
    refused("wrong-network", lambda: world.post(elsewhere.catalogue([line()], world.clock.now())))
    nobody = Body(world.net, "comune-fantasma", world.dice)
    refused("unknown-key", lambda: world.post(nobody.catalogue([line()], world.clock.now())))


def test_times_of_a_publication_are_checked(world, member):
    now = world.clock.now()
    refused("from-the-future", lambda: world.post(member.catalogue([line()], now + 1000, exp=now + DAY)))
    refused("expired", lambda: world.post(member.catalogue([line()], now - DAY, exp=now - 1)))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"description": "<b>grassetto</b>"}, "catalogue-not-plain"),
        ({"description": "testo\u202erovesciato"}, "catalogue-not-plain"),
        ({"description": "RSSMRA80A01G479X"}, "catalogue-personal-data"),
        ({"place": "secret", "service_at_locations": [{"id": uid("l"), "location": {"id": uid("x"), "location_type": "physical", "latitude": 43.9}}]}, "catalogue-secret-place"),
        ({"status": "boh"}, "bad-shape"),
    ],
)  # fmt: skip
def test_a_record_that_may_not_be_published_is_refused(world, member, change, code):
    """Whoever signs it: the intake does not trust the writer's own checks."""
    text = json.dumps({**json.loads(line("Uno")), **change}, ensure_ascii=False)
    leaf = publications.leaf_hash(text)
    signed = member.catalogue([], world.clock.now(), rev=1)
    publication = jws.parse_compact(signed.publication, jws.CAT, max_bytes=9999).payload
    payload = json.loads(publication)
    payload |= {"count": 1, "root": publications.manifest_root([leaf])}
    post = CataloguePost(
        publication=jws.sign_compact(member.key, jws.CAT, json.dumps(payload, separators=(",", ":")).encode()),
        manifest=[leaf],
        records={leaf: text},
    )
    refused(code, lambda: world.post(post))
    assert entries(world) == []


def test_an_expired_day_gives_the_quota_back(world, member, monkeypatch):
    monkeypatch.setitem(quota.A_DAY, "publications", 2)
    world.publish(member, [line("Uno")])
    world.publish(member, [line("Due")])
    post = member.catalogue([line("Tre")], world.clock.now())
    error = refused("too-many", lambda: world.post(post))
    assert 0 < error.after <= DAY
    world.clock.t += DAY
    assert world.post(post).accepted


def test_a_refused_post_leaves_nothing(world, member):
    def everything() -> list[object]:
        return world.read(
            lambda db: [
                db.execute(f"SELECT * FROM {name}").fetchall()
                for name in ("leaf", "object", "record_owner", "record_use", "catalogue", "map_entry", "staged")
            ]
        )

    before = everything()
    good = member.catalogue([line("Uno"), line("Due")], world.clock.now())
    wrong = msgspec.structs.replace(good, manifest=list(reversed(good.manifest)))
    refused("catalogue-root", lambda: world.post(wrong))
    altered = dict(good.records)
    altered[good.manifest[0]] += " "
    refused("catalogue-root", lambda: world.post(msgspec.structs.replace(good, records=altered)))
    assert everything() == before


def test_both_chains_of_a_member_have_their_own_revisions(world, member):
    world.publish(member, [line("Uno")])
    assert world.publish(member, [line("Uno", salt=True)], "network").accepted
    chain = world.read(lambda db: db.execute("SELECT vis, rev FROM catalogue ORDER BY vis").fetchall())
    assert chain == [("network", 1), ("public", 1)]
    held = member.held["network"][1]
    assert world.read(lambda db: world.engine.object(db, held)).vis == "network"
    assert world.read(lambda db: world.engine.object(db, member.held["public"][1])).vis == "public"
    assert (
        digest(json.loads(world.read(lambda db: world.engine.object(db, held)).bytes)["publication"].encode()) == held
    )
