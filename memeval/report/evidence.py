"""What lies beside the results: raw rankings, labels, times and machines, as arrays that a report can count in.

    results, runs, labels, times → Evidence by leaderboard

Arrays are queries x candidates, in the order of the labels file; -1 and nan fill what a shorter list leaves.

One file, though a long one: results, runs and labels of a folder are read once, and all that is counted is read here.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memeval.core import files, results
from memeval.core.errors import DataError, MemevalError
from memeval.core.types import Dataset, Grade, Query, Result
from memeval.measures.kept import Kept
from memeval.measures.latency import Times
from memeval.report import joining, recomputed
from memeval.report.board import Leaderboard
from memeval.report.joining import Contribution, LeftOut
from memeval.report.joining import comparable as comparable  # where evidence is sought, it is sought by this
from memeval.report.processes import each
from memeval.runs import shards

Floats: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int32]
Texts: TypeAlias = Literal["none", "embedded", "free", "all"]
"""Whose texts a report may show."""
Detail: TypeAlias = Literal["none", "interesting", "full"]
"""How many queries a page holds in detail."""

LARGE = 100_000_000
"""Bytes of runs, from which on two processes read them."""
EMBEDDED = "embedded in memeval"
"""The address of data sets that are here wherever memeval is."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """A data set as the systems saw it, and its queries (by id) as the data set has them, context apart."""

    dataset: Dataset
    queries: Mapping[str, Query]


Load: TypeAlias = Callable[[str, str], Corpus | None]
"""(address of a data set, rendering) → its texts, or None where it is not here."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """The queries of one data set with their candidates and labels.

    `grades` are those of the candidates in the first stage's order, -1 behind the last; `relevant` counts all relevant
    memories of a query, those that the first stage missed included; `labels` are the grades above 0, best first, and
    `qrels` all grades as they were given, `forbidden` what must not come back.
    """

    query_ids: tuple[str, ...]
    store_ids: tuple[str, ...]
    categories: tuple[str | None, ...]
    doc_ids: tuple[tuple[str, ...], ...]
    grades: Floats
    relevant: NDArray[np.int64]
    labels: tuple[Mapping[str, Grade], ...]
    qrels: tuple[Mapping[str, Grade], ...]
    forbidden: tuple[frozenset[str], ...]
    dev: NDArray[np.bool_]

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Which queries have a relevant memory."""
        return self.relevant > 0

    def missed(self, query: int) -> list[str]:
        """The relevant memories of a query (by its place) that are no candidates."""
        return [doc_id for doc_id in self.labels[query] if doc_id not in self.doc_ids[query]]


@dataclass(frozen=True, eq=False)
class Ranked:
    """One system's rankings: `order` holds places in the first stage's list, best first; `scores` and `grades` go with
    it, the latter -1 behind the last.

    `status` is by query; without scores (nan) a query keeps the first stage's order.
    """

    order: Places
    scores: Floats
    grades: Floats
    status: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Beside:
    """What lies beside one result, as far as it is whole, and what of the result does not follow from it.

    `lacks` says what is not there, so that nothing can follow; where the data set is not here, that is nobody's fault.
    """

    labelled: Labelled | None = None
    ranked: Ranked | None = None
    wrong: str = ""
    lacks: str = ""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of one leaderboard beyond its results; whatever is missing is None or empty.

    `ranked`, `times` and `by` (who measured it) are by system; `texts` are there where they may be shown, and
    `why_no_texts` says why they are not.
    """

    labelled: Labelled | None = None
    ranked: Mapping[str, Ranked] = field(default_factory=dict)
    times: Mapping[str, Times] = field(default_factory=dict)
    by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    texts: Corpus | None = None
    why_no_texts: str = ""

    def complete(self, label: str) -> Labelled:
        """The labelled queries, where runs are there, too. Raises DataError, which names the leaderboard, elsewhere."""
        if self.labelled is None or not self.ranked:
            raise DataError(f"{label}: the runs or the labels are not beside the results: `memeval run` makes them")
        return self.labelled


@dataclass(frozen=True, eq=False)
class Collection:
    """All results below some folders; `missing` maps the folder of a ground to the systems that could not be measured
    on it and the reason, which may be that of EVERY system; `whose` says of each file where it is from, `left_out`
    are those that cannot be relied on."""

    sources: tuple[Kept, ...]
    missing: Mapping[Path, Mapping[str, str]]
    whose: Mapping[Path, Contribution] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    @property
    def results(self) -> list[Result]:
        """The results alone."""
        return [source.result for source in self.sources]

    @property
    def unrun(self) -> dict[str, str]:
        """The grounds on which nothing was measured, by their folders' names, and why."""
        measured = {file.parent for file in (*self.whose, *(source.file for source in self.sources))}
        return {
            folder.name: noted.get(results.EVERY) or "; ".join(f"{name}: {why}" for name, why in noted.items())
            for folder, noted in self.missing.items()
            if noted and folder not in measured
        }

    @cached_property
    def _folders(self) -> dict[bytes, dict[Path, None]]:
        """Where the results of each leaderboard lie, by `comparable`."""
        found: dict[bytes, dict[Path, None]] = {}
        for source in self.sources:
            found.setdefault(comparable(source.result), {})[source.file.parent] = None
        return found

    def lacking(self, board: Leaderboard) -> dict[str, str]:
        """The systems that could not be measured where a leaderboard's results lie, and why; none that stands in it."""
        folders, there = self._folders[comparable(board.rows[0].result)], {row.system for row in board.rows}
        noted = {name: why for folder in folders for name, why in self.missing.get(folder, {}).items()}
        return {name: noted[name] for name in sorted(noted) if name not in there and name != results.EVERY}


