"""From raw rankings and labels to a Result. Everything here can be made again from the files at any time.

One file, though a long one: all numbers of a result come of one pass over its rankings.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

import memeval
from memeval.core.types import (
    Abstention,
    Card,
    Dataset,
    Estimate,
    Failures,
    Forbidden,
    Qrels,
    Query,
    Ranking,
    Result,
    Signature,
    Status,
    Threshold,
    Ties,
    Unwanted,
)
from memeval.measures import statistics
from memeval.measures.forbidden import known_mean, known_pairs
from memeval.measures.judged import Judged, Places
from memeval.measures.judged import judged as judged_lists
from memeval.measures.latency import Times
from memeval.measures.order import bounds, tie_rate
from memeval.measures.ranx import evaluate_judged, parse
from memeval.measures.statistics import Floats
from memeval.measures.threshold import cross_fitted_f1, deal_folds

SCHEMA = 1
INTERVAL = "95 %, score interval with the effective sample size over clusters (Bell-McCaffrey variance)"
TIES_WORTH_A_LOOK = 0.01
"""Above this tie rate a result carries the measures with relevant memories last and first among equals, too."""


def signature(
    facts: Mapping[str, Any],
    measures: Sequence[str],
    seed: int,
    run_digest: str,
    further: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Signature:
    """How a result was made, but for the unit: from a header's facts, and the digests of `further` runs by kind."""
    return Signature(
        schema=SCHEMA,
        memeval=memeval.__version__,
        **facts,
        measures={parse(name).name: parse(name).definition for name in measures},
        interval=INTERVAL,
        seed=seed,
        run_digest=run_digest,
        further_runs={kind: tuple(digests) for kind, digests in further.items()},
        unit="query",
    )


def runs(result: Result) -> int:
    """How many runs its values are the means of."""
    return 1 + len(result.signature.further_runs.get("repeats", ()))


def unanswered(result: Result) -> int:
    """How many queries failed though they could have been answered: a blank one cannot."""
    return result.failures.failed - (result.failures.statuses or {}).get("blank", 0)


def failed(result: Result) -> int:
    """How many queries failed in any of the runs that the values are means of."""
    further = (result.repeats or {}).get("repeats")
    blank = (result.failures.statuses or {}).get("blank", 0)
    return max(result.failures.failed, further.failed + blank if further else 0)


def averaged(results: Sequence[Result]) -> Result:
    """The first of several results of the same queries, with the means of all their values and what follows of them."""
    first = results[0]
    if len(results) == 1 or not first.values:
        return first
    values = {
        name: tuple(math.fsum(column) / len(results) for column in zip(*(r.values[name] for r in results), strict=True))
        for name in first.values
    }
    measures = estimates(values, first.store_ids, first.categories)
    return replace(first, values=values, measures=measures)


