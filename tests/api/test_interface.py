"""The node's interface as another program uses it: tokens, referrals, keys, the document; what an application may not."""

import asyncio
import json

import msgspec
import pytest

from node.api.endpoints import PREFIX, ROWS
from node.api.examples import ASKED
from node.api.scopes import SCOPES
from node.api.serving import described
from node.commands import table
from node.runtime.apps import KEPT
from protocol.limits import DAY
from tests.api.vendor import EVERY, Vendor, ask, calling, town
from tests.node.test_app import World, reaches, wanted

TO = {"to": "distretto"}


def refer(**fields):
    return {"to": "distretto", "offer": wanted(**fields)}


@pytest.fixture
async def desks(tmp_path):
    async with town(tmp_path) as (world, apps):
        yield world, apps["tavullia"], apps["distretto"]


async def test_an_application_sends_a_referral_and_the_other_answers_and_both_are_written_down(desks):
    _, a, b = desks
    async with calling(a) as vendor, calling(b, name="cartella") as other:
        sent = await vendor("POST", "/cases", refer())
        assert sent.status == 200, sent
        leg = sent.json["leg"]
        await reaches(b, leg, "offered")
        done = await other("POST", f"/cases/{leg}/steps", {"ev": "accept"})
        assert (done.status, done.json["state"]) == (200, "accepted"), done
        await reaches(a, leg, "accepted")
        log = (await vendor("GET", "/access-log")).json["rows"]
        assert [(row["operator"], row["action"], row["leg"]) for row in log] == [("gestionale/OP", "api refer", leg)]
        log = (await other("GET", "/access-log")).json
        assert (log["intact"], log["rows"][0]["operator"]) == (True, "cartella/OP")
        assert log["rows"][0]["action"] == "api act accept"
        steps = (await vendor("GET", f"/cases/{leg}")).json["steps"]
        assert [step.get("by") for step in steps] == ["OP", "OP"]


async def test_an_application_never_says_that_a_person_opened_and_its_reading_is_its_own(desks):
    _, a, b = desks
    async with calling(a) as vendor, calling(b, name="cartella") as other:
        leg = (await vendor("POST", "/cases", refer())).json["leg"]
        await reaches(b, leg, "offered")
        refused = await other("POST", f"/cases/{leg}/steps", {"ev": "open"})
        assert (refused.status, refused.code) == (403, "person-only")
        seen = await other("GET", f"/cases/{leg}")
        assert seen.json["offer"]["person"]["family_name"]
        assert seen.json["line"]["state"] == "offered"
        assert (await ask(a, "cases"))[0]["state"] == "offered"
        (row,) = (await other("GET", "/access-log")).json["rows"]
        assert (row["operator"], row["action"]) == ("cartella/OP", "read")


async def test_the_same_request_with_the_same_key_has_its_effect_once(desks):
    _, a, _ = desks
    async with calling(a) as vendor:
        first = await vendor("POST", "/cases", refer(), key="k-1")
        again = await asyncio.gather(*(vendor("POST", "/cases", refer(), key="k-1") for _ in range(5)))
        assert {one.raw for one in again} == {first.raw}
        assert len((await vendor("GET", "/cases")).json) == 1
        other = await vendor("POST", "/cases", refer(urgency="UR-PUA24"), key="k-1")
        assert (other.status, other.code) == (409, "idempotency-conflict")
        operator = await vendor("POST", "/cases", refer(), key="k-1", operator="ALTRO")
        assert operator.code in ("idempotency-conflict", "unknown-operator")
        missing = await vendor("POST", "/cases", refer(), headers={"Idempotency-Key": None})
        assert (missing.code, missing.json["field"]) == ("bad-shape", "idempotency-key")


async def test_a_refused_request_leaves_its_key_free_and_a_key_belongs_to_its_application(desks):
    _, a, _ = desks
    async with calling(a) as vendor, calling(a, name="altro") as other:
        assert (await vendor("POST", "/cases", {**refer(), "to": "nessuno"}, key="k")).code == "unknown-recipient"
        one = await vendor("POST", "/cases", refer(), key="k")
        two = await other("POST", "/cases", refer(), key="k")
        assert (one.status, two.status) == (200, 200)
        assert one.json["leg"] != two.json["leg"]