def collect(paths: Sequence[Path]) -> Collection:
    """The results in files or below folders, with their latencies; see `found` and `joining.relied_on`."""
    return joining.relied_on(found([Contribution("", path, path) for path in paths]), {})


def found(places: Sequence[Contribution]) -> Collection:
    """All results there, those of several people beside each other, with their latencies.

    A result that was edited, or is not of what lies beside it, is left out. Raises DataError where that are all.
    """
    jobs = [(place, file) for place in places if not place.why for file in results.find(place.place)]
    read = each(joining.read, jobs, heavy=_heavy([file for _, file in jobs]), told="results read")
    sources = [one for one in read if isinstance(one, Kept)]
    left_out = [joining.left_out(place, place.given, place.why) for place in places if place.why]
    left_out += [joining.left_out(*job, why) for job, why in zip(jobs, read, strict=True) if isinstance(why, str)]
    if left_out and not sources:
        raise DataError(f"{left_out[0].file}: {left_out[0].why}")
    notes = [file for place in places if not place.why for file in results.find(place.place, name=results.UNAVAILABLE)]
    missing = {file.parent: results.read_unavailable(file) for file in notes}
    return Collection(tuple(sources), missing, {file: place for place, file in jobs}, tuple(left_out))


def _heavy(found: Sequence[Path]) -> bool:
    """Whether the runs beside some results are large enough to read several at once."""
    runs = (file.with_suffix(".run.jsonl") for file in found)
    return sum(run.stat().st_size for run in runs if run.is_file()) > LARGE


def beside(collection: Collection, load: Load | None = None) -> dict[Path, Beside]:
    """What lies beside each result; `load` finds the data set for its labels where no labels file is there."""
    folders: dict[Path, list[Kept]] = {}
    for source in collection.sources:
        folders.setdefault(source.file.parent, []).append(source)
    jobs = [(folder, sources, load) for folder, sources in folders.items()]
    read = each(_read, jobs, heavy=_heavy([source.file for source in collection.sources]), told="folders of runs read")
    return {file: one for folder in read for file, one in folder.items()}


