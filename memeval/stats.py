"""How sure a mean and a difference are, when queries of one store are not independent.

The unit of chance is the cluster: the store. Only where all queries are of one store is the query the unit, and what is
said of clusters holds for queries. Intervals come from the cluster bootstrap, p-values from flipping the signs of whole
clusters. Sums over queries are exact (math.fsum), and sums over clusters run one at a time in the order of sorted ids:
the same input and seed give the same bytes, in whatever order queries and stores are given.
"""

import functools
import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memeval.types import Comparison, Estimate

Floats: TypeAlias = NDArray[np.float64]
Alternative: TypeAlias = Literal["two-sided", "less", "greater"]

CONFIDENCE = 0.95
DRAWS = 10_000
MIN_CLUSTERS = 6
"""Below it no two-sided p-value can reach 0.05 (2/2^5 = 0.0625), so none is given."""
EXACT_CLUSTERS = 15
"""Up to it all 2^clusters sign flips are tried."""
BLOCK = 1_000  # draws held in memory at a time


def estimate(values: Sequence[float], clusters: Sequence[str], *, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """The mean over queries with its 95 % interval; see `estimates`.

    >>> estimate([1.0, 0.0, 1.0, 0.5], ["a", "a", "b", "c"], draws=100).value
    0.625
    """
    return estimates(np.asarray(values, dtype=np.float64)[:, None], clusters, seed=seed, draws=draws)[0]


def estimates(matrix: ArrayLike, clusters: Sequence[str], *, seed: int = 0, draws: int = DRAWS) -> list[Estimate]:
    """The mean over queries of each column, with its 95 % interval; all columns share the same draws.

    A draw takes as many clusters as there are, with replacement, and divides the sum of their values by the number of
    their queries. The interval is the expanded percentile interval of Hesterberg, "What Teachers Should Know About the
    Bootstrap" (2015): plain percentiles are too narrow for few clusters, so they are taken further out, at
    Φ(-sqrt(k/(k-1)) t) for k clusters, t being the quantile of Student's t with k-1 degrees of freedom. Every draw
    is a mean of observed values, so the interval stays within their range without being clipped.

    With a single cluster the query is the unit, and `clusters` of the Estimate is the number of queries; with a single
    query the interval is nan.

    Args:
        matrix: queries x columns.
        clusters: the cluster of each query.

    Raises ValueError if lengths differ or there is no query.
    """
    grouped = units(matrix, clusters)
    n, k = int(grouped.sizes.sum()), len(grouped.sizes)
    means = [math.fsum(column) / n for column in grouped.columns]
    if k == 1:
        return [Estimate(mean, math.nan, math.nan, n, k) for mean in means]
    ratios = []
    for start in range(0, draws, BLOCK):
        times = times_drawn(k, seed, start, min(BLOCK, draws - start))
        sums, queries = np.zeros((len(means), times.shape[1])), np.zeros(times.shape[1])
        for drawn, unit_sums, size in zip(times, grouped.sums, grouped.sizes, strict=True):
            sums += unit_sums[:, None] * drawn
            queries += size * drawn
        ratios.append(sums / queries)
    tail = NormalDist().cdf(-math.sqrt(k / (k - 1)) * student((1 + CONFIDENCE) / 2, k))
    intervals = np.quantile(np.concatenate(ratios, axis=1), [tail, 1 - tail], axis=1).T
    return [Estimate(mean, float(low), float(high), n, k) for mean, (low, high) in zip(means, intervals, strict=True)]


def compare(
    ours: Sequence[float],
    theirs: Sequence[float],
    clusters: Sequence[str],
    *,
    measure: str,
    names: tuple[str, str],
    seed: int = 0,
    draws: int = DRAWS,
) -> Comparison:
    """A paired comparison on the same queries: the interval of `estimates`, and the two-sided p of `sign_flip_p`.

    p is None below six clusters; with a single store the query is the unit of both.

    Args:
        ours: by query; `theirs` and `clusters` in the same order.
        names: of our system and of theirs.

    Raises ValueError if lengths differ or there is no query.
    """
    if not len(ours) == len(theirs) == len(clusters):
        raise ValueError(f"{len(ours)} and {len(theirs)} values of {len(clusters)} queries cannot be paired")
    differences = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    mean = estimate(differences.tolist(), clusters, seed=seed, draws=draws)
    grouped = units(differences[:, None], clusters)
    p = sign_flip_p(grouped.sums[:, 0], seed=seed, draws=draws) if mean.clusters >= MIN_CLUSTERS else None
    identical = not bool(np.any(differences))
    return Comparison(measure, *names, mean.value, mean.low, mean.high, p, mean.n, mean.clusters, identical)


def sign_flip_p(
    cluster_sums: ArrayLike, alternative: Alternative = "two-sided", *, seed: int = 0, draws: int = DRAWS
) -> float:
    """p-value of the sum of paired differences, from flipping the sign of each cluster's sum (Fisher's randomisation).

    Up to 15 clusters all 2^k flips are tried and p is exact. Above, p = (b + 1) / (draws + 1) with b random flips at
    least as extreme (Phipson & Smyth 2010). Sums that differ by less than 1e-9 of the sum of magnitudes are equal.

    Args:
        cluster_sums: one sum of differences, ours - theirs, per cluster.
        alternative: "less" asks whether ours are lower, "greater" whether they are higher.

    Raises ValueError without any cluster.

    >>> sign_flip_p([1.0, 2.0, 3.0]), sign_flip_p([1.0, 2.0, 3.0], "greater"), sign_flip_p([1.0, 2.0, 3.0], "less")
    (0.25, 0.125, 1.0)
    """
    sums = np.asarray(cluster_sums, dtype=np.float64)
    if not len(sums):
        raise ValueError("no cluster to flip")
    if len(sums) <= EXACT_CLUSTERS:
        flipped = np.zeros(1)
        for value in sums:
            flipped = np.concatenate([flipped + value, flipped - value])
    else:
        flipped = np.zeros(draws)
        for flips, value in zip(signs(len(sums), seed, draws), sums, strict=True):
            flipped += value * flips
    observed = np.cumsum(sums)[-1]
    slack = 1e-9 * np.abs(sums).sum()
    if alternative == "two-sided":
        extreme = np.abs(flipped) >= np.abs(observed) - slack
    elif alternative == "less":
        extreme = flipped <= observed + slack
    else:
        extreme = flipped >= observed - slack
    count = int(np.count_nonzero(extreme))
    return count / len(flipped) if len(sums) <= EXACT_CLUSTERS else (count + 1) / (draws + 1)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values adjusted for their family (Holm 1979), in the given order; None stays None and does not count.

    >>> holm([0.01, None, 0.04, 0.03])
    [0.03, None, 0.06, 0.06]
    """
    ranked = sorted((p, position) for position, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, position) in enumerate(ranked):
        highest = max(highest, min(1.0, p * (len(ranked) - rank)))
        adjusted[position] = highest
    return adjusted


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Probability that a positive's score is above a negative's, ties counting half (Mann-Whitney U / pairs).

    Raises ValueError if either side is empty.

    >>> auroc([0.9, 0.5], [0.5, 0.1])
    0.875
    """
    if not len(positive) or not len(negative):
        raise ValueError("auroc needs scores on both sides")
    ordered = np.sort(np.asarray(negative, dtype=np.float64))
    below = np.searchsorted(ordered, positive, side="left").sum()
    not_above = np.searchsorted(ordered, positive, side="right").sum()
    return float(below + not_above) / (2 * len(positive) * len(negative))


def detectable(differences: Sequence[float], clusters: Sequence[str], *, alpha: float = 0.05) -> float:
    """The smallest true difference that a one-sided test at `alpha` would find in four of five repetitions, roughly.

    (t(1-alpha) + t(0.80)) x the standard error of the mean difference (Bloom 1995), with Student's t of k-1 degrees of
    freedom: normal quantiles would promise too much for few clusters. nan with a single query.

    Raises ValueError if lengths differ or there is no query.
    """
    grouped = units(np.asarray(differences, dtype=np.float64)[:, None], clusters)
    if (k := len(grouped.sizes)) == 1:
        return math.nan
    return (student(1 - alpha, k) + student(0.8, k)) * _standard_error(grouped)


def lower_bound(differences: Sequence[float], clusters: Sequence[str]) -> float:
    """The lower end of the one-sided 95 % interval of the mean difference: mean - t(0.95) x standard error.

    nan with a single query. Raises ValueError if lengths differ or there is no query.
    """
    grouped = units(np.asarray(differences, dtype=np.float64)[:, None], clusters)
    if (k := len(grouped.sizes)) == 1:
        return math.nan
    return math.fsum(grouped.columns[0]) / int(grouped.sizes.sum()) - student(CONFIDENCE, k) * _standard_error(grouped)


def cluster_sums(differences: Sequence[float], clusters: Sequence[str]) -> Floats:
    """The sum of differences in each cluster, in the order of their ids; of a single cluster, the differences.

    Raises ValueError if lengths differ or there is no query.

    >>> cluster_sums([1.0, 2.0, 4.0], ["b", "a", "b"]).tolist()
    [2.0, 5.0]
    """
    sums: Floats = units(np.asarray(differences, dtype=np.float64)[:, None], clusters).sums[:, 0]
    return sums


def _standard_error(grouped: "Units") -> float:
    """Of a ratio of cluster sums: sqrt(k/(k-1) Σ (sum - size x mean)²) / n (Cochran, Sampling Techniques, 1977)."""
    n, k = int(grouped.sizes.sum()), len(grouped.sizes)
    residuals = grouped.sums[:, 0] - grouped.sizes * (math.fsum(grouped.columns[0]) / n)
    return math.sqrt(k / (k - 1) * math.fsum(residuals**2)) / n


class Units(NamedTuple):
    """What is resampled: clusters in the order of their ids, or of a single cluster the sorted values by column."""

    columns: list[list[float]]  # columns x queries, as given
    sums: Floats  # units x columns
    sizes: NDArray[np.int64]  # queries in each unit


def units(matrix: ArrayLike, clusters: Sequence[str]) -> Units:
    """What is resampled, from queries x columns. Raises ValueError if lengths differ or there is no query."""
    values = np.asarray(matrix, dtype=np.float64)
    if len(values) != len(clusters) or not len(values):
        raise ValueError(f"{len(values)} queries in {len(clusters)} clusters")
    columns: list[list[float]] = values.T.tolist()
    ids, numbers = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    if len(ids) == 1:
        return Units(columns, np.sort(values, axis=0), np.ones(len(values), dtype=np.int64))
    members = [np.flatnonzero(numbers == number) for number in range(len(ids))]
    sums = np.array([[math.fsum(column) for column in values[rows].T] for rows in members])
    return Units(columns, sums, np.array([len(rows) for rows in members]))


def student(probability: float, k: int) -> float:
    """The quantile of Student's t for k clusters."""
    from scipy.special import stdtrit

    return float(stdtrit(k - 1, probability))


@functools.lru_cache(maxsize=16)
def times_drawn(k: int, seed: int, start: int, draws: int) -> NDArray[np.uint16]:
    """How often each of k units is in each draw of the block at `start`: units x draws."""
    random = np.random.Generator(np.random.PCG64([seed, start]))
    cells = random.integers(k, size=(draws, k)) + k * np.arange(draws)[:, None]  # a draw's counts lie side by side
    counts = np.bincount(cells.ravel(), minlength=k * draws).reshape(draws, k)
    return np.ascontiguousarray(counts.astype(np.uint16).T)


@functools.lru_cache(maxsize=2)
def signs(k: int, seed: int, draws: int) -> NDArray[np.int8]:
    """-1 or +1: units x draws."""
    random = np.random.Generator(np.random.PCG64(seed))
    return random.integers(2, size=(k, draws), dtype=np.int8) * np.int8(2) - np.int8(1)
