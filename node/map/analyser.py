"""Text to stems, for index and query alike: case, accents, apostrophes, initials, Italian endings. No vocabularies.

The Snowball stemmer for Italian takes "anziano" to another stem than "anziani", and "familiare" than "familiari"
(ECOSYSTEM §3); ENDINGS and SPELLINGS mend that before it is asked. It is imported at the first word, never at start.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final, Protocol

# An ending is rewritten when at least two letters stand before it ("mano", "aria" stay). Verbs ("lavorare") stay.
ENDINGS: Final = (
    ("ano", "ani"),
    ("iliare", "iliari"),
    ("olare", "olari"),
    ("entare", "entari"),
    ("ario", "ari"),
    ("aria", "ari"),
    ("arie", "ari"),
)
MIN_LETTERS: Final = 4  # shorter words have no ending to take off
SPELLINGS: Final = (("famigliar", "familiar"), ("handycap", "handicap"))
# Words that would fall together with another word ("comunità" with "comune"), or apart from their own.
OWN_STEM: Final = {
    "comunita": "comunita",
    "comunicazione": "comunicazion",
    "caso": "caso",
    "casi": "caso",
    "previdenziale": "prevident",
    "previdenziali": "prevident",
}

_STOP = (
    "ad al alla allo alle agli ai all che chi ci co col coi come con cui da dal dalla dallo dalle dagli dai dall "
    "de degli dei del dell della delle dello di dove ed essere fra gli ha hanno ho il in io la le lei li lo loro "
    "lui ma mi mia mio ne negli nei nel nell nella nelle nello non od ogni per puo qua quale quali quando questa "
    "questo se sei si sia solo sono su sua sue sugli sui sul sull sulla sulle sullo suo suoi tra un una uno vi "
)
STOP: Final = frozenset(_STOP.split())

_INITIALS = re.compile(r"\b(?:[a-z]\.){2,}[a-z]?\b|\b(?:[a-z]\.){2,}")
_WORD = re.compile(r"[a-z0-9]+")


class Stemmer(Protocol):
    """What snowballstemmer offers of itself."""

    def stemWord(self, word: str) -> str: ...  # noqa: N802


@cache
def _stemmer() -> Stemmer:
    import snowballstemmer  # 1 MB and 20 ms that an idle node does not spend

    made: Stemmer = snowballstemmer.stemmer("italian")
    return made


def plain(text: str) -> str:
    """Lower case, no accents, "S.A.D." as "sad": "Invalidità dell’Anziano" → "invalidita dell'anziano"."""
    spread = unicodedata.normalize("NFKD", text.replace("’", "'").casefold())
    bare = "".join(c for c in spread if not unicodedata.combining(c))
    return _INITIALS.sub(lambda m: m[0].replace(".", ""), bare)


def words(text: str) -> Iterator[str]:
    """The words of a text that mean something: no stop words, no single letters."""
    for word in _WORD.findall(plain(text)):
        if word not in STOP and (len(word) > 1 or word.isdigit()):
            yield word


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """The stem of one plain word. Words of up to three letters and numbers are their own stem."""
    if len(word) < MIN_LETTERS or not word.isalpha():
        return word
    if own := OWN_STEM.get(word):
        return own
    for wrong, right in SPELLINGS:
        word = word.replace(wrong, right)
    for ending, other in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 2:
            word = word[: -len(ending)] + other
            break
    return _stemmer().stemWord(word)


def stems(text: str) -> list[str]:
    """The stems of a text, in order."""
    return [stem(word) for word in words(text)]


def edits(one: str, other: str, most: int) -> int:
    """Insertions, deletions, replacements and swaps of neighbours from one word to the other; most + 1 when more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]
