"""Measures of what must not come back: memories that are forbidden (outdated, of another scope, contradicted).

As with every measure, higher is better: 1 - the mean is the share of queries on which it went wrong. Only a query with
a relevant memory and a forbidden one has a value; of any other nothing is known, so it has none (nan) and `n` does not
count it. A memory that is not ranked stands below all that are. A query without a ranking scores 0, as everywhere:
saying nothing is not telling them apart.
"""

import math
from collections.abc import Mapping, Sequence


def none_above(
    grades: Mapping[str, int], forbidden: frozenset[str], doc_ids: Sequence[str], _: int | None = None
) -> float:
    """1 if no forbidden memory stands above the first relevant one, else 0.

    >>> none_above({"new": 1}, frozenset({"old"}), ["x", "new", "old"])
    1.0
    >>> none_above({"new": 1}, frozenset({"old"}), ["old"]), none_above({"new": 1}, frozenset({"old"}), ["x"])
    (0.0, 1.0)
    """
    first = next((doc_id for doc_id in doc_ids if doc_id in forbidden or grades.get(doc_id, 0) > 0), None)
    return float(bool(doc_ids) and first not in forbidden)


def none_within(
    _: Mapping[str, int], forbidden: frozenset[str], doc_ids: Sequence[str], cutoff: int | None = None
) -> float:
    """1 if no forbidden memory is within the cutoff, else 0.

    >>> [none_within({}, frozenset({"old"}), ["new", "old"], cutoff) for cutoff in (1, 2)]
    [1.0, 0.0]
    """
    return float(bool(doc_ids) and forbidden.isdisjoint(doc_ids[:cutoff]))


def pair_accuracy(
    grades: Mapping[str, int], forbidden: frozenset[str], doc_ids: Sequence[str], _: int | None = None
) -> float:
    """The share of pairs, one relevant and one forbidden, in which the relevant memory stands above.

    A pair of which neither is ranked does not count; nan where no pair counts.

    >>> pair_accuracy({"new": 1, "newer": 1}, frozenset({"old"}), ["new", "old", "x"])
    0.5
    >>> pair_accuracy({"new": 1}, frozenset({"old"}), ["x"])
    nan
    """
    above = hits = shown = 0
    for doc_id in doc_ids:
        hits += grades.get(doc_id, 0) > 0
        if doc_id in forbidden:
            shown, above = shown + 1, above + hits
    above += hits * (len(forbidden) - shown)
    counted = pairs(grades, forbidden) - missed(grades, forbidden, doc_ids)
    return above / counted if counted else math.nan if doc_ids else 0.0


def pairs(grades: Mapping[str, int], forbidden: frozenset[str]) -> int:
    """How many pairs of a relevant and a forbidden memory there are."""
    return sum(grade > 0 for grade in grades.values()) * len(forbidden)


def missed(grades: Mapping[str, int], forbidden: frozenset[str], doc_ids: Sequence[str]) -> int:
    """Of how many such pairs neither is ranked."""
    there = set(doc_ids)
    lacking = sum(grade > 0 and doc_id not in there for doc_id, grade in grades.items())
    return lacking * len(forbidden - there)
