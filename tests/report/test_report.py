"""Reports are made from results built by hand; six stores and more are tested, fewer are not."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from memeval.core.errors import DataError
from memeval.core.types import Failures, Result
from memeval.report import cells, columns, groups, leaderboard, standings, write
from memeval.report.verdict import verdict
from tests.report.made import CARD, FORMATS, MIDDLE, WOBBLE, make, printed, rows, toy


def test_rows_stand_by_headline_value_and_controls_have_no_rank() -> None:
    board = leaderboard(toy())
    assert [row.system for row in board.rows] == ["oracle", "good", "even", "first-stage", "constant", "bad", "random"]
    assert [row.rank for row in board.rows] == [None, 1, 2, None, None, 3, None]
    assert [row.control for row in board.rows][-1] == "random"
    assert (board.headline, board.n, board.clusters) == ("NDCG@10", 20, 10)


def test_differences_are_adjusted_over_the_systems_and_marked() -> None:
    found = rows(leaderboard(toy()))
    good = found["good"].differences["NDCG@10"]
    # All ten stores on one side: 2 of 2^10 flips are as extreme; `bad` has the same p, so Holm takes it three times.
    assert good.comparison.p == 2 / 1024
    assert good.p == 3 * 2 / 1024
    assert (good.direction, good.comparison.difference) == (1, 0.25)
    assert found["bad"].differences["MRR"].direction == -1
    assert found["even"].differences["NDCG@10"].direction == 0
    assert found["constant"].differences["NDCG@10"].comparison.identical
    assert found["oracle"].differences["NDCG@10"].p is None
    assert "NDCG@10" not in found["first-stage"].differences


def test_categories_are_one_family_of_systems_by_categories() -> None:
    good = rows(leaderboard(toy()))["good"]
    assert sorted(good.category_differences) == ["single", "temporal"]
    assert good.category_differences["single"].p == 6 * 2 / 1024


def test_a_category_within_one_store_is_not_tested() -> None:
    def lonely(result: Result) -> Result:
        return replace(result, categories=(*["solo"] * 2, *["rest"] * 18))

    board = leaderboard([lonely(result) for result in toy()])
    assert rows(board)["good"].category_differences["solo"].p is None
    assert rows(board)["good"].category_differences["rest"].p is not None


def test_claims_say_what_was_found_and_what_cannot_be_seen() -> None:
    claims = leaderboard(toy()).claims
    assert "good is above the first stage on NDCG@10 by +0.250 [+0.250, +0.250], p = .006." in claims
    assert "bad is below the first stage on NDCG@10 by −0.250 [−0.250, −0.250], p = .006." in claims
    [even] = [claim for claim in claims if claim.startswith("even")]
    assert "cannot be separated on NDCG@10" in even
    assert "with 10 stores the smallest difference visible here is about 0.1" in even
    assert not any("no order" in claim for claim in claims), "a ceiling of 1 is none"
    assert "good failed on 3 of 23 queries, which keep the first stage's order." in claims


def test_inseparable_systems_share_a_rank_and_a_sentence() -> None:
    board = leaderboard([*toy(), make("twin", [value - 0.03125 if i < 2 else value for i, value in enumerate(WOBBLE)])])
    assert rows(board)["even"].rank == rows(board)["twin"].rank == 2
    assert any(claim.startswith("even and twin cannot be separated on NDCG@10 (rank 2)") for claim in board.claims)


def test_systems_far_apart_do_not_share_a_rank_however_many_they_are() -> None:
    many = [make(f"m{i}", [value + i / 64 for value in MIDDLE]) for i in range(8)]
    assert sorted(row.rank or 0 for row in leaderboard(many).rows) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_family_too_large_for_its_stores_is_named() -> None:
    many = [make(f"m{i}", [value + i / 64 for value in MIDDLE]) for i in range(1, 28)]
    board = leaderboard([make("first-stage", MIDDLE, model="first-stage"), *many])
    # 27 systems x 2/1024 is above .05: not even all stores on one side could separate one from the first stage.
    assert any("with 10 stores and 27 tests no difference" in claim for claim in board.claims)


def test_results_of_two_data_sets_are_not_mixed(tmp_path: Path) -> None:
    other = [
        make(system, MIDDLE, card=replace(CARD, name="other"), model=model, dataset_digest="e" * 64)
        for system, model in (("first-stage", "first-stage"), ("good", "python/x:y"))
    ]
    results = [*toy(), *other]
    assert [len(group) for group in groups(results)] == [7, 2]
    with pytest.raises(DataError, match="no common leaderboard"):
        leaderboard(results)
    write(results, tmp_path / "two.md")
    assert (tmp_path / "two.md").read_text().count("\n### Leaderboard\n") == 2


def test_two_leaderboards_of_one_data_set_are_told_apart(tmp_path: Path) -> None:
    write([*toy(), make("good", MIDDLE, partial=20)], tmp_path / "two.csv")
    labels = {line["dataset"] for line in csv.DictReader((tmp_path / "two.csv").open())}
    assert len(labels) == 2
    assert all(label.startswith("toy#") for label in labels)


def test_one_name_twice_in_a_group_is_an_error() -> None:
    with pytest.raises(DataError, match="run-good and other-run"):
        groups([*toy(), make("good", MIDDLE, run_digest="other-run")])


def test_other_queries_under_the_same_digests_are_an_error() -> None:
    with pytest.raises(DataError, match="different queries"):
        leaderboard([*toy(), make("short", MIDDLE[:18])])


def test_missing_systems_are_listed_and_not_ranked(tmp_path: Path) -> None:
    missing = {"judge": "needs OPENAI_API_KEY", "good": "stands in the results"}
    board = leaderboard(toy(), missing=missing)
    assert dict(board.missing) == {"judge": "needs OPENAI_API_KEY"}
    assert "missing: judge: needs OPENAI_API_KEY" in printed(board)
    for suffix in ("md", "html", "json"):
        write(toy(), tmp_path / f"r.{suffix}", missing=missing)
        assert "needs OPENAI_API_KEY" in (tmp_path / f"r.{suffix}").read_text()


def test_without_a_first_stage_there_are_no_differences(tmp_path: Path) -> None:
    results = [result for result in toy() if result.signature.system != "first-stage"]
    board = leaderboard(results)
    assert not any(row.differences or row.category_differences for row in board.rows)
    assert any("no result of the first stage" in claim for claim in board.claims)
    for suffix in FORMATS:
        write(results, tmp_path / f"r.{suffix}")
    [told] = json.loads((tmp_path / "r.json").read_text())["leaderboards"]
    assert all(row["differences"] is row["category_differences"] is None for row in told["rows"])


@pytest.mark.parametrize("unit", ["store", "query"])
def test_one_query_has_no_interval_and_no_test(unit: str, tmp_path: Path) -> None:
    results = [make("first-stage", [0.5], model="first-stage", unit=unit), make("a", [1.0], unit=unit)]
    board = leaderboard(results)
    assert rows(board)["a"].rank == 1
    assert "a differs from the first stage on NDCG@10 by +0.500: with 1 " in "\n".join(board.claims)
    for suffix in FORMATS:
        write(results, tmp_path / f"r.{suffix}")
        shown = re.sub(r"(?s)<script.*?</script>", "", (tmp_path / f"r.{suffix}").read_text())
        assert not re.search(r"\bnan\b", shown, re.IGNORECASE)
    [line] = [
        line for line in csv.DictReader((tmp_path / "r.csv").open()) if tuple(line.values())[1:4] == ("a", "all", "MRR")
    ]
    assert (line["value"], line["low"], line["high"]) == ("1.0", "", "")


def test_queries_are_named_where_they_are_the_unit(tmp_path: Path) -> None:
    results = [replace(result, signature=replace(result.signature, unit="query")) for result in toy()]
    write(results, tmp_path / "r.md")
    assert "permutation test over queries" in (tmp_path / "r.md").read_text()


def test_failed_queries_are_flagged_and_still_ranked(tmp_path: Path) -> None:
    write(toy(), tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    assert "3 of 23 (13.0 %)" in text
    assert "HTTP 500: 3" in text
    assert rows(leaderboard(toy()))["good"].coverage == pytest.approx(20 / 23)
    assert "13.0 %" in printed(leaderboard(toy()))


def test_what_failed_bounds_its_value_in_the_first_sentences_the_verdict_and_every_table(tmp_path: Path) -> None:
    bounded = Failures(failed=3, queries=20, errors={"HTTP 500": 3}, bounds={"NDCG@10": (0.125, 0.875)})
    systems = [replace(one, failures=bounded) if one.signature.system == "good" else one for one in toy()]
    board = leaderboard(systems)
    told = "good failed on 3 of 20 queries, which keep the first stage's order: NDCG@10 is within [0.125, 0.875]"
    assert board.claims[0] == f"{told}, whatever order they had."
    assert "It failed on 3 of 20 queries." in verdict(board).sentence
    for suffix in ("html", "md", "tex", "csv"):
        write(systems, tmp_path / f"r.{suffix}")
    for suffix in ("html", "md", "tex"):
        assert "[0.125, 0.875]" in (tmp_path / f"r.{suffix}").read_text(), suffix
    [first, other] = standings.by_measure(board)[:2]
    assert [row["failed"] for row in first.rows if row["system"].startswith(("good", "even"))] == ["15.0 %", "0"]
    assert "failures worst, best" in first.columns and "failures worst, best" not in other.columns, "none is known"
    lines = list(csv.DictReader((tmp_path / "r.csv").open(newline="")))
    assert {line["failed"] for line in lines if (line["system"], line["category"]) == ("good", "all")} == {"3"}
    assert {line["failed"] for line in lines if line["category"] != "all"} == {""}


def test_what_nobody_tells_to_be_cut_is_not_none() -> None:
    local, foreign = make("local", MIDDLE, model="bm25"), make("foreign", MIDDLE, model="openai/judge")
    told = replace(foreign, signature=replace(foreign.signature, system="told"), truncation={"pairs": 0.25})
    board = leaderboard([local, foreign, told])
    shown = {row.system: columns.CUT.text(board, row) for row in board.rows}
    assert shown == {"local": "0.0 %", "foreign": "–", "told": "25.0 %"}


@pytest.mark.parametrize(
    ("fingerprint", "told"),
    [
        (None, "mine"),
        ({"dtype": "float32"}, "mine"),
        ({"trust_code": True}, "mine (own code)"),
        ({"parts": {"bm25": {}, "a": {"trust_code": True}}}, "mine (own code)"),
    ],
)
def test_a_model_s_own_code_stands_behind_a_system_s_name(fingerprint: dict[str, Any] | None, told: str) -> None:
    result = SimpleNamespace(signature=SimpleNamespace(fingerprint=fingerprint), usage=None)
    row: Any = SimpleNamespace(control=None, circular=False, system="mine", model="transformers/mine", result=result)
    assert cells.name(row) == told
