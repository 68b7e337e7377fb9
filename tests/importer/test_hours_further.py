"""Opening hours that a careful reader would try next: rounds the clock, holidays, seasons, telephones, slips of the pen."""

import pytest

from node.importer.hours import parse_hours, schedules
from node.importer.hours_words import DAY_KEYS
from protocol.opening import weekly_desk_hours
from tests.importer.test_hours import WEEKDAYS_9_12, new_id, short


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24 ore al giorno, 7gg/7", "h24"),
        ("sempre aperto, anche la domenica e i festivi", "h24"),
        ("h24, festivi compresi", "h24"),
        ("lun-ven h24, sab 9-12", "ok mon 00:00-24:00; tue 00:00-24:00; wed 00:00-24:00; thu 00:00-24:00; fri 00:00-24:00; sat 09:00-12:00"),
        ("mer 10-12 a settimane alterne", "partial wed 10:00-12:00"),
        ("la mattina", "unparsed"),
        ("tutte le mattine 10-12", "ok_assumed " + "; ".join(f"{day} 10:00-12:00" for day in DAY_KEYS)),
        ("ogni mattina dal lunedì al venerdì 9-12", f"ok {WEEKDAYS_9_12}"),
        ("tutti i giorni dal lun al ven 9-12", f"ok {WEEKDAYS_9_12}"),
        ("gio 17-19 fino a esaurimento posti", "ok_assumed thu 17:00-19:00"),
        ("gio dalle 17 fino ad esaurimento pacchi", "unparsed"),
        ("ven dalle 10 ca. alle 12 circa", "ok_assumed fri 10:00-12:00"),
        ("ott-apr: mar 9-12; mag-set: mar 8-11", "ok_seasonal tue 09:00-12:00"),
        ("gio 15-18 da novembre a marzo, chiuso in estate", "ok_seasonal thu 15:00-18:00"),
        ("gio 15-18, chiuso in estate", "partial thu 15:00-18:00"),
        ("mer 9-12; agosto e festivi chiuso", "ok_seasonal wed 09:00-12:00"),
        ("lun-ven 9-12, nei festivi chiuso", f"ok {WEEKDAYS_9_12}"),
        ("dom e festivi 16-18", "partial sun 16:00-18:00"),
        ("festivi 9-11", "unparsed"),
        ("lun e mer 9-12 compresi i festivi", "partial mon 09:00-12:00; wed 09:00-12:00"),
        ("gio 10-13 e 4-7", "ok_assumed thu 10:00-13:00 16:00-19:00"),
        ("gio 2.30-5", "ok_assumed thu 14:30-17:00"),
        ("gio 02:00-05:00", "ok_assumed thu 02:00-05:00"),
        ("di notte, sab e dom 1-5", "ok sat 01:00-05:00; sun 01:00-05:00"),
        ("dalle 9 e 30 alle 12 e mezza gio", "ok thu 09:30-12:30"),
        ("gio dalle 9 e 15 alle 11 e 45", "ok thu 09:15-11:45"),
        ("gio 9-12 e 15-18", "ok thu 09:00-12:00 15:00-18:00"),
        ("mercledì e sbato dale 9 alle 12", "ok_assumed wed 09:00-12:00; sat 09:00-12:00"),
        ("mecroldì 9-12", "ok_assumed wed 09:00-12:00"),
        ("giovani 9-12", "unparsed"),
        ("per telefono 0721 000140 lun-ven 8-14; sportello gio 9-11", "ok thu 09:00-11:00"),
        ("gio 9-11 (tel. 0721 000140 lun-ven 8-14), ven 15-17", "ok thu 09:00-11:00; fri 15:00-17:00"),
        ("gio 9-11 (telefono: mar 8-10)", "ok thu 09:00-11:00"),
        ("tel. 0721 000140 lun-ven 9-12", f"ok_assumed {WEEKDAYS_9_12}"),
        ("lun-ven 9-12, senza sportello", f"phone_only {WEEKDAYS_9_12}"),
        ("mar e gio 9-12, no sportello il giovedì", "ok tue 09:00-12:00"),
        ("su appuntamento, chiamare al pomeriggio", "by_appointment"),
        ("gio 2026-09-12", "unparsed"),
        ("gio 10-12 / 6-8", "ok_assumed thu 10:00-12:00 18:00-20:00"),
        ("gio 7-9 di sera", "ok_assumed thu 19:00-21:00"),
        ("tutte le sere 7-9", "ok_assumed " + "; ".join(f"{day} 19:00-21:00" for day in DAY_KEYS)),
        ("gio pomeriggio 6-7.30", "ok_assumed thu 18:00-19:30"),
        ("mer 9-12, gio 8-10", "ok wed 09:00-12:00; thu 08:00-10:00"),
        ("gio 9-12 dal 1/10", "partial thu 09:00-12:00"),
        ("gio 9-12 fino al 31 maggio", "partial thu 09:00-12:00"),
        ("gio 9-12 da ottobre", "partial thu 09:00-12:00"),
        ("mer e gio 9-12 escluso gio 15-17", "partial wed 09:00-12:00"),
        ("2° giovedì 15-17, gli altri giovedì 9-11", "partial thu 09:00-11:00; 2thu 15:00-17:00"),
        ("mer e gio 9-12, gio solo pomeriggio 15-17", "ok_assumed wed 09:00-12:00; thu 09:00-12:00 15:00-17:00"),
        ("whatsapp 300 0000001 lun-ven 9-12", f"phone_only {WEEKDAYS_9_12}"),
    ],
)  # fmt: skip
def test_hours_that_a_careful_reader_tries_next(text: str, expected: str) -> None:
    assert short(text) == expected


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("gio 10-13 e 4-7", "«4-7» letto come pomeriggio"),
        ("mercledì 9-12", "«mercledi» letto come mercoledì"),
        ("gio 02:00-05:00", "«02:00-05:00» letto come ore della notte"),
        ("ven 10-12 ca.", "«ca»"),
        ("gio 9-13; in agosto gio 9-11", "gli orari di un periodo dell’anno si aggiungono a quelli di tutto l’anno"),
        ("lun 9-12 per telefono mar 15-17", "«per telefono» riferito agli orari che precedono"),
    ],
)
def test_whatever_was_assumed_is_said(text: str, word: str) -> None:
    assert ("hours-assumed", word) in parse_hours(text).problems


def test_hours_for_the_telephone_stay_out_of_the_week_of_the_desk() -> None:
    h = parse_hours("sportello gio 9-11; al telefono 0721 000140 lun-ven 8-14")
    assert (h.weekly, h.desk_hours_per_week) == ({"thu": [["09:00", "11:00"]]}, 2.0)
    assert {(s.attending, s.byday) for s in schedules(h, new_id)} == {("desk", "TH"), ("phone", "MO,TU,WE,TH,FR")}


def test_two_seasons_are_two_schedules_and_the_week_is_that_of_the_first() -> None:
    h = parse_hours("ott-apr: mar 9-12; mag-set: mar 8-11")
    made = schedules(h, new_id)
    assert [(s.opens_at, s.season.from_month) for s in made if s.season] == [("09:00", 10), ("08:00", 5)]
    assert h.desk_hours_per_week == weekly_desk_hours(made) == 3.0
    assert h.notes == ("in un altro periodo dell’anno 08:00-11:00",)


def test_a_date_that_excel_made_of_hours_is_never_read_as_hours() -> None:
    assert parse_hours("2026-12-09").problems == (("hours-date", "2026-12-09"),)
    assert parse_hours("gio 2026-09-12").weekly == {}
