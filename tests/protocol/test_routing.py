"""Routing: what is proposed for a need, in which order, with which reasons and warnings."""

import random
from hashlib import sha256

import msgspec
import pytest

from protocol.errors import ProtocolError
from protocol.neutral import neutral_key
from protocol.routing import DEFAULT_RULES, REASONS, WARNINGS, Candidate, Need, Proposal, Rule, read_rules, route
from schemas.vocabularies import table

PESARO, MONTELABBATE, TAVULLIA = "041044", "041036", "041065"
DAY = "2026-11-21"


def service(name: str, member: str, ptype: str, **more: object) -> Candidate:
    fields = {"service": name, "member": member, "member_type": ptype} | more
    return Candidate(**{k: frozenset(v) if isinstance(v, set) else v for k, v in fields.items()})  # type: ignore[arg-type]


SSP_PESARO = service(
    "ssp-pesaro", "comune-pesaro", "PT-COMUNE", needs={"NA-ECON"}, categories={"SC-ECON"}, territory={PESARO},
    residence_required=True, capabilities={"take-in-charge", "pis"},
)  # fmt: skip
SSP_MONTELABBATE = service(
    "ssp-mont", "comune-montelabbate", "PT-COMUNE", needs={"NA-ECON"}, categories={"SC-ECON"},
    territory={MONTELABBATE}, residence_required=True, capabilities={"take-in-charge"},
)  # fmt: skip
DESK_TAVULLIA = service("ups-tavullia", "comune-tavullia", "PT-COMUNE", needs={"NA-INFO"}, territory={TAVULLIA})
PUA = service(
    "pua", "distretto", "PT-DISTRETTO", needs={"NA-DOMIC"}, targets={"TG-ANZNA", "TG-DISAB"}, categories={"SC-PUA"},
    territory={PESARO, MONTELABBATE, TAVULLIA}, capabilities={"take-in-charge", "pua"},
)  # fmt: skip
SAD = service(
    "sad", "comune-pesaro", "PT-COMUNE", needs={"NA-DOMIC"}, targets={"TG-ANZIANI", "TG-ANZNA"}, categories={"SC-SAD"},
    territory={PESARO}, capabilities={"take-in-charge", "pis"}, assessment_first=True,
)  # fmt: skip
PIS = service("pis", "comune-pesaro", "PT-COMUNE", needs={"NA-EMERG"}, categories={"SC-PIS"}, capabilities={"pis"})
SHELTER = service("dorm", "ts-lanterna", "PT-ETS", needs={"NA-EMERG", "NA-CASA"}, categories={"SC-DORM"})
MAP = [SSP_PESARO, SSP_MONTELABBATE, DESK_TAVULLIA, PUA, SAD, PIS, SHELTER]


def names(proposals: tuple[Proposal, ...]) -> list[str]:
    return [proposal.candidate.service for proposal in proposals]


def patronati(**more: object) -> list[Candidate]:
    return [
        service(f"inv-{x}", f"patr-fittizio-{x}", "PT-PATRONATO", needs={"NA-INVAL"}, categories={"SC-PATR"}, **more)
        for x in "abcd"
    ]


@pytest.mark.feature("F000-10")
def test_residence_in_another_comune_warns_and_suggests_the_competent_member() -> None:
    proposals = route(Need(need="NA-ECON", residence=MONTELABBATE, date=DAY), MAP)
    assert names(proposals) == ["ssp-mont", "ssp-pesaro"]
    assert proposals[0].warnings == ()
    assert "outside-territory" in proposals[1].warnings
    assert proposals[1].competent == "comune-montelabbate"


@pytest.mark.feature("F000-10")
def test_where_nobody_answers_the_need_the_comune_of_residence_is_suggested() -> None:
    proposals = route(Need(need="NA-ECON", residence=TAVULLIA, date=DAY), [SSP_PESARO, DESK_TAVULLIA])
    assert [(p.candidate.service, p.competent) for p in proposals] == [("ssp-pesaro", "comune-tavullia")]


