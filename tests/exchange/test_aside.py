"""A message that makes the engine itself fail: set aside, told, tried again; nothing else waits for it (I13).

The faults are planted in our own code, where a message of a certain sender or leg passes: that is what a bug is. CVE class
2025-30355: one signed event that blocked a whole server's federation.
"""

import json
import logging
import sqlite3

import pytest

from node.exchange import aside, inbox, outbox, quota, retry
from node.runtime.logs import JsonFormatter
from protocol.envelope import decode_event_body
from protocol.errors import ProtocolError
from protocol.limits import DAY
from protocol.receipts import read_receipt
from tests.exchange.desks import Ambito, items_of, states

SECRET = "Maria Rossi, via Roma 1"


@pytest.fixture
def ambito(tmp_path):
    return Ambito(tmp_path, "tavullia", "gradara", "distretto")


class Planted:
    """A fault wherever an event of `legs` is stored, or its body decoded; `mended` is the update of the program."""

    def __init__(self, monkeypatch, *, place="insert_event", error=KeyError):
        self.legs = set()
        self.mended = False
        self.hits = 0
        real = getattr(inbox, place)

        def failing(*args):
            subject = args[-1] if place == "insert_event" else real(*args)
            if not self.mended and getattr(subject, "leg", None) in self.legs:
                self.hits += 1
                raise error(SECRET)
            return real(*args) if place == "insert_event" else subject

        if place == "decode_event_body":
            monkeypatch.setattr(inbox, place, lambda body, understood: failing(body))
            real = lambda body: decode_event_body(body, understood=inbox.UNDERSTOOD)  # noqa: E731
        else:
            monkeypatch.setattr(inbox, place, failing)


def kinds(desk, receipts):
    """k of every acknowledgement, by mid."""
    membership, net = desk.ctx.membership, desk.ctx.net
    read = [read_receipt(raw, membership, net=net, me=None, now=desk.ctx.clock.now()).receipt for raw in receipts]
    return {ack.mid: ack.k for receipt in read for ack in receipt.acks}


@pytest.mark.parametrize("place", ["insert_event", "decode_event_body"])
@pytest.mark.parametrize(
    "error", [KeyError, RecursionError, AssertionError, ZeroDivisionError, sqlite3.IntegrityError, UnicodeError]
)
def test_a_poisoned_message_is_kept_and_told_and_the_rest_of_the_queue_flows(ambito, monkeypatch, place, error):
    planted = Planted(monkeypatch, place=place, error=error)
    sender, desk = ambito["tavullia"], ambito["distretto"]
    legs = [sender.refer("distretto").leg for _ in range(5)]
    planted.legs = {legs[2]}
    (parcel,) = sender.due()
    received = desk.receive(parcel.items)
    said = kinds(sender, received.answer.receipts)
    assert sorted(said.values()) == ["processed"] * 4 + ["stored"]
    assert received.answer.later == []
    assert [states(leg, desk) for leg in legs] == [[("offered" if leg != legs[2] else None)] for leg in legs]
    assert desk.one("SELECT sender, tries, fault LIKE ? FROM aside", f"{error.__name__} %") == ("tavullia", 1, 1)
    assert desk.one("SELECT code, node, leg FROM alarm") == ("set-aside", "tavullia", None)
    (fault,) = received.faults
    assert (fault.sender, said[fault.name]) == ("tavullia", "stored")
    assert SECRET not in str(received.faults) + str(desk.store.read(retry.listing))
    # what comes later from the same peer flows too, and the poisoned one is not run again at every resend
    sender.answered(parcel, received.answer)
    hits = planted.hits
    assert states(sender.refer("distretto").leg, desk) == [None]
    assert ambito.carry() == 1
    ambito.clock.at += 3600
    again = desk.receive(parcel.items)
    assert kinds(sender, again.answer.receipts) == said
    assert planted.hits == hits or place == "decode_event_body"  # reading is pure, and comes before what is known
    assert desk.one("SELECT tries FROM aside") == 1


def test_after_an_update_it_is_tried_again_and_arrives_as_of_when_it_came(ambito, monkeypatch):
    planted = Planted(monkeypatch)
    sender, desk = ambito["tavullia"], ambito["distretto"]
    leg = sender.refer("distretto").leg
    planted.legs = {leg}
    came = ambito.clock.at
    ambito.carry()
    ambito.clock.at += 40 * DAY  # past the sealing's own expiry; it was stored in time
    ambito.change()
    tried = desk.run(lambda tx: retry.retry(tx, desk.ctx))
    assert (tried.done, [one.tries for one in tried.left]) == (0, [2])
    assert desk.one("SELECT COUNT(*) FROM alarm WHERE cleared IS NULL") == 1
    planted.mended = True
    tried = desk.run(lambda tx: retry.retry(tx, desk.ctx))
    assert (tried.done, tried.left, tried.legs) == (1, [], [leg])
    assert states(leg, desk) == ["offered"]
    assert desk.one("SELECT stored_at FROM leg") == came
    assert desk.one("SELECT COUNT(*) FROM alarm WHERE cleared IS NULL") == 0
    (parcel,) = [parcel for parcel in desk.due() if parcel.receipts]
    assert set(kinds(desk, [str(item.r) for item in parcel.items]).values()) == {"processed"}
    received = sender.receive(parcel.items)
    desk.answered(parcel, received.answer)
    assert sender.one("SELECT k, st FROM event") == ("processed", came)
    assert sender.one("SELECT COUNT(*) FROM outgoing") == 0
    ambito.carry()
    desk.act(leg, "accept")
    ambito.carry()
    assert states(leg, sender, desk) == ["accepted", "accepted"]


