"""A registry and a relay that lie to a node: roots, members, log, objects, mailboxes. The node keeps its state, and says so."""

import json
from collections.abc import Awaitable, Callable

import msgspec
import pytest
import pytest_asyncio

from node import courier
from node.app import App
from node.map.follow import HeadConflictError
from node.runtime import client
from protocol import members, paths
from protocol.errors import ProtocolError
from protocol.limits import DAY
from protocol.merkle import RightEdge, leaf
from protocol.notes import Checkpoint, origin, sign_head
from protocol.strict import b64u_encode
from schemas.catalogue import LogPage
from schemas.problems import PROBLEMS
from tests.hostile.liar import ANYTHING, Liar, answer
from tests.hostile.test_local import offered
from tests.hostile.town import CANARY, Town, Watched, town
from tests.registry.world import line

pytestmark = pytest.mark.asyncio(loop_scope="module")

NODE = "montelabbate"
LOG = paths.LOG
QUIET = frozenset({"304", "nothing", "204", "an object", "switching"})  # no news


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lied(tmp_path_factory):
    """A node that has followed the honest log once; then its registry and its relay are one liar."""
    patch = pytest.MonkeyPatch()
    patch.setattr(client, "BASE_SECONDS", 0.3)
    patch.setattr(courier, "POLL_WAIT", 0)
    async with town(tmp_path_factory.mktemp("rete"), honest=False) as made, Liar(made.ports["bacheca"]) as liar:
        made.liar, made.app = liar, made.nodes[NODE]
        await made.nodes["distretto"]._listeners[1].stop()  # the other relay is off
        honest(made)
        await made.app.follower.once()
        assert len(made.app.body.store.path.name) and mapped(made) == 3
        yield made
        made.silent()
    patch.undo()


def honest(made: Town) -> None:
    """The liar says what the real registry would."""
    board = made.board

    def log(target: str) -> bytes:
        after = int(target.partition("after=")[2].partition("&")[0])
        return answer(msgspec.json.encode(board.read(lambda db: board.engine.log_page(db, after))))

    def object_(target: str) -> bytes:
        found = board.read(lambda db: board.engine.object(db, target.rpartition("/")[2]))
        return answer(found.bytes, media="application/octet-stream")

    made.liar.say = {
        LOG: log,
        "/v1/object/": object_,
        paths.MEMBERS: answer(board.members.raw, media="application/jose"),
    }


def mapped(made: Town) -> int:
    return watched(made).db.execute("SELECT COUNT(*) FROM map_entry").fetchone()[0]


def watched(made: Town) -> Watched:
    return made.servers[NODE].watched


def state(made: Town) -> dict[str, tuple[int, str]]:
    """Everything that is a claim of the registry, or ours; not the notes that somebody lied."""
    aside = {"follow_proof", "alarm", "feed", "sqlite_sequence", "setting", "peer"}
    return {name: held for name, held in watched(made).tables().items() if name not in aside}


async def code_of(work: Awaitable[object]) -> str:
    """The code of a refusal, "" when there was none. Anything but a refusal would end a loop of the node."""
    try:
        await work
    except HeadConflictError as conflict:
        return conflict.code
    except ProtocolError as problem:
        assert problem.code in PROBLEMS
        return problem.code
    return ""


async def refresh(made: Town) -> str:
    """As the node's loop does it."""
    code = await code_of(made.app._refresh_once())
    await made.app._say(code)
    return code


async def look(made: Town) -> str:
    """As the follower's loop does it."""
    try:
        await made.app.follower.once()
    except HeadConflictError as conflict:
        await made.app.follower._conflict(conflict)
        return conflict.code
    except ProtocolError as problem:
        return problem.code
    return ""


async def poll(made: Town) -> str:
    return await code_of(made.app.courier._poll_once("bacheca"))


async def publish(made: Town) -> str:
    return await code_of(made.app.publisher._post_all())


