"""Proofs as the board and a replica really make them: of every entry of a busy network, and of none that is gone."""

import json
import sqlite3

import pytest

from node.map import follow, proving
from node.map.tables import SqliteMap, map_migrations
from node.runtime import trust
from node.runtime.store import Store
from protocol.errors import ProtocolError
from protocol.proofs import Subject, make_proof, verify_proof
from protocol.statements import sign_key_statement
from protocol.strict import b64u_encode, digest
from protocol.suite import S1
from registry import ceremony, objects
from registry.ceremony import RootPlan
from registry.members import newest
from registry.proofs import _Keeper
from schemas.membership import KeyStatement
from tests.map.test_follow import Replica
from tests.registry.world import Body, World, line, uid

TAVULLIA = "comune-tavullia"


def rotate(world: World, body: Body, n: int, reason: str = "rotation") -> None:
    old, body.key = body.key, S1.signing_key(world.dice.bytes(32))
    statement = KeyStatement(
        net=world.net, node=body.node, n=n, x=b64u_encode(body.key.public), prev=old.kid, iat=world.clock.now(),
        reason=reason,
    )  # fmt: skip
    world.state(sign_key_statement(statement, old), body.routes(world.clock.now(), n))


def next_root(world: World) -> None:
    """The same guarantors, another root."""
    public = tuple(ceremony.as_guarantor(key) for key in world.guarantors)
    draft = world.read(lambda db: world.engine.next_draft(db, RootPlan("Ambito di prova", public, 2, 1)))
    world.install(ceremony.sign_root(draft, world.guarantors[:2]))


@pytest.fixture
def busy(world: World) -> World:
    a, b = world.member(TAVULLIA), world.member("distretto", ptype="PT-DISTRETTO")
    world.publish(b, [line("Tre", node="distretto")])
    rotate(world, a, 2)
    world.publish(a, [line("Uno"), line("Due")])
    world.publish(a, [line("Uno", salt=True), line("Riservata", salt=True)], "network")
    world.clock.t += 86_400
    world.run(world.engine.daily)
    next_root(world)
    world.publish(b, [line("Tre", node="distretto"), line("Quattro", node="distretto")])
    rotate(world, a, 3)
    return world


def board_proof(world: World, node: str, id_: str, **more: object) -> bytes:
    return world.read(lambda db: world.engine.proof(db, node, id_, **more))


def replica_of(world: World, path) -> Replica:
    made = Replica(path, world)
    made.store.close()
    made.store = Store.open(path / "replica.db", (*map_migrations(), *follow.MIGRATIONS, *trust.MIGRATIONS))
    made.sync()
    raws = [raw.encode() for raw in world.read(lambda db: world.engine.roots_after(db, 0))]
    made.store.run(lambda tx: trust.keep(tx, trust.Trust(world.members.root, world.members), 1, roots=raws))
    return made


def test_every_entry_is_proved_by_the_board_and_by_a_replica_in_the_same_bytes(busy, tmp_path):
    replica = replica_of(busy, tmp_path)
    entries = busy.read(lambda db: list(SqliteMap(db).entries()))
    lines = [(entry.node, entry.id, vis) for entry in entries for vis in ("public", "network") if getattr(entry, vis)]
    assert len(lines) == 6
    root = busy.members.root
    for node, id_, vis in lines:
        raw = board_proof(busy, node, id_, vis=vis, member=True)
        assert raw == replica.store.read(lambda db: proving.prove(db, root, node, id_, vis, member=True))  # noqa: B023
        proved = verify_proof(raw, net=busy.net, suite=S1, node=node, id_=id_)
        assert (proved.publication.vis, proved.service.id) == (vis, id_)


