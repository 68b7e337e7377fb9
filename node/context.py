"""What every use case of a node is given: who we are, the four ports, our keys, the verified membership. No logic."""

import sqlite3
from typing import NamedTuple

from node.runtime.ports import Clock, Keystore, Random
from node.vault.case_keys import CaseKeys
from protocol.calendar_it import Calendar
from protocol.errors import ProtocolError
from protocol.limits import PART_MAX
from protocol.members import Member, Membership
from protocol.suite import SealingKey, SealingPublic, SigningKey, Suite
from protocol.territory import Territory
from schemas.vocabularies import table


class OwnKeys(NamedTuple):
    """Our private keys as key objects: the current signing key, every sealing key still held, by kid."""

    signing: SigningKey
    sealing: dict[str, SealingKey]


def own_keys(suite: Suite, keystore: Keystore) -> OwnKeys:
    """Builds key objects from the keystore's seeds."""
    _, seed = keystore.signing_seed()
    keys = [suite.sealing_key(seed) for _, seed, _ in keystore.sealing_seeds()]
    return OwnKeys(suite.signing_key(seed), {key.kid: key for key in keys})


class Context:
    """One body on one store. `membership` is replaced whole when a newer verified version is committed."""

    def __init__(self, *, me: str, net: str, suite: Suite, clock: Clock, dice: Random, keystore: Keystore) -> None:
        self.me = me
        self.net = net
        self.suite = suite
        self.clock = clock
        self.dice = dice
        self.keystore = keystore
        self.keys = own_keys(suite, keystore)
        self.case_keys = CaseKeys(keystore.vault_key(), dice.bytes)
        self.territory = Territory.from_rows(table("comuni").values())
        self.part_bytes = PART_MAX  # raw bytes of an attachment's part; a simulation may cut smaller
        self.sealed = 0  # messages sealed by this process, so that who ran a command knows it left something to send
        self._membership: Membership | None = None
        self._calendars: dict[str, Calendar] = {}

    @property
    def membership(self) -> Membership:
        """Raises `not-a-member` until a verified members document is held."""
        if self._membership is None:
            raise ProtocolError("not-a-member", got=self.me)
        return self._membership

    @property
    def joined(self) -> bool:
        """True once we found ourselves in a verified members document."""
        return self._membership is not None and self.me in self._membership.members

    def epoch(self, db: sqlite3.Connection) -> int:
        """Our channel epoch: 1 until a restore begins another."""
        return int(setting(db, "epoch", "1"))

    def sealing_public(self, node: str, now: int) -> SealingPublic:
        """The key to seal to for a member. Raises unknown-recipient, suspended, not-a-member."""
        member = self.member(node)
        if member is None or member.status == "ended":
            raise ProtocolError("unknown-recipient", got=node)
        if member.status == "suspended":
            raise ProtocolError("suspended", got=node)
        key = member.sealing_at(now)
        if key is None:
            raise ProtocolError("unknown-recipient", got=node, expected="a sealing key")
        return key

    def member(self, node: str) -> Member | None:
        """The member of that id, whatever its status."""
        return self.membership.members.get(node)

    def calendar_of(self, node: str) -> Calendar:
        """Holidays where a member sits: the patron day of its first comune, when it is known."""
        held = self._calendars.get(node)
        if held is None:
            member = self.member(node) if self._membership else None
            home = member.territory[0] if member and member.territory else None
            held = self._calendars[node] = Calendar(patron=self.territory.patron(home) if home else None)
        return held

    def adopt(self, membership: Membership) -> None:
        """Called after the commit that stored the document."""
        self._membership = membership
        self._calendars = {}
        if membership.doc.comuni:
            self.territory = Territory.from_rows(membership.doc.comuni)

    def reload_keys(self) -> None:
        """After a key was added to or retired from the keystore."""
        self.keys = own_keys(self.suite, self.keystore)


def setting(db: sqlite3.Connection, name: str, default: str) -> str:
    """One value of the `setting` table."""
    row = db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else default


def set_setting(tx: sqlite3.Connection, name: str, value: str) -> None:
    """Writes one value of the `setting` table."""
    tx.execute(
        "INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
    )
