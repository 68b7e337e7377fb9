"""The words of Italian opening hours, cut into tokens. Only the lexer: what they mean together is in hours_clauses.

Every character of the text ends in exactly one token or is blank, so nothing can be lost without being seen.
"""

import re
import unicodedata
from itertools import pairwise
from typing import Final, NamedTuple

from schemas.records import Season

DAY_KEYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_NAMES: Final = ("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica")
ALL_DAYS: Final = (0, 1, 2, 3, 4, 5, 6)
MAX_TEXT: Final = 600

_DAYS: Final[dict[str, int]] = {
    spelling: number
    for number, spellings in enumerate(
        (
            "lun lune lunedi",
            "mar mart marte martedi",
            "mer merc merco mercol mercoledi",
            "gio giov giove giovedi",
            "ven vene vener venerdi",
            "sab sabato sabati",
            "dom domen domenica domeniche",
        )
    )
    for spelling in spellings.split()
}
_TWO_LETTERS: Final = {"lu": 0, "ma": 1, "me": 2, "gi": 3, "ve": 4, "sa": 5, "do": 6}
_TYPO_LETTERS, _TWO_TYPOS_LETTERS = 5, 7
_FULL_DAYS: Final = {name: n for name, n in _DAYS.items() if name.endswith(("di", "sabato", "domenica"))}
_ORDINALS: Final = {"prim": 1, "second": 2, "terz": 3, "quart": 4, "quint": 5, "ultim": -1, "penultim": -2}
_ROMAN: Final = {"i": 1, "ii": 2, "iii": 3, "iv": 4}
_MONTHS: Final = ("gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic")

_MONTH = (
    r"(?:gen(?:n(?:aio)?)?|feb(?:b(?:r(?:aio)?)?)?|mar(?:zo)?|apr(?:ile)?|mag(?:g(?:io)?)?|giu(?:gno)?|lug(?:lio)?"
    r"|ago(?:sto)?|set(?:t(?:embre)?)?|ott(?:obre)?|nov(?:embre)?|dic(?:embre)?)\b\.?"
)
# alone, "mar" is a Tuesday and "sett." a week
_SURE_MONTH = (
    r"(?:genn?(?:aio)?|febb?r?(?:aio)?|marzo|apr(?:ile)?|magg?(?:io)?|giu(?:gno)?|lug(?:lio)?"
    r"|ago(?:sto)?|settembre|ott(?:obre)?|nov(?:embre)?|dic(?:embre)?)\b\.?"
)
_PHONE = (
    r"(?:\+\s?39\s?)?(?:(?:0\d{1,4}|3\d\d|8\d\d)\s?[./-]?\s?\d{5,}"
    r"|(?:0\d{2,4}|3\d\d|8\d\d)\s?[./-]?\s?\d{2,4}(?:[ .]\d{2,4})+)(?!\d)"
)
_YEAR = r"(?:\s+(20\d\d))?"
_PERIOD = r"(?:(?:solo|nel|periodo|nei|mesi|mese|di|da|dal)\s+)*"


class Token(NamedTuple):
    """`kind` is a key of the grammar, `text` the folded words, `value` what the table says about them."""

    kind: str
    text: str
    value: object = None


class SeasonWords(NamedTuple):
    """A span of the year, with ISO dates instead when the years were written."""

    season: Season
    valid_from: str = ""
    valid_to: str = ""


