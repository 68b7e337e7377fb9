"""Webhooks: where an application is told that there is news, what is due, what became of it. Pointers only; no sending.

News go in order, one at a time; what is not taken is tried again for three days, then the webhook is disabled and
people are told. Signed as Standard Webhooks does: HMAC-SHA-256 over id, time and body.
"""

import hmac
import sqlite3
from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec import Struct

from node import requests as plain
from node.api import feed
from node.api import requests as ask
from node.exchange.outbox import raise_alarm
from node.runtime.addresses import is_loopback, is_numeric, may_connect, target
from node.runtime.apps import Locker
from protocol.errors import ProtocolError
from protocol.limits import DAY, HOUR

if TYPE_CHECKING:
    from node.body import Body

MOST: Final = 5  # of one application
GIVE_UP: Final = 3 * DAY
PACE: Final = (5, 30, 120, 600, 1800, HOUR, 3 * HOUR, 6 * HOUR)  # seconds before each further try; then the last
SECRET: Final = "whsec_"  # noqa: S105 - how a secret begins
DISABLED: Final = "webhook-disabled"
TEST: Final = "test"


class Webhook(Struct, frozen=True, kw_only=True):
    """One as listed: up to which number it was told; since when it does not answer; when and why it was disabled."""

    id: str
    url: str
    kinds: list[str]
    added: int
    sent: int
    failing_since: int | None
    disabled: int | None
    why: str | None


class Made(Struct, frozen=True):
    """A new one, with the secret its messages are signed with, which is not shown again."""

    webhook: Webhook
    secret: str


class Due(NamedTuple):
    """One message to send now: `event` None when the test is meant."""

    id: str
    url: str
    secret: bytes
    event: feed.Event | None


class Message(NamedTuple):
    """As it goes out."""

    url: str
    headers: dict[str, str]
    body: bytes


_COLUMNS: Final = "id, url, kinds, added, sent, failing_since, disabled, why"


def locker(body: "Body") -> Locker:
    """Seals and marks with keys of this body."""
    return Locker(body.ctx.keystore.vault_key(), body.dice.bytes)


# -- the application's side


def listing(db: sqlite3.Connection, _: "Body", request: ask.Who) -> list[Webhook]:
    """Those of one application."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM webhook WHERE app = ? ORDER BY added, id", (request.app,))  # noqa: S608
    return [_webhook(*row) for row in rows]


def _webhook(
    id_: str, url: str, kinds: str, added: int, sent: int, since: int | None, disabled: int | None, why: str | None
) -> Webhook:
    return Webhook(
        id=id_, url=url, kinds=kinds.split(), added=added, sent=sent, failing_since=since, disabled=disabled, why=why
    )


def add(tx: sqlite3.Connection, body: "Body", request: ask.WebhookAdd) -> Made:
    """Told from now on. Raises webhook-address, unknown-code (kinds), bad-shape (too many)."""
    check_address(request.url, loopback_ok=body.config.http.allow_plain_http_loopback)
    if wrong := set(request.kinds) - set(feed.KINDS):
        raise ProtocolError("unknown-code", field="kinds", expected=" ".join(feed.KINDS), got=" ".join(sorted(wrong)))
    if len(listing(tx, body, ask.Who(app=request.app))) >= MOST:
        raise ProtocolError("bad-shape", field="webhooks", expected=f"at most {MOST}")
    id_, secret, now = body.dice.uuid4(), body.dice.bytes(32), body.clock.now()
    sealed = locker(body).seal(_place(id_), secret)
    kinds = " ".join(sorted(set(request.kinds)))
    tx.execute(
        "INSERT INTO webhook (id, app, url, secret, kinds, added, sent) VALUES (?,?,?,?,?,?,?)",
        (id_, request.app, request.url, sealed, kinds, now, feed.edges(tx)[1]),
    )
    made = next(one for one in listing(tx, body, ask.Who(app=request.app)) if one.id == id_)
    return Made(made, SECRET + b64encode(secret).decode())


def remove(tx: sqlite3.Connection, _: "Body", request: ask.Webhook) -> plain.Nothing:
    """Raises not-found, also for another application's."""
    if tx.execute("DELETE FROM webhook WHERE id = ? AND app = ?", (request.id, request.app)).rowcount == 0:
        raise ProtocolError("not-found", field="id")
    return plain.Nothing()


def forget(tx: sqlite3.Connection, app: str) -> None:
    """With the application."""
    tx.execute("DELETE FROM webhook WHERE app = ?", (app,))


