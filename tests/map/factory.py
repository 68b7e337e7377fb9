"""Generated Italian services for tests and bench: seeded, fictional, never real. Makes records and feeds folds."""

import hashlib
import random
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from node.map.fold import Event, MapFold, MemberStatus, PublicationSeen, Source, Visibility
from schemas.records import (
    UNSET,
    Accessibility,
    CostOption,
    Desk,
    Hours,
    Language,
    Location,
    Organization,
    Phone,
    Schedule,
    Service,
    ServiceAtLocation,
    Waiting,
)
from schemas.vocabularies import table

COMUNI = tuple(table("comuni"))
NAMES = (
    "Sportello sociale", "Segretariato sociale", "Assistenza domiciliare", "Pasti a domicilio", "Trasporto sociale", "Centro diurno",
    "Emporio solidale", "Invalidità civile e Legge 104", "Pensioni e previdenza", "Contributi economici", "Sportello casa", "Doposcuola",
    "Centro di ascolto", "Corsi di italiano", "Mensa", "Accoglienza notturna", "Consultorio familiare", "Centro giovani", "Telefonata amica",
    "Sportello immigrati",
)  # fmt: skip
CATEGORIES = (
    "SC-SEGR", "SC-SEGR", "SC-SAD", "SC-PASTI", "SC-TRASP", "SC-CDIU", "SC-BUONI", "SC-PATR", "SC-PATR", "SC-ECON", "SC-ABIT", "SC-MIN",
    "SC-SEGR", "SC-FORM", "SC-MENSA", "SC-DORM", "SC-MATINF", "SC-MIN", "SC-PROMO", "SC-PROF",
)  # fmt: skip
NEEDS = (
    "NA-INFO", "NA-INFO", "NA-DOMIC", "NA-DOMIC", "NA-TRASP", "NA-RESID", "NA-ALIM", "NA-INVAL", "NA-PREVID", "NA-ECON", "NA-CASA", "NA-MINOR",
    "NA-INFO", "NA-STRAN", "NA-ALIM", "NA-CASA", "NA-FAMIG", "NA-CULTURA", "NA-SOLIT", "NA-STRAN",
)  # fmt: skip
_WORDS = (
    "informazioni orientamento ascolto compilazione domande anziani minori famiglie disabili immigrati aiuto bollette affitto pacco viveri "
    "colloquio assistente visita accompagnamento volontari contributo sostegno nucleo difficoltà certificato appuntamento residenza lavoro "
    "disoccupazione pensione invalidità accompagnatore badante caregiver spesa farmaci compagnia ginnastica doposcuola compiti lingua "
    "mediazione permesso soggiorno cittadinanza ricongiungimento tutela giuridica amministratore salute mentale dipendenze consultorio "
    "gravidanza maternità nido infanzia giovani studio biblioteca sport tempo libero quartiere frazione parrocchia circolo rete territorio"
)
WORDS = _WORDS.split()
DAYS = ("MO,TU,WE,TH,FR", "MO,WE,FR", "TU,TH", "TU", "SA", "MO,TU,WE,TH,FR,SA")
OPENS = ("08:00", "08:30", "09:00", "10:00", "15:00", "16:00")
TARGETS = tuple(table("target_groups"))
LANGUAGES = ("it", "it", "it", "en", "fr", "ar", "ro", "sq", "uk")
ACCESSIBILITY = ("AX-RAMPA", "AX-ASCENS", "AX-NO", "AX-PARZ", "AX-WC", "AX-LIS", "AX-ND")
COSTS = ("CT-GRAT", "CT-GRAT", "CT-ISEE", "CT-TARIF", "CT-OFFERTA")
encode = msgspec.json.Encoder(order="sorted").encode


def make_id(*parts: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, parts))))


def leaf_of(line: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(b"\0" + line).digest()).rstrip(b"=").decode()


def service(name: str, *, member: str = "comune-pesaro", body: str | None = None, **fields: object) -> Service:
    """One record by hand. `languages`, `accessibility`, `costs`, `phones` may be given as plain texts or codes."""
    id_ = str(fields.pop("id", make_id(member, name, fields.get("comune"))))
    nested = {
        "languages": [Language(id=make_id(id_, "l", c), code=c) for c in _texts(fields.pop("languages", ()))],
        "cost_options": [CostOption(id=make_id(id_, "c", c), code=c) for c in _texts(fields.pop("costs", ()))],
        "phones": [Phone(id=make_id(id_, "p", p), number=p) for p in _texts(fields.pop("phones", ()))],
        "schedules": [rule(id_, n, *s) for n, s in enumerate(fields.pop("rules", ()))],  # type: ignore[arg-type,var-annotated]
        "service_at_locations": place(id_, _texts(fields.pop("accessibility", ())), fields.pop("pin", None)),  # type: ignore[arg-type]
    }
    kind = "PT-COMUNE" if member.startswith("comune") else "PT-PATRONATO" if member.startswith("patr") else "PT-ETS"
    organization = Organization(
        id=make_id(member), name=body or member, description="Ente di esempio", node=member, participant_type=kind
    )
    status = fields.pop("status", "active")
    return Service(id=id_, name=name, status=status, organization=organization, **nested, **fields)  # type: ignore[arg-type]


