"""Rank groups written plainly, from queries and pair by pair: what memeval/paired.py is held against."""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from memeval import stats


def rank_groups(
    values: Mapping[str, Sequence[float]],
    clusters: Sequence[str],
    *,
    alpha: float = 0.05,
    seed: int = 0,
    draws: int = stats.DRAWS,
) -> dict[str, int]:
    """As `paired.rank_groups`."""
    ranks = dict.fromkeys(values, 1)
    pairs = list(itertools.combinations(values, 2))
    if not pairs:
        return ranks
    differences = [np.subtract(values[one], values[other], dtype=np.float64) for one, other in pairs]
    grouped = stats.units(np.transpose(differences), clusters)
    if len(grouped.sizes) >= stats.MIN_CLUSTERS:
        p_values = joint_p(grouped.sums.T, seed=seed, draws=draws)
        for (one, other), difference, p in zip(pairs, grouped.columns, p_values, strict=True):
            if p <= alpha:
                ranks[other if math.fsum(difference) > 0 else one] += 1
    return ranks


def joint_p(cluster_sums: ArrayLike, *, seed: int = 0, draws: int = stats.DRAWS) -> list[float]:
    """As `paired.joint_p`, from any comparisons x clusters.

    >>> joint_p([[1.0, 1.0, 1.0, 1.0, 1.0, 1.0], [1.0, -1.0, 1.0, -1.0, 1.0, -1.0]])
    [0.0625, 1.0]
    """
    sums = np.asarray(cluster_sums, dtype=np.float64)
    count, clusters = sums.shape
    scale = np.sqrt((sums**2).sum(axis=1, keepdims=True))
    scaled = np.divide(sums, scale, out=np.zeros_like(sums), where=scale > 0)
    if exact := clusters <= stats.EXACT_CLUSTERS:
        flipped = np.zeros((1, count))
        for column in scaled.T:
            flipped = np.concatenate([flipped + column, flipped - column])
    else:
        flipped = stats.signs(clusters, seed, draws).T.astype(np.float64) @ scaled.T
    order = np.argsort(-np.abs(scaled.sum(axis=1)), kind="stable")
    largest_left = np.ascontiguousarray(flipped.T[order[::-1]])  # comparisons x flips: rows are read in one go
    np.abs(largest_left, out=largest_left)
    largest_left = np.maximum.accumulate(largest_left, axis=0, out=largest_left)[::-1].T
    reached = np.count_nonzero(largest_left >= np.abs(scaled.sum(axis=1))[order] - 1e-9, axis=0)
    p_values = reached / len(flipped) if exact else (reached + 1) / (draws + 1)
    adjusted = np.empty(count)
    adjusted[order] = np.maximum.accumulate(p_values)
    return [float(p) for p in adjusted]
