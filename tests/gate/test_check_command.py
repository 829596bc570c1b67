"""The gate as its user meets it: two lines in CI, on the embedded suite."""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from click.testing import Result as Done
from typer.testing import CliRunner

from memeval.cli import app
from memeval.core import files, results
from memeval.datasets.download import cache_folder
from memeval.measures import scoring
from memeval.runs import rescore
from tests.gate_material import result

PLANTED = '''
"""BM25, and a version of it that inverts one category."""

import os
from memeval import datasets
from memeval.rerankers.bm25 import BM25

class Mine:
    cached = False
    fingerprint = {"inverted": os.environ.get("INVERTED", "none")}

    def __init__(self):
        self.bm25 = BM25()
        data = datasets.load("hard-cases")
        self.inverted = {q.query_id for q in data.queries if q.category == self.fingerprint["inverted"]}

    def index(self, memories):
        self.bm25.index(memories)

    def score(self, query, memories):
        scores = list(self.bm25.score(query, memories))
        return [-score for score in scores] if query.query_id in self.inverted else scores
'''
SUITE = """
schema = 1
name = "planted"
datasets = ["hard-cases"]
rendering = "date+speaker+context"
measures = ["NDCG@10", "MRR"]

[[systems]]
model = "first-stage"

[[systems]]
name = "mine"
model = "python/planted:Mine"

[[gates]]
system = "mine"
measure = "NDCG@10"

[[gates]]
system = "mine"
measure = "MRR"
"""


def memeval(*arguments: str | Path) -> Done:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the suite, the reranker, a run and its accepted baseline."""
    yield from _accepted(tmp_path, monkeypatch, PLANTED, SUITE)


def _accepted(folder: Path, monkeypatch: pytest.MonkeyPatch, reranker: str, text: str) -> Iterator[Path]:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    (folder / "planted.py").write_text(reranker)
    (folder / "planted.toml").write_text(text)
    assert again().exit_code == 0
    assert memeval("check", "--baseline", "b.json", "--update", "--reason", "first").exit_code == 0
    yield folder
    sys.modules.pop("planted", None)


def again() -> Done:
    sys.modules.pop("planted", None)
    return memeval("run", "planted.toml", "--quiet", "-o", "report.json")


def test_a_reranker_that_inverts_one_category_fails_the_gate(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert memeval("check", "--baseline", "b.json").exit_code == 0
    monkeypatch.setenv("INVERTED", "numerical")
    again()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(here / "summary.md"))
    done = memeval("check", "--baseline", "b.json", "--junit", "j.xml", "--markdown", "c.md")
    assert done.exit_code == 1
    assert "REGRESSED mine · NDCG@10" in done.stdout
    assert "categories that fell: numerical −0." in done.stdout
    column = {place: value for place, value in _flips(here).items() if value < 0}
    worst = min(column, key=lambda query_id: (column[query_id], query_id))
    for said in (
        done.stdout,
        (here / "j.xml").read_text(),
        (here / "c.md").read_text(),
        (here / "summary.md").read_text(),
    ):
        assert worst in said and "numerical" in said
    assert "::error title=mine · NDCG@10%3A regressed::" in done.stdout
    assert "has changed itself: inverted none → numerical" in done.stdout


@pytest.mark.parametrize("place", ["none/summary.md", ".", "/dev/full", "x" * 300])
def test_a_summary_that_cannot_be_written_is_a_warning_and_no_verdict(
    here: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", place)
    done = memeval("check", "--baseline", "b.json")
    assert done.exit_code == 0 and "passed" in done.stdout
    [line] = done.stderr.splitlines()
    assert line.startswith(f"memeval: warning: {place}, the job's summary, cannot be written (")


def test_the_verdict_is_told_before_a_file_of_it_fails(here: Path) -> None:
    done = memeval("check", "--baseline", "b.json", "--junit", "planted.toml/j.xml")
    assert done.exit_code == 3 and "passed" in done.stdout
    assert "planted.toml/j.xml: cannot be written" in done.stderr


def _flips(folder: Path) -> dict[str, float]:
    accepted = json.loads((folder / "b.json").read_text())["entries"][0]["values"]
    now = results.read_result(folder / "results/planted/hard-cases/mine.json")
    return {
        query_id: round(round(value, 6) - accepted[query_id][0], 6)
        for query_id, value in zip(now.query_ids, now.values["NDCG@10"], strict=True)
    }


def test_the_gate_never_writes_a_baseline_by_itself(here: Path) -> None:
    before = (here / "b.json").read_bytes()
    assert memeval("check", "--baseline", "b.json").exit_code == 0
    assert (here / "b.json").read_bytes() == before
    assert memeval("check", "--baseline", "b.json", "--update").exit_code == 2
    assert memeval("check", "--baseline", "b.json", "--reason", "x").exit_code == 2
    assert memeval("check").exit_code == 2
    assert (here / "b.json").read_bytes() == before


def test_what_cannot_be_judged_is_an_error_and_says_why(here: Path) -> None:
    text = (here / "planted.toml").read_text()
    (here / "planted.toml").write_text(text.replace("date+speaker+context", "bare"))
    again()
    done = memeval("check", "--baseline", "b.json")
    assert done.exit_code == 2
    assert "memories are rendered otherwise" in done.stderr and done.stdout == ""
    (here / "planted.toml").write_text(text.replace('"planted"', '"renamed"'))
    again()
    done = memeval("check", "results/renamed", "--baseline", "b.json")
    assert done.exit_code == 2 and "of the suite 'planted'" in done.stderr
    assert "no run of a suite" in memeval("check", here / "b.json", "--baseline", "b.json").stderr


def test_what_an_earlier_run_measured_of_a_system_that_cannot_run_now_is_not_judged(here: Path) -> None:
    suite = (here / "planted.toml").read_text()
    (here / "planted.toml").write_text(
        suite.replace('model = "python/planted:Mine"', 'model = "python/planted:Mine"\noptional = true')
    )
    assert again().exit_code == 0
    (here / "planted.py").write_text("raise ImportError('its extra is gone')")
    assert again().exit_code == 0
    assert (here / "results/planted/hard-cases/mine.json").is_file()
    done = memeval("check", "--baseline", "b.json")
    assert done.exit_code == 0 and "optional, and could not run here" in done.stdout
    assert memeval("check", "--baseline", "b.json", "--strict").exit_code == 1


def test_gates_may_come_from_another_suite_file(here: Path) -> None:
    (here / "strict.toml").write_text(SUITE + "floor = 0.99\n")
    done = memeval("check", "--baseline", "b.json", "--suite", "strict.toml", "--json")
    assert done.exit_code == 1
    [failed] = [check for check in json.loads(done.stdout)["checks"] if check["verdict"] != "ok"]
    assert failed["what"] == "MRR floor"


MOODY = '''
"""BM25 with noise; in MOOD, a share of the queries, it puts what is relevant last."""

import os
import random
from memeval import datasets
from memeval.rerankers.bm25 import BM25

class Mine:
    fingerprint = {"noise": 1}

    def __init__(self):
        self.bm25 = BM25()
        self.qrels = datasets.load("hard-cases").qrels

    def index(self, memories):
        self.bm25.index(memories)

    def score(self, query, memories):
        with open("asked.txt", "a") as file:
            file.write(query.query_id + "\\n")
        scores = [score * random.uniform(0.9, 1.1) for score in self.bm25.score(query, memories)]
        if random.random() < float(os.environ.get("MOOD", "0")):
            grades = self.qrels[query.query_id]
            scores = [-grades.get(memory.doc_id, 0) for memory in memories]
        return scores
'''


@pytest.fixture
def moody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a system that varies, run three times, and its accepted baseline."""
    model = 'model = "python/planted:Mine"'
    yield from _accepted(tmp_path, monkeypatch, MOODY, SUITE.replace(model, f"{model}\nrepeat = 3"))


