"""Our own keys: made when due, stated, taken into use when the members document shows them, forgotten. Commands.

A turn compares what we hold with our own verified entry, and does what is missing: interrupted anywhere it goes on at
the next one. A key is in the key file before it is in a statement, a statement is on disk before it leaves, and it is
posted byte for byte until our entry shows it. Nothing is decided by a clock that is known to be wrong.
"""

import sqlite3
from typing import Final, NamedTuple

import msgspec

from node.context import Context
from node.exchange.outbox import clock_is_wrong, raise_alarm
from protocol import rotation, statements
from protocol.entries import Member
from protocol.errors import ProtocolError
from protocol.limits import CLOCK_AHEAD_MAX, HOUR
from protocol.strict import b64u_encode, digest
from protocol.suite import SigningKey
from schemas.membership import KeyReason, KeyStatement, RoutesStatement

AGAIN: Final = HOUR
"""Seconds after which an accepted statement that our entry does not show yet is posted again."""
REFUSED_AGAIN: Final = 6 * HOUR
"""Seconds after a refusal before we try with new bytes, if our entry did not change."""
_RETRY_FIRST: Final = 10
Kind = KeyReason


class Posting(NamedTuple):
    """Statements that wait to be posted together."""

    id: int
    kind: Kind
    texts: list[str]
    next_at: int


def turn(tx: sqlite3.Connection, ctx: Context) -> Posting | None:
    """Takes into use what our entry shows, forgets what is old, states what is due. What waits to be posted."""
    own = ctx.member(ctx.me)
    if own is None:
        return None
    _settle(tx, ctx, own)
    if own.status != "active" or clock_is_wrong(tx):
        return waiting(tx)
    adopt(ctx, own)
    if waiting(tx) is None and not _pausing(tx, ctx, own):
        _state_what_is_due(tx, ctx, own)
    return waiting(tx)


