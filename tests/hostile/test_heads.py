"""A board that tells two stories: two nodes follow one each, show each other their heads, both alarm and both keep the pair.

Real stores and the real registry engine; what the shell carries is carried by hand.
"""

import copy
import sqlite3
from pathlib import Path

import msgspec
import pytest

from node import requests as ask
from node.body import Body as NodeBody
from node.cases import desk, operators
from node.commands import run_in
from node.exchange import heads as shown_heads
from node.map import follow, heads
from node.runtime.store import Store
from protocol.errors import ProtocolError
from protocol.heads import check_evidence
from protocol.limits import DAY
from protocol.merkle import RightEdge
from protocol.notes import Checkpoint, origin, sign_head
from protocol.suite import S1
from registry.engine import MIGRATIONS, RegistryEngine
from schemas.wire import Item
from tests.cli.town import run
from tests.exchange.desks import offer
from tests.hostile.town import Board, Town
from tests.registry.world import World, line

ONE, TWO = "distretto", "montelabbate"


class Fork(World):
    """The same board with the same keys, from a copy of its store: from here on it writes another story."""

    def __init__(self, of: Board, path: Path) -> None:
        self.clock, self.dice, self.keystore = of.clock, of.dice, of.keystore
        source, target = sqlite3.connect(of.store.path), sqlite3.connect(path / "fork.db")
        source.backup(target)
        source.close()
        target.close()
        self.store = Store.open(path / "fork.db", MIGRATIONS)
        self.engine = RegistryEngine(suite=S1, clock=self.clock, dice=self.dice, keystore=self.keystore)


class Split:
    """The town with its board doubled; `one` follows the first story, `two` the second."""

    def __init__(self, path: Path) -> None:
        self.town = Town(path)
        self.town.people()
        self.board = self.town.board
        self.one, self.two = self.town.bodies[ONE], self.town.bodies[TWO]
        for body in (self.one, self.two):
            body.store.run(lambda tx: operators.add(tx, "OP", "RL-ASSOC", None, 1))
        self.follow(self.one, self.board)
        self.follow(self.two, self.board)
        self.fork = Fork(self.board, path)
        self.leg = self.one.store.run(
            lambda tx: desk.refer(tx, self.one.ctx, desk.Refer(to=TWO, offer=offer(), as_="OP"))
        )
        self.carry()

    def close(self) -> None:
        self.fork.store.close()
        for body in self.town.bodies.values():
            body.close()
        self.board.close()

    def write(self, world: World, *names: str) -> None:
        """Something only this story has."""
        member = copy.copy(self.town.ladro)
        member.held = dict(world.read(lambda db: [
            (vis, (rev, hash_)) for vis, rev, hash_ in db.execute("SELECT vis, rev, hash FROM catalogue WHERE node = 'ladro'")
        ]))  # fmt: skip
        world.publish(member, [line(name, node="ladro") for name in names])

    def follow(self, body: NodeBody, world: World) -> None:
        def learn(tx: sqlite3.Connection) -> None:
            ours = follow.held(tx)
            raw = msgspec.json.encode(world.read(lambda db: world.engine.log_page(db, ours.edge.size)))
            follow.apply_page(tx, follow.prepare_page(raw, ours, body.ctx.membership.root))

        body.store.run(learn)

    def turn(self) -> None:
        """What both programs do of themselves in a few minutes, and the post between them."""
        for _ in range(3):
            for body in (self.one, self.two):
                body.store.run(body.exchange.heads)
            self.carry()

    def carry(self) -> int:
        moved = 0
        bodies = {ONE: self.one, TWO: self.two}
        while parcels := [(b, p) for b in bodies.values() for p in b.store.read(b.exchange.due)]:
            for sender, parcel in parcels:
                to = bodies[parcel.dest]
                checked = to.exchange.prepare(parcel.items, relayed=False)
                got = to.store.run(lambda tx: to.exchange.receive(tx, parcel.items, checked, relayed=False))  # noqa: B023
                back = sender.exchange.prepare([Item(r=raw) for raw in got.answer.receipts], relayed=False)
                sender.store.run(lambda tx: sender.exchange.answered(tx, parcel, got.answer, back))  # noqa: B023
                moved += len(parcel.items)
        return moved


