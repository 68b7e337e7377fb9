"""OpenAPI 3.1 of a program's interface, made from its rows and the structs they name. It serves nothing."""

import json
from collections.abc import Callable, Mapping, Sequence
from inspect import cleandoc
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec
from msgspec import inspect as shape_of

from node.runtime.api import KEY, OPERATOR, Endpoint, Shape, acting, asked_fields, msgspec_fields
from node.runtime.problem import PROBLEM_MEDIA
from node.runtime.routes import JSON
from schemas.problems import PROBLEMS
from schemas.wire import ProblemBody

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
_REF: Final = "#/components/schemas/{name}"

READING: Final = (400, 403, 404, 408, 409, 410, 413, 415, 422, 429, 503)
"""What any call may be answered; 401 where a token is asked for, 507 where something is written."""

_LEAST_KEY: Final[dict[str, Json]] = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]{1,128}$"}
_LEAST_OPERATOR: Final[dict[str, Json]] = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,32}$"}


class Said(NamedTuple):
    """One example: what is sent or answered, in Italian and, where words differ, in English."""

    it: Any
    en: Any = None


class About(NamedTuple):
    """What a document says of the whole."""

    title: str
    version: str
    text: str
    server: str
    scopes: Mapping[str, tuple[str, str]]
    asked: Mapping[str, Said]
    answered: Mapping[str, Said]


def document(about: About, rows: Sequence[Endpoint], shapes: Callable[[Endpoint], Shape]) -> dict[str, Json]:
    """The whole document; the same for the same rows."""
    known = {row.name: shapes(row) for row in rows}
    types = [ProblemBody, *(type_ for shape in known.values() for type_ in (shape.request, shape.answer))]
    refs, held = msgspec.json.schema_components(types, ref_template=_REF)
    components: dict[str, Json] = {name: _tidy(schema) for name, schema in held.items()}
    of = dict(zip(known, zip(refs[1::2], refs[2::2], strict=True), strict=True))
    paths: dict[str, Json] = {}
    for row in rows:
        place = paths.setdefault(row.path, {})
        assert isinstance(place, dict)
        place[row.method.lower()] = _operation(about, row, known[row.name], of[row.name], components)
    paths[about.server + "/openapi.json"] = {"get": _described()}
    made: dict[str, Json] = {
        "openapi": "3.1.0",
        "info": {"title": about.title, "version": about.version, "description": about.text, "license": _LICENSE},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": f"{it} / {en}"} for name, (it, en) in about.scopes.items()],
        "paths": paths,
    }
    made["components"] = {
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": _SCHEME_SAID}},
        "responses": {str(status): _problem(status) for status in _statuses()},
        "schemas": _used(made, components),
    }
    return made


def text(made: dict[str, Json]) -> str:
    """As it is committed and served."""
    return json.dumps(made, ensure_ascii=False, indent=1) + "\n"


_LICENSE: Final[Json] = {"name": "EUPL-1.2", "identifier": "EUPL-1.2"}
_SCHEME_SAID: Final = "Il token di un'applicazione («apps add»). / The token of an application."


def _described() -> Json:
    said = "Questo documento. / This document."
    ok: Json = {"description": said, "content": {JSON: {"schema": {"type": "object"}}}}
    return {
        "operationId": "get-openapi.json",
        "summary": said,
        "security": [],
        "responses": {"200": ok, **_refused((400, 403, 503))},
    }


# -- one operation


def _operation(
    about: About, row: Endpoint, shape: Shape, refs: tuple[dict[str, Any], dict[str, Any]], components: dict[str, Json]
) -> Json:
    request, answer = refs
    whole = components[request["$ref"].rpartition("/")[2]]
    assert isinstance(whole, dict)
    properties = whole.get("properties", {})
    assert isinstance(properties, dict)
    fields = asked_fields(row, shape)
    parameters: list[Json] = [_in_path(row, shape, name, properties) for name in row.places]
    made: dict[str, Json] = {
        "operationId": row.name,
        "summary": row.it,
        "description": row.en,
        "tags": [row.scope] if row.scope else [],
        "security": [{"token": [row.scope]} if row.scope else {"token": []}],
        "x-raccordo-command": row.command,
    }
    if row.method in ("POST", "PUT"):
        if fields:
            made["requestBody"] = _body(about, row, fields, properties)
    else:
        parameters += [_in_query(name, field, properties[name]) for name, field in fields.items()]
    parameters += _headers(row, shape)
    if parameters:
        made["parameters"] = parameters
    ok: dict[str, Json] = {"schema": _tidy(answer)}
    if row.name in about.answered:
        ok["examples"] = _examples(about.answered[row.name])
    made["responses"] = {
        "200": {"description": "Fatto. / Done.", "content": {JSON: ok}},
        **_refused((*READING, 401, *((507,) if row.effect else ()))),
    }
    return made


