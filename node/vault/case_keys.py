"""Per-case encryption at rest. A case key lies in the database wrapped by the vault key, which lies outside it.

Erasing a case is deleting its wrapped key (DESIGN §9). Stored form: nonce (12) ‖ AES-256-GCM ciphertext and tag.
"""

import sqlite3
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.runtime.migrations import Migration
from protocol.errors import ProtocolError

NONCE = 12
_WRAP = b"raccordo/case-key/v1\0"


def _create(tx: sqlite3.Connection) -> None:
    tx.execute("CREATE TABLE case_key (case_id TEXT PRIMARY KEY, wrapped BLOB NOT NULL) WITHOUT ROWID")


MIGRATIONS = (Migration("vault_001_case_key", _create),)


class CaseKeys:
    """Wraps and unwraps case keys with the vault key; `random_bytes` is the dice."""

    def __init__(self, vault_key: bytes, random_bytes: Callable[[int], bytes]) -> None:
        self._wrap = AESGCM(vault_key)
        self._random = random_bytes

    def obtain(self, tx: sqlite3.Connection, case_id: str) -> AESGCM:
        """The key of a case, made now if the case is new. Inside the caller's transaction."""
        row = tx.execute("SELECT wrapped FROM case_key WHERE case_id = ?", (case_id,)).fetchone()
        if row is not None:
            return self._unwrap(case_id, row[0])
        return self.begin(tx, case_id)

    def begin(self, tx: sqlite3.Connection, case_id: str) -> AESGCM:
        """The key of a case that begins now; the one it has when a copy brought back what came of it first."""
        fresh = self._random(32)
        wrapped = self._box(self._wrap, _WRAP + case_id.encode(), fresh)
        made = tx.execute("INSERT INTO case_key VALUES (?, ?) ON CONFLICT DO NOTHING", (case_id, wrapped)).rowcount
        return AESGCM(fresh) if made else self.obtain(tx, case_id)

    def seal(self, key: AESGCM, place: str, plain: bytes) -> bytes:
        """`place` names where the ciphertext lies, so that rows cannot be swapped."""
        return self._box(key, place.encode(), plain)

    @staticmethod
    def open(key: AESGCM, place: str, stored: bytes) -> bytes:
        """Raises `store-damaged` when the row was altered or belongs elsewhere."""
        try:
            return key.decrypt(stored[:NONCE], stored[NONCE:], place.encode())
        except InvalidTag:
            raise ProtocolError("store-damaged", field="sealed") from None

    def forget(self, tx: sqlite3.Connection, case_id: str) -> None:
        """After the commit nobody can read what was sealed under this case."""
        tx.execute("DELETE FROM case_key WHERE case_id = ?", (case_id,))

    def _unwrap(self, case_id: str, wrapped: bytes) -> AESGCM:
        return AESGCM(self.open(self._wrap, (_WRAP + case_id.encode()).decode(), wrapped))

    def _box(self, key: AESGCM, place: bytes, plain: bytes) -> bytes:
        nonce = self._random(NONCE)
        return nonce + key.encrypt(nonce, plain, place)
