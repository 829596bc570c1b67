"""Two systems on the same pairs: do two engines give one reranker's scores?

Both score the same candidates of the same queries, taken evenly from the whole data set; nothing is remembered. The
scores are compared as they are: log-odds, where a reranker gives them.
"""

import gc
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from memeval import datasets, rerankers
from memeval.core.errors import IncompleteError, UsageError
from memeval.core.outside import visible
from memeval.core.terminal import aligned
from memeval.core.types import Candidates, Dataset, Query, Ranking
from memeval.datasets import render
from memeval.datasets.candidates import retrieve
from memeval.measures.order import flips
from memeval.measures.ranx import evaluate
from memeval.runs import benchmark, runner
from memeval.runs.progress import Watcher
from memeval.runs.reference import Reference, rows

MEASURES = ("MRR", "NDCG@10", "Recall@5")
TOLERANCE = 1e-5
"""How far two float32 engines of one model may be apart, in log-odds."""


@dataclass(frozen=True, slots=True)
class Worst:
    """The pair whose scores differ most."""

    query_id: str
    doc_id: str
    scores: tuple[float, float]


@dataclass(frozen=True)
class Parity:
    """What was found. Where two numbers stand together, the first is of the first system.

    `largest` and `median` are of the absolute differences between the scores of a pair. `flips` counts the pairs of
    memories of one query that the two put in opposite order, of `orders` in all; `tops` the queries with another first
    memory. `measures` are means over the `judged` queries; `cut` is the share of pairs whose memory was truncated.
    """

    dataset: str
    systems: tuple[str, str]
    queries: int
    pairs: int
    tolerance: float
    largest: float
    median: float
    worst: Worst
    flips: int
    orders: int
    tops: int
    judged: int
    measures: Mapping[str, tuple[float, float]]
    cut: tuple[float, float]

    @property
    def within(self) -> bool:
        """Whether no pair differs by more than the tolerance."""
        return self.largest <= self.tolerance


def parity(
    ours: str,
    theirs: str | Reference,
    dataset: str | Dataset,
    *,
    limit: int = 20,
    depth: int = 20,
    first_stage: str = "bm25",
    rendering: str | None = None,
    tolerance: float = TOLERANCE,
    watcher: Watcher | None = None,
) -> Parity:
    """Scores the best `depth` candidates of `limit` queries on two systems; a reference stands for one of them.

    Raises UsageError where there is nothing to compare, PrerequisiteError where a system cannot run here, and
    IncompleteError where one fails on a query.
    """
    if not 0 <= tolerance < math.inf:
        raise UsageError(f"--tolerance {tolerance:g}: nothing could be above it: give the largest difference allowed")
    if isinstance(theirs, Reference):
        limit, depth = theirs.limit, theirs.depth
        first_stage, rendering = theirs.first_stage, theirs.rendering
    else:
        theirs = rerankers.address(theirs)
    ours, first_stage = map(rerankers.address, (ours, first_stage))
    watcher = watcher or Watcher()
    whole, asked, candidates = _pairs(dataset, limit, depth, first_stage, rendering)
    first, _ = _ranked(ours, whole, asked, candidates, watcher)
    if isinstance(theirs, Reference):
        second, name = theirs.rankings(asked, candidates), f"{theirs.system} (reference)"
    else:
        (second, _), name = _ranked(theirs, whole, asked, candidates, watcher), theirs
    return compare(whole, (ours, name), asked, first, second, candidates, tolerance)


def reference(
    system: str,
    dataset: str,
    *,
    limit: int = 20,
    depth: int = 20,
    first_stage: str = "bm25",
    rendering: str | None = None,
    watcher: Watcher | None = None,
) -> Reference:
    """The scores of one system on the pairs that `parity` would choose, to be kept."""
    system, first_stage = map(rerankers.address, (system, first_stage))
    whole, asked, candidates = _pairs(dataset, limit, depth, first_stage, rendering)
    rankings, fingerprint = _ranked(system, whole, asked, candidates, watcher or Watcher())
    chosen = (dataset, limit, depth, first_stage, rendering, candidates.digest)
    return Reference(system, fingerprint, *chosen, rows(rankings))


