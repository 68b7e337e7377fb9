"""What a router's program writes by itself: mirrored facts, the end of the parent, the cancel passed on. Commands.

The rules are protocol.forwarding; here they meet the store. `follow` runs in the transaction that applied what made
them due, and again from the periodic tick (a clock was wrong, a member has ended since, a peer had not told a restored
store yet): it derives from the logs what was written already, so that repetition and a crash at any commit write
nothing twice. What is written is codes: it goes on for a case whose processing is limited, and stops for an erased one.
"""

import sqlite3
from collections.abc import Iterable, MutableSequence
from typing import Final, NamedTuple, cast

import msgspec

from node.context import Context
from node.exchange import aside, restored
from node.exchange.ends import final, screen_of
from node.exchange.erased import tombstone
from node.exchange.log import LegRow, leg_row, logs, next_n, refold
from node.exchange.outbox import clock_is_wrong, raise_alarm, write_or_wait
from protocol.custody import Passed
from protocol.errors import ProtocolError
from protocol.forwarding import Child, Duty, duties
from protocol.referral import Leg, fold
from schemas.bodies import EventBody

_ROUNDS: Final = 8  # a duty makes another due at most twice: cancel → mirror; more would be a mistake of the rules
# Named: the planner prefers the index of all open referrals, and this is asked at every batch.
_FORWARDED: Final = "SELECT 1 FROM leg INDEXED BY leg_child WHERE parent IS NOT NULL AND side = 'S' LIMIT 1"
_CHILDREN: Final = (  # in the order they came to be here: two may have one second
    "SELECT leg FROM leg WHERE parent = ? AND side = 'S'"
    " ORDER BY (SELECT MIN(rowid) FROM event WHERE event.leg = leg.leg AND writer = 'S')"
)
_OPEN_PARENTS: Final = (
    "SELECT DISTINCT child.parent FROM leg AS child INDEXED BY leg_child"
    " CROSS JOIN leg AS parent ON parent.leg = child.parent"  # the children first: they are few
    " WHERE child.parent IS NOT NULL AND child.side = 'S' AND parent.side = 'R' AND (parent.state IN"
    " ('offered', 'opened', 'asked', 'accepted', 'waiting', 'in-charge', 'cancel-requested') OR child.state IN"
    " ('offered', 'opened', 'asked', 'accepted', 'waiting', 'in-charge', 'cancel-requested'))"
)

# Amendments that came after the newest sheet sent on, and that no person here has answered since. Rows of the log are
# in the order they were written here; `forwarded` facts are the program's and note nothing.
_NOT_SENT_ON: Final = (
    "SELECT n FROM event AS e WHERE leg = ?1 AND writer = 'S' AND kind = 'amend' AND rowid > (SELECT MAX(x.rowid)"
    " FROM leg JOIN event AS x ON x.leg = leg.leg WHERE leg.parent = ?1 AND leg.side = 'S' AND x.writer = 'S'"
    " AND x.kind IN ('offer', 'amend')) AND NOT EXISTS (SELECT 1 FROM event AS r WHERE r.leg = ?1 AND r.writer = 'R'"
    " AND r.by_code IS NOT NULL AND r.seen >= e.n) AND NOT EXISTS (SELECT 1 FROM event AS v WHERE v.leg = ?1"
    " AND v.writer = 'S' AND v.n = e.n AND v.voids = e.cm) ORDER BY n"
)


class Family(NamedTuple):
    """A referral received and what it was forwarded as."""

    parent: LegRow
    held: Leg
    rows: tuple[LegRow, ...]
    children: tuple[Child, ...]


Faults = MutableSequence[aside.Fault]


def follow(tx: sqlite3.Connection, ctx: Context, legs: Iterable[str], faults: Faults | None = None) -> list[str]:
    """Does what is due after these legs changed; returns the legs written on. `faults`: see `_carefully`."""
    if tx.execute(_FORWARDED).fetchone() is None:
        return []
    parents: dict[str, None] = {}
    for leg in legs:
        side, parent = tx.execute("SELECT side, parent FROM leg WHERE leg = ?", (leg,)).fetchone() or ("", None)
        if side == "R" and is_forwarded(tx, leg):
            parents[leg] = None
        elif side == "S" and parent is not None:
            parents[parent] = None
    return _follow(tx, ctx, parents, faults)


