"""The rights of the person at one desk: what is kept and how long, what is held, putting right, limiting."""

import msgspec
import pytest

from node import requests as ask
from node.cases import desk, erasure, person
from node.exchange import erasing
from node.runtime.config import RetentionConfig
from node.vault import access
from protocol.errors import ProtocolError
from protocol.limits import DAY
from schemas.bodies import Person, Reporter
from tests.exchange.desks import Ambito, raw_files, states
from tests.exchange.test_erasing import CANARY, answer, asked, bodies_left, closed, erase, refused

KEEP = RetentionConfig(erase_after=24, keep=60)
MARIA = Person(given_name="Maria", family_name="D'Angelò", birth_year=1950, tax_code="DNGMRA50A41G479X", phone="0721 1")
MONTH = 31 * DAY


@pytest.fixture
def ambito(tmp_path):
    made = Ambito(tmp_path, "tavullia", "distretto", "pesaro")
    for each in made.desks.values():
        each.run(lambda tx: desk.operators.add(tx, "RE", "RL-RESP", None, 0))
    return made


@pytest.fixture
def pair(ambito):
    return ambito["tavullia"], ambito["distretto"]


def retention(each, *, apply=False, months=None, as_="RE", keep=KEEP):
    request = ask.Retention(as_=as_, months=months, apply=apply)
    return each.run(lambda tx: erasure.retention(tx, each.ctx, request, keep))


def find(each, as_="RE", **fields):
    request = ask.FindPerson(as_=as_, **fields)

    def run(tx):
        found = person.find(tx, each.ctx, request, KEEP)
        person.log(tx, each.ctx, request, found)
        return found

    return each.run(run)


def rectify(each, leg, as_="OP", **fields):
    return each.run(lambda tx: erasure.rectify(tx, each.ctx, ask.Rectify(leg=leg, as_=as_, **fields)))


def limit(each, leg, reason, as_="RE"):
    return each.run(lambda tx: erasure.limit(tx, each.ctx, ask.Limit(leg=leg, as_=as_, reason=reason)))


def actions(each):
    return [(row.operator, row.action, row.leg) for row in each.store.read(access.read)]


# -- keeping


def test_a_retention_run_shows_first_and_erases_only_what_is_old_and_over(ambito, pair):
    a, b = pair
    old = closed(ambito, a, b)
    for each in pair:
        each.run(lambda tx: tx.execute("UPDATE leg SET changed = changed - ?", (25 * MONTH,)))
    young, running = closed(ambito, a, b), a.refer("distretto").leg
    ambito.carry()
    shown = retention(a)
    assert [one.leg for one in shown.cases] == [old] and not shown.erased and bodies_left(a, old)[0] == 3
    done = retention(a, apply=True)
    assert [one.leg for one in done.cases] == [old] and bodies_left(a, old)[0] == 0
    assert bodies_left(a, young)[0] == 3 and bodies_left(a, running)[0] == 1
    assert retention(a, apply=True).cases == []
    assert asked(a, old) == [] and not a.due(), "each body keeps its own terms"
    assert bodies_left(b, old)[0] == 3
    assert ("RE", "erase", old) in actions(a)


def test_a_retention_run_leaves_what_was_taken_in_charge_limited_or_on_its_way(ambito, pair):
    a, b = pair
    charged = a.refer("distretto").leg
    ambito.carry()
    for ev, fields in (("accept", {}), ("start", {}), ("close", {"outcome": "OU-EROGATO"})):
        b.act(charged, ev, **fields)
    ambito.carry()
    limited = closed(ambito, a, b)
    limit(b, limited, "legal-claim")
    on_its_way = a.refer("distretto").leg
    ambito.carry()
    b.act(on_its_way, "decline", reason="DR-POSTI")
    ambito.clock.at += 30 * MONTH
    assert retention(b, apply=True).cases == []
    ambito.clock.at += 40 * MONTH
    assert [one.leg for one in retention(b, apply=True).cases] == [charged]
    assert bodies_left(b, limited)[0] == 3 and bodies_left(b, on_its_way)[0] == 2


def test_a_retention_run_needs_a_number_and_the_head_of_the_service(ambito, pair):
    a, _ = pair
    with refused("config-missing"):
        retention(a, keep=RetentionConfig())
    with refused("role-forbidden"):
        retention(a, as_="OP")


def test_a_long_run_goes_on_where_it_stopped(ambito, pair, monkeypatch):
    a, b = pair
    legs = {closed(ambito, a, b) for _ in range(5)}
    ambito.clock.at += 25 * MONTH
    monkeypatch.setattr(erasure, "AT_ONCE", 2)
    left = []
    while (run := retention(a, apply=True)).cases:
        legs -= {one.leg for one in run.cases}
        left.append(run.left)
    assert not legs and left == [3, 1, 0]