async def test_answers_are_kept_for_a_day_and_nothing_of_them_lies_in_clear(desks):
    world, a, _ = desks
    async with calling(a) as vendor:
        made = (await vendor("POST", "/cases", refer(), key="chiave-di-prova")).json
        rows = await a.readers.read(lambda db: db.execute("SELECT key, asked, answer FROM app_answer").fetchall())
        for part in rows[0]:
            assert all(text not in bytes(part) for text in (b"chiave", b"Inventata", made["leg"].encode()))
        world.clock.at += DAY
        assert (await vendor("POST", "/cases", refer(), key="chiave-di-prova")).json == made
        world.clock.at += KEPT - DAY
        assert (await vendor("POST", "/cases", refer(), key="chiave-di-prova")).json != made


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, "unauthenticated"),
        ("", "unauthenticated"),
        ("rac_" + "A" * 43, "unauthenticated"),
        ("x" * 5000, "unauthenticated"),
    ],
)
async def test_nobody_and_rubbish_are_not_let_in(desks, token, code):
    _, a, _ = desks
    async with calling(a) as vendor:
        stranger = Vendor(vendor.session, vendor.base, token, "OP")
        answer = await stranger("GET", "/cases")
        assert (answer.status, answer.code) == (401, code)
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_token_ends_with_its_days_and_at_once_when_it_is_revoked(desks):
    world, a, _ = desks
    async with calling(a, days=1) as vendor, calling(a, name="breve", days=2) as other:
        assert (await vendor("GET", "/cases")).status == 200
        world.clock.at += DAY
        expired = await vendor("GET", "/cases")
        assert (expired.status, expired.code) == (401, "token-expired")
        assert (await other("GET", "/cases")).status == 200
        await ask(a, "app-revoke", id="breve")
        revoked = await other("GET", "/cases")
        assert (revoked.status, revoked.code) == (401, "token-revoked")
        with pytest.raises(Exception, match="id-taken"):
            await ask(a, "app-add", id="breve", scopes=EVERY)


async def test_a_token_is_shown_once_and_kept_as_its_hash(desks):
    _, a, _ = desks
    async with calling(a) as vendor:
        listed = await ask(a, "apps")
        assert listed[0]["id"] == "gestionale"
        assert "token" not in listed[0]
        await a.writer.maintain(lambda store: store.checkpoint())
        assert vendor.token.encode() not in a.body.store.path.read_bytes()


async def test_a_token_beyond_its_scope_is_refused_with_the_scope_it_lacks(desks):
    _, a, _ = desks
    async with calling(a, "map:read") as vendor:
        assert (await vendor("GET", "/services?limit=1")).status == 200
        refused = await vendor("GET", "/cases")
        assert (refused.status, refused.code, refused.json["expected"]) == (403, "token-scope", "cases:read")
        assert (await vendor("GET", "/application")).json["scopes"] == ["map:read"]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "0.0.0.0", "127.0.0.1@evil"]
)
async def test_another_hosts_name_is_refused_before_the_token_is_looked_at(desks, host):
    _, a, _ = desks
    async with calling(a) as vendor:
        for path in ("/cases", "/openapi.json"):
            answer = await vendor("GET", path, headers={"Host": host})
            assert (answer.status, answer.code) == (403, "wrong-host")


async def test_a_page_in_a_browser_is_refused_even_with_a_token(desks):
    _, a, _ = desks
    async with calling(a) as vendor:
        answer = await vendor("GET", "/cases", headers={"Origin": "http://127.0.0.1"})
        assert (answer.status, answer.code) == (403, "forbidden")
        assert "access-control-allow-origin" not in answer.headers


async def test_the_local_word_of_the_command_line_is_no_token_and_a_token_runs_no_command(desks):
    from tests.api.vendor import announced

    _, a, _ = desks
    async with calling(a) as vendor:
        own = Vendor(vendor.session, vendor.base, announced(a).token, "OP")
        assert (await own("GET", "/cases")).code == "unauthenticated"
        assert (await vendor("POST", "/command/cases", {})).code == "unauthenticated"


