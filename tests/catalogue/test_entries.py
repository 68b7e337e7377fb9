"""Own entries: complete, fresh, confirmed, noticed, counted."""

import pytest

from node.catalogue import entries
from protocol.errors import ProtocolError
from tests.catalogue.member import Member


@pytest.fixture
def member(tmp_path):
    member = Member(tmp_path)
    member.bring()
    return member


def one(member, name):
    return next(line for line in member.list().entries if line.name == name)


@pytest.mark.feature("F000-28")
def test_an_entry_older_than_180_days_is_marked_and_counted(member):
    listed = member.list()
    assert (listed.stale, listed.unverified, listed.total) == (1, 1, 4)
    assert one(member, "Contributi economici").freshness == "stale"
    assert one(member, "Contributi economici").days == 265
    assert one(member, "Sportello mare").freshness == "unverified"
    assert {line.name for line in member.list(stale=True).entries} == {"Contributi economici", "Sportello mare"}


@pytest.mark.feature("F000-28")
def test_completeness_names_what_a_desk_would_miss(member):
    mare = one(member, "Sportello mare")
    assert mare.completeness < 100
    assert {"requisiti", "accessibilità", "data di verifica"} <= set(mare.lacks)


def test_many_entries_are_confirmed_at_once(member):
    assert len(member.confirm(all_=True).ids) == 4
    listed = member.list()
    assert (listed.stale, listed.unverified) == (0, 0)
    assert {line.verified for line in listed.entries} == {"2026-11-21"}


def test_some_entries_are_confirmed_by_the_beginning_of_their_id(member):
    wanted = member.ids()["Sportello mare"]
    assert member.confirm(ids=[wanted[:8]]).names == ["Sportello mare"]
    assert one(member, "Sportello mare").freshness == "fresh"
    assert one(member, "Contributi economici").freshness == "stale"


@pytest.mark.parametrize("which", [{}, {"all_": True, "words": "mare"}])
def test_which_entries_has_to_be_said_in_one_way(member, which):
    with pytest.raises(ProtocolError) as refused:
        member.confirm(**which)
    assert refused.value.code == "bad-shape"


def test_an_id_of_nothing_is_refused(member):
    with pytest.raises(ProtocolError) as refused:
        member.confirm(ids=["ffffffff"])
    assert refused.value.code == "not-found"


@pytest.mark.parametrize("day", ["2026-11-22", "2026-99-01"])
def test_nothing_is_confirmed_for_a_day_to_come(member, day):
    with pytest.raises(ProtocolError) as refused:
        member.confirm(day=day, all_=True)
    assert refused.value.field == "day"


def test_a_notice_is_dated_and_goes_by_itself(member):
    member.notice("  chiuso   per lavori ", until="2026-12-01", words="mare")
    assert (one(member, "Sportello mare").notice, one(member, "Sportello mare").notice_until) == (
        "chiuso per lavori",
        "2026-12-01",
    )
    member.clock.at += 11 * 86400
    assert one(member, "Sportello mare").notice == ""


def test_a_notice_that_is_already_over_is_refused(member):
    with pytest.raises(ProtocolError) as refused:
        member.notice("chiuso", until="2026-11-20", all_=True)
    assert refused.value.field == "until"


def test_an_empty_notice_takes_it_off(member):
    member.notice("chiuso", all_=True)
    member.notice("", all_=True)
    assert {line.notice for line in member.list().entries} == {""}


@pytest.mark.feature("F000-14")
def test_hours_of_two_desks_in_two_zones_are_split(member):
    zones = {zone.zone: (zone.desks, zone.hours) for zone in member.list().zones}
    # the second service of the desk in the centre lies within the first one's hours: they count once
    assert zones == {"Centro": (1, 15.0), "Mare": (1, 7.0)}


@pytest.mark.feature("F003-16")
def test_an_entry_lives_collected_classified_published_used(member):
    assert one(member, "Sportello sociale").state == "classified"
    member.publish()
    member.post()
    assert one(member, "Sportello sociale").state == "published"
    wanted = member.ids()["Sportello sociale"]
    for leg in ("leg-1", "leg-2", "leg-2"):
        member.run(lambda tx, leg=leg: entries.note_use(tx, leg, wanted))
    member.run(lambda tx: entries.note_use(tx, "leg-3", "no-entry-of-ours"))
    assert one(member, "Sportello sociale").used == 2
    member.confirm(words="sportello sociale")
    assert one(member, "Sportello sociale").state == "changed"
    member.bring("Cosa strana;;;;Pesaro;;;;;;")
    assert one(member, "Cosa strana").state == "collected"
