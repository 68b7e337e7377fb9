"""Two real nodes on loopback, killed (SIGKILL) in the middle of five mebibytes: what arrives is what was sent."""

import random
import threading
import time

import msgspec
import pytest

from bench.peer import BASIS
from bench.world import OPERATOR, World
from node import requests as ask
from node.runtime.store import open_reader
from protocol.errors import ProtocolError
from protocol.limits import BLOB_MAX
from schemas.bodies import Offer, Person
from tests.campaigns import chaos
from tests.campaigns.chaos import Node

PATIENCE = 120.0


def until(what, holds):
    """Looks every hundredth of a second; a test that waits for ever says what for."""
    pause, end = threading.Event(), time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, what
        pause.wait(0.01)


def one(node, sql):
    conn = open_reader(node.folder / "raccordo.db")
    try:
        return conn.execute(sql).fetchone()[0]
    finally:
        conn.close()


def refer(node, content, to):
    offer = Offer(
        referral="RK-SEGN", urgency="UR-ORD", subject="person", case="", basis=BASIS,
        person=Person(given_name="Persona", family_name="Inventata"), description="con un allegato grande",
    )  # fmt: skip
    request = ask.Refer(to=to, offer=offer, as_=OPERATOR, files=[ask.NewFile(name="verbale.pdf", content=content)])
    return msgspec.json.decode(node.call("refer", request))["leg"]


def saved(node, leg):
    raw = node.call("attachment-save", ask.SaveAttachment(leg=leg, number=1, as_=OPERATOR))
    return msgspec.convert(msgspec.json.decode(raw)["content"], bytes)


def states(node, leg):
    try:
        return [
            line["state"]
            for line in msgspec.json.decode(node.call("attachments", ask.Attachments(leg=leg, as_=OPERATOR)))
        ]
    except ProtocolError:
        return []


@pytest.mark.parametrize("killed", ["receiver", "sender", "both"])
def test_a_file_of_five_mebibytes_survives_kills_in_its_middle(tmp_path, killed, monkeypatch):
    monkeypatch.setattr(chaos, "START_SECONDS", PATIENCE)
    world = World(tmp_path, ["a", "b"], int(time.time()), direct=["a", "b"])
    a, b = Node(world.path("a")), Node(world.path("b"))
    content = b"%PDF-1.7\n" + random.Random(5).randbytes(BLOB_MAX - 9)
    try:
        a.start()
        b.start()
        leg = refer(a, content, "b")
        midway = 0
        for part in (1, 3, 6):
            until(f"part {part}", lambda least=part: one(b, "SELECT COUNT(*) FROM blob_part") >= least)
            victims = {"receiver": [b], "sender": [a], "both": [a, b]}[killed]
            for node in victims:
                node.kill()
            midway += one(b, "SELECT COUNT(*) FROM blob_part") < 8
            for node in victims:
                node.start()
        assert midway, "no kill fell into its middle"
        until("whole at the receiver", lambda: states(b, leg) == ["complete"])
        until("confirmed at the sender", lambda: states(a, leg) == ["confirmed"])
        assert saved(b, leg) == saved(a, leg) == content
        until("nothing left to send", lambda: a.waiting() == b.waiting() == 0)
        assert one(b, "SELECT COUNT(*) FROM blob") == 1 and one(b, "SELECT COUNT(*) FROM blob_part") == 8
    finally:
        a.stop()
        b.stop()