# kind, pattern, value: the first that matches wins, so longer phrases stand first
_PHRASES: Final[list[tuple[str, str, object]]] = [
    ("note", r"\S+@\S+|https?://\S+|www\.\S+", None),
    ("note", rf"(?:al\s+)?(?:numero verde|n\.?\s?verde|numero)\s*:?\s*{_PHONE}", None),
    ("phonenote", rf"(?:tel\b\.?|telefono|cell\b\.?|cellulare)\s*:?\s*{_PHONE}", None),
    ("note", _PHONE, None),
    ("note", r"(?:con\s+)?(?:un\s+)?preavviso\s+(?:di\s+)?(?:almeno\s+)?\d+\s*(?:gg\b\.?|giorn[oi]|ore|h\b)", None),
    ("note", r"(?:almeno|entro|minimo|con)\s+\d+\s*(?:gg\b\.?|giorn[oi]|ore|h\b|settiman[ae]|sett\b\.?)"
             r"(?:\s+lavorativi)?(?:\s+(?:prima|di anticipo|di preavviso))?", None),
    ("note", r"\d+\s*(?:gg\b\.?|giorn[oi]|settiman[ae]|sett\b\.?)\s+prima\b", None),
    ("note", r"salvo\s+(?:divers[aei]|altr[aei])\s+\w+", None),
    ("assuming", r"(?:e\s+comunque\s+)?(?:fino|sino)\s+ad?\s+(?:l'\s?)?esaurimento\b"
                 r"(?:\s+(?:di|delle|dei|del|degli|della))?"
                 r"(?:\s+(?:scorte|posti|numeri|numerini|disponibilita|prodotti|viveri|merce|pasti))?", None),
    ("withholidays", r"(?:(?:sono\s+)?(?:compres[eiao]|inclus[eiao])|anche)\s+(?:(?:i|le|nei|nelle)\s+)?"
                     r"(?:giorni\s+)?(?:festiv[oi]\b|festivita\b)"
                     r"|(?:giorni\s+)?(?:festiv[oi]|festivita)\s+(?:compres[eiao]|inclus[eiao])\b", None),
    ("nodesk", r"(?:no|senza|nessuno?|niente|non\s+c'?\s?e)\s+(?:(?:lo|uno|un|alcuno?)\s+)?"
               r"(?:sportello(?:\s+fisico)?|front\s?office|ricevimento|sede\s+fisica"
               r"|apertura\s+al\s+pubblico)\b", None),
    ("note", r"365\s?(?:gg\b|giorni|g\b)?(?:\s?(?:/|all'|l'|su)\s?(?:anno|365))?|tutto l'anno", None),
    ("days", r"7\s?(?:giorni|gg\b\.?|g\b)?\s?(?:su|/)\s?7\b", ALL_DAYS),
    ("h24", r"h\.?\s?24\b|24\s?h\s?su\s?24\b|24\s?h\b(?:\s?/\s?24\b)?|24\s?/\s?24\b|24\s?(?:ore\s?)?su\s?24\b"
            r"|24\s?ore\b(?:\s+al\s+giorno\b)?|(?:giorno e notte|notte e giorno)\b|sempre apert[oa]", None),
    ("h24days", r"24\s?h?\s?/\s?7\b", None),
    ("fortnight", r"ogni\s+(?:15|quindici)\s*(?:gg\b\.?|giorni)|ogni\s+(?:2|due)\s+settimane"
                  r"|(?:a\s+)?settimane\s+alterne|quindicinal[ei]|quindicinalmente", None),
    ("appointment", r"(?:solo\s+|solamente\s+|soltanto\s+|esclusivamente\s+)?"
                    r"(?:su|per|previ[oa]|con|tramite|previo/a)\s+"
                    r"(?:l'\s?)?(?:app\.?\s?t[oi]\b\.?|appuntament[oi]\b|appuntam?\b\.?|app\b\.?|prenotazion[ei]\b"
                    r"|richiesta\b|accord[oi]\b|contatto\b|telefonata\b)"
                    r"(?:\s+telefonic[oa]\b)?(?:\s+obbligatori[oa]\b)?", None),
    ("appointment", r"(?:fissare|prendere)\s+(?:un\s+)?appuntamento|app\.?to\b\.?|appuntament[oi]\b"
                    r"|(?:orario\s+)?da concordare", None),
    ("booking", r"(?:per\s+)?(?:prenotar(?:e|si)|prenotazion[ei])\b(?:\s+obbligatori[ae]\b)?"
                r"(?:\s+telefonic(?:a|he)\b)?", None),
    ("phone", r"(?:solo\s+|soltanto\s+|esclusivamente\s+)?(?:(?:al|per|via|tramite)\s+)?"
              r"(?:telefon(?:o|ico|ica|icamente|are|ate|ando)\b|chiamare\b|chiamando\b|whats\s?app\b|tel\b\.?|cell\b\.?"
              r"|centralino\b)", None),
    ("days", r"(?:tutti\s+i\s+|nei\s+|i\s+)*giorni\s+feriali|feriali", "working"),
    ("days", r"(?:tutti\s+i\s+|nei\s+|i\s+)*giorni\s+lavorativi|lavorativi", "office"),
    ("days", r"tutti\s+i\s+(?:giorni|gg\b\.?)|ogni\s+giorno|quotidian[oaie]\b|quotidianamente|giornalmente"
             r"|tutta la settimana", ALL_DAYS),
    ("days", r"(?:tutte le|ogni)\s+(?:ser[ae]|nott[ei])\b", ALL_DAYS),
    ("days", r"(?:tutte le|tutti i|ogni)\s+(?:mattin[aeo]|pomeriggi[o]?)\b", "halves"),
    ("days", r"week\s?-?\s?ends?\b|fine\s?settimana", (5, 6)),
    ("holiday", r"(?:i\s+|nei\s+)?(?:giorni\s+)?festiv[oi]\b|festivita\b", None),
    ("ofmonth", r"(?:del|di\s+ogni|di\s+ciascun|ogni|nel)\s+mese\b", None),
    ("school", r"(?:durante\s+|nel\s+|in\s+|il\s+|l')*(?:periodo|anno|calendario)\s+scolastico", None),
    ("undated", r"(?:(?:in\s+|d')?(?:orario|periodo)\s+)?(?:estiv[oa]|invernale)\b"
                r"|(?:in\s+|d'|d\s)?(?:estate|inverno)\b", None),
    ("closed", r"chius[oiae]\b|chiusura\b|esclus[oiae]\b|ad\s+(?:esclusione|eccezione)\s+d(?:i|el|ella|ei)\b"
               r"|eccett(?:o|uat[oiae])\b|tranne\b|salvo\b|non\s+si\s+riceve\b|non\s+riceve\b|no\b", None),
    ("onlypart", r"sol[oa]\s+(?:di\s+|al\s+|il\s+|la\s+)?(?:mattin[ao]|pomeriggio|sera)\b", None),
    ("part", r"(?:di\s+|al\s+|il\s+|la\s+|nel\s+|in\s+)?(?:mattin[aoe]|mattinata|matt\b\.?)", "morning"),
    ("part", r"(?:di\s+|al\s+|il\s+|nel\s+|in\s+)?(?:pomeriggi[o]?\b|pome?r?\b\.?)", "afternoon"),
    ("part", r"(?:di\s+|la\s+|in\s+)?(?:sera\b|serale\b|serali\b|notte\b|notturno\b|notturna\b)", "evening"),
    ("other", r"(?:negli\s+|nei\s+|gli\s+)?(?:altr[ie]|restanti|rimanenti)\b"
              r"(?:\s+(?:giorni|orari|giornate|ore|fasce)\b)?", None),
    ("desk", r"(?:sportello|ricevimento|apertura|front\s?office)\b", None),
    ("and", r"(?:nonche|inoltre|anche|piu|poi|ed?)\b(?!\s+le\s+\d)|[&+]", None),
    ("or", r"(?:oppure|o)\b", None),
    ("to", r"(?:fino\s+|sino\s+)?(?:alle\b|ale\b|all'|alla\b)(?:\s*(?:ore|h)\b\.?)?"
           r"|e\s+le\b(?=\s+\d)|(?:fino\s+|sino\s+)(?:al?|ad)\b|al\b|ad?\b", None),
    ("from", r"(?:(?:a partire\s+)?(?:dalle\b|dale\b|dall'|dalla\b)|tra le\b|dal\b|dai\b|da\b)"
             r"(?:\s*(?:ore|h)\b\.?)?", None),
    ("clock", r"(?:ore|orario|orari|hh?)\b\.?", None),
    ("time", r"mezzogiorno\b", (12, 0)),
    ("time", r"mezzanotte\b", (24, 0)),
]  # fmt: skip
_COMPILED: Final = [(kind, re.compile(r"(?<![a-z])" + f"(?:{p})"), value) for kind, p, value in _PHRASES]

