"""Erasing a leg and asking the other side to: the messages of PROTOCOL §6 and what they do here. Commands.

    erase_case(…)   ends what is open, takes the content away, asks the other sides
    recall(…)       the wrong recipient: ends the leg, asks, keeps our own content for the right one
    asked(…)        a peer asks: executed at once when it was called back before anybody here opened it,
                    else a person decides (`accept`, `refuse`)
    reapply(…)      what stands in erased.list, after a restore

Queued events that show no sign of having been applied are replaced by `void` (ADR 0011, 0028); what ends the leg
travels on, and its body goes with its signed end.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from msgspec import UNSET

from node.context import Context
from node.exchange import blobs, forwarding
from node.exchange.erased import Tombstone, legs_of_case, mark, settle, tombstone
from node.exchange.log import LegRow, leg_row, logs, next_n, refold
from node.exchange.outbox import post, raise_alarm, write_or_wait, write_void
from protocol.errors import ProtocolError
from protocol.finality import may_take_back
from protocol.referral import Event, Kind, Leg, Writer, allowed, effective, fold
from schemas.bodies import EraseBody, ErasedBody, EraseRefusedBody, EventBody

WRONG_RECIPIENT: Final = "wrong-recipient"
RECTIFIED: Final = "rectified"
TRAVELS: Final = frozenset({"void", "cancel", "lapse", "decline", "redirect", "close", "withdraw", "release"})
"""Kinds that are never replaced: they end the leg, or stand in another's place already."""


class Request(NamedTuple):
    """One request about a leg, ours or theirs, with what was answered."""

    jti: str
    leg: str
    peer: str
    own: bool
    reason: str
    upto: int | None
    at: int
    by_code: str | None
    answer: str | None
    answer_reason: str | None
    answered_at: int | None
    opened_by: str | None
    opened_at: int | None


def requests(db: sqlite3.Connection, leg: str) -> list[Request]:
    """Everything asked about a leg, oldest first."""
    rows = db.execute(
        "SELECT jti, leg, peer, own, reason, upto, at, by_code, answer, answer_reason, answered_at, opened_by,"
        " opened_at FROM erasure_request WHERE leg = ? ORDER BY at, jti",
        (leg,),
    )
    return [Request(*row)._replace(own=bool(row[3])) for row in rows]


def case_of(db: sqlite3.Connection, leg: LegRow) -> list[LegRow]:
    """The legs of one case that are held here."""
    return [row for each in legs_of_case(db, leg.case_id) if (row := leg_row(db, each)) is not None]


def came_of(db: sqlite3.Connection, leg: LegRow) -> list[LegRow]:
    """A leg and what came of it here: its hand-overs, the referrals it was forwarded as, theirs in turn."""
    found, rest = [leg], [row for row in case_of(db, leg) if row.leg != leg.leg]
    for known in found:
        found += [row for row in rest if row.parent == known.leg]
    return found


def sealings(db: sqlite3.Connection, legs: Iterable[str]) -> dict[str, set[str]]:
    """The sealings of these legs that may lie in mailboxes, by recipient; what an erasure leaves over travels on."""
    found: dict[str, set[str]] = {}
    for leg in legs:
        for dest, mid in db.execute("SELECT dest, mid FROM outgoing WHERE leg = ?", (leg,)):
            found.setdefault(dest, set()).add(mid)
    return found


# -- erasing here


def erase_case(
    tx: sqlite3.Connection, ctx: Context, leg: LegRow, *, reason: str, by: str | None, basis: str | None, ask: bool
) -> list[str]:
    """Erases every leg of a case; returns those whose other side was asked.

    Raises illegal-event: ours in charge; forward-open: passed on, and in the hands of who accepted it there.
    """
    return _erase(tx, ctx, case_of(tx, leg), reason=reason, by=by, basis=basis, ask=ask)


