"""`memeval verify`: what was tampered with is found, and what was not passes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memeval import datasets
from memeval.cli import app
from memeval.core import files
from memeval.core.errors import UsageError
from memeval.datasets import leaks
from memeval.report import evidence
from memeval.runs import benchmark, suite, verification

PLAN = suite.make(
    {
        "schema": 1,
        "name": "seen",
        "datasets": ["hard-cases"],
        "measures": ["NDCG@10"],
        "systems": [{"model": "random"}, {"model": "bm25"}],
    },
    "test",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    benchmark.run(PLAN, folder, cache=None)
    return folder


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "results")
    return tmp_path / "results/seen/hard-cases"


def problems(folder: Path) -> list[str]:
    return [problem for _, problem in verification.verify(folder.parents[1]).problems]


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_a_run_left_is_verified(made: Path) -> None:
    done = CliRunner().invoke(app, ["verify", str(made)])
    assert done.exit_code == 0 and done.stdout == "verified: 2 results in 9 files\n"


def test_shards_are_verified_as_parts(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "results")
    benchmark.run(PLAN, tmp_path / "results", cache=None, limit="1/4")
    assert not verification.verify(tmp_path / "results").problems


def test_an_edited_number_is_found(copy: Path) -> None:
    edited(copy / "bm25.json", '"NDCG@10": [', '"NDCG@10": [0.5, ')
    done = CliRunner().invoke(app, ["verify", str(copy.parents[1]), "--json"])
    assert done.exit_code == 1
    [found] = json.loads(done.stdout)["problems"]
    assert found["file"].endswith("bm25.json")
    assert found["problem"].startswith("is not what the run gives: ")


def test_an_edited_run_is_found(copy: Path) -> None:
    edited(copy / "bm25.run.jsonl", '"doc_ids":["m06","m24"', '"doc_ids":["m24","m06"')
    [problem] = problems(copy)
    assert problem.startswith("is not what the run gives: digest, signature")


def test_a_changed_score_is_found_where_no_order_changes(copy: Path) -> None:
    rows = (copy / "bm25.run.jsonl").read_text().splitlines()
    row = json.loads(rows[1])
    row["scores"][0] += 0.25
    (copy / "bm25.run.jsonl").write_text("\n".join([rows[0], json.dumps(row), *rows[2:]]) + "\n")
    [problem] = problems(copy)
    assert problem.endswith("it was measured from another run (was one edited?)")


@pytest.mark.parametrize("line", ["[" * 100_000, "[1]", '"x"', "\x00\xff", '{"query_id": [1], "seconds": "x"}',
    '{"query_id": "q", "seconds": 1e999, "pairs": 3}', '{"queries": 1, "seconds": null, "pairs": {}}', '{"bill": 5}',
    '{"query_id": "q", "pairs": 2, "remembered": {"scores": "many"}}', '{"started": 5, "versions": [1]}'])  # fmt: skip
def test_damaged_times_are_passed_over(copy: Path, line: str) -> None:
    with (copy / "bm25.times.jsonl").open("a") as file:
        file.write(line + "\n")
    assert problems(copy) == []
    done = CliRunner().invoke(app, ["report", str(copy), "-o", str(copy.parents[1] / "r.html")])
    assert done.exit_code == 0, done.output
    [found] = [row for row in evidence.collect([copy]).sources if row.file.name == "bm25.json"]
    assert found.result.latency is not None and found.result.latency.n == 240


def test_a_run_that_ranks_other_memories_is_found(copy: Path) -> None:
    rows = (copy / "bm25.run.jsonl").read_text().splitlines()
    row = json.loads(rows[1])
    row["doc_ids"][0] = "m999"
    (copy / "bm25.run.jsonl").write_text("\n".join([rows[0], json.dumps(row), *rows[2:]]) + "\n")
    assert problems(copy) == [f"query {row['query_id']!r} does not rank exactly its candidates"]
    row = json.loads(rows[1])
    row["scores"].reverse()
    (copy / "bm25.run.jsonl").write_text("\n".join([rows[0], json.dumps(row), *rows[2:]]) + "\n")
    assert problems(copy) == [f"query {row['query_id']!r} is not in the order of its scores"]


def test_missing_queries_runs_and_results_are_found(copy: Path) -> None:
    text = (copy / "bm25.run.jsonl").read_text().splitlines(keepends=True)
    (copy / "bm25.run.jsonl").write_text("".join(text[:-3]))
    assert problems(copy) == ["3 queries are missing"]
    (copy / "bm25.run.jsonl").unlink()
    assert "the system 'bm25' has no run and no reason" in problems(copy)
    (copy / "random.json").unlink()
    assert "is missing: the run was never measured" in problems(copy)


def test_edited_candidates_and_newer_schemas_are_found(copy: Path) -> None:
    edited(copy / "candidates.jsonl", '"doc_ids":["', '"doc_ids":["m01","')
    assert any("does not match its digest" in problem for problem in problems(copy))
    edited(copy / "candidates.jsonl", '"version":1', '"version":2')
    assert any("of version 2, this memeval reads 1" in problem for problem in problems(copy))


def test_foreign_files_are_found(copy: Path) -> None:
    shutil.copy(copy / "bm25.json", copy / "mine.json")
    assert problems(copy) == ["is of no system of the suite"]
    (copy / "mine.json").rename(copy.parents[1] / "stray.json")
    assert problems(copy) == ["belongs to no suite here"]


def test_what_a_run_left_that_was_killed_is_called_so(copy: Path) -> None:
    (copy / "bm25.run.jsonl.partial").write_bytes((copy / "bm25.run.jsonl").read_bytes()[:300])
    assert problems(copy) == ["is of a run that is not complete: the same `memeval run` ends it, if none is at it now"]


def test_a_shard_that_died_before_it_wrote_anything_harms_no_other(copy: Path) -> None:
    (copy.parent / f"{copy.name}.shard-1-of-2").mkdir()
    (copy.parent / f"{copy.name}.shard-2-of-2").mkdir()
    (copy.parent / f"{copy.name}.shard-2-of-2/.candidates.jsonl.4711.tmp").write_text("{")
    assert problems(copy) == []


def test_secrets_are_found(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "bm25.times.jsonl").open("a").write('{"command": "x --key sk-' + "a1" * 20 + '"}\n')
    assert problems(copy) == ["holds something of the shape of a key or token"]
    (copy / "bm25.times.jsonl").write_text('{"command": "correct-horse-battery"}\n')
    monkeypatch.setenv("MY_API_KEY", "correct-horse-battery")
    assert problems(copy) == ["holds the value of the variable MY_API_KEY"]


def test_texts_of_a_restricted_data_set_are_found(tmp_path: Path) -> None:
    dataset = replace(datasets.load("hard-cases"), restricted=True)
    words = dataset.stores["kidney-clinic-rosa"][0].text.split()
    file = tmp_path / "x.json"
    file.write_text(json.dumps({"error": ["cannot read: " + " ".join(words[:9]).upper()]}))
    assert [problem for _, problem in leaks.texts(file, dataset)]
    file.write_text(json.dumps({"error": " ".join(words[:4])}))
    assert not list(leaks.texts(file, dataset))
    files.write_whole(tmp_path / "x.jsonl.bz2", json.dumps({"text": " ".join(words[2:12])}) + "\n")
    assert list(leaks.texts(tmp_path / "x.jsonl.bz2", dataset))
    file.write_text("no JSON, but " + " ".join(words[:10]))
    assert list(leaks.texts(file, dataset))


def test_a_folder_without_a_suite_cannot_be_verified(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run of a suite is here"):
        verification.verify(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        verification.verify(tmp_path / "none")