_FILLER_WORDS: Final = (
    "il lo la i gli le l di del della dei nei nel nella ogni tutti tutte sportelli aperture aperto"
    " aperta aperti riceve ricevono si pubblico ufficio giorno giorni solo soltanto solamente"
    " continuato servizio accesso libero attivo attiva in dell con su presso utenza sede orario"
)
_FILLERS: Final = frozenset(_FILLER_WORDS.split())
_ASSUMING: Final = frozenset({"circa", "ca", "indicativamente", "generalmente", "solitamente", "normalmente"})
_SEPARATORS: Final = {";": "stop", "\n": "stop", "|": "stop", ",": "comma", ":": "colon", "(": "open", ")": "close",
                      "[": "open", "]": "close", "-": "dash", "/": "slash", ".": "comma"}  # fmt: skip

# an ISO date is what Excel makes of "9-12": never hours
_DATE = re.compile(r"20\d\d-\d\d-\d\d(?!\d)")
# "8 e 30", "8 e mezza"; "12 e 15" only after "dalle", for in "9-12 e 15-18" it begins another span
_SPOKEN = re.compile(r"(\d{1,2})\s+e\s+(30|45|15|mezz[ao]\b|un quarto\b|tre quarti\b)(?![\d:.,h]\d?)")
_SPOKEN_MINUTES: Final = {"un quarto": 15, "tre quarti": 45, "mezza": 30, "mezzo": 30}
_TIME = re.compile(r"(\d{1,2})(?:[:.,h](\d{2})(?:[:.]00)?)?(?:\s?h\b)?(?![\d])")
_ORDINAL = re.compile(
    r"(penultim|prim|second|terz|quart|quint|ultim)[oaie]\b|([1-5])\s?[°^]|\b(iii|ii|iv|i)\b(?=\s+(?:e\s+(?:ii|iv)|[lmgvsd]\w))"
)
_WORD = re.compile(r"[a-z]+'?")
_COMMA_BETWEEN_SPANS = re.compile(r"(?<![\d.,:])(\d{1,2}(?:[:.]\d\d)?\s?-\s?\d{1,2}),(?=\d{1,2}(?:[:.]\d\d)?\s?-\s?\d)")
_DAY_SPAN = re.compile(
    rf"(?:dal?\s+|dall')?(\d{{1,2}})°?\s*({_MONTH}){_YEAR}\s*(?:-|fino al|al|all'|a\b)\s*"
    rf"(\d{{1,2}})°?\s*({_MONTH}){_YEAR}"
)
_DAYS_OF_A_MONTH = re.compile(rf"dal\s+(\d{{1,2}})°?\s+al\s+(\d{{1,2}})\s+({_MONTH}){_YEAR}")
_DATE_SPAN = re.compile(
    r"(dal?\s+)?(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d\d))?\s*(?:-|fino al|al)\s*(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d\d))?(?!\d)"
)
_MONTH_SPAN = re.compile(rf"{_PERIOD}({_MONTH})\s*(?:-|/|fino ad?\b|sino ad?\b|ad?\b|al\b)\s*({_MONTH})")
_MONTH_LIST = re.compile(
    rf"(?:(?:in|ad?|nel|nei|mes[ei]|di|per|solo|il|tutto)\s+)*({_SURE_MONTH}(?:\s*(?:,|/|\be\b)\s*{_SURE_MONTH})*)"
)
# one end of a span of the year: nobody knows the other
_OPEN_ENDED = re.compile(
    rf"(?:a partire\s+)?(?:dal?\b|dall'|dai\b|(?:fino|sino)\s+(?:ad?|al|all')|entro)\s*(?:il\s+)?"
    rf"(?:\d{{1,2}}(?:/\d{{1,2}}(?:/\d{{2,4}})?(?!\d)|°?\s*{_MONTH}{_YEAR})|{_SURE_MONTH}{_YEAR})"
)
_SINGLE_DAY = re.compile(rf"(?:il\s+)?(\d{{1,2}})\s+({_SURE_MONTH})")


