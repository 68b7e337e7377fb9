"""search, service, map and route through the command line, over a replica of the nineteen bodies' sample sheets."""

import json

import pytest

from tests.cli.town import BODIES, Town, sheet

REPLICAS = ("comune-tavullia", "distretto", "ts-ponte")


@pytest.fixture(scope="module")
def town(tmp_path_factory):
    from tests.cli import town as towns

    patch = pytest.MonkeyPatch()
    patch.setattr("node.body.SystemClock", towns.Clock)
    patch.setattr("node.runtime.clock.SystemClock", towns.Clock)
    made = Town(tmp_path_factory.mktemp("town"), *BODIES)
    for name, node in made.nodes.items():
        node("import", sheet(name))
        node("publish")
    made.post(*REPLICAS)
    yield made
    patch.undo()


@pytest.fixture
def desk(town):
    return town["comune-tavullia"]


def test_search_prints_results_with_reasons_where_and_when(desk):
    text = desk("search", "bollette").stdout
    assert "Contributi economici" in text and "Perché: " in text and "Telefono: " in text
    first = desk.json("search", "bollette")["items"][0]
    assert first["reasons"] and first["node"] == "comune-pesaro"


def test_open_at_asks_about_another_moment(desk):
    monday = desk.json("search", "--open-at", "2026-11-23 09:30", "--limit", "200")
    sunday = desk.json("search", "--open-at", "2026-11-22 03:00", "--limit", "200")
    assert all(item["open"] for item in (*monday["items"], *sunday["items"]))
    assert monday["total"] > sunday["total"]


def test_a_comune_may_be_named_and_an_unknown_one_is_refused_with_what_looks_like_it(desk):
    found = desk.json("search", "--comune", "montelabbate")["items"]
    assert sum(item["node"] == "comune-montelabbate" for item in found) == 3
    refused = desk("search", "--comune", "Montelabbatte", ok=False)
    assert "Montelabbate" in refused.stderr and "unknown-code" in refused.stderr


def test_a_code_that_is_in_no_vocabulary_is_refused(desk):
    assert "unknown-code" in desk("search", "--need", "NA-BOH", ok=False).stderr


def test_the_public_map_lacks_exactly_the_network_entries(desk):
    members, public = (
        {json.loads(line)["id"] for line in desk("map", "--ndjson", *more).stdout.splitlines()}
        for more in ([], ["--public"])
    )
    assert len(members) == 64 and len(members - public) == 1
    hidden = (members - public).pop()
    assert "PUA linea urgente" in desk("service", hidden).stdout
    assert "not-found" in desk("service", hidden, "--public", ok=False).stderr


def test_every_node_writes_the_same_map_bytes(town, tmp_path):
    files = []
    for name, node in ((name, town[name]) for name in REPLICAS):
        node("map", "--ndjson", "--out", tmp_path / name)
        files.append((tmp_path / name).read_bytes())
    assert len(set(files)) == 1
    assert files[0].count(b"\n") == 64


@pytest.mark.parametrize(
    ("by", "heading"),
    [
        ("bodies", "Comune di Pesaro"),
        ("services", "assistenza domiciliare"),
        ("places", "Montelabbate"),
        ("targets", "anziani"),
    ],
)
def test_the_guide_has_its_views(desk, by, heading):
    titles = [part["title"] for part in desk.json("map", "--views", by)]
    assert any(heading.lower() in title.lower() for title in titles)
    assert heading.lower() in desk("map", "--views", by).stdout.lower()


def test_one_service_is_found_by_the_beginning_of_its_code(desk):
    item = desk.json("search", "emporio")["items"][0]
    text = desk("service", item["id"][:8]).stdout
    assert "Emporio solidale" in text and "Verificato: 28/09/2026" in text
    assert "not-found" in desk("service", "ffffffff", ok=False).stderr


