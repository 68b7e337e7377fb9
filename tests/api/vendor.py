"""Another vendor's program: real HTTP calls to a running node, with a token made by its command line."""

import io
import json
import uuid
from contextlib import asynccontextmanager

import aiohttp

from node.api.scopes import SCOPES
from node.runtime import local
from tests.node.test_app import World, ask, offer  # noqa: F401 - handed on

EVERY = sorted(SCOPES)


class Answer:
    """Status, JSON (or None), header names in small letters."""

    def __init__(self, status, raw, headers):
        self.status, self.raw = status, raw
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.json = json.loads(raw) if raw and "json" in self.headers.get("content-type", "") else None

    @property
    def code(self):
        return self.json.get("code") if isinstance(self.json, dict) else None

    def __repr__(self):
        return f"{self.status} {self.raw[:300]!r}"


class Vendor:
    """One application; `operator` goes with every call that does not name another."""

    def __init__(self, session, base, token, operator=None):
        self.session, self.base, self.token, self.operator = session, base, token, operator

    async def __call__(self, method, path, body=None, *, key=None, operator=..., headers=None, raw=None):
        sent = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        operator = self.operator if operator is ... else operator
        if operator is not None:
            sent["Raccordo-Operator"] = operator
        if method != "GET":
            sent["Idempotency-Key"] = key or str(uuid.uuid4())
        data = raw
        if body is not None:
            data = io.BytesIO(json.dumps(body).encode())
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        sent = {name: value for name, value in sent.items() if value is not None}
        async with self.session.request(method, self.base + path, data=data, headers=sent) as answer:
            return Answer(answer.status, await answer.read(), answer.headers)


@asynccontextmanager
async def calling(app, *scopes, name="gestionale", operator="OP", days=30):
    """A vendor with a fresh token of these scopes (all when none is named)."""
    made = await ask(app, "app-add", id=name, scopes=list(scopes or EVERY), days=days)
    async with aiohttp.ClientSession() as session:
        yield Vendor(session, f"http://127.0.0.1:{app.local_port}/local/v1", made["token"], operator)


def announced(app):
    return local.announced(app.body.data_dir)


@asynccontextmanager
async def town(path, *, loopback=True):
    """Two desks in one network, running; an operator of every right at each."""
    world = World(path)
    world.found("tavullia", relays=["distretto"])
    world.found("distretto", direct=True, relay=True)
    world.publish()
    async with world.running("tavullia", "distretto") as apps:
        for app in apps.values():
            await ask(app, "operator-add", code="OP", role="RL-RESP")
        yield world, apps
