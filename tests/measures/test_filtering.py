"""Thresholds to filter at: chosen on development stores, measured on test stores."""

import numpy as np
import pytest

from memeval.measures import statistics
from memeval.measures.filtering import LEAST, WANTED, filters


def drawn(
    seed: int, queries: int = 300, depth: int = 12
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Lists with ties, short and failed ones, queries without a relevant memory, relevant ones outside the pool."""
    random = np.random.default_rng(seed)
    hits = random.random((queries, depth)) < 0.3
    scores = np.round(hits * 2.0 + random.standard_normal(hits.shape), 1)
    order = np.argsort(-scores, axis=1, kind="stable")
    scores, hits = np.take_along_axis(scores, order, axis=1), np.take_along_axis(hits, order, axis=1)
    scores[::7, depth // 2 :] = np.nan
    scores[3::50] = np.nan
    hits &= ~np.isnan(scores)
    relevant = hits.sum(axis=1) + (np.arange(queries) % 5 == 0)
    units = [f"s{query % 15}" for query in range(queries)]
    dev = np.arange(queries) % 15 < 5
    return scores, hits, relevant, dev, units


@pytest.mark.parametrize("seed", range(6))
def test_a_filter_is_the_lowest_threshold_that_reaches_what_is_wanted(seed: int) -> None:
    """A second implementation, that tries every threshold one after the other."""
    scores, hits, relevant, dev, units = drawn(seed)

    def let_in(query: int, threshold: float) -> list[bool]:
        return [bool(hit) for score, hit in zip(scores[query], hits[query], strict=True) if score >= threshold]

    def precision(queries: list[int], threshold: float) -> tuple[float, int]:
        passed = [hit for query in queries for hit in let_in(query, threshold)]
        return sum(passed) / len(passed), len(passed)

    development, test = np.flatnonzero(dev).tolist(), np.flatnonzero(~dev).tolist()
    every = sorted({score for query in development for score in scores[query].tolist() if score == score})
    found = filters(scores, hits, relevant, dev, units)
    assert [one.wanted for one in found] == [*WANTED, None]
    for one in found:
        if one.wanted is not None:
            reach = [(t, *precision(development, t)) for t in every]
            wanted = [t for t, share, count in reach if share >= one.wanted and count >= LEAST]
            assert one.threshold == (wanted[0] if wanted else None)
        if one.threshold is None:
            assert one.outcome == "not reached"
            continue
        assert one.on_development == pytest.approx(precision(development, one.threshold)[0])
        passed = {query: let_in(query, one.threshold) for query in test}
        pairs = [(float(hit), units[query]) for query in test for hit in passed[query]]
        judged = [query for query in test if relevant[query]]
        for told, (values, stores) in (
            (one.precision, tuple(zip(*pairs, strict=True))),
            (one.recall, ([sum(passed[q]) / relevant[q] for q in judged], [units[q] for q in judged])),
            (one.let_in, ([len(passed[q]) for q in test], [units[q] for q in test])),
            (one.empty, ([float(not passed[q]) for q in test], [units[q] for q in test])),
        ):
            again = statistics.estimate(values, stores)
            assert told is not None
            assert (told.value, told.low, told.high) == pytest.approx((again.value, again.low, again.high))


def test_a_filter_that_was_luck_on_development_stores_does_not_carry_over() -> None:
    scores = np.tile([2.0, 1.0], (200, 1))
    hits = np.tile([True, False], (200, 1))
    hits[100:, 0] = np.arange(100) % 2 == 0  # on test stores every other one
    dev = np.arange(200) < 100
    found = filters(scores, hits, np.ones(200, dtype=np.int64), dev, [f"s{query // 10}" for query in range(200)])
    assert [one.outcome for one in found[:3]] == ["does not carry over"] * 3
    assert found[0].threshold == 2.0
    swapped = filters(scores, hits, np.ones(200, dtype=np.int64), ~dev, [f"s{query // 10}" for query in range(200)])
    assert [one.outcome for one in swapped[:3]] == ["not reached"] * 3


def test_without_stores_of_both_kinds_there_is_nothing_to_choose_or_to_measure() -> None:
    scores, hits, relevant, dev, units = drawn(0)
    for kind in (np.ones_like(dev), np.zeros_like(dev)):
        assert filters(scores, hits, relevant, kind, units) == ()


def test_a_filter_that_lets_nothing_in_on_test_stores_has_no_precision_there() -> None:
    scores = np.where(np.arange(60)[:, None] < 30, 2.0, 1.0) * np.ones((60, 1))
    hits = np.ones((60, 1), dtype=bool)
    units = [f"s{query // 5}" for query in range(60)]
    found = filters(scores, hits, np.ones(60, dtype=np.int64), np.arange(60) < 30, units)
    assert [one.outcome for one in found] == ["lets nothing in"] * 4
    assert found[0].empty is not None
    assert found[0].empty.value == 1
