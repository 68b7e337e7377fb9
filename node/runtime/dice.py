"""Randomness: the operating system's, and a seeded one for simulations and tests (never for keys in use)."""

import os
import random

from node.runtime.ports import Random


class SystemDice:
    """The operating system's generator."""

    def bytes(self, n: int) -> bytes:
        return os.urandom(n)

    def uuid4(self) -> str:
        return _uuid4(os.urandom(16))

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * (int.from_bytes(os.urandom(7), "big") >> 3) / (1 << 53)


class SeededDice:
    """The same throws for the same seed, on every machine."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - reproducible on purpose

    def bytes(self, n: int) -> bytes:
        return self._random.randbytes(n)

    def uuid4(self) -> str:
        return _uuid4(self._random.randbytes(16))

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


def _uuid4(raw: bytes) -> str:
    """RFC 9562 §5.4; written here because importing `uuid` costs more than the five lines."""
    text = (raw[:6] + bytes((raw[6] & 0x0F | 0x40, raw[7], raw[8] & 0x3F | 0x80)) + raw[9:]).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_conforms: tuple[type[Random], ...] = (SystemDice, SeededDice)
