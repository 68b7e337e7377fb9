"""Which services to propose for a need, in order, each with reasons and warnings. It proposes; a person confirms.

Pure: the map and the network's rules come in as views, the day as text. No search by words (node.map), no sending.
The order: what a rule of the network prefers first; then fewer and lighter warnings; then nearer; equals in the
neutral order of the day (DESIGN §4, §5; seed features F000-10, F000-35, F001-38).
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

import msgspec

from protocol.errors import ProtocolError
from protocol.neutral import neutral_key

ReasonCode: TypeAlias = Literal["rule", "need", "target", "competent", "open-now"]
WarningCode: TypeAlias = Literal[
    "outside-territory",
    "requirement-age",
    "requirement-target",
    "kind-not-accepted",
    "not-capable",
    "residence-unknown",
    "full",
    "assessment-first",
    "referral-only",
    "closed-now",
    "stale",
]


class Warn(NamedTuple):
    """`weight` orders: each outweighs all lighter ones together; 0 is only said. `text`: Italian, for people."""

    weight: int
    text: str


WARNINGS: Final[dict[WarningCode, Warn]] = {
    "outside-territory": Warn(512, "La persona risiede fuori dal territorio servito."),
    "requirement-age": Warn(256, "L'età non rientra nei requisiti."),
    "requirement-target": Warn(128, "Il servizio si rivolge ad altri destinatari."),
    "not-capable": Warn(64, "L'ente non è abilitato a prendere in carico."),
    "kind-not-accepted": Warn(32, "L'ufficio non riceve questo tipo di invio."),
    "full": Warn(16, "Posti esauriti al momento."),
    "assessment-first": Warn(8, "Prima serve una valutazione."),
    "closed-now": Warn(4, "Chiuso in questo momento."),
    "residence-unknown": Warn(2, "Serve la residenza: chiedere dove risiede la persona."),
    "stale": Warn(1, "Informazione non verificata da tempo: telefonare prima."),
    "referral-only": Warn(0, "Si accede solo con l'invio di un ufficio della rete."),
}
REASONS: Final[dict[ReasonCode, str]] = {
    "rule": "Lo prevede una regola della rete.",
    "need": "Risponde al bisogno indicato.",
    "target": "Si rivolge a queste persone.",
    "competent": "Serve il comune di residenza.",
    "open-now": "Aperto in questo momento.",
}
STALE_AFTER_DAYS: Final = 180  # DOMAIN §10, indicator 16
EVERYBODY: Final = "TG-TUTTI"
NO_DISTANCE: Final = 10**6


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the question, and of whose: no name, no address.

    `age`: (from, to) in years, both included. `residence`: ISTAT code valid today (predecessors already mapped).
    `health`: a health need goes with the social one. `kind`: the referral kind wanted (RK-…), None when only asking.
    `date`: the day in Italy, ISO; it turns the neutral order.
    """

    need: str
    date: str
    targets: frozenset[str] = frozenset()
    age: tuple[int, int] | None = None
    residence: str | None = None
    urgency: str = "UR-ORD"
    health: bool = False
    kind: str | None = None


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One service as the map shows it, with what the members document says of its owner.

    `capabilities`: of the member's admission. `territory`: ISTAT codes valid today, empty for everywhere. `kinds`:
    referral kinds accepted, empty for all. `open_now`: None when the hours are not known. `stale_days`: days since it
    was last verified. `distance_km`: whole kilometres from the person's comune, None when not known.
    """

    service: str
    member: str
    member_type: str
    capabilities: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    territory: frozenset[str] = frozenset()
    residence_required: bool = False
    age: tuple[int, int] | None = None
    assessment_first: bool = False
    referral_only: bool = False
    full: bool = False
    stale_days: int | None = None
    open_now: bool | None = None
    kinds: frozenset[str] = frozenset()
    distance_km: int | None = None


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A routing rule of the network, a row of `rules` in the members document. A rule looks like this:

    {"id":"PUA-1","needs":["NA-DOMIC"],"targets":["TG-ANZNA"],"capability":"pua","category":"SC-PUA","text":"…"}

    It applies when every condition given holds (an empty list asks nothing); it then prefers the services of
    `category` whose owner has been *admitted* with `capability`: a category alone is only the owner's word.
    """

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    capability: str
    category: str
    text: Annotated[str, msgspec.Meta(max_length=300)]
    needs: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    urgencies: frozenset[str] = frozenset()
    health: bool = False
    telephone_first: bool = False

    def applies(self, need: Need) -> bool:
        """True if every condition of the rule holds for this need."""
        return (
            (not self.needs or need.need in self.needs)
            and (not self.targets or not self.targets.isdisjoint(need.targets))
            and (not self.urgencies or need.urgency in self.urgencies)
            and (not self.health or need.health)
        )

    def prefers(self, candidate: Candidate) -> bool:
        """True if this rule sends to that service."""
        return self.capability in candidate.capabilities and self.category in candidate.categories


