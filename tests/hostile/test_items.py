"""Envelopes and receipts a hostile member posts: to a node's inbox, to a mailbox. What fails up to `ct` leaves no row."""

import json
import random

import pytest

from protocol import paths
from protocol.limits import BATCH_BYTES, BATCH_ITEMS, CLOCK_AHEAD_MAX, LIFETIME_MAX, ROUTING_MAX, SEALED_MAX
from protocol.names import Channel
from protocol.receipts import sign_receipt
from protocol.strict import b64u_decode, b64u_encode, digest
from schemas.problems import PROBLEMS
from schemas.wire import Ack, Receipt
from tests.hostile.test_tokens import forged
from tests.hostile.town import CANARY, Server, Town
from tests.hostile.wire import Answer, Request

pytestmark = pytest.mark.asyncio(loop_scope="module")


def places(town: Town) -> list[tuple[Server, bytes]]:
    """Wherever an item may be posted for `distretto`."""
    return [
        (town.servers["distretto"], paths.INBOX.encode()),
        (town.servers["distretto"], paths.mailbox("distretto").encode()),
        (town.servers["registry"], paths.mailbox("distretto").encode()),
    ]


async def post(town: Town, server: Server, target: bytes, items: list[object], note: str, who=None) -> Answer:
    request = Request(note, "POST", target, body=json.dumps({"items": items}).encode())
    return await server.judged(town.signed(server, request, who=who))


async def turned(town: Town, item: dict[str, object], note: str, *codes: str, who=None) -> None:
    """Every place answers `later` with one of `codes` and stores nothing."""
    for server, target in places(town):
        before = server.watched.tables()
        answer = await post(town, server, target, [item], note, who)
        assert answer.status == 200, (note, answer)
        body = json.loads(answer.body)
        assert (body["receipts"], body["held"], len(body["later"])) == ([], [], 1), (note, target, body)
        code = body["later"][0]["code"]
        assert code in codes and code in PROBLEMS, (note, target, code)
        assert CANARY.encode() not in answer.body
        assert server.watched.tables() == before, (note, target)
        town.count(code)


def item(sealed: object) -> dict[str, object]:
    return {"e": sealed.e, "s": sealed.s}


def rewritten(town: Town, sealed: object, header: dict[str, object] | bytes | None = None, key=None, **changes: object):
    """The same sealing under another header or other routing, signed anew by `ladro`."""
    good = {"alg": "Ed25519", "kid": town.ladro.key.kid, "typ": "raccordo-msg+jws"}
    payload = json.loads(b64u_decode(sealed.e.split(".")[1])) | changes
    payload = {name: value for name, value in payload.items() if value != "absent"}
    e = forged(town, header if header is not None else good, payload, key).removeprefix(b"Bearer ").decode()
    return {"e": e, "s": sealed.s}


async def test_a_flipped_bit_anywhere_is_damage_and_kills_nothing(served: Town) -> None:
    sealed, dice = served.envelope(n=10), random.Random(7)
    for part in ("e", "s"):
        text = getattr(sealed, part)
        for at in dice.sample(range(len(text)), 25):
            flipped = text[:at] + chr(ord(text[at]) ^ (1 << dice.randrange(7))) + text[at + 1 :]
            codes = ("damaged", "unknown-key", "not-a-member", "unsupported-version")
            await turned(served, {**item(sealed), part: flipped}, f"{part} bit {at}", *codes)


async def test_parts_of_two_valid_envelopes_do_not_fit_each_other(served: Town) -> None:
    one, two = served.envelope(n=11), served.envelope(n=12)
    await turned(served, {"e": one.e, "s": two.s}, "another seal", "damaged")
    a, b = one.e.split("."), two.e.split(".")
    for i in (1, 2):
        mixed = [*a[:i], b[i], *a[i + 1 :]]
        await turned(served, {"e": ".".join(mixed), "s": one.s}, f"segment {i}", "damaged")
    for name in ("jti", "ch", "cm", "iat"):
        other = json.loads(b64u_decode(b[1]))[name]
        changed = json.loads(b64u_decode(a[1])) | {name: other}
        if changed != json.loads(b64u_decode(a[1])):
            e = ".".join([a[0], b64u_encode(json.dumps(changed).encode()), a[2]])
            await turned(served, {"e": e, "s": one.s}, f"field {name}", "damaged")
    for i in range(5):
        s, t = one.s.split("."), two.s.split(".")
        seal = ".".join([*s[:i], t[i], *s[i + 1 :]])
        if seal != one.s:
            await turned(served, {"e": one.e, "s": seal}, f"seal segment {i}", "damaged")


