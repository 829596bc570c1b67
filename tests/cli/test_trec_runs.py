"""TREC runs of other tools side by side: values with intervals, paired differences, and what is not known of them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from memeval.core.types import Memory
from memeval.measures import statistics
from tests.cli.test_cli import Run, fails, memeval

__all__ = ["memeval"]


def ranked(path: Path, places: list[int]) -> None:
    """A run of queries q0, q1, … that has the relevant memory of each at a place."""
    lines = []
    for query, place in enumerate(places):
        ids = [f"other{number}" for number in range(9)]
        ids.insert(place - 1, "right")
        lines += [f"q{query} Q0 {doc_id} {rank} {-rank} t\n" for rank, doc_id in enumerate(ids, 1)]
    path.write_text("".join(lines))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    ranked(tmp_path / "a.trec", [2] * 12)
    ranked(tmp_path / "b.trec", [1] * 10 + [4, 4])
    (tmp_path / "qrels.txt").write_text("".join(f"q{query} 0 right 1\n" for query in range(12)))
    return tmp_path


def test_runs_are_measured_together_and_compared_with_the_first(memeval: Run, runs: Path) -> None:
    asked = ["score", "a.trec", "b.trec", "--qrels", "qrels.txt", "--measure", "MRR"]
    [board] = json.loads(memeval(*asked, "--json").stdout)["leaderboards"]
    rows = {row["system"]: row for row in board["rows"]}
    values = {"a": [0.5] * 12, "b": [1.0] * 10 + [0.25] * 2}
    estimate = statistics.estimate(values["b"], [f"q{query}" for query in range(12)])
    assert [rows["b"]["measures"]["all"]["MRR"][key] for key in ("value", "low")] == [estimate.value, estimate.low]
    found = rows["b"]["differences"]["MRR"]
    assert found["theirs"] == "a" and found["difference"] == pytest.approx(4.5 / 12)
    assert found["p"] == statistics.sign_flip_p(np.array(values["b"]) - np.array(values["a"]))
    done = memeval(*asked)
    assert "vs a" in done.stdout and "Labels alone: stores" in done.stdout
    assert "vs b" in memeval(*asked, "--reference", "b").stdout


def test_runs_are_named_on_the_command_line(memeval: Run, runs: Path) -> None:
    asked = ["score", "a.trec", "b.trec", "--qrels", "qrels.txt", "-o", "r.csv"]
    assert memeval(*asked, "--name", "bm25", "--name", "mine").returncode == 0
    assert {line.split(",")[1] for line in (runs / "r.csv").read_text().splitlines()[1:]} == {"bm25", "mine"}
    fails(memeval(*asked, "--name", "bm25"), 2, "1 names for 2 runs")
    fails(memeval("score", "a.trec", "a.trec", "--qrels", "qrels.txt"), 2, "two runs are called 'a'", "--name")


def test_two_runs_are_compared_and_what_is_not_known_is_said(memeval: Run, runs: Path) -> None:
    done = memeval("compare", "b.trec", "a.trec", "--qrels", "qrels.txt", "--measure", "mrr", "--flips", "1")
    assert "qrels: b − a, 12 paired queries" in done.stdout
    assert re.search(r"MRR +\+0\.375 ", done.stdout)
    assert "Labels alone: stores" in done.stdout
    assert "Not known: whether their candidates and renderings are the same." in done.stdout
    told = json.loads(memeval("compare", "b.trec", "a.trec", "--qrels", "qrels.txt", "--json").stdout)
    assert len(told["notes"]) == 2
    fails(memeval("compare", "b.trec", "a.trec"), 2, "a TREC run has no labels: give --qrels FILE or --dataset NAME")
    fails(memeval("compare", "x", "y", "--qrels", "qrels.txt"), 2, "neither of these is the file of one")
    (runs / "none.txt").write_text("q0 0 right 0\n")
    fails(memeval("compare", "b.trec", "a.trec", "--qrels", "none.txt"), 2, "none", "no query has a relevant memory")


def test_a_report_of_runs_claims_no_command_that_would_make_them(memeval: Run, runs: Path) -> None:
    memeval("score", "a.trec", "b.trec", "--qrels", "qrels.txt", "-o", "r.md", "-o", "r.html")
    for name in ("r.md", "r.html"):
        text = (runs / name).read_text()
        assert "memeval run" not in text and "Labels alone: stores" in text


def test_a_query_that_a_run_lacks_is_told_in_the_comparison(memeval: Run, runs: Path) -> None:
    ranked(runs / "short.trec", [1] * 11)
    done = memeval("compare", "short.trec", "a.trec", "--qrels", "qrels.txt")
    assert "short failed on 1 of 12 queries" in done.stdout and "is not in the run" in done.stdout


def test_stores_of_a_data_set_are_the_units_of_chance(memeval: Run, runs: Path) -> None:
    folder = runs / "mine"
    (folder / "qrels").mkdir(parents=True)
    ids = [f"other{number}" for number in range(9)] + ["right"]
    corpus = [(f"s{query // 2}", doc_id) for query in range(0, 12, 2) for doc_id in ids]
    memories = [Memory(f"{store}-{doc_id}", "x") for store, doc_id in corpus]
    (folder / "corpus.jsonl").write_text(
        "".join(
            json.dumps({"_id": memory.doc_id, "text": "x", "metadata": {"store_id": memory.doc_id.split("-")[0]}})
            + "\n"
            for memory in memories
        )
    )
    (folder / "queries.jsonl").write_text(
        "".join(
            json.dumps({"_id": f"q{query}", "text": "?", "metadata": {"store_id": f"s{query // 2}"}}) + "\n"
            for query in range(12)
        )
    )
    labels = [f"q{query}\ts{query // 2}-right\t1\n" for query in range(12)]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(labels))
    for name in ("a", "b"):
        lines = (runs / f"{name}.trec").read_text().splitlines()
        words = [line.split() for line in lines]
        told = [[q, z, f"s{int(q[1:]) // 2}-{d}", *rest] for q, z, d, *rest in words]
        (runs / f"{name}.trec").write_text("\n".join(map(" ".join, told)) + "\n")
    done = memeval("compare", "b.trec", "a.trec", "--dataset", "beir/mine", "--json")
    [found] = [one for one in json.loads(done.stdout)["comparisons"] if one["measure"] == "MRR"]
    assert found["clusters"] == 6
    sums = [1.0] * 5 + [-0.5]
    assert found["p"] == statistics.sign_flip_p(np.array(sums))


def test_a_system_is_named_where_it_is_run(memeval: Run, tmp_path: Path) -> None:
    done = memeval("run", "--system", "bm25", "--name", "words", "--quiet", "-o", "r.csv")
    assert done.returncode == 0 and "words" in done.stdout
    assert json.loads((tmp_path / "results/adhoc/hard-cases/words.json").read_text())["signature"]["system"] == "words"
    assert "words" in memeval("plan", "--system", "bm25", "--name", "words").stdout
    fails(memeval("run", "--system", "bm25", "--name", "a", "--name", "b"), 2, "give one for each --system")
    fails(memeval("run", "hard-cases", "--name", "a"), 2, "a suite names its own")
