"""What lies beside the results: raw rankings, labels, times and machines, as arrays that a report can count in.

    results, runs, labels, times → Evidence by leaderboard

Arrays are queries x candidates, in the order of the labels file; -1 and nan fill what a shorter list leaves.
"""

import functools
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memeval.core import files, results
from memeval.core.errors import MemevalError
from memeval.core.types import Dataset, Query, Result, canonical
from memeval.measures import kept
from memeval.measures.kept import Kept
from memeval.measures.latency import Times
from memeval.report.processes import each
from memeval.runs import shards

Floats: TypeAlias = NDArray[np.float64]
Grades: TypeAlias = NDArray[np.int16]
Places: TypeAlias = NDArray[np.int32]
Texts: TypeAlias = Literal["none", "embedded", "free", "all"]
"""Whose texts a report may show."""

EMBEDDED = "embedded in memeval"
"""The address of data sets that are here wherever memeval is."""
MANY_BYTES = 40_000_000
"""Above so many bytes of runs (unpacked), folders are read by two processes."""
UNPACKED = 8
"""About how many bytes come out of one that bzip2 made."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """A data set as the systems saw it, and its queries (by id) as the data set has them, context apart."""

    dataset: Dataset
    queries: Mapping[str, Query]


Load: TypeAlias = Callable[[str, str], Corpus | None]
"""(address of a data set, rendering) → its texts, or None where it is not here."""


@dataclass(frozen=True, eq=False)
class Pool:
    """The queries of one data set with their candidates and labels.

    `grades` are those of the candidates in the first stage's order, -1 behind the last; `relevant` counts all relevant
    memories of a query, those that the first stage missed included; `labels` are the grades above 0, best first, and
    `qrels` all grades as they were given.
    """

    query_ids: tuple[str, ...]
    store_ids: tuple[str, ...]
    categories: tuple[str | None, ...]
    doc_ids: tuple[tuple[str, ...], ...]
    grades: Grades
    relevant: NDArray[np.int64]
    labels: tuple[Mapping[str, int], ...]
    qrels: tuple[Mapping[str, int], ...]
    dev: NDArray[np.bool_]

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Which queries have a relevant memory."""
        return self.relevant > 0


