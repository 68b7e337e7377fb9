"""Opening hours as Italians write them."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from node.importer.hours import parse_hours, schedules
from node.importer.hours_words import fold, tokens
from protocol.opening import weekly_desk_hours
from schemas.records import Season

ORACLE = Path(__file__).parents[3] / "shared/domain/sample/orari_attesi.csv"


def new_id() -> str:
    return "00000000-0000-0000-0000-000000000001"


def oracle() -> list[dict[str, str]]:
    if not ORACLE.exists():
        return []
    with ORACLE.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def short(text: str) -> str:
    """A reading in one line: "ok mon 09:00-12:00 15:00-18:00; tue …"."""
    h = parse_hours(text)
    days = [f"{day} {' '.join('-'.join(span) for span in spans)}" for day, spans in h.weekly.items()]
    days += [f"{n}{day} {a}-{b}" for n, day, a, b in h.monthly]
    if h.overnight:
        days.append(f"night {'-'.join(h.overnight)}")
    return " ".join([h.status, "; ".join(days)]).strip()


@pytest.mark.skipif(not oracle(), reason="../shared is absent")
def test_the_oracle_has_all_its_rows() -> None:
    assert len(oracle()) == 28


@pytest.mark.parametrize("row", oracle(), ids=lambda row: row["orari_testo"])
def test_the_listed_hours_match_the_oracle(row: dict[str, str]) -> None:
    h = parse_hours(row["orari_testo"])
    week: dict[str, object] = dict(h.weekly)
    if h.monthly:
        week["monthly"] = [list(rule) for rule in h.monthly]
    if h.overnight:
        week["overnight"] = list(h.overnight)
    hours = row["desk_hours_per_week"]
    assert (h.status, week) == (row["status"], json.loads(row["weekly_json"]))
    assert h.desk_hours_per_week == (float(hours) if hours else None)


WEEKDAYS_9_12 = "mon 09:00-12:00; tue 09:00-12:00; wed 09:00-12:00; thu 09:00-12:00; fri 09:00-12:00"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lu-ve 9-12", f"ok {WEEKDAYS_9_12}"),
        ("L-V 9-12", f"ok {WEEKDAYS_9_12}"),
        ("9-12 lun-ven", f"ok {WEEKDAYS_9_12}"),
        ("dalle 9 alle 12 dal lunedì al venerdì", f"ok {WEEKDAYS_9_12}"),
        ("tutti i giorni feriali 9-12", f"ok_assumed {WEEKDAYS_9_12}; sat 09:00-12:00"),
        ("lun-ven feriali 9-12", f"ok {WEEKDAYS_9_12}"),
        ("lun/ven 9-12", f"ok_assumed {WEEKDAYS_9_12}"),
        ("lun-ven 9-12, sab chiuso", f"ok {WEEKDAYS_9_12}"),
        ("chiuso lun, mar 9-12", "ok tue 09:00-12:00"),
        ("lun-mer-ven 9-12", "ok mon 09:00-12:00; wed 09:00-12:00; fri 09:00-12:00"),
        ("lun 9-12,15-18", "ok mon 09:00-12:00 15:00-18:00"),
        ("lun 9-12 mar 15-18", "ok mon 09:00-12:00; tue 15:00-18:00"),
        ("mart e giov 15,30-17,30", "ok tue 15:30-17:30; thu 15:30-17:30"),
        ("lunedi' e mercoledi' 9-12", "ok mon 09:00-12:00; wed 09:00-12:00"),
        ("mercoldì 9-12", "ok_assumed wed 09:00-12:00"),
        ("lun 9-12\nmar 15-18", "ok mon 09:00-12:00; tue 15:00-18:00"),
        ("lun/mer 9:00-12:00 - gio 15:00-18:30", "ok mon 09:00-12:00; wed 09:00-12:00; thu 15:00-18:30"),
        ("lun-mer 9-12 / 16-19 chiuso mer pom.", "ok mon 09:00-12:00 16:00-19:00; tue 09:00-12:00 16:00-19:00; wed 09:00-12:00"),
        ("aperto tutti i giorni tranne sab e dom 9-12", f"ok {WEEKDAYS_9_12}"),
        ("weekend 10-18", "ok sat 10:00-18:00; sun 10:00-18:00"),
        ("tutti i giorni 9-12 sabato e festivi chiuso", f"ok {WEEKDAYS_9_12}"),
        ("ultimo venerdì del mese ore 10-12", "ok_monthly -1fri 10:00-12:00"),
        ("I e III lunedì 9-11", "ok_monthly 1mon 09:00-11:00; 3mon 09:00-11:00"),
        ("2º mercoledì 9-11", "ok_monthly 2wed 09:00-11:00"),
        ("da settembre a giugno: mar 16-18", "ok_seasonal tue 16:00-18:00"),
        ("mar-ott: lun 9-12", "ok_seasonal mon 09:00-12:00"),
        ("mar-gio 9-12", "ok tue 09:00-12:00; wed 09:00-12:00; thu 09:00-12:00"),
        ("1 dic - 31 mar ore 20-8", "ok_seasonal night 20:00-08:00"),
        ("venerdì dalle 21 alle 2", "ok fri 21:00-02:00; night 21:00-02:00"),
        ("24 ore su 24, 365 gg/anno", "h24"),
        ("aperto 24/24 7/7", "h24"),
        ("attivo 24 h su 24, 7 giorni su 7", "h24"),
        ("8-9 lun e mar, gio anche 15-17", "ok mon 08:00-09:00; tue 08:00-09:00; thu 15:00-17:00"),
        ("1/10 - 31/5 lun 9-12", "ok_seasonal mon 09:00-12:00"),
        ("lun 9-12, dal 1 al 31 agosto chiuso", "ok_seasonal mon 09:00-12:00"),
        ("telefonare dalle 9 alle 12", "phone_only"),
        ("previo appuntamento telefonico al 0721 000101", "by_appointment"),
        ("lun-ven 9-12 previa prenotazione", f"by_appointment {WEEKDAYS_9_12}"),
        ("lun-ven 9-12 e su appuntamento", f"ok {WEEKDAYS_9_12}"),
        ("lun 9-12; altri giorni su appuntamento", "ok mon 09:00-12:00"),
        ("su appuntamento, telefonare lun 11-13", "by_appointment mon 11:00-13:00"),
        ("tel. lun-ven 8-13, sportello mar 15-17", "ok tue 15:00-17:00"),
        ("solo telefonicamente, lun 9-11", "phone_only mon 09:00-11:00"),
        ("telefonare", "phone_only"),
        ("lun 9-12 (orario estivo: 8-11)", "partial mon 09:00-12:00"),
        ("lun 9-12 sede distaccata", "partial mon 09:00-12:00"),
        ("sabato 9-12 ogni 15 gg", "partial sat 09:00-12:00"),
        ("lun e mer mattina, gio 15-18", "partial thu 15:00-18:00"),
        ("lun-ven mattina", "unparsed"),
        ("lun-ven dalle 9", "unparsed"),
        ("9-12", "unparsed"),
        ("secondo progetto", "unparsed"),
        ("iscrizioni ad aprile", "unparsed"),
        ("chiuso", "unparsed"),
        ("", "unparsed"),
        ("lun 9-12 gio 25-17", "error mon 09:00-12:00"),
        ("lun-ven 12-9", "error"),
        ("lun 9-12.75", "error"),
        ("lun 9-9", "error"),
    ],
)  # fmt: skip
def test_hours_as_offices_write_them(text: str, expected: str) -> None:
    assert short(text) == expected


def test_seasons_are_kept_apart_from_the_week() -> None:
    assert parse_hours("ott-mag: lun 14-17").season == Season(from_month=10, to_month=5)
    assert parse_hours("mer 10-12 (escluso agosto)").closed_season == Season(from_month=8, to_month=8)
    assert parse_hours("lun 9-12; agosto chiuso").closed_season == Season(from_month=8, to_month=8)
    dated = schedules(parse_hours("dal 01/10/2026 al 31/05/2027 mar 15-18"), new_id)
    assert (dated[0].valid_from, dated[0].valid_to) == ("2026-10-01", "2027-05-31")


def test_telephone_and_appointment_hours_are_schedules_of_their_own() -> None:
    made = schedules(parse_hours("tel. lun-ven 8-13, sportello mar 15-17"), new_id)
    assert [(s.attending, s.byday, s.opens_at) for s in made] == [
        ("phone", "MO,TU,WE,TH,FR", "08:00"),
        ("desk", "TU", "15:00"),
    ]


@pytest.mark.parametrize("text", ["lun-ven 9-12", "lun 9-13; lun 12-15", "tutti i giorni 20-8", "h24", "sab 20-24"])
def test_desk_hours_are_those_of_the_schedules(text: str) -> None:
    h = parse_hours(text)
    assert h.desk_hours_per_week == weekly_desk_hours(schedules(h, new_id))


def test_an_interval_with_impossible_times_is_reported_and_never_corrected() -> None:
    assert parse_hours("lun 9-12 gio 25-17").problems == (("hours-out-of-range", "25-17"),)
    assert parse_hours("lun-ven 12-9").problems == (("hours-reversed", "12-9"),)


PIECES_TEXT = (
    "lun mar mer gio ven sab dom lunedì 9 12 15-18 9-12 8.30 13,30 25 h24 ore dalle alle al e , ; / - ( ) : ott mag"
    " mar-ott agosto chiuso escluso festivi primo 2° mese su appuntamento telefonare solo tel. 0721 000101 mattina pom."
    " docce prenotare ogni 15 gg feriali tutti i giorni 365 2026 1/10 → – anche o altri"
)
PIECES = st.sampled_from(PIECES_TEXT.split(" "))
TEXTS = st.one_of(
    st.text(max_size=80), st.lists(PIECES, max_size=14).map(" ".join), st.lists(PIECES, max_size=9).map("".join)
)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(TEXTS)
@example("lun²½ 9-12")
def test_any_text_has_one_reading_and_every_digit_is_in_a_token(text: str) -> None:
    h = parse_hours(text)
    assert h == parse_hours(text)
    digits = [c for c in fold(text) if c.isdigit()]
    assert [c for token in tokens(fold(text)) for c in token.text if c.isdigit()] == digits
    made = schedules(h, new_id)
    if h.status.startswith("ok"):
        assert made and not h.leftovers
    if h.status in ("unparsed", "h24"):
        assert not h.weekly


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    st.lists(st.sampled_from(["lun", "mar", "gio", "sab"]), min_size=1, unique=True),
    st.integers(6, 12),
    st.integers(13, 20),
)
def test_a_plain_week_is_always_understood(days: list[str], opens: int, closes: int) -> None:
    h = parse_hours(f"{' '.join(days)} {opens}-{closes}")
    assert h.status == "ok"
    assert h.desk_hours_per_week == len(days) * (closes - opens)
