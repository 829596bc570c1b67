"""F1 of what scores at or above a threshold, and the threshold that makes it highest.

"Lists" are queries x candidates with each row's best score first and nan behind its last. A threshold is chosen on
other queries than those it is measured on: `cross_fitted_f1` takes each fold's from the other folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memeval.core.types import Grade
from memeval.measures.statistics import Floats

Labels: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Folds:
    """The fold of each query, 0 … count-1. `unit` is what was dealt: stores, or queries where there is one store."""

    of_query: tuple[int, ...]
    count: int
    unit: Literal["store", "query"]


def deal_folds(query_ids: Sequence[str], store_ids: Sequence[str]) -> Folds:
    """Each store its own fold up to ten of them, else stores are dealt to ten folds by sorted id.

    >>> deal_folds(["q1", "q2", "q3"], ["s2", "s1", "s2"])
    Folds(of_query=(1, 0, 1), count=2, unit='store')
    """
    stores = len(set(store_ids)) > 1
    units = store_ids if stores else query_ids
    fold = {unit: position % 10 for position, unit in enumerate(sorted(set(units)))}
    return Folds(tuple(fold[unit] for unit in units), min(len(fold), 10), "store" if stores else "query")


@dataclass(frozen=True, slots=True, eq=False)
class ThresholdF1:
    """F1 of each query, and each fold's threshold, None where there was nothing to choose it from."""

    values: Floats
    thresholds: tuple[float | None, ...]
    folds: Folds


def cross_fitted_f1(
    scores: Sequence[Sequence[float] | Floats | None],
    grades: Sequence[Sequence[Grade] | Floats],
    relevant: Sequence[int] | NDArray[np.int64],
    folds: Folds,
) -> ThresholdF1:
    """F1 of the candidates whose score is at or above a threshold that was chosen without looking at their fold.

    A fold's threshold is the one, among all scores in the other folds, with the highest mean F1 over the queries of the
    other folds; of thresholds that are equal within 1e-9, the highest.

    Args:
        scores: by query, one per candidate; None where the system failed, which retrieves nothing: F1 is 0.
        grades: by query, one per candidate in the order of the scores.
        relevant: by query, the number of relevant memories, those that missed the pool included.
        folds: see `deal_folds`; with one fold only nothing can be chosen, and every value is nan.

    Raises ValueError if lengths differ, a score is not finite, or `relevant` is 0 or below the pool's own.

    >>> result = cross_fitted_f1([[0.9, 0.2], [0.8, 0.1]], [[1, 0], [1, 0]], [1, 2], deal_folds("ab", "st"))
    >>> result.values.round(3).tolist(), result.thresholds
    ([1.0, 0.0], (0.8, 0.9))
    """
    pools = [((), ()) if row is None else (row, grade) for row, grade in zip(scores, grades, strict=True)]
    lengths = np.array([len(row) for row, _ in pools], dtype=np.int64)
    if not len(pools) == len(relevant) == len(folds.of_query) or lengths.tolist() != [len(grade) for _, grade in pools]:
        raise ValueError("scores, grades, relevant and folds are not of the same queries and candidates")
    score, hit = (np.concatenate([np.empty(0), *side]) for side in (zip(*pools, strict=True) if pools else ((), ())))
    hit = hit > 0
    query = np.repeat(np.arange(len(pools)), lengths)
    fold, total = np.array(folds.of_query, dtype=np.int64), np.array(relevant, dtype=np.int64)
    if not np.all(np.isfinite(score)):
        raise ValueError("a score is not finite")
    if np.any(total < np.maximum(np.bincount(query[hit], minlength=len(total)), 1)):
        raise ValueError("a query has no relevant memory, or fewer than its pool")

    if np.any((np.diff(score) > 0) & (np.diff(query) == 0)):
        order = np.lexsort((-score, query))
        score, hit = score[order], hit[order]
    start = (np.cumsum(lengths) - lengths)[query]
    found = np.cumsum(hit)
    found = found - (found - hit)[start]
    f1 = 2 * found / (np.arange(len(query)) - start + 1 + total[query])
    gain = np.where(np.arange(len(query)) == start, f1, f1 - np.roll(f1, 1))
    thresholds = _best(score, gain, query, [fold != number for number in range(folds.count)])
    limits = np.array([np.inf if threshold is None else threshold for threshold in thresholds])
    let_in = score >= limits[fold[query]]
    retrieved = np.bincount(query[let_in], minlength=len(total))
    values = 2 * np.bincount(query[let_in & hit], minlength=len(total)) / (retrieved + total)
    return ThresholdF1(values if folds.count > 1 else np.full(len(total), np.nan), tuple(thresholds), folds)


def f1_above(scores: Floats, hits: Labels, relevant: NDArray[np.int64], threshold: float) -> Floats:
    """Each query's F1 of the memories that score at or above a threshold.

    Args:
        scores: lists; `hits` says which of them are relevant.
        relevant: by query, all relevant memories, those that missed the pool included; above 0.
    """
    let_in = scores >= threshold  # nan is never let in
    found: Floats = 2 * (let_in & hits).sum(axis=1) / (let_in.sum(axis=1) + relevant)
    return found


def best_thresholds(
    scores: Floats, hits: Labels, relevant: NDArray[np.int64], groups: Sequence[Labels]
) -> list[float | None]:
    """For each group of queries (a mask) the score with the highest mean F1 at or above it; of scores that are equal
    within 1e-9, the highest. None for a group without scores.

    Args:
        scores: lists; `hits` and `relevant` as `f1_above` has them.
    """
    known = ~np.isnan(scores)
    found = np.cumsum(hits & known, axis=1)
    f1 = 2 * found / (np.arange(1, scores.shape[1] + 1) + relevant[:, None])
    f1[:, 1:] -= f1[:, :-1].copy()
    return _best(scores[known], f1[known], np.nonzero(known)[0], groups)


def _best(scores: Floats, gains: Floats, queries: NDArray[np.int64], groups: Sequence[Labels]) -> list[float | None]:
    """Each group's threshold, from flat candidates: their scores, what each adds to its query's F1, and their queries.

    Sums over any queries follow from what a query's F1 gains as each of its candidates is let in, best first.
    """
    down = np.argsort(-scores, kind="stable")  # once for all groups
    scores, gains, queries = scores[down], gains[down], queries[down]

    def best(group: Labels) -> float | None:
        kept = group[queries]
        if not kept.any():
            return None
        own, mean = scores[kept], np.cumsum(gains[kept]) / np.count_nonzero(group)
        ends = np.flatnonzero(own != np.append(own[1:], np.nan))  # equal scores come in together
        return float(own[ends[np.argmax(mean[ends] >= mean[ends].max() - 1e-9)]])

    return [best(group) for group in groups]


def f1_curve(scores: Floats, hits: Labels, relevant: NDArray[np.int64], thresholds: Floats) -> Floats:
    """Mean F1 over queries at each of the thresholds, which ascend: what `f1_above` says of each."""
    known, width = ~np.isnan(scores), len(thresholds) + 1
    passed = np.searchsorted(thresholds, scores[known], side="right")  # how many thresholds let a candidate in
    cells = np.nonzero(known)[0] * width + passed
    shape = len(scores), width

    def let_in(counted: NDArray[np.int64]) -> NDArray[np.int64]:
        by_passed = np.bincount(counted, minlength=len(scores) * width).reshape(shape)
        return np.ascontiguousarray(by_passed[:, :0:-1].cumsum(axis=1)[:, ::-1].T)

    f1 = 2 * let_in(cells[hits[known]]) / (let_in(cells) + relevant)
    return np.array([float(row.mean()) for row in f1])
