"""The map as a fold over log positions: each member's newest publication of each chain. No I/O, no search.

Verified things come in (signature, Merkle root and revision were checked by protocol.publications). The order in which
events arrive does not matter, only their log position does: a rebuild from the newest publications alone gives the map
of whoever followed from the beginning (PROTOCOL §5). node.map.tables keeps the same state in SQLite.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

import msgspec

from protocol.errors import ProtocolError
from schemas.catalogue import Visibility

View = Literal["public", "members"]
Status = Literal["active", "suspended", "ended"]

VISIBILITIES: Final[tuple[Visibility, ...]] = ("public", "network")
SHOWN: Final[dict[View, tuple[Visibility, ...]]] = {"public": ("public",), "members": VISIBILITIES}


class Source(NamedTuple):
    """The publication a line stands in: log position, revision, its own time, object hash."""

    seq: int
    rev: int
    at: int
    pub: str


class PublicationSeen(NamedTuple):
    """A publication in the log. `leaves`: the manifest; `lines`: the record line of a leaf, as received.

    A line may be left out when the publication held of the same chain has the same leaf, or when it was withdrawn.
    """

    node: str
    vis: Visibility
    source: Source
    leaves: tuple[str, ...]
    lines: Mapping[str, bytes]


class MemberStatus(NamedTuple):
    """The members document at log position `seq` says this of a member. A member never named is not shown."""

    seq: int
    node: str
    status: Status


class Withdrawal(NamedTuple):
    """A logged `withdraw-object` of a record: the line is gone everywhere and for ever."""

    node: str
    leaf: str


Event = PublicationSeen | MemberStatus | Withdrawal


class Line(NamedTuple):
    """One record as received, with where it comes from."""

    leaf: str
    source: Source
    record: bytes


class Entry(NamedTuple):
    """What one member publishes under one id; at least one of the two lines is there."""

    id: str
    node: str
    public: Line | None
    network: Line | None


class Change(NamedTuple):
    """What an event did to a member's entries, by leaf hash: ids. Hiding and showing a member changes no ids."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class _OnlyId(msgspec.Struct):
    id: str


_id_of = msgspec.json.Decoder(_OnlyId)


def record_id(record: bytes) -> str:
    """The id of a record line."""
    return _id_of.decode(record).id


class Difference(NamedTuple):
    """The new snapshot of a chain against the held one: `kept` ids stay as they are, `fresh` is (id, leaf, record)."""

    kept: frozenset[str]
    fresh: tuple[tuple[str, str, bytes], ...]
    change: Change


def compare(held: Mapping[str, str], event: PublicationSeen, withdrawn: frozenset[str]) -> Difference:
    """`held`: leaf → id of the chain so far. Reads only the lines that are new: a small change costs little.

    Raises ProtocolError `catalogue-root` when a new leaf comes without its line.
    """
    leaves = [leaf for leaf in event.leaves if leaf not in withdrawn]
    kept = frozenset(held[leaf] for leaf in leaves if leaf in held)
    fresh = tuple(_fresh(leaf, event.lines) for leaf in leaves if leaf not in held)
    before, now = set(held.values()), {id_ for id_, _, _ in fresh}
    change = Change(
        added=tuple(sorted(now - before)),
        changed=tuple(sorted(now & before)),
        removed=tuple(sorted(before - now - kept)),
    )
    return Difference(kept, fresh, change)


def _fresh(leaf: str, lines: Mapping[str, bytes]) -> tuple[str, str, bytes]:
    line = lines.get(leaf)
    if line is None:
        raise ProtocolError("catalogue-root", field="records", expected="line of a new leaf")
    return record_id(line), leaf, line


_NOTHING: Final = Source(-1, 0, 0, "")


class _Chain:
    def __init__(self) -> None:
        self.source = _NOTHING
        self.lines: dict[str, tuple[str, bytes]] = {}  # id → leaf, record


