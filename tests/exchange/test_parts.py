"""Attachments between two desks, without a network: in parts, after the events, whole and checked or not shown as whole."""

import pytest

from node.cases import files, operators
from node.exchange import parts, takeback
from node.requests import NewFile
from protocol import envelope
from protocol.errors import ProtocolError
from protocol.limits import BLOB_MAX, DAY, EARLY_LEG_MAX, EARLY_PEER_MAX, PART_MAX, PARTS_OUT_MAX
from protocol.strict import digest
from schemas.bodies import EraseBody, EventBody, FileRef, HeadBody
from schemas.wire import DeliveryAnswer
from tests.exchange import filing
from tests.exchange.desks import Ambito, raw_files
from tests.exchange.filing import (
    act,
    alarms,
    early,
    forget,
    got_body,
    listed,
    made,
    missing_body,
    part_body,
    posted,
    refer,
    saved,
    states,
    tick,
)


@pytest.fixture
def ambito(tmp_path):
    return filing.small(tmp_path, "tavullia", "distretto", "pesaro")


@pytest.fixture
def pair(ambito):
    return ambito["tavullia"], ambito["distretto"]


def refused(code):
    return pytest.raises(ProtocolError, check=lambda error: error.code == code)


def kinds(desk_, parcel):
    """Events (0, 1) or parts (2) in a parcel."""
    return [desk_.one("SELECT urgent FROM outgoing WHERE mid = ?", mid) for mid in parcel.mids]


# -- the way there


def test_a_file_arrives_whole_in_both_directions_and_is_confirmed(ambito):
    a, b = ambito["tavullia"], ambito["distretto"]
    there, back = made(730), made(350, seed=2, head=filing.JPEG)
    leg = refer(a, "distretto", there)
    ambito.carry(60)
    act(b, leg, "ask", back, text="e questo?")
    ambito.carry(60)
    assert states(a, leg) == states(b, leg)[::-1] == ["confirmed", "complete"]
    assert (saved(b, leg, 1), saved(a, leg, 2)) == (there, back)
    assert (saved(a, leg, 1), saved(b, leg, 2)) == (there, back), "each keeps what it sent"
    assert [line.name for line in listed(b, leg)] == ["carta 0.pdf", "altra 0.pdf.jpg"], (
        "the ending is that of the bytes"
    )
    assert a.one("SELECT COUNT(*) FROM outgoing") == b.one("SELECT COUNT(*) FROM outgoing") == 0
    assert a.one("SELECT COUNT(*) FROM part_out") == 0


def test_a_real_sized_file_of_five_mebibytes_goes_in_eight_parts(tmp_path):
    ambito = Ambito(tmp_path, "tavullia", "distretto")
    a, b = ambito["tavullia"], ambito["distretto"]
    whole = made(BLOB_MAX)
    leg = refer(a, "distretto", whole)
    biggest = 0
    for _ in range(20):
        for parcel in a.due():
            biggest = max(biggest, sum(len(item.s) for item in parcel.items))
            a.answered(parcel, b.receive(parcel.items).answer)
    assert saved(b, leg) == whole and listed(b, leg)[0].parts == 8
    assert biggest < 1_400_000, "one part a parcel"
    assert b.one("SELECT MAX(LENGTH(sealed)) FROM blob_part") == PART_MAX + 28


def test_events_of_every_leg_leave_before_any_part_and_urgent_ones_first(ambito, pair):
    a, b = pair
    first = refer(a, "distretto", made(PARTS_OUT_MAX * 100))
    refer(a, "distretto")
    refer(a, "distretto", urgency="UR-PIS")
    [parcel] = a.due()
    assert kinds(a, parcel) == [1, 0, 0], "three events, no part"
    assert a.store.read(lambda db: a.exchange.due(db, in_flight=parcel.mids)) == [], (
        "none while events are on their way"
    )
    a.answered(parcel, b.receive(parcel.items).answer)
    [one] = a.due()
    assert kinds(a, one) == [2]
    assert a.store.read(lambda db: a.exchange.due(db, in_flight=one.mids)) == [], "one part at a time"
    refer(a, "distretto", urgency="UR-PIS")
    [urgent] = a.store.read(lambda db: a.exchange.due(db, in_flight=one.mids))
    assert kinds(a, urgent) == [1], "an event does not wait behind a part that is on its way"
    ambito.carry(60)
    assert states(b, first) == ["complete"]


