"""The network's papers: a root, admissions, routes statements, members documents, made with the protocol's own writers.

The registry's engine keeps them in a running world; this is what guarantors and members do off the server.
"""

from typing import Final

import msgspec

from protocol import admissions
from protocol.roots import sign_root
from protocol.statements import sign_routes
from protocol.strict import b64u_encode, digest
from protocol.suite import SigningKey, Suite
from schemas.membership import (
    Capability,
    Guarantor,
    Pinned,
    Policy,
    ProtocolVersion,
    Root,
    RoutesStatement,
    SealingKey,
    Wanted,
)

REGISTRY: Final = "bacheca"
PAPER: Final = ProtocolVersion("1", digest(b"protocollo d'intesa"))
PLACES: Final = ("041044", "041065", "041066", "041034", "041070", "041029", "041051", "041036")
CAPS: Final[tuple[tuple[str, list[Capability]], ...]] = (
    ("PT-DISTRETTO", ["take-in-charge", "pua"]),
    ("PT-COMUNE", ["take-in-charge"]),
    ("PT-PATRONATO", []),
    ("PT-COMUNE", ["take-in-charge", "pis"]),
    ("PT-ODV", []),
    ("PT-PATRONATO", []),
    ("PT-COMUNE", ["take-in-charge"]),
    ("PT-COMUNE", ["take-in-charge"]),
)


def url_of(name: str) -> str:
    """Where a host answers."""
    return f"https://{name}.example"


class Founders:
    """Two guarantors and the registry's two keys."""

    def __init__(self, suite: Suite, seeds: list[bytes], now: int) -> None:
        self.suite = suite
        self.guarantors = [suite.signing_key(seed) for seed in seeds[:2]]
        self.online_seed, self.log_seed = seeds[2:4]
        self.online, self.log = suite.signing_key(seeds[2]), suite.signing_key(seeds[3])
        root = Root(
            v=1, n=1, name="Ambito simulato", threshold=2, admission_threshold=1,
            guarantors=[Guarantor(b64u_encode(key.public), f"Garante {i}") for i, key in enumerate(self.guarantors)],
            online=Pinned(b64u_encode(self.online.public)), log=Pinned(b64u_encode(self.log.public)), pilot=False,
            policy=Policy(), iat=now, exp=now + 390 * 86_400,
        )  # fmt: skip
        self.root_1 = sign_root(root, self.guarantors)
        self.net = digest(msgspec.json.encode(root))

    def wanted(self, name: str, number: int) -> Wanted:
        """The entry body number `number` asks for."""
        ptype, caps = CAPS[number % len(CAPS)]
        return Wanted(
            node=name, name=f"Ente {name}", ptype=ptype, caps=caps, territory=[PLACES[number % len(PLACES)]],
            protocol=PAPER,
        )  # fmt: skip

    def admit(self, wanted: Wanted, first: SigningKey, now: int) -> str:
        """One guarantor's signature is the threshold here."""
        payload = admissions.draft(wanted, net=self.net, first=b64u_encode(first.public), seq=1, now=now)
        return admissions.sign(payload, self.guarantors[:1])


def routes(
    net: str, name: str, signer: SigningKey, *, n: int, now: int, urls: list[str], relays: list[str],
    sealing: list[tuple[bytes, int]],
) -> str:  # fmt: skip
    """A member's own statement; `sealing`: (raw public key, from), the newest valid one is sealed to."""
    statement = RoutesStatement(
        net=net, node=name, n=n, since=now, urls=urls, relays=relays, iat=now,
        sealing=[SealingKey(b64u_encode(raw), since) for raw, since in sealing],
    )  # fmt: skip
    return sign_routes(statement, signer)
