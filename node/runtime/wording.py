"""The language people read: Italian, or English when asked. Texts are written in Italian; English is a table.

`RACCORDO_LANG` decides, then the usual LC_ALL, LC_MESSAGES, LANG. A text without English stays Italian.
"""

import os
from collections.abc import Mapping

from schemas.problems import PROBLEMS


def language(environment: Mapping[str, str] | None = None) -> str:
    """ "it" or "en"."""
    given = os.environ if environment is None else environment
    for name in ("RACCORDO_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := given.get(name):
            return "en" if value.lower().startswith("en") else "it"
    return "it"


def say(text: str) -> str:
    """The Italian `text` in the reader's language."""
    if language() == "it":
        return text
    from node.runtime.english import TEXTS

    return TEXTS.get(text, text)


def what_happened(code: str) -> str:
    """One sentence about a problem code."""
    if language() == "it":
        return PROBLEMS[code].it
    text = PROBLEMS[code].en
    return f"{text[:1].upper()}{text[1:]}."


def what_to_do(code: str) -> str:
    """What the reader may do about it."""
    return say(PROBLEMS[code].fix)
