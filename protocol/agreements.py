"""Agreements between members: who may refer what to whom (FEATURES F002-25). Data of the network; the sender checks.

Pure. Where no agreement speaks of a recipient and a kind, everybody may; where some do, one of them has to name the
sender. The two urgent kinds are never held up: an agreement is no reason to leave a person in danger.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec

from protocol.errors import ProtocolError

NEVER_HELD_UP: Final = frozenset({"RK-PUA", "RK-PIS"})


class Agreement(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, rename={"senders": "from"}):
    """A row of `agreements` in the members document. It looks like this:

    {"id":"SAD-1","to":["distretto"],"from":["PT-COMUNE","ts-onda"],"kinds":["RK-PIC"],"text":"…"}
    `from`, `to`: members by id, or all of a participant type. `kinds`: none is all. `text`: Italian, for people.
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    to: Annotated[list[str], msgspec.Meta(min_length=1, max_length=512)]
    senders: Annotated[list[str], msgspec.Meta(max_length=512)]
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    kinds: frozenset[str] = frozenset()

    def speaks_of(self, recipient: str, ptype: str, kind: str) -> bool:
        """True if it says who may send this kind there."""
        return not {recipient, ptype}.isdisjoint(self.to) and (not self.kinds or kind in self.kinds)


def read_agreements(rows: Iterable[msgspec.Raw | bytes]) -> tuple[Agreement, ...]:
    """The agreements of a members document. Raises bad-shape."""
    try:
        return tuple(msgspec.json.decode(row, type=Agreement) for row in rows)
    except msgspec.MsgspecError as wrong:
        raise ProtocolError("bad-shape", field="agreements") from wrong


def check_agreed(
    agreements: Sequence[Agreement], *, sender: str, sender_type: str, to: str, to_type: str, kind: str
) -> None:
    """Raises not-agreed with the words of the agreement."""
    if kind in NEVER_HELD_UP:
        return
    told = [one for one in agreements if one.speaks_of(to, to_type, kind)]
    if told and all({sender, sender_type}.isdisjoint(one.senders) for one in told):
        raise ProtocolError("not-agreed", field="to", expected=" · ".join(one.text for one in told), got=to)
