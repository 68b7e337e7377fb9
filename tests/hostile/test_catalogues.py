"""Catalogues, statements and join requests of a hostile member: each its own code, nothing in the log, the map, the store."""

import json

import msgspec
import pytest

from protocol import jws, paths
from protocol.limits import CATALOGUE_RECORDS, CLOCK_AHEAD_MAX, DAY, RECORD_MAX
from protocol.publications import leaf_hash, manifest_root
from protocol.statements import sign_key_statement
from protocol.strict import b64u_decode, b64u_encode, digest
from protocol.suite import S1
from schemas.catalogue import CataloguePost, Publication
from schemas.membership import KeyStatement
from tests.hostile.town import CANARY, Server, Town
from tests.hostile.wire import Answer, Request
from tests.registry.world import line, uid

pytestmark = pytest.mark.asyncio(loop_scope="module")


def board(town: Town) -> Server:
    return town.servers["registry"]


async def post(town: Town, target: str, value: object, note: str, who=None) -> Answer:
    request = Request(
        note, "POST", target.encode(), body=value if isinstance(value, bytes) else msgspec.json.encode(value)
    )
    return await board(town).judged(town.signed(board(town), request, who=who))


def lines_of(town: Town) -> list[str]:
    """What `ladro` has published, and nothing else."""
    return [line("Sportello sociale", node="ladro"), line("Centro anziani", node="ladro")]


def post_of(town: Town, lines: list[str], vis: str = "public", who=None, **changes: object) -> CataloguePost:
    """Signed by `who` without any of the checks our own writer makes."""
    who = who or town.ladro
    rev, prev = who.held.get(vis, (0, ""))
    pairs = sorted(((json.loads(text).get("id", "")), text) for text in lines)
    manifest = [leaf_hash(text) for _, text in pairs]
    now = town.clock.now()
    fields = {
        "net": town.net, "node": who.node, "vis": vis, "rev": rev + 1, "prev": prev, "root": manifest_root(manifest),
        "count": len(manifest), "at": now, "exp": now + 180 * DAY, **changes,
    }  # fmt: skip
    text = jws.sign_compact(
        changes.pop("key", who.key),
        jws.CAT,
        msgspec.json.encode(Publication(**{k: v for k, v in fields.items() if k != "key"})),
    )
    return CataloguePost(
        publication=text, manifest=manifest, records=dict(zip(manifest, (t for _, t in pairs), strict=True))
    )


async def refused(town: Town, value: object, note: str, *codes: str, who=None) -> None:
    """By intake and by the doctor alike; the board is as it was."""
    answer = await post(town, paths.CATALOGUE, value, note, who)
    assert answer.status >= 400 and answer.code in codes, (note, answer)
    advice = await post(town, paths.DOCTOR, value, note)
    assert advice.status == 200 and json.loads(advice.body)["ok"] is False, (note, advice)
    assert CANARY.encode() not in advice.body, (note, advice)


async def test_a_catalogue_too_old_too_new_or_of_another_is_refused(served: Town) -> None:
    now, lines = served.clock.now(), lines_of(served)
    rev, _ = served.ladro.held["public"]
    for change, codes in (
        ({"rev": rev}, ("catalogue-too-old",)), ({"rev": rev + 2}, ("catalogue-too-old",)), ({"rev": 1, "prev": "", "at": now - 1}, ("catalogue-too-old",)),
        ({"prev": ""}, ("catalogue-too-old",)), ({"prev": "A" * 43}, ("catalogue-too-old",)), ({"net": "A" * 43}, ("wrong-network",)),
        ({"at": now + CLOCK_AHEAD_MAX + 1}, ("from-the-future",)), ({"exp": now}, ("expired",)), ({"exp": now - 1, "at": now - 2}, ("expired",)),
        ({"node": "distretto"}, ("unknown-key",)), ({"node": "nessuno"}, ("unknown-key",)), ({"node": "vecchia", "key": served.revoked}, ("revoked-key",)),
        ({"key": served.straniero.key}, ("unknown-key",)), ({"rev": 2**53 - 1}, ("catalogue-too-old",)), ({"rev": 2**60}, ("json-number",)),
    ):  # fmt: skip
        await refused(served, post_of(served, lines, **change), f"{change}"[:60], *codes)
    vecchia = post_of(served, [line("Uno", node="vecchia")], who=served.vecchia)
    await refused_to(served, vecchia, "another's, by us", "forbidden")


async def refused_to(town: Town, value: object, note: str, code: str, who=None) -> None:
    answer = await post(town, paths.CATALOGUE, value, note, who)
    assert answer.code == code, (note, answer)


