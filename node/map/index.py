"""The index of one view of the map: token → entries, in memory, made at the first search. Not the order of results.

Postings are sorted arrays of entry numbers (4 bytes each); those asked for become sets and are kept. A number
means nothing: an index brought up to date and one built anew answer alike, and as a scan of all records does.
"""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, Protocol

from node.map.analyser import edits, stem, words
from node.map.facts import Facts, facts, read, texts
from node.map.fold import SHOWN, Entry, View
from node.map.hours import State, Timetable, state_at
from protocol.errors import ProtocolError
from protocol.territory import Territory
from schemas.catalogue import Visibility

KEPT_SETS: Final = 2_000_000  # members of all sets kept; when there are more, they are made again as needed
SHORT_WORD: Final = 6  # up to here one letter may be wrong, beyond two
CLOSEST: Final = 5

Alternative = tuple[str, ...]
"""Tokens that an entry must all have."""
Group = tuple[Alternative, ...]
"""An entry must satisfy one of these."""
Leaves = tuple[str | None, str | None]
"""The leaves of an entry in the two chains."""


class Source(Protocol):
    """Where entries come from: node.map.fold.MapFold or node.map.tables.SqliteMap."""

    @property
    def version(self) -> int: ...
    def marks(self) -> dict[str, int]: ...
    def leaves(self, node: str, vis: Visibility) -> dict[str, str]: ...
    def entry(self, node: str, id_: str) -> Entry | None: ...
    def entries(self) -> Iterator[Entry]: ...


class Postings:
    """token → sorted entry numbers."""

    def __init__(self) -> None:
        self._arrays: dict[str, array[int]] = {}
        self._sets: dict[str, frozenset[int]] = {}
        self._kept = 0

    def add(self, number: int, tokens: Iterable[str]) -> None:
        """`number` is greater than every number added before."""
        for token in tokens:
            self._arrays.setdefault(token, array("I")).append(number)
            self._sets.pop(token, None)

    def remove(self, number: int, tokens: Iterable[str]) -> None:
        for token in tokens:
            numbers = self._arrays[token]
            del numbers[bisect_left(numbers, number)]
            self._sets.pop(token, None)
            if not numbers:
                del self._arrays[token]

    def count(self, token: str) -> int:
        """How many entries have the token."""
        return len(self._arrays.get(token, ()))

    def of(self, token: str) -> frozenset[int]:
        """The entries that have the token."""
        held = self._sets.get(token)
        if held is None:
            held = frozenset(self._arrays.get(token, ()))
            self._kept += len(held)
            if self._kept > KEPT_SETS:
                self._sets, self._kept = {}, len(held)
            self._sets[token] = held
        return held

    def stems(self) -> Iterator[str]:
        """Every stem of the texts, no filter tokens and codes."""
        return (token for token in self._arrays if token.isalnum())

    def matching(self, group: Group, among: Collection[int] | None = None) -> set[int]:
        """The entries of `among` (of all) that satisfy one alternative of the group."""
        found: set[int] = set()
        for alternative in group:
            tokens = sorted(alternative, key=self.count)
            kept = self.of(tokens[0]) if among is None else self.of(tokens[0]).intersection(among)
            for token in tokens[1:]:
                kept = kept & self.of(token)
            found |= kept
        return found

    def size(self, group: Group) -> int:
        """At most so many entries satisfy the group."""
        return sum(min(map(self.count, alternative)) for alternative in group)

    def all_of(self, groups: Sequence[Group]) -> set[int] | None:
        """The entries that satisfy every group; None when there is no group, which is every entry."""
        found: set[int] | None = None
        for group in sorted(groups, key=self.size):
            found = self.matching(group, found)
            if not found:
                return found
        return found


