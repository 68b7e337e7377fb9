"""A lost key, and a new one in its place: by the emergency key, or by the guarantors' threshold. Commands.

The new key is stated as a recovery, which revokes the one before; every other office is told and confirms it. Nothing
here is believed by anybody before the members document shows it.
"""

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import UNSET

from node.context import Context, setting
from node.exchange import restored
from node.keys import own as own_keys
from node.keys.own import Posting
from node.runtime.trust import raw_roots
from protocol import jws
from protocol.entries import Member
from protocol.errors import ProtocolError
from protocol.statements import GENERAL_MAX, STATEMENT_MAX
from protocol.strict import b64u_encode, decode
from schemas.membership import KeyStatement, RecoveryFile


def with_key(tx: sqlite3.Connection, ctx: Context, seed: bytes) -> Posting:
    """States a new key signed by the emergency key; the same keys each time, so that a retry is harmless.

    Raises not-a-member, suspended, no-emergency-key, wrong-emergency-key.
    """
    own = ctx.membership.active(ctx.me)
    listed = own.admission.recovery
    if listed is UNSET:
        raise ProtocolError("no-emergency-key", field="node", got=ctx.me)
    signer = ctx.suite.signing_key(seed)
    if b64u_encode(signer.public) != listed:
        raise ProtocolError("wrong-emergency-key", field="key")
    _begin(tx, ctx, own)
    return own_keys.compose(tx, ctx, own, "recovery", new_signing=True, at_once=True, signer=signer)


def request(tx: sqlite3.Connection, ctx: Context) -> RecoveryFile:
    """What guarantors sign: our next key as a recovery, with the roots by which they know their own network."""
    own = ctx.membership.active(ctx.me)
    key = own_keys.signing_candidate(ctx, own)
    statement = own_keys.key_statement(ctx, own, key, "recovery", ctx.clock.now())
    return RecoveryFile(
        v=1, net=ctx.net, node=ctx.me, name=own.name, roots=[raw.decode() for raw in raw_roots(tx)],
        draft=msgspec.json.encode(statement).decode(),
    )  # fmt: skip


def with_guarantors(tx: sqlite3.Connection, ctx: Context, signed: Sequence[str]) -> Posting:
    """States the key that guarantors signed for. Raises threshold, key-chain (not this key, or our entry moved on)."""
    own = ctx.membership.active(ctx.me)
    text = jws.merge_general([one.encode() for one in signed], jws.KEY, max_bytes=GENERAL_MAX).decode("ascii")
    general = jws.parse_general(text.encode(), jws.KEY, max_bytes=GENERAL_MAX)
    root = ctx.membership.root
    jws.verify_threshold(general, root.guarantors, root.root.threshold)
    statement = decode(general.payload, KeyStatement, max_bytes=STATEMENT_MAX)
    key = own_keys.signing_candidate(ctx, own)
    expected = own_keys.key_statement(ctx, own, key, "recovery", statement.iat)
    if statement != expected:
        raise ProtocolError("key-chain", field="signed", expected="the request of this body, as it stands now")
    _begin(tx, ctx, own)
    return own_keys.compose(tx, ctx, own, "recovery", new_signing=True, at_once=True, signed=text)


def _begin(tx: sqlite3.Connection, ctx: Context, own: Member) -> None:
    """A sealing key nobody else holds; on a new machine another channel epoch, as after a restore."""
    own_keys.drop_waiting(tx, ctx)
    own_keys.make_sealing(ctx, own)
    empty = tx.execute("SELECT 1 FROM leg LIMIT 1").fetchone() is None
    if empty and own.current.kid != ctx.keys.signing.kid and setting(tx, "epoch", "1") == "1":
        restored.mark(tx, ctx.clock.now())