def fold(text: str) -> str:
    """Lower case without accents; one kind of dash, apostrophe and degree sign; tabs and spaces become one space."""
    text = text.replace("º", "°").replace("ª", "°").replace("’", "'").replace("‘", "'").replace("`", "'")
    text = re.sub(r"[‐-―−→➔➜>]+|-+>", "-", text)
    text = unicodedata.normalize("NFKD", text.casefold())
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = re.sub(r"(?<=[a-z])'(?![a-z])", "", text)
    return re.sub(r"[^\S\n]+", " ", text).strip()


def month_number(word: str) -> int:
    return _MONTHS.index(word[:3]) + 1


def _season_at(text: str, at: int) -> tuple[int, SeasonWords] | None:
    """A span of the year that begins at a position, and where it ends."""
    if m := _DAY_SPAN.match(text, at):
        day1, month1, year1, day2, month2, year2 = m.groups()
        found = _dated(int(day1), month_number(month1), year1, int(day2), month_number(month2), year2)
        return (m.end(), found) if found else None
    if m := _DATE_SPAN.match(text, at):
        led, d1, m1, y1, d2, m2, y2 = m.groups()
        found = _dated(int(d1), int(m1), y1, int(d2), int(m2), y2)
        surely = led or y1 or y2 or max(int(d1), int(d2)) > 24  # "9/12 - 15/18" are hours
        if found and surely:
            return m.end(), found
    if m := _DAYS_OF_A_MONTH.match(text, at):
        day1, day2, month, year = m.groups()
        number = month_number(month)
        found = _dated(int(day1), number, year, int(day2), number, year)
        return (m.end(), found) if found else None
    m = _MONTH_SPAN.match(text, at)
    if m and {m[1].rstrip("."), m[2].rstrip(".")} != {"mar"}:
        return m.end(), SeasonWords(Season(from_month=month_number(m[1]), to_month=month_number(m[2])))
    if m := _SINGLE_DAY.match(text, at):
        found = _dated(int(m[1]), month_number(m[2]), None, int(m[1]), month_number(m[2]), None)
        return (m.end(), found) if found else None
    if m := _MONTH_LIST.match(text, at):
        months = [month_number(word) for word in re.findall(_SURE_MONTH, m[1])]
        if all((b - a) % 12 == 1 for a, b in pairwise(months)):
            return m.end(), SeasonWords(Season(from_month=months[0], to_month=months[-1]))
    return None