def follow_all(tx: sqlite3.Connection, ctx: Context, faults: Faults | None = None) -> list[str]:
    """The same for every forwarded referral that is open at either end: from the periodic tick."""
    if tx.execute(_FORWARDED).fetchone() is None:
        return []
    return _follow(tx, ctx, [parent for (parent,) in tx.execute(_OPEN_PARENTS).fetchall()], faults)


def _follow(tx: sqlite3.Connection, ctx: Context, parents: Iterable[str], faults: Faults | None) -> list[str]:
    if clock_is_wrong(tx):
        return []  # no new event with a wrong clock (PROTOCOL §1); the tick comes back to it
    touched: dict[str, None] = {}
    for parent in parents:
        touched.update(dict.fromkeys(_carefully(tx, ctx, parent, faults)))
    return list(touched)


def _carefully(tx: sqlite3.Connection, ctx: Context, parent: str, faults: Faults | None) -> list[str]:
    """One referral in a savepoint: what fails there spoils neither what arrived nor the others; people are told."""
    tx.execute("SAVEPOINT forwarded")
    try:
        written = _follow_one(tx, ctx, parent)
    except Exception as error:
        if not isinstance(error, ProtocolError) and not aside.is_fault(error):
            raise
        tx.execute("ROLLBACK TO forwarded")
        written = []
        raise_alarm(tx, ctx.clock.now(), "forward-stuck", None, parent, 0)
        if faults is not None:
            faults.append(aside.Fault(ctx.me, parent, aside.describe(error)))
    tx.execute("RELEASE forwarded")
    return written


def _follow_one(tx: sqlite3.Connection, ctx: Context, parent: str) -> list[str]:
    touched: dict[str, None] = {}
    for _ in range(_ROUNDS):
        known = family(tx, ctx, parent)
        if known is None or not known.rows:
            break
        due = duties(known.held, known.children, answered=_answered(tx, parent))
        written = [leg for duty in due for leg in _do(tx, ctx, known, duty)]
        if not written:
            break
        touched.update(dict.fromkeys(written))
    if known and any(child.is_open for child in known.children):
        _tell_amended(tx, ctx, known.parent)
    return list(touched)


def not_sent_on(db: sqlite3.Connection, leg: str) -> list[int]:
    """Numbers of the sender's amendments that whoever the referral was forwarded to last may not know of."""
    return [int(n) for (n,) in db.execute(_NOT_SENT_ON, (leg,))]


def _tell_amended(tx: sqlite3.Connection, ctx: Context, parent: LegRow) -> None:
    """A correction must reach who works with it: a person decides what of it goes on."""
    now, missing = ctx.clock.now(), not_sent_on(tx, parent.leg)
    for n in missing:
        raise_alarm(tx, now, "forward-amended", parent.peer, parent.leg, n)
    tx.execute(
        "UPDATE alarm SET cleared = ?1 WHERE code = 'forward-amended' AND leg = ?2 AND cleared IS NULL"
        " AND (?3 IS NULL OR n < ?3)",
        (now, parent.leg, missing[0] if missing else None),
    )


def is_forwarded(db: sqlite3.Connection, leg: str) -> bool:
    """It has children; cheap, asked of every step of a referral."""
    return db.execute("SELECT 1 FROM leg WHERE parent = ? AND side = 'S' LIMIT 1", (leg,)).fetchone() is not None


def family(db: sqlite3.Connection, ctx: Context, parent: str) -> Family | None:
    """None unless it is a referral received from another member."""
    row = leg_row(db, parent)
    if row is None or row.side != "R":
        return None
    rows = [leg_row(db, leg) for (leg,) in db.execute(_CHILDREN, (parent,)).fetchall()]
    held = fold(*logs(db, parent))
    if not rows:
        return Family(row, held, (), ())
    said = _said(db, ctx, row)
    # In the order they were opened: a store that came back from a copy has them as their receivers answered.
    order = {leg: i for i, leg in enumerate(said)}
    rows.sort(key=lambda child: order.get(cast(LegRow, child).leg, len(order)))
    newest = db.execute(
        "SELECT MAX(rowid) FROM event WHERE leg = ? AND writer = 'S' AND kind = 'cancel'", (parent,)
    ).fetchone()[0]
    children = tuple(cast(LegRow, child) for child in rows)
    return Family(row, held, children, tuple(_child(db, ctx, child, said.get(child.leg), newest) for child in children))


