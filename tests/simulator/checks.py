"""The invariants of SECURITY §3.1, looked at after a run: what stores hold against what the observer saw."""

import sqlite3
from base64 import b64encode
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from node.cases import views
from node.exchange import blobs, ends, restored
from node.exchange.log import LegRow, leg_row, logs
from node.map import follow
from node.map.fold import View
from node.map.ndjson import map_lines
from node.map.tables import SqliteMap
from protocol.errors import ProtocolError
from protocol.receipts import RANK, read_receipt
from protocol.referral import Event, effective, fold, has_gap, history
from tests.simulator import older, routers
from tests.simulator.follower import rebuild
from tests.simulator.history import Sent
from tests.simulator.kernel import Violation
from tests.simulator.people import CANARY
from tests.simulator.shell import Node, read_acks

if TYPE_CHECKING:
    from tests.simulator.world import World

_FILES_WAITING: Final = "SELECT leg, peer, state FROM blob WHERE state IN ('sending', 'arriving')"
_OF_RESTORE: Final = ("restored", "peer-restored", "we-were-restored", "resync-unproven", "given-back")
_EVENTS: Final = "SELECT leg, writer, n, jti, kind, cm, k, mid FROM event"


def safety(world: "World") -> dict[str, "Held"]:
    """What has to hold at every moment, with things still on their way."""
    stores = {node.name: Held(node) for node in world.nodes}
    for held in stores.values():
        nothing_set_aside(held)
        if held.name == world.hostile:  # its own people suffer for what its other hand does
            continue
        if held.name not in world.history.restored:  # what it forgot is looked at when it had time to get it back
            acknowledged_is_held(world, held)
            told_is_held(world, held)
            delivered_has_receipts(world, held)
        once_only(held, world.hostile)
        nothing_alarming(world, held)
        late_is_shown(held)
        whole_is_what_was_sent(world, held)
    for mailbox in world.directory.mailboxes.values():
        mailbox.keeps_its_word()
    return stores


def everything(world: "World") -> None:
    """All of them, once nothing is on its way any more."""
    stores = safety(world)
    for held in stores.values():
        if held.name == world.hostile:
            continue
        if held.name in world.history.restored:
            restored_has_it_back(world, stores, held)
        finals_hold(world, held)
        files_arrived(world, held, stores)
        routers.custody_is_one(world, held)
    both_ends_agree(world, stores)
    queue_is_total(world, stores)
    suspension_holds(world)
    one_map(world)
    if world.fork:
        world.fork.found_out()
    older.never_ahead_of_its_time(world)
    for held in stores.values():
        erased_is_gone(world, held, stores)
    sealed_stays_sealed(world)


