"""Copies of real stores: what comes back, what is refused with nothing changed, what old copies become."""

import errno
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time

import msgspec
import pytest

from node import backups
from node.body import Body
from node.exchange import restored
from node.runtime import backup, backup_turn, restore, sealed_file
from node.runtime.backup_state import DAY, HOUR, State, load
from node.runtime.config import BackupConfig, NodeConfig, load_config
from node.runtime.sealed_file import Header
from node.runtime.writer import Writer
from protocol.errors import ProtocolError
from tests.backup.desks import KEY, PHRASE, SECRET_WORD, Desks, tree

NOW = int(time.time())


@pytest.fixture
def desks(tmp_path):
    return Desks(tmp_path)


def refused(code, work, *args, **more):
    with pytest.raises(ProtocolError) as caught:
        work(*args, **more)
    assert caught.value.code == code, caught.value
    return caught.value


def test_a_whole_installation_comes_back_with_its_cases_readable(desks, tmp_path):
    legs = [desks.refer("a", "b", f"caso {i} {SECRET_WORD}") for i in range(5)]
    desks.carry()
    file = desks.backup("a", PHRASE)
    assert SECRET_WORD.encode() not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
    found = backups.verify(file, PHRASE, desks.path("a"))
    assert (found.member, found.cases, found.open_cases, found.keys) == ("a", 5, 5, [])
    assert found.sampled == 5
    made, _ = backups.bring_back(file, PHRASE, tmp_path / "new", NOW)
    assert (made.waiting, made.before) == (["b"], None)
    body = Body.open(load_config(tmp_path / "new" / "raccordo.toml", NodeConfig))
    try:
        from node.cases.desk import latest_offer
        from node.exchange.log import leg_row

        texts = [body.store.read(lambda db, leg=leg: latest_offer(db, body.ctx, leg_row(db, leg))) for leg in legs]
        assert [offer.description for offer in texts] == [f"caso {i} {SECRET_WORD}" for i in range(5)]
    finally:
        body.close()
    assert sorted(os.listdir(desks.copies)) == [file.name]


def test_a_copy_beside_a_writer_is_consistent_and_stops_nobody(desks):
    """A thread writes referrals all the while; each copy holds a prefix of them, whole."""
    body = desks.open("a")
    writer, stop, written = Writer(body.store), threading.Event(), []

    def write():
        from node import requests as ask
        from node.cases import desk
        from tests.backup.desks import OPERATOR, offered

        while not stop.is_set():
            request = ask.Refer(to="b", offer=offered(), as_=OPERATOR)
            written.append(writer.call(lambda tx, request=request: desk.refer(tx, body.ctx, request)).leg)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(6):
            while len(written) < 20:
                pass
            before = list(written)
            file = backup.make(backups.source(body.config), desks.copies, KEY, now=NOW)
            after = len(written)
            with (
                restore.workroom(desks.copies) as folder,
                restore.opened(backups.SITE, backup_path(file), KEY, folder) as held,
            ):
                found = backups.contents(held, folder)
                legs = held.store.read(lambda db: {leg for (leg,) in db.execute("SELECT leg FROM leg")})
            assert set(before) <= legs
            assert found.cases == found.events <= after + 1
    finally:
        stop.set()
        thread.join()
        writer.close()


def backup_path(made):
    from pathlib import Path

    return Path(made.path)


# -- what is refused


@pytest.mark.parametrize("hurt", ["cut", "flip", "empty", "other", "end"])
def test_a_copy_that_is_not_whole_brings_nothing_back(desks, tmp_path, hurt):
    desks.refer("a", "b")
    file = desks.backup("a")
    raw = bytearray(file.read_bytes())
    if hurt == "flip":
        raw[len(raw) // 2] ^= 1
    changed = {"cut": raw[:-1], "flip": raw, "empty": b"", "other": b"PK\x03\x04" + raw, "end": raw + b"x"}[hurt]
    file.write_bytes(changed)
    with pytest.raises(ProtocolError) as caught:
        backups.bring_back(file, KEY, tmp_path / "new", NOW)
    assert caught.value.code in ("backup-damaged", "wrong-file")
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob("new*"))


def test_a_wrong_secret_brings_nothing_back(desks, tmp_path):
    file = desks.backup("a", PHRASE)
    refused("bad-passphrase", backups.bring_back, file, KEY, tmp_path / "new", NOW)
    other = sealed_file.passphrase("la frase di un altro")
    refused("bad-passphrase", backups.bring_back, file, other, tmp_path / "new", NOW)
    assert not list(tmp_path.glob("new*"))