@dataclass(frozen=True, eq=False)
class Ranked:
    """One system's rankings: `order` holds places in the first stage's list, best first; `scores` and `grades` go with
    it, the latter -1 behind the last.

    `status` is by query; without scores (nan) a query keeps the first stage's order.
    """

    order: Places
    scores: Floats
    grades: Grades
    status: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of one leaderboard beyond its results; whatever is missing is None or empty.

    `ranked` and `times` are by system; `texts` are there where they may be shown, and `why_no_texts` says why they are
    not.
    """

    pool: Pool | None = None
    ranked: Mapping[str, Ranked] = field(default_factory=dict)
    times: Mapping[str, Times] = field(default_factory=dict)
    texts: Corpus | None = None
    why_no_texts: str = ""


@dataclass(frozen=True, eq=False)
class Collection:
    """All results below some folders; `missing` maps what could not be measured to the reason."""

    sources: tuple[Kept, ...]
    missing: Mapping[str, str]

    @property
    def results(self) -> list[Result]:
        """The results alone."""
        return [source.result for source in self.sources]


def collect(paths: Sequence[Path]) -> Collection:
    """The results in files or below folders, with their latencies.

    Raises DataError for a result that was edited, or is not of what lies beside it.
    """
    sources: list[Kept] = []
    missing: dict[str, str] = {}
    for path in paths:
        sources += kept.below(path)
        for file in results.find(path, name=results.UNAVAILABLE):
            missing |= results.read_unavailable(file)
    return Collection(tuple(sources), missing)


def comparable(result: Result) -> bytes:
    """Equal where results may stand in one leaderboard."""
    told = result.signature
    return canonical([told.dataset_digest, told.candidates_digest, told.rendering, told.partial, told.measures])


def gather(
    collection: Collection,
    load: Load | None = None,
    *,
    texts: Texts = "free",
    meanwhile: Callable[[], None] = lambda: None,
) -> dict[bytes, Evidence]:
    """The evidence of each leaderboard, by `comparable`.

    Args:
        load: finds the data set for its texts, and for its labels where no labels file is there.
        texts: the data sets whose texts may be shown: none, those embedded in memeval, those free to share, or all.
        meanwhile: called where there is so much to read that other processes do it.
    """
    folders: dict[Path, list[Kept]] = {}
    for source in collection.sources:
        folders.setdefault(source.file.parent, []).append(source)
    jobs = [_job(folder, sources, load) for folder, sources in folders.items()]
    found: dict[bytes, Evidence] = {}
    for (pool, ranked), sources in zip(_read_all(jobs, meanwhile), folders.values(), strict=True):
        for source in sources:
            key = comparable(source.result)
            before = found.get(key) or _texts(source.result, load, texts)
            name = source.result.signature.system
            fits = pool is not None and (before.pool is None or before.pool.doc_ids == pool.doc_ids)
            found[key] = replace(
                before,
                pool=before.pool or pool,
                ranked={**before.ranked, name: ranked[name]} if fits and name in ranked else before.ranked,
                times=before.times if source.times is None else {**before.times, name: source.times},
            )
    return found


def _texts(result: Result, load: Load | None, texts: Texts) -> Evidence:
    if texts == "none":
        return Evidence(why_no_texts="this page was made without texts (--public)")
    if texts == "embedded" and result.card.url != EMBEDDED:
        return Evidence(why_no_texts="this page holds the texts of embedded data sets only (--texts embedded)")
    if texts != "all" and result.card.restricted:
        return Evidence(why_no_texts="its licence restricts sharing the texts (--texts all shows them)")
    if load is None:
        return Evidence(why_no_texts="no data set was loaded for this page")
    found = load(result.address, str(result.signature.rendering))
    if found is None:
        return Evidence(why_no_texts="the data set is not on the machine that made this page")
    if found.dataset.digest != result.signature.dataset_digest:
        return Evidence(why_no_texts="the data set on the machine that made this page is another version")
    return Evidence(texts=found)


@dataclass(frozen=True)
class _Job:
    candidates: Path | None
    rows: tuple[results.Labelled, ...]
    splits: Mapping[str, str]
    runs: Mapping[str, Path]

    @property
    def bytes(self) -> int:
        return sum(p.stat().st_size * (UNPACKED if p.suffix == ".bz2" else 1) for p in self.runs.values())

    def halves(self) -> "tuple[_Job, _Job]":
        """The job, with one half of the runs and with the other."""
        runs = list(self.runs.items())
        middle = len(runs) // 2
        return replace(self, runs=dict(runs[:middle])), replace(self, runs=dict(runs[middle:]))


def _job(folder: Path, sources: Sequence[Kept], load: Load | None) -> _Job:
    first = sources[0].result
    labels = _labels(folder, first, load)
    rows = labels.rows if labels is not None else ()
    limit = first.signature.partial
    runs = {s.result.signature.system: files.stored(s.file.with_suffix(".run.jsonl")) for s in sources}
    return _Job(
        files.stored(folder / "candidates.jsonl"),
        shards.taken(rows, limit, store=attrgetter("store_id")),
        labels.splits if labels is not None else {},
        {name: path for name, path in runs.items() if path is not None},
    )


def _labels(folder: Path, result: Result, load: Load | None) -> results.Labels | None:
    path = files.stored(folder / results.LABELS)
    if path is not None:
        labels = results.read_labels(path)
        if labels.dataset_digest == result.signature.dataset_digest:
            return labels
    found = load and load(result.address, str(result.signature.rendering))
    if not found or found.dataset.digest != result.signature.dataset_digest:
        return None
    return results.labels(found.dataset)


def _read_all(jobs: Sequence[_Job], meanwhile: Callable[[], None]) -> list[tuple[Pool | None, dict[str, Ranked]]]:
    """What lies in each folder. Where that is much, two processes read half of a folder's runs at a time."""
    heavy = sum(job.bytes for job in jobs) > MANY_BYTES
    parts = [part for job in jobs for part in (job.halves() if heavy else [job])]
    found = each(_read, parts, heavy=heavy, meanwhile=meanwhile)
    if not heavy:
        return found
    return [(pool, ranked | more) for (pool, ranked), (_, more) in zip(found[::2], found[1::2], strict=True)]