@pytest.mark.parametrize(
    ("at", "months", "then"),
    [
        ("2024-01-31T10:00:00+01:00", 1, "2024-02-29T10:00:00+01:00"),
        ("2024-02-29T10:00:00+01:00", -12, "2023-02-28T10:00:00+01:00"),
        ("2024-08-31T10:00:00+02:00", 6, "2025-02-28T10:00:00+01:00"),
        ("2024-12-15T10:00:00+01:00", 60, "2029-12-15T10:00:00+01:00"),
    ],
)
def test_months_are_those_of_the_calendar(at, months, then):
    from datetime import datetime

    seconds = int(datetime.fromisoformat(at).timestamp())
    assert erasure.months_after(seconds, months) == int(datetime.fromisoformat(then).timestamp())


# -- everything held about one person


def test_everything_held_about_a_person_is_found_in_one_search_and_nobody_elses(ambito, pair):
    a, b = pair
    mine = a.refer("distretto", person=MARIA, description=CANARY).leg
    again = a.refer("pesaro", person=msgspec.structs.replace(MARIA, tax_code=msgspec.UNSET)).leg
    brother = a.refer(
        "distretto", person=msgspec.structs.replace(MARIA, given_name="Ugo", birth_year=1948, tax_code=msgspec.UNSET)
    ).leg
    told_by = a.refer("distretto", reporter=Reporter(kind="relative", name="Maria D'Angelò", person_informed=True)).leg
    ambito.carry()
    b.act(mine, "ask", text="quando?", as_="OP")
    ambito.carry()
    found = find(a, family_name="d angelo", birth_year=1950)
    assert [case.leg for case in found.cases] == [mine, again]
    assert found.mentions == [told_by]
    assert [(step.ev, step.text) for step in found.cases[0].steps] == [("offer", None), ("ask", "quando?")]
    assert found.cases[0].versions[0].description == CANARY and found.cases[0].peer == "distretto"
    assert [case.leg for case in find(a, tax_code="dngmra50a41g479x").cases] == [mine]
    assert [case.leg for case in find(a, family_name="D'ANGELÒ", birth_year=1948).cases] == [brother]
    assert [case.leg for case in find(a, family_name="D'Angelo", birth_year=1950, given_name="Ugo").cases] == []
    assert [case.leg for case in find(b, tax_code="DNGMRA50A41G479X").cases] == [mine]


def test_the_search_is_logged_before_it_is_seen_and_leaves_no_index(ambito, pair):
    a, _ = pair
    mine = a.refer("distretto", person=MARIA).leg
    tables = "SELECT group_concat(name) FROM sqlite_master"
    before = a.one(tables)
    find(a, tax_code=MARIA.tax_code)
    find(a, tax_code="RSSMRA85T10A562S")
    assert actions(a) == [("RE", "search", ""), ("RE", "export", mine), ("RE", "search", "")]
    assert a.one(tables) == before
    a.store.checkpoint()
    files = raw_files(a)
    assert not any(word.encode() in files for word in ("D'Angelò", "angelo", MARIA.tax_code, "RSSMRA85T10A562S"))


def test_a_search_needs_enough_to_know_a_person_and_the_right_to(ambito, pair):
    a, _ = pair
    for fields in ({}, {"family_name": "Rossi"}, {"birth_year": 1950}):
        with refused("bad-shape"):
            find(a, **fields)
    with refused("role-forbidden"):
        find(a, as_="OP", tax_code="x")
    assert actions(a) == []


def test_what_was_erased_is_held_no_longer(ambito, pair):
    a, b = pair
    leg = closed(ambito, a, b, person=MARIA)
    assert len(find(a, tax_code=MARIA.tax_code).cases) == 1
    erase(a, leg)
    assert find(a, tax_code=MARIA.tax_code).cases == []


# -- putting right


