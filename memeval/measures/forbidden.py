"""Measures of what must not come back: memories that are forbidden (outdated, of another scope, contradicted).

As with every measure, higher is better: 1 - the mean is the share of queries on which it went wrong. Only a query with
a relevant memory and a forbidden one has a value; of any other nothing is known, so it has none (nan) and `n` does not
count it. A memory that is not ranked stands below all that are. A query without a ranking scores 0, as everywhere:
saying nothing is not telling them apart.
"""

from collections.abc import Sequence

import numpy as np

from memeval.measures.judged import Judged, Lists, measured
from memeval.measures.statistics import Floats


def none_above(lists: Lists, _: int | None) -> Floats:
    """1 if no forbidden memory stands above the first relevant one, else 0."""
    either = lists.unwanted | (lists.gains > 0)
    first = either.argmax(axis=1) if either.shape[1] else np.zeros(len(either), np.int64)
    above = either.any(axis=1) & lists.unwanted[np.arange(len(either)), first] if either.shape[1] else first > 0
    return _of_known(lists, ~above)


def none_within(lists: Lists, cutoff: int | None) -> Floats:
    """1 if no forbidden memory is within the cutoff, else 0."""
    return _of_known(lists, ~lists.unwanted[:, :cutoff].any(axis=1))


def pair_accuracy(lists: Lists, _: int | None) -> Floats:
    """The share of pairs, one relevant and one forbidden, in which the relevant memory stands above.

    A pair of which neither is ranked does not count; nan where no pair counts.
    """
    hits = lists.gains > 0
    above = (np.cumsum(hits, axis=1) * lists.unwanted).sum(axis=1)
    above += hits.sum(axis=1) * (lists.forbidden - lists.unwanted.sum(axis=1))
    counted = pairs(lists, None) - missed(lists, None)
    return _of_known(lists, np.where(counted > 0, above / np.maximum(counted, 1), np.nan))


def pairs(lists: Lists, _: int | None) -> Floats:
    """How many pairs of a relevant and a forbidden memory there are."""
    return (lists.relevant * lists.forbidden).astype(np.float64)


def missed(lists: Lists, _: int | None) -> Floats:
    """Of how many such pairs neither is ranked."""
    lacking = lists.relevant - lists.hits(None)
    found: Floats = lacking * (lists.forbidden - lists.unwanted.sum(axis=1))
    return found


def known_pairs(found: Judged) -> tuple[int, int, int]:
    """How many queries have a forbidden memory, how many pairs they have, and of how many neither is ranked."""
    counts = measured(found, {"pairs": (pairs, None), "missed": (missed, None)})
    return int(np.count_nonzero(found.forbidden)), int(counts["pairs"].sum()), int(counts["missed"].sum())


def known_mean(values: Sequence[float] | Floats) -> float:
    """The mean of the values that there are; nan where there is none."""
    told = np.asarray(values, np.float64)
    known = told[~np.isnan(told)]
    return float(known.mean()) if len(known) else float("nan")


def _of_known(lists: Lists, values: object) -> Floats:
    told = np.asarray(values, np.float64) if lists.gains.shape[1] else np.zeros(len(lists.gains))
    return np.where(lists.forbidden > 0, told, np.nan)
