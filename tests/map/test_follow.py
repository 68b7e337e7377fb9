"""Following the log: from the engine's own answers, and from answers a lying board would give."""

import json
from pathlib import Path

import msgspec
import pytest

from node.map import follow
from node.map.ndjson import map_lines
from node.map.tables import SqliteMap, map_migrations
from node.runtime.store import Store
from protocol.errors import ProtocolError
from protocol.notes import Checkpoint, origin, sign_head
from protocol.statements import sign_key_statement
from protocol.strict import b64u_encode
from protocol.suite import S1
from schemas.membership import KeyStatement
from tests.registry.world import Body, World, line


class Replica:
    """A follower's store fed from the engine without HTTP."""

    def __init__(self, path: Path, world: World) -> None:
        self.world = world
        self.store = Store.open(path / "replica.db", (*map_migrations(), *follow.MIGRATIONS))
        self.fetched = 0

    def page(self, after: int | None = None) -> bytes:
        at = self.store.read(follow.held).edge.size if after is None else after
        return msgspec.json.encode(self.world.read(lambda db: self.world.engine.log_page(db, at)))

    def take(self, raw: bytes) -> int:
        page = follow.prepare_page(raw, self.store.read(follow.held), self.world.members.root)
        return self.store.run(lambda tx: follow.apply_page(tx, page))

    def sync(self) -> None:
        while self.take(self.page()):
            pass
        members = self.world.members
        self.store.run(lambda tx: follow.settle(tx, members))
        while wants := self.store.read(lambda db: list(follow.wanted(db, members))):
            checked = [self.store.read(lambda db, w=want: self.fetch(db, w)) for want in wants]
            self.store.run(lambda tx, c=checked: follow.accept_objects(tx, c, members))

    def fetch(self, db: object, want: follow.Want) -> follow.Checked:
        self.fetched += 1
        raw = self.world.read(lambda db: self.world.engine.object(db, want.hash)).bytes
        return follow.prepare_object(db, want, raw, self.world.members)

    def map(self, view: str = "members") -> bytes:
        return self.store.read(lambda db: b"".join(map_lines(SqliteMap(db).entries(), view)))


def board_map(world: World, view: str = "members") -> bytes:
    return world.read(lambda db: b"".join(map_lines(SqliteMap(db).entries(), view)))


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


@pytest.fixture
def busy(world: World) -> tuple[World, Body, Body]:
    a, b = world.member("comune-tavullia"), world.member("distretto", ptype="PT-DISTRETTO")
    world.publish(a, [line("Uno"), line("Due")])
    world.publish(a, [line("Uno", salt=True)], "network")
    world.publish(b, [line("Tre", node="distretto")])
    world.publish(a, [line("Uno"), line("Quattro")])
    return world, a, b


def test_a_replica_has_the_same_map_as_the_board_and_as_a_rebuild(busy, tmp_path):
    world, a, _ = busy
    replica = Replica(tmp_path, world)
    replica.sync()
    assert replica.map() == board_map(world) != b""
    assert replica.map("public") == board_map(world, "public") != replica.map()
    world.publish(a, [line("Uno")])
    replica.sync()
    (tmp_path / "again").mkdir()
    rebuilt = Replica(tmp_path / "again", world)
    rebuilt.sync()
    assert rebuilt.map() == replica.map() == board_map(world)
    assert rebuilt.fetched < replica.fetched


def test_a_small_change_fetches_only_what_is_new(busy, tmp_path):
    world, a, _ = busy
    replica = Replica(tmp_path, world)
    replica.sync()
    before = replica.fetched
    world.publish(a, [line("Uno"), line("Quattro"), line("Cinque")])
    replica.sync()
    assert replica.fetched - before == 2


def test_suspended_members_are_hidden_and_ended_ones_gone(busy, tmp_path):
    world, _, _ = busy
    replica = Replica(tmp_path, world)
    replica.sync()
    world.run(lambda tx: world.engine.suspend(tx, "comune-tavullia"))
    world.run(lambda tx: world.engine.end(tx, "distretto"))
    replica.sync()
    assert replica.map() == board_map(world) == b""


