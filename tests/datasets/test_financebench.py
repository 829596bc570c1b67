"""FinanceBench: small invented filings by hand, then the real ones."""

import json
import os
import re
from pathlib import Path

import pytest
from figures import bm25

from memeval import datasets
from memeval.core.errors import DataError, PrerequisiteError
from memeval.core.types import Memory
from memeval.datasets import financebench

FOLDER = Path(__file__).parents[1] / "data" / "financebench"
DATA = Path(os.environ.get("MEMEVAL_DATA") or "nowhere")
FILES = (financebench.QUESTIONS, financebench.PAGES)
real = pytest.mark.skipif(
    not all((DATA / file.path).is_file() for file in FILES), reason=f"MEMEVAL_DATA has no {FILES[0].path} and pages"
)


def read(name: str = "financebench", folder: Path = FOLDER) -> datasets.Dataset:
    return financebench.read(folder / "questions.jsonl", folder / "pages.jsonl", name)


def test_pages_of_the_named_filing_are_the_store_and_evidence_pages_count_from_zero() -> None:
    dataset = read()
    assert list(dataset.stores) == ["KETTLE_2020_10K", "TEAPOT_2021_10Q"]
    assert dataset.memories("TEAPOT_2021_10Q")["TEAPOT_2021_10Q:0"] == Memory(
        "TEAPOT_2021_10Q:0", "Teapot plc: total assets and liabilities"
    )
    assert dataset.qrels == {
        "fb1": {"KETTLE_2020_10K:1": 1},
        "fb2": {"KETTLE_2020_10K:2": 1, "KETTLE_2020_10K:0": 1},
        "fb3": {"TEAPOT_2021_10Q:0": 1},
    }
    assert [query.category for query in dataset.queries] == ["metrics-generated", "novel-generated", "domain-relevant"]
    assert dataset.excluded == {"fb4": "its filing MUG_2019_10K has no pages here"}
    assert dataset.anomalies == {
        "pages of fewer than 20 characters": 1,
        "evidence on a page that is cited already": 1,
    }


def test_globally_all_pages_are_one_store_with_the_same_labels() -> None:
    dataset = read("financebench-global")
    assert {store_id: len(pages) for store_id, pages in dataset.stores.items()} == {"filings": 5}
    assert dataset.qrels == read().qrels


BROKEN = [
    ("pages.jsonl", {"doc_name": "X", "page": -1, "text": ""}, "pages.jsonl:6: 'page' must be 0 or more, not -1"),
    ("pages.jsonl", {"doc_name": "X", "page": "1", "text": ""}, "pages.jsonl:6: 'page' must be an integer, not '1'"),
    ("pages.jsonl", {"doc_name": "TEAPOT_2021_10Q", "page": 1, "text": ""}, "pages.jsonl:6: 'page' 1 of 'TEAPOT"),
    ("pages.jsonl", {"doc_name": "X", "page": 1}, "pages.jsonl:6: 'text' is missing"),
    ("questions.jsonl", {"financebench_id": "fb1"}, "questions.jsonl:5: 'doc_name' is missing"),
]
QUESTION = {"financebench_id": "fb9", "doc_name": "TEAPOT_2021_10Q", "question": "What?", "question_type": "novel"}
BROKEN += [
    (
        "questions.jsonl",
        {**QUESTION, "financebench_id": "fb1"},
        "questions.jsonl:5: 'financebench_id' 'fb1' stands twice",
    ),
    ("questions.jsonl", {**QUESTION, "evidence": []}, "questions.jsonl:5: 'evidence' is empty"),
    ("questions.jsonl", {**QUESTION, "evidence": [7]}, "questions.jsonl:5: evidence 0 must be an object, not 7"),
    (
        "questions.jsonl",
        {**QUESTION, "evidence": [{"doc_name": "MUG_2019_10K", "evidence_page_num": 0}]},
        "questions.jsonl:5: evidence 0: stands in 'MUG_2019_10K', but the question is about 'TEAPOT_2021_10Q'",
    ),
    (
        "questions.jsonl",
        {**QUESTION, "evidence": [{"doc_name": "TEAPOT_2021_10Q", "evidence_page_num": 2}]},
        "questions.jsonl:5: evidence page 'TEAPOT_2021_10Q:2' is not in",
    ),
]


@pytest.mark.parametrize(("file", "record", "message"), BROKEN)
def test_a_broken_line_is_named_with_its_number(tmp_path: Path, file: str, record: object, message: str) -> None:
    for each in ("questions.jsonl", "pages.jsonl"):
        added = json.dumps(record) + "\n" if each == file else ""
        (tmp_path / each).write_text((FOLDER / each).read_text("utf-8") + added, "utf-8")
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read(folder=tmp_path)
    assert "\n" not in str(caught.value)


def test_pages_that_are_not_here_are_asked_for_and_not_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMEVAL_DATA", str(tmp_path))
    monkeypatch.setenv("MEMEVAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    target = tmp_path / financebench.QUESTIONS.path
    target.parent.mkdir()
    target.write_bytes((FOLDER / "questions.jsonl").read_bytes())
    with pytest.raises(PrerequisiteError, match=r"cannot be had by itself.*the pages of the PDFs in https://github"):
        datasets.load("financebench?unverified=1")


@real
def test_the_real_files_give_the_known_counts_and_figures() -> None:
    dataset = datasets.load("financebench")
    assert (len(dataset.queries), len(dataset.excluded), len(dataset.stores)) == (129, 21, 74)
    assert sum(map(len, dataset.stores.values())) == 10_206
    assert dataset.anomalies["pages of fewer than 20 characters"] == 34
    assert len(set(dataset.excluded.values())) == 10  # filings without pages
    assert bm25(dataset) == pytest.approx((0.306, 0.920), abs=0.02)
    everywhere = datasets.load("financebench-global")
    assert {store_id: len(pages) for store_id, pages in everywhere.stores.items()} == {"filings": 10_206}
    assert everywhere.qrels == dataset.qrels