def check_address(url: str, *, loopback_ok: bool) -> None:
    """What can be said of a URL without asking anybody. Raises webhook-address."""
    try:
        to = target(url)
    except ProtocolError:
        raise ProtocolError("webhook-address", field="url", expected="https://host/path") from None
    plain_ok = loopback_ok and is_loopback(to.host)
    if to.scheme != "https" and not plain_ok:
        raise ProtocolError("webhook-address", field="url", expected="https")
    if (is_numeric(to.host) and not may_connect(to.host, loopback_ok)) or (is_loopback(to.host) and not loopback_ok):
        raise ProtocolError("webhook-address", field="url")


# -- the sender's side


def due(db: sqlite3.Connection, body: "Body") -> tuple[list[Due], int | None]:
    """What to send now, one message for each webhook, and when to look again for what waits its turn."""
    now, found, later = body.clock.now(), [], None
    rows = db.execute(
        "SELECT webhook.id, url, secret, kinds, sent, next_at FROM webhook JOIN app ON app.id = webhook.app"
        " WHERE disabled IS NULL AND revoked IS NULL AND expires > ?",
        (now,),
    ).fetchall()
    for id_, url, sealed, kinds, sent, next_at in rows:
        event = _next(db, sent, kinds.split())
        if event is None:
            continue
        if next_at > now:
            later = min(later or next_at, next_at)
        else:
            found.append(Due(id_, url, locker(body).open(_place(id_), sealed), event))
    return found, later


def _next(db: sqlite3.Connection, sent: int, kinds: list[str]) -> feed.Event | None:
    wanted = f" AND kind IN ({','.join('?' * len(kinds))})" if kinds else ""
    row = db.execute(
        f"SELECT n, at, kind, leg FROM feed WHERE n > ?{wanted} ORDER BY n LIMIT 1",  # noqa: S608 - question marks
        (sent, *kinds),
    ).fetchone()
    return feed.Event(*row) if row else None


def one(db: sqlite3.Connection, body: "Body", request: ask.Webhook) -> Due:
    """The test message of one. Raises not-found."""
    row = db.execute("SELECT url, secret FROM webhook WHERE id = ? AND app = ?", (request.id, request.app)).fetchone()
    if row is None:
        raise ProtocolError("not-found", field="id")
    return Due(request.id, row[0], locker(body).open(_place(request.id), row[1]), None)


def message(due_: Due, now: int) -> Message:
    """The same id at every try, so that who was told twice can see it."""
    event = due_.event or feed.Event(0, now, TEST)
    data: dict[str, object] = {"n": event.n}
    if event.leg is not None:
        data["leg"] = event.leg
    at = datetime.fromtimestamp(event.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = msgspec.json.encode({"type": event.kind, "timestamp": at, "data": data})
    id_ = f"msg_{due_.id}_{event.n}"
    headers = {
        "Content-Type": "application/json",
        "webhook-id": id_,
        "webhook-timestamp": str(now),
        "webhook-signature": signature(due_.secret, id_, now, body),
    }
    return Message(due_.url, headers, body)


def signature(secret: bytes, id_: str, at: int, body: bytes) -> str:
    """The header `webhook-signature`."""
    signed = hmac.digest(secret, f"{id_}.{at}.".encode() + body, "sha256")
    return "v1," + b64encode(signed).decode()


def told(tx: sqlite3.Connection, due_: Due) -> None:
    """It was taken: the next one at once."""
    assert due_.event is not None
    tx.execute(
        "UPDATE webhook SET sent = ?, tries = 0, failing_since = NULL, next_at = 0, why = NULL"
        " WHERE id = ? AND sent < ?",
        (due_.event.n, due_.id, due_.event.n),
    )


def failed(tx: sqlite3.Connection, body: "Body", due_: Due, problem: ProtocolError, *, gone: bool) -> bool:
    """Again later, or never: after three days, or when the other side says that it is gone. True when disabled."""
    assert due_.event is not None
    row = tx.execute(
        "SELECT tries, failing_since FROM webhook WHERE id = ? AND sent < ?", (due_.id, due_.event.n)
    ).fetchone()
    if row is None:
        return False
    now, tries = body.clock.now(), row[0] + 1
    since = now if row[1] is None else row[1]
    wait = int(PACE[min(tries, len(PACE)) - 1] * body.dice.uniform(0.75, 1.25))
    over = gone or now - since >= GIVE_UP
    tx.execute(
        "UPDATE webhook SET tries = ?, failing_since = ?, next_at = ?, why = ?, disabled = ? WHERE id = ?",
        (tries, since, now + wait, problem.code, now if over else None, due_.id),
    )
    if over:
        raise_alarm(tx, now, DISABLED, None, None, None)
    return over


def _place(id_: str) -> bytes:
    return b"webhook|" + id_.encode()