def test_the_copy_of_another_member_or_network_is_refused(desks, tmp_path):
    file = desks.backup("a")
    before = tree(desks.path("b"))
    refused("backup-foreign", backups.bring_back, file, KEY, desks.path("b"), NOW, replace=True)
    assert tree(desks.path("b")) == before
    desks.run("a", lambda tx, _: tx.execute("UPDATE setting SET value = 'other' WHERE name = 'net'"))
    refused("backup-foreign", backups.bring_back, file, KEY, desks.path("a"), NOW, replace=True)


def test_a_directory_in_use_or_not_empty_is_refused(desks, tmp_path):
    file = desks.backup("a")
    refused("target-not-empty", backups.bring_back, file, KEY, desks.path("a"), NOW)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "lettera.txt").write_text("non è nostra")
    refused("target-not-empty", backups.bring_back, file, KEY, tmp_path / "full", NOW, replace=True)
    body = desks.open("a")
    try:
        refused("store-busy", backups.bring_back, file, KEY, desks.path("a"), NOW, replace=True)
    finally:
        body.close()
    (tmp_path / "empty").mkdir()
    backups.bring_back(file, KEY, tmp_path / "empty", NOW)
    assert (tmp_path / "empty" / "chiavi.json").exists()


def test_what_is_replaced_is_put_aside_and_its_epoch_is_left_behind(desks):
    file = desks.backup("a")
    ahead = NOW + 50_000
    desks.run("a", lambda tx, _: tx.execute("INSERT INTO setting VALUES ('epoch', ?)", (str(ahead),)))
    leg = desks.refer("a", "b")
    made, _ = backups.bring_back(file, KEY, desks.path("a"), NOW, replace=True)
    assert made.epoch > ahead
    kept = Body.open(load_config(desks.path("a").parent / made.before / "raccordo.toml", NodeConfig))
    try:
        assert kept.store.read(lambda db: db.execute("SELECT leg FROM leg").fetchone()) == (leg,)
    finally:
        kept.close()


def test_one_copy_restored_twice_uses_two_epochs(desks, tmp_path):
    file = desks.backup("a")
    first, _ = backups.bring_back(file, KEY, tmp_path / "one", NOW)
    second, _ = backups.bring_back(file, KEY, tmp_path / "two", NOW + 1)
    assert 1 < first.epoch < second.epoch


def test_a_copy_of_a_newer_program_is_refused(desks, tmp_path):
    desks.run("a", lambda tx, _: tx.execute("INSERT INTO _migrations VALUES ('zzz_999_future')"))
    conn = sqlite3.connect(desks.path("a") / "raccordo.db")
    source = backups.source(desks.config("a"))
    made = backup.make(source, desks.copies, KEY, now=NOW, conn=conn)
    conn.close()
    refused("store-newer", backups.verify, backup_path(made), KEY, desks.copies)
    refused("store-newer", backups.bring_back, backup_path(made), KEY, tmp_path / "new", NOW)
    assert not list(tmp_path.glob("new*")) and not list(desks.copies.glob(".verifica*"))


def test_a_store_damaged_inside_a_sound_copy_is_found(desks, tmp_path):
    leg = desks.refer("a", "b")
    desks.run("a", lambda tx, _: tx.execute("UPDATE event SET sealed = zeroblob(200) WHERE leg = ?", (leg,)))
    file = desks.backup("a")
    refused("store-damaged", backups.verify, file, KEY, desks.copies)
    refused("store-damaged", backups.bring_back, file, KEY, tmp_path / "new", NOW)


def test_keys_of_another_vault_do_not_pass(desks, tmp_path):
    desks.refer("a", "b")
    (desks.path("a") / "chiavi.json").write_bytes((desks.path("b") / "chiavi.json").read_bytes())
    file = desks.backup("a")
    refused("store-damaged", backups.verify, file, KEY, desks.copies)


# -- failures of the disk


