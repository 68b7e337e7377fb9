"""Signed notes and checkpoints: a real log's files, and attacks on a follower."""

from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import merkle, notes
from protocol.errors import ProtocolError
from protocol.suite import S1

LOG = Path(__file__).parents[3] / "shared" / "vectors" / "tlog-tiles-tessera" / "testdata" / "log"
needs_shared = pytest.mark.skipif(not LOG.exists(), reason="../shared is absent")
# The verifier key that tessera's own tests publish for this log.
TESSERA = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"

KEY = S1.signing_key(bytes(range(32)))
NAME = notes.origin("n" * 43)
PINNED = notes.NoteKey(NAME, S1.verify_key(KEY.public))
LEAVES = [merkle.leaf(bytes([i])) for i in range(20)]


def head_of(leaves):
    return notes.Checkpoint(NAME, len(leaves), merkle.root(leaves))


def tiles():
    return {int(path.name): path.read_bytes() for path in (LOG / "tile" / "0" / "000.p").iterdir()}


@needs_shared
def test_the_key_of_a_real_log_reads_and_prints_as_published():
    key = notes.parse_key(TESSERA, S1)
    assert key.name == "example.com/log/testdata"
    assert notes.format_key(key) == TESSERA


@needs_shared
@pytest.mark.parametrize("size", range(16))
def test_checkpoints_of_a_real_log_verify_and_their_roots_are_rebuilt_from_its_tile(size):
    raw = (LOG / f"checkpoint.{size}").read_bytes()
    head = notes.verify_head(raw, notes.parse_key(TESSERA, S1))
    tile = tiles()[size] if size else b""
    leaves = [tile[i : i + 32] for i in range(0, len(tile), 32)]
    assert head.size == size == len(leaves)
    assert merkle.root(leaves) == head.root
    assert notes.format_note(notes.parse_note(raw)) == raw


@needs_shared
def test_entries_of_a_real_log_hash_to_its_tile():
    bundle, leaves = (LOG / "tile" / "entries" / "000.p" / "15").read_bytes(), []
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        leaves.append(merkle.leaf(bundle[2 : 2 + length]))
        bundle = bundle[2 + length :]
    assert b"".join(leaves) == tiles()[15]


def test_a_follower_walks_from_head_to_head():
    edge = merkle.RightEdge()
    for stop in (0, 1, 7, 7, 20):
        head = notes.verify_head(notes.sign_head(head_of(LEAVES[:stop]), KEY), PINNED)
        edge = notes.follow(edge, LEAVES[edge.size : stop], head)
    assert edge.size == 20


@pytest.mark.parametrize(
    ("head", "sent", "code"),
    [
        (head_of(LEAVES[:9]), [], "log-rollback"),
        (head_of([*LEAVES[:9], LEAVES[0]]), [], "log-fork"),
        (head_of([LEAVES[1], *LEAVES[1:12]]), LEAVES[10:12], "log-fork"),
        (head_of(LEAVES[:12]), LEAVES[10:13], "log-fork"),
        (head_of(LEAVES[:12]), [LEAVES[10], LEAVES[10]], "log-fork"),
        (head_of(LEAVES[:12]), LEAVES[10:11], "log-moved"),
    ],
    ids=["shrunken head", "another tree of equal size", "rewritten past", "extra leaf", "swapped leaf", "short page"],
)
def test_a_fork_or_a_shrunken_head_is_refused(head, sent, code):
    edge = merkle.RightEdge().extend(LEAVES[:10])
    with pytest.raises(ProtocolError) as refused:
        notes.follow(edge, sent, head)
    assert refused.value.code == code


def sound():
    return notes.sign_head(head_of(LEAVES), KEY)


def test_a_head_signed_by_another_key_is_refused():
    other = S1.signing_key(bytes(32))
    for forged in (
        notes.sign_note(notes.format_checkpoint(head_of(LEAVES)), [(NAME, other)]),
        notes.sign_head(notes.Checkpoint("other", 1, bytes(32)), KEY),
    ):
        with pytest.raises(ProtocolError) as refused:
            notes.verify_head(forged, PINNED)
        assert refused.value.code == "bad-checkpoint"


def test_our_key_signing_another_logs_origin_is_refused():
    forged = notes.sign_note(notes.format_checkpoint(notes.Checkpoint("other", 1, bytes(32))), [(NAME, KEY)])
    with pytest.raises(ProtocolError):
        notes.verify_head(forged, PINNED)


def test_a_bad_signature_of_a_known_key_spoils_a_note_that_another_key_signed():
    witness = S1.signing_key(bytes(32))
    keys = [PINNED, notes.NoteKey("w", S1.verify_key(witness.public))]
    note = notes.parse_note(notes.sign_note("hello\n", [(NAME, KEY), ("w", witness)]))
    broken = notes.NoteSignature("w", note.signatures[1].key_id, bytes(64))
    assert notes.verify_note(notes.format_note(note), keys) == "hello\n"
    with pytest.raises(ProtocolError):
        notes.verify_note(notes.format_note(notes.Note(note.text, (note.signatures[0], broken))), keys)
    assert (
        notes.verify_note(notes.format_note(notes.Note(note.text, (note.signatures[0], broken))), keys[:1]) == "hello\n"
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda raw: raw[:-1],
        lambda raw: raw.replace(b"\n\n", b"\n"),
        lambda raw: raw.replace(b"\n20\n", b"\n020\n"),
        lambda raw: raw.replace(b"\n20\n", b"\n21\n"),
        lambda raw: raw.replace(b"\n20\n", b"\n+20\n"),
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: raw + b"\n",
        lambda raw: b"\n" + raw,
        lambda raw: raw.replace("— ".encode(), b"- "),
        lambda raw: raw[:-4] + b"!!!\n",
        lambda raw: raw.rpartition(b" ")[0] + b" AAAA\n",
        lambda raw: b"\xff" + raw,
        lambda raw: raw + raw.rpartition(b"\n\n")[2] * 16,
        lambda raw: b"x" * 70_000 + raw,
        lambda _: b"",
    ],
)
def test_a_damaged_head_is_refused_with_its_code(damage):
    with pytest.raises(ProtocolError) as refused:
        notes.verify_head(damage(sound()), PINNED)
    assert refused.value.code == "bad-checkpoint"


@pytest.mark.parametrize(
    "text", ["", "a+b+c", TESSERA[:-4] + "AAAA", TESSERA.replace("33d7", "33d8"), "a b+33d7b496+AA=="]
)
def test_a_damaged_printed_key_is_refused(text):
    with pytest.raises(ProtocolError) as refused:
        notes.parse_key(text, S1)
    assert refused.value.code == "bad-key"


def test_text_that_cannot_be_a_note_is_not_signed():
    for text in ("no newline", "", "tab\there\n"):
        with pytest.raises(ProtocolError):
            notes.sign_note(text, [(NAME, KEY)])


lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(lines, st.integers(0, notes.SIZE_MAX), st.binary(min_size=32, max_size=32), st.lists(lines, max_size=2))
def test_checkpoints_print_and_read_back_the_same(name, size, root, extensions):
    head = notes.Checkpoint(name, size, root, tuple(extensions))
    assert notes.parse_checkpoint(notes.format_checkpoint(head)) == head


@given(st.text(max_size=60), st.binary(min_size=5, max_size=80))
def test_any_note_that_reads_prints_the_same_bytes(text, signature):
    raw = f"{text}\n\n— key {b64encode(signature).decode()}\n".encode("utf-8", "surrogatepass")
    try:
        note = notes.parse_note(raw)
    except ProtocolError:
        return
    assert notes.format_note(note) == raw