@pytest.mark.parametrize("ask", [refresh, look, poll])
async def test_answers_of_every_other_kind_change_nothing_and_end_no_loop(lied: Town, ask: Callable) -> None:
    before, version = state(lied), lied.app.body.ctx.membership.version
    for note, said in ANYTHING.items():
        lied.liar.say = {"/": said}
        lied.app.courier.clock_skew.clear()
        code = await ask(lied)
        assert code in PROBLEMS or note in QUIET or "date" in note, (note, code)
        assert state(lied) == before, note
        assert lied.app.body.ctx.membership.version == version, note
        lied.count(code or "unchanged")
    honest(lied)


# -- members


def document(made: Town, key=None, **changes: object) -> bytes:
    """The next members document, signed by the registry's own online key unless another is given."""
    held = made.board.members
    doc = members.successor(held, now=made.clock.now())
    doc = msgspec.structs.replace(doc, **changes)
    return members.build_members(doc, key or made.board.engine.board.online_key(held.root))


async def test_members_rolled_back_forked_expired_or_signed_by_others_are_not_adopted(lied: Town) -> None:
    held, now = lied.app.body.ctx.membership, lied.clock.now()
    before = state(lied)
    low = b64u_encode(bytes(32))
    wrong: dict[str, tuple[bytes, set[str]]] = {
        "older": (document(lied, version=held.version - 1), {"members-rollback"}),
        "version 1": (document(lied, version=1, prev=msgspec.UNSET), {"members-rollback"}),
        "same number": (document(lied, version=held.version), {"members-fork"}),
        "other past": (document(lied, prev="A" * 43), {"members-fork"}),
        "expired": (document(lied, iat=now - 8 * DAY, exp=now - DAY), {"members-expired"}),
        "lives too long": (document(lied, exp=now + 400 * DAY), {"bad-shape"}),
        "ends before it begins": (document(lied, iat=now, exp=now), {"bad-shape"}),
        "other network": (document(lied, net="A" * 43), {"wrong-network"}),
        "root of the future": (document(lied, root=99), {"root-chain"}),
        "a member's key": (document(lied, lied.ladro.key), {"unknown-key", "root-chain", "unreachable", "bad-shape"}),
        "the log's key": (document(lied, lied.board.engine.board.log_key(held.root)), {"unknown-key", "root-chain", "unreachable", "bad-shape"}),
        "bit": (document(lied)[:-8] + b"AAAAAAA", {"bad-signature", "bad-base64", "unreachable", "root-chain"}),
        "version 2^60": (document(lied, version=2**60), {"json-number"}),
        "text": (CANARY.encode(), {"bad-shape"}),
        "not ASCII": (b"\xff" * 40, {"bad-encoding"}),
        "low": (low.encode(), {"bad-shape"}),
    }  # fmt: skip
    for note, (raw, codes) in wrong.items():
        lied.liar.say = {paths.MEMBERS: answer(raw, media="application/jose"), paths.ROOTS: answer(b'{"roots":[]}')}
        code = await refresh(lied)
        assert code in codes, (note, code)
        assert state(lied) == before and lied.app.body.ctx.membership is held, note
        lied.count(code)
    alarms = [row[0] for row in watched(lied).db.execute("SELECT code FROM alarm")]
    assert alarms.count("members-rollback") == alarms.count("members-fork") == 1
    honest(lied)


async def test_roots_without_their_guarantors_are_not_walked(lied: Town) -> None:
    held = lied.app.body.ctx.membership
    raw = document(lied, lied.ladro.key, root=2)
    root1 = lied.board.read(lambda db: lied.board.engine.roots_after(db, 0))[0]
    before = state(lied)
    for roots in (
        [root1],
        [CANARY],
        ["{}"],
        [root1] * 300,
        [json.dumps({"payload": "", "signatures": []})],
        [""],
        ["[" * 9999],
        [None],
        CANARY,
    ):
        lied.liar.say = {paths.MEMBERS: answer(raw), paths.ROOTS: answer(json.dumps({"roots": roots}).encode())}
        code = await refresh(lied)
        assert code in PROBLEMS and state(lied) == before and lied.app.body.ctx.membership is held, (roots, code)
        lied.count(code)
    honest(lied)


