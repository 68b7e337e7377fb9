"""Two members, their keys and one network, made from fixed seeds. For tests and vectors; no real body, no real person."""

import json
from hashlib import sha256

from protocol.envelope import Sealed, make_envelope
from protocol.jws import KeyState
from protocol.names import Channel
from protocol.strict import b64u_encode
from protocol.suite import S1, SealingKey, SealingPublic, SigningKey


def seed(label: str) -> bytes:
    """32 bytes that are always the same for a label."""
    return sha256(f"raccordo test {label}".encode()).digest()


NET = b64u_encode(seed("net"))
OTHER_NET = b64u_encode(seed("other net"))
NOW = 1_795_259_400
DAY = 86_400
A, B, C = "comune-alfa", "distretto-beta", "patronato-gamma"
JTI = "5b1c6f0e-3d2a-4c1b-9e8f-0a1b2c3d4e5f"
LEG = "0e6f8a1b-2c3d-4e5f-8a9b-0c1d2e3f4a5b"

SIGNERS: dict[str, SigningKey] = {node: S1.signing_key(seed(f"sign {node}")) for node in (A, B, C)}
SEALERS: dict[str, SealingKey] = {node: S1.sealing_key(seed(f"seal {node}")) for node in (A, B, C)}
PUBLICS: dict[str, SealingPublic] = {node: S1.sealing_public(SEALERS[node].public) for node in SEALERS}
OLD_A: SigningKey = S1.signing_key(seed(f"sign old {A}"))
REVOKED_A: SigningKey = S1.signing_key(seed(f"sign revoked {A}"))


class Ring:
    """A keyring from a table (node, kid) → state."""

    def __init__(self, rows: dict[tuple[str, str], KeyState]) -> None:
        self.rows = rows

    def signing_key(self, node: str, kid: str) -> KeyState | None:
        return self.rows.get((node, kid))


def ring() -> Ring:
    """A, B and C with their current keys; A also with a superseded and a revoked one."""
    rows = {(node, key.kid): KeyState(S1.verify_key(key.public), "current") for node, key in SIGNERS.items()}
    rows[A, OLD_A.kid] = KeyState(S1.verify_key(OLD_A.public), "superseded")
    rows[A, REVOKED_A.kid] = KeyState(S1.verify_key(REVOKED_A.public), "revoked")
    return Ring(rows)


def body(size: int = 0, **changes: object) -> bytes:
    """An offer event from A to B, its text filled up to about `size` bytes."""
    members: dict[str, object] = {
        "kind": "event",
        "net": NET,
        "from": A,
        "to": B,
        "jti": JTI,
        "leg": LEG,
        "n": 1,
        "seen": 0,
        "ev": "offer",
        "by": "OP-04",
        "offer": {
            "referral": "RK-PUA",
            "urgency": "UR-PROG",
            "subject": "person",
            "case": "2026-0118",
            "person": {"given_name": "Nome", "family_name": "Cognome", "birth_year": 1941, "residence": "041065"},
            "basis": {
                "law": "art. 9",
                "purpose": "presa in carico",
                "notice_version": "1",
                "notice_date": "2026-09-01",
            },
        },
    }
    members |= changes
    raw = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
    return raw[:-1] + b',"active":"' + b"x" * (size - len(raw) - 12) + b'"}' if size > len(raw) + 12 else raw


def envelope(**changes: object) -> Sealed:
    """A valid envelope from A to B, sent at NOW; every argument of `make_envelope` may be replaced."""
    arguments: dict[str, object] = {
        "suite": S1,
        "signing_key": SIGNERS[A],
        "recipient": PUBLICS[B],
        "net": NET,
        "jti": JTI,
        "sender": A,
        "to": B,
        "iat": NOW,
        "ch": Channel(1, 7),
        "mv": 12,
        "salt": seed("salt"),
        "body": body(),
        "ephemeral_seed": seed("ephemeral"),
        "nonce": seed("nonce")[:12],
    }
    return make_envelope(**(arguments | changes))  # type: ignore[arg-type]
