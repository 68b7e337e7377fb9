"""What is asked of the map, as rows of commands. They only read: the map is a fold."""

import sqlite3
from collections.abc import Iterable, Mapping
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from msgspec import UNSET, Raw, Struct

from node import asked
from node import requests as ask
from node.commands import Command
from node.map.facts import facts, read
from node.map.fold import Entry, View
from node.map.hours import local, said, state_at
from node.map.ndjson import map_lines
from node.map.search import Results, ServiceMap
from node.map.tables import SqliteMap
from node.map.views import Listed, by_body, by_place, by_service, by_target, listed
from node.map.wording import FRESH_DAYS, Note, Seen, card_of, warnings
from protocol.errors import ProtocolError
from protocol.territory import Territory
from schemas.records import Service

if TYPE_CHECKING:
    from node.body import Body

PAGE: Final = 5000  # entries of one page of the map

CODES: Final[Mapping[str, str]] = {
    "needs": "need_areas",
    "targets": "target_groups",
    "categories": "service_categories",
    "accessibility": "accessibility_features",
    "costs": "cost_types",
}
LISTS: Final = ("kinds", "member", "owner", "provider", "sector", "management", "system", "access", "languages")
PLACES: Final = ("comune", "residence", "near")
SAME: Final = (
    "for_everybody", "zone", "anonymous", "step_free", "age", "open", "fresh", "within_km", "order", "limit", "offset",
)  # fmt: skip


class Sheet(Struct, frozen=True, kw_only=True):
    """One service whole, as a desk reads it out; where it comes from stands in `rev`, `at` and `leaf`."""

    id: str
    node: str
    member: str
    service: Service
    network_only: bool
    for_whom: tuple[str, ...]
    opening: str
    open: bool
    fresh: bool
    warnings: tuple[Note, ...]
    rev: int
    at: int
    leaf: str


class MapPage(Struct, frozen=True):
    """Lines of map.ndjson, byte for byte; `next` is the `after` of the following page, None at the end."""

    version: int
    lines: list[Raw]
    next: int | None


class GuideLine(Struct, frozen=True, kw_only=True):
    """One entry of the guide, in neutral order; `comune` empty for a reserved or unknown place."""

    id: str
    node: str
    name: str
    member: str
    comune: str
    address: str
    phones: list[str]
    hours: str


class GuidePart(Struct, frozen=True, kw_only=True):
    """One heading of the guide. `also`: at a group of people, what helps it without naming it."""

    code: str
    title: str
    entries: list[GuideLine]
    also: list[GuideLine] = []


# -- the map, kept ready


class _Moving(SqliteMap):
    """The same map over whichever connection asks: connections differ by thread, the index does not."""

    def use(self, conn: sqlite3.Connection) -> None:
        self._conn = conn