def score(
    queries: Sequence[Query],
    qrels: Qrels,
    rankings: Sequence[Ranking] | Mapping[str, Ranking],
    *,
    signature: Signature,
    card: Card,
    slices: Mapping[str, frozenset[str]] = MappingProxyType({}),
    forbidden: Forbidden = MappingProxyType({}),
) -> Result:
    """The measures of a run: overall and by category, with intervals, ties, failures and abstention.

    Queries without a relevant memory are left out of the ranking measures; they serve abstention: how well the top
    score tells queries that can be answered from those that cannot (AUROC). A judged query without a ranking counts as
    failed. `slices` maps the name of a slice to the queries in it, `forbidden` a query to what must not come back.
    """
    by_query = rankings if isinstance(rankings, Mapping) else {ranking.query_id: ranking for ranking in rankings}
    judged = [query for query in queries if any(grade > 0 for grade in qrels.get(query.query_id, {}).values())]
    ids = tuple(query.query_id for query in judged)
    stores = tuple(query.unit for query in judged)
    names = list(signature.measures)
    ranked = [name for name in names if parse(name).how is not None]
    seen = _Seen()
    grades = ((query_id, qrels[query_id]) for query_id in ids)
    lists = judged_lists(grades, seen.ranked(ids, by_query, qrels), forbidden)
    scores, rows = np.array(seen.scores), lists.rows
    values: dict[str, tuple[float, ...]] = {}
    if judged:
        values = {name: tuple(column.tolist()) for name, column in evaluate_judged(lists, ranked).items()}
    threshold = None
    if judged and len(ranked) < len(names):
        fitted = cross_fitted_f1(
            [scores[row] if scored else None for row, scored in zip(rows, seen.scored, strict=True)],
            [lists.grades[row] for row in rows],
            lists.relevant,
            deal_folds(ids, stores),
        )
        values["F1"] = tuple(fitted.values.tolist())
        folds = sorted(set(stores)) if len(set(stores)) == fitted.folds.count else range(fitted.folds.count)
        thresholds = {str(fold): value for fold, value in zip(folds, fitted.thresholds, strict=True)}
        threshold = Threshold(thresholds=thresholds, unit=fitted.folds.unit)
    categories = tuple(query.category for query in judged)
    failed = seen.errors.total()
    return Result(
        signature=replace(signature, unit=_unit(judged)),
        card=card,
        query_ids=ids,
        store_ids=stores,
        categories=categories,
        values={name: values[name] for name in names} if judged else {},
        measures=estimates({name: values[name] for name in names}, stores, categories) if judged else {},
        ties=_ties(lists, scores, seen, ranked),
        slices={
            name: tuple(place for place, query_id in enumerate(ids) if query_id in members)
            for name, members in slices.items()
        },
        truncation={
            "pairs": seen.cut / max(1, len(lists.grades)),
            "relevant": seen.cut_relevant / max(1, int(np.count_nonzero(lists.grades > 0))),
        },
        usage=dict(sorted(seen.usage.items())) or None,
        failures=Failures(
            failed=failed,
            queries=len(judged),
            errors=dict(sorted(seen.errors.items())),
            statuses=dict(sorted(seen.statuses.items())) if failed else None,
            bounds=_bounds(lists, seen, ranked) if failed else None,
        ),
        abstention=_abstention(queries, by_query, set(ids), seen.tops),
        threshold=threshold,
        forbidden=_unwanted(lists),
    )


class _Seen:
    """What one pass over the rankings of the judged queries gathers besides grades; of a pair nothing but its score."""

    def __init__(self) -> None:
        self.scores = array("d")  # nan where a query has none
        self.scored: list[bool] = []  # by query
        self.failed: list[bool] = []
        self.tie_rates: list[float] = []  # of the scored ones
        self.tops: list[float] = []
        self.errors: Counter[str] = Counter()
        self.statuses: Counter[Status] = Counter()
        self.usage: Counter[str] = Counter()
        self.cut = self.cut_relevant = 0

    def ranked(
        self, query_ids: Iterable[str], rankings: Mapping[str, Ranking], qrels: Qrels
    ) -> Iterator[tuple[str, ...]]:
        """The memories ranked for each query; one that the run lacks counts as failed."""
        for query_id in query_ids:
            found = rankings.get(query_id) or Ranking(query_id, (), None, "failed", "is not in the run")
            self.scored.append(found.scores is not None)
            self.scores.extend(repeat(math.nan, len(found.doc_ids)) if found.scores is None else found.scores)
            if found.scores is not None:
                self.tie_rates.append(tie_rate(found.scores))
                self.tops.append(_top(found.scores))
            self.failed.append(found.status != "ok")
            if found.status != "ok":
                self.errors[str(found.error)] += 1
                self.statuses[found.status] += 1
            if found.usage:
                self.usage.update(found.usage)
            if found.cut:
                grades, cut = qrels[query_id], set(found.cut)
                self.cut += len(cut)
                self.cut_relevant += sum(grades.get(doc_id, 0) > 0 for doc_id in cut.intersection(found.doc_ids))
            yield found.doc_ids


def _unit(queries: Sequence[Query]) -> Literal["store", "cluster", "query"]:
    """What is resampled and tested: the query where all are of one store or cluster."""
    if len({query.unit for query in queries}) < 2:
        return "query"
    return "store" if all(query.unit == query.store_id for query in queries) else "cluster"


