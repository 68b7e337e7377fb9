"""What people write in a request, made into codes and instants. Nothing is guessed: what is not known is refused."""

from collections.abc import Iterable
from datetime import datetime

from protocol.calendar_it import ROME
from protocol.errors import ProtocolError
from protocol.territory import Territory
from schemas.vocabularies import table


def code(text: str, vocabulary: str, field: str) -> str:
    """A code of a vocabulary, small letters allowed. Raises unknown-code."""
    found = text.strip().upper()
    if found not in table(vocabulary):
        raise ProtocolError("unknown-code", field=field, expected=" ".join(table(vocabulary)), got=text)
    return found


def codes(texts: Iterable[str], vocabulary: str, field: str) -> tuple[str, ...]:
    """Several codes of one vocabulary. Raises unknown-code."""
    return tuple(code(text, vocabulary, field) for text in texts)


def comune(text: str, territory: Territory, field: str) -> str:
    """The ISTAT code of a comune as people name it. Raises unknown-code, with the names that look like it."""
    if match := territory.resolve(text):
        return match.istat
    near = ", ".join(territory.name(istat) for istat in territory.suggest(text))
    raise ProtocolError("unknown-code", field=field, expected=near or None, got=text)


def instant(text: str, field: str = "at") -> int:
    """ "2026-11-20 11:40", wall time in Italy, as Unix seconds. Raises bad-shape."""
    try:
        return int(datetime.fromisoformat(text.replace(" ", "T")).replace(tzinfo=ROME).timestamp())
    except ValueError:
        raise ProtocolError("bad-shape", field=field, expected="2026-11-20 11:40", got=text) from None
