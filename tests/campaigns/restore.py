"""Restore drills: copies under load, the process killed, the directory brought back, the time until it works again.

`./run python -m tests.campaigns.restore [--cases 5000] [--drills 10] [--seed 1]`. Two real nodes; operators refer through
the local channel of `a` all the while. Each drill: a copy is asked of the running process (its age is then random), every
third time another copy is under way at the kill; kill -9; `restore --replace`; `serve`. Then: what was acknowledged
before the copy began is there, nothing is half there, old cases wait for the peer, a new referral arrives, a person who
telephoned reopens. JSON on standard output, exit 0 if all holds. What `resync` would bring back is not looked at.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec

from bench.world import OPERATOR, World
from node import backups
from node import requests as ask
from node.body import Body
from node.cases import desk, operators
from node.enrolment import CONFIG_NAME
from node.runtime import local, sealed_file
from node.runtime.backup_turn import asked
from node.runtime.config import NodeConfig, load_config
from node.runtime.store import open_reader
from protocol.errors import ProtocolError
from tests.backup.desks import offered
from tests.campaigns.chaos import Node

SECRET = sealed_file.Secret("key-file", bytes(range(32)))


class Load:
    """One operator who refers as fast as it is answered; `acked` in order, `seconds` of each."""

    def __init__(self, node):
        self.node, self.acked, self.seconds = node, [], []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self):
        request = ask.Refer(to="b", offer=offered(), as_=OPERATOR)
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                raw = self.node.call("refer", request)
            except ProtocolError:
                return  # killed meanwhile
            self.acked.append(json.loads(raw)["leg"])
            self.seconds.append(time.monotonic() - began)

    def stop(self):
        self._stop.set()
        self._thread.join()


def main():
    given = arguments()
    dice = random.Random(given.seed)
    with tempfile.TemporaryDirectory(prefix="ripristino-") as folder:
        result = campaign(Path(folder), given, dice)
    print(json.dumps(result, indent=2))
    return 0 if not result["faults"] else 1


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--drills", type=int, default=10)
    parser.add_argument("--quiet", type=float, default=3.0, help="seconds of load before the first drill")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def campaign(folder, given, dice):
    world = World(folder, ["a", "b"], int(time.time()), direct=["a", "b"])
    fill(world.path("a"), given.cases)
    copies = folder / "copie"
    copies.mkdir()
    key = folder / "recupero.json"
    key.write_bytes(sealed_file.key_file_text(SECRET.value))
    key.chmod(0o600)
    a, b = Node(world.path("a")), Node(world.path("b"))
    b.start(), a.start()
    faults, drills = [], []
    quiet = measure_quiet(a, given.quiet)
    try:
        for number in range(given.drills):
            drills.append(drill(number, a, b, copies, key, dice, faults))
    finally:
        for node in (a, b):
            node.process.kill()
            node.process.wait()
    return summary(given, quiet, drills, faults, copies)


def fill(path, cases):
    """That many referrals in a store nobody uses."""
    body = Body.open(load_config(path / CONFIG_NAME, NodeConfig))
    request = ask.Refer(to="b", offer=offered("descrizione " * 60), as_=OPERATOR)
    body.store.run(lambda tx: operators.add(tx, "CO", "RL-COORDSPORT", None, body.clock.now()))
    for at in range(0, cases, 200):
        body.store.execute_group([lambda tx: desk.refer(tx, body.ctx, request)] * min(200, cases - at))
    body.close()


def measure_quiet(node, seconds):
    load = Load(node)
    time.sleep(seconds)
    load.stop()
    return load.seconds


def copy(node, copies):
    raw = local.command(node.folder, "backup", msgspec.json.encode(asked(copies, SECRET)), timeout=600)
    return Path(json.loads(raw)["path"])


def drill(number, a, b, copies, key, dice, faults):
    load = Load(a)
    time.sleep(dice.uniform(0.2, 1.0))
    before, seen = list(load.acked), len(load.seconds)
    began = time.monotonic()
    path = copy(a, copies)
    copying = time.monotonic() - began
    during = load.seconds[seen:]
    time.sleep(dice.uniform(0.0, 2.0))
    if number % 3 == 2:
        threading.Thread(target=lambda: suppressed(copy, a, copies), daemon=True).start()
        time.sleep(dice.uniform(0.0, copying))
    a.process.kill()
    a.process.wait()
    load.stop()
    began = time.monotonic()
    line = ["--dir", str(a.folder), "restore", str(path), "--replace", "--key-file", str(key), "--json"]
    done = subprocess.run([sys.executable, "-m", "node.cli", *line], capture_output=True, text=True, check=False)
    restoring = time.monotonic() - began
    if done.returncode:
        faults.append(f"drill {number}: restore refused: {done.stdout}{done.stderr}")
        a.start()
        return None
    a.start()
    rto = time.monotonic() - began
    check(number, a, b, before, load.acked, faults)
    for left in a.folder.parent.glob("a.prima-*"):
        subprocess.run(["rm", "-r", str(left)], check=True)
    size = path.stat().st_size
    for old in copies.glob("*.copia"):
        verified(old, copies, faults)
        old.unlink()
    return {"copy_s": copying, "restore_s": restoring, "rto_s": rto, "size": size, "during": during,
            "forgotten": len(load.acked) - len(before)}  # fmt: skip


def verified(path, copies, faults):
    try:
        backups.verify(path, SECRET, copies)
    except ProtocolError as error:
        faults.append(f"{path.name} does not open: {error}")


def suppressed(work, *args):
    try:
        work(*args)
    except ProtocolError:
        return


def check(number, a, b, before, acked, faults):
    db = open_reader(a.folder / "raccordo.db")
    legs = {leg for (leg,) in db.execute("SELECT leg FROM leg")}
    db.close()
    if missing := set(before) - legs:
        faults.append(f"drill {number}: {len(missing)} acknowledged before the copy are gone")
    if not told(a):
        faults.append(f"drill {number}: the other side has not said what was forgotten")
    fresh = json.loads(a.call("refer", ask.Refer(to="b", offer=offered(), as_=OPERATOR)))["leg"]
    if not arrived(b, fresh):
        faults.append(f"drill {number}: a new referral does not arrive")


def told(a):
    """The other side answers by itself what happened since the copy."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if not json.loads(a.call("status", ask.Nothing()))["resync_open"]:
            return True
        time.sleep(0.1)
    return False