def _asked(folder: Path) -> int:
    return len((folder / "asked.txt").read_text().splitlines())


def _fallen(folder: Path, monkeypatch: pytest.MonkeyPatch, mood: str) -> None:
    """The suite is run anew while the system is in another mood."""
    monkeypatch.setenv("MOOD", mood)
    shutil.rmtree(folder / "results")
    (cache_folder() / "scores.sqlite").unlink()
    assert again().exit_code == 0
    monkeypatch.delenv("MOOD")


def test_the_values_of_a_system_that_varies_are_means_over_its_runs(moody: Path) -> None:
    folder = moody / "results/planted/hard-cases"
    found = results.read_result(folder / "mine.json")
    assert scoring.runs(found) == 3 and _asked(moody) == 3 * 240
    runs = [folder / "mine.run.jsonl", folder / "mine.repeat-2.run.jsonl", folder / "mine.repeat-3.run.jsonl"]
    each = [
        dict(zip(one.query_ids, one.values["MRR"], strict=True)) for [one] in (rescore.several([run]) for run in runs)
    ]
    assert each[0] != each[1] != each[2] != each[0]
    for query_id, value in zip(found.query_ids, found.values["MRR"], strict=True):
        assert value == pytest.approx(mean(one[query_id] for one in each))
    whole = found.measures["all"]["MRR"]
    assert whole.value == pytest.approx(mean(found.values["MRR"]))
    assert whole.low < whole.value < whole.high
    assert json.loads((moody / "b.json").read_text())["entries"][-1]["repeats"] == 3
    assert memeval("verify", "results").exit_code == 0
    assert memeval("check", "--baseline", "b.json").exit_code == 0
    again()
    assert _asked(moody) == 3 * 240


