"""JSON lines: one query a line."""

import json
import re
from pathlib import Path

import pytest

from memeval import datasets
from memeval.core.errors import DataError, UsageError
from memeval.core.types import Memory, Query
from memeval.datasets import jsonl

FILE = Path(__file__).parents[1] / "data" / "jsonl" / "notes.jsonl"


def test_a_line_is_a_query_with_a_store_of_its_own() -> None:
    dataset = datasets.load(f"jsonl/{FILE}")
    assert dataset.name == "jsonl/notes"
    assert dataset.queries[0] == Query("q1", "Where did Ann move to?", "q1")
    assert dataset.stores["q1"] == (
        Memory("d0", "We found a flat in Porto!", "2024-03-01T09:30:00", "Ann", "3"),
        Memory("d1", "Lisbon is lovely in May.", caption="a tram"),
    )
    assert dataset.qrels["q1"] == {"d0": 1, "d1": 0}


def test_lines_may_share_a_store_and_each_keeps_its_own_candidates() -> None:
    dataset = jsonl.read(FILE)
    assert dataset.queries[1] == Query(
        "tea", "How does Zoë take her tea?", "zoe", "single-hop", "2024-05-01", ("Put the kettle on.",)
    )
    assert list(dataset.memories("zoe")) == ["z1", "z2", "z3"]
    assert dataset.pools is not None
    assert dataset.pools["tea"] == ("z1", "z2")
    assert dataset.pools["cat"] == ("z2", "z3")


def test_a_line_without_a_relevant_candidate_serves_abstention() -> None:
    assert jsonl.read(FILE).qrels["cat"] == {"z2": 0, "z3": 0}


def test_a_relative_file_is_also_sought_in_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMEVAL_DATA", str(FILE.parent))
    assert datasets.load("jsonl/notes.jsonl").digest == jsonl.read(FILE).digest


def line(**changes: object) -> str:
    return json.dumps({"query": "What?", "candidates": [{"text": "That.", "label": 1}], **changes})


def test_a_candidate_may_be_forbidden_for_its_query_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    new, old = {"doc_id": "new", "text": "Porto", "label": 1}, {"doc_id": "old", "text": "Lisbon"}
    lines = [
        line(query_id="now", store_id="s", candidates=[new, old | {"forbidden": True}]),
        line(query_id="ever", store_id="s", candidates=[new, old | {"forbidden": False, "label": 1}]),
    ]
    path.write_text("\n".join(lines))
    dataset = jsonl.read(path)
    assert dataset.forbidden == {"now": frozenset({"old"})}
    assert dataset.qrels["now"] == {"new": 1, "old": 0}


BAD = {
    "line 1: candidate 0: 'forbidden' is true, and its label says that it is relevant": line(
        candidates=[{"text": "x", "label": 1, "forbidden": True}]
    ),
    "line 1: candidate 1: 'forbidden' is true, and its label": line(
        candidates=[
            {"text": "x", "doc_id": "a", "label": 1},
            {"text": "x", "doc_id": "a", "label": 1, "forbidden": True},
        ]
    ),
    "line 1: candidate 0: 'forbidden' must be true or false, not 1": line(candidates=[{"text": "x", "forbidden": 1}]),
    "line 1: is not JSON or is cut off": '{"query": "Wh',
    "line 1 must be an object, not 7": "7",
    "line 1: 'query' is missing": '{"candidates": []}',
    "line 1: 'query' is empty": line(query=" "),
    "line 1: 'candidates' is empty": line(candidates=[]),
    "line 1: 'candidates' must be a list, not 'x'": line(candidates="x"),
    "line 1: unknown key 'positives' (": line(positives=[]),
    "line 1: candidate 0: unknown key 'lable' (did you mean 'label'?)": line(candidates=[{"text": "x", "lable": 1}]),
    "line 1: candidate 0: 'label' must be a whole number from -1,000 to 1,000, not 0.5": line(
        candidates=[{"text": "x", "label": 0.5}]
    ),
    "line 1: candidate 0: 'label' must be a whole number from -1,000 to 1,000, not true": line(
        candidates=[{"text": "x", "label": True}]
    ),
    "line 1: candidate 0: 'label' must be a whole number from -1,000 to 1,000, not 1e+20": line(
        candidates=[{"text": "x", "label": 1e20}]
    ),
    "line 1: candidate 1: 'text' is missing": line(candidates=[{"text": "x"}, {}]),
    "line 1: candidate 0: 'doc_id' is missing, and the line shares": line(store_id="s"),
    "line 1: candidate 1: 'doc_id' 'a' stands twice": line(
        candidates=[{"text": "x", "doc_id": "a"}, {"text": "y", "doc_id": "a"}]
    ),
    "line 1: 'asked_at' must be ISO 8601 like 2023-05-08T13:56:00, not 'May'": line(asked_at="May"),
    "line 1: 'context' 0 must be a string, not 1": line(context=[1]),
}


@pytest.mark.parametrize("message", BAD)
def test_a_bad_line_is_named(tmp_path: Path, message: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(BAD[message] + "\n")
    with pytest.raises(DataError, match=re.escape(f"{path}: 1 bad line: {message}")) as caught:
        jsonl.read(path)
    assert "\n" not in str(caught.value)


def test_all_bad_lines_are_told_at_once_up_to_ten(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join([line(), *["{}"] * 12, line(query=3)]))
    with pytest.raises(DataError) as caught:
        jsonl.read(path)
    assert str(caught.value).startswith(f"{path}: 13 bad lines: line 2: 'query' is missing; line 3: ")
    assert str(caught.value).endswith("line 11: 'query' is missing; and 3 more")


def test_ids_that_clash_are_named_with_both_lines(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    first = line(query_id="a", store_id="s", candidates=[{"doc_id": "d", "text": "x"}])
    path.write_text(f"{first}\n{line(query_id='a')}\n{line(store_id='s', candidates=[{'doc_id': 'd', 'text': 'y'}])}\n")
    with pytest.raises(DataError) as caught:
        jsonl.read(path)
    assert "line 2: query_id 'a' stands in line 1 already" in str(caught.value)
    assert "line 3: doc_id 'd' is another memory elsewhere in its store" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("jsonl", "wants a file"),
        ("jsonl/nowhere.jsonl", "there is no such file, here or in MEMEVAL_DATA"),
        ("jsonl/x?unverified=1", "unknown option 'unverified' (it takes none)"),
    ],
)
def test_a_wrong_name_is_one_line(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        datasets.load(name)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n")
    with pytest.raises(DataError, match="holds no query"):
        jsonl.read(path)
