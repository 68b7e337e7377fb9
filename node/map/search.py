"""Search: who can help this person, near here, soon? Question in, results in a documented order out. No writing.

Order "useful", each step only between what the steps before leave equal:
  1 places    what has places, before what is full or closed for now
  2 match     every word in its name or its codes, before words found only in its text
  3 wait      open at the instant asked about, then opens today, tomorrow … a later week, then unknown
  4 km        whole kilometres; places without a position last
  5 stale     verified in the last 180 days, before the others
  6 neutral   SHA-256(date ‖ category ‖ member): equals change places every day, and anybody can recompute it
Order "near" puts km first, to a tenth. Names never count; a last tie is within one member's category and goes by id.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from heapq import nsmallest
from itertools import groupby
from typing import Literal, NamedTuple

from msgspec import UNSET, Struct
from msgspec.structs import replace

from node.map.facts import Facts, Place, read, type_of
from node.map.fold import View
from node.map.hours import State, local, said, wait_days
from node.map.index import MapIndex, Source
from node.map.query import Query, Word, filter_groups, query_from_words, word_groups
from node.map.wording import FRESH_DAYS, Note, Seen, address, for_whom, reasons, warnings
from protocol.neutral import neutral_key
from protocol.territory import Territory, great_circle_km
from schemas.records import Service

NOWHERE = 99_999  # kilometres of a place without a position: after every other
How = Literal["centroid", "pin"]


class Rank(NamedTuple):
    """The place of a result in the order, as printed above; entries with one rank are equals."""

    first: float
    second: float
    third: float
    fourth: float
    stale: int


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


class _Hit(NamedTuple):
    rank: Rank
    neutral: bytes
    id: str
    node: str
    number: int
    km: float | None


class ServiceMap:
    """One view of the map over a source, searched from one thread. The index is made at the first search."""

    def __init__(self, source: Source, view: View, territory: Territory) -> None:
        self._source = source
        self.index = MapIndex(view, territory)
        self.territory = territory

    def ask(self, text: str, now: int, **more: object) -> Results:
        """Free words as a person types them; a comune among them that finds nothing gives way to what is near it."""
        query = replace(query_from_words(text, self.territory), **more)
        found = self.search(query, now)
        if found.total or not query.comune:
            return found
        return replace(self.search(replace(query, comune=None), now), widened=True)

    def search(self, query: Query, now: int) -> Results:
        """Exact: every entry that answers the question counts, none other."""
        self.index.refresh(self._source)
        asked, corrections = word_groups(query.words, self.index)
        numbers, partial = self._candidates(query, asked)
        at = local(query.at if query.at is not None else now)
        hits = self._hits(query, asked, numbers, at)
        page = nsmallest(query.offset + query.limit, hits)[query.offset :]
        items = tuple(self._result(query, asked, hit, at) for hit in page)
        groups = _equals(items)
        return Results(
            total=len(hits),
            items=_grouped(items, groups),
            groups=groups,
            understood=tuple(sorted({code for word in asked for code in word.codes})),
            corrected=tuple(Corrected(c.typed, tuple(map(self._spelt, c.stems))) for c in corrections),
            partial=partial and bool(hits),
        )

    def _candidates(self, query: Query, asked: Sequence[Word]) -> tuple[set[int], bool]:
        postings = self.index.postings
        filters = list(filter_groups(query, self.territory))
        found = postings.all_of([*filters, *(word.found for word in asked)])
        if found is None:
            return set(self.index.held), False
        if found or len(asked) < 2:
            return found, False
        among = postings.all_of(filters)
        counts: dict[int, int] = {}
        for word in asked:
            for number in postings.matching(word.found, among):
                counts[number] = counts.get(number, 0) + 1
        most = max(counts.values(), default=0)
        return {number for number, count in counts.items() if count == most}, True

    def _hits(self, query: Query, asked: Sequence[Word], numbers: set[int], at: datetime) -> list[_Hit]:
        index, held = self.index, self.index.held
        origin = self._origin(query)
        strong = set(numbers)
        for word in asked:
            strong &= index.postings.matching(word.strong, strong)
        oldest = at.date().toordinal() - FRESH_DAYS
        today = at.date().isoformat()
        distances: dict[Place | None, float | None] = {None: None}
        hits: list[_Hit] = []
        for number in numbers:
            facts = held[number]
            if facts.place not in distances:
                distances[facts.place] = _distance(origin, facts.place)
            km = distances[facts.place]
            state = index.state(facts.timetable, at)
            fresh = facts.verified >= oldest
            if not _answers(query, facts, state, km, fresh):
                continue
            rank = _rank(query, facts, number in strong, wait_days(state, at), km, fresh)
            hits.append(_Hit(rank, _neutral(today, facts.category, facts.node), facts.id, facts.node, number, km))
        return hits

    def _origin(self, query: Query) -> tuple[float, float] | None:
        if query.point:
            return query.point
        comune = query.near or query.comune or query.residence
        return self.territory.centroid(comune) if comune else None

    def _result(self, query: Query, asked: list[Word], hit: _Hit, at: datetime) -> Result:
        facts = self.index.held[hit.number]
        entry = self._source.entry(facts.node, facts.id)
        service = read(entry, self.index.view) if entry else None
        assert entry is not None and service is not None  # refreshed in this very search
        state = self.index.state(facts.timetable, at)
        seen = Seen(facts, service, state, said(facts.timetable, state, at), hit.km, at.date())
        fresh = facts.verified >= at.date().toordinal() - FRESH_DAYS
        how: How = "pin" if facts.place and facts.place.pinned else "centroid"
        return Result(
            id=facts.id,
            node=facts.node,
            name=service.name,
            member=service.organization.name,
            service=service,
            network_only=entry.public is None,
            for_whom=for_whom(service),
            hours=service.hours.text if service.hours is not UNSET else "",
            opening=seen.opening,
            open=state.open,
            papers=tuple(document.document for document in service.required_documents),
            phones=tuple(phone.number for phone in service.phones),
            address=address(service),
            distance_km=None if hit.km is None else round(hit.km, 1),
            distance_how=None if hit.km is None else how,
            waiting=service.waiting.text if service.waiting is not UNSET and service.waiting.text is not UNSET else "",
            verified=service.verified_at if service.verified_at is not UNSET else "",
            fresh=fresh,
            reasons=reasons(query, asked, seen, self.territory),
            warnings=warnings(seen, fresh),
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


def _answers(query: Query, facts: Facts, state: State, km: float | None, fresh: bool) -> bool:
    """The filters that are no tokens."""
    if query.age is not None and not facts.ages[0] <= query.age <= facts.ages[1]:
        return False
    if query.within_km is not None and (km is None or km > query.within_km):
        return False
    return (state.open or not query.open) and (fresh or not query.fresh)


def _rank(query: Query, facts: Facts, strong: bool, wait: int, km: float | None, fresh: bool) -> Rank:
    stale = 0 if fresh else 1
    if query.order == "near":
        return Rank(NOWHERE if km is None else round(km, 1), facts.full, not strong, wait, stale)
    return Rank(facts.full, not strong, wait, NOWHERE if km is None else int(km), stale)


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
