"""One real example of every object on the wire, made from fixed seeds: a tiny network with three members.

`python -m docs.examples [NAME]` prints them whole; docs/spec.md shows them with long signed parts shortened. They are
signed and sealed with S1, so that tests can verify what they print. Not test vectors: those are in schemas/vectors.
"""

import json
import sys
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct

from protocol import admissions, jws, members, merkle, notes, proofs, publications, roots, statements
from protocol.calls import make_token
from protocol.envelope import Sealed, make_envelope
from protocol.jcs import write
from protocol.limits import DAY
from protocol.names import Channel
from protocol.receipts import sign_receipt
from protocol.routing import Rule
from protocol.strict import b64u_encode, digest
from protocol.suite import S1, SealingKey, SigningKey
from schemas import bodies, catalogue, membership, records, wire

NOW: Final = 1_795_259_400
COMUNE, DISTRETTO, DISPENSA = "comune-tavullia", "distretto", "ts-dispensa"
NODES: Final = (COMUNE, DISTRETTO, DISPENSA)
JTI: Final = "5b1c6f0e-3d2a-4c1b-9e8f-0a1b2c3d4e5f"
JTI_BACK: Final = "7d2e8a10-4b3c-4d5e-8f90-1a2b3c4d5e6f"
LEG: Final = "0e6f8a1b-2c3d-4e5f-8a9b-0c1d2e3f4a5b"
RECORD_ID: Final = "0a6e1f52-7c3b-4d8e-9a1f-2b3c4d5e6f70"
LONG: Final = 140
"""Characters from which the specification shortens a string."""


class Example(NamedTuple):
    """`shape` decodes `raw`, which is one JSON text."""

    shape: Any
    raw: bytes


def seed(label: str) -> bytes:
    """32 bytes that are always the same for a label."""
    return sha256(f"raccordo docs {label}".encode()).digest()


def signer(label: str) -> SigningKey:
    """The signing key of a member, a guarantor or the registry."""
    return S1.signing_key(seed(f"sign {label}"))


def sealer(node: str) -> SealingKey:
    """The sealing key of a member."""
    return S1.sealing_key(seed(f"seal {node}"))


def _x(key: SigningKey | SealingKey) -> str:
    return b64u_encode(key.public)


# -- the network

PROTOCOLLO: Final = membership.ProtocolVersion("1", digest(b"protocollo d'intesa"))
GUARANTORS: Final = ("Ente capofila", "Distretto", "Consulta del terzo settore")
NAMES: Final = {COMUNE: "Comune di Tavullia", DISTRETTO: "Distretto", DISPENSA: "La Dispensa"}


@cache
def root() -> membership.Root:
    """Root-1: two of three guarantors."""
    return membership.Root(
        v=1,
        n=1,
        name="Ambito 1",
        threshold=2,
        admission_threshold=1,
        guarantors=[membership.Guarantor(_x(signer(name)), name) for name in GUARANTORS],
        online=membership.Pinned(_x(signer("online"))),
        log=membership.Pinned(_x(signer("log"))),
        pilot=False,
        policy=membership.Policy(),
        iat=NOW,
        exp=NOW + 395 * DAY,
    )


@cache
def root_raw() -> bytes:
    """Root-1 as it travels."""
    return roots.sign_root(root(), [signer(name) for name in GUARANTORS[:2]])


@cache
def trusted() -> roots.TrustedRoot:
    """Root-1 verified."""
    net = digest(jws.parse_general(root_raw(), jws.ROOT, max_bytes=100_000).payload)
    return roots.TrustedRoot.start(root_raw(), net, S1)


def wanted(node: str) -> membership.Wanted:
    """What a body asks for."""
    types = {COMUNE: "PT-COMUNE", DISTRETTO: "PT-DISTRETTO", DISPENSA: "PT-ODV"}
    caps: dict[str, list[membership.Capability]] = {
        COMUNE: ["take-in-charge"],
        DISTRETTO: ["take-in-charge", "pua", "relay"],
        DISPENSA: [],
    }
    return membership.Wanted(
        node=node,
        name=NAMES[node],
        ptype=types[node],
        caps=caps[node],
        territory=["041065"] if node == COMUNE else [],
        protocol=PROTOCOLLO,
        contact=membership.Contact(name="Sportello sociale", phone="0721 000000"),
        recovery=_x(signer(f"recovery {node}")),
    )


