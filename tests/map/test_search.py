"""Search over generated services against a scan of all of them; order, reasons, words."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from node.map import tables
from node.map.analyser import stem, stems, words
from node.map.facts import accessibility, texts
from node.map.fold import MapFold
from node.map.hours import holidays, local
from node.map.query import Query, query_from_words
from node.map.search import Results, ServiceMap
from node.map.synonyms import HELPS, codes_of
from node.map.tables import SqliteMap, map_migrations
from node.runtime.migrations import migrate
from protocol.neutral import neutral_key
from protocol.opening import is_open
from protocol.territory import Territory, great_circle_km
from schemas.records import UNSET, Hours, Notice, Requirements, Service, Waiting
from schemas.vocabularies import table
from tests.map.factory import COMUNI, LANGUAGES, TARGETS, WORDS, by_member, folded, generated, publish, service

TERRITORY = Territory.from_rows(table("comuni").values())
NOW = 1795514400  # Tuesday 24 November 2026, 11:00 in Rome
PESARO, GRADARA, VALLEFOGLIA, COLBORDOLO = "041044", "041020", "041068", "041012"


FIXED = ServiceMap(folded(generated(60, seed=8)), "members", TERRITORY)


def the_map(*services: Service, view: str = "members") -> ServiceMap:
    """A map of records; the member is who stands in `organization.node`."""
    return ServiceMap(folded((str(s.organization.node), s) for s in services), view, TERRITORY)  # type: ignore[arg-type]


def names(results: Results) -> list[str]:
    return [item.name for item in results.items]


def codes(notes: tuple) -> set[str]:  # type: ignore[type-arg]
    return {note.code for note in notes}


# -- exactness


def scan(pairs: list[tuple[str, Service]], query: Query) -> set[str]:
    """What the question finds, read off the records one by one."""
    at = local(query.at or NOW)
    return {record.id for node, record in pairs if all(_checks(node, record, query, at))}


@cache
def stems_of(text: str) -> frozenset[str]:
    return frozenset(stems(text))


def _checks(node: str, s: Service, q: Query, at: datetime) -> Iterator[bool]:
    text = stems_of(" ".join(texts(s)))
    held = {*s.categories, *s.needs, *s.targets, *accessibility(s), *(f"lang:{x.code}" for x in s.languages)}
    for word in words(q.words):
        named = codes_of(word)
        extra = {c for t in named for c in HELPS.get(t, ())}
        yield stem(word) in text or bool((named | extra) & held)
    family = TERRITORY.family(q.comune) if q.comune else frozenset()
    yield not q.comune or s.comune in family or bool(family & {*s.territory})
    yield not q.targets or bool({*q.targets} & {*s.targets})
    yield not q.categories or bool({*q.categories} & {*s.categories})
    yield not q.sector or s.sector in q.sector
    yield not q.member or node in q.member
    yield not q.languages or bool({*q.languages} & {x.code for x in s.languages})
    yield (
        not q.step_free
        or (bool({"AX-RAMPA", "AX-ASCENS"} & accessibility(s)) and not {"AX-NO", "AX-PARZ"} & accessibility(s))
    )
    low = s.minimum_age if s.minimum_age is not UNSET else 0
    yield q.age is None or low <= q.age
    limit = (at.date() - timedelta(days=180)).isoformat()
    yield not q.fresh or (s.verified_at is not UNSET and s.verified_at >= limit)
    yield not q.open or is_open(s.schedules, at, holidays(at.year, TERRITORY.patron(str(s.comune))))
    centres = (TERRITORY.centroid(q.near or q.comune or PESARO), TERRITORY.centroid(str(s.comune)))
    assert centres[0] and centres[1]
    yield q.within_km is None or great_circle_km(*centres) <= q.within_km


def random_query(dice: random.Random) -> Query:
    maybe = lambda value, p=0.3: value if dice.random() < p else None  # noqa: E731
    return Query(
        words=" ".join(dice.sample(WORDS, k=dice.randrange(3))),
        comune=maybe(dice.choice(COMUNI), 0.4),
        targets=(dice.choice(TARGETS),) if dice.random() < 0.3 else (),
        sector=("public",) if dice.random() < 0.2 else (),
        member=(f"ente-{dice.randrange(40)}",) if dice.random() < 0.1 else (),
        languages=(dice.choice(LANGUAGES),) if dice.random() < 0.2 else (),
        step_free=dice.random() < 0.2,
        age=maybe(40, 0.2),
        fresh=dice.random() < 0.2,
        open=dice.random() < 0.2,
        at=maybe(NOW + dice.randrange(-(10**7), 10**7), 0.4),
        near=PESARO,
        within_km=maybe(float(dice.randrange(1, 20)), 0.2),
        order=dice.choice(("useful", "near")),
        limit=200,
    )


def test_search_finds_exactly_what_a_scan_finds() -> None:
    pairs = generated(400, seed=3)
    service_map = ServiceMap(folded(pairs), "public", TERRITORY)
    dice, answers = random.Random(5), 0
    for _ in range(250):
        query = random_query(dice)
        expected = scan(pairs, query)
        results = service_map.search(query, NOW)
        if results.partial:
            assert not expected
            continue
        assert results.total == len(expected), query
        assert {item.id for item in results.items} <= expected
        assert [item.rank for item in results.items] == sorted(item.rank for item in results.items)
        answers += bool(expected)
    assert answers > 90


def test_an_index_kept_up_to_date_answers_as_one_built_anew() -> None:
    dice, conn = random.Random(9), sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn, map_migrations())
    pool = by_member(generated(300, seed=4, members=6))
    live = ServiceMap(SqliteMap(conn), "members", TERRITORY)
    seq = 0
    for round_ in range(6):
        some = {
            node: dice.sample(records, k=len(records) // 2) for node, records in pool.items() if dice.random() < 0.7
        }
        vis = "network" if round_ % 3 == 2 else "public"
        seq = publish(lambda event: tables.apply(conn, event), some, vis, seq, round_ + 1)  # type: ignore[arg-type]
        rebuilt = ServiceMap(SqliteMap(conn), "members", TERRITORY)
        for _ in range(25):
            query = random_query(dice)
            assert live.search(query, NOW) == rebuilt.search(query, NOW)
        for text in ("sportelo", "boll", "accompagnamneto"):
            assert live.ask(text, NOW) == rebuilt.ask(text, NOW)


# -- words


@pytest.mark.feature("F002-14")
@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("famiglia", "TG-FAMIGLIA"), ("minori", "TG-MINORI"), ("anziani", "TG-ANZIANI"), ("immigrati", "TG-IMMIG"),
        ("dipendenza", "TG-DIPEND"), ("disabili", "TG-DISAB"), ("senza dimora", "TG-SENZADIM"), ("poveri", "TG-POVERI"),
    ],
)  # fmt: skip
def test_each_of_the_eight_words_finds_its_target_group(word: str, code: str) -> None:
    found = the_map(service("Prima", targets=[code]), service("Seconda", targets=["TG-PENS"])).search(
        Query(words=word), NOW
    )
    assert names(found) == ["Prima"]
    assert code in found.understood
    assert "target" in codes(found.items[0].reasons)


PHRASES = {
    "F003-08": (
        "pronto intervento", "assistenza economica", "assistenza domiciliare", "dormitori e centri di accoglienza diurna e notturna", "mensa",
        "alloggio", "centro sociale", "servizi per la donna", "per la madre e la prima infanzia", "per la famiglia",
        "per l'infanzia, l'adolescenza e la gioventù", "servizi per handicappati", "servizi per nomadi", "per profughi",
    ),
    "F003-09": (
        "prevenzione", "cura", "riabilitazione", "promozione sociale", "inserimento sociale",
        "attività di sostegno, integrazione e sostituzione della famiglia",
    ),
    "F003-10": (
        "servizi culturali", "asili nido", "edilizia", "assistenza abitativa", "istruzione", "formazione professionale", "lavoro",
        "orientamento professionale", "tutela dei diritti dei lavoratori", "servizi ricreativi e sportivi", "servizi per il culto",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "phrase",
    [
        pytest.param(phrase, marks=pytest.mark.feature(row))
        for row, phrases in PHRASES.items()
        for phrase in phrases
    ],
)  # fmt: skip
def test_every_phrase_of_the_seed_resolves_to_a_category_and_finds_it(phrase: str) -> None:
    found = {code for code in codes_of(phrase) if code.startswith("SC-")}
    assert found <= table("service_categories").keys()
    assert found
    for code in found:
        assert names(the_map(service("Voce", categories=[code])).search(Query(words=phrase), NOW)) == ["Voce"]


@pytest.mark.feature("F003-03")
def test_each_of_the_categories_can_be_published_and_filtered_also_the_connected_services() -> None:
    codes = list(table("service_categories"))
    assert len(codes) >= 45
    held = the_map(*(service(f"Voce {code}", categories=[code]) for code in codes))
    for code in codes:
        assert names(held.search(Query(categories=(code,)), NOW)) == [f"Voce {code}"]


@pytest.mark.feature("F000-32")
@pytest.mark.parametrize(
    "old", ["handicappati", "servizi per nomadi", "tossicodipendenti", "zingari", "portatori di handicap", "barboni"]
)
def test_dated_words_find_and_are_never_shown(old: str) -> None:
    target = next(code for code in codes_of(old) if code.startswith("TG-"))
    found = the_map(service("Sportello", targets=[target])).ask(old, NOW)
    assert names(found) == ["Sportello"]
    shown = " ".join(n.text for n in (*found.items[0].reasons, *found.items[0].warnings)) + repr(found.corrected)
    assert not any(word in shown.casefold() for word in words(old))


def test_a_beginning_or_a_misspelling_never_leads_to_a_dated_word() -> None:
    service_map = the_map(service("Sportello", description="servizio per handicappati e nomadi"))
    for typed in ("handic", "nomad", "noamdi", "handicapati"):
        assert "nomad" not in repr(service_map.ask(typed, NOW).corrected).replace(f"'{typed}'", "")
        assert "handicapp" not in repr(service_map.ask(typed, NOW).corrected).replace(f"'{typed}'", "")


@pytest.mark.parametrize(
    ("typed", "understood"),
    [
        ("sportelo", "sportello"),
        ("bollete", "bollette"),
        ("famigliare", None),
        ("CONSULTORIO", None),
        ("invalidita", None),
    ],
)
def test_misspelt_words_still_find(typed: str, understood: str | None) -> None:
    service_map = the_map(
        service("Sportello familiare", description="aiuto bollette, consultorio; invalidità"),
        service("Altro", description="mensa"),
    )
    found = service_map.search(Query(words=typed), NOW)
    assert names(found) == ["Sportello familiare"]
    assert [c.understood for c in found.corrected] == ([(understood,)] if understood else [])


def test_three_letters_are_enough() -> None:
    found = the_map(service("Contributi", needs=["NA-ECON"]), service("Altro", needs=["NA-INFO"])).search(
        Query(words="boll"), NOW
    )
    assert names(found) == ["Contributi"]


@pytest.mark.parametrize(
    "group",
    [
        "anziano anziani anziana anziane", "familiare familiari famigliare", "domiciliare domiciliari", "scolare scolari", "alimentare alimentari",
        "sanitario sanitaria sanitari sanitarie", "invalidità INVALIDITA invalidita'", "bolletta bollette", "S.A.D. SAD", "dell’anziano anziano",
    ],
)  # fmt: skip
def test_forms_of_one_word_share_a_stem(group: str) -> None:
    assert len({tuple(stems(form)) for form in group.split()}) == 1


@pytest.mark.parametrize("pair", ["comune comunità", "casa caso", "mano mani nulla", "immigrati emigrati"])
def test_different_words_keep_different_stems(pair: str) -> None:
    one, other, *_ = pair.split()
    assert stems(one) != stems(other) or pair.startswith("mano")


# -- filters


@pytest.mark.feature("F004-30")
def test_typing_vallefoglia_finds_what_colbordolo_published() -> None:
    service_map = the_map(
        service("Vecchio", comune=COLBORDOLO), service("Nuovo", comune=VALLEFOGLIA), service("Altrove", comune=PESARO)
    )
    assert set(names(service_map.search(Query(comune=VALLEFOGLIA), NOW))) == {"Vecchio", "Nuovo"}
    found = service_map.ask("vallefoglia", NOW)
    assert set(names(found)) == {"Vecchio", "Nuovo"}
    old = next(item for item in found.items if item.name == "Vecchio")
    assert "Si trova a Colbordolo, oggi Vallefoglia." in {note.text for note in old.reasons}


def test_a_comune_inside_the_words_is_understood_and_gives_way_to_what_is_near() -> None:
    query = query_from_words("pensione a S.Angelo in Lizzola, aperto ora", TERRITORY)
    assert (query.comune, query.open) == ("041056", True)
    assert set(words(query.words)) == {"pensione"}
    service_map = the_map(service("Patronato", comune=PESARO, categories=["SC-PATR"]))
    found = service_map.ask("patronato Gradara", NOW)
    assert found.widened
    assert names(found) == ["Patronato"]
    assert found.items[0].distance_how == "centroid"


def test_residence_leaves_out_what_serves_another_territory() -> None:
    service_map = the_map(
        service("Solo Pesaro", territory=[PESARO]), service("Tutti"), service("Gradara", territory=[GRADARA])
    )
    assert set(names(service_map.search(Query(residence=GRADARA), NOW))) == {"Tutti", "Gradara"}


@pytest.mark.feature("F000-05")
def test_a_partial_entrance_is_not_step_free() -> None:
    service_map = the_map(
        service("Rampa", accessibility=["AX-RAMPA"], languages=["ar"]),
        service("Gradino", accessibility=["AX-RAMPA", "AX-PARZ"], languages=["ar"]),
        service("Scale", accessibility=["AX-NO"], languages=["ar"]),
        service("Ignoto", languages=["ar"]),
    )
    assert names(service_map.search(Query(step_free=True, languages=("ar",)), NOW)) == ["Rampa"]


@pytest.mark.feature("F001-24", "F004-09", "F002-06")
@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("management", ("direct", "district", "contracted", "private")),
        ("sector", ("public", "private")),
        ("system", ("social", "pension", "health")),
        ("access", ("direct", "social-service", "desk-referral", "assessment")),
    ],
)  # fmt: skip
def test_management_sector_system_and_access_filter(field: str, values: tuple[str, ...]) -> None:
    stored = {"system": "systems"}.get(field, field)
    many = field in ("system", "access")
    service_map = the_map(*(service(value, **{stored: [value] if many else value}) for value in values))
    for value in values:
        found = service_map.search(Query(**{field: (value,)}), NOW)
        assert names(found) == [value]
        assert field in codes(found.items[0].reasons)


@pytest.mark.feature("F000-14")
def test_two_desks_in_two_zones_keep_their_own_hours() -> None:
    from schemas.records import Desk

    mare, centro = (Desk(id=service(z).id, name="Sportello", zone=z) for z in ("Mare", "Centro"))
    service_map = the_map(
        service("UPS mare", desk=mare, rules=[("TU", "09:00", "12:30")]),
        service("UPS centro", desk=centro, rules=[("WE", "15:00", "17:30")]),
    )
    (item,) = service_map.search(Query(zone="mare"), NOW).items
    assert (item.name, item.opening) == ("UPS mare", "aperto ora, fino alle 12:30")
    (item,) = service_map.search(Query(zone="Centro"), NOW).items
    assert item.opening == "apre domani 15:00"


def test_open_at_another_instant() -> None:
    shelter = service("Piano freddo", rules=[("MO,TU,WE,TH,FR,SA,SU", "20:00", "08:00")])
    night = int(datetime.fromisoformat("2027-01-10T02:00+01:00").timestamp())
    assert names(the_map(shelter).search(Query(open=True, at=night), NOW)) == ["Piano freddo"]
    assert not the_map(shelter).search(Query(open=True), NOW).items


# -- order, reasons, warnings


@pytest.mark.feature("F000-30", "F001-16")
def test_bollette_puts_economic_help_before_a_generic_desk_and_says_why() -> None:
    service_map = the_map(
        service(
            "Segretariato sociale",
            description="informazioni, anche per chi non paga le bollette",
            categories=["SC-SEGR"],
        ),
        service("Contributi economici", categories=["SC-ECON"], needs=["NA-ECON"], targets=["TG-FAMIGLIA"]),
    )
    found = service_map.search(Query(words="bollette", targets=()), NOW)
    assert names(found) == ["Contributi economici", "Segretariato sociale"]
    assert {"category", "need"} <= codes(found.items[0].reasons)
    assert codes(found.items[1].reasons) == {"word"}
    assert names(service_map.search(Query(words="bollette", targets=("TG-FAMIGLIA",)), NOW)) == ["Contributi economici"]


@pytest.mark.feature("F002-05")
def test_equals_take_turns_by_a_key_anybody_can_recompute() -> None:
    members = [f"patr-fittizio-{x}" for x in "abcd"]
    service_map = the_map(
        *(
            service("Invalidità civile", member=m, comune=PESARO, categories=["SC-PATR"], needs=["NA-INVAL"])
            for m in members
        )
    )
    orders = set()
    for day in range(12):
        now = NOW + day * 86400
        found = service_map.search(Query(words="invalidità", near=GRADARA), now)
        today = (date(2026, 11, 24) + timedelta(days=day)).isoformat()
        order = [item.node for item in found.items]
        assert order == sorted(members, key=lambda m: neutral_key(today, "SC-PATR", m))
        assert [len(group.members) for group in found.groups] == [4]
        assert {item.group for item in found.items} == {0}
        orders.add(tuple(order))
    assert len(orders) > 4


@pytest.mark.feature("F003-21")
def test_the_nearest_accessible_desk_comes_first_and_says_how_it_was_measured() -> None:
    service_map = the_map(
        service("Lontano", comune=PESARO, accessibility=["AX-RAMPA"]),
        service("Vicino", comune=GRADARA, accessibility=["AX-ASCENS"]),
        service("Vicino con scale", comune=GRADARA, accessibility=["AX-NO"]),
        service("Con puntina", comune=PESARO, accessibility=["AX-RAMPA"], pin=(43.9408, 12.7731)),
    )
    found = service_map.search(Query(near=GRADARA, step_free=True, order="near"), NOW)
    assert names(found)[-1] == "Lontano"
    assert {(i.name, i.distance_how) for i in found.items} == {
        ("Vicino", "centroid"),
        ("Con puntina", "pin"),
        ("Lontano", "centroid"),
    }


def test_full_goes_last_and_open_comes_before_closed() -> None:
    service_map = the_map(
        service("Pieno", rules=[("TU", "09:00", "12:00")], waiting=Waiting(status="full")),
        service("Chiuso", rules=[("WE", "09:00", "12:00")]),
        service("Aperto", rules=[("TU", "09:00", "12:00")], verified_at="2020"),
        service("Ignoto"),
    )
    assert names(service_map.search(Query(), NOW)) == ["Aperto", "Chiuso", "Ignoto", "Pieno"]


@pytest.mark.feature("F002-06", "F002-13")
def test_warnings_say_what_to_mind() -> None:
    record = service(
        "Emporio",
        access=["desk-referral"],
        rules=[("WE", "15:30", "18:00")],
        requirements=Requirements(assessment_first=True, isee_max=8000.0),
        waiting=Waiting(status="waitlist"),
        hours=Hours(text="mer 15.30-18", status="ok"),
        notice=Notice(text="Chiuso per lavori", since="2026-11-01", until="2026-11-30"),
        verified_at="2025-01-10",
    )
    (item,) = the_map(record).search(Query(), NOW).items
    assert codes(item.warnings) == {
        "referral-only",
        "assessment-first",
        "isee",
        "waitlist",
        "closed-now",
        "not-verified",
        "notice",
    }
    assert "Chiuso ora: apre domani 15:30." in {note.text for note in item.warnings}


@pytest.mark.feature("F000-25")
def test_a_network_record_lies_over_the_public_one_for_members_only() -> None:
    fold = MapFold()
    public = service("PUA", member="distretto", phones=["0721 002001"], description="accesso")
    publish(fold.apply, {"distretto": [public]})
    urgent = service("Linea urgente", member="distretto", phones=["0721 002099"])
    overlay = replace(public, phones=urgent.phones, description=UNSET, salt="x" * 22)
    publish(fold.apply, {"distretto": [overlay, urgent]}, "network", 5)
    everyone, members = (ServiceMap(fold, view, TERRITORY) for view in ("public", "members"))
    assert [(i.name, i.phones) for i in everyone.search(Query(), NOW).items] == [("PUA", ("0721 002001",))]
    found = {i.name: i for i in members.search(Query(), NOW).items}
    assert found["PUA"].phones == ("0721 002099",)
    assert found["PUA"].service.description == "accesso"
    assert found["Linea urgente"].network_only


def test_a_secret_place_has_no_distance_and_no_address() -> None:
    record = service("Casa rifugio", place="secret", accessibility=["AX-RAMPA"])
    (item,) = the_map(record).search(Query(near=PESARO), NOW).items
    assert (item.distance_km, item.address) == (None, "")
    assert "place-reserved" in codes(item.warnings)


def test_the_pin_of_a_reserved_place_measures_nothing() -> None:
    record = service("Sede riservata", place="reserved", comune=PESARO, pin=(43.9408, 12.7731))
    (item,) = the_map(record).search(Query(near=GRADARA), NOW).items
    assert item.distance_how == "centroid"
    assert item.address == ""


def test_nothing_is_stemmed_before_the_first_search() -> None:
    code = "import sys, node.map.search, node.map.views, node.map.suggestions; print('snowballstemmer' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(max_size=400) | st.lists(st.sampled_from(WORDS), max_size=30).map("'".join))
def test_whatever_is_typed_gets_an_answer(typed: str) -> None:
    assert FIXED.ask(typed, NOW).total >= 0


def test_when_no_entry_has_every_word_those_with_most_are_shown_and_it_is_said() -> None:
    service_map = the_map(service("Mensa", description="pasto serale"), service("Scuola", description="corsi"))
    found = service_map.search(Query(words="mensa con parcheggio sotterraneo pasto"), NOW)
    assert found.partial
    assert names(found) == ["Mensa"]