def test_at_most_eight_parts_wait_for_a_recipient(ambito, pair):
    a, _ = pair
    for seed in range(4):
        refer(a, "distretto", made(800, seed))
    tick(a, a)
    assert a.one("SELECT COUNT(*) FROM outgoing WHERE urgent = 2") == PARTS_OUT_MAX
    for _ in range(30):  # a relay holds what it is given: no window is freed by that
        for parcel in a.due():
            a.run(
                lambda tx, p=parcel: a.exchange.answered(
                    tx, p, DeliveryAnswer(held=p.mids), a.exchange.prepare([], relayed=False)
                )
            )
    assert a.one("SELECT COUNT(*) FROM outgoing WHERE urgent = 2") == PARTS_OUT_MAX


def test_an_event_applies_without_its_files_and_shows_how_far_they_are(ambito, pair):
    a, b = pair
    whole = made(450)
    leg = refer(a, "distretto", whole)
    [parcel] = a.due()
    a.answered(parcel, b.receive(parcel.items).answer)
    assert b.case(leg).line.state == "offered" and states(b, leg) == ["arriving"]
    with refused("attachment-arriving"):
        saved(b, leg)
    seen = []
    for _ in range(4):
        [parcel] = a.due()
        a.answered(parcel, b.receive(parcel.items).answer)
        seen.append((listed(b, leg)[0].words, listed(a, leg)[0].words))
    assert seen[2] == ("in arrivo, 3 di 5 parti", "in partenza, 3 di 5 parti")
    assert b.case(leg).files[0].done == 4


def test_a_part_may_come_before_its_event(ambito, pair):
    a, b = pair
    whole = made(250)
    leg = refer(a, "distretto", whole)
    [offer_] = a.due()
    tick(a)
    for i in (3, 1):
        assert posted(a, b, part_body(a, b, leg, whole, i, 3)) == "processed"
    assert early(b) == 2 and b.one("SELECT COUNT(*) FROM leg") == 0
    a.answered(offer_, b.receive(offer_.items).answer)
    assert early(b) == 0 and listed(b, leg)[0].done == 2
    ambito.carry()
    assert saved(b, leg) == whole and states(a, leg) == ["confirmed"]
    assert b.one("SELECT COUNT(*) FROM case_key") == 2, "the early key stays as long as its parts"
    forget(b, leg)
    assert b.one("SELECT COUNT(*) FROM case_key") == 0


def test_a_part_sealed_to_a_key_or_a_time_that_passed_is_sealed_again_from_the_kept_file(ambito, pair):
    a, b = pair
    whole = made(250)
    leg = refer(a, "distretto", whole)
    [offer_] = a.due()
    a.answered(offer_, b.receive(offer_.items).answer)
    tick(a)
    old = {mid for (mid,) in a.store.read(lambda db: db.execute("SELECT mid FROM part_out").fetchall())}
    ambito.clock.at += 31 * DAY
    ambito.membership = ambito.network.step(ambito.membership, now=ambito.clock.at)
    ambito.adopt()
    tick(a)
    new = {mid for (mid,) in a.store.read(lambda db: db.execute("SELECT mid FROM part_out").fetchall())}
    assert len(new) == 3 and not old & new
    ambito.carry()
    assert saved(b, leg) == whole


# -- what is missing, wrong or too much


def test_a_file_that_is_whole_with_the_wrong_hash_is_thrown_away_whole_asked_again_and_people_are_told_at_last(
    ambito, pair
):
    a, b = pair
    whole = made(250)
    leg = refer(a, "distretto", whole)
    [offer_] = a.due()
    a.answered(offer_, b.receive(offer_.items).answer)
    forged = made(250, seed=9)
    for round_ in range(3):
        for i in (1, 2, 3):
            body = part_body(a, b, leg, forged, i, 3, sha256=digest(whole))
            assert posted(a, b, body) == "processed"
        assert b.one("SELECT COUNT(*) FROM blob_part") == 0
        assert states(b, leg) == ["arriving" if round_ < 2 else "failed"]
    assert alarms(b) == ["attachment-failed"]
    assert b.one("SELECT COUNT(*) FROM outgoing") == 2, "asked twice, then no more"
    ambito.carry(60)
    assert states(a, leg) == ["sending"], "never confirmed"
    for day in range(4):
        assert "attachment-unconfirmed" not in alarms(a), f"the last part was sent again {day} times"
        ambito.clock.at += DAY + 1
        tick(a)
        ambito.carry(60)
    assert "attachment-unconfirmed" in alarms(a)
    act(a, leg, "amend", whole, offer=filing.offer())
    ambito.carry(60)
    assert saved(b, leg) == whole, "attached once more it comes"


