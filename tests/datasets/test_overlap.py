"""What a data set shares with a training corpus."""

import json
import re
from pathlib import Path

import pytest
from click.testing import Result as Done
from typer.testing import CliRunner

import memeval
from memeval import datasets
from memeval.cli import app
from memeval.core import results
from memeval.core.errors import DataError, UsageError
from memeval.core.types import Dataset
from memeval.datasets.overlap import document, measured, overlap, text, without


def corpus(tmp_path: Path, *rows: object, name: str = "train.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_exact_texts_are_found_whatever_their_case_and_punctuation(garden: Dataset, tmp_path: Path) -> None:
    found = overlap(
        garden, corpus(tmp_path, {"messages": [{"content": "What COLOUR is the shed?"}, "Roses need water!"]})
    )
    assert found.queries == {"q2": "exact"}
    assert found.memories == {("ann", "a1"): "exact"}
    assert found.texts == 2


def test_a_query_inside_a_long_text_is_near_and_scattered_words_are_not(tmp_path: Path) -> None:
    dataset = datasets.load("hard-cases")
    long = next(memory for memories in dataset.stores.values() for memory in memories if len(memory.text.split()) > 30)
    inside = f"Here is what she said some time ago: {long.text} And so it went on for a while."
    scattered = " ".join(sorted(long.text.split()))
    assert "near" in overlap(dataset, corpus(tmp_path, inside)).memories.values()
    assert not overlap(dataset, corpus(tmp_path, scattered)).memories


def test_half_of_the_runs_must_stand_in_one_text(garden: Dataset, tmp_path: Path) -> None:
    from dataclasses import replace

    words = " ".join(f"w{place}" for place in range(16))  # nine runs of eight
    query = replace(garden.queries[0], text=words)
    dataset = replace(garden, queries=(query,), qrels={})
    few, many = (" ".join(words.split()[:count]) for count in (11, 12))  # four runs, five runs
    assert not overlap(dataset, corpus(tmp_path, few)).queries
    assert overlap(dataset, corpus(tmp_path, many)).queries == {"q1": "near"}


def test_results_are_told_with_and_without_the_shared_queries(garden: Dataset, tmp_path: Path) -> None:
    result = memeval.run("first-stage", garden, pool="store", measures=["MRR"])
    found = overlap(garden, corpus(tmp_path, garden.queries[0].text))
    rest = without(result, found.touched, "MRR")
    assert rest is not None
    assert (rest.n, rest.value) == (2, sum(result.values["MRR"][1:]) / 2)
    assert without(result, frozenset(result.query_ids), "MRR") is None
    assert "queries   1 of 3 (1 exact, 0 near)" in text(found, [result], "MRR")
    assert json.loads(json.dumps(document(found, [result], "MRR")))["by_category"] == {"when": [1, 1], "what": [0, 2]}


def test_a_measure_is_known_in_any_spelling_and_an_absent_one_is_an_error(tmp_path: Path) -> None:
    result = memeval.run("first-stage", "hard-cases", measures=["MRR", "NDCG@10"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "first-stage.json").write_text(results.result_text(result))
    train = corpus(tmp_path, "nothing of it")

    def asked(*more: str) -> Done:
        return CliRunner().invoke(app, ["overlap", "hard-cases", str(train), "--results", str(tmp_path / "out"), *more])

    assert "first-stage: NDCG@10 0." in asked("--measure", "ndcg@10").stdout
    for name, said in (
        ("recall@7", "Recall@7 was not measured on hard-cases (known: MRR, NDCG@10)"),
        ("ndgc@10", "unknown measure 'ndgc@10'"),
    ):
        done = asked("--measure", name, "--json")
        assert (done.exit_code, said in done.stderr) == (2, True)
    with pytest.raises(UsageError, match="no result here is of other"):
        measured([result], "other", "MRR")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "holds no text"), (b'{"a": "b"}\n{"a": \n', "line 2: is no JSON"), (b'"\xff"\n', "is not UTF-8")],
)
def test_a_broken_corpus_is_named(garden: Dataset, tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(message)):
        overlap(garden, path)
    with pytest.raises(DataError, match="no such file"):
        overlap(garden, tmp_path / "absent.txt")
