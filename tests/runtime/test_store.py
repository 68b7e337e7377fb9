"""The store: one owner, groups, full disks, settings, damage."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from node.runtime import store as store_module
from node.runtime.migrations import Migration, migrate, script, statements
from node.runtime.store import SETTINGS, Outcome, Setting, Store, open_reader
from protocol.errors import ProtocolError

NOTES = [script("notes-001", "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT")]


def add(text):
    return lambda tx: tx.execute("INSERT INTO note (text) VALUES (?)", (text,)).lastrowid


def count(tx):
    return tx.execute("SELECT count(*) FROM note").fetchone()[0]


def codes(outcomes):
    return [getattr(outcome.error, "code", None) for outcome in outcomes]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "store.db"


@pytest.fixture
def store(path):
    with_store = Store.open(path, NOTES)
    yield with_store
    with_store.close()


def test_a_group_of_commands_is_one_commit(store):
    outcomes = store.execute_group([add(f"n{i}") for i in range(100)])
    assert [outcome.result() for outcome in outcomes] == list(range(1, 101))
    assert (store.commits, store.commands) == (1, 100)


def test_a_refused_command_rolls_back_alone(store):
    def refused(tx):
        add("half done")(tx)
        raise ProtocolError("illegal-event")

    def faulty(tx):
        add("also half done")(tx)
        raise ZeroDivisionError

    outcomes = store.execute_group(
        [add("a"), refused, faulty, lambda tx: tx.execute("INSERT INTO note VALUES (1, 2, 3)"), add("b")]
    )
    assert codes(outcomes) == [None, "illegal-event", None, None, None]
    assert isinstance(outcomes[2].error, ZeroDivisionError)
    assert isinstance(outcomes[3].error, sqlite3.OperationalError)
    assert store.read(lambda tx: tx.execute("SELECT text FROM note ORDER BY id").fetchall()) == [("a",), ("b",)]


def test_a_constraint_refuses_only_the_command_that_broke_it(store):
    outcomes = store.execute_group([add("a"), add(None), add("b")])
    assert isinstance(outcomes[1].error, sqlite3.IntegrityError)
    assert store.read(count) == 2


def test_a_command_may_use_savepoints_of_its_own(store):
    def nested(tx):
        tx.execute("SAVEPOINT command")
        add("inner")(tx)
        tx.execute("ROLLBACK TO command")
        return add("outer")(tx)

    assert store.run(nested) == 1
    assert store.read(count) == 1


@pytest.mark.parametrize("verb", ["COMMIT", "ROLLBACK"])
def test_a_command_that_ends_the_transaction_acknowledges_nobody(store, verb):
    outcomes = store.execute_group([add("a"), lambda tx: tx.execute(verb), add("b")])
    assert codes(outcomes) == ["internal"] * 3
    assert store.run(add("c"))


def test_a_commit_that_fails_acknowledges_nobody_and_leaves_the_store_usable(store):
    store.run(lambda tx: tx.execute("CREATE TABLE child (note INTEGER REFERENCES note DEFERRABLE INITIALLY DEFERRED)"))
    orphan = store.execute_group([add("a"), lambda tx: tx.execute("INSERT INTO child VALUES (99)")])
    assert codes(orphan) == ["internal"] * 2
    assert store.run(add("b")) == 1


def test_run_raises_the_refusal(store):
    with pytest.raises(ZeroDivisionError):
        store.run(lambda tx: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        Outcome(error=ZeroDivisionError()).result()


def test_a_reader_cannot_write_through_the_owner(store):
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.read(add("x"))
    assert store.run(add("y")) == 1


def test_a_read_only_connection_sees_commits_and_cannot_write(store):
    reader = open_reader(store.path)
    store.run(add("a"))
    assert count(reader) == 1
    with pytest.raises(sqlite3.OperationalError):
        add("b")(reader)
    with pytest.raises(sqlite3.OperationalError):
        reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    reader.close()


def test_a_full_store_refuses_the_whole_group_and_works_afterwards(path):
    store = Store.open(path, NOTES, max_page_count=12)
    kept = store.run(add("kept"))
    outcomes = store.execute_group([add("small"), add("x" * 60_000), add("small too")])
    assert codes(outcomes) == ["disk-full"] * 3
    assert store.read(count) == 1
    assert store.run(add("still works")) == kept + 1
    store.close()
    assert store.execute_group([add("late")])[0].error is not None


def test_a_command_that_swallows_a_full_disk_acknowledges_only_what_is_stored(path):
    store = Store.open(path, NOTES, max_page_count=12)

    def swallow(tx):
        try:
            add("x" * 60_000)(tx)
        except sqlite3.Error:
            return "fine"

    outcomes = store.execute_group([add("a"), swallow, add("b")])
    stored = store.read(count)
    assert stored == sum(outcome.error is None for outcome in (outcomes[0], outcomes[2]))
    store.close()


FULL = """
import resource, sys
from pathlib import Path
from node.runtime.store import Store, script
store = Store.open(Path(sys.argv[1]), [script("notes-001", "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)")])
add = lambda text: lambda tx: tx.execute("INSERT INTO note (text) VALUES (?)", (text,)).lastrowid
store.run(add("kept"))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
codes = [o.error.code for o in store.execute_group([add("a"), add("x" * 400_000), add("b")])]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
after = store.run(add("after"))
print(codes, after, store.read(lambda tx: tx.execute("SELECT count(*) FROM note").fetchone()[0]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_file_size_limit_reads_as_a_full_disk_and_acknowledges_nobody(path):
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['disk-full', 'disk-full', 'disk-full'] 2 2"


LOAD = """
import sys
from pathlib import Path
from node.runtime.store import Store, script
store = Store.open(Path(sys.argv[1]), [script("notes-001", "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT)")])
add = lambda tx: tx.execute("INSERT INTO note (text) VALUES ('x')").lastrowid
while True:
    ids = [outcome.result() for outcome in store.execute_group([add] * 5)]
    print(*ids, flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.feature("F004-16")
def test_killing_the_owner_loses_no_acknowledged_row(path):
    acknowledged: set[int] = set()
    for kill in range(5):
        process = subprocess.Popen([sys.executable, "-c", LOAD, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(20 + 37 * kill):
            acknowledged.update(int(word) for word in process.stdout.readline().split())
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        last = process.stdout.read()  # a last line may be cut short: whole lines were acknowledged
        for line in last.splitlines(keepends=True):
            if line.endswith("\n"):
                acknowledged.update(int(word) for word in line.split())
    store = Store.open(path, [Migration("notes-001", lambda conn: None)])
    stored = {row[0] for row in store.read(lambda tx: tx.execute("SELECT id FROM note").fetchall())}
    store.close()
    assert len(acknowledged) > 400
    assert acknowledged <= stored


SECOND = """
import sys
from pathlib import Path
from node.runtime.store import Store
from protocol.errors import ProtocolError
try:
    Store.open(Path(sys.argv[1]), [])
except ProtocolError as error:
    print(error.code, error.got)
"""


def test_a_second_process_is_told_who_owns_the_store(store):
    done = subprocess.run([sys.executable, "-c", SECOND, str(store.path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"store-busy pid {os.getpid()}"


def test_a_second_opening_in_one_process_is_refused_until_the_first_closes(store):
    with pytest.raises(ProtocolError, match="store-busy"):
        Store.open(store.path, NOTES)
    store.close()
    store.close()
    Store.open(store.path, NOTES).close()


def test_another_program_holding_the_write_lock_makes_it_busy_not_broken(store):
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert codes(store.execute_group([add("a"), add("b")])) == ["busy", "busy"]
    other.execute("ROLLBACK")
    other.close()
    assert store.run(add("c")) == 1


@pytest.mark.parametrize(
    "pragma", [setting.pragma for setting in SETTINGS if setting.pragma not in ("busy_timeout", "mmap_size")]
)
def test_a_setting_that_is_not_as_promised_refuses_the_start(path, monkeypatch, pragma):
    wrong = {"journal_mode": "DELETE", "synchronous": "OFF", "trusted_schema": "ON", "temp_store": "FILE"}.get(
        pragma, "0"
    )
    planted = tuple(Setting(s.pragma, wrong if s.pragma == pragma else s.value, s.holds) for s in SETTINGS)
    monkeypatch.setattr(store_module, "SETTINGS", planted)
    with pytest.raises(ProtocolError) as refused:
        Store.open(path, NOTES)
    assert (refused.value.code, refused.value.field) == ("store-settings", pragma)


def test_switching_synchronous_off_later_stops_every_group(store):
    store.read(lambda tx: tx.execute("PRAGMA synchronous=OFF"))
    assert codes(store.execute_group([add("a")])) == ["store-settings"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_the_store_and_its_directory_are_the_owners_only(store):
    assert store.path.stat().st_mode & 0o777 == 0o600
    assert store.path.parent.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o077 == 0 for file in store.path.parent.iterdir())


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\x00" + b"\xff" * 4096])
def test_garbage_is_never_silently_replaced_by_an_empty_store(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ProtocolError, match="store-damaged"):
        Store.open(path, NOTES)
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_refused(path):
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    with pytest.raises(ProtocolError, match="store-damaged"):
        Store.open(path, NOTES)


def test_a_missing_store_is_made_only_where_that_is_meant(path):
    with pytest.raises(ProtocolError, match="config-missing"):
        Store.open(path, NOTES, create=False)
    Store.open(path, NOTES).close()
    Store.open(path, NOTES, create=False).close()


def test_a_store_that_vanished_beside_its_wal_is_damage(path):
    path.parent.mkdir()
    path.with_name("store.db-wal").write_bytes(b"frames")
    with pytest.raises(ProtocolError, match="store-damaged"):
        Store.open(path, NOTES)


def test_a_damaged_page_stops_the_store_until_it_is_opened_again(path):
    store = Store.open(path, NOTES)
    store.execute_group([add("x" * 3000) for _ in range(50)])
    store.close()
    content = bytearray(path.read_bytes())
    content[5 * 4096 : 40 * 4096] = b"\xff" * (35 * 4096)
    path.write_bytes(content)
    store = Store.open(path, NOTES)
    outcomes = store.execute_group([lambda tx: tx.execute("SELECT sum(length(text)) FROM note").fetchone(), add("a")])
    assert codes(outcomes) == ["store-damaged"] * 2
    assert codes(store.execute_group([add("b")])) == ["store-damaged"]
    with pytest.raises(ProtocolError, match="store-damaged"):
        store.quick_check()
    store.close()


def test_a_store_whose_owner_died_is_checked_whole(path):
    store = Store.open(path, NOTES)
    store.execute_group([add("x" * 3000) for _ in range(50)])
    store.close()
    content = bytearray(path.read_bytes())
    content[5 * 4096 : 40 * 4096] = b"\xff" * (35 * 4096)
    path.write_bytes(content)
    path.with_name("store.db.lock").write_text("99999999")
    with pytest.raises(ProtocolError, match="store-damaged"):
        Store.open(path, NOTES)


def test_the_wal_stays_bounded_under_load_and_a_reader_that_holds_it_makes_the_store_busy(path, monkeypatch):
    monkeypatch.setattr(store_module, "WAL_TIDY", 1 << 20)
    monkeypatch.setattr(store_module, "WAL_LIMIT", 2 << 20)
    store = Store.open(path, NOTES)
    wal = path.with_name("store.db-wal")
    for _ in range(30):
        store.execute_group([add("x" * 3000)] * 40)
        assert wal.stat().st_size < 2 << 20
    reader = open_reader(path)
    reader.execute("BEGIN")
    held = count(reader)
    answers = [codes(store.execute_group([add("x" * 3000)] * 40)) for _ in range(30)]
    assert answers[0][0] is None
    assert answers[-1][0] == "busy"
    assert count(reader) == held
    reader.close()
    assert store.run(add("again"))
    store.close()


def test_a_checkpoint_leaves_nothing_in_the_wal(store):
    store.run(add("canary-7f31"))
    store.run(lambda tx: tx.execute("DELETE FROM note"))
    assert store.checkpoint()
    assert store.path.with_name("store.db-wal").stat().st_size == 0
    assert b"canary-7f31" not in store.path.read_bytes()


# -- migrations

TWO_STEPS = [
    script("a-001", "CREATE TABLE a (x); INSERT INTO a VALUES (1); CREATE INDEX a_x ON a (x)"),
    script("a-002", "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1; CREATE TABLE b (z)"),
]


class Cut(Exception):
    """The power went."""


class Cutting(sqlite3.Connection):
    """Fails before its n-th statement, once."""

    left = -1

    def execute(self, sql, *args):
        if sql != "ROLLBACK":
            if self.left == 0:
                self.left = -1
                raise Cut
            self.left -= 1
        return super().execute(sql, *args)


def test_a_migration_interrupted_at_every_statement_is_resumed(tmp_path):
    statement = 0
    while True:
        path = tmp_path / f"{statement}.db"
        conn = sqlite3.connect(path, isolation_level=None, factory=Cutting)
        conn.left = statement
        try:
            migrate(conn, TWO_STEPS)
            finished = True
        except Cut:
            finished = False
        conn.close()
        conn = sqlite3.connect(path, isolation_level=None)
        migrate(conn, TWO_STEPS)
        assert conn.execute("SELECT x, y FROM a").fetchall() == [(1, 2)]
        assert conn.execute("SELECT name FROM _migrations ORDER BY name").fetchall() == [("a-001",), ("a-002",)]
        conn.close()
        if finished:
            break
        statement += 1
    assert statement == 2 + 2 * (3 + 3)


def test_a_store_of_a_newer_program_is_refused(path):
    Store.open(path, [*NOTES, script("notes-002", "CREATE TABLE more (x)")]).close()
    with pytest.raises(ProtocolError) as refused:
        Store.open(path, NOTES)
    assert (refused.value.code, refused.value.got) == ("store-newer", "notes-002")


def test_a_migration_that_commits_by_itself_is_refused(path):
    with pytest.raises(RuntimeError, match="sly"):
        Store.open(path, [Migration("sly", lambda conn: conn.executescript("CREATE TABLE a (x)") and None)])


def test_two_migrations_of_one_name_are_refused(path):
    with pytest.raises(ValueError, match="one name"):
        Store.open(path, [*NOTES, *NOTES])


def test_sql_text_is_split_after_whole_statements():
    text = (
        "CREATE TABLE a (x DEFAULT ';'); CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END;\n\nSELECT 3"
    )
    assert [part[:9] for part in statements(text)] == ["CREATE TA", "CREATE TR", "SELECT 3;"]
    with pytest.raises(ValueError, match="incomplete"):
        list(statements("SELECT 'never closed"))


def test_a_migration_may_use_sqlite_utils(path):
    def build(conn):
        import sqlite_utils

        sqlite_utils.Database(conn)["thing"].create({"id": int, "name": str}, pk="id")

    store = Store.open(path, [Migration("things-001", build)])
    assert store.run(lambda tx: tx.execute("INSERT INTO thing VALUES (1, 'x') RETURNING id").fetchone()) == (1,)
    store.close()


def test_the_path_of_a_store_may_hold_any_letter(tmp_path):
    path = Path(tmp_path) / "città #1 100%?" / "archivio à.db"
    store = Store.open(path, NOTES)
    store.run(add("x"))
    reader = open_reader(path)
    assert count(reader) == 1
    reader.close()
    store.close()
