"""Baselines: accepted numbers, query by query, in a JSON file that belongs into git.

One line a query, so that a diff says which queries moved; values have six digits. `digest` is over everything else: a
baseline is remade by `memeval check --update --reason "…"`, never edited.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import memeval
from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.outside import plain
from memeval.core.types import UNTIMED, Count, Quantity, Result, canonical
from memeval.core.values import finite, shown
from memeval.measures import scoring
from memeval.measures.forbidden import known_mean

SCHEMA = "memeval/baseline"
VERSION = 1
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Conditions:
    """What of a signature must be equal for two results to be compared."""

    dataset_digest: str
    """SHA-256 of the data set's content."""
    candidates_digest: str | None
    """SHA-256 of the candidates."""
    rendering: str | None
    """How memories and queries were rendered."""
    pool: str | None
    """Where the candidates come from."""
    partial: int | str | None
    """Which part of the queries it is of, null for all."""
    unit: str
    """What is resampled and flipped."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a system was: for people, it decides nothing."""

    p50: float
    """Seconds of the median call."""
    device: str | None
    """What it ran on."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was accepted of one system on one ground."""

    dataset: str
    """The ground's label: the data set's address where that has one ground."""
    system: str
    """The system's name."""
    model: str
    """The model's full name."""
    fingerprint: Mapping[str, Any] | None
    """What its scores depend on, in the adapter's own keys."""
    facts: Conditions
    """What must be equal."""
    measures: Mapping[str, str]
    """Measure → its definition."""
    means: Mapping[str, Quantity]
    """Measure → its mean over the queries that have a value."""
    usage: Mapping[str, Quantity] | None
    """What all queries took together, by unit."""
    failed: Count
    """Queries without an answer."""
    repeats: Count
    """Of how many runs the values are the means."""
    latency: Speed | None
    """How fast it was."""
    values: Mapping[str, tuple[Quantity | None, ...]]
    """query_id → its values, in the order of `measures`; null where it has none."""

    def column(self, measure: str) -> dict[str, float]:
        """query_id → value of one measure; nan where it has none."""
        place = list(self.measures).index(measure)
        column = {query_id: row[place] for query_id, row in self.values.items()}
        return {query_id: math.nan if value is None else value for query_id, value in column.items()}


@dataclass(frozen=True, slots=True)
class Baseline:
    """The accepted entries of a suite, and why they were accepted."""

    suite: str
    """Name of the suite."""
    memeval: str
    """Version of memeval."""
    accepted: str
    """When: a date, ISO 8601."""
    reason: str
    """Why."""
    entries: tuple[Accepted, ...]
    """The systems."""


def accept(suite: str, results: Iterable[tuple[str, Result, Sequence[str]]], *, reason: str, date: str) -> Baseline:
    """A baseline of results, each with the ground it is of and the measures to keep of it.

    Args:
        date: ISO 8601.
    """
    entries = []
    for dataset, result, measures in results:
        signature = result.signature
        columns = {name: rounded(result, name) for name in measures}
        told = result.latency or UNTIMED
        entries.append(
            Accepted(
                dataset=dataset,
                system=signature.system,
                model=signature.model,
                fingerprint=signature.fingerprint,
                facts=Conditions(
                    **{part.name: getattr(signature, part.name) for part in dataclasses.fields(Conditions)}
                ),
                measures={name: signature.measures[name] for name in measures},
                means={name: round(known_mean([*row.values()]), DIGITS) for name, row in columns.items()},
                usage=result.usage,
                failed=scoring.failed(result),
                repeats=scoring.runs(result),
                latency=None if told.p50 is None else Speed(round(told.p50, 4), told.device),
                values={q: tuple(finite(row[q]) for row in columns.values()) for q in result.query_ids},
            )
        )
    return Baseline(suite, memeval.__version__, date, reason, tuple(entries))


def rounded(result: Result, measure: str) -> dict[str, float]:
    """query_id → value as a baseline would have it."""
    column = (round(value, DIGITS) for value in result.values[measure])
    return dict(zip(result.query_ids, column, strict=True))


def write(baseline: Baseline, path: Path) -> None:
    """Writes a baseline, whole or not at all."""
    content = dataclasses.asdict(baseline)
    head = {"schema": SCHEMA, "version": VERSION, "digest": _digest(content)}
    lines = [f"{json.dumps(key)}: {_line(value)}," for key, value in (head | content).items() if key != "entries"]
    blocks = ",\n".join(_block(entry) for entry in content["entries"])
    files.write_whole(path, "{\n" + "\n".join(lines) + f'\n"entries": [\n{blocks}\n]' + "\n}\n")


def read(path: Path) -> Baseline:
    """The baseline of a file.

    Raises DataError, each time with its own words, where the file is missing, cut off, something else, of a newer
    schema, or was edited by hand.
    """
    if not files.is_file(path):
        remedy = 'make it with `memeval check RESULTS --baseline FILE --update --reason "…"`'
        raise DataError(f"{path}: there is no such baseline: {remedy}")
    try:
        content = files.value(path)
    except DataError as error:
        raise DataError(f"{error}: take it from git again") from None
    if not isinstance(content, dict) or content.pop("schema", None) != SCHEMA:
        raise DataError(f"{path}: is no baseline of memeval")
    if (version := content.pop("version", None)) != VERSION:
        raise DataError(f"{path}: is a baseline of version {version!r}, this memeval reads {VERSION}: update memeval")
    digest = content.pop("digest", None)
    try:
        fits = digest == _digest(content)
    except ValueError:  # a number that is not finite
        fits = False
    if not fits:
        raise DataError(
            f"{path}: does not match its digest, it was edited or merged by hand: take it from git again, or accept"
            " new numbers with --update --reason"
        )
    try:
        found: Baseline = files.shaped(json.dumps(content), Baseline, str(path))
    except DataError as error:
        raise DataError(f"{path}: has not the keys of a baseline ({error})") from None
    if fault := _fault(found):
        raise DataError(f"{path}: {fault}: accept the numbers again with --update --reason")
    return found


def _fault(baseline: Baseline) -> str | None:
    """What no results could have given, though each value is of its type; None where there is nothing."""
    known: set[tuple[str, str]] = set()
    for entry in baseline.entries:
        about = f"{plain(entry.system)} on {plain(entry.dataset)}"
        if (entry.dataset, entry.system) in known:
            return f"holds {about} twice"
        known.add((entry.dataset, entry.system))
        for query_id, row in entry.values.items():
            if len(row) != len(entry.measures):
                return f"{about}: {shown(query_id)} has {len(row)} values of {len(entry.measures)} measures"
    return None


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(content)).hexdigest()


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _block(entry: Mapping[str, Any]) -> str:
    """An entry: a fact a line, a query a line."""
    facts = [f" {json.dumps(key)}: {_line(value)}," for key, value in entry.items() if key != "values"]
    rows = ",\n".join(f"  {_line(query_id)}: {_line(row)}" for query_id, row in entry["values"].items())
    return "{\n" + "\n".join(facts) + f'\n "values": {{\n{rows}\n }}\n}}'