def test_what_a_readmitted_member_published_before_is_gone_for_followers_and_for_rebuilds(busy, tmp_path):
    world, a, _ = busy
    replica = Replica(tmp_path, world)
    replica.sync()
    world.run(lambda tx: world.engine.suspend(tx, "comune-tavullia"))
    code = world.run(lambda tx: world.engine.readmit(tx, "comune-tavullia")).code
    back = world.body("comune-tavullia")
    world.admit(world.approve(world.join(back.request(world.protocol, world.clock.now(), code)).ref))
    (tmp_path / "again").mkdir()
    rebuilt = Replica(tmp_path / "again", world)
    for one in (replica, rebuilt):
        one.sync()
        assert one.map() == board_map(world)
        assert b"comune-tavullia" not in one.map()
    back.held = a.held
    world.publish(back, [line("Uno")])
    for one in (replica, rebuilt):
        one.sync()
        assert one.map() == board_map(world)
        assert b"comune-tavullia" in one.map()


def test_a_publication_signed_before_its_key_was_compromised_still_counts(busy, tmp_path):
    world, a, _ = busy
    old, a.key = a.key, S1.signing_key(world.dice.bytes(32))
    statement = KeyStatement(
        net=world.net,
        node=a.node,
        n=2,
        x=b64u_encode(a.key.public),
        prev=old.kid,
        iat=world.clock.now(),
        reason="compromise",
    )
    world.state(sign_key_statement(statement, old), a.routes(world.clock.now(), 2))
    replica = Replica(tmp_path, world)
    replica.sync()
    assert replica.map() == board_map(world)
    assert b"Quattro" in replica.map()


def test_a_withdrawn_record_leaves_every_map(busy, tmp_path):
    world, _, _ = busy
    replica = Replica(tmp_path, world)
    replica.sync()
    entry = next(json.loads(row) for row in board_map(world).splitlines() if b"Quattro" in row)
    leaf = entry["leaf"] if "leaf" in entry else entry["public"]["leaf"]
    world.run(lambda tx: world.engine.withdraw(tx, leaf))
    (tmp_path / "again").mkdir()
    rebuilt = Replica(tmp_path / "again", world)
    for one in (replica, rebuilt):
        one.sync()
        assert one.map() == board_map(world)
        assert b"Quattro" not in one.map()


def test_a_replica_works_offline_from_its_tables(busy, tmp_path):
    world, _, _ = busy
    replica = Replica(tmp_path, world)
    replica.sync()
    shown = replica.map()
    replica.store.close()
    again = Replica(tmp_path, world)
    assert again.map() == shown
    assert again.take(again.page()) == 0


def test_a_smaller_head_is_a_rollback_and_both_notes_are_kept(busy, tmp_path):
    world, _, _ = busy
    replica = Replica(tmp_path, world)
    early = replica.page(0)
    early_page = json.loads(early)
    replica.sync()
    smaller = world.read(lambda db: db.execute("SELECT note FROM head WHERE size = 2").fetchone()[0])
    lie = json.dumps({"after": early_page["size"], "entries": [], "size": 2, "note": smaller}).encode()
    with pytest.raises(follow.HeadConflictError) as caught:
        replica.take(lie)
    assert caught.value.code == "log-rollback"
    replica.store.run(lambda tx: follow.keep_proof(tx, caught.value, 1))
    (_, code, held, shown) = replica.store.read(follow.proofs)[0]
    assert (code, held, shown) == ("log-rollback", replica.store.read(follow.held).note, smaller)


