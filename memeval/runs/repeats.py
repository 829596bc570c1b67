"""How much a system's own answers vary: the same run made several times, compared query by query.

The values of such a system are means over its runs; what else is told of it (ties, truncation, failures, the rankings
themselves) is of the first one, and so is its latency.

A flip is a pair of candidates that two runs put in opposite order; the flip rate is their share, averaged over pairs of
runs and over the queries that all runs answered (one minus Kendall's tau, halved). The deviation of a measure is the
sample standard deviation of its mean over the runs.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev

from memeval.core.types import Dataset, Ranking, Repeats
from memeval.measures.forbidden import known_mean
from memeval.measures.order import flips as turned
from memeval.measures.ranx import evaluate, parse
from memeval.rerankers.hosted.terms import Terms

Variant = tuple[str, Terms]
"""What is put behind the system's name in a file's name, and the terms of that run."""


def variants(terms: Terms, repeat: int, orders: int) -> dict[str, list[Variant]]:
    """The runs beside the first: `repeats` are the same again, `orders` show candidates in other orders."""
    again = [(f".repeat-{number}", replace(terms, repeat=number)) for number in range(2, repeat + 1)]
    turned = [(f".order-{number}", replace(terms, order=number)) for number in range(1, orders + 1)]
    return {kind: found for kind, found in (("repeats", again), ("orders", turned)) if found}


def files(run: Path, repeat: int, orders: int) -> dict[str, list[Path]]:
    """The run files beside the first one (`….run.jsonl`), by kind and in the order of `variants`."""
    stem = run.name.removesuffix(".run.jsonl")
    return {
        kind: [run.with_name(f"{stem}{suffix}.run.jsonl") for suffix, _ in found]
        for kind, found in variants(Terms(), repeat, orders).items()
    }


def summary(runs: Sequence[Sequence[Ranking]], dataset: Dataset, measures: Sequence[str]) -> Repeats:
    """How runs of the same queries differ."""
    by_run = [{ranking.query_id: ranking for ranking in run if ranking.status == "ok"} for run in runs]
    asked = [ranking for ranking in runs[0] if ranking.status != "blank"]
    judged = [r.query_id for r in asked if any(grade > 0 for grade in dataset.qrels.get(r.query_id, {}).values())]
    kept = [query_id for query_id in judged if all(query_id in run for run in by_run)]
    orders = {query_id: [run[query_id].doc_ids for run in by_run] for query_id in kept}
    flips = [mean(flipped(a, b) for a, b in combinations(found, 2)) for found in orders.values()]
    tops = [mean(a[:1] != b[:1] for a, b in combinations(found, 2)) for found in orders.values()]
    names = [name for name in measures if parse(name).how is not None]
    deviation: dict[str, float] = {}
    if kept:
        grades = {query_id: dataset.qrels[query_id] for query_id in kept}
        found = [evaluate(grades, {q: run[q].doc_ids for q in kept}, names, dataset.forbidden) for run in by_run]
        means = {name: [known_mean(values[name]) for values in found] for name in names}
        deviation = {name: math.nan if any(map(math.isnan, row)) else stdev(row) for name, row in means.items()}
    return Repeats(
        runs=len(runs),
        queries=len(kept),
        failed=len(judged) - len(kept),
        flips=mean(flips) if kept else None,
        tops=float(mean(tops)) if kept else None,
        deviation=deviation,
    )


def flipped(ours: Sequence[str], theirs: Sequence[str]) -> float:
    """The share of pairs that two orders of the same memories put the other way round.

    >>> flipped("abc", "abc"), flipped("abc", "cba"), round(flipped("abc", "acb"), 3), flipped("a", "a")
    (0.0, 1.0, 0.333, 0.0)
    """
    size = len(ours)
    return turned(ours, theirs) / (size * (size - 1) / 2) if size > 1 else 0.0
