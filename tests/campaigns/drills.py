"""Restore drills under load: kill -9, an old copy put back, and what everybody holds afterwards. Real processes.

`./run drills [--drills 50] [--seed 1]`. A registry and three nodes, one of them reached through its mailbox alone; operators
of all three refer, answer, close and erase all the while. Each drill: a node (every eighth time two of them) is killed;
a copy of random age is put back, by `restore` or by laying the old database file in its place; it starts; the load goes
on. Measured: from the start until `status` names nobody to hear and all that peers had signed for is back, and until a
new referral has its receipt. Every fifth time it is killed and put back once more before it was told.

At the end both ends of every leg are compared: whatever an event's reader ever signed for is at both, or was given back;
nothing is there twice; nothing waits; what was erased is erased. What both of two restored nodes forgot is gone, counted,
and told to people. Between drills everybody's clock moves on a quarter of an hour (`shifted`), since a peer tells the
same member all it holds once in ten minutes. JSON on standard output, exit 0 if all holds.
"""

import argparse
import collections
import contextlib
import io
import json
import random
import shutil
import signal
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from contextlib import redirect_stdout
from pathlib import Path

from bench.peer import BASIS
from deploy.demo.cast import Actor
from deploy.demo.network import Network
from deploy.demo.processes import DemoError, Program, until
from deploy.demo.telling import Teller
from node import requests as ask
from node.body import Body
from node.cases.desk import bodies
from node.engine import store_path
from node.enrolment import CONFIG_NAME
from node.exchange.log import leg_row, logs
from node.runtime.config import NodeConfig, load_config
from node.runtime.sealed_file import key_file_text
from node.runtime.store import open_reader
from protocol.errors import ProtocolError
from protocol.referral import fold
from schemas.bodies import Offer, Person
from tests.campaigns.shifted import Ahead

ACTORS = [
    Actor("distretto", "Distretto Sanitario (esempio)", "PT-DISTRETTO", "041044", Path()),
    Actor("comune-pesaro", "Comune di Pesaro", "PT-COMUNE", "041044", Path()),
    Actor("comune-tavullia", "Comune di Tavullia", "PT-COMUNE", "041065", Path()),
]
NODES = [actor.node for actor in ACTORS]
DESK, CHIEF = "DR-AS", "DR-RE"  # who works on cases, who erases
BETWEEN = 900  # seconds everybody's clock moves on between two drills
COPIES = 8  # of each node are kept, and put back
PATIENCE = 90.0
_MOVES = {
    ("R", "offered"): ("open", "open", "accept", "decline"), ("R", "opened"): ("ask", "accept"),
    ("R", "asked"): ("accept",), ("R", "accepted"): ("start", "waitlist", "noted"), ("R", "waiting"): ("start",),
    ("R", "in-charge"): ("noted", "close"), ("R", "cancel-requested"): ("keep", "release"),
    ("S", "asked"): ("answer", "answer", "cancel"), ("S", "in-charge"): ("cancel",),
}  # fmt: skip
_WITH = {
    "decline": {"reason": "DR-COMPTERR"}, "cancel": {"reason": "no-longer-needed"}, "close": {"outcome": "OU-EROGATO"},
}  # fmt: skip
_WORDS = frozenset({"ask", "answer"})


class Shifted(Program):
    """A program by everybody's shifted clock."""

    def __init__(self, module, data_dir, ahead):
        super().__init__(module, data_dir)
        self._ahead = ahead

    def line(self, *words):
        began = [sys.executable, "-m", "tests.campaigns.shifted", str(self._ahead.path), self.module]
        return [*began, "--dir", str(self.data_dir), *words]


