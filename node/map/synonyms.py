"""Words people say → codes of the vocabularies: "bollette" → SC-ECON, NA-ECON. Finds; decides and shows nothing.

Labels, synonyms and seed words come from schemas/vocab; SAID adds what people say besides. DATED words find entries and
are never put on a screen, not even as a correction (FEATURES F000-32).
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

from node.map.analyser import stems
from schemas.vocabularies import table, words

SAID: Final = {
    "TG-FAMIGLIA": "famiglia; nucleo familiare; genitori",
    "TG-MINORI": "minori; minorenni; bambini; figli",
    "TG-PRIMAINF": "prima infanzia; madri; mamme; neonati; gravidanza",
    "TG-ADOL": "adolescenti; giovani; ragazzi; gioventù",
    "TG-DONNE": "donne",
    "TG-ADOAFF": "adozione; affido; adottare",
    "TG-ANZIANI": "anziani; terza età; vecchi",
    "TG-ANZNA": "non autosufficienti; allettati",
    "TG-DISAB": "disabili; handicappati; handicap; portatori di handicap; invalidi",
    "TG-DIPEND": "dipendenza; tossicodipendenti; tossici; drogati; droga; alcolisti; ludopatia; gioco d'azzardo",
    "TG-PSICH": "problematiche psichiatriche; disagio psichico; psichiatria; malati di mente",
    "TG-IMMIG": "immigrati; stranieri; migranti; extracomunitari",
    "TG-EMIG": "emigranti; emigrati; rientrati",
    "TG-PROFUGHI": "profughi; rifugiati; richiedenti asilo",
    "TG-RSC": "rom; sinti; caminanti; nomadi; zingari",
    "TG-POVERI": "poveri; povertà; indigenti; bisognosi",
    "TG-SENZADIM": "senza dimora; senzatetto; senza tetto; senza casa; barboni; vagabondi",
    "TG-DISOCC": "disoccupati; inoccupati; senza lavoro; licenziati",
    "TG-DETEN": "detenuti; ex detenuti; carcere",
    "TG-LAVOR": "lavoratori",
    "TG-PENS": "pensionati",
    "TG-CAREGIVER": "caregiver; familiari che assistono",
    "NA-ECON": "luce; gas; utenze; debiti; soldi",
    "NA-INVAL": "invalidità; accompagnamento; legge 104; 104",
    "NA-VIOL": "violenza; maltrattamenti; stalking",
    "NA-CASA": "sfratto; affitto; casa",
    "NA-STRAN": "permesso di soggiorno; cittadinanza; ricongiungimento",
    "SC-DORM": "dormitorio; dormitori e centri di accoglienza diurna e notturna",
    "SC-ACCDIU": "dormitori e centri di accoglienza diurna e notturna",
    "SC-FAMSOST": "sostegno, integrazione e sostituzione della famiglia",
    "SC-DISAB": "handicappati; handicap",
    "SC-DIPEND": "tossicodipendenti",
    "SC-CULTO": "culto; chiesa",
    "SC-NIDO": "nido; nidi",
}

DATED: Final = (
    "handicappati handicap portatori vecchi tossicodipendenti tossici drogati malati extracomunitari nomadi zingari "
    "barboni vagabondi"
)
# Words that say only "a service": they name nothing by themselves.
EMPTY: Final = "servizio servizi cerco cerca cercare serve bisogno attività elenco tutti persone persona"

# What helps a group by its nature, also where the owner did not name the group.
HELPS: Final = {
    "TG-EMIG": ("SC-PATR",),  # vocab: "patronati: pensioni estere"
    "TG-PENS": ("SC-PATR",),
    "TG-LAVOR": ("SC-LAVDIR",),
    "TG-IMMIG": ("SC-PROF",),
    "TG-PROFUGHI": ("SC-PROF",),
    "TG-DIPEND": ("SC-DIPEND",),
    "TG-PSICH": ("SC-PSICH",),
    "TG-DISAB": ("SC-DISAB",),
    "TG-DONNE": ("SC-DONNA",),
    "TG-RSC": ("SC-RSC",),
    "TG-FAMIGLIA": ("SC-FAM",),
    "TG-MINORI": ("SC-MIN",),
    "TG-POVERI": ("SC-ECON", "SC-BUONI", "SC-MENSA"),
    "TG-SENZADIM": ("SC-DORM", "SC-ACCDIU"),
    "TG-DISOCC": ("SC-LAVORO",),
    "TG-ADOAFF": ("SC-ADOAFF",),
}

_CUT: Final = re.compile(r"[,;/()]| e | ed ")
_ASIDE: Final = re.compile(r"\([^)]*\)|/")
_NO_WORDS: Final = frozenset({"SC-ALTRO", "NA-ALTRO", "TG-TUTTI", "TG-GRUPPI"})
_NO_EXAMPLES: Final = frozenset({"NA-EMERG"})  # "minore solo" would make every minor an emergency
_NO_KEYWORDS: Final = frozenset({"AX-NO", "AX-PARZ", "AX-ND", "AX-DOMIC", "AX-TELEF"})


class Named(NamedTuple):
    """`length` stems of a query name these codes together."""

    length: int
    codes: frozenset[str]


@cache
def dated_stems() -> frozenset[str]:
    """Stems that find and are never shown."""
    return frozenset(stems(DATED))


@cache
def empty_stems() -> frozenset[str]:
    """Stems that a query can do without."""
    return frozenset(stems(EMPTY))


def key(text: str) -> tuple[str, ...]:
    """The stems that identify a phrase."""
    return tuple(stem for stem in stems(text) if stem not in empty_stems())


def _phrases() -> Iterator[tuple[str, str]]:
    for code, row in table("service_categories").items():
        yield from ((code, part) for part in (row["label_it"], *_CUT.split(row["label_it"])))
        yield from ((code, part) for part in words(row["synonyms_it"]))
        yield from ((code, part) for part in row["seed_003_words"].split(";"))
        yield from ((code, part) for part in row["seed_003_words"].split(","))
    for code, row in table("target_groups").items():
        yield from ((code, part) for part in (row["label_it"], _ASIDE.sub(" ", row["label_it"])))
    for code, row in table("need_areas").items():
        yield from ((code, part) for part in (row["label_it"], *_CUT.split(row["label_it"])))
    for code, row in table("accessibility_features").items():
        yield from ((code, part) for part in row["keywords_it"].split(";") if code not in _NO_KEYWORDS)
    for code, row in table("languages").items():
        yield from ((f"lang:{code}", part) for part in row["keywords_it"].split(";") if code != "it")
    for code, said in SAID.items():
        yield from ((code, part) for part in said.split(";"))


@cache
def phrase_book() -> dict[tuple[str, ...], frozenset[str]]:
    """Every phrase as stems → its codes. Examples of needs count only where no label says which need it is."""
    book: dict[tuple[str, ...], set[str]] = {}
    for code, phrase in _phrases():
        if code not in _NO_WORDS and (found := key(phrase)):
            book.setdefault(found, set()).add(code)
    for code, row in table("need_areas").items():
        for phrase in words(row["examples_it"]) if code not in _NO_WORDS | _NO_EXAMPLES else ():
            codes = book.setdefault(found, set()) if (found := key(phrase)) else set()
            if not any(c.startswith("NA-") and c != code for c in codes):
                codes.add(code)
    return {phrase: frozenset(codes) for phrase, codes in book.items() if codes}


@cache
def _longest() -> int:
    return max(map(len, phrase_book()))


@cache
def phrase_stems() -> frozenset[str]:
    """Every stem of a phrase that may be shown and completed."""
    return frozenset(stem for phrase in phrase_book() if len(phrase) == 1 for stem in phrase) - dated_stems()


def named(query: Sequence[str], start: int) -> Named | None:
    """The longest phrase that begins at a position of the query."""
    for length in range(min(_longest(), len(query) - start), 0, -1):
        if codes := phrase_book().get(tuple(query[start : start + length])):
            return Named(length, codes)
    return None


def codes_of(text: str) -> frozenset[str]:
    """All codes that a text names, longest phrases first."""
    query, found, at = key(text), frozenset[str](), 0
    while at < len(query):
        match = named(query, at)
        found |= match.codes if match else frozenset()
        at += match.length if match else 1
    return found
