"""What a result tells, made again from the run and the labels beside it as far as that is quick.

Whoever edits a value can write a digest that fits it. So each value by query is measured again, but for measures that
take scores or a foreign library, and so are means and intervals; failures are counted. `memeval verify` makes all of it
again.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memeval.core.errors import MemevalError
from memeval.core.types import Result
from memeval.measures import scoring
from memeval.measures.judged import UNLABELLED, Judged
from memeval.measures.ranx import evaluate_judged, is_array

if TYPE_CHECKING:
    from memeval.report.evidence import Labelled, Ranked

CLOSE = 1e-9
"""Two processors may differ in the last bits."""


def wrong(result: Result, labelled: "Labelled", ranked: "Ranked") -> str:
    """What of a result is not what its run and the labels give, in words; "" where nothing is."""
    kept = np.flatnonzero(labelled.judged)
    if result.query_ids != tuple(labelled.query_ids[place] for place in kept):
        return "its queries are not those that the labels beside it judge"
    if "missing" in ranked.status:
        return _means(result)
    if result.failures.failed != sum(ranked.status[place] != "ok" for place in kept):
        return "it tells of other failures than the run beside it"
    if result.repeats is None:  # elsewhere values are means over runs
        names = [name for name in result.values if is_array(name, result.signature.measures.get(name))]
        try:
            again = evaluate_judged(_judged(labelled, ranked, kept), names) if names else {}
        except MemevalError as error:  # a measure of another package
            return f"cannot be measured again: {error}"
        for name, found in again.items():
            if not np.allclose(found, result.values[name], rtol=CLOSE, atol=CLOSE, equal_nan=True):
                return f"its {name} is not what the run beside it gives"
    return _means(result)


def _judged(labelled: "Labelled", ranked: "Ranked", kept: NDArray[np.int64]) -> Judged:
    """The rankings of some queries, as their grades."""
    there = ranked.grades[kept] >= 0
    labels = [sorted(labelled.labels[place].values(), reverse=True) for place in kept]
    unwanted = np.zeros(there.shape, dtype=np.bool_)
    for row, place in enumerate(kept):
        if never := labelled.forbidden[place]:
            marks = np.array([doc_id in never for doc_id in labelled.doc_ids[place]], dtype=np.bool_)
            unwanted[row, : len(marks)] = marks[ranked.order[place, : len(marks)]]
    return Judged(
        np.where(ranked.grades[kept] > 0, ranked.grades[kept], UNLABELLED)[there],
        there.sum(axis=1),
        np.array([grade for row in labels for grade in row], dtype=np.float64),
        np.array([len(row) for row in labels], dtype=np.int64),
        unwanted[there],
        np.array([len(labelled.forbidden[place]) for place in kept], dtype=np.int64),
    )


def _means(result: Result) -> str:
    """What of means and intervals does not follow from the values."""
    made = scoring.estimates(result.values, result.store_ids, result.categories) if result.values else {}
    if made.keys() != result.measures.keys():
        return "its categories are not those of its queries"
    for category, row in made.items():
        for name, ours in row.items():
            told = result.measures[category].get(name)
            numbers = None if told is None else (told.value, told.low, told.high, told.n, told.clusters)
            numbers_again = ours.value, ours.low, ours.high, ours.n, ours.clusters
            if numbers is None or not np.allclose(numbers_again, numbers, rtol=CLOSE, atol=CLOSE, equal_nan=True):
                return f"its mean or interval of {name} is not that of its values"
    return ""
