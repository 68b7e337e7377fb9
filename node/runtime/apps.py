"""Applications that call an API: their tokens, what each may do, the answers they were given. No HTTP, no endpoints.

A token is shown once and kept as its SHA-256 only. An answer is kept for a day and more, sealed, under the key the
caller chose for its request; of key and request only a keyed mark is kept, because both may say something of a person.
"""

import hashlib
import hmac
import sqlite3
from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from node.runtime.migrations import script
from protocol.errors import ProtocolError
from protocol.limits import DAY, HOUR
from protocol.strict import b64u_encode

MIGRATIONS: Final = (
    script(
        "apps_001_tables",
        """
-- One application: `token` is the SHA-256 of what it presents, `scopes` words of a closed table. A name is used once.
CREATE TABLE app (
  id TEXT PRIMARY KEY, token BLOB NOT NULL UNIQUE, scopes TEXT NOT NULL, added INTEGER NOT NULL,
  expires INTEGER NOT NULL, revoked INTEGER
) STRICT, WITHOUT ROWID;

-- What was answered to a request with a key: `key` and `asked` are keyed marks, `answer` is sealed.
CREATE TABLE app_answer (
  app TEXT NOT NULL, key BLOB NOT NULL, asked BLOB NOT NULL, at INTEGER NOT NULL, answer BLOB NOT NULL,
  PRIMARY KEY (app, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX app_answer_age ON app_answer (at);
""",
    ),
)
PREFIX: Final = "rac_"  # so that a token left in a file is found by whoever looks for secrets
TOKEN_CHARS: Final = len(PREFIX) + 43
KEPT: Final = 25 * HOUR  # answers; a caller may repeat a request for a day
KEY_MAX: Final = 128
_NONCE: Final = 12


class App(Struct, frozen=True):
    """One application as it is listed; `state`: active, expired, revoked."""

    id: str
    scopes: list[str]
    added: int
    expires: int
    state: str


class Issued(Struct, frozen=True):
    """A new application and its token, which nobody can show a second time."""

    app: App
    token: str


class Caller(NamedTuple):
    """An application that proved itself."""

    id: str
    scopes: frozenset[str]
    expires: int


# -- tokens


def add(
    tx: sqlite3.Connection,
    id_: str,
    scopes: Collection[str],
    known: Collection[str],
    days: int,
    now: int,
    secret: bytes,
) -> Issued:
    """A new application. `secret`: 32 random bytes. Raises id-taken, also for a revoked one's name; unknown-code."""
    wrong = sorted(set(scopes) - set(known))
    if wrong or not scopes:
        raise ProtocolError("unknown-code", field="scopes", expected=" ".join(known), got=" ".join(wrong))
    if tx.execute("SELECT 1 FROM app WHERE id = ?", (id_,)).fetchone():
        raise ProtocolError("id-taken", field="id")
    token = PREFIX + b64u_encode(secret)
    row = (id_, _hash(token), " ".join(sorted(set(scopes))), now, now + days * DAY)
    tx.execute("INSERT INTO app (id, token, scopes, added, expires) VALUES (?,?,?,?,?)", row)
    return Issued(_app(id_, row[2], now, row[4], None, now), token)


def listing(db: sqlite3.Connection, now: int) -> list[App]:
    """All of them, ended ones too."""
    rows = db.execute("SELECT id, scopes, added, expires, revoked FROM app ORDER BY id")
    return [_app(id_, scopes, added, expires, revoked, now) for id_, scopes, added, expires, revoked in rows]


class Known(Struct, frozen=True):
    """The calling application, as it is known here."""

    id: str
    scopes: list[str]
    expires: int


def known(db: sqlite3.Connection, id_: str) -> Known:
    """Raises not-found."""
    row = db.execute("SELECT id, scopes, expires FROM app WHERE id = ?", (id_,)).fetchone()
    if row is None:
        raise ProtocolError("not-found", field="app")
    return Known(row[0], row[1].split(), row[2])


def revoke(tx: sqlite3.Connection, id_: str, now: int) -> App:
    """From the next call on it is refused; what it was answered is forgotten. Raises not-found."""
    tx.execute("UPDATE app SET revoked = ? WHERE id = ? AND revoked IS NULL", (now, id_))
    tx.execute("DELETE FROM app_answer WHERE app = ?", (id_,))
    for one in listing(tx, now):
        if one.id == id_:
            return one
    raise ProtocolError("not-found", field="app")


