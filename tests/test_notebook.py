"""Results as Python and notebooks show them: text, tables, frames, plots; several systems in one call."""

import ast
import json
import re
import subprocess
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import memeval
from memeval.core.errors import IncompleteError, UsageError
from memeval.core.types import Dataset, Memory, Query, Result
from memeval.report import cells
from tests.report.made import HOSTILE, MIDDLE, make, toy
from tests.test_library import Longest


class Stumbling:
    """Fails on every query, or on one."""

    def __init__(self, only: str | None = None) -> None:
        self.only = only

    def score(self, query: Query, memories: Sequence[Memory]) -> list[float]:
        if self.only in (None, query.query_id):
            raise LookupError("no such leaf")
        return [0.0 for _ in memories]


def texts(markup: str) -> list[str]:
    """What stands in the cells of HTML tables."""
    return re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", markup)


# --- one result


def test_a_result_is_told_in_a_few_lines() -> None:
    lines = repr(make("good", MIDDLE, failed=3)).splitlines()
    assert len(lines) <= 5 and lines[0] == "good on toy 1: n = 20 queries with a relevant memory, in 10 stores"
    assert lines[1].strip().startswith("NDCG@10 0.450 [")
    assert "failed on 3 of 23 queries: HTTP 500" in lines[-1] and "p50 4.1 ms" in lines[-1]
    assert repr(replace(make("none", MIDDLE), measures={}, values={})).splitlines()[1].strip() == "nothing was measured"


def test_a_notebook_shows_the_numbers_of_reports_with_intervals() -> None:
    result = make("good", [value / 3 for value in MIDDLE])
    shown = texts(result._repr_html_())
    for measure, found in result.measures["all"].items():
        place = shown.index(measure)
        assert " ".join(shown[place + 1 : place + 3]) == cells.estimate(found)
    assert {"temporal", "single"} <= {*shown}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_markup_in_a_notebook(name: str) -> None:
    stage, own = make("first-stage", MIDDLE, model="first-stage"), make(name, MIDDLE)
    pair = memeval.compare(own, stage)
    for shown in (own._repr_html_(), memeval.Results((stage, own))._repr_html_(), pair._repr_html_()):
        tags = re.sub(r' style="[a-z0-9:; -]+"', "", " ".join(re.findall(r"<[^>]*>", shown)))
        known = {"div", "b", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "small", "br"}
        assert {tag.strip("</>") for tag in tags.split()} <= known
        assert "\x1b" not in shown and "\u202e" not in shown


def test_frames_hold_every_value_and_every_mean() -> None:
    result = make("good", MIDDLE)
    values, means = result.to_pandas(), result.to_pandas("estimates")
    assert list(values["query_id"]) == list(result.query_ids)
    assert tuple(values["MRR"]) == result.values["MRR"]
    assert set(values.columns) >= {"dataset", "system", "store_id", "category"}
    one = means[(means["category"] == "temporal") & (means["measure"] == "MRR")].iloc[0]
    assert (one["value"], one["low"], one["n"]) == (
        (found := result.measures["temporal"]["MRR"]).value,
        found.low,
        found.n,
    )
    with pytest.raises(UsageError, match="'values' or 'estimates'"):
        result.to_pandas("all")  # type: ignore[arg-type]


def test_a_plot_shows_the_mean_of_each_category_on_given_axes() -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    assert make("a $x$", MIDDLE).plot("MRR", ax=axes) is axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["all", "single", "temporal"]
    assert axes.get_xlabel() == "MRR, 95 % interval"
    with pytest.raises(UsageError, match="did you mean 'MRR'"):
        make("a", MIDDLE).plot("MRRR")
    figure.canvas.draw()  # a name that looks like a formula is drawn as it is
    pyplot.close("all")


# --- several


def test_several_systems_run_over_the_same_candidates_in_one_call(garden: Dataset) -> None:
    found = memeval.run(["bm25", Longest(), "oracle"], garden, name=["words", "long", "best"], pool="store")
    assert [result.signature.system for result in found] == ["words", "long", "best"]
    assert len({result.signature.candidates_digest for result in found}) == 1
    alone = memeval.run(Longest(), garden, pool="store")
    assert found["long"].values == alone.values and found[1] is found["long"]
    assert found[:2].results == found.results[:2]
    assert len(found.to_pandas()) == 9 and set(found.to_pandas("estimates")["system"]) == {"words", "long", "best"}


def test_a_list_of_one_gives_results_and_no_list_a_result(garden: Dataset) -> None:
    assert isinstance(memeval.run("bm25", garden), Result)
    assert len(memeval.run(["bm25"], garden)) == 1