async def test_a_document_that_leaves_us_out_is_adopted_with_an_alarm(lied: Town) -> None:
    """The registry may list whom it likes; a member finds out, and says so."""
    lied.liar.say = {paths.MEMBERS: answer(document(lied, members=[]))}
    app, held, stored = lied.app, lied.app.body.ctx.membership, lied.app.body.trust
    calls = [row[0] for row in watched(lied).db.execute("SELECT code FROM alarm")]
    assert await refresh(lied) == ""
    alarms = [row[0] for row in watched(lied).db.execute("SELECT code FROM alarm")]
    assert "own-entry-absent" in alarms and "own-entry-absent" not in calls
    await app.writer.submit(lambda tx: tx.execute("DELETE FROM members_document WHERE version > ?", (held.version,)))
    app.body.adopt(stored)
    honest(lied)


# -- the log


def page(
    made: Town,
    entries: list[str] | None = None,
    *,
    key=None,
    size: int | None = None,
    after: int | None = None,
    root: bytes | None = None,
) -> bytes:
    """A page after what the node holds, its head signed by the registry's log key unless another is given."""
    edge = RightEdge.from_bytes(watched(made).db.execute("SELECT edge FROM follow_state").fetchone()[0])
    entries = entries or []
    for text in entries:
        edge = edge.append(leaf(text.encode()))
    head = Checkpoint(origin(made.net), edge.size if size is None else size, edge.root() if root is None else root)
    note = sign_head(head, key or made.board.engine.board.log_key(made.board.members.root)).decode()
    start = edge.size - len(entries) if after is None else after
    return msgspec.json.encode(LogPage(after=start, entries=entries, size=head.size, note=note))


def entry(**changes: object) -> str:
    return json.dumps(
        {"hash": "A" * 43, "node": "ladro", "type": "public", "ver": 2, **changes},
        sort_keys=True,
        separators=(",", ":"),
    )


async def test_a_log_that_shrinks_forks_or_is_signed_by_others_is_not_followed(lied: Town) -> None:
    before = state(lied)
    size = watched(lied).db.execute("SELECT COUNT(*) FROM follow_leaf").fetchone()[0]
    wrong: dict[str, tuple[bytes, set[str]]] = {
        "shrunk": (page(lied, size=size - 1), {"log-rollback"}),
        "empty": (page(lied, size=0, root=RightEdge().root()), {"log-rollback"}),
        "another history": (page(lied, root=bytes(32)), {"log-fork"}),
        "another future": (page(lied, [entry()], root=bytes(32)), {"log-fork"}),
        "longer without entries": (page(lied, size=size + 5), {"log-fork", "bad-checkpoint", "log-moved", "bad-shape"}),
        "a member's key": (page(lied, [entry()], key=lied.ladro.key), {"bad-checkpoint"}),
        "the online key": (page(lied, [entry()], key=lied.board.engine.board.online_key(lied.board.members.root)), {"bad-checkpoint"}),
        "from elsewhere": (page(lied, [entry()], after=0), {"log-moved"}),
        "of another size": (page(lied, [entry()]).replace(b'"size":%d' % (size + 1), b'"size":%d' % size), {"bad-checkpoint"}),
        "unknown type": (page(lied, [entry(type=CANARY)]), {"bad-shape"}),
        "wild version": (page(lied, [entry(ver=2**60)]), {"json-number"}),
        "negative version": (page(lied, [entry(ver=-1)]), {"bad-shape"}),
        "entry of 2 kB": (page(lied, [entry(x="a" * 2000)]), {"too-large"}),
        "entry no JSON": (page(lied, [CANARY]), {"bad-json"}),
        "note of words": (msgspec.json.encode(LogPage(after=size, entries=[], size=size, note=CANARY)), {"bad-checkpoint"}),
        "note with a surrogate": (b'{"after":%d,"entries":[],"size":%d,"note":"\\ud800"}' % (size, size), {"bad-encoding"}),
    }  # fmt: skip
    for note, (raw, codes) in wrong.items():
        lied.liar.say = {LOG: answer(raw)}
        code = await look(lied)
        assert code in codes, (note, code)
        assert state(lied) == before, note
        lied.count(code)
    alarms = {row[0] for row in watched(lied).db.execute("SELECT code FROM alarm")}
    proofs = watched(lied).db.execute("SELECT COUNT(*) FROM follow_proof").fetchone()[0]
    assert {"log-rollback", "log-fork"} <= alarms and proofs >= 3
    assert watched(lied).db.execute("SELECT COUNT(*) FROM alarm WHERE code = 'log-fork'").fetchone() == (1,)
    assert any('"event":"log-conflict"' in text for text in lied.logs.lines)
    honest(lied)


