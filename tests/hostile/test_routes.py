"""Every route of every listener against bytes, methods, queries, paths and fields that no honest peer would send."""

import gzip

import pytest

from protocol import paths
from tests.hostile import cases
from tests.hostile.requests_of import SHAPES, sample
from tests.hostile.town import CANARY, Server, Town
from tests.hostile.wire import Request

SOMEBODY = b"ladro"
pytestmark = pytest.mark.asyncio(loop_scope="module")

READ_ONLY = {paths.DOCTOR}  # answers 200 with faults, stores nothing


def target_of(path: str) -> bytes:
    return cases.filled(path, SOMEBODY)


def posts(server: Server) -> list[str]:
    return [path for method, path in server.routes if method == "POST" and not path.startswith("/local")]


def gets(server: Server) -> list[str]:
    return [path for method, path in server.routes if method == "GET"]


async def test_every_posting_route_has_a_struct_that_is_spoilt_here(served: Town) -> None:
    assert {path for server in served.public for path in posts(server)} == set(SHAPES)


async def test_methods_a_route_does_not_have_are_refused(served: Town) -> None:
    for server in served.servers.values():
        paths_ = {path for _, path in server.routes}
        for path in sorted(paths_):
            mine = {method for method, other in server.routes if other == path}
            for method in cases.METHODS:
                if method not in mine:
                    codes = ("method-not-allowed", "bad-request")
                    await server.refuses(Request(f"{method}", method, target_of(path)), *codes)


async def test_bodies_that_are_no_request_are_refused_with_and_without_a_members_token(served: Town) -> None:
    for server in served.public:
        for path in posts(server):
            for note, body in cases.BODIES.items():
                bare = Request(note, "POST", target_of(path), body=body)
                for request in (bare, served.signed(server, bare)):
                    answer = await server.judged(request)
                    if path in READ_ONLY:
                        assert answer.status == 200 and answer.body.count(b'"code"') == 1, (note, answer)
                    else:
                        assert answer.status >= 400, (path, note, answer)
                        assert answer.code in {*cases.READING, "unauthenticated", "too-large"}, (path, note, answer)


async def test_every_field_of_every_request_refuses_what_does_not_belong_there(served: Town) -> None:
    for server in served.public:
        for path in posts(server):
            for spoilt in cases.spoilt(SHAPES[path], sample(served, path)):
                await a_spoilt_field(served, server, path, spoilt)


async def a_spoilt_field(town: Town, server: Server, path: str, spoilt: cases.Spoilt) -> None:
    request = Request(f"{path} {spoilt.note}", "POST", target_of(path), body=cases.encoded(spoilt.value))
    bare = await server.judged(request)
    if path not in (paths.JOIN, paths.STATEMENT, paths.DOCTOR):
        assert bare.code == "unauthenticated", (path, spoilt.note)
    await server.judged(town.signed(server, request))


async def test_too_much_compressed_or_broken_off_is_refused_before_it_is_read(served: Town) -> None:
    zipped = gzip.compress(bytes(1 << 20))
    huge = {b"Content-Length": b"%d" % (64 << 20)}
    for server in served.public:
        for path in posts(server):
            target = target_of(path)
            for coding in (b"gzip", b"deflate", b"br", b"zstd", b"x-" + CANARY.encode(), b"identity, gzip"):
                request = Request("coding", "POST", target, ((b"Content-Encoding", coding),), zipped)
                await server.refuses(served.signed(server, request), "content-encoding")
            announced = Request("announced", "POST", target, tuple(huge.items()), b"", half=True)
            await server.refuses(served.signed(server, announced), "too-large", may_drop=True)
            cut = Request("cut", "POST", target, ((b"Content-Length", b"100"),), b"{", half=True)
            await server.refuses(served.signed(server, cut), "damaged", may_drop=True)


