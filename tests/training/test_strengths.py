"""Strengths: against another solver, planted ones under noise, and what is said where votes do not suffice."""

import math
from random import Random

import numpy as np
import pytest
from scipy.optimize import minimize

from memeval.training import graph, levels, strengths
from memeval.training.strengths import APART, BEATEN, UNBEATEN, UNVOTED


def solved(wins: np.ndarray, alpha: float) -> np.ndarray:  # type: ignore[type-arg]
    """The same optimum by scipy's quasi-Newton method, from the likelihood as it is written in textbooks."""
    size = len(wins)

    def loss(at: np.ndarray) -> float:  # type: ignore[type-arg]
        told = sum(
            wins[a, b] * math.log(math.exp(at[a]) / (math.exp(at[a]) + math.exp(at[b])))
            for a in range(size)
            for b in range(size)
            if wins[a, b]
        )
        return float(alpha / 2 * (at**2).sum() - told)

    return np.asarray(minimize(loss, np.zeros(size), method="BFGS", options={"gtol": 1e-10, "maxiter": 5000}).x)


@pytest.mark.parametrize("alpha", [1.0, 0.05])
@pytest.mark.parametrize("seed", range(4))
def test_strengths_are_those_of_an_independent_solver(seed: int, alpha: float) -> None:
    random = Random(seed)
    size = random.randint(3, 9)
    wins = np.zeros((size, size))
    for one, other in graph.regular(size, 4, random):
        won = random.choice([0, 0.5, 1, 2, 3])
        wins[one, other] += won
        wins[other, one] += 3 - won
    assert strengths.bradley_terry(wins, alpha) == pytest.approx(solved(wins, alpha), abs=1e-6)


def test_without_regularisation_they_are_choix_s() -> None:
    choix = pytest.importorskip("choix", reason="choix is not installed")
    won = [(0, 1), (1, 2), (2, 0), (0, 2), (1, 0), (2, 1), (0, 1), (0, 2), (1, 2)]
    wins = np.zeros((3, 3))
    for one, other in won:
        wins[one, other] += 1
    theirs = choix.opt_pairwise(3, won, method="BFGS", tol=1e-10)
    assert strengths.bradley_terry(wins, 1e-9) == pytest.approx(theirs - theirs.mean(), abs=1e-5)


def voted(random: Random, truth: list[float], teachers: int) -> list[tuple[int, int, float]]:
    """The votes of teachers who see these strengths through the model's own noise."""
    return [
        (a, b, float(random.random() < 1 / (1 + math.exp(truth[b] - truth[a]))))
        for a, b in graph.regular(len(truth), 8, random)
        for _ in range(teachers)
    ]


def planted(common: bool) -> tuple[list[int], list[int]]:
    """Levels as they are and as they are found, of queries whose best memory is of any level."""
    random, true, found = Random(3), list[int](), list[int]()
    for number in range(40):
        wanted = [random.randint(0, number % 5) for _ in range(14)]
        truth = [0.0, 0.0, 0.0, *(level * 1.5 for level in wanted)]
        fit = strengths.fit(len(truth), voted(random, truth, 12), [0, 1, 2], 0.01, common=common)
        own = fit.strengths[3:]
        low, high = (-0.75, 6.75) if common else (min(own), max(own))
        true += wanted
        found += [level for strength in own if (level := levels.level(strength, low, high)) is not None]
    return true, found


def test_planted_levels_are_found_under_noise_on_the_common_scale() -> None:
    true, found = planted(common=True)
    apart = [abs(a - b) for a, b in zip(true, found, strict=True)]
    assert np.mean([each == 0 for each in apart]) > 0.7
    assert np.mean([each <= 1 for each in apart]) > 0.98


def test_without_a_common_scale_queries_without_an_answer_get_one() -> None:
    true, found = planted(common=False)
    assert np.mean([b - a >= 2 for a, b in zip(true, found, strict=True)]) > 0.1


def test_who_won_or_lost_all_is_finite_and_told() -> None:
    fit = strengths.fit(3, [(0, 1, 1.0), (1, 2, 1.0), (0, 2, 1.0)], [2], 0.1, common=True)
    assert fit.notes == (UNBEATEN, "", BEATEN)
    assert fit.strengths[0] > fit.strengths[1] > fit.strengths[2] == 0
    assert all(map(math.isfinite, fit.strengths))


def test_what_no_vote_connects_to_an_anchor_gets_no_strength() -> None:
    fit = strengths.fit(6, [(0, 1, 1.0), (2, 3, 0.5), (3, 2, 0.5)], [0, 5], 0.1, common=True)
    assert fit.notes == (UNBEATEN, BEATEN, APART, APART, UNVOTED, UNVOTED)
    assert [math.isnan(each) for each in fit.strengths] == [False, False, True, True, True, True]
    alone = strengths.fit(5, [(0, 1, 1.0), (2, 3, 1.0), (3, 4, 1.0)], [], 0.1, common=False)
    assert [math.isnan(each) for each in alone.strengths] == [True, True, False, False, False]


def test_a_query_whose_anchors_met_nobody_has_no_strengths() -> None:
    fit = strengths.fit(3, [(1, 2, 1.0)], [0], 0.1, common=True)
    assert all(map(math.isnan, fit.strengths))
    assert strengths.fit(0, [], [], 0.1, common=False).strengths == ()


def test_the_ceiling_is_the_mean_of_what_is_labelled_or_unknown() -> None:
    assert levels.ceiling([2.0, 4.0, math.nan]) == 3.0
    assert levels.ceiling([-1.0]) is None is levels.ceiling([])