def _erase(
    tx: sqlite3.Connection,
    ctx: Context,
    rows: Sequence[LegRow],
    *,
    reason: str,
    by: str | None,
    basis: str | None,
    ask: bool,
) -> list[str]:
    for row in rows:
        _check_nobody_has_it(tx, ctx, row)
    told = []
    for row in rows:
        if tombstone(tx, row.leg) is None:
            end(tx, ctx, row, reason=reason, by=by)
            _erase_leg(tx, ctx, row, reason=reason, by=by, basis=basis)
        if ask and row.side != "L":
            request(tx, ctx, row, reason=reason, by=by)
            told.append(row.leg)
    return told


def _check_nobody_has_it(db: sqlite3.Connection, ctx: Context, parent: LegRow) -> None:
    """A referral passed on and accepted there ends there first, as one of ours in charge does."""
    known = forwarding.family(db, ctx, parent.leg) if tombstone(db, parent.leg) is None else None
    if known and any(child.leg.custody == "R" for child in known.children):
        raise ProtocolError("forward-open", field="leg")


def _erase_leg(
    tx: sqlite3.Connection, ctx: Context, leg: LegRow, *, reason: str, by: str | None, basis: str | None = None
) -> None:
    mark(tx, Tombstone(leg.leg, None, ctx.clock.now(), reason, basis, by))
    settle(tx, ctx, leg.leg)


def reapply(
    tx: sqlite3.Connection, ctx: Context, legs: Iterable[str], at: Mapping[str, int] = MappingProxyType({})
) -> int:
    """Erases again what a restored store holds of `legs`; writes nothing, asks nobody. Returns how many it held.

    `at`: when each was erased, as erased.list says; now when it does not. Legs the store does not know are remembered,
    so that nothing that still arrives brings them back.
    """
    now, again = ctx.clock.now(), 0
    for leg in legs:
        if tombstone(tx, leg) is None:
            again += leg_row(tx, leg) is not None
            mark(tx, Tombstone(leg, None, at.get(leg, now), "restore", None, None))
        for mid, kind in tx.execute(
            "SELECT outgoing.mid, event.kind FROM outgoing JOIN event USING (leg, jti) WHERE outgoing.leg = ?", (leg,)
        ).fetchall():
            if kind not in TRAVELS:
                tx.execute("DELETE FROM outgoing WHERE mid = ?", (mid,))
        tx.execute("UPDATE erased SET listed = 1 WHERE leg = ?", (leg,))
        settle(tx, ctx, leg)
    return again


def forget_versions(tx: sqlite3.Connection, ctx: Context, leg: LegRow, upto: int) -> None:
    """The offer and amendments before `upto` go, the newest stays: what was put right is kept no longer."""
    tx.execute(
        "INSERT INTO erased_event SELECT DISTINCT leg, writer, n FROM event WHERE leg = ? AND writer = 'S' AND n < ?"
        " AND kind IN ('offer', 'amend') ON CONFLICT DO NOTHING",
        (leg.leg, upto),
    )
    settle(tx, ctx, leg.leg)


# -- ending what is open


def end(tx: sqlite3.Connection, ctx: Context, leg: LegRow, *, reason: str, by: str | None) -> Leg:
    """Stops what is queued and ends an open leg by its ordinary event. Returns the state.

    Raises illegal-event when this body has the person in charge: a person closes that first.
    """
    now = ctx.clock.now()
    before = fold(*logs(tx, leg.leg))
    if leg.side == "R" and not before.is_terminal and (before.state == "in-charge" or before.frozen):
        raise ProtocolError("illegal-event", field="leg", expected="a case that is over", got=before.state)
    _stop_queue(tx, ctx, leg)
    held = refold(tx, leg.leg, now)
    for _ in range(2):  # inside a body: one desk asks to cancel, the other agrees
        step = _ending(leg, held, reason)
        if step is None:
            break
        writer, kind, code = step
        own, theirs = (held.s_count, held.r_count) if writer == "S" else (held.r_count, held.s_count)
        body = EventBody(
            net=ctx.net, sender=ctx.me, to=leg.peer, jti=ctx.dice.uuid4(), leg=leg.leg,
            n=next_n(tx, leg.leg, writer, own), seen=theirs, ev=kind, by=by or UNSET, reason=code,
        )  # fmt: skip
        write_or_wait(tx, ctx, leg, writer, body)
        held = refold(tx, leg.leg, now)
    return held