def test_a_file_erased_before_its_reader_could_say_that_it_came_is_settled_at_the_sender(ambito, pair):
    a, b = pair
    leg = refer(a, "distretto", made(250))
    while a.due():
        [parcel] = a.due()
        a.answered(parcel, b.receive(parcel.items).answer)
    assert states(b, leg) == ["complete"]
    forget(b, leg)
    assert not b.due(), "what says that it came goes with it"
    assert states(a, leg) == ["sending"]
    ambito.clock.at += DAY + 1
    tick(a)
    ambito.carry(60)
    assert states(a, leg) == ["refused"] and alarms(a) == ["attachment-refused"]


def test_parts_of_a_referral_called_back_before_it_came_are_not_kept(ambito, pair):
    a, b = pair
    whole = made(250)
    leg = refer(a, "distretto", whole)
    a.due()
    assert posted(a, b, part_body(a, b, leg, whole, 1, 3)) == "processed"
    erase = EraseBody(net=a.ctx.net, sender="tavullia", to="distretto", jti=a.ctx.dice.uuid4(), leg=leg, reason="error")
    assert posted(a, b, erase) == "processed"
    assert b.one("SELECT COUNT(*) FROM blob") == b.one("SELECT COUNT(*) FROM case_key") == 0
    assert posted(a, b, part_body(a, b, leg, whole, 2, 3)) == "rejected: unknown-leg"


def test_one_damaged_copy_is_asked_again_and_arrives(ambito, pair):
    a, b = pair
    whole = made(250)
    leg = refer(a, "distretto", whole)
    [offer_] = a.due()
    a.answered(offer_, b.receive(offer_.items).answer)
    assert posted(a, b, part_body(a, b, leg, made(250, 9), 2, 3, sha256=digest(whole))) == "processed"
    ambito.carry(60)
    assert saved(b, leg) == whole and states(a, leg) == ["confirmed"]


def test_a_file_that_stands_still_asks_for_what_it_lacks_and_people_are_told(ambito, pair):
    a, b = pair
    whole = made(450)
    leg = refer(a, "distretto", whole)
    ambito.carry(60)
    b.run(lambda tx: tx.execute("DELETE FROM blob_part WHERE i IN (2, 4)"))  # as a store restored from a copy
    b.run(lambda tx: tx.execute("UPDATE blob SET state = 'arriving'"))
    tick(b)
    assert b.due() == [], "not at once"
    ambito.clock.at += DAY + 1
    tick(b)
    ambito.carry(60)
    assert saved(b, leg) == whole and states(a, leg) == ["confirmed"]


def test_people_are_told_when_an_announced_file_never_comes(ambito, pair):
    a, b = pair
    refer(a, "distretto", made(250))
    [offer_] = a.due()
    a.answered(offer_, b.receive(offer_.items).answer)
    for _ in range(5):
        ambito.clock.at += DAY + 1
        tick(b)
    assert alarms(b) == ["attachment-late"]


def test_asking_without_end_does_not_keep_the_senders_line_busy(ambito, pair):
    a, b = pair
    whole = made(250)
    leg = refer(a, "distretto", whole)
    ambito.carry(60)
    sent = 0
    for _ in range(60):
        assert posted(b, a, missing_body(b, a, leg, digest(whole), 0)) == "processed"
        tick(a)
        sent += ambito.carry(60)
    assert sent < 32 * 8
    assert alarms(a) == ["attachment-refused"]


