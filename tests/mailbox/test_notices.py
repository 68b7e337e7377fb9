"""The content-free e-mail of a relay: to whom, when, what is in it; a real SMTP server on loopback, also a broken one."""

import asyncio
import socket
import sqlite3
import threading
from email import message_from_bytes
from email.header import decode_header, make_header
from types import SimpleNamespace

import msgspec
import pytest

from node.mailbox import box, notices
from node.mailbox.notices import SUBJECT, Due, Notifier, due, mark
from node.runtime.config import MailConfig
from node.runtime.mail import Sent, send
from node.runtime.migrations import migrate
from protocol.limits import DAY, HOUR
from protocol.notify import wish
from protocol.statements import sign_routes
from schemas import membership as m
from tests.protocol.network import T0, Network, sealer, signer, x

RELAY = "bacheca"


class Smtp:
    """A small SMTP server. `ending`: how it behaves — good, refuse (the recipient), drop (after the text), silent."""

    def __init__(self, ending="good"):
        self.ending = ending
        self.got = []
        self.calls = 0
        self.taken = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.calls += 1
            with peer, peer.makefile("rwb") as stream:
                self._talk(stream)

    def _talk(self, stream):
        def say(line):
            stream.write(line.encode() + b"\r\n")
            stream.flush()

        say("220 prova")
        to = []
        while line := stream.readline():
            verb = line.split(b":")[0].split()[0].upper()
            if verb == b"RCPT":
                to.append(line.decode().partition("<")[2].partition(">")[0])
                say("550 no" if self.ending == "refuse" else "250 ok")
            elif verb == b"DATA":
                say("354 go")
                text = b""
                while (row := stream.readline()) != b".\r\n":
                    text += row
                if self.ending == "drop":
                    return
                self.got.append((tuple(to), text))
                self.taken.set()
                say("250 taken")
            elif verb == b"QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")

    def config(self, **changes):
        fields = {"host": "127.0.0.1", "port": self.port, "sender": "bacheca@rete.example", "security": "none"}
        return MailConfig(**(fields | changes))

    def close(self):
        self.listener.close()


@pytest.fixture
def smtp():
    made = Smtp()
    yield made
    made.close()


NOTIFY = {"asked": "asked@ente.example 48", "plain": "plain@ente.example", "silent": None, "gone": "gone@ente.example"}


@pytest.fixture(scope="module")
def membership():
    net = Network()
    for name, notify in NOTIFY.items():
        keys = [m.SealingKey(x(sealer(name)), T0)]
        statement = m.RoutesStatement(
            net=net.net, node=name, n=1, since=T0, urls=[], relays=[RELAY], sealing=keys, iat=T0,
            notify=notify or msgspec.UNSET,
        )  # fmt: skip
        net.add(name, routes=sign_routes(statement, signer(name)))
    first = net.step()
    net.change("gone", status="suspended")
    return net.step(first)


@pytest.fixture
def db():
    conn = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrate(conn, box.MIGRATIONS)
    yield conn
    conn.close()


def keep(db, owner, at, *, receipt=False):
    e, r = (None, "receipt") if receipt else ("envelope", None)
    db.execute(
        "INSERT INTO post (owner, sender, e, r, size, exp, at) VALUES (?,'chi',?,?,1,?,?)", (owner, e, r, 9**12, at)
    )


def owners(db, membership, now):
    return {one.owner for one in due(db, membership, RELAY, now)}


def test_each_member_is_written_to_after_the_hours_it_asked_for_and_no_other(db, membership):
    for name in NOTIFY:
        keep(db, name, T0)
    assert owners(db, membership, T0 + DAY) == set()
    assert owners(db, membership, T0 + DAY + 1) == {"plain"}
    assert owners(db, membership, T0 + 2 * DAY + 1) == {"plain", "asked"}
    assert due(db, membership, RELAY, T0 + DAY + 1) == [Due("plain", "plain@ente.example")]
    assert due(db, membership, "altra-casella", T0 + 9 * DAY) == []


def test_receipts_are_no_reason_and_what_was_fetched_and_acknowledged_is_none_either(db, membership):
    keep(db, "plain", T0, receipt=True)
    assert owners(db, membership, T0 + 9 * DAY) == set()
    keep(db, "plain", T0)
    assert owners(db, membership, T0 + 9 * DAY) == {"plain"}
    db.execute("DELETE FROM post WHERE e IS NOT NULL")
    assert owners(db, membership, T0 + 9 * DAY) == set()


