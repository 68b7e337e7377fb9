"""Comuni as people write them, their mergers, their distances."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.territory import Territory
from schemas import vocabularies

T = Territory.from_rows(vocabularies.table("comuni").values())


@pytest.mark.feature("F004-02")
@pytest.mark.parametrize(
    ("text", "istat", "how"),
    [
        ("Pesaro", "041044", "exact"),
        ("  PESARO ", "041044", "exact"),
        ("Comune di Pesaro", "041044", "exact"),
        ("61121 Pesaro (PU)", "041044", "exact"),
        ("041044", "041044", "exact"),
        ("G479", "041044", "exact"),
        ("Gabicce", "041019", "variant"),
        ("Gabicce Mare (PU)", "041019", "exact"),
        ("Sant’Angelo in Lizzola", "041056", "exact"),
        ("Sant Angelo in Lizzola", "041056", "variant"),
        ("S.Angelo in Lizzola", "041056", "variant"),
        ("S. ANGELO", "041056", "variant"),
        ("S.Angelo", "041056", "variant"),
        ("Sant’Angelo", "041056", "variant"),
        ("Vallefoglia", "041068", "exact"),
        ("Vallefoglia (Colbordolo)", "041012", "successor-name"),
        ("Colbordolo, ora Vallefoglia", "041012", "successor-name"),
    ],
)
def test_a_comune_is_recognised_however_it_is_written(text: str, istat: str, how: str) -> None:
    assert T.resolve(text) == (istat, how)


@pytest.mark.parametrize("text", ["", "Pesarro", "Pes", "Milano", "Pesaro e Gradara", "Mare", "-", "Monte"])
def test_what_names_none_or_several_is_not_guessed(text: str) -> None:
    assert T.resolve(text) is None


def test_a_misspelling_is_proposed_not_applied() -> None:
    assert T.suggest("Pesarro") == ["041044"]
    assert T.suggest("Milano") == []


def test_successors_follow_the_date() -> None:
    assert T.successor("041012", "2013-12-31") == "041012"
    assert T.successor("041012", "2014-01-01") == "041068"
    assert T.successor("041032", "2026-11-21") == "041044"
    assert T.successor("041044", "2026-11-21") == "041044"
    assert T.successor("999999", "2026-11-21") == "999999"


def test_a_family_has_predecessors_and_successors_but_no_siblings() -> None:
    assert T.family("041068") == {"041068", "041012", "041056"}
    assert T.family("041012") == {"041012", "041068"}
    assert T.family("041044") == {"041044", "041032"}


def test_distances_and_small_facts() -> None:
    distance = T.distance_km("041044", "041065")
    assert distance is not None and 12 < distance < 14
    assert T.distance_km("041044", "999999") is None
    assert T.patron("041044") == (9, 24)
    assert T.patron("041065") is None
    assert T.name("041019") == "Gabicce Mare"
    assert T.postcodes("041044") == ["61121", "61122"]


def test_a_loop_of_successors_ends() -> None:
    rows = [
        {"istat_code": "000001", "name": "A", "successor_istat": "000002", "valid_to": "2000-01-01"},
        {"istat_code": "000002", "name": "B", "successor_istat": "000001", "valid_to": "2001-01-01"},
    ]
    assert Territory.from_rows(rows).successor("000001", "2020-01-01") == "000002"


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.text(max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    found = T.resolve(text)
    assert found is None or found.istat in T
    assert all(code in T for code in T.suggest(text))
