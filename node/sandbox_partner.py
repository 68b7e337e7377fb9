"""How the partner of a sandbox behaves: a table and one decision. No process, no network, no clock.

Which behaviour a referral meets is said by the service it names, else by its category, else it is answered.
"""

from collections.abc import Collection, Mapping
from typing import Final, Literal, NamedTuple

Behaviour = Literal["answers", "asks", "declines", "late"]


class Desk(NamedTuple):
    """A service of the partner: its name on the map, the category a referral may name instead, what happens."""

    service: str
    category: str
    behaviour: Behaviour
    said: str


DESKS: Final = (
    Desk("Segretariato sociale (prova: risponde)", "SC-SEGR", "answers", "apre, accoglie, prende in carico, conclude"),
    Desk("Contributi economici (prova: chiede)", "SC-ECON", "asks", "apre, chiede; alla risposta accoglie"),
    Desk("Buoni spesa (prova: non accoglie)", "SC-BUONI", "declines", "apre, non accoglie: posti esauriti"),
    Desk("Assistenza abitativa (prova: tarda)", "SC-ABIT", "late", "non apre subito: in ritardo, poi accoglie"),
)
QUESTION: Final = "Da quanto tempo? (domanda di prova)"


class Move(NamedTuple):
    """One event to write, as a command `act` takes it."""

    ev: str
    fields: Mapping[str, str]


def behaviour(service: str | None, category: str | None) -> Behaviour:
    """`service` is the name on the partner's map, None when the referral names none (or one of somebody else)."""
    for desk in DESKS:
        if desk.service == service:
            return desk.behaviour
    for desk in DESKS:
        if service is None and desk.category == category:
            return desk.behaviour
    return "answers"


def next_move(kind: Behaviour, state: str, written: Collection[str], age: float, late_after: float) -> Move | None:
    """What the partner does now, None to wait. `written`: kinds of event it wrote so far; `age` of the referral: s."""
    if state == "offered":
        return None if kind == "late" and age < late_after else Move("open", {})
    if state == "opened":
        if kind == "declines":
            return Move("decline", {"reason": "DR-POSTI", "text": "Posti esauriti (prova)."})
        if kind == "asks" and "ask" not in written:
            return Move("ask", {"text": QUESTION})
        return Move("accept", {"ref": "PROVA"})
    if state == "accepted" and kind == "answers":
        return Move("start", {})
    if state == "in-charge" and kind == "answers":
        return Move("close", {"outcome": "OU-EROGATO"})
    if state == "cancel-requested":
        return Move("release", {})
    return None
