"""Sheets into own entries: identity, what is kept, what is only reported."""

import msgspec
import pytest

from protocol.errors import ProtocolError
from tests.catalogue.member import ROWS, Member


@pytest.fixture
def member(tmp_path):
    return Member(tmp_path)


def test_every_row_becomes_an_entry_of_its_chain(member):
    done = member.bring()
    assert (done.applied, done.fresh, done.body.said_by) == (True, 4, "admission")
    visible = {one.name: one.visible for one in member.list().entries}
    assert visible["Linea urgente (non pubblicare)"] == ["network"]
    assert [vis for name, vis in visible.items() if name != "Linea urgente (non pubblicare)"] == [["public"]] * 3


def test_a_preview_changes_nothing(member):
    done = member.bring(preview=True)
    assert not done.applied
    assert len(msgspec.json.decode(done.preview)["rows"]) == 5 - 1
    assert member.list().total == 0


def test_a_second_import_of_the_same_sheet_keeps_ids_and_changes_nothing(member):
    member.bring()
    before = member.ids()
    done = member.bring()
    assert (done.fresh, done.changed, done.same) == (0, 0, 4)
    assert member.ids() == before


def test_a_changed_row_keeps_its_id_and_what_was_confirmed_and_noticed(member):
    member.bring()
    before = member.ids()
    member.confirm(all_=True)
    member.notice("chiuso per lavori", words="mare")
    done = member.bring(*(row.replace("0721 000102", "0721 000199") for row in ROWS))
    assert (done.changed, done.same) == (1, 3)
    assert member.ids() == before
    mare = next(one for one in member.list().entries if one.name == "Sportello mare")
    assert (mare.notice, mare.freshness) == ("chiuso per lavori", "fresh")


def test_the_later_of_sheet_and_confirmation_counts(member):
    member.bring()
    member.confirm(day="2026-09-01", words="sportello sociale")
    assert next(one for one in member.list().entries if one.name == "Sportello sociale").verified == "2026-09-15"


def test_what_a_new_sheet_lacks_is_reported_and_stays(member):
    member.bring()
    done = member.bring(*ROWS[:2])
    assert sorted(done.missing) == ["Linea urgente (non pubblicare)", "Sportello mare"]
    assert done.withdrawn == []
    assert member.list().total == 4


def test_what_a_new_sheet_lacks_is_taken_back_only_when_asked_and_comes_back_with_its_id(member):
    member.bring()
    before = member.ids()
    done = member.bring(*ROWS[:2], withdraw_missing=True)
    assert sorted(done.withdrawn) == sorted(done.missing) == ["Linea urgente (non pubblicare)", "Sportello mare"]
    assert member.list().total == 2
    member.bring()
    assert member.ids() == before


def test_a_second_file_once_imported_speaks_only_for_its_own_entries(member):
    member.bring(*ROWS[:2], name="uno.csv")
    assert len(member.bring(*ROWS[2:], name="due.csv").missing) == 2  # a first sheet of that name: every entry is named
    assert member.bring(*ROWS[2:], name="due.csv").missing == []


def test_a_proposal_becomes_the_known_entry_only_when_its_line_is_accepted(member):
    member.bring()
    before = member.ids()["Sportello mare"]
    renamed = [row.replace("Sportello mare", "Sportello del quartiere mare") for row in ROWS]
    first = member.bring(*renamed, preview=True)
    row = msgspec.json.decode(first.preview)["rows"][2]
    assert (row["known"], row["suggestions"][0]["kind"], row["suggestions"][0]["ref"]) == (False, "same-entry", before)
    member.bring(*renamed, accept=[row["line"]])
    assert member.ids()["Sportello del quartiere mare"] == before


def test_what_became_of_each_row_is_kept(member):
    member.bring(*ROWS, ";manca il nome;tutti;;;;;;;;")
    kept = member.store.read(lambda db: db.execute("SELECT outcome, entry FROM catalogue_row ORDER BY line").fetchall())
    assert [outcome for outcome, _ in kept][-1] == "rejected"
    assert all(entry for outcome, entry in kept if outcome.startswith("imported"))


def test_a_picture_is_refused_with_its_code(member):
    from node import requests as ask
    from node.catalogue import importing

    request = ask.Import(name="foto.xlsx", content=b"\x89PNG\r\n\x1a\n" + bytes(64))
    with pytest.raises(ProtocolError) as refused:
        member.run(lambda tx: importing.run(tx, member.ctx, request))
    assert refused.value.code == "import-picture"
    assert member.list().total == 0
