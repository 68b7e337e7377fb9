"""`python -m schemas`: writes JSON Schemas of what travels and our HSDS profile; `--check` tells of drift (exit 1).

schemas/json/*.json          every struct of wire, bodies, records, membership, catalogue that no other one contains
schemas/json/profile/*.json  what our records add to HSDS 3.1, as JSON Merge Patches (RFC 7386) of its schema files
"""

import json
import re
import sys
from inspect import cleandoc
from pathlib import Path
from types import ModuleType
from typing import Final, TypeAlias

import msgspec

from schemas import bodies, catalogue, membership, records, wire

FOLDER: Final = Path(__file__).parent / "json"
MODULES: Final = (wire, bodies, records, membership, catalogue)
Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Shape: TypeAlias = type[msgspec.Struct]

PROFILE: Final[dict[str, tuple[Shape, frozenset[str]]]] = {
    "accessibility": (records.Accessibility, frozenset({"code"})),
    "cost_option": (records.CostOption, frozenset({"code"})),
    "location": (records.Location, frozenset({"precision"})),
    "organization": (records.Organization, frozenset({"node", "participant_type"})),
    "schedule": (records.Schedule, frozenset({"attending", "season", "closed_season"})),
    "service": (
        records.Service,
        frozenset(
            {
                "vocabulary",
                "kind",
                "categories",
                "needs",
                "targets",
                "comune",
                "territory",
                "desk",
                "owner",
                "provider",
                "sector",
                "management",
                "systems",
                "access",
                "anonymous_access",
                "requirements",
                "legal_references",
                "hours",
                "waiting",
                "notice",
                "charter",
                "urgent_line",
                "place",
                "verified_at",
                "valid_until",
                "derived",
                "salt",
            }
        ),
    ),
}
"""HSDS schema file → our struct and the members that HSDS does not have."""

SAME: Final[dict[str, Shape]] = {
    "address": records.Address,
    "language": records.Language,
    "organization_identifier": records.OrganizationIdentifier,
    "phone": records.Phone,
    "required_document": records.RequiredDocument,
    "service_area": records.ServiceArea,
    "service_at_location": records.ServiceAtLocation,
    "service_capacity": records.Capacity,
    "unit": records.Unit,
}
"""HSDS schema files of which our structs hold a part and add nothing."""


def structs(module: ModuleType) -> list[Shape]:
    """The structs defined in a module, private ones apart."""
    return [
        shape
        for name, shape in vars(module).items()
        if isinstance(shape, type)
        and issubclass(shape, msgspec.Struct)
        and shape.__module__ == module.__name__
        and not name.startswith("_")
    ]


def _components(shape: Shape) -> dict[str, Json]:
    """Schemas of a struct and of everything it contains, by name."""
    _, found = msgspec.json.schema_components([shape], ref_template="#/$defs/{name}")
    return {name: _tidy(schema) for name, schema in found.items()}


def _tidy(schema: Json) -> Json:
    """Docstrings without the indentation of the source."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: cleandoc(part) if name == "description" and isinstance(part, str) else _tidy(part)
        for name, part in schema.items()
    }


def _file_name(shape: Shape) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", shape.__name__).lower()


def _document(shape: Shape) -> Json:
    components = _components(shape)
    own = components.pop(shape.__name__)
    assert isinstance(own, dict)
    head: dict[str, Json] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:raccordo:schema:{_file_name(shape)}",
    }
    return head | own | ({"$defs": components} if components else {})


def _inlined(schema: Json, components: dict[str, Json]) -> Json:
    """Without references: a patched HSDS file has no place for our definitions."""
    if isinstance(schema, list):
        return [_inlined(part, components) for part in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _inlined(components[reference.rpartition("/")[2]], components)
    return {name: _inlined(part, components) for name, part in schema.items()}


def _patch(shape: Shape, added: frozenset[str]) -> Json:
    components = _components(shape)
    own = components[shape.__name__]
    assert isinstance(own, dict)
    properties, required = own["properties"], own["required"]
    assert isinstance(properties, dict)
    chosen: dict[str, Json] = {name: _inlined(properties[name], components) for name in properties if name in added}
    return {"properties": chosen, "required": required}


def documents() -> dict[str, Json]:
    """Every generated file, by its path below schemas/json."""
    shapes = [shape for module in MODULES for shape in structs(module)]
    inner = {name for shape in shapes for name in _components(shape) if name != shape.__name__}
    made = {f"{_file_name(shape)}.json": _document(shape) for shape in shapes if shape.__name__ not in inner}
    return made | {f"profile/{name}.json": _patch(*what) for name, what in PROFILE.items()}


def texts() -> dict[str, str]:
    """The same as text."""
    return {name: json.dumps(made, ensure_ascii=False, indent=2) + "\n" for name, made in documents().items()}


def on_disk(folder: Path) -> dict[str, str]:
    """What was generated before."""
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in sorted(folder.rglob("*.json"))}


def drift(folder: Path) -> list[str]:
    """Names of files that are missing, different or no longer generated."""
    wanted, held = texts(), on_disk(folder)
    return sorted(name for name in wanted.keys() | held.keys() if wanted.get(name) != held.get(name))


def write(folder: Path) -> None:
    """Makes the folder what it has to be."""
    wanted = texts()
    for name in on_disk(folder).keys() - wanted.keys():
        (folder / name).unlink()
    for name, text in wanted.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Exit code: 0, or 1 when `--check` finds drift, or 2 for another argument."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m schemas [--check]\n")
        return 2
    if not arguments:
        write(folder)
        return 0
    changed = drift(folder)
    for name in changed:
        sys.stderr.write(f"schemas/json/{name}: run «python -m schemas»\n")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