class Town(Network):
    """The demo's network with these three bodies; post for Tavullia waits at the registry."""

    def __init__(self, root):
        root.mkdir(parents=True)
        self.ahead = Ahead(root / "orologio")
        super().__init__(root, ACTORS, Teller())
        self.registry = Shifted("registry.cli", self.registry.data_dir, self.ahead)
        self.nodes = {node: Shifted("node.cli", root / node, self.ahead) for node in NODES}
        self.doors = {node: threading.Lock() for node in NODES}  # held while a store is exchanged, or read

    def rise(self):
        """Founded, joined, staffed."""
        with redirect_stdout(io.StringIO()):
            self.found()
            self.start_nodes()
            self.approve_all(self.request_all())
        for node in NODES:
            self.ask(node, "operator-add", {"code": DESK, "role": "RL-ASSOC"})
            self.ask(node, "operator-add", {"code": CHIEF, "role": "RL-RESP"})

    @contextlib.contextmanager
    def store(self, node):
        """The store of a node, read-only; never while it is exchanged for an older one."""
        with self.doors[node]:
            db = open_reader(store_path(self.root / node))
            try:
                yield db
            finally:
                db.close()

    def waiting(self):
        """By node: what has no signed end yet, peers that have to tell it what it forgot, receipts to be carried."""
        found = {}
        for node in NODES:
            with self.store(node) as db:
                found[node] = [int(db.execute(sql).fetchone()[0]) for sql in _WAITING]
        return found


_WAITING = (
    "SELECT COUNT(*) FROM outgoing WHERE s IS NOT NULL",
    "SELECT COUNT(*) FROM resync WHERE answered IS NULL",
    "SELECT COUNT(*) FROM aside",
)
# Each event whose writer holds a signed `processed`. One that was signed in the moment its reader was killed, and that
# never arrived, acknowledged nothing to anybody: its writer says it again, maybe under another number.
_SIGNED = """
SELECT leg, writer, n, cm FROM event JOIN leg USING (leg) WHERE side != 'L' AND writer = side AND k = 'processed'
"""
_HELD = "SELECT leg, writer, n, cm FROM event"
_PEER = "SELECT leg, peer FROM leg WHERE side != 'L'"


class Ledger:
    """What was signed for, by event, whatever anybody forgets since. `gone`: both ends were put back to before it."""

    def __init__(self):
        self.signed = {}  # (leg, writer, n, cm) → the two ends
        self.gone = set()

    def note(self, node, db):
        """From a store as it is now; the events of this node that have to be known."""
        peers = dict(db.execute(_PEER))
        for event in map(tuple, db.execute(_SIGNED)):
            self.signed.setdefault(event, frozenset((node, peers[event[0]])))

    def of(self, node):
        return {event for event, ends in self.signed.items() if node in ends} - self.gone

    def forgotten_by_both(self, first, second, held):
        """Events between two that neither of their stores holds any more."""
        lost = {e for e, ends in self.signed.items() if ends == {first, second} and e not in held} - self.gone
        self.gone |= lost
        return len(lost)