@pytest.fixture
def split(tmp_path):
    made = Split(tmp_path)
    yield made
    made.close()


def alarms(body: NodeBody) -> list[tuple[str, str | None]]:
    return body.store.read(lambda db: db.execute("SELECT code, node FROM alarm ORDER BY id").fetchall())


def pairs(body: NodeBody) -> list[heads.Kept]:
    return body.store.read(heads.kept)


def verdicts(body: NodeBody) -> list[tuple[str, str]]:
    return body.store.read(lambda db: db.execute("SELECT node, verdict FROM peer_head").fetchall())


def asked(body: NodeBody, name: str) -> dict:
    raw = body.store.read(lambda db: run_in(db, body, name, msgspec.json.encode(ask.Nothing())))
    return msgspec.json.decode(raw)


def test_an_honest_board_makes_no_alarm_also_when_one_is_behind(split):
    split.write(split.board, "Nuova")
    split.follow(split.one, split.board)
    split.turn()
    split.turn()
    assert verdicts(split.one) == [(TWO, "same")]
    assert verdicts(split.two) == [(ONE, "ahead")]
    split.follow(split.two, split.board)
    split.turn()
    assert verdicts(split.two) == [(ONE, "same")]
    assert alarms(split.one) == alarms(split.two) == []
    assert pairs(split.one) == pairs(split.two) == []


@pytest.mark.parametrize("longer", ["one", "two", "neither"])
def test_two_stories_are_found_within_two_days_and_both_sides_alarm_and_keep_the_pair(split, longer):
    split.write(split.board, "Prima storia")
    split.write(split.fork, "Seconda storia")
    if longer != "neither":
        split.write(split.board if longer == "one" else split.fork, "E ancora")
    split.follow(split.one, split.board)
    split.follow(split.two, split.fork)
    for _ in range(2):
        split.turn()
        split.board.clock.t += DAY
    for body, other in ((split.one, TWO), (split.two, ONE)):
        assert ("heads-differ", other) in alarms(body)
        (kept, *_) = pairs(body)
        assert (kept.code, kept.source) == ("log-fork", other)
        evidence = body.store.read(lambda db: heads.evidence(db, body.ctx.net))  # noqa: B023
        found = check_evidence(msgspec.json.encode(evidence), net=split.board.net, suite=S1)
        assert {head.origin for pair in found.found for head in pair} == {origin(split.board.net)}
        view = asked(body, "heads")
        assert view["peers"][0]["verdict"] in {"conflict", "ahead"} and view["pairs"][0]["provable"]
    assert len({(kept.held, kept.shown) for body in (split.one, split.two) for kept in pairs(body)}) >= 1


def test_what_was_kept_is_never_lost_and_the_alarm_comes_back_while_it_is_so(split):
    split.write(split.board, "Prima storia")
    split.write(split.fork, "Seconda storia")
    split.follow(split.one, split.board)
    split.follow(split.two, split.fork)
    split.turn()
    split.turn()
    before = pairs(split.one)
    assert before
    split.one.store.run(lambda tx: tx.execute("UPDATE alarm SET cleared = 1"))
    split.write(split.fork, "Terza")
    split.follow(split.two, split.fork)
    split.board.clock.t += DAY
    split.turn()
    split.turn()
    assert pairs(split.one)[-len(before) :] == before
    assert [code for code, _ in alarms(split.one)].count("heads-differ") == 2


