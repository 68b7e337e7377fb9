"""The question a desk asks of the map, and its words and filters as groups of tokens. Finds nothing by itself."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import replace

from node.map.analyser import plain, stem, words
from node.map.facts import STEP_FREE
from node.map.index import Alternative, Group, MapIndex
from node.map.synonyms import HELPS, codes_of, dated_stems, empty_stems, named, phrase_stems
from protocol.territory import Territory

Order = Literal["useful", "near"]
EVERYBODY: Final = "TG-TUTTI"
MIN_BEGINNING: Final = 3  # "boll": three letters and a key are what a desk types (DOMAIN §8)
LATEST: Final = 32_503_680_000  # the year 3000: calendars of the standard library end in 9999
MAX_WORDS: Final = 24  # a longer text is somebody's story, not a search

_TOKEN: Final = re.compile(r"[\w’'.]+")
_OPEN: Final = re.compile(r"\bapert[oiae]( ora| adesso| oggi)?\b", re.IGNORECASE)
_NAME_WORDS: Final = 5


class Query(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A question. A field left out asks nothing; several values of one field: any of them, save `accessibility`: all.

    `comune`: the service is there or names it in its territory; predecessors and successors count. `residence`: where
    the person lives: services whose territory is elsewhere are left out. `near` or `point` (latitude, longitude): where
    distances start, else `comune`, else `residence`. `at`: the instant asked about (Unix seconds), else now; `open`:
    only what is open then. `fresh`: only what was verified in the last 180 days. `for_everybody`: with `targets`, also
    services for all. Codes are those of the vocabularies, `member` is a NodeId, `owner` and
    `provider` are names of bodies, whatever their case and accents.
    """

    words: Annotated[str, Meta(max_length=300)] = ""
    needs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    for_everybody: bool = False
    categories: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    comune: str | None = None
    residence: str | None = None
    zone: str | None = None
    member: tuple[str, ...] = ()
    owner: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    sector: tuple[str, ...] = ()
    management: tuple[str, ...] = ()
    system: tuple[str, ...] = ()
    access: tuple[str, ...] = ()
    anonymous: bool = False
    languages: tuple[str, ...] = ()
    step_free: bool = False
    accessibility: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()
    visibility: tuple[str, ...] = ()
    age: Annotated[int, Meta(ge=0, le=130)] | None = None
    at: Annotated[int, Meta(ge=0, le=LATEST)] | None = None
    open: bool = False
    fresh: bool = False
    near: str | None = None
    point: tuple[float, float] | None = None
    within_km: float | None = None
    order: Order = "useful"
    limit: Annotated[int, Meta(ge=1, le=200)] = 20
    offset: Annotated[int, Meta(ge=0)] = 0


# Field of Query → beginning of its tokens (facts.filters); codes stand alone.
ANY_OF: Final = {
    "needs": "",
    "categories": "",
    "costs": "",
    "kinds": "kind:",
    "member": "member:",
    "owner": "owner:",
    "provider": "provider:",
    "sector": "sector:",
    "management": "management:",
    "system": "system:",
    "access": "access:",
    "languages": "lang:",
    "visibility": "vis:",
}


NAMED: Final = ("owner", "provider")  # bodies by name as written, not all of them members


class Word(NamedTuple):
    """One word or phrase of the question. `found`: how an entry may have it; `strong`: as a code or in its name.

    `exact`: as the need and the type of service that it names, both if it names both; where it names neither, as
    `strong`. `codes`: what it names; `typed`: as typed, empty for a dated word, which is never shown again.
    """

    typed: str
    found: Group
    strong: Group
    exact: Group
    codes: frozenset[str]


class Asked(NamedTuple):
    """A question made ready: its words, and the comuni that stand for the ones it names."""

    query: Query
    words: tuple[Word, ...]
    comuni: frozenset[str]
    residence: frozenset[str]


class Correction(NamedTuple):
    """A word that finds nothing, and the known stems taken for it."""

    typed: str
    stems: tuple[str, ...]


def ask_of(query: Query, asked: Sequence[Word], family: Callable[[str], frozenset[str]]) -> Asked:
    """A comune of the question stands also for its predecessors and successors: Territory.family."""

    def stands_for(istat: str | None) -> frozenset[str]:
        return family(istat) | {istat} if istat else frozenset()

    return Asked(query, tuple(asked), stands_for(query.comune), stands_for(query.residence))


