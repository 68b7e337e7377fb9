"""Which program this is, as pyproject.toml says (a test holds the two together). No look at what is installed."""

from typing import Final

VERSION: Final = "0.2.0.dev0"