def test_the_board_itself_showing_less_is_kept_and_what_is_no_part_of_our_past_is_a_fork(split):
    split.write(split.board, "Prima storia")
    split.follow(split.one, split.board)
    ours = split.one.store.read(follow.held)
    key = split.board.engine.board.log_key(split.board.members.root)
    size = ours.edge.size - 2
    old = split.board.read(
        lambda db: db.execute("SELECT note FROM head WHERE size < ? ORDER BY size DESC", (size,)).fetchone()
    )[0]
    other = sign_head(Checkpoint(origin(split.board.net), size, RightEdge().append(b"1" * 32).root()), key).decode()
    keys = split.one.store.read(lambda db: heads.log_keys(db, split.one.ctx.net, S1))
    for shown, code in ((old, "log-rollback"), (other, "log-fork")):
        conflict = follow.HeadConflictError("log-rollback", ours.note, shown)
        assert split.one.store.run(lambda tx: heads.keep_conflict(tx, conflict, keys, 1)) == code  # noqa: B023
        assert split.one.store.run(lambda tx: heads.keep_conflict(tx, conflict, keys, 1)) == code  # noqa: B023
    assert [(one.code, one.source, one.pair is not None) for one in pairs(split.one)] == [
        ("log-fork", "", True),
        ("log-rollback", "", False),
    ]


def test_a_peer_alone_cannot_make_anybody_doubt_the_board(split):
    """Rubbish for a head, a head under a key of its own, a made-up pair: nothing is kept, nobody is alarmed."""
    split.write(split.board, "Prima storia")
    split.follow(split.one, split.board)
    note = split.one.store.read(follow.held).note
    forged = sign_head(Checkpoint(origin(split.board.net), 3, b"\1" * 32), split.two.ctx.keys.signing).decode()
    empty = sign_head(
        Checkpoint(origin(split.board.net), 0, b"\1" * 32), split.board.engine.board.log_key(split.board.members.root)
    ).decode()
    made_up = msgspec.json.encode({"held": note, "shown": note, "root": "A" * 43, "path": []}).decode()
    agreeing = heads.HeadPair(held=note, shown=note, root=root_of(note), path=[])
    for shown, pair in (
        ("-", None),
        (forged, None),
        (empty, None),
        (note, made_up),
        (note, msgspec.json.encode(agreeing).decode()),
    ):
        split.one.store.run(lambda tx: tx.execute("INSERT OR REPLACE INTO peer_head (node, note, at, pair) VALUES (?, ?, 1, ?)", (TWO, shown, pair)))  # noqa: B023  # fmt: skip
        assert split.one.store.run(lambda tx: shown_heads.compare(tx, split.one.ctx)) == 0
        assert verdicts(split.one)[0][1] == ("same" if shown == note else "unverified")
    assert alarms(split.one) == [] and pairs(split.one) == []


def root_of(note: str) -> str:
    from protocol.notes import parse_checkpoint, parse_note
    from protocol.strict import b64u_encode

    return b64u_encode(parse_checkpoint(parse_note(note.encode()).text).root)


def test_heads_are_shown_daily_to_who_has_open_business_and_to_nobody_else(split):
    def sent() -> int:
        moved = sum(body.store.run(body.exchange.heads) for body in (split.one, split.two))
        split.carry()
        return moved

    assert sent() == 2
    split.board.clock.t += DAY - 10
    assert sent() == 0
    split.board.clock.t += 3600
    assert sent() == 2
    split.one.store.run(
        lambda tx: desk.act(tx, split.one.ctx, desk.Act(leg=split.leg.leg, ev="cancel", as_="OP", reason="other-way"))
    )
    split.carry()
    split.board.clock.t += DAY
    assert sent() == 0


def test_a_head_still_on_its_way_is_followed_by_no_other(split):
    for _ in range(5):
        split.one.store.run(split.one.exchange.heads)
        split.board.clock.t += DAY
    (waiting,) = split.one.store.read(
        lambda db: db.execute("SELECT COUNT(*) FROM outgoing WHERE leg IS NULL").fetchone()
    )
    assert waiting == 1


