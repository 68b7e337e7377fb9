"""The cryptographic suite: key objects that sign, verify and agree, and the cipher. No wire formats (jws, jwe).

`S1` is the only suite on the wire: Ed25519, X25519, AES-256-GCM. The suite is a property of the pinned key, never of a
header. A key object exists only for a key that passed its entry check; callers keep the objects, they are not free.
"""

from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol.errors import ProtocolError
from protocol.keys import KEY_BYTES, SEALING, SIGNING, check_sealing_public, check_signing_public, thumbprint

SIGNATURE_BYTES: Final = 64
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16


class VerifyKey(Protocol):
    """A checked public signing key."""

    @property
    def raw(self) -> bytes: ...
    @property
    def kid(self) -> str: ...
    def verify(self, signature: bytes, data: bytes) -> None:
        """Returns, or raises bad-signature."""


class SigningKey(Protocol):
    """A private signing key."""

    @property
    def public(self) -> bytes: ...
    @property
    def kid(self) -> str: ...
    def sign(self, data: bytes) -> bytes:
        """64 bytes."""


class SealingPublic(Protocol):
    """A checked public sealing key."""

    @property
    def raw(self) -> bytes: ...
    @property
    def kid(self) -> str: ...


class SealingKey(Protocol):
    """A private sealing key."""

    @property
    def public(self) -> bytes: ...
    @property
    def kid(self) -> str: ...
    def exchange(self, peer: SealingPublic) -> bytes:
        """32 bytes shared with `peer`, or cannot-open when they would be zero."""


class Suite(Protocol):
    """What signs and seals. A faster one without cryptography stands in for S1 in most simulator runs."""

    def signing_key(self, seed: bytes) -> SigningKey:
        """From 32 random bytes."""

    def verify_key(self, raw: bytes) -> VerifyKey:
        """From 32 public bytes; raises bad-key."""

    def sealing_key(self, seed: bytes) -> SealingKey:
        """From 32 random bytes."""

    def sealing_public(self, raw: bytes) -> SealingPublic:
        """From 32 public bytes; raises bad-key."""

    def encrypt(self, cek: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        """Ciphertext ‖ 16-byte tag, under a 32-byte key and a 12-byte nonce."""

    def decrypt(self, cek: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes:
        """The plaintext, or cannot-open."""


def _seed(seed: bytes) -> bytes:
    if len(seed) != KEY_BYTES:
        raise ProtocolError("bad-key", field="seed", expected="32 bytes")
    return seed


class S1VerifyKey:
    """Ed25519 public key."""

    __slots__ = ("_key", "kid", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw: Final = check_signing_public(raw)
        self.kid: Final = thumbprint(SIGNING, raw)
        self._key: Final = Ed25519PublicKey.from_public_bytes(raw)

    def verify(self, signature: bytes, data: bytes) -> None:
        """RFC 8032 verification; raises bad-signature."""
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            raise ProtocolError("bad-signature") from None


class S1SigningKey:
    """Ed25519 private key."""

    __slots__ = ("_key", "kid", "public")

    def __init__(self, seed: bytes) -> None:
        self._key: Final = Ed25519PrivateKey.from_private_bytes(_seed(seed))
        self.public: Final = self._key.public_key().public_bytes_raw()
        self.kid: Final = thumbprint(SIGNING, self.public)

    def sign(self, data: bytes) -> bytes:
        """RFC 8032 signature."""
        return self._key.sign(data)


class S1SealingPublic:
    """X25519 public key; the thumbprint is computed when asked for, ephemeral keys never are."""

    __slots__ = ("_kid", "key", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw: Final = check_sealing_public(raw)
        self.key: Final = X25519PublicKey.from_public_bytes(raw)
        self._kid = ""

    @property
    def kid(self) -> str:
        """RFC 7638 thumbprint."""
        if not self._kid:
            self._kid = thumbprint(SEALING, self.raw)
        return self._kid


class S1SealingKey:
    """X25519 private key; the thumbprint is computed when asked for, ephemeral keys never are."""

    __slots__ = ("_key", "_kid", "public")

    def __init__(self, seed: bytes) -> None:
        self._key: Final = X25519PrivateKey.from_private_bytes(_seed(seed))
        self.public: Final = self._key.public_key().public_bytes_raw()
        self._kid = ""

    @property
    def kid(self) -> str:
        """RFC 7638 thumbprint."""
        if not self._kid:
            self._kid = thumbprint(SEALING, self.public)
        return self._kid

    def exchange(self, peer: SealingPublic) -> bytes:
        """RFC 7748 §6.1; an all-zero secret is refused as cannot-open."""
        key = peer.key if isinstance(peer, S1SealingPublic) else X25519PublicKey.from_public_bytes(peer.raw)
        try:
            return self._key.exchange(key)
        except ValueError:
            raise ProtocolError("cannot-open", field="epk", expected="a shared secret that is not zero") from None


class S1Suite:
    """Suite S1 on `cryptography`."""

    def signing_key(self, seed: bytes) -> S1SigningKey:
        """From 32 random bytes."""
        return S1SigningKey(seed)

    def verify_key(self, raw: bytes) -> S1VerifyKey:
        """From 32 public bytes; raises bad-key."""
        return S1VerifyKey(raw)

    def sealing_key(self, seed: bytes) -> S1SealingKey:
        """From 32 random bytes."""
        return S1SealingKey(seed)

    def sealing_public(self, raw: bytes) -> S1SealingPublic:
        """From 32 public bytes; raises bad-key."""
        return S1SealingPublic(raw)

    def encrypt(self, cek: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        """AES-256-GCM."""
        return AESGCM(cek).encrypt(nonce, plaintext, aad)

    def decrypt(self, cek: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes:
        """AES-256-GCM; raises cannot-open."""
        try:
            return AESGCM(cek).decrypt(nonce, sealed, aad)
        except InvalidTag:
            raise ProtocolError("cannot-open") from None


S1: Final = S1Suite()
_conforms: Suite = S1
