"""The chain of roots: who the guarantors are and which keys the registry holds. TUF §5.3 rules; no fetching, no disk.

    trusted = TrustedRoot.start(root_1, net, S1)
    for raw in newer: trusted = trusted.update(raw)
    trusted.status(now)         # valid, degraded, expired: only the newest root is asked
Invariants: root N+1 is signed by the thresholds of N and of N+1; numbers rise by one; distinct keys are counted;
net is the hash of root-1's payload for ever; a root that is not a pilot needs two guarantors.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
from msgspec import UNSET

from protocol import jws, notes
from protocol.errors import ProtocolError
from protocol.limits import DAY, ROOT_MAX, ROOT_STEPS_MAX
from protocol.strict import b64u_decode, decode, digest
from protocol.suite import SigningKey, Suite, VerifyKey
from schemas.membership import Root

RootStatus = Literal["valid", "degraded", "expired"]
MONTH: Final = 31 * DAY


def sign_root(root: Root, keys: Iterable[SigningKey]) -> bytes:
    """Root as General JSON. Guarantors who sign apart are put together by `jws.merge_general`."""
    return jws.sign_general(keys, jws.ROOT, msgspec.json.encode(root))


@dataclass(frozen=True, slots=True, eq=False)
class TrustedRoot:
    """The newest verified root of one network."""

    net: str
    root: Root
    raw: bytes
    suite: Suite
    guarantors: Mapping[str, VerifyKey]
    online: VerifyKey
    log: notes.NoteKey

    @classmethod
    def start(cls, raw: bytes, net: str, suite: Suite) -> "TrustedRoot":
        """Root-1, pinned by the hash in the protocollo d'intesa. Raises wrong-network, root-chain, threshold."""
        general = jws.parse_general(raw, jws.ROOT, max_bytes=ROOT_MAX)
        if digest(general.payload) != net:
            raise ProtocolError("wrong-network", field="net", expected=net)
        return cls._opened(general, raw, net, suite, number=1)

    def update(self, raw: bytes) -> "TrustedRoot":
        """Root N+1. Raises root-chain, threshold and what reading raises; `self` stays what it was."""
        general = jws.parse_general(raw, jws.ROOT, max_bytes=ROOT_MAX)
        # TUF 5.3.4: signed by the threshold of N before anything in it is believed, then by its own
        jws.verify_threshold(general, self.guarantors, self.root.threshold)
        newer = self._opened(general, raw, self.net, self.suite, number=self.root.n + 1)
        if newer.root.pilot and not self.root.pilot:
            raise ProtocolError("root-chain", field="pilot", expected="never again a pilot")
        return newer

    def walk(self, raws: Iterable[bytes]) -> "TrustedRoot":
        """Step by step through at most 256 newer roots. A root already walked is an error like any skipped step."""
        trusted = self
        for step, raw in enumerate(raws):
            if step == ROOT_STEPS_MAX:
                raise ProtocolError("root-chain", expected=f"at most {ROOT_STEPS_MAX} steps")
            trusted = trusted.update(raw)
        return trusted

    def status(self, now: int) -> RootStatus:
        """An expired root behaves as degraded for `root_degraded_days`, loudly (PROTOCOL §4)."""
        if now <= self.root.exp:
            return "valid"
        return "degraded" if now <= self.root.exp + self.root.policy.root_degraded_days * DAY else "expired"

    @property
    def pilot(self) -> bool:
        """A one-person root: every output says so."""
        return self.root.pilot

    def vouches_for(self, payload: bytes) -> bool:
        """Did this root's threshold take over what guarantors of an earlier root signed?"""
        return bool(self.root.vouches) and digest(payload) in self.root.vouches

    @classmethod
    def _opened(cls, general: jws.General, raw: bytes, net: str, suite: Suite, *, number: int) -> "TrustedRoot":
        root = decode(general.payload, Root, max_bytes=ROOT_MAX)
        if root.n != number:
            raise ProtocolError("root-chain", field="n", expected=str(number), got=str(root.n))
        if root.net != (UNSET if number == 1 else net):
            raise ProtocolError("wrong-network", field="net")
        keys = [_key(suite, guarantor.x, "guarantors") for guarantor in root.guarantors]
        trusted = cls(
            net=net,
            root=root,
            raw=raw,
            suite=suite,
            guarantors={key.kid: key for key in keys},
            online=_key(suite, root.online.x, "online"),
            log=notes.NoteKey(notes.origin(net), _key(suite, root.log.x, "log")),
        )
        trusted._check_numbers()
        jws.verify_threshold(general, trusted.guarantors, root.threshold)
        return trusted

    def _check_numbers(self) -> None:
        root, count = self.root, len(self.guarantors)
        faults = {
            "guarantors": count != len(root.guarantors),
            "threshold": not 1 <= root.threshold <= count,
            "admission_threshold": not 1 <= root.admission_threshold <= count,
            "online": self.online.kid in self.guarantors,
            "log": self.log.key.kid in self.guarantors,
            "pilot": not root.pilot and root.threshold < 2,
            "exp": not root.iat < root.exp <= root.iat + root.policy.root_months * MONTH,
        }
        for field, wrong in faults.items():
            if wrong:
                raise ProtocolError("root-chain", field=field)


def _key(suite: Suite, x: str, field: str) -> VerifyKey:
    try:
        return suite.verify_key(b64u_decode(x, field=field))
    except ProtocolError:
        raise ProtocolError("root-chain", field=field, expected="a sound key") from None