@pytest.mark.parametrize(
    ("systems", "name", "said"),
    [
        ([Longest(), Longest()], None, "two systems are called 'Longest'"),
        (["bm25", Longest()], ["a"], "1 names for 2 systems"),
        ([], None, "there is no system to run"),
        (["bm25", object()], None, r"has no score\(query, memories\)"),
    ],
)
def test_names_of_several_systems_tell_them_apart(
    garden: Dataset, systems: list[object], name: list[str] | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        memeval.run(systems, garden, name=name)


def test_results_show_one_leaderboard_and_say_what_is_missing() -> None:
    found = memeval.Results(tuple(toy()), {"lost": "no key"})
    assert "vs first stage" in repr(found) and "missing: lost: no key" in repr(found)
    shown = texts(found._repr_html_())
    assert shown[shown.index("good") + 2] == "+0.250 [+0.250, +0.250] ▲ p=.006"
    with pytest.raises(UsageError, match="did you mean 'good'"):
        found["goood"]
    assert found["first-stage (bm25)"].signature.system == "first-stage"


def test_differences_refer_to_the_first_system_where_there_is_no_first_stage() -> None:
    first, second = make("a", MIDDLE), make("b", [value + 0.25 for value in MIDDLE])
    assert "vs a" in repr(memeval.Results((first, second)))
    assert "vs b" in repr(memeval.Results((first, second)).seen(reference="b"))
    assert "lost" not in repr(memeval.Results(()))


def test_a_plot_of_several_systems_is_of_one_data_set() -> None:
    from matplotlib import pyplot

    axes = memeval.Results(tuple(toy())).plot("MRR")
    assert axes.get_yticklabels()[0].get_text() == "oracle"
    pyplot.close("all")
    other = make("x", MIDDLE, dataset_digest="e" * 64)
    with pytest.raises(UsageError, match="results of 2"):
        memeval.Results((*toy(), other)).plot()


def test_two_results_are_compared_and_moved_queries_listed() -> None:
    pair = memeval.compare(make("b", [value + 0.25 for value in MIDDLE]), make("a", MIDDLE), measure="MRR", flips=2)
    assert "toy: b − a, 20 paired queries in 10 clusters" in repr(pair)
    frame = pair.to_pandas()
    assert set(frame["difference"]) == {0.25} and set(frame["p"]) == {2 / 1024}
    assert len(pair.flips) == 2 and "queries that moved most" in pair._repr_html_()


def test_committed_results_are_loaded_with_their_latencies() -> None:
    found = memeval.load_results(Path(__file__).parents[1] / "results" / "hard-cases")
    assert found["minilm"].latency is not None
    by_name = memeval.compare("minilm", "bm25", results=Path(__file__).parents[1] / "results" / "hard-cases")
    assert by_name == memeval.compare(found["minilm"], found["bm25"])
    with pytest.raises(UsageError, match="no results in"):
        memeval.load_results(Path(__file__).parent)


def test_results_are_written_in_the_format_of_the_suffix(tmp_path: Path) -> None:
    memeval.Results(tuple(toy())).write(tmp_path / "table.tex")
    assert r"\toprule" in (tmp_path / "table.tex").read_text()


# --- what fails


def test_an_exception_in_a_users_reranker_keeps_its_traceback(garden: Dataset) -> None:
    queries = tuple(Query(f"q{place}", "roses", "ann") for place in range(12))
    many = replace(garden, queries=queries, qrels={query.query_id: {"a0": 1} for query in queries}, splits={})
    with pytest.raises(IncompleteError, match="LookupError: no such leaf") as caught:
        memeval.run(Stumbling(), many)
    assert "raise LookupError" in "".join(traceback.format_exception(caught.value))
    with pytest.warns(UserWarning, match="was not measured"):
        found = memeval.run([Stumbling(), "bm25"], many)
    assert [result.signature.system for result in found] == ["bm25"]
    assert isinstance(found.missing["Stumbling"].__cause__, LookupError)  # type: ignore[union-attr]


def test_a_single_failed_query_is_counted_and_a_warning_shows_where(garden: Dataset) -> None:
    with pytest.warns(UserWarning, match=r"(?s)failed on 1 of 3 queries.*raise LookupError"):
        result = memeval.run(Stumbling(only="q2"), garden)
    assert result.failures.failed == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        memeval.run(Longest(), garden)


def test_nothing_heavy_is_imported_with_memeval() -> None:
    program = (
        "import sys, memeval; print({name.partition('.')[0] for name in sys.modules} & {'numpy', 'pandas', 'torch'})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# --- the notebook in docs/

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


def test_every_cell_of_the_notebook_runs_and_its_last_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one namespace, one after the other, as a kernel does; only how a value is rendered is left to Jupyter."""
    from matplotlib import pyplot

    monkeypatch.setattr(warnings, "showwarning", lambda *_: None)
    book = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert book["nbformat"] == 4 and len({cell["id"] for cell in book["cells"]}) == len(book["cells"])
    namespace: dict[str, object] = {"__name__": "__main__"}
    shown = []
    for cell in book["cells"]:
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == [] and cell["execution_count"] is None  # numbers are made, not kept
        *body, last = ast.parse("".join(cell["source"])).body
        exec(compile(ast.Module([*body], []), cell["id"], "exec"), namespace)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), cell["id"], "eval"), namespace))
        else:
            exec(compile(ast.Module([last], []), cell["id"], "exec"), namespace)
    pyplot.close("all")
    markup = [value._repr_html_() for value in shown if hasattr(value, "_repr_html_")]
    assert len(markup) == 6 and all("<table" in text for text in markup)


def test_the_notebooks_failing_cell_tells_the_cause(capsys: pytest.CaptureFixture[str]) -> None:
    cells = ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]]
    exec(next(cell for cell in cells if "class Broken" in cell), {"memeval": memeval})
    assert "AttributeError" in capsys.readouterr().out.split("because of:")[1]
