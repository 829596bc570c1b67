"""How far a system's scores can be taken at their word: as probabilities, as levels, or against a threshold.

Everything here works on arrays. "Pairs" are flat: one probability and one label (True: relevant) each; "lists" as
threshold.py has them. What is fitted (a threshold, Platt's curve, an isotonic one) is fitted on development stores and
measured on test stores.

One file, though a long one: probabilities, levels and thresholds are made from the same bins and the same folds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from memeval.measures.filtering import Filter
from memeval.measures.statistics import Floats
from memeval.measures.threshold import Labels, best_thresholds, f1_above, f1_curve

Curve: TypeAlias = Callable[[Floats], Floats]
"""From scores to probabilities; never decreasing."""

BINS = 10
STEPS = 100
"""Of Newton's method, at most."""
LEVELS = ("irrelevant", "low", "partial", "high", "direct answer")
"""The five levels of MemReranker's scores: equal fifths of 0…1, the upper bound belonging to the next level."""


@dataclass(frozen=True, slots=True)
class Bin:
    """The pairs whose probability lies in [low, high): sums, from which ECE and Brier score follow."""

    low: float
    high: float
    n: int
    relevant: int
    sum_p: float
    sum_p_squared: float
    sum_p_relevant: float

    @property
    def confidence(self) -> float:
        """Mean probability; nan without pairs."""
        return self.sum_p / self.n if self.n else math.nan

    @property
    def frequency(self) -> float:
        """Share of relevant pairs; nan without pairs."""
        return self.relevant / self.n if self.n else math.nan


def bins(probabilities: Floats, labels: Labels, count: int = BINS) -> tuple[Bin, ...]:
    """Equal-width bins over 0…1, lowest first; the last one holds 1.

    Args:
        probabilities: pairs, each within 0…1; `labels` says which of them are relevant.

    >>> [(b.n, b.relevant) for b in bins(np.array([0.1, 0.4, 0.5, 1.0]), np.array([False, True, False, True]), 2)]
    [(2, 1), (2, 1)]
    """
    edges = np.linspace(0, 1, count + 1)
    place = np.clip(np.searchsorted(edges, probabilities, side="right") - 1, 0, count - 1)
    of_relevant = place[labels]  # few: the other labels add nothing
    n, relevant = (np.bincount(places, minlength=count) for places in (place, of_relevant))
    sums = [
        np.bincount(places, weights=weights, minlength=count).tolist()
        for places, weights in (
            (place, probabilities),
            (place, probabilities**2),
            (of_relevant, probabilities[labels]),
        )
    ]
    return tuple(
        Bin(float(edges[i]), float(edges[i + 1]), int(n[i]), int(relevant[i]), *(column[i] for column in sums))
        for i in range(count)
    )


def ece(found: tuple[Bin, ...]) -> float:
    """Expected calibration error (Naeini et al. 2015): mean |frequency - confidence| of the bins, weighted by their
    pairs; nan without any.

    >>> round(ece(bins(np.array([0.2, 0.2, 0.9]), np.array([False, False, True]), 2)), 6)
    0.166667
    """
    n = sum(one.n for one in found)
    return sum(abs(one.relevant - one.sum_p) for one in found) / n if n else math.nan


def brier(found: tuple[Bin, ...]) -> float:
    """Mean squared distance of probability and label (Brier 1950), exact for any bins; nan without pairs.

    >>> round(brier(bins(np.array([0.5, 1.0]), np.array([True, True]))), 6)
    0.125
    """
    n = sum(one.n for one in found)
    return sum(b.sum_p_squared - 2 * b.sum_p_relevant + b.relevant for b in found) / n if n else math.nan


def right(level: int, found: Bin) -> float:
    """The share of a level's pairs that it is right about: not relevant below the middle, relevant above it; nan for
    the middle level."""
    if level == len(LEVELS) // 2:
        return math.nan
    return 1 - found.frequency if level < len(LEVELS) // 2 else found.frequency


def probability(kind: str | None, scores: Floats) -> Floats | None:
    """Scores of any shape as probabilities, where a system says that they are some: log-odds, or probabilities within
    0…1; nan stays nan. None for every other kind of scores.

    >>> probability("log-odds", np.array([0.0])).tolist(), probability("similarity", np.array([0.5]))
    ([0.5], None)
    """
    if kind == "log-odds":
        return _sigmoid(scores)
    known = scores[~np.isnan(scores)]
    inside = bool(np.all((known >= 0) & (known <= 1)))
    return scores if kind == "probability" and inside else None