def admission_payload(node: str) -> bytes:
    """The bytes guarantors sign."""
    return admissions.draft(wanted(node), net=trusted().net, first=_x(signer(node)), seq=1, now=NOW)


def admission(node: str) -> str:
    """The admission as it travels."""
    return admissions.sign(admission_payload(node), [signer(GUARANTORS[0])])


def routes(node: str) -> membership.RoutesStatement:
    """Where a member is reached and what to seal to."""
    return membership.RoutesStatement(
        net=trusted().net,
        node=node,
        n=1,
        since=NOW,
        urls=["https://distretto.example"] if node == DISTRETTO else [],
        relays=["bacheca", DISTRETTO],
        sealing=[membership.SealingKey(_x(sealer(node)), NOW)],
        iat=NOW,
    )


def routes_text(node: str) -> str:
    """The same, signed."""
    return statements.sign_routes(routes(node), signer(node))


def key_statement() -> membership.KeyStatement:
    """The yearly rotation of a signing key."""
    return membership.KeyStatement(
        net=trusted().net,
        node=COMUNE,
        n=2,
        x=_x(signer(f"{COMUNE} 2")),
        prev=signer(COMUNE).kid,
        iat=NOW + 365 * DAY,
        reason="rotation",
    )


RULE: Final = Rule(
    id="PUA-2",
    needs=frozenset({"NA-DOMIC"}),
    targets=frozenset({"TG-ANZNA"}),
    capability="pua",
    category="SC-PUA",
    text="Bisogno sociale e sanitario di una persona non autosufficiente: Punto Unico di Accesso.",
)


@cache
def members_doc() -> membership.MembersDoc:
    """Version 1 of the members document."""
    entries = [
        membership.MemberEntry(admission=admission(node), status="active", since=NOW, routes=routes_text(node))
        for node in NODES
    ]
    return membership.MembersDoc(
        net=trusted().net,
        version=1,
        iat=NOW,
        exp=NOW + 7 * DAY,
        root=1,
        relays=[
            membership.Relay("bacheca", "https://bacheca.example"),
            membership.Relay(DISTRETTO, "https://distretto.example"),
        ],
        registry=membership.Registry("bacheca", ["https://bacheca.example"]),
        members=entries,
        vocab=membership.VocabularyVersion("2026-11"),
        rules=[msgspec.Raw(msgspec.json.encode(RULE))],
        protocols=[PROTOCOLLO],
    )


@cache
def members_raw() -> bytes:
    """The same, signed by the online key."""
    return members.build_members(members_doc(), signer("online"))


@cache
def verified() -> members.Membership:
    """The same, read."""
    return members.read_members(members_raw(), trusted(), NOW)


# -- joining


def invitation() -> membership.Invitation:
    """The file the capofila hands over."""
    return membership.Invitation(
        net=trusted().net,
        name="Ambito 1",
        registry=["https://bacheca.example"],
        relays=[membership.Relay("bacheca", "https://bacheca.example")],
        code=b64u_encode(seed("code")[:20]),
        node=COMUNE,
        exp=NOW + 7 * DAY,
    )


def join_request() -> membership.JoinRequest:
    """POST /v1/join."""
    return membership.JoinRequest(
        wanted=wanted(COMUNE), first=_x(signer(COMUNE)), routes=routes_text(COMUNE), code=invitation().code
    )


def pending_file() -> membership.PendingFile:
    """What goes to a guarantor's own PC; the code has been used and is not in it."""
    request = msgspec.structs.replace(join_request(), code=msgspec.UNSET)
    draft = admission_payload(COMUNE).decode()
    item = membership.Pending(ref="aVq2Yk0sR1mXo7Qw9uZt4g", request=request, draft=draft, at=NOW, invited=True)
    return membership.PendingFile(v=1, net=trusted().net, roots=[root_raw().decode()], items=[item])


def approval_file() -> membership.ApprovalFile:
    """What comes back."""
    approval = membership.Approval(ref="aVq2Yk0sR1mXo7Qw9uZt4g", admission=admission(COMUNE))
    return membership.ApprovalFile(v=1, net=trusted().net, items=[approval])


