"""Who may what: every address × every kind of caller × every role × own and other's. Each cell is asserted.

What is expected is written here by hand (NEEDS, MAY), not taken from the rows or from node.cases.operators.
"""

import copy

import aiohttp
import pytest

from node.api.endpoints import ROWS
from node.api.examples import ASKED, ENTRY, HOOK
from node.api.scopes import SCOPES
from node.runtime import trust
from protocol.limits import DAY
from tests.api.vendor import EVERY, Vendor, ask, town
from tests.node.test_app import NOW, wanted

module_loop = pytest.mark.asyncio(loop_scope="module")

# address → the scope of the token, the right of the operator (None: nobody's in particular)
NEEDS = {
    "get-services": ("map:read", None),
    "get-services-id": ("map:read", None),
    "get-services-id-slip": ("map:read", None),
    "get-services-id-proof": ("map:read", None),
    "get-map": ("map:read", None),
    "get-guide": ("map:read", None),
    "post-advice": ("map:read", None),
    "get-status": ("network:read", None),
    "get-members": ("network:read", None),
    "get-alarms": ("network:read", None),
    "get-operators": ("network:read", None),
    "get-keys": ("network:read", None),
    "get-cases": ("cases:read", None),
    "get-cases-leg": ("cases:read", "read"),
    "get-cases-leg-attachments": ("cases:read", "read"),
    "get-cases-leg-attachments-number": ("cases:read", "read"),
    "post-cases": ("cases:write", "offer"),
    "post-cases-leg-steps": ("cases:write", "withdraw"),
    "post-cases-leg-hand-overs": ("cases:write", "hand-over"),
    "post-cases-leg-redirects": ("cases:write", "offer"),
    "post-cases-leg-take-back": ("cases:write", "cancel"),
    "put-cases-leg-assignments-code": ("cases:write", "assign"),
    "post-cases-leg-still-needed": ("cases:write", "ask"),
    "post-cases-leg-needed": ("cases:write", "answer"),
    "get-late": ("cases:read", None),
    "get-times": ("cases:read", None),
    "get-attempts": ("cases:read", None),
    "get-to-route": ("cases:read", None),
    "get-cases-leg-candidates": ("cases:read", "forward"),
    "get-cases-leg-routings": ("cases:read", "read"),
    "post-cases-leg-routings": ("cases:write", "forward"),
    "post-cases-leg-forwards": ("cases:write", "forward"),
    "post-cases-leg-erasure": ("rights:write", "erase"),
    "post-cases-leg-erasure-answers": ("rights:write", "erase-answer"),
    "post-cases-leg-recall": ("rights:write", "recall"),
    "post-cases-leg-rectifications": ("rights:write", "rectify"),
    "put-cases-leg-limitation": ("rights:write", "limit"),
    "get-erasures": ("cases:read", None),
    "post-persons-search": ("rights:write", "person"),
    "get-access-log": ("audit:read", "access-log"),
    "get-entries": ("catalogue:read", None),
    "get-entries-id": ("catalogue:read", None),
    "put-entries-id": ("catalogue:write", "import"),
    "delete-entries-id": ("catalogue:write", "publish"),
    "post-confirmations": ("catalogue:write", "import"),
    "post-notices": ("catalogue:write", "import"),
    "post-imports-preview": ("catalogue:write", "import"),
    "post-imports": ("catalogue:write", "import"),
    "get-publications": ("catalogue:read", None),
    "post-publications": ("catalogue:write", "publish"),
    "get-events": ("events:read", None),
    "get-webhooks": ("events:read", None),
    "post-webhooks": ("events:read", None),
    "delete-webhooks-id": ("events:read", None),
    "post-webhooks-id-test": ("events:read", None),
    "get-application": (None, None),
}
DESK = {"read", "offer", "ask", "answer", "withdraw", "cancel", "hand-over", "forward", "recall", "rectify"}
RIGHTS = {"erase", "erase-answer", "limit", "person"}
MANAGES = {"assign", "import", "publish"}
MAY = {
    "RL-OPSPORT": DESK | {"import"},
    "RL-COORDSPORT": DESK | RIGHTS | MANAGES,
    "RL-ASSOC": DESK,
    "RL-RESP": DESK | RIGHTS | MANAGES | {"access-log"},
    "RL-VOLONT": DESK - {"hand-over", "forward", "rectify"},
    "RL-REFNODO": {"import", "publish"},
    "RL-TECNICO": set(),
    "RL-DPO": {"access-log"},
    "RL-DISF": set(),
}
ALONE = {"import", "publish"}
SHUT = {
    "unauthenticated",
    "token-expired",
    "token-revoked",
    "token-scope",
    "wrong-host",
    "forbidden",
    "role-forbidden",
    "unknown-operator",
    "person-only",
}
BODIES = {name: said.it for name, said in ASKED.items()} | {
    "post-cases": {"to": "distretto", "offer": wanted()},
    "post-cases-leg-steps": {"ev": "withdraw", "reason": "WR-ALTRO"},
    "post-cases-leg-redirects": {},
    "post-webhooks": {"url": "http://127.0.0.1:9/"},
    "post-cases-leg-take-back": {},
    "post-cases-leg-still-needed": {},
    "post-cases-leg-recall": {},
    "put-cases-leg-assignments-code": {},
    "post-publications": {},
}


