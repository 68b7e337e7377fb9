"""A map folded again from nothing: an empty replica that follows the board's log as one member, to compare bytes."""

import http.client
import sqlite3
from pathlib import Path
from typing import Final

from node.body import KEYS_NAME
from node.map import follow
from node.map.ndjson import map_lines
from node.map.tables import SqliteMap, map_migrations
from node.runtime import trust
from node.runtime.caller import signed_headers
from node.runtime.keystore import Keystore
from node.runtime.migrations import migrate
from protocol import paths
from protocol.members import Membership
from protocol.suite import S1

_MOST: Final = 10_000


class Caller:
    """Signed GETs to the board as one member, with that member's own keys (the demo holds everybody's folders)."""

    def __init__(self, data_dir: Path, node: str, port: int, now: int) -> None:
        db = sqlite3.connect(f"file:{data_dir / 'raccordo.db'}?mode=ro", uri=True)
        try:
            net = str(db.execute("SELECT value FROM setting WHERE name = 'net'").fetchone()[0])
            held = trust.load(db, net, S1, now)
        finally:
            db.close()
        assert held is not None and held.membership is not None
        self.membership: Membership = held.membership
        self._key = S1.signing_key(Keystore.load(data_dir / KEYS_NAME).signing_seed()[1])
        self._node, self._port, self._now = node, port, now

    def get(self, target: str) -> bytes:
        """The body of one answer."""
        headers = signed_headers(
            self._key, net=self.membership.net, me=self._node, aud=self.membership.doc.registry.id,
            method="GET", target=target, now=self._now, body=None,
        )  # fmt: skip
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                raise RuntimeError(f"GET {target}: {answer.status} {body[:200]!r}")
            return body
        finally:
            connection.close()


def rebuild(caller: Caller) -> bytes:
    """map.ndjson of the members' map, from the log and the objects alone."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db, [*map_migrations(), *follow.MIGRATIONS])
    membership = caller.membership
    while True:
        ours = follow.held(db)
        page = follow.prepare_page(caller.get(f"{paths.LOG}?after={ours.edge.size}"), ours, membership.root)
        if not page.leaves:
            break
        follow.apply_page(db, page)
    follow.settle(db, membership)
    for _ in range(_MOST):
        wants = list(follow.wanted(db, membership))
        if not wants:
            break
        for want in wants:
            checked = follow.prepare_object(db, want, caller.get(paths.object_(want.hash)), membership)
            follow.accept_object(db, checked, membership)
    follow.settle(db, membership)
    return b"".join(map_lines(SqliteMap(db).entries(), "members"))
