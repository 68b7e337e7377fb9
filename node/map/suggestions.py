"""Entries that look like one: suggested to people, never merged. One type of service by several bodies is no double.

owner-provider   one body gives a service for another that lists it too (a comune and its cooperative)
same-phone       two bodies list one type of service in one comune under one telephone number
same-desk        one body lists one desk twice: same number, same address, one named in the other's description
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import Literal, NamedTuple

from node.map.analyser import plain, stems
from node.map.facts import texts
from node.map.views import Listed
from protocol.territory import Territory

Kind = Literal["owner-provider", "same-phone", "same-desk"]

SAID: dict[Kind, str] = {
    "owner-provider": "Sembra lo stesso servizio: «{a}» ne è titolare e «{b}» lo gestisce. Collegarli?",
    "same-phone": "Stesso tipo di servizio e stesso telefono presso «{a}» e «{b}». Sono la stessa voce?",
    "same-desk": "«{a}» sembra indicare due volte lo stesso sportello.",
}
_NOT_DIGITS = re.compile(r"[^0-9]")


class Suggestion(NamedTuple):
    """`one` and `other` are (node, id); for owner-provider `one` is the owner's."""

    kind: Kind
    one: tuple[str, str]
    other: tuple[str, str]
    text: str


def suggestions(entries: Sequence[Listed], territory: Territory, day: str) -> list[Suggestion]:
    """All suggestions, in order of the ids concerned. Only entries of one block are compared: no square of the map."""

    def here(one: Listed) -> str:
        return territory.successor(one.comune, day) if one.comune else ""

    found = [
        *_pairs(entries, lambda one: [(code, here(one)) for code in one.service.categories], _owner_provider),
        *_pairs(entries, lambda one: [(number, here(one)) for number in _numbers(one)], _same_phone),
        *_pairs(entries, lambda one: [(one.node, number) for number in _numbers(one)], _same_desk),
    ]
    return sorted({(s.kind, frozenset((s.one, s.other))): s for s in reversed(found)}.values())


def _pairs(
    entries: Iterable[Listed],
    blocks: Callable[[Listed], Iterable[Hashable]],
    look: Callable[[Listed, Listed], Suggestion | None],
) -> Iterator[Suggestion]:
    held: dict[Hashable, list[Listed]] = {}
    for one in entries:
        for block in blocks(one):
            held.setdefault(block, []).append(one)
    for ones in held.values():
        for pair in combinations(ones, 2):
            if suggestion := look(*pair):
                yield suggestion


def _owner_provider(one: Listed, other: Listed) -> Suggestion | None:
    if one.node == other.node:
        return None
    for owner, provider in ((one, other), (other, one)):
        if _gives_for(provider, owner):
            return _suggest("owner-provider", owner, provider)
    return None


def _gives_for(provider: Listed, owner: Listed) -> bool:
    """The provider's record names the owner as such, or in its text ("per conto del Comune di Pesaro")."""
    if _names(provider.service.owner, owner) or _names(owner.service.provider, provider):
        return True
    name = " ".join(stems(owner.service.organization.name))
    own = " ".join(stems(provider.service.organization.name))
    written = (text for text in texts(provider.service) if text != provider.service.organization.name)
    return bool(name) and name not in own and any(f" {name} " in f" {' '.join(stems(text))} " for text in written)


def _names(written: object, body: Listed) -> bool:
    known = (body.node, plain(body.service.organization.name))
    return isinstance(written, str) and plain(written) in known


def _same_phone(one: Listed, other: Listed) -> Suggestion | None:
    alike = {*one.service.categories} & {*other.service.categories}
    return _suggest("same-phone", one, other) if one.node != other.node and alike else None


def _same_desk(one: Listed, other: Listed) -> Suggestion | None:
    if one.address != other.address or not one.address:
        return None
    for named, telling in ((one, other), (other, one)):
        words, told = set(stems(named.service.name)), telling.service.description
        if words and words <= set(stems(f"{telling.service.name} {told if isinstance(told, str) else ''}")):
            return _suggest("same-desk", *sorted((one, other), key=lambda listed: listed.id))
    return None


def _suggest(kind: Kind, one: Listed, other: Listed) -> Suggestion:
    text = SAID[kind].format(a=one.service.organization.name, b=other.service.organization.name)
    return Suggestion(kind, (one.node, one.id), (other.node, other.id), text)


def _numbers(one: Listed) -> list[str]:
    return [digits for phone in one.service.phones if (digits := _NOT_DIGITS.sub("", phone.number).removeprefix("39"))]
