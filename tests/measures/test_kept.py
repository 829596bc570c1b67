"""A result counts only beside the run, labels, candidates and suite that it is of, whichever command reads it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memeval.cli import app
from memeval.core import results
from memeval.measures import kept

SUITE = """
schema = 1
name = "mine"
datasets = ["hard-cases"]
measures = ["NDCG@10", "MRR"]
systems = [{model = "bm25"}, {model = "random", repeat = 2}]
gates = [{system = "bm25", measure = "MRR"}]
"""
FOLDER = Path("results/mine/hard-cases")


def memeval(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a suite, and its baseline."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("mine.toml").write_text(SUITE)
        assert memeval("run", "mine.toml", "--quiet", "-o", "x.json")[0] == 0
        assert memeval("check", "--baseline", "b.json", "--update", "--reason", "first")[0] == 0
    return folder


@pytest.fixture
def work(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(made, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")


def another_run() -> None:
    shutil.copy(FOLDER / "random.run.jsonl", FOLDER / "bm25.run.jsonl")


def another_repeat() -> None:
    shutil.copy(FOLDER / "bm25.run.jsonl", FOLDER / "random.repeat-2.run.jsonl")


def other_labels() -> None:
    path = FOLDER / "labels.jsonl"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(header), "dataset_digest": "0" * 64}), *rows, ""]))


def other_candidates() -> None:
    path = FOLDER / "candidates.jsonl"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(header), "digest": "0" * 64}), *rows, ""]))


def another_suite() -> None:
    path = Path("results/mine/suite.json")
    path.write_text(path.read_text().replace('"margin": null', '"margin": 0.5').replace('"depth": 100', '"depth": 10'))


REPORTS = [
    ("report",),
    ("report", str(FOLDER)),
    ("show", "results", "--query", "allotment-society-treasurer:q1"),
    ("claims", "results"),
]
READERS = [
    ("compare", "bm25", "random"),
    ("compare", str(FOLDER / "bm25.json"), str(FOLDER / "random.json")),
    ("check", "--baseline", "b.json"),
    ("check", "--baseline", "c.json", "--update", "--reason", "x"),
]
SWAPS: list[tuple[Callable[[], None], str]] = [
    (another_run, "bm25.json: is not of the bm25.run.jsonl beside it: make it again with `memeval run`"),
    (another_repeat, "random.json: is not of the random.repeat-2.run.jsonl beside it"),
    (other_labels, "is not of the labels.jsonl beside it"),
    (other_candidates, "is not of the candidates.jsonl beside it"),
    (another_suite, "suite.json: does not match its digest, it was edited: `memeval run` writes it anew"),
]


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(("swap", "said"), SWAPS, ids=[swap.__name__ for swap, _ in SWAPS])
@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_what_is_not_of_one_run_is_refused_in_one_line(
    words: tuple[str, ...], swap: Callable[[], None], said: str
) -> None:
    swap()
    code, told = memeval(*words)
    assert code == 2, told
    assert said in told
    assert told.count("\n") == 1
    assert not Path("c.json").exists()


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize(("swap", "said"), SWAPS, ids=[swap.__name__ for swap, _ in SWAPS])
@pytest.mark.parametrize("words", REPORTS, ids=" ".join)
def test_what_is_not_of_one_run_is_left_out_and_named(
    words: tuple[str, ...], swap: Callable[[], None], said: str
) -> None:
    """Where nothing else is left, nothing is reported."""
    swap()
    code, told = memeval(*words)
    assert code == (0 if swap in (another_run, another_repeat) else 2)
    assert told.startswith(f"memeval: {'left out: ' * (code == 0)}results/mine/") and told.count("\n") == 1
    assert said.partition(".json: ")[2] in told


@pytest.mark.usefixtures("work")
def test_running_again_mends_what_was_replaced() -> None:
    before = {path: path.read_bytes() for path in Path("results").rglob("*.json*") if "times" not in path.name}
    for swap in (another_run, another_repeat, other_labels, another_suite):
        swap()
    assert memeval("run", "mine.toml", "--quiet", "-o", "x.json")[0] == 0
    assert {path: path.read_bytes() for path in before} == before
    assert memeval("check", "--baseline", "b.json")[0] == 0


@pytest.mark.usefixtures("work")
def test_a_result_may_lie_alone_and_a_suite_without_digest_is_an_older_one() -> None:
    path = Path("results/mine/suite.json")
    content = json.loads(path.read_text())
    del content["digest"]
    path.write_text(json.dumps(content))
    assert memeval("check", "--baseline", "b.json")[0] == 0
    shutil.copy(FOLDER / "bm25.json", "alone.json")
    assert kept.read(Path("alone.json")).result.signature == results.read_result(FOLDER / "bm25.json").signature