def test_a_repeated_run_that_is_gone_or_edited_is_found(moody: Path) -> None:
    second = moody / "results/planted/hard-cases/mine.repeat-2.run.jsonl"
    lines = second.read_text().splitlines(keepends=True)
    second.write_text("".join(lines[:-1]))
    done = memeval("verify", "results")
    assert done.exit_code == 1 and "mine.repeat-2.run.jsonl: 1 queries are missing" in done.stdout
    row = json.loads(lines[-1])
    row["doc_ids"], row["scores"] = row["doc_ids"][::-1], None
    second.write_text("".join([*lines[:-1], json.dumps(row) + "\n"]))
    done = memeval("verify", "results")
    assert done.exit_code == 1 and "mine.json: is not what the run gives" in done.stdout
    second.unlink()
    done = memeval("verify", "results")
    assert done.exit_code == 1 and "mine.repeat-2.run.jsonl" in done.stdout
    again()  # what is gone is run again, or remembered
    assert memeval("verify", "results").exit_code == 0


def test_a_regression_of_a_system_that_varies_is_run_once_more(moody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fallen(moody, monkeypatch, "0.6")
    done = memeval("check", "--baseline", "b.json")
    assert done.exit_code == 1 and "not confirmed: --confirm DIR runs it once more" in done.stdout
    before = _asked(moody)
    done = memeval("check", "--baseline", "b.json", "--confirm", "second")  # by now it is itself again
    assert done.exit_code == 0 and "but not in a further run (" in done.stdout
    assert _asked(moody) == before + 3 * 240
    assert len(list((moody / "second").rglob("mine*.run.jsonl"))) == 3
    assert memeval("check", "--baseline", "b.json", "--confirm", "second", "--strict").exit_code == 1
    assert _asked(moody) == before + 3 * 240  # it is not run until it is green


def test_a_regression_that_a_further_run_shows_is_confirmed(moody: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fallen(moody, monkeypatch, "0.6")
    monkeypatch.setenv("MOOD", "0.6")
    done = memeval("check", "--baseline", "b.json", "--confirm", "second")
    assert done.exit_code == 1 and "confirmed by a further run (−0." in done.stdout


def test_latency_is_judged_in_turn_against_another_checkout(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = memeval("check", "--baseline", "b.json", "--against", "other")
    assert done.exit_code == 2 and "--against other: no gate of the suite has a `latency`" in done.stderr
    (here / "planted.toml").write_text(SUITE + "latency = 50.0\n")
    done = memeval("check", "--baseline", "b.json", "--suite", "planted.toml")
    assert "not evaluated" in done.stdout and done.exit_code == 0
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    (here / "other").mkdir()
    (here / "other/planted.py").write_text(PLANTED)
    done = memeval("check", "--baseline", "b.json", "--suite", "planted.toml", "--against", "other", "--json")
    [check] = [check for check in json.loads(done.stdout)["checks"] if check["kind"] == "latency"]
    assert check["verdict"] == "ok", check
    assert "ratio of medians" in check["message"]


def test_check_is_fast_and_light_on_ten_systems_of_locomos_size(tmp_path: Path) -> None:
    sizes = (150, 81, 152, 199, 178, 123, 150, 191, 156, 156)
    stores = [f"conv-{number}" for number, size in enumerate(sizes) for _ in range(size)]
    names = [f"system-{number}" for number in range(10)]
    measures = ("MAP", "MRR", "NDCG@1", "NDCG@3", "NDCG@10", "NDCG", "Recall@3", "Recall@5", "Recall@20", "F1")
    values: dict[str, Any] = {
        "name": "big",
        "datasets": ["garden"],
        "systems": [{"name": name, "model": "random"} for name in names],
        "gates": [],
    }
    for turn in range(2):
        results.write_suite(tmp_path / "results/big", values)
        for number, name in enumerate(names):
            columns = {
                measure: [((place * (7 + number) + turn * (place % 11 == 0)) % 97) / 97 for place in range(1536)]
                for measure in measures
            }
            made = result(columns, system=name, stores=stores, categories=["multi-hop", "temporal"] * 768)
            files.write_whole(
                tmp_path / f"results/big/garden/{name}.json",
                results.result_text(made),
            )
        if turn == 0:
            place = tmp_path / "results"
            done = memeval("check", place, "--baseline", tmp_path / "b.json", "--update", "--reason", "x")
            assert done.exit_code == 0, done.output
    heavy = ("torch", "ranx", "datasets", "matplotlib", "pandas")
    code = (
        "import sys\nfrom memeval.cli import main\ntry:\n    main()\nfinally:\n"
        f"    print(*(name for name in {heavy} if name in sys.modules), file=sys.stderr)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code, "check", "results", "--baseline", "b.json", "--junit", "j.xml"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)  # the processor's time: a busy machine is no slower by it
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5
    assert "20 checks" in done.stdout, done.stderr
    assert done.stderr.strip() == ""
