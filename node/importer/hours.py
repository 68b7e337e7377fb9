"""Opening hours as Italians write them → a week, months, seasons, and how far they were understood. Nothing is guessed.

`parse_hours("lun-ven 9-12; mar e gio 15-17:30")` gives status "ok" and a week. Status words: domain/sample/README.md.
Words that could not be placed make the reading "partial" ("unparsed" when no time is left); impossible times, "error".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from msgspec import UNSET

from node.importer.hours_chunks import NOON, Attending, Clause, Closure, Parse, Span
from node.importer.hours_clauses import read
from node.importer.hours_words import ALL_DAYS, DAY_KEYS, MAX_TEXT, SeasonWords, fold, tokens
from protocol.opening import DAYS, union_minutes
from schemas.records import Schedule, Season

Status = Literal[
    "ok", "ok_assumed", "ok_seasonal", "ok_monthly", "h24", "by_appointment", "phone_only",
    "partial", "unparsed", "error",
]  # fmt: skip
Week = dict[str, list[list[str]]]
_EVERY_NIGHT: Final = frozenset(ALL_DAYS)
_DAY: Final = 24 * 60
_DATE: Final = re.compile(r"20\d\d-\d\d-\d\d")


@dataclass(frozen=True)
class Rule:
    """One rule as read: days of the week or (n-th, day) of the month, one span, who attends, when in the year."""

    days: tuple[int, ...]
    nth: tuple[tuple[int, int], ...]
    span: Span
    attending: Attending
    season: SeasonWords | None = None
    closed_season: Season | None = None
    fortnight: bool = False


@dataclass(frozen=True)
class HoursReading:
    """`desk_hours_per_week`: hours in season; None when the week is not known, 0 by appointment or telephone.

    `foreign`: some times seem to be those of another service.
    """

    text: str
    status: Status
    weekly: Week = field(default_factory=dict)
    monthly: list[tuple[int, str, str, str]] = field(default_factory=list)
    overnight: tuple[str, str] | None = None
    season: Season | None = None
    closed_season: Season | None = None
    desk_hours_per_week: float | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()
    leftovers: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    foreign: bool = False


def clock(minutes: int) -> str:
    """570 → "09:30"."""
    return f"{minutes // 60:02}:{minutes % 60:02}"


def parse_hours(text: str) -> HoursReading:
    """Reads one cell. Deterministic; never raises."""
    folded = fold(text)
    if not folded.strip("-. "):
        return HoursReading(text, "unparsed", problems=(("hours-missing", ""),))
    if len(folded) > MAX_TEXT:
        return HoursReading(text, "unparsed", problems=(("hours-too-long", ""),), leftovers=(folded[:MAX_TEXT],))
    parse = read(tokens(folded))
    _spend_closures(parse)
    rules = tuple(_rules(parse))
    return _reading(text, parse, rules)


# -- closures


def _spend_closures(parse: Parse) -> None:
    for closure in parse.closures:
        if closure.season is None:
            for clause in list(parse.clauses):
                _close(parse, clause, closure)


def _close(parse: Parse, clause: Clause, closure: Closure) -> None:
    """Takes closed days out of a clause; a closed afternoon splits the clause in two."""
    if clause.days is None or (closure.holiday and clause.days != _EVERY_NIGHT):
        return
    hit = clause.days if closure.days is None else clause.days & closure.days
    if not hit:
        return
    clause.days -= hit
    if closure.part:
        kept = [s for s in clause.spans if _outside(s, closure.part)]
        if any(s.opens < NOON < s.closes - 60 for s in clause.spans):
            parse.leftovers.append(f"chiuso {closure.part}")
        if kept:
            parse.clauses.append(Clause(hit, [], kept, clause.attending, clause.season, foreign=clause.foreign))


def _outside(span: Span, part: str) -> bool:
    return span.opens < NOON if part != "morning" else span.opens >= NOON - 60


# -- rules


def _rules(parse: Parse) -> list[Rule]:
    shut = [c.season for c in parse.closures if c.season]
    if len(shut) > 1:
        parse.leftovers.append("più periodi di chiusura")
    found: list[Rule] = []
    for clause in parse.clauses:
        days = _days_of(parse, clause)
        if clause.foreign or (not days and not clause.nth):
            continue
        attending = clause.attending or parse.whole or "desk"
        found.extend(
            Rule(days, tuple(clause.nth), span, attending, clause.season, shut[0] if shut else None, clause.fortnight)
            for span in clause.spans
        )
    return found


def _days_of(parse: Parse, clause: Clause) -> tuple[int, ...]:
    """Days of a clause. Without days only a night has all of them; other bare times, or bare days, are left over."""
    if clause.placed:
        bare = not clause.timed and clause.attending is None and not clause.foreign
        if bare and (clause.days or clause.nth) and not parse.marks:
            parse.leftovers.append("giorni senza orario")
        return tuple(sorted(clause.days or ()))
    if all(span.closes <= span.opens for span in clause.spans):
        parse.assumed.append("senza giorni: letto come tutte le notti")
        return ALL_DAYS
    if not clause.foreign:
        parse.leftovers.append("orario senza giorni")
    return ()


# -- the reading


def _reading(text: str, parse: Parse, rules: tuple[Rule, ...]) -> HoursReading:
    if parse.h24 and not rules:
        rules = (Rule(ALL_DAYS, (), Span(0, _DAY), "desk"),)
    elif parse.h24:
        parse.leftovers.append("h24 insieme ad altri orari")
    if any(rule.fortnight for rule in rules):
        parse.leftovers.append("a settimane alterne, senza data di inizio")
    if _overlapping(rules):
        parse.assumed.append("gli orari di un periodo dell’anno si aggiungono a quelli di tutto l’anno")
    status = _status(parse, rules)
    shown = () if status == "h24" else _shown(rules)
    weekly, overnight = _weekly(shown)
    closed = next((c.season for c in parse.closures if c.season), None)
    season = next((rule.season.season for rule in rules if rule.season), None)
    hours = _desk_hours(status, weekly, overnight, shown)
    problems = [*parse.bad]
    if parse.leftovers:
        dates = [word for word in parse.leftovers if _DATE.fullmatch(word)]
        problems.append(("hours-date", dates[0]) if dates else ("hours-not-understood", " ".join(parse.leftovers)))
    problems += [("hours-assumed", word) for word in parse.assumed]
    if status == "unparsed" and not parse.leftovers:
        problems.append(("hours-not-understood", text[:80]))
    return HoursReading(
        text, status, weekly, _monthly(shown), overnight, season, closed, hours,
        (*_mixed_notes(rules, shown), *parse.notes), tuple(problems), tuple(parse.leftovers), rules,
        parse.other_service,
    )  # fmt: skip


def _overlapping(rules: tuple[Rule, ...]) -> bool:
    """ "lun-ven 9-13; in agosto lun 9-11": besides, or instead? Both schedules stay, and it is said."""
    always = {day for rule in rules if rule.season is None for day in rule.days}
    return any(rule.season and always & set(rule.days) for rule in rules)


def _status(parse: Parse, rules: tuple[Rule, ...]) -> Status:
    """The first word of the table that fits."""
    desk = [rule for rule in rules if rule.attending == "desk"]
    digits = any(c.isdigit() for word in parse.leftovers for c in word)
    appointment = not desk and bool(parse.marks & {"appointment", "booking"})
    phone = not desk and "phone" in parse.marks
    seasonal = any(rule.season for rule in rules) or any(c.season for c in parse.closures)
    table: list[tuple[bool, Status]] = [
        (bool(parse.bad), "error"),
        (parse.h24 and not parse.leftovers, "h24"),
        (bool(parse.leftovers) and appointment and not digits, "by_appointment"),
        (bool(parse.leftovers) and phone and not digits and not rules, "phone_only"),
        (bool(parse.leftovers) and bool(rules), "partial"),
        (bool(parse.leftovers), "unparsed"),
        (appointment, "by_appointment"),
        (phone, "phone_only"),
        (not rules, "unparsed"),
        (any(rule.nth for rule in rules), "ok_monthly"),
        (seasonal, "ok_seasonal"),
        (bool(parse.assumed), "ok_assumed"),
    ]
    return next((word for fits, word in table if fits), "ok")


def _shown(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """The rules of the week shown: desk hours when there are any, otherwise the hours for booking or telephone.

    Of several seasons the first one written: adding them up would give a week that never is.
    """
    kept = tuple(rule for rule in rules if rule.attending == "desk") or rules
    first = next((rule.season for rule in kept if rule.season), None)
    return tuple(rule for rule in kept if rule.season in (None, first))


def _weekly(rules: tuple[Rule, ...]) -> tuple[Week, tuple[str, str] | None]:
    week: dict[int, list[Span]] = {}
    overnight: tuple[str, str] | None = None
    for rule in rules:
        crosses = rule.span.closes <= rule.span.opens
        if crosses and not rule.nth:
            overnight = (clock(rule.span.opens), clock(rule.span.closes))
        if crosses and frozenset(rule.days) == _EVERY_NIGHT:
            continue
        for day in rule.days:
            week.setdefault(day, []).append(rule.span)
    shown = {DAY_KEYS[d]: [[clock(a), clock(b)] for a, b in _merged(week[d])] for d in sorted(week)}
    return shown, overnight


def _merged(spans: list[Span]) -> list[Span]:
    """In order; overlapping spans of a day become one."""
    kept: list[Span] = []
    for span in sorted(set(spans)):
        last = kept[-1] if kept else None
        if last and last.opens < last.closes and span.opens < span.closes and span.opens < last.closes:
            kept[-1] = Span(last.opens, max(last.closes, span.closes))
        else:
            kept.append(span)
    return kept


def _monthly(rules: tuple[Rule, ...]) -> list[tuple[int, str, str, str]]:
    return [(n, DAY_KEYS[d], clock(r.span.opens), clock(r.span.closes)) for r in rules for n, d in r.nth]


def _desk_hours(status: Status, weekly: Week, overnight: object, rules: tuple[Rule, ...]) -> float | None:
    if status == "h24":
        return 168.0
    if status in ("by_appointment", "phone_only"):
        return 0.0
    every_week = [r for r in rules if r.attending == "desk" and r.days and not r.fortnight]
    if not every_week or status == "unparsed":
        return None
    return round(union_minutes([(d * _DAY + a, d * _DAY + b) for d, a, b in map_spans(every_week)]) / 60, 2)


def map_spans(rules: list[Rule]) -> list[tuple[int, int, int]]:
    """(day, opens, closes) in minutes; `closes` goes past 1440 when it crosses midnight."""
    return [(d, a, b if b > a else b + _DAY) for r in rules for d in r.days for a, b in (r.span,)]


def _mixed_notes(rules: tuple[Rule, ...], shown: tuple[Rule, ...]) -> list[str]:
    names = {"appointment": "su appuntamento", "booking": "per prenotare", "phone": "per telefono"}
    others = [rule for rule in rules if shown and rule not in shown]
    return [
        f"{names.get(r.attending) or 'in un altro periodo dell’anno'} {clock(r.span.opens)}-{clock(r.span.closes)}"
        for r in others
    ]


def schedules(reading: HoursReading, new_id: Callable[[], str]) -> list[Schedule]:
    """HSDS schedules of a reading, one for each rule; ids from the caller's dice."""
    return [_schedule(rule, freq, byday, new_id()) for rule in reading.rules for freq, byday in _bydays(rule)]


def _bydays(rule: Rule) -> list[tuple[Literal["WEEKLY", "MONTHLY"], str]]:
    found: list[tuple[Literal["WEEKLY", "MONTHLY"], str]] = []
    if rule.days:
        found.append(("WEEKLY", ",".join(DAYS[d] for d in rule.days)))
    if rule.nth:
        found.append(("MONTHLY", ",".join(f"{n}{DAYS[d]}" for n, d in rule.nth)))
    return found


def _schedule(rule: Rule, freq: Literal["WEEKLY", "MONTHLY"], byday: str, ident: str) -> Schedule:
    words = rule.season
    dated = words is not None and bool(words.valid_from)
    return Schedule(
        id=ident,
        freq=freq,
        byday=byday,
        opens_at=clock(rule.span.opens),
        closes_at=clock(rule.span.closes),
        interval=2 if rule.fortnight else UNSET,
        valid_from=words.valid_from if words and dated else UNSET,
        valid_to=words.valid_to if words and dated else UNSET,
        attending=rule.attending,
        season=words.season if words and not dated else UNSET,
        closed_season=rule.closed_season or UNSET,
    )
