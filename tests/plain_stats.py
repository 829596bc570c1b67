"""Tests by flipping signs written plainly, flip by flip and pair by pair: measures/statistics.py is held against it."""

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from memeval.measures.statistics import MIN_CLUSTERS


def cluster_sums(differences: Sequence[float], clusters: Sequence[str]) -> list[float]:
    """One sum a cluster; of a single cluster, the differences themselves."""
    ids = sorted(set(clusters))
    if len(ids) == 1:
        return list(differences)
    return [sum(d for d, of in zip(differences, clusters, strict=True) if of == one) for one in ids]


def flips(k: int) -> np.ndarray:
    """All 2^k vectors of signs."""
    return np.array(list(itertools.product((1.0, -1.0), repeat=k)))


def sign_flip_p(sums: Sequence[float], alternative: str = "two-sided") -> float:
    """The share of all flips that are at least as extreme."""
    found, observed = flips(len(sums)) @ np.array(sums), sum(sums)
    if alternative == "less":
        return float(np.mean(found <= observed + 1e-9))
    return float(np.mean(np.abs(found) >= abs(observed) - 1e-9))


def joint_p(comparisons: Sequence[Sequence[float]]) -> list[float]:
    """Step-down max-T of Westfall & Young over all flips, from comparisons x clusters.

    >>> joint_p([[1.0, 1.0, 1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0, 1.0, -1.0]])
    [0.0625, 1.0]
    """
    scaled = []
    for sums in comparisons:
        size = sum(value**2 for value in sums) ** 0.5
        scaled.append(np.array(sums) / size if size else np.zeros(len(sums)))
    signs = flips(len(comparisons[0]))
    left = sorted(range(len(scaled)), key=lambda place: -abs(scaled[place].sum()))
    found, highest = [0.0] * len(scaled), 0.0
    while left:
        largest = np.max([np.abs(signs @ scaled[place]) for place in left], axis=0)
        highest = max(highest, float(np.mean(largest >= abs(scaled[left[0]].sum()) - 1e-9)))
        found[left.pop(0)] = highest
    return found


def rank_groups(
    values: Mapping[str, Sequence[float]], clusters: Sequence[str], *, alpha: float = 0.05
) -> dict[str, int]:
    """1 + the number of systems that are better beyond chance, all pairs tested jointly."""
    ranks = dict.fromkeys(values, 1)
    pairs = list(itertools.combinations(values, 2))
    apart = [[a - b for a, b in zip(values[one], values[other], strict=True)] for one, other in pairs]
    sums = [cluster_sums(differences, clusters) for differences in apart]
    if not pairs or len(sums[0]) < MIN_CLUSTERS:
        return ranks
    for (one, other), differences, p in zip(pairs, apart, joint_p(sums), strict=True):
        if p <= alpha:
            ranks[other if sum(differences) > 0 else one] += 1
    return ranks