@pytest.mark.feature("F004-12")
def test_members_are_listed_with_what_they_may_do(desk):
    text = desk("members").stdout
    assert "comune-pesaro" in text and "PUA" in text and "attivo" in text


# -- the sample catalogue, as imported and published


@pytest.mark.feature("F000-05")
def test_step_free_and_arabic_are_exactly_two_services(desk):
    found = desk.json("search", "--step-free", "--language", "ar")["items"]
    assert {(item["node"], item["name"]) for item in found} == {
        ("comune-montelabbate", "Segretariato Sociale UPS Montelabbate"),
        ("patr-fittizio-b", "Permessi di soggiorno e cittadinanza"),
    }


@pytest.mark.feature("F000-25")
def test_nine_comuni_are_one_map_without_loss_or_merging(town, desk):
    lines = [json.loads(line) for line in desk("map", "--ndjson").stdout.splitlines()]
    for name in (name for name in BODIES if name.startswith("comune-")):
        own = {entry["id"] for entry in town[name].json("entries")["entries"]}
        assert {line["id"] for line in lines if line["node"] == name} == own
    assert len({line["id"] for line in lines}) == 64
    assert sum(line["node"].startswith("comune-") for line in lines) == 32


@pytest.mark.feature("F001-15")
def test_pensions_are_answered_by_public_and_private_bodies(desk):
    found = desk.json("search", "previdenza", "--limit", "50")["items"]
    assert {item["service"].get("sector") for item in found} == {"public", "private"}


@pytest.mark.feature("F000-30", "F001-16")
def test_bills_rank_economic_help_above_a_general_desk_and_each_result_says_why(desk):
    found = desk.json("search", "bollette", "--target", "TG-FAMIGLIA", "--for-everybody")["items"]
    assert "SC-ECON" in found[0]["service"]["categories"]
    assert all(item["reasons"] for item in found)


@pytest.mark.feature("F004-09")
@pytest.mark.parametrize("system", ["social", "pension", "health"])
def test_each_of_the_three_systems_has_services(desk, system):
    found = desk.json("search", "--system", system, "--limit", "200")
    assert found["total"] > 3
    assert all(system in item["service"]["systems"] for item in found["items"])


@pytest.mark.feature("F001-24")
@pytest.mark.parametrize("management", ["direct", "district", "contracted", "private"])
def test_the_filter_on_management_gives_only_what_is_managed_so(desk, management):
    found = desk.json("search", "--management", management, "--limit", "200")
    assert found["total"] > 0
    assert {item["service"]["management"] for item in found["items"]} == {management}


@pytest.mark.feature("F002-06")
def test_an_emporium_that_asks_for_a_referral_says_so(desk):
    text = desk("search", "emporio").stdout
    assert "Emporio solidale" in text
    assert "invio di uno sportello della rete" in text


# -- route


def proposals(desk, *args):
    return desk.json("route", *args)


@pytest.mark.feature("F000-35")
def test_home_care_for_a_non_self_sufficient_person_proposes_the_pua_first(desk):
    advice = proposals(
        desk, "--need", "NA-DOMIC", "--target", "TG-ANZNA", "--residence", "041065", "--urgency", "UR-PUA24"
    )
    best = advice["proposals"][0]
    assert (best["node"], best["name"]) == ("distretto", "PUA - Punto Unico di Accesso")
    assert best["telephone_first"] and best["reasons"][0]["code"] == "rule"
    text = desk("route", "--need", "na-domic", "--target", "tg-anzna", "--urgency", "UR-PUA24").stdout
    assert "PRIMA TELEFONARE: 0721002001" in text


@pytest.mark.feature("F000-10")
def test_residence_in_another_comune_warns_and_names_the_competent_one(desk):
    advice = proposals(desk, "--need", "NA-DOMIC", "--target", "TG-ANZIANI", "--residence", "Tavullia", "--limit", "50")
    sad = next(one for one in advice["proposals"] if one["name"].startswith("S.A.D. Servizio"))
    assert "outside-territory" in {note["code"] for note in sad["warnings"]}
    assert (sad["competent"], sad["competent_name"]) == ("comune-tavullia", "Comune di Tavullia")