async def test_a_manifest_that_is_not_what_was_signed_is_refused(served: Town) -> None:
    good = post_of(served, lines_of(served))
    raw = msgspec.to_builtins(good)
    leaf, *_ = good.manifest
    other = line("Altro", node="ladro")
    wrong: tuple[tuple[dict[str, object], tuple[str, ...]], ...] = (
        ({"manifest": list(reversed(good.manifest))}, ("catalogue-root",)), ({"manifest": [leaf, leaf]}, ("catalogue-root",)), ({"manifest": []}, ("catalogue-root",)),
        ({"manifest": [leaf]}, ("catalogue-root",)), ({"manifest": [*good.manifest, "A" * 43]}, ("catalogue-root",)), ({"manifest": ["A" * 42 + "B"] * 2}, ("bad-shape", "catalogue-root")),
        ({"records": {**good.records, leaf: good.records[leaf].replace("Sportello", "Sportella").replace("Centro", "Centri")}}, ("catalogue-root",)),
        ({"records": {leaf_hash(other): good.records[leaf]}}, ("catalogue-root",)), ({"records": {**good.records, leaf_hash(other): other}}, ("catalogue-root",)),
        ({"records": {leaf: good.records[leaf] + " "}}, ("catalogue-root",)), ({"records": {CANARY: "{}"}}, ("bad-shape",)),
        ({"publication": good.publication[:-2] + "AA"}, ("bad-signature", "bad-base64")), ({"publication": CANARY}, ("bad-shape",)),
    )  # fmt: skip
    for change, codes in wrong:
        await refused(served, {**raw, **change}, f"{list(change)}", *codes)


async def test_records_that_may_not_be_published_are_refused(served: Town) -> None:
    def with_(**fields: object) -> str:
        made = json.loads(line("Prova", node="ladro")) | fields
        return json.dumps({k: v for k, v in made.items() if v is not None}, ensure_ascii=False)

    address = {
        "address_1": "Via Segreta 1",
        "city": "Pesaro",
        "state_province": "PU",
        "postal_code": "61121",
        "country": "IT",
        "address_type": "physical",
    }
    for text, codes in (
        (with_(description=f"<b>{CANARY}</b>"), ("catalogue-not-plain",)), (with_(name=f"{CANARY}‮"), ("catalogue-not-plain",)),
        (with_(description="a\x00b"), ("catalogue-not-plain",)), (with_(url="javascript:alert(1)"), ("catalogue-not-plain", "bad-shape")),
        (with_(description=f"[{CANARY}](http://x)"), ("catalogue-not-plain",)), (with_(description="&lt;script&gt;"), ("catalogue-not-plain",)),
        (with_(description="RSSMRA85T10A562S " + CANARY), ("catalogue-personal-data",)), (with_(description="IT60X0542811101000000123456"), ("catalogue-personal-data",)),
        (with_(strano={"dentro": "RSSMRA85T10A562S"}), ("catalogue-personal-data",)), (with_(**{"<i>": 1}), ("catalogue-not-plain",)),
        (with_(place="secret", description=f"Via Roma 12 {CANARY}"), ("catalogue-secret-place",)), (with_(place="secret", locations=[{"addresses": [address]}]), ("catalogue-secret-place", "bad-shape")),
        (with_(place="secret", latitude=43.9), ("catalogue-secret-place",)), (with_(place="secret", zone="Centro"), ("catalogue-secret-place",)),
        (with_(id=CANARY), ("bad-shape",)), (with_(id=None), ("bad-shape",)), (with_(name=None), ("bad-shape",)), (with_(status=CANARY), ("bad-shape",)),
        (with_(description="x" * RECORD_MAX), ("record-too-large", "bad-shape")), (with_(x=[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]), ("json-too-deep",)),
        (with_(salt="A" * 43), ("bad-shape",)), (with_(name=7), ("bad-shape",)), (with_(organization=CANARY), ("bad-shape",)),
        (line("Prova", node="ladro")[:-1] + ',"name":"due"}', ("json-duplicate-name",)), (line("Prova", node="ladro")[:-1] + ',"n":1e999}', ("json-number",)),
        (line("Prova", node="ladro")[:-1] + ',"n":12345678901234567890}', ("json-number",)), (line("Prova", node="ladro") + "\n", ("bad-shape",)),
        (line("Prova", node="ladro")[:-1] + ',"n":"\\ud800"}', ("bad-encoding",)), ("{}", ("bad-shape",)), ("[]", ("bad-shape",)), (f'"{CANARY}"', ("bad-shape",)),
    ):  # fmt: skip
        value = post_of(served, [text]) if text.startswith("{") else post_raw(served, text)
        await refused(served, value, text[:80], *codes)


