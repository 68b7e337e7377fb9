"""Planted bugs, named before they were run: the proof that silence of the simulator means something.

Each is a change to the production code (or, where the rule is the shell's, to the shell) that lasts for one run.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from node.cases import desk
from node.cases import forwarding as cases_forwarding
from node.exchange import blobs, delivery, ends, erasing, forwarding, inbox, log, outbox, parts, restored, resync
from node.keys import confirming, resigning
from node.mailbox import box
from node.map import heads as map_heads
from node.runtime import store as store_module
from node.vault.case_keys import NONCE, CaseKeys
from protocol import referral
from protocol.envelope import commitment
from protocol.jws import RCPT, parse_compact
from protocol.limits import RECEIPT_MAX
from protocol.strict import decode
from schemas.bodies import EventBody
from schemas.wire import Receipt
from tests.simulator import people, relay, shell

Undo = Callable[[], None]


class Bug(NamedTuple):
    """`plant` changes something and returns what undoes it."""

    name: str
    what: str
    plant: Callable[[], Undo]


def _swap(*changes: tuple[Any, str, Any]) -> Undo:
    """Sets attributes; the answer puts back what was there."""
    before = [(owner, name, vars(owner)[name]) for owner, name, _ in changes]
    for owner, name, value in changes:
        setattr(owner, name, value)

    def undo() -> None:
        for owner, name, value in before:
            setattr(owner, name, value)

    return undo


class _DryRun(Exception):
    def __init__(self, result: Any) -> None:
        self.result = result


def _ack_before_commit() -> Undo:
    def take(self: shell.Node, items: Any, *, relayed: bool, then: Any) -> None:
        prepared = self.exchange.prepare(items, relayed=relayed)

        def rehearse(tx: sqlite3.Connection) -> None:
            raise _DryRun(self.exchange.receive(tx, items, prepared, relayed=relayed))

        rehearsed = self.store.execute_group([rehearse])[0].error
        assert isinstance(rehearsed, _DryRun)
        then(rehearsed.result._replace(signed=[]))

        def later() -> None:
            self.submit(lambda tx: self.exchange.receive(tx, items, prepared, relayed=relayed), committed)

        def committed(outcome: Any) -> None:
            rest = outcome.value.signed if relayed and outcome.value else []
            self.submit(lambda tx: shell.queue_receipts(tx, rest, self.clock.now()), lambda _: self.wake(0))

        self.kernel.after(2_000, self.guarded(later))

    return _swap((shell.Node, "take", take))


class _Forgetful:
    """A connection on which `inbox` can be asked only about what this process itself put in."""

    def __init__(self, tx: sqlite3.Connection, memory: dict[str, None]) -> None:
        self._tx = tx
        self._memory = memory

    def execute(self, sql: str, args: Any = ()) -> Any:
        if "FROM inbox WHERE" in sql and not any(arg in self._memory for arg in args):
            return self._tx.execute("SELECT 1 WHERE 0")
        return self._tx.execute(sql, args)

    def executemany(self, sql: str, rows: list[Any]) -> Any:
        if "INTO inbox" in sql:
            self._memory.update(dict.fromkeys(str(value) for row in rows for value in (row[0], row[2])))
        return self._tx.executemany(sql, rows)


def _dedup_in_memory() -> Undo:
    sound = inbox.receive

    def receive(tx: Any, ctx: Any, prepared: Any) -> Any:
        memory = ctx.__dict__.setdefault("planted_memory", {})
        return sound(_Forgetful(tx, memory), ctx, prepared)  # type: ignore[arg-type]

    return _swap((inbox, "receive", receive))


def _retry_with_new_id() -> Undo:
    sound = delivery.failed

    def failed(tx: Any, ctx: Any, parcel: Any, *, retry_after: int | None) -> None:
        sound(tx, ctx, parcel, retry_after=retry_after)
        for mid in parcel.mids:
            _made_anew(tx, ctx, mid)

    return _swap((delivery, "failed", failed))


def _made_anew(tx: Any, ctx: Any, mid: str) -> None:
    row = tx.execute(
        "SELECT jti, leg, writer, n, dest, urgent FROM outgoing WHERE mid = ? AND s IS NOT NULL", (mid,)
    ).fetchone()
    if row is None or row[1] is None:
        return
    jti, leg, writer, n, dest, urgent = row
    held = log.leg_row(tx, leg)
    key = ctx.case_keys.obtain(tx, held.case_id)
    (sealed,) = tx.execute("SELECT sealed FROM event WHERE jti = ?", (jti,)).fetchone()
    plain = ctx.case_keys.open(key, f"{leg}|{writer}|{n}|{jti}", sealed)
    body = msgspec.structs.replace(msgspec.json.decode(plain[32:], type=EventBody), jti=ctx.dice.uuid4())
    raw = msgspec.json.encode(body)
    tx.execute("DELETE FROM outgoing WHERE jti = ?", (jti,))
    e, fresh = outbox.send_body(tx, ctx, dest, body, plain[:32], raw, place=(leg, writer, n), urgent=bool(urgent))
    tx.execute(
        "UPDATE event SET jti = ?, e = ?, mid = ?, cm = ?, sealed = ? WHERE jti = ?",
        (body.jti, e, fresh, commitment(plain[:32], raw), ctx.case_keys.seal(key, f"{leg}|{writer}|{n}|{body.jti}", plain[:32] + raw), jti),
    )  # fmt: skip


class _Believed(NamedTuple):
    receipt: Any


def _receipt_not_verified() -> Undo:
    def read_receipt(text: str, membership: Any, **_: Any) -> _Believed:
        payload = parse_compact(text, RCPT, max_bytes=RECEIPT_MAX).payload
        return _Believed(decode(payload, Receipt, max_bytes=RECEIPT_MAX))

    return _swap((inbox, "read_receipt", read_receipt))


def _synchronous_off() -> Undo:
    sound = store_module.Store._migrate

    def migrate(self: Any, migrations: Any) -> None:
        sound(self, migrations)
        self._conn.execute("PRAGMA synchronous=OFF")

    return _swap((store_module.Store, "_migrate", migrate))


def _dedup_without_sender() -> Undo:
    def known_event(tx: Any, batch: Any, sender: str, jti: str) -> Any:
        row = tx.execute("SELECT mid, jti, cm, k, st, h, prob FROM inbox WHERE jti = ? LIMIT 1", (jti,)).fetchone()
        return inbox._Answer(*row) if row else None

    return _swap((inbox, "_known_event", known_event))


def _sent_before_commit() -> Undo:
    sound = people.People.submit

    def submit(self: people.People, node: shell.Node, command: Any, what: str) -> None:
        def eager(tx: sqlite3.Connection) -> Any:
            done = command(tx)
            for parcel in node.exchange.due(tx, in_flight=node.in_flight):
                node.send(parcel)
            return done

        sound(self, node, eager, what)

    return _swap((people.People, "submit", submit))


def _stale_relay() -> Undo:
    sound = relay.Mailbox.__init__

    def init(self: relay.Mailbox, host: Any, net: str, membership: Any, wake: Any, history: Any) -> None:
        first: list[Any] = []

        def once() -> Any:
            first[:] = first or [membership()]
            return first[0]

        sound(self, host, net, once, wake, history)

    return _swap((relay.Mailbox, "__init__", init))


def _fold_by_arrival() -> Undo:
    def logs(db: sqlite3.Connection, leg: str) -> tuple[list[referral.Event], list[referral.Event]]:
        s_log: list[referral.Event] = []
        r_log: list[referral.Event] = []
        rows = db.execute(
            "SELECT writer, n, kind, seen, reason, outcome, cm, voids FROM event WHERE leg = ? ORDER BY rowid", (leg,)
        )
        for row in rows:
            event = referral.Event(*row)
            if event.writer == "S":
                s_log.append(event)
            else:
                r_log.append(msgspec.structs.replace(event, seen=len(s_log)))
        return sorted(s_log, key=lambda e: e.n), sorted(r_log, key=lambda e: e.n)

    return _swap((log, "logs", logs), (desk, "logs", logs))


def _final_without_h() -> Undo:
    def is_final(leg: Any, side: str, *, acks: Any, gap: bool, peer_ended: bool = False) -> bool:
        by = leg.settled_by
        return by is not None and (side == "R" or by.writer == "R" or by.kind == "void" or by.n in acks)

    return _swap((ends, "is_final", is_final))


def _gap_applied() -> Undo:
    def effective(events: Any) -> Any:
        return sorted({event.n: event for event in events}.values(), key=lambda event: event.n)

    return _swap((referral, "effective", effective))


def _reseal_new_salt() -> Undo:
    sound_reseal, sound_send = outbox.reseal, outbox.send_body

    def send_body(tx: Any, ctx: Any, dest: str, body: Any, salt: bytes, raw: bytes, **rest: Any) -> Any:
        return sound_send(tx, ctx, dest, body, ctx.dice.bytes(32), raw, **rest)

    def reseal(tx: Any, ctx: Any, mid: str) -> Any:
        outbox.send_body = send_body
        try:
            return sound_reseal(tx, ctx, mid)
        finally:
            outbox.send_body = sound_send

    return _swap((outbox, "reseal", reseal), (delivery, "reseal", reseal))


def _relay_deletes_on_fetch() -> Undo:
    def mark_fetched(tx: sqlite3.Connection, owner: str, positions: Any) -> None:
        tx.executemany("DELETE FROM post WHERE owner = ? AND pos = ?", [(owner, int(pos)) for pos in positions])

    return _swap((box, "mark_fetched", mark_fetched))


def _plain_at_rest() -> Undo:
    def seal(self: CaseKeys, key: Any, place: str, plain: bytes) -> bytes:
        return bytes(NONCE) + plain

    def open_(key: Any, place: str, stored: bytes) -> bytes:
        return stored[NONCE:]

    def obtain(self: CaseKeys, tx: sqlite3.Connection, case_id: str) -> Any:
        return None

    return _swap((CaseKeys, "seal", seal), (CaseKeys, "open", staticmethod(open_)), (CaseKeys, "obtain", obtain))


def _late_body_kept() -> Undo:
    return _swap((inbox, "is_erased", lambda tx, leg, peer: False))


def _erased_body_for_ever_on_its_way() -> Undo:
    return _swap((outbox.erased, "settle_changed", lambda tx, ctx, legs: None))


def _said_and_not_done() -> Undo:
    return _swap((erasing, "erase_case", lambda tx, ctx, leg, **_: []))


def _revoked_for_ever_on_its_way() -> Undo:
    return _swap((resigning, "reseal_revoked", lambda tx, ctx, limit=200: 0))


def _receipt_of_a_revoked_key() -> Undo:
    return _swap((resigning, "receipt", lambda tx, ctx, number, raw: raw))


def _new_key_taken_as_it_comes() -> Undo:
    return _swap((confirming, "check", lambda db, member: None), (confirming, "is_open", lambda db, member: True))


def _part_sealed_once() -> Undo:
    def unsent(tx: Any, peer: str, most: int) -> Any:
        """A part that was sealed once counts as out, whatever became of its sealing."""
        rows = tx.execute("SELECT id FROM blob WHERE state = 'sending' AND peer = ? ORDER BY id", (peer,)).fetchall()
        found = []
        for (number,) in rows:
            blob = blobs.by_id(tx, number)
            assert blob is not None
            out = {i for (i,) in tx.execute("SELECT i FROM part_out WHERE blob = ?", (number,))}
            found += [(blob, i) for i in range(1, blob.parts + 1) if i not in out]
        return found[: max(most, 0)]

    return _swap((parts, "_unsent", unsent))


def _early_part_under_any_hash() -> Undo:
    """A part is put where there is room, not where its hash says."""
    sound = blobs.find

    def find(db: Any, leg: str, peer: str, own: bool, sha: str) -> Any:
        rows = [] if own else [blob for blob in blobs.blobs_of(db, leg) if not blob.own and blob.peer == peer]
        return next((blob for blob in rows if blob.state == "arriving"), None) or sound(db, leg, peer, own, sha)

    return _swap((blobs, "find", find))


def _numbers_left_open() -> Undo:
    return _swap((resync, "_void", lambda tx, ctx, row, writer, n: None))


def _own_copy_wins() -> Undo:
    sound = resync.rules.repair

    def repair(mine: Any, theirs: Any) -> Any:
        """What the peer holds of ours is left with it."""
        return sound(mine, theirs)._replace(take=(), displaced=(), rewrite=())

    return _swap((resync.rules, "repair", repair))


def _written_while_open() -> Undo:
    return _swap((restored, "may_write", lambda db, leg, kind: True))


def _loss_not_noticed() -> Undo:
    return _swap((resync, "begin", lambda tx, ctx, peer, **_: False))


def _duty_forgotten(do: str) -> Undo:
    sound = forwarding.duties

    def duties(parent: Any, children: Any, **rest: Any) -> Any:
        return tuple(duty for duty in sound(parent, children, **rest) if duty.do != do)

    return _swap((forwarding, "duties", duties))


def _second_child() -> Undo:
    sound = cases_forwarding.check_open
    return _swap((cases_forwarding, "check_open", lambda parent, children, **rest: sound(parent, (), **rest)))


def _one_story_taken_for_another() -> Undo:
    return _swap((map_heads, "judge", lambda db, note, keys, known: "same"))


def _proof_thrown_away() -> Undo:
    return _swap((map_heads, "keep_pair", lambda tx, pair, source, now: None))


def _anybody_acknowledges() -> Undo:
    settle = {k: sql.replace(" AND dest = :dest", "") for k, sql in outbox._SETTLE.items()}
    return _swap((outbox, "_SETTLE", settle), (outbox, "_DELETE", outbox._DELETE.replace(" AND dest = :dest", "")))


TABLE: Final[tuple[Bug, ...]] = (
    Bug("ack-before-commit", "the receipt leaves before the group is committed", _ack_before_commit),
    Bug("dedup-in-memory", "what was received is remembered until the next restart only", _dedup_in_memory),
    Bug("retry-with-new-id", "a failed sending is written again with a new jti", _retry_with_new_id),
    Bug("receipt-not-verified", "a receipt is believed without looking at its signature", _receipt_not_verified),
    Bug("synchronous-off", "the store is set to synchronous=OFF after it was opened", _synchronous_off),
    Bug("dedup-without-sender", "an event is known by its jti alone", _dedup_without_sender),
    Bug("sent-before-commit", "the outbox is sent from inside the command", _sent_before_commit),
    Bug("stale-relay", "a relay never looks at a newer membership", _stale_relay),
    Bug("fold-by-arrival", "the history is ordered by time of arrival instead of `seen`", _fold_by_arrival),
    Bug("final-without-h", "a cancel is shown as final at any `processed`, whatever its `h`", _final_without_h),
    Bug("gap-applied", "an event behind a gap is applied", _gap_applied),
    Bug("reseal-new-salt", "sealing again takes a new salt, hence another cm", _reseal_new_salt),
    Bug("relay-deletes-on-fetch", "a mailbox forgets what it has shown once", _relay_deletes_on_fetch),
    Bug("late-body-kept", "an event that comes after its leg was erased is kept with its words", _late_body_kept),
    Bug("travelling-body-kept", "the step that ended an erased leg keeps its body", _erased_body_for_ever_on_its_way),
    Bug("said-and-not-done", "a request to erase is answered `erased`, and nothing happens", _said_and_not_done),
    Bug("revoked-not-resealed", "what a revoked key signed goes on being sent as it is", _revoked_for_ever_on_its_way),
    Bug("revoked-receipt", "a stored receipt is answered under the key that is revoked", _receipt_of_a_revoked_key),
    Bug("unconfirmed", "a key that begins a chain anew is sealed to as it comes", _new_key_taken_as_it_comes),
    Bug("part-sealed-once", "a part whose sealing expired is not made again", _part_sealed_once),
    Bug("part-under-any-hash", "a part is put with whatever file still lacks one", _early_part_under_any_hash),
    Bug("numbers-left-open", "after a restore no `void` is written for numbers nobody holds", _numbers_left_open),
    Bug("own-copy-wins", "after a restore what the peer holds of ours is not taken back", _own_copy_wins),
    Bug("written-while-open", "a restored member writes on old legs before it was told", _written_while_open),
    Bug("loss-not-noticed", "a restored member never asks what it forgot", _loss_not_noticed),
    Bug("second-child", "a router opens a child while another is open", _second_child),
    Bug("not-mirrored", "what becomes of a child is not said on its parent", lambda: _duty_forgotten("mirror")),
    Bug("parent-left-open", "a closed child does not close its parent", lambda: _duty_forgotten("close")),
    Bug("cancel-kept", "a cancel asked of a router is not passed on", lambda: _duty_forgotten("cancel")),
    Bug("heads-all-alike", "every head that a peer shows is taken for ours", _one_story_taken_for_another),
    Bug("heads-pair-lost", "two heads that contradict each other are not kept", _proof_thrown_away),
    Bug("acknowledged-by-anybody", "a receipt counts whoever signed it", _anybody_acknowledges),
    Bug("plain-at-rest", "salt and body lie in the database as they are", _plain_at_rest),
)
NAMES: Final = tuple(bug.name for bug in TABLE)


@contextlib.contextmanager
def planted(name: str) -> Iterator[None]:
    """The bug of that name for the length of the block; "" plants nothing."""
    undo = next(bug.plant for bug in TABLE if bug.name == name)() if name else lambda: None
    try:
        yield
    finally:
        undo()