def _texts(value: object) -> Sequence[str]:
    assert isinstance(value, list | tuple)
    return value


def rule(id_: str, n: int, byday: str, opens: str, closes: str, freq: str = "WEEKLY") -> Schedule:
    return Schedule(id=make_id(id_, "s", n), freq=freq, byday=byday, opens_at=opens, closes_at=closes)  # type: ignore[arg-type]


def place(id_: str, codes: Sequence[str], pin: tuple[float, float] | None) -> list[ServiceAtLocation]:
    accessibility = [Accessibility(id=make_id(id_, "a", c), code=c) for c in codes]
    lat, lon = pin or (UNSET, UNSET)
    location = Location(
        id=make_id(id_, "loc"), location_type="physical", latitude=lat, longitude=lon, accessibility=accessibility,
        precision="pin" if pin else UNSET,
    )  # fmt: skip
    return [ServiceAtLocation(id=make_id(id_, "sal"), location=location)]


def generated(n: int, seed: int = 1, members: int = 40, comuni: Sequence[str] = COMUNI) -> list[tuple[str, Service]]:
    """`n` services of `members` invented bodies as (node, record)."""
    dice = random.Random(seed)
    return [_generated(dice, i, f"ente-{dice.randrange(members)}", comuni) for i in range(n)]


def _generated(dice: random.Random, i: int, node: str, comuni: Sequence[str]) -> tuple[str, Service]:
    type_ = dice.randrange(len(NAMES))
    opens = dice.choice(OPENS)
    closes = f"{int(opens[:2]) + dice.randrange(2, 5):02d}:{opens[3:]}"
    status = dice.choice(("none", "none", "waitlist", "full", None))
    record = service(
        f"{NAMES[type_]} {dice.choice(WORDS)}",
        id=str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        member=node,
        body=f"Ente di Esempio {node[5:]}",
        description=" ".join(dice.choices(WORDS, k=dice.randrange(8, 24))),
        eligibility_description=" ".join(dice.choices(WORDS, k=4)),
        categories=[CATEGORIES[type_]],
        needs=[NEEDS[type_]],
        targets=dice.sample(TARGETS, k=dice.randrange(1, 3)),
        comune=dice.choice(comuni),
        owner=node,
        sector=dice.choice(("public", "private")),
        management=dice.choice(("direct", "district", "contracted", "private")),
        systems=[dice.choice(("social", "pension", "health"))],
        access=[dice.choice(("direct", "social-service", "desk-referral", "assessment"))],
        languages=sorted({"it", dice.choice(LANGUAGES)}),
        accessibility=sorted({dice.choice(ACCESSIBILITY)}),
        costs=[dice.choice(COSTS)],
        phones=[f"0721 {i:06d}"],
        rules=[(dice.choice(DAYS), opens, closes)],
        hours=Hours(text=f"{opens}-{closes}", status="ok"),
        desk=Desk(id=make_id(node, "desk"), name="Sportello", zone=f"Zona {dice.randrange(4)}"),
        waiting=Waiting(status=status) if status else UNSET,
        minimum_age=65.0 if dice.random() < 0.1 else UNSET,
        verified_at=f"2026-{dice.randrange(1, 12):02d}-10" if dice.random() < 0.9 else UNSET,
        kind="service" if dice.random() < 0.95 else "benefit",
    )
    return node, record


def publish(
    apply: Callable[[Event], object],
    records: Mapping[str, Iterable[Service]],
    vis: Visibility = "public",
    seq: int = 0,
    rev: int = 1,
) -> int:
    """Feed a fold with active members and one publication each; returns the next free log position."""
    for node, services in sorted(records.items()):
        lines = {leaf_of(line): line for line in (encode(s) for s in sorted(services, key=lambda s: s.id))}
        apply(MemberStatus(seq, node, "active"))
        source = Source(seq + 1, rev, 1795259400 + seq, leaf_of(b"pub%d" % seq))
        apply(PublicationSeen(node, vis, source, tuple(lines), lines))
        seq += 2
    return seq


def by_member(pairs: Iterable[tuple[str, Service]]) -> dict[str, list[Service]]:
    out: dict[str, list[Service]] = {}
    for node, record in pairs:
        out.setdefault(node, []).append(record)
    return out


def folded(pairs: Iterable[tuple[str, Service]]) -> MapFold:
    fold = MapFold()
    publish(fold.apply, by_member(pairs))
    return fold