def test_a_correction_travels_and_the_wrong_version_stays_unless_asked(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", person=MARIA).leg
    ambito.carry()
    rectify(a, leg, person=Person(phone="0721 2"), description="giusto")
    ambito.carry()
    assert b.case(leg).offer.person == msgspec.structs.replace(MARIA, phone="0721 2")
    assert b.case(leg).offer.description == "giusto" and b.case(leg).pending_amendments == [2]
    assert len(find(b, tax_code=MARIA.tax_code).cases[0].versions) == 2
    assert ("OP", "rectify", leg) in actions(a)


def test_wrong_versions_go_here_at_once_and_there_when_a_person_agrees(ambito, pair):
    a, b = pair
    wrong = msgspec.structs.replace(MARIA, family_name=CANARY)
    leg = a.refer("distretto", person=wrong).leg
    rectify(a, leg, person=Person(family_name="Rossi"), erase_old=True)
    assert bodies_left(a, leg)[0] == 2, "what has not arrived yet has to travel"
    ambito.carry()
    assert bodies_left(a, leg)[0] == 1 and a.case(leg).offer.person.family_name == "Rossi"
    assert asked(b, leg) == [(False, "rectified", "arrived", None, None)] and bodies_left(b, leg)[0] == 2
    answer(b, leg)
    ambito.carry()
    assert bodies_left(b, leg)[0] == 1 and b.case(leg).offer.person.family_name == "Rossi"
    assert asked(a, leg) == [(True, "rectified", "erased", None, None)]
    assert states(leg, a, b) == ["offered", "offered"], "the referral goes on"
    for each in pair:
        each.store.checkpoint()
        assert CANARY.encode() not in raw_files(each)
    b.act(leg, "accept")
    ambito.carry()
    assert states(leg, a, b) == ["accepted", "accepted"]


def test_a_receiver_puts_right_by_a_note_to_who_sent_it(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", person=MARIA).leg
    ambito.carry()
    b.act(leg, "accept")
    with refused("bad-shape"):
        rectify(b, leg, as_="AS", person=Person(phone="1"))
    rectify(b, leg, as_="AS", text="Il telefono giusto è un altro.")
    ambito.carry()
    assert [step.text for step in a.case(leg).steps if step.ev == "noted"] == ["Il telefono giusto è un altro."]


# -- limiting


def test_a_limited_case_is_kept_and_neither_used_nor_shown(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", person=MARIA).leg
    ambito.carry()
    limit(b, leg, "accuracy")
    for command in (
        lambda: b.act(leg, "open"),
        lambda: b.case(leg, as_="AS"),
        lambda: b.run(lambda tx: desk.hand_over(tx, b.ctx, desk.HandOver(leg=leg, desk_to="2", as_="AS"))),
        lambda: erase(b, leg),
    ):
        with refused("limited"):
            command()
    view = b.case(leg, as_="RE")
    assert view.line.limited and view.allowed == [] and view.offer.person == MARIA
    a.act(leg, "amend", as_="OP", offer=msgspec.structs.replace(view.offer, description="nuovo"))
    ambito.carry()
    assert b.case(leg, as_="RE").offer.description == "nuovo", "what arrives is kept"
    limit(b, leg, None)
    b.act(leg, "open")
    assert [action for _, action, _ in actions(b)] == ["limit", "read", "read", "limit-lifted", "open"]


def test_limiting_needs_a_letter_of_the_article_and_the_right(ambito, pair):
    a, _ = pair
    leg = a.refer("distretto", person=MARIA).leg
    with refused("unknown-code"):
        limit(a, leg, "boh")
    with refused("role-forbidden"):
        limit(a, leg, "accuracy", as_="OP")


# -- a kill between two commands


@pytest.mark.parametrize("before", range(9))
def test_a_kill_at_any_command_boundary_leaves_an_erasure_that_goes_on(ambito, pair, before):
    """Between any two commands the process dies: what it held in memory is gone, the rest is done at the next turn."""
    a, b = pair
    leg = a.refer("distretto", person=MARIA, description=CANARY).leg
    ambito.carry()
    count = [0]

    def die():
        count[0] += 1
        if count[0] == before:
            for each in pair:
                _restart(each)

    erase(a, leg)
    die()
    for _ in range(4):
        for sender, receiver in ((a, b), (b, a)):
            for parcel in sender.due():
                received = receiver.receive(parcel.items)
                die()
                sender.answered(parcel, received.answer)
                die()
        if b.store.read(lambda db: erasing.waiting(db, leg)):
            answer(b, leg)
            die()
    assert asked(a, leg) == [(True, "data-subject", "erased", None, None)]
    assert bodies_left(a) == bodies_left(b) == (0, 0) and states(leg, a, b) == ["cancelled", "cancelled"]


def _restart(each):
    from node.engine import MIGRATIONS
    from node.runtime.store import Store

    path = each.store.path
    each.store.close()
    each.store = Store.open(path, MIGRATIONS)


def test_a_refused_erasure_leaves_nothing(ambito, pair):
    a, b = pair
    leg = a.refer("distretto", person=MARIA).leg
    ambito.carry()
    b.act(leg, "accept")
    b.act(leg, "start")
    summary = "SELECT (SELECT COUNT(*) FROM event), (SELECT COUNT(*) FROM erased), (SELECT COUNT(*) FROM access_log)"
    before = b.one(summary)
    with pytest.raises(ProtocolError):
        erase(b, leg, reason="court-order")
    assert b.one(summary) == before
