"""The files of a benchmark, read and written.

    <results>/<suite>/<ground>/candidates.jsonl         the frozen first stage
                               /labels.jsonl            the labels by id, so that reports need no data set
                               /<system>.run.jsonl      raw rankings: a header, then one line per query
                               /<system>.times.jsonl    the machine, and seconds per query: what differs between runs
                               /<system>.json           what was measured, derived from the run
                               /unavailable.json        systems that could not run, with the reason; "" is all of them
    <results>/<suite>/suite.json                        the suite that was run, every default written out; what is run
                                                        by --dataset and --system has one in each folder

Each names its schema and version. A file is written whole (temporary file, then rename) or appended line by line under
another name (`.partial`) and renamed when it is complete. Those that end in `.bz2` are compressed: bzip2, because its
bytes are the same everywhere.

One file, though a long one: a format's writer stands beside its reader, and all share heads, versions and digests.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from memeval.core import files
from memeval.core.errors import DataError
from memeval.core.outside import placeless, struck
from memeval.core.types import (
    Candidates,
    Count,
    Dataset,
    Finite,
    Grade,
    Header,
    Quantity,
    Ranking,
    Result,
    Run,
    Split,
    Status,
    canonical,
    written,
)

VERSION = 1
UNAVAILABLE = "unavailable.json"
SUITE = "suite.json"
JUDGED = "judged.json"
"""Beside qrels: who made them, where no people did."""
LABELS = "labels.jsonl"
CANDIDATES = "candidates.jsonl"
EVERY = ""
"""Among systems that could not run: all of them, because there are no candidates. No system is called so."""
AGAIN = "make it again with `memeval run`"

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of a data set by id, so that reports need no data set."""

    dataset: str
    """Name of the data set."""
    dataset_digest: str
    """SHA-256 of its content."""
    splits: Mapping[str, Split]
    """store_id → what the store may be used for."""
    address: str | None = None
    """What the data set was loaded as, where that is not its name."""
    rows: tuple["QueryLabels", ...] = ()
    """The queries."""


@dataclass(frozen=True, kw_only=True)
class QueryLabels:
    """The labels of a query."""

    query_id: str
    """Id of the query."""
    store_id: str
    """The store that it is asked of."""
    category: str | None
    """Its category."""
    grades: Mapping[str, Grade]
    """doc_id → grade: above 0 is relevant, below 0 not judged."""
    cluster: str | None = None
    """What its chance is shared with, where that is not the store."""
    forbidden: tuple[str, ...] = ()
    """The memories that must not come back for it."""


@dataclass(frozen=True)
class Listed:
    """The candidates of a query."""

    query_id: str
    """Id of the query."""
    doc_ids: tuple[str, ...]
    """Its candidates, best first."""


@dataclass(frozen=True, kw_only=True)
class Voter:
    """A judge that made labels."""

    judge: str
    """Its full name."""
    prompt: str
    """Id and hash of the prompt that it was asked with."""
    answered: Mapping[str, Quantity]
    """Model that answered → calls, as far as the service told."""
    statuses: Mapping[Status, Count]
    """How pairs ended → how many; only "ok" is a vote."""


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """How two label sets agree on the pairs that both have; null is what cannot be known."""

    first: str
    """A judge, or the labels that came of all of them."""
    second: str
    """Another judge, or people."""
    pairs: Count
    """Pairs of a query and a memory that both labelled."""
    same: Finite | None
    """The share that both call relevant (above 0), or both not."""
    kappa: Finite | None
    """Cohen's kappa of relevant or not."""
    weighted: Finite | None
    """Cohen's kappa of the levels, with quadratic weights."""
    rank: Finite | None = None
    """Spearman's rho of the grades, where they are of too many levels for categories."""


@dataclass(frozen=True, kw_only=True)
class LabelCard:
    """Labels that judges made: whose they are, of what, and how far they agree."""

    dataset: str
    """Name of the data set whose queries and memories were judged."""
    dataset_digest: str
    """SHA-256 of its content."""
    rendering: str
    """How memories and queries were rendered for the judges."""
    systems: tuple[str, ...]
    """Each query's best memories by these systems were judged."""
    depth: Count
    """How many of each system."""
    queries: Count
    """Queries that were judged."""
    pairs: Count
    """Pairs of a query and a memory that were judged."""
    unlabelled: Count
    """Pairs without any vote, and so without a label."""
    missing: Count
    """Votes that are missing."""
    rule: str
    """How votes became labels."""
    judges: tuple[Voter, ...]
    """The judges."""
    agreement: tuple[Agreed, ...]
    """Each two of the judges; each of them, and the labels, against people's where there are some."""


