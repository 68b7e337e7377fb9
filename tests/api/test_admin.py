"""The registry's interface for administering: the same tokens and keys; guarantors' signatures are only carried."""

import json
import ssl

import aiohttp
import msgspec
import pytest

from node.runtime import local, tls
from node.runtime.config import ApiConfig, BodyConfig, RegistryConfig
from protocol.limits import DAY
from protocol.suite import S1
from registry.admin import ASKED, ROWS, described
from registry.admin_asking import SCOPES
from registry.app import App
from registry.commands import TABLE
from tests.api.vendor import Vendor
from tests.registry.world import World, line

EVERY = sorted(SCOPES)
NEEDS = {
    "get-status": "board:read",
    "get-members": "board:read",
    "get-statements": "board:read",
    "get-quotas": "board:read",
    "get-log": "board:read",
    "get-roots": "board:read",
    "get-map": "board:read",
    "get-requests": "board:read",
    "post-requests-export": "board:read",
    "post-requests-refusals": "members:write",
    "post-admissions": "members:write",
    "post-invitations": "members:write",
    "post-delegations": "members:write",
    "post-members-node-readmissions": "members:write",
    "post-members-node-amendments": "members:write",
    "put-members-node-suspension": "members:write",
    "put-members-node-end": "members:write",
    "get-protocols": "board:read",
    "get-protocols-version": "board:read",
    "post-protocols": "board:write",
    "post-objects-withdrawals": "board:write",
    "get-calls": "audit:read",
    "get-application": None,
}
SHUT = {"unauthenticated", "token-expired", "token-revoked", "token-scope", "wrong-host", "forbidden"}


class Board:
    """A registry served, its world, and applications of it."""

    def __init__(self, world, app, session):
        self.world, self.app, self.session = world, app, session

    async def ask(self, name, **request):
        raw = await self.app._command(name)(msgspec.json.encode(request))
        return json.loads(raw)["value"]

    async def vendor(self, *scopes, name="gestionale", days=700):
        token = (await self.ask("app-add", id=name, scopes=list(scopes or EVERY), days=days))["token"]
        return Vendor(self.session, f"http://127.0.0.1:{self.app.local_port}/admin/v1", token)


@pytest.fixture
async def board(tmp_path):
    world = World()
    tavullia = world.member("comune-tavullia")
    world.member("comune-pesaro")
    world.publish(tavullia, [line("Sportello sociale")])
    api = ApiConfig(listen_host="127.0.0.1", names=("localhost",))
    config = RegistryConfig(data_dir=str(tmp_path), bodies=(BodyConfig(id="bacheca"),), api=api)
    app = App(config, world.store, world.keystore, clock=world.clock, dice=world.dice, suite=S1)
    await app.start()
    async with aiohttp.ClientSession() as session:
        yield Board(world, app, session)
    await app.stop()
    world.dir.cleanup()


async def test_an_invited_body_is_admitted_with_a_signature_made_elsewhere(board):
    vendor = await board.vendor()
    world = board.world
    invited = await vendor("POST", "/invitations", {"node": "ass-prova", "name": "Associazione"}, key="uno")
    again = await vendor("POST", "/invitations", {"node": "ass-prova", "name": "Associazione"}, key="uno")
    assert invited.raw == again.raw
    joining = world.body("ass-prova")
    raw = joining.request(world.protocol, world.clock.now(), invited.json["code"])
    engine = board.app.engine
    prepared = await board.app.service.read(lambda db: engine.prepare_join(db, raw))
    answer = await board.app.service.write(lambda tx: engine.join(tx, prepared))
    (waiting,) = (await vendor("GET", "/requests")).json
    assert (waiting["node"], waiting["invited"]) == ("ass-prova", True)
    unsigned = await vendor("POST", "/requests/export", {"refs": [answer.ref]})
    assert (await vendor("POST", "/admissions", {"files": [unsigned.raw.decode()]})).status >= 400
    from registry import approval

    exported = approval.read_pending(unsigned.raw, S1, net=board.app.service.membership.net)
    signed = msgspec.json.encode(approval.approve(exported, world.guarantors[0])).decode()
    admitted = await vendor("POST", "/admissions", {"files": [signed]})
    assert (admitted.status, admitted.json[0]) == (200, ["ass-prova"])
    assert "ass-prova" in [one["node"] for one in (await vendor("GET", "/members")).json["members"]]
    calls = (await vendor("GET", "/calls")).json
    assert [(one["app"], one["command"]) for one in calls] == [("gestionale", "admit"), ("gestionale", "invite")]


async def test_what_is_shown_and_suspending(board):
    vendor = await board.vendor()
    before = (await vendor("GET", "/log")).json["size"]
    suspended = await vendor("PUT", "/members/comune-pesaro/suspension")
    assert suspended.status == 200, suspended
    states = {one["node"]: one["status"] for one in (await vendor("GET", "/members")).json["members"]}
    assert states == {"comune-pesaro": "suspended", "comune-tavullia": "active"}
    assert (await vendor("GET", "/log")).json["size"] > before
    assert {one["node"] for one in (await vendor("GET", "/statements")).json} == set(states)
    assert (await vendor("GET", "/quotas")).json[0]["what"] in ("catalogue bytes", "publications")
    assert len((await vendor("GET", "/roots")).json) == 1
    assert (await vendor("GET", "/protocols/1")).json["media"] == "text/plain"
    assert (await vendor("GET", "/calls")).json[0]["node"] == "comune-pesaro"