def _read(job: _Job) -> tuple[Pool | None, dict[str, Ranked]]:
    if job.candidates is None or not job.rows:
        return None, {}
    try:
        listed = results.read_candidates(job.candidates).doc_ids
    except MemevalError:
        return None, {}
    doc_ids = [listed.get(row.query_id, ()) for row in job.rows]
    places = [dict(zip(row, map(_packed, range(len(row))), strict=True)) for row in doc_ids]
    pool = _pool(job, doc_ids, places)
    number = {query_id: place for place, query_id in enumerate(pool.query_ids)}
    found = {}
    for name, path in job.runs.items():
        try:
            found[name] = _ranked(path, pool, places, number)
        except (MemevalError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            continue  # a damaged run is the business of `memeval verify`; the report says what it lacks
    return pool, found


@functools.cache
def _packed(place: int) -> bytes:
    """A place as an array holds it: joining bytes takes a quarter of the time of taking numbers one by one."""
    return np.int32(place).tobytes()


def _places(doc_ids: Sequence[str], known: Mapping[str, bytes]) -> bytes:
    # An itemgetter takes half the time of a loop, but returns no tuple for a single id.
    return b"".join(itemgetter(*doc_ids)(known) if len(doc_ids) > 1 else [known[doc_id] for doc_id in doc_ids])


def _pool(job: _Job, doc_ids: Sequence[tuple[str, ...]], places: Sequence[Mapping[str, bytes]]) -> Pool:
    depth = max(1, *map(len, doc_ids))
    lengths = np.array([len(listed) for listed in doc_ids], dtype=np.int64)
    grades = np.where(np.arange(depth) < lengths[:, None], np.int16(0), np.int16(-1))
    labels = tuple({doc_id: grade for doc_id, grade in row.grades.items() if grade > 0} for row in job.rows)
    for place, (there, known) in enumerate(zip(places, labels, strict=True)):
        for doc_id, grade in known.items():
            if doc_id in there:
                grades[place, int.from_bytes(there[doc_id], sys.byteorder)] = grade
    return Pool(
        query_ids=tuple(row.query_id for row in job.rows),
        store_ids=tuple(row.store_id for row in job.rows),
        categories=tuple(row.category for row in job.rows),
        doc_ids=tuple(map(tuple, doc_ids)),
        grades=grades,
        relevant=np.array([len(row) for row in labels], dtype=np.int64),
        labels=labels,
        qrels=tuple(row.grades for row in job.rows),
        dev=np.array([job.splits.get(row.store_id) == "dev" for row in job.rows], dtype=np.bool_),
    )


def _ranked(path: Path, pool: Pool, places: Sequence[Mapping[str, bytes]], number: Mapping[str, int]) -> Ranked:
    shape = pool.grades.shape
    scores = np.full(shape, np.nan)
    # A query that the run lacks keeps the first stage's order.
    order = np.where(pool.grades >= 0, np.arange(shape[1], dtype=np.int32), np.int32(-1))
    status = ["missing"] * shape[0]
    _, rows = results.rankings(path)
    found, ordered, scored = [], [], []
    for row in rows:
        if row.query_id not in number:
            continue
        place = number[row.query_id]
        status[place] = row.status
        found.append(place)
        ordered.append(_places(row.doc_ids, places[place]))
        scored.append(row.scores or ())
    lengths = [len(listed) // order.itemsize for listed in ordered]
    _fill(order, found, lengths, np.frombuffer(b"".join(ordered), dtype=np.int32))
    flat = np.fromiter(itertools.chain.from_iterable(scored), dtype=np.float64)
    _fill(scores, found, list(map(len, scored)), flat)
    # Place -1 finds a column of -1 behind the last candidate.
    graded = np.append(pool.grades, np.full((shape[0], 1), -1, dtype=np.int16), axis=1)
    return Ranked(order, scores, graded[np.arange(shape[0])[:, None], order], tuple(status))


def _fill(matrix: NDArray[Any], rows: Sequence[int], lengths: Sequence[int], values: NDArray[Any]) -> None:
    """Writes values into the beginnings of some rows, all at once. Raises ValueError where one is too long."""
    part = matrix[rows]
    part[np.arange(matrix.shape[1]) < np.array(lengths, dtype=np.int64)[:, None]] = values
    matrix[rows] = part


__all__ = ["Collection", "Corpus", "Evidence", "Pool", "Ranked", "collect", "comparable", "gather"]