def arrived(b, leg):
    end = time.monotonic() + 120  # behind what the copy had queued
    while time.monotonic() < end:
        db = open_reader(b.folder / "raccordo.db")
        found = db.execute("SELECT 1 FROM leg WHERE leg = ?", (leg,)).fetchone()
        db.close()
        if found:
            return True
        time.sleep(0.1)
    return False


def p99(seconds):
    return round(sorted(seconds)[int(len(seconds) * 0.99)] * 1000, 1) if seconds else None


def summary(given, quiet, drills, faults, copies):
    done = [one for one in drills if one is not None]
    during = [seconds for one in done for seconds in one["during"]]
    return {
        "cases": given.cases, "drills": len(done), "faults": faults,
        "copy_mib": round(max(one["size"] for one in done) / (1 << 20), 1),
        "copy_s": spread(done, "copy_s"), "restore_s": spread(done, "restore_s"), "rto_s": spread(done, "rto_s"),
        "refer_p99_ms_quiet": p99(quiet), "refer_p99_ms_while_copying": p99(during), "referred_while_copying": len(during),
        "forgotten_for_resync": sum(one["forgotten"] for one in done),
        "copies_left": len(list(copies.glob("*"))),
    }  # fmt: skip


def spread(done, name):
    """min, median, max."""
    values = sorted(one[name] for one in done)
    return [round(values[0], 2), round(values[len(values) // 2], 2), round(values[-1], 2)]


if __name__ == "__main__":
    sys.exit(main())