class Desk(threading.Thread):
    """One node's operators: refer, answer what stands in their list, erase now and then."""

    def __init__(self, town, node, seed, pause):
        super().__init__(daemon=True)
        self.town, self.node, self.pause = town, node, pause
        self.dice = random.Random(f"{seed} {node}")
        self.resting = threading.Event()
        self.done = collections.Counter()
        self.refused = collections.Counter()
        self.erased = []  # legs whose erasing was answered here
        self._end = threading.Event()
        self._words = 0

    def stop(self):
        self._end.set()
        self.join()

    def run(self):
        while not self._end.wait(self.dice.uniform(0.5, 1.5) * self.pause):
            try:
                what = self._work()
            except ProtocolError as problem:  # down, or it must not be done now: it happens to people too
                self.refused[problem.code] += 1
            except sqlite3.Error as error:
                self.refused[type(error).__name__] += 1
            else:
                self.done[what] += 1

    def refer(self, to=None):
        """A new referral; its leg."""
        to = to or self.dice.choice([node for node in NODES if node != self.node])
        offer = Offer(
            referral="RK-SEGN", urgency="UR-ORD", subject="person", case="", basis=BASIS,
            person=Person(given_name="Persona", family_name="Inventata"), description=self._unique(),
        )  # fmt: skip
        return self.town.ask(self.node, "refer", ask.Refer(to=to, offer=offer, as_=DESK))["leg"]

    def _work(self):
        chance = self.dice.random()
        if chance < 0.35:
            self.refer()
            return "refer"
        return self._erase() if chance < 0.37 else self._act()

    def _act(self):
        rows = self._rows("SELECT leg, side, state FROM leg WHERE side != 'L' ORDER BY changed DESC LIMIT 60")
        rows = [row for row in rows if row[1:] in _MOVES]
        if not rows:
            return "nothing"
        leg, *at = self.dice.choice(rows)
        ev = self.dice.choice(_MOVES[tuple(at)])
        words = {"text": self._unique()} if ev in _WORDS else {}
        self.town.ask(self.node, "act", ask.Act(leg=leg, ev=ev, as_=DESK, **words, **_WITH.get(ev, {})))
        return ev

    def _erase(self):
        """What a peer asks to erase; else a referral that is over."""
        asked = self._rows("SELECT leg FROM erasure_request WHERE own = 0 AND answer IS NULL LIMIT 1")
        over = self._rows(
            "SELECT leg FROM leg WHERE side != 'L' AND state IN ('declined', 'closed', 'cancelled')"
            " AND leg NOT IN (SELECT leg FROM erased) ORDER BY leg LIMIT 20"
        )
        if not asked and not over:
            return "nothing"
        (leg,) = asked[0] if asked else self.dice.choice(over)
        if asked:
            self.town.ask(self.node, "answer-erase", ask.AnswerErase(leg=leg, as_=CHIEF, accept=True))
        else:
            wish = ask.Erase(leg=leg, as_=CHIEF, reason="court-order", basis="atto 12/2026")
            self.town.ask(self.node, "erase", wish)
        self.erased.append(leg)
        return "erase"

    def _rows(self, sql):
        with self.town.store(self.node) as db:
            return [tuple(row) for row in db.execute(sql)]

    def _unique(self):
        self._words += 1
        return f"parole {self.node} {self._words} {self.dice.getrandbits(64):016x} " + "x" * self.dice.randrange(300)


class Copies:
    """Copies of each node, taken while it runs: by its own command, and the bare database file. The newest last."""

    def __init__(self, town):
        self.town = town
        self.key = town.root / "recupero.json"
        self.key.write_bytes(key_file_text(bytes(range(32))))
        self.key.chmod(0o600)
        self.made = {node: [] for node in NODES}
        self.count = 0

    def take(self, node):
        """One of each kind, at the same moment."""
        folder = self.town.root / "copie" / f"{node}-{self.count}"
        folder.mkdir(parents=True)
        self.count += 1
        done = self.town.nodes[node].run("backup", "--to", str(folder), "--key-file", str(self.key), "--json")
        bare = folder / "raccordo.db"
        with self.town.store(node) as db, contextlib.closing(sqlite3.connect(bare)) as target:
            db.backup(target)
        bare.chmod(0o600)
        self.made[node].append((Path(json.loads(done)["path"]), bare, time.monotonic()))
        for _, old, _ in self.made[node][:-COPIES]:
            shutil.rmtree(old.parent)
        del self.made[node][:-COPIES]

    def forget(self, node):
        """Two that were both put back begin another history of what both forgot: older copies belong to the first."""
        for _, old, _ in self.made[node]:
            shutil.rmtree(old.parent)
        self.made[node].clear()

    def put_back(self, node, which, *, announced):
        """The node is off. What it had written lately is no more; its new store is what the copy held."""
        copy, bare, _ = self.made[node][which]
        place = self.town.root / node
        with self.town.doors[node]:
            if announced:
                self.town.nodes[node].run("restore", str(copy), "--replace", "--key-file", str(self.key), "--json")
                for before in place.parent.glob(f"{node}.prima-*"):
                    shutil.rmtree(before)
            else:
                for end in ("-wal", "-shm"):
                    store_path(place).with_name(store_path(place).name + end).unlink(missing_ok=True)
                shutil.copyfile(bare, store_path(place))