# -- a message and its receipt


def offer_body() -> bodies.EventBody:
    """The first event of a referral. No real person."""
    return bodies.EventBody(
        net=trusted().net,
        sender=COMUNE,
        to=DISTRETTO,
        jti=JTI,
        leg=LEG,
        n=1,
        seen=0,
        ev="offer",
        by="OP-04",
        offer=bodies.Offer(
            referral="RK-PUA",
            urgency="UR-72",
            subject="person",
            case="2026-0118",
            need="NA-DOMIC",
            target="TG-ANZNA",
            person=bodies.Person(given_name="Nome", family_name="Cognome", birth_year=1941, residence="041065"),
            basis=bodies.Basis(law="art. 9", purpose="valutazione", notice_version="1", notice_date="2026-09-01"),
            description="Vive sola; dimissione prevista lunedì.",
        ),
    )


def accept_body() -> bodies.EventBody:
    """The receiver's answer: it had applied one event of the sender."""
    return bodies.EventBody(
        net=trusted().net,
        sender=DISTRETTO,
        to=COMUNE,
        jti=JTI_BACK,
        leg=LEG,
        n=1,
        seen=1,
        ev="accept",
        by="OP-11",
        ref="PUA 2026/118",
    )


@cache
def sealed() -> Sealed:
    """The offer in its envelope."""
    return make_envelope(
        suite=S1,
        signing_key=signer(COMUNE),
        recipient=S1.sealing_public(sealer(DISTRETTO).public),
        net=trusted().net,
        jti=JTI,
        sender=COMUNE,
        to=DISTRETTO,
        iat=NOW,
        ch=Channel(1, 7),
        mv=1,
        salt=seed("salt"),
        body=msgspec.json.encode(offer_body()),
        ephemeral_seed=seed("ephemeral"),
        nonce=seed("nonce")[:12],
    )


def receipt() -> wire.Receipt:
    """The distretto applied the offer; its own log on that leg was empty then."""
    ack = wire.Ack(mid=sealed().mid, k="processed", st=NOW + 2, h=0)
    return wire.Receipt(net=trusted().net, sender=DISTRETTO, to=COMUNE, at=NOW + 2, hw="1.7", acks=[ack])


def receipt_text() -> str:
    """The same, signed."""
    return sign_receipt(signer(DISTRETTO), receipt())


def batch() -> wire.Batch:
    """An envelope and a receipt together."""
    return wire.Batch([wire.Item(e=sealed().e, s=sealed().s), wire.Item(r=receipt_text())])


def token() -> str:
    """The call that carries the batch to the distretto's mailbox at the registry."""
    return make_token(
        signer(COMUNE),
        net=trusted().net,
        iss=COMUNE,
        aud="bacheca",
        method="POST",
        path="/v1/mailbox/distretto",
        now=NOW,
        body=msgspec.json.encode(batch()),
    )


# -- catalogue and log


def service() -> records.Service:
    """A public record of the third sector."""
    return records.Service(
        id=RECORD_ID,
        name="Dispensa alimentare",
        status="active",
        description="Pacco viveri per famiglie in difficoltà.",
        organization=records.Organization(
            id="11111111-2222-4333-8444-555555555555",
            name="La Dispensa",
            description="Associazione",
            node=DISPENSA,
            participant_type="PT-ODV",
        ),
        phones=[records.Phone(id="22222222-3333-4444-8555-666666666666", number="0721 000001", type="voice")],
        schedules=[
            records.Schedule(
                id="33333333-4444-4555-8666-777777777777",
                freq="WEEKLY",
                byday="TU,TH",
                opens_at="15:00",
                closes_at="18:00",
            )
        ],
        vocabulary="2026-11",
        needs=["NA-ALIM"],
        targets=["TG-POVERI"],
        comune="041044",
        hours=records.Hours(text="mar e gio 15-18", status="ok"),
        verified_at="2026-11-02",
    )


@cache
def post() -> catalogue.CataloguePost:
    """The first public snapshot of the association, with its one record."""
    return publications.make_publication(
        [publications.record_line(service())],
        signer(DISPENSA),
        net=trusted().net,
        node=DISPENSA,
        vis="public",
        rev=1,
        prev="",
        at=NOW,
        exp=NOW + 180 * DAY,
    )