def test_what_follows_a_message_set_aside_waits_for_it_alone_and_comes_to_its_right(ambito, monkeypatch):
    """An offer set aside, then its amendment, then a resealed offer: one case, in order, all sealings acknowledged."""
    planted = Planted(monkeypatch, place="decode_event_body")
    sender, desk = ambito["tavullia"], ambito["distretto"]
    leg = sender.refer("distretto").leg
    planted.legs = {leg}
    ambito.carry()
    sender.act(leg, "amend", as_="OP", offer=sender.case(leg).offer)
    ambito.carry()
    assert desk.one("SELECT COUNT(*) FROM aside") == 2
    ambito.clock.at += 31 * DAY
    ambito.change()
    sender.run(sender.exchange.tick)  # seals again what expired: a new mid for the same event
    ambito.carry()
    assert desk.one("SELECT COUNT(*) FROM aside") == 2, "the same event under another mid is known"
    planted.mended = True
    assert desk.run(lambda tx: retry.retry(tx, desk.ctx)).done == 2
    ambito.clock.at += DAY
    ambito.carry()
    assert sender.one("SELECT COUNT(*) FROM outgoing WHERE s IS NOT NULL") == 0
    assert states(leg, sender, desk) == ["offered", "offered"]
    assert desk.one("SELECT s_count FROM leg") == 2


def test_one_poisoned_peer_delays_no_other(ambito, monkeypatch):
    """Also when both come in one page of a mailbox, and when the fault is met in the middle of the store."""
    planted = Planted(monkeypatch)
    bad, good, desk = ambito["tavullia"], ambito["gradara"], ambito["distretto"]
    planted.legs = {bad.refer("distretto").leg for _ in range(3)}
    legs = [good.refer("distretto").leg for _ in range(3)]
    page = items_of([*bad.due(), *good.due()])
    received = desk.receive(page, relayed=True)
    assert sorted(kinds(desk, received.answer.receipts).values()) == ["processed"] * 3 + ["stored"] * 3
    assert [states(leg, desk) for leg in legs] == [["offered"]] * 3
    assert desk.one("SELECT COUNT(*) FROM case_key") == 3, "nothing half written is left of the others"


def test_a_receipt_that_cannot_be_applied_spoils_no_other_and_stops_no_sending(ambito, monkeypatch):
    sender, desk = ambito["tavullia"], ambito["distretto"]
    legs = [sender.refer("distretto").leg for _ in range(2)]
    real, mended = outbox._apply_ack, []

    def failing(tx, ctx, ack, jti, leg, *rest):
        if leg == legs[0] and not mended:
            raise KeyError(SECRET)
        return real(tx, ctx, ack, jti, leg, *rest)

    monkeypatch.setattr(outbox, "_apply_ack", failing)
    for leg in legs:  # one batch each, so that each has its own receipt
        (parcel,) = [p for p in sender.store.read(lambda db: sender.exchange.due(db, batch=1)) if p.mids][:1]
        sender.answered(parcel, desk.receive(parcel.items).answer)
        ambito.clock.at += 1
        assert leg
    assert sender.one("SELECT COUNT(*) FROM aside WHERE r IS NOT NULL") == 1
    assert sender.one("SELECT COUNT(*) FROM event WHERE k = 'processed'") == 1
    assert len(sender.exchange.faults) == 1
    assert sender.one("SELECT next_at > ? FROM outgoing", ambito.clock.at) == 1, "its event waits its turn"
    mended.append(True)
    assert sender.run(lambda tx: retry.retry(tx, sender.ctx)).done == 1
    assert sender.one("SELECT COUNT(*) FROM event WHERE k = 'processed'") == 2


