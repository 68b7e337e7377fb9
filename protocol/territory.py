"""The comuni of a network: names as people write them, codes, mergers, distances. Not a gazetteer of Italy. No I/O.

Rows are those of the comuni vocabulary; validity dates are inclusive and ISO (`valid_to` 2013-12-31: last day).
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

How = Literal["exact", "variant", "successor-name"]
EARTH_KM = 6371.0088
_SAINT = re.compile(r"^(?:s|san|sant|santa|santo|ss) ")
_PREFIX = re.compile(r"^(?:comune|citta|municipio)(?: (?:di|della|del))? ")
_POSTCODE = re.compile(r"^\d{5} | \d{5}$")
_LINKS = re.compile(r"\b(?:ex|gia|loc|localita|frazione|fraz|fr|di|ora|oggi|comune)\b")
_MIN_PREFIX = 4


class Match(NamedTuple):
    """`how`: exact (but for case, spacing, apostrophes), variant, or successor-name ("Vallefoglia (Colbordolo)")."""

    istat: str
    how: How


def _plain(text: str) -> str:
    """Case, curly apostrophes and spacing only: what still counts as the same spelling."""
    return " ".join(text.replace("’", "'").replace("‘", "'").replace("`", "'").casefold().split())


def fold_name(text: str) -> str:
    """Lower case, no accents, every mark a space: "Sant’Angelo in Lizzòla" → "sant angelo in lizzola"."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return " ".join(re.sub(r"[^a-z0-9]+", " ", bare).split())


def _saintless(folded: str) -> str:
    return _SAINT.sub("s ", folded)


def _undressed(folded: str, provinces: frozenset[str]) -> str:
    """Without "Comune di", the postcode and the province: "61121 Pesaro PU" → "pesaro"."""
    bare = _POSTCODE.sub("", _PREFIX.sub("", folded)).strip()
    head, _, tail = bare.rpartition(" ")
    return head if head and tail in provinces else bare


