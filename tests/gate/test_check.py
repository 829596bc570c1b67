"""The gate's rule, on values that can be checked by hand."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from memeval.core.errors import DataError, IncompleteError, UsageError
from memeval.core.types import Repeats
from memeval.gate import Check, Outcome, confirming, github, judge, markdown, read, text
from memeval.gate.accepting import accept
from tests.gate_material import baseline, evidence, result

GOOD = {"NDCG@10": [1.0] * 20}
BAD = {"NDCG@10": [0.5] * 20}


def quality(outcome: Outcome, what: str = "NDCG@10") -> Check:
    return next(check for check in outcome.checks if check.what == what)


def test_identical_values_pass_without_statistics() -> None:
    check = quality(judge(baseline(result(GOOD)), evidence(result(GOOD))))
    assert (check.verdict, check.message, check.p) == ("ok", "identical on every query", None)
    # What could have been seen is known all the same: of 20 queries in ten stores, no small drop.
    assert check.visible is not None and 0.1 < check.visible < 0.3


def test_a_drop_beyond_margin_and_chance_is_regressed_and_names_queries_and_categories() -> None:
    now = {"NDCG@10": [1.0] * 10 + [0.5] * 9 + [0.0]}
    categories = ["plain"] * 10 + ["hard"] * 10
    stores = [f"s{place % 10}" for place in range(20)]
    before = result(GOOD, stores=stores, categories=categories)
    outcome = judge(baseline(before), evidence(result(now, stores=stores, categories=categories)))
    check = quality(outcome)
    assert check.verdict == "regressed"
    assert check.difference == pytest.approx(-0.275)
    assert check.p == pytest.approx(1 / 2**10)
    assert check.categories == {"hard": pytest.approx(-0.55)}
    assert [flip.query_id for flip in check.flips[:2]] == ["q19", "q10"]
    assert not outcome.passes()


def drawn(values: list[float], now: list[float], *, margin: float = 0.02) -> Outcome:
    """Twenty stores of equal size."""
    stores = [f"s{place % 20}" for place in range(len(now))]
    before, after = (result({"NDCG@10": column}, stores=stores) for column in (values, now))
    gates = [{"measure": "NDCG@10", "margin": margin}]
    return replace(judge(baseline(before), evidence(after, gates=gates)), command="memeval check … --update")


def test_a_drop_beyond_the_margin_that_chance_could_make_is_no_plain_pass() -> None:
    now = [1.0] * 57 + [0.4] * 3  # three queries of three stores: -0.03, p = .125
    outcome = drawn([1.0] * 60, now)
    assert quality(outcome).verdict == "inconclusive"
    assert outcome.passes()
    assert markdown.render(outcome).splitlines()[1].startswith("### ⚠️ memeval · suite: passed")
    assert "fell by 0.030, margin 0.02, and that is open" in text.summary(outcome)


def test_queries_that_collapse_are_told_though_the_mean_holds() -> None:
    now = [0.0] * 3 + [0.81] * 57  # from 0.8: three lose all, all others gain a little
    outcome = drawn([0.8] * 60, now, margin=0.1)
    check = quality(outcome)
    assert (check.verdict, check.collapsed) == ("ok", 3)
    assert "3 queries collapsed" in check.message
    comment = markdown.render(outcome)
    assert comment.splitlines()[1].startswith("### ⚠️") and "| q0 |  | 0.800 | 0.000 |" in comment.replace("plain", "")
    assert any("3 queries collapsed" in command for command in github.annotations(outcome))
    assert "3 queries collapsed" in text.text(outcome)
    # Half of what they had is no collapse, and what had little cannot collapse.
    assert quality(drawn([0.8] * 60, [0.4] * 3 + [0.81] * 57, margin=0.1)).collapsed == 0
    assert quality(drawn([0.3] * 60, [0.0] * 3 + [0.31] * 57, margin=0.1)).collapsed == 0


def test_a_gain_beyond_chance_is_offered_for_acceptance_with_the_command() -> None:
    gained = drawn([0.5] * 60, [0.5 + 0.001 * place for place in range(60)])
    for told in (text.text(gained), markdown.render(gained)):
        assert "better beyond chance: mine · NDCG@10 +0.0" in told and gained.command in told
    assert markdown.render(gained).splitlines()[1].startswith("### ✅")
    assert "better" not in text.text(drawn([0.5] * 60, [0.5 + 0.01 * (-1) ** place for place in range(60)]))
    stores = [f"s{place % 20}" for place in range(60)]
    before = result({"NDCG@10": [0.5] * 60, "MRR": [0.5] * 60}, stores=stores)
    now = result({"NDCG@10": [0.9] * 60, "MRR": [0.1] * 60}, stores=stores)
    gates = [{"measure": "NDCG@10"}, {"measure": "MRR"}]
    mixed = judge(baseline(before, measures=("NDCG@10", "MRR")), evidence(now, gates=gates))
    assert not text.offer(mixed)  # accepting it would accept the drop, too


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("lost", [1, 20])
def test_missing_values_are_incomplete_and_named(value: float, lost: int) -> None:
    now = result({"NDCG@10": [value] * lost + [1.0] * (20 - lost)})
    message = f"mine on garden: {lost} of 20 values of NDCG@10 are missing, the first is q0's: run it again"
    with pytest.raises(IncompleteError, match=message):
        judge(baseline(result(GOOD)), evidence(now))
    with pytest.raises(IncompleteError, match=message):
        list(accept(evidence(now), Path("unwritten.json"), "why", "2026-01-01"))
    floor = [{"measure": "NDCG@10", "floor": 0.5}]
    with pytest.raises(IncompleteError, match=message):
        judge(baseline(result(GOOD)), evidence(now, gates=floor))


def test_a_margin_that_the_suite_cannot_see_is_told_when_numbers_are_accepted(tmp_path: Path) -> None:
    def warnings(queries: int, stores: int, **gate: Any) -> list[str]:
        names = [f"s{place % stores:03}" for place in range(queries)]
        made = result({"NDCG@10": [0.5] * queries}, stores=names)
        told = accept(evidence(made, gates=[gate]), tmp_path / "b.json", "why", "2026-01-01")
        return [line for line in told if line.startswith("warning")]

    [small] = warnings(60, 20, margin=0.02)
    assert "a drop by the margin 0.02 will rarely be seen: with 60 queries in 20 stores" in small
    assert "is about 0.08" in small
    assert warnings(60, 20, margin=0.1) == []
    [few] = warnings(60, 5, margin=0.5)
    assert "5 stores are too few for a p-value" in few
    assert warnings(60, 5, floor=0.1) == []  # a floor is not tested


def test_a_drop_within_the_margin_is_never_a_regression() -> None:
    outcome = judge(baseline(result(GOOD)), evidence(result({"NDCG@10": [0.99] * 20})))
    assert quality(outcome).verdict == "ok"


def test_a_drop_that_chance_could_make_is_inconclusive_and_says_what_could_have_been_seen() -> None:
    now = {"NDCG@10": [0.0, 0.0] + [1.0] * 18}
    outcome = judge(baseline(result(GOOD)), evidence(result(now)))
    check = quality(outcome)
    assert check.verdict == "inconclusive"
    assert check.visible is not None and check.visible > 0.1
    assert "the smallest drop this gate could have seen is" in check.message
    assert outcome.passes() and not replace(outcome, strict=True).passes()


def test_p_values_are_adjusted_for_all_quality_gates_of_the_suite() -> None:
    stores = [f"s{place}" for place in range(6)]
    good, bad = {"NDCG@10": [1.0] * 6}, {"NDCG@10": [0.5] * 6}
    alone = judge(baseline(result(good, stores=stores)), evidence(result(bad, stores=stores)))
    assert quality(alone).p == pytest.approx(1 / 64)
    names = ["mine", "b", "c", "d"]
    before = [result(good, system=name, stores=stores) for name in names]
    now = [result(bad if name == "mine" else good, system=name, stores=stores) for name in names]
    check = quality(judge(baseline(*before), evidence(*now)))
    assert check.p == pytest.approx(4 / 64)
    assert check.verdict == "inconclusive"
    assert "6 stores are too few for 4 quality gates" in check.message


def test_under_six_stores_a_drop_is_inconclusive_at_best() -> None:
    stores = [f"s{place % 5}" for place in range(20)]
    check = quality(judge(baseline(result(GOOD, stores=stores)), evidence(result(BAD, stores=stores))))
    assert (check.verdict, check.p) == ("inconclusive", None)
    assert "too few for a p-value" in check.message


def test_thousands_of_stores_are_judged_and_accepted_as_ten_are(tmp_path: Path) -> None:
    stores = [f"s{place}" for place in range(3000)]
    good, fallen = {"NDCG@10": [1.0] * 3000}, {"NDCG@10": [0.0] * 1500 + [1.0] * 1500}
    outcome = judge(baseline(result(good, stores=stores)), evidence(result(fallen, stores=stores)))
    assert quality(outcome).verdict == "regressed"
    told = [*accept(evidence(result(good, stores=stores)), tmp_path / "b.json", "why", "2026-01-01")]
    assert not [line for line in told if line.startswith("warning")]


def test_queries_are_gone_through_as_often_of_a_large_result_as_of_a_small_one() -> None:
    class Counted(tuple[str, ...]):
        passes = 0

        def __iter__(self) -> Iterator[str]:
            Counted.passes += 1
            return super().__iter__()

    def passes(queries: int) -> int:
        made = result({"NDCG@10": [0.5] * queries})
        before, Counted.passes = baseline(made), 0
        judge(before, evidence(replace(made, query_ids=Counted(made.query_ids))))
        return Counted.passes

    assert passes(20) == passes(200) > 0


def test_an_improvement_is_ok_and_suggests_to_accept_it() -> None:
    now = {"NDCG@10": [0.9 + 0.001 * place for place in range(20)]}
    check = quality(judge(baseline(result(BAD)), evidence(result(now))))
    assert check.verdict == "ok"
    assert "--update" in check.message


def test_a_category_is_judged_on_its_own_queries() -> None:
    categories = ["plain", "hard"] * 20
    stores = [f"s{place // 2}" for place in range(40)]
    before = result({"NDCG@10": [1.0] * 40}, stores=stores, categories=categories)
    now = result({"NDCG@10": [1.0, 0.5] * 20}, stores=stores, categories=categories)
    gates = [{"category": "*", "margin": 0.1}]
    outcome = judge(baseline(before), evidence(now, gates=gates))
    assert quality(outcome, "NDCG@10 · plain").verdict == "ok"
    hard = quality(outcome, "NDCG@10 · hard")
    assert (hard.verdict, hard.queries, hard.difference) == ("regressed", 20, pytest.approx(-0.5))
    gone = judge(baseline(before), evidence(now, gates=[{"category": "easy"}]))
    assert quality(gone, "NDCG@10 · easy").verdict == "missing"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset_digest": "d2"}, "the data set has changed"),
        ({"candidates_digest": "c2"}, "the candidates have changed"),
        ({"rendering": "date"}, "memories are rendered otherwise"),
        ({"pool": "store"}, "another pool"),
        ({"partial": 5}, "limited to some of the queries"),
        ({"partial": "1/2"}, "limited to some of the queries"),
        ({"measures": {"NDCG@10": "something else"}}, "the measure NDCG@10 has changed"),
    ],
)
def test_what_cannot_be_compared_gets_no_verdict(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        judge(baseline(result(GOOD)), evidence(result(GOOD, **change)))
    assert "--update" in str(caught.value)


def test_a_changed_prompt_is_told_and_fails_a_gate_that_is_frozen() -> None:
    now = result(GOOD, fingerprint={"prompt": "p2"})
    outcome = judge(baseline(result(GOOD)), evidence(now))
    assert outcome.notes[-1] == "mine on garden has changed itself: prompt p1 → p2"
    frozen = judge(baseline(result(GOOD)), evidence(now, gates=[{"frozen": True}]))
    assert quality(frozen, "frozen").verdict == "regressed"
    assert quality(frozen, "frozen").message == "prompt p1 → p2"


def test_vanished_queries_fail() -> None:
    shorter = result({"NDCG@10": [1.0] * 19})
    outcome = judge(baseline(result(GOOD)), evidence(shorter))
    assert quality(outcome, "queries").message == "1 of 20 accepted queries are gone, the first is q19"
    assert not outcome.passes()
    longer = judge(baseline(shorter), evidence(result(GOOD)))
    assert "1 queries are not in the baseline" in quality(longer, "queries").message
    assert not longer.passes()


def test_vanished_systems_fail_and_optional_ones_are_not_evaluated() -> None:
    accepted = baseline(result(GOOD), result(GOOD, system="other"))
    outcome = judge(accepted, evidence(result(GOOD)))
    assert quality(outcome, "result").message == "was accepted, and is gone from the results"
    assert not outcome.passes()
    here = evidence(result(GOOD), systems=[{"name": "mine"}, {"name": "other", "optional": True}])
    assert not judge(accepted, here).passes()
    away = judge(accepted, replace(here, unavailable={("garden", "other"): "needs torch"}))
    assert quality(away, "result").verdict == "not evaluated"
    assert away.passes() and not replace(away, strict=True).passes()


def test_a_new_system_is_in_doubt_and_a_named_one_fails() -> None:
    both = result(GOOD), result(GOOD, system="new")
    assert quality(judge(baseline(both[0]), evidence(*both)), "result").verdict == "new"
    named = evidence(*both, gates=[{"system": "new"}, {"system": "mine"}])
    assert quality(judge(baseline(both[0]), named), "result").verdict == "missing"


def test_a_vanished_or_new_measure_fails() -> None:
    both = {**GOOD, "MRR": [1.0] * 20}
    gates = [{"measure": "MRR"}]
    vanished = judge(baseline(result(both), measures=["MRR"]), evidence(result(GOOD), gates=gates))
    assert quality(vanished, "MRR").message == "MRR is no longer measured"
    new = judge(baseline(result(GOOD)), evidence(result(both), gates=gates))
    assert "MRR is not in the baseline" in quality(new, "MRR").message


def test_usage_may_fall_but_not_rise_or_vanish() -> None:
    gates = [{"usage": ["calls"]}]
    accepted = baseline(result(GOOD, usage={"calls": 20}))
    for calls, verdict in ((20, "ok"), (10, "ok"), (21, "regressed")):
        outcome = judge(accepted, evidence(result(GOOD, usage={"calls": calls}), gates=gates))
        assert quality(outcome, "calls per query").verdict == verdict
    silent = quality(judge(accepted, evidence(result(GOOD), gates=gates)), "calls per query")
    assert (silent.verdict, silent.message) == ("missing", "the result does not tell any calls")


def test_failed_queries_floors_and_queries_that_must_pass_are_exact() -> None:
    outcome = judge(baseline(result(GOOD)), evidence(result(GOOD, failed=1)))
    assert quality(outcome, "coverage").message == "1 queries failed: 1 × boom"
    now = result({"NDCG@10": [0.0, *[1.0] * 19]})
    gates = [{"floor": 0.96}, {"must_pass": ["q0", "q1"]}, {"coverage": 0.9}]
    outcome = judge(baseline(now), evidence(now, gates=gates))
    assert quality(outcome, "NDCG@10 floor").message == "0.950 is below 0.96"
    passing = quality(outcome, "NDCG@10 must pass")
    assert (passing.verdict, passing.message) == ("regressed", "NDCG@10 is 0 for q0")
    gone = judge(baseline(now), evidence(now, gates=[{"must_pass": ["q99"]}]))
    assert quality(gone, "NDCG@10 must pass").message == "no such query: q99"


def test_controls_are_not_gated_unless_they_are_named() -> None:
    controls = [result(GOOD, system=name) for name in ("mine", "random", "oracle")]
    assert {check.system for check in judge(baseline(*controls), evidence(*controls)).checks} == {"mine"}
    named = evidence(*controls, gates=[{"system": "oracle", "floor": 1.0}])
    assert {check.system for check in judge(baseline(*controls), named).checks} == {"oracle"}


MISSING: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"measure": "MRR", "floor": 0.0}, {}, "MRR", "MRR is no longer measured"),
    ({"measure": "MRR", "must_pass": ["q1"]}, {}, "MRR", "MRR is no longer measured"),
    ({"floor": 0.0, "category": "nope"}, {}, "NDCG@10 floor · nope", "no query is of the category 'nope'"),
    ({"category": "*"}, {"categories": (None,) * 20}, "NDCG@10", "NDCG@10 is gated by category, and no query has one"),
    ({}, {"datasets": ["garden", "locomo"]}, "result", "is gated, but neither in the baseline nor in the results"),
    ({}, {"systems": [{"name": "mine"}, {"name": "y"}]}, "result", "is gated, but neither in the baseline nor in the"),
]


@pytest.mark.parametrize(("gate", "change", "what", "message"), MISSING)
def test_nothing_passes_because_it_is_missing(
    gate: dict[str, Any], change: dict[str, Any], what: str, message: str
) -> None:
    suite = {key: value for key, value in change.items() if key != "categories"}
    made = replace(result(GOOD), categories=change.get("categories", ("plain",) * 20))
    found = evidence(made, gates=[{"usage": ["calls"]}, gate] if gate else [], **suite)
    outcome = judge(baseline(result(GOOD)), found)
    check = next(check for check in outcome.checks if (check.what, check.verdict) == (what, "missing"))
    assert check.message.startswith(message) and check.now is None
    assert not outcome.passes()


def test_nothing_to_check_is_no_pass() -> None:
    with pytest.raises(UsageError, match="matches any result: there is nothing to check"):
        judge(baseline(result(GOOD, system="random")), evidence(result(GOOD, system="random")))
    nothing = result({"NDCG@10": []})
    for gates in ([], [{"floor": 0.0}]):
        with pytest.raises(IncompleteError, match="has no query with a relevant memory"):
            judge(baseline(nothing), evidence(nothing, gates=gates))


def test_where_no_query_was_answered_nothing_passes_whatever_was_accepted() -> None:
    down = result(GOOD, failed=20)
    for gates in ([], [{"coverage": 0.0}]):
        assert quality(judge(baseline(down), evidence(down, gates=gates)), "coverage").verdict == "regressed"


def test_queries_that_failed_in_a_repeat_count_as_failed() -> None:
    again = Repeats(runs=3, queries=17, failed=3, flips=None, tops=None, deviation={})
    repeated = replace(result(GOOD), repeats={"repeats": again})
    check = quality(judge(baseline(result(GOOD)), evidence(repeated)), "coverage")
    assert (check.verdict, check.now) == ("regressed", pytest.approx(17 / 20))
    assert quality(judge(baseline(repeated), evidence(repeated)), "coverage").verdict == "ok"
    turned = replace(result(GOOD), repeats={"orders": again})  # whose values count for nothing
    assert quality(judge(baseline(result(GOOD)), evidence(turned)), "coverage").verdict == "ok"


def test_how_many_runs_a_value_is_the_mean_of_is_told_of_each_data_set_by_itself() -> None:
    thrice = result(GOOD, dataset="first", further_runs={"repeats": ["b", "c"]})
    once = result(GOOD, dataset="second")
    accepted = baseline(thrice, once)
    assert [entry.repeats for entry in accepted.entries] == [3, 1]
    assert judge(accepted, evidence(thrice, once)).notes == judge(accepted, evidence(once, thrice)).notes
    assert not [note for note in judge(accepted, evidence(thrice, once)).notes if "means of" in note]
    now = evidence(replace(thrice, signature=replace(thrice.signature, further_runs={})), once)
    assert [note for note in judge(accepted, now).notes if "means of" in note] == [
        "mine on first: means of 1 runs now, of 3 in the baseline"
    ]


def test_what_would_fail_even_with_the_numbers_that_are_accepted_is_told(tmp_path: Path) -> None:
    def warnings(**gate: Any) -> list[str]:
        told = accept(evidence(result(GOOD, failed=2), gates=[gate]), tmp_path / "b.json", "why", "2026-01-01")
        return [line for line in told if line.startswith("warning") and "rarely be seen" not in line]

    assert warnings(margin=0.5) == ["warning   mine on garden: 2 queries failed, as many may from now on"]
    assert "mine · NDCG@10 floor on garden: regressed even with these numbers" in warnings(floor=1.5)[0]
    assert "calls per query on garden: missing even with these numbers" in warnings(usage=["calls"])[0]


def test_an_optional_system_that_could_not_run_is_left_out_of_what_is_accepted(tmp_path: Path) -> None:
    here = evidence(result(GOOD), systems=[{"name": "mine"}, {"name": "other", "optional": True}])
    with pytest.raises(UsageError, match="other on garden is gated and has no result"):
        list(accept(here, tmp_path / "b.json", "why", "2026-01-01"))
    told = list(
        accept(
            replace(here, unavailable={("garden", "other"): "needs torch"}), tmp_path / "b.json", "why", "2026-01-01"
        )
    )
    assert told[0] == "left out  other on garden: needs torch"
    assert [entry.system for entry in read(tmp_path / "b.json").entries] == ["mine"]


def test_a_further_run_that_is_incomplete_clears_nothing() -> None:
    fell = quality(drawn([1.0] * 60, [0.5] * 60))
    again = {
        ("garden", "mine", "NDCG@10"): replace(fell, verdict="ok"),
        ("garden", "mine", "coverage"): replace(fell, what="coverage", verdict="regressed", message="9 queries failed"),
    }
    agreed = confirming._agreed(fell, again, {"mine"})
    assert agreed.verdict == "regressed" and "the further run is incomplete: 9 queries failed" in agreed.message
    del again["garden", "mine", "coverage"]
    assert confirming._agreed(fell, again, {"mine"}).verdict == "inconclusive"