def test_a_copy_that_fails_is_told_and_leaves_nothing(desks, monkeypatch):
    source, config = backups.source(desks.config("a")), desks.config("a")
    refused("backup-target", backup.make, source, desks.copies / "absent", KEY, now=NOW)
    key = desks.copies.parent / "chiave.json"
    key.write_bytes(sealed_file.key_file_text(KEY.value))
    key.chmod(0o600)
    wanted = BackupConfig(to=str(desks.copies), key_file=str(key))

    def full(*_):
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patched:
        patched.setattr(sealed_file.Writer, "_put", full)
        refused("disk-full", backup_turn.run, source, wanted, desks.path("a"), ["k"], now=NOW, full=True, keys=True)
    assert os.listdir(desks.copies) == []
    assert not (desks.path("a") / "raccordo.db.copia-in-corso").exists()
    state = load(desks.path("a"))
    assert (state.failed_at, state.failed_code) == (NOW, "disk-full")
    assert not backup_turn.full_due(state, wanted, NOW + HOUR - 1) and backup_turn.full_due(state, wanted, NOW + HOUR)
    backup_turn.run(source, wanted, desks.path("a"), ["k"], now=NOW + HOUR, full=True, keys=True)
    state = load(desks.path("a"))
    assert state.failed_at is None and state.full is not None and state.kids == ("k",)
    assert config.backup.to is None


LIMITED = """
import resource, sys, time
from pathlib import Path
from node import backups
from node.runtime.sealed_file import Secret
from node.runtime.config import NodeConfig, load_config
from node.runtime.backup_turn import asked
from protocol.errors import ProtocolError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    config = load_config(Path(sys.argv[1]) / "raccordo.toml", NodeConfig)
    backups.make_offline(config, asked(Path(sys.argv[2]), Secret("key-file", bytes(range(32)))), int(time.time()))
except ProtocolError as error:
    print(error.code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no rlimits")
@pytest.mark.parametrize("room", [0, 4096, 100_000, 230_000])
def test_a_disk_that_fills_at_any_place_leaves_no_copy_under_its_name(desks, room):
    line = [sys.executable, "-c", LIMITED, str(desks.path("a")), str(desks.copies), str(room)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() in ("disk-full", "store-settings", "store-busy"), done.stderr
    assert os.listdir(desks.copies) == []
    desks.backup("a")


RESTORED_LIMITED = LIMITED.replace(
    """    config = load_config(Path(sys.argv[1]) / "raccordo.toml", NodeConfig)
    backups.make_offline(config, asked(Path(sys.argv[2]), Secret("key-file", bytes(range(32)))), int(time.time()))
""",
    """    backups.bring_back(Path(sys.argv[1]), Secret("key-file", bytes(range(32))), Path(sys.argv[2]), int(time.time()))