def test_no_address_carries_a_guarantors_key_or_the_ceremony_of_the_root():
    assert {row.command for row in ROWS} & {
        "root-draft",
        "root-install",
        "app-add",
        "app-revoke",
        "seen",
        "seen-numbers",
    } == set()
    assert {row.command for row in ROWS} <= set(TABLE)
    assert {row.name for row in ROWS} == set(NEEDS)
    assert {row.scope for row in ROWS} - {None} == set(SCOPES)


async def test_every_address_by_every_kind_of_caller(board):
    tokens = {scope: await board.vendor(scope, name=scope.replace(":", "-")) for scope in SCOPES}
    tokens["scaduto"] = await board.vendor(name="scaduto", days=1)
    tokens["revocato"] = await board.vendor(name="revocato")
    await board.ask("app-revoke", id="revocato")
    base = tokens["board:read"].base
    nobody = {None: "unauthenticated", "rac_" + "C" * 43: "unauthenticated"}
    board.world.clock.t += DAY
    cells = 0
    for node in (
        "comune-tavullia",
        "comune-pesaro",
        "nessuno",
    ):  # one's own, a suspended one after the first turn, none
        for row in ROWS:
            path = row.path.removeprefix("/admin/v1").replace("{node}", node).replace("{version}", "1")
            body = ASKED[row.name].it if row.name in ASKED else {} if row.method == "POST" else None
            for token, code in nobody.items():
                answer = await Vendor(board.session, base, token)(row.method, path, body)
                assert (answer.status, answer.code) == (401, code), (row.name, answer)
            for name, code in (("scaduto", "token-expired"), ("revocato", "token-revoked")):
                answer = await tokens[name](row.method, path, body)
                assert (answer.status, answer.code) == (401, code), (row.name, answer)
            for scope in SCOPES:
                answer = await tokens[scope](row.method, path, body)
                if NEEDS[row.name] in (None, scope):
                    assert answer.code not in SHUT and answer.status < 500, (row.name, scope, answer)
                else:
                    assert (answer.status, answer.code) == (403, "token-scope"), (row.name, scope, answer)
                cells += 1
            cells += 4
    assert cells == 3 * len(ROWS) * (4 + len(SCOPES))


async def test_the_public_listener_has_nothing_of_it_and_the_office_only_this(board):
    vendor = await board.vendor()
    public = Vendor(board.session, f"http://127.0.0.1:{board.app.port}/admin/v1", vendor.token)
    assert (await public("GET", "/status")).code == "not-found"
    trusted = ssl.create_default_context(cafile=str(board.app.data_dir / tls.CERT_NAME))
    port = board.app._listeners[-1].port
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusted)) as session:
        office = Vendor(session, f"https://localhost:{port}/admin/v1", vendor.token)
        assert (await office("GET", "/status")).status == 200
        assert (await office("GET", "/status", headers={"Host": "evil.example"})).code == "wrong-host"
        assert (await office("GET", "/status", headers={"Origin": "https://evil.example"})).code == "forbidden"
        other = Vendor(session, f"https://localhost:{port}/v1", vendor.token)
        assert (await other("GET", "/members")).code == "not-found"
        local_token = local.announced(board.app.data_dir).token
        assert (await Vendor(session, office.base, local_token)("GET", "/status")).code == "unauthenticated"


async def test_the_document_is_served_as_committed(board):
    served = await Vendor(board.session, f"http://127.0.0.1:{board.app.local_port}/admin/v1", None)(
        "GET", "/openapi.json"
    )
    assert served.raw == described()


def test_every_example_fits_the_schema_it_stands_at():
    from jsonschema import Draft202012Validator

    document = json.loads(described())
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for place in document["paths"].values():
        for operation in place.values():
            for part in (operation.get("requestBody"), operation["responses"]["200"]):
                for media in (part or {}).get("content", {}).values():
                    schema = {**media["schema"], "components": document["components"]}
                    for example in media.get("examples", {}).values():
                        assert list(Draft202012Validator(schema).iter_errors(example["value"])) == [], operation[
                            "operationId"
                        ]
            if operation.get("requestBody"):
                assert "examples" in operation["requestBody"]["content"]["application/json"], operation["operationId"]


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"name": "a\x07b"}, {"name": "x" * 500}, {"ptype": "COMUNE"}, {"ptype": "PT-NULLA"}, {"caps": ["volare"]}, {"territory": ["Pesaro"]},
     {"caps": ["pua", "pua"]}, {"ptype": "PT-PATRONATO", "caps": ["take-in-charge"]}],
)  # fmt: skip
async def test_a_change_that_no_body_could_have_asked_for_is_not_drafted(board, change):
    """Once drafted it could not be read again, and the list of what waits would be gone for everybody."""
    vendor = await board.vendor()
    refused = await vendor("POST", "/members/comune-tavullia/amendments", change)
    assert (refused.status, refused.code) in ((422, "bad-shape"), (422, "unknown-code")), refused
    assert (await vendor("GET", "/requests")).json == []
    drafted = await vendor("POST", "/members/comune-tavullia/amendments", {"name": "Comune di Tavullia e Gradara"})
    again = await vendor("POST", "/members/comune-tavullia/amendments", {"name": "Comune di Tavullia e Gradara"})
    assert again.json == drafted.json
    assert [one["ref"] for one in (await vendor("GET", "/requests")).json] == [drafted.json["text"]]
    assert (await vendor("POST", "/requests/refusals", {"refs": [drafted.json["text"]]})).status == 200
    board.world.clock.t += 60
    anew = await vendor("POST", "/members/comune-tavullia/amendments", {"name": "Comune di Tavullia e Gradara"})
    assert (anew.status, anew.json != drafted.json) == (200, True)
