"""Bounded slices of the long campaigns, for every test run: a few kills, a few canaries; and proof that both can fail."""

import argparse
import gzip
import random
import sqlite3
import time

import pytest

from bench.world import World
from tests.campaigns import canary, chaos, restore
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


@pytest.mark.parametrize("hide", [gzip.compress, lambda text: text, lambda text: text.decode().encode("utf-16-le")])
def test_a_leak_is_found_plain_compressed_or_in_another_encoding(hide):
    mark = "Kzqwrtpsdfghjklm"
    assert Scanner(mark).data(b"\0" * 4000 + hide(b"caso " + mark.encode() + b"00001") + b"\0" * 50, "here")
