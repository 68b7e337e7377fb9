"""Own entries: reading them, choosing some, confirming, notices, withdrawing; how complete and how fresh they are.

An entry lives collected (in the archive) → classified (it has a category and a need) → published (on the map as it is
here) → used n (referrals opened about it). Seeds: F003-16, F000-28.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Final, Literal, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from node import requests as ask
from node.context import Context
from protocol.errors import ProtocolError
from protocol.opening import weekly_desk_hours
from protocol.publications import leaf_hash, record_line
from protocol.territory import fold_name
from schemas.catalogue import Visibility
from schemas.records import Desk, Notice, Schedule, Service

STALE_DAYS: Final = 180  # DOMAIN §10, indicator 16
SHORTEST: Final = 4
State = Literal["collected", "classified", "published", "changed"]
Freshness = Literal["fresh", "stale", "unverified"]

_ROWS: Final = (
    "SELECT id, source, name, file, line, public, network, salt, confirmed, notice, notice_since, notice_until,"
    " added, changed FROM catalogue_entry WHERE withdrawn IS NULL ORDER BY id"
)
_decode = msgspec.json.Decoder(Service).decode


class Row(NamedTuple):
    """One row of `catalogue_entry` that is not withdrawn."""

    id: str
    source: str
    name: str
    file: str
    line: int
    public: str | None
    network: str | None
    salt: str | None
    confirmed: str | None
    notice: str | None
    notice_since: str | None
    notice_until: str | None
    added: int
    changed: int

    def base(self, vis: Visibility) -> str | None:
        """The record as imported."""
        return self.public if vis == "public" else self.network


class EntryLine(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line of the list. `completeness` in percent; `lacks`: what a desk misses; `verified`: ISO, maybe a month."""

    id: str
    name: str
    visible: list[Visibility]
    state: State
    completeness: int
    freshness: Freshness
    used: int = 0
    lacks: list[str] = []
    verified: str = ""
    days: int | None = None
    notice: str = ""
    notice_until: str = ""
    hours: str = ""


class ZoneHours(Struct, frozen=True):
    """Planned desk hours of a full week in a zone (DOMAIN §10, indicator 1): zone or comune, how many desks, hours."""

    zone: str
    desks: int
    hours: float


class Entries(Struct, frozen=True, kw_only=True):
    """Our entries by name, and counts over all of them whatever was asked."""

    entries: list[EntryLine]
    zones: list[ZoneHours]
    total: int
    stale: int
    unverified: int
    unpublished: int


class Touched(Struct, frozen=True):
    """What a command changed: ids, and the names people know them by."""

    ids: list[str]
    names: list[str]


# -- reading


def rows(db: sqlite3.Connection) -> Iterator[Row]:
    """Every entry that is not withdrawn, by id."""
    return (Row(*row) for row in db.execute(_ROWS))


class Owner(NamedTuple):
    """The body as its admission names it: a renamed body keeps its identity (F004-04)."""

    id: str
    name: str
    node: str
    ptype: str


def owner_of(ctx: Context) -> Owner | None:
    """What our admission says of us; None before we are in."""
    if not ctx.joined:
        return None
    admission = ctx.membership.member(ctx.me).admission
    return Owner(organization_id(ctx.net, ctx.me), admission.name, ctx.me, admission.ptype)


def organization_id(net: str, node: str) -> str:
    """The same id wherever the body is named in one network."""
    return str(uuid5(NAMESPACE_URL, f"raccordo:{net}/{node}"))


def rendered(row: Row, vis: Visibility, today: date, owner: Owner | None) -> Service | None:
    """The record of one chain as it is to be published today: with our confirmation and a notice still in force."""
    base = row.base(vis)
    if base is None:
        return None
    service = _decode(base)
    verified = latest(service.verified_at if service.verified_at is not UNSET else None, row.confirmed)
    changes: dict[str, object] = {"verified_at": verified or UNSET}
    if row.notice and (row.notice_until is None or row.notice_until >= today.isoformat()):
        until = row.notice_until or UNSET
        changes["notice"] = Notice(text=row.notice, since=row.notice_since or today.isoformat(), until=until)
    if vis == "network":
        changes["salt"] = row.salt or UNSET
    if owner is not None:
        named = {"id": owner.id, "name": owner.name, "node": owner.node, "participant_type": owner.ptype}
        changes["organization"] = replace(service.organization, **named)
    return replace(service, **changes)


def latest(one: str | None, other: str | None) -> str | None:
    """The later of two ISO dates; "2026-08" counts as its first day, as on the map."""
    days = sorted((day for day in (one, other) if day), key=first_day)
    return days[-1] if days else None


