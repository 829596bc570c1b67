import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memeval.measures.order import bounds, strict_order, tie_rate

TIED = st.lists(st.sampled_from([0.0, -0.0, 0.25, 0.5, 1.0]), max_size=12)


def test_a_constant_scorer_keeps_the_first_stage_order():
    assert strict_order([0.3] * 10) == list(range(10))


def test_zero_and_minus_zero_are_equal_scores():
    assert strict_order([0.0, -0.0, 0.0]) == [0, 1, 2]
    assert tie_rate([0.0, -0.0]) == 1.0


def test_a_nan_has_no_place_in_an_order():
    with pytest.raises(ValueError, match="nan"):
        strict_order([0.1, math.nan])


def test_no_candidates_are_an_empty_order():
    assert strict_order([]) == []
    assert bounds([], [], []) == ([], [])


@given(TIED)
def test_ties_keep_the_first_stage_order(scores):
    order = strict_order(scores)
    assert sorted(order) == list(range(len(scores)))
    for above, below in itertools.pairwise(order):
        assert scores[above] > scores[below] or (scores[above] == scores[below] and above < below)


@given(TIED)
def test_the_tie_rate_counts_candidates_that_share_their_score(scores):
    sharing = sum(scores.count(score) > 1 for score in scores)
    assert tie_rate(scores) == (sharing / len(scores) if scores else 0)


@given(TIED, st.randoms())
def test_bounds_move_memories_only_among_equals(scores, random):
    grades = [random.choice([0, 0, 1, 2]) for _ in scores]
    order = strict_order(scores)
    pessimistic, optimistic = bounds(order, scores, grades)
    for bound in (pessimistic, optimistic):
        assert [scores[position] for position in bound] == [scores[position] for position in order]
    for above, below in itertools.pairwise(optimistic):
        assert scores[above] > scores[below] or grades[above] >= grades[below]
    for above, below in itertools.pairwise(pessimistic):
        assert scores[above] > scores[below] or grades[above] <= grades[below]


def test_bounds_are_the_order_itself_where_nothing_is_tied():
    order = strict_order([0.1, 0.3, 0.2])
    assert bounds(order, [0.1, 0.3, 0.2], [0, 1, 1]) == (order, order)


def test_bounds_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="3 positions"):
        bounds([0, 1, 2], [0.1, 0.2], [0, 1])