BAD_PARTS = (
    ("beyond the count", {"i": 4}, "rejected: bad-body"),
    ("of nine", {"of": 9}, "rejected: bad-body"),
    ("of another count than its size says", {"of": 4}, "rejected: bad-body"),
    ("part nought", {"i": 0}, "rejected: bad-body"),
    ("too short for one that is not the last", {"data": "AAAA"}, "rejected: bad-body"),
    ("too long", {"data": "A" * 2000}, "rejected: bad-body"),
    ("the last one too short", {"i": 3, "data": "AAAA"}, "rejected: bad-body"),
    ("not base64url", {"data": "A=" * 50}, "rejected: bad-body"),
    ("a hash that is none", {"sha256": "kurz"}, "rejected: bad-body"),
)


@pytest.mark.parametrize(("changes", "answer"), [row[1:] for row in BAD_PARTS], ids=[row[0] for row in BAD_PARTS])
def test_a_part_that_cannot_be_of_this_file_is_rejected_and_changes_nothing(ambito, pair, changes, answer):
    a, b = pair
    whole = made(250)
    leg = refer(a, "distretto", whole)
    [offer_] = a.due()
    a.answered(offer_, b.receive(offer_.items).answer)
    assert posted(a, b, part_body(a, b, leg, whole, 1, 3, **changes)) == answer
    assert b.one("SELECT COUNT(*) FROM blob_part") == 0
    ambito.carry(60)
    assert saved(b, leg) == whole


def test_a_part_or_a_question_about_a_leg_of_others_or_a_file_never_named_is_rejected(ambito):
    a, b, c = ambito["tavullia"], ambito["distretto"], ambito["pesaro"]
    whole = made(250)
    leg = refer(a, "distretto", whole)
    ambito.carry(60)
    assert posted(c, b, part_body(c, b, leg, whole, 1, 3)) == "rejected: not-your-leg"
    assert posted(c, a, missing_body(c, a, leg, digest(whole), 1)) == "rejected: not-your-leg"
    assert posted(c, a, got_body(c, a, leg, digest(whole))) == "rejected: not-your-leg"
    assert posted(b, a, missing_body(b, a, leg, digest(b"another"), 1)) == "rejected: unknown-leg"
    assert posted(b, a, got_body(b, a, leg, digest(b"another"))) == "rejected: unknown-leg"
    assert posted(b, a, missing_body(b, a, leg, digest(whole), 7)) == "rejected: bad-body"
    assert posted(b, a, missing_body(b, a, a.ctx.dice.uuid4(), digest(whole), 1)) == "rejected: unknown-leg"


def test_parts_that_no_event_accounts_for_are_bounded_and_go_after_two_days(ambito, pair):
    a, b = pair
    said = []
    for seed in range(6):
        whole = made(800, seed)
        leg = a.ctx.dice.uuid4()
        said += [posted(a, b, part_body(a, b, leg, whole, i, 8)) for i in range(1, 9)]
    assert early(b) == EARLY_PEER_MAX and said.count("processed") == EARLY_PEER_MAX
    assert set(said[EARLY_PEER_MAX:]) == {"busy"}
    ambito.clock.at += 2 * DAY + 1
    tick(b)
    assert early(b) == 0 and b.one("SELECT COUNT(*) FROM blob") == b.one("SELECT COUNT(*) FROM case_key") == 0


def test_early_parts_of_one_referral_are_bounded_apart(ambito, pair):
    a, b = pair
    leg = a.ctx.dice.uuid4()
    said = [posted(a, b, part_body(a, b, leg, made(800, seed), i, 8)) for seed in (1, 2) for i in range(1, 9)]
    assert said.count("processed") == EARLY_LEG_MAX == early(b)


def test_what_came_early_from_a_stranger_is_not_taken_for_the_file_of_another(ambito):
    a, b, c = ambito["tavullia"], ambito["distretto"], ambito["pesaro"]
    whole = made(250)
    leg = refer(a, "distretto", whole)
    posted(c, b, part_body(c, b, leg, made(250, 5), 1, 3, sha256=digest(whole)))
    ambito.carry(60)
    assert saved(b, leg) == whole


@pytest.mark.parametrize(
    "changes", [{"size": 0}, {"size": BLOB_MAX + 1}, {"name": "a/b"}, {"name": "a\u202eb"}, {"type": "../x"}]
)
def test_an_event_naming_a_file_that_cannot_be_is_rejected(ambito, pair, monkeypatch, changes):
    a, b = pair

    def bad(given):
        return [FileRef(**({"sha256": digest(b"x"), "size": 5, "type": "application/pdf"} | changes))]

    monkeypatch.setattr("node.cases.desk.files_of", bad)
    monkeypatch.setattr("node.cases.desk.attach", lambda *_: None)
    leg = refer(a, "distretto", b"%PDF-")
    ambito.carry()
    assert a.one("SELECT prob FROM event WHERE leg = ? AND kind = 'offer'", leg) == "bad-body"
    assert b.one("SELECT COUNT(*) FROM blob") == 0