class Held:
    """What one node's store says at the end."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.name = node.name
        db = self.db = node.store._conn
        self.events: list[tuple[Any, ...]] = db.execute(_EVENTS).fetchall()
        self.legs = {row[0]: leg_row(db, row[0]) for row in db.execute("SELECT leg FROM leg").fetchall()}
        self.inbox = {row[0]: row for row in db.execute("SELECT mid, sender, jti, k, st, cm FROM inbox")}
        self.by_jti: dict[str, list[tuple[Any, ...]]] = {}
        for event in self.events:
            self.by_jti.setdefault(event[3], []).append(event)

    def leg(self, leg: str) -> LegRow:
        row = self.legs[leg]
        assert row is not None
        return row


def acknowledged_is_held(world: "World", held: Held) -> None:
    """I1: what this node signed for exists in its store, as advanced as it said, after whatever crashes."""
    for acked in world.history.acked.values():
        if acked.signer != held.name:
            continue
        row = held.inbox.get(acked.mid)
        if row is None or RANK[row[3]] < RANK[acked.k]:
            raise Violation("I1-acknowledged-lost", f"{held.name} {acked.k} {acked.mid}: {row}")
        sent = world.history.sent.get(acked.mid)
        letter = sent is not None and _is_letter(world, sent)
        if (
            acked.k == "processed"
            and sent is not None
            and sent.leg is not None
            and not letter
            and row[2] not in held.by_jti
        ):
            raise Violation("I1-processed-without-event", f"{held.name} {row[2]}")


def _is_letter(world: "World", sent: Sent) -> bool:
    """A message about a leg that is no event of it: its sender keeps a row of it for ever."""
    sender = next(node for node in world.nodes if node.name == sent.sender)
    return sender.store._conn.execute("SELECT 1 FROM letter WHERE jti = ?", (sent.jti,)).fetchone() is not None


def erased_is_gone(world: "World", held: Held, stores: dict[str, Held]) -> None:
    """I17: of an erased leg no body is left, nor a key without one; whoever says "erased" has erased."""
    for leg, peer in held.db.execute("SELECT leg, peer FROM erased").fetchall():
        row = held.legs.get(leg)
        if row is None or (peer is not None and peer != row.peer) or excused(world, held.name, row.peer):
            continue
        left = held.db.execute(
            "SELECT kind FROM event WHERE leg = ? AND (sealed IS NOT NULL OR e != '')", (leg,)
        ).fetchall()
        left += held.db.execute("SELECT id FROM blob WHERE leg = ? AND peer = ?", (leg, row.peer)).fetchall()
        if left:
            raise Violation("I17-body-left", f"{held.name} {leg} {left}")
    for (case_id,) in held.db.execute("SELECT case_id FROM case_key").fetchall():
        if not held.db.execute(
            "SELECT 1 FROM event JOIN leg USING (leg) WHERE case_id = ?1 AND sealed IS NOT NULL"
            " UNION ALL SELECT 1 FROM blob WHERE key_id = ?1"
            " UNION ALL SELECT 1 FROM resync_page WHERE 'resync ' || peer = ?1",
            (case_id,),
        ).fetchone():
            raise Violation("I17-key-left", f"{held.name} {case_id}")
    for leg, peer in held.db.execute(
        "SELECT leg, peer FROM erasure_request WHERE own = 1 AND answer = 'erased' AND upto IS NULL"
    ).fetchall():
        if (
            peer != world.hostile
            and stores[peer].db.execute("SELECT 1 FROM erased WHERE leg = ?", (leg,)).fetchone() is None
        ):
            raise Violation("I17-said-not-done", f"{peer} {leg} for {held.name}")


def restored_has_it_back(world: "World", stores: dict[str, Held], held: Held) -> None:
    """I16: what it signed for, and what its people wrote and anybody else got, is here again, or given back to them.

    Gone for good is only what nobody else had: written after the copy and never delivered, or lost at both ends.
    """
    made, back = world.history.restored[held.name]
    given = {row[0] for row in held.db.execute("SELECT jti FROM given_back")}
    here = {*held.by_jti, *given}
    erased = {row[0] for row in held.db.execute("SELECT leg FROM erased")}
    for acked in world.history.acked.values():
        sent = world.history.sent.get(acked.mid)
        if acked.signer != held.name or acked.k != "processed" or sent is None or sent.leg is None:
            continue
        if sent.leg in erased or not _has_offer(stores[acked.to], sent.leg):
            continue
        if sent.jti not in here and acked.to not in world.history.restored and not excused(world, held.name, acked.to):
            raise Violation("I16-acknowledged-lost", f"{held.name} {acked.mid} {sent.leg}")
    for told in world.history.told:
        if told.node != held.name or told.jti in here:
            continue
        others = [
            name
            for name, other in stores.items()
            if told.jti in other.by_jti and not excused(world, held.name, name) and _has_offer(other, told.leg)
        ]
        if others or not made <= told.at <= back:
            raise Violation("I16-told-lost", f"{told} is held by {others}")


def _has_offer(held: Held, leg: str) -> bool:
    """It can be given back: the offer came there, and nobody erased it there since."""
    row = held.legs.get(leg)
    return (
        row is not None
        and row.state != "none"
        and held.db.execute("SELECT 1 FROM erased WHERE leg = ?", (leg,)).fetchone() is None
    )


def told_is_held(world: "World", held: Held) -> None:
    """I1 for people: what the screen said was written is written."""
    for told in world.history.told:
        if told.node == held.name and told.jti not in held.by_jti and not _given_back(world, held, told.leg, told.jti):
            raise Violation("I1-told-lost", f"{told}")


def _given_back(world: "World", held: Held, leg: str, jti: str) -> bool:
    """A member that means harm made us believe that we forgot it: it is with the people who wrote it."""
    row = held.legs.get(leg)
    back = held.db.execute("SELECT 1 FROM given_back WHERE jti = ?", (jti,)).fetchone()
    return row is not None and row.peer == world.hostile and back is not None


def once_only(held: Held, hostile: str) -> None:
    """I2: one row for one event, one standing content for one place."""
    for jti, rows in held.by_jti.items():
        if len(rows) > 1:
            raise Violation("I2-twice", f"{held.name} {jti}: {rows}")
    places = Counter((event[0], event[1], event[2]) for event in held.events if event[4] != "void")
    for place, count in places.items():
        if count > 1 and held.leg(place[0]).peer != hostile:  # its own two tales of its own log
            raise Violation("I2-two-contents", f"{held.name} {place}")
    seen = Counter((row[1], row[2]) for row in held.inbox.values() if row[3] == "processed")
    for (sender, jti), _ in seen.items():
        cms = {row[5] for row in held.inbox.values() if row[1] == sender and row[2] == jti and row[3] == "processed"}
        if len(cms) > 1:
            raise Violation("I2-two-contents-one-id", f"{held.name} {sender} {jti}")


def delivered_has_receipts(world: "World", held: Held) -> None:
    """I3: "consegnata" only with a stored receipt whose signature holds and which names a sealing of that event."""
    proven: dict[str, set[str]] = {}
    # Taken in by a clock that was wrong then, from a peer whose clock was wrong too: the signature is what counts here.
    now = held.node.clock.now() + 10 * 365 * 86400
    for peer, raw in held.db.execute("SELECT peer, raw FROM receipt WHERE own = 0"):
        if raw not in held.node.read_receipts:
            try:
                read_receipt(raw, world.board.membership, net=world.board.net, me=held.name, now=now)
            except ProtocolError as problem:
                if problem.code != "revoked-key":  # its signature holds; when it came the key counted
                    raise Violation("I3-unverified-receipt", f"{held.name} from {peer}: {problem.code}") from None
            held.node.read_receipts.add(raw)
        receipt = read_acks(raw)
        for ack in receipt.acks:
            sent = world.history.sent.get(ack.mid)
            if sent and sent.sender == held.name and sent.dest == receipt.sender:
                proven.setdefault(sent.jti, set()).add(ack.k)
    for leg, writer, n, jti, _, _, k, _ in held.events:
        # What one that means harm gave back as ours in an answer we asked for counts as it says.
        if k is not None and k not in proven.get(jti, ()) and held.leg(leg).peer != world.hostile:
            raise Violation("I3-delivered-without-receipt", f"{held.name} {leg} {writer}{n} {k}")


def nothing_alarming(world: "World", held: Held) -> None:
    """Nobody restored anything here and nobody reused a number: such alarms would be false."""
    for code, node, leg in held.db.execute("SELECT code, node, leg FROM alarm"):
        row = held.legs.get(leg)
        about = {node, row.peer if row else None}
        if world.hostile not in about and (
            (code in _OF_RESTORE and not world.plan.has("restore"))
            or (
                code == "rejected"
                and not (world.plan.has("defect") or world.plan.has("restore") or about & world.older)
            )
        ):
            raise Violation("I6-false-alarm", f"{held.name} {code} {node} {leg}")
        if code in ("heads-differ", "log-fork", "log-rollback") and not (world.fork and world.fork.began):
            raise Violation("I7-false-alarm", f"{held.name} {code} {node}")
        if code == "forward-stuck":
            raise Violation("forward-stuck", f"{held.name} {leg}")
        if code in _TAMPERED and not (code == "own-entry-foreign-routes" and held.name in world.history.restored):
            raise Violation("I20-false-alarm", f"{held.name} {code}")


# Nobody but the body itself changed its entry here.
_TAMPERED: Final = frozenset(
    f"own-entry-{what}" for what in ("absent", "foreign-key", "foreign-routes", "changed", "unroutable")
)


def nothing_set_aside(held: Held) -> None:
    """The engine itself never fails: what it sets aside here is a fault of ours, whoever sent it."""
    for sender, fault in held.db.execute("SELECT sender, fault FROM aside"):
        raise Violation("I13-set-aside", f"{held.name} from {sender}: {fault}")


def late_is_shown(held: Held) -> None:
    """I4: an offer past its time that nobody opened stands among the late ones, at both ends."""
    now = held.node.clock.now()
    late = {line.leg for line in views.listing(held.db, held.node.ctx, late=True)}
    for row in held.legs.values():
        if row is not None and row.state == "offered" and row.side in "SR":
            due = row.ack_by or row.alarm_at or row.respond_by
            if due is None or (now > due and row.leg not in late):
                raise Violation("I4-not-told", f"{held.name} {row.side} {row.leg}")


def whole_is_what_was_sent(world: "World", held: Held) -> None:
    """A file shown as arrived is, byte for byte, one that somebody attached; what is sealed at rest opens."""
    for blob in _blobs(held):
        if blob.peer == world.hostile:
            continue
        if blob.state in ("complete", "sending", "confirmed") and blob[:5] not in held.node.read_files:
            if b"".join(blobs.parts(held.db, held.node.ctx, blob)) != world.history.attached[blob.sha256]:
                raise Violation("file-altered", f"{held.name} {blob.leg} {blob.state}")
            held.node.read_files.add(blob[:5])
        given_up = blob.state in ("failed", "refused") and not world.plan.has("defect")
        forgotten = (
            blob.peer in world.history.restored or blob.peer in world.older
        )  # the bytes of a file are nowhere but at its two ends
        if given_up and not forgotten and not _erased_by(world, blob.peer, blob.leg):
            raise Violation("file-given-up", f"{held.name} {blob.leg} {blob.state}")


def files_arrived(world: "World", held: Held, stores: dict[str, Held]) -> None:
    """Once healed and quiet, every file whose event stands is whole at its reader, and its sender knows."""
    for blob in _blobs(held):
        row = held.legs.get(blob.leg)
        if (
            not blob.own
            or row is None
            or row.side == "L"
            or excused(world, held.name, blob.peer)
            or world.plan.has("defect")
        ):
            continue
        if _erased_by(world, blob.peer, blob.leg) or blob.peer in {*world.history.restored, *world.older}:
            continue
        there = blobs.find(stores[blob.peer].db, blob.leg, held.name, False, blob.sha256)
        if blob.state != "confirmed" or there is None or there.state != "complete":
            raise Violation("file-lost", f"{held.name} → {blob.peer} {blob.leg} {blob.state} {there}")


def _erased_by(world: "World", name: str, leg: str) -> bool:
    node = next(node for node in world.nodes if node.name == name)
    return node.store._conn.execute("SELECT 1 FROM erased WHERE leg = ?", (leg,)).fetchone() is not None


def _blobs(held: Held) -> list[blobs.Blob]:
    return [
        blob for (leg,) in held.db.execute("SELECT DISTINCT leg FROM blob") for blob in blobs.blobs_of(held.db, leg)
    ]


def finals_hold(world: "World", held: Held) -> None:
    """After everything arrived, every end is final, and no event of a receiver was overruled without a `void`."""
    for row in held.legs.values():
        assert row is not None
        s_log, r_log = logs(held.db, row.leg)
        folded = fold(s_log, r_log)
        if folded.state != row.state:
            raise Violation("I6-stored-state", f"{held.name} {row.leg}")
        if has_gap(s_log) or has_gap(r_log):
            if row.state != "none" and not excused(world, held.name, row.peer):
                raise Violation("I5-gap-left", f"{held.name} {row.leg}")
            continue
        voided = any(event.kind == "void" for event in (*s_log, *r_log))
        hostile = excused(world, row.peer)
        if not voided and not hostile and any(entry.writer == "R" for entry in folded.overruled):
            raise Violation("I6-receiver-overruled", f"{held.name} {row.leg}: {folded.overruled}")
        settled = row.side == "S" and folded.is_terminal and not excused(world, held.name, row.peer)
        if settled and not ends.final(held.db, held.node.ctx, row, folded):
            raise Violation("I6-never-final", f"{held.name} {row.leg} {folded.state}")
        for step in history(s_log, r_log):
            if step.overruled and step.before != step.after:
                raise Violation("I6-illegal-transition", f"{held.name} {row.leg} {step}")


def excused(world: "World", *names: str) -> bool:
    """A suspended member neither receives nor is heard: what is between it and others stays as it is.

    Nobody can be held to what one that means harm says; a body of 0.1.0 cannot tell a restored one what it forgot.
    """
    apart = world.older.intersection(names) and any(name in world.history.restored for name in names)
    return bool(apart) or any(name in world.history.suspended_at or name == world.hostile for name in names)


def _skeleton(log: list[Event]) -> list[tuple[Any, ...]]:
    return [(e.writer, e.n, e.kind, e.seen, e.reason, e.outcome, e.cm) for e in effective(log)]


def both_ends_agree(world: "World", stores: dict[str, Held]) -> None:
    """I5: the same histories at both ends, hence the same state."""
    for held in stores.values():
        for row in held.legs.values():
            assert row is not None
            if row.side != "S" or row.state == "undeliverable" or excused(world, held.name, row.peer):
                continue
            other = stores[row.peer]
            if row.leg not in other.legs:
                # Lost at both ends; or never delivered, and erased by who wrote it: an old copy has no word of its own left.
                if {row.peer, held.name} & world.history.restored.keys() and not _has_offer(held, row.leg):
                    continue
                raise Violation("I5-leg-missing", f"{held.name} → {row.peer} {row.leg}")
            mine, theirs = logs(held.db, row.leg), logs(other.db, row.leg)
            if tuple(map(_skeleton, mine)) != tuple(map(_skeleton, theirs)):
                raise Violation("I5-logs-differ", f"{row.leg} {held.name} {row.peer}\n{mine}\n{theirs}")
            if fold(*mine) != fold(*theirs) or row.state != other.leg(row.leg).state:
                raise Violation("I5-states-differ", f"{row.leg} {row.state} {other.leg(row.leg).state}")


def queue_is_total(world: "World", stores: dict[str, Held]) -> None:
    """The total-queue checker: every event written for a peer and not refused is there once; nothing else is there."""
    for held in stores.values():
        for leg, writer, n, jti, kind, cm, _, _ in held.events:
            row = held.leg(leg)
            if row.side == "L":
                continue
            mine = writer == row.side
            other = stores[row.peer]
            there = other.by_jti.get(jti, [])
            lost = bool({row.peer, held.name} & world.history.restored.keys()) and not _has_offer(held, leg)
            if mine and not there and not lost and not _never_arrives(world, held, row, n, writer, jti):
                raise Violation("queue-lost", f"{held.name} → {row.peer} {leg} {writer}{n} {kind}")
            if excused(world, held.name, row.peer):
                continue
            if not mine and not lost and not [e for e in there if (e[0], e[1], e[2], e[5]) == (leg, writer, n, cm)]:
                raise Violation("queue-unexpected", f"{held.name} holds {leg} {writer}{n} {kind} of {row.peer}")


def _never_arrives(world: "World", held: Held, row: LegRow, n: int, writer: str, jti: str) -> bool:
    if excused(world, held.name, row.peer) or row.state == "undeliverable":
        return True
    if held.db.execute(
        "SELECT 1 FROM event AS it JOIN event AS instead USING (leg, writer, n) WHERE it.jti = ?"
        " AND instead.kind = 'void' AND instead.voids = it.cm AND it.k IS NULL",
        (jti,),
    ).fetchone():
        return True  # taken back: its `void` is what has to arrive
    refused = held.db.execute("SELECT 1 FROM event WHERE jti = ? AND k = 'rejected'", (jti,)).fetchone()
    return refused is not None and world.plan.has("defect")


def on_the_way(world: "World") -> list[str]:
    """What has no signed end yet, but for what a suspension holds."""
    found = []
    for node in world.nodes:
        for jti, dest, leg in node.store.read(lambda db: db.execute("SELECT jti, dest, leg FROM outgoing").fetchall()):
            if not excused(world, node.name, dest):
                found.append(f"{node.name} → {dest} {leg} {jti}")
        for leg, peer, state in node.store.read(lambda db: db.execute(_FILES_WAITING).fetchall()):
            if not excused(world, node.name, peer) and not world.plan.has("defect"):
                found.append(f"{node.name} {peer} {leg}: a file is {state}")
        for peer in node.store.read(restored.open_peers):
            if not excused(world, node.name, peer):
                found.append(f"{node.name} waits for {peer} after a restore")
    return found


def behind(world: "World") -> list[str]:
    """Copies of the log that are not at its head yet, and publications still on their way."""
    db = world.board.store._conn
    size = world.board.engine.log_page(db, 0).size
    late = [
        f"{node.name} follows"
        for node in world.nodes
        if node.membership.version < world.board.membership.version
        or (
            not (world.fork and world.fork.hides_from(node))
            and (
                follow.held(node.reader).edge.size < size
                or next(follow.wanted(node.reader, node.membership), None) is not None
            )
        )
    ]
    return late + [f"{name} publishes" for name, one in world.publishers.items() if one.waiting is not None]


def one_map(world: "World") -> None:
    """I8: registry, every replica and a rebuild from zero give the same bytes, in both views. I7: one log for all."""
    board_db = world.board.store._conn
    fresh = rebuild(board_db, world)
    note = follow.held(fresh).note
    one_story = [node for node in world.nodes if not (world.fork and world.fork.hides_from(node))]
    for view in ("public", "members"):
        wanted = map_bytes(board_db, view)
        if map_bytes(fresh, view) != wanted:
            raise Violation("I8-rebuild-differs", view)
        for node in one_story:
            if map_bytes(node.reader, view) != wanted:
                raise Violation("I8-replica-differs", f"{node.name} {view}")
    for node in one_story:
        if follow.held(node.reader).note != note or (follow.proofs(node.reader) and not world.fork):
            raise Violation("I7-heads-differ", node.name)
        if follow.compare_head(node.reader, note, node.trust.root) != "same":
            raise Violation("I7-heads-differ", node.name)
    fresh.close()


def map_bytes(db: sqlite3.Connection, view: View) -> bytes:
    """GET /v1/map.ndjson."""
    return b"".join(map_lines(SqliteMap(db).entries(), view))


def suspension_holds(world: "World") -> None:
    """I11: once healed, no relay keeps anything from a suspended member."""
    grace = world.plan.span + 2 * 3_600_000
    for relay, caller, when in world.history.held_of_suspended:
        suspended = world.history.suspended_at.get(caller)
        if suspended is not None and when > max(grace, suspended + 2 * 3_600_000):
            raise Violation("I11-suspended-accepted", f"{relay} kept post of {caller} at {when}")


def sealed_stays_sealed(world: "World") -> None:
    """I10: no canary and no leg id in the raw files of the registry; no canary in any file at all."""
    marks = _spellings(CANARY)
    legs = [leg.encode() for node in world.nodes for (leg,) in _some_legs(node.store._conn)]
    for host in world.hosts():
        raw = b"".join(path.read_bytes() for path in sorted(host._path().parent.glob("raccordo.db*")))
        for mark in marks if host is world.board else marks[: 2 if world.plan.real else 1]:
            if mark in raw:
                raise Violation("I10-canary", f"{host.name}: {mark!r}")
        if host is world.board and any(leg in raw for leg in legs):
            raise Violation("I10-leg-id", host.name)


def _some_legs(db: sqlite3.Connection) -> list[tuple[str]]:
    return db.execute("SELECT leg FROM leg ORDER BY leg LIMIT 3").fetchall()


def _spellings(text: str) -> list[bytes]:
    plain = text.encode()
    spelt = [plain, text.encode("utf-16-le")]
    for shift in range(3):
        whole = b64encode(b"\0" * shift + plain)
        spelt.append(whole[4 if shift else 0 : len(whole) - 4])
    return spelt
