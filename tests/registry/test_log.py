"""The log cannot be rewritten: compare-and-swap, triggers, proofs, objects that go when they should."""

import sqlite3

import pytest

from protocol.errors import ProtocolError
from protocol.limits import DAY
from protocol.merkle import leaf, verify_consistency, verify_inclusion
from protocol.notes import parse_checkpoint, parse_note, verify_head
from protocol.strict import digest
from registry import log, objects
from schemas.catalogue import LogEntry
from tests.registry.test_admissions import refused
from tests.registry.world import World, line

ENTRY = LogEntry(type="root", hash="A" * 43, node="", ver=1)


def test_an_append_on_a_log_that_moved_is_refused(world):
    size = world.read(log.size)
    assert world.run(lambda tx: log.append(tx, [ENTRY], size)) == range(size, size + 1)
    for stale in (size, size - 1, size + 2):
        refused("log-moved", lambda n=stale: world.run(lambda tx: log.append(tx, [ENTRY], n)))
    assert world.read(log.size) == size + 1


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE leaf SET line = x'00' WHERE seq = 0",
        "DELETE FROM leaf WHERE seq = (SELECT MAX(seq) FROM leaf)",
        "INSERT OR REPLACE INTO leaf VALUES (0, x'00')",
        "INSERT INTO leaf VALUES (900, x'00')",
        "UPDATE head SET note = ''",
        "DELETE FROM head",
        "INSERT INTO head VALUES (0, '', 0, '')",
        "UPDATE tree SET hash = x'00'",
        "DELETE FROM tree",
        "UPDATE edge SET size = size - 1",
        "UPDATE edge SET size = size, raw = x'00'",
    ],
)
def test_the_log_refuses_to_be_rewritten(world, sql):
    world.member("comune-tavullia")
    before = world.read(lambda db: db.execute("SELECT * FROM leaf").fetchall())
    with pytest.raises(sqlite3.IntegrityError):
        world.run(lambda tx: tx.execute(sql))
    assert world.read(lambda db: db.execute("SELECT * FROM leaf").fetchall()) == before


def test_one_head_is_signed_for_all_leaves_of_a_command(world):
    before = world.read(lambda db: db.execute("SELECT COUNT(*) FROM head").fetchone()[0])
    leaves = world.read(log.size)
    world.member("comune-tavullia")  # admission and members document
    assert world.read(log.size) == leaves + 2
    assert world.read(lambda db: db.execute("SELECT COUNT(*) FROM head").fetchone()[0]) == before + 1


def test_pages_end_at_signed_heads_and_proofs_hold(world, monkeypatch):
    a = world.member("comune-tavullia")
    for n in range(5):
        world.publish(a, [line(f"Voce {n}")])
    monkeypatch.setattr(log, "PAGE_ENTRIES", 3)
    key = world.members.root.log
    at, sizes, lines = 0, [], []
    while (page := world.read(lambda db, n=at: log.page(db, n))).entries:
        head = verify_head(page.note.encode(), key)
        assert head.size == page.size == at + len(page.entries)
        lines += page.entries
        at = page.size
        sizes.append((head.size, head.root))
    assert at == world.read(log.size)
    for seq, text in enumerate(lines):
        path = world.read(lambda db, n=seq: log.inclusion(db, n, at))
        verify_inclusion(leaf(text.encode()), seq, at, path, sizes[-1][1])
    for size, root in sizes:
        verify_consistency(size, at, root, sizes[-1][1], world.read(lambda db, n=size: log.consistency(db, n, at)))
    assert world.read(lambda db: log.page(db, 10**9)).entries == []
    text = parse_note(world.read(world.engine.checkpoint).encode()).text
    assert parse_checkpoint(text).size == at


def test_superseded_objects_go_after_ninety_days_and_leaves_stay(world):
    a = world.member("comune-tavullia")
    world.publish(a, [line("Uno")])
    first = world.read(lambda db: db.execute("SELECT hash FROM catalogue").fetchone()[0])
    record = world.read(lambda db: db.execute("SELECT leaf FROM record_use").fetchone()[0])
    world.publish(a, [line("Due")])
    size = world.read(log.size)
    world.clock.t += 90 * DAY - 1
    world.run(world.engine.daily)
    assert world.read(lambda db: objects.held(db, first) and objects.held(db, record))
    world.clock.t += 2
    world.run(world.engine.daily)
    assert not world.read(lambda db: objects.held(db, first) or objects.held(db, record))
    refused("not-found", lambda: world.read(lambda db: objects.get(db, first)))
    assert world.read(log.size) > size
    assert world.publish(a, [line("Uno")]).accepted  # the same bytes may come again


def test_a_withdrawn_object_goes_at_once_and_never_comes_back(world):
    a = world.member("comune-tavullia")
    world.publish(a, [line("Uno"), line("Due")])
    record = world.read(lambda db: db.execute("SELECT leaf FROM record_use ORDER BY id").fetchone()[0])
    world.run(lambda tx: world.engine.withdraw(tx, record))
    refused("not-found", lambda: world.read(lambda db: objects.get(db, record)))
    post = a.catalogue([line("Uno"), line("Due"), line("Tre")], world.clock.now())
    refused("forbidden", lambda: world.post(post))
    refused("not-found", lambda: world.run(lambda tx: world.engine.withdraw(tx, record)))
    for name in (world.members.digest, digest(world.members.root.raw)):
        refused("forbidden", lambda n=name: world.run(lambda tx: world.engine.withdraw(tx, n)))


def test_a_restart_finds_the_same_log_and_members(world):
    world.member("comune-tavullia")
    note, version = world.read(world.engine.checkpoint), world.members.version
    world.restart()
    assert (world.read(world.engine.checkpoint), world.members.version) == (note, version)
    assert world.member("comune-gradara") and world.members.version == version + 1


def test_the_same_seed_founds_the_same_network():
    one, two = World(5), World(5)
    assert one.net == two.net
    one.close()
    two.close()


def test_nothing_before_the_ceremony(tmp_path):
    empty = World(found=False)
    refused("config-missing", lambda: empty.read(empty.engine.root))
    refused("not-found", lambda: empty.read(empty.engine.membership))
    refused("not-found", lambda: empty.read(empty.engine.checkpoint))
    with pytest.raises(ProtocolError):
        empty.run(lambda tx: empty.engine.invite(tx, "comune-tavullia"))
    empty.close()
