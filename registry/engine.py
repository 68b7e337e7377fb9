"""The registry's application logic: every operation of the board as a synchronous command. No network, no event loop.

    engine = RegistryEngine(suite=S1, clock=clock, dice=dice, keystore=keystore)
    prepared = engine.prepare_join(db, raw)          # pure but for reading the verified membership
    answer = engine.join(tx, prepared)               # inside the transaction of Store.run or a writer's group
`db` is any connection to the store, `tx` the writer's own. A command checks again what may have moved since then.
"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from node.mailbox import box
from node.runtime import apps
from node.runtime.migrations import Migration
from node.runtime.ports import Clock, Keystore, Random
from protocol.members import Membership
from protocol.roots import TrustedRoot
from protocol.suite import Suite
from registry import (
    admin_tables,
    admissions,
    ceremony,
    expiry,
    intake,
    invitations,
    joining,
    log,
    members,
    objects,
    proofs,
    roots,
    statements,
)
from registry.admissions import Approved
from registry.asking import Admitted, Expiry, Installed
from registry.board import Board, network, roots_after
from registry.setup import NetworkSetup
from registry.tables import registry_migrations
from schemas.catalogue import CatalogueAnswer, LogPage, Visibility
from schemas.membership import Invitation, JoinAnswer, Pending, PendingFile

MIGRATIONS: Final[tuple[Migration, ...]] = (
    *registry_migrations(),
    *box.MIGRATIONS,
    *apps.MIGRATIONS,
    *admin_tables.MIGRATIONS,
)
"""Everything a registry's store holds: board, log, catalogue, map, mailboxes, applications."""


