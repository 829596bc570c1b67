"""Reports of what a reader asks for: a measure to go by, some systems, differences from a system of one's own."""

import csv
from pathlib import Path

import pytest

from memeval.core.errors import UsageError
from memeval.report import latex, leaderboard, leaderboards, markdown, views
from memeval.report.board import View
from memeval.report.evidence import Evidence
from memeval.report.verdict import verdict
from tests.report.made import MIDDLE, make, printed, rows, toy


def test_the_first_measure_asked_for_is_the_one_to_go_by_and_no_other_is_shown() -> None:
    board = leaderboard(toy(), view=views.wanted(["recall@5", "mrr"]))
    assert (board.headline, board.measures) == ("Recall@5", ("Recall@5", "MRR"))
    assert all(set(row.differences or {}) <= {"Recall@5", "MRR"} for row in board.rows)
    assert "NDCG@10" not in printed(board) and "NDCG@10" not in latex.render([board])


def test_differences_and_marks_refer_to_the_reference_in_every_format(tmp_path: Path) -> None:
    board = leaderboard(toy(), view=View(reference="good"))
    found = rows(board)
    assert found["good"].differences == {}
    even = (found["even"].differences or {})["NDCG@10"]
    assert even.comparison.theirs == "good" and even.direction == -1
    assert "vs good" in printed(board) and "even is below good on NDCG@10 by" in " ".join(board.claims)
    text = markdown.render([(board, Evidence())])
    assert "Differences from good" in text and "above or below good" in text and "from the first stage" not in text
    assert r"even & 0.450$^{\blacktriangledown}$" in latex.render([board])


def test_the_first_stage_is_tested_against_another_reference_and_counted_in_the_family() -> None:
    board = leaderboard(toy(), view=View(reference="good"))
    tested = [row.system for row in board.tested]
    assert sorted(tested) == ["bad", "even", "first-stage"]
    assert all((row.differences or {})["MRR"].p == 3 * 2 / 1024 for row in board.tested)
    assert "Holm-adjusted over 3 systems for each measure; controls but the first stage are not tested" in latex.render(
        [board]
    )


def test_a_verdict_says_what_to_keep_of_the_reference() -> None:
    assert verdict(leaderboard(toy(), view=View(reference="good"))).call == "Keep good"
    told = verdict(leaderboard(toy(), view=View(reference="bad")))
    assert told.call == "Take good" and ("over bad", "+0.500", "adjusted p = .006") in told.tiles


def test_some_systems_alone_are_ranked_and_tested_and_what_is_left_out_is_said() -> None:
    board = leaderboard(toy(), view=View(systems=("even",)))
    assert {row.system for row in board.ranked} == {"even"}
    assert {row.control for row in board.rows} == {None, "first-stage", "oracle", "random", "constant"}
    assert "Measured, too, but left out here, of ranks and tests as well: bad, good." in board.remarks
    assert "left out here" in printed(board)
    both = leaderboard(toy(), view=View(systems=("even",), reference="good"))
    assert {row.system for row in both.ranked} == {"even", "good"}


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (View(systems=("godo",)), "--system godo: .*did you mean 'good'"),
        (View(reference="godo"), "--reference godo: .*did you mean 'good'"),
        (View(measures=("MAP",)), "--measure MAP: was not measured"),
    ],
)
def test_what_is_not_among_the_results_is_refused_by_name(view: View, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        leaderboards(toy(), view=view)


def test_a_system_is_named_as_tables_name_it_or_by_its_model() -> None:
    for name in ("first-stage (bm25)", "first-stage"):
        assert leaderboard(toy(), view=View(reference=name)).against == "the first stage"
    assert leaderboard(toy(), view=View(reference="python/toy:good")).against == "good"


def test_a_leaderboard_that_lacks_the_reference_keeps_the_first_stage() -> None:
    other = [
        make(name, MIDDLE, model=model, dataset_digest="e" * 64) for name, model in (("first-stage",) * 2, ("x", "x"))
    ]
    found = leaderboards([*toy(), *other], view=View(reference="good"))
    assert [board.against for board in found] == ["good", "the first stage"]
    assert len(leaderboards([*toy(), *other], view=View(systems=("good",)))) == 1


def test_the_command_takes_them(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from memeval.cli import app

    results = str(Path(__file__).parents[2] / "results" / "hard-cases")
    view = ["--measure", "mrr", "--reference", "bm25", "--system", "minilm"]
    done = CliRunner().invoke(app, ["report", results, *view])
    assert done.exit_code == 0 and "vs bm25" in done.stdout and "bm25+minilm" in done.stdout.split("left out")[1]
    made = CliRunner().invoke(app, ["report", results, *view, "-o", str(tmp_path / "r.csv")])
    lines = list(csv.DictReader((tmp_path / "r.csv").open(newline="")))
    assert made.exit_code == 0 and {line["against"] for line in lines} == {"", "bm25"}
    assert {line["measure"] for line in lines} == {"MRR"}
