"""The files of a benchmark, read and written.

    <results>/<suite>/<dataset>/candidates.jsonl        the frozen first stage
                               /labels.jsonl            the labels by id, so that reports need no data set
                               /<system>.run.jsonl      raw rankings: a header, then one line per query
                               /<system>.times.jsonl    the machine, and seconds per query: what differs between runs
                               /<system>.json           what was measured, derived from the run
                               /unavailable.json        systems that could not run, with the reason
    <results>/<suite>/suite.json                        the suite that was run, every default written out

Each names its schema and version. A file is written whole (temporary file, then rename) or appended line by line under
another name (`.partial`) and renamed when it is complete. Those that end in `.bz2` are compressed: bzip2, because its
bytes are the same everywhere.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, TypeVar

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.outside import struck
from memeval.core.types import (
    Candidates,
    Dataset,
    Estimate,
    Header,
    Query,
    Ranking,
    Result,
    Run,
    Status,
    canonical,
    split_stores,
)
from memeval.core.values import HIGHEST, LARGEST

VERSION = 1
UNAVAILABLE = "unavailable.json"
SUITE = "suite.json"
LABELS = "labels.jsonl"
TOLD_BY_TIMES = ("latency", "remembered")
"""What a result has from the times file: it differs between two runs of the same bytes."""

R = TypeVar("R")
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]


class Listed(TypedDict):
    """A line of a file of candidates."""

    query_id: str
    doc_ids: list[str]


class Labelled(TypedDict):
    """A line of a file of labels. `cluster` stands there where it is not the store."""

    query_id: str
    store_id: str
    category: str | None
    grades: dict[str, Annotated[int, Field(ge=-HIGHEST, le=HIGHEST)]]
    cluster: NotRequired[str]


class Ranked(TypedDict):
    """A line of a run."""

    query_id: str
    doc_ids: list[str]
    scores: list[Finite] | None
    cut: NotRequired[list[str]]
    usage: NotRequired[dict[str, Finite] | None]
    status: NotRequired[Status]
    error: NotRequired[str | None]


class _Unavailable(TypedDict):
    systems: dict[str, str]


class _Open(TypedDict):
    """A table that may hold more than what others rely on."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]


class _Entry(_Open):
    name: str
    model: str


class _Values(_Open):
    name: str
    datasets: list[str]
    systems: list[_Entry]
    gates: list[dict[str, Any]]


class _Suite(TypedDict):
    suite: _Values


class _Splits(TypedDict):
    dataset_digest: str
    splits: dict[str, Literal["dev", "test"]]


class _Signature(_Open):
    dataset: str
    dataset_digest: str
    candidates_digest: str | None
    first_stage: str | None
    depth: int | None
    pool: str | None
    rendering: str | None
    partial: int | str | None
    system: str
    model: str
    fingerprint: dict[str, Any] | None
    measures: dict[str, str]
    memeval: str
    seed: Count
    run_digest: str
    unit: Literal["store", "cluster", "query"]
    score_kind: NotRequired[str]
    address: NotRequired[str]
    further_runs: NotRequired[dict[str, list[str]]]


class _Card(_Open):
    name: str
    version: str
    licence: str
    url: str
    about: str
    restricted: bool
    queries: Count
    judged: Count
    unanswerable: Count
    excluded: dict[str, Count]
    anomalies: dict[str, Count]
    stores: Count
    memories: Count
    relevant_pairs: Count
    candidates_per_query: Finite
    rules: NotRequired[list[str]]


class _Ties(_Open):
    rate: Finite
    bounds: dict[str, tuple[Finite | None, Finite | None]] | None


class _Failures(_Open):
    failed: Count
    queries: Count
    errors: dict[str, Count]
    statuses: NotRequired[dict[str, Count]]
    bounds: NotRequired[dict[str, tuple[Finite | None, Finite | None]]]


class _Abstention(_Open):
    auroc: Finite | None
    answerable: Count
    unanswerable: Count


class _Threshold(_Open):
    thresholds: dict[str, Finite | None]
    unit: str


class _Repeats(_Open):
    failed: Count