def gather(
    collection: Collection,
    load: Load | None = None,
    *,
    texts: Texts = "free",
    read: Mapping[Path, Beside] | None = None,
) -> dict[bytes, Evidence]:
    """The evidence of each leaderboard, by `comparable`.

    Args:
        load: finds the data set for its texts, and for its labels where no labels file is there.
        texts: the data sets whose texts may be shown: none, those embedded in memeval, those free to share, or all.
        read: what lies beside the results, where it was read.
    """
    read = beside(collection, load) if read is None else read
    found: dict[bytes, Evidence] = {}
    for source in collection.sources:
        labelled, ranked = read[source.file].labelled, read[source.file].ranked
        key = comparable(source.result)
        before = found.get(key) or _texts(source.result, load, texts)
        name = source.result.signature.system
        fits = labelled is not None and (before.labelled is None or before.labelled.doc_ids == labelled.doc_ids)
        found[key] = replace(
            before,
            labelled=before.labelled or labelled,
            ranked={**before.ranked, name: ranked} if fits and ranked is not None else before.ranked,
            times=before.times if source.times is None else {**before.times, name: source.times},
            by={**before.by, name: source.by},
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


def _labels(folder: Path, result: Result, load: Load | None) -> results.Labels | None:
    path = files.stored(folder / results.LABELS)
    if path is not None:
        labels = results.labels_of(path, result.signature.dataset_digest, result.query_ids)
        if labels is not None:
            return labels
    found = load and load(result.address, str(result.signature.rendering))
    if not found or found.dataset.digest != result.signature.dataset_digest:
        return None
    return results.labels(found.dataset)


def _read(job: tuple[Path, Sequence[Kept], Load | None]) -> dict[Path, Beside]:
    """What lies beside each result of a folder: the labelled queries, and its rankings where its run is whole."""
    folder, sources, load = job
    result = sources[0].result
    try:
        labels = _labels(folder, result, load)
    except MemevalError as error:
        return {source.file: Beside(wrong=f"the labels beside it cannot be read ({error})") for source in sources}
    rows = shards.taken(labels.rows if labels else (), result.signature.partial, store=attrgetter("store_id"))
    candidates = files.stored(folder / "candidates.jsonl")
    if labels is None or not rows:
        return {source.file: Beside() for source in sources}
    listed: Mapping[str, Sequence[str]] = {}
    if candidates is not None:
        with suppress(MemevalError):
            listed = results.read_candidates(candidates).doc_ids
    if not listed:
        return {source.file: Beside(lacks="has no candidates beside it") for source in sources}
    doc_ids = tuple(tuple(listed.get(row.query_id, ())) for row in rows)
    places = [{doc_id: place for place, doc_id in enumerate(own)} for own in doc_ids]
    labelled = _labelled(rows, doc_ids, places, labels.splits)
    number = {query_id: place for place, query_id in enumerate(labelled.query_ids)}
    codes = {doc_id: code for code, doc_id in enumerate({doc_id for own in doc_ids for doc_id in own})}
    first = np.full(labelled.grades.shape, len(codes), dtype=np.int32)
    first[labelled.grades >= 0] = [codes[doc_id] for own in doc_ids for doc_id in own]
    found = {source.file: Beside(labelled, lacks="has no whole run beside it") for source in sources}
    for source in sources:
        run = files.stored(source.file.with_suffix(".run.jsonl"))
        if run is not None:
            # A damaged run is the business of `memeval verify`; the report says what it lacks.
            with suppress(MemevalError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                found[source.file] = replace(found[source.file], ranked=_ranked(run, labelled, first, codes, number))
        if (ranked := found[source.file].ranked) is not None:
            wrong = recomputed.wrong(source.result, labelled, ranked)
            lacks = found[source.file].lacks if "missing" in ranked.status else ""
            found[source.file] = Beside(labelled, ranked, wrong, lacks)
    return found


def _labelled(
    rows: Sequence[results.QueryLabels],
    doc_ids: tuple[tuple[str, ...], ...],
    places: Sequence[Mapping[str, int]],
    splits: Mapping[str, str],
) -> Labelled:
    depth = max(1, *map(len, doc_ids))
    lengths = np.array([len(listed) for listed in doc_ids], dtype=np.int64)
    grades = np.where(np.arange(depth) < lengths[:, None], 0.0, -1.0)
    labels = tuple({doc_id: grade for doc_id, grade in row.grades.items() if grade > 0} for row in rows)
    for query, (there, known) in enumerate(zip(places, labels, strict=True)):
        for doc_id, grade in known.items():
            if doc_id in there:
                grades[query, there[doc_id]] = grade
    return Labelled(
        query_ids=tuple(row.query_id for row in rows),
        store_ids=tuple(row.store_id for row in rows),
        categories=tuple(row.category for row in rows),
        doc_ids=doc_ids,
        grades=grades,
        relevant=np.array([len(row) for row in labels], dtype=np.int64),
        labels=labels,
        qrels=tuple(row.grades for row in rows),
        forbidden=tuple(frozenset(row.forbidden) for row in rows),
        dev=np.array([splits.get(row.store_id) == "dev" for row in rows], dtype=np.bool_),
    )


def _ranked(
    path: Path, labelled: Labelled, first: Places, codes: Mapping[str, int], number: Mapping[str, int]
) -> Ranked:
    """The rankings of a run. Raises where it ranks other candidates.

    Args:
        first: the codes of the candidates, with one of their own behind the last; `number` gives a query's place.
    """
    scores = np.full(labelled.grades.shape, np.nan)
    ranked = first.copy()  # a query that the run lacks keeps the first stage's order
    status = ["missing"] * len(labelled.query_ids)
    _, rows = results.rankings(path)
    for row in rows:
        query = number.get(row.query_id)
        if query is not None:
            status[query] = row.status
            if len(row.doc_ids) != len(labelled.doc_ids[query]):
                raise ValueError(row.query_id)
            ranked[query, : len(row.doc_ids)] = [codes[doc_id] for doc_id in row.doc_ids]
            scores[query, : len(row.scores or ())] = row.scores or ()
    places, ours = np.argsort(first, axis=1), np.argsort(ranked, axis=1)
    if not np.array_equal(np.take_along_axis(first, places, axis=1), np.take_along_axis(ranked, ours, axis=1)):
        raise ValueError(path)
    order = np.empty_like(first)
    np.put_along_axis(order, ours, places.astype(np.int32), axis=1)
    order[labelled.grades < 0] = -1
    # Place -1 finds a column of -1 behind the last candidate.
    graded = np.append(labelled.grades, np.full((len(order), 1), -1.0), axis=1)
    return Ranked(order, scores, graded[np.arange(len(order))[:, None], order], tuple(status))