class Campaign:
    """Everything that runs, and what it has to hold."""

    def __init__(self, town, seed, pause):
        self.town = town
        self.dice = random.Random(seed)
        self.copies = Copies(town)
        self.ledger = Ledger()
        self.desks = {node: Desk(town, node, seed, pause) for node in NODES}
        self.violations = []
        self.drills = []

    def run(self, drills):
        for desk in self.desks.values():
            desk.start()
        try:
            until("lavoro tra tutti", self._warm)
            for node in NODES:
                self.copies.take(node)
            for number in range(drills):
                time.sleep(self.dice.uniform(0.3, 2.0))
                self.drills.append(self._drill(number))
                print(f"{number + 1}: {self.drills[-1]}", file=sys.stderr, flush=True)
                for node in self.dice.sample(NODES, 2):
                    self.copies.take(node)
                for node in [node for node, made in self.copies.made.items() if not made]:
                    self.copies.take(node)
                self.town.ahead.jump(BETWEEN)
        finally:
            for desk in self.desks.values():
                desk.stop()

    def _warm(self):
        """Each has had something signed for by each."""
        for node in NODES:
            with self.town.store(node) as db:
                self.ledger.note(node, db)
        return len(set(self.ledger.signed.values())) == len(NODES)

    def _drill(self, number):
        victims = self.dice.sample(NODES, 2 if number % 8 == 7 else 1)
        announced = [number % 2 == 0, *([self.dice.random() < 0.5] if len(victims) > 1 else [])]
        if len(victims) > 1 and not any(announced):
            announced[0] = True  # two that both forgot the same, and were told nothing, are as if it had never been
        ages, both = self._fall(victims, announced)
        again = len(victims) == 1 and number % 5 == 4
        if again:  # before it was told: the peers say no more for ten minutes
            time.sleep(self.dice.uniform(0.0, 1.0))
            ages, both = self._fall(victims, announced)
            self.town.ahead.jump(BETWEEN)
        began = time.monotonic()
        first, whole = {}, {}
        legs = {}
        while len(whole) < len(victims) or len(first) < len(victims):
            for node in victims:
                if node not in legs:
                    with contextlib.suppress(ProtocolError):
                        legs[node] = self.desks[node].refer()
                if node in legs and node not in first and self._acknowledged(node, legs[node]):
                    first[node] = time.monotonic() - began
                if node not in whole and self._is_whole(node):
                    whole[node] = time.monotonic() - began
            if time.monotonic() - began > PATIENCE:
                self._stuck(number, victims)
                break
            time.sleep(0.05)
        if both:
            self._told(number, victims)
        if len(victims) > 1:
            for node in victims:
                self.copies.forget(node)
        return {
            "nodes": victims, "announced": announced, "again": again, "age_s": ages, "gone": both,
            "first_s": [round(s, 2) for s in first.values()], "whole_s": [round(s, 2) for s in whole.values()],
        }  # fmt: skip

    def _fall(self, victims, announced):
        """Killed, put back, started. Ages of the copies; how many signed events both of two forgot."""
        for node in victims:
            self.town.nodes[node].kill()
        for node in NODES:
            with self.town.store(node) as db:
                self.ledger.note(node, db)
        ages, held = [], set()
        for node, said in zip(victims, announced, strict=True):
            made = self.copies.made[node]
            which = min(int(self.dice.expovariate(0.5)), len(made) - 1)
            ages.append(round(time.monotonic() - made[-1 - which][2], 1))
            self.copies.put_back(node, -1 - which, announced=said)
            with self.town.store(node) as db:
                held |= set(map(tuple, db.execute(_HELD)))
        both = self.ledger.forgotten_by_both(*victims, held) if len(victims) > 1 else 0
        for node in victims:
            self.town.nodes[node].start()
        return ages, both

    def _acknowledged(self, node, leg):
        with self.town.store(node) as db:
            return db.execute("SELECT 1 FROM event WHERE leg = ? AND k = 'processed'", (leg,)).fetchone()

    def _is_whole(self, node):
        """`status` names nobody to hear, and all that was signed for is in the store."""
        try:
            if self.town.ask(node, "status")["resync_open"]:
                return False
        except ProtocolError:
            return False
        return not self._missing(node)

    def _missing(self, node):
        with self.town.store(node) as db:
            held = set(map(tuple, db.execute(_HELD)))
        return {event for event in self.ledger.of(node) - held if event[0] not in self._erased()}

    def _erased(self):
        return {leg for desk in self.desks.values() for leg in desk.erased}

    def _stuck(self, number, victims):
        for node in victims:
            missing = self._missing(node)
            still = self.town.ask(node, "status")["resync_open"]
            self.violations.append(f"drill {number}: {node} not whole: {len(missing)} missing, to hear: {still}")
            print(f"{node}: {sorted(missing)[:5]}", file=sys.stderr)

    def _told(self, number, victims):
        for node, other in (victims, victims[::-1]):
            with self.town.store(node) as db:
                codes = {code for (code,) in db.execute("SELECT code FROM alarm WHERE node = ?", (other,))}
            if not codes & {"restored-here", "peer-restored"}:
                self.violations.append(f"drill {number}: {node} is not told that {other} and it forgot something")

    # -- afterwards

    def settle(self):
        """Until nothing waits; how far the clocks had to go on for it, in seconds, and the time it took."""
        began, from_ = time.monotonic(), self.town.ahead.seconds
        for jump in (0, BETWEEN, 6 * 3600, 6 * 3600, 12 * 3600, 24 * 3600):
            self.town.ahead.jump(jump)
            for node in NODES:
                with contextlib.suppress(ProtocolError):
                    self.town.ask(node, "sync")
            with contextlib.suppress(DemoError):
                until("quiete", lambda: not any(any(row) for row in self.town.waiting().values()), 20)
                break
            print(f"after {self.town.ahead.seconds - from_} s: {self.town.waiting()}", file=sys.stderr, flush=True)
        left = {node: row for node, row in self.town.waiting().items() if any(row)}
        if left:
            self.violations.append(f"stuck: {left}")
        return {"settled_s": round(time.monotonic() - began, 1), "clock_moved_s": self.town.ahead.seconds - from_}

    def compare(self):
        """Both ends of every leg."""
        open_ = {node: Body.open(load_config(self.town.root / node / CONFIG_NAME, NodeConfig)) for node in NODES}
        try:
            return self._compare({node: _Held(body) for node, body in open_.items()})
        finally:
            for body in open_.values():
                body.close()

    def _compare(self, held):
        erased = self._erased()
        found = collections.Counter()
        for node in NODES:
            with self.town.store(node) as db:
                self.ledger.note(node, db)
        for event, ends in self.ledger.signed.items():
            if event in self.ledger.gone or event[0] in erased:
                continue
            if not all(event in held[node].events or event[:3] in held[node].given_back for node in ends):
                found["lost"] += 1
                print(f"lost: {event} between {sorted(ends)}", file=sys.stderr)
        for node, one in held.items():
            found["doubled"] += sum(count > 1 for count in one.words.values())
            for leg, peer in one.legs.items():
                if leg in erased:
                    continue
                if held[peer].legs.get(leg) != node:
                    found["at_one_end"] += 1
                    print(f"only at {node}: {leg} {peer}", file=sys.stderr)
                elif one.folded[leg] != held[peer].folded[leg] or one.skeletons[leg] != held[peer].skeletons[leg]:
                    found["different"] += 1
                    print(f"differs: {leg} {node} {peer}", file=sys.stderr)
            found["erased_came_back"] += len(one.readable & set(self.desks[node].erased))
        counts = {name: found[name] for name in ("lost", "doubled", "at_one_end", "different", "erased_came_back")}
        self.violations += [f"{name}: {count}" for name, count in counts.items() if count]
        return {
            **counts, "legs": len(set().union(*(one.legs for one in held.values()))),
            "signed_events": len(self.ledger.signed), "gone_at_both": len(self.ledger.gone), "erased": len(erased),
            "given_back": sum(len(one.given_back) for one in held.values()),
        }  # fmt: skip