class _Ready:
    """The indexes of one body, one for each view, made at the first question."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[View, tuple[Territory, _Moving, ServiceMap]] = {}

    def ask(
        self, db: sqlite3.Connection, view: View, territory: Territory, text: str, now: int, more: dict[str, object]
    ) -> Results:
        with self._lock:
            held = self._held.get(view)
            if held is None or held[0] is not territory:
                source = _Moving(db)
                held = self._held[view] = (territory, source, ServiceMap(source, view, territory))
            held[1].use(db)
            return held[2].ask(text, now, **more)


_READY: "Final[WeakKeyDictionary[Body, _Ready]]" = WeakKeyDictionary()  # by body: nothing is shared between bodies


def search(db: sqlite3.Connection, body: "Body", request: ask.Search) -> Results:
    """The services that answer, each with why. Raises unknown-code (a vocabulary code, a comune), bad-shape (`at`)."""
    territory = body.ctx.territory
    ready = _READY.setdefault(body, _Ready())
    return ready.ask(db, request.view, territory, request.text, body.ctx.clock.now(), _filters(request, territory))


def _filters(request: ask.Search, territory: Territory) -> dict[str, object]:
    """Only what was asked: what is left out is taken from the words."""
    found: dict[str, object] = {}
    for name, vocabulary in CODES.items():
        if values := getattr(request, name):
            found[name] = asked.codes(values, vocabulary, name)
    found |= {name: tuple(values) for name in LISTS if (values := getattr(request, name))}
    found |= {name: asked.comune(text, territory, name) for name in PLACES if (text := getattr(request, name))}
    found |= {name: value for name in SAME if (value := getattr(request, name)) not in (None, False)}
    if request.at is not None:
        found["at"] = asked.instant(request.at)
    return found


# -- one service


def show(db: sqlite3.Connection, body: "Body", request: ask.ShowService) -> Sheet:
    """Raises not-found, also when the beginning of an id names more than one entry."""
    territory, now = body.ctx.territory, local(body.ctx.clock.now())
    entry = find_entry(db, request)
    service, known = read(entry, request.view), facts(entry, request.view, territory)
    line = (entry.network if request.view == "members" else None) or entry.public
    if service is None or known is None or line is None:
        raise ProtocolError("not-found", field="service")
    state = state_at(known.timetable, now)
    opening = said(known.timetable, state, now)
    fresh = known.verified >= now.date().toordinal() - FRESH_DAYS
    seen = Seen(card_of(known, service, entry.public is None), state, opening, None, now.date(), fresh)
    return Sheet(
        id=entry.id,
        node=entry.node,
        member=service.organization.name,
        service=service,
        network_only=entry.public is None,
        for_whom=seen.card.for_whom,
        opening=opening,
        open=state.open,
        fresh=fresh,
        warnings=warnings(seen),
        rev=line.source.rev,
        at=line.source.at,
        leaf=line.leaf,
    )


def find_entry(db: sqlite3.Connection, request: ask.ShowService) -> Entry:
    """The entry whose id begins so, if there is one and no other. Raises not-found."""
    wanted = request.id.strip().lower()
    rows = db.execute(
        "SELECT DISTINCT id, node FROM map_entry WHERE id >= ?1 AND id < ?1 || 'g' AND (?2 IS NULL OR node = ?2)"
        " LIMIT 2",
        (wanted, request.node),
    ).fetchall()
    entry = SqliteMap(db).entry(rows[0][1], rows[0][0]) if len(rows) == 1 else None
    if entry is None:
        # one that is there and not shown is its suspended member's
        raise ProtocolError("not-found", field="service", got=f"{len(rows) if len(rows) > 1 else 0} found")
    return entry


# -- the whole map


def page(db: sqlite3.Connection, body: "Body", request: ask.MapPage) -> MapPage:
    """Entries `after` … of the map. Raises log-moved when the map changed since the page before."""
    held = SqliteMap(db)
    if request.version not in (None, held.version):
        raise ProtocolError("log-moved", expected=str(request.version), got=str(held.version))
    entries = list(islice(held.entries(), request.after, request.after + PAGE))
    lines = [Raw(line[:-1]) for line in map_lines(entries, request.view)]
    return MapPage(held.version, lines, request.after + PAGE if len(entries) == PAGE else None)


# -- the guide


def guide(db: sqlite3.Connection, body: "Body", request: ask.MapViews) -> list[GuidePart]:
    """The map as a directory; only headings that have entries."""
    territory, day = body.ctx.territory, local(body.ctx.clock.now()).date().isoformat()
    entries = listed(SqliteMap(db), request.view, day)
    if request.by == "targets":
        return [
            GuidePart(code=code, title=title, entries=_lines(named, territory), also=_lines(also, territory))
            for code, title, named, also in by_target(entries)
            if named or also
        ]
    sections = {
        "bodies": lambda: by_body(entries),
        "services": lambda: by_service(entries),
        "places": lambda: by_place(entries, territory, day),
    }[request.by]()
    return [GuidePart(code=code, title=title, entries=_lines(ones, territory)) for code, title, ones in sections]


def _lines(entries: Iterable[Listed], territory: Territory) -> list[GuideLine]:
    return [
        GuideLine(
            id=one.id,
            node=one.node,
            name=one.service.name,
            member=one.service.organization.name,
            comune=territory.name(one.comune) if one.comune else "",
            address=one.address,
            phones=[phone.number for phone in one.service.phones],
            hours=one.service.hours.text if one.service.hours is not UNSET else "",
        )
        for one in entries
    ]


COMMANDS: Final[Mapping[str, Command]] = {
    "search": Command(ask.Search, search, writes=False),
    "service": Command(ask.ShowService, show, writes=False),
    "map": Command(ask.MapPage, page, writes=False),
    "guide": Command(ask.MapViews, guide, writes=False),
}
