"""Request tokens of every kind that is not ours: on each route that asks for a member, a typed 401 or 403, no trace."""

import json

import pytest

from node.runtime.caller import signed_headers
from protocol import paths
from protocol.limits import TOKEN_LIFETIME, TOKEN_SKEW
from protocol.strict import b64u_encode, digest
from protocol.suite import S1
from tests.hostile.requests_of import sample
from tests.hostile.town import CANARY, Server, Town
from tests.hostile.wire import Request

pytestmark = pytest.mark.asyncio(loop_scope="module")


def calls(town: Town) -> list[tuple[Server, Request]]:
    """One well-formed call for each route that a member's token opens."""
    found = []
    for server in town.public:
        for method, path in server.routes:
            if path in (paths.CATALOGUE, paths.INBOX) or ("mailbox" in path and method != "HEAD"):
                body = json.dumps(sample(town, path)).encode() if method == "POST" else None
                target = path.replace(
                    "{node}", "ladro" if path != paths.MAILBOX_ROUTE or method == "GET" else "distretto"
                )
                found.append((server, Request(path, method, target.encode(), body=body)))
    return found


def bearer(request: Request, text: bytes) -> Request:
    return request._replace(headers=((b"Authorization", text),))


def forged(town: Town, header: dict[str, object] | bytes, payload: dict[str, object], key: object = None) -> bytes:
    """A compact JWS with any header."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    head = f"{b64u_encode(raw)}.{b64u_encode(json.dumps(payload).encode())}"
    key = key or town.ladro.key
    return f"Bearer {head}.{b64u_encode(key.sign(head.encode()))}".encode()


def payload(town: Town, server: Server, request: Request, **changes: object) -> dict[str, object]:
    now = town.clock.now()
    aud = "bacheca" if server.name == "registry" else server.name
    fields = {
        "net": town.net, "iss": "ladro", "aud": aud, "iat": now, "exp": now + 60, "method": request.method,
        "path": request.target.decode(), **({"body": digest(request.body)} if request.body else {}), **changes,
    }  # fmt: skip
    return {name: value for name, value in fields.items() if value != "absent"}


async def test_without_a_token_or_with_rubbish_for_one_nothing_is_let_in(served: Town) -> None:
    canary = CANARY.encode()
    texts = (
        b"", b"Bearer", b"Bearer ", b"bearer " + canary, b"Basic " + canary, b"Bearer ..", b"Bearer a.b", b"Bearer a.b.c",
        b"Bearer a.b.c.d.e", b"Bearer " + b"." * 4000, b"Bearer " + b"A" * 7000, b"Bearer \xff\xfe.\xff.\xff",
        b"Bearer " + canary + b"." + canary + b"." + canary, b"Bearer\t" + canary, b"Digest username=" + canary,
    )  # fmt: skip
    for server, request in calls(served):
        await server.refuses(request, "unauthenticated")
        for text in texts:
            await server.refuses(bearer(request, text)._replace(note=f"{text[:30]!r}"), "unauthenticated")


async def test_a_token_for_anything_else_than_this_call_opens_nothing(served: Town) -> None:
    now = served.clock.now()
    for server, request in calls(served):
        changes: dict[str, dict[str, object]] = {
            "another path": {"target": "/v1/log"},
            "another query": {"target": request.target.decode() + "?max=1"},
            "a host in the path": {"target": "https://bacheca.example" + request.target.decode()},
            "another audience": {"aud": "ladro"},
            "another network": {"net": "A" * 43},
            "another method": {"method": "PUT"},
            "another body": {"body": b'{"items":[]} '},
            "no body": {"body": b"{}" if request.body is None else None},
            "expired": {"now": now - TOKEN_LIFETIME - TOKEN_SKEW - 1},
            "from the future": {"now": now + TOKEN_SKEW + 1},
            "of another member": {"me": "distretto"},
            "of nobody": {"me": "nessuno"},
            "of the registry": {"me": "bacheca"},
            "with a stranger's key": {"key": served.straniero.key},
            "with a revoked key": {"me": "vecchia", "key": served.revoked},
        }
        for note, change in changes.items():
            wrong = served.signed(server, request, **change)
            await server.refuses(wrong._replace(note=f"{request.note} {note}"), "unauthenticated")


async def test_a_token_under_any_other_header_opens_nothing(served: Town) -> None:
    kid, typ = served.ladro.key.kid, "raccordo-req+jwt"
    good = {"alg": "Ed25519", "kid": kid, "typ": typ}
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64u_encode(served.straniero.key.public)}
    headers: dict[str, dict[str, object] | bytes] = {
        "alg none": {**good, "alg": "none"}, "alg HS256": {**good, "alg": "HS256"}, "alg RS256": {**good, "alg": "RS256"},
        "no alg": {"kid": kid, "typ": typ}, "no kid": {"alg": "Ed25519", "typ": typ}, "no typ": {"alg": "Ed25519", "kid": kid},
        "typ JWT": {**good, "typ": "JWT"}, "typ of a message": {**good, "typ": "raccordo-msg+jws"},
        "unknown kid": {**good, "kid": "A" * 43}, "kid a path": {**good, "kid": "../../" + CANARY},
        "crit": {**good, "crit": ["exp"]}, "b64": {**good, "b64": False, "crit": ["b64"]}, "cty": {**good, "cty": "JWT"},
        "jwk": {**good, "jwk": jwk}, "jku": {**good, "jku": "http://127.0.0.1:1/" + CANARY}, "x5u": {**good, "x5u": "http://127.0.0.1:1/"},
        "x5c": {**good, "x5c": ["AAAA"]}, "zip": {**good, "zip": "DEF"}, "numbers": {"alg": 1, "kid": 2, "typ": 3},
        "an array": b"[]", "not JSON": CANARY.encode(), "deep": b"[" * 300, "BOM": b"\xef\xbb\xbf" + json.dumps(good).encode(),
        "twice alg": b'{"alg":"none","alg":"Ed25519","kid":"%s","typ":"%s"}' % (kid.encode(), typ.encode()),
    }  # fmt: skip
    for server, request in calls(served):
        for note, header in headers.items():
            for key in (served.ladro.key, served.straniero.key):
                text = forged(served, header, payload(served, server, request), key)
                await server.refuses(bearer(request, text)._replace(note=note), "unauthenticated")


async def test_a_token_with_a_wrong_payload_opens_nothing(served: Town) -> None:
    header = {"alg": "Ed25519", "kid": served.ladro.key.kid, "typ": "raccordo-req+jwt"}
    now = served.clock.now()
    wrong: tuple[dict[str, object], ...] = (
        {"exp": now + 10_000}, {"exp": now}, {"iat": now + 60, "exp": now}, {"iat": -1, "exp": 1}, {"exp": 2**53 - 1, "iat": 2**53 - 100},
        {"exp": "absent"}, {"iat": "absent"}, {"net": "absent"}, {"aud": "absent"}, {"iss": "absent"}, {"path": "absent"},
        {"method": "absent"}, {"iss": CANARY}, {"iss": "../x"}, {"iss": None}, {"aud": ["bacheca", "distretto"]}, {"exp": "1"},
        {"exp": 1e20}, {"exp": 2**60}, {"admin": True}, {"nbf": 0}, {"body": CANARY}, {"body": None}, {"path": [CANARY]},
    )  # fmt: skip
    for server, request in calls(served):
        for change in wrong:
            text = forged(served, header, payload(served, server, request, **change))
            await server.refuses(bearer(request, text)._replace(note=f"{request.note} {change}"), "unauthenticated")


async def test_every_bit_of_a_token_counts(served: Town) -> None:
    server, request = calls(served)[0]
    good = served.signed(server, request).headers[0][1]
    for at in range(7, len(good), 3):
        flipped = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        await server.refuses(bearer(request, flipped)._replace(note=f"bit {at}"), "unauthenticated")


async def test_a_suspended_member_is_told_so_and_gets_nothing(served: Town) -> None:
    for server, request in calls(served):
        if request.target == paths.INBOX.encode() or request.note == paths.MAILBOX_TAKEBACK_ROUTE:
            continue
        own = request.target.replace(b"ladro", b"sospeso")
        call = served.signed(server, request._replace(target=own), who=served.sospeso)
        answer = await server.judged(call)
        if request.note in (paths.CATALOGUE, paths.MAILBOX_ROUTE) and request.method == "POST":
            assert answer.code == "suspended", (request.note, answer)


async def test_nobody_reads_or_empties_the_mailbox_of_another(served: Town) -> None:
    for server, request in calls(served):
        if "mailbox" in request.note and request.note != paths.MAILBOX_TAKEBACK_ROUTE:
            if request.note == paths.MAILBOX_ROUTE and request.method == "POST":
                continue
            other = request._replace(target=request.target.replace(b"ladro", b"distretto"))
            await server.refuses(served.signed(server, other), "forbidden")


async def test_a_replayed_call_changes_nothing_the_second_time(served: Town) -> None:
    for server, request in calls(served):
        call = served.signed(server, request)
        await server.judged(call)
        before = server.watched.tables()
        again = await server.judged(call)
        assert again.status < 400 or again.code not in ("internal",), again
        assert server.watched.tables() == before or request.note in (paths.MAILBOX_ROUTE,), request.note


async def test_a_member_of_another_network_has_no_key_here(served: Town) -> None:
    key = S1.signing_key(bytes(31) + b"\x07")
    for server, request in calls(served):
        headers = signed_headers(
            key, net=served.net, me="ladro", aud="bacheca" if server.name == "registry" else server.name,
            method=request.method, target=request.target.decode(), now=served.clock.now(), body=request.body,
        )  # fmt: skip
        await server.refuses(bearer(request, headers["Authorization"].encode()), "unauthenticated")
