"""What an offer has to hold and must not hold, by kind and by recipient. Pure rules over vocabularies (DOMAIN §5, §7).

Checked by whoever writes; a reader flags and never refuses for them, so that both ends fold alike.
"""

from collections.abc import Collection, Mapping
from typing import Final, NamedTuple

from protocol.errors import ProtocolError
from schemas.bodies import Offer
from schemas.vocabularies import table


class Kind(NamedTuple):
    """One kind of referral: `person` whether it may carry a person, `health` whether the special block may be sent,

    `needs` the capability its recipient has to hold.
    """

    person: bool
    health: bool = False
    needs: str | None = None


KINDS: Final[Mapping[str, Kind]] = {
    "RK-INFO": Kind(person=False),
    "RK-SEGN": Kind(person=True),
    "RK-ACCOMP": Kind(person=True),
    "RK-DOMANDA": Kind(person=True),
    "RK-PIC": Kind(person=True, health=True, needs="take-in-charge"),
    "RK-PUA": Kind(person=True, health=True, needs="pua"),
    "RK-PIS": Kind(person=True, needs="pis"),
    "RK-PROP": Kind(person=False),
    "RK-DISF": Kind(person=False),
}
# An orientation slip (RK-ORIENT) is handed to the citizen and never sent.

CODED: Final[Mapping[str, str]] = {
    "urgency": "urgency_levels",
    "need": "need_areas",
    "target": "target_groups",
    "category": "service_categories",
}


def check_offer(offer: Offer, recipient_caps: Collection[str]) -> None:
    """Raises unknown-code, person-not-allowed, requester-not-allowed, basis-required, incapable-recipient."""
    kind = KINDS.get(offer.referral)
    if kind is None:
        raise ProtocolError("unknown-code", field="referral", got=offer.referral)
    for field, vocabulary in CODED.items():
        code = getattr(offer, field)
        if isinstance(code, str) and code not in table(vocabulary):
            raise ProtocolError("unknown-code", field=field, got=code)
    if kind.needs and kind.needs not in recipient_caps:
        raise ProtocolError("incapable-recipient", field="to", expected=kind.needs)
    carries_person = bool(offer.person) or bool(offer.reporter) or bool(offer.health)
    if carries_person and (not kind.person or offer.subject in ("group", "none")):
        raise ProtocolError("person-not-allowed", field="person")
    if offer.requester and offer.subject not in ("group", "none"):
        raise ProtocolError("requester-not-allowed", field="requester", expected="group none", got=offer.subject)
    if offer.health and not kind.health:
        raise ProtocolError("person-not-allowed", field="health")
    if carries_person and not offer.basis:
        raise ProtocolError("basis-required", field="basis")


DECLINE_REASONS: Final = frozenset(table("decline_reasons"))
OUTCOMES: Final = frozenset(table("referral_outcomes"))
CANCEL_REASONS: Final = frozenset({"no-answer", "no-longer-needed", "wrong-recipient", "person-withdrew", "other-way"})
RELEASE_REASONS: Final = frozenset({*DECLINE_REASONS, "cancel-agreed"})

# Which codes an event has to carry: (field, allowed values).
REQUIRED: Final[Mapping[str, tuple[str, frozenset[str]]]] = {
    "decline": ("reason", DECLINE_REASONS),
    "redirect": ("reason", DECLINE_REASONS),
    "release": ("reason", RELEASE_REASONS),
    "cancel": ("reason", CANCEL_REASONS),
    "lapse": ("reason", frozenset({"left-network", "silent"})),
    "close": ("outcome", OUTCOMES),
}


def check_codes(kind: str, *, reason: str | None, outcome: str | None, text: str | None) -> None:
    """Raises bad-shape when a required code is missing, unknown-code when it is not in the vocabulary."""
    if kind not in REQUIRED:
        return
    field, allowed = REQUIRED[kind]
    value = reason if field == "reason" else outcome
    if value is None:
        raise ProtocolError("bad-shape", field=field, expected=" ".join(sorted(allowed)))
    if value not in allowed:
        raise ProtocolError("unknown-code", field=field, expected=" ".join(sorted(allowed)), got=value)
    if value in ("DR-ALTRO", "OU-ALTRO") and not text:
        raise ProtocolError("bad-shape", field="text", expected="a text, because the reason is 'other'")
