"""The encrypted file: what was written comes back, and nothing else does. Small files, every byte of them."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.runtime import sealed_file
from node.runtime.sealed_file import CHUNK, Facts, Kdf, Secret
from protocol.errors import ProtocolError

FACTS = Facts(net="n" * 43, log=812, epoch=3, version=40)
KEY = Secret("key-file", bytes(range(32)))
PHRASE = sealed_file.passphrase("una frase di prova")
CHEAP = Kdf("scrypt", 16, 8, 1)
AT = 1_795_259_400


def write(path, content, secret=KEY, **changes):
    header, key = sealed_file.new_header(
        secret, bytes(32), FACTS, program="node", what="full", member="comune-x", at=AT, kdf=CHEAP
    )
    header = msgspec.structs.replace(header, **changes)
    writer = sealed_file.Writer(path, header, key)
    writer.write(content)
    return writer.close()


def read(path, secret=KEY):
    with path.open("rb") as file:
        _, chunks = sealed_file.open_sealed(file, secret)
        return b"".join(chunks)


def refused(path, secret=KEY):
    with pytest.raises(ProtocolError) as caught:
        read(path, secret)
    return caught.value.code


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_what_was_written_comes_back(tmp_path, size):
    content = bytes(i % 251 for i in range(size))
    assert write(tmp_path / "f", content) == sealed_file.file_hash(tmp_path / "f")
    assert read(tmp_path / "f") == content
    assert content[:64] not in (tmp_path / "f").read_bytes() or size < 64


def test_the_header_says_whose_and_of_when_without_the_secret(tmp_path):
    write(tmp_path / "f", b"contenuto")
    with (tmp_path / "f").open("rb") as file:
        header, _ = sealed_file.read_header(file)
    assert (header.member, header.at, header.log, header.epoch, header.version) == ("comune-x", AT, 812, 3, 40)


def test_another_passphrase_or_another_kind_of_secret_is_refused(tmp_path):
    write(tmp_path / "f", b"contenuto", PHRASE)
    assert read(tmp_path / "f", PHRASE) == b"contenuto"
    assert refused(tmp_path / "f", sealed_file.passphrase("un'altra frase lunga")) == "bad-passphrase"
    assert refused(tmp_path / "f", KEY) == "bad-passphrase"
    with pytest.raises(ProtocolError, match="bad-passphrase"):
        sealed_file.passphrase("corta")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), flip=st.integers(1, 255), size=st.sampled_from([0, 5, 300]))
def test_any_byte_flipped_is_refused(tmp_path, place, flip, size):
    path = tmp_path / f"f{size}"
    if not path.exists():
        write(path, b"x" * size, PHRASE)
    raw = bytearray(path.read_bytes())
    raw[place % len(raw)] ^= flip
    (tmp_path / "flipped").write_bytes(raw)
    assert refused(tmp_path / "flipped", PHRASE) in ("backup-damaged", "wrong-file", "bad-passphrase")


def test_every_single_bit_flipped_is_refused(tmp_path):
    write(tmp_path / "f", b"abc")
    whole = (tmp_path / "f").read_bytes()
    for place in range(len(whole)):
        raw = bytearray(whole)
        raw[place] ^= 1 << place % 8
        (tmp_path / "flipped").write_bytes(raw)
        assert refused(tmp_path / "flipped") in ("backup-damaged", "wrong-file", "bad-passphrase"), place


def test_cut_short_anywhere_or_lengthened_is_refused(tmp_path):
    write(tmp_path / "f", b"x" * (CHUNK + 10))
    whole = (tmp_path / "f").read_bytes()
    start = len(whole) - (CHUNK + 16) - 26
    for cut in (*range(0, start, 7), start, start + 1, start + CHUNK + 15, start + CHUNK + 16, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:cut])
        assert refused(tmp_path / "cut") in ("backup-damaged", "wrong-file"), cut
    (tmp_path / "long").write_bytes(whole + b"\0")
    assert refused(tmp_path / "long") == "backup-damaged"


def test_chunks_of_two_files_of_one_key_cannot_be_exchanged(tmp_path):
    write(tmp_path / "a", b"a" * 10)
    write(tmp_path / "b", b"b" * 10, at=AT + 1)
    a, b = (tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()
    (tmp_path / "mixed").write_bytes(a[: -10 - 16] + b[-10 - 16 :])
    assert refused(tmp_path / "mixed") == "backup-damaged"


def test_a_newer_format_is_named_as_such(tmp_path):
    write(tmp_path / "f", b"contenuto", v=2)
    assert refused(tmp_path / "f") == "backup-newer"


def test_a_header_cannot_ask_for_more_memory_than_the_bound(tmp_path):
    write(tmp_path / "f", b"contenuto", PHRASE, kdf=Kdf("scrypt", 1 << 30, 8, 1))
    assert refused(tmp_path / "f", PHRASE) == "backup-damaged"
    write(tmp_path / "g", b"contenuto", PHRASE, kdf=Kdf("scrypt", 17, 8, 1))
    assert refused(tmp_path / "g", PHRASE) == "backup-damaged"


def test_a_recovery_key_file_is_read_only_when_it_is_private(tmp_path):
    path = tmp_path / "chiave.json"
    path.write_bytes(sealed_file.key_file_text(KEY.value))
    path.chmod(0o644)
    with pytest.raises(ProtocolError, match="keys-exposed"):
        sealed_file.read_key_file(path)
    path.chmod(0o600)
    assert sealed_file.read_key_file(path) == KEY
    path.write_bytes(b"{}")
    with pytest.raises(ProtocolError, match="keys-damaged"):
        sealed_file.read_key_file(path)
