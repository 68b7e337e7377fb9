"""The language people read: Italian, or English when asked. Texts are written in Italian; English is a catalogue.

`RACCORDO_LANG` decides, then the usual LC_ALL, LC_MESSAGES, LANG. Without a catalogue the Italian stands.
"""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from schemas.problems import PROBLEMS

if TYPE_CHECKING:
    import gettext


def language(environment: Mapping[str, str] | None = None) -> str:
    """ "it" or "en"."""
    given = os.environ if environment is None else environment
    for name in ("RACCORDO_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := given.get(name):
            return "en" if value.lower().startswith("en") else "it"
    return "it"


def say(text: str) -> str:
    """The Italian `text` in the reader's language."""
    return text if language() == "it" else _catalogue().gettext(text)


def what_happened(code: str) -> str:
    """One sentence about a problem code."""
    return PROBLEMS[code].it if language() == "it" else PROBLEMS[code].en


def what_to_do(code: str) -> str:
    """What the reader may do about it."""
    return say(PROBLEMS[code].fix)


@cache
def _catalogue() -> "gettext.NullTranslations":
    import gettext

    return gettext.translation("raccordo", Path(__file__).with_name("locale"), ["en"], fallback=True)