async def test_headers_that_are_not_the_fixed_one_are_damage(served: Town) -> None:
    sealed, good = served.envelope(n=13), {"alg": "Ed25519", "kid": served.ladro.key.kid, "typ": "raccordo-msg+jws"}
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64u_encode(served.straniero.key.public)}
    for extra in (
        {"alg": "none"}, {"alg": "HS256"}, {"alg": "ES256"}, {"jwk": jwk}, {"jku": f"http://127.0.0.1:1/{CANARY}"},
        {"x5u": "http://127.0.0.1:1/"}, {"x5c": ["AA"]}, {"crit": ["exp"]}, {"b64": False}, {"zip": "DEF"}, {"cty": "x"},
        {"typ": "raccordo-rcpt+jws"}, {"typ": "JWT"}, {"kid": CANARY}, {"kid": None}, {CANARY: 1},
    ):  # fmt: skip
        for key in (served.ladro.key, served.straniero.key):
            await turned(served, rewritten(served, sealed, {**good, **extra}, key), f"header {extra}", "damaged")
    unknown = {**good, "kid": served.straniero.key.kid}
    await turned(served, rewritten(served, sealed, unknown, served.straniero.key), "unknown kid", "unknown-key")
    revoked = {**good, "kid": served.revoked.kid}
    old = rewritten(served, sealed, revoked, served.revoked, **{"from": "vecchia"})
    for server, target in places(served):
        answer = await post(served, server, target, [old], "revoked", served.vecchia)
        assert json.loads(answer.body)["later"][0]["code"] == "revoked-key"


async def test_routing_that_cannot_be_right_is_turned_away_unsigned(served: Town) -> None:
    sealed, now = served.envelope(n=14), served.clock.now()
    damage: tuple[dict[str, object], ...] = (
        {"net": CANARY}, {"jti": CANARY}, {"jti": 5}, {"from": "../x"}, {"to": CANARY}, {"to": ""}, {"iat": -1}, {"iat": "now"},
        {"iat": 2**60}, {"exp": None}, {"ch": "1"}, {"ch": "0.0"}, {"ch": "01.1"}, {"ch": f"1.{10**16}"}, {"ch": "1.-1"}, {"mv": -1},
        {"mv": 1e30}, {"ct": CANARY}, {"ct": "A" * 43}, {"cm": ""}, {"v": "1"}, {"v": "absent"}, {"cm": "absent"}, {CANARY: CANARY},
        {"case": CANARY}, {"from": ["ladro"]}, {"jti": sealed.cm},
    )  # fmt: skip
    for change in damage:
        await turned(served, rewritten(served, sealed, **change), f"{change}", "damaged")
    await turned(served, rewritten(served, sealed, net="A" * 43), "other network", "wrong-network")
    await turned(served, rewritten(served, sealed, to="ladro"), "to self", "to-self")
    await turned(served, rewritten(served, sealed, to="montelabbate"), "to another", "wrong-recipient")
    await turned(served, rewritten(served, sealed, **{"from": "distretto"}), "of another", "unknown-key", "forbidden")
    await turned(served, rewritten(served, sealed, **{"from": "nessuno"}), "of nobody", "unknown-key")
    ahead = {"iat": now + CLOCK_AHEAD_MAX + 1, "exp": now + 9999}
    await turned(served, rewritten(served, sealed, **ahead), "from the future", "from-the-future")
    await turned(served, rewritten(served, sealed, iat=now - 100, exp=now - 1), "expired", "expired")


