"""Suspicions about records that a person should judge: one desk twice, a patronato that is not free. Nothing is merged.

The map uses them over records of several members; the import over the rows of a sheet.
"""

from msgspec import UNSET

from node.importer.columns import fold
from node.importer.texts import members_only_free
from schemas.records import Service

_FRONT_DESK = frozenset({"SC-SEGR", "SC-SSP"})


def desk_marks(service: Service) -> list[tuple[str, str, str]]:
    """(comune, street, telephone) of a social desk: two records with a mark in common may be one desk.

    Empty for anything but the social desk itself: services at one counter are not doubles.
    """
    street = _street(service)
    if service.place != "public" or not street or not set(service.categories) <= _FRONT_DESK:
        return []
    return [(service.comune or "", street, phone.number) for phone in service.phones]


def _street(service: Service) -> str:
    for at in service.service_at_locations:
        if at.location is not UNSET and at.location.addresses:
            return fold(at.location.addresses[0].address_1)
    return ""


def cost_conflict(service: Service) -> bool:
    """ "gratuito agli iscritti" at a patronato, whose work is free for everybody by law (L. 152/2001)."""
    fees = service.fees_description
    return service.organization.participant_type == "PT-PATRONATO" and fees is not UNSET and members_only_free(fees)


def owner_provider(service: Service) -> bool:
    """Whether a record says that it is run for another body."""
    return service.owner is not UNSET and service.provider is not UNSET