def _in_path(row: Endpoint, shape: Shape, name: str, properties: dict[str, Json]) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": _plain(properties[name])}


def _in_query(name: str, field: shape_of.Field, schema: Json) -> Json:
    made: dict[str, Json] = {"name": name, "in": "query", "required": field.required, "schema": _plain(schema)}
    if isinstance(field.type, shape_of.ListType):
        made |= {"style": "form", "explode": True}
    return made


def _plain(schema: Json) -> Json:
    """As text can say it: without null, which no query has, and without the default, which is what absence means."""
    if not isinstance(schema, dict):
        return schema
    found = {name: value for name, value in schema.items() if name != "default"}
    choices = found.get("anyOf")
    if isinstance(choices, list):
        kinds = [one for one in choices if isinstance(one, dict) and one.get("type") != "null"]
        if len(kinds) == 1:
            return {**{name: value for name, value in found.items() if name != "anyOf"}, **kinds[0]}
    return found


def _headers(row: Endpoint, shape: Shape) -> list[Json]:
    found: list[Json] = []
    needed = acting(shape)
    if needed is not None:
        said = "L'operatore per cui l'applicazione agisce. / The operator the application acts for."
        found.append(_header(OPERATOR, needed, _LEAST_OPERATOR, said))
    if row.effect:
        said = "Con la stessa chiave la stessa richiesta ha effetto una volta. / One effect for one key."
        found.append(_header(KEY, True, _LEAST_KEY, said))
    return found


def _header(name: str, required: bool, schema: Mapping[str, Json], said: str) -> Json:
    title = "-".join(part.capitalize() for part in name.split("-"))
    return {"name": title, "in": "header", "required": required, "schema": dict(schema), "description": said}


def _body(about: About, row: Endpoint, fields: Mapping[str, shape_of.Field], properties: dict[str, Json]) -> Json:
    required: list[Json] = [name for name, field in fields.items() if field.required]
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {name: properties[name] for name in fields},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = required
    media: dict[str, Json] = {"schema": schema}
    if row.name in about.asked:
        media["examples"] = _examples(about.asked[row.name])
    return {"required": bool(required), "content": {JSON: media}}


def _examples(said: Said) -> Json:
    english = said.it if said.en is None else said.en
    return {"it": {"summary": "Esempio", "value": said.it}, "en": {"summary": "Example", "value": english}}


# -- refusals


def _statuses() -> list[int]:
    return sorted({*READING, 401, 507})


def _refused(statuses: Sequence[int]) -> dict[str, Json]:
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}


def _problem(status: int) -> Json:
    codes: list[Json] = [code for code, problem in PROBLEMS.items() if problem.status == status]
    schema: Json = {
        "allOf": [{"$ref": _REF.format(name="ProblemBody")}, {"properties": {"code": {"enum": codes}}}],
    }
    said = "Rifiutata: il codice dice perché. / Refused: the code says why."
    return {"description": said, "content": {PROBLEM_MEDIA: {"schema": schema}}}


# -- schemas


def _used(made: Json, components: dict[str, Json]) -> dict[str, Json]:
    """Only those that something leads to: requests are shown without what path and headers say."""
    found: dict[str, Json] = {}
    waiting = ["ProblemBody", *_named(made)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = components[name]
            waiting += _named(components[name])
    return dict(sorted(found.items()))


def _named(schema: Json) -> list[str]:
    if isinstance(schema, list):
        return [name for part in schema for name in _named(part)]
    if not isinstance(schema, dict):
        return []
    inner = [name for part in schema.values() for name in _named(part)]
    ref = schema.get("$ref")
    own = isinstance(ref, str) and ref.startswith("#/components/schemas/")
    return [*inner, str(ref).rpartition("/")[2]] if own else inner


def _tidy(schema: Json) -> Json:
    """Docstrings without the indentation of the source; fixed arrays in words that every tool knows."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(places := schema.get("prefixItems"), list):
        kept = {name: part for name, part in schema.items() if name != "prefixItems"}
        schema = {**kept, "items": {"anyOf": places}, "x-places": places}
    return {
        name: cleandoc(part) if name == "description" and isinstance(part, str) else _tidy(part)
        for name, part in schema.items()
    }


__all__ = ["About", "Said", "document", "msgspec_fields", "text"]