async def test_parts_that_are_too_long_or_no_text_are_damage(served: Town) -> None:
    sealed = served.envelope(n=15)
    for bad in (
        {"e": "a" * (ROUTING_MAX + 1), "s": sealed.s}, {"e": sealed.e, "s": "a" * (SEALED_MAX + 1)}, {"e": "", "s": ""},
        {"e": sealed.e}, {"s": sealed.s}, {}, {"e": sealed.e, "s": sealed.s, "r": "x"}, {"r": ""}, {"r": CANARY}, {"r": "." * 10000},
        {"e": "è", "s": sealed.s}, {"e": sealed.e, "s": "è" + sealed.s}, {"e": sealed.e + "=", "s": sealed.s},
        {"e": sealed.e + "\n", "s": sealed.s}, {"e": " " + sealed.e, "s": sealed.s}, {"e": sealed.e, "s": sealed.s + "."},
    ):  # fmt: skip
        await turned(served, bad, f"{bad}"[:60], "damaged")
    for server, target in places(served):
        for wrong in (None, 1, CANARY, [], {"e": 1, "s": 2}, {"e": None, "s": None}, {"x": 1}):
            answer = await post(served, server, target, [wrong], f"{wrong}")
            assert answer.code == "bad-shape", (wrong, answer)


async def test_a_batch_of_fifty_one_or_of_a_byte_too_many_is_refused_whole(served: Town) -> None:
    sealed = served.envelope(n=16)
    for server, target in places(served):
        answer = await post(served, server, target, [item(sealed)] * (BATCH_ITEMS + 1), "51 items")
        assert answer.code == "too-large"
        shell = b'{"items":[{"r":"' + b"a" * (BATCH_BYTES + 1 - 20) + b'"}]}'
        assert len(shell) == BATCH_BYTES + 1
        request = Request("6 MiB + 1", "POST", target, body=shell)
        await server.refuses(served.signed(server, request), "too-large")


async def test_fifty_times_rubbish_is_answered_fifty_times(served: Town) -> None:
    for server, target in places(served):
        answer = await post(served, server, target, [{"e": CANARY, "s": "x"}] * BATCH_ITEMS, "50 rubbish")
        assert [later["i"] for later in json.loads(answer.body)["later"]] == list(range(BATCH_ITEMS))


def receipt(town: Town, who=None, *, key=None, **changes: object) -> str:
    who = who or town.ladro
    acks = [Ack("A" * 43, "stored", town.clock.now())]
    fields = {
        "net": town.net,
        "sender": who.node,
        "to": "distretto",
        "at": town.clock.now(),
        "hw": "1.1",
        "acks": acks,
        **changes,
    }
    return sign_receipt(key or who.key, Receipt(**fields))


def raw_receipt(town: Town, **changes: object) -> str:
    """Signed by `ladro` though no writer of ours would."""
    header = {"alg": "Ed25519", "kid": town.ladro.key.kid, "typ": "raccordo-rcpt+jws"}
    ack = {"mid": "A" * 43, "k": "stored", "st": 1}
    payload = {
        "net": town.net,
        "from": "ladro",
        "to": "distretto",
        "at": town.clock.now(),
        "hw": "1.1",
        "acks": [ack],
        **changes,
    }
    return forged(town, header, payload).removeprefix(b"Bearer ").decode()


async def test_receipts_that_do_not_hold_are_turned_away(served: Town) -> None:
    now = served.clock.now()
    many = [{"mid": digest(b"%d" % i), "k": "stored", "st": 1} for i in range(51)]
    ack = many[0]
    wrong: tuple[tuple[dict[str, object], str], ...] = (
        ({"acks": many}, "bad-receipt"), ({"acks": []}, "bad-receipt"), ({"acks": [ack, ack]}, "bad-receipt"),
        ({"acks": [{**ack, "k": "lost"}]}, "bad-receipt"), ({"acks": [{**ack, "mid": CANARY}]}, "bad-receipt"),
        ({"acks": [{**ack, "st": -1}]}, "bad-receipt"), ({"acks": [{**ack, "h": 1}]}, "bad-receipt"),
        ({"acks": [{**ack, "k": "rejected"}]}, "bad-receipt"), ({"acks": [{**ack, "prob": "expired"}]}, "bad-receipt"),
        ({"acks": [{**ack, "k": "rejected", "prob": CANARY}]}, "bad-receipt"), ({"hw": "9"}, "bad-receipt"), ({"hw": CANARY}, "bad-receipt"),
        ({"to": "ladro"}, "bad-receipt"), ({"at": -1}, "bad-receipt"), ({"at": now + CLOCK_AHEAD_MAX + 1}, "from-the-future"),
        ({"net": "A" * 43}, "wrong-network"), ({"to": "montelabbate"}, "wrong-recipient"), ({"from": "distretto"}, "unknown-key"),
        ({"from": CANARY}, "damaged"), ({"at": "x"}, "damaged"), ({CANARY: 1}, "damaged"), ({"acks": [{**ack, "x": 1}]}, "damaged"),
    )  # fmt: skip
    for change, code in wrong:
        codes = {code} | ({"wrong-recipient"} if code == "bad-receipt" else set())
        await turned(served, {"r": raw_receipt(served, **change)}, f"receipt {change}"[:60], *codes)
    await turned(served, {"r": receipt(served, key=served.straniero.key)}, "stranger's", "unknown-key")
    await turned(served, {"r": served.envelope(n=17).e}, "an envelope's routing", "damaged")


