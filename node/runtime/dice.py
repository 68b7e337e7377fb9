"""Randomness: the operating system's, and a seeded one for simulations and tests (never for keys in use)."""

import os
import random

from node.runtime.ports import Random


class SystemDice:
    """The operating system's generator."""

    def __init__(self) -> None:
        self._order = _Order()

    def bytes(self, n: int) -> bytes:
        return os.urandom(n)

    def uuid4(self) -> str:
        return _uuid4(os.urandom(16))

    def uuid7(self, at: int) -> str:
        return _uuid7(self._order, at, os.urandom(8))

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * (int.from_bytes(os.urandom(7), "big") >> 3) / (1 << 53)


class SeededDice:
    """The same throws for the same seed, on every machine."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - reproducible on purpose
        self._order = _Order()

    def bytes(self, n: int) -> bytes:
        return self._random.randbytes(n)

    def uuid4(self) -> str:
        return _uuid4(self._random.randbytes(16))

    def uuid7(self, at: int) -> str:
        return _uuid7(self._order, at, self._random.randbytes(8))

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


class _Order:
    """Counts the UUIDv7 of one second, so that they sort as they were made."""

    def __init__(self) -> None:
        self._at = self._count = 0

    def next(self, at: int) -> int:
        self._count = min(self._count + 1, 0xFFF) if at == self._at else 0
        self._at = at
        return self._count


def _uuid4(raw: bytes) -> str:
    """RFC 9562 §5.4; written here because importing `uuid` costs more than the five lines."""
    return _text(raw[:6] + bytes((raw[6] & 0x0F | 0x40, raw[7], raw[8] & 0x3F | 0x80)) + raw[9:])


def _uuid7(order: _Order, at: int, raw: bytes) -> str:
    """RFC 9562 §5.7, with the counter of §6.2 in `rand_a`; `at` in Unix seconds, `raw` 8 random bytes."""
    times = (max(at, 0) * 1000).to_bytes(6, "big") + (0x7000 | order.next(at)).to_bytes(2, "big")
    return _text(times + bytes((raw[0] & 0x3F | 0x80,)) + raw[1:])


def _text(raw: bytes) -> str:
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_conforms: tuple[type[Random], ...] = (SystemDice, SeededDice)
