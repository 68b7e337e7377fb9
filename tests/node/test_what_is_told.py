"""What two working nodes tell a monitor: log lines, counters and the channel beside them hold nobody's name."""

import io
import json
import logging
import re
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest

from node.app import METRICS, App
from node.runtime import logs
from protocol import paths
from tests.exchange.desks import offer
from tests.node.test_app import World, ask, reaches
from tests.registry.world import World as BoardWorld

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "operare.md").read_text("utf-8")
MARK = "KanarinoZq"


@contextmanager
def everything_logged():
    """All that goes to the log at the chattiest level, as the program writes it."""
    out, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs.JsonFormatter())
    before = root.level
    root.addHandler(handler)
    root.setLevel("DEBUG")
    try:
        yield out
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


async def told(app, path=METRICS):
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{app.local_port}{path}") as answer:
        assert answer.status == 200
        return await answer.text()


async def hostile(port):
    """Calls whose path, query, header and body all hold the mark."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        for path, headers, body in (
            (f"/v1/{MARK}?q={MARK}", {}, None), (paths.INBOX, {"Authorization": f"Raccordo {MARK}"}, MARK),
            (f"{paths.mailbox(MARK.lower())}?after={MARK}", {"X-Name": MARK, "Cookie": MARK}, f'{{"{MARK}":'),
            (f"/v1/map/{MARK}/{MARK}/proof", {}, None), (f"{paths.ROOTS}?after={MARK}", {}, None), (f"{paths.MEMBERS}?have={MARK}", {}, None),
        ):  # fmt: skip
            async with session.request("POST" if body else "GET", path, headers=headers, data=body) as answer:
                assert answer.status >= 400
                assert MARK not in await answer.text()


async def test_canaries_of_a_case_appear_in_no_log_line_and_no_counter(tmp_path, monkeypatch):
    async def broken(self, call):
        raise KeyError(f"{MARK} in an exception")

    monkeypatch.setattr(App, "_serve_members", broken)
    world = World(tmp_path)
    world.found("tavullia", direct=True)
    world.found("distretto", direct=True, relay=True)
    world.publish()
    written = msgspec.structs.replace(
        offer(), case=f"{MARK}-caso", description=f"{MARK} testo",
        person=msgspec.structs.replace(offer().person, given_name=f"{MARK}Nome", family_name=f"{MARK}Cognome"),
    )  # fmt: skip
    with everything_logged() as log:
        async with world.running("tavullia", "distretto") as apps:
            for app in apps.values():
                await ask(app, "operator-add", code="OP", role="RL-ASSOC", desk=f"{MARK}Sportello")
            leg = (await ask(apps["tavullia"], "refer", to="distretto", offer=msgspec.to_builtins(written), as_="OP"))[
                "leg"
            ]
            await reaches(apps["distretto"], leg, "offered")
            await ask(apps["distretto"], "case", leg=leg, as_="OP")
            await ask(apps["distretto"], "act", leg=leg, ev="ask", as_="OP", text=f"{MARK} domanda")
            await reaches(apps["tavullia"], leg, "asked")
            await hostile(world.ports["distretto"])
            counters = {name: await told(app) for name, app in apps.items()}
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert {"board", "internal"} <= {line["event"] for line in lines}, "there is something to look through"
    for text in (log.getvalue(), *counters.values()):
        assert MARK.lower() not in text.lower()
    assert all(set(line) <= {"t", "level", "event", "logger", "type", "where", *logs.FIELDS} for line in lines)


async def test_the_counters_of_a_node_count(tmp_path):
    world = World(tmp_path)
    world.found("tavullia", direct=True)
    world.found("lontano")
    world.publish()
    async with world.running("tavullia") as apps:
        app = apps["tavullia"]
        await ask(app, "operator-add", code="OP", role="RL-ASSOC")
        await ask(app, "refer", to="lontano", offer=msgspec.to_builtins(offer()), as_="OP")
        text = await told(app)
        values = {name: float(value) for name, value in re.findall(r"^(raccordo_\w+) (\S+)$", text, re.M)}
        outside = f"http://127.0.0.1:{app.public_port}{METRICS}"
        async with aiohttp.ClientSession() as session, session.get(outside) as answer:
            assert answer.status == 404, "from outside there are no counters"
    assert (values["raccordo_queue"], values["raccordo_kept"], values["raccordo_alarms"]) == (1, 0, 0)
    assert values["raccordo_disk_free_bytes"] > values["raccordo_store_bytes"] > 100_000
    assert values["raccordo_members_expiry_seconds"] > 0 and values["raccordo_start_seconds"] > 0
    assert (values["raccordo_backup_seconds"], values["raccordo_backup_failed"]) == (0, 0)


def names_in(pattern):
    return {
        name
        for room in ("node", "registry")
        for path in (ROOT / room).rglob("*.py")
        for name in re.findall(pattern, path.read_text("utf-8"))
    }


@pytest.mark.parametrize(
    ("what", "pattern"),
    [("event", r"\bevent\(\s*logging\.\w+, \"([a-z-]+)\""), ("counter", r"\"(raccordo_[a-z_]+)\"")],
)
def test_every_event_and_counter_is_explained_to_whoever_runs_a_program(what, pattern):
    found = names_in(pattern)
    assert len(found) > 10
    assert sorted(name for name in found if f"`{name}`" not in GUIDE) == []


def test_every_field_of_a_log_line_is_explained():
    assert sorted(name for name in logs.FIELDS if f"`{name}`" not in GUIDE) == []


def test_the_queries_of_a_boards_counters_fit_its_tables():
    from registry.app import COUNTED

    board = BoardWorld()
    found = {name: board.read(lambda db, sql=sql: db.execute(sql).fetchone()[0]) for name, (_, sql) in COUNTED.items()}
    board.close()
    assert found["raccordo_log_size"] >= 1 and found["raccordo_pending"] == found["raccordo_kept"] == 0
