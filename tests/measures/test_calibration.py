"""Calibration, against scikit-learn and by hand."""

import math
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray

from memeval.measures import calibration as cal
from memeval.measures.threshold import Folds, best_thresholds, cross_fitted_f1, f1_above, f1_curve

RANDOM = np.random.default_rng(7)


def pairs(n: int = 4000, lift: float = 1.7) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    labels = RANDOM.random(n) < 0.2
    return RANDOM.normal(size=n) + lift * labels, labels


def test_bins_agree_with_scikit_learn() -> None:
    from sklearn.calibration import calibration_curve

    scores, labels = pairs()
    p = 1 / (1 + np.exp(-scores))
    frequency, confidence = calibration_curve(labels, p, n_bins=10)
    found = [one for one in cal.bins(p, labels) if one.n]
    assert [one.frequency for one in found] == pytest.approx(frequency.tolist())
    assert [one.confidence for one in found] == pytest.approx(confidence.tolist())


def test_the_brier_score_agrees_with_scikit_learn_for_any_bins() -> None:
    from sklearn.metrics import brier_score_loss

    scores, labels = pairs()
    p = 1 / (1 + np.exp(-scores))
    for count in (1, 5, 10):
        assert cal.brier(cal.bins(p, labels, count)) == pytest.approx(brier_score_loss(labels, p), abs=1e-12)


def test_ece_by_hand() -> None:
    # [0, .5): .1 and .3, one relevant: |1 - .4| / 4; [.5, 1]: .9 and 1, both relevant: |2 - 1.9| / 4
    found = cal.bins(np.array([0.1, 0.3, 0.9, 1.0]), np.array([False, True, True, True]), 2)
    assert cal.ece(found) == pytest.approx((0.6 + 0.1) / 4)
    assert math.isnan(cal.ece(cal.bins(np.array([]), np.array([], dtype=bool))))


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e4])
def test_platt_agrees_with_scikit_learn(scale: float) -> None:
    from sklearn.calibration import _SigmoidCalibration

    scores, labels = pairs()
    ours = cal.platt(scores * scale, labels)
    theirs = _SigmoidCalibration().fit(scores, labels)
    assert ours is not None
    assert ours(scores * scale) == pytest.approx(theirs.predict(scores), abs=2e-4)


def test_platt_never_turns_an_order_round() -> None:
    scores, labels = pairs()
    curve = cal.platt(-scores, labels)
    assert curve is not None
    flat = curve(np.array([-9.0, 0.0, 9.0]))
    assert flat == pytest.approx([labels.mean()] * 3, abs=1e-3)
    assert cal.platt(scores, np.ones(len(scores), dtype=bool)) is None


def test_isotonic_agrees_with_scikit_learn() -> None:
    from sklearn.isotonic import IsotonicRegression

    scores, labels = pairs()
    scores = scores.round(1)  # many equal scores
    ours = cal.isotonic(scores, labels)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
    asked = np.linspace(-6, 8, 301)
    assert ours is not None
    assert ours(asked) == pytest.approx(theirs.predict(asked), abs=1e-9)


def test_separable_pairs_do_not_break_anything() -> None:
    curve = cal.platt(np.array([0.0, 0.0, 1.0, 1.0]), np.array([False, False, True, True]))
    assert curve is not None
    low, high = curve(np.array([0.0, 1.0]))
    assert low < 0.4 < 0.6 < high
    constant = cal.platt(np.zeros(4), np.array([False, False, False, True]))
    assert constant is not None
    assert constant(np.zeros(1)) == pytest.approx([1 / 3], abs=0.02)


def lists(n: int = 40, depth: int = 12) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    scores = RANDOM.normal(size=(n, depth)).round(1)
    hits = RANDOM.random((n, depth)) < 0.15
    scores += hits
    down = np.argsort(-scores, axis=1, kind="stable")
    scores, hits = np.take_along_axis(scores, down, 1), np.take_along_axis(hits, down, 1)
    scores[3, 5:] = np.nan
    hits[3, 5:] = False
    return scores, hits, hits.sum(axis=1) + 1


