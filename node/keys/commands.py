"""The commands about keys, as rows: what is asked, what runs, whether it writes. No rules."""

import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from node import requests as ask
from node.cases import operators
from node.commands import Command
from node.exchange import outbox
from node.keys import confirming, own, recovering
from protocol.fingerprint import fingerprint
from schemas.membership import RecoveryFile

if TYPE_CHECKING:
    from node import exporting
    from node.body import Body


class PeerKey(Struct, frozen=True, kw_only=True):
    """A key of another member that came by a recovery or a re-admission; `words` as its own screen shows them."""

    node: str
    name: str
    how: str
    since: int
    words: str
    confirmed: int | None = None
    operator: str | None = None


class OwnKeys(Struct, frozen=True, kw_only=True):
    """Our eight words now and, while a new signing key waits, those to come; what waits to be shown in the list."""

    words: str
    next_words: str | None = None
    waiting: str | None = None
    since: int | None = None
    signing_until: int | None = None
    emergency: bool = False


def _peers(db: sqlite3.Connection, body: "Body", _: ask.Nothing) -> list[PeerKey]:
    members = body.ctx.membership.members.values() if body.ctx.joined else ()
    found = ((member, confirming.new_key(db, member)) for member in members if member.node != body.ctx.me)
    return [
        PeerKey(
            node=key.node, name=member.name, how=key.how, since=key.since, words=confirming.words_of(member),
            confirmed=key.confirmed, operator=key.operator,
        )
        for member, key in found
        if key is not None
    ]  # fmt: skip


def _own(db: sqlite3.Connection, body: "Body", _: ask.Nothing) -> OwnKeys:
    ctx = body.ctx
    posting = own.waiting(db)
    member = ctx.member(ctx.me) if ctx.joined else None
    kid = next((key.kid for key in ctx.keystore.entries() if key.use == "sign" and key.state == "next"), None)
    coming = ctx.suite.signing_key(ctx.keystore.signing_seed(kid)[1]).public if kid else None
    until = member.current.since + ctx.membership.policy.signing_days * 86400 if member else None
    return OwnKeys(
        words=" ".join(fingerprint(ctx.keys.signing.public)),
        next_words=" ".join(fingerprint(coming)) if coming else None,
        waiting=posting.kind if posting else None, since=member.current.since if member else None, signing_until=until,
        emergency=bool(member and member.admission.recovery),
    )  # fmt: skip


def _confirm(tx: sqlite3.Connection, body: "Body", request: ask.ConfirmKey) -> PeerKey:
    """What waited for this member leaves now."""
    ctx = body.ctx
    operator = operators.require(tx, request.as_, "confirm-key")
    member = ctx.membership.member(request.node)
    key = confirming.confirm(tx, member, request.words, operator.code, ctx.clock.now())
    tx.execute(
        "UPDATE alarm SET cleared = ? WHERE code = 'key-new' AND node = ? AND cleared IS NULL",
        (ctx.clock.now(), request.node),
    )
    outbox.reseal_stale(tx, ctx)
    return PeerKey(
        node=key.node, name=member.name, how=key.how, since=key.since, words=confirming.words_of(member),
        confirmed=key.confirmed, operator=key.operator,
    )  # fmt: skip


def _rotate(tx: sqlite3.Connection, body: "Body", request: ask.RotateKeys) -> OwnKeys:
    operators.require(tx, request.as_, "keys")
    own.begin(
        tx, body.ctx, "compromise" if request.compromised else "rotation",
        signing=request.signing, sealing=request.sealing,
    )  # fmt: skip
    return _own(tx, body, ask.Nothing())


def _export(tx: sqlite3.Connection, body: "Body", request: ask.Export) -> "exporting.Exported":
    """With no program running: in one go. The running one logs it first and writes beside its writer."""
    from node import exporting

    exporting.record(tx, body.ctx, request)
    return exporting.write(tx, body.ctx, request)


def _request(tx: sqlite3.Connection, body: "Body", _: ask.Nothing) -> RecoveryFile:
    return recovering.request(tx, body.ctx)


COMMANDS: Final[Mapping[str, Command]] = {
    "peer-keys": Command(ask.Nothing, _peers, writes=False),
    "own-keys": Command(ask.Nothing, _own, writes=False),
    "confirm-key": Command(ask.ConfirmKey, _confirm, writes=True, sends=True),
    "rotate-keys": Command(ask.RotateKeys, _rotate, writes=True, sends=True),
    "recovery-request": Command(ask.Nothing, _request, writes=True),
    "export": Command(ask.Export, _export, writes=True),
}