class Measured(TypedDict):
    """A file of a result."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    signature: _Signature
    card: _Card
    query_ids: list[str]
    store_ids: list[str]
    categories: list[str | None]
    values: dict[str, list[Finite | None]]
    measures: dict[str, dict[str, tuple[Finite | None, Finite | None, Finite | None, Count, Count]]]
    ties: _Ties
    slices: dict[str, list[Count]]
    truncation: dict[str, Finite]
    usage: dict[str, Finite] | None
    failures: _Failures
    abstention: _Abstention | None
    threshold: _Threshold | None
    repeats: NotRequired[dict[str, _Repeats] | None]


def times(run: Path) -> Path:
    """The file of times beside a run file (`….run.jsonl`)."""
    return run.with_name(run.name.removesuffix(".run.jsonl") + ".times.jsonl")


def candidates_lines(candidates: Candidates) -> Iterator[bytes]:
    """A header with the digest, then one line per query."""
    names = [field.name for field in dataclasses.fields(candidates) if field.name != "doc_ids"]
    header = {name: getattr(candidates, name) for name in names if name != "address" or candidates.address}
    yield canonical({"schema": "memeval/candidates", "version": VERSION, **header, "digest": candidates.digest})
    for query_id, doc_ids in candidates.doc_ids.items():
        yield canonical({"query_id": query_id, "doc_ids": doc_ids})


def read_candidates(path: Path) -> Candidates:
    """The frozen first stage. Raises DataError for a foreign, newer, cut-off or edited file."""
    rows = files.lines(path, Listed, first=Any)
    header = _checked_header(path, next(rows, None), "memeval/candidates")
    digest = header.pop("digest", None)
    made = _record(path, {**header, "doc_ids": {}}, Candidates, "remove it to make it again")
    candidates = dataclasses.replace(made, doc_ids={row["query_id"]: tuple(row["doc_ids"]) for row in rows})
    if candidates.digest != digest:
        raise DataError(
            f"{path}: its content does not match its digest (cut off or edited): remove it to make it again"
        )
    return candidates


# --- labels


def place_labels(path: Path, dataset: Dataset, *, compress: bool) -> None:
    """Writes the labels of a data set, by id and without any text, unless they are there."""
    there = files.stored(path)
    if there is not None:
        header: Any = next(files.lines(there), None)
        if isinstance(header, dict) and header.get("dataset_digest") == dataset.digest:
            return
    files.place(path, map(canonical, labels_rows(dataset)), compress=compress)


def labels_rows(dataset: Dataset) -> Iterator[Mapping[str, Any]]:
    """The lines of a file of labels."""
    header, rows = labels(dataset)
    yield header
    yield from rows


def labels(dataset: Dataset) -> tuple[dict[str, Any], list[Labelled]]:
    """A header, and each query with its store, category and grades; the split of its store is for tuning.

    What it is clustered by stands there where that is not the store.
    """
    splits = getattr(dataset, "splits", None) or split_stores(dataset.stores)
    facts = {"dataset": dataset.name, "dataset_digest": dataset.digest, "splits": dict(splits)}
    facts |= {"address": dataset.address} if dataset.address else {}
    header = {"schema": "memeval/labels", "version": VERSION, **facts}
    return header, [_labelled(query, dataset.qrels.get(query.query_id, {})) for query in dataset.queries]


def _labelled(query: Query, grades: Mapping[str, int]) -> Labelled:
    row = Labelled(query_id=query.query_id, store_id=query.store_id, category=query.category, grades=dict(grades))
    if query.unit != query.store_id:
        row["cluster"] = query.unit
    return row


def read_labels(path: Path) -> tuple[dict[str, Any], list[Labelled]]:
    """The header of a labels file and its rows. Raises DataError for a foreign or broken one."""
    rows = files.lines(path, Labelled, first=Any)
    header = _checked_header(path, next(rows, None), "memeval/labels")
    files.shaped(json.dumps(header), _Splits, f"{path}: line 1")
    return header, list(rows)


# --- runs


def header_line(header: Header) -> bytes:
    """The first line of a run."""
    return canonical({"schema": "memeval/run", "version": VERSION, **header.facts})


def ranking_line(ranking: Ranking) -> bytes:
    """One query of a run; its seconds go into the times file."""
    row: dict[str, Any] = {"query_id": ranking.query_id, "doc_ids": ranking.doc_ids, "scores": ranking.scores}
    if ranking.cut:
        row["cut"] = ranking.cut
    if ranking.usage:
        row["usage"] = ranking.usage
    if ranking.status != "ok":
        row |= {"status": ranking.status, "error": ranking.error}
    return canonical(row)


def read_ranking(path: Path, row: Any) -> Ranking:
    """The ranking of one line. Raises DataError where it is none."""
    try:
        query_id, doc_ids, cut = row["query_id"], tuple(row["doc_ids"]), tuple(row.get("cut", ()))
        status, error, usage = row.get("status", "ok"), row.get("error"), row.get("usage")
        if not all(isinstance(text, str) for text in (query_id, *doc_ids, *cut, status, error or "")):
            raise TypeError("an id, status or error is no text")
        numbers = (*(row["scores"] or ()), *(usage or {}).values())
        if not all(type(number) in (int, float) and math.isfinite(number) for number in numbers):
            raise ValueError("a score or count is no finite number")
        scores = None if row["scores"] is None else tuple(map(float, row["scores"]))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as wrong:
        raise DataError(f"{path}: a line is no ranking ({wrong!r})") from None
    if scores is not None and len(scores) != len(doc_ids):
        raise DataError(f"{path}: query {query_id!r} has {len(scores)} scores for {len(doc_ids)} memories")
    if len(set(doc_ids)) != len(doc_ids):
        raise DataError(f"{path}: query {query_id!r} lists a memory twice")
    return Ranking(query_id, doc_ids, scores, status, error, cut, usage)


def read_run(path: Path) -> Run:
    """A raw run. Raises DataError for a foreign, newer, cut-off or broken file."""
    rows = files.lines(path, Ranked, first=Any)
    header = make_header(path, next(rows, None))
    rankings = tuple(read_ranking(path, row) for row in rows)
    if len({ranking.query_id for ranking in rankings}) != len(rankings):
        raise DataError(f"{path}: a query stands twice")
    return Run(header, rankings)


def make_header(path: Path, row: Any) -> Header:
    """The header of a run from its first line."""
    return _record(path, _checked_header(path, row, "memeval/run"), Header, "remove it to run the system again")


# --- results


def result_text(result: Result) -> str:
    """A result as JSON: keys in order, one measure's values a line. What the times file tells is no part of it."""
    content = {f.name: getattr(result, f.name) for f in dataclasses.fields(result) if f.name not in TOLD_BY_TIMES}
    if result.repeats is None:
        del content["repeats"]
    content["measures"] = {
        category: {measure: list(dataclasses.astuple(estimate)) for measure, estimate in measures.items()}
        for category, measures in result.measures.items()
    }
    content = {key: _without_nan(value) for key, value in content.items()}
    head = {"schema": "memeval/result", "version": VERSION, "digest": _digest(content)}
    parts = [f"{json.dumps(key)}: {_nested(value)}" for key, value in (head | content).items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(content)).hexdigest()


