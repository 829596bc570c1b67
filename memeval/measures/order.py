"""From scores to one strict order per query: the only place where ties are broken.

Ties keep the first-stage order. Measure libraries break ties each in its own way (ranx differently with and without
JIT, trec_eval by document id), so none of them is ever handed tied scores.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from memeval.core.types import Grade, Ranking
from memeval.measures.statistics import Floats


def strict_order(scores: Sequence[float]) -> list[int]:
    """Positions of the candidates, best first; equal scores keep the order they were given in (the first stage's).

    Raises ValueError if a score is nan, which has no place in an order.

    >>> strict_order([0.1, 0.7, 0.1, 0.9])
    [3, 1, 0, 2]
    """
    if any(math.isnan(score) for score in scores):
        raise ValueError("a score is nan")
    return sorted(range(len(scores)), key=scores.__getitem__, reverse=True)


def fault(ranking: Ranking, doc_ids: Sequence[str]) -> str | None:
    """What is wrong with a ranking that was read from a file, None where nothing is.

    Args:
        doc_ids: the query's candidates, in the first stage's order.
    """
    if sorted(ranking.doc_ids) != sorted(doc_ids):
        return "does not rank exactly its candidates"
    if ranking.scores is None:
        return None
    scores = dict(zip(ranking.doc_ids, ranking.scores, strict=True))
    order = strict_order([scores[doc_id] for doc_id in doc_ids])
    if ranking.doc_ids != tuple(doc_ids[place] for place in order):
        return "is not in the order of its scores"
    return None


def tie_rate(scores: Sequence[float]) -> float:
    """Share of a query's candidates whose score another candidate of the same query has too; 0 without candidates.

    >>> tie_rate([0.5, 0.5, 0.2, 0.1])
    0.5
    >>> tie_rate([1.0, 1.0, 1.0]), tie_rate([1.0]), tie_rate([])
    (1.0, 0.0, 0.0)
    """
    if len(set(scores)) == len(scores):
        return 0.0
    counts = Counter(scores)
    return sum(count for count in counts.values() if count > 1) / len(scores)


def flips(first: Sequence[str], second: Sequence[str]) -> int:
    """How many pairs two orders of the same memories put the other way round.

    >>> flips("abc", "abc"), flips("abc", "acb"), flips("abc", "cba")
    (0, 1, 3)
    """
    rank = {doc_id: place for place, doc_id in enumerate(second)}
    ranks = np.array([rank[doc_id] for doc_id in first])
    return int(np.triu(ranks[:, None] > ranks[None], 1).sum())


def bounds(
    order: Sequence[int], scores: Sequence[float] | Floats, grades: Sequence[Grade] | Floats
) -> tuple[list[int], list[int]]:
    """The pessimistic and the optimistic order: relevant memories last, or first, among equal scores.

    Args:
        order: positions, best first, as `strict_order` gives them; what scores and grades leave open stays like this.
        scores: one per candidate, by position.
        grades: one per candidate, by position; 0 where it is not relevant.

    Raises ValueError if the lengths differ.

    >>> bounds([2, 0, 1], scores=[0.5, 0.5, 0.9], grades=[1, 0, 0])
    ([2, 1, 0], [2, 0, 1])
    """
    if not len(order) == len(scores) == len(grades):
        raise ValueError(f"{len(order)} positions, {len(scores)} scores and {len(grades)} grades")
    places = np.asarray(order, dtype=np.int64)
    down, labels = -np.asarray(scores, dtype=np.float64)[places], np.asarray(grades)[places]
    return places[np.lexsort((labels, down))].tolist(), places[np.lexsort((-labels, down))].tolist()
