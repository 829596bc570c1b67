"""The ablation's statistics, by hand and against scipy's, and its page."""

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "distil"))

import ablation
import page

UNITS = ["a", "a", "b", "b", "c", "c", "d", "d"]


def sums(values: list[float]) -> Any:
    return ablation.mean_of(np.array(values), UNITS)


def test_of_one_seed_the_interval_is_student_s_over_stores() -> None:
    ours, theirs = [0.9, 0.7, 0.4, 0.6, 1.0, 0.2, 0.8, 0.5], [0.5, 0.5, 0.3, 0.5, 0.9, 0.3, 0.2, 0.1]
    found = ablation.difference([sums(ours)], [sums(theirs)])
    by_store = (np.array(ours) - np.array(theirs)).reshape(4, 2).mean(axis=1)
    assert found.value == pytest.approx(by_store.mean())
    low, high = stats.t.interval(0.95, 3, by_store.mean(), by_store.std(ddof=1) / 2)
    assert (found.value - found.reach, found.value + found.reach) == pytest.approx((low, high))


def test_without_stores_to_differ_in_the_interval_is_welch_s_over_seeds() -> None:
    ours, theirs = [0.9, 0.8, 0.85], [0.5, 0.6, 0.7]
    found = ablation.difference(*([sums([value] * 8) for value in side] for side in (ours, theirs)))
    welch = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    assert (found.value - found.reach, found.value + found.reach) == pytest.approx((welch.low, welch.high))


def test_both_sources_of_chance_widen_the_interval() -> None:
    ours, theirs = [0.9, 0.7, 0.4, 0.6, 1.0, 0.2, 0.8, 0.5], [0.5, 0.5, 0.3, 0.5, 0.9, 0.3, 0.2, 0.1]
    shifted = [[value + shift for value in ours] for shift in (-0.2, 0.0, 0.2)]
    one, three = (ablation.difference([sums(each) for each in side], [sums(theirs)]) for side in ([ours], shifted))
    assert three.value == pytest.approx(one.value)
    assert three.stores == pytest.approx(one.stores) and three.seeds == pytest.approx(0.04 / 3)
    assert three.reach > one.reach


def test_test_sets_count_alike_and_their_stores_are_independent() -> None:
    pair = [sums([0.9, 0.7, 0.4, 0.6, 1.0, 0.2, 0.8, 0.5])], [sums([0.5] * 8)]
    one, twice = ablation.difference(*pair), ablation.mean_difference([pair, pair])
    assert twice.value == pytest.approx(one.value)
    assert twice.stores == pytest.approx(one.stores / 2) and twice.freedom == pytest.approx(6)


def test_the_calibration_error_of_sums_is_that_of_all_pairs() -> None:
    probable = np.array([[0.1, 0.9, math.nan], [0.2, 0.8, 0.4]])
    hits = np.array([[False, True, False], [True, True, False]])
    known = ~np.isnan(probable)
    whole = ablation.calibration.ece(ablation.calibration.bins(probable[known], hits[known]))
    assert ablation.ece_of(probable, hits, ["a", "b"]).value == pytest.approx(whole)


def test_verdicts_follow_the_interval_and_which_way_is_better() -> None:
    clear, open_ = ablation.Difference(0.2, 0.001, 0.0, 9), ablation.Difference(0.2, 0.1, 0.0, 9)
    assert [clear.verdict(1), clear.verdict(-1), open_.verdict(1)] == ["helps", "harms", "cannot be told"]
    assert ablation.Difference(0.2, math.nan, 0.0, 1).verdict(1) == "cannot be told"
    assert ablation.Difference(0.0, 0.0, 0.0, math.inf).verdict(1) == "cannot be told"


def test_the_page_states_of_each_stage_what_was_seen() -> None:
    random = np.random.default_rng(0)
    measured: dict[tuple[str, str], dict[str, Any]] = {}
    for measure in ("NDCG@10", "MAP", "F1 carried"):
        for category in ("all", "when <b>"):
            told = measured.setdefault((measure, category), {})
            told["minilm"] = told["first-stage"] = sums([0.2] * 8)
            for place, arm in enumerate(ablation.ARMS):
                for seed in ablation.SEEDS:
                    told[f"{arm}.{seed}"] = sums(list(0.3 + 0.1 * place + random.normal(0, 0.01, 8)))
    systems = [f"{arm}.{seed}" for arm in ablation.ARMS for seed in ablation.SEEDS]
    held = {"held_out": {"NDCG@10": 0.5, "MAP": 0.4, "ECE": None, "threshold": 0.1}, "passes": [{"steps": 3}]}
    told = {name: {**held, "overlap": {"set": 0.0}, "simulated": ["simulated?flips=0.1"]} for name in systems}
    made = page.html([ablation.Tested("set", 8, 4, measured, dict.fromkeys(systems, 0.1))], told)
    assert made.count("<p>") == 4 + len(ablation.STAGES)
    said = re.findall(r"mean over the test sets: (helps|harms|cannot be told on) NDCG@10 \(", made)
    assert said == ["helps", "helps", "harms", "helps", "harms"]
    assert made.index("mean over the test sets: helps NDCG@10") < made.index("How this was measured"), (
        "the verdict comes first"
    )
    assert made.count("<table>") == made.count('tabindex="0" role="region"') > 0 and "<main>" in made
    assert "when &lt;b&gt;" in made and "<b>" not in made and "simulated?flips=0.1" in made


def test_the_committed_page_follows_from_the_committed_results() -> None:
    told = json.loads(ablation.HELD_OUT.read_text())
    committed = (ablation.ROOT / "reports" / "distil.html").read_text()
    found = ablation.tested(ablation.RESULTS, told)
    assert page.html(found, told) == committed
    assert sorted(one.label for one in found) == sorted(ablation.TESTS)
    assert {name.rpartition(".")[0] for name in told} == set(ablation.ARMS)
