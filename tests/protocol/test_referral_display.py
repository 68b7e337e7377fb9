"""What people read of a leg: every situation has a code, words and a FHIR status, and none speaks jargon."""

import re

import pytest

from protocol.referral import KINDS, MACHINE_KINDS, STATES, TERMINALS, Leg
from protocol.referral_display import (
    ACTIONS,
    ADDED_CODES,
    DELIVERIES,
    FHIR_TASK,
    FROZEN,
    OFFERED,
    PROVISIONAL,
    SCREENS,
    display,
    fhir_task,
    next_step,
)
from schemas.vocabularies import table

JARGON = re.compile(r"\b(nodo|nodi|leg|outbox|inbox|snapshot|checkpoint|hash|witness|envelope|segnalazion\w+)\b", re.I)
SHOWN = [*SCREENS.values(), *OFFERED.values(), *PROVISIONAL.values()]


@pytest.mark.feature("F000-26")
@pytest.mark.parametrize("state", STATES)
def test_every_state_has_its_screen_text_for_both_sides(state: str) -> None:
    screen = display(state)  # type: ignore[arg-type]
    assert screen.title
    assert next_step(screen, "S") == screen.sender != ""
    assert next_step(screen, "R") == screen.receiver != ""


def test_every_code_is_of_the_vocabulary_or_added() -> None:
    known = set(table("referral_states")) | set(ADDED_CODES)
    assert {screen.code for screen in SHOWN} <= known
    assert not set(table("referral_states")) & set(ADDED_CODES)


def test_every_code_of_the_vocabulary_is_shown_somewhere() -> None:
    assert set(table("referral_states")) | set(ADDED_CODES) == {screen.code for screen in SHOWN}


def test_terminal_codes_agree_with_the_vocabulary() -> None:
    rows = table("referral_states")
    ends = {SCREENS[state].code for state in TERMINALS}
    assert {code for code, row in rows.items() if row["terminal"] == "yes"} <= ends


def test_an_unopened_offer_shows_how_far_it_got() -> None:
    assert [display("offered", delivery).code for delivery in DELIVERIES] == [
        "RS-INVIATA", "RS-CONSEGNATA", "RS-CONSEGNATA", "RS-NONCONS",
    ]  # fmt: skip
    assert display("offered", "stored").title == "Arrivata all'ufficio, non ancora aperta"


@pytest.mark.parametrize("state", ["cancelled", "expired"])
def test_a_cancel_not_yet_settled_says_it_is_waiting(state: str) -> None:
    assert display(state, final=False).title == "Ritiro inviato, in attesa"  # type: ignore[arg-type]


def test_the_words_of_the_design_are_the_words_shown() -> None:
    assert SCREENS["accepted"].title == "Accolta – non è ancora presa in carico"
    assert SCREENS["declined"].title == "Non accolta"
    assert ACTIONS["cancel"] == "Ritira l'invio"


def test_nothing_shown_is_jargon() -> None:
    words = [*(part for screen in SHOWN for part in screen), *ACTIONS.values(), FROZEN]
    assert [text for text in words if JARGON.search(text)] == []


def test_every_event_people_write_has_a_button() -> None:
    assert set(ACTIONS) == set(KINDS) - set(MACHINE_KINDS)


def test_a_requested_cancel_shows_the_fhir_status_before_it() -> None:
    assert fhir_task(Leg(state="cancel-requested", before_cancel="waiting")).status == "on-hold"
    assert set(FHIR_TASK) == set(STATES) - {"cancel-requested"}
    assert fhir_task(Leg(state="closed")).output_required
