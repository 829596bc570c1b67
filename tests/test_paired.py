"""Many comparisons at once are the single ones."""

from dataclasses import replace

import numpy as np
import pytest

from memeval import stats
from memeval.paired import compare_many, flips, grouped, joint_p, rank_groups, rank_groups_many
from tests import plain_stats


@pytest.mark.parametrize("stores", [1, 2, 7, 40])
def test_each_column_is_compared_as_by_itself(stores: int) -> None:
    random = np.random.default_rng(stores)
    ours, theirs = random.random((60, 5)), random.random((60, 5))
    ours[:, 3] = theirs[:, 3]
    clusters = [f"s{place % stores}" for place in range(60)]
    names = [("MRR", f"a{place}", "b") for place in range(5)]
    for found, name, mine, other in zip(
        compare_many(ours, theirs, clusters, names), names, ours.T, theirs.T, strict=True
    ):
        one = stats.compare(mine.tolist(), other.tolist(), clusters, measure="MRR", names=name[1:])
        assert (found.measure, found.ours, found.theirs) == (one.measure, one.ours, one.theirs)
        assert (found.n, found.clusters, found.identical, found.p) == (one.n, one.clusters, one.identical, one.p)
        pair = [found.difference, found.low, found.high], [one.difference, one.low, one.high]
        assert pair[0] == pytest.approx(pair[1], abs=1e-9, nan_ok=True)


def test_shapes_that_cannot_be_paired_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        compare_many(np.ones((2, 1)), np.ones((3, 1)), ["a", "b"], [("MRR", "a", "b")])
    assert compare_many(np.ones((2, 0)), np.ones((2, 0)), ["a", "b"], []) == []


@pytest.mark.parametrize("stores", [1, 4, 9, 30])
def test_rank_groups_are_those_of_the_slow_way(stores: int) -> None:
    random = np.random.default_rng(stores)
    clusters = [f"s{place % stores}" for place in range(90)]
    values = {f"a{place}": (random.random(90) + 0.15 * place).tolist() for place in range(5)}
    assert rank_groups(values, clusters) == plain_stats.rank_groups(values, clusters)


def test_the_order_of_the_queries_does_not_matter() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.random((50, 2)), random.random((50, 2))
    clusters = ["one"] * 50
    names = [("MRR", "a", "b"), ("MAP", "a", "b")]
    assert compare_many(ours, theirs, clusters, names) == compare_many(ours[::-1], theirs[::-1], clusters, names)


@pytest.mark.parametrize("stores", [1, 9, 15, 16, 30])
def test_joint_p_values_of_all_pairs_are_those_of_the_slow_way(stores: int) -> None:
    random = np.random.default_rng(stores)
    columns = random.random((90, 5)) + 0.05 * np.arange(5)
    columns[:, 4] = columns[:, 3]  # a pair without any difference
    sums, _ = grouped(columns, [f"s{place % stores}" for place in range(90)])
    found = joint_p(sums)
    slow = plain_stats.joint_p(np.array([sums[:, one] - sums[:, other] for one, other in found]))
    assert list(found.values()) == [slow[list(found).index(pair)] for pair in found]


@pytest.mark.parametrize("stores", [1, 9, 30])
def test_measures_that_share_draws_have_the_ranks_of_each(stores: int) -> None:
    random = np.random.default_rng(stores)
    clusters = [f"s{place % stores}" for place in range(90)]
    families = [
        {f"a{place}": (random.random(90) + 0.15 * place).tolist() for place in range(count)} for count in (5, 1, 3)
    ]
    found = rank_groups_many(families, clusters)
    assert found == [plain_stats.rank_groups(values, clusters) for values in families]
    assert len(set(found[0].values())) > 1


def test_flips_of_a_difference_are_the_difference_of_flips() -> None:
    sums, _ = grouped(np.random.default_rng(0).random((40, 2)), [f"s{place}" for place in range(40)])
    both, difference = flips([sums, sums[:, :1] - sums[:, 1:]], 0, 2_500)
    assert np.array_equal(both[0] - both[1], difference[0])


def test_what_nobody_tests_has_no_p() -> None:
    random = np.random.default_rng(0)
    ours, theirs, clusters = random.random((20, 1)), random.random((20, 1)), [f"s{place}" for place in range(20)]
    [tested] = compare_many(ours, theirs, clusters, [("MRR", "a", "b")])
    [untested] = compare_many(ours, theirs, clusters, [("MRR", "a", "b")], tested=False)
    assert tested.p is not None
    assert untested == replace(tested, p=None)
