"""Headroom: what became of relevant memories that an order does not show, and so what a reranker could win back.

Of a query's relevant memories that are missed at a cutoff,

- some were never retrieved: only another first stage, or a deeper one, finds them;
- of those that were, as many as exceed the cutoff are beyond any order: only a larger cutoff shows them;
- all others were ranked too low: they are what a reranker can win back.

The three add up to all misses. Counts are over all queries that have a relevant memory. Shares are of a query's
relevant memories, as means over queries: together they are 1 − Recall@cutoff. Intervals are clustered by store.

Longer than most files here, because a folder, a run and a TREC run are asked alike.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memeval import datasets
from memeval.core import files, results
from memeval.core.errors import DataError, UsageError
from memeval.core.outside import visible
from memeval.core.results import QueryLabels
from memeval.core.terminal import aligned
from memeval.core.types import Candidates, Estimate, Run
from memeval.core.values import finite
from memeval.datasets.download import beside
from memeval.measures import statistics, trec
from memeval.runs.gates import CONTROLS
from memeval.runs.rescore import labels_alone

WORTH = 0.02
"""A share of the relevant memories that is worth a reranker."""
ByQuery = Mapping[str, Sequence[str]]


class Misses(NamedTuple):
    """How many relevant memories of a query are missed, by what would show them."""

    unretrieved: int
    low: int
    beyond: int


PARTS = {"unretrieved": "never retrieved", "low": "ranked too low", "beyond": "beyond any order"}


def misses(relevant: set[str], candidates: Collection[str], order: Sequence[str], cutoff: int) -> Misses:
    """The misses of one query's order of its candidates.

    >>> misses({"a", "b", "c", "d"}, ["x", "a", "b", "c"], ["x", "a", "b", "c"], 2)
    Misses(unretrieved=1, low=1, beyond=1)
    """
    there, shown = len(relevant.intersection(candidates)), len(relevant.intersection(order[:cutoff]))
    beyond = max(0, there - cutoff)
    return Misses(len(relevant) - there, there - beyond - shown, beyond)


@dataclass(frozen=True)
class Tally:
    """One order over some queries: counts of memories, and each part as a share of the relevant ones."""

    system: str
    category: str
    queries: int
    relevant: int
    missed: int
    counts: Misses
    shares: Mapping[str, Estimate]


@dataclass(frozen=True)
class Headroom:
    """One ground: the order that was asked about, by category, and then each system that was run, over all queries.

    `deepest` is the longest list of candidates. `won` is what a system wins back, or loses, of the share that the first
    stage ranks too low, `failed` how many queries it failed on, which keep the first stage's order.
    """

    ground: str
    about: str
    cutoff: int
    clusters: int
    deepest: int
    lines: tuple[Tally, ...]
    systems: tuple[Tally, ...] = ()
    won: Mapping[str, Estimate] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)

    @property
    def whole(self) -> Tally:
        """The order that was asked about, over all queries."""
        return self.lines[0]

    @property
    def verdict(self) -> str:
        """Whether a better order is worth having: yes, no, or open."""
        low = self.whole.shares["low"]
        if self.deepest <= self.cutoff:
            return "no"
        if low.low >= WORTH:
            return "yes"
        return "no" if low.high < WORTH else "open"

    @property
    def answer(self) -> str:
        """Whether a reranker is worth it here, in a sentence."""
        low, away = self.whole.shares["low"], self.whole.shares["unretrieved"]
        if self.deepest <= self.cutoff:
            every = f"the first {self.cutoff} are all of its candidates ({self.deepest} at most), in whatever order"
            return f"Is a reranker worth it here? Not at this cutoff: {every}. Never retrieved were {_share(away)}."
        said = {"yes": "Yes", "no": f"No, by less than {100 * WORTH:g} %", "open": "That is open"}[self.verdict]
        what = f"{said}: {_share(low)} of the relevant memories are retrieved, but not among the first {self.cutoff}"
        best = max(self.won, key=lambda system: self.won[system].value, default=None)
        if best is not None and self.won[best].value > 0:
            what += f"; of what was measured, {best} wins back most, {_share(self.won[best])}"
        elif best is not None:
            what += "; nothing that was measured wins any back"
        deeper = "; a deeper or another first stage could win more" if away.value > low.value else ""
        return f"Is a reranker worth it here? {what}. Never retrieved were {_share(away)}{deeper}."


def headroom(path: Path, cutoff: int, *, qrels: Path | None = None, dataset: str | None = None) -> list[Headroom]:
    """The headroom of every ground below a folder, or that of one run file.

    A TREC run needs qrels or a data set, and has retrieved what it lists. Raises UsageError where there is nothing,
    DataError for broken files.
    """
    if not path.is_dir() and not path.is_file():
        raise UsageError(f"{path}: no such file or folder")
    if path.is_file() and ".run.jsonl" not in path.name:
        return [_trec(path, cutoff, qrels, dataset)]
    if qrels is not None or dataset is not None:
        raise UsageError(f"{path}: has labels of its own: --qrels and --dataset are for a TREC run")
    if not path.is_dir():
        return [_run(path, cutoff)]
    found = [_ground(folder, cutoff) for folder in sorted({file.parent for file in path.rglob("candidates.jsonl*")})]
    if not found:
        raise UsageError(f"{path}: no candidates are here: `memeval run` makes some")
    return found


def document(found: Sequence[Headroom]) -> dict[str, Any]:
    """As JSON values."""
    rows = [{**asdict(one), "verdict": one.verdict, "answer": one.answer} for one in found]
    for row in rows:
        for line in (*row["lines"], *row["systems"]):
            line["counts"] = dict(zip(Misses._fields, line["counts"], strict=True))
    return dict(finite({"schema": "memeval/headroom", "version": 1, "grounds": rows}))


def text(found: Sequence[Headroom]) -> str:
    """A table and a sentence for each ground."""
    told = []
    for one in found:
        named = [(line.category, line) for line in one.lines]
        named += [(f"after {line.system}{_failed(one.failed.get(line.system, 0))}", line) for line in one.systems]
        rows = [("category", "queries", "relevant", "missed", *(it for name in PARTS.values() for it in ("", name)))]
        rows += [
            (name, *(f"{count:,}" for count in (line.queries, line.relevant, line.missed)), *_parts(line))
            for name, line in named
        ]
        told.append(f"{one.ground}: {one.about}; cutoff {one.cutoff}, intervals over {one.clusters:,} clusters")
        told += [*aligned(rows, left=(0, 5, 7, 9)), one.answer, ""]
    told.append("shares are of a query's relevant memories, as means over queries: together they are 1 − Recall@cutoff")
    return "\n".join(map(visible, [*told, ""]))


def _failed(queries: int) -> str:
    return f" ({queries:,} failed)" if queries else ""


def _parts(line: Tally) -> Iterator[str]:
    """Of each part the count, and the share."""
    for part, count in zip(PARTS, line.counts, strict=True):
        yield from (f"{count:,}", _share(line.shares[part]))


def _share(found: Estimate) -> str:
    """A share with its interval.

    >>> _share(Estimate(0.25, 0.1, 0.4, 20, 5)), _share(Estimate(0.25, float("nan"), float("nan"), 1, 1))
    ('25.0 % [10.0, 40.0]', '25.0 %')
    """
    interval = "" if math.isnan(found.low) else f" [{100 * found.low:.1f}, {100 * found.high:.1f}]"
    return f"{100 * found.value:.1f} %{interval}".replace("-", "−")


def _ground(folder: Path, cutoff: int) -> Headroom:
    made, rows = _read(folder)
    measured = {file: results.read_result(file).signature for file in results.find(folder) if file.parent == folder}
    stored = {file: at for file in measured if (at := files.stored(file.with_suffix(".run.jsonl"))) is not None}
    controls = {file for file in stored if measured[file].model.partition("?")[0] in CONTROLS}
    one = next(iter(stored), None)
    read = {file: results.read_run(at) for file, at in stored.items() if file == one or file not in controls}
    if one is not None:  # of a part, the queries of that part
        asked = {ranking.query_id for ranking in read[one].rankings}
        rows = [row for row in rows if row.query_id in asked]
    runs = [run for file, run in read.items() if file not in controls]
    first = _Counted.of(folder, rows, made.doc_ids, made.doc_ids, cutoff)
    orders = {run.header.system: _orders(folder, made, run, rows) for run in runs}
    after = {system: _Counted.of(folder, rows, made.doc_ids, order, cutoff) for system, order in orders.items()}
    won = {}
    for system, counted in after.items():
        names = [("low", "first-stage", system)]
        [(found, _)] = statistics.compare(first.shares[:, 1:2], counted.shares[:, 1:2], first.clusters, names)
        won[system] = Estimate(found.difference, found.low, found.high, found.n, found.clusters)
    systems = tuple(counted.line(system) for system, counted in after.items())
    judged = {row.query_id for row in rows if any(grade > 0 for grade in row.grades.values())}
    failed = {
        run.header.system: sum(ranking.status != "ok" and ranking.query_id in judged for ranking in run.rankings)
        for run in runs
    }
    about = folder.name, _about(made), cutoff, first.units, first.deepest
    return Headroom(*about, first.lines("first-stage"), systems, won, failed)


def _run(path: Path, cutoff: int) -> Headroom:
    made, rows = _read(path.parent)
    run = results.read_run(path)
    known = {ranking.query_id for ranking in run.rankings}
    rows = [row for row in rows if row.query_id in known]
    counted = _Counted.of(path, rows, made.doc_ids, _orders(path, made, run, rows), cutoff)
    about = f"{run.header.system} over {_about(made)}"
    return Headroom(path.parent.name, about, cutoff, counted.units, counted.deepest, counted.lines(run.header.system))


def _trec(path: Path, cutoff: int, qrels: Path | None, dataset: str | None) -> Headroom:
    if (qrels is None) == (dataset is None):
        raise UsageError(f"{path}: a TREC run has no labels: give --qrels FILE or --dataset NAME, one of them")
    loaded = labels_alone(qrels) if qrels is not None else datasets.load(str(dataset))
    orders = {query_id: ranking.doc_ids for query_id, ranking in trec.read_rankings(path).items()}
    rows = results.labels(loaded).rows
    if orders.keys().isdisjoint(row.query_id for row in rows):
        raise DataError(f"{path}: has no query of {loaded.name} (its first is {next(iter(orders), '')!r})")
    counted = _Counted.of(path, rows, orders, orders, cutoff)
    about = loaded.name, f"what {path.name} lists", cutoff, counted.units, counted.deepest
    return Headroom(*about, counted.lines(path.stem))


def _read(folder: Path) -> tuple[Candidates, Sequence[QueryLabels]]:
    """What lies beside the runs of a folder: the candidates and the labels."""
    stored = files.stored(folder / "candidates.jsonl")
    if stored is None:
        raise UsageError(f"{folder}: has no candidates.jsonl: `memeval run` makes one")
    made = results.read_candidates(stored)
    labels = files.stored(folder / results.LABELS)
    if labels is not None:
        known = results.labels_of(labels, made.dataset_digest, made.doc_ids)
        if known is not None:
            return made, known.rows
    with beside(folder):
        return made, results.labels(datasets.load(made.address or made.dataset)).rows


def _orders(path: Path, made: Candidates, run: Run, rows: Sequence[QueryLabels]) -> ByQuery:
    if run.header.candidates_digest != made.digest:
        raise DataError(f"{path}: the run of {run.header.system} is not over the candidates beside it")
    found = {ranking.query_id: ranking.doc_ids for ranking in run.rankings}
    if lacking := [row.query_id for row in rows if row.query_id not in found]:
        raise DataError(
            f"{path}: {len(lacking)} queries are in one run and not in another, the first is {lacking[0]!r}"
        )
    return found


def _about(made: Candidates) -> str:
    return f"{made.first_stage}, depth {made.depth}, pool {made.pool}"


@dataclass(frozen=True, eq=False)
class _Counted:
    """The misses of an order: a row for each query with a relevant memory, a column for each part."""

    categories: Sequence[str | None]
    clusters: Sequence[str]
    relevant: NDArray[np.int64]
    missed: NDArray[np.int64]
    deepest: int

    @classmethod
    def of(
        cls, path: Path, rows: Sequence[QueryLabels], candidates: ByQuery, orders: ByQuery, cutoff: int
    ) -> "_Counted":
        """Raises DataError, which names the path, where no query has a relevant memory."""
        judged = [(row, {doc_id for doc_id, grade in row.grades.items() if grade > 0}) for row in rows]
        asked = [(row.query_id, row, relevant) for row, relevant in judged if relevant]
        if not asked:
            raise DataError(f"{path}: no query has a relevant memory: there is nothing to miss")
        return cls(
            [row.category for _, row, _ in asked],
            [row.cluster or row.store_id for _, row, _ in asked],
            np.array([len(relevant) for _, _, relevant in asked]),
            np.array([misses(found, candidates.get(i, ()), orders.get(i, ()), cutoff) for i, _, found in asked]),
            max(len(candidates.get(i, ())) for i, _, _ in asked),
        )

    @property
    def shares(self) -> NDArray[np.float64]:
        """The parts as shares of a query's relevant memories."""
        return self.missed / self.relevant[:, None]

    @property
    def units(self) -> int:
        """What intervals are over."""
        return len(statistics.units(self.shares, self.clusters).sizes)

    def line(self, system: str, category: str | None = None) -> Tally:
        """The line of all queries, or of those of one category."""
        kept = [place for place, own in enumerate(self.categories) if category in (None, own)]
        shares = statistics.estimates(self.shares[kept], [self.clusters[place] for place in kept])
        counts = Misses(*map(int, self.missed[kept].sum(axis=0)))
        named = dict(zip(PARTS, shares, strict=True))
        return Tally(system, category or "all", len(kept), int(self.relevant[kept].sum()), sum(counts), counts, named)

    def lines(self, system: str) -> tuple[Tally, ...]:
        """The line of all queries, then one for each category."""
        names = sorted({category for category in self.categories if category is not None})
        return tuple(self.line(system, name) for name in (None, *names))