@pytest.mark.feature("F001-38")
def test_need_and_residence_propose_a_competent_member(desk):
    advice = proposals(desk, "--need", "NA-DOMIC", "--target", "TG-ANZIANI", "--residence", "Pesaro", "--limit", "50")
    sad = next(one for one in advice["proposals"] if one["name"].startswith("S.A.D. Servizio"))
    assert "competent" in {note["code"] for note in sad["reasons"]}
    assert "outside-territory" not in {note["code"] for note in sad["warnings"]}


@pytest.mark.feature("F002-13")
def test_a_service_that_asks_for_an_assessment_sends_to_the_social_service_first(desk):
    advice = proposals(desk, "--need", "NA-DOMIC", "--target", "TG-ANZIANI", "--residence", "Pesaro", "--limit", "50")
    sad = next(one for one in advice["proposals"] if one["name"].startswith("S.A.D. Servizio"))
    assert "assessment-first" in {note["code"] for note in sad["warnings"]}
    assert advice["first"][0]["name"].startswith("Servizio sociale professionale")
    assert "outside-territory" not in {note["code"] for note in advice["first"][0]["warnings"]}


def test_a_need_nobody_answers_is_said(desk):
    assert "bisogno senza risposta" in desk("route", "--need", "NA-ALTRO", "--residence", "Pesaro").stdout


def test_a_merged_comune_counts_as_the_one_that_has_its_territory(desk):
    old = proposals(desk, "--need", "NA-DOMIC", "--residence", "Monteciccardo", "--limit", "50")
    new = proposals(desk, "--need", "NA-DOMIC", "--residence", "Pesaro", "--limit", "50")
    assert old == new


def test_two_threads_with_their_own_connections_share_one_index(desk):
    from concurrent.futures import ThreadPoolExecutor

    from node import map_commands
    from node.requests import Search
    from node.runtime.store import open_reader

    body = desk.open()
    connections = [open_reader(body.store.path) for _ in range(2)]
    try:
        with ThreadPoolExecutor(2) as pool:
            asked = [
                pool.submit(map_commands.search, connections[n % 2], body, Search(text="sociale")) for n in range(8)
            ]
            totals = {job.result().total for job in asked}
    finally:
        for connection in connections:
            connection.close()
        body.close()
    assert len(totals) == 1


def test_pages_of_two_versions_of_the_map_are_never_mixed(desk):
    from node import map_commands
    from node.requests import MapPage
    from protocol.errors import ProtocolError

    body = desk.open()
    try:
        page = body.store.read(lambda db: map_commands.page(db, body, MapPage()))
        assert page.next is None
        with pytest.raises(ProtocolError) as refused:
            body.store.read(lambda db: map_commands.page(db, body, MapPage(version=page.version + 1)))
    finally:
        body.close()
    assert refused.value.code == "log-moved"


def test_days_are_written_the_italian_way_and_read_both_ways(desk):
    for typed in ("20/11/2026 11:40", "2026-11-20 11:40", "20.11.2026 ore 11.40"):
        assert desk.json("search", "casa", "--at", typed)["total"] == desk.json("search", "casa")["total"]
    wrong = desk("search", "casa", "--at", "venerdì", ok=False)
    assert wrong.exit_code == 2
    assert "«venerdì» non è data e ora: scriverle come «20/11/2026 11:40»" in wrong.stderr
    assert "non è data e ora" in desk("search", "--at", "31/02/2026", ok=False).stderr


def test_nothing_on_the_screen_is_wider_than_eighty_columns(desk):
    for args in (["search", "casa"], ["map"], ["route", "--need", "NA-CASA"]):
        shown = desk(*args).stdout
        assert max(map(len, shown.splitlines())) <= 80, args