def read_result(path: Path, *, edited: bool = False) -> Result:
    """A derived result. Raises DataError for a foreign, newer or broken file, and where not allowed, an edited one."""
    remedy = "make it again with `memeval run`"
    content = _checked_header(path, files.value(path), "memeval/result")
    digest = content.pop("digest", None)
    if not edited and digest not in (None, _digest(content)):
        raise DataError(f"{path}: does not match its digest, it was edited: {remedy}")
    try:
        files.shaped(json.dumps(content), Measured, str(path))
    except DataError as error:
        raise DataError(f"{error}: {remedy}") from None
    rows = [content["store_ids"], content["categories"], *content["values"].values()]
    places = [place for slice_ in content["slices"].values() for place in slice_]
    count = len(content["query_ids"])
    if any(len(row) != count for row in rows) or max(places, default=-1) >= count:
        raise DataError(f"{path}: its lists are not of the same queries: {remedy}")
    content["measures"] = {
        category: {name: _estimate(*row) for name, row in measures.items()}
        for category, measures in content["measures"].items()
    }
    content |= {key: tuple(content[key]) for key in ("query_ids", "store_ids", "categories")}
    content["values"] = {name: tuple(map(_nan, row)) if None in row else row for name, row in content["values"].items()}
    content["slices"] = {name: tuple(places) for name, places in content["slices"].items()}
    return Result(**content)