async def test_objects_that_are_not_what_the_log_names_are_not_taken(lied: Town) -> None:
    """The honest log grows by a snapshot; the liar serves anything for it. Then the truth is still taken."""
    entries = mapped(lied)
    lied.board.publish(lied.ladro, [line("Sportello sociale", node="ladro"), line("Nuovo", node="ladro")])
    for note, said in ANYTHING.items():
        if note not in ("for ever", "100 MB", "drip", "silence"):
            honest(lied)
            lied.liar.say = {"/v1/object/": answer(b"", 503) if note == "nothing" else said, **lied.liar.say}
            before = mapped(lied)
            assert await look(lied) in {"", *PROBLEMS}, note
            assert mapped(lied) == before == entries, note
            await lied.app.writer.submit(lambda tx: tx.execute("UPDATE follow_chain SET fault = NULL"))
    honest(lied)
    assert await look(lied) == ""
    chain = watched(lied).db.execute("SELECT rev, applied FROM follow_chain WHERE node = 'ladro' AND vis = 'public'")
    assert chain.fetchone() == (2, 1)


# -- mailboxes and deliveries


async def test_pages_of_a_mailbox_full_of_rubbish_begin_no_case(lied: Town) -> None:
    before = state(lied)
    sealed = lied.envelope(to=NODE, n=1)
    pages: tuple[object, ...] = (
        {"items": [{"pos": CANARY}]}, {"items": [{"pos": "1", "e": CANARY, "s": CANARY}]}, {"items": [{"pos": "1", "r": CANARY}]},
        {"items": [{"pos": "1&max=9#\r\nX-Evil: y", "r": "x"}]}, {"items": [{"pos": " ", "e": "", "s": "", "r": ""}]}, {"items": None},
        {"items": [{"pos": 1}]}, {"items": [{"pos": "é\u0000", "e": "x", "s": "y"}]}, {"items": [{"pos": "9" * 5000, "r": ".."}]},
        {"items": [{"pos": str(i), "r": "x"} for i in range(500)]}, {"items": [{"pos": "1", "e": sealed.e, "s": sealed.s + "A"}]},
    )  # fmt: skip
    acks: tuple[object, ...] = (
        {"deleted": 1},
        {"deleted": -1, "filed": [10**6, -1]},
        {"deleted": CANARY},
        [],
        None,
        {"deleted": 2**60},
    )
    for said in pages:
        for ack in acks:
            turns = iter([said])
            lied.liar.say = {
                paths.mailbox_ack(NODE): answer(json.dumps(ack).encode()),
                "/v1/mailbox": lambda _, turns=turns: answer(json.dumps(next(turns, {"items": []})).encode()),
            }
            assert await poll(lied) in {"", *PROBLEMS}, said
            assert state(lied) == before, said
    honest(lied)