@dataclass(frozen=True)
class Unavailable:
    """Systems that could not run."""

    systems: Mapping[str, str]
    """Name of a system → the reason."""


@dataclass(frozen=True)
class SystemEntry:
    """A system of a suite."""

    name: str
    """For tables and files."""
    model: str
    """The model's full name."""
    optional: bool = False
    """Whether it need not run everywhere."""
    repeat: Count | None = 1
    """How often it is run."""


@dataclass(frozen=True)
class RecordedSuite:
    """The suite that results are of, as far as others rely on it; `suite.make` reads all of it."""

    name: str
    """The suite's name."""
    datasets: tuple[str | Mapping[str, Any], ...]
    """Addresses of data sets."""
    systems: tuple[SystemEntry, ...]
    """What was run."""
    gates: tuple[Mapping[str, Any], ...]
    """What must not get worse (see gates.py)."""


@dataclass(frozen=True)
class _Suite:
    suite: RecordedSuite


TOLD_ELSEWHERE: Mapping[type, tuple[str, ...]] = {
    Result: ("latency", "remembered"),  # by the times file: they differ between two runs of the same bytes
    Candidates: ("doc_ids",),  # by the lines behind the first
    Labels: ("rows",),
}
"""Fields of a record that are not in the JSON value of a file."""


def times(run: Path) -> Path:
    """The file of times beside a run file (`….run.jsonl`)."""
    return run.with_name(run.name.removesuffix(".run.jsonl") + ".times.jsonl")


def candidates_lines(candidates: Candidates) -> Iterator[bytes]:
    """A header with the digest, then one line per query."""
    yield canonical({**_head("candidates", candidates), "digest": candidates.digest})
    for query_id, doc_ids in candidates.doc_ids.items():
        yield canonical({"query_id": query_id, "doc_ids": doc_ids})


def read_candidates(path: Path) -> Candidates:
    """The frozen first stage. Raises DataError for a foreign, newer, cut-off or edited file."""
    made, rows, digest = _table(path, "candidates", Candidates, Listed, "remove it to make it again")
    candidates = replace(made, doc_ids={row.query_id: row.doc_ids for row in rows})
    if candidates.digest != digest:
        raise DataError(
            f"{path}: its content does not match its digest (cut off or edited): remove it to make it again"
        )
    return candidates


# --- labels


def place_labels(path: Path, dataset: Dataset, *, compress: bool) -> None:
    """Writes the labels of a data set, by id and without any text, unless they are there, whole and as they are now."""
    there, content = files.stored(path), b"".join(labels_lines(labels(dataset)))
    if there is not None:
        with suppress(DataError):  # damaged: it is made again
            if files.content(there) == content:
                return
    files.place(path, [content], compress=compress)


def labels_lines(labels: Labels) -> Iterator[bytes]:
    """A header, then one line per query."""
    yield canonical(_head("labels", labels))
    yield from (canonical(written(row)) for row in labels.rows)


def labels_digest(found: Labels) -> str:
    """SHA-256 of the labels alone, whatever the first line says of where they are from."""
    return hashlib.sha256(b"".join(canonical(written(row)) for row in found.rows)).hexdigest()


def labels(dataset: Dataset) -> Labels:
    """Each query with its store, category and grades, its cluster where that is not the store, what is forbidden."""
    return Labels(
        dataset=dataset.name,
        dataset_digest=dataset.digest,
        splits=dict(dataset.splits),
        address=dataset.address,
        rows=tuple(
            QueryLabels(
                query_id=query.query_id,
                store_id=query.store_id,
                category=query.category,
                grades=dict(dataset.qrels.get(query.query_id, {})),
                cluster=None if query.unit == query.store_id else query.unit,
                forbidden=tuple(sorted(dataset.forbidden.get(query.query_id, ()))),
            )
            for query in dataset.queries
        ),
    )