async def test_a_body_above_the_limit_is_refused_chunked_or_not(served: Town) -> None:
    for server in served.public:
        for path in posts(server):
            size = limit_of(served, server, path) + 1
            target, body = target_of(path), bytes(size)
            plain = Request("above the limit", "POST", target, body=body)
            await server.refuses(served.signed(server, plain), "too-large", may_drop=True)
            chunks = b"%x\r\n" % size + body + b"\r\n0\r\n\r\n"
            chunked = Request("chunked", "POST", target, ((b"Transfer-Encoding", b"chunked"),), chunks)
            signed = served.signed(server, plain._replace(headers=chunked.headers))
            await server.refuses(signed._replace(body=chunks), "too-large", may_drop=True)


def limit_of(town: Town, server: Server, path: str) -> int:
    """From the application's own list of routes."""
    from node.mailbox.handlers import _ACK_BYTES
    from protocol.limits import BATCH_BYTES
    from registry.app import rows

    limits = {row.path: row.max_body for row in rows(None) if row.method == "POST"}
    ours = {paths.INBOX: BATCH_BYTES, paths.MAILBOX_ROUTE: BATCH_BYTES, paths.MAILBOX_ACK_ROUTE: _ACK_BYTES}
    return (limits | ours | {paths.MAILBOX_TAKEBACK_ROUTE: 64 * 1024})[path]


@pytest.mark.parametrize("name", ["after", "have", "wait", "max"])
async def test_query_numbers_are_whole_small_and_once(served: Town, name: str) -> None:
    for server in served.public:
        for path in gets(server):
            for value in cases.NUMBERS:
                query = name.encode() + b"=" + value
                await queried(served, server, path, query)
            await queried(served, server, path, b"%s=0&%s=0" % (name.encode(), name.encode()))


async def queried(town: Town, server: Server, path: str, query: bytes) -> None:
    request = Request(f"?{query[:40]!r}", "GET", target_of(path) + b"?" + query)
    bare = await server.judged(request)
    assert bare.status < 400 or bare.code in {"bad-shape", "bad-request", "unauthenticated", "not-found"}, (path, query)
    await server.judged(town.signed(server, request))


async def test_a_search_of_rubbish_finds_nothing_and_breaks_nothing(served: Town) -> None:
    from node.map.query import Query

    server = served.servers["registry"]
    values = (
        *cases.NUMBERS, b"1", b"99999999999", b"-99999999999999", b"253402300800", b"inf", b"1,2", b"nan,nan", b"inf,inf",
        b"91,181", b"1,2,3", b"%22", b"a" * 6000, b"%e2%80%ae", b"true", b"near", b"041044", b"NA-CASA", b",",
    )  # fmt: skip
    for name in (*Query.__struct_fields__, "q", CANARY):
        for value in values:
            target = paths.SEARCH.encode() + b"?q=centro&%s=%s" % (name.encode(), value)
            answer = await server.judged(Request(f"search {name} {value[:20]!r}", "GET", target), quiet=True)
            assert answer.status == 200 or answer.code in {"bad-shape", "bad-request", "unknown-code"}, (name, value)


async def test_paths_lead_nowhere_else(served: Town) -> None:
    for server in served.servers.values():
        for method, path in server.routes:
            if "{" not in path or method == "HEAD":
                continue
            for segment in cases.SEGMENTS:
                request = Request(f"{path} {segment[:30]!r}", method, cases.filled(path, segment), body=b"{}")
                await server.refuses(request)
                if not path.startswith("/local"):
                    await server.judged(served.signed(server, request._replace(body=None)))


async def test_bytes_that_are_hardly_http_end_their_own_connection_and_nothing_else(served: Town) -> None:
    for server in served.servers.values():
        for method, path in (("GET", paths.HEALTH), server.routes[-1]):
            for request in cases.shapes(method, target_of(path), b"127.0.0.1"):
                await server.judged(request, may_drop=True)
        await server.alive()


async def test_two_authorizations_are_none(served: Town) -> None:
    for server in served.public:
        for method, path in server.routes:
            if method == "HEAD":
                continue
            request = Request("twice", method, target_of(path), body=b"{}" if method == "POST" else None)
            once = served.signed(server, request)
            await server.judged(once._replace(headers=once.headers * 2, note="the same token twice"))
            other = (b"Authorization", b"Basic " + CANARY.encode())
            await server.judged(once._replace(headers=(*once.headers, other)))
            await server.judged(once._replace(headers=(other, *once.headers)))
