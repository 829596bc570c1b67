"""MTEB's reranking format: five invented rows, as JSON lines and as Parquet."""

import json
import re
from pathlib import Path

import pytest

from memeval import datasets
from memeval.core.errors import DataError, PrerequisiteError, UsageError
from memeval.datasets import mteb_reranking

FOLDER = Path(__file__).parents[1] / "data" / "mteb_reranking"


def labels(dataset: datasets.Dataset) -> dict[str, dict[str, int]]:
    """Labels by text."""
    return {
        query_id: {dataset.memories(query_id)[doc_id].text: grade for doc_id, grade in grades.items()}
        for query_id, grades in dataset.qrels.items()
    }


def test_each_row_is_a_query_with_a_store_of_its_own_texts_each_once() -> None:
    dataset = datasets.load(f"mteb-reranking/{FOLDER}")
    assert labels(dataset) == {
        "q0": {"The price of tea rose from 2 to 4 €.": 1, "Coffee got cheaper.": 0, "Tea is grown in Assam.": 0},
        "q1": {"Kettle filed for protection.": 1, "Kettle owed 3 million.": 1, "Teapot paid a dividend.": 0},
        "q4": {"Twice as much for a cup!": 1, "Rain in Assam.": 0},
    }
    assert dataset.excluded == {"q2": "it has no positive text", "q3": "it has no negative text"}
    assert dataset.anomalies == {
        "texts that stand twice in a row": 1,
        "texts both positive and negative (count as positive)": 1,
        "empty negative texts, left out": 1,
        "repeated queries": 1,
    }
    assert dataset.pools == {query_id: tuple(grades) for query_id, grades in dataset.qrels.items()}
    assert dataset.version == f"local-{dataset.digest[:8]}"


def test_neither_place_nor_id_tells_the_label() -> None:
    rows = [{"query": f"Is it {n}?", "positive": [f"yes {n}"], "negative": [f"no {n}"]} for n in range(200)]
    dataset = mteb_reranking.parse(((f"row {n}", row) for n, row in enumerate(rows)), "x", "x")
    first = sum(grades[f"{query_id}:d0"] for query_id, grades in dataset.qrels.items())
    assert 70 < first < 130


def test_the_order_of_a_rows_texts_changes_nothing() -> None:
    row = {"query": "q", "positive": ["a", "b"], "negative": ["c", "d"]}
    other = {"negative": ["d", "c"], "positive": ["b", "a"], "query": "q"}
    assert mteb_reranking.parse([("", row)], "x", "x").digest == mteb_reranking.parse([("", other)], "x", "x").digest


def test_parquet_of_another_split_is_read_through_the_library(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    import pandas

    rows = [json.loads(line) for line in (FOLDER / "test.jsonl").read_text("utf-8").splitlines()]
    folder = tmp_path / "Tea-reranking"
    (folder / "data").mkdir(parents=True)
    pandas.DataFrame(rows).to_parquet(folder / "data" / "validation-00000-of-00001.parquet")
    dataset = datasets.load(f"mteb-reranking/{folder}?split=validation")
    assert dataset.name == "mteb-reranking/Tea-reranking-validation"
    assert dataset.digest == datasets.load(f"mteb-reranking/{FOLDER}").digest
    pandas.DataFrame(rows).to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match=re.escape("has no split 'test' (known: train, validation)")):
        datasets.load(f"mteb-reranking/{folder}")


def test_a_local_copy_of_a_pinned_set_is_taken_and_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "FinanceMTEB" / "FinFact-reranking"
    copy.mkdir(parents=True)
    (copy / "test.jsonl").write_bytes((FOLDER / "test.jsonl").read_bytes())
    monkeypatch.setenv("MEMEVAL_DATA", str(tmp_path))
    dataset = datasets.load("finfact")
    assert (dataset.name, dataset.verified) == ("finfact", False)
    assert dataset.about == mteb_reranking.ABOUT["finfact"]


def test_without_network_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    library = pytest.importorskip("datasets")

    def unreachable(**_: object) -> None:
        raise ConnectionError("Couldn't reach the Hub")

    monkeypatch.setattr(library, "get_dataset_split_names", unreachable)
    with pytest.raises(PrerequisiteError, match=r"hf\.co/datasets/FinanceMTEB/FinFact-reranking: the Hub cannot be"):
        datasets.load("finfact")


def test_without_the_library_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(PrerequisiteError, match=re.escape('pip install "memeval-bench[hub]"')):
        datasets.load("cmedqa-v2")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"positive": ["a"], "negative": ["b"]}, "test.jsonl:2: 'query' is missing"),
        ({"query": ["a"], "positive": ["a"], "negative": ["b"]}, "test.jsonl:2: 'query' must be a string"),
        ({"query": "q", "positive": "a", "negative": ["b"]}, "test.jsonl:2: 'positive' must be a list, not 'a'"),
        (
            {"query": "q", "positive": ["a"], "negative": [None]},
            "test.jsonl:2: 'negative' 0 must be a string, not null",
        ),
        ({"query": "q", "positive": ["a"]}, "test.jsonl:2: 'negative' is missing"),
    ],
)
def test_a_broken_row_is_named_with_its_line(tmp_path: Path, row: object, message: str) -> None:
    good = (FOLDER / "test.jsonl").read_text("utf-8").splitlines()[0]
    (tmp_path / "test.jsonl").write_text(f"{good}\n{json.dumps(row)}\n", "utf-8")
    with pytest.raises(DataError, match=re.escape(message)):
        datasets.load(f"mteb-reranking/{tmp_path}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mteb-reranking", "wants a folder or an id of the Hub"),
        ("mteb-reranking/nowhere", "there is no such folder, here or in MEMEVAL_DATA, and it is no id"),
        ("finfact/x", "is pinned"),
        ("finfact?revision=main", "is pinned"),
        ("finfact?unverified=1", "unknown option 'unverified' (known: config, dangling, own, revision, split)"),
    ],
)
def test_a_wrong_name_is_one_line(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        datasets.load(name)


def test_a_folder_without_data_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(DataError, match="holds no data files"):
        datasets.load(f"mteb-reranking/{tmp_path}")