def _estimate(value: float | None, low: float | None, high: float | None, n: int, clusters: int) -> Estimate:
    return Estimate(_nan(value), _nan(low), _nan(high), n, clusters)


def _checked_header(path: Path, row: Any, schema: str) -> dict[str, Any]:
    if not isinstance(row, dict) or row.get("schema") != schema:
        raise DataError(f"{path}: is no {schema.replace('/', ' ')} file")
    if row.get("version") != VERSION:
        raise DataError(f"{path}: {schema} of version {row.get('version')!r}, this memeval reads {VERSION}: update it")
    return {key: value for key, value in row.items() if key not in ("schema", "version")}


def _record(path: Path, row: Mapping[str, Any], kind: type[R], remedy: str) -> R:
    """A record from the values of a header. Raises DataError naming a key that is not as it must be."""
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := row.keys() - known:
        raise DataError(f"{path}: line 1: {sorted(unknown)[0]!r} is no key of such a file: {remedy}")
    try:
        made: R = files.shaped(json.dumps(row, allow_nan=False), kind, f"{path}: line 1")
    except DataError as error:
        raise DataError(f"{error}: {remedy}") from None
    except ValueError:
        raise DataError(f"{path}: line 1: holds a number that is not finite: {remedy}") from None
    return made


def _nested(value: Any) -> str:
    """Two levels on lines of their own, so that a change shows as a line."""
    if not isinstance(value, Mapping) or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    rows = (
        f"  {json.dumps(str(key))}: {json.dumps(row, ensure_ascii=False, allow_nan=False)}"
        for key, row in value.items()
    )
    return "{\n" + ",\n".join(rows) + "\n}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return None if value != value else value
    if isinstance(value, Mapping):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(inner) for inner in value]
    return value


def _nan(value: float | None) -> float:
    return float("nan") if value is None else value


def address(result: Result) -> str:
    """What the data set of a result was loaded as; two of one name may have two addresses."""
    return str(result.signature.get("address") or result.signature["dataset"])


# --- folders


def find(path: Path, *, name: str | None = None) -> list[Path]:
    """Result files (or files of another name) at or below a path, sorted. Raises DataError where nothing is there."""
    if files.is_file(path):
        return [path] if name is None else []
    if not files.is_folder(path):
        raise DataError(f"{path}: no such file or folder")
    if name is not None:
        return sorted(path.rglob(name))
    return [file for file in sorted(path.rglob("*.json")) if file.name != UNAVAILABLE and is_result(file)]


def is_result(file: Path) -> bool:
    """Whether a file says that it is a result; a baseline or any other JSON is not."""
    try:
        with file.open("rb") as stream:
            return b'"memeval/result"' in stream.read(200)
    except IsADirectoryError:
        return False
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None


def write_unavailable(folder: Path, reasons: Mapping[str, str]) -> None:
    """Notes the systems that could not run, or removes the note."""
    path = folder / UNAVAILABLE
    if reasons := {struck(name): struck(reason) for name, reason in reasons.items()}:
        files.write_whole(
            path, json.dumps({"schema": "memeval/unavailable", "version": VERSION, "systems": reasons}, indent=1) + "\n"
        )
    else:
        path.unlink(missing_ok=True)


def read_unavailable(path: Path) -> dict[str, str]:
    """System → reason. Raises DataError for a foreign, newer or broken file."""
    content = _checked_header(path, files.value(path), "memeval/unavailable")
    files.shaped(json.dumps(content), _Unavailable, str(path))
    return dict(content["systems"])


def write_suite(folder: Path, values: Mapping[str, Any]) -> None:
    """Keeps the suite that the results below `folder` are of."""
    content = {"schema": "memeval/suite", "version": VERSION, "suite": values}
    files.write_whole(folder / SUITE, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read_suite(path: Path) -> dict[str, Any]:
    """A suite's values. Raises DataError for a foreign, newer or broken file."""
    content = _checked_header(path, files.value(path), "memeval/suite")
    files.shaped(json.dumps(content), _Suite, str(path))
    return dict(content["suite"])