async def test_a_receipt_of_another_is_not_taken_from_this_caller(served: Town) -> None:
    other = receipt(served, served.vecchia)
    for server, target in places(served)[1:]:
        answer = await post(served, server, target, [{"r": other}], "of another")
        assert json.loads(answer.body)["later"][0]["code"] == "forbidden"


async def test_a_receipt_for_messages_never_sent_changes_no_referral(served: Town) -> None:
    server, target = places(served)[0]
    before = server.watched.tables()
    answer = await post(served, server, target, [{"r": receipt(served)}], "never sent")
    assert answer.status == 200
    after = server.watched.tables()
    # Its `hw` says that we forgot something: that member is asked, and nothing else happens.
    asked = {"outgoing", "alarm", "resync", "setting", "peer"}
    assert {name for name in after if after[name] != before[name]} <= asked


async def test_what_is_wrong_inside_is_rejected_signed_and_no_case_begins(served: Town) -> None:
    server, target = places(served)[0]
    wrong: tuple[dict[str, object], ...] = (
        {"kind": CANARY}, {"ev": CANARY}, {"offer": None}, {"n": 2}, {"n": 0}, {"n": 2**60}, {"seen": -1}, {"leg": CANARY},
        {"must": [CANARY]}, {"from": "vecchia"}, {"to": "ladro"}, {"net": "A" * 43}, {"jti": "00000000-0000-4000-8000-00000000ffff"},
        {"ev": "void"}, {"x": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}, {"offer": {}}, {"offer": {"referral": CANARY}},
    )  # fmt: skip
    for number, change in enumerate(wrong, 100):
        cases = server.watched.tables()["leg"]
        sealed = served.envelope(n=number, body=change)
        answer = json.loads((await post(served, server, target, [item(sealed)], f"inside {change}")).body)
        assert len(answer["receipts"]) == 1 and not answer["later"], (change, answer)
        ack = json.loads(b64u_decode(answer["receipts"][0].split(".")[1]))["acks"][0]
        assert ack["k"] == "rejected", (change, ack)
        served.count(ack["prob"])
        assert server.watched.tables()["leg"] == cases, change


async def test_what_is_wrong_outside_but_signed_is_rejected_for_ever(served: Town) -> None:
    server, target = places(served)[0]
    now = served.clock.now()
    sealed = served.envelope(n=130)
    for number, (change, code) in enumerate(
        (
            ({"v": 2}, "unsupported-version"),
            ({"exp": now + LIFETIME_MAX + 10}, "bad-lifetime"),
            ({"exp": now}, "bad-lifetime"),
        )
    ):
        unique = {"jti": f"00000000-0000-4000-8000-0000000001{number:02x}", "ch": f"1.{200 + number}"}
        answer = json.loads(
            (await post(served, server, target, [rewritten(served, sealed, **unique, **change)], code)).body
        )
        ack = json.loads(b64u_decode(answer["receipts"][0].split(".")[1]))["acks"][0]
        assert (ack["k"], ack["prob"]) == ("rejected", code)


async def test_one_jti_for_two_contents_is_a_reuse_and_a_replay_is_the_same_receipt(served: Town) -> None:
    server, target = places(served)[0]
    first, second = served.envelope(n=140), served.envelope(n=140, body={"seen": 0, "x": 1}, ch=Channel(1, 141))
    once = await post(served, server, target, [item(first)], "first")
    legs = server.watched.tables()["leg"]
    again = await post(served, server, target, [item(first)], "replay")
    assert again.body == once.body and server.watched.tables()["leg"] == legs
    reused = json.loads((await post(served, server, target, [item(second)], "reuse")).body)
    ack = json.loads(b64u_decode(reused["receipts"][0].split(".")[1]))["acks"][0]
    assert (ack["k"], ack["prob"]) == ("rejected", "jti-reuse")
    assert server.watched.tables()["leg"] == legs


