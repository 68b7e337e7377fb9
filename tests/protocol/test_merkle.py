"""The Merkle tree: vectors nobody here wrote, and every proof of small trees against the definition."""

import json
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import merkle
from protocol.errors import ProtocolError

VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "tlog-merkle" / "testdata"
needs_shared = pytest.mark.skipif(not VECTORS.exists(), reason="../shared is absent")
LEAVES = [merkle.leaf(bytes([i])) for i in range(40)]


def vectors(folder):
    return [json.loads(path.read_text()) for path in sorted((VECTORS / folder).rglob("*.json"))]


def unbase(text):
    return b64decode(text or "")


def verdict(verify, *arguments):
    try:
        verify(*arguments)
    except ProtocolError as error:
        assert error.code == "bad-proof"
        return False
    return True


@needs_shared
def test_every_inclusion_vector_gets_its_verdict():
    cases = vectors("inclusion")
    assert len(cases) > 90
    for case in cases:
        path = [unbase(step) for step in case["proof"] or []]
        sound = verdict(
            merkle.verify_inclusion,
            unbase(case["leafHash"]),
            case["leafIdx"],
            case["treeSize"],
            path,
            unbase(case["root"]),
        )
        assert sound is not case["wantErr"], case["desc"]


@needs_shared
def test_every_consistency_vector_gets_its_verdict():
    cases = vectors("consistency")
    assert len(cases) > 90
    for case in cases:
        path = [unbase(step) for step in case["proof"] or []]
        sound = verdict(
            merkle.verify_consistency, case["size1"], case["size2"], unbase(case["root1"]), unbase(case["root2"]), path
        )
        assert sound is not case["wantErr"], case["desc"]


def defined_root(leaves):
    """MTH of RFC 9162 §2.1.1, written as the definition."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else merkle.EMPTY
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return merkle.node(defined_root(leaves[:k]), defined_root(leaves[k:]))


def test_the_edge_grows_to_the_defined_root_one_leaf_at_a_time_and_survives_a_restart():
    edge = merkle.RightEdge()
    for size, leaf in enumerate(LEAVES):
        assert edge.root() == defined_root(LEAVES[:size])
        assert edge == merkle.RightEdge().extend(LEAVES[:size])
        edge = merkle.RightEdge.from_bytes(edge.append(leaf).to_bytes())


def test_the_nodes_an_append_completes_are_those_a_store_needs_for_proofs():
    edge, kept = merkle.RightEdge(), {}
    for leaf in LEAVES:
        kept |= {(level, index): value for level, index, value in edge.completed(leaf)}
        edge = edge.append(leaf)
    at = merkle.stored(LEAVES)
    assert all(at(level, index) == value for (level, index), value in kept.items())
    for size in range(1, len(LEAVES) + 1):
        for index in range(size):
            path = merkle.inclusion_path(index, size, lambda level, i: kept[level, i])
            merkle.verify_inclusion(LEAVES[index], index, size, path, defined_root(LEAVES[:size]))


def test_every_older_head_is_proved_consistent_with_every_newer_one():
    at = merkle.stored(LEAVES)
    roots = [defined_root(LEAVES[:size]) for size in range(len(LEAVES) + 1)]
    for new in range(1, len(LEAVES) + 1):
        for old in range(1, new + 1):
            merkle.verify_consistency(old, new, roots[old], roots[new], merkle.consistency_path(old, new, at))


@given(st.integers(1, 40), st.integers(0, 39), st.integers(0, 39), st.integers(0, 7))
def test_a_proof_with_one_flipped_bit_or_another_place_fails(size, index, place, bit):
    index, root = index % size, merkle.root(LEAVES[:size])
    path = merkle.inclusion_path(index, size, merkle.stored(LEAVES))
    if path:
        step = place % len(path)
        flipped = bytes([path[step][0] ^ (1 << bit)]) + path[step][1:]
        assert not verdict(
            merkle.verify_inclusion, LEAVES[index], index, size, [*path[:step], flipped, *path[step + 1 :]], root
        )
    other = place % size
    if other != index:
        assert not verdict(merkle.verify_inclusion, LEAVES[index], other, size, path, root)


@pytest.mark.parametrize("raw", [b"", bytes(7), (3).to_bytes(8, "big") + bytes(32), (1).to_bytes(8, "big") + bytes(33)])
def test_a_damaged_saved_edge_is_refused(raw):
    with pytest.raises(ProtocolError):
        merkle.RightEdge.from_bytes(raw)


def test_proofs_outside_the_tree_cannot_be_asked_for():
    at = merkle.stored(LEAVES)
    for ask in (
        lambda: merkle.inclusion_path(5, 5, at),
        lambda: merkle.consistency_path(0, 5, at),
        lambda: merkle.consistency_path(6, 5, at),
    ):
        with pytest.raises(ProtocolError):
            ask()
