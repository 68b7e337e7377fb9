"""The local channel against a page in a browser, and every command of both tables against wrong types and wild values."""

import base64
import json
import random

import msgspec
import pytest

from node import commands as node_commands
from node import enrolment
from node.runtime.backup_state import Backup
from registry.commands import TABLE as BOARD_TABLE
from tests.exchange.desks import offer
from tests.hostile import cases
from tests.hostile.town import CANARY, Server, Town
from tests.hostile.wire import Answer, Request

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILLED: dict[str, object] = {"as_": "OP", "code": "OP", "role": "RL-ASSOC", "to": "montelabbate", "need": "NA-CASA"}
SHARE = 0.12  # of the cases in every test run; the campaign takes all
FAULTS = {"not-running", "config-invalid"}


def locals_(town: Town) -> list[Server]:
    return [server for server in town.servers.values() if server.name.endswith("local")]


def command(town: Town, server: Server, name: str, body: bytes) -> Request:
    bearer = f"Bearer {town.local_token(server)}".encode()
    return Request(name, "POST", f"/local/v1/command/{name}".encode(), ((b"Authorization", bearer),), body)


def shapes(server: Server) -> dict[str, type]:
    table = BOARD_TABLE if server.name.startswith("registry") else node_commands.table()
    known = {name: row.request for name, row in table.items()}
    known |= {"backup": Backup}
    return known if table is BOARD_TABLE else known | {"join": enrolment.JoinWish, "sync": node_commands.Nothing}


async def ground(town: Town, server: Server, name: str) -> dict[str, object]:
    """A request of the right types, its well-known fields filled so that it gets far."""
    shape = shapes(server)[name]
    made = cases.plausible(cases.inspect.type_info(shape))
    known = {field: value for field, value in FILLED.items() if field in shape.__struct_fields__}
    if "offer" in made:
        known["offer"] = offered()
    if "leg" in shape.__struct_fields__:
        known["leg"] = await a_case(town, server)
    return {**made, **known}


def offered() -> dict[str, object]:
    return msgspec.to_builtins(offer())


async def a_case(town: Town, server: Server) -> str:
    """A referral of ours that is open, made when the last one is over."""
    await run(town, server, "operator-add", {"code": "OP", "role": "RL-ASSOC"})
    open_ = json.loads((await run(town, server, "cases", {})).body)
    if open_:
        return open_[0]["leg"]
    asked = {"to": "montelabbate", "as_": "OP", "offer": offered()}
    return json.loads((await run(town, server, "refer", asked)).body)["leg"]


async def run(town: Town, server: Server, name: str, value: object, note: str = "") -> Answer:
    body = value if isinstance(value, bytes) else cases.encoded(value)
    request = command(town, server, name, body)._replace(note=f"{name} {note}")
    return await server.judged(request, quiet=False)


async def test_a_page_in_a_browser_reaches_no_command(served: Town) -> None:
    for server in locals_(served):
        for name in shapes(server):
            good = command(served, server, name, b"{}")
            for host in (
                b"evil.example",
                b"127.0.0.1.evil.example",
                b"localhost.evil.example:80",
                b"",
                b"[::2]",
                b"127.0.0.2",
                b"0.0.0.0",
                b"127.0.0.1@evil",
            ):
                await server.refuses(
                    good._replace(headers=(*good.headers, (b"Host", host))), "forbidden", "bad-request"
                )
            for origin in (b"http://127.0.0.1", b"null", b"http://localhost:%d" % server.port, b"", CANARY.encode()):
                await server.refuses(good._replace(headers=(*good.headers, (b"Origin", origin))), "forbidden")


async def test_without_the_token_of_this_start_nothing_runs(served: Town) -> None:
    for server in locals_(served):
        other = next(one for one in locals_(served) if one is not server)
        token = served.local_token(server).encode()
        for text in (
            None, b"", b"Bearer ", b"Bearer " + b"0" * 64, b"Bearer " + token[:-1], b"Bearer " + token + b"0", b"bearer " + token, token,
            b"Bearer " + token.upper() + b"G", b"Bearer  " + token, b"Bearer " + served.local_token(other).encode(), b"Bearer \xff", b"Basic " + token,
        ):  # fmt: skip
            for name in shapes(server):
                headers = () if text is None else ((b"Authorization", text),)
                request = Request(f"{text!r}", "POST", f"/local/v1/command/{name}".encode(), headers, b"{}")
                await server.refuses(request, "unauthenticated")


async def test_commands_nobody_has_are_not_found(served: Town) -> None:
    for server in locals_(served):
        for name in ("serve", "nulla", "__class__", "import ", "REFER", "a" * 3000):
            await server.refuses(command(served, server, name.replace(" ", "%20"), b"{}"), "not-found")


async def test_bodies_that_are_no_command_are_refused(served: Town) -> None:
    for server in locals_(served):
        for name in shapes(server):
            for note, body in cases.BODIES.items():
                answer = await run(served, server, name, body, note)
                empty = not shapes(server)[name].__struct_fields__ or name in ("map", "root-draft", "export", "invite")
                if not (empty and (note == "empty" or body.strip().startswith(b"{"))):
                    assert answer.status >= 400 or body.strip()[:1] in (b"{", b""), (name, note, answer)


async def test_every_field_of_every_command_takes_wrong_types_and_wild_values_calmly(served: Town) -> None:
    dice = random.Random(20261121)
    for server in locals_(served)[:2]:  # the third is the same program as the second
        for name in shapes(server):
            for spoilt in await spoilt_commands(served, server, name):
                if dice.random() < SHARE:
                    answer = await run(served, server, name, spoilt.value, spoilt.note)
                    assert answer.status < 400 or answer.code not in FAULTS, (name, spoilt.note, answer)


async def spoilt_commands(town: Town, server: Server, name: str) -> list[cases.Spoilt]:
    return list(cases.spoilt(shapes(server)[name], await ground(town, server, name)))


async def test_what_once_fell_over_stands(served: Town) -> None:
    node, deep = locals_(served)[1], b'{"a":' * 10_000 + b"1" + b"}" * 10_000
    for name, value in (
        ("members", deep), ("join", b""), ("join", deep), ("route", {"need": "NA-CASA", "at": 2**53 - 1}), ("map", {"after": 2**63}),
        ("clear-alarm", {"id": 2**63}),
    ):  # fmt: skip
        assert (await run(served, node, name, value)).code in cases.READING
    board = locals_(served)[0]
    assert (
        await run(served, board, "protocol-add", {"version": "2", "media": "x", "document": CANARY})
    ).code == "bad-base64"


async def test_the_operators_own_words_are_not_logged(served: Town) -> None:
    server = locals_(served)[1]
    await run(served, server, "operator-add", {"code": CANARY, "role": CANARY})
    await run(served, server, "refer", {"to": CANARY, "as_": CANARY, "offer": json.loads("{}")})
    await run(served, server, "import", {"name": CANARY, "content": "////"})
    served.silent()


async def test_a_picture_is_no_spreadsheet_here_either(served: Town) -> None:
    server = locals_(served)[1]
    for raw, code in ((b"\x89PNG\r\n\x1a\n" + bytes(200), "import-picture"), (b"", "import-empty")):
        wish = {"name": "catalogo.xlsx", "content": base64.b64encode(raw).decode()}
        answer = await run(served, server, "import", wish)
        assert answer.code == code, answer
