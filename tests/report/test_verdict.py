"""The first screen: what to take, or that these data cannot tell; and what is wrong with data or models, in words."""

from dataclasses import replace
from typing import Any

from memeval.core.types import Latency
from memeval.report import tradeoffs
from memeval.report.leaderboard import leaderboard
from memeval.report.verdict import verdict
from tests.report.made import LATENCY, MIDDLE, WOBBLE, make, rows, toy

STAGE = make("first-stage", MIDDLE, model="first-stage")


def test_the_best_above_the_first_stage_is_taken_with_its_price_in_time_and_money() -> None:
    told = verdict(leaderboard(toy()))
    assert told.call == "Take good"
    assert "from 0.450 to 0.700, +0.250 [+0.250, +0.250]" in told.sentence
    assert "adjusted p\u00a0=\u00a0.006" in told.sentence
    assert "4.1 ms a query" in told.sentence


def test_of_many_that_share_the_first_rank_a_few_are_named_and_the_rest_counted() -> None:
    twins = [make(f"twin {place}", [value + 0.25 for value in MIDDLE]) for place in range(6)]
    assert (
        "Not told apart from it: twin 1, twin 2, twin 3 and 2 more." in verdict(leaderboard([STAGE, *twins])).sentence
    )
    assert "Not told apart from it: twin 1, twin 2, twin 3." in verdict(leaderboard([STAGE, *twins[:4]])).sentence


def test_what_cannot_be_told_apart_from_the_first_stage_is_not_recommended() -> None:
    told = verdict(leaderboard([STAGE, make("even", WOBBLE)]))
    assert told.call == "These data cannot tell"
    assert "the smallest difference visible here is about" in told.sentence


def test_the_first_stage_is_kept_where_everything_is_below_it() -> None:
    assert verdict(leaderboard([STAGE, make("bad", [v - 0.25 for v in MIDDLE])])).call == "Keep the first stage"
    assert verdict(leaderboard([STAGE, make("same", MIDDLE)])).call == "Keep the first stage"


def test_what_was_trained_on_the_data_is_set_aside_and_named() -> None:
    seen = make("seen", [value + 0.25 for value in MIDDLE], fingerprint={"trained_on": ["toy"]})
    told = verdict(leaderboard([STAGE, seen, make("same", MIDDLE)]))
    assert told.call == "Keep the first stage"
    assert told.sentence.endswith(" Set aside, as knowing the answers: seen.")
    assert "Set aside" not in verdict(leaderboard(toy())).sentence


def test_few_stores_and_a_missing_first_stage_are_said() -> None:
    stores = [f"s{place % 3}" for place in range(20)]
    few = [make("first-stage", MIDDLE, model="first-stage", stores=stores), make("good", [1.0] * 20, stores=stores)]
    assert "nothing is tested, 6 are needed" in verdict(leaderboard(few)).sentence
    assert verdict(leaderboard([make("good", MIDDLE)])).call == "No first stage to compare with"
    assert verdict(leaderboard([STAGE])).call == "Nothing to choose from"


def test_labels_that_cannot_tell_anything_and_untrained_heads_are_remarked_upon() -> None:
    def said(oracle: list[float], chance: list[float], **system: Any) -> str:
        made = [make("oracle", oracle, model="oracle"), make("random", chance, model="random"), STAGE]
        return " ".join(leaderboard([*made, make("tried", chance, **system)]).claims)

    assert "No candidate of any query is relevant" in said([0.0] * 20, [0.0] * 20)
    assert "These labels cannot tell orders apart" in said([0.5] * 20, [0.5] * 20)
    assert "no order of its candidates has more than NDCG@10 = 0.750" in said([0.75] * 20, [0.5] * 20)
    weights = {"model.safetensors_sha256": "0" * 64}
    assert "a model with random weights" in said([1.0] * 20, [0.25] * 20, fingerprint=weights)
    assert "a model with random weights" not in said([1.0] * 20, [0.25] * 20)


def test_a_fused_system_that_was_not_timed_takes_what_its_parts_take() -> None:
    parts = {"good": {}, "even": {}}
    fused = make("both", MIDDLE, model="rrf/good+even", fingerprint={"parts": parts})
    fused = replace(fused, latency=None)
    board = leaderboard([STAGE, make("good", MIDDLE), make("even", WOBBLE), fused])
    both = rows(board)["both"]
    assert both.latency.p50 == 2 * LATENCY.p50  # type: ignore[operator]
    assert "the sum of its parts, even and good" in both.latency.method
    assert "both" in [row.system for row, _ in tradeoffs.points(board, tradeoffs.COSTS[0])]
    untimed = replace(make("good", MIDDLE), latency=Latency(None, None, None, 0, None, None, ""))
    alone = rows(leaderboard([STAGE, untimed, make("even", WOBBLE), fused]))["both"]
    assert alone.latency.p50 is None