def revoke_all(tx: sqlite3.Connection, now: int) -> int:
    """After a restore: the copy may know tokens that were revoked since it was made. Returns how many were active."""
    tx.execute("DELETE FROM app_answer")
    return tx.execute("UPDATE app SET revoked = ? WHERE revoked IS NULL", (now,)).rowcount


def authenticate(db: sqlite3.Connection, token: str, now: int) -> Caller:
    """Raises unauthenticated (nobody's), token-expired, token-revoked."""
    row = db.execute("SELECT id, scopes, expires, revoked FROM app WHERE token = ?", (_hash(token),)).fetchone()
    if row is None:
        raise ProtocolError("unauthenticated", field="authorization")
    id_, scopes, expires, revoked = row
    if revoked is not None:
        raise ProtocolError("token-revoked")
    if expires <= now:
        raise ProtocolError("token-expired")
    return Caller(id_, frozenset(scopes.split()), expires)


def is_active(db: sqlite3.Connection, id_: str, now: int) -> bool:
    """Whether that application may call now."""
    row = db.execute("SELECT 1 FROM app WHERE id = ? AND revoked IS NULL AND expires > ?", (id_, now)).fetchone()
    return row is not None


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _app(id_: str, scopes: str, added: int, expires: int, revoked: int | None, now: int) -> App:
    state = "revoked" if revoked is not None else "expired" if expires <= now else "active"
    return App(id_, scopes.split(), added, expires, state)


# -- secrets and answers at rest


class Locker:
    """Seals what the API keeps, and marks what it only has to recognise; its keys come from the vault key."""

    def __init__(self, vault_key: bytes, random: Callable[[int], bytes]) -> None:
        self._seal = AESGCM(hmac.digest(vault_key, b"raccordo/api/seal/v1", "sha256"))
        self._mark = hmac.digest(vault_key, b"raccordo/api/mark/v1", "sha256")
        self._random = random

    def mark(self, *parts: bytes) -> bytes:
        """The same for the same parts, and telling nothing of them to who has the database alone."""
        return hmac.digest(self._mark, b"".join(len(part).to_bytes(8, "big") + part for part in parts), "sha256")

    def seal(self, place: bytes, plain: bytes) -> bytes:
        """`place` names the row, so that rows cannot be swapped."""
        nonce = self._random(_NONCE)
        return nonce + self._seal.encrypt(nonce, plain, place)

    def open(self, place: bytes, stored: bytes) -> bytes:
        """Raises store-damaged."""
        try:
            return self._seal.decrypt(stored[:_NONCE], stored[_NONCE:], place)
        except InvalidTag:
            raise ProtocolError("store-damaged", field="sealed") from None


class Once:
    """One request that has its effect once, however often it is sent: its application, its key, what it asks."""

    def __init__(self, locker: Locker, app: str, key: str, asked: Mapping[str, bytes], now: int) -> None:
        self._locker = locker
        self._app = app
        self._key = locker.mark(app.encode(), key.encode())
        self._asked = locker.mark(*(part for item in sorted(asked.items()) for part in (item[0].encode(), item[1])))
        self._now = now

    def before(self, db: sqlite3.Connection) -> bytes | None:
        """The answer given before, or None. Raises idempotency-conflict: the key was used for another request."""
        row = db.execute(
            "SELECT asked, answer FROM app_answer WHERE app = ? AND key = ? AND at > ?",
            (self._app, self._key, self._now - KEPT),
        ).fetchone()
        if row is None:
            return None
        if not hmac.compare_digest(row[0], self._asked):
            raise ProtocolError("idempotency-conflict", field="idempotency-key")
        return self._locker.open(self._place(), row[1])

    def keep(self, tx: sqlite3.Connection, answer: bytes) -> None:
        """In the transaction of the effect. Raises idempotency-conflict when the key was used meanwhile."""
        tx.execute("DELETE FROM app_answer WHERE at <= ?", (self._now - KEPT,))
        sealed = self._locker.seal(self._place(), answer)
        row = (self._app, self._key, self._asked, self._now, sealed)
        if not tx.execute("INSERT INTO app_answer VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING", row).rowcount:
            raise ProtocolError("idempotency-conflict", field="idempotency-key")

    def _place(self) -> bytes:
        return b"answer|" + self._app.encode() + b"|" + self._key
