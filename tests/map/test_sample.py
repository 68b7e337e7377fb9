"""The map of the nineteen sample bodies, from their own sheets: what the feature list asks of it."""

import csv
from datetime import date, datetime
from itertools import count
from pathlib import Path

import pytest

from node.importer.plan import ImportPlan, plan_import
from node.importer.reading import read_sheet
from node.importer.rows import BodyProfile
from node.map.fold import MapFold
from node.map.ndjson import map_lines
from node.map.query import Query
from node.map.search import Results, ServiceMap
from node.map.suggestions import suggestions
from node.map.views import by_body, by_place, by_service, by_target, listed
from protocol.neutral import neutral_key
from protocol.territory import Territory
from schemas.vocabularies import table
from tests.map.factory import make_id, publish

ROOT = Path(__file__).resolve().parents[2] / "deploy" / "sample"
TERRITORY = Territory.from_rows(table("comuni").values())
TODAY = date(2026, 11, 21)
TUESDAY = int(datetime.fromisoformat("2026-11-24T11:00+01:00").timestamp())
NINE = ("041012", "041019", "041020", "041027", "041032", "041036", "041044", "041056", "041065")


def plan_of(node: str, body: str, kind: str, comune: str) -> ImportPlan:
    profile = BodyProfile(node, body, kind, make_id(node), comune)
    sheet = read_sheet((ROOT / "per_ente" / f"{node}_ESEMPIO.csv").read_bytes())
    numbers = count()
    return plan_import(sheet, profile, [], TERRITORY, TODAY, lambda: make_id(node, next(numbers)))


@pytest.fixture(scope="module")
def fold() -> MapFold:
    with (ROOT / "nodi_ESEMPIO.csv").open(encoding="utf-8") as rows:
        plans = {
            row["node_id"]: plan_of(row["node_id"], row["ente"], row["participant_type"], row["comune_istat"])
            for row in csv.DictReader(rows)
        }
    made = MapFold()
    seq = publish(made.apply, {node: plan.public for node, plan in plans.items()})
    publish(made.apply, {node: plan.network for node, plan in plans.items() if plan.network}, "network", seq)
    return made


@pytest.fixture(scope="module")
def desk(fold: MapFold) -> ServiceMap:
    return ServiceMap(fold, "members", TERRITORY)


def names(found: Results) -> list[str]:
    return [item.name for item in found.items]


def whole(desk: ServiceMap, **filters: object) -> Results:
    return desk.search(Query(limit=200, **filters), TUESDAY)  # type: ignore[arg-type]


@pytest.mark.feature("F000-25")
def test_every_row_is_on_the_map_once_and_nothing_is_merged(fold: MapFold, desk: ServiceMap) -> None:
    found = whole(desk)
    assert found.total == 64
    assert len({(item.node, item.id) for item in found.items}) == 64
    assert not desk.index.unreadable
    published = {item.service.comune for item in found.items if item.node.startswith("comune-")}
    assert published == set(NINE)
    public, members = (list(map_lines(fold.entries(), view)) for view in ("public", "members"))
    assert (len(public), len(members)) == (63, 64)
    assert set(members) - set(public) == {line for line in members if b'"vis":"network"' in line}


@pytest.mark.feature("F000-04")
def test_public_and_private_and_every_family_give_their_rows(desk: ServiceMap) -> None:
    public, private = (whole(desk, sector=(sector,)) for sector in ("public", "private"))
    assert (public.total, private.total) == (39, 25)
    assert all(item.node.startswith(("comune-", "distretto")) for item in public.items)
    assert all(item.node.startswith(("patr-", "ts-")) for item in private.items)
    families: dict[str, set[str]] = {}
    for code, row in table("service_categories").items():
        families.setdefault(row["family"], set()).add(code)
    everything = whole(desk).items
    for codes in families.values():
        expected = {item.id for item in everything if codes & {*item.service.categories}}
        assert {item.id for item in whole(desk, categories=tuple(sorted(codes))).items} == expected


@pytest.mark.feature("F000-05")
def test_step_free_and_arabic_are_exactly_two(desk: ServiceMap) -> None:
    found = whole(desk, step_free=True, languages=("ar",))
    assert set(names(found)) == {"Segretariato Sociale UPS Montelabbate", "Permessi di soggiorno e cittadinanza"}
    arabic = names(whole(desk, languages=("ar",)))
    assert "Sportello immigrati e mediazione" in arabic


@pytest.mark.feature("F000-30", "F001-16")
def test_bollette_for_a_family_puts_economic_help_first(desk: ServiceMap) -> None:
    found = whole(desk, words="bollette", targets=("TG-FAMIGLIA",), for_everybody=True)
    assert found.items[0].name == "Contributi economici"
    assert names(found).index("Contributi economici") < names(found).index("Centro di ascolto")
    assert all(item.reasons for item in found.items)


@pytest.mark.feature("F001-15")
def test_previdenza_has_a_public_and_a_private_answer(desk: ServiceMap) -> None:
    found = desk.ask("previdenza", TUESDAY)
    assert "NA-PREVID" in found.understood
    assert {item.service.sector for item in found.items} == {"public", "private"}
    assert found.items[0].service.needs == ["NA-PREVID"]