def read_labels(path: Path) -> Labels:
    """A labels file. Raises DataError for a foreign or broken one."""
    made, rows, _ = _table(path, "labels", Labels, QueryLabels, AGAIN)
    known: dict[str, QueryLabels] = {}
    for row in rows:
        if known.setdefault(row.query_id, row) is not row:
            raise DataError(f"{path}: query {row.query_id!r} stands twice: {AGAIN}")
        if both := [doc_id for doc_id in row.forbidden if row.grades.get(doc_id, 0) > 0]:
            raise DataError(f"{path}: query {row.query_id!r}: {both[0]!r} is forbidden and relevant at once: {AGAIN}")
    return replace(made, rows=tuple(known.values()))


def labels_of(path: Path, dataset_digest: str, query_ids: Iterable[str]) -> Labels | None:
    """The labels of these queries in a labels file; None where it is of another data set.

    Raises DataError for a foreign or broken one, which one that was cut off behind a line is.
    """
    found = read_labels(path)
    if found.dataset_digest != dataset_digest:
        return None
    known = {row.query_id for row in found.rows}
    if lacking := [query_id for query_id in query_ids if query_id not in known]:
        raise DataError(f"{path}: lacks {len(lacking):,} queries, such as {lacking[0]!r}: {AGAIN}")
    return found


# --- runs


def header_line(header: Header) -> bytes:
    """The first line of a run."""
    return canonical(_head("run", header))


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


def read_ranking(line: bytes, where: str) -> Ranking:
    """The ranking of one line. Raises DataError where it is none."""
    return _whole(files.shaped(line, Ranking, where), where)


def _whole(ranking: Ranking, where: str) -> Ranking:
    if ranking.scores is not None and len(ranking.scores) != len(ranking.doc_ids):
        told = f"{len(ranking.scores)} scores for {len(ranking.doc_ids)} memories"
        raise DataError(f"{where}: query {ranking.query_id!r} has {told}")
    if len(set(ranking.doc_ids)) != len(ranking.doc_ids):
        raise DataError(f"{where}: query {ranking.query_id!r} lists a memory twice")
    return ranking


def rankings(path: Path) -> tuple[Header, Iterator[Ranking]]:
    """The header of a raw run, and its lines as they are read, not yet held against each other."""
    header, rows, _ = _table(path, "run", Header, Ranking, "remove it to run the system again")
    return header, rows


def read_run(path: Path) -> Run:
    """A raw run. Raises DataError for a foreign, newer, cut-off or broken file."""
    header, rows = rankings(path)
    run = Run(header, tuple(_whole(ranking, str(path)) for ranking in rows))
    if len({ranking.query_id for ranking in run.rankings}) != len(run.rankings):
        raise DataError(f"{path}: a query stands twice")
    return run


def read_header(line: bytes, path: Path) -> Header:
    """The header of a run from its first line."""
    return _record(line, "run", Header, path, "remove it to run the system again", "line 1")[0]


# --- results


def result_text(result: Result) -> str:
    """A result as JSON: keys in order, one measure's values a line. What the times file tells is no part of it."""
    content = {name: value for name, value in written(result).items() if name not in TOLD_ELSEWHERE[Result]}
    head = {"schema": "memeval/result", "version": VERSION, "digest": _digest(content)}
    parts = [f"{json.dumps(key)}: {_nested(value)}" for key, value in (head | content).items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(content)).hexdigest()


def read_result(path: Path, *, edited: bool = False) -> Result:
    """A derived result. Raises DataError for a foreign, newer or broken file, and where not allowed, an edited one."""
    result, content = _record(files.content(path), "result", Result, path, AGAIN)
    digest = content.pop("digest", None)
    if not edited and digest not in (None, _digest(content)):
        raise DataError(f"{path}: does not match its digest, it was edited: {AGAIN}")
    count = len(result.query_ids)
    rows = [result.store_ids, result.categories, *result.values.values()]
    places = [place for slice_ in result.slices.values() for place in slice_]
    if any(len(row) != count for row in rows) or max(places, default=-1) >= count:
        raise DataError(f"{path}: its lists are not of the same queries: {AGAIN}")
    return result


def _head(schema: str, record: Any) -> dict[str, Any]:
    """A record as it stands in a file, behind the schema and version."""
    told = {name: value for name, value in written(record).items() if name not in TOLD_ELSEWHERE.get(type(record), ())}
    return {"schema": f"memeval/{schema}", "version": VERSION, **told}