@pytest.mark.parametrize("change", ["root", "path", "shown", "net", "agree"])
def test_evidence_that_proves_nothing_is_refused(split, change):
    split.write(split.board, "Prima storia")
    split.write(split.board, "E ancora")
    split.write(split.fork, "Seconda storia")
    split.follow(split.one, split.board)
    split.follow(split.two, split.fork)
    split.turn()
    split.turn()
    evidence = split.one.store.read(lambda db: heads.evidence(db, split.one.ctx.net))
    (pair, *_) = evidence.pairs
    replace = msgspec.structs.replace
    spoilt, code = {
        "root": (replace(pair, root="A" * 43), "bad-proof"),
        "path": (replace(pair, path=[*pair.path, "A" * 43]), "bad-proof"),
        "shown": (replace(pair, shown=pair.shown.replace("\n\n", "\nx\n\n")), "bad-checkpoint"),
        "agree": (replace(pair, shown=pair.held, root=root_of(pair.held), path=[]), "heads-agree"),
        "net": (pair, "wrong-network"),
    }[change]
    raw = msgspec.json.encode(replace(evidence, pairs=[spoilt]))
    with pytest.raises(ProtocolError) as refused:
        check_evidence(raw, net="A" * 43 if change == "net" else split.board.net, suite=S1)
    assert refused.value.code == code


@pytest.fixture
def told(split):
    """A board that was caught, and what a person at `distretto` types then."""
    split.write(split.board, "Prima storia")
    split.write(split.fork, "Seconda storia")
    split.follow(split.one, split.board)
    split.follow(split.two, split.fork)
    split.turn()
    folder = split.one.data_dir
    split.one.close()

    def command(*args: object, ok: bool = True):
        return run("--dir", folder, *args, ok=ok)

    return split, command


def test_people_see_it_in_plain_words_by_command_alarm_and_doctor(told, monkeypatch):
    monkeypatch.setenv("RACCORDO_LANG", "it")
    split, command = told
    shown = command("heads").stdout
    assert "UN'ALTRA STORIA" in shown and "Le due firme sono conservate" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "due storie diverse" in " ".join(command("alarms").stdout.split())
    grades = {one["name"]: one["grade"] for one in msgspec.json.decode(command("doctor", "--json", ok=False).stdout)}
    assert grades["storia della bacheca"] == "fail"
    kept = msgspec.json.decode(command("heads", "--json").stdout)["pairs"]
    assert all(pair["held"].startswith(origin(split.board.net)) for pair in kept)


def test_the_proof_that_a_board_contradicted_itself_is_given_to_others_who_check_it_alone(told, tmp_path):
    split, command = told
    file = tmp_path / "prove.json"
    command("heads", "--export", file)
    said = run("--dir", tmp_path / "altrove", "heads", "--check", file, "--net", split.board.net).stdout
    assert "La bacheca si è contraddetta" in said
    assert msgspec.json.decode(command("heads", "--check", file, "--json").stdout)["ok"] is True
    evidence = msgspec.json.decode(file.read_bytes())
    (pair, *_) = evidence["pairs"]
    agreeing = evidence | {"pairs": [pair | {"shown": pair["held"], "root": root_of(pair["held"]), "path": []}]}
    file.write_bytes(msgspec.json.encode(agreeing))
    refused = run("--dir", tmp_path, "heads", "--check", file, "--net", split.board.net, "--json", ok=False)
    assert (refused.exit_code, msgspec.json.decode(refused.stdout)["code"]) == (1, "heads-agree")
    file.write_text("{}")
    assert "wrong-file" in run("--dir", tmp_path, "heads", "--check", file, "--net", split.board.net, ok=False).stderr


def test_without_a_contradiction_there_is_nothing_to_export(split, tmp_path):
    split.one.close()
    result = run("--dir", split.one.data_dir, "heads", "--export", tmp_path / "prove.json", ok=False)
    assert result.exit_code == 1 and "not-found" in result.stderr
    assert not (tmp_path / "prove.json").exists()
    assert "Nessuna contraddizione" in run("--dir", split.one.data_dir, "heads").stdout