class Field:
    """One running desk, its callers, and a referral for each address."""

    def __init__(self, world, app, session):
        self.world, self.app, self.session = world, app, session
        self.tokens, self.legs = {}, {}
        self.cells = 0

    async def prepare(self):
        for name, scopes, days in (
            ("tutto", EVERY, 700), ("altro", EVERY, 700), ("scaduto", EVERY, 1), ("revocato", EVERY, 700),
            *((scope.replace(":", "-"), [scope], 700) for scope in SCOPES),
        ):  # fmt: skip
            self.tokens[name] = (await ask(self.app, "app-add", id=name, scopes=scopes, days=days))["token"]
        await ask(self.app, "app-revoke", id="revocato")
        for role in MAY:
            await ask(self.app, "operator-add", code=role, role=role)
        await ask(self.app, "operator-add", code="SPENTO", role="RL-RESP")
        await ask(self.app, "operator-disable", code="SPENTO")
        for name in NEEDS:
            self.legs[name] = (
                await ask(
                    self.app, "refer", to="distretto", as_="RL-RESP", offer=copy.deepcopy(BODIES["post-cases"]["offer"])
                )
            )["leg"]

    async def call(self, row, token, operator, *, leg=None, id_=HOOK):
        path = (
            row.path.removeprefix("/local/v1")
            .replace("{leg}", leg or self.legs[row.name])
            .replace("{code}", "RL-RESP")
            .replace("{number}", "1")
        )
        path = path.replace("{id}", ENTRY if "entries" in path else id_)
        vendor = Vendor(self.session, f"http://127.0.0.1:{self.app.local_port}/local/v1", token, operator)
        self.cells += 1
        answer = await vendor(row.method, path, BODIES.get(row.name) if row.method in ("POST", "PUT") else None)
        assert answer.status < 500 or answer.code == "unreachable", (row.name, operator, answer)
        return answer


@pytest.fixture(scope="module")
async def field(tmp_path_factory):
    async with town(tmp_path_factory.mktemp("matrice")) as (world, apps), aiohttp.ClientSession() as session:
        made = Field(world, apps["tavullia"], session)
        await made.prepare()
        yield made


def test_every_address_is_in_the_table():
    assert set(NEEDS) == {row.name for row in ROWS}


@module_loop
async def test_without_a_valid_token_nothing_opens(field):
    field.world.clock.at = NOW + 2 * DAY  # the one of a day has ended; the network's list is a day old
    for row in ROWS:
        for token, code in (
            (None, "unauthenticated"), ("rac_" + "B" * 43, "unauthenticated"), (field.tokens["scaduto"], "token-expired"), (field.tokens["revocato"], "token-revoked"),
        ):  # fmt: skip
            for operator in (None, "RL-RESP", "NESSUNO"):
                answer = await field.call(row, token, operator)
                assert (answer.status, answer.code) == (401, code), (row.name, code, answer)
    field.world.clock.at = NOW


@module_loop
async def test_each_scope_opens_its_own_addresses_and_no_other(field):
    for row in ROWS:
        scope, _ = NEEDS[row.name]
        for held in SCOPES:
            answer = await field.call(row, field.tokens[held.replace(":", "-")], "RL-RESP")
            if scope is None or held == scope:
                assert answer.code not in SHUT, (row.name, held, answer)
            else:
                assert (answer.status, answer.code, answer.json["expected"]) == (403, "token-scope", scope), (
                    row.name,
                    held,
                    answer,
                )