@pytest.mark.feature("F000-10")
@pytest.mark.parametrize(
    ("change", "need", "warning"),
    [
        ({"age": (65, 120)}, {"age": (30, 40)}, "requirement-age"),
        ({"targets": frozenset({"TG-MINORI"})}, {"targets": frozenset({"TG-ANZIANI"})}, "requirement-target"),
        ({"kinds": frozenset({"RK-INFO"})}, {"kind": "RK-SEGN"}, "kind-not-accepted"),
        ({"capabilities": frozenset()}, {"kind": "RK-PIC"}, "not-capable"),
        ({"full": True}, {}, "full"),
        ({"assessment_first": True}, {}, "assessment-first"),
        ({"open_now": False}, {}, "closed-now"),
        ({"residence_required": True}, {"residence": None}, "residence-unknown"),
        ({"stale_days": 181}, {}, "stale"),
        ({"referral_only": True}, {}, "referral-only"),
    ],
)
def test_each_thing_to_know_before_sending_is_said(
    change: dict[str, object], need: dict[str, object], warning: str
) -> None:
    base = msgspec.structs.replace(SSP_PESARO, residence_required=False)
    asked = msgspec.structs.replace(Need(need="NA-ECON", residence=PESARO, date=DAY), **need)
    assert route(asked, [base])[0].warnings == ()
    other = msgspec.structs.replace(base, service="other", **change)
    proposals = route(asked, [other, base])
    assert dict(zip(names(proposals), (p.warnings for p in proposals), strict=True))["other"] == (warning,)
    if WARNINGS[warning].weight:  # type: ignore[index]
        assert names(proposals) == ["ssp-pesaro", "other"]


def test_an_age_band_that_overlaps_raises_no_warning() -> None:
    view = msgspec.structs.replace(SSP_PESARO, age=(65, 120))
    assert route(Need(need="NA-ECON", residence=PESARO, age=(60, 70), date=DAY), [view])[0].warnings == ()


@pytest.mark.feature("F000-35")
def test_care_at_home_of_a_non_self_sufficient_person_goes_to_the_pua_first() -> None:
    need = Need(need="NA-DOMIC", targets=frozenset({"TG-ANZNA"}), residence=PESARO, date=DAY)
    first = route(need, MAP)[0]
    assert (first.candidate.service, first.rule) == ("pua", "PUA-2")
    assert first.reasons[0].code == "rule"
    assert "Punto Unico di Accesso" in first.reasons[0].text


@pytest.mark.feature("F000-35")
def test_a_health_need_beside_a_social_one_goes_to_the_pua_though_it_does_not_list_the_need() -> None:
    need = Need(need="NA-SOLIT", targets=frozenset({"TG-ANZNA"}), health=True, residence=PESARO, date=DAY)
    assert names(route(need, MAP)) == ["pua"]


@pytest.mark.feature("F000-35")
def test_without_the_health_side_an_older_person_s_need_is_routed_as_any_other() -> None:
    need = Need(need="NA-DOMIC", targets=frozenset({"TG-ANZIANI"}), residence=PESARO, date=DAY)
    assert route(need, MAP)[0].rule is None


@pytest.mark.parametrize("need", [{"need": "NA-EMERG"}, {"need": "NA-CASA", "urgency": "UR-PIS"}])
def test_an_emergency_goes_to_the_pronto_intervento_telephone_first(need: dict[str, str]) -> None:
    first = route(Need(date=DAY, **need), MAP)[0]  # type: ignore[arg-type]
    assert first.candidate.service == "pis"
    assert first.telephone_first


def test_a_service_that_only_calls_itself_pua_is_not_preferred() -> None:
    claimed = msgspec.structs.replace(PUA, service="false-pua", member="patr-fittizio-a", capabilities=frozenset())
    need = Need(need="NA-DOMIC", targets=frozenset({"TG-ANZNA"}), residence=PESARO, date=DAY)
    proposals = route(need, [claimed, PUA])
    assert names(proposals) == ["pua", "false-pua"]
    assert proposals[1].rule is None


