"""Which memories are compared: equally many comparisons of each, and a way from each to each."""

from collections import Counter
from random import Random

import pytest

from memeval.training import graph


def reached(pairs: list[graph.Pair]) -> set[int]:
    """The places to which a way leads from 0."""
    found, left = {0}, [0]
    while left:
        place = left.pop()
        new = {a + b - place for a, b in pairs if place in (a, b)} - found
        found |= new
        left += new
    return found


@pytest.mark.parametrize(("size", "degree"), [(6, 4), (7, 4), (12, 4), (50, 4), (9, 2), (10, 8), (40, 38)])
def test_each_memory_meets_equally_many_others_and_all_are_connected(size: int, degree: int) -> None:
    for seed in range(5):
        pairs = graph.regular(size, degree, Random(seed))
        assert len(set(pairs)) == len(pairs) == size * degree // 2
        assert all(one < other for one, other in pairs)
        assert set(Counter(place for pair in pairs for place in pair).values()) == {degree}
        assert reached(pairs) == set(range(size))


def test_a_few_memories_all_meet_each_other() -> None:
    assert graph.regular(5, 4, Random(0)) == [(a, b) for a in range(5) for b in range(a + 1, 5)]
    assert graph.regular(2, 4, Random(0)) == [(0, 1)]


def test_the_same_seed_gives_the_same_pairs_and_another_one_others() -> None:
    first, again, other = (graph.regular(20, 4, Random(seed)) for seed in (1, 1, 2))
    assert first == again != other