@module_loop
async def test_each_role_does_what_it_may_and_nothing_else(field):
    for row in ROWS:
        _, right = NEEDS[row.name]
        for role, may in MAY.items():
            leg = None
            if role == "RL-VOLONT" and "{leg}" in row.path:
                leg = (await ask(field.app, "refer", to="distretto", as_=role, offer=BODIES["post-cases"]["offer"]))[
                    "leg"
                ]
            answer = await field.call(row, field.tokens["tutto"], role, leg=leg)
            if right is None or right in may:
                assert answer.code not in SHUT, (row.name, role, answer)
            else:
                assert (answer.status, answer.code) == (403, "role-forbidden"), (row.name, role, answer)


@module_loop
async def test_who_sees_only_what_is_assigned_is_refused_others_cases(field):
    for row in ROWS:
        _, right = NEEDS[row.name]
        if "{leg}" in row.path and right is not None:
            leg = (await ask(field.app, "refer", to="distretto", as_="RL-RESP", offer=BODIES["post-cases"]["offer"]))[
                "leg"
            ]
            answer = await field.call(row, field.tokens["tutto"], "RL-VOLONT", leg=leg)
            assert (answer.status, answer.code) == (403, "role-forbidden"), (row.name, answer)


@module_loop
async def test_nobody_an_unknown_and_a_disabled_operator_do_nothing_where_one_is_needed(field):
    for row in ROWS:
        _, right = NEEDS[row.name]
        for operator in ("NESSUNO", "SPENTO"):
            answer = await field.call(row, field.tokens["tutto"], operator)
            if right is None:
                assert answer.code not in SHUT, (row.name, operator, answer)
            else:
                assert (answer.status, answer.code) == (403, "unknown-operator"), (row.name, operator, answer)
        answer = await field.call(row, field.tokens["tutto"], None)
        if right is None or right in ALONE:
            assert answer.code not in SHUT, (row.name, answer)
        else:
            assert (answer.status, answer.code, answer.json["field"]) == (422, "bad-shape", "raccordo-operator"), (
                row.name,
                answer,
            )


@module_loop
async def test_what_belongs_to_another_application_is_not_there(field):
    made = await field.call(row_of("post-webhooks"), field.tokens["tutto"], None)
    mine = (
        made.json["webhook"]["id"]
        if made.status == 200
        else (await field.call(row_of("get-webhooks"), field.tokens["tutto"], None)).json[0]["id"]
    )
    for name in ("delete-webhooks-id", "post-webhooks-id-test"):
        answer = await field.call(row_of(name), field.tokens["altro"], None, id_=mine)
        assert (answer.status, answer.code) == (404, "not-found"), (name, answer)
    others = (await field.call(row_of("get-webhooks"), field.tokens["altro"], None)).json
    assert mine not in [one["id"] for one in others]
    assert (await field.call(row_of("delete-webhooks-id"), field.tokens["tutto"], None, id_=mine)).status == 200


@module_loop
async def test_an_application_opens_nothing_whoever_it_acts_for(field):
    row = row_of("post-cases-leg-steps")
    before = BODIES[row.name]
    try:
        BODIES[row.name] = {"ev": "open"}
        for role in MAY:
            answer = await field.call(row, field.tokens["tutto"], role)
            assert (answer.status, answer.code) == (403, "person-only"), (role, answer)
    finally:
        BODIES[row.name] = before


@module_loop
async def test_a_suspended_body_still_reads_and_a_suspended_recipient_gets_nothing(field):
    suspend(field, "distretto")
    for row in ROWS:
        answer = await field.call(row, field.tokens["tutto"], "RL-RESP")
        if row.name == "post-cases":
            assert (answer.status, answer.code) == (403, "suspended"), answer
        else:
            assert answer.code not in SHUT, (row.name, answer)
    suspend(field, "tavullia")
    for row in ROWS:
        answer = await field.call(row, field.tokens["tutto"], "RL-RESP")
        assert answer.code not in SHUT, (row.name, answer)
        if row.method == "GET" and not {"id", "number"} & set(row.places):
            assert answer.status == 200 or answer.code in ("not-a-router", "unknown-case"), (row.name, answer)
    assert field.cells > 1400


def suspend(field, node):
    """As if the next members document had come."""
    network, body = field.world.network, field.app.body
    network.entries[node] = network.entries[node].__class__(
        **{**fields_of(network.entries[node]), "status": "suspended"}
    )
    raw = network.publish(body.ctx.membership, now=NOW, relays=field.world.relays)
    held = trust.advance(body.trust, members=raw, now=NOW)
    body.adopt(held)


def fields_of(struct):
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def row_of(name):
    return next(row for row in ROWS if row.name == name)
