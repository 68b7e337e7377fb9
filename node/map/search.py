"""Search: who can help this person, near here, soon? Question in, results in a documented order out. No writing.

Order "useful", each step only between what the steps before leave equal:
  1 places    what has places, before what is full or closed for now
  2 match     0 every word by the need and type of service it names, 1 by another code or the name, 2 by its text
  3 wait      open at the instant asked about, then opens today, tomorrow … a later week, then unknown
  4 km        whole kilometres; places without a position last
  5 stale     verified in the last 180 days, before the others
  6 neutral   SHA-256(date ‖ category ‖ member): equals change places every day; anybody can recompute it
Order "near" begins with km, to a tenth, and has no step 4. Names never count; a last tie is within one member's
category and goes by id.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import lru_cache
from heapq import nsmallest
from itertools import groupby
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from node.map.facts import Facts, Place, read, type_of
from node.map.fold import View
from node.map.hours import local, said, wait_days
from node.map.index import Group, MapIndex, Source
from node.map.query import Asked, Correction, Query, ask_of, filter_groups, query_from_words, word_groups
from node.map.wording import FRESH_DAYS, Card, Note, Seen, card_of, reasons, warnings
from protocol.neutral import neutral_key
from protocol.territory import Territory, great_circle_km
from schemas.records import Service

NOWHERE = 99_999  # kilometres of a place without a position: after every other
How = Literal["centroid", "pin"]


class Rank(NamedTuple):
    """The place of an entry in the order, the smallest first; entries of one rank are equals.

    `tenths` of a kilometre count in order "near", `km` in order "useful"; the other is 0.
    """

    tenths: int
    full: int
    match: int
    wait: int
    km: int
    stale: int


# Where each field stands in a rank packed into one number. Thousands of candidates are ranked for one page: numbers are
# compared faster than tuples, and leave nothing behind for the garbage collector to walk through (30 ms at the p99).
STALE, KM, WAIT, MATCH, FULL, TENTHS = 0, 1, 18, 22, 24, 25
NUMBER_BITS = 32


def unpacked(rank: int) -> Rank:
    return Rank(rank >> TENTHS, rank >> FULL & 1, rank >> MATCH & 3, rank >> WAIT & 15, rank >> KM & 0x1FFFF, rank & 1)


class Hit(NamedTuple):
    """One match. `number` is the index's own and holds until its next refresh."""

    rank: Rank
    neutral: bytes
    id: str
    node: str
    number: int


class Found(NamedTuple):
    """What a question finds, in order, not yet written out. `at`: the local instant asked about."""

    total: int
    hits: tuple[Hit, ...]
    asked: Asked
    corrections: tuple[Correction, ...]
    partial: bool
    at: datetime


class Result(Struct, frozen=True, kw_only=True):
    """One service as a desk needs it. `distance_how`: between centroids, or to the owner's own pin.

    `neutral`: the neutral key in hexadecimal. `group`: number of its group of equals in Results.groups, or None.
    """

    id: str
    node: str
    name: str
    member: str
    service: Service
    network_only: bool
    for_whom: tuple[str, ...]
    hours: str
    opening: str
    open: bool
    papers: tuple[str, ...]
    phones: tuple[str, ...]
    address: str
    distance_km: float | None
    distance_how: How | None
    waiting: str
    verified: str
    fresh: bool
    reasons: tuple[Note, ...]
    warnings: tuple[Note, ...]
    rank: Rank
    neutral: str
    group: int | None = None


class Equals(NamedTuple):
    """Several members give one type of service. `positions`: their places in the results."""

    type: str
    members: tuple[str, ...]
    positions: tuple[int, ...]


class Corrected(NamedTuple):
    """`typed` finds nothing; `understood` was searched instead (empty: nothing near it is known)."""

    typed: str
    understood: tuple[str, ...]


class Results(Struct, frozen=True, kw_only=True):
    """`total`: all matches; `items`: the page asked for. `understood`: codes that the words named.

    `partial`: no entry has every word, these have most. `widened`: nothing in the comune named, these are the nearest.
    """

    total: int
    items: tuple[Result, ...]
    groups: tuple[Equals, ...] = ()
    understood: tuple[str, ...] = ()
    corrected: tuple[Corrected, ...] = ()
    partial: bool = False
    widened: bool = False


