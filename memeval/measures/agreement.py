"""How far two label sets agree: as labels, and in the order that they give systems.

Everything is clustered: the unit of chance is the store, so intervals come from leaving out one store at a time (the
jackknife; Student's t with stores - 1 degrees of freedom), or of tau, which moves in steps, from drawing stores anew.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memeval.core.types import Comparison, Grade
from memeval.core.values import unpadded
from memeval.measures import statistics
from memeval.measures.statistics import ALPHA, CONFIDENCE, Difference, Floats

FEW, MANY = 10, 100
"""So many levels of fractions, and so many of whole grades, are categories; more are compared by their ranks."""
DRAWS = 2000
"""How often stores are drawn anew for the interval of tau; the seed is fixed."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval; nan where it cannot be known."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LabelAgreement:
    """How two people's labels of the same pairs of query and memory agree.

    `table[i, j]` counts the pairs that one gave the i-th of `grades` and the other the j-th. `same` is the share of
    equal labels, relevant or not; `kappa` Cohen's (1960) of relevant or not; `weighted` that with quadratic weights of
    grades (Cohen 1968), None where both know two grades only. Where grades are fractions of more than FEW levels, or of
    more than MANY, there are no categories: `grades`, `table` and `weighted` hold nothing, and `rank` is Spearman's rho
    (1904) of the grades.
    """

    pairs: int
    queries: int
    clusters: int
    grades: tuple[Grade, ...]
    table: NDArray[np.int64]
    same: Interval
    kappa: Interval
    weighted: Interval | None
    rank: Interval | None = None


def labels(
    first: Sequence[Grade], second: Sequence[Grade], of_query: Sequence[str], clusters: Sequence[str]
) -> LabelAgreement:
    """The agreement of two label sets.

    Args:
        first: a grade for each pair of query and memory, as `second`; above 0 is relevant.
        of_query: the query of each pair; `clusters`: its store.

    Raises ValueError if lengths differ or there is no pair.
    """
    if not len(first) == len(second) == len(of_query) == len(clusters) or not len(first):
        raise ValueError(f"{len(first)} and {len(second)} labels of {len(of_query)} pairs")
    one, other = np.asarray(first), np.asarray(second)
    grades = np.unique(np.concatenate([one, other]))
    ids, cluster = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
    rank = weighted = None
    if len(grades) > (FEW if np.any(grades % 1) else MANY):
        rank, grades = _jackknife(_rank_sums(one, other, cluster), _rho), grades[:0]
    table = np.zeros((len(grades), len(grades)), dtype=np.int64)
    if len(grades):
        rows, columns = np.searchsorted(grades, one), np.searchsorted(grades, other)
        np.add.at(table, (rows, columns), 1)
    if len(grades) > 2:
        apart = (grades[:, None] - grades[None, :]).astype(np.float64) ** 2
        weighted = _jackknife(_counts(rows, columns, cluster, apart), lambda own: _kappa(own, apart))
    binary = _counts((one > 0).astype(np.int64), (other > 0).astype(np.int64), cluster, 1 - np.eye(2))
    return LabelAgreement(
        pairs=len(one),
        queries=len(set(of_query)),
        clusters=len(ids),
        grades=tuple(map(unpadded, grades.tolist())),
        table=table,
        same=_jackknife(binary, lambda own: float((own[:2].sum() - own[-1]) / own[:2].sum())),
        kappa=_jackknife(binary, lambda own: _kappa(own, 1 - np.eye(2))),
        weighted=weighted,
        rank=rank,
    )


def _counts(one: NDArray[np.int64], other: NDArray[np.int64], cluster: NDArray[np.int64], apart: Floats) -> Floats:
    """By cluster: how often one gave each level, how often the other did, and last how far apart they were in all.

    Not the whole table of each cluster: of many levels and clusters, these would fill the memory.
    """
    levels = len(apart)
    sums = np.zeros((int(cluster.max()) + 1, 2 * levels + 1))
    np.add.at(sums, (cluster, one), 1)
    np.add.at(sums, (cluster, levels + other), 1)
    sums[:, -1] = np.bincount(cluster, apart[one, other])
    return sums


def _rank_sums(one: Floats, other: Floats, cluster: NDArray[np.int64]) -> Floats:
    """By cluster: how many pairs, and the sums of both ranks, of their squares and of their product."""
    x, y = (ranks - ranks.mean() for ranks in map(_ranks, (one, other)))
    sums = np.zeros((int(cluster.max()) + 1, 6))
    np.add.at(sums, cluster, np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1))
    return sums


def _ranks(values: Floats) -> Floats:
    """From the lowest; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def _rho(sums: Floats) -> float:
    """Spearman's: the correlation of ranks; nan where either label set has one grade only."""
    n, x, y, xx, yy, xy = sums.tolist()
    scale = math.sqrt(max(0.0, xx - x * x / n) * max(0.0, yy - y * y / n))
    return (xy - x * y / n) / scale if scale else math.nan


def _kappa(counts: Floats, apart: Floats) -> float:
    """1 - what was seen of disagreement / what chance would give; nan where chance gives none."""
    one, other = counts[:-1].reshape(2, -1)
    expected = float((apart * np.outer(one, other)).sum() / one.sum())
    return 1 - float(counts[-1]) / expected if expected else math.nan


