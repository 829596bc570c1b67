import dataclasses
import itertools
import math
import random

import numpy as np
import pytest
from scipy import stats as scipy_stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from memeval.paired import rank_groups
from memeval.stats import (
    auroc,
    compare,
    detectable,
    estimate,
    estimates,
    holm,
    lower_bound,
    sign_flip_p,
)
from tests.plain_stats import joint_p

SIZES = (40, 55, 60, 70, 80, 90, 100, 110, 120, 160)
"""Ten stores of unequal size."""
STORES = [f"store-{number}" for number, size in enumerate(SIZES) for _ in range(size)]


def simulated(sets: int, seed: int, effect: float = 0.0, store_sd: float = 0.1, query_sd: float = 0.4) -> np.ndarray:
    """Queries x sets: an effect, a store's own effect, and noise."""
    rng = np.random.default_rng(seed)
    by_store = rng.normal(0, store_sd, (len(SIZES), sets))
    return effect + np.repeat(by_store, SIZES, axis=0) + rng.normal(0, query_sd, (len(STORES), sets))


def compared(differences, clusters=STORES, **options):
    options = {"measure": "MAP", "names": ("a", "b"), "draws": 200} | options
    return compare(differences, np.zeros(len(differences)), clusters, **options)


# Intervals


def test_a_mean_is_over_queries_not_over_stores():
    result = estimate([1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"], draws=50)
    assert (result.value, result.n, result.clusters) == (0.75, 4, 2)


def test_the_interval_of_two_clusters_spans_both():
    result = estimate([0.2, 0.4, 0.9], ["a", "a", "b"])
    assert (result.low, result.high) == pytest.approx((0.3, 0.9))


def test_the_interval_is_wider_than_plain_percentiles_by_hesterbergs_factor():
    rng = np.random.default_rng(0)
    values = rng.normal(size=10)
    result = estimate(values, [f"{number}" for number in range(10)])
    means = values[rng.integers(10, size=(200_000, 10))].mean(axis=1)
    tail = scipy_stats.norm.cdf(-math.sqrt(10 / 9) * scipy_stats.t.ppf(0.975, 9))
    assert (result.low, result.high) == pytest.approx(np.quantile(means, [tail, 1 - tail]), abs=0.06)
    assert tail < 0.01


def test_the_interval_covers_the_truth_in_95_of_100_simulated_data_sets():
    results = estimates(simulated(2_000, seed=1), STORES, draws=4_000)
    covered = np.mean([result.low <= 0 <= result.high for result in results])
    assert 0.92 <= covered <= 0.98


def test_an_interval_that_takes_queries_for_the_unit_is_too_narrow():
    """The reason for all this: the same data, with the clusters ignored."""
    results = estimates(simulated(300, seed=1), [str(number) for number in range(len(STORES))], draws=500)
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


def test_the_interval_stays_within_the_observed_values():
    values = [1.0] * 30 + [0.0] * 2
    result = estimate(values, [f"{number % 8}" for number in range(32)])
    assert 0 <= result.low <= result.value <= result.high <= 1


@pytest.mark.parametrize("clusters", [STORES, ["only"] * len(STORES)], ids=["stores", "single store"])
def test_the_order_of_queries_and_stores_does_not_change_a_byte(clusters):
    rows = list(zip(simulated(1, seed=2)[:, 0].tolist(), clusters, strict=True))
    shuffled = random.Random(0).sample(rows, len(rows))
    before, after = ([list(column) for column in zip(*some, strict=True)] for some in (rows, shuffled))
    assert repr(estimate(*before, draws=1_500)) == repr(estimate(*after, draws=1_500))
    assert repr(compared(*before)) == repr(compared(*after))


def test_estimates_of_many_measures_are_the_estimates_of_each():
    matrix = simulated(3, seed=4)
    assert estimates(matrix, STORES, draws=1_200) == [estimate(column, STORES, draws=1_200) for column in matrix.T]


def test_another_seed_gives_another_interval():
    values = simulated(1, seed=5)[:, 0]
    first, second = (estimate(values, STORES, seed=seed, draws=300) for seed in (0, 1))
    assert first.value == second.value
    assert first.low != second.low


@pytest.mark.parametrize("values", [[], [0.1, 0.2]])
def test_values_that_do_not_fit_the_clusters_are_refused(values):
    with pytest.raises(ValueError, match="queries in"):
        estimate(values, ["a"] * (len(values) // 2))


# Comparisons


def test_compare_alarms_falsely_no_more_often_than_it_says():
    sets = simulated(1_500, seed=6)
    alarms = np.mean([compared(column, draws=10).p <= 0.05 for column in sets.T])
    assert 0.02 < alarms <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1_500)


def test_compare_finds_a_large_effect():
    sets = simulated(200, seed=7, effect=0.15)
    assert np.mean([compared(column, draws=10).p <= 0.05 for column in sets.T]) > 0.9


def test_a_comparison_of_equal_values_is_identical():
    values = simulated(1, seed=8)[:, 0]
    result = compare(values, values, STORES, measure="MAP", names=("a", "b"), draws=100)
    assert (result.identical, result.difference, result.low, result.high, result.p) == (True, 0.0, 0.0, 0.0, 1.0)


def test_swapping_sides_turns_the_sign_and_keeps_p():
    ours, theirs = simulated(2, seed=9).T
    there, back = (compare(*pair, STORES, measure="MAP", names=("a", "b")) for pair in ((ours, theirs), (theirs, ours)))
    assert there.difference == -back.difference
    assert there.low == pytest.approx(-back.high)
    assert there.p == back.p
    assert not there.identical
    assert (there.measure, there.ours, there.theirs, there.n, there.clusters) == ("MAP", "a", "b", len(STORES), 10)


@pytest.mark.parametrize(("stores", "has_p"), [(2, False), (5, False), (6, True)])
def test_below_six_clusters_there_is_no_p(stores, has_p):
    clusters = [str(number % stores) for number in range(30)]
    assert (compared(np.ones(30), clusters).p is not None) == has_p


@pytest.mark.parametrize(("queries", "has_p"), [(5, False), (30, True)])
def test_with_a_single_store_queries_count_as_clusters(queries, has_p):
    result = compared(np.ones(queries), ["only"] * queries)
    assert (result.clusters, result.p is not None) == (queries, has_p)


def test_different_lengths_cannot_be_paired():
    with pytest.raises(ValueError, match="paired"):
        compare([0.1], [0.1, 0.2], ["a", "b"], measure="MAP", names=("a", "b"))


def test_sign_flips_by_hand():
    assert sign_flip_p([1, 1, 1, 1, 1, 1]) == 2 / 64
    assert sign_flip_p([1, 1, 1, 1, 1, 1], "greater") == 1 / 64
    assert sign_flip_p([1, 1, 1, 1, 1, 1], "less") == 1.0
    assert sign_flip_p([-3, -1], "less") == 1 / 4
    assert sign_flip_p([0, 0, 0]) == 1.0


def test_sums_that_differ_by_rounding_alone_are_ties():
    # 0.1 + 0.2 - 0.3 is 5.6e-17, not 0: flips that cancel must still count as equal.
    assert sign_flip_p([0.1, 0.2, -0.3]) == 1.0
    assert sign_flip_p([0.1, 0.2, -0.3], "less") == sign_flip_p([1, 2, -3], "less") == 5 / 8


@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
@pytest.mark.parametrize("clusters", [6, 9, 12])
def test_exact_sign_flips_agree_with_scipy(alternative, clusters):
    sums = np.random.default_rng(clusters).normal(0.3, 1, clusters)
    theirs = scipy_stats.permutation_test(
        (sums,), np.sum, permutation_type="samples", alternative=alternative, n_resamples=np.inf
    )
    assert sign_flip_p(sums, alternative) == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
def test_drawn_sign_flips_are_near_the_exact_p(alternative):
    sums = np.random.default_rng(11).normal(0.3, 1, 16)
    flips = np.array(list(itertools.product((-1, 1), repeat=16))) @ sums
    exact = {
        "two-sided": np.mean(np.abs(flips) >= abs(sums.sum()) - 1e-9),
        "less": np.mean(flips <= sums.sum() + 1e-9),
        "greater": np.mean(flips >= sums.sum() - 1e-9),
    }[alternative]
    assert sign_flip_p(sums, alternative) == pytest.approx(exact, abs=0.02)
    assert sign_flip_p(sums, alternative) == sign_flip_p(sums, alternative, seed=0)


def test_a_drawn_p_is_never_zero():
    assert sign_flip_p([1.0] * 40, draws=999) == 1 / 1_000


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


def test_ranks_count_the_systems_that_are_significantly_better():
    noise = simulated(4, seed=13, store_sd=0.01)
    values = {"low": noise[:, 0], "high": noise[:, 1] + 0.5, "high too": noise[:, 2] + 0.5, "lowest": noise[:, 3] - 0.5}
    assert rank_groups(values, STORES) == {"low": 3, "high": 1, "high too": 1, "lowest": 4}


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


def test_joint_p_values_of_one_comparison_are_those_of_the_single_test():
    for seed, clusters in ((1, 8), (2, 40)):
        sums = np.random.default_rng(seed).normal(0.3, 1, clusters)
        assert joint_p([sums], seed=seed, draws=999) == [sign_flip_p(sums, seed=seed, draws=999)]


def test_joint_p_values_are_no_smaller_than_single_ones():
    sums = np.random.default_rng(3).normal(0.4, 1, (12, 10))
    single = np.array([sign_flip_p(row) for row in sums])
    joint = np.array(joint_p(sums))
    assert np.all(joint >= single - 1e-12)


def test_joint_p_values_keep_the_family_wise_error_rate():
    rng = np.random.default_rng(4)
    rejected = 0
    for _ in range(600):
        systems = rng.normal(0, 1, (5, 10)) + rng.normal(0, 1, (1, 10))
        sums = np.array([systems[i] - systems[j] for i in range(5) for j in range(i)])
        rejected += min(joint_p(sums)) <= 0.05
    assert 0.01 < rejected / 600 <= 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5


def test_ranks_need_values_for_the_same_queries():
    with pytest.raises(ValueError, match="b has 2 values"):
        rank_groups({"a": [1.0] * 10, "b": [1.0] * 2}, ["x"] * 10)


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
    sums = np.add.reduceat(sets + size, np.cumsum((0, *SIZES[:-1])), axis=0)
    assert np.mean([sign_flip_p(column, "greater") <= 0.05 for column in sums.T]) == pytest.approx(0.8, abs=0.04)


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


def test_the_lower_bound_is_that_of_a_t_test_on_stores_of_equal_size() -> None:
    differences = [0.1, 0.3, -0.2, 0.0, 0.4, 0.1, 0.2, 0.2]
    stores = ["a", "a", "b", "b", "c", "c", "d", "d"]
    means = [0.2, -0.1, 0.25, 0.2]
    wanted = scipy_stats.ttest_1samp(means, 0.0, alternative="greater").confidence_interval(0.95).low
    assert lower_bound(differences, stores) == pytest.approx(wanted)
    assert math.isnan(lower_bound([0.1], ["a"]))


def test_a_stricter_test_sees_less() -> None:
    differences, stores = [0.1, 0.3, -0.2, 0.0, 0.4, 0.1], list("aabbcc")
    plain = detectable(differences, stores)
    assert detectable(differences, stores, alpha=0.05) == plain
    assert detectable(differences, stores, alpha=0.05 / 12) > plain