@pytest.mark.parametrize(
    "text",
    ["", "nessuno", "a@b c", "a@b,c@d", "A B <a@b>", "a@b\r\nBcc: c@d", "a@b 1000", "a@b -1", "a@b 24 48", None, 7],
)
def test_what_is_no_single_plain_address_asks_for_nothing(text):
    assert wish(text) is None


def test_hours_are_at_least_one_and_a_day_by_default():
    assert [wish(text).after for text in ("a@b.it", "a@b.it 0", "a@b.it 72")] == [24 * HOUR, HOUR, 72 * HOUR]


class Writer:
    def __init__(self, db):
        self.db = db

    async def submit(self, command):
        return command(self.db)

    read = submit


def notifier(db, membership, config, clock):
    shell = Writer(db)
    return Notifier(config, relay=RELAY, membership=lambda: membership, writer=shell, readers=shell, clock=clock)


@pytest.fixture
def clock():
    held = SimpleNamespace(at=T0 + 3 * DAY)
    held.now = lambda: held.at
    return held


def test_the_message_says_that_something_waits_and_nothing_else(db, membership, smtp, clock):
    keep(db, "asked", T0)
    keep(db, "asked", T0 + 5)
    made = notifier(db, membership, smtp.config(), clock)
    assert asyncio.run(made.once()) == 1
    ((to, raw),) = smtp.got
    message = message_from_bytes(raw)
    assert to == ("asked@ente.example",)
    assert str(make_header(decode_header(message["Subject"]))) == SUBJECT
    text = message.get_payload(decode=True).decode()
    assert text.splitlines()[0] == "C'è qualcosa in attesa su Raccordo."
    assert not any(digit in text for digit in "0123456789")  # not even how many
    assert all(word not in raw for word in (b"envelope", b"RK-", b"UR-", b"chi "))


def test_at_most_one_a_day_also_when_the_program_starts_again(db, membership, smtp, clock):
    keep(db, "plain", T0)
    for _ in range(3):
        asyncio.run(notifier(db, membership, smtp.config(), clock).once())
    clock.at += DAY - 1
    asyncio.run(notifier(db, membership, smtp.config(), clock).once())
    assert len(smtp.got) == 1
    clock.at += 1
    asyncio.run(notifier(db, membership, smtp.config(), clock).once())
    assert len(smtp.got) == 2


@pytest.mark.parametrize(("ending", "again"), [("refuse", HOUR), ("drop", DAY)])
def test_a_server_that_refuses_is_asked_again_and_one_that_may_have_taken_it_is_not(
    db, membership, clock, ending, again
):
    server = Smtp(ending)
    keep(db, "plain", T0)
    made = notifier(db, membership, server.config(), clock)
    assert asyncio.run(made.once()) == 0
    clock.at += again - 1
    asyncio.run(made.once())
    assert server.calls == 1
    clock.at += 1
    asyncio.run(made.once())
    assert server.calls == 2
    server.close()


def test_a_server_that_is_not_there_costs_an_hour_and_ends_nothing(db, membership, clock):
    with socket.create_server(("127.0.0.1", 0)) as probe:  # a port that nobody listens on any more
        port = probe.getsockname()[1]
    gone = MailConfig(host="127.0.0.1", port=port, sender="bacheca@rete.example", security="none")
    assert send(gone, "a@b.example", SUBJECT, "x") is Sent.NO
    keep(db, "plain", T0)
    assert asyncio.run(notifier(db, membership, gone, clock).once()) == 0
    assert db.execute("SELECT next_at FROM notice").fetchone() == (clock.at + HOUR,)


def test_a_slow_server_holds_up_no_other_work(db, membership, clock, monkeypatch):
    started, ended = threading.Event(), threading.Event()

    def slow(*_):
        started.set()
        ended.wait(10)
        return Sent.YES

    monkeypatch.setattr(notices, "send", slow)
    keep(db, "plain", T0)

    async def both():
        work = asyncio.create_task(notifier(db, membership, MailConfig(host="h", sender="s"), clock).once())
        await asyncio.to_thread(started.wait, 10)
        assert not work.done()  # and this loop runs
        ended.set()
        return await work

    assert asyncio.run(both()) == 1


def test_an_exposed_password_file_is_said_and_nothing_is_sent(smtp, tmp_path):
    secret = tmp_path / "posta"
    secret.write_text("parola\n")
    secret.chmod(0o644)
    with pytest.raises(Exception, match="keys-exposed"):
        send(smtp.config(user="u", password_file=str(secret)), "a@b.example", SUBJECT, "x")
    assert smtp.calls == 0


def test_marking_is_one_row_a_member(db):
    mark(db, "plain", 5)
    mark(db, "plain", 9)
    assert db.execute("SELECT * FROM notice").fetchall() == [("plain", 9)]