class MapIndex:
    """One view of one map, ready to be searched. Not shared between threads."""

    def __init__(self, view: View, territory: Territory) -> None:
        self.view = view
        self.territory = territory
        self.postings = Postings()
        self.held: dict[int, Facts] = {}
        self.unreadable: dict[tuple[str, str], str] = {}  # (node, id) → problem code
        self._numbers: dict[tuple[str, str], int] = {}
        self._leaves: dict[str, dict[str, Leaves]] = {}  # node → id →
        self._marks: dict[str, int] = {}
        self._version: int | None = None
        self._next = 0
        self._timetables: dict[Timetable, Timetable] = {}
        self._states: dict[int, State] = {}  # by identity: equal timetables are one object here
        self._trigrams: dict[str, set[str]] | None = None
        self._spellings: dict[str, str] = {}

    def refresh(self, source: Source) -> None:
        """Bring the index up to the source's version: reads only the entries whose leaves changed."""
        version = source.version
        if version == self._version:
            return
        marks = source.marks()
        for node in self._marks.keys() - marks.keys():
            self._renew(node, {})
        changed = [node for node, mark in sorted(marks.items()) if self._marks.get(node) != mark]
        fresh = {node: self._renew(node, self._wanted(source, node)) for node in changed}
        if len(changed) * 2 > len(marks):
            entries = (entry for entry in source.entries() if entry.id in fresh.get(entry.node, ()))
        else:
            entries = (
                entry for node, ids in fresh.items() for id_ in sorted(ids) if (entry := source.entry(node, id_))
            )
        for entry in entries:
            self._add(entry)
        self._version, self._marks, self._trigrams = version, marks, None
        self._spellings.clear()

    def _wanted(self, source: Source, node: str) -> dict[str, Leaves]:
        public = source.leaves(node, "public")
        network = source.leaves(node, "network") if "network" in SHOWN[self.view] else {}
        return {id_: (public.get(id_), network.get(id_)) for id_ in public.keys() | network.keys()}

    def _renew(self, node: str, wanted: dict[str, Leaves]) -> set[str]:
        """Forget what changed of a member; returns the ids to be read."""
        held = self._leaves.pop(node, {})
        for id_ in [id_ for id_, leaves in held.items() if wanted.get(id_) != leaves]:
            self._drop(node, id_)
        if wanted:
            self._leaves[node] = wanted
        return {id_ for id_, leaves in wanted.items() if held.get(id_) != leaves}

    def _add(self, entry: Entry) -> None:
        try:
            made = facts(entry, self.view, self.territory)
        except ProtocolError as problem:
            self.unreadable[entry.node, entry.id] = problem.code
            return
        if made is None:
            return
        number, self._next = self._next, self._next + 1
        table = self._timetables.setdefault(made.timetable, made.timetable)
        self.held[number] = made._replace(timetable=table)
        self._numbers[entry.node, entry.id] = number
        self.postings.add(number, made.tokens)

    def _drop(self, node: str, id_: str) -> None:
        self.unreadable.pop((node, id_), None)
        number = self._numbers.pop((node, id_), None)
        if number is not None:
            self.postings.remove(number, self.held.pop(number).tokens)

    def state(self, table: Timetable, at: datetime) -> State:
        """The opening state of a held timetable; computed again only after an opening or a closing."""
        state = self._states.get(id(table))
        if state is None or not state.since <= at < state.until:
            state = self._states[id(table)] = state_at(table, at)
        return state

    def spelling(self, known: str, source: Source) -> str:
        """A whole word for an indexed stem, as the entry with the lowest id writes it; the stem when no text has it."""
        if known not in self._spellings:
            self._spellings[known] = self._spelt(known, source)
        return self._spellings[known]

    def _spelt(self, known: str, source: Source) -> str:
        having = min(((f.id, f.node) for f in map(self.held.get, self.postings.of(known)) if f), default=None)
        entry = source.entry(having[1], having[0]) if having else None
        service = read(entry, self.view) if entry else None
        written = words(" ".join(texts(service))) if service else ()
        return next((word for word in written if stem(word) == known), known)

    def completions(self, beginning: str) -> list[str]:
        """Indexed stems that begin so."""
        return sorted(word for word in self.postings.stems() if word.startswith(beginning))

    def closest(self, word: str, also: Collection[str] = ()) -> list[str]:
        """Known stems nearest to a misspelt one: one wrong letter in a short word, two in a long one."""
        most = 1 if len(word) <= SHORT_WORD else 2
        near = [(edits(word, other, most), -self.postings.count(other), other) for other in self._similar(word, also)]
        best = min((distance for distance, _, _ in near), default=most + 1)
        return [other for distance, _, other in sorted(near) if distance == best <= most][:CLOSEST]

    def _similar(self, word: str, also: Collection[str]) -> set[str]:
        """Words that share a trigram: two words within two edits do, unless they are very short."""
        if self._trigrams is None:
            self._trigrams = {}
            for known in {*self.postings.stems(), *also}:
                for part in _trigrams(known):
                    self._trigrams.setdefault(part, set()).add(known)
        return set().union(*(self._trigrams.get(part, ()) for part in _trigrams(word)))


def _trigrams(word: str) -> set[str]:
    padded = f"^{word}$"
    return {padded[i : i + 3] for i in range(len(padded) - 2)}