class RegistryEngine:
    """One network's board. It holds no state but caches of verified things, keyed by their hashes."""

    def __init__(self, *, suite: Suite, clock: Clock, dice: Random, keystore: Keystore) -> None:
        self.board: Final = Board(suite=suite, clock=clock, dice=dice, keystore=keystore)

    # -- what is known

    def net(self, db: sqlite3.Connection) -> str:
        """The network's id, "" before the ceremony."""
        return network(db)

    def root(self, db: sqlite3.Connection) -> TrustedRoot:
        """The newest root. Raises config-missing."""
        return self.board.root(db)

    def roots_after(self, db: sqlite3.Connection, n: int) -> list[str]:
        """GET /v1/roots?after=N."""
        return roots_after(db, n, 256)

    def membership(self, db: sqlite3.Connection) -> Membership:
        """The members document in force, verified; `.raw` is what GET /v1/members answers."""
        return self.board.membership(db)

    def warnings(self, db: sqlite3.Connection) -> list[Expiry]:
        """What ends within 60, 30, 7 days, the most pressing first."""
        return expiry.warnings(self.membership(db), intake.terms(db), self.board.clock.now())

    # -- founding

    def configure(self, tx: sqlite3.Connection, setup: NetworkSetup) -> None:
        """What the members document says of the network itself: id, addresses, rules, comuni, forms, protocollo."""
        setup.apply(tx, self.board)

    def make_server_keys(self) -> tuple[str, str]:
        """(online, log) public keys; made in the keystore at the first call."""
        return roots.make_server_keys(self.board)

    def first_draft(self, plan: ceremony.RootPlan) -> bytes:
        """The payload of root-1, to be signed by guarantors; its hash is the network's id."""
        online, log_ = self.make_server_keys()
        return ceremony.draft_root(plan, n=1, online=online, log=log_, now=self.board.clock.now())

    def next_draft(self, db: sqlite3.Connection, plan: ceremony.RootPlan, *, new_server_keys: bool = False) -> bytes:
        """The payload of the next root: to be signed by the thresholds of the old and of the new guarantors."""
        return roots.next_draft(db, self.board, plan, new_server_keys=new_server_keys)

    def prepare_root(self, db: sqlite3.Connection, raw: bytes) -> TrustedRoot:
        """Raises threshold, root-chain, unknown-key."""
        return roots.prepare_root(raw, self.board.root(db) if network(db) else None, self.board)

    def install_root(self, tx: sqlite3.Connection, root: TrustedRoot) -> Installed:
        """Root, log and members document from now on."""
        return roots.install_root(tx, self.board, root)

    # -- joining

    def invite(self, tx: sqlite3.Connection, node: str | None = None, name: str = "") -> Invitation:
        """A one-time invitation, valid seven days."""
        return invitations.invite(tx, self.board, node=node, name=name)

    def delegate(self, tx: sqlite3.Connection, by: str, nodes: Sequence[str]) -> list[Invitation]:
        """One invitation for each body that member `by` has signed for."""
        return invitations.delegate(tx, self.board, by=by, nodes=nodes)

    def readmit(self, tx: sqlite3.Connection, node: str) -> Invitation:
        """A suspended or ended member may join again, with a key it never used."""
        return invitations.invite(tx, self.board, node=node, readmits=True)

    def prepare_join(self, db: sqlite3.Connection, raw: bytes) -> joining.Joining:
        """POST /v1/join, verified."""
        return joining.prepare_join(raw, net=self.board.root(db).net, suite=self.board.suite)

    def join(self, tx: sqlite3.Connection, prepared: joining.Joining) -> JoinAnswer:
        """Keeps the request until guarantors decide."""
        return joining.join(tx, self.board, prepared)

    def join_state(self, db: sqlite3.Connection, ref: str) -> JoinAnswer:
        """GET /v1/join/{ref}."""
        return joining.join_state(db, ref)

    def pending(self, db: sqlite3.Connection) -> list[Pending]:
        """Requests waiting."""
        return joining.pending(db)

    def export(self, db: sqlite3.Connection, refs: Sequence[str] = ()) -> PendingFile:
        """`pending --export`: what a guarantor takes away."""
        return joining.export(db, refs)

    def refuse(self, tx: sqlite3.Connection, ref: str) -> None:
        """The capofila turns a request down."""
        joining.refuse(tx, ref, self.board.clock.now())

    def prepare_admit(self, db: sqlite3.Connection, files: Sequence[bytes]) -> list[Approved]:
        """Approval files of one or more guarantors."""
        return admissions.prepare_admit(files, self.board.root(db))

    def admit(self, tx: sqlite3.Connection, approved: Sequence[Approved]) -> Admitted:
        """All of them or none."""
        return admissions.admit(tx, self.board, approved)

    def amend(self, tx: sqlite3.Connection, node: str, **changes: object) -> str:
        """Drafts a changed entry of an active member (a renamed body); the ref of what guarantors have to sign."""
        return admissions.amend(tx, self.board, node, **changes)

    def suspend(self, tx: sqlite3.Connection, node: str) -> int:
        """The members version that says so."""
        return admissions.suspend(tx, self.board, node)

    def end(self, tx: sqlite3.Connection, node: str) -> int:
        """The members version that says so."""
        return admissions.end(tx, self.board, node)

    # -- members

    def prepare_statement(self, db: sqlite3.Connection, raw: bytes) -> statements.Stated:
        """POST /v1/statement, verified."""
        return statements.prepare_statement(raw, self.membership(db), self.board.clock.now())

    def state(self, tx: sqlite3.Connection, stated: statements.Stated) -> statements.StatementAnswer:
        """Keeps keys and routes, with a new members document."""
        return statements.state(tx, self.board, stated)

    def add_protocollo(self, tx: sqlite3.Connection, version: str, media: str, document: bytes) -> members.Protocollo:
        """The next version of the protocollo d'intesa; members of older ones are warned from now on."""
        held = members.add_protocollo(tx, self.board, version, media, document)
        if network(tx):
            self._reissue(tx)
        return held

    def protocollo(self, db: sqlite3.Connection, version: str) -> members.Protocollo:
        """A version as signed, its hash computed again."""
        return members.protocollo(db, version)

    def daily(self, tx: sqlite3.Connection) -> bool:
        """Called often, acts when due: signs the members document again, drops what is too old."""
        now = self.board.clock.now()
        invitations.forget_expired(tx, now)
        intake.forget_staged(tx, now)
        objects.sweep(tx, now, self.board.root(tx).root.policy.object_days)
        if not members.due(tx, now):
            return False
        self._reissue(tx)
        return True

    def _reissue(self, tx: sqlite3.Connection) -> None:
        now = self.board.clock.now()
        members.reissue(tx, self.board, now)
        self.board.seal(tx, now)

    # -- catalogue and log

    def prepare_catalogue(self, db: sqlite3.Connection, raw: bytes) -> intake.Posted:
        """POST /v1/catalogue, verified."""
        return intake.prepare(db, raw, self.membership(db), self.board.clock.now())

    def publish(self, tx: sqlite3.Connection, posted: intake.Posted) -> CatalogueAnswer:
        """Log, objects and map; or the leaves still missing."""
        return intake.take(tx, self.board, posted)

    def withdraw(self, tx: sqlite3.Connection, hash_: str) -> int:
        """Drops an object nothing current names, at once and for every follower. Index of its leaf."""
        return intake.withdraw(tx, self.board, hash_)

    def log_page(self, db: sqlite3.Connection, after: int) -> LogPage:
        """GET /v1/log?after=."""
        return log.page(db, after)

    def checkpoint(self, db: sqlite3.Connection) -> str:
        """GET /v1/checkpoint: the newest signed head."""
        return log.head(db)[1]

    def proof(
        self, db: sqlite3.Connection, node: str, id_: str, vis: Visibility | None = None, *, member: bool = False
    ) -> bytes:
        """GET /v1/map/{node}/{id}/proof; `member`: the caller may see network lines."""
        return proofs.prove(db, self.board, node, id_, vis, member=member)

    def object(self, db: sqlite3.Connection, hash_: str) -> objects.Object:
        """GET /v1/object/{hash}; who may have it is in `.vis`."""
        return objects.get(db, hash_)
