"""From entries to signed publications that a registry accepts, revision by revision."""

import msgspec
import pytest
from msgspec import UNSET

from node.catalogue import entries, publishing
from protocol.errors import ProtocolError
from protocol.limits import DAY
from protocol.publications import read_publication
from schemas.catalogue import CatalogueAnswer
from schemas.records import Service
from tests.catalogue.member import ROWS, Member


@pytest.fixture
def member(tmp_path):
    member = Member(tmp_path)
    member.bring()
    return member


def test_both_chains_are_signed_and_accepted(member):
    public, network = member.publish()
    assert (public.rev, public.count, len(public.added)) == (1, 3, 3)
    assert (network.rev, network.count) == (1, 1)
    held = member.post()
    assert len(held["public"]) == 3
    assert [service.name for service in held["network"]] == ["Linea urgente (non pubblicare)"]
    assert member.pending() == []


def test_network_records_have_a_random_salt_and_public_ones_none(member):
    member.publish()
    held = member.post()
    assert all(service.salt is UNSET for service in held["public"])
    assert len(held["network"][0].salt) == 43


def test_nothing_changed_means_no_new_revision_and_that_is_said(member):
    member.publish()
    member.post()
    assert [(one.rev, one.signed) for one in member.publish()] == [(1, False), (1, False)]
    assert member.pending() == []


def test_an_import_of_the_same_sheet_signs_nothing_new(member):
    member.publish()
    member.bring()
    assert [one.signed for one in member.publish()] == [False, False]


def test_a_confirmation_makes_a_contiguous_revision_that_names_the_one_before(member):
    member.publish()
    member.post()
    member.confirm(words="sportello mare")
    public, network = member.publish()
    assert (public.rev, len(public.changed), network.signed) == (2, 1, False)
    (post,) = member.pending()
    signed = read_publication(post.publication, member.membership, member.network.net)
    assert signed.publication.prev == member.board["public"][0].digest
    verified = {service.name: service.verified_at for service in member.post()["public"]}
    assert verified["Sportello mare"] == "2026-11-21"


def test_revisions_signed_offline_wait_in_order_and_are_posted_byte_for_byte(member):
    member.publish()
    first = member.pending()
    member.confirm(all_=True)
    member.publish()
    assert [(post.vis, post.rev) for post in member.pending()] == [
        ("public", 1),
        ("public", 2),
        ("network", 1),
        ("network", 2),
    ]
    assert member.pending()[0] == first[0]
    assert len(member.post()["public"]) == 3


def test_asked_for_records_the_publication_keeps_waiting(member):
    member.publish()
    post = member.pending()[0]
    answer = CatalogueAnswer(accepted=False, missing=post.manifest[:1])
    member.run(lambda tx: publishing.posted(tx, post.vis, post.rev, answer))
    assert member.pending()[0] == post
    assert set(post.records) == set(post.manifest)


def test_accepted_twice_is_once_and_lines_are_not_kept_for_ever(member):
    member.publish()
    posts = member.pending()
    for post in (*posts, *posts):
        member.run(lambda tx, p=post: publishing.posted(tx, p.vis, p.rev, CatalogueAnswer(accepted=True, seq=3)))
    assert member.pending() == []
    assert member.store.read(lambda db: db.execute("SELECT COUNT(*) FROM publication_line").fetchone()) == (0,)


def test_a_refused_revision_gives_its_number_to_the_next_one(member):
    member.publish()
    member.confirm(all_=True)
    member.publish()
    member.run(lambda tx: publishing.refused(tx, "public", 1, "catalogue-id-not-yours", "id"))
    assert [(post.vis, post.rev) for post in member.pending()] == [("network", 1), ("network", 2)]
    chain = member.store.read(publishing.chains)[0]
    assert (chain.vis, chain.rev, chain.state) == ("public", 2, "waiting")
    assert member.publish()[0].rev == 1
    assert len(member.post()["public"]) == 3


def test_what_was_taken_back_is_not_in_the_next_revision(member):
    member.publish()
    member.bring(*ROWS[:1], withdraw_missing=True)
    public, network = member.publish()
    assert (len(public.removed), public.count) == (2, 1)
    assert (network.rev, network.count) == (2, 0)
    assert member.post()["network"] == []


def test_an_entry_the_registry_would_refuse_is_left_out_and_named(member):
    wanted = member.ids()["Sportello mare"]

    def spoil(tx):
        (line,) = tx.execute("SELECT public FROM catalogue_entry WHERE id = ?", (wanted,)).fetchone()
        service = msgspec.structs.replace(msgspec.json.decode(line, type=Service), description="<b>ciao</b>")
        line = msgspec.json.encode(service).decode()
        tx.execute("UPDATE catalogue_entry SET public = ? WHERE id = ?", (line, wanted))

    member.run(spoil)
    public, _ = member.publish()
    assert public.count == 2
    assert [(bad.name, bad.code) for bad in public.faulty] == [("Sportello mare", "catalogue-not-plain")]
    assert len(member.post()["public"]) == 2


def test_an_unchanged_catalogue_is_signed_again_before_it_runs_out(member):
    member.confirm(all_=True)
    member.publish()
    member.clock.at += 59 * DAY
    assert [one.signed for one in member.publish()] == [False, False]
    member.clock.at += 2 * DAY
    assert [(one.rev, one.signed, one.changed) for one in member.publish()] == [(2, True, []), (2, True, [])]


@pytest.mark.feature("F004-04")
def test_a_renamed_body_keeps_its_identity(member):
    member.publish()
    before = member.post()["public"]
    name = "comune-pesaro"
    admission = member.network.admission(name, name="Città di Pesaro", territory=["041044"], seq=2)
    member.network.change(name, admission=admission)
    member.membership = member.network.step(member.membership, now=member.clock.at)
    member.ctx.adopt(member.membership)
    member.publish()
    after = member.post()["public"]
    assert [service.id for service in after] == [service.id for service in before]
    assert {service.organization.id for service in after} == {service.organization.id for service in before}
    assert {service.organization.name for service in after} == {"Città di Pesaro"}


def test_who_is_not_in_the_network_publishes_nothing(member, tmp_path):
    stranger = Member(tmp_path / "other", "ts-lanterna")
    stranger.ctx.me = "nobody"
    with pytest.raises(ProtocolError) as refused:
        stranger.publish()
    assert refused.value.code == "not-a-member"


def test_an_empty_catalogue_publishes_nothing(tmp_path):
    empty = Member(tmp_path)
    assert [(one.rev, one.signed) for one in empty.publish()] == [(0, False), (0, False)]
    assert empty.pending() == []
    assert entries.VISIBILITIES == ("public", "network")
