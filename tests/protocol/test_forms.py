"""The sheet of a referral over paper and back: whatever it holds, the same data; whatever is misread, said which line."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import forms
from protocol.errors import ProtocolError
from protocol.offers import KINDS
from schemas.bodies import Basis, Health, Offer, Person, Reporter, Requester

LETTERS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=60)


def structs(type_):
    """Any value of a part of the sheet."""
    fields = {}
    for field in forms.FIELDS.values():
        part, _, name = field.path.rpartition(".")
        if type_.__name__.lower() == part:
            fields[name] = VALUES[field.path] if field.path in VALUES else BY_KIND[field.value]
    return st.fixed_dictionaries({}, optional=fields)


BY_KIND = {
    "text": LETTERS, "number": st.integers(0, 40), "yes-no": st.booleans(),
    "day": st.dates().map(lambda day: day.isoformat()), "list": st.lists(LETTERS, min_size=1, max_size=4),
    "moment": st.integers(0, 4_000_000_000),
}  # fmt: skip
VALUES = {
    "person.birth_year": st.integers(1890, 2100), "person.household_size": st.integers(1, 40),
    "person.residence": st.just("041020"), "person.tax_code": st.just("BNCDAA50B43G479X"),
    "reporter.kind": st.sampled_from(["self", "relative", "body"]), "requester.who": st.sampled_from(["group", "body"]),
    "basis.consent_how": st.sampled_from(["signed", "spoken"]),
}  # fmt: skip
NEEDED = {Reporter: {"kind": "self"}, Requester: {"who": "group", "name": "x"},
          Basis: {"law": "l", "purpose": "p", "notice_version": "1", "notice_date": "2026-01-01"}}  # fmt: skip


@st.composite
def offers(draw):
    held = {"referral": draw(st.sampled_from(sorted(KINDS))), "urgency": "UR-72", "subject": "person", "case": ""}
    for name in ("description", "active_services", "callback", "desk"):
        if draw(st.booleans()):
            held[name] = draw(LETTERS)
    if draw(st.booleans()):
        held |= {"documents": draw(BY_KIND["list"]), "by_voice_at": draw(BY_KIND["moment"]), "offices_tried": 3}
    for type_ in (Person, Reporter, Requester, Basis, Health):
        if part := draw(structs(type_)):
            held[type_.__name__.lower()] = {**NEEDED.get(type_, {}), **part}
    return msgspec.convert(held, Offer)


def printed(offer):
    """(code, the lines as somebody types them in)."""
    lines = forms.lines(offer)
    rows = [f"{number} {text} [{forms.mark(number, text)}]" for number, text in lines.items()]
    return forms.code(offer.referral, lines), rows


@pytest.mark.feature("F004-21")
@settings(deadline=None, max_examples=150)
@given(offers())
def test_a_printed_sheet_typed_in_with_its_code_gives_the_same_data(offer):
    code, rows = printed(offer)
    sheet = forms.read_code(code.lower())
    assert forms.filled(sheet.kind, forms.typed(sheet, rows)) == offer
    by_line = [row.rpartition(" [")[0] for row in rows]  # without the marks the whole is checked all the same
    assert forms.filled(sheet.kind, forms.typed(sheet, by_line)) == offer


def sheet():
    return printed(
        Offer(
            referral="RK-PUA", urgency="UR-PUA24", subject="person", case="", description="letto ortopedico [K7]",
            person=Person(family_name="Prova-Bianchi", given_name="Ada", birth_year=1950),
        )
    )  # fmt: skip


def test_the_line_that_was_misread_is_named():
    code, rows = sheet()
    wrong = [row.replace("Bianchi", "Bianch1") for row in rows]
    with pytest.raises(ProtocolError) as refused:
        forms.typed(forms.read_code(code), wrong)
    assert (refused.value.code, refused.value.field) == ("sheet-code", "line 20")
    assert "Bianch" not in str(refused.value)


@pytest.mark.parametrize(
    "spoil", [lambda rows: rows[:-1], lambda rows: [*rows, "29 0721 000111"]], ids=["less", "more"]
)
def test_a_line_too_few_or_too_many_is_seen(spoil):
    code, rows = sheet()
    with pytest.raises(ProtocolError) as refused:
        forms.typed(forms.read_code(code), spoil(rows))
    assert (refused.value.code, refused.value.field) == ("sheet-code", "code")


BAD = (
    ("PUA", [], "sheet-code"), ("PUA-1-K7QM", [], "sheet-code"), ("PUA-2-K7QM-3XWD", [], "sheet-version"),
    ("BOH-1", [], "unknown-code"), ("PUA-1", ["cognome Bianchi"], "bad-shape"), ("PUA-1", ["99 x"], "bad-shape"),
    ("PUA-1", ["20 a", "20 b"], "bad-shape"), ("PUA-1", ["22 millenovecento"], "bad-shape"),
    ("PUA-1", ["50 31/02/2026"], "bad-shape"), ("PUA-1", ["10 \\ud800"], "bad-shape"),
    ("PUA-1", ["10 \\U99999999"], "bad-shape"), ("PUA-1", ["27 forse"], "bad-shape"),
    ("PUA-1", ["14 99999-12-31 10:00"], "bad-shape"), ("PUA-1", ["22 " + "9" * 5000], "bad-shape"),
    ("PUA-1", ["10 " + "x" * 601], "bad-shape"),
)  # fmt: skip


@pytest.mark.parametrize(("code", "rows", "refusal"), BAD)
def test_what_is_no_sheet_is_refused_by_name(code, rows, refusal):
    with pytest.raises(ProtocolError) as refused:
        given = forms.read_code(code)
        forms.filled(given.kind, forms.typed(given, rows))
    assert refused.value.code == refusal


def test_an_empty_form_filled_in_by_hand_is_taken_as_it_is():
    code = forms.read_code("pua-1")
    rows = ["20 Cognome: Prova", "21 Ada", "50 23/11/2026", "10 letto", "   ortopedico [K7]"]
    offer = forms.filled(code.kind, forms.typed(code, rows))
    assert (offer.urgency, offer.subject, offer.description) == ("UR-PUA24", "person", "letto ortopedico [K7]")
    assert offer.person == Person(family_name="Prova", given_name="Ada")
    assert offer.health == Health(discharge_date="2026-11-23")


@pytest.mark.feature("F000-36")
@pytest.mark.parametrize("kind", ["RK-PUA", "RK-PIS"])
def test_the_urgent_forms_have_under_twelve_fields(kind):
    assert len(forms.fields_of(kind)) < 12
    assert {"basis.law", "basis.purpose", "basis.notice_version", "basis.notice_date"} <= {
        forms.FIELDS[number].path for number in forms.fields_of(kind)
    }


@pytest.mark.feature("F001-27")
def test_no_form_of_a_kind_without_a_person_offers_a_field_of_one():
    for kind, rule in KINDS.items():
        parts = {forms.FIELDS[number].path.partition(".")[0] for number in forms.fields_of(kind)}
        assert rule.person or not parts & {"person", "reporter", "health", "basis"}, kind
        assert rule.health or "health" not in parts, kind


def test_every_field_of_a_referral_is_on_the_sheet_or_written_by_the_program():
    parts = {"person": Person, "reporter": Reporter, "requester": Requester, "basis": Basis, "health": Health}
    every = {name for name in Offer.__struct_fields__ if name not in parts}
    every |= {f"{part}.{name}" for part, type_ in parts.items() for name in type_.__struct_fields__}
    assert {field.path for field in forms.FIELDS.values()} | forms.MACHINE == every
