"""What members and guarantors write off the server: wanted entries, routes statements, catalogues. No store, no time."""

import uuid
from typing import Final

import msgspec
from msgspec import UNSET

from protocol.publications import make_publication, record_line
from protocol.statements import sign_routes
from protocol.strict import b64u_encode, digest
from protocol.suite import SigningKey
from schemas.catalogue import CataloguePost, Visibility
from schemas.membership import (
    Capability,
    JoinRequest,
    ProtocolVersion,
    RoutesStatement,
    SealingKey,
    Wanted,
)
from schemas.records import Organization, Service

REGISTRY: Final = "bacheca"
PROTOCOLLO: Final = b"Protocollo d'intesa, versione 1\n"
PAPER: Final = ProtocolVersion("1", digest(PROTOCOLLO))
PLACES: Final = ("041044", "041065", "041036", "041068", "041019", "041020", "041027", "041056")
CAPS: Final[tuple[tuple[str, list[Capability]], ...]] = (
    ("PT-DISTRETTO", ["take-in-charge", "pua", "router"]),
    ("PT-COMUNE", ["take-in-charge", "router"]),
    ("PT-PATRONATO", []),
    ("PT-COMUNE", ["take-in-charge", "pis", "router"]),
    ("PT-ODV", []),
    ("PT-PATRONATO", []),
    ("PT-COMUNE", ["take-in-charge"]),
    ("PT-COMUNE", ["take-in-charge"]),
)
HALF_A_YEAR: Final = 180 * 86_400


def url_of(name: str) -> str:
    """Where a host answers."""
    return f"https://{name}.example"


def wanted(name: str, number: int) -> Wanted:
    """The entry body number `number` asks for."""
    ptype, caps = CAPS[number % len(CAPS)]
    place = PLACES[number % len(PLACES)]
    return Wanted(node=name, name=f"Ente {name}", ptype=ptype, caps=caps, territory=[place], protocol=PAPER)


def join_request(entry: Wanted, first: SigningKey, routes_text: str, code: str | object) -> bytes:
    """POST /v1/join."""
    known = code if isinstance(code, str) else UNSET
    return msgspec.json.encode(
        JoinRequest(wanted=entry, first=b64u_encode(first.public), routes=routes_text, code=known)
    )


def routes(
    net: str, name: str, signer: SigningKey, *, n: int, now: int, urls: list[str], relays: list[str], sealing: bytes
) -> str:
    """A member's own statement, in force at once, with one sealing key."""
    statement = RoutesStatement(
        net=net,
        node=name,
        n=n,
        since=now,
        urls=urls,
        relays=relays,
        iat=now,
        sealing=[SealingKey(b64u_encode(sealing), now)],
    )
    return sign_routes(statement, signer)


def catalogue(
    net: str,
    name: str,
    signer: SigningKey,
    *,
    vis: Visibility,
    rev: int,
    prev: str,
    now: int,
    numbers: list[int],
    salt: bytes,
) -> CataloguePost:
    """The next snapshot: one service for each number; what changes with the revision is the description."""
    organization = Organization(id=_uid(name), name=name, description="Ente simulato")
    extra = {"salt": b64u_encode(salt)} if vis == "network" else {}
    lines = [
        record_line(
            Service(
                id=_uid(name, vis, str(number)), name=f"Sportello {number}", status="active", organization=organization,
                description=f"Descrizione {number % 3} {rev if number % 2 else ''}", **extra,
            )
        )
        for number in numbers
    ]  # fmt: skip
    return make_publication(
        lines, signer, net=net, node=name, vis=vis, rev=rev, prev=prev, at=now, exp=now + HALF_A_YEAR
    )


def _uid(*parts: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(parts)))