def _record(
    text: bytes, schema: str, kind: type[R], path: Path, remedy: str = AGAIN, place: str = ""
) -> tuple[R, dict[str, Any]]:
    """A record from the JSON value of a file, and the value without schema and version.

    Raises DataError for a foreign or newer file, and naming a key that is not as it must be.
    """
    where = f"{path}: {place}".removesuffix(": ")
    content = files.shaped(text, Any, where)
    if not isinstance(content, dict) or content.pop("schema", None) != f"memeval/{schema}":
        raise DataError(f"{path}: is no memeval {schema} file")
    if (version := content.pop("version", None)) != VERSION:
        raise DataError(f"{path}: memeval/{schema} of version {version!r}, this memeval reads {VERSION}: update it")
    known = {part.name for part in dataclasses.fields(kind)} - {*TOLD_ELSEWHERE.get(kind, ())}  # type: ignore[arg-type]
    if unknown := content.keys() - known - {"digest"}:
        raise DataError(f"{where}: {sorted(unknown)[0]!r} is no key of such a file: {remedy}")
    try:
        record: R = files.shaped(text, kind, where)
    except DataError as error:
        raise DataError(f"{error}: {remedy}") from None
    return record, content


def _table(path: Path, schema: str, head: type[R], row: Any, remedy: str) -> tuple[R, Iterator[Any], str | None]:
    """What the first line of a file holds, the records of the others as they are read, and the digest it states."""
    rows = files.numbered(path)
    made, content = _record(next(rows, (1, b"{}"))[1], schema, head, path, remedy, "line 1")
    return made, (files.shaped(line, row, f"{path}: line {number}") for number, line in rows), content.get("digest")


def _nested(value: Any) -> str:
    """Two levels on lines of their own, so that a change shows as a line."""
    if not isinstance(value, Mapping) or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    rows = (
        f"  {json.dumps(str(key))}: {json.dumps(row, ensure_ascii=False, allow_nan=False)}"
        for key, row in value.items()
    )
    return "{\n" + ",\n".join(rows) + "\n}"


# --- folders


def find(path: Path, *, name: str | None = None) -> list[Path]:
    """Result files (or files of another name) at or below a path, sorted. Raises DataError where nothing is there."""
    if files.is_file(path):
        return [path] if name is None else []
    if not files.is_folder(path):
        raise DataError(f"{path}: no such file or folder")
    found = files.below(path)
    if name is not None:
        return [file for file in found if file.name == name]
    return [file for file in found if file.suffix == ".json" and file.name != UNAVAILABLE and is_result(file)]


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
    if reasons:
        note = Unavailable({struck(name): placeless(reason) for name, reason in reasons.items()})
        files.write_whole(path, text("unavailable", note))
    else:
        path.unlink(missing_ok=True)


def read_unavailable(path: Path) -> Mapping[str, str]:
    """System → reason. Raises DataError for a foreign, newer or broken file."""
    return read(path, "unavailable", Unavailable).systems


def unrun(folder: Path) -> str | None:
    """Why nothing was run in a folder, where that is all there is to say of it."""
    note = folder / UNAVAILABLE
    if not note.is_file() or files.stored(folder / CANDIDATES) is not None:
        return None
    return read_unavailable(note).get(EVERY)


def text(schema: str, record: Any) -> str:
    """A record as a JSON file of its own."""
    return json.dumps(_head(schema, record), ensure_ascii=False, indent=1) + "\n"


def read(path: Path, schema: str, kind: type[R], remedy: str = AGAIN) -> R:
    """The record of a JSON file of its own. Raises DataError for a foreign, newer or broken file."""
    return _record(files.content(path), schema, kind, path, remedy)[0]


def judged_text(card: LabelCard) -> str:
    """Who made labels, as JSON."""
    return text("judged", card)


def read_judged(path: Path) -> LabelCard:
    """Who made labels. Raises DataError for a foreign, newer or broken file."""
    return read(path, "judged", LabelCard, "label anew with `memeval label`")


def write_suite(folder: Path, values: Mapping[str, Any]) -> None:
    """Keeps the suite that the results below `folder` are of."""
    content = {"schema": "memeval/suite", "version": VERSION, "digest": _digest(values), "suite": values}
    files.write_whole(folder / SUITE, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read_suite(path: Path) -> dict[str, Any]:
    """A suite's values. Raises DataError for a foreign, newer, broken or edited file."""
    content = _record(files.content(path), "suite", _Suite, path)[1]
    values: dict[str, Any] = content["suite"]
    if content.get("digest") not in (None, _digest(values)):
        raise DataError(f"{path}: does not match its digest, it was edited: `memeval run` writes it anew")
    return values
