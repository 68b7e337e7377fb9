"""The generated JSON Schemas: up to date, complete, true of samples; our profile against HSDS 3.1 itself."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

from schemas import bodies, records, wire
from schemas.__main__ import FOLDER, MODULES, PROFILE, SAME, documents, drift, main, structs, write

HSDS = Path(__file__).parents[3] / "shared" / "standards" / "hsds" / "3.1-dev" / "schema"
needs_hsds = pytest.mark.skipif(not HSDS.is_dir(), reason="../shared/standards/hsds is absent")


def uuid(n: int) -> str:
    return f"00000000-0000-4000-8000-{n:012d}"


ADDRESS = records.Address(id=uuid(10), address_1="via Roma 1", city="Alfa", state_province="PU", postal_code="61010")
SAMPLE = records.Service(
    id=uuid(1),
    name="Assistenza domiciliare",
    status="active",
    description="Aiuto a casa per persone non autosufficienti.",
    organization=records.Organization(
        id=uuid(2),
        name="Comune di Alfa",
        description="Servizi sociali",
        email="servizi@example.org",
        website="https://example.org",
        organization_identifiers=[records.OrganizationIdentifier(id=uuid(3), identifier_type="IPA", identifier="c_x000")],
        node="comune-alfa",
        participant_type="PT-COMUNE",
    ),
    minimum_age=65,
    assured_date="2026-11-02",
    last_modified="2026-11-02T09:00:00Z",
    phones=[records.Phone(id=uuid(4), number="0721 000000", type="voice", extension=12)],
    schedules=[
        records.Schedule(
            id=uuid(5),
            freq="WEEKLY",
            byday="MO,WE",
            opens_at="09:00",
            closes_at="12:30",
            valid_from="2026-01-01",
            attending="booking",
            season=records.Season(from_month=10, to_month=5),
        )
    ],
    languages=[records.Language(id=uuid(6), code="it", name="Italiano")],
    service_areas=[records.ServiceArea(id=uuid(7), name="Alfa", extent_type="text")],
    service_at_locations=[
        records.ServiceAtLocation(
            id=uuid(8),
            location=records.Location(
                id=uuid(9),
                location_type="physical",
                latitude=43.8,
                longitude=12.7,
                precision="centroid",
                addresses=[ADDRESS],
                accessibility=[records.Accessibility(id=uuid(11), description="senza gradini", code="AC-STEPFREE")],
            ),
        )
    ],
    cost_options=[records.CostOption(id=uuid(12), option="gratuito", currency="EUR", amount=0, code="CO-FREE")],
    required_documents=[records.RequiredDocument(id=uuid(13), document="ISEE")],
    capacities=[
        records.Capacity(
            id=uuid(14), unit=records.Unit(id=uuid(15), name="posti"), available=2, updated="2026-11-02T09:00:00Z"
        )
    ],
    vocabulary="2026-11",
    categories=["SC-SAD"],
    comune="041065",
    desk=records.Desk(id=uuid(16), name="Sportello sociale"),
    requirements=records.Requirements(residence=True),
    hours=records.Hours(text="lun e mer 9-12.30", status="ok"),
    waiting=records.Waiting(status="none"),
    verified_at="2026-11-02",
)  # fmt: skip
MINIMAL = records.Service(
    id=uuid(1),
    name="Ascolto",
    status="active",
    organization=records.Organization(id=uuid(2), name="Associazione", description="Volontariato"),
)


def as_json(record: msgspec.Struct) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(msgspec.json.encode(record))
    return decoded


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386 §2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def hsds(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((HSDS / f"{name}.json").read_text("utf-8"))
    return loaded


def test_the_generated_files_are_those_of_the_sources() -> None:
    assert drift(FOLDER) == []


def test_drift_is_found_and_mended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    assert main(["--check"], tmp_path) == 0
    (tmp_path / "routing.json").write_text("{}")
    (tmp_path / "stale.json").write_text("{}")
    (tmp_path / "profile" / "service.json").unlink()
    assert main(["--check"], tmp_path) == 1
    told = capsys.readouterr().err
    assert [name in told for name in ("routing.json", "stale.json", "profile/service.json")] == [True] * 3
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    assert main(["--other"], tmp_path) == 2


def test_every_struct_that_travels_is_in_some_generated_file() -> None:
    written = {name: made for name, made in documents().items() if not name.startswith("profile/")}
    titles = {made["title"] for made in written.values()}  # type: ignore[index,call-overload]
    inner = {name for made in written.values() for name in made.get("$defs", {})}  # type: ignore[union-attr]
    assert {shape.__name__ for module in MODULES for shape in structs(module)} == titles | inner


def test_every_generated_schema_is_a_schema() -> None:
    for made in documents().values():
        Draft202012Validator.check_schema(made)  # type: ignore[arg-type]


@pytest.mark.parametrize("record", [SAMPLE, MINIMAL], ids=["full", "minimal"])
def test_a_sample_record_fits_its_generated_schema(record: records.Service) -> None:
    schema: Any = documents()["service.json"]
    assert list(Draft202012Validator(schema).iter_errors(as_json(record))) == []
    broken = as_json(record) | {"status": "open"}
    assert list(Draft202012Validator(schema).iter_errors(broken)) != []


def test_a_merge_patch_holds_no_null_by_accident() -> None:
    for name, made in documents().items():
        if name.startswith("profile/"):
            assert "null" not in json.dumps(made)


@needs_hsds
@pytest.mark.parametrize("record", [SAMPLE, MINIMAL], ids=["full", "minimal"])
def test_a_sample_record_is_an_hsds_service(record: records.Service) -> None:
    validator = Draft202012Validator(hsds("compiled/service"), format_checker=FormatChecker())
    assert [error.message for error in validator.iter_errors(as_json(record))] == []
    nameless = {name: value for name, value in as_json(record).items() if name != "name"}
    assert [error.message for error in validator.iter_errors(nameless)] == ["'name' is a required property"]


@needs_hsds
@pytest.mark.parametrize("name", sorted(PROFILE) + sorted(SAME))
def test_the_profile_names_exactly_what_hsds_lacks(name: str) -> None:
    shape, added = PROFILE[name] if name in PROFILE else (SAME[name], frozenset[str]())
    ours = {field.encode_name for field in msgspec.structs.fields(shape)}
    assert ours - set(hsds(name)["properties"]) == added


@needs_hsds
@pytest.mark.parametrize("name", sorted((PROFILE | SAME).keys() - {"address"}))
def test_what_hsds_requires_is_always_written(name: str) -> None:
    shape = PROFILE[name][0] if name in PROFILE else SAME[name]
    always = {field.encode_name for field in msgspec.structs.fields(shape) if field.required}
    assert set(hsds(name).get("required", [])) <= always


@needs_hsds
def test_an_address_is_an_hsds_address() -> None:
    assert [error.message for error in Draft202012Validator(hsds("address")).iter_errors(as_json(ADDRESS))] == []


@needs_hsds
def test_the_patched_hsds_schemas_accept_our_records_and_check_our_members() -> None:
    resources = []
    for path in HSDS.glob("*.json"):
        patch = FOLDER / "profile" / path.name
        schema = merge_patch(
            json.loads(path.read_text("utf-8")), json.loads(patch.read_text("utf-8")) if patch.exists() else {}
        )
        resources.append(
            (path.name, Resource.from_contents(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"}))
        )
    registry: Any = Registry().with_resources(resources)
    validator = Draft202012Validator({"$ref": "service.json"}, registry=registry)
    assert [error.message for error in validator.iter_errors(as_json(SAMPLE))] == []
    wrong = copy.deepcopy(as_json(SAMPLE))
    wrong["comune"] = "Alfa"
    wrong["schedules"][0]["season"] = {"from_month": 13}
    paths = {".".join(str(part) for part in error.absolute_path) for error in validator.iter_errors(wrong)}
    assert {"comune", "schedules.0.season"} <= paths


@pytest.mark.parametrize("shape", [wire.Routing, wire.Envelope, wire.Receipt, wire.RequestToken])
def test_the_sample_in_a_docstring_is_read(shape: type[msgspec.Struct]) -> None:
    """Only the abbreviations of names are not what would travel."""
    assert shape.__doc__ is not None
    sample = re.search(r"\{\".*\}", shape.__doc__, re.DOTALL)
    assert sample is not None
    msgspec.json.decode(sample.group(), type=shape)


def test_the_sample_event_body_is_read_once_its_names_are_whole() -> None:
    assert bodies.EventBody.__doc__ is not None
    sample = re.search(r"\{\".*\}", bodies.EventBody.__doc__, re.DOTALL)
    assert sample is not None
    whole = sample.group().replace("5b1c…", uuid(1)).replace("0e6f…", uuid(2))
    assert msgspec.json.decode(whole, type=bodies.Body).n == 2  # type: ignore[union-attr]