def card(dataset: Dataset, candidates: Sequence[int]) -> Card:
    """What a reader must know of the data set, counted, and of the candidates (how many each query has)."""
    relevant = [sum(grade > 0 for grade in dataset.qrels.get(q.query_id, {}).values()) for q in dataset.queries]
    unwanted = [
        len(dataset.forbidden.get(query.query_id, ())) for query, n in zip(dataset.queries, relevant, strict=True) if n
    ]
    return Card(
        name=dataset.name,
        version=dataset.version,
        licence=dataset.licence,
        url=dataset.url,
        about=dataset.about,
        restricted=dataset.restricted,
        verified=dataset.verified,
        rules=dataset.rules,
        judges=dataset.judges,
        queries=len(dataset.queries),
        judged=sum(count > 0 for count in relevant),
        unanswerable=sum(count == 0 for count in relevant),
        excluded=dict(sorted(Counter(dataset.excluded.values()).items())),
        anomalies=dict(dataset.anomalies),
        stores=len(dataset.stores),
        memories=sum(map(len, dataset.stores.values())),
        relevant_pairs=sum(relevant),
        candidates_per_query=sum(candidates) / max(1, len(candidates)),
        forbidden_queries=sum(map(bool, unwanted)),
        forbidden_pairs=sum(unwanted),
    )


def with_latency(result: Result, times: Times | None) -> Result:
    """The result with what its times file tells, if there is one: latency, and what was remembered."""
    if times is None:
        return result
    return replace(result, latency=times.latency, remembered=times.remembered)


def estimates(
    values: Mapping[str, Sequence[float]], stores: Sequence[str], categories: Sequence[str | None]
) -> dict[str, dict[str, Estimate]]:
    """Category ("all" for the whole) → measure → its mean with the interval."""
    groups: dict[str, list[int]] = {"all": list(range(len(stores)))}
    for position, category in enumerate(categories):
        if category is not None:
            groups.setdefault(category, []).append(position)
    matrix = np.array(list(values.values()), dtype=np.float64).T
    found: dict[str, dict[str, Estimate]] = {}
    for group, members in groups.items():
        made = statistics.estimates(matrix[members], [stores[position] for position in members])
        found[group] = dict(zip(values, made, strict=True))
    return found


def _unwanted(lists: Judged) -> Unwanted | None:
    queries, pairs, missed = known_pairs(lists)
    return Unwanted(queries=queries, pairs=pairs, missed=missed) if queries else None


def _ties(lists: Judged, scores: Floats, seen: _Seen, measures: Sequence[str]) -> Ties:
    rate = sum(seen.tie_rates) / max(1, len(seen.tie_rates))
    if rate <= TIES_WORTH_A_LOOK:
        return Ties(rate=rate, bounds=None)
    worth, worst, best = lists.worth, np.arange(len(lists.grades)), np.arange(len(lists.grades))
    for row, scored in zip(lists.rows, seen.scored, strict=True):
        if scored:
            labels = worth[row]
            for target, order in zip((worst, best), bounds(range(len(labels)), scores[row], labels), strict=True):
                target[row] = target[row][order]
    return Ties(rate=rate, bounds=_means(lists, worst, best, measures))


def _bounds(lists: Judged, seen: _Seen, measures: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Each measure with the worst, and with the best, order of the candidates of failed queries."""
    worth, worst, best = lists.worth, np.arange(len(lists.grades)), np.arange(len(lists.grades))
    for row, failed in zip(lists.rows, seen.failed, strict=True):
        if failed:
            best[row] = best[row][np.argsort(-worth[row], kind="stable")]
            worst[row] = best[row][::-1]
    return _means(lists, worst, best, measures)


def _means(lists: Judged, low: Places, high: Places, measures: Sequence[str]) -> dict[str, tuple[float, float]]:
    worst, best = (evaluate_judged(lists.reordered(order), measures) for order in (low, high))
    return {name: (known_mean(worst[name]), known_mean(best[name])) for name in worst}


def _top(scores: Sequence[float]) -> float:
    return scores[0] if scores else -math.inf


def _abstention(
    queries: Sequence[Query], rankings: Mapping[str, Ranking], answerable: set[str], tops: Sequence[float]
) -> Abstention | None:
    others = [rankings.get(query.query_id) for query in queries if query.query_id not in answerable]
    unanswerable = [_top(found.scores) for found in others if found is not None and found.scores is not None]
    if not tops or not unanswerable:
        return None
    auroc = statistics.auroc(tops, unanswerable)
    return Abstention(auroc=auroc, answerable=len(tops), unanswerable=len(unanswerable))
