"""Bounded slices of the long campaigns, for every test run: a few kills, a few canaries; and proof that both can fail."""

import argparse
import gzip
import random
import sqlite3
import time

import pytest

from bench import herd
from bench.world import World
from node.runtime.waiting import Pace
from tests.campaigns import canary, chaos, drills, restore
from tests.campaigns.leaks import Scanner


def test_six_kills_lose_nothing_and_double_nothing_and_a_loss_would_be_seen(tmp_path):
    world = World(tmp_path, [chaos.SENDER, chaos.RECEIVER], int(time.time()), direct=[chaos.SENDER, chaos.RECEIVER])
    figures = chaos.campaign(world, kills=6, acks=300, seed=7, desks=4)
    assert figures["violations"] == []
    assert figures["acknowledged"] >= 300
    assert (
        figures["kills"] == 6
    )  # whether post was on its way at one of them is chance here; the campaign tells how often
    with sqlite3.connect(world.path(chaos.RECEIVER) / "raccordo.db") as db:
        leg = db.execute("SELECT leg FROM leg LIMIT 1").fetchone()[0]
        db.execute("DELETE FROM event WHERE leg = ?", (leg,))
        db.execute("DELETE FROM leg WHERE leg = ?", (leg,))
    db.close()
    assert chaos.compare(world, {leg: ""})["lost"] == 1


def test_forty_canaries_are_found_at_neither_registry_nor_relay(tmp_path):
    figures = canary.campaign(tmp_path / "rete", canaries=40, seed=7)
    assert figures["violations"] == []
    assert figures["found"] == 0
    assert figures["known_at_both_ends"] == figures["sent"]
    assert figures["outer"]["envelopes"] > 0


def test_a_drill_under_load_brings_a_node_back(tmp_path):
    given = argparse.Namespace(cases=30, drills=1, seed=7, quiet=0.2)
    figures = restore.campaign(tmp_path, given, random.Random(7))
    assert figures["faults"] == []
    assert figures["drills"] == 1


def test_two_drills_lose_nothing_double_nothing_and_a_loss_would_be_seen(tmp_path):
    held, _ = drills.lived(tmp_path / "rete", drills=2, seed=7, pause=0.2)
    figures = held.compare()
    assert held.violations == []
    assert len(held.drills) == 2 and figures["signed_events"] > 0
    leg, writer, n, _ = next(event for event in held.ledger.signed if event[0] not in held._erased())
    node = next(iter(held.ledger.signed[leg, writer, n, _]))
    with sqlite3.connect(tmp_path / "rete" / node / "raccordo.db") as db:
        db.execute("DELETE FROM event WHERE leg = ? AND writer = ? AND n = ?", (leg, writer, n))
    db.close()
    assert held.compare()["lost"] == 1


def test_a_small_herd_comes_back_spread_and_one_in_step_would_be_seen(monkeypatch):
    assert herd.run(nodes=30, outages=(60.0,))["holds"]
    monkeypatch.setattr(Pace, "failed", lambda _: 5.0)
    assert not herd.run(nodes=30, outages=(60.0,))["holds"]


@pytest.mark.parametrize("hide", [gzip.compress, lambda text: text, lambda text: text.decode().encode("utf-16-le")])
def test_a_leak_is_found_plain_compressed_or_in_another_encoding(hide):
    mark = "Kzqwrtpsdfghjklm"
    assert Scanner(mark).data(b"\0" * 4000 + hide(b"caso " + mark.encode() + b"00001") + b"\0" * 50, "here")