def test_the_public_line_is_proved_unless_the_other_is_asked_for(busy):
    both = uid(TAVULLIA, "Uno")
    assert verify_proof(board_proof(busy, TAVULLIA, both), net=busy.net, suite=S1).publication.vis == "public"
    assert (
        verify_proof(board_proof(busy, TAVULLIA, both, member=True), net=busy.net, suite=S1).publication.vis == "public"
    )
    asked = board_proof(busy, TAVULLIA, both, vis="network", member=True)
    assert verify_proof(asked, net=busy.net, suite=S1).publication.vis == "network"


def test_who_is_no_member_is_not_told_that_a_network_entry_is_there(busy):
    for id_, vis in ((uid(TAVULLIA, "Riservata"), None), (uid(TAVULLIA, "Uno"), "network"), (uid("nobody"), None)):
        with pytest.raises(ProtocolError) as refused:
            board_proof(busy, TAVULLIA, id_, vis=vis)
        assert refused.value.code == "not-found"
    assert board_proof(busy, TAVULLIA, uid(TAVULLIA, "Riservata"), member=True)


def test_what_a_key_signed_before_its_compromise_is_still_proved(world):
    body = world.member(TAVULLIA)
    world.publish(body, [line("Uno")])
    rotate(world, body, 2, "compromise")
    proved = verify_proof(board_proof(world, TAVULLIA, uid(TAVULLIA, "Uno")), net=world.net, suite=S1)
    assert (proved.key.n, proved.key.revoked) == (1, True)


@pytest.mark.parametrize("how", ["suspend", "end", "withdraw"])
def test_an_entry_that_is_gone_has_no_proof_and_the_old_one_does_not_fit_the_new_log(busy, how):
    id_ = uid("distretto", "Quattro")
    old = board_proof(busy, "distretto", id_)
    if how in ("suspend", "end"):
        busy.run(lambda tx: getattr(busy.engine, how)(tx, "distretto"))
        code = {"suspend": "suspended", "end": "not-a-member"}[how]
    else:
        leaf = busy.read(lambda db: SqliteMap(db).leaves("distretto", "public"))[id_]
        busy.run(lambda tx: busy.engine.withdraw(tx, leaf))
        code = "entry-removed"
    with pytest.raises(ProtocolError) as refused:
        board_proof(busy, "distretto", id_)
    assert refused.value.code == "not-found"
    with pytest.raises(ProtocolError) as refused:
        verify_proof(continued(busy, old), net=busy.net, suite=S1)
    assert refused.value.code == code


def continued(world: World, raw: bytes) -> bytes:
    """What a board could make of an old proof that it does not want to be out of date: all that it signs is new."""
    proof = json.loads(raw)

    def make(db: sqlite3.Connection) -> bytes:
        bundle, members = (
            objects.get(db, name).bytes for name in (digest(proof["publication"].encode()), newest(db).hash)
        )
        roots = [text.encode() for text in proof["roots"]]
        manifest = json.loads(bundle)["manifest"]
        made = Subject(proof["node"], proof["id"], proof["record"], manifest, proof["publication"], roots, members)
        return make_proof(made, _Keeper(db), world.members.root)

    return world.read(make)


def test_a_readmitted_member_is_proved_by_what_it_published_since(busy):
    busy.run(lambda tx: busy.engine.suspend(tx, TAVULLIA))
    code = busy.run(lambda tx: busy.engine.readmit(tx, TAVULLIA)).code
    back = busy.body(TAVULLIA)
    busy.admit(busy.approve(busy.join(back.request(busy.protocol, busy.clock.now(), code)).ref))
    with pytest.raises(ProtocolError):
        board_proof(busy, TAVULLIA, uid(TAVULLIA, "Uno"))
    row = busy.read(
        lambda db: db.execute(
            "SELECT rev, hash FROM catalogue WHERE node = ? AND vis = 'public'", (TAVULLIA,)
        ).fetchone()
    )
    back.held = {"public": tuple(row)}
    busy.publish(back, [line("Uno")])
    proved = verify_proof(board_proof(busy, TAVULLIA, uid(TAVULLIA, "Uno")), net=busy.net, suite=S1)
    assert proved.member.admission.seq == 2 and proved.key.n == 1
