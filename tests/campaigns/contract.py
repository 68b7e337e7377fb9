"""Schemathesis, all checks, on both OpenAPI documents, against a node and a registry that really run.

    ./run contract                       3,000 cases and more on each document
    ./run contract --examples 4 --only node

Each case is a real call. What counts is counted at the server, not by the tool: every answer by its status.
"""

import argparse
import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from node.api.examples import ENTRY
from node.api.scopes import SCOPES as NODE_SCOPES
from node.runtime.config import BodyConfig, HttpConfig, RegistryConfig
from protocol.suite import S1
from registry.admin_asking import SCOPES as REGISTRY_SCOPES
from registry.app import App as BoardApp
from tests.api.vendor import ask, town
from tests.node.test_app import wanted
from tests.registry.world import World, line

CONFIG = """
[generation]
deterministic = false

# Data that fits its schema may still be refused: a comune nobody knows, a state that does not allow it, a key used twice,
# news that are gone. Those refusals are documented and have codes of their own.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 410, 415, 422, 429, 502, 503]

# 409: the store of the campaign has seen the same key. 415: a body without its media type.
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 410, 413, 415, 422]
"""
CALLER = """
[auth.openapi.token]
bearer = "{token}"
"""
HOOKS = """
import json, os, random, uuid
import schemathesis

DICE = random.Random(7)
KNOWN = json.loads(os.environ["KNOWN"])

def negative(case):
    return case.meta is not None and any(str(one.mode.value) == "negative" for one in case.meta.components.values())

@schemathesis.hook
def before_call(context, case, kwargs):
    if negative(case):
        return
    for place in (case.headers, case.path_parameters):
        for name in list(place or {}):
            if name == "Idempotency-Key" and DICE.random() < 0.8:
                place[name] = str(uuid.UUID(int=DICE.getrandbits(128)))
            elif name in KNOWN and DICE.random() < 0.8:
                place[name] = DICE.choice(KNOWN[name])
"""
"""Most honest requests get a key of their own and name what is there; or nearly all would be repetitions, or not found."""

EXAMPLES = {"node": 60, "registry": 130}


class Result(NamedTuple):
    """What a run came to: answers by status as the server counted them, what the tool found wrong, what it said."""

    statuses: Counter[str]
    failures: list[str]
    output: str

    @property
    def cases(self) -> int:
        return sum(self.statuses.values())

    @property
    def faults(self) -> int:
        return sum(count for status, count in self.statuses.items() if status in ("500", "504"))


class Serving:
    """An event loop in a thread of its own: the tool is another process, and waits for answers."""

    def __init__(self, make: Callable[[AsyncExitStack], Awaitable[Any]]) -> None:
        self._make = make
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.made: Any = None
        self._error: BaseException | None = None

    def __enter__(self) -> Any:
        self._thread.start()
        self._ready.wait(60)
        if self._error is not None:
            raise self._error
        return self.made

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        async with AsyncExitStack() as stack:
            try:
                self.made = await self._make(stack)
            except BaseException as error:
                self._error = error
                raise
            finally:
                self._ready.set()
            await self._end.wait()


class Target(NamedTuple):
    """Where to call, with what, and the server's own count."""

    base: str
    token: str
    parameters: dict[str, list[str]]  # values that are there, so that calls get far
    counts: Callable[[], Counter[str]]
    document: bytes


async def node(stack: AsyncExitStack, path: Path) -> Target:
    """A desk with a referral each way, an entry, and a webhook."""
    from node.api.serving import described

    _, apps = await stack.enter_async_context(town(path))
    app = apps["tavullia"]
    made = await ask(app, "app-add", id="campagna", scopes=list(NODE_SCOPES), days=30)
    legs = [(await ask(app, "refer", to="distretto", as_="OP", offer=wanted()))["leg"] for _ in range(40)]
    known = {"leg": legs, "code": ["OP"], "number": ["1"], "Raccordo-Operator": ["OP"], "id": [ENTRY]}
    base = f"http://127.0.0.1:{app.local_port}"
    return Target(base, made["token"], known, lambda: by_status(app.requests, "/local/v1/"), described())