def _dated(d1: int, m1: int, y1: str | None, d2: int, m2: int, y2: str | None) -> SeasonWords | None:
    if not (1 <= d1 <= 31 and 1 <= m1 <= 12 and 1 <= d2 <= 31 and 1 <= m2 <= 12):
        return None
    season = Season(from_month=m1, from_day=d1, to_month=m2, to_day=d2)
    if not y2:
        return SeasonWords(season)
    last = int(y2) % 100 + 2000
    first = int(y1) % 100 + 2000 if y1 else last - ((m1, d1) > (m2, d2))
    return SeasonWords(season, f"{first:04}-{m1:02}-{d1:02}", f"{last:04}-{m2:02}-{d2:02}")


def one_typo(word: str, name: str) -> bool:
    """Whether two words differ by one letter added, lost, changed, or by two letters swapped."""
    if abs(len(word) - len(name)) > 1 or word[:1] != name[:1]:
        return False
    i = next((k for k, (a, b) in enumerate(zip(word, name, strict=False)) if a != b), min(len(word), len(name)))
    rest = (word[i:], name[i:])
    swapped = len(word) == len(name) and word[i : i + 2] == name[i : i + 2][::-1] and word[i + 2 :] == name[i + 2 :]
    return rest[0][1:] == rest[1][1:] or rest[0][1:] == rest[1] or rest[0] == rest[1][1:] or swapped


def _word_token(word: str, short_days: bool) -> Token:
    bare = word.rstrip("'.")
    if bare in _DAYS:
        return Token("day", word, _DAYS[bare])
    if short_days and bare in _TWO_LETTERS:
        return Token("day", word, _TWO_LETTERS[bare])
    if bare in _FILLERS:
        return Token("filler", word)
    if bare in _ASSUMING:
        return Token("assuming", word)
    near = _nearest_days(bare)
    return Token("day", word, _FULL_DAYS[near[0]]) if len(near) == 1 else Token("unknown", word)


