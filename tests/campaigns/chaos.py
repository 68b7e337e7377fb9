"""Kill -9, again and again: two real nodes under load, sender and receiver by turns; then nothing may be lost or doubled.

`./run chaos [--kills 100] [--acks 5000] [--seed 1]`. Operators (threads) refer through the local channel of A and open
cases at B; a referral counts as acknowledged when the command was answered. After the last restart and quiescence both
stores are compared: every acknowledged referral is at both ends, once, with the same content; both logs of every leg
are equal and fold alike; every receipt A holds is one that B still holds. JSON on standard output, exit 0 if all holds.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec

from bench.machine import cpu_of
from bench.peer import BASIS
from bench.world import OPERATOR, World
from node import requests as ask
from node.answers import Done
from node.body import Body
from node.cases.desk import bodies
from node.enrolment import CONFIG_NAME
from node.exchange.log import leg_row, logs
from node.runtime import local
from node.runtime.config import NodeConfig, load_config
from node.runtime.store import open_reader
from protocol.errors import ProtocolError
from protocol.referral import fold
from schemas.bodies import Offer, Person

SENDER, RECEIVER = "a", "b"
START_SECONDS = 60.0


class Node:
    """One node process, started by `serve`, ended by SIGKILL."""

    def __init__(self, folder):
        self.folder = folder
        self.starts = 0
        self.slowest = 0.0
        self.process = None
        self.log = (folder / "stderr.log").open("ab")

    def start(self):
        """Returns when it answers commands."""
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "node.cli", "--dir", str(self.folder), "serve"],
            stdout=subprocess.DEVNULL, stderr=self.log,
        )  # fmt: skip
        self.starts += 1
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - began > START_SECONDS:
                raise RuntimeError(f"{self.folder.name} does not start again: see {self.log.name}")
            time.sleep(0.01)
        self.slowest = max(self.slowest, time.monotonic() - began)

    def answers(self):
        """True when the announced process is this one and takes commands."""
        try:
            if local.announced(self.folder).pid != self.process.pid:
                return False
            self.call("operators", ask.Nothing())
        except ProtocolError:
            return False
        return True

    def call(self, name, request):
        """A command through the local channel."""
        return local.command(self.folder, name, msgspec.json.encode(request), timeout=20.0)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
        self.log.close()

    def waiting(self):
        """Sealings without a signed end."""
        conn = open_reader(self.folder / "raccordo.db")
        try:
            return conn.execute("SELECT COUNT(*) FROM outgoing WHERE s IS NOT NULL").fetchone()[0]
        finally:
            conn.close()


class Load:
    """Operators at A who refer, one at B who opens. `acknowledged`: leg → the words of the referral."""

    def __init__(self, a, b, seed, desks):
        self.a, self.b = a, b
        self.allowed = 0  # acknowledged referrals after which the operators rest
        self.acknowledged = {}
        self.attempts = 0
        self.opened = 0
        self._unopened = collections.deque()
        self._door = threading.Lock()
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._refer, args=(random.Random(seed + n),)) for n in range(desks)]
        self._threads.append(threading.Thread(target=self._open))

    def start(self):
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _refer(self, dice):
        while not self._end.is_set():
            if len(self.acknowledged) >= self.allowed:
                self._end.wait(0.01)
                continue
            with self._door:
                self.attempts += 1
                words = f"parole {self.attempts} {dice.getrandbits(64):016x} " + "x" * dice.randrange(500)
            offer = Offer(
                referral="RK-SEGN", urgency="UR-ORD", subject="person", case="", basis=BASIS,
                person=Person(given_name="Persona", family_name="Inventata"), description=words,
            )  # fmt: skip
            try:
                raw = self.a.call("refer", ask.Refer(to=RECEIVER, offer=offer, as_=OPERATOR))
            except ProtocolError:
                self._end.wait(0.05)  # down: the operator does not know whether it was taken
                continue
            leg = msgspec.json.decode(raw, type=Done).leg
            with self._door:
                self.acknowledged[leg] = words
            self._unopened.append(leg)

    def _open(self):
        while not self._end.wait(0.02):
            if not self._unopened:
                continue
            leg = self._unopened.popleft()
            try:
                self.b.call("act", ask.Act(leg=leg, ev="open", as_=OPERATOR))
                self.opened += 1
            except ProtocolError as problem:
                if problem.code != "illegal-event":  # opened already, by a call whose answer was lost
                    self._unopened.append(leg)  # not here yet, or down


def campaign(world, *, kills, acks, seed, desks=6):
    """Runs it; returns the figures, `violations` empty when all holds."""
    dice = random.Random(seed)
    nodes = [Node(world.path(SENDER)), Node(world.path(RECEIVER))]
    began = time.monotonic()
    alive, after, midway = 0.0, [], 0
    load = Load(*nodes, seed, desks)
    try:
        for node in nodes:
            node.start()
        load.start()
        for turn in range(kills):
            victim = nodes[turn % 2]
            load.allowed = acks * (turn + 1) // kills  # spread over the kills, so that each falls into work
            time.sleep(dice.uniform(0.05, 0.6) if turn % 4 < 2 else dice.uniform(0.3, 1.5))
            midway += bool(nodes[0].waiting())
            after.append(len(load.acknowledged))
            victim.kill()
            victim.start()
        while len(load.acknowledged) < acks:
            time.sleep(0.1)
        load.stop()
        alive = time.monotonic() - began
        quiet = settle(nodes, 240)
    finally:
        load.stop()
        cpu = [round(cpu_of(node.process.pid), 1) for node in nodes if node.process.poll() is None]
        for node in nodes:
            node.stop()
    found = compare(world, load.acknowledged)
    return {
        "kills": kills, "seed": seed, "acknowledged": len(load.acknowledged), "attempts": load.attempts,
        "acknowledged_before_last_kill": after[-1] if after else 0, "kills_with_post_on_its_way": midway,
        "opened": load.opened, "slowest_restart_s": round(max(node.slowest for node in nodes), 2),
        "under_load_s": round(alive, 1), "quiet_after_s": round(quiet, 1), "cpu_s_since_last_start": cpu, **found,
    }  # fmt: skip


def settle(nodes, limit):
    """Waits until nothing waits for a signed end at either side; seconds it took."""
    began = time.monotonic()
    while any(node.waiting() for node in nodes):
        if time.monotonic() - began > limit:
            break
        for node in nodes:
            with contextlib.suppress(ProtocolError):
                node.call("sync", ask.Nothing())
        time.sleep(0.2)
    return time.monotonic() - began


def compare(world, acknowledged):
    """What is lost, doubled or different between the two stores."""
    a, b = (Body.open(load_config(world.path(name) / CONFIG_NAME, NodeConfig)) for name in (SENDER, RECEIVER))
    try:
        return a.store.read(lambda at_a: b.store.read(lambda at_b: _compare(a, b, at_a, at_b, acknowledged)))
    finally:
        a.close()
        b.close()


def _compare(a, b, at_a, at_b, acknowledged):
    legs_a, legs_b = _legs(at_a), _legs(at_b)
    lost = [leg for leg in acknowledged if leg not in legs_a or leg not in legs_b]
    unsettled = at_a.execute("SELECT COUNT(*) FROM event WHERE writer = 'S' AND k IS NOT 'processed'").fetchone()[0]
    doubled, different = [], []
    held = {}
    for leg in sorted(legs_a | legs_b):
        if leg not in legs_a or leg not in legs_b:
            different.append(leg)  # sent but never acknowledged to anybody: it may exist, but then at both ends
            continue
        if _skeleton(at_a, leg) != _skeleton(at_b, leg) or fold(*logs(at_a, leg)) != fold(*logs(at_b, leg)):
            different.append(leg)
        words = _offers(b, at_b, leg)
        if len(words) != 1 or words != _offers(a, at_a, leg) or words[0] in held:
            doubled.append(leg)
        elif acknowledged.get(leg, words[0]) != words[0]:
            different.append(leg)
        held[words[0]] = leg
    signed = {raw for (raw,) in at_b.execute("SELECT raw FROM receipt WHERE own = 1")}
    forgotten = [raw for (raw,) in at_a.execute("SELECT raw FROM receipt WHERE own = 0") if raw not in signed]
    counts = {"lost": len(lost), "doubled": len(doubled), "different": len(different), "unsettled": unsettled,
              "receipts_forgotten": len(forgotten)}  # fmt: skip
    return {
        **counts, "legs": len(legs_a), "receipts": len(signed), "never_acknowledged": len(legs_a - set(acknowledged)),
        "violations": [f"{name}: {count}" for name, count in counts.items() if count],
    }  # fmt: skip


def _legs(db):
    return {leg for (leg,) in db.execute("SELECT leg FROM leg")}


def _skeleton(db, leg):
    return db.execute(
        "SELECT writer, n, jti, kind, seen, reason, outcome, cm, voids, e FROM event WHERE leg = ? ORDER BY 1, 2, 3",
        (leg,),
    ).fetchall()


def _offers(body, db, leg):
    held = bodies(db, body.ctx, leg_row(db, leg))
    return [event.offer.description for _, event in held if event.ev == "offer"]


def main(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(prog="./run chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--acks", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where the stores are to be left")
    given = parser.parse_args(argv)
    os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix="raccordo-chaos-", dir=given.keep) as scratch:
        folder = given.keep or Path(scratch)
        world = World(folder, [SENDER, RECEIVER], int(time.time()), direct=[SENDER, RECEIVER])
        figures = campaign(world, kills=given.kills, acks=given.acks, seed=given.seed)
    print(json.dumps(figures, indent=1))
    return bool(figures["violations"])


if __name__ == "__main__":
    sys.exit(main())
