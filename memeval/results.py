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
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from memeval import disk
from memeval.errors import DataError
from memeval.outside import struck
from memeval.types import Candidates, Dataset, Estimate, Header, Ranking, Result, Run, canonical, split_stores

VERSION = 1
UNAVAILABLE = "unavailable.json"
SUITE = "suite.json"
LABELS = "labels.jsonl"
TOLD_BY_TIMES = ("latency", "remembered")
"""What a result has from the times file: it differs between two runs of the same bytes."""


def times(run: Path) -> Path:
    """The file of times beside a run file (`….run.jsonl`)."""
    return run.with_name(run.name.removesuffix(".run.jsonl") + ".times.jsonl")


def candidates_lines(candidates: Candidates) -> Iterator[bytes]:
    """A header with the digest, then one line per query."""
    header = {f.name: getattr(candidates, f.name) for f in dataclasses.fields(candidates) if f.name != "doc_ids"}
    yield canonical({"schema": "memeval/candidates", "version": VERSION, **header, "digest": candidates.digest})
    for query_id, doc_ids in candidates.doc_ids.items():
        yield canonical({"query_id": query_id, "doc_ids": doc_ids})


def read_candidates(path: Path) -> Candidates:
    """The frozen first stage. Raises DataError for a foreign, newer, cut-off or edited file."""
    rows = disk.lines(path)
    header = _checked_header(path, next(rows, None), "memeval/candidates")
    digest = header.pop("digest", None)
    try:
        doc_ids = {row["query_id"]: tuple(row["doc_ids"]) for row in rows}
        candidates = Candidates(**header, doc_ids=doc_ids)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"{path}: has not the keys of a candidates file ({error}): remove it to make it again"
        ) from None
    if candidates.digest != digest:
        raise DataError(
            f"{path}: its content does not match its digest (cut off or edited): remove it to make it again"
        )
    return candidates


# --- labels


def place_labels(path: Path, dataset: Dataset, *, compress: bool) -> None:
    """Writes the labels of a data set, by id and without any text, unless they are there."""
    there = disk.stored(path)
    if there is not None:
        header: Any = next(disk.lines(there), None)
        if isinstance(header, dict) and header.get("dataset_digest") == dataset.digest:
            return
    disk.place(path, map(canonical, labels_rows(dataset)), compress=compress)


def labels_rows(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """A header, then each query with its store, category and grades; the split of its store is for tuning."""
    splits = getattr(dataset, "splits", None) or split_stores(dataset.stores)
    facts = {"dataset": dataset.name, "dataset_digest": dataset.digest, "splits": dict(splits)}
    yield {"schema": "memeval/labels", "version": VERSION, **facts}
    for query in dataset.queries:
        yield {
            "query_id": query.query_id,
            "store_id": query.store_id,
            "category": query.category,
            "grades": dict(dataset.qrels.get(query.query_id, {})),
        }


def read_labels(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The header of a labels file and its rows. Raises DataError for a foreign or broken one."""
    rows = disk.lines(path)
    header = _checked_header(path, next(rows, None), "memeval/labels")
    found = list(rows)
    for row in found:
        if not isinstance(row, dict) or not {"query_id", "store_id", "category", "grades"} <= row.keys():
            raise DataError(f"{path}: a line has not the keys of a labelled query: remove it to make it again")
    return header, found


# --- runs


def header_line(header: Header) -> bytes:
    """The first line of a run."""
    facts = dataclasses.asdict(header)
    if header.score_kind is None:
        del facts["score_kind"]
    return canonical({"schema": "memeval/run", "version": VERSION, **facts})


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
    rows = disk.lines(path)
    header = make_header(path, next(rows, None))
    rankings = tuple(read_ranking(path, row) for row in rows)
    if len({ranking.query_id for ranking in rankings}) != len(rankings):
        raise DataError(f"{path}: a query stands twice")
    return Run(header, rankings)


def make_header(path: Path, row: Any) -> Header:
    """The header of a run from its first line."""
    try:
        return Header(**_checked_header(path, row, "memeval/run"))
    except TypeError as error:
        raise DataError(f"{path}: its header has not the keys of a run ({error})") from None


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
    parts = [f"{json.dumps(key)}: {_nested(_without_nan(value))}" for key, value in content.items()]
    return "{\n" + ",\n".join([f'"schema": "memeval/result",\n"version": {VERSION}', *parts]) + "\n}\n"


def read_result(path: Path) -> Result:
    """A derived result. Raises DataError for a foreign, newer or broken file."""
    try:
        content = disk.parsed(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: is no JSON ({error})") from None
    content = _checked_header(path, content, "memeval/result")
    try:
        measures = {
            category: {name: _estimate(*row) for name, row in rows.items()}
            for category, rows in content.pop("measures").items()
        }
        for key in ("query_ids", "store_ids", "categories"):
            content[key] = tuple(content[key])
        values = {name: tuple(map(_nan, row) if None in row else row) for name, row in content.pop("values").items()}
        content["slices"] = {name: tuple(places) for name, places in content["slices"].items()}
        return Result(**content, measures=measures, values=values)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: has not the keys of a result ({error!r}): make it again with `memeval run`") from None


def _estimate(value: float | None, low: float | None, high: float | None, n: int, clusters: int) -> Estimate:
    return Estimate(_nan(value), _nan(low), _nan(high), n, clusters)


def _checked_header(path: Path, row: Any, schema: str) -> dict[str, Any]:
    if not isinstance(row, dict) or row.get("schema") != schema:
        raise DataError(f"{path}: is no {schema.replace('/', ' ')} file")
    if row.get("version") != VERSION:
        raise DataError(f"{path}: {schema} of version {row.get('version')!r}, this memeval reads {VERSION}: update it")
    return {key: value for key, value in row.items() if key not in ("schema", "version")}


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


# --- folders


def find(path: Path, *, name: str | None = None) -> list[Path]:
    """Result files (or files of another name) at or below a path, sorted. Raises DataError where nothing is there."""
    if path.is_file():
        return [path] if name is None else []
    if not path.is_dir():
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
        disk.write_whole(
            path, json.dumps({"schema": "memeval/unavailable", "version": VERSION, "systems": reasons}, indent=1) + "\n"
        )
    else:
        path.unlink(missing_ok=True)


def read_unavailable(path: Path) -> dict[str, str]:
    """System → reason."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(_checked_header(path, content, "memeval/unavailable")["systems"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None


def write_suite(folder: Path, values: Mapping[str, Any]) -> None:
    """Keeps the suite that the results below `folder` are of."""
    content = {"schema": "memeval/suite", "version": VERSION, "suite": values}
    disk.write_whole(folder / SUITE, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read_suite(path: Path) -> dict[str, Any]:
    """A suite's values. Raises DataError for a foreign, newer or broken file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return dict(_checked_header(path, content, "memeval/suite")["suite"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