def filter_groups(asked: Asked) -> Iterator[Group]:
    """The filters of a question that are tokens."""
    query = asked.query
    for field, prefix in ANY_OF.items():
        if values := getattr(query, field):
            yield tuple((f"{prefix}{plain(value) if field in NAMED else value}",) for value in values)
    if query.targets:
        yield tuple((code,) for code in (*query.targets, *([EVERYBODY] if query.for_everybody else ())))
    yield from (((code,),) for code in query.accessibility)
    if query.step_free:
        yield ((STEP_FREE,),)
    if query.anonymous:
        yield (("anonymous:yes",),)
    if query.zone:
        yield ((f"zone:{plain(query.zone)}",),)
    if asked.comuni:
        yield tuple((f"{where}:{code}",) for code in sorted(asked.comuni) for where in ("comune", "serves"))
    if asked.residence:
        yield (("serves:all",), *((f"serves:{code}",) for code in sorted(asked.residence)))


def word_groups(text: str, index: MapIndex) -> tuple[list[Word], list[Correction]]:
    """The words of a question; empty ones ("servizio") count only when there are no others."""
    typed = list(words(text))[:MAX_WORDS]
    pairs = [(word, stem(word)) for word in typed]
    telling = [pair for pair in pairs if pair[1] not in empty_stems()] or pairs
    found: list[Word] = []
    corrections: list[Correction] = []
    at = 0
    while at < len(telling):
        match = named([known for _, known in telling], at)
        length, codes = match or (1, frozenset[str]())
        part = telling[at : at + length]
        at += length
        literal = tuple(known for _, known in part)
        if codes or index.postings.count(literal[0]):
            found.append(_word([literal], codes, " ".join(word for word, _ in part)))
            continue
        guessed = _guess(literal[0], index)
        corrections.append(Correction(part[0][0], tuple(guessed)))
        found.append(_word([(known,) for known in guessed] or [literal], _codes(guessed), part[0][0]))
    return found, corrections


def _word(literals: Sequence[tuple[str, ...]], codes: frozenset[str], typed: str) -> Word:
    helping = {code for target in codes for code in HELPS.get(target, ())}
    strong: list[Alternative] = [(code,) for code in sorted(codes | helping)]
    strong += [tuple(f"name:{known}" for known in literal) for literal in literals]
    shown = "" if any(known in dated_stems() for literal in literals for known in literal) else typed
    return Word(shown, (*strong, *literals), tuple(strong), _exact(codes) or tuple(strong), codes)


def _exact(codes: frozenset[str]) -> Group:
    kinds = [sorted(code for code in codes if code.startswith(prefix)) for prefix in ("NA-", "SC-")]
    named = [kind for kind in kinds if kind]
    return tuple(product(*named)) if named else ()


def _codes(known: Sequence[str]) -> frozenset[str]:
    return frozenset(code for word in known if (match := named([word], 0)) for code in match.codes)


def _guess(word: str, index: MapIndex) -> list[str]:
    """A word that nothing has: first as a beginning ("boll"), then as a misspelling ("sportel")."""
    if len(word) >= MIN_BEGINNING:
        begun = {w for w in phrase_stems() if w.startswith(word)} | set(index.completions(word))
        if begun - dated_stems():
            return sorted(begun - dated_stems())
    return [known for known in index.closest(word, phrase_stems()) if known not in dated_stems()]


def query_from_words(text: str, territory: Territory) -> Query:
    """ "bollette a Gradara", "aperto ora": a comune and the wish for an open door are taken out of the words."""
    text = text[:300]
    rest = _OPEN.sub(" ", text)
    query = Query(words=rest.strip(), open=rest != text)
    spoken = [match.span() for match in _TOKEN.finditer(rest)]
    for length in range(min(_NAME_WORDS, len(spoken)), 0, -1):
        for start in range(len(spoken) - length + 1):
            first, last = spoken[start][0], spoken[start + length - 1][1]
            if istat := _comune(rest[first:last], territory):
                return replace(query, words=f"{rest[:first]} {rest[last:]}".strip(), comune=istat, near=istat)
    return query


def _comune(text: str, territory: Territory) -> str | None:
    """A comune, unless the same word names a service or a person, or is only a number."""
    if not any(c.isalpha() for c in text) or not list(words(text)) or (" " not in text and codes_of(text)):
        return None
    match = territory.resolve(text)
    return match.istat if match else None