def post_raw(town: Town, text: str) -> CataloguePost:
    leaf = leaf_hash(text)
    made = post_of(town, [], root=manifest_root([leaf]), count=1)
    return msgspec.structs.replace(made, manifest=[leaf], records={leaf: text})


async def test_a_network_record_needs_a_salt_and_a_public_one_has_none(served: Town) -> None:
    for vis, text in (
        ("network", line("Senza", node="ladro")),
        ("network", line("Corto", node="ladro")[:-1] + ',"salt":"AAAA"}'),
        ("public", line("Con", node="ladro", salt=True)),
    ):
        await refused(served, post_of(served, [text], vis), vis, "bad-shape")


async def test_the_id_of_another_member_is_never_taken(served: Town) -> None:
    mine = line("Furto", node="vecchia", id=uid("ladro", "Sportello sociale"))
    request = post_of(served, [mine], who=served.vecchia)
    await refused_to(served, request, "another's id", "catalogue-id-not-yours", who=served.vecchia)
    twice = [line("Uno", node="ladro", id=uid("x")), line("Due", node="ladro", id=uid("x"))]
    await refused(served, post_of(served, twice), "one id twice", "catalogue-root")
    upper = line("Maiuscolo", node="vecchia", id=uid("ladro", "Sportello sociale")).replace(
        uid("ladro", "Sportello sociale"), uid("ladro", "Sportello sociale").upper()
    )
    answer = await post(
        served, paths.CATALOGUE, post_of(served, [upper], who=served.vecchia), "in capitals", served.vecchia
    )
    assert answer.status >= 400, answer


async def test_five_thousand_and_one_records_are_too_many(served: Town) -> None:
    many = [digest(b"%d" % i) for i in range(CATALOGUE_RECORDS + 1)]
    made = post_of(served, [], root=manifest_root(many), count=len(many))
    await refused(served, msgspec.structs.replace(made, manifest=many, records={}), "5,001", "catalogue-too-large")
    await refused(served, msgspec.structs.replace(made, manifest=many[:-1], records={}), "count", "catalogue-too-large")
    most = json.dumps({"publication": made.publication, "manifest": ["A" * 43] * 150_000, "records": {}}).encode()
    await refused(served, most, "150,000 hashes", "catalogue-too-large", "bad-shape")


async def test_a_doctor_is_not_kept_busy_by_a_catalogue_of_faults(served: Town) -> None:
    records = {digest(b"%d" % i): "{" for i in range(120_000)}
    made = msgspec.to_builtins(post_of(served, []))
    answer = await post(served, paths.DOCTOR, {**made, "records": records}, "120,000 faults")
    assert answer.status == 200 and not json.loads(answer.body)["ok"]
    assert len(answer.body) < 1 << 20


async def test_statements_that_do_not_follow_are_refused(served: Town) -> None:
    now, who = served.clock.now(), served.ladro
    fresh = S1.signing_key(bytes(31) + b"\x09")

    def key(by=None, **changes: object) -> str:
        fields = {
            "net": who.net,
            "node": who.node,
            "n": 2,
            "x": b64u_encode(fresh.public),
            "prev": who.key.kid,
            "iat": now,
            "reason": "rotation",
        }
        return sign_key_statement(KeyStatement(**{**fields, **changes}), by or who.key)

    low = b64u_encode(bytes(32))
    general = json.dumps({"payload": b64u_encode(b"{}"), "signatures": []})
    for texts, codes in (
        ([key(by=fresh)], ("bad-signature", "unknown-key", "key-chain")), ([key(n=3)], ("key-chain",)), ([key(prev="A" * 43)], ("key-chain",)), ([key(x=low)], ("bad-key",)),
        ([key(x=b64u_encode(who.key.public))], ("key-chain", "bad-key")), ([key(net="A" * 43)], ("wrong-network", "key-chain")), ([key(node="distretto", prev="A" * 43)], ("unknown-key", "bad-signature", "key-chain")),
        ([key(node="nessuno")], ("not-a-member",)), ([key(node="sospeso")], ("suspended",)), ([key(iat=now + CLOCK_AHEAD_MAX + 1)], ("from-the-future",)),
        ([key(reason="recovery")], ("key-chain", "bad-signature", "unknown-key")), ([who.routes(now, 2, relays=["nessuno"])], ("bad-shape",)), ([who.routes(now, 2, sealing=[])], ("bad-shape",)),
        ([who.routes(now, 1, urls=["https://x.example"])], ("members-rollback",)), ([who.routes(now, 2, node="distretto")], ("unknown-key", "bad-signature", "bad-shape")),
        ([who.routes(now, 2), served.vecchia.routes(now, 3)], ("bad-shape",)), ([general], ("bad-shape", "bad-header")), (["{" * 200], ("bad-json",)), ([CANARY], ("bad-shape", "bad-base64")), ([""], ("bad-shape",)),
        ([who.routes(now, 2)] * 5, ("bad-shape",)),
    ):  # fmt: skip
        answer = await post(served, paths.STATEMENT, {"statements": texts}, f"{texts[0][:30]}")
        assert answer.status >= 400 and answer.code in codes, (
            [json.loads(b64u_decode(t.split(".")[1])) if t.count(".") == 2 else t for t in texts],
            answer,
        )


