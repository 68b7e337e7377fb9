"""What a catalogue record may contain: plain text, no personal data, no address of a secret place. Not its schema.

The rules walk the JSON as received, so that members no schema knows are checked too. The same rules serve the desk that
writes, the registry at intake and every follower. Faults name the place, never the content.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from protocol.errors import ProtocolError

SECRET_FREE: Final = frozenset(
    {
        "address",
        "address_1",
        "address_2",
        "addresses",
        "attention",
        "city",
        "comune",
        "country",
        "latitude",
        "location",
        "locations",
        "longitude",
        "physical_addresses",
        "postal_addresses",
        "postal_code",
        "precision",
        "region",
        "service_at_locations",
        "state_province",
        "transportation",
        "zone",
    }
)
"""Members that say where a place is; a record whose place is secret has none of them (PROTOCOL §5)."""

NOT_PLAIN: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f"  # controls, line feed excepted
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible, bidirectional
    "\ue000-\uf8ff\U000e0000-\U0010ffff]"  # private use, tags
    r"|<[A-Za-z/!?]|&(?:[A-Za-z]{2,31}|#[0-9]+|#x[0-9A-Fa-f]+);|\]\(|(?i:javascript:|vbscript:|data:[a-z]+/)"
)
TAX_CODE: Final = re.compile(
    r"(?<![A-Z0-9])[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z](?![A-Z0-9])", re.I
)
"""The codice fiscale of a person (also with digits replaced for homonyms); a body has eleven digits."""
IBAN: Final = re.compile(r"(?<![A-Z0-9])[A-Z]{2}[0-9]{2}(?:[ ]?[A-Z0-9]){11,30}(?![A-Z0-9])")
STREET: Final = re.compile(
    r"(?<!\w)(?i:via|viale|piazza|piazzale|corso|vicolo|largo|strada|contrada|localit[àa])\s+[A-Z][\w'.]"
)


def faults(record: Mapping[str, object]) -> Iterator[ProtocolError]:
    """Every breach, with its path: catalogue-not-plain, catalogue-personal-data, catalogue-secret-place."""
    secret = record.get("place") == "secret"
    for path, name, value in _walk(record, "$"):
        if NOT_PLAIN.search(name) or (isinstance(value, str) and NOT_PLAIN.search(value)):
            yield ProtocolError("catalogue-not-plain", field=path)
        if isinstance(value, str) and name != "salt" and is_personal(value):
            yield ProtocolError("catalogue-personal-data", field=path)
        if secret and ((name in SECRET_FREE and value) or (isinstance(value, str) and STREET.search(value))):
            yield ProtocolError("catalogue-secret-place", field=path)


def is_personal(text: str) -> bool:
    """A person's codice fiscale or an account number stands in it."""
    return bool(TAX_CODE.search(text)) or any(_is_iban(found.group()) for found in IBAN.finditer(text))


def _is_iban(text: str) -> bool:
    """ISO 13616: rotated by four, letters as numbers, the remainder by 97 is 1."""
    compact = text.replace(" ", "")
    digits = "".join(str(int(char, 36)) for char in compact[4:] + compact[:4])
    return int(digits) % 97 == 1


def _walk(value: object, path: str, name: str = "") -> Iterator[tuple[str, str, object]]:
    """Every value with its path and the member name it stands under; unknown names are not shown in paths."""
    yield path, name, value
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key if key.isidentifier() and len(key) <= 40 else '?'}", key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{index}]", name)