def platt(scores: Floats, labels: Labels) -> Curve | None:
    """Platt's logistic curve (1999), by Newton's method with his smoothed targets; None without pairs of both labels.

    Scores are standardised first, which moves nothing but the condition of the problem. A falling curve (scores that
    rank backwards) is flattened: calibration must not turn an order round.
    """
    positive, negative = int(labels.sum()), int((~labels).sum())
    if not positive or not negative:
        return None
    centre, scale = float(scores.mean()), float(scores.std()) or 1.0
    x = (scores - centre) / scale
    target = np.where(labels, (positive + 1) / (positive + 2), 1 / (negative + 2))
    slope, offset = 0.0, math.log((positive + 1) / (negative + 1))

    def loss(a: float, b: float) -> float:
        z = a * x + b
        return float(np.sum(np.logaddexp(0, z) - target * z))

    current = loss(slope, offset)
    for _ in range(STEPS):
        p = _sigmoid(slope * x + offset)
        residual, weight = p - target, p * (1 - p)
        gradient = np.array([residual @ x, residual.sum()])
        cross = weight @ x
        hessian = np.array([[weight @ (x * x) + 1e-9, cross], [cross, weight.sum() + 1e-9]])
        step = np.linalg.solve(hessian, gradient)
        size, before = 1.0, current
        while (current := loss(slope - size * step[0], offset - size * step[1])) > before + 1e-12 and size > 1e-6:
            size /= 2
        slope, offset = slope - size * step[0], offset - size * step[1]
        if abs(before - current) < 1e-10 * (1 + abs(current)):
            break
    if slope < 0:
        slope, offset = 0.0, math.log((positive + 1) / (negative + 1))
    return lambda values: _sigmoid((values - centre) / scale * slope + offset)


def isotonic(scores: Floats, labels: Labels) -> Curve | None:
    """The never-decreasing curve of least squares (pool adjacent violators; Zadrozny & Elkan 2002), linear between the
    scores of the pairs it was fitted to and flat beyond them; None without pairs."""
    if not len(scores):
        return None
    from scipy.optimize import isotonic_regression

    x, place, n = np.unique(scores, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=labels) / n
    y = isotonic_regression(means, weights=n).x
    # Between the ends of a level nothing changes: a few hundred corners instead of as many as there are scores.
    corner = np.append(True, np.diff(y) > 0) | np.append(np.diff(y) > 0, True)
    # Between scores that are next to nothing apart, a slope can be infinite.
    return lambda values: np.clip(np.interp(values, x[corner], y[corner]), y[0], y[-1])


def _sigmoid(values: Floats) -> Floats:
    found: Floats = 0.5 * (1 + np.tanh(0.5 * np.asarray(values, dtype=np.float64)))
    return found


# --- abstention


def risk_coverage(top: Floats, correct: Labels, shares: tuple[float, ...]) -> tuple[tuple[float, float, float], ...]:
    """What answering only the surest queries gives (El-Yaniv & Wiener 2010), for each of some `shares` of them: (share
    answered, threshold, share of wrong first places).

    Args:
        top: each query's best score; `correct` says whether what has it is relevant.

    Queries are answered from the highest top score down; of equal scores all or none, so a share may be exceeded.

    >>> risk_coverage(np.array([0.9, 0.8, 0.1, 0.1]), np.array([True, True, False, True]), (0.5, 1.0))
    ((0.5, 0.8, 0.0), (1.0, 0.1, 0.25))
    """
    down = np.argsort(-top, kind="stable")
    sorted_top, wrong = top[down], np.cumsum(~correct[down])
    rows = []
    for share in shares:
        last = min(len(top), max(1, math.ceil(share * len(top) - 1e-9))) - 1
        last = int(np.searchsorted(-sorted_top, -sorted_top[last], side="right")) - 1
        rows.append(((last + 1) / len(top), float(sorted_top[last]), float(wrong[last] / (last + 1))))
    return tuple(rows)


# --- one system


