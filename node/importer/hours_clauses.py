"""Chunks of opening hours → clauses of days and times, and all that could not be placed. No schedules: hours.py.

Whatever belongs to no clause is a leftover, so that the caller can say "partial" instead of guessing.
"""

from typing import Final

from node.importer.hours_chunks import Attending, Chunk, Chunker, Clause, Closure, Days, Parse, Span
from node.importer.hours_words import ALL_DAYS, SeasonWords, Token
from protocol.opening import months_of
from schemas.records import Season

_MARKS: Final = frozenset({"appointment", "booking", "phone"})
_HOURS: Final = frozenset({"days", "nth", "span"})
_HEART: Final = {"est": frozenset({7, 8}), "inv": frozenset({1, 2})}  # months that are summer, or winter, for anybody


class _Clauser:
    """Chunks → clauses."""

    def __init__(self, chunks: list[Chunk], parse: Parse) -> None:
        self.c = chunks
        self.parse = parse
        self.i = 0
        self.now = Clause()
        self.segment: list[Clause] = []
        self.leading: Attending | None = None
        self.outside: Attending | None = None
        self.season: SeasonWords | None = None
        self.foreign = False
        self.additive = False
        self.part = ""
        self.fortnight = False

    def kind(self, at: int) -> str:
        return self.c[at].kind if 0 <= at < len(self.c) else "end"

    def run(self) -> None:
        while self.i < len(self.c):
            chunk = self.c[self.i]
            getattr(self, f"_on_{chunk.kind}")(chunk)
            self.i += 1
        self._on_stop(Chunk("stop", ""))

    def _flush(self) -> None:
        clause, self.now = self.now, Clause()
        if not clause.placed and not clause.timed:
            return
        clause.foreign = clause.foreign or self.foreign
        clause.season = clause.season or self.season
        self.segment.append(clause)
        self.parse.clauses.append(clause)

    def _on_stop(self, chunk: Chunk) -> None:
        self._flush()
        if self.part:
            self.parse.leftovers.append(self.part)
        self.segment, self.leading, self.foreign, self.additive, self.part = [], None, False, False, ""
        self.outside = None

    def _on_close(self, chunk: Chunk) -> None:
        if self.foreign:
            self._flush()
            self.foreign = False
        if self.leading != self.outside:
            self._flush()
            self.leading = self.outside

    def _on_open(self, chunk: Chunk) -> None:
        self.additive = False
        self.outside = self.leading

    def _on_comma(self, chunk: Chunk) -> None:
        self.additive = False

    def _on_and(self, chunk: Chunk) -> None:
        self.additive = True

    _on_or = _on_and

    def _on_other(self, chunk: Chunk) -> None:
        """ "altri giorni su appuntamento"; which are "gli altri giovedì" no schedule can say."""
        self.additive = True
        if self.kind(self.i + 1) == "days":
            self.parse.leftovers.append(chunk.text)

    def _on_desk(self, chunk: Chunk) -> None:
        if self.now.timed:
            self._flush()
        self.leading = None

    def _on_note(self, chunk: Chunk) -> None:
        self.parse.notes.append(chunk.text)

    def _on_days(self, chunk: Chunk) -> None:
        value = chunk.value
        assert isinstance(value, Days)
        if self.parse.h24 and (self.additive or value.holiday) and self.kind(self.i + 1) not in ("span", "closed"):
            self.parse.notes.append(chunk.text)  # "sempre aperto, anche la domenica e i festivi"
        elif self._split_groups():
            self._place(frozenset().union(*value.groups[:-1]), [], False)
            self._place(value.groups[-1], [], False)
        else:
            shut = self.kind(self.i + 1) == "closed"
            self._place(value.shut if shut else value.all, [], value.holiday and not value.all)
            if value.holiday and not shut and value.all != frozenset(ALL_DAYS):
                self.parse.leftovers.append("festivi")

    def _on_withholidays(self, chunk: Chunk) -> None:
        """Open on holidays too: what "every day" says already (protocol.opening); a schedule of some days cannot."""
        clause = self.now if self.now.placed or not self.segment else self.segment[-1]
        daily = self.parse.h24 or clause.days == frozenset(ALL_DAYS)
        (self.parse.notes if daily else self.parse.leftovers).append(chunk.text)

    def _split_groups(self) -> bool:
        """ "8-12 tutti i giorni, martedì anche 15-17": times, days, then days that have times of their own."""
        value = self.c[self.i].value
        at = self.i + 2 if self.kind(self.i + 1) == "and" else self.i + 1
        bare_times = self.now.timed and not self.now.placed
        return isinstance(value, Days) and len(value.groups) > 1 and bare_times and self.kind(at) == "span"

    def _on_nth(self, chunk: Chunk) -> None:
        pairs = chunk.value
        assert isinstance(pairs, list)
        if self.now.nth and not self.now.timed:
            self.now.nth.extend(pairs)
        else:
            self._place(None, pairs, False)

    def _place(self, days: frozenset[int] | None, nth: list[tuple[int, int]], holiday: bool) -> None:
        if self.now.placed or (self.now.timed and self.segment and self.segment[-1].placed and not self._spans_first()):
            self._flush()
        self.now.days, self.now.nth, self.now.holiday = days, list(nth), holiday
        if self.leading and not self.now.timed:
            self.now.attending = self.leading
        if self.fortnight:
            self.now.fortnight, self.fortnight = True, False

    def _spans_first(self) -> bool:
        return not self.now.placed

    def _on_span(self, chunk: Chunk) -> None:
        assert isinstance(chunk.value, Span)
        if self.now.timed and self.now.placed and self._began_with_times():
            self._flush()
        self.now.spans.append(chunk.value)
        self.now.part = self.part = ""
        self.additive = False
        if self.leading and self.now.attending is None and len(self.now.spans) == 1:
            self.now.attending = self.leading

    def _began_with_times(self) -> bool:
        """Times, days, times: the second times begin another clause ("9-12 lun-ven; 15-17 gio")."""
        begins = [k for k in range(self.i) if self.kind(k) == "stop"]
        kinds = [self.kind(k) for k in range(begins[-1] + 1 if begins else 0, self.i)]
        placed = [k for k, kind in enumerate(kinds) if kind in ("days", "nth")]
        return bool(placed) and "span" in kinds[: placed[0]]

    def _on_bad(self, chunk: Chunk) -> None:
        self.parse.bad.append((str(chunk.value), chunk.text))
        if not self.now.timed:
            self.now = Clause()

    def _on_h24(self, chunk: Chunk) -> None:
        limited = self.now.placed and not self.now.timed and self.now.days != frozenset(ALL_DAYS)
        if limited:
            self.now.spans.append(Span(0, 24 * 60))
            return
        self.parse.h24 = True
        if self.now.days == frozenset(ALL_DAYS) and not self.now.timed:
            self.now = Clause()
        at = self.i + 2 if self.kind(self.i + 1) in ("comma", "and", "open") else self.i + 1
        following = self.c[at].value if self.kind(at) == "days" else None
        if isinstance(following, Days) and self.kind(at + 1) != "closed":
            self._h24_days(following, at)

    def _h24_days(self, following: Days, at: int) -> None:
        """Days behind "h24": all of them say it again, some limit it ("h24 lun-ven, sab 9-12")."""
        timed, groups = self.kind(at + 1) == "span", following.groups
        if following.all == frozenset(ALL_DAYS) and not timed:
            self.i = at
        elif at == self.i + 1 and not following.holiday and not self.now.placed and (len(groups) > 1 or not timed):
            self.parse.h24, self.i = False, at
            self._place(frozenset().union(*groups[:-1]) if timed else following.all, [], False)
            self.now.spans.append(Span(0, 24 * 60))
            if timed:
                self._flush()
                self._place(groups[-1], [], False)

    def _on_h24days(self, chunk: Chunk) -> None:
        self.parse.h24 = True

    def _on_part(self, chunk: Chunk) -> None:
        if self.kind(self.i - 1) == "span" and self.kind(self.i + 1) not in ("span", "appointment", "closed"):
            return
        if self.kind(self.i - 1) in _MARKS and self.kind(self.i + 1) not in _HOURS:
            self.parse.notes.append(chunk.text)  # "telefonare al mattino"
        elif self.now.placed and not self.now.timed:
            self.now.part = str(chunk.value)
        else:
            self.part = chunk.text

    def _on_onlypart(self, chunk: Chunk) -> None:
        self.parse.assumed.append(f"«{chunk.text}»: gli altri orari dello stesso giorno restano")

    def _on_fortnight(self, chunk: Chunk) -> None:
        if self.now.placed:
            self.now.fortnight = True
        else:
            self.fortnight = True

    # marks

    def _on_appointment(self, chunk: Chunk) -> None:
        self._mark("appointment")

    def _on_booking(self, chunk: Chunk) -> None:
        self._mark("booking")

    def _on_phone(self, chunk: Chunk) -> None:
        self._mark("phone")

    def _on_phonenote(self, chunk: Chunk) -> None:
        """A number with hours right behind it: those when it is answered, where a desk has hours of its own."""
        bracketed = self.kind(self.i + 1) == "open" and self.kind(self.i + 2) in _HOURS
        followed = self.kind(self.i + 1) in _HOURS
        desk = self.now.timed or bool(self.parse.clauses) or any(c.kind == "desk" for c in self.c)
        if bracketed or (followed and desk):
            self.parse.marks.add("phone")
            self._lead("phone")
            return
        self.parse.notes.append(chunk.text)
        if followed and not self.parse.marks:
            self.parse.assumed.append(f"orari dopo «{chunk.text}» letti come orari di sportello")

    def _on_nodesk(self, chunk: Chunk) -> None:
        """ "no sportello": whatever hours there are, nobody is met. With days ("no sportello il sabato"), a closure."""
        if self.kind(self.i + 1) == "days" and self.kind(self.i + 2) != "span":
            self._on_closed(chunk)
            return
        if not self.parse.marks:
            self.parse.marks.add("phone")
        self.parse.whole = self.parse.whole or "phone"

    def _leads(self) -> bool:
        """Whether hours follow the mark before the clause ends."""
        at = self.i + 1
        while self.kind(at) in ("comma", *_MARKS, "note", "phonenote", "open", "close", "part"):
            at += 1
        return self.kind(at) in _HOURS

    def _mark(self, how: Attending) -> None:
        """A word for appointment, booking or telephone: for this clause, for the next, for all, or besides."""
        self.parse.marks.add(how)
        opened = self.kind(self.i - 1) == "open"
        after_times = self.kind(self.i - 1) == "span" or (opened and self.kind(self.i - 2) == "span")
        if opened and self._own_hours():
            self._lead(how)
            self.additive = False
            return
        if self.now.placed and not self.now.timed:
            self.now.attending, self.now.part = how, ""
            if self.kind(self.i + 1) not in ("span",):
                self._flush()
        elif self.part:
            self.part = ""
        elif after_times and self.kind(self.i + 1) != "span":
            self.now.attending = how
            if self.kind(self.i + 1) in ("days", "nth"):
                self.parse.assumed.append(f"«{self.c[self.i].text}» riferito agli orari che precedono")
        elif self.additive and not self._leads():
            self.parse.notes.append("anche su appuntamento o per telefono")
        elif self._leads():
            self._lead(how)
        else:
            self._bare(how)
        self.additive = False

    def _own_hours(self) -> bool:
        """ "(telefono: mar 9-11)": hours right behind a word, with no more than a number between."""
        at = self.i + 1
        while self.kind(at) == "note":
            at += 1
        return self.kind(at) in _HOURS

    def _lead(self, how: Attending) -> None:
        if self.now.timed:
            days, nth = self.now.days, self.now.nth
            self._flush()
            if self.kind(self.i + 1) == "span":
                self.now.days, self.now.nth = days, nth
        booked = how == "phone" and (self.leading or self.parse.whole) in ("appointment", "booking")
        phoned = how == "appointment" and self.leading == "phone"
        self.leading = "booking" if booked or phoned else how
        if self.now.placed:
            self.now.attending = self.leading

    def _bare(self, how: Attending) -> None:
        """ "lun-ven 9-12, su appuntamento": all of it, the cautious reading. A bare telephone after hours is a note."""
        if how == "phone" and (self.parse.clauses or self.now.timed):
            self.parse.notes.append("anche per telefono")
        else:
            self.parse.whole = how if self.parse.whole in (None, "phone") else self.parse.whole

    # seasons and closures

    def _on_season(self, chunk: Chunk) -> None:
        words = chunk.value
        assert isinstance(words, SeasonWords)
        if (shut := self._closed_with(self.i + 1)) and not self._names(shut + 1):
            self.parse.closures.append(Closure(season=words.season))
            self.i += shut == self.i + 1
            return
        before = self.kind(self.i - 1) in ("span", "open", "close", "comma", "part", "and") or not self._leads()
        if before and (self.now.timed or self.segment) and not (self.kind(self.i - 1) == "comma" and self._leads()):
            self._flush()
            for clause in self.segment:
                clause.season = clause.season or words
            return
        self._flush()
        self.season = words

    def _closed_with(self, at: int) -> int:
        """Where the "chiuso" of "agosto chiuso", of "agosto e festivi chiuso" stands; 0 when there is none."""
        while self.kind(at) in ("and", "or") and self._names(at + 1):
            at += 2
        return at if self.kind(at) == "closed" else 0

    def _on_school(self, chunk: Chunk) -> None:
        self.parse.assumed.append("«periodo scolastico» letto come settembre-giugno")
        self._on_season(Chunk("season", chunk.text, SeasonWords(Season(from_month=9, to_month=6))))

    def _on_undated(self, chunk: Chunk) -> None:
        if self.kind(self.i + 1) == "closed" and self._out_of_season(chunk):
            self.parse.notes.append(f"{chunk.text} chiuso")
            self.i += 1
            return
        self._flush()
        self.parse.leftovers.append(chunk.text)
        self.foreign = True

    def _out_of_season(self, chunk: Chunk) -> bool:
        """ "ott-mag … d'estate chiuso": what the season said already."""
        heart = next(months for word, months in _HEART.items() if word in chunk.text)
        seasons = [c.season for c in (*self.parse.clauses, self.now) if c.placed] or [None]
        said = [self.season if season is None else season for season in seasons]
        return all(words is not None and not heart & months_of(words.season) for words in said)

    def _names(self, at: int) -> bool:
        return self.kind(at) in ("days", "part", "season")

    def _on_closed(self, chunk: Chunk) -> None:
        if self.now.placed and not self.now.timed and not self._exception():
            self.parse.closures.append(Closure(self.now.days, self.now.part, None, self.now.holiday))
            self.now = Clause()
            return
        if not self._closed_forward():
            self.parse.leftovers.append(chunk.text)
            self._flush()
            self.foreign = True

    def _exception(self) -> bool:
        """ "tutti i giorni tranne la domenica 9-19": the days that follow are some of those before."""
        following = self.c[self.i + 1].value if self.kind(self.i + 1) == "days" else None
        return isinstance(following, Days) and following.shut < (self.now.days or frozenset())

    def _closed_forward(self) -> bool:
        """ "chiuso mer pom.", "escluso agosto e festivi": what follows, up to days that have times of their own."""
        at, found = self.i + 1, False
        if self.kind(at) == "undated" and self._out_of_season(self.c[at]):
            self.parse.notes.append(f"chiuso {self.c[at].text}")
            self.i = at
            return True
        while True:
            chunk = self.c[at] if at < len(self.c) else Chunk("end", "")
            if chunk.kind == "days":
                at += self._closed_days(at, chunk)
            elif chunk.kind == "season" and isinstance(chunk.value, SeasonWords):
                self.parse.closures.append(Closure(season=chunk.value.season))
            elif chunk.kind == "part":
                self.parse.closures.append(Closure(part=str(chunk.value)))
            else:
                return found
            found, self.i = True, at
            at += 1
            joint = at
            while self.kind(joint) in ("comma", "and", "or"):
                joint += 1
            if not self._names(joint) or self.kind(joint + 1) == "span" or self.kind(joint + 2) == "span":
                return found
            at = joint

    def _closed_days(self, at: int, chunk: Chunk) -> int:
        """Takes the days of a closure; when times follow, the last group is not part of it. Steps taken beyond it."""
        value = chunk.value
        assert isinstance(value, Days)
        part_follows = self.kind(at + 1) == "part" and self.kind(at + 2) != "span"
        part = str(self.c[at + 1].value) if part_follows else ""
        groups = value.groups
        if self.kind(at + 1) == "span" and len(groups) == 1 and self.now.timed:
            self._flush()  # "lun-ven 9-12 escluso mer 15-18": closed, or open at other times?
            self.parse.leftovers.append(f"{chunk.text} {self.c[at + 1].text}")
            self.foreign = True
        elif self.kind(at + 1) == "span" and len(groups) > 1:
            self._flush()
            self.now.days = groups[-1]
            groups = groups[:-1]
        named = frozenset[int]().union(*groups)
        closed = named | ({6} if value.holiday else set())
        self.parse.closures.append(Closure(closed, part, None, value.holiday and not named))
        return int(part_follows)

    # what nobody knows

    def _on_unknown(self, chunk: Chunk) -> None:
        self.parse.leftovers.append(chunk.text)
        at = self.i + 1
        while self.kind(at) in ("unknown", "and", "open", "close"):
            at += 1
        if self.kind(at) in ("days", "nth", "span") and (self.now.timed or (self.parse.clauses and not self.segment)):
            self._flush()
            self.foreign = self.parse.other_service = True


def read(found: list[Token]) -> Parse:
    """All clauses of a text; never raises."""
    parse = Parse()
    _Clauser(Chunker(found, parse).run(), parse).run()
    return parse
