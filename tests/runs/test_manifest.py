"""Runs by the names of data sets and systems add up: whatever was run one after the other is verified and merged."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memeval.cli import app

NOTES = Path(__file__).parents[1] / "data/jsonl/notes.jsonl"
HARD = ("--dataset", "hard-cases")
MINE = ("--dataset", "jsonl/notes.jsonl")


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEMEVAL_DATA", raising=False)
    shutil.copy(NOTES, "notes.jsonl")


def memeval(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    assert done.exit_code == code, done.output
    return done.output


def run(*words: str, results: str = "results", code: int = 0) -> None:
    memeval("run", *words, "--results", results, "--quiet", "-o", "x.json", code=code)


def contents(root: str) -> dict[str, bytes]:
    files = [file for file in Path(root).rglob("*") if file.is_file() and ".times." not in file.name]
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


def test_two_runs_on_one_data_set_and_one_on_another_are_verified_and_merged() -> None:
    run(*HARD, "--system", "bm25")
    run(*MINE, "--system", "constant")
    run(*HARD, "--system", "constant")
    assert "verified: 9 results" in memeval("verify", "results")
    assert "bm25 on hard-cases" in memeval("merge", "results", "-o", "merged")
    assert contents("merged") == contents("results")


def test_a_name_that_another_system_has_taken_is_refused_and_harms_nothing() -> None:
    run(*MINE, "--system", "constant", "--name", "a b")
    before = contents("results")
    for name in ("a-b", "A b", "a\u200b b"):
        told = memeval("run", *MINE, "--system", "random?seed=5", "--name", name, "--results", "results", code=2)
        assert "give each its own name" in told.replace("\n", " ")
        assert contents("results") == before
    assert "verified: 4 results" in memeval("verify", "results")


def test_a_part_of_the_queries_has_its_own_systems() -> None:
    run(*HARD, "--system", "bm25", "--limit", "5")
    run(*HARD, "--system", "constant")
    run(*HARD, "--system", "random?seed=7", "--shard", "1/2")
    assert "verified: 12 results" in memeval("verify", "results")


def test_shards_and_systems_of_several_machines_become_what_one_would_have_left() -> None:
    for system in ("bm25", "constant"):
        run(*HARD, "--system", system, results="whole")
        for shard in ("1/2", "2/2"):
            run(*HARD, "--system", system, "--shard", shard, results=f"parts/{system}-{shard[0]}")
    memeval("merge", "parts", "-o", "merged")
    assert contents("merged") == contents("whole")
    run(*MINE, "--system", "bm25", results="merged")
    run(*MINE, "--system", "bm25", results="whole")
    memeval("merge", "parts/bm25-1", "parts/bm25-2", "-o", "merged")
    assert contents("merged") == contents("whole")


def test_a_folder_of_an_earlier_version_is_gone_on_with() -> None:
    run(*HARD, "--system", "bm25")
    whole = contents("results")
    old = Path("results/adhoc/suite.json")
    Path("results/adhoc/hard-cases/suite.json").rename(old)
    old.write_text(json.dumps({k: v for k, v in json.loads(old.read_text()).items() if k != "digest"}))
    assert "verified: 4 results" in memeval("verify", "results")
    memeval("merge", "results", "-o", "merged")
    assert contents("merged") == whole
    run(*HARD, "--system", "constant")
    run(*MINE, "--system", "bm25")
    assert "verified: 9 results" in memeval("verify", "results")
    memeval("merge", "results", "-o", "merged")
    assert "verified: 9 results" in memeval("verify", "merged")


def test_a_run_that_is_killed_loses_nothing_of_an_earlier_one() -> None:
    run(*HARD, "--system", "bm25")
    Path("dying.py").write_text(
        "import os\nclass Made:\n    asked = 0\n    def score(self, query, memories):\n        self.asked += 1\n"
        "        if self.asked > 9 and os.environ.get('DIES'):\n            os.kill(os.getpid(), 9)\n"
        "        return [len(memory.text) for memory in memories]\n"
    )
    words = ["run", *HARD, "--system", "python/dying:Made", "--quiet", "-o", "x.json"]
    code = f"import os, sys; os.environ['DIES'] = '1'; from memeval.cli import app; app({words!r})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    told = memeval("verify", "results", code=1)
    assert "python/dying:Made" in told and "bm25" not in told
    run(*HARD, "--system", "python/dying:Made")
    assert "verified: 5 results" in memeval("verify", "results")


def test_why_a_system_could_not_run_is_kept_until_it_is_run() -> None:
    run(*HARD, "--system", "file/later.trec", code=2)
    run(*HARD, "--system", "bm25")
    assert "verified" in memeval("verify", "results")
    assert "file/later.trec" in memeval("report", "results")
    shutil.copy(next(iter(Path("results").rglob("bm25.run.jsonl"))), "bm25.run.jsonl")
    memeval("report", "results", "--trec", "trec")
    shutil.copy(next(iter(Path("trec").rglob("*bm25*"))), "later.trec")
    run(*HARD, "--system", "file/later.trec")
    assert not list(Path("results").rglob("unavailable.json"))
    assert "verified: 5 results" in memeval("verify", "results")


def test_a_damaged_list_of_what_was_run_is_told_and_kept() -> None:
    run(*HARD, "--system", "bm25")
    path = Path("results/adhoc/hard-cases/suite.json")
    path.write_text(path.read_text().replace('"depth": 100', '"depth": 5'))
    told = memeval("run", *HARD, "--system", "bm25", "-o", "x.json")
    assert "does not match its digest" in told and "kept as suite.json.damaged" in told
    assert "verified" in memeval("verify", "results")


def test_other_settings_are_another_run() -> None:
    run(*HARD, "--system", "bm25")
    run(*HARD, "--system", "constant", "--depth", "10")
    assert "verified: 8 results" in memeval("verify", "results")


def test_the_gate_takes_what_was_run_one_after_the_other() -> None:
    run(*HARD, "--system", "bm25")
    run(*MINE, "--system", "constant")
    memeval("check", "--baseline", "b.json", "--update", "--reason", "first")
    assert "passed" in memeval("check", "--baseline", "b.json")
