"""Five levels from strengths: what is learnt, and how sure it is.

On the common scale 0 is an anchor's strength, which answers nothing, and 1 the `ceiling`, a direct answer; on a query's
own scale they are its worst and its best. The levels are fifths of that (MemReranker's: irrelevant, low, partial, high,
direct answer), and what is learnt is the middle of a level: .1, .3, .5, .7, .9.
"""

import math
from collections.abc import Sequence

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
