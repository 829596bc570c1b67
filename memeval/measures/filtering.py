"""The score threshold to filter at: chosen on development stores, and what it lets in on test stores.

A filter lets in the memories that score at or above its threshold. Its precision is the share of them that are
relevant, over all queries together, those without a relevant memory included; its recall is the mean share of a query's
relevant memories that it lets in, those that the first stage missed counting as lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memeval.core.types import Estimate
from memeval.measures import statistics
from memeval.measures.statistics import Floats
from memeval.measures.threshold import Labels, best_thresholds

Held: TypeAlias = Literal["holds", "within chance", "does not carry over", "lets nothing in", "not reached"]

WANTED = (0.8, 0.9, 0.95)
"""The precisions that a filter is looked for."""
LEAST = 20
"""So many memories must be let in on development stores: of fewer, a precision says next to nothing."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One threshold. `wanted` is the precision it was chosen for, None where it is the one with the best mean F1.

    `on_development` is its precision there; the estimates are of test stores: `let_in` counts memories of a query,
    `empty` is the share of queries that are left without any. All are None where no threshold reaches what is wanted,
    and `precision` where nothing is let in.
    """

    wanted: float | None
    threshold: float | None = None
    on_development: float | None = None
    precision: Estimate | None = None
    recall: Estimate | None = None
    let_in: Estimate | None = None
    empty: Estimate | None = None

    @property
    def outcome(self) -> Held:
        """Whether what was wanted is there on test stores, too: beyond chance, within it, or not."""
        if self.threshold is None:
            return "not reached"
        if self.precision is None:
            return "lets nothing in"
        if self.wanted is None or self.precision.low >= self.wanted:
            return "holds"
        return "does not carry over" if self.precision.high < self.wanted else "within chance"


def filters(
    scores: Floats,
    hits: Labels,
    relevant: NDArray[np.int64],
    dev: NDArray[np.bool_],
    units: Sequence[str],
    best: float | None = None,
) -> tuple[Filter, ...]:
    """A filter for each wanted precision, and last the one with the best F1; none without both kinds of stores.

    Args:
        scores, hits, relevant, dev: as `calibration.calibrate` has them.
        units: by query, what varies by chance as a whole: its store. A single one is taken apart into its queries.
        best: the score with the highest mean F1 on development stores, where it is known.
    """
    if not (dev & (relevant > 0)).any() or not (~dev & (relevant > 0)).any():
        return ()
    known = ~np.isnan(scores[dev])
    own, right = scores[dev][known], hits[dev][known]
    if best is None:
        [best] = best_thresholds(scores, hits, relevant, [dev & (relevant > 0)])
    chosen = [*zip(WANTED, _lowest(own, right), strict=True), (None, best)]
    test = ~dev
    named = np.asarray(units)[test]
    if len(set(named.tolist())) == 1:
        named = np.arange(len(named)).astype(str)
    of_test = scores[test], hits[test], relevant[test], named
    return tuple(
        Filter(wanted) if threshold is None else _measured(wanted, threshold, own, right, *of_test)
        for wanted, threshold in chosen
    )


def _lowest(scores: Floats, right: Labels) -> list[float | None]:
    """For each wanted precision the lowest score at and above which it is reached: it lets in the most. None where no
    score that lets in enough memories reaches it, and then none reaches a higher one."""
    down = np.argsort(-scores, kind="stable")
    ordered = scores[down]
    ends = np.flatnonzero(ordered != np.append(ordered[1:], np.nan))  # equal scores come in together
    precision = np.cumsum(right[down])[ends] / (ends + 1)
    reached = [np.flatnonzero((precision >= wanted) & (ends + 1 >= LEAST)) for wanted in WANTED]
    return [float(ordered[ends[places[-1]]]) if len(places) else None for places in reached]


def _measured(
    wanted: float | None,
    threshold: float,
    on_development: Floats,
    right: Labels,
    scores: Floats,
    hits: Labels,
    relevant: NDArray[np.int64],
    units: NDArray[np.str_],
) -> Filter:
    passed = scores >= threshold  # nan is never let in
    count = passed.sum(axis=1)
    judged = relevant > 0
    found = (passed & hits).sum(axis=1)[judged] / relevant[judged]
    let_in, empty = statistics.estimates(np.stack([count, count == 0], axis=1), units.tolist())
    precision = None
    if count.any():
        # Each memory that is let in stands for itself, in the store of its query.
        precision = statistics.estimate(hits[passed].astype(np.float64).tolist(), np.repeat(units, count).tolist())
    return Filter(
        wanted,
        threshold,
        float(right[on_development >= threshold].mean()),
        precision,
        statistics.estimate(found.tolist(), units[judged].tolist()),
        let_in,
        empty,
    )