class Territory:
    """The comuni of one network, read-only."""

    def __init__(self, rows: Iterable[Mapping[str, str]]) -> None:
        self._rows = {row["istat_code"]: dict(row) for row in rows}
        self._provinces = frozenset(row.get("province", "").casefold() for row in self._rows.values()) - {""}
        self._exact: dict[str, str] = {}
        self._folded: dict[str, str | None] = {}
        self._codes: dict[str, str] = {}
        for istat, row in self._rows.items():
            self._exact[_plain(row["name"])] = istat
            self._codes[istat] = istat
            if cadastral := row.get("cadastral_code"):
                self._codes[cadastral.casefold()] = istat
            variants = [v for v in row.get("name_variants", "").split(";") if v.strip()]
            for spelling in (row["name"], *variants):
                self._remember(_saintless(fold_name(spelling)), istat)

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, str]]) -> "Territory":
        return cls(rows)

    def _remember(self, spelling: str, istat: str) -> None:
        held = self._folded.get(spelling, istat)
        self._folded[spelling] = istat if held == istat else None

    def __contains__(self, istat: object) -> bool:
        return istat in self._rows

    def codes(self) -> tuple[str, ...]:
        """All codes, in the order of the vocabulary."""
        return tuple(self._rows)

    def resolve(self, text: str) -> Match | None:
        """The comune a text names, or None when it names none or more than one; a misspelling is not corrected."""
        if istat := self._exact.get(_plain(text)):
            return Match(istat, "exact")
        folded = fold_name(text)
        if istat := self._codes.get(folded):
            return Match(istat, "exact")
        bare = _undressed(folded, self._provinces)
        if istat := self._exact.get(bare):
            return Match(istat, "exact")
        if found := self._folded.get(_saintless(bare)) or self._by_beginning(_saintless(bare)):
            return Match(found, "variant")
        return self._old_and_new(bare)

    def _by_beginning(self, spelling: str) -> str | None:
        """ "s angelo" for "s angelo in lizzola": whole words at the beginning, when only one comune begins so."""
        if len(spelling) < _MIN_PREFIX:
            return None
        found = {istat for name, istat in self._folded.items() if istat and name.startswith(spelling + " ")}
        return found.pop() if len(found) == 1 else None

    def _old_and_new(self, bare: str) -> Match | None:
        """A text that holds an old comune and its successor names the old one: "Vallefoglia loc. Colbordolo"."""
        padded = f" {bare} "
        named: set[str] = set()
        rest = padded
        for name, istat in self._folded.items():
            if istat and (where := f" {name} ") in padded:
                named.add(istat)
                rest = rest.replace(where, " ")
        if _LINKS.sub(" ", rest).strip():
            return None
        old = [i for i in named if self._chain(i)[1:] and named <= set(self._chain(i))]
        return Match(old[0], "successor-name") if len(old) == 1 and len(named) > 1 else None

    def suggest(self, text: str) -> list[str]:
        """Codes of comuni whose name looks like the text, best first: to be proposed, never applied."""
        from difflib import get_close_matches  # only a name nobody knows needs it

        bare = _saintless(_undressed(fold_name(text), self._provinces))
        close = get_close_matches(bare, [n for n, i in self._folded.items() if i], n=3, cutoff=0.8)
        return list(dict.fromkeys(istat for name in close if (istat := self._folded[name])))

    def _next(self, istat: str) -> str | None:
        row = self._rows.get(istat)
        following = row.get("successor_istat", "") if row else ""
        return following if following and following != istat and following in self._rows else None

    def _chain(self, istat: str) -> list[str]:
        """The comune and its successors, oldest first; a loop in the data ends it."""
        chain = [istat]
        while (following := self._next(chain[-1])) and following not in chain:
            chain.append(following)
        return chain

    def successor(self, istat: str, on: str) -> str:
        """The comune that has the territory of `istat` on a day (ISO); an unknown code stands for itself."""
        for code in self._chain(istat):
            ended = self._rows.get(code, {}).get("valid_to", "")
            if not ended or on <= ended:
                return code
        return self._chain(istat)[-1]

    def family(self, istat: str) -> frozenset[str]:
        """The comune, its predecessors and its successors; not the other predecessors of a successor."""
        before = {code for code in self._rows if istat in self._chain(code)}
        return frozenset(before | set(self._chain(istat)))

    def centroid(self, istat: str) -> tuple[float, float] | None:
        """(latitude, longitude) in degrees, as the vocabulary has them."""
        row = self._rows.get(istat, {})
        lat, lon = row.get("lat", ""), row.get("lon", "")
        return (float(lat), float(lon)) if lat and lon else None

    def distance_km(self, one: str, other: str) -> float | None:
        """Great-circle distance between two centroids, in kilometres."""
        here, there = self.centroid(one), self.centroid(other)
        return great_circle_km(here, there) if here and there else None

    def name(self, istat: str) -> str:
        """The official name, or the code itself when it is unknown."""
        return self._rows.get(istat, {}).get("name", istat)

    def province(self, istat: str) -> str:
        """The two letters of the province, or an empty text."""
        return self._rows.get(istat, {}).get("province", "")

    def postcodes(self, istat: str) -> list[str]:
        """The CAP of the comune; a city has several."""
        return [cap for cap in self._rows.get(istat, {}).get("cap", "").split(";") if cap]

    def patron(self, istat: str) -> tuple[int, int] | None:
        """(month, day) of the patron saint's holiday, or None when the vocabulary does not say."""
        month, dash, day = self._rows.get(istat, {}).get("patron_day", "").partition("-")
        return (int(month), int(day)) if dash else None


def great_circle_km(here: tuple[float, float], there: tuple[float, float]) -> float:
    """Haversine distance of two (latitude, longitude) points in degrees."""
    (lat1, lon1), (lat2, lon2) = ((math.radians(a), math.radians(b)) for a, b in (here, there))
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * EARTH_KM * math.asin(min(1.0, math.sqrt(h)))
