"""Eight words to compare a public key over the telephone. Not a name for a key on the wire: that is its `kid`.

The words of bytes(range(32)): amaca partita civetta museo energia borea tema carciofo
"""

from hashlib import sha256
from typing import Final

from protocol.fingerprint_words import WORDS

LABEL: Final = b"raccordo/fingerprint/v1\0"
COUNT: Final = 8
BITS: Final = 10


def fingerprint(public: bytes) -> tuple[str, ...]:
    """The first 80 bits of SHA-256(label ‖ raw public key), ten bits a word, high bits first."""
    bits = int.from_bytes(sha256(LABEL + public).digest()[: COUNT * BITS // 8], "big")
    return tuple(WORDS[bits >> shift & (1 << BITS) - 1] for shift in range((COUNT - 1) * BITS, -1, -BITS))


def read_words(text: str) -> tuple[str, ...]:
    """Words as a person types them, each by its first four letters at least; unknown ones stay as typed."""
    typed = text.lower().replace(",", " ").replace("-", " ").split()
    return tuple(next((word for word in WORDS if len(t) >= 4 and word.startswith(t)), t) for t in typed)


def matches(public: bytes, text: str) -> bool:
    """Do the words a person typed belong to this key?"""
    return read_words(text) == fingerprint(public)
