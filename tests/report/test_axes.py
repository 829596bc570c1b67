"""Sweeps in reports: found in the results alone, and equal to what comparing two results one at a time says."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from memeval.core.results import find, read_result
from memeval.core.types import Comparison, Result
from memeval.measures import comparing, statistics
from memeval.report import axes, leaderboards, reporting, write
from memeval.report.axes import Axis
from memeval.runs import benchmark, suite
from tests.report.made import MIDDLE, make, toy

PLAIN, CONTEXT = "speaker+caption", "speaker+caption+context"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded data set with and without context; `random` was not measured with it."""
    root = tmp_path_factory.mktemp("sweep")
    models = [{"model": name} for name in ("first-stage", "random", "bm25")]
    models.append({"model": "bm25", "name": "tuned", "sweep": {"k1": ["10", "0.5"]}})  # type: ignore[dict-item]
    content = {"schema": 1, "name": "sweep", "datasets": ["hard-cases"], "rendering": [CONTEXT, PLAIN]}
    benchmark.run(suite.make({**content, "measures": ["NDCG@10"], "systems": models}, "test"), root, cache=None)
    [random] = [file for file in find(root) if file.parent.name.endswith(CONTEXT) and file.stem == "random"]
    random.unlink()
    return root


@pytest.fixture(scope="module")
def found(folder: Path) -> list[Axis]:
    return axes.axes(leaderboards([read_result(file) for file in find(folder)]))


def result(folder: Path, rendering: str, system: str) -> Result:
    return read_result(folder / "sweep" / f"hard-cases.{rendering}" / f"{suite.slug(system)}.json")


def assert_same(found: Comparison, wanted: Comparison) -> None:
    numbers = ("difference", "low", "high", "p", "n", "clusters", "identical")
    assert [getattr(found, name) for name in numbers] == pytest.approx([getattr(wanted, name) for name in numbers])


def test_a_sweep_of_renderings_is_one_table_with_the_default_first(found: list[Axis]) -> None:
    assert [(axis.name, axis.settings) for axis in found] == [
        ("rendering", (PLAIN, CONTEXT)),
        ("k1", ("0.5", "10")),
        ("k1", ("0.5", "10")),
    ]


def test_differences_between_renderings_are_those_of_single_comparisons(folder: Path, found: list[Axis]) -> None:
    rendering = found[0]
    lines = {line.row.system: line for line in rendering.lines}
    tested = []
    for system in ("first-stage", "bm25", "tuned?k1=10", "tuned?k1=0.5"):
        ours, theirs = result(folder, CONTEXT, system), result(folder, PLAIN, system)
        values = ours.values["NDCG@10"], theirs.values["NDCG@10"]
        columns = [np.array(column)[:, None] for column in values]
        [paired] = statistics.compare(*columns, ours.store_ids, [("NDCG@10", "ours", "theirs")])
        wanted = statistics.differences({0: paired}, [[0]])[0].comparison
        assert_same(lines[system].differences[CONTEXT].comparison, wanted)
        tested.append((wanted.p, lines[system].differences[CONTEXT].p))
        assert lines[system].rows[CONTEXT].estimates == ours.measures["all"]
    p_values, adjusted = zip(*tested, strict=True)
    assert list(adjusted) == pytest.approx(statistics.holm(p_values))
    assert min(adjusted) <= 0.05  # context does help here


def test_differences_between_options_are_those_of_memeval_compare(folder: Path, found: list[Axis]) -> None:
    for axis in found[1:]:
        [line] = [line for line in axis.lines if line.row.control is None]
        assert line.name == "tuned"
        place = folder / "sweep" / f"hard-cases.{axis.board.signature.rendering}"
        pair = comparing.compare(*(comparing.find(name, place) for name in ("tuned-k1-10", "tuned-k1-0.5")), flips=0)
        assert_same(line.differences["10"].comparison, pair.differences[0].comparison)
        assert line.differences["10"].p == pair.differences[0].comparison.p  # a family of one


def test_a_system_that_lacks_a_rendering_has_a_dash(found: list[Axis]) -> None:
    frame = axes.swept(found[0], "sweep").frame.set_index("system")
    assert list(frame.columns) == [PLAIN, CONTEXT, f"{CONTEXT} − {PLAIN}"]
    assert frame.loc["random (chance)", CONTEXT] == "–"
    assert frame.loc["random (chance)", f"{CONTEXT} − {PLAIN}"] == "–"
    assert frame.loc["first-stage (bm25)", PLAIN].startswith("0.")


def test_every_format_has_the_sweeps(folder: Path, found: list[Axis], tmp_path: Path) -> None:
    read = reporting.read([folder], texts="none")
    for suffix in ("html", "md", "tex", "csv", "json"):
        reporting.write(read, tmp_path / f"r.{suffix}")
    page, text, latex = ((tmp_path / f"r.{suffix}").read_text() for suffix in ("html", "md", "tex"))
    assert "hard-cases by rendering" in page
    assert "hard-cases by rendering" in text
    assert "n = 240 queries with a relevant memory, in 24 stores" in axes.swept(found[0], "sweep").caption
    assert r"\label{tab:memeval-sweep-1}" in latex
    [first, *_] = json.loads((tmp_path / "r.json").read_text())["sweeps"]
    line = next(line for line in found[0].lines if line.row.system == "bm25")
    [row] = [row for row in first["rows"] if row["system"] == "bm25"]
    assert row["differences"][CONTEXT]["difference"] == line.differences[CONTEXT].comparison.difference
    with (tmp_path / "r.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["axis"] == "rendering" and row["system"] == "bm25"]
    assert [(row["setting"], row["against"]) for row in rows] == [(PLAIN, ""), (CONTEXT, f"bm25, {PLAIN}")]
    assert float(rows[1]["difference"]) == line.differences[CONTEXT].comparison.difference
    assert float(rows[1]["p"]) == line.differences[CONTEXT].p


def test_without_a_sweep_nothing_is_said_of_one(tmp_path: Path) -> None:
    assert axes.axes(leaderboards(toy())) == []
    for suffix in ("html", "md", "tex", "csv", "json"):
        write(toy(), tmp_path / f"r.{suffix}")
        assert "sweep" not in (tmp_path / f"r.{suffix}").read_text().lower()


def test_leaderboards_of_a_sweep_are_named_by_their_rendering(tmp_path: Path) -> None:
    other = [make("good", MIDDLE, rendering="plain-2", dataset_digest="e" * 64), *toy()]
    assert {board.label for board in leaderboards(other)} == {"toy (plain-1)", "toy (plain-2)"}


def test_a_rendering_is_no_data_set_in_the_overview(folder: Path, tmp_path: Path) -> None:
    reporting.write(reporting.read([folder], texts="none"), tmp_path / "r.html")
    assert 'id="overall"' not in (tmp_path / "r.html").read_text()


def test_two_versions_of_the_data_are_no_sweep() -> None:
    other = [make("good", MIDDLE, dataset_digest="e" * 64), make("good", MIDDLE, rendering="x", dataset_digest="f")]
    assert axes.axes(leaderboards([*toy(), *other])) == []
