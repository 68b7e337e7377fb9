"""The Merkle tree of RFC 9162 §2.1: hashes, roots, proofs and the right edge a follower keeps. No storage, no heads.

    leaf(line) = SHA-256(0x00 ‖ line)      node(l, r) = SHA-256(0x01 ‖ l ‖ r)
Stored nodes are addressed as in tlog tiles: (level, index) is the root of leaves [index·2^level, (index+1)·2^level).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, TypeAlias

from protocol.errors import ProtocolError

HASH_SIZE: Final = 32
EMPTY: Final = sha256(b"").digest()
NodeAt: TypeAlias = Callable[[int, int], bytes]


def leaf(line: bytes) -> bytes:
    return sha256(b"\x00" + line).digest()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class RightEdge:
    """All that is needed to append: the size and the roots of the perfect subtrees it is made of, largest first."""

    size: int = 0
    peaks: tuple[bytes, ...] = ()

    def append(self, leaf_hash: bytes) -> "RightEdge":
        """The edge after one more leaf, in O(log n)."""
        peaks = self.peaks[: len(self.peaks) - _merges(self.size)]
        return RightEdge(self.size + 1, (*peaks, self.completed(leaf_hash)[-1][2]))

    def extend(self, leaf_hashes: Iterable[bytes]) -> "RightEdge":
        """The edge after many leaves, O(1) amortised for each."""
        size, peaks = self.size, list(self.peaks)
        for leaf_hash in leaf_hashes:
            for _ in range(_merges(size)):
                leaf_hash = node(peaks.pop(), leaf_hash)
            peaks.append(leaf_hash)
            size += 1
        return RightEdge(size, tuple(peaks))

    def completed(self, leaf_hash: bytes) -> list[tuple[int, int, bytes]]:
        """The perfect nodes (level, index, hash) that appending this leaf completes, the leaf itself first."""
        nodes = [(0, self.size, leaf_hash)]
        for peak in reversed(self.peaks[len(self.peaks) - _merges(self.size) :]):
            level, index, right = nodes[-1]
            nodes.append((level + 1, index // 2, node(peak, right)))
        return nodes

    def root(self) -> bytes:
        if not self.peaks:
            return EMPTY
        *rest, total = self.peaks
        for peak in reversed(rest):
            total = node(peak, total)
        return total

    def to_bytes(self) -> bytes:
        """8 bytes of size, big-endian, then the peaks."""
        return self.size.to_bytes(8, "big") + b"".join(self.peaks)

    @classmethod
    def from_bytes(cls, raw: bytes) -> "RightEdge":
        """Raises bad-proof unless the number of peaks fits the size."""
        size, tail = int.from_bytes(raw[:8], "big"), raw[8:]
        if len(raw) != 8 + HASH_SIZE * size.bit_count():
            raise ProtocolError("bad-proof", field="edge")
        return cls(size, tuple(tail[i : i + HASH_SIZE] for i in range(0, len(tail), HASH_SIZE)))


def _merges(size: int) -> int:
    """How many peaks the next leaf of a tree of `size` leaves closes: the trailing ones of `size`."""
    return (~size & (size + 1)).bit_length() - 1


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    return RightEdge().extend(leaf_hashes).root()


def stored(leaf_hashes: Sequence[bytes]) -> NodeAt:
    """Perfect nodes of a tree held in memory, each level hashed once."""
    levels = [list(leaf_hashes)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])
    return lambda level, index: levels[level][index]


def inclusion_path(index: int, size: int, at: NodeAt) -> list[bytes]:
    """PATH(index, D[size]) of RFC 9162 §2.1.3.1, from stored perfect nodes. Raises bad-proof outside the tree."""
    if not 0 <= index < size:
        raise ProtocolError("bad-proof", field="index")
    return [_range_root(start, end, at) for start, end in _path_ranges(index, 0, size)]


def _path_ranges(index: int, start: int, end: int) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_path(old: int, new: int, at: NodeAt) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 9162 §2.1.4.1. Raises bad-proof unless 0 < old <= new."""
    if not 0 < old <= new:
        raise ProtocolError("bad-proof", field="size")
    ranges: list[tuple[int, int]] = []
    start, end = 0, new
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:  # the old tree is not a subtree of its own: its last part opens the proof
        ranges.append((start, end))
    return [_range_root(a, b, at) for a, b in reversed(ranges)]


def _split(count: int) -> int:
    """The largest power of two smaller than `count` (count > 1)."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_root(start: int, end: int, at: NodeAt) -> bytes:
    """The root of leaves [start, end), which begins at a multiple of its own size rounded up to a power of two."""
    count = end - start
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return at(level, start >> level)
    middle = start + _split(count)
    return node(_range_root(start, middle, at), _range_root(middle, end, at))


def verify_inclusion(leaf_hash: bytes, index: int, size: int, path: Sequence[bytes], root_hash: bytes) -> None:
    """RFC 9162 §2.1.3.2. Raises bad-proof."""
    if not 0 <= index < size or not _hashes([leaf_hash, *path]):
        raise ProtocolError("bad-proof", field="index")
    position, last, total = index, size - 1, leaf_hash
    for sibling in path:
        if last == 0:
            raise ProtocolError("bad-proof", field="path", expected="a shorter path")
        if position & 1 or position == last:
            total = node(sibling, total)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            total = node(total, sibling)
        position, last = position >> 1, last >> 1
    if last or total != root_hash:
        raise ProtocolError("bad-proof", field="path")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """RFC 9162 §2.1.4.2. Raises bad-proof. Size 0 is refused: consistency with an empty tree proves nothing."""
    if not 0 < old <= new or not _hashes(path):
        raise ProtocolError("bad-proof", field="size")
    if old == new:
        if path or old_root != new_root:
            raise ProtocolError("bad-proof", field="path")
        return
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not path:
        raise ProtocolError("bad-proof", field="path")
    _climb(old - 1, new - 1, steps, old_root, new_root)


def _climb(position: int, last: int, steps: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    while position & 1:
        position, last = position >> 1, last >> 1
    was = now = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            raise ProtocolError("bad-proof", field="path", expected="a shorter path")
        if position & 1 or position == last:
            was, now = node(sibling, was), node(sibling, now)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            now = node(now, sibling)
        position, last = position >> 1, last >> 1
    if last or was != old_root or now != new_root:
        raise ProtocolError("bad-proof", field="path")


def _hashes(path: Sequence[bytes]) -> bool:
    return all(len(step) == HASH_SIZE for step in path)