def test_the_threshold_is_the_one_that_the_f1_measure_chooses() -> None:
    scores, hits, relevant = lists()
    rows = [row[~np.isnan(row)].tolist() for row in scores]
    grades = [hit[: len(row)].astype(int).tolist() for hit, row in zip(hits, rows, strict=True)]
    fold = [place % 2 for place in range(len(rows))]
    fitted = cross_fitted_f1(rows, grades, relevant.tolist(), Folds(tuple(fold), 2, "store"))
    dev = np.array(fold) == 1
    threshold, other, nothing = best_thresholds(scores, hits, relevant, [dev, ~dev, dev & ~dev])
    assert (threshold, other, nothing) == (fitted.thresholds[0], fitted.thresholds[1], None)
    values = f1_above(scores[~dev], hits[~dev], relevant[~dev], threshold or 0.0)
    assert values.tolist() == pytest.approx(fitted.values[~dev].tolist())
    nan, none = np.full((2, 3), np.nan), np.zeros((2, 3), dtype=bool)
    assert best_thresholds(nan, none, np.ones(2, dtype=int), [np.ones(2, dtype=bool)]) == [None]


def test_only_declared_probabilities_are_taken_for_some() -> None:
    assert cal.probability("probability", np.array([0.2, np.nan])) is not None
    assert cal.probability("probability", np.array([1.2])) is None
    assert cal.probability(None, np.array([0.2])) is None
    assert cal.probability("rank", np.array([0.2])) is None


def test_levels_are_right_by_their_side() -> None:
    found = cal.bins(np.array([0.1, 0.1, 0.5, 0.9, 0.2]), np.array([False, True, True, True, False]), 5)
    assert [one.n for one in found] == [2, 1, 1, 0, 1]  # .2 belongs to the next level
    assert cal.right(0, found[0]) == 0.5
    assert math.isnan(cal.right(2, found[2]))
    assert cal.right(4, found[4]) == 1.0


def test_a_system_is_calibrated_on_development_stores_and_measured_on_the_others() -> None:
    scores, hits, relevant = lists(400)
    dev = np.arange(400) % 3 == 0
    found = cal.calibrate("log-odds", scores, hits, relevant, dev)
    assert found.before is not None
    assert found.platt is not None
    assert cal.ece(found.platt) < cal.ece(found.before)
    assert cal.brier(found.platt) < cal.brier(found.before)
    assert found.pairs == int((~np.isnan(scores[~dev])).sum())
    assert found.f1_best is not None
    assert found.f1_test is not None
    assert found.f1_test <= found.f1_best
    alone = cal.calibrate(None, scores, hits, relevant, np.zeros(400, dtype=bool))
    assert (alone.before, alone.platt, alone.threshold, alone.f1_test) == (None, None, None, None)
    silent = cal.calibrate(
        "rank", np.full((4, 2), np.nan), np.zeros((4, 2), dtype=bool), np.ones(4, dtype=int), dev[:4]
    )
    assert silent.risk == ()


def test_f1_over_many_thresholds_is_that_of_each() -> None:
    scores = np.round(-np.sort(-RANDOM.random((30, 12)), axis=1), 2)  # some are thresholds themselves
    scores[::4, 9:] = np.nan
    hits, relevant = RANDOM.random((30, 12)) < 0.2, np.full(30, 12)
    each = [float(f1_above(scores, hits, relevant, float(at)).mean()) for at in cal.GRID]
    assert f1_curve(scores, hits, relevant, cal.GRID).tolist() == each


@pytest.mark.parametrize("size", [1e100, 1.0, 1e-100, 5e-324])
def test_scores_of_any_size_give_probabilities(size: float) -> None:
    scores = np.arange(1.0, 61.0) * size
    labels = np.arange(60) % 7 > np.arange(60)[::-1] // 12
    with warnings.catch_warnings(action="error"):
        for curve in (cal.platt(scores, labels), cal.isotonic(scores, labels)):
            assert curve is not None
            found = curve(scores)
            assert np.isfinite(found).all() and (np.diff(found) >= 0).all() and found.min() >= 0 and found.max() <= 1
