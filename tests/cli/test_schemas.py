"""JSON schemas of files: what is committed and shipped validates, what is damaged does not."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from memeval.cli import app, schemas
from memeval.core import files
from memeval.runs import suite

RESULTS = Path(__file__).parents[2] / "results"
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
NUMBERS = {"integer": int, "number": (int, float)}
WORDS = {
    *("$defs", "$ref", "$schema", "anyOf", "const", "default", "description", "enum", "title", "type"),
    *("additionalProperties", "properties", "required", "items", "maxItems", "minItems", "prefixItems"),
    *("exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "maxLength", "pattern"),
}


def faults(value: Any, schema: Mapping[str, Any], whole: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """What is wrong with a value, by as much of JSON Schema as our schemas speak."""
    assert schema.keys() <= WORDS, schema.keys() - WORDS
    if "$ref" in schema:
        yield from faults(value, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole, place)
    if "anyOf" in schema:
        found = [list(faults(value, one, whole, place)) for one in schema["anyOf"]]
        yield from min(found, key=len)
    if "type" in schema:
        named = schema["type"]
        number = named in NUMBERS and isinstance(value, NUMBERS[named]) and not isinstance(value, bool)
        if not (number or (named in TYPES and isinstance(value, TYPES[named]))):
            yield f"{place}: is no {named}"
            return
    if value != schema.get("const", value) or value not in schema.get("enum", [value]):
        yield f"{place}: is another value"
    if isinstance(value, dict):
        known = schema.get("properties", {})
        yield from (f"{place}.{key}: is missing" for key in schema.get("required", ()) if key not in value)
        for key, inner in value.items():
            rest = schema.get("additionalProperties", True)
            if key in known:
                yield from faults(inner, known[key], whole, f"{place}.{key}")
            elif rest is False:
                yield f"{place}.{key}: is unknown"
            elif rest is not True:
                yield from faults(inner, rest, whole, f"{place}.{key}")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{place}: has {len(value)} items"
        shapes = schema.get("prefixItems") or [schema.get("items", {})] * len(value)
        for number, (inner, shape) in enumerate(zip(value, shapes, strict=False)):
            yield from faults(inner, shape, whole, f"{place}[{number}]")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if not low <= value <= high or value <= schema.get("exclusiveMinimum", value - 1):
            yield f"{place}: is out of range"
        if value >= schema.get("exclusiveMaximum", value + 1):
            yield f"{place}: is out of range"
    fits = "pattern" not in schema or re.search(schema["pattern"], str(value))
    if isinstance(value, str) and (not fits or len(value) > schema.get("maxLength", len(value))):
        yield f"{place}: is another text"


def wrong(name: str, value: Any) -> list[str]:
    schema = schemas.schema(name)
    return list(faults(value, schema, schema))


def values(path: Path) -> list[Any]:
    return list(files.lines(path)) if ".jsonl" in path.name else [files.value(path)]


COMMITTED = [path for path in sorted(RESULTS.rglob("*")) if path.is_file()]


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: str(path.relative_to(RESULTS)))
def test_a_committed_file_is_as_its_schema_says(path: Path) -> None:
    found = values(path)
    schema, _, name = found[0]["schema"].partition("/")
    assert (schema, name in schemas.FORMATS) == ("memeval", True)
    assert not [fault for value in found for fault in wrong(name, value)][:3]


@pytest.mark.parametrize("name", suite.shipped())
def test_a_shipped_suite_is_as_its_schema_says(name: str) -> None:
    content = tomllib.loads(suite.shipped()[name].read_text())
    assert not wrong("benchmark", content)
    values = json.loads(json.dumps(suite.values(suite.load(name))))
    assert not wrong("suite", {"schema": "memeval/suite", "version": 1, "suite": values})


@pytest.mark.parametrize(
    "name", ["candidates.jsonl", "labels.jsonl", "bm25.run.jsonl", "bm25.json", "bm25.times.jsonl"]
)
def test_a_damaged_file_is_not_as_its_schema_says(name: str) -> None:
    for value in values(RESULTS / "hard-cases" / "hard-cases" / name)[:2]:
        head, *_ = values(RESULTS / "hard-cases" / "hard-cases" / name)
        kind = head["schema"].partition("/")[2]
        for key in value:
            assert wrong(kind, {**value, key: [[None]] if isinstance(value[key], dict) else {"x": [[]]}}), key
    assert wrong(kind, {**head, "version": 99}) and wrong(kind, {**head, "mistyped": 1})


@pytest.mark.parametrize("name", schemas.FORMATS)
def test_a_schema_says_what_every_field_of_a_result_file_holds(name: str) -> None:
    whole = json.loads(CliRunner().invoke(app, ["show", f"schema/{name}"]).stdout)
    records = [part for kind, part in whole["$defs"].items() if kind not in ("Suite", "System", "Gate")]
    fields = [(field, shape) for part in records for field, shape in part.get("properties", {}).items()]
    lacking = [field for field, shape in fields if not shape.keys() & {"description", "const", "enum"}]
    assert not lacking


def test_schemas_are_listed_and_an_unknown_one_is_named() -> None:
    listed = CliRunner().invoke(app, ["show", "schema"])
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [f"schema/{name}" for name in schemas.FORMATS]
    done = CliRunner().invoke(app, ["show", "schema/resutl"])
    assert isinstance(done.exception, SystemExit) and done.exit_code == 2
    assert "did you mean 'result'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