def test_an_event_naming_more_than_twenty_mebibytes_or_a_file_twice_is_rejected(ambito, pair, monkeypatch):
    a, _ = pair
    big = [FileRef(sha256=digest(bytes([i])), size=BLOB_MAX, type="application/pdf") for i in range(5)]
    monkeypatch.setattr("node.cases.desk.attach", lambda *_: None)
    for named in (big, [big[0], big[0]]):
        monkeypatch.setattr("node.cases.desk.files_of", lambda given, named=named: named)
        leg = refer(a, "distretto", b"%PDF-")
        ambito.carry()
        assert a.one("SELECT prob FROM event WHERE leg = ? AND kind = 'offer'", leg) == "bad-body"


# -- a receiver of before


def test_a_receiver_of_version_0_1_0_gets_the_event_and_people_are_told_of_the_files(ambito, pair, monkeypatch):
    a, b = pair
    leg = refer(a, "distretto", made(250))
    monkeypatch.setattr(envelope, "_BODY", EventBody | HeadBody)  # what 0.1.0 understood
    monkeypatch.setattr(envelope, "KINDS", frozenset({"event", "head"}))
    monkeypatch.setattr(parts, "named", lambda *_: None)
    ambito.carry(60)
    assert b.case(leg).line.state == "offered"
    assert states(a, leg) == ["unsupported"] and alarms(a) == ["attachment-unsupported"]
    assert a.due() == [] and a.one("SELECT COUNT(*) FROM outgoing") == 0
    monkeypatch.undo()
    act(a, leg, "amend", made(250), offer=filing.offer())
    ambito.carry(60)
    assert saved(b, leg) == made(250), "attached again after the other program was renewed"


# -- void, takeback, erasure


def test_what_is_taken_back_takes_its_files_with_it(ambito, pair):
    a, b = pair
    whole = made(450)
    leg = refer(a, "distretto", whole)
    planned = a.store.read(lambda db: takeback.plan(db, a.ctx, leg))
    assert len(planned.mids) == 3, "the offer and the parts sealed so far"
    posted(a, b, part_body(a, b, leg, whole, 1, 5))
    assert a.run(lambda tx: takeback.take_back(tx, a.ctx, leg, planned, planned.mids[:1])) is False
    assert a.one("SELECT COUNT(*) FROM blob") == a.one("SELECT COUNT(*) FROM blob_part") == 0
    ambito.carry(60)
    assert early(b) == 0 and b.one("SELECT COUNT(*) FROM blob_part") == 0
    assert a.one("SELECT COUNT(*) FROM outgoing") == 0


def test_a_rejected_offer_sends_no_parts_any_more(ambito, pair):
    a, b = pair
    leg = refer(a, "distretto", made(450))
    b.refer("tavullia")
    b.run(lambda tx: tx.execute("UPDATE leg SET leg = ?, peer = 'pesaro'", (leg,)))
    ambito.carry(60)
    assert a.one("SELECT state FROM leg WHERE leg = ?", leg) == "undeliverable"
    assert a.one("SELECT COUNT(*) FROM blob") == a.one("SELECT COUNT(*) FROM outgoing") == 0


@pytest.mark.feature("F002-29")
def test_no_byte_of_a_file_and_no_name_lies_in_the_clear_and_forgetting_leaves_none_to_open(ambito, pair):
    a, b = pair
    whole = made(450)
    leg = refer(a, "distretto", whole)
    ambito.carry(60)
    for each in pair:
        raw = raw_files(each)
        assert whole[20:60] not in raw and whole[120:160] not in raw and b"carta 0" not in raw
        forget(each, leg)
        assert each.one("SELECT COUNT(*) FROM blob") == each.one("SELECT COUNT(*) FROM blob_part") == 0
    assert posted(a, b, part_body(a, b, leg, whole, 1, 5)) == "rejected: unknown-leg"
    assert b.one("SELECT COUNT(*) FROM blob_part") == 0
    assert posted(b, a, missing_body(b, a, leg, digest(whole), 1)) == "rejected: unknown-leg"
    assert posted(b, a, got_body(b, a, leg, digest(whole))) == "processed"