@pytest.mark.feature("F001-38")
def test_need_and_residence_propose_a_competent_node() -> None:
    proposals = route(Need(need="NA-ECON", residence=PESARO, kind="RK-PIC", date=DAY), MAP)
    assert proposals[0].candidate.member == "comune-pesaro"
    assert {reason.code for reason in proposals[0].reasons} == {"need", "competent"}


@pytest.mark.feature("F001-38")
def test_what_has_nothing_to_do_with_the_need_is_not_proposed() -> None:
    assert route(Need(need="NA-CULTURA", residence=PESARO, date=DAY), MAP) == ()


def test_nearer_comes_first_and_equals_turn_every_day() -> None:
    near, *rest = patronati()
    near = msgspec.structs.replace(near, distance_km=1)
    far = [msgspec.structs.replace(view, distance_km=9) for view in rest]
    assert route(Need(need="NA-INVAL", date=DAY), [*far, near])[0].candidate is near
    firsts = {
        names(route(Need(need="NA-INVAL", date=f"2026-{month:02}-{day:02}"), patronati()))[0]
        for month in (1, 2, 3)
        for day in range(1, 29)
    }
    assert len(firsts) == 4


def test_the_order_does_not_depend_on_the_order_of_the_map() -> None:
    need = Need(need="NA-INVAL", residence=PESARO, date=DAY)
    views = [*patronati(), *MAP]
    expected = names(route(need, views))
    random.Random(4).shuffle(views)
    assert names(route(need, views)) == expected


def test_the_neutral_order_is_the_published_one() -> None:
    assert neutral_key(DAY, "SC-PATR", "patr-fittizio-a") == sha256(b"2026-11-21SC-PATRpatr-fittizio-a").digest()
    ordered = [p.candidate.member for p in route(Need(need="NA-INVAL", date=DAY), patronati())]
    assert ordered == sorted(ordered, key=lambda member: sha256(f"{DAY}SC-PATR{member}".encode()).digest())


def test_another_patronato_is_never_suggested_in_place_of_one() -> None:
    outside, *others = patronati(territory={PESARO})
    here = [msgspec.structs.replace(view, territory=frozenset({TAVULLIA})) for view in others]
    proposals = route(Need(need="NA-INVAL", residence=TAVULLIA, date=DAY), [outside, *here, DESK_TAVULLIA])
    suggested = {p.candidate.service: p.competent for p in proposals}
    assert suggested["inv-a"] == "comune-tavullia"


def test_weights_make_every_warning_outweigh_the_lighter_ones_together() -> None:
    weights = [warn.weight for warn in WARNINGS.values()]
    assert all(weight > sum(weights[at + 1 :]) for at, weight in enumerate(weights[:-1]))
    assert all(text for text in REASONS.values())


def test_rules_use_codes_of_the_vocabularies() -> None:
    known = {"needs": "need_areas", "targets": "target_groups", "urgencies": "urgency_levels"}
    for rule in DEFAULT_RULES:
        assert rule.category in table("service_categories")
        for field, name in known.items():
            assert getattr(rule, field) <= set(table(name))


def test_rules_are_read_from_the_members_document_and_replace_the_default_ones() -> None:
    row = b'{"id":"X","needs":["NA-CASA"],"capability":"router","category":"SC-DORM","text":"Casa.","later":1}'
    rules = read_rules([msgspec.Raw(row)])
    assert rules == (Rule(id="X", capability="router", category="SC-DORM", text="Casa.", needs=frozenset({"NA-CASA"})),)
    assert read_rules([]) == DEFAULT_RULES
    again = read_rules(msgspec.json.encode(rule) for rule in DEFAULT_RULES)
    assert again == DEFAULT_RULES


@pytest.mark.parametrize(
    "row", [b"{}", b"[]", b'{"id":7}', b"not json", b'{"id":"","capability":"","category":"","text":""}']
)
def test_a_rule_that_is_not_one_is_refused(row: bytes) -> None:
    with pytest.raises(ProtocolError) as refused:
        read_rules([row])
    assert refused.value.code == "bad-shape"