def _child(db: sqlite3.Connection, ctx: Context, row: LegRow, said: str | None, newest: int | None) -> Child:
    held = fold(*logs(db, row.leg))
    settled = final(db, ctx, row, held)
    passed = db.execute(
        "SELECT 1 FROM event WHERE leg = ? AND writer = 'S' AND kind = 'cancel' AND rowid > ?", (row.leg, newest or 0)
    ).fetchone()
    status = screen_of(db, row, held, settled=settled).code
    return Child(held, settled, status, said, passed_on=passed is not None)


def facts(db: sqlite3.Connection, ctx: Context, row: LegRow) -> list[EventBody]:
    """The facts `forwarded` of a leg, in order, as far as they can still be read; voided ones included."""
    held = db.execute(
        "SELECT writer, n, jti, sealed FROM event WHERE leg = ? AND kind = 'forwarded' AND sealed IS NOT NULL"
        " ORDER BY n, rowid",
        (row.leg,),
    ).fetchall()
    if not held:
        return []  # the case may be erased: its key may be gone, and none is to be made
    key = ctx.case_keys.obtain(db, row.case_id)
    return [
        msgspec.json.decode(ctx.case_keys.open(key, f"{row.leg}|{writer}|{n}|{jti}", sealed)[32:], type=EventBody)
        for writer, n, jti, sealed in held
    ]


def _said(db: sqlite3.Connection, ctx: Context, row: LegRow) -> dict[str, str]:
    """Child → what was last mirrored of it; the oldest child first, since each is mirrored when it is opened."""
    return {str(body.of): str(body.status) for body in facts(db, ctx, row)}


def _answered(db: sqlite3.Connection, parent: str) -> bool:
    """The program ended it before; that the other side refused it and a `void` stands there now changes nothing."""
    return (
        db.execute(
            "SELECT 1 FROM event WHERE leg = ? AND writer = 'R' AND kind IN ('close', 'withdraw', 'release')"
            " AND by_code IS NULL",
            (parent,),
        ).fetchone()
        is not None
    )


def _do(tx: sqlite3.Connection, ctx: Context, known: Family, duty: Duty) -> list[str]:
    """Writes or tells; returns the leg written on, none when people are told."""
    row, child = known.rows[duty.child], known.children[duty.child]
    if duty.do == "cancel":
        return _write(tx, ctx, row, "S", "cancel", reason=duty.reason)
    if duty.do == "mirror":
        return _write(tx, ctx, known.parent, "R", "forwarded", of=row.leg, to_node=row.peer, status=child.status)
    if duty.do in ("close", "withdraw", "release"):
        return _write(tx, ctx, known.parent, "R", duty.do, reason=duty.reason, outcome=duty.outcome)
    now = ctx.clock.now()
    if duty.do == "tell-ended":
        end = child.leg.settled_by
        raise_alarm(tx, now, "forward-ended", row.peer, row.leg, end.n if end else 0)
    else:
        end = known.held.settled_by
        raise_alarm(tx, now, "forward-apart", row.peer, row.leg, end.n if end else 0)
    return []


def _write(
    tx: sqlite3.Connection,
    ctx: Context,
    leg: LegRow,
    writer: str,
    ev: str,
    **codes: str | None,
) -> list[str]:
    if not restored.may_write(tx, leg, ev) or (ev == "forwarded" and tombstone(tx, leg.leg) is not None):
        return []  # the tick comes back to the first; of an erased referral nothing is written but its end
    held = fold(*logs(tx, leg.leg))
    own, theirs = (held.s_count, held.r_count) if writer == "S" else (held.r_count, held.s_count)
    plain = EventBody(
        net=ctx.net, sender=ctx.me, to=leg.peer, jti=ctx.dice.uuid4(), leg=leg.leg,
        n=next_n(tx, leg.leg, writer, own), seen=theirs, ev=ev,
    )  # fmt: skip
    body = msgspec.structs.replace(plain, **{name: code for name, code in codes.items() if code is not None})
    write_or_wait(tx, ctx, leg, writer, body)
    refold(tx, leg.leg, ctx.clock.now())
    return [leg.leg]


def passed(db: sqlite3.Connection, ctx: Context, row: LegRow) -> Passed:
    """The referral and its children as protocol.custody reads them; `row` received or sent."""
    held = fold(*logs(db, row.leg))
    sender, receiver = (row.peer, ctx.me) if row.side == "R" else (ctx.me, row.peer)
    known = family(db, ctx, row.leg) if row.side == "R" else None
    children = (
        tuple(Passed(ctx.me, c.peer, k.leg) for c, k in zip(known.rows, known.children, strict=True)) if known else ()
    )
    return Passed(sender, receiver, held, children)
