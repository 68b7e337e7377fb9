"""The fold: log positions decide, rebuilds agree, bytes are kept."""

import random
import sqlite3
from functools import partial

import msgspec
import pytest

from node.map import tables
from node.map.fold import Event, MapFold, MemberStatus, PublicationSeen, Source, Withdrawal
from node.map.ndjson import map_lines
from node.map.tables import SqliteMap, map_migrations
from node.runtime.migrations import migrate
from protocol.errors import ProtocolError
from schemas.catalogue import MapLine
from tests.map.factory import encode, leaf_of, make_id, service


def line(node: str, name: str, version: int = 1) -> bytes:
    return encode(service(name, id=make_id(node, name), member=node, description=f"versione {version}"))


def publication(seq: int, node: str, rev: int, *lines: bytes, vis: str = "public") -> PublicationSeen:
    held = {leaf_of(item): item for item in lines}
    return PublicationSeen(node, vis, Source(seq, rev, 1795259400 + seq, leaf_of(b"%d" % seq)), tuple(held), held)  # type: ignore[arg-type]


def store() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn, map_migrations())
    return conn


def text(source: MapFold | SqliteMap, view: str = "members") -> bytes:
    return b"".join(map_lines(source.entries(), view))  # type: ignore[arg-type]


def history(dice: random.Random, length: int = 30) -> list[Event]:
    """A log in which revisions of a chain are contiguous and each publication carries all its lines."""
    events: list[Event] = []
    revisions: dict[tuple[str, str], int] = {}
    for seq in range(length):
        node = dice.choice(("a", "b", "c"))
        if dice.random() < 0.3:
            events.append(MemberStatus(seq, node, dice.choice(("active", "active", "active", "suspended", "ended"))))
            continue
        if dice.random() < 0.1:
            events.append(Withdrawal(node, leaf_of(line(node, "n1", 1))))
            continue
        vis = dice.choice(("public", "network"))
        rev = revisions[node, vis] = revisions.get((node, vis), 0) + 1
        names = dice.sample(("n1", "n2", "n3", "n4"), k=dice.randrange(4))
        events.append(publication(seq, node, rev, *(line(node, n, dice.randrange(3)) for n in names), vis=vis))
    return events


@pytest.mark.feature("F001-23")
def test_memory_and_sqlite_agree_on_random_logs_in_any_order() -> None:
    for seed in range(60):
        dice = random.Random(seed)
        events = history(dice)
        fold, conn, other = MapFold(), store(), MapFold()
        for event in events:
            assert fold.apply(event) == tables.apply(conn, event)
        dice.shuffle(events)
        for event in events:
            other.apply(event)
        assert text(fold) == text(SqliteMap(conn)) == text(other), seed
        assert list(fold.entries()) == list(SqliteMap(conn).entries())
        assert [fold.entry(e.node, e.id) for e in fold.entries()] == [
            SqliteMap(conn).entry(e.node, e.id) for e in fold.entries()
        ]


def test_a_rebuild_from_the_newest_publications_gives_the_same_bytes() -> None:
    for seed in range(40):
        events = history(random.Random(seed))
        newest = {(e.node, e.vis): e for e in events if isinstance(e, PublicationSeen)}
        live, rebuilt = MapFold(), MapFold()
        for event in events:
            live.apply(event)
        for event in [e for e in events if not isinstance(e, PublicationSeen) or newest[e.node, e.vis] is e]:
            rebuilt.apply(event)
        assert text(live) == text(rebuilt), seed


def test_a_publication_replaces_the_earlier_snapshot_and_says_what_changed() -> None:
    for apply in (MapFold().apply, partial(tables.apply, store())):
        apply(MemberStatus(0, "a", "active"))
        first = apply(publication(1, "a", 1, line("a", "x"), line("a", "y"), line("a", "z")))
        assert len(first.added) == 3
        again = apply(publication(2, "a", 2, line("a", "x"), line("a", "y", 2), line("a", "w")))
        ids = {name: make_id("a", name) for name in "wxyz"}
        assert again == ((ids["w"],), (ids["y"],), (ids["z"],))


def test_lines_already_held_need_not_come_again_and_new_ones_must() -> None:
    fold = MapFold()
    fold.apply(publication(1, "a", 1, line("a", "x")))
    small = publication(2, "a", 2, line("a", "x"), line("a", "y"))
    fold.apply(small._replace(lines={leaf_of(line("a", "y")): line("a", "y")}))
    with pytest.raises(ProtocolError, match="catalogue-root"):
        fold.apply(publication(3, "a", 3, line("a", "z"))._replace(lines={}))


def test_suspended_is_hidden_and_ended_is_removed_by_log_position() -> None:
    fold = MapFold()
    fold.apply(MemberStatus(0, "a", "active"))
    fold.apply(publication(1, "a", 1, line("a", "x")))
    shown = text(fold)
    fold.apply(MemberStatus(2, "a", "suspended"))
    assert text(fold) == b""
    fold.apply(MemberStatus(3, "a", "active"))
    assert text(fold) == shown
    fold.apply(MemberStatus(4, "a", "ended"))
    fold.apply(MemberStatus(5, "a", "active"))
    fold.apply(publication(1, "a", 1, line("a", "x")))
    assert text(fold) == b""


def test_a_member_without_an_admission_is_not_on_the_map() -> None:
    fold = MapFold()
    fold.apply(publication(1, "stranger", 1, line("stranger", "x")))
    assert text(fold) == b""


def test_public_and_members_maps_differ_exactly_by_the_network_lines() -> None:
    fold = MapFold()
    fold.apply(MemberStatus(0, "a", "active"))
    fold.apply(publication(1, "a", 1, line("a", "x"), line("a", "y")))
    fold.apply(publication(2, "a", 1, line("a", "x", 7), line("a", "urgent"), vis="network"))
    members, public = text(fold).splitlines(), text(fold, "public").splitlines()
    assert [item for item in members if b'"vis":"public"' in item] == public
    assert len(members) - len(public) == 2


def test_record_bytes_are_kept_as_received_with_their_provenance() -> None:
    odd = line("a", "x")[:-1] + b',"zz_unknown":[1, 2 ,"\\u00e8"]}'
    conn = store()
    tables.apply(conn, MemberStatus(0, "a", "active"))
    tables.apply(conn, publication(1, "a", 1, odd))
    (only,) = text(SqliteMap(conn)).splitlines()
    held = msgspec.json.decode(only, type=MapLine)
    assert bytes(held.record) == odd
    assert (held.node, held.rev, held.seq, held.leaf) == ("a", 1, 1, leaf_of(odd))


@pytest.mark.feature("F000-25")
def test_one_id_of_two_members_is_two_entries() -> None:
    shared = make_id("shared")
    fold = MapFold()
    for seq, node in enumerate(("a", "b")):
        fold.apply(MemberStatus(seq, node, "active"))
        fold.apply(publication(seq + 5, node, 1, encode(service("stesso", id=shared, member=node))))
    assert [(e.id, e.node) for e in fold.entries()] == [(shared, "a"), (shared, "b")]