_PIS_TEXT: Final = "Emergenza: Pronto Intervento Sociale, prima per telefono; 112 se c'è pericolo di vita."
_PUA_TEXT: Final = "Bisogno sociale e sanitario di una persona non autosufficiente: Punto Unico di Accesso."
# What a network starts with; its own, approved by the gruppo tecnico, stand in the members document.
DEFAULT_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="PIS-1", urgencies=frozenset({"UR-PIS"}),
        capability="pis", category="SC-PIS", telephone_first=True, text=_PIS_TEXT,
    ),
    Rule(
        id="PIS-2", needs=frozenset({"NA-EMERG"}),
        capability="pis", category="SC-PIS", telephone_first=True, text=_PIS_TEXT,
    ),
    Rule(
        id="PUA-1", urgencies=frozenset({"UR-PUA24"}),
        capability="pua", category="SC-PUA", telephone_first=True, text=_PUA_TEXT,
    ),
    # Care at home and in a facility are social and health needs by themselves (seed 000: cure domiciliari integrate).
    Rule(
        id="PUA-2", needs=frozenset({"NA-DOMIC", "NA-RESID"}), targets=frozenset({"TG-ANZNA"}),
        capability="pua", category="SC-PUA", text=_PUA_TEXT,
    ),
    Rule(
        id="PUA-3", targets=frozenset({"TG-ANZNA"}), health=True,
        capability="pua", category="SC-PUA", text=_PUA_TEXT,
    ),
)  # fmt: skip


class Reason(NamedTuple):
    """Why a service is proposed; `text` is the rule's own where a rule prefers it."""

    code: ReasonCode
    text: str


class Proposal(msgspec.Struct, frozen=True):
    """One proposal. `competent`: the member to ask instead, when the residence is outside this one's territory."""

    candidate: Candidate
    reasons: tuple[Reason, ...]
    warnings: tuple[WarningCode, ...]
    rule: str | None = None
    telephone_first: bool = False
    competent: str | None = None


def read_rules(rows: Iterable[msgspec.Raw | bytes]) -> tuple[Rule, ...]:
    """The rules of a members document, the default ones if it has none. Raises `bad-shape`."""
    try:
        rules = tuple(msgspec.json.decode(row, type=Rule) for row in rows)
    except msgspec.MsgspecError as wrong:
        raise ProtocolError("bad-shape", field="rules") from wrong
    return rules or DEFAULT_RULES


def route(need: Need, candidates: Iterable[Candidate], rules: Sequence[Rule] = DEFAULT_RULES) -> tuple[Proposal, ...]:
    """The services to propose, best first: those that answer the need and those a rule prefers, no other."""
    views = list(candidates)
    active = [rule for rule in rules if rule.applies(need)]
    proposals = []
    for view in views:
        rule = next((rule for rule in active if rule.prefers(view)), None)
        if rule is not None or need.need in view.needs:
            proposals.append((_order(need, view, rule, active), _propose(need, view, rule, views)))
    return tuple(proposal for _, proposal in sorted(proposals, key=lambda pair: pair[0]))