def _nearest_days(word: str) -> list[str]:
    """The days a word may be a misspelling of: one slip from five letters on, two when it ends as days do ("vebredi").

    Two slips without that ending would make "giovani" a Thursday.
    """
    if len(word) < _TYPO_LETTERS:
        return []
    if one := [name for name in _FULL_DAYS if one_typo(word, name)]:
        return one
    if len(word) < _TWO_TYPOS_LETTERS or not word.endswith("di"):
        return []
    return [name for name in _FULL_DAYS if name[0] == word[0] and _slips(word, name) <= 2]


def _slips(word: str, name: str) -> int:
    """Letters added, lost, changed or swapped with the next: the optimal string alignment distance."""
    before: list[int] = []
    row = list(range(len(name) + 1))
    for i, a in enumerate(word, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(name, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == name[j - 2] and b == word[i - 2]:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]


def is_typo(token: Token) -> bool:
    """Whether a day was recognised only by correcting a letter."""
    return token.kind == "day" and token.text.rstrip("'.") not in _DAYS and len(token.text.rstrip("'.")) > 2


def _short_days(text: str) -> bool:
    """Two-letter days count when a text has at least two of them: alone, "ma" is "but" and "sa" is "knows"."""
    return len({w for w in re.findall(r"[a-z]+", text) if w in _TWO_LETTERS}) >= 2


def tokens(text: str) -> list[Token]:
    """The tokens of a text that was folded with `fold`."""
    text = _COMMA_BETWEEN_SPANS.sub(r"\1, ", text)
    text = re.sub(r"(?<![a-z])l\s?-\s?([vs])(?![a-z])", lambda m: f"lun-{'ven' if m[1] == 'v' else 'sab'}", text)
    short, found, at = _short_days(text), list[Token](), 0
    while at < len(text):
        if text[at] == " ":
            at += 1
            continue
        at, token = _token_at(text, at, short, found)
        found.append(token)
    return found


def _token_at(text: str, at: int, short: bool, before: list[Token]) -> tuple[int, Token]:
    second_time = len(before) > 1 and before[-1].kind in ("dash", "slash", "to") and before[-2].kind == "time"
    inside_word = at > 0 and text[at].isalpha() and text[at - 1].isalpha()
    if not second_time and not inside_word:
        if season := _season_at(text, at):
            return season[0], Token("season", text[at : season[0]], season[1])
        if m := _OPEN_ENDED.match(text, at):
            return m.end(), Token("unknown", m[0])
        if m := _ORDINAL.match(text, at):
            number = _ORDINALS[m[1]] if m[1] else int(m[2]) if m[2] else _ROMAN[m[3]]
            return m.end(), Token("ordinal", m[0], number)
    for kind, pattern, value in _COMPILED:
        second_clock = second_time and kind in ("h24", "note") and text[at].isdigit()
        if not second_clock and (m := pattern.match(text, at)) and m.end() > at:
            return m.end(), Token(kind, m[0], value)
    if m := _DATE.match(text, at):
        return m.end(), Token("unknown", m[0])
    if spoken := _spoken_time(text, at, before):
        return spoken
    return _plain_token(text, at, short)


def _spoken_time(text: str, at: int, before: list[Token]) -> tuple[int, Token] | None:
    m = _SPOKEN.match(text, at)
    after = bool(before) and before[-1].kind
    another = after != "from" and (after != "to" or re.match(r"\s*(?:-|/|alle|fino)", text[m.end() :])) if m else True
    if not m or (m[2] == "15" and another):
        return None
    minutes = int(m[2]) if m[2].isdigit() else _SPOKEN_MINUTES[m[2]]
    return m.end(), Token("time", m[0], (int(m[1]), minutes))


def _plain_token(text: str, at: int, short: bool) -> tuple[int, Token]:
    if m := _TIME.match(text, at):
        return m.end(), Token("time", m[0], (int(m[1]), int(m[2] or 0)))
    if m := re.compile(r"\d+").match(text, at):
        return m.end(), Token("unknown", m[0])
    if m := _WORD.match(text, at):
        token = _word_token(m[0], short)
        dotted = text[m.end() : m.end() + 1] == "." and len(m[0]) <= 5
        return m.end() + dotted, token
    if text[at] == "." and at + 1 < len(text) and at > 0 and text[at - 1].isdigit():
        return at + 1, Token("stop", ".")
    return at + 1, Token(_SEPARATORS.get(text[at], "unknown"), text[at])