def _ending(leg: LegRow, held: Leg, reason: str) -> tuple[Writer, Kind, str] | None:
    """(writer, kind, reason) of the event that ends it, or None when nothing is ours to write."""
    if held.is_terminal or held.state == "none":
        return None
    if leg.side != "R" and held.state != "cancel-requested":
        return "S", "cancel", WRONG_RECIPIENT if reason == WRONG_RECIPIENT else "no-longer-needed"
    if leg.side == "S":
        return None  # asked to cancel already: R answers
    if held.state == "cancel-requested":
        return "R", "release", "cancel-agreed"
    kind: Kind = "release" if "release" in allowed(held, "R") else "decline"
    return "R", kind, "DR-CONS"


def _stop_queue(tx: sqlite3.Connection, ctx: Context, leg: LegRow) -> None:
    """What of ours has no signed end stops travelling: `void` in its place.

    Unless the peer shows that it has it, or later steps rest on it: an acceptance whose replacement would undo the end
    it led to travels on, and goes with its signed end (ADR 0028). An offer nobody had is what erasing takes back.
    """
    if leg.side == "L":
        return
    writer: Writer = "S" if leg.side == "S" else "R"
    acks = {
        n: 0
        for (n,) in tx.execute(
            "SELECT n FROM event WHERE leg = ? AND writer = ? AND k = 'processed'", (leg.leg, writer)
        )
    }
    queued = tx.execute(
        "SELECT event.n, event.kind, event.seen, event.cm FROM event WHERE leg = ?1 AND writer = ?2 AND EXISTS ("
        " SELECT 1 FROM outgoing WHERE outgoing.mid IN (event.mid, event.jti) AND s IS NOT NULL) ORDER BY n",
        (leg.leg, writer),
    ).fetchall()
    for n, kind, seen, cm in queued:
        s_log, r_log = logs(tx, leg.leg)
        if kind in TRAVELS or (kind != "offer" and not _rests_nothing_on(s_log, r_log, writer, n, seen, cm)):
            continue
        tx.execute("DELETE FROM outgoing WHERE leg = ? AND writer = ? AND n = ?", (leg.leg, writer, n))
        if may_take_back(n, acks=acks, peer_log=r_log if writer == "S" else s_log):
            write_void(tx, ctx, leg, writer, n, seen, cm, told=True)


def _rests_nothing_on(s_log: list[Event], r_log: list[Event], writer: Writer, n: int, seen: int, cm: str) -> bool:
    """Whether the state stays the same when a `void` stands in the place of this event."""
    instead = [Event(writer, n, "void", seen, voids=cm)]
    before = fold(s_log, r_log)
    after = fold(s_log + instead, r_log) if writer == "S" else fold(s_log, r_log + instead)
    return (before.state, before.reason, before.outcome) == (after.state, after.reason, after.outcome)


# -- asking, and being asked


def request(
    tx: sqlite3.Connection, ctx: Context, leg: LegRow, *, reason: str, by: str | None, upto: int | None = None
) -> None:
    """Asks the other side; one request of a kind at a time: repeating it changes nothing while no answer came."""
    if any(
        held.own and held.answer is None and (held.reason, held.upto) == (reason, upto)
        for held in requests(tx, leg.leg)
    ):
        return
    body = EraseBody(
        net=ctx.net, sender=ctx.me, to=leg.peer, jti=ctx.dice.uuid4(), leg=leg.leg, reason=reason,
        by=by or UNSET, upto=upto or UNSET,
    )  # fmt: skip
    _remember(tx, body, leg.peer, ctx.clock.now(), own=True)
    post(tx, ctx, body, leg=leg.leg, urgent=reason == WRONG_RECIPIENT)


def _remember(tx: sqlite3.Connection, body: EraseBody, peer: str, now: int, *, own: bool) -> None:
    tx.execute(
        "INSERT INTO erasure_request (jti, leg, peer, own, reason, upto, at, by_code) VALUES (?,?,?,?,?,?,?,?)"
        " ON CONFLICT DO NOTHING",
        (body.jti, body.leg, peer, own, body.reason, body.upto or None, now, body.by or None),
    )


