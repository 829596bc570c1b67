import dataclasses
import math
import random

import numpy as np
import pytest
from scipy import stats as scipy_stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from memeval.measures import comparing, statistics
from memeval.measures.statistics import (
    auroc,
    compare,
    detectable,
    differences,
    estimate,
    estimates,
    foreseeable,
    holm,
    holm_families,
    joint,
    lower_bound,
    rank_groups,
    rank_ranges,
    sign_flip_p,
)
from tests import plain_stats

SIZES = (40, 55, 60, 70, 80, 90, 100, 110, 120, 160)
"""Ten stores of unequal size."""
STORES = [f"store-{number}" for number, size in enumerate(SIZES) for _ in range(size)]


def simulated(sets: int, seed: int, effect: float = 0.0, store_sd: float = 0.1, query_sd: float = 0.4) -> np.ndarray:
    """Queries x sets: an effect, a store's own effect, and noise."""
    rng = np.random.default_rng(seed)
    by_store = rng.normal(0, store_sd, (len(SIZES), sets))
    return effect + np.repeat(by_store, SIZES, axis=0) + rng.normal(0, query_sd, (len(STORES), sets))


def compared(ours, theirs=None, clusters=STORES):
    """A single comparison, tested."""
    theirs = np.zeros(len(ours)) if theirs is None else theirs
    [paired] = statistics.compare(np.array(ours)[:, None], np.array(theirs)[:, None], clusters, [("MAP", "a", "b")])
    return differences({0: paired}, [[0]])[0].comparison


# Intervals


def test_a_mean_is_over_queries_not_over_stores():
    result = estimate([1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"])
    assert (result.value, result.n, result.clusters) == (0.75, 4, 2)


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e12, 1e40])
def test_the_order_of_queries_changes_no_bit_however_large_values_are(scale):
    rng = np.random.default_rng(8)
    values, clusters = rng.random((400, 3)) * [scale, 1.0, -scale], np.array([f"s{place % 11}" for place in range(400)])
    found = estimates(values, clusters.tolist())
    for _ in range(5):
        order = rng.permutation(400)
        assert estimates(values[order], clusters[order].tolist()) == found
    assert found[1] == estimate(values[:, 1].tolist(), clusters.tolist())


def test_where_every_query_is_a_cluster_of_its_own_a_share_has_wilsons_interval():
    values = [1.0] * 17 + [0.0] * 13
    result = estimate(values, [str(number) for number in range(30)])
    # The variance of 0 and 1 is that of a share, up to n / (n - 1) for the estimated mean.
    share, square = 17 / 30, scipy_stats.t.ppf(0.975, 29) ** 2 / 29
    middle = (share + square / 2) / (1 + square)
    reach = math.sqrt(square * share * (1 - share) + square**2 / 4) / (1 + square)
    assert (result.low, result.high) == pytest.approx((middle - reach, middle + reach))