@pytest.mark.feature("F001-24", "F004-09", "F002-06")
def test_management_system_and_access_filters_give_rows(desk: ServiceMap) -> None:
    assert [whole(desk, management=(m,)).total > 0 for m in ("direct", "district", "contracted", "private")] == [
        True
    ] * 4
    assert [whole(desk, system=(s,)).total > 0 for s in ("social", "pension", "health")] == [True] * 3
    (emporium,) = [item for item in whole(desk, access=("desk-referral",)).items if item.name == "Emporio solidale"]
    assert "referral-only" in {note.code for note in emporium.warnings}


@pytest.mark.feature("F002-13")
def test_the_sad_says_that_it_needs_an_assessment(desk: ServiceMap) -> None:
    (sad,) = [item for item in whole(desk, words="SAD").items if item.node == "comune-pesaro" and "S.A.D." in item.name]
    assert "assessment-first" in {note.code for note in sad.warnings}


@pytest.mark.feature("F002-05")
def test_four_patronati_are_one_group_of_equals(desk: ServiceMap) -> None:
    found = desk.ask("invalidità Gradara", TUESDAY)
    first = found.groups[0]
    assert sorted(first.members) == [f"patr-fittizio-{x}" for x in "abcd"]
    ranks: dict[object, list[str]] = {}
    for item in found.items:
        if item.group == 0:
            ranks.setdefault(item.rank, []).append(item.node)
    for equals in ranks.values():
        assert equals == sorted(equals, key=lambda node: neutral_key("2026-11-24", "SC-PATR", node))


@pytest.mark.feature("F002-14", "F003-17")
@pytest.mark.parametrize(
    "word",
    ["famiglia", "minori", "handicappati", "anziani", "emigranti", "immigrati", "tossicodipendenti", "indigenti", "disoccupati"],
)  # fmt: skip
def test_each_of_the_nine_groups_leads_to_entries(desk: ServiceMap, fold: MapFold, word: str) -> None:
    found = desk.ask(word, TUESDAY)
    assert found.total
    target = next(code for code in found.understood if code.startswith("TG-"))
    group = next(g for g in by_target(listed(fold, "members", "2026-11-24")) if g.code == target)
    assert group.entries or group.also


@pytest.mark.feature("F003-21")
def test_the_nearest_accessible_desk(desk: ServiceMap) -> None:
    found = desk.search(Query(categories=("SC-SEGR",), step_free=True, near="041036", order="near"), TUESDAY)
    assert found.items[0].name == "Segretariato Sociale UPS Montelabbate"
    assert (found.items[0].distance_km, found.items[0].distance_how) == (0.0, "centroid")


@pytest.mark.feature("F004-02", "F004-30")
def test_vallefoglia_finds_what_its_two_comuni_published(desk: ServiceMap) -> None:
    found = whole(desk, comune="041068")
    assert {item.node for item in found.items} == {"comune-colbordolo", "comune-santangelo"}
    assert {item.node for item in desk.ask("S.Angelo", TUESDAY).items} == {"comune-santangelo"}


@pytest.mark.feature("F000-14")
def test_two_desks_of_pesaro_keep_their_own_hours(desk: ServiceMap) -> None:
    ups = {item.name: item.opening for item in whole(desk, words="UPS", comune="041044").items}
    assert ups["Segretariato sociale - Sportello UPS"] == "aperto ora, fino alle 12:00"
    assert ups["Sportello UPS quartiere mare"] == "aperto ora, fino alle 12:30"


def test_the_night_shelter_is_open_at_two_in_january_and_closed_in_july(desk: ServiceMap) -> None:
    for when, there in (("2027-01-10T02:00+01:00", True), ("2026-07-10T02:00+02:00", False)):
        at = int(datetime.fromisoformat(when).timestamp())
        assert ('Accoglienza notturna "Piano freddo"' in names(whole(desk, open=True, at=at))) is there


def test_the_refuge_has_no_place_at_all(desk: ServiceMap, fold: MapFold) -> None:
    (refuge,) = [item for item in whole(desk, near="041044").items if item.name.startswith("Casa rifugio")]
    assert (refuge.address, refuge.distance_km, refuge.service.service_at_locations) == ("", None, [])


def test_the_full_day_centre_comes_last_and_says_so(desk: ServiceMap) -> None:
    found = whole(desk, words="centro diurno disabili")
    assert "full" in {note.code for note in found.items[-1].warnings}


def test_planted_doubles_are_suggested_and_false_ones_are_not(fold: MapFold) -> None:
    found = suggestions(listed(fold, "members", "2026-11-24"), TERRITORY, "2026-11-24")
    assert {(s.kind, s.one[0], s.other[0]) for s in found} == {
        ("owner-provider", "comune-pesaro", "ts-onda"),
        ("same-desk", "comune-gradara", "comune-gradara"),
    }


def test_the_three_views_hold_all_entries(fold: MapFold) -> None:
    entries = listed(fold, "public", "2026-11-24")
    assert len(by_body(entries)) == 19
    assert sum(len(section.entries) for section in by_place(entries, TERRITORY, "2026-11-24")) == 63
    assert {one.id for section in by_service(entries) for one in section.entries} == {one.id for one in entries}