class _Held:
    """What one store holds, read whole."""

    def __init__(self, body):
        body.store.read(lambda db: self._read(db, body.ctx))

    def _read(self, db, ctx):
        self.legs = dict(db.execute(_PEER))
        self.events = set(map(tuple, db.execute(_HELD)))
        self.given_back = set(map(tuple, db.execute("SELECT leg, writer, n FROM given_back")))
        self.readable = {leg for (leg,) in db.execute("SELECT leg FROM event WHERE sealed IS NOT NULL")}
        self.words = collections.Counter()
        self.folded, self.skeletons = {}, {}
        for leg in self.legs:
            self.folded[leg] = fold(*logs(db, leg))
            self.skeletons[leg] = db.execute(
                "SELECT writer, n, jti, kind, seen, cm, voids FROM event WHERE leg = ? ORDER BY 1, 2, 3", (leg,)
            ).fetchall()
            voided = {row[6] for row in self.skeletons[leg]}
            by_jti = {row[2]: row[5] for row in self.skeletons[leg]}
            for _, event in bodies(db, ctx, leg_row(db, leg)):
                said = event.offer.description if event.offer else event.text
                if isinstance(said, str) and by_jti.get(event.jti) not in voided:
                    self.words[said] += 1


def lived(root, *, drills, seed, pause=0.3):
    """Runs it to its end; nothing is compared yet. Returns it and what settling took."""
    town = Town(root)
    try:
        town.rise()
        held = Campaign(town, seed, pause)
        held.run(drills)
        settled = held.settle()
    finally:
        town.stop()
    return held, settled


