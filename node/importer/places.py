"""Address and comune cells → a place: public, reserved (phone public, address not) or secret (nothing at all)."""

import re
from collections.abc import Sequence
from datetime import date
from typing import Literal, NamedTuple

from node.importer import keywords
from node.importer.codes import says
from protocol.contents import STREET
from protocol.territory import Territory

Kind = Literal["public", "secret", "reserved"]


class Place(NamedTuple):
    """`problems` are (code, field, got); `derived` the fields that came from the comuni vocabulary or from the body."""

    kind: Kind
    street: str = ""
    comune: str = ""
    city: str = ""
    province: str = ""
    postcode: str = ""
    latitude: float | None = None
    longitude: float | None = None
    problems: Sequence[tuple[str, str, str]] = ()
    derived: Sequence[str] = ()


def read_place(address: str, comune: str, cap: str, own_comune: str | None, territory: Territory, today: date) -> Place:
    """A secret place has neither street nor comune, whatever the cells say, and takes nothing from the body."""
    if says(keywords.HIDDEN_ADDRESS, address, comune):
        return Place("secret", problems=[withheld(address) or ("place-secret", "address", "")])
    problems: list[tuple[str, str, str]] = []
    derived: list[str] = []
    istat = _comune(comune, own_comune, territory, today, problems, derived)
    if says(keywords.RESERVED, address):
        problems.append(withheld(address) or ("place-reserved", "address", ""))
        return Place("reserved", comune=istat, problems=problems, derived=derived)
    street = " ".join(address.split()).strip(" -–")
    if not istat:
        return Place("public", street, problems=problems, derived=derived)
    centroid = territory.centroid(istat)
    derived += ["latitude", "longitude"] if centroid and street else []
    return Place(
        "public",
        street,
        istat,
        territory.name(istat),
        territory.province(istat),
        _postcode(street, cap, territory.postcodes(istat), derived),
        centroid[0] if centroid else None,
        centroid[1] if centroid else None,
        problems,
        derived,
    )


def withheld(address: str) -> tuple[str, str, str] | None:
    """The problem of a cell that holds a street although it is to be told to nobody."""
    told = STREET.search(address) or re.search(r"\d", address)
    return ("place-withheld", "address", "") if told else None


def _comune(
    text: str,
    own: str | None,
    territory: Territory,
    today: date,
    problems: list[tuple[str, str, str]],
    derived: list[str],
) -> str:
    """The ISTAT code as published: the comune that was written, also when it has a successor."""
    if not text.strip(" -–"):
        if not own:
            problems.append(("comune-absent", "comune", ""))
            return ""
        problems.append(("comune-missing", "comune", territory.name(own)))
        derived.append("comune")
        return own
    match = territory.resolve(text)
    if not match:
        close = ", ".join(territory.name(code) for code in territory.suggest(text))
        problems.append(("comune-unknown", "comune", f"{text} (forse {close}?)" if close else text))
        return ""
    if match.how != "exact":
        problems.append(("comune-variant", "comune", territory.name(match.istat)))
    successor = territory.successor(match.istat, today.isoformat())
    if successor != match.istat:
        problems.append(("comune-ended", "comune", territory.name(successor)))
    return match.istat


def _postcode(street: str, cap: str, known: list[str], derived: list[str]) -> str:
    if m := re.search(r"(?<!\d)\d{5}(?!\d)", cap) or re.search(r"(?<!\d)6\d{4}(?!\d)", street):
        return m[0]
    derived.append("postal_code")
    return known[0] if known else ""
