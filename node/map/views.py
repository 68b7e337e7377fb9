"""The map as a guide: by body, by service with its desks, by place, and by group of people. Directories, no questions.

The three views are the parts of the guide that Ambito 1 once printed (DOMAIN §1). Equals stand in the neutral order of
the day, never by name; a secret or reserved place stands under no comune.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from msgspec import UNSET

from node.map.facts import read
from node.map.fold import Entry, View
from node.map.index import Source
from node.map.query import EVERYBODY
from node.map.synonyms import HELPS
from node.map.wording import address
from protocol.errors import ProtocolError
from protocol.neutral import neutral_key
from protocol.territory import Territory
from schemas.records import Service
from schemas.vocabularies import label, table

NO_PLACE: Final = "Sede riservata o non indicata"


class Listed(NamedTuple):
    """One entry of a directory: `comune` is an ISTAT code, empty for a secret, reserved or unknown place."""

    id: str
    node: str
    service: Service
    comune: str
    address: str


class Section(NamedTuple):
    """`code` is a NodeId, a vocabulary code or an ISTAT code, `title` its words."""

    code: str
    title: str
    entries: tuple[Listed, ...]


class TargetSection(NamedTuple):
    """A group of people: `entries` name it; `also` help it by their nature, or everybody."""

    code: str
    title: str
    entries: tuple[Listed, ...]
    also: tuple[Listed, ...]


def listed(source: Source, view: View, day: str) -> list[Listed]:
    """All entries a view shows, in neutral order of `day` (ISO date); what cannot be read is left out."""
    found = [one for entry in source.entries() if (one := _listed(entry, view))]
    return sorted(found, key=lambda one: (neutral_key(day, "".join(one.service.categories[:1]), one.node), one.id))


def _listed(entry: Entry, view: View) -> Listed | None:
    try:
        service = read(entry, view)
    except ProtocolError:
        return None
    if service is None or service.status in ("inactive", "defunct"):
        return None
    open_place = service.place == "public" and service.comune is not UNSET
    return Listed(entry.id, entry.node, service, str(service.comune) if open_place else "", address(service))


def by_body(entries: Iterable[Listed]) -> list[Section]:
    """First part of the guide: each body with what it offers, kinds of body in the order of the vocabulary."""
    kinds = list(table("participant_types"))
    sections = _sections(entries, lambda one: (one.node,), lambda _, ones: ones[0].service.organization.name)
    return sorted(sections, key=lambda section: _kind(section, kinds))


def _kind(section: Section, kinds: Sequence[str]) -> int:
    kind = section.entries[0].service.organization.participant_type
    return kinds.index(kind) if kind in kinds else len(kinds)


def by_service(entries: Iterable[Listed]) -> list[Section]:
    """Second part: each type of service with the desks that give it, in the order of the vocabulary."""
    sections = _sections(entries, lambda one: one.service.categories, lambda code, _: label("service_categories", code))
    order = list(table("service_categories"))
    return sorted(sections, key=lambda section: order.index(section.code) if section.code in order else len(order))


def by_place(entries: Iterable[Listed], territory: Territory, day: str) -> list[Section]:
    """Third part: each comune with its addresses; a merged comune stands under the one that has its territory."""

    def today(one: Listed) -> tuple[str]:
        return (territory.successor(one.comune, day) if one.comune else "",)

    sections = _sections(entries, today, lambda code, _: territory.name(code) if code else NO_PLACE)
    return sorted(sections, key=lambda section: (not section.code, section.title))


def by_target(entries: Sequence[Listed]) -> list[TargetSection]:
    """Every group of the vocabulary, also those for which nothing is listed yet (FEATURES F003-17)."""
    return [_target(code, entries) for code in table("target_groups")]


def _target(code: str, entries: Sequence[Listed]) -> TargetSection:
    named = tuple(one for one in entries if code in one.service.targets)
    helping = {*HELPS.get(code, ())}
    also = [one for one in entries if code not in one.service.targets and helping & {*one.service.categories}]
    also += [one for one in entries if code not in one.service.targets and EVERYBODY in one.service.targets]
    once = {(one.id, one.node): one for one in also}
    return TargetSection(code, label("target_groups", code), named, tuple(once.values()))


def _sections(
    entries: Iterable[Listed],
    codes: Callable[[Listed], Sequence[str]],
    title: Callable[[str, Sequence[Listed]], str],
) -> list[Section]:
    held: dict[str, list[Listed]] = {}
    for one in entries:
        for code in codes(one):
            held.setdefault(code, []).append(one)
    return [Section(code, title(code, ones), tuple(ones)) for code, ones in held.items()]