async def test_what_is_asked_is_read_strictly(desks):
    _, a, _ = desks
    async with calling(a) as vendor:
        for path in (
            "/cases?late=1",
            "/cases?late=true&late=true",
            "/cases?x=1",
            "/services?limit=0",
            "/services?limit=01",
            "/services?age=9e1",
        ):
            answer = await vendor("GET", path)
            assert (answer.status, answer.code) == (422, "bad-shape"), (path, answer)
        for raw, media, code in (
            (b"{}", "text/plain", "unsupported-media"), (b"[]", "application/json", "bad-shape"), (b'{"to":1,"to":2}', "application/json", "json-duplicate-name"),
            (b"{", "application/json", "bad-json"), (b'{"as_":"OP"}', "application/json", "bad-shape"), (b"[" * 5000, "application/json", "json-too-deep"),
        ):  # fmt: skip
            answer = await vendor("POST", "/cases", raw=raw, headers={"Content-Type": media})
            assert answer.code in (code, "bad-json"), (raw[:20], answer)
        assert (await vendor("GET", "/cases", operator="x/y")).status == 200  # lists are nobody's in particular
        assert (await vendor("POST", "/cases", refer(), operator=None)).json["field"] == "raccordo-operator"
        for wrong in ("altro/OP", "é", "x" * 33):
            assert (await vendor("POST", "/cases", refer(), operator=wrong)).code in (
                "bad-shape",
                "unknown-operator",
                "bad-request",
            )


async def test_an_application_alone_imports_and_publishes_and_does_nothing_else_for_nobody(desks):
    _, a, _ = desks
    async with calling(a, operator=None) as vendor:
        sheet = b"Nome;Comune;Descrizione\nMensa;Tavullia;Un pasto\n"
        import base64

        body = {"name": "servizi.csv", "content": base64.b64encode(sheet).decode()}
        assert (await vendor("POST", "/imports/preview", body)).status == 200
        assert (await vendor("GET", "/entries")).json["total"] == 0
        assert (await vendor("POST", "/imports", body)).status == 200
        total = (await vendor("GET", "/entries")).json["total"]
        assert total == 1
        assert (await vendor("POST", "/publications", {})).json["signed"]
        rows = (await vendor("GET", "/access-log", operator="OP")).json["rows"]
        assert [(row["operator"], row["action"]) for row in rows] == [
            ("gestionale/", "api import"),
            ("gestionale/", "api publish"),
        ]


async def test_one_entry_is_written_read_changed_and_taken_back(desks):
    from node.api.examples import ENTRY

    _, a, _ = desks
    said = ASKED["put-entries-id"]
    async with calling(a, operator=None) as vendor:
        assert (await vendor("PUT", f"/entries/{ENTRY}", said.it)).json == {"id": ENTRY, "outcome": "fresh"}
        assert (await vendor("PUT", f"/entries/{ENTRY}", said.it)).json["outcome"] == "same"
        assert (await vendor("PUT", f"/entries/{ENTRY}", said.en)).json["outcome"] == "changed"
        assert (await vendor("GET", f"/entries/{ENTRY}")).json["public"]["name"] == "Canteen"
        assert (await vendor("PUT", f"/entries/{ENTRY}", {**said.en, "view": "members"})).json["outcome"] == "changed"
        held = (await vendor("GET", f"/entries/{ENTRY}")).json
        assert ("public" in held, held["network"]["name"]) == (False, "Canteen")
        other = ENTRY.replace("0a", "0b")
        assert (await vendor("PUT", f"/entries/{other}", said.it)).code == "bad-shape"
        dirty = json.loads(json.dumps(said.it))
        dirty["service"]["description"] = "<script>"
        assert (await vendor("PUT", f"/entries/{ENTRY}", dirty)).code == "catalogue-not-plain"
        assert (await vendor("DELETE", f"/entries/{ENTRY}")).json["ids"] == [ENTRY]
        assert (await vendor("DELETE", f"/entries/{ENTRY}")).code == "not-found"


