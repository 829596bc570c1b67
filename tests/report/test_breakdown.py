"""Slices in reports: in every format, with their number of queries, and marked where that is small."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from memeval.core.types import Result
from memeval.datasets import slices
from memeval.measures import statistics
from memeval.report import breakdown, leaderboard, write
from tests.report.made import make, toy

ROOT = Path(__file__).parents[2]
FEW, MANY = "temporal query", "misleading words"


def results() -> list[Result]:
    """Two systems on eighty queries, of which 29 and 30 are in a slice."""
    places = {FEW: tuple(range(0, 58, 2)), MANY: tuple(range(30))}
    stage = make("first-stage", [0.25] * 80, model="first-stage")
    return [replace(result, slices=places) for result in (stage, make("good", [n / 80 for n in range(80)]))]


def test_a_slice_has_the_mean_and_interval_of_its_queries_alone() -> None:
    [good, _] = breakdown.by_slice(leaderboard(results())).values()
    result = results()[1]
    own = [result.values["NDCG@10"][place] for place in result.slices[FEW]]
    stores = [result.store_ids[place] for place in result.slices[FEW]]
    wanted = statistics.estimate(own, stores)
    assert good[FEW].value == pytest.approx(sum(own) / 29)
    assert (good[FEW].low, good[FEW].high) == pytest.approx((wanted.low, wanted.high))
    assert (good[FEW].n, good[MANY].n) == (29, 30)


def test_every_format_has_the_slices_with_n_and_marks_the_small(tmp_path: Path) -> None:
    for suffix in ("html", "md", "tex", "csv", "json"):
        write(results(), tmp_path / f"r.{suffix}")
    page, text, latex = ((tmp_path / f"r.{suffix}").read_text() for suffix in ("html", "md", "tex"))
    heat = page[page.index('id="b1-heat-slices-heading"') :]
    assert re.search(rf'<th scope="col" class="small">{FEW}<span>\*</span><span class="range">n = 29</span>', heat)
    assert re.search(rf'<th scope="col">{MANY}<span class="range">n = 30</span>', heat)
    assert "*: fewer than 30 queries, so a few of them decide." in heat
    assert slices.definitions()[FEW] in page
    assert rf"{FEW}\* (n = 29, 29 stores)" in text
    assert f"{MANY} (n = 30, 15 stores)" in text
    assert r"\*: fewer than 30 queries" in text
    assert r"\shortstack{temporal \\ query* \\ n = 29}" in latex
    with (tmp_path / "r.csv").open(newline="") as file:
        rows = {(row["system"], row["category"]): row for row in csv.DictReader(file)}
    assert rows["good", f"slice: {FEW}"]["n"] == "29"
    [board] = json.loads((tmp_path / "r.json").read_text())["leaderboards"]
    assert board["rows"][0]["slices"][FEW]["value"] == float(rows["good", f"slice: {FEW}"]["value"])


def test_without_slices_there_is_no_table_of_them(tmp_path: Path) -> None:
    for suffix in ("html", "md", "tex", "csv"):
        write([replace(result, slices={}) for result in toy()], tmp_path / f"r.{suffix}")
        assert "slice:" not in (tmp_path / f"r.{suffix}").read_text()
        assert "-slices}" not in (tmp_path / f"r.{suffix}").read_text()
        assert "Hard-case slices" not in (tmp_path / f"r.{suffix}").read_text()


def test_the_card_tells_the_ceiling_that_the_oracle_reached(tmp_path: Path) -> None:
    write(toy(), tmp_path / "r.md")
    assert re.search(r"\| ceiling +\| NDCG@10 1\.000, Recall@5 1\.000", (tmp_path / "r.md").read_text())
    write(results(), tmp_path / "r.md")
    assert "not measured: the system" in (tmp_path / "r.md").read_text()