def asked(tx: sqlite3.Connection, ctx: Context, sender: str, body: EraseBody, now: int) -> tuple[int, tuple[str, ...]]:
    """A peer asks. Returns (our own event count on the leg, the legs that changed). Raises not-your-leg."""
    leg = _between(tx, sender, body.leg)
    stone = tombstone(tx, body.leg)
    if leg is None and stone is not None and stone.peer not in (None, sender):
        raise ProtocolError("not-your-leg", field="leg")
    _remember(tx, body, sender, now, own=False)
    if leg is None:
        mark(tx, Tombstone(body.leg, sender, now, body.reason, None, None))
        blobs.drop_early(tx, body.leg, sender)
        answer(tx, ctx, body.leg, sender)
        return 0, ()
    called_back = body.reason == WRONG_RECIPIENT or leg.state in ("none", "undeliverable")
    if stone is None and called_back and not body.upto and _nobody_opened(tx, leg):
        _erase_leg(tx, ctx, leg, reason=body.reason, by=None)
        stone = tombstone(tx, body.leg)
    if stone is not None:
        answer(tx, ctx, body.leg, sender)
    else:
        raise_alarm(tx, now, "erasure-asked", sender, body.leg, None)
    return _own_count(tx, leg), (body.leg,)


def _between(tx: sqlite3.Connection, sender: str, leg_id: str) -> LegRow | None:
    leg = leg_row(tx, leg_id)
    if leg is not None and (leg.peer != sender or leg.side == "L"):
        raise ProtocolError("not-your-leg", field="leg")
    return leg


def _own_count(tx: sqlite3.Connection, leg: LegRow) -> int:
    held = fold(*logs(tx, leg.leg))
    return held.s_count if leg.side == "S" else held.r_count


def _nobody_opened(tx: sqlite3.Connection, leg: LegRow) -> bool:
    """Received, nothing written about it here, no person ever did anything with it, never handed over."""
    if leg.side != "R" or len(legs_of_case(tx, leg.case_id)) > 1:
        return False
    touched = tx.execute(
        "SELECT 1 FROM event WHERE leg = ?1 AND writer = 'R' UNION ALL SELECT 1 FROM access_log WHERE leg = ?1",
        (leg.leg,),
    ).fetchone()
    return touched is None


def first_opening(db: sqlite3.Connection, leg: str) -> tuple[str, int] | None:
    """(operator code, when) a person first saw or used what a leg holds, from the access log, which outlives it."""
    row = db.execute(
        "SELECT operator, at FROM access_log WHERE leg = ? AND action IN"
        " ('open', 'read', 'export', 'save', 'route', 'forward') ORDER BY id LIMIT 1",
        (leg,),
    ).fetchone()
    return (str(row[0]), int(row[1])) if row else None


def waiting(db: sqlite3.Connection, leg: str) -> list[Request]:
    """Requests of the peer that no person has decided yet."""
    return [held for held in requests(db, leg) if not held.own and held.answer is None]


def answer(tx: sqlite3.Connection, ctx: Context, leg: str, peer: str) -> None:
    """`erased`, to every request that waits; after a recall with who had opened it and when."""
    now = ctx.clock.now()
    opening = first_opening(tx, leg)
    for held in waiting(tx, leg):
        told = opening if held.reason == WRONG_RECIPIENT else None
        body = ErasedBody(
            net=ctx.net, sender=ctx.me, to=peer, jti=ctx.dice.uuid4(), leg=leg, of=held.jti, at=now,
            opened_by=told[0] if told else UNSET, opened_at=told[1] if told else UNSET,
        )  # fmt: skip
        _answered(tx, held.jti, "erased", None, now, told)
        post(tx, ctx, body, leg=leg, urgent=False)
    _clear(tx, now, leg)


