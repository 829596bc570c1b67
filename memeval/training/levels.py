"""Five levels from strengths: what is learnt, and how sure it is.

On the common scale 0 is an anchor's strength, which answers nothing, and 1 the `ceiling`, a direct answer; on a query's
own scale they are its worst and its best. The levels are fifths of that (MemReranker's: irrelevant, low, partial, high,
direct answer), and what is learnt is the middle of a level: .1, .3, .5, .7, .9.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from memeval.core.errors import UsageError
from memeval.training.recipe import Teaching
from memeval.training.steps import Row
from memeval.training.votes import Said

LEVELS = 5


def ceiling(strengths: Sequence[float]) -> float | None:
    """The mean strength of memories that are labelled relevant, where it is above that of anchors; else None."""
    known = [strength for strength in strengths if not math.isnan(strength)]
    mean = math.fsum(known) / len(known) if known else 0.0
    return mean if mean > 0 else None


def level(strength: float, low: float, high: float) -> int | None:
    """The level of a strength between two ends; None where it is not known.

    >>> [level(strength, 0, 4) for strength in (-1.0, 0.9, 2.0, 3.9, 9.0, math.nan)]
    [0, 1, 2, 4, 4, None]
    """
    if math.isnan(strength) or math.isnan(low) or math.isnan(high):
        return None
    share = (strength - low) / (high - low) if high > low else 0.5
    return min(LEVELS - 1, max(0, math.floor(share * LEVELS)))


def target(level: int) -> float:
    """What is learnt of a level.

    >>> [target(each) for each in range(LEVELS)]
    [0.1, 0.3, 0.5, 0.7, 0.9]
    """
    return (2 * level + 1) / (2 * LEVELS)


def agreement(shares: Sequence[Sequence[float]]) -> float | None:
    """How far teachers agree on a memory's comparisons: of each, the share of the side that more are on; their mean.

    Args:
        shares: for each comparison, what each teacher said: 1 for the one, 0 for the other, .5 for neither.

    >>> agreement([[1.0, 1.0], [1.0, 0.0], [0.5]]), agreement([[]])
    (0.75, None)
    """
    sides = [abs(2 * sum(each) / len(each) - 1) / 2 + 0.5 for each in shares if each and set(each) != {0.5}]
    return sum(sides) / len(sides) if sides else None


def rows(learnt: Sequence[Row], said: Said, strengths: Sequence[Row], labels: Teaching) -> Iterator[Row]:
    """A row for each memory: its level, what is learnt of it, and how far teachers agree on its comparisons.

    Raises UsageError where the ceiling cannot be taken from the labels.
    """
    grades = {(row["query_id"], memory["doc_id"]): memory["grade"] for row in learnt for memory in row["memories"]}
    top = labels.ceiling
    if labels.scale == "common" and top == "labels":
        relevant = [row["strength"] for row in strengths if grades[row["query_id"], row["doc_id"]] > 0]
        top = ceiling([strength for strength in relevant if strength is not None]) or math.nan
        if math.isnan(top):
            raise UsageError(
                'labels.ceiling = "labels", but memories that are labelled relevant are not stronger than anchors:'
                " say a number, or other teachers"
            )
    by_query: dict[str, list[Row]] = {}
    for row in strengths:
        by_query.setdefault(row["query_id"], []).append(row)
    for query_id, own in by_query.items():
        known = [row["strength"] for row in own if row["strength"] is not None] or [math.nan]
        low, high = (0.0, float(top)) if labels.scale == "common" else (min(known), max(known))
        shares = _shares(said.get(query_id, {}))
        for row in own:
            found = level(math.nan if row["strength"] is None else row["strength"], low, high)
            sure = agreement(shares.get(row["doc_id"], []))
            yield {
                "query_id": query_id,
                "doc_id": row["doc_id"],
                "level": found,
                "target": None if found is None else target(found),
                "agreement": None if sure is None else round(sure, 6),
            }


def _shares(told: Mapping[str, Mapping[tuple[str, str], Sequence[float]]]) -> dict[str, list[list[float]]]:
    """doc_id → of each of its comparisons, what each teacher said."""
    found: dict[str, list[list[float]]] = {}
    for pair in sorted({pair for pairs in told.values() for pair in pairs}):
        each = [sum(pairs[pair]) / len(pairs[pair]) for pairs in told.values() if pair in pairs]
        for doc_id in pair:
            found.setdefault(doc_id, []).append(each)
    return found
