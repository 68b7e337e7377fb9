"""Canaries: what desks write must not be found anywhere at the registry or at a relay. Real processes, real post.

`./run canary [--canaries 1000] [--seed 1]`. A registry, a relay (the distretto) and two bodies without an inbound route;
unique strings go into bodies, case ids and questions, both ways, while each recipient in turn is switched off, so that its
post waits. Files, logs and memory of registry and relay are searched in every form `leaks` knows: while post waits and
at the end. Every outer part must decode to the fields of PROTOCOL §2 and no other, every sealed part be of a bucket's
size. Leaks planted on purpose must be found by the same search. JSON on standard output, exit 0 if all holds.
"""

import argparse
import gzip
import io
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
import zlib
from base64 import b64encode
from contextlib import redirect_stdout
from pathlib import Path

from bench.peer import BASIS
from deploy.demo.cast import Actor
from deploy.demo.network import Network
from deploy.demo.processes import until
from deploy.demo.telling import Teller
from node import requests as ask
from protocol.limits import BUCKETS, PAIR_ITEMS
from protocol.strict import b64u_decode
from schemas.bodies import Offer, Person
from schemas.wire import Ack, Receipt, Routing
from tests.campaigns.leaks import Scanner

NORTH, SOUTH, RELAY = "comune-tavullia", "comune-montelabbate", "distretto"
ACTORS = [
    Actor(RELAY, "Distretto Sanitario (esempio)", "PT-DISTRETTO", "041044", Path()),
    Actor(NORTH, "Comune di Tavullia", "PT-COMUNE", "041065", Path()),
    Actor(SOUTH, "Comune di Montelabbate", "PT-COMUNE", "041036", Path()),
]
OPERATOR = {NORTH: "TAV-AS", SOUTH: "MON-AS"}
FIRST_RELAY = {NORTH: "bacheca", SOUTH: RELAY}  # post for one waits at the registry, for the other at the relay
HEADERS = ({"alg", "kid", "typ"}, {"alg", "enc", "kid", "epk", "apu", "apv"})
STAYS = 60.0


def wire_names(struct):
    """The names a struct has on the wire."""
    return set(struct.__struct_encode_fields__)


class Town(Network):
    """The demo's network with these three bodies, and a first relay for each."""

    def __init__(self, root):
        super().__init__(root, ACTORS, Teller())

    def ask_registry(self, command, request=None):
        return super().ask_registry(command, request)

    def ask(self, node, command, request=None):
        if command == "join":
            first = FIRST_RELAY.get(node)
            request["relays"] = sorted(request["relays"], key=lambda relay: relay != first)
        return super().ask(node, command, request)

    def rise(self):
        """Founded, joined, staffed."""
        with redirect_stdout(io.StringIO()):
            self.found()
            self.start_nodes()
            self.approve_all(self.request_all())
            self.staff()

    def waiting(self, node):
        """Sealings of `node` without a signed end."""
        db = sqlite3.connect(f"file:{self.root / node / 'raccordo.db'}?mode=ro", uri=True)
        try:
            return db.execute("SELECT COUNT(*) FROM outgoing WHERE s IS NOT NULL").fetchone()[0]
        finally:
            db.close()

    def stores(self):
        """The databases that must know nothing."""
        return {"bacheca": self.registry.data_dir / "bacheca.db", RELAY: self.root / RELAY / "raccordo.db"}