class ServiceMap:
    """One view of the map over a source, searched from one thread. The index is made at the first search."""

    def __init__(self, source: Source, view: View, territory: Territory) -> None:
        self._source = source
        self._family = lru_cache(maxsize=1024)(territory.family)
        self.index = MapIndex(view, territory)
        self.territory = territory

    def ask(self, text: str, now: int, **more: object) -> Results:
        """Free words as a person types them, and fields of Query that narrow them.

        A comune among the words that finds nothing gives way to what is near it; one given as a field does not.
        """
        query = replace(query_from_words(text, self.territory), **more)
        found = self.search(query, now)
        if found.total or not query.comune or "comune" in more:
            return found
        return replace(self.search(replace(query, comune=None), now), widened=True)

    def search(self, query: Query, now: int) -> Results:
        """Exact: every entry that answers the question counts, none other. `now`: Unix seconds."""
        found = self.find(query, now)
        items = tuple(self._result(found, hit) for hit in found.hits)
        groups = _equals(items)
        return Results(
            total=found.total,
            items=_grouped(items, groups),
            groups=groups,
            understood=tuple(sorted({code for word in found.asked.words for code in word.codes})),
            corrected=tuple(Corrected(c.typed, tuple(map(self._spelt, c.stems))) for c in found.corrections),
            partial=found.partial,
        )

    def find(self, query: Query, now: int) -> Found:
        """The page asked for as hits only: what a caller needs who has the records at hand."""
        self.index.refresh(self._source)
        words, corrections = word_groups(query.words, self.index)
        asked = ask_of(query, words, self._family)
        numbers, partial = self._candidates(asked)
        at = local(query.at if query.at is not None else now)
        ranked = self._ranked(asked, numbers, at)
        hits = self._first(ranked, query.offset + query.limit, at)[query.offset :]
        return Found(len(ranked), tuple(hits), asked, tuple(corrections), partial and bool(ranked), at)

    def _candidates(self, asked: Asked) -> tuple[Collection[int], bool]:
        postings = self.index.postings
        filters = list(filter_groups(asked))
        found = postings.all_of([*filters, *(word.found for word in asked.words)])
        if found is None:
            return self.index.held.keys(), False
        if found or len(asked.words) < 2:
            return found, False
        among = postings.all_of(filters)
        counts = Counter(number for word in asked.words for number in postings.matching(word.found, among))
        most = max(counts.values(), default=0)
        return [number for number, count in counts.items() if count == most], True

    def _ranked(self, asked: Asked, numbers: Collection[int], at: datetime) -> list[int]:
        """Packed rank and number of every match: what is the same for a place or a timetable is computed once."""
        query, held = asked.query, self.index.held
        strong = self._having([word.strong for word in asked.words], numbers)
        exact = self._having([word.exact for word in asked.words], strong)  # of these: a need and a type are codes
        origin, near = self._origin(query), query.order == "near"
        oldest = at.date().toordinal() - FRESH_DAYS
        picky = query.age is not None or query.within_km is not None or query.open or query.fresh
        distances: dict[Place | None, int] = {}
        waits: dict[int, int] = {}
        ranked: list[int] = []
        for number in numbers:
            facts = held[number]
            if (km := distances.get(facts.place)) is None:
                km = distances[facts.place] = _kilometres(origin, facts.place, near)
            if (wait := waits.get(id(facts.timetable))) is None:
                wait = waits[id(facts.timetable)] = wait_days(self.index.state(facts.timetable, at), at)
            stale = facts.verified < oldest
            if picky and not _answers(query, facts, wait, stale, origin):
                continue
            match = 0 if number in exact else 1 if number in strong else 2
            rank = km | facts.full << FULL | match << MATCH | wait << WAIT | stale
            ranked.append(rank << NUMBER_BITS | number)
        return ranked

    def _having(self, groups: Sequence[Group], numbers: Collection[int]) -> Collection[int]:
        """The candidates that satisfy every group."""
        for group in groups:
            numbers = self.index.postings.matching(group, numbers)
        return numbers

    def _first(self, ranked: list[int], wanted: int, at: datetime) -> list[Hit]:
        """The first hits in order. The neutral key is computed only for those that could be among them."""
        if len(ranked) > wanted:
            last = nsmallest(wanted, ranked)[-1] >> NUMBER_BITS
            ranked = [both for both in ranked if both >> NUMBER_BITS <= last]
        today, hits = at.date().isoformat(), []
        for both in ranked:
            number = both & (1 << NUMBER_BITS) - 1
            facts = self.index.held[number]
            key = _neutral(today, facts.category, facts.node)
            hits.append(Hit(unpacked(both >> NUMBER_BITS), key, facts.id, facts.node, number))
        return sorted(hits)[:wanted]

    def _origin(self, query: Query) -> tuple[float, float] | None:
        if query.point:
            return query.point
        comune = query.near or query.comune or query.residence
        return self.territory.centroid(comune) if comune else None

    def _card(self, number: int) -> Card:
        """Read anew each time: kept records would cost the garbage collector more, at the p99, than reading saves."""
        facts = self.index.held[number]
        entry = self._source.entry(facts.node, facts.id)
        service = read(entry, self.index.view) if entry else None
        assert entry is not None and service is not None  # refreshed in this very search
        return card_of(facts, service, entry.public is None)

    def _result(self, found: Found, hit: Hit) -> Result:
        card, at = self._card(hit.number), found.at
        state = self.index.state(card.facts.timetable, at)
        km = _distance(self._origin(found.asked.query), card.facts.place)
        seen = Seen(card, state, said(card.facts.timetable, state, at), km, at.date(), not hit.rank.stale)
        service = card.service
        how: How = "pin" if card.facts.place and card.facts.place.pinned else "centroid"
        return Result(
            id=hit.id,
            node=hit.node,
            name=service.name,
            member=service.organization.name,
            service=service,
            network_only=card.network_only,
            for_whom=card.for_whom,
            hours=card.hours,
            opening=seen.opening,
            open=state.open,
            papers=card.papers,
            phones=card.phones,
            address=card.address,
            distance_km=None if km is None else round(km, 1),
            distance_how=None if km is None else how,
            waiting=card.waiting,
            verified=card.verified,
            fresh=seen.fresh,
            reasons=reasons(found.asked, seen, self.territory),
            warnings=warnings(seen),
            rank=hit.rank,
            neutral=hit.neutral.hex(),
        )

    def _spelt(self, known: str) -> str:
        """A whole word for a stem: as the first entry that has it writes it."""
        return self.index.spelling(known, self._source)