def waiting(db: sqlite3.Connection) -> Posting | None:
    """The statements that our entry does not show yet."""
    row = db.execute(
        "SELECT id, kind, texts, next_at FROM own_statement WHERE state = 'waiting' ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return Posting(row[0], row[1], msgspec.json.decode(row[2], type=list[str]), row[3]) if row else None


# -- what our entry shows


def _settle(tx: sqlite3.Connection, ctx: Context, own: Member) -> None:
    """What waits has landed, or was made against an entry that is no more: then it is made anew."""
    row = tx.execute("SELECT id, base, texts FROM own_statement WHERE state = 'waiting'").fetchone()
    if row is None:
        return
    now, texts = ctx.clock.now(), msgspec.json.decode(row[2], type=list[str])
    if set(texts) <= _texts(own):
        _end(tx, row[0], "landed", now)
    elif row[1] != base(own):
        _end(tx, row[0], "dropped", now)


def _texts(own: Member) -> set[str]:
    return {*own.entry.keys, *(text for text in (own.entry.routes, own.entry.routes_next) if text)}


def base(own: Member) -> str:
    """Our entry, as far as our own statements make it."""
    entry = own.entry
    return digest(msgspec.json.encode([entry.admission, entry.keys, entry.routes or "", entry.routes_next or ""]))


def _end(tx: sqlite3.Connection, number: int, state: str, now: int, code: str | None = None) -> None:
    tx.execute("UPDATE own_statement SET state = ?, ended = ?, code = ? WHERE id = ?", (state, now, code, number))


def adopt(ctx: Context, own: Member) -> None:
    """The keys our entry shows are the current ones from now on; sealing keys that nothing lives under are destroyed.

    The key file changes at once and for good: every step here follows from a verified entry, and is harmless twice.
    """
    entries = ctx.keystore.entries()
    states = {key.kid: key.state for key in entries if key.use == "sign"}
    changed = False
    if states.get(own.current.kid) == "next":
        changed = _retire_until(ctx, "sign", own.current.kid)
    known, now = rotation.since_of(rotation.stated(own)), ctx.clock.now()
    used = rotation.in_use(held_sealing(ctx), known, now)
    if used is not None:
        changed = _retire_until(ctx, "seal", used) or changed
    for kid in rotation.to_forget(held_sealing(ctx), known, ctx.membership.policy, now):
        ctx.keystore.destroy(kid)
        changed = True
    if changed:
        ctx.reload_keys()


def _retire_until(ctx: Context, use: str, kid: str) -> bool:
    """Makes the next keys of that use current, one after another, until `kid` is. A key that is old stays so."""
    changed = False
    while True:
        held = [key for key in ctx.keystore.entries() if key.use == use]
        if not any(key.kid == kid and key.state == "next" for key in held):
            return changed
        ctx.keystore.retire(next(key.kid for key in held if key.state == "current"))
        changed = True


def held_sealing(ctx: Context) -> list[rotation.Held]:
    """Our sealing keys in the order in which they were made."""
    keys = ctx.keys.sealing
    return [
        rotation.Held(one.kid, b64u_encode(keys[one.kid].public), one.state, one.created)
        for one in ctx.keystore.entries()
        if one.use == "seal" and one.kid in keys
    ]


# -- what is due


def _pausing(db: sqlite3.Connection, ctx: Context, own: Member) -> bool:
    """After a refusal, unless our entry has changed since."""
    row = db.execute("SELECT base, state, ended FROM own_statement ORDER BY id DESC LIMIT 1").fetchone()
    if row is None or row[1] != "refused" or row[0] != base(own):
        return False
    return 0 <= ctx.clock.now() - int(row[2]) < REFUSED_AGAIN


def _state_what_is_due(tx: sqlite3.Connection, ctx: Context, own: Member) -> None:
    """A new signing key once a year, sealing keys by their own calendar; whatever was made and not stated yet."""
    now, policy = ctx.clock.now(), ctx.membership.policy
    if own.current.kid != ctx.keys.signing.kid:
        return  # another key than ours signs for us: people are told by an alarm, and nothing of ours would count
    if _compromise_is_open(tx):
        make_sealing(ctx, own)
        compose(tx, ctx, own, "compromise", new_signing=True, at_once=True)
        return
    known = rotation.since_of(rotation.stated(own))
    sign = _unstated_signing(ctx, own) is not None or rotation.signing_due(own, policy, now)
    if rotation.sealing_due(held_sealing(ctx), known, policy, now):
        make(ctx, "seal")
    wanted = rotation.to_state(held_sealing(ctx), known, policy, now)
    stated = rotation.stated(own)
    lost = ctx.me in ctx.membership.unroutable
    if sign or lost or stated is None or wanted != list(stated.sealing):
        compose(tx, ctx, own, "rotation", new_signing=sign)


def _unstated_signing(ctx: Context, own: Member) -> str | None:
    """A signing key of ours that no chain has shown: made before a crash, or for a statement that was refused."""
    for key in ctx.keystore.entries():
        if key.use == "sign" and key.state != "old" and key.kid not in own.states:
            return key.kid
    return None


def make(ctx: Context, use: str) -> str:
    """A new key in the key file, to be announced; its kid."""
    seed = ctx.dice.bytes(32)
    if use == "sign":
        kid = ctx.suite.signing_key(seed).kid
        ctx.keystore.add_signing(seed, kid, ctx.clock.now())
    else:
        kid = ctx.suite.sealing_key(seed).kid
        ctx.keystore.add_sealing(seed, kid, ctx.clock.now())
    ctx.reload_keys()
    return kid


# -- stating


def begin(tx: sqlite3.Connection, ctx: Context, kind: Kind, *, signing: bool, sealing: bool) -> Posting:
    """Because a person asked: a new signing key, a new sealing key, or both.

    compromise: another may hold those before. Both are new, the old ones are named no more, the signing key is revoked.
    Raises not-a-member, suspended, clock-wrong, revoked-key (our signing key is not the one our entry shows).
    """
    own = ctx.membership.active(ctx.me)
    kind = "compromise" if _compromise_is_open(tx) else kind
    if clock_is_wrong(tx):
        raise ProtocolError("clock-wrong")
    if own.current.kid != ctx.keys.signing.kid:
        raise ProtocolError("revoked-key", field="key", expected="the current key")
    drop_waiting(tx, ctx)
    compromised = kind == "compromise"
    if sealing or compromised:
        make_sealing(ctx, own)
    return compose(tx, ctx, own, kind, new_signing=signing or compromised, at_once=compromised)


def make_sealing(ctx: Context, own: Member) -> None:
    """A sealing key to be stated next, unless one waits already."""
    known = rotation.since_of(rotation.stated(own))
    if not any(key.state != "old" and key.x not in known for key in held_sealing(ctx)):
        make(ctx, "seal")


def _compromise_is_open(db: sqlite3.Connection) -> bool:
    """A compromise was declared and our entry has never shown it: what follows says so too."""
    row = db.execute("SELECT kind, state FROM own_statement ORDER BY id DESC LIMIT 1").fetchone()
    return row is not None and row[0] == "compromise" and row[1] != "landed"


def drop_waiting(tx: sqlite3.Connection, ctx: Context) -> None:
    """What was about to be stated is stated with what follows: its keys are in the key file."""
    if (before := waiting(tx)) is not None:
        _end(tx, before.id, "dropped", ctx.clock.now())


def compose(
    tx: sqlite3.Connection,
    ctx: Context,
    own: Member,
    kind: Kind,
    *,
    new_signing: bool,
    at_once: bool = False,
    signer: SigningKey | None = None,
    signed: str | None = None,
) -> Posting:
    """Writes down the statements that follow on `own`. `signer`: who signs the new key if not the key before it.

    `signed`: the key statement as guarantors signed it.
    """
    now, texts, key = ctx.clock.now(), [], ctx.keys.signing
    if new_signing:
        key = signing_candidate(ctx, own)
        statement = key_statement(ctx, own, key, kind, now)
        texts.append(signed or statements.sign_key_statement(statement, signer or ctx.keys.signing))
    texts.append(statements.sign_routes(_routes(ctx, own, now, at_once=at_once), key))
    tx.execute(
        "INSERT INTO own_statement (at, kind, base, texts, state, next_at) VALUES (?, ?, ?, ?, 'waiting', ?)",
        (now, kind, base(own), msgspec.json.encode(texts).decode(), now),
    )
    made = waiting(tx)
    assert made is not None
    return made


def remember(tx: sqlite3.Connection, ctx: Context, routes: str) -> None:
    """Routes that travel with a request to join: ours, though nothing here posts them."""
    now = ctx.clock.now()
    tx.execute(
        "INSERT INTO own_statement (at, kind, base, texts, state, next_at, ended)"
        " VALUES (?1, 'join', '', ?2, 'landed', ?1, ?1)",
        (now, msgspec.json.encode([routes]).decode()),
    )


def signing_candidate(ctx: Context, own: Member) -> SigningKey:
    """The signing key to be stated next: one that waits already, or a new one."""
    kid = _unstated_signing(ctx, own) or make(ctx, "sign")
    return ctx.suite.signing_key(ctx.keystore.signing_seed(kid)[1])


def key_statement(ctx: Context, own: Member, key: SigningKey, kind: Kind, now: int) -> KeyStatement:
    """What is signed about our next signing key."""
    return KeyStatement(
        net=ctx.net, node=ctx.me, n=own.current.n + 1, x=b64u_encode(key.public), prev=own.current.kid, iat=now,
        reason=kind,
    )  # fmt: skip


def _routes(ctx: Context, own: Member, now: int, *, at_once: bool) -> RoutesStatement:
    """Our addresses as they were, our sealing keys as they are; in force already by a clock that is somewhat behind."""
    begin = now - CLOCK_AHEAD_MAX
    held, membership = rotation.stated(own), ctx.membership
    keys = held_sealing(ctx)
    listed = rotation.to_state(keys, rotation.since_of(held), membership.policy, now, at_once=at_once)
    if held is None:
        relays = list(membership.relays)
        return RoutesStatement(
            net=ctx.net, node=ctx.me, n=1, since=begin, urls=[], relays=relays[:8], sealing=listed, iat=now
        )
    known = [relay for relay in held.relays if relay in membership.relays]
    return msgspec.structs.replace(
        held,
        n=held.n + 1,
        since=begin if at_once or held.since <= now else held.since,
        relays=known,
        sealing=listed,
        iat=now,
    )


# -- what the registry answered


def accepted(tx: sqlite3.Connection, ctx: Context, number: int) -> None:
    """It has them; they count when our entry shows them."""
    tx.execute(
        "UPDATE own_statement SET tries = 0, next_at = ? WHERE id = ? AND state = 'waiting'",
        (ctx.clock.now() + AGAIN, number),
    )


def failed(tx: sqlite3.Connection, ctx: Context, number: int, problem: ProtocolError) -> None:
    """Not taken: tried again by itself, or, when it never will be, told to people and made anew later."""
    now = ctx.clock.now()
    row = tx.execute("SELECT tries FROM own_statement WHERE id = ? AND state = 'waiting'", (number,)).fetchone()
    if row is None:
        return
    if problem.problem.retry == "later" and problem.code != "unknown-key":
        wait = max(problem.after or 0, min(AGAIN, _RETRY_FIRST * 2 ** min(int(row[0]), 10)))
        tx.execute("UPDATE own_statement SET tries = tries + 1, next_at = ? WHERE id = ?", (now + wait, number))
        return
    _end(tx, number, "refused", now, problem.code)
    raise_alarm(tx, now, "keys-refused", ctx.me, None, None)


def soon(now: int, posting: Posting | None) -> float:
    """Seconds until something has to be posted; an hour when nothing waits."""
    return float(HOUR if posting is None else max(0, min(HOUR, posting.next_at - now)))