# -- the document


async def test_the_document_is_served_as_committed_and_names_every_address(desks):
    _, a, _ = desks
    async with calling(a) as vendor:
        stranger = Vendor(vendor.session, vendor.base, None)
        served = await stranger("GET", "/openapi.json")
        assert served.raw == described()
        named = {(method.upper(), path) for path, place in served.json["paths"].items() for method in place}
        routes = {(route.method, route.path) for route in a.api.routes(None)}
        assert named == routes
        assert {row.scope for row in ROWS} - {None} == set(SCOPES)


def test_every_address_is_under_the_prefix_and_has_a_name_of_its_own_and_a_command():
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.path.startswith(PREFIX + "/") for row in ROWS)
    assert {row.command for row in ROWS} - set(table()) == {"take-back", "webhook-test"}
    assert all(row.it and row.en for row in ROWS)
    assert all(row.method in ("GET", "POST", "PUT", "DELETE") for row in ROWS)


def test_every_example_fits_the_schema_it_stands_at():
    from jsonschema import Draft202012Validator

    document = json.loads(described())
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    seen = 0
    for place in document["paths"].values():
        for operation in place.values():
            bodies = [operation.get("requestBody"), operation["responses"]["200"]]
            for media in (body["content"]["application/json"] for body in bodies if body):
                schema = {**media["schema"], "components": document["components"]}
                for example in media.get("examples", {}).values():
                    faults = list(Draft202012Validator(schema).iter_errors(example["value"]))
                    assert faults == [], (operation["operationId"], faults)
                    seen += 1
            if operation.get("requestBody"):
                assert "examples" in operation["requestBody"]["content"]["application/json"], operation["operationId"]
    assert seen > 40


def test_what_changes_something_takes_a_key_and_what_does_not_takes_none():
    reading = {"search", "persons-search", "advice", "imports-preview", "webhooks-id-test"}
    for row in ROWS:
        assert row.effect == (row.method != "GET" and row.name.partition("-")[2] not in reading), row.name


def test_requests_of_the_interface_are_those_of_the_table():
    from node.api.serving import shapes

    for row in ROWS:
        shape = shapes(row)
        assert issubclass(shape.request, msgspec.Struct)
        assert shape.answer is not None
        for name in row.places:
            assert name in shape.request.__struct_fields__, row.name


async def once(app, vendor, leg, path, body):
    """The same call four times has one effect and one answer."""
    first = await vendor("POST", f"/cases/{leg}/{path}", body, key="una")
    assert first.status == 200, first
    again = await asyncio.gather(*(vendor("POST", f"/cases/{leg}/{path}", body, key="una") for _ in range(3)))
    assert {one.raw for one in again} == {first.raw}
    rows = [row for row in (await vendor("GET", "/access-log")).json["rows"] if row["action"].startswith("api ")]
    assert len(rows) == 2  # the referral, and this once


@pytest.mark.parametrize("path", ["recall", "erasure"])
async def test_what_asks_mailboxes_on_its_way_has_its_effect_once_too(desks, path):
    """Two transactions with other computers asked in between: answer and key are kept in the one with the effect."""
    _, a, b = desks
    async with calling(a) as vendor:
        leg = (await vendor("POST", "/cases", refer())).json["leg"]
        await reaches(b, leg, "offered")
        said = ASKED.get(f"post-cases-leg-{path}")
        await once(a, vendor, leg, path, said.it if said else {})


async def test_what_nobody_fetched_is_taken_back_once(tmp_path):
    world = World(tmp_path)
    world.found("tavullia", relays=["distretto"])
    world.found("distretto", direct=True, relay=True)
    world.publish()
    async with world.running("tavullia") as apps:
        await ask(apps["tavullia"], "operator-add", code="OP", role="RL-RESP")
        async with calling(apps["tavullia"]) as vendor:
            leg = (await vendor("POST", "/cases", refer())).json["leg"]
            await once(apps["tavullia"], vendor, leg, "take-back", {})
