"""A suite without cryptography for most seeds: same shapes and refusals as S1, hashes instead of curves.

A signature can be made from the public key alone and a shared secret from two public keys: worthless outside the
simulator, whose adversary only corrupts, replays and invents at random.
"""

from hashlib import blake2b, shake_256
from typing import Final

from protocol.errors import ProtocolError
from protocol.keys import KEY_BYTES, SEALING, SIGNING, check_signing_public, thumbprint
from protocol.suite import TAG_BYTES, SealingPublic, Suite


def _hash(label: bytes, *parts: bytes, size: int = 32) -> bytes:
    return blake2b(b"".join(parts), digest_size=size, person=label).digest()


def _checked(raw: bytes) -> bytes:
    if len(raw) != KEY_BYTES:
        raise ProtocolError("bad-key", expected="32 bytes")
    return raw


class FakeVerifyKey:
    """Verifies by making the signature again."""

    __slots__ = ("kid", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw: Final = _checked(raw)
        self.kid: Final = thumbprint(SIGNING, raw)

    def verify(self, signature: bytes, data: bytes) -> None:
        """Returns, or raises bad-signature."""
        if signature != _hash(b"sign", self.raw, data, size=64):
            raise ProtocolError("bad-signature")


def _point(seed: bytes) -> bytes:
    """A hash of the seed that passes the entry check of a real signing key."""
    for turn in range(256):
        try:
            return check_signing_public(_hash(b"signing-public", seed, bytes([turn])))
        except ProtocolError:
            continue
    raise ProtocolError("bad-key")


class FakeSigningKey:
    """Its public half is a hash of the seed."""

    __slots__ = ("kid", "public")

    def __init__(self, seed: bytes) -> None:
        self.public: Final = _point(_checked(seed))
        self.kid: Final = thumbprint(SIGNING, self.public)

    def sign(self, data: bytes) -> bytes:
        """64 bytes."""
        return _hash(b"sign", self.public, data, size=64)


class FakeSealingPublic:
    """The thumbprint is computed when asked for, as in S1."""

    __slots__ = ("_kid", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw: Final = _checked(raw)
        self._kid = ""

    @property
    def kid(self) -> str:
        """RFC 7638 thumbprint."""
        if not self._kid:
            self._kid = thumbprint(SEALING, self.raw)
        return self._kid


class FakeSealingKey:
    """Its public half is a hash of the seed, the top bit cleared: a canonical X25519 coordinate."""

    __slots__ = ("_kid", "public")

    def __init__(self, seed: bytes) -> None:
        raw = _hash(b"sealing-public", _checked(seed))
        self.public: Final = raw[:-1] + bytes([raw[-1] & 0x7F])
        self._kid = ""

    @property
    def kid(self) -> str:
        """RFC 7638 thumbprint."""
        if not self._kid:
            self._kid = thumbprint(SEALING, self.public)
        return self._kid

    def exchange(self, peer: SealingPublic) -> bytes:
        """The same 32 bytes at both ends."""
        low, high = sorted((self.public, peer.raw))
        return _hash(b"shared", low, high)


class FakeSuite:
    """Conforms to protocol.suite.Suite."""

    def signing_key(self, seed: bytes) -> FakeSigningKey:
        """From 32 random bytes."""
        return FakeSigningKey(seed)

    def verify_key(self, raw: bytes) -> FakeVerifyKey:
        """From 32 public bytes; raises bad-key."""
        return FakeVerifyKey(raw)

    def sealing_key(self, seed: bytes) -> FakeSealingKey:
        """From 32 random bytes."""
        return FakeSealingKey(seed)

    def sealing_public(self, raw: bytes) -> FakeSealingPublic:
        """From 32 public bytes; raises bad-key."""
        return FakeSealingPublic(raw)

    def encrypt(self, cek: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        """A stream of SHAKE-256 over the text, and a keyed tag: no plaintext is left to see."""
        sealed = _mix(cek, nonce, plaintext)
        return sealed + _hash(b"tag", cek, nonce, aad, sealed, size=TAG_BYTES)

    def decrypt(self, cek: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes:
        """The plaintext, or cannot-open."""
        text, tag = sealed[:-TAG_BYTES], sealed[-TAG_BYTES:]
        if tag != _hash(b"tag", cek, nonce, aad, text, size=TAG_BYTES):
            raise ProtocolError("cannot-open")
        return _mix(cek, nonce, text)


def _mix(cek: bytes, nonce: bytes, text: bytes) -> bytes:
    stream = shake_256(cek + nonce).digest(len(text))
    return (int.from_bytes(text, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(text), "big")


FAKE: Final = FakeSuite()
_conforms: Suite = FAKE