def test_rows_cannot_be_exchanged_between_places(ambito, pair):
    a, b = pair
    leg = refer(a, "distretto", made(250))
    ambito.carry(60)
    b.run(lambda tx: tx.execute("UPDATE blob_part SET i = CASE i WHEN 1 THEN 13 WHEN 3 THEN 1 ELSE i END"))
    b.run(lambda tx: tx.execute("UPDATE blob_part SET i = 3 WHERE i = 13"))
    with refused("store-damaged"):
        saved(b, leg)


def test_a_row_our_own_disk_spoilt_has_to_come_again_or_is_said_to_people(ambito, pair):
    a, b = pair
    whole = made(450)
    leg = refer(a, "distretto", whole)
    [offer_] = a.due()
    a.answered(offer_, b.receive(offer_.items).answer)
    [one] = a.due()
    a.answered(one, b.receive(one.items).answer)
    b.run(lambda tx: tx.execute("UPDATE blob_part SET sealed = zeroblob(128)"))
    ambito.carry(60)
    assert saved(b, leg) == whole, "the reader asked for all of it again"
    other = refer(a, "distretto", made(450, 2))
    a.run(lambda tx: tx.execute("DELETE FROM blob_part WHERE i = 4"))
    ambito.carry(60)
    assert states(a, other) == ["refused"] and alarms(a) == ["attachment-refused"]
    assert a.one("SELECT COUNT(*) FROM outgoing") == 0


# -- who may look, what may be attached


def test_looking_and_saving_need_the_right_to_read_and_are_logged(ambito, pair):
    a, b = pair
    leg = refer(a, "distretto", made(250))
    ambito.carry(60)
    b.run(lambda tx: operators.add(tx, "VO", "RL-VOLONT", None, 0))
    for asked in (lambda tx: files.listing(tx, b.ctx, leg, "VO"), lambda tx: files.save(tx, b.ctx, leg, 1, "VO")):
        with refused("role-forbidden"):
            b.run(asked)
    states(b, leg)
    saved(b, leg)
    rows = b.store.read(lambda db: db.execute("SELECT operator, action FROM access_log").fetchall())
    assert rows == [("OP", "read"), ("OP", "save")]
    with refused("attachment-unknown"):
        saved(b, leg, 2)
    with refused("attachment-unknown"):
        saved(b, leg, 0)


@pytest.mark.parametrize(
    ("head", "got"),
    [(b"II*\0", "TIFF"), (b"\0\0\0\x18ftypheic", "HEIC"), (b"MZ\x90\0", "EXE"), (b"PK\x03\x04", "ZIP, DOCX"),
     (b"<html>", None), (b"GIF89a", "GIF"), (b"RIFF0000WEBP", "WEBP"), (b"#!/bin/sh", "EXE")],
)  # fmt: skip
def test_only_what_an_office_can_look_at_is_attached_whatever_it_is_called(pair, head, got):
    a, _ = pair
    with refused("attachment-type") as raised:
        refer(a, "distretto", head + bytes(40))
    assert raised.value.got == got
    assert a.one("SELECT COUNT(*) FROM leg") == a.one("SELECT COUNT(*) FROM blob") == 0


def test_a_file_or_a_step_above_the_limit_is_refused_before_anything_is_written(pair):
    a, _ = pair
    with refused("attachment-too-large"):
        refer(a, "distretto", made(BLOB_MAX + 1))
    with refused("attachment-too-large"):
        files.files_of([NewFile(name="x", content=made(BLOB_MAX, seed)) for seed in range(5)])
    with refused("attachment-type"):
        refer(a, "distretto", b"")
    assert a.one("SELECT COUNT(*) FROM leg") == 0


def test_a_file_attached_twice_to_one_step_or_one_referral_travels_once(ambito, pair):
    a, b = pair
    whole = made(250)
    leg = refer(a, "distretto", whole, whole)
    act(a, leg, "amend", whole, offer=filing.offer())
    ambito.carry(60)
    assert states(b, leg) == ["complete", "complete"]
    assert b.one("SELECT COUNT(*) FROM blob") == 1
