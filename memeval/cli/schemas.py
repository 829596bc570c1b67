"""JSON schemas of the files that memeval writes, made from the records that read them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from memeval.core import results
from memeval.core.errors import UsageError, did_you_mean
from memeval.core.types import Candidates, Header, Machine, Ranking, Result
from memeval.gate import baseline
from memeval.measures import latency
from memeval.report.claimed import Claims
from memeval.runs.submission import Submission
from memeval.runs.suite import Suite


@dataclass(frozen=True)
class Manifest:
    """The suite that results are of."""

    suite: Suite
    """The suite, every default written out."""


@dataclass(frozen=True)
class Format:
    """A kind of file: what it is, the record that is its JSON value or its first line, and those of the other lines."""

    about: str
    head: type
    lines: tuple[type, ...] = ()
    versions: tuple[int, ...] = (results.VERSION,)
    sealed: bool = False
    """Whether it states the digest of its content."""


FORMATS: Mapping[str, Format] = {
    "baseline": Format("what a gate accepted: results/baselines/*.json", baseline.Baseline, sealed=True),
    "benchmark": Format("a suite as it is written: benchmarks/*.toml", Suite, versions=()),
    "candidates": Format("the frozen first stage: candidates.jsonl", Candidates, (results.Listed,), sealed=True),
    "claims": Format("claims about systems, as they are written: *-claims.toml", Claims, versions=()),
    "judged": Format("labels that judges made: judged.json", results.LabelCard),
    "labels": Format("labels by id: labels.jsonl", results.Labels, (results.QueryLabels,)),
    "result": Format("what was measured of a system: <system>.json", Result, sealed=True),
    "run": Format("raw rankings of a system: <system>.run.jsonl", Header, (Ranking,)),
    "submission": Format("what an archive for a board holds: submission.json", Submission),
    "suite": Format("the suite that results are of: suite.json", Manifest, sealed=True),
    "times": Format(
        "seconds and the machine of a run: <system>.times.jsonl",
        Machine,
        (Machine, latency.Asked, latency.Batch, latency.Billed),
        (1, latency.VERSION),
    ),
    "unavailable": Format("systems that could not run: unavailable.json", results.Unavailable),
}


def listed() -> str:
    """The formats, a line each."""
    return "\n".join(f"schema/{name:<12} {form.about}" for name, form in FORMATS.items())


def text(name: str) -> str:
    """The schema of a format, as JSON. Raises UsageError for one that there is not."""
    if name not in FORMATS:
        raise UsageError(f"unknown schema {name!r}{did_you_mean(name, FORMATS)}")
    return json.dumps(schema(name), indent=1, ensure_ascii=False)


@cache
def schema(name: str) -> Mapping[str, Any]:
    """JSON Schema 2020-12 of a file; of one of lines, that of any of its lines."""
    from pydantic import ConfigDict, TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

    class Untitled(GenerateJsonSchema):
        def field_title_should_be_set(self, schema: Any) -> bool:
            return False

    form = FORMATS[name]
    kinds = dict.fromkeys((form.head, *form.lines))
    # A tuple hands the setting on to records that have none of their own.
    every = TypeAdapter(tuple[*kinds], config=ConfigDict(use_attribute_docstrings=True))  # type: ignore[valid-type]
    parts = every.json_schema(schema_generator=Untitled)["$defs"]
    head = parts[form.head.__name__]
    untold = results.TOLD_ELSEWHERE.get(form.head, ())
    known = {key: value for key, value in head["properties"].items() if key not in untold}
    if form.versions:
        digest = {"digest": {"type": "string", "description": "SHA-256 of the content."}} if form.sealed else {}
        stated = {"schema": {"const": f"memeval/{name}"}, "version": {"enum": list(form.versions)}, **digest}
        required = [] if form.head in form.lines else ["schema", "version"]
        head |= {"properties": stated | known, "additionalProperties": False}
        head["required"] = [*required, *head.get("required", ())]
    told = [{"$ref": f"#/$defs/{kind.__name__}"} for kind in kinds]
    what = f"{form.about}; this is one of its lines" if form.lines else form.about
    about = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"memeval/{name}", "description": what}
    return {**about, **({"anyOf": told} if form.lines else told[0]), "$defs": parts}
