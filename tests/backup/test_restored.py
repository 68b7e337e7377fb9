"""After a restore: what a node may still do and with whom; a registry that signs nothing before it was told."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from bench.world import World
from node import backups
from node import requests as ask
from node.app import App
from node.body import Body
from node.cases import desk
from node.cli import cli
from node.exchange import outbox, restored
from node.exchange.log import leg_row
from node.runtime import local, sealed_file
from node.runtime.backup_loop import BackupLoop, Copied
from node.runtime.backup_state import load, save
from node.runtime.config import BackupConfig, NodeConfig, load_config
from node.runtime.dice import SystemDice
from protocol.errors import ProtocolError
from tests.backup.desks import KEY, OPERATOR, Desks, offered

NOW = int(time.time())


@pytest.fixture
def desks(tmp_path):
    """`a` and `b` with one case known to both, `a` restored from a copy made when it was only offered."""
    held = Desks(tmp_path)
    held.leg = held.refer("a", "b", "prima della copia")
    held.carry()
    held.coordinator("a")
    held.file = held.backup("a")
    return held


def refused(code, work, *args, **more):
    with pytest.raises(ProtocolError) as caught:
        work(*args, **more)
    assert caught.value.code == code, caught.value
    return caught.value


def bring_back(desks, replace=True):
    made, _ = backups.bring_back(desks.file, KEY, desks.path("a"), int(time.time()), replace=replace)
    return made


def later(monkeypatch, seconds=5):
    """A clock that is ahead: what is made from here on is newer than the restore."""
    from node.runtime.clock import SystemClock

    monkeypatch.setattr(SystemClock, "now", lambda _: int(time.time()) + seconds)


# -- the guard


def test_nothing_but_lapse_is_written_on_old_cases_until_the_peer_has_told_us(desks, monkeypatch):
    bring_back(desks)
    for ev, fields in (("amend", {"offer": offered()}), ("answer", {"text": "x"}), ("cancel", {"reason": "no-answer"})):
        error = refused("resync-open", desks.act, "a", desks.leg, ev, **fields)
        assert error.got == "b"
    leg = desks.run("a", lambda tx, _: leg_row(tx, desks.leg))
    assert desks.run("a", lambda tx, _: restored.may_write(tx, leg, "lapse"))
    assert not desks.run("a", lambda tx, _: restored.may_write(tx, leg, "void"))
    assert not desks.run("a", lambda tx, _: restored.may_open_child(tx, leg))
    later(monkeypatch)
    fresh = desks.refer("a", "b", "dopo il ripristino")
    desks.carry()
    assert desks.run("b", lambda tx, _: leg_row(tx, fresh)).state == "offered"
    desks.act("a", fresh, "cancel", reason="no-longer-needed")
    new = desks.run("a", lambda tx, _: leg_row(tx, fresh))
    assert desks.run("a", lambda tx, _: restored.may_open_child(tx, new))


def test_a_hand_over_inside_the_body_waits_for_nobody(desks):
    bring_back(desks)
    request = ask.HandOver(leg=desks.leg, as_=OPERATOR, desk_to="sportello 2")
    done = desks.run("a", lambda tx, body: desk.hand_over(tx, body.ctx, request))
    assert done.state == "offered"


def test_new_messages_go_out_under_a_new_epoch_from_one(desks, monkeypatch):
    before = desks.run("b", lambda tx, _: tx.execute("SELECT hw_epoch, hw_seq FROM peer WHERE node = 'a'").fetchone())
    made = bring_back(desks)
    later(monkeypatch)
    desks.refer("a", "b")
    desks.carry()
    after = desks.run("b", lambda tx, _: tx.execute("SELECT hw_epoch, hw_seq FROM peer WHERE node = 'a'").fetchone())
    assert before == (1, 1) and after == (made.epoch, 1)


def test_what_was_queued_in_the_copy_is_sent_again_and_counts_once(tmp_path):
    held = Desks(tmp_path)
    leg = held.refer("a", "b")
    file = held.backup("a")
    held.carry()
    backups.bring_back(file, KEY, held.path("a"), int(time.time()), replace=True)
    held.carry()
    assert held.run("b", lambda tx, _: tx.execute("SELECT COUNT(*) FROM event").fetchone()) == (1,)
    assert held.run("a", lambda tx, _: tx.execute("SELECT k FROM event WHERE leg = ?", (leg,)).fetchone()) == (
        "processed",
    )


def test_a_refused_event_gets_its_void_when_the_peer_was_heard(desks):
    """The receipt of a rejection must not block the mailbox it lies in, nor a void be written too early."""
    bring_back(desks)

    def reject(tx, body):
        jti = tx.execute("SELECT jti FROM event WHERE leg = ?", (desks.leg,)).fetchone()[0]
        tx.execute("UPDATE event SET k = 'rejected' WHERE leg = ?", (desks.leg,))
        outbox._rejected(tx, body.ctx, desks.leg, "S", 1, jti, NOW)

    def kinds(tx, _):
        return [kind for (kind,) in tx.execute("SELECT kind FROM event WHERE leg = ? ORDER BY rowid", (desks.leg,))]

    desks.run("a", reject)
    assert desks.run("a", kinds) == ["offer"]
    run(desks, "restore", "--confirm-peer", "b", "--as", "CO")
    assert desks.run("a", kinds) == ["offer", "void"]


# -- people


def run(desks, *args, ok=True, stdin=None):
    result = CliRunner().invoke(cli, ["--dir", str(desks.path("a")), *map(str, args)], input=stdin)
    if ok:
        assert result.exit_code == 0, (args, result.output, result.stderr, result.exception)
    return result


def test_people_are_told_and_a_person_who_telephoned_reopens(desks):
    bring_back(desks)
    status = run(desks, "status").stdout
    assert "TORNATO DA UNA COPIA" in status and "Enti ancora da sentire: b." in status
    assert "si chiede all'ufficio che cosa è cambiato" in " ".join(status.split())
    checks = json.loads(run(desks, "doctor", "--json", ok=False).stdout)
    assert {"warn"} == {one["grade"] for one in checks if one["name"] == "ripristino"}
    assert "role-forbidden" in run(desks, "restore", "--confirm-peer", "b", "--as", OPERATOR, ok=False).stderr
    assert "unknown-recipient" in run(desks, "restore", "--confirm-peer", "c", "--as", "CO", ok=False).stderr
    aside = next(desks.path("a").parent.glob("a.prima-*"))
    assert aside.name in run(desks, "doctor", ok=False).stdout.replace("\n     ", "")
    shutil.rmtree(aside)
    assert "enti da sentire: b" in run(desks, "doctor", ok=False).stdout
    run(desks, "restore", "--confirm-peer", "b", "--as", "CO")
    desks.act("a", desks.leg, "cancel", reason="no-longer-needed")
    log = desks.run("a", lambda tx, _: tx.execute("SELECT what, node, operator FROM restore_log").fetchall())
    assert log == [("restored", None, None), ("confirmed", "b", "CO")]
    assert "TORNATO" not in run(desks, "status").stdout
    assert "Allarme" not in run(desks, "alarms").stdout


def test_the_commands_make_verify_and_bring_back_a_copy(desks, tmp_path):
    phrase = "una frase bella lunga"
    target = tmp_path / "altre"
    assert "backup-target" in run(desks, "backup", "--to", target, ok=False, stdin=f"{phrase}\n{phrase}\n").stderr
    target.mkdir()
    assert "backup-unset" in run(desks, "backup", ok=False).stderr
    assert "bad-passphrase" in run(desks, "backup", "--to", target, ok=False, stdin="corta\ncorta\n").stderr
    assert "bad-passphrase" in run(desks, "backup", "--to", target, ok=False, stdin=f"{phrase}\n{phrase}x\n").stderr
    made = json.loads(run(desks, "backup", "--to", target, "--json", stdin=f"{phrase}\n{phrase}\n").stdout)
    assert made["sha256"] == sealed_file.file_hash(Path(made["path"]))
    said = run(desks, "backup", "verify", made["path"], stdin=f"{phrase}\n").stdout
    assert "invii: 1, di cui aperti 1" in said
    assert load(desks.path("a")).verified == made["path"]
    assert "bad-passphrase" in run(desks, "backup", "verify", made["path"], ok=False, stdin="un'altra frase\n").stderr
    run(desks, "backup", "key", "--out", tmp_path / "recupero.json")
    assert (tmp_path / "recupero.json").stat().st_mode & 0o077 == 0
    assert "file-exists" in run(desks, "backup", "key", "--out", tmp_path / "recupero.json", ok=False).stderr
    run(desks, "backup", "--to", target, "--key-file", tmp_path / "recupero.json")
    into = tmp_path / "new"
    said = run(desks, "restore", made["path"], "--into", into, stdin=f"{phrase}\n").stdout
    assert "restore --confirm-peer ENTE" in said and "  b" in said
    assert Body.open(load_config(into / "raccordo.toml", NodeConfig)).close() is None


def test_a_copy_is_asked_of_the_running_process_and_made_by_itself(desks, tmp_path):
    key = tmp_path / "chiave.json"
    key.write_bytes(sealed_file.key_file_text(KEY.value))
    key.chmod(0o600)
    config = desks.path("a") / "raccordo.toml"
    own = tmp_path / "da-sé"
    text = config.read_text() + f'[backup]\nto = "{own}"\nkey_file = "{key}"\n'
    config.write_text(text)

    async def served():
        app = App(Body.open(load_config(config, NodeConfig)))
        await app.start()
        try:
            await app.backups.turn()
            assert load(desks.path("a")).failed_code == "backup-target"
            alarms = await app.readers.read(lambda db: db.execute("SELECT code FROM alarm").fetchall())
            assert ("backup-failed",) in alarms
            asked = msgspec.json.encode(
                {"to": str(desks.copies), "key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}
            )
            raw = await asyncio.to_thread(local.command, desks.path("a"), "backup", asked)
            made = json.loads(raw)
            assert backups.verify(Path(made["path"]), KEY, desks.copies).cases == 1
            for to in ("relativa", "/non/c'è", ""):
                with pytest.raises(ProtocolError, match="backup-target"):
                    bad = msgspec.json.encode({"to": to, "passphrase": "x" * 20})
                    await asyncio.to_thread(local.command, desks.path("a"), "backup", bad)
        finally:
            await app.stop()

    async def again():
        own.mkdir()
        state = load(desks.path("a"))
        save(desks.path("a"), msgspec.structs.replace(state, failed_at=1, full=None))
        app = App(Body.open(load_config(config, NodeConfig)))
        await app.start()
        try:
            await app.backups.turn()
            assert len(list(own.glob("*.copia"))) == 2
            keystore, dice = app.body.ctx.keystore, SystemDice()
            await app.writer.submit(lambda _: keystore.add_sealing(dice.bytes(32), "k-nuova", NOW))
            await app.backups.turn()
            assert "k-nuova next" in load(desks.path("a")).kids
        finally:
            await app.stop()
        assert len(list(own.glob("*.chiavi.*.copia"))) == 2

    asyncio.run(served())
    asyncio.run(again())


def test_a_change_of_keys_wakes_the_loop_at_once(desks):
    async def changed():
        body = desks.open("a")
        copied = Copied(desks.path("a"), BackupConfig(), body.clock, body.ctx.keystore, lambda: None)
        loop = BackupLoop(copied, None)
        await asyncio.to_thread(body.ctx.keystore.add_sealing, bytes([7]) * 32, "k-nuova", NOW)
        await asyncio.wait_for(loop._wake.wait(), 10)
        body.close()

    asyncio.run(changed())


def test_every_start_with_a_peer_to_hear_from_begins_an_epoch(desks):
    made = bring_back(desks)

    async def start():
        app = App(Body.open(desks.config("a")))
        await app.start()
        epoch = await app.readers.read(app.body.ctx.epoch)
        await app.stop()
        return epoch

    assert [asyncio.run(start()), asyncio.run(start())] == [made.epoch + 1, made.epoch + 2]
    desks.run("a", lambda tx, _: restored.answered(tx, "b", NOW))
    assert asyncio.run(start()) == made.epoch + 2
    desks.run("a", lambda tx, _: restored.raise_epoch(tx, [made.epoch + 10], NOW))
    assert asyncio.run(start()) == made.epoch + 11


# -- the registry


class Board:
    """A founded pilot registry in a directory, driven by its command line."""

    def __init__(self, path):
        from registry.cli import main

        self.main, self.path, self.dir = main, path, path / "bacheca"
        (path / "protocollo.pdf").write_bytes(b"protocollo")
        (path / "risposte.toml").write_text(
            '[network]\nname = "Prova"\nid = "bacheca"\nurls = ["http://127.0.0.1:9"]\npilot = true\n'
            'protocollo = "protocollo.pdf"\n'
        )
        self("init", "--answers", path / "risposte.toml", "--key-dir", path / "chiavi", "--plain-loopback")
        self.key = path / "recupero.json"
        self("backup", "key", "--out", self.key)
        self.copies = path / "copie"
        self.copies.mkdir()

    def __call__(self, *args, ok=True, folder=None):
        args = ["--dir", str(folder or self.dir), *map(str, args)]
        result = CliRunner().invoke(self.main, args)
        if ok:
            assert result.exit_code == 0, (args, result.output, result.stderr, result.exception)
        return result

    def backup(self):
        return json.loads(self("--json", "backup", "--to", self.copies, "--key-file", self.key).stdout)["path"]

    def engine(self, work, folder=None):
        from node.runtime.clock import SystemClock
        from node.runtime.config import RegistryConfig
        from protocol.suite import S1
        from registry.engine import RegistryEngine
        from registry.opening import open_keys, open_store

        config = load_config((folder or self.dir) / "raccordo.toml", RegistryConfig)
        store = open_store(config)
        try:
            keys = open_keys(config)
            engine = RegistryEngine(suite=S1, clock=SystemClock(), dice=SystemDice(), keystore=keys)
            return store.run(lambda tx: work(tx, engine))
        finally:
            store.close()

    def seen(self, folder=None):
        """What a member that follows has, as `raccordo-node seen` writes it."""

        def look(tx, engine):
            return {"note": engine.checkpoint(tx), "members": engine.membership(tx).raw.decode()}

        path = self.path / f"visto-{time.monotonic_ns()}.json"
        path.write_text(json.dumps(self.engine(look, folder)))
        return path


@pytest.fixture
def board(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Board(tmp_path)


def serve(folder, seconds=15):
    """Starts `serve`; its exit code, or None when it stayed up (then it is ended)."""
    line = [sys.executable, "-m", "registry.cli", "--dir", str(folder), "serve", "--port", "0"]
    process = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    try:
        first = process.stdout.readline()
        if "In funzione" in first or "RETE PILOTA" in first:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=seconds)
            return None, first
        return process.wait(seconds), process.stderr.read()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_a_restored_registry_signs_nothing_until_it_was_told(board):
    file = board.backup()
    assert "registro pubblico" in board("backup", "verify", file, "--key-file", board.key).stdout
    same = board.seen()
    from registry.members import reissue

    board.engine(lambda tx, e: (reissue(tx, e.board, e.board.clock.now()), e.board.seal(tx, e.board.clock.now())))
    newer = board.seen()
    new = board.path / "nuova"
    board("restore", file, "--into", new, "--key-file", board.key)
    code, said = serve(new)
    assert code == 1 and "registry-restored" in said
    refused("registry-restored", board.engine, lambda tx, e: reissue(tx, e.board, 0), new)
    refused("registry-restored", board.engine, lambda tx, e: e.board.seal(tx, 0), new)
    refused("registry-restored", board.engine, lambda tx, e: e._reissue(tx), new)
    assert "log-rollback" in board("restore", "--seen", newer, ok=False, folder=new).stderr
    numbers = json.loads(board("--json", "doctor", ok=False, folder=new).stdout)["status"]
    more = ("restore", "--seen-log", numbers["log"] + 1, "--seen-version", numbers["version"])
    assert "log-rollback" in board(*more, ok=False, folder=new).stderr
    more = ("restore", "--seen-log", numbers["log"], "--seen-version", numbers["version"] + 1)
    assert "members-rollback" in board(*more, ok=False, folder=new).stderr
    spoilt = json.loads(same.read_text())
    spoilt["note"] = spoilt["note"].replace("\n1", "\n2", 1) if "\n1" in spoilt["note"] else spoilt["note"][:-9]
    (board.path / "falso.json").write_text(json.dumps(spoilt))
    assert board("restore", "--seen", board.path / "falso.json", ok=False, folder=new).exit_code == 1
    refused("registry-restored", board.engine, lambda tx, e: e.board.seal(tx, 0), new)
    board("restore", "--seen", same, folder=new)
    assert serve(new)[0] is None
    os.rename(new, board.path / "altra")
    board("restore", file, "--into", new, "--key-file", board.key)
    board("restore", "--seen-log", numbers["log"], "--seen-version", numbers["version"], folder=new)
    assert serve(new)[0] is None


def test_a_log_that_went_elsewhere_is_a_fork_and_opens_nothing(board):
    """The same size, other content: two registries ran on one copy."""
    from registry.members import reissue

    file = board.backup()
    new = board.path / "nuova"
    board("restore", file, "--into", new, "--key-file", board.key)
    board("restore", "--seen", board.seen(), folder=new)

    def go_on(later):
        def work(tx, e):
            reissue(tx, e.board, e.board.clock.now() + later)
            e.board.seal(tx, e.board.clock.now())

        return work

    board.engine(go_on(1))
    board.engine(go_on(2), new)
    file = board.backup()
    third = board.path / "terza"
    board("restore", file, "--into", third, "--key-file", board.key)
    said = board("restore", "--seen", board.seen(new), ok=False, folder=third).stderr
    assert "log-fork" in said


def test_a_registry_copy_is_no_node_and_keys_of_another_network_are_refused(board, tmp_path):
    file = Path(board.backup())
    key = sealed_file.read_key_file(board.key)
    refused("wrong-file", backups.bring_back, file, key, tmp_path / "nodo", NOW)
    (board.dir / "chiavi.json").write_bytes(
        (World(tmp_path / "enti", ["a"], NOW, direct=[]).path("a") / "chiavi.json").read_bytes()
    )
    assert "unknown-key" in board("backup", "verify", board.backup(), "--key-file", board.key, ok=False).stderr
