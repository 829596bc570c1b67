"""Prints how often `memeval check` fails a suite of twelve quality gates, by size of the suite and true drop.

python benchmarks/power.py [SUITES]

The suites hold clustered data whose true difference is known. A query's value is 0, 1 or between, as of NDCG@10; a
change of the system draws a share of the queries anew, and every store has a shift of its own, so that queries of one
store are not independent. The defaults give differences a standard deviation of 0.25 within stores and 0.02 between
them: what was measured on LoCoMo between BM25 and its fusion with MiniLM (0.247 and 0.018) and between MiniLM and the
fusion (0.243 and 0.022).
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memeval.gate.judging import Sample, quality
from memeval.gate.verdicts import Check

LOCOMO = (150, 81, 152, 199, 178, 123, 150, 191, 156, 156)
"""Judged queries by conversation: 1,536 in ten stores."""
SHAPES = {
    "6 stores x 30": (30,) * 6,
    "20 stores x 9": (9,) * 20,
    "10 stores, 1,536 (LoCoMo)": LOCOMO,
    "50 stores x 10": (10,) * 50,
    "500 stores x 1": (1,) * 500,
}
DROPS = (0.0, 0.02, 0.03, 0.05, 0.1)


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of simulated suites: where any check failed, where the first one did, and where the first was in doubt."""

    any_failed: float
    first_failed: float
    first_doubtful: float
    suites: int


def rates(
    sizes: Sequence[int],
    *,
    drop: float = 0.0,
    checks: int = 12,
    margin: float = 0.02,
    suites: int = 200,
    changed: float = 0.18,
    store_sd: float = 0.02,
    seed: int = 0,
) -> Rates:
    """Simulates suites of `checks` quality gates; the true mean of the first one's differences is -drop.

    Args:
        sizes: queries by store.
        changed: the share of queries whose value is drawn anew.
        store_sd: standard deviation of a store's own shift.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    stores = tuple(f"s{number:03}" for number, size in enumerate(sizes) for _ in range(size))
    query_ids = tuple(map(str, range(len(stores))))
    failed = first = doubtful = 0
    for _ in range(suites):
        samples = []
        for number in range(checks):
            old, new = _pair(random, sizes, drop if number == 0 else 0.0, changed, store_sd)
            check = Check("simulated", "system", str(number), "quality", "ok", margin=margin)
            samples.append(
                Sample(check, query_ids, stores, (None,) * len(stores), tuple(old.tolist()), tuple(new.tolist()))
            )
        verdicts = [check.verdict for check in quality(samples)]
        failed += "regressed" in verdicts
        first += verdicts[0] == "regressed"
        doubtful += verdicts[0] == "inconclusive"
    return Rates(failed / suites, first / suites, doubtful / suites, suites)


def _pair(
    random: np.random.Generator, sizes: Sequence[int], drop: float, changed: float, store_sd: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = sum(sizes)
    store = np.repeat(np.arange(len(sizes)), sizes)
    shift = random.normal(0.0, store_sd, len(sizes))[store]
    before, other = _values(random, n), _values(random, n)
    after = np.where(random.random(n) < changed, other, before)
    return before, after + shift - drop


def _values(random: np.random.Generator, n: int) -> NDArray[np.float64]:
    """A quarter zeros, a quarter ones, the others between."""
    kind = random.random(n)
    return np.where(kind < 0.25, 0.0, np.where(kind < 0.5, 1.0, random.random(n)))


def main(suites: int) -> None:
    print(f"share of {suites} simulated suites of 12 gates that fail; margin 0.02, stores shift by sd 0.02")
    print(f"{'suite':<27}{'no drop':>9}" + "".join(f"{-drop:>9}" for drop in DROPS[1:]))
    for name, sizes in SHAPES.items():
        found = [rates(sizes, drop=drop, suites=suites) for drop in DROPS]
        cells = [found[0].any_failed, *(rate.first_failed for rate in found[1:])]
        print(f"{name:<27}" + "".join(f"{100 * cell:>8.1f}%" for cell in cells))
    print("no drop: any of the twelve fails; the others: the one that fell fails")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
