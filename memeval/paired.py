"""Many paired comparisons on the same queries at once: what `stats.compare` does one at a time.

All columns share the draws, and sums over them are matrix products. A matrix product adds in an order that depends on
the machine, so differences are first rounded to multiples of 2^-32: all sums are then exact, whatever their order, and
the same input gives the same bytes everywhere.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from memeval import stats
from memeval.types import Comparison

QUANTUM = 2.0**-32


def compare_many(
    ours: ArrayLike,
    theirs: ArrayLike,
    clusters: Sequence[str],
    names: Sequence[tuple[str, str, str]],
    *,
    seed: int = 0,
    draws: int = stats.DRAWS,
    tested: bool = True,
) -> list[Comparison]:
    """A comparison for each column: the same as `stats.compare`, to the tenth digit.

    Args:
        ours: queries x columns, as `theirs`.
        names: measure, our system and theirs, for each column.
        tested: False leaves p out, where nobody asks for it.

    Raises ValueError if shapes differ or there is no query.
    """
    own, other = np.asarray(ours, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if own.shape != other.shape or own.ndim != 2 or own.shape != (len(clusters), len(names)):
        raise ValueError(f"{own.shape} and {other.shape} values of {len(clusters)} queries cannot be paired")
    if not names:
        return []
    sums, sizes = grouped(own - other, clusters)
    if len(set(clusters)) == 1:
        sums = np.sort(sums, axis=0)  # each column is tested by itself: as `stats.compare` does
    n, k = len(clusters), len(sizes)
    means = [math.fsum(column) / n for column in (own - other).T.tolist()]
    low, high = _intervals(sums, sizes, seed, draws)
    p_values = _p_values(sums, seed, draws) if tested and k >= stats.MIN_CLUSTERS else [None] * len(names)
    identical = ~np.any(own != other, axis=0)
    return [
        Comparison(*name, mean, float(low[i]), float(high[i]), p_values[i], n, k, bool(identical[i]))
        for i, (name, mean) in enumerate(zip(names, means, strict=True))
    ]


def rank_groups(
    values: Mapping[str, Sequence[float]],
    clusters: Sequence[str],
    *,
    alpha: float = 0.05,
    seed: int = 0,
    draws: int = stats.DRAWS,
) -> dict[str, int]:
    """Each system's rank: 1 + the number of systems that are significantly better; higher values are better.

    Significant is an adjusted p of at most alpha in the family of all pairs (see `joint_p`). Below six clusters nothing
    is, and all share rank 1. Systems of one rank need not be equal: they could not be told apart.

    Args:
        values: system → its values by query, in the order of clusters.

    Raises ValueError if lengths differ.
    """
    return rank_groups_many([values], clusters, alpha=alpha, seed=seed, draws=draws)[0]


def rank_groups_many(
    families: Sequence[Mapping[str, Sequence[float]]],
    clusters: Sequence[str],
    *,
    alpha: float = 0.05,
    seed: int = 0,
    draws: int = stats.DRAWS,
) -> list[dict[str, int]]:
    """The ranks of each family of systems (one for each measure); all share the draws."""
    for name, given in itertools.chain(*(values.items() for values in families)):
        if len(given) != len(clusters):
            raise ValueError(f"{name} has {len(given)} values for {len(clusters)} queries")
    found = [dict.fromkeys(values, 1) for values in families]
    columns = [np.array(list(values.values()), dtype=np.float64).T.reshape(len(clusters), -1) for values in families]
    sums = [grouped(values, clusters)[0] for values in columns]
    if not sums or len(sums[0]) < stats.MIN_CLUSTERS:
        return found
    for ranks, own, flipped in zip(found, sums, flips(sums, seed, draws), strict=True):
        names, totals = list(ranks), own.sum(axis=0)
        for (one, other), p in _joint_p(own, flipped).items():
            if p <= alpha:
                ranks[names[other if totals[one] > totals[other] else one]] += 1
    return found


def joint_p(sums: stats.Floats, *, seed: int = 0, draws: int = stats.DRAWS) -> dict[tuple[int, int], float]:
    """Two-sided p-values of all pairs of columns, adjusted together by flipping whole clusters, from `grouped` sums.

    Step-down max-T of Westfall & Young (1993), algorithm 2.8: each flip of the clusters gives one value of every
    statistic |sum| / sqrt(sum of squares), and a p-value is how often the largest of those not yet rejected reaches the
    observed one. The family-wise error rate is kept as Holm keeps it, but the smallest p stays that of a single test:
    with ten stores Holm could not separate any of eight systems, however far apart they were.
    """
    return _joint_p(sums, flips([sums], seed, draws)[0])


def _joint_p(sums: stats.Floats, flipped: stats.Floats) -> dict[tuple[int, int], float]:
    """Step-down max-T over all pairs. Only single columns were flipped: a pair's flipped sum is their difference."""
    pairs = list(itertools.combinations(range(sums.shape[1]), 2))
    if not pairs:
        return {}
    one, other = np.array(pairs).T
    scale = np.sqrt(((sums[:, one] - sums[:, other]) ** 2).sum(axis=0))
    scale[scale == 0] = 1.0
    totals = sums.sum(axis=0)
    observed = np.abs(totals[one] - totals[other]) / scale
    order = np.argsort(observed, kind="stable")  # the largest comes last, so that maxima are those of what is left
    largest_left = flipped[one[order]]
    largest_left -= flipped[other[order]]
    largest_left /= scale[order, None]
    np.abs(largest_left, out=largest_left)
    np.maximum.accumulate(largest_left, axis=0, out=largest_left)
    reached = np.count_nonzero(largest_left >= observed[order, None] - 1e-9, axis=1)
    p_values = np.maximum.accumulate(_share(reached, len(sums), flipped.shape[1])[::-1])
    return {pairs[place]: float(p) for place, p in zip(order[::-1].tolist(), p_values, strict=True)}


