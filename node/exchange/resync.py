"""After a restore: who lost what is found, and each leg is put together again with its peer (PROTOCOL §3, Restore).

    greet(tx, ctx)           `hello` to every peer with open referrals: at each start, daily
    begin(tx, ctx, peer)     we lost something: a new epoch, `resync` to that peer, old legs with it stand still
    …                        the peer answers in pages, with all it holds of both logs
    _complete                all pages are there: every leg is repaired in one transaction, the legs move again

Who was restored need not know it: counts in a `hello`, a number of ours in a receipt, an event that denies what its
writer signed, or other content for a known number show it. Repetition is harmless: what is held changes nothing.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from node.context import Context, set_setting, setting
from node.exchange import erasing, parts, restored
from node.exchange.erased import is_erased, settle_changed
from node.exchange.log import Entry, LegRow, describe_leg, insert_event, insert_leg, leg_row, logs, refold
from node.exchange.message import Effect, Message
from node.exchange.outbox import (
    deadlines,
    queue_receipt,
    raise_alarm,
    seal_event,
    send_body,
    void_rejected,
    write_or_wait,
)
from node.keys import confirming
from node.runtime.migrations import script
from protocol import resync as rules
from protocol.envelope import mid_of, read_copy
from protocol.errors import ProtocolError
from protocol.limits import CLOCK_AHEAD_MAX, DAY, HELLO_EVERY
from protocol.names import parse_high_water
from protocol.receipts import read_receipt
from protocol.referral import Kind, Writer, check_write, fold
from protocol.strict import b64u_decode, b64u_encode
from schemas.bodies import (
    Body,
    CopiedEvent,
    CopiedLeg,
    CopiedStep,
    EventBody,
    HelloBody,
    LegCounts,
    Offer,
    ResyncAnswerBody,
    ResyncBody,
)
from schemas.wire import Receipt

PAGE_BYTES: Final = 640 * 1024  # of salts, bodies and outer parts in one page of an answer
STEP_BYTES: Final = 330  # of one event's skeleton
LEGS_NAMED: Final = 2000
AGAIN: Final = DAY  # a `resync` without an answer is said again
ANSWERS_EVERY: Final = 600  # seconds between two answers to one peer
_PEERS_TO_GREET: Final = (
    "SELECT DISTINCT peer FROM leg WHERE side != 'L' AND (changed >= ? OR state NOT IN ('cancelled', 'expired',"
    " 'declined', 'redirected', 'closed', 'withdrawn', 'released', 'lapsed', 'undeliverable')) ORDER BY peer"
)
REMEMBERED: Final = 30 * DAY  # what ended longer ago than any backup is kept is not asked about any more
_GREETED: Final = "greeted"
_encode = msgspec.json.Encoder().encode

MIGRATIONS = (
    script(
        "exchange_102_resync",
        """
-- What a message about no leg is, so that it is not said twice.
ALTER TABLE outgoing ADD COLUMN about TEXT;
-- Pages of an answer on their way, under a key that goes with them.
CREATE TABLE resync_page (peer TEXT NOT NULL, i INTEGER NOT NULL, sealed BLOB NOT NULL,
  PRIMARY KEY (peer, i)) WITHOUT ROWID;