def _pairs(
    dataset: str | Dataset, limit: int, depth: int, first_stage: str, rendering: str | None
) -> tuple[Dataset, list[Query], Candidates]:
    """The data set, some of its queries in the order in which they are asked, and their candidates."""
    whole = datasets.load(dataset) if isinstance(dataset, str) else dataset
    whole = render.rendered(whole, rendering or render.DEFAULT)
    count = min(limit, len(whole.queries))
    queries = tuple(whole.queries[place * len(whole.queries) // count] for place in range(count))
    candidates = retrieve(
        replace(whole, queries=queries, forbidden={}),
        first_stage,
        benchmark.load_scorer(first_stage, whole, None),
        depth=depth,
        pool="retrieved" if whole.pools is None else "given",
        rendering=rendering or render.DEFAULT,
    )
    candidates = replace(candidates, doc_ids={query_id: ids[:depth] for query_id, ids in candidates.doc_ids.items()})
    asked = runner.in_turn([query for query in queries if candidates.doc_ids[query.query_id]], 1)
    if not asked:
        raise UsageError(f"{whole.name}: {first_stage} finds no candidates for {count} queries: nothing to compare")
    return whole, asked, candidates


def compare(
    dataset: Dataset,
    systems: tuple[str, str],
    queries: Sequence[Query],
    first: Sequence[Ranking],
    second: Sequence[Ranking],
    candidates: Candidates,
    tolerance: float,
) -> Parity:
    """The two systems' rankings of the same queries, compared."""
    scores = np.concatenate([_scores(pair, candidates) for pair in zip(first, second, strict=True)], axis=1)
    apart = np.abs(scores[0] - scores[1])
    keys = [(query.query_id, doc_id) for query in queries for doc_id in candidates.doc_ids[query.query_id]]
    place = int(apart.argmax())
    sizes = [len(ranking.doc_ids) for ranking in first]
    judged = {query.query_id: dataset.qrels.get(query.query_id, {}) for query in queries}
    judged = {query_id: grades for query_id, grades in judged.items() if any(grade > 0 for grade in grades.values())}
    means = [
        evaluate(judged, {ranking.query_id: ranking.doc_ids for ranking in rankings}, MEASURES) if judged else {}
        for rankings in (first, second)
    ]
    ours, theirs = (sum(len(ranking.cut) for ranking in rankings) / len(keys) for rankings in (first, second))
    return Parity(
        dataset=dataset.name,
        systems=systems,
        queries=len(queries),
        pairs=len(keys),
        tolerance=tolerance,
        largest=float(apart[place]),
        median=float(np.median(apart)),
        worst=Worst(*keys[place], scores=(float(scores[0, place]), float(scores[1, place]))),
        flips=sum(flips(a.doc_ids, b.doc_ids) for a, b in zip(first, second, strict=True)),
        orders=sum(size * (size - 1) // 2 for size in sizes),
        tops=sum(a.doc_ids[0] != b.doc_ids[0] for a, b in zip(first, second, strict=True)),
        judged=len(judged),
        measures={name: (float(means[0][name].mean()), float(means[1][name].mean())) for name in means[0]},
        cut=(ours, theirs),
    )


def document(found: Parity) -> dict[str, Any]:
    """As JSON values."""
    return {"schema": "memeval/parity", "version": 1, **asdict(found), "within": found.within}


def text(found: Parity) -> str:
    """The same for people."""
    worst = found.worst
    lines = [
        f"{found.dataset}: {found.pairs:,} pairs of {found.queries:,} queries",
        f"  first   {found.systems[0]}",
        f"  second  {found.systems[1]}",
        f"largest difference  {found.largest:.3g}  ({worst.scores[0]:.6g} and {worst.scores[1]:.6g}: "
        f"query {worst.query_id}, memory {worst.doc_id})",
        f"median difference   {found.median:.3g}",
        f"rank flips          {found.flips:,} of {found.orders:,} pairs of memories; "
        f"another first memory in {found.tops:,} of {found.queries:,} queries",
        f"truncated pairs     {found.cut[0]:.2%} and {found.cut[1]:.2%}",
    ]
    if found.measures:
        rows = [(f"{found.judged:,} judged queries", "first", "second", "first − second")]
        for name, (ours, theirs) in found.measures.items():
            rows.append((f"  {name}", f"{ours:.3f}", f"{theirs:.3f}", f"{ours - theirs:+.4f}"))
        lines += aligned(rows)
    verdict = "within" if found.within else "ABOVE"
    return "\n".join(map(visible, [*lines, f"{verdict} the tolerance of {found.tolerance:g}", ""]))


def _ranked(
    name: str, dataset: Dataset, queries: Sequence[Query], candidates: Candidates, watcher: Watcher
) -> tuple[list[Ranking], dict[str, Any] | None]:
    """One system's rankings, and its fingerprint; the model is let go of before the next one is loaded."""
    scorer = benchmark.load_scorer(name, dataset, None)
    watcher.begin(name, len(queries), 0)
    rankings = []
    for ranking, _ in runner.rank(scorer, queries, 0, dataset, candidates):
        if ranking.scores is None:
            raise IncompleteError(f"{name!r} failed on the query {ranking.query_id!r}: {ranking.error}")
        rankings.append(ranking)
        watcher.advance(ranking)
    watcher.end()
    fingerprint = None if scorer.fingerprint is None else dict(scorer.fingerprint)
    del scorer
    gc.collect()
    return rankings, fingerprint


def _scores(pair: tuple[Ranking, Ranking], candidates: Candidates) -> Any:
    """Both systems' scores [2, candidates], in the order of the candidates."""
    tables = [dict(zip(ranking.doc_ids, ranking.scores or (), strict=True)) for ranking in pair]
    return np.array([[table[doc_id] for doc_id in candidates.doc_ids[pair[0].query_id]] for table in tables])