def test_another_history_under_the_logs_own_key_is_a_fork(busy, tmp_path):
    world, _, _ = busy
    replica = Replica(tmp_path, world)
    replica.sync()
    edge = replica.store.read(follow.held).edge
    key = world.engine.board.log_key(world.members.root)
    forged = sign_head(Checkpoint(origin(world.net), edge.size, b"\1" * 32), key).decode()
    lie = json.dumps({"after": edge.size, "entries": [], "size": edge.size, "note": forged}).encode()
    with pytest.raises(follow.HeadConflictError) as caught:
        replica.take(lie)
    assert caught.value.code == "log-fork"
    with pytest.raises(follow.HeadConflictError):
        replica.store.read(lambda db: follow.compare_head(db, forged, world.members.root))
    note = world.read(world.engine.checkpoint)
    assert replica.store.read(lambda db: follow.compare_head(db, note, world.members.root)) == "same"


def test_entries_that_do_not_lead_to_the_head_are_refused(busy, tmp_path):
    world, _, _ = busy
    replica = Replica(tmp_path, world)
    page = json.loads(replica.page(0))
    page["entries"][1], page["entries"][2] = page["entries"][2], page["entries"][1]
    with pytest.raises(ProtocolError) as caught:
        replica.take(json.dumps(page).encode())
    assert caught.value.code == "log-fork"
    page = json.loads(replica.page(0))
    page["entries"].pop()
    with pytest.raises(ProtocolError) as caught:
        replica.take(json.dumps(page).encode())
    assert caught.value.code == "log-moved"


def test_a_head_nobody_of_the_network_signed_is_refused(busy, tmp_path):
    world, _, _ = busy
    replica = Replica(tmp_path, world)
    page = json.loads(replica.page(0))
    stranger = S1.signing_key(b"\7" * 32)
    root = world.read(lambda db: bytes(db.execute("SELECT raw FROM edge").fetchone()[0]))[8:40]
    page["note"] = sign_head(Checkpoint(origin(world.net), page["size"], root), stranger).decode()
    with pytest.raises(ProtocolError) as caught:
        replica.take(json.dumps(page).encode())
    assert caught.value.code == "bad-checkpoint"


def test_an_object_that_is_not_what_the_log_names_is_refused(busy, tmp_path):
    world, _, _ = busy
    replica = Replica(tmp_path, world)
    while replica.take(replica.page()):
        pass
    replica.store.run(lambda tx: follow.settle(tx, world.members))
    wants = replica.store.read(lambda db: list(follow.wanted(db, world.members)))
    assert {want.kind for want in wants} == {"bundle"}
    raw = {want: world.read(lambda db, w=want: world.engine.object(db, w.hash)).bytes for want in wants}
    with pytest.raises(ProtocolError) as caught:
        replica.store.read(lambda db: follow.prepare_object(db, wants[0], raw[wants[1]], world.members))
    assert caught.value.code == "catalogue-root"
    replica.store.run(lambda tx: follow.refuse(tx, wants[0], caught.value.code))
    assert wants[0] not in replica.store.read(lambda db: list(follow.wanted(db, world.members)))
    assert replica.store.read(follow.faults) == [(wants[0].node, wants[0].vis, "catalogue-root")]


def test_a_members_document_the_log_does_not_name_is_refused(busy, tmp_path):
    world, _, _ = busy
    replica = Replica(tmp_path, world)
    while replica.take(replica.page()):
        pass
    import dataclasses

    other = dataclasses.replace(world.members, digest="A" * 43)
    with pytest.raises(ProtocolError) as caught:
        replica.store.run(lambda tx: follow.settle(tx, other))
    assert caught.value.code == "members-fork"


def test_a_page_applied_twice_changes_nothing(busy, tmp_path):
    world, _, _ = busy
    replica = Replica(tmp_path, world)
    page = follow.prepare_page(replica.page(), replica.store.read(follow.held), world.members.root)
    replica.store.run(lambda tx: follow.apply_page(tx, page))
    with pytest.raises(ProtocolError) as caught:
        replica.store.run(lambda tx: follow.apply_page(tx, page))
    assert caught.value.code == "log-moved"