def first_day(day: str) -> date:
    """The earliest day a date can mean; what is no date is the oldest of all."""
    try:
        return date.fromisoformat(day + "-01-01"[len(day) - 4 :])
    except ValueError:
        return date.min


# -- the list


def listing(db: sqlite3.Connection, request: ask.Entries, today: date, owner: Owner | None) -> Entries:
    """Our entries, in order of name."""
    used = dict(db.execute("SELECT entry, COUNT(*) FROM catalogue_use GROUP BY entry"))
    published = _published(db)
    held = list(rows(db))
    lines = sorted((_line(row, today, owner, published, used) for row in held), key=lambda line: fold_name(line.name))
    wanted = fold_name(request.words)
    return Entries(
        entries=[
            line
            for line in lines
            if wanted in fold_name(line.name) and (not request.stale or line.freshness != "fresh")
        ],
        zones=hours_by_zone(_decode(row.public or row.network or "") for row in held),
        total=len(lines),
        stale=sum(line.freshness == "stale" for line in lines),
        unverified=sum(line.freshness == "unverified" for line in lines),
        unpublished=sum(line.state != "published" for line in lines),
    )


def hours_by_zone(services: Iterable[Service]) -> list[ZoneHours]:
    """Overlapping hours of one desk count once, whatever it does in them; two desks in one place count twice."""
    desks: dict[str, tuple[str, list[Schedule]]] = {}
    for service in services:
        if service.desk is not UNSET:
            zone, rules = desks.setdefault(service.desk.id, (_zone(service, service.desk), []))
            rules.extend(service.schedules)
    zones: dict[str, list[float]] = {}
    for zone, rules in desks.values():
        zones.setdefault(zone, []).append(weekly_desk_hours(rules))
    return [ZoneHours(zone, len(hours), sum(hours)) for zone, hours in sorted(zones.items())]


def _zone(service: Service, desk: Desk) -> str:
    """The zone a desk names, else its comune (DOMAIN §9)."""
    if desk.zone is not UNSET:
        return desk.zone
    cities = (a.city for at in service.service_at_locations if at.location is not UNSET for a in at.location.addresses)
    return next(cities, "")


