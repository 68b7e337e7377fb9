"""Padding to the few lengths that travel, so that a relay learns a size class and no more. No sealing (jwe)."""

from protocol.errors import ProtocolError
from protocol.limits import BUCKETS


def bucket(length: int) -> int:
    """The smallest bucket that holds `length` bytes; raises too-large."""
    for size in BUCKETS:
        if length <= size:
            return size
    raise ProtocolError("too-large", expected=f"at most {BUCKETS[-1]} bytes", got=f"{length} bytes")


def pad(plaintext: bytes) -> bytes:
    """With spaces at the end, up to the bucket. `plaintext` must not end in a space: it could not be told apart."""
    return plaintext.ljust(bucket(len(plaintext)))


def unpad(padded: bytes) -> bytes:
    """Without the spaces; a length that is no bucket is `bad-seal`."""
    if len(padded) not in BUCKETS:
        raise ProtocolError("bad-seal", expected="the length of a bucket", got=f"{len(padded)} bytes")
    return padded.rstrip(b" ")