@dataclass(frozen=True, eq=False)
class Calibration:
    """What one system's scores are worth as probabilities, measured on test stores.

    `before` are bins of its own probabilities (None where it gives none), `platt` and `isotonic` of those fitted on
    development stores (None where there are none); `levels` are the five levels of the first that there is, and
    `level_source` names it. `threshold` is the best one on judged development queries. F1 are means over judged
    queries, with the best threshold of all of them for `f1_best_of_all`, and `curve` is F1 over a grid of
    probabilities, of the same source. `filters` are thresholds for what may be wanted (see filtering.py).
    """

    kind: str | None
    pairs: int
    base_rate: float
    before: tuple[Bin, ...] | None
    platt: tuple[Bin, ...] | None
    isotonic: tuple[Bin, ...] | None
    levels: tuple[Bin, ...] | None
    level_source: str | None
    threshold: float | None
    threshold_probability: float | None
    f1_dev: float | None
    f1_test: float | None
    f1_best: float | None
    f1_best_of_all: float | None
    let_in: float | None
    curve: tuple[float, ...] | None
    risk: tuple[tuple[float, float, float], ...]
    filters: tuple[Filter, ...] = ()


def _as_probability(kind: str | None, threshold: float | None, source: str | None, curve: Curve | None) -> float | None:
    if threshold is None or source is None:
        return None
    found = probability(kind, np.array([threshold])) if source == "own" else curve and curve(np.array([threshold]))
    return None if found is None else float(found[0])


GRID = np.linspace(0, 1, 51)
SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)


def calibrate(
    kind: str | None, scores: Floats, hits: Labels, relevant: NDArray[np.int64], dev: NDArray[np.bool_]
) -> Calibration:
    """Everything about one system's lists; queries without a relevant memory count as pairs and in `risk`.

    Args:
        kind: what the scores are, as the system says (see core/adapter.py).
        scores, hits: lists, queries x candidates.
        relevant: by query, how many memories are relevant, those that missed the pool included.
        dev: by query, whether its store is one for development.
    """
    known, test = ~np.isnan(scores), ~dev
    at_test, at_dev = known & test[:, None], known & dev[:, None]
    own, pairs, labels = probability(kind, scores), scores[at_test], hits[at_test]
    of_dev, labels_of_dev = scores[at_dev], hits[at_dev]
    fitted = {"Platt": platt(of_dev, labels_of_dev), "isotonic": isotonic(of_dev, labels_of_dev)}
    curves: dict[str, Curve] = {name: curve for name, curve in fitted.items() if curve is not None}
    source = "own" if own is not None else next(iter(curves), None)
    chosen = own if source is None or own is not None else curves[source](scores)

    def binned(name: str) -> tuple[Bin, ...] | None:
        return bins(curves[name](pairs), labels) if name in curves else None

    judged = relevant > 0
    dev_rows, test_rows = judged & dev, judged & test
    threshold, best, best_of_all = best_thresholds(scores, hits, relevant, [dev_rows, test_rows, judged])

    def f1(rows: NDArray[np.bool_], at: float | None) -> float | None:
        if at is None or not rows.any():
            return None
        return float(f1_above(scores[rows], hits[rows], relevant[rows], at).mean())

    answered = known[:, 0]
    return Calibration(
        kind=kind,
        pairs=len(pairs),
        base_rate=float(labels.mean()) if len(labels) else math.nan,
        before=None if own is None else bins(own[at_test], labels),
        platt=binned("Platt"),
        isotonic=binned("isotonic"),
        levels=None if chosen is None else bins(chosen[at_test], labels, len(LEVELS)),
        level_source=source,
        threshold=threshold,
        threshold_probability=_as_probability(kind, threshold, source, fitted["Platt"]),
        f1_dev=f1(dev_rows, threshold),
        f1_test=f1(test_rows, threshold),
        f1_best=f1(test_rows, best),
        f1_best_of_all=f1(judged, best_of_all),
        let_in=None
        if threshold is None or not test_rows.any()
        else float((scores[test_rows] >= threshold).sum(1).mean()),
        curve=None
        if chosen is None or not test_rows.any()
        else tuple(f1_curve(chosen[test_rows], hits[test_rows], relevant[test_rows], GRID).tolist()),
        risk=risk_coverage(scores[answered, 0], hits[answered, 0], SHARES) if answered.any() else (),
    )