def _published(db: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """(chain, id) → leaf of the newest accepted publications."""
    found: dict[tuple[str, str], str] = {}
    for vis, ids, manifest in db.execute(
        "SELECT vis, ids, manifest FROM publication_out WHERE state = 'accepted' ORDER BY rev"
    ).fetchall():
        found = {key: leaf for key, leaf in found.items() if key[0] != vis}
        found |= {(vis, id_): leaf for id_, leaf in zip(*map(msgspec.json.decode, (ids, manifest)), strict=True)}
    return found


def _line(
    row: Row,
    today: date,
    owner: Owner | None,
    published: Mapping[tuple[str, str], str],
    used: Mapping[str, int],
) -> EntryLine:
    chains: dict[Visibility, Service] = {}
    for vis in VISIBILITIES:
        if service := rendered(row, vis, today, owner):
            chains[vis] = service
    service = chains.get("public") or chains["network"]
    verified = service.verified_at if service.verified_at is not UNSET else ""
    days = (today - first_day(verified)).days if verified else None
    lacks = lacking(service)
    return EntryLine(
        id=row.id,
        name=service.name,
        visible=list(chains),
        state=_state(row.id, chains, published),
        completeness=round(100 * (len(WANTED) - len(lacks)) / len(WANTED)),
        freshness="unverified" if days is None else "stale" if days > STALE_DAYS else "fresh",
        used=used.get(row.id, 0),
        lacks=lacks,
        verified=verified,
        days=days,
        notice=service.notice.text if service.notice is not UNSET else "",
        notice_until=_until(service),
        hours=service.hours.text if service.hours is not UNSET else "",
    )


VISIBILITIES: Final[tuple[Visibility, ...]] = ("public", "network")


def _until(service: Service) -> str:
    return service.notice.until if service.notice is not UNSET and service.notice.until is not UNSET else ""


def _state(id_: str, chains: Mapping[Visibility, Service], published: Mapping[tuple[str, str], str]) -> State:
    on_map = [vis for vis in VISIBILITIES if (vis, id_) in published]
    if on_map:
        same = on_map == list(chains) and all(
            published[vis, id_] == leaf_hash(record_line(service)) for vis, service in chains.items()
        )
        return "published" if same else "changed"
    service = next(iter(chains.values()))
    return "classified" if service.categories and service.needs else "collected"


def _read_hours(service: Service) -> bool:
    return service.hours is not UNSET and service.hours.status not in ("unparsed", "error")


def _has_place(service: Service) -> bool:
    addresses = (
        address for at in service.service_at_locations if at.location is not UNSET for address in at.location.addresses
    )
    return service.place != "public" or any(addresses)


def _accessible(service: Service) -> bool:
    return any(at.location is not UNSET and at.location.accessibility for at in service.service_at_locations)


# What a desk needs to answer on the telephone: the word people know, and whether an entry has it.
WANTED: Final[Mapping[str, Callable[[Service], bool]]] = {
    "tipo di servizio": lambda s: bool(s.categories),
    "bisogno": lambda s: bool(s.needs),
    "descrizione": lambda s: s.description is not UNSET,
    "destinatari": lambda s: bool(s.targets),
    "comune": lambda s: s.comune is not UNSET or s.place == "secret",
    "indirizzo": _has_place,
    "telefono o e-mail": lambda s: bool(s.phones) or s.email is not UNSET,
    "orari": _read_hours,
    "requisiti": lambda s: s.eligibility_description is not UNSET or s.requirements is not UNSET,
    "documenti": lambda s: bool(s.required_documents),
    "costo": lambda s: bool(s.cost_options),
    "accessibilità": _accessible,
    "lingue": lambda s: bool(s.languages),
    "data di verifica": lambda s: s.verified_at is not UNSET,
}


def lacking(service: Service) -> list[str]:
    """What a desk would miss, in the words of the template."""
    return [word for word, has in WANTED.items() if not has(service)]


# -- choosing and changing


def selected(db: sqlite3.Connection, which: ask.Selection) -> list[Row]:
    """The entries meant. Raises bad-shape unless exactly one way is used, not-found for an id of none or of two."""
    if sum((which.all_, bool(which.ids), bool(which.words))) != 1:
        raise ProtocolError("bad-shape", field="which", expected="all, ids or words")
    held = list(rows(db))
    if which.words:
        wanted = fold_name(which.words)
        return [row for row in held if wanted in fold_name(row.name)]
    return held if which.all_ else [_one(held, text) for text in which.ids]


def _one(held: Iterable[Row], text: str) -> Row:
    wanted = text.strip().lower()
    found = [row for row in held if len(wanted) >= SHORTEST and row.id.startswith(wanted)]
    if len(found) != 1:
        raise ProtocolError("not-found", field="ids", got=text[:36])
    return found[0]


def confirm(tx: sqlite3.Connection, which: ask.Selection, day: str, now: int, today: date) -> Touched:
    """ "Still right" on a day, for many entries at once. A day ahead of today is refused (bad-shape)."""
    if first_day(day) == date.min or first_day(day) > today:
        raise ProtocolError("bad-shape", field="day", expected=f"not after {today.isoformat()}", got=day)
    chosen = selected(tx, which)
    for row in chosen:
        tx.execute(
            "UPDATE catalogue_entry SET confirmed = ?, changed = ? WHERE id = ?",
            (latest(row.confirmed, day), now, row.id),
        )
    return _touched(chosen)


def set_notice(tx: sqlite3.Connection, request: ask.SetNotice, now: int, today: date) -> Touched:
    """A dated notice on entries, or none when the text is empty. Raises bad-shape for an end before today."""
    until = request.until
    if until is not None and (first_day(until) == date.min or first_day(until) < today):
        raise ProtocolError("bad-shape", field="until", expected=f"from {today.isoformat()}", got=until)
    text = " ".join(request.text.split())
    values = (text, today.isoformat(), until) if text else (None, None, None)
    chosen = selected(tx, request.which)
    for row in chosen:
        tx.execute(
            "UPDATE catalogue_entry SET notice = ?, notice_since = ?, notice_until = ?, changed = ? WHERE id = ?",
            (*values, now, row.id),
        )
    return _touched(chosen)


def withdraw(tx: sqlite3.Connection, chosen: Iterable[Row], now: int) -> Touched:
    """Takes entries back. Their ids stay remembered: the same service in a later sheet gets the same one."""
    gone = list(chosen)
    tx.executemany("UPDATE catalogue_entry SET withdrawn = ? WHERE id = ?", [(now, row.id) for row in gone])
    return _touched(gone)


def note_use(tx: sqlite3.Connection, leg: str, entry: str) -> None:
    """A referral about an entry was opened by a person; counted once. An id that is none of ours counts nothing."""
    tx.execute(
        "INSERT INTO catalogue_use SELECT ?, id FROM catalogue_entry WHERE id = ? ON CONFLICT DO NOTHING", (leg, entry)
    )


def _touched(chosen: Iterable[Row]) -> Touched:
    pairs = [(row.id, row.name) for row in chosen]
    return Touched([id_ for id_, _ in pairs], [name for _, name in pairs])