def publication() -> catalogue.Publication:
    """Its signed payload."""
    payload = jws.parse_compact(post().publication, jws.CAT, max_bytes=4096).payload
    return msgspec.json.decode(payload, type=catalogue.Publication)


@cache
def entries() -> tuple[catalogue.LogEntry, ...]:
    """The leaves of the young log."""
    first = (
        catalogue.LogEntry(type="root", hash=digest(root_raw()), node="", ver=1),
        *(
            catalogue.LogEntry(type="admission", hash=digest(admission(node).encode()), node=node, ver=1)
            for node in NODES
        ),
        catalogue.LogEntry(type="members", hash=digest(members_raw()), node="", ver=1),
    )
    snapshot = catalogue.LogEntry(type="public", hash=digest(post().publication.encode()), node=DISPENSA, ver=1)
    return (*first, snapshot)


def lines() -> list[bytes]:
    """The bytes of the leaves."""
    return [write(msgspec.to_builtins(entry)) for entry in entries()]


def note() -> str:
    """The signed head over all of them."""
    tree = merkle.root(merkle.leaf(line) for line in lines())
    head = notes.Checkpoint(notes.origin(trusted().net), len(lines()), tree)
    return notes.sign_head(head, signer("log")).decode()


def log_page() -> catalogue.LogPage:
    """GET /v1/log?after=4."""
    return catalogue.LogPage(after=4, entries=[line.decode() for line in lines()[4:]], size=len(lines()), note=note())


def map_line() -> catalogue.MapLine:
    """The record's line of the map."""
    (line,) = post().records.values()
    return catalogue.MapLine(
        id=RECORD_ID,
        node=DISPENSA,
        vis="public",
        rev=1,
        at=NOW,
        pub=entries()[5].hash,
        seq=5,
        leaf=post().manifest[0],
        record=msgspec.Raw(line.encode()),
    )


class _Keeper:
    """The young log."""

    def __init__(self) -> None:
        self.note = note()
        self.at = merkle.stored([merkle.leaf(line) for line in lines()])

    def lines(self, start: int, end: int) -> list[str]:
        """Its leaves."""
        return [line.decode() for line in lines()[start:end]]

    def places(self, wanted: Sequence[catalogue.LogEntry]) -> list[int]:
        """Where they stand."""
        return [entries().index(entry) for entry in wanted]


@cache
def map_proof() -> catalogue.MapProof:
    """GET /v1/map/{node}/{id}/proof."""
    (line,) = post().records.values()
    made = proofs.Subject(DISPENSA, RECORD_ID, line, post().manifest, post().publication, [root_raw()], members_raw())
    return msgspec.json.decode(proofs.make_proof(made, _Keeper(), trusted()), type=catalogue.MapProof)


def head_evidence() -> catalogue.HeadEvidence:
    """A board that signed a second history."""
    tree = merkle.root(merkle.leaf(line) for line in lines())
    other = merkle.root(merkle.leaf(line) for line in lines()[:-1])
    forged = notes.sign_head(notes.Checkpoint(notes.origin(trusted().net), len(lines()), other), signer("log"))
    pair = catalogue.HeadPair(held=note(), shown=forged.decode(), root=b64u_encode(tree), path=[])
    return catalogue.HeadEvidence(v=1, net=trusted().net, roots=[root_raw().decode()], pairs=[pair])


def _problem() -> wire.ProblemBody:
    return wire.ProblemBody(
        title="Manca la base giuridica o il consenso.",
        status=422,
        code="basis-required",
        retry="after-fix",
        field="basis",
        server_time=NOW,
    )


def _payload(token_: str) -> bytes:
    return jws.parse_compact(token_, jws.REQ, max_bytes=4096).payload


FILE: Final = b"%PDF-1.7\n"


def _about_file() -> dict[str, str]:
    return {
        "net": trusted().net, "sender": COMUNE, "to": DISTRETTO, "jti": JTI_BACK, "leg": LEG, "sha256": digest(FILE),
    }  # fmt: skip


def _head_body() -> bodies.HeadBody:
    return bodies.HeadBody(net=trusted().net, sender=COMUNE, to=DISTRETTO, jti=JTI_BACK, note=note())