def test_the_interval_of_a_difference_is_students_where_stores_are_many_and_alike():
    means = np.random.default_rng(0).normal(0.02, 0.05, 400)
    result = compared(np.repeat(means, 5), clusters=[str(place // 5) for place in range(2_000)])
    wanted = scipy_stats.ttest_1samp(means, 0.0).confidence_interval()
    assert (result.low, result.high) == pytest.approx((wanted.low, wanted.high), abs=1e-3)


def test_the_variance_is_that_of_bell_and_mccaffrey():
    """Against CR2 written out with matrices: residuals of a cluster by (I - H)^(-1/2), H the hat matrix's block."""
    rng = np.random.default_rng(3)
    sizes = [1, 2, 3, 9, 20, 4]
    clusters = [str(place) for place, size in enumerate(sizes) for _ in range(size)]
    values, n = rng.random(sum(sizes)), sum(sizes)
    squares, vectors, start = 0.0, [], 0
    for size in sizes:
        own = slice(start, start + size)
        eigenvalues, eigenvectors = np.linalg.eigh(np.eye(size) - np.ones((size, size)) / n)
        adjust = eigenvectors @ np.diag(eigenvalues**-0.5) @ eigenvectors.T
        squares += (np.ones(size) @ adjust @ (values[own] - values.mean())) ** 2 / n**2
        vector = np.zeros(n)
        vector[own] = adjust @ np.ones(size)
        vectors.append((np.eye(n) - np.ones((n, n)) / n) @ vector)
        start += size
    gram = np.array(vectors) @ np.array(vectors).T
    freedom = np.trace(gram) ** 2 / (gram**2).sum()
    wanted = (scipy_stats.t.ppf(0.95, freedom) + scipy_stats.t.ppf(0.8, freedom)) * math.sqrt(squares)
    assert detectable(values.tolist(), clusters) == pytest.approx(wanted)


def covered(sizes, mean, icc, sets=1_500, seed=1):
    """How often the interval of a share, whose stores differ as the intraclass correlation says, holds the truth."""
    rng = np.random.default_rng(seed)
    shape = (len(sizes), sets)
    of_store = rng.beta(mean * (1 / icc - 1), (1 - mean) * (1 / icc - 1), shape) if icc else np.full(shape, mean)
    values = rng.random((sum(sizes), sets)) < np.repeat(of_store, sizes, axis=0)
    clusters = [str(place) for place, size in enumerate(sizes) for _ in range(size)]
    return np.mean([result.low <= mean <= result.high for result in estimates(values.astype(float), clusters)])


@pytest.mark.parametrize("icc", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("sizes", [(9,) * 6, SIZES, (2, 3, 4, 5, 8, 9, 12, 20, 31, 60), (9,) * 20], ids=str)
def test_intervals_cover_the_truth_in_95_of_100_simulated_data_sets(sizes, icc):
    assert covered(sizes, 0.5, icc) == pytest.approx(0.95, abs=0.015 + 2 * math.sqrt(0.95 * 0.05 / 1_500))


def test_an_interval_that_takes_queries_for_the_unit_is_too_narrow():
    """The reason for all this: the same data, with the clusters ignored."""
    results = estimates(simulated(300, seed=1), [str(number) for number in range(len(STORES))])
    assert np.mean([result.low <= 0 <= result.high for result in results]) < 0.75


def test_with_a_single_store_the_query_is_the_unit():
    values = np.random.default_rng(3).random(40)
    result = estimate(values, ["only"] * 40)
    margin = scipy_stats.t.ppf(0.975, 39) * values.std(ddof=1) / math.sqrt(40)
    assert (result.value - result.low, result.high - result.value) == pytest.approx((margin, margin), rel=0.1)
    assert result.clusters == 40


def test_a_single_query_has_no_interval():
    result = estimate([0.5], ["a"])
    assert (result.value, result.n, result.clusters) == (0.5, 1, 1)
    assert math.isnan(result.low)
    assert math.isnan(result.high)


def test_an_interval_stays_within_0_and_1_and_a_difference_within_what_was_seen():
    values = [1.0] * 30 + [0.0] * 2
    clusters = [f"{number % 8}" for number in range(32)]
    result = estimate(values, clusters)
    assert 0 <= result.low <= result.value <= result.high <= 1
    difference = compared(values, np.full(32, 0.5), clusters)
    assert -0.5 <= difference.low <= difference.difference <= difference.high <= 0.5


def test_what_is_1_on_every_query_need_not_be_1_on_others():
    result = estimate([1.0] * 60, [str(place % 20) for place in range(60)])
    square = scipy_stats.t.ppf(0.975, 19) ** 2
    assert (result.low, result.high) == (pytest.approx(60 / (60 + square)), 1.0)


@pytest.mark.parametrize("value", [-3.0, 2.0, 250.0])
@pytest.mark.parametrize("clusters", [12, 1])
def test_of_one_value_beyond_0_and_1_nothing_is_known_but_itself(value, clusters):
    result = estimate([value] * 24, [str(place % clusters) for place in range(24)])
    assert (result.value, result.low, result.high) == (value, value, value)


@pytest.mark.parametrize("clusters", [STORES, ["only"] * len(STORES)], ids=["stores", "single store"])
def test_the_order_of_queries_and_stores_does_not_change_a_byte(clusters):
    rows = list(zip(simulated(1, seed=2)[:, 0].tolist(), clusters, strict=True))
    shuffled = random.Random(0).sample(rows, len(rows))
    before, after = ([list(column) for column in zip(*some, strict=True)] for some in (rows, shuffled))
    assert repr(estimate(*before)) == repr(estimate(*after))
    assert repr(compared(before[0], clusters=before[1])) == repr(compared(after[0], clusters=after[1]))


def test_estimates_of_many_measures_are_the_estimates_of_each():
    matrix = simulated(3, seed=4)
    assert estimates(matrix, STORES) == [estimate(column, STORES) for column in matrix.T]


@pytest.mark.parametrize("values", [[], [0.1, 0.2]])
def test_values_that_do_not_fit_the_clusters_are_refused(values):
    with pytest.raises(ValueError, match="queries in"):
        estimate(values, ["a"] * (len(values) // 2))


# Comparisons


def test_compare_alarms_falsely_no_more_often_than_it_says():
    sets = simulated(1_500, seed=6)
    alarms = np.mean([compared(column).p <= 0.05 for column in sets.T])
    assert 0.02 < alarms <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1_500)


def test_compare_finds_a_large_effect():
    sets = simulated(200, seed=7, effect=0.15)
    assert np.mean([compared(column).p <= 0.05 for column in sets.T]) > 0.9


def test_a_comparison_of_equal_values_is_identical():
    values = simulated(1, seed=8)[:, 0]
    result = compared(values, values)
    assert (result.identical, result.difference, result.low, result.high, result.p) == (True, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("clusters", [STORES, ["only"] * len(STORES)], ids=["stores", "single store"])
def test_swapping_sides_turns_the_sign_and_keeps_p(clusters):
    ours, theirs = simulated(2, seed=9).T
    there, back = compared(ours, theirs, clusters), compared(theirs, ours, clusters)
    assert there.difference == -back.difference
    assert there.low == pytest.approx(-back.high)
    assert there.p == back.p
    assert not there.identical
    assert (there.measure, there.ours, there.theirs, there.n) == ("MAP", "a", "b", len(STORES))


@pytest.mark.parametrize(("stores", "has_p"), [(2, False), (5, False), (6, True)])
def test_below_six_clusters_there_is_no_p(stores, has_p):
    clusters = [str(number % stores) for number in range(30)]
    assert (compared(np.ones(30), clusters=clusters).p is not None) == has_p


@pytest.mark.parametrize(("queries", "has_p"), [(5, False), (30, True)])
def test_with_a_single_store_queries_count_as_clusters(queries, has_p):
    result = compared(np.ones(queries), clusters=["only"] * queries)
    assert (result.clusters, result.p is not None) == (queries, has_p)


def test_shapes_that_cannot_be_paired_are_refused():
    with pytest.raises(ValueError, match="cannot be paired"):
        statistics.compare(np.ones((2, 1)), np.ones((3, 1)), ["a", "b"], [("MRR", "a", "b")])
    assert statistics.compare(np.ones((2, 0)), np.ones((2, 0)), ["a", "b"], []) == []


@pytest.mark.parametrize("stores", [1, 2, 7, 40])
def test_each_of_many_columns_is_compared_as_by_itself(stores):
    rng = np.random.default_rng(stores)
    ours, theirs = rng.random((60, 5)), rng.random((60, 5))
    ours[:, 3] = theirs[:, 3]
    clusters = [f"s{place % stores}" for place in range(60)]
    many = dict(enumerate(statistics.compare(ours, theirs, clusters, [("MAP", "a", "b")] * 5)))
    tested = differences(many, [[place] for place in many])
    assert [tested[place].comparison for place in range(5)] == [
        compared(mine, other, clusters) for mine, other in zip(ours.T, theirs.T, strict=True)
    ]


def test_what_is_in_no_family_is_not_tested():
    paired = dict(
        enumerate(statistics.compare(simulated(2, seed=3), simulated(2, seed=5), STORES, [("MAP", "a", "b")] * 2))
    )
    tested = differences(paired, [[1]])
    assert (tested[0].p, tested[0].comparison.p, tested[0].direction) == (None, None, 0)
    assert tested[1].p is not None


# Flipping signs


def test_sign_flips_by_hand():
    assert sign_flip_p([1, 1, 1, 1, 1, 1]) == 2 / 64
    assert sign_flip_p([-1, -1, -1, -1, -1, -1], "less") == 1 / 64
    assert sign_flip_p([1, 1, 1, 1, 1, 1], "less") == 1.0
    assert sign_flip_p([-3, -1], "less") == 1 / 4
    assert sign_flip_p([0, 0, 0]) == 1.0


def test_sums_that_differ_by_rounding_alone_are_ties():
    # 0.1 + 0.2 - 0.3 is 5.6e-17, not 0: flips that cancel must still count as equal.
    assert sign_flip_p([0.1, 0.2, -0.3]) == 1.0
    assert sign_flip_p([0.1, 0.2, -0.3], "less") == sign_flip_p([1, 2, -3], "less") == 5 / 8


@pytest.mark.parametrize("alternative", ["two-sided", "less"])
@pytest.mark.parametrize("clusters", [6, 9, 12])
def test_exact_sign_flips_agree_with_scipy(alternative, clusters):
    sums = np.random.default_rng(clusters).normal(0.3, 1, clusters)
    theirs = scipy_stats.permutation_test(
        (sums,), np.sum, permutation_type="samples", alternative=alternative, n_resamples=np.inf
    )
    assert sign_flip_p(sums, alternative) == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("alternative", ["two-sided", "less"])
@pytest.mark.parametrize("clusters", [1, 2, 5, 13, 16])
def test_exact_sign_flips_are_those_counted_one_by_one(alternative, clusters):
    rng = np.random.default_rng(clusters)
    for sums in (rng.normal(0.3, 1, clusters), rng.integers(-2, 3, clusters)):
        assert sign_flip_p(sums, alternative) == plain_stats.sign_flip_p(sums, alternative)


def test_up_to_22_stores_no_seed_moves_a_p_value():
    sums = np.random.default_rng(22).normal(0.3, 1, (22, 4))
    alone = [holm_families([list(sums.T)], seed=seed) for seed in (0, 1)]
    assert alone[0] == alone[1]
    assert {test.flips for test in alone[0][0]} == {2**22}
    assert joint([sums], seed=0) == joint([sums], seed=1)


def test_of_22_stores_the_exact_p_is_told_where_drawn_flips_would_give_another_verdict():
    steps = np.random.default_rng(3089).integers(-8, 13, 22)
    counts = np.ones(1)  # how many flips give each sum, in steps of 1/32: a second way to go over all of them
    for step in np.abs(steps):
        counts = np.convolve(counts, [1, *[0] * (2 * step - 1), 1] if step else [2])
    reached = np.abs(np.arange(len(counts)) - len(counts) // 2) >= abs(steps.sum())
    exact = counts[reached].sum() / 2**22
    signs = np.hstack(list(statistics._flipped(np.eye(22), 0, statistics.DRAWS)))
    drawn = (np.count_nonzero(np.abs(np.sort(np.abs(steps)) @ signs) >= abs(steps.sum())) + 1) / (statistics.DRAWS + 1)
    assert exact < 0.05 < drawn
    stores = [f"s{place}" for place in range(22)]
    compared = compare(0.5 + steps[:, None] / 32, np.full((22, 1), 0.5), stores, [("MRR", "a", "b")])
    found = differences({"MRR": compared[0]}, [["MRR"]])["MRR"]
    assert (found.p, found.comparison.p, found.flips, found.direction) == (exact, exact, 2**22, 1)
    assert f"{exact:.4f}, all 4,194,304 flips" in comparing.text(comparing.SideBySide("d", (found,), "MRR", ()))
    assert joint([np.column_stack([steps / 32, np.zeros(22)])])[0][0, 1].p == exact
    twice = differences(dict(enumerate(compared * 2)), [[0, 1]])
    assert {one.p for one in twice.values()} == {2 * exact} and not any(one.direction for one in twice.values())


def borderline(clusters, p):
    """Sums whose two-sided p is near the given one: a normal sample, shifted until it is."""
    sums = np.random.default_rng(clusters).normal(0, 1, clusters)
    z = scipy_stats.norm.ppf(1 - p / 2)
    low, high = 0.0, 3.0
    for _ in range(60):
        middle = (low + high) / 2
        moved = sums - sums.mean() + middle
        low, high = (middle, high) if moved.sum() / math.sqrt((moved**2).sum()) < z else (low, middle)
    return moved


def test_above_22_stores_more_flips_are_drawn_until_the_verdict_does_not_depend_on_the_seed():
    sums = borderline(30, 0.046)
    tests = [holm_families([[sums]], seed=seed)[0][0] for seed in range(5)]
    assert len({test.p <= 0.05 for test in tests}) == 1
    assert not any(test.undecided for test in tests)
    assert all(test.flips > statistics.DRAWS for test in tests)
    clear = holm_families([[borderline(30, 0.4)]])[0][0]
    assert (clear.flips, clear.undecided) == (statistics.DRAWS, False)


def test_drawn_flips_are_near_those_of_all(monkeypatch):
    sums = np.random.default_rng(11).normal(0.2, 1, (16, 3))
    exact = [holm_families([list(sums.T)], side) for side in ("two-sided", "less")], joint([sums])
    monkeypatch.setattr(statistics, "EXACT_CLUSTERS", 6)
    drawn = [holm_families([list(sums.T)], side) for side in ("two-sided", "less")], joint([sums])
    for one, other in zip(exact[0], drawn[0], strict=True):
        assert [test.p for test in other[0]] == pytest.approx([test.p for test in one[0]], abs=0.03)
    assert [test.p for test in drawn[1][0].values()] == pytest.approx([t.p for t in exact[1][0].values()], abs=0.02)


def test_a_p_value_on_the_line_is_called_undecided_and_no_difference():
    low, high = 0.03, 0.08
    for _ in range(30):  # a p that no number of flips within the bound tells from 0.05
        [[test]] = holm_families([[borderline(30, (low + high) / 2)]])
        if test.undecided:
            break
        low, high = ((low + high) / 2, high) if test.p < 0.05 else (low, (low + high) / 2)
    assert test.undecided
    assert test.flips == statistics.MOST_DRAWS
    comparison = compared(simulated(1, seed=1, effect=1.0)[:, 0])
    assert statistics.Difference(comparison, 0.049, test.flips, undecided=True).direction == 0
    assert statistics.Difference(comparison, 0.049, test.flips, undecided=False).direction == 1


def test_a_family_is_decided_as_a_whole():
    """0.02 is no question for a test alone; of two hypotheses it is one, since Holm asks it to be below 0.025."""
    near, far = borderline(40, 0.0245), borderline(40, 0.4)
    [[alone]], [[first, _]] = holm_families([[near]]), holm_families([[near, far]])
    assert alone.flips == statistics.DRAWS
    assert first.flips > statistics.DRAWS


def test_a_drawn_p_is_never_zero():
    assert sign_flip_p([1.0] * 40) == 1 / (statistics.DRAWS + 1)


def test_no_clusters_cannot_be_flipped():
    with pytest.raises(ValueError, match="no cluster"):
        sign_flip_p([])


# Families and ranks


def test_holm_agrees_with_statsmodels():
    rng = np.random.default_rng(12)
    for length in (1, 2, 5, 40):
        p_values = (rng.random(length) ** 3).tolist()
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_leaves_missing_p_values_out():
    assert holm([None, 0.02, None, 0.04]) == [None, 0.04, None, 0.04]
    assert holm([None]) == [None]
    assert holm([]) == []


def test_families_are_adjusted_by_holm_and_leave_out_what_has_too_few_clusters():
    rng = np.random.default_rng(1)
    family = [rng.normal(1, 1, k) for k in (8, 5, 9, 24)]
    [tests] = holm_families([family])
    assert tests[1] is None
    kept = [test for test in tests if test is not None]
    assert [test.p for test in kept] == holm([test.alone for test in kept])


def test_ranks_count_the_systems_that_are_significantly_better():
    noise = simulated(4, seed=13, store_sd=0.01)
    values = {"low": noise[:, 0], "high": noise[:, 1] + 0.5, "high too": noise[:, 2] + 0.5, "lowest": noise[:, 3] - 0.5}
    assert rank_groups(values, STORES) == {"low": 3, "high": 1, "high too": 1, "lowest": 4}


def test_a_rank_reaches_from_those_that_are_better_to_those_that_are_worse():
    noise = simulated(4, seed=13, store_sd=0.01)
    values = {"low": noise[:, 0], "high": noise[:, 1] + 0.5, "high too": noise[:, 2] + 0.5}
    assert rank_ranges([values], STORES) == [{"low": (3, 3), "high": (1, 2), "high too": (1, 2)}]
    few = [str(number % 5) for number in range(len(STORES))]
    assert rank_ranges([values], few) == [dict.fromkeys(values, (1, 3))]


def test_below_six_clusters_all_systems_share_a_rank():
    values = {"low": [0.0] * 20, "high": [1.0] * 20}
    assert rank_groups(values, [str(number % 5) for number in range(20)]) == {"low": 1, "high": 1}


def test_equal_systems_share_a_rank():
    values = simulated(1, seed=14)[:, 0].tolist()
    assert rank_groups({"a": values, "b": values}, STORES) == {"a": 1, "b": 1}
    assert rank_groups({"a": values}, STORES) == {"a": 1}
    assert rank_groups({}, STORES) == {}


def test_many_systems_far_apart_are_told_apart_with_ten_stores():
    values = {f"s{number}": (simulated(1, seed=30 + number)[:, 0] + 3 * number).tolist() for number in range(10)}
    assert rank_groups(values, STORES) == {f"s{number}": 10 - number for number in range(10)}


@pytest.mark.parametrize("clusters", [8, 22, 40])
def test_joint_p_values_of_one_comparison_are_those_of_the_single_test(clusters):
    sums = np.random.default_rng(clusters).normal(0.3, 1, (clusters, 1))
    [tests] = joint([np.hstack([sums, 0 * sums])])
    assert tests[0, 1].p == pytest.approx(sign_flip_p(sums[:, 0]), abs=0 if clusters <= 22 else 0.02)


@pytest.mark.parametrize("clusters", [6, 9, 15, 16])
def test_joint_p_values_of_all_pairs_are_those_counted_one_by_one(clusters):
    sums = np.random.default_rng(clusters).random((clusters, 5)) + 0.05 * np.arange(5)
    sums[:, 4] = sums[:, 3]  # a pair without any difference
    [tests] = joint([sums])
    slow = plain_stats.joint_p([sums[:, one] - sums[:, other] for one, other in tests])
    assert [test.p for test in tests.values()] == slow


@pytest.mark.parametrize("stores", [1, 4, 9, 14])
def test_measures_that_share_flips_have_the_ranks_of_each(stores):
    rng = np.random.default_rng(stores)
    clusters = [f"s{place % stores}" for place in range(14 if stores == 1 else 84)]
    families = [
        {f"a{place}": (rng.random(len(clusters)) + 0.3 * place).tolist() for place in range(count)}
        for count in (5, 1, 3, 0)
    ]
    found = [{name: first for name, (first, _) in ranges.items()} for ranges in rank_ranges(families, clusters)]
    assert found == [plain_stats.rank_groups(values, clusters) for values in families]
    assert stores == 4 or len(set(found[0].values())) > 1


@pytest.mark.parametrize("clusters", [10, 300])
def test_pairs_are_told_alike_however_many_are_held_at_a_time(clusters, monkeypatch):
    sums = np.round(np.random.default_rng(6).normal(0, 3, (clusters, 8)) * 2**32) / 2**32
    whole = statistics._ascending(sums)
    for held in (1, clusters * 3, clusters * 27):
        monkeypatch.setattr(statistics, "HELD", held)
        parts = statistics._ascending(sums)
        assert [each.tobytes() for each in parts] == [each.tobytes() for each in whole]


def test_joint_p_values_are_no_smaller_than_single_ones():
    sums = np.random.default_rng(3).normal(0.4, 1, (10, 5))
    for (one, other), test in joint([sums])[0].items():
        assert test.p >= test.alone >= sign_flip_p(sums[:, one] - sums[:, other]) - 1e-12


def test_flips_go_on_for_pairs_near_the_line_and_count_what_they_counted_for_all():
    near, far = borderline(40, 0.019), 100 + np.arange(40) % 7
    sums = np.column_stack([near, np.zeros(40), np.arange(40) % 2 - 0.49, far])
    [tests] = joint([sums])
    assert tests[0, 1].flips > statistics.DRAWS
    assert {tests[pair].flips for pair in ((0, 3), (1, 3), (2, 3))} == {statistics.DRAWS}
    signs = np.hstack(list(statistics._flipped(np.eye(40), 0, tests[0, 1].flips)))
    three = [sums[:, one] - sums[:, other] for one, other in ((0, 1), (0, 2), (1, 2))]
    reached = [np.abs(apart @ signs) / np.sqrt(apart @ apart) for apart in three]
    observed = [abs(apart.sum()) / np.sqrt(apart @ apart) for apart in three]
    largest = np.max([own for own, seen in zip(reached, observed, strict=True) if seen <= observed[0]], axis=0)
    assert tests[0, 1].alone == ((largest >= observed[0] - 1e-9).sum() + 1) / (tests[0, 1].flips + 1)


def test_joint_p_values_keep_the_family_wise_error_rate():
    rng = np.random.default_rng(4)
    rejected = 0
    for _ in range(600):
        systems = rng.normal(0, 1, (10, 5)) + rng.normal(0, 1, (10, 1))
        rejected += min(test.p for test in joint([systems])[0].values()) <= 0.05
    assert 0.01 < rejected / 600 <= 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5


def test_ranks_need_values_for_the_same_queries():
    with pytest.raises(ValueError, match="b has 2 values"):
        rank_groups({"a": [1.0] * 10, "b": [1.0] * 2}, ["x"] * 10)


def test_the_order_of_the_queries_does_not_matter():
    rng = np.random.default_rng(0)
    values, clusters = rng.random((50, 3)), ["one"] * 50
    assert joint([statistics.units(values, clusters).sums]) == joint([statistics.units(values[::-1], clusters).sums])


# Abstention and planning


def test_auroc_agrees_with_sklearn():
    rng = np.random.default_rng(15)
    positive, negative = rng.integers(0, 8, 60) / 8, rng.integers(0, 6, 45) / 8
    labels = [1] * 60 + [0] * 45
    assert auroc(positive, negative) == pytest.approx(roc_auc_score(labels, np.concatenate([positive, negative])))


def test_auroc_of_constant_scores_is_a_half():
    assert auroc([0.5, 0.5], [0.5]) == 0.5


def test_auroc_needs_both_sides():
    with pytest.raises(ValueError, match="both sides"):
        auroc([], [0.1])


def test_the_detectable_difference_is_found_in_four_of_five_repetitions():
    sets = simulated(1_000, seed=16)
    size = float(np.mean([detectable(column, STORES) for column in sets.T]))
    sums = np.add.reduceat(-sets - size, np.cumsum((0, *SIZES[:-1])), axis=0)
    assert np.mean([sign_flip_p(column, "less") <= 0.05 for column in sums.T]) == pytest.approx(0.8, abs=0.04)


def test_what_will_be_detectable_is_what_is_detectable_in_simulated_data():
    sets = simulated(300, seed=17, store_sd=0.05, query_sd=0.25)
    found = float(np.mean([detectable(column, STORES) for column in sets.T]))
    assert foreseeable(STORES, 0.25, 0.05) == pytest.approx(found, rel=0.1)


def test_the_detectable_difference_of_equal_stores_is_that_of_their_means():
    values = np.random.default_rng(17).normal(size=8)
    expected = (scipy_stats.t.ppf(0.95, 7) + scipy_stats.t.ppf(0.8, 7)) * values.std(ddof=1) / math.sqrt(8)
    assert detectable(np.repeat(values, 3), np.repeat(list("abcdefgh"), 3).tolist()) == pytest.approx(
        expected, rel=1e-4
    )
    assert math.isnan(detectable([0.1], ["a"]))


def test_results_are_plain_numbers():
    for record in (estimate(np.ones(12), [str(number) for number in range(12)]), compared(simulated(1, seed=18)[:, 0])):
        kinds = {type(value) for value in dataclasses.asdict(record).values()}
        assert kinds <= {float, int, str, bool}


def test_the_lower_bound_is_that_of_a_two_sided_interval_of_90_per_cent() -> None:
    means = np.random.default_rng(2).normal(0.02, 0.05, 400)
    wanted = scipy_stats.ttest_1samp(means, 0.0, alternative="greater").confidence_interval(0.95).low
    assert lower_bound(np.repeat(means, 2).tolist(), [str(p // 2) for p in range(800)]) == pytest.approx(
        wanted, abs=1e-3
    )
    assert math.isnan(lower_bound([0.1], ["a"]))


def test_a_stricter_test_sees_less() -> None:
    differences, stores = [0.1, 0.3, -0.2, 0.0, 0.4, 0.1], list("aabbcc")
    plain = detectable(differences, stores)
    assert detectable(differences, stores, alpha=0.05) == plain
    assert detectable(differences, stores, alpha=0.05 / 12) > plain