async def test_who_may_not_join_is_told_and_not_kept(served: Town) -> None:
    now, who, protocol = served.clock.now(), served.straniero, served.board.protocol

    def request(code: str | None = None, **changes: object) -> dict[str, object]:
        return msgspec.json.decode(who.request(protocol, now, code, **changes))

    good = request()
    taken = {"wanted": {**good["wanted"], "node": "ladro"}}
    for change, codes in (
        ({"code": CANARY}, ("invitation-invalid",)), ({"first": b64u_encode(bytes(32))}, ("bad-key",)), ({"first": b64u_encode(served.ladro.key.public)}, ("bad-signature", "bad-key", "unknown-key")),
        ({"routes": who.routes(now, 2)}, ("bad-shape",)), ({"routes": who.routes(now, relays=["nessuno"])}, ("bad-shape",)), ({"routes": served.ladro.routes(now)}, ("unknown-key", "bad-signature", "bad-shape")),
        ({"routes": who.routes(now, net="A" * 43)}, ("wrong-network",)), ({"wanted": {**good["wanted"], "name": f"<b>{CANARY}"}}, ("bad-shape",)), ({"wanted": {**good["wanted"], "name": "x‮"}}, ("bad-shape",)),
        ({"wanted": {**good["wanted"], "ptype": "PT-NIENTE"}}, ("unknown-code",)), ({"wanted": {**good["wanted"], "caps": ["pua", "pua"]}}, ("bad-shape",)), ({"wanted": {**good["wanted"], "caps": [CANARY]}}, ("bad-shape",)),
        ({"wanted": {**good["wanted"], "hosted_by": "nessuno"}}, ("not-a-member",)), ({"wanted": {**good["wanted"], "delegated_by": "ladro"}}, ("forbidden",)), (taken, ("bad-signature", "bad-shape", "id-taken")),
        ({"wanted": {**good["wanted"], "protocol": {"version": "9", "hash": "A" * 43}}}, ("not-found",)),
    ):  # fmt: skip
        answer = await post(served, paths.JOIN, {**good, **change}, f"{change}"[:80])
        assert answer.status >= 400 and answer.code in codes, (change, answer)
    for node in ("ladro", "bacheca", "sospeso"):
        other = type(who)(served.net, node, who.dice)
        answer = await post(served, paths.JOIN, other.request(protocol, now, None), node)
        assert answer.code == "id-taken", (node, answer)


async def test_strangers_cannot_fill_the_store_with_requests(served: Town) -> None:
    from registry.joining import UNINVITED_MAX
    from tests.registry.world import Body

    protocol, now = served.board.protocol, served.clock.now()
    answers = []
    for number in range(UNINVITED_MAX + 1):
        body = Body(served.net, f"ignoto-{number}", served.straniero.dice)
        answers.append(await post(served, paths.JOIN, body.request(protocol, now, None), "flood"))
    assert answers[-1].code == "busy" and int(answers[-1].headers["retry-after"]) > 0
    assert [answer.status for answer in answers].count(202) <= UNINVITED_MAX


async def test_records_no_snapshot_names_are_not_kept_waiting(served: Town) -> None:
    """A post whose snapshot is incomplete keeps what it brings of it, and nothing else."""
    who = served.vecchia
    mine, absent, stray = (line(name, node="vecchia") for name in ("Mio", "Manca", "Estraneo"))
    made = post_of(served, [mine, absent], who=who)
    sent = {leaf_hash(mine): mine, leaf_hash(stray): stray}
    answer = await post(served, paths.CATALOGUE, msgspec.structs.replace(made, records=sent), "stray", who)
    assert answer.code == "catalogue-root", answer
