"""Reports of what a reader asks for: a measure to go by, some systems, differences from a system of one's own."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from memeval.core.errors import UsageError
from memeval.core.types import Result
from memeval.report import first_stages, latex, leaderboard, leaderboards, markdown, published, sections, views
from memeval.report.board import View
from memeval.report.evidence import Evidence
from memeval.report.verdict import verdict
from tests.report.made import MIDDLE, WOBBLE, make, printed, rows, toy


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
        (View(systems=("godo",)), "system godo: .*did you mean 'good'"),
        (View(reference="godo"), "reference godo: .*did you mean 'good'"),
        (View(measures=("MAP",)), "measure MAP: was not measured"),
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


def test_gains_over_several_first_stages_are_of_their_own_first_stage_or_not_shown() -> None:
    def over(stage: str) -> list[Result]:
        facts = {"first_stage": stage, "candidates_digest": stage}
        return [make("first-stage", MIDDLE, model="first-stage", **facts), make("x", WOBBLE, **facts)]

    found = [*over("bm25"), *over("dense")]
    assert len(first_stages.groups(leaderboards(found))) == 1
    assert first_stages.groups(leaderboards(found, view=View(reference="x"))) == []


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


# --- LaTeX


def test_latex_makes_the_top_of_every_column_bold_and_no_row_below_one_that_is_beaten() -> None:
    stage = make("first-stage", MIDDLE, model="first-stage")
    good = make("good", [value + 0.25 for value in MIDDLE])
    other = {**good.values, "MRR": tuple(MIDDLE)}  # as good as the first stage on one measure
    estimates = {name: {**own, "MRR": stage.measures[name]["MRR"]} for name, own in good.measures.items()}
    twin = make("twin", MIDDLE)
    board = leaderboard([stage, replace(good, values=other, measures=estimates), twin])
    lines = latex.render([board]).split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    found = {line.split(" & ")[0]: line.split(" & ")[1:] for line in lines}
    assert r"\textbf" in found["good"][0] and r"\textbf" not in found["good"][2]
    assert not any(r"\textbf" in cell for name in ("first-stage (bm25)", "twin") for cell in found[name])


def test_latex_has_a_compact_table_that_is_never_wider_than_its_column() -> None:
    text = latex.render([leaderboard(toy())])
    compact = text.split(r"\label{tab:memeval-1-column}")[1].split(r"\end{table}")[0]
    assert r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%" in compact
    assert compact.count("{") == compact.count("}")
    heading, *lines = [line for line in compact.splitlines() if line.endswith(r"\\")]
    assert heading == r"System & NDCG@10 & 95\,\% interval & $\Delta$ & p50 ms & USD / 1,000 \\"
    assert any(
        line.startswith(r"good & \textbf{0.700$^{\blacktriangle}$} & [") and "+0.250 & 4.1 &" in line for line in lines
    )
    assert "graphicx" in text.splitlines()[0]


# --- published figures of one's own

FIGURES = """schema = 1
[[tables]]
measured = "toy"
title = "Toy, as published"
source = "Someone 2026, Table 2"
columns = ["NDCG@10", "MRR"]
protocol = ["Grades are binary."]
[tables.systems]
"good" = [0.75, 0.5]
"theirs" = [0.625]
"""


def test_published_rows_of_ones_own_stand_beside_measured_ones_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "figures.toml").write_text(FIGURES)
    board = leaderboard(toy(), view=views.wanted(published=[tmp_path / "figures.toml"]))
    page = " ".join(table.heading for part in sections.page(board, Evidence(), {}, []) for table in part.tables)
    text = markdown.render([(board, Evidence())])
    assert "Toy, as published" in page and "Toy, as published" in text and "Grades are binary." in text
    of_one = leaderboard(toy(), view=views.wanted(("MRR",), published=[tmp_path / "figures.toml"]))
    assert published.tables(of_one)[0].columns == ["system", "source", "MRR"]
    table = latex.render([board]).split(r"\label{tab:memeval-1-reported-1}")[1]
    assert r"theirs & reported & 0.625 & --" in table and r"good & reported & 0.750 & 0.500" in table
    assert r"good & measured & 0.700 [" in table
    names = [line.split(" & ")[0] for line in table.splitlines() if "reported &" in line or "measured &" in line]
    assert names == sorted(names) and {"bad", "good", "theirs"} <= {*names}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("schema = 1", "", "missing: schema"),
        ("protocol", "protocl", r"tables\[0\]\.protocl: unknown key \(did you mean 'protocol'\?\)"),
        ('"MRR"', '"mrr"', "'mrr' is written 'MRR'"),
        ("[0.625]", "[0.625, 0.5, 0.5]", "'theirs' has 3 values for 2 columns"),
        ("[0.625]", '["x"]', r"tables\[0\]\.systems\.theirs\[0\]: must be a valid number"),
        ("[0.625]", "[true]", r"tables\[0\]\.systems\.theirs\[0\]"),
        ("[0.625]", "[inf]", "'theirs' has inf as NDCG@10"),
        ("[0.625]", "[62.5]", "'theirs' has 62.5 as NDCG@10: shares are from 0 to 1"),
        ('"MRR"', '"Foo@3"', r"figures.toml: tables\[0\]: unknown measure 'Foo@3'"),
        ('"MRR"', '"NDCG@10"', "'NDCG@10' is a column twice"),
        ('"theirs"', '""', "at least 1 character"),
        ('"toy"', '"tox"', "is of 'tox', of which there is no result .*'toy'"),
    ],
)
def test_a_broken_file_of_published_figures_is_one_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "figures.toml").write_text(FIGURES.replace(old, new, 1))
    with pytest.raises(UsageError, match=said) as caught:
        leaderboards(toy(), view=views.wanted(published=[tmp_path / "figures.toml"]))
    assert "\n" not in str(caught.value)


def test_the_example_that_help_shows_is_read(tmp_path: Path) -> None:
    from memeval.cli import topics

    (tmp_path / "f.toml").write_text(topics.page("published").split("```toml\n")[1].split("```")[0])
    [table] = views.wanted(published=[tmp_path / "f.toml"]).published
    assert table.systems["another"] == (0.689,)