def _propose(need: Need, view: Candidate, rule: Rule | None, views: Sequence[Candidate]) -> Proposal:
    warnings = _warnings(need, view)
    return Proposal(
        candidate=view,
        reasons=_reasons(need, view, rule),
        warnings=warnings,
        rule=rule.id if rule else None,
        telephone_first=bool(rule and rule.telephone_first),
        competent=_competent(need, view, views) if "outside-territory" in warnings else None,
    )


def _serves_residence(need: Need, view: Candidate) -> bool:
    return need.residence is not None and (not view.territory or need.residence in view.territory)


def _is_for(need: Need, view: Candidate) -> bool:
    return not view.targets or EVERYBODY in view.targets or not view.targets.isdisjoint(need.targets)


def _outside_age(need: Need, view: Candidate) -> bool:
    """Certainly outside: an age band that only overlaps raises no warning."""
    return need.age is not None and view.age is not None and (need.age[1] < view.age[0] or need.age[0] > view.age[1])


def _reasons(need: Need, view: Candidate, rule: Rule | None) -> tuple[Reason, ...]:
    named = bool(need.targets) and not view.targets.isdisjoint(need.targets)
    found: tuple[tuple[ReasonCode, bool], ...] = (
        ("need", need.need in view.needs),
        ("target", named),
        ("competent", _serves_residence(need, view)),
        ("open-now", view.open_now is True),
    )
    by_rule = (Reason("rule", rule.text),) if rule else ()
    return by_rule + tuple(Reason(code, REASONS[code]) for code, holds in found if holds)


def _warnings(need: Need, view: Candidate) -> tuple[WarningCode, ...]:
    """In the order of the table, heaviest first."""
    met: dict[WarningCode, bool] = {
        "outside-territory": need.residence is not None and not _serves_residence(need, view),
        "requirement-age": _outside_age(need, view),
        "requirement-target": bool(need.targets) and not _is_for(need, view),
        "not-capable": need.kind == "RK-PIC" and "take-in-charge" not in view.capabilities,
        "kind-not-accepted": need.kind is not None and bool(view.kinds) and need.kind not in view.kinds,
        "full": view.full,
        "assessment-first": view.assessment_first,
        "closed-now": view.open_now is False,
        "residence-unknown": need.residence is None and view.residence_required,
        "stale": view.stale_days is not None and view.stale_days > STALE_AFTER_DAYS,
        "referral-only": view.referral_only,
    }
    return tuple(code for code in WARNINGS if met[code])


def _order(need: Need, view: Candidate, rule: Rule | None, active: Sequence[Rule]) -> tuple[int, int, int, bytes, str]:
    """Smaller first. Whole kilometres, so that a pin a few metres nearer does not decide among equals."""
    return (
        active.index(rule) if rule else len(active),
        sum(WARNINGS[code].weight for code in _warnings(need, view)),
        NO_DISTANCE if view.distance_km is None else view.distance_km,
        neutral_key(need.date, min(view.categories, default=""), view.member),
        view.service,
    )


def _competent(need: Need, outside: Candidate, views: Sequence[Candidate]) -> str | None:
    """Who serves that residence: the same kind of body for the same need, else for the need, else the comune.

    Never another patronato: the choice among them is the person's (DESIGN §4, PROTOCOL §6 Redirect).
    """
    here = [view for view in views if view.territory and need.residence in view.territory]
    answering = [view for view in here if need.need in view.needs]
    choices = (
        [view for view in answering if view.member_type == outside.member_type],
        answering,
        [view for view in here if view.member_type == "PT-COMUNE"],
    )
    for choice in choices:
        neutral = [
            view for view in choice if view.member_type != "PT-PATRONATO" or outside.member_type != "PT-PATRONATO"
        ]
        if neutral:
            return min(neutral, key=lambda view: _order(need, view, None, ())).member
    return None
