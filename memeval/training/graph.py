"""Which memories of a query are compared: a graph in which each of them meets equally many others.

The union of degree / 2 random cycles through all memories: connected by its first cycle, of small diameter, and with
degree x n / 2 comparisons instead of n (n - 1) / 2.
"""

from random import Random

Pair = tuple[int, int]
TRIES = 200
"""How often a further cycle is drawn that shares no pair with those before it."""


def regular(size: int, degree: int, random: Random) -> list[Pair]:
    """The pairs to compare, each once, the smaller place first; all pairs where there are no more than `degree` others.

    >>> len(regular(9, 4, Random(0))), len(regular(4, 4, Random(0))), regular(1, 4, Random(0))
    (18, 6, [])
    """
    if size <= degree + 1:
        return [(one, other) for one in range(size) for other in range(one + 1, size)]
    found: set[Pair] = set()
    while len(found) < size * degree // 2:
        for _ in range(TRIES):
            cycle = _cycle(random.sample(range(size), size), 1)
            if found.isdisjoint(cycle):
                found |= cycle
                break
        else:  # of a graph that is nearly complete, random cycles hardly ever are apart: steps around one are
            around = random.sample(range(size), size)
            return sorted(set().union(*(_cycle(around, step) for step in range(1, degree // 2 + 1))))
    return sorted(found)


def _cycle(order: list[int], step: int) -> set[Pair]:
    """The pairs that lie so many steps apart around a cycle."""
    size = len(order)
    ends = ((order[place], order[(place + step) % size]) for place in range(size))
    return {(min(pair), max(pair)) for pair in ends}
