"""Prints how often the 95 % intervals of measures/statistics.py hold the truth, on simulated stores of known truth.

python benchmarks/intervals.py [SETS]

A store has a level of its own, drawn from a beta distribution with the measure's mean and the intraclass correlation; a
query's value is drawn from it. Sets share their sizes of stores and nothing else.
"""

import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from memeval.core.types import Comparison, Estimate
from memeval.measures import statistics

STORES = (6, 8, 10, 15, 20, 30, 40)
CORRELATIONS = (0.0, 0.1, 0.3)
SHAPES: dict[str, Callable[[int], list[int]]] = {
    "3 queries each": lambda k: [3] * k,
    "9 queries each": lambda k: [9] * k,
    "40 queries each": lambda k: [40] * k,
    "skewed (1 to 100)": lambda k: [max(1, round(8 * np.exp(ndtri((place + 0.5) / k)))) for place in range(k)],
    "one holds a third": lambda k: [8] * (k - 1) + [4 * (k - 1)],
}
Levels = Callable[[float], NDArray[np.float64]]
"""From a mean to the levels of the stores, by query and set."""


def share(mean: float) -> tuple[float, Callable[[np.random.Generator, Levels], NDArray[np.float64]]]:
    """0 or 1, such as Recall of a single relevant memory."""
    return mean, lambda random, levels: (random.random(levels(mean).shape) < levels(mean)).astype(float)


def graded(random: np.random.Generator, levels: Levels) -> NDArray[np.float64]:
    """A quarter of zeros, a quarter of ones, the others between, as of NDCG@10."""
    level = levels(0.5)
    ends, middle = random.random(level.shape) < level, random.uniform(-1, 1, level.shape)
    return np.where(random.random(level.shape) < 0.5, ends, level + middle * np.minimum(level, 1 - level))


def high(random: np.random.Generator, levels: Levels) -> NDArray[np.float64]:
    """Four of five are 1, the others anything: an easy data set."""
    level = levels(0.8)
    return np.where(random.random(level.shape) < level, 1.0, random.random(level.shape))


def apart(bias: float) -> tuple[float, Callable[[np.random.Generator, Levels], NDArray[np.float64]]]:
    """Differences of two systems: most queries are equal, of the others a store's level is the share of wins."""

    def drawn(random: np.random.Generator, levels: Levels) -> NDArray[np.float64]:
        level = levels(0.5 + bias / 2)
        size = np.where(random.random(level.shape) < 0.4, 1.0, random.random(level.shape))
        signed = np.where(random.random(level.shape) < level, size, -size)
        return np.where(random.random(level.shape) < 0.3, signed, 0.0)

    return 0.3 * bias * (0.4 + 0.6 * 0.5), drawn


MEANS = {
    "share .5": share(0.5),
    "share .8": share(0.8),
    "share .9": share(0.9),
    "graded": (0.5, graded),
    "high": (0.9, high),
}
DIFFERENCES = {"no difference": apart(0.0), "a difference": apart(0.3)}


def coverage(
    sizes: list[int], truth: float, draw: Callable[..., NDArray[np.float64]], icc: float, sets: int, *, paired: bool
) -> float:
    """The share of simulated sets whose interval holds the truth."""
    random = np.random.Generator(np.random.PCG64([*sizes, round(100 * icc), round(1000 * truth) + 1000]))
    clusters = [str(place) for place, size in enumerate(sizes) for _ in range(size)]
    drawn: dict[float, NDArray[np.float64]] = {}

    def levels(mean: float) -> NDArray[np.float64]:
        if mean not in drawn:
            shape, spread = (len(sizes), sets), 1 / icc - 1 if icc else 0.0
            of_store = random.beta(mean * spread, (1 - mean) * spread, shape) if icc else np.full(shape, mean)
            drawn[mean] = np.repeat(of_store, sizes, axis=0)
        return drawn[mean]

    values = draw(random, levels)
    found: Sequence[Estimate | Comparison]
    if paired:
        found = [one.comparison for one in statistics.compare(values, 0 * values, clusters, [("", "", "")] * sets)]
    else:
        found = statistics.estimates(values, clusters)
    return float(sum(one.low - 1e-9 <= truth <= one.high + 1e-9 for one in found)) / sets


def rows(sets: int) -> Iterator[tuple[str, float, str, list[float]]]:
    """Kind, correlation, shape, and the coverage by number of stores."""
    for kinds, paired in ((MEANS, False), (DIFFERENCES, True)):
        for kind, (truth, draw) in kinds.items():
            for icc in CORRELATIONS:
                for shape, sizes in SHAPES.items():
                    yield kind, icc, shape, [coverage(sizes(k), truth, draw, icc, sets, paired=paired) for k in STORES]


def main(sets: int) -> None:
    print(f"share of {sets:,} simulated data sets whose 95 % interval holds the truth, by number of stores")
    print(f"{'values':<15}{'correlation':>11}  {'stores':<19}" + "".join(f"{k:>7}" for k in STORES))
    every: dict[bool, list[float]] = {False: [], True: []}
    for kind, icc, shape, found in rows(sets):
        print(f"{kind:<15}{icc:>11.1f}  {shape:<19}" + "".join(f"{100 * one:>7.1f}" for one in found), flush=True)
        every[kind in DIFFERENCES] += found
    for paired, found in every.items():
        within = np.mean(np.abs(np.array(found) - 0.95) <= 0.015)
        print(
            f"{'differences' if paired else 'means'}: mean {100 * np.mean(found):.1f}, lowest {100 * min(found):.1f},"
            f" highest {100 * max(found):.1f}; {100 * within:.0f} % of settings within 95 ± 1.5"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4_000)
