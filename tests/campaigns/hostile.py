"""A hostile peer for as long as you like: seeded calls to a registry and two nodes, each answer judged. A long run.

python -m tests.campaigns.hostile --cases 20000 --seed 1     prints figures as JSON; exit 1 when something did not hold
What has to hold is in tests.hostile.town (`judged`): below 500, a typed problem, in time, no trace, nothing echoed.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from msgspec import inspect

from protocol import paths
from protocol.strict import b64u_decode, digest
from tests.hostile import cases, test_local
from tests.hostile.requests_of import SHAPES, sample
from tests.hostile.test_catalogues import post_of, post_raw
from tests.hostile.test_items import item, places, rewritten
from tests.hostile.test_tokens import calls, forged, payload
from tests.hostile.town import CANARY, Server, Town, town
from tests.hostile.wire import Request
from tests.registry.world import line

NASTY = (
    b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"{", b"[", b'"', b"\\u0000", b"\\ud800", b"1e999", b"NaN", b"9" * 400, b"null", b"-",
    b"\r\n", b"\r\n\r\n", b"%00", b"..%2f", CANARY.encode(), b"\xe2\x80\xae", b",", b":", b"]" * 40, b"[" * 40, b"true",
)  # fmt: skip
Attack = Callable[["Campaign"], Awaitable[None]]


def spoil(dice: random.Random, raw: bytes, at: int, to: int) -> bytes:
    """Inserted, cut out, one bit turned, cut off, repeated, replaced."""
    nasty, bit = dice.choice(NASTY), raw[at : at + 1]
    return dice.choice(
        (
            raw[:at] + nasty + raw[at:],
            raw[:at] + raw[min(to, at + 20) :],
            raw[:at] + bytes(b ^ (1 << dice.randrange(8)) for b in bit) + raw[at + 1 :],
            raw[:at],
            raw[:to] + raw[at:to][:500] + raw[to:],
            raw[:at] + nasty + raw[to:],
        )
    )


class Campaign:
    """One town, one seed. `violations`: what did not hold, with the call that shows it."""

    def __init__(self, made: Town, seed: int) -> None:
        self.town, self.dice = made, random.Random(seed)
        self.violations: list[str] = []
        self.families: Counter[str] = Counter()
        self.samples = {path: sample(made, path) for path in SHAPES}
        self.calls = calls(made)
        self.n = 10_000

    async def one(self) -> None:
        attack = self.dice.choice(ATTACKS)
        self.families[attack.__name__] += 1
        try:
            await attack(self)
        except (AssertionError, TimeoutError) as wrong:
            self.violations.append(f"{attack.__name__}: {str(wrong) or type(wrong).__name__}"[:600])

    def server(self) -> Server:
        return self.dice.choice(self.town.public)

    def mutated(self, raw: bytes, most: int = 4) -> bytes:
        for _ in range(self.dice.randint(1, most)):
            at, to = sorted(self.dice.randrange(len(raw) + 1) for _ in range(2))
            raw = spoil(self.dice, raw, at, to) or b"x"
        return raw

    def nested(self, value: object) -> object:
        """`value` with one thing somewhere inside it replaced."""
        made = json.loads(json.dumps(value))
        spots: list[tuple[object, object]] = []

        def walk(node: object) -> None:
            pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
            for key, inner in pairs:
                spots.append((node, key))
                walk(inner)

        walk(made)
        if spots:
            node, key = self.dice.choice(spots)
            node[key] = self.dice.choice(cases.WRONG)
        return made

    async def sent(self, server: Server, request: Request, *, signed: bool | None = None, **how: bool) -> None:
        signed = self.dice.random() < 0.7 if signed is None else signed
        await server.judged(self.town.signed(server, request) if signed else request, **how)

    def posting(self) -> tuple[Server, str]:
        server = self.server()
        return server, self.dice.choice([path for method, path in server.routes if method == "POST"])


async def bodies(run: Campaign) -> None:
    server, path = run.posting()
    raw = run.mutated(cases.encoded(run.samples[path]))
    await run.sent(server, Request("body", "POST", cases.filled(path, b"ladro"), body=raw))


async def values(run: Campaign) -> None:
    server, path = run.posting()
    raw = cases.encoded(run.nested(run.samples[path]))
    await run.sent(server, Request("value", "POST", cases.filled(path, b"ladro"), body=raw))


async def fields(run: Campaign) -> None:
    server, path = run.posting()
    kind = inspect.type_info(SHAPES[path])
    spots = [at for at in cases.fields_of(kind) if isinstance(at[-1], str)]
    raw = cases.encoded(cases.put(run.samples[path], kind, run.dice.choice(spots), run.dice.choice(cases.WRONG)))
    await run.sent(server, Request("field", "POST", cases.filled(path, b"ladro"), body=raw))


async def targets(run: Campaign) -> None:
    server = run.server()
    method, path = run.dice.choice(server.routes)
    target = cases.filled(path, run.dice.choice((b"ladro", *cases.SEGMENTS)))
    for _ in range(run.dice.randrange(3)):
        name = run.dice.choice((b"after", b"have", b"max", b"q", b"at", b"point", b"near", b"limit", b"offset", b"x"))
        target += (b"&" if b"?" in target else b"?") + name + b"=" + run.dice.choice(cases.NUMBERS)
    request = Request("target", method, target, body=b"{}" if method == "POST" else None)
    await run.sent(server, request, may_drop=b"\r" in target)


async def http(run: Campaign) -> None:
    server = run.dice.choice(list(run.town.servers.values()))
    method, path = run.dice.choice(server.routes)
    good = Request("http", method, cases.filled(path, b"ladro"), body=b"{}" if method == "POST" else None)
    raw = run.mutated(good.encode(server.port), 3)
    await server.judged(good._replace(raw=raw, half=True), may_drop=True)


async def tokens(run: Campaign) -> None:
    server, request = run.dice.choice(run.calls)
    header = {"alg": "Ed25519", "kid": run.town.ladro.key.kid, "typ": "raccordo-req+jwt"}
    claims = payload(run.town, server, request)
    if run.dice.random() < 0.5:
        claims = run.nested(claims)
    else:
        header = run.nested(header)
    text = forged(run.town, header, claims)
    if run.dice.random() < 0.3:
        text = b"Bearer " + run.mutated(text[7:]).replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
    await server.judged(request._replace(headers=((b"Authorization", text),)))


async def envelopes(run: Campaign) -> None:
    server, target = run.dice.choice(places(run.town))
    run.n += 1
    sealed = run.town.envelope(n=run.n)
    routing = json.loads(b64u_decode(sealed.e.split(".")[1]))
    name = run.dice.choice(list(routing))
    wrong = run.dice.choice(cases.WRONG)
    good = item(sealed)
    part = run.dice.choice(("e", "s"))
    made = run.dice.choice((
        lambda: rewritten(run.town, sealed, **{name: wrong if json.dumps(wrong) else 0}),
        lambda: {**good, part: run.mutated(good[part].encode()).decode("latin-1")},
        lambda: run.nested(good),
    ))()  # fmt: skip
    await run.sent(server, Request("envelope", "POST", target, body=cases.encoded({"items": [made]})), signed=True)


async def insides(run: Campaign) -> None:
    """Well sealed, well signed, and wrong inside."""
    run.n += 1
    body = run.nested(INSIDE)
    sealed = run.town.envelope(n=run.n, body=body)
    server, target = places(run.town)[0]
    request = Request(f"inside {body}", "POST", target, body=cases.encoded({"items": [item(sealed)]}))
    await run.sent(server, request, signed=True)


async def catalogues(run: Campaign) -> None:
    record = run.nested(json.loads(line(f"Voce {run.dice.randrange(50)}", node="ladro")))
    text = cases.encoded(record).decode("utf-8", "surrogateescape")
    if run.dice.random() < 0.3:
        text = run.mutated(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")
    post = post_raw(run.town, text) if run.dice.random() < 0.5 or not text.startswith("{") else None
    try:
        post = post or post_of(run.town, [text])
    except (ValueError, TypeError, AttributeError):
        post = post_raw(run.town, text)
    raw = msgspec.json.encode(post)
    board, who = run.town.servers["registry"], run.town.ladro
    for path in (paths.DOCTOR, paths.CATALOGUE):
        request = Request("record", "POST", path.encode(), body=raw)
        answer = await board.judged(run.town.signed(board, request))
    if answer.status == 200 and json.loads(answer.body)["accepted"]:
        who.held["public"] = (who.held["public"][0] + 1, digest(post.publication.encode()))


async def commands(run: Campaign) -> None:
    server = run.dice.choice(test_local.locals_(run.town)[:2])
    name = run.dice.choice(list(test_local.shapes(server)))
    kind = inspect.type_info(test_local.shapes(server)[name])
    value = await test_local.ground(run.town, server, name)
    spots = [at for at in cases.fields_of(kind) if isinstance(at[-1], str)]
    if spots:
        value = cases.put(value, kind, run.dice.choice(spots), run.dice.choice(cases.WRONG))
    raw = cases.encoded(value)
    await test_local.run(run.town, server, name, run.mutated(raw) if run.dice.random() < 0.2 else raw)


INSIDE = {
    "kind": "event", "leg": "00000000-0000-4000-8000-000000000002", "n": 1, "seen": 0, "ev": "offer", "must": [],
    "offer": test_local.offered(),
}  # fmt: skip
ATTACKS: tuple[Attack, ...] = (
    bodies, values, fields, targets, http, tokens, envelopes, insides, catalogues, commands,
)  # fmt: skip


async def campaign(path: Path, *, cases_: int, seed: int) -> dict[str, object]:
    """Figures; `violations` is empty when everything held."""
    async with town(path) as made:
        run = Campaign(made, seed)
        began = time.perf_counter()
        for number in range(cases_):
            await run.one()
            if number % 1000 == 999:
                for server in made.servers.values():
                    await server.alive()
        seconds = time.perf_counter() - began
        echoed = sum(CANARY in text for text in made.logs.lines)
        if echoed:
            run.violations.append(f"{echoed} lines of the log hold what was sent")
        return {
            "cases": cases_, "seed": seed, "seconds": round(seconds, 1), "families": dict(sorted(run.families.items())),
            "codes": dict(sorted(made.codes.items())), "violations": run.violations,
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(campaign(Path(folder), cases_=asked.cases, seed=asked.seed))
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    sys.exit(1 if figures["violations"] else 0)


if __name__ == "__main__":
    main()
