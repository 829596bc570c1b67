"""From raw rankings and labels to a Result. Everything here can be made again from the files at any time."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
    Threshold,
    Ties,
    Unwanted,
)
from memeval.measures import statistics
from memeval.measures.forbidden import missed, pairs
from memeval.measures.latency import Times
from memeval.measures.order import bounds, tie_rate
from memeval.measures.ranx import Floats, evaluate, parse
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
    """How a result was made, but for the unit. `facts` are those of a run's header, `further` the digests of more runs,
    by kind.
    """
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
    measures = _estimates(values, first.store_ids, first.categories)
    return replace(first, values=values, measures=measures)


def score(
    queries: Sequence[Query],
    qrels: Qrels,
    rankings: Sequence[Ranking],
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
    by_query = {ranking.query_id: ranking for ranking in rankings}
    judged = [query for query in queries if any(grade > 0 for grade in qrels.get(query.query_id, {}).values())]
    ids = tuple(query.query_id for query in judged)
    stores = tuple(query.unit for query in judged)
    grades = {query_id: qrels[query_id] for query_id in ids}
    found = [by_query.get(query_id, Ranking(query_id, (), None, "failed", "is not in the run")) for query_id in ids]
    names = list(signature.measures)
    ranked = [name for name in names if not parse(name).fitted]
    values: dict[str, tuple[float, ...]] = {}
    if judged:
        computed = evaluate(grades, {ranking.query_id: ranking.doc_ids for ranking in found}, ranked, forbidden)
        values = {name: tuple(map(float, column)) for name, column in computed.items()}
    threshold = None
    if judged and len(ranked) < len(names):
        fitted = cross_fitted_f1(
            [ranking.scores for ranking in found],
            [[grades[r.query_id].get(doc_id, 0) for doc_id in r.doc_ids] for r in found],
            [sum(grade > 0 for grade in grades[query_id].values()) for query_id in ids],
            deal_folds(ids, stores),
        )
        values["F1"] = tuple(map(float, fitted.values))
        folds = sorted(set(stores)) if len(set(stores)) == fitted.folds.count else range(fitted.folds.count)
        thresholds = {str(fold): value for fold, value in zip(folds, fitted.thresholds, strict=True)}
        threshold = Threshold(thresholds=thresholds, unit=fitted.folds.unit)
    categories = tuple(query.category for query in judged)
    failures = Counter(str(ranking.error) for ranking in found if ranking.status != "ok")
    statuses = Counter(ranking.status for ranking in found if ranking.status != "ok")
    return Result(
        signature=replace(signature, unit=_unit(judged)),
        card=card,
        query_ids=ids,
        store_ids=stores,
        categories=categories,
        values={name: values[name] for name in names} if judged else {},
        measures=_estimates({name: values[name] for name in names}, stores, categories) if judged else {},
        ties=_ties(found, grades, ranked, forbidden),
        slices={
            name: tuple(place for place, query_id in enumerate(ids) if query_id in members)
            for name, members in slices.items()
        },
        truncation=_truncation(found, grades),
        usage=usage(found),
        failures=Failures(
            failed=failures.total(),
            queries=len(judged),
            errors=dict(sorted(failures.items())),
            statuses=dict(sorted(statuses.items())) if failures else None,
            bounds=_bounds(found, grades, ranked, forbidden) if failures else None,
        ),
        abstention=_abstention([by_query.get(query.query_id) for query in queries], set(ids)),
        threshold=threshold,
        forbidden=_unwanted(found, grades, forbidden),
    )


def _unit(queries: Sequence[Query]) -> Literal["store", "cluster", "query"]:
    """What is resampled and tested: the query where all are of one store or cluster."""
    if len({query.unit for query in queries}) < 2:
        return "query"
    return "store" if all(query.unit == query.store_id for query in queries) else "cluster"


def card(dataset: Dataset, candidates: Mapping[str, Sequence[str]]) -> Card:
    """What a reader must know of the data set and the candidates (query_id → doc_ids), counted."""
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
        queries=len(dataset.queries),
        judged=sum(count > 0 for count in relevant),
        unanswerable=sum(count == 0 for count in relevant),
        excluded=dict(sorted(Counter(dataset.excluded.values()).items())),
        anomalies=dict(dataset.anomalies),
        stores=len(dataset.stores),
        memories=sum(map(len, dataset.stores.values())),
        relevant_pairs=sum(relevant),
        candidates_per_query=sum(map(len, candidates.values())) / max(1, len(candidates)),
        forbidden_queries=sum(map(bool, unwanted)),
        forbidden_pairs=sum(unwanted),
    )


def with_latency(result: Result, times: Times | None) -> Result:
    """The result with what its times file tells, if there is one: latency, and what was remembered."""
    if times is None:
        return result
    return replace(result, latency=times.latency, remembered=times.remembered)


def _estimates(
    values: Mapping[str, Sequence[float]], stores: Sequence[str], categories: Sequence[str | None]
) -> dict[str, dict[str, Estimate]]:
    groups: dict[str, list[int]] = {"all": list(range(len(stores)))}
    for position, category in enumerate(categories):
        if category is not None:
            groups.setdefault(category, []).append(position)
    found: dict[str, dict[str, Estimate]] = {}
    for group, members in groups.items():
        matrix = [[column[position] for column in values.values()] for position in members]
        estimates = statistics.estimates(matrix, [stores[position] for position in members])
        found[group] = dict(zip(values, estimates, strict=True))
    return found


def _unwanted(found: Sequence[Ranking], grades: Qrels, forbidden: Forbidden) -> Unwanted | None:
    rows = [(grades[r.query_id], forbidden[r.query_id], r.doc_ids) for r in found if forbidden.get(r.query_id)]
    if not rows:
        return None
    return Unwanted(
        queries=len(rows), pairs=sum(pairs(row, of) for row, of, _ in rows), missed=sum(missed(*row) for row in rows)
    )


def _labels(ranking: Ranking, grades: Qrels, forbidden: Forbidden) -> list[int]:
    """The grade of each memory, in their order; a forbidden one, -1, is worse than one that is not relevant."""
    own, never = grades[ranking.query_id], forbidden.get(ranking.query_id, frozenset())
    return [-1 if doc_id in never else own.get(doc_id, 0) for doc_id in ranking.doc_ids]


def _ties(found: Sequence[Ranking], grades: Qrels, measures: Sequence[str], forbidden: Forbidden) -> Ties:
    scored = [ranking for ranking in found if ranking.scores is not None]
    rate = sum(tie_rate(ranking.scores or ()) for ranking in scored) / max(1, len(scored))
    if rate <= TIES_WORTH_A_LOOK:
        return Ties(rate=rate, bounds=None)
    worst: dict[str, Sequence[str]] = {ranking.query_id: ranking.doc_ids for ranking in found}
    best = dict(worst)
    for ranking in scored:
        labels = _labels(ranking, grades, forbidden)
        orders = bounds(range(len(labels)), ranking.scores or (), labels)
        for target, order in zip((worst, best), orders, strict=True):
            target[ranking.query_id] = [ranking.doc_ids[position] for position in order]
    return Ties(rate=rate, bounds=_means(*(evaluate(grades, each, measures, forbidden) for each in (worst, best))))


def _bounds(
    found: Sequence[Ranking], grades: Qrels, measures: Sequence[str], forbidden: Forbidden
) -> dict[str, tuple[float, float]]:
    """Each measure with the worst, and with the best, order of the candidates of failed queries."""
    worst: dict[str, Sequence[str]] = {ranking.query_id: ranking.doc_ids for ranking in found}
    best = dict(worst)
    for ranking in found:
        if ranking.status != "ok":
            labels = dict(zip(ranking.doc_ids, _labels(ranking, grades, forbidden), strict=True))
            best[ranking.query_id] = sorted(ranking.doc_ids, key=labels.__getitem__, reverse=True)
            worst[ranking.query_id] = best[ranking.query_id][::-1]
    return _means(*(evaluate(grades, each, measures, forbidden) for each in (worst, best)))


def _means(low: Mapping[str, Floats], high: Mapping[str, Floats]) -> dict[str, tuple[float, float]]:
    return {name: (known_mean(low[name]), known_mean(high[name])) for name in low}


def known_mean(values: Floats) -> float:
    """The mean of the values that there are; nan where there is none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def _truncation(found: Sequence[Ranking], grades: Qrels) -> dict[str, float]:
    """The shares of candidates, and of relevant candidates, whose text was truncated."""
    pairs = sum(len(ranking.doc_ids) for ranking in found)
    relevant = {(r.query_id, doc_id) for r in found for doc_id in r.doc_ids if grades[r.query_id].get(doc_id, 0) > 0}
    cut = {(ranking.query_id, doc_id) for ranking in found for doc_id in ranking.cut}
    return {"pairs": len(cut) / max(1, pairs), "relevant": len(cut & relevant) / max(1, len(relevant))}


def usage(found: Sequence[Ranking]) -> dict[str, float] | None:
    """What all queries took together, for systems that tell."""
    total: Counter[str] = Counter()
    for ranking in found:
        total.update(ranking.usage or {})
    return dict(sorted(total.items())) or None


def _abstention(rankings: Sequence[Ranking | None], answerable: set[str]) -> Abstention | None:
    tops: dict[bool, list[float]] = {True: [], False: []}
    for ranking in rankings:
        if ranking is not None and ranking.scores is not None:
            tops[ranking.query_id in answerable].append(ranking.scores[0] if ranking.scores else -math.inf)
    if not tops[True] or not tops[False]:
        return None
    auroc = statistics.auroc(tops[True], tops[False])
    return Abstention(auroc=auroc, answerable=len(tops[True]), unanswerable=len(tops[False]))