async def test_one_poisoned_item_spoils_no_other_of_its_batch(served: Town) -> None:
    server, target = places(served)[0]
    good, bad = served.envelope(n=150), {"e": CANARY, "s": CANARY}
    answer = json.loads((await post(served, server, target, [bad, item(good), bad, {"r": "x"}], "mixed")).body)
    assert [later["i"] for later in answer["later"]] == [0, 2, 3]
    assert len(answer["receipts"]) == 1


async def test_who_is_suspended_or_no_member_sends_nothing(served: Town) -> None:
    server, target = places(served)[0]
    sealed = served.envelope(who=served.sospeso, n=160)
    answer = json.loads((await post(served, server, target, [item(sealed)], "suspended", served.sospeso)).body)
    assert answer["later"][0]["code"] == "suspended" and not answer["receipts"]
    for relay, box in places(served)[1:]:
        assert (await post(served, relay, box, [item(sealed)], "suspended", served.sospeso)).code == "suspended"
    stranger = served.envelope(who=served.straniero, n=161)
    for relay, box in places(served):
        assert (
            await post(served, relay, box, [item(stranger)], "stranger", served.straniero)
        ).code == "unauthenticated"


async def test_a_mailbox_for_nobody_here_is_refused(served: Town) -> None:
    for server in (served.servers["registry"], served.servers["distretto"]):
        for owner, code in (("sospeso", "suspended"), ("nessuno", "not-a-member"), ("bacheca", "not-a-member")):
            answer = await post(served, server, paths.mailbox(owner).encode(), [], owner)
            assert answer.code == code, (owner, answer)
    answer = await post(served, served.servers["distretto"], paths.mailbox("ladro").encode(), [], "another relay's")
    assert answer.code == "no-mailbox-here"


async def test_an_acknowledgement_deletes_only_ones_own_post(served: Town) -> None:
    server = served.servers["registry"]
    sealed = served.envelope(n=170)
    await post(served, server, paths.mailbox("distretto").encode(), [item(sealed)], "post")
    rows = server.watched.tables()["post"]
    mine = receipt(served, acks=[Ack(sealed.mid, "processed", served.clock.now())])
    ack = Request(
        "ack",
        "POST",
        paths.mailbox_ack("ladro").encode(),
        body=json.dumps({"receipts": [mine], "seen": ["1", "2", "999999999999999", CANARY, "-1", "٣"]}).encode(),
    )
    assert (await server.judged(served.signed(server, ack))).status == 200
    held = server.watched.db.execute("SELECT COUNT(*) FROM post WHERE mid = ?", (sealed.mid,)).fetchone()[0]
    assert held == 1 and server.watched.tables()["post"][0] >= rows[0]
    foreign = receipt(served, served.vecchia, to="ladro")
    for receipts in ([foreign], [CANARY], [sealed.e], [raw_receipt(served, acks=[])]):
        bad = ack._replace(body=json.dumps({"receipts": receipts}).encode())
        await server.refuses(
            served.signed(server, bad), "forbidden", "bad-shape", "bad-header", "bad-receipt", "wrong-recipient"
        )
    for mids in ([sealed.mid], [CANARY], ["A" * 43] * 1000):
        take = Request(
            "takeback", "POST", paths.mailbox_takeback("distretto").encode(), body=json.dumps({"mids": mids}).encode()
        )
        answer = await server.judged(served.signed(server, take, who=served.vecchia))
        assert json.loads(answer.body) == {"mids": []}


async def test_a_full_mailbox_says_so_and_takes_no_more(served: Town) -> None:
    from protocol.limits import PAIR_ITEMS

    server, target = served.servers["registry"], paths.mailbox("montelabbate").encode()
    held = 0
    for start in range(300, 300 + PAIR_ITEMS + 50, 50):
        batch = [item(served.envelope(to="montelabbate", n=start + i)) for i in range(50)]
        answer = json.loads((await post(served, server, target, batch, "flood")).body)
        held += len(answer["held"])
    assert held == PAIR_ITEMS
    assert {later["code"] for later in answer["later"]} == {"mailbox-full"}
    served.count("mailbox-full")