def test_what_cannot_even_be_verified_is_answered_unsigned_and_told(ambito, monkeypatch):
    real = inbox.read_outer
    sender, desk = ambito["tavullia"], ambito["distretto"]
    good, bad = [sender.refer("distretto").leg for _ in range(2)]
    (parcel,) = sender.due()
    poisoned = parcel.items[1].e

    def failing(e, s):
        if e == poisoned:
            raise IndexError(SECRET)
        return real(e, s)

    monkeypatch.setattr(inbox, "read_outer", failing)
    received = desk.receive(parcel.items)
    assert states(good, desk) == ["offered"]
    assert states(bad, desk) == [None]
    assert [(later.code, later.after) for later in received.answer.later] == [("internal", 3600)]
    assert desk.one("SELECT COUNT(*) FROM aside") == 0
    assert desk.one("SELECT code FROM alarm") == "set-aside"
    assert len(received.faults) == 1


def test_one_sender_fills_the_quarantine_only_so_far_and_loses_nothing(ambito, monkeypatch):
    monkeypatch.setattr(aside, "ITEMS", 2)
    planted = Planted(monkeypatch)
    bad, desk = ambito["tavullia"], ambito["distretto"]
    planted.legs = {bad.refer("distretto").leg for _ in range(4)}
    (parcel,) = bad.due()
    received = desk.receive(parcel.items)
    assert sorted(kinds(bad, received.answer.receipts).values()) == ["stored"] * 2
    assert [later.code for later in received.answer.later] == ["internal"] * 2
    bad.answered(parcel, received.answer)
    planted.mended = True
    desk.run(lambda tx: retry.retry(tx, desk.ctx))
    ambito.clock.at += 2 * 3600
    ambito.carry()
    assert desk.one("SELECT COUNT(*) FROM leg WHERE state = 'offered'") == 4


@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), MemoryError(), OSError()])
def test_a_fault_of_this_machine_is_not_blamed_on_a_message(ambito, monkeypatch, error):
    if isinstance(error, sqlite3.Error):
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
    monkeypatch.setattr(inbox, "insert_event", lambda *_: (_ for _ in ()).throw(error))
    sender, desk = ambito["tavullia"], ambito["distretto"]
    sender.refer("distretto")
    (parcel,) = sender.due()
    with pytest.raises((ProtocolError, MemoryError, OSError)):
        desk.receive(parcel.items)
    assert (desk.one("SELECT COUNT(*) FROM aside"), desk.one("SELECT COUNT(*) FROM inbox")) == (0, 0)


def test_what_is_logged_of_it_has_no_content(ambito, monkeypatch, caplog):
    from types import SimpleNamespace

    from node.courier import Courier
    from node.runtime.metrics import Counter

    planted = Planted(monkeypatch)
    sender, desk = ambito["tavullia"], ambito["distretto"]
    planted.legs = {sender.refer("distretto", description=SECRET).leg}
    ambito.carry()
    shell = SimpleNamespace(_body=desk, set_aside=Counter("n", "h"))
    with caplog.at_level(logging.ERROR, "raccordo"):
        Courier._tell_faults(shell)
    line = json.loads(JsonFormatter().format(caplog.records[-1]))
    assert (line["event"], line["member"], line["field"]) == ("set-aside", "tavullia", "KeyError")
    assert "Rossi" not in json.dumps(line)
    assert shell.set_aside.values == {(): 1}
    assert not desk.exchange.faults


# -- how much of one member


def test_above_its_quota_a_member_waits_for_the_day_to_end_and_the_others_do_not(ambito, monkeypatch):
    monkeypatch.setattr(quota, "ITEMS_A_DAY", 3)
    greedy, other, desk = ambito["tavullia"], ambito["gradara"], ambito["distretto"]
    for _ in range(5):
        greedy.refer("distretto")
    (parcel,) = greedy.due()
    received = desk.receive(parcel.items)
    until = DAY - ambito.clock.at % DAY
    assert [(later.code, later.after) for later in received.answer.later] == [("too-many", until)] * 2
    greedy.answered(parcel, received.answer)
    assert set(kinds(greedy, desk.receive(parcel.items[:3]).answer.receipts).values()) == {"processed"}, "known: free"
    other.refer("distretto")
    ambito.carry()
    assert desk.one("SELECT COUNT(*) FROM leg") == 4
    ambito.clock.at += until + 60
    ambito.carry()
    assert desk.one("SELECT COUNT(*) FROM leg") == 6
    assert greedy.one("SELECT COUNT(*) FROM outgoing") == 0
    assert desk.one("SELECT COUNT(*) FROM inbox_quota WHERE sender = 'tavullia'") == 1


def test_bytes_count_as_well(ambito, monkeypatch):
    monkeypatch.setattr(quota, "BYTES_A_DAY", 10_000)
    greedy, desk = ambito["tavullia"], ambito["distretto"]
    for _ in range(5):
        greedy.refer("distretto")
    (parcel,) = greedy.due()
    sizes = [len(str(item.e)) + len(str(item.s)) for item in parcel.items]
    received = desk.receive(parcel.items)
    assert sum(sizes) - sum(sizes[later.i] for later in received.answer.later) <= 10_000
    assert {later.code for later in received.answer.later} == {"too-many"}
