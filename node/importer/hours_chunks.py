"""Tokens of opening hours → chunks: a list of days, a pair of times, a span of the year. Clauses are hours_clauses.

Also the shapes that the reading of hours passes on. Impossible times become "bad" chunks; they are never corrected.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from node.importer.hours_words import ALL_DAYS, DAY_NAMES, SeasonWords, Token, is_typo
from schemas.records import Season

Attending = Literal["desk", "phone", "booking", "appointment"]
_SETS: Final[dict[object, frozenset[int]]] = {
    "working": frozenset(range(6)),
    "office": frozenset(range(5)),
    "halves": frozenset(ALL_DAYS),
    ALL_DAYS: frozenset(ALL_DAYS),
    (5, 6): frozenset((5, 6)),
}
_SKIPPED: Final = frozenset({"filler", "clock", "colon"})
NIGHT_BEGINS, NIGHT_ENDS = 18 * 60, 10 * 60
NOON: Final = 13 * 60
_AFTERNOON_FROM, _AFTERNOON_TO = 6 * 60, 8 * 60  # an office that says 3-6 means 15-18


class Span(NamedTuple):
    """Minutes of the day; `closes` ≤ `opens` crosses midnight."""

    opens: int
    closes: int


class Days(NamedTuple):
    """Groups are what commas part: [{mon}, {tue, wed}]. `holiday`: "festivi" is among them.

    Every Sunday is a "festivo" (L. 260/1949), but who is open on them may mean the feasts only: closed on Sundays is
    certain, open on Sundays is not.
    """

    groups: list[frozenset[int]]
    assumed: str = ""
    holiday: bool = False

    @property
    def all(self) -> frozenset[int]:
        return frozenset().union(*self.groups)

    @property
    def shut(self) -> frozenset[int]:
        """The days that are closed when these are."""
        return self.all | ({6} if self.holiday else set())


class Chunk(NamedTuple):
    kind: str
    text: str
    value: object = None


@dataclass
class Clause:
    """Days and times that belong together. `foreign`: of another service, or of a season without dates."""

    days: frozenset[int] | None = None
    nth: list[tuple[int, int]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    attending: Attending | None = None
    season: SeasonWords | None = None
    part: str = ""
    fortnight: bool = False
    foreign: bool = False
    holiday: bool = False

    @property
    def timed(self) -> bool:
        return bool(self.spans)

    @property
    def placed(self) -> bool:
        return self.days is not None or bool(self.nth)


class Closure(NamedTuple):
    """What is closed: days (None: all), a part of the day, a span of the year, holidays."""

    days: frozenset[int] | None = None
    part: str = ""
    season: Season | None = None
    holiday: bool = False


@dataclass
class Parse:
    """All that was read. `leftovers` are the words nobody could place, `bad` the impossible times."""

    clauses: list[Clause] = field(default_factory=list)
    closures: list[Closure] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)
    whole: Attending | None = None
    h24: bool = False
    other_service: bool = False
    leftovers: list[str] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    assumed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


# -- chunks


def _clock(token: Token) -> int | None:
    hour, minute = token.value if isinstance(token.value, tuple) else (99, 0)
    total: int = hour * 60 + minute
    return total if minute < 60 and total <= 24 * 60 else None


def _span(first: Token, second: Token, text: str) -> Chunk:
    opens, closes = _clock(first), _clock(second)
    if opens is None or closes is None or opens == 24 * 60:
        return Chunk("bad", text, "hours-out-of-range")
    closes = closes or 24 * 60
    if closes <= opens and not (opens >= NIGHT_BEGINS and closes <= NIGHT_ENDS):
        return Chunk("bad", text, "hours-reversed")
    return Chunk("span", text, Span(opens, closes))


class Chunker:
    """Tokens → chunks, left to right."""

    def __init__(self, found: list[Token], parse: Parse) -> None:
        self.t = [token for token in found if token.kind != "assuming"]
        self.parse = parse
        self.i = 0
        self.nightly = any(t.kind in ("part", "days") and re.search(r"\b(?:ser|nott)", t.text) for t in found)
        self.last: Span | None = None
        parse.assumed += [f"«{token.text}»" for token in found if token.kind == "assuming"]

    def kind(self, at: int) -> str:
        return self.t[at].kind if at < len(self.t) else "end"

    def past(self, at: int, *kinds: str) -> int:
        """The first position that is neither skipped words nor one of these kinds."""
        while self.kind(at) in _SKIPPED or self.kind(at) in kinds:
            at += 1
        return at

    def run(self) -> list[Chunk]:
        chunks: list[Chunk] = []
        while self.i < len(self.t):
            chunk = self._next()
            if chunk:
                chunks.append(chunk)
        return chunks

    def _next(self) -> Chunk | None:
        token = self.t[self.i]
        start = self.past(self.i, "from")
        led = ("time", "day", "days", "holiday") if token.kind == "from" else ("time",)
        if token.kind in ("from", "clock", "filler") and self.kind(start) in led:
            self.i = start
            return None
        readers: dict[str, Callable[[], Chunk | None]] = {
            "day": self._days, "days": self._days, "holiday": self._days, "ordinal": self._nth, "time": self._times,
        }  # fmt: skip
        if token.kind in readers:
            return readers[token.kind]()
        self.i += 1
        if token.kind in _SKIPPED or token.kind == "ofmonth":
            return None
        if token.kind in ("dash", "slash"):
            return Chunk("comma", token.text)
        if token.kind in ("from", "to"):
            return None if self.kind(self.i) in ("note", "season", "part", "desk") else Chunk("unknown", token.text)
        return Chunk(token.kind, token.text, token.value)

    def _times(self) -> Chunk | None:
        first, at = self.t[self.i], self.past(self.i + 1)
        joined = self.kind(at) in ("dash", "slash", "to")
        second = self.past(at + 1, "to") if joined else at
        if self.kind(second) != "time":
            self.i += 1
            return Chunk("unknown", first.text)
        if not joined:
            if first.text.isdigit() or self.t[second].text.isdigit():
                self.i += 1
                return Chunk("unknown", first.text)
            self.parse.assumed.append(f"«{first.text} {self.t[second].text}» letto come dalle … alle …")
        late = self._late(self.i - 1, second + 1)
        self.i = second + 1
        chunk = self._in_the_day(_span(first, self.t[second], f"{first.text}-{self.t[second].text}"), late)
        self.last = chunk.value if isinstance(chunk.value, Span) else None
        return chunk

    def _late(self, before: int, after: int) -> bool:
        """Whether a word beside the times says afternoon or evening: that before them, else that behind them."""
        while before >= 0 and self.t[before].kind in (*_SKIPPED, "from", "comma"):
            before -= 1
        for at in (before, after):
            if at >= 0 and (self.kind(at) == "part" or (self.kind(at) == "days" and "ser" in self.t[at].text)):
                return bool(re.search(r"\b(?:ser|pom)", self.t[at].text))
        return False

    def _in_the_day(self, chunk: Chunk, late: bool) -> Chunk:
        """ "9-12 e 3-6", "8-10 di sera": hours on a dial of twelve are moved, and that is said; "03:00" stays."""
        span = chunk.value
        if not isinstance(span, Span) or span.opens == 0 or span.opens >= NOON - 60:
            return chunk
        back = self.last is not None and span.opens < self.last.opens and span.closes <= _AFTERNOON_TO
        early = span.opens < _AFTERNOON_FROM and not self.nightly
        on_a_dial = not chunk.text.startswith("0") and span.opens < span.closes
        if on_a_dial and ((late and span.closes <= 12 * 60) or ((early or back) and span.closes <= _AFTERNOON_TO)):
            self.parse.assumed.append(f"«{chunk.text}» letto come {'ore della sera' if late else 'pomeriggio'}")
            return chunk._replace(value=Span(span.opens + 12 * 60, span.closes + 12 * 60))
        if early:
            self.parse.assumed.append(f"«{chunk.text}» letto come ore della notte")
        return chunk

    def _nth(self) -> Chunk | None:
        begin, numbers, at = self.i, [self.t[self.i].value], self.i + 1
        while self.kind(nxt := self.past(at, "and", "comma", "slash", "dash")) == "ordinal":
            numbers.append(self.t[nxt].value)
            at = nxt + 1
        at = self.past(at)
        if self.kind(at) != "day":
            self.i += 1
            return Chunk("unknown", self.t[begin].text)
        day = self.t[at].value
        self.i = at + 1
        pairs = [(n, day) for n in numbers if isinstance(n, int) and isinstance(day, int)]
        return Chunk("nth", " ".join(t.text for t in self.t[begin : self.i]), pairs)

    def _days(self) -> Chunk | None:
        self.last = None
        begin, groups, assumed, holiday = self.i, [set[int]()], "", False
        joined, before = True, False
        while True:
            general = self.kind(self.i) == "days"
            got, words, is_holiday = self._day_item()
            if not joined and (general or before) and groups[-1] & got:
                groups[-1] &= got  # "lun-ven feriali", "tutti i giorni dal lunedì al sabato"
                assumed = assumed if general == before else ""
            else:
                groups[-1] |= got
                assumed = assumed or words
            holiday = holiday or is_holiday
            before = general
            following = self.past(self.i, "comma", "and", "slash", "from", "dash")
            if self.kind(following) not in ("day", "days", "holiday"):
                break
            between = {self.kind(k) for k in range(self.i, following)}
            joined = bool(between & {"comma", "and", "slash", "dash"})
            if "comma" in between:
                groups.append(set())
            self.i = following
        if assumed:
            self.parse.assumed.append(assumed)
        value = Days([frozenset(g) for g in groups], assumed, holiday)
        return Chunk("days", " ".join(t.text for t in self.t[begin : self.i]), value)

    def _day_item(self) -> tuple[set[int], str, bool]:
        token = self.t[self.i]
        if token.kind == "holiday":
            self.i += 1
            return set(), "", True
        if token.kind == "days":
            self.i += 1
            words = {"working": "«feriali» comprende il sabato", "office": "«lavorativi» letto come lun-ven",
                     "halves": f"«{token.text}» letto come tutti i giorni, domenica compresa"}  # fmt: skip
            return set(_SETS[token.value]), words.get(str(token.value), ""), False
        if is_typo(token) and isinstance(token.value, int):
            self.parse.assumed.append(f"«{token.text}» letto come {DAY_NAMES[token.value]}")
        return self._day_range(token)

    def _day_range(self, token: Token) -> tuple[set[int], str, bool]:
        first = token.value if isinstance(token.value, int) else 0
        joint = self.past(self.i + 1)
        second = self.past(joint + 1, "to")
        chained = self.kind(joint) == "dash" and self._dash_day(second)
        if self.kind(second) != "day" or self.kind(joint) not in ("dash", "to", "slash") or chained:
            return self._chain(first, chained)
        last = self.t[second].value
        last = last if isinstance(last, int) else 0
        words = ""
        if self.kind(joint) == "slash":
            if first != 0 or last < 4 or self.kind(self.past(second + 1)) == "slash":
                self.i += 1
                return {first}, "", False
            words = f"«{token.text}/{self.t[second].text}» letto come dal … al …"
        self.i = second + 1
        count = (last - first) % 7 + 1
        return {(first + k) % 7 for k in range(count)}, words, False

    def _dash_day(self, at: int) -> bool:
        return self.kind(at) == "day" and self.kind(at + 1) == "dash" and self.kind(self.past(at + 2)) == "day"

    def _chain(self, first: int, chained: bool) -> tuple[set[int], str, bool]:
        """ "lun-mer-ven": three days joined by dashes are a list."""
        days = {first}
        self.i += 1
        while chained and self.kind(self.i) == "dash" and self.kind(self.i + 1) == "day":
            value = self.t[self.i + 1].value
            days.add(value if isinstance(value, int) else 0)
            self.i += 2
        return days, "", False
