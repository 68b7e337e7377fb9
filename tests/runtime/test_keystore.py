"""Keys in a file and in memory."""

import sys

import pytest

from node.runtime.dice import SeededDice
from node.runtime.keystore import Keystore, MemoryKeystore
from node.runtime.ports import Keystore as KeystorePort
from protocol.errors import ProtocolError

NOW = 1_795_259_400


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "keys.json"


def code(function, *args):
    with pytest.raises(ProtocolError) as refused:
        function(*args)
    return refused.value.code


@pytest.fixture(params=["file", "memory"])
def keystore(request, path) -> KeystorePort:
    return Keystore.create(path, SeededDice(1)) if request.param == "file" else MemoryKeystore(SeededDice(1))


def test_the_first_key_of_a_use_is_current_and_the_second_is_next(keystore):
    keystore.add_signing(b"a" * 32, "sig-1", NOW)
    keystore.add_signing(b"b" * 32, "sig-2", NOW + 1)
    keystore.add_sealing(b"c" * 32, "seal-1", NOW)
    assert keystore.signing_seed() == ("sig-1", b"a" * 32)
    assert keystore.signing_seed("sig-2") == ("sig-2", b"b" * 32)
    assert [(e.kid, e.state) for e in keystore.entries()] == [
        ("sig-1", "current"),
        ("sig-2", "next"),
        ("seal-1", "current"),
    ]


def test_retiring_hands_over_to_the_next_key_and_keeps_the_old_one_to_open_post(keystore):
    keystore.add_sealing(b"a" * 32, "s1", NOW)
    assert code(keystore.retire, "s1") == "bad-key"
    keystore.add_sealing(b"b" * 32, "s2", NOW + 1)
    keystore.retire("s1")
    assert keystore.sealing_seeds() == [("s2", b"b" * 32, "current"), ("s1", b"a" * 32, "old")]
    assert code(keystore.destroy, "s2") == "bad-key"
    keystore.destroy("s1")
    assert keystore.sealing_seeds() == [("s2", b"b" * 32, "current")]


def test_wrong_seeds_and_unknown_kids_are_refused(keystore):
    assert code(keystore.signing_seed) == "unknown-key"
    assert code(keystore.add_signing, b"short", "k", NOW) == "bad-key"
    keystore.add_signing(b"a" * 32, "k", NOW)
    assert code(keystore.add_sealing, b"b" * 32, "k", NOW) == "bad-key"
    assert code(keystore.retire, "other") == "unknown-key"
    assert code(keystore.signing_seed, "other") == "unknown-key"


def test_what_is_written_is_what_is_loaded(path):
    made = Keystore.create(path, SeededDice(2))
    made.add_signing(b"a" * 32, "k1", NOW)
    made.add_sealing(b"b" * 32, "k2", NOW)
    loaded = Keystore.load(path)
    assert loaded.entries() == made.entries()
    assert loaded.vault_key() == made.vault_key()
    assert len(loaded.vault_key()) == 32
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


def test_an_existing_key_file_is_never_overwritten(path):
    Keystore.create(path, SeededDice(1))
    before = path.read_bytes()
    assert code(Keystore.create, path, SeededDice(2)) == "keys-exist"
    assert path.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_a_key_file_that_others_can_read_is_refused(path):
    Keystore.create(path, SeededDice(1))
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    assert code(Keystore.load, path) == "keys-exposed"


def test_with_a_passphrase_the_file_shows_no_seed_and_opens_only_with_it(path):
    made = Keystore.create(path, SeededDice(3), "càvolo cappuccio")
    made.add_signing(b"S" * 32, "firma-di-prova", NOW)
    assert b"U1NTU1NT" not in path.read_bytes()
    assert b"firma-di-prova" not in path.read_bytes()
    assert Keystore.load(path, "ca\u0300volo cappuccio").signing_seed() == ("firma-di-prova", b"S" * 32)
    assert code(Keystore.load, path, "cavolo cappuccio") == "bad-passphrase"
    assert code(Keystore.load, path) == "bad-passphrase"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"v":2}', b"[" * 100_000, b'{"v":1,"ring":{"vault":"AA","extra":1}}', b"\xff\xfe"]
)
def test_a_damaged_key_file_is_named_so(path, content):
    Keystore.create(path, SeededDice(1))
    path.write_bytes(content)
    assert code(Keystore.load, path) == "keys-damaged"


def test_a_missing_key_file_is_named_so(path):
    assert code(Keystore.load, path) == "keys-missing"


def test_a_change_that_cannot_be_written_does_not_count(path, monkeypatch):
    keystore = Keystore.create(path, SeededDice(1))

    def full(*_):
        raise OSError(28, "no space")

    monkeypatch.setattr("node.runtime.keystore.replace_private", full)
    assert code(keystore.add_signing, b"a" * 32, "k", NOW) == "disk-full"
    assert keystore.entries() == []
