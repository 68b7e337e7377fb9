"""The OpenAPI documents as committed: schemas/openapi/*.json, one for each program that has an interface."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from node.api import document as node_document
from node.api import endpoints as node_endpoints
from node.api import scopes as node_scopes
from node.runtime.api import Endpoint
from node.runtime.openapi import Json, text
from registry import admin as registry_admin

FOLDER: Final = Path(__file__).parents[1] / "schemas" / "openapi"
MADE: Final[Mapping[str, Callable[[], dict[str, Json]]]] = {
    "node.json": node_document.node_document,
    "registry.json": registry_admin.registry_document,
}


def rows(program: str) -> Sequence[Endpoint]:
    """The addresses of a program's interface."""
    return {"node": node_endpoints.ROWS, "registry": registry_admin.ROWS}[program]


def scopes(program: str) -> Mapping[str, tuple[str, str]]:
    """Its permissions, in Italian and English."""
    return {"node": node_scopes.SCOPES, "registry": registry_admin.SCOPES}[program]


def drift() -> list[str]:
    """Documents that are not those of their rows."""
    return [name for name in MADE if _held(name) != text(MADE[name]())]


def write(name: str) -> None:
    """Makes one what it has to be."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / name).write_text(text(MADE[name]()), encoding="utf-8", newline="\n")


def _held(name: str) -> str:
    path = FOLDER / name
    return path.read_text("utf-8") if path.exists() else ""
