"""The three views, the groups of people, and what looks like one entry."""

import pytest
from msgspec.structs import replace

from node.map.suggestions import suggestions
from node.map.views import NO_PLACE, Listed, by_body, by_place, by_service, by_target, listed
from protocol.neutral import neutral_key
from protocol.territory import Territory
from schemas.records import Address, Location, Service, ServiceAtLocation
from schemas.vocabularies import table
from tests.map.factory import folded, make_id, service

TERRITORY = Territory.from_rows(table("comuni").values())
DAY = "2026-11-24"
PESARO, GRADARA, COLBORDOLO, GABICCE = "041044", "041020", "041012", "041019"


def entries(*services: Service) -> list[Listed]:
    return listed(folded((str(s.organization.node), s) for s in services), "members", DAY)


def at(street: str, comune: str = "Pesaro") -> list[ServiceAtLocation]:
    where = Address(id=make_id(street), address_1=street, city=comune, state_province="PU", postal_code="61121")
    location = Location(id=make_id(street, "l"), location_type="physical", addresses=[where])
    return [ServiceAtLocation(id=make_id(street, "s"), location=location)]


def test_three_views_hold_every_entry() -> None:
    all_ = entries(
        service("SAD", member="comune-pesaro", comune=PESARO, categories=["SC-SAD"]),
        service("Pensioni", member="patr-a", comune=PESARO, categories=["SC-PATR"]),
        service("Segretariato", member="comune-colbordolo", comune=COLBORDOLO, categories=["SC-SEGR", "SC-SSP"]),
        service("Casa rifugio", member="ts-ponte", place="secret", categories=["SC-DONNA"]),
    )
    assert [section.code for section in by_body(all_)][-2:] == ["patr-a", "ts-ponte"]
    assert [section.code for section in by_service(all_)] == ["SC-SEGR", "SC-SSP", "SC-PATR", "SC-SAD", "SC-DONNA"]
    places = by_place(all_, TERRITORY, DAY)
    assert [(s.title, len(s.entries)) for s in places] == [("Pesaro", 2), ("Vallefoglia", 1), (NO_PLACE, 1)]
    assert by_place(all_, TERRITORY, "2013-06-01")[0].title == "Colbordolo"


@pytest.mark.feature("F002-05")
def test_desks_of_one_service_stand_in_neutral_order() -> None:
    members = [f"patr-{x}" for x in "abcdef"]
    (section,) = by_service(entries(*(service("Pensioni", member=m, categories=["SC-PATR"]) for m in members)))
    assert [one.node for one in section.entries] == sorted(members, key=lambda m: neutral_key(DAY, "SC-PATR", m))


@pytest.mark.feature("F003-17")
def test_a_group_leads_to_what_names_it_and_to_what_helps_it() -> None:
    all_ = entries(
        service("Centro anziani", targets=["TG-ANZIANI"]),
        service("Patronato", categories=["SC-PATR"], targets=["TG-PENS"]),
        service("UPS", targets=["TG-TUTTI"], categories=["SC-SEGR"]),
    )
    groups = {group.code: group for group in by_target(all_)}
    assert groups.keys() == table("target_groups").keys()
    assert [one.service.name for one in groups["TG-ANZIANI"].entries] == ["Centro anziani"]
    assert [one.service.name for one in groups["TG-EMIG"].also] == ["Patronato", "UPS"]


@pytest.mark.feature("F004-06")
def test_every_kind_of_body_has_its_place_in_the_guide() -> None:
    kinds = list(table("participant_types"))
    records = [_of_kind(service("Sportello", member=f"ente-{n}"), kind) for n, kind in enumerate(reversed(kinds))]
    sections = by_body(entries(*records))
    assert [section.entries[0].service.organization.participant_type for section in sections] == kinds


def _of_kind(record: Service, kind: str) -> Service:
    return replace(record, organization=replace(record.organization, participant_type=kind))


def test_a_comune_and_its_cooperative_are_suggested_as_owner_and_provider() -> None:
    sad = service("S.A.D.", member="comune-pesaro", body="Comune di Pesaro", comune=PESARO, categories=["SC-SAD"])
    onda = service(
        "Assistenza domiciliare (S.A.D.) per conto del Comune di Pesaro",
        member="ts-onda",
        body="Cooperativa Onda",
        comune=PESARO,
        categories=["SC-SAD"],
    )
    (only,) = suggestions(entries(onda, sad), TERRITORY, DAY)
    assert (only.kind, only.one, only.other) == ("owner-provider", ("comune-pesaro", sad.id), ("ts-onda", onda.id))


def test_equals_and_similar_services_elsewhere_are_not_suggested() -> None:
    assert not suggestions(
        entries(
            service(
                "Invalidità civile",
                member="patr-a",
                body="Patronato A",
                comune=PESARO,
                categories=["SC-PATR"],
                phones=["0721 1"],
            ),
            service(
                "Invalidità civile",
                member="patr-b",
                body="Patronato B",
                comune=PESARO,
                categories=["SC-PATR"],
                phones=["0721 2"],
            ),
            service(
                "Trasporto sociale",
                member="comune-gabicce",
                body="Comune di Gabicce Mare",
                comune=GABICCE,
                categories=["SC-TRASP"],
            ),
            service("Trasporto visite", member="ts-filo", body="Il Filo", comune=PESARO, categories=["SC-TRASP"]),
        ),
        TERRITORY,
        DAY,
    )


def test_one_number_of_two_bodies_and_one_desk_twice_are_suggested() -> None:
    found = suggestions(
        entries(
            service("Mensa", member="ts-a", comune=PESARO, categories=["SC-MENSA"], phones=["+39 0721 000900"]),
            service("Pasto serale", member="ts-b", comune=PESARO, categories=["SC-MENSA"], phones=["0721-000900"]),
        ),
        TERRITORY,
        DAY,
    )
    assert [s.kind for s in found] == ["same-phone"]
    office = service(
        "Ufficio Servizi Sociali",
        description="segretariato sociale e assistente sociale",
        comune=GRADARA,
        phones=["0541 1"],
    )
    worker = service("Assistente sociale", comune=GRADARA, phones=["0541 1"])
    placed = [_at(record, "Piazza di Esempio 2") for record in (office, worker)]
    assert [s.kind for s in suggestions(entries(*placed), TERRITORY, DAY)] == ["same-desk"]


def _at(record: Service, street: str) -> Service:
    return replace(record, service_at_locations=at(street, "Gradara"))