-- Peers that asked us, and when we answered.
CREATE TABLE resync_given (peer TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
-- Legs we forgot and whose offer the other side does not hold either: it is not asked again.
CREATE TABLE resync_gone (leg TEXT PRIMARY KEY) WITHOUT ROWID;
-- Events that a peer seems to have forgotten: said in our next `hello`, since who takes from a mailbox answers nobody.
CREATE TABLE resync_disputed (leg TEXT PRIMARY KEY, cm TEXT NOT NULL) WITHOUT ROWID;
-- What a person wrote after a loss that nobody knew of. `again`: the event that says it anew; NULL: it became illegal
-- meanwhile and is given back to be looked at.
CREATE TABLE given_back (jti TEXT PRIMARY KEY, leg TEXT NOT NULL, writer TEXT NOT NULL, n INTEGER NOT NULL,
  kind TEXT NOT NULL, at INTEGER NOT NULL, sealed BLOB NOT NULL, again TEXT) WITHOUT ROWID;
""",
    ),
)


# -- hello


def greet(tx: sqlite3.Connection, ctx: Context) -> int:
    """Says `hello` to every peer with legs open or ended lately. Returns to how many; none is said twice at a time."""
    peers = tx.execute(_PEERS_TO_GREET, (ctx.clock.now() - REMEMBERED,)).fetchall()
    return sum(_hello(tx, ctx, peer) for (peer,) in peers)


def start(tx: sqlite3.Connection, ctx: Context) -> None:
    """At every start: with a resync open a new epoch begins, since nobody knows what this copy said before."""
    restored.began(tx)
    if ctx.joined:
        _ask_on(tx, ctx)
        greet(tx, ctx)


def tick(tx: sqlite3.Connection, ctx: Context) -> None:
    """Periodic: `hello` daily; a `resync` that brought no answer in a day is said again."""
    now = ctx.clock.now()
    last = int(setting(tx, _GREETED, "0"))
    if now - last >= HELLO_EVERY or now < last:
        set_setting(tx, _GREETED, str(now))
        greet(tx, ctx)
    _ask_on(tx, ctx)


def _ask_on(tx: sqlite3.Connection, ctx: Context) -> None:
    """Whoever has not told us yet is asked, now or again."""
    for peer, nonce in tx.execute(
        "SELECT peer, nonce FROM resync WHERE answered IS NULL AND (nonce = '' OR said <= ?) ORDER BY peer",
        (ctx.clock.now() - AGAIN,),
    ).fetchall():
        if nonce:
            _say_resync(tx, ctx, peer, nonce)
        else:
            _ask(tx, ctx, peer)


def _hello(tx: sqlite3.Connection, ctx: Context, peer: str) -> int:
    if tx.execute("SELECT 1 FROM outgoing WHERE dest = ? AND about = 'hello' AND s IS NOT NULL", (peer,)).fetchone():
        return 0
    epoch = ctx.epoch(tx)
    body = HelloBody(net=ctx.net, sender=ctx.me, to=peer, jti=ctx.dice.uuid4(), epoch=epoch, legs=_counts(tx, peer))
    return _send(tx, ctx, peer, body, "hello")


def _counts(db: sqlite3.Connection, peer: str) -> list[LegCounts]:
    """Of the legs that changed last: what is over is said too, since the other side may have forgotten its end."""
    rows = db.execute(
        "SELECT leg, side, s_count, r_count, cm FROM leg LEFT JOIN resync_disputed USING (leg)"
        " WHERE peer = ? AND side != 'L' ORDER BY cm IS NULL, changed DESC, leg LIMIT ?",
        (peer, LEGS_NAMED),
    ).fetchall()
    return [LegCounts(leg, side, s, r, _acknowledged(db, leg, side), x or UNSET) for leg, side, s, r, x in rows]


def dispute(tx: sqlite3.Connection, ctx: Context, leg: LegRow, cm: str) -> None:
    """The peer seems to have forgotten an event: told in a `hello`, since behind a mailbox it hears no refusal."""
    if tx.execute("SELECT 1 FROM resync_disputed WHERE leg = ? AND cm = ?", (leg.leg, cm)).fetchone():
        return
    tx.execute("INSERT OR REPLACE INTO resync_disputed VALUES (?, ?)", (leg.leg, cm))
    tx.execute("DELETE FROM outgoing WHERE dest = ? AND about = 'hello'", (leg.peer,))
    _hello(tx, ctx, leg.peer)


def _send(tx: sqlite3.Connection, ctx: Context, peer: str, body: Body, what: str) -> int:
    """A message about no leg; `what` stands in the queue so that it is not said twice. 0: nobody to seal to now."""
    raw = _encode(body)
    try:
        _, mid = send_body(tx, ctx, peer, body, ctx.dice.bytes(32), raw, place=None, urgent=False)
    except ProtocolError as problem:
        if problem.code in confirming.NOBODY_TO_SEAL_TO:
            return 0
        raise
    tx.execute("UPDATE outgoing SET about = ? WHERE mid = ?", (what, mid))
    return 1


def take_hello(tx: sqlite3.Connection, ctx: Context, message: Message) -> Effect:
    """Compares a peer's counts with ours: what it holds of ours, or holds our signature for, and we lack, we forgot.

    What it seems to lack may be on its way: it is told our counts, and judges by itself. Counts that newer words of
    the same peer have overtaken say nothing.
    """
    hello: HelloBody = message.body
    if message.overtaken:
        return Effect()
    for said in hello.legs:
        yours, its = (said.r, said.s) if said.w == "S" else (said.s, said.r)
        row = leg_row(tx, said.leg)
        if row is None:
            if (yours or said.a) and not is_gone(tx, said.leg):
                begin(tx, ctx, message.sender)
            continue
        if row.peer != message.sender or row.side == "L" or row.side == said.w:
            continue
        own, theirs = (row.s_count, row.r_count) if row.side == "S" else (row.r_count, row.s_count)
        if yours > own or said.a > theirs or (said.x and not _holds(tx, row.leg, said.x)):
            begin(tx, ctx, message.sender)
        if its < theirs or yours < _acknowledged(tx, row.leg, row.side):
            _hello(tx, ctx, message.sender)
    return Effect()


def _holds(db: sqlite3.Connection, leg: str, cm: str) -> bool:
    return db.execute("SELECT 1 FROM event WHERE leg = ? AND cm = ?", (leg, cm)).fetchone() is not None


def is_gone(db: sqlite3.Connection, leg: str) -> bool:
    """We forgot this leg, and the other side holds no offer of it: nothing can be put together again."""
    return db.execute("SELECT 1 FROM resync_gone WHERE leg = ?", (leg,)).fetchone() is not None


def _acknowledged(db: sqlite3.Connection, leg: str, side: str) -> int:
    """The last event of ours that the peer signed it had applied."""
    (most,) = db.execute(
        "SELECT COALESCE(MAX(n), 0) FROM event WHERE leg = ? AND writer = ? AND k = 'processed'", (leg, side)
    ).fetchone()
    return int(most)


# -- we lost something


def begin(tx: sqlite3.Connection, ctx: Context, peer: str, *, named: Iterable[int] = (), proven: bool = False) -> bool:
    """Asks `peer` for all it holds between us; False while that question is open already, or was answered just now.

    `proven`: not that peer's word alone, but a signature of ours says that we forgot something.
    """
    now = ctx.clock.now()
    row = tx.execute("SELECT answered FROM resync WHERE peer = ?", (peer,)).fetchone()
    if row is not None and (row[0] is None or now - int(row[0]) < ANSWERS_EVERY):
        return False
    restored.raise_epoch(tx, named, now)
    restored.open_with(tx, peer, now, proven=proven)
    raise_alarm(tx, now, restored.ALARM, peer, None, None)
    _ask(tx, ctx, peer)
    _greet_anew(tx, ctx)
    return True


def _ask_everybody(tx: sqlite3.Connection, ctx: Context, now: int) -> None:
    """We forgot what we had signed: then what we had with the others may be forgotten too. Each is asked once a day."""
    tx.execute("UPDATE resync SET proven = 1 WHERE answered IS NULL")
    for (peer,) in tx.execute(
        "SELECT DISTINCT peer FROM leg WHERE side != 'L' AND peer NOT IN (SELECT peer FROM resync WHERE begun > ?)"
        " ORDER BY peer",
        (now - AGAIN,),
    ).fetchall():
        begin(tx, ctx, peer, proven=True)


def _greet_anew(tx: sqlite3.Connection, ctx: Context) -> None:
    """Whoever forgot towards one may have forgotten towards all: the others are told our counts in the new epoch.

    Those of the old one look overtaken to them, and a number of it that they name tells us nothing any more. Nothing
    stands still for it: what one peer says must not stop our work with another.
    """
    tx.execute("DELETE FROM outgoing WHERE about = 'hello'")
    open_now = {*restored.open_peers(tx)}
    for (peer,) in tx.execute(_PEERS_TO_GREET, (ctx.clock.now() - REMEMBERED,)).fetchall():
        if peer not in open_now:
            _hello(tx, ctx, peer)


def _ask(tx: sqlite3.Connection, ctx: Context, peer: str) -> None:
    nonce = b64u_encode(ctx.dice.bytes(16))
    tx.execute("UPDATE resync SET nonce = ? WHERE peer = ?", (nonce, peer))
    tx.execute("DELETE FROM resync_page WHERE peer = ?", (peer,))
    _say_resync(tx, ctx, peer, nonce)


def _say_resync(tx: sqlite3.Connection, ctx: Context, peer: str, nonce: str) -> None:
    body = ResyncBody(
        net=ctx.net, sender=ctx.me, to=peer, jti=ctx.dice.uuid4(), nonce=nonce, epoch=ctx.epoch(tx),
        legs=_counts(tx, peer),
    )  # fmt: skip
    if _send(tx, ctx, peer, body, "resync"):  # else nobody can read it now: said at a later turn
        tx.execute("UPDATE resync SET said = ? WHERE peer = ?", (ctx.clock.now(), peer))


def told_restored(tx: sqlite3.Connection, ctx: Context, mid: str, accuser: str) -> None:
    """A peer answers that we look restored. Its own signature on that event, or a later one, shows it is the other way.

    Then it gets that receipt back; else we are the ones who forgot.
    """
    row = tx.execute("SELECT leg, n FROM outgoing WHERE mid = ?", (mid,)).fetchone()
    leg = leg_row(tx, row[0]) if row and row[0] else None
    number = _receipt_of(tx, ctx, leg, row[1], accuser) if leg is not None else None
    if number is None:
        begin(tx, ctx, accuser)
    else:
        raise_alarm(tx, ctx.clock.now(), "peer-restored", accuser, None, None)
        queue_receipt(tx, number, accuser, ctx.clock.now())


def _receipt_of(db: sqlite3.Connection, ctx: Context, leg: LegRow, n: int, peer: str) -> int | None:
    """A stored receipt of the peer that says `processed` of our newest event on that leg, from number `n` on."""
    row = db.execute(
        "SELECT mid FROM event WHERE leg = ? AND writer = ? AND n >= ? AND k = 'processed' ORDER BY n DESC LIMIT 1",
        (leg.leg, leg.side, n),
    ).fetchone()
    if row is None:
        return None
    later = ctx.clock.now() + 10 * 365 * DAY  # taken in long ago, maybe by a wrong clock: the signature counts
    for number, raw in db.execute("SELECT id, raw FROM receipt WHERE own = 0 AND peer = ? ORDER BY id DESC", (peer,)):
        if row[0].encode() not in b64u_decode(raw.split(".")[1], field="r"):  # most are about something else
            continue
        receipt = read_receipt(raw, ctx.membership, net=ctx.net, me=ctx.me, now=later).receipt
        if any(ack.mid == row[0] and ack.k == "processed" for ack in receipt.acks):
            return int(number)
    return None


def take_returned(tx: sqlite3.Connection, ctx: Context, receipt: Receipt) -> None:
    """A receipt we signed comes back from the peer it was for: if we do not know what it says, we were restored."""
    known = all(
        tx.execute("SELECT 1 FROM inbox WHERE mid = ?", (ack.mid,)).fetchone()
        for ack in receipt.acks
        if ack.k == "processed"
    )
    if not known:
        begin(tx, ctx, receipt.to)


def check_receipt(tx: sqlite3.Connection, ctx: Context, receipt: Receipt) -> None:
    """`hw` names a message of ours that this copy never sent: we were restored."""
    named = parse_high_water(receipt.hw)
    epoch = ctx.epoch(tx)
    (seq,) = tx.execute("SELECT COALESCE(MAX(seq), 0) FROM peer WHERE node = ?", (receipt.sender,)).fetchone()
    believed = rules.may_be_ours(named.epoch, epoch, ctx.clock.now())
    if believed and (named.epoch, named.seq) > (epoch, int(seq)):
        begin(tx, ctx, receipt.sender, named=[named.epoch])


# -- a peer lost something


def take_resync(tx: sqlite3.Connection, ctx: Context, message: Message) -> Effect:
    """Answers with all legs between the two, listed or not. Raises `busy` to one that asks without end."""
    asked: ResyncBody = message.body
    now = message.now
    row = tx.execute("SELECT at FROM resync_given WHERE peer = ?", (message.sender,)).fetchone()
    if row is not None and 0 <= now - int(row[0]) < ANSWERS_EVERY:
        raise ProtocolError("busy", after=ANSWERS_EVERY - (now - int(row[0])))
    tx.execute("INSERT OR REPLACE INTO resync_given VALUES (?, ?)", (message.sender, now))
    raise_alarm(tx, now, "peer-restored", message.sender, None, None)
    tx.execute("DELETE FROM outgoing WHERE dest = ? AND about = 'resync-answer'", (message.sender,))
    tx.execute("DELETE FROM resync_disputed WHERE leg IN (SELECT leg FROM leg WHERE peer = ?)", (message.sender,))
    pages = list(_pages(tx, ctx, message.sender)) or [[]]
    for i, legs in enumerate(pages):
        body = ResyncAnswerBody(
            net=ctx.net, sender=ctx.me, to=message.sender, jti=ctx.dice.uuid4(), nonce=asked.nonce, i=i, of=len(pages),
            legs=legs,
        )  # fmt: skip
        _send(tx, ctx, message.sender, body, "resync-answer")
    erasing.say_again(tx, ctx, message.sender)
    for said in asked.legs:
        held = leg_row(tx, said.leg)
        if held is None or held.peer != message.sender or held.side == "L":
            continue
        ours, mine = (said.s, held.s_count) if held.side == "S" else (said.r, held.r_count)
        if ours > mine:  # it holds more of our own events than we do: both were restored
            begin(tx, ctx, message.sender)
            break
    return Effect()


def _pages(db: sqlite3.Connection, ctx: Context, peer: str) -> Iterator[list[CopiedLeg]]:
    page: list[CopiedLeg] = []
    size = 0
    for (leg_id,) in db.execute(
        "SELECT leg FROM leg WHERE peer = ? AND side != 'L' ORDER BY created, leg", (peer,)
    ).fetchall():
        leg = leg_row(db, leg_id)
        assert leg is not None
        events: list[CopiedEvent] = []
        for event in _copies(db, ctx, leg):
            length = len(event.e) + len(event.body) + 120
            if (events or page) and size + length > PAGE_BYTES:
                yield [*page, CopiedLeg(leg_id, events)] if events else page
                page, events, size = [], [], 0
            events.append(event)
            size += length
        gone = _skeleton(db, leg)
        if events or gone:
            page.append(CopiedLeg(leg_id, events, gone))
            size += STEP_BYTES * len(gone)
    if page:
        yield page


def _copies(db: sqlite3.Connection, ctx: Context, leg: LegRow) -> Iterator[CopiedEvent]:
    """All that is held of a leg. For the peer's events, what we signed of them; of one that a repair brought us there

    is no receipt, so our count of now stands for the one when it was applied: it is never lower.
    """
    own, theirs = (leg.s_count, leg.r_count) if leg.side == "S" else (leg.r_count, leg.s_count)
    rows = db.execute(
        "SELECT writer, n, jti, at, e, sealed, MAX(inbox.st), MAX(inbox.h) FROM event LEFT JOIN inbox USING (jti)"
        " WHERE leg = ? AND e != '' AND sealed IS NOT NULL GROUP BY event.rowid ORDER BY event.rowid",
        (leg.leg,),
    ).fetchall()
    if not rows:
        return
    key = ctx.case_keys.obtain(db, leg.case_id)
    for writer, n, jti, at, e, sealed, st, h in rows:
        plain = ctx.case_keys.open(key, f"{leg.leg}|{writer}|{n}|{jti}", sealed)
        copied = CopiedEvent(e=e, salt=b64u_encode(plain[:32]), body=b64u_encode(plain[32:]))
        if writer != leg.side and n <= theirs:
            copied = msgspec.structs.replace(copied, st=at if st is None else st, h=own if h is None else h)
        yield copied


def _skeleton(db: sqlite3.Connection, leg: LegRow) -> list[CopiedStep]:
    """What was erased of a leg here: that there was something, and how it ended."""
    own, theirs = (leg.s_count, leg.r_count) if leg.side == "S" else (leg.r_count, leg.s_count)
    rows = db.execute(
        "SELECT writer, n, jti, kind, seen, cm, at, voids, reason, outcome FROM event WHERE leg = ?"
        " AND (e = '' OR sealed IS NULL) ORDER BY rowid",
        (leg.leg,),
    )
    steps = []
    for w, n, jti, ev, seen, cm, at, void, reason, outcome in rows:
        h = own if w != leg.side and n <= theirs else UNSET
        steps.append(CopiedStep(w, n, jti, ev, seen, cm, at, void or UNSET, reason or UNSET, outcome or UNSET, h))
    return steps


# -- the answer


class _Found(NamedTuple):
    """One event of an answer: of those that prove themselves all of it, of erased ones what their reader says."""

    ours: bool
    n: int
    jti: str
    ev: str
    seen: int
    cm: str
    at: int
    void: str | None
    reason: str | None
    outcome: str | None
    st: int | None
    h: int | None
    e: str = ""
    salt: bytes = b""
    raw: bytes = b""
    body: EventBody | None = None


def take_answer(tx: sqlite3.Connection, ctx: Context, message: Message) -> Effect:
    """Keeps a page; with the last one everything is repaired. An answer nobody asked for is taken in and forgotten."""
    answer: ResyncAnswerBody = message.body
    row = tx.execute("SELECT nonce FROM resync WHERE peer = ?", (message.sender,)).fetchone()
    if row is None or row[0] != answer.nonce or answer.i >= answer.of:
        return Effect()
    key = ctx.case_keys.obtain(tx, _page_key(message.sender))
    sealed = ctx.case_keys.seal(key, f"page {answer.i}", message.raw)
    tx.execute("INSERT OR REPLACE INTO resync_page VALUES (?, ?, ?)", (message.sender, answer.i, sealed))
    (have,) = tx.execute(
        "SELECT COUNT(*) FROM resync_page WHERE peer = ? AND i < ?", (message.sender, answer.of)
    ).fetchone()
    if have < answer.of:
        return Effect()
    return Effect(legs=tuple(_complete(tx, ctx, message.sender, message.now)))


def _page_key(peer: str) -> str:
    return f"resync {peer}"


def _complete(tx: sqlite3.Connection, ctx: Context, peer: str, now: int) -> list[str]:
    """Every leg with that peer is one again; then the pages and their key go, and the legs move."""
    key = ctx.case_keys.obtain(tx, _page_key(peer))
    found: dict[str, list[_Found]] = {}
    refused = 0
    for i, sealed in tx.execute("SELECT i, sealed FROM resync_page WHERE peer = ? ORDER BY i", (peer,)).fetchall():
        page = msgspec.json.decode(ctx.case_keys.open(key, f"page {i}", sealed), type=ResyncAnswerBody)
        for leg in page.legs:
            for event in leg.events:
                try:
                    found.setdefault(leg.leg, []).append(_read(ctx, peer, leg.leg, event))
                except ProtocolError:
                    refused += 1
            found.setdefault(leg.leg, []).extend(_gone(tx, peer, leg))
    if refused:  # what does not prove itself changes nothing; people compare by telephone
        raise_alarm(tx, now, "resync-unproven", peer, None, None)
    begun, answered = tx.execute("SELECT begun, answered FROM resync WHERE peer = ?", (peer,)).fetchone()
    held = [
        row[0]
        for row in tx.execute(
            "SELECT leg FROM leg WHERE peer = ? AND side != 'L' AND created <= ? ORDER BY created, leg", (peer, begun)
        )
    ]
    if answered is None:  # else a person telephoned meanwhile
        restored.answered(tx, peer, now)
    tx.execute("UPDATE resync SET nonce = '' WHERE peer = ?", (peer,))
    tx.execute("DELETE FROM resync_page WHERE peer = ?", (peer,))
    ctx.case_keys.forget(tx, _page_key(peer))
    legs = [*dict.fromkeys([*held, *found])]
    done = {leg: _repair(tx, ctx, peer, leg, found.get(leg, []), now) for leg in legs}
    void_rejected(tx, ctx, peer)
    if any(repaired.forgotten for repaired in done.values()):
        _ask_everybody(tx, ctx, now)
    return [leg for leg, repaired in done.items() if repaired.changed]


def _read(ctx: Context, peer: str, leg: str, event: CopiedEvent) -> _Found:
    """Raises what envelope.read_copy raises, wrong-recipient when it is not between the two, not-your-leg."""
    salt, raw = b64u_decode(event.salt, field="salt"), b64u_decode(event.body, field="body")
    copied = read_copy(event.e, salt, raw, ctx.membership, net=ctx.net)
    if {copied.routing.sender, copied.routing.to} != {ctx.me, peer}:
        raise ProtocolError("wrong-recipient", field="to")
    body = copied.body
    if not isinstance(body, EventBody) or body.leg != leg:
        raise ProtocolError("not-your-leg", field="leg")
    return _Found(
        copied.routing.sender == ctx.me, body.n, body.jti, body.ev, body.seen, copied.routing.cm, copied.routing.iat,
        _text(body.void), _text(body.reason), _text(body.outcome), _number(event.st), _number(event.h),
        event.e, salt, raw, body,
    )  # fmt: skip


def _gone(db: sqlite3.Connection, peer: str, leg: CopiedLeg) -> list[_Found]:
    """Nothing proves a skeleton: it says something only of a leg we hold with that peer."""
    row = leg_row(db, leg.leg)
    if row is None or row.peer != peer or row.side == "L":
        return []
    found = []
    for step in leg.gone:
        codes = (_text(step.void), _text(step.reason), _text(step.outcome), None, _number(step.h))
        found.append(_Found(step.w == row.side, step.n, step.jti, step.ev, step.seen, step.cm, step.at, *codes))
    return found


class _Repaired(NamedTuple):
    """Whether something of a leg changed, and whether we had forgotten what we signed."""

    changed: bool = False
    forgotten: bool = False


def _repair(
    tx: sqlite3.Connection, ctx: Context, peer: str, leg_id: str, found: Sequence[_Found], now: int
) -> _Repaired:
    """One leg, from what its other side holds of it."""
    row = leg_row(tx, leg_id)
    if row is None:
        row = _begun_by(tx, ctx, peer, leg_id, found, now)
        if row is None:
            tx.execute("INSERT INTO resync_gone VALUES (?) ON CONFLICT DO NOTHING", (leg_id,))
            return _Repaired()
        insert_leg(tx, row)
    if row.peer != peer or row.side == "L":
        return _Repaired()
    side: Writer = "S" if row.side == "S" else "R"
    found = _within_reach(tx, row, found)
    mine = [f for f in found if f.ours]
    if row.state == "none" and (begun := _begun_by(tx, ctx, peer, leg_id, found, now)) is not None:
        describe_leg(tx, begun)
    changed = _take_theirs(tx, ctx, row, [f for f in found if not f.ours], now)
    held = [
        rules.Held(n, jti, cm, kind, voids, k == "processed")
        for n, jti, cm, kind, voids, k in tx.execute(
            "SELECT n, jti, cm, kind, voids, k FROM event WHERE leg = ? AND writer = ?", (leg_id, side)
        )
    ]
    todo = rules.repair(held, [rules.Copy(f.n, f.jti, f.cm, f.ev, f.void) for f in mine])
    # Else nothing of it ever arrived, and nothing it would have had to see was forgotten: the queue still carries it.
    if mine or changed or any(event.processed for event in held):
        for f in mine:
            if f.jti in todo.take:
                _keep(tx, ctx, row, side, f, now, processed=True)
        for jti in todo.displaced:
            _give_back(tx, row, side, jti)
            raise_alarm(tx, now, "given-back", peer, leg_id, None)
        for n in todo.voids:
            _void(tx, ctx, row, side, n)
        for jti in todo.again:
            seal_event(tx, ctx, row, side, jti)
        refold(tx, leg_id, now)
        for jti in todo.rewrite:
            _write_anew(tx, ctx, row, side, jti, now)
        changed = changed or todo.lost_something or bool(todo.again or todo.rewrite)
    if changed:
        parts.settle(tx, ctx, leg_id)
        settle_changed(tx, ctx, [leg_id])  # what is erased here stays so, given back or not
    return _Repaired(changed, any(f.body is not None and f.jti in todo.take for f in mine))


def _within_reach(db: sqlite3.Connection, row: LegRow, found: Sequence[_Found]) -> list[_Found]:
    """Without the steps of a skeleton behind a gap: a liar names number 100,000, and we write the voids below it."""
    reach: dict[bool, int] = {}
    for ours in (True, False):
        writer = row.side if ours else "R" if row.side == "S" else "S"
        numbers = {n for (n,) in db.execute("SELECT n FROM event WHERE leg = ? AND writer = ?", (row.leg, writer))}
        numbers |= {f.n for f in found if f.ours is ours}
        reach[ours] = next(n for n in range(1, len(numbers) + 2) if n not in numbers)
    return [f for f in found if f.body is not None or f.n < reach[f.ours]]


def _take_theirs(tx: sqlite3.Connection, ctx: Context, row: LegRow, found: Sequence[_Found], now: int) -> bool:
    """The peer's own events, where we hold no other content: of what we hold, our copy counts."""
    writer = "R" if row.side == "S" else "S"
    changed = False
    for f in sorted(found, key=lambda f: f.n):
        held = tx.execute(
            "SELECT kind, cm, voids FROM event WHERE leg = ? AND writer = ? AND n = ?", (row.leg, writer, f.n)
        ).fetchall()
        related = all(
            (kind == "void" and voids == f.cm) or (f.ev == "void" and f.void == held_cm)
            for kind, held_cm, voids in held
        )
        if any(held_cm == f.cm for _, held_cm, _ in held) or not related:
            continue
        _keep(tx, ctx, row, writer, f, now, processed=False)
        changed = True
    if changed:
        refold(tx, row.leg, now)
    return changed


def _keep(
    tx: sqlite3.Connection, ctx: Context, row: LegRow, writer: str, f: _Found, now: int, *, processed: bool
) -> None:
    """Into the log; of what is erased here, or was there, the skeleton alone."""
    e, sealed, by = "", None, None
    if f.body is not None and not is_erased(tx, row.leg, row.peer):
        key = ctx.case_keys.obtain(tx, row.case_id)
        sealed = ctx.case_keys.seal(key, f"{row.leg}|{writer}|{f.n}|{f.jti}", f.salt + f.raw)
        e, by = f.e, _text(f.body.by)
    at = f.st if f.st is not None else min(f.at, now + CLOCK_AHEAD_MAX)
    insert_event(
        tx,
        Entry(
            row.leg, writer, f.n, f.jti, f.ev, f.seen, f.reason, f.outcome, f.cm, f.void, at, by, e, sealed,
            mid_of(f.e) if f.e else None,
        ),
    )  # fmt: skip
    if processed:
        tx.execute(
            "UPDATE event SET k = 'processed', st = ?, h = ? WHERE jti = ? AND leg = ?", (at, f.h, f.jti, row.leg)
        )


def _begun_by(
    tx: sqlite3.Connection, ctx: Context, peer: str, leg_id: str, found: Sequence[_Found], now: int
) -> LegRow | None:
    """A leg as its offer alone makes it; None when the answer does not hold the offer."""
    first = next((f for f in found if f.body is not None and f.ev == "offer" and isinstance(f.body.offer, Offer)), None)
    if first is None or first.body is None:
        return None
    offer = first.body.offer
    assert isinstance(offer, Offer)
    began = first.st if first.st is not None else first.at
    due = deadlines(ctx, peer if first.ours else ctx.me, offer.urgency, began)
    # A referral we passed on is the same case as the one it came from, also where that one is not back yet.
    passed_on = first.ours and offer.path and isinstance(offer.parent, str)
    return LegRow(
        leg=leg_id, side="S" if first.ours else "R", peer=peer, case_id=str(offer.parent) if passed_on else leg_id,
        state="none", s_count=0, r_count=0,
        referral=offer.referral, urgency=offer.urgency, created=began, changed=now, stored_at=began,
        ack_by=due.ack_by, respond_by=due.respond_by, alarm_at=(due.ack_by or due.respond_by) if first.ours else None,
        desk_from=None if is_erased(tx, leg_id, peer) else _text(offer.desk), desk_to=None,
        parent=_text(offer.parent), linked_from=_text(offer.linked_from),
    )  # fmt: skip


def _give_back(tx: sqlite3.Connection, row: LegRow, writer: str, jti: str) -> None:
    """Out of the log and out of the queue, but not lost."""
    held = tx.execute(
        "SELECT n, kind, at, sealed FROM event WHERE leg = ? AND writer = ? AND jti = ?", (row.leg, writer, jti)
    ).fetchone()
    tx.execute(
        "INSERT OR IGNORE INTO given_back (leg, writer, n, jti, kind, at, sealed) VALUES (?,?,?,?,?,?,?)",
        (row.leg, writer, held[0], jti, held[1], held[2], held[3]),
    )
    tx.execute("DELETE FROM event WHERE leg = ? AND writer = ? AND jti = ?", (row.leg, writer, jti))
    tx.execute("DELETE FROM outgoing WHERE jti = ?", (jti,))


def _void(tx: sqlite3.Connection, ctx: Context, row: LegRow, writer: str, n: int) -> None:
    """A number nobody has a content for: the peer waits for it, so it is closed by a `void` that replaces nothing."""
    (seen,) = tx.execute(
        "SELECT COALESCE(MAX(seen), 0) FROM event WHERE leg = ? AND writer = ? AND n < ?", (row.leg, writer, n)
    ).fetchone()
    body = EventBody(
        net=ctx.net, sender=ctx.me, to=row.peer, jti=ctx.dice.uuid4(), leg=row.leg, n=n, seen=int(seen), ev="void",
        void=b64u_encode(bytes(32)),
    )  # fmt: skip
    write_or_wait(tx, ctx, row, writer, body)


def _write_anew(tx: sqlite3.Connection, ctx: Context, row: LegRow, side: Writer, jti: str, now: int) -> None:
    """Written after the loss, unknown to the peer: the same words under a new number, if the leg still allows them."""
    n, sealed = tx.execute(
        "SELECT n, sealed FROM event WHERE leg = ? AND writer = ? AND jti = ?", (row.leg, side, jti)
    ).fetchone()
    if sealed is None:  # erased here: there is nothing left to say anew
        _give_back(tx, row, side, jti)
        return
    key = ctx.case_keys.obtain(tx, row.case_id)
    body = msgspec.json.decode(ctx.case_keys.open(key, f"{row.leg}|{side}|{n}|{jti}", sealed)[32:], type=EventBody)
    if _says_enough(tx, row, side, body):
        seal_event(tx, ctx, row, side, jti)
        return
    if body.ev == "void":  # of what the peer holds the void of already, or never had
        tx.execute("DELETE FROM event WHERE leg = ? AND writer = ? AND jti = ?", (row.leg, side, jti))
        tx.execute("DELETE FROM outgoing WHERE jti = ?", (jti,))
        refold(tx, row.leg, now)
        return
    _give_back(tx, row, side, jti)
    held = fold(*logs(tx, row.leg))
    own, theirs = (held.s_count, held.r_count) if side == "S" else (held.r_count, held.s_count)
    refold(tx, row.leg, now)
    try:
        check_write(held, side, _kind(body.ev))
    except ProtocolError:
        raise_alarm(tx, now, "given-back", row.peer, row.leg, n)
        return
    fresh = msgspec.structs.replace(body, jti=ctx.dice.uuid4(), n=own + 1, seen=theirs)
    tx.execute("UPDATE given_back SET again = ? WHERE jti = ?", (fresh.jti, jti))
    write_or_wait(tx, ctx, row, side, fresh)
    refold(tx, row.leg, now)


def _says_enough(db: sqlite3.Connection, row: LegRow, side: Writer, body: EventBody) -> bool:
    """Nothing happened since that it would have to see, and its number is free: it goes out again as it is.

    The peer may be getting it at this moment, by an answer of ours that crossed its own: under another id the same
    number would have two contents.
    """
    held = fold(*logs(db, row.leg))
    own, theirs = (held.s_count, held.r_count) if side == "S" else (held.r_count, held.s_count)
    (alone,) = db.execute(
        "SELECT COUNT(*) = 1 FROM event WHERE leg = ? AND writer = ? AND n = ?", (row.leg, side, body.n)
    ).fetchone()
    overruled = any((entry.writer, entry.n) == (side, body.n) for entry in held.overruled)
    return bool(alone) and body.n <= own and body.seen == theirs and not overruled


def _kind(ev: str) -> Kind:
    return ev  # type: ignore[return-value]  # what we wrote ourselves is one of our kinds


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None


def given_back(db: sqlite3.Connection, leg: str) -> list[tuple[str, int, str]]:
    """(kind, when it was written, its id) of what was given back of a leg and not said again."""
    rows = db.execute("SELECT kind, at, jti FROM given_back WHERE leg = ? AND again IS NULL ORDER BY at, n", (leg,))
    return [(str(kind), int(at), str(jti)) for kind, at, jti in rows]