""",
)


@pytest.mark.skipif(sys.platform == "win32", reason="no rlimits")
@pytest.mark.parametrize("room", [0, 100, 4096, 100_000, 220_000])
def test_a_disk_that_fills_while_restoring_leaves_no_directory(desks, tmp_path, room):
    file = desks.backup("a")
    line = [sys.executable, "-c", RESTORED_LIMITED, str(file), str(tmp_path / "new"), str(room)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "disk-full", done.stderr
    assert not list(tmp_path.glob("new*"))


def test_lists_of_erased_at_a_shared_target_are_joined(desks):
    first, second = (msgspec.json.encode({"leg": f"{i}" * 8, "at": NOW}) + b"\n" for i in (1, 2))
    (desks.copies / "erased.list").write_bytes(first + b'{"leg":"tagli')
    (desks.path("a") / "erased.list").write_bytes(second + b'{"le')
    desks.backup("a")
    assert (desks.copies / "erased.list").read_bytes() == first + second


# -- kill -9


def killed(line, delay):
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return process.returncode


def command(*args):
    return [sys.executable, "-m", "node.cli", *map(str, args)]


def test_kill_9_while_copying_leaves_whole_copies_or_none(desks):
    for i in range(40):
        desks.refer("a", "b", f"caso {i} " + "x" * 1500)
    key = desks.copies.parent / "chiave.json"
    key.write_bytes(sealed_file.key_file_text(KEY.value))
    key.chmod(0o600)
    dice = random.Random(20261122)
    line = command("--dir", desks.path("a"), "backup", "--to", desks.copies, "--key-file", key)
    codes = [killed(line, dice.uniform(0.2, 0.9)) for _ in range(12)]
    assert -9 in codes
    for path in desks.copies.glob("*.copia"):
        assert backups.verify(path, KEY, desks.copies).cases == 40
    desks.backup("a")
    assert not list(desks.path("a").glob("*.copia-in-corso*"))


def test_kill_9_while_restoring_leaves_nothing_half_done(desks, tmp_path):
    for i in range(40):
        desks.refer("a", "b", f"caso {i} " + "x" * 1500)
    file = desks.backup("a")
    key = tmp_path / "chiave.json"
    key.write_bytes(sealed_file.key_file_text(KEY.value))
    key.chmod(0o600)
    dice = random.Random(7)
    target, done = tmp_path / "new", 0
    for _ in range(14):
        code = killed(command("restore", file, "--into", target, "--key-file", key), dice.uniform(0.3, 1.0))
        if target.exists():
            body = Body.open(load_config(target / "raccordo.toml", NodeConfig))
            assert body.store.read(restored.open_peers) == ("b",)
            assert body.store.read(lambda db: db.execute("SELECT COUNT(*) FROM leg").fetchone()) == (40,)
            body.close()
            target.rename(tmp_path / f"done{done}")
            done += 1
        else:
            assert code == -9
    made, _ = backups.bring_back(file, KEY, target, NOW)
    assert made.waiting == ["b"] and not (tmp_path / "new.ripristino").exists()


def test_what_a_killed_process_left_goes_at_the_next_start(desks):
    import asyncio

    from node.app import App

    left = desks.path("a") / ".verifica-abc"
    left.mkdir()
    (left / "raccordo.db").write_text("ciò che fu cancellato")
    (desks.path("a") / "raccordo.db.copia-in-corso").write_text("ciò che fu cancellato")

    async def start():
        app = App(desks.open("a"))
        await app.start()
        await app.stop()

    asyncio.run(start())
    assert not left.exists() and not (desks.path("a") / "raccordo.db.copia-in-corso").exists()


def test_a_program_that_ends_waits_for_no_copy(desks):
    source = backups.source(desks.config("a"))._replace(stopped=lambda: True)
    refused("busy", backup.make, source, desks.copies, KEY, now=NOW)
    assert os.listdir(desks.copies) == []


# -- old copies


def test_old_copies_go_and_the_newest_stays_whatever_its_age(desks):
    source = backups.source(desks.config("a"))
    wanted = BackupConfig(to=str(desks.copies), keep=3, max_days=30)
    day0 = NOW - NOW % DAY - 40 * DAY
    for age in (0, 38, 39, 40):
        for hour in (1, 5):
            backup.make(source, desks.copies, KEY, now=day0 + age * DAY + hour * HOUR)
    other = backups.source(desks.config("b"))
    stranger = backup_path(backup.make(other, desks.copies, KEY, now=day0))
    (desks.copies / "appunti.txt").write_text("non è una copia")
    (desks.copies / "raccordo-a.20200101T000000Z.copia.parte").write_text("resto")
    backup_turn.expire(source, wanted, desks.copies, day0 + 40 * DAY + 6 * HOUR)
    left = [(one.header.at - day0) / HOUR for one in backup.kept(desks.copies, "node", "a")]
    assert left == [40 * 24 + 5, 39 * 24 + 5, 38 * 24 + 5]
    assert stranger.exists() and (desks.copies / "appunti.txt").exists()
    assert not list(desks.copies.glob("*.parte"))
    backup_turn.expire(source, wanted, desks.copies, day0 + 400 * DAY)
    assert [(one.header.at - day0) / HOUR for one in backup.kept(desks.copies, "node", "a")] == [40 * 24 + 5]


def test_a_copy_is_due_by_the_clock_at_a_change_of_keys_and_when_a_registry_grew():
    made = backup_turn.Made("x", "", 1, NOW, "full")
    state = State(full=made, log=10, kids=("k1 current",))
    wanted = BackupConfig(to="/copie")
    assert backup_turn.full_due(State(), wanted, NOW)
    assert not backup_turn.full_due(state, wanted, NOW + 24 * HOUR - 1)
    assert backup_turn.full_due(state, wanted, NOW + 24 * HOUR)
    assert backup_turn.full_due(state, wanted, NOW - 1), "the clock went back"
    assert not backup_turn.full_due(state, wanted, NOW + 299, log=11)
    assert backup_turn.full_due(state, wanted, NOW + 300, log=11)
    assert not backup_turn.full_due(state, wanted, NOW + 300, log=10)
    assert backup_turn.keys_due(state, ["k1 old", "k2 current"], NOW)
    assert not backup_turn.keys_due(state, ["k1 current"], NOW)


def test_a_newer_copy_of_the_keys_is_used_with_an_older_whole_one(desks, tmp_path):
    from node.runtime.keystore import Keystore

    desks.refer("a", "b")
    whole = desks.backup("a")
    told = []
    keys = Keystore.load(desks.path("a") / "chiavi.json")
    keys.on_change = lambda: told.append(1)
    keys.add_sealing(bytes([9]) * 32, "k-nuova", NOW)
    assert told == [1]
    small = backup_path(backup.make(backups.source(desks.config("a")), desks.copies, KEY, now=NOW, what="keys"))
    assert small.stat().st_size < 2000
    backups.bring_back(whole, KEY, tmp_path / "new", NOW, keys=small)
    held = Keystore.load(tmp_path / "new" / "chiavi.json")
    assert "k-nuova" in {entry.kid for entry in held.entries()}
    refused("wrong-file", backups.bring_back, small, KEY, tmp_path / "other", NOW)
    refused("wrong-file", backups.bring_back, whole, KEY, tmp_path / "other", NOW, keys=whole)
    foreign = backup_path(backup.make(backups.source(desks.config("b")), desks.copies, KEY, now=NOW, what="keys"))
    refused("backup-foreign", backups.bring_back, whole, KEY, tmp_path / "other", NOW, keys=foreign)


def test_the_passphrase_of_the_keys_and_the_authority_come_back_too(desks, tmp_path):
    from node.runtime.keystore import Keystore

    apart = tmp_path / "apart"
    apart.mkdir()
    (apart / "frase").write_text("la frase delle chiavi\n")
    (apart / "frase").chmod(0o600)
    (apart / "ca.pem").write_text("certificato")
    path = desks.path("a") / "chiavi.json"
    keys = Keystore.load(path)
    keys._passphrase = "la frase delle chiavi"
    keys.add_sealing(bytes([9]) * 32, "k-nuova", NOW)
    config = desks.path("a") / "raccordo.toml"
    text = config.read_text().replace('id = "a"\n', f'id = "a"\npassphrase_file = "{apart / "frase"}"\n')
    config.write_text(text.replace("[http]", f'[http]\nca_file = "{apart / "ca.pem"}"'))
    desks.refer("a", "b")
    file = desks.backup("a")
    (apart / "frase").unlink()
    backups.bring_back(file, KEY, tmp_path / "new", NOW)
    fresh = load_config(tmp_path / "new" / "raccordo.toml", NodeConfig)
    assert fresh.bodies[0].passphrase_file == str(tmp_path / "new" / restore.PASSPHRASE_NAME)
    assert (tmp_path / "new" / restore.CA_NAME).read_text() == "certificato"
    Body.open(fresh).close()


# -- what was erased


def test_what_was_erased_after_the_copy_does_not_come_back(desks, tmp_path):
    kept, gone = desks.refer("a", "b", "resta"), desks.refer("a", "b", SECRET_WORD)
    desks.carry()
    file = desks.backup("a")
    line = msgspec.json.encode({"leg": gone, "at": NOW})
    (desks.copies / "erased.list").write_bytes(line + b"\n" + b'{"leg":"tagli')
    made, _ = backups.bring_back(file, KEY, tmp_path / "new", NOW)
    assert made.erased == 1
    conn = sqlite3.connect(tmp_path / "new" / "raccordo.db")
    sealed = dict(conn.execute("SELECT leg, sealed IS NOT NULL FROM event"))
    assert sealed == {kept: 1, gone: 0}
    assert conn.execute("SELECT COUNT(*) FROM case_key").fetchone() == (1,)
    assert conn.execute("SELECT COUNT(*) FROM leg").fetchone() == (2,), "the skeleton stays"
    conn.close()
    assert (tmp_path / "new" / "erased.list").read_bytes() == line + b"\n"
    (desks.copies / "erased.list").write_bytes(b"rovinata\n" + line + b"\n")
    refused("wrong-file", backups.bring_back, file, KEY, tmp_path / "other", NOW)


def test_a_replaced_directory_hands_its_list_of_erased_on(desks):
    leg = desks.refer("a", "b", SECRET_WORD)
    file = desks.backup("a")
    (desks.path("a") / "erased.list").write_bytes(msgspec.json.encode({"leg": leg, "at": NOW}) + b"\n")
    made, _ = backups.bring_back(file, KEY, desks.path("a"), NOW, replace=True)
    assert made.erased == 1
    again, _ = backups.bring_back(file, KEY, desks.path("a"), NOW + 1, replace=True)
    assert again.erased == 1


def test_the_header_names_no_case(desks):
    desks.refer("a", "b")
    header = backup.peek(desks.backup("a"))
    assert set(msgspec.structs.asdict(header)) == set(Header.__struct_fields__)
    assert (header.member, header.program, header.what, header.epoch) == ("a", "node", "full", 1)