def _distance(origin: tuple[float, float] | None, place: Place | None) -> float | None:
    return great_circle_km(origin, (place.lat, place.lon)) if origin and place else None


@lru_cache(maxsize=65536)
def _neutral(day: str, category: str, member: str) -> bytes:
    return neutral_key(day, category, member)


def _answers(query: Query, facts: Facts, wait: int, stale: bool, origin: tuple[float, float] | None) -> bool:
    """The filters that are no tokens."""
    if query.age is not None and not facts.ages[0] <= query.age <= facts.ages[1]:
        return False
    if query.within_km is not None:
        km = _distance(origin, facts.place)
        if km is None or km > query.within_km:
            return False
    return not (query.open and wait) and not (query.fresh and stale)


def _kilometres(origin: tuple[float, float] | None, place: Place | None, near: bool) -> int:
    """The kilometre field of a rank that counts in this order, in its position."""
    km = _distance(origin, place)
    if near:
        return (NOWHERE * 10 if km is None else round(km * 10)) << TENTHS
    return (NOWHERE if km is None else int(km)) << KM


def _equals(items: Sequence[Result]) -> tuple[Equals, ...]:
    """Types of service which several members of the page give."""
    typed = sorted((type_of(item.service), at) for at, item in enumerate(items))
    found = []
    for type_, pairs in groupby(typed, key=lambda pair: pair[0]):
        positions = tuple(at for _, at in pairs)
        members = tuple(dict.fromkeys(items[at].node for at in positions))
        if type_ and len(members) > 1:
            found.append(Equals(type_, members, positions))
    return tuple(sorted(found, key=lambda group: group.positions))


def _grouped(items: Sequence[Result], groups: Sequence[Equals]) -> tuple[Result, ...]:
    number = {at: n for n, group in enumerate(groups) for at in group.positions}
    return tuple(replace(item, group=number.get(at)) for at, item in enumerate(items))