class _Member:
    def __init__(self) -> None:
        self.status: Status | None = None
        self.seq = -1
        self.ended = -1
        self.mark = 0
        self.withdrawn: set[str] = set()
        self.chains: dict[Visibility, _Chain] = {vis: _Chain() for vis in VISIBILITIES}


class MapFold:
    """The map in memory: what a rebuild uses, and the measure for every other way of keeping it."""

    def __init__(self) -> None:
        self._members: dict[str, _Member] = {}
        self._version = 0

    @property
    def version(self) -> int:
        """Grows with every event that changed something."""
        return self._version

    def apply(self, event: Event) -> Change:
        """Take one event in. An event older than what is held changes nothing."""
        member = self._members.setdefault(event.node, _Member())
        change = _apply(member, event)
        if change is None:
            return Change()
        self._version += 1
        member.mark = self._version
        return change

    def marks(self) -> dict[str, int]:
        """The members shown, each with the version at which something of it changed last."""
        return {node: member.mark for node, member in self._members.items() if member.status == "active"}

    def leaves(self, node: str, vis: Visibility) -> dict[str, str]:
        """id → leaf of one chain of a member."""
        return {id_: leaf for id_, (leaf, _) in self._members[node].chains[vis].lines.items()}

    def entry(self, node: str, id_: str) -> Entry | None:
        """One entry of an active member, or None."""
        member = self._members.get(node)
        if member is None or member.status != "active":
            return None
        public, network = (_line(member.chains[vis], id_) for vis in VISIBILITIES)
        return Entry(id_, node, public, network) if public or network else None

    def entries(self) -> Iterator[Entry]:
        """Every entry of the active members, in order of id, then node."""
        keys = (
            (id_, node)
            for node, member in self._members.items()
            for id_ in {*member.chains["public"].lines, *member.chains["network"].lines}
        )
        for id_, node in sorted(keys):
            if entry := self.entry(node, id_):
                yield entry


def _apply(member: _Member, event: Event) -> Change | None:
    if isinstance(event, PublicationSeen):
        return _publish(member, event)
    return _declare(member, event) if isinstance(event, MemberStatus) else _withdraw(member, event)


def _publish(member: _Member, event: PublicationSeen) -> Change | None:
    chain = member.chains[event.vis]
    if event.source.seq <= max(chain.source.seq, member.ended):
        return None
    held = {leaf: id_ for id_, (leaf, _) in chain.lines.items()}
    difference = compare(held, event, frozenset(member.withdrawn))
    lines = {id_: chain.lines[id_] for id_ in difference.kept}
    lines.update((id_, (leaf, record)) for id_, leaf, record in difference.fresh)
    chain.lines, chain.source = lines, event.source
    return difference.change


def _declare(member: _Member, event: MemberStatus) -> Change | None:
    removed: tuple[str, ...] = ()
    if event.status == "ended" and event.seq > member.ended:
        member.ended = event.seq
        removed = _end(member)
    if event.seq > member.seq:
        member.seq, member.status = event.seq, event.status
    elif not removed:
        return None
    return Change(removed=removed)


def _end(member: _Member) -> tuple[str, ...]:
    """Drop what was published before the end; what a readmitted member publishes later stays."""
    gone: set[str] = set()
    for vis, chain in member.chains.items():
        if chain.source.seq <= member.ended:
            gone |= chain.lines.keys()
            member.chains[vis] = _Chain()
    return tuple(sorted(gone))


def _withdraw(member: _Member, event: Withdrawal) -> Change | None:
    member.withdrawn.add(event.leaf)
    gone: set[str] = set()
    for chain in member.chains.values():
        ids = {id_ for id_, (leaf, _) in chain.lines.items() if leaf == event.leaf}
        chain.lines = {id_: line for id_, line in chain.lines.items() if id_ not in ids}
        gone |= ids
    return Change(removed=tuple(sorted(gone))) if gone else None


def _line(chain: _Chain, id_: str) -> Line | None:
    held = chain.lines.get(id_)
    return Line(held[0], chain.source, held[1]) if held else None