async def test_wild_answers_to_a_delivery_lose_and_settle_nothing(lied: Town) -> None:
    desk = lied.app
    await desk._command("operator-add")(b'{"code":"OP","role":"RL-ASSOC"}')
    wish = json.dumps({"to": "ladro", "as_": "OP", "offer": offered()}).encode()
    leg = json.loads(await desk._command("refer")(wish))["leg"]
    mid = watched(lied).db.execute("SELECT mid FROM outgoing").fetchone()[0]
    forged = lied.envelope(n=3).e
    answers: list[object] = [
        {"receipts": [CANARY]}, {"receipts": [forged]}, {"receipts": [None]}, {"held": [CANARY]}, {"held": [mid] * 500}, {"held": None},
        {"later": [{"i": 10**6, "code": "expired", "after": 0}]}, {"later": [{"i": -1, "code": CANARY, "after": -5}]},
        {"later": [{"i": 0, "code": "expired", "after": 2**53 - 1, "mid": mid}]}, {"later": [{"i": 0, "code": CANARY, "after": 2**53 - 1}]},
        {"later": [{"i": 0, "code": "mailbox-full", "after": -(2**53) + 1}]}, {"later": [{"i": 0, "code": "reseal", "after": 1e300}]},
        {"later": [{"i": 0, "code": "restored", "after": 0}] * 5000}, [], None, {"receipts": {}},
    ]  # fmt: skip
    said = [(str(value)[:60], answer(json.dumps(value).encode())) for value in answers] + list(ANYTHING.items())
    for note, what in said:
        lied.liar.say = {"/v1/mailbox/ladro": what}
        desk.courier.clock_skew.clear()
        await desk.writer.submit(
            lambda tx: (
                tx.execute("UPDATE outgoing SET next_at = 0"),
                tx.execute("UPDATE peer SET k = 0, next_at = 0, failing_since = NULL"),
            )
        )
        asked = len(lied.liar.asked)
        await deliver(desk)
        assert len(lied.liar.asked) > asked, note
        row = (
            watched(lied)
            .db.execute("SELECT s IS NOT NULL, stored FROM outgoing WHERE leg IS NOT NULL AND s IS NOT NULL")
            .fetchall()
        )
        assert row == [(1, None)], note
        assert watched(lied).db.execute("SELECT state FROM leg WHERE leg = ?", (leg,)).fetchone() == ("offered",), note
        assert lied.logs.faults() == [], (note, lied.logs.faults())
        (next_at,) = watched(lied).db.execute("SELECT MAX(next_at) FROM outgoing WHERE s IS NOT NULL").fetchone()
        (waits,) = watched(lied).db.execute("SELECT COALESCE(MAX(next_at), 0) FROM peer").fetchone()
        assert max(next_at, waits) < lied.clock.now() + 366 * DAY, f"{note}: asleep for ever"
    honest(lied)


async def deliver(app: App) -> None:
    """One turn of the courier, to the end of what it sent."""
    await app.courier._send_due()
    for task in list(app.courier._tasks):
        await task


async def test_a_stranger_at_the_registrys_address_does_not_make_us_join_another_network(lied: Town) -> None:
    root1 = lied.board.read(lambda db: lied.board.engine.roots_after(db, 0))[0]
    before = state(lied)
    invitation = {
        "net": "A" * 43,
        "name": "x",
        "registry": [f"http://127.0.0.1:{lied.liar.port}"],
        "exp": lied.clock.now() + DAY,
    }
    wanted = {"node": NODE, "name": "x", "ptype": "PT-COMUNE", "protocol": {"version": "1", "hash": "A" * 43}}
    wish = json.dumps({"invitation": invitation, "wanted": wanted}).encode()
    for roots in ([], [root1], [CANARY], [root1, root1], None):
        lied.liar.say = {paths.ROOTS: answer(json.dumps({"roots": roots}).encode())}
        assert await code_of(lied.app._join(wish)) in PROBLEMS
        assert state(lied) == before and lied.app.body.ctx.net == lied.net
    for note, said in ANYTHING.items():
        lied.liar.say = {"/": said}
        assert await code_of(lied.app._join(wish)) in PROBLEMS, note
        assert state(lied) == before, note
    honest(lied)