def campaign(root, *, drills, seed):
    """Runs it; returns the figures, `violations` empty when all holds."""
    began = time.monotonic()
    held, settled = lived(root, drills=drills, seed=seed)
    found = held.compare()
    single = [one for one in held.drills if len(one["nodes"]) == 1 and not one["again"]]
    done = sum((desk.done for desk in held.desks.values()), collections.Counter())
    return {
        "drills": len(held.drills), "seed": seed, "both": sum(len(one["nodes"]) > 1 for one in held.drills),
        "again_before_told": sum(one["again"] for one in held.drills), "copies": held.copies.count,
        "age_s": spread([age for one in held.drills for age in one["age_s"]]),
        "rto_first_referral_s": spread([s for one in held.drills for s in one["first_s"]]),
        "rto_announced_s": spread([s for one in single if one["announced"][0] for s in one["whole_s"]]),
        "rto_unannounced_s": spread([s for one in single if not one["announced"][0] for s in one["whole_s"]]),
        "rto_both_s": spread([s for one in held.drills if len(one["nodes"]) > 1 for s in one["whole_s"]]),
        "done": dict(done), "refused": dict(sum((d.refused for d in held.desks.values()), collections.Counter())),
        **found, **settled, "seconds": round(time.monotonic() - began), "violations": held.violations,
    }  # fmt: skip


def spread(values):
    """min, median, max."""
    return [round(f(values), 2) for f in (min, statistics.median, max)] if values else None


def main(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(prog="./run drills", description=__doc__.splitlines()[0])
    parser.add_argument("--drills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="where the stores are to be left")
    given = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the processes end with us
    with tempfile.TemporaryDirectory(prefix="raccordo-drills-") as scratch:
        figures = campaign((given.keep or Path(scratch)) / "rete", drills=given.drills, seed=given.seed)
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    return bool(figures["violations"])


if __name__ == "__main__":
    sys.exit(main())