def _jackknife(sums: Floats, of: Callable[[Floats], float]) -> Interval:
    """A value of the sum of all clusters' sums, with its interval."""
    total, k = sums.sum(axis=0), len(sums)
    value = of(total)
    left = [of(total - own) for own in sums if (total - own).any()]
    if k < 2 or len(left) < k or any(map(math.isnan, (value, *left))):
        return Interval(value, math.nan, math.nan)
    spread = np.asarray(left) - float(np.mean(left))
    error = math.sqrt((k - 1) / k * math.fsum((spread**2).tolist()))
    from scipy.special import stdtrit

    reach = float(stdtrit(k - 1, (1 + CONFIDENCE) / 2)) * error
    return Interval(value, max(-1.0, value - reach), min(1.0, value + reach))


@dataclass(frozen=True, slots=True)
class SystemPair:
    """Two systems under either label set. `moved` is the first difference minus the second: what the labels decide."""

    ours: str
    theirs: str
    first: Difference
    second: Difference
    moved: Comparison

    @property
    def flips(self) -> bool:
        """Whether the two label sets put them in opposite orders."""
        return self.first.comparison.difference * self.second.comparison.difference < 0

    @property
    def verdict(self) -> str:
        """What the pair shows, in words."""
        directions = self.first.direction, self.second.direction
        if directions[0] * directions[1] < 0:
            return "opposite, both beyond chance"
        if directions[0] and directions[0] == directions[1]:
            return "the same, both beyond chance"
        if directions[0] or directions[1]:
            return f"beyond chance under the {'first' if directions[0] else 'second'} labels only"
        return "not told apart by either"

    @property
    def noisy(self) -> bool:
        """Whether the labels move the difference by more than the difference is, under either label set."""
        sizes = abs(self.first.comparison.difference), abs(self.second.comparison.difference)
        return abs(self.moved.difference) > min(sizes)


@dataclass(frozen=True)
class Orders:
    """The systems under two label sets: means, Kendall's tau-b of their orders, and every pair."""

    systems: tuple[str, ...]
    first: tuple[float, ...]
    second: tuple[float, ...]
    tau: Interval
    pairs: tuple[SystemPair, ...]


def orders(
    first: Mapping[str, Sequence[float]], second: Mapping[str, Sequence[float]], clusters: Sequence[str]
) -> Orders:
    """How two label sets order the same systems.

    Args:
        first: system → its values by query under the first labels; `second` likewise, the same systems and queries.

    Raises ValueError if systems or lengths differ.
    """
    if first.keys() != second.keys():
        raise ValueError("the two label sets are of different systems")
    names = sorted(first, key=lambda name: -math.fsum(first[name]))
    ours, theirs = (np.array([values[name] for name in names], dtype=np.float64).T for values in (first, second))
    found = []
    keys = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    compared = []
    for matrix in (ours, theirs, ours - theirs):
        if not keys:
            break
        one, other = matrix[:, [i for i, _ in keys]], matrix[:, [j for _, j in keys]]
        told = [("", names[i], names[j]) for i, j in keys]
        compared.append(dict(zip(keys, statistics.compare(one, other, clusters, told), strict=True)))
    if keys:
        tested = [statistics.differences(pairs, [keys]) for pairs in compared[:2]]
        found = [
            SystemPair(names[i], names[j], tested[0][i, j], tested[1][i, j], compared[2][i, j].comparison)
            for i, j in keys
        ]
    return Orders(
        tuple(names),
        tuple(ours.mean(axis=0).tolist()),
        tuple(theirs.mean(axis=0).tolist()),
        _tau(ours, theirs, clusters),
        tuple(found),
    )


def _tau(ours: Floats, theirs: Floats, clusters: Sequence[str]) -> Interval:
    """Kendall's tau-b of the systems' means, with the 2.5 and 97.5 percentiles over stores drawn anew."""
    if ours.shape[1] < 2:
        return Interval(math.nan, math.nan, math.nan)
    value = _tau_b(ours.mean(axis=0), theirs.mean(axis=0))
    sums = [statistics.units(matrix, clusters) for matrix in (ours, theirs)]
    k = len(sums[0].sizes)
    if k < 2:
        return Interval(value, math.nan, math.nan)
    random = np.random.Generator(np.random.PCG64(0))
    weights = random.multinomial(k, np.full(k, 1 / k), size=DRAWS).astype(np.float64)
    sizes = (weights @ sums[0].sizes)[:, None]
    means = [weights @ one.sums / sizes for one in sums]
    drawn = [_tau_b(*row) for row in zip(*means, strict=True)]
    kept = [tau for tau in drawn if not math.isnan(tau)]
    tail = 100 * ALPHA / 2
    low, high = np.percentile(kept, [tail, 100 - tail]).tolist() if kept else (math.nan, math.nan)
    return Interval(value, low, high)


def _tau_b(one: Floats, other: Floats) -> float:
    """nan where either has no order at all."""
    rows, columns = np.triu_indices(len(one), 1)
    first, second = (np.sign(np.round(values[rows] - values[columns], 12)) for values in (one, other))
    scale = math.sqrt(np.count_nonzero(first) * np.count_nonzero(second))
    return float(first @ second) / scale if scale else math.nan