def flips(matrices: Sequence[stats.Floats], seed: int, draws: int) -> list[stats.Floats]:
    """Each column's sum under each flip of the units' signs: a matrix of columns x flips for one of units x columns.

    Up to 15 units all flips, as in `stats.sign_flip_p`; above, random ones, which all matrices share.
    """
    k = len(matrices[0])
    if k <= stats.EXACT_CLUSTERS:
        return [_every_flip(sums) for sums in matrices]
    signs = stats.signs(k, seed, draws)
    found = [np.empty((sums.shape[1], draws)) for sums in matrices]
    for start in range(0, draws, stats.BLOCK):
        block = signs[:, start : start + stats.BLOCK].T.astype(np.float64)
        for flipped, sums in zip(found, matrices, strict=True):
            flipped[:, start : start + stats.BLOCK] = (block @ sums).T
    return found


def _every_flip(sums: stats.Floats) -> stats.Floats:
    flipped = np.zeros((sums.shape[1], 1))
    for row in sums:
        flipped = np.concatenate([flipped + row[:, None], flipped - row[:, None]], axis=1)
    return flipped


def _share(reached: "np.ndarray[tuple[int], np.dtype[np.int64]]", units: int, flips: int) -> stats.Floats:
    """p-values from how many flips were as extreme: exact where all flips were tried."""
    return reached / flips if units <= stats.EXACT_CLUSTERS else (reached + 1) / (flips + 1)


def grouped(values: ArrayLike, clusters: Sequence[str]) -> tuple[stats.Floats, stats.Floats]:
    """The sums of each cluster (clusters x columns), in the order of their ids, and its number of queries.

    A single cluster is taken apart into its queries, sorted as whole rows, so that the order they are given in does not
    matter and columns stay paired.
    """
    rounded = np.round(np.asarray(values, dtype=np.float64) / QUANTUM) * QUANTUM
    ids, numbers = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    if len(ids) == 1:
        return rounded[np.lexsort(rounded.T[::-1])], np.ones(len(rounded))
    sums = np.zeros((len(ids), rounded.shape[1]))
    np.add.at(sums, numbers, rounded)
    return sums, np.bincount(numbers).astype(np.float64)


def detectable(differences: stats.Floats, clusters: Sequence[str]) -> float:
    """The smallest true difference that would probably be found: the same as `stats.detectable`."""
    sums, sizes = grouped(differences[:, None], clusters)
    n, k = len(clusters), len(sizes)
    if k == 1:
        return math.nan
    residuals = sums[:, 0] - sizes * (math.fsum(differences.tolist()) / n)
    error = math.sqrt(k / (k - 1) * math.fsum((residuals**2).tolist())) / n
    return (stats.student(0.95, k) + stats.student(0.8, k)) * error


def _intervals(sums: stats.Floats, sizes: stats.Floats, seed: int, draws: int) -> tuple[stats.Floats, stats.Floats]:
    k, columns = sums.shape
    if k == 1:
        return np.full(columns, np.nan), np.full(columns, np.nan)
    ratios = np.empty((columns, draws))
    for start in range(0, draws, stats.BLOCK):
        count = min(stats.BLOCK, draws - start)
        times = stats.times_drawn(k, seed, start, count).T.astype(np.float64)
        ratios[:, start : start + count] = ((times @ sums) / (times @ sizes)[:, None]).T
    tail = NormalDist().cdf(-np.sqrt(k / (k - 1)) * stats.student((1 + stats.CONFIDENCE) / 2, k))
    low, high = np.quantile(ratios, [tail, 1 - tail], axis=1, overwrite_input=True)
    return low, high


def _p_values(sums: stats.Floats, seed: int, draws: int) -> list[float | None]:
    observed, slack = np.abs(sums.sum(axis=0)), 1e-9 * np.abs(sums).sum(axis=0)
    [flipped] = flips([sums], seed, draws)
    reached = np.count_nonzero(np.abs(flipped) >= (observed - slack)[:, None], axis=1)
    return [float(p) for p in _share(reached, len(sums), flipped.shape[1])]