async def registry(stack: AsyncExitStack, path: Path) -> Target:
    """A board with two members and a catalogue."""
    from node.runtime.metrics import Counter as Counted
    from registry.admin import described

    world = World()
    tavullia = world.member("comune-tavullia")
    world.member("comune-pesaro")
    world.publish(tavullia, [line("Sportello sociale")])
    config = RegistryConfig(data_dir=str(path), bodies=(BodyConfig(id="bacheca"),), http=HttpConfig())
    app = BoardApp(config, world.store, world.keystore, clock=world.clock, dice=world.dice, suite=S1)
    counted = Counted("calls", "calls", ("route", "status"))
    bind = app._bind

    async def counting(routes: Any, host: str, port: int, limits: Any, requests: Any = None, tls: Any = None) -> None:
        await bind(routes, host, port, limits, requests or counted, tls)

    app._bind = counting  # type: ignore[method-assign]  # the private listener counts nothing by itself
    await app.start()
    stack.callback(world.dir.cleanup)  # kept until then
    stack.push_async_callback(app.stop)
    raw = await app._command("app-add")(msgspec.json.encode({"id": "campagna", "scopes": list(REGISTRY_SCOPES)}))
    token = json.loads(raw)["value"]["token"]
    known = {"node": ["comune-tavullia", "comune-pesaro"], "version": ["1"]}
    base = f"http://127.0.0.1:{app.local_port}"
    return Target(base, token, known, lambda: by_status(counted, "/admin/v1/"), described())


def by_status(counter: Any, prefix: str) -> Counter[str]:
    """Answers under a prefix, by status; what no route took is counted too."""
    found: Counter[str] = Counter()
    for (route, status), count in counter.values.items():
        if route.startswith(prefix) or route == "?":
            found[status] += int(count)
    return found


def campaign(name: str, examples: int, seed: int, folder: Path, phases: str = "examples,coverage,fuzzing") -> Result:
    """One document, one run of the tool with every check."""
    make = {"node": node, "registry": registry}[name]
    (folder / name).mkdir(mode=0o700)
    with Serving(lambda stack: make(stack, folder / name)) as target:
        document = folder / f"{name}.json"
        document.write_bytes(target.document)
        config = folder / "schemathesis.toml"
        config.write_text(CONFIG + CALLER.format(token=target.token))
        (folder / "campaign_hooks.py").write_text(HOOKS)
        before = target.counts()
        command = [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", str(document), "--url", target.base,
            "--checks", "all", "--max-examples", str(examples), "--seed", str(seed), "--workers", "1", "--no-color",
            "--phases", phases, "--suppress-health-check", "all", "--continue-on-failure", "--request-timeout", "60",
        ]  # fmt: skip
        environment = {
            **os.environ, "SCHEMATHESIS_HOOKS": "campaign_hooks", "PYTHONPATH": str(folder), "KNOWN": json.dumps(target.parameters),
        }  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)
        statuses = target.counts() - before
    output = done.stdout + done.stderr
    failures = re.findall(r"^- (.+)$", output, re.M)
    if done.returncode and not failures:
        failures = [f"exit code {done.returncode}"]
    return Result(statuses, failures, output)


def main() -> int:
    """0 when both documents hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=0, help="for each operation; 0: enough for 3,000 cases")
    parser.add_argument("--only", choices=sorted(EXAMPLES))
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--least", type=int, default=3000)
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)  # the registry of this world is nowhere, and says so
    bad = 0
    for name in [given.only] if given.only else sorted(EXAMPLES):
        with tempfile.TemporaryDirectory() as folder:
            result = campaign(name, given.examples or EXAMPLES[name], given.seed, Path(folder))
        enough = bool(given.examples) or result.cases >= given.least
        held = not result.failures and not result.faults and enough
        bad += not held
        if given.show or not held:
            print(result.output)
        print(
            f"{name}: {result.cases} cases, {dict(sorted(result.statuses.items()))}, five-hundreds {result.faults}, findings {len(result.failures)}"
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