@cache
def examples() -> dict[str, Example]:
    """Every example by the name under which the specification shows it."""
    from node.mailbox.handlers import TakeBack
    from registry.statements import StatementAnswer, StatementPost

    routing = jws.parse_compact(sealed().e, jws.MSG, max_bytes=4096).payload
    made: dict[str, Struct] = {
        "envelope": wire.Envelope(sealed().e, sealed().s),
        "batch": batch(),
        "receipt": receipt(),
        "delivery-answer": wire.DeliveryAnswer(
            receipts=[receipt_text()], later=[wire.Later(i=1, code="reseal", after=0, mid=digest(b"another"))]
        ),
        "mailbox-page": wire.MailboxPage([wire.PostedItem(pos="41", e=sealed().e, s=sealed().s)]),
        "mailbox-ack": wire.MailboxAck(receipts=[receipt_text()], seen=["42"]),
        "mailbox-ack-answer": wire.MailboxAckAnswer(deleted=2, filed=[0]),
        "takeback": TakeBack([sealed().mid]),
        "problem": _problem(),
        "offer": offer_body(),
        "accept": accept_body(),
        "head": _head_body(),
        "part": bodies.PartBody(**_about_file(), i=1, of=1, data=b64u_encode(FILE)),
        "missing": bodies.MissingBody(**_about_file(), i=0),
        "got": bodies.GotBody(**_about_file()),
        "root": root(),
        "key-statement": key_statement(),
        "routes-statement": routes(COMUNE),
        "members": members_doc(),
        "rule": RULE,
        "invitation": invitation(),
        "join-request": join_request(),
        "join-answer": membership.JoinAnswer("aVq2Yk0sR1mXo7Qw9uZt4g", "pending"),
        "pending-file": pending_file(),
        "approval-file": approval_file(),
        "statement-post": StatementPost([routes_text(COMUNE)]),
        "statement-answer": StatementAnswer(13),
        "record": service(),
        "publication": publication(),
        "catalogue-post": post(),
        "catalogue-answer": catalogue.CatalogueAnswer(accepted=True, seq=5),
        "catalogue-bundle": catalogue.CatalogueBundle(publication=post().publication, manifest=post().manifest),
        "log-entry": entries()[5],
        "log-page": log_page(),
        "map-line": map_line(),
        "map-proof": map_proof(),
        "head-evidence": head_evidence(),
    }
    found = {name: Example(type(value), msgspec.json.encode(value)) for name, value in made.items()}
    found["routing"] = Example(wire.Routing, routing)
    found["admission"] = Example(membership.Admission, admission_payload(COMUNE))
    found["request-token"] = Example(wire.RequestToken, _payload(token()))
    return found


def shortened(value: object) -> object:
    """Long strings with their middle left out."""
    if isinstance(value, str) and len(value) > LONG:
        return f"{value[:48]}…{value[-16:]}"
    if isinstance(value, list):
        return [shortened(part) for part in value]
    if isinstance(value, dict):
        return {name: shortened(part) for name, part in value.items()}
    return value


def printed(raw: bytes, *, whole: bool = False) -> str:
    """Indented JSON; short lists and objects stay on one line."""
    value = json.loads(raw)
    return _laid_out(value if whole else shortened(value), 0)


def _laid_out(value: object, depth: int) -> str:
    flat = json.dumps(value, ensure_ascii=False)
    if len(flat) + 2 * depth <= 100 or not isinstance(value, dict | list):
        return flat
    pad = "  " * (depth + 1)
    if isinstance(value, dict):
        rows = [f"{pad}{json.dumps(k, ensure_ascii=False)}: {_laid_out(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + "  " * depth + "}"
    rows = [pad + _laid_out(part, depth + 1) for part in value]
    return "[\n" + ",\n".join(rows) + "\n" + "  " * depth + "]"


def main(arguments: Sequence[str]) -> int:
    """Prints all examples, or those named."""
    known = examples()
    if unknown := [name for name in arguments if name not in known]:
        sys.stderr.write(f"unknown: {', '.join(unknown)}; one of {', '.join(known)}\n")
        return 2
    for name in arguments or known:
        sys.stdout.write(f"# {name}\n{printed(known[name].raw, whole=True)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
