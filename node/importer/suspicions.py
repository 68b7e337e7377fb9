"""Suspicions about records that a person should judge: one desk twice, a patronato that is not free. Nothing is merged.

The map uses them over records of several members; the import over the rows of a sheet.
"""

from msgspec import UNSET

from node.importer.columns import fold
from node.importer.texts import members_only_free
from schemas.records import Service

_FRONT_DESK = frozenset({"SC-SEGR", "SC-SSP"})


def same_desk(one: Service, other: Service) -> bool:
    """Same telephone, comune and street, both the social desk itself: services at one counter are not doubles."""
    if one.place != "public" or _street(one) != _street(other) or not _street(one) or one.comune != other.comune:
        return False
    phones = {p.number for p in one.phones} & {p.number for p in other.phones}
    return bool(phones) and set(one.categories) <= _FRONT_DESK and set(other.categories) <= _FRONT_DESK


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