def refuse(tx: sqlite3.Connection, ctx: Context, leg: LegRow, reason: str) -> None:
    """`erase-refused`, to every request that waits."""
    now = ctx.clock.now()
    for held in waiting(tx, leg.leg):
        body = EraseRefusedBody(
            net=ctx.net, sender=ctx.me, to=leg.peer, jti=ctx.dice.uuid4(), leg=leg.leg, of=held.jti, reason=reason
        )
        _answered(tx, held.jti, "refused", reason, now, None)
        post(tx, ctx, body, leg=leg.leg, urgent=False)
    _clear(tx, now, leg.leg)


def _clear(tx: sqlite3.Connection, now: int, leg: str) -> None:
    tx.execute("UPDATE alarm SET cleared = ? WHERE code = 'erasure-asked' AND leg = ? AND cleared IS NULL", (now, leg))


def _answered(
    tx: sqlite3.Connection, jti: str, said: str, reason: str | None, at: int, opening: tuple[str, int] | None
) -> None:
    by, when = opening or (None, None)
    tx.execute(
        "UPDATE erasure_request SET answer = ?, answer_reason = ?, answered_at = ?, opened_by = ?, opened_at = ?"
        " WHERE jti = ?",
        (said, reason, at, by, when, jti),
    )


def answered(
    tx: sqlite3.Connection, sender: str, body: ErasedBody | EraseRefusedBody, now: int
) -> tuple[int, tuple[str, ...]]:
    """The peer's answer to a request of ours; one to nothing we asked changes nothing. Raises not-your-leg."""
    leg = _between(tx, sender, body.leg)
    own = [held for held in requests(tx, body.leg) if held.own and held.jti == body.of and held.peer == sender]
    if own and own[0].answer != "erased":
        if isinstance(body, ErasedBody):
            who = body.opened_by if isinstance(body.opened_by, str) else None
            when = body.opened_at if isinstance(body.opened_at, int) else None
            _answered(tx, body.of, "erased", None, body.at, None)
            tx.execute("UPDATE erasure_request SET opened_by = ?, opened_at = ? WHERE jti = ?", (who, when, body.of))
            if when is not None:
                raise_alarm(tx, now, "recall-opened", sender, body.leg, None)
        else:
            _answered(tx, body.of, "refused", body.reason, now, None)
            raise_alarm(tx, now, "erasure-refused", sender, body.leg, None)
    return (_own_count(tx, leg), (body.leg,)) if leg else (0, ())


# -- a person decides


def accept(tx: sqlite3.Connection, ctx: Context, leg: LegRow, *, by: str, basis: str | None) -> None:
    """Does what the peer asked, on its leg and whatever came of it here, and says so.

    What an office we forwarded to asks is about what it got from us: neither where that came from nor other offices.
    """
    versions = [held.upto for held in waiting(tx, leg.leg) if held.upto is not None]
    whole = [held for held in waiting(tx, leg.leg) if held.upto is None]
    if whole:
        rows = came_of(tx, leg)
        _erase(tx, ctx, rows, reason=whole[0].reason, by=by, basis=basis, ask=False)
        for other in rows:  # whoever got it from us is asked in turn
            if other.side == "S" and other.leg != leg.leg:
                request(tx, ctx, other, reason=whole[0].reason, by=by)
    elif versions:
        forget_versions(tx, ctx, leg, max(versions))
    answer(tx, ctx, leg.leg, leg.peer)


def recall(tx: sqlite3.Connection, ctx: Context, leg: LegRow, *, by: str) -> Leg:
    """The wrong recipient: ends the leg and asks. Our own content stays: it has to go to the right office."""
    held = end(tx, ctx, leg, reason=WRONG_RECIPIENT, by=by)
    request(tx, ctx, leg, reason=WRONG_RECIPIENT, by=by)
    return held


def taken_in_charge(db: sqlite3.Connection, leg: LegRow) -> bool:
    """True when this body answers, or answered, for the person on this leg: its own papers, not the sender's."""
    s_log, r_log = logs(db, leg.leg)
    if leg.side == "S":
        return False
    started = any(event.kind == "start" for event in effective(r_log))
    return started or fold(s_log, r_log).state in ("accepted", "waiting", "in-charge", "cancel-requested")