class Canaries:
    """Unique strings: a mark common to all of a run, a number, some chance."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.mark = "Kz" + "".join(self.dice.choices("bcdfghjkmnpqrstvwxyz23456789", k=14))
        self.made = []

    def next(self):
        self.made.append(f"{self.mark}{len(self.made):05d}{self.dice.getrandbits(40):010x}")
        return self.made[-1]


def refer(town, sender, to, canaries):
    """One referral with a canary in its text and one in its case id; the leg."""
    offer = Offer(
        referral="RK-SEGN", urgency="UR-ORD", subject="person", case=canaries.next(), basis=BASIS,
        person=Person(given_name="Persona", family_name="Inventata"), description=f"{canaries.next()} " * 3,
    )  # fmt: skip
    return town.ask(sender, "refer", ask.Refer(to=to, offer=offer, as_=OPERATOR[sender]))["leg"]


def campaign(root, *, canaries, seed):
    """Runs it; returns the figures, `violations` empty when all holds."""
    began = time.monotonic()
    strings = Canaries(seed)
    scanner = Scanner(strings.mark)
    town = Town(root)
    hits, outer = [], {"envelopes": 0, "receipts": 0, "faults": []}
    try:
        town.rise()
        for sender, to in ((NORTH, SOUTH), (SOUTH, NORTH)):
            hits += _one_way(town, sender, to, strings, canaries, scanner, outer)
        until("tutto consegnato", lambda: not town.waiting(NORTH) and not town.waiting(SOUTH), STAYS)
        hits += _search(town, scanner)
        arrived = _at_both_ends(town, strings)
    finally:
        town.stop()
    planted = plant(root / "planted", strings)
    faults = outer.pop("faults")
    violations = [f"found: {hit.form} in {hit.where}" for hit in hits[:20]] + faults[:20]
    violations += [f"planted and not found: {name}" for name, found in planted.items() if not found]
    if arrived["known_at_both_ends"] != arrived["sent"] or not outer["envelopes"]:
        violations.append(f"not a fair search: {arrived} {outer}")
    return {
        "canaries": len(strings.made), "seed": seed, "found": len(hits), "outer": outer, "planted_found": planted,
        **arrived, "searched_mb": round(scanner.bytes_seen / 1e6), "streams_inflated": scanner.streams_opened,
        "seconds": round(time.monotonic() - began, 1), "violations": violations,
    }  # fmt: skip


def _one_way(town, sender, to, strings, canaries, scanner, outer):
    """Rounds of what a relay keeps for one pair: `to` is off while `sender` writes, its post waits and is searched."""
    hits, left = [], canaries * 9 // 40
    while left > 0:
        count = min(left, PAIR_ITEMS - 50)
        left -= count
        town.nodes[to].stop()
        legs = [refer(town, sender, to, strings) for _ in range(count)]
        until("posta in attesa", lambda owed=count: _held(town, to) >= owed, STAYS)
        _check_outer(town, outer)
        hits += _search(town, scanner)
        town.nodes[to].start()
        until("consegnato", lambda: not town.waiting(sender), STAYS)
        for leg in legs[: -(-count * 2 // 9)]:
            town.ask(to, "act", ask.Act(leg=leg, ev="ask", as_=OPERATOR[to], text=strings.next()))
    return hits


def _held(town, owner):
    return sum(
        _rows(path, "SELECT COUNT(*) FROM post WHERE owner = ? AND e IS NOT NULL", owner)[0][0]
        for path in town.stores().values()
    )


def _rows(path, sql, *args):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return db.execute(sql, args).fetchall()
    finally:
        db.close()


def _search(town, scanner):
    hits = []
    for program in (town.registry, town.nodes[RELAY]):
        hits += scanner.folder(program.data_dir) + scanner.process(program.pid)
    return hits


def _check_outer(town, outer):
    """What a relay holds: the closed fields of PROTOCOL §2 and §3, sealed parts in buckets."""
    for name, path in town.stores().items():
        for e, s, r in _rows(path, "SELECT e, s, r FROM post"):
            if r is not None:
                outer["receipts"] += 1
                outer["faults"] += [f"{name}: {fault}" for fault in receipt_faults(r)]
            else:
                outer["envelopes"] += 1
                outer["faults"] += [f"{name}: {fault}" for fault in envelope_faults(e, s)]


def envelope_faults(e, s):
    """What is not as PROTOCOL §2 closes it."""
    header, payload, signature = e.split(".")
    names = _names(header), _names(payload)
    if names != (HEADERS[0], wire_names(Routing)):
        yield f"outer part with {names}"
    if len(b64u_decode(signature)) != 64:
        yield "signature of another length"
    sealed = s.split(".")
    if _names(sealed[0]) != HEADERS[1] or sealed[1]:
        yield "sealed part with another header"
    if len(b64u_decode(sealed[3])) not in BUCKETS:
        yield f"sealed part of {len(b64u_decode(sealed[3]))} bytes, in no bucket"


def receipt_faults(raw):
    """What a receipt should not say."""
    header, payload, _ = raw.split(".")
    said = json.loads(b64u_decode(payload))
    if _names(header) != HEADERS[0] or set(said) != wire_names(Receipt):
        yield "receipt with other fields"
    if any(not set(ack) <= wire_names(Ack) for ack in said["acks"]):
        yield "acknowledgement with other fields"


def _names(segment):
    return set(json.loads(b64u_decode(segment)))


def _at_both_ends(town, strings):
    """That the canaries really travelled: both desks read them in their own cases."""
    seen = {}
    for node in (NORTH, SOUTH):
        legs = [row[0] for row in _rows(town.root / node / "raccordo.db", "SELECT leg FROM leg")]
        text = "".join(json.dumps(town.ask(node, "case", ask.Case(leg=leg, as_=OPERATOR[node]))) for leg in legs)
        seen[node] = {canary for canary in strings.made if canary in text}
    return {"sent": len(strings.made), "known_at_both_ends": len(seen[NORTH] & seen[SOUTH])}


def plant(folder, strings):
    """Leaks made on purpose, in files and in the memory of a process: which of them the search finds."""
    folder.mkdir()
    said = f'{{"log":"caso {strings.next()} aperto"}}'.encode()
    ways = {
        "plain": said,
        "utf-16": said.decode().encode("utf-16"),
        "gzip": b"intestazione" + gzip.compress(said),
        "zlib": b"pagina" + zlib.compress(said),
        **{f"base64, {shift} bytes before": b"d:" + b64encode(b"xyz"[:shift] + said) for shift in range(3)},
    }
    found = {}
    for name, content in ways.items():
        path = folder / f"{len(found)}.log"
        path.write_bytes(os.urandom(9000) + content + os.urandom(9000))
        found[f"{name}, file"] = bool(Scanner(strings.mark).folder(folder))
        path.unlink()
    holder = (
        "import sys,base64,zlib;held=base64.b64decode(sys.stdin.readline());print('ready',flush=True);sys.stdin.read()"
    )
    for name, content in ways.items():
        with subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            # doubly encoded on its way in, so that only `held` has the form looked for
            child.stdin.write(b64encode(content) + b"\n")
            child.stdin.flush()
            child.stdout.readline()
            found[f"{name}, memory"] = bool(Scanner(strings.mark).process(child.pid))
            child.stdin.close()
    return found


def main(argv=None):
    """The command line."""
    parser = argparse.ArgumentParser(prog="./run canary", description=__doc__.splitlines()[0])
    parser.add_argument("--canaries", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="raccordo-canary-") as scratch:
        figures = campaign(Path(scratch) / "rete", canaries=given.canaries, seed=given.seed)
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    return bool(figures["violations"])


if __name__ == "__main__":
    sys.exit(main())
