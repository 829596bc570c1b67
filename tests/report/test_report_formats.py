"""Each format of a report, from the results of made.py: golden facts, hostile names, equal bytes."""

import csv
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from memeval.core.errors import DataError, PrerequisiteError, UsageError
from memeval.core.outside import lively, plain
from memeval.core.types import Result
from memeval.report import cells, exports, leaderboard, markdown, sections, write
from memeval.report.evidence import Evidence
from memeval.report.exports import COLUMNS
from tests.report.made import FORMATS, HOSTILE, MIDDLE, WOBBLE, make, printed, toy


def test_csv_holds_the_numbers_of_the_results_exactly(tmp_path: Path) -> None:
    thirds = make("thirds", [1 / 3, 2 / 3] * 10)
    write([*toy(), thirds], tmp_path / "r.csv")
    with (tmp_path / "r.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        lines = {(line["system"], line["category"], line["measure"]): line for line in reader}
    assert reader.fieldnames == list(COLUMNS)
    assert COLUMNS[:9] == ("dataset", "system", "category", "measure", "value", "low", "high", "n", "stores")
    assert len([key for key in lines if not key[1].startswith("slice: ")]) == 8 * 3 * 4
    for category, estimates in thirds.measures.items():
        for measure, estimate in estimates.items():
            line = lines["thirds", category, measure]
            assert [float(line[key]) for key in ("value", "low", "high")] == [
                estimate.value,
                estimate.low,
                estimate.high,
            ]
            assert (int(line["n"]), int(line["stores"])) == (estimate.n, estimate.clusters)


def test_csv_holds_differences_with_adjusted_p_latency_and_price(tmp_path: Path) -> None:
    write(toy(), tmp_path / "r.csv")
    lines = {
        (line["system"], line["category"], line["measure"]): line
        for line in csv.DictReader((tmp_path / "r.csv").open(newline=""))
    }
    good = lines["good", "all", "NDCG@10"]
    assert [float(good[key]) for key in ("difference", "difference_low", "difference_high")] == [0.25] * 3
    assert (good["against"], float(good["p"]), float(good["p50_seconds"])) == ("first-stage", 6 / 1024, 0.0041)
    assert good["usd_per_1000"] == "" and lines["good", "temporal", "MRR"]["difference"] == ""
    assert lines["good", "temporal", "NDCG@10"]["against"] == "first-stage"
    stage = lines["first-stage", "all", "NDCG@10"]
    assert stage["difference"] == stage["against"] == stage["p"] == ""
    assert lines["oracle", "all", "MRR"]["p"] == ""  # compared, and not tested


def test_json_holds_values_ranks_and_adjusted_p(tmp_path: Path) -> None:
    write(toy(), tmp_path / "r.json")
    [board] = json.loads((tmp_path / "r.json").read_text())["leaderboards"]
    good = next(row for row in board["rows"] if row["system"] == "good")
    assert good["rank"] == 1
    assert good["measures"]["all"]["NDCG@10"]["value"] == 0.7
    assert good["differences"]["NDCG@10"]["p_adjusted"] == 3 * 2 / 1024


def test_markdown_shows_rank_marker_and_reference(tmp_path: Path) -> None:
    write(toy(), tmp_path / "r.md")
    table = (tmp_path / "r.md").read_text().split("### Leaderboard\n")[1]
    cells = {
        line.split("|")[2].strip(): [cell.strip() for cell in line.split("|")] for line in table.splitlines()[4:11]
    }
    assert cells["good"][1] == "1"
    assert cells["good"][4] == "+0.250 [+0.250, +0.250] ▲ p=.006"
    assert cells["bad"][4].endswith("▼ p=.006")
    assert cells["first-stage (bm25)"][1:5:3] == ["–", "reference"]
    assert cells["constant (all tied)"][4] == "identical"


def test_markdown_has_every_part_of_a_page_and_all_its_tables(tmp_path: Path) -> None:
    board = leaderboard(toy())
    write(toy(), tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    parts = list(sections.page(board, Evidence(), {}, []))
    assert re.findall("(?m)^### (.*)$", text) == [part.title for part in parts]
    known = {*re.findall("(?m)^#+ (.*)$", text), *re.findall("<summary>(.*)</summary>", text)}
    for part in parts[1:]:  # the first shows all measures in one table, where a page has one for each
        assert {table.heading for table in part.tables} <= known
        assert all(markdown.escape(note) in text for note in part.notes)


def test_latex_makes_the_best_bold_and_marks_differences(tmp_path: Path) -> None:
    write(toy(), tmp_path / "r.tex")
    text = (tmp_path / "r.tex").read_text()
    assert r"\toprule" in text
    assert r"good & \textbf{0.700$^{\blacktriangle}$} &" in text
    assert r"bad & 0.200$^{\blacktriangledown}$ &" in text
    assert r"oracle (ceiling) & 1.000 &" in text
    assert "n = 20 queries with a relevant memory, in 10 stores" in text


def bold(results: list[Result], tmp_path: Path) -> set[str]:
    write(results, tmp_path / "r.tex")
    lines = (tmp_path / "r.tex").read_text().split(r"\midrule")[1].split(r"\bottomrule")[0].splitlines()
    return {line.split(" & ")[0] for line in lines if r"\textbf" in line}


def test_latex_makes_bold_what_nothing_beats_the_first_stage_included(tmp_path: Path) -> None:
    stage = make("first-stage", MIDDLE, model="first-stage")
    worse = make("worse", [value - 0.25 for value in MIDDLE])
    oracle = make("oracle", [1.0] * 20, model="oracle")
    assert bold([stage, worse, oracle], tmp_path) == {"first-stage (bm25)"}
    assert bold([stage, worse, make("like it", WOBBLE)], tmp_path) == {"first-stage (bm25)", "like it"}
    chance = make("random", [value + 0.25 for value in MIDDLE], model="random?seed=3")
    assert bold([stage, worse, chance], tmp_path) == {"random (chance)"}
    few = [f"s{place % 5}" for place in range(20)]  # nothing is tested, so nothing is best
    assert bold([make("a", MIDDLE, stores=few), make("b", [1.0] * 20, stores=few)], tmp_path) == set()


def test_what_is_not_above_chance_is_told_in_the_terminal_in_markdown_and_on_the_page(tmp_path: Path) -> None:
    chance = make("random", MIDDLE, model="random?seed=3")
    results = [chance, make("worse", [value - 0.25 for value in MIDDLE]), make("like it", WOBBLE)]
    results += [make("better", [value + 0.25 for value in MIDDLE]), make("dice", MIDDLE, model="random/dice")]
    board = leaderboard(results)
    said = "worse is below chance: a random order is no worse on NDCG@10 (−0.250 [−0.250, −0.250], p = .008)."
    assert said in board.remarks
    assert "dice is a random order: it has the values of random on every query." in board.remarks
    [even] = [remark for remark in board.remarks if remark.startswith("like it cannot be told from a random order")]
    assert not any(remark.startswith("better") for remark in board.remarks)
    for path in (tmp_path / "r.md", tmp_path / "r.html"):
        write(results, path)
        assert "worse is below chance" in path.read_text() and "like it cannot be told" in path.read_text()
    shown = " ".join(printed(board).split())
    assert said in shown and even in shown


def test_what_few_stores_cannot_test_is_not_called_below_chance() -> None:
    few = [f"s{place % 5}" for place in range(20)]
    rows = {"a": [value - 0.25 for value in MIDDLE], "random": MIDDLE}
    board = leaderboard([make(name, values, model=name, stores=few) for name, values in rows.items()])
    assert board.remarks == ("a is not above a random order on NDCG@10 (−0.250 [−0.250, −0.250]); not tested.",)


def test_a_sentence_is_one_line_where_nobody_reads_along() -> None:
    board = leaderboard([make("a" * 40, [value - 0.25 for value in MIDDLE]), make("random", MIDDLE, model="random")])
    assert [line for line in printed(board).splitlines() if line.startswith("a" * 40)] == list(board.remarks)


def test_a_footer_counts_the_stores_that_were_run() -> None:
    some = make("a", MIDDLE[:6], partial=6), make("b", [1.0] * 6, partial=6)
    assert "n = 6 · 3 stores · " in printed(leaderboard(some))


def test_one_store_of_several_is_not_tested() -> None:
    part = {"stores": ["s0"] * 20, "unit": "query", "partial": "1/10"}
    results = [make("first-stage", MIDDLE, model="first-stage", **part), make("better", [1.0] * 20, **part)]
    board = leaderboard(results)
    better = next(row for row in board.rows if row.system == "better")
    assert better.rank == 1
    assert {found.p for found in better.differences.values()} == {None}
    assert any("these queries are all of one store, so nothing is tested" in claim for claim in board.claims)


def test_captions_say_how_many_flips_a_p_value_comes_from(tmp_path: Path) -> None:
    write(toy(), tmp_path / "r.md")
    assert "sign-flip permutation test over stores (all 2^10 flips)" in (tmp_path / "r.md").read_text()
    many = [f"s{place}" for place in range(30)]
    values = [*MIDDLE, *MIDDLE[:10]]
    stage = make("first-stage", values, model="first-stage", stores=many)
    write([stage, make("a", [value + 0.1 for value in values], stores=many)], tmp_path / "r.md")
    assert "(10,000 random flips)" in (tmp_path / "r.md").read_text()


def test_an_undecided_difference_is_marked_and_claims_nothing() -> None:
    board = leaderboard(toy())
    [found] = [row.differences["NDCG@10"] for row in board.rows if row.system == "good" and row.differences]
    open_ = replace(found, p=0.0497, flips=2_560_000, undecided=True)
    assert cells.difference(open_).endswith("p=.050?")
    assert open_.direction == 0
    assert cells.flips([replace(open_, comparison=replace(found.comparison, clusters=30))]) == (
        "2,560,000 random flips; ?: they leave open on which side of 0.05 p is"
    )


def test_ties_are_bounded_where_they_matter(tmp_path: Path) -> None:
    write(toy(), tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    assert "50.0 %" in text
    assert "[0.250, 0.750]" in text


def test_a_partial_result_says_so() -> None:
    board = leaderboard([replace(result, signature=replace(result.signature, partial=20)) for result in toy()])
    assert board.claims[0].startswith("Partial: limited to 20 queries")
    assert "PARTIAL" in printed(board)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_results_give_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    write(toy(), tmp_path / f"a.{suffix}")
    time.sleep(0.01)
    write(toy()[::-1], tmp_path / f"b.{suffix}")
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


class _Page(HTMLParser):
    """Collects tags, attributes and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile() -> list[Result]:
    return [*toy(), *(make(name, [0.75 - 0.01 * i] * 20, model=f"file/{name}") for i, name in enumerate(HOSTILE))]


def test_a_page_with_hostile_names_runs_and_loads_nothing(tmp_path: Path) -> None:
    write(hostile(), tmp_path / "r.html", missing={HOSTILE[0]: "x", "<b>bold": "<script>why</script>"})
    page = _Page()
    page.feed((tmp_path / "r.html").read_text())
    assert not {"img", "b", "link", "iframe"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "style")]
    assert page.tags.count("script") == 3  # two hold data, and the page's own, which its policy allows by hash
    assert all(value.startswith("#") for name, value in page.attributes if name.endswith("href") and value)
    assert "</script><script>alert(1)</script>" in page.text
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text


def test_every_id_of_a_page_is_unique(tmp_path: Path) -> None:
    write([*toy(), make("good", MIDDLE, partial=20)], tmp_path / "r.html")
    page = _Page()
    page.feed((tmp_path / "r.html").read_text())
    ids = [value for name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    named = {part for name, value in page.attributes if name == "aria-labelledby" and value for part in value.split()}
    assert named <= set(ids)


def test_every_table_of_a_page_names_n_stores_and_its_headers(tmp_path: Path) -> None:
    write(toy(), tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    tables = re.split("<table[^>]*>", text)[1:]
    assert len(tables) >= 20
    for table in tables:
        caption = table.split("<caption>")[1].split("</caption>")[0]
        assert "n = 20 queries" in caption
        assert "10 stores" in caption
        assert 'scope="col"' in table
        assert 'scope="row"' in table
    assert "cluster bootstrap" in tables[0]
    assert "Holm-adjusted over 3 systems" in tables[0]


def test_hostile_names_stay_text_in_markdown_latex_and_csv(tmp_path: Path) -> None:
    for suffix in ("md", "tex", "csv"):
        write(hostile(), tmp_path / f"r.{suffix}")
    markdown = (tmp_path / "r.md").read_text()
    assert "<script" not in markdown
    assert "<img" not in markdown
    assert "](https" not in markdown
    latex = (tmp_path / "r.tex").read_text()
    assert r"a\_b \& 50 \% \$x\$ \{\textasciicircum{}\textasciitilde{}\textbackslash{} &" in latex
    systems = {line["system"] for line in csv.DictReader((tmp_path / "r.csv").open(newline=""))}
    assert f"'{HOSTILE[2]}" in systems
    assert not [name for name in systems if name.startswith(("=", "+", "-", "@"))]


def test_no_name_is_taken_for_an_argument_of_the_row_before_it_or_for_a_formula(tmp_path: Path) -> None:
    names = ["[2em] first", "* starred", "a [b", "＝1+1"]
    found = [*toy(), *(make(name, [0.75 - 0.01 * place] * 20) for place, name in enumerate(names))]
    for suffix in ("tex", "csv"):
        write(found, tmp_path / f"r.{suffix}")
    latex = (tmp_path / "r.tex").read_text()
    assert "\n{}[2em] first" in latex and "\n{}* starred" in latex and "\na [b" in latex
    assert not re.search(r"(\\\\|rule)\s*[\[*]", latex)
    assert "'＝1+1" in {line["system"] for line in csv.DictReader((tmp_path / "r.csv").open(newline=""))}


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", " =1", "a;=1", "a,+1", 'a;"=1', "'=1", "''=1", "＠x"]
)
def test_no_cell_begins_with_a_formula_whichever_separator_a_spreadsheet_takes(name: str) -> None:
    found = exports.cell(name)
    assert not [part for part in re.split(r"[,;\t]", found) if part.strip('" ').startswith(tuple("=+-@＝＋－＠"))]
    assert lively(found) == plain(name) and len(found) == len(plain(name)) + 1


def test_names_that_differ_differ_in_csv_and_others_stay_as_they_are() -> None:
    names = ["=1", "'=1", "''=1", "'", "x=1", "bge-reranker-v2-m3", "a;b", "1;-", "–", "it's"]
    assert len({*map(exports.cell, names)}) == len(names)
    assert [exports.cell(name) for name in names[3:7]] == names[3:7]
    assert [lively(exports.cell(name)) for name in names] == names


def test_the_terminal_table_fits_and_carries_no_markup() -> None:
    text = printed(leaderboard([*hostile(), make("[bold]a-very-long-name[/bold]" * 3, MIDDLE)]))
    assert max(len(line) for line in text.split("missing")[0].splitlines() if line.strip()) <= 100
    assert "\x1b" not in text
    assert "[bold]" in text
    plain = printed(leaderboard(toy()))
    assert "+0.250 ▲ p=.006" in plain
    assert "ceiling of the pool 1.000" in plain
    assert "excluded 2 (no evidence: 2)" in plain


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_real_terminal_is_never_overrun(width: int) -> None:
    text = printed(leaderboard(toy()), force_terminal=True, color_system=None, width=width, legacy_windows=False)
    table = text.splitlines()[1:9]
    assert all(len(line) <= width for line in table)
    assert "good" in text


def test_an_unknown_suffix_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.csv, \.html, \.json, \.md, \.parquet, \.tex"):
        write(toy(), tmp_path / "r.docx")
    with pytest.raises(UsageError, match="no results"):
        write([], tmp_path / "r.md")


@pytest.mark.skipif(os.name == "nt", reason="a folder in the way behaves differently")
def test_an_unwritable_place_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PrerequisiteError) as caught:
        write(toy(), tmp_path / "file" / "r.md")
    assert "\n" not in str(caught.value)
    (tmp_path / "r.md").mkdir()
    with pytest.raises(PrerequisiteError):
        write(toy(), tmp_path / "r.md")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "r.md"]


def test_a_failure_leaves_the_earlier_report(tmp_path: Path) -> None:
    write(toy(), tmp_path / "r.md")
    before = (tmp_path / "r.md").read_bytes()
    with pytest.raises(DataError):
        write([*toy(), *toy()], tmp_path / "r.md")
    assert (tmp_path / "r.md").read_bytes() == before


def test_reports_need_no_model_and_no_plots_unless_asked(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, made, memeval.report as report\n"
        "report.write(made.toy(), pathlib.Path(sys.argv[1]))\n"
        "print(sorted({'torch', 'ranx', 'datasets', 'matplotlib', 'transformers', 'numba'} & set(sys.modules)))"
    )
    here, root = Path(__file__).parent, Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "r.md")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(here), str(root)])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
